/* The synthesizer and its training, small and at 8 kHz, on tones made here: two voices whose spectra differ. */
#include "tests/temporary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/fft.h"
#include "blocks/synthesizer_train.h"
#include "data/instruments.h"
#include "tests/message.h"
#include "tests/plan_before.h"

#include <math.h>
#include <omp.h>

enum { RATE = 8000, N_PITCHES = 8, N_TONES = 2 * N_PITCHES, TONE_SAMPLES = 3200 };

static const char small[] =
    "[synthesizer]\nsample_rate = 8000\nhop_length = 64\nharmonics = 16\nnoise_bands = 8\nlatent = 4\ncontext = 2\nbands = 4\n"
    "warm_up = 8\n"
    "[wavenet]\ninput.z = 4, T\ninput.conditions = 64, T\n"
    "front = conv1d out_channels=32 kernel_size=1 from=conditions\nfront_a = leaky_relu negative_slope=0.2\n"
    "joined = concat from=z,front_a\n"
    "body = wavenet_block channels=24 skip_channels=32 kernel_size=2 stacks=1 layers=3 causal=1 from=joined,conditions\n"
    "body_a = leaky_relu negative_slope=0.2\n"
    "features = conv1d out_channels=12 kernel_size=1 from=body_a\n"
    "harmonic = conv1d out_channels=16 kernel_size=1 from=body_a\n"
    "noise = conv1d out_channels=8 kernel_size=1 from=body_a\noutput = features, harmonic, noise\n"
    "[generator]\ninput.features = 12, T\ninput.z = 4, T\ninput.excitation = 8, U\n"
    "both = concat from=features,z\n"
    "up1 = conv_transpose1d out_channels=12 kernel_size=8 stride=4 padding=2\nup1_n = batch_norm1d\n"
    "up1_a = leaky_relu negative_slope=0.2\n"
    "up2 = conv_transpose1d out_channels=8 kernel_size=8 stride=4 padding=2\nup2_a = leaky_relu negative_slope=0.2\n"
    "mixed = concat from=up2_a,excitation\nout = conv1d out_channels=4 kernel_size=3 padding=same\n"
    "[discriminator]\ninput.wave = 1, N\ninput.conditions = 64, T\n"
    "d1 = conv1d out_channels=6 kernel_size=15 stride=4 padding=same from=wave\na1 = leaky_relu negative_slope=0.2\n"
    "s1 = phase_shuffle n=2\n"
    "d2 = conv1d out_channels=8 kernel_size=15 stride=4 padding=same\na2 = leaky_relu negative_slope=0.2\n"
    "d3 = conv1d out_channels=12 kernel_size=9 stride=4 padding=same\na3 = leaky_relu negative_slope=0.2\n"
    "seen = conv1d out_channels=6 kernel_size=1 from=conditions\nboth = concat from=a3,seen\n"
    "score = conv1d out_channels=1 kernel_size=3 padding=same\n"
    "[train]\nbatch_size = 8\nsegment_frames = 16\nstft = 256,64\nlr = 0.005\nclip_norm = 1\naverage = 0.9\n"
    "[gan]\nkind = hinge\nstart = 1000\nlr = 0.002\nfeature_layers = a1, a3\n";

static bl_config *small_config(const char *const *changes)
{
    bl_error err = { 0 };
    bl_config *c = bl_config_parse(small, "small.ini", &err);
    assert_non_null(c);
    for (; changes && *changes; changes++)
        assert_int_equal(bl_config_set(c, *changes, &err), BL_OK);
    return c;
}

/* ---- a dataset ---- */

static const char *const genres[] = { "jazz", "rock" };

typedef struct band {
    data_tones tones;
    data_tone  list[N_TONES];
    float      context[2];
} band;

/* A piano with all partials that soon fade, and a bass with odd ones that stay. */
static void make_band(band *b)
{
    memset(b, 0, sizeof *b);
    b->tones.tones = b->list;
    b->tones.n = N_TONES;
    b->tones.sample_rate = RATE;
    b->context[0] = 0.5f;
    for (int i = 0; i < N_TONES; i++) {
        data_tone *t = &b->list[i];
        const int odd = i % 2, pitch = 45 + 3 * (i / 2);
        *t = (data_tone){ .samples = malloc(TONE_SAMPLES * sizeof(float)), .n_samples = TONE_SAMPLES,
                          .instrument = data_instrument_find(odd ? "bass" : "piano"), .genre = i < N_TONES / 2 ? 1 : 0,
                          .program = odd ? 33 : 0, .pitch = pitch, .velocity = 100, .duration_s = 0.3 };
        const double f0 = 440 * exp2((pitch - 69) / 12.0);
        for (int k = 0; k < TONE_SAMPLES; k++) {
            const double time = (double)k / RATE, release = time > 0.3 ? exp(-(time - 0.3) / 0.03) : 1;
            double sum = 0;
            for (int h = 1; h <= 8 && h * f0 < 0.45 * RATE; h += odd ? 2 : 1)
                sum += sin(2 * 3.14159265358979 * h * f0 * time + h) / h;
            t->samples[k] = (float)(0.3 * release * exp(-time / (odd ? 0.6 : 0.12)) * sum);
        }
    }
}

static void free_band(band *b)
{
    for (int i = 0; i < N_TONES; i++)
        free(b->list[i].samples);
}

typedef struct setup {
    band                        band;
    bl_config                  *config;
    blocks_synthesizer         *s;
    blocks_synthesizer_trainer *t;
} setup;

static setup *make(const char *const *changes, uint64_t seed)
{
    bl_error err = { 0 };
    blocks_voice *voices = NULL;
    int n = 0;
    setup *u = calloc(1, sizeof *u);
    make_band(&u->band);
    u->config = small_config(changes);
    assert_int_equal(blocks_voices_find(&u->band.tones, &voices, &n, NULL, &err), BL_OK);
    u->s = blocks_synthesizer_new(u->config, voices, n, (char *const *)genres, 2, 1, seed, &err);
    free(voices);
    if (!u->s)
        fail_msg("%s", err.msg);
    u->t = blocks_synthesizer_trainer_new(u->s, &u->band.tones, genres, u->band.context, 1000, seed, &err);
    if (!u->t)
        fail_msg("%s", err.msg);
    return u;
}

static void end(setup *u)
{
    blocks_synthesizer_trainer_free(u->t);
    blocks_synthesizer_free(u->s);
    bl_config_free(u->config);
    free_band(&u->band);
    free(u);
}

static blocks_synthesizer_losses step(setup *u)
{
    bl_error err = { 0 };
    blocks_synthesizer_losses l;
    expect_a_plan(blocks_synthesizer_trainer_plan, u->t);
    if (blocks_synthesizer_trainer_step(u->t, &l, &err) != BL_OK)
        fail_msg("%s", err.msg);
    return l;
}

static void save(setup *u, const char *name)
{
    bl_error err = { 0 };
    nn_checkpoint *c = nn_checkpoint_create(temporary_path(name), "wavegan", &err);
    blocks_synthesizer_trainer_put(u->t, c, &err);
    if (nn_checkpoint_commit(c, &err) != BL_OK)
        fail_msg("%s", err.msg);
}

static void assert_same_files(const char *a, const char *b)
{
    char *x, *y;
    size_t n, m;
    assert_int_equal(bl_read_file(temporary_path(a), 1 << 26, &x, &n, NULL), BL_OK);
    assert_int_equal(bl_read_file(temporary_path(b), 1 << 26, &y, &m, NULL), BL_OK);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

static float *run(blocks_synthesizer *s, int voice, int pitch, double duration_s, uint64_t seed, int64_t *n)
{
    bl_error err = { 0 };
    float *x = NULL;
    const blocks_tone tone = { .voice = voice, .genre = 0, .pitch = pitch, .velocity = 100, .duration_s = duration_s,
                               .beat_position = -1, .seed = seed };
    if (blocks_synthesizer_run(s, &tone, &x, n, &err) != BL_OK)
        fail_msg("%s", err.msg);
    return x;
}

/* ---- what a tone is made of ---- */

static void conditions_open_and_close_the_gates(void **state)
{
    (void)state;
    setup *u = make(NULL, 1);
    blocks_synthesizer *s = u->s;
    const int64_t n = 60, per_s = RATE / s->hop_length;
    float *c = malloc((size_t)(s->n_conditions * n) * sizeof *c);
    const blocks_tone tone = { .voice = 1, .genre = 0, .pitch = 60, .velocity = 64, .duration_s = 0.2, .beat_position = 0.25,
                               .context = (const float[]){ 3, 4 } };
    blocks_synthesizer_conditions(s, &tone, -10, n, c);
    assert_true(c[0] == 0 && c[n] == 1);                  /* the voice, one of two */
    assert_true(c[2 * n] == 1 && c[3 * n] == 0);          /* the genre             */
    const float *context = c + (s->n_conditions - 2) * n; /* the song's features stand last, the gates 6 rows above */
    const float *sounding = context - 4 * n, *released = context - 3 * n;
    for (int64_t j = 0; j < n; j++) {
        const int64_t at = j - 10, off = (int64_t)ceil(0.2 * (double)per_s);
        assert_true(sounding[j] == (at >= 0 && at < off));
        assert_true(released[j] == (at >= off));
        assert_true(context[j] == 3 && context[n + j] == 4);
        assert_true(fabsf(context[j - 2 * n] - 1) < 1e-6f && fabsf(context[j - n]) < 1e-6f); /* beat: sin, cos of a quarter turn */
    }
    assert_true(fabs(blocks_synthesizer_f0(s, &tone) - 261.6256) < 1e-3);
    free(c);
    end(u);
}

static void the_same_tone_gives_the_same_bytes_and_another_seed_others(void **state)
{
    int64_t n, m;
    (void)state;
    setup *u = make(NULL, 2);
    float *a = run(u->s, 0, 60, 0.25, 7, &n), *b = run(u->s, 0, 60, 0.25, 7, &m), *c = run(u->s, 0, 60, 0.25, 8, &m);
    assert_int_equal(n, m);
    assert_int_equal(n, (int64_t)ceil((0.25 + 0.35) * RATE));
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
    assert_memory_not_equal(a, c, (size_t)n * sizeof *a);
    assert_true(a[0] == 0 && fabsf(a[n - 1]) < 1e-3f);
    free(a);
    free(b);
    free(c);
    end(u);
}

/* Frequency of the strongest of the first four partials over its number, in cents from f0. */
static double cents_off(const float *x, double f0)
{
    enum { N = 8192 };
    static float wave[N], spectrum[N + 2];
    double power[N / 2 + 1], best = -1, frequency = 0;
    int partial = 1;
    for (int i = 0; i < N; i++)
        wave[i] = x[i] * (float)(0.5 - 0.5 * cos(2 * 3.14159265358979 * i / N));
    bl_fft *fft = bl_fft_new(N, NULL);
    bl_fft_forward(fft, wave, spectrum);
    bl_fft_free(fft);
    for (int i = 0; i <= N / 2; i++)
        power[i] = log((double)spectrum[2 * i] * (double)spectrum[2 * i] + (double)spectrum[2 * i + 1] * (double)spectrum[2 * i + 1] + 1e-12);
    for (int h = 1; h <= 4; h++)
        for (int i = (int)(h * f0 * N / RATE * 0.97); i <= (int)(h * f0 * N / RATE * 1.03) + 1; i++)
            if (power[i] > power[i - 1] && power[i] >= power[i + 1] && power[i] > best) {
                const double peak = 0.5 * (power[i - 1] - power[i + 1]) / (power[i - 1] - 2 * power[i] + power[i + 1]);
                best = power[i];
                partial = h;
                frequency = (i + peak) * RATE / N;
            }
    return 1200 * log2(frequency / partial / f0);
}

static void training_overfits_and_tones_are_in_tune(void **state)
{
    enum { STEPS = 150 };
    double first = 0, last = 0;
    (void)state;
    setup *u = make(NULL, 3);
    for (int i = 0; i < STEPS; i++) {
        const blocks_synthesizer_losses l = step(u);
        first += i < 3 ? l.stft / 3 : 0;
        last += i >= STEPS - 10 ? l.stft / 10 : 0;
    }
    if (!(last < 0.5 * first))
        fail_msg("stft loss from %g to %g", first, last);
    for (int voice = 0; voice < 2; voice++)
        for (int pitch = 47; pitch <= 66; pitch += 19) { /* pitches between those of the tones */
            int64_t n;
            float *x = run(u->s, voice, pitch, 1.2, 1, &n);
            assert_true(n >= 8192);
            const double cents = cents_off(x, 440 * exp2((pitch - 69) / 12.0));
            if (!(fabs(cents) < 10))
                fail_msg("voice %d, pitch %d: %g cents", voice, pitch, cents);
            free(x);
        }
    end(u);
}

/* ---- checkpoints ---- */

static void a_loaded_synthesizer_makes_the_same_tones(void **state)
{
    bl_error err = { 0 };
    int64_t n, m;
    (void)state;
    setup *u = make(NULL, 4);
    step(u);
    nn_checkpoint *c = nn_checkpoint_create(temporary_path("whole.h5"), "wavegan", &err);
    blocks_synthesizer_put(u->s, c, &err);
    nn_params_save(u->s->params, c, "average/", &err);
    assert_int_equal(nn_checkpoint_commit(c, &err), BL_OK);
    blocks_synthesizer *s = blocks_synthesizer_load(temporary_path("whole.h5"), &err);
    if (!s)
        fail_msg("%s", err.msg);
    assert_null(s->discriminator);
    assert_int_equal(s->step, 1);
    assert_int_equal(s->n_voices, 2);
    assert_string_equal(s->voices[1].name, "bass/33");
    assert_int_equal(s->voices[1].lowest, 45);
    assert_int_equal(s->voices[1].highest, 45 + 3 * (N_PITCHES - 1));
    float *a = run(u->s, 1, 50, 0.3, 9, &n), *b = run(s, 1, 50, 0.3, 9, &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
    free(a);
    free(b);
    blocks_synthesizer_free(s);

    /* what the trainer exports has the averages and no discriminator */
    assert_int_equal(blocks_synthesizer_trainer_export(u->t, temporary_path("export.h5"), 4, &err), BL_OK);
    c = nn_checkpoint_open(temporary_path("export.h5"), "wavegan", &err);
    assert_true(nn_checkpoint_has(c, "average/wavenet/front/weight"));
    assert_false(nn_checkpoint_has(c, "average/discriminator/d1/weight"));
    nn_checkpoint_free(c);
    s = blocks_synthesizer_load(temporary_path("export.h5"), &err);
    assert_non_null(s);
    a = run(s, 1, 50, 0.3, 9, &n);
    for (int64_t i = 0; i < n; i++)
        assert_true(isfinite(a[i]));
    free(a);
    blocks_synthesizer_free(s);
    end(u);
}

static void a_resumed_run_equals_an_uninterrupted_one(void **state)
{
    static const char *const changes[] = { "gan.start=2", "gan.critic_steps=2", NULL };
    bl_error err = { 0 };
    (void)state;
    setup *u = make(changes, 5);
    for (int i = 0; i < 3; i++)
        step(u);
    save(u, "half.h5");
    for (int i = 0; i < 3; i++)
        step(u);
    save(u, "whole.h5");
    end(u);

    u = make(changes, 99); /* another seed: everything must come from the checkpoint */
    blocks_synthesizer_trainer_free(u->t);
    blocks_synthesizer_free(u->s);
    nn_checkpoint *c = nn_checkpoint_open(temporary_path("half.h5"), "wavegan", &err);
    u->s = blocks_synthesizer_get_with(c, u->config, 1, &err);
    assert_non_null(u->s);
    u->t = blocks_synthesizer_trainer_new(u->s, &u->band.tones, genres, u->band.context, 1000, 99, &err);
    assert_int_equal(blocks_synthesizer_trainer_get(u->t, c, &err), BL_OK);
    nn_checkpoint_free(c);
    blocks_synthesizer_score score;
    float *x, *y;
    int64_t n;
    assert_int_equal(blocks_synthesizer_trainer_validate(u->t, 4, &score, &err), BL_OK); /* must not disturb */
    assert_int_equal(blocks_synthesizer_trainer_preview(u->t, 2, &x, &y, &n, &err), BL_OK);
    free(x);
    free(y);
    for (int i = 0; i < 3; i++)
        step(u);
    save(u, "resumed.h5");
    end(u);
    assert_same_files("whole.h5", "resumed.h5");
}

static void threads_do_not_change_a_bit(void **state)
{
    static const char *const changes[] = { "gan.start=1", NULL };
    const int threads = omp_get_max_threads();
    int64_t n;
    float *tone[2];
    (void)state;
    for (int k = 0; k < 2; k++) {
        omp_set_num_threads(k + 1);
        setup *u = make(changes, 6);
        for (int i = 0; i < 3; i++)
            step(u);
        save(u, k ? "two.h5" : "one.h5");
        tone[k] = run(u->s, 0, 64, 0.2, 1, &n);
        end(u);
    }
    omp_set_num_threads(threads);
    assert_same_files("one.h5", "two.h5");
    assert_memory_equal(tone[0], tone[1], (size_t)n * sizeof(float));
    free(tone[0]);
    free(tone[1]);
}

/* ---- the adversary ---- */

static void every_adversary_learns_to_tell_tones_from_recordings(void **state)
{
    enum { STEPS = 50, LAST = 5 };
    static const char *const kinds[] = { "gan.kind=hinge", "gan.kind=least_squares", "gan.kind=wgan_gp", "gan.kind=dcgan" };
    (void)state;
    for (int k = 0; k < 4; k++) {
        /* the generator stands still, so the critic's loss has only one way to go */
        const char *const changes[] = { kinds[k], "gan.start=0", "train.lr=0", "gan.lr=0.01", NULL };
        setup *u = make(changes, 7);
        double first = 0, last = 0;
        for (int i = 0; i < STEPS; i++) {
            const blocks_synthesizer_losses l = step(u);
            assert_true(isfinite(l.stft) && isfinite(l.adversarial) && isfinite(l.critic) && l.feature > 0);
            assert_true(k == 2 ? l.penalty > 0 : l.penalty == 0);
            first += i < LAST ? l.critic / LAST : 0;
            last += i >= STEPS - LAST ? l.critic / LAST : 0;
        }
        if (!(last < 0.8 * first))
            fail_msg("%s: from %g to %g", kinds[k], first, last);
        end(u);
    }
}

static void the_generator_follows_its_adversary(void **state)
{
    static const char *const changes[] = { "gan.kind=least_squares", "gan.start=0", "gan.weight=1000", "gan.feature_weight=0",
                                           "gan.lr=0", NULL };
    double first = 0, last = 0;
    (void)state;
    setup *u = make(changes, 7); /* now the critic stands still */
    for (int i = 0; i < 30; i++) {
        const blocks_synthesizer_losses l = step(u);
        first += i < 3 ? l.adversarial / 3 : 0;
        last += i >= 27 ? l.adversarial / 3 : 0;
    }
    if (!(last < 0.92 * first))
        fail_msg("from %g to %g", first, last);
    end(u);
}

static void the_adversary_waits_for_its_start(void **state)
{
    static const char *const changes[] = { "gan.start=2", NULL }, *const none[] = { "gan.kind=none", "gan.start=0", NULL };
    (void)state;
    setup *u = make(changes, 8);
    for (int i = 0; i < 3; i++)
        assert_true((step(u).critic != 0) == (i == 2));
    end(u);
    u = make(none, 8);
    assert_true(step(u).critic == 0);
    end(u);
}

static void held_out_pitches_are_measured(void **state)
{
    bl_error err = { 0 };
    blocks_synthesizer_score score;
    (void)state;
    setup *u = make(NULL, 9);
    assert_int_equal(blocks_synthesizer_trainer_validate(u->t, 40, &score, &err), BL_OK);
    assert_true(score.n > 0 && score.n < N_TONES / 2);
    /* an untrained generator is further off than the neighbours' recordings */
    assert_true(isfinite(score.generated) && score.nearest > 0 && score.nearest < score.generated);
    end(u);
}

/* ---- voices ---- */

static void a_genre_finds_the_voice_it_uses_most(void **state)
{
    const blocks_voice voices[] = { { .name = "electric guitar/27", .instrument = "electric guitar", .program = 27 },
                                    { .name = "electric guitar/30", .instrument = "electric guitar", .program = 30 },
                                    { .name = "bass/33", .instrument = "bass", .program = 33 } };
    bl_error err = { 0 };
    (void)state;
    bl_config *c = small_config(NULL);
    blocks_synthesizer *s = blocks_synthesizer_new(c, voices, 3, (char *const *)genres, 2, 0, 1, &err);
    assert_non_null(s);
    /* jazz, rock, unknown */
    const float counts[] = { 9, 2, 0, 0, 40, 0, 5, 5, 0 };
    memcpy(s->voice_genre, counts, sizeof counts);
    const int jazz = blocks_synthesizer_genre(s, "jazz"), rock = blocks_synthesizer_genre(s, "rock");
    assert_int_equal(jazz, 0);
    assert_int_equal(blocks_synthesizer_genre(s, "polka"), -1);
    assert_int_equal(blocks_synthesizer_voice(s, "electric guitar", jazz, -1), 0);
    assert_int_equal(blocks_synthesizer_voice(s, "electric guitar", rock, -1), 1);
    assert_int_equal(blocks_synthesizer_voice(s, "electric guitar", -1, -1), 1);
    assert_int_equal(blocks_synthesizer_voice(s, "electric guitar", rock, 27), 0);
    assert_int_equal(blocks_synthesizer_voice(s, "electric guitar", jazz, 99), 0);
    assert_int_equal(blocks_synthesizer_voice(s, "bass", rock, -1), 2);
    assert_int_equal(blocks_synthesizer_voice(s, "flute", rock, -1), -1);
    blocks_synthesizer_free(s);
    bl_config_free(c);
}

/* ---- mistakes ---- */

static void mistake(const char *change, const char *message)
{
    const char *const changes[] = { change, NULL };
    bl_error err = { 0 };
    bl_config *c = small_config(changes);
    assert_true(blocks_synthesizer_config_check(c, &err) != BL_OK);
    assert_message(err, message);
    bl_config_free(c);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    mistake("wavenet.harmonic=conv1d out_channels=12 kernel_size=1 from=body_a", "output 2 of [wavenet] must have 16 channels");
    mistake("wavenet.noise=conv1d out_channels=12 kernel_size=1 from=body_a", "output 3 of [wavenet] must have 8 channels");
    mistake("wavenet.output=features, harmonic", "[wavenet]");
    mistake("generator.out=conv1d out_channels=5 kernel_size=3 padding=same", "output 1 of [generator] must have 4 channels");
    mistake("synthesizer.bands=5", "hop_length (64) must be a multiple of synthesizer.bands (5)");
    mistake("synthesizer.sample_rate=8", "synthesizer.sample_rate: expected 8000 to 192000");
    mistake("train.segment_frames=18", "train.segment_frames must be a multiple of 4");
    mistake("train.stft=256,x", "train.stft");
    mistake("gan.kind=hing", "gan.kind: expected one of none, hinge");
    mistake("gan.feature_layers=a1, a9", "[discriminator] has no layer \"a9\"");
    mistake("discriminator.both=concat from=a2,seen", "discriminator");
}

static void checkpoints_that_do_not_fit_are_refused(void **state)
{
    static const char *const wider[] = { "generator.up2=conv_transpose1d out_channels=9 kernel_size=8 stride=4 padding=2", NULL };
    bl_error err = { 0 };
    (void)state;
    setup *u = make(NULL, 10), *v = make(wider, 10);
    save(u, "u.h5");
    nn_checkpoint *c = nn_checkpoint_open(temporary_path("u.h5"), "wavegan", &err);
    assert_true(blocks_synthesizer_trainer_get(v->t, c, &err) != BL_OK);
    assert_message(err, "generator/");
    nn_checkpoint_free(c);
    end(u);
    end(v);
    bl_error_clear(&err);
    c = nn_checkpoint_create(temporary_path("voice.h5"), "wavegan", &err);
    nn_checkpoint_put_text(c, "config", small, &err);
    nn_checkpoint_put_texts(c, "voices", (const char *const[]){ "piano" }, 1, &err);
    nn_checkpoint_put_texts(c, "genres", (const char *const[]){ "rock" }, 1, &err);
    nn_checkpoint_put(c, "voices/range", NN_I64, 2, (int64_t[]){ 1, 2 }, (int64_t[]){ 1, 2 }, &err);
    nn_checkpoint_put(c, "voices/genre_counts", NN_F32, 2, (int64_t[]){ 1, 2 }, (float[]){ 1, 2 }, &err);
    assert_int_equal(nn_checkpoint_commit(c, &err), BL_OK);
    assert_null(blocks_synthesizer_load(temporary_path("voice.h5"), &err));
    assert_message(err, "\"piano\" is not a voice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_open_and_close_the_gates),
        cmocka_unit_test(the_same_tone_gives_the_same_bytes_and_another_seed_others),
        cmocka_unit_test(training_overfits_and_tones_are_in_tune),
        cmocka_unit_test(a_loaded_synthesizer_makes_the_same_tones),
        cmocka_unit_test(a_resumed_run_equals_an_uninterrupted_one),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(every_adversary_learns_to_tell_tones_from_recordings),
        cmocka_unit_test(the_generator_follows_its_adversary),
        cmocka_unit_test(the_adversary_waits_for_its_start),
        cmocka_unit_test(held_out_pitches_are_measured),
        cmocka_unit_test(a_genre_finds_the_voice_it_uses_most),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(checkpoints_that_do_not_fit_are_refused),
    };
    omp_set_num_threads(1); /* so small that threads would only wait for each other; one test sets its own number */
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
