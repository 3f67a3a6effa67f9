/* The checksum of a checkpoint: FNV-1a over all bytes of the file, kept in the root attribute `checksum` as "fnv1a64:"
 * and 16 hex digits. The digits themselves count as '0'. Checked before HDF5 sees the file.
 *
 * Errors   _check: BL_EIO missing or unreadable; BL_EFORMAT empty, not HDF5, truncated, no checksum, another checksum.
 */
#ifndef BL_NN_CHECKPOINT_SUM_H
#define BL_NN_CHECKPOINT_SUM_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { NN_CHECKPOINT_SUM_LENGTH = 24 };

/* What the attribute holds until the file is stamped. */
extern const char nn_checkpoint_sum_blank[];

/* Writes the digits into the image of a file; 0 when it has no such attribute. */
int nn_checkpoint_sum_stamp(unsigned char *bytes, size_t n_bytes);

/* Reads the whole file once; n_bytes is its size. */
bl_status nn_checkpoint_sum_check(const char *path, int64_t *n_bytes, bl_error *err);

#endif
