/* A genre's way of playing, read from configs/styles/GENRE.ini: feel, drum grooves, bass and chord patterns,
 * registers. docs/arranging.md describes the file.
 *
 * Errors   BL_EIO, BL_EFORMAT or BL_EARG: "configs/styles/rock.ini line 41: ..." for every bad entry.
 * Memory   music_style_load returns a style; release with music_style_free (NULL allowed).
 * Threads  A style is read only after loading.
 */
#ifndef BL_MUSIC_STYLE_H
#define BL_MUSIC_STYLE_H

#include "base/error.h"

typedef struct music_style music_style;

music_style *music_style_load(const char *path, bl_error *err);
music_style *music_style_parse(const char *text, const char *name, bl_error *err);
void         music_style_free(music_style *style);

/* "rock" */
const char *music_style_genre(const music_style *style);

/* Where step 0.. of `steps` in a beat lies, 0..1, as the style swings: even steps move, three of them do not. Swing grows
 * straighter above 160 beats a minute, as players' does (Friberg & Sundstrom, "Swing ratios and ensemble timing in jazz performance",
 * Music Perception 19(3), 2002). Onsets are meant for such places with four steps, or with three. */
double music_style_swing(const music_style *style, double bpm, int step, int steps);

#endif
