/* The table of genres as music/harmony_table.c reads it and music/harmony.c uses it. */
#ifndef BL_MUSIC_HARMONY_PRIVATE_H
#define BL_MUSIC_HARMONY_PRIVATE_H

#include "music/harmony.h"

enum { HARMONY_GENRES = 32, HARMONY_SPELLINGS = 4 };

typedef struct harmony_genre {
    char   name[32];
    double evidence, prior, tension, grammar, duration, cadence, repeat;
    double change[2];                                      /* log; a new chord at a bar line, in mid-bar */
    double rich, sus;                                      /* how sure of a seventh, of a suspension     */
    double prefer[2][MUSIC_DEGREES];                       /* [minor key], log                           */
    double moves[2][MUSIC_DEGREES][MUSIC_DEGREES];         /* log                                        */
    int    n_spell[2][MUSIC_DEGREES];
    music_chord spell[2][MUSIC_DEGREES][HARMONY_SPELLINGS]; /* where do is C                              */
} harmony_genre;

struct music_harmony_table {
    harmony_genre genre[HARMONY_GENRES];
    int           n_genres;
};

/* NULL: not there, and err says which there are. */
const harmony_genre *harmony_find_genre(const music_harmony_table *table, const char *name, bl_error *err);

#endif
