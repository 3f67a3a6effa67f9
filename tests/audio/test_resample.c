#include "audio/resample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/audio/test_signal.h"
#include "tests/message.h"

/* A linear sweep from 20 Hz to top_hz over `seconds`, sampled at any rate: what a perfect converter gives. */
static float *sweep(int rate, double seconds, double top_hz, int64_t n)
{
    const double pi = 3.14159265358979323846;
    float *x = malloc(sizeof *x * (size_t)n);
    for (int64_t i = 0; i < n; i++) {
        const double t = (double)i / rate;
        x[i] = (float)(0.5 * sin(2 * pi * (20 * t + (top_hz - 20) * t * t / (2 * seconds))));
    }
    return x;
}

static void a_sweep_comes_out_as_at_the_other_rate(void **state)
{
    static const struct { int from, to; double top_hz; audio_resample_quality quality; double db; } cases[] = {
        { 44100, 48000, 19000, AUDIO_RESAMPLE_BEST, -125 },   { 48000, 44100, 19000, AUDIO_RESAMPLE_BEST, -125 },
        { 44100, 16000, 6500, AUDIO_RESAMPLE_BEST, -125 },    { 8000, 44100, 3400, AUDIO_RESAMPLE_BEST, -125 },
        { 44100, 22050, 9000, AUDIO_RESAMPLE_MEDIUM, -105 },  { 22050, 44100, 7000, AUDIO_RESAMPLE_FAST, -85 },
        { 11025, 192000, 4800, AUDIO_RESAMPLE_BEST, -125 },   { 44100, 22050, 9400, AUDIO_RESAMPLE_FAST, -105 },
        { 96000, 48000, 20500, AUDIO_RESAMPLE_FAST, -105 },
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const int from = cases[k].from, to = cases[k].to;
        const int64_t n = 2 * from, m = audio_resample_length(n, from, to);
        float *x = sweep(from, 2, cases[k].top_hz, n), *want = sweep(to, 2, cases[k].top_hz, m);
        float *y = malloc(sizeof *y * (size_t)m);
        bl_error err = { 0 };
        assert_int_equal(m, 2 * to);
        assert_int_equal(audio_resample_buffer(x, n, from, to, cases[k].quality, y, &err), BL_OK);
        /* The ends, where the filter hears the silence around the clip, are left out. */
        const int64_t edge = to / 50;
        const double db = error_db(y + edge, want + edge, m - 2 * edge);
        if (!(db < cases[k].db))
            fail_msg("%d to %d Hz: error %.1f dB, expected below %.0f", from, to, db, cases[k].db);
        free(x), free(y), free(want);
    }
}

static void above_half_the_new_rate_nothing_is_left(void **state)
{
    enum { N = 44100 };
    static float x[N], y[16000];
    bl_error err = { 0 };
    double level = 0;
    (void)state;
    for (int i = 0; i < N; i++)
        x[i] = (float)sin(2 * 3.14159265358979323846 * 9000 * i / 44100.0);
    assert_int_equal(audio_resample_buffer(x, N, 44100, 16000, AUDIO_RESAMPLE_BEST, y, &err), BL_OK);
    for (int i = 400; i < 15600; i++)
        level += (double)y[i] * (double)y[i];
    assert_true(10 * log10(level / 15200) < -120);
    static float z[22050];
    for (int i = 0; i < N; i++)
        x[i] = (float)sin(2 * 3.14159265358979323846 * 12600 * i / 44100.0);
    assert_int_equal(audio_resample_buffer(x, N, 44100, 22050, AUDIO_RESAMPLE_FAST, z, &err), BL_OK);
    level = 0;
    for (int i = 400; i < 21650; i++)
        level += (double)z[i] * (double)z[i];
    assert_true(10 * log10(level / 21250) < -100);
}

static void lengths_are_exact_for_every_ratio(void **state)
{
    static const int rates[] = { 8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 44101 };
    static const int lengths[] = { 1, 2, 7, 100, 4097 };
    (void)state;
    for (int a = 0; a < 9; a++)
        for (int b = 0; b < 9; b++)
            for (int k = 0; k < 5; k++) {
                audio_clip in, out;
                bl_error err = { 0 };
                assert_int_equal(audio_clip_new(&in, 2, lengths[k], rates[a], &err), BL_OK);
                for (int i = 0; i < 2 * lengths[k]; i++)
                    in.samples[i] = 0.25f;
                assert_int_equal(audio_resample(&in, rates[b], AUDIO_RESAMPLE_FAST, &out, &err), BL_OK);
                const int64_t want = llround((double)lengths[k] * rates[b] / rates[a]);
                assert_int_equal(out.n_samples, want > 0 ? want : 1);
                assert_int_equal(out.sample_rate, rates[b]);
                assert_memory_equal(out.samples, out.samples + out.n_samples, sizeof(float) * (size_t)out.n_samples);
                if (a == b)
                    assert_memory_equal(out.samples, in.samples, sizeof(float) * 2 * (size_t)in.n_samples);
                audio_clip_free(&in);
                audio_clip_free(&out);
            }
}

static void an_impulse_stays_where_it_was(void **state)
{
    enum { N = 4410, AT = 2205 };
    float x[N] = { 0 }, y[4800];
    bl_error err = { 0 };
    int best = 0;
    (void)state;
    x[AT] = 1;
    assert_int_equal(audio_resample_buffer(x, N, 44100, 48000, AUDIO_RESAMPLE_BEST, y, &err), BL_OK);
    for (int i = 0; i < 4800; i++)
        best = fabsf(y[i]) > fabsf(y[best]) ? i : best;
    assert_int_equal(best, 2400);
    for (int i = 1; i < 300; i++)   /* and is symmetric about it */
        assert_true(fabsf(y[2400 - i] - y[2400 + i]) < 1e-5f);
}

static void impossible_conversions_are_refused(void **state)
{
    audio_clip in, out, none = { .n_channels = 1, .sample_rate = 8000 };
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(audio_clip_new(&in, 1, 100, 8000, &err), BL_OK);
    assert_int_equal(audio_resample(&in, 0, AUDIO_RESAMPLE_BEST, &out, &err), BL_EARG);
    assert_message(err, "8000 Hz to 0 Hz");
    bl_error_clear(&err);
    assert_int_equal(audio_resample(&in, 8000 * 300, AUDIO_RESAMPLE_BEST, &out, &err), BL_EARG);
    assert_message(err, "1/256 .. 256");
    bl_error_clear(&err);
    assert_int_equal(audio_resample(&none, 16000, AUDIO_RESAMPLE_BEST, &out, &err), BL_EARG);
    assert_null(out.samples);
    audio_clip_free(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sweep_comes_out_as_at_the_other_rate),
        cmocka_unit_test(above_half_the_new_rate_nothing_is_left),
        cmocka_unit_test(lengths_are_exact_for_every_ratio),
        cmocka_unit_test(an_impulse_stays_where_it_was),
        cmocka_unit_test(impossible_conversions_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
