/* Standard MIDI files to scores and back.
 *
 *     music_score score = { 0 };
 *     if (music_midi_read("song.mid", &score, &err) != BL_OK) ...
 *     if (music_midi_write("song.mid", &score, &err) != BL_OK) ...
 *
 * Reading  Formats 0, 1 (and 2, whose tracks are laid side by side); running status; tempo maps; SMPTE time
 *          divisions. Notes become tracks per (MIDI track, channel, program at the note's onset): a channel
 *          that changes its program gives two tracks. Overlapping notes of one pitch end first in, first out;
 *          a note without an end lasts to its track's end; zero-length notes are dropped. Channel 10 is drums.
 *          A track is named after its MIDI track name where it has one that is not empty, else after the
 *          instrument of its program ("piano", "drums"). Markers become markers; lyrics (or markers) become
 *          chords when every one of them is a chord name.
 * Writing  Format 1, 960 ticks per quarter: a conductor track with tempos, meters, key, markers and chords
 *          (as lyrics), then a named track per instrument. Drums on channel 10; the 15 other channels are
 *          handed out in order, and beyond 15 tracks those with the same program share one, then any.
 *          Repeated notes of one pitch are ended before they start again. An empty tempo map means 120 bpm.
 * Units    Seconds in the score; ticks are rounded to the nearest (0.5 ms at 60 bpm).
 * Errors   BL_EIO with the file's name; BL_EFORMAT "x.mid: track 3 claims 400 bytes but 12 are left".
 *          No length of the file is trusted; a file over 64 MiB is refused. On failure the score is freed
 *          and zeroed, a written file is not touched (temporary file, sync, rename).
 * Memory   The score is filled from zero; release with music_score_free.
 * Source   MIDI Manufacturers Association, "Standard MIDI Files 1.0", RP-001, 1996.
 * Tested   tests/music/test_midi.c, against mido.
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
