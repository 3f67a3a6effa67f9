#include "blocks/feature_extractor.h"

#include "audio/resample.h"
#include "blocks/config_defaults.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char shipped_config[] = "configs/autoencoder.ini";
static const char *const settings[] = { "features", NULL }, *const networks[] = { "encoder", "decoder", NULL };

/* ---- building ---- */

static bl_status expect_sequence(const bl_config *c, const char *section, const nn_network *net, const char *input,
                                 int64_t n_out, bl_error *err)
{
    if (nn_network_n_inputs(net) != 1 || strcmp(nn_network_input_name(net, 0), input))
        return bl_fail(err, BL_EARG, "%s: [%s] must have one input, input.%s", bl_config_name(c), section, input);
    const nn_shape s = nn_network_output_shape(net, 0);
    if (nn_network_n_outputs(net) != 1 || s.rank != 2 || s.dim[0] != n_out || s.dim[1] >= 0)
        return bl_fail(err, BL_ESHAPE, "%s: [%s] must give %lld channels over time, gives %lld", bl_config_name(c), section,
                       (long long)n_out, (long long)s.dim[0]);
    return BL_OK;
}

static bl_status read_settings(blocks_feature_extractor *fx, bl_error *err)
{
    const bl_config *c = fx->config;
    fx->sample_rate = (int)bl_config_int(c, "features", "sample_rate", 22050, 4000, 192000, err);
    fx->n_fft = (int)bl_config_int(c, "features", "n_fft", 1024, 64, 16384, err);
    fx->hop_length = (int)bl_config_int(c, "features", "hop_length", 512, 16, 16384, err);
    fx->n_mels = (int)bl_config_int(c, "features", "n_mels", 64, 8, 512, err);
    fx->fmin_hz = bl_config_real(c, "features", "fmin", 30, 0, 96000, err);
    fx->fmax_hz = bl_config_real(c, "features", "fmax", 0, 0, 96000, err);
    fx->floor_db = bl_config_real(c, "features", "floor_db", -40, -200, 20, err);
    fx->dim = (int)bl_config_int(c, "features", "latent", 16, 1, 512, err);
    fx->hop_s = (double)fx->hop_length / fx->sample_rate;
    if (fx->n_fft % 2)
        bl_fail(err, BL_EARG, "%s: features.n_fft must be even, got %d", bl_config_name(c), fx->n_fft);
    if (fx->hop_length > fx->n_fft)
        bl_fail(err, BL_EARG, "%s: features.hop_length (%d) must not exceed features.n_fft (%d)", bl_config_name(c),
                fx->hop_length, fx->n_fft);
    return err->code;
}

static bl_status build_networks(blocks_feature_extractor *fx, bl_error *err)
{
    bl_config *c = fx->config;
    if (blocks_config_set_int(c, "encoder", "input.mel", "%d, T", fx->n_mels, err) != BL_OK ||
        blocks_config_set_int(c, "decoder", "input.code", "%d, T", fx->dim, err) != BL_OK ||
        !(fx->params = nn_params_new(err)) || !(fx->encoder = nn_network_build(c, "encoder", fx->params, err)) ||
        expect_sequence(c, "encoder", fx->encoder, "mel", fx->dim, err) != BL_OK ||
        !(fx->decoder = nn_network_build(c, "decoder", fx->params, err)) ||
        expect_sequence(c, "decoder", fx->decoder, "code", fx->n_mels, err) != BL_OK)
        return err->code;
    return nn_params_finish(fx->params, err);
}

static bl_status fill_identity(float **mean, float **scale, int n, bl_error *err)
{
    *mean = calloc((size_t)n, sizeof **mean);
    *scale = malloc((size_t)n * sizeof **scale);
    if (!*mean || !*scale)
        return bl_fail(err, BL_ENOMEM, "no memory for the feature extractor");
    for (int i = 0; i < n; i++)
        (*scale)[i] = 1;
    return BL_OK;
}

/* An existing config is kept, so that a checkpoint's text is what the program was given plus the defaults. */
static blocks_feature_extractor *build(bl_config *config, uint64_t seed, bl_error *err)
{
    blocks_feature_extractor *fx = calloc(1, sizeof *fx);
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    if (!fx) {
        bl_config_free(config);
        bl_fail(e, BL_ENOMEM, "no memory for the feature extractor");
        return NULL;
    }
    fx->config = config;
    if (read_settings(fx, e) != BL_OK || build_networks(fx, e) != BL_OK ||
        fill_identity(&fx->mel_mean, &fx->mel_scale, fx->n_mels, e) != BL_OK ||
        fill_identity(&fx->latent_mean, &fx->latent_scale, fx->dim, e) != BL_OK ||
        fill_identity(&fx->context_mean, &fx->context_scale, fx->dim, e) != BL_OK)
        goto fail;
    const audio_feature_config features = { .sample_rate = fx->sample_rate, .n_fft = fx->n_fft, .hop_length = fx->hop_length,
                                            .n_mels = fx->n_mels, .fmin_hz = fx->fmin_hz, .fmax_hz = fx->fmax_hz,
                                            .which = AUDIO_FEATURE_MEL };
    if (!(fx->plan = audio_feature_plan_new(&features, e))) {
        bl_error_prefix(e, "%s: [features]", bl_config_name(config));
        goto fail;
    }
    if (!(fx->tape = nn_tape_new(e)))
        goto fail;
    nn_tape_record(fx->tape, 0);
    nn_params_init(fx->params, seed);
    return fx;
fail:
    blocks_feature_extractor_free(fx);
    return NULL;
}

blocks_feature_extractor *blocks_feature_extractor_new(const bl_config *config, uint64_t seed, bl_error *err)
{
    bl_config *filled = blocks_config_filled(config, shipped_config, settings, networks, err);
    return filled ? build(filled, seed, err) : NULL;
}

void blocks_feature_extractor_free(blocks_feature_extractor *fx)
{
    if (!fx)
        return;
    nn_network_free(fx->encoder);
    nn_network_free(fx->decoder);
    nn_params_free(fx->params);
    nn_tape_free(fx->tape);
    audio_feature_plan_free(fx->plan);
    bl_config_free(fx->config);
    free(fx->mel_mean);
    free(fx->mel_scale);
    free(fx->latent_mean);
    free(fx->latent_scale);
    free(fx->context_mean);
    free(fx->context_scale);
    free(fx);
}

/* ---- checkpoints ---- */

/* All six scalings are stored under "features/". */
static bl_status each_scaling(blocks_feature_extractor *fx,
                              bl_status (*fn)(void *c, const char *name, float *values, int64_t n, bl_error *err), void *c,
                              bl_error *err)
{
    const struct { const char *name; float *values; int n; } all[] = {
        { "features/mel_mean", fx->mel_mean, fx->n_mels },       { "features/mel_scale", fx->mel_scale, fx->n_mels },
        { "features/latent_mean", fx->latent_mean, fx->dim },    { "features/latent_scale", fx->latent_scale, fx->dim },
        { "features/context_mean", fx->context_mean, fx->dim },  { "features/context_scale", fx->context_scale, fx->dim },
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (fn(c, all[i].name, all[i].values, all[i].n, err) != BL_OK)
            return err->code;
    return BL_OK;
}

static bl_status put_scaling(void *c, const char *name, float *values, int64_t n, bl_error *err)
{
    return nn_checkpoint_put(c, name, NN_F32, 1, &n, values, err);
}

static bl_status get_scaling(void *c, const char *name, float *values, int64_t n, bl_error *err)
{
    float *read = nn_checkpoint_get(c, name, NN_F32, 1, &n, NULL, err);
    if (!read)
        return err->code;
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(read[i])) {
            free(read);
            return bl_fail(err, BL_EFORMAT, "%s: %s holds a number that is not finite", nn_checkpoint_path(c), name);
        }
    memcpy(values, read, (size_t)n * sizeof *values);
    free(read);
    return BL_OK;
}

bl_status blocks_feature_extractor_put(const blocks_feature_extractor *fx, const char *config_name, nn_checkpoint *c,
                                       bl_error *err)
{
    char *text = bl_config_text(fx->config);
    bl_status status;
    if (!text)
        return bl_fail(err, BL_ENOMEM, "no memory for the checkpoint");
    nn_checkpoint_put_text(c, config_name, text, err);
    free(text);
    status = each_scaling((blocks_feature_extractor *)fx, put_scaling, c, err);
    return status == BL_OK ? nn_params_save(fx->params, c, "", err) : status;
}

blocks_feature_extractor *blocks_feature_extractor_get(const nn_checkpoint *c, const char *config_name, bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    char *text = nn_checkpoint_get_text(c, config_name, e);
    bl_config *config = text ? bl_config_parse(text, nn_checkpoint_path(c), e) : NULL;
    blocks_feature_extractor *fx = config ? build(config, 0, e) : NULL;
    free(text);
    if (!fx)
        return NULL;
    fx->step = nn_checkpoint_get_int(c, "step", 0, e);
    if (e->code || each_scaling(fx, get_scaling, (void *)c, e) != BL_OK || nn_params_load(fx->params, c, "", e) != BL_OK) {
        blocks_feature_extractor_free(fx);
        return NULL;
    }
    return fx;
}

blocks_feature_extractor *blocks_feature_extractor_load(const char *path, bl_error *err)
{
    nn_checkpoint *c = nn_checkpoint_open(path, "autoencoder", err);
    blocks_feature_extractor *fx = c ? blocks_feature_extractor_get(c, "config", err) : NULL;
    nn_checkpoint_free(c);
    return fx;
}

/* ---- running ---- */

/* Mono at fx->sample_rate, borrowed from x when it is there already. */
static bl_status at_rate(const blocks_feature_extractor *fx, const float *x, int64_t n_samples, int sample_rate, float **owned,
                         const float **out, int64_t *n_out, bl_error *err)
{
    *owned = NULL;
    if (n_samples < 1)
        return bl_fail(err, BL_EARG, "features: the sound is empty");
    if (sample_rate < 1000 || sample_rate > 768000)
        return bl_fail(err, BL_EARG, "features: expected a sample rate of 1000 to 768000 Hz, got %d", sample_rate);
    for (int64_t i = 0; i < n_samples; i++)
        if (!isfinite(x[i]))
            return bl_fail(err, BL_ENAN, "features: sample %lld is not a finite number", (long long)i);
    *out = x;
    *n_out = n_samples;
    if (sample_rate == fx->sample_rate)
        return BL_OK;
    *n_out = audio_resample_length(n_samples, sample_rate, fx->sample_rate);
    if (!(*owned = malloc((size_t)*n_out * sizeof **owned)))
        return bl_fail(err, BL_ENOMEM, "no memory to resample %lld samples", (long long)n_samples);
    *out = *owned;
    return audio_resample_buffer(x, n_samples, sample_rate, fx->sample_rate, AUDIO_RESAMPLE_FAST, *owned, err);
}

bl_status blocks_feature_extractor_mel(blocks_feature_extractor *fx, const float *mono, int64_t n_samples, int sample_rate,
                                       float **mel, int64_t *n_frames, bl_error *err)
{
    audio_features features = { 0 };
    const float *x = NULL;
    float *owned = NULL;
    int64_t n = 0;
    bl_status status = at_rate(fx, mono, n_samples, sample_rate, &owned, &x, &n, err);

    *mel = NULL;
    *n_frames = 0;
    if (status == BL_OK)
        status = audio_feature_plan_run(fx->plan, x, n, &features, err);
    if (status == BL_OK && !(*mel = malloc((size_t)fx->n_mels * (size_t)features.n_frames * sizeof **mel)))
        status = bl_fail(err, BL_ENOMEM, "no memory for %lld frames", (long long)features.n_frames);
    if (status == BL_OK) {
        const int64_t T = *n_frames = features.n_frames;
        const double lowest = pow(10, fx->floor_db / 10);
        for (int m = 0; m < fx->n_mels; m++)
            for (int64_t t = 0; t < T; t++) {
                const double power = (double)features.mel[m * T + t];
                const double db = 10 * log10(power > lowest ? power : lowest);
                (*mel)[m * T + t] = (float)((db - (double)fx->mel_mean[m]) * (double)fx->mel_scale[m]);
            }
    }
    audio_features_free(&features);
    free(owned);
    return status;
}

nn_node *blocks_feature_extractor_forward(blocks_feature_extractor *fx, nn_tape *tape, nn_node *mel, nn_node **code)
{
    nn_node *c = nn_network_run(fx->encoder, tape, &mel, NULL);
    if (code)
        *code = c;
    return nn_network_run(fx->decoder, tape, &c, NULL);
}

/* Standardised latents [T, D] of standardised frames. */
static bl_status encode(blocks_feature_extractor *fx, const float *mel, int64_t T, float **latents, bl_error *err)
{
    const int D = fx->dim;
    nn_tape_reset(fx->tape);
    nn_node *in = nn_input(fx->tape, (nn_shape){ 3, { 1, fx->n_mels, T } }, mel);
    nn_node *code = nn_network_run(fx->encoder, fx->tape, &in, NULL);
    if (fx->tape->err.code)
        return bl_fail(err, fx->tape->err.code, "feature extractor: %s", fx->tape->err.msg);
    if (!(*latents = malloc((size_t)T * (size_t)D * sizeof **latents)))
        return bl_fail(err, BL_ENOMEM, "no memory for %lld frames", (long long)T);
    for (int64_t t = 0; t < T; t++)
        for (int d = 0; d < D; d++)
            (*latents)[t * D + d] = (float)(((double)code->x[d * T + t] - (double)fx->latent_mean[d]) *
                                            (double)fx->latent_scale[d]);
    return BL_OK;
}

bl_status blocks_feature_extractor_run(blocks_feature_extractor *fx, const float *mono, int64_t n_samples, int sample_rate,
                                       float **latents, int64_t *n_frames, int *dim, bl_error *err)
{
    float *mel = NULL;
    bl_status status = blocks_feature_extractor_mel(fx, mono, n_samples, sample_rate, &mel, n_frames, err);
    *latents = NULL;
    *dim = fx->dim;
    if (status == BL_OK)
        status = encode(fx, mel, *n_frames, latents, err);
    free(mel);
    return status;
}

/* Frames count as sounding while their mean band level is within this of the loudest frame's. */
static const double QUIET_DB = 60;

bl_status blocks_feature_extractor_context(blocks_feature_extractor *fx, const float *mono, int64_t n_samples, int sample_rate,
                                           float *context, bl_error *err)
{
    const int D = fx->dim;
    int64_t T = 0, n = 0;
    float *mel = NULL, *latents = NULL;
    double *level = NULL, *sum = calloc((size_t)D, sizeof *sum), loudest = -HUGE_VAL;
    bl_status status = blocks_feature_extractor_mel(fx, mono, n_samples, sample_rate, &mel, &T, err);

    for (int d = 0; d < D; d++)
        context[d] = 0;
    if (status == BL_OK)
        status = encode(fx, mel, T, &latents, err);
    if (status == BL_OK && (!sum || !(level = malloc((size_t)T * sizeof *level))))
        status = bl_fail(err, BL_ENOMEM, "no memory for %lld frames", (long long)T);
    if (status == BL_OK) {
        for (int64_t t = 0; t < T; t++) {
            level[t] = -HUGE_VAL; /* of the loudest band, dB */
            for (int m = 0; m < fx->n_mels; m++) {
                const double db = (double)mel[m * T + t] / (double)fx->mel_scale[m] + (double)fx->mel_mean[m];
                level[t] = db > level[t] ? db : level[t];
            }
            loudest = level[t] > loudest ? level[t] : loudest;
        }
        for (int64_t t = 0; t < T && loudest > fx->floor_db + 1; t++) {
            if (level[t] < loudest - QUIET_DB || level[t] < fx->floor_db + 1)
                continue;
            n++;
            for (int d = 0; d < D; d++)
                sum[d] += (double)latents[t * D + d];
        }
        for (int d = 0; d < D && n > 0; d++) {
            const double v = (sum[d] / (double)n - (double)fx->context_mean[d]) * (double)fx->context_scale[d];
            context[d] = (float)(v < -3 ? -3 : v > 3 ? 3 : v);
        }
    }
    free(mel);
    free(latents);
    free(level);
    free(sum);
    return status;
}
