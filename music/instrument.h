/* What backline knows of instruments as such: General MIDI program, playable range, how many notes at once.
 *
 * Units    Pitches are sounding MIDI numbers (double bass and guitar an octave below their written notes).
 * Names    Lower case words, as in reports and on command lines: "electric guitar", "vibraphone".
 */
#ifndef BL_MUSIC_INSTRUMENT_H
#define BL_MUSIC_INSTRUMENT_H

typedef enum music_family {
    MUSIC_DRUMS, MUSIC_BASS, MUSIC_GUITAR, MUSIC_KEYS, MUSIC_BOWED, MUSIC_WIND, MUSIC_MALLET
} music_family;

typedef struct music_instrument {
    const char  *name;
    int          program;     /* General MIDI 0..127                                      */
    music_family family;
    int          lowest, highest;
    int          polyphony;   /* notes at once                                            */
    int          sustains;    /* 1: rings on at the same level while held (organ, bowed, wind) */
} music_instrument;

/* NULL when unknown. "double_bass" is taken as "double bass". */
const music_instrument *music_instrument_find(const char *name);
/* i = 0, 1, ... until NULL. */
const music_instrument *music_instrument_at(int i);
/* The instrument of a General MIDI program ("strings" for 48..51); NULL when none fits. */
const music_instrument *music_instrument_of_program(int program);
/* What General MIDI calls a program 0..127 ("drawbar organ"). */
const char *music_program_name(int program);

#endif
