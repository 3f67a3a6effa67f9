/* Transient shaper: makes attacks louder (or softer) and leaves what sustains as it is.
 *
 *     y[n] = x[n] (1 + (10^(attack_db/20) - 1) clamp((fast/slow - 1) / 3, 0, 1))
 *
 * fast and slow are peak followers of |x| that rise in 0.5 ms and in 20 ms: where a note begins the fast one leads.
 *
 * Shapes   x [n_samples], changed in place.
 * Units    attack_db: gain of the hardest attack, dB.
 * Tested   tests/audio/test_transient.c
 */
#ifndef BL_AUDIO_TRANSIENT_H
#define BL_AUDIO_TRANSIENT_H

#include <stdint.h>

void audio_transient(float *x, int64_t n_samples, int sample_rate, double attack_db);

#endif
