/* Over 600 lines: 72 numbers in five groups, a short function for each, over the same frames and partials. */
#include "blocks/tone_features.h"

#include "audio/f0.h"
#include "audio/features.h"
#include "audio/resample.h"
#include "base/fft.h"
#include "blocks/tone_pitch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    N_FFT = 512, HOP = 160, N_MELS = 40,       /* 32 ms every 10 ms: attacks and vibrato stay visible       */
    LONG_FFT = 8192, LONG_WINDOW = 4096,       /* a quarter of a second: partials of a bass note lie apart  */
    N_PARTIALS = 20, N_LEVELS = 10,
    ATTACK_FRAMES = 5, BODY_FRAMES = 60,       /* what is called the attack and the body of a tone           */
    N_ATTACK = 6, N_BANDS = 4,
    MAX_SAMPLES = BLOCKS_TONE_RATE * BLOCKS_TONE_SECONDS,
    MAX_FRAMES = MAX_SAMPLES / HOP + 1
};

static const double hop_s = (double)HOP / BLOCKS_TONE_RATE, pi = 3.14159265358979323846;
/* Mel bands this far below the loudest say how quiet the room was, and are held there. */
static const double mel_floor = 1e-5;

static const char *const time_names[] = {
    "attack_s", "decay_db_per_s", "decay_low", "decay_middle", "decay_high", "decay_top", "temporal_centroid", "level_50ms",
    "level_100ms", "level_200ms", "crest_db", "attacks_per_s", "second_attack", "energy_100ms", "tremolo_db"
};
static const char *const pitch_names[] = { "pitch_octave", "pitch_deviation", "vibrato_hz", "vibrato_cents", "voiced" };
static const char *const harmonic_names[] = {
    "partial_1", "partial_2", "partial_3", "partial_4", "partial_5", "partial_6", "partial_7", "partial_8", "partial_9", "partial_10",
    "tristimulus_1", "tristimulus_2", "tristimulus_3", "odd_to_even_db", "inharmonicity", "harmonic_to_noise_db",
    "partial_slope_db", "partial_jaggedness_db", "harmonic_centroid"
};
static const char *const spectrum_names[] = {
    "centroid", "centroid_deviation", "bandwidth", "rolloff", "rolloff_deviation", "flatness_db", "flatness_deviation_db",
    "contrast_0", "contrast_1", "contrast_2", "contrast_3", "contrast_4", "contrast_5", "zero_crossings", "flux"
};
_Static_assert(BLOCKS_TONE_MFCC + (int)N_ATTACK == (int)BLOCKS_TONE_AT_TIME, "layout of a row");
_Static_assert(sizeof time_names / sizeof *time_names == BLOCKS_TONE_AT_PITCH - BLOCKS_TONE_AT_TIME, "layout of a row");
_Static_assert(sizeof pitch_names / sizeof *pitch_names == BLOCKS_TONE_AT_HARMONICS - BLOCKS_TONE_AT_PITCH, "layout of a row");
_Static_assert(sizeof harmonic_names / sizeof *harmonic_names == BLOCKS_TONE_AT_SPECTRUM - BLOCKS_TONE_AT_HARMONICS,
               "layout of a row");
_Static_assert(sizeof spectrum_names / sizeof *spectrum_names == BLOCKS_TONE_FEATURES - BLOCKS_TONE_AT_SPECTRUM,
               "layout of a row");

struct blocks_tone_analyser {
    audio_feature_plan *plan;
    bl_fft             *fft;
    blocks_tone_pitch  *pitch;
    float x[MAX_SAMPLES];
    float wave[LONG_FFT], spectrum[LONG_FFT + 2], magnitude[LONG_FFT / 2 + 1];
};

const char *blocks_tone_feature_name(int i, char buffer[32])
{
    if (i < 0 || i >= BLOCKS_TONE_FEATURES)
        return "";
    if (i >= BLOCKS_TONE_AT_SPECTRUM)
        return spectrum_names[i - BLOCKS_TONE_AT_SPECTRUM];
    if (i >= BLOCKS_TONE_AT_HARMONICS)
        return harmonic_names[i - BLOCKS_TONE_AT_HARMONICS];
    if (i >= BLOCKS_TONE_AT_PITCH)
        return pitch_names[i - BLOCKS_TONE_AT_PITCH];
    if (i >= BLOCKS_TONE_AT_TIME)
        return time_names[i - BLOCKS_TONE_AT_TIME];
    if (i < BLOCKS_TONE_MFCC)
        snprintf(buffer, 32, "mfcc_%d", i + 1);
    else
        snprintf(buffer, 32, "attack_mfcc_%d", i - BLOCKS_TONE_MFCC);
    return buffer;
}

blocks_tone_analyser *blocks_tone_analyser_new(bl_error *err)
{
    const audio_feature_config config = {
        .sample_rate = BLOCKS_TONE_RATE, .n_fft = N_FFT, .hop_length = HOP, .n_mels = N_MELS, .fmin_hz = 30,
        .which = AUDIO_FEATURE_MEL | AUDIO_FEATURE_CENTROID | AUDIO_FEATURE_BANDWIDTH | AUDIO_FEATURE_ROLLOFF |
                 AUDIO_FEATURE_FLATNESS | AUDIO_FEATURE_CONTRAST | AUDIO_FEATURE_RMS | AUDIO_FEATURE_ZCR |
                 AUDIO_FEATURE_ONSET | AUDIO_FEATURE_MAGNITUDE
    };
    blocks_tone_analyser *a = calloc(1, sizeof *a);
    if (!a) {
        bl_fail(err, BL_ENOMEM, "no memory to analyse tones");
        return NULL;
    }
    a->plan = audio_feature_plan_new(&config, err);
    a->fft = bl_fft_new(LONG_FFT, err);
    a->pitch = blocks_tone_pitch_new(err);
    if (!a->plan || !a->fft || !a->pitch) {
        blocks_tone_analyser_free(a);
        return NULL;
    }
    return a;
}

void blocks_tone_analyser_free(blocks_tone_analyser *a)
{
    if (!a)
        return;
    audio_feature_plan_free(a->plan);
    bl_fft_free(a->fft);
    blocks_tone_pitch_free(a->pitch);
    free(a);
}

/* ---- small statistics --------------------------------------------------------------------------- */

static double to_db(double amplitude, double floor_db)
{
    const double db = amplitude > 0 ? 20 * log10(amplitude) : floor_db;
    return db < floor_db ? floor_db : db;
}

static double limit(double v, double low, double high)
{
    return v < low ? low : v > high ? high : v;
}

/* Mean and standard deviation of v over the frames used [n]. */
static void mean_deviation(const float *v, const unsigned char *used, int64_t n, double *mean, double *deviation)
{
    double sum = 0, squares = 0, count = 0;
    for (int64_t t = 0; t < n; t++)
        if (used[t]) {
            sum += (double)v[t];
            count++;
        }
    *mean = count > 0 ? sum / count : 0;
    for (int64_t t = 0; t < n; t++)
        if (used[t])
            squares += ((double)v[t] - *mean) * ((double)v[t] - *mean);
    *deviation = count > 0 ? sqrt(squares / count) : 0;
}

/* Slope of v against its index, over n values. */
static double slope(const double *v, int64_t n)
{
    double st = 0, sv = 0, stt = 0, stv = 0;
    for (int64_t t = 0; t < n; t++) {
        st += (double)t;
        sv += v[t];
        stt += (double)(t * t);
        stv += (double)t * v[t];
    }
    const double denominator = (double)n * stt - st * st;
    return denominator > 0 ? ((double)n * stv - st * sv) / denominator : 0;
}

/* Strongest oscillation of v (drift removed) between 3 and 9 Hz: rate and amplitude. n frames of step_s.
 * A quarter of a second at least, else there is none. */
static void oscillation(const double *v, int64_t n, double step_s, double *rate_hz, double *amplitude)
{
    *rate_hz = *amplitude = 0;
    if ((double)n * step_s < 0.25)
        return;
    const double m = slope(v, n);
    double mean = 0, best = 0;
    for (int64_t t = 0; t < n; t++)
        mean += (v[t] - m * (double)t) / (double)n;
    for (double rate = 3; rate <= 9.01; rate += 0.25) {
        double re = 0, im = 0, total = 0;
        for (int64_t t = 0; t < n; t++) {
            const double w = 0.5 - 0.5 * cos(2 * pi * ((double)t + 0.5) / (double)n);
            const double u = w * (v[t] - mean - m * (double)t), phase = 2 * pi * rate * step_s * (double)t;
            re += u * cos(phase);
            im += u * sin(phase);
            total += w;
        }
        const double size = 2 * sqrt(re * re + im * im) / total;
        if (size > best) {
            best = size;
            *rate_hz = rate;
        }
    }
    *amplitude = best;
}

/* ---- groups of numbers -------------------------------------------------------------------------- */

/* Frames from the onset, and which of them sound. */
typedef struct span {
    int64_t       onset, peak, last, n;    /* frames; last: the last that sounds                          */
    int64_t       held;                    /* the last before the tone is let go                          */
    unsigned char body[MAX_FRAMES + 1];    /* behind the attack, within 30 dB of the peak, not let go     */
    double        level_db[MAX_FRAMES + 1]; /* relative to the peak, not below -60                        */
} span;

/* The end of the attack: the first frame above -15 dB that is not passed by more than 1 dB in the next 80 ms. The loudest frame
 * would not do, since a sustained tone may swell. */
static int64_t find_peak(const span *s)
{
    for (int64_t t = s->onset; t < s->n; t++) {
        double ahead = -60;
        for (int64_t u = t + 1; u <= t + 8 && u < s->n; u++)
            ahead = s->level_db[u] > ahead ? s->level_db[u] : ahead;
        if (s->level_db[t] > -15 && ahead < s->level_db[t] + 1)
            return t;
    }
    return s->onset;
}

/* The last frame before the level falls steeply to the end, by 1.2 dB in 10 ms and more: a key let go or a cut, which say
 * something of the player and nothing of the instrument. */
static int64_t find_release(const span *s)
{
    int64_t t = s->last;
    while (t > s->peak + 8 && s->level_db[t - 4] - s->level_db[t] > 4.8)
        t--;
    return t > s->peak + 8 && t < s->last ? t - 3 : s->last;
}

static void find_span(const audio_features *f, span *s)
{
    float top = 0;
    memset(s, 0, sizeof *s);
    s->n = f->n_frames;
    for (int64_t t = 0; t < s->n; t++)
        top = f->rms[t] > top ? f->rms[t] : top;
    for (int64_t t = 0; t < s->n; t++)
        s->level_db[t] = to_db(top > 0 ? (double)f->rms[t] / (double)top : 0, -60);
    while (s->onset + 1 < s->n && s->level_db[s->onset] < -20)
        s->onset++;
    while (s->onset > 0 && s->level_db[s->onset - 1] > -30)
        s->onset--;
    s->peak = find_peak(s);
    for (int64_t t = s->onset; t < s->n; t++)
        if (s->level_db[t] > -40)
            s->last = t;
    s->held = find_release(s);
    int64_t n = 0;
    for (int64_t t = s->onset + ATTACK_FRAMES; t <= s->held && t < s->onset + ATTACK_FRAMES + BODY_FRAMES; t++)
        n += s->body[t] = s->level_db[t] > -30;
    /* A click has no body but itself. */
    for (int64_t t = s->onset; n == 0 && t <= s->last; t++)
        s->body[t] = 1;
}

/* Mean of the mel bands over frames, in dB relative to the loudest band of the body. */
static void mean_mel(const audio_features *f, const unsigned char *used, int64_t from, int64_t to, double out[N_MELS])
{
    for (int m = 0; m < N_MELS; m++) {
        double sum = 0, n = 0;
        for (int64_t t = from; t < to; t++)
            if (!used || used[t]) {
                sum += (double)f->mel[m * f->n_frames + t];
                n++;
            }
        out[m] = n > 0 ? sum / n : 0;
    }
}

static void to_relative_db(double mel[N_MELS], double top)
{
    for (int m = 0; m < N_MELS; m++)
        mel[m] = 10 * log10(mel[m] > mel_floor * top && mel[m] > 0 ? mel[m] / top : mel_floor);
}

static double cosine(const double *v, int k)
{
    double sum = 0;
    for (int m = 0; m < N_MELS; m++)
        sum += v[m] * cos(pi * k * (m + 0.5) / N_MELS);
    return sum * sqrt((k ? 2.0 : 1.0) / N_MELS);
}

/* Shape of the body's spectrum, and how the attack differs from it: neither changes with the level. */
static void measure_mfcc(const audio_features *f, const span *s, float *out)
{
    double body[N_MELS], attack[N_MELS], top = 1e-30;
    const int64_t end = s->onset + ATTACK_FRAMES < s->n ? s->onset + ATTACK_FRAMES : s->n;
    mean_mel(f, s->body, s->onset, s->n, body);
    mean_mel(f, NULL, s->onset, end, attack);
    for (int m = 0; m < N_MELS; m++)
        top = body[m] > top ? body[m] : top;
    to_relative_db(body, top);
    to_relative_db(attack, top);
    for (int k = 1; k <= BLOCKS_TONE_MFCC; k++)
        *out++ = (float)cosine(body, k);
    for (int m = 0; m < N_MELS; m++)
        attack[m] -= body[m];
    for (int k = 0; k < N_ATTACK; k++)
        *out++ = (float)cosine(attack, k);
}

/* Slope in dB per second of the energy of mel bands from..to-1 over the body, behind the peak; compressed, since between
 * 100 and 200 dB per second there is little to hear. */
static double band_decay(const audio_features *f, const span *s, int from, int to)
{
    double db[MAX_FRAMES + 1], top = 0;
    int64_t n = 0;
    for (int64_t t = s->onset; t < s->n; t++) {
        double e = 0;
        if (!s->body[t] || t < s->peak)
            continue;
        for (int m = from; m < to; m++)
            e += (double)f->mel[m * f->n_frames + t];
        db[n++] = e;
        top = e > top ? e : top;
    }
    for (int64_t t = 0; t < n; t++)
        db[t] = 10 * log10(top > 0 && db[t] > 1e-4 * top ? db[t] / top : 1e-4);
    return n >= 4 ? 60 * tanh(slope(db, n) / hop_s / 60) : 0;
}

static void measure_time(const audio_features *f, const span *s, const float *x, int64_t n, float *out)
{
    static const int after[] = { 5, 10, 20 };
    static const int bands[N_BANDS + 1] = { 0, 8, 18, 29, N_MELS };
    double energy = 0, moment = 0, early = 0, tremolo_hz, tremolo_db, strongest = 0, second = 0, square = 0;
    double decay[MAX_FRAMES + 1] = { 0 };
    int64_t n_decay = 0, n_attacks = 0, reached = s->onset, first = s->onset, strongest_at = 0;
    const int64_t end = s->held < s->onset + BODY_FRAMES ? s->held : s->onset + BODY_FRAMES;

    while (reached < s->peak && s->level_db[reached] < s->level_db[s->peak] - 1)
        reached++;
    while (first < reached && s->level_db[first] < s->level_db[s->peak] - 20)
        first++;
    for (int64_t t = s->onset; t <= end; t++) {
        const double e = (double)f->rms[t] * (double)f->rms[t];
        energy += e;
        moment += e * (double)(t - s->onset);
        early += t < s->onset + 10 ? e : 0;
    }
    const double length = (double)(end - s->onset + 1);
    for (int64_t t = s->peak; t <= s->held; t++)
        decay[n_decay++] = s->level_db[t];
    oscillation(decay, n_decay, hop_s, &tremolo_hz, &tremolo_db);
    for (int64_t t = s->onset; t < s->n; t++)
        if ((double)f->onset[t] > strongest) {
            strongest = (double)f->onset[t];
            strongest_at = t;
        }
    for (int64_t t = s->onset + 1; t + 1 < s->held; t++) {
        const double v = (double)f->onset[t];
        if (v < (double)f->onset[t - 1] || v <= (double)f->onset[t + 1] || v < 0.3 * strongest)
            continue;
        n_attacks++;
        if (llabs(t - strongest_at) > 5 && v > second)
            second = v;
    }
    const int64_t from = s->onset * HOP, to = (end + 1) * HOP < n ? (end + 1) * HOP : n;
    for (int64_t i = from; i < to; i++)
        square += (double)x[i] * (double)x[i];

    *out++ = (float)log10((double)(reached - first) * hop_s + 0.005);
    *out++ = (float)(60 * tanh((n_decay >= 4 ? slope(decay, n_decay < BODY_FRAMES ? n_decay : BODY_FRAMES) : 0) / hop_s / 60));
    for (int b = 0; b < N_BANDS; b++)
        *out++ = (float)band_decay(f, s, bands[b], bands[b + 1]);
    *out++ = (float)(energy > 0 ? moment / energy / length : 0);
    for (size_t i = 0; i < sizeof after / sizeof *after; i++)
        *out++ = (float)(s->level_db[s->peak + after[i] <= s->held ? s->peak + after[i] : s->held] - s->level_db[s->peak]);
    *out++ = (float)-to_db(to > from ? sqrt(square / (double)(to - from)) : 0, -60);
    *out++ = (float)((double)n_attacks / ((double)(s->held - s->onset + 1) * hop_s + 0.1));
    *out++ = (float)(strongest > 0 ? second / strongest : 0);
    *out++ = (float)(energy > 0 ? early / energy : 1);
    *out = (float)limit(tremolo_db, 0, 20);
}

/* Pitch numbers; returns the fundamental in hertz, 0 when nothing is voiced. */
static double measure_pitch(blocks_tone_analyser *a, const span *s, int64_t n, float *out)
{
    blocks_tone_contour c;
    const int64_t from = (s->peak + 1 < s->held ? s->peak + 1 : s->onset) * HOP, to = (s->held + 1) * HOP < n ? (s->held + 1) * HOP : n;
    double rate = 0, semitones = 0, square = 0;
    blocks_tone_pitch_run(a->pitch, a->x, n, from, to, &c);
    memset(out, 0, (BLOCKS_TONE_AT_HARMONICS - BLOCKS_TONE_AT_PITCH) * sizeof *out);
    out[4] = (float)c.clarity;
    if (!(c.f0_hz > 0))
        return 0;
    oscillation(c.semitones, c.n, c.hop_s, &rate, &semitones);
    for (int i = 0; i < c.n; i++)
        square += c.semitones[i] * c.semitones[i] / c.n;
    out[0] = (float)((audio_hz_to_midi(c.f0_hz) - 60) / 12);
    out[1] = (float)sqrt(square);
    out[2] = (float)rate;
    out[3] = (float)limit(100 * semitones, 0, 200);
    return c.f0_hz;
}

/* Largest magnitude between two frequencies; its frequency by a parabola through the logarithms. */
static double peak_between(const blocks_tone_analyser *a, double low_hz, double high_hz, double *hz)
{
    const double bin_hz = (double)BLOCKS_TONE_RATE / LONG_FFT;
    int from = (int)ceil(low_hz / bin_hz), to = (int)floor(high_hz / bin_hz), best;
    from = from < 1 ? 1 : from;
    to = to > LONG_FFT / 2 - 1 ? LONG_FFT / 2 - 1 : to;
    if (from > to)
        return 0;
    best = from;
    for (int k = from; k <= to; k++)
        if (a->magnitude[k] > a->magnitude[best])
            best = k;
    const double l = log((double)a->magnitude[best - 1] + 1e-20), c = log((double)a->magnitude[best] + 1e-20),
                 r = log((double)a->magnitude[best + 1] + 1e-20), curve = l - 2 * c + r;
    *hz = ((double)best + (curve < 0 ? limit(0.5 * (l - r) / curve, -0.5, 0.5) : 0)) * bin_hz;
    return (double)a->magnitude[best];
}

/* Spectrum of the part behind the attack. */
static void long_spectrum(blocks_tone_analyser *a, const span *s, int64_t n)
{
    int64_t start = s->peak * HOP + HOP, length = (s->held + 1) * HOP - start;
    if (start + length > n)
        length = n - start;
    if (length < 1024) {
        start = s->onset * HOP;
        length = n - start;
    }
    length = length > LONG_WINDOW ? LONG_WINDOW : length;
    memset(a->wave, 0, sizeof a->wave);
    for (int64_t i = 0; i < length; i++)
        a->wave[i] = a->x[start + i] * (float)(0.5 - 0.5 * cos(2 * pi * ((double)i + 0.5) / (double)length));
    bl_fft_forward(a->fft, a->wave, a->spectrum);
    for (int k = 0; k <= LONG_FFT / 2; k++)
        a->magnitude[k] = sqrtf(a->spectrum[2 * k] * a->spectrum[2 * k] + a->spectrum[2 * k + 1] * a->spectrum[2 * k + 1]);
}

/* Amplitudes and frequencies of the partials of f0_hz; each is looked for where the stretch found so far puts it.
 * Returns how many lie below half the rate. */
static int find_partials(const blocks_tone_analyser *a, double f0_hz, double level[N_PARTIALS], double hz[N_PARTIALS])
{
    double unit = f0_hz;
    int n = 0;
    for (int h = 1; h <= N_PARTIALS; h++) {
        if (h * unit * 1.03 > BLOCKS_TONE_RATE / 2 - 50)
            break;
        hz[h - 1] = h * unit;
        const double reach = h < 3 ? 0.3 * f0_hz : 0.4 * f0_hz < 0.03 * h * unit ? 0.4 * f0_hz : 0.03 * h * unit + 4;
        level[h - 1] = peak_between(a, h * unit - reach, h * unit + reach, &hz[h - 1]);
        /* Follow strong partials only. */
        if (level[h - 1] > 0.05 * level[0])
            unit += (hz[h - 1] / h - unit) / h;
        n = h;
    }
    return n;
}

/* B of f[h] = h f0 sqrt(1 + B h^2): (f[h]/h)^2 is a line over h^2, fitted with the partials' levels as weights. */
static double find_inharmonicity(const double *level, const double *hz, int n)
{
    double sw = 0, sx = 0, sy = 0, sxx = 0, sxy = 0, top = 0;
    for (int i = 0; i < n; i++)
        top = level[i] > top ? level[i] : top;
    for (int i = 0; i < n; i++) {
        const double h = i + 1, w = level[i] > 0.01 * top ? sqrt(level[i] / top) : 0, u = h * h, v = hz[i] * hz[i] / u;
        sw += w;
        sx += w * u;
        sy += w * v;
        sxx += w * u * u;
        sxy += w * u * v;
    }
    const double det = sw * sxx - sx * sx;
    if (det <= 0 || n < 4)
        return 0;
    const double line = (sw * sxy - sx * sy) / det, base = (sy - line * sx) / sw;
    return base > 0 && line > 0 ? line / base : 0;
}

static void measure_harmonics(const blocks_tone_analyser *a, double f0_hz, float *out)
{
    const double bin_hz = (double)BLOCKS_TONE_RATE / LONG_FFT;
    double level[N_PARTIALS] = { 0 }, hz[N_PARTIALS] = { 0 }, sum = 0, odd = 0, even = 0, tri[3] = { 0 }, total = 0,
           harmonic = 0, db[N_PARTIALS], jag = 0;
    memset(out, 0, (BLOCKS_TONE_AT_SPECTRUM - BLOCKS_TONE_AT_HARMONICS) * sizeof *out);
    if (f0_hz <= 0) {
        out[N_LEVELS + 5] = -20;
        return;
    }
    const int n = find_partials(a, f0_hz, level, hz);
    for (int i = 0; i < n; i++) {
        const double e = level[i] * level[i];
        sum += level[i];
        tri[i == 0 ? 0 : i < 4 ? 1 : 2] += level[i];
        *(i % 2 ? &even : &odd) += e;
    }
    for (int k = 1; k <= LONG_FFT / 2; k++)
        total += (double)a->magnitude[k] * (double)a->magnitude[k];
    int last = 0;
    for (int i = 0; i < n; i++) {
        /* Main lobe of the window: four bins of its own length, twice that of the padded transform. */
        const int centre = (int)(hz[i] / bin_hz + 0.5);
        for (int k = centre - 4 > last ? centre - 4 : last + 1; k <= centre + 4 && k <= LONG_FFT / 2; k++) {
            harmonic += (double)a->magnitude[k] * (double)a->magnitude[k];
            last = k;
        }
        db[i] = to_db(sum > 0 ? level[i] / sum : 0, -50);
        if (i)
            jag += fabs(db[i] - db[i - 1]) / (n - 1);
    }
    for (int i = 0; i < N_LEVELS; i++)
        out[i] = (float)(i < n ? db[i] : -50);
    for (int i = 0; i < 3; i++)
        out[N_LEVELS + i] = (float)(sum > 0 ? tri[i] / sum : 0);
    out[N_LEVELS + 3] = (float)limit(10 * log10((odd + 1e-12 * (odd + even) + 1e-30) / (even + 1e-12 * (odd + even) + 1e-30)), -40, 40);
    out[N_LEVELS + 4] = (float)log10(find_inharmonicity(level, hz, n) + 1e-6);
    out[N_LEVELS + 5] = (float)limit(10 * log10((harmonic + 1e-20) / (total > harmonic ? total - harmonic + 1e-20 : 1e-20)), -20, 50);
    out[N_LEVELS + 6] = (float)slope(db, n);
    out[N_LEVELS + 7] = (float)jag;
    double centre = 0, power = 0;
    for (int i = 0; i < n; i++) {
        centre += (i + 1) * level[i];
        power += level[i];
    }
    out[N_LEVELS + 8] = (float)(power > 0 ? log2(centre / power) : 0);
}

static double octave(double hz)
{
    return log2((hz < 20 ? 20 : hz) / 440);
}

static void measure_spectrum(const audio_features *f, const span *s, float *out)
{
    const int64_t T = f->n_frames;
    float v[MAX_FRAMES + 1] = { 0 };
    double mean, dev, flux = 0;
    int64_t n_flux = 0;

    for (int64_t t = 0; t < T; t++)
        v[t] = (float)octave((double)f->centroid[t]);
    mean_deviation(v, s->body, T, &mean, &dev);
    *out++ = (float)mean;
    *out++ = (float)dev;
    for (int64_t t = 0; t < T; t++)
        v[t] = (float)octave((double)f->bandwidth[t]);
    mean_deviation(v, s->body, T, &mean, &dev);
    *out++ = (float)mean;
    for (int64_t t = 0; t < T; t++)
        v[t] = (float)octave((double)f->rolloff[t]);
    mean_deviation(v, s->body, T, &mean, &dev);
    *out++ = (float)mean;
    *out++ = (float)dev;
    for (int64_t t = 0; t < T; t++)
        v[t] = (float)(to_db((double)f->flatness[t], -120) / 2);
    mean_deviation(v, s->body, T, &mean, &dev);
    *out++ = (float)mean;
    *out++ = (float)dev;
    /* Six bands: the seventh begins above half of 16 kHz in part and says little. */
    for (int b = 0; b < AUDIO_CONTRAST_BANDS - 1; b++) {
        mean_deviation(f->contrast + b * T, s->body, T, &mean, &dev);
        *out++ = (float)mean;
    }
    mean_deviation(f->zcr, s->body, T, &mean, &dev);
    *out++ = (float)mean;
    for (int64_t t = s->onset + 1; t < T; t++) {
        double rise = 0, all = 0;
        if (!s->body[t] || !s->body[t - 1])
            continue;
        for (int k = 0; k < f->n_bins; k++) {
            const double now = (double)f->magnitude[k * T + t], d = now - (double)f->magnitude[k * T + t - 1];
            rise += d > 0 ? d : 0;
            all += now;
        }
        flux += all > 0 ? rise / all : 0;
        n_flux++;
    }
    *out = (float)(n_flux ? flux / (double)n_flux : 0);
}

/* ---- one tone ----------------------------------------------------------------------------------- */

/* The tone at BLOCKS_TONE_RATE with a peak of 1 in a->x; its length, 0 with err set. */
static int64_t prepare(blocks_tone_analyser *a, const float *x, int64_t n_samples, int sample_rate, bl_error *err)
{
    float peak = 0;
    int64_t first = 0, n;
    if (sample_rate < 4000 || n_samples < sample_rate / 100) {
        bl_fail(err, BL_EARG, "a tone needs at least 10 ms at 4000 Hz or more, got %lld samples at %d Hz",
                (long long)n_samples, sample_rate);
        return 0;
    }
    for (int64_t i = 0; i < n_samples; i++) {
        if (!isfinite(x[i])) {
            bl_fail(err, BL_ENAN, "sample %lld of a tone is not a finite number", (long long)i);
            return 0;
        }
        peak = fabsf(x[i]) > peak ? fabsf(x[i]) : peak;
    }
    if (peak < 1e-4f) {
        bl_fail(err, BL_EARG, "a tone is silent");
        return 0;
    }
    /* Leading silence would use up the seconds that count; 50 ms of it are kept. */
    while (fabsf(x[first]) < 0.01f * peak)
        first++;
    first = first > sample_rate / 20 ? first - sample_rate / 20 : 0;
    x += first;
    n_samples -= first;
    const int64_t most = (int64_t)sample_rate * BLOCKS_TONE_SECONDS;
    n_samples = n_samples > most ? most : n_samples;
    n = audio_resample_length(n_samples, sample_rate, BLOCKS_TONE_RATE);
    n = n > MAX_SAMPLES ? MAX_SAMPLES : n;
    if (sample_rate == BLOCKS_TONE_RATE) {
        memcpy(a->x, x, (size_t)n * sizeof *x);
    } else if (audio_resample_buffer(x, n_samples, sample_rate, BLOCKS_TONE_RATE, AUDIO_RESAMPLE_FAST, a->x, err) != BL_OK) {
        return 0;
    }
    peak = 0;
    for (int64_t i = 0; i < n; i++)
        peak = fabsf(a->x[i]) > peak ? fabsf(a->x[i]) : peak;
    for (int64_t i = 0; i < n && peak > 0; i++)
        a->x[i] /= peak;
    return n;
}

bl_status blocks_tone_analyser_run(blocks_tone_analyser *a, const float *x, int64_t n_samples, int sample_rate,
                                   float out[BLOCKS_TONE_FEATURES], bl_error *err)
{
    audio_features f = { 0 };
    span s;
    bl_error own = { 0 };
    const int64_t n = prepare(a, x, n_samples, sample_rate, &own);

    if (n == 0)
        return bl_fail(err, own.code, "%s", own.msg);
    const bl_status status = audio_feature_plan_run(a->plan, a->x, n, &f, err);
    if (status == BL_OK) {
        find_span(&f, &s);
        measure_mfcc(&f, &s, out + BLOCKS_TONE_AT_MFCC);
        measure_time(&f, &s, a->x, n, out + BLOCKS_TONE_AT_TIME);
        const double f0_hz = measure_pitch(a, &s, n, out + BLOCKS_TONE_AT_PITCH);
        long_spectrum(a, &s, n);
        measure_harmonics(a, f0_hz, out + BLOCKS_TONE_AT_HARMONICS);
        measure_spectrum(&f, &s, out + BLOCKS_TONE_AT_SPECTRUM);
    }
    audio_features_free(&f);
    return status;
}
