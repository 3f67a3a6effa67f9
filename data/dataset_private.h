/* What the parts of the dataset reader share: dataset.c (the walk, order and split), dataset_names.c (what names say),
 * dataset_songs.c (files to songs), dataset_audio.c (decoding and the cache), dataset_check.c (the summary). */
#ifndef BL_DATA_DATASET_PRIVATE_H
#define BL_DATA_DATASET_PRIVATE_H

#include "base/file.h"
#include "data/dataset.h"
#include "data/metadata.h"

#include <sys/types.h>

typedef struct data_cached {
    char      *path;
    int        sample_rate;   /* as asked for           */
    audio_clip clip;
    uint64_t   used;          /* time of the last use   */
} data_cached;

typedef struct data_folder_id {
    dev_t device;
    ino_t inode;
} data_folder_id;

struct data_dataset_private {
    data_dataset_options options;
    data_pool      pool;
    data_table    *tables;
    int            n_tables;
    const char   **song_genres;   /* [n_songs], normalised name or NULL; before genres are sorted */
    int           *song_splits;   /* [n_songs], -1: not decided by a folder                       */
    int            songs_capacity;
    data_folder_id *visited;
    int            n_visited, visited_capacity;
    int            skipped_capacity;
    data_cached   *cache;
    int            n_cached, cache_capacity;
    int64_t        cached_bytes;
    uint64_t       clock;
    const char    *first_unmatched; /* "metadata.csv line 7: x.wav" */
};

/* Where the walk is and what the folders above say. */
typedef struct data_place {
    const char *path;
    const char *rel;        /* below the dataset, "" at its root                */
    int         depth;
    const char *genre;      /* normalised, NULL unknown                         */
    int         instrument; /* -1 unknown                                       */
    int         split;      /* -1: not decided                                  */
} data_place;

typedef struct data_listing {
    char **names;           /* of the folder, sorted                            */
    int    n_names;
    char **sounds, **folders; /* pointers into names                            */
    int    n_sounds, n_folders;
    int    has_stems, has_nsynth;
    const char *csv;        /* name of metadata.csv as it is spelled, or NULL   */
} data_listing;

typedef enum data_sound_kind { KIND_UNKNOWN, KIND_INSTRUMENT, KIND_MIXTURE, KIND_OTHER } data_sound_kind;

typedef struct data_nsynth_walk {
    data_dataset     *dataset;
    const data_place *at;
} data_nsynth_walk;

/* dataset.c */
double      data_max_file_s(const data_dataset *dataset);
const char *data_keep(data_dataset *dataset, const char *text);           /* copy in the pool            */
bl_status   data_no_memory(const data_dataset *dataset, bl_error *err);   /* records it, returns BL_ENOMEM */

/* dataset_names.c */
int             data_is_one_of(const char *word, const char *const *list); /* NULL-terminated; any case  */
void            data_without_extension(const char *name, char out[BL_PATH_MAX]);
data_sound_kind data_sound_kind_of(const char *file, int *instrument);
int             data_split_of_folder(const char *name);                   /* data_split or -1            */
int             data_is_generic_name(const char *name);                   /* "audio", "songs", ...       */
bl_status       data_listing_read(const char *path, data_listing *listing, bl_error *err);
void            data_listing_free(data_listing *listing);
int             data_is_song_folder(const data_place *at, const data_listing *listing);

/* dataset_songs.c */
bl_status data_add_loose(data_dataset *dataset, const data_place *at, const char *file, bl_error *err);
bl_status data_add_song_folder(data_dataset *dataset, const data_place *at, const data_listing *listing, bl_error *err);
bl_status data_add_nsynth_note(void *walk, const data_nsynth_note *note, bl_error *err);
void      data_report_unknown(data_dataset *dataset, const char *where, int line, const char *name);

#endif
