#include "audio/sketch.h"

#include "audio/stft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double LOWEST_HZ = 55, BANDS_PER_OCTAVE = 12, FLOOR_DB = -102, STEP_DB = 0.4, WINDOW_S = 0.15;

struct audio_sketch_stream {
    int         sample_rate, hop, n_fft;
    audio_stft *stft;
    float      *held;         /* [n_held] what columns still need: it begins half a window before the next column's middle */
    int64_t     n_held, capacity, n_room; /* n_room: columns there is memory for */
    float      *spectrum;     /* [n_fft/2 + 1] pairs */
};

double audio_sketch_hz(double band)
{
    return LOWEST_HZ * exp2(band / BANDS_PER_OCTAVE);
}

double audio_sketch_band(double hz)
{
    return BANDS_PER_OCTAVE * log2(hz / LOWEST_HZ);
}

audio_sketch *audio_sketch_new(int sample_rate, bl_error *err)
{
    audio_sketch *s = calloc(1, sizeof *s);
    audio_sketch_stream *r = calloc(1, sizeof *r);
    if (!s || !r) {
        free(s);
        free(r);
        bl_fail(err, BL_ENOMEM, "no memory for the picture");
        return NULL;
    }
    s->stream = r;
    r->sample_rate = sample_rate;
    r->hop = (sample_rate + 25) / 50;
    for (r->n_fft = 64; r->n_fft < WINDOW_S * sample_rate; r->n_fft *= 2)
        ;
    if (sample_rate < 1000) {
        bl_fail(err, BL_EARG, "sketch: expected a rate of 1000 Hz or more, got %d", sample_rate);
        goto failed;
    }
    s->hop_s = (double)r->hop / sample_rate;
    r->capacity = 4 * (int64_t)r->n_fft;
    r->held = calloc((size_t)r->capacity, sizeof *r->held);
    r->spectrum = malloc(((size_t)r->n_fft + 2) * sizeof *r->spectrum);
    r->stft = audio_stft_new(&(audio_stft_config){ .n_fft = r->n_fft, .hop_length = 1, .pad = AUDIO_PAD_ZERO }, err);
    if (!r->held || !r->spectrum || !r->stft) {
        bl_fail(err, BL_ENOMEM, "no memory for the picture");
        goto failed;
    }
    r->n_held = r->n_fft / 2 - r->hop / 2; /* silence before the first column's middle */
    return s;
failed:
    audio_sketch_free(s);
    return NULL;
}

void audio_sketch_free(audio_sketch *s)
{
    if (!s)
        return;
    if (s->stream) {
        audio_stft_free(s->stream->stft);
        free(s->stream->held);
        free(s->stream->spectrum);
    }
    free(s->stream);
    free(s->low);
    free(s->high);
    free(s->level);
    free(s);
}

static bl_status make_room(audio_sketch *s, bl_error *err)
{
    audio_sketch_stream *r = s->stream;
    if (s->n_columns < r->n_room)
        return BL_OK;
    const int64_t room = r->n_room ? 2 * r->n_room : 1024;
    float *low = realloc(s->low, (size_t)room * sizeof *low);
    s->low = low ? low : s->low;
    float *high = realloc(s->high, (size_t)room * sizeof *high);
    s->high = high ? high : s->high;
    unsigned char *level = realloc(s->level, (size_t)room * AUDIO_SKETCH_BANDS);
    s->level = level ? level : s->level;
    if (!low || !high || !level)
        return bl_fail(err, BL_ENOMEM, "no memory for the picture");
    r->n_room = room;
    return BL_OK;
}

/* The loudest bin of a band; where bands are narrower than bins, a straight line between two. */
static double band_magnitude(const float *magnitude, int n_bins, double bin_hz, int band)
{
    const double from = audio_sketch_hz(band - 0.5) / bin_hz, to = audio_sketch_hz(band + 0.5) / bin_hz, middle = (from + to) / 2;
    double largest = -1;
    if (to > n_bins - 1)
        return 0;
    for (int f = (int)ceil(from); f < to; f++)
        largest = fmax(largest, (double)magnitude[f]);
    const int f = (int)middle;
    return largest >= 0 ? largest : (double)magnitude[f] + ((double)magnitude[f + 1] - (double)magnitude[f]) * (middle - f);
}

/* The column whose middle is n_fft/2 samples into what is held. */
static bl_status add_column(audio_sketch *s, bl_error *err)
{
    audio_sketch_stream *r = s->stream;
    const float *own = r->held + r->n_fft / 2 - r->hop / 2;
    const int n_bins = r->n_fft / 2 + 1;
    float low = own[0], high = own[0];
    if (make_room(s, err) != BL_OK)
        return err->code;
    for (int i = 1; i < r->hop; i++) {
        low = fminf(low, own[i]);
        high = fmaxf(high, own[i]);
    }
    s->low[s->n_columns] = low;
    s->high[s->n_columns] = high;
    audio_stft_frame(r->stft, r->held, r->n_fft, r->n_fft / 2, r->spectrum);
    for (int f = 0; f < n_bins; f++)
        r->spectrum[f] = hypotf(r->spectrum[2 * f], r->spectrum[2 * f + 1]) * 4 / (float)r->n_fft;
    for (int b = 0; b < AUDIO_SKETCH_BANDS; b++) {
        const double m = band_magnitude(r->spectrum, n_bins, (double)r->sample_rate / r->n_fft, b);
        const double level = m > 0 ? (20 * log10(m) - FLOOR_DB) / STEP_DB : 0;
        s->level[s->n_columns * AUDIO_SKETCH_BANDS + b] = (unsigned char)(level < 0 ? 0 : level > 255 ? 255 : level + 0.5);
    }
    s->n_columns++;
    r->n_held -= r->hop;
    memmove(r->held, r->held + r->hop, (size_t)r->n_held * sizeof *r->held);
    return BL_OK;
}

bl_status audio_sketch_push(audio_sketch *s, const float *x, int64_t n_samples, bl_error *err)
{
    audio_sketch_stream *r = s->stream;
    for (int64_t at = 0; at < n_samples;) {
        int64_t n = r->capacity - r->n_held;
        n = n < n_samples - at ? n : n_samples - at;
        memcpy(r->held + r->n_held, x + at, (size_t)n * sizeof *x);
        r->n_held += n;
        at += n;
        while (r->n_held >= r->n_fft)
            if (add_column(s, err) != BL_OK)
                return err->code;
    }
    return BL_OK;
}

bl_status audio_sketch_finish(audio_sketch *s, bl_error *err)
{
    audio_sketch_stream *r = s->stream;
    const int64_t before = r->n_fft / 2 - r->hop / 2;
    while (r->n_held > before) { /* samples of its own are left for a column */
        if (r->n_held < r->n_fft) {
            memset(r->held + r->n_held, 0, (size_t)(r->n_fft - r->n_held) * sizeof *r->held);
            const int64_t left = r->n_held;
            r->n_held = r->n_fft;
            if (add_column(s, err) != BL_OK)
                return err->code;
            r->n_held = left - r->hop;
        } else if (add_column(s, err) != BL_OK)
            return err->code;
    }
    return BL_OK;
}
