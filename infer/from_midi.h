/* A MIDI file in the arranger's place: its tracks become the band, its maps the plan's beats.
 *
 *     music_score score = { 0 };
 *     if (infer_from_midi_read("song.mid", &score, &err) == BL_OK && infer_from_midi(&score, "song.mid", generator, 1, &plan, &err) == BL_OK) ...
 *
 * Players   A track plays the instrument that its name names, else that of its General MIDI program. One that the synthesizer has not
 *           learned is played by a stand-in for its program, else the most alike (data_instrument_likeness), and plan->instruments says which stands in for
 *           which; nobody is silent. Tracks of one instrument are as many players of it, in one stem. With a recording of a singer (sung != 0) the
 *           first track named after a voice, or "melody", is not played: its notes are the melody.
 * Plan      beats (none within 60 ms of another), downbeats, meter and tempo from the maps; key, chords and sections (markers) where the file has them;
 *           instruments, notes, and the maps themselves for another MIDI file. The sustain pedal is played out. Levels and
 *           places are the mixer's, not those of the file.
 * Errors    read: what music_midi_read says; BL_EFORMAT without notes or longer than INFER_MAX_SECONDS. infer_from_midi: BL_EARG with more than
 *           INFER_MAX_INSTRUMENTS instruments or no track left to play; BL_ENOMEM.
 * Memory    Borrows the score; generator NULL: every instrument is taken as learned. The plan was initialised before.
 * Tested    tests/infer/test_from_midi.c
 */
#ifndef BL_INFER_FROM_MIDI_H
#define BL_INFER_FROM_MIDI_H

#include "infer/plan.h"
#include "infer/tone_generator.h"

bl_status infer_from_midi_read(const char *path, music_score *score, bl_error *err);
/* The plan's format (path, length, rate, channels) when there is no recording. */
bl_status infer_from_midi_format(const char *path, double seconds, infer_plan *plan, bl_error *err);
bl_status infer_from_midi(const music_score *score, const char *name, const infer_tone_generator *generator, int sung, infer_plan *plan,
                          bl_error *err);

#endif
