/* Sequential minimal optimisation of one two-class machine, working set selection 2 (Fan, Chen & Lin 2005).
 *
 * With v = y - sum of alpha y K (minus y times the gradient of the dual) the first of a pair is the largest v among the points
 * whose alpha y may grow, the second one among those whose alpha y may shrink is chosen by the decrease it promises,
 * (v_i - v_j)^2 / curvature. Moving alpha y by d from j to i changes v by -d (K_i - K_j): the sign y drops out of all loops. The
 * promised decrease is worked out in float, which may choose another pair than double would, never a wrong one. */
#include "nn/models/svm_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Below this the curvature along a pair counts as flat; libsvm's TAU. */
static const double least_curvature = 1e-12;

typedef double  vec __attribute__((vector_size(8 * SVM_LANES)));
typedef double  unaligned_vec __attribute__((vector_size(8 * SVM_LANES), aligned(8), may_alias));
typedef int64_t int_vec __attribute__((vector_size(8 * SVM_LANES)));
typedef float   float_vec __attribute__((vector_size(4 * SVM_LANES)));
typedef float   unaligned_float_vec __attribute__((vector_size(4 * SVM_LANES), aligned(4), may_alias));
typedef int32_t short_vec __attribute__((vector_size(4 * SVM_LANES)));

/* Bits of a where mask is set, else of b. */
#define CHOOSE(type, bits, mask, a, b) (type)(((mask) & (bits)(a)) | (~(mask) & (bits)(b)))

void nn_svm_machine_free(nn_svm_machine *m)
{
    free(m->bound);
    free(m->alpha);
    free(m->violation);
    *m = (nn_svm_machine){ 0 };
}

int nn_svm_machine_new(nn_svm_machine *m, const nn_svm_rows *rows)
{
    const size_t n = (size_t)(rows->n_places[0] + rows->n_places[1]);
    *m = (nn_svm_machine){ .n_places = (int64_t)n };
    m->bound = calloc(n, sizeof *m->bound);
    m->alpha = calloc(n, sizeof *m->alpha);
    m->violation = calloc(n, sizeof *m->violation);
    if (m->bound && m->alpha && m->violation)
        return 1;
    nn_svm_machine_free(m);
    return 0;
}

int nn_svm_machine_bound(nn_svm_machine *m, const nn_svm_rows *rows, double C_first, double C_second, const int *fold, int without)
{
    int64_t used[2] = { 0 };
    for (int side = 0; side < 2; side++)
        for (int64_t i = 0; i < rows->n[side]; i++) {
            const int64_t row = rows->points->order[rows->points->class_start[rows->class_of[side]] + i];
            const int takes_part = !fold || fold[row] != without;
            m->bound[side * rows->n_places[0] + i] = !takes_part ? 0 : side ? C_second : C_first;
            used[side] += takes_part;
        }
    return used[0] > 0 && used[1] > 0;
}

/* Scratch of one solution. May alpha y grow, or shrink: 0 or -infinity, to be added. */
typedef struct state {
    nn_svm_machine *m;
    int64_t n_first;                     /* places of the first side */
    float  *can_grow, *can_shrink, *diagonal;
} state;

static void update_freedom(state *s, int64_t t)
{
    const double a = s->m->alpha[t], C = s->m->bound[t];
    const int first = t < s->n_first;
    s->can_grow[t] = (first ? a < C : a > 0) ? 0 : -INFINITY;
    s->can_shrink[t] = (first ? a > 0 : a < C) ? 0 : -INFINITY;
}

typedef struct extremes {
    double  highest, lowest; /* largest v that may grow, smallest that may shrink */
    int64_t at;              /* of the former, -1: none                           */
} extremes;

/* v -= d (K_i - K_j) everywhere, and the extremes of the new v. */
static extremes move_and_select(const state *s, const float *const ki[2], const float *const kj[2], double d)
{
    vec highest = (vec){ 0 } - INFINITY, lowest = (vec){ 0 } + INFINITY;
    int_vec at = { 0 }, now = { 0, 1, 2, 3, 4, 5, 6, 7 };
    for (int side = 0; side < 2; side++) {
        const int64_t first = side ? s->n_first : 0, n = (side ? s->m->n_places : s->n_first) - first;
        double *v = s->m->violation + first;
        const float *grow = s->can_grow + first, *shrink = s->can_shrink + first, *a = ki[side], *b = kj[side];
        for (int64_t t = 0; t < n; t += SVM_LANES) {
            const float_vec step = *(const unaligned_float_vec *)(a + t) - *(const unaligned_float_vec *)(b + t);
            const vec x = *(unaligned_vec *)(v + t) - d * __builtin_convertvector(step, vec);
            *(unaligned_vec *)(v + t) = x;
            const vec up = x + __builtin_convertvector(*(const unaligned_float_vec *)(grow + t), vec);
            const vec low = x - __builtin_convertvector(*(const unaligned_float_vec *)(shrink + t), vec);
            const int_vec higher = up > highest, lower = low < lowest;
            highest = CHOOSE(vec, int_vec, higher, up, highest);
            at = (higher & now) | (~higher & at);
            lowest = CHOOSE(vec, int_vec, lower, low, lowest);
            now += SVM_LANES;
        }
    }
    extremes e = { -INFINITY, INFINITY, -1 };
    for (int l = 0; l < SVM_LANES; l++) {
        if (highest[l] > e.highest || (highest[l] == e.highest && e.at >= 0 && at[l] < e.at)) {
            e.highest = highest[l];
            e.at = at[l];
        }
        e.lowest = lowest[l] < e.lowest ? lowest[l] : e.lowest;
    }
    return e;
}

/* The partner of i: the greatest promised decrease; -1 when none promises any. */
static int64_t select_partner(const state *s, const float *const ki[2], double highest, float own)
{
    float_vec best = { 0 };
    short_vec at = { 0 }, now = { 0, 1, 2, 3, 4, 5, 6, 7 };
    for (int side = 0; side < 2; side++) {
        const int64_t first = side ? s->n_first : 0, n = (side ? s->m->n_places : s->n_first) - first;
        const double *v = s->m->violation + first;
        const float *shrink = s->can_shrink + first, *diagonal = s->diagonal + first, *a = ki[side];
        for (int64_t t = 0; t < n; t += SVM_LANES) {
            const float_vec raw = __builtin_convertvector(highest - *(const unaligned_vec *)(v + t), float_vec) +
                                  *(const unaligned_float_vec *)(shrink + t);
            const float_vec gain = CHOOSE(float_vec, short_vec, raw > 0, raw, (float_vec){ 0 });
            const float_vec q = own + *(const unaligned_float_vec *)(diagonal + t) - 2 * *(const unaligned_float_vec *)(a + t);
            const float_vec curvature = CHOOSE(float_vec, short_vec, q > (float)least_curvature, q, (float_vec){ 0 } + (float)least_curvature);
            const float_vec promised = gain * gain / curvature;
            const short_vec better = promised > best;
            best = CHOOSE(float_vec, short_vec, better, promised, best);
            at = (better & now) | (~better & at);
            now += SVM_LANES;
        }
    }
    float most = 0;
    int64_t j = -1;
    for (int l = 0; l < SVM_LANES; l++)
        if (best[l] > most || (best[l] == most && j >= 0 && at[l] < j)) {
            most = best[l];
            j = at[l];
        }
    return j;
}

/* How far alpha y of i may grow or that of j shrink; taken in full, alpha lands on its bound exactly. */
static double room(const state *s, int64_t t, int grow)
{
    return (t < s->n_first) == grow ? s->m->bound[t] - s->m->alpha[t] : s->m->alpha[t];
}

static void move(state *s, int64_t t, int grow, double d, int all)
{
    const int up = (t < s->n_first) == grow;
    s->m->alpha[t] = all ? (up ? s->m->bound[t] : 0) : s->m->alpha[t] + (up ? d : -d);
    update_freedom(s, t);
}

/* rho from the free support vectors, or halfway between the bounds when there is none. */
static double find_rho(const state *s, const extremes *e)
{
    double sum = 0;
    int64_t n_free = 0;
    for (int64_t t = 0; t < s->m->n_places; t++)
        if (s->m->alpha[t] > 0 && s->m->alpha[t] < s->m->bound[t]) {
            sum -= s->m->violation[t];
            n_free++;
        }
    return n_free ? sum / (double)n_free : -(e->highest + e->lowest) / 2;
}

static void run(state *s, nn_svm_rows *rows, double tolerance, int64_t max_iterations)
{
    nn_svm_machine *m = s->m;
    const float *ki[2], *kj[2];
    nn_svm_rows_get(rows, 0, ki);
    extremes e = move_and_select(s, ki, ki, 0);
    /* Written so that a NaN ends it. */
    for (int64_t n = 0; n < max_iterations && e.at >= 0 && e.highest - e.lowest >= tolerance; n++) {
        nn_svm_rows_get(rows, e.at, ki);
        const int64_t i = e.at, j = select_partner(s, ki, e.highest, s->diagonal[i]);
        if (j < 0)
            break;
        nn_svm_rows_get(rows, j, kj);
        const float *part = j < s->n_first ? ki[0] + j : ki[1] + j - s->n_first;
        const double q = rows->diagonal[i] + rows->diagonal[j] - 2 * (double)*part;
        const double most_i = room(s, i, 1), most_j = room(s, j, 0);
        double d = (m->violation[i] - m->violation[j]) / (q > 0 ? q : least_curvature);
        const double most = most_i < most_j ? most_i : most_j;
        const int clipped = d >= most;
        d = clipped ? most : d;
        move(s, i, 1, d, clipped && most_i <= most_j);
        move(s, j, 0, d, clipped && most_j <= most_i);
        e = move_and_select(s, ki, kj, d);
        m->iterations++;
    }
    m->rho = find_rho(s, &e);
}

int nn_svm_solve(nn_svm_machine *m, nn_svm_rows *rows, double tolerance, int64_t max_iterations)
{
    const size_t n = (size_t)m->n_places;
    state s = { .m = m, .n_first = rows->n_places[0] };
    float *scratch = malloc(3 * n * sizeof *scratch);
    if (!scratch)
        return 0;
    s.can_grow = scratch;
    s.can_shrink = scratch + n;
    s.diagonal = scratch + 2 * n;
    memset(m->alpha, 0, n * sizeof *m->alpha);
    for (int64_t t = 0; t < m->n_places; t++) {
        m->violation[t] = t < s.n_first ? 1 : -1;
        s.diagonal[t] = (float)rows->diagonal[t];
        update_freedom(&s, t);
    }
    run(&s, rows, tolerance, max_iterations);
    free(scratch);
    return 1;
}
