/* nn/layers/lstm.c - long short-term memory over time, stacked and in both directions.
 *
 * Shapes      [C, T], optionally the length of each example [1] -> [hidden_size, T], or [2 hidden_size, T] when
 *             bidirectional (forward first). Networks keep channels first, so the layer turns to [B, T, C] and back; torch's
 *             batch_first has no meaning here. Steps from the length on are padding: their output is 0 and the direction
 *             from the end starts before them, as with torch's pack_padded_sequence.
 * Parameters  per layer k and direction, as torch.nn.LSTM: weight_ih_lk [4H, in], weight_hh_lk [4H, H], bias_ih_lk [4H],
 *             bias_hh_lk [4H], and the same with _reverse; gate order i, f, g, o; all uniform within 1/sqrt(H).
 * Options     dropout acts between stacked layers, in training.
 * Streaming   nn/recurrent_layer.h.
 * Source      Hochreiter & Schmidhuber 1997; Graves & Schmidhuber 2005 (bidirectional).
 */
#include "nn/recurrent_layer.h"

const nn_layer_type nn_layer_lstm = {
    .name = "lstm",
    .summary = "long short-term memory over time; optional lengths",
    .min_in = 1,
    .max_in = 2,
    .options = nn_recurrent_options,
    .build = nn_recurrent_layer_build,
    .forward = nn_recurrent_layer_forward,
};
