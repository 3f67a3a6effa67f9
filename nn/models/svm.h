/* Support vector classification: C-SVC by sequential minimal optimisation, one-vs-one for many classes,
 * with calibrated probabilities.
 *
 *     minimise  1/2 a'Qa - sum a    0 <= a[i] <= C w[class of i],  y'a = 0,   Q[i,j] = y[i] y[j] K(x[i], x[j])
 *     f(x) = sum over support vectors of a[i] y[i] K(x[i], x) - rho
 *     K(u, v) = u.v (linear)   or   exp(-gamma |u - v|^2) (rbf)
 *
 * Solver        Working pair by second-order information; stops when the greatest violation of the
 *               optimality conditions is below tolerance.
 * Kernel        Computed in bulk, as a matrix product in double; kept in float, as libsvm keeps it. What lies within a class
 *               is kept for all pairs when cache_mb has room, else rows in a cache, least recently used ones go first;
 *               nn_svm_search keeps the whole matrix for all C, folds and pairs. Values and results do not depend on it.
 * Classes       One machine per pair of classes (a, b), a < b, in the order (0,1) (0,2) .. (1,2) ..;
 *               a positive decision means a. nn_svm_predict counts votes, the first of equals wins;
 *               with probabilities it takes the most probable class instead.
 * Scaling       standardise: columns to mean 0 and deviation 1 of the training data (a constant column to 0);
 *               the numbers are kept with the model and applied to everything it sees. column_weight multiplies them.
 * Probabilities Each machine's decision goes through 1 / (1 + exp(A f + B)); A and B are fitted by Newton's
 *               method to decisions of 5 cross-validation folds, and the pairs are coupled into one
 *               distribution.
 * Folds         By group: points of one group (one recording, one song) never lie in different folds, while
 *               classes are spread as evenly as the groups allow. A class whose points are all of one
 *               group is split point by point, since otherwise it could not be tested at all.
 * Shapes        x [n, dim]; labels [n], 0 .. n_classes-1, each class present; groups [n], any numbers, or NULL:
 *               every point is its own group.
 * Errors        BL_EARG: fewer than 2 classes or more than NN_SVM_MAX_CLASSES, a class without points, an
 *               option out of range; BL_ENAN: x not finite; BL_ENOMEM; BL_ESTOP from a report that says stop.
 * Memory        Returned models: release with nn_svm_free (NULL allowed).
 * Threads       Parallel over pairs (train) and over grid points and folds (search); the same bits at any
 *               thread count. A model is read only once made: predict from as many threads as you like.
 * Source        Platt 1998; Fan, Chen & Lin, "Working set selection using second order information for
 *               training SVM", JMLR 6, 2005; Lin, Lin & Weng, "A note on Platt's probabilistic outputs for
 *               SVMs", Machine Learning 68, 2007; Wu, Lin & Weng, "Probability estimates for multi-class
 *               classification by pairwise coupling", JMLR 5, 2004 (its second method).
 * Cost          10,000 points of 60 numbers in 8 classes, rbf: 0.3 s on one core, libsvm 1.8 s; 2,000 predictions
 *               0.05 s, libsvm 0.8 s (docs/benchmarks.md).
 * Files         svm.c training, svm_solver.c one machine, svm_points.c and svm_kernel.c its kernel, svm_platt.c probabilities,
 *               svm_predict.c, svm_folds.c and svm_search.c cross-validation, svm_store.c checkpoints.
 * Tested        tests/nn/test_svm.c; decision values equal libsvm's to 1e-6 when both are solved to the end.
 */
#ifndef BL_NN_MODELS_SVM_H
#define BL_NN_MODELS_SVM_H

#include "base/error.h"
#include "nn/checkpoint.h"

#include <stdint.h>

enum { NN_SVM_MAX_CLASSES = 64, NN_SVM_MAX_DIM = 8192 };

typedef enum nn_svm_kernel { NN_SVM_LINEAR, NN_SVM_RBF } nn_svm_kernel;
extern const char *const nn_svm_kernel_names[]; /* "linear", "rbf", NULL */

/* Called now and then with the work done so far, from one thread at a time; returns 0 to go on. */
typedef int (*nn_svm_report)(void *user, int64_t done, int64_t total);

typedef struct nn_svm_opt {
    nn_svm_kernel kernel;
    double   C;              /* 0 means 1                                                         */
    double   gamma;          /* rbf; 0 means 1 / (dim * variance of x), scikit-learn's "scale"    */
    double   tolerance;      /* 0 means 1e-3                                                      */
    int64_t  max_iterations; /* of one machine; 0 means 10 million                                */
    double   cache_mb;       /* of the kernel matrix kept, all threads together; 0 means 512      */
    int      balanced;       /* weigh class c by n / (n_classes * n_c)                            */
    int      probability;
    int      standardise;
    const double *column_weight; /* [dim] how much a column counts, beside standardise; NULL: all 1 */
    uint64_t seed;           /* of the folds                                                      */
} nn_svm_opt;

typedef struct nn_svm {
    nn_svm_kernel kernel;
    int      n_classes, n_pairs, probability;
    int64_t  dim, n_sv;
    double   C, gamma;
    int64_t  iterations;  /* of all machines together */
    int64_t *class_start; /* [n_classes + 1] support vectors of class c: class_start[c] .. class_start[c+1]-1 */
    float   *sv;          /* [n_sv, dim], scaled                                                   */
    double  *coef;        /* [n_classes - 1, n_sv] a*y of vector s against its j-th other class    */
    double  *rho;         /* [n_pairs]                                                             */
    double  *prob_a, *prob_b;  /* [n_pairs], NULL without probabilities                            */
    double  *mean, *inv_scale; /* [dim]; 0 and 1 without standardise                               */
    struct nn_svm_panels *panels; /* the support vectors as prediction reads them                   */
    int64_t *place;               /* [n_classes + 1] where a class begins in there                  */
} nn_svm;

nn_svm *nn_svm_train(const float *x, int64_t n, int64_t dim, const int *labels, int n_classes, const int *groups,
                     const nn_svm_opt *opt, bl_error *err);
void    nn_svm_free(nn_svm *svm);

/* decision [n, n_pairs]. */
void nn_svm_decide(const nn_svm *svm, const float *x, int64_t n, double *decision);

/* labels [n], probabilities [n, n_classes]; either may be NULL. probabilities needs a model that has them. */
void nn_svm_predict(const nn_svm *svm, const float *x, int64_t n, int *labels, double *probabilities);

/* Grid search of C and gamma by cross-validation. The score is the mean recall of the classes when balanced,
 * else the accuracy (classes of one group only are learned but not counted); the first best in order of C, then gamma, wins and is written into opt.
 * scores [n_C, n_gamma]: in: negative, or not NaN numbers of an earlier run that are taken as they are when
 * >= 0 (fill with -1 at the start); out: all scores. With the linear kernel only the first gamma is used.
 * Scaling is that of the whole x, labels unseen. */
typedef struct nn_svm_grid {
    const double *C, *gamma;
    int           n_C, n_gamma;
    int           n_folds;       /* 0 means 5 */
} nn_svm_grid;

bl_status nn_svm_search(const float *x, int64_t n, int64_t dim, const int *labels, int n_classes, const int *groups,
                        const nn_svm_grid *grid, nn_svm_opt *opt, double *scores, nn_svm_report report, void *user,
                        bl_error *err);

/* fold [n], 0 .. n_folds-1, as described under Folds. */
bl_status nn_svm_folds(int64_t n, const int *labels, int n_classes, const int *groups, int n_folds, uint64_t seed,
                       int *fold, bl_error *err);

/* Under "<group>/..." of a checkpoint. */
bl_status nn_svm_save(const nn_svm *svm, nn_checkpoint *c, const char *group, bl_error *err);
nn_svm   *nn_svm_load(const nn_checkpoint *c, const char *group, bl_error *err);

#endif
