/* What a trained support vector machine says of new points: decisions, votes, probabilities. */
#include "nn/models/svm_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 6, PLACES = 256 };

static int pair_of(int a, int b, int n_classes)
{
    return a * n_classes - a * (a + 1) / 2 + (b - a - 1);
}

int nn_svm_prepare(nn_svm *s)
{
    const size_t n = (size_t)(s->n_sv ? s->n_sv : 1) * (size_t)s->dim;
    double *x = malloc(n * sizeof *x);
    s->panels = calloc(1, sizeof *s->panels);
    s->place = calloc((size_t)s->n_classes + 1, sizeof *s->place);
    for (size_t i = 0; x && i < (size_t)s->n_sv * (size_t)s->dim; i++)
        x[i] = (double)s->sv[i];
    const int ok = x && s->panels && s->place &&
                   nn_svm_panels_new(s->panels, x, s->dim, s->n_classes, s->class_start, s->place);
    free(x);
    return ok;
}

static double dot(const double *a, const double *b, int64_t n)
{
    double lane[SVM_LANES] = { 0 }, sum = 0;
    int64_t i = 0;
    for (; i + SVM_LANES <= n; i += SVM_LANES)
        for (int l = 0; l < SVM_LANES; l++)
            lane[l] += a[i + l] * b[i + l];
    for (int l = 0; l < SVM_LANES; l++)
        sum += lane[l];
    for (; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* What the n support vectors of class c from v on add to the decisions of n_rows points; k [n_rows, PLACES]. */
static void add_class(const nn_svm *s, int c, int64_t v, int64_t n, const double *k, int64_t n_rows, double *decision)
{
    for (int other = 0; other < s->n_classes; other++) {
        if (other == c)
            continue;
        const int pair = c < other ? pair_of(c, other, s->n_classes) : pair_of(other, c, s->n_classes);
        const double *coef = s->coef + (other > c ? other - 1 : other) * s->n_sv + v;
        for (int64_t r = 0; r < n_rows; r++)
            decision[r * s->n_pairs + pair] += dot(coef, k + r * PLACES, n);
    }
}

/* At most ROWS points. */
static void decide(const nn_svm *s, const float *x, int64_t n_rows, double *decision)
{
    double scaled[ROWS * NN_SVM_MAX_DIM], square[ROWS], k[ROWS * PLACES];
    for (int64_t r = 0; r < n_rows; r++) {
        square[r] = 0;
        for (int64_t j = 0; j < s->dim; j++) {
            const double v = (double)(float)(((double)x[r * s->dim + j] - s->mean[j]) * s->inv_scale[j]);
            scaled[r * s->dim + j] = v;
            square[r] += v * v;
        }
        memcpy(decision + r * s->n_pairs, s->rho, (size_t)s->n_pairs * sizeof *decision);
        for (int q = 0; q < s->n_pairs; q++)
            decision[r * s->n_pairs + q] *= -1;
    }
    for (int c = 0; s->n_sv && c < s->n_classes; c++) {
        const int64_t n = s->class_start[c + 1] - s->class_start[c];
        for (int64_t v = 0; v < n; v += PLACES) {
            const int64_t from = s->place[c] + v, to = from + PLACES < s->place[c + 1] ? from + PLACES : s->place[c + 1];
            nn_svm_kernel_double(s->panels, s->kernel, s->gamma, scaled, square, n_rows, from, to, k, PLACES);
            add_class(s, c, s->class_start[c] + v, n - v < PLACES ? n - v : PLACES, k, n_rows, decision);
        }
    }
}

void nn_svm_decide(const nn_svm *svm, const float *x, int64_t n, double *decision)
{
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i += ROWS)
        decide(svm, x + i * svm->dim, n - i < ROWS ? n - i : ROWS, decision + i * svm->n_pairs);
}

int nn_svm_vote(int n_classes, const double *decision)
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
    nn_svm_couple(s->n_classes, r, p);
}

static void predict_one(const nn_svm *s, const double *decision, int *label, double *probabilities)
{
    double p[NN_SVM_MAX_CLASSES];
    int best = 0;
    if (!s->probability) {
        best = nn_svm_vote(s->n_classes, decision);
    } else {
        probabilities_of(s, decision, p);
        for (int c = 1; c < s->n_classes; c++)
            if (p[c] > p[best])
                best = c;
        if (probabilities)
            memcpy(probabilities, p, (size_t)s->n_classes * sizeof *p);
    }
    if (label)
        *label = best;
}

void nn_svm_predict(const nn_svm *svm, const float *x, int64_t n, int *labels, double *probabilities)
{
    BL_ASSERT(!probabilities || svm->probability);
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < n; i += ROWS) {
        double decision[ROWS * (NN_SVM_MAX_CLASSES * (NN_SVM_MAX_CLASSES - 1) / 2)];
        const int64_t m = n - i < ROWS ? n - i : ROWS;
        decide(svm, x + i * svm->dim, m, decision);
        for (int64_t r = 0; r < m; r++)
            predict_one(svm, decision + r * svm->n_pairs, labels ? labels + i + r : NULL,
                        probabilities ? probabilities + (i + r) * svm->n_classes : NULL);
    }
}
