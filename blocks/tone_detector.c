#include "blocks/tone_detector.h"

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

int blocks_tone_detector_class(const blocks_tone_detector *d, int instrument)
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

void blocks_tone_detector_row(const blocks_tone_detector *d, const float *row, blocks_tone_guess *g)
{
    float ranked[BLOCKS_TONE_FEATURES];
    memset(g, 0, sizeof *g);
    blocks_tone_ranks_apply(&d->ranks, row, ranked);
    nn_svm_predict(d->svm, ranked, 1, NULL, g->of_class);
    const int best = most_probable(g->of_class, d->n_classes);
    g->instrument = d->instrument[best];
    g->probability = g->of_class[best];
    g->drum_kind = -1;
    if (d->drum_svm && g->instrument == data_instrument_find("drums")) {
        double p[BLOCKS_N_DRUM_KINDS];
        blocks_tone_ranks_apply(&d->drum_ranks, row, ranked);
        nn_svm_predict(d->drum_svm, ranked, 1, NULL, p);
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
        blocks_tone_detector_row(d, row, guess);
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
            double end_s = notes->notes[i].offset_s + 0.1;
            /* What the next note plays is no longer this one. */
            for (int j = i + 1; j < notes->n_notes && notes->notes[j].onset_s < end_s; j++)
                end_s = notes->notes[j].onset_s > notes->notes[i].onset_s + 0.03 ? notes->notes[j].onset_s : end_s;
            const int64_t end = (int64_t)(end_s * sample_rate);
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

/* Only these instruments (NULL: all), and a sum of 1. */
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

/* What a whole track tells beyond its tones, which were learned one by one: a bass plays no chords, a line this low is a bass line,
 * nobody plays beyond the range of the instrument, and several pitches at once, which no single tone of the training had, look
 * like a drum unless the drum is beyond doubt. Limits from stems of FluidR3 and MuseScore_General. */
static void weigh_by_line(const blocks_tone_detector *d, const blocks_track_measures *m, double *p)
{
    static const double unlikely = 0.05, sure_of_drums = 0.75;
    const int one_voice = m->polyphony < BLOCKS_ROLE_POLYPHONY;
    const int low = m->register_midi < 39 || (m->register_midi < 45 && m->polyphony < 0.3);
    double drums = 0;
    for (int c = 0; c < d->n_classes; c++)
        drums += d->instrument[c] >= 0 && !data_instrument_at(d->instrument[c])->is_pitched ? p[c] : 0;
    for (int c = 0; c < d->n_classes; c++) {
        const data_instrument *i = d->instrument[c] >= 0 ? data_instrument_at(d->instrument[c]) : NULL;
        if (!i)
            continue;
        if (!i->is_pitched) {
            p[c] *= m->measured && drums < sure_of_drums ? unlikely : 1;
            continue;
        }
        const int outside = m->register_midi < i->lowest - 1 || m->register_midi > i->highest + 1;
        const int is_bass = i->family == DATA_BASSES;
        p[c] *= (one_voice && outside) || (is_bass && !low && !one_voice) || (low && !is_bass) ? unlikely : 1;
    }
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
                blocks_tone_detector_row(d, row, &tone[i]);
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
    restrict_to(d, NULL, 0, guess->of_class);
    weigh_by_line(d, &guess->measures, guess->of_class);
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

/* ---- checkpoints -------------------------------------------------------------------------------- */

static void put_ranks(nn_checkpoint *c, const char *name, const blocks_tone_ranks *ranks, bl_error *err)
{
    nn_checkpoint_put(c, name, NN_F32, 2, (int64_t[]){ BLOCKS_TONE_FEATURES, BLOCKS_TONE_KNOTS }, ranks->knot, err);
}

/* Quantiles that rise. */
static bl_status get_ranks(const nn_checkpoint *c, const char *name, blocks_tone_ranks *ranks, bl_error *err)
{
    float *knot = nn_checkpoint_get(c, name, NN_F32, 2, (int64_t[]){ BLOCKS_TONE_FEATURES, BLOCKS_TONE_KNOTS }, NULL, err);
    int    sound = 1;
    if (!knot)
        return err ? err->code : BL_EFORMAT;
    memcpy(ranks->knot, knot, sizeof ranks->knot);
    free(knot);
    for (int j = 0; j < BLOCKS_TONE_FEATURES; j++)
        for (int k = 0; k < BLOCKS_TONE_KNOTS; k++)
            sound = sound && isfinite(ranks->knot[j][k]) && (k == 0 || ranks->knot[j][k] >= ranks->knot[j][k - 1]);
    return sound ? BL_OK : bl_fail(err, BL_EFORMAT, "%s: %s do not rise in every row", nn_checkpoint_path(c), name);
}

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
    put_ranks(c, "ranks", &d->ranks, err);
    nn_svm_save(d->svm, c, "svm", err);
    if (d->drum_svm) {
        for (int k = 0; k < d->n_drum_classes; k++)
            names[k] = blocks_drum_kind_names[d->drum_kind[k]];
        nn_checkpoint_put_texts(c, "drum_classes", names, d->n_drum_classes, err);
        put_ranks(c, "drum_ranks", &d->drum_ranks, err);
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
    bl_status status = d->drum_svm ? get_ranks(c, "drum_ranks", &d->drum_ranks, err) : err ? err->code : BL_EFORMAT;
    if (status == BL_OK && (d->drum_svm->n_classes != n || n > BLOCKS_N_DRUM_KINDS || d->drum_svm->dim != BLOCKS_TONE_FEATURES ||
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
    if (!d->svm || get_ranks(c, "ranks", &d->ranks, err) != BL_OK)
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
