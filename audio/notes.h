/* Sung notes from a pitch track: the tuning of the singer, then a hidden Markov model whose states are
 * the attack, sustain and rest of every semitone; vibrato and glides stay inside a note, repeated notes
 * are parted by re-attacks (a dip in loudness, a spectral onset, or an unvoiced consonant).
 *
 * Shapes   x [n_samples] one channel, the signal f0 was measured on (for onsets; NULL: pitch alone)
 * Units    seconds; pitch in fractional MIDI numbers relative to 440 Hz (69.10 = 10 cents above A4);
 *          velocity 1..127 from the note's loudness relative to the recording's loudest notes
 * Options  tuning_cents is where the singer's semitones lie relative to 440 Hz, -50..50; the nearest
 *          note of the scale is lround(pitch - tuning_cents / 100).
 * Errors   BL_EARG: track without frames, options out of range. BL_ENOMEM. No notes is no error.
 * Memory   audio_notes_run fills *out; release with audio_notes_free (zeroed struct allowed).
 * Source   Ryynanen & Klapuri, "Modelling of note events for singing transcription", 2004;
 *          Mauch et al., "Computer-aided melody note transcription using the Tony software", 2015.
 * Tested   tests/audio/test_notes.c
 */
#ifndef BL_AUDIO_NOTES_H
#define BL_AUDIO_NOTES_H

#include "audio/f0.h"

typedef struct audio_sung_note {
    double onset_s, offset_s;
    float  pitch;
    int    velocity;
} audio_sung_note;

typedef struct audio_notes_config {
    double min_note_s; /* 0: 0.08; shorter ones are joined to a neighbour or dropped */
} audio_notes_config;

typedef struct audio_sung_notes {
    audio_sung_note *notes; /* sorted, not overlapping */
    int              n_notes;
    float            tuning_cents;
    float           *confidence; /* [n_notes] how surely it is sung: the share of its length that is voiced and keeps to its pitch within
                                    0.6 semitones, vibrato aside; speech has less than a half. NULL: notes from elsewhere */
} audio_sung_notes;

bl_status audio_notes_run(const audio_f0_track *f0, const float *x, int64_t n_samples, int sample_rate,
                          audio_notes_config config, audio_sung_notes *out, bl_error *err);
void      audio_notes_free(audio_sung_notes *notes);

/* Where the pitches of a track lie between semitones, cents in -50..50 (0 if nothing is voiced). */
double audio_tuning_cents(const audio_f0_track *f0);

/* The note's semitone in the singer's own tuning. */
int audio_sung_pitch(const audio_sung_note *note, float tuning_cents);

#endif
