/* make bench-listening: how long listening takes, part by part, on one core.
 *
 *     bench_listening RAW [--seconds S]
 *
 * 60 s at 44.1 kHz of a made-up voice over noise and clicks, which is also written to RAW (float32) so that
 * listening_peers.py measures the same samples. One line a part: name, median and least milliseconds, times real time. */
#include "audio/features.h"
#include "audio/flux.h"
#include "audio/notes.h"
#include "audio/stft.h"
#include "base/file.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RATE = 44100, LENGTH_S = 60, N = RATE * LENGTH_S, MAX_RUNS = 200 };

typedef struct bench_part {
    const char *name;
    unsigned    which;                                       /* features, or 0 and one of the functions below */
    int       (*run)(const float *x);
} bench_part;

/* Notes of a scale with vibrato and ten harmonics, a click each half second, noise 50 dB below. */
static void make_signal(float *x)
{
    static const int scale[] = { 60, 62, 64, 65, 67, 69, 71, 72 };
    bl_rng rng;
    double phase = 0;
    bl_rng_seed(&rng, 1);
    for (int i = 0; i < N; i++) {
        const double t = (double)i / RATE, into = fmod(t, 0.5), pi = acos(-1.0);
        const double midi = scale[(int)(2 * t) % 8] + 0.3 * sin(2 * pi * 5.5 * t);
        const double level = fmin(1, fmin(into, 0.47 - into) / 0.02);
        double y = 0;
        phase += 2 * pi * 440 * exp2((midi - 69) / 12) / RATE;
        for (int h = 1; h <= 10 && level > 0; h++)
            y += sin(h * phase) / h;
        x[i] = (float)(0.2 * fmax(0, level) * y + 0.001 * bl_rng_normal(&rng) + (into < 0.002 ? 0.2 * bl_rng_normal(&rng) : 0));
    }
}

static int run_stft(const float *x)
{
    static float *out;
    audio_stft *s = audio_stft_new(&(audio_stft_config){ .n_fft = 2048, .hop_length = 512, .pad = AUDIO_PAD_ZERO }, NULL);
    if (!out)
        out = malloc(sizeof(float) * 2 * 1025 * (N / 512 + 1));
    const int ok = s && out && audio_stft_run(s, x, N, out, NULL) == BL_OK;
    audio_stft_free(s);
    return ok;
}

static int run_features(const float *x, unsigned which)
{
    audio_features f = { 0 };
    audio_feature_plan *p = audio_feature_plan_new(&(audio_feature_config){ .sample_rate = RATE, .which = which }, NULL);
    const int ok = p && audio_feature_plan_run(p, x, N, &f, NULL) == BL_OK;
    audio_features_free(&f);
    audio_feature_plan_free(p);
    return ok;
}

static int run_pitch(const float *x)
{
    audio_f0_track track = { 0 };
    const int ok = audio_f0_run(x, N, RATE, (audio_f0_config){ 0 }, &track, NULL) == BL_OK;
    audio_f0_free(&track);
    return ok;
}

static int run_flux(const float *x)
{
    audio_flux flux = { 0 };
    const int ok = audio_flux_run(x, N, RATE, &flux, NULL) == BL_OK;
    audio_flux_free(&flux);
    return ok;
}

static int run_notes(const float *x)
{
    static audio_f0_track track;
    audio_sung_notes notes = { 0 };
    const int ok = (track.f0_hz || audio_f0_run(x, N, RATE, (audio_f0_config){ 0 }, &track, NULL) == BL_OK) &&
                   audio_notes_run(&track, x, N, RATE, (audio_notes_config){ 0 }, &notes, NULL) == BL_OK;
    audio_notes_free(&notes);
    return ok;
}

static const bench_part parts[] = {
    { "stft", 0, run_stft },
    { "mel", AUDIO_FEATURE_MEL, NULL },
    { "mfcc", AUDIO_FEATURE_MFCC, NULL },
    { "chroma", AUDIO_FEATURE_CHROMA, NULL },
    { "centroid+bandwidth", AUDIO_FEATURE_CENTROID | AUDIO_FEATURE_BANDWIDTH, NULL },
    { "rolloff", AUDIO_FEATURE_ROLLOFF, NULL },
    { "flatness", AUDIO_FEATURE_FLATNESS, NULL },
    { "contrast", AUDIO_FEATURE_CONTRAST, NULL },
    { "rms", AUDIO_FEATURE_RMS, NULL },
    { "zcr", AUDIO_FEATURE_ZCR, NULL },
    { "onset", AUDIO_FEATURE_ONSET, NULL },
    { "all features", AUDIO_FEATURE_ALL, NULL },
    { "flux", 0, run_flux },
    { "pitch", 0, run_pitch },
    { "notes after pitch", 0, run_notes },
};

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    const double seconds = argc == 4 && !strcmp(argv[2], "--seconds") ? atof(argv[3]) : 1;
    float *x = malloc(sizeof *x * N);
    FILE *raw = argc >= 2 ? fopen(argv[1], "wb") : NULL;
    if (!x || !raw) {
        fprintf(stderr, "bench_listening: expected RAW [--seconds S], and a RAW that can be written\n");
        return 2;
    }
    make_signal(x);
    if (fwrite(x, sizeof *x, N, raw) != N || fclose(raw)) {
        fprintf(stderr, "bench_listening: %s: cannot be written\n", argv[1]);
        return 1;
    }
    printf("%-24s %-12s %10s %10s %12s\n", "60 s at 44.1 kHz", "by", "median ms", "least ms", "x real time");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        double times[MAX_RUNS];
        int n = 0;
        for (const double start = bl_seconds(); n < 3 || (n < MAX_RUNS && bl_seconds() - start < seconds); n++) {
            const double before = bl_seconds();
            if (!(parts[i].run ? parts[i].run(x) : run_features(x, parts[i].which))) {
                fprintf(stderr, "bench_listening: %s failed\n", parts[i].name);
                return 1;
            }
            times[n] = 1e3 * (bl_seconds() - before);
        }
        qsort(times, (size_t)n, sizeof *times, ascending);
        printf("%-24s %-12s %10.1f %10.1f %12.0f\n", parts[i].name, "backline", times[n / 2], times[0], 1e3 * LENGTH_S / times[n / 2]);
        fflush(stdout);
    }
    free(x);
    return 0;
}
