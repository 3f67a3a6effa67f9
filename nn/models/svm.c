/* Over 600 lines: solver, probabilities, search and storage of one learner share its kernel cache. */
/* One file of some length, because solver, cross-validation and probabilities share the kernel and the
 * layout of a pair's points; the sections stand in the order of the header. */
#include "nn/models/svm.h"

#include "base/rng.h"
#include "nn/models/rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const nn_svm_kernel_names[] = { "linear", "rbf", NULL };

/* Below this the curvature along a pair counts as flat; libsvm's TAU. */
static const double least_curvature = 1e-12;
enum { PLATT_FOLDS = 5, GRAM_MAX = 8000 };

/* ---- kernel ------------------------------------------------------------------------------------- */

/* All points of a problem, scaled, as the solver sees them. */
typedef struct points {
    int64_t       n, dim;
    double       *x;      /* [n, dim]                                                            */
    double       *square; /* [n] |x|^2                                                           */
    float        *gram;   /* [n, n] u.v (linear) or |u - v|^2 (rbf), NULL when n > GRAM_MAX      */
    nn_svm_kernel kernel;
} points;

static void points_free(points *p)
{
    free(p->x);
    free(p->square);
    free(p->gram);
    *p = (points){ 0 };
}

static double distance2_of(const points *p, int64_t i, int64_t j)
{
    const double d = p->square[i] + p->square[j] - 2 * nn_rows_dot(p->x + i * p->dim, p->x + j * p->dim, p->dim);
    return i == j || d < 0 ? 0 : d;
}

static double kernel_of(const points *p, int64_t i, int64_t j, double gamma)
{
    if (p->kernel == NN_SVM_LINEAR)
        return p->gram ? (double)p->gram[i * p->n + j] : nn_rows_dot(p->x + i * p->dim, p->x + j * p->dim, p->dim);
    return exp(-gamma * (p->gram ? (double)p->gram[i * p->n + j] : distance2_of(p, i, j)));
}

static bl_status points_new(points *p, const float *x, int64_t n, int64_t dim, const double *mean,
                            const double *inv_scale, nn_svm_kernel kernel, int with_gram, bl_error *err)
{
    *p = (points){ .n = n, .dim = dim, .kernel = kernel };
    p->x = malloc((size_t)n * (size_t)dim * sizeof *p->x);
    p->square = malloc((size_t)n * sizeof *p->square);
    if (with_gram && n <= GRAM_MAX)
        p->gram = malloc((size_t)n * (size_t)n * sizeof *p->gram);
    if (!p->x || !p->square || (with_gram && n <= GRAM_MAX && !p->gram)) {
        points_free(p);
        return bl_fail(err, BL_ENOMEM, "support vector machine: no memory for %lld points", (long long)n);
    }
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        double *row = p->x + i * dim;
        /* Through float, since that is how support vectors are stored and so what prediction will see. */
        for (int64_t j = 0; j < dim; j++)
            row[j] = (double)(float)(((double)x[i * dim + j] - mean[j]) * inv_scale[j]);
        p->square[i] = nn_rows_dot(row, row, dim);
    }
    if (!p->gram)
        return BL_OK;
    #pragma omp parallel for schedule(dynamic, 8)
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++) {
            const double v = kernel == NN_SVM_LINEAR ? nn_rows_dot(p->x + i * dim, p->x + j * dim, dim)
                                                     : distance2_of(p, i, j);
            p->gram[i * n + j] = p->gram[j * n + i] = (float)v;
        }
    return BL_OK;
}

/* Rows of Q of one machine, least recently used ones replaced when memory is used up. */
typedef struct cache {
    const points  *p;
    const int64_t *index;  /* [n] rows of p that belong to the machine */
    const double  *y;      /* [n] +1, -1                               */
    double   gamma;
    int64_t  n, n_slots;
    float   *rows;         /* [n_slots, n]                             */
    int64_t *slot_of;      /* [n], -1: not here                        */
    int64_t *row_in;       /* [n_slots], -1: free                      */
    int64_t *newer, *older; /* [n_slots + 1] ring by use; entry n_slots is its anchor */
} cache;

static void cache_free(cache *c)
{
    free(c->rows);
    free(c->slot_of);
    free(c->row_in);
    free(c->newer);
    free(c->older);
}

static int cache_new(cache *c, const points *p, const int64_t *index, const double *y, int64_t n, double gamma,
                     double megabytes)
{
    int64_t slots = (int64_t)(megabytes * 1e6 / ((double)n * sizeof(float)));
    slots = slots < 2 ? 2 : slots > n ? (n < 2 ? 2 : n) : slots;
    *c = (cache){ .p = p, .index = index, .y = y, .gamma = gamma, .n = n, .n_slots = slots };
    c->rows = malloc((size_t)slots * (size_t)n * sizeof *c->rows);
    c->slot_of = malloc((size_t)n * sizeof *c->slot_of);
    c->row_in = malloc((size_t)slots * sizeof *c->row_in);
    c->newer = malloc((size_t)(slots + 1) * sizeof *c->newer);
    c->older = malloc((size_t)(slots + 1) * sizeof *c->older);
    if (!c->rows || !c->slot_of || !c->row_in || !c->newer || !c->older)
        return 0;
    for (int64_t i = 0; i < n; i++)
        c->slot_of[i] = -1;
    for (int64_t s = 0; s <= slots; s++) {
        if (s < slots)
            c->row_in[s] = -1;
        c->newer[s] = s == slots ? 0 : s + 1;
        c->older[s] = s == 0 ? slots : s - 1;
    }
    return 1;
}

static const float *cache_row(cache *c, int64_t i)
{
    const int64_t anchor = c->n_slots;
    int64_t s = c->slot_of[i];
    const int hit = s >= 0;
    if (!hit)
        s = c->newer[anchor]; /* the oldest */
    c->older[c->newer[s]] = c->older[s];
    c->newer[c->older[s]] = c->newer[s];
    c->older[s] = c->older[anchor];
    c->newer[s] = anchor;
    c->newer[c->older[anchor]] = s;
    c->older[anchor] = s;
    float *row = c->rows + s * c->n;
    if (hit)
        return row;
    if (c->row_in[s] >= 0)
        c->slot_of[c->row_in[s]] = -1;
    c->row_in[s] = i;
    c->slot_of[i] = s;
    for (int64_t j = 0; j < c->n; j++)
        row[j] = (float)(c->y[i] * c->y[j] * kernel_of(c->p, c->index[i], c->index[j], c->gamma));
    return row;
}

/* ---- solver ------------------------------------------------------------------------------------- */

/* One two-class machine: its points and what was found. */
typedef struct machine {
    int64_t  n;
    int64_t *index;    /* [n] rows of the points, the positive class first */
    double  *y;        /* [n]                                              */
    double  *alpha;    /* [n]                                              */
    double   rho;
    int64_t  iterations;
} machine;

static void machine_free(machine *m)
{
    free(m->index);
    free(m->y);
    free(m->alpha);
    *m = (machine){ 0 };
}

static int machine_new(machine *m, int64_t n)
{
    *m = (machine){ 0 };
    m->index = malloc((size_t)(n ? n : 1) * sizeof *m->index);
    m->y = malloc((size_t)(n ? n : 1) * sizeof *m->y);
    m->alpha = calloc((size_t)(n ? n : 1), sizeof *m->alpha);
    return m->index && m->y && m->alpha;
}

typedef struct limits {
    double  C_positive, C_negative, gamma, tolerance, cache_mb;
    int64_t max_iterations;
} limits;

static double bound(const limits *o, double y)
{
    return y > 0 ? o->C_positive : o->C_negative;
}

/* Working set selection 2: i breaks the conditions most, j promises the greatest decrease with it.
 * Returns 0 when no pair breaks them by tolerance or more. */
static int select_pair(const machine *m, const limits *o, const double *gradient, const double *diagonal, cache *rows,
                       int64_t *out_i, int64_t *out_j)
{
    double up = -INFINITY, low = -INFINITY, least = INFINITY;
    int64_t i = -1, j = -1;
    for (int64_t t = 0; t < m->n; t++) {
        const int can = m->y[t] > 0 ? m->alpha[t] < o->C_positive : m->alpha[t] > 0;
        if (can && -m->y[t] * gradient[t] > up) {
            up = -m->y[t] * gradient[t];
            i = t;
        }
    }
    if (i < 0)
        return 0;
    const float *row = cache_row(rows, i);
    for (int64_t t = 0; t < m->n; t++) {
        const int can = m->y[t] > 0 ? m->alpha[t] > 0 : m->alpha[t] < o->C_negative;
        if (!can)
            continue;
        const double yg = m->y[t] * gradient[t], gain = up + yg;
        if (yg > low)
            low = yg;
        if (gain <= 0)
            continue;
        double curvature = diagonal[i] + diagonal[t] - 2 * m->y[i] * m->y[t] * (double)row[t];
        if (curvature <= 0)
            curvature = least_curvature;
        if (-gain * gain / curvature < least) {
            least = -gain * gain / curvature;
            j = t;
        }
    }
    if (j < 0 || up + low < o->tolerance)
        return 0;
    *out_i = i;
    *out_j = j;
    return 1;
}

/* The two-variable problem in closed form, clipped to its box. */
static void step_pair(machine *m, const limits *o, double *gradient, const double *diagonal, cache *rows, int64_t i,
                      int64_t j)
{
    /* Two rows at once: the cache holds at least two, and the one just asked for is never the oldest. */
    const float *qi = cache_row(rows, i), *qj = cache_row(rows, j);
    const double Ci = bound(o, m->y[i]), Cj = bound(o, m->y[j]), old_i = m->alpha[i], old_j = m->alpha[j];
    double ai, aj;

    if (m->y[i] * m->y[j] < 0) {
        double curvature = diagonal[i] + diagonal[j] + 2 * (double)qi[j];
        if (curvature <= 0)
            curvature = least_curvature;
        const double delta = (-gradient[i] - gradient[j]) / curvature, diff = old_i - old_j;
        ai = old_i + delta;
        aj = old_j + delta;
        if (diff > 0 && aj < 0) {
            aj = 0;
            ai = diff;
        } else if (diff <= 0 && ai < 0) {
            ai = 0;
            aj = -diff;
        }
        if (diff > Ci - Cj && ai > Ci) {
            ai = Ci;
            aj = Ci - diff;
        } else if (diff <= Ci - Cj && aj > Cj) {
            aj = Cj;
            ai = Cj + diff;
        }
    } else {
        double curvature = diagonal[i] + diagonal[j] - 2 * (double)qi[j];
        if (curvature <= 0)
            curvature = least_curvature;
        const double delta = (gradient[i] - gradient[j]) / curvature, sum = old_i + old_j;
        ai = old_i - delta;
        aj = old_j + delta;
        if (sum > Ci && ai > Ci) {
            ai = Ci;
            aj = sum - Ci;
        } else if (sum <= Ci && aj < 0) {
            aj = 0;
            ai = sum;
        }
        if (sum > Cj && aj > Cj) {
            aj = Cj;
            ai = sum - Cj;
        } else if (sum <= Cj && ai < 0) {
            ai = 0;
            aj = sum;
        }
    }
    m->alpha[i] = ai;
    m->alpha[j] = aj;
    const double di = ai - old_i, dj = aj - old_j;
    for (int64_t t = 0; t < m->n; t++)
        gradient[t] += (double)qi[t] * di + (double)qj[t] * dj;
}

/* rho from the free support vectors, or halfway between the bounds when there is none. */
static double find_rho(const machine *m, const limits *o, const double *gradient)
{
    double sum = 0, upper = INFINITY, lower = -INFINITY;
    int64_t n_free = 0;
    for (int64_t t = 0; t < m->n; t++) {
        const double yg = m->y[t] * gradient[t];
        if (m->alpha[t] > 0 && m->alpha[t] < bound(o, m->y[t])) {
            sum += yg;
            n_free++;
        } else if ((m->alpha[t] > 0) == (m->y[t] > 0)) {
            lower = yg > lower ? yg : lower;
        } else {
            upper = yg < upper ? yg : upper;
        }
    }
    return n_free ? sum / (double)n_free : (upper + lower) / 2;
}

/* Solves machine m (index, y given; alpha 0). Returns 0 when there is no memory. */
static int solve(machine *m, const points *p, const limits *o)
{
    double *gradient = malloc((size_t)m->n * sizeof *gradient), *diagonal = malloc((size_t)m->n * sizeof *diagonal);
    cache rows = { 0 };
    int64_t i, j;
    const int ok = gradient && diagonal && cache_new(&rows, p, m->index, m->y, m->n, o->gamma, o->cache_mb);
    if (ok) {
        for (int64_t t = 0; t < m->n; t++) {
            gradient[t] = -1;
            diagonal[t] = kernel_of(p, m->index[t], m->index[t], o->gamma);
        }
        while (m->iterations < o->max_iterations && select_pair(m, o, gradient, diagonal, &rows, &i, &j)) {
            step_pair(m, o, gradient, diagonal, &rows, i, j);
            m->iterations++;
        }
        m->rho = find_rho(m, o, gradient);
    }
    cache_free(&rows);
    free(gradient);
    free(diagonal);
    return ok;
}

static double decide_one(const machine *m, const points *p, int64_t row, double gamma)
{
    double f = -m->rho;
    for (int64_t t = 0; t < m->n; t++)
        if (m->alpha[t] > 0)
            f += m->alpha[t] * m->y[t] * kernel_of(p, m->index[t], row, gamma);
    return f;
}

/* ---- folds -------------------------------------------------------------------------------------- */

typedef struct group_entry {
    int     id;
    int64_t n, order;  /* order: random, decides between equal sizes */
    int64_t row;       /* of its counts                              */
} group_entry;

static int larger_first(const void *pa, const void *pb)
{
    const group_entry *a = pa, *b = pb;
    if (a->n != b->n)
        return a->n > b->n ? -1 : 1;
    return (a->order > b->order) - (a->order < b->order);
}

static int compare_ints(const void *pa, const void *pb)
{
    const int a = *(const int *)pa, b = *(const int *)pb;
    return (a > b) - (a < b);
}

static int64_t find_group(const int *ids, int64_t n, int id)
{
    int64_t low = 0, high = n - 1;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (ids[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* What the folds would cost if group counts g [n_classes] went into fold f: the sum over classes of the squared
 * share of the class in each fold; least when every class is spread evenly. */
static double fold_cost(const double *in_fold, const double *g, const double *class_n, int n_classes)
{
    double cost = 0;
    for (int c = 0; c < n_classes; c++)
        if (class_n[c] > 0) {
            const double before = in_fold[c] / class_n[c], after = (in_fold[c] + g[c]) / class_n[c];
            cost += after * after - before * before;
        }
    return cost;
}

/* Classes whose points are all of one group: split point by point. */
static void split_lonely(int64_t n, const int *labels, int c, int n_folds, bl_rng *rng, int64_t *scratch, int *fold)
{
    int64_t m = 0;
    for (int64_t i = 0; i < n; i++)
        if (labels[i] == c)
            scratch[m++] = i;
    bl_rng_shuffle(rng, scratch, m);
    for (int64_t i = 0; i < m; i++)
        fold[scratch[i]] = (int)(i % n_folds);
}

bl_status nn_svm_folds(int64_t n, const int *labels, int n_classes, const int *groups, int n_folds, uint64_t seed,
                       int *fold, bl_error *err)
{
    int *ids = malloc((size_t)n * sizeof *ids);
    int64_t *scratch = malloc((size_t)n * sizeof *scratch), n_groups = 0;
    group_entry *list = NULL;
    double *counts = NULL, *in_fold = NULL, *class_n = NULL;
    int *fold_of = NULL, *groups_of_class = NULL;
    bl_status status = BL_OK;
    bl_rng rng;

    bl_rng_seed(&rng, seed);
    if (!ids || !scratch)
        goto no_memory;
    for (int64_t i = 0; i < n; i++)
        ids[i] = groups ? groups[i] : (int)i;
    qsort(ids, (size_t)n, sizeof *ids, compare_ints);
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || ids[i] != ids[n_groups - 1])
            ids[n_groups++] = ids[i];
    list = malloc((size_t)n_groups * sizeof *list);
    counts = calloc((size_t)n_groups * (size_t)n_classes, sizeof *counts);
    in_fold = calloc((size_t)n_folds * (size_t)n_classes, sizeof *in_fold);
    class_n = calloc((size_t)n_classes, sizeof *class_n);
    fold_of = malloc((size_t)n_groups * sizeof *fold_of);
    groups_of_class = calloc((size_t)n_classes, sizeof *groups_of_class);
    if (!list || !counts || !in_fold || !class_n || !fold_of || !groups_of_class)
        goto no_memory;
    for (int64_t g = 0; g < n_groups; g++) {
        list[g] = (group_entry){ .id = ids[g], .row = g };
        scratch[g] = g;
    }
    bl_rng_shuffle(&rng, scratch, n_groups);
    for (int64_t g = 0; g < n_groups; g++)
        list[g].order = scratch[g];
    for (int64_t i = 0; i < n; i++) {
        const int64_t g = find_group(ids, n_groups, groups ? groups[i] : (int)i);
        double *count = counts + g * n_classes + labels[i];
        groups_of_class[labels[i]] += *count == 0.0;
        *count += 1;
        class_n[labels[i]] += 1;
        list[g].n++;
    }
    qsort(list, (size_t)n_groups, sizeof *list, larger_first);
    for (int64_t g = 0; g < n_groups; g++) {
        const double *own = counts + list[g].row * n_classes;
        int best = 0;
        double least = INFINITY;
        for (int f = 0; f < n_folds; f++) {
            const double cost = fold_cost(in_fold + f * n_classes, own, class_n, n_classes);
            if (cost < least - 1e-12) {
                least = cost;
                best = f;
            }
        }
        fold_of[list[g].row] = best;
        for (int c = 0; c < n_classes; c++)
            in_fold[best * n_classes + c] += own[c];
    }
    for (int64_t i = 0; i < n; i++)
        fold[i] = fold_of[find_group(ids, n_groups, groups ? groups[i] : (int)i)];
    for (int c = 0; c < n_classes; c++)
        if (groups_of_class[c] == 1)
            split_lonely(n, labels, c, n_folds, &rng, scratch, fold);
    goto done;
no_memory:
    status = bl_fail(err, BL_ENOMEM, "support vector machine: no memory for the folds of %lld points", (long long)n);
done:
    free(ids);
    free(scratch);
    free(list);
    free(counts);
    free(in_fold);
    free(class_n);
    free(fold_of);
    free(groups_of_class);
    return status;
}

/* ---- probabilities ------------------------------------------------------------------------------ */

/* Negative log-likelihood of the sigmoid, in the form that cannot overflow. */
static double sigmoid_loss(const double *f, const double *t, int64_t n, double A, double B)
{
    double loss = 0;
    for (int64_t i = 0; i < n; i++) {
        const double z = f[i] * A + B;
        loss += z >= 0 ? t[i] * z + log1p(exp(-z)) : (t[i] - 1) * z + log1p(exp(z));
    }
    return loss;
}

/* A and B of 1 / (1 + exp(A f + B)) by Newton's method with backtracking. t [n] is scratch. */
static void fit_sigmoid(const double *f, const double *y, int64_t n, double *t, double *out_A, double *out_B)
{
    const double ridge = 1e-12, least_step = 1e-10, precise = 1e-5;
    double positive = 0, A = 0, loss;
    for (int64_t i = 0; i < n; i++)
        positive += y[i] > 0;
    const double negative = (double)n - positive;
    double B = log((negative + 1) / (positive + 1));
    for (int64_t i = 0; i < n; i++)
        t[i] = y[i] > 0 ? (positive + 1) / (positive + 2) : 1 / (negative + 2);
    loss = sigmoid_loss(f, t, n, A, B);
    for (int iteration = 0; iteration < 100; iteration++) {
        double h11 = ridge, h22 = ridge, h21 = 0, g1 = 0, g2 = 0, step = 1;
        for (int64_t i = 0; i < n; i++) {
            const double z = f[i] * A + B, e = exp(-fabs(z));
            const double p = (z >= 0 ? e : 1) / (1 + e), q = 1 - p, d2 = p * q, d1 = t[i] - p;
            h11 += f[i] * f[i] * d2;
            h22 += d2;
            h21 += f[i] * d2;
            g1 += f[i] * d1;
            g2 += d1;
        }
        if (fabs(g1) < precise && fabs(g2) < precise)
            break;
        const double det = h11 * h22 - h21 * h21, dA = -(h22 * g1 - h21 * g2) / det, dB = -(h11 * g2 - h21 * g1) / det;
        const double slope = g1 * dA + g2 * dB;
        for (; step >= least_step; step /= 2) {
            const double next = sigmoid_loss(f, t, n, A + step * dA, B + step * dB);
            if (next < loss + 0.0001 * step * slope) {
                A += step * dA;
                B += step * dB;
                loss = next;
                break;
            }
        }
        if (step < least_step)
            break;
    }
    *out_A = A;
    *out_B = B;
}

/* Coupling of pairwise probabilities r [k, k] into p [k]: the fixed point of Wu, Lin & Weng's second method. */
static void couple(int k, double r[NN_SVM_MAX_CLASSES][NN_SVM_MAX_CLASSES], double *p)
{
    static const int most_rounds = 1000;
    double Q[NN_SVM_MAX_CLASSES][NN_SVM_MAX_CLASSES], Qp[NN_SVM_MAX_CLASSES];
    const double precise = 1e-7 / k;
    for (int t = 0; t < k; t++) {
        p[t] = 1.0 / k;
        Q[t][t] = 0;
        for (int j = 0; j < k; j++)
            if (j != t) {
                Q[t][t] += r[j][t] * r[j][t];
                Q[t][j] = -r[j][t] * r[t][j];
            }
    }
    for (int round = 0; round < most_rounds; round++) {
        double pQp = 0, worst = 0;
        for (int t = 0; t < k; t++) {
            Qp[t] = 0;
            for (int j = 0; j < k; j++)
                Qp[t] += Q[t][j] * p[j];
            pQp += p[t] * Qp[t];
        }
        for (int t = 0; t < k; t++)
            worst = fabs(Qp[t] - pQp) > worst ? fabs(Qp[t] - pQp) : worst;
        if (worst < precise)
            break;
        for (int t = 0; t < k; t++) {
            const double diff = (-Qp[t] + pQp) / Q[t][t];
            p[t] += diff;
            pQp = (pQp + diff * (diff * Q[t][t] + 2 * Qp[t])) / (1 + diff) / (1 + diff);
            for (int j = 0; j < k; j++) {
                Qp[j] = (Qp[j] + diff * Q[t][j]) / (1 + diff);
                p[j] /= 1 + diff;
            }
        }
    }
}

/* ---- training ----------------------------------------------------------------------------------- */

static bl_status check(const float *x, int64_t n, int64_t dim, const int *labels, int n_classes, const nn_svm_opt *opt,
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
static void find_scaling(const float *x, int64_t n, int64_t dim, int standardise, double *mean, double *inv_scale)
{
    if (!standardise) {
        for (int64_t j = 0; j < dim; j++) {
            mean[j] = 0;
            inv_scale[j] = 1;
        }
        return;
    }
    nn_rows_moments(x, n, dim, mean, inv_scale);
    for (int64_t j = 0; j < dim; j++) {
        /* A column that varies only by rounding is constant. */
        const double deviation = sqrt(inv_scale[j]);
        inv_scale[j] = deviation > 1e-7 * fabs(mean[j]) && deviation > 1e-30 ? 1 / deviation : 0;
    }
}

/* 1 / (dim * variance of all numbers). */
static double default_gamma(const points *p)
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

static limits limits_of(const nn_svm_opt *opt, double gamma, const double *weight, int a, int b, double cache_mb)
{
    const double C = opt->C > 0 ? opt->C : 1;
    return (limits){ .C_positive = C * weight[a], .C_negative = C * weight[b], .gamma = gamma, .cache_mb = cache_mb,
                     .tolerance = opt->tolerance > 0 ? opt->tolerance : 1e-3,
                     .max_iterations = opt->max_iterations > 0 ? opt->max_iterations : 10000000 };
}

/* w[c] = n / (n_classes n_c) over the rows with fold[i] != without (fold NULL: all), or 1. */
static void class_weights(int64_t n, const int *labels, int n_classes, const int *fold, int without, int balanced,
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
static void collect(machine *m, int64_t n, const int *labels, int a, int b, const int *fold, int without)
{
    m->n = 0;
    for (int side = 0; side < 2; side++)
        for (int64_t i = 0; i < n; i++)
            if (labels[i] == (side ? b : a) && (!fold || fold[i] != without)) {
                m->index[m->n] = i;
                m->y[m->n++] = side ? -1 : 1;
            }
}

static int has_both(const machine *m)
{
    return m->n > 0 && m->y[0] > 0 && m->y[m->n - 1] < 0;
}

/* Out-of-fold decisions of one pair, then the sigmoid. Returns 0 when there is no memory. */
static int calibrate(const points *p, const int *labels, int a, int b, const int *fold, const limits *o, double *A,
                     double *B)
{
    machine all, part;
    int ok = machine_new(&all, p->n);
    ok &= machine_new(&part, p->n);
    double *f = malloc((size_t)p->n * sizeof *f), *t = malloc((size_t)p->n * sizeof *t);
    ok &= f && t;
    if (ok)
        collect(&all, p->n, labels, a, b, NULL, 0);
    for (int k = 0; ok && k < PLATT_FOLDS; k++) {
        collect(&part, p->n, labels, a, b, fold, k);
        memset(part.alpha, 0, (size_t)p->n * sizeof *part.alpha);
        part.iterations = 0;
        const int both = has_both(&part);
        if (both)
            ok = solve(&part, p, o);
        /* With one class alone in the rest, that class is the only answer; with none, there is none. */
        const double only = part.n == 0 ? 0 : part.y[0];
        for (int64_t i = 0; ok && i < all.n; i++)
            if (fold[all.index[i]] == k)
                f[i] = both ? decide_one(&part, p, all.index[i], o->gamma) : only;
    }
    if (ok)
        fit_sigmoid(f, all.y, all.n, t, A, B);
    free(f);
    free(t);
    machine_free(&all);
    machine_free(&part);
    return ok;
}

static void pair_classes(int pair, int n_classes, int *a, int *b)
{
    int first = 0;
    while (pair >= n_classes - 1 - first) {
        pair -= n_classes - 1 - first;
        first++;
    }
    *a = first;
    *b = first + 1 + pair;
}

static nn_svm *svm_alloc(int n_classes, int64_t dim, int64_t n_sv, int probability)
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
    free(s);
}

/* Support vectors are the points with a weight in any machine, stored class by class. */
static nn_svm *assemble(const points *p, const int *labels, int n_classes, const machine *machines, int probability)
{
    const int n_pairs = n_classes * (n_classes - 1) / 2;
    int64_t *slot = malloc((size_t)p->n * sizeof *slot), n_sv = 0;
    nn_svm *s = NULL;
    if (!slot)
        return NULL;
    memset(slot, 0, (size_t)p->n * sizeof *slot);
    for (int q = 0; q < n_pairs; q++)
        for (int64_t i = 0; i < machines[q].n; i++)
            if (machines[q].alpha[i] > 0)
                slot[machines[q].index[i]] = 1;
    for (int64_t i = 0; i < p->n; i++)
        n_sv += slot[i];
    s = svm_alloc(n_classes, p->dim, n_sv, probability);
    if (!s)
        goto done;
    n_sv = 0;
    for (int c = 0; c < n_classes; c++) {
        s->class_start[c] = n_sv;
        for (int64_t i = 0; i < p->n; i++) {
            if (labels[i] != c || !slot[i])
                continue;
            for (int64_t j = 0; j < p->dim; j++)
                s->sv[n_sv * p->dim + j] = (float)p->x[i * p->dim + j];
            slot[i] = n_sv++;
        }
    }
    s->class_start[n_classes] = n_sv;
    for (int q = 0; q < n_pairs; q++) {
        int a, b;
        pair_classes(q, n_classes, &a, &b);
        s->rho[q] = machines[q].rho;
        s->iterations += machines[q].iterations;
        for (int64_t i = 0; i < machines[q].n; i++)
            if (machines[q].alpha[i] > 0) {
                const int64_t v = slot[machines[q].index[i]];
                /* Of class a the other classes count 0, 1, .. without a itself, so b is its (b - 1)-th. */
                const int row = machines[q].y[i] > 0 ? b - 1 : a;
                s->coef[row * n_sv + v] = machines[q].alpha[i] * machines[q].y[i];
            }
    }
done:
    free(slot);
    return s;
}

nn_svm *nn_svm_train(const float *x, int64_t n, int64_t dim, const int *labels, int n_classes, const int *groups,
                     const nn_svm_opt *opt, bl_error *err)
{
    const int n_pairs = n_classes * (n_classes - 1) / 2;
    double weight[NN_SVM_MAX_CLASSES], *mean = NULL, *inv_scale = NULL, *A = NULL, *B = NULL;
    machine *machines = NULL;
    int *fold = NULL, out_of_memory = 0;
    points p = { 0 };
    nn_svm *s = NULL;

    if (check(x, n, dim, labels, n_classes, opt, err) != BL_OK)
        return NULL;
    mean = malloc((size_t)dim * sizeof *mean);
    inv_scale = malloc((size_t)dim * sizeof *inv_scale);
    machines = calloc((size_t)n_pairs, sizeof *machines);
    A = calloc((size_t)n_pairs, sizeof *A);
    B = calloc((size_t)n_pairs, sizeof *B);
    fold = malloc((size_t)n * sizeof *fold);
    if (!mean || !inv_scale || !machines || !A || !B || !fold) {
        bl_fail(err, BL_ENOMEM, "support vector machine: no memory for %lld points", (long long)n);
        goto done;
    }
    find_scaling(x, n, dim, opt->standardise, mean, inv_scale);
    if (points_new(&p, x, n, dim, mean, inv_scale, opt->kernel, 1, err) != BL_OK ||
        (opt->probability && nn_svm_folds(n, labels, n_classes, groups, PLATT_FOLDS, opt->seed, fold, err) != BL_OK))
        goto done;
    const double gamma = opt->gamma > 0 ? opt->gamma : default_gamma(&p);
    /* The same share whatever the number of threads would do as well; results never depend on the cache. */
    const double cache_mb = (opt->cache_mb > 0 ? opt->cache_mb : 200) / (n_pairs < 4 ? n_pairs : 4);
    class_weights(n, labels, n_classes, NULL, 0, opt->balanced, weight);
    #pragma omp parallel for schedule(dynamic)
    for (int q = 0; q < n_pairs; q++) {
        int a, b;
        pair_classes(q, n_classes, &a, &b);
        const limits o = limits_of(opt, gamma, weight, a, b, cache_mb);
        int ok = machine_new(&machines[q], n);
        if (ok) {
            collect(&machines[q], n, labels, a, b, NULL, 0);
            ok = solve(&machines[q], &p, &o);
        }
        if (ok && opt->probability)
            ok = calibrate(&p, labels, a, b, fold, &o, &A[q], &B[q]);
        if (!ok) {
            #pragma omp atomic write
            out_of_memory = 1;
        }
    }
    if (!out_of_memory)
        s = assemble(&p, labels, n_classes, machines, opt->probability);
    if (!s) {
        bl_fail(err, BL_ENOMEM, "support vector machine: no memory for %lld points", (long long)n);
        goto done;
    }
    s->kernel = opt->kernel;
    s->C = opt->C > 0 ? opt->C : 1;
    s->gamma = gamma;
    memcpy(s->mean, mean, (size_t)dim * sizeof *mean);
    memcpy(s->inv_scale, inv_scale, (size_t)dim * sizeof *inv_scale);
    if (opt->probability) {
        memcpy(s->prob_a, A, (size_t)n_pairs * sizeof *A);
        memcpy(s->prob_b, B, (size_t)n_pairs * sizeof *B);
    }
done:
    for (int q = 0; machines && q < n_pairs; q++)
        machine_free(&machines[q]);
    free(machines);
    free(mean);
    free(inv_scale);
    free(A);
    free(B);
    free(fold);
    points_free(&p);
    return s;
}

/* ---- prediction --------------------------------------------------------------------------------- */

static double kernel_with_sv(const nn_svm *s, const float *x, int64_t v)
{
    const float *sv = s->sv + v * s->dim;
    double lane[4] = { 0 }, sum = 0;
    int64_t j = 0;
    if (s->kernel == NN_SVM_LINEAR) {
        for (; j < s->dim; j++)
            lane[j & 3] += (double)(float)(((double)x[j] - s->mean[j]) * s->inv_scale[j]) * (double)sv[j];
    } else {
        for (; j < s->dim; j++) {
            const double d = (double)(float)(((double)x[j] - s->mean[j]) * s->inv_scale[j]) - (double)sv[j];
            lane[j & 3] += d * d;
        }
    }
    for (int l = 0; l < 4; l++)
        sum += lane[l];
    return s->kernel == NN_SVM_LINEAR ? sum : exp(-s->gamma * sum);
}

static int pair_of(int a, int b, int n_classes)
{
    return a * n_classes - a * (a + 1) / 2 + (b - a - 1);
}

static void decide(const nn_svm *s, const float *x, double *decision)
{
    for (int q = 0; q < s->n_pairs; q++)
        decision[q] = -s->rho[q];
    for (int c = 0; c < s->n_classes; c++)
        for (int64_t v = s->class_start[c]; v < s->class_start[c + 1]; v++) {
            const double k = kernel_with_sv(s, x, v);
            for (int other = 0; other < s->n_classes; other++) {
                if (other == c)
                    continue;
                const int a = c < other ? c : other, b = c < other ? other : c;
                const int row = other > c ? other - 1 : other;
                decision[pair_of(a, b, s->n_classes)] += s->coef[row * s->n_sv + v] * k;
            }
        }
}

void nn_svm_decide(const nn_svm *svm, const float *x, int64_t n, double *decision)
{
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++)
        decide(svm, x + i * svm->dim, decision + i * svm->n_pairs);
}

static int vote(int n_classes, const double *decision)
{
    int votes[NN_SVM_MAX_CLASSES] = { 0 }, q = 0, best = 0;
    for (int a = 0; a < n_classes; a++)
        for (int b = a + 1; b < n_classes; b++)
            votes[decision[q++] > 0 ? a : b]++;
    for (int c = 1; c < n_classes; c++)
        if (votes[c] > votes[best])
            best = c;
    return best;
}

static void probabilities_of(const nn_svm *s, const double *decision, double *p)
{
    const double least = 1e-7;
    double r[NN_SVM_MAX_CLASSES][NN_SVM_MAX_CLASSES];
    int q = 0;
    for (int a = 0; a < s->n_classes; a++)
        for (int b = a + 1; b < s->n_classes; b++, q++) {
            const double z = s->prob_a[q] * decision[q] + s->prob_b[q], e = exp(-fabs(z));
            double v = (z >= 0 ? e : 1) / (1 + e);
            v = v < least ? least : v > 1 - least ? 1 - least : v;
            r[a][b] = v;
            r[b][a] = 1 - v;
        }
    if (s->n_classes == 2) {
        p[0] = r[0][1];
        p[1] = r[1][0];
        return;
    }
    couple(s->n_classes, r, p);
}

void nn_svm_predict(const nn_svm *svm, const float *x, int64_t n, int *labels, double *probabilities)
{
    BL_ASSERT(!probabilities || svm->probability);
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i++) {
        double decision[NN_SVM_MAX_CLASSES * (NN_SVM_MAX_CLASSES - 1) / 2], p[NN_SVM_MAX_CLASSES];
        int best = 0;
        decide(svm, x + i * svm->dim, decision);
        if (svm->probability) {
            probabilities_of(svm, decision, p);
            for (int c = 1; c < svm->n_classes; c++)
                if (p[c] > p[best])
                    best = c;
            if (probabilities)
                memcpy(probabilities + i * svm->n_classes, p, (size_t)svm->n_classes * sizeof *p);
        } else {
            best = vote(svm->n_classes, decision);
        }
        if (labels)
            labels[i] = best;
    }
}

/* ---- search ------------------------------------------------------------------------------------- */

/* One grid point on one fold: adds correct predictions of each class into right [n_classes]. */
static int test_fold(const points *p, const int *labels, int n_classes, const int *fold, int k, const nn_svm_opt *opt,
                     double gamma, double *right)
{
    const int n_pairs = n_classes * (n_classes - 1) / 2;
    double weight[NN_SVM_MAX_CLASSES];
    double *decision = calloc((size_t)p->n * (size_t)n_pairs, sizeof *decision);
    machine m;
    int ok = machine_new(&m, p->n);
    ok &= decision != NULL;

    class_weights(p->n, labels, n_classes, fold, k, opt->balanced, weight);
    for (int q = 0; ok && q < n_pairs; q++) {
        int a, b;
        pair_classes(q, n_classes, &a, &b);
        const limits o = limits_of(opt, gamma, weight, a, b, opt->cache_mb > 0 ? opt->cache_mb / 4 : 50);
        collect(&m, p->n, labels, a, b, fold, k);
        memset(m.alpha, 0, (size_t)p->n * sizeof *m.alpha);
        m.iterations = 0;
        const int both = has_both(&m);
        if (both)
            ok = solve(&m, p, &o);
        const double only = m.n == 0 ? 0 : m.y[0];
        for (int64_t i = 0; ok && i < p->n; i++)
            if (fold[i] == k)
                decision[i * n_pairs + q] = both ? decide_one(&m, p, i, gamma) : only;
    }
    for (int64_t i = 0; ok && i < p->n; i++)
        if (fold[i] == k)
            right[labels[i]] += vote(n_classes, decision + i * n_pairs) == labels[i];
    machine_free(&m);
    free(decision);
    return ok;
}

/* Classes that lie in one group only cannot be tested on a group they were not learned from; they do not count
 * in the score, unless there is no other. count [n_classes]: set to 0 for them. */
static void leave_out_lonely(int64_t n, const int *labels, const int *groups, int n_classes, int64_t *count)
{
    int first[NN_SVM_MAX_CLASSES], several[NN_SVM_MAX_CLASSES] = { 0 }, seen[NN_SVM_MAX_CLASSES] = { 0 }, n_several = 0;
    for (int64_t i = 0; groups && i < n; i++) {
        const int c = labels[i];
        if (!seen[c]++)
            first[c] = groups[i];
        else
            several[c] |= groups[i] != first[c];
    }
    for (int c = 0; c < n_classes; c++)
        n_several += several[c];
    for (int c = 0; c < n_classes && n_several > 0; c++)
        count[c] = several[c] ? count[c] : 0;
}

/* The score of one grid point from the counts of its folds, [n_folds, n_classes]. */
static double score_of(const double *right, int n_folds, const int64_t *count, int n_classes, int balanced)
{
    double total = 0, recall = 0, all = 0, n_counted = 0;
    for (int c = 0; c < n_classes; c++) {
        double r = 0;
        if (!count[c])
            continue;
        n_counted++;
        for (int k = 0; k < n_folds; k++)
            r += right[k * n_classes + c];
        total += r;
        all += (double)count[c];
        recall += r / (double)count[c];
    }
    return balanced ? recall / n_counted : total / all;
}

typedef struct search {
    const points     *p;
    const int        *labels, *fold;
    const nn_svm_grid *grid;
    const nn_svm_opt *opt;
    int               n_classes, n_folds, n_gamma;
    double           *right;  /* [n_C * n_gamma, n_folds, n_classes] */
} search;

static int search_task(const search *s, int64_t task)
{
    const int64_t cell = task / s->n_folds;
    const int k = (int)(task % s->n_folds);
    nn_svm_opt o = *s->opt;
    o.C = s->grid->C[cell / s->n_gamma];
    const double gamma = s->grid->n_gamma > 0 ? s->grid->gamma[cell % s->n_gamma] : 1;
    return test_fold(s->p, s->labels, s->n_classes, s->fold, k, &o, gamma, s->right + task * s->n_classes);
}

static bl_status check_grid(const nn_svm_grid *grid, nn_svm_kernel kernel, bl_error *err)
{
    if (grid->n_C < 1 || (kernel == NN_SVM_RBF && grid->n_gamma < 1) || grid->n_folds < 0 || grid->n_folds == 1)
        return bl_fail(err, BL_EARG, "support vector machine: the grid needs values of C, of gamma for rbf, and 2 folds or more");
    for (int i = 0; i < grid->n_C; i++)
        if (!(grid->C[i] > 0))
            return bl_fail(err, BL_EARG, "support vector machine: C must be positive, got %g", grid->C[i]);
    for (int i = 0; i < grid->n_gamma; i++)
        if (!(grid->gamma[i] > 0))
            return bl_fail(err, BL_EARG, "support vector machine: gamma must be positive, got %g", grid->gamma[i]);
    return BL_OK;
}

bl_status nn_svm_search(const float *x, int64_t n, int64_t dim, const int *labels, int n_classes, const int *groups,
                        const nn_svm_grid *grid, nn_svm_opt *opt, double *scores, nn_svm_report report, void *user,
                        bl_error *err)
{
    const int n_folds = grid->n_folds > 0 ? grid->n_folds : 5;
    const int n_gamma = opt->kernel == NN_SVM_RBF ? grid->n_gamma : 1;
    const int64_t n_cells = (int64_t)grid->n_C * n_gamma;
    int64_t count[NN_SVM_MAX_CLASSES] = { 0 }, finished = 0;
    double *mean = NULL, *inv_scale = NULL, *right = NULL;
    int *fold = NULL, *left = NULL, out_of_memory = 0, stop = 0;
    points p = { 0 };
    bl_status status = check(x, n, dim, labels, n_classes, opt, err);

    if (status != BL_OK || (status = check_grid(grid, opt->kernel, err)) != BL_OK)
        return status;
    mean = malloc((size_t)dim * sizeof *mean);
    inv_scale = malloc((size_t)dim * sizeof *inv_scale);
    fold = malloc((size_t)n * sizeof *fold);
    left = malloc((size_t)n_cells * sizeof *left);
    right = calloc((size_t)n_cells * (size_t)n_folds * (size_t)n_classes, sizeof *right);
    if (!mean || !inv_scale || !fold || !left || !right) {
        status = bl_fail(err, BL_ENOMEM, "support vector machine: no memory for the search over %lld points", (long long)n);
        goto done;
    }
    for (int64_t i = 0; i < n; i++)
        count[labels[i]]++;
    leave_out_lonely(n, labels, groups, n_classes, count);
    find_scaling(x, n, dim, opt->standardise, mean, inv_scale);
    if ((status = points_new(&p, x, n, dim, mean, inv_scale, opt->kernel, 1, err)) != BL_OK ||
        (status = nn_svm_folds(n, labels, n_classes, groups, n_folds, opt->seed, fold, err)) != BL_OK)
        goto done;
    for (int64_t c = 0; c < n_cells; c++) {
        left[c] = scores[c] >= 0 ? 0 : n_folds;
        finished += scores[c] >= 0 ? n_folds : 0;
    }
    const search s = { &p, labels, fold, grid, opt, n_classes, n_folds, n_gamma, right };
    #pragma omp parallel for schedule(dynamic)
    for (int64_t task = 0; task < n_cells * n_folds; task++) {
        const int64_t cell = task / n_folds;
        int go;
        #pragma omp critical(nn_svm_search_state)
        go = !stop && left[cell] > 0;
        if (!go)
            continue;
        const int ok = search_task(&s, task);
        #pragma omp critical(nn_svm_search_state)
        {
            out_of_memory |= !ok;
            finished++;
            if (--left[cell] == 0 && ok)
                scores[cell] = score_of(right + cell * n_folds * n_classes, n_folds, count, n_classes, opt->balanced);
            if (out_of_memory || (report && report(user, finished, n_cells * n_folds)))
                stop = 1;
        }
    }
    if (out_of_memory)
        status = bl_fail(err, BL_ENOMEM, "support vector machine: no memory for the search over %lld points", (long long)n);
    else if (stop)
        status = bl_fail(err, BL_ESTOP, "support vector machine: search interrupted");
    if (status != BL_OK)
        goto done;
    int64_t best = 0;
    for (int64_t c = 1; c < n_cells; c++)
        if (scores[c] > scores[best] + 1e-12)
            best = c;
    opt->C = grid->C[best / n_gamma];
    if (opt->kernel == NN_SVM_RBF)
        opt->gamma = grid->gamma[best % n_gamma];
done:
    free(mean);
    free(inv_scale);
    free(fold);
    free(left);
    free(right);
    points_free(&p);
    return status;
}

/* ---- checkpoints -------------------------------------------------------------------------------- */

static bl_status put(nn_checkpoint *c, const char *group, const char *what, nn_dtype type, int rank, int64_t rows,
                     int64_t columns, const void *data, bl_error *err)
{
    char name[256];
    snprintf(name, sizeof name, "%s/%s", group, what);
    return nn_checkpoint_put(c, name, type, rank, (int64_t[]){ rows, columns }, data, err);
}

bl_status nn_svm_save(const nn_svm *s, nn_checkpoint *c, const char *group, bl_error *err)
{
    const int64_t header[6] = { s->kernel, s->n_classes, s->dim, s->n_sv, s->probability, s->iterations };
    const double numbers[2] = { s->C, s->gamma };
    bl_status status = put(c, group, "header", NN_I64, 1, 6, 0, header, err);
    if (status == BL_OK)
        status = put(c, group, "C_gamma", NN_F64, 1, 2, 0, numbers, err);
    if (status == BL_OK)
        status = put(c, group, "class_start", NN_I64, 1, s->n_classes + 1, 0, s->class_start, err);
    if (status == BL_OK && s->n_sv)
        status = put(c, group, "support_vectors", NN_F32, 2, s->n_sv, s->dim, s->sv, err);
    if (status == BL_OK && s->n_sv)
        status = put(c, group, "coefficients", NN_F64, 2, s->n_classes - 1, s->n_sv, s->coef, err);
    if (status == BL_OK)
        status = put(c, group, "rho", NN_F64, 1, s->n_pairs, 0, s->rho, err);
    if (status == BL_OK && s->probability)
        status = put(c, group, "probability_a", NN_F64, 1, s->n_pairs, 0, s->prob_a, err);
    if (status == BL_OK && s->probability)
        status = put(c, group, "probability_b", NN_F64, 1, s->n_pairs, 0, s->prob_b, err);
    if (status == BL_OK)
        status = put(c, group, "scaling_mean", NN_F64, 1, s->dim, 0, s->mean, err);
    if (status == BL_OK)
        status = put(c, group, "scaling_inverse", NN_F64, 1, s->dim, 0, s->inv_scale, err);
    return status;
}

/* Reads into `out`, whose size in bytes follows from the dims asked for. */
static int get(const nn_checkpoint *c, const char *group, const char *what, nn_dtype type, int rank, int64_t rows,
               int64_t columns, void *out, bl_error *err)
{
    char name[256];
    snprintf(name, sizeof name, "%s/%s", group, what);
    void *data = nn_checkpoint_get(c, name, type, rank, (int64_t[]){ rows, columns }, NULL, err);
    if (!data)
        return 0;
    memcpy(out, data, (size_t)rows * (size_t)(rank > 1 ? columns : 1) * (type == NN_F32 ? 4 : 8));
    free(data);
    return 1;
}

/* Numbers that prediction indexes with or divides by. */
static int is_sound(const nn_svm *s)
{
    if (s->class_start[0] != 0 || s->class_start[s->n_classes] != s->n_sv)
        return 0;
    for (int i = 0; i < s->n_classes; i++)
        if (s->class_start[i + 1] < s->class_start[i])
            return 0;
    for (int q = 0; q < s->n_pairs; q++)
        if (!isfinite(s->rho[q]) || (s->probability && !isfinite(s->prob_a[q] + s->prob_b[q])))
            return 0;
    for (int64_t j = 0; j < s->dim; j++)
        if (!isfinite(s->mean[j]) || !isfinite(s->inv_scale[j]))
            return 0;
    return isfinite(s->gamma);
}

nn_svm *nn_svm_load(const nn_checkpoint *c, const char *group, bl_error *err)
{
    int64_t h[6];
    double numbers[2];
    nn_svm *s;

    if (!get(c, group, "header", NN_I64, 1, 6, 0, h, err) || !get(c, group, "C_gamma", NN_F64, 1, 2, 0, numbers, err))
        return NULL;
    if (h[0] < 0 || h[0] > NN_SVM_RBF || h[1] < 2 || h[1] > NN_SVM_MAX_CLASSES || h[2] < 1 || h[2] > NN_SVM_MAX_DIM ||
        h[3] < 0 || h[3] > INT32_MAX) {
        bl_fail(err, BL_EFORMAT, "%s: %s/header is not that of a support vector machine", nn_checkpoint_path(c), group);
        return NULL;
    }
    s = svm_alloc((int)h[1], h[2], h[3], h[4] != 0);
    if (!s) {
        bl_fail(err, BL_ENOMEM, "%s: no memory for %lld support vectors", nn_checkpoint_path(c), (long long)h[3]);
        return NULL;
    }
    s->kernel = (nn_svm_kernel)h[0];
    s->iterations = h[5];
    s->C = numbers[0];
    s->gamma = numbers[1];
    int ok = get(c, group, "class_start", NN_I64, 1, s->n_classes + 1, 0, s->class_start, err);
    ok = ok && (!s->n_sv || get(c, group, "support_vectors", NN_F32, 2, s->n_sv, s->dim, s->sv, err));
    ok = ok && (!s->n_sv || get(c, group, "coefficients", NN_F64, 2, s->n_classes - 1, s->n_sv, s->coef, err));
    ok = ok && get(c, group, "rho", NN_F64, 1, s->n_pairs, 0, s->rho, err);
    ok = ok && (!s->probability || get(c, group, "probability_a", NN_F64, 1, s->n_pairs, 0, s->prob_a, err));
    ok = ok && (!s->probability || get(c, group, "probability_b", NN_F64, 1, s->n_pairs, 0, s->prob_b, err));
    ok = ok && get(c, group, "scaling_mean", NN_F64, 1, s->dim, 0, s->mean, err);
    ok = ok && get(c, group, "scaling_inverse", NN_F64, 1, s->dim, 0, s->inv_scale, err);
    if (ok && !is_sound(s)) {
        bl_fail(err, BL_EFORMAT, "%s: %s holds numbers a support vector machine cannot have", nn_checkpoint_path(c), group);
        ok = 0;
    }
    if (!ok) {
        nn_svm_free(s);
        return NULL;
    }
    return s;
}
