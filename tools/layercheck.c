/* bin/layercheck NET.ini: builds the networks of a file, prints their tables, checks their gradients parameter by parameter,
 * says where the time goes and how much memory they take. For whoever designs a network or a layer. */
#include "base/cli.h"
#include "base/config.h"
#include "base/file.h"
#include "nn/network_check.h"
#include "nn/plan.h"
#include "nn/profile.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 40, BAR = 30 };

static struct {
    const char *section;
    bl_cli_list sets;
    int64_t     batch, length, runs, seed, threads;
    int         json, no_check, no_time, profile;
} args = { NULL, { { NULL }, 0 }, 4, 4096, 5, 1, 0, 0, 0, 0, 0 };

static const bl_cli_option options[] = {
    { "section", 's', BL_CLI_TEXT, &args.section, "NAME", "this network only (default: every section that is one)" },
    { "set", 0, BL_CLI_LIST, &args.sets, "SECTION.KEY=VALUE", "overrides a line of the file; may be repeated" },
    { "batch", 'b', BL_CLI_INT, &args.batch, "N", "examples at a time (4)" },
    { "length", 'l', BL_CLI_INT, &args.length, "N", "T where the length is free (4096)" },
    { "runs", 'r', BL_CLI_INT, &args.runs, "N", "runs that are timed; the fastest counts (5)" },
    { "seed", 0, BL_CLI_INT, &args.seed, "N", "seed of weights and inputs (1)" },
    { "threads", 0, BL_CLI_INT, &args.threads, "N", "threads (all)" },
    { "profile", 'p', BL_CLI_FLAG, &args.profile, NULL, "also say which ops the time goes to" },
    { "no-check", 0, BL_CLI_FLAG, &args.no_check, NULL, "leave the gradients out" },
    { "no-time", 0, BL_CLI_FLAG, &args.no_time, NULL, "leave the times out" },
    { "json", 0, BL_CLI_FLAG, &args.json, NULL, "everything as one JSON object instead of tables" },
    { NULL },
};

static const bl_cli_program program = {
    .name = "layercheck",
    .usage = "[options] NET.ini",
    .summary = "Builds networks, prints them, checks their gradients, measures each layer's time and memory.\n"
               "Exit status 1 when a gradient is wrong. The float build checks to two digits; BUILD=f64 to five, and also\n"
               "the gradient of the gradient.",
    .examples = "  layercheck configs/networks/wavegan.ini\n"
                "  layercheck --section discriminator --batch 8 --set discriminator.d=16 configs/networks/wavegan.ini\n"
                "  layercheck --help layers\n"
                "  make BUILD=f64 build/f64/bin/layercheck && build/f64/bin/layercheck configs/networks/wavegan.ini\n",
    .min_positional = 1,
    .max_positional = 1,
    .topics = NN_LAYERS_HELP,
    .topic = nn_layers_help,
};

/* What is found out about one network. */
typedef struct layer_cost {
    double forward, backward; /* seconds */
    double bytes;             /* values in training, beside its inputs */
} layer_cost;

typedef struct report {
    nn_network   *net;
    nn_params    *params;
    layer_cost   *cost;       /* of each layer, NULL: not measured */
    nn_plan       plan;
    double        inference, training, inference_bytes, training_bytes;
    nn_check_row *rows;
    int           n_rows, n_failed;
} report;

/* ---- measuring ---- */

/* One layer by itself, on noise of its inputs' shapes. */
static bl_status measure_layer(nn_layer *l, layer_cost *cost, bl_error *err)
{
    nn_node *in[NN_MAX_IN];
    double inputs = 0;
    nn_tape *t = nn_tape_new(err);
    if (!t)
        return err->code;
    t->training = 1;
    cost->forward = cost->backward = INFINITY;
    for (int64_t run = 0; run <= args.runs && !t->err.code; run++) { /* one more: the first only warms up */
        nn_tape_reset(t);
        bl_rng_seed(&t->rng, (uint64_t)args.seed);
        inputs = 0;
        for (int i = 0; i < l->n_in; i++) {
            nn_shape s = { l->in_shape[i].rank + 1, { args.batch } };
            memcpy(s.dim + 1, l->in_shape[i].dim, (size_t)l->in_shape[i].rank * sizeof *s.dim);
            nn_node *x = !strcmp(l->type->name, "embedding") ? nn_full(t, s, 0) : nn_randn(t, s);
            in[i] = x ? nn_leaf(t, s, x->x) : NULL;
            inputs += 2 * (double)nn_count(&s) * sizeof(real);
        }
        const double start = bl_seconds();
        nn_node *y = l->type->forward(l, t, in);
        const double forward = bl_seconds() - start;
        nn_node *loss = nn_sum(t, y);
        const double middle = bl_seconds();
        if (loss)
            nn_backward(t, loss);
        if (run) {
            cost->forward = fmin(cost->forward, forward);
            cost->backward = fmin(cost->backward, bl_seconds() - middle);
        }
    }
    cost->bytes = fmax(0, (double)nn_tape_peak_bytes(t) - inputs);
    if (t->err.code)
        bl_fail(err, t->err.code, "%s (%s): %s", l->path, l->type->name, t->err.msg);
    nn_tape_free(t);
    return err->code;
}

/* Everything that a training step runs; in inference the outputs alone. */
static void run_once(report *r, nn_tape *t, int training)
{
    nn_node *in[16], *out[16], *loss = NULL;
    nn_network_random_inputs(r->net, t, args.batch, (uint64_t)args.seed, in);
    nn_network_run(r->net, t, in, out);
    for (int i = 0; training && i < nn_network_n_outputs(r->net) && !t->err.code; i++)
        loss = loss ? nn_add(t, loss, nn_sum(t, out[i])) : nn_sum(t, out[i]);
    if (loss)
        nn_backward(t, loss);
}

/* What training will take, with Adam's two moments. */
static void plan_memory(report *r, nn_tape *t)
{
    nn_tape_dry(t, 1);
    run_once(r, t, 1);
    r->plan = (nn_plan){ nn_params_bytes(r->params), nn_params_bytes(r->params), nn_tape_peak_bytes(t) };
    nn_tape_dry(t, 0);
}

/* The whole network: the fastest of some runs, and the peak of memory. */
static bl_status measure_network(report *r, int training, double *seconds, double *bytes, bl_error *err)
{
    nn_tape *t = nn_tape_new(err); /* one for each mode, so that the peaks are apart */
    if (!t)
        return err->code;
    nn_tape_record(t, training);
    t->training = training;
    if (training)
        plan_memory(r, t);
    *seconds = INFINITY;
    for (int64_t run = 0; run <= args.runs && !t->err.code; run++) { /* one more: the first only warms up */
        nn_tape_reset(t);
        nn_params_zero_grad(r->params);
        if (run == 1 && args.profile && nn_profile_start(t, &t->err) != BL_OK)
            break;
        const double start = bl_seconds();
        run_once(r, t, training);
        if (run)
            *seconds = fmin(*seconds, bl_seconds() - start);
    }
    if (!t->err.code && args.profile && !args.json) {
        printf("\nops of a run in %s\n", training ? "training" : "inference");
        nn_profile_print(t, (int)args.runs, 12, stdout);
    }
    *bytes = (double)nn_tape_peak_bytes(t);
    if (t->err.code)
        bl_fail(err, t->err.code, "%s", t->err.msg);
    nn_tape_free(t);
    return err->code;
}

static bl_status measure(report *r, bl_error *err)
{
    const int n = nn_network_n_layers(r->net);
    r->cost = calloc((size_t)n + 1, sizeof *r->cost);
    if (!r->cost)
        return bl_fail(err, BL_ENOMEM, "no memory for %d layers", n);
    if (measure_network(r, 0, &r->inference, &r->inference_bytes, err) != BL_OK ||
        measure_network(r, 1, &r->training, &r->training_bytes, err) != BL_OK)
        return err->code;
    for (int i = 0; i < n && !err->code; i++)
        measure_layer(nn_network_layer_at(r->net, i), &r->cost[i], err);
    return err->code;
}

/* ---- tables ---- */

static double giga_flops(const nn_layer *l, double seconds)
{
    return seconds > 0 ? 2e-9 * l->macs * (double)args.batch / seconds : 0;
}

static void print_profile(const report *r)
{
    const int n = nn_network_n_layers(r->net);
    double total = 1e-12, hidden = 0;
    char plan[120];
    int n_hidden = 0;
    for (int i = 0; i < n; i++)
        total += r->cost[i].forward + r->cost[i].backward;
    printf("\n%-24s %10s %10s %9s %10s  %s\n", "each layer by itself", "forward ms", "backward", "GFLOP/s", "memory MB", "share of the time");
    for (int i = 0; i < n; i++) {
        const layer_cost *c = &r->cost[i];
        const double share = (c->forward + c->backward) / total;
        if (n > ROWS && share < 0.005) {
            hidden += share;
            n_hidden++;
            continue;
        }
        const nn_layer *l = nn_network_layer_at(r->net, i);
        printf("%-24s %10.3f %10.3f %9.1f %10.2f %5.1f%% %.*s\n", nn_network_layer_key(r->net, i), 1e3 * c->forward, 1e3 * c->backward,
               giga_flops(l, c->forward), 1e-6 * c->bytes, 100 * share, (int)(BAR * share + 0.5), "##############################");
    }
    if (n_hidden)
        printf("%-24s %48.1f%%  %d layers below 0.5 %% each\n", "others", 100 * hidden, n_hidden);
    printf("\nbatch %lld, T %lld, %d threads\n", (long long)args.batch, (long long)args.length, omp_get_max_threads());
    printf("inference   %10.3f ms %10.2f MB\ntraining    %10.3f ms %10.2f MB\n%s, with Adam\n", 1e3 * r->inference,
           1e-6 * r->inference_bytes, 1e3 * r->training, 1e-6 * r->training_bytes, nn_plan_str(&r->plan, plan));
}

static void print_checks(const report *r)
{
    double worst[2] = { 0, 0 };
    for (int i = 0; i < r->n_rows; i++) {
        const nn_check_row *row = &r->rows[i];
        worst[row->order - 1] = fmax(worst[row->order - 1], row->error);
        if (!row->fits)
            printf("WRONG       order %d  %-40s %.10g, by differences %.10g: relative error %.1e\n", row->order, row->name,
                   row->gradient, row->difference, row->error);
    }
    const int second = r->n_rows && r->rows[r->n_rows - 1].order == 2;
    printf("gradient    %s: %d of %d checks agree, largest relative error %.1e of %.0e allowed", r->n_failed ? "WRONG" : "right",
           r->n_rows - r->n_failed, r->n_rows, worst[0], nn_check_tolerance);
    if (second)
        printf("; second order %.1e\n", worst[1]);
    else
        printf("\n            (float; make BUILD=f64 checks to 1e-05 and the gradient of the gradient)\n");
}

/* ---- JSON ---- */

static void json_shape(const nn_shape *s)
{
    putchar('[');
    for (int d = 0; d < s->rank; d++)
        printf(d ? ", %lld" : "%lld", (long long)s->dim[d]);
    putchar(']');
}

/* JSON knows no NaN. */
static void json_number(const char *name, double x)
{
    if (isfinite(x))
        printf(", \"%s\": %.9g", name, x);
    else
        printf(", \"%s\": null", name);
}

static void json_report(const report *r, const char *section, int first)
{
    printf("%s\n  {\"section\": \"%s\", \"batch\": %lld, \"length\": %lld, \"threads\": %d, \"parameters\": %lld", first ? "" : ",", section,
           (long long)args.batch, (long long)args.length, omp_get_max_threads(), (long long)nn_params_count(r->params, ""));
    if (r->cost) {
        json_number("inference_ms", 1e3 * r->inference);
        json_number("inference_mb", 1e-6 * r->inference_bytes);
        json_number("training_ms", 1e3 * r->training);
        json_number("training_mb", 1e-6 * r->training_bytes);
    }
    printf(",\n   \"layers\": [");
    for (int i = 0; i < nn_network_n_layers(r->net); i++) {
        const nn_layer *l = nn_network_layer_at(r->net, i);
        printf("%s\n    {\"key\": \"%s\", \"type\": \"%s\", \"shape\": ", i ? "," : "", nn_network_layer_key(r->net, i), l->type->name);
        json_shape(&l->out_shape);
        printf(", \"path\": \"%s\", \"shared\": %s", l->path, l->is_shared ? "true" : "false");
        json_number("mflop", 2e-6 * l->macs);
        if (r->cost) {
            json_number("forward_ms", 1e3 * r->cost[i].forward);
            json_number("backward_ms", 1e3 * r->cost[i].backward);
            json_number("gflops", giga_flops(l, r->cost[i].forward));
            json_number("memory_mb", 1e-6 * r->cost[i].bytes);
        }
        putchar('}');
    }
    printf("],\n   \"checks\": [");
    for (int i = 0; i < r->n_rows; i++) {
        const nn_check_row *row = &r->rows[i];
        printf("%s\n    {\"name\": \"%s\", \"order\": %d, \"fits\": %s", i ? "," : "", row->name, row->order, row->fits ? "true" : "false");
        json_number("gradient", row->gradient);
        json_number("difference", row->difference);
        json_number("error", row->error);
        putchar('}');
    }
    printf("], \"wrong\": %d}", r->n_failed);
}

/* ---- the program ---- */

static bl_status examine(report *r, const bl_config *config, const char *section, bl_error *err)
{
    const nn_check_options check = { args.batch, (uint64_t)args.seed, 1 };
    r->params = nn_params_new(err);
    if (!r->params || !(r->net = nn_network_build(config, section, r->params, err)) || nn_params_finish(r->params, err) != BL_OK)
        return err->code;
    if (nn_network_n_inputs(r->net) > 16)
        return bl_fail(err, BL_EARG, "[%s] has more than 16 inputs", section);
    nn_params_init(r->params, (uint64_t)args.seed);
    if (nn_network_set_length(r->net, args.length, err) != BL_OK)
        return err->code;
    if (!args.json)
        nn_network_print(r->net, stdout);
    if (!args.no_time && measure(r, err) != BL_OK)
        return err->code;
    if (r->cost && !args.json)
        print_profile(r);
    if (args.no_check)
        return BL_OK;
    r->rows = nn_network_check(r->net, r->params, &check, &r->n_rows, err);
    for (int i = 0; i < r->n_rows && r->rows; i++)
        r->n_failed += !r->rows[i].fits;
    if (r->rows && !args.json)
        print_checks(r);
    return err->code;
}

static int examine_all(const bl_config *config, const char *path, bl_error *err)
{
    int n_networks = 0, n_failed = 0;
    const char *section;
    for (int k = 0; !err->code && (section = nn_network_section(config, k)) != NULL; k++) {
        report r = { 0 };
        if (args.section && strcmp(args.section, section))
            continue;
        if (!args.json && n_networks)
            putchar('\n');
        if (examine(&r, config, section, err) == BL_OK && args.json)
            json_report(&r, section, n_networks == 0);
        n_failed += r.n_failed;
        n_networks++;
        nn_network_free(r.net);
        nn_params_free(r.params);
        free(r.cost);
        free(r.rows);
    }
    if (!err->code && !n_networks)
        bl_fail(err, BL_EARG, "%s: no section %s%s%shas inputs (input.NAME = ...)", path, args.section ? "[" : "",
                args.section ? args.section : "", args.section ? "] " : "");
    return n_failed;
}

int main(int argc, char **argv)
{
    const char *path[1];
    bl_error err = { BL_OK, "" };
    int n = 0, n_failed = 0;
    const int status = bl_cli_parse(&program, options, argc, argv, path, &n);
    if (status >= 0)
        return status;
    if (args.batch < 1 || args.length < 1 || args.runs < 1) {
        fprintf(stderr, "layercheck: --batch, --length and --runs must be positive\n");
        return 2;
    }
    if (args.threads > 0)
        omp_set_num_threads((int)args.threads);
    bl_config *config = bl_config_load(path[0], &err);
    for (int i = 0; config && i < args.sets.n; i++)
        bl_config_set(config, args.sets.item[i], &err);
    if (config && !err.code) {
        if (args.json)
            printf("{\"networks\": [");
        n_failed = examine_all(config, path[0], &err);
        if (args.json && !err.code)
            printf("\n]}\n");
    }
    bl_config_free(config);
    if (err.code)
        return bl_cli_fail(&program, &err);
    return n_failed > 0;
}
