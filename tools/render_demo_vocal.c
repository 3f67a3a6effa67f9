/* render_demo_vocal: sings the vocal that `make demo` puts a band behind, and writes data/demo_vocal.flac.
 *
 * A source-filter singer. Control tracks (pitch, five formants, voicing, noise) are laid out from a list of
 * sung syllables, smoothed as a mouth would smooth them, and drive
 *     voiced   sum over k of  k^-tilt * |H(k f0)| * sin(k phi + arg H(k f0))     no harmonic above 11 kHz
 *     noise    white noise through a resonator (s, t, f, ...) or through the formants (h, breath)
 * where H is a cascade of two-pole resonators (Klatt, "Software for a cascade/parallel formant synthesizer", JASA 1980):
 * the vowel's five formants, and seven fixed ones above them, without which the treble would be missing. Pitch glides between notes, drifts a little, and long notes get vibrato.
 * The melody and the words are this project's own. */
#include "audio/soundfile.h"
#include "base/cli.h"
#include "base/rng.h"
#include "music/midi.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979323846

enum { SAMPLE_RATE = 44100, HOP = 32, N_FORMANTS = 5, N_RESONANCES = 12, MAX_HARMONICS = 128, MAX_PHONES = 256 };
static const double bpm = 116, lead_in_s = 0.4, tail_s = 0.5, top_hz = 11000;

/* What the mouth does for one sound. */
typedef struct phone {
    char   symbol;
    double formants[N_FORMANTS];  /* Hz, of an alto                                     */
    double voice_db, noise_db;    /* -90: none                                          */
    double noise_hz, noise_width; /* of hiss; 0: through the formants                   */
    double seconds;               /* of a consonant; 0: a vowel, as long as the note    */
} phone;

static const phone phones[] = {
    { 'a', { 820, 1250, 2750, 3500, 4600 }, 0, -90, 0, 0, 0 },      /* father */
    { 'e', { 590, 2000, 2750, 3550, 4600 }, 0, -90, 0, 0, 0 },      /* day    */
    { 'i', { 390, 2450, 3050, 3600, 4700 }, 0, -90, 0, 0, 0 },      /* see    */
    { 'o', { 530, 930, 2650, 3400, 4500 }, 0, -90, 0, 0, 0 },       /* home   */
    { 'u', { 410, 900, 2550, 3400, 4500 }, 1, -90, 0, 0, 0 },       /* to     */
    { '@', { 600, 1350, 2650, 3450, 4550 }, 0, -90, 0, 0, 0 },      /* the    */
    { 'r', { 430, 1250, 1800, 3200, 4400 }, -4, -90, 0, 0, 0.07 },
    { 'l', { 380, 1150, 2850, 3500, 4500 }, -6, -90, 0, 0, 0.07 },
    { 'm', { 280, 1050, 2300, 3300, 4400 }, -11, -90, 0, 0, 0.08 },
    { 'n', { 290, 1600, 2550, 3300, 4400 }, -11, -90, 0, 0, 0.07 },
    { 'w', { 340, 720, 2400, 3300, 4400 }, -6, -90, 0, 0, 0.07 },
    { 'v', { 350, 1200, 2500, 3400, 4500 }, -12, -34, 5500, 3000, 0.06 },
    { 'D', { 350, 1500, 2600, 3400, 4500 }, -12, -42, 5500, 3000, 0.05 }, /* the */
    { 'z', { 330, 1700, 2600, 3400, 4500 }, -16, -28, 6500, 1800, 0.07 },
    { 'd', { 300, 1800, 2700, 3500, 4500 }, -26, -60, 4000, 2000, 0.05 },
    { 'b', { 300, 900, 2400, 3400, 4500 }, -26, -60, 1200, 1500, 0.05 },
    { 's', { 350, 1700, 2700, 3500, 4500 }, -90, -25, 7000, 1800, 0.10 },
    { 't', { 350, 1800, 2700, 3500, 4500 }, -90, -32, 4500, 2500, 0.05 },
    { '~', { 700, 1500, 2650, 3450, 4550 }, -90, -50, 0, 0, 0.35 }, /* breathing in */
    { 'h', { 600, 1300, 2650, 3450, 4550 }, -30, -26, 0, 0, 0.07 },
};

/* A syllable on a note: the consonants before the vowel are sung ahead of the beat, those after it end the note. */
typedef struct syllable {
    const char *sounds;
    double      beat, beats;
    int         pitch;
} syllable;

static const syllable song[] = {
    /* See the morning roll away */
    { "~si", 0, 0.95, 64 }, { "D@", 1, 0.5, 64 }, { "mor", 1.5, 1, 67 }, { "nin", 2.5, 0.5, 64 }, { "rol", 3, 1, 69 },
    { "@", 4, 0.5, 67 }, { "wei", 4.5, 2.2, 69 },
    /* over all the silver sea */
    { "~o", 8, 1, 67 }, { "v@r", 9, 0.5, 64 }, { "ol", 9.5, 1, 67 }, { "D@", 10.5, 0.5, 64 }, { "sil", 11, 1, 62 },
    { "v@r", 12, 0.5, 64 }, { "si", 12.5, 2.2, 62 },
    /* no-one knows the words I say */
    { "~no", 16, 1, 64 }, { "wan", 17, 0.5, 64 }, { "noz", 17.5, 1, 67 }, { "D@", 18.5, 0.5, 69 }, { "w@rdz", 19, 1, 72 },
    { "ai", 20, 0.5, 71 }, { "sei", 20.5, 2.2, 69 },
    /* but the river sings to me */
    { "~bat", 24, 0.95, 67 }, { "D@", 25, 0.5, 69 }, { "ri", 25.5, 1, 67 }, { "v@r", 26.5, 0.5, 64 }, { "sinz", 27, 1, 64 },
    { "tu", 28, 0.5, 64 }, { "mi", 28.5, 2.2, 62 },
    /* hold on, hold on, we are nearly home */
    { "~hold", 32, 1.5, 72 }, { "an", 33.5, 2, 69 }, { "hold", 36, 1.5, 71 }, { "an", 37.5, 1.8, 67 },
    { "~wi", 40, 0.5, 69 }, { "ar", 40.5, 0.5, 69 }, { "nir", 41, 1, 72 }, { "li", 42, 1, 71 }, { "hom", 43, 3.4, 69 },
};

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

typedef struct segment {
    const phone *phone; /* NULL: silence */
    double       start_s;
} segment;

/* Control tracks, one value per HOP samples. */
typedef struct tracks {
    int     n;
    double *pitch, *voice_db, *noise_db, *noise_hz, *noise_width, *effort, *formant[N_FORMANTS];
} tracks;

static double beat_s(double beat)
{
    return lead_in_s + beat * 60 / bpm;
}

static const phone *find_phone(char symbol)
{
    for (int i = 0; i < COUNT(phones); i++)
        if (phones[i].symbol == symbol)
            return &phones[i];
    BL_ASSERT(!"a sound the singer does not know");
    return NULL;
}

/* When every sound starts. A gap of more than a tenth of a second after a note is silence. */
static int lay_out(segment *segments)
{
    int n = 0;
    for (int i = 0; i < COUNT(song); i++) {
        const syllable *s = &song[i];
        const int length = (int)strlen(s->sounds);
        const double start_s = beat_s(s->beat), end_s = beat_s(s->beat + s->beats);
        double before_s = 0, after_s = 0, at;
        int first = 0, last = length;
        while (find_phone(s->sounds[first])->seconds > 0)
            before_s += find_phone(s->sounds[first++])->seconds;
        while (last > first + 1 && find_phone(s->sounds[last - 1])->seconds > 0)
            after_s += find_phone(s->sounds[--last])->seconds;
        BL_ASSERT(n + length + 2 < MAX_PHONES);
        at = start_s - before_s;
        for (int k = 0; k < first; k++) {
            segments[n++] = (segment){ find_phone(s->sounds[k]), at };
            at += find_phone(s->sounds[k])->seconds;
        }
        /* A diphthong leans on its first vowel. */
        segments[n++] = (segment){ find_phone(s->sounds[first]), start_s };
        if (last > first + 1)
            segments[n++] = (segment){ find_phone(s->sounds[first + 1]), end_s - after_s - fmin(0.22, 0.3 * (end_s - start_s)) };
        at = end_s - after_s;
        for (int k = last; k < length; k++) {
            segments[n++] = (segment){ find_phone(s->sounds[k]), at };
            at += find_phone(s->sounds[k])->seconds;
        }
        if (i + 1 == COUNT(song) || beat_s(song[i + 1].beat) - end_s > 0.1)
            segments[n++] = (segment){ NULL, end_s };
    }
    return n;
}

/* Weighted mean over a Hann window of `seconds`: how fast a mouth or a larynx can move. */
static int smooth(double *x, int n, double seconds)
{
    const int half = (int)(seconds * SAMPLE_RATE / HOP / 2);
    double *y = malloc((size_t)n * sizeof *y);
    if (!y)
        return 0;
    for (int t = 0; t < n; t++) {
        double sum = 0, weight = 0;
        for (int d = -half; d <= half; d++) {
            const int u = t + d < 0 ? 0 : t + d >= n ? n - 1 : t + d;
            const double w = 0.5 + 0.5 * cos(PI * d / (half + 1));
            sum += w * x[u];
            weight += w;
        }
        y[t] = sum / weight;
    }
    memcpy(x, y, (size_t)n * sizeof *y);
    free(y);
    return 1;
}

static void free_tracks(tracks *c)
{
    double *all[] = { c->pitch, c->voice_db, c->noise_db, c->noise_hz, c->noise_width, c->effort };
    for (int i = 0; i < COUNT(all); i++)
        free(all[i]);
    for (int f = 0; f < N_FORMANTS; f++)
        free(c->formant[f]);
}

static int new_tracks(tracks *c, int n)
{
    double **all[] = { &c->pitch, &c->voice_db, &c->noise_db, &c->noise_hz, &c->noise_width, &c->effort };
    int fine = 1;
    *c = (tracks){ .n = n };
    for (int i = 0; i < COUNT(all); i++)
        fine &= (*all[i] = calloc((size_t)n, sizeof(double))) != NULL;
    for (int f = 0; f < N_FORMANTS; f++)
        fine &= (c->formant[f] = calloc((size_t)n, sizeof(double))) != NULL;
    return fine;
}

/* Steps: what sounds, and which note it belongs to (in a rest already the next one). */
static void draw_steps(tracks *c, const segment *segments, int n_segments)
{
    int at = -1, note = 0;
    for (int t = 0; t < c->n; t++) {
        const double s = (double)t * HOP / SAMPLE_RATE;
        while (at + 1 < n_segments && segments[at + 1].start_s <= s)
            at++;
        while (note + 1 < COUNT(song) && s >= fmin(beat_s(song[note + 1].beat), beat_s(song[note].beat + song[note].beats) + 0.15))
            note++;
        const phone *p = at >= 0 ? segments[at].phone : NULL, *shape = p;
        for (int k = at; !shape && k >= 0; k--)
            shape = segments[k].phone;
        if (!shape)
            shape = segments[0].phone;
        c->pitch[t] = song[note].pitch;
        c->voice_db[t] = p ? p->voice_db : -90;
        c->noise_db[t] = p ? p->noise_db : -90;
        c->noise_hz[t] = shape->noise_hz;
        c->noise_width[t] = shape->noise_width;
        for (int f = 0; f < N_FORMANTS; f++)
            c->formant[f][t] = log(shape->formants[f]);
    }
}

/* Loudness of the phrase, from soft to full; the second half of the song is sung with more voice. */
static void draw_effort(tracks *c)
{
    for (int i = 0; i < COUNT(song); i++) {
        const int from = (int)(beat_s(song[i].beat) * SAMPLE_RATE / HOP) - 40;
        const double effort = 0.45 + 0.012 * song[i].beat * (song[i].beat < 40 ? 1 : 0.85) + 0.02 * (song[i].pitch - 64);
        for (int t = from < 0 ? 0 : from; t < c->n; t++)
            c->effort[t] = effort;
    }
}

/* Vibrato on long notes, drift, and the small scoop into the first note of a phrase. */
static void bend_pitch(tracks *c, bl_rng *rng)
{
    double phase = 0, drift = 0, jitter = 0;
    for (int t = 0, note = 0; t < c->n; t++) {
        const double s = (double)t * HOP / SAMPLE_RATE;
        while (note + 1 < COUNT(song) && s >= beat_s(song[note + 1].beat))
            note++;
        const double since = s - beat_s(song[note].beat), length = song[note].beats * 60 / bpm;
        const int first = note == 0 || beat_s(song[note].beat) - beat_s(song[note - 1].beat + song[note - 1].beats) > 0.1;
        const double depth = length > 0.45 && since > 0.22 ? 0.32 * fmin(1, (since - 0.22) / 0.45) * fmin(1, length) : 0;
        drift += 0.0015 * (bl_rng_normal(rng) - drift);
        jitter += 0.15 * (bl_rng_normal(rng) - jitter);
        phase += 2 * PI * (5.6 + 8 * drift) * HOP / SAMPLE_RATE;
        c->pitch[t] += depth * sin(phase) + drift + 0.012 * jitter;
        if (first && since > -0.2 && since < 0.09)
            c->pitch[t] -= 0.5 * (since < 0 ? 1 : 0.5 + 0.5 * cos(PI * since / 0.09));
        const int last = note + 1 == COUNT(song) || beat_s(song[note + 1].beat) - beat_s(song[note].beat + song[note].beats) > 0.1;
        if (last && since > length - 0.35) /* phrases end softly */
            c->voice_db[t] -= 9 * (since - length + 0.35) / 0.35;
        c->voice_db[t] += 2.5 * depth * sin(phase + 0.6) + 6 * drift;
    }
}

static int draw_tracks(tracks *c, double seconds, bl_rng *rng)
{
    segment segments[MAX_PHONES];
    const int n_segments = lay_out(segments);
    int fine = new_tracks(c, (int)(seconds * SAMPLE_RATE / HOP) + 2);
    if (!fine)
        return 0;
    draw_steps(c, segments, n_segments);
    draw_effort(c);
    fine &= smooth(c->pitch, c->n, 0.11) && smooth(c->voice_db, c->n, 0.055) && smooth(c->noise_db, c->n, 0.03) && smooth(c->effort, c->n, 0.12);
    for (int f = 0; f < N_FORMANTS; f++)
        fine &= smooth(c->formant[f], c->n, 0.085);
    if (fine)
        bend_pitch(c, rng);
    return fine;
}

/* ---- sound ---- */

/* Response of the vocal tract at `hz`: unity at 0 Hz. */
static void tract(const double *formant_hz, const double *width_hz, double hz, double *re, double *im)
{
    const double w = 2 * PI * hz / SAMPLE_RATE;
    *re = 1;
    *im = 0;
    for (int f = 0; f < N_RESONANCES; f++) {
        const double r = exp(-PI * width_hz[f] / SAMPLE_RATE), theta = 2 * PI * formant_hz[f] / SAMPLE_RATE;
        const double b = 2 * r * cos(theta), g = 1 - b + r * r;
        const double dr = 1 - b * cos(w) + r * r * cos(2 * w), di = b * sin(w) - r * r * sin(2 * w), d = dr * dr + di * di;
        const double hr = g * dr / d, hi = -g * di / d, re0 = *re;
        *re = re0 * hr - *im * hi;
        *im = re0 * hi + *im * hr;
    }
}

static void formants_at(const tracks *c, int t, double f0, double *hz, double *width)
{
    static const double widths[N_FORMANTS] = { 75, 95, 130, 160, 250 };
    for (int f = 0; f < N_RESONANCES; f++) {
        hz[f] = f < N_FORMANTS ? exp(c->formant[f][t]) : 4500 + 1100 * (f - N_FORMANTS + 1);
        width[f] = f < N_FORMANTS ? widths[f] : 500;
    }
    if (hz[0] < 1.05 * f0) /* singers open the mouth rather than lose the fundamental */
        hz[0] = 1.05 * f0;
    width[0] += c->voice_db[t] < -8 ? 60 : 0; /* nasal and closed sounds are damped */
}

/* Complex amplitudes of the harmonics at control frame t. */
static int harmonics(const tracks *c, int t, double *re, double *im)
{
    double hz[N_RESONANCES], width[N_RESONANCES], power = 0;
    const double f0 = 440 * pow(2, (c->pitch[t] - 69) / 12), level = pow(10, c->voice_db[t] / 20) * (0.5 + 0.5 * c->effort[t]);
    const double tilt = 1.0 - 0.5 * c->effort[t];
    int n = (int)(top_hz / f0);
    n = n < MAX_HARMONICS ? n : MAX_HARMONICS;
    memset(re, 0, MAX_HARMONICS * sizeof *re);
    memset(im, 0, MAX_HARMONICS * sizeof *im);
    if (c->voice_db[t] < -75)
        return 0;
    formants_at(c, t, f0, hz, width);
    for (int k = 1; k <= n; k++) {
        const double a = pow(k, -tilt) * fmin(1, (top_hz - k * f0) / 1500);
        tract(hz, width, k * f0, &re[k - 1], &im[k - 1]);
        re[k - 1] *= a;
        im[k - 1] *= a;
        power += re[k - 1] * re[k - 1] + im[k - 1] * im[k - 1];
    }
    /* A singer evens out most of what a harmonic meeting a formant would do to the loudness. */
    const double gain = level * pow(power, -0.4);
    for (int k = 0; k < n; k++) {
        re[k] *= gain;
        im[k] *= gain;
    }
    return n;
}

/* Amplitudes move linearly between control frames; the phase of the fundamental is summed sample by sample. */
static void sing_voiced(const tracks *c, float *out, int64_t n_samples)
{
    double re[2][MAX_HARMONICS], im[2][MAX_HARMONICS], phase = 0;
    int n[2], now = 0;
    n[0] = harmonics(c, 0, re[0], im[0]);
    for (int t = 0; t + 1 < c->n && (int64_t)t * HOP < n_samples; t++, now ^= 1) {
        const int next = now ^ 1;
        n[next] = harmonics(c, t + 1, re[next], im[next]);
        const int most = n[0] > n[1] ? n[0] : n[1];
        for (int i = 0; i < HOP && (int64_t)t * HOP + i < n_samples; i++) {
            const double x = (double)i / HOP, pitch = c->pitch[t] + x * (c->pitch[t + 1] - c->pitch[t]);
            const double wr = cos(phase), wi = sin(phase);
            double zr = wr, zi = wi, sum = 0;
            for (int k = 0; k < most; k++) {
                const double ar = re[now][k] + x * (re[next][k] - re[now][k]), ai = im[now][k] + x * (im[next][k] - im[now][k]);
                sum += ar * zi + ai * zr;
                const double z = zr * wr - zi * wi;
                zi = zr * wi + zi * wr;
                zr = z;
            }
            out[(int64_t)t * HOP + i] += (float)sum;
            phase = fmod(phase + 2 * PI * 440 * pow(2, (pitch - 69) / 12) / SAMPLE_RATE, 2 * PI);
        }
    }
}

typedef struct resonator {
    double y1, y2;
} resonator;

static double resonate(resonator *r, double x, double hz, double width)
{
    const double radius = exp(-PI * width / SAMPLE_RATE), b = 2 * radius * cos(2 * PI * hz / SAMPLE_RATE);
    const double y = x * (1 - radius) + b * r->y1 - radius * radius * r->y2;
    r->y2 = r->y1;
    r->y1 = y;
    return y;
}

/* Hiss of consonants; and breath, always a little under the voice and shaped by the mouth. */
static void sing_noise(const tracks *c, bl_rng *rng, float *out, int64_t n_samples)
{
    resonator hiss = { 0, 0 }, mouth[3] = { { 0, 0 } };
    double hz[N_RESONANCES], width[N_RESONANCES];
    for (int64_t i = 0; i < n_samples; i++) {
        const int t = (int)(i / HOP);
        const double white = 2 * bl_rng_uniform(rng) - 1, noise = pow(10, c->noise_db[t] / 20);
        const double breath = pow(10, (c->voice_db[t] - 41) / 20) + (c->noise_hz[t] > 0 ? 0 : noise);
        if (i % HOP == 0)
            formants_at(c, t, 0, hz, width);
        double x = 0;
        for (int f = 1; f <= 3; f++)
            x += resonate(&mouth[f - 1], white, hz[f], 2.5 * width[f]);
        const double h = resonate(&hiss, white, c->noise_hz[t] > 0 ? c->noise_hz[t] : 5000, c->noise_width[t] > 0 ? c->noise_width[t] : 2000);
        out[i] += (float)(2.5 * breath * x + (c->noise_hz[t] > 0 ? 9 * noise * h : 0));
    }
}

static bl_status sing(audio_clip *clip, bl_error *err)
{
    const double seconds = beat_s(song[COUNT(song) - 1].beat + song[COUNT(song) - 1].beats) + tail_s;
    tracks c = { 0 };
    bl_rng rng;
    float peak = 0;
    bl_rng_seed(&rng, 20);
    if (audio_clip_new(clip, 1, (int64_t)(seconds * SAMPLE_RATE), SAMPLE_RATE, err) != BL_OK)
        return err->code;
    if (!draw_tracks(&c, seconds, &rng)) {
        free_tracks(&c);
        return bl_fail(err, BL_ENOMEM, "no memory to sing in");
    }
    sing_voiced(&c, clip->samples, clip->n_samples);
    for (int64_t i = 0; i < clip->n_samples; i++)
        peak = fmaxf(peak, fabsf(clip->samples[i]));
    for (int64_t i = 0; i < clip->n_samples; i++)
        clip->samples[i] *= 1 / peak;
    sing_noise(&c, &rng, clip->samples, clip->n_samples);
    free_tracks(&c);
    for (int64_t i = 0; i < clip->n_samples; i++)
        clip->samples[i] *= 0.66f;
    return BL_OK;
}

static bl_status write_notes(const char *path, bl_error *err)
{
    music_score score = { 0 };
    music_track *track = music_score_add_track(&score, "vocals", 53, 0, err);
    if (track) {
        music_score_add_tempo(&score, 0, bpm, err);
        for (int i = 0; i < COUNT(song); i++)
            music_track_add(track, beat_s(song[i].beat), beat_s(song[i].beat + song[i].beats), song[i].pitch, 90, err);
        if (!err->code)
            music_midi_write(path, &score, err);
    }
    music_score_free(&score);
    return err->code;
}

int main(int argc, char **argv)
{
    static const bl_cli_program program = { "render_demo_vocal", "[options] OUT.flac",
                                            "Sings the demo vocal with a source-filter model: 44.1 kHz, mono, 16 bit.",
                                            "  bin/render_demo_vocal data/demo_vocal.flac --notes data/demo_vocal.mid\n", 1, 1, NULL, NULL };
    const char *notes = NULL, *out = NULL;
    const bl_cli_option options[] = { { "notes", 0, BL_CLI_TEXT, &notes, "FILE", "also write the sung notes as a MIDI file" }, { 0 } };
    int n = 0;
    bl_error err = { 0 };
    audio_clip clip = { 0 };
    const int status = bl_cli_parse(&program, options, argc, argv, &out, &n);
    if (status >= 0)
        return status;
    if (sing(&clip, &err) == BL_OK && audio_write(out, &clip, AUDIO_ENCODING_PCM16, &err) == BL_OK && notes)
        write_notes(notes, &err);
    audio_clip_free(&clip);
    return err.code ? bl_cli_fail(&program, &err) : 0;
}
