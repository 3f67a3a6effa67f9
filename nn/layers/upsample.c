/* nn/layers/upsample.c - more samples per second: repeated (nearest) or interpolated (linear).
 *
 * Shapes   [C, T] -> [C, T scale_factor]. As torch.nn.Upsample; linear with align_corners=False, so frame t has its
 *          value at sample (t + 1/2) scale_factor - 1/2 and the ends are held.
 */
#include "nn/layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "scale_factor", NN_OPTION_INT, NAN, 1, 65536, "samples out per sample in", NULL },
    { "mode", NN_OPTION_CHOICE, 0, 0, 1, "how values between are found", "nearest|linear" },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    if (nn_expect_sequence(l, 0, err) != BL_OK)
        return err->code;
    l->out_shape = l->in_shape[0];
    if (l->out_shape.dim[1] > 0)
        l->out_shape.dim[1] *= nn_layer_int(l, "scale_factor");
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const int64_t factor = nn_layer_int(l, "scale_factor");
    if (t->err.code)
        return NULL;
    if (nn_layer_get(l, "mode") != 0)
        return nn_upsample_linear(t, in[0], (int)factor);
    const nn_shape s = in[0]->shape;
    nn_node *apart = nn_reshape(t, in[0], (nn_shape){ 4, { s.dim[0], s.dim[1], s.dim[2], 1 } });
    nn_node *repeated = nn_broadcast_to(t, apart, (nn_shape){ 4, { s.dim[0], s.dim[1], s.dim[2], factor } });
    return nn_reshape(t, repeated, (nn_shape){ 3, { s.dim[0], s.dim[1], s.dim[2] * factor } });
}

const nn_layer_type nn_layer_upsample = {
    .name = "upsample",
    .summary = "repeats or interpolates samples",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
