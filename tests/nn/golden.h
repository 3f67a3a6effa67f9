/* Golden cases from PyTorch: reading them, running networks against them. For the tests of this folder; a script in
 * tools/golden/ writes each file. A case is a list of lines:
 *
 *     case NAME KIND            layer, gradient_penalty, or what the test that reads it knows
 *     training 0|1
 *     input SHAPE               of one example, as in an .ini; the network's first input x
 *     input.NAME SHAPE          one more input
 *     layer KEY TEXT            as in an .ini
 *     tensor NAME RANK DIMS : VALUES
 *     end
 *
 * Tensors: inputs by name, dy (the weights of the sum that is differentiated), y, d + input for its gradient, target,
 * param:KEY/NAME, grad:KEY/NAME, after:KEY/NAME (a buffer after the run); scalars have rank 0. Of a parameter that is
 * missing, the initial value stays.
 */
#ifndef BL_TESTS_NN_GOLDEN_H
#define BL_TESTS_NN_GOLDEN_H

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

enum { GOLDEN_TENSORS = 64, GOLDEN_INPUTS = 8 };

typedef struct golden_tensor {
    char     name[64];
    nn_shape shape;
    real    *x;
} golden_tensor;

typedef struct golden_case {
    char          name[64], kind[64], ini[1024];
    int           training, n;
    golden_tensor tensor[GOLDEN_TENSORS];
} golden_case;

static inline char *golden_line(char **text)
{
    char *line = *text, *end = strchr(line, '\n');
    if (!end)
        return NULL;
    *end = '\0';
    *text = end + 1;
    return line;
}

static inline int golden_read(char **text, golden_case *c)
{
    memset(c, 0, sizeof *c);
    for (char *line; (line = golden_line(text)) != NULL;) {
        char key[64];
        int used = 0;
        if (!strcmp(line, "end"))
            return 1;
        if (sscanf(line, "case %63s %63s", c->name, c->kind) == 2) {
            snprintf(c->ini, sizeof c->ini, "[n]\n");
            continue;
        }
        if (sscanf(line, "training %d", &c->training) == 1)
            continue;
        const size_t n = strlen(c->ini);
        if (!strncmp(line, "input ", 6)) {
            snprintf(c->ini + n, sizeof c->ini - n, "input.x = %s\n", line + 6);
        } else if (sscanf(line, "input.%63s %n", key, &used) == 1 && used) {
            snprintf(c->ini + n, sizeof c->ini - n, "input.%s = %s\n", key, line + used);
        } else if (sscanf(line, "layer %63s %n", key, &used) == 1 && used) {
            snprintf(c->ini + n, sizeof c->ini - n, "%s = %s\n", key, line + used);
        } else {
            golden_tensor *t = &c->tensor[c->n++];
            assert_true(c->n <= GOLDEN_TENSORS);
            assert_int_equal(sscanf(line, "tensor %63s %d %n", t->name, &t->shape.rank, &used), 2);
            char *p = line + used;
            for (int d = 0; d < t->shape.rank; d++)
                t->shape.dim[d] = strtoll(p, &p, 10);
            p = strchr(p, ':') + 1;
            t->x = malloc((size_t)nn_count(&t->shape) * sizeof *t->x);
            for (int64_t i = 0; i < nn_count(&t->shape); i++)
                t->x[i] = (real)strtod(p, &p);
        }
    }
    return 0;
}

static inline const golden_tensor *golden_find(const golden_case *c, const char *name)
{
    for (int i = 0; i < c->n; i++)
        if (!strcmp(c->tensor[i].name, name))
            return &c->tensor[i];
    return NULL;
}

/* Largest error relative to the largest value. */
static inline void golden_compare(const golden_case *c, const char *what, const real *got, const golden_tensor *want)
{
    double top = 1e-3, worst = 0;
    for (int64_t i = 0; i < nn_count(&want->shape); i++) {
        top = fmax(top, fabs((double)want->x[i]));
        worst = fmax(worst, fabs((double)got[i] - (double)want->x[i]));
    }
    if (!(worst <= 1e-5 * top))
        fail_msg("%s: %s differs by %g of %g", c->name, what, worst, top);
}

static inline nn_node *golden_leaf(nn_tape *t, const golden_tensor *g)
{
    return nn_leaf(t, g->shape, g->x);
}

static inline real *golden_parameter(nn_params *p, const char *name, const golden_tensor *shape_of, int gradient)
{
    char full[112];
    snprintf(full, sizeof full, "n/%s", name);
    const int i = nn_params_find(p, full);
    if (i < 0)
        fail_msg("there is no parameter %s", full);
    if (shape_of && !nn_same_shape(&p->param[i].shape, &shape_of->shape))
        fail_msg("%s has another shape than in PyTorch", full);
    return (gradient ? p->grad : p->value) + p->param[i].offset;
}

static inline void golden_run_network(const golden_case *c)
{
    bl_error err = { BL_OK, "" };
    bl_config *config = bl_config_parse(c->ini, c->name, &err);
    nn_params *p = nn_params_new(&err);
    nn_network *net = nn_network_build(config, "n", p, &err);
    nn_tape *t = nn_tape_new(&err);
    if (!net || nn_params_finish(p, &err) != BL_OK)
        fail_msg("%s: %s", c->name, err.msg);
    nn_params_init(p, 1);
    nn_params_zero_grad(p);
    t->training = c->training;
    for (int i = 0; i < c->n; i++)
        if (!strncmp(c->tensor[i].name, "param:", 6))
            memcpy(golden_parameter(p, c->tensor[i].name + 6, &c->tensor[i], 0), c->tensor[i].x,
                   (size_t)nn_count(&c->tensor[i].shape) * sizeof(real));
    nn_node *x[GOLDEN_INPUTS], *dx[GOLDEN_INPUTS] = { NULL }, *loss;
    const int n_inputs = nn_network_n_inputs(net);
    assert_true(n_inputs <= GOLDEN_INPUTS);
    for (int i = 0; i < n_inputs; i++)
        x[i] = golden_leaf(t, golden_find(c, nn_network_input_name(net, i)));
    nn_node *y = nn_network_run(net, t, x, NULL);
    if (!y)
        fail_msg("%s: %s", c->name, t->err.msg);
    if (!strcmp(c->kind, "layer")) {
        assert_true(nn_same_shape(&y->shape, &golden_find(c, "y")->shape));
        golden_compare(c, "y", y->x, golden_find(c, "y"));
        nn_node *dy = golden_leaf(t, golden_find(c, "dy"));
        nn_grad(t, y, dy, n_inputs, x, dx, 0);
        for (int i = 0; i < n_inputs; i++) {
            char name[66];
            snprintf(name, sizeof name, "d%.60s", nn_network_input_name(net, i));
            if (golden_find(c, name))
                golden_compare(c, name, dx[i]->x, golden_find(c, name));
        }
        loss = nn_sum(t, nn_mul(t, y, dy));
    } else {
        loss = nn_gradient_penalty(t, y, x[0]);
        golden_compare(c, "penalty", loss->x, golden_find(c, "y"));
    }
    nn_backward(t, loss);
    assert_int_equal(t->err.code, BL_OK);
    for (int i = 0; i < c->n; i++) {
        if (!strncmp(c->tensor[i].name, "grad:", 5))
            golden_compare(c, c->tensor[i].name, golden_parameter(p, c->tensor[i].name + 5, NULL, 1), &c->tensor[i]);
        if (!strncmp(c->tensor[i].name, "after:", 6))
            golden_compare(c, c->tensor[i].name, golden_parameter(p, c->tensor[i].name + 6, NULL, 0), &c->tensor[i]);
    }
    nn_tape_free(t);
    nn_network_free(net);
    nn_params_free(p);
    bl_config_free(config);
}

/* Runs every case of a file whose kind is `kind` (NULL: those that are no networks) with `run`; fails below at_least. */
static inline void golden_run_file(const char *path, const char *kind, int at_least, void (*run)(const golden_case *))
{
    char *text, *rest;
    size_t size;
    bl_error err = { BL_OK, "" };
    int n = 0;
    golden_case *c = malloc(sizeof *c);
    if (bl_read_file(path, 1 << 20, &text, &size, &err) != BL_OK)
        fail_msg("%s", err.msg);
    rest = text;
    while (golden_read(&rest, c)) {
        const int is_network = !strcmp(c->kind, "layer") || !strcmp(c->kind, "gradient_penalty");
        if (kind ? !strcmp(c->kind, kind) : !is_network) {
            run(c);
            n++;
        }
        for (int i = 0; i < c->n; i++)
            free(c->tensor[i].x);
    }
    free(c);
    free(text);
    assert_true(n >= at_least);
}

#endif
