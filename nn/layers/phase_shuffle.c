/* nn/layers/phase_shuffle.c - in training, shifts each example by -n .. n samples, edges reflected, so that a
 * discriminator cannot judge by phase.
 *
 * Shapes   [C, T] -> [C, T].
 * Source   Donahue, McAuley, Puckette, "Adversarial Audio Synthesis", 2019, section 3.3.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "n", NN_OPTION_INT, 2, 0, 1024, "largest shift in samples", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    l->out_shape = l->in_shape[0];
    return nn_expect_sequence(l, 0, err);
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return t->training ? nn_phase_shuffle(t, in[0], (int)nn_layer_get(l, "n")) : in[0];
}

const nn_layer_type nn_layer_phase_shuffle = {
    .name = "phase_shuffle",
    .summary = "random shift per example, in training",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
