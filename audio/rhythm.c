#include "audio/rhythm_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double BPM_DEFAULT = 100;
enum { SHORTEST = 26, LONGEST = 143 }; /* frames: 230 to 42 beats a minute are looked for */
static const rhythm_meter METER_4 = { 4, 16, onset_44, melody_44 }, METER_3 = { 3, 12, onset_34, melody_34 };

/* Of a given number of beats: melodies in others than 3 are taken to move as in 4/4. */
static rhythm_meter meter_of(int beats)
{
    rhythm_meter m = beats % 3 ? METER_4 : METER_3;
    m.beats = beats;
    return m;
}

/* Less than this chance of a beat is as good as none. */
static const double LEAST_BEAT = 0.02, MOST_BEAT = 0.98;
static const double SURE_BEAT = 0.97, MOST_GAIN = 8;
/* Log odds against 3/4: before anything is heard, and for each sung note, whose tables for 3/4 stand on few tunes. */
static const double WALTZ_COST = 3, WALTZ_COST_NOTE = 0.05;
static const double NOTE_WEIGHT = 1.5;

/* ---- evidence ---- */

static double log_odds(double p)
{
    return log(p / (1 - p));
}

static float activity_at(const float *x, int64_t n, double at)
{
    const int64_t i = (int64_t)at;
    const float   share = (float)(at - (double)i);
    return i + 1 < n ? x[i] * (1 - share) + x[i + 1] * share : i < n ? x[i] * (1 - share) : 0;
}

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* What the activity is multiplied by. Where several grids are possible, the network is unsure of every beat of each; but the
 * question here is not whether there are beats, but where. So half of the seconds in which anything is heard shall hold a moment
 * that is as good as sure. scratch: as long as the recording has seconds, and one. */
static double sureness_gain(const audio_beat_activity *a, float *scratch)
{
    const int64_t second = (int64_t)lround(1 / a->hop_s);
    int64_t       n = 0;
    for (int64_t first = 0; first < a->n_frames; first += second) {
        float top = 0;
        for (int64_t i = first; i < first + second && i < a->n_frames; i++)
            top = fmaxf(top, a->beat[i]);
        if ((double)top > LEAST_BEAT)
            scratch[n++] = top;
    }
    if (!n)
        return 1;
    qsort(scratch, (size_t)n, sizeof(float), compare_floats);
    return fmin(fmax(1, SURE_BEAT / (double)scratch[n / 2]), MOST_GAIN);
}

static void free_evidence(rhythm_evidence *e)
{
    free(e->beat), free(e->down), free(e->other), free((void *)e->notes);
}

static bl_status collect(double length_s, const audio_rhythm_config *config, rhythm_evidence *e, bl_error *err)
{
    const audio_beat_activity *a = config->activity;
    memset(e, 0, sizeof *e);
    e->length_s = length_s;
    e->tempo = a->tempo;
    e->n_frames = (int64_t)(length_s / RHYTHM_HOP_S) + 1;
    e->n_notes = config->notes ? config->n_notes : 0;
    e->note_weight = config->note_weight > 0 ? config->note_weight : NOTE_WEIGHT;
    rhythm_note *notes = malloc(sizeof *notes * (size_t)(e->n_notes + 1));
    e->notes = notes;
    e->beat = calloc((size_t)e->n_frames, sizeof(float));
    e->down = calloc((size_t)e->n_frames, sizeof(float));
    e->other = calloc((size_t)e->n_frames, sizeof(float));
    if (!notes || !e->beat || !e->down || !e->other)
        return bl_fail(err, BL_ENOMEM, "rhythm: no memory");
    for (int i = 0; i < e->n_notes; i++) {
        const double next = i + 1 < e->n_notes ? config->notes[i + 1].onset_s : 1e9;
        notes[i] = (rhythm_note){ config->notes[i].onset_s, next - config->notes[i].onset_s };
    }
    float *scratch = malloc(sizeof(float) * ((size_t)((double)a->n_frames * a->hop_s) + 3));
    if (!scratch)
        return bl_fail(err, BL_ENOMEM, "rhythm: no memory");
    const double gain = sureness_gain(a, scratch);
    free(scratch);
    for (int64_t t = 0; t < e->n_frames; t++) {
        const double at = (double)t * RHYTHM_HOP_S / a->hop_s, heard = (double)activity_at(a->beat, a->n_frames, at), b = gain * heard;
        if (b <= LEAST_BEAT)
            continue;
        const double d = fmin(fmax((double)activity_at(a->downbeat, a->n_frames, at) / heard, 0.03), 0.97);
        e->beat[t] = (float)(log_odds(fmin(b, MOST_BEAT)) - log_odds(LEAST_BEAT));
        e->down[t] = (float)log(d);
        e->other[t] = (float)log(1 - d);
    }
    return BL_OK;
}

static int is_silent(const rhythm_evidence *e)
{
    for (int64_t t = 0; t < e->n_frames; t++)
        if (e->beat[t] > 0)
            return 0;
    return e->n_notes == 0;
}

static double waltz_cost(const rhythm_evidence *e)
{
    return WALTZ_COST + WALTZ_COST_NOTE * e->n_notes;
}

/* ---- confidence ---- */

/* Chances by logistic regression on 97 songs that the network had not seen, a little lower for tempos, since speech and noise
 * have margins up to 4 too. Margins are sums of evidence that does not come independently: twice as much says little more. */
static double tempo_chance(double margin)
{
    return 1 / (1 + exp(1.2 - 1.25 * log1p(fmax(0, margin))));
}

static double bar_chance(double margin)
{
    return 1 / (1 + exp(0.9 - log1p(fabs(margin))));
}

/* ---- a steady grid at a known tempo ---- */

/* Time of a downbeat in [0, bar) that fits best. */
static double best_phase(const rhythm_meter *m, const rhythm_evidence *e, double period_s, double *score)
{
    const double bar_s = m->beats * period_s;
    double       best = 0;
    *score = -INFINITY;
    for (double phase = 0; phase < bar_s; phase += 0.004) {
        double  sum = 0;
        int64_t k = 0;
        for (double t = phase; t < e->length_s; t = phase + (double)++k * period_s)
            sum += rhythm_beat_score(m, e, (int)(k % m->beats), t);
        for (int i = 0; i < e->n_notes; i++)
            sum += e->note_weight * rhythm_note_score(m, &e->notes[i], fmod(e->notes[i].time_s - phase + bar_s, bar_s), period_s);
        if (sum > *score) {
            *score = sum;
            best = phase;
        }
    }
    return best;
}

static bl_status lay_steady(double bpm, double phase_s, int beats_per_bar, double length_s, audio_rhythm *out, bl_error *err)
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
    bl_status status = rhythm_finish(beats_s, n, in_bar, beats_per_bar, length_s, out, err);
    if (status == BL_OK)
        out->bpm = bpm;
    free(beats_s);
    return status;
}

static bl_status steady_grid(const rhythm_evidence *e, double bpm, int beats_per_bar, audio_rhythm *out, bl_error *err)
{
    if (is_silent(e))
        return lay_steady(bpm, 0, beats_per_bar ? beats_per_bar : 4, e->length_s, out, err);
    const rhythm_meter meters[2] = { meter_of(beats_per_bar ? beats_per_bar : 4), METER_3 };
    double score[2] = { 0, -INFINITY }, phase[2] = { 0, 0 };
    for (int i = 0; i < (beats_per_bar ? 1 : 2); i++)
        phase[i] = best_phase(&meters[i], e, 60 / bpm, &score[i]);
    const double margin = score[0] - score[1] + waltz_cost(e);
    const int    best = margin < 0;
    out->bar_confidence = beats_per_bar ? 1 : (float)bar_chance(margin);
    return lay_steady(bpm, phase[best], meters[best].beats, e->length_s, out, err);
}

/* ---- a tempo of its own ---- */

/* What a path in a meter found. */
typedef struct found {
    rhythm_meter meter;
    rhythm_beat *beats;
    int64_t      n;
    double       score, by_period[RHYTHM_PERIODS];
} found;

/* The given meter, or 4/4 and 3/4; *best: which is better. */
static bl_status point_both(const rhythm_evidence *e, int beats_per_bar, int shortest, int longest, found of[2], int *best, double *margin,
                            bl_error *err)
{
    bl_status status = BL_OK;
    memset(of, 0, 2 * sizeof *of);
    of[0].meter = meter_of(beats_per_bar ? beats_per_bar : 4);
    of[1].meter = METER_3;
    of[1].score = -INFINITY;
    for (int i = 0; status == BL_OK && i < (beats_per_bar ? 1 : 2); i++)
        status = rhythm_point(&of[i].meter, e, shortest, longest, &of[i].beats, &of[i].n, &of[i].score, of[i].by_period, err);
    *margin = of[0].score - of[1].score + waltz_cost(e);
    *best = *margin < 0;
    return status;
}

/* How much likelier the best path is than the best one of a tempo more than 8 % away, in either meter; *other_bpm: that tempo. */
static double tempo_margin(const found of[2], int best, const double cost[2], double bpm, double *other_bpm)
{
    double rival = -INFINITY;
    for (int m = 0; m < 2; m++)
        for (int i = 0; of[m].beats && i < RHYTHM_PERIODS; i++) {
            const double other = 60 / ((i + RHYTHM_SHORTEST) * RHYTHM_HOP_S), score = of[m].by_period[i] + of[m].score - cost[m];
            if (fabs(log(other / bpm)) > 0.08 && score > rival) {
                rival = score;
                *other_bpm = other;
            }
        }
    return of[best].score - cost[best] - rival;
}

/* The grid of the better meter. */
static bl_status lay_free(const rhythm_evidence *e, const found *f, audio_rhythm *out, bl_error *err)
{
    if (f->n < 2)
        return lay_steady(BPM_DEFAULT, 0, f->meter.beats, e->length_s, out, err);
    double *beats_s = malloc(sizeof(double) * (size_t)f->n);
    if (!beats_s)
        return bl_fail(err, BL_ENOMEM, "rhythm: no memory");
    for (int64_t i = 0; i < f->n; i++)
        beats_s[i] = (double)f->beats[i].frame * RHYTHM_HOP_S;
    bl_status status = rhythm_smooth(e, beats_s, f->n, err);
    if (status == BL_OK)
        status = rhythm_finish(beats_s, f->n, f->beats[0].in_bar, f->meter.beats, e->length_s, out, err);
    free(beats_s);
    return status;
}

static void free_found(found of[2])
{
    free(of[0].beats), free(of[1].beats);
    memset(of, 0, 2 * sizeof *of);
}

/* Half or twice the tempo: the search once more, among periods near that. */
static bl_status take_factor(const rhythm_evidence *e, int beats_per_bar, double factor, audio_rhythm *r, bl_error *err)
{
    found        of[2];
    const double period = 60 / r->bpm / factor / RHYTHM_HOP_S;
    const int    shortest = (int)fmin(RHYTHM_LONGEST - 1, fmax(RHYTHM_SHORTEST, period / 1.15));
    const int    longest = (int)fmax(RHYTHM_SHORTEST + 1, fmin(RHYTHM_LONGEST, period * 1.15 + 1));
    int          best = 0;
    double       margin = 0;
    const float  confidence = r->confidence;
    bl_status    status = point_both(e, beats_per_bar, shortest, longest, of, &best, &margin, err);
    audio_rhythm_free(r);
    if (status == BL_OK)
        status = lay_free(e, &of[best], r, err);
    r->confidence = confidence;
    r->bar_confidence = beats_per_bar ? 1 : (float)bar_chance(margin);
    free_found(of);
    return status;
}

static bl_status free_grid(const rhythm_evidence *e, int beats_per_bar, double factor, audio_rhythm *out, bl_error *err)
{
    found     of[2];
    int       best = 0;
    double    margin = 0;
    bl_status status = point_both(e, beats_per_bar, SHORTEST, LONGEST, of, &best, &margin, err);
    if (status == BL_OK)
        status = lay_free(e, &of[best], out, err);
    if (status == BL_OK && of[best].n >= 2) {
        double other = 0;
        out->confidence = (float)tempo_chance(tempo_margin(of, best, (double[2]){ 0, waltz_cost(e) }, out->bpm, &other));
        if (fabs(log(other / out->bpm / 2)) < 0.06 || fabs(log(other / out->bpm * 2)) < 0.06)
            out->other_bpm = other > out->bpm ? 2 * out->bpm : out->bpm / 2;
        out->bar_confidence = beats_per_bar ? 1 : (float)bar_chance(margin);
    }
    free_found(of);
    if (status == BL_OK && factor > 0 && fabs(factor - 1) > 1e-9)
        status = take_factor(e, beats_per_bar, factor, out, err);
    return status;
}

bl_status audio_rhythm_analyze(double length_s, audio_rhythm_config config, audio_rhythm *out, bl_error *err)
{
    rhythm_evidence e;
    memset(out, 0, sizeof *out);
    if (!config.activity || !(length_s > 0) || length_s > 1e7)
        return bl_fail(err, BL_EARG, "rhythm: expected a signal and its beat activity, got %g s", length_s);
    if (config.bpm != 0 && !(config.bpm >= 20 && config.bpm <= 400))
        return bl_fail(err, BL_EARG, "rhythm: expected a tempo of 20 .. 400 bpm, got %g", config.bpm);
    if (config.tempo_factor != 0 && !(fabs(log2(config.tempo_factor)) <= 2 && log2(config.tempo_factor) == round(log2(config.tempo_factor))))
        return bl_fail(err, BL_EARG, "rhythm: expected a tempo factor of 0.25, 0.5, 1, 2 or 4, got %g", config.tempo_factor);
    if (config.beats_per_bar != 0 && (config.beats_per_bar < 2 || config.beats_per_bar > 12))
        return bl_fail(err, BL_EARG, "rhythm: expected 2 .. 12 beats per bar, got %d", config.beats_per_bar);
    bl_status status = collect(length_s, &config, &e, err);
    if (status == BL_OK && (config.bpm > 0 || is_silent(&e)))
        status = steady_grid(&e, config.bpm > 0 ? config.bpm : BPM_DEFAULT, config.beats_per_bar, out, err);
    else if (status == BL_OK)
        status = free_grid(&e, config.beats_per_bar, config.tempo_factor, out, err);
    free_evidence(&e);
    return status;
}
