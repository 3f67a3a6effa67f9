/* nn/layers/stft_magnitude.c - the magnitudes of short-time spectra, with a gradient.
 *
 *     v = re^2 + im^2 + eps of torch.stft(x, n_fft, hop_length, win_length, window, center, pad_mode);  y = v^(power/2)
 *     with log: y = (power/2) log v
 *
 * Shapes   [C, T] -> [C F, frames], F = n_fft/2 + 1, the bins of a channel beside each other; frames = T / hop_length + 1, with
 *          center=no (T - n_fft) / hop_length + 1. No parameters.
 * Options  Names and defaults of torch.stft, but that the window is Hann where torch has ones.
 */
#include "nn/layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "n_fft", NN_OPTION_INT, NAN, 2, 1 << 20, "samples in a frame, even", NULL },
    { "hop_length", NN_OPTION_INT, 0, 0, 1 << 20, "samples from frame to frame; 0: n_fft / 4", NULL },
    { "win_length", NN_OPTION_INT, 0, 0, 1 << 20, "samples under the window; 0: n_fft", NULL },
    { "window", NN_OPTION_CHOICE, 0, 0, 2, "periodic", "hann|hamming|ones" },
    { "center", NN_OPTION_BOOL, 1, 0, 1, "frame j stands around sample j hop_length, not behind it", NULL },
    { "pad_mode", NN_OPTION_CHOICE, 1, 0, 2, "what lies outside, with center", "constant|reflect|replicate" },
    { "power", NN_OPTION_REAL, 1, 0.01, 10, "1: magnitude, 2: power", NULL },
    { "log", NN_OPTION_BOOL, 0, 0, 1, "the natural logarithm of it", NULL },
    { "eps", NN_OPTION_REAL, 1e-8, 0, 1e6, "added to the power: keeps gradients finite in silence", NULL },
    { .name = NULL },
};

static nn_stft_opt settings(const nn_layer *l)
{
    const int n_fft = (int)nn_layer_int(l, "n_fft"), hop = (int)nn_layer_int(l, "hop_length"), win = (int)nn_layer_int(l, "win_length");
    const int pad = nn_layer_get(l, "center") != 0 ? (int)nn_layer_int(l, "pad_mode") : NN_STFT_NONE;
    return (nn_stft_opt){ .n_fft = n_fft, .hop_length = hop ? hop : n_fft >= 4 ? n_fft / 4 : 1, .win_length = win ? win : n_fft,
                          .pad = (nn_stft_pad)pad, .window = (nn_stft_window)nn_layer_int(l, "window") };
}

static bl_status build(nn_layer *l, bl_error *err)
{
    const nn_stft_opt o = settings(l);
    if (nn_expect_sequence(l, 0, err) != BL_OK)
        return err->code;
    if (o.n_fft % 2 || o.win_length > o.n_fft)
        return bl_fail(err, BL_EARG, "n_fft=%d must be even and win_length=%d no larger", o.n_fft, o.win_length);
    const int64_t C = l->in_shape[0].dim[0], T = l->in_shape[0].dim[1], frames = T < 0 ? -1 : nn_stft_frames(&o, T);
    if (frames == 0)
        return bl_fail(err, BL_ESHAPE, "%lld samples are fewer than a frame of n_fft=%d", (long long)T, o.n_fft);
    l->out_shape = (nn_shape){ 2, { C * (o.n_fft / 2 + 1), frames } };
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const double power = nn_layer_get(l, "power"), eps = nn_layer_get(l, "eps");
    const int as_log = nn_layer_get(l, "log") != 0;
    const nn_shape *s = &in[0]->shape;
    const int64_t B = s->dim[0], C = s->dim[1];
    nn_node *spectrum = nn_stft(t, nn_reshape(t, in[0], (nn_shape){ 2, { B * C, s->dim[2] } }), settings(l)), *y;
    if (power == 1) {
        y = nn_magnitude(t, spectrum, eps);
        y = as_log ? nn_log(t, y) : y;
    } else {
        nn_node *v = nn_affine(t, nn_sum_dims(t, nn_square(t, spectrum), 2u), 1, eps);
        y = as_log ? nn_affine(t, nn_log(t, v), power / 2, 0) : power == 2 ? v : nn_pow(t, v, power / 2);
    }
    if (t->err.code)
        return NULL;
    const nn_shape *f = &spectrum->shape;
    return nn_reshape(t, y, (nn_shape){ 3, { B, C * f->dim[2], f->dim[3] } });
}

const nn_layer_type nn_layer_stft_magnitude = {
    .name = "stft_magnitude",
    .summary = "magnitudes of short-time spectra",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
