/* Makes another recording of a tone: the same note in another room, through another microphone.
 *
 * Drawn at random, each with a probability of its own: playing speed (a slightly larger or smaller instrument, at most a
 * semitone), tilt and three bells of an equaliser, a low pass (telephone to full band), a high pass, a room (exponentially
 * decaying noise, 0.1 to 1.2 s), saturation, a held note let go early, noise from white to brown at 25 to 60 dB.
 * A classifier that learns from such copies beside the tones hears the instrument rather than the studio.
 *
 * Shapes   x [n_samples] at sample_rate; out [BLOCKS_TONE_AUGMENT_MAX], its first n samples are set and n is returned: at least
 *          n_samples/2, at most n_samples * 1.1 + half a second of room, and never more than the room of out.
 * Memory   blocks_tone_augmenter_new returns a plan; release with _free (NULL allowed). x and out must not overlap.
 * Threads  A plan holds scratch: one per thread.
 * Random   All from rng: the same seed, the same bits.
 * Tested   tests/blocks/test_tone_augment.c
 */
#ifndef BL_BLOCKS_TONE_AUGMENT_H
#define BL_BLOCKS_TONE_AUGMENT_H

#include "base/error.h"
#include "base/rng.h"

#include <stdint.h>

enum { BLOCKS_TONE_AUGMENT_MAX = 48000 };

typedef struct blocks_tone_augmenter blocks_tone_augmenter;

blocks_tone_augmenter *blocks_tone_augmenter_new(bl_error *err);
void                   blocks_tone_augmenter_free(blocks_tone_augmenter *a);
int64_t                blocks_tone_augmenter_run(blocks_tone_augmenter *a, const float *x, int64_t n_samples, int sample_rate,
                                                 bl_rng *rng, float *out);

#endif
