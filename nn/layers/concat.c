/* nn/layers/concat.c - all inputs one behind the other along a dimension: by default their channels under each other.
 *
 * Shapes   dim=channels: [C1, T], [C2, T], ... -> [C1 + C2 + ..., T], or [C, H, W]; a vector [C] is repeated at every place; only
 *          vectors make a vector. Other dimensions: inputs of one rank that agree in all others.
 */
#include "nn/shape_layer.h"

static const nn_layer_option options[] = {
    { "dim", NN_OPTION_CHOICE, NN_DIM_CHANNELS, 0, NN_DIM_MOST, "along which dimension", NN_DIM_CHOICES },
    { .name = NULL },
};

/* The first input that is no vector, which all others must fit; -1: vectors alone. */
static int first_of(const nn_layer *l)
{
    for (int i = 0; i < l->n_in; i++)
        if (l->in_shape[i].rank > 1)
            return i;
    return -1;
}

static bl_status build(nn_layer *l, bl_error *err)
{
    const int axis = nn_layer_axis(l, "dim", err), first = first_of(l);
    char a[96], b[96];
    if (!axis)
        return err->code;
    l->out_shape = l->in_shape[first < 0 ? 0 : first];
    int64_t *size = &l->out_shape.dim[axis - 1];
    *size = 0;
    for (int i = 0; i < l->n_in; i++) {
        const nn_shape *s = &l->in_shape[i], *want = &l->in_shape[first < 0 ? 0 : first];
        if (s->rank == 1 && first >= 0 && axis == 1) {
            *size += s->dim[0];
            continue;
        }
        if (s->rank != want->rank)
            return bl_fail(err, BL_ESHAPE, "inputs %d and %d do not go together: %s and %s", first + 1, i + 1, nn_shape_str(want, a),
                           nn_shape_str(s, b));
        for (int d = 0; d < s->rank; d++)
            if (d != axis - 1 && s->dim[d] != want->dim[d])
                return bl_fail(err, BL_ESHAPE, d == s->rank - 1 ? "inputs %d and %d differ in length: %lld and %lld"
                                                                 : "inputs %d and %d differ outside the dimension: %lld and %lld",
                               first + 1, i + 1, (long long)want->dim[d], (long long)s->dim[d]);
        *size = *size < 0 || s->dim[axis - 1] < 0 ? -1 : *size + s->dim[axis - 1];
    }
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    nn_node *part[NN_MAX_IN];
    const int first = first_of(l), axis = nn_layer_axis_of(l, "dim");
    if (t->err.code)
        return NULL;
    for (int i = 0; i < l->n_in; i++) {
        part[i] = in[i];
        if (first >= 0 && in[i]->shape.rank == 2) {
            nn_shape s = in[first]->shape;
            s.dim[1] = in[i]->shape.dim[1];
            part[i] = nn_broadcast_to(t, nn_as_rank(t, in[i], s.rank), s);
        }
    }
    return nn_concat(t, axis, l->n_in, part);
}

const nn_layer_type nn_layer_concat = {
    .name = "concat",
    .summary = "all inputs one behind the other, by default their channels",
    .min_in = 2,
    .max_in = NN_MAX_IN,
    .options = options,
    .build = build,
    .forward = forward,
};
