/* A tiny corpus of songs whose chords are sung: shared by the tests of the harmonizer. */
#ifndef BL_TESTS_HARMONIZER_CORPUS_H
#define BL_TESTS_HARMONIZER_CORPUS_H

#include "music/harmony.h"

#include <string.h>

enum { CORPUS_BARS = 16, CORPUS_NOTES = 4 * CORPUS_BARS, CORPUS_BEATS = 4 * CORPUS_BARS + 1 };

typedef struct corpus_song {
    double           beats_s[CORPUS_BEATS];
    music_note       melody[CORPUS_NOTES];
    music_chord_span chords[CORPUS_BARS];
    music_harmony_input in;
} corpus_song;

/* Sixteen bars in 4/4 at 120 bpm, a chord a bar from a loop of four, its tones sung on the beats. which: 0, 1, 2, ... */
static inline void corpus_compose(corpus_song *s, int which)
{
    static const int loops[3][4] = { { 0, 28, 15, 21 }, { 28, 15, 0, 21 }, { 0, 15, 21, 0 } }; /* I vi IV V, vi IV I V, I IV V I */
    static const int orders[2][4] = { { 0, 1, 2, 1 }, { 2, 0, 1, 0 } };
    const int tonic = 5 * which % 12, loop = which % 3;
    memset(s, 0, sizeof *s);
    for (int i = 0; i < CORPUS_BEATS; i++)
        s->beats_s[i] = 0.5 * i;
    for (int bar = 0; bar < CORPUS_BARS; bar++) {
        const music_chord chord = music_degree_chord(loops[loop][bar % 4], tonic);
        int tones[5];
        music_chord_intervals(chord, tones);
        s->chords[bar] = (music_chord_span){ .start_s = 2 * bar, .end_s = 2 * bar + 2 };
        music_chord_format(chord, 0, s->chords[bar].name);
        for (int b = 0; b < 4; b++)
            s->melody[4 * bar + b] = (music_note){ 2 * bar + 0.5 * b, 2 * bar + 0.5 * b + 0.45,
                                                   60 + (chord.root + tones[orders[(which + bar) % 2][b]]) % 12, 90 };
    }
    s->in = (music_harmony_input){ .beats_s = s->beats_s, .n_beats = CORPUS_BEATS, .beats_per_bar = 4, .melody = s->melody,
                                   .n_melody = CORPUS_NOTES, .key = { tonic, 0 }, .genre = "pop", .start_s = 0, .end_s = 2 * CORPUS_BARS };
}

#endif
