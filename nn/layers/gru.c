/* nn/layers/gru.c - gated recurrent units over time, stacked and in both directions.
 *
 * Shapes      [C, T], optionally the length of each example [1] -> [hidden_size, T], or [2 hidden_size, T] when
 *             bidirectional (forward first). Lengths as in nn/layers/lstm.c.
 * Parameters  per layer k and direction, as torch.nn.GRU: weight_ih_lk [3H, in], weight_hh_lk [3H, H], bias_ih_lk [3H],
 *             bias_hh_lk [3H], and the same with _reverse; gate order r, z, n; all uniform within 1/sqrt(H).
 * Options     dropout acts between stacked layers, in training.
 * Streaming   nn/recurrent_layer.h.
 * Source      Cho et al. 2014, in torch's form: the reset gate acts on the product.
 */
#include "nn/recurrent_layer.h"

const nn_layer_type nn_layer_gru = {
    .name = "gru",
    .summary = "gated recurrent units over time; optional lengths",
    .min_in = 1,
    .max_in = 2,
    .options = nn_recurrent_options,
    .build = nn_recurrent_layer_build,
    .forward = nn_recurrent_layer_forward,
};
