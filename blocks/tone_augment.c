#include "blocks/tone_augment.h"

#include "base/fft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_FFT = 65536, N_BELLS = 3 };

struct blocks_tone_augmenter {
    bl_fft *fft;
    float   wave[N_FFT], spectrum[N_FFT + 2], room[N_FFT + 2], noise[BLOCKS_TONE_AUGMENT_MAX];
};

blocks_tone_augmenter *blocks_tone_augmenter_new(bl_error *err)
{
    blocks_tone_augmenter *a = calloc(1, sizeof *a);
    if (!a) {
        bl_fail(err, BL_ENOMEM, "no memory to vary tones");
        return NULL;
    }
    if (!(a->fft = bl_fft_new(N_FFT, err))) {
        free(a);
        return NULL;
    }
    return a;
}

void blocks_tone_augmenter_free(blocks_tone_augmenter *a)
{
    if (!a)
        return;
    bl_fft_free(a->fft);
    free(a);
}

static double between(bl_rng *rng, double low, double high)
{
    return low + (high - low) * bl_rng_uniform(rng);
}

static double between_log(bl_rng *rng, double low, double high)
{
    return low * pow(high / low, bl_rng_uniform(rng));
}

static int chance(bl_rng *rng, double p)
{
    return bl_rng_uniform(rng) < p;
}

/* Reads x `speed` times as fast, by cubic interpolation: at most a semitone, so what folds over lies above half the rate less
 * six percent, where a tone has next to nothing. */
static int64_t change_speed(const float *x, int64_t n, double speed, float *out, int64_t capacity)
{
    int64_t m = (int64_t)((double)n / speed);
    m = m < capacity ? m : capacity;
    for (int64_t i = 0; i < m; i++) {
        const double at = (double)i * speed;
        const int64_t k = (int64_t)at;
        const float f = (float)(at - (double)k);
        const float a = k > 0 ? x[k - 1] : 0, b = k < n ? x[k] : 0, c = k + 1 < n ? x[k + 1] : 0, d = k + 2 < n ? x[k + 2] : 0;
        out[i] = b + 0.5f * f * (c - a + f * (2 * a - 5 * b + 4 * c - d + f * (3 * (b - c) + d - a)));
    }
    return m;
}

/* A random equaliser. */
typedef struct equaliser {
    double tilt_db, low_hz, high_hz, order, bell_hz[N_BELLS], bell_db[N_BELLS], bell_octaves[N_BELLS];
} equaliser;

static void draw_equaliser(equaliser *e, int sample_rate, bl_rng *rng)
{
    e->tilt_db = chance(rng, 0.7) ? between(rng, -3, 3) : 0;
    e->high_hz = chance(rng, 0.35) ? between_log(rng, 2500, 0.5 * sample_rate) : 0;
    e->low_hz = chance(rng, 0.3) ? between_log(rng, 30, 150) : 0;
    e->order = between(rng, 1, 4);
    for (int b = 0; b < N_BELLS; b++) {
        e->bell_hz[b] = between_log(rng, 100, 7000);
        e->bell_db[b] = chance(rng, 0.6) ? 4 * bl_rng_normal(rng) : 0;
        e->bell_octaves[b] = between(rng, 0.3, 1.5);
    }
}

static double equaliser_gain(const equaliser *e, double hz)
{
    const double octave = log2((hz < 20 ? 20 : hz) / 1000);
    double db = e->tilt_db * octave;
    for (int b = 0; b < N_BELLS; b++) {
        const double u = (octave - log2(e->bell_hz[b] / 1000)) / e->bell_octaves[b];
        db += e->bell_db[b] * exp(-0.5 * u * u);
    }
    if (e->high_hz > 0)
        db -= 10 * log10(1 + pow(hz / e->high_hz, 4 * e->order));
    if (e->low_hz > 0)
        db -= 10 * log10(1 + pow(e->low_hz / (hz + 1), 4));
    return pow(10, (db < -90 ? -90 : db) / 20);
}

/* Spectrum of a room's response: the direct sound, and noise that decays by 60 dB in rt_s. */
static void draw_room(blocks_tone_augmenter *a, int sample_rate, int64_t longest, bl_rng *rng)
{
    const double rt_s = between_log(rng, 0.1, 1.2), wet = pow(10, between(rng, -26, -6) / 20), delay_s = between(rng, 0.001, 0.02);
    const int64_t start = (int64_t)(delay_s * sample_rate);
    int64_t n = (int64_t)(rt_s * sample_rate);
    double energy = 0;
    float smooth = 0;
    const float darkness = (float)between(rng, 0, 0.7);
    n = n < longest ? n : longest;
    memset(a->wave, 0, sizeof a->wave);
    for (int64_t i = start; i < n; i++) {
        smooth = darkness * smooth + (1 - darkness) * (float)bl_rng_normal(rng);
        a->wave[i] = smooth * (float)exp(-6.9 * (double)i / (rt_s * sample_rate));
        energy += (double)a->wave[i] * (double)a->wave[i];
    }
    const float scale = energy > 0 ? (float)(wet / sqrt(energy)) : 0;
    for (int64_t i = start; i < n; i++)
        a->wave[i] *= scale;
    a->wave[0] += 1;
    bl_fft_forward(a->fft, a->wave, a->room);
}

/* Equaliser and room, as one filter. */
static int64_t filter(blocks_tone_augmenter *a, float *x, int64_t n, int sample_rate, bl_rng *rng)
{
    const int64_t tail = sample_rate / 2;
    const int has_room = chance(rng, 0.5);
    equaliser e;
    draw_equaliser(&e, sample_rate, rng);
    if (has_room)
        draw_room(a, sample_rate, N_FFT - BLOCKS_TONE_AUGMENT_MAX, rng);
    memset(a->wave, 0, sizeof a->wave);
    memcpy(a->wave, x, (size_t)n * sizeof *x);
    bl_fft_forward(a->fft, a->wave, a->spectrum);
    double gain = 0;
    for (int k = 0; k <= N_FFT / 2; k++) {
        /* The curve is smooth: every 16th bin is enough of it. */
        if (k % 16 == 0)
            gain = equaliser_gain(&e, (double)k * sample_rate / N_FFT);
        const float re = (float)gain * a->spectrum[2 * k], im = (float)gain * a->spectrum[2 * k + 1];
        a->spectrum[2 * k] = has_room ? re * a->room[2 * k] - im * a->room[2 * k + 1] : re;
        a->spectrum[2 * k + 1] = has_room ? re * a->room[2 * k + 1] + im * a->room[2 * k] : im;
    }
    bl_fft_inverse(a->fft, a->spectrum, a->wave);
    int64_t m = has_room ? n + tail : n;
    m = m < BLOCKS_TONE_AUGMENT_MAX ? m : BLOCKS_TONE_AUGMENT_MAX;
    memcpy(x, a->wave, (size_t)m * sizeof *x);
    return m;
}

static float peak_of(const float *x, int64_t n)
{
    float peak = 0;
    for (int64_t i = 0; i < n; i++)
        peak = fabsf(x[i]) > peak ? fabsf(x[i]) : peak;
    return peak;
}

static void saturate(float *x, int64_t n, double drive)
{
    const float peak = peak_of(x, n), in = peak > 0 ? (float)drive / peak : 0;
    for (int64_t i = 0; i < n; i++)
        x[i] = tanhf(in * x[i]);
}

static void add_noise(blocks_tone_augmenter *a, float *x, int64_t n, bl_rng *rng)
{
    const double snr_db = between(rng, 25, 60);
    const float colour = (float)between(rng, 0, 0.97);
    double signal = 0, noise = 0;
    float smooth = 0;
    for (int64_t i = 0; i < n; i++) {
        smooth = colour * smooth + (float)bl_rng_normal(rng);
        a->noise[i] = smooth;
        noise += (double)smooth * (double)smooth;
        signal += (double)x[i] * (double)x[i];
    }
    const float scale = noise > 0 ? (float)(sqrt(signal / noise) * pow(10, -snr_db / 20)) : 0;
    for (int64_t i = 0; i < n; i++)
        x[i] += scale * a->noise[i];
}

int64_t blocks_tone_augmenter_run(blocks_tone_augmenter *a, const float *x, int64_t n_samples, int sample_rate, bl_rng *rng,
                                  float *out)
{
    const int64_t tail = sample_rate / 2;
    const double speed = chance(rng, 0.5) ? pow(2, between(rng, -1, 1) / 12) : 1;
    int64_t n = change_speed(x, n_samples, speed, out, BLOCKS_TONE_AUGMENT_MAX - tail);
    /* Let go early: a third of a second of it at least is kept. */
    if (chance(rng, 0.3) && n > sample_rate / 2) {
        const int64_t end = (int64_t)between(rng, 0.33 * sample_rate > 0.5 * (double)n ? 0.33 * sample_rate : 0.5 * (double)n, (double)n);
        const double release = between_log(rng, 0.01, 0.2) * sample_rate;
        for (int64_t i = end; i < n; i++)
            out[i] *= (float)exp(-4.6 * (double)(i - end) / release);
    }
    if (chance(rng, 0.25))
        saturate(out, n, between_log(rng, 0.2, 1.5));
    n = filter(a, out, n, sample_rate, rng);
    if (chance(rng, 0.5))
        add_noise(a, out, n, rng);
    const float peak = peak_of(out, n);
    for (int64_t i = 0; i < n && peak > 0; i++)
        out[i] /= peak;
    return n;
}
