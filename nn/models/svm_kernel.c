/* Kernel values in bulk: dot products as a matrix product in double, then the exponential, both in vectors.
 *
 * In double, since decision values are to agree with libsvm's to 1e-6: in float, |u|^2 + |v|^2 - 2 u.v loses seven digits. Every
 * value is one chain of multiply-adds in the order of the dimensions, so its bits do not depend on its neighbours. */
#include "nn/models/svm_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 6, PANELS = 2, WIDTH = PANELS * SVM_LANES, PANELS_AT_ONCE = 48 };

typedef double  vec __attribute__((vector_size(8 * SVM_LANES)));
typedef double  unaligned_vec __attribute__((vector_size(8 * SVM_LANES), aligned(8), may_alias));
typedef int64_t int_vec __attribute__((vector_size(8 * SVM_LANES)));
typedef float   float_vec __attribute__((vector_size(4 * SVM_LANES)));
typedef float   unaligned_float_vec __attribute__((vector_size(4 * SVM_LANES), aligned(4), may_alias));

int nn_svm_panels_new(nn_svm_panels *p, const double *x, int64_t dim, int n_classes, const int64_t *class_start, int64_t *place)
{
    place[0] = 0;
    for (int c = 0; c < n_classes; c++)
        place[c + 1] = place[c] + svm_padded(class_start[c + 1] - class_start[c]);
    const int64_t n_places = place[n_classes];
    const size_t room = (size_t)(n_places ? n_places : 1);
    *p = (nn_svm_panels){ .n_places = n_places, .dim = dim };
    p->panels = calloc(room * (size_t)dim, sizeof *p->panels);
    p->square = calloc(room, sizeof *p->square);
    if (!p->panels || !p->square) {
        nn_svm_panels_free(p);
        return 0;
    }
    for (int c = 0; c < n_classes; c++)
        for (int64_t i = class_start[c]; i < class_start[c + 1]; i++) {
            const int64_t at = place[c] + i - class_start[c];
            double *panel = p->panels + at / SVM_LANES * dim * SVM_LANES + at % SVM_LANES, sum = 0;
            for (int64_t d = 0; d < dim; d++) {
                panel[d * SVM_LANES] = x[i * dim + d];
                sum += x[i * dim + d] * x[i * dim + d];
            }
            p->square[at] = sum;
        }
    return 1;
}

void nn_svm_panels_free(nn_svm_panels *p)
{
    free(p->panels);
    free(p->square);
    *p = (nn_svm_panels){ 0 };
}

/* exp(-t), t >= 0, with an error of a few units in the last place; beyond 700, where floats are long 0, exp(-700). */
static inline void exp_negative(const vec *t, vec *out)
{
    static const double log2_e = 1.4426950408889634, ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723e-6;
    /* 1.5 * 2^52: adding it rounds to whole numbers, which then stand in the lowest bits. */
    static const double magic = 6755399441055744.0;
    static const double c[] = { 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24,
                                1.0 / 6, 0.5, 1, 1 };
    const int_vec far = *t > 700;
    const vec x = -(vec)((far & (int_vec)((vec){ 0 } + 700)) | (~far & (int_vec)*t));
    const vec shifted = x * log2_e + magic, n = shifted - magic, r = x - n * ln2_high - n * ln2_low;
    vec y = (vec){ 0 } + c[0];
    for (int i = 1; i < 12; i++)
        y = y * r + c[i];
    *out = (vec)((int_vec)y + ((int_vec)shifted << 52));
}

/* m rows of x with n panels: K into out [m, WIDTH]. m and n are constants where it is called: sums live in registers. */
static inline __attribute__((always_inline)) void tile(const nn_svm_panels *p, nn_svm_kernel kernel, double gamma, const double *x,
                                                       const double *square, int64_t place, int m, int n, double *out)
{
    const int64_t dim = p->dim;
    const double *panel = p->panels + place * dim;
    vec sum[ROWS][PANELS];
    for (int r = 0; r < m; r++)
        for (int v = 0; v < n; v++)
            sum[r][v] = (vec){ 0 };
    for (int64_t d = 0; d < dim; d++)
        for (int r = 0; r < m; r++) {
            const vec a = x[r * dim + d] - (vec){ 0 };
            for (int v = 0; v < n; v++)
                sum[r][v] += a * *(const unaligned_vec *)(panel + v * dim * SVM_LANES + d * SVM_LANES);
        }
    for (int r = 0; r < m; r++)
        for (int v = 0; v < n; v++) {
            vec k = sum[r][v];
            if (kernel == NN_SVM_RBF) {
                vec t = square[r] + *(const unaligned_vec *)(p->square + place + v * SVM_LANES) - 2 * k;
                t = (vec)((int_vec)t & ~(int_vec)(t < 0)) * gamma;
                exp_negative(&t, &k);
            }
            *(unaligned_vec *)(out + r * WIDTH + v * SVM_LANES) = k;
        }
}

static void tile_6x2(const nn_svm_panels *p, nn_svm_kernel kernel, double gamma, const double *x, const double *square,
                     int64_t place, double *out)
{
    tile(p, kernel, gamma, x, square, place, ROWS, PANELS, out);
}

static void tile_1x2(const nn_svm_panels *p, nn_svm_kernel kernel, double gamma, const double *x, const double *square,
                     int64_t place, double *out)
{
    tile(p, kernel, gamma, x, square, place, 1, PANELS, out);
}

static void tile_1x1(const nn_svm_panels *p, nn_svm_kernel kernel, double gamma, const double *x, const double *square,
                     int64_t place, double *out)
{
    tile(p, kernel, gamma, x, square, place, 1, 1, out);
}

/* The tile at (row, place) of a block that ends before n_rows and `to`; how many rows and panels it has. */
static void run_tile(const nn_svm_panels *p, nn_svm_kernel kernel, double gamma, const double *x, const double *square,
                     int64_t place, int rows, int panels, double *out)
{
    if (rows == ROWS && panels == PANELS) {
        tile_6x2(p, kernel, gamma, x, square, place, out);
        return;
    }
    for (int r = 0; r < rows; r++)
        (panels == PANELS ? tile_1x2 : tile_1x1)(p, kernel, gamma, x + r * p->dim, square + r, place, out + r * WIDTH);
}

/* Columns are taken in blocks whose panels stay in the second-level cache while all rows pass. */
#define EACH_TILE                                                                                                       \
    for (int64_t block = from; block < to; block += PANELS_AT_ONCE * SVM_LANES)                                         \
        for (int64_t i = 0; i < n_rows; i += ROWS)                                                                      \
            for (int64_t j = block; j < to && j < block + PANELS_AT_ONCE * SVM_LANES; j += WIDTH)

void nn_svm_kernel_double(const nn_svm_panels *p, nn_svm_kernel kernel, double gamma, const double *x, const double *square,
                          int64_t n_rows, int64_t from, int64_t to, double *out, int64_t stride)
{
    double got[ROWS * WIDTH];
    EACH_TILE {
        const int rows = n_rows - i < ROWS ? (int)(n_rows - i) : ROWS, panels = to - j < WIDTH ? 1 : PANELS;
        run_tile(p, kernel, gamma, x + i * p->dim, square + i, j, rows, panels, got);
        for (int r = 0; r < rows; r++)
            memcpy(out + (i + r) * stride + j - from, got + r * WIDTH, (size_t)(panels * SVM_LANES) * sizeof *got);
    }
}

void nn_svm_kernel_float(const nn_svm_panels *p, nn_svm_kernel kernel, double gamma, const double *x, const double *square,
                         int64_t n_rows, int64_t from, int64_t to, float *out, int64_t stride)
{
    double got[ROWS * WIDTH];
    EACH_TILE {
        const int rows = n_rows - i < ROWS ? (int)(n_rows - i) : ROWS, panels = to - j < WIDTH ? 1 : PANELS;
        run_tile(p, kernel, gamma, x + i * p->dim, square + i, j, rows, panels, got);
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < panels; v++)
                *(unaligned_float_vec *)(out + (i + r) * stride + j - from + v * SVM_LANES) =
                    __builtin_convertvector(*(const unaligned_vec *)(got + r * WIDTH + v * SVM_LANES), float_vec);
    }
}
