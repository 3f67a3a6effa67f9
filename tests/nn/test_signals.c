/* Signal layers against PyTorch, and what holds of them without it. tools/golden/signals.py writes tests/golden/signals.txt. */
#include "tests/nn/golden.h"

#include "nn/optimizer.h"

#include "tests/message.h"

static void signal_layers_agree_with_pytorch(void **state)
{
    (void)state;
    golden_run_file("tests/golden/signals.txt", "layer", 13, golden_run_network);
}

typedef struct setup {
    bl_config  *config;
    nn_params  *params;
    nn_network *net;
    nn_tape    *t;
    bl_error    err;
} setup;

static setup build(const char *lines)
{
    setup s = { 0 };
    char text[500];
    snprintf(text, sizeof text, "[n]\n%s\n", lines);
    s.config = bl_config_parse(text, "test.ini", &s.err);
    s.params = nn_params_new(&s.err);
    s.net = nn_network_build(s.config, "n", s.params, &s.err);
    if (s.net)
        nn_params_finish(s.params, &s.err);
    s.t = nn_tape_new(&s.err);
    return s;
}

static void end(setup *s)
{
    nn_tape_free(s->t);
    nn_network_free(s->net);
    nn_params_free(s->params);
    bl_config_free(s->config);
}

/* Minutes of a tone: the phase stays exact where a float's own sum would have lost it. */
static void a_long_tone_keeps_its_phase(void **state)
{
    enum { HOP = 441, FRAMES = 6000, RATE = 44100 }; /* a minute */
    setup s = build("input.a = 1, T\ninput.f0 = 1, T\no = harmonic_oscillator sample_rate=44100 hop_length=441 from=a,f0");
    (void)state;
    nn_node *in[2] = { nn_full(s.t, nn_shape_of(3, 1, 1, FRAMES), 1), nn_full(s.t, nn_shape_of(3, 1, 1, FRAMES), 440.25) };
    nn_node *y = nn_network_run(s.net, s.t, in, NULL);
    assert_non_null(y);
    assert_int_equal(y->shape.dim[2], FRAMES * HOP);
    double worst = 0;
    for (int64_t n = (int64_t)FRAMES * HOP - 5000; n < (int64_t)FRAMES * HOP; n++) {
        const double turns = fmod(440.25 * (double)(n + 1), RATE) / RATE;
        worst = fmax(worst, fabs((double)y->x[n] - sin(2 * 3.14159265358979323846 * turns)));
    }
    assert_true(worst < 2e-6);
    end(&s);
}

/* A hundred harmonics from one sine and cosine: the error of turning stays below what 20 bits show. */
static void high_harmonics_are_exact(void **state)
{
    enum { HOP = 100, FRAMES = 20, H = 100 };
    setup s = build("input.a = 100, T\ninput.f0 = 1, T\no = harmonic_oscillator sample_rate=48000 hop_length=100 from=a,f0");
    double worst = 0;
    (void)state;
    nn_node *in[2] = { nn_full(s.t, nn_shape_of(3, 1, H, FRAMES), 0), nn_full(s.t, nn_shape_of(3, 1, 1, FRAMES), 200) };
    for (int j = 0; j < FRAMES; j++)
        in[0]->x[(H - 1) * FRAMES + j] = 1; /* the hundredth: 20 kHz */
    nn_node *y = nn_network_run(s.net, s.t, in, NULL);
    for (int n = 0; n < FRAMES * HOP; n++)
        worst = fmax(worst, fabs((double)y->x[n] - sin(2 * 3.14159265358979323846 * fmod(20000.0 * (n + 1), 48000) / 48000)));
    assert_true(worst < 3e-5);
    end(&s);
}

/* Flat magnitudes are a pulse: the noise comes through as it is. */
static void flat_magnitudes_pass_the_source(void **state)
{
    setup s = build("input.m = 17, T\ninput.source = 1, T\no = filtered_noise hop_length=50 from=m,source");
    (void)state;
    bl_rng_seed(&s.t->rng, 4);
    nn_node *in[2] = { nn_full(s.t, nn_shape_of(3, 2, 17, 6), 1), nn_rand(s.t, nn_shape_of(3, 2, 1, 300), -1, 1) };
    nn_node *y = nn_network_run(s.net, s.t, in, NULL);
    assert_non_null(y);
    for (int i = 0; i < 600; i++)
        assert_true(fabs((double)y->x[i] - (double)in[1]->x[i]) < 2e-6);
    end(&s);
}

static void noise_follows_the_seed_and_its_magnitudes(void **state)
{
    setup s = build("input.m = 65, T\no = filtered_noise hop_length=64");
    double power[2] = { 0, 0 };
    real first[2] = { 0, 0 };
    (void)state;
    for (int i = 0; i < 3; i++) {
        nn_tape_reset(s.t);
        bl_rng_seed(&s.t->rng, i < 2 ? 7 : 8);
        nn_node *m = nn_full(s.t, nn_shape_of(3, 1, 65, 100), 0);
        for (int f = 0; f < 65; f++)
            for (int j = 0; j < 100; j++)
                m->x[f * 100 + j] = f < 16; /* the lowest quarter */
        nn_node *y = nn_network_run(s.net, s.t, &m, NULL);
        assert_non_null(y);
        if (i < 2)
            first[i] = y->x[50];
        else
            assert_true(y->x[50] != first[0]);
        for (int n = 1; n < 6400 && i == 0; n++) {
            power[0] += (double)y->x[n] * (double)y->x[n];
            power[1] += ((double)y->x[n] - (double)y->x[n - 1]) * ((double)y->x[n] - (double)y->x[n - 1]);
        }
    }
    assert_true(first[0] == first[1]);
    assert_true(fabs(power[0] / 6399 / (15.5 / 64 / 3) - 1) < 0.1); /* a quarter of the power of uniform noise, 1/3 */
    assert_true(power[1] < 0.5 * power[0]);                           /* and slow: white noise would give 2 */
    end(&s);
}

/* Parseval: windows of ones without overlap keep the power. */
static void the_stft_of_ones_keeps_the_power(void **state)
{
    enum { N = 64, FRAMES = 9 };
    bl_error err = { 0 };
    nn_tape *t = nn_tape_new(&err);
    double power = 0, there = 0;
    (void)state;
    nn_node *x = nn_randn(t, nn_shape_of(2, 1, N * FRAMES));
    nn_node *s = nn_stft(t, x, (nn_stft_opt){ .n_fft = N, .hop_length = N, .win_length = N, .pad = NN_STFT_NONE, .window = NN_STFT_ONES });
    assert_int_equal(s->shape.dim[3], FRAMES);
    for (int64_t i = 0; i < N * FRAMES; i++)
        power += (double)x->x[i] * (double)x->x[i];
    for (int part = 0; part < 2; part++)
        for (int f = 0; f <= N / 2; f++)
            for (int j = 0; j < FRAMES; j++) {
                const double v = (double)s->x[(part * (N / 2 + 1) + f) * FRAMES + j];
                there += v * v * (f == 0 || f == N / 2 ? 1 : 2) / N;
            }
    assert_true(fabs(there / power - 1) < 1e-5);
    nn_tape_free(t);
}

static void a_filter_bank_goes_there_and_back(void **state)
{
    setup s = build("input.x = 2, T\nbands = pqmf_analysis n_bands=8\nwave = pqmf_synthesis n_bands=8");
    double error = 0, power = 0;
    (void)state;
    nn_node *x = nn_randn(s.t, nn_shape_of(3, 1, 2, 1600)), *y = nn_network_run(s.net, s.t, &x, NULL);
    assert_non_null(y);
    for (int c = 0; c < 2; c++)
        for (int i = 100; i < 1500; i++) {
            const double d = (double)y->x[c * 1600 + i] - (double)x->x[c * 1600 + i];
            error += d * d;
            power += (double)x->x[c * 1600 + i] * (double)x->x[c * 1600 + i];
        }
    assert_true(10 * log10(error / power) < -50);
    end(&s);
}

/* Analysis by synthesis: spectra alone teach an oscillator and a noise the amplitudes that made a sound. */
static void oscillator_and_noise_learn_a_sound_from_its_spectra(void **state)
{
    enum { FRAMES = 16, HOP = 64, N = FRAMES * HOP };
    static const nn_stft_opt resolutions[] = { { .n_fft = 256, .hop_length = 64, .win_length = 256 }, { .n_fft = 64, .hop_length = 16, .win_length = 64 } };
    setup s = build("input.one = 1, T\ninput.f0 = 1, T\n"
                    "a = conv1d out_channels=5 kernel_size=1 from=one\nas = softplus\nm = conv1d out_channels=9 kernel_size=1 from=one\nms = softplus\n"
                    "tone = harmonic_oscillator sample_rate=4000 hop_length=64 from=as,f0\nhiss = filtered_noise hop_length=64 from=ms\n"
                    "y = add from=tone,hiss");
    nn_optimizer_config o = nn_optimizer_defaults(NN_ADAM);
    real target[N];
    double first = 0, last = 0;
    bl_rng rng;
    (void)state;
    o.lr = 0.05;
    nn_params_init(s.params, 1);
    nn_optimizer *optimizer = nn_optimizer_new(s.params, "", &o, &s.err);
    bl_rng_seed(&rng, 2);
    for (int i = 0; i < N; i++) {
        const double phase = 2 * 3.14159265358979 * 210 * (i + 1) / 4000;
        target[i] = (real)(0.8 * sin(phase) + 0.1 * sin(2 * phase) + 0.4 * sin(3 * phase) + 0.02 * (2 * bl_rng_uniform(&rng) - 1));
    }
    for (int step = 0; step < 150; step++) {
        nn_tape_reset(s.t);
        nn_node *in[2] = { nn_full(s.t, nn_shape_of(3, 1, 1, FRAMES), 1), nn_full(s.t, nn_shape_of(3, 1, 1, FRAMES), 210) };
        nn_node *y = nn_reshape(s.t, nn_network_run(s.net, s.t, in, NULL), nn_shape_of(2, 1, N));
        nn_node *loss = nn_keep(nn_multi_resolution_stft_loss(s.t, y, nn_input_real(s.t, nn_shape_of(2, 1, N), target), 2, resolutions));
        nn_backward(s.t, loss);
        if (s.t->err.code)
            fail_msg("%s", s.t->err.msg);
        *(step ? &last : &first) = (double)loss->x[0];
        nn_optimizer_step(optimizer);
    }
    assert_true(last < 0.4 * first);
    const real *weight = s.params->value + s.params->param[nn_params_find(s.params, "n/a/weight")].offset;
    const real *bias = s.params->value + s.params->param[nn_params_find(s.params, "n/a/bias")].offset;
    static const double want[5] = { 0.8, 0.1, 0.4, 0, 0 };
    for (int h = 0; h < 5; h++) {
        const double amplitude = log1p(exp((double)weight[h] + (double)bias[h]));
        if (!(fabs(amplitude - want[h]) < 0.06))
            fail_msg("harmonic %d: %g, made with %g", h + 1, amplitude, want[h]);
    }
    nn_optimizer_free(optimizer);
    end(&s);
}

/* Those in configs/networks/ have the sizes that their papers say. */
static void published_networks_run(void **state)
{
    static const struct { const char *path, *section; int n_inputs; int64_t n_samples; } networks[] = {
        { "configs/networks/ddsp.ini", "decoder", 3, 64 }, { "configs/networks/multiband_melgan.ini", "generator", 1, 256 } };
    (void)state;
    for (int i = 0; i < 2; i++) {
        enum { FRAMES = 6 };
        bl_error err = { 0 };
        bl_config *config = bl_config_load(networks[i].path, &err);
        nn_params *params = nn_params_new(&err);
        nn_network *net = nn_network_build(config, networks[i].section, params, &err);
        nn_tape *t = nn_tape_new(&err);
        nn_node *in[3];
        if (!net || nn_params_finish(params, &err) != BL_OK)
            fail_msg("%s", err.msg);
        nn_params_init(params, 1);
        assert_int_equal(nn_network_n_inputs(net), networks[i].n_inputs);
        for (int k = 0; k < networks[i].n_inputs; k++)
            in[k] = nn_full(t, (nn_shape){ 3, { 2, nn_network_input_shape(net, k).dim[0], FRAMES } }, k == 2 ? 220 : 0.5);
        nn_node *y = nn_network_run(net, t, in, NULL);
        if (!y)
            fail_msg("%s", t->err.msg);
        assert_int_equal(y->shape.dim[1], 1);
        assert_int_equal(y->shape.dim[2], FRAMES * networks[i].n_samples);
        nn_tape_free(t);
        nn_network_free(net);
        nn_params_free(params);
        bl_config_free(config);
    }
}

static void mistakes_have_a_sentence(void **state)
{
    static const char *const cases[][2] = {
        { "input.x = 1, 30\na = pqmf_analysis n_bands=4", "30 samples are no multiple of n_bands=4" },
        { "input.x = 1, T\na = pqmf_analysis n_bands=4 taps=31", "taps 31 must be even" },
        { "input.x = 6, T\na = pqmf_synthesis n_bands=4", "6 channels are no multiple of n_bands=4" },
        { "input.x = 1, T\na = stft_magnitude n_fft=15", "n_fft=15 must be even" },
        { "input.x = 1, T\na = stft_magnitude n_fft=16 win_length=20", "win_length=20 no larger" },
        { "input.x = 1, 10\na = stft_magnitude n_fft=16 center=no", "10 samples are fewer than a frame of n_fft=16" },
        { "input.x = 3, 10\ninput.f = 2, 10\na = harmonic_oscillator sample_rate=8000 hop_length=10 from=x,f", "expected amplitudes [H, J] and f0 [1, J]" },
        { "input.x = 3, T\na = filtered_noise hop_length=10 window_size=6", "window_size=6 odd and at most 5" },
        { "input.x = 1, T\na = filtered_noise hop_length=10", "at least 2 magnitudes" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        setup s = build(cases[i][0]);
        assert_null(s.net);
        assert_message(s.err, cases[i][1]);
        end(&s);
    }
    setup s = build("input.x = 1, T\na = stft_magnitude n_fft=16");
    nn_node *x = nn_full(s.t, nn_shape_of(3, 1, 1, 8), 0);
    assert_null(nn_network_run(s.net, s.t, &x, NULL));
    assert_message(s.t->err, "8 samples are too few to be reflected by n_fft/2 = 8");
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signal_layers_agree_with_pytorch),
        cmocka_unit_test(a_long_tone_keeps_its_phase),
        cmocka_unit_test(high_harmonics_are_exact),
        cmocka_unit_test(flat_magnitudes_pass_the_source),
        cmocka_unit_test(noise_follows_the_seed_and_its_magnitudes),
        cmocka_unit_test(the_stft_of_ones_keeps_the_power),
        cmocka_unit_test(a_filter_bank_goes_there_and_back),
        cmocka_unit_test(oscillator_and_noise_learn_a_sound_from_its_spectra),
        cmocka_unit_test(published_networks_run),
        cmocka_unit_test(mistakes_have_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
