/* The chain of models: what a training program needs from an earlier one is taken from --out, and trained first where it
 * is missing, by the program that stands beside this one; it is said which.
 *
 *     if (train_ensure("autoencoder", &opt, &err) != BL_OK) ...          // OUT/autoencoder.h5 exists now
 *     train_model_path(path, "autoencoder", &opt, &err);
 *
 * Options  The program gets the same config, dataset, --out, --set, --seed, --threads and --quiet; not --steps, which
 *          belongs to the model that was asked for.
 * Errors   BL_EIO: the program is not there, failed, or wrote nothing; BL_ESTOP: interrupted meanwhile.
 */
#ifndef BL_TRAIN_CHAIN_H
#define BL_TRAIN_CHAIN_H

#include "base/file.h"
#include "train/options.h"

/* OUT/MODEL.h5 */
bl_status train_model_path(char out[BL_PATH_MAX], const char *model, const train_options *opt, bl_error *err);
bl_status train_ensure(const char *model, const train_options *opt, bl_error *err);

#endif
