/* What was heard, as a picture people can read: systems of lanes one above the other, like a score.
 *
 *     form      the song's sections as coloured blocks, alike ones alike; below them a line for every phrase of the singer
 *     bars      beats as short lines, downbeats as long ones through all lanes, with the bar's number
 *     wave      the waveform
 *     chords    boxes with names
 *     notes     a piano roll of the sung notes, over it the pitch as it was sung
 *     spectrum  from 55 Hz up, on a musical scale
 *     seconds
 *
 * A system holds up to half a minute, and more where the song would need more than 14 of them.
 *
 * Errors   BL_EIO, BL_ENOMEM; the file is named.
 * Memory   Borrows everything. What is missing in the plan is not drawn; f0 and sketch may be NULL.
 * Tested   tests/infer/test_listen.c
 */
#ifndef BL_INFER_LISTEN_PICTURE_H
#define BL_INFER_LISTEN_PICTURE_H

#include "audio/f0.h"
#include "audio/sketch.h"
#include "infer/plan.h"

typedef struct infer_heard_song {
    const infer_plan     *plan;
    const audio_f0_track *f0;
    const audio_sketch   *sketch;
    const char           *title; /* a line above everything */
} infer_heard_song;

bl_status infer_listen_picture(const char *path, const infer_heard_song *song, bl_error *err);

#endif
