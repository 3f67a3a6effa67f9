/* Folds of a cross-validation that keep groups together. */
#include "nn/models/svm_private.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

