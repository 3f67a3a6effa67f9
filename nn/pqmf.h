/* Pseudo quadrature mirror filter bank: a signal as N critically sampled bands, and back. Near-perfect reconstruction.
 *
 *     analysis   x [B, T] -> [B, N, T/N]        a convolution with stride N
 *     synthesis  [B, N, T/N] -> [B, T]          its transposed convolution: fractional stride N
 *
 *     h_k[n] = 2 g p[n] cos((2 k + 1) pi/(2 N) (n - taps/2) + (-1)^k pi/4),   synthesis with - pi/4
 *
 * p is a sinc under a Kaiser window, taps + 1 long; g makes both together of gain 1, and each keeps the power. With cutoff 0 the
 * cutoff is searched for the flattest overall response. The difference between what comes back and what went in, of white noise: -51
 * dB for 4, 8, 16 and 32 bands with taps = 8 N; -62 dB for 4 bands and 62 taps; -64 dB with what Multi-band MelGAN publishes (4, 62,
 * 0.142, 9).
 *
 * Errors   nn_pqmf_check: BL_EARG (n_bands < 2, taps odd or below 2 n_bands, cutoff outside 0..1, beta negative) or BL_ENOMEM. Runs
 *          record these on the tape, and BL_ESHAPE when T is no multiple of N.
 * Memory   Filters are made once per process and settings (nn/table.h).
 * Source   Nguyen, "Near-perfect-reconstruction pseudo-QMF banks", IEEE Trans. SP 42(1), 1994;
 *          Lin & Vaidyanathan, "A Kaiser window approach for the design of prototype filters", 1998;
 *          Yang et al., "Multi-band MelGAN", 2020.
 * Tested   tests/nn/test_pqmf.c
 */
#ifndef BL_NN_PQMF_H
#define BL_NN_PQMF_H

#include "nn/ops.h"

typedef struct nn_pqmf {
    int    n_bands;
    int    taps;    /* even; 0: 8 n_bands                                                       */
    double cutoff;  /* of the prototype, as a share of half the sample rate; 0: the best one    */
    double beta;    /* of the Kaiser window; 0: 9                                               */
} nn_pqmf;

bl_status nn_pqmf_check(const nn_pqmf *p, bl_error *err);
nn_node  *nn_pqmf_analysis(const nn_pqmf *p, nn_tape *tape, nn_node *x);
nn_node  *nn_pqmf_synthesis(const nn_pqmf *p, nn_tape *tape, nn_node *bands);

#endif
