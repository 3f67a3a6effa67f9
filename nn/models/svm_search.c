/* Grid search of C and gamma by cross-validation.
 *
 * For one gamma the kernel matrix of all points serves every C, fold and pair of classes. The points of the fold that is
 * held out take no part (their bound is 0). When the matrix is too large, rows are computed as they are needed. */
#include "nn/models/svm_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double default_cache_mb = 512;

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

typedef struct search {
    const nn_svm_points *p;
    const nn_svm_matrix *matrix;  /* whole, or NULL                                  */
    const int           *labels, *fold;
    const nn_svm_grid   *grid;
    const nn_svm_opt    *opt;
    int                  n_classes, n_folds, n_gamma;
    double               gamma, cache_mb;
    double              *right;   /* [n_C * n_gamma, n_folds, n_classes]             */
} search;

/* Decisions of one machine on the points of all classes, out [places of all classes]. row [as many] is scratch. */
static void decide_all(const search *s, const nn_svm_machine *m, const nn_svm_rows *rows, float *row, double *out)
{
    const nn_svm_points *p = s->p;
    const int64_t n_all = p->panels.n_places;
    for (int64_t t = 0; t < n_all; t++)
        out[t] = -m->rho;
    for (int64_t t = 0; t < m->n_places; t++) {
        if (!(m->alpha[t] > 0))
            continue;
        const int side = t >= rows->n_places[0];
        const int64_t i = p->class_start[rows->class_of[side]] + t - (side ? rows->n_places[0] : 0);
        const double weight = side ? -m->alpha[t] : m->alpha[t];
        const float *k = row;
        if (s->matrix)
            k = s->matrix->values + i * n_all;
        else
            nn_svm_kernel_float(&p->panels, p->kernel, s->gamma, p->x + i * p->dim, p->square + i, 1, 0, n_all, row, n_all);
        for (int64_t u = 0; u < n_all; u++)
            out[u] += weight * (double)k[u];
    }
}

/* One pair on one fold: decisions of the fold's points into decision [n, n_pairs]. */
static int test_pair(const search *s, int pair, int k, double C_a, double C_b, float *row, double *all, double *decision)
{
    const nn_svm_points *p = s->p;
    const int n_pairs = s->n_classes * (s->n_classes - 1) / 2;
    nn_svm_rows rows = { 0 };
    nn_svm_machine m = { 0 };
    int a, b;
    nn_svm_pair_classes(pair, s->n_classes, &a, &b);
    int ok = nn_svm_rows_new(&rows, p, s->matrix, a, b, s->gamma, s->cache_mb) && nn_svm_machine_new(&m, &rows);
    if (ok && nn_svm_machine_bound(&m, &rows, C_a, C_b, s->fold, k)) {
        ok = nn_svm_solve(&m, &rows, nn_svm_tolerance(s->opt), nn_svm_max_iterations(s->opt));
        if (ok)
            decide_all(s, &m, &rows, row, all);
    } else if (ok) {
        /* With one class alone in the rest, that class is the only answer; with none, there is none. */
        double only = 0;
        for (int64_t t = 0; t < m.n_places; t++)
            only = m.bound[t] > 0 ? (t < rows.n_places[0] ? 1 : -1) : only;
        for (int64_t u = 0; u < p->panels.n_places; u++)
            all[u] = only;
    }
    for (int c = 0; ok && c < s->n_classes; c++)
        for (int64_t i = p->class_start[c]; i < p->class_start[c + 1]; i++)
            if (s->fold[p->order[i]] == k)
                decision[p->order[i] * n_pairs + pair] = all[p->place[c] + i - p->class_start[c]];
    nn_svm_machine_free(&m);
    nn_svm_rows_free(&rows);
    return ok;
}

/* One grid point on one fold: adds correct predictions of each class into right [n_classes]. */
static int test_fold(const search *s, double C, int k, double *right)
{
    const int n_pairs = s->n_classes * (s->n_classes - 1) / 2;
    const size_t n_all = (size_t)s->p->panels.n_places;
    double weight[NN_SVM_MAX_CLASSES];
    double *decision = calloc((size_t)s->p->n * (size_t)n_pairs, sizeof *decision), *all = malloc(n_all * sizeof *all);
    float *row = malloc(n_all * sizeof *row);
    int ok = decision && all && row;
    nn_svm_class_weights(s->p->n, s->labels, s->n_classes, s->fold, k, s->opt->balanced, weight);
    for (int q = 0; ok && q < n_pairs; q++) {
        int a, b;
        nn_svm_pair_classes(q, s->n_classes, &a, &b);
        ok = test_pair(s, q, k, C * weight[a], C * weight[b], row, all, decision);
    }
    for (int64_t i = 0; ok && i < s->p->n; i++)
        if (s->fold[i] == k)
            right[s->labels[i]] += nn_svm_vote(s->n_classes, decision + i * n_pairs) == s->labels[i];
    free(decision);
    free(all);
    free(row);
    return ok;
}

/* Progress that the threads share. */
typedef struct progress {
    int           *left;      /* [cells] folds to do */
    int64_t        finished, total;
    int            out_of_memory, stop;
    nn_svm_report  report;
    void          *user;
} progress;

/* All C and folds of gamma number g. */
static void search_gamma(const search *s, int g, const int64_t *count, double *scores, progress *state)
{
    #pragma omp parallel for schedule(dynamic, 1)
    for (int64_t task = 0; task < (int64_t)s->grid->n_C * s->n_folds; task++) {
        const int64_t cell = task / s->n_folds * s->n_gamma + g;
        const int k = (int)(task % s->n_folds);
        double *right = s->right + cell * s->n_folds * s->n_classes;
        int go;
        #pragma omp critical(nn_svm_search_state)
        go = !state->stop && state->left[cell] > 0;
        if (!go)
            continue;
        const int ok = test_fold(s, s->grid->C[cell / s->n_gamma], k, right + k * s->n_classes);
        #pragma omp critical(nn_svm_search_state)
        {
            state->out_of_memory |= !ok;
            state->finished++;
            if (--state->left[cell] == 0 && ok)
                scores[cell] = score_of(right, s->n_folds, count, s->n_classes, s->opt->balanced);
            if (state->out_of_memory || (state->report && state->report(state->user, state->finished, state->total)))
                state->stop = 1;
        }
    }
}

static int has_work(const progress *state, int n_C, int n_gamma, int g)
{
    int work = 0;
    for (int c = 0; c < n_C; c++)
        work |= state->left[c * n_gamma + g] > 0;
    return work && !state->stop;
}

/* Every gamma in turn. */
static bl_status search_all(search *s, const int64_t *count, double *scores, progress *state, bl_error *err)
{
    nn_svm_matrix matrix = { 0 };
    const double cache_mb = s->opt->cache_mb > 0 ? s->opt->cache_mb : default_cache_mb;
    if (nn_svm_matrix_bytes(s->p, 1) <= cache_mb * 1e6) {
        if (!nn_svm_matrix_new(&matrix, s->p, 1))
            return bl_fail(err, BL_ENOMEM, "support vector machine: no memory for the kernel of %lld points", (long long)s->p->n);
        s->matrix = &matrix;
    }
    s->cache_mb = cache_mb / 4;
    for (int g = 0; g < s->n_gamma; g++) {
        if (!has_work(state, s->grid->n_C, s->n_gamma, g))
            continue;
        s->gamma = s->grid->n_gamma > 0 ? s->grid->gamma[g] : 1;
        if (s->matrix)
            nn_svm_matrix_fill(&matrix, s->p, s->gamma);
        search_gamma(s, g, count, scores, state);
    }
    nn_svm_matrix_free(&matrix);
    if (state->out_of_memory)
        return bl_fail(err, BL_ENOMEM, "support vector machine: no memory for the search over %lld points", (long long)s->p->n);
    return state->stop ? bl_fail(err, BL_ESTOP, "support vector machine: search interrupted") : BL_OK;
}

static void take_best(const nn_svm_grid *grid, int n_gamma, const double *scores, nn_svm_opt *opt)
{
    int64_t best = 0;
    for (int64_t c = 1; c < (int64_t)grid->n_C * n_gamma; c++)
        if (scores[c] > scores[best] + 1e-12)
            best = c;
    opt->C = grid->C[best / n_gamma];
    if (opt->kernel == NN_SVM_RBF)
        opt->gamma = grid->gamma[best % n_gamma];
}

bl_status nn_svm_search(const float *x, int64_t n, int64_t dim, const int *labels, int n_classes, const int *groups,
                        const nn_svm_grid *grid, nn_svm_opt *opt, double *scores, nn_svm_report report, void *user,
                        bl_error *err)
{
    const int n_folds = grid->n_folds > 0 ? grid->n_folds : 5;
    const int n_gamma = opt->kernel == NN_SVM_RBF ? grid->n_gamma : 1;
    const int64_t n_cells = (int64_t)grid->n_C * n_gamma;
    int64_t count[NN_SVM_MAX_CLASSES] = { 0 };
    double *mean = NULL, *inv_scale = NULL, *right = NULL;
    int *fold = NULL;
    progress state = { .total = n_cells * n_folds, .report = report, .user = user };
    nn_svm_points p = { 0 };
    bl_status status = nn_svm_check(x, n, dim, labels, n_classes, opt, err);

    if (status != BL_OK || (status = check_grid(grid, opt->kernel, err)) != BL_OK)
        return status;
    mean = malloc((size_t)dim * sizeof *mean);
    inv_scale = malloc((size_t)dim * sizeof *inv_scale);
    fold = malloc((size_t)n * sizeof *fold);
    state.left = malloc((size_t)n_cells * sizeof *state.left);
    right = calloc((size_t)n_cells * (size_t)n_folds * (size_t)n_classes, sizeof *right);
    if (!mean || !inv_scale || !fold || !state.left || !right) {
        status = bl_fail(err, BL_ENOMEM, "support vector machine: no memory for the search over %lld points", (long long)n);
        goto done;
    }
    for (int64_t i = 0; i < n; i++)
        count[labels[i]]++;
    leave_out_lonely(n, labels, groups, n_classes, count);
    nn_svm_find_scaling(x, n, dim, opt, mean, inv_scale);
    if ((status = nn_svm_points_new(&p, x, n, dim, labels, n_classes, mean, inv_scale, opt->kernel, err)) != BL_OK ||
        (status = nn_svm_folds(n, labels, n_classes, groups, n_folds, opt->seed, fold, err)) != BL_OK)
        goto done;
    for (int64_t c = 0; c < n_cells; c++) {
        state.left[c] = scores[c] >= 0 ? 0 : n_folds;
        state.finished += scores[c] >= 0 ? n_folds : 0;
    }
    search s = { .p = &p, .labels = labels, .fold = fold, .grid = grid, .opt = opt, .n_classes = n_classes, .n_folds = n_folds,
                 .n_gamma = n_gamma, .right = right };
    if ((status = search_all(&s, count, scores, &state, err)) == BL_OK)
        take_best(grid, n_gamma, scores, opt);
done:
    free(mean);
    free(inv_scale);
    free(fold);
    free(state.left);
    free(right);
    nn_svm_points_free(&p);
    return status;
}
