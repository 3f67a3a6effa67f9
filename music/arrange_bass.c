#include "music/arrange_private.h"

#include <math.h>
#include <stdlib.h>

/* Next span with another root after this one, or -1. */
static int next_root(const plan *p, int span)
{
    for (int i = span + 1; i < p->n_spans; i++)
        if (p->spans[i].chord.root >= 0 && p->spans[i].chord.bass != p->spans[span].chord.bass)
            return i;
    return -1;
}

static int is_tone(const plan *p, int span, int pitch)
{
    return p->spans[span].classes >> (((pitch % 12) + 12) % 12) & 1;
}

/* A tone to walk on: the chord's, or the key's unless it stands a semitone beside one that the chord has altered (G beside
 * E7's G sharp). */
static int is_allowed(const plan *p, int span, int pitch)
{
    int class = ((pitch % 12) + 12) % 12;
    unsigned chord = p->spans[span].classes;
    if (chord >> class & 1)
        return 1;
    if (!(p->key_classes >> class & 1))
        return 0;
    return !((chord & ~p->key_classes) >> ((class + 1) % 12) & 1) && !((chord & ~p->key_classes) >> ((class + 11) % 12) & 1);
}

/* The last note before a change: a step from the target, from the side where the line comes from. */
static double approach_cost(const bass_player *b, int pitch, int target)
{
    static const double by_distance[] = { 9, 0, 0.7, 4, 4, 3, 4, 3 };
    const int d = abs(pitch - target);
    const int allowed = is_allowed(b->w->p, b->span, pitch), semitone = d == 1 && b->w->p->style->passing == STYLE_CHROMATIC;
    if (!allowed && !semitone)
        return 1e9;
    double cost = d < 8 ? by_distance[d] : 4 + 0.3 * d;
    cost += allowed ? 0 : 0.4;
    cost += (pitch - target) * (b->pitch - target) < 0 ? 0.8 : 0;
    return cost + 0.2 * abs(pitch - b->pitch);
}

/* A step towards `target`, still `steps` notes away: near the straight line, stepwise; what is no tone of the chord lies between
 * strong beats and leads on by step. */
static int walk(bass_player *b, int span, int target, int steps, int strong)
{
    writer *w = b->w;
    double line = b->pitch + (double)(target - b->pitch) / steps, best_cost = 1e9;
    int best = b->pitch;
    /* Far from arriving, the line swings out and comes back. */
    if (abs(target - b->pitch) < steps)
        line = b->pitch + (bl_rng_uniform(&w->rng) < 0.5 ? 2.5 : -2.5);
    for (int p = b->low; p <= b->high; p++) {
        const int tone = is_tone(w->p, span, p), far = abs(p - b->pitch);
        if (p == b->pitch || far > 7 || (steps == 1 && p == target))
            continue;
        if (b->foreign && (!tone || far > 2))
            continue;
        double cost = steps == 1 ? approach_cost(b, p, target) + 0.5 * bl_rng_uniform(&w->rng)
                    : is_allowed(w->p, span, p) ? fabs(p - line) + 0.15 * far + 0.8 * bl_rng_uniform(&w->rng) : 1e9;
        if (steps > 1 && !tone)
            cost += strong ? 6 : far > 2 ? 2 : 0;
        if (cost < best_cost) {
            best_cost = cost;
            best = p;
        }
    }
    return best;
}

int bass_degree(const plan *p, int span, char symbol, int root, int low, int high)
{
    const music_chord chord = p->spans[span].chord;
    const int up = symbol == '8' ? 12 : symbol == 'R' ? 0 : chord_degree(p, span, symbol == 'b' ? '5' : symbol);
    int pitch = root + up;
    if (symbol == '5' && pitch > high)
        pitch -= 12;
    if (symbol == 'b') /* the fifth below, where there is room for it */
        pitch = root + up - 12 >= low ? root + up - 12 : root + up;
    if (symbol == '8' && pitch > high)
        pitch = root - 12;
    if (chord.bass != chord.root && symbol != 'R' && symbol != '8') /* root is the bass note; count from the chord's root */
        pitch = nearest_pitch(((chord.root + up) % 12 + 12) % 12, pitch, low, high);
    return up == 0 && symbol != 'R' ? root : pitch >= low && pitch <= high ? pitch : pitch > high && pitch - 12 >= low ? pitch - 12 : root;
}

/* Where the line leads: pitch of the next root; *steps notes away when one is played per beat. */
static int next_target(const bass_player *b, int span, double position, int beat, double *until)
{
    const plan *p = b->w->p;
    const int next = next_root(p, span);
    *until = next >= 0 ? (p->spans[next].start_s - plan_time(p, position)) / p->period_s : 99;
    if (*until <= 8)
        return nearest_pitch(p->spans[next].chord.bass, b->pitch, b->low, b->high);
    *until = p->in->beats_per_bar - beat; /* nothing to go to soon: around the own root */
    return b->root;
}

static int bass_pitch(bass_player *b, char symbol, int span, double position, int beat)
{
    const plan *p = b->w->p;
    const int low = b->low, high = b->high;
    if (span != b->span) {
        int comfortable = low + 5 < high - 14 ? low + 5 : low;
        b->root = nearest_pitch(p->spans[span].chord.bass, (2 * b->root + comfortable + 4) / 3, low, high - 7 >= low + 11 ? high - 7 : high);
        b->span = span;
        if (symbol != 'R' && symbol != '8')
            return b->root; /* a new chord is always shown by its root */
    }
    if (symbol == 'r' || symbol == 'g')
        return b->pitch;
    if (symbol != 'a' && symbol != 'c' && symbol != 'w')
        return bass_degree(p, span, symbol, b->root, low, high);
    double until;
    const int target = next_target(b, span, position, beat, &until);
    if (symbol == 'w')
        return walk(b, span, target, lround(until) < 1 ? 1 : (int)lround(until), beat % 2 == 0);
    const int fifth = bass_degree(p, span, '5', b->root, low, high);
    if (until > 1.3 || target == b->root)
        return b->pitch == fifth ? b->root : fifth;
    if (symbol == 'c' && p->style->passing == STYLE_CHROMATIC) {
        const int side = b->pitch > target ? 1 : -1;
        return target + side >= low && target + side <= high ? target + side : target - side;
    }
    return walk(b, span, target, 1, 0);
}

bass_player bass_player_of(writer *w, int low, int high)
{
    return (bass_player){ .w = w, .low = low, .high = high, .span = -1, .root = low + 8, .pitch = low + 8 };
}

static void play(bass_player *b, char symbol, int span, double position, int beat, double t, int velocity)
{
    writer *w = b->w;
    b->pitch = bass_pitch(b, symbol, span, position, beat);
    b->foreign = !is_tone(w->p, span, b->pitch);
    if (writer_start(w, t, b->pitch, symbol == 'g' ? velocity * 6 / 10 : velocity) && symbol == 'g')
        writer_cut(w, t + 0.08); /* a dead note: more click than pitch */
}

void bass_player_bar(bass_player *b, const plan_bar *bar, const style_pattern *pattern)
{
    writer *w = b->w;
    const int beats = bar->stop ? 1 : bar->n_beats;
    for (int beat = 0; beat < beats; beat++)
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
            if (symbol == '_' || span < 0 || writer_in_own_gap(w, position) || plan_room_end(w->p, t) <= 0)
                continue;
            play(b, symbol, span, position, beat, on, plan_velocity(w->p, w->part, bar, plan_accent(pattern, cell, beat, s), &w->rng));
        }
    if (bar->stop)
        writer_stop(w, plan_time(w->p, bar->first_beat + 0.5), 1);
}

/* Roots under held chords. */
static void hold_bar(bass_player *b, const plan_bar *bar)
{
    writer *w = b->w;
    for (int k = 0; k < bar->n_beats && (bar->mode != BAR_END || k == 0); k++) {
        double t = w->p->beat[bar->first_beat + k];
        int span = plan_span_at(w->p, t + 0.03);
        if (span < 0 || plan_room_end(w->p, t) <= 0 || (k > 0 && span == b->span))
            continue;
        writer_stop(w, t - 0.01, 1);
        play(b, 'R', span, bar->first_beat + k, k, t, plan_velocity(w->p, w->part, bar, 7, &w->rng));
        if (bar->mode == BAR_END && w->p->cut_end)
            writer_stop(w, plan_time(w->p, bar->first_beat + 0.5), 1);
    }
}

void arrange_bass(writer *w)
{
    bass_player b = bass_player_of(w, w->part->lowest, w->part->highest);
    for (int i = 0; i < w->p->n_bars && !w->failed; i++) {
        const plan_bar *bar = &w->p->bars[i];
        const style_pattern *pattern = bar->mode == BAR_PLAY ? writer_pattern(w, bar) : NULL;
        if (bar->mode == BAR_SILENT || (bar->mode == BAR_PLAY && !pattern)) {
            writer_stop(w, bar->start_s, 1);
            b.span = -1;
        } else if (bar->mode == BAR_PLAY) {
            bass_player_bar(&b, bar, pattern);
        } else {
            hold_bar(&b, bar);
        }
    }
    w->n_open = 0;
}
