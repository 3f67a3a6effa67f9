/* A chord sheet: the chords of a song as people write them down, and its sections.
 *
 *     # Am all the way, but not quite
 *     [verse] x2
 *     (E7) Am | F | C | G/B
 *     Am | %  | F / / G | E7      x2
 *     [chorus]
 *     |: F G | Am :|
 *     N.C.
 *     [verse]                     the bars of the first [verse] again
 *
 * Bars      stand between | or line ends. Chords of one bar part it evenly, by whole beats where they can (three in a bar of four:
 *           two beats, one, one). / (or . or -) holds a chord for another share; % is the bar before again; x2 at the end of
 *           a line, and |: ... :| (x3), repeat; N.C. is silence. # begins a comment where it begins a word.
 * Sections  [name] begins one; x2 behind it plays it twice. A section without bars has those of the first one of its name.
 * Laying    The first bar lies on the first downbeat; without a chord in
 *           brackets its own reaches back to the song's start. Bar follows bar to the last downbeat,
 *           whose bar lasts to the end. A sheet that is shorter than the song begins again; one with sections goes
 *           on with its last section instead. What is longer is not played.
 * Writing   The other way about: bars of four to a line, a chord a beat at the most; what changes between beats is written at the next
 *           one. A sheet that was written lays the same chords, beat by beat.
 * Names     As music/chord.h reads them, with the signs of UTF-8 for flat and sharp.
 * Errors    parse: BL_EFORMAT with file, line and column, the word at fault and the nearest chord; no bars at all; more than
 *           MUSIC_SHEET_MAX_BARS. lay: BL_EARG: fewer than two beats. BL_ENOMEM.
 * Memory    parse and lay fill zeroed structs; release with their _free. write returns malloc'ed text, NULL on failure.
 * Tested    tests/music/test_chord_sheet.c
 */
#ifndef BL_MUSIC_CHORD_SHEET_H
#define BL_MUSIC_CHORD_SHEET_H

#include "music/score.h"

enum { MUSIC_SHEET_MAX_BARS = 4096 };

/* n shares of equal length, slots first .. first + n - 1. */
typedef struct music_sheet_bar { int first, n; } music_sheet_bar;

typedef struct music_sheet_section {
    int  first_bar;
    char name[32];
} music_sheet_section;

typedef struct music_chord_sheet {
    char               (*slots)[16];  int n_slots;     /* a chord's name; "": the one before is held */
    music_sheet_bar     *bars;        int n_bars;
    char                 pickup[16];  /* before the first bar; "": the first bar's chord   */
    music_sheet_section *sections;    int n_sections;  /* none, or the first from bar 0 on           */
} music_chord_sheet;

/* The song's beats. downbeats_s NULL: every beats_per_bar-th beat from the first. */
typedef struct music_sheet_grid {
    const double *beats_s, *downbeats_s;
    int           n_beats, n_downbeats, beats_per_bar;
    double        duration_s;
} music_sheet_grid;

typedef struct music_sheet_part { double start_s, end_s; char name[32]; } music_sheet_part;

typedef struct music_laid_sheet {
    music_chord_span *chords;   int n_chords;
    music_sheet_part *sections; int n_sections;
    int               n_song_bars;
} music_laid_sheet;

/* name: of the file, for messages. */
bl_status music_chord_sheet_parse(const char *text, const char *name, music_chord_sheet *sheet, bl_error *err);
void      music_chord_sheet_free(music_chord_sheet *sheet);

bl_status music_chord_sheet_lay(const music_chord_sheet *sheet, const music_sheet_grid *grid, music_laid_sheet *laid, bl_error *err);
void      music_laid_sheet_free(music_laid_sheet *laid);

char     *music_chord_sheet_write(const music_sheet_grid *grid, const music_chord_span *chords, int n_chords,
                                  const music_sheet_part *sections, int n_sections, const char *comment, bl_error *err);

#endif
