/* Standard MIDI files to scores and back.
 *
 *     music_score score = { 0 };
 *     if (music_midi_read("song.mid", &score, &err) != BL_OK) ...
 *     if (music_midi_write("song.mid", &score, &err) != BL_OK) ...
 *
 * Reading  Formats 0, 1 (and 2, whose tracks are laid side by side); running status; tempo maps; SMPTE time
 *          divisions. Notes become tracks per (MIDI track, channel, program that the note sounds with): a channel
 *          that changes its program gives two tracks. Overlapping notes of one pitch end first in, first out;
 *          a note without an end lasts to its track's end, one without length stays. Channel 10 is drums.
 *          A track is named after its MIDI track where that holds one part and has a name, else after the
 *          instrument of its program ("piano", "drums"), else as General MIDI calls it. A channel's controllers,
 *          pressures and bends go to the first track that plays on it. Markers become markers, lyrics lyrics. Chords are
 *          read from lyrics, or else markers, when every one of them is a chord name, or else from XF chord events.
 * Writing  Format 1: a conductor track with title, system messages, tempos, meters, keys, markers and lyrics (the chord
 *          names where the song has no words), then a named track per instrument; the first pitched one carries the
 *          chords as XF events. Drums on channel 10; other tracks on their own channel where they have one, else on
 *          a free one, and beyond 15 those with the same program share one, then any. A program change
 *          stands at the start of a channel, and wherever another track takes the channel over.
 * Kept     What reading and writing keep exactly: all of the above, with the file's ticks. What they do not: release
 *          velocities, other texts, devices and ports, the grouping of tracks, events of channels without notes.
 * Units    Seconds in the score; ticks (score->ticks_per_quarter, else 960) are rounded to the nearest.
 * Errors   BL_EIO with the file's name; BL_EFORMAT "x.mid: track 3 claims 400 bytes but 12 are left".
 *          No length of the file is trusted; a file over 64 MiB is refused. On failure the score is freed
 *          and zeroed, a written file is not touched (temporary file, sync, rename).
 * Memory   The score is filled from zero; release with music_score_free.
 * Source   MIDI Manufacturers Association, "Standard MIDI Files 1.0", RP-001, 1996; Yamaha, "XF Format Specifications
 *          2.01", 1999.
 * Tested   tests/music/test_midi.c, against mido; all of a corpus: make evaluate TASKS=midi
 */
#ifndef BL_MUSIC_MIDI_H
#define BL_MUSIC_MIDI_H

#include "music/score.h"

#include <stddef.h>
#include <stdint.h>

bl_status music_midi_read(const char *path, music_score *score, bl_error *err);
bl_status music_midi_write(const char *path, const music_score *score, bl_error *err);

/* The same on memory. name stands in messages. music_midi_format returns malloc'ed bytes: release with free. */
bl_status music_midi_parse(const void *data, size_t n_bytes, const char *name, music_score *score, bl_error *err);
bl_status music_midi_format(const music_score *score, uint8_t **data, size_t *n_bytes, bl_error *err);

#endif
