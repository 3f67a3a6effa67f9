/* A dataset: a folder of audio and metadata, in any of these layouts, also mixed and nested.
 *
 *     loose      ROOT/NAME.wav                                       one song per file
 *     genres     ROOT/rock/NAME.wav, ROOT/jazz/NAME.wav              as GTZAN; folders named after
 *                                                                    instruments label the instrument
 *     stems      ROOT/[genre/]song/{drums,bass,guitar}.flac          as MUSDB, Slakh (also its mix.flac,
 *                + mixture.*, vocals.*                               stems/S00.flac, metadata.yaml)
 *     nsynth     ROOT/examples.json + ROOT/audio/NAME.wav            one note per file
 *
 * Beside them, all optional: metadata.csv (columns file, genre, title, artist, album, release, duration,
 * timestamp, producer, instruments), NAME.json with the same keys, NAME.mid with the notes of NAME.wav.
 * docs/datasets.md has the details.
 *
 *     data_dataset *d = data_dataset_open("songs", &(data_dataset_options){ 0 }, &err);
 *     for (int i = 0; i < d->n_songs; i++) ... d->songs[i].stems[k].path ...
 *     const audio_clip *c = data_dataset_audio(d, path, 16000, &err);
 *     data_dataset_free(d);
 *
 * Order    Songs are sorted by name, stems by instrument name then file name: the same on every machine.
 * Split    By a hash of the song's name (NSynth: of the instrument), so all tones of one recording stay
 *          on one side; folders called train, valid, validation, test decide for what is in them. Of the songs of
 *          one genre (those with a mixture, and the others) at least one is on either side when there are two.
 * Errors   BL_EIO: no such folder. BL_EFORMAT: nothing usable in it, or metadata.csv malformed (with line).
 *          A broken audio file, sidecar or MIDI file is no error: it goes to `skipped` with its reason.
 * Memory   data_dataset_open returns a dataset; release with data_dataset_free (NULL allowed). Audio is
 *          loaded when asked for and kept while max_cache_mb lasts. Everything the struct points to is
 *          borrowed from it.
 * Threads  One thread at a time.
 */
#ifndef BL_DATA_DATASET_H
#define BL_DATA_DATASET_H

#include "audio/clip.h"
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum data_layout { DATA_LOOSE, DATA_GENRES, DATA_STEMS, DATA_NSYNTH, DATA_N_LAYOUTS } data_layout;
typedef enum data_split { DATA_TRAIN, DATA_VALIDATION } data_split;

typedef struct data_metadata {
    const char *title, *artist, *album, *release, *timestamp, *producer; /* "" when not given      */
    double      duration_s;                                             /* 0 when not given       */
    const int  *instruments;                                            /* ids, named in metadata */
    int         n_instruments;
} data_metadata;

typedef struct data_stem {
    const char *path, *name;  /* name: file name without extension                                 */
    int         instrument;   /* id of data/instruments.h, -1 unknown ("other")                    */
    const char *midi_path;    /* NAME.mid beside the file, NULL when there is none                 */
    int         pitch, velocity; /* of the one note in the file (NSynth), -1 when not known        */
    double      duration_s;   /* from the file's header, 0 when not looked at                      */
} data_stem;

typedef struct data_song {
    const char   *name;       /* unique: path below the dataset, without extension                 */
    const char   *path;       /* the file or the song's folder                                     */
    const char   *group;      /* what the split hashes: name, or the NSynth instrument             */
    data_layout   layout;
    int           genre;      /* index into data_dataset.genres, -1 unknown                        */
    data_split    split;
    data_metadata metadata;
    data_stem    *stems;      /* tracks; for a file whose one instrument is known, that file       */
    int           n_stems;
    const char   *mixture;    /* the whole song as one file, NULL when there are only stems        */
    const char   *vocals;     /* the voice alone, NULL when there is none (also among stems)       */
    const char   *midi_path;  /* notes of the whole song, a track per instrument; NULL none        */
    double        duration_s; /* of the longest file                                               */
} data_song;

typedef struct data_skipped {
    const char *path, *reason;
} data_skipped;

typedef struct data_dataset_options {
    double validation;        /* share of validation songs; 0 means 0.15, negative none            */
    int    max_cache_mb;      /* decoded audio kept in memory; 0 means 256                         */
    double max_file_s;        /* longer files are skipped; 0 means 1800                            */
    int    no_headers;        /* do not look at the files' headers at open                         */
    void (*on_skip)(void *user, const char *path, const char *reason); /* may be NULL              */
    void  *user;
} data_dataset_options;

typedef struct data_dataset {
    const char  *path;
    data_song   *songs;
    int          n_songs;
    const char **genres;      /* sorted, normalised                                                */
    int          n_genres;
    data_skipped *skipped;
    int          n_skipped;
    int          layout_count[DATA_N_LAYOUTS]; /* songs of each layout                             */
    int          unmatched_rows;               /* rows of metadata.csv that named no file          */
    struct data_dataset_private *private_;
} data_dataset;

data_dataset *data_dataset_open(const char *path, const data_dataset_options *options, bl_error *err);
void          data_dataset_free(data_dataset *dataset);

/* Index into dataset->genres, -1 when absent. */
int data_dataset_genre(const data_dataset *dataset, const char *name);

/* Decoded audio of one file, mono and at sample_rate (0: as it is, all channels). Borrowed: valid until the next call
 * with this dataset. NULL with err set; the file is then also in `skipped`, once. */
const audio_clip *data_dataset_audio(data_dataset *dataset, const char *path, int sample_rate, bl_error *err);

/* Decodes n files at once on all cores, for data_dataset_audio to find; ask for no more than the cache holds. Files that
 * cannot be read are left for data_dataset_audio to report. */
void data_dataset_prefetch(data_dataset *dataset, const char *const *paths, int n, int sample_rate);

/* The whole song as one mono signal at sample_rate: the mixture, or the sum of the stems. Release with audio_clip_free.
 * bl_status is not BL_OK when nothing of it could be read. */
bl_status data_song_audio(data_dataset *dataset, const data_song *song, int sample_rate, audio_clip *out, bl_error *err);

/* Adds to dataset->skipped (once per path) and calls on_skip; for readers that find out later. */
void data_dataset_skip(data_dataset *dataset, const char *path, const char *reason);

/* What is in a dataset. levels != 0 decodes every file for peak, level, clipping and silence. */
typedef struct data_summary {
    int     n_songs, n_train, n_validation, n_files, n_skipped, n_annotated, n_without_genre;
    double  seconds;                /* of songs                                                    */
    double  stem_seconds;           /* of all stems                                                */
    int    *genre_songs;            /* [n_genres]                                                  */
    double *genre_seconds;          /* [n_genres]                                                  */
    int    *instrument_stems;       /* [data_instrument_count()]                                   */
    double *instrument_seconds;     /* [data_instrument_count()]                                   */
    int     n_unknown_stems;
    int     n_clipped, n_silent, n_not_finite;   /* files; with levels                             */
    double  peak_db, mean_level_db; /* dBFS over all files; with levels                            */
    int     has_levels;
} data_summary;

bl_status data_dataset_check(data_dataset *dataset, int levels, data_summary *summary, bl_error *err);
void      data_summary_free(data_summary *summary);
void      data_summary_print(const data_dataset *dataset, const data_summary *summary, FILE *out);

#endif
