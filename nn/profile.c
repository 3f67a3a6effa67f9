#include "nn/profile.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

typedef struct row {
    const nn_op *op;
    nn_shape     shape;     /* of the output; rank -1: all shapes together */
    int64_t      calls;
    double       seconds;
} row;

struct nn_profile {
    row   *rows;
    int    n, capacity;
    double start;
};

bl_status nn_profile_start(nn_tape *t, bl_error *err)
{
    nn_profile_free(t);
    t->profile = calloc(1, sizeof *t->profile);
    if (!t->profile)
        return bl_fail(err, BL_ENOMEM, "no memory for a profile");
    t->profile->start = bl_seconds();
    return BL_OK;
}

void nn_profile_free(nn_tape *t)
{
    if (t->profile)
        free(t->profile->rows);
    free(t->profile);
    t->profile = NULL;
}

/* The row of an op and a shape, made when there is none; NULL without memory. A network has a few hundred rows at most. */
static row *find(struct nn_profile *p, const nn_op *op, const nn_shape *shape)
{
    for (int i = 0; i < p->n; i++)
        if (p->rows[i].op == op && nn_same_shape(&p->rows[i].shape, shape))
            return &p->rows[i];
    if (p->n == p->capacity) {
        const int capacity = p->capacity ? 2 * p->capacity : 64;
        row *more = realloc(p->rows, (size_t)capacity * sizeof *more);
        if (!more)
            return NULL;
        p->rows = more;
        p->capacity = capacity;
    }
    p->rows[p->n] = (row){ op, *shape, 0, 0 };
    return &p->rows[p->n++];
}

void nn_profile_add(nn_tape *t, const nn_node *y, double seconds)
{
    row *r = find(t->profile, y->op, &y->shape);
    if (r) {
        r->calls++;
        r->seconds += seconds;
    }
}

static int longest_first(const void *a, const void *b)
{
    const double x = ((const row *)a)->seconds, y = ((const row *)b)->seconds;
    return (x < y) - (x > y);
}

static void print_row(const row *r, double n_steps, double total, FILE *out)
{
    char shape[96] = "";
    if (r->shape.rank >= 0)
        nn_shape_str(&r->shape, shape);
    fprintf(out, "  %-28s %10.3f ms %8.1f calls %5.1f%%  %s\n", r->op->name, 1e3 * r->seconds / n_steps,
            (double)r->calls / n_steps, 100 * r->seconds / total, shape);
}

void nn_profile_print(const nn_tape *t, int n_steps, int n_rows, FILE *out)
{
    static const nn_shape any = { -1, { 0 } };
    const struct nn_profile *p = t->profile;
    const double total = bl_seconds() - p->start, steps = n_steps > 0 ? n_steps : 1;
    struct nn_profile by_op = { 0 };
    double in_ops = 0;
    for (int i = 0; i < p->n; i++) {
        row *sum = find(&by_op, p->rows[i].op, &any);
        in_ops += p->rows[i].seconds;
        if (sum) {
            sum->calls += p->rows[i].calls;
            sum->seconds += p->rows[i].seconds;
        }
    }
    if (by_op.n)
        qsort(by_op.rows, (size_t)by_op.n, sizeof *by_op.rows, longest_first);
    if (p->n)
        qsort(p->rows, (size_t)p->n, sizeof *p->rows, longest_first);
    for (int i = 0; i < by_op.n; i++)
        print_row(&by_op.rows[i], steps, total, out);
    fprintf(out, "  %-28s %10.3f ms %20.1f%%\n", "outside ops", 1e3 * (total - in_ops) / steps, 100 * (1 - in_ops / total));
    for (int i = 0; i < p->n && i < n_rows; i++)
        print_row(&p->rows[i], steps, total, out);
    free(by_op.rows);
}
