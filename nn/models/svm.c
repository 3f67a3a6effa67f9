/* Training of a support vector machine: one machine per pair of classes, and its probabilities. */
#include "nn/models/svm_private.h"

#include "base/parallel.h"
#include "nn/models/rows.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

const char *const nn_svm_kernel_names[] = { "linear", "rbf", NULL };

static const double default_cache_mb = 512;

bl_status nn_svm_check(const float *x, int64_t n, int64_t dim, const int *labels, int n_classes, const nn_svm_opt *opt,
                       bl_error *err)
{
    int64_t count[NN_SVM_MAX_CLASSES] = { 0 };
    if (n_classes < 2 || n_classes > NN_SVM_MAX_CLASSES)
        return bl_fail(err, BL_EARG, "support vector machine: expected 2 to %d classes, got %d", NN_SVM_MAX_CLASSES,
                       n_classes);
    if (n < 2 || n > INT32_MAX || dim < 1 || dim > NN_SVM_MAX_DIM)
        return bl_fail(err, BL_EARG, "support vector machine: expected at least 2 points of 1 to %d numbers, got %lld of %lld",
                       NN_SVM_MAX_DIM, (long long)n, (long long)dim);
    if (!(opt->C >= 0) || !(opt->gamma >= 0) || !(opt->tolerance >= 0) || !isfinite(opt->C + opt->gamma + opt->tolerance))
        return bl_fail(err, BL_EARG, "support vector machine: C, gamma and tolerance must be positive, got %g, %g and %g",
                       opt->C, opt->gamma, opt->tolerance);
    for (int64_t i = 0; i < n; i++) {
        if (labels[i] < 0 || labels[i] >= n_classes)
            return bl_fail(err, BL_EARG, "support vector machine: label %d of point %lld, expected 0 to %d", labels[i],
                           (long long)i, n_classes - 1);
        count[labels[i]]++;
    }
    for (int c = 0; c < n_classes; c++)
        if (!count[c])
            return bl_fail(err, BL_EARG, "support vector machine: class %d has no points", c);
    return nn_rows_check(x, n, dim, "support vector machine", err);
}

/* Fills mean and inv_scale [dim]. */
void nn_svm_find_scaling(const float *x, int64_t n, int64_t dim, const nn_svm_opt *opt, double *mean, double *inv_scale)
{
    if (opt->standardise)
        nn_rows_moments(x, n, dim, mean, inv_scale);
    for (int64_t j = 0; j < dim; j++) {
        if (opt->standardise) {
            /* A column that varies only by rounding is constant. */
            const double deviation = sqrt(inv_scale[j]);
            inv_scale[j] = deviation > 1e-7 * fabs(mean[j]) && deviation > 1e-30 ? 1 / deviation : 0;
        } else {
            mean[j] = 0;
            inv_scale[j] = 1;
        }
        inv_scale[j] *= opt->column_weight ? opt->column_weight[j] : 1;
    }
}

/* 1 / (dim * variance of all numbers). */
/* 1 / (dim * variance of all numbers). */
static double default_gamma(const nn_svm_points *p)
{
    double sum = 0, squares = 0;
    const int64_t n = p->n * p->dim;
    for (int64_t i = 0; i < n; i++)
        sum += p->x[i];
    const double mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += (p->x[i] - mean) * (p->x[i] - mean);
    return squares > 0 ? 1 / ((double)p->dim * squares / (double)n) : 1;
}

double nn_svm_tolerance(const nn_svm_opt *opt)
{
    return opt->tolerance > 0 ? opt->tolerance : 1e-3;
}

int64_t nn_svm_max_iterations(const nn_svm_opt *opt)
{
    return opt->max_iterations > 0 ? opt->max_iterations : 10000000;
}

void nn_svm_class_weights(int64_t n, const int *labels, int n_classes, const int *fold, int without, int balanced,
                          double *weight)
{
    double count[NN_SVM_MAX_CLASSES] = { 0 }, total = 0, used = 0;
    for (int64_t i = 0; i < n; i++)
        if (!fold || fold[i] != without) {
            count[labels[i]]++;
            total++;
        }
    for (int c = 0; c < n_classes; c++)
        used += count[c] > 0;
    for (int c = 0; c < n_classes; c++)
        weight[c] = balanced && count[c] > 0 ? total / (used * count[c]) : 1;
}

/* Rows of classes a (+1) and b (-1) with fold[i] != without. */
void nn_svm_pair_classes(int pair, int n_classes, int *a, int *b)
{
    int first = 0;
    while (pair >= n_classes - 1 - first) {
        pair -= n_classes - 1 - first;
        first++;
    }
    *a = first;
    *b = first + 1 + pair;
}

nn_svm *nn_svm_alloc(int n_classes, int64_t dim, int64_t n_sv, int probability)
{
    const size_t n_pairs = (size_t)n_classes * (size_t)(n_classes - 1) / 2, sv = (size_t)(n_sv ? n_sv : 1);
    nn_svm *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->n_classes = n_classes;
    s->n_pairs = (int)n_pairs;
    s->dim = dim;
    s->n_sv = n_sv;
    s->probability = probability;
    s->class_start = calloc((size_t)n_classes + 1, sizeof *s->class_start);
    s->sv = calloc(sv * (size_t)dim, sizeof *s->sv);
    s->coef = calloc(sv * (size_t)(n_classes - 1), sizeof *s->coef);
    s->rho = calloc(n_pairs, sizeof *s->rho);
    s->mean = calloc((size_t)dim, sizeof *s->mean);
    s->inv_scale = calloc((size_t)dim, sizeof *s->inv_scale);
    if (probability) {
        s->prob_a = calloc(n_pairs, sizeof *s->prob_a);
        s->prob_b = calloc(n_pairs, sizeof *s->prob_b);
    }
    if (!s->class_start || !s->sv || !s->coef || !s->rho || !s->mean || !s->inv_scale ||
        (probability && (!s->prob_a || !s->prob_b))) {
        nn_svm_free(s);
        return NULL;
    }
    return s;
}

void nn_svm_free(nn_svm *s)
{
    if (!s)
        return;
    free(s->class_start);
    free(s->sv);
    free(s->coef);
    free(s->rho);
    free(s->prob_a);
    free(s->prob_b);
    free(s->mean);
    free(s->inv_scale);
    free(s->place);
    if (s->panels)
        nn_svm_panels_free(s->panels);
    free(s->panels);
    free(s);
}


/* What the pairs have in common. */
typedef struct training {
    const nn_svm_points *p;
    const nn_svm_matrix *matrix;
    const nn_svm_opt    *opt;
    const int           *fold;
    double               weight[NN_SVM_MAX_CLASSES], gamma, cache_mb;
} training;

/* What was learned of a pair: weights of the support vectors, alpha y by place of either side. */
typedef struct pair_result {
    double *weight;    /* [places of both sides] alpha, 0 for the others */
    double  rho, A, B;
    int64_t iterations;
} pair_result;

/* Out-of-fold decisions of one pair, then the sigmoid. A machine without the points of a fold decides about them on the way:
 * its violations are kept for all points. */
static int calibrate(const training *t, nn_svm_machine *m, nn_svm_rows *rows, double C_a, double C_b, double *A, double *B)
{
    const nn_svm_points *p = t->p;
    const int64_t n = rows->n[0] + rows->n[1];
    double *f = calloc((size_t)n, sizeof *f), *y = malloc((size_t)n * sizeof *y), *scratch = malloc((size_t)n * sizeof *scratch);
    int ok = f && y && scratch;
    for (int k = 0; ok && k < SVM_PLATT_FOLDS; k++) {
        const int both = nn_svm_machine_bound(m, rows, C_a, C_b, t->fold, k);
        double only = 0;
        if (both)
            ok = nn_svm_solve(m, rows, nn_svm_tolerance(t->opt), nn_svm_max_iterations(t->opt));
        /* With one class alone in the rest, that class is the only answer; with none, there is none. */
        for (int64_t u = 0; u < m->n_places && !both; u++)
            only = m->bound[u] > 0 ? (u < rows->n_places[0] ? 1 : -1) : only;
        for (int64_t i = 0; ok && i < n; i++) {
            const int side = i >= rows->n[0];
            const int64_t own = side ? i - rows->n[0] : i, u = side ? rows->n_places[0] + own : own;
            y[i] = side ? -1 : 1;
            if (t->fold[p->order[p->class_start[rows->class_of[side]] + own]] == k)
                f[i] = both ? nn_svm_machine_decision(m, rows, u) : only;
        }
    }
    if (ok)
        nn_svm_fit_sigmoid(f, y, n, scratch, A, B);
    free(f);
    free(y);
    free(scratch);
    return ok;
}

static int train_pair(const training *t, int pair, pair_result *out)
{
    nn_svm_rows rows = { 0 };
    nn_svm_machine m = { 0 };
    int a, b;
    nn_svm_pair_classes(pair, t->p->n_classes, &a, &b);
    const double C = t->opt->C > 0 ? t->opt->C : 1, C_a = C * t->weight[a], C_b = C * t->weight[b];
    int ok = nn_svm_rows_new(&rows, t->p, t->matrix, a, b, t->gamma, t->cache_mb) && nn_svm_machine_new(&m, &rows) &&
             (out->weight = malloc((size_t)m.n_places * sizeof *out->weight));
    if (ok) {
        nn_svm_machine_bound(&m, &rows, C_a, C_b, NULL, 0);
        ok = nn_svm_solve(&m, &rows, nn_svm_tolerance(t->opt), nn_svm_max_iterations(t->opt));
    }
    if (ok) {
        memcpy(out->weight, m.alpha, (size_t)m.n_places * sizeof *out->weight);
        out->rho = m.rho;
        out->iterations = m.iterations;
        ok = !t->opt->probability || calibrate(t, &m, &rows, C_a, C_b, &out->A, &out->B);
    }
    nn_svm_machine_free(&m);
    nn_svm_rows_free(&rows);
    return ok;
}

/* Weight of point i of class c in the machine of classes c and other. */
static double weight_of(const nn_svm_points *p, const pair_result *pairs, int c, int other, int64_t i)
{
    const int a = c < other ? c : other, b = c < other ? other : c;
    const int pair = a * p->n_classes - a * (a + 1) / 2 + (b - a - 1);
    return pairs[pair].weight[i - p->class_start[c] + (c == a ? 0 : p->place[a + 1] - p->place[a])];
}

/* Support vectors are the points with a weight in any machine, stored class by class. */
static nn_svm *assemble(const nn_svm_points *p, const pair_result *pairs, const nn_svm_opt *opt)
{
    unsigned char *used = calloc((size_t)p->n, 1);
    int64_t n_sv = 0;
    for (int c = 0; used && c < p->n_classes; c++)
        for (int64_t i = p->class_start[c]; i < p->class_start[c + 1]; i++) {
            for (int other = 0; other < p->n_classes; other++)
                used[i] |= other != c && weight_of(p, pairs, c, other, i) > 0;
            n_sv += used[i];
        }
    nn_svm *s = used ? nn_svm_alloc(p->n_classes, p->dim, n_sv, opt->probability) : NULL;
    int64_t v = 0;
    for (int c = 0; s && c < p->n_classes; c++) {
        s->class_start[c] = v;
        for (int64_t i = p->class_start[c]; i < p->class_start[c + 1]; i++) {
            if (!used[i])
                continue;
            for (int64_t j = 0; j < p->dim; j++)
                s->sv[v * p->dim + j] = (float)p->x[i * p->dim + j];
            /* Of a class the others count 0, 1, .. without itself. */
            for (int other = 0; other < p->n_classes; other++)
                if (other != c)
                    s->coef[(other > c ? other - 1 : other) * n_sv + v] = (c < other ? 1 : -1) * weight_of(p, pairs, c, other, i);
            v++;
        }
        s->class_start[c + 1] = v;
    }
    for (int q = 0; s && q < s->n_pairs; q++) {
        s->rho[q] = pairs[q].rho;
        s->iterations += pairs[q].iterations;
        if (opt->probability) {
            s->prob_a[q] = pairs[q].A;
            s->prob_b[q] = pairs[q].B;
        }
    }
    free(used);
    return s;
}

/* The kernel within each class, which all its pairs share, is kept when there is room for it and for what lies across the
 * classes of the pairs at work; the values are the same either way. Returns 0 when there is no memory. */
static int share_matrix(training *t, nn_svm_matrix *matrix, int n_workers)
{
    const double budget_mb = t->opt->cache_mb > 0 ? t->opt->cache_mb : default_cache_mb;
    double largest = 0;
    for (int c = 0; c < t->p->n_classes; c++) {
        const double n = (double)(t->p->place[c + 1] - t->p->place[c]);
        largest = n > largest ? n : largest;
    }
    t->cache_mb = budget_mb / n_workers;
    if (nn_svm_matrix_bytes(t->p, 0) + n_workers * 2 * largest * largest * sizeof(float) > budget_mb * 1e6)
        return 1;
    if (!nn_svm_matrix_new(matrix, t->p, 0))
        return 0;
    nn_svm_matrix_fill(matrix, t->p, t->gamma);
    t->matrix = matrix;
    return 1;
}

/* All pairs, in parallel. */
static int train_pairs(training *t, pair_result *pairs, int n_pairs)
{
    const int threads = omp_get_max_threads(), n_workers = n_pairs < threads ? n_pairs : threads;
    nn_svm_matrix matrix = { 0 };
    int64_t next = 0;
    int ok = share_matrix(t, &matrix, n_workers), failed = 0;
    if (ok && n_pairs == 1) {
        ok = train_pair(t, 0, &pairs[0]); /* outside a parallel region, so that its kernel is computed by all threads */
    } else if (ok) {
        #pragma omp parallel
        for (int64_t q; (q = bl_take(&next)) < n_pairs;)
            if (!train_pair(t, (int)q, &pairs[q])) {
                #pragma omp atomic write
                failed = 1;
            }
    }
    nn_svm_matrix_free(&matrix);
    return ok && !failed;
}

nn_svm *nn_svm_train(const float *x, int64_t n, int64_t dim, const int *labels, int n_classes, const int *groups,
                     const nn_svm_opt *opt, bl_error *err)
{
    const int n_pairs = n_classes * (n_classes - 1) / 2;
    double *mean = NULL, *inv_scale = NULL;
    pair_result *pairs = NULL;
    int *fold = NULL;
    nn_svm_points p = { 0 };
    nn_svm *s = NULL;

    if (nn_svm_check(x, n, dim, labels, n_classes, opt, err) != BL_OK)
        return NULL;
    mean = malloc((size_t)dim * sizeof *mean);
    inv_scale = malloc((size_t)dim * sizeof *inv_scale);
    pairs = calloc((size_t)n_pairs, sizeof *pairs);
    fold = malloc((size_t)n * sizeof *fold);
    if (!mean || !inv_scale || !pairs || !fold) {
        bl_fail(err, BL_ENOMEM, "support vector machine: no memory for %lld points", (long long)n);
        goto done;
    }
    nn_svm_find_scaling(x, n, dim, opt, mean, inv_scale);
    if (nn_svm_points_new(&p, x, n, dim, labels, n_classes, mean, inv_scale, opt->kernel, err) != BL_OK ||
        (opt->probability && nn_svm_folds(n, labels, n_classes, groups, SVM_PLATT_FOLDS, opt->seed, fold, err) != BL_OK))
        goto done;
    training t = { .p = &p, .opt = opt, .fold = fold, .gamma = opt->gamma > 0 ? opt->gamma : default_gamma(&p) };
    nn_svm_class_weights(n, labels, n_classes, NULL, 0, opt->balanced, t.weight);
    if (train_pairs(&t, pairs, n_pairs))
        s = assemble(&p, pairs, opt);
    if (s) {
        s->kernel = opt->kernel;
        s->C = opt->C > 0 ? opt->C : 1;
        s->gamma = t.gamma;
        memcpy(s->mean, mean, (size_t)dim * sizeof *mean);
        memcpy(s->inv_scale, inv_scale, (size_t)dim * sizeof *inv_scale);
    }
    if (!s || !nn_svm_prepare(s)) {
        bl_fail(err, BL_ENOMEM, "support vector machine: no memory for %lld points", (long long)n);
        nn_svm_free(s);
        s = NULL;
    }
done:
    for (int q = 0; pairs && q < n_pairs; q++)
        free(pairs[q].weight);
    free(pairs);
    free(mean);
    free(inv_scale);
    free(fold);
    nn_svm_points_free(&p);
    return s;
}
