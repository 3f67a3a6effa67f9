/* Checkpoints on HDF5. The only file that includes hdf5.h.
 *
 * Writing happens in memory (HDF5's core driver) and the finished image goes to disk in one atomic step, so a full
 * disk or a kill can never meet a half-open HDF5 file. Reading checks a checksum over the bytes of the whole file
 * before HDF5 sees any of them (checkpoint_sum.c): the library was not made for damaged input.
 *
 * Texts are variable-length strings: those live in HDF5's heap and so have no 64 KB limit.
 * Over 600 lines, because no second file shall know HDF5.
 */
#include "nn/checkpoint.h"

#include "base/cli.h"
#include "base/file.h"
#include "nn/checkpoint_sum.h"

#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FORMAT_VERSION = 1,
    MAX_RANK = NN_CHECKPOINT_RANK,
    MAX_NAME = 256,
    MAX_TEXTS = 1 << 20,
    MAX_DEFLATE = 1032, /* how much smaller a compressed dataset can be */
    CORE_INCREMENT = 1 << 20
};

static const char kind_name[] = "kind", version_name[] = "format_version", checksum_name[] = "checksum";

/* The bytes of a file written by the core driver; HDF5 hands them over when it closes the file. */
typedef struct image {
    unsigned char *bytes;
    size_t         n_bytes; /* allocated */
} image;

typedef struct entry {
    char    *name;
    nn_dtype type;
    int      rank;
    int64_t  dims[MAX_RANK];
} entry;

struct nn_checkpoint {
    char    *path, *kind;
    hid_t    file;
    int      writing;
    int      foreign;   /* reading: another program's file                          */
    bl_error first;     /* writing: the failure after which every call does nothing */
    image    image;     /* writing                                                  */
    int64_t  n_bytes;   /* reading: size of the file                                */
    entry   *entries;   /* reading: all datasets, sorted by name                    */
    int      n, capacity;
};

static const struct {
    const char *name;
    size_t      size;
} types[] = { { "float32", 4 }, { "float64", 8 }, { "int64", 8 } };

static hid_t memory_type(nn_dtype type)
{
    return type == NN_F32 ? H5T_NATIVE_FLOAT : type == NN_F64 ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64;
}

static hid_t file_type(nn_dtype type)
{
    return type == NN_F32 ? H5T_IEEE_F32LE : type == NN_F64 ? H5T_IEEE_F64LE : H5T_STD_I64LE;
}

static char *copy(const char *text)
{
    const size_t n = strlen(text) + 1;
    char *p = malloc(n);
    if (p)
        memcpy(p, text, n);
    return p;
}

static const char *article(const char *word)
{
    return strchr("aeiou", word[0]) && word[0] ? "an" : "a";
}

/* "[2, 3]", with "any" for -1. */
static const char *dims_text(int rank, const int64_t *dims, char out[128])
{
    int n = snprintf(out, 128, "[");
    for (int i = 0; i < rank && n < 100; i++)
        n += dims[i] < 0 ? snprintf(out + n, (size_t)(128 - n), "%sany", i ? ", " : "")
                         : snprintf(out + n, (size_t)(128 - n), "%s%lld", i ? ", " : "", (long long)dims[i]);
    snprintf(out + n, (size_t)(128 - n), "]");
    return out;
}

static void quiet(void)
{
    H5open();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static nn_checkpoint *new_checkpoint(const char *path, bl_error *err)
{
    nn_checkpoint *c = calloc(1, sizeof *c);
    if (c) {
        c->file = H5I_INVALID_HID;
        c->path = copy(path);
    }
    if (!c || !c->path) {
        nn_checkpoint_free(c);
        bl_fail(err, BL_ENOMEM, "%s: no memory for the checkpoint", path);
        return NULL;
    }
    return c;
}

/* ---- writing ---- */

static void *image_malloc(size_t size, H5FD_file_image_op_t op, void *user)
{
    (void)op;
    (void)user;
    return malloc(size);
}

static void *image_memcpy(void *to, const void *from, size_t size, H5FD_file_image_op_t op, void *user)
{
    (void)op;
    (void)user;
    return memcpy(to, from, size);
}

static void *image_realloc(void *bytes, size_t size, H5FD_file_image_op_t op, void *user)
{
    image *im = user;
    (void)op;
    void *bigger = realloc(bytes, size);
    if (bigger)
        im->n_bytes = size;
    return bigger;
}

/* Closing does not free the bytes: they are what we came for. */
static herr_t image_free(void *bytes, H5FD_file_image_op_t op, void *user)
{
    image *im = user;
    if (op == H5FD_FILE_IMAGE_OP_FILE_CLOSE)
        im->bytes = bytes;
    else
        free(bytes);
    return 0;
}

static void *user_copy(void *user)
{
    return user;
}

static herr_t user_free(void *user)
{
    (void)user;
    return 0;
}

static hid_t create_in_memory(nn_checkpoint *c)
{
    H5FD_file_image_callbacks_t callbacks = { image_malloc, image_memcpy, image_realloc, image_free,
                                              user_copy, user_free, &c->image };
    char name[64]; /* unique, and no file: HDF5 would read it first */
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), file = H5I_INVALID_HID;
    snprintf(name, sizeof name, "/dev/null/%p", (void *)c);
    if (access >= 0 && H5Pset_fapl_core(access, CORE_INCREMENT, 0) >= 0 &&
        H5Pset_file_image_callbacks(access, &callbacks) >= 0)
        file = H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (access >= 0)
        H5Pclose(access);
    return file;
}

/* Records a failure in the checkpoint and in err. */
static bl_status put_failed(nn_checkpoint *c, bl_error *err, bl_status code, const char *what, const char *name)
{
    bl_fail(&c->first, code, "%s: %s \"%s\"", c->path, what, name);
    return bl_fail(err, c->first.code, "%s", c->first.msg);
}

static int may_put(const nn_checkpoint *c, bl_error *err)
{
    if (c && c->writing && !c->first.code)
        return 1;
    if (c && c->first.code)
        bl_fail(err, c->first.code, "%s", c->first.msg);
    return 0;
}

static bl_status put_attribute(nn_checkpoint *c, const char *name, hid_t type, hid_t space, const void *data,
                               bl_error *err)
{
    hid_t a = H5I_INVALID_HID;
    int ok = type >= 0 && space >= 0;
    if (ok && H5Aexists(c->file, name) > 0)
        ok = 0;
    if (ok) {
        a = H5Acreate2(c->file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
        ok = a >= 0 && (!data || H5Awrite(a, type, data) >= 0);
    }
    if (a >= 0)
        H5Aclose(a);
    return ok ? BL_OK : put_failed(c, err, BL_EARG, "cannot add the attribute", name);
}

static hid_t text_type(void)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    if (type >= 0 && (H5Tset_size(type, H5T_VARIABLE) < 0 || H5Tset_cset(type, H5T_CSET_UTF8) < 0)) {
        H5Tclose(type);
        return H5I_INVALID_HID;
    }
    return type;
}

/* The attribute comes first of all, so that its digits stand near the start of the file. */
static bl_status put_empty_checksum(nn_checkpoint *c, bl_error *err)
{
    const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, NN_CHECKPOINT_SUM_LENGTH);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    const bl_status status = put_attribute(c, checksum_name, type, space, nn_checkpoint_sum_blank, err);
    H5Tclose(type);
    H5Sclose(space);
    return status;
}

nn_checkpoint *nn_checkpoint_create(const char *path, const char *kind, bl_error *err)
{
    quiet();
    nn_checkpoint *c = new_checkpoint(path, err);
    if (!c)
        return NULL;
    c->writing = 1;
    c->file = create_in_memory(c);
    if (c->file < 0 || !(c->kind = copy(kind))) {
        bl_fail(err, BL_ENOMEM, "%s: no memory for the checkpoint", path);
        nn_checkpoint_free(c);
        return NULL;
    }
    if (put_empty_checksum(c, err) != BL_OK || nn_checkpoint_put_int(c, version_name, FORMAT_VERSION, err) != BL_OK ||
        nn_checkpoint_put_text(c, kind_name, kind, err) != BL_OK ||
        nn_checkpoint_put_text(c, "backline_version", bl_version, err) != BL_OK) {
        nn_checkpoint_free(c);
        return NULL;
    }
    return c;
}

static int valid_name(const char *name)
{
    const size_t n = strlen(name);
    return n > 0 && n < MAX_NAME && name[0] != '/' && name[n - 1] != '/' && !strstr(name, "//");
}

bl_status nn_checkpoint_put(nn_checkpoint *c, const char *name, nn_dtype type, int rank, const int64_t *dims,
                            const void *data, bl_error *err)
{
    hsize_t size[MAX_RANK];
    hid_t space = H5I_INVALID_HID, link = H5I_INVALID_HID, create = H5I_INVALID_HID, set = H5I_INVALID_HID;
    int64_t n = 1;

    if (!may_put(c, err))
        return c ? c->first.code : BL_EARG;
    if (!valid_name(name) || rank < 0 || rank > MAX_RANK)
        return put_failed(c, err, BL_EARG, "not a name and rank for a dataset:", name);
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return put_failed(c, err, BL_EARG, "a negative size for", name);
        size[i] = (hsize_t)dims[i];
        n *= dims[i];
    }
    space = rank ? H5Screate_simple(rank, size, NULL) : H5Screate(H5S_SCALAR);
    link = H5Pcreate(H5P_LINK_CREATE);
    create = H5Pcreate(H5P_DATASET_CREATE);
    /* No times: the same content gives the same bytes. */
    int ok = space >= 0 && link >= 0 && create >= 0 && H5Pset_create_intermediate_group(link, 1) >= 0 &&
             H5Pset_obj_track_times(create, 0) >= 0 && H5Pset_fill_time(create, H5D_FILL_TIME_NEVER) >= 0;
    if (ok) {
        set = H5Dcreate2(c->file, name, file_type(type), space, link, create, H5P_DEFAULT);
        ok = set >= 0 && (n == 0 || H5Dwrite(set, memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    }
    if (set >= 0)
        H5Dclose(set);
    if (create >= 0)
        H5Pclose(create);
    if (link >= 0)
        H5Pclose(link);
    if (space >= 0)
        H5Sclose(space);
    return ok ? BL_OK : put_failed(c, err, BL_ENOMEM, "no memory, or given twice: dataset", name);
}

bl_status nn_checkpoint_put_text(nn_checkpoint *c, const char *attribute, const char *text, bl_error *err)
{
    if (!may_put(c, err))
        return c ? c->first.code : BL_EARG;
    const hid_t type = text_type(), space = H5Screate(H5S_SCALAR);
    const bl_status status = put_attribute(c, attribute, type, space, &text, err);
    H5Tclose(type);
    H5Sclose(space);
    return status;
}

bl_status nn_checkpoint_put_int(nn_checkpoint *c, const char *attribute, int64_t value, bl_error *err)
{
    if (!may_put(c, err))
        return c ? c->first.code : BL_EARG;
    const hid_t space = H5Screate(H5S_SCALAR);
    const bl_status status = put_attribute(c, attribute, H5T_NATIVE_INT64, space, &value, err);
    H5Sclose(space);
    return status;
}

bl_status nn_checkpoint_put_texts(nn_checkpoint *c, const char *attribute, const char *const *texts, int n, bl_error *err)
{
    if (!may_put(c, err))
        return c ? c->first.code : BL_EARG;
    const hsize_t size = (hsize_t)n;
    const hid_t type = text_type(), space = H5Screate_simple(1, &size, NULL);
    const bl_status status = put_attribute(c, attribute, type, space, n ? texts : NULL, err);
    H5Tclose(type);
    H5Sclose(space);
    return status;
}

bl_status nn_checkpoint_commit(nn_checkpoint *c, bl_error *err)
{
    if (!c)
        return err && err->code ? err->code : BL_EARG;
    bl_status status = c->first.code;
    if (status) {
        bl_fail(err, status, "%s", c->first.msg);
    } else {
        ssize_t n = -1;
        int ok = H5Fflush(c->file, H5F_SCOPE_GLOBAL) >= 0 && (n = H5Fget_file_image(c->file, NULL, 0)) > 0;
        ok = H5Fclose(c->file) >= 0 && ok;
        c->file = H5I_INVALID_HID;
        if (ok && c->image.bytes && (size_t)n <= c->image.n_bytes)
            status = nn_checkpoint_sum_stamp(c->image.bytes, (size_t)n)
                         ? bl_write_file(c->path, c->image.bytes, (size_t)n, err)
                         : bl_fail(err, BL_EFORMAT, "%s: the checkpoint has no place for its checksum", c->path);
        else
            status = bl_fail(err, BL_ENOMEM, "%s: no memory for the checkpoint", c->path);
    }
    nn_checkpoint_free(c);
    return status;
}

/* ---- reading ---- */

/* The element type of a dataset, -1 when it is none of ours. Of a foreign file any number is taken, in the next wider type
 * of ours, into which HDF5 converts. */
static int type_of(hid_t set, int foreign)
{
    const hid_t type = H5Dget_type(set);
    int found = -1;
    if (foreign && H5Tget_class(type) == H5T_FLOAT)
        found = H5Tget_size(type) <= 4 ? NN_F32 : NN_F64;
    else if (foreign && H5Tget_class(type) == H5T_INTEGER)
        found = NN_I64;
    for (int t = NN_F32; t <= NN_I64 && !foreign; t++)
        if (H5Tequal(type, file_type((nn_dtype)t)) > 0)
            found = t;
    H5Tclose(type);
    return found;
}

/* Whether n values stand in this file as they must: ours plain, a foreign one's perhaps in compressed pieces, but never in
 * other files. So no size is believed that the file cannot hold. */
static int is_stored(const nn_checkpoint *c, hid_t set, int64_t n)
{
    const hid_t create = H5Dget_create_plist(set), type = H5Dget_type(set);
    const H5D_layout_t layout = H5Pget_layout(create);
    const hsize_t stored = H5Dget_storage_size(set), plain = (hsize_t)n * H5Tget_size(type);
    const int here = layout != H5D_VIRTUAL && H5Pget_external_count(create) == 0;
    H5Pclose(create);
    H5Tclose(type);
    if (n == 0 || !here)
        return here;
    return stored == plain || (c->foreign && layout == H5D_CHUNKED && plain / MAX_DEFLATE <= stored && stored > 0);
}

typedef struct walk {
    nn_checkpoint *c;
    bl_error      *err;
} walk;

/* Checks rank, type and size of one dataset and puts it into the table. */
static herr_t add_entry(walk *w, hid_t set, const char *name)
{
    nn_checkpoint *c = w->c;
    const hid_t space = H5Dget_space(set);
    const int rank = H5Sget_simple_extent_ndims(space), type = type_of(set, c->foreign);
    const int64_t most = c->foreign ? c->n_bytes * MAX_DEFLATE : c->n_bytes;
    hsize_t size[H5S_MAX_RANK];
    entry e = { .rank = rank, .type = (nn_dtype)(type < 0 ? 0 : type) };
    int64_t n_bytes = (int64_t)types[e.type].size;
    int ok = type >= 0 && rank >= 0 && rank <= MAX_RANK && H5Sget_simple_extent_dims(space, size, NULL) == rank;

    if (type < 0 && c->foreign) { /* texts and the like */
        H5Sclose(space);
        return 0;
    }
    for (int i = 0; ok && i < rank; i++) {
        /* Nothing in a file can be larger than the file, but for what compression saves. */
        ok = size[i] == 0 || (size[i] <= (hsize_t)most && n_bytes <= most / (int64_t)size[i]);
        e.dims[i] = (int64_t)size[i];
        n_bytes *= ok ? e.dims[i] : 0;
    }
    ok = ok && is_stored(c, set, n_bytes / (int64_t)types[e.type].size);
    H5Sclose(space);
    if (!ok) {
        bl_fail(w->err, BL_EFORMAT, "%s: dataset \"%.100s\" is not one of a %s (type, rank or size)", c->path, name,
                c->foreign ? "file of weights" : "checkpoint");
        return -1;
    }
    if (c->n == c->capacity) {
        const int capacity = c->capacity ? 2 * c->capacity : 64;
        entry *bigger = realloc(c->entries, (size_t)capacity * sizeof *bigger);
        if (bigger) {
            c->entries = bigger;
            c->capacity = capacity;
        }
    }
    if (c->n == c->capacity || !(e.name = copy(name))) {
        bl_fail(w->err, BL_ENOMEM, "%s: no memory for the list of datasets", c->path);
        return -1;
    }
    c->entries[c->n++] = e;
    return 0;
}

static herr_t visit(hid_t root, const char *name, const H5O_info_t *info, void *user)
{
    if (info->type != H5O_TYPE_DATASET)
        return 0;
    const hid_t set = H5Dopen2(root, name, H5P_DEFAULT);
    if (set < 0)
        return -1;
    const herr_t status = add_entry(user, set, name);
    H5Dclose(set);
    return status;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

static bl_status read_table(nn_checkpoint *c, bl_error *err)
{
    walk w = { c, err };
    if (H5Ovisit2(c->file, H5_INDEX_NAME, H5_ITER_INC, visit, &w, H5O_INFO_BASIC) < 0)
        return bl_fail(err, BL_EFORMAT, "%s: the list of datasets cannot be read", c->path);
    if (c->n)
        qsort(c->entries, (size_t)c->n, sizeof *c->entries, by_name);
    return BL_OK;
}

static bl_status check_kind(nn_checkpoint *c, const char *kind, bl_error *err)
{
    bl_error none = { 0 };
    const int64_t version = nn_checkpoint_get_int(c, version_name, 0, &none);
    c->kind = nn_checkpoint_get_text(c, kind_name, &none);
    if (none.code || version == 0)
        return bl_fail(err, BL_EFORMAT, "%s: an HDF5 file, but not a backline checkpoint (no kind and format version)", c->path);
    if (version != FORMAT_VERSION)
        return bl_fail(err, BL_EFORMAT, "%s: checkpoint of format version %lld, this program reads version %d", c->path,
                       (long long)version, FORMAT_VERSION);
    if (kind && strcmp(kind, c->kind) != 0)
        return bl_fail(err, BL_EFORMAT, "%s: expected %s %s checkpoint, got %s %.60s", c->path, article(kind), kind,
                       article(c->kind), c->kind);
    return BL_OK;
}

static bl_status open_file(nn_checkpoint *c, bl_error *err)
{
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_file_locking(access, 0, 1); /* some network file systems have no locks */
    H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
    c->file = H5Fopen(c->path, H5F_ACC_RDONLY, access);
    H5Pclose(access);
    return c->file >= 0 ? BL_OK : bl_fail(err, BL_EFORMAT, "%s: not a readable HDF5 file", c->path);
}

nn_checkpoint *nn_checkpoint_open(const char *path, const char *kind, bl_error *err)
{
    quiet();
    nn_checkpoint *c = new_checkpoint(path, err);
    if (c && nn_checkpoint_sum_check(path, &c->n_bytes, err) == BL_OK && open_file(c, err) == BL_OK
        && check_kind(c, kind, err) == BL_OK && read_table(c, err) == BL_OK)
        return c;
    nn_checkpoint_free(c);
    return NULL;
}

nn_checkpoint *nn_checkpoint_open_foreign(const char *path, bl_error *err)
{
    quiet();
    nn_checkpoint *c = new_checkpoint(path, err);
    FILE *f = c ? fopen(path, "rb") : NULL;
    if (c && (!f || fseek(f, 0, SEEK_END) != 0 || (c->n_bytes = ftell(f)) < 0 || c->n_bytes > INT64_MAX / MAX_DEFLATE))
        bl_fail(err, BL_EIO, "%s: cannot be read", path);
    else if (c && (c->kind = copy("")) != NULL) {
        c->foreign = 1;
        if (open_file(c, err) == BL_OK && read_table(c, err) == BL_OK) {
            fclose(f);
            return c;
        }
    }
    if (f)
        fclose(f);
    nn_checkpoint_free(c);
    return NULL;
}

void nn_checkpoint_free(nn_checkpoint *c)
{
    if (!c)
        return;
    if (c->file >= 0)
        H5Fclose(c->file);
    for (int i = 0; i < c->n; i++)
        free(c->entries[i].name);
    free(c->entries);
    free(c->image.bytes);
    free(c->kind);
    free(c->path);
    free(c);
}

const char *nn_checkpoint_kind(const nn_checkpoint *c)
{
    return c->kind;
}

const char *nn_checkpoint_path(const nn_checkpoint *c)
{
    return c->path;
}

static const entry *find(const nn_checkpoint *c, const char *name)
{
    const entry key = { .name = (char *)name };
    return c->n ? bsearch(&key, c->entries, (size_t)c->n, sizeof key, by_name) : NULL;
}

int nn_checkpoint_shape(const nn_checkpoint *c, const char *name, nn_dtype *type, int *rank, int64_t dims[NN_CHECKPOINT_RANK])
{
    const entry *e = find(c, name);
    if (!e)
        return 0;
    *type = e->type;
    *rank = e->rank;
    memcpy(dims, e->dims, sizeof e->dims);
    return 1;
}

int nn_checkpoint_has(const nn_checkpoint *c, const char *name)
{
    return find(c, name) != NULL || H5Aexists(c->file, name) > 0;
}

void *nn_checkpoint_get(const nn_checkpoint *c, const char *name, nn_dtype type, int rank, const int64_t *dims,
                        int64_t *got_dims, bl_error *err)
{
    const entry *e = find(c, name);
    char have[128], want[128];
    int64_t n = 1;

    if (!e) {
        bl_fail(err, BL_EFORMAT, "%s: the checkpoint has no \"%s\"", c->path, name);
        return NULL;
    }
    int agree = e->type == type && e->rank == rank;
    for (int i = 0; i < e->rank; i++) {
        n *= e->dims[i];
        agree = agree && (!dims || dims[i] < 0 || dims[i] == e->dims[i]);
    }
    if (!agree) {
        static const int64_t any[MAX_RANK] = { -1, -1, -1, -1, -1, -1, -1, -1 };
        bl_fail(err, BL_ESHAPE, "%s: \"%s\" is %s %s, expected %s %s", c->path, name, types[e->type].name,
                dims_text(e->rank, e->dims, have), types[type].name,
                dims_text(rank < MAX_RANK ? rank : MAX_RANK, dims ? dims : any, want));
        return NULL;
    }
    void *data = malloc(n ? (size_t)n * types[type].size : 1);
    if (!data) {
        bl_fail(err, BL_ENOMEM, "%s: no memory for \"%s\"", c->path, name);
        return NULL;
    }
    const hid_t set = H5Dopen2(c->file, name, H5P_DEFAULT);
    const int ok = set >= 0 && (n == 0 || H5Dread(set, memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0);
    if (set >= 0)
        H5Dclose(set);
    if (!ok) {
        bl_fail(err, BL_EIO, "%s: cannot read \"%s\"", c->path, name);
        free(data);
        return NULL;
    }
    for (int i = 0; got_dims && i < e->rank; i++)
        got_dims[i] = e->dims[i];
    return data;
}

char **nn_checkpoint_get_texts(const nn_checkpoint *c, const char *attribute, int *n, bl_error *err)
{
    const hid_t a = H5Aexists(c->file, attribute) > 0 ? H5Aopen(c->file, attribute, H5P_DEFAULT) : H5I_INVALID_HID;
    hid_t type = H5I_INVALID_HID, space = H5I_INVALID_HID, memory = H5I_INVALID_HID;
    hssize_t count = 0;
    char **raw = NULL, **texts = NULL;
    int ok = 0;

    *n = 0;
    if (a < 0) {
        bl_fail(err, BL_EFORMAT, "%s: the checkpoint has no attribute \"%s\"", c->path, attribute);
        return NULL;
    }
    type = H5Aget_type(a);
    space = H5Aget_space(a);
    memory = text_type();
    count = H5Sget_simple_extent_npoints(space);
    if (type < 0 || H5Tis_variable_str(type) <= 0 || count < 0 || count > MAX_TEXTS) {
        bl_fail(err, BL_EFORMAT, "%s: attribute \"%s\" is not a text", c->path, attribute);
        goto done;
    }
    raw = calloc((size_t)count + 1, sizeof *raw);
    texts = calloc((size_t)count + 1, sizeof *texts);
    if (!raw || !texts)
        goto no_memory;
    if (count && H5Aread(a, memory, raw) < 0) {
        bl_fail(err, BL_EFORMAT, "%s: attribute \"%s\" cannot be read", c->path, attribute);
        goto done;
    }
    for (; *n < count; ++*n)
        if (!(texts[*n] = copy(raw[*n] ? raw[*n] : "")))
            goto no_memory;
    ok = 1;
    goto done;
no_memory:
    bl_fail(err, BL_ENOMEM, "%s: no memory for the attribute \"%s\"", c->path, attribute);
done:
    if (raw && count)
        H5Dvlen_reclaim(memory, space, H5P_DEFAULT, raw);
    free(raw);
    if (!ok) {
        nn_checkpoint_texts_free(texts, *n);
        texts = NULL;
        *n = 0;
    }
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    if (memory >= 0)
        H5Tclose(memory);
    H5Aclose(a);
    return texts;
}

void nn_checkpoint_texts_free(char **texts, int n)
{
    for (int i = 0; texts && i < n; i++)
        free(texts[i]);
    free(texts);
}

char *nn_checkpoint_get_text(const nn_checkpoint *c, const char *attribute, bl_error *err)
{
    int n;
    char **texts = nn_checkpoint_get_texts(c, attribute, &n, err), *text = NULL;
    if (!texts)
        return NULL;
    if (n == 1) {
        text = texts[0];
        texts[0] = NULL;
    } else {
        bl_fail(err, BL_EFORMAT, "%s: attribute \"%s\" is %d texts, expected one", c->path, attribute, n);
    }
    nn_checkpoint_texts_free(texts, n);
    return text;
}

int64_t nn_checkpoint_get_int(const nn_checkpoint *c, const char *attribute, int64_t fallback, bl_error *err)
{
    int64_t value = fallback;
    if (H5Aexists(c->file, attribute) <= 0)
        return fallback;
    const hid_t a = H5Aopen(c->file, attribute, H5P_DEFAULT);
    const hid_t type = a >= 0 ? H5Aget_type(a) : H5I_INVALID_HID, space = a >= 0 ? H5Aget_space(a) : H5I_INVALID_HID;
    if (type < 0 || H5Tget_class(type) != H5T_INTEGER || H5Sget_simple_extent_npoints(space) != 1 ||
        H5Aread(a, H5T_NATIVE_INT64, &value) < 0) {
        bl_fail(err, BL_EFORMAT, "%s: attribute \"%s\" is not a whole number", c->path, attribute);
        value = fallback;
    }
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    if (a >= 0)
        H5Aclose(a);
    return value;
}

int nn_checkpoint_each(const nn_checkpoint *c, int (*fn)(void *user, const char *name, nn_dtype type, int rank,
                                                         const int64_t *dims), void *user)
{
    for (int i = 0; i < c->n; i++) {
        const entry *e = &c->entries[i];
        const int status = fn(user, e->name, e->type, e->rank, e->dims);
        if (status)
            return status;
    }
    return 0;
}

typedef struct attribute_walk {
    int (*fn)(void *user, const char *name, int is_text);
    void *user;
    int   status;
} attribute_walk;

static herr_t visit_attribute(hid_t root, const char *name, const H5A_info_t *info, void *user)
{
    attribute_walk *w = user;
    const hid_t a = H5Aopen(root, name, H5P_DEFAULT);
    (void)info;
    if (a < 0)
        return 0;
    const hid_t type = H5Aget_type(a);
    const int is_text = type >= 0 && H5Tget_class(type) == H5T_STRING;
    if (type >= 0)
        H5Tclose(type);
    H5Aclose(a);
    return (w->status = w->fn(w->user, name, is_text)) != 0;
}

int nn_checkpoint_each_attribute(const nn_checkpoint *c, int (*fn)(void *user, const char *name, int is_text), void *user)
{
    attribute_walk w = { fn, user, 0 };
    hsize_t at = 0;
    H5Aiterate2(c->file, H5_INDEX_NAME, H5_ITER_INC, &at, visit_attribute, &w);
    return w.status;
}
