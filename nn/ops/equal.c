/* nn/ops/equal.c - 1 where a = b, else 0, with NumPy's broadcasting. No gradient. */
#include "nn/broadcast.h"

NN_BINARY_KERNEL(forward, u == v ? 1 : 0)

const nn_op nn_op_equal = {
    .name = "equal",
    .summary = "1 where a = b, else 0",
    .min_in = 2,
    .max_in = 2,
    .shape = nn_broadcast_shape,
    .forward = forward,
    .unread = NN_READ_ANY,
    .examples = (const char *const[]){ "[2,3,5] [2,3,5]", "[2,3,5] [3,1]", "[4,1] [3,1,5]", "[2,3] []", NULL },
};

nn_node *nn_equal(nn_tape *t, nn_node *a, nn_node *b)
{
    return nn_apply(t, &nn_op_equal, NULL, 2, (nn_node *const[]){ a, b });
}
