#include "music/beats.h"

#include <math.h>
#include <stdlib.h>

/* Tempo i holds from its time on; the first one from the start. */
static double bpm_at(const music_score *s, int i)
{
    return s->n_tempos ? s->tempos[i].bpm : 120;
}

double music_score_quarters(const music_score *s, double time_s)
{
    double quarters = 0, from_s = 0;
    int i = 0;
    for (; i + 1 < s->n_tempos && s->tempos[i + 1].time_s < time_s; i++) {
        quarters += (s->tempos[i + 1].time_s - from_s) * bpm_at(s, i) / 60;
        from_s = s->tempos[i + 1].time_s;
    }
    return quarters + (time_s - from_s) * bpm_at(s, i) / 60;
}

void music_beats_free(music_beats *b)
{
    free(b->time_s);
    free(b->in_bar);
    *b = (music_beats){ 0 };
}

static bl_status push(music_beats *b, double time_s, int in_bar, bl_error *err)
{
    if (b->n == MUSIC_MAX_BEATS)
        return bl_fail(err, BL_EARG, "more than %d beats", MUSIC_MAX_BEATS);
    if (b->n == 0 || (b->n >= 64 && !(b->n & (b->n - 1)))) { /* full at 64, 128, ... */
        const size_t capacity = b->n ? 2 * (size_t)b->n : 64;
        double *times = realloc(b->time_s, capacity * sizeof *times);
        b->time_s = times ? times : b->time_s;
        int *numbers = realloc(b->in_bar, capacity * sizeof *numbers);
        b->in_bar = numbers ? numbers : b->in_bar;
        if (!times || !numbers)
            return bl_fail(err, BL_ENOMEM, "no memory for %d beats", b->n + 1);
    }
    b->time_s[b->n] = time_s;
    b->in_bar[b->n++] = in_bar;
    return BL_OK;
}

bl_status music_score_beats(const music_score *s, double end_s, music_beats *beats, bl_error *err)
{
    /* Walks the tempo map once, quarter by quarter, so that long songs with many tempos cost no more than their beats. */
    double tempo_from_s = 0, tempo_from = 0, at = 0, at_s = 0;
    int tempo = 0, meter = -1, count = 1, per_bar = 4;
    double unit = 1;
    bl_status status = BL_OK;
    while (status == BL_OK) {
        while (tempo + 1 < s->n_tempos) {
            const double until = tempo_from + (s->tempos[tempo + 1].time_s - tempo_from_s) * bpm_at(s, tempo) / 60;
            if (until > at + 1e-9)
                break;
            tempo_from = until;
            tempo_from_s = s->tempos[++tempo].time_s;
        }
        at_s = tempo_from_s + (at - tempo_from) * 60 / bpm_at(s, tempo);
        while (meter + 1 < s->n_meters && s->meters[meter + 1].time_s <= at_s + 1e-6) {
            const music_meter *m = &s->meters[++meter];
            const int compound = m->denominator >= 8 && m->numerator > 3 && m->numerator % 3 == 0;
            unit = (compound ? 12.0 : 4.0) / m->denominator;
            per_bar = compound ? m->numerator / 3 : m->numerator;
            count = 1;
        }
        status = push(beats, at_s, count, err);
        if (at_s >= end_s)
            break;
        count = count >= per_bar ? 1 : count + 1;
        double next = at + unit;
        if (meter + 1 < s->n_meters) { /* a meter that starts before the next beat cuts this one short */
            const double change = music_score_quarters(s, s->meters[meter + 1].time_s);
            next = change > at + 1e-6 && change < next - 1e-6 ? change : next;
        }
        at = next;
    }
    if (status != BL_OK)
        music_beats_free(beats);
    return status;
}
