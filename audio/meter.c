#include "audio/meter.h"

#include "audio/meter_tables.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A reading of a grid: beats at base positions offset + k / factor; the bar begins where k is phase modulo 4. */
typedef struct reading {
    double factor, offset;
    int    phase;
} reading;

enum { BEATS = 4, LEVELS = 8 };
static const struct { double factor, offset; } levels[LEVELS] = {
    { 1, 0 }, { 1, 0.5 }, { 2, 0 }, { 2, 0.25 }, { 0.5, 0 }, { 0.5, 0.5 }, { 0.5, 1 }, { 0.5, 1.5 },
};

/* How far bars where the grid has them are ahead of others, at any level: who made the grid heard more than notes. Chosen, like the
 * absence of such an advantage for the grid's level, on 88 rendered melodies of the tuning songs. */
static const double SAME_BAR = 0.7;
/* No other level is tried beyond these. */
static const double SLOWEST = 50, FASTEST = 165;

/* Index of the first edge above x. */
static int class_of(double x, const double *edges, int n)
{
    int i = 0;
    while (i < n && x >= edges[i])
        i++;
    return i;
}

/* Sum over the notes of what their place in the bar says; on, off: base positions with a bar's beginning at 0. */
static double judge(const reading *r, const double *on, const double *off, const int *pitch, int n, int tonic, double bpm)
{
    static const double lengths[METER_LENGTHS - 1] = { 0.3, 0.55, 0.8, 1.1, 1.6, 2.1, 3.1, 4.1 };
    static const double steps[METER_STEPS - 1] = { -4.5, -2.5, -0.5, 0.5, 2.5, 4.5 };
    double sum = 0, beside = 0, before = 0;
    for (int i = 0; i < n; i++) {
        const double x = (on[i] - r->offset) * r->factor - r->phase, e = (off[i] - r->offset) * r->factor - r->phase;
        const double q = rint(4 * x), since = i ? rint(4 * (x - before)) : METER_SPANS;
        const int place = (int)(((long)q % 16 + 16) % 16), degree = ((pitch[i] - tonic) % 12 + 12) % 12;
        sum += meter_since[place][since < 1 ? 0 : since > METER_SPANS ? METER_SPANS - 1 : (int)since - 1];
        sum += meter_degree[place][degree];
        sum += meter_step[place][class_of(i ? pitch[i] - pitch[i - 1] : 0, steps, METER_STEPS - 1)];
        sum += meter_length[place][class_of(e - x, lengths, METER_LENGTHS - 1)];
        beside += fabs(4 * x - q);
        before = x;
    }
    const double octaves = log2(bpm * r->factor / 100), root = sqrt(n);
    return (0.001 * sum + METER_BESIDE * beside) / root + METER_TEMPO_1 * octaves + METER_TEMPO_2 * octaves * octaves +
           root / 5 * (METER_TEMPO_N1 * octaves + METER_TEMPO_N2 * octaves * octaves);
}

/* Whether the grid's bars begin where bars of the reading do. */
static int keeps_bars(const reading *r)
{
    const double k = -r->offset * r->factor - r->phase, bar = BEATS * fmin(1, r->factor);
    return fabs(k / bar - rint(k / bar)) < 1e-6;
}

/* The grid of a reading, in place of the one it reads. first: index of its first downbeat. */
static bl_status apply(audio_rhythm *rhythm, const reading *r, int first, double length_s, bl_error *err)
{
    const long     from = (long)floor((audio_rhythm_position(rhythm, 0) - first - r->offset) * r->factor) - 1;
    const long     to = (long)ceil((audio_rhythm_position(rhythm, length_s) - first - r->offset) * r->factor) + 1;
    double        *beats = malloc((size_t)(to - from + 1) * sizeof *beats), *downbeats = malloc((size_t)(to - from + 1) * sizeof *downbeats);
    audio_rhythm   out = *rhythm;
    if (!beats || !downbeats) {
        free(beats), free(downbeats);
        return bl_fail(err, BL_ENOMEM, "rhythm: no memory");
    }
    out.beats_s = beats, out.downbeats_s = downbeats;
    out.n_beats = out.n_downbeats = out.first_downbeat = 0;
    for (long k = from; k <= to; k++) {
        const double t = audio_rhythm_time(rhythm, first + r->offset + (double)k / r->factor);
        if (t < -1e-9 || t > length_s)
            continue;
        if (((k - r->phase) % BEATS + BEATS) % BEATS == 0) {
            if (!out.n_downbeats)
                out.first_downbeat = out.n_beats;
            downbeats[out.n_downbeats++] = fmax(0, t);
        }
        beats[out.n_beats++] = fmax(0, t);
    }
    if (out.n_beats < 2 || !out.n_downbeats) { /* too short for that reading */
        free(beats), free(downbeats);
        return BL_OK;
    }
    out.bpm = rhythm->bpm * r->factor;
    if (fabs(r->factor - 1) > 1e-9)
        out.other_bpm = rhythm->bpm;
    free(rhythm->beats_s), free(rhythm->downbeats_s);
    *rhythm = out;
    return BL_OK;
}

bl_status audio_meter_reread(audio_rhythm *rhythm, double length_s, const audio_sung_note *notes, int n_notes, audio_meter_config config,
                             bl_error *err)
{
    if (rhythm->beats_per_bar != BEATS || n_notes < AUDIO_METER_NOTES || rhythm->n_beats < 2)
        return BL_OK;
    double *on = malloc((size_t)n_notes * sizeof *on), *off = malloc((size_t)n_notes * sizeof *off);
    int    *pitch = malloc((size_t)n_notes * sizeof *pitch);
    const int first = rhythm->first_downbeat;
    reading best = { 1, 0, 0 };
    double  most = -HUGE_VAL;
    bl_status status = on && off && pitch ? BL_OK : bl_fail(err, BL_ENOMEM, "rhythm: no memory");
    for (int i = 0; i < n_notes && status == BL_OK; i++) {
        on[i] = audio_rhythm_position(rhythm, notes[i].onset_s) - first;
        off[i] = audio_rhythm_position(rhythm, notes[i].offset_s) - first;
        pitch[i] = (int)lround((double)notes[i].pitch);
    }
    for (int l = 0; l < LEVELS && status == BL_OK; l++) {
        const double bpm = rhythm->bpm * levels[l].factor;
        if (l && (config.keep_level || bpm < fmax(SLOWEST, config.slowest_bpm) || bpm > FASTEST))
            continue;
        for (int phase = 0; phase < BEATS; phase++) {
            const reading r = { levels[l].factor, levels[l].offset, phase };
            const double  score = judge(&r, on, off, pitch, n_notes, config.tonic, rhythm->bpm);
            if (score > most) {
                most = score;
                best = r;
            }
        }
    }
    const reading level = best;
    most = -HUGE_VAL;
    for (int phase = 0; phase < BEATS && status == BL_OK; phase++) {
        const reading r = { level.factor, level.offset, phase };
        const double  score = judge(&r, on, off, pitch, n_notes, config.tonic, rhythm->bpm) + (keeps_bars(&r) ? SAME_BAR : 0);
        if (score > most) {
            most = score;
            best = r;
        }
    }
    if (status == BL_OK && (best.phase || fabs(best.factor - 1) > 1e-9 || best.offset > 0))
        status = apply(rhythm, &best, first, length_s, err);
    free(on), free(off), free(pitch);
    return status;
}
