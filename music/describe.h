/* A score in words and figures, for people: tracks, tempo and meter maps, keys, markers, chords, metrics.
 *
 * Errors   BL_ENOMEM, BL_EARG when its beats cannot be laid out (music/beats.h). Writing to out is not checked.
 * Tested   tests/music/test_beats.c
 */
#ifndef BL_MUSIC_DESCRIBE_H
#define BL_MUSIC_DESCRIBE_H

#include "music/score.h"

#include <stdio.h>

bl_status music_score_describe(const music_score *score, FILE *out, bl_error *err);

#endif
