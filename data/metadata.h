/* What people write beside their audio: metadata.csv, NAME.json, Slakh's metadata.yaml.
 *
 * CSV      comma separated, one header line; fields in double quotes may hold commas, line ends and "" for a quote;
 *          a UTF-8 byte order mark and CRLF are fine, empty lines are skipped, names of columns in any case and
 *          order, unknown columns ignored. `file` is required. instruments: names separated by ';'.
 *          duration: seconds or m:ss.
 * JSON     one object with the same keys; instruments a list of names or one text.
 * Errors   Every message names the file, and the line where there is one. Files over 64 MiB are refused.
 * Memory   All text lives in the pool.
 */
#ifndef BL_DATA_METADATA_H
#define BL_DATA_METADATA_H

#include "base/arena.h"
#include "data/dataset.h"

/* Texts packed one behind the other (an arena alone would spend 64 bytes on each). */
typedef struct data_pool {
    bl_arena arena;
    char    *chunk;
    size_t   left;
} data_pool;

/* A copy of the first n bytes of text; NULL when there is no memory. */
const char *data_pool_text(data_pool *pool, const char *text, size_t n);

typedef struct data_row {
    const char   *file;      /* as written, '\' replaced by '/', "./" and an audio extension taken off */
    const char   *genre;     /* as written; "" none                                                   */
    data_metadata metadata;
    const char   *unknown;   /* first instrument name that is not known, NULL none                    */
    int           line, matched;
} data_row;

typedef struct data_table {
    const char *path;        /* of the CSV file                                                       */
    const char *folder;      /* rows are relative to it                                               */
    data_row   *rows;        /* sorted by file; malloc'ed, release with free                          */
    int         n_rows;
} data_table;

bl_status data_table_read(const char *path, data_pool *pool, data_table *table, bl_error *err);

/* Row whose file is `file` (extension of audio files ignored), NULL when none. */
data_row *data_table_find(const data_table *table, const char *file);

/* Removes "./" in front and the extension of a sound file; out gets at most size bytes. */
void data_row_key(const char *file, char *out, size_t size);

bl_status data_sidecar_read(const char *path, data_pool *pool, data_row *row, bl_error *err);

/* Slakh: instrument of stem "S00" from metadata.yaml; -1 when not named there. text: the file. */
int data_slakh_instrument(const char *text, const char *stem);

/* NSynth's examples.json, note by note in file order; fn returns not BL_OK to stop. */
typedef struct data_nsynth_note {
    const char *name, *instrument, *family, *source;
    int         pitch, velocity;
} data_nsynth_note;
bl_status data_nsynth_read(const char *path, bl_status (*fn)(void *user, const data_nsynth_note *note, bl_error *err),
                           void *user, bl_error *err);

#endif
