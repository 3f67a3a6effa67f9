/* Instruments: canonical names, aliases, families, roles, ranges, General MIDI programs.
 *
 * An instrument id is an index into one fixed table, the same in every program of one version; files
 * and checkpoints store names, never ids. Canonical names are lower-case words ("electric guitar").
 *
 *     data_instrument_find("alto_sax")       -> saxophone      aliases; underscores, dashes, capitals
 *     data_instrument_find("Guitar 2")       -> electric guitar   and trailing numbers are no difference
 *     data_instrument_find("pianoo")         -> -1
 *     data_instrument_parse("pianoo", &err)  -> -1, err: unknown instrument "pianoo"; did you mean "piano"?
 */
#ifndef BL_DATA_INSTRUMENTS_H
#define BL_DATA_INSTRUMENTS_H

#include "base/error.h"

#include <stddef.h>

typedef enum data_family {
    DATA_GUITARS, DATA_BASSES, DATA_PERCUSSION, DATA_KEYBOARDS, DATA_ORGANS, DATA_STRINGS, DATA_WOODWINDS,
    DATA_BRASS, DATA_MALLETS, DATA_VOICES, DATA_SYNTHS, DATA_PLUCKED, DATA_N_FAMILIES
} data_family;

/* What an instrument is for in a band; several may be set. */
enum { DATA_ROLE_MELODY = 1, DATA_ROLE_CHORDS = 2, DATA_ROLE_BASS = 4, DATA_ROLE_RHYTHM = 8, DATA_ROLE_PAD = 16 };

typedef struct data_instrument {
    const char *name;                  /* canonical                                             */
    data_family family;
    unsigned    roles;                 /* DATA_ROLE_...                                         */
    int         is_pitched;            /* 0: drums and percussion, whose pitch is a GM drum key */
    int         lowest, highest;       /* usual range, MIDI numbers (GM keys for drums)         */
    int         program;               /* typical General MIDI program 0..127                   */
} data_instrument;

int                    data_instrument_count(void);
const data_instrument *data_instrument_at(int id);      /* id 0 .. count-1                     */
const char            *data_instrument_name(int id);    /* "unknown" for -1                    */
const char            *data_family_name(data_family family);

/* Id, or -1 when the whole name (underscores, dashes, dots, capitals and a trailing number aside)
 * is no canonical name and no alias. */
int data_instrument_find(const char *name);

/* The same for free text such as a file name ("piano_C4_ff", "01 - Electric Bass"): the longest run of words
 * that is a name or an alias. -1 when there is none. */
int data_instrument_guess(const char *text);

/* data_instrument_find for what a user typed: -1 and BL_EARG with the nearest name. */
int data_instrument_parse(const char *name, bl_error *err);

/* Id of a General MIDI program; channel 10 (is_drums) is "drums". -1 for sound effects. */
int data_instrument_from_program(int program, int is_drums);

/* How alike two instruments are, 0..1: 1 the same, then family, shared roles and overlap of range. */
double data_instrument_likeness(int a, int b);

/* Genre names: "Hip Hop", "hiphop" -> "hip-hop"; other names lower case with blanks kept.
 * Returns 1 when the genre is one this project knows. out gets at most size bytes. */
int data_genre_normalise(const char *name, char *out, size_t size);

#endif
