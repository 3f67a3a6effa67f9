/* Pseudo quadrature mirror filter bank: a signal as N critically sampled bands, and back. Near-perfect reconstruction.
 *
 *     analysis   x [B, T] -> [B, N, T/N]        a convolution with stride N
 *     synthesis  [B, N, T/N] -> [B, T]          its transposed convolution: fractional stride N
 *
 * The prototype is a Kaiser-windowed sinc whose cutoff is searched for the flattest overall response; bands are cosine
 * modulations of it, so that aliasing of neighbours cancels.
 *
 * Errors   nn_pqmf_new: NULL, BL_EARG (n_bands < 2, taps not a multiple of 2 n_bands) or BL_ENOMEM. Runs record on
 *          the tape, BL_ESHAPE when T is no multiple of N.
 * Memory   nn_pqmf_new returns; release with nn_pqmf_free. Must outlive the tape's step.
 * Source   Nguyen, "Near-perfect-reconstruction pseudo-QMF banks", IEEE Trans. SP 42(1), 1994;
 *          Lin & Vaidyanathan, "A Kaiser window approach for the design of prototype filters", 1998.
 */
#ifndef BL_NN_PQMF_H
#define BL_NN_PQMF_H

#include "nn/ops.h"

typedef struct nn_pqmf nn_pqmf;

nn_pqmf *nn_pqmf_new(int n_bands, int taps, bl_error *err);
void     nn_pqmf_free(nn_pqmf *p);
nn_node *nn_pqmf_analysis(nn_pqmf *p, nn_tape *tape, nn_node *x);
nn_node *nn_pqmf_synthesis(nn_pqmf *p, nn_tape *tape, nn_node *bands);

#endif
