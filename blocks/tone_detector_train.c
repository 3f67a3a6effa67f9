/* Training of the tone detector, and what it is worth on tones it never heard. */
#include "blocks/tone_detector.h"

#include "base/progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- training ----------------------------------------------------------------------------------- */

static bl_status parse_list(const bl_config *config, const char *key, const char *fallback, double *out, int *n, bl_error *err)
{
    const char *text = bl_config_str(config, "tone_detector", key, fallback), *p = text;
    *n = 0;
    while (*p) {
        char *end;
        const double v = strtod(p, &end);
        if (end == p || !(v > 0) || *n == 16)
            return bl_fail(err, BL_EARG, "%s: [tone_detector] %s: expected up to 16 positive numbers, got \"%s\"",
                           bl_config_name(config), key, text);
        out[(*n)++] = v;
        p = end + strspn(end, " ,\t");
    }
    return *n ? BL_OK : bl_fail(err, BL_EARG, "%s: [tone_detector] %s is empty", bl_config_name(config), key);
}

bl_status blocks_tone_detector_configure(blocks_tone_detector_options *o, const bl_config *config, bl_error *err)
{
    static const char *const kernels[] = { "linear", "rbf", "auto", NULL };
    static const char section[] = "tone_detector";
    bl_error own = { 0 };
    memset(o, 0, sizeof *o);
    o->max_per_instrument = (int)bl_config_int(config, section, "max_tones_per_instrument", 1200, 2, 1000000, &own);
    o->min_per_instrument = (int)bl_config_int(config, section, "min_tones_per_instrument", 8, 2, 1000000, &own);
    o->n_folds = (int)bl_config_int(config, section, "folds", 4, 2, 100, &own);
    o->copies = (int)bl_config_int(config, section, "varied_copies", 0, 0, 15, &own);
    o->leave_out = bl_config_bool(config, section, "leave_one_source_out", 0, &own);
    o->balanced = bl_config_bool(config, section, "balanced", 1, &own);
    o->kernel = bl_config_choice(config, section, "kernel", kernels, 2, &own);
    o->kernel = o->kernel == 2 ? -1 : o->kernel;
    if (own.code == BL_OK)
        parse_list(config, "C", "3", o->C, &o->n_C, &own);
    if (own.code == BL_OK)
        parse_list(config, "gamma_scale", "0.3", o->gamma_scale, &o->n_gamma, &own);
    return own.code == BL_OK ? BL_OK : bl_fail(err, own.code, "%s", own.msg);
}

/* Rows of the table that are to be learned, by class; labels -1: not used. */
typedef struct selection {
    int64_t n;
    float  *x;       /* [n, BLOCKS_TONE_FEATURES] */
    int    *label, *group;
} selection;

static void selection_free(selection *s)
{
    free(s->x);
    free(s->label);
    free(s->group);
    *s = (selection){ 0 };
}

/* left_out [t->n]: rows not to learn from; varied: with the varied copies. */
static int select_rows(selection *s, const blocks_tone_table *t, const int *label_of_row, const unsigned char *left_out, int varied)
{
    const size_t n = (size_t)(t->n ? t->n : 1);
    *s = (selection){ 0 };
    s->x = malloc(n * BLOCKS_TONE_FEATURES * sizeof *s->x);
    s->label = malloc(n * sizeof *s->label);
    s->group = malloc(n * sizeof *s->group);
    if (!s->x || !s->label || !s->group) {
        selection_free(s);
        return 0;
    }
    for (int64_t i = 0; i < t->n; i++) {
        if (label_of_row[i] < 0 || left_out[i] || (t->copy[i] && !varied))
            continue;
        memcpy(s->x + s->n * BLOCKS_TONE_FEATURES, t->features + i * BLOCKS_TONE_FEATURES,
               BLOCKS_TONE_FEATURES * sizeof *s->x);
        s->label[s->n] = label_of_row[i];
        s->group[s->n++] = t->recording[i];
    }
    return 1;
}

typedef struct reporter {
    bl_progress progress;
} reporter;

static int report_search(void *user, int64_t done, int64_t total)
{
    reporter *r = user;
    (void)total;
    bl_progress_step(&r->progress, done, "");
    return bl_interrupted();
}

/* Best kernel, C and gamma into opt. */
static bl_status search_settings(const selection *s, int n_classes, const blocks_tone_detector_options *o,
                                 blocks_tone_search *search, nn_svm_opt *opt, bl_error *err)
{
    double gamma[16], best = -1;
    bl_status status = BL_OK;
    for (int i = 0; i < o->n_gamma; i++)
        gamma[i] = o->gamma_scale[i] / BLOCKS_TONE_FEATURES;
    if (!search->started) {
        for (int k = 0; k < 2; k++)
            for (int i = 0; i < 16 * 16; i++)
                search->scores[k][i] = -1;
        search->started = 1;
    }
    for (int k = 0; k < 2; k++) {
        nn_svm_opt trial = *opt;
        reporter r;
        const int n_gamma = k == NN_SVM_RBF ? o->n_gamma : 1;
        if (o->kernel >= 0 && o->kernel != k)
            continue;
        trial.kernel = (nn_svm_kernel)k;
        /* Settings that need longer than this do not generalise; the final machines run to the end. */
        trial.max_iterations = 200000;
        bl_progress_start(&r.progress, k == NN_SVM_RBF ? "searching (rbf)" : "searching (linear)", "fits",
                          (int64_t)o->n_C * n_gamma * o->n_folds, o->quiet);
        status = nn_svm_search(s->x, s->n, BLOCKS_TONE_FEATURES, s->label, n_classes, s->group,
                               &(nn_svm_grid){ o->C, gamma, o->n_C, n_gamma, o->n_folds }, &trial, search->scores[k],
                               report_search, &r, err);
        bl_progress_end(&r.progress);
        if (status != BL_OK)
            return status;
        for (int i = 0; i < o->n_C * n_gamma; i++)
            if (search->scores[k][i] > best + 1e-12) {
                best = search->scores[k][i];
                opt->kernel = trial.kernel;
                opt->C = trial.C;
                opt->gamma = trial.gamma;
            }
    }
    search->best_kernel = opt->kernel;
    search->best_C = opt->C;
    search->best_gamma = opt->gamma;
    return BL_OK;
}

/* Numbers the instruments that have enough tones to learn from; label [table->n]. */
static bl_status number_classes(blocks_tone_detector *d, const blocks_tone_table *t, int least, int *label, bl_error *err)
{
    const int n_ids = data_instrument_count();
    for (int64_t i = 0; i < t->n; i++)
        label[i] = -1;
    for (int id = 0; id < n_ids && d->n_classes < NN_SVM_MAX_CLASSES; id++) {
        int64_t count = 0;
        for (int64_t i = 0; i < t->n; i++)
            count += t->instrument[i] == id && !t->held_out[i] && !t->copy[i];
        if (count < least)
            continue;
        for (int64_t i = 0; i < t->n; i++)
            if (t->instrument[i] == id)
                label[i] = d->n_classes;
        d->instrument[d->n_classes] = id;
        snprintf(d->name[d->n_classes++], sizeof d->name[0], "%s", data_instrument_name(id));
    }
    return d->n_classes >= 2 ? BL_OK
                             : bl_fail(err, BL_EFORMAT, "tone detector: expected at least two instruments with %d tones "
                                       "or more to learn from, got %d", least, d->n_classes);
}

/* The same for kinds of drum hits. */
static void number_drum_kinds(blocks_tone_detector *d, const blocks_tone_table *t, int least, int *label)
{
    const int drums = data_instrument_find("drums");
    for (int64_t i = 0; i < t->n; i++)
        label[i] = -1;
    for (int k = 0; k < BLOCKS_N_DRUM_KINDS; k++) {
        int64_t count = 0;
        for (int64_t i = 0; i < t->n; i++)
            count += t->instrument[i] == drums && !t->held_out[i] && !t->copy[i] && (int)blocks_drum_kind_of(t->pitch[i]) == k;
        if (count < least)
            continue;
        for (int64_t i = 0; i < t->n; i++)
            if (t->instrument[i] == drums && (int)blocks_drum_kind_of(t->pitch[i]) == k)
                label[i] = d->n_drum_classes;
        d->drum_kind[d->n_drum_classes++] = (blocks_drum_kind)k;
    }
}

/* The power of the ratio below. */
static const double weight_power = 1;

/* What a column is worth: how far it is spread between the instruments, over how far apart recordings of one instrument lie
 * in it. A microphone, a room or a make of an instrument moves some numbers more than the instrument itself does; these
 * count less. Within-class covariance normalisation (Hatch, Kajarekar & Stolcke, Interspeech 2006), of the diagonal. */
static int find_weights(const selection *s, int n_classes, double weight[BLOCKS_TONE_FEATURES])
{
    enum { D = BLOCKS_TONE_FEATURES };
    int n_groups = 0;
    for (int64_t i = 0; i < s->n; i++)
        n_groups = s->group[i] >= n_groups ? s->group[i] + 1 : n_groups;
    const size_t cells = (size_t)n_groups * (size_t)n_classes;
    double *sum = calloc(cells * D, sizeof *sum), *count = calloc(cells, sizeof *count), *centre = calloc((size_t)n_classes * D, sizeof *centre);
    double all[D] = { 0 }, within[D] = { 0 }, between[D] = { 0 }, scale[D] = { 0 }, n_within = 0, n_between = 0, total = 0;
    const int ok = sum && count && centre;
    for (int64_t i = 0; ok && i < s->n; i++) {
        const size_t cell = (size_t)s->label[i] * (size_t)n_groups + (size_t)s->group[i];
        count[cell]++;
        for (int j = 0; j < D; j++) {
            const double v = (double)s->x[i * D + j];
            sum[cell * D + (size_t)j] += v;
            all[j] += v / (double)s->n;
        }
    }
    for (int64_t i = 0; ok && i < s->n; i++)
        for (int j = 0; j < D; j++)
            scale[j] += ((double)s->x[i * D + j] - all[j]) * ((double)s->x[i * D + j] - all[j]) / (double)s->n;
    for (int c = 0; ok && c < n_classes; c++) {
        double n = 0;
        for (int g = 0; g < n_groups; g++) {
            const size_t cell = (size_t)c * (size_t)n_groups + (size_t)g;
            n += count[cell] > 0;
            for (int j = 0; j < D && count[cell] > 0; j++)
                centre[c * D + j] += sum[cell * D + (size_t)j] / count[cell];
        }
        for (int j = 0; j < D && n > 0; j++) {
            centre[c * D + j] /= n;
            between[j] += (centre[c * D + j] - all[j]) * (centre[c * D + j] - all[j]);
        }
        n_between += n > 0;
        for (int g = 0; g < n_groups && n > 1; g++) {
            const size_t cell = (size_t)c * (size_t)n_groups + (size_t)g;
            n_within += count[cell] > 0;
            for (int j = 0; j < D && count[cell] > 0; j++) {
                const double d = sum[cell * D + (size_t)j] / count[cell] - centre[c * D + j];
                within[j] += d * d;
            }
        }
    }
    for (int j = 0; ok && j < D; j++) {
        /* A thousandth of the column's variance: what a few recordings cannot tell from nothing. */
        const double apart = n_within > 0 ? within[j] / n_within : scale[j];
        weight[j] = scale[j] > 0 ? pow(between[j] / n_between / (apart + 1e-3 * scale[j]), weight_power / 2) : 0;
        total += weight[j] * weight[j];
    }
    for (int j = 0; ok && j < D && total > 0; j++)
        weight[j] *= sqrt(D / total);
    free(sum);
    free(count);
    free(centre);
    return ok;
}

/* Learns the ranks of the selection, and puts them in the place of its rows. */
static int rank_rows(selection *s, blocks_tone_ranks *ranks)
{
    if (!blocks_tone_ranks_learn(ranks, s->x, s->n))
        return 0;
    for (int64_t i = 0; i < s->n; i++)
        blocks_tone_ranks_apply(ranks, s->x + i * BLOCKS_TONE_FEATURES, s->x + i * BLOCKS_TONE_FEATURES);
    return 1;
}

/* The machine of one set of labels on the rows not left out, and the ranks it sees. */
static nn_svm *learn(const blocks_tone_table *t, const int *label, int n_classes, const unsigned char *left_out, nn_svm_opt opt,
                     blocks_tone_ranks *ranks, bl_error *err)
{
    double weight[BLOCKS_TONE_FEATURES];
    selection s = { 0 };
    nn_svm *svm = NULL;
    if (!select_rows(&s, t, label, left_out, 1) || !rank_rows(&s, ranks) || !find_weights(&s, n_classes, weight)) {
        bl_fail(err, BL_ENOMEM, "no memory to train the tone detector");
    } else {
        opt.column_weight = weight;
        opt.probability = 1;
        /* Folds at random: with whole recordings left out the sigmoids of an instrument that has two would know it by one. */
        svm = nn_svm_train(s.x, s.n, BLOCKS_TONE_FEATURES, s.label, n_classes, NULL, &opt, err);
    }
    selection_free(&s);
    return svm;
}

static bl_status find_settings(const blocks_tone_table *t, const int *label, int n_classes, const blocks_tone_detector_options *o,
                               blocks_tone_search *search, nn_svm_opt *opt, bl_error *err)
{
    double weight[BLOCKS_TONE_FEATURES];
    blocks_tone_ranks ranks;
    selection s = { 0 };
    bl_status status = BL_OK;
    if (!select_rows(&s, t, label, t->held_out, 0) || !rank_rows(&s, &ranks) || !find_weights(&s, n_classes, weight))
        status = bl_fail(err, BL_ENOMEM, "no memory to train the tone detector");
    opt->column_weight = weight;
    if (status == BL_OK)
        status = search_settings(&s, n_classes, o, search, opt, err);
    opt->column_weight = NULL;
    selection_free(&s);
    return status;
}

static nn_svm_opt options_of(const blocks_tone_detector_options *o)
{
    return (nn_svm_opt){ .tolerance = 1e-3, .balanced = o->balanced, .standardise = 1, .seed = o->seed };
}

blocks_tone_detector *blocks_tone_detector_train(const blocks_tone_table *table, const blocks_tone_detector_options *options,
                                                 blocks_tone_search *search, bl_error *err)
{
    const int least = options->min_per_instrument > 0 ? options->min_per_instrument : 8;
    blocks_tone_detector *d = calloc(1, sizeof *d);
    int *label = malloc((size_t)(table->n ? table->n : 1) * sizeof *label);
    nn_svm_opt opt = options_of(options);
    int ok = 0;

    if (!d || !label) {
        bl_fail(err, BL_ENOMEM, "no memory to train the tone detector");
        goto done;
    }
    if (number_classes(d, table, least, label, err) != BL_OK ||
        find_settings(table, label, d->n_classes, options, search, &opt, err) != BL_OK)
        goto done;
    d->svm = learn(table, label, d->n_classes, table->held_out, opt, &d->ranks, err);
    if (!d->svm)
        goto done;
    number_drum_kinds(d, table, least, label);
    if (d->n_drum_classes >= 2) {
        /* Few classes that differ much: fixed settings do. */
        opt.kernel = NN_SVM_RBF;
        opt.C = 10;
        opt.gamma = 0.3 / BLOCKS_TONE_FEATURES;
        opt.balanced = 1;
        d->drum_svm = learn(table, label, d->n_drum_classes, table->held_out, opt, &d->drum_ranks, err);
        if (!d->drum_svm)
            goto done;
    } else {
        d->n_drum_classes = 0;
    }
    ok = 1;
done:
    free(label);
    if (!ok) {
        blocks_tone_detector_free(d);
        d = NULL;
    }
    return d;
}

/* Probabilities of the rows of fold `k` from a machine that learned from the others, into p [n, n_classes]. */
static bl_status judge_fold(const blocks_tone_detector *d, const blocks_tone_table *t, const int *label, const int *fold, int k,
                            const nn_svm_opt *opt, double *p, bl_error *err)
{
    unsigned char *left_out = malloc((size_t)(t->n ? t->n : 1));
    int64_t count[NN_SVM_MAX_CLASSES] = { 0 };
    bl_status status = BL_OK;
    int n_tested = 0;
    float ranked[BLOCKS_TONE_FEATURES];
    blocks_tone_ranks ranks;
    if (!left_out)
        return bl_fail(err, BL_ENOMEM, "no memory to judge the tone detector");
    for (int64_t i = 0; i < t->n; i++) {
        left_out[i] = fold[i] == k;
        n_tested += fold[i] == k && label[i] >= 0 && !t->copy[i];
        if (label[i] >= 0)
            count[label[i]] += fold[i] != k;
    }
    for (int c = 0; c < d->n_classes && n_tested; c++)
        if (count[c] == 0)
            status = bl_fail(err, BL_EFORMAT, "without one source there is no tone of %s to learn from; add another source of it", d->name[c]);
    nn_svm *svm = n_tested && status == BL_OK ? learn(t, label, d->n_classes, left_out, *opt, &ranks, err) : NULL;
    if (n_tested && status == BL_OK && !svm)
        status = err ? err->code : BL_ENOMEM;
    for (int64_t i = 0; i < t->n && svm; i++)
        if (left_out[i] && label[i] >= 0 && !t->copy[i]) {
            blocks_tone_ranks_apply(&ranks, t->features + i * BLOCKS_TONE_FEATURES, ranked);
            nn_svm_predict(svm, ranked, 1, NULL, p + i * d->n_classes);
        }
    nn_svm_free(svm);
    free(left_out);
    return status;
}

bl_status blocks_tone_detector_cross_validate(const blocks_tone_detector *d, const blocks_tone_table *t, const int *fold, int n_folds,
                                              const blocks_tone_detector_options *options, double *probability, bl_error *err)
{
    int *label = malloc((size_t)(t->n ? t->n : 1) * sizeof *label);
    nn_svm_opt opt = options_of(options);
    bl_status status = BL_OK;
    bl_progress progress;
    if (!label)
        return bl_fail(err, BL_ENOMEM, "no memory to judge the tone detector");
    opt.kernel = d->svm->kernel;
    opt.C = d->svm->C;
    opt.gamma = d->svm->gamma;
    for (int64_t i = 0; i < t->n; i++) {
        label[i] = -1;
        for (int c = 0; c < d->n_classes; c++)
            label[i] = d->instrument[c] == t->instrument[i] ? c : label[i];
    }
    for (int64_t i = 0; i < t->n * d->n_classes; i++)
        probability[i] = NAN;
    bl_progress_start(&progress, "leaving out", "folds", n_folds, options->quiet);
    for (int k = 0; k < n_folds && status == BL_OK; k++) {
        status = bl_interrupted() ? bl_fail(err, BL_ESTOP, "interrupted") : judge_fold(d, t, label, fold, k, &opt, probability, err);
        bl_progress_step(&progress, k + 1, "");
    }
    bl_progress_end(&progress);
    free(label);
    return status;
}

/* ---- evaluation --------------------------------------------------------------------------------- */

/* Means of the classes over the MFCC means, each column standardised; what a simple program would do. */
typedef struct means {
    double centre[NN_SVM_MAX_CLASSES][BLOCKS_TONE_MFCC], mean[BLOCKS_TONE_MFCC], scale[BLOCKS_TONE_MFCC];
} means;

static void learn_means(const blocks_tone_detector *d, const blocks_tone_table *t, means *m)
{
    int64_t count[NN_SVM_MAX_CLASSES] = { 0 }, n = 0;
    memset(m, 0, sizeof *m);
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < t->n; i++) {
            const float *row = t->features + i * BLOCKS_TONE_FEATURES;
            const int c = blocks_tone_detector_class(d, t->instrument[i]);
            if (c < 0 || t->held_out[i] || t->copy[i])
                continue;
            for (int j = 0; j < BLOCKS_TONE_MFCC; j++) {
                const double v = (double)row[j];
                if (pass == 0) {
                    m->mean[j] += v;
                    m->centre[c][j] += v;
                } else {
                    m->scale[j] += (v - m->mean[j] / (double)n) * (v - m->mean[j] / (double)n);
                }
            }
            if (pass == 0) {
                n++;
                count[c]++;
            }
        }
    for (int j = 0; j < BLOCKS_TONE_MFCC; j++) {
        m->scale[j] = m->scale[j] > 0 ? sqrt((double)n / m->scale[j]) : 0;
        for (int c = 0; c < d->n_classes; c++)
            m->centre[c][j] = count[c] ? m->centre[c][j] / (double)count[c] : 1e30;
    }
}

static int nearest_mean(const means *m, int n_classes, const float *row)
{
    int best = 0;
    double least = INFINITY;
    for (int c = 0; c < n_classes; c++) {
        double sum = 0;
        for (int j = 0; j < BLOCKS_TONE_MFCC; j++) {
            const double v = ((double)row[j] - m->centre[c][j]) * m->scale[j];
            sum += v * v;
        }
        if (sum < least) {
            least = sum;
            best = c;
        }
    }
    return best;
}

static double mean_recall(const int64_t *right, const int64_t *count, int n)
{
    double sum = 0, used = 0;
    for (int c = 0; c < n; c++)
        if (count[c]) {
            sum += (double)right[c] / (double)count[c];
            used++;
        }
    return used > 0 ? sum / used : 0;
}

bl_status blocks_tone_detector_evaluate(const blocks_tone_detector *d, const blocks_tone_table *t,
                                        blocks_tone_figures *f, bl_error *err)
{
    int64_t count[NN_SVM_MAX_CLASSES] = { 0 }, right[NN_SVM_MAX_CLASSES] = { 0 },
            mean_right[NN_SVM_MAX_CLASSES] = { 0 }, bin_n[10] = { 0 }, n_majority = 0, n_right = 0, n_mean = 0,
            n_drums = 0, n_drums_right = 0;
    double bin_p[10] = { 0 }, bin_right[10] = { 0 };
    blocks_tone_guess *guess = malloc((size_t)t->n * sizeof *guess);
    unsigned char *seen = calloc((size_t)t->n, 1);
    means *m = malloc(sizeof *m);

    memset(f, 0, sizeof *f);
    if (!guess || !seen || !m) {
        free(guess);
        free(seen);
        free(m);
        return bl_fail(err, BL_ENOMEM, "no memory to evaluate the tone detector");
    }
    learn_means(d, t, m);
    for (int64_t i = 0; i < t->n; i++) {
        const int c = blocks_tone_detector_class(d, t->instrument[i]);
        f->n_train += c >= 0 && !t->held_out[i] && !t->copy[i];
    }
    #pragma omp parallel for schedule(dynamic, 8)
    for (int64_t i = 0; i < t->n; i++)
        if (t->held_out[i] && !t->copy[i] && blocks_tone_detector_class(d, t->instrument[i]) >= 0)
            blocks_tone_detector_row(d, t->features + i * BLOCKS_TONE_FEATURES, &guess[i]);
    for (int64_t i = 0; i < t->n; i++) {
        const int c = blocks_tone_detector_class(d, t->instrument[i]);
        if (c < 0 || !t->held_out[i] || t->copy[i])
            continue;
        const int g = blocks_tone_detector_class(d, guess[i].instrument), near = nearest_mean(m, d->n_classes, t->features + i * BLOCKS_TONE_FEATURES);
        const int bin = guess[i].probability >= 1 ? 9 : (int)(guess[i].probability * 10);
        f->n++;
        f->n_recordings += !seen[t->recording[i]]++;
        f->confusion[c][g]++;
        count[c]++;
        right[c] += g == c;
        n_right += g == c;
        mean_right[c] += near == c;
        n_mean += near == c;
        bin_n[bin]++;
        bin_p[bin] += guess[i].probability;
        bin_right[bin] += g == c;
        if (guess[i].drum_kind >= 0 && c == g && (int)blocks_drum_kind_of(t->pitch[i]) >= 0) {
            n_drums++;
            n_drums_right += guess[i].drum_kind == (int)blocks_drum_kind_of(t->pitch[i]);
        }
    }
    for (int c = 0; c < d->n_classes; c++)
        n_majority = count[c] > n_majority ? count[c] : n_majority;
    const double n = f->n ? (double)f->n : 1;
    f->accuracy = (double)n_right / n;
    f->recall = mean_recall(right, count, d->n_classes);
    f->majority = (double)n_majority / n;
    f->nearest_mean = (double)n_mean / n;
    f->nearest_mean_recall = mean_recall(mean_right, count, d->n_classes);
    f->drum_accuracy = n_drums ? (double)n_drums_right / (double)n_drums : -1;
    for (int b = 0; b < 10; b++)
        f->calibration += fabs(bin_p[b] - bin_right[b]) / n;
    free(guess);
    free(seen);
    free(m);
    return BL_OK;
}

