#include "music/arrange_private.h"

#include <math.h>
#include <stdlib.h>

static const double min_length_s = 0.06, min_rest_s = 0.02, grid_slack_s = 0.028;
/* Two strokes nearer than this are one blur to a listener, and to anything that looks for onsets. */
static const double stroke_s = 0.05;
/* Drums speak and die away faster. */
static const double min_drum_gap_s = 0.06;

/* Moves an onset to within the slack of the nearest place where the style has sixteenths (swung as it swings) or triplets. */
static double to_grid(const plan *p, double t)
{
    const int beat = (int)floor(plan_position(p, t));
    const int low = beat < 0 ? 0 : beat > p->n_beats - 2 ? p->n_beats - 2 : beat;
    double best = t, distance = 1e9;
    for (int i = 0; i < 7; i++) {
        const double fraction = i < 4 ? plan_swing(p, i, 4) : i < 6 ? (i - 3) / 3.0 : 1;
        double g = p->beat[low] + fraction * (p->beat[low + 1] - p->beat[low]);
        if (fabs(g - t) < distance) {
            distance = fabs(g - t);
            best = g;
        }
    }
    return distance <= grid_slack_s ? t : best + (t > best ? grid_slack_s : -grid_slack_s);
}

/* End of a note so that it does not ring into a chord it has no place in. */
static double clean_end(const plan *p, const music_note *n)
{
    int first = plan_span_at(p, n->onset_s + 0.03);
    for (int i = first < 0 ? 0 : first + 1; i < p->n_spans && p->spans[i].start_s < n->offset_s; i++)
        if (p->spans[i].start_s > n->onset_s + 0.03 && !(p->spans[i].classes >> (n->pitch % 12) & 1))
            return p->spans[i].start_s;
    return n->offset_s;
}

/* Strokes (notes within stroke_s of their first) that follow too soon: the weaker goes. Returns the new count. */
static int thin_out(music_note *n, int count, double min_stroke_gap_s)
{
    int kept = 0, group = -1; /* start of the last kept stroke in the compacted part */
    for (int i = 0; i < count;) {
        int end = i, loud = 0;
        while (end < count && n[end].onset_s - n[i].onset_s <= stroke_s) {
            loud = n[end].velocity > loud ? n[end].velocity : loud;
            end++;
        }
        int drop = 0;
        if (group >= 0 && n[i].onset_s - n[group].onset_s < min_stroke_gap_s) {
            int before = 0;
            for (int k = group; k < kept; k++)
                before = n[k].velocity > before ? n[k].velocity : before;
            if (before >= loud)
                drop = 1;
            else
                kept = group; /* the earlier one was the weaker */
        }
        if (!drop) {
            group = kept;
            while (i < end)
                n[kept++] = n[i++];
        }
        i = end;
    }
    return kept;
}

static int compact(music_note *n, int count)
{
    int kept = 0;
    for (int i = 0; i < count; i++)
        if (n[i].velocity > 0)
            n[kept++] = n[i];
    return kept;
}

/* Ends earlier notes of the same pitch, and as many others as the polyphony demands; what gets too short goes. */
static void separate(music_note *n, int count, int polyphony)
{
    for (int i = 0; i < count; i++) {
        int sounding = 1;
        for (int k = i - 1; k >= 0 && k > i - 200; k--) {
            if (n[k].velocity == 0 || n[k].offset_s <= n[i].onset_s - min_rest_s)
                continue;
            int same = n[k].pitch == n[i].pitch, together = n[i].onset_s - n[k].onset_s <= stroke_s;
            if (!same && n[k].offset_s > n[i].onset_s)
                sounding++;
            if (same && together) { /* twice in one stroke: the later one goes */
                n[k].velocity = n[k].velocity > n[i].velocity ? n[k].velocity : n[i].velocity;
                n[k].offset_s = fmax(n[k].offset_s, n[i].offset_s);
                n[i].velocity = 0;
                break;
            }
            if (same)
                n[k].offset_s = n[i].onset_s - min_rest_s;
            else if (sounding > polyphony) {
                if (together)
                    n[k].velocity = 0;
                else
                    n[k].offset_s = fmin(n[k].offset_s, n[i].onset_s - 0.005);
                sounding--;
            }
            if (n[k].offset_s - n[k].onset_s < min_length_s - 1e-9)
                n[k].velocity = 0;
        }
    }
}

void arrange_finish(const plan *p, const style_part *part, music_track *track)
{
    const music_instrument *in = part->instrument;
    int drums = part->role == STYLE_DRUMS, polyphony = in->polyphony;
    music_note *n = track->notes;
    for (int i = 0; i < track->n_notes; i++) {
        n[i].onset_s = to_grid(p, fmax(n[i].onset_s, p->beat[0]));
        double room = plan_room_end(p, n[i].onset_s);
        if (room <= 0) { /* pushed across an edge: inside the interval again, when the grid allows */
            n[i].velocity = 0;
            continue;
        }
        n[i].offset_s = fmin(n[i].offset_s, room);
        if (!drums) {
            int at = plan_span_at(p, n[i].onset_s), next = plan_span_at(p, n[i].onset_s + 0.03);
            /* A little early is early enough for the clock to say the chord before: a chord's own tone does not come before it. */
            if (at >= 0 && next == at + 1 && !(p->spans[at].classes >> (n[i].pitch % 12) & 1))
                n[i].onset_s = p->spans[next].start_s;
            n[i].offset_s = clean_end(p, &n[i]);
        }
        if (n[i].offset_s - n[i].onset_s < min_length_s)
            n[i].offset_s = n[i].onset_s + min_length_s <= room ? n[i].onset_s + min_length_s : n[i].offset_s;
        if (n[i].offset_s - n[i].onset_s < min_length_s - 1e-9)
            n[i].velocity = 0;
    }
    track->n_notes = compact(n, track->n_notes);
    music_track_sort(track);
    track->n_notes = thin_out(n, track->n_notes, drums ? min_drum_gap_s : p->style->stroke_gap_s);
    separate(n, track->n_notes, polyphony);
    track->n_notes = compact(n, track->n_notes);
    if (drums)
        return;
    arrange_passing(p, part, n, track->n_notes);
    for (int i = 0; i < track->n_notes; i++)
        n[i].offset_s = fmax(n[i].onset_s + min_length_s, clean_end(p, &n[i]));
    music_track_sort(track);
    separate(n, track->n_notes, polyphony);
    track->n_notes = compact(n, track->n_notes);
}
