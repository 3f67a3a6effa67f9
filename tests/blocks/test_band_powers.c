#include "audio/resample.h"
#include "base/rng.h"
#include "blocks/band_powers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/message.h"

static const char tiny[] = "[features]\nsample_rate = 16000\nn_fft = 512\nhop_length = 256\nn_mels = 24\nlatent = 2\n"
                           "[encoder]\ninput.mel = 24, T\ncode = conv1d out_channels=2 kernel_size=1\n"
                           "[decoder]\ninput.code = 2, T\nmel = conv1d out_channels=24 kernel_size=1\n";
enum { HIGH = 48000, SECONDS = 2 };

/* Noise that fades and swells, at 48 kHz, with nothing above 6 kHz. */
static float *make_sound(void)
{
    const int64_t n = HIGH * SECONDS, n_low = 12000 * SECONDS;
    float *low = malloc((size_t)n_low * sizeof *low), *x = malloc((size_t)n * sizeof *x);
    bl_error err = { 0 };
    bl_rng rng;
    bl_rng_seed(&rng, 4);
    for (int64_t i = 0; i < n_low; i++)
        low[i] = (float)(0.1 * bl_rng_normal(&rng) * (1.2 + sin(4e-4 * (double)i)));
    assert_int_equal(audio_resample_buffer(low, n_low, 12000, HIGH, AUDIO_RESAMPLE_BEST, x, &err), BL_OK);
    free(low);
    return x;
}

static void any_rate_shows_the_same_powers(void **state)
{
    static const int rates[] = { 16000, 22050, 44100, 48000, 96000 };
    bl_error err = { 0 };
    bl_config *config = bl_config_parse(tiny, "tiny.ini", &err);
    blocks_feature_extractor *fx = blocks_feature_extractor_new(config, 1, &err);
    float *x = make_sound(), *reference = NULL;
    int64_t n_reference = 0;
    (void)state;
    for (size_t r = 0; r < sizeof rates / sizeof rates[0]; r++) {
        const int64_t n = audio_resample_length(HIGH * SECONDS, HIGH, rates[r]);
        float *y = malloc((size_t)n * sizeof *y), *power = NULL;
        int64_t n_frames = 0;
        double worst = 0, mean = 0;
        int count = 0;
        assert_int_equal(audio_resample_buffer(x, HIGH * SECONDS, HIGH, rates[r], AUDIO_RESAMPLE_BEST, y, &err), BL_OK);
        blocks_band_powers *b = blocks_band_powers_new(fx, rates[r], &err);
        assert_int_equal(blocks_band_powers_run(b, y, n, &power, &n_frames, &err), BL_OK);
        assert_true(abs((int)n_frames - 16000 * SECONDS / 512) <= 1);
        for (int64_t t = 1; reference && t < n_frames - 2 && t < n_reference - 2; t++)
            for (int m = 0; m < 16; m++) { /* bands below 4 kHz */
                const double db = 10 * log10((double)power[t * 24 + m] / (double)reference[t * 24 + m]);
                worst = fmax(worst, fabs(db));
                mean += db;
                count++;
            }
        if (reference && fabs(mean / count) > 0.15)
            fail_msg("%d Hz: powers differ by %.2f dB on average", rates[r], mean / count);
        if (reference && worst > 4)
            fail_msg("%d Hz: a power differs by %.2f dB", rates[r], worst);
        free(y);
        if (reference)
            free(power);
        else
            reference = power, n_reference = n_frames;
        blocks_band_powers_free(b);
    }
    free(reference);
    free(x);
    blocks_feature_extractor_free(fx);
    bl_config_free(config);
}

static void low_rates_leave_the_upper_bands_empty(void **state)
{
    bl_error err = { 0 };
    bl_config *config = bl_config_parse(tiny, "tiny.ini", &err);
    blocks_feature_extractor *fx = blocks_feature_extractor_new(config, 1, &err);
    float x[8000], *power = NULL;
    int64_t n_frames = 0;
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 2);
    for (int i = 0; i < 8000; i++)
        x[i] = (float)(0.1 * bl_rng_normal(&rng));
    blocks_band_powers *b = blocks_band_powers_new(fx, 8000, &err);
    assert_int_equal(blocks_band_powers_run(b, x, 8000, &power, &n_frames, &err), BL_OK);
    assert_in_range(n_frames, 30, 32);
    for (int64_t t = 1; t < n_frames - 1; t++)
        assert_true(power[t * 24 + 23] < 1e-3f * power[t * 24 + 5]);
    free(power);
    assert_int_equal(blocks_band_powers_run(b, x, 0, &power, &n_frames, &err), BL_EARG);
    assert_message(err, "empty");
    blocks_band_powers_free(b);
    err = (bl_error){ 0 };
    assert_null(blocks_band_powers_new(fx, 10, &err));
    assert_message(err, "10");
    blocks_feature_extractor_free(fx);
    bl_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_rate_shows_the_same_powers),
        cmocka_unit_test(low_rates_leave_the_upper_bands_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
