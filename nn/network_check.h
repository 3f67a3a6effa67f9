/* Is the gradient of a network right? Each parameter's and each input's is compared with central differences, so that the
 * guilty layer is named; in BUILD=f64 also the gradient of the gradient.
 *
 *     first order    d f along a direction u, f = sum of R (y + y^2/2) over all outputs y, R normal noise
 *     second order   d (v . grad f) along u, v a random direction of all parameters
 *
 * u moves one parameter alone, mostly along its gradient, where differences are largest beside rounding. In the second
 * order all parameters are moved together, and one by one only when that does not fit.
 *
 * Options  A length must be set (nn_network_set_length) where sizes are free. seed: of inputs, noise and directions.
 *          training: layers run as in training (dropout repeats its draws).
 * Errors   What stops the network (BL_ESHAPE ...), BL_ENOMEM. A gradient that does not fit is no error but a row.
 * Memory   nn_network_check returns rows; release with free. Parameters come back as they were, gradients do not.
 * Tested   tests/nn/test_network_check.c: right networks pass, a layer with a wrong rule is named.
 */
#ifndef BL_NN_NETWORK_CHECK_H
#define BL_NN_NETWORK_CHECK_H

#include "nn/network.h"

typedef struct nn_check_row {
    char   name[112];       /* "generator/up0/weight", or "input.z"                             */
    int    order;           /* 1 or 2                                                           */
    double gradient;        /* the slope by the engine ...                                      */
    double difference;      /* ... and by differences                                           */
    double error;           /* their distance relative to the larger, or to the whole gradient  */
    int    fits;
} nn_check_row;

typedef struct nn_check_options {
    int64_t  batch;
    uint64_t seed;
    int      training;
} nn_check_options;

/* The largest error that fits: 1e-5 in double; 2e-2 in float, where differences have four digits at best. */
extern const double nn_check_tolerance;

/* All parameters of p belong to net. */
nn_check_row *nn_network_check(nn_network *net, nn_params *p, const nn_check_options *options, int *n_rows, bl_error *err);

/* Inputs for trying a network out: normal noise, or classes where an embedding reads them. */
void nn_network_random_inputs(const nn_network *net, nn_tape *tape, int64_t batch, uint64_t seed, nn_node **inputs);

#endif
