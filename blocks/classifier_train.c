#include "blocks/classifier_train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct settings {
    int    batch_size;
    double cross_mixes, instrument_weight, noise;
    nn_optimizer_config optimizer;
    nn_schedule schedule;
} settings;

static bl_status read_settings(const bl_config *c, settings *s, bl_error *err)
{
    static const char section[] = "classifier_training";
    s->batch_size = (int)bl_config_int(c, section, "batch_size", 64, 2, 65536, err);
    s->cross_mixes = bl_config_real(c, section, "cross_mixes", 0.3, 0, 0.9, err);
    s->instrument_weight = bl_config_real(c, section, "instrument_weight", 1, 0, 1000, err);
    s->noise = bl_config_real(c, section, "noise", 0.1, 0, 10, err);
    /* read when the windows are collected */
    bl_config_int(c, section, "windows", 40, 0, 100000, err);
    bl_config_int(c, section, "max_windows", 6000, 1, 100000000, err);
    bl_config_real(c, section, "stem_dropout", 0.25, 0, 0.99, err);
    bl_config_real(c, section, "voice_dropout", 0.5, 0, 0.99, err);
    bl_config_real(c, section, "stem_gain_db", 6, 0, 60, err);
    bl_config_real(c, section, "tilt_db", 6, 0, 40, err);
    const int accumulate = (int)bl_config_int(c, section, "accumulate", 1, 1, 4096, err);
    const int64_t n_steps = bl_config_int(c, section, "steps", 3000, 1, 1000000000, err);
    nn_optimizer_read(c, section, &s->optimizer, err);
    nn_schedule_read(c, section, n_steps, 800, &s->schedule, err);
    s->optimizer.accumulate = accumulate;
    return err->code;
}

bl_status blocks_classifier_settings_read(const blocks_classifier *c, bl_error *err)
{
    settings s = { 0 };
    return read_settings(c->config, &s, err);
}

struct blocks_classifier_trainer {
    blocks_classifier         *c;
    const blocks_window_table *table;
    nn_tape      *tape;
    nn_optimizer *optimizer;
    bl_rng        rng;
    settings      set;
    int64_t      *index, *first; /* training rows by genre, those without one last; [n_genres + 2] where each begins */
    float        *rows, *genre, *labels, *known; /* of a batch */
};

static void scale_to(blocks_classifier *c, const blocks_window_table *table)
{
    for (int i = 0; i < c->n_features; i++) {
        double sum = 0, squares = 0, n = 0;
        for (int64_t r = 0; r < table->n; r++)
            if (!table->held_out[r]) {
                sum += (double)table->rows[r * c->n_features + i];
                n++;
            }
        for (int64_t r = 0; r < table->n; r++)
            if (!table->held_out[r]) {
                const double d = (double)table->rows[r * c->n_features + i] - sum / n;
                squares += d * d;
            }
        const double deviation = sqrt(squares / n);
        c->mean[i] = (float)(sum / n);
        c->scale[i] = deviation > 1e-6 ? (float)(1 / deviation) : 0;
    }
}

static int64_t sort_rows(blocks_classifier_trainer *t)
{
    const blocks_window_table *table = t->table;
    int64_t n = 0;
    for (int g = 0; g <= table->n_genres; g++) {
        const int genre = g < table->n_genres ? g : -1;
        t->first[g] = n;
        for (int64_t r = 0; r < table->n; r++)
            if (!table->held_out[r] && table->genre[r] == genre)
                t->index[n++] = r;
    }
    t->first[table->n_genres + 1] = n;
    return n;
}

blocks_classifier_trainer *blocks_classifier_trainer_new(blocks_classifier *c, const blocks_window_table *table, uint64_t seed,
                                                         bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    blocks_classifier_trainer *t = calloc(1, sizeof *t);
    if (!t) {
        bl_fail(e, BL_ENOMEM, "no memory for training");
        return NULL;
    }
    t->c = c;
    t->table = table;
    if (table->n_features != c->n_features || table->n_genres != c->n_genres || table->n_instruments != c->n_instruments) {
        bl_fail(e, BL_ESHAPE, "the windows have %d values, %d genres, %d instruments; the classifier %d, %d, %d",
                table->n_features, table->n_genres, table->n_instruments, c->n_features, c->n_genres, c->n_instruments);
        goto fail;
    }
    if (read_settings(c->config, &t->set, e) != BL_OK)
        goto fail;
    const size_t B = (size_t)t->set.batch_size, n = (size_t)c->n_instruments;
    t->index = malloc((size_t)(table->n + 1) * sizeof *t->index);
    t->first = malloc((size_t)(table->n_genres + 2) * sizeof *t->first);
    t->rows = malloc(B * (size_t)c->n_features * sizeof *t->rows);
    t->genre = malloc(B * sizeof *t->genre);
    t->labels = malloc(B * n * sizeof *t->labels);
    t->known = malloc(B * n * sizeof *t->known);
    if (!t->index || !t->first || !t->rows || !t->genre || !t->labels || !t->known) {
        bl_fail(e, BL_ENOMEM, "no memory for training");
        goto fail;
    }
    if (sort_rows(t) == 0) {
        bl_fail(e, BL_EFORMAT, "the dataset has no song to train on");
        goto fail;
    }
    scale_to(c, table);
    bl_rng_seed(&t->rng, seed ^ 0x636c6173u);
    if (!(t->tape = nn_tape_new(e)) || !(t->optimizer = nn_optimizer_new(c->params, "", &t->set.optimizer, e)))
        goto fail;
    t->tape->training = 1;
    bl_rng_seed(&t->tape->rng, seed ^ 0x64726f70u);
    return t;
fail:
    blocks_classifier_trainer_free(t);
    return NULL;
}

void blocks_classifier_trainer_free(blocks_classifier_trainer *t)
{
    if (!t)
        return;
    nn_tape_free(t->tape);
    nn_optimizer_free(t->optimizer);
    free(t->index);
    free(t->first);
    free(t->rows);
    free(t->genre);
    free(t->labels);
    free(t->known);
    free(t);
}

/* ---- a step ---- */

static void fill_row(blocks_classifier_trainer *t, int b, int64_t r)
{
    const int F = t->c->n_features, I = t->c->n_instruments;
    memcpy(t->rows + (int64_t)b * F, t->table->rows + r * F, (size_t)F * sizeof *t->rows);
    t->genre[b] = (float)t->table->genre[r];
    for (int i = 0; i < I; i++) {
        const float label = t->table->labels[r * I + i];
        t->known[b * I + i] = label >= 0;
        t->labels[b * I + i] = label > 0;
    }
}

/* First the windows with a genre, genres equally often; then those without. Returns how many have one. */
static int draw_batch(blocks_classifier_trainer *t)
{
    const int B = t->set.batch_size, G = t->c->n_genres;
    const int64_t *first = t->first, without = first[G + 1] - first[G];
    int n = without == 0 ? B : first[G] == 0 ? 0 : B - (int)lround(B * t->set.cross_mixes), b = 0;
    for (; b < n; b++) {
        int g;
        do
            g = (int)bl_rng_below(&t->rng, G);
        while (first[g + 1] == first[g]);
        fill_row(t, b, t->index[first[g] + bl_rng_below(&t->rng, first[g + 1] - first[g])]);
    }
    for (; b < B; b++)
        fill_row(t, b, t->index[first[G] + bl_rng_below(&t->rng, without)]);
    blocks_classifier_scale(t->c, t->rows, B);
    for (int64_t i = 0; i < (int64_t)B * t->c->n_features && t->set.noise > 0; i++)
        t->rows[i] += (float)(t->set.noise * bl_rng_normal(&t->rng));
    return n;
}

/* Binary cross-entropy over the labels that are known: softplus(x) - x y. */
static nn_node *instrument_loss(blocks_classifier_trainer *t, nn_node *logits, int B)
{
    nn_tape *tape = t->tape;
    const nn_shape shape = { 2, { B, t->c->n_instruments } };
    double n = 0;
    for (int64_t i = 0; i < nn_count(&shape); i++)
        n += (double)t->known[i];
    nn_node *each = nn_sub(tape, nn_softplus(tape, logits), nn_mul(tape, logits, nn_input(tape, shape, t->labels)));
    return nn_affine(tape, nn_sum(tape, nn_mul(tape, each, nn_input(tape, shape, t->known))), n > 0 ? 1 / n : 0, 0);
}

/* Adds the gradients of one batch, and its losses to losses[]. */
static bl_status learn_batch(blocks_classifier_trainer *t, double losses[2], bl_error *err)
{
    const int B = t->set.batch_size, n = t->tape->dry ? B : draw_batch(t);
    nn_tape *tape = t->tape;
    nn_node *g = NULL, *i = NULL, *genre = NULL;

    nn_tape_reset(tape);
    blocks_classifier_forward(t->c, tape, nn_input(tape, (nn_shape){ 2, { B, t->c->n_features } }, t->rows), &g, &i);
    nn_node *instrument = instrument_loss(t, i, B), *loss = nn_affine(tape, instrument, t->set.instrument_weight, 0);
    if (n > 0) {
        genre = nn_cross_entropy(tape, nn_slice(tape, g, 0, 0, n), nn_input(tape, (nn_shape){ 1, { n } }, t->genre));
        loss = nn_add(tape, genre, loss);
    }
    nn_keep(instrument);
    nn_keep(genre);
    nn_backward(tape, loss);
    if (tape->err.code)
        return bl_fail(err, tape->err.code, "%s", tape->err.msg);
    losses[0] += nn_scalar(genre) / t->set.optimizer.accumulate;
    losses[1] += nn_scalar(instrument) / t->set.optimizer.accumulate;
    return BL_OK;
}

void blocks_classifier_trainer_plan(blocks_classifier_trainer *t, nn_plan *plan)
{
    double losses[2];
    bl_error err = { BL_OK, "" };
    nn_tape_dry(t->tape, 1);
    learn_batch(t, losses, &err);
    plan->weights = nn_params_bytes(t->c->params);
    plan->moments = nn_optimizer_bytes(t->optimizer);
    plan->step = nn_tape_peak_bytes(t->tape);
    nn_tape_dry(t->tape, 0);
}

bl_status blocks_classifier_trainer_step(blocks_classifier_trainer *t, double losses[2], double *gradient_norm, bl_error *err)
{
    losses[0] = losses[1] = 0;
    for (int k = 0; k < t->set.optimizer.accumulate; k++)
        if (learn_batch(t, losses, err) != BL_OK)
            return err->code;
    nn_optimizer_set_lr(t->optimizer, t->set.optimizer.lr * nn_schedule_factor(&t->set.schedule, t->c->step));
    *gradient_norm = nn_optimizer_step(t->optimizer);
    if (!isfinite(*gradient_norm))
        return bl_fail(err, BL_ENAN, "the gradient is not finite");
    t->c->step++;
    return BL_OK;
}

/* ---- figures ---- */

/* A song as its windows show it: judged by the classifier, described by its MFCCs, labelled by what sounds in any window. */
typedef struct song_view {
    int    song, genre, held_out, n;
    float *probability;   /* [n_genres], then [n_instruments] */
    float *mfcc;          /* [N_KNN] mean over windows        */
    float *labels;        /* [n_instruments]                  */
} song_view;

enum { N_KNN = 40, NEIGHBOURS = 3 };

static bl_status view_song(blocks_classifier_trainer *t, int64_t from, int64_t to, song_view *v, bl_error *err)
{
    const int F = t->c->n_features, G = t->c->n_genres, I = t->c->n_instruments;
    const blocks_window_table *table = t->table;
    float *rows = malloc((size_t)(to - from) * (size_t)F * sizeof *rows);
    bl_status status;
    v->probability = malloc((size_t)(G + I) * sizeof(float));
    v->mfcc = calloc(N_KNN, sizeof(float));
    v->labels = malloc((size_t)I * sizeof(float));
    if (!rows || !v->probability || !v->mfcc || !v->labels) {
        free(rows);
        return bl_fail(err, BL_ENOMEM, "no memory for validation");
    }
    v->song = table->song[from];
    v->genre = table->genre[from];
    v->held_out = table->held_out[from];
    for (int i = 0; i < I; i++)
        v->labels[i] = -1;
    for (int64_t r = from; r < to; r++) {
        if (table->kind[r] != BLOCKS_WINDOW_SONG)
            continue;
        memcpy(rows + (int64_t)v->n++ * F, table->rows + r * F, (size_t)F * sizeof *rows);
        for (int k = 0; k < N_KNN; k++)
            v->mfcc[k] += table->rows[r * F + BLOCKS_SONG_MFCC + k];
        for (int i = 0; i < I; i++)
            v->labels[i] = fmaxf(v->labels[i], table->labels[r * I + i]);
    }
    for (int k = 0; k < N_KNN && v->n > 0; k++)
        v->mfcc[k] /= (float)v->n;
    blocks_classifier_scale(t->c, rows, v->n);
    status = v->n ? blocks_classifier_judge(t->c, rows, v->n, v->probability, v->probability + G, err) : BL_OK;
    free(rows);
    return status;
}

/* Songs of the table, one after the other; the rows of a song follow each other. */
static bl_status view_songs(blocks_classifier_trainer *t, song_view **views, int *n, bl_error *err)
{
    int capacity = 0;
    *views = NULL;
    *n = 0;
    for (int64_t from = 0, to; from < t->table->n; from = to) {
        for (to = from + 1; to < t->table->n && t->table->song[to] == t->table->song[from]; to++)
            ;
        if (t->table->song[from] < 0)
            continue;
        if (*n == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            song_view *more = realloc(*views, (size_t)capacity * sizeof *more);
            if (!more)
                return bl_fail(err, BL_ENOMEM, "no memory for validation");
            *views = more;
        }
        memset(&(*views)[*n], 0, sizeof **views);
        if (view_song(t, from, to, &(*views)[(*n)++], err) != BL_OK)
            return err->code;
    }
    return BL_OK;
}

typedef struct neighbours {
    int nearest[NEIGHBOURS], n;
} neighbours;

/* The training songs whose standardised MFCC statistics are nearest; a training song is not its own neighbour. */
static neighbours find_neighbours(const blocks_classifier *c, const song_view *views, int n, int of)
{
    neighbours found = { { 0 }, 0 };
    double distance[NEIGHBOURS];
    for (int i = 0; i < n; i++) {
        double d = 0;
        int at = found.n;
        if (views[i].held_out || i == of || !views[i].n)
            continue;
        for (int k = 0; k < N_KNN; k++) {
            const double x = ((double)views[i].mfcc[k] - (double)views[of].mfcc[k]) * (double)c->scale[BLOCKS_SONG_MFCC + k];
            d += x * x;
        }
        while (at > 0 && d < distance[at - 1])
            at--;
        if (at == NEIGHBOURS)
            continue;
        for (int k = found.n < NEIGHBOURS ? found.n : NEIGHBOURS - 1; k > at; k--) {
            distance[k] = distance[k - 1];
            found.nearest[k] = found.nearest[k - 1];
        }
        distance[at] = d;
        found.nearest[at] = i;
        found.n += found.n < NEIGHBOURS;
    }
    return found;
}

/* The genre most neighbours have; of equals that of the nearest. */
static int vote(const song_view *views, const neighbours *near)
{
    int best = -1, most = 0;
    for (int i = 0; i < near->n; i++) {
        int votes = 0;
        for (int k = 0; k < near->n; k++)
            votes += views[near->nearest[k]].genre == views[near->nearest[i]].genre;
        if (votes > most) {
            most = votes;
            best = views[near->nearest[i]].genre;
        }
    }
    return best;
}

typedef struct counts {
    double hits, misses, false_alarms;
} counts;

static void count(counts *c, int said, int is)
{
    c->hits += said && is;
    c->misses += !said && is;
    c->false_alarms += said && !is;
}

static double f1(const counts *c)
{
    const double all = 2 * c->hits + c->misses + c->false_alarms;
    return all > 0 ? 2 * c->hits / all : 0;
}

static void score_views(blocks_classifier_trainer *t, const song_view *views, int n, blocks_classifier_score *score)
{
    const int G = t->c->n_genres, I = t->c->n_instruments;
    int held_out = 0, with_genre = 0, with_instruments = 0, majority = 0, right = 0, right_majority = 0, right_knn = 0;
    counts own = { 0, 0, 0 }, common = { 0, 0, 0 }, knn = { 0, 0, 0 };

    for (int i = 0; i < n; i++)
        held_out += views[i].held_out && views[i].n;
    for (int g = 0, most = 0; g < G; g++) {
        int k = 0;
        for (int i = 0; i < n; i++)
            k += !views[i].held_out && views[i].genre == g;
        if (k > most) {
            most = k;
            majority = g;
        }
    }
    for (int i = 0; i < n; i++) {
        const song_view *v = &views[i];
        if (v->held_out != (held_out > 0) || !v->n)
            continue;
        const neighbours near = find_neighbours(t->c, views, n, i);
        int best = 0;
        for (int g = 1; g < G; g++)
            best = v->probability[g] > v->probability[best] ? g : best;
        score->n_songs++;
        if (v->genre >= 0) {
            with_genre++;
            right += best == v->genre;
            right_majority += majority == v->genre;
            right_knn += vote(views, &near) == v->genre;
        }
        for (int k = 0; k < I; k++) {
            int votes = 0, songs = 0, yes = 0;
            if (v->labels[k] < 0)
                continue;
            with_instruments = 1;
            for (int j = 0; j < near.n; j++)
                votes += views[near.nearest[j]].labels[k] > 0;
            for (int j = 0; j < n; j++) {
                songs += !views[j].held_out && views[j].labels[k] >= 0;
                yes += !views[j].held_out && views[j].labels[k] > 0;
            }
            count(&own, v->probability[G + k] > 0.5f, v->labels[k] > 0);
            count(&common, 2 * yes > songs, v->labels[k] > 0);
            count(&knn, 2 * votes > near.n, v->labels[k] > 0);
        }
    }
    score->genre = with_genre ? (double)right / with_genre : -1;
    score->genre_majority = with_genre ? (double)right_majority / with_genre : -1;
    score->genre_knn = with_genre ? (double)right_knn / with_genre : -1;
    score->instruments = with_instruments ? f1(&own) : -1;
    score->instruments_majority = with_instruments ? f1(&common) : -1;
    score->instruments_knn = with_instruments ? f1(&knn) : -1;
    score->loss = 0;
    for (int i = 0; i < n; i++)
        if (views[i].held_out == (held_out > 0) && views[i].n && views[i].genre >= 0)
            score->loss -= log(fmax(1e-9, (double)views[i].probability[views[i].genre])) / with_genre;
}

bl_status blocks_classifier_trainer_validate(blocks_classifier_trainer *t, blocks_classifier_score *score, bl_error *err)
{
    song_view *views = NULL;
    int n = 0;
    bl_status status = view_songs(t, &views, &n, err);
    memset(score, 0, sizeof *score);
    if (status == BL_OK) {
        score_views(t, views, n, score);
        nn_schedule_watch(&t->set.schedule, score->loss);
    }
    for (int i = 0; i < n; i++) {
        free(views[i].probability);
        free(views[i].mfcc);
        free(views[i].labels);
    }
    free(views);
    return status;
}

/* ---- checkpoints ---- */

bl_status blocks_classifier_trainer_put(const blocks_classifier_trainer *t, int with_optimizer, nn_checkpoint *k, bl_error *err)
{
    int64_t state[8];
    nn_checkpoint_put_int(k, "step", t->c->step, err);
    if (blocks_classifier_put(t->c, k, err) != BL_OK || !with_optimizer)
        return err->code;
    memcpy(state, t->rng.s, sizeof t->rng.s);
    memcpy(state + 4, t->tape->rng.s, sizeof t->tape->rng.s);
    nn_checkpoint_put(k, "random/state", NN_I64, 1, (int64_t[]){ 8 }, state, err);
    nn_schedule_save(&t->set.schedule, k, err);
    return nn_optimizer_save(t->optimizer, k, err);
}

bl_status blocks_classifier_trainer_get(blocks_classifier_trainer *t, const nn_checkpoint *k, bl_error *err)
{
    if (!nn_checkpoint_has(k, "random/state"))
        return bl_fail(err, BL_EFORMAT, "%s: was written with classifier_training.keep_optimizer = 0, so training cannot go on "
                       "from it", nn_checkpoint_path(k));
    int64_t *state = nn_checkpoint_get(k, "random/state", NN_I64, 1, (int64_t[]){ 8 }, NULL, err);
    if (!state || nn_params_load(t->c->params, k, "", err) != BL_OK || nn_optimizer_load(t->optimizer, k, err) != BL_OK ||
        nn_schedule_load(&t->set.schedule, k, err) != BL_OK) {
        free(state);
        return err->code;
    }
    memcpy(t->rng.s, state, sizeof t->rng.s);
    memcpy(t->tape->rng.s, state + 4, sizeof t->tape->rng.s);
    free(state);
    t->c->step = nn_checkpoint_get_int(k, "step", 0, err);
    return err->code;
}
