#include "audio/features.h"

#include <math.h>

/* Bins from C0-ish: n_chroma * log2(hz / (A440 / 16)), moved by tuning. Bin 0 (0 Hz) is put one and a half
 * octaves below bin 1, as librosa does. */
static double chroma_position(int f, double bin_hz, int n_chroma, double tuning)
{
    const double a_hz = 440.0 * pow(2.0, tuning / n_chroma) / 16.0;
    return f == 0 ? n_chroma * log2(bin_hz / a_hz) - 1.5 * n_chroma : n_chroma * log2(f * bin_hz / a_hz);
}

bl_status audio_chroma_filters(int sample_rate, int n_fft, int n_chroma, double tuning, float *out, bl_error *err)
{
    if (sample_rate < 1 || n_fft < 2 || n_fft % 2 || n_chroma < 1 || !isfinite(tuning))
        return bl_fail(err, BL_EARG, "chroma: expected sample_rate >= 1, an even n_fft >= 2, n_chroma >= 1 and a finite "
                       "tuning, got %d, %d, %d and %g", sample_rate, n_fft, n_chroma, tuning);

    const int F = n_fft / 2 + 1;
    const double bin_hz = (double)sample_rate / n_fft;
    const double half = nearbyint(n_chroma / 2.0);
    const int turn = n_chroma - 3 * (n_chroma / 12);   /* from A to C */
    for (int f = 0; f < F; f++) {
        const double at = chroma_position(f, bin_hz, n_chroma, tuning);
        const double gap = chroma_position(f + 1, bin_hz, n_chroma, tuning) - at;
        const double width = gap > 1 ? gap : 1;
        const double octaves = (at / n_chroma - 5.0) / 2.0;
        const double scale = exp(-0.5 * octaves * octaves);
        double squares = 0;
        for (int pass = 0; pass < 2; pass++)   /* norm first, then values */
            for (int c = 0; c < n_chroma; c++) {
                double d = fmod(at - c + half + 10.0 * n_chroma, n_chroma);
                d = (d < 0 ? d + n_chroma : d) - half;
                const double bump = exp(-0.5 * (2 * d / width) * (2 * d / width));
                if (pass == 0)
                    squares += bump * bump;
                else
                    out[(int64_t)((c + turn) % n_chroma) * F + f] = squares > 0 ? (float)(bump / sqrt(squares) * scale) : 0.0f;
            }
    }
    return BL_OK;
}
