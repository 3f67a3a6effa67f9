#include "blocks/beat_tracker_train.h"

#include "audio/rhythm.h"
#include "nn/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    int    batch_size, n_frames;
    int    shift;
    double stretch, downbeat_weight, tempo_weight;
    nn_trainer_config run;
} settings;

static bl_status read_settings(const bl_config *c, settings *s, bl_error *err)
{
    s->batch_size = (int)bl_config_int(c, "beats", "batch_size", 8, 1, 4096, err);
    s->n_frames = (int)bl_config_int(c, "beats", "segment_frames", 1400, 50, 1000000, err);
    s->stretch = bl_config_real(c, "beats", "stretch", 0.2, 0, 1, err);
    s->downbeat_weight = bl_config_real(c, "beats", "downbeat_weight", 2, 0, 100, err);
    s->tempo_weight = bl_config_real(c, "beats", "tempo_weight", 0.04, 0, 100, err);
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
    float        *tempo;    /* [batch, AUDIO_TEMPOS] chances; all 0: not known    */
};

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
    if (!t->first || !t->input || !t->target || !t->weight || !t->tempo) {
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

static void fill_example(blocks_beat_trainer *t, int b)
{
    const int64_t N = t->set.n_frames;
    int64_t at = bl_rng_below(&t->run.rng, t->first[t->songs->n]);
    int low = 0, high = t->songs->n; /* first[low] <= at < first[high] */
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        *(t->first[middle] <= at ? &low : &high) = middle;
    }
    const blocks_beat_song *song = &t->songs->songs[low];
    const double speed = exp(t->set.stretch * (2 * bl_rng_uniform(&t->run.rng) - 1));
    const double latest = (double)song->bands.n_frames - speed * (double)N, start = latest > 0 ? latest * bl_rng_uniform(&t->run.rng) : 0;
    fill_bands(t, song, start, speed, t->input + (int64_t)b * AUDIO_BEAT_BANDS * N);
    fill_targets(t, song, start, speed, t->target + 2 * b * N, t->weight + 2 * b * N);
    fill_tempo(t, song, start, speed, t->tempo + (int64_t)b * AUDIO_TEMPOS);
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

static bl_status learn_batch(void *user, double *losses, bl_error *err)
{
    blocks_beat_trainer *t = user;
    const int64_t B = t->set.batch_size, N = t->set.n_frames;
    nn_tape *tape = t->run.tape;
    nn_node *each[2], *outputs[2], *tempo = NULL;

    for (int b = 0; b < B && !tape->dry; b++)
        fill_example(t, b);
    nn_tape_reset(tape);
    nn_node *x = nn_input(tape, (nn_shape){ 3, { B, AUDIO_BEAT_BANDS, N } }, t->input);
    nn_network_run(t->t->net, tape, &x, outputs);
    nn_node *loss = cross_entropy(tape, outputs[0], nn_input(tape, (nn_shape){ 3, { B, 2, N } }, t->target),
                                  nn_input(tape, (nn_shape){ 3, { B, 2, N } }, t->weight), (double)(B * N), t->set.downbeat_weight, each);
    if (t->t->hears_tempo) {
        nn_node *chances = nn_input(tape, (nn_shape){ 3, { B, AUDIO_TEMPOS, 1 } }, t->tempo);
        tempo = nn_keep(tempo_entropy(tape, outputs[1], chances, (double)B));
        loss = nn_add(tape, loss, nn_affine(tape, tempo, t->set.tempo_weight, 0));
    }
    nn_backward(tape, loss);
    if (tape->err.code)
        return bl_fail(err, tape->err.code, "%s", tape->err.msg);
    for (int k = 0; k < 2; k++)
        losses[k] = nn_scalar(each[k]);
    losses[2] = tempo ? nn_scalar(tempo) : 0;
    return BL_OK;
}

void blocks_beat_trainer_plan(blocks_beat_trainer *t, nn_plan *plan)
{
    nn_trainer_plan(&t->run, learn_batch, t, plan);
}

bl_status blocks_beat_trainer_step(blocks_beat_trainer *t, double losses[3], double *gradient_norm, bl_error *err)
{
    return nn_trainer_step(&t->run, learn_batch, t, losses, 3, &t->t->step, gradient_norm, err);
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
static bl_status score_song(const blocks_beat_song *song, const audio_beat_activity *heard, sums *chain, sums *steady, bl_error *err)
{
    const int    n = (int)(song->duration_s / 0.5) + 1;
    double      *scratch = malloc(sizeof(double) * (size_t)(song->n_beats + 2 * n));
    audio_rhythm r = { 0 };
    bl_status    status = scratch ? audio_rhythm_analyze(song->duration_s, (audio_rhythm_config){ .activity = heard }, &r, err)
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
        status = score_song(song, &heard, &chain, &steady, err);
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
