/* nn/layers/parameter.c - a learned tensor, the same for every example.
 *
 * Shapes   any input, of which only the batch is looked at -> [channels] or [channels, length].
 * Parameters  weight, normal with `std` at the start; with std=0 it starts at `value`.
 */
#include "nn/layer.h"

#include <math.h>
#include <string.h>

static const nn_layer_option options[] = {
    { "channels", NN_OPTION_INT, NAN, 1, 1 << 24, "channels", NULL },
    { "length", NN_OPTION_INT, 0, 0, 1 << 24, "samples; 0: a vector", NULL },
    { "std", NN_OPTION_REAL, 1, 0, 1000, "standard deviation at the start; 0: none, it starts at value", NULL },
    { "value", NN_OPTION_REAL, 0, -1e6, 1e6, "where it starts, with std=0", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    l->out_shape = (nn_shape){ 1, { nn_layer_int(l, "channels") } };
    if (nn_layer_get(l, "length") != 0)
        l->out_shape = (nn_shape){ 2, { nn_layer_int(l, "channels"), nn_layer_int(l, "length") } };
    const double std = nn_layer_get(l, "std"), value = nn_layer_get(l, "value");
    if (std > 0 && value != 0)
        return bl_fail(err, BL_EARG, "value=%g needs std=0", value);
    return nn_layer_param(l, "weight", l->out_shape, std > 0 ? NN_INIT_NORMAL : NN_INIT_CONSTANT, std > 0 ? std : value, err) < 0
               ? err->code : BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    if (t->err.code)
        return NULL;
    nn_shape s = l->out_shape;
    memmove(s.dim + 1, s.dim, (size_t)s.rank * sizeof s.dim[0]);
    s.dim[0] = in[0]->shape.dim[0];
    s.rank++;
    return nn_broadcast_to(t, nn_layer_node(l, t, 0), s);
}

const nn_layer_type nn_layer_parameter = {
    .name = "parameter",
    .summary = "a learned tensor, the same for every example",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
