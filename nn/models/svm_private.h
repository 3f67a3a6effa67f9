/* What the files of the support vector machine share.
 *
 * Points are kept class by class. A *side* of a two-class problem is a class; its points take up a multiple of SVM_LANES
 * places, the last ones empty, so that every loop over places is a loop over whole vectors. A row of the kernel matrix
 * of a problem is two parts, one for each side; where they lie is up to svm_rows: in a matrix or in a cache of rows.
 */
#ifndef BL_NN_MODELS_SVM_PRIVATE_H
#define BL_NN_MODELS_SVM_PRIVATE_H

#include "nn/models/svm.h"

enum { SVM_LANES = 8, SVM_PLATT_FOLDS = 5 };

static inline int64_t svm_padded(int64_t n)
{
    return (n + SVM_LANES - 1) / SVM_LANES * SVM_LANES;
}

/* The pair (a, b) of classes, a < b, in the order (0,1) (0,2) .. (1,2) .. */
void nn_svm_pair_classes(int pair, int n_classes, int *a, int *b);

/* ---- svm_kernel.c: kernel values in bulk ---- */

/* Columns of the kernel matrix, eight points side by side: panels [n_places / SVM_LANES, dim, SVM_LANES]. */
typedef struct nn_svm_panels {
    int64_t n_places, dim;
    double *panels, *square; /* square [n_places]: |x|^2, 0 for empty places */
} nn_svm_panels;

/* x [n, dim], class by class; class_start [n_classes + 1]. Every class begins at a place that is a multiple of SVM_LANES:
 * place [n_classes + 1] receives it. 0 when there is no memory. */
int  nn_svm_panels_new(nn_svm_panels *p, const double *x, int64_t dim, int n_classes, const int64_t *class_start, int64_t *place);
void nn_svm_panels_free(nn_svm_panels *p);

/* K of rows x [n_rows, dim] with the places from..to-1 (multiples of SVM_LANES), square [n_rows] = |x|^2:
 * out[i * stride + place - from]. Empty places have the kernel of a zero vector. */
void nn_svm_kernel_double(const nn_svm_panels *p, nn_svm_kernel kernel, double gamma, const double *x, const double *square,
                          int64_t n_rows, int64_t from, int64_t to, double *out, int64_t stride);
void nn_svm_kernel_float(const nn_svm_panels *p, nn_svm_kernel kernel, double gamma, const double *x, const double *square,
                         int64_t n_rows, int64_t from, int64_t to, float *out, int64_t stride);

/* ---- svm_points.c: what is learned from, and rows of its kernel matrix ---- */

typedef struct nn_svm_points {
    int64_t        n, dim;
    int            n_classes;
    nn_svm_kernel  kernel;
    int64_t        class_start[NN_SVM_MAX_CLASSES + 1], place[NN_SVM_MAX_CLASSES + 1];
    int64_t       *order;    /* [n] row of the caller's x       */
    double        *x;        /* [n, dim] scaled, class by class */
    double        *square;   /* [n]                             */
    nn_svm_panels  panels;
} nn_svm_points;

bl_status nn_svm_points_new(nn_svm_points *p, const float *x, int64_t n, int64_t dim, const int *labels, int n_classes,
                            const double *mean, const double *inv_scale, nn_svm_kernel kernel, bl_error *err);
void      nn_svm_points_free(nn_svm_points *p);

/* The kernel matrix, or the parts of it within a class; 0 when there is no memory. Both in parallel. */
typedef struct nn_svm_matrix {
    float  *values;
    double  gamma;
    int     whole;                             /* 1: [n, places of all classes]; 0: per class c [n of c, places of c] */
    int64_t offset[NN_SVM_MAX_CLASSES];        /* of class c's part in values, when not whole                         */
} nn_svm_matrix;

/* Bytes of values. */
double nn_svm_matrix_bytes(const nn_svm_points *p, int whole);
int    nn_svm_matrix_new(nn_svm_matrix *m, const nn_svm_points *p, int whole);
void   nn_svm_matrix_fill(nn_svm_matrix *m, const nn_svm_points *p, double gamma);
void   nn_svm_matrix_free(nn_svm_matrix *m);

/* Rows of one two-class problem. */
typedef struct nn_svm_rows {
    const nn_svm_points *points;
    int      class_of[2];
    int64_t  n[2], n_places[2];        /* of either side                                         */
    double   gamma;
    double  *diagonal;                 /* [places of both sides]                                 */
    const float *part[2][2];           /* [side of the row][side of the column], NULL: cached    */
    int64_t  stride[2][2];
    float   *cross;                    /* owned: both cross parts                                */
    /* The cache of rows: least recently used ones are replaced. */
    int64_t  n_slots, row_length;
    float   *cached;                   /* [n_slots, row_length]                                  */
    int64_t *slot_of, *row_in;         /* [places of both sides] -1: not here; [n_slots] -1: free */
    int64_t *newer, *older;            /* [n_slots + 1] ring by use; entry n_slots is its anchor */
} nn_svm_rows;

/* matrix NULL: rows are computed when asked for and cached in cache_mb; at least two are. 0 when there is no memory. */
int  nn_svm_rows_new(nn_svm_rows *r, const nn_svm_points *p, const nn_svm_matrix *matrix, int a, int b, double gamma, double cache_mb);
void nn_svm_rows_free(nn_svm_rows *r);
/* Row of place t; good until the second next call. */
void nn_svm_rows_get(nn_svm_rows *r, int64_t t, const float *part[2]);

/* ---- svm_solver.c ---- */

/* One two-class machine; places of the first side first. */
typedef struct nn_svm_machine {
    int64_t  n_places;
    double  *bound;      /* [n_places] largest weight of each point; 0: takes no part (empty places too) */
    double  *alpha;      /* [n_places]                                                                   */
    double  *violation;  /* [n_places] y - sum of alpha y K: the decision before -rho is y - violation   */
    double   rho;
    int64_t  iterations; /* of all solutions so far                                                      */
} nn_svm_machine;

int  nn_svm_machine_new(nn_svm_machine *m, const nn_svm_rows *rows);
void nn_svm_machine_free(nn_svm_machine *m);

/* Upper bounds: C times the weight of its side, 0 for the points of fold `without` (fold NULL: for none); returns 1 when points
 * of both sides take part. fold is by the caller's rows. */
int nn_svm_machine_bound(nn_svm_machine *m, const nn_svm_rows *rows, double C_first, double C_second, const int *fold, int without);

/* From alpha 0. 0 when there is no memory. */
int nn_svm_solve(nn_svm_machine *m, nn_svm_rows *rows, double tolerance, int64_t max_iterations);

/* Decision of place t, a point that took part or not. */
static inline double nn_svm_machine_decision(const nn_svm_machine *m, const nn_svm_rows *rows, int64_t t)
{
    return (t < rows->n_places[0] ? 1 : -1) - m->violation[t] - m->rho;
}

/* ---- svm_platt.c ---- */

/* A and B of 1 / (1 + exp(A f + B)); y [n] > 0 for the first class. t [n] is scratch. */
void nn_svm_fit_sigmoid(const double *f, const double *y, int64_t n, double *t, double *A, double *B);
/* Pairwise probabilities r [k, k] into p [k]. */
void nn_svm_couple(int k, double r[NN_SVM_MAX_CLASSES][NN_SVM_MAX_CLASSES], double *p);

/* ---- svm.c ---- */

bl_status nn_svm_check(const float *x, int64_t n, int64_t dim, const int *labels, int n_classes, const nn_svm_opt *opt, bl_error *err);
void      nn_svm_find_scaling(const float *x, int64_t n, int64_t dim, const nn_svm_opt *opt, double *mean, double *inv_scale);
/* w[c] = n / (n_classes n_c) over the rows with fold[i] != without (fold NULL: all), or 1. */
void      nn_svm_class_weights(int64_t n, const int *labels, int n_classes, const int *fold, int without, int balanced, double *weight);
double    nn_svm_tolerance(const nn_svm_opt *opt);
int64_t   nn_svm_max_iterations(const nn_svm_opt *opt);
nn_svm   *nn_svm_alloc(int n_classes, int64_t dim, int64_t n_sv, int probability);
int       nn_svm_vote(int n_classes, const double *decision);

/* ---- svm_predict.c ---- */

/* Lays the support vectors out for prediction, once the model is complete; 0 when there is no memory. */
int nn_svm_prepare(nn_svm *svm);

#endif
