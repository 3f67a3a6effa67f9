#include "nn/plan.h"

#include <stdio.h>

size_t nn_params_bytes(const nn_params *p)
{
    return 2 * (size_t)p->n_elements * sizeof(real);
}

/* Megabytes with a decimal while that says something. */
static int decimals(size_t n_bytes)
{
    return n_bytes < 100000000;
}

const char *nn_plan_str(const nn_plan *p, char out[120])
{
    const size_t all = p->weights + p->moments + p->step;
    snprintf(out, 120, "memory: %.*f MB planned (weights %.*f, moments %.*f, step %.*f)", decimals(all), 1e-6 * (double)all,
             decimals(p->weights), 1e-6 * (double)p->weights, decimals(p->moments), 1e-6 * (double)p->moments, decimals(p->step),
             1e-6 * (double)p->step);
    return out;
}
