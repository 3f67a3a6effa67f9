/* nn/layers/unsqueeze.c - puts in a dimension of size 1.
 *
 * Shapes   [N] -> [1, N] (dim=1), [C, T] -> [C, 1, T] (dim=2) and so on.
 */
#include "nn/layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "dim", NN_OPTION_INT, NAN, 1, 3, "its place, the batch being 0", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    const int at = (int)nn_layer_get(l, "dim") - 1, rank = l->in_shape[0].rank;
    if (at > rank || rank == NN_MAX_RANK - 1)
        return bl_fail(err, BL_ESHAPE, "dim=%d: the input has %d dimensions behind the batch, of at most %d", at + 1, rank, NN_MAX_RANK - 1);
    if (at == rank && l->in_shape[0].dim[rank - 1] < 0)
        return bl_fail(err, BL_ESHAPE, "a free length must stay the last dimension");
    l->out_shape.rank = rank + 1;
    for (int d = 0; d <= rank; d++)
        l->out_shape.dim[d] = d == at ? 1 : l->in_shape[0].dim[d < at ? d : d - 1];
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_unsqueeze(t, in[0], (int)nn_layer_get(l, "dim"));
}

const nn_layer_type nn_layer_unsqueeze = {
    .name = "unsqueeze",
    .summary = "puts in a dimension of size 1",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
