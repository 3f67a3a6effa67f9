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

#endif
