#include "nn/plan.h"

#include <stdio.h>

size_t nn_params_bytes(const nn_params *p)
{
    return 2 * (size_t)p->n_elements * sizeof(real);
}

const char *nn_plan_str(const nn_plan *p, char out[120])
{
    snprintf(out, 120, "memory: %.3g MB planned (weights %.3g, moments %.3g, step %.3g)",
             1e-6 * (double)(p->weights + p->moments + p->step), 1e-6 * (double)p->weights, 1e-6 * (double)p->moments,
             1e-6 * (double)p->step);
    return out;
}
