/* The whole chain: a recording becomes a song with a band. What bin/infer does, as a function.
 *
 *     read -> separate -> genre -> listen -> validate -> chords, arrange -> tracks -> tones -> spectrogram,
 *     temporal, audio (per stem) -> mix -> write
 *
 * Each stage is one file of infer/; this one runs them in order, takes their times and keeps stdout and stderr. All files
 * appear together at the end, or none.
 *
 * Errors   BL_EARG for options that cannot be, else what the stages say; BL_ESTOP when interrupted.
 * Memory   Borrows the options. *plan (zeroed before) receives the report; release with infer_plan_free; it may be NULL.
 * Cost     60 s of a stereo voice with three instruments: 15 s of processor time, on all cores; 300 MB.
 * Tested   tests/infer/test_pipeline.c, tests/infer/test_programs.c
 */
#ifndef BL_INFER_PIPELINE_H
#define BL_INFER_PIPELINE_H

#include "infer/overrides.h"

typedef struct infer_options {
    const char *from_midi;          /* NULL, or the arrangement; then song may be NULL */
    const char *song, *out;         /* files; out NULL: nothing is played, the plan (report, midi) is all */
    const char *config, *model;     /* NULL: none; models/ beside bin/, or here  */
    const char *genre, *instruments; /* NULL: found out                          */
    infer_overrides overrides;      /* tempo, beats, bars, key; the plan         */
    const char *const *intervals;   /* "10-20.5", "1:05-1:20", "30-" (to the end) */
    int         n_intervals;
    const char *existing;           /* "keep", "drop"; NULL: keep                */
    const char *stems, *midi, *report, *picture, *write_chords; /* NULL: not wanted      */
    const char *cache;              /* a folder; NULL: $XDG_CACHE_HOME/backline   */
    int         no_cache;
    int64_t     seed;               /* -1: the plan's, else 1                    */
    int         threads;            /* 0: all                                    */
    int         dry, force, quiet;
} infer_options;

bl_status infer_pipeline_run(const infer_options *options, infer_plan *plan, bl_error *err);

/* "10-20.5", "1:05-1:20", "-12", "30-": BL_EARG with what came. An open end is HUGE_VAL. */
bl_status infer_parse_interval(const char *text, music_interval *out, bl_error *err);

/* Where models lie when nobody says: models beside the program's folder, else ./models. */
bl_status infer_default_models(char *out, bl_error *err);

#endif
