#include "audio/transient.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { RATE = 44100, N = RATE, ONSET = RATE / 4 };

static void make_tone(float *x)
{
    for (int i = 0; i < N; i++)
        x[i] = i < ONSET ? 0 : (float)(0.3 * sin(2 * 3.14159265358979 * 220 * i / RATE));
}

static double loudest(const float *x, int from, int to)
{
    double peak = 0;
    for (int i = from; i < to; i++)
        peak = fmax(peak, fabs((double)x[i]));
    return peak;
}

static void the_attack_grows_by_the_asked_gain_and_the_rest_stays(void **state)
{
    static float x[N];
    (void)state;
    make_tone(x);
    audio_transient(x, N, RATE, 6);
    const double first_ms = loudest(x, ONSET, ONSET + RATE / 200), late = loudest(x, ONSET + RATE / 4, N);
    assert_true(first_ms > 0.3 * 1.8 && first_ms < 0.3 * 2.0);
    assert_true(fabs(late - 0.3) < 0.006);
}

static void no_gain_and_silence_change_nothing(void **state)
{
    static float x[N], y[N];
    (void)state;
    make_tone(x);
    make_tone(y);
    audio_transient(x, N, RATE, 0);
    for (int i = 0; i < N; i++)
        assert_true(x[i] == y[i]);
    for (int i = 0; i < N; i++)
        x[i] = 0;
    audio_transient(x, N, RATE, 12);
    assert_true(loudest(x, 0, N) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_attack_grows_by_the_asked_gain_and_the_rest_stays),
        cmocka_unit_test(no_gain_and_silence_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
