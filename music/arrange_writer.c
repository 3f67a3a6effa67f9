#include "music/arrange_private.h"

#include <math.h>
#include <string.h>

int writer_start(writer *w, double onset_s, int pitch, int velocity)
{
    double until = plan_room_end(w->p, onset_s);
    for (int i = -1; i < w->p->in->n_intervals && until <= 0; i++) {
        double start = i < 0 ? 0 : w->p->in->intervals[i].start_s;
        if (onset_s < start && onset_s > start - 0.05 && plan_room_end(w->p, start) > 0)
            until = plan_room_end(w->p, onset_s = start);
    }
    if (w->failed || until <= 0)
        return 0;
    if (w->n_open == 16) { /* cannot happen with the styles' polyphony; then the oldest is let go */
        memmove(w->open, w->open + 1, 15 * sizeof *w->open);
        w->n_open = 15;
    }
    /* Open notes end with the song unless somebody stops them. */
    if (music_track_add(w->track, onset_s, until, pitch, velocity, w->err) != BL_OK) {
        w->failed = 1;
        return 0;
    }
    w->open[w->n_open++] = w->track->n_notes - 1;
    return 1;
}

void writer_stop(writer *w, double time_s, double gate)
{
    for (int i = 0; i < w->n_open; i++) {
        music_note *n = &w->track->notes[w->open[i]];
        n->offset_s = fmin(n->offset_s, n->onset_s + gate * (time_s - n->onset_s));
    }
    w->n_open = 0;
}

void writer_cut(writer *w, double offset_s)
{
    if (w->track->n_notes)
        w->track->notes[w->track->n_notes - 1].offset_s = fmin(w->track->notes[w->track->n_notes - 1].offset_s, offset_s);
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

void writer_look_ahead(writer *w)
{
    int bars = 0, playing = 0;
    for (int i = 0; i < w->p->n_bars; i++)
        if (w->p->bars[i].mode == BAR_PLAY) {
            bars++;
            playing += plan_pattern(w->p, w->part, &w->p->bars[i], w->lower) != NULL;
        }
    w->everywhere = 3 * playing < bars;
}

const style_pattern *writer_pattern(const writer *w, const plan_bar *bar)
{
    const style_pattern *pattern = plan_pattern(w->p, w->part, bar, w->lower);
    for (int k = 0; k < STYLE_LEVELS && !pattern && w->everywhere; k++) /* somewhere the style has something for it */
        if (w->part->level[k].n)
            pattern = &w->p->style->patterns[w->part->level[k].pattern[0]];
    return pattern;
}
