#include "tests/temporary.h"

#include "base/rng.h"
#include "nn/optimizer.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/message.h"

enum { N = 5, STEPS = 10 };

#ifdef BL_F64
static const double tolerance = 1e-13;
#else
static const double tolerance = 1e-6;
#endif

/* Three parameters in two networks and a buffer; large enough for several chunks and threads. */
static nn_params *make_params(int64_t n_large)
{
    bl_error err = { 0 };
    nn_params *p = nn_params_new(&err);
    nn_params_add(p, "a/weight", nn_shape_of(1, n_large), NN_INIT_NORMAL, 1, &err);
    nn_params_add_buffer(p, "a/mean", nn_shape_of(1, (int64_t)3), NN_INIT_ONE, &err);
    nn_params_add(p, "a/bias", nn_shape_of(1, (int64_t)5), NN_INIT_UNIFORM, 1, &err);
    nn_params_add(p, "b/weight", nn_shape_of(1, (int64_t)7), NN_INIT_UNIFORM, 1, &err);
    assert_int_equal(nn_params_finish(p, &err), BL_OK);
    nn_params_init(p, 1);
    return p;
}

static void fill_grad(nn_params *p, uint64_t seed)
{
    bl_rng rng;
    bl_rng_seed(&rng, seed);
    for (int i = 0; i < p->n; i++)
        for (int64_t j = 0; j < nn_count(&p->param[i].shape) && !p->param[i].is_buffer; j++)
            p->grad[p->param[i].offset + j] = (real)bl_rng_normal(&rng);
}

static void read_vector(FILE *f, double v[N])
{
    for (int i = 0; i < N; i++)
        assert_int_equal(fscanf(f, "%lf", &v[i]), 1);
}

/* "lr=0.1 momentum=0.9" as a section of a config. */
static nn_optimizer_config read_options(const char *kind, const char *words)
{
    char text[400], *p;
    bl_error err = { 0 };
    nn_optimizer_config c;
    snprintf(text, sizeof text, "[train]\noptimizer=%s\n%s\n", kind, words);
    for (p = text; *p; p++)
        *p = (char)(*p == ' ' ? '\n' : *p);
    bl_config *config = bl_config_parse(text, "golden", &err);
    assert_non_null(config);
    assert_int_equal(nn_optimizer_read(config, "train", &c, &err), BL_OK);
    assert_int_equal(bl_config_check_unused(config, &err), BL_OK);
    bl_config_free(config);
    return c;
}

static void ten_steps_agree_with_torch(void **state)
{
    char line[200], kind[20], name[200];
    int n_cases = 0;
    FILE *f = fopen("tests/golden/optimizer.txt", "r");
    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        double start[N], grad[STEPS][N], want[STEPS][N];
        bl_error err = { 0 };
        int used = 0;
        if (sscanf(line, "case %19s%n", kind, &used) != 1)
            continue;
        const nn_optimizer_config config = read_options(kind, line + used);
        assert_non_null(fgets(name, sizeof name, f));
        read_vector(f, start);
        for (int i = 0; i < STEPS; i++)
            read_vector(f, grad[i]);
        for (int i = 0; i < STEPS; i++)
            read_vector(f, want[i]);
        nn_params *p = nn_params_new(&err);
        nn_params_add(p, "x", nn_shape_of(1, (int64_t)N), NN_INIT_ZERO, 0, &err);
        nn_params_finish(p, &err);
        nn_optimizer *o = nn_optimizer_new(p, "", &config, &err);
        assert_non_null(o);
        for (int i = 0; i < N; i++)
            p->value[i] = (real)start[i];
        for (int s = 0; s < STEPS; s++) {
            for (int i = 0; i < N; i++)
                p->grad[i] = (real)grad[s][i];
            nn_optimizer_step(o);
            for (int i = 0; i < N; i++)
                if (!(fabs((double)p->value[i] - want[s][i]) <= tolerance))
                    fail_msg("%sstep %d, element %d: %.9g, expected %.9g", name, s, i, (double)p->value[i], want[s][i]);
        }
        assert_int_equal(nn_optimizer_steps(o), STEPS);
        nn_optimizer_free(o);
        nn_params_free(p);
        n_cases++;
    }
    fclose(f);
    assert_int_equal(n_cases, 23);
}

static void only_its_own_parameters_move_and_gradients_are_zeroed(void **state)
{
    bl_error err = { 0 };
    nn_params *p = make_params(100), *before = make_params(100);
    const nn_optimizer_config c = nn_optimizer_defaults(NN_ADAMW);
    nn_optimizer *o = nn_optimizer_new(p, "a/", &c, &err);
    (void)state;
    fill_grad(p, 2);
    nn_params_freeze(p, "a/bias", 1);
    nn_optimizer_step(o);
    for (int i = 0; i < p->n; i++) {
        const nn_param *q = &p->param[i];
        for (int64_t j = 0; j < nn_count(&q->shape); j++) {
            const int64_t k = q->offset + j;
            assert_int_equal(p->value[k] != before->value[k], i == 0);
            if (i != 1)
                assert_int_equal(p->grad[k] != 0, i == 3);
        }
    }
    nn_optimizer_free(o);
    nn_params_free(p);
    nn_params_free(before);
}

static void the_norm_is_that_of_its_gradients(void **state)
{
    bl_error err = { 0 };
    nn_params *p = make_params(10000);
    const nn_optimizer_config c = nn_optimizer_defaults(NN_SGD);
    nn_optimizer *o = nn_optimizer_new(p, "a/", &c, &err);
    double sum = 0;
    (void)state;
    fill_grad(p, 2);
    for (int i = 0; i < 3; i++)
        for (int64_t j = 0; j < nn_count(&p->param[i].shape) && !p->param[i].is_buffer; j++) {
            const double g = (double)p->grad[p->param[i].offset + j];
            sum += g * g;
        }
    assert_true(fabs(nn_optimizer_step(o) / sqrt(sum) - 1) < 1e-12);
    nn_optimizer_free(o);
    nn_params_free(p);
}

static void a_nan_gradient_changes_nothing_and_stays_visible(void **state)
{
    const real bad[] = { (real)NAN, (real)INFINITY };
    bl_error err = { 0 };
    (void)state;
    for (int k = 0; k < 2; k++) {
        nn_params *p = make_params(100), *before = make_params(100);
        nn_optimizer_config c = nn_optimizer_defaults(NN_ADAM);
        c.clip_norm = 1;
        nn_optimizer *o = nn_optimizer_new(p, "", &c, &err);
        fill_grad(p, 2);
        p->grad[7] = bad[k];
        assert_false(isfinite(nn_optimizer_step(o)));
        assert_memory_equal(p->value, before->value, (size_t)p->n_elements * sizeof *p->value);
        assert_false(isfinite(p->grad[7]));
        assert_int_equal(nn_optimizer_steps(o), 0);
        nn_optimizer_free(o);
        nn_params_free(p);
        nn_params_free(before);
    }
}

/* Every state that a kind can have. */
static nn_optimizer_config with_all_states(nn_optimizer_kind kind)
{
    nn_optimizer_config c = nn_optimizer_defaults(kind);
    c.momentum = 0.5;
    c.nesterov = kind == NN_SGD;
    c.amsgrad = kind == NN_ADAM || kind == NN_ADAMW;
    c.centered = kind == NN_RMSPROP;
    return c;
}

/* Five steps, then the value block. */
static nn_params *run(nn_optimizer_kind kind, int n_threads)
{
    bl_error err = { 0 };
    const int old = omp_get_max_threads();
    nn_params *p = make_params(50001);
    nn_optimizer_config c = with_all_states(kind);
    c.clip_norm = 0.1;
    c.clip_value = 0.001;
    nn_ema *e = nn_ema_new(p, 0.99, &err);
    nn_optimizer *o = nn_optimizer_new(p, "", &c, &err);
    omp_set_num_threads(n_threads);
    for (int i = 0; i < 5; i++) {
        fill_grad(p, (uint64_t)i);
        nn_optimizer_step(o);
        nn_ema_update(e);
    }
    omp_set_num_threads(old);
    for (int64_t i = 0; i < p->n_elements; i++)
        p->grad[i] = 0;
    nn_ema_swap(e);
    nn_optimizer_free(o);
    nn_ema_free(e);
    return p;
}

static void results_do_not_depend_on_the_thread_count(void **state)
{
    (void)state;
    for (int kind = NN_SGD; kind <= NN_RADAM; kind++) {
        nn_params *one = run((nn_optimizer_kind)kind, 1), *three = run((nn_optimizer_kind)kind, 3);
        assert_memory_equal(one->value, three->value, (size_t)one->n_elements * sizeof *one->value);
        nn_params_free(one);
        nn_params_free(three);
    }
}

static void save_load_continue_is_the_uninterrupted_run(void **state)
{
    (void)state;
    for (int kind = NN_SGD; kind <= NN_RADAM; kind++) {
        bl_error err = { 0 };
        const nn_optimizer_config c = with_all_states((nn_optimizer_kind)kind);
        nn_params *p = make_params(5000), *q = make_params(5000);
        nn_optimizer *o = nn_optimizer_new(p, "a/", &c, &err), *r = nn_optimizer_new(q, "a/", &c, &err);
        nn_ema *e = nn_ema_new(p, 0.9, &err);
        for (int i = 0; i < 6; i++) {
            if (i == 3) {
                nn_checkpoint *file = nn_checkpoint_create(temporary_path("o.h5"), "test", &err);
                nn_params_save(p, file, "", &err);
                nn_optimizer_save(o, file, &err);
                nn_ema_save(e, file, "ema/", &err);
                assert_int_equal(nn_checkpoint_commit(file, &err), BL_OK);
            }
            fill_grad(p, (uint64_t)i);
            nn_optimizer_step(o);
            nn_ema_update(e);
        }
        nn_ema *g = nn_ema_new(q, 0.9, &err);
        nn_checkpoint *file = nn_checkpoint_open(temporary_path("o.h5"), "test", &err);
        assert_non_null(file);
        assert_int_equal(nn_params_load(q, file, "", &err), BL_OK);
        assert_int_equal(nn_optimizer_load(r, file, &err), BL_OK);
        assert_int_equal(nn_ema_load(g, file, "ema/", &err), BL_OK);
        nn_checkpoint_free(file);
        for (int i = 3; i < 6; i++) {
            fill_grad(q, (uint64_t)i);
            nn_optimizer_step(r);
            nn_ema_update(g);
        }
        const size_t n_bytes = (size_t)p->n_elements * sizeof *p->value;
        assert_memory_equal(p->value, q->value, n_bytes);
        nn_ema_swap(e);
        nn_ema_swap(g);
        assert_memory_equal(p->value, q->value, n_bytes);
        nn_ema_free(e);
        nn_ema_free(g);
        nn_optimizer_free(o);
        nn_optimizer_free(r);
        nn_params_free(p);
        nn_params_free(q);
    }
}

static void another_optimizers_state_is_refused_by_name(void **state)
{
    bl_error err = { 0 };
    nn_params *p = make_params(10);
    nn_optimizer_config sgd = nn_optimizer_defaults(NN_SGD), adam = nn_optimizer_defaults(NN_ADAM);
    nn_optimizer *o = nn_optimizer_new(p, "a", &sgd, &err), *r = nn_optimizer_new(p, "a", &adam, &err);
    nn_checkpoint *file = nn_checkpoint_create(temporary_path("o.h5"), "test", &err);
    (void)state;
    nn_optimizer_save(o, file, &err);
    assert_int_equal(nn_checkpoint_commit(file, &err), BL_OK);
    file = nn_checkpoint_open(temporary_path("o.h5"), "test", &err);
    assert_int_equal(nn_optimizer_load(r, file, &err), BL_EFORMAT);
    assert_message(err, "o.h5: the checkpoint has no \"optimizer/a/weight/m\"");
    nn_checkpoint_free(file);
    nn_optimizer_free(o);
    nn_optimizer_free(r);
    bl_error_clear(&err);
    assert_null(nn_optimizer_new(p, "c/", &adam, &err));
    assert_message(err, "no parameter under \"c/\"");
    nn_params_free(p);
}

static void accumulated_gradients_count_as_their_mean(void **state)
{
    (void)state;
    for (int kind = NN_SGD; kind <= NN_RADAM; kind++) {
        bl_error err = { 0 };
        nn_optimizer_config c = with_all_states((nn_optimizer_kind)kind), parts = c;
        nn_params *p = make_params(5000), *q = make_params(5000);
        parts.accumulate = 4;
        c.clip_norm = parts.clip_norm = 20;
        nn_optimizer *o = nn_optimizer_new(p, "", &c, &err), *r = nn_optimizer_new(q, "", &parts, &err);
        for (int i = 0; i < 3; i++) {
            fill_grad(p, (uint64_t)i);
            fill_grad(q, (uint64_t)i);
            for (int64_t k = 0; k < q->n_elements; k++)
                q->grad[k] *= 4; /* exact, as is the quarter */
            assert_true(nn_optimizer_step(o) == nn_optimizer_step(r));
        }
        assert_memory_equal(p->value, q->value, (size_t)p->n_elements * sizeof *p->value);
        nn_optimizer_free(o);
        nn_optimizer_free(r);
        nn_params_free(p);
        nn_params_free(q);
    }
}

static void options_of_another_kind_are_errors(void **state)
{
    static const char *const cases[][2] = {
        { "optimizer = adam\nnesterov = yes\n", "nesterov needs sgd with a momentum and without dampening" },
        { "optimizer = sgd\nnesterov = yes\n", "nesterov needs sgd with a momentum" },
        { "optimizer = sgd\nmomentum = 0.9\ndampening = 0.1\nnesterov = yes\n", "without dampening" },
        { "optimizer = radam\namsgrad = yes\n", "amsgrad belongs to adam and adamw, not to radam" },
        { "optimizer = sgd\ncentered = yes\n", "centered belongs to rmsprop, not to sgd" },
        { "optimizer = adam\ndampening = 0.5\n", "dampening belongs to sgd, not to adam" },
        { "optimizer = adamm\n", "expected one of sgd, adam, adamw, rmsprop, radam; got \"adamm\"" },
        { "optimizer = adam\nbeta1 = 1\n", "beta1" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[200];
        bl_error err = { 0 };
        nn_optimizer_config c;
        snprintf(text, sizeof text, "[train]\n%s", cases[i][0]);
        bl_config *config = bl_config_parse(text, "rock.ini", &err);
        assert_non_null(config);
        assert_int_equal(nn_optimizer_read(config, "train", &c, &err), BL_EARG);
        assert_message(err, cases[i][1]);
        bl_config_free(config);
    }
}

static void the_average_follows_the_parameters(void **state)
{
    bl_error err = { 0 };
    nn_params *p = make_params(4);
    nn_ema *e = nn_ema_new(p, 0.5, &err);
    const double start = (double)p->value[0];
    double average = start;
    (void)state;
    for (int n = 1; n <= 20; n++) {
        p->value[0] = (real)n;
        p->value[p->param[1].offset] = (real)(10 * n); /* a buffer is copied */
        nn_ema_update(e);
        const double decay = fmin(0.5, (1.0 + n) / (10.0 + n));
        average = decay * average + (1 - decay) * n;
    }
    nn_ema_swap(e);
    assert_true(fabs((double)p->value[0] - average) < 1e-5);
    assert_true(p->value[p->param[1].offset] == 200);
    nn_ema_swap(e);
    assert_true(p->value[0] == 20);
    nn_ema_free(e);
    assert_null(nn_ema_new(p, 1, &err));
    nn_params_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_steps_agree_with_torch),
        cmocka_unit_test(only_its_own_parameters_move_and_gradients_are_zeroed),
        cmocka_unit_test(the_norm_is_that_of_its_gradients),
        cmocka_unit_test(a_nan_gradient_changes_nothing_and_stays_visible),
        cmocka_unit_test(results_do_not_depend_on_the_thread_count),
        cmocka_unit_test(save_load_continue_is_the_uninterrupted_run),
        cmocka_unit_test(another_optimizers_state_is_refused_by_name),
        cmocka_unit_test(accumulated_gradients_count_as_their_mean),
        cmocka_unit_test(options_of_another_kind_are_errors),
        cmocka_unit_test(the_average_follows_the_parameters),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
