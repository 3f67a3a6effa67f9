#include "audio/separation.h"

#include "audio/f0.h"
#include "audio/polyphony.h"
#include "audio/resample.h"
#include "audio/separation_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double EXCERPT_S = 20, SILENCE = 1e-4;
static const double STEADY_S = 0.4;
/* A lone sound whose pitch stands still this often, or hardly ever glides, is an instrument. */
static const double STILL_INSTRUMENT = 0.70, GLIDING_VOICE = 0.06;
static const double MELODY_SALIENCE = 0.03;
/* More sounds than one voice: so heard in none of 49 recordings of singers and rendered voices, and in 49 of 53 mixes. */
static const float OTHERS = 0.3f, LOW_PARTIALS = 1;
/* No voice in a mix stands out more; a bare synthesizer does, and it proves nothing. */
static const float SALIENCE_MOST = 0.07f;

const char *audio_input_kind_name(audio_input_kind kind)
{
    static const char *const names[] = { "silent", "vocal", "song", "instrumental" };
    return names[kind];
}

static double semitones(float from_hz, float to_hz)
{
    return 12 * log2((double)to_hz / (double)from_hz);
}

/* Voiced shares, and how the pitch moves within 100 ms. */
static void judge_pitch(const audio_f0_track *f0, audio_input_evidence *out)
{
    double loud = 0, energy = 0, voiced_energy = 0, sounding = 0, voiced = 0, pitched = 0, gliding = 0, still = 0;
    for (int64_t t = 0; t < f0->n_frames; t++)
        loud = fmax(loud, (double)f0->rms[t]);
    for (int64_t t = 0; t < f0->n_frames; t++) {
        const double power = (double)f0->rms[t] * (double)f0->rms[t];
        energy += power;
        voiced_energy += power * (double)f0->voiced[t];
        sounding += (double)f0->rms[t] > 0.02 * loud;
        voiced += (double)f0->rms[t] > 0.02 * loud && f0->f0_hz[t] > 0;
    }
    for (int64_t t = 5; t + 5 < f0->n_frames; t++) {
        int whole = 1;
        for (int64_t i = t - 5; i <= t + 5; i++)
            whole = whole && f0->f0_hz[i] > 0;
        if (!whole)
            continue;
        const double across = fabs(semitones(f0->f0_hz[t - 5], f0->f0_hz[t + 5]));
        const double half = fabs(semitones(f0->f0_hz[t - 5], f0->f0_hz[t]));
        pitched++;
        gliding += (across > 0.15 && across < 1.5) || (half > 0.15 && half < 0.8);
        still += across < 0.04;
    }
    out->voiced_energy = energy > 0 ? (float)(voiced_energy / energy) : 0;
    out->voiced_share = sounding > 0 ? (float)(voiced / sounding) : 0;
    out->gliding = pitched > 0 ? (float)(gliding / pitched) : 0;
    out->still = pitched > 0 ? (float)(still / pitched) : 0;
}

/* Does one pitch explain what sounds? A loud voice over a soft band is heard as one pitch nearly all the time. */
static bl_status judge_polyphony(const audio_clip *excerpt, audio_input_evidence *out, bl_error *err)
{
    audio_tonal     tonal;
    audio_polyphony beside;
    bl_status       status = audio_tonal_run(excerpt->samples, excerpt->n_samples, excerpt->sample_rate, &tonal, err);
    if (status == BL_OK)
        status = audio_polyphony_of(&tonal, &beside, err);
    audio_tonal_free(&tonal);
    if (status == BL_OK) {
        out->others = beside.share;
        out->low_partials = beside.low;
    }
    return status;
}

static void judge_percussion(const audio_parts *p, audio_input_evidence *out)
{
    double harmonic = 0, percussive = 0;
    for (int64_t i = 0; i < p->frames * p->bins; i++) {
        const double h = (double)p->steady[i] * (double)p->steady[i], q = (double)p->percussive[i] * (double)p->percussive[i];
        const double power = (double)p->magnitude[i] * (double)p->magnitude[i];
        if (h + q > 0) {
            harmonic += power * h / (h + q);
            percussive += power * q / (h + q);
        }
    }
    out->percussive = harmonic + percussive > 0 ? (float)(percussive / (harmonic + percussive)) : 0;
}

static void judge_melody(const audio_parts *p, audio_input_evidence *out)
{
    double  salience = 0, heard = 0, moving = 0, front = 0, all = 0;
    const int64_t r = llround(0.045 * p->sample_rate / p->hop) < 1 ? 1 : llround(0.045 * p->sample_rate / p->hop);
    for (int64_t t = 0; t < p->frames; t++)
        salience += (double)p->salience[t] / (double)p->frames;
    for (int64_t t = r; t + r < p->frames; t++) {
        if ((double)p->salience[t] < MELODY_SALIENCE)
            continue;
        const double across = fabs(semitones(p->f0_hz[t - r], p->f0_hz[t + r]));
        heard++;
        moving += across > 0.25 && across < 3;
    }
    for (int64_t i = 0; i < p->frames * p->bins; i++) {
        const double a = (double)p->magnitude[i], q = (double)p->percussive[i], again = (double)p->repeating[i];
        const double hit = q < a ? q : a, back = again > hit ? again : hit;
        front += (a - back) * (a - back);
        all += a * a;
    }
    out->salience = (float)salience;
    out->melody_moves = heard > 0 ? (float)(moving / heard) : 0;
    out->foreground = all > 0 ? (float)(front / all) : 0;
}

/* The middle EXCERPT_S of the recording, one channel, at no more than is needed: half the rate from 32 kHz on. */
static bl_status take_excerpt(const audio_clip *clip, audio_clip *out, bl_error *err)
{
    const int64_t longest = (int64_t)(EXCERPT_S * clip->sample_rate);
    const int64_t n = clip->n_samples < longest ? clip->n_samples : longest, first = (clip->n_samples - n) / 2;
    audio_clip    all = { 0 };
    bl_status     status = audio_clip_new(&all, clip->n_channels, n, clip->sample_rate, err);
    if (status == BL_OK)
        status = audio_clip_new(out, 1, n, clip->sample_rate, err);
    for (int c = 0; c < clip->n_channels && status == BL_OK; c++)
        memcpy(all.samples + c * n, clip->samples + c * clip->n_samples + first, sizeof *all.samples * (size_t)n);
    if (status == BL_OK)
        audio_clip_mono(&all, out->samples);
    audio_clip_free(&all);
    if (status == BL_OK && clip->sample_rate >= 32000) {
        audio_clip full = *out;
        status = audio_resample(&full, clip->sample_rate / 2, AUDIO_RESAMPLE_FAST, out, err);
        audio_clip_free(&full);
    }
    return status;
}

bl_status audio_judge_input(const audio_clip *clip, audio_input_evidence *out, bl_error *err)
{
    memset(out, 0, sizeof *out);
    if (clip->n_samples < 1 || clip->n_channels < 1 || clip->sample_rate < 4000)
        return bl_fail(err, BL_EARG, "listening: expected a signal at 4000 Hz or more, got %lld samples at %d Hz",
                       (long long)clip->n_samples, clip->sample_rate);
    audio_clip     excerpt = { 0 };
    audio_f0_track f0 = { 0 };
    audio_parts    parts = { 0 };
    bl_status      status = take_excerpt(clip, &excerpt, err);
    double         peak = 0;

    if (status != BL_OK)
        return status;
    const int64_t n = excerpt.n_samples;
    const int     rate = excerpt.sample_rate;
    for (int64_t i = 0; i < n; i++)
        peak = fmax(peak, fabs((double)excerpt.samples[i]));
    if (!(peak > SILENCE)) {
        out->confidence = 1;
        goto done;
    }
    const double top_hz = fmin(1050, rate / 4.0);
    if ((status = audio_f0_run(excerpt.samples, n, rate, (audio_f0_config){ .fmax_hz = top_hz }, &f0, err)) != BL_OK)
        goto done;
    judge_pitch(&f0, out);
    out->alone_score = 5.97f * out->voiced_energy + 6.66f * out->voiced_share - 7.62f;
    if ((status = judge_polyphony(&excerpt, out, err)) != BL_OK)
        goto done;
    if (out->alone_score > 0 && !(out->others > OTHERS && out->low_partials > LOW_PARTIALS)) {
        const int instrument = (double)out->still > STILL_INSTRUMENT || (double)out->gliding < GLIDING_VOICE;
        out->kind = instrument ? AUDIO_INPUT_INSTRUMENTAL : AUDIO_INPUT_VOCAL;
        out->confidence = 1 / (1 + expf(-out->alone_score));
        goto done;
    }
    if ((status = audio_parts_new(&parts, rate, n, err)) != BL_OK ||
        (status = audio_parts_transform(&parts, &excerpt, 0, n, NULL, err)) != BL_OK ||
        (status = audio_parts_steady(&parts, STEADY_S, err)) != BL_OK || (status = audio_parts_percussive(&parts, err)) != BL_OK)
        goto done;
    judge_percussion(&parts, out);
    if ((status = audio_parts_repeating(&parts, err)) != BL_OK || (status = audio_parts_melody(&parts, err)) != BL_OK)
        goto done;
    judge_melody(&parts, out);
    out->voice_score = 5.16f * out->gliding + 6.90f * out->melody_moves + 5.74f * out->foreground +
                       111.8f * fminf(out->salience, SALIENCE_MOST) - 12.15f;
    out->kind = out->voice_score > 0 ? AUDIO_INPUT_SONG : AUDIO_INPUT_INSTRUMENTAL;
    out->confidence = 1 / (1 + expf(-fabsf(out->voice_score)));
done:
    audio_clip_free(&excerpt);
    audio_f0_free(&f0);
    audio_parts_free(&parts);
    return status;
}
