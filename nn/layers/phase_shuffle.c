/* nn/layers/phase_shuffle.c - in training, shifts each example by -n .. n samples, edges reflected, so that a
 * discriminator cannot judge by phase.
 *
 * Shapes   [C, T] -> [C, T].
 * Source   Donahue, McAuley, Puckette, "Adversarial Audio Synthesis", 2019, section 3.3.
 */
#include "nn/layer.h"

static const nn_layer_option options[] = {
    { "n", NN_OPTION_INT, 2, 0, 1024, "largest shift in samples", NULL },
    { "per", NN_OPTION_CHOICE, 0, 0, 1, "what has a shift of its own", "example|batch" },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    l->out_shape = l->in_shape[0];
    return nn_expect_sequence(l, 0, err);
}

/* One shift for the whole batch: mirrored samples on one side, as many cut off on the other. */
static nn_node *shift_batch(nn_tape *t, nn_node *x, int64_t n)
{
    if (t->err.code || n == 0)
        return t->err.code ? NULL : x;
    const int64_t shift = bl_rng_below(&t->rng, 2 * n + 1) - n, length = x->shape.dim[2], by = shift < 0 ? -shift : shift;
    nn_node *longer = nn_pad_by(t, x, 2, shift > 0 ? by : 0, shift < 0 ? by : 0, NN_PAD_REFLECT);
    return nn_slice(t, longer, 2, shift < 0 ? by : 0, (shift < 0 ? by : 0) + length);
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const int64_t n = nn_layer_int(l, "n");
    if (!t->training)
        return in[0];
    return nn_layer_get(l, "per") != 0 ? shift_batch(t, in[0], n) : nn_phase_shuffle(t, in[0], (int)n);
}

const nn_layer_type nn_layer_phase_shuffle = {
    .name = "phase_shuffle",
    .summary = "random shift per example or batch, in training",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
