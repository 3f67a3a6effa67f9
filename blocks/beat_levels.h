/* The grid of a recording at the metrical level that it is most likely at: audio/rhythm.h lays a grid; a small network, [level_network]
 * in beats.ini, looks at what repeats (audio/beat_levels.h) at half that tempo, at it and at twice; its word and the beat network's
 * votes on the tempo decide, and where another level wins the grid is laid once more there.
 *
 *     audio_rhythm rhythm;
 *     blocks_beat_grid(tracker, length_s, (audio_rhythm_config){ .activity = &activity }, &rhythm, &err);
 *
 * config   as audio_rhythm_analyze; tempo_factor 0.5 or 2 is half or twice what is heard without it. A tempo that is given (bpm) is
 *          kept, and with sung notes (a voice alone) these have said which level it is. No tracker, one without [level_network], or
 *          activity without flux: as audio_rhythm_analyze.
 * Result   confidence: that the tempo is right; other_bpm: the next likely level, where it may be it
 * Errors   As audio_rhythm_analyze; BL_ENOMEM.
 * Threads  One tracker per thread.
 * Tested   tests/blocks/test_beat_tracker.c
 */
#ifndef BL_BLOCKS_BEAT_LEVELS_H
#define BL_BLOCKS_BEAT_LEVELS_H

#include "audio/beat_levels.h"
#include "blocks/beat_tracker.h"

bl_status blocks_beat_grid(blocks_beat_tracker *t, double length_s, audio_rhythm_config config, audio_rhythm *out, bl_error *err);

/* The network's word on each level of a grid: logits [AUDIO_LEVELS], -HUGE_VAL where a level cannot be. For tests and training. */
bl_status blocks_beat_levels(blocks_beat_tracker *t, const audio_beat_activity *activity, const double *beats_s, int n,
                             double logits[AUDIO_LEVELS], bl_error *err);

#endif
