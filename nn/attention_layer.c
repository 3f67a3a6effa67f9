#include "nn/attention_layer.h"

#include <math.h>
#include <stdio.h>

static int is_joint(const nn_mha_spec *s)
{
    return s->kdim == s->embed_dim && s->vdim == s->embed_dim;
}

int nn_mha_slots(const nn_mha_spec *s)
{
    return (is_joint(s) ? 1 : 3) + 1 + (s->bias ? 2 : 0) + (s->relative > 0);
}

static int param(nn_layer *l, const char *prefix, const char *name, nn_shape shape, nn_init init, double scale, bl_error *err)
{
    char full[64];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    return nn_layer_param(l, full, shape, init, scale, err);
}

/* torch's xavier_uniform_ of a matrix. */
static double xavier(int64_t rows, int64_t columns)
{
    return sqrt(6 / ((double)rows + (double)columns));
}

int nn_mha_params(nn_layer *l, const char *name, const nn_mha_spec *s, bl_error *err)
{
    const int64_t E = s->embed_dim, widths[] = { E, s->kdim, s->vdim };
    static const char *const split[] = { "q_proj_weight", "k_proj_weight", "v_proj_weight" };
    int slot = -1;
    if (E % s->num_heads) {
        bl_fail(err, BL_EARG, "%lld heads do not divide the %lld channels", (long long)s->num_heads, (long long)E);
        return -1;
    }
    if (is_joint(s))
        slot = param(l, name, "in_proj_weight", (nn_shape){ 2, { 3 * E, E } }, NN_INIT_UNIFORM, xavier(3 * E, E), err);
    for (int i = 0; i < 3 && !is_joint(s); i++) {
        const int at = param(l, name, split[i], (nn_shape){ 2, { E, widths[i] } }, NN_INIT_UNIFORM, xavier(E, widths[i]), err);
        slot = i == 0 ? at : at < 0 ? -1 : slot;
        if (at < 0)
            return -1;
    }
    const nn_shape square = { 2, { E, E } };
    if (slot < 0 || (s->bias && param(l, name, "in_proj_bias", (nn_shape){ 1, { 3 * E } }, NN_INIT_ZERO, 0, err) < 0)
        || param(l, name, "out_proj/weight", square, NN_INIT_UNIFORM, nn_kaiming_bound(E), err) < 0
        || (s->bias && param(l, name, "out_proj/bias", (nn_shape){ 1, { E } }, NN_INIT_ZERO, 0, err) < 0))
        return -1;
    const int64_t d = E / s->num_heads, rows = s->relative * (s->causal ? 1 : 2) + 1;
    if (s->relative > 0
        && param(l, name, "relative", (nn_shape){ 3, { s->num_heads, rows, d } }, NN_INIT_NORMAL, 1 / sqrt((double)d), err) < 0)
        return -1;
    return slot;
}

/* weight [rows, columns] times the channels of x [B, columns, T]. */
static nn_node *project(nn_tape *t, nn_node *x, nn_node *weight, nn_node *bias)
{
    if (t->err.code)
        return NULL;
    weight = nn_reshape(t, weight, (nn_shape){ 3, { weight->shape.dim[0], weight->shape.dim[1], 1 } });
    return nn_conv1d(t, x, weight, bias, (nn_conv1d_opt){ 0 });
}

nn_node *nn_mha_run(nn_layer *l, nn_tape *t, int slot, const nn_mha_spec *s, nn_node *query, nn_node *key, nn_node *value,
                    nn_node *lengths)
{
    nn_node *in[3] = { query, key, value }, *joint = is_joint(s) ? nn_layer_node(l, t, slot++) : NULL, *weight[3];
    const int64_t E = s->embed_dim;
    for (int i = 0; i < 3; i++)
        weight[i] = is_joint(s) ? nn_slice(t, joint, 0, i * E, (i + 1) * E) : nn_layer_node(l, t, slot++);
    nn_node *bias = s->bias ? nn_layer_node(l, t, slot++) : NULL;
    for (int i = 0; i < 3; i++)
        in[i] = project(t, in[i], weight[i], bias ? nn_slice(t, bias, 0, i * E, (i + 1) * E) : NULL);
    nn_node *out_weight = nn_layer_node(l, t, slot++), *out_bias = s->bias ? nn_layer_node(l, t, slot++) : NULL;
    nn_node *relative = s->relative > 0 ? nn_layer_node(l, t, slot) : NULL;
    if (lengths && !t->err.code)
        lengths = nn_reshape(t, lengths, (nn_shape){ 1, { -1 } });
    nn_node *y = nn_attention(t, in[0], in[1], in[2], lengths, relative, (nn_attention_opt){ .heads = (int)s->num_heads,
                              .causal = s->causal, .dropout = s->dropout });
    return project(t, y, out_weight, out_bias);
}

double nn_mha_macs(const nn_mha_spec *s, int64_t Tq, int64_t Tk)
{
    const double E = (double)s->embed_dim, q = (double)Tq, k = (double)Tk;
    if (Tq < 0 || Tk < 0)
        return 0;
    return E * (2 * E * q + (double)(s->kdim + s->vdim) * k + 2 * q * k * (s->causal ? 0.5 : 1));
}
