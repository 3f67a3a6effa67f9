/* From how well every chord would suit a melody to the chords of a song: the path of a hidden semi-Markov model, bent by the habits
 * of a genre. The probabilities and habits are learned (blocks/harmonizer.h); nothing here is a network.
 *
 *     score(chords) = sum over chords of   evidence * sum over its units u of (log p_u(chord) - prior * log share(chord)
 *                                                                        - tension * share of u that is sung on its tones)
 *                                        + grammar  * log P(chord | the one before it)
 *                                        + duration * log P(length | where in the bar it starts)   + what the genre says
 *
 * Units    Chords change on strong beats only: at bar lines and, in bars of an even number of beats from four on, in their middle. A unit
 *          is the time from one to the next.
 * Degrees  36: 3 * (semitones of the root above do) + family, 0 major, 1 minor, 2 diminished. do is the tonic of the major key with
 *          the key's signature, so A minor and C major share their chords' numbers. What is richer counts as its family; suspended
 *          and power chords as the family that the scale has there.
 * Colours  what stands on the degree: triad, seventh chord, sus2, sus4.
 * Genres   A section of configs/harmony.ini: which chords it likes, how often they change, how they are written, with which sevenths
 *          and tensions. A chord is written richer only where no added note rubs (a semitone) against one that the singer holds and
 *          none of the singer's is lost; else the next spelling on the list is tried, in the end the triad.
 * Sections Those of one label get the same chords: what their aligned units say is averaged, and where both are as long, the path of the
 *          first one is kept.
 * Shapes   beats_s [n_beats] rising; is_downbeat [n_beats] or NULL (then every beats_per_bar-th from the first); melody [n_melody], any
 *          order; log_degree [n_units, MUSIC_DEGREES], log_colour [n_units, MUSIC_COLOURS] log-probabilities.
 * Errors   BL_EARG: fewer than two beats, not rising; BL_ENAN: a log-probability that is no number; genre not in the table (named, with the ones there are). Loading: BL_EIO, or
 *          BL_EFORMAT with file, line and key.
 * Memory   _load returns a table; release with _free (NULL allowed). *units and *spans are malloc'ed; release with free.
 * Cost     n_units * MUSIC_DEGREES * (MUSIC_DEGREES + MUSIC_LONGEST_CHORD) steps.
 * Source   Segment durations: Murphy, "Hidden semi-Markov models", 2002; harmonising by HMM: Simon, Morris & Basu, "MySong", CHI 2008;
 *          a network's posteriors as evidence: Lim, Rhyu & Lee, "Chord generation from symbolic melody using BLSTM networks", ISMIR 2017.
 * Tested   tests/music/test_harmony.c
 */
#ifndef BL_MUSIC_HARMONY_H
#define BL_MUSIC_HARMONY_H

#include "music/chord.h"
#include "music/score.h"

enum { MUSIC_DEGREES = 36, MUSIC_COLOURS = 4, MUSIC_LONGEST_CHORD = 16 };
enum { MUSIC_TRIAD, MUSIC_SEVENTH, MUSIC_SUSPENDED_2, MUSIC_SUSPENDED_4 };

typedef struct music_harmony_table music_harmony_table;

music_harmony_table *music_harmony_table_load(const char *path, bl_error *err); /* "configs/harmony.ini" */
music_harmony_table *music_harmony_table_parse(const char *text, const char *name, bl_error *err);
void                 music_harmony_table_free(music_harmony_table *table);
/* Genres in the order of the file; NULL behind the last. */
const char          *music_harmony_genre(const music_harmony_table *table, int i);

/* What a corpus does, as log-probabilities: learned by train_arranger. */
typedef struct music_harmony_habits {
    float share[2][MUSIC_DEGREES];                /* of the units; [0] in major keys, [1] in minor ones              */
    float move[2][MUSIC_DEGREES][MUSIC_DEGREES];  /* [mode][from][to] where a chord changes                          */
    float length[2][MUSIC_LONGEST_CHORD];         /* 1, 2, ... units, the last: so many or more; [1] starts in mid-bar */
} music_harmony_habits;

typedef struct music_harmony_unit {
    double start_s, end_s;
    int    mid_bar;        /* starts in the middle of a bar */
    int    bar;            /* 0, 1, ...                     */
} music_harmony_unit;

typedef struct music_harmony_section {
    double start_s, end_s;
    int    label;
} music_harmony_section;

typedef struct music_harmony_input {
    const double     *beats_s;
    int               n_beats;
    const int        *is_downbeat;
    int               beats_per_bar;   /* 2, 3, 4, ...                               */
    const music_note *melody;
    int               n_melody;
    music_key         key;
    const char       *genre;           /* a section of the table: "rock", "jazz"...  */
    const music_harmony_section *sections; /* rising; may be NULL                    */
    int               n_sections;
    double            start_s, end_s;  /* the spans cover this                       */
} music_harmony_input;

/* At least one; the first starts at start_s at the latest, the last ends at end_s at the earliest. */
bl_status music_harmony_units(const music_harmony_input *input, music_harmony_unit **units, int *n_units, bl_error *err);

bl_status music_harmony_path(const music_harmony_table *table, const music_harmony_habits *habits, const music_harmony_input *input,
                             const music_harmony_unit *units, int n_units, const float *log_degree, const float *log_colour,
                             music_chord_span **spans, int *n_spans, bl_error *err);

/* Pitch class of do. */
int         music_do(music_key key);
/* -1 for "N". */
int         music_chord_degree(music_chord chord, int do_class);
int         music_chord_colour(music_chord chord);
music_chord music_degree_chord(int degree, int do_class); /* the triad */

#endif
