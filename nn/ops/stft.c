/* nn/ops/stft.c - short-time Fourier transform as a linear op, and its adjoint.
 *
 *     X[b, 0/1, f, j] = re/im of sum over n of w[n] x[b, j hop + n - n_fft/2] exp(-2 pi i f n / n_fft)
 *
 * in       x [B, T]
 * out      [B, 2, F, J],  F = n_fft/2 + 1,  J = T / hop_length + 1; outside x is zero
 * options  n_fft even; win_length <= n_fft, periodic Hann, centred in the frame
 *
 * stft and stft_adjoint are each other's gradient. Nothing is divided by n_fft.
 * source   Allen & Rabiner 1977
 */
#include "nn/ops.h"

#include "base/fft.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

typedef struct attr { nn_stft_opt o; long long n_samples; } attr;

static bl_status check(const nn_stft_opt *o, bl_error *err)
{
    if (o->n_fft < 2 || o->n_fft % 2 || o->hop_length < 1 || o->win_length < 1 || o->win_length > o->n_fft)
        return bl_fail(err, BL_EARG, "stft: n_fft %d must be even, hop_length %d positive, win_length %d at most n_fft",
                       o->n_fft, o->hop_length, o->win_length);
    return BL_OK;
}

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *x = &y->in[0]->shape;
    const attr *a = y->attr;
    char text[96];
    if (check(&a->o, err) != BL_OK)
        return BL_EARG;
    if (x->rank != 2)
        return bl_fail(err, BL_ESHAPE, "stft: expected x [B, T], got %s", nn_shape_str(x, text));
    y->shape = (nn_shape){ 4, { x->dim[0], 2, a->o.n_fft / 2 + 1, x->dim[1] / a->o.hop_length + 1 } };
    return BL_OK;
}

static void make_window(const nn_stft_opt *o, real *w)
{
    const int start = (o->n_fft - o->win_length) / 2;
    memset(w, 0, (size_t)o->n_fft * sizeof(real));
    for (int i = 0; i < o->win_length; i++)
        w[start + i] = (real)(0.5 - 0.5 * cos(2 * 3.14159265358979323846 * i / o->win_length));
}

/* Plans are kept: making one costs more than running it. Threads borrow from one pool, so that none is lost with the
 * thread that made it. */
enum { KEPT = 64 };
typedef struct kept_plan { int n, busy; bl_fft_real *fft; } kept_plan;
static kept_plan pool[KEPT];

/* Index into the pool, -1 when there is no memory or all are busy. */
static int borrow_plan(int n)
{
    int found = -1, idle = -1;
#pragma omp critical(nn_stft_pool)
    {
        for (int i = KEPT - 1; i >= 0; i--)
            if (!pool[i].busy) {
                if (pool[i].n == n)
                    found = i;
                if (idle < 0 || !pool[i].n)
                    idle = i;
            }
        if (found < 0 && idle >= 0) {
            bl_fft_real_free(pool[idle].fft);
            pool[idle].fft = bl_fft_real_new(n, NULL);
            pool[idle].n = pool[idle].fft ? n : 0;
            found = pool[idle].fft ? idle : -1;
        }
        if (found >= 0)
            pool[found].busy = 1;
    }
    return found;
}

static void return_plan(int i)
{
#pragma omp critical(nn_stft_pool)
    pool[i].busy = 0;
}

/* A thread takes runs of frames, so that it writes stretches of each output row. */
enum { RUN = 16 };

static void forward(nn_tape *t, nn_node *y)
{
    const attr *a = y->attr;
    const int n_fft = a->o.n_fft, hop = a->o.hop_length;
    const int64_t B = y->shape.dim[0], F = y->shape.dim[2], J = y->shape.dim[3], T = y->in[0]->shape.dim[1];
    const int64_t runs = (J + RUN - 1) / RUN, per_thread = n_fft + (n_fft + 2) * RUN;
    real *scratch = nn_scratch(t, n_fft + omp_get_max_threads() * per_thread), *window = scratch;
    int failed = 0;
    if (!scratch)
        return;
    make_window(&a->o, window);
#pragma omp parallel for schedule(static) if (B * runs > 1)
    for (int64_t r = 0; r < B * runs; r++) {
        const int64_t b = r / runs, j0 = r % runs * RUN, n = J - j0 < RUN ? J - j0 : RUN;
        const real *x = y->in[0]->x + b * T;
        real *frame = scratch + n_fft + omp_get_thread_num() * per_thread, *spectra = frame + n_fft;
        const int plan = borrow_plan(n_fft);
        if (plan < 0) {
#pragma omp atomic write
            failed = 1;
            continue;
        }
        for (int64_t j = 0; j < n; j++) {
            const int64_t start = (j0 + j) * hop - n_fft / 2;
            for (int i = 0; i < n_fft; i++) {
                const int64_t at = start + i;
                frame[i] = at >= 0 && at < T ? window[i] * x[at] : 0;
            }
            bl_fft_real_forward(pool[plan].fft, frame, spectra + j * (n_fft + 2));
        }
        for (int64_t f = 0; f < F; f++) {
            real *re = y->x + ((b * 2 + 0) * F + f) * J + j0, *im = y->x + ((b * 2 + 1) * F + f) * J + j0;
            for (int64_t j = 0; j < n; j++) {
                re[j] = spectra[j * (n_fft + 2) + 2 * f];
                im[j] = spectra[j * (n_fft + 2) + 2 * f + 1];
            }
        }
        return_plan(plan);
    }
    nn_scratch_release(t, scratch);
    if (failed)
        bl_fail(&t->err, BL_ENOMEM, "stft: no memory for an FFT of %d", n_fft);
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_stft_adjoint(t, dy, ((const attr *)y->attr)->o, y->in[0]->shape.dim[1]);
}

static int parse(const char *text, void *out)
{
    attr *a = out;
    a->n_samples = 0;
    return sscanf(text, "%d %d %d %lld", &a->o.n_fft, &a->o.hop_length, &a->o.win_length, &a->n_samples) >= 3;
}

const nn_op nn_op_stft = {
    .name = "stft",
    .summary = "short-time Fourier transform [B, T] -> [B, 2, F, frames]",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .unread = NN_READ_ANY,
    .parse = parse,
    .examples = (const char *const[]){ "[2,37]; 16 4 16", "[1,40]; 16 8 12", "[1,5]; 8 3 8", NULL },
};

nn_node *nn_stft(nn_tape *t, nn_node *x, nn_stft_opt opt)
{
    return nn_apply(t, &nn_op_stft, &(attr){ opt, 0 }, 1, &x);
}

/* ---- the adjoint: x[n] = sum over frames and bins, real part, windowed and overlap-added ---- */

static bl_status adjoint_shape(nn_node *y, bl_error *err)
{
    const nn_shape *s = &y->in[0]->shape;
    const attr *a = y->attr;
    char text[96];
    if (check(&a->o, err) != BL_OK)
        return BL_EARG;
    if (s->rank != 4 || s->dim[1] != 2 || s->dim[2] != a->o.n_fft / 2 + 1 || s->dim[3] != a->n_samples / a->o.hop_length + 1)
        return bl_fail(err, BL_ESHAPE, "stft_adjoint: expected [B, 2, %d, %lld], got %s", a->o.n_fft / 2 + 1,
                       a->n_samples / a->o.hop_length + 1, nn_shape_str(s, text));
    y->shape = (nn_shape){ 2, { s->dim[0], a->n_samples } };
    return BL_OK;
}

static void adjoint_forward(nn_tape *t, nn_node *y)
{
    const attr *a = y->attr;
    const int n_fft = a->o.n_fft, hop = a->o.hop_length;
    const nn_shape *s = &y->in[0]->shape;
    const int64_t B = s->dim[0], F = s->dim[2], J = s->dim[3], T = a->n_samples;
    const int64_t runs = (J + RUN - 1) / RUN, per_thread = (n_fft + 2);
    /* frames first (parallel), then each example adds up its own (parallel over examples and stretches of time) */
    real *frames = nn_scratch(t, B * J * n_fft);
    real *scratch = nn_scratch(t, n_fft + omp_get_max_threads() * per_thread), *window = scratch;
    int failed = 0;
    if (!scratch || !frames)
        return;
    make_window(&a->o, window);
#pragma omp parallel for schedule(static) if (B * runs > 1)
    for (int64_t r = 0; r < B * runs; r++) {
        const int64_t b = r / runs, j0 = r % runs * RUN, n = J - j0 < RUN ? J - j0 : RUN;
        real *spectrum = scratch + n_fft + omp_get_thread_num() * per_thread;
        const int plan = borrow_plan(n_fft);
        if (plan < 0) {
#pragma omp atomic write
            failed = 1;
            continue;
        }
        for (int64_t j = j0; j < j0 + n; j++) {
            /* The inverse transform counts inner bins twice and divides by n_fft: undo both. */
            for (int64_t f = 0; f < F; f++) {
                const real twice = (f == 0 || f == F - 1) ? (real)n_fft : (real)n_fft / 2;
                spectrum[2 * f] = y->in[0]->x[((b * 2 + 0) * F + f) * J + j] * twice;
                spectrum[2 * f + 1] = y->in[0]->x[((b * 2 + 1) * F + f) * J + j] * twice;
            }
            spectrum[1] = spectrum[2 * F - 1] = 0;
            real *frame = frames + (b * J + j) * n_fft;
            bl_fft_real_inverse(pool[plan].fft, spectrum, frame);
            for (int i = 0; i < n_fft; i++)
                frame[i] *= window[i];
        }
        return_plan(plan);
    }
    const int64_t stretch = 8192, stretches = (T + stretch - 1) / stretch;
#pragma omp parallel for schedule(static) if (B * stretches > 1)
    for (int64_t r = 0; r < B * stretches; r++) {
        const int64_t b = r / stretches, t0 = r % stretches * stretch, t1 = t0 + stretch < T ? t0 + stretch : T;
        real *x = y->x + b * T;
        for (int64_t i = t0; i < t1; i++)
            x[i] = 0;
        int64_t first = (t0 - n_fft / 2) / hop;
        for (int64_t j = first < 0 ? 0 : first; j < J; j++) {
            const int64_t start = j * hop - n_fft / 2;
            const int64_t i0 = start > t0 ? start : t0, i1 = start + n_fft < t1 ? start + n_fft : t1;
            if (start >= t1)
                break;
            const real *frame = frames + (b * J + j) * n_fft - start;
            for (int64_t i = i0; i < i1; i++)
                x[i] += frame[i];
        }
    }
    nn_scratch_release(t, scratch);
    nn_scratch_release(t, frames);
    if (failed)
        bl_fail(&t->err, BL_ENOMEM, "stft_adjoint: no memory for an FFT of %d", n_fft);
}

static void adjoint_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    (void)y;
    din[0] = nn_stft(t, dy, ((const attr *)y->attr)->o);
}

static const nn_op adjoint_op = {
    .name = "stft_adjoint",
    .summary = "adjoint of stft",
    .min_in = 1,
    .max_in = 1,
    .attr_size = sizeof(attr),
    .shape = adjoint_shape,
    .forward = adjoint_forward,
    .backward = adjoint_backward,
    .unread = NN_READ_ANY,
};

nn_node *nn_stft_adjoint(nn_tape *t, nn_node *spectrum, nn_stft_opt opt, int64_t n_samples)
{
    return nn_apply(t, &adjoint_op, &(attr){ opt, n_samples }, 1, &spectrum);
}

nn_node *nn_stft_magnitude(nn_tape *t, nn_node *x, nn_stft_opt opt, double eps)
{
    nn_node *s = nn_stft(t, x, opt);
    if (t->err.code)
        return NULL;
    const nn_shape out = { 3, { s->shape.dim[0], s->shape.dim[2], s->shape.dim[3] } };
    nn_node *power = nn_sum_dims(t, nn_square(t, s), 2u);
    return nn_sqrt(t, nn_affine(t, nn_reshape(t, power, out), 1, eps));
}
