#include "blocks/drummer_strokes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const double blocks_stroke_place[BLOCKS_STROKE_PLACES] = { 0, 0.25, 1.0 / 3, 0.5, 2.0 / 3, 0.75 };

static const int straight[] = { 0, 1, 3, 5 }, triplets[] = { 0, 2, 4 };
/* How far a hit lies from the grid, deviation in beats; swing wider than this is not straight any more. */
static const double spread_beats = 0.045, widest_shift = 0.08;

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, compare_doubles);
    return n ? n % 2 ? x[n / 2] : 0.5 * (x[n / 2 - 1] + x[n / 2]) : 0;
}

/* Nearest of n places to a part of a beat -0.5..1; the next beat's first place is not among them. */
static int nearest_place(double within, const int *places, int n, double *distance)
{
    int best = places[0];
    for (int i = 1; i < n; i++)
        if (fabs(within - blocks_stroke_place[places[i]]) < fabs(within - blocks_stroke_place[best]))
            best = places[i];
    *distance = within - blocks_stroke_place[best];
    return best;
}

/* A hit on its way to a stroke. */
typedef struct placed {
    double at, off; /* beats */
    int    beat, place, drum, velocity;
} placed;

/* The beat that a time belongs to: what lies less than a twelfth before a beat comes early for it. */
static int beat_of(double at, int is_triplet)
{
    return (int)floor(at + (is_triplet ? 1.0 / 6 : 0.125));
}

static void place_hit(placed *h, int is_triplet)
{
    h->beat = beat_of(h->at, is_triplet);
    h->place = is_triplet ? nearest_place(h->at - h->beat, triplets, 3, &h->off) : nearest_place(h->at - h->beat, straight, 4, &h->off);
}

/* Minus the log of how probable the hits of a beat are on a grid, up to a constant. */
static double unlikely(const placed *h, int n, int is_triplet)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        placed p = h[i];
        place_hit(&p, is_triplet);
        sum += fmin(p.off * p.off / (2 * spread_beats * spread_beats), 4);
    }
    return sum;
}

/* Straight or triplets, beat by beat; twice, the second time knowing how many beats were triplets. */
static void place_all(placed *h, int n)
{
    double prior = 0.2;
    for (int pass = 0; pass < 2; pass++) {
        int asked = 0, yes = 0;
        for (int i = 0, end; i < n; i = end) {
            int off_beat = 0;
            for (end = i; end < n && floor(h[end].at + 0.125) <= floor(h[i].at + 0.125); end++)
                off_beat |= fabs(h[end].at - round(h[end].at)) > 0.1;
            const double say = unlikely(h + i, end - i, 0) - unlikely(h + i, end - i, 1) + log(prior / (1 - prior));
            asked += off_beat;
            yes += off_beat && say > 0;
            for (int k = i; k < end; k++)
                place_hit(&h[k], say > 0 && off_beat);
        }
        prior = asked ? fmin(fmax((yes + 0.2) / (asked + 1.0), 0.03), 0.97) : 0.2;
    }
}

/* The performance's own swing: each place's median deviation, less sure of with fewer hits. */
static void find_shifts(placed *h, int n, double *scratch, double shift[BLOCKS_STROKE_PLACES])
{
    for (int place = 0; place < BLOCKS_STROKE_PLACES; place++) {
        int k = 0;
        for (int i = 0; i < n; i++)
            if (h[i].place == place)
                scratch[k++] = h[i].off;
        const double m = median(scratch, k) * k / (k + 4.0);
        shift[place] = place == 0 ? 0 : fmin(fmax(m, -widest_shift), widest_shift);
    }
}

static int compare_placed(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    const double u = x->beat + blocks_stroke_place[x->place], v = y->beat + blocks_stroke_place[y->place];
    return u != v ? (u > v) - (u < v) : (x->drum > y->drum) - (x->drum < y->drum);
}

/* What is left beside the grid, the drift of a person against a click (the mean within four beats) taken out as well: a band that
 * follows a singer's beats has its tempo from there. In sixteenths. */
static void find_offsets(const placed *h, int n, const double *shift, double *offset)
{
    static const double REACH = 4; /* beats */
    double sum = 0;
    for (int i = 0, from = 0, to = 0; i < n; i++) {
        for (; to < n && h[to].beat <= h[i].beat + REACH; to++)
            sum += h[to].off - shift[h[to].place];
        for (; h[from].beat < h[i].beat - REACH; from++)
            sum -= h[from].off - shift[h[from].place];
        offset[i] = 4 * (h[i].off - shift[h[i].place] - sum / (to - from));
    }
}

static int fill_strokes(const placed *h, int n, double bpm, int beats_per_bar, const double *shift, const double *offset, blocks_stroke *out)
{
    int count = 0;
    for (int i = 0; i < n; i++) {
        blocks_stroke *s = count ? &out[count - 1] : NULL;
        if (!s || s->place != h[i].place || h[i].beat != h[i - 1].beat) {
            s = &out[count++];
            const int bar = (int)floor((double)h[i].beat / beats_per_bar);
            *s = (blocks_stroke){ .at = h[i].beat + blocks_stroke_place[h[i].place] + shift[h[i].place], .bar = bar,
                                  .beat = h[i].beat - bar * beats_per_bar, .place = h[i].place,
                                  .shift = (float)(4 * shift[h[i].place]), .bpm = (float)bpm };
        }
        const float velocity = (float)h[i].velocity / 127;
        if (s->hit[h[i].drum] && s->velocity[h[i].drum] >= velocity)
            continue;
        s->hit[h[i].drum] = 1;
        s->velocity[h[i].drum] = velocity;
        s->offset[h[i].drum] = (float)fmin(fmax(offset[i], -0.6), 0.6);
    }
    return count;
}

int blocks_strokes_read(const music_note *notes, int n_notes, double bpm, int beats_per_bar, blocks_stroke **strokes)
{
    placed *h = calloc((size_t)n_notes + 1, sizeof *h);
    double *scratch = malloc(((size_t)n_notes + 1) * sizeof *scratch), shift[BLOCKS_STROKE_PLACES];
    int n = -1;
    *strokes = calloc((size_t)n_notes + 1, sizeof **strokes);
    if (h && scratch && *strokes) {
        int k = 0;
        for (int i = 0; i < n_notes; i++) {
            h[i] = (placed){ .at = notes[i].onset_s * bpm / 60, .drum = music_drum_class_of(notes[i].pitch), .velocity = notes[i].velocity };
            if (fabs(h[i].at - round(h[i].at)) < 0.1)
                scratch[k++] = h[i].at - round(h[i].at);
        }
        const double lag = median(scratch, k);
        for (int i = 0; i < n_notes; i++)
            h[i].at -= lag;
        place_all(h, n_notes);
        find_shifts(h, n_notes, scratch, shift);
        qsort(h, (size_t)n_notes, sizeof *h, compare_placed);
        find_offsets(h, n_notes, shift, scratch);
        n = fill_strokes(h, n_notes, bpm, beats_per_bar, shift, scratch, *strokes);
        blocks_strokes_finish(*strokes, n);
    }
    free(h);
    free(scratch);
    if (n < 0) {
        free(*strokes);
        *strokes = NULL;
    }
    return n;
}

int blocks_strokes_take(const music_drum_hit *hits, int n_hits, blocks_stroke **strokes, int *stroke_of)
{
    static const int all[] = { 0, 1, 2, 3, 4, 5 };
    *strokes = calloc((size_t)n_hits + 1, sizeof **strokes);
    if (!*strokes)
        return -1;
    int n = 0;
    double bar_at = 0; /* quarters at the start of the bar */
    for (int i = 0; i < n_hits; i++) {
        const music_drum_hit *h = &hits[i], *last = i ? &hits[i - 1] : NULL;
        /* In bars of quick sixes three beats are one. */
        const int three = h->n_beats % 3 == 0 && h->n_beats > 3 && h->beat_s < 0.34;
        if (last && last->bar != h->bar)
            bar_at += (h->bar - last->bar) * (double)last->n_beats / (last->n_beats % 3 == 0 && last->n_beats > 3 && last->beat_s < 0.34 ? 3 : 1);
        if (!last || last->bar != h->bar || last->beat != h->beat || last->place != h->place) {
            blocks_stroke *s = &(*strokes)[n++];
            const double in_bar = (h->beat + h->place) / (three ? 3 : 1), within = in_bar - floor(in_bar + 1e-9);
            double off;
            *s = (blocks_stroke){ .at = bar_at + in_bar, .bar = h->bar, .beat = (int)floor(in_bar + 1e-9),
                                  .bpm = (float)(60 / (h->beat_s * (three ? 3 : 1))) };
            /* The step says which place is meant: a swung eighth at 0.58 is a half, at 0.66 a triplet. */
            s->place = three || h->steps == 3 ? nearest_place(within, all, 6, &off) : nearest_place(within, straight, 4, &off);
            if (!three && h->steps != 3 && fabs(off) > widest_shift)
                s->place = nearest_place(within, all, 6, &off);
            s->shift = (float)(4 * off);
        }
        blocks_stroke *s = &(*strokes)[n - 1];
        const int drum = music_drum_class_of(h->drum);
        s->hit[drum] = 1;
        s->velocity[drum] = fmaxf(s->velocity[drum], (float)(h->velocity / 127));
        stroke_of[i] = n - 1;
    }
    blocks_strokes_finish(*strokes, n);
    return n;
}

void blocks_strokes_finish(blocks_stroke *s, int n)
{
    static const double REACH = 4; /* beats */
    int from = 0, to = 0, count = 0;
    double sum = 0;
    for (int i = 0; i < n; i++) {
        for (; to < n && s[to].at <= s[i].at + REACH; to++)
            for (int d = 0; d < MUSIC_DRUM_CLASSES; d++)
                if (s[to].hit[d]) {
                    sum += (double)s[to].velocity[d];
                    count++;
                }
        for (; s[from].at < s[i].at - REACH; from++)
            for (int d = 0; d < MUSIC_DRUM_CLASSES; d++)
                if (s[from].hit[d]) {
                    sum -= (double)s[from].velocity[d];
                    count--;
                }
        s[i].around = (float)(sum / (count > 0 ? count : 1));
    }
}

void blocks_strokes_features(const blocks_stroke *s, int n, int with_accents, double louder, float *x, int64_t stride)
{
    enum { HIT = 0, ACCENT = 9, KNOWN = 18, BEAT = 19, PLACE = 23, SHIFT = 29, TEMPO = 30, AROUND = 31, BEFORE = 32, BEHIND = 33 };
    for (int c = 0; c < BLOCKS_STROKE_FEATURES; c++)
        memset(x + c * stride, 0, (size_t)n * sizeof *x);
    for (int t = 0; t < n; t++) {
        for (int d = 0; d < MUSIC_DRUM_CLASSES; d++) {
            if (!s[t].hit[d])
                continue;
            x[(HIT + d) * stride + t] = 1;
            if (with_accents)
                x[(ACCENT + d) * stride + t] = s[t].velocity[d] < 0.62f * s[t].around ? -1 : s[t].velocity[d] > 1.2f * s[t].around ? 1 : 0;
        }
        x[KNOWN * stride + t] = (float)with_accents;
        x[(BEAT + s[t].beat % 4) * stride + t] = 1;
        x[(PLACE + s[t].place) * stride + t] = 1;
        x[SHIFT * stride + t] = s[t].shift;
        x[TEMPO * stride + t] = log2f(fmaxf(s[t].bpm, 1) / 120);
        x[AROUND * stride + t] = (s[t].around + (float)louder - 0.55f) * 4;
        x[BEFORE * stride + t] = t ? (float)fmin(s[t].at - s[t - 1].at, 2) : 2;
        x[BEHIND * stride + t] = t + 1 < n ? (float)fmin(s[t + 1].at - s[t].at, 2) : 2;
    }
}
