/* Chance by place: a draw that depends on a seed and a position alone, for dropout. The same at any number of threads, in any
 * order, forward and backward, with no generator to wait for and nothing to store.
 *
 *     nn_chance(key, i) >= below     with probability 1 - below / 2^32, independent over i and over keys
 *
 * Source   Wellons' lowbias32: a bijection of 32 bits in which every bit of the input turns each of the output with
 *          probability 1/2 within 0.2 %.
 */
#ifndef BL_NN_CHANCE_H
#define BL_NN_CHANCE_H

#include <stdint.h>

static inline uint32_t nn_chance_mix(uint32_t h)
{
    h ^= h >> 16;
    h *= 0x7feb352du;
    h ^= h >> 15;
    h *= 0x846ca68bu;
    return h ^ h >> 16;
}

/* The key of row `row` (any stretch of at most 2^32 positions) under a seed drawn from the tape's generator. */
static inline uint32_t nn_chance_key(uint64_t seed, int64_t row)
{
    return nn_chance_mix((uint32_t)row ^ nn_chance_mix((uint32_t)seed ^ (uint32_t)((uint64_t)row >> 32))) ^ (uint32_t)(seed >> 32);
}

static inline uint32_t nn_chance(uint32_t key, int64_t i)
{
    return nn_chance_mix((uint32_t)i * 0x9e3779b9u ^ key);
}

/* What draws are held against for a probability p. */
static inline uint32_t nn_chance_below(double p)
{
    return (uint32_t)(p * 4294967296.0);
}

#endif
