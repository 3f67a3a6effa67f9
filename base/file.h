/* Files and folders: what ISO C lacks, with errors as sentences.
 *
 * Memory   Lists and texts are malloc'ed; release with the function named beside them.
 */
#ifndef BL_BASE_FILE_H
#define BL_BASE_FILE_H

#include "base/error.h"

#include <stddef.h>

enum { BL_PATH_MAX = 4096 };

/* Joins folder and name into out; BL_EARG when the result is longer than BL_PATH_MAX - 1. */
bl_status bl_path_join(char out[BL_PATH_MAX], const char *folder, const char *name, bl_error *err);

/* Points into path: the part after the last '/', and the extension without the dot ("" if none). */
const char *bl_path_name(const char *path);
const char *bl_path_extension(const char *path);

int bl_is_folder(const char *path);
int bl_is_file(const char *path);

/* Makes the folder and its parents; fine when it exists. BL_EIO says which part failed and why. */
bl_status bl_make_folder(const char *path, bl_error *err);

/* Names in a folder ("." and ".." left out), sorted bytewise. Release with bl_names_free. */
bl_status bl_list_folder(const char *path, char ***names, int *n, bl_error *err);
void      bl_names_free(char **names, int n);

/* Whole file into memory with a '\0' behind it; BL_EFORMAT when larger than max_bytes. free(). */
bl_status bl_read_file(const char *path, size_t max_bytes, char **text, size_t *n_bytes, bl_error *err);

/* Writing that never harms the last good file: fill `temporary` (beside path), then commit:
 * sync, rename onto path. On any failure call bl_atomic_abort, which removes the temporary file. */
typedef struct bl_atomic {
    char path[BL_PATH_MAX], temporary[BL_PATH_MAX];
} bl_atomic;

bl_status bl_atomic_begin(bl_atomic *a, const char *path, bl_error *err);
bl_status bl_atomic_commit(bl_atomic *a, bl_error *err);
void      bl_atomic_abort(bl_atomic *a);

/* The three together, for a block of bytes. */
bl_status bl_write_file(const char *path, const void *data, size_t n_bytes, bl_error *err);

/* A file or folder that comes with the project ("data/genre_instruments.ini"): as named from the working folder, else from the
 * folder above the program's own (bin/..). BL_EIO names both places. */
bl_status bl_find_shipped(char out[BL_PATH_MAX], const char *name, bl_error *err);

/* Seconds since an arbitrary start, monotonic. */
double bl_seconds(void);

/* Peak resident memory of this process, MB (1e6 bytes). */
double bl_peak_rss_mb(void);

#endif
