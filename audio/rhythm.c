/* Over 600 lines: tempo, beats and downbeats are one decision over the same scores. */
#include "audio/rhythm.h"

#include "audio/flux.h"
#include "audio/rhythm_tables.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The bar pointer: a hidden Markov model whose state is (beat period, place in the bar); it moves one
 * frame a frame, and the period may change at every beat. Since the place only advances, scores stay
 * where they are and the origin moves: state (T, j) of time t is cell (j - t) mod (beats*T) of T's ring.
 * Only events (sung notes, peaks of the flux) and beats touch the scores, which makes it cheap.
 *
 * Over 600 lines because all of it reads one private model: events, meters and places in the bar. */

static const double HOP_S = 0.005, BPM_MIN = 46, BPM_MAX = 210, BPM_DEFAULT = 100;
static const double PIECE_S = 240; /* back pointers are held for so long a piece at a time: bounded memory */

/* Tempo before anything is heard: log-normal, and weighed by the number of events, because every event
 * carries the same small leaning towards fast or slow grids that this corrects. */
static const double PRIOR_BPM_NOTES = 88, PRIOR_BPM_FLUX = 112, PRIOR_OCTAVES = 0.60, PRIOR_PER_EVENT = 0.15;
/* Nobody counts much slower than this: plain beats would otherwise be halved once more. */
static const double SLOW_BPM = 70, SLOW_COST = 8;
/* A change of the period at a beat: the first step of 5 ms is nearly free, since true periods lie between. */
static const double STEP_COST = 0.7, CHANGE_COST = 100;
enum { MAX_CHANGE = 4, FLUX_SOURCES = 2 * AUDIO_FLUX_BANDS };

static const double NOTE_SIGMA_S = 0.030, FLUX_SIGMA_S = 0.016;
static const double STRAY_NOTE = 0.05, STRAY_FLUX = 0.08;
static const double FLUX_SCALE = 0.5;
static const double FLUX_LATE_S = 0.008; /* the flux peaks so long after an attack begins, on average */
static const double STRONG = 0.35;
/* Log odds against 3/4: before anything is heard, and for melodies, whose tables for 3/4 stand on few tunes. */
static const double WALTZ_COST_FLUX = 2, WALTZ_COST_NOTES = 10;

typedef struct event {
    double time_s, weight;
    int    source;     /* 0 sung note, else 1 + 2 * flux band + strong */
    double interval_s; /* notes: to the next onset                 */
} event;

typedef struct meter {
    int          beats;
    const short *onset, (*melody)[RHYTHM_SPANS], (*flux)[16], (*flux_short)[12];
} meter;

static const meter METER_4 = { 4, onset_44, melody_44, flux_44, NULL };
static const meter METER_3 = { 3, onset_34, melody_34, NULL, flux_34 };

typedef struct pointer {
    const meter *meter;
    int     shortest, n_periods;     /* periods shortest .. shortest + n_periods - 1, in frames */
    int64_t *ring;                   /* [n_periods] where each period's ring begins             */
    float  *score;                   /* all rings                                               */
    float  *flux[FLUX_SOURCES];      /* flux_score of every place, laid out as score            */
    float  *arriving;                /* [n_periods]                                             */
    signed char *back;               /* [piece frames, beats, n_periods] change of period       */
    int64_t piece_frames, n_scores;
} pointer;

typedef struct beat { int64_t frame; int in_bar; } beat;

void audio_rhythm_free(audio_rhythm *rhythm)
{
    free(rhythm->beats_s), free(rhythm->downbeats_s);
    memset(rhythm, 0, sizeof *rhythm);
}

/* ---- events ---- */

static int compare_events(const void *a, const void *b)
{
    const event *x = a, *y = b;
    if (x->time_s != y->time_s)
        return x->time_s < y->time_s ? -1 : 1;
    return x->source - y->source;
}

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Peaks of one band, weighed against the band's strong peaks. */
static int64_t flux_events(const audio_flux *flux, int band, double weight, event *out, float *scratch)
{
    const float *x = flux->band[band];
    int64_t      n = 0;
    for (int64_t t = 0; t < flux->n_frames; t++) {
        int peak = x[t] > 0.02f;
        for (int64_t i = t - 4; peak && i <= t + 4; i++)
            if (i >= 0 && i < flux->n_frames && (x[i] > x[t] || (x[i] == x[t] && i < t)))
                peak = 0;
        if (!peak)
            continue;
        scratch[n] = x[t];
        out[n++] = (event){ fmax(0, (double)t * flux->hop_s - FLUX_LATE_S), (double)x[t], 1 + 2 * band, 0 };
    }
    if (!n)
        return 0;
    qsort(scratch, (size_t)n, sizeof(float), compare_floats);
    const double strong = fmax(0.1, (double)scratch[(n - 1) * 9 / 10]);
    int64_t      kept = 0;
    for (int64_t i = 0; i < n; i++) {
        const double share = fmin(1, out[i].weight / strong);
        if (share < 0.15)
            continue;
        out[kept] = out[i];
        out[kept].source += share * share > STRONG;
        out[kept++].weight = weight * share * share;
    }
    return kept;
}

static bl_status collect_events(const float *x, int64_t n_samples, int sample_rate, const audio_rhythm_config *config,
                                event **events, int64_t *n_events, bl_error *err)
{
    static const double share[AUDIO_FLUX_BANDS] = { 0.8, 0.6, 0.3, 0.5 };
    const int    notes = config->notes ? config->n_notes : 0;
    const double note_weight = !notes ? 0 : config->note_weight > 0 ? config->note_weight : 0.75;
    audio_flux   flux;
    bl_status    status = audio_flux_run(x, n_samples, sample_rate, &flux, err);
    if (status != BL_OK)
        return status;
    *events = malloc(sizeof **events * ((size_t)flux.n_frames * AUDIO_FLUX_BANDS / 4 + (size_t)notes + 8));
    float *scratch = malloc(sizeof(float) * (size_t)flux.n_frames);
    *n_events = 0;
    if (!*events || !scratch) {
        status = bl_fail(err, BL_ENOMEM, "rhythm: no memory");
    } else {
        for (int i = 0; i < notes; i++) {
            const double next = i + 1 < notes ? config->notes[i + 1].onset_s : 1e9;
            (*events)[(*n_events)++] = (event){ config->notes[i].onset_s, note_weight, 0, next - config->notes[i].onset_s };
        }
        for (int b = 0; b < AUDIO_FLUX_BANDS && note_weight < 1; b++)
            *n_events += flux_events(&flux, b, (1 - note_weight) * FLUX_SCALE * share[b], *events + *n_events, scratch);
        qsort(*events, (size_t)*n_events, sizeof **events, compare_events);
    }
    free(scratch);
    audio_flux_free(&flux);
    return status;
}

/* Log likelihood of a sung note by sixteenth of the bar, apart from how far off it is: [16 or 12]. */
static void note_scores(const meter *m, const event *e, double period_s, double *out)
{
    const int    k = (int)lround(fmin(1000, e->interval_s / (period_s / 4)));
    const double peak = log((1 - STRAY_NOTE) / (NOTE_SIGMA_S * sqrt(2 * acos(-1.0))));
    for (int g = 0; g < 4 * m->beats; g++) {
        if (e->interval_s > 3) {
            out[g] = peak + log(m->onset[g] / 1000.0) - 1; /* after a long rest the interval says little */
        } else {
            out[g] = peak - m->melody[g][k < 1 ? 0 : k > RHYTHM_SPANS - 1 ? RHYTHM_SPANS - 1 : k - 1] / 100.0;
            out[g] -= k < 1 ? 2.0 : k > RHYTHM_SPANS - 1 ? log(16.0) : 0;
        }
    }
}

static double note_score(double by_sixteenth, double delta_s)
{
    /* A stray onset: anywhere within about two seconds. */
    return fmax(by_sixteenth - delta_s * delta_s / (2 * NOTE_SIGMA_S * NOTE_SIGMA_S), log(STRAY_NOTE / 2));
}

/* Log likelihood ratio of a peak of the flux against a peak anywhere. */
static double flux_score(const meter *m, int source, int g, double delta_s, double period_s)
{
    const double rate = 4.0 * m->beats * (m->flux ? m->flux[source][g] : m->flux_short[source][g]) / 1000;
    const double bell = exp(-delta_s * delta_s / (2 * FLUX_SIGMA_S * FLUX_SIGMA_S)) / (FLUX_SIGMA_S * sqrt(2 * acos(-1.0)));
    return log((1 - STRAY_FLUX) * rate * period_s / 4 * bell + STRAY_FLUX);
}

/* The sixteenth nearest to place j of a bar whose beat lasts period, and how far j is after it. */
static int nearest_sixteenth(int64_t j, int64_t period, double *delta_s)
{
    const int64_t g = (8 * j + period) / (2 * period);
    *delta_s = ((double)j - (double)g * (double)period / 4) * HOP_S;
    return (int)g;
}

/* ---- the bar pointer ---- */

static void pointer_free(pointer *p)
{
    for (int b = 0; b < FLUX_SOURCES; b++)
        free(p->flux[b]);
    free(p->ring), free(p->score), free(p->arriving), free(p->back);
}

/* Share of the notes in the events' weight, whose sum is *total. */
static double note_share(const event *events, int64_t n_events, double *total)
{
    double notes = 0, flux = 0;
    for (int64_t i = 0; i < n_events; i++)
        *(events[i].source ? &flux : &notes) += events[i].weight;
    *total = notes + flux;
    return *total > 0 ? notes / *total : 0;
}

static double waltz_cost(const event *events, int64_t n_events)
{
    double total;
    return WALTZ_COST_FLUX + (WALTZ_COST_NOTES - WALTZ_COST_FLUX) * note_share(events, n_events, &total);
}

static bl_status pointer_init(pointer *p, const meter *m, int64_t n_frames, const event *events, int64_t n_events,
                              bl_error *err)
{
    double       total;
    const double share = note_share(events, n_events, &total), prior_weight = 1 + PRIOR_PER_EVENT * total;
    const double prior_bpm = exp(share * log(PRIOR_BPM_NOTES) + (1 - share) * log(PRIOR_BPM_FLUX));

    memset(p, 0, sizeof *p);
    p->meter = m;
    p->shortest = (int)ceil(60 / BPM_MAX / HOP_S);
    p->n_periods = (int)floor(60 / BPM_MIN / HOP_S) - p->shortest + 1;
    p->piece_frames = n_frames < (int64_t)(PIECE_S / HOP_S) ? n_frames : (int64_t)(PIECE_S / HOP_S);
    const size_t cells = (size_t)m->beats * (size_t)p->n_periods;
    p->ring = malloc(sizeof *p->ring * (size_t)p->n_periods);
    p->arriving = malloc(sizeof(float) * (size_t)p->n_periods);
    p->back = malloc((size_t)p->piece_frames * cells);
    for (int i = 0; p->ring && i < p->n_periods; i++) {
        p->ring[i] = p->n_scores;
        p->n_scores += (int64_t)m->beats * (p->shortest + i);
    }
    p->score = malloc(sizeof(float) * (size_t)(p->n_scores + 1));
    int ready = p->ring && p->arriving && p->back && p->score;
    for (int b = 0; b < FLUX_SOURCES; b++)
        ready = (p->flux[b] = malloc(sizeof(float) * (size_t)(p->n_scores + 1))) != NULL && ready;
    if (!ready)
        return bl_fail(err, BL_ENOMEM, "rhythm: no memory");
    for (int i = 0; i < p->n_periods; i++) {
        const double bpm = 60 / ((p->shortest + i) * HOP_S), octaves = log2(bpm / prior_bpm) / PRIOR_OCTAVES;
        const double slow = fmax(0, log2(SLOW_BPM / bpm));
        const double prior = -(0.5 * octaves * octaves + SLOW_COST * slow * slow) * prior_weight;
        for (int64_t j = 0; j < (int64_t)m->beats * (p->shortest + i); j++) {
            double    delta_s;
            const int g = nearest_sixteenth(j, p->shortest + i, &delta_s) % (4 * m->beats);
            p->score[p->ring[i] + j] = (float)(prior - log((double)m->beats * (p->shortest + i)));
            for (int b = 0; b < FLUX_SOURCES; b++)
                p->flux[b][p->ring[i] + j] = (float)flux_score(m, b, g, delta_s, (p->shortest + i) * HOP_S);
        }
    }
    return BL_OK;
}

/* Cell of period index i, place j, time t. */
static int64_t cell(const pointer *p, int i, int64_t j, int64_t t)
{
    const int64_t length = (int64_t)p->meter->beats * (p->shortest + i);
    int64_t       k = (j - t) % length;
    return p->ring[i] + (k < 0 ? k + length : k);
}

/* At every beat the period may change. */
static void pass_beats(pointer *p, int64_t t, signed char *back)
{
    for (int b = 0; b < p->meter->beats; b++) {
        float *arriving = p->arriving;
        for (int i = 0; i < p->n_periods; i++)
            arriving[i] = p->score[cell(p, i, (int64_t)b * (p->shortest + i), t)];
        for (int i = 0; i < p->n_periods; i++) {
            float best = arriving[i];
            int   change = 0;
            for (int d = -MAX_CHANGE; d <= MAX_CHANGE; d++) {
                if (!d || i + d < 0 || i + d >= p->n_periods)
                    continue;
                const int   steps = d < 0 ? -d : d;
                const float s = arriving[i + d] - (float)(STEP_COST + CHANGE_COST * (steps - 1) / (p->shortest + i));
                if (s > best) {
                    best = s;
                    change = d;
                }
            }
            p->score[cell(p, i, (int64_t)b * (p->shortest + i), t)] = best;
            back[b * p->n_periods + i] = (signed char)change;
        }
    }
}

static void hear_event(pointer *p, const event *e, int64_t t)
{
    const int sixteenths = 4 * p->meter->beats;
    for (int i = 0; i < p->n_periods; i++) {
        const int     period = p->shortest + i;
        const int64_t length = (int64_t)p->meter->beats * period;
        const float  *flux = e->source ? p->flux[e->source - 1] + p->ring[i] : NULL;
        float        *ring = p->score + p->ring[i];
        int64_t       k = (length - t % length) % length; /* cell of place 0 */
        double        note[16];
        if (!flux)
            note_scores(p->meter, e, period * HOP_S, note);
        for (int64_t j = 0; j < length; j++, k = k + 1 == length ? 0 : k + 1) {
            if (flux) {
                ring[k] += (float)e->weight * flux[j];
            } else {
                double    delta_s;
                const int g = nearest_sixteenth(j, period, &delta_s);
                ring[k] += (float)(e->weight * note_score(note[g % sixteenths], delta_s));
            }
        }
    }
}

/* The best state, its period index and its place at time t. */
static float best_state(const pointer *p, int64_t t, int *period, int64_t *place)
{
    float top = -INFINITY;
    for (int i = 0; i < p->n_periods; i++) {
        const int64_t length = (int64_t)p->meter->beats * (p->shortest + i);
        for (int64_t k = 0; k < length; k++)
            if (p->score[p->ring[i] + k] > top) {
                top = p->score[p->ring[i] + k];
                *period = i;
                *place = (k + t) % length;
            }
    }
    return top;
}

/* Back along the best path from (period, place) at frame first + n - 1; beats in falling order. */
static int64_t trace_back(const pointer *p, int64_t first, int64_t n, int period, int64_t place, beat *out)
{
    const int64_t row = (int64_t)p->meter->beats * p->n_periods;
    int64_t       n_beats = 0;
    for (int64_t t = n - 1; t >= 0;) {
        const int64_t length = p->shortest + period, in_beat = place % length;
        const int     b = (int)(place / length);
        if (in_beat > t)
            break;
        t -= in_beat;
        out[n_beats++] = (beat){ first + t, b };
        period += p->back[t * row + (int64_t)b * p->n_periods + period];
        const int64_t bar = (int64_t)p->meter->beats * (p->shortest + period);
        place = ((int64_t)b * (p->shortest + period) - 1 + bar) % bar;
        t--;
    }
    return n_beats;
}

/* All beats of the signal in a meter, in order; the score tells how well the meter fits. */
static bl_status run_pointer(const meter *m, const event *events, int64_t n_events, int64_t n_frames, beat **beats,
                             int64_t *n_beats, double *score, bl_error *err)
{
    pointer   p;
    bl_status status = pointer_init(&p, m, n_frames, events, n_events, err);
    beat     *piece = NULL;

    *n_beats = 0, *score = 0;
    *beats = NULL;
    if (status != BL_OK)
        goto done;
    *beats = malloc(sizeof **beats * (size_t)(n_frames / p.shortest + 4));
    piece = malloc(sizeof *piece * (size_t)(p.piece_frames / p.shortest + 4));
    if (!*beats || !piece) {
        status = bl_fail(err, BL_ENOMEM, "rhythm: no memory");
        goto done;
    }
    int64_t e = 0;
    for (int64_t first = 0; first < n_frames; first += p.piece_frames) {
        const int64_t n = n_frames - first < p.piece_frames ? n_frames - first : p.piece_frames;
        for (int64_t t = first; t < first + n; t++) {
            pass_beats(&p, t, p.back + (t - first) * m->beats * p.n_periods);
            for (; e < n_events && events[e].time_s < ((double)t + 0.5) * HOP_S; e++)
                hear_event(&p, &events[e], t);
        }
        int         period = 0;
        int64_t     place = 0;
        const float top = best_state(&p, first + n - 1, &period, &place);
        int64_t     found = trace_back(&p, first, n, period, place, piece);
        *score += (double)top;
        while (found > 0)
            (*beats)[(*n_beats)++] = piece[--found];
        /* The next piece goes on from this state alone. */
        for (int64_t k = 0; k < p.n_scores; k++)
            p.score[k] = -1e9f;
        p.score[cell(&p, period, place, first + n - 1)] = 0;
    }
done:
    pointer_free(&p);
    free(piece);
    if (status != BL_OK) {
        free(*beats);
        *beats = NULL;
    }
    return status;
}

/* ---- a steady grid at a known tempo ---- */

static double score_event(const meter *m, const event *e, double place_s, double period_s)
{
    const double x = 4 * place_s / period_s, near = floor(x + 0.5), delta_s = (x - near) * period_s / 4;
    const int    g = (int)near % (4 * m->beats);
    double       note[16];
    if (e->source)
        return e->weight * flux_score(m, e->source - 1, g, delta_s, period_s);
    note_scores(m, e, period_s, note);
    return e->weight * note_score(note[g], delta_s);
}

/* Time of a downbeat in [0, bar) that fits best. */
static double best_phase(const meter *m, const event *events, int64_t n_events, double period_s, double *score)
{
    const double bar_s = m->beats * period_s;
    double       best = 0;
    *score = -INFINITY;
    for (double phase = 0; phase < bar_s; phase += 0.004) {
        double sum = 0;
        for (int64_t i = 0; i < n_events; i++)
            sum += score_event(m, &events[i], fmod(events[i].time_s - phase + bar_s, bar_s), period_s);
        if (sum > *score) {
            *score = sum;
            best = phase;
        }
    }
    return best;
}

/* ---- smoothing ---- */

/* Least squares: beat times b such that events lie on the sixteenths they were heard on, and the tempo
 * bends as little as possible:
 *
 *     sum of w_e (t_e - (1 - f_e) b[n_e] - f_e b[n_e + 1])^2 + STIFF * sum of (b[n+1] - 2 b[n] + b[n-1])^2
 *
 * A symmetric system of bandwidth 2: a [n][3] holds the diagonal and two above it, by Cholesky. */
static void solve_banded(double (*a)[3], double *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        for (int k = 1; k <= 2 && i - k >= 0; k++)
            a[i][0] -= a[i - k][k] * a[i - k][k];
        a[i][0] = sqrt(fmax(a[i][0], 1e-12));
        if (i >= 1)
            a[i][1] -= a[i - 1][1] * a[i - 1][2];
        a[i][1] /= a[i][0];
        a[i][2] /= a[i][0];
    }
    for (int64_t i = 0; i < n; i++) {
        for (int k = 1; k <= 2 && i - k >= 0; k++)
            b[i] -= a[i - k][k] * b[i - k];
        b[i] /= a[i][0];
    }
    for (int64_t i = n - 1; i >= 0; i--) {
        for (int k = 1; k <= 2 && i + k < n; k++)
            b[i] -= a[i][k] * b[i + k];
        b[i] /= a[i][0];
    }
}

static bl_status smooth_beats(double *beats_s, int64_t n, const event *events, int64_t n_events, bl_error *err)
{
    static const double stiff = 400, anchor = 0.03;
    if (n < 4)
        return BL_OK;
    double (*a)[3] = malloc(sizeof *a * (size_t)n), *b = malloc(sizeof(double) * (size_t)n);
    if (!a || !b) {
        free(a), free(b);
        return bl_fail(err, BL_ENOMEM, "rhythm: no memory");
    }
    for (int round = 0; round < 3; round++) {
        for (int64_t i = 0; i < n; i++) {
            a[i][0] = anchor, a[i][1] = a[i][2] = 0;
            b[i] = anchor * beats_s[i];
        }
        for (int64_t i = 1; i + 1 < n; i++) {
            a[i - 1][0] += stiff, a[i][0] += 4 * stiff, a[i + 1][0] += stiff;
            a[i - 1][1] -= 2 * stiff, a[i][1] -= 2 * stiff;
            a[i - 1][2] += stiff;
        }
        int64_t k = 0;
        for (int64_t i = 0; i < n_events; i++) {
            const double t = events[i].time_s;
            while (k + 2 < n && beats_s[k + 1] <= t)
                k++;
            const double period = beats_s[k + 1] - beats_s[k], u = (t - beats_s[k]) / period;
            if (u < -0.125 || u > 1.125)
                continue;
            const double f = floor(4 * u + 0.5) / 4, off = (u - f) * period;
            const double sigma = events[i].source ? FLUX_SIGMA_S : NOTE_SIGMA_S;
            const double w = events[i].weight * exp(-off * off / (2 * sigma * sigma)); /* strays weigh nothing */
            a[k][0] += w * (1 - f) * (1 - f), a[k + 1][0] += w * f * f;
            a[k][1] += w * f * (1 - f);
            b[k] += w * (1 - f) * t, b[k + 1] += w * f * t;
        }
        solve_banded(a, b, n);
        memcpy(beats_s, b, sizeof(double) * (size_t)n);
    }
    free(a), free(b);
    return BL_OK;
}

/* ---- the whole ---- */

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Share of the events within 30 ms of a sixteenth, beyond what chance gives. */
static double grid_confidence(const audio_rhythm *r, const event *events, int64_t n_events)
{
    double hit = 0, chance = 0, all = 0;
    for (int64_t i = 0; i < n_events; i++) {
        const double at = 4 * audio_rhythm_position(r, events[i].time_s), off = fabs(at - floor(at + 0.5));
        const double cell_s = 60 / r->bpm / 4;
        hit += off * cell_s < 0.03 ? events[i].weight : 0;
        chance += events[i].weight * fmin(1, 0.06 / cell_s);
        all += events[i].weight;
    }
    return all > 0 && chance < all ? fmin(1, fmax(0, (hit - chance) / (all - chance))) : 0;
}

/* Takes beats [n] with the place in the bar of the first; adds beats at both ends so that the grid spans
 * the signal; fills the result. */
static bl_status finish(const double *beats_s, int64_t n, int first_in_bar, int beats_per_bar, double length_s,
                        audio_rhythm *out, bl_error *err)
{
    const double step_front = beats_s[1] - beats_s[0], step_back = beats_s[n - 1] - beats_s[n - 2];
    const int64_t front = beats_s[0] > 0 ? (int64_t)(beats_s[0] / step_front + 1e-6) : 0;
    const int64_t back = beats_s[n - 1] < length_s ? (int64_t)((length_s - beats_s[n - 1]) / step_back + 1e-6) : 0;
    int64_t from = 0, to = n;
    while (from < n && beats_s[from] < -1e-6)
        from++;
    while (to > from && beats_s[to - 1] > length_s)
        to--;
    const int64_t total = front + back + to - from;
    double       *gaps = malloc(sizeof(double) * (size_t)n);
    out->beats_s = malloc(sizeof(double) * (size_t)(total + 1));
    out->downbeats_s = malloc(sizeof(double) * (size_t)(total + 1));
    if (!gaps || !out->beats_s || !out->downbeats_s) {
        free(gaps);
        audio_rhythm_free(out);
        return bl_fail(err, BL_ENOMEM, "rhythm: no memory");
    }
    int64_t in_bar = first_in_bar + from - front;
    for (int64_t i = front; i > 0; i--)
        out->beats_s[out->n_beats++] = fmax(0, beats_s[0] - (double)i * step_front);
    for (int64_t i = from; i < to; i++)
        out->beats_s[out->n_beats++] = fmax(0, beats_s[i]);
    for (int64_t i = 1; i <= back; i++)
        out->beats_s[out->n_beats++] = beats_s[n - 1] + (double)i * step_back;
    in_bar = ((in_bar % beats_per_bar) + beats_per_bar) % beats_per_bar;
    out->first_downbeat = (int)((beats_per_bar - in_bar) % beats_per_bar);
    out->beats_per_bar = beats_per_bar;
    for (int i = out->first_downbeat; i < out->n_beats; i += beats_per_bar)
        out->downbeats_s[out->n_downbeats++] = out->beats_s[i];
    for (int64_t i = 0; i + 1 < n; i++)
        gaps[i] = beats_s[i + 1] - beats_s[i];
    qsort(gaps, (size_t)(n - 1), sizeof(double), compare_doubles);
    out->bpm = 60 / gaps[(n - 1) / 2];
    free(gaps);
    return BL_OK;
}

static bl_status steady_grid(double bpm, double phase_s, int beats_per_bar, double length_s,
                             audio_rhythm *out, bl_error *err)
{
    const double  period_s = 60 / bpm;
    const int     before = (int)floor(phase_s / period_s + 1e-9);
    const double  first_s = phase_s - before * period_s;
    const int64_t n = (int64_t)fmax(2, floor((length_s - first_s) / period_s + 1e-9) + 1);
    double       *beats_s = malloc(sizeof(double) * (size_t)n);
    if (!beats_s)
        return bl_fail(err, BL_ENOMEM, "rhythm: no memory");
    for (int64_t i = 0; i < n; i++)
        beats_s[i] = first_s + (double)i * period_s;
    const int in_bar = ((-before % beats_per_bar) + beats_per_bar) % beats_per_bar;
    bl_status status = finish(beats_s, n, in_bar, beats_per_bar, length_s, out, err);
    if (status == BL_OK)
        out->bpm = bpm;
    free(beats_s);
    return status;
}

static bl_status free_grid(const event *events, int64_t n_events, int beats_per_bar, double length_s, audio_rhythm *out,
                           bl_error *err)
{
    const int64_t n_frames = (int64_t)(length_s / HOP_S) + 1;
    beat         *beats[2] = { NULL, NULL };
    int64_t       n_beats[2] = { 0, 0 };
    double        score[2] = { -INFINITY, -INFINITY };
    double       *beats_s = NULL;
    bl_status     status = BL_OK;

    for (int i = 0; i < 2; i++) {
        const int tried = i ? 3 : 4;
        if (beats_per_bar == 0 || beats_per_bar == tried || (tried == 4 && beats_per_bar != 3)) {
            status = run_pointer(i ? &METER_3 : &METER_4, events, n_events, n_frames, &beats[i], &n_beats[i], &score[i], err);
            if (status != BL_OK)
                goto done;
        }
    }
    const int     use = score[1] - waltz_cost(events, n_events) > score[0];
    const int64_t n = n_beats[use];
    if (n < 2) {
        const double bpm = BPM_DEFAULT;
        status = steady_grid(bpm, 0, beats_per_bar ? beats_per_bar : 4, length_s, out, err);
        goto done;
    }
    if (!(beats_s = malloc(sizeof(double) * (size_t)n))) {
        status = bl_fail(err, BL_ENOMEM, "rhythm: no memory");
        goto done;
    }
    for (int64_t i = 0; i < n; i++)
        beats_s[i] = (double)beats[use][i].frame * HOP_S;
    if ((status = smooth_beats(beats_s, n, events, n_events, err)) == BL_OK)
        status = finish(beats_s, n, beats[use][0].in_bar, beats_per_bar ? beats_per_bar : use ? 3 : 4, length_s, out, err);
done:
    free(beats[0]), free(beats[1]), free(beats_s);
    return status;
}

bl_status audio_rhythm_analyze(const float *x, int64_t n_samples, int sample_rate, audio_rhythm_config config,
                               audio_rhythm *out, bl_error *err)
{
    event    *events = NULL;
    int64_t   n_events = 0;
    bl_status status;

    memset(out, 0, sizeof *out);
    if (n_samples < 1 || sample_rate < 4000)
        return bl_fail(err, BL_EARG, "rhythm: expected a signal at 4000 Hz or more, got %lld samples at %d Hz",
                       (long long)n_samples, sample_rate);
    if (config.bpm != 0 && !(config.bpm >= 20 && config.bpm <= 400))
        return bl_fail(err, BL_EARG, "rhythm: expected a tempo of 20 .. 400 bpm, got %g", config.bpm);
    if (config.beats_per_bar != 0 && (config.beats_per_bar < 2 || config.beats_per_bar > 12))
        return bl_fail(err, BL_EARG, "rhythm: expected 2 .. 12 beats per bar, got %d", config.beats_per_bar);
    if ((status = collect_events(x, n_samples, sample_rate, &config, &events, &n_events, err)) != BL_OK)
        goto done;

    const double length_s = (double)n_samples / sample_rate;
    if (config.bpm > 0 || n_events == 0) {
        const double bpm = config.bpm > 0 ? config.bpm : BPM_DEFAULT;
        double       score_4, score_3;
        const double phase_4 = best_phase(&METER_4, events, n_events, 60 / bpm, &score_4);
        const double phase_3 = best_phase(&METER_3, events, n_events, 60 / bpm, &score_3);
        const int    three = config.beats_per_bar == 3 || (!config.beats_per_bar && score_3 - waltz_cost(events, n_events) > score_4);
        const int    per_bar = config.beats_per_bar ? config.beats_per_bar : three ? 3 : 4;
        status = steady_grid(bpm, three ? phase_3 : phase_4, per_bar, length_s, out, err);
    } else {
        status = free_grid(events, n_events, config.beats_per_bar, length_s, out, err);
    }
    if (status == BL_OK)
        out->confidence = (float)grid_confidence(out, events, n_events);
done:
    free(events);
    return status;
}

double audio_rhythm_position(const audio_rhythm *r, double time_s)
{
    const int n = r->n_beats;
    if (n < 2)
        return r->bpm > 0 ? (time_s - (n ? r->beats_s[0] : 0)) * r->bpm / 60 : 0;
    int low = 0, high = n - 1;
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (r->beats_s[middle] <= time_s)
            low = middle;
        else
            high = middle;
    }
    return low + (time_s - r->beats_s[low]) / (r->beats_s[low + 1] - r->beats_s[low]);
}

double audio_rhythm_time(const audio_rhythm *r, double position)
{
    const int n = r->n_beats;
    if (n < 2)
        return (n ? r->beats_s[0] : 0) + (r->bpm > 0 ? position * 60 / r->bpm : 0);
    const double at = floor(position);
    const int    low = at < 0 ? 0 : at > n - 2 ? n - 2 : (int)at;
    return r->beats_s[low] + (position - low) * (r->beats_s[low + 1] - r->beats_s[low]);
}
