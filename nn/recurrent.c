#include "nn/recurrent.h"

#include "nn/gemm.h"
#include "nn/recurrent_product.h"

#include <omp.h>
#include <string.h>

enum { LANES = NN_RECURRENT_LANES, TILE = NN_RECURRENT_TILE, ROWS = NN_RECURRENT_ROWS, WIDE = 4 /* vectors in a backward panel */ };

/* Sizes and inputs of one call; `in` are the op's own inputs. */
typedef struct call {
    int64_t     B, T, I, H, D;
    int         G, S, with_final;
    int         has_lengths, has_state; /* a dry tape has both without values */
    const real *x, *weight_ih, *weight_hh, *bias, *lengths, *state;
} call;

static call call_of(const nn_cell *cell, nn_node *const *in, int n_in, const nn_recurrent_attr *a)
{
    const int64_t H = in[2]->shape.dim[1];
    return (call){ .B = in[0]->shape.dim[0], .T = in[0]->shape.dim[1], .I = in[0]->shape.dim[2], .H = H,
                   .D = in[2]->shape.dim[0] / (cell->n_gates * H), .G = cell->n_gates, .S = cell->n_states,
                   .with_final = a->with_final, .x = in[0]->x, .weight_ih = in[1]->x, .weight_hh = in[2]->x, .bias = in[3]->x,
                   .has_lengths = n_in > 4, .has_state = n_in > 5,
                   .lengths = n_in > 4 ? in[4]->x : NULL, .state = n_in > 5 ? in[5]->x : NULL };
}

static int64_t rows_of(const call *s) /* in time, of y */
{
    return s->T + (s->with_final ? s->S : 0);
}

static int64_t length_of(const call *s, int64_t b)
{
    const double n = s->lengths ? (double)s->lengths[b] : (double)s->T;
    return n >= (double)s->T ? s->T : n > 0 ? (int64_t)n : 0;
}

/* Where the H values of one direction stand. */
static int64_t at_y(const call *s, int64_t b, int64_t t, int64_t d)
{
    return ((b * rows_of(s) + t) * s->D + d) * s->H;
}

static int64_t at_state(const call *s, int64_t b, int64_t i, int64_t d)
{
    return ((b * s->S + i) * s->D + d) * s->H;
}

static int64_t at_step(const call *s, int64_t b, int64_t t, int64_t d)
{
    return ((b * s->T + t) * s->D + d) * s->H;
}

static int64_t z_count(const call *s)
{
    return s->B * s->T * s->D * s->G * s->H;
}

static int64_t extra_count(const call *s)
{
    return s->B * s->T * s->D * s->H;
}

/* ---- units of work ---- */

/* One direction of n examples, the longest first: those still running are always the first ones. */
typedef struct unit {
    int64_t d, first, n, row[ROWS], length[ROWS];
} unit;

/* Few large blocks use the cache best; as many as give every thread the same number of units. */
static int64_t block_count(const call *s)
{
    const int64_t threads = omp_get_max_threads();
    int64_t n = (s->B + ROWS - 1) / ROWS;
    while (n < s->B && n * s->D % threads)
        n++;
    return n;
}

static unit unit_of(const call *s, int64_t blocks, int64_t i)
{
    unit u = { .d = i / blocks, .first = i % blocks * s->B / blocks };
    u.n = (i % blocks + 1) * s->B / blocks - u.first;
    for (int64_t r = 0; r < u.n; r++) {
        const int64_t length = length_of(s, u.first + r);
        int64_t k = r;
        for (; k > 0 && u.length[k - 1] < length; k--) {
            u.length[k] = u.length[k - 1];
            u.row[k] = u.row[k - 1];
        }
        u.length[k] = length;
        u.row[k] = u.first + r;
    }
    return u;
}

static int64_t running(const unit *u, int64_t t)
{
    int64_t n = u->n;
    while (n > 0 && u->length[n - 1] <= t)
        n--;
    return n;
}

static int64_t tile_end(int64_t n, int64_t tiles, int64_t i)
{
    return (i + 1) * n / tiles;
}

static void copy(real *to, const real *from, int64_t n) /* zeros when from is NULL */
{
    if (from)
        memcpy(to, from, (size_t)n * sizeof *to);
    else
        memset(to, 0, (size_t)n * sizeof *to);
}

/* ---- forward ---- */

static int64_t packed_forward(const call *s)
{
    return nn_recurrent_packed_count(s->H, s->G, s->G * s->H);
}

static int64_t forward_scratch(const call *s)
{
    return s->D * (packed_forward(s) + s->B * 3 * s->H);
}

/* What the cell will read after the product comes from far away: on its way meanwhile. */
static void prefetch(const real *x, int64_t n, int64_t step)
{
    for (int64_t i = 0; i < n; i++)
        __builtin_prefetch(x + i * step);
}

/* z [B, T, D G H]: products in, gates out; extra NULL or [B, T, D H]; local: h, h_next, c of the unit. */
static void unit_forward(const nn_cell *cell, const call *s, const unit *u, const real *packed, real *z, real *extra, real *y,
                         real *local)
{
    const int64_t H = s->H, G = s->G, panels = (H + LANES - 1) / LANES;
    real *h = local, *h_next = h + u->n * H, *c = h_next + u->n * H, product[TILE * 4 * LANES];
    for (int64_t r = 0; r < u->n; r++) {
        copy(h + r * H, s->state ? s->state + at_state(s, u->row[r], 0, u->d) : NULL, H);
        copy(c + r * H, s->state && s->S > 1 ? s->state + at_state(s, u->row[r], 1, u->d) : NULL, H);
    }
    for (int64_t k = 0; k < s->T; k++) {
        const int64_t t = u->d ? s->T - 1 - k : k, n = running(u, t), tiles = (n + TILE - 1) / TILE;
        for (int64_t i = 0; i < panels * tiles; i++) {
            const int64_t p = k & 1 ? panels - 1 - i / tiles : i / tiles, j = p * LANES;
            const int64_t first = i % tiles ? tile_end(n, tiles, i % tiles - 1) : 0, end = tile_end(n, tiles, i % tiles);
            for (int64_t r = first; r < end; r++)
                prefetch(z + at_step(s, u->row[r], t, u->d) * G + j, G, H);
            nn_recurrent_product((int)G, end - first, h + first * H, H, packed + p * H * G * LANES, H, product);
            for (int64_t r = first; r < end; r++) {
                const int64_t at = at_step(s, u->row[r], t, u->d);
                const nn_cell_step step = { .n = H - j < LANES ? H - j : LANES, .H = H, .z = z + at * G + j,
                                            .extra = extra ? extra + at + j : NULL, .bias = s->bias + u->d * 4 * H + j,
                                            .h = h + r * H + j, .c = c + r * H + j, .h_next = h_next + r * H + j };
                cell->forward(&step, product + (r - first) * G * LANES);
            }
        }
        memcpy(h, h_next, (size_t)(n * H) * sizeof *h);
        for (int64_t r = 0; r < u->n; r++)
            copy(y + at_y(s, u->row[r], t, u->d), r < n ? h + r * H : NULL, H);
    }
    for (int64_t r = 0; r < u->n && s->with_final; r++)
        for (int i = 0; i < s->S; i++)
            copy(y + at_y(s, u->row[r], s->T + i, u->d), (i ? c : h) + r * H, H);
}

static void run_forward(const nn_cell *cell, const call *s, real *z, real *extra, real *y, real *scratch)
{
    const int64_t B = s->B, H = s->H, GH = s->G * H, per_direction = packed_forward(s), blocks = block_count(s);
    real *packed = scratch, *local = packed + s->D * per_direction;
    nn_gemm(0, 1, B * s->T, s->D * GH, s->I, 1, s->x, s->I, s->weight_ih, s->I, 0, z, s->D * GH);
    for (int64_t d = 0; d < s->D; d++)
        nn_recurrent_pack(s->weight_hh + d * GH * H, H, 1, s->G, GH, H, packed + d * per_direction);
#pragma omp parallel for schedule(static) if (s->D * blocks > 1 && B * s->T * H > NN_PARALLEL_MIN)
    for (int64_t i = 0; i < s->D * blocks; i++) {
        const unit u = unit_of(s, blocks, i);
        unit_forward(cell, s, &u, packed + u.d * per_direction, z, extra, y, local + (u.d * B + u.first) * 3 * H);
    }
}

/* ---- gradient ---- */

enum { PAD = 16 }; /* rows of dz must not all start at the same place of the cache */

static int64_t packed_backward(const call *s)
{
    return nn_recurrent_packed_plain_count(s->G * s->H, s->H);
}

static int64_t local_backward(const call *s) /* per example and direction */
{
    return 2 * (s->G * s->H + PAD) + 2 * s->H;
}

static int64_t da_count(const call *s)
{
    return s->B * s->T * s->D * 4 * s->H;
}

typedef struct gradient { /* of one call: inputs, results, and the unit's own memory */
    const real *dy, *y, *packed;
    real       *z, *extra, *da, *h_before, *d_state; /* h_before [D, B, T, H] */
} gradient;

typedef struct backward_state {
    real *dz, *dz_next, *dc, *carry;
} backward_state;

/* h or c that step t of example r started from; NULL: zeros. */
static const real *before(const call *s, const unit *u, int64_t r, int64_t t, const real *steps, int64_t width_in_time, int i)
{
    const int64_t b = u->row[r], earlier = u->d ? t + 1 : t - 1;
    if (earlier >= 0 && earlier < u->length[r])
        return steps + ((b * width_in_time + earlier) * s->D + u->d) * s->H;
    return s->state ? s->state + at_state(s, b, i, u->d) : NULL;
}

/* Units j .. of one example at step t: dh is complete but for dy and carry. */
static void example_backward(const nn_cell *cell, const call *s, const unit *u, const gradient *g, const backward_state *w,
                             int64_t r, int64_t t, int64_t j, const real *product)
{
    static const real zeros[LANES] = { 0 };
    const int64_t H = s->H, ld = s->G * H + PAD, b = u->row[r], at = at_step(s, b, t, u->d);
    const real *h = before(s, u, r, t, g->y, rows_of(s), 0);
    const real *c = s->S > 1 ? before(s, u, r, t, g->extra, s->T, 1) : NULL;
    const real *dy = g->dy + at_y(s, b, t, u->d);
    for (int64_t k = 0; k < WIDE * LANES && j < H; k += LANES, j += LANES) {
        real dh[LANES] = { 0 };
        const int64_t n = H - j < LANES ? H - j : LANES;
        const nn_cell_step step = { .n = n, .H = H, .z = g->z + at * s->G + j, .extra = g->extra + at + j,
                                    .h = h ? h + j : zeros, .c = w->dc + r * H + j, .c_before = c ? c + j : zeros,
                                    .carry = w->carry + r * H + j, .dz = w->dz_next + r * ld + j, .da = g->da + at * 4 + j };
        for (int64_t i = 0; i < n; i++)
            dh[i] = product[k + i] + dy[j + i] + step.carry[i];
        cell->backward(&step, dh);
    }
}

static void unit_backward(const nn_cell *cell, const call *s, const unit *u, const gradient *g, real *local)
{
    const int64_t H = s->H, GH = s->G * H, ld = GH + PAD, panels = (H + WIDE * LANES - 1) / (WIDE * LANES);
    backward_state w = { .dz = local, .dz_next = local + u->n * ld, .dc = local + 2 * u->n * ld };
    real product[TILE * WIDE * LANES];
    w.carry = w.dc + u->n * H;
    memset(local, 0, (size_t)(u->n * local_backward(s)) * sizeof *local);
    for (int64_t r = 0; r < u->n && s->with_final; r++) {
        copy(w.carry + r * H, g->dy + at_y(s, u->row[r], s->T, u->d), H);
        if (s->S > 1)
            copy(w.dc + r * H, g->dy + at_y(s, u->row[r], s->T + 1, u->d), H);
    }
    for (int64_t k = s->T - 1; k >= 0; k--) {
        const int64_t t = u->d ? s->T - 1 - k : k, n = running(u, t), tiles = (n + TILE - 1) / TILE;
        for (int64_t i = 0; i < panels * tiles; i++) {
            const int64_t p = k & 1 ? panels - 1 - i / tiles : i / tiles;
            const int64_t first = i % tiles ? tile_end(n, tiles, i % tiles - 1) : 0, end = tile_end(n, tiles, i % tiles);
            nn_recurrent_product(WIDE, end - first, w.dz + first * ld, ld, g->packed + p * GH * WIDE * LANES, GH, product);
            for (int64_t r = first; r < end; r++)
                example_backward(cell, s, u, g, &w, r, t, p * WIDE * LANES, product + (r - first) * WIDE * LANES);
        }
        for (int64_t r = 0; r < u->n; r++) {
            const int64_t at = at_step(s, u->row[r], t, u->d);
            copy(g->h_before + ((u->d * s->B + u->row[r]) * s->T + t) * H, r < n ? before(s, u, r, t, g->y, rows_of(s), 0) : NULL, H);
            if (r >= n)
                memset(g->da + at * 4, 0, (size_t)(4 * H) * sizeof *g->da);
        }
        real *swap = w.dz;
        w.dz = w.dz_next;
        w.dz_next = swap;
    }
    if (!g->d_state)
        return;
    for (int64_t r = 0; r < u->n; r++) { /* through the product of the example's first step, if it has one */
        const int64_t b = u->row[r], length = u->length[r], at = at_step(s, b, u->d ? length - 1 : 0, u->d);
        real *dh = g->d_state + at_state(s, b, 0, u->d);
        copy(dh, w.carry + r * H, H);
        if (s->S > 1)
            copy(g->d_state + at_state(s, b, 1, u->d), w.dc + r * H, H);
        if (length == 0)
            continue;
        memcpy(w.dz, g->da + at * 4, (size_t)((s->G - 1) * H) * sizeof *w.dz);
        memcpy(w.dz + (s->G - 1) * H, g->da + at * 4 + 3 * H, (size_t)H * sizeof *w.dz);
        for (int64_t p = 0; p < panels; p++) {
            nn_recurrent_product(WIDE, 1, w.dz, ld, g->packed + p * GH * WIDE * LANES, GH, product);
            for (int64_t i = 0, j = p * WIDE * LANES; i < WIDE * LANES && j < H; i++, j++)
                dh[j] += product[i];
        }
    }
}

static void column_sums(const real *x, int64_t rows, int64_t width, real *out)
{
    enum { STRIP = 32 };
#pragma omp parallel for schedule(static) if (rows * width > NN_PARALLEL_MIN)
    for (int64_t first = 0; first < width; first += STRIP) {
        const int64_t n = width - first < STRIP ? width - first : STRIP;
        double sum[STRIP] = { 0 };
        for (int64_t r = 0; r < rows; r++)
            for (int64_t j = 0; j < n; j++)
                sum[j] += (double)x[r * width + first + j];
        for (int64_t j = 0; j < n; j++)
            out[first + j] = (real)sum[j];
    }
}

static void weight_gradients(const call *s, const real *da, const real *h_before, real *dx, real *dw_ih, real *dw_hh)
{
    const int64_t rows = s->B * s->T, I = s->I, H = s->H, GH = s->G * H, lda = s->D * 4 * H;
    const int whole = s->G == 4; /* the columns of da are those of z: both directions at once */
    for (int64_t d = 0; d < (whole ? 1 : s->D); d++) {
        const int64_t n = whole ? s->D * GH : GH;
        if (dx)
            nn_gemm(0, 0, rows, I, n, 1, da + d * 4 * H, lda, s->weight_ih + d * n * I, I, d > 0, dx, I);
        nn_gemm(1, 0, n, I, rows, 1, da + d * 4 * H, lda, s->x, I, 0, dw_ih + d * n * I, I);
    }
    for (int64_t d = 0; d < s->D; d++) {
        const real *h = h_before + d * rows * H, *from = da + d * 4 * H;
        real *dw = dw_hh + d * GH * H;
        if (whole) {
            nn_gemm(1, 0, GH, H, rows, 1, from, lda, h, H, 0, dw, H);
        } else {
            nn_gemm(1, 0, GH - H, H, rows, 1, from, lda, h, H, 0, dw, H);
            nn_gemm(1, 0, H, H, rows, 1, from + 3 * H, lda, h, H, 0, dw + (GH - H) * H, H);
        }
    }
}

static int64_t grad_count(const call *s)
{
    return s->B * s->T * s->I + s->D * s->G * s->H * (s->I + s->H) + s->D * 4 * s->H
         + (s->has_state ? s->B * s->S * s->D * s->H : 0);
}

/* ---- the ops ---- */

static bl_status check(const nn_cell *cell, nn_node *const *in, int n_in, const char *what, bl_error *err)
{
    const nn_shape *x = &in[0]->shape, *wi = &in[1]->shape, *wh = &in[2]->shape, *bias = &in[3]->shape;
    const int G = cell->n_gates;
    char a[96], b[96], c[96], d[96];
    const int64_t H = wh->rank == 2 ? wh->dim[1] : 0, D = H > 0 ? wh->dim[0] / (G * H) : 0;
    if (x->rank != 3 || wi->rank != 2 || bias->rank != 1 || D < 1 || D > 2 || wh->dim[0] != D * G * H || wi->dim[0] != wh->dim[0]
        || wi->dim[1] != x->dim[2] || bias->dim[0] != D * 4 * H)
        return bl_fail(err, BL_ESHAPE, "%s%s: x %s, weight_ih %s, weight_hh %s, bias %s; expected [B, T, I], [D %d H, I], "
                       "[D %d H, H], [D 4 H] with D 1 or 2", cell->name, what, nn_shape_str(x, a), nn_shape_str(wi, b),
                       nn_shape_str(wh, c), nn_shape_str(bias, d), G, G);
    if (n_in > 4 && (in[4]->shape.rank != 1 || in[4]->shape.dim[0] != x->dim[0]))
        return bl_fail(err, BL_ESHAPE, "%s%s: lengths must be [%lld], one per example, got %s", cell->name, what,
                       (long long)x->dim[0], nn_shape_str(&in[4]->shape, a));
    const nn_shape state = { 3, { x->dim[0], cell->n_states, D * H } };
    if (n_in > 5 && !nn_same_shape(&in[5]->shape, &state))
        return bl_fail(err, BL_ESHAPE, "%s%s: the state must be %s, got %s", cell->name, what, nn_shape_str(&state, a),
                       nn_shape_str(&in[5]->shape, b));
    return BL_OK;
}

bl_status nn_recurrent_shape(const nn_cell *cell, nn_node *y, bl_error *err)
{
    if (check(cell, y->in, y->n_in, "", err) != BL_OK)
        return err->code;
    const call s = call_of(cell, y->in, y->n_in, y->attr);
    y->shape = (nn_shape){ 3, { s.B, rows_of(&s), s.D * s.H } };
    return BL_OK;
}

int64_t nn_recurrent_scratch(const nn_cell *cell, const nn_node *y)
{
    const nn_recurrent_attr *a = y->attr;
    const call s = call_of(cell, y->in, y->n_in, a);
    return forward_scratch(&s) + (a->saved ? 0 : z_count(&s));
}

void nn_recurrent_forward(const nn_cell *cell, nn_node *y)
{
    const nn_recurrent_attr *a = y->attr;
    const call s = call_of(cell, y->in, y->n_in, a);
    real *z = a->saved ? a->saved : y->scratch + forward_scratch(&s);
    run_forward(cell, &s, z, a->saved ? z + z_count(&s) : NULL, y->x, y->scratch);
}

bl_status nn_recurrent_grad_shape(const nn_cell *cell, nn_node *y, bl_error *err)
{
    char a[96], b[96];
    if (check(cell, y->in + 2, y->n_in - 2, "_grad", err) != BL_OK)
        return err->code;
    const call s = call_of(cell, y->in + 2, y->n_in - 2, y->attr);
    const nn_shape want = { 3, { s.B, rows_of(&s), s.D * s.H } };
    if (!nn_same_shape(&y->in[0]->shape, &want) || !nn_same_shape(&y->in[1]->shape, &want))
        return bl_fail(err, BL_ESHAPE, "%s_grad: dy and y must be %s, got %s", cell->name, nn_shape_str(&want, a),
                       nn_shape_str(&y->in[0]->shape, b));
    y->shape = (nn_shape){ 1, { grad_count(&s) } };
    return BL_OK;
}

/* da, h_before, the units' memory, packed weights; without `saved`, what a forward run needs, its y included. */
int64_t nn_recurrent_grad_scratch(const nn_cell *cell, const nn_node *y)
{
    const nn_recurrent_attr *a = y->attr;
    const call s = call_of(cell, y->in + 2, y->n_in - 2, a);
    const int64_t again = z_count(&s) + extra_count(&s) + forward_scratch(&s) + s.B * rows_of(&s) * s.D * s.H;
    return da_count(&s) + extra_count(&s) + s.B * s.D * local_backward(&s) + s.D * packed_backward(&s) + (a->saved ? 0 : again);
}

void nn_recurrent_grad_forward(const nn_cell *cell, nn_node *y)
{
    const nn_recurrent_attr *a = y->attr;
    const call s = call_of(cell, y->in + 2, y->n_in - 2, a);
    const int64_t GH = s.G * s.H, per_direction = packed_backward(&s), blocks = block_count(&s);
    real *da = y->scratch, *h_before = da + da_count(&s), *local = h_before + extra_count(&s);
    real *packed = local + s.B * s.D * local_backward(&s), *z = a->saved ? a->saved : packed + s.D * per_direction;
    real *extra = z + z_count(&s);
    if (!a->saved) {
        real *scratch = extra + extra_count(&s);
        run_forward(cell, &s, z, extra, scratch + forward_scratch(&s), scratch);
    }
    for (int64_t d = 0; d < s.D; d++)
        nn_recurrent_pack_plain(s.weight_hh + d * GH * s.H, GH, s.H, s.H, 1, packed + d * per_direction);
    real *dx = y->x, *dw_ih = dx + s.B * s.T * s.I, *dw_hh = dw_ih + s.D * GH * s.I, *dbias = dw_hh + s.D * GH * s.H;
    const gradient g = { .dy = y->in[0]->x, .y = y->in[1]->x, .packed = packed, .z = z, .extra = extra, .da = da,
                         .h_before = h_before, .d_state = s.state ? dbias + s.D * 4 * s.H : NULL };
#pragma omp parallel for schedule(static) if (s.D * blocks > 1 && s.B * s.T * s.H > NN_PARALLEL_MIN)
    for (int64_t i = 0; i < s.D * blocks; i++) {
        const unit u = unit_of(&s, blocks, i);
        gradient mine = g;
        mine.packed += u.d * per_direction;
        unit_backward(cell, &s, &u, &mine, local + (u.d * s.B + u.first) * local_backward(&s));
    }
    if (a->skip_dx)
        copy(dx, NULL, s.B * s.T * s.I);
    weight_gradients(&s, da, h_before, a->skip_dx ? NULL : dx, dw_ih, dw_hh);
    column_sums(da, s.B * s.T, s.D * 4 * s.H, dbias);
}

/* Cuts one gradient out of the vector of all. */
static nn_node *part(nn_tape *t, nn_node *all, int64_t *offset, nn_shape shape)
{
    const int64_t start = *offset;
    *offset += nn_count(&shape);
    return nn_reshape(t, nn_slice(t, all, 0, start, *offset), shape);
}

void nn_recurrent_backward(const nn_cell *cell, const nn_op *grad, nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    nn_recurrent_attr a = *(const nn_recurrent_attr *)y->attr;
    nn_node *in[NN_MAX_IN] = { dy, nn_detach(t, y) };
    int64_t offset = 0;
    (void)cell;
    a.skip_dx = !nn_wants_grad(t, y->in[0]);
    for (int i = 0; i < y->n_in; i++)
        in[2 + i] = y->in[i];
    nn_node *all = nn_apply(t, grad, &a, y->n_in + 2, in);
    if (nn_consumes(t))
        nn_scratch_release(t, a.saved);
    for (int i = 0; i < y->n_in && !t->err.code; i++) {
        if (i == 4) /* lengths */
            continue;
        if (nn_wants_grad(t, y->in[i]))
            din[i] = part(t, all, &offset, y->in[i]->shape);
        else
            offset += nn_count(&y->in[i]->shape);
    }
}

/* ---- second order ---- */

/* Joins n nodes along dimension 1, at most NN_MAX_IN at a time; overwrites the list. */
static nn_node *join(nn_tape *t, int64_t n, nn_node **list)
{
    while (n > 1 && !t->err.code) {
        int64_t n_out = 0;
        for (int64_t i = 0; i < n; i += NN_MAX_IN) {
            const int64_t count = n - i < NN_MAX_IN ? n - i : NN_MAX_IN;
            list[n_out++] = count > 1 ? nn_concat(t, 1, (int)count, list + i) : list[i];
        }
        n = n_out;
    }
    return t->err.code ? NULL : list[0];
}

/* 1 for each example that has a step t, else 0: [B, 1]. */
static nn_node *mask_of(nn_tape *t, const call *s, int64_t step)
{
    nn_node *mask = nn_full(t, (nn_shape){ 2, { s->B, 1 } }, 0);
    for (int64_t b = 0; mask && b < s->B && !t->dry; b++)
        mask->x[b] = step < length_of(s, b);
    return mask;
}

/* One direction from primitive ops: [B, T (+ S), H]. leaf: the op's inputs, z [B, T, D G H]. */
static nn_node *composed_direction(const nn_cell *cell, nn_tape *t, const call *s, nn_node *const *leaf, nn_node *z, int64_t d)
{
    const int64_t B = s->B, H = s->H, GH = s->G * H;
    nn_node **out = nn_tape_alloc(t, (size_t)(s->T + 2) * sizeof *out);
    nn_node *weight = nn_slice(t, leaf[2], 0, d * GH, (d + 1) * GH), *bias = nn_slice(t, leaf[3], 0, d * 4 * H, (d + 1) * 4 * H);
    nn_node *state[2] = { NULL, NULL };
    const nn_shape one = { 3, { B, 1, H } }, flat = { 2, { B, H } };
    for (int i = 0; i < s->S; i++)
        state[i] = s->has_state ? nn_reshape(t, nn_slice(t, nn_slice(t, leaf[5], 1, i, i + 1), 2, d * H, (d + 1) * H), flat)
                            : nn_full(t, flat, 0);
    for (int64_t k = 0; k < s->T && !t->err.code; k++) {
        const int64_t step = d ? s->T - 1 - k : k;
        nn_node *now = nn_slice(t, nn_slice(t, z, 1, step, step + 1), 2, d * GH, (d + 1) * GH), *old[2] = { state[0], state[1] };
        state[0] = cell->composed(t, nn_reshape(t, now, (nn_shape){ 2, { B, GH } }), weight, bias, state[0], &state[1]);
        nn_node *y = state[0];
        if (s->has_lengths) {
            nn_node *mask = mask_of(t, s, step);
            y = nn_mul(t, y, mask);
            for (int i = 0; i < s->S; i++)
                state[i] = nn_add(t, old[i], nn_mul(t, nn_sub(t, state[i], old[i]), mask));
        }
        out[step] = nn_reshape(t, y, one);
    }
    for (int i = 0; s->with_final && i < s->S; i++)
        out[s->T + i] = nn_reshape(t, state[i], one);
    return t->err.code ? NULL : join(t, rows_of(s), out);
}

static nn_node *composed(const nn_cell *cell, nn_tape *t, const call *s, nn_node *const *leaf)
{
    nn_node *z = nn_matmul(t, leaf[0], leaf[1], 0, 1), *y[2] = { NULL, NULL };
    for (int64_t d = 0; d < s->D; d++)
        y[d] = composed_direction(cell, t, s, leaf, z, d);
    return s->D == 2 ? nn_concat(t, 2, 2, y) : y[0];
}

void nn_recurrent_grad_backward(const nn_cell *cell, nn_tape *t, nn_node *y, nn_node *ddy, nn_node **din)
{
    const call s = call_of(cell, y->in + 2, y->n_in - 2, y->attr);
    nn_node *leaf[NN_MAX_IN] = { NULL }, *first[NN_MAX_IN] = { NULL }, *second[NN_MAX_IN] = { NULL }, *sum = NULL;
    const int n = y->n_in - 1; /* the op's inputs, then dy */
    int64_t offset = 0;
    if (s.T == 0)
        return;
    const int recording = nn_tape_record(t, 1);
    for (int i = 0; i < n; i++) {
        const nn_node *in = y->in[i < n - 1 ? i + 2 : 0];
        leaf[i] = nn_leaf(t, in->shape, in->x);
    }
    nn_node *h = composed(cell, t, &s, leaf);
    if (h)
        nn_grad(t, h, leaf[n - 1], n - 1, leaf, first, 1);
    for (int i = 0; i < n - 1 && !t->err.code; i++) {
        if (i == 4)
            continue;
        nn_node *weight = part(t, ddy, &offset, y->in[i + 2]->shape);
        nn_node *term = first[i] ? nn_sum(t, nn_mul(t, first[i], weight)) : NULL;
        sum = sum && term ? nn_add(t, sum, term) : term ? term : sum;
    }
    if (sum && !t->err.code)
        nn_grad(t, sum, NULL, n, leaf, second, 0);
    nn_tape_record(t, recording);
    for (int i = 0; i < n && sum && !t->err.code; i++) {
        const int at = i < n - 1 ? i + 2 : 0;
        if (nn_wants_grad(t, y->in[at]))
            din[at] = second[i];
    }
}

/* ---- calls ---- */

int nn_recurrent_parse(const char *text, void *attr)
{
    nn_recurrent_attr *a = attr;
    *a = (nn_recurrent_attr){ .with_final = !strcmp(text, "with_final") };
    return a->with_final || !*text;
}

nn_node *nn_recurrent_apply(const nn_cell *cell, const nn_op *op, nn_tape *t, nn_node *x, nn_node *weight_ih, nn_node *weight_hh,
                            nn_node *bias, nn_node *lengths, nn_node *state, int with_final)
{
    nn_recurrent_attr a = { .with_final = with_final != 0 };
    if (t->err.code)
        return NULL;
    if (state && !lengths && x->shape.rank == 3)
        lengths = nn_full(t, (nn_shape){ 1, { x->shape.dim[0] } }, (double)x->shape.dim[1]);
    nn_node *in[] = { x, weight_ih, weight_hh, bias, lengths, state };
    const int n_in = state ? 6 : lengths ? 5 : 4;
    int wanted = 0;
    for (int i = 0; i < n_in && !t->err.code; i++)
        wanted |= in[i]->needs_grad;
    if (t->recording && wanted && !t->err.code && check(cell, in, n_in, "", &t->err) == BL_OK) {
        const call s = call_of(cell, in, n_in, &a);
        a.saved = nn_scratch(t, z_count(&s) + extra_count(&s));
    }
    return nn_apply(t, op, &a, n_in, in);
}
