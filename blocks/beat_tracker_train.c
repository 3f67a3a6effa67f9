#include "blocks/beat_tracker_train.h"

#include "blocks/beat_levels.h"
#include "nn/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    int    batch_size, n_frames;
    int    shift, level_examples, learns_beats;
    double stretch, downbeat_weight, tempo_weight, level_weight;
    nn_trainer_config run;
} settings;

static bl_status read_settings(const bl_config *c, settings *s, bl_error *err)
{
    s->batch_size = (int)bl_config_int(c, "beats", "batch_size", 8, 1, 4096, err);
    s->n_frames = (int)bl_config_int(c, "beats", "segment_frames", 1400, 50, 1000000, err);
    s->stretch = bl_config_real(c, "beats", "stretch", 0.2, 0, 1, err);
    s->downbeat_weight = bl_config_real(c, "beats", "downbeat_weight", 2, 0, 100, err);
    s->tempo_weight = bl_config_real(c, "beats", "tempo_weight", 0.04, 0, 100, err);
    s->level_weight = bl_config_real(c, "beats", "level_weight", 0.04, 0, 100, err);
    s->level_examples = (int)bl_config_int(c, "beats", "level_examples", 64, 0, 65536, err);
    const char *freeze = bl_config_str(c, "beats", "freeze", "");
    s->learns_beats = strcmp(freeze, "beat_network") != 0;
    if (!strcmp(freeze, "level_network"))
        s->level_examples = 0;
    else if (*freeze && s->learns_beats)
        bl_fail(err, BL_EARG, "%s: beats.freeze: expected beat_network or level_network, got \"%s\"", bl_config_name(c), freeze);
    s->shift = (int)bl_config_int(c, "beats", "shift", 2, 0, 10, err);
    bl_config_real(c, "beats", "held_out", 0.06, 0, 0.9, err); /* read when recordings are collected */
    bl_config_str(c, "beats", "init", "");                     /* read by train_beats                  */
    nn_trainer_read(c, "beats", 2400, 0, 0.995, &s->run, err);
    return err->code;
}

bl_status blocks_beat_settings_read(const blocks_beat_tracker *t, bl_error *err)
{
    settings s = { 0 };
    return read_settings(t->config, &s, err);
}

struct blocks_beat_trainer {
    blocks_beat_tracker     *t;
    const blocks_beat_songs *songs;
    nn_trainer    run;       /* its averages are what is validated and shipped */
    settings      set;
    int64_t      *first;    /* [n + 1] training frames before each song           */
    float        *input;    /* [batch, bands, frames]                             */
    float        *target, *weight; /* [batch, 2, frames]                          */
    float        *levels, *mask; /* [level_examples, AUDIO_LEVELS, AUDIO_LEVEL_FEATURES], [level_examples, AUDIO_LEVELS] */
    float        *told, *told_mask; /* [n_told, ...] the same of all recordings   */
    int64_t       n_told;
    float        *tempo;    /* [batch, AUDIO_TEMPOS] chances; all 0: not known    */
};

enum { LEVEL_FRAMES = 40 * AUDIO_BEAT_FPS };

static bl_status collect_levels(blocks_beat_trainer *t, bl_error *err);

blocks_beat_trainer *blocks_beat_trainer_new(blocks_beat_tracker *tracker, const blocks_beat_songs *songs, uint64_t seed,
                                             bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    blocks_beat_trainer *t = calloc(1, sizeof *t);
    if (!t) {
        bl_fail(e, BL_ENOMEM, "no memory for training");
        return NULL;
    }
    t->t = tracker;
    t->songs = songs;
    if (read_settings(tracker->config, &t->set, e) != BL_OK)
        goto fail;
    const size_t n = (size_t)t->set.batch_size * (size_t)t->set.n_frames;
    t->first = malloc((size_t)(songs->n + 1) * sizeof *t->first);
    t->input = malloc(n * AUDIO_BEAT_BANDS * sizeof *t->input);
    t->target = malloc(2 * n * sizeof *t->target);
    t->weight = malloc(2 * n * sizeof *t->weight);
    t->tempo = malloc((size_t)t->set.batch_size * AUDIO_TEMPOS * sizeof *t->tempo);
    const size_t n_levels = (size_t)t->set.level_examples * AUDIO_LEVELS + 1;
    t->levels = malloc(n_levels * AUDIO_LEVEL_FEATURES * sizeof *t->levels);
    t->mask = malloc(n_levels * sizeof *t->mask);
    if (!tracker->levels)
        t->set.level_examples = 0;
    if (!t->first || !t->input || !t->target || !t->weight || !t->tempo || !t->levels || !t->mask) {
        bl_fail(e, BL_ENOMEM, "no memory for training");
        goto fail;
    }
    t->first[0] = 0;
    for (int i = 0; i < songs->n; i++)
        t->first[i + 1] = t->first[i] + (songs->songs[i].held_out ? 0 : songs->songs[i].bands.n_frames);
    if (t->first[songs->n] < 1) {
        bl_fail(e, BL_EFORMAT, "no recording is left to train on: all are held out");
        goto fail;
    }
    if (t->set.level_examples && collect_levels(t, e) != BL_OK)
        goto fail;
    if (!t->n_told)
        t->set.level_examples = 0;
    if (!t->set.learns_beats && !t->set.level_examples) {
        bl_fail(e, BL_EARG, "nothing to learn: beats.freeze = beat_network, and no level to tell in these recordings");
        goto fail;
    }
    nn_params_freeze(tracker->params, "beat_network/", !t->set.learns_beats);
    nn_params_freeze(tracker->params, "level_network/", !t->set.level_examples);
    if (nn_trainer_start(&t->run, tracker->params, &t->set.run, seed ^ 0x62656174u, e) != BL_OK)
        goto fail;
    return t;
fail:
    blocks_beat_trainer_free(t);
    return NULL;
}

void blocks_beat_trainer_free(blocks_beat_trainer *t)
{
    if (!t)
        return;
    nn_trainer_free(&t->run);
    free(t->first);
    free(t->input);
    free(t->target);
    free(t->weight);
    free(t->tempo);
    free(t->levels);
    free(t->mask);
    free(t->told);
    free(t->told_mask);
    free(t);
}

/* ---- a step ---- */

/* What a stretch goes through on its way to the network. */
typedef struct colour {
    float gain[AUDIO_BEAT_BANDS];  /* added to the logs            */
    float noise[AUDIO_BEAT_BANDS]; /* log level; -INFINITY: none   */
    int   highest;                 /* bands from here on are empty */
    int   shift;                   /* band b sounds like b + shift */
} colour;

static void draw_colour(bl_rng *rng, double loudness, int shift, colour *c)
{
    const double level = 0.3 * bl_rng_normal(rng), tilt = 0.5 * bl_rng_normal(rng), bump = 0.6 * bl_rng_normal(rng);
    const double at = AUDIO_BEAT_BANDS * bl_rng_uniform(rng), width = 4 + 16 * bl_rng_uniform(rng);
    const int    noisy = bl_rng_uniform(rng) < 0.3, dull = bl_rng_uniform(rng) < 0.15;
    const double noise = loudness - 1.5 - 4 * bl_rng_uniform(rng), noise_tilt = 1.5 * bl_rng_normal(rng);
    for (int b = 0; b < AUDIO_BEAT_BANDS; b++) {
        const double along = (double)b / AUDIO_BEAT_BANDS - 0.5, off = (b - at) / width;
        c->gain[b] = (float)(level + tilt * along + bump * exp(-off * off));
        c->noise[b] = noisy ? (float)(noise + noise_tilt * along) : -INFINITY;
    }
    c->shift = (int)bl_rng_below(rng, 2 * shift + 1) - shift;
    c->highest = dull ? 30 + (int)bl_rng_below(rng, AUDIO_BEAT_BANDS - 30) : AUDIO_BEAT_BANDS;
}

/* Band values of a stretch that begins at frame `start` of the song, `speed` frames for each of ours, into x [bands, N]. */
static void fill_bands(blocks_beat_trainer *t, const blocks_beat_song *song, double start, double speed, float *x)
{
    const int64_t N = t->set.n_frames, T = song->bands.n_frames;
    colour        c;
    draw_colour(&t->run.rng, song->bands.loudness, t->set.shift, &c);
    for (int64_t j = 0; j < N; j++) {
        const double  at = start + speed * (double)j;
        const int64_t i = (int64_t)at;
        const double  share = at - (double)i;
        const unsigned char *now = song->bands.level + i * AUDIO_BEAT_BANDS;
        for (int b = 0; b < AUDIO_BEAT_BANDS; b++) {
            const int from = b + c.shift < 0 ? 0 : b + c.shift < AUDIO_BEAT_BANDS ? b + c.shift : AUDIO_BEAT_BANDS - 1;
            double    v = -1e3;
            if (i + 1 < T && b < c.highest) {
                v = (1 - share) * now[from] + share * now[AUDIO_BEAT_BANDS + from];
                v = AUDIO_BEAT_BOTTOM + AUDIO_BEAT_STEP * v + (double)c.gain[b];
            }
            if (isfinite(c.noise[b]) && b < c.highest) { /* noise goes up and down by itself */
                const double n = (double)c.noise[b] + 0.35 * (2 * bl_rng_uniform(&t->run.rng) - 1), d = fabs(v - n);
                v = fmax(v, n) + (d < 8 ? 0.5 * log1p(exp(-2 * d)) : 0);
            }
            x[b * N + j] = blocks_beat_tracker_input(v, song->bands.loudness);
        }
    }
}

static void fill_targets(const blocks_beat_trainer *t, const blocks_beat_song *song, double start, double speed, float *target,
                         float *weight)
{
    static const double REACH = 1.5; /* frames */
    const int64_t N = t->set.n_frames;
    const double  frames_per_s = 1 / song->bands.hop_s;
    const int     last = song->n_beats - 1;
    int           bars = 1;
    memset(target, 0, 2 * (size_t)N * sizeof *target);
    for (int k = 0; k <= last; k++) {
        const double at = (song->beats[k].time_s * frames_per_s - start) / speed;
        bars = bars && song->beats[k].place > 0;
        for (int64_t j = (int64_t)ceil(fmax(0, at - REACH)); j < N && (double)j < at + REACH; j++) {
            const float y = (float)(1 - fabs((double)j - at) / REACH);
            target[j] = fmaxf(target[j], y);
            if (song->beats[k].place == 1)
                target[N + j] = fmaxf(target[N + j], y);
        }
    }
    const double before = song->beats[0].time_s - 0.5 * (song->beats[1].time_s - song->beats[0].time_s);
    const double behind = song->beats[last].time_s + 0.5 * (song->beats[last].time_s - song->beats[last - 1].time_s);
    for (int64_t j = 0; j < N; j++) {
        const double at = (start + speed * (double)j) / frames_per_s;
        const int    known = (at >= before && at <= behind) || at > song->duration_s;
        weight[j] = known ? 1 : 0;
        weight[N + j] = known && bars ? 1 : 0;
    }
}

/* The chance of each tempo: that of the beats in the stretch, and its neighbours. */
static void fill_tempo(const blocks_beat_trainer *t, const blocks_beat_song *song, double start, double speed, float *tempo)
{
    static const double REACH = 2; /* bins */
    const double from = start * song->bands.hop_s, to = from + speed * (double)t->set.n_frames * song->bands.hop_s;
    int          first = 0, end = 0;
    double       sum = 0;
    while (first < song->n_beats && song->beats[first].time_s < from)
        first++;
    for (end = first; end < song->n_beats && song->beats[end].time_s < to;)
        end++;
    memset(tempo, 0, AUDIO_TEMPOS * sizeof *tempo);
    if (end - first < 4)
        return;
    const double period = (song->beats[end - 1].time_s - song->beats[first].time_s) / (end - 1 - first) / speed;
    const double at = audio_tempo_bin(60 / period);
    for (int k = 0; k < AUDIO_TEMPOS; k++) {
        tempo[k] = (float)fmax(0, 1 - fabs(k - at) / REACH);
        sum += (double)tempo[k];
    }
    for (int k = 0; k < AUDIO_TEMPOS; k++)
        tempo[k] /= (float)sum;
}

/* A recording, each as likely as it is long. */
static const blocks_beat_song *draw_song(blocks_beat_trainer *t)
{
    int64_t at;
    return &t->songs->songs[bl_rng_pick(&t->run.rng, t->first, t->songs->n, &at)];
}

static void fill_example(blocks_beat_trainer *t, int b)
{
    const int64_t N = t->set.n_frames;
    const blocks_beat_song *song = draw_song(t);
    const double speed = exp(t->set.stretch * (2 * bl_rng_uniform(&t->run.rng) - 1));
    const double latest = (double)song->bands.n_frames - speed * (double)N, start = latest > 0 ? latest * bl_rng_uniform(&t->run.rng) : 0;
    fill_bands(t, song, start, speed, t->input + (int64_t)b * AUDIO_BEAT_BANDS * N);
    fill_targets(t, song, start, speed, t->target + 2 * b * N, t->weight + 2 * b * N);
    fill_tempo(t, song, start, speed, t->tempo + (int64_t)b * AUDIO_TEMPOS);
}

/* ---- levels ---- */

/* The grid from frame `start` of a song on, at three levels: features and mask (0, or -1e9 where a level cannot be; its features are
 * those of the true level then). Returns whether the true level can be told. */
static int describe_levels(const blocks_beat_song *song, int64_t start, float *flux, float *features, float *mask)
{
    const int64_t left = song->bands.n_frames - start, n = left < LEVEL_FRAMES ? left : LEVEL_FRAMES;
    const audio_beat_bands part = { song->bands.level + start * AUDIO_BEAT_BANDS, n, song->bands.hop_s, song->bands.loudness };
    double        beats_s[1024];
    int           n_beats = 0;
    for (int k = 0; k < song->n_beats && n_beats < 1024; k++) {
        const double at = song->beats[k].time_s - (double)start * part.hop_s;
        if (at >= 0 && at < (double)n * part.hop_s)
            beats_s[n_beats++] = at;
    }
    audio_beat_flux(&part, flux);
    for (int k = 0; k < AUDIO_LEVELS; k++)
        mask[k] = audio_level_features(flux, n, part.hop_s, beats_s, n_beats, k, features + k * AUDIO_LEVEL_FEATURES) ? 0 : -1e9f;
    for (int k = 0; k < AUDIO_LEVELS; k++)
        if (mask[k] < 0)
            memcpy(features + k * AUDIO_LEVEL_FEATURES, features + AUDIO_LEVEL_FEATURES, AUDIO_LEVEL_FEATURES * sizeof *features);
    return mask[1] == 0;
}

/* Every LEVEL_FRAMES of every song to train on, once: t->told, t->told_mask, t->n_told. */
static bl_status collect_levels(blocks_beat_trainer *t, bl_error *err)
{
    int64_t most = 0;
    for (int i = 0; i < t->songs->n; i++)
        most += t->songs->songs[i].bands.n_frames / LEVEL_FRAMES + 1;
    float *flux = malloc(LEVEL_FRAMES * AUDIO_LEVEL_GROUPS * sizeof *flux);
    t->told = calloc((size_t)most * AUDIO_LEVELS * AUDIO_LEVEL_FEATURES, sizeof *t->told);
    t->told_mask = malloc((size_t)most * AUDIO_LEVELS * sizeof *t->told_mask);
    if (!flux || !t->told || !t->told_mask) {
        free(flux);
        return bl_fail(err, BL_ENOMEM, "no memory for training");
    }
    for (int i = 0; i < t->songs->n; i++)
        for (int64_t start = 0; !t->songs->songs[i].held_out && start < t->songs->songs[i].bands.n_frames; start += LEVEL_FRAMES)
            t->n_told += describe_levels(&t->songs->songs[i], start, flux, t->told + t->n_told * AUDIO_LEVELS * AUDIO_LEVEL_FEATURES,
                                         t->told_mask + t->n_told * AUDIO_LEVELS);
    free(flux);
    return BL_OK;
}

/* One of them, as if it were played up to `stretch` faster or slower. */
static void fill_levels(blocks_beat_trainer *t, float *features, float *mask)
{
    const int64_t k = bl_rng_below(&t->run.rng, t->n_told);
    const float   octaves = (float)(t->set.stretch * (2 * bl_rng_uniform(&t->run.rng) - 1) / log(2.0));
    memcpy(features, t->told + k * AUDIO_LEVELS * AUDIO_LEVEL_FEATURES, AUDIO_LEVELS * AUDIO_LEVEL_FEATURES * sizeof *features);
    memcpy(mask, t->told_mask + k * AUDIO_LEVELS, AUDIO_LEVELS * sizeof *mask);
    for (int level = 0; level < AUDIO_LEVELS; level++) {
        float *octave = features + (level + 1) * AUDIO_LEVEL_FEATURES - 2;
        octave[0] += octaves;
        octave[1] = octave[0] * octave[0];
        if (level != 1 && (octave[0] < (float)log2(AUDIO_LEVEL_SLOWEST / 100.0) || octave[0] > (float)log2(AUDIO_LEVEL_FASTEST / 100.0)))
            mask[level] = -1e9f;
    }
}

/* Cross-entropy of the true level, which is the middle one; the network sees each by itself. */
static nn_node *level_entropy(blocks_beat_trainer *t)
{
    const int64_t E = t->set.level_examples;
    nn_tape      *tape = t->run.tape;
    for (int64_t e = 0; e < E && !tape->dry; e++)
        fill_levels(t, t->levels + e * AUDIO_LEVELS * AUDIO_LEVEL_FEATURES, t->mask + e * AUDIO_LEVELS);
    nn_node *x = nn_input(tape, (nn_shape){ 2, { E * AUDIO_LEVELS, AUDIO_LEVEL_FEATURES } }, t->levels);
    nn_node *logits = nn_reshape(tape, nn_network_run(t->t->levels, tape, &x, NULL), (nn_shape){ 2, { E, AUDIO_LEVELS } });
    logits = nn_add(tape, logits, nn_input(tape, (nn_shape){ 2, { E, AUDIO_LEVELS } }, t->mask));
    nn_node *log_p = nn_slice(tape, nn_log_softmax(tape, logits), 1, 1, 2);
    return nn_affine(tape, nn_sum(tape, log_p), -1.0 / (double)E, 0);
}

/* Weighted cross-entropy of beats and downbeats: their sum, and each into losses. logits, target, weight [B, 2, N]. */
static nn_node *cross_entropy(nn_tape *tape, nn_node *logits, nn_node *target, nn_node *weight, double n, double downbeat_weight,
                              nn_node *each[2])
{
    nn_node *loss = nn_sub(tape, nn_softplus(tape, logits), nn_mul(tape, logits, target));
    loss = nn_affine(tape, nn_mul(tape, loss, weight), 1 / n, 0);
    for (int k = 0; k < 2; k++)
        each[k] = nn_keep(nn_sum(tape, nn_slice(tape, loss, 1, k, k + 1)));
    return nn_add(tape, each[0], nn_affine(tape, each[1], downbeat_weight, 0));
}

/* votes [B, AUDIO_TEMPOS, N], chances [B, AUDIO_TEMPOS, 1]: every frame's vote counts the same. */
static nn_node *tempo_entropy(nn_tape *tape, nn_node *votes, nn_node *chances, double n)
{
    nn_node *log_p = nn_log_softmax_dim(tape, nn_mean_dims(tape, votes, 1u << 2), 1);
    return nn_affine(tape, nn_sum(tape, nn_mul(tape, log_p, chances)), -1 / n, 0);
}

/* Beats, downbeats and tempo of a batch; each into parts[3]. */
static nn_node *beat_loss(blocks_beat_trainer *t, nn_node *parts[4])
{
    const int64_t B = t->set.batch_size, N = t->set.n_frames;
    nn_tape *tape = t->run.tape;
    nn_node *outputs[2];

    for (int b = 0; b < B && !tape->dry; b++)
        fill_example(t, b);
    nn_node *x = nn_input(tape, (nn_shape){ 3, { B, AUDIO_BEAT_BANDS, N } }, t->input);
    nn_network_run(t->t->net, tape, &x, outputs);
    nn_node *loss = cross_entropy(tape, outputs[0], nn_input(tape, (nn_shape){ 3, { B, 2, N } }, t->target),
                                  nn_input(tape, (nn_shape){ 3, { B, 2, N } }, t->weight), (double)(B * N), t->set.downbeat_weight, parts);
    if (!t->t->hears_tempo)
        return loss;
    nn_node *chances = nn_input(tape, (nn_shape){ 3, { B, AUDIO_TEMPOS, 1 } }, t->tempo);
    parts[2] = nn_keep(tempo_entropy(tape, outputs[1], chances, (double)B));
    return nn_add(tape, loss, nn_affine(tape, parts[2], t->set.tempo_weight, 0));
}

static bl_status learn_batch(void *user, double *losses, bl_error *err)
{
    blocks_beat_trainer *t = user;
    nn_tape *tape = t->run.tape;
    nn_node *parts[4] = { NULL, NULL, NULL, NULL }, *loss = NULL;

    nn_tape_reset(tape);
    if (t->set.learns_beats)
        loss = beat_loss(t, parts);
    if (t->set.level_examples) {
        parts[3] = nn_keep(level_entropy(t));
        nn_node *weighted = nn_affine(tape, parts[3], t->set.level_weight, 0);
        loss = loss ? nn_add(tape, loss, weighted) : weighted;
    }
    nn_backward(tape, loss);
    if (tape->err.code)
        return bl_fail(err, tape->err.code, "%s", tape->err.msg);
    for (int k = 0; k < 4; k++)
        losses[k] = parts[k] ? nn_scalar(parts[k]) : 0;
    return BL_OK;
}

void blocks_beat_trainer_plan(blocks_beat_trainer *t, nn_plan *plan)
{
    nn_trainer_plan(&t->run, learn_batch, t, plan);
}

bl_status blocks_beat_trainer_step(blocks_beat_trainer *t, double losses[4], double *gradient_norm, bl_error *err)
{
    return nn_trainer_step(&t->run, learn_batch, t, losses, 4, &t->t->step, gradient_norm, err);
}

/* ---- figures ---- */

static double entropy_of(const float *p, const blocks_beat_song *song, int downbeats, double *n)
{
    double sum = 0;
    int    k = 0;
    for (int64_t j = 0; j < song->bands.n_frames; j++) {
        const double at = (double)j * song->bands.hop_s;
        while (k + 1 < song->n_beats && fabs(song->beats[k + 1].time_s - at) <= fabs(song->beats[k].time_s - at))
            k++;
        double y = fmax(0, 1 - fabs(song->beats[k].time_s - at) / song->bands.hop_s / 1.5);
        if (downbeats && song->beats[k].place != 1)
            y = 0;
        if (at < song->beats[0].time_s || at > song->beats[song->n_beats - 1].time_s || (downbeats && !song->beats[k].place))
            continue;
        const double q = fmin(fmax((double)p[j], 1e-6), 1 - 1e-6);
        sum -= y * log(q) + (1 - y) * log(1 - q);
        (*n)++;
    }
    return sum;
}

double blocks_beat_f(const double *found, int n_found, const double *truth, int n_truth, double window_s)
{
    int hits = 0;
    for (int i = 0, k = 0; i < n_found && k < n_truth;) {
        if (fabs(found[i] - truth[k]) <= window_s)
            hits++, i++, k++;
        else if (found[i] < truth[k])
            i++;
        else
            k++;
    }
    return n_found + n_truth > 0 ? 2.0 * hits / (n_found + n_truth) : 0;
}

/* Figures of a song, summed over songs: beats, downbeats (of songs whose bars are known), tempo. */
typedef struct sums {
    double beats, downbeats, tempo, n_bars;
} sums;

static void score_grid(const blocks_beat_song *song, double bpm, const double *beats, int n_beats, const double *bars, int n_bars,
                       double *scratch, sums *out)
{
    static const double WINDOW_S = 0.07;
    const double first = song->beats[0].time_s, last = song->beats[song->n_beats - 1].time_s;
    const double period = (last - first) / (song->n_beats - 1);
    int n_true = 0, from = 0, to = n_beats, from_bar = 0, to_bar = n_bars, known = 1;
    for (int i = 0; i < song->n_beats; i++)
        scratch[i] = song->beats[i].time_s;
    while (from < to && beats[from] < first - period / 2)
        from++;
    while (to > from && beats[to - 1] > last + period / 2)
        to--;
    out->beats += blocks_beat_f(beats + from, to - from, scratch, song->n_beats, WINDOW_S);
    out->tempo += fabs(bpm * period / 60 - 1) < 0.04;
    for (int i = 0; i < song->n_beats; i++) {
        known = known && song->beats[i].place > 0;
        if (song->beats[i].place == 1)
            scratch[n_true++] = song->beats[i].time_s;
    }
    while (from_bar < to_bar && bars[from_bar] < first - period / 2)
        from_bar++;
    while (to_bar > from_bar && bars[to_bar - 1] > last + period / 2)
        to_bar--;
    if (known) {
        out->downbeats += blocks_beat_f(bars + from_bar, to_bar - from_bar, scratch, n_true, WINDOW_S);
        out->n_bars++;
    }
}

/* The whole chain's grid, and that of a steady 120. */
static bl_status score_song(blocks_beat_tracker *t, const blocks_beat_song *song, const audio_beat_activity *heard, sums *chain,
                            sums *steady, bl_error *err)
{
    const int    n = (int)(song->duration_s / 0.5) + 1;
    double      *scratch = malloc(sizeof(double) * (size_t)(song->n_beats + 2 * n));
    audio_rhythm r = { 0 };
    bl_status    status = scratch ? blocks_beat_grid(t, song->duration_s, (audio_rhythm_config){ .activity = heard }, &r, err)
                                  : bl_fail(err, BL_ENOMEM, "no memory for figures");
    if (status == BL_OK) {
        double *beats = scratch + song->n_beats, *bars = beats + n;
        for (int i = 0; i < n; i++)
            beats[i] = 0.5 * i;
        for (int i = 0; 4 * i < n; i++)
            bars[i] = 2.0 * i;
        score_grid(song, r.bpm, r.beats_s, r.n_beats, r.downbeats_s, r.n_downbeats, scratch, chain);
        score_grid(song, 120, beats, n, bars, (n + 3) / 4, scratch, steady);
    }
    audio_rhythm_free(&r);
    free(scratch);
    return status;
}

bl_status blocks_beat_trainer_validate(blocks_beat_trainer *t, blocks_beat_score *score, bl_error *err)
{
    double    n[2] = { 0, 0 };
    sums      chain = { 0, 0, 0, 0 }, steady = { 0, 0, 0, 0 };
    bl_status status = BL_OK;
    memset(score, 0, sizeof *score);
    nn_trainer_swap(&t->run);
    for (int i = 0; status == BL_OK && i < t->songs->n; i++) {
        const blocks_beat_song *song = &t->songs->songs[i];
        audio_beat_activity     heard;
        if (!song->held_out || (status = blocks_beat_tracker_hear(t->t, &song->bands, &heard, err)) != BL_OK)
            continue;
        score->loss += entropy_of(heard.beat, song, 0, &n[0]);
        score->downbeat_loss += entropy_of(heard.downbeat, song, 1, &n[1]);
        status = score_song(t->t, song, &heard, &chain, &steady, err);
        score->n_songs++;
        audio_beat_activity_free(&heard);
    }
    nn_trainer_swap(&t->run);
    score->loss /= fmax(1, n[0]);
    score->downbeat_loss /= fmax(1, n[1]);
    const double songs = fmax(1, score->n_songs), bars = fmax(1, chain.n_bars);
    score->beats = chain.beats / songs, score->downbeats = chain.downbeats / bars, score->tempo = chain.tempo / songs;
    score->steady_beats = steady.beats / songs, score->steady_downbeats = steady.downbeats / bars;
    score->steady_tempo = steady.tempo / songs;
    if (status == BL_OK && score->n_songs)
        nn_schedule_watch(&t->run.schedule, score->loss + score->downbeat_loss);
    return status;
}

/* ---- checkpoints ---- */

bl_status blocks_beat_trainer_put(const blocks_beat_trainer *t, int with_optimizer, nn_checkpoint *c, bl_error *err)
{
    nn_checkpoint_put_int(c, "step", t->t->step, err);
    if (!with_optimizer)
        nn_trainer_swap(&t->run);
    const bl_status status = blocks_beat_tracker_put(t->t, c, err);
    if (!with_optimizer)
        nn_trainer_swap(&t->run);
    return status == BL_OK && with_optimizer ? nn_trainer_save(&t->run, c, err) : status;
}

bl_status blocks_beat_trainer_get(blocks_beat_trainer *t, const nn_checkpoint *c, bl_error *err)
{
    return nn_trainer_load(&t->run, c, "beats", &t->t->step, err);
}
