/* What softmax and log_softmax share: a tensor as [outer, n, inner] about one dimension, in tasks of at most
 * NN_SOFTMAX_TILE lines of n values, `inner` apart; sums in double. */
#ifndef BL_NN_SOFTMAX_H
#define BL_NN_SOFTMAX_H

#include "nn/window.h"

enum { NN_SOFTMAX_TILE = 64 };

/* Attribute of both: the dimension, negative from the end. */
typedef struct nn_softmax_attr { int dim; } nn_softmax_attr;

bl_status nn_softmax_shape(nn_node *y, bl_error *err);
int       nn_softmax_parse(const char *text, void *attr);

/* The dimensions of y but the attribute's stay. */
unsigned  nn_softmax_mask(const nn_node *y);

/* A task: `lines` lines side by side, each of n values `step` apart; offset of the first value. */
typedef struct nn_softmax_task { int64_t offset, n, step, lines; } nn_softmax_task;
int64_t         nn_softmax_tasks(const nn_node *y);
nn_softmax_task nn_softmax_task_of(const nn_node *y, int64_t task);

#endif
