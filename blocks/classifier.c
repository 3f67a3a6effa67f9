#include "blocks/classifier.h"

#include "blocks/band_powers.h"
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

/* Levels: a window's mean band power becomes that of the extractor's training data, taken as a little above its mean in
 * decibels. */
static double usual_level(const blocks_feature_extractor *fx)
{
    static const double ABOVE_DB = 6;
    double sum = 0;
    for (int m = 0; m < fx->n_mels; m++)
        sum += pow(10, ((double)fx->mel_mean[m] + ABOVE_DB) / 10) / fx->n_mels;
    return sum;
}

static int sizes_agree(const blocks_classifier *c)
{
    const int n_inputs = nn_network_n_inputs(c->net);
    const int wanted[2] = { c->fx->n_mels, c->fx->dim };
    if (n_inputs < 1 || n_inputs > 2 || nn_network_n_outputs(c->net) != 2)
        return 0;
    for (int i = 0; i < n_inputs; i++) {
        const nn_shape in = nn_network_input_shape(c->net, i);
        if (in.rank != 2 || in.dim[0] != wanted[i] || (in.dim[1] >= 0 && in.dim[1] != c->window_frames))
            return 0;
    }
    const nn_shape genre = nn_network_output_shape(c->net, 0), instrument = nn_network_output_shape(c->net, 1);
    return genre.rank == 1 && genre.dim[0] == c->n_genres && instrument.rank == 1 && instrument.dim[0] == c->n_instruments;
}

static bl_status build(blocks_classifier *c, bl_error *err)
{
    bl_config *config = c->config;
    c->window_s = bl_config_real(config, "classifier_training", "window_s", 8, 0.5, 600, err);
    c->window_frames = (int64_t)(c->window_s * c->fx->sample_rate / (2 * c->fx->hop_length));
    c->with_latents = bl_config_str(config, "classifier", "input.latent", NULL) != NULL;
    c->temperature = 1;
    c->level = usual_level(c->fx);
    if (c->window_frames < 1)
        return bl_fail(err, BL_EARG, "%s: classifier_training.window_s is shorter than a frame", bl_config_name(config));
    if (err->code || blocks_config_set_int(config, "classifier", "input.mel", "%d, T", c->fx->n_mels, err) != BL_OK ||
        (c->with_latents && blocks_config_set_int(config, "classifier", "input.latent", "%d, T", c->fx->dim, err) != BL_OK) ||
        set_head(config, "genre", c->n_genres, err) != BL_OK || set_head(config, "instrument", c->n_instruments, err) != BL_OK ||
        !(c->params = nn_params_new(err)) || !(c->net = nn_network_build(config, "classifier", c->params, err)))
        return err->code;
    if (!sizes_agree(c))
        return bl_fail(err, BL_EARG, "%s: [classifier] must have the inputs \"input.mel = %d, T\" and, if it likes, \"input.latent = %d, T\" "
                       "behind it, and \"output = genre, instrument\"", bl_config_name(config), c->fx->n_mels, c->fx->dim);
    if (nn_params_finish(c->params, err) != BL_OK || !(c->tape = nn_tape_new(err)))
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
    free(c);
}

/* ---- checkpoints ---- */

bl_status blocks_classifier_put(const blocks_classifier *c, nn_checkpoint *k, bl_error *err)
{
    char *text = bl_config_text(c->config);
    const int64_t one = 1;
    const float temperature = (float)c->temperature, shift = (float)c->shift;
    if (!text)
        return bl_fail(err, BL_ENOMEM, "no memory for the checkpoint");
    nn_checkpoint_put_text(k, "config", text, err);
    free(text);
    nn_checkpoint_put_texts(k, "genres", (const char *const *)c->genres, c->n_genres, err);
    nn_checkpoint_put_texts(k, "instruments", (const char *const *)c->instruments, c->n_instruments, err);
    nn_checkpoint_put(k, "genre/temperature", NN_F32, 1, &one, &temperature, err);
    nn_checkpoint_put(k, "instrument/shift", NN_F32, 1, &one, &shift, err);
    if (nn_params_save(c->params, k, "", err) != BL_OK)
        return err->code;
    return blocks_feature_extractor_put(c->fx, "features_config", k, err);
}

static bl_status get_number(const nn_checkpoint *k, const char *name, double low, double high, double *out, bl_error *err)
{
    const int64_t one = 1;
    float *read = nn_checkpoint_get(k, name, NN_F32, 1, &one, NULL, err);
    if (!read)
        return err->code;
    *out = (double)*read;
    free(read);
    if (!(*out >= low && *out <= high))
        return bl_fail(err, BL_EFORMAT, "%s: %s: expected %g to %g, got %g", nn_checkpoint_path(k), name, low, high, *out);
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
    if (c && (get_number(k, "genre/temperature", 0.01, 100, &c->temperature, e) != BL_OK ||
              get_number(k, "instrument/shift", -20, 20, &c->shift, e) != BL_OK || nn_params_load(c->params, k, "", e) != BL_OK)) {
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

/* ---- from samples to what the network reads ---- */

static void to_decibels(const blocks_classifier *c, const float *power, float *mel)
{
    const blocks_feature_extractor *fx = c->fx;
    const int64_t T = c->window_frames;
    const int M = fx->n_mels;
    const float lowest = (float)pow(10, fx->floor_db / 10);
    double sum = 0;
    for (int64_t i = 0; i < T * M; i++)
        sum += (double)power[i];
    const float gain = sum > 0 ? (float)(c->level * (double)(T * M) / sum) : 0;
    for (int64_t t = 0; t < T; t++)
        for (int m = 0; m < M; m++) {
            const float p = gain * power[t * M + m];
            mel[m * T + t] = (10 * log10f(p > lowest ? p : lowest) - fx->mel_mean[m]) * fx->mel_scale[m];
        }
}

bl_status blocks_classifier_inputs(blocks_classifier *c, const float *power, int64_t n, float *mel, float *latent, bl_error *err)
{
    static const float FARTHEST = 5; /* deviations */
    blocks_feature_extractor *fx = c->fx;
    const int64_t T = c->window_frames;
    const int M = fx->n_mels, D = fx->dim;
    for (int64_t i = 0; i < n; i++)
        to_decibels(c, power + i * T * M, mel + i * T * M);
    if (!latent)
        return BL_OK;
    nn_tape_reset(fx->tape);
    nn_node *in = nn_input(fx->tape, (nn_shape){ 3, { n, M, T } }, mel);
    nn_node *code = nn_network_run(fx->encoder, fx->tape, &in, NULL);
    if (fx->tape->err.code)
        return bl_fail(err, fx->tape->err.code, "feature extractor: %s", fx->tape->err.msg);
    for (int64_t i = 0; i < n * D; i++)
        for (int64_t t = 0; t < T; t++) {
            const float v = ((float)code->x[i * T + t] - fx->latent_mean[i % D]) * fx->latent_scale[i % D];
            latent[i * T + t] = v < -FARTHEST ? -FARTHEST : v > FARTHEST ? FARTHEST : v;
        }
    return BL_OK;
}

void blocks_classifier_forward(blocks_classifier *c, nn_tape *tape, nn_node *mel, nn_node *latent, nn_node **genre,
                               nn_node **instrument)
{
    nn_node *in[2] = { mel, latent }, *out[2] = { NULL, NULL };
    nn_network_run(c->net, tape, in, out);
    *genre = out[0];
    *instrument = out[1];
}

bl_status blocks_classifier_windows(blocks_classifier *c, const float *power, int64_t n, float *genre, float *instrument,
                                    bl_error *err)
{
    const int64_t T = c->window_frames, M = c->fx->n_mels, D = c->with_latents ? c->fx->dim : 0;
    float *mel = malloc((size_t)(n * T * (M + D)) * sizeof *mel), *latent = mel && D ? mel + n * T * M : NULL;
    nn_node *g = NULL, *i = NULL;
    if (!mel)
        return bl_fail(err, BL_ENOMEM, "no memory for %lld windows", (long long)n);
    bl_status status = blocks_classifier_inputs(c, power, n, mel, latent, err);
    if (status == BL_OK) {
        nn_tape_reset(c->tape);
        blocks_classifier_forward(c, c->tape, nn_input(c->tape, (nn_shape){ 3, { n, M, T } }, mel),
                                  D ? nn_input(c->tape, (nn_shape){ 3, { n, D, T } }, latent) : NULL, &g, &i);
        g = nn_log_softmax(c->tape, g);
        i = nn_sigmoid(c->tape, i);
        if (c->tape->err.code)
            status = bl_fail(err, c->tape->err.code, "classifier: %s", c->tape->err.msg);
    }
    for (int64_t k = 0; status == BL_OK && k < n * c->n_genres; k++)
        genre[k] = (float)g->x[k];
    for (int64_t k = 0; status == BL_OK && k < n * c->n_instruments; k++)
        instrument[k] = (float)i->x[k];
    free(mel);
    return status;
}

/* ---- verdicts ---- */

enum { MOST_WINDOWS = 60 };

void blocks_classifier_verdict(const blocks_classifier *c, const float *genre, float *instrument, int64_t n,
                               float *genre_probability, float *instrument_probability)
{
    const int G = c->n_genres, I = c->n_instruments;
    double sum = 0, largest = -HUGE_VAL;
    for (int k = 0; k < G && genre_probability; k++) {
        double mean = 0;
        for (int64_t w = 0; w < n; w++)
            mean += (double)genre[w * G + k] / ((double)n * c->temperature);
        genre_probability[k] = (float)mean;
        largest = fmax(largest, mean);
    }
    for (int k = 0; k < G && genre_probability; k++)
        sum += exp((double)genre_probability[k] - largest);
    for (int k = 0; k < G && genre_probability; k++)
        genre_probability[k] = (float)(exp((double)genre_probability[k] - largest) / sum);
    for (int k = 0; k < I && instrument_probability; k++) {
        const int64_t half = (n + 1) / 2;
        double mean = 0;
        for (int64_t w = 0; w < half; w++) { /* the w-th largest to its place */
            int64_t most = w;
            for (int64_t v = w + 1; v < n; v++)
                most = instrument[v * I + k] > instrument[most * I + k] ? v : most;
            const float t = instrument[most * I + k];
            instrument[most * I + k] = instrument[w * I + k];
            instrument[w * I + k] = t;
            mean += (double)t / (double)half;
        }
        const double odds = mean / fmax(1 - mean, 1e-9) * exp(c->shift);
        instrument_probability[k] = (float)(odds / (1 + odds));
    }
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

/* A window from sample `start` on; what ends too early is repeated. */
static void cut_window(const float *mono, int64_t n_samples, int64_t start, int64_t length, float *out)
{
    const int64_t have = n_samples - start < length ? n_samples - start : length;
    for (int64_t i = 0; i < length; i++)
        out[i] = mono[start + i % have];
}

bl_status blocks_classifier_run(blocks_classifier *c, const float *mono, int64_t n_samples, int sample_rate,
                                float *genre_probability, float *instrument_probability, bl_error *err)
{
    const int G = c->n_genres, I = c->n_instruments;
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    if (check_sound(mono, n_samples, sample_rate, e) != BL_OK)
        return e->code;
    blocks_band_powers *bands = blocks_band_powers_new(c->fx, sample_rate, e);
    const int64_t length = bands ? c->window_frames * bands->hop : 1, last_start = n_samples > length ? n_samples - length : 0;
    const int64_t wanted = (last_start + length - 1) / length + 1, n_windows = wanted > MOST_WINDOWS ? MOST_WINDOWS : wanted;
    float *x = malloc((size_t)length * sizeof *x), *rows = malloc((size_t)(n_windows * (G + I)) * sizeof *rows);
    int64_t n_rows = 0;

    for (int k = 0; k < G && genre_probability; k++)
        genre_probability[k] = 1 / (float)G;
    for (int k = 0; k < I && instrument_probability; k++)
        instrument_probability[k] = 0;
    if (!x || !rows)
        bl_fail(e, BL_ENOMEM, "no memory to classify %lld samples", (long long)n_samples);
    for (int64_t w = 0; e->code == BL_OK && w < n_windows; w++) {
        float *power = NULL;
        int64_t n_frames = 0;
        cut_window(mono, n_samples, n_windows > 1 ? last_start * w / (n_windows - 1) : 0, length, x);
        if (blocks_classifier_is_silent(x, length))
            continue;
        if (blocks_band_powers_run(bands, x, length, &power, &n_frames, e) == BL_OK) {
            BL_ASSERT(n_frames >= c->window_frames);
            blocks_classifier_windows(c, power, 1, rows + n_rows * G, rows + n_windows * G + n_rows * I, e);
        }
        free(power);
        n_rows++;
    }
    if (e->code == BL_OK && n_rows > 0)
        blocks_classifier_verdict(c, rows, rows + n_windows * G, n_rows, genre_probability, instrument_probability);
    blocks_band_powers_free(bands);
    free(x);
    free(rows);
    return e->code;
}
