/* The tape: nodes in an arena, their values in a heap. */
#include "nn/gemm.h"
#include "nn/gradient.h"
#include "nn/ops.h"
#include "nn/params.h"
#include "nn/profile.h"

#include "base/file.h"
#include "base/heap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SSE__
#include <xmmintrin.h>
#endif

struct nn_tape_memory {
    bl_arena nodes;
    bl_heap  values;    /* blocks are counted, because views (reshape, detach) share them */
};

/* ---- buffers ---- */

static bl_block *buffer_new(nn_tape *t, int64_t n)
{
    bl_block *b = bl_heap_alloc(&t->memory->values, (size_t)n * sizeof(real));
    if (!b)
        bl_fail(&t->err, BL_ENOMEM, "no memory for a tensor of %lld elements (%zu MB on the tape)", (long long)n,
                t->memory->values.in_use_bytes >> 20);
    return b;
}

static void node_release(nn_tape *t, nn_node *n)
{
    if (n->buffer) {
        bl_heap_release(&t->memory->values, n->buffer);
        n->buffer = NULL;
        n->x = NULL;
        n->released = 1;
    }
}

/* Scratch has its block's address in front of the data: 64 bytes keep the alignment. A dry tape has no data to write it to:
 * there the block itself stands for it. */
enum { IN_FRONT = 64 / sizeof(real) };

real *nn_scratch(nn_tape *t, int64_t n)
{
    bl_block *b = buffer_new(t, n + IN_FRONT);
    if (!b || t->dry)
        return (real *)(void *)b;
    real *data = b->data;
    memcpy(data, &b, sizeof b);
    return data + IN_FRONT;
}

void nn_scratch_release(nn_tape *t, real *p)
{
    bl_block *b = (bl_block *)(void *)p;
    if (!p)
        return;
    if (!t->dry)
        memcpy(&b, p - IN_FRONT, sizeof b);
    bl_heap_release(&t->memory->values, b);
}

void *nn_tape_alloc(nn_tape *t, size_t n_bytes)
{
    void *p = t->err.code ? NULL : bl_arena_alloc(&t->memory->nodes, n_bytes);
    if (!p)
        bl_fail(&t->err, BL_ENOMEM, "no memory on the tape");
    return p;
}

/* ---- the tape ---- */

/* Numbers below 1e-38 are worth nothing here and cost a hundred times the time of others: decaying envelopes and
 * gradients of quiet partials are full of them. Set for every thread of the pool. */
static void flush_denormals(void)
{
#ifdef __SSE__
#pragma omp parallel
    {
        _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_ON);
        _mm_setcsr(_mm_getcsr() | 0x0040); /* inputs too: denormals are zeros */
    }
#endif
}

nn_tape *nn_tape_new(bl_error *err)
{
    flush_denormals();
    if (nn_gemm_init(err) != BL_OK)
        return NULL;
    nn_tape *t = calloc(1, sizeof *t);
    if (!t || !(t->memory = calloc(1, sizeof *t->memory))) {
        bl_fail(err, BL_ENOMEM, "no memory for a tape");
        free(t);
        return NULL;
    }
    bl_heap_init(&t->memory->values);
    t->recording = 1;
    bl_rng_seed(&t->rng, 0);
    return t;
}

void nn_tape_free(nn_tape *t)
{
    if (!t)
        return;
    nn_profile_free(t);
    bl_arena_free(&t->memory->nodes);
    bl_heap_free(&t->memory->values);
    free(t->memory);
    free(t);
}

void nn_tape_reset(nn_tape *t)
{
    bl_arena_reset(&t->memory->nodes);
    bl_heap_reset(&t->memory->values);
    t->last = NULL;
    t->n_nodes = 0;
    bl_error_clear(&t->err);
}

int nn_tape_record(nn_tape *t, int on)
{
    const int old = t->recording;
    t->recording = on;
    return old;
}

size_t nn_tape_peak_bytes(const nn_tape *t)
{
    return t->memory->values.peak_bytes + t->memory->nodes.peak_bytes;
}

void nn_tape_dry(nn_tape *t, int on)
{
    nn_tape_reset(t);
    bl_heap_paper(&t->memory->values, on);
    t->memory->nodes.peak_bytes = 0;
    t->dry = on;
}

/* ---- shapes ---- */

nn_shape nn_shape_of(int rank, ...)
{
    nn_shape s = { rank, { 0 } };
    va_list ap;
    BL_ASSERT(rank >= 0 && rank <= NN_MAX_RANK);
    va_start(ap, rank);
    for (int i = 0; i < rank; i++)
        s.dim[i] = va_arg(ap, int); /* callers write plain ints; larger sizes fill dim directly */
    va_end(ap);
    return s;
}

int64_t nn_count(const nn_shape *s)
{
    int64_t n = 1;
    for (int i = 0; i < s->rank; i++)
        n *= s->dim[i];
    return n;
}

int nn_same_shape(const nn_shape *a, const nn_shape *b)
{
    if (a->rank != b->rank)
        return 0;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return 0;
    return 1;
}

const char *nn_shape_str(const nn_shape *s, char out[96])
{
    int n = snprintf(out, 96, "[");
    for (int i = 0; i < s->rank; i++)
        n += snprintf(out + n, (size_t)(96 - n), "%s%lld", i ? ", " : "", (long long)s->dim[i]);
    snprintf(out + n, (size_t)(96 - n), "]");
    return out;
}

/* ---- nodes ---- */

/* A node and, behind it, room for its attributes. */
static nn_node *node_new(nn_tape *t, size_t attr_size)
{
    nn_node *n = bl_arena_alloc(&t->memory->nodes, sizeof *n + attr_size);
    if (!n) {
        bl_fail(&t->err, BL_ENOMEM, "no memory for a node");
        return NULL;
    }
    memset(n, 0, sizeof *n);
    n->index = t->n_nodes++;
    n->previous = t->last;
    t->last = n;
    return n;
}

static nn_node *value_node(nn_tape *t, nn_shape shape)
{
    if (t->err.code)
        return NULL;
    for (int i = 0; i < shape.rank; i++)
        if (shape.dim[i] < 0) {
            char text[96];
            bl_fail(&t->err, BL_ESHAPE, "a tensor cannot have the shape %s", nn_shape_str(&shape, text));
            return NULL;
        }
    nn_node *n = node_new(t, 0);
    if (!n)
        return NULL;
    n->shape = shape;
    n->buffer = buffer_new(t, nn_count(&shape));
    if (!n->buffer)
        return NULL;
    n->x = n->buffer->data;
    return n;
}

nn_node *nn_input(nn_tape *t, nn_shape shape, const float *data)
{
    nn_node *n = value_node(t, shape);
    if (n && n->x)
        for (int64_t i = 0, count = nn_count(&shape); i < count; i++)
            n->x[i] = data[i];
    return n;
}

nn_node *nn_input_real(nn_tape *t, nn_shape shape, const real *data)
{
    nn_node *n = value_node(t, shape);
    if (n && n->x)
        memcpy(n->x, data, (size_t)nn_count(&shape) * sizeof(real));
    return n;
}

nn_node *nn_borrow(nn_tape *t, nn_shape shape, real *data)
{
    nn_node *n = t->err.code ? NULL : node_new(t, 0);
    if (n) {
        n->shape = shape;
        n->x = t->dry ? NULL : data;
    }
    return n;
}

nn_node *nn_leaf(nn_tape *t, nn_shape shape, const real *data)
{
    nn_node *n = nn_input_real(t, shape, data);
    if (n)
        n->needs_grad = t->recording;
    return n;
}

nn_node *nn_full(nn_tape *t, nn_shape shape, double value)
{
    nn_node *n = value_node(t, shape);
    if (n && n->x)
        for (int64_t i = 0, count = nn_count(&shape); i < count; i++)
            n->x[i] = (real)value;
    return n;
}

nn_node *nn_randn(nn_tape *t, nn_shape shape)
{
    nn_node *n = value_node(t, shape);
    if (n && n->x)
        for (int64_t i = 0, count = nn_count(&shape); i < count; i++)
            n->x[i] = (real)bl_rng_normal(&t->rng);
    return n;
}

nn_node *nn_rand(nn_tape *t, nn_shape shape, double low, double high)
{
    nn_node *n = value_node(t, shape);
    if (n && n->x)
        for (int64_t i = 0, count = nn_count(&shape); i < count; i++)
            n->x[i] = (real)(low + (high - low) * bl_rng_uniform(&t->rng));
    return n;
}

double nn_scalar(const nn_node *x)
{
    return x && x->x ? (double)x->x[0] : 0;
}

nn_node *nn_expect(nn_tape *t, nn_node *x, nn_shape shape, const char *what)
{
    char got[96], wanted[96];
    if (t->err.code || !x)
        return NULL;
    if (nn_same_shape(&x->shape, &shape))
        return x;
    bl_fail(&t->err, BL_ESHAPE, "%s: expected %s, got %s", what, nn_shape_str(&shape, wanted), nn_shape_str(&x->shape, got));
    return NULL;
}

nn_node *nn_detach(nn_tape *t, nn_node *x)
{
    nn_node *n = t->err.code ? NULL : node_new(t, 0);
    if (n) {
        BL_ASSERT(!x->released);
        n->shape = x->shape;
        n->x = x->x;
        n->buffer = x->buffer;
        if (n->buffer)
            n->buffer->n_users++;
    }
    return n;
}

nn_node *nn_keep(nn_node *x)
{
    if (x)
        x->keep |= 1;
    return x;
}

nn_node *nn_param_node(nn_tape *t, nn_params *p, int i)
{
    if (t->err.code)
        return NULL;
    BL_ASSERT(i >= 0 && i < p->n && p->value);
    nn_node *n = nn_borrow(t, p->param[i].shape, p->value + p->param[i].offset);
    if (n && t->recording && !p->param[i].frozen && !p->param[i].is_buffer) {
        n->needs_grad = 1;
        n->grad_sink = p->grad + p->param[i].offset;
    }
    return n;
}

void nn_mark_needed(nn_node *y)
{
    const nn_op *op = y->op;
    if (!y->needs_grad || !op->backward)
        return;
    if (!(op->unread & NN_READ_OUT))
        y->needed = 1;
    for (int i = 0; i < y->n_in; i++)
        if (!(op->unread & NN_READ_IN(i)) && !(op->product && i < 2 && !y->in[1 - i]->needs_grad))
            y->in[i]->needed = 1;
}

static void compute(nn_tape *t, nn_node *y)
{
    const int64_t n_scratch = y->op->scratch ? y->op->scratch(y) : 0;
    bl_block *scratch = n_scratch > 0 ? buffer_new(t, n_scratch) : NULL;
    if (scratch)
        y->scratch = scratch->data;
    const double start = t->profile ? bl_seconds() : 0;
    if (!t->err.code && !t->dry)
        y->op->forward(t, y);
    if (t->profile)
        nn_profile_add(t, y, bl_seconds() - start);
    if (scratch)
        bl_heap_release(&t->memory->values, scratch);
    y->scratch = NULL;
}

nn_node *nn_last_use(nn_node *x)
{
    if (x)
        x->last_use = x->keep <= 2 && !(x->keep & 1); /* 2: a gradient that the sweep under way holds for its rule */
    return x;
}

/* May y lie over x? */
static int can_overwrite(const nn_op *op, const nn_node *y, const nn_node *x)
{
    return op->in_place && x->last_use && !x->needed && x->buffer && x->buffer->n_users == 1 &&
           nn_same_shape(&x->shape, &y->shape);
}

nn_node *nn_apply(nn_tape *t, const nn_op *op, const void *attr, int n_in, nn_node *const *in)
{
    if (t->err.code)
        return NULL;
    BL_ASSERT(n_in >= op->min_in && n_in <= op->max_in && n_in <= NN_MAX_IN);
    nn_node *y = node_new(t, op->attr_size);
    if (!y)
        return NULL;
    y->op = op;
    y->n_in = n_in;
    for (int i = 0; i < n_in; i++) {
        BL_ASSERT(in[i] && !in[i]->released); /* by nn_backward, a scope, or because the op's `unread` is wrong */
        y->in[i] = in[i];
        y->needs_grad |= t->recording && in[i]->needs_grad && !(op->no_grad >> i & 1);
    }
    if (op->attr_size) {
        memcpy(y + 1, attr, op->attr_size);
        y->attr = y + 1;
    }
    if (op->shape(y, &t->err) != BL_OK)
        return NULL;
    nn_mark_needed(y);
    if (op->alias) {
        y->x = in[0]->x;
        y->buffer = in[0]->buffer;
        if (y->buffer)
            y->buffer->n_users++;
    } else {
        const int over = can_overwrite(op, y, in[0]);
        y->buffer = over ? in[0]->buffer : buffer_new(t, nn_count(&y->shape));
        if (!y->buffer)
            return NULL;
        if (over)
            in[0]->buffer = NULL; /* it is y's; in[0]->x stays until forward has read it */
        y->x = y->buffer->data;
        compute(t, y);
        if (over) {
            in[0]->x = NULL;
            in[0]->released = 1;
        }
        if (t->err.code)
            return NULL;
    }
    return y;
}

/* ---- scopes: inference keeps nothing, training what gradients read ---- */

/* Whatever x is computed from will be there when a rule reads x. */
static int can_come_again(const nn_node *x)
{
    if (!x->op || !x->op->cheap)
        return 0;
    for (int i = 0; i < x->n_in; i++)
        if (x->in[i]->released || (x->in[i]->buffer && !x->in[i]->needed))
            return 0;
    return 1;
}

void nn_release(nn_tape *t, nn_node *x)
{
    const int wanted = x && t->recording && x->needed;
    if (!x || x->keep || (wanted && !can_come_again(x)))
        return;
    node_release(t, x);
    x->again = (unsigned char)(x->released && wanted);
}

void nn_come_again(nn_tape *t, nn_node *x)
{
    if (!x->again)
        return;
    x->again = 0;
    for (int i = 0; i < x->n_in; i++)
        nn_come_again(t, x->in[i]);
    x->buffer = t->err.code ? NULL : buffer_new(t, nn_count(&x->shape));
    if (!x->buffer)
        return;
    x->x = x->buffer->data;
    x->released = 0;
    compute(t, x);
}

nn_node *nn_scope_begin(nn_tape *t)
{
    return t->last;
}

void nn_scope_end(nn_tape *t, nn_node *mark, nn_node *result)
{
    for (nn_node *n = t->last; n && n != mark; n = n->previous)
        if (n != result)
            nn_release(t, n);
}
