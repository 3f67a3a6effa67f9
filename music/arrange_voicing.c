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

int nearest_pitch(int pitch_class, int near, int low, int high)
{
    int best = -1;
    for (int p = low; p <= high; p++)
        if (p % 12 == pitch_class && (best < 0 || abs(p - near) < abs(best - near)))
            best = p;
    return best < 0 ? near : best;
}

voicing voice_power(const style_part *part, music_chord chord)
{
    voicing v = { .n = 0 };
    int fifth = chord_fifth(chord), root = nearest_pitch(chord.root, part->lowest + 5, part->lowest, part->lowest + 11);
    v.pitch[v.n++] = root;
    if (fifth == 7)
        v.pitch[v.n++] = root + 7;
    if (root + 12 <= part->highest)
        v.pitch[v.n++] = root + 12;
    return v;
}

/* Weight of leaving a class of the chord out. */
typedef struct need { int class; double cost; } need;

static int needs_of(music_chord chord, int rootless, need out[6])
{
    int interval[5], n = music_chord_intervals(chord, interval);
    for (int i = 0; i < n; i++) {
        double cost = i == 0 ? (rootless ? 0.5 : 6) : interval[i] == 7 ? 1.5 : interval[i] <= 5 ? 12 : 7;
        out[i] = (need){ (chord.root + interval[i]) % 12, cost };
    }
    return n;
}

typedef struct search {
    const plan    *p;
    int            tone[64], n_tones, want;
    need           needs[6];
    int            n_needs;
    const voicing *before;
    double         centre;
    int            leading; /* class that must not be doubled, -1 none */
    voicing        best;
    double         best_cost;
} search;

static double keys_cost(const search *s, const voicing *v)
{
    double cost = 0, sum = 0;
    int doubled = 0;
    for (int i = 0; i < s->n_needs; i++) {
        int found = 0;
        for (int k = 0; k < v->n; k++)
            found += v->pitch[k] % 12 == s->needs[i].class;
        cost += found ? 0 : s->needs[i].cost;
        doubled += found > 1 && s->needs[i].class == s->leading;
    }
    for (int k = 0; k < v->n; k++)
        sum += v->pitch[k];
    cost += 5 * doubled + 0.5 * fabs(sum / v->n - s->centre);
    if (s->before->n == v->n) { /* voices move as little as they can; sorted, so none cross */
        int same = 0;
        for (int k = 0; k < v->n; k++) {
            int d = abs(v->pitch[k] - s->before->pitch[k]);
            cost += 0.8 * d + (d > 4 ? 1.5 : 0);
            same += d == 0;
        }
        /* outer voices in parallel fifths or octaves */
        int top = v->n - 1, now = v->pitch[top] - v->pitch[0], then = s->before->pitch[top] - s->before->pitch[0];
        if (same < v->n && (now % 12 == 0 || now % 12 == 7) && now % 12 == then % 12 && v->pitch[0] != s->before->pitch[0])
            cost += 2;
    }
    /* Room for the singer: the top voice better lies below or well above. */
    int over = v->pitch[v->n - 1] - s->p->vocal_pitch;
    return cost + (over > 2 ? 0.25 * (over - 2) : 0);
}

static void extend(search *s, voicing *v, int from)
{
    if (v->n == s->want) {
        double cost = keys_cost(s, v);
        if (cost < s->best_cost) {
            s->best_cost = cost;
            s->best = *v;
        }
        return;
    }
    for (int i = from; i < s->n_tones; i++) {
        if (v->n) { /* close intervals are mud down low; wide ones fall apart up high */
            int low = v->pitch[v->n - 1], gap = s->tone[i] - low;
            if (gap < (low < 45 ? 7 : low < 52 ? 4 : 2))
                continue;
            if (gap > (low < 52 ? 16 : 10))
                break;
        }
        v->pitch[v->n++] = s->tone[i];
        extend(s, v, i + 1);
        v->n--;
    }
}

voicing voice_keys(const plan *p, const style_part *part, music_chord chord, const voicing *before)
{
    unsigned classes = music_chord_classes(chord);
    search s = { .p = p, .before = before, .best_cost = 1e18, .centre = 0.5 * (part->lowest + part->highest), .leading = -1 };
    int third = music_chord_third(chord);
    if (third == 4 && (chord.root + 4) % 12 == (p->in->key.tonic + 11) % 12)
        s.leading = (chord.root + 4) % 12;
    for (int t = part->lowest; t <= part->highest && s.n_tones < 64; t++)
        if (classes >> (t % 12) & 1)
            s.tone[s.n_tones++] = t;
    s.n_needs = needs_of(chord, part->rootless && p->has_bass, s.needs);
    voicing v = { .n = 0 };
    for (s.want = part->voices < part->instrument->polyphony ? part->voices : part->instrument->polyphony; s.want > 0; s.want--) {
        extend(&s, &v, 0);
        if (s.best.n)
            return s.best;
    }
    return s.best;
}

/* ---- guitar ---- */

static const int tuning[6] = { 40, 45, 50, 55, 59, 64 };

typedef struct fretting {
    const style_part *part;
    unsigned          classes;
    need              needs[6];
    int               n_needs, bass, position, before;
    int               fret[6]; /* -1 not played */
    voicing           best;
    double            best_cost;
} fretting;

static void rate_shape(fretting *f)
{
    voicing v = { .fret = f->position };
    int lowest = 99, at_lowest = 0, fingers = 0, open = 0, twice = 0;
    for (int s = 0; s < 6; s++) {
        if (f->fret[s] < 0)
            continue;
        int pitch = tuning[s] + f->fret[s];
        if (v.n && pitch <= v.pitch[v.n - 1])
            return;
        v.pitch[v.n++] = pitch;
        open += f->fret[s] == 0;
        if (f->fret[s] > 0) {
            fingers++;
            if (f->fret[s] < lowest) {
                lowest = f->fret[s];
                at_lowest = 0;
            }
            at_lowest += f->fret[s] == lowest;
        }
    }
    /* The first finger may lie across the lowest fret when no open string sounds. */
    if (!open && at_lowest > 1)
        fingers -= at_lowest - 1;
    if (v.n < 4 || fingers > 4)
        return;
    double cost = v.pitch[0] % 12 == f->bass ? 0 : 6;
    for (int i = 0; i < f->n_needs; i++) {
        int found = 0;
        for (int k = 0; k < v.n; k++)
            found += v.pitch[k] % 12 == f->needs[i].class;
        cost += found ? 0 : f->needs[i].cost;
        twice += found > 2;
    }
    cost += 1.5 * (6 - v.n) + 0.25 * f->position + 0.4 * fingers - 0.3 * open + twice;
    if (f->before >= 0)
        cost += 0.5 * abs(f->position - f->before);
    if (cost < f->best_cost) {
        f->best_cost = cost;
        f->best = v;
    }
}

static void fret_string(fretting *f, int s)
{
    if (s == 6) {
        rate_shape(f);
        return;
    }
    int started = s > 0 && f->fret[s - 1] >= 0;
    if (!started && s < 3) { /* only the lowest strings may stay silent */
        f->fret[s] = -1;
        fret_string(f, s + 1);
    }
    int first = f->position < 1 ? 1 : f->position;
    for (int fret = f->position <= 3 ? 0 : first; fret <= first + 3; fret = fret == 0 ? first : fret + 1) {
        int pitch = tuning[s] + fret;
        if (!(f->classes >> (pitch % 12) & 1) || pitch < f->part->lowest || pitch > f->part->highest)
            continue;
        f->fret[s] = fret;
        fret_string(f, s + 1);
    }
    f->fret[s] = -1;
}

voicing voice_guitar(const style_part *part, music_chord chord, const voicing *before)
{
    fretting f = { .part = part, .classes = music_chord_classes(chord), .best_cost = 1e18, .bass = chord.bass,
                   .before = before->n ? before->fret : -1 };
    f.n_needs = needs_of(chord, 0, f.needs);
    for (f.position = 0; f.position <= 9; f.position++) {
        for (int s = 0; s < 6; s++)
            f.fret[s] = -1;
        fret_string(&f, 0);
    }
    return f.best;
}
