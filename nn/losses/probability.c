/* Losses between distributions, composed of ops. */
#include "nn/ops.h"

#include <math.h>

static int fits(nn_tape *t, const char *name, const nn_node *x, const nn_node *y)
{
    char a[96], b[96];
    if (t->err.code)
        return 0;
    if (nn_same_shape(&x->shape, &y->shape) && x->shape.rank > 0)
        return 1;
    bl_fail(&t->err, BL_ESHAPE, "%s: expected two tensors of one shape, got %s and %s", name, nn_shape_str(&x->shape, a),
            nn_shape_str(&y->shape, b));
    return 0;
}

static nn_node *mean_over_batch(nn_tape *t, nn_node *x)
{
    if (t->err.code)
        return NULL;
    const int64_t B = x->shape.dim[0];
    return nn_affine(t, nn_sum(t, x), B ? 1.0 / (double)B : 0, 0);
}

/* -p target log s - (1 - target) log(1 - s), s = sigmoid(x), which is c softplus(x) - x p target with c = 1 + (p - 1) target
 * and cannot overflow; c = 1 without p. */
nn_node *nn_bce_with_logits_weighted(nn_tape *t, nn_node *x, nn_node *target, nn_node *pos_weight)
{
    if (!fits(t, "bce_with_logits", x, target))
        return NULL;
    nn_node *soft = nn_softplus(t, x), *pull = target;
    if (pos_weight) {
        soft = nn_mul(t, soft, nn_affine(t, nn_mul(t, nn_affine(t, pos_weight, 1, -1), target), 1, 1));
        pull = nn_mul(t, target, pos_weight);
    }
    return nn_mean(t, nn_sub(t, soft, nn_mul(t, x, pull)));
}

nn_node *nn_bce_with_logits(nn_tape *t, nn_node *x, nn_node *target)
{
    return nn_bce_with_logits_weighted(t, x, target, NULL);
}

/* Weight of each row, 0 where its class is to be ignored, and the class with ignored ones set to 0: constants. */
static double rows(nn_tape *t, const nn_node *target, const nn_node *weight, int64_t ignore_index, nn_node **w, nn_node **k)
{
    double sum = 0;
    *w = nn_full(t, target->shape, 0);
    *k = nn_full(t, target->shape, 0);
    for (int64_t i = 0, n = nn_count(&target->shape); *k && !t->dry && i < n; i++) {
        const real c = target->x[i];
        if (c == (real)ignore_index)
            continue;
        (*k)->x[i] = c; /* pick says when it lies outside */
        (*w)->x[i] = !weight ? 1 : c >= 0 && c < (real)weight->shape.dim[0] ? weight->x[(int64_t)c] : 0;
        sum += (double)(*w)->x[i];
    }
    return sum;
}

nn_node *nn_nll_loss(nn_tape *t, nn_node *log_p, nn_node *target, nn_node *weight, int64_t ignore_index)
{
    static const int channels_last[] = { 0, 2, 1 };
    nn_node *w, *k;
    char s[96];
    if (t->err.code)
        return NULL;
    const nn_shape *x = &log_p->shape;
    if ((x->rank != 2 && x->rank != 3) || (weight && nn_count(&weight->shape) != x->dim[1])) {
        bl_fail(&t->err, BL_ESHAPE, "nll_loss: expected [N, C] or [N, C, T] and a weight for each of C classes, got %s", nn_shape_str(x, s));
        return NULL;
    }
    const double sum = rows(t, target, weight, ignore_index, &w, &k);
    nn_node *picked = nn_pick(t, x->rank == 3 ? nn_permute(t, log_p, channels_last) : log_p, k);
    return nn_affine(t, nn_sum(t, nn_mul(t, picked, w)), sum > 0 ? -1 / sum : 0, 0);
}

/* target log target is 0 at 0: the logarithm is taken of no less than the smallest normal number. */
nn_node *nn_kl_div(nn_tape *t, nn_node *log_q, nn_node *target, int log_target)
{
    if (!fits(t, "kl_div", log_q, target))
        return NULL;
    nn_node *p = log_target ? nn_exp(t, target) : target;
    nn_node *log_p = log_target ? target : nn_log(t, nn_clamp(t, target, 1.1754944e-38, HUGE_VAL));
    return mean_over_batch(t, nn_mul(t, p, nn_sub(t, log_p, log_q)));
}

nn_node *nn_gaussian_kl(nn_tape *t, nn_node *mean, nn_node *log_variance)
{
    if (!fits(t, "gaussian_kl", mean, log_variance))
        return NULL;
    nn_node *spread = nn_sub(t, nn_exp(t, log_variance), log_variance);
    return mean_over_batch(t, nn_affine(t, nn_add(t, nn_square(t, mean), spread), 0.5, -0.5));
}
