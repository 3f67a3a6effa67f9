#include "audio/f0.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/audio/voice_signal.h"
#include "tests/golden_text.h"
#include "tests/message.h"

static double cents(double hz, double reference)
{
    return 1200 * log2(hz / reference);
}

static audio_f0_track run(const float *x, int64_t n, audio_f0_config config)
{
    audio_f0_track track;
    bl_error       err = { 0 };
    if (audio_f0_run(x, n, VOICE_RATE, config, &track, &err) != BL_OK)
        fail_msg("%s", err.msg);
    return track;
}

static void steady_tones_are_heard_as_aubio_hears_them(void **state)
{
    int64_t rows, columns;
    double *tones = golden_block("tests/golden/listening.txt", "tones", &rows, &columns);
    float  *x = malloc(sizeof(float) * VOICE_RATE);
    (void)state;
    for (int64_t i = 0; i < rows; i++) {
        const double *tone = tones + i * columns;
        memset(x, 0, sizeof(float) * VOICE_RATE);
        voice_tone(x, VOICE_RATE, tone[0], (int)tone[1], tone[2], 0, 0.2, 0);
        audio_f0_track track = run(x, VOICE_RATE, (audio_f0_config){ 0 });
        for (int64_t t = 10; t < 90; t++) {
            assert_true(fabs(cents((double)track.f0_hz[t], tone[3])) < 20); /* aubio, a lag resolution of its own */
            assert_true(fabs(cents((double)track.f0_hz[t], tone[0])) < 5);  /* the truth                          */
        }
        audio_f0_free(&track);
    }
    free(x);
    free(tones);
}

static void vibrato_is_followed_within_a_quarter_tone(void **state)
{
    const int64_t n = 2 * VOICE_RATE;
    float        *x = calloc((size_t)n, sizeof(float));
    (void)state;
    voice_tone(x, n, 262, 10, 1, 0.8, 0.2, 0);
    audio_f0_track track = run(x, n, (audio_f0_config){ 0 });
    for (int64_t t = 10; t < 190; t++) {
        const double truth = 262 * (1 + 0.8 * log(2.0) / 12 * sin(2 * acos(-1.0) * 5.5 * 0.01 * (double)t));
        assert_true(fabs(cents((double)track.f0_hz[t], truth)) < 25);
    }
    audio_f0_free(&track);
    free(x);
}

static void noise_and_silence_are_unvoiced_and_a_tone_in_noise_is_found(void **state)
{
    const int64_t n = 3 * VOICE_RATE;
    float        *x = calloc((size_t)n, sizeof(float));
    int           noisy = 0, found = 0;
    (void)state;
    voice_noise(x, VOICE_RATE, 0.05, 1);                                      /* 0 - 1 s noise, 1 - 2 s silence */
    voice_tone(x + 2 * VOICE_RATE, VOICE_RATE, 330, 6, 1, 0, 0.2, 0);         /* 2 - 3 s tone, 10 dB over noise */
    voice_noise(x + 2 * VOICE_RATE, VOICE_RATE, 0.055, 2);
    audio_f0_track track = run(x, n, (audio_f0_config){ 0 });
    for (int64_t t = 5; t < 95; t++)
        noisy += track.f0_hz[t] > 0;
    for (int64_t t = 110; t < 190; t++) {
        assert_true(track.f0_hz[t] == 0);
        assert_true(track.rms[t] < 1e-6f && track.voiced[t] == 0);
    }
    for (int64_t t = 210; t < 290; t++)
        found += fabs(cents(fmax(1, (double)track.f0_hz[t]), 330)) < 30;
    assert_true(noisy < 15);
    assert_true(found > 76);
    audio_f0_free(&track);
    free(x);
}

static void the_number_of_frames_and_the_rms_follow_from_the_signal(void **state)
{
    float *x = malloc(sizeof(float) * VOICE_RATE);
    (void)state;
    for (int i = 0; i < VOICE_RATE; i++)
        x[i] = (float)sin(2 * acos(-1.0) * 200 * i / VOICE_RATE);
    audio_f0_track track = run(x, VOICE_RATE, (audio_f0_config){ .hop_s = 0.005 });
    assert_int_equal(track.n_frames, 201);
    assert_true(fabs((double)track.rms[100] - sqrt(0.5)) < 0.01);
    audio_f0_free(&track);
    track = run(x, 0, (audio_f0_config){ 0 });
    assert_int_equal(track.n_frames, 1);
    assert_true(track.f0_hz[0] == 0);
    audio_f0_free(&track);
    free(x);
}

static void long_signals_give_the_same_pitch_across_pieces(void **state)
{
    const int64_t n = 203 * 16000; /* more than one piece of 20000 frames */
    float        *x = malloc(sizeof(float) * (size_t)n);
    bl_error      err = { 0 };
    audio_f0_track track;
    (void)state;
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(0.2 * sin(2 * acos(-1.0) * 200 * (double)(i % 16000) / 16000) + 0.1 * sin(2 * acos(-1.0) * 400 * (double)(i % 16000) / 16000));
    assert_int_equal(audio_f0_run(x, n, 16000, (audio_f0_config){ .fmin_hz = 150, .fmax_hz = 400 }, &track, &err), BL_OK);
    for (int64_t t = 19990; t < 20010; t++)
        assert_true(fabs(cents((double)track.f0_hz[t], 200)) < 5);
    audio_f0_free(&track);
    free(x);
}

static void wrong_settings_are_refused_in_one_sentence(void **state)
{
    float          x[100] = { 0 };
    audio_f0_track track;
    bl_error       err = { 0 };
    (void)state;
    assert_int_equal(audio_f0_run(x, 100, 1000, (audio_f0_config){ 0 }, &track, &err), BL_EARG);
    assert_message(err, "1000");
    bl_error_clear(&err);
    assert_int_equal(audio_f0_run(x, 100, 44100, (audio_f0_config){ .fmin_hz = 400, .fmax_hz = 500 }, &track, &err), BL_EARG);
    assert_message(err, "octave");
    bl_error_clear(&err);
    assert_int_equal(audio_f0_run(x, 100, 44100, (audio_f0_config){ .hop_s = 1 }, &track, &err), BL_EARG);
    assert_message(err, "hop");
    assert_null(track.f0_hz);
}

static void a_stream_of_pieces_has_the_bits_of_the_whole(void **state)
{
    static const int rates[] = { 8000, 22050, 44100, 96000 };
    const int64_t n = 3 * VOICE_RATE;
    float        *x = calloc((size_t)n, sizeof(float));
    bl_rng        rng;
    (void)state;
    bl_rng_seed(&rng, 7);
    voice_note(x, n, 0.3, 1.2, 60, 0.4);
    voice_note(x, n, 1.3, 2.4, 67, 0);
    voice_noise(x, n, 0.003, 4);
    for (int r = 0; r < 4; r++) { /* the same samples at other rates are other pitches */
        bl_error        err = { 0 };
        audio_f0_config range = { .fmin_hz = 65, .fmax_hz = rates[r] < 22050 ? 600 : 1050 };
        audio_f0_track  whole, pieces;
        assert_int_equal(audio_f0_run(x, n, rates[r], range, &whole, &err), BL_OK);
        audio_f0_stream *s = audio_f0_stream_new(rates[r], range, &err);
        assert_non_null(s);
        for (int64_t i = 0, some; i < n; i += some) {
            some = 1 + bl_rng_below(&rng, 9000);
            some = i + some > n ? n - i : some;
            assert_int_equal(audio_f0_stream_push(s, x + i, some, &err), BL_OK);
        }
        assert_int_equal(audio_f0_stream_pull(s, &pieces, &err), BL_OK);
        assert_int_equal(pieces.n_frames, whole.n_frames);
        const size_t size = sizeof(float) * (size_t)whole.n_frames;
        assert_memory_equal(pieces.f0_hz, whole.f0_hz, size);
        assert_memory_equal(pieces.voiced, whole.voiced, size);
        assert_memory_equal(pieces.rms, whole.rms, size);
        assert_memory_equal(pieces.guess_hz, whole.guess_hz, size);
        assert_int_equal(audio_f0_stream_push(s, x, 1, &err), BL_EARG);
        assert_message(err, "has ended");
        audio_f0_free(&pieces);
        audio_f0_free(&whole);
        audio_f0_stream_free(s);
    }
    free(x);
}

/* In the second half of every second a bass note and a drum. */
static void a_bass_nearly_as_loud_does_not_take_the_melody_over(void **state)
{
    enum { SECONDS = 12 };
    const int64_t n = SECONDS * VOICE_RATE;
    float        *x = calloc((size_t)n, sizeof *x);
    int           right = 0, all = 0;
    (void)state;
    for (int k = 0; k < SECONDS; k++) {
        voice_note(x, n, k, k + 1, 64 + 5 * k % 12, 0.3);
        voice_tone(x + (int64_t)((k + 0.5) * VOICE_RATE), VOICE_RATE / 2, voice_hz(40 + 7 * k % 5), 6, 1, 0, 0.16, 1);
        voice_hit(x, n, k + 0.5, 1, 1);
    }
    audio_f0_track track = run(x, n, (audio_f0_config){ 0 });
    for (int64_t t = 0; t < track.n_frames; t++) {
        const int k = (int)(t / 100);
        if (t % 100 < 5 || t % 100 > 95 || k >= SECONDS)
            continue;
        all++;
        right += fabs(audio_hz_to_midi(fmax(1, (double)track.guess_hz[t])) - (64 + 5 * k % 12)) < 0.6;
    }
    assert_true(right > 0.95 * all);
    audio_f0_free(&track);
    free(x);
}

static void whistling_is_heard_at_its_own_pitch(void **state)
{
    static const double hz[] = { 1300, 1800, 2500, 3600 };
    const int64_t n = VOICE_RATE;
    float        *x = malloc(sizeof(float) * (size_t)n);
    bl_error      err = { 0 };
    (void)state;
    for (int i = 0; i < 4; i++) {
        memset(x, 0, sizeof(float) * (size_t)n);
        voice_tone(x, n, hz[i], 1, 1, 0.3, 0.2, 1);
        voice_noise(x, n, 0.002, 5);
        audio_f0_track track = run(x, n, (audio_f0_config){ 0 });
        for (int64_t t = 10; t < 90; t++)
            if (!(fabs(cents((double)track.f0_hz[t], hz[i])) < 60)) /* vibrato of 30 cents */
                fail_msg("%g Hz: frame %lld: %g Hz", hz[i], (long long)t, (double)track.f0_hz[t]);
        audio_f0_free(&track);
        /* A caller who gives the range is told that the pitch lies above it. */
        track = run(x, n, (audio_f0_config){ .fmin_hz = 65, .fmax_hz = 1050 });
        assert_true(track.above > 0.5f);
        audio_f0_free(&track);
    }
    memset(x, 0, sizeof(float) * (size_t)n);
    voice_tone(x, n, 900, 8, 1, 0.3, 0.2, 1);
    audio_f0_track track;
    assert_int_equal(audio_f0_run(x, n, VOICE_RATE, (audio_f0_config){ 0 }, &track, &err), BL_OK);
    assert_true(track.above < 0.1f);
    audio_f0_free(&track);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steady_tones_are_heard_as_aubio_hears_them),
        cmocka_unit_test(vibrato_is_followed_within_a_quarter_tone),
        cmocka_unit_test(noise_and_silence_are_unvoiced_and_a_tone_in_noise_is_found),
        cmocka_unit_test(the_number_of_frames_and_the_rms_follow_from_the_signal),
        cmocka_unit_test(long_signals_give_the_same_pitch_across_pieces),
        cmocka_unit_test(a_stream_of_pieces_has_the_bits_of_the_whole),
        cmocka_unit_test(a_bass_nearly_as_loud_does_not_take_the_melody_over),
        cmocka_unit_test(whistling_is_heard_at_its_own_pitch),
        cmocka_unit_test(wrong_settings_are_refused_in_one_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
