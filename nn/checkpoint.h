/* Checkpoints: HDF5 files any HDF5 tool can read. A group per network, a dataset per parameter named by
 * its layer path ("generator/3/weight"), optimiser state beside it ("optimizer/generator/3/weight/m"),
 * and attributes of the root: format version, kind, the whole config text, step, seed, class names.
 * Carries a checksum over all its bytes. Written to a temporary file, synced, renamed: an interrupted write
 * never harms the last good file. The same content gives the same bytes. Layout: docs/checkpoints.md.
 *
 *     nn_checkpoint *c = nn_checkpoint_create("out/segmenter.h5", "segmenter", &err);
 *     nn_checkpoint_put(c, "kmeans/centroids", NN_F32, 2, (int64_t[]){ k, d }, centroids, &err);
 *     nn_checkpoint_put_text(c, "config", text, &err);
 *     nn_checkpoint_commit(c, &err);      // frees c, also on failure
 *
 *     nn_checkpoint *c = nn_checkpoint_open("out/segmenter.h5", "segmenter", &err);
 *     float *centroids = nn_checkpoint_get(c, "kmeans/centroids", NN_F32, 2, (int64_t[]){ -1, d }, dims, &err);
 *     nn_checkpoint_free(c);
 *
 * Errors   Every message names the file. _open: BL_EIO missing or unreadable; BL_EFORMAT not HDF5, not a
 *          backline checkpoint, another format version, checksum wrong (damaged or truncated), or another
 *          kind ("models/x.h5: expected a segmenter checkpoint, got a bilstm"). _get: BL_ESHAPE names what
 *          the file has and what was expected (-1 in dims: any size). Lengths are checked before anything
 *          is allocated. After the first failure of a create/put chain every further call does nothing,
 *          so only commit needs a look.
 * Memory   A checkpoint being written is held in memory until commit. put copies; nothing needs to live on.
 *          _get and _get_text return malloc'ed memory; release with free.
 * Threads  HDF5 is not concurrent: one thread at a time.
 * Tested   tests/nn/test_checkpoint.c, with damaged and truncated files among others.
 */
#ifndef BL_NN_CHECKPOINT_H
#define BL_NN_CHECKPOINT_H

#include "base/error.h"

#include <stdint.h>

typedef enum nn_dtype { NN_F32, NN_F64, NN_I64 } nn_dtype;
enum { NN_CHECKPOINT_RANK = 8 };
typedef struct nn_checkpoint nn_checkpoint;

nn_checkpoint *nn_checkpoint_create(const char *path, const char *kind, bl_error *err);
bl_status nn_checkpoint_put(nn_checkpoint *c, const char *name, nn_dtype type, int rank, const int64_t *dims,
                            const void *data, bl_error *err);
bl_status nn_checkpoint_put_text(nn_checkpoint *c, const char *attribute, const char *text, bl_error *err);
bl_status nn_checkpoint_put_int(nn_checkpoint *c, const char *attribute, int64_t value, bl_error *err);
bl_status nn_checkpoint_put_texts(nn_checkpoint *c, const char *attribute, const char *const *texts, int n, bl_error *err);
bl_status nn_checkpoint_commit(nn_checkpoint *c, bl_error *err);

/* kind NULL: any. */
nn_checkpoint *nn_checkpoint_open(const char *path, const char *kind, bl_error *err);
/* Any HDF5 file with numbers in it (Keras, h5py): no checksum, kind "", float16 and such read as float32, whole numbers of any
 * size as int64; datasets that are no numbers are left out. Sizes are still held against the file's, and nothing is read from
 * another file that it points to. HDF5 itself parses such a file unchecked: take it from people you trust. */
nn_checkpoint *nn_checkpoint_open_foreign(const char *path, bl_error *err);
void        nn_checkpoint_free(nn_checkpoint *c);
const char *nn_checkpoint_kind(const nn_checkpoint *c);
const char *nn_checkpoint_path(const nn_checkpoint *c);
/* Type and shape of a dataset; 0 when there is none of this name. */
int         nn_checkpoint_shape(const nn_checkpoint *c, const char *name, nn_dtype *type, int *rank,
                                int64_t dims[NN_CHECKPOINT_RANK]);
/* A dataset or an attribute of this name. */
int         nn_checkpoint_has(const nn_checkpoint *c, const char *name);
void *nn_checkpoint_get(const nn_checkpoint *c, const char *name, nn_dtype type, int rank, const int64_t *dims,
                        int64_t *got_dims, bl_error *err);
char *nn_checkpoint_get_text(const nn_checkpoint *c, const char *attribute, bl_error *err);
int64_t nn_checkpoint_get_int(const nn_checkpoint *c, const char *attribute, int64_t fallback, bl_error *err);
/* Returns a malloc'ed array of malloc'ed strings, *n of them; release with nn_checkpoint_texts_free. */
char **nn_checkpoint_get_texts(const nn_checkpoint *c, const char *attribute, int *n, bl_error *err);
void   nn_checkpoint_texts_free(char **texts, int n);

/* Walks all datasets in name order (bin/inspect): fn returns 0 to go on. */
int nn_checkpoint_each(const nn_checkpoint *c, int (*fn)(void *user, const char *name, nn_dtype type, int rank,
                                                         const int64_t *dims), void *user);
/* Walks all attributes in name order; is_text 0: a number. */
int nn_checkpoint_each_attribute(const nn_checkpoint *c, int (*fn)(void *user, const char *name, int is_text), void *user);
#endif
