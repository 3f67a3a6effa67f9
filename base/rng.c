#include "base/rng.h"

#include <math.h>

static uint64_t splitmix64(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void bl_rng_seed(bl_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        rng->s[i] = splitmix64(&seed);
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t bl_rng_next(bl_rng *rng)
{
    uint64_t *s = rng->s, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

double bl_rng_uniform(bl_rng *rng)
{
    return (double)(bl_rng_next(rng) >> 11) * 0x1.0p-53;
}

int64_t bl_rng_below(bl_rng *rng, int64_t n)
{
    const uint64_t range = (uint64_t)n, limit = UINT64_MAX - UINT64_MAX % range;
    uint64_t x;
    do
        x = bl_rng_next(rng);
    while (x >= limit);
    return (int64_t)(x % range);
}

double bl_rng_normal(bl_rng *rng)
{
    double u = 1.0 - bl_rng_uniform(rng); /* (0, 1], so that the log is finite */
    double v = bl_rng_uniform(rng);
    return sqrt(-2.0 * log(u)) * cos(2.0 * 3.14159265358979323846 * v);
}

bl_rng bl_rng_fork(const bl_rng *rng, uint64_t key)
{
    bl_rng out;
    uint64_t x = rng->s[0] ^ rotl(rng->s[2], 23) ^ (key * 0xd1342543de82ef95u);
    bl_rng_seed(&out, splitmix64(&x));
    return out;
}

int bl_rng_pick(bl_rng *rng, const int64_t *first, int n, int64_t *within)
{
    const int64_t at = bl_rng_below(rng, first[n]);
    int low = 0, high = n; /* first[low] <= at < first[high] */
    while (high - low > 1) {
        const int middle = low + (high - low) / 2;
        *(first[middle] <= at ? &low : &high) = middle;
    }
    *within = at - first[low];
    return low;
}

void bl_rng_shuffle(bl_rng *rng, int64_t *index, int64_t n)
{
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = bl_rng_below(rng, i + 1), tmp = index[i];
        index[i] = index[j];
        index[j] = tmp;
    }
}

uint64_t bl_hash(uint64_t hash, const void *data, size_t n_bytes)
{
    const unsigned char *p = data;
    if (hash == 0)
        hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n_bytes; i++)
        hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}
