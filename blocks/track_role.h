/* What a track is for in the band, from simple measured statistics and its instrument.
 *
 *     polyphony    share of the sounding time in which more than one pitch sounds
 *     register     median pitch, MIDI number
 *     density      notes (or onsets) per second of sounding time
 *     note length  median, seconds
 *
 * With notes these are counted; without, they are measured: onsets are peaks of the onset strength; in every frame of 256 ms
 * the pitch is the one whose first ten partials collect most of the spectral peaks, and the frame counts as
 * polyphonic when that pitch's partials explain less than BLOCKS_ROLE_EXPLAINED of the peaks' energy below 4 kHz;
 * the register is the median of those pitches.
 *
 * Names (of the role, then of the whole):
 *     basses                             bass        "bass"
 *     drums, percussion                  rhythm      "drums"; one kind of hit only: "kick", "snare", ...
 *     guitars, one voice                 lead        "lead guitar"
 *     guitars, several                   rhythm      "rhythm guitar"
 *     strings, organs, synths, choirs,
 *       several, notes >= 1 s            pad         "organ pad"
 *     any, several                       chords      "piano chords"
 *     any, one voice                     melody      "piano melody"
 *     voice                              lead        "lead voice"
 * One voice or several: from notes, polyphony below BLOCKS_ROLE_POLYPHONY; from sound a logistic regression on polyphony, register
 * and note length, since what is measured in sound takes the resonance of a piano for a second voice, and accompaniment lies
 * lower than melody. Its weights were fitted to 98 stems rendered with FluidR3 and MuseScore_General: 0.96 of them right, left
 * out one song at a time (the threshold alone: 0.88). The confidence of the role falls to 0.5 on the border.
 *
 * Errors    BL_EARG: an empty or silent track; BL_ENOMEM.
 * Tested    tests/blocks/test_tone_detector.c
 */
#ifndef BL_BLOCKS_TRACK_ROLE_H
#define BL_BLOCKS_TRACK_ROLE_H

#include "base/error.h"
#include "music/score.h"

#include <stdint.h>

#define BLOCKS_ROLE_EXPLAINED 0.85
#define BLOCKS_ROLE_POLYPHONY 0.35

typedef struct blocks_track_measures {
    double polyphony, register_midi, density_hz, note_s;
    int    measured; /* 1: from sound, 0: from notes */
} blocks_track_measures;

/* From notes. */
bl_status blocks_track_from_notes(const music_track *notes, blocks_track_measures *out, bl_error *err);

/* From sound: x [n_samples], one channel. At most the first minute is looked at. */
bl_status blocks_track_from_sound(const float *x, int64_t n_samples, int sample_rate, blocks_track_measures *out,
                                  bl_error *err);

/* role: "lead", "rhythm", "chords", "melody", "pad" or "bass"; name: "lead guitar", "piano chords" ...
 * instrument: id of data/instruments.h. Returns the confidence, 0.5 .. 1. */
double blocks_track_role(int instrument, const blocks_track_measures *m, char role[16], char name[64]);

#endif
