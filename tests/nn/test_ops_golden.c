/* Layers, losses and gradient penalties against PyTorch: values, gradients, second order. tools/golden/ops.py writes
 * tests/golden/ops.txt and describes its lines. */
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

enum { MAX_TENSORS = 48 };

typedef struct golden_tensor {
    char     name[64];
    nn_shape shape;
    real    *x;
} golden_tensor;

typedef struct golden_case {
    char          name[64], kind[64], ini[1024];
    int           training, n;
    golden_tensor tensor[MAX_TENSORS];
} golden_case;

static char *next_line(char **text)
{
    char *line = *text, *end = strchr(line, '\n');
    if (!end)
        return NULL;
    *end = '\0';
    *text = end + 1;
    return line;
}

static int read_case(char **text, golden_case *c)
{
    memset(c, 0, sizeof *c);
    for (char *line; (line = next_line(text)) != NULL;) {
        char key[64];
        int used = 0;
        if (!strcmp(line, "end"))
            return 1;
        if (sscanf(line, "case %63s %63s", c->name, c->kind) == 2 || sscanf(line, "training %d", &c->training) == 1)
            continue;
        const size_t n = strlen(c->ini);
        if (!strncmp(line, "input ", 6)) {
            snprintf(c->ini + n, sizeof c->ini - n, "[n]\ninput.x = %s\n", line + 6);
        } else if (sscanf(line, "layer %63s %n", key, &used) == 1 && used) {
            snprintf(c->ini + n, sizeof c->ini - n, "%s = %s\n", key, line + used);
        } else {
            golden_tensor *t = &c->tensor[c->n++];
            assert_true(c->n <= MAX_TENSORS);
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

static const golden_tensor *find(const golden_case *c, const char *name)
{
    for (int i = 0; i < c->n; i++)
        if (!strcmp(c->tensor[i].name, name))
            return &c->tensor[i];
    return NULL;
}

/* Largest error relative to the largest value. */
static void compare(const golden_case *c, const char *what, const real *got, const golden_tensor *want)
{
    double top = 1e-3, worst = 0;
    for (int64_t i = 0; i < nn_count(&want->shape); i++) {
        top = fmax(top, fabs((double)want->x[i]));
        worst = fmax(worst, fabs((double)got[i] - (double)want->x[i]));
    }
    if (!(worst <= 1e-5 * top))
        fail_msg("%s: %s differs by %g of %g", c->name, what, worst, top);
}

static nn_node *leaf_of(nn_tape *t, const golden_tensor *g)
{
    return nn_leaf(t, g->shape, g->x);
}

static real *parameter(nn_params *p, const char *name, const golden_tensor *shape_of, int gradient)
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

static void run_network_case(const golden_case *c)
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
            memcpy(parameter(p, c->tensor[i].name + 6, &c->tensor[i], 0), c->tensor[i].x,
                   (size_t)nn_count(&c->tensor[i].shape) * sizeof(real));
    nn_node *x = leaf_of(t, find(c, "x")), *dx = NULL, *loss;
    nn_node *y = nn_network_run(net, t, &x, NULL);
    if (!y)
        fail_msg("%s: %s", c->name, t->err.msg);
    if (!strcmp(c->kind, "layer")) {
        assert_true(nn_same_shape(&y->shape, &find(c, "y")->shape));
        compare(c, "y", y->x, find(c, "y"));
        nn_node *dy = leaf_of(t, find(c, "dy"));
        nn_grad(t, y, dy, 1, &x, &dx, 0);
        if (find(c, "dx"))
            compare(c, "dx", dx->x, find(c, "dx"));
        loss = nn_sum(t, nn_mul(t, y, dy));
    } else {
        loss = nn_gradient_penalty(t, y, x);
        compare(c, "penalty", loss->x, find(c, "y"));
    }
    nn_backward(t, loss);
    assert_int_equal(t->err.code, BL_OK);
    for (int i = 0; i < c->n; i++) {
        if (!strncmp(c->tensor[i].name, "grad:", 5))
            compare(c, c->tensor[i].name, parameter(p, c->tensor[i].name + 5, NULL, 1), &c->tensor[i]);
        if (!strncmp(c->tensor[i].name, "after:", 6))
            compare(c, c->tensor[i].name, parameter(p, c->tensor[i].name + 6, NULL, 0), &c->tensor[i]);
    }
    nn_tape_free(t);
    nn_network_free(net);
    nn_params_free(p);
    bl_config_free(config);
}

static nn_node *loss_of(const golden_case *c, nn_tape *t, nn_node *x)
{
    static const nn_stft_opt resolutions[] = { { 16, 4, 16 }, { 32, 8, 24 } };
    nn_node *target = find(c, "target") ? leaf_of(t, find(c, "target")) : NULL;
    if (!strcmp(c->kind, "softmax"))
        return nn_softmax(t, x);
    if (!strcmp(c->kind, "log_softmax"))
        return nn_log_softmax(t, x);
    if (!strcmp(c->kind, "cross_entropy"))
        return nn_cross_entropy(t, x, target);
    if (!strcmp(c->kind, "bce_with_logits"))
        return nn_bce_with_logits(t, x, target);
    if (!strcmp(c->kind, "mse_loss"))
        return nn_mse_loss(t, x, target);
    if (!strcmp(c->kind, "l1_loss"))
        return nn_l1_loss(t, x, target);
    if (!strcmp(c->kind, "stft_magnitude"))
        return nn_stft_magnitude(t, x, (nn_stft_opt){ 16, 4, 12 }, 1e-7);
    if (!strcmp(c->kind, "multi_resolution_stft"))
        return nn_multi_resolution_stft_loss(t, x, target, 2, resolutions);
    fail_msg("unknown kind of case: %s", c->kind);
    return NULL;
}

static void run_loss_case(const golden_case *c)
{
    bl_error err = { BL_OK, "" };
    nn_tape *t = nn_tape_new(&err);
    nn_node *x = leaf_of(t, find(c, "x")), *dx = NULL, *y = loss_of(c, t, x);
    if (!y)
        fail_msg("%s: %s", c->name, t->err.msg);
    assert_true(nn_same_shape(&y->shape, &find(c, "y")->shape));
    compare(c, "y", y->x, find(c, "y"));
    nn_grad(t, y, leaf_of(t, find(c, "dy")), 1, &x, &dx, 0);
    assert_int_equal(t->err.code, BL_OK);
    compare(c, "dx", dx->x, find(c, "dx"));
    nn_tape_free(t);
}

/* Runs the cases of one kind: "layer", "gradient_penalty", or all others. */
static void run_kind(const char *kind, int at_least)
{
    char *text, *rest;
    size_t size;
    bl_error err = { BL_OK, "" };
    int n = 0;
    golden_case *c = malloc(sizeof *c);
    if (bl_read_file("tests/golden/ops.txt", 1 << 20, &text, &size, &err) != BL_OK)
        fail_msg("%s", err.msg);
    rest = text;
    while (read_case(&rest, c)) {
        const int is_network = !strcmp(c->kind, "layer") || !strcmp(c->kind, "gradient_penalty");
        if (kind ? !strcmp(c->kind, kind) : !is_network) {
            if (is_network)
                run_network_case(c);
            else
                run_loss_case(c);
            n++;
        }
        for (int i = 0; i < c->n; i++)
            free(c->tensor[i].x);
    }
    free(c);
    free(text);
    assert_true(n >= at_least);
}

static void layers_agree_with_pytorch_forward_and_backward(void **state)
{
    (void)state;
    run_kind("layer", 16);
}

static void losses_agree_with_pytorch_forward_and_backward(void **state)
{
    (void)state;
    run_kind(NULL, 8);
}

static void gradient_penalties_agree_with_pytorch_to_second_order(void **state)
{
    (void)state;
    run_kind("gradient_penalty", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_agree_with_pytorch_forward_and_backward),
        cmocka_unit_test(losses_agree_with_pytorch_forward_and_backward),
        cmocka_unit_test(gradient_penalties_agree_with_pytorch_to_second_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
