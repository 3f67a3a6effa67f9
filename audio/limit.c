/* True-peak limiter: see audio/mix.h. */
#include "audio/loudness.h"
#include "audio/mix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Interpolation to 4 times the rate: windowed sinc with TAPS samples on either side. */
enum { PHASES = 4, TAPS = 12 };

typedef struct interpolator {
    double tap[PHASES][2 * TAPS];
} interpolator;

static void interpolator_design(interpolator *filter)
{
    const double pi = 3.14159265358979323846;
    for (int p = 0; p < PHASES; p++)
        for (int i = 0; i < 2 * TAPS; i++) {
            const double x = (double)p / PHASES - (i - TAPS + 1);   /* from tap to point */
            const double w = 0.5 + 0.5 * cos(pi * x / TAPS);
            filter->tap[p][i] = x == 0 ? 1 : fabs(x) >= TAPS ? 0 : w * sin(pi * x) / (pi * x);
        }
}

/* Largest magnitude of the continuous signal from sample i to i + 1. */
static double peak_after(const float *x, int64_t n, int64_t i, const interpolator *filter)
{
    double largest = 0;
    for (int p = 0; p < PHASES; p++) {
        double sum = 0;
        for (int k = 0; k < 2 * TAPS; k++) {
            const int64_t at = i + k - TAPS + 1;
            sum += at >= 0 && at < n ? filter->tap[p][k] * (double)x[at] : 0.0;
        }
        largest = fabs(sum) > largest ? fabs(sum) : largest;
    }
    return largest;
}

/* gain[i] = what sample i needs so that nothing near it exceeds the ceiling. Interpolation is skipped where
 * the samples around are so low that no sum of them could. */
static void wanted_gain(const audio_clip *clip, double ceiling, float *gain)
{
    interpolator filter;
    double bound = 0;   /* no point can exceed the largest sample around it times this */
    interpolator_design(&filter);
    for (int p = 0; p < PHASES; p++) {
        double sum = 0;
        for (int k = 0; k < 2 * TAPS; k++)
            sum += fabs(filter.tap[p][k]);
        bound = sum > bound ? sum : bound;
    }
    const int64_t n = clip->n_samples;
    for (int64_t i = 0; i < n; i++)
        gain[i] = 1;
    for (int c = 0; c < clip->n_channels; c++) {
        const float *x = clip->samples + c * n;
        int64_t loud_until = -1, looked = 0;
        for (int64_t i = 0; i < n; i++) {
            for (; looked < n && looked <= i + TAPS; looked++)
                if (fabs((double)x[looked]) * bound > ceiling)
                    loud_until = looked + TAPS;
            const double peak = i <= loud_until ? peak_after(x, n, i, &filter) : 0;
            if (peak <= ceiling)
                continue;
            const float g = (float)(ceiling / peak);
            for (int64_t j = i; j <= i + 1 && j < n; j++)
                gain[j] = g < gain[j] ? g : gain[j];
        }
    }
}

/* out[i] = the least of in[i - reach .. i + reach] (van Herk's blocks would do too; a queue is shorter). */
static void sliding_minimum(const float *in, int64_t n, int64_t reach, int64_t *queue, float *out)
{
    int64_t head = 0, tail = 0;
    for (int64_t i = 0; i < n + reach; i++) {
        if (i < n) {
            while (tail > head && in[queue[tail - 1]] >= in[i])
                tail--;
            queue[tail++] = i;
        }
        const int64_t at = i - reach;
        if (at < 0)
            continue;
        while (queue[head] < at - reach)
            head++;
        out[at] = in[queue[head]];
    }
}

/* Slow recovery, then a moving average over the same reach as the minimum: every value averaged is at most
 * what the middle sample needs, so the average is too. */
static void smooth(float *gain, int64_t n, int64_t reach, double release_samples, float *out)
{
    const double step = 1 - exp(-1 / (release_samples > 1 ? release_samples : 1));
    double g = 1;
    for (int64_t i = 0; i < n; i++) {
        g += (1 - g) * step;
        g = g > 0.999999 ? 1 : g;
        g = (double)gain[i] < g ? (double)gain[i] : g;
        gain[i] = (float)g;
    }
    double sum = 0;
    int64_t below = 0;   /* how many of the averaged values are not 1 */
    for (int64_t i = -reach; i < n; i++) {
        const int64_t in = i + reach, gone = i - reach - 1;
        if (in < n) {
            sum += 1 - (double)gain[in];
            below += gain[in] < 1;
        }
        if (gone >= 0) {
            sum -= 1 - (double)gain[gone];
            below -= gain[gone] < 1;
        }
        if (below == 0)
            sum = 0;
        if (i >= 0) {
            const int64_t from = i - reach > 0 ? i - reach : 0, to = in < n ? in : n - 1;
            out[i] = below == 0 ? 1.0f : (float)(1 - sum / (double)(to - from + 1));
        }
    }
}

bl_status audio_limit(audio_clip *clip, double ceiling_db, double lookahead_ms, double release_ms,
                      double *reduction_db, bl_error *err)
{
    const int64_t n = clip->n_samples;
    const size_t n_all = (size_t)n * (size_t)clip->n_channels;
    const double rate = clip->sample_rate;
    audio_loudness measured;
    bl_error own = { 0 };

    if (reduction_db)
        *reduction_db = 0;
    if (audio_loudness_measure(clip, &measured, &own) != BL_OK)
        return bl_fail(err, own.code, "%s", own.msg);
    if (measured.true_peak_dbtp <= ceiling_db)
        return BL_OK;

    int64_t reach = (int64_t)(lookahead_ms * 1e-3 * rate);
    reach = reach < 1 ? 1 : reach > n ? n : reach;
    float *original = malloc(sizeof *original * n_all), *wanted = malloc(sizeof *wanted * (size_t)n);
    float *gain = malloc(sizeof *gain * (size_t)n);
    int64_t *queue = malloc(sizeof *queue * (size_t)n);
    if (!original || !wanted || !gain || !queue) {
        bl_fail(&own, BL_ENOMEM, "limiter: no memory for %lld samples", (long long)n);
        goto done;
    }
    memcpy(original, clip->samples, sizeof *original * n_all);

    /* A gain that moves bends the wave between samples a little; what then still peaks over the ceiling is
     * met with a lower one, and at last with plain gain. */
    double aim_db = ceiling_db;
    float least = 1;
    for (int attempt = 0; attempt < 5 && measured.true_peak_dbtp > ceiling_db; attempt++) {
        memcpy(clip->samples, original, sizeof *original * n_all);
        wanted_gain(clip, audio_db_to_gain(aim_db), wanted);
        sliding_minimum(wanted, n, reach, queue, gain);
        smooth(gain, n, reach, release_ms * 1e-3 * rate, wanted);
        least = 1;
        for (int64_t i = 0; i < n; i++)
            least = wanted[i] < least ? wanted[i] : least;
        for (int c = 0; c < clip->n_channels; c++)
            for (int64_t i = 0; i < n; i++)
                clip->samples[c * n + i] *= wanted[i];
        if (audio_loudness_measure(clip, &measured, &own) != BL_OK)
            goto done;
        aim_db -= measured.true_peak_dbtp - ceiling_db + 0.01;
    }
    double total_db = audio_gain_to_db((double)least);
    if (measured.true_peak_dbtp > ceiling_db) {
        const double more_db = ceiling_db - measured.true_peak_dbtp - 0.001;
        for (int c = 0; c < clip->n_channels; c++)
            audio_mix_gain(clip->samples + c * n, n, audio_db_to_gain(more_db));
        total_db += more_db;
    }
    if (reduction_db)
        *reduction_db = -total_db;
done:
    free(original);
    free(wanted);
    free(gain);
    free(queue);
    return own.code == BL_OK ? BL_OK : bl_fail(err, own.code, "%s", own.msg);
}
