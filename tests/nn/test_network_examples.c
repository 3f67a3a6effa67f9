/* The networks in configs/networks/: each is built, has PyTorch's number of parameters, and computes what PyTorch computes
 * with the same weights (tests/golden/networks.txt, written by tools/golden/networks.py). Weights and inputs are worked out
 * from their names, here and there alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/file.h"
#include "nn/network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 2, MAX_VALUES = 32 };

/* Element i of the numbers in -1..1 that belong to a name. */
static double uniform(const char *name, uint32_t i)
{
    uint32_t h = 2166136261u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 16777619u;
    h ^= i * 2654435761u;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    h ^= h >> 16;
    return h / 2147483648.0 - 1;
}

static int ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

static void set_weights(nn_params *p)
{
    for (int k = 0; k < p->n; k++) {
        const nn_param *param = &p->param[k];
        const int64_t n = nn_count(&param->shape);
        const double scale = sqrt(3 * (double)param->shape.dim[0] / (double)n);
        const int is_factor = ends_with(param->name, "weight") || ends_with(param->name, "running_var");
        for (int64_t i = 0; i < n; i++) {
            const double u = uniform(param->name, (uint32_t)i);
            p->value[param->offset + i] = (real)(param->shape.rank > 1 ? scale * u : is_factor ? 1 + 0.2 * u : 0.2 * u);
        }
    }
}

static void make_inputs(const nn_network *net, nn_tape *t, nn_node **in)
{
    for (int i = 0; i < nn_network_n_inputs(net); i++) {
        const nn_shape s = nn_network_input_shape(net, i);
        const int n_classes = nn_network_reads_index(net, i), is_magnitude = !strcmp(nn_network_input_name(net, i), "mix") && s.rank == 3;
        nn_shape full = { s.rank + 1, { BATCH } };
        char name[80];
        memcpy(full.dim + 1, s.dim, (size_t)s.rank * sizeof *s.dim);
        snprintf(name, sizeof name, "input.%s", nn_network_input_name(net, i));
        in[i] = nn_full(t, full, 0);
        for (int64_t k = 0; k < nn_count(&full); k++) {
            const double u = uniform(name, (uint32_t)k);
            in[i]->x[k] = (real)(n_classes ? floor((u + 1) / 2 * n_classes) : is_magnitude ? fabs(2 * u) : 2 * u);
        }
    }
}

typedef struct example {
    char     path[128], section[48];
    char     set[4][64];
    int      n_sets, n_values;
    int64_t  length, n_parameters;
    nn_shape shape;
    double   value[MAX_VALUES];
} example;

/* The next case of the file; 0 at its end. */
static int read_example(FILE *f, example *e)
{
    char file[64];
    memset(e, 0, sizeof *e);
    if (fscanf(f, " case %63s %47s", file, e->section) != 2)
        return 0;
    snprintf(e->path, sizeof e->path, "configs/networks/%s", file);
    while (e->n_sets < 4 && fscanf(f, " set %63s", e->set[e->n_sets]) == 1)
        e->n_sets++;
    /* "set" has eaten the blanks before "length" and no more */
    assert_int_equal(fscanf(f, " length %ld parameters %ld output %d", &e->length, &e->n_parameters, &e->shape.rank), 3);
    for (int d = 0; d < e->shape.rank; d++)
        assert_int_equal(fscanf(f, "%ld", &e->shape.dim[d]), 1);
    assert_int_equal(fscanf(f, " values %d :", &e->n_values), 1);
    assert_true(e->n_values > 0 && e->n_values <= MAX_VALUES);
    for (int i = 0; i < e->n_values; i++)
        assert_int_equal(fscanf(f, "%lf", &e->value[i]), 1);
    return 1;
}

static void check_values(const example *e, const nn_node *y)
{
    const int64_t stride = nn_count(&y->shape) / e->n_values;
    double top = 0, worst = 0;
    for (int i = 0; i < e->n_values; i++) {
        top = fmax(top, fabs(e->value[i]));
        worst = fmax(worst, fabs(e->value[i] - (double)y->x[i * stride]));
    }
    if (!(worst <= (sizeof(real) == 8 ? 1e-8 : 2e-5) * top))
        fail_msg("%s [%s]: values differ by %g of %g", e->path, e->section, worst, top);
}

static void check_example(const example *e)
{
    bl_error err = { BL_OK, "" };
    nn_node *in[8], *out[16];
    bl_config *config = bl_config_load(e->path, &err);
    for (int i = 0; config && i < e->n_sets; i++)
        bl_config_set(config, e->set[i], &err);
    nn_params *p = nn_params_new(&err);
    nn_network *net = config && !err.code ? nn_network_build(config, e->section, p, &err) : NULL;
    nn_tape *t = nn_tape_new(&err);
    if (!net || nn_params_finish(p, &err) != BL_OK || nn_network_set_length(net, e->length, &err) != BL_OK)
        fail_msg("%s [%s]: %s", e->path, e->section, err.msg);
    assert_int_equal(nn_params_count(p, ""), e->n_parameters);
    set_weights(p);
    nn_tape_record(t, 0);
    make_inputs(net, t, in);
    nn_node *y = nn_network_run(net, t, in, out);
    if (!y)
        fail_msg("%s [%s]: %s", e->path, e->section, t->err.msg);
    assert_true(nn_same_shape(&y->shape, &e->shape));
    check_values(e, y);
    nn_tape_free(t);
    nn_network_free(net);
    nn_params_free(p);
    bl_config_free(config);
}

static void every_example_computes_what_pytorch_computes(void **state)
{
    FILE *f = fopen("tests/golden/networks.txt", "r");
    example e;
    int n = 0;
    (void)state;
    assert_non_null(f);
    for (; read_example(f, &e); n++)
        check_example(&e);
    fclose(f);
    assert_int_equal(n, 12);
}

/* What is printed in a file as its size is so; every network of the folder trains for a step. */
static void every_file_builds_and_takes_a_step(void **state)
{
    static const struct { const char *file; int64_t length; const char *says; } files[] = {
        { "wavegan", 1, "generator 19,065,345, discriminator 17,427,969" }, { "wavenet", 40, "Parameters: 1,263,168" },
        { "parallel_wavegan", 256, "Parameters: 1,330,149" }, { "open_unmix", 3, "Parameters: 8,893,348" },
        { "autoencoder", 1, "Parameters: 3,191,713" }, { "vae", 1, "Parameters: 1,910,209" },
        { "unet", 4096, "Parameters: 10,263,002" }, { "transformer", 6, "Parameters: 5,726,084" }, { "mlp", 1, "Parameters: 8,385" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        bl_error err = { BL_OK, "" };
        char path[100], *text;
        const char *section;
        size_t size;
        snprintf(path, sizeof path, "configs/networks/%s.ini", files[i].file);
        bl_config *config = bl_config_load(path, &err);
        if (bl_read_file(path, 1 << 16, &text, &size, &err) != BL_OK || !config)
            fail_msg("%s", err.msg);
        if (!strstr(text, files[i].says))
            fail_msg("%s does not say \"%s\"", path, files[i].says);
        free(text);
        for (int k = 0; (section = nn_network_section(config, k)) != NULL; k++) {
            nn_node *in[8], *out[16], *loss = NULL;
            nn_params *p = nn_params_new(&err);
            nn_network *net = nn_network_build(config, section, p, &err);
            nn_tape *t = nn_tape_new(&err);
            if (!net || nn_params_finish(p, &err) != BL_OK || nn_network_set_length(net, files[i].length, &err) != BL_OK)
                fail_msg("%s [%s]: %s", path, section, err.msg);
            nn_params_init(p, 1);
            nn_params_zero_grad(p);
            t->training = 1;
            make_inputs(net, t, in);
            nn_network_run(net, t, in, out);
            for (int o = 0; o < nn_network_n_outputs(net) && !t->err.code; o++)
                loss = loss ? nn_add(t, loss, nn_mean(t, nn_square(t, out[o]))) : nn_mean(t, nn_square(t, out[o]));
            nn_backward(t, loss);
            if (t->err.code)
                fail_msg("%s [%s]: %s", path, section, t->err.msg);
            int is_gradient;
            assert_null(nn_params_first_bad(p, &is_gradient));
            nn_tape_free(t);
            nn_network_free(net);
            nn_params_free(p);
        }
        assert_int_equal(bl_config_check_unused(config, &err), BL_OK);
        bl_config_free(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_computes_what_pytorch_computes),
        cmocka_unit_test(every_file_builds_and_takes_a_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
