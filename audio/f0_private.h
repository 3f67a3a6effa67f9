/* The two halves of audio/f0.h: candidates of a frame (f0_yin.c), and the path through them (f0_path.c). */
#ifndef BL_AUDIO_F0_PRIVATE_H
#define BL_AUDIO_F0_PRIVATE_H

#include "base/error.h"

#include <stdint.h>

enum {
    AUDIO_F0_KEPT = 12,  /* candidates of a frame that go on to the path search */
    AUDIO_F0_NOTES = 128 /* MIDI                                                */
};

typedef struct audio_f0_candidates {
    int   n;
    int   above; /* a short period repeats as well as any in the range: the pitch lies above it */
    float hz[AUDIO_F0_KEPT], probability[AUDIO_F0_KEPT];
} audio_f0_candidates;

/* Dips of the cumulative mean normalised difference, with their probabilities. A yin holds scratch: one per thread. */
typedef struct audio_yin audio_yin;
audio_yin *audio_yin_new(double sample_rate, double fmin_hz, double fmax_hz, bl_error *err);
void       audio_yin_free(audio_yin *yin);
int        audio_yin_span(const audio_yin *yin);   /* samples a frame takes, from the first one on ...          */
int        audio_yin_before(const audio_yin *yin); /* ... which lies so many before the frame's centre          */
float     *audio_yin_frame(audio_yin *yin);        /* [span] to be filled before a run                          */
void       audio_yin_run(audio_yin *yin, audio_f0_candidates *out);

/* The mean of two looks at a frame, to the first: pitches that both found get the sum of their halves. `above` stays. */
void audio_f0_agree(audio_f0_candidates *first, const audio_f0_candidates *second);

/* Viterbi over pitches, voiced and unvoiced; goes on from piece to piece. */
typedef struct audio_f0_path audio_f0_path;
audio_f0_path *audio_f0_path_new(double fmin_hz, double fmax_hz, double hop_s, int64_t longest, bl_error *err);
void           audio_f0_path_free(audio_f0_path *path);
/* The best path through `n` frames (at most `longest`): midi [n] the pitch, voiced [n] whether it is heard. Frames without
 * candidates are silent. likely: NULL, or [AUDIO_F0_NOTES] what the candidates at each note are weighted with. */
void audio_f0_path_run(audio_f0_path *path, const audio_f0_candidates *frames, int64_t n, const double *likely, float *midi,
                       unsigned char *voiced);
int  audio_f0_note(double hz); /* the nearest MIDI note */

#endif
