#include "train/loop.h"

#include "audio/picture.h"
#include "base/file.h"
#include "base/progress.h"
#include "train/history.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One call of train_loop_run. */
typedef struct run {
    const train_loop    *loop;
    const train_options *opt;
    int64_t              done, first, saved; /* steps: made, made before this run, in the checkpoint on disk (0: none) */
    FILE                *log;
    char                 log_path[BL_PATH_MAX], curve_path[BL_PATH_MAX];
    train_history        history;
    double               metrics[TRAIN_METRICS], figures[TRAIN_METRICS], shown[TRAIN_METRICS];
    int                  validated;          /* figures are those of the last step */
    double               start_s;
} run;

static void note(const run *r, const char *text)
{
    if (!r->opt->quiet)
        fprintf(stderr, "%s: %s\n", r->loop->program, text);
}

/* "out/wavegan.h5" and ".csv": "out/wavegan.csv". */
static bl_status beside(char out[BL_PATH_MAX], const char *path, const char *ending, bl_error *err)
{
    const char *extension = bl_path_extension(path);
    const size_t n = strlen(path) - (*extension ? strlen(extension) + 1 : 0);
    if (snprintf(out, BL_PATH_MAX, "%.*s%s", (int)n, path, ending) >= BL_PATH_MAX)
        return bl_fail(err, BL_EARG, "%.100s...: path too long", path);
    return BL_OK;
}

/* ---- the log ---- */

static int header_text(const train_loop *l, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "step,seconds");
    for (int i = 0; i < l->n_metrics && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, ",%s", l->metric_names[i]);
    for (int i = 0; i < l->n_figures && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, ",%s", l->figure_names[i]);
    return n < size;
}

/* Keeps the header and the rows up to step r->done: rows behind it belong to steps that will be made again. */
static bl_status cut_log(const run *r, const char *header, bl_error *err)
{
    enum { LONGEST_LOG = 1 << 30 };
    char *text = NULL, *end;
    size_t n_bytes;
    bl_status status = bl_read_file(r->log_path, LONGEST_LOG, &text, &n_bytes, err);
    if (status)
        return status;
    const size_t n = strlen(header);
    if (strncmp(text, header, n) != 0 || text[n] != '\n') {
        status = bl_fail(err, BL_EFORMAT, "%s: the log has other columns than \"%.200s\"; give another --log", r->log_path, header);
    } else {
        for (end = text + n + 1; *end; end = strchr(end, '\n') + 1)
            if (!strchr(end, '\n') || strtoll(end, NULL, 10) > r->done)
                break;
        if (end < text + n_bytes)
            status = bl_write_file(r->log_path, text, (size_t)(end - text), err);
    }
    free(text);
    return status;
}

static bl_status open_log(run *r, bl_error *err)
{
    char header[1024];
    bl_status status = BL_OK;
    if (!header_text(r->loop, header, sizeof header))
        return bl_fail(err, BL_EARG, "%s: too many columns", r->log_path);
    const int goes_on = r->done > 0 && bl_is_file(r->log_path);
    if (goes_on)
        status = cut_log(r, header, err);
    if (status)
        return status;
    r->log = fopen(r->log_path, goes_on ? "a" : "w");
    if (!r->log || (!goes_on && (fprintf(r->log, "%s\n", header) < 0 || fflush(r->log) != 0)))
        return bl_fail(err, BL_EIO, "%s: cannot write the log: %s", r->log_path, strerror(errno));
    return BL_OK;
}

static bl_status write_row(run *r, bl_error *err)
{
    fprintf(r->log, "%lld,%.3f", (long long)r->done, bl_seconds() - r->start_s);
    for (int i = 0; i < r->loop->n_metrics; i++)
        fprintf(r->log, ",%.9g", r->metrics[i]);
    for (int i = 0; i < r->loop->n_figures; i++)
        r->validated ? fprintf(r->log, ",%.9g", r->figures[i]) : fprintf(r->log, ",");
    fputc('\n', r->log);
    if (fflush(r->log) != 0 || ferror(r->log))
        return bl_fail(err, BL_EIO, "%s: cannot write the log: %s", r->log_path, strerror(errno));
    return BL_OK;
}

/* ---- checkpoints ---- */

static bl_status save(run *r, bl_error *err)
{
    const train_loop *l = r->loop;
    bl_error local = { 0 };
    nn_checkpoint *c = nn_checkpoint_create(l->checkpoint_path, l->kind, &local);
    nn_checkpoint_put(c, "train/step", NN_I64, 0, NULL, &r->done, &local);
    train_history_save(&r->history, c, &local);
    bl_status status = c ? l->save(l->user, c, &local) : local.code;
    if (status) {
        bl_fail(&local, status, "%s: cannot be written", l->checkpoint_path);
        nn_checkpoint_free(c);
    } else {
        status = nn_checkpoint_commit(c, &local);
    }
    if (status)
        return r->saved ? bl_fail(err, status, "%s; the checkpoint of step %lld is still there", local.msg, (long long)r->saved)
                        : bl_fail(err, status, "%s", local.msg);
    r->saved = r->done;
    return BL_OK;
}

/* Says when the config is not the one the checkpoint was made with: allowed, but seldom meant. */
static void compare_configs(const run *r, const nn_checkpoint *c)
{
    bl_error none = { 0 };
    char *then = nn_checkpoint_has(c, "config") ? nn_checkpoint_get_text(c, "config", &none) : NULL;
    char *now = then ? bl_config_text(r->opt->config) : NULL;
    if (then && now && strcmp(then, now) != 0)
        note(r, "the config is not the one the checkpoint was made with; going on with the new one");
    free(then);
    free(now);
}

static bl_status resume(run *r, bl_error *err)
{
    const train_loop *l = r->loop;
    if (!bl_is_file(l->checkpoint_path)) {
        note(r, "no checkpoint to resume from yet, starting at step 1");
        return BL_OK;
    }
    bl_error local = { 0 };
    nn_checkpoint *c = nn_checkpoint_open(l->checkpoint_path, l->kind, &local);
    bl_status status = local.code;
    if (c) {
        int64_t *step = nn_checkpoint_get(c, "train/step", NN_I64, 0, NULL, NULL, &local);
        status = local.code;
        if (step && *step < 0)
            status = bl_fail(&local, BL_EFORMAT, "%s: train/step is negative", l->checkpoint_path);
        if (!status)
            status = train_history_load(&r->history, c, *step, &local);
        if (!status)
            status = l->load(l->user, c, &local);
        if (!status) {
            r->done = r->first = r->saved = *step;
            compare_configs(r, c);
        }
        free(step);
    }
    nn_checkpoint_free(c);
    return status ? bl_fail(err, status, "%s", local.msg) : BL_OK;
}

/* ---- what goes wrong ---- */

static bl_status went_bad(const run *r, const bl_error *cause, bl_error *err)
{
    const train_loop *l = r->loop;
    char what[200] = "", kept[BL_PATH_MAX];
    int is_gradient = 0;
    const char *name = l->params ? nn_params_first_bad(l->params, &is_gradient) : NULL;
    if (name)
        snprintf(what, sizeof what, "; first bad %s: %s", is_gradient ? "gradient" : "parameter", name);
    if (r->saved)
        snprintf(kept, sizeof kept, "%.3000s is of step %lld", l->checkpoint_path, (long long)r->saved);
    else
        snprintf(kept, sizeof kept, "no checkpoint was written yet");
    return bl_fail(err, BL_ENAN, "step %lld: %s%s; %s; try a smaller lr or clip_norm", (long long)r->done, cause->msg, what, kept);
}

static bl_status check_metrics(const run *r, bl_error *err)
{
    for (int i = 0; i < r->loop->n_metrics; i++)
        if (!isfinite(r->metrics[i]))
            return bl_fail(err, BL_ENAN, "%s is not a finite number", r->loop->metric_names[i]);
    return BL_OK;
}

/* The command that goes on, as far as it follows from the options. */
static void resume_command(const run *r, char *out, size_t size)
{
    const train_options *o = r->opt;
    size_t n = (size_t)snprintf(out, size, "bin/%s", r->loop->program);
    if (o->config_path && n < size)
        n += (size_t)snprintf(out + n, size - n, " --config %s", o->config_path);
    if (n < size)
        n += (size_t)snprintf(out + n, size - n, " %s --out %s", o->dataset_dir ? o->dataset_dir : "DATASET_DIR",
                              o->out_dir ? o->out_dir : "DIR");
    for (int i = 0; i < o->sets.n && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, " --set '%s'", o->sets.item[i]);
    if (o->steps > 0 && n < size)
        n += (size_t)snprintf(out + n, size - n, " --steps %lld", (long long)o->steps);
    if (o->seed_given && n < size)
        n += (size_t)snprintf(out + n, size - n, " --seed %lld", (long long)o->seed);
    if (o->log_path && n < size)
        n += (size_t)snprintf(out + n, size - n, " --log %s", o->log_path);
    if (n < size)
        snprintf(out + n, size - n, " --resume");
}

/* ---- the loop ---- */

static bl_status draw_curve(run *r, bl_error *err)
{
    const train_loop *l = r->loop;
    return train_history_draw(&r->history, r->curve_path, l->program, l->metric_names, l->figure_names, err);
}

static void print_plan(const run *r)
{
    const train_loop *l = r->loop;
    char text[BL_PATH_MAX + 300];
    size_t n = 0;
    if (l->params) {
        const double mb = 2e-6 * (double)l->params->n_elements * (double)sizeof(real);
        n += (size_t)snprintf(text, sizeof text, "%lld parameters (%.1f MB with gradients), ",
                              (long long)nn_params_count(l->params, ""), mb);
    }
    if (r->first)
        n += (size_t)snprintf(text + n, sizeof text - n, "going on after step %lld of %lld", (long long)r->first, (long long)l->n_steps);
    else
        n += (size_t)snprintf(text + n, sizeof text - n, "%lld steps", (long long)l->n_steps);
    if (n < sizeof text)
        snprintf(text + n, sizeof text - n, ", checkpoint %s", l->checkpoint_path);
    note(r, text);
}

/* The memory that a plan can only guess is known after one step. */
static void print_first_step(const run *r, double seconds)
{
    char text[160], left[32];
    snprintf(text, sizeof text, "first step: %.3g s, %.0f MB in use, about %s to go", seconds, bl_peak_rss_mb(),
             bl_format_duration(seconds * (double)(r->loop->n_steps - r->done), left));
    note(r, text);
}

static void show(run *r, bl_progress *p)
{
    char text[400] = "";
    size_t n = 0;
    for (int i = 0; i < r->loop->n_metrics && n < sizeof text; i++) {
        r->shown[i] = r->done == r->first + 1 ? r->metrics[i] : 0.95 * r->shown[i] + 0.05 * r->metrics[i];
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s %.4g", i ? ", " : "", r->loop->metric_names[i], r->shown[i]);
    }
    bl_progress_step(p, r->done, text);
}

static int due(const run *r, int64_t every)
{
    return r->done == r->loop->n_steps || (every > 0 && r->done % every == 0);
}

/* What comes after a good step: figures, log, pictures, checkpoint. */
static bl_status follow_up(run *r, bl_error *err)
{
    const train_loop *l = r->loop;
    bl_status status = BL_OK;
    r->validated = 0;
    train_history_add(&r->history, r->metrics);
    if (l->validate && due(r, l->validate_every)) {
        status = l->validate(l->user, r->done, r->figures, err);
        if (!status)
            status = train_history_add_figures(&r->history, r->done, r->figures, err);
        r->validated = !status;
    }
    if (!status)
        status = write_row(r, err);
    if (!status && due(r, l->save_every))
        status = save(r, err);
    if (!status && due(r, l->preview_every)) {
        status = draw_curve(r, err);
        if (!status && l->preview)
            status = l->preview(l->user, r->done, err);
    }
    return status;
}

static bl_status one_step(run *r, bl_error *err)
{
    bl_error local = { 0 };
    r->done++;
    bl_status status = r->loop->step(r->loop->user, r->done, r->metrics, &local);
    if (!status)
        status = check_metrics(r, &local);
    if (status == BL_ENAN)
        return went_bad(r, &local, err);
    if (!status)
        status = follow_up(r, &local);
    return status ? bl_fail(err, status, "step %lld: %s", (long long)r->done, local.msg) : BL_OK;
}

static bl_status steps(run *r, bl_error *err)
{
    const train_loop *l = r->loop;
    bl_progress progress;
    bl_status status = BL_OK;

    if (l->plan && !r->opt->quiet) {
        nn_plan plan = { 0, 0, 0 };
        char text[120];
        l->plan(l->user, &plan);
        fprintf(stderr, "%s\n", nn_plan_str(&plan, text));
    }
    bl_progress_start(&progress, l->program, "steps", l->n_steps, r->opt->quiet);
    progress.first = r->first;
    while (!status && r->done < l->n_steps && !bl_interrupted()) {
        const double start = bl_seconds();
        status = one_step(r, err);
        if (!status && r->done == r->first + 1)
            print_first_step(r, bl_seconds() - start);
        if (!status)
            show(r, &progress);
    }
    bl_progress_end(&progress);
    if (!status && r->done < l->n_steps) {
        char command[300];
        if (r->saved != r->done || r->done == 0)
            status = save(r, err);
        resume_command(r, command, sizeof command);
        if (!status)
            status = bl_fail(err, BL_ESTOP, "stopped after step %lld of %lld, checkpoint written; go on with %s",
                             (long long)r->done, (long long)l->n_steps, command);
    }
    return status;
}

bl_status train_loop_run(const train_loop *loop, const train_options *opt, bl_error *err)
{
    run r = { .loop = loop, .opt = opt, .start_s = bl_seconds() };
    bl_status status = train_history_start(&r.history, loop->n_metrics, loop->n_figures, err);

    if (!status)
        status = beside(r.curve_path, loop->checkpoint_path, "_loss.png", err);
    if (!status && opt->log_path)
        snprintf(r.log_path, sizeof r.log_path, "%s", opt->log_path);
    else if (!status)
        status = beside(r.log_path, loop->checkpoint_path, ".csv", err);
    if (!status && opt->resume)
        status = resume(&r, err);
    if (!status && r.done >= loop->n_steps && r.done > 0) {
        char text[160];
        snprintf(text, sizeof text, "all %lld steps are made already; ask for more with --steps", (long long)r.done);
        note(&r, text);
    } else if (!status) {
        status = open_log(&r, err);
        if (!status) {
            bl_catch_interrupt();
            print_plan(&r);
            status = steps(&r, err);
        }
    }
    if (r.log)
        fclose(r.log);
    train_history_free(&r.history);
    return status;
}

int train_loop_exit(const train_loop *loop, bl_status status, const bl_error *err)
{
    if (status)
        fprintf(stderr, "%s: %s\n", loop->program, err->msg);
    return status == BL_OK || status == BL_ESTOP ? 0 : 1;
}
