/* Figures of the classifier on held-out songs, beside the majority and the nearest training songs; the temperature of its
 * genre and the shift of its instruments. See blocks/classifier_train.h. */
#include "blocks/classifier_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_MFCC = 20, N_KNN = 2 * N_MFCC, NEIGHBOURS = 3, MOST_VIEWS = 12 };

/* A song as its windows show it: judged by the classifier, described by its MFCCs, labelled by what sounds in any window. */
typedef struct song_view {
    int    genre, held_out;
    float *logs;          /* [n_genres] mean log probability of its windows */
    float *changed_logs;  /* the same, as another recording of it might sound */
    float *probability;   /* [n_instruments]   */
    float *changed_probability; /* before the shift */
    float *mfcc;          /* [N_KNN]           */
    float *labels;        /* [n_instruments]   */
} song_view;

typedef struct scoring {
    blocks_classifier  *c;
    const blocks_mixer *m;
    float *power, *genre, *instrument; /* of the windows of a song */
    float *target, *labels;            /* of one window            */
} scoring;

/* Mean and deviation over time of the MFCCs of the song's decibels. */
static void describe(scoring *s, const blocks_sound *mixture, float out[N_KNN])
{
    const int M = s->m->sounds->n_mels;
    for (int k = 0; k < N_KNN; k++)
        out[k] = 0;
    double sum[N_KNN] = { 0 };
    for (int64_t t = 0; t < mixture->n_frames; t++) {
        float db[1024], mfcc[N_MFCC];
        for (int m = 0; m < M; m++)
            db[m] = mixture->code[t * M + m] / 2.0f - 70;
        audio_dct2(db, M, 1, N_MFCC < M ? N_MFCC : M, mfcc);
        for (int k = 0; k < N_MFCC && k < M; k++) {
            sum[k] += (double)mfcc[k];
            sum[N_MFCC + k] += (double)mfcc[k] * (double)mfcc[k];
        }
    }
    for (int k = 0; k < N_MFCC; k++) {
        const double mean = sum[k] / (double)mixture->n_frames;
        out[k] = (float)mean;
        out[N_MFCC + k] = (float)sqrt(fmax(0, sum[N_MFCC + k] / (double)mixture->n_frames - mean * mean));
    }
}

/* The windows of a song, as they are or changed, into s->power; returns how many. labels_out (may be NULL) gets what
 * sounds in any of them. */
static int64_t gather(scoring *s, int song, int changed, float *labels_out)
{
    const blocks_mixer *m = s->m;
    const blocks_sound *mixture = &m->sounds->songs[song].mixture;
    const int64_t window = m->window, last = mixture->n_frames > window ? mixture->n_frames - window : 0;
    const int64_t wanted = (last + window - 1) / window + 1, n = wanted > MOST_VIEWS ? MOST_VIEWS : wanted;
    bl_rng rng;
    bl_rng_seed(&rng, (uint64_t)song * 2 + 77);
    for (int64_t w = 0; w < n; w++) {
        blocks_example e = { s->power + w * window * m->sounds->n_mels, s->target, s->labels };
        blocks_mixer_song(m, &rng, song, n > 1 ? last * w / (n - 1) : 0, changed, &e);
        for (int i = 0; i < m->sounds->n_instruments && labels_out; i++)
            labels_out[i] = fmaxf(labels_out[i], e.labels[i]);
    }
    return n;
}

static bl_status judge(scoring *s, int64_t n, float *logs, float *probability, bl_error *err)
{
    const int G = s->c->n_genres;
    if (blocks_classifier_windows(s->c, s->power, n, s->genre, s->instrument, err) != BL_OK)
        return err->code;
    for (int g = 0; g < G; g++) {
        double mean = 0;
        for (int64_t w = 0; w < n; w++)
            mean += (double)s->genre[w * G + g] / (double)n;
        logs[g] = (float)mean;
    }
    blocks_classifier_verdict(s->c, s->genre, s->instrument, n, NULL, probability);
    return BL_OK;
}

static bl_status view_song(scoring *s, int song, int judged, song_view *v, bl_error *err)
{
    const blocks_song_sounds *of = &s->m->sounds->songs[song];
    const size_t G = (size_t)s->c->n_genres, I = (size_t)s->c->n_instruments;
    v->genre = of->genre;
    v->held_out = of->held_out;
    v->logs = malloc(G * sizeof(float));
    v->changed_logs = malloc(G * sizeof(float));
    v->probability = malloc(I * sizeof(float));
    v->changed_probability = malloc(I * sizeof(float));
    v->labels = malloc(I * sizeof(float));
    v->mfcc = malloc(N_KNN * sizeof(float));
    if (!v->logs || !v->changed_logs || !v->probability || !v->changed_probability || !v->labels || !v->mfcc)
        return bl_fail(err, BL_ENOMEM, "no memory for validation");
    for (size_t i = 0; i < I; i++)
        v->labels[i] = -1;
    describe(s, &of->mixture, v->mfcc);
    const int64_t n = gather(s, song, 0, v->labels);
    if (!judged)
        return BL_OK;
    if (judge(s, n, v->logs, v->probability, err) != BL_OK)
        return err->code;
    return judge(s, gather(s, song, 1, NULL), v->changed_logs, v->changed_probability, err);
}

typedef struct neighbours {
    int nearest[NEIGHBOURS], n;
} neighbours;

/* The training songs whose standardised MFCC statistics are nearest; a training song is not its own neighbour. */
static neighbours find_neighbours(const song_view *views, const double *scale, int n, int of)
{
    neighbours found = { { 0 }, 0 };
    double distance[NEIGHBOURS];
    for (int i = 0; i < n; i++) {
        double d = 0;
        int at = found.n;
        if (views[i].held_out || i == of)
            continue;
        for (int k = 0; k < N_KNN; k++) {
            const double x = ((double)views[i].mfcc[k] - (double)views[of].mfcc[k]) * scale[k];
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

static void mfcc_scales(const song_view *views, int n, double scale[N_KNN])
{
    for (int k = 0; k < N_KNN; k++) {
        double sum = 0, squares = 0, count = 0;
        for (int i = 0; i < n; i++)
            if (!views[i].held_out) {
                count++;
                sum += (double)views[i].mfcc[k];
                squares += (double)views[i].mfcc[k] * (double)views[i].mfcc[k];
            }
        const double variance = count > 0 ? squares / count - sum * sum / (count * count) : 0;
        scale[k] = variance > 1e-12 ? 1 / sqrt(variance) : 0;
    }
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

/* Mean negative log probability of the true genres at a temperature. */
static double loss_at(const song_view *views, int n, int held_out, int G, double temperature, int changed)
{
    double loss = 0;
    int count = 0;
    for (int i = 0; i < n; i++) {
        const float *logs = changed ? views[i].changed_logs : views[i].logs;
        double largest = -HUGE_VAL, sum = 0;
        if (views[i].held_out != held_out || views[i].genre < 0)
            continue;
        for (int g = 0; g < G; g++)
            largest = fmax(largest, (double)logs[g] / temperature);
        for (int g = 0; g < G; g++)
            sum += exp((double)logs[g] / temperature - largest);
        loss += largest + log(sum) - (double)logs[views[i].genre] / temperature;
        count++;
    }
    return count ? loss / count : 0;
}

/* By golden sections of the logarithm. Never below 1: what voices and noise have learned, an even answer, holds at 1, and a
 * sharper one would make them bold again. */
static double fit_temperature(const song_view *views, int n, int held_out, int G)
{
    const double ratio = 0.6180339887498949;
    double low = 0, high = log(10);
    for (int k = 0; k < 40; k++) {
        const double a = high - ratio * (high - low), b = low + ratio * (high - low);
        if (loss_at(views, n, held_out, G, exp(a), 1) < loss_at(views, n, held_out, G, exp(b), 1))
            high = b;
        else
            low = a;
    }
    return exp((low + high) / 2);
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

static double log_odds(float p)
{
    return log(fmax((double)p, 1e-9) / fmax(1 - (double)p, 1e-9));
}

/* What has to be added to the log odds so that F1 at probability 1/2 is best; of equals the one nearest to 0. */
static double fit_shift(const song_view *views, int n, int held_out, int I)
{
    double best = 0, most = -1;
    for (int step = 0; step <= 60; step++) {
        const double shift = (step + 1) / 2 * 0.05 * (step % 2 ? 1 : -1);
        counts c = { 0, 0, 0 };
        for (int i = 0; i < n; i++)
            for (int k = 0; k < I && views[i].held_out == held_out; k++)
                if (views[i].labels[k] >= 0)
                    count(&c, log_odds(views[i].changed_probability[k]) + shift > 0, views[i].labels[k] > 0);
        if (f1(&c) > most + 1e-12) {
            most = f1(&c);
            best = shift;
        }
    }
    return best;
}

static int commonest_genre(const song_view *views, int n, int G)
{
    int best = 0, most = 0;
    for (int g = 0; g < G; g++) {
        int k = 0;
        for (int i = 0; i < n; i++)
            k += !views[i].held_out && views[i].genre == g;
        if (k > most) {
            most = k;
            best = g;
        }
    }
    return best;
}

static void score_views(blocks_classifier *c, const song_view *views, int n, blocks_classifier_score *score)
{
    const int G = c->n_genres, I = c->n_instruments, majority = commonest_genre(views, n, G);
    int held_out = 0, with_genre = 0, with_instruments = 0, right = 0, right_majority = 0, right_knn = 0;
    counts own = { 0, 0, 0 }, common = { 0, 0, 0 }, knn = { 0, 0, 0 };
    double scale[N_KNN];

    mfcc_scales(views, n, scale);
    for (int i = 0; i < n; i++)
        held_out |= views[i].held_out;
    c->shift = fit_shift(views, n, held_out, I);
    for (int i = 0; i < n; i++) {
        const song_view *v = &views[i];
        if (v->held_out != held_out)
            continue;
        const neighbours near = find_neighbours(views, scale, n, i);
        int best = 0;
        for (int g = 1; g < G; g++)
            best = v->logs[g] > v->logs[best] ? g : best;
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
            count(&own, log_odds(v->probability[k]) + c->shift > 0, v->labels[k] > 0);
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
    if (with_genre)
        c->temperature = fit_temperature(views, n, held_out, G);
    score->temperature = c->temperature;
    score->loss = loss_at(views, n, held_out, G, c->temperature, 0);
}

bl_status blocks_classifier_score_songs(blocks_classifier *c, const blocks_mixer *m, blocks_classifier_score *score, bl_error *err)
{
    const blocks_sounds *sounds = m->sounds;
    const size_t window = (size_t)(c->window_frames * sounds->n_mels);
    scoring s = { .c = c, .m = m };
    song_view *views = calloc((size_t)sounds->n_songs + 1, sizeof *views);
    int n = 0, held_out = 0;
    memset(score, 0, sizeof *score);
    c->shift = 0; /* until it is fitted */
    s.power = malloc(MOST_VIEWS * window * sizeof *s.power);
    s.genre = malloc(MOST_VIEWS * (size_t)c->n_genres * sizeof *s.genre);
    s.instrument = malloc(MOST_VIEWS * (size_t)c->n_instruments * sizeof *s.instrument);
    s.target = malloc((size_t)c->n_genres * sizeof *s.target);
    s.labels = malloc((size_t)c->n_instruments * sizeof *s.labels);
    if (!views || !s.power || !s.genre || !s.instrument || !s.target || !s.labels)
        bl_fail(err, BL_ENOMEM, "no memory for validation");
    for (int i = 0; i < sounds->n_songs; i++)
        held_out |= sounds->songs[i].held_out && sounds->songs[i].mixture.code;
    for (int i = 0; !err->code && i < sounds->n_songs; i++)
        if (sounds->songs[i].mixture.code)
            view_song(&s, i, sounds->songs[i].held_out == held_out, &views[n++], err);
    if (!err->code)
        score_views(c, views, n, score);
    for (int i = 0; i < n; i++) {
        free(views[i].logs);
        free(views[i].changed_logs);
        free(views[i].probability);
        free(views[i].changed_probability);
        free(views[i].mfcc);
        free(views[i].labels);
    }
    free(views);
    free(s.power);
    free(s.genre);
    free(s.instrument);
    free(s.target);
    free(s.labels);
    return err->code;
}
