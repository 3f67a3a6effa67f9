#define _POSIX_C_SOURCE 200809L
#include "infer/outputs.h"

#include "audio/soundfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *copy_of(const char *text)
{
    char *copy = malloc(strlen(text) + 1);
    if (copy)
        strcpy(copy, text);
    return copy;
}

static void folder_of(const char *path, char out[BL_PATH_MAX])
{
    const size_t n = (size_t)(bl_path_name(path) - path);
    if (n == 0)
        strcpy(out, ".");
    else
        snprintf(out, BL_PATH_MAX, "%.*s", (int)(n > 1 ? n - 1 : 1), path);
}

bl_status infer_outputs_check(const char *path, bl_error *err)
{
    char folder[BL_PATH_MAX];
    if (strlen(path) > BL_PATH_MAX - 64)
        return bl_fail(err, BL_EARG, "%.60s...: path longer than %d bytes", path, BL_PATH_MAX - 64);
    if (!*bl_path_name(path) || bl_is_folder(path))
        return bl_fail(err, BL_EIO, "%s: expected the name of a file, this is a folder", path);
    folder_of(path, folder);
    if (!bl_is_folder(folder))
        return bl_fail(err, BL_EIO, "%s: cannot write: there is no folder %s", path, folder);
    if (access(folder, W_OK | X_OK) != 0)
        return bl_fail(err, BL_EIO, "%s: cannot write: %s", path, strerror(errno));
    return BL_OK;
}

int infer_outputs_same(const char *a, const char *b)
{
    char in_a[BL_PATH_MAX], in_b[BL_PATH_MAX];
    struct stat x, y;
    if (strcmp(bl_path_name(a), bl_path_name(b)) != 0)
        return 0;
    folder_of(a, in_a);
    folder_of(b, in_b);
    return stat(in_a, &x) == 0 && stat(in_b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bl_status infer_outputs_folder(infer_outputs *o, const char *path, bl_error *err)
{
    char part[BL_PATH_MAX];
    const size_t n = strlen(path);
    if (n >= BL_PATH_MAX)
        return bl_fail(err, BL_EARG, "%.60s...: path too long", path);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        snprintf(part, sizeof part, "%.*s", (int)i, path);
        if (bl_is_folder(part))
            continue;
        if (mkdir(part, 0777) != 0)
            return bl_fail(err, BL_EIO, "%s: cannot make the folder: %s", part, strerror(errno));
        if (o->n_made < INFER_MAX_MADE && (o->made[o->n_made] = copy_of(part)))
            o->n_made++;
    }
    return access(path, W_OK | X_OK) == 0 ? BL_OK : bl_fail(err, BL_EIO, "%s: cannot write into it: %s", path, strerror(errno));
}

const char *infer_outputs_add(infer_outputs *o, const char *path, bl_error *err)
{
    bl_atomic a;
    if (o->n == INFER_MAX_OUTPUTS) {
        bl_fail(err, BL_EARG, "%s: more than %d files to write", path, INFER_MAX_OUTPUTS);
        return NULL;
    }
    for (int i = 0; i < o->n; i++)
        if (infer_outputs_same(o->file[i].path, path)) {
            bl_fail(err, BL_EARG, "%s: two of the files to be written have this name", path);
            return NULL;
        }
    if (bl_atomic_begin(&a, path, err) != BL_OK)
        return NULL;
    o->file[o->n].temporary = copy_of(a.temporary);
    o->file[o->n].path = copy_of(path);
    if (!o->file[o->n].temporary || !o->file[o->n].path) {
        free(o->file[o->n].temporary);
        free(o->file[o->n].path);
        bl_fail(err, BL_ENOMEM, "no memory");
        return NULL;
    }
    return o->file[o->n++].temporary;
}

bl_status infer_outputs_audio(infer_outputs *o, const char *path, const audio_clip *clip, bl_error *err)
{
    bl_error own = { 0 };
    const char *temporary = infer_outputs_add(o, path, err);
    if (!temporary)
        return err->code;
    if (audio_write(temporary, clip, AUDIO_ENCODING_DEFAULT, &own) == BL_OK)
        return BL_OK;
    /* the message names the temporary file; people know the other name */
    const size_t n = strlen(temporary);
    const char *rest = !strncmp(own.msg, temporary, n) ? own.msg + n : NULL;
    return rest ? bl_fail(err, own.code, "%s%s", path, rest) : bl_fail(err, own.code, "%s: %s", path, own.msg);
}

static void clear(infer_outputs *o)
{
    for (int i = 0; i < o->n; i++) {
        free(o->file[i].temporary);
        free(o->file[i].path);
    }
    for (int i = 0; i < o->n_made; i++)
        free(o->made[i]);
    memset(o, 0, sizeof *o);
}

bl_status infer_outputs_commit(infer_outputs *o, bl_error *err)
{
    for (int i = 0; i < o->n; i++)
        if (rename(o->file[i].temporary, o->file[i].path) != 0) {
            bl_fail(err, BL_EIO, "%s: cannot write: %s", o->file[i].path, strerror(errno));
            infer_outputs_abort(o);
            return BL_EIO;
        }
    clear(o);
    return BL_OK;
}

void infer_outputs_abort(infer_outputs *o)
{
    for (int i = 0; i < o->n; i++)
        unlink(o->file[i].temporary);
    for (int i = o->n_made - 1; i >= 0; i--)
        rmdir(o->made[i]); /* stays when somebody else put something there */
    clear(o);
}
