#include "tests/temporary.h"

#include "tests/capture.h"

#include "base/progress.h"
#include "nn/ops.h"
#include "nn/optimizer.h"
#include "train/loop.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/message.h"

enum { INPUTS = 6, HIDDEN = 8, BATCH = 16, NEVER = -1 };

/* A small network with everything that has a state: moments, averages, two random streams, dropout. */
typedef struct model {
    nn_params    *params;
    nn_optimizer *optimizer;
    nn_ema       *average;
    nn_tape      *tape;
    bl_rng        rng;
    int           weight, out;
    int64_t       interrupt_at, nan_at, fail_at;
    int           n_previews;
} model;

static void model_make(model *m)
{
    bl_error err = { 0 };
    nn_optimizer_config c = nn_optimizer_defaults(NN_ADAM);
    c.lr = 0.02;
    c.clip_norm = 5;
    *m = (model){ .interrupt_at = NEVER, .nan_at = NEVER, .fail_at = NEVER };
    m->params = nn_params_new(&err);
    m->weight = nn_params_add(m->params, "net/hidden/weight", nn_shape_of(2, (int64_t)HIDDEN, (int64_t)INPUTS), NN_INIT_NORMAL, 0.4, &err);
    m->out = nn_params_add(m->params, "net/out/weight", nn_shape_of(2, (int64_t)1, (int64_t)HIDDEN), NN_INIT_NORMAL, 0.4, &err);
    nn_params_finish(m->params, &err);
    nn_params_init(m->params, 1);
    m->optimizer = nn_optimizer_new(m->params, "net/", &c, &err);
    m->average = nn_ema_new(m->params, 0.9, &err);
    m->tape = nn_tape_new(&err);
    m->tape->training = 1;
    bl_rng_seed(&m->tape->rng, 2);
    bl_rng_seed(&m->rng, 3);
    assert_int_equal(err.code, BL_OK);
}

static void model_free(model *m)
{
    nn_tape_free(m->tape);
    nn_ema_free(m->average);
    nn_optimizer_free(m->optimizer);
    nn_params_free(m->params);
}

static bl_status step(void *user, int64_t number, double *metrics, bl_error *err)
{
    model *m = user;
    float x[BATCH * INPUTS], y[BATCH];
    if (number == m->fail_at)
        return bl_fail(err, BL_EIO, "song.wav: cannot read");
    for (int i = 0; i < BATCH; i++) {
        for (int j = 0; j < INPUTS; j++)
            x[i * INPUTS + j] = (float)bl_rng_normal(&m->rng);
        y[i] = tanhf(x[i * INPUTS] - 0.5f * x[i * INPUTS + 1]);
    }
    if (number == m->nan_at)
        x[5] = NAN;
    nn_tape *t = m->tape;
    nn_tape_reset(t);
    nn_node *h = nn_tanh(t, nn_linear(t, nn_input(t, nn_shape_of(2, (int64_t)BATCH, (int64_t)INPUTS), x),
                                      nn_param_node(t, m->params, m->weight), NULL));
    nn_node *out = nn_linear(t, nn_dropout(t, h, 0.1), nn_param_node(t, m->params, m->out), NULL);
    nn_node *loss = nn_mse_loss(t, out, nn_input(t, nn_shape_of(2, (int64_t)BATCH, (int64_t)1), y));
    if (loss)
        nn_keep(loss);
    nn_backward(t, loss);
    if (t->err.code)
        return bl_fail(err, t->err.code, "%s", t->err.msg);
    metrics[0] = (double)loss->x[0];
    metrics[1] = nn_optimizer_step(m->optimizer);
    nn_ema_update(m->average);
    if (number == m->interrupt_at)
        raise(SIGINT);
    return BL_OK;
}

static bl_status save(void *user, nn_checkpoint *c, bl_error *err)
{
    const model *m = user;
    int64_t random[8];
    memcpy(random, m->rng.s, sizeof m->rng.s);
    memcpy(random + 4, m->tape->rng.s, sizeof m->tape->rng.s);
    nn_params_save(m->params, c, "", err);
    nn_ema_save(m->average, c, "ema/", err);
    nn_optimizer_save(m->optimizer, c, err);
    nn_checkpoint_put_text(c, "config", "", err);
    return nn_checkpoint_put(c, "random", NN_I64, 1, (int64_t[]){ 8 }, random, err);
}

static bl_status load(void *user, const nn_checkpoint *c, bl_error *err)
{
    model *m = user;
    nn_params_load(m->params, c, "", err);
    nn_ema_load(m->average, c, "ema/", err);
    nn_optimizer_load(m->optimizer, c, err);
    int64_t *random = nn_checkpoint_get(c, "random", NN_I64, 1, (int64_t[]){ 8 }, NULL, err);
    if (random) {
        memcpy(m->rng.s, random, sizeof m->rng.s);
        memcpy(m->tape->rng.s, random + 4, sizeof m->tape->rng.s);
    }
    free(random);
    return err->code;
}

static bl_status validate(void *user, int64_t number, double *figures, bl_error *err)
{
    model *m = user;
    (void)number;
    (void)err;
    nn_ema_swap(m->average);
    figures[0] = (double)m->params->value[0];
    nn_ema_swap(m->average);
    return BL_OK;
}

static bl_status preview(void *user, int64_t number, bl_error *err)
{
    model *m = user;
    (void)number;
    (void)err;
    m->n_previews++;
    return BL_OK;
}

typedef struct job {
    model       model;
    const char *name;
    int64_t     n_steps;
    int         resume, quiet;
    bl_error    err;
    bl_status   status;
    int         exit_status;
    capture     printed;
} job;

/* Runs a job; its model is freed, what it printed is in printed.text. */
static void run(job *j)
{
    char path[BL_PATH_MAX];
    bl_path_join(path, temporary_folder, j->name, NULL);
    const train_loop loop = {
        .program = "train_test", .kind = "test", .checkpoint_path = path, .n_steps = j->n_steps, .save_every = 10,
        .preview_every = 15, .validate_every = 20, .n_metrics = 2, .metric_names = { "loss", "gradient norm" },
        .n_figures = 1, .figure_names = { "held-out" }, .params = j->model.params, .user = &j->model, .step = step,
        .save = save, .load = load, .validate = validate, .preview = preview,
    };
    const train_options opt = {
        .config_path = "configs/rock.ini", .config = bl_config_new(), .dataset_dir = "songs", .out_dir = "out",
        .sets = { .item = { "train.lr=0.02" }, .n = 1 }, .steps = 60, .resume = j->resume, .threads = 1, .quiet = j->quiet,
    };
    memset(&j->err, 0, sizeof j->err);
    capture_begin(&j->printed, STDERR_FILENO);
    j->status = train_loop_run(&loop, &opt, &j->err);
    j->exit_status = train_loop_exit(&loop, j->status, &j->err);
    capture_end(&j->printed);
    bl_config_free(opt.config);
    model_free(&j->model);
}

static job new_job(const char *name, int64_t n_steps, int resume)
{
    job j = { .name = name, .n_steps = n_steps, .resume = resume };
    model_make(&j.model);
    return j;
}

static char *read_file(const char *name, size_t *n)
{
    char *text;
    if (bl_read_file(temporary_path(name), 1 << 24, &text, n, NULL) != BL_OK)
        fail_msg("%s is not there", name);
    return text;
}

static void assert_same_files(const char *a, const char *b)
{
    size_t na, nb;
    char *x = read_file(a, &na), *y = read_file(b, &nb);
    assert_int_equal(na, nb);
    assert_memory_equal(x, y, na);
    free(x);
    free(y);
}

/* Equal but for the column of seconds. */
static void assert_same_logs(const char *a, const char *b)
{
    char *x = read_file(a, NULL), *y = read_file(b, NULL), *p = x, *q = y;
    for (int line = 0; *p || *q; line++) {
        const size_t np = strcspn(p, "\n"), nq = strcspn(q, "\n");
        char *cut_p = memchr(p, ',', np), *cut_q = memchr(q, ',', nq);
        assert_non_null(cut_p);
        assert_non_null(cut_q);
        assert_int_equal(cut_p - p, cut_q - q);
        assert_memory_equal(p, q, (size_t)(cut_p - p));
        cut_p = strchr(cut_p + 1, ',');
        cut_q = strchr(cut_q + 1, ',');
        assert_int_equal(p + np - cut_p, q + nq - cut_q);
        assert_memory_equal(cut_p, cut_q, (size_t)(p + np - cut_p));
        p += np + (p[np] == '\n');
        q += nq + (q[nq] == '\n');
    }
    free(x);
    free(y);
}

static int n_lines(const char *name)
{
    char *text = read_file(name, NULL);
    int n = 0;
    for (char *p = text; *p; p++)
        n += *p == '\n';
    free(text);
    return n;
}

static void a_run_leaves_checkpoint_log_and_curve(void **state)
{
    (void)state;
    job j = new_job("whole.h5", 60, 0);
    run(&j);
    assert_string_equal(j.err.msg, "");
    assert_int_equal(j.exit_status, 0);
    assert_int_equal(n_lines("whole.csv"), 61);
    assert_true(bl_is_file(temporary_path("whole_loss.png")));
    assert_int_equal(j.model.n_previews, 4);
    assert_non_null(strstr(j.printed.text, "train_test: 56 parameters"));
    assert_non_null(strstr(j.printed.text, "60 steps, checkpoint "));
    assert_non_null(strstr(j.printed.text, "train_test 60/60 steps"));
    char *log = read_file("whole.csv", NULL);
    assert_memory_equal(log, "step,seconds,loss,gradient norm,held-out\n1,", 43);
    free(log);
}

static void a_resumed_run_is_the_uninterrupted_one_bit_for_bit(void **state)
{
    (void)state;
    for (int64_t stop = 7; stop <= 40; stop += 11) { /* 40: right after a checkpoint and a validation */
        job j = new_job("parts.h5", 60, 0);
        j.model.interrupt_at = stop;
        run(&j);
        assert_int_equal(j.status, BL_ESTOP);
        assert_int_equal(j.exit_status, 0);
        assert_message(j.err, "checkpoint written; go on with bin/train_test --config configs/rock.ini songs --out out "
                              "--set 'train.lr=0.02' --steps 60 --resume");
        j = new_job("parts.h5", 60, 1);
        nn_params_init(j.model.params, 77); /* nothing of the fresh model may count */
        bl_rng_seed(&j.model.rng, 78);
        run(&j);
        assert_string_equal(j.err.msg, "");
        assert_non_null(strstr(j.printed.text, "going on after step "));
        assert_same_files("whole.h5", "parts.h5");
        assert_same_logs("whole.csv", "parts.csv");
        assert_same_files("whole_loss.png", "parts_loss.png");
    }
}

static void a_killed_run_goes_on_from_its_last_checkpoint(void **state)
{
    (void)state;
    job j = new_job("killed.h5", 60, 0);
    j.model.fail_at = 37; /* the checkpoint is of step 30, the log of step 36 */
    run(&j);
    assert_int_equal(j.status, BL_EIO);
    assert_int_equal(j.exit_status, 1);
    assert_string_equal(j.err.msg, "step 37: song.wav: cannot read");
    assert_int_equal(n_lines("killed.csv"), 37);
    j = new_job("killed.h5", 60, 1);
    run(&j);
    assert_string_equal(j.err.msg, "");
    assert_same_files("whole.h5", "killed.h5");
    assert_same_logs("whole.csv", "killed.csv");
}

static void the_thread_count_changes_nothing(void **state)
{
    const int old = omp_get_max_threads();
    (void)state;
    omp_set_num_threads(3);
    job j = new_job("threads.h5", 60, 0);
    run(&j);
    omp_set_num_threads(old);
    assert_same_files("whole.h5", "threads.h5");
}

static void more_steps_can_be_asked_for_later(void **state)
{
    (void)state;
    job j = new_job("more.h5", 30, 0);
    run(&j);
    j = new_job("more.h5", 60, 1);
    run(&j);
    assert_int_equal(j.status, BL_OK);
    assert_int_equal(n_lines("more.csv"), 61);
    j = new_job("more.h5", 60, 1);
    run(&j);
    assert_int_equal(j.status, BL_OK);
    assert_non_null(strstr(j.printed.text, "all 60 steps are made already"));
    assert_int_equal(n_lines("more.csv"), 61);
}

static void a_number_gone_bad_stops_and_keeps_the_last_good_checkpoint(void **state)
{
    bl_error err = { 0 };
    (void)state;
    job j = new_job("bad.h5", 60, 0);
    j.model.nan_at = 25;
    run(&j);
    assert_int_equal(j.status, BL_ENAN);
    assert_int_equal(j.exit_status, 1);
    assert_message(j.err, "step 25: loss is not a finite number; first bad gradient: net/");
    assert_message(j.err, "bad.h5 is of step 20; ");
    nn_checkpoint *c = nn_checkpoint_open(temporary_path("bad.h5"), "test", &err);
    assert_non_null(c);
    nn_checkpoint_free(c);
    j = new_job("bad2.h5", 60, 0);
    j.model.nan_at = 3;
    run(&j);
    assert_message(j.err, "no checkpoint was written yet");
    assert_false(bl_is_file(temporary_path("bad2.h5")));
}

static void resume_without_a_checkpoint_starts_and_with_a_wrong_one_fails(void **state)
{
    (void)state;
    job j = new_job("fresh.h5", 5, 1);
    run(&j);
    assert_int_equal(j.status, BL_OK);
    assert_non_null(strstr(j.printed.text, "no checkpoint to resume from yet"));
    bl_write_file(temporary_path("fresh.h5"), "nonsense", 8, NULL);
    j = new_job("fresh.h5", 5, 1);
    run(&j);
    assert_int_equal(j.exit_status, 1);
    assert_message(j.err, "fresh.h5: not a checkpoint");
    nn_checkpoint *c = nn_checkpoint_create(temporary_path("fresh.h5"), "other", NULL);
    nn_checkpoint_commit(c, NULL);
    j = new_job("fresh.h5", 5, 1);
    run(&j);
    assert_message(j.err, "fresh.h5: expected a test checkpoint, got an other");
}

static void a_log_of_another_program_is_not_overwritten(void **state)
{
    (void)state;
    job j = new_job("log.h5", 5, 0);
    run(&j);
    bl_write_file(temporary_path("log.csv"), "a,b\n1,2\n", 8, NULL);
    j = new_job("log.h5", 10, 1);
    run(&j);
    assert_message(j.err, "log.csv: the log has other columns than \"step,seconds,loss,gradient norm,held-out\"");
    assert_int_equal(n_lines("log.csv"), 2);
}

static void quiet_prints_nothing(void **state)
{
    (void)state;
    job j = new_job("quiet.h5", 5, 0);
    j.quiet = 1;
    run(&j);
    assert_string_equal(j.printed.text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_leaves_checkpoint_log_and_curve),
        cmocka_unit_test(a_resumed_run_is_the_uninterrupted_one_bit_for_bit),
        cmocka_unit_test(a_killed_run_goes_on_from_its_last_checkpoint),
        cmocka_unit_test(the_thread_count_changes_nothing),
        cmocka_unit_test(more_steps_can_be_asked_for_later),
        cmocka_unit_test(a_number_gone_bad_stops_and_keeps_the_last_good_checkpoint),
        cmocka_unit_test(resume_without_a_checkpoint_starts_and_with_a_wrong_one_fails),
        cmocka_unit_test(a_log_of_another_program_is_not_overwritten),
        cmocka_unit_test(quiet_prints_nothing),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
