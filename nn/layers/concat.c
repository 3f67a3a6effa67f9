/* nn/layers/concat.c - the channels of all inputs under each other.
 *
 * Shapes   [C1, T], [C2, T], ... -> [C1 + C2 + ..., T]; a vector [C] is repeated at every time; only vectors make a
 *          vector.
 */
#include "nn/layer.h"

static bl_status build(nn_layer *l, bl_error *err)
{
    int64_t channels = 0, length = 0;
    int rank = 1, first = -1;
    for (int i = 0; i < l->n_in; i++) {
        const nn_shape *s = &l->in_shape[i];
        char text[96];
        if (s->rank > 2)
            return bl_fail(err, BL_ESHAPE, "expects [C, T] or [C], got %s", nn_shape_str(s, text));
        if (s->rank == 2 && first >= 0 && s->dim[1] != length)
            return bl_fail(err, BL_ESHAPE, "inputs %d and %d differ in length: %lld and %lld", first + 1, i + 1,
                           (long long)length, (long long)s->dim[1]);
        if (s->rank == 2 && first < 0) {
            first = i;
            length = s->dim[1];
            rank = 2;
        }
        channels += s->dim[0];
    }
    l->out_shape = (nn_shape){ rank, { channels, length } };
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    nn_node *part[NN_MAX_IN];
    int64_t length = 0;
    if (t->err.code)
        return NULL;
    for (int i = 0; i < l->n_in; i++)
        if (in[i]->shape.rank == 3)
            length = in[i]->shape.dim[2];
    for (int i = 0; i < l->n_in; i++) {
        part[i] = in[i];
        if (l->out_shape.rank == 2 && in[i]->shape.rank == 2)
            part[i] = nn_broadcast_to(t, nn_as_sequence(t, in[i]),
                                      (nn_shape){ 3, { in[i]->shape.dim[0], in[i]->shape.dim[1], length } });
    }
    return nn_concat(t, 1, l->n_in, part);
}

const nn_layer_type nn_layer_concat = {
    .name = "concat",
    .summary = "channels of all inputs under each other",
    .min_in = 2,
    .max_in = NN_MAX_IN,
    .build = build,
    .forward = forward,
};
