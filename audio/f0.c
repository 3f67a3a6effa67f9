#include "audio/f0.h"

#include "audio/f0_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIECE = 20000,     /* frames whose back pointers are held at a time: bounded memory */
    PUSHED = 1 << 16,  /* samples that audio_f0_run hands to its stream at a time       */
    SIDE = 8           /* sums side by side: one would wait for the next                */
};

/* Frames softer than this against the loud part of the recording are not voice. */
static const double GATE_DB = -38.0;
static const double SILENCE = 1e-5; /* rms; candidates of softer frames are not looked for */
/* More than this share of the sounding frames above the range: a whistle. Its range, from the lowest to what people whistle. */
static const double MOSTLY = 0.5, WHISTLE_MIN_HZ = 400, WHISTLE_MAX_HZ = 4200;
/* First-order low-pass before the search: the upper partials of a voice are weak, those of noise are not. */
static const double LOW_PASS_HZ = 1000;
static const double DEFAULT_MIN_HZ = 65, DEFAULT_MAX_HZ = 1050;
/* High-passes as shares of the lowest pitch looked for: before loudness is measured, and once more before pitch is searched. */
static const double RUMBLE_SHARE = 0.6, DRUM_SHARE = 1.2;
/* Every frame is searched twice, the second time without the bass and drums that may play behind a voice: in this band, at most up from
 * so many times the lowest pitch. What both looks agree on counts most. A low voice still has its partials there. */
static const double BAND_LOW_HZ = 200, BAND_HIGH_HZ = 600, BAND_SHARE = 3.1;
/* A singer's range, from the first look: how wide a note that is heard makes its neighbours likely, semitones; what is left to
 * a pitch never heard. */
static const double RANGE_WIDTH = 4, RANGE_FLOOR = 0.05;

double audio_hz_to_midi(double hz)
{
    return 69.0 + 12.0 * log2(hz / 440.0);
}

double audio_midi_to_hz(double midi)
{
    return 440.0 * exp2((midi - 69.0) / 12.0);
}

void audio_f0_free(audio_f0_track *track)
{
    free(track->f0_hz), free(track->voiced), free(track->rms), free(track->guess_hz);
    memset(track, 0, sizeof *track);
}

/* Samples at .. at + n - 1 of a signal that goes on. */
typedef struct queue {
    float  *x;
    int64_t at, n, room;
} queue;

static int queue_reserve(queue *q, int64_t more)
{
    if (q->n + more > q->room) {
        const int64_t room = q->n + more + q->room / 2;
        float        *larger = realloc(q->x, sizeof *larger * (size_t)room);
        if (!larger)
            return 0;
        q->x = larger;
        q->room = room;
    }
    return 1;
}

static void queue_drop_before(queue *q, int64_t at)
{
    const int64_t drop = at - q->at < 0 ? 0 : at - q->at < q->n ? at - q->at : q->n;
    if (drop > 0)
        memmove(q->x, q->x + drop, sizeof *q->x * (size_t)(q->n - drop));
    q->at += drop;
    q->n -= drop;
}

/* Butterworth, second order. */
typedef struct high_pass {
    double b0, a1, a2, x1, x2, y1, y2;
} high_pass;

static high_pass high_pass_new(double cutoff_hz, double rate)
{
    const double k = tan(acos(-1.0) * cutoff_hz / rate), q = sqrt(2.0), b0 = 1 / (1 + q * k + k * k);
    return (high_pass){ .b0 = b0, .a1 = 2 * (k * k - 1) * b0, .a2 = (1 - q * k + k * k) * b0 };
}

static inline double high_pass_push(high_pass *h, double x)
{
    const double y = h->b0 * (x - 2 * h->x1 + h->x2) - h->a1 * h->y1 - h->a2 * h->y2;
    h->x2 = h->x1, h->x1 = x, h->y2 = h->y1, h->y1 = y;
    return y;
}

struct audio_f0_stream {
    int     sample_rate, factor, half, ended; /* half: taps on either side */
    double  rate, fmin_hz, fmax_hz, hop_s;
    float  *taps;                             /* [2*half + 1, rounded up to SIDE] sum 1 */
    high_pass rumble, drums, bass;
    double  smooth, low, band_smooth, band_low; /* low-passes                        */
    int64_t n_pushed;
    queue   raw, slow;                        /* as pushed; decimated, without rumble */
    queue   dull, band;                       /* the slow one for the two looks, in step with it */
    audio_yin *yin;
    int64_t n_frames, room;                   /* frames measured so far              */
    float  *rms;                              /* [room] */
    unsigned char *count;                     /* [room] candidates of each frame     */
    float  *pool;                             /* (hertz, probability) of all of them */
    int64_t pooled, pool_room;
};

static bl_status check(int sample_rate, double fmin_hz, double fmax_hz, double hop_s, bl_error *err)
{
    if (sample_rate < 4000)
        return bl_fail(err, BL_EARG, "f0: expected a sample rate of at least 4000 Hz, got %d", sample_rate);
    if (!(fmin_hz >= 30 && fmax_hz <= 5000 && fmax_hz >= 2 * fmin_hz && fmax_hz <= sample_rate / 3.5))
        return bl_fail(err, BL_EARG,
                       "f0: expected a range within 30 .. 5000 Hz, at least an octave wide and below %g Hz at this "
                       "sample rate, got %g .. %g Hz", sample_rate / 3.5, fmin_hz, fmax_hz);
    if (!(hop_s >= 0.002 && hop_s <= 0.05))
        return bl_fail(err, BL_EARG, "f0: expected a hop of 2 .. 50 ms, got %g s", hop_s);
    return BL_OK;
}

/* A windowed sinc that lets through what the slower rate can hold. */
static int make_taps(audio_f0_stream *s)
{
    const double pi = acos(-1.0), cutoff = 0.8 / s->factor;
    double       sum = 0;
    s->half = s->factor > 1 ? 12 * s->factor : 0;
    if (!(s->taps = calloc((size_t)(2 * s->half + 1 + SIDE), sizeof *s->taps)))
        return 0;
    for (int k = -s->half; k <= s->half; k++) {
        const double u = pi * cutoff * k;
        s->taps[k + s->half] = (float)((k ? sin(u) / u : 1.0) * (0.54 + 0.46 * cos(pi * k / (s->half + 1))));
        sum += (double)s->taps[k + s->half];
    }
    for (int k = 0; k <= 2 * s->half; k++)
        s->taps[k] = (float)((double)s->taps[k] / sum);
    return 1;
}

audio_f0_stream *audio_f0_stream_new(int sample_rate, audio_f0_config config, bl_error *err)
{
    const double fmin_hz = config.fmin_hz > 0 ? config.fmin_hz : DEFAULT_MIN_HZ;
    const double fmax_hz = config.fmax_hz > 0 ? config.fmax_hz : DEFAULT_MAX_HZ;
    const double hop_s = config.hop_s > 0 ? config.hop_s : 0.010;
    if (check(sample_rate, fmin_hz, fmax_hz, hop_s, err) != BL_OK)
        return NULL;
    audio_f0_stream *s = calloc(1, sizeof *s);
    if (!s) {
        bl_fail(err, BL_ENOMEM, "f0: no memory");
        return NULL;
    }
    s->sample_rate = sample_rate;
    /* Candidates are found at 16 to 32 kHz: above 5 kHz a voice has no pitch to offer. */
    s->factor = sample_rate >= 32000 ? sample_rate / 16000 : 1;
    s->rate = (double)sample_rate / s->factor;
    s->fmin_hz = fmin_hz, s->fmax_hz = fmax_hz, s->hop_s = hop_s;
    s->rumble = high_pass_new(RUMBLE_SHARE * fmin_hz, s->rate);
    s->drums = high_pass_new(DRUM_SHARE * fmin_hz, s->rate);
    s->bass = high_pass_new(fmin(BAND_LOW_HZ, BAND_SHARE * fmin_hz), s->rate);
    s->smooth = 1 - exp(-2 * acos(-1.0) * LOW_PASS_HZ / s->rate);
    s->band_smooth = 1 - exp(-2 * acos(-1.0) * fmax(BAND_HIGH_HZ, fmin_hz) / s->rate);
    s->yin = audio_yin_new(s->rate, fmin_hz, fmax_hz, err);
    if (!s->yin || !make_taps(s) || !queue_reserve(&s->raw, s->half)) {
        bl_fail(err, BL_ENOMEM, "f0: no memory");
        audio_f0_stream_free(s);
        return NULL;
    }
    /* Silence before the first sample. */
    for (int i = 0; i < s->half; i++)
        s->raw.x[i] = 0;
    s->raw.n = s->half;
    s->raw.at = -s->half;
    return s;
}

void audio_f0_stream_free(audio_f0_stream *s)
{
    if (!s)
        return;
    audio_yin_free(s->yin);
    free(s->taps), free(s->raw.x), free(s->slow.x), free(s->dull.x), free(s->band.x), free(s->rms), free(s->count), free(s->pool);
    free(s);
}

static float tap_sum(const audio_f0_stream *s, const float *x)
{
    float sum[SIDE] = { 0 };
    for (int k = 0; k < 2 * s->half + 1; k += SIDE)
        for (int l = 0; l < SIDE; l++)
            sum[l] += s->taps[k + l] * x[k + l];
    return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

/* Decimates and filters what is complete; raw holds SIDE samples more than those that count. */
static void decimate(audio_f0_stream *s, int64_t raw_end)
{
    int64_t m = s->slow.at + s->slow.n;
    for (; m * s->factor + s->half < raw_end; m++) {
        const float  *x = s->raw.x + (m * s->factor - s->half - s->raw.at);
        const double  y = high_pass_push(&s->rumble, (double)(s->factor > 1 ? tap_sum(s, x) : *x));
        s->low += s->smooth * (high_pass_push(&s->drums, y) - s->low);
        s->band_low += s->band_smooth * (high_pass_push(&s->bass, y) - s->band_low);
        s->slow.x[s->slow.n++] = (float)y;
        s->dull.x[s->dull.n++] = (float)s->low;
        s->band.x[s->band.n++] = (float)s->band_low;
    }
    queue_drop_before(&s->raw, m * s->factor - s->half);
}

/* Root mean square of the slow samples around a frame. */
static float measure_rms(const audio_f0_stream *s, int64_t centre)
{
    const int     half = (int)(0.023 * s->rate);
    const int64_t from = centre - half < s->slow.at ? s->slow.at : centre - half;
    const int64_t end = s->slow.at + s->slow.n, to = centre + half < end ? centre + half : end;
    double        sum[SIDE] = { 0 };
    int64_t       i = from;
    for (; i + SIDE <= to; i += SIDE)
        for (int l = 0; l < SIDE; l++) {
            const double v = (double)s->slow.x[i - s->slow.at + l];
            sum[l] += v * v;
        }
    for (; i < to; i++)
        sum[0] += (double)s->slow.x[i - s->slow.at] * (double)s->slow.x[i - s->slow.at];
    for (int l = 1; l < SIDE; l++)
        sum[0] += sum[l];
    return (float)sqrt(sum[0] / (2 * half));
}

static int reserve_frame(audio_f0_stream *s)
{
    if (s->n_frames == s->room) {
        const int64_t  room = 2 * s->room + 1024;
        float         *rms = realloc(s->rms, sizeof *rms * (size_t)room);
        unsigned char *count = rms ? realloc(s->count, (size_t)room) : NULL;
        s->rms = rms ? rms : s->rms;
        s->count = count ? count : s->count;
        if (!rms || !count)
            return 0;
        s->room = room;
    }
    if (s->pooled + AUDIO_F0_KEPT > s->pool_room) {
        const int64_t room = 2 * s->pool_room + 4096;
        float        *pool = realloc(s->pool, sizeof *pool * 2 * (size_t)room);
        if (!pool)
            return 0;
        s->pool = pool;
        s->pool_room = room;
    }
    return 1;
}

/* Candidates of the frame whose first sample is number `start` of a queue. */
static void look(audio_f0_stream *s, const queue *q, int64_t start, audio_f0_candidates *found)
{
    const int span = audio_yin_span(s->yin);
    float    *frame = audio_yin_frame(s->yin);
    for (int i = 0; i < span; i++)
        frame[i] = start + i >= 0 && start + i < q->n ? q->x[start + i] : 0.0f;
    audio_yin_run(s->yin, found);
}

/* Candidates of the frame centred on a slow sample, into the pool. */
static void measure_frame(audio_f0_stream *s, int64_t centre)
{
    const int64_t       start = centre - audio_yin_before(s->yin) - s->slow.at;
    audio_f0_candidates found = { 0 }, in_band = { 0 };
    s->rms[s->n_frames] = measure_rms(s, centre);
    if ((double)s->rms[s->n_frames] >= SILENCE) {
        look(s, &s->dull, start, &found);
        look(s, &s->band, start, &in_band);
        audio_f0_agree(&found, &in_band);
    }
    for (int j = 0; j < found.n; j++) {
        s->pool[2 * (s->pooled + j)] = found.hz[j];
        s->pool[2 * (s->pooled + j) + 1] = found.probability[j];
    }
    s->pooled += found.n;
    s->count[s->n_frames++] = (unsigned char)(found.n | (found.above ? 128 : 0));
}

/* All frames that are complete. */
static bl_status measure_frames(audio_f0_stream *s, bl_error *err)
{
    const int64_t end = s->slow.at + s->slow.n, reach = (int64_t)(0.023 * s->rate) + audio_yin_span(s->yin);
    const int64_t last = (int64_t)((double)s->n_pushed / s->sample_rate / s->hop_s) + 1;
    int64_t       done = 0; /* centre of the last frame */
    for (;;) {
        const int64_t centre = llround((double)s->n_frames * s->hop_s * s->rate);
        if (s->ended ? s->n_frames >= last : centre + reach > end)
            break;
        if (!reserve_frame(s))
            return bl_fail(err, BL_ENOMEM, "f0: no memory for %lld frames", (long long)s->n_frames + 1);
        measure_frame(s, centre);
        done = centre;
    }
    queue_drop_before(&s->slow, done - reach); /* once for all: it moves what stays */
    queue_drop_before(&s->dull, done - reach);
    queue_drop_before(&s->band, done - reach);
    return BL_OK;
}

bl_status audio_f0_stream_push(audio_f0_stream *s, const float *x, int64_t n_samples, bl_error *err)
{
    if (n_samples < 0 || s->ended)
        return bl_fail(err, BL_EARG, "f0: %s", s->ended ? "the stream has ended" : "the number of samples is negative");
    const int64_t slow = (s->raw.n + n_samples) / s->factor + 1;
    if (!queue_reserve(&s->raw, n_samples + SIDE) || !queue_reserve(&s->slow, slow) || !queue_reserve(&s->dull, slow) ||
        !queue_reserve(&s->band, slow))
        return bl_fail(err, BL_ENOMEM, "f0: no memory for %lld samples", (long long)n_samples);
    if (n_samples > 0)
        memcpy(s->raw.x + s->raw.n, x, sizeof *x * (size_t)n_samples);
    s->raw.n += n_samples;
    s->n_pushed += n_samples;
    memset(s->raw.x + s->raw.n, 0, SIDE * sizeof *s->raw.x); /* read under taps of 0 */
    decimate(s, s->raw.at + s->raw.n);
    return measure_frames(s, err);
}

/* The last samples, with silence behind them. */
static bl_status end_stream(audio_f0_stream *s, bl_error *err)
{
    const int64_t slow = (s->raw.n + s->half) / s->factor + 1;
    if (!queue_reserve(&s->raw, s->half + SIDE) || !queue_reserve(&s->slow, slow) || !queue_reserve(&s->dull, slow) ||
        !queue_reserve(&s->band, slow))
        return bl_fail(err, BL_ENOMEM, "f0: no memory");
    memset(s->raw.x + s->raw.n, 0, sizeof *s->raw.x * (size_t)(s->half + SIDE));
    s->raw.n += s->half;
    decimate(s, s->n_pushed + s->half);
    s->ended = 1;
    return measure_frames(s, err);
}

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The 95th percentile of the frames' rms. */
static double loud_level(const float *rms, int64_t n, float *scratch)
{
    memcpy(scratch, rms, sizeof(float) * (size_t)n);
    qsort(scratch, (size_t)n, sizeof(float), compare_floats);
    return (double)scratch[(n - 1) * 95 / 100];
}

/* Frame t of the track, from the pitch of the path and the candidates. */
static void read_path(const audio_f0_candidates *c, double midi, int voiced, int64_t t, audio_f0_track *out)
{
    double hz = audio_midi_to_hz(midi), nearest = 0.35, sum = 0;
    for (int j = 0; j < c->n; j++) {
        const double apart = fabs(audio_hz_to_midi((double)c->hz[j]) - midi);
        sum += (double)c->probability[j];
        if (apart < nearest) {
            nearest = apart;
            hz = (double)c->hz[j];
        }
    }
    out->voiced[t] = (float)fmin(sum, 1.0);
    out->guess_hz[t] = (float)hz;
    out->f0_hz[t] = voiced ? (float)hz : 0.0f;
}

/* How likely each MIDI note is for who was heard, the likeliest 1: likely [AUDIO_F0_NOTES]. An instrument that is followed where it drowns
 * the voice lies an octave or two beside it. */
static void find_range(const audio_f0_track *heard, double *likely)
{
    double amount[AUDIO_F0_NOTES] = { 0 }, most = 1e-9;
    for (int64_t t = 0; t < heard->n_frames; t++)
        if (heard->f0_hz[t] > 0)
            amount[audio_f0_note((double)heard->f0_hz[t])] += (double)heard->voiced[t];
    for (int k = 0; k < AUDIO_F0_NOTES; k++) {
        likely[k] = 0;
        for (int j = 0; j < AUDIO_F0_NOTES; j++)
            likely[k] += amount[j] * exp(-(k - j) * (k - j) / (2 * RANGE_WIDTH * RANGE_WIDTH));
        most = fmax(most, likely[k]);
    }
    for (int k = 0; k < AUDIO_F0_NOTES; k++)
        likely[k] = RANGE_FLOOR + (1 - RANGE_FLOOR) * likely[k] / most;
}

/* The track of all frames; likely: NULL, or how likely each note is. */
static bl_status follow_path(const audio_f0_stream *s, double gate, const double *likely, audio_f0_track *out, bl_error *err)
{
    const int64_t  longest = s->n_frames < PIECE ? s->n_frames : PIECE;
    audio_f0_path *path = audio_f0_path_new(s->fmin_hz, s->fmax_hz, s->hop_s, longest, err);
    audio_f0_candidates *all = malloc(sizeof *all * (size_t)longest);
    float         *midi = malloc(sizeof *midi * (size_t)longest);
    unsigned char *voiced = malloc((size_t)longest);
    int64_t        read = 0, sounding = 0, above = 0;
    bl_status      status = BL_OK;
    if (!path || !all || !midi || !voiced) {
        status = bl_fail(err, BL_ENOMEM, "f0: no memory for %lld frames", (long long)s->n_frames);
        goto done;
    }
    for (int64_t first = 0; first < s->n_frames; first += PIECE) {
        const int64_t n = s->n_frames - first < PIECE ? s->n_frames - first : PIECE;
        for (int64_t t = 0; t < n; t++) {
            const int gated = !((double)s->rms[first + t] >= gate), count = s->count[first + t] & 127;
            all[t].n = gated ? 0 : count;
            for (int j = 0; j < all[t].n; j++) {
                all[t].hz[j] = s->pool[2 * (read + j)];
                all[t].probability[j] = s->pool[2 * (read + j) + 1];
            }
            read += count;
            sounding += !gated;
            above += !gated && s->count[first + t] >= 128;
        }
        audio_f0_path_run(path, all, n, likely, midi, voiced);
        for (int64_t t = 0; t < n; t++) {
            if ((double)s->rms[first + t] >= gate)
                read_path(&all[t], (double)midi[t], voiced[t], first + t, out);
            else
                out->voiced[first + t] = out->guess_hz[first + t] = out->f0_hz[first + t] = 0;
        }
    }
    out->above = sounding ? (float)((double)above / (double)sounding) : 0;
done:
    audio_f0_path_free(path);
    free(all), free(midi), free(voiced);
    return status;
}

bl_status audio_f0_stream_pull(audio_f0_stream *s, audio_f0_track *out, bl_error *err)
{
    memset(out, 0, sizeof *out);
    bl_status status = s->ended ? BL_OK : end_stream(s, err);
    if (status != BL_OK)
        return status;
    const size_t frames = (size_t)s->n_frames;
    out->hop_s = s->hop_s;
    out->n_frames = s->n_frames;
    out->f0_hz = malloc(sizeof(float) * frames), out->voiced = malloc(sizeof(float) * frames);
    out->rms = malloc(sizeof(float) * frames), out->guess_hz = malloc(sizeof(float) * frames);
    if (!out->f0_hz || !out->voiced || !out->rms || !out->guess_hz) {
        status = bl_fail(err, BL_ENOMEM, "f0: no memory for %lld frames", (long long)frames);
    } else {
        memcpy(out->rms, s->rms, sizeof(float) * frames);
        const double loud = loud_level(out->rms, out->n_frames, out->voiced);
        const double gate = fmax(SILENCE, loud * pow(10, GATE_DB / 20));
        double       likely[AUDIO_F0_NOTES];
        if ((status = follow_path(s, gate, NULL, out, err)) == BL_OK) {
            find_range(out, likely);
            status = follow_path(s, gate, likely, out, err);
        }
    }
    if (status != BL_OK)
        audio_f0_free(out);
    return status;
}

static bl_status track_all(const float *x, int64_t n_samples, int sample_rate, audio_f0_config config, audio_f0_track *out,
                           bl_error *err)
{
    audio_f0_stream *s = audio_f0_stream_new(sample_rate, config, err);
    bl_status        status = s ? BL_OK : err ? err->code : BL_EARG;
    for (int64_t i = 0; status == BL_OK && i < n_samples; i += PUSHED)
        status = audio_f0_stream_push(s, x + i, n_samples - i < PUSHED ? n_samples - i : PUSHED, err);
    if (status == BL_OK)
        status = audio_f0_stream_pull(s, out, err);
    audio_f0_stream_free(s);
    return status;
}

bl_status audio_f0_run(const float *x, int64_t n_samples, int sample_rate, audio_f0_config config,
                       audio_f0_track *out, bl_error *err)
{
    memset(out, 0, sizeof *out);
    if (n_samples < 0)
        return bl_fail(err, BL_EARG, "f0: the number of samples is negative");
    const int automatic = config.fmin_hz == 0 && config.fmax_hz == 0;
    bl_status status = track_all(x, n_samples, sample_rate, config, out, err);
    config.fmin_hz = WHISTLE_MIN_HZ;
    config.fmax_hz = fmin(WHISTLE_MAX_HZ, sample_rate / 3.5);
    if (status == BL_OK && automatic && (double)out->above > MOSTLY && config.fmax_hz >= 2 * config.fmin_hz) {
        audio_f0_free(out);
        status = track_all(x, n_samples, sample_rate, config, out, err);
    }
    return status;
}
