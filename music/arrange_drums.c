/* Drums: what is played (grooves, their variations, fills, crashes) becomes a list of hits on the style's grid; how it is
 * played (velocities, timing) comes from the drummer, or from chance; then the hits become notes. */
#include "music/arrange_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HAT = 42, OPEN_HAT = 46, CRASH = 49, RIDE = 51, BELL = 53, CRASH2 = 57 };

typedef struct drum_part {
    writer         *w;
    music_drum_hit *hits;
    int             n, capacity;
} drum_part;

/* An 8 has the velocity that the part has for a bar of this intensity, a ghost note of 2 less than half of it. */
static double velocity_of(writer *w, const plan_bar *bar, int accent)
{
    const double most = w->part->velocity_low + (w->part->velocity_high - w->part->velocity_low) * (0.2 + 0.8 * bar->intensity);
    return fmin(most * (0.25 + 0.75 * accent / 8) + 5 * (bl_rng_uniform(&w->rng) - 0.5), 127);
}

/* A stroke of `accent` 1..9 at a step of a beat. */
static void add_hit(drum_part *d, int bar_index, int beat, int step, int steps, int drum, int accent)
{
    writer *w = d->w;
    const plan *p = w->p;
    const plan_bar *bar = &p->bars[bar_index];
    if (d->n == d->capacity && !w->failed) {
        const int more = d->capacity ? 2 * d->capacity : 1024;
        music_drum_hit *hits = realloc(d->hits, (size_t)more * sizeof *hits);
        if (hits) {
            d->hits = hits;
            d->capacity = more;
        } else {
            bl_fail(w->err, BL_ENOMEM, "no memory for %d drum hits", more);
            w->failed = 1;
        }
    }
    if (w->failed)
        return;
    const int at = bar->first_beat + beat;
    const double place = plan_swing(p, step, steps);
    d->hits[d->n++] = (music_drum_hit){ .bar = bar_index, .n_beats = bar->n_beats, .beat = beat, .step = step, .steps = steps,
                                        .place = place, .time_s = plan_time(p, at + place),
                                        .beat_s = plan_time(p, at + 1) - plan_time(p, at), .drum = drum,
                                        .velocity = velocity_of(w, bar, accent) };
}

/* ---- what is played ---- */

/* Fits a bar: of its own meter, or of no meter in particular and not too long. */
static int fits(const style_pattern *fill, const plan_bar *bar)
{
    return fill->beats <= bar->n_beats && (fill->meter == 0 || fill->meter == bar->n_beats);
}

/* One of the style's fills, which it lists from small to big, for a size 0..2: of those made for the bar's meter if there are any. */
static const style_pattern *fill_of_size(writer *w, const plan_bar *bar, int size)
{
    const style_choice *fills = &w->part->fills;
    const style_pattern *fitting[STYLE_CHOICES];
    int n = 0;
    for (int own = 1; own >= 0 && n == 0; own--)
        for (int i = 0; i < fills->n; i++) {
            const style_pattern *f = &w->p->style->patterns[fills->pattern[i]];
            if (fits(f, bar) && (own ? f->meter != 0 : f->meter == 0))
                fitting[n++] = f;
        }
    if (n == 0)
        return NULL;
    const int from = size * n / STYLE_LEVELS, to = (size + 1) * n / STYLE_LEVELS;
    return fitting[n < STYLE_LEVELS || to <= from ? size * (n - 1) / (STYLE_LEVELS - 1) : from + (int)bl_rng_below(&w->rng, to - from)];
}

/* The fill that leads out of a bar, NULL for none. A section's last bar gets one; so does, now and then, every fourth. */
static const style_pattern *choose_fill(writer *w, int bar_index, const style_pattern *groove)
{
    const plan *p = w->p;
    const plan_bar *bar = &p->bars[bar_index];
    if (bar_index + 1 >= p->n_bars || bar->mode != BAR_PLAY)
        return NULL;
    const plan_bar *next = &p->bars[bar_index + 1];
    if (next->mode == BAR_END || (next->mode == BAR_PLAY && next->section != bar->section)) /* bigger fills into bigger sections */
        return fill_of_size(w, bar, next->mode == BAR_END ? 1 : p->sections[next->section].level);
    const int varied = groove->every[0].n + groove->every[1].n + groove->every[2].n;
    if (bar->in_section % 4 == 3 && next->mode == BAR_PLAY && bl_rng_uniform(&w->rng) < (varied ? 0.15 : 0.35))
        return fill_of_size(w, bar, 0);
    return NULL;
}

/* The groove's variation in every eighth, fourth or second bar of a section, where the style names some. */
static const style_pattern *vary(writer *w, const style_pattern *groove, const plan_bar *bar)
{
    for (int k = 2; k >= 0; k--) {
        const style_choice *c = &groove->every[k];
        if (c->n && (bar->in_section + 1) % (2 << k) == 0)
            return &w->p->style->patterns[c->pattern[bl_rng_below(&w->rng, c->n)]];
    }
    return groove;
}

static int is_cymbal_time(int drum)
{
    return drum == HAT || drum == RIDE || drum == OPEN_HAT || drum == BELL;
}

/* A groove's 1 and 2 are ornaments: one in four is left out, so that no two bars need be the same. */
static int left_out(writer *w, const style_pattern *now, const style_pattern *fill, char digit)
{
    return now != fill && digit <= '2' && bl_rng_uniform(&w->rng) < 0.25;
}

static void groove_bar(drum_part *d, int bar_index, const style_pattern *groove, const style_pattern *fill, int crash)
{
    const plan *p = d->w->p;
    const plan_bar *bar = &p->bars[bar_index];
    const int fill_from = fill ? bar->n_beats - fill->beats : bar->n_beats;
    for (int b = 0; b < bar->n_beats; b++) {
        const style_pattern *now = b >= fill_from ? fill : groove;
        for (int s = 0; s < now->steps; s++) {
            const int cell = now == fill ? (b - fill_from) * fill->steps + s : plan_cell(p, now, bar, b, s), first = b == 0 && s == 0;
            for (int r = 0; r < now->n_rows; r++) {
                const char digit = now->rows[r].cells[cell];
                if (digit != '.' && !(crash && first && is_cymbal_time(now->rows[r].drum)) && !left_out(d->w, now, fill, digit))
                    add_hit(d, bar_index, b, s, now->steps, now->rows[r].drum, digit - '0');
            }
            if (crash && first)
                add_hit(d, bar_index, b, s, now->steps, p->style->crash_drum, 8);
        }
    }
}

static void write_part(drum_part *d)
{
    writer *w = d->w;
    const plan *p = w->p;
    int filled = 0, playing = 0; /* the bar before: ended in a fill, had drums */
    for (int i = 0; i < p->n_bars && !w->failed; i++) {
        const plan_bar *bar = &p->bars[i];
        for (int k = 0; k < p->style->n_end_drums && bar->mode == BAR_END; k++)
            add_hit(d, i, 0, 0, 4, p->style->end_drums[k], 8);
        for (int k = 0; k < p->style->n_hold_drums && bar->mode == BAR_HOLD && playing; k++) /* under the held chord, once */
            add_hit(d, i, 0, 0, 4, p->style->hold_drums[k], 6);
        const style_pattern *groove = bar->mode == BAR_PLAY ? plan_pattern(p, w->part, bar, w->lower) : NULL;
        const style_pattern *fill = groove ? choose_fill(w, i, groove) : NULL;
        const int crash = p->style->crash_drum && filled && bar->in_section == 0 && p->sections[bar->section].level > 0;
        if (groove && bar->stop) /* one stroke, then silence */
            for (int k = 0; k < p->style->n_end_drums; k++)
                add_hit(d, i, 0, 0, 4, p->style->end_drums[k], 8);
        else if (groove)
            groove_bar(d, i, vary(w, groove, bar), fill, crash);
        filled = fill != NULL;
        playing = groove != NULL;
    }
}

/* ---- how it is played ---- */

/* By chance: the limbs of one drummer go together. */
static void loosen(drum_part *d)
{
    double together = 0;
    for (int i = 0; i < d->n; i++) {
        if (i == 0 || d->hits[i].time_s > d->hits[i - 1].time_s)
            together = writer_jitter(d->w) * 0.7;
        d->hits[i].late_s = together + 0.0015 * (bl_rng_uniform(&d->w->rng) - 0.5);
    }
}

/* By the drummer, as far as the style wants. Deviations keep within MUSIC_DRUM_LATE_S, small ones as they are. */
static void perform(drum_part *d)
{
    writer *w = d->w;
    const music_drummer *drummer = w->p->in->drummer;
    const double feel = w->p->style->feel, most = MUSIC_DRUM_LATE_S;
    music_drum_hit *played = malloc((size_t)d->n * sizeof *played);
    if (!played)
        bl_fail(w->err, BL_ENOMEM, "no memory for %d drum hits", d->n);
    else
        memcpy(played, d->hits, (size_t)d->n * sizeof *played);
    w->failed = !played || drummer->play(drummer->user, w->p->style->drummer, w->p->in->seed, played, d->n, w->err) != BL_OK;
    for (int i = 0; i < d->n && !w->failed; i++) {
        music_drum_hit *h = &d->hits[i];
        h->velocity += feel * (played[i].velocity - h->velocity);
        h->late_s = 0.001 * w->part->delay_ms + most * tanh(feel * played[i].late_s / most);
    }
    free(played);
}

void arrange_drums(writer *w)
{
    drum_part d = { .w = w };
    write_part(&d);
    if (w->p->in->drummer && w->p->style->feel > 0 && d.n && !w->failed)
        perform(&d);
    else
        loosen(&d);
    for (int i = 0; i < d.n && !w->failed; i++) {
        const music_drum_hit *h = &d.hits[i];
        const double t = h->time_s + h->late_s;
        /* A cymbal rings; arrange_finish ends every hit before the same drum is struck again. */
        const int rings = h->drum == CRASH || h->drum == CRASH2 || h->drum == RIDE || h->drum == OPEN_HAT;
        writer_start(w, t, h->drum, (int)lround(fmin(fmax(h->velocity, 30), 127)));
        writer_stop(w, t + (rings ? 0.5 : 0.15), 1);
    }
    free(d.hits);
    w->n_open = 0;
}
