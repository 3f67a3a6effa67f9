/* Weights of ours for other programs; the interface stands in nn/import.h. */
#include "nn/import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct export {
    const nn_checkpoint *from;
    const char          *prefix;
    nn_checkpoint       *to;
    int                  n;
    bl_error            *err;
} export;

static int export_one(void *user, const char *name, nn_dtype type, int rank, const int64_t *dims)
{
    static const char *const not_weights[] = { "optimizer/", "average/", "random/", "train/" };
    export *ex = user;
    char key[320];
    if (strncmp(name, ex->prefix, strlen(ex->prefix)))
        return 0;
    for (size_t i = 0; i < sizeof not_weights / sizeof *not_weights && !*ex->prefix; i++)
        if (!strncmp(name, not_weights[i], strlen(not_weights[i])))
            return 0;
    snprintf(key, sizeof key, "%s", name + strlen(ex->prefix));
    for (char *c = key; *c; c++)
        *c = *c == '/' ? '.' : *c;
    void *data = nn_checkpoint_get(ex->from, name, type, rank, dims, NULL, ex->err);
    if (!data || nn_checkpoint_put(ex->to, key, type, rank, dims, data, ex->err) != BL_OK) {
        free(data);
        return 1;
    }
    free(data);
    ex->n++;
    return 0;
}

bl_status nn_export_state_dict(const nn_checkpoint *from, const char *prefix, const char *path, bl_error *err)
{
    export ex = { from, prefix, nn_checkpoint_create(path, "state_dict", err), 0, err };
    if (!ex.to)
        return err->code;
    if (nn_checkpoint_each(from, export_one, &ex) == 0 && ex.n > 0)
        return nn_checkpoint_commit(ex.to, err);
    nn_checkpoint_free(ex.to);
    return ex.n ? err->code : bl_fail(err, BL_EARG, "%s: nothing in it starts with \"%s\"", nn_checkpoint_path(from), prefix);
}
