#include "music/metrics.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int class_counts(const music_score *score, double count[12])
{
    int total = 0;
    memset(count, 0, 12 * sizeof *count);
    for (int i = 0; i < score->n_tracks; i++)
        for (int j = 0; j < score->tracks[i].n_notes && !score->tracks[i].is_drums; j++) {
            count[((score->tracks[i].notes[j].pitch % 12) + 12) % 12]++;
            total++;
        }
    return total;
}

double music_pitch_class_entropy(const music_score *score)
{
    double count[12], entropy = 0;
    int total = class_counts(score, count);
    if (total == 0)
        return (double)NAN;
    for (int c = 0; c < 12; c++)
        if (count[c] > 0)
            entropy -= count[c] / total * log2(count[c] / total);
    return entropy;
}

double music_pitch_in_key_rate(const music_score *score, music_key key)
{
    double count[12], inside = 0;
    int total = class_counts(score, count);
    unsigned classes = music_key_classes(key);
    for (int c = 0; c < 12; c++)
        inside += classes >> c & 1 ? count[c] : 0;
    return total ? inside / total : (double)NAN;
}

double music_scale_consistency(const music_score *score)
{
    double best = (double)NAN;
    for (int tonic = 0; tonic < 12; tonic++) {
        double rate = music_pitch_in_key_rate(score, (music_key){ tonic, 0 }); /* a minor key is its relative major */
        if (isnan(best) || rate > best)
            best = rate;
    }
    return best;
}

/* Position in beats, extended evenly beyond both ends. */
static double position(const double *beats, int n, double t)
{
    int low = 0, high = n - 1;
    while (low + 1 < high) {
        int mid = (low + high) / 2;
        if (beats[mid] <= t)
            low = mid;
        else
            high = mid;
    }
    return low + (t - beats[low]) / (beats[low + 1] - beats[low]);
}

static int clamp(double v, int n)
{
    return v < 0 ? 0 : v > n ? n : (int)v;
}

double music_polyphony(const music_score *score, const double *beats_s, int n_beats, int steps_per_beat)
{
    if (n_beats < 2 || steps_per_beat < 1)
        return (double)NAN;
    int n = (n_beats - 1) * steps_per_beat;
    double sum = 0;
    int sounding = 0;
    uint8_t *roll = calloc((size_t)n, 16); /* a bit per pitch */
    if (!roll)
        return (double)NAN;
    for (int i = 0; i < score->n_tracks; i++)
        for (int j = 0; j < score->tracks[i].n_notes && !score->tracks[i].is_drums; j++) {
            const music_note *note = &score->tracks[i].notes[j];
            if (note->pitch < 0 || note->pitch > 127)
                continue;
            int from = clamp(floor(position(beats_s, n_beats, note->onset_s) * steps_per_beat + 0.5), n);
            int to = clamp(floor(position(beats_s, n_beats, note->offset_s) * steps_per_beat + 0.5), n);
            for (int k = from; k < to; k++)
                roll[16 * k + note->pitch / 8] |= (uint8_t)(1 << note->pitch % 8);
        }
    for (int k = 0; k < n; k++) {
        int pitches = 0;
        for (int b = 0; b < 128; b++)
            pitches += roll[16 * k + b / 8] >> b % 8 & 1;
        sum += pitches;
        sounding += pitches > 0;
    }
    free(roll);
    return sounding ? sum / sounding : (double)NAN;
}

double music_empty_beat_rate(const music_score *score, const double *beats_s, int n_beats)
{
    if (n_beats < 2)
        return (double)NAN;
    int empty = 0;
    for (int b = 0; b + 1 < n_beats; b++) {
        int found = 0;
        for (int i = 0; i < score->n_tracks && !found; i++)
            for (int j = 0; j < score->tracks[i].n_notes && !found; j++) {
                const music_note *n = &score->tracks[i].notes[j];
                found = n->onset_s < beats_s[b + 1] - 1e-9 && n->offset_s > beats_s[b] + 1e-9;
            }
        empty += !found;
    }
    return (double)empty / (n_beats - 1);
}

double music_groove_consistency(const music_score *score, const double *beats_s, int n_beats, int beats_per_bar,
                                int steps_per_beat)
{
    int per_bar = beats_per_bar * steps_per_beat, bars = n_beats < 2 || per_bar < 1 ? 0 : (n_beats - 1) / beats_per_bar;
    if (bars < 2)
        return (double)NAN;
    uint8_t *grid = calloc((size_t)bars * (size_t)per_bar, 1);
    if (!grid)
        return (double)NAN;
    for (int i = 0; i < score->n_tracks; i++)
        for (int j = 0; j < score->tracks[i].n_notes; j++) {
            double step = floor(position(beats_s, n_beats, score->tracks[i].notes[j].onset_s) * steps_per_beat + 0.5);
            if (step >= 0 && step < (double)bars * per_bar)
                grid[(int)step] = 1;
        }
    int64_t differ = 0;
    for (int k = 0; k < (bars - 1) * per_bar; k++)
        differ += grid[k] != grid[k + per_bar];
    free(grid);
    return 1 - (double)differ / ((double)per_bar * (bars - 1));
}
