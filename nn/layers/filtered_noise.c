/* nn/layers/filtered_noise.c - white noise through a filter whose magnitudes change from frame to frame.
 *
 * Shapes   magnitudes [F, J] -> [1, J hop_length]; no parameters. F evenly spaced frequencies from 0 to half the sample rate.
 * Design   The magnitudes' inverse transform, a zero-phase response of 2 (F - 1) samples, under a Hann window of `window_size`
 *          samples, its centre the tap without delay: linear phase. Each frame's noise is convolved with its own filter.
 * Noise    Uniform in -1..1, from the tape's random state; with a second input [1, J hop_length] (from=magnitudes,source) that
 *          is filtered instead.
 * Source   Engel et al., DDSP, ICLR 2020: FilteredNoise, frequency_filter.
 */
#include "nn/layer.h"
#include "nn/table.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "hop_length", NN_OPTION_INT, NAN, 1, 1 << 20, "samples from frame to frame", NULL },
    { "window_size", NN_OPTION_INT, 0, 0, 1 << 14, "length of the response, odd; 0: 2 F - 1, all of it", NULL },
    { .name = NULL },
};

/* [F, L]: from magnitudes to windowed taps. */
static void fill(const nn_table_key *key, real *out)
{
    const int F = (int)key->value[0], L = (int)key->value[1];
    const double pi = 3.14159265358979323846;
    for (int f = 0; f < F; f++)
        for (int i = 0; i < L; i++) {
            const int at = i - L / 2;
            const double once = f == 0 || f == F - 1 ? 1 : 2, window = 0.5 + 0.5 * cos(2 * pi * at / (L + 1));
            out[f * L + i] = (real)(window * once * cos(pi * f * at / (F - 1)) / (2 * (F - 1)));
        }
}

static int64_t taps_of(const nn_layer *l)
{
    const int64_t size = nn_layer_int(l, "window_size"), whole = 2 * l->in_shape[0].dim[0] - 1;
    return size ? size : whole;
}

static real *design(const nn_layer *l, bl_error *err)
{
    const int64_t F = l->in_shape[0].dim[0], L = taps_of(l);
    return nn_table(&(nn_table_key){ "filtered noise", { (double)F, (double)L } }, F * L, fill, err);
}

static bl_status build(nn_layer *l, bl_error *err)
{
    if (nn_expect_sequence(l, 0, err) != BL_OK || (l->n_in > 1 && nn_expect_sequence(l, 1, err) != BL_OK))
        return err->code;
    const int64_t F = l->in_shape[0].dim[0], J = l->in_shape[0].dim[1], hop = nn_layer_int(l, "hop_length"), L = taps_of(l);
    if (F < 2 || L % 2 == 0 || L > 2 * F - 1)
        return bl_fail(err, BL_EARG, "expected at least 2 magnitudes, and window_size=%lld odd and at most %lld", (long long)L, (long long)(2 * F - 1));
    if (l->n_in > 1 && (l->in_shape[1].dim[0] != 1 || (J > 0 && l->in_shape[1].dim[1] > 0 && l->in_shape[1].dim[1] != J * hop)))
        return bl_fail(err, BL_ESHAPE, "the source must be [1, J hop_length]");
    l->out_shape = (nn_shape){ 2, { 1, J < 0 ? -1 : J * hop } };
    l->macs = J < 0 ? 0 : (double)J * ((double)(F * L) + (double)(hop * L));
    return design(l, err) ? BL_OK : err->code;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    static const int channels_last[] = { 0, 2, 1 };
    const nn_shape *m = &in[0]->shape;
    const int64_t B = m->dim[0], F = m->dim[1], N = m->dim[2] * nn_layer_int(l, "hop_length"), L = taps_of(l);
    nn_node *matrix = nn_borrow(t, (nn_shape){ 2, { F, L } }, design(l, &t->err));
    nn_node *taps = nn_matmul(t, nn_permute(t, in[0], channels_last), matrix, 0, 0);
    nn_node *source = l->n_in > 1 ? nn_reshape(t, in[1], (nn_shape){ 2, { B, -1 } }) : nn_rand(t, (nn_shape){ 2, { B, N } }, -1, 1);
    return nn_reshape(t, nn_frame_filter(t, taps, source, (int)(L / 2)), (nn_shape){ 3, { B, 1, N } });
}

const nn_layer_type nn_layer_filtered_noise = {
    .name = "filtered_noise",
    .summary = "noise under magnitudes that change from frame to frame",
    .min_in = 1,
    .max_in = 2,
    .options = options,
    .build = build,
    .forward = forward,
};
