/* nn/ops/affine.c - y = scale x + shift, with constant scale and shift. */
#include "nn/unary.h"

#include <stdio.h>

typedef struct attr { double scale, shift; } attr;

NN_UNARY_KERNEL(forward, const real scale = (real)((const attr *)y->attr)->scale;
                const real shift = (real)((const attr *)y->attr)->shift, scale * u + shift)

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    const attr *a = y->attr;
    din[0] = a->scale == 1 ? dy : nn_affine(t, dy, a->scale, 0);
}

static int parse(const char *text, void *out)
{
    attr *a = out;
    return sscanf(text, "%lf %lf", &a->scale, &a->shift) == 2;
}

const nn_op nn_op_affine = {
    .name = "affine",
    .summary = "scale x + shift",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = nn_same_shape_rule,
    .in_place = 1,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_ANY,
    .cheap = 1,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,5]; -2.5 0.5", "[7]; 1 3", NULL },
};

nn_node *nn_affine(nn_tape *t, nn_node *x, double scale, double shift)
{
    return nn_apply(t, &nn_op_affine, &(attr){ scale, shift }, 1, &x);
}
