/* nn/layers/harmonic_oscillator.c - a wave from the amplitudes of its harmonics and its fundamental frequency.
 *
 * Shapes   amplitudes [H, J] and f0 [1, J] in Hz (from=amplitudes,f0) -> [1, J hop_length]; no parameters.
 *          Frame j stands at sample j hop_length; both are linear in between, the last frame is held. Harmonics that reach half the
 *          sample rate are left out. The gradient reaches both inputs.
 * Source   Engel et al., DDSP, ICLR 2020: the harmonic synthesizer.
 */
#include "nn/layer.h"

#include <math.h>

static const nn_layer_option options[] = {
    { "sample_rate", NN_OPTION_INT, NAN, 1, 1000000, "Hz, of the wave", NULL },
    { "hop_length", NN_OPTION_INT, NAN, 1, 1 << 20, "samples from frame to frame", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    if (nn_expect_sequence(l, 0, err) != BL_OK || nn_expect_sequence(l, 1, err) != BL_OK)
        return err->code;
    const nn_shape *a = &l->in_shape[0], *f = &l->in_shape[1];
    char ta[96], tf[96];
    if (f->dim[0] != 1 || (a->dim[1] > 0 && f->dim[1] > 0 && a->dim[1] != f->dim[1]))
        return bl_fail(err, BL_ESHAPE, "expected amplitudes [H, J] and f0 [1, J], got %s and %s", nn_shape_str(a, ta), nn_shape_str(f, tf));
    const int64_t J = a->dim[1] > 0 ? a->dim[1] : f->dim[1], hop = nn_layer_int(l, "hop_length");
    l->out_shape = (nn_shape){ 2, { 1, J < 0 ? -1 : J * hop } };
    l->macs = J < 0 ? 0 : 5.0 * (double)(a->dim[0] * J * hop);
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const nn_oscillator_opt o = { (int)nn_layer_int(l, "hop_length"), (int)nn_layer_int(l, "sample_rate") };
    const nn_shape *f = &in[1]->shape;
    nn_node *f0 = nn_reshape(t, in[1], (nn_shape){ 2, { f->dim[0], f->dim[2] } });
    nn_node *y = nn_harmonic_sum(t, in[0], nn_oscillator_phase(t, f0, o), f0, o);
    return nn_reshape(t, y, (nn_shape){ 3, { f->dim[0], 1, -1 } });
}

const nn_layer_type nn_layer_harmonic_oscillator = {
    .name = "harmonic_oscillator",
    .summary = "harmonics of a frequency, from=amplitudes,f0",
    .min_in = 2,
    .max_in = 2,
    .options = options,
    .build = build,
    .forward = forward,
};
