#include "music/pedal.h"

#include <math.h>
#include <stdlib.h>

enum { CC_PEDAL = 64, DOWN = 64 };

typedef struct press { double down_s, up_s; } press;

/* When the pedal of a track's channel is down: malloc'ed [*n], NULL without memory. */
static press *presses_of(const music_score *s, int track, int *n)
{
    const int channel = s->tracks[track].channel;
    int most = 1, down = 0;
    *n = 0;
    for (int t = 0; t < s->n_tracks; t++)
        most += s->tracks[t].n_controls;
    press *list = malloc((size_t)most * sizeof *list);
    for (int t = 0; list && t < s->n_tracks; t++) {
        if (channel ? s->tracks[t].channel != channel : t != track)
            continue; /* a channel's messages all stand in one track, in order */
        for (int i = 0; i < s->tracks[t].n_controls; i++) {
            const music_control *c = &s->tracks[t].controls[i];
            if (c->kind != MUSIC_CONTROLLER || c->a != CC_PEDAL)
                continue;
            if (c->b >= DOWN && !down)
                list[(*n)++] = (press){ c->time_s, HUGE_VAL };
            else if (c->b < DOWN && down)
                list[*n - 1].up_s = c->time_s;
            down = c->b >= DOWN;
        }
    }
    return list;
}

static void hold(music_track *t, const press *list, int n, double end_s)
{
    double next_s[128]; /* the next onset of each pitch */
    for (int p = 0; p < 128; p++)
        next_s[p] = HUGE_VAL;
    for (int i = t->n_notes - 1; i >= 0; i--) {
        music_note *note = &t->notes[i];
        const int pitch = note->pitch & 127;
        int low = 0, high = n; /* the last press that began before the note ended */
        while (low < high) {
            const int mid = (low + high) / 2;
            if (list[mid].down_s < note->offset_s)
                low = mid + 1;
            else
                high = mid;
        }
        if (low > 0 && list[low - 1].up_s > note->offset_s) {
            const double until = fmin(fmin(list[low - 1].up_s, next_s[pitch]), end_s);
            note->offset_s = fmax(note->offset_s, until);
        }
        next_s[pitch] = note->onset_s;
    }
    music_track_sort(t);
}

bl_status music_score_press_pedal(music_score *s, bl_error *err)
{
    const double end_s = music_score_end_s(s);
    for (int t = 0; t < s->n_tracks; t++) {
        int n = 0;
        if (s->tracks[t].is_drums)
            continue;
        press *list = presses_of(s, t, &n);
        if (!list)
            return bl_fail(err, BL_ENOMEM, "no memory for the pedal");
        if (n)
            hold(&s->tracks[t], list, n, end_s);
        free(list);
    }
    return BL_OK;
}
