/* The points a support vector machine learns from, and rows of their kernel matrix: kept whole, or least recently used ones. */
#include "nn/models/svm_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void nn_svm_points_free(nn_svm_points *p)
{
    free(p->order);
    free(p->x);
    free(p->square);
    nn_svm_panels_free(&p->panels);
    *p = (nn_svm_points){ 0 };
}

bl_status nn_svm_points_new(nn_svm_points *p, const float *x, int64_t n, int64_t dim, const int *labels, int n_classes,
                            const double *mean, const double *inv_scale, nn_svm_kernel kernel, bl_error *err)
{
    *p = (nn_svm_points){ .n = n, .dim = dim, .n_classes = n_classes, .kernel = kernel };
    p->order = malloc((size_t)n * sizeof *p->order);
    p->x = malloc((size_t)n * (size_t)dim * sizeof *p->x);
    p->square = malloc((size_t)n * sizeof *p->square);
    int ok = p->order && p->x && p->square;
    int64_t at = 0;
    for (int c = 0; ok && c < n_classes; c++) {
        p->class_start[c] = at;
        for (int64_t i = 0; i < n; i++)
            if (labels[i] == c)
                p->order[at++] = i;
    }
    p->class_start[n_classes] = at;
    for (int64_t i = 0; ok && i < n; i++) {
        const float *from = x + p->order[i] * dim;
        double *row = p->x + i * dim, sum = 0;
        /* Through float, since that is how support vectors are stored and so what prediction will see. */
        for (int64_t j = 0; j < dim; j++) {
            row[j] = (double)(float)(((double)from[j] - mean[j]) * inv_scale[j]);
            sum += row[j] * row[j];
        }
        p->square[i] = sum;
    }
    if (ok && nn_svm_panels_new(&p->panels, p->x, dim, n_classes, p->class_start, p->place))
        return BL_OK;
    nn_svm_points_free(p);
    return bl_fail(err, BL_ENOMEM, "support vector machine: no memory for %lld points", (long long)n);
}

static int64_t count_of(const nn_svm_points *p, int c)
{
    return p->class_start[c + 1] - p->class_start[c];
}

static int64_t places_of(const nn_svm_points *p, int c)
{
    return p->place[c + 1] - p->place[c];
}

/* ---- a matrix ----------------------------------------------------------------------------------- */

double nn_svm_matrix_bytes(const nn_svm_points *p, int whole)
{
    double sum = 0;
    if (whole)
        return (double)p->n * (double)p->panels.n_places * sizeof(float);
    for (int c = 0; c < p->n_classes; c++)
        sum += (double)count_of(p, c) * (double)places_of(p, c) * sizeof(float);
    return sum;
}

int nn_svm_matrix_new(nn_svm_matrix *m, const nn_svm_points *p, int whole)
{
    int64_t at = 0;
    *m = (nn_svm_matrix){ .whole = whole };
    for (int c = 0; c < p->n_classes; c++) {
        m->offset[c] = at;
        at += count_of(p, c) * places_of(p, c);
    }
    m->values = malloc((size_t)nn_svm_matrix_bytes(p, whole));
    return m->values != NULL;
}

void nn_svm_matrix_free(nn_svm_matrix *m)
{
    free(m->values);
    *m = (nn_svm_matrix){ 0 };
}

/* Copies what lies below the diagonal of a block on a diagonal above it. */
static void mirror(float *block, int64_t n, int64_t stride)
{
    enum { STEP = 32 };
    #pragma omp parallel for schedule(static, 1)
    for (int64_t i0 = 0; i0 < n; i0 += STEP)
        for (int64_t j0 = i0; j0 < n; j0 += STEP)
            for (int64_t i = i0; i < i0 + STEP && i < n; i++)
                for (int64_t j = j0 > i ? j0 : i + 1; j < j0 + STEP && j < n; j++)
                    block[i * stride + j] = block[j * stride + i];
}

/* K of the points of class a with those of class b; of a class with itself only up to the diagonal, which is then mirrored. */
static void fill_block(const nn_svm_points *p, int a, int b, double gamma, float *out, int64_t stride)
{
    enum { STRIP = 96 };
    const int64_t n = count_of(p, a), from = p->place[b], to = p->place[b + 1];
    #pragma omp parallel for schedule(static, 1)
    for (int64_t i = 0; i < n; i += STRIP) {
        const int64_t row = p->class_start[a] + i, m = n - i < STRIP ? n - i : STRIP;
        const int64_t end = a == b && from + svm_padded(i + m) < to ? from + svm_padded(i + m) : to;
        nn_svm_kernel_float(&p->panels, p->kernel, gamma, p->x + row * p->dim, p->square + row, m, from, end, out + i * stride, stride);
    }
    if (a == b)
        mirror(out, n, stride);
}

/* out [places of b rows, stride] = transposed block [n of a, ..] of a with b. */
static void transpose(const float *block, int64_t n_rows, int64_t n_columns, int64_t block_stride, float *out, int64_t stride)
{
    enum { STEP = 32 };
    #pragma omp parallel for schedule(static, 1)
    for (int64_t j0 = 0; j0 < n_columns; j0 += STEP)
        for (int64_t i0 = 0; i0 < n_rows; i0 += STEP)
            for (int64_t j = j0; j < j0 + STEP && j < n_columns; j++)
                for (int64_t i = i0; i < i0 + STEP && i < n_rows; i++)
                    out[j * stride + i] = block[i * block_stride + j];
}

/* The empty places at the end of the rows of a block that was transposed. */
static void clear_places(float *out, int64_t n_rows, int64_t n, int64_t n_places, int64_t stride)
{
    for (int64_t i = 0; i < n_rows; i++)
        memset(out + i * stride + n, 0, (size_t)(n_places - n) * sizeof *out);
}

void nn_svm_matrix_fill(nn_svm_matrix *m, const nn_svm_points *p, double gamma)
{
    const int64_t all = p->panels.n_places;
    m->gamma = gamma;
    for (int a = 0; a < p->n_classes; a++) {
        if (!m->whole) {
            fill_block(p, a, a, gamma, m->values + m->offset[a], places_of(p, a));
            clear_places(m->values + m->offset[a], count_of(p, a), count_of(p, a), places_of(p, a), places_of(p, a));
            continue;
        }
        for (int b = 0; b <= a; b++) {
            float *block = m->values + p->class_start[a] * all + p->place[b], *other = m->values + p->class_start[b] * all + p->place[a];
            fill_block(p, a, b, gamma, block, all);
            if (b < a)
                transpose(block, count_of(p, a), count_of(p, b), all, other, all);
            clear_places(block, count_of(p, a), count_of(p, b), places_of(p, b), all);
            clear_places(other, count_of(p, b), count_of(p, a), places_of(p, a), all);
        }
    }
}

/* ---- rows of one problem ------------------------------------------------------------------------ */

void nn_svm_rows_free(nn_svm_rows *r)
{
    free(r->diagonal);
    free(r->cross);
    free(r->cached);
    free(r->slot_of);
    free(r->row_in);
    free(r->newer);
    free(r->older);
    *r = (nn_svm_rows){ 0 };
}

static int new_cache(nn_svm_rows *r, double cache_mb)
{
    const int64_t n = r->n[0] + r->n[1];
    int64_t slots = (int64_t)(cache_mb * 1e6 / ((double)r->row_length * sizeof(float)));
    slots = slots > n ? n : slots;
    slots = slots < 2 ? 2 : slots;
    r->n_slots = slots;
    r->cached = malloc((size_t)slots * (size_t)r->row_length * sizeof *r->cached);
    r->slot_of = malloc((size_t)r->row_length * sizeof *r->slot_of);
    r->row_in = malloc((size_t)slots * sizeof *r->row_in);
    r->newer = malloc((size_t)(slots + 1) * sizeof *r->newer);
    r->older = malloc((size_t)(slots + 1) * sizeof *r->older);
    if (!r->cached || !r->slot_of || !r->row_in || !r->newer || !r->older)
        return 0;
    for (int64_t t = 0; t < r->row_length; t++)
        r->slot_of[t] = -1;
    for (int64_t s = 0; s <= slots; s++) {
        if (s < slots)
            r->row_in[s] = -1;
        r->newer[s] = s == slots ? 0 : s + 1;
        r->older[s] = s == 0 ? slots : s - 1;
    }
    return 1;
}

/* Both parts across the classes, when only those within a class are in the matrix. */
static int new_cross(nn_svm_rows *r)
{
    const nn_svm_points *p = r->points;
    const int64_t n_first = r->n[0] * r->n_places[1];
    r->cross = malloc((size_t)(n_first + r->n[1] * r->n_places[0]) * sizeof *r->cross);
    if (!r->cross)
        return 0;
    fill_block(p, r->class_of[0], r->class_of[1], r->gamma, r->cross, r->n_places[1]);
    transpose(r->cross, r->n[0], r->n[1], r->n_places[1], r->cross + n_first, r->n_places[0]);
    clear_places(r->cross, r->n[0], r->n[1], r->n_places[1], r->n_places[1]);
    clear_places(r->cross + n_first, r->n[1], r->n[0], r->n_places[0], r->n_places[0]);
    r->part[0][1] = r->cross;
    r->part[1][0] = r->cross + n_first;
    r->stride[0][1] = r->n_places[1];
    r->stride[1][0] = r->n_places[0];
    return 1;
}

int nn_svm_rows_new(nn_svm_rows *r, const nn_svm_points *p, const nn_svm_matrix *matrix, int a, int b, double gamma, double cache_mb)
{
    *r = (nn_svm_rows){ .points = p, .class_of = { a, b }, .gamma = gamma, .n = { count_of(p, a), count_of(p, b) },
                        .n_places = { places_of(p, a), places_of(p, b) } };
    r->row_length = r->n_places[0] + r->n_places[1];
    r->diagonal = calloc((size_t)r->row_length, sizeof *r->diagonal);
    int ok = r->diagonal != NULL;
    for (int side = 0; ok && side < 2; side++)
        for (int64_t i = 0; i < r->n[side]; i++)
            r->diagonal[side * r->n_places[0] + i] = p->kernel == NN_SVM_RBF ? 1 : p->square[p->class_start[r->class_of[side]] + i];
    if (ok && !matrix)
        ok = new_cache(r, cache_mb);
    for (int i = 0; ok && matrix && i < 2; i++)
        for (int j = 0; j < 2; j++) {
            const int row = r->class_of[i], column = r->class_of[j];
            r->part[i][j] = matrix->whole ? matrix->values + p->class_start[row] * p->panels.n_places + p->place[column]
                                          : matrix->values + matrix->offset[row];
            r->stride[i][j] = matrix->whole ? p->panels.n_places : places_of(p, row);
        }
    if (ok && matrix && !matrix->whole)
        ok = new_cross(r);
    if (!ok)
        nn_svm_rows_free(r);
    return ok;
}

static const float *cached_row(nn_svm_rows *r, int64_t t)
{
    const int64_t anchor = r->n_slots;
    int64_t s = r->slot_of[t];
    const int hit = s >= 0, side = t >= r->n_places[0];
    if (!hit)
        s = r->newer[anchor]; /* the oldest */
    r->older[r->newer[s]] = r->older[s];
    r->newer[r->older[s]] = r->newer[s];
    r->older[s] = r->older[anchor];
    r->newer[s] = anchor;
    r->newer[r->older[anchor]] = s;
    r->older[anchor] = s;
    float *row = r->cached + s * r->row_length;
    if (hit)
        return row;
    if (r->row_in[s] >= 0)
        r->slot_of[r->row_in[s]] = -1;
    r->row_in[s] = t;
    r->slot_of[t] = s;
    const nn_svm_points *p = r->points;
    const int64_t i = p->class_start[r->class_of[side]] + t - (side ? r->n_places[0] : 0);
    for (int part = 0; part < 2; part++) {
        const int c = r->class_of[part];
        nn_svm_kernel_float(&p->panels, p->kernel, r->gamma, p->x + i * p->dim, p->square + i, 1, p->place[c], p->place[c + 1],
                            row + (part ? r->n_places[0] : 0), r->row_length);
    }
    return row;
}

void nn_svm_rows_get(nn_svm_rows *r, int64_t t, const float *part[2])
{
    const int side = t >= r->n_places[0];
    if (!r->part[0][0]) {
        part[0] = cached_row(r, t);
        part[1] = part[0] + r->n_places[0];
        return;
    }
    const int64_t i = side ? t - r->n_places[0] : t;
    for (int j = 0; j < 2; j++)
        part[j] = r->part[side][j] + i * r->stride[side][j];
}
