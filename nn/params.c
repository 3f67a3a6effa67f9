#include "nn/params.h"

#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN_ELEMENTS = 16, ALIGN_BYTES = 64 };

static const int64_t most_elements = (int64_t)1 << 40;

nn_params *nn_params_new(bl_error *err)
{
    nn_params *p = calloc(1, sizeof *p);
    if (!p)
        bl_fail(err, BL_ENOMEM, "no memory for the parameters");
    return p;
}

void nn_params_free(nn_params *p)
{
    if (!p)
        return;
    free(p->param);
    free(p->value);
    free(p->grad);
    free(p);
}

static int grow(nn_params *p)
{
    if (p->n < p->capacity)
        return 1;
    const int capacity = p->capacity ? 2 * p->capacity : 64;
    nn_param *bigger = realloc(p->param, (size_t)capacity * sizeof *bigger);
    if (!bigger)
        return 0;
    p->param = bigger;
    p->capacity = capacity;
    return 1;
}

static int shape_fits(const nn_shape *shape)
{
    int64_t n = 1;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dim[i] < 1 || shape->dim[i] > most_elements / n)
            return 0;
        n *= shape->dim[i];
    }
    return shape->rank >= 0 && shape->rank <= NN_MAX_RANK;
}

static int add(nn_params *p, const char *name, nn_shape shape, nn_init init, double scale, int is_buffer, bl_error *err)
{
    nn_param q = { .shape = shape, .offset = p->n_elements, .init = init, .scale = scale, .is_buffer = is_buffer, .zero_row = -1 };
    char text[96];

    if (p->value) {
        bl_fail(err, BL_EARG, "parameter %s: the parameters are finished, no more can be added", name);
        return -1;
    }
    if (!*name || strlen(name) >= sizeof q.name) {
        bl_fail(err, BL_EARG, "parameter %s: expected a name of 1 to %zu characters", name, sizeof q.name - 1);
        return -1;
    }
    if (nn_params_find(p, name) >= 0) {
        bl_fail(err, BL_EARG, "parameter %s: there is one of this name already", name);
        return -1;
    }
    if (!shape_fits(&shape)) {
        bl_fail(err, BL_ESHAPE, "parameter %s: cannot be of shape %s", name, nn_shape_str(&shape, text));
        return -1;
    }
    if (!grow(p)) {
        bl_fail(err, BL_ENOMEM, "parameter %s: no memory", name);
        return -1;
    }
    strcpy(q.name, name);
    p->param[p->n] = q;
    p->n_elements += (nn_count(&shape) + ALIGN_ELEMENTS - 1) / ALIGN_ELEMENTS * ALIGN_ELEMENTS;
    return p->n++;
}

int nn_params_add(nn_params *p, const char *name, nn_shape shape, nn_init init, double scale, bl_error *err)
{
    return add(p, name, shape, init, scale, 0, err);
}

int nn_params_add_buffer(nn_params *p, const char *name, nn_shape shape, nn_init init, bl_error *err)
{
    return add(p, name, shape, init, 0, 1, err);
}

/* Zeroed and aligned; a block for nothing still has an address. */
static real *new_block(int64_t n_elements)
{
    const size_t n_bytes = (size_t)(n_elements ? n_elements : ALIGN_ELEMENTS) * sizeof(real);
    real *block = aligned_alloc(ALIGN_BYTES, n_bytes);
    if (block)
        memset(block, 0, n_bytes);
    return block;
}

bl_status nn_params_finish(nn_params *p, bl_error *err)
{
    if (p->value)
        return BL_OK;
    p->value = new_block(p->n_elements);
    p->grad = new_block(p->n_elements);
    if (p->value && p->grad)
        return BL_OK;
    free(p->value);
    free(p->grad);
    p->value = p->grad = NULL;
    return bl_fail(err, BL_ENOMEM, "no memory for %lld parameters", (long long)p->n_elements);
}

static double draw(bl_rng *rng, const nn_param *q)
{
    switch (q->init) {
    case NN_INIT_ZERO:
        return 0;
    case NN_INIT_ONE:
        return 1;
    case NN_INIT_CONSTANT:
        return q->scale;
    case NN_INIT_UNIFORM:
        return (2 * bl_rng_uniform(rng) - 1) * q->scale;
    case NN_INIT_NORMAL:
        return bl_rng_normal(rng) * q->scale;
    }
    return 0;
}

void nn_params_init(nn_params *p, uint64_t seed)
{
    for (int i = 0; i < p->n; i++) {
        const nn_param *q = &p->param[i];
        const int64_t n = nn_count(&q->shape);
        real *x = p->value + q->offset;
        bl_rng rng;
        bl_rng_seed(&rng, bl_hash(0, q->name, strlen(q->name)) ^ seed);
        for (int64_t j = 0; j < n; j++)
            x[j] = (real)draw(&rng, q);
        const int64_t width = q->zero_row >= 0 ? n / q->shape.dim[0] : 0;
        for (int64_t j = 0; j < width; j++)
            x[q->zero_row * width + j] = 0;
    }
}

void nn_params_zero_grad(nn_params *p)
{
    memset(p->grad, 0, (size_t)p->n_elements * sizeof *p->grad);
}

int nn_params_find(const nn_params *p, const char *name)
{
    for (int i = 0; i < p->n; i++)
        if (!strcmp(p->param[i].name, name))
            return i;
    return -1;
}

static int starts_with(const char *name, const char *prefix)
{
    return !strncmp(name, prefix, strlen(prefix));
}

int64_t nn_params_count(const nn_params *p, const char *prefix)
{
    int64_t n = 0;
    for (int i = 0; i < p->n; i++)
        if (!p->param[i].is_buffer && starts_with(p->param[i].name, prefix))
            n += nn_count(&p->param[i].shape);
    return n;
}

static const char *first_bad_in(const nn_params *p, const real *block)
{
    for (int i = 0; i < p->n; i++) {
        const real *x = block + p->param[i].offset;
        const int64_t n = nn_count(&p->param[i].shape);
        for (int64_t j = 0; j < n; j++)
            if (!isfinite(x[j]))
                return p->param[i].name;
    }
    return NULL;
}

const char *nn_params_first_bad(const nn_params *p, int *is_gradient)
{
    const char *name = first_bad_in(p, p->value);
    *is_gradient = !name;
    return name ? name : first_bad_in(p, p->grad);
}

void nn_params_freeze(nn_params *p, const char *prefix, int frozen)
{
    for (int i = 0; i < p->n; i++)
        if (starts_with(p->param[i].name, prefix))
            p->param[i].frozen = frozen;
}

void nn_params_copy(nn_params *to, const nn_params *from)
{
    for (int i = 0; i < to->n; i++) {
        const int k = nn_params_find(from, to->param[i].name);
        if (k < 0)
            continue;
        BL_ASSERT(nn_same_shape(&to->param[i].shape, &from->param[k].shape));
        memcpy(to->value + to->param[i].offset, from->value + from->param[k].offset,
               (size_t)nn_count(&to->param[i].shape) * sizeof *to->value);
    }
}

/* ---- checkpoints ---- */

enum { FULL_NAME = 240 };

static bl_status full_name(char out[FULL_NAME], const char *prefix, const char *name, bl_error *err)
{
    if (snprintf(out, FULL_NAME, "%s%s", prefix, name) >= FULL_NAME)
        return bl_fail(err, BL_EARG, "parameter %s: prefix \"%.60s...\" is too long", name, prefix);
    return BL_OK;
}

bl_status nn_params_save(const nn_params *p, nn_checkpoint *c, const char *prefix, bl_error *err)
{
    char name[FULL_NAME];
    bl_status status = BL_OK;
    for (int i = 0; i < p->n && !status; i++) {
        const nn_param *q = &p->param[i];
        status = full_name(name, prefix, q->name, err);
        if (!status)
            status = nn_checkpoint_put(c, name, NN_REAL, q->shape.rank, q->shape.dim, p->value + q->offset, err);
    }
    return status;
}

/* What a checkpoint has under a prefix, held against what the parameters need. */
typedef struct comparison {
    const nn_params *p;
    const char      *prefix;
    char            *seen;          /* [n] the checkpoint has this parameter     */
    nn_dtype        *type;          /* [n] in the checkpoint                     */
    int              n_extra, n_different;
    char             extra[FULL_NAME], different[FULL_NAME + 240]; /* the first of each */
} comparison;

/* Whether a name that no parameter has would belong to one of the networks here: its first part is theirs. */
static int is_ours(const nn_params *p, const char *name)
{
    const size_t n = strcspn(name, "/");
    for (int i = 0; i < p->n; i++)
        if (strcspn(p->param[i].name, "/") == n && !strncmp(p->param[i].name, name, n))
            return 1;
    return 0;
}

static int compare_one(void *user, const char *name, nn_dtype type, int rank, const int64_t *dims)
{
    comparison *cmp = user;
    if (!starts_with(name, cmp->prefix))
        return 0;
    name += strlen(cmp->prefix);
    const int i = nn_params_find(cmp->p, name);
    if (i < 0) {
        if (is_ours(cmp->p, name) && cmp->n_extra++ == 0)
            snprintf(cmp->extra, sizeof cmp->extra, "%s", name);
        return 0;
    }
    nn_shape have = { .rank = rank };
    char have_text[96] = "[more than 4 dims]", want_text[96];
    if (rank <= NN_MAX_RANK) {
        memcpy(have.dim, dims, (size_t)rank * sizeof *dims);
        nn_shape_str(&have, have_text);
    }
    cmp->seen[i] = 1;
    cmp->type[i] = type;
    if (type == NN_I64)
        snprintf(have_text, sizeof have_text, "int64");
    if (type != NN_I64 && rank <= NN_MAX_RANK && nn_same_shape(&have, &cmp->p->param[i].shape))
        return 0;
    if (cmp->n_different++ == 0)
        snprintf(cmp->different, sizeof cmp->different, "%s is %s, expected %s", name, have_text,
                 nn_shape_str(&cmp->p->param[i].shape, want_text));
    return 0;
}

/* ", and 3 more" or nothing. */
static const char *and_more(int n, char out[32])
{
    out[0] = '\0';
    if (n > 1)
        snprintf(out, 32, " and %d more", n - 1);
    return out;
}

static bl_status judge(const comparison *cmp, const nn_checkpoint *c, bl_error *err)
{
    const nn_params *p = cmp->p;
    char text[400], more[32], shape[96];
    int n_missing = 0, missing = -1, n = 0;

    for (int i = 0; i < p->n; i++)
        if (!cmp->seen[i] && n_missing++ == 0)
            missing = i;
    if (!n_missing && !cmp->n_extra && !cmp->n_different)
        return BL_OK;
    text[0] = '\0';
    if (n_missing)
        n += snprintf(text + n, sizeof text - (size_t)n, "missing %s %s%s", p->param[missing].name,
                      nn_shape_str(&p->param[missing].shape, shape), and_more(n_missing, more));
    if (cmp->n_different && (size_t)n < sizeof text)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s%s%s", n ? "; " : "", cmp->different,
                      and_more(cmp->n_different, more));
    if (cmp->n_extra && (size_t)n < sizeof text)
        snprintf(text + n, sizeof text - (size_t)n, "%snot expected: %s%s", n ? "; " : "", cmp->extra,
                 and_more(cmp->n_extra, more));
    return bl_fail(err, BL_ESHAPE, "%s: the parameters are another network's: %s", nn_checkpoint_path(c), text);
}

static bl_status read_one(const nn_param *q, nn_dtype type, const nn_checkpoint *c, const char *prefix, real *out, bl_error *err)
{
    char name[FULL_NAME];
    bl_status status = full_name(name, prefix, q->name, err);
    if (status)
        return status;
    bl_error local = { 0 };
    void *data = nn_checkpoint_get(c, name, type, q->shape.rank, q->shape.dim, NULL, &local);
    if (!data)
        return bl_fail(err, local.code, "%s", local.msg);
    const int64_t n = nn_count(&q->shape);
    for (int64_t i = 0; i < n && !status; i++) {
        out[i] = type == NN_F32 ? (real)((float *)data)[i] : (real)((double *)data)[i];
        if (!isfinite(out[i]))
            status = bl_fail(err, BL_ENAN, "%s: \"%s\" holds a value that is not a finite number", nn_checkpoint_path(c), name);
    }
    free(data);
    return status;
}

bl_status nn_params_load(nn_params *p, const nn_checkpoint *c, const char *prefix, bl_error *err)
{
    comparison cmp = { .p = p, .prefix = prefix };
    bl_status status;
    real *fresh = new_block(p->n_elements);
    cmp.seen = calloc((size_t)p->n + 1, 1);
    cmp.type = calloc((size_t)p->n + 1, sizeof *cmp.type);
    if (!fresh || !cmp.seen || !cmp.type) {
        status = bl_fail(err, BL_ENOMEM, "%s: no memory to load %lld parameters", nn_checkpoint_path(c), (long long)p->n_elements);
        goto done;
    }
    nn_checkpoint_each(c, compare_one, &cmp);
    status = judge(&cmp, c, err);
    for (int i = 0; i < p->n && !status; i++)
        status = read_one(&p->param[i], cmp.type[i], c, prefix, fresh + p->param[i].offset, err);
    if (!status)
        memcpy(p->value, fresh, (size_t)p->n_elements * sizeof *fresh);
done:
    free(fresh);
    free(cmp.seen);
    free(cmp.type);
    return status;
}
