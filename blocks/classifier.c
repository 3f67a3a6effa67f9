#include "blocks/classifier.h"

#include "audio/resample.h"
#include "blocks/config_defaults.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char shipped_config[] = "configs/classifier.ini";
static const char *const settings[] = { "classifier_training", NULL }, *const networks[] = { "classifier", NULL };

/* ---- building ---- */

static bl_status copy_names(char ***out, const char *const *names, int n, bl_error *err)
{
    if (!(*out = calloc((size_t)n + 1, sizeof **out)))
        return bl_fail(err, BL_ENOMEM, "no memory for %d names", n);
    for (int i = 0; i < n; i++) {
        const size_t size = strlen(names[i]) + 1;
        if (!((*out)[i] = malloc(size)))
            return bl_fail(err, BL_ENOMEM, "no memory for %d names", n);
        memcpy((*out)[i], names[i], size);
    }
    return BL_OK;
}

/* The heads have as many outputs as the dataset has classes, whatever the .ini says. */
static bl_status set_head(bl_config *c, const char *key, int n, bl_error *err)
{
    char text[320];
    const char *value = bl_config_str(c, "classifier", key, NULL), *number, *rest;
    if (!value || !(number = strstr(value, "out_features=")))
        return bl_fail(err, BL_EARG, "%s: [classifier] needs a layer %s = linear out_features=...", bl_config_name(c), key);
    number += strlen("out_features=");
    rest = number + strspn(number, "0123456789");
    snprintf(text, sizeof text, "classifier.%s=%.*s%d%.120s", key, (int)(number - value), value, n, rest);
    return bl_config_set(c, text, err);
}

static bl_status build(blocks_classifier *c, bl_error *err)
{
    bl_config *config = c->config;
    c->n_features = BLOCKS_SONG_FEATURES + 3 * c->fx->dim;
    c->window_s = bl_config_real(config, "classifier_training", "window_s", 10, 0.5, 600, err);
    c->hop_s = bl_config_real(config, "classifier_training", "hop_s", 5, 0.1, 600, err);
    if (err->code || blocks_config_set_int(config, "classifier", "input.row", "%d", c->n_features, err) != BL_OK ||
        set_head(config, "genre", c->n_genres, err) != BL_OK || set_head(config, "instrument", c->n_instruments, err) != BL_OK ||
        !(c->params = nn_params_new(err)) || !(c->net = nn_network_build(config, "classifier", c->params, err)))
        return err->code;
    const nn_shape genre = nn_network_n_outputs(c->net) == 2 ? nn_network_output_shape(c->net, 0) : (nn_shape){ 0, { 0 } };
    const nn_shape instrument = genre.rank ? nn_network_output_shape(c->net, 1) : genre;
    if (nn_network_n_inputs(c->net) != 1 || genre.rank != 1 || genre.dim[0] != c->n_genres || instrument.rank != 1 ||
        instrument.dim[0] != c->n_instruments)
        return bl_fail(err, BL_EARG, "%s: [classifier] must have one input, input.row, and \"output = genre, instrument\"",
                       bl_config_name(config));
    if (nn_params_finish(c->params, err) != BL_OK)
        return err->code;
    c->mean = calloc((size_t)c->n_features, sizeof *c->mean);
    c->scale = malloc((size_t)c->n_features * sizeof *c->scale);
    if (!c->mean || !c->scale)
        return bl_fail(err, BL_ENOMEM, "no memory for the classifier");
    for (int i = 0; i < c->n_features; i++)
        c->scale[i] = 1;
    if (!(c->tape = nn_tape_new(err)))
        return err->code;
    nn_tape_record(c->tape, 0);
    return BL_OK;
}

/* Takes config and fx. */
static blocks_classifier *make(bl_config *config, blocks_feature_extractor *fx, const char *const *genres, int n_genres,
                               const char *const *instruments, int n_instruments, uint64_t seed, bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    blocks_classifier *c = config ? calloc(1, sizeof *c) : NULL;
    if (!c) {
        bl_fail(e, BL_ENOMEM, "no memory for the classifier");
        bl_config_free(config);
        blocks_feature_extractor_free(fx);
        return NULL;
    }
    c->config = config;
    c->fx = fx;
    if (n_genres < 1 || n_instruments < 1)
        bl_fail(e, BL_EFORMAT, "a classifier needs songs with genres and instruments, got %d genres and %d instruments", n_genres,
                n_instruments);
    if (e->code || copy_names(&c->genres, genres, n_genres, e) != BL_OK ||
        copy_names(&c->instruments, instruments, n_instruments, e) != BL_OK)
        goto fail;
    c->n_genres = n_genres;
    c->n_instruments = n_instruments;
    if (build(c, e) != BL_OK)
        goto fail;
    nn_params_init(c->params, seed);
    return c;
fail:
    blocks_classifier_free(c);
    return NULL;
}

blocks_classifier *blocks_classifier_new(const bl_config *config, blocks_feature_extractor *fx, const char *const *genres,
                                         int n_genres, const char *const *instruments, int n_instruments, uint64_t seed,
                                         bl_error *err)
{
    return make(blocks_config_filled(config, shipped_config, settings, networks, err), fx, genres, n_genres, instruments,
                n_instruments, seed, err);
}

static void free_names(char **names)
{
    for (char **p = names; p && *p; p++)
        free(*p);
    free(names);
}

void blocks_classifier_free(blocks_classifier *c)
{
    if (!c)
        return;
    nn_network_free(c->net);
    nn_params_free(c->params);
    nn_tape_free(c->tape);
    blocks_feature_extractor_free(c->fx);
    bl_config_free(c->config);
    free_names(c->genres);
    free_names(c->instruments);
    free(c->mean);
    free(c->scale);
    free(c);
}

/* ---- checkpoints ---- */

bl_status blocks_classifier_put(const blocks_classifier *c, nn_checkpoint *k, bl_error *err)
{
    char *text = bl_config_text(c->config);
    const int64_t n = c->n_features;
    if (!text)
        return bl_fail(err, BL_ENOMEM, "no memory for the checkpoint");
    nn_checkpoint_put_text(k, "config", text, err);
    free(text);
    nn_checkpoint_put_texts(k, "genres", (const char *const *)c->genres, c->n_genres, err);
    nn_checkpoint_put_texts(k, "instruments", (const char *const *)c->instruments, c->n_instruments, err);
    nn_checkpoint_put(k, "rows/mean", NN_F32, 1, &n, c->mean, err);
    nn_checkpoint_put(k, "rows/scale", NN_F32, 1, &n, c->scale, err);
    if (nn_params_save(c->params, k, "", err) != BL_OK)
        return err->code;
    return blocks_feature_extractor_put(c->fx, "features_config", k, err);
}

static bl_status get_row(const nn_checkpoint *k, const char *name, float *out, int64_t n, bl_error *err)
{
    float *read = nn_checkpoint_get(k, name, NN_F32, 1, &n, NULL, err);
    if (!read)
        return err->code;
    memcpy(out, read, (size_t)n * sizeof *out);
    free(read);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(out[i]))
            return bl_fail(err, BL_EFORMAT, "%s: %s holds a number that is not finite", nn_checkpoint_path(k), name);
    return BL_OK;
}

blocks_classifier *blocks_classifier_load(const char *path, bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    int n_genres = 0, n_instruments = 0;
    nn_checkpoint *k = nn_checkpoint_open(path, "classifier", e);
    char *text = k ? nn_checkpoint_get_text(k, "config", e) : NULL;
    char **genres = k ? nn_checkpoint_get_texts(k, "genres", &n_genres, e) : NULL;
    char **instruments = k ? nn_checkpoint_get_texts(k, "instruments", &n_instruments, e) : NULL;
    blocks_feature_extractor *fx = k && !e->code ? blocks_feature_extractor_get(k, "features_config", e) : NULL;
    bl_config *config = fx ? bl_config_parse(text, path, e) : NULL;
    blocks_classifier *c = NULL;

    if (config)
        c = make(config, fx, (const char *const *)genres, n_genres, (const char *const *)instruments, n_instruments, 0, e);
    else
        blocks_feature_extractor_free(fx);
    if (c && (get_row(k, "rows/mean", c->mean, c->n_features, e) != BL_OK ||
              get_row(k, "rows/scale", c->scale, c->n_features, e) != BL_OK || nn_params_load(c->params, k, "", e) != BL_OK)) {
        blocks_classifier_free(c);
        c = NULL;
    }
    if (c)
        c->step = nn_checkpoint_get_int(k, "step", 0, e);
    free(text);
    nn_checkpoint_texts_free(genres, n_genres);
    nn_checkpoint_texts_free(instruments, n_instruments);
    nn_checkpoint_free(k);
    return c;
}

/* ---- running ---- */

bl_status blocks_classifier_row(blocks_feature_extractor *fx, const float *x, int64_t n_samples, float *out, bl_error *err)
{
    float *latents = NULL, *mean = out + BLOCKS_SONG_FEATURES, *deviation = mean + fx->dim, *change = deviation + fx->dim;
    int64_t T = 0;
    int D = fx->dim;
    bl_status status = blocks_song_features(x, n_samples, fx->sample_rate, out, err);
    if (status == BL_OK)
        status = blocks_feature_extractor_run(fx, x, n_samples, fx->sample_rate, &latents, &T, &D, err);
    for (int d = 0; status == BL_OK && d < D; d++) {
        double sum = 0, squares = 0, moves = 0;
        for (int64_t t = 0; t < T; t++) {
            const double v = (double)latents[t * D + d];
            sum += v / (double)T;
            squares += v * v / (double)T;
            moves += t > 0 ? fabs(v - (double)latents[(t - 1) * D + d]) / (double)T : 0;
        }
        mean[d] = (float)sum;
        deviation[d] = (float)sqrt(fmax(0, squares - sum * sum));
        change[d] = (float)moves;
    }
    free(latents);
    return status;
}

void blocks_classifier_scale(const blocks_classifier *c, float *rows, int64_t n)
{
    static const double FARTHEST = 5; /* deviations: a song unlike any other must not saturate the network */
    for (int64_t i = 0; i < n * c->n_features; i++) {
        const double v = ((double)rows[i] - (double)c->mean[i % c->n_features]) * (double)c->scale[i % c->n_features];
        rows[i] = (float)(v < -FARTHEST ? -FARTHEST : v > FARTHEST ? FARTHEST : v);
    }
}

void blocks_classifier_forward(blocks_classifier *c, nn_tape *tape, nn_node *rows, nn_node **genre, nn_node **instrument)
{
    nn_node *out[2] = { NULL, NULL };
    nn_network_run(c->net, tape, &rows, out);
    *genre = out[0];
    *instrument = out[1];
}

enum { MOST_WINDOWS = 60 };

static int compare_down(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

bl_status blocks_classifier_judge(blocks_classifier *c, const float *rows, int64_t n, float *genre, float *instrument,
                                  bl_error *err)
{
    nn_node *g = NULL, *i = NULL;
    float *column = malloc((size_t)n * sizeof *column);
    if (!column)
        return bl_fail(err, BL_ENOMEM, "no memory for %lld windows", (long long)n);
    nn_tape_reset(c->tape);
    blocks_classifier_forward(c, c->tape, nn_input(c->tape, (nn_shape){ 2, { n, c->n_features } }, rows), &g, &i);
    g = nn_log_softmax(c->tape, g);
    i = nn_sigmoid(c->tape, i);
    if (c->tape->err.code) {
        free(column);
        return bl_fail(err, c->tape->err.code, "classifier: %s", c->tape->err.msg);
    }
    double sum = 0, largest = -HUGE_VAL;
    for (int k = 0; k < c->n_genres && genre; k++) {
        double mean = 0;
        for (int64_t w = 0; w < n; w++)
            mean += (double)g->x[w * c->n_genres + k] / (double)n;
        genre[k] = (float)mean;
        largest = fmax(largest, mean);
    }
    for (int k = 0; k < c->n_genres && genre; k++)
        sum += exp((double)genre[k] - largest);
    for (int k = 0; k < c->n_genres && genre; k++)
        genre[k] = (float)(exp((double)genre[k] - largest) / sum);
    for (int k = 0; k < c->n_instruments && instrument; k++) {
        const int64_t half = (n + 1) / 2;
        double mean = 0;
        for (int64_t w = 0; w < n; w++)
            column[w] = (float)i->x[w * c->n_instruments + k];
        qsort(column, (size_t)n, sizeof *column, compare_down);
        for (int64_t w = 0; w < half; w++)
            mean += (double)column[w] / (double)half;
        instrument[k] = (float)mean;
    }
    free(column);
    return BL_OK;
}

int blocks_classifier_is_silent(const float *x, int64_t n)
{
    double power = 0;
    for (int64_t i = 0; i < n; i++)
        power += (double)x[i] * (double)x[i];
    return power <= 1e-8 * (double)n; /* -80 dBFS */
}

static bl_status check_sound(const float *x, int64_t n, int sample_rate, bl_error *err)
{
    if (n < 1)
        return bl_fail(err, BL_EARG, "classifier: the sound is empty");
    if (sample_rate < 1000 || sample_rate > 768000)
        return bl_fail(err, BL_EARG, "classifier: expected a sample rate of 1000 to 768000 Hz, got %d", sample_rate);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return bl_fail(err, BL_ENAN, "classifier: sample %lld is not a finite number", (long long)i);
    return BL_OK;
}

bl_status blocks_classifier_run(blocks_classifier *c, const float *mono, int64_t n_samples, int sample_rate,
                                float *genre_probability, float *instrument_probability, bl_error *err)
{
    bl_status status = check_sound(mono, n_samples, sample_rate, err);
    if (status != BL_OK)
        return status;
    const int64_t n = audio_resample_length(n_samples, sample_rate, c->fx->sample_rate);
    const int64_t window = (int64_t)(c->window_s * c->fx->sample_rate), room = n > window ? n : window;
    int64_t hop = (int64_t)(c->hop_s * c->fx->sample_rate), most = (room - window) / hop + 1;
    if (most > MOST_WINDOWS) { /* of a long recording, windows spread evenly over it */
        most = MOST_WINDOWS;
        hop = (room - window) / (most - 1);
    }
    float *x = malloc((size_t)room * sizeof *x), *rows = malloc((size_t)most * (size_t)c->n_features * sizeof *rows);
    int64_t n_rows = 0;

    for (int k = 0; k < c->n_genres && genre_probability; k++)
        genre_probability[k] = 1 / (float)c->n_genres;
    for (int k = 0; k < c->n_instruments && instrument_probability; k++)
        instrument_probability[k] = 0;
    if (!x || !rows)
        status = bl_fail(err, BL_ENOMEM, "no memory to classify %lld samples", (long long)n_samples);
    else
        status = audio_resample_buffer(mono, n_samples, sample_rate, c->fx->sample_rate, AUDIO_RESAMPLE_FAST, x, err);
    for (int64_t i = n; status == BL_OK && i < room; i++)
        x[i] = x[i - n];
    for (int64_t w = 0; status == BL_OK && w < most; w++) {
        if (blocks_classifier_is_silent(x + w * hop, window))
            continue;
        status = blocks_classifier_row(c->fx, x + w * hop, window, rows + n_rows * c->n_features, err);
        n_rows++;
    }
    if (status == BL_OK && n_rows > 0) {
        blocks_classifier_scale(c, rows, n_rows);
        status = blocks_classifier_judge(c, rows, n_rows, genre_probability, instrument_probability, err);
    }
    free(x);
    free(rows);
    return status;
}
