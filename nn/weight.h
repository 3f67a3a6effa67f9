/* The weight of a layer: plain, weight-normalised or spectrally normalised.
 *
 *     weight norm     weight = g v / |v|, the norm over all dimensions but the first
 *     spectral norm   weight = weight_orig / sigma, its largest singular value as a matrix of dimension `dim` by all others.
 *                     In training each forward brings u and v nearer to the singular vectors: v = W^T u / |.|, u = W v / |.|;
 *                     sigma = u^T W v, and gradients go through W alone. Evaluation takes u and v as they are.
 *
 * Names    As torch.nn.utils.weight_norm: weight_g, weight_v; spectral_norm: weight_orig, buffers weight_u, weight_v.
 * Source   Salimans & Kingma 2016; Miyato, Kataoka, Koyama, Yoshida, "Spectral Normalization for GANs", 2018.
 * Tested   tests/nn/test_layers.c, against torch.
 */
#ifndef BL_NN_WEIGHT_H
#define BL_NN_WEIGHT_H

#include "nn/layer.h"

typedef enum nn_weight_kind { NN_WEIGHT_PLAIN, NN_WEIGHT_NORM, NN_WEIGHT_SPECTRAL } nn_weight_kind;

/* Rows of an option table; nn_weight_kind_of reads them. */
#define NN_WEIGHT_OPTIONS                                                                                           \
    { "weight_norm", NN_OPTION_BOOL, 0, 0, 1, "learn length and direction of the weights apart", NULL },            \
        { "spectral_norm", NN_OPTION_BOOL, 0, 0, 1, "the weights' largest singular value is 1", NULL },             \
        { "n_power_iterations", NN_OPTION_INT, 1, 1, 100, "steps of spectral_norm in each forward pass", NULL }

nn_weight_kind nn_weight_kind_of(const nn_layer *layer);
/* BL_EARG when both norms are asked for. */
bl_status nn_weight_check(const nn_layer *layer, bl_error *err);

/* Registers prefix + "weight" or what stands for it, uniform as torch's Linear and Conv; the first slot, or -1 and err. */
int nn_weight_params(nn_layer *layer, const char *prefix, const nn_shape *weight, nn_weight_kind kind, int dim, bl_error *err);
/* The weight from *slot on, which moves behind it. */
nn_node *nn_weight_node(nn_layer *layer, nn_tape *tape, int *slot, nn_weight_kind kind, int dim);

#endif
