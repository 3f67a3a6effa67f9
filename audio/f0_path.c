#include "audio/f0_private.h"

#include "audio/f0.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BINS_PER_SEMITONE = 5 }; /* 20 cents; the reported pitch is refined beyond that */

/* How often a voice starts or stops, per frame of 10 ms. */
static const double SWITCH = 0.01;
/* How much more the silent states weigh than in the publication, which hears voice in every breath. */
static const double SILENCE_WEIGHT = 3.0;
/* How much the candidates attract the path where it is silent, so that the guess there is one of them. */
static const double UNHEARD_PULL = 2.0;
/* Fastest glide the path may take, octaves per second. */
static const double MAX_GLIDE = 36.0;
static const double TINY = 1e-12;

/* States: bins 0 .. bins-1 voiced, bins .. 2*bins-1 the same pitches unheard. */
struct audio_f0_path {
    int      bins, reach;
    double   midi_min;
    float   *jump;        /* [reach + 1] log probability of a move by so many bins                         */
    float   *now, *next;  /* [2*bins] log scores, carried from piece to piece; the best one is 0           */
    float   *padded;      /* [reach + bins + reach] the better of staying and switching, walls at the ends */
    float   *seen;        /* [2*bins] log probability of what was heard                                    */
    int32_t *arg;         /* [bins] */
    unsigned char  *switched; /* [bins] */
    unsigned short *from;     /* [longest, 2*bins] */
};

void audio_f0_path_free(audio_f0_path *s)
{
    if (!s)
        return;
    free(s->jump), free(s->now), free(s->next), free(s->padded), free(s->seen), free(s->arg), free(s->switched), free(s->from);
    free(s);
}

audio_f0_path *audio_f0_path_new(double fmin_hz, double fmax_hz, double hop_s, int64_t longest, bl_error *err)
{
    audio_f0_path *s = calloc(1, sizeof *s);
    if (!s)
        goto fail;
    s->midi_min = audio_hz_to_midi(fmin_hz);
    s->bins = (int)ceil((audio_hz_to_midi(fmax_hz) - s->midi_min) * BINS_PER_SEMITONE) + 1;
    s->reach = (int)ceil(MAX_GLIDE * 12 * BINS_PER_SEMITONE * hop_s / 2);
    const size_t bins = (size_t)s->bins, reach = (size_t)s->reach;
    s->jump = malloc(sizeof(float) * (reach + 1));
    s->now = calloc(2 * bins, sizeof(float)), s->next = calloc(2 * bins, sizeof(float));
    s->padded = malloc(sizeof(float) * (bins + 2 * reach));
    s->seen = malloc(sizeof(float) * 2 * bins), s->arg = malloc(sizeof(int32_t) * bins), s->switched = malloc(bins);
    s->from = malloc(sizeof *s->from * (size_t)longest * 2 * bins);
    if (!s->jump || !s->now || !s->next || !s->padded || !s->seen || !s->arg || !s->switched || !s->from)
        goto fail;
    double total = 0;
    for (int i = 0; i <= s->reach; i++)
        total += (i ? 2.0 : 1.0) * (s->reach + 1 - i) / (s->reach + 1);
    for (int i = 0; i <= s->reach; i++)
        s->jump[i] = (float)log((double)(s->reach + 1 - i) / (s->reach + 1) / total);
    for (int i = 0; i < s->reach; i++)
        s->padded[i] = s->padded[s->reach + s->bins + i] = -INFINITY;
    return s;
fail:
    audio_f0_path_free(s);
    bl_fail(err, BL_ENOMEM, "f0: no memory for %lld frames", (long long)longest);
    return NULL;
}

/* The best way into each pitch of one kind of states: top and s->arg [bins]. */
static void best_moves(audio_f0_path *s, const float *same, const float *other, float *restrict top)
{
    const int      bins = s->bins, reach = s->reach;
    const float    stay = (float)log(1 - SWITCH), turn = (float)log(SWITCH);
    float *restrict base = s->padded + reach;
    int32_t *restrict arg = s->arg;
    for (int k = 0; k < bins; k++) {
        const float a = same[k] + stay, b = other[k] + turn;
        base[k] = a >= b ? a : b;
        s->switched[k] = a < b;
    }
    for (int i = 0; i < bins; i++)
        top[i] = -INFINITY;
    for (int d = -reach; d <= reach; d++) { /* from low to high: of equals the lowest stays */
        const float  cost = s->jump[d < 0 ? -d : d];
        const float *moved = s->padded + reach + d;
        for (int i = 0; i < bins; i++) {
            const float score = moved[i] + cost;
            arg[i] = score > top[i] ? i + d : arg[i];
            top[i] = score > top[i] ? score : top[i];
        }
    }
}

int audio_f0_note(double hz)
{
    const double midi = audio_hz_to_midi(hz);
    return midi < 0 ? 0 : midi > AUDIO_F0_NOTES - 1 ? AUDIO_F0_NOTES - 1 : (int)lround(midi);
}

/* One frame forward: from [2*bins] tells where each state's best way came from. */
static void advance(audio_f0_path *s, const audio_f0_candidates *frame, const double *likely, unsigned short *from)
{
    const int    bins = s->bins;
    const float  unlikely = (float)log(TINY);
    int          heard[AUDIO_F0_KEPT], n = 0; /* bins with a candidate */
    double       amount[AUDIO_F0_KEPT] = { 0 }, sum = 0;

    for (int j = 0; j < frame->n; j++) {
        const int bin = (int)lround((audio_hz_to_midi((double)frame->hz[j]) - s->midi_min) * BINS_PER_SEMITONE);
        if (bin < 0 || bin >= bins)
            continue;
        int at = 0;
        while (at < n && heard[at] != bin)
            at++;
        n += at == n;
        heard[at] = bin;
        const double probability = (double)frame->probability[j] * (likely ? likely[audio_f0_note((double)frame->hz[j])] : 1);
        amount[at] += probability;
        sum += probability;
    }
    const float silent = (float)log(fmax(TINY, SILENCE_WEIGHT * (1 - fmin(sum, 1)) / bins));
    for (int i = 0; i < bins; i++) {
        s->seen[i] = unlikely;
        s->seen[bins + i] = silent;
    }
    for (int j = 0; j < n; j++) {
        s->seen[heard[j]] = (float)log(fmax(TINY, amount[j]));
        s->seen[bins + heard[j]] = silent + (float)log(1 + UNHEARD_PULL * amount[j] / fmax(TINY, sum));
    }

    float best = -INFINITY;
    for (int v = 0; v < 2; v++) {
        float *next = s->next + v * bins;
        best_moves(s, s->now + v * bins, s->now + (1 - v) * bins, next);
        for (int i = 0; i < bins; i++) {
            next[i] += s->seen[v * bins + i];
            best = next[i] > best ? next[i] : best;
            from[v * bins + i] = (unsigned short)((s->switched[s->arg[i]] ? 1 - v : v) * bins + s->arg[i]);
        }
    }
    for (int i = 0; i < 2 * bins; i++)
        s->next[i] -= best;
    float *swap = s->now;
    s->now = s->next, s->next = swap;
}

void audio_f0_path_run(audio_f0_path *s, const audio_f0_candidates *frames, int64_t n, const double *likely, float *midi,
                       unsigned char *voiced)
{
    const int states = 2 * s->bins;
    for (int64_t t = 0; t < n; t++)
        advance(s, &frames[t], likely, s->from + t * states);
    int end = 0;
    for (int i = 1; i < states; i++)
        if (s->now[i] > s->now[end])
            end = i;
    for (int64_t t = n - 1; t >= 0; t--) {
        voiced[t] = end < s->bins;
        midi[t] = (float)(s->midi_min + (double)(end % s->bins) / BINS_PER_SEMITONE);
        end = s->from[t * states + end];
    }
}
