/* Tones from audio without annotation: where notes begin and end, and at which pitch. */
#include "data/tones_private.h"

#include "audio/f0.h"
#include "audio/flux.h"
#include "base/fft.h"
#include "data/instruments.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const double ENVELOPE_HOP_S = 0.005, ENVELOPE_WINDOW_S = 0.020;
static const double ACTIVE_RANGE_DB = 45;   /* below the loudest moment: silence                            */
static const double DECAY_DB = 40;          /* a note ends when it has fallen by this much                  */
static const double RISE_DB = 6;            /* a new note is at least this much louder than just before     */
static const double MIN_DISTANCE_S = 0.05;  /* between two onsets                                           */
static const double DIP_DB = 3;             /* and the note before had fallen by this much since its loudest  */
static const double MASKED_DB = 24;         /* further below the note before: its own tail, not a new note    */
static const double TAIL_S = 4;             /* how long a note may mask quiet ones                            */
enum { RANGE_MARGIN = 10 };                 /* semitones a recording may leave the instrument's usual range   */
static const double VOICED_SHARE = 0.4, STEADY_SHARE = 0.65; /* of a note's frames                          */

/* ---- names ---- */

int data_pitch_in_name(const char *name)
{
    static const int semitone[7] = { 9, 11, 0, 2, 4, 5, 7 }; /* A B C D E F G */
    int found = -1;
    for (const char *p = name; *p; p++) {
        if (p > name && isalnum((unsigned char)p[-1]))
            continue;
        const int letter = toupper((unsigned char)*p);
        if (letter < 'A' || letter > 'G')
            continue;
        const char *q = p + 1;
        int pitch = semitone[letter - 'A'];
        if (*q == '#' || *q == 's' || *q == 'S')
            pitch++, q++;
        else if (*q == 'b')
            pitch--, q++;
        if (*q == '_')
            q++;
        const int negative = *q == '-';
        if (negative)
            q++;
        if (!isdigit((unsigned char)*q) || isalnum((unsigned char)q[1]))
            continue;
        pitch += 12 * ((negative ? -(*q - '0') : *q - '0') + 1);
        if (pitch >= 0 && pitch <= 127)
            found = pitch;
    }
    return found;
}

int data_drum_in_name(const char *name)
{
    /* The first that fits; open hats before plain ones. */
    static const struct { const char *word; int key; } words[] = {
        { "hihatopen", 46 }, { "openhat", 46 }, { "openhihat", 46 }, { "hhopen", 46 }, { "hatopen", 46 }, { "pedalhihat", 44 },
        { "hihatpedal", 44 }, { "hihat", 42 }, { "closedhat", 42 }, { "hat", 42 }, { "kick", 36 }, { "bassdrum", 36 },
        { "sidestick", 37 }, { "rimshot", 37 }, { "snare", 38 }, { "clap", 39 }, { "ridebell", 53 }, { "ride", 51 },
        { "china", 52 }, { "splash", 55 }, { "crash", 49 }, { "cymbal", 49 }, { "floortom", 41 }, { "tom1", 50 },
        { "tom2", 48 }, { "tom3", 45 }, { "tom4", 41 }, { "tom", 47 }, { "cowbell", 56 }, { "tambourine", 54 },
        { "shaker", 70 }, { "maracas", 70 }, { "triangle", 81 }, { "conga", 63 }, { "bongo", 60 }, { "woodblock", 76 },
    };
    char plain[256];
    size_t n = 0;
    for (const char *p = name; *p && n < sizeof plain - 1; p++)
        if (isalnum((unsigned char)*p))
            plain[n++] = (char)tolower((unsigned char)*p);
    plain[n] = '\0';
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strstr(plain, words[i].word))
            return words[i].key;
    return -1;
}

/* ---- level ---- */

typedef struct envelope {
    float  *db;       /* [n] RMS of 20 ms around frame * ENVELOPE_HOP_S */
    int64_t n;
    float   peak_db, threshold_db;
} envelope;

static double to_db(double power)
{
    return 10 * log10(power + 1e-20);
}

static int ascending(const void *a, const void *b)
{
    const float p = *(const float *)a, q = *(const float *)b;
    return (p > q) - (p < q);
}

static bl_status envelope_run(const float *x, int64_t n_samples, int sample_rate, envelope *e, bl_error *err)
{
    const double hop = ENVELOPE_HOP_S * sample_rate;
    const int64_t half = (int64_t)(ENVELOPE_WINDOW_S * sample_rate / 2) + 1;
    e->n = (int64_t)((double)n_samples / hop) + 1;
    e->db = malloc((size_t)e->n * sizeof *e->db);
    float *sorted = malloc((size_t)e->n * sizeof *sorted);
    if (!e->db || !sorted) {
        free(sorted);
        return bl_fail(err, BL_ENOMEM, "no memory to measure %.1f s of audio", (double)n_samples / sample_rate);
    }
    e->peak_db = -300;
    for (int64_t t = 0; t < e->n; t++) {
        const int64_t centre = (int64_t)((double)t * hop);
        const int64_t first = centre > half ? centre - half : 0, last = centre + half < n_samples ? centre + half : n_samples;
        double power = 0;
        for (int64_t i = first; i < last; i++)
            power += (double)x[i] * (double)x[i];
        e->db[t] = (float)to_db(last > first ? power / (double)(last - first) : 0);
        e->peak_db = e->db[t] > e->peak_db ? e->db[t] : e->peak_db;
    }
    /* Silence: 45 dB below the loudest moment, or, in noise, 6 dB above what the quietest 5 % hold (within reason). */
    memcpy(sorted, e->db, (size_t)e->n * sizeof *sorted);
    qsort(sorted, (size_t)e->n, sizeof *sorted, ascending);
    const double noise = (double)sorted[e->n / 20] + 6, peak = (double)e->peak_db;
    double threshold = peak - ACTIVE_RANGE_DB;
    if (noise > threshold)
        threshold = noise < peak - 25 ? noise : threshold;
    e->threshold_db = (float)threshold;
    free(sorted);
    return BL_OK;
}

static int64_t frame_at(const envelope *e, double time_s)
{
    const int64_t t = (int64_t)lround(time_s / ENVELOPE_HOP_S);
    return t < 0 ? 0 : t >= e->n ? e->n - 1 : t;
}

static double highest(const envelope *e, double from_s, double to_s)
{
    double best = -300;
    for (int64_t t = frame_at(e, from_s); t <= frame_at(e, to_s); t++)
        best = (double)e->db[t] > best ? (double)e->db[t] : best;
    return best;
}

static double lowest(const envelope *e, double from_s, double to_s)
{
    double best = 300;
    for (int64_t t = frame_at(e, from_s); t <= frame_at(e, to_s); t++)
        best = (double)e->db[t] < best ? (double)e->db[t] : best;
    return best;
}

/* ---- pitch ---- */

static int has_octave(double fmin_hz, double fmax_hz)
{
    return fmax_hz >= 2 * fmin_hz;
}

static audio_f0_config pitch_range(int instrument)
{
    audio_f0_config c = { 40, 2000, 0 };
    if (instrument >= 0) {
        const data_instrument *i = data_instrument_at(instrument);
        c.fmin_hz = audio_midi_to_hz(i->lowest - RANGE_MARGIN);
        c.fmax_hz = audio_midi_to_hz(i->highest + RANGE_MARGIN);
    }
    c.fmin_hz = c.fmin_hz < 30 ? 30 : c.fmin_hz;
    c.fmax_hz = c.fmax_hz > 2500 ? 2500 : c.fmax_hz;
    if (!has_octave(c.fmin_hz, c.fmax_hz))
        c.fmin_hz = c.fmax_hz / 2.5;
    return c;
}

/* Median pitch (MIDI) of the frames in [from, to), NAN when they are too few or do not agree. */
static double median_pitch(const audio_f0_track *f0, audio_f0_config range, double from_s, double to_s)
{
    const int64_t first = (int64_t)ceil(from_s / f0->hop_s), last = (int64_t)floor(to_s / f0->hop_s);
    float loudest = 0, *values = NULL;
    for (int64_t t = first; t <= last && t < f0->n_frames; t++)
        loudest = f0->rms[t] > loudest ? f0->rms[t] : loudest;
    if (last < first || !(values = malloc((size_t)(last - first + 1) * sizeof *values)))
        return (double)NAN;
    double result = (double)NAN;
    for (int pass = 0; pass < 2 && isnan(result); pass++) { /* voiced frames; else the best guesses, if they agree */
        int64_t n = 0, n_loud = 0, near = 0;
        for (int64_t t = first; t <= last && t < f0->n_frames; t++) {
            const float hz = pass == 0 ? f0->f0_hz[t] : f0->guess_hz[t];
            if (f0->rms[t] < 0.03f * loudest)
                continue;
            n_loud++;
            /* In noise the best guess lies at an end of the range. */
            if (hz > 0 && (pass == 0 || ((double)hz > 1.01 * range.fmin_hz && (double)hz < 0.99 * range.fmax_hz)))
                values[n++] = (float)audio_hz_to_midi((double)hz);
        }
        if (n == 0 || (double)n < VOICED_SHARE * (double)n_loud)
            continue;
        qsort(values, (size_t)n, sizeof *values, ascending);
        const float middle = values[n / 2];
        for (int64_t i = 0; i < n; i++)
            near += fabsf(values[i] - middle) < 0.6f;
        if ((double)near >= STEADY_SHARE * (double)n)
            result = (double)middle;
    }
    free(values);
    return result;
}

/* Power near k * hz for k = first, first + step, ... in a spectrum of bins bin_hz wide. */
static double comb_power(const float *power, int n_bins, double bin_hz, double hz, int first, int step, int n_harmonics)
{
    double sum = 0;
    for (int k = first, i = 0; i < n_harmonics; k += step, i++) {
        const double centre = k * hz / bin_hz, width = centre * 0.012 + 1.5;
        const int low = (int)ceil(centre - width), high = (int)floor(centre + width);
        if (high >= n_bins)
            break;
        float best = 0;
        for (int b = low < 1 ? 1 : low; b <= high; b++)
            best = power[b] > best ? power[b] : best;
        sum += (double)best;
    }
    return sum;
}

/* Settles the octave of a steady note: the true fundamental has partials at odd multiples. hint: a MIDI number of the
 * same pitch class, or -1. Returns the pitch moved by octaves. */
static double settle_octave(const float *x, int64_t n, int sample_rate, double pitch, int hint, int lowest_pitch, int highest_pitch)
{
    enum { MAX_FFT = 1 << 15 };
    int size = 1024;
    while (size < MAX_FFT && size < n)
        size *= 2;
    bl_fft *fft = bl_fft_new(size, NULL);
    float *frame = calloc((size_t)size, sizeof *frame), *spectrum = malloc((size_t)(size + 2) * sizeof *spectrum);
    if (fft && frame && spectrum) {
        const int64_t used = n < size ? n : size;
        for (int64_t i = 0; i < used; i++)
            frame[i] = x[i] * (float)(0.5 - 0.5 * cos(2 * acos(-1.0) * ((double)i + 0.5) / (double)used));
        bl_fft_forward(fft, frame, spectrum);
        const int n_bins = size / 2 + 1;
        for (int b = 0; b < n_bins; b++)
            spectrum[b] = spectrum[2 * b] * spectrum[2 * b] + spectrum[2 * b + 1] * spectrum[2 * b + 1];
        const double bin_hz = (double)sample_rate / size;
        for (int round = 0; round < 2; round++) {
            const double hz = audio_midi_to_hz(pitch);
            const int wants_down = hint >= 0 && hint < pitch - 6, wants_up = hint > pitch + 6;
            /* An octave down: partials half-way between those found. */
            const double own = comb_power(spectrum, n_bins, bin_hz, hz, 1, 1, 12);
            const double between = comb_power(spectrum, n_bins, bin_hz, hz / 2, 1, 2, 12);
            /* An octave up: nothing at the odd multiples. */
            const double odd = comb_power(spectrum, n_bins, bin_hz, hz, 1, 2, 6);
            const double even = comb_power(spectrum, n_bins, bin_hz, hz, 2, 2, 6);
            if (pitch - 12 >= lowest_pitch && between > (wants_down ? 0.02 : 0.2) * own)
                pitch -= 12;
            else if (pitch + 12 <= highest_pitch && odd < (wants_up ? 0.02 : 0.0008) * even)
                pitch += 12;
            else
                break;
        }
    }
    bl_fft_free(fft);
    free(frame);
    free(spectrum);
    return pitch;
}

/* ---- drums ---- */

/* The General MIDI key a hit sounds like: where its energy lies and how long it rings. */
static int judge_drum(const float *x, int64_t n, int sample_rate, double ring_s)
{
    const int size = 4096;
    bl_fft *fft = bl_fft_new(size, NULL);
    float *frame = calloc((size_t)size, sizeof *frame), *spectrum = malloc((size_t)(size + 2) * sizeof *spectrum);
    int key = 38;
    if (fft && frame && spectrum) {
        double low = 0, middle = 0, high = 0, all = 1e-20;
        const int64_t used = n < size ? n : size;
        for (int64_t i = 0; i < used; i++) /* falling half of a Hann window: the attack counts most */
            frame[i] = x[i] * (float)(0.5 + 0.5 * cos(acos(-1.0) * (double)i / (double)used));
        bl_fft_forward(fft, frame, spectrum);
        for (int b = 1; b <= size / 2; b++) {
            const double hz = (double)b * sample_rate / size;
            const double p = (double)spectrum[2 * b] * (double)spectrum[2 * b] + (double)spectrum[2 * b + 1] * (double)spectrum[2 * b + 1];
            all += p;
            low += hz < 120 ? p : 0;
            middle += hz >= 120 && hz < 1000 ? p : 0;
            high += hz >= 3000 ? p : 0;
        }
        if (high > 0.5 * all)
            key = ring_s > 0.9 ? 49 : ring_s > 0.3 ? 46 : 42;
        else if (low > 0.5 * all)
            key = 36;
        else if (middle > 0.85 * all && high < 0.03 * all)
            key = 47;
    }
    bl_fft_free(fft);
    free(frame);
    free(spectrum);
    return key;
}

/* ---- onsets ---- */

/* First moment around `about` at which the signal rises out of what was before. */
static double refine_onset(const float *x, int64_t n, int sample_rate, const envelope *e, double about_s, double earliest_s)
{
    const double from_s = about_s - 0.06 > earliest_s ? about_s - 0.06 : earliest_s;
    const double top = highest(e, about_s, about_s + 0.1), before = lowest(e, from_s - 0.02, about_s);
    double level = top - 26 > before + 6 ? top - 26 : before + 6;
    if (level > top - 3)
        level = top - 3;
    const int64_t window = (int64_t)(0.002 * sample_rate) + 1;
    int64_t i = (int64_t)(from_s * sample_rate);
    const int64_t last = (int64_t)((about_s + 0.06) * sample_rate);
    for (i = i < 0 ? 0 : i; i + window <= n && i < last; i += window / 2 + 1) {
        double power = 0;
        for (int64_t k = i; k < i + window; k++)
            power += (double)x[k] * (double)x[k];
        if (to_db(power / (double)window) >= level)
            return (double)i / sample_rate;
    }
    return about_s > 0 ? about_s : 0;
}

/* Mean of the voiced pitch over a short stretch, NAN when there is none. */
static double pitch_near(const audio_f0_track *f0, double from_s, double to_s)
{
    double sum = 0;
    int n = 0;
    for (int64_t t = (int64_t)ceil(from_s / f0->hop_s); t <= (int64_t)(to_s / f0->hop_s); t++)
        if (t >= 0 && t < f0->n_frames && f0->f0_hz[t] > 0) {
            sum += audio_hz_to_midi((double)f0->f0_hz[t]);
            n++;
        }
    return n ? sum / n : (double)NAN;
}

static bl_status add_piece(data_pieces *p, data_piece piece, bl_error *err)
{
    if (p->n == p->capacity) {
        const int capacity = p->capacity ? 2 * p->capacity : 32;
        data_piece *pieces = realloc(p->pieces, (size_t)capacity * sizeof *pieces);
        if (!pieces)
            return bl_fail(err, BL_ENOMEM, "no memory for the notes of a recording");
        p->pieces = pieces;
        p->capacity = capacity;
    }
    p->pieces[p->n++] = piece;
    return BL_OK;
}

/* Whether a rise at time_s begins a note: the note since last_s had fallen before it, and is not far louder. A slow attack
 * rises too, but nothing falls before it. */
static int is_new_attack(const envelope *e, double last_s, double time_s)
{
    const double after = highest(e, time_s, time_s + 0.08);
    int64_t dip = frame_at(e, time_s - 0.06);
    for (int64_t t = dip; t <= frame_at(e, time_s); t++)
        dip = e->db[t] < e->db[dip] ? t : dip;
    const double dip_db = (double)e->db[dip], before = highest(e, last_s, (double)dip * ENVELOPE_HOP_S);
    return after - dip_db >= RISE_DB && before - dip_db >= DIP_DB && after > before - MASKED_DB;
}

/* Onset candidates: the end of each silence, and peaks of the flux that are louder than before or of another pitch. */
static bl_status find_onsets(const envelope *e, const audio_flux *flux, const audio_f0_track *f0, data_pieces *p, bl_error *err)
{
    float top = 0;
    for (int64_t t = 0; t < flux->n_frames; t++)
        top = flux->sum[t] > top ? flux->sum[t] : top;
    double last_s = -1;
    int silent = 1;
    const int64_t reach = 3;
    for (int64_t t = 0; t < flux->n_frames; t++) {
        const double time_s = (double)t * flux->hop_s;
        const double now = (double)e->db[frame_at(e, time_s)];
        int begins = 0;
        if (now < (double)e->threshold_db)
            silent = 1;
        else if (silent) { /* unless it is what a note leaves behind when it hovers about the threshold */
            begins = last_s < 0 || time_s - last_s > TAIL_S || is_new_attack(e, last_s, time_s);
            silent = !begins;
        }
        if (!begins && flux->sum[t] > 0.15f * top) {
            int is_peak = 1;
            for (int64_t k = t - reach; k <= t + reach; k++)
                is_peak &= k < 0 || k >= flux->n_frames || flux->sum[k] <= flux->sum[t];
            double step = 0;
            if (f0 && f0->n_frames) {
                const double before = pitch_near(f0, time_s - 0.09, time_s - 0.03), after = pitch_near(f0, time_s + 0.04, time_s + 0.1);
                step = isnan(before) || isnan(after) ? 0 : fabs(after - before);
            }
            begins = is_peak && highest(e, time_s, time_s + 0.08) > (double)e->threshold_db &&
                     (step > 0.8 || is_new_attack(e, last_s > 0 ? last_s : 0, time_s));
        }
        if (!begins || (last_s >= 0 && time_s - last_s < MIN_DISTANCE_S))
            continue;
        const bl_status status = add_piece(p, (data_piece){ time_s, 0, 0, -1, 0 }, err);
        if (status != BL_OK)
            return status;
        last_s = time_s;
    }
    return BL_OK;
}

/* Where the sound that began at onset has died away, at most at limit. */
static double find_end(const envelope *e, double onset_s, double limit_s)
{
    const double top = highest(e, onset_s, onset_s + 0.3 < limit_s ? onset_s + 0.3 : limit_s);
    const double floor_db = top - DECAY_DB > (double)e->threshold_db ? top - DECAY_DB : (double)e->threshold_db;
    for (int64_t t = frame_at(e, onset_s + 0.02); t < frame_at(e, limit_s); t++) {
        int quiet = 1;
        for (int64_t k = t; k < t + 10 && k < e->n; k++)
            quiet &= (double)e->db[k] < floor_db;
        if (quiet)
            return (double)t * ENVELOPE_HOP_S;
    }
    return limit_s;
}

/* Pitch of a piece whose samples are x [n]; 0 when it has none. hint: the note its file name says, or -1. */
static int measure_pitch(const float *x, int64_t n, int sample_rate, int instrument, const audio_f0_track *f0, int hint, data_piece *piece)
{
    const data_instrument *in = instrument >= 0 ? data_instrument_at(instrument) : NULL;
    double pitch = median_pitch(f0, pitch_range(instrument), piece->onset_s + 0.03, piece->end_s);
    if (isnan(pitch))
        return 0;
    const int same_class = hint >= 0 && (hint - (int)lround(pitch)) % 12 == 0;
    pitch = settle_octave(x, n, sample_rate, pitch, same_class ? hint : -1, in ? in->lowest - RANGE_MARGIN : 24,
                          in ? in->highest + RANGE_MARGIN : 96);
    piece->pitch = (int)lround(pitch);
    piece->cents = 100 * (pitch - piece->pitch);
    return 1;
}

bl_status data_find_pieces(const float *x, int64_t n, int sample_rate, int instrument, int known_pitch, const char *name,
                           const data_tones_options *options, data_pieces *p, bl_error *err)
{
    const int drums = instrument >= 0 && !data_instrument_at(instrument)->is_pitched;
    const int hint = name ? data_pitch_in_name(name) : -1, drum_hint = name && drums ? data_drum_in_name(name) : -1;
    const double length_s = (double)n / sample_rate;
    envelope e = { 0 };
    audio_flux flux = { 0 };
    audio_f0_track f0 = { 0 };
    *p = (data_pieces){ 0 };
    bl_status status = envelope_run(x, n, sample_rate, &e, err);
    if (status != BL_OK)
        goto done;
    if ((double)e.peak_db < options->min_level_db) {
        p->n_too_quiet++;
        goto done;
    }
    if ((status = audio_flux_run(x, n, sample_rate, &flux, err)) != BL_OK)
        goto done;
    if (!drums && known_pitch < 0 && (status = audio_f0_run(x, n, sample_rate, pitch_range(instrument), &f0, err)) != BL_OK)
        goto done;
    if ((status = find_onsets(&e, &flux, &f0, p, err)) != BL_OK)
        goto done;
    if (known_pitch >= 0 && p->n > 1)
        p->n = 1;
    for (int i = 0; i < p->n; i++)
        p->pieces[i].onset_s = refine_onset(x, n, sample_rate, &e, p->pieces[i].onset_s, i ? p->pieces[i - 1].onset_s + MIN_DISTANCE_S : 0);

    int kept = 0;
    for (int i = 0; i < p->n; i++) {
        data_piece piece = p->pieces[i];
        piece.limit_s = i + 1 < p->n ? p->pieces[i + 1].onset_s : length_s;
        piece.end_s = find_end(&e, piece.onset_s, piece.limit_s);
        const int64_t first = (int64_t)(piece.onset_s * sample_rate);
        int64_t count = (int64_t)((piece.end_s - piece.onset_s) * sample_rate);
        count = first + count > n ? n - first : count;
        if (piece.end_s - piece.onset_s < options->min_seconds || count < 1) {
            p->n_too_short++;
            continue;
        }
        if (drums)
            piece.pitch = drum_hint >= 0 && p->n <= 2 ? drum_hint : judge_drum(x + first, count, sample_rate, piece.end_s - piece.onset_s);
        else if (known_pitch >= 0)
            piece.pitch = known_pitch;
        else {
            const int may_hint = hint >= 0 && p->n <= 3;
            if (!measure_pitch(x + first, count, sample_rate, instrument, &f0, may_hint ? hint : -1, &piece)) {
                p->n_unpitched++;
                continue;
            }
        }
        p->pieces[kept++] = piece;
    }
    p->n = kept;
done:
    free(e.db);
    audio_flux_free(&flux);
    audio_f0_free(&f0);
    return status;
}
