/* Sections; phrases are in phrases.c. */
#include "audio/structure.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PARTS     = 8,      /* of a bar that are described each by itself         */
    TIMBRE    = 12,     /* MFCC 1 .. 12                                       */
    VOICE     = 13,     /* pitch classes sung, and silence                    */
    MAX_UNITS = 2048,   /* compared with each other                           */
    MAX_BARS  = 40,     /* of one section                                     */
    BAND      = 7       /* bars to both sides that a bar is expected to match */
};

/* What makes a good cut, in units of one bar's perfect likeness to a neighbour; chosen on 20 rendered songs, mixes and
 * voices alone, other than those that tools/evaluate/structure.py reports on. */
static const double WEIGHT_CHANGE = 2, WEIGHT_RETURN = 3, WEIGHT_REST = 1.5, WEIGHT_LENGTH = 6, WEIGHT_BLOCK = 2, COST_OF_CUT = 0.7;
static const double SHARE_CHROMA = 0.35, SHARE_TIMBRE = 0.4, SHARE_VOICE = 0.25;
static const double ALIKE = 0.43; /* of the way from the song's usual likeness to identity: the same section again */

typedef struct song {
    const audio_structure_input *in;
    double *start_s;   /* [n + 1] of the units                                */
    int     n;         /* units: bars, or several bars in very long songs     */
    float  *like;      /* [n, n] -1..1                                        */
    double *cut;       /* [n + 1] how much speaks for a boundary before unit i */
    double  usual;     /* likeness of two units anywhere in the song          */
} song;

/* ---- bars ---- */

/* Downbeats within the song; what sounds before the first joins its bar when shorter than half a bar. */
static bl_status cut_units(song *s, bl_error *err)
{
    const audio_structure_input *in = s->in;
    const int merge = 1 + in->n_downbeats / MAX_UNITS;
    double *at = s->start_s = malloc(((size_t)in->n_downbeats + 4) * sizeof *at);
    int n = 0;
    if (!at)
        return bl_fail(err, BL_ENOMEM, "no memory for %d bars", in->n_downbeats);
    for (int i = 0; i < in->n_downbeats; i += merge)
        if (in->downbeats_s[i] > 0 && in->downbeats_s[i] < in->duration_s)
            at[1 + n++] = in->downbeats_s[i];
    at[0] = 0;
    const double bar_s = n > 1 ? (at[n] - at[1]) / (n - 1) : in->duration_s;
    if (n && at[1] < 0.5 * bar_s) {
        memmove(at + 1, at + 2, (size_t)(n - 1) * sizeof *at);
        n--;
    }
    if (n && in->duration_s - at[n] < 0.5 * bar_s)
        n--;
    s->n = n + 1;
    at[s->n] = in->duration_s;
    return BL_OK;
}

/* Mean over the frames of [from, to) of n values a frame. */
static void mean_rows(const audio_structure_input *in, const float *x, int n, double from, double to, float *out)
{
    int64_t a = (int64_t)(from / in->hop_s + 0.5), b = (int64_t)(to / in->hop_s + 0.5);
    a = a < 0 ? 0 : a >= in->n_frames ? in->n_frames - 1 : a;
    b = b <= a ? a + 1 : b > in->n_frames ? in->n_frames : b;
    for (int k = 0; k < n; k++) {
        double sum = 0;
        for (int64_t t = a; t < b; t++)
            sum += (double)x[t * in->stride + k];
        out[k] = (float)(sum / (double)(b - a));
    }
}

/* The shares of [from, to) in which each pitch class is sung; the last entry is silence. next: the first note to look at. */
static void sung_classes(const audio_structure_input *in, double from, double to, int *next, float out[VOICE])
{
    double silent = to - from;
    memset(out, 0, VOICE * sizeof *out);
    while (*next < in->n_notes && in->notes[*next].offset_s <= from)
        ++*next;
    for (int i = *next; i < in->n_notes && in->notes[i].onset_s < to; i++) {
        const audio_sung_note *m = &in->notes[i];
        const double length = fmin(m->offset_s, to) - fmax(m->onset_s, from);
        if (length <= 0)
            continue;
        out[((int)lround((double)m->pitch) % 12 + 12) % 12] += (float)(length / (to - from));
        silent -= length;
    }
    out[VOICE - 1] = (float)(fmax(0, silent) / (to - from));
}

/* The rows of x [n_rows, width]: column by column without the song's mean, and with unit deviation when scaled. */
static void centre(float *x, int64_t n_rows, int width, int group, int scaled)
{
    for (int c = 0; c < group; c++) {
        double sum = 0, squares = 0;
        const double n = (double)n_rows * (width / group);
        for (int64_t i = 0; i < n_rows * width; i += group) {
            sum += (double)x[i + c];
            squares += (double)x[i + c] * (double)x[i + c];
        }
        const double mean = sum / n, spread = sqrt(fmax(squares / n - mean * mean, 1e-12));
        for (int64_t i = 0; i < n_rows * width; i += group)
            x[i + c] = (float)(((double)x[i + c] - mean) / (scaled ? spread : 1));
    }
}

/* like += share * cosine of every pair of rows of x [n, width]; a row of zeros is like another such row. */
static void add_cosines(song *s, float *x, int width, double share)
{
    for (int i = 0; i < s->n; i++) {
        double norm = 0;
        float *row = x + (int64_t)i * width;
        for (int c = 0; c < width; c++)
            norm += (double)row[c] * (double)row[c];
        for (int c = 0; c < width && norm > 0; c++)
            row[c] /= (float)sqrt(norm);
    }
    #pragma omp parallel for schedule(static)
    for (int i = 0; i < s->n; i++)
        for (int k = 0; k < s->n; k++) {
            float dot = 0;
            for (int c = 0; c < width; c++)
                dot += x[(int64_t)i * width + c] * x[(int64_t)k * width + c];
            s->like[(int64_t)i * s->n + k] += (float)share * dot;
        }
}

static bl_status compare_units(song *s, bl_error *err)
{
    const audio_structure_input *in = s->in;
    const int timbre = in->n_mfcc - 1 < TIMBRE ? in->n_mfcc - 1 : TIMBRE, widths[3] = { PARTS * 12, PARTS * timbre, PARTS * VOICE };
    const size_t n = (size_t)s->n;
    float *x[3] = { malloc(n * PARTS * 12 * sizeof(float)), malloc(n * PARTS * TIMBRE * sizeof(float)),
                    malloc(n * PARTS * VOICE * sizeof(float)) };
    int next = 0;
    s->like = calloc(n * n, sizeof *s->like);
    if (!x[0] || !x[1] || !x[2] || !s->like) {
        for (int k = 0; k < 3; k++)
            free(x[k]);
        return bl_fail(err, BL_ENOMEM, "no memory to compare %d bars", s->n);
    }
    for (int i = 0; i < s->n; i++)
        for (int p = 0; p < PARTS; p++) {
            const double length = (s->start_s[i + 1] - s->start_s[i]) / PARTS, from = s->start_s[i] + p * length;
            const size_t at = (size_t)i * PARTS + (size_t)p;
            mean_rows(in, in->chroma, 12, from, from + length, x[0] + at * 12);
            mean_rows(in, in->mfcc + 1, timbre, from, from + length, x[1] + at * (size_t)timbre);
            sung_classes(in, from, from + length, &next, x[2] + at * VOICE);
        }
    centre(x[0], s->n, widths[0], 12, 0);
    centre(x[1], s->n, widths[1], timbre, 1);
    centre(x[2], s->n, widths[2], VOICE, 0);
    add_cosines(s, x[0], widths[0], SHARE_CHROMA);
    add_cosines(s, x[1], widths[1], SHARE_TIMBRE);
    add_cosines(s, x[2], widths[2], SHARE_VOICE);
    double sum = 0;
    for (int i = 0; i < s->n; i++)
        for (int k = 0; k < s->n; k++)
            sum += i == k ? 0 : (double)s->like[(size_t)i * n + (size_t)k];
    s->usual = s->n > 1 ? sum / ((double)n * (double)(n - 1)) : 0;
    for (int k = 0; k < 3; k++)
        free(x[k]);
    return BL_OK;
}

static double like(const song *s, int i, int k)
{
    return (double)s->like[(int64_t)i * s->n + k];
}

/* ---- what speaks for a cut ---- */

/* Foote's checkerboard before unit b: likeness within the two sides minus likeness across. */
static double change_at(const song *s, int b)
{
    enum { REACH = 4 };
    double inside = 0, across = 0, n_inside = 0, n_across = 0;
    for (int i = -REACH; i < REACH; i++)
        for (int k = -REACH; k < REACH; k++) {
            if (i == k || b + i < 0 || b + k < 0 || b + i >= s->n || b + k >= s->n)
                continue;
            const double w = exp(-0.06 * (i * i + k * k));
            *((i < 0) == (k < 0) ? &inside : &across) += w * like(s, b + i, b + k);
            *((i < 0) == (k < 0) ? &n_inside : &n_across) += w;
        }
    return n_inside > 0 && n_across > 0 ? inside / n_inside - across / n_across : 0;
}

/* Serra's structure feature: how much the pattern of where else the music occurs (by lag) changes before unit b. */
static double return_at(const song *s, int b)
{
    enum { REACH = 4 };
    double sum = 0;
    int n = 0;
    for (int lag = -s->n + 1; lag < s->n; lag++) {
        double before = 0, after = 0;
        if (abs(lag) < 2 || b - REACH + lag < 0 || b + REACH + lag > s->n || b < REACH || b + REACH > s->n)
            continue;
        for (int i = 1; i <= REACH; i++) {
            before += fmax(0, like(s, b - i, b - i + lag) - s->usual) / REACH;
            after += fmax(0, like(s, b + i - 1, b + i - 1 + lag) - s->usual) / REACH;
        }
        sum += (before - after) * (before - after);
        n++;
    }
    return n ? sqrt(sum / n) : 0;
}

/* Silence of the singer around a boundary, 0..1: two beats of rest count in full. */
static double rest_at(const song *s, double time_s, double bar_s)
{
    const audio_structure_input *in = s->in;
    double before = -1e9, after = 1e9;
    for (int i = 0; i < in->n_notes; i++) {
        const audio_sung_note *m = &in->notes[i];
        /* an upbeat of up to a quarter of the bar belongs to what follows */
        if (m->onset_s < time_s - 0.3 * bar_s)
            before = fmax(before, fmin(m->offset_s, time_s));
        else
            after = fmin(after, m->onset_s);
    }
    return in->n_notes ? fmin(1, fmax(0, (after - before) / (0.5 * bar_s))) : 0;
}

/* Values over the song to 0 .. 1: the largest is 1, the median 0. */
static int compare_real(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void to_unit(double *x, int n, double *scratch)
{
    memcpy(scratch, x, (size_t)n * sizeof *x);
    qsort(scratch, (size_t)n, sizeof *x, compare_real);
    const double middle = scratch[n / 2], top = scratch[n - 1 - n / 40];
    for (int i = 0; i < n; i++)
        x[i] = top > middle ? fmin(1, fmax(0, (x[i] - middle) / (top - middle))) : 0;
}

/* What a rest says depends on how many there are: the mean of the song's strongest quarter says nothing. */
static void beside_usual(double *x, int n, double *scratch)
{
    double sum = 0;
    const int quarter = (n + 3) / 4;
    memcpy(scratch, x, (size_t)n * sizeof *x);
    qsort(scratch, (size_t)n, sizeof *x, compare_real);
    for (int i = n - quarter; i < n; i++)
        sum += scratch[i];
    for (int i = 0; i < n; i++)
        x[i] -= sum / quarter;
}

static bl_status weigh_cuts(song *s, bl_error *err)
{
    const int n = s->n + 1;
    const double bar_s = s->in->duration_s / s->n;
    double *change = calloc((size_t)n * 4, sizeof *change), *returns = change + n, *rest = change + 2 * n, *scratch = change + 3 * n;
    s->cut = calloc((size_t)n, sizeof *s->cut);
    if (!change || !s->cut) {
        free(change);
        return bl_fail(err, BL_ENOMEM, "no memory for the sections of %d bars", s->n);
    }
    for (int b = 1; b < s->n; b++) {
        change[b] = change_at(s, b);
        returns[b] = return_at(s, b);
        rest[b] = rest_at(s, s->start_s[b], bar_s);
    }
    to_unit(change, n, scratch);
    to_unit(returns, n, scratch);
    beside_usual(rest, n, scratch);
    for (int b = 1; b < s->n; b++)
        s->cut[b] = WEIGHT_CHANGE * change[b] + WEIGHT_RETURN * returns[b] + WEIGHT_REST * rest[b];
    free(change);
    return BL_OK;
}

/* ---- the best way to cut ---- */

/* How far a length in bars is from how music is usually built; 0 best. */
static double odd_length(int bars)
{
    return bars == 8 ? 0 : bars == 12 || bars == 16 ? 0.1 : bars % 4 == 0 ? 0.25 : bars % 2 == 0 ? 0.6 : 1;
}

/* before[e], cost so far: sections end at units; classic segmentation by dynamic programming. */
static bl_status cut_sections(const song *s, int *ends, int *n_ends, bl_error *err)
{
    double *best = malloc(((size_t)s->n + 1) * sizeof *best);
    int *from = malloc(((size_t)s->n + 1) * sizeof *from);
    if (!best || !from) {
        free(best);
        free(from);
        return bl_fail(err, BL_ENOMEM, "no memory for the sections of %d bars", s->n);
    }
    best[0] = 0;
    for (int e = 1; e <= s->n; e++) {
        double block = 0; /* likeness within the band, summed over pairs of units start..e-1 */
        best[e] = -HUGE_VAL;
        for (int b = e - 1; b >= 0 && e - b <= MAX_BARS; b--) {
            for (int k = b + 1; k < e && k - b <= BAND; k++)
                block += (like(s, b, k) - s->usual) / (1 - s->usual);
            const int bars = e - b, at_edge = b == 0 || e == s->n;
            const double length = odd_length(bars) * (at_edge ? 0.5 : 1);
            const double score = best[b] + WEIGHT_BLOCK * block / bars + s->cut[b] - COST_OF_CUT - WEIGHT_LENGTH * length -
                                 (bars < 3 && !at_edge ? 3 : 0);
            if (score > best[e]) {
                best[e] = score;
                from[e] = b;
            }
        }
    }
    *n_ends = 0;
    for (int e = s->n; e > 0; e = from[e])
        ends[(*n_ends)++] = e;
    for (int i = 0; i < *n_ends / 2; i++) {
        const int other = ends[i];
        ends[i] = ends[*n_ends - 1 - i];
        ends[*n_ends - 1 - i] = other;
    }
    free(best);
    free(from);
    return BL_OK;
}

/* ---- what returns ---- */

/* Of two sections: 1 the same bar by bar along their best common diagonal, 0 as alike as any two bars. */
static double sameness(const song *s, int a0, int a1, int b0, int b1)
{
    const int na = a1 - a0, nb = b1 - b0, shorter = na < nb ? na : nb, least = shorter - shorter / 4;
    double best = -1;
    for (int offset = -(na - least); offset <= nb - least; offset++) {
        double sum = 0;
        int n = 0;
        for (int i = 0; i < na; i++)
            if (i + offset >= 0 && i + offset < nb) {
                sum += like(s, a0 + i, b0 + i + offset);
                n++;
            }
        if (n >= least && n)
            best = fmax(best, sum / n);
    }
    const double longer = na < nb ? nb : na; /* a short section within a long one is not the same */
    return (best - s->usual) / (1 - s->usual) * (shorter * 2 < longer ? 0.7 : 1);
}

/* Average linkage over sections until no two groups are alike; labels in the order of appearance. */
static bl_status label_sections(const song *s, const int *ends, int n, int *label, bl_error *err)
{
    double *same = malloc((size_t)n * (size_t)n * sizeof *same);
    int labels = 0;
    if (!same)
        return bl_fail(err, BL_ENOMEM, "no memory for %d sections", n);
    for (int i = 0; i < n; i++) {
        label[i] = i;
        for (int k = 0; k < n; k++)
            same[i * n + k] = sameness(s, i ? ends[i - 1] : 0, ends[i], k ? ends[k - 1] : 0, ends[k]);
    }
    for (;;) {
        double best = ALIKE;
        int x = -1, y = -1;
        for (int a = 0; a < n; a++)
            for (int b = a + 1; b < n; b++) {
                double sum = 0, pairs = 0;
                for (int i = 0; i < n; i++)
                    for (int k = 0; k < n; k++)
                        if (label[i] == a && label[k] == b) {
                            sum += same[i * n + k];
                            pairs++;
                        }
                if (pairs > 0 && sum / pairs > best) {
                    best = sum / pairs;
                    x = a;
                    y = b;
                }
            }
        if (x < 0)
            break;
        for (int i = 0; i < n; i++)
            label[i] = label[i] == y ? x : label[i];
    }
    for (int i = 0; i < n; i++) { /* names by first appearance: those not yet renamed are >= 0 */
        if (label[i] < 0)
            continue;
        const int old = label[i];
        labels++;
        for (int k = i; k < n; k++)
            label[k] = label[k] == old ? -labels : label[k];
    }
    for (int i = 0; i < n; i++)
        label[i] = -label[i] - 1;
    free(same);
    return BL_OK;
}

/* ---- the whole ---- */

static bl_status check(const audio_structure_input *in, bl_error *err)
{
    if (!(in->duration_s > 0) || !isfinite(in->duration_s))
        return bl_fail(err, BL_EARG, "sections: a song of %g s has none", in->duration_s);
    if (in->n_frames < 1 || in->n_mfcc < 2 || !(in->hop_s > 0))
        return bl_fail(err, BL_EARG, "sections: expected features, got %lld frames, %d MFCC", (long long)in->n_frames, in->n_mfcc);
    for (int i = 1; i < in->n_downbeats; i++)
        if (!(in->downbeats_s[i] > in->downbeats_s[i - 1]))
            return bl_fail(err, BL_EARG, "sections: downbeat %d at %g s does not come after the one before it", i + 1,
                           in->downbeats_s[i]);
    return BL_OK;
}

bl_status audio_sections_find(const audio_structure_input *in, audio_sections *out, bl_error *err)
{
    song s = { .in = in };
    int *ends = NULL, *label = NULL, n = 0;
    bl_status status = check(in, err);
    *out = (audio_sections){ 0 };
    if (status == BL_OK)
        status = cut_units(&s, err);
    if (status == BL_OK)
        status = compare_units(&s, err);
    if (status == BL_OK)
        status = weigh_cuts(&s, err);
    if (status == BL_OK && (!(ends = malloc((size_t)s.n * 2 * sizeof *ends)) ||
                            !(out->sections = calloc((size_t)s.n, sizeof *out->sections))))
        status = bl_fail(err, BL_ENOMEM, "no memory for the sections of %d bars", s.n);
    label = ends ? ends + s.n : NULL;
    if (status == BL_OK)
        status = cut_sections(&s, ends, &n, err);
    if (status == BL_OK)
        status = label_sections(&s, ends, n, label, err);
    for (int i = 0; i < n && status == BL_OK; i++)
        out->sections[i] = (audio_section){ s.start_s[i ? ends[i - 1] : 0], s.start_s[ends[i]], label[i] };
    out->n = status == BL_OK ? n : 0;
    if (status != BL_OK)
        audio_sections_free(out);
    free(ends);
    free(s.start_s);
    free(s.like);
    free(s.cut);
    return status;
}

void audio_sections_free(audio_sections *sections)
{
    free(sections->sections);
    *sections = (audio_sections){ 0 };
}

void audio_section_letter(int label, char out[8])
{
    char reversed[8];
    int n = 0;
    for (int rest = label < 0 ? 0 : label; n < 6; rest = rest / 26 - 1) {
        reversed[n++] = (char)('A' + rest % 26);
        if (rest < 26)
            break;
    }
    for (int i = 0; i < n; i++)
        out[i] = reversed[n - 1 - i];
    out[n] = '\0';
}
