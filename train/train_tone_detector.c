#define _POSIX_C_SOURCE 200809L
/* Learns to tell instruments by their tones: data_tones -> features -> support vector machine ->
 * OUT/tone_detector.h5, with figures on recordings it never heard. */
#include "base/file.h"
#include "base/progress.h"
#include "base/rng.h"
#include "blocks/config_defaults.h"
#include "blocks/tone_detector.h"
#include "train/options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const bl_cli_program program = {
    .name = "train_tone_detector",
    .summary = "Learns which instrument a tone is (support vector machine, cross-validated) from a dataset folder.\n"
               "Writes OUT/tone_detector.h5 and prints its accuracy on recordings it never heard.\n"
               "--steps N learns from at most N tones of each instrument ([tone_detector] max_tones_per_instrument).\n"
               "Ctrl-C keeps what is measured and searched in OUT/tone_detector.part.h5; --resume goes on from there.",
    .examples = "  train_tone_detector --config configs/rock.ini songs --out checkpoints\n"
                "  train_tone_detector notes --set tone_detector.kernel=rbf --set tone_detector.C=\"1 10\" --log tones.csv\n",
};
static const char part_kind[] = "tone_detector_part";

/* ---- what is finished --------------------------------------------------------------------------- */

/* Scores belong to the options they were made with; so does the table to its tones. */
static uint64_t options_hash(const blocks_tone_detector_options *o)
{
    uint64_t h = bl_hash(0, o->C, sizeof o->C);
    const int numbers[] = { o->n_C, o->n_gamma, o->n_folds, o->balanced, o->min_per_instrument, o->copies };
    h = bl_hash(h, o->gamma_scale, sizeof o->gamma_scale);
    h = bl_hash(h, numbers, sizeof numbers);
    return bl_hash(h, &o->seed, sizeof o->seed);
}

/* Tone and copy in one number, ascending with the rows. */
static int64_t row_key(const blocks_tone_table *t, int64_t i)
{
    return t->tone[i] * 16 + t->copy[i];
}

static bl_status save_part(const char *path, const blocks_tone_table *t, const blocks_tone_search *search, uint64_t options,
                           bl_error *err)
{
    nn_checkpoint *c = nn_checkpoint_create(path, part_kind, err);
    int64_t *measured = malloc((size_t)(t->n ? t->n : 1) * sizeof *measured), *key = malloc((size_t)(t->n ? t->n : 1) * sizeof *key);
    if (!c || !measured || !key) {
        free(measured);
        free(key);
        if (c) {
            bl_error ignored = { 0 };
            nn_checkpoint_commit(c, &ignored);
        }
        return bl_fail(err, BL_ENOMEM, "%s: no memory", path);
    }
    for (int64_t i = 0; i < t->n; i++) {
        measured[i] = t->measured[i];
        key[i] = row_key(t, i);
    }
    nn_checkpoint_put_int(c, "fingerprint", (int64_t)t->fingerprint, err);
    nn_checkpoint_put_int(c, "options", (int64_t)options, err);
    nn_checkpoint_put(c, "features", NN_F32, 2, (int64_t[]){ t->n, BLOCKS_TONE_FEATURES }, t->features, err);
    nn_checkpoint_put(c, "row", NN_I64, 1, &t->n, key, err);
    nn_checkpoint_put(c, "measured", NN_I64, 1, &t->n, measured, err);
    if (search->started)
        nn_checkpoint_put(c, "scores", NN_F64, 2, (int64_t[]){ 2, 256 }, search->scores, err);
    free(measured);
    free(key);
    return nn_checkpoint_commit(c, err);
}

/* Takes over what an earlier run finished with the same tones; says nothing when there is nothing to take. */
static void load_part(const char *path, blocks_tone_table *t, blocks_tone_search *search, uint64_t options, int quiet)
{
    bl_error err = { 0 };
    int64_t n = 0, taken = 0;
    nn_checkpoint *c = bl_is_file(path) ? nn_checkpoint_open(path, part_kind, &err) : NULL;
    if (!c)
        return;
    if ((uint64_t)nn_checkpoint_get_int(c, "fingerprint", 0, &err) != t->fingerprint) {
        if (!quiet)
            printf("the tones are not those of the interrupted run; beginning afresh\n");
        nn_checkpoint_free(c);
        return;
    }
    float *features = nn_checkpoint_get(c, "features", NN_F32, 2, (int64_t[]){ -1, BLOCKS_TONE_FEATURES }, (int64_t[2]){ 0 }, &err);
    int64_t *tone = nn_checkpoint_get(c, "row", NN_I64, 1, (int64_t[]){ -1 }, &n, &err);
    int64_t *measured = tone ? nn_checkpoint_get(c, "measured", NN_I64, 1, &n, NULL, &err) : NULL;
    /* Rows that could not be measured are gone from a finished table, so match by tone. */
    for (int64_t i = 0, j = 0; features && measured && i < t->n; i++) {
        while (j < n && tone[j] < row_key(t, i))
            j++;
        if (j < n && tone[j] == row_key(t, i) && measured[j]) {
            memcpy(t->features + i * BLOCKS_TONE_FEATURES, features + j * BLOCKS_TONE_FEATURES,
                   BLOCKS_TONE_FEATURES * sizeof *features);
            t->measured[i] = (unsigned char)measured[j];
            taken++;
        }
    }
    if ((uint64_t)nn_checkpoint_get_int(c, "options", 0, &err) == options && nn_checkpoint_has(c, "scores")) {
        double *scores = nn_checkpoint_get(c, "scores", NN_F64, 2, (int64_t[]){ 2, 256 }, NULL, &err);
        if (scores) {
            memcpy(search->scores, scores, sizeof search->scores);
            search->started = 1;
        }
        free(scores);
    }
    if (!quiet)
        printf("resumed: %lld of %lld rows are measured\n", (long long)taken, (long long)t->n);
    free(features);
    free(tone);
    free(measured);
    nn_checkpoint_free(c);
}

/* ---- report ------------------------------------------------------------------------------------- */

static void print_figures(const blocks_tone_detector *d, const blocks_tone_search *search, const blocks_tone_figures *f)
{
    printf("learned %d instruments from %lld tones: %s kernel, C %g", d->n_classes, (long long)f->n_train,
           nn_svm_kernel_names[search->best_kernel], search->best_C);
    if (search->best_kernel == NN_SVM_RBF)
        printf(", gamma %g", search->best_gamma);
    printf(", %lld support vectors\n", (long long)d->svm->n_sv);
    if (f->n == 0) {
        printf("nothing was held out: every instrument has one recording only\n");
        return;
    }
    printf("held out: %lld tones of %lld recordings never heard\n", (long long)f->n, (long long)f->n_recordings);
    printf("  accuracy             %.3f   (mean recall %.3f)\n", f->accuracy, f->recall);
    printf("  nearest MFCC mean    %.3f   (mean recall %.3f)\n", f->nearest_mean, f->nearest_mean_recall);
    printf("  majority             %.3f   (mean recall %.3f)\n", f->majority, 1.0 / d->n_classes);
    printf("  calibration error    %.3f\n", f->calibration);
    if (f->drum_accuracy >= 0)
        printf("  kinds of drum hits   %.3f\n", f->drum_accuracy);
}

static bl_status write_log(const char *path, const blocks_tone_detector *d, const blocks_tone_detector_options *o,
                           const blocks_tone_search *search, const blocks_tone_figures *f, bl_error *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *m = open_memstream(&text, &size);
    if (!m)
        return bl_fail(err, BL_ENOMEM, "%s: no memory", path);
    fprintf(m, "what,name,value,value2,value3\n");
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < o->n_C * (k == NN_SVM_RBF ? o->n_gamma : 1); i++)
            if (search->scores[k][i] >= 0) {
                const int n_gamma = k == NN_SVM_RBF ? o->n_gamma : 1;
                fprintf(m, "search,%s,%g,%g,%.6f\n", nn_svm_kernel_names[k], o->C[i / n_gamma],
                        k == NN_SVM_RBF ? o->gamma_scale[i % n_gamma] / BLOCKS_TONE_FEATURES : 0, search->scores[k][i]);
            }
    fprintf(m, "figure,accuracy,%.6f,,\nfigure,mean_recall,%.6f,,\nfigure,majority,%.6f,,\n", f->accuracy, f->recall, f->majority);
    fprintf(m, "figure,nearest_mean,%.6f,,\nfigure,nearest_mean_recall,%.6f,,\nfigure,calibration_error,%.6f,,\n",
            f->nearest_mean, f->nearest_mean_recall, f->calibration);
    fprintf(m, "figure,drum_accuracy,%.6f,,\nfigure,tones,%lld,,\nfigure,recordings,%lld,,\n", f->drum_accuracy,
            (long long)f->n, (long long)f->n_recordings);
    for (int a = 0; a < d->n_classes; a++)
        for (int b = 0; b < d->n_classes; b++)
            if (f->confusion[a][b])
                fprintf(m, "confusion,%s,%s,%lld,\n", d->name[a], d->name[b], (long long)f->confusion[a][b]);
    if (fclose(m) != 0) {
        free(text);
        return bl_fail(err, BL_ENOMEM, "%s: no memory", path);
    }
    const bl_status status = bl_write_file(path, text, size, err);
    free(text);
    return status;
}

/* ---- every source and every fourth pitch by machines that never heard them --------------------- */

static double balanced_accuracy(const blocks_tone_detector *d, const blocks_tone_table *t, const double *p, int only_source)
{
    double right[NN_SVM_MAX_CLASSES] = { 0 }, count[NN_SVM_MAX_CLASSES] = { 0 }, sum = 0, n = 0;
    for (int64_t i = 0; i < t->n; i++) {
        const double *q = p + i * d->n_classes;
        const int c = blocks_tone_detector_class(d, t->instrument[i]);
        int best = 0;
        if (c < 0 || isnan(q[0]) || (only_source >= 0 && t->source[i] != only_source))
            continue;
        for (int k = 1; k < d->n_classes; k++)
            best = q[k] > q[best] ? k : best;
        count[c]++;
        right[c] += best == c;
    }
    for (int c = 0; c < d->n_classes; c++)
        if (count[c] > 0) {
            sum += right[c] / count[c];
            n++;
        }
    return n > 0 ? sum / n : 0;
}

/* OUT/tone_detector.judged.h5: rows, and what machines that never heard their source, or their pitch, make of them. */
static bl_status save_judged(const char *path, const blocks_tone_detector *d, const blocks_tone_table *t, const data_tones *tones,
                             const double *by_source, const double *by_pitch, bl_error *err)
{
    const char **names = malloc((size_t)(t->n_sources + d->n_classes) * sizeof *names);
    int64_t *numbers = malloc((size_t)t->n * 5 * sizeof *numbers);
    nn_checkpoint *c = names && numbers ? nn_checkpoint_create(path, "tone_detector_judged", err) : NULL;
    bl_status status = c ? BL_OK : bl_fail(err, BL_ENOMEM, "%s: no memory", path);
    if (c) {
        for (int i = 0; i < t->n_sources; i++)
            names[i] = *t->source_name[i] ? t->source_name[i] : ".";
        for (int i = 0; i < d->n_classes; i++)
            names[t->n_sources + i] = d->name[i];
        for (int64_t i = 0; i < t->n; i++) {
            numbers[5 * i] = blocks_tone_detector_class(d, t->instrument[i]);
            numbers[5 * i + 1] = t->source[i];
            numbers[5 * i + 2] = t->pitch[i];
            numbers[5 * i + 3] = t->copy[i];
            numbers[5 * i + 4] = tones->tones[t->tone[i]].annotated;
        }
        nn_checkpoint_put_texts(c, "sources", names, t->n_sources, err);
        nn_checkpoint_put_texts(c, "classes", names + t->n_sources, d->n_classes, err);
        nn_checkpoint_put(c, "features", NN_F32, 2, (int64_t[]){ t->n, BLOCKS_TONE_FEATURES }, t->features, err);
        nn_checkpoint_put(c, "class_source_pitch_copy_annotated", NN_I64, 2, (int64_t[]){ t->n, 5 }, numbers, err);
        nn_checkpoint_put(c, "by_source", NN_F64, 2, (int64_t[]){ t->n, d->n_classes }, by_source, err);
        nn_checkpoint_put(c, "by_pitch", NN_F64, 2, (int64_t[]){ t->n, d->n_classes }, by_pitch, err);
        status = nn_checkpoint_commit(c, err);
    }
    free(names);
    free(numbers);
    return status;
}

static bl_status judge(const blocks_tone_detector *d, const blocks_tone_table *t, const data_tones *tones,
                       const blocks_tone_detector_options *o, const char *out_dir, bl_error *err)
{
    const size_t cells = (size_t)t->n * (size_t)d->n_classes;
    double *by_source = malloc(cells * sizeof *by_source), *by_pitch = malloc(cells * sizeof *by_pitch);
    int *fold = malloc((size_t)t->n * sizeof *fold);
    char path[BL_PATH_MAX];
    bl_status status = by_source && by_pitch && fold ? bl_path_join(path, out_dir, "tone_detector.judged.h5", err)
                                                     : bl_fail(err, BL_ENOMEM, "no memory to judge the tone detector");
    if (status == BL_OK)
        status = blocks_tone_detector_cross_validate(d, t, t->source, t->n_sources, o, by_source, err);
    /* Every fourth pitch of drums is another drum: those are learned, not judged. */
    for (int64_t i = 0; i < t->n && status == BL_OK; i++)
        fold[i] = t->instrument[i] == data_instrument_find("drums") || t->pitch[i] % 4 != 1 ? -1 : 0;
    if (status == BL_OK)
        status = blocks_tone_detector_cross_validate(d, t, fold, 1, o, by_pitch, err);
    if (status == BL_OK) {
        printf("left out, mean recall\n");
        for (int s = 0; s < t->n_sources; s++)
            printf("  %-38s %.3f\n", *t->source_name[s] ? t->source_name[s] : "(the dataset's own folder)", balanced_accuracy(d, t, by_source, s));
        printf("  every source in turn                   %.3f\n  every fourth pitch                     %.3f\n",
               balanced_accuracy(d, t, by_source, -1), balanced_accuracy(d, t, by_pitch, -1));
        status = save_judged(path, d, t, tones, by_source, by_pitch, err);
    }
    free(by_source);
    free(by_pitch);
    free(fold);
    return status;
}

/* ---- the run ------------------------------------------------------------------------------------ */

typedef struct run_state {
    data_dataset *dataset;
    data_tones    tones;
    blocks_tone_table  table;
    blocks_tone_search search;
    blocks_tone_detector_options options;
    char part[BL_PATH_MAX], path[BL_PATH_MAX];
} run_state;

static bl_status prepare(run_state *s, const train_options *opt, bl_error *err)
{
    char line[512];
    static const char *const own[] = { "tone_detector", NULL }, *const networks[] = { NULL };
    bl_status status = blocks_config_fill(opt->config, "configs/tone_detector.ini", own, networks, err);
    if (status == BL_OK)
        status = blocks_tone_detector_configure(&s->options, opt->config, err);
    if (status == BL_OK)
        status = blocks_config_check(opt->config, own, err);
    if (status != BL_OK)
        return status;
    if (opt->steps > 0)
        s->options.max_per_instrument = opt->steps > 1000000 ? 1000000 : (int)opt->steps;
    s->options.seed = (uint64_t)opt->seed;
    s->options.quiet = opt->quiet;
    if ((status = bl_path_join(s->path, opt->out_dir, "tone_detector.h5", err)) != BL_OK ||
        (status = bl_path_join(s->part, opt->out_dir, "tone_detector.part.h5", err)) != BL_OK)
        return status;
    s->dataset = data_dataset_open(opt->dataset_dir, &(data_dataset_options){ .on_skip = train_report_skip }, err);
    if (!s->dataset)
        return err->code;
    status = data_tones_collect(s->dataset, &(data_tones_options){ .sample_rate = BLOCKS_TONE_RATE, .max_overlap_s = -1,
                                                                   .max_tones_per_instrument = 4 * s->options.max_per_instrument,
                                                                   .quiet = opt->quiet, .seed = (uint64_t)opt->seed },
                                &s->tones, err);
    if (status != BL_OK)
        return status;
    if (!opt->quiet) {
        data_tones_describe(&s->tones, line, sizeof line);
        printf("%s\n", line);
    }
    return blocks_tone_table_new(&s->table, s->dataset, &s->tones, s->options.max_per_instrument, s->options.copies,
                                 (uint64_t)opt->seed, err);
}

static bl_status run(run_state *s, const train_options *opt, bl_error *err)
{
    blocks_tone_detector *d = NULL;
    blocks_tone_figures *figures = NULL;
    char *config = NULL;
    bl_status status = prepare(s, opt, err);

    if (status != BL_OK)
        return status;
    if (opt->resume)
        load_part(s->part, &s->table, &s->search, options_hash(&s->options), opt->quiet);
    if (bl_interrupted())
        status = bl_fail(err, BL_ESTOP, "interrupted");
    if (status == BL_OK)
        status = blocks_tone_table_measure(&s->table, &s->tones, opt->quiet, err);
    if (status == BL_OK) {
        d = blocks_tone_detector_train(&s->table, &s->options, &s->search, err);
        status = d ? BL_OK : err->code;
    }
    if (status == BL_ESTOP) {
        bl_error part_err = { 0 };
        if (save_part(s->part, &s->table, &s->search, options_hash(&s->options), &part_err) == BL_OK)
            fprintf(stderr, "what is finished was kept in %s; the same command with --resume goes on\n", s->part);
        return status;
    }
    if (status != BL_OK)
        return status;
    figures = malloc(sizeof *figures);
    config = bl_config_text(opt->config);
    if (!figures || !config)
        status = bl_fail(err, BL_ENOMEM, "no memory to evaluate the tone detector");
    if (status == BL_OK)
        status = blocks_tone_detector_evaluate(d, &s->table, figures, err);
    if (status == BL_OK)
        status = blocks_tone_detector_save(d, s->path, config, opt->seed, err);
    if (status == BL_OK) {
        /* For a later --resume with other settings of the search: measuring takes longest. */
        bl_error ignored = { 0 };
        save_part(s->part, &s->table, &s->search, options_hash(&s->options), &ignored);
        print_figures(d, &s->search, figures);
        if (s->options.leave_out)
            status = judge(d, &s->table, &s->tones, &s->options, opt->out_dir, err);
        printf("wrote %s\n", s->path);
        if (status == BL_OK && opt->log_path)
            status = write_log(opt->log_path, d, &s->options, &s->search, figures, err);
    }
    blocks_tone_detector_free(d);
    free(figures);
    free(config);
    return status;
}

int main(int argc, char **argv)
{
    train_options opt;
    bl_error err = { 0 };
    const int rc = train_options_parse(&program, argc, argv, &opt);
    if (rc >= 0)
        return rc;
    bl_catch_interrupt();
    run_state *s = calloc(1, sizeof *s);
    const bl_status status = s ? run(s, &opt, &err) : bl_fail(&err, BL_ENOMEM, "no memory");
    if (s) {
        blocks_tone_table_free(&s->table);
        data_tones_free(&s->tones);
        data_dataset_free(s->dataset);
        free(s);
    }
    train_options_free(&opt);
    return status == BL_OK ? 0 : bl_cli_fail(&program, &err);
}
