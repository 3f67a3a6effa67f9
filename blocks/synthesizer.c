#include "blocks/synthesizer.h"

#include "base/fft.h"
#include "data/instruments.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what a condition frame holds ---- */

enum {
    N_PITCH = 24, PITCH_LOW = 20, PITCH_STEP = 4,   /* bumps over the pitch axis            */
    N_PIECES = 27, PIECE_LOW = 33,                  /* General MIDI drum keys 33 .. 59      */
    N_SCALARS = 3,                                  /* pitch, velocity, velocity^2          */
    N_ONSET = 7, N_RELEASE = 4, N_GATE = 2, N_BEAT = 2
};
static const double onset_tau_s[N_ONSET - 1] = { 0.004, 0.016, 0.06, 0.2, 0.7, 2.5 };
static const double release_tau_s[N_RELEASE] = { 0.01, 0.05, 0.2, 0.8 };

static int condition_count(int n_voices, int n_genres, int n_context)
{
    return n_voices + n_genres + N_PITCH + N_PIECES + N_SCALARS + N_ONSET + N_RELEASE + N_GATE + N_BEAT + n_context;
}

double blocks_synthesizer_f0(const blocks_synthesizer *s, const blocks_tone *tone)
{
    /* Drums have no pitch; a comb this dense lets the WaveNet draw any decaying body (kick, toms) with it. */
    return s->voices[tone->voice].is_drums ? 55.0 : 440.0 * exp2((tone->pitch - 69) / 12.0);
}

static void fill(float *row, int64_t n, double value)
{
    for (int64_t j = 0; j < n; j++)
        row[j] = (float)value;
}

void blocks_synthesizer_conditions(const blocks_synthesizer *s, const blocks_tone *tone, int64_t first, int64_t n, float *out)
{
    const int is_drums = s->voices[tone->voice].is_drums;
    const double frame_s = (double)s->hop_length / s->sample_rate, velocity = tone->velocity / 127.0;
    float *row = out;

    for (int i = 0; i < s->n_voices; i++, row += n)
        fill(row, n, i == tone->voice);
    for (int i = 0; i < s->n_genres; i++, row += n)
        fill(row, n, i == tone->genre);
    for (int i = 0; i < N_PITCH; i++, row += n) {
        const double d = (tone->pitch - (PITCH_LOW + i * PITCH_STEP)) / (double)PITCH_STEP;
        fill(row, n, is_drums ? 0 : exp(-d * d));
    }
    for (int i = 0; i < N_PIECES; i++, row += n)
        fill(row, n, is_drums && tone->pitch == PIECE_LOW + i);
    fill(row, n, is_drums ? 0 : (tone->pitch - 60) / 24.0);
    fill(row + n, n, velocity);
    fill(row + 2 * n, n, velocity * velocity);
    row += N_SCALARS * n;

    for (int64_t j = 0; j < n; j++) {
        const double time_s = (double)(first + j) * frame_s, since_off_s = time_s - tone->duration_s;
        /* a drum rings as long as it likes: it has no note-off */
        const int sounding = time_s >= 0, released = since_off_s >= 0 && !is_drums;
        float *r = row + j;
        for (int i = 0; i < N_ONSET - 1; i++, r += n)
            *r = (float)(sounding ? exp(-time_s / onset_tau_s[i]) : 0);
        *r = (float)(sounding ? log1p(20 * time_s) / 4 : 0);
        r += n;
        for (int i = 0; i < N_RELEASE; i++, r += n)
            *r = (float)(released ? exp(-since_off_s / release_tau_s[i]) : 0);
        *r = (float)(sounding && !released);
        r[n] = (float)released;
    }
    row += (N_ONSET + N_RELEASE + N_GATE) * n;
    const double beat = 2 * 3.14159265358979323846 * tone->beat_position;
    fill(row, n, tone->beat_position < 0 ? 0 : sin(beat));
    fill(row + n, n, tone->beat_position < 0 ? 0 : cos(beat));
    row += N_BEAT * n;
    for (int i = 0; i < s->n_context; i++, row += n)
        fill(row, n, tone->context ? (double)tone->context[i] : 0);
}

/* ---- building ---- */

/* White noise of one seed, cut into bands that are equally wide on the mel scale, each of unit power. */
static real *make_noise_bank(int n_bands, int sample_rate, bl_error *err)
{
    const int n = BLOCKS_NOISE_LENGTH, F = n / 2 + 1;
    real *bank = malloc((size_t)n_bands * (size_t)n * sizeof *bank);
    float *noise = malloc((size_t)n * sizeof *noise), *wave = malloc((size_t)n * sizeof *wave);
    float *spectrum = malloc((size_t)(n + 2) * sizeof *spectrum), *band = malloc((size_t)(n + 2) * sizeof *band);
    bl_fft *fft = bl_fft_new(n, err);
    bl_rng rng;

    if (!bank || !noise || !wave || !spectrum || !band || !fft) {
        bl_fail(err, BL_ENOMEM, "synthesizer: no memory for the noise bank");
        free(bank);
        bank = NULL;
        goto done;
    }
    bl_rng_seed(&rng, 0x6e6f697365u);
    for (int i = 0; i < n; i++)
        noise[i] = (float)bl_rng_normal(&rng);
    bl_fft_forward(fft, noise, spectrum);
    const double top = 2595 * log10(1 + 0.5 * sample_rate / 700.0);
    for (int k = 0; k < n_bands; k++) {
        double power = 0;
        for (int f = 0; f < F; f++) {
            const double mel = 2595 * log10(1 + (double)f * sample_rate / n / 700.0) / top * n_bands;
            /* raised-cosine slopes over half a band on each side: neighbours add up to one */
            const double d = fabs(mel - (k + 0.5));
            double gain = d <= 0.25 ? 1 : d >= 0.75 ? 0 : 0.5 + 0.5 * cos((d - 0.25) / 0.5 * 3.14159265358979323846);
            if ((k == 0 && mel < 0.5) || (k == n_bands - 1 && mel > n_bands - 0.5))
                gain = 1;
            if (f == 0)
                gain = 0; /* no direct current */
            band[2 * f] = spectrum[2 * f] * (float)gain;
            band[2 * f + 1] = spectrum[2 * f + 1] * (float)gain;
        }
        bl_fft_inverse(fft, band, wave);
        for (int i = 0; i < n; i++)
            power += (double)wave[i] * (double)wave[i];
        const double scale = 1 / sqrt(power / n + 1e-20);
        for (int i = 0; i < n; i++)
            bank[(size_t)k * (size_t)n + (size_t)i] = (real)((double)wave[i] * scale);
    }
done:
    bl_fft_free(fft);
    free(noise);
    free(wave);
    free(spectrum);
    free(band);
    return bank;
}

static bl_status check_network(const nn_network *net, const char *name, const char *const *inputs, int n_inputs,
                               int n_outputs, const bl_config *config, bl_error *err)
{
    int same = nn_network_n_inputs(net) == n_inputs;
    for (int i = 0; same && i < n_inputs; i++)
        same = !strcmp(nn_network_input_name(net, i), inputs[i]);
    if (!same)
        return bl_fail(err, BL_EARG, "%s: [%s] must have %d inputs, in this order: input.%s%s%s%s%s", bl_config_name(config),
                       name, n_inputs, inputs[0], n_inputs > 1 ? ", input." : "", n_inputs > 1 ? inputs[1] : "",
                       n_inputs > 2 ? ", input." : "", n_inputs > 2 ? inputs[2] : "");
    if (nn_network_n_outputs(net) != n_outputs)
        return bl_fail(err, BL_EARG, "%s: [%s] must have %d output%s, has %d", bl_config_name(config), name, n_outputs,
                       n_outputs > 1 ? "s (output = ...)" : "", nn_network_n_outputs(net));
    return BL_OK;
}

static bl_status expect_channels(const nn_network *net, const char *name, int output, int64_t channels,
                                 const bl_config *config, bl_error *err)
{
    const nn_shape s = nn_network_output_shape(net, output);
    if (s.rank != 2 || s.dim[0] != channels)
        return bl_fail(err, BL_ESHAPE, "%s: output %d of [%s] must have %lld channels over time, has %lld",
                       bl_config_name(config), output + 1, name, (long long)channels, (long long)s.dim[0]);
    return BL_OK;
}

static bl_status set_number(bl_config *c, const char *format, int value, bl_error *err)
{
    char text[160];
    snprintf(text, sizeof text, format, value);
    return bl_config_set(c, text, err);
}

static bl_status build(blocks_synthesizer *s, int with_discriminator, bl_error *err)
{
    static const char *const wavenet_in[] = { "z", "conditions" };
    static const char *const generator_in[] = { "features", "z", "excitation" };
    static const char *const discriminator_in[] = { "wave", "conditions" };
    bl_config *c = s->config;

    s->sample_rate = (int)bl_config_int(c, "synthesizer", "sample_rate", 44100, 8000, 192000, err);
    s->hop_length = (int)bl_config_int(c, "synthesizer", "hop_length", 256, 16, 4096, err);
    s->n_harmonics = (int)bl_config_int(c, "synthesizer", "harmonics", 100, 1, 1000, err);
    s->n_noise_bands = (int)bl_config_int(c, "synthesizer", "noise_bands", 32, 1, 256, err);
    s->n_latent = (int)bl_config_int(c, "synthesizer", "latent", 8, 1, 1024, err);
    s->n_context = (int)bl_config_int(c, "synthesizer", "context", 16, 0, 1024, err);
    s->n_bands = (int)bl_config_int(c, "synthesizer", "bands", 16, 2, 64, err);
    s->warm_up = (int)bl_config_int(c, "synthesizer", "warm_up", 32, 0, 4096, err);
    if (err->code)
        return err->code;
    if (s->hop_length % s->n_bands)
        return bl_fail(err, BL_EARG, "%s: synthesizer.hop_length (%d) must be a multiple of synthesizer.bands (%d)",
                       bl_config_name(c), s->hop_length, s->n_bands);
    s->n_conditions = condition_count(s->n_voices, s->n_genres, s->n_context);
    /* What follows from the data and from [synthesizer] is filled in, so that the .ini need not know it. */
    if (set_number(c, "wavenet.input.z=%d, T", s->n_latent, err) != BL_OK ||
        set_number(c, "wavenet.input.conditions=%d, T", s->n_conditions, err) != BL_OK ||
        set_number(c, "generator.input.z=%d, T", s->n_latent, err) != BL_OK ||
        set_number(c, "generator.input.excitation=%d, U", 2 * s->n_bands, err) != BL_OK ||
        set_number(c, "discriminator.input.conditions=%d, T", s->n_conditions, err) != BL_OK)
        return err->code;

    if (!(s->params = nn_params_new(err)) || !(s->wavenet = nn_network_build(c, "wavenet", s->params, err)))
        return err->code;
    if (check_network(s->wavenet, "wavenet", wavenet_in, 2, 3, c, err) != BL_OK ||
        expect_channels(s->wavenet, "wavenet", 1, s->n_harmonics, c, err) != BL_OK ||
        expect_channels(s->wavenet, "wavenet", 2, s->n_noise_bands, c, err) != BL_OK)
        return err->code;
    const int64_t features = nn_network_output_shape(s->wavenet, 0).dim[0];
    if (set_number(c, "generator.input.features=%d, T", (int)features, err) != BL_OK ||
        !(s->generator = nn_network_build(c, "generator", s->params, err)) ||
        check_network(s->generator, "generator", generator_in, 3, 1, c, err) != BL_OK ||
        expect_channels(s->generator, "generator", 0, s->n_bands, c, err) != BL_OK)
        return err->code;
    if (with_discriminator) {
        if (!(s->discriminator = nn_network_build(c, "discriminator", s->params, err)))
            return err->code;
        if (check_network(s->discriminator, "discriminator", discriminator_in, 2, 1, c, err) != BL_OK)
            return err->code;
    }
    if (nn_params_finish(s->params, err) != BL_OK)
        return err->code;
    s->pqmf = (nn_pqmf){ .n_bands = s->n_bands };
    if (nn_pqmf_check(&s->pqmf, err) != BL_OK ||
        !(s->noise_bank = make_noise_bank(s->n_noise_bands, s->sample_rate, err)))
        return err->code;
    return BL_OK;
}

blocks_synthesizer *blocks_synthesizer_new(const bl_config *config, const blocks_voice *voices, int n_voices,
                                           char *const *genres, int n_genres, int with_discriminator, uint64_t seed,
                                           bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    blocks_synthesizer *s = calloc(1, sizeof *s);

    if (!s || !(s->config = bl_config_copy(config)) || !(s->config_text = bl_config_text(config))) {
        bl_fail(e, BL_ENOMEM, "no memory for the synthesizer");
        goto fail;
    }
    s->voices = malloc((size_t)n_voices * sizeof *s->voices);
    s->genres = calloc((size_t)n_genres + 1, sizeof *s->genres);
    s->voice_genre = calloc((size_t)n_voices * (size_t)(n_genres + 1), sizeof *s->voice_genre);
    if (!s->voices || !s->genres || !s->voice_genre) {
        bl_fail(e, BL_ENOMEM, "no memory for the synthesizer");
        goto fail;
    }
    memcpy(s->voices, voices, (size_t)n_voices * sizeof *s->voices);
    s->n_voices = n_voices;
    for (int i = 0; i < n_genres; i++) {
        if (!(s->genres[i] = malloc(strlen(genres[i]) + 1))) {
            bl_fail(e, BL_ENOMEM, "no memory for the synthesizer");
            goto fail;
        }
        strcpy(s->genres[i], genres[i]);
        s->n_genres = i + 1;
    }
    if (build(s, with_discriminator, e) != BL_OK)
        goto fail;
    nn_params_init(s->params, seed);
    return s;
fail:
    blocks_synthesizer_free(s);
    return NULL;
}

void blocks_synthesizer_free(blocks_synthesizer *s)
{
    if (!s)
        return;
    nn_network_free(s->wavenet);
    nn_network_free(s->generator);
    nn_network_free(s->discriminator);
    nn_params_free(s->params);
    bl_config_free(s->config);
    free(s->config_text);
    free(s->noise_bank);
    free(s->voices);
    for (int i = 0; i < s->n_genres; i++)
        free(s->genres[i]);
    free(s->genres);
    free(s->voice_genre);
    free(s);
}

/* ---- checkpoints ---- */

bl_status blocks_synthesizer_put(const blocks_synthesizer *s, nn_checkpoint *c, bl_error *err)
{
    const char **names = malloc((size_t)(s->n_voices ? s->n_voices : 1) * sizeof *names);
    int64_t *range = malloc((size_t)(s->n_voices ? s->n_voices : 1) * 2 * sizeof *range);
    bl_status rc = BL_ENOMEM;
    if (!names || !range) {
        bl_fail(err, BL_ENOMEM, "no memory for the checkpoint");
        goto done;
    }
    for (int i = 0; i < s->n_voices; i++) {
        names[i] = s->voices[i].name;
        range[2 * i] = s->voices[i].lowest;
        range[2 * i + 1] = s->voices[i].highest;
    }
    nn_checkpoint_put_text(c, "config", s->config_text, err);
    nn_checkpoint_put_int(c, "step", s->step, err);
    nn_checkpoint_put_texts(c, "voices", names, s->n_voices, err);
    nn_checkpoint_put_texts(c, "genres", (const char *const *)s->genres, s->n_genres, err);
    nn_checkpoint_put(c, "voices/range", NN_I64, 2, (int64_t[]){ s->n_voices, 2 }, range, err);
    nn_checkpoint_put(c, "voices/genre_counts", NN_F32, 2, (int64_t[]){ s->n_voices, s->n_genres + 1 }, s->voice_genre, err);
    rc = err->code ? err->code : BL_OK;
done:
    free(names);
    free(range);
    return rc;
}

/* "electric guitar/30" -> instrument, program. */
static bl_status parse_voice(const char *name, blocks_voice *v, const char *path, bl_error *err)
{
    const char *slash = strrchr(name, '/');
    char *end;
    if (!slash || slash == name || strlen(name) >= sizeof v->name || slash - name >= (ptrdiff_t)sizeof v->instrument)
        return bl_fail(err, BL_EFORMAT, "%s: \"%s\" is not a voice (instrument/program)", path, name);
    memset(v, 0, sizeof *v);
    snprintf(v->name, sizeof v->name, "%s", name);
    memcpy(v->instrument, name, (size_t)(slash - name));
    const long program = strtol(slash + 1, &end, 10);
    if (*end || end == slash + 1 || program < -1 || program > 127)
        return bl_fail(err, BL_EFORMAT, "%s: \"%s\" is not a voice (instrument/program)", path, name);
    v->program = (int)program;
    const int id = data_instrument_find(v->instrument);
    v->is_drums = id >= 0 && !data_instrument_at(id)->is_pitched;
    return BL_OK;
}

blocks_synthesizer *blocks_synthesizer_get(const nn_checkpoint *c, int with_discriminator, bl_error *err)
{
    return blocks_synthesizer_get_with(c, NULL, with_discriminator, err);
}

blocks_synthesizer *blocks_synthesizer_get_with(const nn_checkpoint *c, const bl_config *new_config, int with_discriminator,
                                                bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    const char *path = nn_checkpoint_path(c);
    blocks_synthesizer *s = NULL;
    blocks_voice *voices = NULL;
    bl_config *config = NULL;
    int n_voices = 0, n_genres = 0;
    char *text = nn_checkpoint_get_text(c, "config", e);
    char **names = nn_checkpoint_get_texts(c, "voices", &n_voices, e);
    char **genres = nn_checkpoint_get_texts(c, "genres", &n_genres, e);
    int64_t *range = NULL;
    float *counts = NULL;

    if (e->code || n_voices < 1)
        goto done;
    range = nn_checkpoint_get(c, "voices/range", NN_I64, 2, (int64_t[]){ n_voices, 2 }, NULL, e);
    counts = nn_checkpoint_get(c, "voices/genre_counts", NN_F32, 2, (int64_t[]){ n_voices, n_genres + 1 }, NULL, e);
    if (!range || !counts || !(config = bl_config_parse(text, path, e)))
        goto done;
    if (!(voices = calloc((size_t)n_voices, sizeof *voices))) {
        bl_fail(e, BL_ENOMEM, "no memory for the synthesizer");
        goto done;
    }
    for (int i = 0; i < n_voices; i++) {
        if (parse_voice(names[i], &voices[i], path, e) != BL_OK)
            goto done;
        voices[i].lowest = (int)range[2 * i];
        voices[i].highest = (int)range[2 * i + 1];
    }
    s = blocks_synthesizer_new(new_config ? new_config : config, voices, n_voices, genres, n_genres, with_discriminator, 0, e);
    if (!s)
        goto done;
    memcpy(s->voice_genre, counts, (size_t)n_voices * (size_t)(n_genres + 1) * sizeof *counts);
    s->step = nn_checkpoint_get_int(c, "step", 0, e);
    if (e->code) {
        blocks_synthesizer_free(s);
        s = NULL;
    }
done:
    free(text);
    free(range);
    free(counts);
    free(voices);
    nn_checkpoint_texts_free(names, n_voices);
    nn_checkpoint_texts_free(genres, n_genres);
    bl_config_free(config);
    return s;
}

blocks_synthesizer *blocks_synthesizer_load(const char *path, bl_error *err)
{
    nn_checkpoint *c = nn_checkpoint_open(path, "wavegan", err);
    blocks_synthesizer *s = c ? blocks_synthesizer_get(c, 0, err) : NULL;
    if (s && nn_params_load(s->params, c, "average/", err) != BL_OK) {
        blocks_synthesizer_free(s);
        s = NULL;
    }
    nn_checkpoint_free(c);
    return s;
}

int blocks_synthesizer_genre(const blocks_synthesizer *s, const char *name)
{
    for (int i = 0; name && i < s->n_genres; i++)
        if (!strcmp(s->genres[i], name))
            return i;
    return -1;
}

int blocks_synthesizer_voice(const blocks_synthesizer *s, const char *instrument, int genre, int program)
{
    int best = -1;
    double best_score = -1;
    for (int i = 0; i < s->n_voices; i++) {
        if (strcmp(s->voices[i].instrument, instrument))
            continue;
        const float *count = s->voice_genre + (size_t)i * (size_t)(s->n_genres + 1);
        double all = 0;
        for (int g = 0; g <= s->n_genres; g++)
            all += (double)count[g];
        /* tones in this genre first, tones at all second */
        double score = (genre >= 0 ? 1e6 * (double)count[genre] : 0) + all;
        if (program >= 0 && s->voices[i].program == program)
            score += 1e12;
        if (score > best_score) {
            best_score = score;
            best = i;
        }
    }
    return best;
}

/* ---- the networks ---- */

/* 2 sigmoid(x - shift)^(ln 10) + 1e-7: an amplitude from any number, in a useful range (Engel et al. 2020). */
static nn_node *amplitude_of(nn_tape *t, nn_node *x, double shift, double gain)
{
    const double ln10 = 2.302585092994046;
    nn_node *log_sigmoid = nn_affine(t, nn_softplus(t, nn_affine(t, x, -1, shift)), -1, 0);
    return nn_affine(t, nn_exp(t, nn_affine(t, log_sigmoid, ln10, 0)), 2 * gain, 1e-7 * gain);
}

/* Takes the slow drift out of every sub-band: a constant there is a tone at the band's edge, heard in silence. Subtracts
 * the mean over 129 samples, a notch of a few hertz. */
static nn_node *without_drift(nn_tape *t, nn_node *bands)
{
    enum { TAPS = 129 };
    if (t->err.code)
        return NULL;
    const nn_shape shape = bands->shape, rows = { 3, { shape.dim[0] * shape.dim[1], 1, shape.dim[2] } };
    nn_node *box = nn_full(t, (nn_shape){ 3, { 1, 1, TAPS } }, 1.0 / TAPS);
    nn_node *mean = nn_conv1d(t, nn_reshape(t, bands, rows), box, NULL,
                              (nn_conv1d_opt){ .pad_left = TAPS / 2, .pad_right = TAPS / 2 });
    return t->err.code ? NULL : nn_sub(t, bands, nn_reshape(t, mean, shape));
}

nn_node *blocks_synthesizer_forward(blocks_synthesizer *s, nn_tape *t, nn_node *conditions, nn_node *z, nn_node *f0_hz,
                                    nn_node *noise_offset, nn_node **excitation)
{
    nn_node *out[3];
    if (t->err.code)
        return NULL;
    const int64_t B = f0_hz->shape.dim[0], J = f0_hz->shape.dim[1], W = s->warm_up;
    if (conditions->shape.dim[2] != W + J + 1 || J % 4) {
        bl_fail(&t->err, BL_ESHAPE, "synthesizer: expected %lld frames of conditions for %lld frames of sound, got %lld",
                (long long)(W + J + 1), (long long)J, (long long)conditions->shape.dim[2]);
        return NULL;
    }
    nn_network_run(s->wavenet, t, (nn_node *const[]){ z, conditions }, out);
    if (t->err.code)
        return NULL;
    nn_node *harmonic = amplitude_of(t, nn_slice(t, out[1], 2, W, W + J + 1), 1, 0.5);
    nn_node *noise = amplitude_of(t, nn_slice(t, out[2], 2, W, W + J + 1), 4, 0.5);
    nn_node *stiffness = nn_full(t, (nn_shape){ 1, { B } }, 0);
    nn_node *bank = nn_borrow(t, (nn_shape){ 2, { s->n_noise_bands, BLOCKS_NOISE_LENGTH } }, s->noise_bank);
    nn_node *tone = nn_harmonic(t, harmonic, f0_hz, stiffness, (nn_harmonic_opt){ s->hop_length, s->sample_rate });
    nn_node *hiss = nn_band_mix(t, noise, bank, noise_offset, s->hop_length);
    nn_node *sum = nn_add(t, tone, hiss);
    if (excitation)
        *excitation = sum;
    /* The generator shapes its own contribution; how it gets there is its own affair, so no gradient flows back into
     * the excitation through it: two ways to the same amplitude would fight. */
    nn_node *bands[2] = { nn_pqmf_analysis(&s->pqmf, t, tone ? nn_detach(t, tone) : NULL),
                          nn_pqmf_analysis(&s->pqmf, t, hiss ? nn_detach(t, hiss) : NULL) };
    nn_node *in[3] = { nn_slice(t, out[0], 2, W, W + J), nn_slice(t, z, 2, W, W + J), nn_concat(t, 1, 2, bands) };
    nn_node *added = without_drift(t, nn_network_run(s->generator, t, in, NULL));
    return nn_add(t, sum, nn_pqmf_synthesis(&s->pqmf, t, added));
}

/* ---- one tone ---- */

/* How long a tone rings on after its note-off, and the fades that keep its edges free of clicks. */
static const double RELEASE_S = 0.35, FADE_OUT_S = 0.06, FADE_IN_S = 0.001;

bl_status blocks_synthesizer_run(blocks_synthesizer *s, const blocks_tone *tone, float **samples, int64_t *n_samples,
                                 bl_error *err)
{
    BL_ASSERT(tone->voice >= 0 && tone->voice < s->n_voices);
    const double duration = tone->duration_s < 0.03 ? 0.03 : tone->duration_s > 30 ? 30 : tone->duration_s;
    const int64_t n = (int64_t)ceil((duration + RELEASE_S) * s->sample_rate);
    const int64_t J = ((n + s->hop_length - 1) / s->hop_length + 3) / 4 * 4, W = s->warm_up, frames = W + J + 1;
    nn_tape *t = nn_tape_new(err);
    float *conditions = malloc((size_t)s->n_conditions * (size_t)frames * sizeof *conditions);
    float *z = malloc((size_t)s->n_latent * (size_t)frames * sizeof *z);
    bl_status rc = BL_ENOMEM;
    bl_rng rng;

    *samples = NULL;
    *n_samples = 0;
    if (!t || !conditions || !z) {
        bl_fail(err, BL_ENOMEM, "no memory for a tone of %.1f s", duration);
        goto done;
    }
    nn_tape_record(t, 0);
    blocks_tone exact = *tone;
    exact.duration_s = duration;
    blocks_synthesizer_conditions(s, &exact, -W, frames, conditions);
    bl_rng_seed(&rng, tone->seed);
    for (int i = 0; i < s->n_latent; i++) {
        const float value = (float)bl_rng_normal(&rng);
        for (int64_t j = 0; j < frames; j++)
            z[i * frames + j] = value;
    }
    const double offset = (double)bl_rng_below(&rng, BLOCKS_NOISE_LENGTH);
    nn_node *y = blocks_synthesizer_forward(
        s, t, nn_input(t, (nn_shape){ 3, { 1, s->n_conditions, frames } }, conditions),
        nn_input(t, (nn_shape){ 3, { 1, s->n_latent, frames } }, z),
        nn_full(t, (nn_shape){ 2, { 1, J } }, blocks_synthesizer_f0(s, tone)),
        nn_full(t, (nn_shape){ 1, { 1 } }, offset), NULL);
    if (t->err.code) {
        rc = bl_fail(err, t->err.code, "%s", t->err.msg);
        goto done;
    }
    float *out = malloc((size_t)n * sizeof *out);
    if (!out) {
        bl_fail(err, BL_ENOMEM, "no memory for a tone of %.1f s", duration);
        goto done;
    }
    const int64_t fade_in = (int64_t)(FADE_IN_S * s->sample_rate), fade_out = (int64_t)(FADE_OUT_S * s->sample_rate);
    for (int64_t i = 0; i < n; i++) {
        double gain = 1;
        if (i < fade_in)
            gain = (double)i / (double)fade_in;
        if (n - i < fade_out)
            gain *= 0.5 - 0.5 * cos(3.14159265358979323846 * (double)(n - i) / (double)fade_out);
        out[i] = (float)((double)y->x[i] * gain);
    }
    *samples = out;
    *n_samples = n;
    rc = BL_OK;
done:
    free(conditions);
    free(z);
    nn_tape_free(t);
    return rc;
}
