/* nn/layers/positional_encoding.c - adds sinusoids of the position to each channel, for attention.
 *
 * Shapes   [C, T] -> [C, T], T of any length; no parameters. Channel 2i gets sin(t w), channel 2i + 1 cos(t w) with
 *          w = 10000^(-2i / C). Where a model scales its embeddings by sqrt(C) first, that is `scale_by_width=yes`.
 * Source   Vaswani et al. 2017, section 3.5.
 */
#include "nn/layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "scale_by_width", NN_OPTION_BOOL, 0, 0, 1, "multiply the input by sqrt(channels) first", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    l->out_shape = l->in_shape[0];
    return nn_expect_sequence(l, 0, err);
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const int scaled = nn_layer_get(l, "scale_by_width") != 0;
    return nn_positional_encoding(t, scaled ? nn_affine(t, in[0], sqrt((double)l->in_shape[0].dim[0]), 0) : in[0]);
}

const nn_layer_type nn_layer_positional_encoding = {
    .name = "positional_encoding",
    .summary = "adds sinusoids of the position",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
