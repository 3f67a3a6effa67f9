/* Keys, scales and chords: names to pitch classes and back.
 *
 * Units    A pitch class is 0..11 (0 = C). A set of pitch classes is a 12-bit mask, bit p for class p.
 * Names    Keys "A minor", "Bb major"; also read: "Am", "A:min", "C". Chords "C", "F#m7", "Bbmaj7",
 *          "Gsus4", "Bdim", "A5", "C/E", "N"; also read: Harte's "C:maj7", "D:min/5", "G:sus4(b7)",
 *          and unicode-free synonyms (M7, min, -7, +, o, m7b5, N.C.).
 * Errors   Parsers return 1 and fill the result, or return 0 and leave it alone.
 * Tested   tests/music/test_chord.c, against mir_eval.chord.
 */
#ifndef BL_MUSIC_CHORD_H
#define BL_MUSIC_CHORD_H

typedef struct music_key {
    int tonic; /* pitch class                                                       */
    int minor; /* 0 major, 1 natural minor                                          */
} music_key;

typedef enum music_quality {
    MUSIC_MAJ, MUSIC_MIN, MUSIC_DIM, MUSIC_AUG, MUSIC_SUS2, MUSIC_SUS4, MUSIC_POWER,
    MUSIC_7, MUSIC_MAJ7, MUSIC_MIN7, MUSIC_MINMAJ7, MUSIC_DIM7, MUSIC_M7B5, MUSIC_7SUS4,
    MUSIC_6, MUSIC_MIN6, MUSIC_9, MUSIC_MAJ9, MUSIC_MIN9, MUSIC_ADD9, MUSIC_AUG7, MUSIC_MINADD9,
    MUSIC_N_QUALITIES
} music_quality;

typedef struct music_chord {
    int           root; /* pitch class, or -1 for "N" (no chord)                    */
    music_quality quality;
    int           bass; /* pitch class of the lowest note; root unless "C/E"        */
} music_chord;

int  music_key_parse(const char *name, music_key *key);
void music_key_format(music_key key, char out[16]);   /* "A minor", spelled with its usual accidentals */

/* The seven notes of the key (natural minor). */
unsigned music_key_classes(music_key key);

/* 1 when the usual key signature of the key has flats (F major, D minor, ...). */
int music_key_has_flats(music_key key);
/* Sharps (positive) or flats (negative) of the signature, -7..7. */
int music_key_signature(music_key key);

int  music_chord_parse(const char *name, music_chord *chord);
void music_chord_format(music_chord chord, int flats, char out[16]);

/* Pitch classes of the chord, the bass of "C/D" included; 0 for "N". */
unsigned music_chord_classes(music_chord chord);

/* The chord's notes above the root in semitones, rising, root (0) first; returns how many (<= 5). */
int music_chord_intervals(music_chord chord, int out[5]);

/* Third of the chord: 4 major, 3 minor, 0 when it has none (power chords and suspended). */
int music_chord_third(music_chord chord);

/* Chord on degree 1..7 of the key: triad, or seventh chord with sevenths. */
music_chord music_key_chord(music_key key, int degree, int sevenths);

/* "I", "ii", "V7", "bVII", "iv": the chord seen from the key. */
void music_chord_roman(music_chord chord, music_key key, char out[16]);

/* Roman numeral ("vi", "bVII", "V7", "IVmaj7", "iio", "ii7") to a chord in the key. In minor keys the
 * numerals count degrees of the natural minor scale: "VI" is a major chord on the sixth. 1 or 0. */
int music_roman_parse(const char *name, music_key key, music_chord *chord);

/* "C", "F#"/"Gb". */
const char *music_class_name(int pitch_class, int flats);

#endif
