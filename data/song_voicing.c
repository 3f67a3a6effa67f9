/* Voicings: which notes of a chord a hand takes, on a neck or on keys. */
#include "data/songwriter_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Standard tuning; the left hand reaches four frets from its position, open strings near the nut. Root in the bass. */
static int fret_chord(const music_chord *chord, int position, int pitches[6])
{
    static const int open[6] = { 40, 45, 50, 55, 59, 64 };
    const unsigned tones = music_chord_classes(*chord);
    int best_cost = 1000, n_best = 0;
    for (int at = 0; at <= 9; at++)
        for (int bass = 0; bass < 3; bass++) {
            int found[6], n = 0, cost = 2 * abs(at - position) + bass;
            unsigned got = 0;
            for (int string = bass; string < 6; string++) {
                int fret = -1;
                const unsigned wanted = string == bass ? 1u << chord->root : tones;
                if (at <= 2 && (wanted >> wrap12(open[string]) & 1))
                    fret = 0;
                for (int f = at; f <= at + 3 && fret < 0; f++)
                    if (wanted >> wrap12(open[string] + f) & 1)
                        fret = f;
                if (fret < 0 && string == bass)
                    break;
                if (fret < 0)
                    continue;
                found[n++] = open[string] + fret;
                got |= 1u << wrap12(open[string] + fret);
            }
            const unsigned fifth = 1u << wrap12(chord->root + 7);
            if (n < 4 || (got | fifth) != (tones | fifth))
                continue;
            cost -= n;
            if (cost < best_cost) {
                best_cost = cost;
                n_best = n;
                memcpy(pitches, found, sizeof found);
            }
        }
    return n_best;
}

/* Close position, whichever inversion moves least from the last voicing. */
static int lead_voices(const data_hands *p, const int *intervals, int n, int root, int low, int high, int pitches[MAX_VOICES])
{
    const double centre = p->n_voices ? 0 : (low + high) / 2.0;
    double before = centre, best = 1e9;
    int n_best = 0;
    if (p->n_voices) {
        for (int i = 0; i < p->n_voices; i++)
            before += p->voices[i];
        before /= p->n_voices;
        before += 0.15 * ((low + high) / 2.0 - before); /* drifts home */
    }
    for (int inversion = 0; inversion < n; inversion++)
        for (int octave = 0; octave < 10; octave++) {
            int v[MAX_VOICES];
            double mean = 0;
            for (int i = 0; i < n; i++) {
                const int k = inversion + i;
                v[i] = 12 * octave + root + intervals[k % n] + (k >= n ? 12 : 0);
                mean += v[i];
            }
            for (int i = 1; i < n; i++) /* intervals above an octave (ninths) need sorting */
                for (int j = i; j > 0 && v[j] < v[j - 1]; j--) {
                    const int t = v[j];
                    v[j] = v[j - 1];
                    v[j - 1] = t;
                }
            mean /= n;
            if (v[0] < low || v[n - 1] > high || fabs(mean - before) >= best)
                continue;
            best = fabs(mean - before);
            n_best = n;
            memcpy(pitches, v, (size_t)n * sizeof *v);
        }
    return n_best;
}

void data_song_voice(data_writer *w, data_hands *p, const music_chord *chord)
{
    int intervals[6], pitches[MAX_VOICES], n;
    n = music_chord_intervals(*chord, intervals);
    if (p->option->player == DATA_PLAY_POWER) {
        const int fifth = n > 1 && (music_chord_classes(*chord) >> wrap12(chord->root + 7) & 1) ? 7 : 6;
        p->voices[0] = p->option->low + wrap12(chord->root - p->option->low);
        p->voices[1] = p->voices[0] + fifth;
        p->voices[2] = p->voices[0] + 12;
        p->n_voices = 3;
        return;
    }
    if (p->option->player == DATA_PLAY_GUITAR) {
        n = fret_chord(chord, p->position, pitches);
    } else {
        const int rootless = (w->genre->flags & DATA_SONG_ROOTLESS) != 0;
        const int low = p->option->player == DATA_PLAY_KEYS && !rootless ? p->option->low + 9 : p->option->low;
        if (rootless && n >= 4) { /* the bass has the root: third, fifth, seventh, and the ninth when the key has it */
            if (music_key_classes(w->song->key) >> wrap12(chord->root + 2) & 1) {
                intervals[0] = 14;
            } else {
                memmove(intervals, intervals + 1, sizeof intervals - sizeof intervals[0]);
                n--;
            }
            n = n > 4 ? 4 : n;
        }
        if (p->option->player == DATA_PLAY_PAD && n > 4)
            n = 4;
        n = lead_voices(p, intervals, n, chord->root, low, p->option->high, pitches);
    }
    if (n > 0) {
        memcpy(p->voices, pitches, (size_t)n * sizeof *pitches);
        p->n_voices = n;
    }
}
