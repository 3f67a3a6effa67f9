/* nn/ops/attention.c - scaled dot-product attention of several heads, channels first.
 *
 *     y[c,i] = sum over j of softmax_j((sum over c of q[c,i] (k[c,j] + relative[clip(j - i) + reach, c])) / sqrt(D)) v[c,j]
 *
 * in       q [B, H D, Tq], k [B, H D, Tk], v [B, H V, Tk]: head h has the channels h D .. h D + D - 1, as in torch
 *          lengths [B] (optional, no gradient): whole numbers 0 .. Tk; keys from there on are not seen
 *          relative [H, R, D] (optional, after lengths): R = 2 reach + 1 rows for the distances j - i = -reach .. reach, causal
 *          R = reach + 1 for -reach .. 0; farther ones use the outermost row
 * out      y [B, H V, Tq]; 0 for a query that sees no key (torch's older versions give NaN)
 * options  heads; causal: i sees j <= i; dropout: probability that a weight is 0, in training (others times 1/(1 - p))
 * errors   BL_ESHAPE: shapes that do not fit;  BL_EARG: heads, dropout or a length outside its range
 * cost     2 B H Tq Tk (D + V) flops, half when causal; memory grows with T and not with its square (nn/attention.h)
 * source   Vaswani et al. 2017; see nn/attention.h
 *
 * The gradient is an op of its own, attention_grad, which returns the gradients of q, k, v and relative in one vector; it
 * needs y and the queries' log-sum-exp (kept by forward, or computed again). Its own gradient (second order) builds the
 * attention from matmul and softmax on the tape and differentiates that twice: slow, [Tq, Tk] matrices and all, and exact;
 * needed only where a gradient penalty goes through attention.
 */
#include "nn/attention.h"
#include "nn/ops.h"

#include <math.h>
#include <stdio.h>

typedef struct attr {
    nn_attention_opt opt;
    uint64_t         seed;
    int              keeps_lse; /* for the gradient; else nobody will ask, or it is computed again */
    real            *lse;       /* [B, H, Tq]; NULL also on a dry tape                              */
} attr;

enum { Q, K, V, LENGTHS, RELATIVE };        /* inputs of attention */
enum { DY, Y, GRAD_INPUTS };                /* inputs of attention_grad, before those of attention */

static nn_attention_size size_of(nn_node *const *in, int n_in, const attr *a)
{
    const nn_shape *q = &in[Q]->shape, *k = &in[K]->shape, *v = &in[V]->shape;
    const int64_t H = a->opt.heads, rows = n_in > RELATIVE ? in[RELATIVE]->shape.dim[1] : 0;
    return (nn_attention_size){
        .B = q->dim[0], .H = H, .Tq = q->dim[2], .Tk = k->dim[2], .D = q->dim[1] / H, .V = v->dim[1] / H,
        .reach = a->opt.causal ? rows - 1 : (rows - 1) / 2, .n_rows = rows, .causal = a->opt.causal, .seed = a->seed,
        .drop_below = nn_chance_below(a->opt.dropout), .keep_scale = (real)(1 / (1 - a->opt.dropout)),
        .q = in[Q]->x, .k = in[K]->x, .v = in[V]->x, .lengths = n_in > LENGTHS ? in[LENGTHS]->x : NULL,
        .table = n_in > RELATIVE ? in[RELATIVE]->x : NULL,
    };
}

static bl_status check(nn_node *const *in, int n_in, const attr *a, bl_error *err)
{
    const nn_shape *q = &in[Q]->shape, *k = &in[K]->shape, *v = &in[V]->shape;
    const int64_t H = a->opt.heads;
    char sq[96], sk[96], sv[96];
    if (H < 1 || a->opt.dropout < 0 || !(a->opt.dropout < 1))
        return bl_fail(err, BL_EARG, "attention: expected heads from 1 on and dropout in 0 .. 1, got %lld and %g", (long long)H,
                       a->opt.dropout);
    if (q->rank != 3 || k->rank != 3 || v->rank != 3 || q->dim[0] != k->dim[0] || q->dim[0] != v->dim[0]
        || q->dim[1] != k->dim[1] || k->dim[2] != v->dim[2] || q->dim[1] % H || v->dim[1] % H || q->dim[1] < 1)
        return bl_fail(err, BL_ESHAPE, "attention: q %s, k %s, v %s; expected [B, C, Tq], [B, C, Tk], [B, Cv, Tk] with channels "
                                       "divisible by %lld heads", nn_shape_str(q, sq), nn_shape_str(k, sk), nn_shape_str(v, sv),
                       (long long)H);
    if (n_in > LENGTHS && (in[LENGTHS]->shape.rank != 1 || in[LENGTHS]->shape.dim[0] != q->dim[0]))
        return bl_fail(err, BL_ESHAPE, "attention: lengths %s, expected one for each of %lld examples",
                       nn_shape_str(&in[LENGTHS]->shape, sq), (long long)q->dim[0]);
    for (int64_t b = 0; n_in > LENGTHS && in[LENGTHS]->x && b < q->dim[0]; b++) /* a dry tape has no values */
        if (!(in[LENGTHS]->x[b] >= 0 && in[LENGTHS]->x[b] <= (real)k->dim[2]))
            return bl_fail(err, BL_EARG, "attention: the length %g of example %lld lies outside 0 .. %lld",
                           (double)in[LENGTHS]->x[b], (long long)b, (long long)k->dim[2]);
    if (n_in > RELATIVE) {
        const nn_shape *r = &in[RELATIVE]->shape;
        if (r->rank != 3 || r->dim[0] != H || r->dim[2] != q->dim[1] / H || r->dim[1] < 1 || (!a->opt.causal && r->dim[1] % 2 == 0))
            return bl_fail(err, BL_ESHAPE, "attention: relative %s, expected [%lld, rows, %lld]%s", nn_shape_str(r, sq), (long long)H,
                           (long long)(q->dim[1] / H), a->opt.causal ? "" : " with an odd number of rows");
    }
    return BL_OK;
}

/* ---- gradient ---- */

static bl_status grad_shape(nn_node *y, bl_error *err)
{
    nn_node *const *in = y->in + GRAD_INPUTS;
    const int n_in = y->n_in - GRAD_INPUTS;
    char text[96];
    if (check(in, n_in, y->attr, err) != BL_OK)
        return err->code;
    const nn_shape out = { 3, { in[Q]->shape.dim[0], in[V]->shape.dim[1], in[Q]->shape.dim[2] } };
    if (!nn_same_shape(&y->in[DY]->shape, &out))
        return bl_fail(err, BL_ESHAPE, "attention_grad: dy is %s", nn_shape_str(&y->in[DY]->shape, text));
    y->shape = (nn_shape){ 1, { nn_count(&in[Q]->shape) + nn_count(&in[K]->shape) + nn_count(&in[V]->shape)
                                + (n_in > RELATIVE ? nn_count(&in[RELATIVE]->shape) : 0) } };
    return BL_OK;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* lse and y again when forward did not keep lse. */
static int64_t grad_scratch(const nn_node *y)
{
    const attr *a = y->attr;
    const nn_attention_size s = size_of(y->in + GRAD_INPUTS, y->n_in - GRAD_INPUTS, a);
    const int64_t again = a->keeps_lse ? 0 : s.B * s.H * s.Tq * (1 + s.V);
    return again + most(nn_attention_grad_scratch(&s), a->keeps_lse ? 0 : nn_attention_scratch(&s));
}

static void grad_forward(nn_tape *t, nn_node *y)
{
    const attr *a = y->attr;
    const nn_attention_size s = size_of(y->in + GRAD_INPUTS, y->n_in - GRAD_INPUTS, a);
    const int64_t n_lse = s.B * s.H * s.Tq, n_again = a->keeps_lse ? 0 : n_lse * (1 + s.V);
    real *lse = a->keeps_lse ? a->lse : y->scratch, *rest = y->scratch + n_again;
    real *dq = y->x, *dk = dq + s.B * s.H * s.D * s.Tq, *dv = dk + s.B * s.H * s.D * s.Tk;
    (void)t;
    if (!a->keeps_lse)
        nn_attention_run(&s, lse + n_lse, lse, rest);
    nn_attention_grad_run(&s, y->in[Y]->x, lse, y->in[DY]->x, dq, dk, dv, s.table ? dv + s.B * s.H * s.V * s.Tk : NULL, rest);
}

/* Cuts one of the gradients out of attention_grad's vector. */
static nn_node *part(nn_tape *t, nn_node *all, int64_t *offset, nn_shape shape)
{
    const int64_t start = *offset;
    *offset += nn_count(&shape);
    return nn_reshape(t, nn_slice(t, all, 0, start, *offset), shape);
}

/* [B, H, Tq, Tk]: -1e30 where a key is not seen, 0 elsewhere; and 0 there, elsewhere what dropout multiplies with. */
static void masks(nn_tape *t, const nn_attention_size *s, nn_node **added, nn_node **factor)
{
    const nn_shape shape = { 4, { s->B, s->H, s->Tq, s->Tk } };
    *added = nn_full(t, shape, 0);
    *factor = nn_full(t, shape, 1);
    for (int64_t row = 0; row < s->B * s->H * s->Tq && !t->err.code && !t->dry; row++) {
        const int64_t i = row % s->Tq, head = row / s->Tq, length = nn_attention_length(s, head / s->H);
        const uint32_t key = nn_attention_row_key(s, head, i);
        for (int64_t j = 0; j < s->Tk; j++) {
            const int hidden = j >= length || (s->causal && j > i);
            (*added)->x[row * s->Tk + j] = hidden ? (real)-1e30 : 0;
            (*factor)->x[row * s->Tk + j] = hidden ? 0 : s->drop_below ? nn_attention_keep(s, key, j) : 1;
        }
    }
}

/* From the queries' products with the table [B, H, Tq, R] those of each distance: [B, H, Tq, Tk]. */
static nn_node *by_distance(nn_tape *t, const nn_attention_size *s, nn_node *products)
{
    const int64_t rows = s->B * s->H * s->Tq, n = rows * s->Tk;
    int64_t *index = (int64_t *)(void *)nn_scratch(t, n * (int64_t)(sizeof *index / sizeof(real)) + 2);
    for (int64_t row = 0; row < rows && index && !t->dry; row++)
        for (int64_t j = 0; j < s->Tk; j++)
            index[row * s->Tk + j] = row * s->n_rows + nn_attention_row(s, row % s->Tq, j);
    nn_node *flat = nn_reshape(t, products, (nn_shape){ 1, { -1 } });
    return nn_reshape(t, nn_gather_time(t, flat, index, n), (nn_shape){ 4, { s->B, s->H, s->Tq, s->Tk } });
}

/* The same attention from primitive ops. */
static nn_node *composed(nn_tape *t, const nn_attention_size *s, nn_node *const *in)
{
    nn_node *q = nn_reshape(t, in[Q], (nn_shape){ 4, { s->B, s->H, s->D, s->Tq } }), *added, *factor;
    nn_node *k = nn_reshape(t, in[K], (nn_shape){ 4, { s->B, s->H, s->D, s->Tk } });
    nn_node *v = nn_reshape(t, in[V], (nn_shape){ 4, { s->B, s->H, s->V, s->Tk } });
    nn_node *score = nn_matmul(t, q, k, 1, 0);
    if (s->n_rows) {
        nn_node *table = nn_reshape(t, in[RELATIVE], (nn_shape){ 4, { 1, s->H, s->n_rows, s->D } });
        table = nn_broadcast_to(t, table, (nn_shape){ 4, { s->B, s->H, s->n_rows, s->D } });
        score = nn_add(t, score, by_distance(t, s, nn_matmul(t, q, table, 1, 1)));
    }
    masks(t, s, &added, &factor);
    score = nn_add(t, nn_affine(t, score, 1 / sqrt((double)s->D), 0), added);
    nn_node *y = nn_matmul(t, v, nn_mul(t, nn_softmax(t, score), factor), 0, 1);
    return nn_reshape(t, y, (nn_shape){ 3, { s->B, s->H * s->V, s->Tq } });
}

static void grad_backward(nn_tape *t, nn_node *y, nn_node *ddy, nn_node **din)
{
    static const int differentiated[] = { Q, K, V, RELATIVE };
    const int n_in = y->n_in - GRAD_INPUTS, n = n_in > RELATIVE ? 4 : 3;
    nn_attention_size s = size_of(y->in + GRAD_INPUTS, n_in, y->attr);
    nn_node *in[RELATIVE + 1] = { NULL }, *leaf[5], *first[4], *second[5], *sum = NULL;
    int64_t offset = 0;
    if (s.B * s.Tq * s.Tk == 0)
        return;
    const int recording = nn_tape_record(t, 1);
    for (int i = 0; i < n; i++) {
        const nn_node *x = y->in[GRAD_INPUTS + differentiated[i]];
        in[differentiated[i]] = leaf[i] = nn_leaf(t, x->shape, x->x);
    }
    leaf[n] = nn_leaf(t, y->in[DY]->shape, y->in[DY]->x);
    nn_node *again = t->err.code ? NULL : composed(t, &s, in);
    if (again)
        nn_grad(t, again, leaf[n], n, leaf, first, 1);
    for (int i = 0; i < n && !t->err.code; i++) {
        nn_node *weight = part(t, ddy, &offset, leaf[i]->shape);
        nn_node *term = first[i] ? nn_sum(t, nn_mul(t, first[i], weight)) : NULL;
        sum = sum && term ? nn_add(t, sum, term) : term ? term : sum;
    }
    if (sum && !t->err.code)
        nn_grad(t, sum, NULL, n + 1, leaf, second, 0);
    nn_tape_record(t, recording);
    for (int i = 0; i <= n && sum && !t->err.code; i++) {
        const int to = i == n ? DY : GRAD_INPUTS + differentiated[i];
        if (nn_wants_grad(t, y->in[to]))
            din[to] = second[i];
    }
}

static const nn_op grad_op = {
    .name = "attention_grad",
    .summary = "all gradients of attention in one vector",
    .min_in = GRAD_INPUTS + 3,
    .max_in = GRAD_INPUTS + 5,
    .attr_size = sizeof(attr),
    .shape = grad_shape,
    .forward = grad_forward,
    .backward = grad_backward,
    .unread = NN_READ_IN(Y) | NN_READ_OUT,
    .scratch = grad_scratch,
};

/* ---- the op ---- */

static bl_status shape(nn_node *y, bl_error *err)
{
    if (check(y->in, y->n_in, y->attr, err) != BL_OK)
        return err->code;
    y->shape = (nn_shape){ 3, { y->in[Q]->shape.dim[0], y->in[V]->shape.dim[1], y->in[Q]->shape.dim[2] } };
    return BL_OK;
}

static int64_t scratch(const nn_node *y)
{
    const nn_attention_size s = size_of(y->in, y->n_in, y->attr);
    return nn_attention_scratch(&s);
}

static void forward(nn_tape *t, nn_node *y)
{
    const nn_attention_size s = size_of(y->in, y->n_in, y->attr);
    (void)t;
    nn_attention_run(&s, y->x, ((const attr *)y->attr)->lse, y->scratch);
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    nn_node *in[NN_MAX_IN] = { dy, y };
    int64_t offset = 0;
    for (int i = 0; i < y->n_in; i++)
        in[GRAD_INPUTS + i] = y->in[i];
    nn_node *all = nn_apply(t, &grad_op, y->attr, GRAD_INPUTS + y->n_in, in);
    for (int i = 0; i < y->n_in && !t->err.code; i++) {
        if (i == LENGTHS)
            continue;
        if (nn_wants_grad(t, y->in[i]))
            din[i] = part(t, all, &offset, y->in[i]->shape);
        else
            offset += nn_count(&y->in[i]->shape);
    }
}

static int parse(const char *text, void *out)
{
    attr *a = out;
    *a = (attr){ .seed = 12345 };
    return sscanf(text, "%d %d %lf", &a->opt.heads, &a->opt.causal, &a->opt.dropout) == 3;
}

const nn_op nn_op_attention = {
    .name = "attention",
    .summary = "scaled dot-product attention: heads, causal, lengths, relative positions",
    .min_in = 3,
    .max_in = 5,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .no_grad = NN_READ_IN(LENGTHS),
    .scratch = scratch,
    .parse = parse,
    .examples = (const char *const[]){ "[2,4,5] [2,4,3] [2,6,3]; 2 0 0", "[1,3,7] [1,3,7] [1,3,7]; 1 1 0",
                                       "[2,4,3] [2,4,5] [2,2,5] [2]:2..5; 1 0 0.3",
                                       "[2,4,5] [2,4,5] [2,2,5] [2]:0..5 [2,5,2]; 2 0 0",
                                       "[1,2,6] [1,2,6] [1,4,6] [1]:5..6 [2,4,1]; 2 1 0.25", NULL },
};

nn_node *nn_attention(nn_tape *t, nn_node *q, nn_node *k, nn_node *v, nn_node *lengths, nn_node *relative, nn_attention_opt opt)
{
    attr a = { .opt = opt };
    if (t->err.code)
        return NULL;
    a.opt.causal = opt.causal != 0;
    a.opt.dropout = t->training ? opt.dropout : 0;
    if (a.opt.dropout > 0 && !t->dry)
        a.seed = bl_rng_next(&t->rng);
    if (relative && !lengths && k->shape.rank == 3)
        lengths = nn_full(t, (nn_shape){ 1, { k->shape.dim[0] } }, (double)k->shape.dim[2]);
    const int wanted = q->needs_grad || k->needs_grad || v->needs_grad || (relative && relative->needs_grad);
    a.keeps_lse = t->recording && wanted && q->shape.rank == 3 && opt.heads > 0;
    if (a.keeps_lse)
        a.lse = nn_scratch(t, q->shape.dim[0] * opt.heads * q->shape.dim[2]);
    return nn_apply(t, &nn_op_attention, &a, relative ? 5 : lengths ? 4 : 3, (nn_node *const[]){ q, k, v, lengths, relative });
}
