#include "train/history.h"

#include "audio/picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STRETCHES = 1024, MOST_CURVES = 16 };

bl_status train_history_start(train_history *h, int n_metrics, int n_figures, bl_error *err)
{
    *h = (train_history){ .n_metrics = n_metrics, .n_figures = n_figures, .width = 1 };
    h->sums = calloc((size_t)(STRETCHES * n_metrics) + 1, sizeof *h->sums);
    return h->sums ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for the loss curve");
}

void train_history_free(train_history *h)
{
    free(h->sums);
    free(h->figures);
    memset(h, 0, sizeof *h);
}

static int64_t n_stretches(const train_history *h)
{
    return (h->n_steps + h->width - 1) / h->width;
}

/* Every two stretches become one. */
static void halve(train_history *h)
{
    const int m = h->n_metrics;
    for (int64_t k = 0; k < STRETCHES / 2; k++)
        for (int i = 0; i < m; i++)
            h->sums[k * m + i] = h->sums[2 * k * m + i] + h->sums[(2 * k + 1) * m + i];
    memset(h->sums + STRETCHES / 2 * m, 0, (size_t)(STRETCHES / 2 * m) * sizeof *h->sums);
    h->width *= 2;
}

void train_history_add(train_history *h, const double *metrics)
{
    if (h->n_steps == STRETCHES * h->width)
        halve(h);
    double *sum = h->sums + h->n_steps / h->width * h->n_metrics;
    for (int i = 0; i < h->n_metrics; i++)
        sum[i] += metrics[i];
    h->n_steps++;
}

static bl_status reserve(train_history *h, int64_t n_points, bl_error *err)
{
    if (n_points <= h->capacity)
        return BL_OK;
    const int64_t capacity = n_points < 64 ? 64 : 2 * n_points;
    double *bigger = realloc(h->figures, (size_t)(capacity * (1 + h->n_figures)) * sizeof *bigger);
    if (!bigger)
        return bl_fail(err, BL_ENOMEM, "no memory for the loss curve");
    h->figures = bigger;
    h->capacity = capacity;
    return BL_OK;
}

bl_status train_history_add_figures(train_history *h, int64_t step, const double *figures, bl_error *err)
{
    const bl_status status = reserve(h, h->n_points + 1, err);
    if (status)
        return status;
    double *row = h->figures + h->n_points++ * (1 + h->n_figures);
    row[0] = (double)step;
    memcpy(row + 1, figures, (size_t)h->n_figures * sizeof *row);
    return BL_OK;
}

bl_status train_history_save(const train_history *h, nn_checkpoint *c, bl_error *err)
{
    const int64_t metrics[] = { n_stretches(h), h->n_metrics }, figures[] = { h->n_points, 1 + h->n_figures };
    bl_status status = nn_checkpoint_put(c, "train/metrics", NN_F64, 2, metrics, h->sums, err);
    if (!status)
        status = nn_checkpoint_put(c, "train/metrics_width", NN_I64, 0, NULL, &h->width, err);
    if (!status)
        status = nn_checkpoint_put(c, "train/figures", NN_F64, 2, figures, h->figures, err);
    return status;
}

bl_status train_history_load(train_history *h, const nn_checkpoint *c, int64_t n_steps, bl_error *err)
{
    bl_error local = { 0 };
    int64_t n_metrics[2] = { 0 }, n_figures[2] = { 0 };
    int64_t *width = nn_checkpoint_get(c, "train/metrics_width", NN_I64, 0, NULL, NULL, &local);
    double *sums = nn_checkpoint_get(c, "train/metrics", NN_F64, 2, (int64_t[]){ -1, h->n_metrics }, n_metrics, &local);
    double *figures = nn_checkpoint_get(c, "train/figures", NN_F64, 2, (int64_t[]){ -1, 1 + h->n_figures }, n_figures, &local);
    bl_status status = local.code;
    if (!status && (*width < 1 || n_metrics[0] > STRETCHES || n_metrics[0] != n_steps / *width + (n_steps % *width != 0)))
        status = bl_fail(&local, BL_EFORMAT, "%s: \"train/metrics\" does not go with %lld steps", nn_checkpoint_path(c),
                         (long long)n_steps);
    if (!status)
        status = reserve(h, n_figures[0], &local);
    if (!status) {
        memcpy(h->sums, sums, (size_t)(n_metrics[0] * h->n_metrics) * sizeof *sums);
        if (n_figures[0])
            memcpy(h->figures, figures, (size_t)(n_figures[0] * (1 + h->n_figures)) * sizeof *figures);
        h->width = *width;
        h->n_steps = n_steps;
        h->n_points = n_figures[0];
    }
    free(width);
    free(sums);
    free(figures);
    return status ? bl_fail(err, status, "%s", local.msg) : BL_OK;
}

/* x and y of every curve, one after the other; returns whether all of them are above zero. */
static int fill_curves(const train_history *h, double *v, audio_curve *curves, const char *const *metric_names,
                       const char *const *figure_names)
{
    const int64_t n = n_stretches(h);
    int positive = 1;
    for (int i = 0; i < h->n_metrics; i++) {
        double *x = v, *y = v + n;
        for (int64_t k = 0; k < n; k++) {
            const int64_t count = k + 1 < n ? h->width : h->n_steps - k * h->width;
            x[k] = (double)(k * h->width) + 0.5 * (double)(count + 1);
            y[k] = h->sums[k * h->n_metrics + i] / (double)count;
            positive &= y[k] > 0;
        }
        *curves++ = (audio_curve){ metric_names[i], x, y, n };
        v += 2 * n;
    }
    for (int i = 0; i < h->n_figures; i++) {
        double *x = v, *y = v + h->n_points;
        for (int64_t k = 0; k < h->n_points; k++) {
            x[k] = h->figures[k * (1 + h->n_figures)];
            y[k] = h->figures[k * (1 + h->n_figures) + 1 + i];
            positive &= !(y[k] <= 0);
        }
        *curves++ = (audio_curve){ figure_names[i], x, y, h->n_points };
        v += 2 * h->n_points;
    }
    return positive;
}

bl_status train_history_draw(const train_history *h, const char *path, const char *title, const char *const *metric_names,
                             const char *const *figure_names, bl_error *err)
{
    const int n_curves = h->n_metrics + h->n_figures;
    audio_curve curves[MOST_CURVES];
    if (n_curves == 0 || n_curves > MOST_CURVES)
        return BL_OK;
    double *v = malloc((size_t)(2 * (n_stretches(h) * h->n_metrics + h->n_points * h->n_figures) + 1) * sizeof *v);
    if (!v)
        return bl_fail(err, BL_ENOMEM, "no memory for the loss curve");
    const int positive = fill_curves(h, v, curves, metric_names, figure_names);
    const audio_plot_config config = { .title = title, .x_label = "step", .log_y = positive };
    const bl_status status = audio_plot_lines(path, curves, n_curves, &config, err);
    free(v);
    return status;
}
