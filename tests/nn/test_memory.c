/* Memory of a training step: none from the heap once it runs, and as much on the tape as a dry run has said before.
 *
 * The program counts its own calls of malloc (GNU libc; left out under AddressSanitizer, which has its own), and starts
 * itself once for each plan, so that the peak of the process belongs to one step alone. */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* popen, readlink */
#endif
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "nn/gan.h"
#include "nn/network.h"
#include "nn/plan.h"

#include <errno.h>
#include <omp.h>
#include <unistd.h>

#if defined __GLIBC__ && !defined __SANITIZE_ADDRESS__
#define COUNTS 1
#else
#define COUNTS 0
#endif

/* ---- counting ---- */

static int64_t n_allocations;

#if COUNTS
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void  __libc_free(void *p);

static void count(void)
{
    __atomic_add_fetch(&n_allocations, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t size)
{
    count();
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    count();
    return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    count();
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    count();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **p, size_t alignment, size_t size)
{
    count();
    *p = __libc_memalign(alignment, size);
    return *p ? 0 : ENOMEM;
}

void free(void *p)
{
    __libc_free(p);
}
#endif

/* ---- models and their steps ---- */

static const char convolutions[] =
    "[n]\n"
    "input.x = 3, T\n"
    "a = conv1d out_channels=16 kernel_size=5 padding=2 weight_norm=yes\n"
    "b = batch_norm1d\n"
    "c = leaky_relu negative_slope=0.1\n"
    "d = residual layers=2\n"
    "e = conv_transpose1d out_channels=8 kernel_size=8 stride=4 padding=2\n"
    "f = snake\n"
    "g = dropout p=0.2\n"
    "h = conv1d out_channels=3 kernel_size=9 stride=4 padding=4\n"
    "i = tanh\n";

static const char recurrent[] =
    "[n]\n"
    "input.x = 3, T\n"
    "a = lstm hidden_size=24 num_layers=2 bidirectional=yes dropout=0.1\n"
    "b = conv1d out_channels=3 kernel_size=1\n";

static const char dense[] =
    "[n]\n"
    "input.x = 3, 64\n"
    "a = flatten\n"
    "b = linear out_features=64\n"
    "c = layer_norm\n"
    "d = tanh\n"
    "e = linear out_features=192\n"
    "f = reshape channels=3\n";

static const char attention[] =
    "[n]\n"
    "input.x = 3, T\n"
    "a = conv1d out_channels=16 kernel_size=1\n"
    "p = positional_encoding\n"
    "t = transformer_encoder_layer nhead=4 dim_feedforward=32 repeat=2\n"
    "b = conv1d out_channels=3 kernel_size=1\n";

static const char adversaries[] =
    "[n]\n"
    "input.x = 16\n"
    "a = linear out_features=%d\n"
    "b = reshape channels=%d\n"
    "c = relu\n"
    "d = conv_transpose1d out_channels=%d kernel_size=25 stride=4 padding=same\n"
    "e = relu\n"
    "f = conv_transpose1d out_channels=1 kernel_size=25 stride=4 padding=same\n"
    "g = tanh\n"
    "[critic]\n"
    "input.x = 1, %d\n"
    "a = conv1d out_channels=%d kernel_size=25 stride=4 padding=same\n"
    "b = leaky_relu negative_slope=0.2\n"
    "c = phase_shuffle n=2\n"
    "d = conv1d out_channels=%d kernel_size=25 stride=4 padding=same\n"
    "e = leaky_relu negative_slope=0.2\n"
    "f = flatten\n"
    "g = linear out_features=1\n";

typedef struct model {
    bl_config    *config;
    nn_params    *params;
    nn_tape      *tape;
    nn_network   *net, *critic;
    nn_optimizer *optimizer, *critic_optimizer;
    nn_ema       *ema;
    int           batch, length;
} model;

static void set_up(model *m, const char *text, int batch, int length)
{
    bl_error err = { BL_OK, "" };
    *m = (model){ .batch = batch, .length = length };
    m->config = bl_config_parse(text, "test.ini", &err);
    m->params = nn_params_new(&err);
    m->tape = nn_tape_new(&err);
    m->net = nn_network_build(m->config, "n", m->params, &err);
    if (strstr(text, "[critic]"))
        m->critic = nn_network_build(m->config, "critic", m->params, &err);
    if (err.code || nn_params_finish(m->params, &err) != BL_OK)
        fail_msg("%s", err.msg);
    nn_params_init(m->params, 1);
    m->tape->training = 1;
    nn_optimizer_config c = nn_optimizer_defaults(NN_ADAM);
    c.clip_norm = 1;
    m->optimizer = nn_optimizer_new(m->params, m->critic ? "n/" : "", &c, &err);
    m->critic_optimizer = m->critic ? nn_optimizer_new(m->params, "critic/", &c, &err) : NULL;
    m->ema = nn_ema_new(m->params, 0.99, &err);
    assert_int_equal(err.code, BL_OK);
}

static void tear_down(model *m)
{
    nn_ema_free(m->ema);
    nn_optimizer_free(m->optimizer);
    nn_optimizer_free(m->critic_optimizer);
    nn_network_free(m->critic);
    nn_network_free(m->net);
    nn_params_free(m->params);
    nn_tape_free(m->tape);
    bl_config_free(m->config);
}

static void step_optimizer(const model *m, nn_optimizer *o)
{
    if (m->tape->err.code)
        fail_msg("%s", m->tape->err.msg);
    if (!m->tape->dry)
        nn_optimizer_step(o);
}

/* The network learns to copy noise. */
static void copying_step(model *m)
{
    nn_tape *t = m->tape;
    nn_tape_reset(t);
    nn_node *x = nn_randn(t, nn_shape_of(3, m->batch, 3, m->length)), *y = nn_network_run(m->net, t, &x, NULL);
    nn_backward(t, nn_mse_loss(t, y, x));
    step_optimizer(m, m->optimizer);
    if (!t->dry)
        nn_ema_update(m->ema);
}

/* Oscillators and noise learn spectra: FFTs, filters, tables. */
static const char sounding[] = "[n]\ninput.x = 3, T\na = conv1d out_channels=8 kernel_size=3 padding=same\nf = conv1d out_channels=1 kernel_size=1 from=x\n"
                               "fe = exp\nm = conv1d out_channels=9 kernel_size=1 from=x\nw = harmonic_oscillator sample_rate=100 hop_length=64 from=a,fe\n"
                               "n = filtered_noise hop_length=64 from=m\nb = pqmf_analysis n_bands=4 from=w\ns = pqmf_synthesis n_bands=4\ny = add from=s,n\n";

static void sounding_step(model *m)
{
    static const nn_stft_opt resolutions[] = { { .n_fft = 512, .hop_length = 128, .win_length = 512 },
                                               { .n_fft = 128, .hop_length = 32, .win_length = 96, .pad = NN_STFT_REFLECT } };
    nn_tape *t = m->tape;
    nn_tape_reset(t);
    const nn_shape wave = nn_shape_of(2, m->batch, 64 * m->length);
    nn_node *x = nn_randn(t, nn_shape_of(3, m->batch, 3, m->length)), *y = nn_reshape(t, nn_network_run(m->net, t, &x, NULL), wave);
    nn_backward(t, nn_multi_resolution_stft_loss(t, y, nn_randn(t, wave), 2, resolutions));
    step_optimizer(m, m->optimizer);
}

static void inference(model *m)
{
    nn_tape *t = m->tape;
    nn_tape_reset(t);
    nn_tape_record(t, 0);
    nn_node *x = nn_randn(t, nn_shape_of(3, m->batch, 3, m->length)), *y = nn_network_run(m->net, t, &x, NULL);
    assert_non_null(y);
    nn_tape_record(t, 1);
}

static nn_node *score(model *m, nn_node *x)
{
    return nn_network_run(m->critic, m->tape, &x, NULL);
}

/* WGAN with gradient penalty: critic, then generator. */
static void adversarial_step(model *m)
{
    nn_tape *t = m->tape;
    nn_tape_reset(t);
    nn_node *z = nn_randn(t, nn_shape_of(2, m->batch, 16)), *fake = nn_detach(t, nn_network_run(m->net, t, &z, NULL));
    nn_node *truth = nn_randn(t, nn_shape_of(3, m->batch, 1, m->length)), *between = nn_gan_between(t, truth, fake, &t->rng);
    nn_node *loss = nn_gan_critic_loss(t, NN_GAN_WGAN_GP, score(m, truth), score(m, fake));
    nn_backward(t, nn_add(t, loss, nn_affine(t, nn_gradient_penalty(t, score(m, between), between), 10, 0)));
    step_optimizer(m, m->critic_optimizer);
    nn_tape_reset(t);
    nn_params_freeze(m->params, "critic/", 1);
    z = nn_randn(t, nn_shape_of(2, m->batch, 16));
    nn_backward(t, nn_gan_generator_loss(t, NN_GAN_WGAN_GP, score(m, nn_network_run(m->net, t, &z, NULL))));
    nn_params_freeze(m->params, "critic/", 0);
    step_optimizer(m, m->optimizer);
}

static const char *adversaries_of(char *out, size_t size, int width, int length)
{
    snprintf(out, size, adversaries, width * length / 16, width, width / 2, length, width / 2, width);
    return out;
}

/* ---- nothing from the heap ---- */

static void expect_no_allocation(const char *what, model *m, void (*step)(model *))
{
    for (int threads = 2; threads >= 1; threads--) {
        omp_set_num_threads(threads);
        for (int i = 0; i < 3; i++)
            step(m);
        const int64_t before = n_allocations;
        for (int i = 0; i < 3; i++)
            step(m);
        const int64_t n = n_allocations - before;
        if (n)
            fail_msg("%s, %d threads: %lld allocations in 3 steps", what, threads, (long long)n);
    }
}

static void a_steady_step_takes_nothing_from_the_heap(void **state)
{
    (void)state;
    if (!COUNTS) {
        print_message("left out: malloc cannot be counted here\n");
        skip();
    }
    char text[2000];
    static const struct { const char *name, *text; } copying[] = { { "convolutions", convolutions }, { "lstm", recurrent },
                                                                    { "dense", dense }, { "attention", attention } };
    void *probe = malloc(1);
    assert_true(n_allocations > 0);
    free(probe);
    for (size_t i = 0; i < sizeof copying / sizeof copying[0]; i++) {
        model m;
        set_up(&m, copying[i].text, 4, 64);
        expect_no_allocation(copying[i].name, &m, copying_step);
        expect_no_allocation(copying[i].name, &m, inference);
        tear_down(&m);
    }
    model m;
    set_up(&m, sounding, 4, 40);
    expect_no_allocation("oscillators", &m, sounding_step);
    tear_down(&m);
    set_up(&m, adversaries_of(text, sizeof text, 16, 1024), 4, 1024);
    expect_no_allocation("gradient penalty", &m, adversarial_step);
    tear_down(&m);
}

/* ---- plans ---- */

typedef struct planned {
    const char *name;
    int         width, batch, length;   /* width 0: `recurrent` at a size that matters */
    void      (*step)(model *m);
} planned;

static const planned plans[] = {
    { "adversaries", 256, 4, 16384, adversarial_step },
    { "lstm", 0, 8, 400, copying_step },
};

static size_t status_bytes(const char *field)
{
    char line[256];
    long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, field, strlen(field)))
            kb = strtol(line + strlen(field), NULL, 10);
    if (f)
        fclose(f);
    return (size_t)kb * 1024;
}

/* In a process of its own: prints what was planned and what was used. */
static int measure(const planned *p)
{
    char text[2000];
    model m;
    omp_set_num_threads(2);
#pragma omp parallel
    (void)omp_get_thread_num();
    const size_t before = status_bytes("VmRSS:");
    set_up(&m, p->width ? adversaries_of(text, sizeof text, p->width, p->length)
                        : "[n]\ninput.x = 3, T\na = lstm hidden_size=256 bidirectional=yes\nb = conv1d out_channels=3 kernel_size=1\n",
           p->batch, p->length);
    nn_tape_dry(m.tape, 1);
    p->step(&m);
    const size_t step = nn_tape_peak_bytes(m.tape);
    nn_tape_dry(m.tape, 0);
    size_t planned_bytes = step + nn_params_bytes(m.params) + nn_optimizer_bytes(m.optimizer) + nn_ema_bytes(m.ema);
    if (m.critic)
        planned_bytes += nn_optimizer_bytes(m.critic_optimizer);
    p->step(&m);
    printf("%zu %zu %zu %zu\n", planned_bytes, status_bytes("VmHWM:") - before, step, nn_tape_peak_bytes(m.tape));
    tear_down(&m);
    return 0;
}

static void a_dry_run_says_what_the_process_will_take(void **state)
{
    (void)state;
#if COUNTS
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        char command[4200], self[4096];
        size_t plan = 0, used = 0, step_plan = 0, step_used = 0;
        const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
        assert_true(n > 0);
        self[n] = '\0';
        snprintf(command, sizeof command, "'%s' %s", self, plans[i].name);
        FILE *f = popen(command, "r");
        assert_non_null(f);
        assert_int_equal(fscanf(f, "%zu %zu %zu %zu", &plan, &used, &step_plan, &step_used), 4);
        assert_int_equal(pclose(f), 0);
        print_message("%s: %.1f MB planned, %.1f MB used; of it the step %.1f and %.1f MB\n", plans[i].name, 1e-6 * (double)plan,
                      1e-6 * (double)used, 1e-6 * (double)step_plan, 1e-6 * (double)step_used);
        assert_int_equal(step_used, step_plan);
        assert_true((double)used < 1.05 * (double)plan);
        assert_true((double)used > 0.95 * (double)plan);
    }
#else
    print_message("left out: a sanitizer's memory is not the program's\n");
    skip();
#endif
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof plans / sizeof *plans; i++)
        if (!strcmp(argv[1], plans[i].name))
            return measure(&plans[i]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_steady_step_takes_nothing_from_the_heap),
        cmocka_unit_test(a_dry_run_says_what_the_process_will_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
