/* nn/layers/lstm.c - long short-term memory over time, stacked and in both directions.
 *
 * Shapes      [C, T] -> [hidden_size, T], or [2 hidden_size, T] when bidirectional (forward first). Networks keep
 *             channels first, so the layer turns to [B, T, C] and back; torch's batch_first has no meaning here.
 * Parameters  per layer k and direction, as torch.nn.LSTM: weight_ih_lk [4H, in], weight_hh_lk [4H, H], bias_ih_lk [4H],
 *             bias_hh_lk [4H], and the same with _reverse; gate order i, f, g, o; all uniform within 1/sqrt(H).
 * Options     dropout acts between stacked layers, in training.
 * Source      Hochreiter & Schmidhuber 1997; Graves & Schmidhuber 2005 (bidirectional).
 */
#include "nn/layer.h"

#include <math.h>
#include <stdio.h>

static const nn_layer_option options[] = {
    { "hidden_size", NN_OPTION_INT, NAN, 1, 65536, "units per direction", NULL },
    { "num_layers", NN_OPTION_INT, 1, 1, 16, "layers on top of each other", NULL },
    { "bidirectional", NN_OPTION_BOOL, 0, 0, 1, "also run from the end", NULL },
    { "bias", NN_OPTION_BOOL, 1, 0, 1, "add biases", NULL },
    { "dropout", NN_OPTION_REAL, 0, 0, 0.999, "between layers, in training", NULL },
    { .name = NULL },
};

static bl_status build(nn_layer *l, bl_error *err)
{
    const int64_t hidden = nn_layer_int(l, "hidden_size");
    const int n_layers = (int)nn_layer_get(l, "num_layers"), n_directions = 1 + (nn_layer_get(l, "bidirectional") != 0);
    const double bound = 1 / sqrt((double)hidden);
    char name[64];
    if (nn_expect_sequence(l, 0, err) != BL_OK)
        return err->code;
    for (int k = 0; k < n_layers; k++)
        for (int d = 0; d < n_directions; d++) {
            static const char *const part[] = { "weight_ih", "weight_hh", "bias_ih", "bias_hh" };
            const int64_t width = k ? n_directions * hidden : l->in_shape[0].dim[0];
            for (int i = 0; i < (nn_layer_get(l, "bias") != 0 ? 4 : 2); i++) {
                const nn_shape shape = { i < 2 ? 2 : 1, { 4 * hidden, i == 0 ? width : i == 1 ? hidden : 0 } };
                snprintf(name, sizeof name, "%s_l%d%s", part[i], k, d ? "_reverse" : "");
                if (nn_layer_param(l, name, shape, NN_INIT_UNIFORM, bound, err) < 0)
                    return err->code;
            }
            if (l->in_shape[0].dim[1] > 0)
                l->macs += 4.0 * (double)hidden * (double)(width + hidden) * (double)l->in_shape[0].dim[1];
        }
    l->out_shape = (nn_shape){ 2, { n_directions * hidden, l->in_shape[0].dim[1] } };
    return BL_OK;
}

static nn_node *forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    const int n_layers = (int)nn_layer_get(l, "num_layers"), n_directions = 1 + (nn_layer_get(l, "bidirectional") != 0);
    const int has_bias = nn_layer_get(l, "bias") != 0;
    const int64_t hidden = nn_layer_int(l, "hidden_size");
    nn_node *x = nn_permute(t, in[0], (const int[]){ 0, 2, 1 });
    for (int k = 0, slot = 0; k < n_layers; k++) {
        nn_node *y[2] = { NULL, NULL };
        if (k > 0)
            x = nn_dropout(t, x, nn_layer_get(l, "dropout"));
        for (int d = 0; d < n_directions; d++) {
            nn_node *weight_ih = nn_layer_node(l, t, slot++), *weight_hh = nn_layer_node(l, t, slot++), *bias;
            if (has_bias) {
                nn_node *bias_ih = nn_layer_node(l, t, slot++);
                bias = nn_add(t, bias_ih, nn_layer_node(l, t, slot++));
            } else {
                bias = nn_full(t, (nn_shape){ 1, { 4 * hidden } }, 0);
            }
            y[d] = nn_lstm(t, x, weight_ih, weight_hh, bias, d);
        }
        x = n_directions == 2 ? nn_concat(t, 2, 2, y) : y[0];
    }
    return nn_permute(t, x, (const int[]){ 0, 2, 1 });
}

const nn_layer_type nn_layer_lstm = {
    .name = "lstm",
    .summary = "long short-term memory over time",
    .min_in = 1,
    .max_in = 1,
    .options = options,
    .build = build,
    .forward = forward,
};
