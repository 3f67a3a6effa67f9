/* Multi-head attention inside a layer: projections around the op attention, with torch.nn.MultiheadAttention's parameters.
 *
 *     y = out_proj(attention(q_proj(query), k_proj(key), v_proj(value)))
 *
 * Parameters  `name` + in_proj_weight [3E, E] (rows: query, key, value), or, when key or value have other channels than the
 *             query, q_proj_weight [E, E], k_proj_weight [E, kdim], v_proj_weight [E, vdim]; in_proj_bias [3E],
 *             out_proj/weight [E, E], out_proj/bias [E]; with relative positions: relative [num_heads, R, E / num_heads],
 *             R = 2 reach + 1, causal reach + 1. Init as torch's; `relative` normal with deviation (E / num_heads)^-1/2.
 * Errors      nn_mha_params: -1 and BL_EARG when num_heads does not divide E.
 */
#ifndef BL_NN_ATTENTION_LAYER_H
#define BL_NN_ATTENTION_LAYER_H

#include "nn/layer.h"

typedef struct nn_mha_spec {
    int64_t embed_dim, kdim, vdim, num_heads;
    int64_t relative;   /* reach of the learned distances; 0: none */
    int     bias, causal;
    double  dropout;    /* of the weights                          */
} nn_mha_spec;

/* Registers the parameters; the first slot, or -1 and err. */
int nn_mha_params(nn_layer *layer, const char *name, const nn_mha_spec *spec, bl_error *err);
int nn_mha_slots(const nn_mha_spec *spec);
/* query [B, E, Tq], key [B, kdim, Tk], value [B, vdim, Tk], lengths [B, 1] or NULL -> [B, E, Tq]. */
nn_node *nn_mha_run(nn_layer *layer, nn_tape *tape, int slot, const nn_mha_spec *spec, nn_node *query, nn_node *key,
                    nn_node *value, nn_node *lengths);
/* Multiply-adds for lengths Tq and Tk; 0 when one is free. */
double nn_mha_macs(const nn_mha_spec *spec, int64_t Tq, int64_t Tk);

#endif
