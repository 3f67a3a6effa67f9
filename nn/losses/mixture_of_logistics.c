/* A mixture of logistic distributions over N evenly spaced levels of -1..1: the likelihood of audio samples.
 *
 *     p(y) = sum over k of softmax(pi)_k (F_k(y + h) - F_k(y - h)),   F_k(v) = sigmoid((v - mean_k)/s_k),  h = 1/(N - 1)
 *
 * with F(y - h) = 0 in the lowest level and F(y + h) = 1 in the highest, so that the levels' probabilities sum to 1.
 *
 * With a = (y + h - mean)/s, b = (y - h - mean)/s,
 *     log(sigmoid(a) - sigmoid(b)) = -softplus(-a) - softplus(b) + log(1 - exp(-(a - b))),    a - b = 2 h/s
 * which holds to the last bits wherever the two are: no threshold, no density in place of a difference.
 */
#include "nn/ops.h"

#include <math.h>

static int check(nn_tape *t, const nn_node *x, const nn_node *y, int n_levels)
{
    char a[96], b[96];
    if (t->err.code)
        return 0;
    if (x->shape.rank != 3 || x->shape.dim[1] < 3 || x->shape.dim[1] % 3 ||
        (y && (y->shape.rank != 2 || y->shape.dim[0] != x->shape.dim[0] || y->shape.dim[1] != x->shape.dim[2])))
        bl_fail(&t->err, BL_ESHAPE, "mixture_of_logistics: expected parameters [B, 3 K, T] and samples [B, T], got %s and %s",
                nn_shape_str(&x->shape, a), y ? nn_shape_str(&y->shape, b) : "none");
    else if (n_levels < 2)
        bl_fail(&t->err, BL_EARG, "mixture_of_logistics: %d levels are too few", n_levels);
    return !t->err.code;
}

nn_node *nn_mixture_of_logistics_loss(nn_tape *t, nn_node *x, nn_node *y, int n_levels, double log_scale_min)
{
    if (!check(t, x, y, n_levels))
        return NULL;
    const int64_t B = x->shape.dim[0], K = x->shape.dim[1] / 3, T = x->shape.dim[2];
    const double h = 1.0 / (n_levels - 1);
    const nn_shape row = { 3, { B, 1, T } };
    /* 1 where the lower, the upper bound of the level counts */
    nn_node *has_low = nn_full(t, row, 0), *has_high = nn_full(t, row, 0);
    for (int64_t i = 0; has_high && !t->dry && i < B * T; i++) {
        has_low->x[i] = (double)y->x[i] >= -1 + h;
        has_high->x[i] = (double)y->x[i] <= 1 - h;
    }
    nn_node *inner = nn_mul(t, has_low, has_high);
    nn_node *log_scale = nn_clamp(t, nn_slice(t, x, 1, 2 * K, 3 * K), log_scale_min, HUGE_VAL);
    nn_node *per_scale = nn_exp(t, nn_affine(t, log_scale, -1, 0));
    nn_node *centred = nn_sub(t, nn_reshape(t, y, row), nn_slice(t, x, 1, K, 2 * K));
    nn_node *below_high = nn_mul(t, nn_softplus(t, nn_mul(t, nn_affine(t, centred, -1, -h), per_scale)), has_high);
    nn_node *above_low = nn_mul(t, nn_softplus(t, nn_mul(t, nn_affine(t, centred, 1, -h), per_scale)), has_low);
    nn_node *between = nn_mul(t, nn_log1mexp(t, nn_affine(t, per_scale, 2 * h, 0)), inner);
    nn_node *log_p = nn_sub(t, between, nn_add(t, below_high, above_low));
    nn_node *pi = nn_slice(t, x, 1, 0, K);
    nn_node *joint = nn_sub(t, nn_logsumexp(t, nn_add(t, log_p, pi), 1), nn_logsumexp(t, pi, 1));
    return nn_affine(t, nn_mean(t, joint), -1, 0);
}

void nn_mixture_of_logistics_sample(const nn_node *x, double log_scale_min, bl_rng *rng, real *out)
{
    const int64_t B = x->shape.dim[0], K = x->shape.dim[1] / 3, T = x->shape.dim[2];
    BL_ASSERT(x->shape.rank == 3 && K > 0);
    for (int64_t i = 0; i < B * T; i++) {
        const real *p = x->x + i / T * 3 * K * T + i % T;
        double top = -HUGE_VAL;
        int64_t k = 0;
        for (int64_t j = 0; j < K; j++) { /* the largest of logits plus Gumbel noise is a draw of their softmax */
            const double score = (double)p[j * T] - log(-log(bl_rng_uniform(rng) + 1e-300));
            k = score > top ? j : k;
            top = score > top ? score : top;
        }
        const double u = 1e-5 + (1 - 2e-5) * bl_rng_uniform(rng);
        const double scale = exp(fmax((double)p[(2 * K + k) * T], log_scale_min));
        const double v = (double)p[(K + k) * T] + scale * (log(u) - log1p(-u));
        out[i] = (real)(v < -1 ? -1 : v > 1 ? 1 : v);
    }
}
