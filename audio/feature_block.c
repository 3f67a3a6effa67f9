#include "audio/feature_block_private.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* float sums run over so many bins, then go on in double or in a sum of sums: rounding does not grow with F. */
enum { CHUNK = 64, VECS = 2, MAX_ROWS = 4, AT_ONCE = 4 };

typedef float vec __attribute__((vector_size(LANES / VECS * sizeof(float)), may_alias));

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

void audio_block_turn(const float *rows, int stride, int n_bins, float *power, float *magnitude)
{
    for (int f0 = 0; f0 < n_bins; f0 += LANES) { /* in tiles of one cache line of both */
        const int end = smaller(f0 + LANES, n_bins);
        for (int f = f0; f < end; f++)
            for (int l = 0; l < LANES; l++)
                power[f * LANES + l] = rows[l * stride + f];
    }
    for (int i = 0; i < n_bins * LANES; i++)
        magnitude[i] = sqrtf(power[i]);
}

/* The same bins of `rows` rows at once, so that no sum waits for the one before it. */
static inline void filter_rows(const float *power, const float *weight, int n_bins, int first, int end, const int rows,
                               float *out)
{
    vec total[MAX_ROWS][VECS] = { { { 0 } } };
    for (int f0 = first; f0 < end; f0 += CHUNK) {
        const int to = smaller(f0 + CHUNK, end);
        vec       sum[MAX_ROWS][VECS] = { { { 0 } } };
        for (int f = f0; f < to; f++) {
            const vec *p = (const vec *)(power + f * LANES);
            for (int r = 0; r < rows; r++)
                for (int v = 0; v < VECS; v++)
                    sum[r][v] += weight[(int64_t)r * n_bins + f] * p[v];
        }
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < VECS; v++)
                total[r][v] += sum[r][v];
    }
    for (int r = 0; r < rows; r++)
        memcpy(out + r * LANES, total[r], LANES * sizeof(float));
}

void audio_block_filter(const float *power, int n_bins, const float *weight, const int *first, const int *end, int n_rows,
                        float *out)
{
    for (int r = 0; r < n_rows;) {
        const float *w = weight + (int64_t)r * n_bins;
        int          same = 1; /* rows over the same bins */
        while (same < MAX_ROWS && r + same < n_rows && first[r + same] == first[r] && end[r + same] == end[r])
            same++;
        if (same == MAX_ROWS)
            filter_rows(power, w, n_bins, first[r], end[r], MAX_ROWS, out + r * LANES);
        else
            filter_rows(power, w, n_bins, first[r], end[r], same = 1, out + r * LANES);
        r += same;
    }
}

void audio_block_moments(const float *magnitude, int n_bins, double bin_hz, double roll_percent, float *centroid,
                         float *bandwidth, float *rolloff)
{
    double sum[LANES] = { 0 }, weighted[LANES] = { 0 }, spread[LANES] = { 0 }, running[LANES] = { 0 };
    double center[LANES], enough[LANES], below[LANES] = { 0 };
    for (int f = 0; f < n_bins; f++)
        for (int l = 0; l < LANES; l++) {
            const double m = (double)magnitude[f * LANES + l];
            sum[l] += m;
            weighted[l] += m * f;
        }
    for (int l = 0; l < LANES; l++) {
        center[l] = sum[l] > 0 ? weighted[l] / sum[l] : 0;
        enough[l] = roll_percent * sum[l];
    }
    for (int f = 0; f < n_bins; f++)
        for (int l = 0; l < LANES; l++) {
            const double m = (double)magnitude[f * LANES + l], d = f - center[l];
            spread[l] += m * d * d;
            running[l] += m;
            below[l] += running[l] < enough[l] ? 1.0 : 0.0; /* sums never fall, so this counts bins before the first that reaches it */
        }
    for (int l = 0; l < LANES; l++) {
        centroid[l] = (float)(center[l] * bin_hz);
        bandwidth[l] = sum[l] > 0 ? (float)(sqrt(spread[l] / sum[l]) * bin_hz) : 0.0f;
        rolloff[l] = (float)(fmin(below[l], n_bins - 1) * bin_hz);
    }
}

/* The logarithm of a product: mantissas are multiplied and exponents added up, one logarithm a frame. */
void audio_block_flatness(const float *power, int n_bins, float *out)
{
    const float amin = 1e-10f;
    double      sum[LANES] = { 0 };
    float       product[LANES];
    int32_t     exponent[LANES] = { 0 };
    for (int l = 0; l < LANES; l++)
        product[l] = 1;
    for (int f0 = 0; f0 < n_bins; f0 += CHUNK) {
        const int to = smaller(f0 + CHUNK, n_bins);
        for (int f = f0; f < to; f++)
            for (int l = 0; l < LANES; l++) {
                const float v = power[f * LANES + l] > amin ? power[f * LANES + l] : amin;
                uint32_t    bits;
                float       mantissa;
                sum[l] += (double)v;
                memcpy(&bits, &v, sizeof bits);
                exponent[l] += (int32_t)(bits >> 23) - 127;
                bits = (bits & 0x007fffffu) | 0x3f800000u;
                memcpy(&mantissa, &bits, sizeof mantissa);
                product[l] *= mantissa; /* below 2^(CHUNK + 1) */
            }
        for (int l = 0; l < LANES; l++) {
            uint32_t bits;
            memcpy(&bits, &product[l], sizeof bits);
            exponent[l] += (int32_t)(bits >> 23) - 127;
            bits = (bits & 0x007fffffu) | 0x3f800000u;
            memcpy(&product[l], &bits, sizeof bits);
        }
    }
    for (int l = 0; l < LANES; l++)
        out[l] = (float)(exp((exponent[l] * log(2.0) + log((double)product[l])) / n_bins) / (sum[l] / n_bins));
}

void audio_contrast_bands(int n_bins, double bin_hz, audio_contrast_band bands[AUDIO_CONTRAST_BANDS])
{
    for (int k = 0; k < AUDIO_CONTRAST_BANDS; k++) {
        const int    is_last = k == AUDIO_CONTRAST_BANDS - 1;
        const double low_hz = k == 0 ? 0.0 : 100.0 * (1 << k), high_hz = 200.0 * (1 << k);
        int          first = 0, end; /* bins first .. end - 1 lie in low_hz .. high_hz */
        while (first < n_bins && first * bin_hz < low_hz)
            first++;
        for (end = first; end < n_bins && end * bin_hz <= high_hz; )
            end++;
        bands[k] = (audio_contrast_band){ 0 };
        if (end == first)
            continue;
        /* As librosa: one bin more below; all above in the last band; the upper edge itself left out. */
        first -= k > 0 && first > 0;
        end = is_last ? n_bins : end;
        const int counted = end - first, n = is_last ? counted : counted - 1;
        if (n < 1)
            continue;
        const int few = (int)nearbyint(0.02 * counted);
        bands[k] = (audio_contrast_band){ first, n, few < 1 ? 1 : smaller(few, n) };
    }
}

/* Keeps the `few` largest of n values that pass by (sign -1: the smallest, negated), each lane sorted downwards. */
static void keep_largest(float *restrict kept, int few, const float *restrict value, int n, float sign)
{
    for (int i = 0; i < few * LANES; i++)
        kept[i] = -INFINITY;
    for (int f = 0; f < n; f += AT_ONCE) { /* several at a time: what is kept is read and written once for them */
        float v[AT_ONCE][LANES];
        for (int j = 0; j < AT_ONCE; j++)
            for (int l = 0; l < LANES; l++)
                v[j][l] = f + j < n ? sign * value[(f + j) * LANES + l] : -INFINITY;
        for (int i = 0; i < few; i++)
            for (int l = 0; l < LANES; l++) {
                float top = kept[i * LANES + l];
                for (int j = 0; j < AT_ONCE; j++) {
                    const float other = v[j][l];
                    v[j][l] = other > top ? top : other;
                    top = other > top ? other : top;
                }
                kept[i * LANES + l] = top;
            }
    }
}

static void mean_of(const float *kept, int few, float sign, float *out)
{
    double sum[LANES] = { 0 };
    for (int i = 0; i < few; i++)
        for (int l = 0; l < LANES; l++)
            sum[l] += (double)kept[i * LANES + l];
    for (int l = 0; l < LANES; l++)
        out[l] = sign * (float)(sum[l] / few);
}

void audio_block_contrast(const float *magnitude, const audio_contrast_band bands[AUDIO_CONTRAST_BANDS], float *scratch,
                          float *peak, float *valley)
{
    for (int k = 0; k < AUDIO_CONTRAST_BANDS; k++) {
        const audio_contrast_band b = bands[k];
        float *largest = scratch, *smallest = scratch + b.few * LANES;
        keep_largest(largest, b.few, magnitude + b.first * LANES, b.n, 1);
        keep_largest(smallest, b.few, magnitude + b.first * LANES, b.n, -1);
        if (b.n) {
            mean_of(largest, b.few, 1, peak + k * LANES);
            mean_of(smallest, b.few, -1, valley + k * LANES);
        } else {
            for (int l = 0; l < LANES; l++)
                peak[k * LANES + l] = valley[k * LANES + l] = 0;
        }
    }
}
