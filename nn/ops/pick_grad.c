/* nn/ops/pick_grad.c - the adjoint of pick: y[.., c] = dy[..] where c = index[..], else 0.
 *
 * in       dy [..], index [..] (no gradient);  attribute: classes C
 * out      [.., C]
 */
#include "nn/class_index.h"

#include <string.h>

#include <stdio.h>

static int parse(const char *text, void *out)
{
    long long n;
    if (sscanf(text, "%lld", &n) != 1)
        return 0;
    *(int64_t *)out = n;
    return 1;
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *dy = &y->in[0]->shape;
    const int64_t n_classes = *(const int64_t *)y->attr;
    char a[96], b[96];
    if (!nn_same_shape(dy, &y->in[1]->shape) || dy->rank >= NN_MAX_RANK || n_classes < 0)
        return bl_fail(err, BL_ESHAPE, "pick_grad: %s does not belong to indices %s", nn_shape_str(dy, a),
                       nn_shape_str(&y->in[1]->shape, b));
    y->shape = *dy;
    y->shape.dim[y->shape.rank++] = n_classes;
    return nn_check_class_index(y->in[1], n_classes, "pick_grad", err);
}

static void forward(nn_tape *tape, nn_node *y)
{
    const int64_t n = nn_count(&y->in[0]->shape), width = y->shape.dim[y->shape.rank - 1];
    (void)tape;
#pragma omp parallel for schedule(static) if (n * width > NN_PARALLEL_MIN)
    for (int64_t i = 0; i < n; i++) {
        memset(y->x + i * width, 0, (size_t)width * sizeof(real));
        y->x[i * width + (int64_t)y->in[1]->x[i]] = y->in[0]->x[i];
    }
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_pick(t, dy, y->in[1]);
}

const nn_op nn_op_pick_grad = {
    .name = "pick_grad",
    .summary = "one entry of each row set, the others 0",
    .min_in = 2,
    .max_in = 2,
    .attr_size = sizeof(int64_t),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_IN(0) | NN_READ_OUT,
    .no_grad = 2, /* the index */
    .parse = parse,
    .examples = (const char *const[]){ "[5] [5]:0..3; 3", "[2,3] [2,3]:0..4; 5", NULL },
};

nn_node *nn_pick_grad(nn_tape *t, nn_node *dy, nn_node *index, int64_t n_classes)
{
    return nn_apply(t, &nn_op_pick_grad, &n_classes, 2, (nn_node *const[]){ dy, index });
}
