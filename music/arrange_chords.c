#include "music/arrange_private.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void writer_start(writer *w, double onset_s, int pitch, int velocity)
{
    double until = plan_room_end(w->p, onset_s);
    for (int i = -1; i < w->p->in->n_intervals && until <= 0; i++) {
        double start = i < 0 ? 0 : w->p->in->intervals[i].start_s;
        if (onset_s < start && onset_s > start - 0.05 && plan_room_end(w->p, start) > 0)
            until = plan_room_end(w->p, onset_s = start);
    }
    if (w->failed || until <= 0)
        return;
    if (w->n_open == 16) { /* cannot happen with the styles' polyphony; then the oldest is let go */
        memmove(w->open, w->open + 1, 15 * sizeof *w->open);
        w->n_open = 15;
    }
    /* Open notes end with the song unless somebody stops them. */
    if (music_track_add(w->track, onset_s, until, pitch, velocity, w->err) != BL_OK) {
        w->failed = 1;
        return;
    }
    w->open[w->n_open++] = w->track->n_notes - 1;
}

void writer_stop(writer *w, double time_s, double gate)
{
    for (int i = 0; i < w->n_open; i++) {
        music_note *n = &w->track->notes[w->open[i]];
        n->offset_s = fmin(n->offset_s, n->onset_s + gate * (time_s - n->onset_s));
    }
    w->n_open = 0;
}

double writer_jitter(writer *w)
{
    double h = w->p->style->humanize_ms;
    return 0.001 * (w->part->delay_ms + h * (2 * bl_rng_uniform(&w->rng) - 1));
}

int gap_is_own(const writer *w, int gap)
{
    return w->rank >= 0 && w->part->fills.n && w->p->n_fillers > 0 && gap % w->p->n_fillers == w->rank;
}

int writer_in_own_gap(const writer *w, double position)
{
    for (int i = 0; i < w->p->n_gaps; i++)
        if (position >= w->p->gaps[i].start - 1e-9 && position < w->p->gaps[i].end && gap_is_own(w, i))
            return 1;
    return 0;
}

/* ---- chords ---- */

typedef struct chord_player {
    writer  *w;
    voicing *of_span;     /* one per span of the plan */
    int      struck;      /* span that sounds, -1     */
    double   struck_s;
} chord_player;

static bl_status voice_all(chord_player *c)
{
    const plan *p = c->w->p;
    c->of_span = calloc((size_t)p->n_spans + 1, sizeof *c->of_span);
    if (!c->of_span)
        return bl_fail(c->w->err, BL_ENOMEM, "no memory to voice %d chords", p->n_spans);
    voicing before = { .n = 0 };
    for (int i = 0; i < p->n_spans; i++) {
        if (p->spans[i].chord.root < 0)
            continue;
        voicing *v = &c->of_span[i];
        if (c->w->part->instrument->family == MUSIC_GUITAR)
            *v = voice_guitar(c->w->part, p->spans[i].chord, &before);
        if (v->n == 0)
            *v = voice_keys(p, c->w->part, p->spans[i].chord, &before);
        before = *v;
    }
    return BL_OK;
}

/* Ends what sounds, except (tie) the pitches of `next`, which go on without a new stroke; they are taken out of it. */
static void let_go(chord_player *c, double time_s, double gate, int tie, voicing *next)
{
    writer *w = c->w;
    int kept = 0;
    for (int i = 0; i < w->n_open; i++) {
        music_note *n = &w->track->notes[w->open[i]];
        int common = -1;
        for (int k = 0; tie && k < next->n; k++)
            if (next->pitch[k] == n->pitch)
                common = k;
        if (common >= 0 && time_s - n->onset_s < 12 * w->p->period_s && n->offset_s > time_s) {
            memmove(next->pitch + common, next->pitch + common + 1, (size_t)(next->n - common - 1) * sizeof *next->pitch);
            next->n--;
            w->open[kept++] = w->open[i];
            continue;
        }
        n->offset_s = fmin(n->offset_s, n->onset_s + gate * (time_s - n->onset_s));
    }
    w->n_open = kept;
}

/* One symbol of a chord pattern at a time. */
static void strike(chord_player *c, char symbol, const style_pattern *pattern, int span, double time_s, int velocity)
{
    writer *w = c->w;
    voicing v = c->of_span[span], play = { .n = 0 };
    double spread = 0.001 * w->part->strum_ms, t = time_s + writer_jitter(w);
    int down = 1;
    if (v.n == 0)
        return;
    switch (symbol) {
    case 'P': case 'p':
        play = voice_power(w->part, w->p->spans[span].chord);
        break;
    case 'U': /* the upper strings, from above, lighter */
        for (int i = v.n > 4 ? v.n - 4 : 0; i < v.n; i++)
            play.pitch[play.n++] = v.pitch[i];
        down = 0;
        velocity -= 6;
        break;
    case 'B':
        play.pitch[play.n++] = v.pitch[0];
        break;
    case 'H':
        for (int i = v.n > 1 ? 1 : 0; i < v.n; i++)
            play.pitch[play.n++] = v.pitch[i];
        break;
    case 'T':
        play.pitch[play.n++] = v.pitch[v.n - 1];
        break;
    case 'D': case 'C':
        play = v;
        break;
    default: /* '1'..'6': voices from below; beyond the top they come down again */
        play.pitch[play.n++] = v.pitch[symbol - '1' < v.n ? symbol - '1' : abs(2 * (v.n - 1) - (symbol - '1')) % v.n];
    }
    if (symbol == 'C' || symbol == 'H')
        spread = fmin(spread, 0.003);
    if (!(pattern && pattern->ring && play.n == 1 && span == c->struck))
        let_go(c, t - 0.01, pattern ? pattern->gate : 0.98, pattern && pattern->tie, &play);
    t -= 0.25 * spread * play.n; /* the middle of a stroke is what the ear takes for its time */
    for (int i = 0; i < play.n; i++) {
        int k = down ? i : play.n - 1 - i;
        writer_start(w, t + spread * i, play.pitch[k], velocity - (down ? 0 : 2 * i) + (i == play.n - 1 ? 3 : 0));
        if (symbol == 'p' && w->n_open) /* palm-muted: the hand ends it */
            w->track->notes[w->track->n_notes - 1].offset_s = fmin(w->track->notes[w->track->n_notes - 1].offset_s, t + 0.13);
    }
    c->struck = span;
    c->struck_s = time_s;
}

/* What to strike when a chord changes where the pattern has nothing: the pattern's first whole-chord symbol. */
static char main_symbol(const style_pattern *pattern)
{
    for (const char *s = pattern->rows[0].cells; *s; s++)
        if (strchr("DCP", *s))
            return *s;
    return strpbrk(pattern->rows[0].cells, "Hp") ? 'C' : 0;
}

static void play_bar(chord_player *c, const plan_bar *bar, const style_pattern *pattern)
{
    writer *w = c->w;
    char whole = main_symbol(pattern);
    for (int b = 0; b < bar->n_beats; b++) {
        int struck_in_beat = 0;
        for (int s = 0; s < pattern->steps; s++) {
            double position = bar->first_beat + b + plan_swing(w->p, s, pattern->steps);
            double t = plan_time(w->p, position);
            int cell = plan_cell(w->p, pattern, bar, b, s), span = plan_span_at(w->p, t + 0.03);
            char symbol = pattern->rows[0].cells[cell];
            if (span < 0 || plan_room_end(w->p, t) <= 0 || symbol == '_') {
                writer_stop(w, t, 1);
                c->struck = -1;
                continue;
            }
            if (writer_in_own_gap(w, position) || (symbol == '.' && !(whole && span != c->struck && s == 0 && !struck_in_beat))) {
                if (span != c->struck && w->n_open && c->struck >= 0) { /* never ring into another chord */
                    double change = w->p->spans[span].start_s;
                    writer_stop(w, fmin(t, fmax(change, c->struck_s)), 1);
                    c->struck = -1;
                }
                continue;
            }
            int accent = plan_accent(pattern, cell, b, s);
            strike(c, symbol == '.' ? whole : symbol, pattern, span, t, plan_velocity(w->p, w->part, bar, accent, &w->rng));
            struck_in_beat = 1;
        }
    }
}

/* A held chord, struck anew where the chord changes. */
static void hold_bar(chord_player *c, const plan_bar *bar)
{
    writer *w = c->w;
    for (int b = 0; b < bar->n_beats && (bar->mode != BAR_END || b == 0); b++) {
        double t = w->p->beat[bar->first_beat + b];
        int span = plan_span_at(w->p, t + 0.03);
        if (span < 0 || plan_room_end(w->p, t) <= 0 || (b > 0 && span == c->struck))
            continue;
        char symbol = w->part->instrument->family == MUSIC_GUITAR ? 'D' : 'C';
        strike(c, symbol, NULL, span, t, plan_velocity(w->p, w->part, bar, 6, &w->rng));
    }
}

void arrange_chords(writer *w)
{
    chord_player c = { .w = w, .struck = -1 };
    if (voice_all(&c) != BL_OK) {
        w->failed = 1;
        return;
    }
    for (int i = 0; i < w->p->n_bars && !w->failed; i++) {
        const plan_bar *bar = &w->p->bars[i];
        const style_pattern *pattern = plan_pattern(w->p, w->part, bar, w->lower);
        if (bar->mode == BAR_SILENT || (bar->mode == BAR_PLAY && !pattern)) {
            writer_stop(w, bar->start_s, 1);
            c.struck = -1;
        } else if (bar->mode == BAR_PLAY) {
            play_bar(&c, bar, pattern);
        } else {
            hold_bar(&c, bar);
        }
    }
    w->n_open = 0;
    free(c.of_span);
    arrange_fills(w);
}

/* ---- bass ---- */

/* Next span with another root after this one, or -1. */
static int next_root(const plan *p, int span)
{
    for (int i = span + 1; i < p->n_spans; i++)
        if (p->spans[i].chord.root >= 0 && p->spans[i].chord.bass != p->spans[span].chord.bass)
            return i;
    return -1;
}

static int is_allowed(const plan *p, int span, int pitch)
{
    int class = ((pitch % 12) + 12) % 12;
    unsigned chord = p->spans[span].classes;
    if (chord >> class & 1)
        return 1;
    if (!(p->key_classes >> class & 1))
        return 0;
    /* A key tone that the chord has altered is not used beside it (G beside E7's G sharp). */
    return !((chord & ~p->key_classes) >> ((class + 1) % 12) & 1) && !((chord & ~p->key_classes) >> ((class + 11) % 12) & 1);
}

/* A step towards `target`, still `steps` notes away: near the straight line, stepwise, chord tones when on a strong beat. */
static int walk(writer *w, int span, int current, int target, int steps, int strong)
{
    const style_part *part = w->part;
    double line = current + (double)(target - current) / steps, best_cost = 1e9;
    int best = current;
    /* Far from arriving, the line swings out and comes back. */
    if (abs(target - current) < steps)
        line = current + (bl_rng_uniform(&w->rng) < 0.5 ? 2.5 : -2.5);
    for (int p = part->lowest; p <= part->highest; p++) {
        if (p == current || !is_allowed(w->p, span, p) || abs(p - current) > 7)
            continue;
        if (steps == 1 && p == target)
            continue;
        double cost = fabs(p - line) + 0.15 * abs(p - current) + 0.8 * bl_rng_uniform(&w->rng);
        int chord_tone = w->p->spans[span].classes >> (p % 12) & 1;
        if (steps == 1) /* the last note before the change: a step from the target */
            cost = abs(p - target) == 1 ? 0 : abs(p - target) == 2 ? 0.7 : abs(p - target) == 5 || abs(p - target) == 7 ? 3 : 4 + 0.3 * abs(p - target);
        else if (strong && !chord_tone)
            cost += 3;
        cost += steps == 1 ? 0.2 * abs(p - current) + 0.5 * bl_rng_uniform(&w->rng) : 0;
        if (cost < best_cost) {
            best_cost = cost;
            best = p;
        }
    }
    return best;
}

typedef struct bass_player {
    writer *w;
    int     pitch; /* last played */
    int     root;  /* pitch of the current root */
    int     span;
} bass_player;

static int bass_pitch(bass_player *b, char symbol, int span, double position, int beat)
{
    writer *w = b->w;
    const plan *p = w->p;
    const style_part *part = w->part;
    music_chord chord = p->spans[span].chord;
    int low = part->lowest, high = part->highest;
    if (span != b->span) {
        int comfortable = low + 5 < high - 14 ? low + 5 : low;
        b->root = nearest_pitch(chord.bass, (2 * b->root + comfortable + 4) / 3, low, high - 7 >= low + 11 ? high - 7 : high);
        b->span = span;
        if (symbol != 'R' && symbol != '8')
            return b->root; /* a new chord is always shown by its root */
    }
    int fifth = nearest_pitch((chord.root + chord_fifth(chord)) % 12, b->root + 5, low, high);
    switch (symbol) {
    case 'R': return b->root;
    case '8': return b->root + 12 <= high ? b->root + 12 : b->root - 12 >= low ? b->root - 12 : b->root;
    case '5': return fifth;
    case '3': return music_chord_third(chord) ? nearest_pitch((chord.root + music_chord_third(chord)) % 12, b->root + 4, low, high) : b->root;
    case 'r': return b->pitch;
    default: break;
    }
    int next = next_root(p, span);
    double t = plan_time(p, position), until = next >= 0 ? (p->spans[next].start_s - t) / p->period_s : 99;
    int target = next >= 0 ? nearest_pitch(p->spans[next].chord.bass, b->pitch, low, high) : b->root;
    if (until > 8) { /* nothing to go to soon: around the own root */
        target = b->root;
        until = p->in->beats_per_bar - beat;
    }
    if (symbol == 'a' && (next < 0 || until > 1.3))
        return b->pitch == fifth ? b->root : fifth;
    int steps = symbol == 'a' ? 1 : (int)lround(until);
    return walk(w, span, b->pitch, target, steps < 1 ? 1 : steps, beat % 2 == 0);
}

static void bass_bar(bass_player *b, const plan_bar *bar, const style_pattern *pattern)
{
    writer *w = b->w;
    for (int beat = 0; beat < bar->n_beats; beat++)
        for (int s = 0; s < pattern->steps; s++) {
            double position = bar->first_beat + beat + plan_swing(w->p, s, pattern->steps), t = plan_time(w->p, position);
            int cell = plan_cell(w->p, pattern, bar, beat, s), span = plan_span_at(w->p, t + 0.03);
            char symbol = pattern->rows[0].cells[cell];
            if (symbol == '.' && span >= 0 && span != b->span && s == 0)
                symbol = 'R';
            if (symbol == '.')
                continue;
            double on = t + writer_jitter(w);
            writer_stop(w, fmin(t, on) - 0.01, pattern->gate);
            if (symbol == '_' || span < 0 || plan_room_end(w->p, t) <= 0)
                continue;
            b->pitch = bass_pitch(b, symbol, span, position, beat);
            writer_start(w, on, b->pitch, plan_velocity(w->p, w->part, bar, plan_accent(pattern, cell, beat, s), &w->rng));
        }
}

void arrange_bass(writer *w)
{
    bass_player b = { .w = w, .span = -1, .root = w->part->lowest + 8, .pitch = w->part->lowest + 8 };
    for (int i = 0; i < w->p->n_bars && !w->failed; i++) {
        const plan_bar *bar = &w->p->bars[i];
        const style_pattern *pattern = plan_pattern(w->p, w->part, bar, w->lower);
        if (bar->mode == BAR_SILENT || (bar->mode == BAR_PLAY && !pattern)) {
            writer_stop(w, bar->start_s, 1);
            b.span = -1;
            continue;
        }
        if (bar->mode == BAR_PLAY) {
            bass_bar(&b, bar, pattern);
            continue;
        }
        for (int k = 0; k < bar->n_beats && (bar->mode != BAR_END || k == 0); k++) {
            double t = w->p->beat[bar->first_beat + k];
            int span = plan_span_at(w->p, t + 0.03);
            if (span < 0 || plan_room_end(w->p, t) <= 0 || (k > 0 && span == b.span))
                continue;
            writer_stop(w, t - 0.01, 1);
            b.pitch = bass_pitch(&b, 'R', span, bar->first_beat + k, k);
            writer_start(w, t, b.pitch, plan_velocity(w->p, w->part, bar, 7, &w->rng));
        }
    }
    w->n_open = 0;
}
