/* nn/ops/reshape.c - the same elements in the same order under another shape. Shares memory. */
#include "nn/ops.h"

#include <stdio.h>
#include <string.h>

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *x = &y->in[0]->shape;
    nn_shape out = *(const nn_shape *)y->attr;
    char a[96], b[96];
    int64_t known = 1;
    int free_dim = -1;
    for (int d = 0; d < out.rank; d++) {
        if (out.dim[d] == -1 && free_dim < 0)
            free_dim = d;
        else
            known *= out.dim[d];
    }
    if (free_dim >= 0 && known > 0)
        out.dim[free_dim] = nn_count(x) / known;
    if (nn_count(&out) != nn_count(x))
        return bl_fail(err, BL_ESHAPE, "reshape: %s does not fit into %s", nn_shape_str(x, a),
                       nn_shape_str((const nn_shape *)y->attr, b));
    y->shape = out;
    return BL_OK;
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_reshape(t, dy, y->in[0]->shape);
}

static int parse(const char *text, void *out)
{
    nn_shape *s = out;
    long long d[4];
    s->rank = sscanf(text, "%lld %lld %lld %lld", &d[0], &d[1], &d[2], &d[3]);
    for (int i = 0; i < s->rank; i++)
        s->dim[i] = d[i];
    return s->rank > 0;
}

const nn_op nn_op_reshape = {
    .name = "reshape",
    .summary = "the same elements under another shape",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(nn_shape),
    .shape = shape,
    .backward = backward,
    .unread = NN_READ_ANY,
    .alias = 1,
    .parse = parse,
    .examples = (const char *const[]){ "[2,3,4]; 6 4", "[2,3,4]; 2 -1", NULL },
};

nn_node *nn_reshape(nn_tape *t, nn_node *x, nn_shape s)
{
    return nn_apply(t, &nn_op_reshape, &s, 1, &x);
}
