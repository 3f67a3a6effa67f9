#include "base/file.h"
#include "nn/models/wavenet.h"
#include "nn/optimizer.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/message.h"

static const char small[] = "[wavenet]\n"
                            "input.audio = 1, T\ninput.local = 2, T\ninput.global = 3\n"
                            "condition = concat from=local,global\n"
                            "embed = embedding num_embeddings=256 embedding_dim=12 from=audio\n"
                            "body = wavenet_block channels=16 skip_channels=24 kernel_size=3 stacks=2 layers=3 from=embed,condition\n"
                            "a1 = relu\npost = conv1d out_channels=20 kernel_size=1\na2 = relu\n"
                            "logits = conv1d out_channels=256 kernel_size=1\n";
static const char bare[] = "[wavenet]\n"
                           "input.audio = 1, T\n"
                           "embed = embedding num_embeddings=256 embedding_dim=24 from=audio\n"
                           "body = wavenet_block channels=24 skip_channels=32 kernel_size=2 stacks=1 layers=7 from=embed\n"
                           "a1 = relu\nlogits = conv1d out_channels=256 kernel_size=1\n";

typedef struct fixture {
    bl_config  *config;
    nn_params  *params;
    nn_wavenet *net;
    nn_tape    *tape;
} fixture;

static void make(fixture *f, const char *text)
{
    bl_error err = { 0 };
    f->config = bl_config_parse(text, "wavenet.ini", &err);
    f->params = nn_params_new(&err);
    f->net = nn_wavenet_build(f->config, "wavenet", f->params, &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(nn_params_finish(f->params, &err), BL_OK);
    nn_params_init(f->params, 7);
    f->tape = nn_tape_new(&err);
    assert_non_null(f->tape);
}

static void release(fixture *f)
{
    nn_tape_free(f->tape);
    nn_wavenet_free(f->net);
    nn_params_free(f->params);
    bl_config_free(f->config);
}

static void mu_law_covers_all_levels_and_comes_back(void **state)
{
    (void)state;
    assert_int_equal(nn_mu_law_encode(-1), 0);
    assert_int_equal(nn_mu_law_encode(1), 255);
    assert_int_equal(nn_mu_law_encode(7), 255);
    assert_int_equal(nn_mu_law_encode(0), 128);
    for (int level = 0; level < NN_WAVENET_LEVELS; level++)
        assert_int_equal(nn_mu_law_encode(nn_mu_law_decode(level)), level);
    /* G.711's curve: half of full scale is 7/8 up the scale */
    assert_true(fabs(2.0 * nn_mu_law_encode(0.5f) / 255 - 1 - log1p(255 * 0.5) / log1p(255.0)) < 0.005);
}

static void generation_equals_the_teacher_forced_pass(void **state)
{
    enum { T = 60, LOCAL = 2 };
    static const float global[3] = { 0.5f, -1, 0.25f };
    fixture f;
    float classes[T], local[LOCAL * T], log_probability[NN_WAVENET_LEVELS];
    bl_error err = { 0 };
    bl_rng rng;
    double worst = 0;
    (void)state;
    make(&f, small);
    assert_int_equal(f.net->receptive_field, 1 + 2 * 2 * 7);
    bl_rng_seed(&rng, 3);
    for (int t = 0; t < T; t++)
        classes[t] = (float)bl_rng_below(&rng, NN_WAVENET_LEVELS);
    for (int i = 0; i < LOCAL * T; i++)
        local[i] = (float)bl_rng_normal(&rng);

    nn_tape_record(f.tape, 0);
    nn_node *logits = nn_wavenet_logits(f.net, f.tape, nn_input(f.tape, nn_shape_of(2, (int64_t)1, (int64_t)T), classes),
                                        nn_input(f.tape, nn_shape_of(3, (int64_t)1, (int64_t)LOCAL, (int64_t)T), local),
                                        nn_input(f.tape, nn_shape_of(2, (int64_t)1, (int64_t)3), global));
    nn_node *all = nn_log_softmax(f.tape, nn_permute(f.tape, logits, (const int[]){ 0, 2, 1 }));
    assert_string_equal(f.tape->err.msg, "");

    nn_wavenet_generator *g = nn_wavenet_generator_new(f.net, global, &err);
    assert_non_null(g);
    for (int round = 0; round < 2; round++) { /* and again after a reset */
        int before = nn_mu_law_encode(0);
        for (int t = 0; t < T; t++) {
            const float now[LOCAL] = { local[t], local[T + t] };
            nn_wavenet_generator_push(g, &before, now, log_probability);
            for (int c = 0; c < NN_WAVENET_LEVELS; c++)
                worst = fmax(worst, fabs((double)log_probability[c] - (double)all->x[t * NN_WAVENET_LEVELS + c]));
            before = (int)classes[t];
        }
        nn_wavenet_generator_reset(g);
    }
    assert_true(worst < 1e-5);
    nn_wavenet_generator_free(g);
    release(&f);
}

static void it_learns_a_short_tone_from_ln_256_to_below_one_nat(void **state)
{
    enum { T = 600, STEPS = 160 };
    fixture f;
    float classes[T], out[T];
    double first = 0, last = 0;
    bl_error err = { 0 };
    nn_optimizer_config config = nn_optimizer_defaults(NN_ADAM);
    (void)state;
    make(&f, bare);
    for (int t = 0; t < T; t++)
        classes[t] = (float)nn_mu_law_encode((float)(0.4 * sin(2 * 3.14159265358979 * 440 * t / 8000)
                                                     + 0.2 * sin(2 * 3.14159265358979 * 880 * t / 8000 + 1)));
    config.lr = 0.01;
    nn_optimizer *optimizer = nn_optimizer_new(f.params, "", &config, &err);
    assert_non_null(optimizer);
    for (int step = 0; step < STEPS; step++) {
        nn_tape_reset(f.tape);
        nn_node *loss = nn_wavenet_loss(f.net, f.tape, nn_input(f.tape, nn_shape_of(2, (int64_t)1, (int64_t)T), classes), NULL, NULL);
        assert_non_null(loss);
        nn_keep(loss);
        nn_backward(f.tape, loss);
        last = (double)loss->x[0];
        first = step == 0 ? last : first;
        nn_optimizer_step(optimizer);
    }
    assert_true(fabs(first - log(256.0)) < 0.5);
    assert_true(last < 1);

    /* What it then says by itself has the tone's loudness. */
    nn_wavenet_generator *g = nn_wavenet_generator_new(f.net, NULL, &err);
    bl_rng rng;
    double power = 0;
    bl_rng_seed(&rng, 1);
    nn_wavenet_generator_run(g, NULL, T, 0.5, &rng, out);
    for (int t = 0; t < T; t++)
        power += (double)out[t] * (double)out[t] / T;
    assert_true(power > 0.1 * 0.1 && power < 0.2);
    nn_wavenet_generator_free(g);
    nn_optimizer_free(optimizer);
    release(&f);
}

static void the_same_seed_gives_the_same_samples(void **state)
{
    enum { T = 200 };
    static const float global[3] = { 0, 1, 0 };
    fixture f;
    float local[2 * T] = { 0 }, a[T], b[T], c[T];
    bl_error err = { 0 };
    bl_rng rng;
    (void)state;
    make(&f, small);
    nn_wavenet_generator *g = nn_wavenet_generator_new(f.net, global, &err);
    bl_rng_seed(&rng, 5);
    nn_wavenet_generator_run(g, local, T, 1, &rng, a);
    nn_wavenet_generator_reset(g);
    bl_rng_seed(&rng, 5);
    nn_wavenet_generator_run(g, local, T, 1, &rng, b);
    assert_memory_equal(a, b, sizeof a);
    nn_wavenet_generator_reset(g);
    bl_rng_seed(&rng, 6);
    nn_wavenet_generator_run(g, local, T, 1, &rng, c);
    assert_memory_not_equal(a, c, sizeof a);
    nn_wavenet_generator_free(g);
    release(&f);
}

static void a_stream_does_not_depend_on_the_others(void **state)
{
    enum { N = 8, T = 60 };
    static const float global[3] = { 0, 1, 0 };
    const int n_threads = omp_get_max_threads();
    fixture f;
    float local[N * 2 * T], alone[N * T], together[N * T];
    bl_error err = { 0 };
    bl_rng rng[N], draws;
    (void)state;
    make(&f, small);
    bl_rng_seed(&draws, 8);
    for (int i = 0; i < N * 2 * T; i++)
        local[i] = (float)bl_rng_normal(&draws);
    nn_wavenet_generator *one = nn_wavenet_generator_new(f.net, global, &err);
    for (int s = 0; s < N; s++) {
        bl_rng_seed(&rng[s], (uint64_t)s);
        nn_wavenet_generator_reset(one);
        nn_wavenet_generator_run(one, local + s * 2 * T, T, 1, &rng[s], alone + s * T);
    }
    assert_memory_not_equal(alone, alone + T, T * sizeof *alone);
    nn_wavenet_generator *all = nn_wavenet_generator_new_batch(f.net, N, global, &err);
    for (int threads = 1; threads <= 3; threads++) {
        omp_set_num_threads(threads);
        nn_wavenet_generator_reset(all);
        for (int s = 0; s < N; s++)
            bl_rng_seed(&rng[s], (uint64_t)s);
        nn_wavenet_generator_run(all, local, T, 1, rng, together);
        assert_memory_equal(alone, together, sizeof alone);
    }
    omp_set_num_threads(n_threads);
    assert_null(nn_wavenet_generator_new_batch(f.net, 0, global, &err));
    assert_message(err, "a WaveNet generates 1 stream or more, not 0");
    nn_wavenet_generator_free(one);
    nn_wavenet_generator_free(all);
    release(&f);
}

/* How often each class is drawn agrees with what push says of its probability. */
static void draws_follow_the_probabilities(void **state)
{
    enum { N = 20000 };
    static const float global[3] = { 0.5f, -1, 0.25f };
    const int silence = nn_mu_law_encode(0);
    fixture f;
    static float out[N];
    static bl_rng rng[N];
    float log_probability[NN_WAVENET_LEVELS];
    double chi = 0;
    int count[NN_WAVENET_LEVELS] = { 0 };
    bl_error err = { 0 };
    (void)state;
    make(&f, small);
    static float local[2 * N] = { 0 };
    nn_wavenet_generator *one = nn_wavenet_generator_new(f.net, global, &err);
    nn_wavenet_generator *many = nn_wavenet_generator_new_batch(f.net, N, global, &err);
    assert_non_null(many);
    nn_wavenet_generator_push(one, &silence, local, log_probability);
    for (int s = 0; s < N; s++)
        bl_rng_seed(&rng[s], (uint64_t)s + 1000);
    nn_wavenet_generator_run(many, local, 1, 1, rng, out);
    for (int s = 0; s < N; s++)
        count[nn_mu_law_encode(out[s])]++;
    for (int c = 0; c < NN_WAVENET_LEVELS; c++) {
        const double want = N * exp((double)log_probability[c]);
        chi += (count[c] - want) * (count[c] - want) / want;
    }
    assert_true(chi < 350); /* 255 expected, standard deviation 23 */
    nn_wavenet_generator_free(one);
    nn_wavenet_generator_free(many);
    release(&f);
}

static void expect_error(const char *text, const char *message)
{
    bl_error err = { 0 };
    bl_config *config = bl_config_parse(text, "w.ini", &err);
    nn_params *params = nn_params_new(&err);
    assert_null(nn_wavenet_build(config, "wavenet", params, &err));
    assert_message(err, message);
    nn_params_free(params);
    bl_config_free(config);
}

static void sections_of_another_form_are_refused(void **state)
{
    (void)state;
    expect_error("[wavenet]\ninput.audio = 1, T\n", "embed: is missing");
    expect_error("[wavenet]\ninput.audio = 1, T\nembed = embedding num_embeddings=256 embedding_dim=4 from=audio\n"
                 "body = wavenet_block channels=4 skip_channels=4 layers=2 from=embed\n"
                 "late = tanh\n", "late: behind body, expected relu or conv1d");
    expect_error("[wavenet]\ninput.audio = 1, T\nembed = embedding num_embeddings=256 embedding_dim=4 from=audio\n"
                 "body = wavenet_block channels=4 skip_channels=4 layers=2 from=embed\n"
                 "out = conv1d out_channels=100 kernel_size=1\n", "out: expected 256 channels");
    expect_error("[wavenet]\ninput.audio = 1, T\nembed = embedding num_embeddings=64 embedding_dim=4 from=audio\n"
                 "body = wavenet_block channels=4 skip_channels=4 layers=2 from=embed\n"
                 "out = conv1d out_channels=256 kernel_size=1\n", "embed: expected embedding num_embeddings=256");
}

/* No time is asserted; the figure is for whoever reads the log. */
static void the_shipped_network_generates(void **state)
{
    enum { T = 4000 };
    static float local[8 * T], out[T];
    static const float global[4] = { 1, 0, 0, 0 };
    bl_error err = { 0 };
    bl_config *config = bl_config_load("configs/networks/wavenet.ini", &err);
    nn_params *params = nn_params_new(&err);
    nn_wavenet *w = nn_wavenet_build(config, "conditioned", params, &err);
    bl_rng rng;
    (void)state;
    assert_string_equal(err.msg, "");
    nn_params_finish(params, &err);
    nn_params_init(params, 1);
    nn_wavenet_generator *g = nn_wavenet_generator_new(w, global, &err);
    assert_non_null(g);
    bl_rng_seed(&rng, 1);
    const double start = bl_seconds();
    nn_wavenet_generator_run(g, local, T, 1, &rng, out);
    print_message("           %.0f samples per second, %lld weights, receptive field %lld samples\n", T / (bl_seconds() - start),
                  (long long)nn_params_count(params, ""), (long long)w->receptive_field);
    for (int t = 0; t < T; t++)
        assert_true(fabsf(out[t]) <= 1);
    nn_wavenet_generator_free(g);
    nn_wavenet_free(w);
    nn_params_free(params);
    bl_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mu_law_covers_all_levels_and_comes_back),
        cmocka_unit_test(generation_equals_the_teacher_forced_pass),
        cmocka_unit_test(it_learns_a_short_tone_from_ln_256_to_below_one_nat),
        cmocka_unit_test(the_same_seed_gives_the_same_samples),
        cmocka_unit_test(a_stream_does_not_depend_on_the_others),
        cmocka_unit_test(draws_follow_the_probabilities),
        cmocka_unit_test(sections_of_another_form_are_refused),
        cmocka_unit_test(the_shipped_network_generates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
