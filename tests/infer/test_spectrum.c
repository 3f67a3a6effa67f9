#include "tests/temporary.h"

#include "base/rng.h"
#include "infer/audio_generator.h"
#include "infer/temporal_analyzer.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/infer/models.h"
#include "tests/message.h"

static int make(void **state)
{
    if (temporary_make(state) != 0)
        return -1;
    models_make_temporal(temporary_folder);
    return 0;
}

static float *noise(int64_t n)
{
    bl_rng rng;
    float *x = malloc((size_t)n * sizeof *x);
    bl_rng_seed(&rng, 5);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(0.1 * bl_rng_normal(&rng));
    return x;
}

static double residual_db(const float *a, const float *b, int64_t n)
{
    double d = 1e-30, s = 1e-30;
    for (int64_t i = 0; i < n; i++) {
        d += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        s += (double)a[i] * (double)a[i];
    }
    return 10 * log10(d / s);
}

static void an_untouched_spectrogram_gives_the_stem_back(void **state)
{
    static const int64_t lengths[] = { 1, 300, 5000, 44100 };
    (void)state;
    for (size_t k = 0; k < 4; k++) {
        bl_error err = { 0 };
        infer_spectrogram s = { 0 };
        float *x = noise(lengths[k]), *y = calloc((size_t)lengths[k], sizeof *y);
        assert_int_equal(infer_spectrogram_new(&s, x, lengths[k], 1024, 256, &err), BL_OK);
        assert_int_equal(infer_audio_generator_run(&s, y, &err), BL_OK);
        assert_true(residual_db(x, y, lengths[k]) < -120);
        infer_spectrogram_free(&s);
        free(x);
        free(y);
    }
}

static void halved_magnitudes_halve_the_stem_and_keep_its_phase(void **state)
{
    (void)state;
    bl_error err = { 0 };
    infer_spectrogram s = { 0 };
    const int64_t n = 20000;
    float *x = noise(n), *y = calloc((size_t)n, sizeof *y);
    assert_int_equal(infer_spectrogram_new(&s, x, n, 1024, 256, &err), BL_OK);
    for (int64_t i = 0; i < s.n_bins * s.n_frames; i++)
        s.magnitude[i] *= 0.5f;
    assert_int_equal(infer_audio_generator_run(&s, y, &err), BL_OK);
    for (int64_t i = 0; i < n; i++)
        y[i] *= 2;
    assert_true(residual_db(x, y, n) < -110);
    infer_spectrogram_free(&s);
    free(x);
    free(y);
}

static void silence_stays_silence(void **state)
{
    (void)state;
    bl_error err = { 0 };
    infer_spectrogram s = { 0 };
    float *x = calloc(9000, sizeof *x);
    assert_int_equal(infer_spectrogram_new(&s, x, 9000, 1024, 256, &err), BL_OK);
    for (int64_t i = 0; i < s.n_bins * s.n_frames; i++)
        s.magnitude[i] = 1; /* no phase to keep, so nothing can sound */
    assert_int_equal(infer_audio_generator_run(&s, x, &err), BL_OK);
    for (int i = 0; i < 9000; i++)
        assert_true(x[i] == 0);
    infer_spectrogram_free(&s);
    free(x);
}

static void the_chain_keeps_length_and_is_smooth_over_its_pieces(void **state)
{
    (void)state;
    bl_error err = { 0 };
    infer_temporal_analyzer *a = infer_temporal_analyzer_load(temporary_path("bilstm.h5"), &err);
    if (!a)
        fail_msg("%s", err.msg);
    enum { RATE = 8000 };
    const int64_t n = 25 * RATE + 777; /* seven pieces */
    float *x = malloc((size_t)n * sizeof *x), *y = malloc((size_t)n * sizeof *y);
    infer_chain_seconds seconds = { 0 };
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(0.1 * sin(0.3 * (double)i));
    memcpy(y, x, (size_t)n * sizeof *x);
    double level = 0;
    assert_int_equal(infer_temporal_analyzer_level(a, y, n, RATE, &level, &err), BL_OK);
    assert_int_equal(infer_temporal_analyzer_chain(a, "bass", level, y, n, RATE, NULL, &seconds, &err), BL_OK);
    /* whatever an untrained model does to a steady tone, it does the same at the seams */
    double top = 0, jump = 0;
    for (int64_t i = 1; i < n; i++) {
        assert_true(isfinite(y[i]));
        top = fmax(top, fabs((double)y[i]));
        jump = fmax(jump, fabs((double)y[i] - (double)y[i - 1]));
    }
    assert_true(top > 0.02 && top < 0.4 && jump < 0.4 * top);
    assert_true(seconds.temporal > 0 && seconds.audio > 0);
    free(x);
    free(y);
    infer_temporal_analyzer_free(a);
}

static void a_change_is_heard_in_the_pieces_around_it_alone(void **state)
{
    (void)state;
    bl_error err = { 0 };
    enum { RATE = 8000, N = 40 * RATE };
    static float x[N], y[N], z[N];
    infer_cache *cache = infer_cache_open(temporary_path("cache"), &err);
    infer_chain_seconds seconds = { 0 };
    const int threads = omp_get_max_threads();
    double level = 0, other = 0;
    for (int i = 0; i < N; i++)
        x[i] = i > 30 * RATE ? 0 : (float)(0.1 * sin(0.3 * i) * (1 + sin(1e-3 * i)));
    for (int n = 1; n <= 3; n++) { /* at any thread count, and from the cache */
        omp_set_num_threads(n);
        infer_temporal_analyzer *a = infer_temporal_analyzer_load(temporary_path("bilstm.h5"), &err);
        memcpy(n == 1 ? y : z, x, sizeof x);
        assert_int_equal(infer_temporal_analyzer_level(a, x, N, RATE, &other, &err), BL_OK);
        assert_true(n == 1 || other == level);
        level = other;
        assert_int_equal(infer_temporal_analyzer_chain(a, "bass", level, n == 1 ? y : z, N, RATE, n == 2 ? NULL : cache, &seconds, &err), BL_OK);
        assert_true(n == 1 || !memcmp(y, z, sizeof y));
        infer_temporal_analyzer_free(a);
    }
    omp_set_num_threads(threads);
    int64_t found, kept;
    infer_cache_figures(cache, &found, &kept);
    assert_true(kept >= 8 && found == kept);
    infer_temporal_analyzer *a = infer_temporal_analyzer_load(temporary_path("bilstm.h5"), &err);
    for (int i = 0; i < RATE; i++)
        x[14 * RATE + i] = 0; /* one second of rest */
    memcpy(z, x, sizeof x);
    assert_int_equal(infer_temporal_analyzer_chain(a, "bass", level, z, N, RATE, cache, &seconds, &err), BL_OK);
    for (int i = 0; i < N; i++)
        assert_true(y[i] == z[i] || (i > (14 - 5.3) * RATE && i < (15 + 5.3) * RATE));
    for (int i = 37 * RATE; i < N; i++)
        assert_true(z[i] == 0); /* silence stays silence */
    assert_memory_not_equal(y + 14 * RATE, z + 14 * RATE, 1000);
    infer_temporal_analyzer_free(a);
    infer_cache_close(cache);
}

static int remove_all(void **state)
{
    char line[BL_PATH_MAX + 32];
    snprintf(line, sizeof line, "rm -rf \"%s\"", temporary_path("cache"));
    return system(line) || temporary_remove(state);
}

static void a_model_of_another_kind_is_refused(void **state)
{
    (void)state;
    bl_error err = { 0 };
    models_make_autoencoder(temporary_folder);
    assert_null(infer_temporal_analyzer_load(temporary_path("autoencoder.h5"), &err));
    assert_message(err, "bilstm");
    err = (bl_error){ 0 };
    assert_null(infer_temporal_analyzer_load(temporary_path("none.h5"), &err));
    assert_message(err, "none.h5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_untouched_spectrogram_gives_the_stem_back),
        cmocka_unit_test(halved_magnitudes_halve_the_stem_and_keep_its_phase),
        cmocka_unit_test(silence_stays_silence),
        cmocka_unit_test(the_chain_keeps_length_and_is_smooth_over_its_pieces),
        cmocka_unit_test(a_change_is_heard_in_the_pieces_around_it_alone),
        cmocka_unit_test(a_model_of_another_kind_is_refused),
    };
    return cmocka_run_group_tests(tests, make, remove_all);
}
