/* Several files that appear together or not at all: each is written under a temporary name beside its place and renamed
 * once all of them are complete.
 *
 *     infer_outputs out = { 0 };
 *     infer_outputs_audio(&out, "song.wav", &mix, &err);
 *     infer_outputs_commit(&out, &err);    // or
 *     infer_outputs_abort(&out);           // leaves nothing behind, folders made on the way included
 *
 * Errors   BL_EIO naming the file and the reason; BL_EARG: the same file twice; BL_ENOMEM. After a failed commit everything that was not renamed yet is
 *          removed, and the message says which file it was.
 */
#ifndef BL_INFER_OUTPUTS_H
#define BL_INFER_OUTPUTS_H

#include "audio/clip.h"
#include "base/file.h"

enum { INFER_MAX_OUTPUTS = 96, INFER_MAX_MADE = 16 };

typedef struct infer_outputs {
    struct { char *temporary, *path; } file[INFER_MAX_OUTPUTS];
    int   n;
    char *made[INFER_MAX_MADE];   /* folders, outermost first */
    int   n_made;
} infer_outputs;

/* Whether a file can be written there: the folder exists and is writable, the path is no folder. Looks only. */
bl_status infer_outputs_check(const char *path, bl_error *err);

/* Whether two paths, in folders that exist, name one file ("r.json" and "./r.json"). */
int infer_outputs_same(const char *a, const char *b);

/* Makes a folder (and its parents) for later files. */
bl_status infer_outputs_folder(infer_outputs *o, const char *path, bl_error *err);

/* The name to write to instead of path; NULL on failure. Borrowed from o. */
const char *infer_outputs_add(infer_outputs *o, const char *path, bl_error *err);

bl_status infer_outputs_audio(infer_outputs *o, const char *path, const audio_clip *clip, bl_error *err);

bl_status infer_outputs_commit(infer_outputs *o, bl_error *err);
void      infer_outputs_abort(infer_outputs *o);

#endif
