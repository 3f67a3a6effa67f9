#include "audio/polyphony.h"

#include "audio/separation.h"
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

enum { RATE = 22050, SECONDS = 12, N = SECONDS * RATE };

/* A voice that glides from note to note with vibrato, like the singers of other tests; ten partials. */
static void sing(float *x, double level)
{
    static const int melody[6] = { 62, 64, 67, 65, 64, 60 };
    double phase = 0;
    for (int i = 0; i < N; i++) {
        const double t = (double)i / RATE, beat = t / 0.5;
        const int from = melody[(int)beat % 6], to = melody[((int)beat + 1) % 6];
        const double glide = fmod(beat, 1) < 0.8 ? 0 : (fmod(beat, 1) - 0.8) / 0.2;
        const double pitch = from + glide * (to - from) + 0.3 * sin(6.283185307179586 * 5.5 * t);
        phase += 440 * pow(2, (pitch - 69) / 12) / RATE;
        for (int h = 1; h <= 10; h++)
            x[i] += (float)(level / h * sin(6.283185307179586 * h * fmod(phase, 1)));
    }
}

static void accompany(float *x, double level)
{
    static const int chords[4][4] = { { 36, 55, 60, 64 }, { 41, 57, 60, 65 }, { 43, 59, 62, 67 }, { 45, 57, 60, 64 } };
    for (int i = 0; i < N; i++)
        for (int k = 0; k < 4; k++) {
            const double t = (double)i / RATE, hz = 440 * pow(2, (chords[(int)(t / 2) % 4][k] - 69) / 12.0);
            for (int h = 1; h <= 6; h++)
                x[i] += (float)(level * exp(-2 * fmod(t, 0.5)) / h * sin(6.283185307179586 * h * hz * t));
        }
}

static audio_polyphony measure(const float *x)
{
    audio_tonal tonal;
    audio_polyphony p;
    assert_int_equal(audio_tonal_run(x, N, RATE, &tonal, NULL), BL_OK);
    assert_int_equal(audio_polyphony_of(&tonal, &p, NULL), BL_OK);
    audio_tonal_free(&tonal);
    return p;
}

static void one_voice_leaves_little_even_in_noise(void **state)
{
    float *x = calloc(N, sizeof *x);
    bl_rng rng;
    (void)state;
    sing(x, 0.1);
    assert_true(measure(x).share < 0.15f);
    bl_rng_seed(&rng, 1);
    for (int i = 0; i < N; i++)
        x[i] += (float)(0.03 * bl_rng_normal(&rng));
    assert_true(measure(x).share < 0.2f);
    free(x);
}

static void a_band_behind_the_voice_is_heard(void **state)
{
    float *x = calloc(N, sizeof *x);
    (void)state;
    sing(x, 0.1);
    const float alone = measure(x).low;
    accompany(x, 0.05);
    const audio_polyphony p = measure(x);
    assert_true(p.share > 0.3f && p.low > 1 && p.low > alone + 0.5f);
    free(x);
}

static void silence_has_none(void **state)
{
    float *x = calloc(N, sizeof *x);
    (void)state;
    const audio_polyphony p = measure(x);
    assert_true(p.share == 0 && p.low == 0);
    free(x);
}

/* What it is for: a loud voice over a soft band is a song, not a vocal. */
static void a_loud_voice_over_a_soft_band_is_no_bare_vocal(void **state)
{
    float *x = calloc(N, sizeof *x);
    const audio_clip clip = { x, N, 1, RATE };
    audio_input_evidence e;
    (void)state;
    sing(x, 0.1);
    assert_int_equal(audio_judge_input(&clip, &e, NULL), BL_OK);
    assert_int_equal(e.kind, AUDIO_INPUT_VOCAL);
    assert_true(e.others < 0.15f);
    accompany(x, 0.04);
    assert_int_equal(audio_judge_input(&clip, &e, NULL), BL_OK);
    assert_int_not_equal(e.kind, AUDIO_INPUT_VOCAL);
    assert_true(e.others > 0.3f);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_voice_leaves_little_even_in_noise),
        cmocka_unit_test(a_band_behind_the_voice_is_heard),
        cmocka_unit_test(silence_has_none),
        cmocka_unit_test(a_loud_voice_over_a_soft_band_is_no_bare_vocal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
