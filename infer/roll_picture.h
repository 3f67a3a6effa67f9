/* A piano roll of the whole song, for people: systems of lanes one above the other, like a score.
 *
 *     form      sections as coloured blocks, alike ones alike; below them the singer's phrases
 *     chords    boxes with names, a colour for each root
 *     bars      beats and numbered bar lines, which go through all lanes
 *     voice     the sung notes
 *     band      all pitched tracks, each in its colour (the legend stands above), stronger where they are played louder
 *     drums     a row each for kick, snare, toms, hi-hat, ride, crash and the rest; larger where hit harder; rings are open hi-hats
 *     seconds
 *
 * A system holds a round number of bars (up to half a minute, more where the song would need more than 16 systems), and all
 * systems have one scale of time.
 *
 * Errors   BL_EIO, BL_ENOMEM; the file is named.
 * Memory   Borrows everything. What is missing in the plan (voice, drums, beats, chords) has no lane.
 * Tested   tests/infer/test_from_midi.c
 */
#ifndef BL_INFER_ROLL_PICTURE_H
#define BL_INFER_ROLL_PICTURE_H

#include "infer/plan.h"

bl_status infer_roll_picture(const char *path, const char *title, const infer_plan *plan, bl_error *err);

#endif
