#include "audio/separation.h"

#include "audio/resample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/audio/voice_signal.h"
#include "tests/message.h"

static audio_clip new_clip(int channels, double seconds)
{
    audio_clip clip;
    assert_int_equal(audio_clip_new(&clip, channels, (int64_t)(seconds * VOICE_RATE), VOICE_RATE, NULL), BL_OK);
    return clip;
}

/* What a file of 24 bits can hold. */
static void round_to_24_bits(audio_clip *clip)
{
    for (int64_t i = 0; i < clip->n_samples * clip->n_channels; i++)
        clip->samples[i] = rintf(clip->samples[i] * 8388608.0f) / 8388608.0f;
}

static double energy(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

/* Share of `wanted` in x by projection: <x, wanted> / <wanted, wanted>. */
static double share(const float *x, const float *wanted, int64_t n)
{
    double dot = 0;
    for (int64_t i = 0; i < n; i++)
        dot += (double)x[i] * (double)wanted[i];
    return dot / energy(wanted, n);
}

/* A loop of chords and drums that repeats every four seconds, and a wavering melody over it. */
static void make_song(audio_clip *band, audio_clip *voice)
{
    static const double chords[4][3] = { { 48, 55, 64 }, { 45, 52, 60 }, { 41, 48, 57 }, { 43, 50, 59 } };
    bl_rng rng;
    bl_rng_seed(&rng, 11);
    for (int k = 0; k < (int)(band->n_samples / VOICE_RATE); k++) {
        for (int i = 0; i < 3; i++)
            voice_note(band->samples, band->n_samples, k, k + 0.98, chords[k % 4][i], 0);
        voice_hit(band->samples, band->n_samples, k, 1.2, 1);
        voice_hit(band->samples, band->n_samples, k + 0.5, 0.6, 0);
    }
    for (double t = 0.7; t < (double)voice->n_samples / VOICE_RATE - 1; ) {
        const double length_s = 0.3 + 0.5 * bl_rng_uniform(&rng);
        voice_note(voice->samples, voice->n_samples, t, t + length_s, 64 + (double)bl_rng_below(&rng, 12), 0.6);
        t += length_s + 0.15 * bl_rng_uniform(&rng);
    }
    for (int64_t i = 0; i < band->n_samples; i++)
        band->samples[i] *= 0.5f;
}

static void parts_sum_to_the_input_bit_for_bit(void **state)
{
    audio_clip mix = new_clip(2, 4), voice, rest;
    bl_error   err = { 0 };
    (void)state;
    for (int c = 0; c < 2; c++) {
        float *x = mix.samples + c * mix.n_samples;
        voice_note(x, mix.n_samples, 0.3, 3.5, 64 + 3 * c, 0.5);
        voice_noise(x, mix.n_samples, 0.05, (uint64_t)c + 1);
    }
    round_to_24_bits(&mix);
    for (int which = 0; which < 2; which++) {
        assert_int_equal((which ? audio_hpss : audio_separate_melody)(&mix, &voice, &rest, &err), BL_OK);
        assert_int_equal(voice.n_samples, mix.n_samples);
        assert_int_equal(rest.n_channels, 2);
        assert_int_equal(voice.sample_rate, VOICE_RATE);
        for (int64_t i = 0; i < 2 * mix.n_samples; i++)
            assert_true(voice.samples[i] + rest.samples[i] == mix.samples[i]);
        audio_clip_free(&voice);
        audio_clip_free(&rest);
    }
    audio_clip_free(&mix);
}

static void hpss_parts_clicks_from_tones(void **state)
{
    audio_clip mix = new_clip(1, 6), tones = new_clip(1, 6), clicks = new_clip(1, 6), harmonic, percussive;
    (void)state;
    voice_tone(tones.samples, tones.n_samples, 330, 6, 1, 0, 0.2, 1);
    for (double t = 0.25; t < 5.8; t += 0.5)
        voice_hit(clicks.samples, clicks.n_samples, t, 0.4, 0);
    for (int64_t i = 0; i < mix.n_samples; i++)
        mix.samples[i] = tones.samples[i] + clicks.samples[i];
    assert_int_equal(audio_hpss(&mix, &harmonic, &percussive, NULL), BL_OK);
    assert_true(share(harmonic.samples, tones.samples, mix.n_samples) > 0.95);
    assert_true(share(percussive.samples, clicks.samples, mix.n_samples) > 0.75);
    assert_true(share(percussive.samples, tones.samples, mix.n_samples) < 0.05);
    audio_clip_free(&mix), audio_clip_free(&tones), audio_clip_free(&clicks);
    audio_clip_free(&harmonic), audio_clip_free(&percussive);
}

static void a_melody_is_lifted_out_of_a_repeating_band(void **state)
{
    audio_clip band = new_clip(1, 24), voice = new_clip(1, 24), mix = new_clip(1, 24), found, rest;
    double     before = 0, after = 0;
    (void)state;
    make_song(&band, &voice);
    for (int64_t i = 0; i < mix.n_samples; i++)
        mix.samples[i] = band.samples[i] + voice.samples[i];
    assert_int_equal(audio_separate_melody(&mix, &found, &rest, NULL), BL_OK);
    for (int64_t i = 0; i < mix.n_samples; i++) {
        const double a = (double)(mix.samples[i] - voice.samples[i]), b = (double)(found.samples[i] - voice.samples[i]);
        before += a * a;
        after += b * b;
    }
    /* Errors against the true voice fall by 6 dB; most of the voice is kept, most of the band is left out. */
    assert_true(after < before / 4);
    assert_true(share(found.samples, voice.samples, mix.n_samples) > 0.7);
    assert_true(share(found.samples, band.samples, mix.n_samples) < 0.2);
    audio_clip_free(&band), audio_clip_free(&voice), audio_clip_free(&mix), audio_clip_free(&found), audio_clip_free(&rest);
}

static void kinds_of_input_are_told_apart(void **state)
{
    audio_clip           band = new_clip(1, 24), voice = new_clip(1, 24), still = new_clip(1, 24), silent = new_clip(2, 1);
    audio_input_evidence heard;
    (void)state;
    make_song(&band, &voice);
    assert_int_equal(audio_judge_input(&silent, &heard, NULL), BL_OK);
    assert_int_equal(heard.kind, AUDIO_INPUT_SILENT);
    assert_int_equal(audio_judge_input(&voice, &heard, NULL), BL_OK);
    assert_int_equal(heard.kind, AUDIO_INPUT_VOCAL);
    assert_true(heard.voiced_energy > 0.8f);
    assert_int_equal(audio_judge_input(&band, &heard, NULL), BL_OK);
    assert_int_equal(heard.kind, AUDIO_INPUT_INSTRUMENTAL);
    for (int k = 0; k < 20; k++)
        voice_note(still.samples, still.n_samples, 0.2 + k, 1.1 + k, 60 + k % 7, 0);
    assert_int_equal(audio_judge_input(&still, &heard, NULL), BL_OK);
    assert_int_equal(heard.kind, AUDIO_INPUT_INSTRUMENTAL);
    for (int64_t i = 0; i < band.n_samples; i++)
        band.samples[i] += voice.samples[i];
    assert_int_equal(audio_judge_input(&band, &heard, NULL), BL_OK);
    assert_int_equal(heard.kind, AUDIO_INPUT_SONG);
    assert_string_equal(audio_input_kind_name(heard.kind), "song");
    audio_clip_free(&band), audio_clip_free(&voice), audio_clip_free(&still), audio_clip_free(&silent);
}

/* Half the rate lies below the highest harmonic that is looked for. */
static void a_song_at_8_khz_is_heard_and_parted(void **state)
{
    audio_clip           band = new_clip(1, 24), voice = new_clip(1, 24), mix = { 0 }, found, rest;
    audio_input_evidence heard;
    (void)state;
    make_song(&band, &voice);
    for (int64_t i = 0; i < band.n_samples; i++)
        band.samples[i] += voice.samples[i];
    assert_int_equal(audio_resample(&band, 8000, AUDIO_RESAMPLE_FAST, &mix, NULL), BL_OK);
    assert_int_equal(audio_judge_input(&mix, &heard, NULL), BL_OK);
    assert_int_equal(heard.kind, AUDIO_INPUT_SONG);
    assert_int_equal(audio_separate_melody(&mix, &found, &rest, NULL), BL_OK);
    const double kept = energy(found.samples, mix.n_samples) / energy(mix.samples, mix.n_samples);
    assert_true(kept > 0.1 && kept < 0.9);
    audio_clip_free(&band), audio_clip_free(&voice), audio_clip_free(&mix), audio_clip_free(&found), audio_clip_free(&rest);
}

static void what_lies_above_11_khz_stays_with_the_accompaniment(void **state)
{
    enum { RATE = 44100 };
    const double pi = acos(-1.0);
    audio_clip   mix, voice, rest;
    double       found = 0, whole = 0, phase = 0;
    (void)state;
    assert_int_equal(audio_clip_new(&mix, 1, 8 * RATE, RATE, NULL), BL_OK);
    for (int64_t i = 0; i < mix.n_samples; i++) { /* a gliding note, and a tone of 15 kHz that swells with it */
        const double t = (double)i / RATE, swell = 0.5 - 0.5 * cos(2 * pi * (t + 0.1 * t * t));
        phase += 300 * exp2(sin(2.3 * t + 0.2 * t * t) / 3) / RATE;
        for (int h = 1; h < 12; h++)
            mix.samples[i] += (float)(0.2 * swell * sin(2 * pi * h * phase) / h);
        mix.samples[i] += (float)(0.1 * swell * sin(2 * pi * 15000 * t));
    }
    assert_int_equal(audio_separate_melody(&mix, &voice, &rest, NULL), BL_OK);
    for (int64_t i = 0; i < mix.n_samples; i++) {
        const double tone = sin(2 * pi * 15000 * i / RATE);
        found += (double)voice.samples[i] * tone;
        whole += (double)mix.samples[i] * tone;
    }
    assert_true(fabs(found) < 0.001 * fabs(whole));
    assert_true(energy(voice.samples, voice.n_samples) > 0.01 * energy(mix.samples, mix.n_samples));
    audio_clip_free(&mix), audio_clip_free(&voice), audio_clip_free(&rest);
}

static void very_short_clips_pass_and_empty_ones_are_refused(void **state)
{
    audio_clip tiny = new_clip(1, 0.01), nothing = { .n_channels = 1, .sample_rate = VOICE_RATE }, voice, rest;
    audio_input_evidence heard;
    bl_error   err = { 0 };
    (void)state;
    voice_noise(tiny.samples, tiny.n_samples, 0.1, 1);
    assert_int_equal(audio_separate_melody(&tiny, &voice, &rest, &err), BL_OK);
    assert_int_equal(voice.n_samples, tiny.n_samples);
    audio_clip_free(&voice), audio_clip_free(&rest);
    assert_int_equal(audio_judge_input(&tiny, &heard, &err), BL_OK);
    assert_int_equal(audio_separate_melody(&nothing, &voice, &rest, &err), BL_EARG);
    assert_message(err, "0 samples");
    audio_clip_free(&tiny);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_sum_to_the_input_bit_for_bit),
        cmocka_unit_test(hpss_parts_clicks_from_tones),
        cmocka_unit_test(a_melody_is_lifted_out_of_a_repeating_band),
        cmocka_unit_test(kinds_of_input_are_told_apart),
        cmocka_unit_test(a_song_at_8_khz_is_heard_and_parted),
        cmocka_unit_test(what_lies_above_11_khz_stays_with_the_accompaniment),
        cmocka_unit_test(very_short_clips_pass_and_empty_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
