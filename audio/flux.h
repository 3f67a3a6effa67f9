/* Spectral flux by frequency band: how much new energy begins at each moment.
 *
 *     flux[t,b] = sum over filters f of band b of max(0, L[t,f] - max(L[t-2, f-1 .. f+1]))
 *     L[t,f] = log10(1 + 100 * magnitude / loud level), triangular filters, 24 an octave
 *
 * The maximum over neighbouring filters keeps vibrato from looking like onsets.
 *
 * Shapes   x [n_samples]; value [N_BANDS][n_frames]
 * Units    frame t is centred at t * hop_s seconds (hop_s = 0.010); values relative to the recording,
 *          divided by the 95th percentile of the sum, so about 0..3
 * Errors   BL_EARG: sample_rate below 4000, n_samples < 1; BL_ENOMEM
 * Memory   audio_flux_run fills *out; release with audio_flux_free (zeroed struct allowed)
 * Source   Bock & Widmer, "Maximum filter vibrato suppression for onset detection", DAFx 2013
 * Tested   tests/audio/test_rhythm.c
 */
#ifndef BL_AUDIO_FLUX_H
#define BL_AUDIO_FLUX_H

#include "base/error.h"

#include <stdint.h>

/* Below 150 Hz (kick, bass), to 2 kHz (voices, snare, chords), to 6 kHz, above (cymbals, consonants). */
enum { AUDIO_FLUX_LOW, AUDIO_FLUX_MID, AUDIO_FLUX_HIGH, AUDIO_FLUX_AIR, AUDIO_FLUX_BANDS };

typedef struct audio_flux {
    int64_t n_frames;
    double  hop_s;
    float  *band[AUDIO_FLUX_BANDS]; /* each [n_frames] */
    float  *sum;                    /* [n_frames]      */
} audio_flux;

bl_status audio_flux_run(const float *x, int64_t n_samples, int sample_rate, audio_flux *out, bl_error *err);
void      audio_flux_free(audio_flux *flux);

#endif
