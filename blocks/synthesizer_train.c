/* Over 600 lines: batches, losses, validation and checkpoints of one trainer share its struct. */
#include "blocks/synthesizer_train.h"

#include "data/instruments.h"
#include "nn/gan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RESOLUTIONS = 8, MAX_FEATURES = 8, HELD_OUT_ONE_IN = 10 };

struct blocks_synthesizer_trainer {
    blocks_synthesizer *s;
    const data_tones   *tones;
    const float        *context;
    int                *voice_of;    /* [n tones] voice, -1 not used                         */
    int                *lead;        /* [n tones] samples before the attack, left out        */
    int                *genre_of;    /* dataset genre -> the synthesizer's                    */
    int64_t            *index;       /* training tones, voice after voice                    */
    int64_t            *first;       /* [n_voices + 1] where each voice starts in index      */
    int64_t            *held_out;
    int64_t             n_held_out;
    nn_tape            *tape;
    nn_optimizer       *generator_optimizer, *wavenet_optimizer, *critic_optimizer;
    nn_ema             *average;
    nn_schedule         schedule;    /* of all three rates */
    bl_rng              rng;
    int                 with_adversary;
    nn_gan_kind         gan;
    double              average_decay;
    double              lr, critic_lr, adversarial_weight, feature_weight, penalty_weight, context_dropout, flux_weight, attack_weight;
    unsigned char      *from_onset;  /* [batch_size] the stretch starts at the onset          */
    int64_t             gan_start, total_steps;
    int                 critic_steps, batch_size, n_frames, n_resolutions, n_features;
    nn_stft_opt         resolution[MAX_RESOLUTIONS];
    char                feature[MAX_FEATURES][48];
    float              *conditions, *z, *target, *f0, *offset;
};

/* ---- voices ---- */

static void voice_name(const data_tone *t, blocks_voice *v)
{
    memset(v, 0, sizeof *v);
    v->program = t->program;
    v->is_drums = t->instrument >= 0 && !data_instrument_at(t->instrument)->is_pitched;
    snprintf(v->instrument, sizeof v->instrument, "%s", data_instrument_name(t->instrument));
    snprintf(v->name, sizeof v->name, "%.60s/%d", v->instrument, v->program);
}

bl_status blocks_voices_find(const data_tones *tones, blocks_voice **voices, int *n_voices, int *voice_of, bl_error *err)
{
    int capacity = 0, n = 0;
    blocks_voice *list = NULL;
    for (int64_t i = 0; i < tones->n; i++) {
        blocks_voice v;
        int k = 0;
        if (voice_of)
            voice_of[i] = -1;
        if (tones->tones[i].instrument < 0)
            continue;
        voice_name(&tones->tones[i], &v);
        while (k < n && strcmp(list[k].name, v.name))
            k++;
        if (k == n) {
            if (n == capacity) {
                capacity = capacity ? 2 * capacity : 16;
                blocks_voice *more = realloc(list, (size_t)capacity * sizeof *more);
                if (!more) {
                    free(list);
                    return bl_fail(err, BL_ENOMEM, "no memory for the voices");
                }
                list = more;
            }
            v.lowest = v.highest = tones->tones[i].pitch;
            list[n++] = v;
        }
        if (tones->tones[i].pitch < list[k].lowest)
            list[k].lowest = tones->tones[i].pitch;
        if (tones->tones[i].pitch > list[k].highest)
            list[k].highest = tones->tones[i].pitch;
        if (voice_of)
            voice_of[i] = k;
    }
    *voices = list;
    *n_voices = n;
    return n ? BL_OK : bl_fail(err, BL_EFORMAT, "no tone of a known instrument in the dataset");
}

/* ---- setting up ---- */

static int is_held_out(const blocks_synthesizer *s, int voice, int pitch)
{
    const uint64_t h = bl_hash(bl_hash(0, s->voices[voice].name, strlen(s->voices[voice].name)), &pitch, sizeof pitch);
    return !s->voices[voice].is_drums && (h >> 20) % HELD_OUT_ONE_IN == 0;
}

/* Samples before the attack. Recordings speak a few milliseconds late, each by a time of its own; learned as they are,
 * their attacks would average to a ramp. The attack is where the level (of 1 ms) first comes within 26 dB of the loudest
 * level of the first 100 ms. At most 30 ms are left out: a bowed tone may take its time. */
static int attack_lead(const data_tone *d, int sample_rate)
{
    const int64_t block = sample_rate / 1000, n = d->n_samples / block < 100 ? d->n_samples / block : 100;
    double level[100], loudest = 0;
    for (int64_t i = 0; i < n; i++) {
        level[i] = 0;
        for (int64_t k = 0; k < block; k++)
            level[i] += (double)d->samples[i * block + k] * (double)d->samples[i * block + k];
        loudest = level[i] > loudest ? level[i] : loudest;
    }
    int64_t at = 0;
    while (at < n && at < 30 && level[at] < 0.0025 * loudest)
        at++;
    return at < n && at > 0 ? (int)((at - 1) * block) : 0;
}

static bl_status sort_tones(blocks_synthesizer_trainer *t, bl_error *err)
{
    blocks_synthesizer *s = t->s;
    int64_t n = 0;
    for (int64_t i = 0; i < t->tones->n; i++) {
        blocks_voice v;
        t->voice_of[i] = -1;
        if (t->tones->tones[i].instrument < 0)
            continue;
        t->lead[i] = attack_lead(&t->tones->tones[i], s->sample_rate);
        voice_name(&t->tones->tones[i], &v);
        for (int k = 0; k < s->n_voices; k++)
            if (!strcmp(s->voices[k].name, v.name))
                t->voice_of[i] = k;
    }
    for (int v = 0; v < s->n_voices; v++) {
        const int64_t first_held_out = t->n_held_out;
        t->first[v] = n;
        for (int64_t i = 0; i < t->tones->n; i++) {
            if (t->voice_of[i] != v)
                continue;
            const data_tone *tone = &t->tones->tones[i];
            const int genre = tone->genre >= 0 ? t->genre_of[tone->genre] : -1;
            s->voice_genre[v * (s->n_genres + 1) + (genre >= 0 ? genre : s->n_genres)] += 1;
            if (is_held_out(s, v, tone->pitch))
                t->held_out[t->n_held_out++] = i;
            else
                t->index[n++] = i;
        }
        if (n == t->first[v]) /* all its pitches would be held out: train on them instead */
            while (t->n_held_out > first_held_out)
                t->index[n++] = t->held_out[--t->n_held_out];
    }
    t->first[s->n_voices] = n;
    return n ? BL_OK : bl_fail(err, BL_EFORMAT, "no tone to train on");
}

static bl_status read_resolutions(blocks_synthesizer_trainer *t, const bl_config *c, bl_error *err)
{
    const char *text = bl_config_str(c, "train", "stft", "2048,1024,512,256");
    for (const char *p = text; *p;) {
        char *end;
        const long n = strtol(p, &end, 10);
        if (end == p || n < 16 || n > 16384 || n % 2 || t->n_resolutions == MAX_RESOLUTIONS)
            return bl_fail(err, BL_EARG, "%s: train.stft: expected up to %d even lengths of 16 to 16384, got \"%s\"",
                           bl_config_name(c), MAX_RESOLUTIONS, text);
        t->resolution[t->n_resolutions++] = (nn_stft_opt){ .n_fft = (int)n, .hop_length = (int)n / 4, .win_length = (int)n };
        for (p = end; *p == ',' || *p == ' ';)
            p++;
    }
    return BL_OK;
}

static bl_status read_features(blocks_synthesizer_trainer *t, const bl_config *c, bl_error *err)
{
    const char *p = bl_config_str(c, "gan", "feature_layers", "");
    while (*p) {
        size_t n = strcspn(p, ", ");
        if (n >= sizeof t->feature[0] || t->n_features == MAX_FEATURES)
            return bl_fail(err, BL_EARG, "%s: gan.feature_layers: at most %d names of layers", bl_config_name(c), MAX_FEATURES);
        if (n) {
            memcpy(t->feature[t->n_features], p, n);
            t->feature[t->n_features++][n] = '\0';
        }
        p += n;
        p += strspn(p, ", ");
    }
    return BL_OK;
}

static bl_status read_config(blocks_synthesizer_trainer *t, nn_optimizer_config *generator, nn_optimizer_config *critic,
                             bl_error *err)
{
    static const char *const kinds[] = { "none", "hinge", "least_squares", "wgan_gp", "dcgan", NULL };
    const bl_config *c = t->s->config;
    t->batch_size = (int)bl_config_int(c, "train", "batch_size", 16, 1, 4096, err);
    t->n_frames = (int)bl_config_int(c, "train", "segment_frames", 64, 4, 16384, err);
    t->flux_weight = bl_config_real(c, "train", "flux_weight", 1, 0, 100, err);
    t->attack_weight = bl_config_real(c, "train", "attack_weight", 5, 0, 100, err);
    t->context_dropout = bl_config_real(c, "train", "context_dropout", 0.5, 0, 1, err);
    const int kind = bl_config_choice(c, "gan", "kind", kinds, 1, err);
    t->with_adversary = kind > 0;
    t->gan = (nn_gan_kind)(kind > 0 ? kind - 1 : 0);
    t->average_decay = bl_config_real(c, "train", "average", 0.995, 0, 0.9999999, err);
    t->gan_start = bl_config_int(c, "gan", "start", 2000, 0, 1000000000, err);
    t->critic_steps = (int)bl_config_int(c, "gan", "critic_steps", 1, 1, 100, err);
    t->adversarial_weight = bl_config_real(c, "gan", "weight", 0.1, 0, 1000, err);
    t->feature_weight = bl_config_real(c, "gan", "feature_weight", 0.2, 0, 1000, err);
    t->penalty_weight = bl_config_real(c, "gan", "penalty_weight", 10, 0, 1000, err);
    if (t->n_frames % 4)
        bl_fail(err, BL_EARG, "%s: train.segment_frames must be a multiple of 4, got %d", bl_config_name(c), t->n_frames);
    if (nn_optimizer_read(c, "train", generator, err) != BL_OK || nn_optimizer_read(c, "gan", critic, err) != BL_OK ||
        read_resolutions(t, c, err) != BL_OK || read_features(t, c, err) != BL_OK)
        return err->code;
    for (int k = 0; k < t->n_features && t->s->discriminator; k++) {
        if (!nn_network_layer(t->s->discriminator, t->feature[k]))
            return bl_fail(err, BL_EARG, "%s: gan.feature_layers: [discriminator] has no layer \"%s\"", bl_config_name(c), t->feature[k]);
        nn_network_keep(t->s->discriminator, t->feature[k]);
    }
    const int64_t n_steps = bl_config_int(c, "train", "steps", 8000, 1, 1000000000, err);
    nn_schedule_read(c, "train", n_steps, 0, &t->schedule, err);
    t->lr = generator->lr;
    t->critic_lr = critic->lr;
    return err->code;
}

bl_status blocks_synthesizer_config_check(const bl_config *config, bl_error *err)
{
    const blocks_voice voice = { .name = "piano/0", .instrument = "piano" };
    bl_error local = { 0 };
    nn_optimizer_config generator, critic;
    blocks_synthesizer_trainer t = { .s = blocks_synthesizer_new(config, &voice, 1, NULL, 0, 1, 0, &local) };
    if (t.s) {
        read_config(&t, &generator, &critic, &local);
        bl_config_merge_used(config, t.s->config);
    }
    blocks_synthesizer_free(t.s);
    return local.code ? bl_fail(err, local.code, "%s", local.msg) : BL_OK;
}

blocks_synthesizer_trainer *blocks_synthesizer_trainer_new(blocks_synthesizer *s, const data_tones *tones,
                                                           const char *const *dataset_genres, const float *context,
                                                           int64_t total_steps, uint64_t seed, bl_error *err)
{
    blocks_synthesizer_trainer *t = calloc(1, sizeof *t);
    nn_optimizer_config generator, critic;
    int n_genres = 0;
    if (!t) {
        bl_fail(err, BL_ENOMEM, "no memory for training");
        return NULL;
    }
    t->s = s;
    t->tones = tones;
    t->context = context;
    t->total_steps = total_steps;
    bl_rng_seed(&t->rng, seed ^ 0x74726169u);
    if (read_config(t, &generator, &critic, err) != BL_OK)
        goto fail;
    for (int64_t i = 0; i < tones->n; i++)
        if (tones->tones[i].genre + 1 > n_genres)
            n_genres = tones->tones[i].genre + 1;
    const size_t n = (size_t)tones->n + 1, frames = (size_t)(s->warm_up + t->n_frames + 1), B = (size_t)t->batch_size;
    t->voice_of = malloc(n * sizeof *t->voice_of);
    t->lead = calloc(n, sizeof *t->lead);
    t->genre_of = malloc((size_t)(n_genres + 1) * sizeof *t->genre_of);
    t->index = malloc(2 * n * sizeof *t->index);
    t->held_out = malloc(n * sizeof *t->held_out);
    t->first = malloc((size_t)(s->n_voices + 1) * sizeof *t->first);
    t->conditions = malloc(B * (size_t)s->n_conditions * frames * sizeof *t->conditions);
    t->z = malloc(B * (size_t)s->n_latent * frames * sizeof *t->z);
    t->target = malloc(B * (size_t)t->n_frames * (size_t)s->hop_length * sizeof *t->target);
    t->f0 = malloc(B * (size_t)t->n_frames * sizeof *t->f0);
    t->offset = malloc(B * sizeof *t->offset);
    t->from_onset = calloc(B, 1);
    t->tape = nn_tape_new(err);
    if (!t->voice_of || !t->lead || !t->genre_of || !t->index || !t->held_out || !t->first || !t->conditions || !t->z || !t->target ||
        !t->f0 || !t->offset || !t->from_onset || !t->tape) {
        bl_fail(err, BL_ENOMEM, "no memory for training");
        goto fail;
    }
    for (int g = 0; g < n_genres; g++)
        t->genre_of[g] = blocks_synthesizer_genre(s, dataset_genres[g]);
    memset(s->voice_genre, 0, (size_t)s->n_voices * (size_t)(s->n_genres + 1) * sizeof *s->voice_genre);
    if (sort_tones(t, err) != BL_OK)
        goto fail;
    t->tape->training = 1;
    t->wavenet_optimizer = nn_optimizer_new(s->params, "wavenet/", &generator, err);
    t->generator_optimizer = t->wavenet_optimizer ? nn_optimizer_new(s->params, "generator/", &generator, err) : NULL;
    if (s->discriminator && t->generator_optimizer)
        t->critic_optimizer = nn_optimizer_new(s->params, "discriminator/", &critic, err);
    t->average = nn_ema_new(s->params, t->average_decay, err);
    if (!t->generator_optimizer || !t->average || (s->discriminator && !t->critic_optimizer) || err->code)
        goto fail;
    return t;
fail:
    blocks_synthesizer_trainer_free(t);
    return NULL;
}

void blocks_synthesizer_trainer_free(blocks_synthesizer_trainer *t)
{
    if (!t)
        return;
    nn_optimizer_free(t->wavenet_optimizer);
    nn_optimizer_free(t->generator_optimizer);
    nn_optimizer_free(t->critic_optimizer);
    nn_ema_free(t->average);
    nn_tape_free(t->tape);
    free(t->voice_of);
    free(t->lead);
    free(t->genre_of);
    free(t->index);
    free(t->held_out);
    free(t->first);
    free(t->conditions);
    free(t->z);
    free(t->target);
    free(t->f0);
    free(t->offset);
    free(t->from_onset);
    free(t);
}

/* ---- a batch ---- */

static blocks_tone tone_of(const blocks_synthesizer_trainer *t, int64_t i)
{
    const data_tone *d = &t->tones->tones[i];
    return (blocks_tone){ .voice = t->voice_of[i], .genre = d->genre >= 0 ? t->genre_of[d->genre] : -1, .pitch = d->pitch,
                          .velocity = d->velocity,
                          .duration_s = d->duration_s - (double)t->lead[i] / t->s->sample_rate, .beat_position = -1,
                          .context = t->context && t->s->n_context ? t->context + (int64_t)d->song * t->s->n_context : NULL };
}

/* Row b of the batch: frames first .. first + n_frames - 1 of a tone. */
static void fill_row(blocks_synthesizer_trainer *t, int b, int64_t i, int64_t first, const blocks_tone *tone, bl_rng *rng)
{
    const blocks_synthesizer *s = t->s;
    const data_tone *d = &t->tones->tones[i];
    const int64_t frames = s->warm_up + t->n_frames + 1, n = (int64_t)t->n_frames * s->hop_length;
    float *z = t->z + (int64_t)b * s->n_latent * frames, *target = t->target + b * n;

    blocks_synthesizer_conditions(s, tone, first - s->warm_up, frames, t->conditions + (int64_t)b * s->n_conditions * frames);
    for (int k = 0; k < s->n_latent; k++) {
        const float value = (float)bl_rng_normal(rng);
        for (int64_t j = 0; j < frames; j++)
            z[k * frames + j] = value;
    }
    t->offset[b] = (float)bl_rng_below(rng, BLOCKS_NOISE_LENGTH);
    t->from_onset[b] = first == 0;
    for (int j = 0; j < t->n_frames; j++)
        t->f0[b * t->n_frames + j] = (float)blocks_synthesizer_f0(s, tone);
    for (int64_t k = 0; k < n; k++) {
        const int64_t at = first * s->hop_length + k;
        target[k] = at < d->n_samples - t->lead[i] ? d->samples[t->lead[i] + at] : 0;
    }
}

static void draw_batch(blocks_synthesizer_trainer *t)
{
    const blocks_synthesizer *s = t->s;
    for (int b = 0; b < t->batch_size; b++) {
        int v;
        do
            v = (int)bl_rng_below(&t->rng, s->n_voices);
        while (t->first[v + 1] == t->first[v]);
        const int64_t i = t->index[t->first[v] + bl_rng_below(&t->rng, t->first[v + 1] - t->first[v])];
        /* half of all stretches start at the onset; the others end inside the recording */
        const int64_t room = (t->tones->tones[i].n_samples - t->lead[i]) / s->hop_length - t->n_frames;
        const int64_t first = room > 0 && bl_rng_uniform(&t->rng) < 0.5 ? bl_rng_below(&t->rng, room + 1) : 0;
        blocks_tone tone = tone_of(t, i);
        if (bl_rng_uniform(&t->rng) < t->context_dropout)
            tone.context = NULL;
        fill_row(t, b, i, first, &tone, &t->rng);
    }
}

/* ---- losses ---- */

/* Magnitudes below this vanish in the 16-bit noise of recordings; the log must not chase them. */
static const double MAGNITUDE_FLOOR = 2e-3;
static const double ATTACK_S = 0.02;

/* How restless each bin is: mean |log magnitude - that of the frame before|, [B, F, 1]. */
static nn_node *restlessness(nn_tape *t, nn_node *log_magnitude)
{
    if (t->err.code)
        return NULL;
    const int64_t frames = log_magnitude->shape.dim[2];
    nn_node *change = nn_sub(t, nn_slice(t, log_magnitude, 2, 1, frames), nn_slice(t, log_magnitude, 2, 0, frames - 1));
    return nn_mean_dims(t, nn_abs(t, change), 4u);
}

/* [B, 1, T]: how much a frame counts. The attack is a few frames of many, and half of what one recognises a tone by. */
static nn_node *attack_weight(const blocks_synthesizer_trainer *t, const nn_node *frames, int hop_length)
{
    nn_tape *tape = t->tape;
    if (tape->err.code)
        return NULL;
    const int64_t B = frames->shape.dim[0], T = frames->shape.dim[2];
    nn_node *weight = nn_full(tape, (nn_shape){ 3, { B, 1, T } }, 1);
    for (int64_t b = 0; weight && b < B && !tape->dry; b++)
        for (int64_t j = 0; t->from_onset[b] && j < T; j++)
            weight->x[b * T + j] += (real)(t->attack_weight * exp(-(double)j * hop_length / (ATTACK_S * t->s->sample_rate)));
    return weight;
}

static nn_node *stft_loss(blocks_synthesizer_trainer *t, nn_node *x, nn_node *y)
{
    nn_tape *tape = t->tape;
    nn_node *total = NULL;
    for (int r = 0; r < t->n_resolutions && !tape->err.code; r++) {
        const double eps = MAGNITUDE_FLOOR * MAGNITUDE_FLOOR * t->resolution[r].n_fft / 1024.0;
        nn_node *X = nn_stft_magnitude(tape, x, t->resolution[r], eps), *Y = nn_stft_magnitude(tape, y, t->resolution[r], eps);
        nn_node *level = nn_mean(tape, Y);
        nn_node *log_x = nn_log(tape, X), *log_y = nn_log(tape, Y);
        nn_node *difference = nn_abs(tape, nn_sub(tape, log_x, log_y));
        nn_node *log_part = nn_mean(tape, nn_mul(tape, difference, attack_weight(t, difference, t->resolution[r].hop_length)));
        nn_node *linear = nn_div(tape, nn_mean(tape, nn_abs(tape, nn_sub(tape, X, Y))), level);
        nn_node *sum = nn_add(tape, log_part, linear);
        if (t->flux_weight > 0)
            sum = nn_add(tape, sum, nn_affine(tape, nn_l1_loss(tape, restlessness(tape, log_x), restlessness(tape, log_y)),
                                              t->flux_weight, 0));
        total = total ? nn_add(tape, total, sum) : sum;
    }
    return nn_affine(tape, total, 1.0 / t->n_resolutions, 0);
}

static double value_of(const nn_node *n)
{
    return n && n->x ? (double)n->x[0] : 0;
}

static nn_node *as_wave(nn_tape *t, nn_node *x)
{
    return t->err.code ? NULL : nn_reshape(t, x, (nn_shape){ 3, { x->shape.dim[0], 1, x->shape.dim[1] } });
}

static int collect_features(blocks_synthesizer_trainer *t, nn_node **out)
{
    for (int k = 0; k < t->n_features; k++) {
        out[k] = nn_network_value(t->s->discriminator, t->feature[k]);
        if (!out[k])
            return 0;
    }
    return 1;
}

/* Mean over the layers of |difference| / |real|. */
static nn_node *feature_distance(blocks_synthesizer_trainer *t, nn_node *const *of_fake, nn_node *const *of_real)
{
    nn_tape *tape = t->tape;
    nn_node *sum = NULL;
    for (int k = 0; k < t->n_features && !tape->err.code; k++) {
        nn_node *real_k = nn_detach(tape, of_real[k]);
        nn_node *level = nn_affine(tape, nn_mean(tape, nn_abs(tape, real_k)), 1, 1e-4);
        nn_node *one = nn_div(tape, nn_l1_loss(tape, of_fake[k], real_k), level);
        sum = sum ? nn_add(tape, sum, one) : one;
    }
    return nn_affine(tape, sum, 1.0 / t->n_features, 0);
}

/* One drawn batch as nodes. */
typedef struct batch {
    nn_node *conditions, *target, *fake;
} batch;

static batch make_batch(blocks_synthesizer_trainer *t)
{
    blocks_synthesizer *s = t->s;
    nn_tape *tape = t->tape;
    const int64_t B = t->batch_size, J = t->n_frames, frames = s->warm_up + J + 1;
    batch b = { NULL, NULL, NULL };
    if (!tape->dry)
        draw_batch(t);
    b.conditions = nn_input(tape, (nn_shape){ 3, { B, s->n_conditions, frames } }, t->conditions);
    b.target = nn_input(tape, (nn_shape){ 2, { B, J * s->hop_length } }, t->target);
    b.fake = nn_keep(blocks_synthesizer_forward(s, tape, b.conditions,
                                                nn_input(tape, (nn_shape){ 3, { B, s->n_latent, frames } }, t->z),
                                                nn_input(tape, (nn_shape){ 2, { B, J } }, t->f0),
                                                nn_input(tape, (nn_shape){ 1, { B } }, t->offset), NULL));
    return b;
}

/* The conditions at the frames of the sound, without those of the warm-up. */
static nn_node *at_frames(const blocks_synthesizer_trainer *t, nn_node *conditions)
{
    return nn_slice(t->tape, conditions, 2, t->s->warm_up, t->s->warm_up + t->n_frames);
}

static nn_node *score_of(blocks_synthesizer_trainer *t, nn_node *wave, nn_node *conditions)
{
    return nn_network_run(t->s->discriminator, t->tape, (nn_node *const[]){ as_wave(t->tape, wave), conditions }, NULL);
}

/* The critic's first step takes the batch that the generator had, every further one draws its own. */
static void critic_steps(blocks_synthesizer_trainer *t, batch b, blocks_synthesizer_losses *losses)
{
    nn_tape *tape = t->tape;
    for (int k = 0; k < t->critic_steps && !tape->err.code; k++) {
        if (k > 0) {
            nn_tape_reset(tape);
            const int recording = nn_tape_record(tape, 0);
            b = make_batch(t);
            nn_tape_record(tape, recording);
        }
        nn_node *fake = tape->err.code ? NULL : nn_detach(tape, b.fake), *conditions = at_frames(t, b.conditions), *penalty = NULL;
        nn_node *real_score = score_of(t, b.target, conditions), *fake_score = score_of(t, fake, conditions);
        nn_node *loss = nn_gan_critic_loss(tape, t->gan, real_score, fake_score);
        if (t->gan == NN_GAN_WGAN_GP && !tape->err.code) {
            nn_node *x = nn_gan_between(tape, b.target, fake, &t->rng);
            /* the slope of the score that the loss sees: the mean over frames */
            nn_node *score = nn_mean_dims(tape, score_of(t, x, conditions), ~1u);
            penalty = nn_keep(nn_gradient_penalty(tape, score, x));
            loss = nn_add(tape, loss, nn_affine(tape, penalty, t->penalty_weight, 0));
        }
        nn_keep(loss);
        nn_backward(tape, loss);
        if (tape->err.code)
            return;
        losses->critic = value_of(loss);
        losses->penalty = value_of(penalty);
        const double norm = tape->dry ? 0 : nn_optimizer_step(t->critic_optimizer);
        if (!isfinite(norm))
            bl_fail(&tape->err, BL_ENAN, "a gradient of the discriminator is not a number");
    }
}

bl_status blocks_synthesizer_trainer_step(blocks_synthesizer_trainer *t, blocks_synthesizer_losses *losses, bl_error *err)
{
    blocks_synthesizer *s = t->s;
    nn_tape *tape = t->tape;
    const int adversary = s->discriminator && t->with_adversary && s->step >= t->gan_start;

    memset(losses, 0, sizeof *losses);
    const double factor = nn_schedule_factor(&t->schedule, s->step);
    nn_optimizer_set_lr(t->wavenet_optimizer, t->lr * factor);
    nn_optimizer_set_lr(t->generator_optimizer, t->lr * factor);
    if (t->critic_optimizer)
        nn_optimizer_set_lr(t->critic_optimizer, t->critic_lr * factor);
    nn_tape_reset(tape);
    tape->rng = bl_rng_fork(&t->rng, (uint64_t)s->step);
    const batch b = make_batch(t);
    nn_node *distance = nn_keep(stft_loss(t, b.fake, b.target)), *loss = distance, *score = NULL, *feature = NULL;

    if (adversary && !tape->err.code) {
        nn_node *of_fake[MAX_FEATURES], *of_real[MAX_FEATURES], *conditions = at_frames(t, b.conditions);
        nn_params_freeze(s->params, "discriminator/", 1);
        score = nn_keep(nn_gan_generator_loss(tape, t->gan, score_of(t, b.fake, conditions)));
        if (t->n_features && t->feature_weight > 0 && collect_features(t, of_fake)) {
            score_of(t, b.target, conditions);
            if (!tape->err.code && collect_features(t, of_real))
                feature = nn_keep(feature_distance(t, of_fake, of_real));
            loss = nn_add(tape, loss, nn_affine(tape, feature, t->feature_weight, 0));
        }
        loss = nn_add(tape, loss, nn_affine(tape, score, t->adversarial_weight, 0));
    }
    nn_keep(loss);
    nn_backward(tape, loss);
    nn_params_freeze(s->params, "discriminator/", 0);
    if (tape->err.code)
        return bl_fail(err, tape->err.code, "%s", tape->err.msg);
    losses->stft = value_of(distance);
    losses->adversarial = value_of(score);
    losses->feature = value_of(feature);
    if (!isfinite(value_of(loss)))
        return bl_fail(err, BL_ENAN, "the loss is not a number");
    const double low = tape->dry ? 0 : nn_optimizer_step(t->wavenet_optimizer);
    const double high = tape->dry ? 0 : nn_optimizer_step(t->generator_optimizer);
    losses->gradient_norm = sqrt(low * low + high * high);
    if (!isfinite(losses->gradient_norm))
        return bl_fail(err, BL_ENAN, "a gradient is not a number");
    if (adversary) {
        critic_steps(t, b, losses);
        if (tape->err.code)
            return bl_fail(err, tape->err.code, "%s", tape->err.msg);
    }
    if (tape->dry)
        return BL_OK;
    nn_ema_update(t->average);
    s->step++;
    return BL_OK;
}

void blocks_synthesizer_trainer_plan(blocks_synthesizer_trainer *t, nn_plan *plan)
{
    const bl_rng rng = t->rng, tape_rng = t->tape->rng;
    const int64_t step = t->s->step;
    blocks_synthesizer_losses losses;
    bl_error err = { BL_OK, "" };
    nn_tape_dry(t->tape, 1);
    if (t->s->step < t->gan_start)
        t->s->step = t->gan_start; /* the step that takes most has an adversary */
    blocks_synthesizer_trainer_step(t, &losses, &err);
    plan->weights = nn_params_bytes(t->s->params);
    plan->moments = nn_optimizer_bytes(t->wavenet_optimizer) + nn_optimizer_bytes(t->generator_optimizer) +
                    nn_optimizer_bytes(t->critic_optimizer) + nn_ema_bytes(t->average);
    plan->step = nn_tape_peak_bytes(t->tape);
    nn_tape_dry(t->tape, 0);
    t->s->step = step;
    t->rng = rng;
    t->tape->rng = tape_rng;
}

/* ---- how good it is ---- */

/* Mean absolute log difference of magnitudes, n_fft 2048 and 512: the log-spectral distance of the reports. */
static double log_spectral_distance(nn_tape *t, const float *x, const float *y, int64_t n)
{
    double sum = 0;
    for (int r = 0; r < 2; r++) {
        const nn_stft_opt o = { .n_fft = r ? 512 : 2048, .hop_length = r ? 128 : 512, .win_length = r ? 512 : 2048 };
        nn_node *X = nn_stft_magnitude(t, nn_input(t, (nn_shape){ 2, { 1, n } }, x), o, MAGNITUDE_FLOOR * MAGNITUDE_FLOOR);
        nn_node *Y = nn_stft_magnitude(t, nn_input(t, (nn_shape){ 2, { 1, n } }, y), o, MAGNITUDE_FLOOR * MAGNITUDE_FLOOR);
        nn_node *d = nn_mean(t, nn_abs(t, nn_sub(t, nn_log(t, X), nn_log(t, Y))));
        sum += value_of(d) / 2;
    }
    return sum;
}

/* Training tone of the same voice that a sampler would take: nearest pitch, then duration and velocity. */
static int64_t nearest_tone(const blocks_synthesizer_trainer *t, int64_t i)
{
    const data_tone *d = &t->tones->tones[i];
    const int v = t->voice_of[i];
    int64_t best = t->index[t->first[v]];
    double best_cost = HUGE_VAL;
    for (int64_t k = t->first[v]; k < t->first[v + 1]; k++) {
        const data_tone *e = &t->tones->tones[t->index[k]];
        const double cost = abs(e->pitch - d->pitch) + fabs((double)(e->velocity - d->velocity)) / 64 +
                            fabs(e->duration_s - d->duration_s);
        if (cost < best_cost) {
            best_cost = cost;
            best = t->index[k];
        }
    }
    return best;
}

/* The generated stretch from the onset on, n_frames long, into out [n_frames hop]. */
static bl_status generate(blocks_synthesizer_trainer *t, int64_t i, float *out, bl_error *err)
{
    blocks_synthesizer *s = t->s;
    nn_tape *tape = t->tape;
    const int64_t J = t->n_frames, frames = s->warm_up + J + 1, n = J * s->hop_length;
    bl_rng rng;
    const blocks_tone tone = tone_of(t, i);
    bl_rng_seed(&rng, (uint64_t)i);
    nn_tape_reset(tape);
    fill_row(t, 0, i, 0, &tone, &rng);
    nn_node *y = blocks_synthesizer_forward(s, tape, nn_input(tape, (nn_shape){ 3, { 1, s->n_conditions, frames } }, t->conditions),
                                            nn_input(tape, (nn_shape){ 3, { 1, s->n_latent, frames } }, t->z),
                                            nn_input(tape, (nn_shape){ 2, { 1, J } }, t->f0),
                                            nn_input(tape, (nn_shape){ 1, { 1 } }, t->offset), NULL);
    if (tape->err.code)
        return bl_fail(err, tape->err.code, "%s", tape->err.msg);
    for (int64_t k = 0; k < n; k++)
        out[k] = (float)y->x[k];
    return BL_OK;
}

/* The recording itself, from the onset on, silence behind its end. */
static void take(const blocks_synthesizer_trainer *t, int64_t i, int64_t n, float *out)
{
    const data_tone *d = &t->tones->tones[i];
    for (int64_t k = 0; k < n; k++)
        out[k] = k < d->n_samples - t->lead[i] ? d->samples[t->lead[i] + k] : 0;
}

bl_status blocks_synthesizer_trainer_validate(blocks_synthesizer_trainer *t, int max_tones, blocks_synthesizer_score *score,
                                              bl_error *err)
{
    const int64_t n = (int64_t)t->n_frames * t->s->hop_length;
    float *generated = malloc((size_t)n * 3 * sizeof *generated), *truth = generated + n, *other = truth + n;
    bl_status rc = BL_OK;
    bl_rng rng;
    memset(score, 0, sizeof *score);
    if (!generated)
        return bl_fail(err, BL_ENOMEM, "no memory to validate");
    const int recording = nn_tape_record(t->tape, 0);
    t->tape->training = 0;
    nn_ema_swap(t->average);
    bl_rng_seed(&rng, 1);
    const int64_t count = t->n_held_out < max_tones ? t->n_held_out : max_tones;
    for (int64_t k = 0; k < count; k++) {
        const int64_t i = t->held_out[k * t->n_held_out / count];
        const int v = t->voice_of[i];
        const int64_t random_tone = t->index[t->first[v] + bl_rng_below(&rng, t->first[v + 1] - t->first[v])];
        if ((rc = generate(t, i, generated, err)) != BL_OK)
            break;
        nn_tape_reset(t->tape);
        take(t, i, n, truth);
        score->generated += log_spectral_distance(t->tape, generated, truth, n) / (double)count;
        take(t, nearest_tone(t, i), n, other);
        score->nearest += log_spectral_distance(t->tape, other, truth, n) / (double)count;
        take(t, random_tone, n, other);
        score->random_tone += log_spectral_distance(t->tape, other, truth, n) / (double)count;
        score->n++;
    }
    if (rc == BL_OK && score->n)
        nn_schedule_watch(&t->schedule, score->generated);
    nn_ema_swap(t->average);
    t->tape->training = 1;
    nn_tape_record(t->tape, recording);
    free(generated);
    return rc;
}

bl_status blocks_synthesizer_trainer_preview(blocks_synthesizer_trainer *t, int count, float **generated, float **real_tones,
                                             int64_t *n_samples, bl_error *err)
{
    const int64_t n = (int64_t)t->n_frames * t->s->hop_length;
    const int voices = t->s->n_voices < count ? t->s->n_voices : count;
    bl_status rc = BL_OK;
    *n_samples = n * voices;
    *generated = malloc((size_t)(n * voices) * sizeof **generated);
    *real_tones = malloc((size_t)(n * voices) * sizeof **real_tones);
    if (!*generated || !*real_tones) {
        free(*generated);
        free(*real_tones);
        return bl_fail(err, BL_ENOMEM, "no memory for the preview");
    }
    const int recording = nn_tape_record(t->tape, 0);
    t->tape->training = 0;
    nn_ema_swap(t->average);
    for (int v = 0; v < voices && rc == BL_OK; v++) {
        const int64_t i = t->index[(t->first[v] + t->first[v + 1]) / 2];
        rc = generate(t, i, *generated + v * n, err);
        take(t, i, n, *real_tones + v * n);
    }
    nn_ema_swap(t->average);
    t->tape->training = 1;
    nn_tape_record(t->tape, recording);
    if (rc != BL_OK) {
        free(*generated);
        free(*real_tones);
    }
    return rc;
}

/* ---- checkpoints ---- */

bl_status blocks_synthesizer_trainer_put(const blocks_synthesizer_trainer *t, nn_checkpoint *c, bl_error *err)
{
    int64_t state[4];
    memcpy(state, t->rng.s, sizeof state);
    blocks_synthesizer_put(t->s, c, err);
    nn_params_save(t->s->params, c, "", err);
    nn_ema_save(t->average, c, "average/", err);
    nn_optimizer_save(t->wavenet_optimizer, c, err);
    nn_optimizer_save(t->generator_optimizer, c, err);
    if (t->critic_optimizer)
        nn_optimizer_save(t->critic_optimizer, c, err);
    nn_schedule_save(&t->schedule, c, err);
    nn_checkpoint_put(c, "random/state", NN_I64, 1, (int64_t[]){ 4 }, state, err);
    return err->code;
}

bl_status blocks_synthesizer_trainer_get(blocks_synthesizer_trainer *t, const nn_checkpoint *c, bl_error *err)
{
    if (nn_params_load(t->s->params, c, "", err) != BL_OK || nn_ema_load(t->average, c, "average/", err) != BL_OK ||
        nn_optimizer_load(t->wavenet_optimizer, c, err) != BL_OK || nn_optimizer_load(t->generator_optimizer, c, err) != BL_OK ||
        (t->critic_optimizer && nn_optimizer_load(t->critic_optimizer, c, err) != BL_OK) ||
        nn_schedule_load(&t->schedule, c, err) != BL_OK)
        return err->code;
    int64_t *state = nn_checkpoint_get(c, "random/state", NN_I64, 1, (int64_t[]){ 4 }, NULL, err);
    if (!state)
        return err->code;
    memcpy(t->rng.s, state, sizeof t->rng.s);
    free(state);
    t->s->step = nn_checkpoint_get_int(c, "step", t->s->step, err);
    return err->code;
}

bl_status blocks_synthesizer_trainer_export(blocks_synthesizer_trainer *t, const char *path, int64_t seed, bl_error *err)
{
    const blocks_synthesizer *s = t->s;
    /* Networks without the discriminator and its averages, which inference has no use for. */
    bl_config *config = bl_config_copy(s->config);
    blocks_synthesizer *alone = config ? blocks_synthesizer_new(config, s->voices, s->n_voices, s->genres, s->n_genres, 0, 0, err) : NULL;
    nn_checkpoint *c = alone ? nn_checkpoint_create(path, "wavegan", err) : NULL;
    bl_config_free(config);
    if (!c) {
        blocks_synthesizer_free(alone);
        return bl_fail(err, BL_ENOMEM, "no memory to export the synthesizer");
    }
    nn_ema_swap(t->average);
    nn_params_copy(alone->params, s->params);
    nn_ema_swap(t->average);
    blocks_synthesizer_put(s, c, err);
    nn_checkpoint_put_int(c, "seed", seed, err);
    nn_params_save(alone->params, c, "average/", err);
    blocks_synthesizer_free(alone);
    return nn_checkpoint_commit(c, err);
}
