#include "tests/temporary.h"

#include "audio/mix.h"
#include "infer/mixer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/message.h"

enum { RATE = 44100, N = 4 * RATE };

static audio_clip tone(int n_channels, double hz, double level)
{
    audio_clip c = { 0 };
    audio_clip_new(&c, n_channels, N, RATE, NULL);
    for (int k = 0; k < n_channels; k++)
        for (int64_t i = 0; i < N; i++)
            c.samples[k * N + i] = (float)(level * sin(2 * 3.14159265358979323846 * hz * (double)i / RATE + k));
    return c;
}

static infer_mixer *mixer(infer_mixer_options o)
{
    bl_error err = { 0 };
    o.sample_rate = RATE;
    o.n_samples = N;
    o.genre = o.genre ? o.genre : "rock";
    infer_mixer *m = infer_mixer_new(&o, &err);
    if (!m)
        fail_msg("%s", err.msg);
    return m;
}

static void the_mix_is_one_gain_times_the_sum_of_its_stems_to_the_last_bit(void **state)
{
    (void)state;
    for (int channels = 1; channels <= 3; channels++) {
        bl_error err = { 0 };
        infer_mixer *m = mixer((infer_mixer_options){ .n_channels = channels });
        audio_clip voice = tone(channels, 440, 0.2), raw = tone(1, 110, 0.7), drums = tone(1, 900, 0.01), bass, kit, mix;
        audio_loudness loud;
        double gain_db, lead;
        assert_int_equal(infer_mixer_keep(m, &voice, &err), BL_OK);
        assert_int_equal(infer_mixer_add(m, "bass", raw.samples, N, RATE, &bass, &err), BL_OK);
        assert_int_equal(infer_mixer_add(m, "drums", drums.samples, N, RATE, &kit, &err), BL_OK);
        assert_int_equal(infer_mixer_finish(m, &mix, &gain_db, &loud, &lead, &err), BL_OK);
        assert_int_equal(mix.n_samples, N);
        assert_int_equal(mix.n_channels, channels);
        const float gain = (float)audio_db_to_gain(gain_db);
        for (int64_t i = 0; i < N * channels; i++) {
            float sum = 0;
            sum += voice.samples[i];
            sum += bass.samples[i];
            sum += kit.samples[i];
            if (gain * sum != mix.samples[i])
                fail_msg("sample %lld: %.9g and %.9g", (long long)i, (double)(gain * sum), (double)mix.samples[i]);
        }
        assert_true(loud.true_peak_dbtp <= -1.1);
        audio_clip_free(&voice);
        audio_clip_free(&raw);
        audio_clip_free(&drums);
        audio_clip_free(&bass);
        audio_clip_free(&kit);
        audio_clip_free(&mix);
        infer_mixer_free(m);
    }
}

static double loudness(const audio_clip *c)
{
    audio_loudness l;
    bl_error err = { 0 };
    assert_int_equal(audio_loudness_measure(c, &l, &err), BL_OK);
    return l.integrated_lufs;
}

static void every_stem_sits_at_its_level_below_the_voice(void **state)
{
    (void)state;
    bl_error err = { 0 };
    bl_config *config = bl_config_parse("[mix bass]\nlevel_lu = -6.5\nreverb = 0\n[mix organ]\nlevel_lu = -12\npan = 0\n", "my.ini", &err);
    infer_mixer *m = mixer((infer_mixer_options){ .n_channels = 2, .user_config = config });
    audio_clip voice = tone(2, 440, 0.2), raw = tone(1, 150, 0.9), bass, organ;
    assert_int_equal(infer_mixer_keep(m, &voice, &err), BL_OK);
    assert_int_equal(infer_mixer_add(m, "bass", raw.samples, N, RATE, &bass, &err), BL_OK);
    assert_int_equal(infer_mixer_add(m, "organ", raw.samples, N, RATE, &organ, &err), BL_OK);
    assert_true(fabs(loudness(&bass) - loudness(&voice) + 6.5) < 0.05);
    assert_true(fabs(loudness(&organ) - loudness(&voice) + 12) < 0.05);
    audio_clip_free(&voice);
    audio_clip_free(&raw);
    audio_clip_free(&bass);
    audio_clip_free(&organ);
    infer_mixer_free(m);
    bl_config_free(config);
}

static void outside_the_intervals_a_stem_is_exactly_silent(void **state)
{
    static const music_interval intervals[] = { { 2.5, 3 }, { 0.5, 1 }, { 0.8, 1.5 } };
    (void)state;
    bl_error err = { 0 };
    infer_mixer *m = mixer((infer_mixer_options){ .n_channels = 2, .intervals = intervals, .n_intervals = 3 });
    audio_clip voice = tone(2, 440, 0.2), raw = tone(1, 330, 0.5), stem;
    float inside = 0;
    assert_int_equal(infer_mixer_keep(m, &voice, &err), BL_OK);
    assert_int_equal(infer_mixer_add(m, "electric guitar", raw.samples, N, RATE, &stem, &err), BL_OK);
    for (int64_t i = 0; i < N; i++) {
        const double t = (double)i / RATE;
        const int open = (t >= 0.5 && t < 1.5) || (t >= 2.5 && t < 3);
        if (!open && (stem.samples[i] != 0 || stem.samples[N + i] != 0))
            fail_msg("sound at %.4f s", t);
        if (t > 0.9 && t < 1.1)
            inside = fmaxf(inside, fabsf(stem.samples[i]));
    }
    assert_true(inside > 0.01f);
    audio_clip_free(&voice);
    audio_clip_free(&raw);
    audio_clip_free(&stem);
    infer_mixer_free(m);
}

static void stems_come_to_the_songs_rate_and_exact_length(void **state)
{
    static const int rates[] = { 16000, 24000, 44100, 48000 };
    (void)state;
    for (size_t k = 0; k < sizeof rates / sizeof *rates; k++) {
        bl_error err = { 0 };
        infer_mixer *m = mixer((infer_mixer_options){ .n_channels = 1, .dry = 1 });
        audio_clip voice = tone(1, 440, 0.2), stem;
        const int64_t n = 3 * rates[k]; /* shorter than the song */
        float *raw = calloc((size_t)n, sizeof *raw);
        raw[rates[k]] = 1; /* a click at one second */
        assert_int_equal(infer_mixer_keep(m, &voice, &err), BL_OK);
        assert_int_equal(infer_mixer_add(m, "drums", raw, n, rates[k], &stem, &err), BL_OK);
        assert_int_equal(stem.n_samples, N);
        int64_t top = 0;
        for (int64_t i = 0; i < N; i++)
            if (fabsf(stem.samples[i]) > fabsf(stem.samples[top]))
                top = i;
        assert_true(llabs(top - RATE) <= 2);
        free(raw);
        audio_clip_free(&voice);
        audio_clip_free(&stem);
        infer_mixer_free(m);
    }
}

static void dry_leaves_out_reverb_and_panning(void **state)
{
    (void)state;
    bl_error err = { 0 };
    infer_mixer *m = mixer((infer_mixer_options){ .n_channels = 2, .dry = 1 });
    audio_clip voice = tone(2, 440, 0.2), stem;
    float *raw = calloc(N, sizeof *raw);
    for (int i = 0; i < RATE; i++)
        raw[i] = (float)sin(0.1 * i);
    assert_int_equal(infer_mixer_keep(m, &voice, &err), BL_OK);
    assert_int_equal(infer_mixer_add(m, "electric guitar", raw, N, RATE, &stem, &err), BL_OK);
    assert_memory_equal(stem.samples, stem.samples + N, N * sizeof *raw);
    for (int i = 2 * RATE; i < N; i++)
        assert_true(fabsf(stem.samples[i]) < 1e-6f);
    free(raw);
    audio_clip_free(&voice);
    audio_clip_free(&stem);
    infer_mixer_free(m);
}

static void a_loud_song_is_brought_below_the_ceiling_and_a_quiet_one_to_its_target(void **state)
{
    static const double levels[] = { 0.0001, 0.01, 0.99 };
    (void)state;
    for (int limiter = 0; limiter < 2; limiter++)
        for (int k = 0; k < 3; k++) {
            bl_error err = { 0 };
            bl_config *config = bl_config_parse(limiter ? "[mix]\nlimiter = yes\ntarget_lufs = -9\n" : "[mix]\ntarget_lufs = -20\n", "my.ini", &err);
            infer_mixer *m = mixer((infer_mixer_options){ .n_channels = 1, .user_config = config });
            audio_clip voice = tone(1, 997, levels[k]), mix;
            audio_loudness loud;
            double lead;
            for (int i = 0; i < N; i += 5000)
                voice.samples[i] += (float)(levels[k] > 0.5 ? 0 : 3 * levels[k]);
            assert_int_equal(infer_mixer_keep(m, &voice, &err), BL_OK);
            assert_int_equal(infer_mixer_finish(m, &mix, NULL, &loud, &lead, &err), BL_OK);
            assert_true(loud.true_peak_dbtp <= -1);
            if (!limiter && k > 0)
                assert_true(fabs(loud.integrated_lufs + 20) < 0.1);
            audio_clip_free(&voice);
            audio_clip_free(&mix);
            infer_mixer_free(m);
            bl_config_free(config);
        }
}

static void a_silent_stem_stays_silent_and_harms_nothing(void **state)
{
    (void)state;
    bl_error err = { 0 };
    infer_mixer *m = mixer((infer_mixer_options){ .n_channels = 2 });
    audio_clip voice = tone(2, 440, 0.2), stem, mix;
    float *raw = calloc(N, sizeof *raw);
    audio_loudness loud;
    double lead;
    assert_int_equal(infer_mixer_keep(m, &voice, &err), BL_OK);
    assert_int_equal(infer_mixer_add(m, "bass", raw, N, RATE, &stem, &err), BL_OK);
    for (int i = 0; i < 2 * N; i++)
        assert_true(stem.samples[i] == 0);
    assert_int_equal(infer_mixer_finish(m, &mix, NULL, &loud, &lead, &err), BL_OK);
    assert_true(isfinite(loud.integrated_lufs));
    free(raw);
    audio_clip_free(&voice);
    audio_clip_free(&stem);
    audio_clip_free(&mix);
    infer_mixer_free(m);
}

static void a_config_with_a_slip_is_named_with_its_line(void **state)
{
    static const struct { const char *text, *part; } bad[] = {
        { "[mix]\n\ntarget_luffs = -14\n", "target_lufs" },
        { "[mix bass]\nlevel = 3\n", "level" },
        { "[mix]\nceiling_dbtp = 2\n", "ceiling_dbtp" },
        { "[mix drums]\npan = left\n", "pan" },
        { "[mix]\nlimiter = perhaps\n", "limiter" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bl_error err = { 0 };
        bl_config *config = bl_config_parse(bad[i].text, "my.ini", &err);
        const infer_mixer_options o = { .n_channels = 1, .sample_rate = RATE, .n_samples = N, .genre = "rock", .user_config = config };
        assert_non_null(config);
        assert_null(infer_mixer_new(&o, &err));
        assert_message(err, "my.ini");
        assert_message(err, bad[i].part);
        bl_config_free(config);
    }
}

static void a_kept_clip_of_another_shape_is_refused(void **state)
{
    (void)state;
    bl_error err = { 0 };
    infer_mixer *m = mixer((infer_mixer_options){ .n_channels = 1 });
    audio_clip two = tone(2, 440, 0.1);
    assert_int_equal(infer_mixer_keep(m, &two, &err), BL_ESHAPE);
    audio_clip_free(&two);
    infer_mixer_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mix_is_one_gain_times_the_sum_of_its_stems_to_the_last_bit),
        cmocka_unit_test(every_stem_sits_at_its_level_below_the_voice),
        cmocka_unit_test(outside_the_intervals_a_stem_is_exactly_silent),
        cmocka_unit_test(stems_come_to_the_songs_rate_and_exact_length),
        cmocka_unit_test(dry_leaves_out_reverb_and_panning),
        cmocka_unit_test(a_loud_song_is_brought_below_the_ceiling_and_a_quiet_one_to_its_target),
        cmocka_unit_test(a_silent_stem_stays_silent_and_harms_nothing),
        cmocka_unit_test(a_config_with_a_slip_is_named_with_its_line),
        cmocka_unit_test(a_kept_clip_of_another_shape_is_refused),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
