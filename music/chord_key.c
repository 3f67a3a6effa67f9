#include "music/chord_key.h"

#include "music/chord.h"
#include "music/chord_key_tables.h"

#include <math.h>

static const double TIME = 2, NEXT = 1, FIRST = 0.1, LAST = 0.2, TONIC = 0.5, SHARPNESS = 1.7;

/* Chords one after the other as 12 * (minor third) + root; -1 where there is none. */
static int plain(const char *name)
{
    music_chord chord;
    if (!music_chord_parse(name, &chord) || chord.root < 0)
        return -1;
    return 12 * (music_chord_third(chord) == 3) + chord.root;
}

static double fit(const music_chord_span *spans, int n, int tonic, int minor)
{
    double time = 0, next = 0, tonic_time = 0, total = 0, score;
    int    first = -1, last = -1, n_changes = 0;
    for (int i = 0; i < n; i++) {
        const int chord = plain(spans[i].name);
        if (chord < 0)
            continue;
        const double length = spans[i].end_s - spans[i].start_s;
        const int degree = chord / 12 * 12 + (chord % 12 + 12 - tonic) % 12;
        time -= length * degree_time[minor][degree];
        tonic_time += degree == 12 * minor ? length : 0;
        total += length;
        if (last >= 0 && degree != last) {
            next -= degree_next[minor][last][degree];
            n_changes++;
        }
        first = first < 0 ? degree : first;
        last = degree;
    }
    if (!(total > 0))
        return 0;
    score = TIME * time / total + (n_changes ? NEXT * next / n_changes : 0) - FIRST * degree_first[minor][first] -
            LAST * degree_last[minor][last];
    return SHARPNESS * (n_changes + 1) / (n_changes + 2) * (score / 100 + TONIC * tonic_time / total);
}

void music_chord_key(const music_chord_span *spans, int n, double log_p[MUSIC_KEYS])
{
    double top = -HUGE_VAL, sum = 0;
    for (int k = 0; k < MUSIC_KEYS; k++)
        top = fmax(top, log_p[k] = fit(spans, n, k % 12, k / 12));
    for (int k = 0; k < MUSIC_KEYS; k++)
        sum += exp(log_p[k] - top);
    for (int k = 0; k < MUSIC_KEYS; k++)
        log_p[k] -= top + log(sum);
}
