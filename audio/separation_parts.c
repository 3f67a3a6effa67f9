#include "audio/separation_parts.h"

#include "audio/stft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_MEDIAN = 129, LANES = 16, SIMILAR = 30, BANDS = 64, BLOCK = 32,
    STEPS = 5, /* melody states a semitone */
    HARMONICS = 20,
    REACH = 6  /* melody states a frame    */
};

static const double PERCUSSIVE_HZ = 360;                     /* length of the median along frequency   */
static const double APART_S = 0.6;                           /* similar frames are at least this apart */
static const double MELODY_MIN_HZ = 82, MELODY_MAX_HZ = 900; /* E2 .. A5                               */

int audio_parts_n_fft(int sample_rate)
{
    int n = 256;
    while (n < 0.080 * sample_rate)
        n *= 2;
    return n;
}

void audio_parts_free(audio_parts *p)
{
    free(p->magnitude), free(p->steady), free(p->percussive), free(p->repeating), free(p->centre), free(p->f0_hz),
        free(p->salience);
    memset(p, 0, sizeof *p);
}

bl_status audio_parts_new(audio_parts *p, int sample_rate, int64_t n_samples, bl_error *err)
{
    const int n_fft = audio_parts_n_fft(sample_rate);
    return audio_parts_new_as(p, sample_rate, n_fft, n_fft / 4, n_fft / 2 + 1, n_samples / (n_fft / 4) + 1, err);
}

bl_status audio_parts_new_as(audio_parts *p, int sample_rate, int n_fft, int hop, int bins, int64_t frames, bl_error *err)
{
    *p = (audio_parts){ .sample_rate = sample_rate, .n_fft = n_fft, .hop = hop, .bins = bins, .frames = frames };
    const size_t cells = (size_t)p->bins * (size_t)p->frames;
    p->magnitude = calloc(cells, sizeof(float));
    p->steady = calloc(cells, sizeof(float)), p->percussive = calloc(cells, sizeof(float));
    p->repeating = calloc(cells, sizeof(float)), p->centre = malloc(sizeof(float) * cells);
    p->f0_hz = calloc((size_t)p->frames, sizeof(float)), p->salience = calloc((size_t)p->frames, sizeof(float));
    for (size_t i = 0; p->centre && i < cells; i++)
        p->centre[i] = 1;
    if (p->magnitude && p->steady && p->percussive && p->repeating && p->centre && p->f0_hz && p->salience)
        return BL_OK;
    audio_parts_free(p);
    return bl_fail(err, BL_ENOMEM, "separation: no memory for %lld frames", (long long)frames);
}

/* Lead voices stand in the middle: 2 Re(L conj R) / (|L|^2 + |R|^2), squared, nothing below 0. */
static void find_centre(audio_parts *p, const float *left, const float *right)
{
    for (int64_t i = 0; i < p->frames * p->bins; i++) {
        const float lr = left[2 * i] * right[2 * i] + left[2 * i + 1] * right[2 * i + 1];
        const float ll = left[2 * i] * left[2 * i] + left[2 * i + 1] * left[2 * i + 1];
        const float rr = right[2 * i] * right[2 * i] + right[2 * i + 1] * right[2 * i + 1];
        const float alike = ll + rr > 0 ? fmaxf(0, 2 * lr / (ll + rr)) : 1.0f;
        p->centre[i] = alike * alike;
    }
}

bl_status audio_parts_transform(audio_parts *p, const audio_clip *clip, int64_t first, int64_t n, float **spectra,
                                bl_error *err)
{
    const audio_stft_config config = { .n_fft = p->n_fft, .hop_length = p->hop, .pad = AUDIO_PAD_ZERO };
    const size_t            cells = (size_t)p->bins * (size_t)p->frames;
    audio_stft             *stft = audio_stft_new(&config, err);
    float                  *own = spectra ? NULL : malloc(sizeof(float) * 2 * (size_t)(p->n_fft / 2 + 1) * (size_t)p->frames);
    bl_status               status = BL_OK;

    if (!stft || (!spectra && !own)) {
        status = stft ? bl_fail(err, BL_ENOMEM, "separation: no memory") : BL_ENOMEM;
        goto done;
    }
    memset(p->magnitude, 0, sizeof(float) * cells);
    for (int c = 0; c < clip->n_channels && status == BL_OK; c++) {
        float *x = spectra ? spectra[c] : own;
        status = audio_stft_run(stft, clip->samples + c * clip->n_samples + first, n, x, err);
        for (size_t i = 0; status == BL_OK && i < cells; i++)
            p->magnitude[i] += sqrtf(x[2 * i] * x[2 * i] + x[2 * i + 1] * x[2 * i + 1]) / (float)clip->n_channels;
    }
    if (status == BL_OK && spectra && clip->n_channels == 2)
        find_centre(p, spectra[0], spectra[1]);
done:
    audio_stft_free(stft);
    free(own);
    return status;
}

static inline float lower(float a, float b)
{
    return a < b ? a : b;
}

static inline float higher(float a, float b)
{
    return a > b ? a : b;
}

/* Puts y [LANES] into columns that are sorted upwards, and keeps places 0 .. last: with y put in, place k holds min(s[k], max(s[k-1],
 * y)). The pragmas keep a row of lanes one vector; unrolled into scalars first it is put together with shuffles. */
static inline void put_in(float (*sorted)[LANES], int last, const float *y)
{
    for (int k = last; k > 0; k--)
        #pragma omp simd
        for (int l = 0; l < LANES; l++)
            sorted[k][l] = lower(sorted[k][l], higher(sorted[k - 1][l], y[l]));
    #pragma omp simd
    for (int l = 0; l < LANES; l++)
        sorted[0][l] = lower(sorted[0][l], y[l]);
}

/* Running medians of LANES series at once, x and out [n, LANES], over i - half .. i + half, the window cut at the ends. The
 * windows are kept sorted without a branch; with y taken out, place k holds s[k] where that is below y and s[k+1] where not. */
static void running_medians(const float *x, int64_t n, int half, float *out)
{
    float   sorted[MAX_MEDIAN + 2][LANES];
    int     count = 0;
    int64_t entered = 0;
    for (int64_t i = 0; i < n; i++) {
        for (; entered <= i + half && entered < n; entered++, count++) {
            for (int l = 0; l < LANES; l++)
                sorted[count][l] = HUGE_VALF;
            put_in(sorted, count, x + entered * LANES);
        }
        if (i - half - 1 >= 0) {
            const float *y = x + (i - half - 1) * LANES;
            count--;
            for (int k = 0; k < count; k++)
                #pragma omp simd
                for (int l = 0; l < LANES; l++)
                    sorted[k][l] = sorted[k][l] < y[l] ? sorted[k][l] : sorted[k + 1][l];
        }
        memcpy(out + i * LANES, sorted[count / 2], LANES * sizeof *out);
    }
}

static int clamp_half(double length)
{
    const int half = (int)lround(length / 2);
    return half < 1 ? 1 : half > MAX_MEDIAN / 2 ? MAX_MEDIAN / 2 : half;
}

/* LANES rows of x from row `first` on, side by side, and back. */
static void gather_rows(const float *x, int64_t T, int64_t first, int64_t n_rows, float *lanes)
{
    for (int64_t r = 0; r < LANES; r++)
        for (int64_t t = 0; t < T; t++)
            lanes[t * LANES + r] = r < n_rows ? x[(first + r) * T + t] : 0;
}

static void scatter_rows(const float *lanes, int64_t T, int64_t first, int64_t n_rows, float *x)
{
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t t = 0; t < T; t++)
            x[(first + r) * T + t] = lanes[t * LANES + r];
}

bl_status audio_parts_steady(audio_parts *p, double steady_s, bl_error *err)
{
    const int64_t T = p->frames, F = p->bins;
    const int     half = clamp_half(steady_s * p->sample_rate / p->hop);
    int           short_of_memory = 0;

    #pragma omp parallel
    {
        float *in = calloc((size_t)(2 * T * LANES), sizeof *in), *out = in ? in + T * LANES : NULL;
        if (!in) {
            #pragma omp atomic write
            short_of_memory = 1;
        }
        #pragma omp for schedule(static)
        for (int64_t f = 0; f < F; f += LANES) {
            const int64_t n = F - f < LANES ? F - f : LANES;
            if (!in)
                continue;
            gather_rows(p->magnitude, T, f, n, in);
            running_medians(in, T, half, out);
            scatter_rows(out, T, f, n, p->steady);
        }
        free(in);
    }
    return short_of_memory ? bl_fail(err, BL_ENOMEM, "separation: no memory") : BL_OK;
}

bl_status audio_parts_percussive(audio_parts *p, bl_error *err)
{
    const int64_t T = p->frames, F = p->bins;
    const int     half = clamp_half(PERCUSSIVE_HZ * p->n_fft / p->sample_rate);
    int           short_of_memory = 0;

    #pragma omp parallel
    {
        float *in = calloc((size_t)(2 * F * LANES), sizeof *in), *out = in ? in + F * LANES : NULL;
        if (!in) {
            #pragma omp atomic write
            short_of_memory = 1;
        }
        #pragma omp for schedule(static)
        for (int64_t first = 0; first < T; first += LANES) {
            const int64_t n = T - first < LANES ? T - first : LANES;
            if (!in)
                continue;
            for (int64_t f = 0; f < F; f++)
                memcpy(in + f * LANES, p->magnitude + f * T + first, (size_t)n * sizeof *in);
            running_medians(in, F, half, out);
            for (int64_t f = 0; f < F; f++)
                memcpy(p->percussive + f * T + first, out + f * LANES, (size_t)n * sizeof *out);
        }
        free(in);
    }
    return short_of_memory ? bl_fail(err, BL_ENOMEM, "separation: no memory") : BL_OK;
}

/* Logarithmic band energies of every frame, mean removed, length one: [BANDS, width], zeros from frame T on. */
static void describe_frames(const audio_parts *p, int64_t width, float *out)
{
    const int64_t T = p->frames;
    const double  bin_hz = (double)p->sample_rate / p->n_fft, low_hz = 60, high_hz = fmin(12000, 0.45 * p->sample_rate);
    #pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < T; t++) {
        float  row[BANDS];
        double mean = 0, square = 0;
        for (int b = 0; b < BANDS; b++) {
            int from = (int)(low_hz * pow(high_hz / low_hz, (double)b / BANDS) / bin_hz + 0.5);
            int to = (int)(low_hz * pow(high_hz / low_hz, (double)(b + 1) / BANDS) / bin_hz + 0.5);
            to = to > from ? to : from + 1;
            double sum = 0;
            for (int f = from; f < to && f < p->bins; f++)
                sum += (double)p->magnitude[(int64_t)f * T + t];
            row[b] = (float)sqrt(sum / (to - from));
            mean += (double)row[b] / BANDS;
        }
        for (int b = 0; b < BANDS; b++) {
            row[b] -= (float)mean;
            square += (double)row[b] * (double)row[b];
        }
        const float norm = square > 1e-20 ? (float)(1 / sqrt(square)) : 0.0f;
        for (int b = 0; b < BANDS; b++)
            out[b * width + t] = row[b] * norm;
    }
}

/* How much frame t is like every other: out [width], the product over the bands in their order. */
static void compare_frames(const float *bands, int64_t width, int64_t t, float *out)
{
    for (int64_t first = 0; first < width; first += BLOCK) {
        float sum[BLOCK] = { 0 };
        for (int b = 0; b < BANDS; b++) {
            const float *x = bands + b * width + first, here = bands[b * width + t];
            #pragma omp simd
            for (int l = 0; l < BLOCK; l++)
                sum[l] += here * x[l];
        }
        memcpy(out + first, sum, sizeof sum);
    }
}

static float block_top(const float *x)
{
    float top = x[0];
    #pragma omp simd reduction(max : top)
    for (int l = 0; l < BLOCK; l++)
        top = x[l] > top ? x[l] : top;
    return top;
}

/* Frames most like frame t (itself first), none within `apart` of another; similarity [width] is used up, of equals the first
 * counts. top [width / BLOCK] is room for every block's highest: only the blocks in which something changed are looked at again. */
static int choose_similar(float *similarity, float *top, int64_t T, int64_t width, int64_t t, int64_t apart, int64_t *out)
{
    int n = 0;
    for (int64_t i = T; i < width; i++)
        similarity[i] = -2;
    similarity[t] = 2; /* itself */
    for (int64_t j = 0; j < width / BLOCK; j++)
        top[j] = block_top(similarity + j * BLOCK);
    while (n < SIMILAR) {
        int64_t block = 0;
        for (int64_t j = 1; j < width / BLOCK; j++)
            if (top[j] > top[block])
                block = j;
        int64_t best = block * BLOCK;
        while (similarity[best] < top[block])
            best++;
        if (similarity[best] < 0.3f && n >= 5)
            break;
        if (similarity[best] < -1.5f)
            break;
        out[n++] = best;
        const int64_t from = best - apart > 0 ? best - apart : 0, to = best + apart < T - 1 ? best + apart : T - 1;
        for (int64_t i = from; i <= to; i++)
            similarity[i] = -2;
        for (int64_t j = from / BLOCK; j <= to / BLOCK; j++)
            top[j] = block_top(similarity + j * BLOCK);
    }
    return n;
}

/* Per lane: the median over some frames of x [.., LANES], not above `own`. Only the lower half is kept sorted. */
static void repeating_lanes(const float *x, const int64_t *frames, int n_frames, const float *own, float *out)
{
    float     low[SIMILAR / 2 + 1][LANES];
    const int middle = n_frames / 2;
    for (int k = 0; k <= middle; k++)
        for (int l = 0; l < LANES; l++)
            low[k][l] = HUGE_VALF;
    for (int i = 0; i < n_frames; i++)
        put_in(low, i < middle ? i : middle, x + frames[i] * LANES);
    for (int l = 0; l < LANES; l++)
        out[l] = lower(low[middle][l], own[l]);
}

bl_status audio_parts_repeating(audio_parts *p, bl_error *err)
{
    const int64_t T = p->frames, F = p->bins, apart = (int64_t)(APART_S * p->sample_rate / p->hop) + 1;
    const int64_t width = (T + BLOCK - 1) / BLOCK * BLOCK;
    float        *bands = calloc((size_t)width * BANDS, sizeof *bands);
    int64_t      *similar = malloc(sizeof(int64_t) * (size_t)T * SIMILAR);
    int          *count = malloc(sizeof(int) * (size_t)T);
    int           short_of_memory = 0;
    bl_status     status = BL_OK;

    if (!bands || !similar || !count) {
        status = bl_fail(err, BL_ENOMEM, "separation: no memory");
        goto done;
    }
    describe_frames(p, width, bands);
    #pragma omp parallel
    {
        float *similarity = malloc(sizeof(float) * (size_t)(width + width / BLOCK));
        #pragma omp for schedule(static)
        for (int64_t t = 0; t < T; t++) {
            if (!similarity) {
                #pragma omp atomic write
                short_of_memory = 1;
                continue;
            }
            compare_frames(bands, width, t, similarity);
            count[t] = choose_similar(similarity, similarity + width, T, width, t, apart, similar + t * SIMILAR);
        }
        free(similarity);
    }
    if (short_of_memory) {
        status = bl_fail(err, BL_ENOMEM, "separation: no memory");
        goto done;
    }
    #pragma omp parallel
    {
        float *in = calloc((size_t)(2 * T * LANES), sizeof *in), *out = in ? in + T * LANES : NULL;
        if (!in) {
            #pragma omp atomic write
            short_of_memory = 1;
        }
        #pragma omp for schedule(static)
        for (int64_t f = 0; f < F; f += LANES) {
            const int64_t n = F - f < LANES ? F - f : LANES;
            if (!in)
                continue;
            gather_rows(p->magnitude, T, f, n, in);
            for (int64_t t = 0; t < T; t++)
                repeating_lanes(in, similar + t * SIMILAR, count[t], in + t * LANES, out + t * LANES);
            scatter_rows(out, T, f, n, p->repeating);
        }
        free(in);
    }
    if (short_of_memory)
        status = bl_fail(err, BL_ENOMEM, "separation: no memory");
done:
    free(bands), free(similar), free(count);
    return status;
}

/* Where a harmonic of a pitch lies, and the middle between it and the one below: bins, and the share of the bin above each. */
typedef struct tooth {
    int    at, between;
    double at_share, between_share;
} tooth;

typedef struct comb {
    int   n; /* harmonics below the highest */
    tooth tooth[HARMONICS];
} comb;

typedef struct melody {
    int    states;
    double highest_hz;
    comb  *comb;          /* [states] */
    float *sums;          /* [T, states] of the foreground on harmonics */
    float *total, *most;  /* [T] of the foreground; the highest sum     */
    float *score, *now;   /* [states] and [states + 2 * REACH], walls at both ends */
    int   *best_from;     /* [states]    */
    short *from;          /* [T, states] */
} melody;

static void melody_free(melody *m)
{
    free(m->comb), free(m->sums), free(m->total), free(m->most), free(m->score), free(m->now), free(m->best_from), free(m->from);
}

static int melody_new(melody *m, const audio_parts *p)
{
    const double bin_hz = (double)p->sample_rate / p->n_fft;
    m->states = (int)(12 * STEPS * log2(MELODY_MAX_HZ / MELODY_MIN_HZ)) + 1;
    m->highest_hz = fmin(5000, (p->bins - 1) * bin_hz);
    const size_t states = (size_t)m->states, T = (size_t)p->frames;
    m->comb = malloc(sizeof *m->comb * states), m->sums = malloc(sizeof(float) * T * states);
    m->total = malloc(sizeof(float) * T), m->most = malloc(sizeof(float) * T);
    m->score = malloc(sizeof(float) * states), m->now = malloc(sizeof(float) * (states + 2 * REACH));
    m->best_from = malloc(sizeof(int) * states), m->from = malloc(sizeof(short) * T * states);
    if (!m->comb || !m->sums || !m->total || !m->most || !m->score || !m->now || !m->best_from || !m->from)
        return 0;
    for (int s = 0; s < m->states; s++) {
        const double hz = MELODY_MIN_HZ * exp2((double)s / (12 * STEPS));
        m->comb[s].n = 0;
        for (int h = 1; h <= HARMONICS && h * hz < m->highest_hz; h++) {
            const double at = h * hz / bin_hz, between = (h - 0.5) * hz / bin_hz;
            m->comb[s].tooth[m->comb[s].n++] = (tooth){ (int)at, (int)between, at - (int)at, between - (int)between };
        }
    }
    return 1;
}

/* The foreground of frames first .. first + n - 1 side by side: front [bins + 1, LANES]. */
static void take_foreground(const audio_parts *p, int64_t first, int64_t n, float *front)
{
    for (int f = 0; f < p->bins; f++) {
        const int64_t i = (int64_t)f * p->frames + first;
        for (int64_t l = 0; l < n; l++) {
            const float all = p->magnitude[i + l], back = higher(p->repeating[i + l], lower(p->percussive[i + l], all));
            front[f * LANES + l] = sqrtf(p->centre[i + l] * higher(0, all - back));
        }
    }
    for (int l = 0; l < LANES; l++)
        front[p->bins * LANES + l] = 0;
}

/* Harmonic sums of frames first .. first + n - 1 at every pitch state, their highest, and the foreground's total. */
static void sum_harmonics(melody *m, const audio_parts *p, const float *front, int64_t first, int64_t n)
{
    const double bin_hz = (double)p->sample_rate / p->n_fft;
    double       total[LANES] = { 0 };
    float        most[LANES];
    for (int f = 0; f < p->bins && f * bin_hz < 5000; f++)
        for (int l = 0; l < LANES; l++)
            total[l] += (double)front[f * LANES + l];
    for (int l = 0; l < LANES; l++)
        most[l] = 1e-9f;
    for (int s = 0; s < m->states; s++) {
        double sum[LANES] = { 0 }, weight = 1;
        for (int h = 0; h < m->comb[s].n; h++, weight *= 0.88) {
            const tooth *o = &m->comb[s].tooth[h];
            const float *a = front + o->at * LANES, *b = front + o->between * LANES;
            const double u = o->at_share, v = o->between_share;
            /* Energy between two harmonics counts against the pitch: else its half would win. */
            #pragma omp simd
            for (int l = 0; l < LANES; l++) {
                const double here = (1 - u) * (double)a[l] + u * (double)a[l + LANES];
                const double between = (1 - v) * (double)b[l] + v * (double)b[l + LANES];
                sum[l] += weight * (here - 0.6 * between);
            }
        }
        for (int64_t l = 0; l < n; l++) {
            const float x = (float)(sum[l] > 0 ? sum[l] : 0);
            m->sums[(first + l) * m->states + s] = x;
            most[l] = higher(most[l], x);
        }
    }
    for (int64_t l = 0; l < n; l++) {
        m->total[first + l] = (float)total[l];
        m->most[first + l] = most[l];
    }
}

/* One frame forward: now becomes the scores of frame t, from [states] tells where each came from. A jump to any pitch costs 7. */
static void step_melody(melody *m, int64_t t, float trust)
{
    const float *sums = m->sums + t * m->states;
    float       *now = m->now + REACH, *score = m->score, top = -1e30f;
    int          top_at = 0;
    for (int s = 0; s < m->states; s++)
        if (now[s] > top) {
            top = now[s];
            top_at = s;
        }
    for (int s = 0; s < m->states; s++) {
        score[s] = top - 7;
        m->best_from[s] = top_at;
    }
    for (int d = -REACH; d <= REACH; d++) { /* from low to high: of equals the lowest stays */
        const float  cost = 0.25f * (float)abs(d);
        const float *moved = now + d;
        int         *best_from = m->best_from;
        #pragma omp simd
        for (int s = 0; s < m->states; s++) {
            const float x = moved[s] - cost;
            best_from[s] = x > score[s] ? s + d : best_from[s];
            score[s] = higher(x, score[s]);
        }
    }
    for (int s = 0; s < m->states; s++) {
        now[s] = score[s] + trust * sums[s] / m->most[t] - top;
        m->from[t * m->states + s] = (short)m->best_from[s];
    }
}

static void follow_melody(melody *m, audio_parts *p)
{
    const int64_t T = p->frames;
    const float  *now = m->now + REACH;
    double        mean = 0;
    int           at = 0;
    for (int64_t t = 0; t < T; t++)
        mean += (double)m->total[t] / (double)T;
    for (int s = 0; s < m->states + 2 * REACH; s++)
        m->now[s] = s < REACH || s >= m->states + REACH ? -HUGE_VALF : 0;
    for (int64_t t = 0; t < T; t++) /* frames with a strong foreground decide more */
        step_melody(m, t, 12 * fminf(1, m->total[t] / (float)(mean + 1e-12)));
    for (int s = 1; s < m->states; s++)
        if (now[s] > now[at])
            at = s;
    for (int64_t t = T - 1; t >= 0; t--) {
        const float total = m->total[t];
        p->f0_hz[t] = (float)(MELODY_MIN_HZ * exp2((double)at / (12 * STEPS)));
        p->salience[t] = total > 0 ? m->sums[t * m->states + at] / total * fminf(1, total / (float)(mean + 1e-12)) : 0;
        at = m->from[t * m->states + at];
    }
}

bl_status audio_parts_melody(audio_parts *p, bl_error *err)
{
    melody m = { 0 };
    int    short_of_memory = 0;

    if (!melody_new(&m, p)) {
        melody_free(&m);
        return bl_fail(err, BL_ENOMEM, "separation: no memory");
    }
    #pragma omp parallel
    {
        float *front = calloc((size_t)(p->bins + 1) * LANES, sizeof *front);
        if (!front) {
            #pragma omp atomic write
            short_of_memory = 1;
        }
        #pragma omp for schedule(static)
        for (int64_t t = 0; t < p->frames; t += LANES) {
            const int64_t n = p->frames - t < LANES ? p->frames - t : LANES;
            if (!front)
                continue;
            take_foreground(p, t, n, front);
            sum_harmonics(&m, p, front, t, n);
        }
        free(front);
    }
    if (!short_of_memory)
        follow_melody(&m, p);
    melody_free(&m);
    return short_of_memory ? bl_fail(err, BL_ENOMEM, "separation: no memory") : BL_OK;
}
