/* What draws from tape->rng: dropout and phase shuffle. The draw is a constant of the graph, so both orders of
 * gradient see the same one. */
#include "nn/chance.h"
#include "nn/time_index.h"

enum { ROW = 4096 }; /* elements that share a key */

nn_node *nn_dropout(nn_tape *t, nn_node *x, double p)
{
    if (t->err.code)
        return NULL;
    if (!(p >= 0 && p < 1)) {
        bl_fail(&t->err, BL_EARG, "dropout: p is %g, expected 0 <= p < 1", p);
        return NULL;
    }
    if (!t->training || p <= 0)
        return x;
    nn_node *mask = nn_full(t, x->shape, 0);
    if (!mask)
        return NULL;
    const real scale = (real)(1 / (1 - p));
    const int64_t n = t->dry ? 0 : nn_count(&x->shape);
    const uint64_t seed = n > 0 ? bl_rng_next(&t->rng) : 0;
    const uint32_t below = nn_chance_below(p);
#pragma omp parallel for schedule(static) if (n > NN_PARALLEL_MIN)
    for (int64_t row = 0; row < n; row += ROW) {
        const uint32_t key = nn_chance_key(seed, row);
        const int64_t length = n - row < ROW ? n - row : ROW;
#pragma omp simd
        for (int64_t i = 0; i < length; i++)
            mask->x[row + i] = nn_chance(key, i) >= below ? scale : 0;
    }
    return nn_mul(t, x, mask);
}

/* Position i mirrored about the first and last of n samples, which are not repeated. */
static int64_t reflect(int64_t i, int64_t n)
{
    const int64_t period = 2 * (n - 1);
    if (i >= 0 && i < n)
        return i;
    if (n == 1)
        return 0;
    i %= period;
    if (i < 0)
        i += period;
    return i < n ? i : period - i;
}

nn_node *nn_phase_shuffle(nn_tape *t, nn_node *x, int n)
{
    if (t->err.code)
        return NULL;
    const nn_shape s = x->shape;
    char text[96];
    if (n < 0 || s.rank != 3 || s.dim[2] < 1) {
        bl_fail(&t->err, n < 0 ? BL_EARG : BL_ESHAPE, "phase_shuffle: expected x [B, C, T] and n >= 0, got %s and %d",
                nn_shape_str(&s, text), n);
        return NULL;
    }
    if (n == 0)
        return x;
    const int64_t count = s.dim[0] * s.dim[2];
    int64_t *index = (int64_t *)(void *)nn_scratch(t, count * (int64_t)(sizeof(int64_t) / sizeof(real)));
    if (!index)
        return NULL;
    for (int64_t b = 0; b < s.dim[0] && !t->dry; b++) {
        const int64_t shift = bl_rng_below(&t->rng, 2 * n + 1) - n;
        for (int64_t i = 0; i < s.dim[2]; i++)
            index[b * s.dim[2] + i] = reflect(i - shift, s.dim[2]);
    }
    const nn_time_run *run = nn_time_runs(t, index, s.dim[0], s.dim[2]);
    return run ? nn_gather_time_by(t, x, &(nn_time_index){ index, s.dim[0], s.dim[2], s.dim[2], run }) : NULL;
}
