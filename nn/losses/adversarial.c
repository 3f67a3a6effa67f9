/* The gradient penalty of WGAN-GP; the other losses of adversarial training are in nn/gan.c. */
#include "nn/gan.h"

nn_node *nn_gradient_norm(nn_tape *t, nn_node *score, nn_node *x)
{
    nn_node *slope = NULL;
    if (t->err.code)
        return NULL;
    /* Examples do not mix in a critic, so the gradient of the sum of scores holds each example's own. */
    nn_grad(t, score, NULL, 1, &x, &slope, 1);
    if (t->err.code)
        return NULL;
    if (!slope) {
        bl_fail(&t->err, BL_EARG, "gradient_penalty: the score does not depend on x (is x an nn_leaf, and the tape recording?)");
        return NULL;
    }
    const unsigned all_but_batch = (1u << x->shape.rank) - 2u;
    return nn_sqrt(t, nn_affine(t, nn_sum_dims(t, nn_square(t, slope), all_but_batch), 1, 1e-12));
}

nn_node *nn_gradient_penalty(nn_tape *t, nn_node *score, nn_node *x)
{
    return nn_mean(t, nn_square(t, nn_affine(t, nn_gradient_norm(t, score, x), 1, -1)));
}
