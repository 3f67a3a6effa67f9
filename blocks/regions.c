#include "blocks/regions.h"

#include "audio/stft.h"
#include "blocks/config_defaults.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* CONTEXT: frames on both sides that no latent looks beyond (shipped network: 64); songs go through in pieces. */
enum { PIECE = 2048, CONTEXT = 64, SINGLE_BINS = 15 };
static const double silence_db = -70, middle_db = -30, spread_db = 15, unheard = 1e-5; /* of the reference: -50 dB */

/* ---- building ---- */

static bl_status find_bands(blocks_regions *r, bl_error *err)
{
    const int last = BLOCKS_REGIONS_FFT / 2 + 1, n_single = r->n_bands < SINGLE_BINS ? r->n_bands : SINGLE_BINS;
    r->first_bin = malloc(((size_t)r->n_bands + 1) * sizeof *r->first_bin);
    if (!r->first_bin)
        return bl_fail(err, BL_ENOMEM, "no memory for %d bands", r->n_bands);
    for (int b = 0; b <= r->n_bands; b++) {
        const double wide = r->n_bands > n_single ? (double)(b - n_single) / (r->n_bands - n_single) : 0;
        const int bin = b <= n_single ? b + 1 : (int)((n_single + 1) * pow((double)last / (n_single + 1), wide) + 0.5);
        r->first_bin[b] = b > 0 && bin <= r->first_bin[b - 1] ? r->first_bin[b - 1] + 1 : bin;
    }
    r->first_bin[0] = 1; /* not the constant part */
    r->first_bin[r->n_bands] = last;
    return BL_OK;
}

static bl_status expect(const bl_config *c, const char *section, const nn_network *net, int64_t n_out, bl_error *err)
{
    const nn_shape s = nn_network_output_shape(net, 0);
    if (nn_network_n_inputs(net) != 1 || nn_network_n_outputs(net) != 1 || s.rank != 2 || s.dim[0] != n_out || s.dim[1] >= 0)
        return bl_fail(err, BL_ESHAPE, "%s: [%s] must turn one input into %lld channels over time, gives %lld", bl_config_name(c),
                       section, (long long)n_out, (long long)s.dim[0]);
    return BL_OK;
}

static blocks_regions *build(bl_config *config, uint64_t seed, bl_error *err)
{
    blocks_regions *r = calloc(1, sizeof *r);
    bl_error own = { 0 };
    if (!r) {
        bl_config_free(config);
        bl_fail(err, BL_ENOMEM, "no memory for the regions");
        return NULL;
    }
    r->config = config;
    r->n_bands = (int)bl_config_int(config, "regions", "n_bands", 64, 8, 512, &own);
    r->dim = (int)bl_config_int(config, "regions", "latent", 8, 2, 64, &own);
    if (own.code == BL_OK && find_bands(r, &own) == BL_OK &&
        blocks_config_set_int(config, "region_encoder", "input.level", "%d, T", r->n_bands, &own) == BL_OK &&
        blocks_config_set_int(config, "region_decoder", "input.code", "%d, T", r->n_bands * r->dim, &own) == BL_OK &&
        (r->params = nn_params_new(&own)) && (r->encoder = nn_network_build(config, "region_encoder", r->params, &own)) &&
        expect(config, "region_encoder", r->encoder, (int64_t)r->n_bands * r->dim, &own) == BL_OK &&
        (r->decoder = nn_network_build(config, "region_decoder", r->params, &own)) &&
        expect(config, "region_decoder", r->decoder, r->n_bands, &own) == BL_OK && nn_params_finish(r->params, &own) == BL_OK &&
        (r->tape = nn_tape_new(&own))) {
        nn_tape_record(r->tape, 0);
        nn_params_init(r->params, seed);
        return r;
    }
    blocks_regions_free(r);
    bl_fail(err, own.code, "%s", own.msg);
    return NULL;
}

blocks_regions *blocks_regions_new(const bl_config *config, uint64_t seed, bl_error *err)
{
    static const char *const settings[] = { "regions", NULL };
    static const char *const networks[] = { "region_encoder", "region_block", "region_decoder", NULL };
    bl_config *filled = blocks_config_filled(config, "configs/segmenter.ini", settings, networks, err);
    return filled ? build(filled, seed, err) : NULL;
}

void blocks_regions_free(blocks_regions *r)
{
    if (!r)
        return;
    nn_network_free(r->encoder);
    nn_network_free(r->decoder);
    nn_params_free(r->params);
    nn_tape_free(r->tape);
    bl_config_free(r->config);
    free(r->first_bin);
    free(r);
}

bl_status blocks_regions_put(const blocks_regions *r, nn_checkpoint *c, bl_error *err)
{
    char *text = bl_config_text(r->config);
    if (!text)
        return bl_fail(err, BL_ENOMEM, "no memory for the checkpoint");
    nn_checkpoint_put_text(c, "config", text, err);
    free(text);
    return nn_params_save(r->params, c, "", err);
}

blocks_regions *blocks_regions_get(const nn_checkpoint *c, bl_error *err)
{
    char *text = nn_checkpoint_get_text(c, "config", err);
    bl_config *config = text ? bl_config_parse(text, nn_checkpoint_path(c), err) : NULL;
    blocks_regions *r = config ? build(config, 0, err) : NULL;
    free(text);
    if (r && nn_params_load(r->params, c, "", err) != BL_OK) {
        blocks_regions_free(r);
        r = NULL;
    }
    return r;
}

/* ---- levels ---- */

bl_status blocks_regions_power(const blocks_regions *r, const float *x, int64_t n_samples, float **power, int64_t *n_frames,
                               bl_error *err)
{
    const audio_stft_config config = { BLOCKS_REGIONS_FFT, BLOCKS_REGIONS_HOP, 0, AUDIO_PAD_ZERO };
    audio_stft *stft = audio_stft_new(&config, err);
    bl_status status = stft ? BL_OK : err ? err->code : BL_ENOMEM;
    float *spectrum = malloc((BLOCKS_REGIONS_FFT + 2) * sizeof *spectrum);
    const int64_t T = *n_frames = stft ? audio_stft_frames(stft, n_samples) : 0;
    *power = malloc((size_t)(T + 1) * (size_t)r->n_bands * sizeof **power);
    if (status == BL_OK && (!*power || !spectrum))
        status = bl_fail(err, BL_ENOMEM, "no memory for %lld frames", (long long)T);
    for (int64_t t = 0; status == BL_OK && t < T; t++) {
        audio_stft_frame(stft, x, n_samples, t, spectrum);
        for (int b = 0; b < r->n_bands; b++) {
            float sum = 0;
            for (int f = r->first_bin[b]; f < r->first_bin[b + 1]; f++)
                sum += spectrum[2 * f] * spectrum[2 * f] + spectrum[2 * f + 1] * spectrum[2 * f + 1];
            (*power)[b * T + t] = sum;
        }
    }
    if (status != BL_OK) {
        free(*power);
        *power = NULL;
    }
    free(spectrum);
    audio_stft_free(stft);
    return status;
}

double blocks_regions_reference(const blocks_regions *r, const float *power, int64_t n_frames)
{
    double sum = 0;
    for (int64_t i = 0; i < r->n_bands * n_frames; i++)
        sum += (double)power[i];
    return n_frames > 0 ? sum / (double)n_frames : 0;
}

void blocks_regions_levels(const float *power, int64_t n, double reference, float *level)
{
    const float scale = reference > 0 ? (float)(1 / reference) : 0, least = (float)pow(10, silence_db / 10);
    const float slope = (float)(10 / log(10) / spread_db), shift = (float)(-middle_db / spread_db);
    for (int64_t i = 0; i < n; i++) {
        const float p = power[i] * scale;
        level[i] = logf(p > least ? p : least) * slope + shift;
    }
}

float blocks_regions_weight(float power, double reference)
{
    const double p = reference > 0 ? (double)power / reference : 0;
    return p > unheard ? (float)sqrt(p) : 0;
}

int blocks_regions_band(const blocks_regions *r, double hz)
{
    const double bin = hz * BLOCKS_REGIONS_FFT / BLOCKS_REGIONS_RATE;
    int b = 0;
    while (b + 1 < r->n_bands && bin + 0.5 >= r->first_bin[b + 1])
        b++;
    return b;
}

/* ---- latents ---- */

nn_node *blocks_regions_forward(blocks_regions *r, nn_tape *tape, nn_node *level, nn_node **level_again)
{
    nn_node *code = nn_network_run(r->encoder, tape, &level, NULL);
    if (level_again)
        *level_again = nn_network_run(r->decoder, tape, &code, NULL);
    if (tape->err.code)
        return NULL;
    nn_node *v = nn_reshape(tape, code, nn_shape_of(3, code->shape.dim[0], (int64_t)r->dim, r->n_bands * code->shape.dim[2]));
    return nn_div(tape, v, nn_affine(tape, nn_norm_dims(tape, v, 2u), 1, 1e-6));
}

/* Frames first .. first + n of the latents, from levels that begin at frame `from`. */
static bl_status encode_piece(blocks_regions *r, const float *level, int64_t from, int64_t n_level, int64_t first, int64_t n,
                              int64_t T, float *latents, bl_error *err)
{
    nn_tape_reset(r->tape);
    nn_node *v = blocks_regions_forward(r, r->tape, nn_input(r->tape, nn_shape_of(3, 1, r->n_bands, n_level), level), NULL);
    if (r->tape->err.code)
        return bl_fail(err, r->tape->err.code, "segmenter: %s", r->tape->err.msg);
    for (int b = 0; b < r->n_bands; b++)
        for (int64_t t = 0; t < n; t++)
            for (int d = 0; d < r->dim; d++)
                latents[(b * T + first + t) * r->dim + d] =
                    (float)v->x[((int64_t)d * r->n_bands + b) * n_level + first - from + t];
    return BL_OK;
}

bl_status blocks_regions_latents(blocks_regions *r, const float *power, int64_t n_frames, double reference, float **latents,
                                 bl_error *err)
{
    const int64_t T = n_frames;
    float *level = malloc((size_t)r->n_bands * (PIECE + 2 * CONTEXT) * sizeof *level);
    bl_status status = BL_OK;
    *latents = malloc((size_t)r->n_bands * (size_t)(T + 1) * (size_t)r->dim * sizeof **latents);
    if (!level || !*latents)
        status = bl_fail(err, BL_ENOMEM, "no memory for the latents of %lld frames", (long long)T);
    for (int64_t first = 0; status == BL_OK && first < T; first += PIECE) {
        const int64_t n = T - first < PIECE ? T - first : PIECE, from = first > CONTEXT ? first - CONTEXT : 0;
        const int64_t to = first + n + CONTEXT < T ? first + n + CONTEXT : T;
        for (int b = 0; b < r->n_bands; b++)
            blocks_regions_levels(power + b * T + from, to - from, reference, level + b * (to - from));
        status = encode_piece(r, level, from, to - from, first, n, T, *latents, err);
    }
    if (status != BL_OK) {
        free(*latents);
        *latents = NULL;
    }
    free(level);
    return status;
}
