#include "nn/models/hierarchical.h"

#include "nn/models/rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const nn_linkage_names[] = { "ward", "average", "complete", NULL };

/* The state of the chain: live clusters by slot, a slot being named after one of its points. */
typedef struct chain {
    int64_t  n;
    double  *distance; /* [n(n-1)/2], upper triangle by rows; squared for Ward */
    int64_t *size;     /* [n], 0: the slot is gone                             */
    int64_t *stack;    /* [n] the chain itself                                 */
    int64_t  depth;
} chain;

static double *at(const chain *c, int64_t i, int64_t j)
{
    if (i > j) {
        const int64_t swap = i;
        i = j;
        j = swap;
    }
    return c->distance + i * c->n - i * (i + 1) / 2 + (j - i - 1);
}

static void distances(chain *c, const float *x, int64_t dim, nn_linkage linkage)
{
    #pragma omp parallel for schedule(dynamic, 16)
    for (int64_t i = 0; i < c->n - 1; i++)
        for (int64_t j = i + 1; j < c->n; j++) {
            double sum = 0;
            for (int64_t d = 0; d < dim; d++) {
                const double v = (double)x[i * dim + d] - (double)x[j * dim + d];
                sum += v * v;
            }
            *at(c, i, j) = linkage == NN_LINKAGE_WARD ? sum : sqrt(sum);
        }
}

/* The live slot nearest to `from`; on equal distances the one below it in the chain (so that the walk ends),
 * else the first. */
static int64_t nearest(const chain *c, int64_t from, int64_t below)
{
    int64_t best = below;
    double least = below >= 0 ? *at(c, from, below) : (double)INFINITY;
    for (int64_t j = 0; j < c->n; j++) {
        if (!c->size[j] || j == from)
            continue;
        const double d = *at(c, from, j);
        if (d < least || best < 0) {
            least = d;
            best = j;
        }
    }
    return best;
}

/* Merges slot a into slot b. */
static void merge(chain *c, int64_t a, int64_t b, nn_linkage linkage)
{
    const double na = (double)c->size[a], nb = (double)c->size[b], dab = *at(c, a, b);
    c->size[b] += c->size[a];
    c->size[a] = 0;
    #pragma omp parallel for schedule(static) if (c->n > 2048)
    for (int64_t w = 0; w < c->n; w++) {
        if (!c->size[w] || w == b)
            continue;
        const double daw = *at(c, a, w), dbw = *at(c, b, w), nw = (double)c->size[w];
        double d;
        if (linkage == NN_LINKAGE_COMPLETE)
            d = daw > dbw ? daw : dbw;
        else if (linkage == NN_LINKAGE_AVERAGE)
            d = (na * daw + nb * dbw) / (na + nb);
        else
            d = ((na + nw) * daw + (nb + nw) * dbw - nw * dab) / (na + nb + nw);
        *at(c, b, w) = d;
    }
}

/* The merges in the order the chain finds them, a and b still slots. */
static void run_chain(chain *c, nn_merge *merges, nn_linkage linkage)
{
    int64_t first = 0;
    for (int64_t done = 0; done < c->n - 1;) {
        if (c->depth == 0) {
            while (!c->size[first])
                first++;
            c->stack[c->depth++] = first;
        }
        const int64_t top = c->stack[c->depth - 1], below = c->depth > 1 ? c->stack[c->depth - 2] : -1;
        const int64_t next = nearest(c, top, below);
        if (next != below) {
            c->stack[c->depth++] = next;
            continue;
        }
        const double d = *at(c, top, below);
        const int64_t a = top < below ? top : below, b = top < below ? below : top;
        c->depth -= 2;
        merges[done++] = (nn_merge){ a, b, linkage == NN_LINKAGE_WARD ? sqrt(d > 0 ? d : 0) : d, 0 };
        merge(c, a, b, linkage);
    }
}

/* By height; the chain's own order, kept in size, decides between equals (a merge never stands before those it
 * builds on, since heights of a reducible linkage do not fall). */
static int by_height(const void *pa, const void *pb)
{
    const nn_merge *a = pa, *b = pb;
    if (a->height != b->height)
        return a->height < b->height ? -1 : 1;
    return (a->size > b->size) - (a->size < b->size);
}

static int64_t root_of(int64_t *parent, int64_t i)
{
    while (parent[i] != i) {
        parent[i] = parent[parent[i]];
        i = parent[i];
    }
    return i;
}

/* Slots become cluster numbers. parent [n], cluster [n], size [n]: scratch. */
static void number(nn_merge *merges, int64_t n, int64_t *parent, int64_t *cluster, int64_t *size)
{
    for (int64_t i = 0; i < n; i++) {
        parent[i] = cluster[i] = i;
        size[i] = 1;
    }
    for (int64_t m = 0; m < n - 1; m++) {
        const int64_t a = root_of(parent, merges[m].a), b = root_of(parent, merges[m].b);
        const int64_t ca = cluster[a], cb = cluster[b];
        merges[m].a = ca < cb ? ca : cb;
        merges[m].b = ca < cb ? cb : ca;
        merges[m].size = size[a] + size[b];
        parent[a] = b;
        size[b] += size[a];
        cluster[b] = n + m;
    }
}

bl_status nn_hierarchical_fit(nn_hierarchical *tree, const float *x, int64_t n, int64_t dim, nn_linkage linkage,
                              bl_error *err)
{
    bl_status status;
    int64_t *scratch = NULL;
    chain c = { .n = n };

    memset(tree, 0, sizeof *tree);
    if (n < 1 || dim < 1 || n > NN_HIERARCHICAL_MAX)
        return bl_fail(err, BL_EARG, "hierarchical clustering: expected 1 to %d points, got %lld", NN_HIERARCHICAL_MAX,
                       (long long)n);
    if ((status = nn_rows_check(x, n, dim, "hierarchical clustering", err)) != BL_OK)
        return status;
    const size_t n_pairs = (size_t)n * (size_t)(n - 1) / 2;
    c.distance = malloc((n_pairs + 1) * sizeof *c.distance);
    c.size = malloc((size_t)n * sizeof *c.size);
    c.stack = malloc((size_t)n * sizeof *c.stack);
    scratch = malloc((size_t)n * sizeof *scratch);
    tree->merges = malloc((size_t)n * sizeof *tree->merges);
    if (!c.distance || !c.size || !c.stack || !scratch || !tree->merges) {
        status = bl_fail(err, BL_ENOMEM, "hierarchical clustering: no memory for the distances of %lld points",
                         (long long)n);
        nn_hierarchical_free(tree);
        goto done;
    }
    tree->n = n;
    for (int64_t i = 0; i < n; i++)
        c.size[i] = 1;
    distances(&c, x, dim, linkage);
    run_chain(&c, tree->merges, linkage);
    for (int64_t m = 0; m < n - 1; m++)
        tree->merges[m].size = m;
    qsort(tree->merges, (size_t)(n - 1), sizeof *tree->merges, by_height);
    number(tree->merges, n, c.stack, scratch, c.size);
done:
    free(c.distance);
    free(c.size);
    free(c.stack);
    free(scratch);
    return status;
}

void nn_hierarchical_free(nn_hierarchical *tree)
{
    free(tree->merges);
    memset(tree, 0, sizeof *tree);
}

bl_status nn_hierarchical_cut(const nn_hierarchical *tree, int64_t k, int *labels, bl_error *err)
{
    const int64_t n = tree->n, n_nodes = 2 * n - k;
    int next = 0;
    if (k < 1 || k > n)
        return bl_fail(err, BL_EARG, "hierarchical clustering: expected 1 to %lld clusters, got %lld", (long long)n,
                       (long long)k);
    int64_t *parent = malloc((size_t)n_nodes * sizeof *parent);
    int *name = malloc((size_t)n_nodes * sizeof *name);
    if (!parent || !name) {
        free(parent);
        free(name);
        return bl_fail(err, BL_ENOMEM, "hierarchical clustering: no memory for %lld points", (long long)n);
    }
    for (int64_t i = 0; i < n_nodes; i++) {
        parent[i] = i;
        name[i] = -1;
    }
    for (int64_t m = 0; m < n - k; m++)
        parent[tree->merges[m].a] = parent[tree->merges[m].b] = n + m;
    for (int64_t i = 0; i < n; i++) {
        const int64_t root = root_of(parent, i);
        if (name[root] < 0)
            name[root] = next++;
        labels[i] = name[root];
    }
    free(parent);
    free(name);
    return BL_OK;
}
