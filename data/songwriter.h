/* Invents songs: a genre's tempo, meter, key, form, chord progressions, a band with playing styles, and a
 * sung melody over it. The notes are made up by rules and tables (data/song_tables.c), not learned, so
 * everything about a song is known: beats, key, chords, which part plays what and how.
 *
 *     data_composition song = { 0 };
 *     data_compose(&song, "rock", 30.0, 7, &err);
 *     ... song.score.tracks[i], song.parts[i] ...
 *     data_composition_free(&song);
 *
 * Form     Sections (intro, verse, chorus, bridge, solo) of 2, 4 or 8 bars fill the asked length; the song
 *          ends on the tonic. Sections of one kind share their progression and the rhythm of their melody.
 * Melody   Phrases of two bars, then a rest; a walk in the key with chord notes on strong beats; within
 *          a singer's range.
 * Units    Onsets lie on a grid of 960 ticks per quarter note, so MIDI files hold them exactly. Timing and
 *          velocity are humanised. The whole song has one tempo.
 * Errors   BL_EARG: unknown genre (names the nearest) or seconds outside 8..600. BL_ENOMEM.
 * Memory   Filled from zero; release with data_composition_free. On failure it is freed and zeroed.
 * Threads  Pure: same genre, seconds and seed, same song.
 * Tested   tests/data/test_songwriter.c, test_song_genres.c
 */
#ifndef BL_DATA_SONGWRITER_H
#define BL_DATA_SONGWRITER_H

#include "base/error.h"
#include "data/soundfont.h"
#include "music/chord.h"
#include "music/score.h"

#include <stdint.h>

/* One track of the score, and how it is played. */
typedef struct data_part {
    char            stem[64];   /* file name of the stem: "vocals", "electric_guitar", "double_bass"        */
    char            role[16];   /* "vocals" "lead" "rhythm" "bass" "pad" "drums" "counter"                  */
    char            style[64];  /* styles it uses: "palm-muted, open"                                       */
    double          gain_db;    /* level in the mix                                                         */
    data_expression expression; /* for the sound font                                                       */
} data_part;

typedef struct data_composition {
    music_score score;          /* track 0 is the singer; two tracks may share a stem (rhythm, lead guitar) */
    data_part  *parts;          /* [score.n_tracks]                                                         */
    char        genre[16], title[64], artist[64], album[64], feel[32];
    int         year;
    music_key   key;
    double      bpm, duration_s;
    int         beats_per_bar;
    double     *beats_s;        /* [n_beats]; downbeats are every beats_per_bar-th from the first           */
    int         n_beats;
} data_composition;

bl_status data_compose(data_composition *song, const char *genre, double seconds, uint64_t seed, bl_error *err);
void      data_composition_free(data_composition *song);

/* Genres the songwriter knows, NULL after the last. */
const char *const *data_composition_genres(void);

#endif
