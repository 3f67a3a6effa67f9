#include "blocks/tone_detector.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { RATE = 16000, N = RATE / 2, RECORDINGS = 5, TONES = 8, KINDS = 3 };
static const double pi = 3.14159265358979323846;
static const char *const names[KINDS] = { "flute", "electric guitar", "drums" };

/* Three kinds of sound: a steady tone with few partials, a plucked one with many, and a burst of noise. Every recording has a
 * tilt of its own, as another instrument in another room would. */
static void make(float *x, int kind, int pitch, double tilt, bl_rng *rng)
{
    const double f0 = 440 * pow(2, (pitch - 69) / 12.0);
    double low = 0;
    for (int i = 0; i < N; i++) {
        const double t = (double)i / RATE;
        double v = 0;
        if (kind == 0) {
            for (int h = 1; h <= 3; h++)
                v += pow(h, -2 + tilt) * sin(2 * pi * h * f0 * t) * (t < 0.08 ? t / 0.08 : 1);
            v += 0.01 * bl_rng_normal(rng);
        } else if (kind == 1) {
            for (int h = 1; h <= 14 && h * f0 < 7000; h++)
                v += pow(h, -0.8 + tilt) * sin(2 * pi * h * f0 * t) * exp(-(3 + h) * t);
        } else {
            low += (0.5 + tilt / 2) * (bl_rng_normal(rng) - low);
            v = low * exp(-18 * t);
        }
        x[i] = (float)(0.2 * v);
    }
}

static void fill_table(blocks_tone_table *t)
{
    enum { ROWS = RECORDINGS * TONES * KINDS };
    float x[N];
    bl_error err = { 0 };
    bl_rng rng;
    blocks_tone_analyser *a = blocks_tone_analyser_new(&err);
    assert_non_null(a);
    bl_rng_seed(&rng, 2);
    *t = (blocks_tone_table){ .features = calloc(ROWS * BLOCKS_TONE_FEATURES, sizeof(float)),
                              .tone = calloc(ROWS, sizeof(int64_t)), .instrument = calloc(ROWS, sizeof(int)),
                              .pitch = calloc(ROWS, sizeof(int)), .recording = calloc(ROWS, sizeof(int)),
                              .source = calloc(ROWS, sizeof(int)), .copy = calloc(ROWS, 1),
                              .held_out = calloc(ROWS, 1), .measured = calloc(ROWS, 1) };
    for (int kind = 0; kind < KINDS; kind++)
        for (int r = 0; r < RECORDINGS; r++) {
            const double tilt = 0.3 * bl_rng_uniform(&rng);
            for (int i = 0; i < TONES; i++) {
                const int pitch = 55 + (int)bl_rng_below(&rng, 24);
                make(x, kind, pitch, tilt, &rng);
                assert_int_equal(blocks_tone_analyser_run(a, x, N, RATE, t->features + t->n * BLOCKS_TONE_FEATURES, &err), BL_OK);
                t->tone[t->n] = t->n;
                t->instrument[t->n] = data_instrument_find(names[kind]);
                t->pitch[t->n] = kind == 2 ? (i % 2 ? 36 : 42) : pitch;
                t->recording[t->n] = RECORDINGS * kind + r;
                t->held_out[t->n] = r == 0;
                t->measured[t->n++] = 1;
            }
        }
    blocks_tone_analyser_free(a);
}

static blocks_tone_detector *train(const blocks_tone_table *t, const char *config_text)
{
    blocks_tone_detector_options o;
    blocks_tone_search search = { .started = 0 };
    bl_error err = { 0 };
    bl_config *config = bl_config_parse(config_text, "test.ini", &err);
    assert_non_null(config);
    assert_int_equal(blocks_tone_detector_configure(&o, config, &err), BL_OK);
    o.quiet = 1;
    blocks_tone_detector *d = blocks_tone_detector_train(t, &o, &search, &err);
    assert_non_null(d);
    bl_config_free(config);
    return d;
}

static void recordings_never_heard_are_recognised(void **state)
{
    blocks_tone_table t;
    blocks_tone_figures *f = malloc(sizeof *f);
    bl_error err = { 0 };
    (void)state;
    fill_table(&t);
    blocks_tone_detector *d = train(&t, "[tone_detector]\nC = 1 10\ngamma_scale = 0.3 1\n");
    assert_int_equal(d->n_classes, KINDS);
    assert_int_equal(blocks_tone_detector_evaluate(d, &t, f, &err), BL_OK);
    assert_int_equal(f->n, KINDS * TONES);
    assert_int_equal(f->n_recordings, KINDS);
    assert_true(f->accuracy > 0.9);
    assert_float_equal((float)f->majority, 1.0f / KINDS, 1e-6f);
    blocks_tone_detector_free(d);
    blocks_tone_table_free(&t);
    free(f);
}

static void every_recording_is_judged_by_a_machine_that_never_heard_it(void **state)
{
    blocks_tone_table t;
    blocks_tone_detector_options o = { .balanced = 1, .quiet = 1 };
    bl_error err = { 0 };
    int right = 0, judged = 0;
    (void)state;
    fill_table(&t);
    blocks_tone_detector *d = train(&t, "[tone_detector]\nkernel = rbf\nC = 10\ngamma_scale = 0.3\n");
    int *fold = malloc((size_t)t.n * sizeof *fold);
    double *p = malloc((size_t)(t.n * d->n_classes) * sizeof *p);
    for (int64_t i = 0; i < t.n; i++)
        fold[i] = t.recording[i] % RECORDINGS < 2 ? t.recording[i] % RECORDINGS : -1;
    assert_int_equal(blocks_tone_detector_cross_validate(d, &t, fold, 2, &o, p, &err), BL_OK);
    for (int64_t i = 0; i < t.n; i++) {
        const double *q = p + i * d->n_classes;
        if (fold[i] < 0) {
            assert_true(isnan(q[0]));
            continue;
        }
        assert_float_equal((float)(q[0] + q[1] + q[2]), 1, 1e-5f);
        const int c = blocks_tone_detector_class(d, t.instrument[i]);
        judged++;
        right += q[c] > 0.5;
    }
    assert_int_equal(judged, 2 * KINDS * TONES);
    assert_true(right > 0.85 * judged);
    /* A class of one fold alone cannot be judged without it. */
    for (int64_t i = 0; i < t.n; i++)
        fold[i] = t.instrument[i] == data_instrument_find("flute") ? 0 : 1;
    assert_int_equal(blocks_tone_detector_cross_validate(d, &t, fold, 2, &o, p, &err), BL_EFORMAT);
    assert_non_null(strstr(err.msg, "flute"));
    free(fold);
    free(p);
    blocks_tone_detector_free(d);
    blocks_tone_table_free(&t);
}

static void a_saved_detector_guesses_the_same(void **state)
{
    const char *path = "/tmp/backline_test_tone_detector.h5";
    float x[N];
    blocks_tone_table t;
    blocks_tone_guess a, b;
    bl_error err = { 0 };
    bl_rng rng;
    (void)state;
    fill_table(&t);
    blocks_tone_detector *d = train(&t, "[tone_detector]\nkernel = linear\nC = 1\n");
    assert_int_equal(blocks_tone_detector_save(d, path, "", 1, &err), BL_OK);
    blocks_tone_detector *loaded = blocks_tone_detector_load(path, &err);
    assert_non_null(loaded);
    bl_rng_seed(&rng, 9);
    for (int kind = 0; kind < KINDS; kind++) {
        make(x, kind, 64, 0.1, &rng);
        assert_int_equal(blocks_tone_detector_tone(d, x, N, RATE, &a, &err), BL_OK);
        assert_int_equal(blocks_tone_detector_tone(loaded, x, N, RATE, &b, &err), BL_OK);
        assert_memory_equal(&a, &b, sizeof a);
        assert_int_equal(a.instrument, data_instrument_find(names[kind]));
        assert_true(a.probability > 0.5 && a.probability <= 1);
    }
    assert_true(d->drum_svm && loaded->drum_svm && a.drum_kind >= 0);
    blocks_tone_detector_free(d);
    blocks_tone_detector_free(loaded);
    blocks_tone_table_free(&t);
    unlink(path);
}

static void a_track_is_named_by_instrument_and_role(void **state)
{
    enum { LENGTH = 8 };
    float *x = calloc(LENGTH * N, sizeof *x);
    music_note notes[LENGTH];
    const music_track track = { .notes = notes, .n_notes = LENGTH };
    const int only = data_instrument_find("drums");
    blocks_tone_table t;
    blocks_track_guess g;
    bl_error err = { 0 };
    bl_rng rng;
    (void)state;
    fill_table(&t);
    blocks_tone_detector *d = train(&t, "[tone_detector]\nkernel = rbf\nC = 10\ngamma_scale = 0.3\n");
    bl_rng_seed(&rng, 5);
    for (int i = 0; i < LENGTH; i++) {
        make(x + i * N, 1, 60 + i, 0.1, &rng);
        notes[i] = (music_note){ i * 0.5, i * 0.5 + 0.45, 60 + i, 90 };
    }
    assert_int_equal(blocks_tone_detector_track(d, x, LENGTH * N, RATE, &track, NULL, 0, &g, &err), BL_OK);
    assert_string_equal(g.name, "lead guitar");
    assert_int_equal(g.n_tones, LENGTH);
    assert_true(g.role_probability > 0.5 && g.role_probability <= g.probability);
    assert_int_equal(blocks_tone_detector_track(d, x, LENGTH * N, RATE, NULL, NULL, 0, &g, &err), BL_OK);
    assert_string_equal(g.name, "lead guitar");
    assert_int_equal(blocks_tone_detector_track(d, x, LENGTH * N, RATE, NULL, &only, 1, &g, &err), BL_OK);
    assert_string_equal(g.role, "rhythm");
    memset(x, 0, LENGTH * N * sizeof *x);
    assert_int_equal(blocks_tone_detector_track(d, x, LENGTH * N, RATE, NULL, NULL, 0, &g, &err), BL_EARG);
    blocks_tone_detector_free(d);
    blocks_tone_table_free(&t);
    free(x);
}

static void chords_are_told_from_melodies(void **state)
{
    enum { LENGTH = 4 * RATE };
    float *x = calloc(LENGTH, sizeof *x);
    blocks_track_measures one, many, counted;
    char role[16], name[64];
    bl_error err = { 0 };
    music_note notes[] = { { 0, 1, 60, 90 }, { 0, 1, 64, 90 }, { 0, 1, 67, 90 }, { 1, 2, 62, 90 }, { 1, 2, 65, 90 } };
    (void)state;
    for (int chord = 0; chord < 2; chord++) {
        for (int i = 0; i < LENGTH; i++) {
            const double t = (double)(i % (RATE / 2)) / RATE;
            x[i] = 0;
            for (int v = 0; v < (chord ? 3 : 1); v++)
                for (int h = 1; h <= 5; h++)
                    x[i] += (float)(0.05 / h * exp(-8 * t) * sin(2 * pi * h * 261.6 * pow(2, (v == 1 ? 4 : v == 2 ? 7 : 0) / 12.0) * t));
        }
        assert_int_equal(blocks_track_from_sound(x, LENGTH, RATE, chord ? &many : &one, &err), BL_OK);
    }
    assert_float_equal((float)one.polyphony, 0, 0.2f);
    assert_float_equal((float)many.polyphony, 1, 0.4f);
    assert_float_equal((float)one.density_hz, 2, 0.5f);
    blocks_track_role(data_instrument_find("piano"), &one, role, name);
    assert_string_equal(name, "piano melody");
    blocks_track_role(data_instrument_find("piano"), &many, role, name);
    assert_string_equal(name, "piano chords");
    blocks_track_role(data_instrument_find("electric guitar"), &many, role, name);
    assert_string_equal(name, "rhythm guitar");
    blocks_track_role(data_instrument_find("bass"), &many, role, name);
    assert_string_equal(name, "bass");
    assert_int_equal(blocks_track_from_notes(&(music_track){ .notes = notes, .n_notes = 5 }, &counted, &err), BL_OK);
    assert_true(counted.polyphony > 0.99);
    assert_float_equal((float)counted.register_midi, 64, 1e-6f);
    free(x);
}

static void wrong_files_and_options_are_one_sentence(void **state)
{
    blocks_tone_detector_options o;
    bl_error err = { 0 };
    (void)state;
    assert_null(blocks_tone_detector_load("/nowhere/tone_detector.h5", &err));
    assert_int_equal(err.code, BL_EIO);
    bl_error_clear(&err);
    bl_config *config = bl_config_parse("[tone_detector]\nC = 1 -2\n", "test.ini", &err);
    assert_int_equal(blocks_tone_detector_configure(&o, config, &err), BL_EARG);
    assert_non_null(strstr(err.msg, "1 -2"));
    bl_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recordings_never_heard_are_recognised),
        cmocka_unit_test(every_recording_is_judged_by_a_machine_that_never_heard_it),
        cmocka_unit_test(a_saved_detector_guesses_the_same),
        cmocka_unit_test(a_track_is_named_by_instrument_and_role),
        cmocka_unit_test(chords_are_told_from_melodies),
        cmocka_unit_test(wrong_files_and_options_are_one_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
