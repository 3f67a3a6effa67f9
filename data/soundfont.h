/* A band in a file: plays the notes of a music_track with a General MIDI sound font, offline.
 *
 * Every note is rendered by itself and added at its exact sample, since FluidSynth starts notes only
 * at the borders of its 64-sample blocks: a note at t seconds starts at sample round(t * sample_rate).
 * Reverb and chorus are off, so a track is dry and the sum of its notes.
 *
 * Shapes   out [n_samples]; the caller sets it to zero, rendering adds (two tracks can share one stem).
 * Units    seconds, MIDI pitch, velocity as in music/score.h; full scale of a rendered note is about
 *          0.1 .. 0.5, the caller mixes. A note may ring at most DATA_SOUNDFONT_TAIL_S after its end.
 * Errors   _new: BL_EIO no such file; BL_EFORMAT not a sound font. _render: BL_EARG the program is not
 *          in the font; BL_ENOMEM.
 * Memory   _new returns a font; release with data_soundfont_free (NULL allowed). Samples are read when
 *          a track first needs them and are kept until the program changes.
 * Threads  One font per thread; _new and _free may be called from any thread.
 * Source   libfluidsynth 2.3; the font meant is FluidR3_GM.sf2 of Debian's fluid-soundfont-gm.
 * Tested   tests/data/test_soundfont.c: onset, tuning, linearity.
 */
#ifndef BL_DATA_SOUNDFONT_H
#define BL_DATA_SOUNDFONT_H

#include "base/error.h"
#include "music/score.h"

#include <stdint.h>

/* Where Debian's fluid-soundfont-gm puts its file. */
#define DATA_SOUNDFONT_PATH "/usr/share/sounds/sf2/FluidR3_GM.sf2"

enum { DATA_SOUNDFONT_TAIL_S = 4 };

typedef struct data_soundfont data_soundfont;

/* What a player does with the pitch inside one note: vibrato that begins after a while, and a scoop
 * from below at the start. All zero: none. */
typedef struct data_expression {
    double vibrato_hz, vibrato_cents, vibrato_delay_s;
    double scoop_cents, scoop_s;
} data_expression;

data_soundfont *data_soundfont_new(const char *path, int sample_rate, bl_error *err);
void            data_soundfont_free(data_soundfont *font);

/* Adds the mean of the two channels of every note of the track. expression may be NULL. Notes that
 * start at or after n_samples are left out; a note of the same pitch cuts off the one before, and a
 * closed hi-hat an open one. */
bl_status data_soundfont_render(data_soundfont *font, const music_track *track, const data_expression *expression,
                                int64_t n_samples, float *out, bl_error *err);

/* One note into out [n_max], which is set; returns how many samples it rings (<= n_max), 0 on failure.
 * The program is that of the last data_soundfont_program. */
bl_status data_soundfont_program(data_soundfont *font, int program, int is_drums, bl_error *err);
int64_t   data_soundfont_note(data_soundfont *font, int pitch, int velocity, double duration_s,
                              const data_expression *expression, int64_t n_max, float *out);

#endif
