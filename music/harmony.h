/* Chords for a melody: a hidden Markov model over chords per half bar or bar, decoded by Viterbi.
 *
 *     score(path) = sum over segments t of  evidence * (w[chord_t] . sung_t + bias)
 *                                         + grammar * log P(chord_t | chord_{t-1})
 *
 * sung_t holds, for the twelve semitones above the tonic, how many beats of segment t are sung on it. The weights,
 * the odds of a change at a bar line or in mid-bar, and the moves between degrees are tables in configs/harmony.ini,
 * which a genre bends. Segments without singing borrow evidence from four and eight bars away, the end prefers the
 * tonic, chords change at bar lines and half bars only. A genre may spell chords richer (ii as ii7); where the added
 * note would rub against the singer the plain chord stays.
 *
 * Shapes   beats_s [n_beats] rising; is_downbeat [n_beats] or NULL (then every beats_per_bar-th from the first);
 *          melody [n_melody], any order.
 * Units    seconds; start_s and end_s bound the spans: the first chord starts at start_s, the last ends at end_s.
 * Errors   BL_EARG: fewer than two beats; genre not in the table (named, with the ones there are).
 * Memory   music_harmony_table_load returns a table; release with music_harmony_table_free (NULL allowed).
 *          *spans is malloc'ed; release with free.
 * Source   Simon, Morris & Basu, "MySong: automatic accompaniment generation for vocal melodies", CHI 2008;
 *          tables counted on POP909 (Wang et al., ISMIR 2020).
 * Tested   tests/music/test_harmony.c
 */
#ifndef BL_MUSIC_HARMONY_H
#define BL_MUSIC_HARMONY_H

#include "music/chord.h"
#include "music/score.h"

typedef struct music_harmony_table music_harmony_table;

music_harmony_table *music_harmony_table_load(const char *path, bl_error *err); /* "configs/harmony.ini" */
void                 music_harmony_table_free(music_harmony_table *table);

typedef struct music_harmony_input {
    const double     *beats_s;
    int               n_beats;
    const int        *is_downbeat;     /* NULL: every beats_per_bar-th from beat 0   */
    int               beats_per_bar;   /* 3, 4, ...                                  */
    const music_note *melody;
    int               n_melody;
    music_key         key;
    const char       *genre;           /* a section of the table: "rock", "jazz"...  */
    double            start_s, end_s;
} music_harmony_input;

bl_status music_harmonize(const music_harmony_table *table, const music_harmony_input *input,
                          music_chord_span **spans, int *n_spans, bl_error *err);

#endif
