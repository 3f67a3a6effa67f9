/* What the user knows better than the analysis: options of infer and listen that put parts into the plan before the song
 * is heard. They outrank a plan file, which outranks the ears; what follows from a part that an option changes is worked
 * out afresh.
 *
 *     --plan REPORT.json   an earlier report, edited or not (infer/plan.h)
 *     --bpm X              a steady tempo; where its beats lie is looked for
 *     --beats FILE         the beats: a time in seconds a line, and after it, if it is known, the beat's number in its bar
 *                          (1: downbeat), parted by blanks, a comma, a semicolon or a tab. Blank lines and lines that begin
 *                          with # are skipped, and a .csv may have a line of titles
 *     --meter N            beats in a bar
 *     --tempo half|double  half or twice the tempo that was heard, or that the plan has
 *     --key K              the key
 *     --chords FILE        a chord sheet (music/chord_sheet.h), laid over the bars when these are known
 *
 * Errors   _check: BL_EARG for what is wrong whatever the song: values out of range, options that exclude each other.
 *          _apply: what reading the files says; a beats file is named with the line at fault (BL_EFORMAT): no number, times
 *          that do not rise by 50 ms or more, fewer than two, beat numbers on some lines only, or none that is 1.
 * Memory   Borrows the options. The plan belongs to the caller.
 * Tested   tests/infer/test_overrides.c
 */
#ifndef BL_INFER_OVERRIDES_H
#define BL_INFER_OVERRIDES_H

#include "infer/plan.h"

typedef struct infer_overrides {
    const char *plan, *beats, *key, *tempo, *chords; /* NULL: not given */
    double      bpm;                        /* 0: not given    */
    int64_t     meter;                      /* 0: not given    */
} infer_overrides;

bl_status infer_overrides_check(const infer_overrides *o, bl_error *err);

/* Fills an empty plan. */
bl_status infer_overrides_apply(const infer_overrides *o, infer_plan *plan, bl_error *err);

/* What the tempo that will be heard is to be multiplied by: 1, 0.5 or 2. A plan's own has been changed by _apply. */
double    infer_overrides_tempo_factor(const infer_overrides *o);

/* A beats file into the plan: beats, tempo, and where beat numbers are given meter and downbeats. */
bl_status infer_read_beats(const char *path, infer_plan *plan, bl_error *err);

/* Every other beat from the one with index `keep` % 2 on, or one more in the middle between every two. The array grows or
 * shrinks; *n follows. */
void      infer_halve_beats(double *beats_s, int *n, int keep);
bl_status infer_double_beats(double **beats_s, int *n, bl_error *err);

#endif
