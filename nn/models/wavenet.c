#include "nn/models/wavenet_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- mu-law ---- */

static const double MU = NN_WAVENET_LEVELS - 1;

int nn_mu_law_encode(float x)
{
    const double v = x < -1 ? -1 : x > 1 ? 1 : (double)x;
    const double y = copysign(log1p(MU * fabs(v)) / log1p(MU), v);
    return (int)floor((y + 1) / 2 * MU + 0.5);
}

float nn_mu_law_decode(int level)
{
    const double y = 2 * level / MU - 1;
    return (float)copysign(expm1(fabs(y) * log1p(MU)) / MU, y);
}

/* ---- reading the section ---- */

/* The names behind from= of a layer, at most two; returns how many. */
static int sources(const char *value, char out[2][NAME])
{
    const char *p = strstr(value, "from=");
    int n = 0;
    for (p = p ? p + strlen("from=") : NULL; p && n < 2; n++) {
        const size_t length = strcspn(p, ", \t");
        snprintf(out[n], NAME, "%.*s", (int)(length < NAME ? length : NAME - 1), p);
        p = p[length] == ',' ? p + length + 1 : NULL;
    }
    return n;
}

static bl_status is_wrong(const bl_config *c, const char *section, const char *key, const char *what, bl_error *err)
{
    return bl_fail(err, BL_EARG, "%s: [%s] %s: %s", bl_config_name(c), section, key, what);
}

static bl_status read_plan(const bl_config *c, const char *section, plan *p, bl_error *err)
{
    static const char *const needed[] = { "input.audio", "embed", "body" };
    char from[2][NAME] = { "", "" };
    int behind_body = 0;
    memset(p, 0, sizeof *p);
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!bl_config_str(c, section, needed[i], NULL))
            return is_wrong(c, section, needed[i], "is missing", err);
    const int n = sources(bl_config_str(c, section, "body", ""), from);
    if (n < 1 || strcmp(from[0], "embed"))
        return is_wrong(c, section, "body", "expected from=embed or from=embed,CONDITION", err);
    if (n == 2) {
        const char *made = bl_config_str(c, section, from[1], NULL);
        if (made && !strncmp(made, "concat", 6))
            sources(made, p->condition);
        else
            snprintf(p->condition[0], NAME, "%s", from[1]);
        for (int i = 0; i < 2; i++)
            if (*p->condition[i] && strcmp(p->condition[i], "local") && strcmp(p->condition[i], "global"))
                return is_wrong(c, section, "body", "the condition must be local, global or a concat of the two", err);
    }
    for (int i = 0; i < bl_config_count(c); i++) {
        const bl_config_entry *e = bl_config_at(c, i);
        if (strcmp(e->section, section))
            continue;
        if (behind_body) {
            if ((strncmp(e->value, "relu", 4) && strncmp(e->value, "conv1d", 6)) || strstr(e->value, "from="))
                return is_wrong(c, section, e->key, "behind body, expected relu or conv1d kernel_size=1 without from=", err);
            if (p->n_heads == MOST_HEADS)
                return is_wrong(c, section, e->key, "too many layers behind body", err);
            snprintf(p->head[p->n_heads++], NAME, "%s", e->key);
        }
        behind_body |= !strcmp(e->key, "body");
    }
    return p->n_heads ? BL_OK : is_wrong(c, section, "body", "expected layers behind it, the last giving 256 channels", err);
}

static bl_status expect_layers(const wavenet_private *w, const bl_config *c, bl_error *err)
{
    const nn_network *net = w->public.net;
    const nn_layer *embed = nn_network_layer(net, "embed"), *body = nn_network_layer(net, "body");
    if (!embed || strcmp(embed->type->name, "embedding") || nn_layer_int(embed, "num_embeddings") != NN_WAVENET_LEVELS)
        return is_wrong(c, w->section, "embed", "expected embedding num_embeddings=256", err);
    if (!body || strcmp(body->type->name, "wavenet_block") || nn_layer_get(body, "causal") == 0 ||
        nn_layer_get(body, "residual_scale") != 1)
        return is_wrong(c, w->section, "body", "expected wavenet_block causal=1 residual_scale=1", err);
    for (int i = 0; i < w->plan.n_heads; i++) {
        const nn_layer *l = nn_network_layer(net, w->plan.head[i]);
        if (l && !strcmp(l->type->name, "conv1d") &&
            (nn_layer_int(l, "kernel_size") != 1 || nn_layer_int(l, "stride") != 1 || nn_layer_int(l, "groups") != 1 ||
             nn_layer_get(l, "weight_norm") != 0 || nn_layer_get(l, "padding") > 0))
            return is_wrong(c, w->section, w->plan.head[i], "expected a plain conv1d with kernel_size=1", err);
    }
    const nn_shape out = nn_network_output_shape(net, 0);
    if (nn_network_n_outputs(net) != 1 || out.rank != 2 || out.dim[0] != NN_WAVENET_LEVELS)
        return is_wrong(c, w->section, w->plan.head[w->plan.n_heads - 1], "expected 256 channels", err);
    return BL_OK;
}

/* ---- the network ---- */

nn_wavenet *nn_wavenet_build(const bl_config *config, const char *section, nn_params *params, bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    wavenet_private *w = calloc(1, sizeof *w);
    if (!w) {
        bl_fail(e, BL_ENOMEM, "no memory for a WaveNet");
        return NULL;
    }
    w->public.params = params;
    snprintf(w->section, sizeof w->section, "%s", section);
    if (read_plan(config, section, &w->plan, e) != BL_OK ||
        !(w->public.net = nn_network_build(config, section, params, e)) || expect_layers(w, config, e) != BL_OK) {
        nn_wavenet_free(&w->public);
        return NULL;
    }
    for (int i = 0; i < nn_network_n_inputs(w->public.net); i++) {
        const nn_shape s = nn_network_input_shape(w->public.net, i);
        if (!strcmp(nn_network_input_name(w->public.net, i), "local"))
            w->public.n_local = (int)s.dim[0];
        if (!strcmp(nn_network_input_name(w->public.net, i), "global"))
            w->public.n_global = (int)s.dim[0];
    }
    const nn_layer *body = nn_network_layer(w->public.net, "body");
    int64_t dilation = 1;
    for (int64_t k = 0; k < nn_layer_int(body, "layers"); k++, dilation *= nn_layer_int(body, "dilation_base"))
        w->public.receptive_field += dilation * (nn_layer_int(body, "kernel_size") - 1) * nn_layer_int(body, "stacks");
    w->public.receptive_field += 1;
    return &w->public;
}

void nn_wavenet_free(nn_wavenet *w)
{
    if (!w)
        return;
    nn_network_free(w->net);
    free(w); /* the first member of a wavenet_private */
}

nn_node *nn_wavenet_logits(nn_wavenet *w, nn_tape *t, nn_node *classes, nn_node *local, nn_node *global)
{
    nn_node *in[3] = { NULL, NULL, NULL };
    if (t->err.code)
        return NULL;
    const int64_t B = classes->shape.dim[0], T = classes->shape.dim[1];
    nn_node *before[2] = { nn_full(t, (nn_shape){ 2, { B, 1 } }, nn_mu_law_encode(0)), nn_slice(t, classes, 1, 0, T - 1) };
    nn_node *audio = nn_reshape(t, T > 1 ? nn_concat(t, 1, 2, before) : before[0], (nn_shape){ 3, { B, 1, T } });
    for (int i = 0; i < nn_network_n_inputs(w->net) && i < 3; i++) {
        const char *name = nn_network_input_name(w->net, i);
        in[i] = !strcmp(name, "audio") ? audio : !strcmp(name, "local") ? local : global;
    }
    return nn_network_run(w->net, t, in, NULL);
}

nn_node *nn_wavenet_loss(nn_wavenet *w, nn_tape *t, nn_node *classes, nn_node *local, nn_node *global)
{
    nn_node *logits = nn_wavenet_logits(w, t, classes, local, global);
    if (t->err.code)
        return NULL;
    const int64_t n = nn_count(&classes->shape);
    nn_node *rows = nn_reshape(t, nn_permute(t, logits, (const int[]){ 0, 2, 1 }), (nn_shape){ 2, { n, NN_WAVENET_LEVELS } });
    return nn_cross_entropy(t, rows, nn_reshape(t, classes, (nn_shape){ 1, { n } }));
}
