/* Deterministic random numbers: xoshiro256** seeded by splitmix64. The same seed gives the same
 * stream on every machine and at every thread count; the state is four words, so it can be
 * written into a checkpoint and continued.
 *
 * Threads  One generator per thread; derive independent ones with bl_rng_fork.
 * Source   Blackman & Vigna, "Scrambled linear pseudorandom number generators", 2018.
 */
#ifndef BL_BASE_RNG_H
#define BL_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

typedef struct bl_rng {
    uint64_t s[4];
} bl_rng;

void     bl_rng_seed(bl_rng *rng, uint64_t seed);
uint64_t bl_rng_next(bl_rng *rng);
double   bl_rng_uniform(bl_rng *rng);                 /* [0, 1), 53 bits                     */
int64_t  bl_rng_below(bl_rng *rng, int64_t n);        /* 0 .. n-1, without modulo bias; n > 0 */
double   bl_rng_normal(bl_rng *rng);                  /* mean 0, variance 1 (Box-Muller)     */
bl_rng   bl_rng_fork(const bl_rng *rng, uint64_t key); /* independent stream for this key     */
/* An item, each as likely as it is large: first[i] .. first[i + 1] - 1 are item i's. first [n + 1], rising from 0, first[n] > 0.
 * *within: where in the item. */
int      bl_rng_pick(bl_rng *rng, const int64_t *first, int n, int64_t *within);
void     bl_rng_shuffle(bl_rng *rng, int64_t *index, int64_t n);

/* FNV-1a of bytes; used to seed from names and content. Pass 0 as `hash` to start. */
uint64_t bl_hash(uint64_t hash, const void *data, size_t n_bytes);

#endif
