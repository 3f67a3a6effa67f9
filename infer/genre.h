/* A genre is a file, configs/styles/GENRE.ini. Where something else (a table, a checkpoint) has never heard of the genre, the
 * one that the file names takes its place: "like = rock", and then what rock's own file names, and so on. A genre
 * without a file is in all respects like the one that configs/genres.ini names for it. A file without "like" whose
 * "genre" is still that of the file it was copied from is like that one.
 *
 *     char sounds[64];
 *     if (infer_genre_known("blues", synthesizer_knows, generator, sounds, &err) == 1) ... // sounds is "rock"
 *
 * Names     Normalised (data_genre_normalise): lower case, blanks. The file of "synth wave" may be called "synth wave.ini",
 *           "synth-wave.ini" or "synth_wave.ini".
 * Tested    tests/infer/test_genre.c
 */
#ifndef BL_INFER_GENRE_H
#define BL_INFER_GENRE_H

#include "base/error.h"
#include "base/file.h"

enum { INFER_GENRE_NAME = 64 };

/* The style file that plays a genre: its path and the genre it was written for ("disco" for funk). BL_EARG when there is none, with
 * the nearest genre that has one. */
bl_status infer_genre_style(const char *genre, char path[BL_PATH_MAX], char style[INFER_GENRE_NAME], bl_error *err);

/* The first of genre, what it is like, what that is like, ... which somebody knows. Returns 1 when one is, 0 when none
 * is (known is then ""), -1 on an error: a file that cannot be read, a circle. */
typedef int (*infer_genre_knows)(const void *who, const char *genre);
int infer_genre_known(const char *genre, infer_genre_knows knows, const void *who, char known[INFER_GENRE_NAME], bl_error *err);

/* infer_genre_known for the sections of a file that comes with backline, as configs/harmony.ini: 1 when the file has the section. */
int infer_genre_section(const char *genre, const char *file, char known[INFER_GENRE_NAME], bl_error *err);

#endif
