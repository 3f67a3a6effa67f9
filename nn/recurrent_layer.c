#include "nn/recurrent_layer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const nn_layer_option nn_recurrent_options[] = {
    { "hidden_size", NN_OPTION_INT, NAN, 1, 65536, "units per direction", NULL },
    { "num_layers", NN_OPTION_INT, 1, 1, 16, "layers on top of each other", NULL },
    { "bidirectional", NN_OPTION_BOOL, 0, 0, 1, "also run from the end", NULL },
    { "bias", NN_OPTION_BOOL, 1, 0, 1, "add biases", NULL },
    { "dropout", NN_OPTION_REAL, 0, 0, 0.999, "between layers, in training", NULL },
    { .name = NULL },
};

static int is_lstm(const nn_layer *l)
{
    return !strcmp(l->type->name, "lstm");
}

bl_status nn_recurrent_layer_build(nn_layer *l, bl_error *err)
{
    const int64_t hidden = nn_layer_int(l, "hidden_size"), wide = (is_lstm(l) ? 4 : 3) * hidden, T = l->in_shape[0].dim[1];
    const int n_layers = (int)nn_layer_get(l, "num_layers"), n_directions = 1 + (nn_layer_get(l, "bidirectional") != 0);
    const double bound = 1 / sqrt((double)hidden);
    char name[96];
    if (nn_expect_sequence(l, 0, err) != BL_OK)
        return err->code;
    if (l->n_in > 1 && (l->in_shape[1].rank != 1 || l->in_shape[1].dim[0] != 1))
        return bl_fail(err, BL_ESHAPE, "the second input is the length of each example, one number; got %s",
                       nn_shape_str(&l->in_shape[1], name));
    for (int k = 0; k < n_layers; k++)
        for (int d = 0; d < n_directions; d++) {
            static const char *const part[] = { "weight_ih", "weight_hh", "bias_ih", "bias_hh" };
            const int64_t width = k ? n_directions * hidden : l->in_shape[0].dim[0];
            for (int i = 0; i < (nn_layer_get(l, "bias") != 0 ? 4 : 2); i++) {
                const nn_shape shape = { i < 2 ? 2 : 1, { wide, i == 0 ? width : i == 1 ? hidden : 0 } };
                snprintf(name, sizeof name, "%s_l%d%s", part[i], k, d ? "_reverse" : "");
                if (nn_layer_param(l, name, shape, NN_INIT_UNIFORM, bound, err) < 0)
                    return err->code;
            }
            if (T > 0)
                l->macs += (double)wide * (double)(width + hidden) * (double)T;
        }
    l->out_shape = (nn_shape){ 2, { n_directions * hidden, T } };
    return BL_OK;
}

/* Torch's two biases as the ops want them: lstm's are added; gru keeps those of the last gate apart. */
static nn_node *join_biases(nn_layer *l, nn_tape *t, nn_node *ih, nn_node *hh)
{
    const int64_t H = nn_layer_int(l, "hidden_size");
    if (is_lstm(l))
        return nn_add(t, ih, hh);
    nn_node *part[] = { nn_add(t, nn_slice(t, ih, 0, 0, 2 * H), nn_slice(t, hh, 0, 0, 2 * H)), nn_slice(t, ih, 0, 2 * H, 3 * H),
                        nn_slice(t, hh, 0, 2 * H, 3 * H) };
    return nn_concat(t, 0, 3, part);
}

nn_node *nn_recurrent_layer_run(nn_layer *l, nn_tape *t, nn_node *x, nn_node *lengths, nn_node *const *state, nn_node **final)
{
    const int n_layers = (int)nn_layer_get(l, "num_layers"), n_directions = 1 + (nn_layer_get(l, "bidirectional") != 0);
    const int has_bias = nn_layer_get(l, "bias") != 0, n_states = is_lstm(l) ? 2 : 1;
    const int64_t hidden = nn_layer_int(l, "hidden_size");
    nn_node *mark = nn_scope_begin(t), *y = nn_permute(t, x, (const int[]){ 0, 2, 1 });
    lengths = lengths ? nn_reshape(t, lengths, (nn_shape){ 1, { -1 } }) : NULL;
    for (int k = 0, slot = 0; k < n_layers && !t->err.code; k++) {
        nn_node *weight_ih[2], *weight_hh[2], *bias[2];
        const int64_t T = y->shape.dim[1];
        if (k > 0)
            y = nn_dropout(t, y, nn_layer_get(l, "dropout"));
        for (int d = 0; d < n_directions; d++) {
            weight_ih[d] = nn_layer_node(l, t, slot++);
            weight_hh[d] = nn_layer_node(l, t, slot++);
            bias[d] = has_bias ? join_biases(l, t, nn_layer_node(l, t, slot), nn_layer_node(l, t, slot + 1))
                               : nn_full(t, (nn_shape){ 1, { 4 * hidden } }, 0);
            slot += has_bias ? 2 : 0;
        }
        nn_node *w = n_directions == 2 ? nn_concat(t, 0, 2, weight_ih) : weight_ih[0];
        nn_node *r = n_directions == 2 ? nn_concat(t, 0, 2, weight_hh) : weight_hh[0];
        nn_node *b = n_directions == 2 ? nn_concat(t, 0, 2, bias) : bias[0], *h = state ? state[k] : NULL;
        y = is_lstm(l) ? nn_lstm(t, y, w, r, b, lengths, h, final != NULL) : nn_gru(t, y, w, r, b, lengths, h, final != NULL);
        if (final) {
            final[k] = nn_slice(t, y, 1, T, T + n_states);
            y = nn_slice(t, y, 1, 0, T);
        }
    }
    y = nn_permute(t, y, (const int[]){ 0, 2, 1 });
    if (!final)
        nn_release_but(t, mark, 1, &y);
    return y;
}

nn_node *nn_recurrent_layer_forward(nn_layer *l, nn_tape *t, nn_node *const *in)
{
    return nn_recurrent_layer_run(l, t, in[0], l->n_in > 1 ? in[1] : NULL, NULL, NULL);
}
