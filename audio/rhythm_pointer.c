/* The bar pointer: a hidden Markov model whose state is (beat period, place in the bar); it moves one frame a frame, and the
 * period may change at every beat. Since the place only advances, scores stay where they are and the origin moves: state (T, j)
 * of time t is cell (j - t) mod (beats*T) of T's ring. Only moments that sound like a beat, sung notes and beats touch the
 * scores, which makes it cheap. */
#include "audio/rhythm_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double PIECE_S = 240; /* back pointers are held for so long a piece at a time: bounded memory */

/* Tempo before any beat is heard: as the network says, or log-normal where it says nothing. */
static const double PRIOR_BPM = 100, PRIOR_OCTAVES = 0.5, PRIOR_WEIGHT = 8;
static const double TEMPO_WEIGHT = 8, LEAST_TEMPO = -6;
/* A change of the period at a beat: the first step of 10 ms is nearly free, since true periods lie between. */
static const double STEP_COST = 1.5, CHANGE_COST = 120;
enum { MAX_CHANGE = 3 };

static const double NOTE_SIGMA_S = 0.030, STRAY_NOTE = 0.05;

/* A beat is heard up to REACH frames around its place, less towards the edge: the shape that the network was taught. */
enum { REACH = 2 };
static const float SHAPE[2 * REACH + 1] = { 0.111f, 0.222f, 0.334f, 0.222f, 0.111f };
static const double BEAT_WEIGHT = 1.5, BAR_WEIGHT = 1.5;
/* What every beat brings beside its activity, in log odds above the least that is heard (rhythm.c). */
static const double BEAT_BONUS = -3.2;

typedef struct pointer {
    const rhythm_meter *meter;
    int     shortest, n_periods;     /* periods shortest .. shortest + n_periods - 1, in frames */
    int64_t *ring;                   /* [n_periods] where each period's ring begins             */
    int64_t *origin;                 /* [n_periods] in its ring: the cell of place 0 now        */
    float  *score;                   /* all rings                                               */
    float  *arriving;                /* [MAX_CHANGE + n_periods + MAX_CHANGE] walls at the ends */
    float  *cost;                    /* [MAX_CHANGE + 1, n_periods] of a change by so many      */
    float  *best;                    /* [n_periods]                                             */
    int    *change;                  /* [n_periods]                                             */
    signed char *back;               /* [piece frames, beats, n_periods] change of period       */
    int64_t piece_frames, n_scores;
} pointer;

/* ---- evidence ---- */

/* What a beat in this place of the bar brings where nothing is heard. */
static double silent_beat(const rhythm_meter *m, int in_bar)
{
    return BEAT_WEIGHT * BEAT_BONUS + BAR_WEIGHT * log(in_bar ? 1 - 1.0 / m->beats : 1.0 / m->beats);
}

/* What a moment adds to a beat REACH frames around it at most, before SHAPE; 0 where nothing is heard. */
static float moment(const rhythm_meter *m, const rhythm_evidence *e, int64_t t, int in_bar)
{
    if (!(e->beat[t] > 0))
        return 0;
    const double bar = (double)(in_bar ? e->other[t] : e->down[t]) - log(in_bar ? 1 - 1.0 / m->beats : 1.0 / m->beats);
    return (float)(BEAT_WEIGHT * (double)e->beat[t] + BAR_WEIGHT * bar);
}

double rhythm_beat_score(const rhythm_meter *m, const rhythm_evidence *e, int in_bar, double time_s)
{
    const int64_t at = (int64_t)lround(time_s / RHYTHM_HOP_S);
    double        sum = silent_beat(m, in_bar);
    for (int d = -REACH; d <= REACH; d++)
        if (at + d >= 0 && at + d < e->n_frames)
            sum += (double)(SHAPE[d + REACH] * moment(m, e, at + d, in_bar));
    return sum;
}

/* Log likelihood of a sung note by sixteenth of the bar, apart from how far off it is: [places]. */
static void note_scores(const rhythm_meter *m, const rhythm_note *e, double period_s, double *out)
{
    const int    k = (int)lround(fmin(1000, e->interval_s / (period_s / 4)));
    const double peak = log((1 - STRAY_NOTE) / (NOTE_SIGMA_S * sqrt(2 * acos(-1.0))));
    for (int g = 0; g < m->places; g++) {
        if (e->interval_s > 3) {
            out[g] = peak + log(m->onset[g] / 1000.0) - 1; /* after a long rest the interval says little */
        } else {
            out[g] = peak - m->melody[g][k < 1 ? 0 : k > RHYTHM_SPANS - 1 ? RHYTHM_SPANS - 1 : k - 1] / 100.0;
            out[g] -= k < 1 ? 2.0 : k > RHYTHM_SPANS - 1 ? log(16.0) : 0;
        }
    }
}

static double off_place(double by_sixteenth, double delta_s)
{
    /* A stray onset: anywhere within about two seconds. */
    return fmax(by_sixteenth - delta_s * delta_s / (2 * NOTE_SIGMA_S * NOTE_SIGMA_S), log(STRAY_NOTE / 2));
}

double rhythm_note_score(const rhythm_meter *m, const rhythm_note *note, double place_s, double period_s)
{
    const double x = 4 * place_s / period_s, near = floor(x + 0.5);
    double       by_sixteenth[16];
    note_scores(m, note, period_s, by_sixteenth);
    return off_place(by_sixteenth[(int)near % m->places], (x - near) * period_s / 4);
}

/* The sixteenth nearest to place j of a bar whose beat lasts period, and how far j is after it. */
static int nearest_sixteenth(int64_t j, int64_t period, double *delta_s)
{
    const int64_t g = (8 * j + period) / (2 * period);
    *delta_s = ((double)j - (double)g * (double)period / 4) * RHYTHM_HOP_S;
    return (int)g;
}

/* ---- the states ---- */

static void pointer_free(pointer *p)
{
    free(p->ring), free(p->origin), free(p->score), free(p->arriving), free(p->cost), free(p->best), free(p->change), free(p->back);
}

static double prior(const rhythm_evidence *e, int period)
{
    const double bpm = 60 / (period * RHYTHM_HOP_S), octaves = log2(bpm / PRIOR_BPM) / PRIOR_OCTAVES, k = audio_tempo_bin(bpm);
    const int    low = k < AUDIO_TEMPOS - 2 ? (int)k : AUDIO_TEMPOS - 2;
    if (e->tempo)
        return TEMPO_WEIGHT * fmax(LEAST_TEMPO, (double)e->tempo[low] + (k - low) * (double)(e->tempo[low + 1] - e->tempo[low]));
    return -0.5 * PRIOR_WEIGHT * octaves * octaves;
}

static bl_status pointer_init(pointer *p, const rhythm_meter *m, const rhythm_evidence *e, int shortest, int longest, bl_error *err)
{
    const int64_t n_frames = e->n_frames;
    memset(p, 0, sizeof *p);
    p->meter = m;
    p->shortest = shortest;
    p->n_periods = longest - shortest + 1;
    p->piece_frames = n_frames < (int64_t)(PIECE_S / RHYTHM_HOP_S) ? n_frames : (int64_t)(PIECE_S / RHYTHM_HOP_S);
    p->ring = malloc(sizeof *p->ring * (size_t)p->n_periods);
    p->origin = calloc((size_t)p->n_periods, sizeof *p->origin);
    p->arriving = malloc(sizeof(float) * (size_t)(p->n_periods + 2 * MAX_CHANGE));
    p->cost = malloc(sizeof(float) * (size_t)(p->n_periods * (MAX_CHANGE + 1)));
    p->best = malloc(sizeof(float) * (size_t)p->n_periods), p->change = malloc(sizeof(int) * (size_t)p->n_periods);
    p->back = malloc((size_t)p->piece_frames * (size_t)m->beats * (size_t)p->n_periods);
    for (int i = 0; p->ring && i < p->n_periods; i++) {
        p->ring[i] = p->n_scores;
        p->n_scores += (int64_t)m->beats * (shortest + i);
    }
    p->score = malloc(sizeof(float) * (size_t)(p->n_scores + 1));
    if (!p->ring || !p->origin || !p->arriving || !p->cost || !p->best || !p->change || !p->back || !p->score)
        return bl_fail(err, BL_ENOMEM, "rhythm: no memory");
    for (int i = 0; i < p->n_periods; i++)
        for (int64_t j = 0; j < (int64_t)m->beats * (shortest + i); j++)
            p->score[p->ring[i] + j] = (float)(prior(e, shortest + i) - log((double)m->beats * (shortest + i)));
    for (int d = 0; d < MAX_CHANGE; d++)
        p->arriving[d] = p->arriving[MAX_CHANGE + p->n_periods + d] = -INFINITY;
    for (int d = 0; d <= MAX_CHANGE; d++)
        for (int i = 0; i < p->n_periods; i++)
            p->cost[d * p->n_periods + i] = (float)(d > 1 ? (d - 1) * CHANGE_COST : 0) / (float)(shortest + i);
    return BL_OK;
}

/* Cell of period index i, place j from -REACH to the bar's end, now. */
static int64_t cell(const pointer *p, int i, int64_t j)
{
    const int64_t length = (int64_t)p->meter->beats * (p->shortest + i), k = p->origin[i] + j;
    return p->ring[i] + (k < 0 ? k + length : k >= length ? k - length : k);
}

/* A frame later every state is one place further: the origins go back by one cell. */
static void advance(pointer *p)
{
    for (int i = 0; i < p->n_periods; i++)
        p->origin[i] = p->origin[i] ? p->origin[i] - 1 : (int64_t)p->meter->beats * (p->shortest + i) - 1;
}

/* At every beat the period may change. */
static void pass_beats(pointer *p, signed char *back)
{
    const float step = (float)STEP_COST;
    const int   n = p->n_periods;
    float      *arriving = p->arriving + MAX_CHANGE, *best = p->best;
    int        *change = p->change;
    for (int b = 0; b < p->meter->beats; b++) {
        const float silent = (float)silent_beat(p->meter, b);
        for (int i = 0; i < n; i++) {
            best[i] = arriving[i] = p->score[cell(p, i, (int64_t)b * (p->shortest + i))];
            change[i] = 0;
        }
        for (int d = -MAX_CHANGE; d <= MAX_CHANGE; d++) {
            const float *from = arriving + d, *cost = p->cost + (d < 0 ? -d : d) * n;
            if (!d)
                continue;
            #pragma omp simd
            for (int i = 0; i < n; i++) {
                const float s = from[i] - cost[i] - step;
                change[i] = s > best[i] ? d : change[i];
                best[i] = s > best[i] ? s : best[i];
            }
        }
        for (int i = 0; i < n; i++) {
            p->score[cell(p, i, (int64_t)b * (p->shortest + i))] = best[i] + silent;
            back[b * n + i] = (signed char)change[i];
        }
    }
}

/* A moment that sounds like a beat counts for every state whose beat is REACH frames away at most. */
static void hear_moment(pointer *p, const rhythm_evidence *e, int64_t t)
{
    for (int b = 0; b < p->meter->beats; b++) {
        const float score = moment(p->meter, e, t, b);
        for (int i = 0; i < p->n_periods; i++)
            for (int d = -REACH; d <= REACH; d++)
                p->score[cell(p, i, (int64_t)b * (p->shortest + i) + d)] += SHAPE[d + REACH] * score;
    }
}

static void hear_note(pointer *p, const rhythm_note *note, double weight)
{
    for (int i = 0; i < p->n_periods; i++) {
        const int     period = p->shortest + i;
        const int64_t length = (int64_t)p->meter->beats * period;
        float        *ring = p->score + p->ring[i];
        int64_t       k = p->origin[i];
        double        by_sixteenth[16];
        note_scores(p->meter, note, period * RHYTHM_HOP_S, by_sixteenth);
        for (int64_t j = 0; j < length; j++, k = k + 1 == length ? 0 : k + 1) {
            double    delta_s;
            const int g = nearest_sixteenth(j, period, &delta_s);
            ring[k] += (float)(weight * off_place(by_sixteenth[g % p->meter->places], delta_s));
        }
    }
}

/* ---- the best path ---- */

/* The best state, its period index and its place now; by_period, where asked for: how far each period lies behind it. */
static float best_state(const pointer *p, int *period, int64_t *place, double *by_period)
{
    float top = -INFINITY, of[RHYTHM_PERIODS];
    for (int i = 0; i < p->n_periods; i++) {
        const int64_t length = (int64_t)p->meter->beats * (p->shortest + i);
        of[i] = -INFINITY;
        for (int64_t k = 0; k < length; k++) {
            const float s = p->score[p->ring[i] + k];
            of[i] = s > of[i] ? s : of[i];
            if (s > top) {
                top = s;
                *period = i;
                *place = (k - p->origin[i] + length) % length;
            }
        }
    }
    for (int i = 0; by_period && i < p->n_periods; i++)
        by_period[p->shortest - RHYTHM_SHORTEST + i] = (double)(of[i] - top);
    return top;
}

/* Back along the best path from (period, place) at frame first + n - 1; beats in falling order. */
static int64_t trace_back(const pointer *p, int64_t first, int64_t n, int period, int64_t place, rhythm_beat *out)
{
    const int64_t row = (int64_t)p->meter->beats * p->n_periods;
    int64_t       n_beats = 0;
    for (int64_t t = n - 1; t >= 0;) {
        const int64_t length = p->shortest + period, in_beat = place % length;
        const int     b = (int)(place / length);
        if (in_beat > t)
            break;
        t -= in_beat;
        out[n_beats++] = (rhythm_beat){ first + t, b };
        period += p->back[t * row + (int64_t)b * p->n_periods + period];
        const int64_t bar = (int64_t)p->meter->beats * (p->shortest + period);
        place = ((int64_t)b * (p->shortest + period) - 1 + bar) % bar;
        t--;
    }
    return n_beats;
}

/* All of a piece: frames first .. first + n - 1; *note: the next one. */
static void run_piece(pointer *p, const rhythm_evidence *e, int64_t first, int64_t n, int *note)
{
    for (int64_t t = first; t < first + n; t++) {
        if (t)
            advance(p);
        pass_beats(p, p->back + (t - first) * p->meter->beats * p->n_periods);
        if (e->beat[t] > 0)
            hear_moment(p, e, t);
        for (; *note < e->n_notes && e->notes[*note].time_s < ((double)t + 0.5) * RHYTHM_HOP_S; ++*note)
            hear_note(p, &e->notes[*note], e->note_weight);
    }
}

bl_status rhythm_point(const rhythm_meter *m, const rhythm_evidence *e, int shortest, int longest, rhythm_beat **beats,
                       int64_t *n_beats, double *score, double *by_period, bl_error *err)
{
    pointer      p;
    rhythm_beat *piece = NULL;
    bl_status    status = pointer_init(&p, m, e, shortest, longest, err);
    *n_beats = 0, *score = 0;
    *beats = NULL;
    for (int i = 0; i < RHYTHM_PERIODS; i++)
        by_period[i] = -INFINITY;
    if (status != BL_OK)
        goto done;
    *beats = malloc(sizeof **beats * (size_t)(e->n_frames / shortest + 4));
    piece = malloc(sizeof *piece * (size_t)(p.piece_frames / shortest + 4));
    if (!*beats || !piece) {
        status = bl_fail(err, BL_ENOMEM, "rhythm: no memory");
        goto done;
    }
    int note = 0;
    for (int64_t first = 0; first < e->n_frames; first += p.piece_frames) {
        const int64_t n = e->n_frames - first < p.piece_frames ? e->n_frames - first : p.piece_frames;
        int           period = 0;
        int64_t       place = 0;
        run_piece(&p, e, first, n, &note);
        *score += (double)best_state(&p, &period, &place, first ? NULL : by_period);
        int64_t found = trace_back(&p, first, n, period, place, piece);
        while (found > 0)
            (*beats)[(*n_beats)++] = piece[--found];
        /* The next piece goes on from this state alone. */
        for (int64_t k = 0; k < p.n_scores; k++)
            p.score[k] = -1e9f;
        p.score[cell(&p, period, place)] = 0;
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
