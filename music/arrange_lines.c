#include "music/arrange_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct line_player {
    writer *w;
    int     pitch, low, high; /* last pitch; the register in use               */
    int     target;           /* where an approach note leads, 0: nowhere      */
} line_player;

/* Tones at home in a line: the chord's, and in a blues the blues scale's that do not stand a semitone beside one of them. */
static unsigned home_at(const plan *p, int span)
{
    const unsigned chord = p->spans[span].classes;
    unsigned home = chord;
    for (int c = 0; c < 12; c++)
        if (p->blues_classes >> c & 1)
            home |= 1u << c;
    return home;
}

/* Tones to step on: those at home, and the key's that do not stand a semitone beside an altered chord tone. */
static unsigned scale_at(const plan *p, int span)
{
    unsigned chord = p->spans[span].classes, altered = chord & ~p->key_classes, scale = home_at(p, span);
    if (p->style->passing == STYLE_NONE || p->blues_classes)
        return scale;
    for (int c = 0; c < 12; c++)
        if (p->key_classes >> c & 1 && !(altered >> ((c + 1) % 12) & 1) && !(altered >> ((c + 11) % 12) & 1))
            scale |= 1u << c;
    return scale;
}

static int step_from(const line_player *l, int pitch, unsigned classes, int direction)
{
    for (int p = pitch + direction; p >= l->low && p <= l->high; p += direction)
        if (classes >> (p % 12) & 1)
            return p;
    return -1;
}

/* The next tone in a direction; turns round at the register's end. */
static int next_tone(const line_player *l, unsigned classes, int direction)
{
    int next = step_from(l, l->pitch, classes, direction);
    if (next < 0)
        next = step_from(l, l->pitch, classes, -direction);
    return next >= 0 ? next : l->pitch;
}

/* A step on the scale. A tone that is not at home is passed through between two that are: on weak places, when the next step arrives. */
static int scale_step(const line_player *l, int span, int direction, int strong)
{
    const unsigned home = home_at(l->w->p, span), scale = scale_at(l->w->p, span);
    const int one = step_from(l, l->pitch, scale, direction), two = one < 0 ? -1 : step_from(l, one, scale, direction);
    if (one >= 0 && (home >> (one % 12) & 1 || (!strong && two >= 0 && two - one <= 2 && one - two <= 2 && home >> (two % 12) & 1)))
        return one;
    return next_tone(l, home, direction);
}

/* Direction of the singer's last move: 1 up, -1 down, 0 none. */
static int sung_motion(const plan *p, double time_s)
{
    const music_note *now = plan_sung_at(p, time_s + 0.05);
    const music_note *before = now && now > p->sung ? now - 1 : NULL;
    if (!before || now->onset_s - before->offset_s > 0.5)
        return 0;
    return (now->pitch > before->pitch) - (now->pitch < before->pitch);
}

/* A chord tone to rest on: near the last pitch and the register's middle, third or seventh rather than root, away from
 * the singer and moving against the singer. */
static int guide_tone(line_player *l, int span, double time_s, double seconds)
{
    const plan *p = l->w->p;
    const music_chord chord = p->spans[span].chord;
    const int motion = sung_motion(p, time_s);
    int best = l->pitch;
    double best_cost = 1e9;
    for (int q = l->low; q <= l->high; q++) {
        if (!(p->spans[span].classes >> (q % 12) & 1))
            continue;
        int above = ((q - chord.root) % 12 + 12) % 12;
        double cost = 0.7 * abs(q - l->pitch) + 0.15 * fabs(q - 0.5 * (l->low + l->high));
        cost += above == 0 ? 1.5 : above == 7 ? 1 : 0;
        cost += 7 * plan_fight(p, q, time_s, time_s + seconds);
        cost += (q - l->pitch) * motion > 0 ? 1.2 : 0;
        cost += 1.5 * bl_rng_uniform(&l->w->rng);
        if (cost < best_cost) {
            best_cost = cost;
            best = q;
        }
    }
    return best;
}

/* Against the singer: a chord tone in the other direction; on from the last when the singer stays. */
static int counter_tone(line_player *l, int span, double time_s)
{
    const plan *p = l->w->p;
    int motion = sung_motion(p, time_s);
    if (!motion)
        motion = l->pitch > (l->low + l->high) / 2 ? 1 : -1; /* back to the middle */
    int q = next_tone(l, p->spans[span].classes, -motion);
    if (plan_fight(p, q, time_s, time_s + p->period_s) > 0.5)
        q = guide_tone(l, span, time_s, p->period_s);
    return q;
}

static int line_pitch(line_player *l, char symbol, int span, double time_s, int strong)
{
    const plan *p = l->w->p;
    int direction = symbol == 'u' || symbol == 'U' ? 1 : -1;
    const int target = l->target;
    l->target = 0;
    if (target && p->spans[span].classes >> (target % 12) & 1)
        return target;
    switch (symbol) {
    case 'r':
        if (home_at(p, span) >> (l->pitch % 12) & 1)
            return l->pitch;
        return guide_tone(l, span, time_s, p->period_s);
    case 'c': case 'h':
        return counter_tone(l, span, time_s);
    case '8':
        return l->pitch + 12 <= l->high ? l->pitch + 12 : l->pitch - 12 >= l->low ? l->pitch - 12 : l->pitch;
    case 'a': /* a semitone below a chord tone nearby, when such leading notes are the style's; else that tone */
        direction = next_tone(l, p->spans[span].classes, bl_rng_uniform(&l->w->rng) < 0.5 ? 1 : -1);
        if (p->style->passing != STYLE_CHROMATIC || direction - 1 < l->low)
            return direction;
        l->target = direction;
        return direction - 1;
    case 'u': case 'd':
        return scale_step(l, span, direction, strong);
    case 'U': case 'D':
        return next_tone(l, p->spans[span].classes, direction);
    default:
        return guide_tone(l, span, time_s, 2 * p->period_s);
    }
}

/* While the singer moves, an answering voice holds: is the note under way, and does it last? */
static int singer_holds(const plan *p, double time_s)
{
    const music_note *n = plan_sung_at(p, time_s + 0.05);
    return !n || (time_s - n->onset_s > 0.3 * p->period_s && n->offset_s - time_s > 0.4 * p->period_s);
}

static void play_cell(line_player *l, char symbol, const style_pattern *pattern, int cell, int beat, int step, double position,
                      const plan_bar *bar)
{
    writer *w = l->w;
    double t = plan_time(w->p, position), on = t + writer_jitter(w);
    int span = plan_span_at(w->p, t + 0.03);
    if (symbol == '.' || (symbol == 'h' && !singer_holds(w->p, t)))
        return;
    writer_stop(w, fmin(t, on) - 0.01, pattern->gate);
    if (symbol == '_' || span < 0 || plan_room_end(w->p, t) <= 0)
        return;
    l->pitch = line_pitch(l, symbol, span, t, step == 0 && pattern->steps > 1);
    writer_start(w, on, l->pitch, plan_velocity(w->p, w->part, bar, plan_accent(pattern, cell, beat, step), &w->rng));
}

static const plan_bar *bar_at(const plan *p, double position)
{
    for (int i = p->n_bars - 1; i >= 0; i--)
        if (p->bars[i].first_beat <= position + 1e-9)
            return &p->bars[i];
    return NULL;
}

/* Phrases in the gaps that are this part's: as long as the gap allows, with breath between two of them. */
void arrange_fills(writer *w)
{
    const plan *p = w->p;
    const style_part *part = w->part;
    line_player l = { .w = w, .low = part->lowest, .high = part->highest };
    if (part->role == STYLE_CHORDS && part->highest - 16 > part->lowest) /* chord players fill on their upper strings or keys */
        l.low = part->highest - 16;
    l.pitch = (l.low + l.high) / 2;
    for (int g = 0; g < p->n_gaps && !w->failed; g++) {
        if (!gap_is_own(w, g))
            continue;
        double at = p->gaps[g].start, end = p->gaps[g].end;
        while (end - at >= 1) {
            const plan_bar *bar = bar_at(p, at);
            const style_pattern *lick = &p->style->patterns[part->fills.pattern[bl_rng_below(&w->rng, part->fills.n)]];
            int cells = lick->beats * lick->bars * lick->steps;
            int room = (int)floor((end - at) * lick->steps + 1e-6), n = cells < room ? cells : room;
            /* Licks begin on their beat: at a whole beat, or half a beat for even grids. */
            double start = lick->steps % 2 ? ceil(at - 1e-9) : at;
            if (!bar)
                break;
            for (int k = 0; k < n; k++) {
                int ahead = (int)lround((start - floor(start)) * lick->steps) + k; /* steps from floor(start) */
                double position = floor(start) + ahead / lick->steps + plan_swing(p, ahead % lick->steps, lick->steps);
                const plan_bar *now = bar_at(p, position);
                if (now && now->mode == BAR_PLAY && position < end)
                    play_cell(&l, lick->rows[0].cells[k], lick, k, 1, k % lick->steps, position, now);
            }
            /* The last tone may ring a little into the breath. */
            double over = plan_time(p, fmin(end, start + (double)n / lick->steps + 0.5));
            writer_stop(w, over, 0.95);
            at = ceil(start + (double)n / lick->steps + 1 + (double)bl_rng_below(&w->rng, 2));
        }
    }
    w->n_open = 0;
}

static void support_bar(line_player *l, const plan_bar *bar, const style_pattern *pattern)
{
    writer *w = l->w;
    const plan *p = w->p;
    for (int b = 0; b < bar->n_beats; b++)
        for (int s = 0; s < pattern->steps; s++) {
            double position = bar->first_beat + b + plan_swing(p, s, pattern->steps);
            int cell = plan_cell(p, pattern, bar, b, s);
            if (writer_in_own_gap(w, position) || (bar->stop && b + s)) {
                writer_stop(w, plan_time(p, position), 0.95);
                continue;
            }
            char symbol = pattern->rows[0].cells[cell];
            /* A held tone that the new chord does not have gives way to one it has. */
            if (symbol == '.' && s == 0 && w->n_open) {
                int span = plan_span_at(p, p->beat[bar->first_beat + b] + 0.03);
                if (span >= 0 && !(p->spans[span].classes >> (l->pitch % 12) & 1))
                    symbol = 'G';
            }
            play_cell(l, symbol, pattern, cell, b, s, position, bar);
        }
}

/* What a melodic instrument plays while somebody sings, or another one fills. */
static void support(line_player *l)
{
    static const style_pattern held = { .gate = 0.97, .steps = 1, .beats = 1, .bars = 1 };
    writer *w = l->w;
    const plan *p = w->p;
    for (int i = 0; i < p->n_bars && !w->failed; i++) {
        const plan_bar *bar = &p->bars[i];
        const style_pattern *pattern = bar->mode == BAR_PLAY ? writer_pattern(w, bar) : NULL;
        if (bar->mode == BAR_SILENT || (bar->mode == BAR_PLAY && !pattern)) {
            writer_stop(w, bar->start_s, 0.95);
            continue;
        }
        if (bar->mode == BAR_PLAY) {
            support_bar(l, bar, pattern);
            continue;
        }
        for (int b = 0; b < (bar->mode == BAR_END ? 1 : bar->n_beats); b++) {
            int span = plan_span_at(p, p->beat[bar->first_beat + b] + 0.03);
            if (b == 0 || span != plan_span_at(p, p->beat[bar->first_beat + b - 1] + 0.03))
                play_cell(l, 'G', &held, 0, 0, 0, bar->first_beat + b, bar);
        }
        if (bar->mode == BAR_END && p->cut_end)
            writer_stop(w, plan_time(p, bar->first_beat + 0.5), 1);
    }
    w->n_open = 0;
}

void arrange_line(writer *w)
{
    line_player l = { .w = w, .low = w->part->lowest, .high = w->part->highest };
    l.pitch = (l.low + l.high) / 2;
    int playing = 0;
    w->everywhere = 0; /* the fills may be enough */
    support(&l);
    arrange_fills(w);
    for (int i = 0; i < w->p->n_bars; i++)
        playing += w->p->bars[i].mode == BAR_PLAY;
    /* Asked for, so heard: an instrument that its level and the singer left (almost) nothing supports throughout. */
    if (!w->failed && w->track->n_notes < 1 + playing / 3) {
        w->track->n_notes = 0;
        w->everywhere = 1;
        l.pitch = (l.low + l.high) / 2;
        support(&l);
        arrange_fills(w);
    }
}
