/* Which pulse of a bare melody is the beat, and where its bars begin: a second opinion on a grid. A melody alone often leaves open
 * whether beats are the slower or the faster pulse, whether they lie half a beat earlier, and on which of them a bar begins; a
 * pick-up sounds like a first beat. Each reading of the grid
 *
 *     its beats, twice or half as many, moved by half a beat or not, with the bar on any of four
 *
 * is judged by all notes: by where in the bar (sixteenth) they start, and there by the time since the one before, the step from
 * it, the length, and the degree of the key. The weights (audio/meter_tables.h) are a multinomial logistic regression: of all
 * readings, how probable is the one that people hear? Evidence counts by the square root of the number of notes, since notes do
 * not come independently. The level is what the notes say; among its bars those of the grid have an advantage.
 *
 * Shapes   rhythm: a grid in 4/4 as audio_rhythm_analyze gives it, replaced in place; notes [n_notes], rising
 * Options  tonic 0..11: of the key, of its relative major if minor. keep_level: only where bars begin is looked for.
 * Errors   BL_ENOMEM (the grid stays). Grids in other meters and melodies of fewer than AUDIO_METER_NOTES notes stay as they are.
 * Memory   Borrows the notes.
 * Source   Temperley, "The Cognition of Basic Musical Structures", 2001 (preference rules: length, strong beats, phrase beginnings);
 *          weights fitted on POP909 melodies (MIT licence).
 * Tested   tests/audio/test_meter.c
 */
#ifndef BL_AUDIO_METER_H
#define BL_AUDIO_METER_H

#include "audio/rhythm.h"

enum { AUDIO_METER_NOTES = 8 };

typedef struct audio_meter_config {
    int    tonic;
    int    keep_level;
    double slowest_bpm; /* no slower reading than this; 0: the usual limit */
} audio_meter_config;

bl_status audio_meter_reread(audio_rhythm *rhythm, double length_s, const audio_sung_note *notes, int n_notes, audio_meter_config config,
                             bl_error *err);

#endif
