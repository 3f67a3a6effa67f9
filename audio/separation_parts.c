#include "audio/separation_parts.h"

#include "audio/stft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MEDIAN = 129, LANES = 16, SIMILAR = 30, BANDS = 64, STEPS = 5 /* melody states a semitone */, HARMONICS = 20 };

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
    float                  *own = spectra ? NULL : malloc(sizeof(float) * 2 * cells);
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

/* Running medians of LANES series at once, x and out [n, LANES], over i - half .. i + half, the window cut at the ends. The
 * windows are kept sorted without a branch: with y put in, place k holds min(s[k], max(s[k-1], y)); with y taken out, s[k] where
 * that is below y and s[k+1] where not. */
static void running_medians(const float *x, int64_t n, int half, float *out)
{
    float   sorted[MAX_MEDIAN + 2][LANES];
    int     count = 0;
    int64_t entered = 0;
    for (int64_t i = 0; i < n; i++) {
        for (; entered <= i + half && entered < n; entered++, count++) {
            const float *y = x + entered * LANES;
            for (int l = 0; l < LANES; l++)
                sorted[count][l] = HUGE_VALF;
            for (int k = count; k > 0; k--)
                for (int l = 0; l < LANES; l++) {
                    const float below = sorted[k - 1][l] > y[l] ? sorted[k - 1][l] : y[l];
                    sorted[k][l] = sorted[k][l] < below ? sorted[k][l] : below;
                }
            for (int l = 0; l < LANES; l++)
                sorted[0][l] = sorted[0][l] < y[l] ? sorted[0][l] : y[l];
        }
        if (i - half - 1 >= 0) {
            const float *y = x + (i - half - 1) * LANES;
            count--;
            for (int k = 0; k < count; k++)
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

bl_status audio_parts_hpss(audio_parts *p, double steady_s, bl_error *err)
{
    const int64_t T = p->frames, F = p->bins, longest = T > F ? T : F;
    const int     half_t = clamp_half(steady_s * p->sample_rate / p->hop);
    const int     half_f = clamp_half(PERCUSSIVE_HZ * p->n_fft / p->sample_rate);
    int           short_of_memory = 0;

    #pragma omp parallel
    {
        float *in = calloc((size_t)(2 * longest * LANES), sizeof *in), *out = in ? in + longest * LANES : NULL;
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
            running_medians(in, T, half_t, out);
            scatter_rows(out, T, f, n, p->steady);
        }
        #pragma omp for schedule(static)
        for (int64_t first = 0; first < T; first += LANES) {
            const int64_t n = T - first < LANES ? T - first : LANES;
            if (!in)
                continue;
            for (int64_t f = 0; f < F; f++)
                memcpy(in + f * LANES, p->magnitude + f * T + first, (size_t)n * sizeof *in);
            running_medians(in, F, half_f, out);
            for (int64_t f = 0; f < F; f++)
                memcpy(p->percussive + f * T + first, out + f * LANES, (size_t)n * sizeof *out);
        }
        free(in);
    }
    return short_of_memory ? bl_fail(err, BL_ENOMEM, "separation: no memory") : BL_OK;
}

/* Logarithmic band energies of every frame, mean removed, length one: [T, BANDS]. */
static void describe_frames(const audio_parts *p, float *out)
{
    const int64_t T = p->frames;
    const double  bin_hz = (double)p->sample_rate / p->n_fft, low_hz = 60, high_hz = fmin(12000, 0.45 * p->sample_rate);
    #pragma omp parallel for schedule(static)
    for (int64_t t = 0; t < T; t++) {
        float *row = out + t * BANDS;
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
            row[b] *= norm;
    }
}

/* Frames most like frame t (itself first), none within `apart` of another; similarity [T] is used up. */
static int choose_similar(float *similarity, int64_t T, int64_t t, int64_t apart, int64_t *out)
{
    int n = 0;
    similarity[t] = 2; /* itself */
    while (n < SIMILAR) {
        int64_t best = 0;
        for (int64_t i = 1; i < T; i++)
            if (similarity[i] > similarity[best])
                best = i;
        if (similarity[best] < 0.3f && n >= 5)
            break;
        if (similarity[best] < -1.5f)
            break;
        out[n++] = best;
        for (int64_t i = best - apart; i <= best + apart; i++)
            if (i >= 0 && i < T)
                similarity[i] = -2;
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
    for (int i = 0; i < n_frames; i++) {
        const float *y = x + frames[i] * LANES;
        for (int k = i < middle ? i : middle; k > 0; k--)
            for (int l = 0; l < LANES; l++) {
                const float below = low[k - 1][l] > y[l] ? low[k - 1][l] : y[l];
                low[k][l] = low[k][l] < below ? low[k][l] : below;
            }
        for (int l = 0; l < LANES; l++)
            low[0][l] = low[0][l] < y[l] ? low[0][l] : y[l];
    }
    for (int l = 0; l < LANES; l++)
        out[l] = low[middle][l] < own[l] ? low[middle][l] : own[l];
}

bl_status audio_parts_repeating(audio_parts *p, bl_error *err)
{
    const int64_t T = p->frames, F = p->bins, apart = (int64_t)(APART_S * p->sample_rate / p->hop) + 1;
    float        *rows = malloc(sizeof(float) * (size_t)T * BANDS);
    int64_t      *similar = malloc(sizeof(int64_t) * (size_t)T * SIMILAR);
    int          *count = malloc(sizeof(int) * (size_t)T);
    int           short_of_memory = 0;
    bl_status     status = BL_OK;

    if (!rows || !similar || !count) {
        status = bl_fail(err, BL_ENOMEM, "separation: no memory");
        goto done;
    }
    describe_frames(p, rows);
    #pragma omp parallel
    {
        float *similarity = malloc(sizeof(float) * (size_t)T);
        #pragma omp for schedule(static)
        for (int64_t t = 0; t < T; t++) {
            if (!similarity) {
                #pragma omp atomic write
                short_of_memory = 1;
                continue;
            }
            for (int64_t i = 0; i < T; i++) {
                float dot = 0;
                for (int b = 0; b < BANDS; b++)
                    dot += rows[t * BANDS + b] * rows[i * BANDS + b];
                similarity[i] = dot;
            }
            count[t] = choose_similar(similarity, T, t, apart, similar + t * SIMILAR);
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
    free(rows), free(similar), free(count);
    return status;
}

/* Harmonic sums of the foreground at every pitch state: out [states]; returns the foreground's total. */
static double harmonic_sums(const audio_parts *p, const float *front, int states, float *out)
{
    const double bin_hz = (double)p->sample_rate / p->n_fft;
    double       total = 0;
    for (int f = 0; f < p->bins && f * bin_hz < 5000; f++)
        total += (double)front[f];
    for (int s = 0; s < states; s++) {
        const double hz = MELODY_MIN_HZ * exp2((double)s / (12 * STEPS));
        double       sum = 0, weight = 1;
        for (int h = 1; h <= HARMONICS && h * hz < 5000; h++) {
            const double at = h * hz / bin_hz;
            const int    f = (int)at;
            const double u = at - f, here = (1 - u) * (double)front[f] + u * (double)front[f + 1];
            /* Energy between two harmonics counts against the pitch: else its half would win. */
            const double mid = (h - 0.5) * hz / bin_hz;
            const int    m = (int)mid;
            const double between = (1 - (mid - m)) * (double)front[m] + (mid - m) * (double)front[m + 1];
            sum += weight * (here - 0.6 * between);
            weight *= 0.88;
        }
        out[s] = (float)(sum > 0 ? sum : 0);
    }
    return total;
}

bl_status audio_parts_melody(audio_parts *p, bl_error *err)
{
    const int64_t T = p->frames;
    const int     states = (int)(12 * STEPS * log2(MELODY_MAX_HZ / MELODY_MIN_HZ)) + 1, reach = 6;
    const size_t  table = (size_t)T * (size_t)states;
    float        *sums = malloc(sizeof(float) * table), *total = malloc(sizeof(float) * (size_t)T);
    float        *score = malloc(sizeof(float) * 2 * (size_t)states);
    short        *from = malloc(sizeof(short) * table);
    int           short_of_memory = 0;
    bl_status     status = BL_OK;

    if (!sums || !total || !score || !from) {
        status = bl_fail(err, BL_ENOMEM, "separation: no memory");
        goto done;
    }
    #pragma omp parallel
    {
        float *front = malloc(sizeof(float) * (size_t)(p->bins + 1));
        #pragma omp for schedule(static)
        for (int64_t t = 0; t < T; t++) {
            if (!front) {
                #pragma omp atomic write
                short_of_memory = 1;
                continue;
            }
            for (int f = 0; f < p->bins; f++) {
                const int64_t i = (int64_t)f * T + t;
                const float   back = fmaxf(p->repeating[i], p->percussive[i] < p->magnitude[i] ? p->percussive[i] : p->magnitude[i]);
                front[f] = sqrtf(p->centre[i] * fmaxf(0, p->magnitude[i] - back));
            }
            front[p->bins] = 0;
            total[t] = (float)harmonic_sums(p, front, states, sums + t * states);
        }
        free(front);
    }
    if (short_of_memory) {
        status = bl_fail(err, BL_ENOMEM, "separation: no memory");
        goto done;
    }
    double mean = 0;
    for (int64_t t = 0; t < T; t++)
        mean += (double)total[t] / (double)T;
    float *now = score, *next = score + states;
    memset(now, 0, sizeof(float) * (size_t)states);
    for (int64_t t = 0; t < T; t++) {
        float top_all = -1e30f;
        int   top_at = 0;
        for (int s = 0; s < states; s++)
            if (now[s] > top_all) {
                top_all = now[s];
                top_at = s;
            }
        float most = 1e-9f;
        for (int s = 0; s < states; s++)
            most = fmaxf(most, sums[t * states + s]);
        /* Frames with a strong foreground decide more. */
        const float trust = 12 * fminf(1, total[t] / (float)(mean + 1e-12));
        for (int s = 0; s < states; s++) {
            float best = top_all - 7; /* a jump */
            int   best_from = top_at;
            for (int k = s - reach; k <= s + reach; k++)
                if (k >= 0 && k < states) {
                    const float moved = now[k] - 0.25f * (float)abs(k - s);
                    if (moved > best) {
                        best = moved;
                        best_from = k;
                    }
                }
            next[s] = best + trust * sums[t * states + s] / most;
            from[t * states + s] = (short)best_from;
        }
        float *swap = now;
        now = next, next = swap;
        for (int s = 0; s < states; s++)
            now[s] -= top_all;
    }
    int at = 0;
    for (int s = 1; s < states; s++)
        if (now[s] > now[at])
            at = s;
    for (int64_t t = T - 1; t >= 0; t--) {
        p->f0_hz[t] = (float)(MELODY_MIN_HZ * exp2((double)at / (12 * STEPS)));
        p->salience[t] = total[t] > 0 ? sums[t * states + at] / total[t] * fminf(1, total[t] / (float)(mean + 1e-12)) : 0;
        at = from[t * states + at];
    }
done:
    free(sums), free(total), free(score), free(from);
    return status;
}
