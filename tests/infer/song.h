/* A sung melody made of harmonics with vibrato, attacks and pauses, as input for tests: eight bars at 120 bpm in A minor. */
#ifndef BL_TESTS_INFER_SONG_H
#define BL_TESTS_INFER_SONG_H

#include "audio/soundfile.h"

#include <math.h>

static const int song_melody[] = { 57, 60, 64, 62, 60, 59, 57, 0, 65, 64, 62, 60, 59, 62, 57, 0 };

static inline audio_clip song_voice(double seconds, int sample_rate, int n_channels)
{
    audio_clip clip = { 0 };
    double phase = 0;
    audio_clip_new(&clip, n_channels, (int64_t)(seconds * sample_rate), sample_rate, NULL);
    for (int64_t i = 0; i < clip.n_samples; i++) {
        const double t = (double)i / sample_rate, in_beat = fmod(t, 0.5);
        const int pitch = song_melody[(int)(t / 0.5) % 16];
        if (!pitch)
            continue;
        const double hz = 440 * exp2((pitch - 69 + 0.2 * sin(34 * t)) / 12);
        const double envelope = fmin(1, in_beat / 0.03) * fmin(1, (0.46 - in_beat) / 0.05);
        double x = 0;
        phase += 2 * 3.14159265358979323846 * hz / sample_rate;
        for (int k = 1; k <= 12 && k * hz < 0.45 * sample_rate; k++)
            x += sin(k * phase) * (1.0 / k) * (1 + 2 * exp(-pow((k * hz - 700) / 250, 2)));
        for (int c = 0; c < n_channels; c++)
            clip.samples[c * clip.n_samples + i] = (float)(envelope > 0 ? 0.12 * envelope * x : 0);
    }
    return clip;
}

#endif
