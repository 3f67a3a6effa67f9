#include "audio/beat_levels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { FRAMES = 1500, FPS = 50, N = AUDIO_LEVEL_FEATURES };

/* A kick on every beat, a snare on every second, a hat on every half: levels that jump and fall, by band. */
static audio_beat_bands pattern(double bpm, int louder, double *beats_s, int *n_beats)
{
    audio_beat_bands bands = { calloc(FRAMES, AUDIO_BEAT_BANDS), FRAMES, 1.0 / FPS, -4 + AUDIO_BEAT_STEP * louder };
    *n_beats = 0;
    for (int i = 0; i < FRAMES * AUDIO_BEAT_BANDS; i++)
        bands.level[i] = (unsigned char)(90 + louder);
    for (int k = 0; 0.5 + k * 30 / bpm < FRAMES / (double)FPS; k++) {
        const double at = 0.5 + k * 30 / bpm;
        if (k % 2 == 0)
            beats_s[(*n_beats)++] = at;
        for (int d = 0; d < 6 && (int)(at * FPS) + d < FRAMES; d++) {
            unsigned char *row = bands.level + ((int)(at * FPS) + d) * AUDIO_BEAT_BANDS;
            for (int b = 0; b < AUDIO_BEAT_BANDS; b++)
                if (b > 50 || (b < 4 && k % 2 == 0) || (b > 14 && b < 30 && k % 4 == 2))
                    row[b] = (unsigned char)(row[b] + 60 - 10 * d);
        }
    }
    return bands;
}

static void features_of(const audio_beat_bands *bands, const double *beats_s, int n, int level, float *f)
{
    float *flux = malloc(sizeof(float) * FRAMES * AUDIO_LEVEL_GROUPS);
    audio_beat_flux(bands, flux);
    assert_true(audio_level_features(flux, FRAMES, bands->hop_s, beats_s, n, level, f));
    free(flux);
}

/* Of a group after so many sixteenths. */
static double repeats(const float *f, int group, int lag)
{
    return (double)f[group * (AUDIO_LEVEL_LAGS + 3) + lag - 1];
}

static void a_snare_comes_back_after_two_beats_and_after_one_at_half_the_tempo(void **state)
{
    double           beats_s[200];
    float            f[N];
    int              n;
    audio_beat_bands bands = pattern(93, 0, beats_s, &n);
    (void)state;
    features_of(&bands, beats_s, n, 1, f);
    assert_true(repeats(f, 2, 8) > 0.7 && repeats(f, 2, 4) < 0.1 && repeats(f, 2, 16) > 0.7); /* snare */
    assert_true(repeats(f, 0, 4) > 0.7 && repeats(f, 0, 2) < 0.1);                             /* kick  */
    assert_true(repeats(f, 4, 2) > 0.7 && repeats(f, 4, 1) < 0.1);                             /* hat   */
    assert_true(fabs((double)f[N - 2] - log2(0.93)) < 0.01);
    features_of(&bands, beats_s, n, 0, f);
    assert_true(repeats(f, 2, 4) > 0.7 && repeats(f, 2, 2) < 0.1);
    assert_true(fabs((double)f[N - 2] - log2(0.465)) < 0.01);
    features_of(&bands, beats_s, n, 2, f);
    assert_true(repeats(f, 2, 16) > 0.7 && repeats(f, 2, 8) < 0.1);
    assert_true(fabs((double)f[N - 2] - log2(1.86)) < 0.01);
    free(bands.level);
}

static void loudness_does_not_count(void **state)
{
    double           beats_s[200];
    float            soft[N], loud[N];
    int              n;
    audio_beat_bands a = pattern(93, 0, beats_s, &n), b = pattern(93, 40, beats_s, &n);
    (void)state;
    features_of(&a, beats_s, n, 1, soft);
    features_of(&b, beats_s, n, 1, loud);
    for (int k = 0; k < N; k++)
        assert_true(fabsf(soft[k] - loud[k]) < 1e-4f);
    free(a.level);
    free(b.level);
}

static void levels_too_slow_too_fast_or_too_short_have_no_features(void **state)
{
    double           beats_s[200];
    float            f[N], flux[FRAMES * AUDIO_LEVEL_GROUPS];
    int              n;
    audio_beat_bands slow = pattern(70, 0, beats_s, &n);
    (void)state;
    audio_beat_flux(&slow, flux);
    assert_false(audio_level_features(flux, FRAMES, slow.hop_s, beats_s, n, 0, f)); /* 35 */
    assert_true(audio_level_features(flux, FRAMES, slow.hop_s, beats_s, n, 2, f));  /* 140 */
    assert_false(audio_level_features(flux, FRAMES, slow.hop_s, beats_s, 5, 1, f));
    assert_false(audio_level_features(flux, FRAMES, slow.hop_s, beats_s, 0, 1, f));
    free(slow.level);
    audio_beat_bands fast = pattern(150, 0, beats_s, &n);
    assert_false(audio_level_features(flux, FRAMES, fast.hop_s, beats_s, n, 2, f)); /* 300 */
    /* Beats before the start and behind the end are left out. */
    for (int k = 0; k < n; k++)
        beats_s[k] += k < 3 ? -5 : 0;
    assert_true(audio_level_features(flux, FRAMES, fast.hop_s, beats_s, n, 1, f));
    for (int k = 0; k < N; k++)
        assert_true(isfinite(f[k]));
    free(fast.level);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snare_comes_back_after_two_beats_and_after_one_at_half_the_tempo),
        cmocka_unit_test(loudness_does_not_count),
        cmocka_unit_test(levels_too_slow_too_fast_or_too_short_have_no_features),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
