/* Over 600 lines: guessing, training and storage of one detector. */
#include "blocks/tone_detector.h"

#include "base/progress.h"
#include "base/parallel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const blocks_drum_kind_names[] = { "kick", "snare", "tom", "closed hi-hat", "open hi-hat", "cymbal", NULL };
static const char kind[] = "tone_detector";

blocks_drum_kind blocks_drum_kind_of(int gm_key)
{
    switch (gm_key) {
    case 35: case 36:
        return BLOCKS_KICK;
    case 37: case 38: case 39: case 40:
        return BLOCKS_SNARE;
    case 41: case 43: case 45: case 47: case 48: case 50:
        return BLOCKS_TOM;
    case 42: case 44:
        return BLOCKS_HIHAT_CLOSED;
    case 46:
        return BLOCKS_HIHAT_OPEN;
    case 49: case 51: case 52: case 53: case 55: case 57: case 59:
        return BLOCKS_CYMBAL;
    default:
        return (blocks_drum_kind)-1;
    }
}

void blocks_tone_detector_free(blocks_tone_detector *d)
{
    if (!d)
        return;
    nn_svm_free(d->svm);
    nn_svm_free(d->drum_svm);
    free(d);
}

/* ---- guessing ----------------------------------------------------------------------------------- */

static int class_of(const blocks_tone_detector *d, int instrument)
{
    for (int c = 0; c < d->n_classes; c++)
        if (d->instrument[c] == instrument)
            return c;
    return -1;
}

static int most_probable(const double *p, int n)
{
    int best = 0;
    for (int c = 1; c < n; c++)
        if (p[c] > p[best])
            best = c;
    return best;
}

static void guess_row(const blocks_tone_detector *d, const float *row, blocks_tone_guess *g)
{
    memset(g, 0, sizeof *g);
    nn_svm_predict(d->svm, row, 1, NULL, g->of_class);
    const int best = most_probable(g->of_class, d->n_classes);
    g->instrument = d->instrument[best];
    g->probability = g->of_class[best];
    g->drum_kind = -1;
    if (d->drum_svm && g->instrument == data_instrument_find("drums")) {
        double p[BLOCKS_N_DRUM_KINDS];
        nn_svm_predict(d->drum_svm, row, 1, NULL, p);
        const int k = most_probable(p, d->n_drum_classes);
        g->drum_kind = d->drum_kind[k];
        g->drum_probability = p[k];
    }
}

bl_status blocks_tone_detector_tone(const blocks_tone_detector *d, const float *x, int64_t n_samples, int sample_rate,
                                    blocks_tone_guess *guess, bl_error *err)
{
    float row[BLOCKS_TONE_FEATURES];
    blocks_tone_analyser *a = blocks_tone_analyser_new(err);
    bl_status status = BL_ENOMEM;
    if (a)
        status = blocks_tone_analyser_run(a, x, n_samples, sample_rate, row, err);
    if (status == BL_OK)
        guess_row(d, row, guess);
    blocks_tone_analyser_free(a);
    return status;
}

/* Stretches of a track that are judged one by one. */
typedef struct stretch {
    int64_t first, length;
} stretch;

enum { STRETCHES_MAX = 48 };

/* From one onset to the next, those of notes or those found. Evenly chosen when there are many. */
static bl_status find_stretches(const float *x, int64_t n_samples, int sample_rate, const music_track *notes,
                                stretch *out, int *n, bl_error *err)
{
    data_tones tones = { 0 };
    bl_status status = BL_OK;
    *n = 0;
    if (notes && notes->n_notes > 0) {
        const int step = 1 + (notes->n_notes - 1) / STRETCHES_MAX;
        for (int i = 0; i < notes->n_notes; i += step) {
            const double from_s = notes->notes[i].onset_s - 0.01;
            const int64_t first = from_s > 0 ? (int64_t)(from_s * sample_rate) : 0;
            const int64_t end = (int64_t)((notes->notes[i].offset_s + 0.1) * sample_rate);
            if (first < n_samples && end > first)
                out[(*n)++] = (stretch){ first, (end < n_samples ? end : n_samples) - first };
        }
        return BL_OK;
    }
    status = data_tones_detect(x, n_samples, sample_rate, -1, NULL,
                               &(data_tones_options){ .sample_rate = sample_rate, .max_overlap_s = -1, .quiet = 1 }, &tones, err);
    if (status == BL_OK) {
        const int64_t step = 1 + (tones.n - 1) / STRETCHES_MAX;
        for (int64_t i = 0; i < tones.n; i += step) {
            const int64_t first = (int64_t)(tones.tones[i].onset_s * sample_rate);
            if (first >= 0 && first < n_samples)
                out[(*n)++] = (stretch){ first, tones.tones[i].n_samples < n_samples - first ? tones.tones[i].n_samples
                                                                                            : n_samples - first };
        }
    }
    data_tones_free(&tones);
    /* Nothing that begins: half-second pieces then, an organ can sound through. */
    for (int64_t at = 0; status == BL_OK && tones.n == 0 && *n == 0 && at < n_samples; at += n_samples)
        for (int i = 0; i < 16 && *n < STRETCHES_MAX; i++) {
            const int64_t first = n_samples * i / 16;
            if (n_samples - first >= sample_rate / 20)
                out[(*n)++] = (stretch){ first, n_samples - first < sample_rate / 2 ? n_samples - first : sample_rate / 2 };
        }
    return status;
}

static void restrict_to(const blocks_tone_detector *d, const int *only, int n_only, double *p)
{
    double sum = 0;
    for (int c = 0; only && c < d->n_classes; c++) {
        int allowed = 0;
        for (int i = 0; i < n_only; i++)
            allowed |= d->instrument[c] == only[i];
        p[c] = allowed ? p[c] : 0;
    }
    for (int c = 0; c < d->n_classes; c++)
        sum += p[c];
    for (int c = 0; c < d->n_classes && sum > 0; c++)
        p[c] /= sum;
}

bl_status blocks_tone_detector_track(const blocks_tone_detector *d, const float *x, int64_t n_samples, int sample_rate,
                                     const music_track *notes, const int *only, int n_only, blocks_track_guess *guess,
                                     bl_error *err)
{
    stretch stretches[STRETCHES_MAX + 1];
    blocks_tone_guess tone[STRETCHES_MAX + 1];
    unsigned char known[STRETCHES_MAX + 1] = { 0 };
    double by_kind[BLOCKS_N_DRUM_KINDS] = { 0 };
    int n = 0, failed = 0, n_drums = 0;
    bl_status status;

    memset(guess, 0, sizeof *guess);
    status = notes && notes->n_notes > 0 ? blocks_track_from_notes(notes, &guess->measures, err)
                                         : blocks_track_from_sound(x, n_samples, sample_rate, &guess->measures, err);
    if (status != BL_OK)
        return status;
    if ((status = find_stretches(x, n_samples, sample_rate, notes, stretches, &n, err)) != BL_OK)
        return status;
    int64_t next = 0;
    #pragma omp parallel
    {
        blocks_tone_analyser *a = blocks_tone_analyser_new(NULL);
        float row[BLOCKS_TONE_FEATURES];
        if (!a) {
            #pragma omp atomic write
            failed = 1;
        }
        for (int64_t i; (i = bl_take(&next)) < n;)
            if (a && blocks_tone_analyser_run(a, x + stretches[i].first, stretches[i].length, sample_rate, row, NULL) == BL_OK) {
                guess_row(d, row, &tone[i]);
                known[i] = 1;
            }
        blocks_tone_analyser_free(a);
    }
    if (failed)
        return bl_fail(err, BL_ENOMEM, "no memory to analyse tones");
    for (int i = 0; i < n; i++) {
        if (!known[i])
            continue;
        guess->n_tones++;
        for (int c = 0; c < d->n_classes; c++)
            guess->of_class[c] += tone[i].of_class[c];
        if (tone[i].drum_kind >= 0) {
            by_kind[tone[i].drum_kind] += 1;
            n_drums++;
        }
    }
    if (guess->n_tones == 0)
        return bl_fail(err, BL_EARG, "a silent or empty track has no instrument");
    restrict_to(d, only, n_only, guess->of_class);
    const int best = most_probable(guess->of_class, d->n_classes);
    guess->instrument = d->instrument[best];
    guess->probability = guess->of_class[best];
    guess->role_probability = guess->probability * blocks_track_role(guess->instrument, &guess->measures, guess->role, guess->name);
    if (guess->instrument == data_instrument_find("drums") && n_drums) {
        const int k = most_probable(by_kind, BLOCKS_N_DRUM_KINDS);
        /* Nine hits of ten are one kind: a track of that drum alone. */
        if (by_kind[k] >= 0.9 * n_drums)
            snprintf(guess->name, sizeof guess->name, "%s", blocks_drum_kind_names[k]);
    }
    return BL_OK;
}

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
    o->max_per_instrument = (int)bl_config_int(config, section, "max_tones_per_instrument", 300, 2, 1000000, &own);
    o->min_per_instrument = (int)bl_config_int(config, section, "min_tones_per_instrument", 8, 2, 1000000, &own);
    o->n_folds = (int)bl_config_int(config, section, "folds", 4, 2, 100, &own);
    o->balanced = bl_config_bool(config, section, "balanced", 1, &own);
    o->kernel = bl_config_choice(config, section, "kernel", kernels, 2, &own);
    o->kernel = o->kernel == 2 ? -1 : o->kernel;
    if (own.code == BL_OK)
        parse_list(config, "C", "0.01 0.1 1 10 100", o->C, &o->n_C, &own);
    if (own.code == BL_OK)
        parse_list(config, "gamma_scale", "0.1 0.3 1 3", o->gamma_scale, &o->n_gamma, &own);
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

static int select_rows(selection *s, const blocks_tone_table *t, const int *label_of_row)
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
        if (label_of_row[i] < 0 || t->held_out[i])
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
            count += t->instrument[i] == id && !t->held_out[i];
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
            count += t->instrument[i] == drums && !t->held_out[i] && (int)blocks_drum_kind_of(t->pitch[i]) == k;
        if (count < least)
            continue;
        for (int64_t i = 0; i < t->n; i++)
            if (t->instrument[i] == drums && (int)blocks_drum_kind_of(t->pitch[i]) == k)
                label[i] = d->n_drum_classes;
        d->drum_kind[d->n_drum_classes++] = (blocks_drum_kind)k;
    }
}

blocks_tone_detector *blocks_tone_detector_train(const blocks_tone_table *table, const blocks_tone_detector_options *options,
                                                 blocks_tone_search *search, bl_error *err)
{
    const int least = options->min_per_instrument > 0 ? options->min_per_instrument : 8;
    blocks_tone_detector *d = calloc(1, sizeof *d);
    int *label = malloc((size_t)(table->n ? table->n : 1) * sizeof *label);
    nn_svm_opt opt = { .tolerance = 1e-3, .balanced = options->balanced, .standardise = 1, .seed = options->seed };
    selection s = { 0 };
    int ok = 0;

    if (!d || !label) {
        bl_fail(err, BL_ENOMEM, "no memory to train the tone detector");
        goto done;
    }
    if (number_classes(d, table, least, label, err) != BL_OK)
        goto done;
    if (!select_rows(&s, table, label)) {
        bl_fail(err, BL_ENOMEM, "no memory to train the tone detector");
        goto done;
    }
    if (search_settings(&s, d->n_classes, options, search, &opt, err) != BL_OK)
        goto done;
    opt.probability = 1;
    d->svm = nn_svm_train(s.x, s.n, BLOCKS_TONE_FEATURES, s.label, d->n_classes, s.group, &opt, err);
    if (!d->svm)
        goto done;
    number_drum_kinds(d, table, least, label);
    if (d->n_drum_classes >= 2) {
        selection_free(&s);
        if (!select_rows(&s, table, label)) {
            bl_fail(err, BL_ENOMEM, "no memory to train the tone detector");
            goto done;
        }
        /* Few classes that differ much: fixed settings do. */
        const nn_svm_opt drum_opt = { .kernel = NN_SVM_RBF, .C = 10, .gamma = 0.3 / BLOCKS_TONE_FEATURES, .tolerance = 1e-3,
                                      .balanced = 1, .standardise = 1, .probability = 1, .seed = options->seed };
        d->drum_svm = nn_svm_train(s.x, s.n, BLOCKS_TONE_FEATURES, s.label, d->n_drum_classes, s.group, &drum_opt, err);
        if (!d->drum_svm)
            goto done;
    } else {
        d->n_drum_classes = 0;
    }
    ok = 1;
done:
    selection_free(&s);
    free(label);
    if (!ok) {
        blocks_tone_detector_free(d);
        d = NULL;
    }
    return d;
}

/* ---- evaluation --------------------------------------------------------------------------------- */

/* Means of the classes over the MFCC means, each column standardised; what a simple program would do. */
typedef struct means {
    double centre[NN_SVM_MAX_CLASSES][BLOCKS_TONE_MFCC - 1], mean[BLOCKS_TONE_MFCC - 1], scale[BLOCKS_TONE_MFCC - 1];
} means;

static void learn_means(const blocks_tone_detector *d, const blocks_tone_table *t, means *m)
{
    int64_t count[NN_SVM_MAX_CLASSES] = { 0 }, n = 0;
    memset(m, 0, sizeof *m);
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < t->n; i++) {
            const float *row = t->features + i * BLOCKS_TONE_FEATURES;
            const int c = class_of(d, t->instrument[i]);
            if (c < 0 || t->held_out[i])
                continue;
            for (int j = 0; j < BLOCKS_TONE_MFCC - 1; j++) {
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
    for (int j = 0; j < BLOCKS_TONE_MFCC - 1; j++) {
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
        for (int j = 0; j < BLOCKS_TONE_MFCC - 1; j++) {
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
        const int c = class_of(d, t->instrument[i]);
        f->n_train += c >= 0 && !t->held_out[i];
    }
    #pragma omp parallel for schedule(dynamic, 8)
    for (int64_t i = 0; i < t->n; i++)
        if (t->held_out[i] && class_of(d, t->instrument[i]) >= 0)
            guess_row(d, t->features + i * BLOCKS_TONE_FEATURES, &guess[i]);
    for (int64_t i = 0; i < t->n; i++) {
        const int c = class_of(d, t->instrument[i]);
        if (c < 0 || !t->held_out[i])
            continue;
        const int g = class_of(d, guess[i].instrument), near = nearest_mean(m, d->n_classes, t->features + i * BLOCKS_TONE_FEATURES);
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

/* ---- checkpoints -------------------------------------------------------------------------------- */

bl_status blocks_tone_detector_save(const blocks_tone_detector *d, const char *path, const char *config, int64_t seed,
                                    bl_error *err)
{
    const char *names[NN_SVM_MAX_CLASSES], *features[BLOCKS_TONE_FEATURES];
    char buffers[BLOCKS_TONE_FEATURES][32];
    for (int c = 0; c < d->n_classes; c++)
        names[c] = d->name[c];
    for (int i = 0; i < BLOCKS_TONE_FEATURES; i++)
        features[i] = blocks_tone_feature_name(i, buffers[i]);
    nn_checkpoint *c = nn_checkpoint_create(path, kind, err);
    if (!c)
        return err ? err->code : BL_EIO;
    nn_checkpoint_put_text(c, "config", config, err);
    nn_checkpoint_put_int(c, "seed", seed, err);
    nn_checkpoint_put_texts(c, "classes", names, d->n_classes, err);
    nn_checkpoint_put_texts(c, "features", features, BLOCKS_TONE_FEATURES, err);
    nn_svm_save(d->svm, c, "svm", err);
    if (d->drum_svm) {
        for (int k = 0; k < d->n_drum_classes; k++)
            names[k] = blocks_drum_kind_names[d->drum_kind[k]];
        nn_checkpoint_put_texts(c, "drum_classes", names, d->n_drum_classes, err);
        nn_svm_save(d->drum_svm, c, "drum_svm", err);
    }
    return nn_checkpoint_commit(c, err);
}

/* The features a checkpoint was trained on must be those this program measures, in the same order. */
static bl_status check_features(const nn_checkpoint *c, bl_error *err)
{
    int n = 0;
    char buffer[32], **names = nn_checkpoint_get_texts(c, "features", &n, err);
    bl_status status = BL_OK;
    if (!names)
        return err ? err->code : BL_EFORMAT;
    if (n != BLOCKS_TONE_FEATURES)
        status = bl_fail(err, BL_ESHAPE, "%s: trained on %d features, this version measures %d", nn_checkpoint_path(c), n,
                         BLOCKS_TONE_FEATURES);
    for (int i = 0; i < n && status == BL_OK; i++)
        if (strcmp(names[i], blocks_tone_feature_name(i, buffer)) != 0)
            status = bl_fail(err, BL_ESHAPE, "%s: feature %d is \"%s\", this version measures \"%s\"", nn_checkpoint_path(c),
                             i, names[i], blocks_tone_feature_name(i, buffer));
    nn_checkpoint_texts_free(names, n);
    return status;
}

static bl_status load_drums(blocks_tone_detector *d, const nn_checkpoint *c, bl_error *err)
{
    int n = 0;
    char **names;
    if (!nn_checkpoint_has(c, "drum_svm/header"))
        return BL_OK;
    names = nn_checkpoint_get_texts(c, "drum_classes", &n, err);
    d->drum_svm = names ? nn_svm_load(c, "drum_svm", err) : NULL;
    bl_status status = d->drum_svm ? BL_OK : err ? err->code : BL_EFORMAT;
    if (d->drum_svm && (d->drum_svm->n_classes != n || n > BLOCKS_N_DRUM_KINDS || d->drum_svm->dim != BLOCKS_TONE_FEATURES ||
                        !d->drum_svm->probability))
        status = bl_fail(err, BL_ESHAPE, "%s: drum_svm and drum_classes do not agree", nn_checkpoint_path(c));
    for (int i = 0; status == BL_OK && i < n; i++) {
        int k = 0;
        while (k < BLOCKS_N_DRUM_KINDS && strcmp(names[i], blocks_drum_kind_names[k]) != 0)
            k++;
        if (k == BLOCKS_N_DRUM_KINDS)
            status = bl_fail(err, BL_EFORMAT, "%s: unknown drum kind \"%s\"", nn_checkpoint_path(c), names[i]);
        else
            d->drum_kind[i] = (blocks_drum_kind)k;
    }
    d->n_drum_classes = n;
    nn_checkpoint_texts_free(names, n);
    return status;
}

blocks_tone_detector *blocks_tone_detector_load(const char *path, bl_error *err)
{
    nn_checkpoint *c = nn_checkpoint_open(path, kind, err);
    blocks_tone_detector *d = NULL;
    char **names = NULL;
    int n = 0, ok = 0;

    if (!c)
        return NULL;
    d = calloc(1, sizeof *d);
    if (!d) {
        bl_fail(err, BL_ENOMEM, "%s: no memory", path);
        goto done;
    }
    if (check_features(c, err) != BL_OK)
        goto done;
    names = nn_checkpoint_get_texts(c, "classes", &n, err);
    d->svm = names ? nn_svm_load(c, "svm", err) : NULL;
    if (!d->svm)
        goto done;
    if (d->svm->n_classes != n || d->svm->dim != BLOCKS_TONE_FEATURES || !d->svm->probability) {
        bl_fail(err, BL_ESHAPE, "%s: svm has %d classes and %lld features, expected %d and %d, with probabilities", path,
                d->svm->n_classes, (long long)d->svm->dim, n, BLOCKS_TONE_FEATURES);
        goto done;
    }
    d->n_classes = n;
    for (int i = 0; i < n; i++) {
        snprintf(d->name[i], sizeof d->name[0], "%s", names[i]);
        d->instrument[i] = data_instrument_find(d->name[i]);
    }
    ok = load_drums(d, c, err) == BL_OK;
done:
    nn_checkpoint_texts_free(names, n);
    nn_checkpoint_free(c);
    if (!ok) {
        blocks_tone_detector_free(d);
        d = NULL;
    }
    return d;
}
