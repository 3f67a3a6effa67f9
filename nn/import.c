#include "nn/import.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DATASETS = 65536, MAX_WORDS = 40, NAME = 320 };

typedef struct import {
    nn_params           *p;
    const nn_checkpoint *file;
    real                *value;     /* [p->n_elements] what will be taken over when all is well */
    int64_t             *filled;    /* [p->n] elements that a line has filled                   */
    char               **names;     /* of the file's datasets, in order                         */
    char                *used;
    int                  n;
    char                 root[NAME];
    const char          *where;     /* "arranger.ini line 12: pitch": what error messages start with */
    bl_error            *err;
} import;

static bl_status fail(const import *im, bl_status code, const char *format, ...) __attribute__((format(printf, 3, 4)));
static bl_status fail(const import *im, bl_status code, const char *format, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    return bl_fail(im->err, code, "%s%s%s", im->where, *im->where ? ": " : "", text);
}

/* ---- the file's datasets ---- */

static int collect(void *user, const char *name, nn_dtype type, int rank, const int64_t *dims)
{
    import *im = user;
    (void)type;
    (void)rank;
    (void)dims;
    if (im->n == MAX_DATASETS)
        return fail(im, BL_EFORMAT, "%s: more than %d datasets", nn_checkpoint_path(im->file), MAX_DATASETS);
    if (im->n % 256 == 0) {
        char **more = realloc(im->names, (size_t)(im->n + 256) * sizeof *more);
        if (!more)
            return fail(im, BL_ENOMEM, "no memory for the names of %d datasets", im->n);
        im->names = more;
    }
    const size_t size = strlen(name) + 1;
    char *copy = malloc(size);
    if (!copy)
        return fail(im, BL_ENOMEM, "no memory for the names of %d datasets", im->n);
    memcpy(copy, name, size);
    im->names[im->n++] = copy;
    return 0;
}

/* Whether a name is `prefix` or something in it: "a" or "a/..." or "a...." but not "ab". */
static int is_within(const char *name, const char *prefix)
{
    const size_t n = strlen(prefix);
    return !strncmp(name, prefix, n) && (n == 0 || !name[n] || name[n] == '/' || name[n] == '.');
}

static int find_dataset(const import *im, const char *name)
{
    for (int i = 0; i < im->n; i++)
        if (!strcmp(im->names[i], name))
            return i;
    return -1;
}

static bl_status no_dataset(const import *im, const char *name)
{
    const char *near = bl_nearest(name, (const char *const *)im->names, im->n);
    return fail(im, BL_EFORMAT, "%s has no \"%s\"%s%.200s%s", nn_checkpoint_path(im->file), name, near ? "; did you mean \"" : "",
                near ? near : "", near ? "\"?" : "");
}

/* A dataset as reals. dims of ones at the end are left out of *rank, so that [5, 4, 1] is [5, 4]. malloc'ed. */
static real *read_dataset(import *im, const char *name, int *rank, int64_t dims[NN_CHECKPOINT_RANK])
{
    nn_dtype type;
    bl_error local = { BL_OK, "" };
    int64_t n = 1;
    const int at = find_dataset(im, name);
    if (at < 0 || !nn_checkpoint_shape(im->file, name, &type, rank, dims)) {
        no_dataset(im, name);
        return NULL;
    }
    for (int i = 0; i < *rank; i++)
        n *= dims[i];
    void *raw = nn_checkpoint_get(im->file, name, type, *rank, dims, NULL, &local);
    real *x = raw ? malloc((size_t)(n ? n : 1) * sizeof *x) : NULL;
    if (!raw)
        fail(im, local.code, "%s", local.msg);
    else if (!x)
        fail(im, BL_ENOMEM, "no memory for \"%s\"", name);
    for (int64_t i = 0; x && i < n; i++) {
        x[i] = type == NN_F32 ? (real)((float *)raw)[i] : type == NN_F64 ? (real)((double *)raw)[i] : (real)((int64_t *)raw)[i];
        if (!isfinite(x[i])) {
            fail(im, BL_ENAN, "%s: \"%s\" holds a value that is not a finite number", nn_checkpoint_path(im->file), name);
            free(x);
            x = NULL;
        }
    }
    free(raw);
    if (x)
        im->used[at] = 1;
    return x;
}

/* ---- from a dataset into a parameter ---- */

/* How a dataset becomes the rows of a parameter. */
typedef enum layout {
    AS_IS,
    REVERSED,    /* dims in reverse order: Dense [in, out], Conv1D [K, in, out], Conv1DTranspose [K, out, in] */
    FROM_HEADS,  /* [in, heads, d] as the matrix [in, heads d], then reversed                                 */
    TO_HEADS     /* [heads, d, out] as the matrix [heads d, out], then reversed                               */
} layout;

static int trimmed(int rank, const int64_t *dims)
{
    while (rank > 1 && dims[rank - 1] == 1)
        rank--;
    return rank;
}

/* Reverses the order of the dims of x [dims], rank at most 3. */
static void reverse(const real *x, int rank, int64_t dims[NN_CHECKPOINT_RANK], real *out)
{
    int64_t d[3] = { 1, 1, 1 }; /* leading ones do no harm */
    for (int i = 0; i < rank; i++)
        d[3 - rank + i] = dims[i];
    for (int64_t i = 0; i < d[0]; i++)
        for (int64_t j = 0; j < d[1]; j++)
            for (int64_t k = 0; k < d[2]; k++)
                out[(k * d[1] + j) * d[0] + i] = x[(i * d[1] + j) * d[2] + k];
    for (int i = 0; i < rank; i++)
        dims[i] = d[2 - i];
}

static const char *shape_text(int rank, const int64_t *dims, char out[96])
{
    nn_shape s = { rank < NN_MAX_RANK ? rank : NN_MAX_RANK, { 0 } };
    for (int i = 0; i < s.rank; i++)
        s.dim[i] = dims[i];
    return nn_shape_str(&s, out);
}

/* The parameter of a name, -1 and an error when there is none. */
static int parameter(const import *im, const char *path, const char *name)
{
    char full[NAME];
    const char *names[512];
    int n = 0;
    snprintf(full, sizeof full, "%s%s%s", path, *name ? "/" : "", name);
    const int at = nn_params_find(im->p, full);
    if (at >= 0)
        return at;
    for (; n < im->p->n && n < 512; n++)
        names[n] = im->p->param[n].name;
    const char *near = bl_nearest(full, names, n);
    fail(im, BL_EARG, "the network has no parameter %s%s%s%s", full, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    return -1;
}

/* Rows first_row on of parameter path/name (all of it with n_rows 0) from the dataset `from`. `order`, when not NULL, says
 * from which of the dataset's n_blocks blocks of rows each block comes (gates). */
typedef struct piece {
    const char *path, *name, *from;
    layout      layout;
    int64_t     first_row, n_rows;
    int         n_blocks;
    const int  *order;
} piece;

static bl_status place(import *im, const piece *c, const real *x, int64_t n)
{
    const int at = parameter(im, c->path, c->name);
    if (at < 0)
        return im->err->code;
    const nn_param *q = &im->p->param[at];
    const int64_t width = q->shape.rank ? nn_count(&q->shape) / q->shape.dim[0] : 1, rows = n / width;
    real *to = im->value + q->offset + c->first_row * width;
    for (int b = 0; b < c->n_blocks; b++) {
        const int64_t size = rows / c->n_blocks * width;
        memcpy(to + b * size, x + (c->order ? c->order[b] : b) * size, (size_t)size * sizeof *to);
    }
    im->filled[at] += n;
    return im->filled[at] > nn_count(&q->shape) ? fail(im, BL_EARG, "%s is filled twice", q->name) : BL_OK;
}

static bl_status put(import *im, piece c)
{
    int64_t dims[NN_CHECKPOINT_RANK], want[NN_CHECKPOINT_RANK] = { 0 }, n = 1;
    char have_text[96], want_text[96];
    int rank;
    const int at = parameter(im, c.path, c.name);
    real *x = at < 0 ? NULL : read_dataset(im, c.from, &rank, dims), *turned = NULL;
    if (!x)
        return im->err->code;
    shape_text(rank, dims, have_text);
    const nn_shape *shape = &im->p->param[at].shape;
    memcpy(want, shape->dim, (size_t)shape->rank * sizeof *want);
    if (c.n_rows)
        want[0] = c.n_rows;
    for (int i = 0; i < rank; i++)
        n *= dims[i];
    if (c.layout == FROM_HEADS && rank >= 2) {
        dims[1] = dims[0] ? n / dims[0] : 0;
        rank = 2;
    } else if (c.layout == TO_HEADS && rank >= 2) {
        dims[1] = dims[rank - 1];
        dims[0] = dims[1] ? n / dims[1] : 0;
        rank = 2;
    }
    bl_status status = BL_OK;
    if (c.layout != AS_IS && rank > 3) {
        status = fail(im, BL_ESHAPE, "\"%s\" is %s, expected at most 3 dimensions", c.from, have_text);
    } else if (c.layout != AS_IS) {
        if (!(turned = malloc((size_t)(n ? n : 1) * sizeof *turned)))
            status = fail(im, BL_ENOMEM, "no memory for \"%s\"", c.from);
        else
            reverse(x, rank, dims, turned);
    }
    const int want_rank = trimmed(shape->rank, want), have_rank = trimmed(rank, dims);
    int agree = want_rank == have_rank || (rank == 0 && nn_count(shape) == 1);
    for (int i = 0; agree && i < have_rank; i++)
        agree = want[i] == dims[i];
    if (!status && !agree)
        status = fail(im, BL_ESHAPE, "\"%s\" is %s, which does not fit %s %s%s", c.from, have_text, im->p->param[at].name,
                      shape_text(shape->rank, want, want_text), c.n_rows ? " (a part of its rows)" : "");
    if (!c.n_blocks)
        c.n_blocks = 1;
    if (!status)
        status = place(im, &c, turned ? turned : x, n);
    free(x);
    free(turned);
    return status;
}

/* ---- rules ---- */

/* root/a/b without the empty ones. */
static void join(const import *im, char out[NAME], const char *a, const char *b)
{
    const char *const words[] = { im->root, a, b };
    size_t n = 0;
    out[0] = '\0';
    for (int i = 0; i < 3; i++)
        for (const char *c = words[i]; *c && n + 2 < NAME; c++) {
            if (c == words[i] && n)
                out[n++] = '/';
            out[n++] = *c;
            out[n] = '\0';
        }
}

/* Name and leaf of a Keras weight: "dense" and "kernel:0". */
static bl_status keras(import *im, const char *path, const char *name, const char *prefix, const char *leaf, layout how)
{
    char from[NAME];
    join(im, from, prefix, leaf);
    return put(im, (piece){ .path = path, .name = name, .from = from, .layout = how });
}

static int has_parameter(const import *im, const char *path, const char *name)
{
    char full[NAME];
    snprintf(full, sizeof full, "%s/%s", path, name);
    return nn_params_find(im->p, full) >= 0;
}

static bl_status zeros(import *im, const char *path, const char *name)
{
    const int at = parameter(im, path, name);
    if (at >= 0)
        im->filled[at] += nn_count(&im->p->param[at].shape); /* value is zero already */
    return at >= 0 ? BL_OK : im->err->code;
}

static bl_status import_embedding(import *im, const char *path, char **names, int n)
{
    (void)n;
    return keras(im, path, "weight", names[0], "embeddings:0", AS_IS);
}

static bl_status import_dense(import *im, const char *path, char **names, int n)
{
    (void)n;
    if (keras(im, path, "weight", names[0], "kernel:0", REVERSED) != BL_OK)
        return im->err->code;
    return has_parameter(im, path, "bias") ? keras(im, path, "bias", names[0], "bias:0", AS_IS) : BL_OK;
}

static bl_status import_norm(import *im, const char *path, char **names, int n)
{
    static const char *const pairs[][2] = { { "weight", "gamma:0" }, { "bias", "beta:0" }, { "running_mean", "moving_mean:0" },
                                            { "running_var", "moving_variance:0" } };
    (void)n;
    for (int i = 0; i < 4; i++)
        if (has_parameter(im, path, pairs[i][0]) && keras(im, path, pairs[i][0], names[0], pairs[i][1], AS_IS) != BL_OK)
            return im->err->code;
    return has_parameter(im, path, "num_batches_tracked") ? zeros(im, path, "num_batches_tracked") : BL_OK;
}

/* Cells in the order layer 0 forward, (reverse,) layer 1 forward ... Gates of LSTM: Keras i, f, c, o are torch's i, f, g, o. Of
 * GRU: Keras z, r, h against torch's r, z, n; its bias [2, 3H] (reset_after) holds torch's two. */
static bl_status import_cells(import *im, const char *path, char **names, int n, int is_gru)
{
    static const int gates[] = { 1, 0, 2 };
    const int n_directions = has_parameter(im, path, "weight_ih_l0_reverse") ? 2 : 1;
    char ours[4][64], from[NAME];
    for (int i = 0; i < n; i++) {
        static const char *const part[] = { "weight_ih", "weight_hh", "bias_ih", "bias_hh" };
        for (int k = 0; k < 4; k++)
            snprintf(ours[k], sizeof ours[k], "%s_l%d%s", part[k], i / n_directions, i % n_directions ? "_reverse" : "");
        for (int k = 0; k < 2; k++) {
            join(im, from, names[i], k ? "recurrent_kernel:0" : "kernel:0");
            if (put(im, (piece){ .path = path, .name = ours[k], .from = from, .layout = REVERSED, .n_blocks = is_gru ? 3 : 1,
                                 .order = is_gru ? gates : NULL }) != BL_OK)
                return im->err->code;
        }
        if (!has_parameter(im, path, ours[2]))
            continue;
        if (!is_gru) {
            if (keras(im, path, ours[2], names[i], "bias:0", AS_IS) != BL_OK || zeros(im, path, ours[3]) != BL_OK)
                return im->err->code;
            continue;
        }
        int rank;
        int64_t dims[NN_CHECKPOINT_RANK];
        join(im, from, names[i], "bias:0");
        real *bias = read_dataset(im, from, &rank, dims);
        const int at = parameter(im, path, ours[2]);
        if (!bias || at < 0) {
            free(bias);
            return im->err->code;
        }
        const int64_t width = im->p->param[at].shape.dim[0];
        bl_status status = BL_OK;
        if (rank != 2 || dims[0] != 2 || dims[1] != width)
            status = fail(im, BL_ESHAPE, "\"%s\" is not [2, %lld]: only a GRU with reset_after=True is PyTorch's", from, (long long)width);
        for (int k = 0; k < 2 && !status; k++)
            status = place(im, &(piece){ .path = path, .name = ours[2 + k], .n_blocks = 3, .order = gates }, bias + k * width, width);
        free(bias);
        if (status)
            return status;
    }
    return BL_OK;
}

static bl_status import_lstm(import *im, const char *path, char **names, int n)
{
    return import_cells(im, path, names, n, 0);
}

static bl_status import_gru(import *im, const char *path, char **names, int n)
{
    return import_cells(im, path, names, n, 1);
}

/* BASE and the names in it of query, key, value and output: Dense layers, or the EinsumDense of Keras' own MultiHeadAttention. */
static bl_status import_attention(import *im, const char *path, char **names, int n)
{
    static const char *const split[] = { "q_proj_weight", "k_proj_weight", "v_proj_weight" };
    const int at = parameter(im, path, "out_proj/weight"), joint = has_parameter(im, path, "in_proj_weight");
    char base[NAME], from[NAME];
    (void)n;
    if (at < 0)
        return im->err->code;
    const int64_t E = im->p->param[at].shape.dim[0];
    for (int i = 0; i < 4; i++) {
        snprintf(base, sizeof base, "%s/%s", names[0], names[1 + i]);
        join(im, from, base, "kernel:0");
        piece c = { .path = path, .name = i == 3 ? "out_proj/weight" : joint ? "in_proj_weight" : split[i], .from = from,
                    .layout = i == 3 ? TO_HEADS : FROM_HEADS, .first_row = i < 3 && joint ? i * E : 0, .n_rows = i < 3 ? E : 0 };
        if (put(im, c) != BL_OK)
            return im->err->code;
        if (!has_parameter(im, path, "in_proj_bias"))
            continue;
        join(im, from, base, "bias:0");
        int rank;
        int64_t dims[NN_CHECKPOINT_RANK], count = 1;
        real *bias = read_dataset(im, from, &rank, dims); /* [E], or [heads, d] */
        if (!bias)
            return im->err->code;
        for (int k = 0; k < rank; k++)
            count *= dims[k];
        c = (piece){ .path = path, .name = i == 3 ? "out_proj/bias" : "in_proj_bias", .first_row = i < 3 ? i * E : 0, .n_blocks = 1 };
        const bl_status status = count == E ? place(im, &c, bias, E)
                                            : fail(im, BL_ESHAPE, "\"%s\" has %lld values, expected %lld", from, (long long)count, (long long)E);
        free(bias);
        if (status)
            return status;
    }
    return BL_OK;
}

/* The dataset of a state_dict key: with dots, with slashes, or the last part only after a dot. NULL and no error: none. */
static const char *state_dict_name(const import *im, const char *prefix, const char *rest)
{
    char name[NAME], slashes[NAME];
    snprintf(slashes, sizeof slashes, "%s%s%s", prefix, *prefix && *rest ? "/" : "", rest);
    for (int i = 0; i < im->n; i++) {
        snprintf(name, sizeof name, "%s", im->names[i]);
        for (char *c = name; *c; c++)
            *c = *c == '.' ? '/' : *c;
        for (char *c = slashes; *c; c++)
            *c = *c == '.' ? '/' : *c;
        if (!strcmp(name, slashes))
            return im->names[i];
    }
    return NULL;
}

/* Every parameter under path from the state_dict keys under a prefix. */
static bl_status import_torch(import *im, const char *path, char **names, int n)
{
    char prefix[NAME], dotted[NAME];
    int found = 0;
    join(im, prefix, n ? names[0] : "", "");
    for (int i = 0; i < im->p->n; i++) {
        const char *name = im->p->param[i].name, *rest = name + strlen(path);
        if (!is_within(name, path))
            continue;
        rest += *rest == '/';
        found = 1;
        const char *from = state_dict_name(im, prefix, rest);
        if (!from && strstr(name, "num_batches_tracked")) {
            im->filled[i] = nn_count(&im->p->param[i].shape);
            continue;
        }
        if (!from) {
            if (snprintf(dotted, sizeof dotted, "%s%s%s", prefix, *prefix && *rest ? "." : "", rest) >= (int)sizeof dotted)
                return fail(im, BL_EARG, "the name %.80s... is too long", prefix);
            for (char *c = dotted; *c; c++)
                *c = *c == '/' ? '.' : *c;
            return no_dataset(im, dotted);
        }
        if (put(im, (piece){ .path = name, .name = "", .from = from }) != BL_OK)
            return im->err->code;
    }
    return found ? BL_OK : fail(im, BL_EARG, "the network has no parameters under %s", path);
}

static const struct rule {
    const char *name;
    int         min_names, max_names;
    bl_status (*run)(import *im, const char *path, char **names, int n);
} rules[] = {
    { "embedding", 1, 1, import_embedding }, { "dense", 1, 1, import_dense }, { "conv1d", 1, 1, import_dense },
    { "conv1d_transpose", 1, 1, import_dense }, { "layer_normalization", 1, 1, import_norm },
    { "batch_normalization", 1, 1, import_norm }, { "lstm", 1, 32, import_lstm }, { "gru", 1, 32, import_gru },
    { "attention", 5, 5, import_attention }, { "torch", 0, 1, import_torch },
};

static bl_status run_line(import *im, const bl_config_entry *e)
{
    char *words[MAX_WORDS], text[2048];
    const char *names[sizeof rules / sizeof *rules];
    int n = 0;
    if (snprintf(text, sizeof text, "%s", e->value) >= (int)sizeof text)
        return fail(im, BL_EARG, "the line is longer than %zu characters", sizeof text - 1);
    for (char *c = strtok(text, " \t\r\n"); c; c = strtok(NULL, " \t\r\n")) {
        if (n == MAX_WORDS)
            return fail(im, BL_EARG, "more than %d words", MAX_WORDS);
        words[n++] = c;
    }
    if (n == 0)
        return fail(im, BL_EARG, "expected a rule and names, such as \"dense output_layer\"");
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        names[i] = rules[i].name;
        if (strcmp(words[0], rules[i].name))
            continue;
        if (n - 1 < rules[i].min_names || n - 1 > rules[i].max_names)
            return fail(im, BL_EARG, "%s takes %d to %d names, got %d", words[0], rules[i].min_names, rules[i].max_names, n - 1);
        return rules[i].run(im, e->key, words + 1, n - 1);
    }
    const char *near = bl_nearest(words[0], names, (int)(sizeof rules / sizeof *rules));
    return fail(im, BL_EARG, "there is no rule \"%s\"%s%s%s", words[0], near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static void mark_ignored(import *im, const char *list)
{
    char text[2048], prefix[NAME];
    snprintf(text, sizeof text, "%s", list);
    for (char *c = strtok(text, " ,\t\r\n"); c; c = strtok(NULL, " ,\t\r\n")) {
        snprintf(prefix, sizeof prefix, "%s", c);
        for (int i = 0; i < im->n; i++)
            im->used[i] |= is_within(im->names[i], prefix) != 0;
    }
}

/* Names are PyTorch's: with the network's name in front, or without it when there is but one network. */
static bl_status run_state_dict(import *im)
{
    char section[112];
    snprintf(section, sizeof section, "%.*s", (int)strcspn(im->p->param[0].name, "/"), im->p->param[0].name);
    int alone = 1;
    for (int i = 0; i < im->p->n; i++)
        alone &= is_within(im->p->param[i].name, section);
    const char *first = im->p->param[0].name;
    const int with_section = state_dict_name(im, "", first) != NULL;
    return import_torch(im, alone && !with_section ? section : "", NULL, 0);
}

static bl_status run_section(import *im, const bl_config *config)
{
    char where[400];
    bl_status status = BL_OK;
    int n_lines = 0;
    snprintf(im->root, sizeof im->root, "%s", bl_config_str(config, "import", "root", ""));
    mark_ignored(im, bl_config_str(config, "import", "ignore", ""));
    for (int i = 0; i < bl_config_count(config) && !status; i++) {
        const bl_config_entry *e = bl_config_at(config, i);
        if (strcmp(e->section, "import"))
            continue;
        bl_config_mark_used(config, i);
        if (!strcmp(e->key, "root") || !strcmp(e->key, "ignore"))
            continue;
        snprintf(where, sizeof where, "%s line %d: [import] %s", bl_config_name(config), e->line, e->key);
        im->where = where;
        status = run_line(im, e);
        im->where = "";
        n_lines++;
    }
    return status || n_lines ? status : run_state_dict(im);
}

static bl_status judge(import *im)
{
    for (int i = 0; i < im->p->n; i++)
        if (im->filled[i] != nn_count(&im->p->param[i].shape))
            return fail(im, BL_EARG, "%s: %s is filled %s", nn_checkpoint_path(im->file), im->p->param[i].name,
                        !im->filled[i] ? "by nothing" : im->filled[i] < nn_count(&im->p->param[i].shape) ? "only in part" : "twice");
    for (int i = 0; i < im->n; i++)
        if (!im->used[i] && !strstr(im->names[i], "num_batches_tracked"))
            return fail(im, BL_EARG, "%s: nothing reads \"%s\"; name it in ignore = of [import] if that is right",
                        nn_checkpoint_path(im->file), im->names[i]);
    return BL_OK;
}

bl_status nn_import(nn_params *p, const bl_config *config, const nn_checkpoint *file, bl_error *err)
{
    bl_error local = { BL_OK, "" };
    import im = { .p = p, .file = file, .where = "", .err = &local };
    im.value = calloc((size_t)p->n_elements + 1, sizeof *im.value);
    im.filled = calloc((size_t)p->n + 1, sizeof *im.filled);
    if (!im.value || !im.filled) {
        fail(&im, BL_ENOMEM, "no memory for %lld parameters", (long long)p->n_elements);
        goto done;
    }
    if (nn_checkpoint_each(file, collect, &im) != 0)
        goto done;
    if (!(im.used = calloc((size_t)im.n + 1, 1))) {
        fail(&im, BL_ENOMEM, "no memory for the names of %d datasets", im.n);
        goto done;
    }
    if (p->n == 0)
        fail(&im, BL_EARG, "%s: the network has no parameters", nn_checkpoint_path(file));
    else if ((bl_config_has_section(config, "import") ? run_section(&im, config) : run_state_dict(&im)) == BL_OK && judge(&im) == BL_OK)
        memcpy(p->value, im.value, (size_t)p->n_elements * sizeof *im.value);
done:
    for (int i = 0; i < im.n; i++)
        free(im.names[i]);
    free(im.names);
    free(im.used);
    free(im.value);
    free(im.filled);
    return local.code ? bl_fail(err, local.code, "%s", local.msg) : BL_OK;
}
