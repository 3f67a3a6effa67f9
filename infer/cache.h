/* Sounds that were made before: tones, repaired pieces of a stem, stems, kept in a folder under a key that says all that they depend on.
 *
 *     infer_cache *c = infer_cache_open(NULL, &err);          // $XDG_CACHE_HOME/backline, else ~/.cache/backline
 *     infer_key key = infer_key_of("tone");
 *     infer_key_add(&key, &conditions, sizeof conditions);
 *     if (!infer_cache_get(c, key, &x, &n)) { ... make x ...; infer_cache_put(c, key, x, n); }
 *     infer_cache_close(c);                                   // the oldest go when there is too much
 *
 * Keys     128 bits over the kind of sound, the program's version and file (one that was built anew makes its sounds anew) and everything added. What goes in is the maker's duty: a
 *          sound read back has to be the one that would be made, to the bit.
 * Files    folder/3f/KEY: a header (format, key, length, checksum) and the samples. One that is cut, damaged, of another format
 *          or of another key is removed and counts as missing; a length in a file is held against the file's own before
 *          anything is allocated. Written beside its place and renamed, so programs may share a folder.
 * Size     Closing removes the files that were used longest ago until no more than max_bytes is left.
 * Errors   open: BL_EIO: the folder cannot be made or written. Afterwards nothing fails: a sound that cannot be kept (a full disk) is
 *          made again next time.
 * Memory   get returns malloc'ed samples; release with free. NULL in place of a cache: nothing is found or kept.
 * Threads  get and put from any thread.
 * Tested   tests/infer/test_cache.c
 */
#ifndef BL_INFER_CACHE_H
#define BL_INFER_CACHE_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct infer_cache infer_cache;
typedef struct infer_key { uint64_t a, b; } infer_key;

infer_cache *infer_cache_open(const char *folder, bl_error *err);
void         infer_cache_close(infer_cache *cache);
void         infer_cache_limit(infer_cache *cache, int64_t max_bytes);   /* default 2 GB */

infer_key    infer_key_of(const char *kind);
void         infer_key_add(infer_key *key, const void *data, size_t n_bytes);
void         infer_key_text(infer_key *key, const char *text);
/* The bytes of a file; BL_EIO when it cannot be read. */
bl_status    infer_key_file(infer_key *key, const char *path, bl_error *err);

/* 1: found. */
int          infer_cache_get(infer_cache *cache, infer_key key, float **x, int64_t *n);
void         infer_cache_put(infer_cache *cache, infer_key key, const float *x, int64_t n);

/* How many were found and how many kept since opening. */
void         infer_cache_figures(const infer_cache *cache, int64_t *found, int64_t *kept);

#endif
