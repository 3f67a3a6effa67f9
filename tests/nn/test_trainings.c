/* Ten training steps against PyTorch, from the same weights on the same data: every loss, every weight and running mean in the
 * end. tools/golden/trainings.py writes tests/golden/trainings.txt and training_pairs.txt. */
#include "tests/nn/golden.h"

#include "nn/gan.h"
#include "nn/loss.h"
#include "nn/optimizer.h"
#include "nn/schedule.h"

enum { STEPS = 10 };

#ifdef BL_F64
static const double tolerance = 1e-6, weight_tolerance = 1e-5; /* the file has nine digits of losses, six of weights */
#else
static const double tolerance = 1e-5, weight_tolerance = 5e-5;
#endif

/* What the script trains them with. */
typedef struct setting { const char *name, *optimizer, *loss; } setting;
static const setting settings[] = {
    { "mlp", "optimizer=sgd lr=0.1 momentum=0.9 nesterov=yes weight_decay=0.01", "mse" },
    { "classifier", "optimizer=adam lr=0.01", "cross_entropy label_smoothing=0.1" },
    { "bilstm", "optimizer=rmsprop lr=0.01 alpha=0.9 momentum=0.5 centered=yes schedule=cosine lr_steps=10 warmup_steps=3 end_factor=0.1",
      "huber delta=0.5" },
    { "wavenet", "optimizer=adamw lr=0.02 weight_decay=0.1 amsgrad=yes", "cross_entropy" },
    { "transformer", "optimizer=radam lr=0.02 beta1=0.8 beta2=0.9 eps=0.001 clip_norm=0.5", "l1" },
    { "generator", "optimizer=adam lr=0.001 beta1=0.5 beta2=0.9", NULL },
    { "critic", "optimizer=adam lr=0.001 beta1=0.5 beta2=0.9", NULL },
    { "encoder", "optimizer=adam lr=0.02", "mse" },
    { "decoder", "optimizer=adam lr=0.02", NULL },
};

typedef struct model {
    const golden_case *c;
    bl_config         *config;
    nn_params         *params;
    nn_network        *net;
    nn_optimizer      *optimizer;
    nn_schedule        schedule;
    double             lr;
    nn_loss            loss;
} model;

static const setting *setting_of(const char *name)
{
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (!strcmp(settings[i].name, name))
            return &settings[i];
    fail_msg("there is no setting for %s", name);
    return NULL;
}

static model build(const golden_case *c, int accumulate)
{
    const setting *s = setting_of(c->name);
    bl_error err = { 0 };
    model m = { .c = c };
    char words[300];
    nn_optimizer_config o;
    snprintf(words, sizeof words, "[train]\n%s\n", s->optimizer);
    for (char *p = words; *p; p++)
        *p = (char)(*p == ' ' ? '\n' : *p);
    bl_config *train = bl_config_parse(words, c->name, &err);
    nn_optimizer_read(train, "train", &o, &err);
    nn_schedule_read(train, "train", STEPS, 0, &m.schedule, &err);
    bl_config_check_unused(train, &err);
    o.accumulate = accumulate;
    m.lr = o.lr;
    if (s->loss)
        nn_loss_parse(s->loss, NN_LOSS_ANY, c->name, &m.loss, &err);
    m.config = bl_config_parse(c->ini, c->name, &err);
    m.params = nn_params_new(&err);
    m.net = nn_network_build(m.config, "n", m.params, &err);
    if (err.code || nn_params_finish(m.params, &err) != BL_OK || !(m.optimizer = nn_optimizer_new(m.params, "", &o, &err)))
        fail_msg("%s: %s", c->name, err.msg);
    nn_params_init(m.params, 1);
    int set = 0;
    for (int i = 0; i < c->n; i++)
        if (!strncmp(c->tensor[i].name, "param:", 6)) {
            memcpy(golden_parameter(m.params, c->tensor[i].name + 6, &c->tensor[i], 0), c->tensor[i].x,
                   (size_t)nn_count(&c->tensor[i].shape) * sizeof(real));
            set++;
        }
    assert_int_equal(set, m.params->n); /* nothing was left to chance */
    bl_config_free(train);
    return m;
}

static void free_model(model *m)
{
    nn_optimizer_free(m->optimizer);
    nn_network_free(m->net);
    nn_params_free(m->params);
    bl_config_free(m->config);
}

/* Entry `at` along the first dimension of a tensor, or along its first two when there are `parts`. */
static nn_node *slice_of(nn_tape *t, const golden_case *c, const char *name, int step, int part, int parts)
{
    const golden_tensor *g = golden_find(c, name);
    const int lead = parts ? 2 : 1;
    nn_shape s = { g->shape.rank - lead, { 0 } };
    for (int d = 0; d < s.rank; d++)
        s.dim[d] = g->shape.dim[d + lead];
    return nn_input_real(t, s, g->x + (parts ? step * parts + part : step) * nn_count(&s));
}

static void update(model *m, int step)
{
    nn_optimizer_set_lr(m->optimizer, m->lr * nn_schedule_factor(&m->schedule, step));
    assert_true(isfinite(nn_optimizer_step(m->optimizer)));
}

static void check_loss(const model *m, int step, double got)
{
    const double want = (double)golden_find(m->c, "losses")->x[step];
    if (!(fabs(got - want) <= tolerance * fabs(want)))
        fail_msg("%s: loss of step %d: %.9g, PyTorch's is %.9g", m->c->name, step, got, want);
}

/* Weights and buffers after the last step, relative to the largest of each. */
static void check_weights(const model *m)
{
    for (int i = 0; i < m->c->n; i++) {
        const golden_tensor *want = &m->c->tensor[i];
        double top = 1e-3, worst = 0;
        if (strncmp(want->name, "after:", 6))
            continue;
        const real *got = golden_parameter(m->params, want->name + 6, NULL, 0);
        for (int64_t k = 0; k < nn_count(&want->shape); k++) {
            top = fmax(top, fabs((double)want->x[k]));
            worst = fmax(worst, fabs((double)got[k] - (double)want->x[k]));
        }
        if (!(worst <= weight_tolerance * top))
            fail_msg("%s: %s differs by %g of %g after %d steps", m->c->name, want->name, worst, top, STEPS);
    }
}

/* ---- one network ---- */

static void train_one(const golden_case *c)
{
    bl_error err = { 0 };
    nn_tape *t = nn_tape_new(&err);
    model m = build(c, 1);
    t->training = 1;
    for (int i = 0; i < STEPS; i++) {
        nn_tape_reset(t);
        nn_node *x = slice_of(t, c, "x", i, 0, 0);
        nn_node *loss = nn_keep(nn_loss_run(t, &m.loss, nn_network_run(m.net, t, &x, NULL), slice_of(t, c, "target", i, 0, 0)));
        nn_backward(t, loss);
        if (t->err.code)
            fail_msg("%s: %s", c->name, t->err.msg);
        check_loss(&m, i, (double)loss->x[0]);
        update(&m, i);
    }
    check_weights(&m);
    free_model(&m);
    nn_tape_free(t);
}

static void networks_train_as_in_pytorch(void **state)
{
    (void)state;
    golden_run_file("tests/golden/trainings.txt", NULL, 5, train_one);
}

/* ---- two networks ---- */

typedef struct pair {
    golden_case first, second;
    char       *text;
} pair;

static pair *read_pair(const char *kind)
{
    size_t size;
    bl_error err = { 0 };
    pair *p = calloc(1, sizeof *p);
    if (bl_read_file("tests/golden/training_pairs.txt", 1 << 20, &p->text, &size, &err) != BL_OK)
        fail_msg("%s", err.msg);
    for (char *rest = p->text; golden_read(&rest, &p->first);) {
        if (!strcmp(p->first.kind, kind)) {
            assert_true(golden_read(&rest, &p->second));
            return p;
        }
        for (int i = 0; i < p->first.n; i++)
            free(p->first.tensor[i].x);
    }
    fail_msg("there is no %s", kind);
    return NULL;
}

static void free_pair(pair *p)
{
    for (int i = 0; i < p->first.n; i++)
        free(p->first.tensor[i].x);
    for (int i = 0; i < p->second.n; i++)
        free(p->second.tensor[i].x);
    free(p->text);
    free(p);
}

static nn_node *run(model *m, nn_tape *t, nn_node *x)
{
    return nn_network_run(m->net, t, &x, NULL);
}

/* x + w (y - x), each example with its own w: a leaf. */
static nn_node *between(nn_tape *t, const nn_node *x, const nn_node *y, const real *w)
{
    nn_node *z = nn_leaf(t, x->shape, x->x);
    const int64_t n = nn_count(&x->shape) / x->shape.dim[0];
    for (int64_t i = 0; i < nn_count(&x->shape); i++)
        z->x[i] += w[i / n] * (y->x[i] - x->x[i]);
    return z;
}

static void a_wavegan_with_gradient_penalty_trains_as_in_pytorch(void **state)
{
    bl_error err = { 0 };
    nn_tape *t = nn_tape_new(&err);
    pair *p = read_pair("gan");
    model g = build(&p->first, 1), d = build(&p->second, 1);
    (void)state;
    t->training = 1;
    for (int i = 0; i < STEPS; i++) {
        nn_tape_reset(t);
        nn_tape_record(t, 0);
        nn_node *fake = run(&g, t, slice_of(t, g.c, "z", i, 0, 2));
        nn_tape_record(t, 1);
        nn_node *wave = slice_of(t, g.c, "wave", i, 0, 0);
        nn_node *at = between(t, wave, fake, golden_find(g.c, "mix")->x + i * wave->shape.dim[0]);
        nn_node *penalty = nn_gradient_penalty(t, run(&d, t, at), at);
        nn_node *loss = nn_keep(nn_add(t, nn_gan_critic_loss(t, NN_GAN_WGAN_GP, run(&d, t, wave), run(&d, t, fake)), nn_affine(t, penalty, 10, 0)));
        nn_backward(t, loss);
        assert_int_equal(t->err.code, BL_OK);
        check_loss(&d, i, (double)loss->x[0]);
        update(&d, i);
        nn_tape_reset(t);
        nn_params_freeze(d.params, "", 1);
        loss = nn_keep(nn_gan_generator_loss(t, NN_GAN_WGAN_GP, run(&d, t, run(&g, t, slice_of(t, g.c, "z", i, 1, 2)))));
        nn_backward(t, loss);
        nn_params_freeze(d.params, "", 0);
        check_loss(&g, i, (double)loss->x[0]);
        update(&g, i);
    }
    check_weights(&g);
    check_weights(&d);
    free_model(&g);
    free_model(&d);
    free_pair(p);
    nn_tape_free(t);
}

static void a_variational_autoencoder_trains_as_in_pytorch(void **state)
{
    bl_error err = { 0 };
    nn_tape *t = nn_tape_new(&err);
    pair *p = read_pair("vae");
    model e = build(&p->first, 2), r = build(&p->second, 2);
    (void)state;
    t->training = 1;
    for (int i = 0; i < STEPS; i++) {
        double sum = 0;
        for (int part = 0; part < 2; part++) { /* gradients add up; the optimisers take their mean */
            nn_node *code[2];
            nn_tape_reset(t);
            nn_node *x = slice_of(t, e.c, "x", i, part, 2);
            nn_network_run(e.net, t, &x, code);
            nn_node *deviation = nn_exp(t, nn_affine(t, code[1], 0.5, 0));
            nn_node *y = run(&r, t, nn_add(t, code[0], nn_mul(t, slice_of(t, e.c, "noise", i, part, 2), deviation)));
            nn_node *kl = nn_affine(t, nn_gaussian_kl(t, code[0], code[1]), 0.1, 0);
            nn_node *loss = nn_keep(nn_add(t, nn_loss_run(t, &e.loss, y, x), kl));
            nn_backward(t, loss);
            assert_int_equal(t->err.code, BL_OK);
            sum += (double)loss->x[0] / 2;
        }
        check_loss(&e, i, sum);
        update(&e, i);
        update(&r, i);
    }
    check_weights(&e);
    check_weights(&r);
    free_model(&e);
    free_model(&r);
    free_pair(p);
    nn_tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_train_as_in_pytorch),
        cmocka_unit_test(a_wavegan_with_gradient_penalty_trains_as_in_pytorch),
        cmocka_unit_test(a_variational_autoencoder_trains_as_in_pytorch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
