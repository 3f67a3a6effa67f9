#include "audio/f0.h"

#include "base/fft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    N_THRESHOLDS = 100,
    MAX_TROUGHS = 96,
    KEPT = 12,             /* candidates that go on to the path search                         */
    BINS_PER_SEMITONE = 5, /* 20 cents; the reported pitch is refined beyond that              */
    PIECE = 20000          /* frames whose back pointers are held at a time: bounded memory    */
};

/* Frames softer than this against the loud part of the recording are not voice. */
static const double GATE_DB = -38.0;
/* How often a voice starts or stops, per frame of 10 ms. */
static const double SWITCH = 0.01;
/* How much more the silent states weigh than in the publication, which hears voice in every breath:
 * 2 costs 0.5 % of recall, and false alarms fall from 0.17 to 0.12 on annotated singing; more than 5
 * loses voices in noise. */
static const double SILENCE_WEIGHT = 2.0;
/* Fastest glide the path may take, octaves per second. */
static const double MAX_GLIDE = 36.0;
/* What is left of a threshold's prior when no dip lies below it (it then goes to the deepest dip). */
static const double NO_TROUGH = 0.01;

typedef struct candidates {
    int   n;
    float hz[KEPT], probability[KEPT];
} candidates;

typedef struct yin {
    double  sample_rate;
    int     window, lag_min, lag_max, n_fft;
    bl_fft *fft;
    float  *a, *b, *spectrum_a, *spectrum_b, *correlation;
    double *energy, *normalised;
    double  prior[N_THRESHOLDS]; /* sums to 1; threshold i is (i + 1) / N_THRESHOLDS */
} yin;

double audio_hz_to_midi(double hz)
{
    return 69.0 + 12.0 * log2(hz / 440.0);
}

double audio_midi_to_hz(double midi)
{
    return 440.0 * exp2((midi - 69.0) / 12.0);
}

/* Low-pass and keep every factor-th sample; the caller's out has n/factor + 1 places. */
static bl_status decimate(const float *x, int64_t n, int factor, float *out, bl_error *err)
{
    const int half = 12 * factor;
    double   *taps = malloc(sizeof *taps * (size_t)(2 * half + 1)), sum = 0;
    if (!taps)
        return bl_fail(err, BL_ENOMEM, "f0: no memory");
    const double pi = acos(-1.0), cutoff = factor > 1 ? 0.8 / factor : 1.0;
    for (int k = -half; k <= half; k++) {
        const double u = pi * cutoff * k;
        taps[k + half] = (k ? sin(u) / u : 1.0) * (0.54 + 0.46 * cos(pi * k / (half + 1)));
        sum += taps[k + half];
    }
    for (int64_t m = 0; m * factor < n; m++) {
        const int64_t c = m * factor;
        if (factor == 1) {
            out[m] = x[c];
            continue;
        }
        const int64_t from = c - half < 0 ? 0 : c - half, to = c + half >= n ? n - 1 : c + half;
        double        y = 0;
        for (int64_t i = from; i <= to; i++)
            y += taps[i - c + half] * (double)x[i];
        out[m] = (float)(y / sum);
    }
    free(taps);
    return BL_OK;
}

/* Butterworth high-pass of second order: rumble below the singer would hide the dips. */
static void high_pass(float *x, int64_t n, double cutoff_hz, double sample_rate)
{
    const double k = tan(acos(-1.0) * cutoff_hz / sample_rate), q = sqrt(2.0);
    const double norm = 1 / (1 + q * k + k * k), a1 = 2 * (k * k - 1) * norm, a2 = (1 - q * k + k * k) * norm;
    double       x1 = 0, x2 = 0, y1 = 0, y2 = 0;
    for (int64_t i = 0; i < n; i++) {
        const double in = (double)x[i], y = norm * (in - 2 * x1 + x2) - a1 * y1 - a2 * y2;
        x2 = x1, x1 = in, y2 = y1, y1 = y;
        x[i] = (float)y;
    }
}

static void yin_free(yin *y)
{
    bl_fft_free(y->fft);
    free(y->a), free(y->b), free(y->spectrum_a), free(y->spectrum_b);
    free(y->correlation), free(y->energy), free(y->normalised);
}

static bl_status yin_init(yin *y, double sample_rate, double fmin_hz, double fmax_hz, bl_error *err)
{
    memset(y, 0, sizeof *y);
    y->sample_rate = sample_rate;
    y->lag_min = (int)floor(sample_rate / fmax_hz);
    y->lag_max = (int)ceil(sample_rate / fmin_hz) + 1;
    if (y->lag_min < 2)
        y->lag_min = 2;
    /* Two and a half periods of the lowest pitch, never under 35 ms. */
    y->window = (int)(sample_rate * fmax(0.035, 2.5 / fmin_hz));
    for (y->n_fft = 2; y->n_fft < y->window + y->lag_max + 1;)
        y->n_fft *= 2;
    const size_t n = (size_t)y->n_fft;
    y->fft = bl_fft_new(y->n_fft, err);
    y->a = calloc(n, sizeof(float)), y->b = calloc(n, sizeof(float));
    y->spectrum_a = calloc(n + 2, sizeof(float)), y->spectrum_b = calloc(n + 2, sizeof(float));
    y->correlation = calloc(n, sizeof(float));
    y->energy = calloc(n + 1, sizeof(double)), y->normalised = calloc(n, sizeof(double));
    if (!y->fft || !y->a || !y->b || !y->spectrum_a || !y->spectrum_b || !y->correlation || !y->energy ||
        !y->normalised)
        return bl_fail(err, BL_ENOMEM, "f0: no memory");

    /* Beta(2, 18): mean threshold 0.1, as in the publication. */
    double sum = 0;
    for (int i = 0; i < N_THRESHOLDS; i++) {
        const double u = (i + 0.5) / N_THRESHOLDS;
        y->prior[i] = u * pow(1 - u, 17);
        sum += y->prior[i];
    }
    for (int i = 0; i < N_THRESHOLDS; i++)
        y->prior[i] /= sum;
    return BL_OK;
}

/* The cumulative mean normalised difference of the window + lag_max samples in y->b. */
static void normalised_difference(yin *y)
{
    const int w = y->window, lags = y->lag_max + 1, n = y->n_fft;

    memcpy(y->a, y->b, sizeof(float) * (size_t)w);
    memset(y->a + w, 0, sizeof(float) * (size_t)(n - w));
    bl_fft_forward(y->fft, y->a, y->spectrum_a);
    bl_fft_forward(y->fft, y->b, y->spectrum_b);
    for (int k = 0; k <= n / 2; k++) {
        const float ar = y->spectrum_a[2 * k], ai = y->spectrum_a[2 * k + 1];
        const float br = y->spectrum_b[2 * k], bi = y->spectrum_b[2 * k + 1];
        y->spectrum_a[2 * k] = ar * br + ai * bi;
        y->spectrum_a[2 * k + 1] = ar * bi - ai * br;
    }
    bl_fft_inverse(y->fft, y->spectrum_a, y->correlation);
    y->energy[0] = 0;
    for (int i = 0; i < w + lags; i++)
        y->energy[i + 1] = y->energy[i] + (double)y->b[i] * (double)y->b[i];

    const double first = y->energy[w];
    double       sum = 0;
    y->normalised[0] = 1;
    for (int k = 1; k < lags; k++) {
        const double d = first + y->energy[k + w] - y->energy[k] - 2 * (double)y->correlation[k];
        sum += d > 0 ? d : 0;
        y->normalised[k] = sum > 0 ? (d > 0 ? d : 0) * k / sum : 1;
    }
}

static void find_candidates(const yin *y, candidates *out)
{
    const double *c = y->normalised;
    double        depth[MAX_TROUGHS], hz[MAX_TROUGHS], probability[MAX_TROUGHS];
    int           deepest = -1, n = 0;

    out->n = 0;
    for (int k = y->lag_min; k < y->lag_max && n < MAX_TROUGHS; k++) {
        if (!(c[k] < c[k - 1] && c[k] <= c[k + 1]))
            continue;
        const double curvature = c[k - 1] - 2 * c[k] + c[k + 1];
        const double shift = curvature > 0 ? 0.5 * (c[k - 1] - c[k + 1]) / curvature : 0;
        depth[n] = c[k];
        hz[n] = y->sample_rate / (k + shift);
        probability[n] = 0;
        if (deepest < 0 || depth[n] < depth[deepest])
            deepest = n;
        n++;
    }
    if (deepest < 0)
        return;
    for (int i = 0; i < N_THRESHOLDS; i++) {
        const double threshold = (i + 1.0) / N_THRESHOLDS;
        int          below = 0;
        for (int j = 0; j < n; j++)
            below += depth[j] < threshold;
        if (!below) {
            probability[deepest] += NO_TROUGH * y->prior[i];
            continue;
        }
        /* Earlier dips are more likely: a geometric law over those below the threshold. */
        const double e = exp(-2.0);
        double       share = y->prior[i] * (1 - e) / (1 - pow(e, below));
        for (int j = 0; j < n; j++)
            if (depth[j] < threshold) {
                probability[j] += share;
                share *= e;
            }
    }
    while (out->n < KEPT) {
        int top = 0;
        for (int j = 1; j < n; j++)
            if (probability[j] > probability[top])
                top = j;
        if (probability[top] <= 0)
            break;
        out->hz[out->n] = (float)hz[top];
        out->probability[out->n++] = (float)probability[top];
        probability[top] = 0;
    }
}

/* The path search: bins 0 .. bins-1 voiced, bins .. 2*bins-1 the same pitches unheard. */
typedef struct path_search {
    int     bins, reach;
    double  midi_min;
    double *jump;         /* [reach + 1] log probability of a move by so many bins */
    double *now, *next;   /* [2*bins] log scores, carried from piece to piece      */
    double *seen;         /* [bins] */
    unsigned short *from; /* [PIECE, 2*bins] */
    int    *path;         /* [PIECE] */
} path_search;

static void search_free(path_search *s)
{
    free(s->jump), free(s->now), free(s->next), free(s->seen), free(s->from), free(s->path);
}

static bl_status search_init(path_search *s, double fmin_hz, double fmax_hz, double hop_s, int64_t n_frames,
                             bl_error *err)
{
    const size_t longest = (size_t)(n_frames < PIECE ? n_frames : PIECE);
    memset(s, 0, sizeof *s);
    s->midi_min = audio_hz_to_midi(fmin_hz);
    s->bins = (int)ceil((audio_hz_to_midi(fmax_hz) - s->midi_min) * BINS_PER_SEMITONE) + 1;
    s->reach = (int)ceil(MAX_GLIDE * 12 * BINS_PER_SEMITONE * hop_s / 2);
    const size_t states = (size_t)(2 * s->bins);
    s->jump = malloc(sizeof(double) * (size_t)(s->reach + 1));
    s->now = calloc(states, sizeof(double)), s->next = calloc(states, sizeof(double));
    s->seen = malloc(sizeof(double) * states);
    s->from = malloc(sizeof *s->from * longest * states);
    s->path = malloc(sizeof *s->path * longest);
    if (!s->jump || !s->now || !s->next || !s->seen || !s->from || !s->path)
        return bl_fail(err, BL_ENOMEM, "f0: no memory for %lld frames", (long long)n_frames);
    double total = 0;
    for (int i = 0; i <= s->reach; i++) {
        s->jump[i] = (double)(s->reach + 1 - i) / (s->reach + 1);
        total += (i ? 2 : 1) * s->jump[i];
    }
    for (int i = 0; i <= s->reach; i++)
        s->jump[i] = log(s->jump[i] / total);
    return BL_OK;
}

/* One frame forward: from [2*bins] tells where each state's best way came from. */
static void search_step(path_search *s, const candidates *frame, int gated, unsigned short *from)
{
    const double stay = log(1 - SWITCH), turn = log(SWITCH), tiny = 1e-12;
    const int    bins = s->bins;
    double       sum = 0;

    memset(s->seen, 0, sizeof(double) * (size_t)bins);
    for (int j = 0; !gated && j < frame->n; j++) {
        const int bin = (int)lround((audio_hz_to_midi((double)frame->hz[j]) - s->midi_min) * BINS_PER_SEMITONE);
        if (bin >= 0 && bin < bins) {
            s->seen[bin] += (double)frame->probability[j];
            sum += (double)frame->probability[j];
        }
    }
    const double silent = log(fmax(tiny, SILENCE_WEIGHT * (1 - fmin(sum, 1)) / bins));
    for (int v = 0; v < 2; v++) {
        const double *same = s->now + v * bins, *other = s->now + (1 - v) * bins;
        for (int i = 0; i < bins; i++) {
            const int lo = i - s->reach < 0 ? 0 : i - s->reach, hi = i + s->reach >= bins ? bins - 1 : i + s->reach;
            double    top = -INFINITY;
            int       top_from = 0;
            for (int k = lo; k <= hi; k++) {
                const double a = same[k] + stay, b = other[k] + turn;
                const double score = (a >= b ? a : b) + s->jump[k > i ? k - i : i - k];
                if (score > top) {
                    top = score;
                    top_from = (a >= b ? v : 1 - v) * bins + k;
                }
            }
            s->next[v * bins + i] = top + (v ? silent : log(fmax(tiny, s->seen[i])));
            from[v * bins + i] = (unsigned short)top_from;
        }
    }
    double *swap = s->now;
    s->now = s->next, s->next = swap;
}

/* The best path through n frames into s->path; scores go on from the piece before. */
static void search_run(path_search *s, const candidates *all, const unsigned char *gated, int64_t n)
{
    const int states = 2 * s->bins;
    for (int64_t t = 0; t < n; t++)
        search_step(s, &all[t], gated[t], s->from + t * states);
    int end = 0;
    for (int i = 1; i < states; i++)
        if (s->now[i] > s->now[end])
            end = i;
    const double best = s->now[end];
    for (int i = 0; i < states; i++)
        s->now[i] -= best; /* keeps an hour's sum of logarithms small */
    for (int64_t t = n - 1; t >= 0; t--) {
        s->path[t] = end;
        end = s->from[t * states + end];
    }
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

void audio_f0_free(audio_f0_track *track)
{
    free(track->f0_hz), free(track->voiced), free(track->rms), free(track->guess_hz);
    memset(track, 0, sizeof *track);
}

/* Root mean square of the decimated signal around every frame. */
static void measure_rms(const float *x, int64_t n, double rate, audio_f0_track *out)
{
    const int half = (int)(0.023 * rate);
    for (int64_t t = 0; t < out->n_frames; t++) {
        const int64_t centre = llround((double)t * out->hop_s * rate);
        double        energy = 0;
        for (int64_t i = centre - half; i < centre + half; i++)
            if (i >= 0 && i < n)
                energy += (double)x[i] * (double)x[i];
        out->rms[t] = (float)sqrt(energy / (2 * half));
    }
}

/* Candidates of the frame centred on a sample. */
static void measure_frame(yin *y, const float *x, int64_t n, int64_t centre, candidates *out)
{
    const int     span = y->window + y->lag_max + 1;
    /* The samples compared at lag k lie in 0 .. window + k: centre that for a middling pitch. */
    const int64_t start = centre - (y->window + (int64_t)(y->sample_rate / 220)) / 2;

    memset(y->b, 0, sizeof(float) * (size_t)y->n_fft);
    for (int i = 0; i < span; i++)
        if (start + i >= 0 && start + i < n)
            y->b[i] = x[start + i];
    normalised_difference(y);
    find_candidates(y, out);
}

/* The path's frames [0, n) into the track from frame first on. */
static void read_path(const path_search *s, const candidates *all, const unsigned char *gated, int64_t first, int64_t n,
                      audio_f0_track *out)
{
    for (int64_t t = 0; t < n; t++) {
        const int    voiced = s->path[t] < s->bins;
        const double midi = s->midi_min + (double)(s->path[t] % s->bins) / BINS_PER_SEMITONE;
        double       hz = audio_midi_to_hz(midi), nearest = 0.35, sum = 0;
        for (int j = 0; j < all[t].n; j++) {
            const double apart = fabs(audio_hz_to_midi((double)all[t].hz[j]) - midi);
            sum += (double)all[t].probability[j];
            if (apart < nearest) {
                nearest = apart;
                hz = (double)all[t].hz[j];
            }
        }
        out->voiced[first + t] = gated[t] ? 0.0f : (float)fmin(sum, 1.0);
        out->guess_hz[first + t] = gated[t] ? 0.0f : (float)hz;
        out->f0_hz[first + t] = voiced && !gated[t] ? (float)hz : 0.0f;
    }
}

static bl_status check(int64_t n_samples, int sample_rate, double fmin_hz, double fmax_hz, double hop_s, bl_error *err)
{
    if (sample_rate < 4000)
        return bl_fail(err, BL_EARG, "f0: expected a sample rate of at least 4000 Hz, got %d", sample_rate);
    if (!(fmin_hz >= 30 && fmax_hz <= 2500 && fmax_hz >= 2 * fmin_hz && fmax_hz <= sample_rate / 3.5))
        return bl_fail(err, BL_EARG,
                       "f0: expected a range within 30 .. 2500 Hz, at least an octave wide and below %g Hz at this "
                       "sample rate, got %g .. %g Hz", sample_rate / 3.5, fmin_hz, fmax_hz);
    if (!(hop_s >= 0.002 && hop_s <= 0.05))
        return bl_fail(err, BL_EARG, "f0: expected a hop of 2 .. 50 ms, got %g s", hop_s);
    if (n_samples < 0)
        return bl_fail(err, BL_EARG, "f0: the number of samples is negative");
    return BL_OK;
}

bl_status audio_f0_run(const float *x, int64_t n_samples, int sample_rate, audio_f0_config config,
                       audio_f0_track *out, bl_error *err)
{
    const double fmin_hz = config.fmin_hz > 0 ? config.fmin_hz : 65;
    const double fmax_hz = config.fmax_hz > 0 ? config.fmax_hz : 1050;
    const double hop_s = config.hop_s > 0 ? config.hop_s : 0.010;
    /* Candidates are found at 16 to 32 kHz: above 5 kHz a voice has no pitch to offer. */
    const int    factor = sample_rate >= 32000 ? sample_rate / 16000 : 1;
    const double rate = (double)sample_rate / factor;
    yin          y = { 0 };
    path_search  search = { 0 };
    float       *slow = NULL;
    candidates  *all = NULL;
    unsigned char *gated = NULL;
    bl_status    status;

    memset(out, 0, sizeof *out);
    if ((status = check(n_samples, sample_rate, fmin_hz, fmax_hz, hop_s, err)) != BL_OK)
        return status;
    const int64_t n = (n_samples + factor - 1) / factor;
    out->hop_s = hop_s;
    out->n_frames = (int64_t)((double)n_samples / sample_rate / hop_s) + 1;
    const size_t frames = (size_t)out->n_frames, longest = frames < PIECE ? frames : PIECE;
    slow = malloc(sizeof(float) * (size_t)(n + 1));
    all = malloc(sizeof *all * longest), gated = malloc(longest);
    out->f0_hz = malloc(sizeof(float) * frames), out->voiced = malloc(sizeof(float) * frames);
    out->rms = malloc(sizeof(float) * frames), out->guess_hz = malloc(sizeof(float) * frames);
    if (!slow || !all || !gated || !out->f0_hz || !out->voiced || !out->rms || !out->guess_hz) {
        status = bl_fail(err, BL_ENOMEM, "f0: no memory for %lld frames", (long long)frames);
        goto done;
    }
    if ((status = decimate(x, n_samples, factor, slow, err)) != BL_OK ||
        (status = yin_init(&y, rate, fmin_hz, fmax_hz, err)) != BL_OK ||
        (status = search_init(&search, fmin_hz, fmax_hz, hop_s, out->n_frames, err)) != BL_OK)
        goto done;
    high_pass(slow, n, 0.6 * fmin_hz, rate);
    measure_rms(slow, n, rate, out);
    const double gate = fmax(1e-5, loud_level(out->rms, out->n_frames, out->voiced) * pow(10, GATE_DB / 20));
    for (int64_t first = 0; first < out->n_frames; first += PIECE) {
        const int64_t count = out->n_frames - first < PIECE ? out->n_frames - first : PIECE;
        for (int64_t t = 0; t < count; t++) {
            all[t].n = 0;
            gated[t] = !((double)out->rms[first + t] >= gate);
            if (!gated[t])
                measure_frame(&y, slow, n, llround((double)(first + t) * hop_s * rate), &all[t]);
        }
        search_run(&search, all, gated, count);
        read_path(&search, all, gated, first, count, out);
    }
done:
    yin_free(&y);
    search_free(&search);
    free(slow), free(all), free(gated);
    if (status != BL_OK)
        audio_f0_free(out);
    return status;
}
