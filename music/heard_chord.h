/* The chords a listener tells apart: ten qualities on twelve roots, and no chord.
 *
 *     class = 12 quality + root      quality: maj min 7 maj7 m7 dim m7b5 aug sus4 sus2      120: no chord
 *
 * Richer chords count as the one of these that they contain (9 as 7, 6 as maj, 7sus4 as sus4, dim7 as dim); a power chord has
 * no third, so nobody can say which it is.
 *
 * Tested   tests/music/test_heard_chord.c
 */
#ifndef BL_MUSIC_HEARD_CHORD_H
#define BL_MUSIC_HEARD_CHORD_H

#include "music/chord.h"

enum { MUSIC_HEARD_QUALITIES = 10, MUSIC_HEARD_NONE = 12 * MUSIC_HEARD_QUALITIES, MUSIC_HEARD_CLASSES = MUSIC_HEARD_NONE + 1 };

/* -1 for a power chord. */
int         music_heard_class(music_chord chord);
music_chord music_heard_chord(int heard_class);

/* 0 major, 1 minor, 2 neither: what the class counts as among major and minor triads. */
int         music_heard_mode(int heard_class);

#endif
