#include "infer/tone_generator.h"

#include "base/file.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/rng.h"
#include "infer/genre.h"
#include "music/instrument.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VELOCITY_STEP = 16, MAX_SYNTHESIZERS = 16, TAKES = 3, TAKES_DRUMS = 3, TAKES_PITCHED = 2, MAX_LATENCIES = 64 };

static const double DURATION_RATIO = 1.3, SHORTEST_S = 0.08;
static const double SPLICE_S = 0.012;          /* crossfade from the held part to the release   */
static const double AGAIN_FADE_S = 0.02;       /* the same pitch sounds again                   */
static const double LEGATO_FADE_S = 0.03;      /* the next note of a one-voice instrument       */
static const double DAMP_FADE_S = 0.045, DAMP_AHEAD_S = 0.008; /* strings before the hand's next stroke */
static const double CHOKE_FADE_S = 0.04;       /* a closing hi-hat                              */
static const double LATEST_S = 0.08;           /* no more than this is made up for              */
static const double AUDIBLE = 0.0003;          /* -70 dB below a tone's peak: its tail ends     */
static const double EARLY_S = 0.05;            /* a note this much before a bar is that bar's   */
static const double BAR_S = 2;                 /* where nobody says where bars begin            */
static const double ATTACK = 0.15;            /* of the largest envelope: here a tone has begun */

struct infer_tone_generator {
    blocks_synthesizer *synthesizer[MAX_SYNTHESIZERS];
    int n;
    infer_key key;
    struct { int voice, genre; double s; } latency[MAX_LATENCIES]; /* of voices that have played */
    int n_latencies;
};

/* A distinct tone. */
typedef struct tone {
    int     pitch, velocity, length_class, take;
    double  duration_s;
    float  *x;
    int64_t n;
} tone;

infer_tone_generator *infer_tone_generator_load(const char *path, bl_error *err)
{
    infer_tone_generator *g = calloc(1, sizeof *g);
    nn_checkpoint *c = g ? nn_checkpoint_open(path, "wavegan", err) : NULL;
    int wanted = omp_get_max_threads();

    if (!g) {
        bl_fail(err, BL_ENOMEM, "no memory for the synthesizer");
        return NULL;
    }
    wanted = wanted > MAX_SYNTHESIZERS ? MAX_SYNTHESIZERS : wanted;
    for (int i = 0; c && i < wanted; i++) {
        blocks_synthesizer *s = blocks_synthesizer_get(c, 0, err);
        if (!s)
            break;
        g->synthesizer[g->n++] = s;
        if (nn_params_load(s->params, c, "average/", err) != BL_OK)
            break;
    }
    nn_checkpoint_free(c);
    g->key = infer_key_of("tone");
    if (!err->code)
        infer_key_file(&g->key, path, err);
    if (err->code) {
        infer_tone_generator_free(g);
        return NULL;
    }
    return g;
}

void infer_tone_generator_free(infer_tone_generator *g)
{
    if (!g)
        return;
    for (int i = 0; i < g->n; i++)
        blocks_synthesizer_free(g->synthesizer[i]);
    free(g);
}

int infer_tone_generator_rate(const infer_tone_generator *g)
{
    return g->synthesizer[0]->sample_rate;
}

int infer_tone_generator_context(const infer_tone_generator *g)
{
    return g->synthesizer[0]->n_context;
}

const blocks_synthesizer *infer_tone_generator_synthesizer(const infer_tone_generator *g)
{
    return g->synthesizer[0];
}

infer_key infer_tone_generator_key(const infer_tone_generator *g)
{
    return g->key;
}

static int synthesizer_knows(const void *s, const char *genre)
{
    return blocks_synthesizer_genre(s, genre) >= 0;
}

bl_status infer_tone_generator_genre(const infer_tone_generator *g, const char *genre, char sounds[64], bl_error *err)
{
    return infer_genre_known(genre, synthesizer_knows, g->synthesizer[0], sounds, err) < 0 ? err->code : BL_OK;
}

/* ---- single tones ---- */

double infer_tone_latency(const float *x, int64_t n_samples, int sample_rate)
{
    const int64_t width = sample_rate / 250, n = n_samples < 3 * sample_rate / 10 ? n_samples : 3 * sample_rate / 10;
    double sum = 0, top = 0;
    /* mean square over the last 4 ms */
    for (int pass = 0; pass < 2; pass++) {
        sum = 0;
        for (int64_t i = 0; i < n; i++) {
            sum += (double)x[i] * (double)x[i];
            if (i >= width)
                sum -= (double)x[i - width] * (double)x[i - width];
            if (pass == 0)
                top = sum > top ? sum : top;
            else if (top > 0 && sum >= ATTACK * ATTACK * top)
                return (double)(i > width / 2 ? i - width / 2 : 0) / sample_rate;
        }
    }
    return 0;
}

/* Root mean square around sample i. */
static double level_at(const float *x, int64_t n, int64_t i, int64_t width)
{
    double sum = 1e-12;
    int64_t count = 1;
    for (int64_t k = i - width; k < i + width; k++)
        if (k >= 0 && k < n) {
            sum += (double)x[k] * (double)x[k];
            count++;
        }
    return sqrt(sum / (double)count);
}

bl_status infer_tone_cut(const float *x, int64_t n_samples, int sample_rate, double duration_s, double wanted_s,
                         double period_s, float **out, int64_t *n_out, bl_error *err)
{
    const double earlier_s = duration_s - wanted_s;
    /* whole periods, so that the two parts are in phase where they meet */
    const double shift_s = period_s > 0 ? floor(earlier_s / period_s + 0.5) * period_s : earlier_s;
    const int64_t shift = (int64_t)llround(shift_s * sample_rate), splice = (int64_t)(SPLICE_S * sample_rate);
    const int64_t at = (int64_t)llround(wanted_s * sample_rate);
    const int dead = n_samples <= at; /* it has decayed before the note-off */

    *n_out = dead || shift < 1 ? n_samples : n_samples - shift > at ? n_samples - shift : at;
    if (!(*out = malloc((size_t)(*n_out > 0 ? *n_out : 1) * sizeof **out)))
        return bl_fail(err, BL_ENOMEM, "no memory for a tone");
    if (dead || shift < 1) {
        memcpy(*out, x, (size_t)n_samples * sizeof *x);
        return BL_OK;
    }
    /* a decaying tone is louder at the earlier note-off than where its release was made */
    const int64_t width = sample_rate / 50;
    double gain = level_at(x, n_samples, at - width, width) / level_at(x, n_samples, at + shift - width, width);
    gain = gain > 8 ? 8 : gain < 0.125 ? 0.125 : gain;
    for (int64_t i = 0; i < *n_out; i++) {
        const double t = i < at - splice ? 0 : i >= at ? 1 : (double)(i - at + splice) / (double)splice;
        const double w = 0.5 - 0.5 * cos(3.14159265358979323846 * t);
        const double release = i + shift < n_samples ? gain * (double)x[i + shift] : 0;
        (*out)[i] = (float)((1 - w) * (double)x[i] + w * release);
    }
    return BL_OK;
}

/* ---- which tones a track needs ---- */

static double duration_of_class(int length_class)
{
    return SHORTEST_S * pow(DURATION_RATIO, length_class);
}

static int class_of_duration(double duration_s)
{
    int c = 0;
    while (c < 40 && duration_of_class(c) < duration_s - 1e-9)
        c++;
    return c;
}

/* How long a drum is left to ring, seconds. */
static double ring_s(int key)
{
    switch (key) {
    case 49: case 52: case 55: case 57: return 2.4;            /* crashes, china, splash */
    case 51: case 53: case 59: return 1.4;                     /* rides                  */
    case 46: return 0.9;                                       /* open hi-hat            */
    case 42: case 44: return 0.2;
    case 41: case 43: case 45: case 47: case 48: case 50: return 0.7; /* toms            */
    default: return 0.4;
    }
}

typedef struct job {
    const infer_tones *in;
    const music_instrument *instrument;
    int      voice, genre, is_drums, n_takes;
    tone    *tones;     int n_tones;
    int     *tone_of;   /* [n_notes] */
    double   latency_s;
    uint64_t seed;
} job;

static int velocity_class(int velocity)
{
    const int v = (velocity + VELOCITY_STEP / 2) / VELOCITY_STEP * VELOCITY_STEP;
    return v < VELOCITY_STEP ? VELOCITY_STEP : v > 127 ? 127 : v;
}

static int bar_of(const infer_tones *in, double onset_s)
{
    int low = 0, high = in->n_bars;
    if (!in->bars_s)
        return (int)floor((onset_s + EARLY_S) / BAR_S);
    while (low < high) {
        const int middle = (low + high) / 2;
        if (in->bars_s[middle] <= onset_s + EARLY_S)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The take of stroke i of n that a pitch has in a bar: in turn, from one that the bar's number says; the last stroke leaves the
 * next bar's first take to it. */
static int take_of(const job *j, int bar, int i, int n)
{
    const int first = ((bar % 2) + 2) % 2, next = 1 - first;
    const int take = (first + i) % j->n_takes, before = (first + i + j->n_takes - 1) % j->n_takes;
    return i + 1 == n && i > 0 && take == next ? TAKES - next - before : take;
}

/* The take of every note: takes [n_notes]. */
static void choose_takes(const job *j, int *takes)
{
    const music_track *track = j->in->track;
    int count[128];
    for (int first = 0, last; first < track->n_notes; first = last) {
        const int bar = bar_of(j->in, track->notes[first].onset_s);
        memset(count, 0, sizeof count);
        for (last = first; last < track->n_notes && bar_of(j->in, track->notes[last].onset_s) == bar; last++)
            takes[last] = count[track->notes[last].pitch & 127]++;
        for (int i = first; i < last; i++)
            takes[i] = take_of(j, bar, takes[i], count[track->notes[i].pitch & 127]);
    }
}

/* Every note gets its tone. */
static bl_status list_tones(job *j, bl_error *err)
{
    const music_track *track = j->in->track;
    j->tones = calloc((size_t)track->n_notes + 1, sizeof *j->tones);
    j->tone_of = malloc(((size_t)track->n_notes + 1) * sizeof *j->tone_of);
    if (!j->tones || !j->tone_of)
        return bl_fail(err, BL_ENOMEM, "no memory for %d notes", track->n_notes);
    choose_takes(j, j->tone_of);
    for (int i = 0; i < track->n_notes; i++) {
        const music_note *n = &track->notes[i];
        const int pitch = n->pitch & 127;
        const tone want = { .pitch = pitch, .velocity = velocity_class(n->velocity),
                            .length_class = j->is_drums ? 0 : class_of_duration(n->offset_s - n->onset_s),
                            .take = j->tone_of[i] };
        int k = 0;
        while (k < j->n_tones && (j->tones[k].pitch != want.pitch || j->tones[k].velocity != want.velocity ||
                                  j->tones[k].length_class != want.length_class || j->tones[k].take != want.take))
            k++;
        if (k == j->n_tones) {
            j->tones[k] = want;
            j->tones[k].duration_s = j->is_drums ? ring_s(pitch) : duration_of_class(want.length_class);
            j->n_tones++;
        }
        j->tone_of[i] = k;
    }
    return BL_OK;
}

/* Silence behind the tone costs time and says nothing. */
static int64_t audible_length(const float *x, int64_t n)
{
    float peak = 0;
    for (int64_t i = 0; i < n; i++)
        peak = fabsf(x[i]) > peak ? fabsf(x[i]) : peak;
    while (n > 1 && (double)fabsf(x[n - 1]) < AUDIBLE * (double)peak)
        n--;
    return n;
}

/* All that a tone depends on. */
static infer_key key_of(const infer_tone_generator *g, const job *j, const blocks_tone *t)
{
    infer_key key = g->key;
    const int64_t words[7] = { t->voice, t->genre, t->pitch, t->velocity, (int64_t)t->seed, t->context != NULL, j->is_drums };
    infer_key_add(&key, words, sizeof words);
    infer_key_add(&key, &t->duration_s, sizeof t->duration_s);
    if (t->context)
        infer_key_add(&key, t->context, (size_t)g->synthesizer[0]->n_context * sizeof *t->context);
    return key;
}

static bl_status make_tone(const infer_tone_generator *g, blocks_synthesizer *s, const job *j, tone *t, bl_error *err)
{
    const uint64_t seeds[3] = { j->seed, (uint64_t)t->pitch, (uint64_t)t->take };
    const blocks_tone wanted = { .voice = j->voice, .genre = j->genre, .pitch = t->pitch, .velocity = t->velocity,
                                 .duration_s = t->duration_s, .beat_position = -1, .context = j->in->context,
                                 .seed = bl_hash(0, seeds, sizeof seeds) };
    const infer_key key = key_of(g, j, &wanted);
    if (infer_cache_get(j->in->cache, key, &t->x, &t->n))
        return BL_OK;
    if (blocks_synthesizer_run(s, &wanted, &t->x, &t->n, err) != BL_OK)
        return err->code;
    for (int64_t i = 0; i < t->n; i++)
        if (!isfinite(t->x[i]))
            return bl_fail(err, BL_ENAN, "the synthesizer made a sample that is not finite (%s, pitch %d); its checkpoint is "
                                         "not usable", j->in->track->name, t->pitch);
    t->n = audible_length(t->x, t->n);
    infer_cache_put(j->in->cache, key, t->x, t->n);
    return BL_OK;
}

static bl_status make_tones(infer_tone_generator *g, job *j, bl_error *err)
{
    bl_progress progress;
    int done = 0, stop = 0;
    int64_t next = 0;
    char what[96];
    snprintf(what, sizeof what, "playing %s", j->in->track->name);
    bl_progress_start(&progress, what, "tones", j->n_tones, j->in->quiet);
    /* Kernels inside run on one thread each: a tone is the same whoever makes it. */
    #pragma omp parallel num_threads(g->n)
    {
        bl_error own = { 0 };
        blocks_synthesizer *s = g->synthesizer[omp_get_thread_num()];
        for (int64_t i; (i = bl_take(&next)) < j->n_tones;) {
            int skip;
            #pragma omp atomic read
            skip = stop;
            if (skip)
                continue;
            if (bl_interrupted())
                bl_fail(&own, BL_ESTOP, "interrupted");
            if (own.code || make_tone(g, s, j, &j->tones[i], &own) != BL_OK) {
                #pragma omp atomic write
                stop = 1;
                #pragma omp critical(infer_tone_failed)
                bl_fail(err, own.code, "%s", own.msg);
                continue;
            }
            #pragma omp critical(infer_tone_done)
            bl_progress_step(&progress, ++done, "");
        }
    }
    bl_progress_end(&progress);
    return err->code;
}

static int compare_real(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void free_tones(job *j)
{
    for (int i = 0; i < j->n_tones; i++)
        free(j->tones[i].x);
    free(j->tones);
    free(j->tone_of);
}

/* The voice's delay; one for all of its tones, since a player's lead does not change from note to note, and the same in every
 * song: of a few tones over the voice's range, or of kick, snare and toms. */
static bl_status find_latency(infer_tone_generator *g, job *j, bl_error *err)
{
    enum { PROBES = 5 };
    static const int drum_keys[PROBES] = { 36, 38, 45, 36, 38 };
    const blocks_voice *v = &g->synthesizer[0]->voices[j->voice];
    const infer_tones in = { .track = j->in->track, .quiet = 1, .cache = j->in->cache };
    tone tones[PROBES];
    double all[PROBES];
    job probe = { .in = &in, .voice = j->voice, .genre = j->genre, .is_drums = j->is_drums, .tones = tones, .n_tones = PROBES, .seed = 1 };
    for (int i = 0; i < g->n_latencies; i++)
        if (g->latency[i].voice == j->voice && g->latency[i].genre == j->genre) {
            j->latency_s = g->latency[i].s;
            return BL_OK;
        }
    for (int i = 0; i < PROBES; i++)
        tones[i] = (tone){ .pitch = j->is_drums ? drum_keys[i] : v->lowest + (v->highest - v->lowest) * (2 * i + 1) / (2 * PROBES),
                           .velocity = 96, .take = i, .duration_s = j->is_drums ? 0.2 : 0.35 };
    const bl_status status = make_tones(g, &probe, err);
    for (int i = 0; i < PROBES && status == BL_OK; i++)
        all[i] = infer_tone_latency(tones[i].x, tones[i].n, g->synthesizer[0]->sample_rate);
    for (int i = 0; i < PROBES; i++)
        free(tones[i].x);
    if (status != BL_OK)
        return status;
    qsort(all, PROBES, sizeof *all, compare_real);
    j->latency_s = all[PROBES / 2] > LATEST_S ? LATEST_S : all[PROBES / 2];
    if (g->n_latencies < MAX_LATENCIES) {
        g->latency[g->n_latencies].voice = j->voice;
        g->latency[g->n_latencies].genre = j->genre;
        g->latency[g->n_latencies++].s = j->latency_s;
    }
    return BL_OK;
}

/* ---- laying them ---- */

/* When note i has to be gone, and over how long it fades; HUGE_VAL: never. */
static double end_of(const job *j, int i, double *fade_s)
{
    const music_track *track = j->in->track;
    const music_note *n = &track->notes[i];
    const int one_voice = j->instrument && j->instrument->polyphony == 1;
    const int one_hand = j->instrument && j->instrument->family == MUSIC_GUITAR;
    for (int k = i + 1; k < track->n_notes; k++) {
        const music_note *next = &track->notes[k];
        if (next->onset_s > n->offset_s + 4)
            break;
        if (next->onset_s < n->onset_s + 1e-4)
            continue;
        if (j->is_drums && n->pitch == 46 && (next->pitch == 42 || next->pitch == 44 || next->pitch == 46)) {
            *fade_s = CHOKE_FADE_S;
            return next->onset_s;
        }
        if (j->is_drums)
            continue; /* a struck drum keeps ringing under the next stroke */
        if (one_hand && n->offset_s <= next->onset_s + 0.01) { /* the strings are damped before the next stroke */
            *fade_s = DAMP_FADE_S;
            return fmax(next->onset_s - DAMP_AHEAD_S, n->onset_s + 0.03);
        }
        if (next->pitch == n->pitch || one_voice) {
            *fade_s = next->pitch == n->pitch ? AGAIN_FADE_S : LEGATO_FADE_S;
            return next->onset_s;
        }
    }
    return HUGE_VAL;
}

static bl_status lay_note(const job *j, int i, int rate, float *stem, int64_t n_samples, bl_error *err)
{
    const music_note *note = &j->in->track->notes[i];
    const tone *t = &j->tones[j->tone_of[i]];
    const double start_s = note->onset_s - j->latency_s;
    const double period_s = j->is_drums ? 0 : 1 / (440 * exp2((note->pitch - 69) / 12.0));
    double fade_s = 0, wanted_s = note->offset_s - start_s, gain = (double)note->velocity / t->velocity;
    const double end_s = end_of(j, i, &fade_s);
    float *cut = NULL;
    const float *x = t->x;
    int64_t n = t->n;

    if (!j->is_drums) {
        wanted_s = wanted_s > t->duration_s ? t->duration_s : wanted_s < SHORTEST_S ? SHORTEST_S : wanted_s;
        if (infer_tone_cut(t->x, t->n, rate, t->duration_s, wanted_s, period_s, &cut, &n, err) != BL_OK)
            return err->code;
        x = cut;
    }
    const int64_t first = (int64_t)llround(start_s * rate), fade = (int64_t)(fade_s * rate);
    const int64_t end = isfinite(end_s) ? (int64_t)llround((end_s - start_s) * rate) : n;
    if (end < n)
        n = end > 0 ? end : 0;
    for (int64_t k = first < 0 ? -first : 0; k < n && first + k < n_samples; k++) {
        double g = gain;
        if (fade && n == end && n - k < fade)
            g *= 0.5 - 0.5 * cos(3.14159265358979323846 * (double)(n - k) / (double)fade);
        stem[first + k] += (float)(g * (double)x[k]);
    }
    free(cut);
    return BL_OK;
}

bl_status infer_tone_generator_run(infer_tone_generator *g, const infer_tones *in, float *stem, int64_t n_samples,
                                   infer_tone_figures *figures, bl_error *err)
{
    const blocks_synthesizer *s = g->synthesizer[0];
    const music_track *track = in->track;
    job j = { .in = in, .instrument = music_instrument_find(track->name), .is_drums = track->is_drums };
    bl_error own = { 0 };
    bl_status status;
    char sounds[INFER_GENRE_NAME] = "";

    if (in->genre && infer_tone_generator_genre(g, in->genre, sounds, err) != BL_OK)
        return err->code;
    j.genre = blocks_synthesizer_genre(s, sounds);
    j.voice = blocks_synthesizer_voice(s, track->name, j.genre, track->is_drums && !track->program ? -1 : track->program);
    if (j.voice < 0)
        return bl_fail(err, BL_EARG, "the synthesizer has not learned \"%s\"", track->name);
    j.n_takes = track->is_drums ? TAKES_DRUMS : TAKES_PITCHED;
    j.seed = bl_hash(in->seed, track->name, strlen(track->name));
    status = list_tones(&j, &own);
    if (status == BL_OK)
        status = make_tones(g, &j, &own);
    if (status == BL_OK)
        status = find_latency(g, &j, &own);
    for (int i = 0; i < track->n_notes && status == BL_OK; i++)
        status = lay_note(&j, i, s->sample_rate, stem, n_samples, &own);
    if (status == BL_OK && figures) {
        *figures = (infer_tone_figures){ track->n_notes, j.n_tones, 0, j.latency_s };
        for (int i = 0; i < j.n_tones; i++)
            figures->tone_seconds += (double)j.tones[i].n / s->sample_rate;
    }
    free_tones(&j);
    return status == BL_OK ? BL_OK : bl_fail(err, own.code, "%s", own.msg);
}
