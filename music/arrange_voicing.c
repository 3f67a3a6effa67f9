#include "music/arrange_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int chord_fifth(music_chord chord)
{
    int interval[5], n = music_chord_intervals(chord, interval);
    for (int i = 0; i < n; i++)
        if (interval[i] >= 6 && interval[i] <= 8)
            return interval[i];
    return 7;
}

/* What the chord has from `low` to `high` semitones above its root, else what the key has; 0: nothing. */
static int degree_within(const plan *p, int span, int low, int high)
{
    const plan_span *s = &p->spans[span];
    const unsigned scale = p->key_classes | p->blues_classes;
    for (int k = low; k <= high; k++)
        if (s->classes >> ((s->chord.root + k) % 12) & 1)
            return k;
    for (int k = low; k <= high; k++)
        if (scale >> ((s->chord.root + k) % 12) & 1)
            return k;
    return 0;
}

int chord_degree(const plan *p, int span, char degree)
{
    const int third = music_chord_third(p->spans[span].chord);
    switch (degree) {
    case '3': return third ? third : degree_within(p, span, 3, 4);
    case '5': return chord_fifth(p->spans[span].chord);
    case '6': /* a major sixth where anything allows it: the shuffle's, and the one that leads to the seventh */
        return (p->key_classes | p->spans[span].classes) >> ((p->spans[span].chord.root + 9) % 12) & 1 ? 9 : degree_within(p, span, 8, 9);
    default: return degree_within(p, span, 10, 11);
    }
}

int nearest_pitch(int pitch_class, int near, int low, int high)
{
    int best = -1;
    for (int p = low; p <= high; p++)
        if (p % 12 == pitch_class && (best < 0 || abs(p - near) < abs(best - near)))
            best = p;
    return best < 0 ? near : best;
}

void voicing_keep(voicing_list *list, const voicing *v)
{
    const int top = v->pitch[v->n - 1];
    int *n = &list->n[top], at;
    voicing *kept = list->of_top[top];
    for (int i = 0; i < *n; i++) /* the same under another hand */
        if (kept[i].n == v->n && !memcmp(kept[i].pitch, v->pitch, (size_t)v->n * sizeof *v->pitch)) {
            if (v->cost >= kept[i].cost)
                return;
            memmove(kept + i, kept + i + 1, (size_t)(--*n - i) * sizeof *kept);
        }
    if (*n == VOICINGS_PER_TOP && kept[*n - 1].cost <= v->cost)
        return;
    at = *n < VOICINGS_PER_TOP ? (*n)++ : *n - 1;
    for (; at > 0 && kept[at - 1].cost > v->cost; at--)
        kept[at] = kept[at - 1];
    kept[at] = *v;
}

int needs_of(music_chord chord, int rootless, int shell, need out[6])
{
    int interval[5], n = music_chord_intervals(chord, interval), kept = 0, rich = 0;
    for (int i = 0; i < n; i++)
        rich |= interval[i] >= 9;
    for (int i = 0; i < n; i++) {
        const int fifth = interval[i] >= 6 && interval[i] <= 8;
        double cost = i == 0 ? (rootless ? 0.5 : 6) : interval[i] == 7 ? 1.5 : interval[i] <= 5 ? 12 : 7;
        if (shell && fifth && rich) /* without a seventh the fifth is all there is */
            cost = 0;
        out[kept++] = (need){ (chord.root + interval[i]) % 12, cost };
    }
    return kept;
}

/* ---- keyboards and sections ---- */

typedef struct search {
    const style_part *part;
    int           tone[64], n_tones, want;
    need          needs[6];
    int           n_needs;
    double        centre;
    int           leading; /* class that must not be doubled, -1 none */
    voicing_list *list;
    int           found;
} search;

static double keys_cost(const search *s, const voicing *v)
{
    double cost = 0, sum = 0;
    int doubled = 0, span = v->pitch[v->n - 1] - v->pitch[0];
    for (int i = 0; i < s->n_needs; i++) {
        int found = 0;
        for (int k = 0; k < v->n; k++)
            found += v->pitch[k] % 12 == s->needs[i].class;
        cost += found ? 0 : s->needs[i].cost;
        doubled += found > 1 && s->needs[i].class == s->leading;
    }
    for (int k = 0; k < v->n; k++)
        sum += v->pitch[k];
    if (s->part->voicing == STYLE_OPEN)
        cost += span < 14 ? 0.8 * (14 - span) : 0;
    return cost + 5 * doubled + 0.5 * fabs(sum / v->n - s->centre);
}

static void extend(search *s, voicing *v, int from)
{
    const int narrow = s->part->voicing == STYLE_CLOSE || s->part->voicing == STYLE_TRIAD;
    if (v->n == s->want) {
        v->cost = keys_cost(s, v);
        voicing_keep(s->list, v);
        s->found = 1;
        return;
    }
    for (int i = from; i < s->n_tones; i++) {
        if (v->n) { /* close intervals are mud down low; wide ones fall apart up high */
            int low = v->pitch[v->n - 1], gap = s->tone[i] - low;
            if (gap < (low < 45 ? 7 : low < 52 ? 4 : 2))
                continue;
            if (gap > (low < 52 ? 16 : 10) || (narrow && s->tone[i] - v->pitch[0] > 12))
                break;
        }
        v->pitch[v->n++] = s->tone[i];
        extend(s, v, i + 1);
        v->n--;
    }
}

static void keys_voicings(const writer *w, music_chord chord, double centre, voicing_list *out)
{
    const style_part *part = w->part;
    const unsigned classes = music_chord_classes(chord);
    const int rootless = part->rootless && w->p->has_bass, shell = part->voicing == STYLE_SHELL, third = music_chord_third(chord);
    search s = { .part = part, .centre = centre, .leading = -1, .list = out };
    if (third == 4 && (chord.root + 4) % 12 == (w->p->in->key.tonic + 11) % 12)
        s.leading = (chord.root + 4) % 12;
    s.n_needs = needs_of(chord, rootless, shell, s.needs);
    for (int t = part->lowest; t <= part->highest && s.n_tones < 64; t++)
        if (classes >> (t % 12) & 1)
            s.tone[s.n_tones++] = t;
    voicing v = { .n = 0 };
    s.want = part->voices < part->instrument->polyphony ? part->voices : part->instrument->polyphony;
    if (part->voicing == STYLE_TRIAD || shell)
        s.want = s.want > 3 ? 3 : s.want;
    for (; s.want > 0 && !s.found; s.want--)
        extend(&s, &v, 0);
}

/* ---- a song's chords: the cheapest path ---- */

/* From one voicing to the next: the voices of keys and strings move as little as they can (sorted, so none cross), a guitarist's hand
 * does. */
static double move_cost(const voicing *a, const voicing *b, int guitar)
{
    double cost = 0;
    int same = 0;
    if (guitar)
        return 0.5 * abs(a->fret - b->fret) + 0.12 * abs(a->pitch[a->n - 1] - b->pitch[b->n - 1]);
    if (a->n != b->n)
        return 2;
    for (int k = 0; k < a->n; k++) {
        int d = abs(a->pitch[k] - b->pitch[k]);
        cost += 0.8 * d + (d > 4 ? 1.5 : 0);
        same += d == 0;
    }
    /* outer voices in parallel fifths or octaves */
    int top = a->n - 1, now = b->pitch[top] - b->pitch[0], then = a->pitch[top] - a->pitch[0];
    if (same < a->n && (now % 12 == 0 || now % 12 == 7) && now % 12 == then % 12 && b->pitch[0] != a->pitch[0])
        cost += 2;
    return cost;
}

enum { WIDTH = 20 };

/* The WIDTH cheapest voicings of a span, what fights the singer counted in. */
typedef struct column {
    voicing v[WIDTH];
    double  cost[WIDTH];
    int     n, from[WIDTH];
} column;

static void fill_column(column *c, const voicing_list *list, const plan_span *span)
{
    c->n = 0;
    for (int top = 0; top < 128; top++)
        for (int i = 0; i < list->n[top]; i++) {
            const voicing *v = &list->of_top[top][i];
            double cost = v->cost;
            for (int k = 0; k < v->n; k++)
                cost += 5 * (double)span->fight[v->pitch[k]];
            if (c->n == WIDTH && cost >= c->cost[WIDTH - 1])
                continue;
            int at = c->n < WIDTH ? c->n++ : WIDTH - 1;
            for (; at > 0 && c->cost[at - 1] > cost; at--) {
                c->cost[at] = c->cost[at - 1];
                c->v[at] = c->v[at - 1];
            }
            c->cost[at] = cost;
            c->v[at] = *v;
        }
}

static void step(const column *before, column *now, int guitar)
{
    for (int k = 0; k < now->n; k++) {
        double best = HUGE_VAL;
        now->from[k] = 0;
        for (int i = 0; before && i < before->n; i++) {
            const double cost = before->cost[i] + move_cost(&before->v[i], &now->v[k], guitar);
            if (cost < best) {
                best = cost;
                now->from[k] = i;
            }
        }
        now->cost[k] += before && before->n ? best : 0;
    }
}

static int same_chord(music_chord a, music_chord b)
{
    return a.root == b.root && a.quality == b.quality && a.bass == b.bass;
}

/* Candidates of each distinct chord once: list_of [n_spans] indexes lists. Returns how many. */
static int list_chords(const writer *w, voicing_list *lists, int *list_of)
{
    const plan *p = w->p;
    bl_rng rng = bl_rng_fork(&w->rng, 1); /* another take lies a little higher or lower */
    const double centre = 0.5 * (w->part->lowest + w->part->highest) + 3 * (bl_rng_uniform(&rng) - 0.5);
    int n = 0;
    for (int i = 0; i < p->n_spans; i++) {
        list_of[i] = -1;
        for (int k = 0; k < i && list_of[i] < 0; k++)
            if (list_of[k] >= 0 && same_chord(p->spans[k].chord, p->spans[i].chord))
                list_of[i] = list_of[k];
        if (p->spans[i].chord.root < 0 || list_of[i] >= 0)
            continue;
        int any = 0;
        if (w->part->instrument->family == MUSIC_GUITAR)
            guitar_shapes(w->part, p->spans[i].chord, &lists[n]);
        for (int top = 0; top < 128; top++)
            any |= lists[n].n[top];
        if (!any)
            keys_voicings(w, p->spans[i].chord, centre, &lists[n]);
        list_of[i] = n++;
    }
    return n;
}

static int count_chords(const plan *p)
{
    int n = 0;
    for (int i = 0; i < p->n_spans; i++) {
        int seen = p->spans[i].chord.root < 0;
        for (int k = 0; k < i && !seen; k++)
            seen = same_chord(p->spans[k].chord, p->spans[i].chord);
        n += !seen;
    }
    return n;
}

bl_status voice_song(const writer *w, voicing *of_span)
{
    const plan *p = w->p;
    const int guitar = w->part->instrument->family == MUSIC_GUITAR;
    voicing_list *lists = calloc((size_t)count_chords(p) + 1, sizeof *lists);
    column *columns = malloc(((size_t)p->n_spans + 1) * sizeof *columns);
    int *list_of = malloc(((size_t)p->n_spans + 1) * sizeof *list_of), last = -1;
    if (!lists || !columns || !list_of) {
        free(lists);
        free(columns);
        free(list_of);
        return bl_fail(w->err, BL_ENOMEM, "no memory to voice %d chords", p->n_spans);
    }
    list_chords(w, lists, list_of);
    for (int i = 0; i < p->n_spans; i++) {
        columns[i].n = 0;
        of_span[i].n = 0;
        if (list_of[i] < 0)
            continue;
        fill_column(&columns[i], &lists[list_of[i]], &p->spans[i]);
        if (!columns[i].n)
            continue;
        step(last >= 0 ? &columns[last] : NULL, &columns[i], guitar);
        last = i;
    }
    int k = 0;
    for (int i = 0; last >= 0 && i < columns[last].n; i++)
        k = columns[last].cost[i] < columns[last].cost[k] ? i : k;
    for (int i = last; i >= 0; i--) {
        if (!columns[i].n)
            continue;
        of_span[i] = columns[i].v[k];
        k = columns[i].from[k];
    }
    free(lists);
    free(columns);
    free(list_of);
    return BL_OK;
}
