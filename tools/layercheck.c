/* bin/layercheck NET.ini: builds the networks of a file, prints their tables, times them, says how much memory they
 * take; in BUILD=f64 it also checks their gradients against differences. For whoever designs a network or a layer. */
#include "base/cli.h"
#include "base/config.h"
#include "base/file.h"
#include "nn/network.h"
#include "nn/plan.h"
#include "nn/profile.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    const char *section;
    int64_t     batch, length, runs, seed, threads;
    int         layers, profile;
} args = { NULL, 1, 4096, 5, 1, 0, 0, 0 };

static const bl_cli_option options[] = {
    { "section", 's', BL_CLI_TEXT, &args.section, "NAME", "this network only (default: every section with inputs)" },
    { "batch", 'b', BL_CLI_INT, &args.batch, "N", "examples at a time (1)" },
    { "length", 'l', BL_CLI_INT, &args.length, "N", "samples where the length is free (4096)" },
    { "runs", 'r', BL_CLI_INT, &args.runs, "N", "runs that are timed; the fastest counts (5)" },
    { "seed", 0, BL_CLI_INT, &args.seed, "N", "seed of weights and inputs (1)" },
    { "threads", 0, BL_CLI_INT, &args.threads, "N", "threads (all)" },
    { "profile", 'p', BL_CLI_FLAG, &args.profile, NULL, "also say which ops the time goes to" },
    { "layers", 0, BL_CLI_FLAG, &args.layers, NULL, "list all layer types and their options, and stop" },
    { NULL },
};

static const bl_cli_program program = {
    .name = "layercheck",
    .usage = "[options] NET.ini",
    .summary = "Builds networks, prints them, measures speed and memory; in BUILD=f64 checks gradients.",
    .examples = "  layercheck configs/networks/wavegan.ini\n"
                "  layercheck --section discriminator --batch 8 configs/networks/wavegan.ini\n"
                "  layercheck --layers\n"
                "  make BUILD=f64 build/f64/bin/layercheck && build/f64/bin/layercheck configs/networks/wavegan.ini\n",
    .min_positional = 0,
    .max_positional = 1,
};

/* Inputs from the seed: normal noise, or whole numbers where an embedding reads them. The same on each call. */
static void make_inputs(nn_network *net, nn_tape *t, nn_node **in)
{
    bl_rng_seed(&t->rng, (uint64_t)args.seed + 1);
    for (int i = 0; i < nn_network_n_inputs(net); i++) {
        const nn_shape s = nn_network_input_shape(net, i);
        nn_shape full = { s.rank + 1, { args.batch } };
        for (int d = 0; d < s.rank; d++)
            full.dim[d + 1] = s.dim[d] < 0 ? args.length : s.dim[d];
        in[i] = nn_network_reads_index(net, i) ? nn_full(t, full, 0) : nn_randn(t, full);
    }
}

/* A loss that every output takes part in. For the check, outputs are weighted by noise: the sum of squares behind a
 * normalisation would be constant. For timing that noise would cost too much. */
static nn_node *loss_of(nn_network *net, nn_tape *t, nn_node *const *in, int weighted)
{
    nn_node *out[16], *loss = NULL;
    nn_network_run(net, t, in, out);
    for (int i = 0; i < nn_network_n_outputs(net) && !t->err.code; i++) {
        nn_node *y = weighted ? nn_mul(t, out[i], nn_randn(t, out[i]->shape)) : nn_square(t, out[i]);
        loss = loss ? nn_add(t, loss, nn_sum(t, y)) : nn_sum(t, y);
    }
    return loss;
}

#ifdef BL_F64
/* Moves all parameters along their gradient, each by its own random share, and compares the slope. Returns 0 when it
 * fits. */
static int check_gradient(nn_network *net, nn_params *p, nn_tape *t)
{
    const double h = 1e-7; /* small: kinks of ReLUs lie close together in large networks */
    double along = 0, norm = 0, f[2] = { 0, 0 };
    nn_node *in[16];
    bl_rng rng;
    real *direction = calloc((size_t)p->n_elements + 1, sizeof *direction);
    if (!direction)
        return bl_fail(&t->err, BL_ENOMEM, "no memory for the gradient check");
    nn_params_zero_grad(p);
    nn_tape_reset(t);
    make_inputs(net, t, in);
    nn_node *loss = loss_of(net, t, in, 1);
    if (loss)
        nn_backward(t, loss);
    bl_rng_seed(&rng, 9);
    for (int64_t i = 0; i < p->n_elements; i++) {
        direction[i] = p->grad[i] * (0.5 + bl_rng_uniform(&rng));
        norm += direction[i] * direction[i];
    }
    norm = norm > 0 ? sqrt(norm) : 1;
    for (int64_t i = 0; i < p->n_elements; i++)
        along += p->grad[i] * (direction[i] /= norm);
    for (int side = 0; side < 2 && !t->err.code; side++) {
        for (int64_t i = 0; i < p->n_elements; i++)
            p->value[i] += (side ? 2 * h : -h) * direction[i];
        nn_tape_reset(t);
        make_inputs(net, t, in);
        loss = loss_of(net, t, in, 1);
        f[side] = loss ? loss->x[0] : 0;
    }
    for (int64_t i = 0; i < p->n_elements; i++)
        p->value[i] -= h * direction[i];
    free(direction);
    if (t->err.code)
        return 1;
    const double slope = (f[1] - f[0]) / (2 * h), error = fabs(slope - along) / fmax(1e-12, fabs(slope));
    printf("gradient    %.10g, from differences %.10g: %s (relative error %.1e)\n", along, slope,
           error < 1e-5 ? "agrees" : "DIFFERS", error);
    return error < 1e-5 ? 0 : 1;
}
#endif

/* Fastest of some runs in seconds; `mode` 0 inference, 1 forward and backward. */
static double fastest(nn_network *net, nn_params *p, nn_tape *t, int mode)
{
    double best = INFINITY;
    nn_node *in[16];
    nn_tape_record(t, mode);
    t->training = mode;
    for (int64_t run = 0; run <= args.runs && !t->err.code; run++) { /* one more: the first only warms up */
        nn_tape_reset(t);
        make_inputs(net, t, in);
        nn_params_zero_grad(p);
        if (run == 1 && args.profile && nn_profile_start(t, &t->err) != BL_OK)
            break;
        const double start = bl_seconds();
        nn_node *loss = mode ? loss_of(net, t, in, 0) : nn_network_run(net, t, in, NULL);
        if (mode && loss)
            nn_backward(t, loss);
        best = run ? fmin(best, bl_seconds() - start) : best;
    }
    return best;
}

/* Says what training will take, with Adam's two moments. */
static void print_plan(nn_network *net, const nn_params *p, nn_tape *t)
{
    nn_node *in[16];
    char text[120];
    nn_tape_dry(t, 1);
    t->training = 1;
    make_inputs(net, t, in);
    nn_node *loss = loss_of(net, t, in, 0);
    if (loss)
        nn_backward(t, loss);
    nn_plan plan = { .weights = nn_params_bytes(p), .moments = nn_params_bytes(p), .step = nn_tape_peak_bytes(t) };
    if (!t->err.code)
        printf("%s\n", nn_plan_str(&plan, text));
    nn_tape_dry(t, 0);
}

static int check_network(const bl_config *config, const char *section, bl_error *err)
{
    int failed = 0;
    nn_params *p = nn_params_new(err);
    nn_network *net = p ? nn_network_build(config, section, p, err) : NULL;
    if (net && nn_network_n_inputs(net) > 16)
        bl_fail(err, BL_EARG, "[%s] has more than 16 inputs", section);
    if (err->code || nn_params_finish(p, err) != BL_OK)
        goto done;
    nn_params_init(p, (uint64_t)args.seed);
    if (nn_network_set_length(net, args.length, err) != BL_OK)
        goto done;
    nn_network_print(net, stdout);
    printf("\nbatch %lld, free length %lld, %d threads\n", (long long)args.batch, (long long)args.length,
           omp_get_max_threads());
    for (int mode = 0; mode < 2 && !err->code; mode++) { /* a tape each, so that the peaks are apart */
        nn_tape *t = nn_tape_new(err);
        if (!t)
            break;
        if (mode)
            print_plan(net, p, t);
        const double seconds = fastest(net, p, t, mode);
        const double peak_mb = (double)nn_tape_peak_bytes(t) * 1e-6;
        if (!t->err.code)
            printf("%-11s %.3f ms, %.1f MB of values\n", mode ? "training" : "inference", 1e3 * seconds, peak_mb);
        if (!t->err.code && args.profile)
            nn_profile_print(t, (int)args.runs, 12, stdout);
#ifdef BL_F64
        if (mode && !t->err.code)
            failed = check_gradient(net, p, t);
#endif
        if (t->err.code)
            bl_fail(err, t->err.code, "%s", t->err.msg);
        nn_tape_free(t);
    }
#ifndef BL_F64
    if (!err->code)
        printf("gradient    not checked in float; build with make BUILD=f64\n");
#endif
    if (!err->code)
        putchar('\n');
done:
    nn_network_free(net);
    nn_params_free(p);
    return failed;
}

int main(int argc, char **argv)
{
    const char *path[1];
    bl_error err = { BL_OK, "" };
    int n = 0, failed = 0, n_networks = 0;
    const int status = bl_cli_parse(&program, options, argc, argv, path, &n);
    if (status >= 0)
        return status;
    if (args.layers) {
        nn_layers_print(stdout);
        return 0;
    }
    if (n == 0 || args.batch < 1 || args.length < 1 || args.runs < 1) {
        fprintf(stderr, n ? "layercheck: --batch, --length and --runs must be positive\n"
                          : "layercheck: which file? layercheck --help\n");
        return 2;
    }
    if (args.threads > 0)
        omp_set_num_threads((int)args.threads);
    bl_config *config = bl_config_load(path[0], &err);
    const char *section;
    for (int k = 0; config && !err.code && (section = nn_network_section(config, k)) != NULL; k++) {
        if (args.section && strcmp(args.section, section))
            continue;
        failed |= check_network(config, section, &err);
        n_networks++;
    }
    if (config && !err.code && !n_networks)
        bl_fail(&err, BL_EARG, "%s: no section %s%s%shas inputs (input.NAME = ...)", path[0], args.section ? "[" : "",
                args.section ? args.section : "", args.section ? "] " : "");
    bl_config_free(config);
    if (err.code)
        return bl_cli_fail(&program, &err);
    return failed;
}
