#include "music/chord_path.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { K = MUSIC_HEARD_CLASSES };

/* Where a unit begins, and how often chords change there (POP909; between beats they never do there, elsewhere rarely). */
typedef enum place { BAR, MIDDLE, BEAT, BETWEEN, PLACES } place;
static const double change[PLACES] = { 0.5, 0.25, 0.08, 0.01 };

/* Neighbouring frames hear the same sound, so each counts for less than one. */
static const double EVIDENCE = 0.3, KEY_WEIGHT = 0.3, NO_BEATS_S = 0.25, NO_CHORD = 0.01, SURE_OF_BASS = 0.8;

/* Permille of the time that chords with a major third (or none) and with a minor third stand on each degree: major keys, minor keys. */
static const double degrees[2][2][12] = {
    { { 245, 9, 19, 3, 11, 144, 4, 207, 10, 19, 10, 2 }, { 1, 1, 74, 2, 83, 11, 5, 2, 1, 130, 3, 3 } },
    { { 53, 4, 2, 109, 2, 24, 2, 56, 128, 3, 149, 3 }, { 259, 3, 8, 1, 2, 95, 1, 86, 2, 5, 1, 1 } },
};

typedef struct unit {
    double start_s, end_s;
    place  at;
} unit;

typedef struct path {
    unit   *units;
    int     n;
    double *score;   /* [n, K] evidence                                       */
    double *forward; /* [n, K]                                                */
    double  log_prior[K], prior[K];
    short  *back;    /* [n, K] the class before; of the last unit the best    */
    short  *best;    /* [n]                                                   */
    double *sure;    /* [n] posterior of best                                 */
} path;

static void free_path(path *p)
{
    free(p->units);
    free(p->score);
    free(p->forward);
    free(p->back);
    free(p->best);
    free(p->sure);
}

/* ---- units ---- */

static bl_status check(const music_chord_path_input *in, bl_error *err)
{
    if (in->n_frames < 1 || !(in->hop_s > 0))
        return bl_fail(err, BL_EARG, "chords: nothing was heard (%lld frames of %g s)", (long long)in->n_frames, in->hop_s);
    if (!(in->end_s > in->start_s))
        return bl_fail(err, BL_EARG, "chords: expected a song that ends after it begins, got %g to %g s", in->start_s, in->end_s);
    for (int i = 1; i < in->n_beats; i++)
        if (!(in->beats_s[i] > in->beats_s[i - 1]))
            return bl_fail(err, BL_EARG, "chords: beat %d at %g s does not come after the one at %g s", i, in->beats_s[i], in->beats_s[i - 1]);
    return BL_OK;
}

static void add_unit(path *p, const music_chord_path_input *in, double start_s, double end_s, place at)
{
    const double s = fmax(start_s, in->start_s), e = fmin(end_s, in->end_s);
    if (e - s > 1e-6)
        p->units[p->n++] = (unit){ s, e, at };
}

/* What stands before or behind the beats is cut as the nearest beats are: index -1 is a beat before the first. */
static double beat_time(const music_chord_path_input *in, int i)
{
    const int n = in->n_beats;
    if (i < 0)
        return in->beats_s[0] + i * (in->beats_s[1] - in->beats_s[0]);
    if (i >= n)
        return in->beats_s[n - 1] + (i - n + 1) * (in->beats_s[n - 1] - in->beats_s[n - 2]);
    return in->beats_s[i];
}

static place place_of(const music_chord_path_input *in, int beat, int first_downbeat)
{
    const int per_bar = in->beats_per_bar > 0 ? in->beats_per_bar : 4;
    const int known = in->is_downbeat && beat >= 0 && beat < in->n_beats;
    int       since = (beat - first_downbeat) % per_bar;
    if (known) /* from the bar line before it: bars need not be alike */
        for (int b = beat, i = 0; b >= 0 && i < per_bar; b--, i++)
            if (in->is_downbeat[b]) {
                since = i;
                break;
            }
    since = (since + per_bar) % per_bar;
    return since == 0 ? BAR : per_bar % 2 == 0 && since == per_bar / 2 ? MIDDLE : BEAT;
}

static bl_status cut(path *p, const music_chord_path_input *in, bl_error *err)
{
    int first = 0, last = in->n_beats - 1, downbeat = 0;
    const int has_beats = in->n_beats >= 2;
    const double length_s = in->end_s - in->start_s;
    double n = length_s / NO_BEATS_S + 3;
    if (has_beats) {
        const double lead = (in->beats_s[0] - in->start_s) / (in->beats_s[1] - in->beats_s[0]);
        const double tail = (in->end_s - in->beats_s[last]) / (in->beats_s[last] - in->beats_s[last - 1]);
        n = 2 * (fmax(0, lead) + fmax(0, tail) + in->n_beats + 4);
    }
    if (n > 4e6 || !(p->units = malloc((size_t)n * sizeof *p->units)))
        return bl_fail(err, BL_ENOMEM, "no memory for the chords of %g s", length_s);
    if (!has_beats) {
        for (int i = 0; i * NO_BEATS_S < length_s; i++)
            add_unit(p, in, in->start_s + i * NO_BEATS_S, in->start_s + (i + 1) * NO_BEATS_S, BEAT);
        return BL_OK;
    }
    while (downbeat < in->n_beats && in->is_downbeat && !in->is_downbeat[downbeat])
        downbeat++;
    while (beat_time(in, first) > in->start_s)
        first--;
    while (beat_time(in, last) < in->end_s)
        last++;
    for (int i = first; i < last; i++) {
        const double a = beat_time(in, i), b = beat_time(in, i + 1), half = 0.5 * (a + b);
        add_unit(p, in, a, half, place_of(in, i, downbeat));
        add_unit(p, in, half, b, BETWEEN);
    }
    return BL_OK;
}

/* ---- evidence ---- */

/* Frames whose centre lies in the unit; of a unit between two frames the nearest one counts. */
static void frames_of(const music_chord_path_input *in, double start_s, double end_s, int64_t *first, int64_t *last)
{
    *first = (int64_t)ceil(start_s / in->hop_s - 1e-9);
    *last = (int64_t)ceil(end_s / in->hop_s - 1e-9) - 1;
    if (*last < *first)
        *first = *last = (int64_t)floor(0.5 * (start_s + end_s) / in->hop_s + 0.5);
    *first = *first < 0 ? 0 : *first >= in->n_frames ? in->n_frames - 1 : *first;
    *last = *last < *first ? *first : *last >= in->n_frames ? in->n_frames - 1 : *last;
}

static void weigh(path *p, const music_chord_path_input *in)
{
    for (int u = 0; u < p->n; u++) {
        int64_t first, last;
        frames_of(in, p->units[u].start_s, p->units[u].end_s, &first, &last);
        const double each = EVIDENCE * (p->units[u].end_s - p->units[u].start_s) / in->hop_s / (double)(last - first + 1);
        double *row = p->score + (size_t)u * K;
        for (int k = 0; k < K; k++)
            row[k] = 0;
        for (int64_t t = first; t <= last; t++)
            for (int k = 0; k < K; k++)
                row[k] += each * (double)in->chord[t * K + k];
    }
}

static void know_key(path *p, const music_key *key)
{
    double sum = 0;
    for (int k = 0; k < K; k++) {
        double share = 1;
        if (key && k == MUSIC_HEARD_NONE)
            share = 1000 * NO_CHORD;
        else if (key)
            share = 2 + degrees[key->minor != 0][music_chord_third(music_heard_chord(k)) == 3][(k + 12 - key->tonic) % 12];
        p->prior[k] = pow(share, KEY_WEIGHT);
        sum += p->prior[k];
    }
    for (int k = 0; k < K; k++) {
        p->prior[k] /= sum;
        p->log_prior[k] = log(p->prior[k]);
    }
}

/* ---- the path ---- */

static void find_best(path *p)
{
    double now[K], next[K];
    for (int k = 0; k < K; k++)
        now[k] = p->log_prior[k] + p->score[k];
    for (int u = 1; u < p->n; u++) {
        const double give_way = log(change[p->units[u].at]), stay = log1p(-change[p->units[u].at]);
        int from = 0;
        for (int k = 1; k < K; k++)
            from = now[k] > now[from] ? k : from;
        for (int k = 0; k < K; k++) {
            const double kept = now[k] + stay, changed = now[from] + give_way + p->log_prior[k];
            p->back[(size_t)u * K + k] = (short)(kept >= changed ? k : from);
            next[k] = fmax(kept, changed) + p->score[(size_t)u * K + k];
        }
        memcpy(now, next, sizeof now);
    }
    int best = 0;
    for (int k = 1; k < K; k++)
        best = now[k] > now[best] ? k : best;
    for (int u = p->n - 1; u >= 0; u--) {
        p->best[u] = (short)best;
        best = u ? p->back[(size_t)u * K + best] : best;
    }
}

/* x [K] to a sum of 1. */
static void normalise(double *x)
{
    double sum = 0;
    for (int k = 0; k < K; k++)
        sum += x[k];
    for (int k = 0; k < K; k++)
        x[k] /= sum;
}

/* exp of a unit's evidence, its largest value 1. */
static void likelihood(const path *p, int u, double *out)
{
    const double *row = p->score + (size_t)u * K;
    double top = row[0];
    for (int k = 1; k < K; k++)
        top = fmax(top, row[k]);
    for (int k = 0; k < K; k++)
        out[k] = exp(row[k] - top);
}

static void find_confidence(path *p)
{
    double like[K], back[K];
    for (int u = 0; u < p->n; u++) {
        double *now = p->forward + (size_t)u * K;
        const double *before = now - K, c = change[p->units[u].at];
        likelihood(p, u, like);
        for (int k = 0; k < K; k++) /* before sums to 1 */
            now[k] = like[k] * (u ? before[k] * (1 - c) + c * p->prior[k] : p->prior[k]);
        normalise(now);
    }
    for (int k = 0; k < K; k++)
        back[k] = 1;
    for (int u = p->n - 1; u >= 0; u--) {
        const double *now = p->forward + (size_t)u * K;
        double sum = 0, mean = 0;
        for (int k = 0; k < K; k++)
            sum += now[k] * back[k];
        p->sure[u] = now[p->best[u]] * back[p->best[u]] / sum;
        likelihood(p, u, like);
        const double c = change[p->units[u].at];
        for (int k = 0; k < K; k++)
            mean += p->prior[k] * like[k] * back[k];
        for (int k = 0; k < K; k++)
            back[k] = (1 - c) * like[k] * back[k] + c * mean;
        normalise(back);
    }
}

/* ---- spans ---- */

/* The lowest note of a span: a chord tone that is heard there far oftener than not, else the root. */
static int bass_of(const music_chord_path_input *in, const music_chord_span *s, music_chord chord)
{
    double sum[12] = { 0 }, top = -HUGE_VAL, total = 0;
    int64_t first, last;
    int best = 0;
    if (!in->bass || chord.root < 0)
        return chord.root;
    frames_of(in, s->start_s, s->end_s, &first, &last);
    for (int64_t t = first; t <= last; t++)
        for (int c = 0; c < 12; c++)
            sum[c] += EVIDENCE * (double)in->bass[t * 12 + c];
    for (int c = 0; c < 12; c++)
        if (sum[c] > top)
            top = sum[best = c];
    for (int c = 0; c < 12; c++)
        total += exp(sum[c] - top);
    return 1 / total > SURE_OF_BASS && (music_chord_classes(chord) >> best & 1) ? best : chord.root;
}

static bl_status write_spans(const path *p, const music_chord_path_input *in, music_chord_span **spans, int *n_spans, bl_error *err)
{
    const int flats = in->key ? music_key_has_flats(*in->key) : 1;
    music_chord_span *out = calloc((size_t)p->n, sizeof *out);
    int n = 0;
    if (!out)
        return bl_fail(err, BL_ENOMEM, "no memory for the chords");
    for (int u = 0, next; u < p->n; u = next) {
        double sure = 0;
        for (next = u; next < p->n && p->best[next] == p->best[u]; next++)
            sure += p->sure[next];
        music_chord_span *s = &out[n++];
        music_chord chord = music_heard_chord(p->best[u]);
        s->start_s = p->units[u].start_s;
        s->end_s = p->units[next - 1].end_s;
        s->confidence = sure / (next - u);
        chord.bass = bass_of(in, s, chord);
        music_chord_format(chord, flats, s->name);
    }
    *spans = out;
    *n_spans = n;
    return BL_OK;
}

bl_status music_chord_path(const music_chord_path_input *in, music_chord_span **spans, int *n_spans, bl_error *err)
{
    path p = { .n = 0 };
    bl_status status = check(in, err);
    *spans = NULL;
    *n_spans = 0;
    if (status == BL_OK)
        status = cut(&p, in, err);
    if (status == BL_OK) {
        const size_t n = (size_t)p.n;
        p.score = malloc(n * K * sizeof *p.score);
        p.forward = malloc(n * K * sizeof *p.forward);
        p.back = malloc(n * K * sizeof *p.back);
        p.best = malloc(n * sizeof *p.best);
        p.sure = malloc(n * sizeof *p.sure);
        if (!p.score || !p.forward || !p.back || !p.best || !p.sure)
            status = bl_fail(err, BL_ENOMEM, "no memory for the chords");
    }
    if (status == BL_OK) {
        weigh(&p, in);
        know_key(&p, in->key);
        find_best(&p);
        find_confidence(&p);
        status = write_spans(&p, in, spans, n_spans, err);
    }
    free_path(&p);
    return status;
}
