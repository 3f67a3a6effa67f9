/* The part of train_wavegan that trains the published WaveGAN: [synthesizer] kind = wavegan. Waves from noise, learned from
 * slices of all recordings of the dataset folder, without earlier models.
 *
 * Files    OUT/wavegan_unconditional.h5 with .csv and _loss.png beside it, OUT/export/wavegan_unconditional.h5 (the
 *          generator alone), OUT/preview/unconditional_NNNNNN.wav and .png (always the same noise).
 * Errors   What train_loop_run and blocks/wavegan.h say; an unknown key of the config.
 */
#ifndef BL_TRAIN_UNCONDITIONAL_H
#define BL_TRAIN_UNCONDITIONAL_H

#include "train/options.h"

/* Returns what main returns; messages are on stderr by then. */
int train_unconditional(const train_options *opt);

#endif
