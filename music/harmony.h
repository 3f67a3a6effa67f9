/* Chords for a melody: a hidden Markov model over chords per half bar or bar, decoded by Viterbi.
 *
 *     score(path) = sum over segments t of  emission(melody in t | chord_t) + weight * log P(degree_t | degree_{t-1})
 *
 * The emission compares the duration- and accent-weighted pitch classes sung in a segment with each chord's
 * notes; the transitions are tables in relative degrees per genre (configs/harmony.ini); the last segment
 * prefers a cadence onto the tonic. Chords change on strong beats only.
 *
 * Shapes   beats_s [n_beats] rising; is_downbeat [n_beats] or NULL (then every beats_per_bar-th from the first);
 *          melody [n_melody], any order.
 * Units    seconds; start_s and end_s bound the spans: the first chord starts at start_s, the last ends at end_s.
 * Options  vocabulary "triads", "power" or "sevenths" comes from the genre's section of the table.
 * Errors   BL_EARG: fewer than two beats; genre not in the table (named, with the ones there are).
 * Memory   music_harmony_table_load returns a table; release with music_harmony_table_free (NULL allowed).
 *          *spans is malloc'ed; release with free.
 * Source   Simon, Morris & Basu, "MySong: automatic accompaniment generation for vocal melodies", CHI 2008;
 *          Temperley, "Music and Probability", 2007 (accent-weighted pitch classes).
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
