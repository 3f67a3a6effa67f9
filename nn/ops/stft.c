/* nn/ops/stft.c - short-time Fourier transform as a linear op, and its adjoint. Equals torch.stft.
 *
 *     X[b, 0/1, f, j] = re/im of sum over n of w[n] p[b, j hop + n] exp(-2 pi i f n / n_fft)
 *
 * in       x [B, T]; p is x with n_fft/2 samples more on each side, or x itself (pad NN_STFT_NONE)
 * out      [B, 2, F, J],  F = n_fft/2 + 1,  J = T / hop_length + 1, without padding (T - n_fft) / hop_length + 1
 * options  n_fft even; win_length <= n_fft, the window stands in the middle of the frame; pad: zeros, reflect (without the
 *          edge sample), replicate; window: periodic Hann, periodic Hamming, ones
 * errors   BL_EARG: options; BL_ESHAPE: shapes, or x too short to be reflected or to fill one frame
 * cost     J real FFTs; frames inside x are windowed straight from it. Scratch: 17 frames per thread forward, the padded signals
 *          and all frames backward.
 *
 * stft and stft_adjoint are each other's gradient. Nothing is divided by n_fft. Every frame is computed alone and every sample
 * of the adjoint adds its frames in order: the same bits at any number of threads.
 * source   Allen & Rabiner 1977
 */
#include "nn/ops.h"
#include "nn/table.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

typedef struct attr { nn_stft_opt o; long long n_samples; } attr;

/* A thread takes runs of frames, so that it writes stretches of each output row. */
enum { RUN = 16, ALIGN = 16 };

static int64_t aligned(int64_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

static int64_t pad_of(const nn_stft_opt *o)
{
    return o->pad == NN_STFT_NONE ? 0 : o->n_fft / 2;
}

int64_t nn_stft_frames(const nn_stft_opt *o, int64_t n_samples)
{
    const int64_t room = n_samples + 2 * pad_of(o) - o->n_fft;
    return room < 0 ? 0 : room / o->hop_length + 1;
}

/* ---- the window ---- */

static void fill_window(const nn_table_key *key, real *w)
{
    const int n_fft = (int)key->value[0], n = (int)key->value[1], start = (n_fft - n) / 2;
    const double a = key->value[2] == NN_STFT_HANN ? 0.5 : key->value[2] == NN_STFT_HAMMING ? 0.54 : 1;
    memset(w, 0, (size_t)n_fft * sizeof(real));
    for (int i = 0; i < n; i++)
        w[start + i] = (real)(a - (1 - a) * cos(2 * 3.14159265358979323846 * i / n));
}

static const real *window_of(const nn_stft_opt *o, bl_error *err)
{
    return nn_table(&(nn_table_key){ "stft window", { o->n_fft, o->win_length, o->window } }, o->n_fft, fill_window, err);
}

static bl_status check(const nn_stft_opt *o, bl_error *err)
{
    if (o->n_fft < 2 || o->n_fft % 2 || o->hop_length < 1 || o->win_length < 1 || o->win_length > o->n_fft)
        return bl_fail(err, BL_EARG, "stft: n_fft %d must be even, hop_length %d positive, win_length %d at most n_fft",
                       o->n_fft, o->hop_length, o->win_length);
    return window_of(o, err) && nn_fft(o->n_fft, err) ? BL_OK : BL_ENOMEM;
}

static bl_status check_length(const nn_stft_opt *o, int64_t n_samples, bl_error *err)
{
    if (o->pad == NN_STFT_REFLECT && n_samples <= o->n_fft / 2)
        return bl_fail(err, BL_ESHAPE, "stft: %lld samples are too few to be reflected by n_fft/2 = %d", (long long)n_samples, o->n_fft / 2);
    if ((o->pad == NN_STFT_NONE && n_samples < o->n_fft) || (o->pad == NN_STFT_REPLICATE && n_samples < 1))
        return bl_fail(err, BL_ESHAPE, "stft: %lld samples are fewer than a frame needs", (long long)n_samples);
    return BL_OK;
}

/* ---- forward ---- */

static bl_status shape(nn_node *y, bl_error *err)
{
    const nn_shape *x = &y->in[0]->shape;
    const attr *a = y->attr;
    char text[96];
    if (check(&a->o, err) != BL_OK)
        return err->code;
    if (x->rank != 2)
        return bl_fail(err, BL_ESHAPE, "stft: expected x [B, T], got %s", nn_shape_str(x, text));
    if (check_length(&a->o, x->dim[1], err) != BL_OK)
        return BL_ESHAPE;
    y->shape = (nn_shape){ 4, { x->dim[0], 2, a->o.n_fft / 2 + 1, nn_stft_frames(&a->o, x->dim[1]) } };
    return BL_OK;
}

/* Where sample `at` of x comes from, when it lies outside; -1: a zero. */
static int64_t source_of(nn_stft_pad pad, int64_t at, int64_t T)
{
    if (at >= 0 && at < T)
        return at;
    if (pad == NN_STFT_REFLECT)
        return at < 0 ? -at : 2 * (T - 1) - at;
    return pad == NN_STFT_REPLICATE ? (at < 0 ? 0 : T - 1) : -1;
}

static void take_frame(const nn_stft_opt *o, const real *x, int64_t T, int64_t start, const real *window, real *frame)
{
    if (start >= 0 && start + o->n_fft <= T) {
        for (int i = 0; i < o->n_fft; i++)
            frame[i] = window[i] * x[start + i];
        return;
    }
    for (int i = 0; i < o->n_fft; i++) {
        const int64_t from = source_of(o->pad, start + i, T);
        frame[i] = from < 0 ? 0 : window[i] * x[from];
    }
}

static int64_t scratch(const nn_node *y)
{
    const int64_t n_fft = ((const attr *)y->attr)->o.n_fft;
    return omp_get_max_threads() * (aligned(n_fft) + RUN * aligned(n_fft + 2));
}

static void forward(nn_tape *t, nn_node *y)
{
    const nn_stft_opt *o = &((const attr *)y->attr)->o;
    const int64_t B = y->shape.dim[0], F = y->shape.dim[2], J = y->shape.dim[3], T = y->in[0]->shape.dim[1];
    const int64_t runs = (J + RUN - 1) / RUN, width = aligned(o->n_fft + 2), per_thread = aligned(o->n_fft) + RUN * width;
    const real *window = window_of(o, &t->err);
    const bl_fft_real *fft = nn_fft(o->n_fft, &t->err);
#pragma omp parallel for schedule(static) if (B * J * o->n_fft > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < B * runs; r++) {
        const int64_t b = r / runs, j0 = r % runs * RUN, n = J - j0 < RUN ? J - j0 : RUN;
        real *frame = y->scratch + omp_get_thread_num() * per_thread, *spectra = frame + aligned(o->n_fft);
        for (int64_t j = 0; j < n; j++) {
            take_frame(o, y->in[0]->x + b * T, T, (j0 + j) * o->hop_length - pad_of(o), window, frame);
            bl_fft_real_forward_on(fft, frame, spectra + j * width);
        }
        for (int64_t f = 0; f < F; f++) {
            real *re = y->x + ((b * 2 + 0) * F + f) * J + j0, *im = y->x + ((b * 2 + 1) * F + f) * J + j0;
            for (int64_t j = 0; j < n; j++) {
                re[j] = spectra[j * width + 2 * f];
                im[j] = spectra[j * width + 2 * f + 1];
            }
        }
    }
}

static void backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
    din[0] = nn_stft_adjoint(t, dy, ((const attr *)y->attr)->o, y->in[0]->shape.dim[1]);
}

static int parse(const char *text, void *out)
{
    attr *a = out;
    int pad = 0, window = 0;
    memset(a, 0, sizeof *a);
    const int n = sscanf(text, "%d %d %d %d %d", &a->o.n_fft, &a->o.hop_length, &a->o.win_length, &pad, &window);
    a->o.pad = (nn_stft_pad)pad;
    a->o.window = (nn_stft_window)window;
    return n >= 3;
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
    .scratch = scratch,
    .parse = parse,
    .examples = (const char *const[]){ "[2,37]; 16 4 16", "[1,40]; 16 8 12", "[1,5]; 8 3 8", "[2,37]; 16 4 16 1", "[1,21]; 8 5 6 2 1",
                                       "[2,23]; 8 4 8 3 2", "[1,9]; 16 4 16 1", NULL },
};

nn_node *nn_stft(nn_tape *t, nn_node *x, nn_stft_opt opt)
{
    return nn_apply(t, &nn_op_stft, &(attr){ opt, 0 }, 1, &x);
}

/* ---- the adjoint: x[n] = sum over frames and bins, real part, windowed and overlap-added, then folded as it was padded ---- */

static bl_status adjoint_shape(nn_node *y, bl_error *err)
{
    const nn_shape *s = &y->in[0]->shape;
    const attr *a = y->attr;
    char text[96];
    if (check(&a->o, err) != BL_OK)
        return err->code;
    if (check_length(&a->o, a->n_samples, err) != BL_OK)
        return BL_ESHAPE;
    const int64_t J = nn_stft_frames(&a->o, a->n_samples);
    if (s->rank != 4 || s->dim[1] != 2 || s->dim[2] != a->o.n_fft / 2 + 1 || s->dim[3] != J)
        return bl_fail(err, BL_ESHAPE, "stft_adjoint: expected [B, 2, %d, %lld], got %s", a->o.n_fft / 2 + 1, (long long)J,
                       nn_shape_str(s, text));
    y->shape = (nn_shape){ 2, { s->dim[0], a->n_samples } };
    return BL_OK;
}

static int64_t adjoint_scratch(const nn_node *y)
{
    const attr *a = y->attr;
    const nn_shape *s = &y->in[0]->shape;
    return omp_get_max_threads() * RUN * aligned(a->o.n_fft + 2) + s->dim[0] * s->dim[3] * aligned(a->o.n_fft) +
           s->dim[0] * (a->n_samples + 2 * pad_of(&a->o));
}

/* Frames [B J, aligned n_fft], each windowed. */
static void make_frames(nn_node *y, real *frames, real *spectra, const real *window, const bl_fft_real *fft)
{
    const nn_stft_opt *o = &((const attr *)y->attr)->o;
    const nn_shape *s = &y->in[0]->shape;
    const int64_t B = s->dim[0], F = s->dim[2], J = s->dim[3], width = aligned(o->n_fft + 2), runs = (J + RUN - 1) / RUN;
#pragma omp parallel for schedule(static) if (B * J * o->n_fft > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < B * runs; r++) {
        const int64_t b = r / runs, j0 = r % runs * RUN, n = J - j0 < RUN ? J - j0 : RUN;
        const real *re = y->in[0]->x + b * 2 * F * J + j0, *im = re + F * J;
        real *spectrum = spectra + omp_get_thread_num() * RUN * width;
        /* the inverse transform counts inner bins twice */
        for (int64_t f = 0; f < F; f++) {
            const real once = f == 0 || f == F - 1 ? 1 : (real)0.5;
            for (int64_t j = 0; j < n; j++) {
                spectrum[j * width + 2 * f] = re[f * J + j] * once;
                spectrum[j * width + 2 * f + 1] = im[f * J + j] * once;
            }
        }
        for (int64_t j = 0; j < n; j++) {
            real *frame = frames + (b * J + j0 + j) * aligned(o->n_fft), *own = spectrum + j * width;
            own[1] = own[2 * F - 1] = 0;
            bl_fft_real_inverse_on(fft, own, frame);
            for (int i = 0; i < o->n_fft; i++)
                frame[i] *= window[i];
        }
    }
}

/* One stretch t0..t1 of the padded signal: the frames that reach it, in order. */
static void overlap_add(const nn_stft_opt *o, const real *frames, int64_t J, int64_t t0, int64_t t1, real *padded)
{
    int64_t j = (t0 - o->n_fft) / o->hop_length;
    for (int64_t i = t0; i < t1; i++)
        padded[i] = 0;
    for (j = j < 0 ? 0 : j; j < J && j * o->hop_length < t1; j++) {
        const int64_t start = j * o->hop_length;
        const int64_t i0 = start > t0 ? start : t0, i1 = start + o->n_fft < t1 ? start + o->n_fft : t1;
        const real *frame = frames + j * aligned(o->n_fft) - start;
        for (int64_t i = i0; i < i1; i++)
            padded[i] += frame[i];
    }
}

static void adjoint_forward(nn_tape *t, nn_node *y)
{
    const attr *a = y->attr;
    const nn_stft_opt *o = &a->o;
    const int64_t B = y->shape.dim[0], T = y->shape.dim[1], J = y->in[0]->shape.dim[3], pad = pad_of(o), P = T + 2 * pad;
    const int64_t stretch = 8192, stretches = (P + stretch - 1) / stretch;
    real *spectra = y->scratch, *frames = spectra + omp_get_max_threads() * RUN * aligned(o->n_fft + 2);
    real *padded = frames + B * J * aligned(o->n_fft);
    make_frames(y, frames, spectra, window_of(o, &t->err), nn_fft(o->n_fft, &t->err));
#pragma omp parallel for schedule(static) if (B * P > NN_PARALLEL_MIN)
    for (int64_t r = 0; r < B * stretches; r++) {
        const int64_t b = r / stretches, t0 = r % stretches * stretch, t1 = t0 + stretch < P ? t0 + stretch : P;
        overlap_add(o, frames + b * J * aligned(o->n_fft), J, t0, t1, padded + b * P);
    }
#pragma omp parallel for schedule(static) if (B * P > NN_PARALLEL_MIN && B > 1)
    for (int64_t b = 0; b < B; b++) {
        real *x = y->x + b * T;
        const real *p = padded + b * P;
        if (T > 0)
            memcpy(x, p + pad, (size_t)T * sizeof *x);
        for (int64_t i = 0; i < pad && (o->pad == NN_STFT_REFLECT || o->pad == NN_STFT_REPLICATE); i++) {
            x[source_of(o->pad, i - pad, T)] += p[i];
            x[source_of(o->pad, T + i, T)] += p[pad + T + i];
        }
    }
}

static void adjoint_backward(nn_tape *t, nn_node *y, nn_node *dy, nn_node **din)
{
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
    .scratch = adjoint_scratch,
};

nn_node *nn_stft_adjoint(nn_tape *t, nn_node *spectrum, nn_stft_opt opt, int64_t n_samples)
{
    return nn_apply(t, &adjoint_op, &(attr){ opt, n_samples }, 1, &spectrum);
}
