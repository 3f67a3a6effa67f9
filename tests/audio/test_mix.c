#include "audio/mix.h"

#include "audio/loudness.h"
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/audio/test_signal.h"
#include "tests/golden_text.h"
#include "tests/message.h"

static const double pi = 3.14159265358979323846;

static void fill_noise(float *x, int64_t n, uint64_t seed, double level)
{
    bl_rng rng;
    bl_rng_seed(&rng, seed);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(level * bl_rng_normal(&rng));
}

static void a_mix_is_exactly_the_sum_of_its_stems(void **state)
{
    enum { N = 1000 };
    float a[N], b[N], c[N], mix[N] = { 0 };
    (void)state;
    fill_noise(a, N, 1, 0.3);
    fill_noise(b, N, 2, 0.3);
    fill_noise(c, N, 3, 0.3);
    audio_mix_add(mix, N, a, N, 0, 1);
    audio_mix_add(mix, N, b, N, 0, 1);
    audio_mix_add(mix, N, c, N, 0, 0.5);
    for (int i = 0; i < N; i++)
        assert_true(mix[i] == a[i] + b[i] + 0.5f * c[i]);
    for (int i = 0; i < N; i++)
        mix[i] = 0;
    for (int k = 0; k < 10; k++) {   /* flat sums are exact */
        const float one[N] = { [7] = 1, [8] = 1, [999] = 1 };
        audio_mix_add(mix, N, one, N, 0, 1);
    }
    assert_true(mix[7] == 10 && mix[8] == 10 && mix[999] == 10 && mix[9] == 0);
}

static void what_lies_outside_is_left_out(void **state)
{
    static const int64_t offsets[] = { -12, -10, -3, 0, 4, 9, 10, 15, INT64_C(1) << 40, -(INT64_C(1) << 40) };
    const float x[10] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };
    (void)state;
    for (size_t k = 0; k < sizeof offsets / sizeof *offsets; k++) {
        float out[10] = { 0 };
        audio_mix_add(out, 10, x, 10, offsets[k], 1);
        for (int64_t i = 0; i < 10; i++) {
            const int64_t from = i - offsets[k];
            assert_true(out[i] == (from >= 0 && from < 10 ? x[from] : 0.0f));
        }
    }
}

static void clips_are_mixed_channel_by_channel_and_mono_into_all(void **state)
{
    audio_clip out, mono, three;
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(audio_clip_new(&out, 2, 4, 44100, &err), BL_OK);
    assert_int_equal(audio_clip_new(&mono, 1, 2, 44100, &err), BL_OK);
    assert_int_equal(audio_clip_new(&three, 3, 2, 44100, &err), BL_OK);
    mono.samples[0] = 1, mono.samples[1] = 2;
    assert_int_equal(audio_mix_add_clip(&out, &mono, 1, 2, &err), BL_OK);
    assert_memory_equal(out.samples, ((float[]){ 0, 2, 4, 0, 0, 2, 4, 0 }), 32);
    assert_int_equal(audio_mix_add_clip(&out, &out, 0, 1, &err), BL_OK);
    assert_int_equal(audio_mix_add_clip(&out, &three, 0, 1, &err), BL_ESHAPE);
    assert_message(err, "got 44100 Hz and 3 channels");
    audio_clip_free(&out);
    audio_clip_free(&mono);
    audio_clip_free(&three);
}

static void gains_fades_and_pans_keep_their_laws(void **state)
{
    enum { N = 500 };
    float in[N], out[N], copy[N];
    (void)state;
    assert_true(fabs(audio_db_to_gain(-6.0206) - 0.5) < 1e-5);
    assert_true(fabs(audio_gain_to_db(audio_db_to_gain(3.3)) - 3.3) < 1e-12);
    assert_true(audio_gain_to_db(0) == -HUGE_VAL);
    fill_noise(in, N, 4, 1);
    memcpy(copy, in, sizeof in);
    audio_mix_gain(in, N, 1);
    assert_memory_equal(in, copy, sizeof in);

    for (int i = 0; i < N; i++)
        in[i] = out[i] = 1;
    audio_fade_in(in, N, 200);
    audio_fade_out(out, N, 200);
    for (int i = 0; i < 200; i++) {
        assert_true(fabsf(in[i] + out[300 + i] - 1) < 1e-6f);
        assert_true(i == 0 || in[i] > in[i - 1]);
        assert_true(in[i] == out[N - 1 - i]);
    }
    assert_true(in[200] == 1 && out[299] == 1);
    audio_fade_in(in, N, 100000);   /* cut to the buffer */
    audio_fade_out(in, N, 0);

    for (int p = -12; p <= 12; p++) {
        double l, r;
        audio_pan_gains(p / 10.0, &l, &r);
        assert_true(fabs(l * l + r * r - 1) < 1e-12 && l > -1e-12 && r > -1e-12);
        assert_true(p != 0 || fabs(l - r) < 1e-12);
        assert_true(p > -10 || r < 1e-12);
    }
}

static void filters_respond_as_scipy_says(void **state)
{
    static const double probe[] = { 50, 200, 1000, 4000, 12000, 20000 };
    int64_t rows, columns;
    double *want = golden_block("tests/golden/filters.txt", "biquads", &rows, &columns);
    (void)state;
    for (int64_t r = 0; r < rows; r++) {
        const double *row = want + r * columns;
        audio_biquad f = audio_biquad_design((audio_biquad_kind)(int)row[0], 44100, row[1], row[2], row[3]);
        for (int k = 0; k < 6; k++) {
            /* H(z) at z = exp(i w), from the coefficients */
            const double w = 2 * pi * probe[k] / 44100, c1 = cos(w), s1 = -sin(w), c2 = cos(2 * w), s2 = -sin(2 * w);
            const double br = f.b0 + f.b1 * c1 + f.b2 * c2, bi = f.b1 * s1 + f.b2 * s2;
            const double ar = 1 + f.a1 * c1 + f.a2 * c2, ai = f.a1 * s1 + f.a2 * s2;
            const double gain = hypot(br, bi) / hypot(ar, ai), phase = atan2(bi, br) - atan2(ai, ar);
            assert_true(fabs(gain - row[4 + 2 * k]) < 1e-6 * (row[4 + 2 * k] + 1e-3));
            assert_true(fabs(remainder(phase - row[5 + 2 * k], 2 * pi)) < 1e-5);
        }
    }
    free(want);
}

static void a_filter_runs_as_it_was_designed_in_blocks_of_any_size(void **state)
{
    enum { N = 44100 };
    static float whole[N], parts[N];
    audio_biquad a = audio_biquad_design(AUDIO_HIGH_SHELF, 44100, 3000, 0.7071, 6), b = a;
    double level = 0;
    (void)state;
    for (int i = 0; i < N; i++)
        whole[i] = parts[i] = (float)(0.25 * sin(2 * pi * 15000 * i / 44100));
    audio_biquad_run(&a, whole, N);
    for (int at = 0, n = 1; at < N; at += n, n = n % 700 + 13)
        audio_biquad_run(&b, parts + at, at + n < N ? n : N - at);
    assert_memory_equal(whole, parts, sizeof whole);
    for (int i = N / 2; i < N; i++)
        level = fmax(level, fabs((double)whole[i]));
    assert_true(fabs(audio_gain_to_db(level / 0.25) - 6) < 0.1);

    a = audio_biquad_design(AUDIO_LOWPASS, 44100, 0, 0, 0);   /* a cutoff out of range stays stable */
    b = audio_biquad_design(AUDIO_HIGHPASS, 44100, 1e9, 0, 0);
    audio_biquad_run(&a, whole, N);
    audio_biquad_run(&b, whole, N);
    for (int i = 0; i < N; i++)
        assert_true(isfinite(whole[i]));
}

static audio_clip loud_clip(int kind)
{
    audio_clip clip;
    assert_int_equal(audio_clip_new(&clip, 2, 44100, 44100, NULL), BL_OK);
    fill_noise(clip.samples, 2 * 44100, 9, 0.05);
    for (int64_t i = 0; i < 44100; i++) {
        float *l = clip.samples + i, *r = l + 44100;
        if (kind == 0)   /* bursts */
            *l *= i / 5000 % 2 ? 30.0f : 1.0f, *r *= i / 7000 % 2 ? 10.0f : 1.0f;
        else if (kind == 1)   /* loud between the samples */
            *l = (float)(1.3 * sin(pi / 2 * (double)i + pi / 4)), *r = *l * 0.5f;
        else   /* one spike at either end */
            *l += i == 0 || i == 44099 ? 4.0f : 0.0f;
    }
    return clip;
}

static void the_limiter_never_exceeds_its_ceiling(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++)
        for (int k = 0; k < 3; k++) {
            audio_clip clip = loud_clip(kind);
            audio_loudness l;
            bl_error err = { 0 };
            double reduction_db;
            const double ceiling = -1.0 - 4 * k;
            assert_int_equal(audio_limit(&clip, ceiling, k == 2 ? 0 : 5, 80, &reduction_db, &err), BL_OK);
            assert_int_equal(audio_loudness_measure(&clip, &l, &err), BL_OK);
            assert_true(l.true_peak_dbtp <= ceiling);
            assert_true(l.true_peak_dbtp > ceiling - 2);   /* and is not simply quieter */
            assert_true(reduction_db > 0);
            audio_clip_free(&clip);
        }
}

static void the_limiter_touches_nothing_that_is_quiet(void **state)
{
    audio_clip clip = loud_clip(2), copy = loud_clip(2);
    bl_error err = { 0 };
    double reduction_db;
    (void)state;
    assert_int_equal(audio_limit(&clip, -1, 5, 20, &reduction_db, &err), BL_OK);
    /* Far from both spikes every bit is the same, in both channels. */
    assert_memory_equal(clip.samples + 15000, copy.samples + 15000, 20000 * sizeof(float));
    assert_memory_equal(clip.samples + 44100 + 15000, copy.samples + 44100 + 15000, 20000 * sizeof(float));
    assert_true(clip.samples[0] < 1 && clip.samples[44099] < 1);

    audio_clip_free(&clip);
    clip = loud_clip(2);
    assert_int_equal(audio_limit(&clip, 40, 5, 20, &reduction_db, &err), BL_OK);
    assert_memory_equal(clip.samples, copy.samples, 2 * 44100 * sizeof(float));
    assert_true(reduction_db == 0);
    audio_clip_free(&clip);
    audio_clip_free(&copy);
}

static void reverb_dies_out_is_stereo_and_repeats_itself_exactly(void **state)
{
    enum { N = 96000 };
    static float in[N], l[N], r[N], l2[N], r2[N];
    const audio_reverb_config config = { .room_size = 0.6, .damping = 0.5, .width = 1, .predelay_ms = 10 };
    bl_error err = { 0 };
    double early = 0, late = 0, difference = 0;
    (void)state;
    in[0] = 1;
    assert_int_equal(audio_reverb(in, N, 48000, &config, l, r, &err), BL_OK);
    assert_int_equal(audio_reverb(in, N, 48000, &config, l2, r2, &err), BL_OK);
    assert_memory_equal(l, l2, sizeof l);
    assert_memory_equal(r, r2, sizeof r);
    for (int i = 0; i < N; i++) {
        assert_true(isfinite(l[i]) && isfinite(r[i]) && fabsf(l[i]) < 1);
        (i < N / 4 ? (early += (double)(l[i] * l[i])) : i > N * 3 / 4 ? (late += (double)(l[i] * l[i])) : 0);
        difference += (double)((l[i] - r[i]) * (l[i] - r[i]));
    }
    for (int i = 0; i < 480; i++)
        assert_true(l[i] == 0);
    assert_true(early > 0 && 10 * log10(late / early) < -40);
    assert_true(difference > 0.5 * early);
    assert_int_equal(audio_reverb(in, N, 48000, &(audio_reverb_config){ .room_size = 0.6 }, l, r, &err), BL_OK);
    assert_memory_equal(l, r, sizeof l);   /* width 0 is mono */
    assert_int_equal(audio_reverb(in, 0, 48000, &config, l, r, &err), BL_EARG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mix_is_exactly_the_sum_of_its_stems),
        cmocka_unit_test(what_lies_outside_is_left_out),
        cmocka_unit_test(clips_are_mixed_channel_by_channel_and_mono_into_all),
        cmocka_unit_test(gains_fades_and_pans_keep_their_laws),
        cmocka_unit_test(filters_respond_as_scipy_says),
        cmocka_unit_test(a_filter_runs_as_it_was_designed_in_blocks_of_any_size),
        cmocka_unit_test(the_limiter_never_exceeds_its_ceiling),
        cmocka_unit_test(the_limiter_touches_nothing_that_is_quiet),
        cmocka_unit_test(reverb_dies_out_is_stereo_and_repeats_itself_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
