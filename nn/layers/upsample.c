/* nn/layers/upsample.c - more samples per second, or pixels: repeated (nearest) or interpolated (linear, bilinear).
 *
 * Shapes   [C, T] -> [C, T scale_factor]; [C, H, W] -> [C, H scale_height, W scale_width], where scale_factor holds for both
 *          unless one is given (Parallel WaveGAN's stretch in time: scale_width alone). As torch.nn.Upsample with whole factors:
 *          without align_corners a value lies in the middle of its share of the output, and the ends are held.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "scale_factor", NN_OPTION_INT, 0, 1, 65536, "values out per value in", NULL },
    { "mode", NN_OPTION_CHOICE, 0, 0, 2, "how values between are found", "nearest|linear|bilinear" },
    { "align_corners", NN_OPTION_BOOL, 0, 0, 1, "first and last values stay (linear, bilinear)", NULL },
    { "scale_height", NN_OPTION_INT, 0, 1, 65536, "rows out per row in", NULL },
    { "scale_width", NN_OPTION_INT, 0, 1, 65536, "columns out per column in", NULL },
    { .name = NULL },
};

enum { NEAREST, LINEAR, BILINEAR };

static void factors(const nn_layer *l, int64_t out[2])
{
    const int64_t both = nn_layer_int(l, "scale_factor"), height = nn_layer_int(l, "scale_height");
    const int64_t width = nn_layer_int(l, "scale_width");
    out[0] = height ? height : both ? both : 1;
    out[1] = width ? width : both ? both : 1;
}

static bl_status build(nn_layer *l, bl_error *err)
{
    const int rank = l->in_shape[0].rank, mode = (int)nn_layer_get(l, "mode");
    int64_t factor[2];
    char text[96];
    if (rank < 2)
        return bl_fail(err, BL_ESHAPE, "expects an input of [channels, T] or [C, H, W], got %s", nn_shape_str(&l->in_shape[0], text));
    if (nn_layer_get(l, "scale_factor") == 0 && (rank == 2 || (nn_layer_get(l, "scale_height") == 0 && nn_layer_get(l, "scale_width") == 0)))
        return bl_fail(err, BL_EARG, "needs scale_factor= (values out per value in)");
    if (rank == 2 && (nn_layer_get(l, "scale_height") != 0 || nn_layer_get(l, "scale_width") != 0))
        return bl_fail(err, BL_EARG, "scale_height and scale_width are for [C, H, W], the input is %s", nn_shape_str(&l->in_shape[0], text));
    if (mode != NEAREST && mode != (rank == 2 ? LINEAR : BILINEAR))
        return bl_fail(err, BL_EARG, "%s interpolation is for %s, the input is %s", mode == LINEAR ? "linear" : "bilinear",
                       mode == LINEAR ? "[C, T]" : "[C, H, W]", nn_shape_str(&l->in_shape[0], text));
    factors(l, factor);
    l->out_shape = l->in_shape[0];
    for (int d = 1; d < rank; d++)
        if (l->out_shape.dim[d] > 0)
            l->out_shape.dim[d] *= factor[d + 2 - rank];
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const int rank = l->in_shape[0].rank, nearest = nn_layer_get(l, "mode") == NEAREST;
    const int align = nn_layer_get(l, "align_corners") != 0;
    int64_t factor[2];
    nn_node *y = in[0];
    factors(l, factor);
    for (int d = rank; d > 0 && d > rank - 2; d--) { /* the last dimension first: rows are then copied whole */
        const int f = (int)factor[d + 1 - rank];
        if (d == 1 || f == 1)
            continue;
        if (nearest)
            y = nn_repeat(t, y, d, f);
        else if (rank == 2 && !align)
            y = nn_upsample_linear(t, y, f);
        else
            y = nn_interpolate(t, y, d, f, align);
    }
    return y;
}

const nn_layer_type nn_layer_upsample = {
    .name = "upsample",
    .summary = "repeats or interpolates values",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
