/* What the drummer is worth beside simpler ones: per hit, velocity and offset of every player beside those of the person. */
#include "blocks/drummer_train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VELOCITY_BINS = 16, OFFSET_BINS = 25, PLACES = 4 * BLOCKS_STROKE_PLACES, CLASSES = MUSIC_DRUM_CLASSES };

const char *const blocks_drum_player_names[BLOCKS_DRUM_PLAYERS] = { "drummer", "drummer, not told accents", "quantised", "mean of the place",
                                                                    "another performance", "the person again" };

/* One hit: what the person did, what each player would do on average, and one time with chance. */
typedef struct hit {
    float velocity, offset, ms;                  /* ms per sixteenth */
    float mean[BLOCKS_DRUM_PLAYERS][2], chance[BLOCKS_DRUM_PLAYERS][2];
    unsigned char repeated, odd;                 /* odd: of every second performance */
} hit;

typedef struct averages {
    double drum[CLASSES][2], place[CLASSES][PLACES][2];
    double n_drum[CLASSES], n_place[CLASSES][PLACES];
} averages;

static int place_of(const blocks_stroke *s)
{
    return s->beat % 4 * BLOCKS_STROKE_PLACES + s->place;
}

static void learn_averages(const blocks_drum_songs *songs, averages *a)
{
    memset(a, 0, sizeof *a);
    for (int i = 0; i < songs->n; i++)
        for (int t = 0; t < songs->songs[i].n && songs->songs[i].part == BLOCKS_DRUM_TRAIN; t++)
            for (int c = 0; c < CLASSES; c++) {
                const blocks_stroke *s = &songs->songs[i].strokes[t];
                if (!s->hit[c])
                    continue;
                const double x[2] = { (double)s->velocity[c], (double)s->offset[c] };
                for (int k = 0; k < 2; k++) {
                    a->drum[c][k] += x[k];
                    a->place[c][place_of(s)][k] += x[k];
                }
                a->n_drum[c]++;
                a->n_place[c][place_of(s)]++;
            }
    for (int c = 0; c < CLASSES; c++)
        for (int k = 0; k < 2; k++) {
            a->drum[c][k] /= fmax(1, a->n_drum[c]);
            for (int p = 0; p < PLACES; p++) /* places that are rare: nearer to the drum's mean */
                a->place[c][p][k] = (a->place[c][p][k] + 4 * a->drum[c][k]) / (a->n_place[c][p] + 4);
        }
}

/* A training performance of the style, at random; of any style where there is none. -1: none at all. */
static int other_performance(const blocks_drum_songs *songs, int style, bl_rng *rng)
{
    for (int pass = 0; pass < 2; pass++) {
        int n = 0, chosen = -1;
        for (int i = 0; i < songs->n; i++)
            if (songs->songs[i].part == BLOCKS_DRUM_TRAIN && (pass || songs->songs[i].style == style) && bl_rng_below(rng, ++n) == 0)
                chosen = i;
        if (chosen >= 0)
            return chosen;
    }
    return -1;
}

/* Any hit of the drum in a performance. */
static int draw_hit(const blocks_drum_song *song, int c, bl_rng *rng, double out[2])
{
    int n = 0;
    for (int t = 0; t < song->n; t++)
        if (song->strokes[t].hit[c] && bl_rng_below(rng, ++n) == 0) {
            out[0] = (double)song->strokes[t].velocity[c];
            out[1] = (double)song->strokes[t].offset[c];
        }
    return n > 0;
}

/* First stroke of each bar; returns the number of bars; start [n + 1]. */
static int cut_bars(const blocks_drum_song *song, int *start)
{
    int n = 0;
    for (int t = 0; t < song->n; t++)
        if (t == 0 || song->strokes[t].bar != song->strokes[t - 1].bar)
            start[n++] = t;
    start[n] = song->n;
    return n;
}

static int same_bar(const blocks_stroke *a, int n_a, const blocks_stroke *b, int n_b)
{
    if (n_a != n_b)
        return 0;
    for (int t = 0; t < n_a; t++)
        if (a[t].beat != b[t].beat || a[t].place != b[t].place || memcmp(a[t].hit, b[t].hit, sizeof a[t].hit))
            return 0;
    return 1;
}

/* mean [n, CLASSES, 2]: of the other bars of the same strokes; count [n]: how many there are. */
static void average_repeats(const blocks_drum_song *song, int *start, float *mean, int *count)
{
    const int n_bars = cut_bars(song, start);
    for (int i = 0; i < n_bars; i++) {
        const int n = start[i + 1] - start[i];
        for (int t = 0; t < n; t++)
            count[start[i] + t] = 0;
        for (int k = 0; k < n_bars; k++) {
            if (k == i || !same_bar(song->strokes + start[i], n, song->strokes + start[k], start[k + 1] - start[k]))
                continue;
            for (int t = 0; t < n; t++) {
                const float share = 1.0f / (float)++count[start[i] + t];
                for (int c = 0; c < CLASSES; c++) {
                    float *m = mean + ((start[i] + t) * CLASSES + c) * 2;
                    if (count[start[i] + t] == 1)
                        m[0] = m[1] = 0;
                    m[0] += share * (song->strokes[start[k] + t].velocity[c] - m[0]);
                    m[1] += share * (song->strokes[start[k] + t].offset[c] - m[1]);
                }
            }
        }
    }
}

/* -log likelihood of a performance, summed over its hits. */
static bl_status likelihood(blocks_drummer *d, const blocks_drum_song *song, double *sum, bl_error *err)
{
    const int64_t n = song->n, cells = (int64_t)BLOCKS_DRUMMER_TARGETS * n;
    float *x = calloc((size_t)(n * BLOCKS_STROKE_FEATURES + 2 * cells), sizeof *x);
    const float style = (float)song->style, length = (float)n;
    nn_node *y[3], *sums[2];
    if (!x)
        return bl_fail(err, BL_ENOMEM, "no memory for figures");
    float *target = x + n * BLOCKS_STROKE_FEATURES, *weight = target + cells;
    blocks_strokes_features(song->strokes, song->n, 1, 0, x, n);
    for (int c = 0; c < CLASSES; c++)
        for (int t = 0; t < n; t++)
            if (song->strokes[t].hit[c]) {
                target[c * n + t] = song->strokes[t].velocity[c];
                target[(CLASSES + c) * n + t] = song->strokes[t].offset[c];
                weight[c * n + t] = weight[(CLASSES + c) * n + t] = 1;
            }
    nn_tape *tape = d->tape;
    nn_tape_reset(tape);
    nn_node *const in[3] = { nn_input(tape, (nn_shape){ 3, { 1, BLOCKS_STROKE_FEATURES, n } }, x),
                             nn_input(tape, (nn_shape){ 2, { 1, 1 } }, &style), nn_input(tape, (nn_shape){ 2, { 1, 1 } }, &length) };
    const nn_shape shape = { 4, { 1, 1, BLOCKS_DRUMMER_TARGETS, n } };
    blocks_drummer_forward(d, tape, in, y);
    blocks_drummer_loss(tape, y, nn_input(tape, shape, target), nn_input(tape, shape, weight), sums);
    free(x);
    if (tape->err.code)
        return bl_fail(err, tape->err.code, "drummer: %s", tape->err.msg);
    *sum += nn_scalar(sums[0]) + nn_scalar(sums[1]);
    return BL_OK;
}

typedef struct stage {
    blocks_drummer *d;
    const blocks_drum_songs *songs;
    averages a;
    hit     *hits;
    int64_t  n, capacity;
    double   pairs, products, squares; /* of leftover offsets: neighbours in a stroke */
} stage;

static void take_hit(stage *g, const blocks_drum_song *song, blocks_stroke *const played[4], int t, int c, const float *again,
                     int n_again, int other, int odd, bl_rng *rng)
{
    const blocks_stroke *s = &song->strokes[t];
    hit *h = &g->hits[g->n++];
    double drawn[2] = { g->a.drum[c][0], g->a.drum[c][1] };
    *h = (hit){ .velocity = s->velocity[c], .offset = s->offset[c], .ms = 15000 / s->bpm, .repeated = n_again > 0, .odd = (unsigned char)odd };
    if (other >= 0)
        draw_hit(&g->songs->songs[other], c, rng, drawn);
    for (int k = 0; k < 2; k++) {
        const float quantised = k ? 0 : (float)g->a.drum[c][0], place = (float)g->a.place[c][place_of(s)][k];
        for (int p = 0; p < 2; p++) {
            h->mean[p][k] = k ? played[2 * p][t].offset[c] : played[2 * p][t].velocity[c];
            h->chance[p][k] = k ? played[2 * p + 1][t].offset[c] : played[2 * p + 1][t].velocity[c];
        }
        h->mean[BLOCKS_DRUM_QUANTISED][k] = h->chance[BLOCKS_DRUM_QUANTISED][k] = quantised;
        h->mean[BLOCKS_DRUM_POSITION][k] = h->chance[BLOCKS_DRUM_POSITION][k] = place;
        h->mean[BLOCKS_DRUM_OTHER][k] = h->chance[BLOCKS_DRUM_OTHER][k] = (float)drawn[k];
        h->mean[BLOCKS_DRUM_REPEAT][k] = h->chance[BLOCKS_DRUM_REPEAT][k] = n_again ? again[k] : 0;
    }
}

/* How much hits of one stroke are early or late together, beyond what the means say. */
static void relate(stage *g, const blocks_drum_song *song, const blocks_stroke *mean)
{
    for (int t = 0; t < song->n; t++) {
        double sum = 0, squares = 0;
        int n = 0;
        for (int c = 0; c < CLASSES; c++)
            if (song->strokes[t].hit[c]) {
                const double left = (double)(song->strokes[t].offset[c] - mean[t].offset[c]);
                sum += left;
                squares += left * left;
                n++;
            }
        if (n < 2)
            continue;
        g->products += sum * sum - squares; /* n (n - 1) ordered pairs */
        g->squares += (n - 1) * squares;
        g->pairs += n * (n - 1);
    }
}

static bl_status judge_song(stage *g, const blocks_drum_song *song, int number, uint64_t seed, double *loss, bl_error *err)
{
    const int n = song->n;
    blocks_stroke *played[4] = { NULL };
    int *start = malloc((size_t)(2 * n + 1) * sizeof *start), *count = start ? start + n + 1 : NULL;
    float *again = calloc((size_t)n * CLASSES * 2 + 1, sizeof *again);
    bl_status status = start && again ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for figures");
    bl_rng rng;
    for (int p = 0; p < 4 && status == BL_OK; p++)
        if (!(played[p] = calloc((size_t)n + 1, sizeof *played[p])))
            status = bl_fail(err, BL_ENOMEM, "no memory for figures");
        else
            status = blocks_drummer_play(g->d, song->strokes, n, song->style, p < 2, p % 2 ? g->d->spread : 0, seed + (uint64_t)number, played[p], err);
    if (status == BL_OK)
        status = likelihood(g->d, song, loss, err);
    if (status == BL_OK) {
        bl_rng_seed(&rng, seed * 1000003 + (uint64_t)number);
        const int other = other_performance(g->songs, song->style, &rng);
        average_repeats(song, start, again, count);
        for (int t = 0; t < n; t++)
            for (int c = 0; c < CLASSES; c++)
                if (song->strokes[t].hit[c])
                    take_hit(g, song, played, t, c, again + (t * CLASSES + c) * 2, count[t], other, number % 2, &rng);
        relate(g, song, played[0]);
    }
    for (int p = 0; p < 4; p++)
        free(played[p]);
    free(start);
    free(again);
    return status;
}

/* ---- from hits to figures ---- */

static double divergence(const double *p, const double *q, int n)
{
    double np = 0, nq = 0, sum = 0;
    for (int i = 0; i < n; i++) {
        np += p[i];
        nq += q[i];
    }
    for (int i = 0; i < n && np > 0 && nq > 0; i++) { /* one hit in a thousand lies anywhere */
        const double a = (p[i] / np + 0.001 / n) / 1.001, b = (q[i] / nq + 0.001 / n) / 1.001;
        sum += a * log(a / b);
    }
    return sum;
}

static int bin_of(double x, int k)
{
    const int n = k ? OFFSET_BINS : VELOCITY_BINS, i = (int)floor((k ? (x + 0.6) / 1.2 : x) * n);
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static blocks_drum_figures figures_of(const stage *g, int player, int only_repeated)
{
    double n = 0, mean[2] = { 0 }, around[2] = { 0 }, squares[2] = { 0 }, off[2] = { 0 };
    double people[2][OFFSET_BINS] = { { 0 } }, theirs[2][OFFSET_BINS] = { { 0 } };
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < g->n; i++) {
            const hit *h = &g->hits[i];
            if (only_repeated && !h->repeated)
                continue;
            const double x[2] = { (double)h->velocity, (double)h->offset };
            n += !pass;
            for (int k = 0; k < 2; k++) {
                const double e = (double)h->mean[player][k] - x[k];
                if (!pass) {
                    mean[k] += x[k];
                    squares[k] += e * e;
                    off[k] += fabs(e) * (k ? (double)h->ms : 127);
                    people[k][bin_of(x[k], k)]++;
                    theirs[k][bin_of((double)h->chance[player][k], k)]++;
                } else
                    around[k] += (x[k] - mean[k] / n) * (x[k] - mean[k] / n);
            }
        }
    n = fmax(n, 1);
    return (blocks_drum_figures){ .velocity_mae = off[0] / n, .velocity_r2 = 1 - squares[0] / fmax(around[0], 1e-12),
                                  .offset_mae_ms = off[1] / n, .offset_r2 = 1 - squares[1] / fmax(around[1], 1e-12),
                                  .velocity_kl = divergence(people[0], theirs[0], VELOCITY_BINS),
                                  .offset_kl = divergence(people[1], theirs[1], OFFSET_BINS) };
}

static void sum_up(const stage *g, blocks_drum_score *score)
{
    double half[2][2][OFFSET_BINS] = { { { 0 } } };
    for (int64_t i = 0; i < g->n; i++) {
        score->n_repeated += g->hits[i].repeated;
        half[g->hits[i].odd][0][bin_of((double)g->hits[i].velocity, 0)]++;
        half[g->hits[i].odd][1][bin_of((double)g->hits[i].offset, 1)]++;
    }
    score->n_hits = g->n;
    score->loss /= fmax(1, (double)g->n);
    for (int p = 0; p < BLOCKS_DRUM_PLAYERS; p++) {
        if (p != BLOCKS_DRUM_REPEAT)
            score->all[p] = figures_of(g, p, 0);
        score->repeated[p] = figures_of(g, p, 1);
    }
    score->halves_velocity_kl = divergence(half[0][0], half[1][0], VELOCITY_BINS);
    score->halves_offset_kl = divergence(half[0][1], half[1][1], OFFSET_BINS);
    score->together = g->squares > 0 ? g->products / g->squares : 0;
}

bl_status blocks_drum_score_run(blocks_drummer *d, const blocks_drum_songs *songs, blocks_drum_part part, uint64_t seed,
                                blocks_drum_score *score, bl_error *err)
{
    stage *g = calloc(1, sizeof *g);
    bl_status status = g ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for figures");
    *score = (blocks_drum_score){ 0 };
    for (int i = 0; i < songs->n && g; i++)
        g->capacity += songs->songs[i].part == part ? (int64_t)songs->songs[i].n * CLASSES : 0;
    if (g && !(g->hits = malloc((size_t)(g->capacity + 1) * sizeof *g->hits)))
        status = bl_fail(err, BL_ENOMEM, "no memory for figures");
    if (status == BL_OK) {
        g->d = d;
        g->songs = songs;
        learn_averages(songs, &g->a);
        for (int i = 0; i < songs->n && status == BL_OK; i++)
            if (songs->songs[i].part == part && songs->songs[i].n > 0)
                status = judge_song(g, &songs->songs[i], score->n_songs++, seed, &score->loss, err);
    }
    if (status == BL_OK)
        sum_up(g, score);
    if (g)
        free(g->hits);
    free(g);
    return status;
}
