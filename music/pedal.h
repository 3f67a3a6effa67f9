/* The sustain pedal played out: notes that end while it is down last until it comes up, or their pitch sounds again.
 *
 * Tracks of one channel share its pedal (controller 64, down from 64 on); drums have none. The pedal's messages stay, so do
 * this to a score that is to be played by what knows no pedal, not to one that is to be written. The tracks' notes must be
 * sorted (music_track_sort); they still are afterwards.
 *
 * Errors   BL_ENOMEM.
 * Tested   tests/music/test_beats.c
 */
#ifndef BL_MUSIC_PEDAL_H
#define BL_MUSIC_PEDAL_H

#include "music/score.h"

bl_status music_score_press_pedal(music_score *score, bl_error *err);

#endif
