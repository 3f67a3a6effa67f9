/* How much sounds beside one voice: the peaks of a spectrum that no single harmonic series explains.
 *
 * In every frame of audio/tonal.h that sounds, the fundamental is looked for whose twelve harmonics hold most of the peaks; `share` is the
 * median over the frames of what they leave over. A single voice or instrument leaves little, whatever noise lies under it (rendered
 * voices 0.00-0.14, singers 0.00-0.28, with noise at 0 dB below 0.2); voices over a band leave 0.18-0.48. Much reverberation sounds like
 * several: 0.3 and more at 1 s behind quick notes. `low` is the mean strength of the strongest partial below C3: 0.5-1.4 of voices, 1.0-3.3
 * of bands.
 *
 * Errors   None: of silence both are 0.
 * Threads  Any.
 * Tested   tests/audio/test_polyphony.c
 */
#ifndef BL_AUDIO_POLYPHONY_H
#define BL_AUDIO_POLYPHONY_H

#include "audio/tonal.h"

typedef struct audio_polyphony {
    float share, low;
} audio_polyphony;

/* BL_ENOMEM. */
bl_status audio_polyphony_of(const audio_tonal *tonal, audio_polyphony *out, bl_error *err);

#endif
