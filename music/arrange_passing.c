#include "music/arrange_private.h"

#include <math.h>
#include <stdlib.h>

/* Notes nearer than this are one stroke; onsets may lie this far from where they are meant. */
static const double stroke_s = 0.05, slack_s = 0.045;

enum { TONE_HOME, TONE_SCALE, TONE_CHROMATIC };

/* What a note is to the chord that sounds at its onset. Lines of a blues are at home on the blues scale. */
static int kind_of(const plan *p, const style_part *part, const music_note *n)
{
    const int span = plan_span_at(p, n->onset_s + 0.03);
    const unsigned chord = span >= 0 ? p->spans[span].classes : p->key_classes;
    const int class = n->pitch % 12;
    if (chord >> class & 1)
        return TONE_HOME;
    if ((part->role == STYLE_LINE || part->fills.n) && p->blues_classes >> class & 1)
        return TONE_HOME;
    return (p->key_classes | p->blues_classes) >> class & 1 ? TONE_SCALE : TONE_CHROMATIC;
}

/* The first beat after a time. */
static double next_beat(const plan *p, double time_s)
{
    const double position = floor(plan_position(p, time_s + slack_s)) + 1;
    return plan_time(p, position);
}

/* When a note that is foreign to its chord is resolved: the onset of the chord tone that it leads to by step, over others of its
 * kind; HUGE_VAL: never. resolved holds that of the notes behind it. */
static double resolution(const plan *p, const style_part *part, const music_note *notes, int n, int i, const double *resolved)
{
    const int step = kind_of(p, part, &notes[i]) == TONE_CHROMATIC ? 1 : 2;
    int next = i + 1;
    double best = HUGE_VAL;
    while (next < n && notes[next].onset_s - notes[i].onset_s <= stroke_s)
        next++;
    for (int k = next; k < n && notes[k].onset_s - notes[next].onset_s <= stroke_s; k++)
        if (abs(notes[k].pitch - notes[i].pitch) <= step && notes[k].pitch != notes[i].pitch)
            best = fmin(best, resolved[k]);
    return best;
}

/* The chord's tone nearest to a pitch, in range. */
static int nearest_home(const plan *p, const style_part *part, const music_note *n)
{
    const int span = plan_span_at(p, n->onset_s + 0.03);
    const unsigned chord = span >= 0 ? p->spans[span].classes : p->key_classes;
    for (int d = 0; d < 12; d++)
        for (int sign = -1; sign <= 1; sign += 2) {
            const int q = n->pitch + sign * d;
            if (q >= part->instrument->lowest && q <= part->instrument->highest && chord >> (q % 12) & 1)
                return q;
        }
    return n->pitch;
}

void arrange_passing(const plan *p, const style_part *part, music_note *notes, int n)
{
    double *resolved = malloc(((size_t)n + 1) * sizeof *resolved);
    for (int i = n - 1; i >= 0; i--) {
        const int kind = kind_of(p, part, &notes[i]);
        double at = kind == TONE_HOME ? notes[i].onset_s : HUGE_VAL;
        const int allowed = kind == TONE_SCALE ? p->style->passing != STYLE_NONE : p->style->passing == STYLE_CHROMATIC;
        if (kind != TONE_HOME && allowed && resolved)
            at = resolution(p, part, notes, n, i, resolved);
        if (kind != TONE_HOME && !(at <= next_beat(p, notes[i].onset_s) + slack_s)) {
            notes[i].pitch = nearest_home(p, part, &notes[i]);
            at = notes[i].onset_s;
        }
        if (resolved)
            resolved[i] = at;
    }
    free(resolved);
}
