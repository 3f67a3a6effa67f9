#include "music/metrics.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Notes by pitch, out of range ones left out. */
static int pitch_counts(const music_score *score, int count[128])
{
    int total = 0;
    memset(count, 0, 128 * sizeof *count);
    for (int i = 0; i < score->n_tracks; i++)
        for (int j = 0; j < score->tracks[i].n_notes && !score->tracks[i].is_drums; j++) {
            const int pitch = score->tracks[i].notes[j].pitch;
            if (pitch < 0 || pitch > 127)
                continue;
            count[pitch]++;
            total++;
        }
    return total;
}

static int class_counts(const music_score *score, int count[12])
{
    int pitches[128];
    const int total = pitch_counts(score, pitches);
    memset(count, 0, 12 * sizeof *count);
    for (int p = 0; p < 128; p++)
        count[p % 12] += pitches[p];
    return total;
}

static int n_used(const int *count, int n)
{
    int used = 0;
    for (int i = 0; i < n; i++)
        used += count[i] > 0;
    return used;
}

static double entropy_of(const int *count, int n, int total)
{
    double entropy = 0;
    for (int i = 0; i < n; i++)
        if (count[i] > 0)
            entropy -= (double)count[i] / total * log2((double)count[i] / total);
    return total ? entropy : (double)NAN;
}

int music_n_pitches(const music_score *score)
{
    int count[128];
    pitch_counts(score, count);
    return n_used(count, 128);
}

int music_n_pitch_classes(const music_score *score)
{
    int count[12];
    class_counts(score, count);
    return n_used(count, 12);
}

int music_pitch_range(const music_score *score)
{
    int count[128], low = 0, high = 127;
    if (!pitch_counts(score, count))
        return 0;
    while (!count[low])
        low++;
    while (!count[high])
        high--;
    return high - low;
}

double music_pitch_entropy(const music_score *score)
{
    int count[128];
    const int total = pitch_counts(score, count);
    return entropy_of(count, 128, total);
}

double music_pitch_class_entropy(const music_score *score)
{
    int count[12];
    const int total = class_counts(score, count);
    return entropy_of(count, 12, total);
}

double music_pitch_in_key_rate(const music_score *score, music_key key)
{
    int count[12];
    const int total = class_counts(score, count);
    double inside = 0;
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

/* How many pitches sound in each time step: malloc'ed [*n], NULL without steps or memory. */
static uint8_t *pitches_sounding(const music_score *score, const double *beats_s, int n_beats, int steps_per_beat, int *n)
{
    if (n_beats < 2 || steps_per_beat < 1)
        return NULL;
    *n = (n_beats - 1) * steps_per_beat;
    uint8_t *roll = calloc((size_t)*n, 16); /* a bit per pitch */
    for (int i = 0; roll && i < score->n_tracks; i++)
        for (int j = 0; j < score->tracks[i].n_notes && !score->tracks[i].is_drums; j++) {
            const music_note *note = &score->tracks[i].notes[j];
            if (note->pitch < 0 || note->pitch > 127)
                continue;
            int from = clamp(floor(position(beats_s, n_beats, note->onset_s) * steps_per_beat + 0.5), *n);
            int to = clamp(floor(position(beats_s, n_beats, note->offset_s) * steps_per_beat + 0.5), *n);
            for (int k = from; k < to; k++)
                roll[16 * k + note->pitch / 8] |= (uint8_t)(1 << note->pitch % 8);
        }
    for (int k = 0; roll && k < *n; k++) { /* in place: step k is read before it is written */
        int pitches = 0;
        for (int b = 0; b < 128; b++)
            pitches += roll[16 * k + b / 8] >> b % 8 & 1;
        roll[k] = (uint8_t)pitches;
    }
    return roll;
}

double music_polyphony(const music_score *score, const double *beats_s, int n_beats, int steps_per_beat)
{
    int n = 0, sounding = 0;
    double sum = 0;
    uint8_t *pitches = pitches_sounding(score, beats_s, n_beats, steps_per_beat, &n);
    for (int k = 0; pitches && k < n; k++) {
        sum += pitches[k];
        sounding += pitches[k] > 0;
    }
    free(pitches);
    return sounding ? sum / sounding : (double)NAN;
}

double music_polyphony_rate(const music_score *score, const double *beats_s, int n_beats, int steps_per_beat, int threshold)
{
    int n = 0, many = 0;
    uint8_t *pitches = pitches_sounding(score, beats_s, n_beats, steps_per_beat, &n);
    for (int k = 0; pitches && k < n; k++)
        many += pitches[k] > threshold;
    const double rate = pitches ? (double)many / n : (double)NAN;
    free(pitches);
    return rate;
}

/* Share of stretches of `length` beats in which nothing starts or sounds. */
static double empty_rate(const music_score *score, const double *beats_s, int n_beats, int length)
{
    const int n = n_beats < 2 || length < 1 ? 0 : (n_beats - 1) / length;
    if (n == 0)
        return (double)NAN;
    uint8_t *busy = calloc((size_t)n, 1);
    if (!busy)
        return (double)NAN;
    int filled = 0;
    for (int i = 0; i < score->n_tracks; i++)
        for (int j = 0; j < score->tracks[i].n_notes; j++) {
            const music_note *note = &score->tracks[i].notes[j];
            const double from = floor(position(beats_s, n_beats, note->onset_s + 1e-9) / length);
            const double to = floor(position(beats_s, n_beats, fmax(note->offset_s - 1e-9, note->onset_s + 1e-9)) / length);
            for (int k = from < 0 ? 0 : from < n ? (int)from : n; k < n && k <= to; k++)
                busy[k] = 1;
        }
    for (int k = 0; k < n; k++)
        filled += busy[k];
    free(busy);
    return 1 - (double)filled / n;
}

double music_empty_beat_rate(const music_score *score, const double *beats_s, int n_beats)
{
    return empty_rate(score, beats_s, n_beats, 1);
}

double music_empty_bar_rate(const music_score *score, const double *beats_s, int n_beats, int beats_per_bar)
{
    return empty_rate(score, beats_s, n_beats, beats_per_bar);
}

double music_drum_in_pattern_rate(const music_score *score, const double *beats_s, int n_beats, int steps_per_beat, int triple)
{
    int total = 0, inside = 0;
    if (n_beats < 2 || steps_per_beat < 1)
        return (double)NAN;
    /* the finest division of the meter that the steps have */
    const int parts = triple ? (steps_per_beat % 3 ? 1 : 3) : steps_per_beat % 4 == 0 ? 4 : steps_per_beat % 2 == 0 ? 2 : 1;
    for (int i = 0; i < score->n_tracks; i++)
        for (int j = 0; j < score->tracks[i].n_notes && score->tracks[i].is_drums; j++) {
            const double step = floor(position(beats_s, n_beats, score->tracks[i].notes[j].onset_s) * steps_per_beat + 0.5);
            inside += fmod(step, steps_per_beat / parts) == 0;
            total++;
        }
    return total ? (double)inside / total : (double)NAN;
}

double music_drum_pattern_consistency(const music_score *score, const double *beats_s, int n_beats, int steps_per_beat)
{
    return fmax(music_drum_in_pattern_rate(score, beats_s, n_beats, steps_per_beat, 0),
                music_drum_in_pattern_rate(score, beats_s, n_beats, steps_per_beat, 1));
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
