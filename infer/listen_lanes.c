#include "infer/listen_lanes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t section_colours[] = { 0x9CC5E8, 0xF4B8A0, 0xB9DDA8, 0xE3C4EE, 0xF5DE92, 0xA8DEDA, 0xF3BCCF, 0xC9C3F2, 0xD8CFB4, 0xBFC7CF };
static const uint32_t root_colours[12] = { 0xF6C5C5, 0xF6D2BF, 0xF6E0B9, 0xF1EBB9, 0xDDEDB9, 0xC5EBC2,
                                           0xBDEBDB, 0xBCE3EE, 0xBFD3F2, 0xCAC6F2, 0xDDC3F0, 0xF0C3E2 };
enum { WAVE = 0x5B7DB1, NOTE = 0x8CCB9B, NOTE_EDGE = 0x2E7D4F, PITCH = 0xC2334A, KEY_ROW = 0xF1F1F6, PHRASE = 0x50505E };

/* ---- time to pixels ---- */

double infer_lane_x(const infer_system *s, double time_s)
{
    return s->x + (time_s - s->from_s) / (s->to_s - s->from_s) * s->width;
}

int infer_lane_within(const infer_system *s, double start_s, double end_s, int *x0, int *x1)
{
    const double a = infer_lane_x(s, start_s), b = infer_lane_x(s, end_s);
    *x0 = (int)lround(fmax(a, s->x));
    *x1 = (int)lround(fmin(b, s->x + s->width));
    return *x1 > *x0;
}

/* Text in a box, as large as fits: twice, once, or not at all. */
static void fit_text(const infer_system *s, int x0, int x1, int y, int height, uint32_t colour, const char *text, int centred)
{
    for (int scale = 2; scale >= 1; scale--) {
        const int width = audio_canvas_text_width(text, scale);
        if (width + 6 > x1 - x0)
            continue;
        audio_canvas_text(s->canvas, centred ? (x0 + x1 - width) / 2 : x0 + 5, y + (height - 7 * scale) / 2, scale, colour, text);
        return;
    }
}

void infer_lane_name(const infer_system *s, int y, int height, const char *text)
{
    audio_canvas_text(s->canvas, s->x - 12 - audio_canvas_text_width(text, 2), y + height / 2 - 7, 2, LANE_GREY, text);
}

void infer_lane_frame(const infer_system *s, int x0, int x1, int y, int height, uint32_t colour)
{
    audio_canvas_rect(s->canvas, x0, y, x1 - x0, 1, colour, 1);
    audio_canvas_rect(s->canvas, x0, y + height - 1, x1 - x0, 1, colour, 1);
    audio_canvas_rect(s->canvas, x0, y, 1, height, colour, 1);
    audio_canvas_rect(s->canvas, x1 - 1, y, 1, height, colour, 1);
}

/* ---- form ---- */

void infer_lane_form(const infer_system *s, int y, int height)
{
    const infer_plan *p = s->song->plan;
    char text[80];
    infer_lane_name(s, y, height, "form");
    for (int i = 0, x0, x1; i < p->n_sections; i++) {
        int first = i;
        for (int k = i; k >= 0; k--)
            first = strcmp(p->sections[k].label, p->sections[i].label) ? first : k;
        int colour = 0;
        for (int k = 0; k < first; k++) { /* how many labels came before */
            int seen = 0;
            for (int m = 0; m < k; m++)
                seen |= !strcmp(p->sections[m].label, p->sections[k].label);
            colour += !seen;
        }
        if (!infer_lane_within(s, p->sections[i].start_s, p->sections[i].end_s, &x0, &x1))
            continue;
        audio_canvas_rect(s->canvas, x0, y, x1 - x0, height, section_colours[colour % 10], 1);
        infer_lane_frame(s, x0, x1, y, height, LANE_PAPER);
        snprintf(text, sizeof text, "%s%s%s", p->sections[i].label, p->sections[i].name[0] ? " " : "", p->sections[i].name);
        fit_text(s, x0, x1, y, height, LANE_INK, text, 0);
    }
}

void infer_lane_phrases(const infer_system *s, int y, int height)
{
    const infer_plan *p = s->song->plan;
    for (int i = 0, x0, x1; i < p->n_phrases; i++) {
        if (!infer_lane_within(s, p->phrases[i].start_s, p->phrases[i].end_s, &x0, &x1))
            continue;
        audio_canvas_rect(s->canvas, x0, y + height / 2 - 1, x1 - x0, 2, PHRASE, 1);
        if (p->phrases[i].start_s >= s->from_s)
            audio_canvas_rect(s->canvas, x0, y, 2, height, PHRASE, 1);
        if (p->phrases[i].end_s <= s->to_s)
            audio_canvas_rect(s->canvas, x1 - 2, y, 2, height, PHRASE, 1);
    }
}

/* ---- beats and bars ---- */

static double mean_gap(const double *x, int n)
{
    return n > 1 ? (x[n - 1] - x[0]) / (n - 1) : 1e9;
}

void infer_lane_downbeats(const infer_system *s, int y, int height, double opacity)
{
    const infer_plan *p = s->song->plan;
    const double scale = s->width / (s->to_s - s->from_s);
    if (mean_gap(p->downbeats_s, p->n_downbeats) * scale < 6)
        return;
    for (int i = 0; i < p->n_downbeats; i++)
        if (p->downbeats_s[i] >= s->from_s && p->downbeats_s[i] < s->to_s)
            audio_canvas_rect(s->canvas, (int)lround(infer_lane_x(s, p->downbeats_s[i])), y, 1, height, LANE_BAR, opacity);
}

void infer_lane_bars(const infer_system *s, int y, int height)
{
    const infer_plan *p = s->song->plan;
    const double scale = s->width / (s->to_s - s->from_s);
    const double bar = mean_gap(p->downbeats_s, p->n_downbeats) * scale;
    int step = 1;
    char text[16];
    infer_lane_name(s, y, height, "bars");
    if (mean_gap(p->beats_s, p->n_beats) * scale >= 4)
        for (int i = 0; i < p->n_beats; i++)
            if (p->beats_s[i] >= s->from_s && p->beats_s[i] < s->to_s)
                audio_canvas_rect(s->canvas, (int)lround(infer_lane_x(s, p->beats_s[i])), y + height - 6, 1, 6, LANE_GREY, 1);
    while (bar * step < 44 && step < 1024) /* 1, 2, 4, 8: as music counts */
        step *= 2;
    for (int i = 0; i < p->n_downbeats; i++) {
        if (p->downbeats_s[i] < s->from_s || p->downbeats_s[i] >= s->to_s)
            continue;
        const int x = (int)lround(infer_lane_x(s, p->downbeats_s[i]));
        if (bar >= 3)
            audio_canvas_rect(s->canvas, x, y + height - 12, 2, 12, LANE_INK, 1);
        snprintf(text, sizeof text, "%d", i + 1);
        if (i % step == 0 && x + 6 + audio_canvas_text_width(text, 2) < s->x + s->width)
            audio_canvas_text(s->canvas, x + 5, y, 2, LANE_INK, text);
    }
    audio_canvas_rect(s->canvas, s->x, y + height - 1, s->width, 1, LANE_GREY, 1);
}

/* ---- waveform ---- */

/* Columns of the sketch under pixel column c. */
static void columns_of(const infer_system *s, int c, int64_t *first, int64_t *last)
{
    const audio_sketch *k = s->song->sketch;
    const double per_pixel = (s->to_s - s->from_s) / s->width;
    *first = (int64_t)floor((s->from_s + c * per_pixel) / k->hop_s);
    *last = (int64_t)ceil((s->from_s + (c + 1) * per_pixel) / k->hop_s) - 1;
    *last = *last < *first ? *first : *last;
    *last = *last >= k->n_columns ? k->n_columns - 1 : *last;
}

void infer_lane_wave(const infer_system *s, int y, int height)
{
    const audio_sketch *k = s->song->sketch;
    const double half = height / 2.0, scale = s->peak > 0 ? (half - 2) / (double)s->peak : 0;
    infer_lane_name(s, y, height, "wave");
    audio_canvas_rect(s->canvas, s->x, y + height / 2, s->width, 1, LANE_FAINT, 1);
    for (int c = 0; c < s->width; c++) {
        int64_t first, last;
        float low = 0, high = 0;
        columns_of(s, c, &first, &last);
        if (first > last)
            break;
        for (int64_t t = first; t <= last; t++) {
            low = fminf(low, k->low[t]);
            high = fmaxf(high, k->high[t]);
        }
        const int top = (int)lround(y + half - (double)high * scale), bottom = (int)lround(y + half - (double)low * scale);
        audio_canvas_rect(s->canvas, s->x + c, top, 1, bottom - top + 1, WAVE, 1);
    }
}

/* ---- chords ---- */

static int root_of(const char *name)
{
    static const int naturals[7] = { 9, 11, 0, 2, 4, 5, 7 }; /* A .. G */
    if (name[0] < 'A' || name[0] > 'G')
        return -1;
    return (naturals[name[0] - 'A'] + (name[1] == '#') - (name[1] == 'b') + 12) % 12;
}

void infer_lane_chords(const infer_system *s, int y, int height)
{
    const infer_plan *p = s->song->plan;
    infer_lane_name(s, y, height, "chords");
    for (int i = 0, x0, x1; i < p->n_chords; i++) {
        const int root = root_of(p->chords[i].name);
        if (!infer_lane_within(s, p->chords[i].start_s, p->chords[i].end_s, &x0, &x1))
            continue;
        audio_canvas_rect(s->canvas, x0, y, x1 - x0, height, root < 0 ? LANE_FAINT : root_colours[root * 7 % 12], 1);
        if (x1 - x0 > 4)
            infer_lane_frame(s, x0, x1, y, height, LANE_PAPER);
        if (root >= 0)
            fit_text(s, x0, x1, y, height, LANE_INK, p->chords[i].name, 1);
    }
}

/* ---- notes ---- */

static double pitch_y(const infer_system *s, double midi, int y, int height)
{
    return y + height - (midi - s->low + 0.5) / (s->high - s->low + 1) * height;
}

static void keyboard(const infer_system *s, int y, int height)
{
    static const int black[12] = { 0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0 };
    static const char *const named[12] = { "C", NULL, NULL, NULL, "E", NULL, NULL, "G", NULL, NULL, NULL, NULL };
    const double row = (double)height / (s->high - s->low + 1);
    const int only_c = row * 3 < 15;
    char text[16];
    for (int m = s->low; m <= s->high; m++) {
        const int top = (int)lround(pitch_y(s, m + 0.5, y, height)), bottom = (int)lround(pitch_y(s, m - 0.5, y, height));
        if (black[m % 12])
            audio_canvas_rect(s->canvas, s->x, top, s->width, bottom - top, KEY_ROW, 1);
        if (m % 12 == 0)
            audio_canvas_rect(s->canvas, s->x, bottom, s->width, 1, LANE_BAR, 0.6);
        if (!named[m % 12] || (only_c && m % 12))
            continue;
        snprintf(text, sizeof text, "%s%d", named[m % 12], m / 12 - 1);
        audio_canvas_text(s->canvas, s->x - 12 - audio_canvas_text_width(text, 2), (top + bottom) / 2 - 7, 2, LANE_INK, text);
    }
}

static void pitch_line(const infer_system *s, int y, int height)
{
    const audio_f0_track *f0 = s->song->f0;
    double last_x = 0, last_y = 0;
    int64_t last_t = -2;
    const int64_t first = (int64_t)(s->from_s / f0->hop_s), end = (int64_t)(s->to_s / f0->hop_s);
    for (int64_t t = first < 0 ? 0 : first; t < f0->n_frames && t < end; t++) {
        if (!(f0->f0_hz[t] > 0))
            continue;
        const double midi = audio_hz_to_midi((double)f0->f0_hz[t]), x = infer_lane_x(s, (double)t * f0->hop_s), at = pitch_y(s, midi, y, height);
        if (midi < s->low - 0.5 || midi > s->high + 0.5)
            continue;
        if (last_t == t - 1 && fabs(at - last_y) < height / 3.0)
            audio_canvas_line(s->canvas, last_x, last_y, x, at, 1.8, PITCH);
        last_x = x;
        last_y = at;
        last_t = t;
    }
}

static int has_flats(const char *key)
{
    static const char *const others[] = { "F major", "D minor", "G minor", "C minor", "F minor" };
    int flats = key[0] && key[1] == 'b';
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        flats |= !strcmp(key, others[i]);
    return flats;
}

void infer_lane_notes(const infer_system *s, int y, int height)
{
    static const char *const sharp[12] = { "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B" };
    static const char *const flat[12] = { "C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B" };
    const infer_plan *p = s->song->plan;
    const char *const *names = has_flats(p->key) ? flat : sharp;
    char text[16];
    keyboard(s, y, height);
    infer_lane_downbeats(s, y, height, 0.8);
    for (int i = 0, x0, x1; i < p->n_melody; i++) {
        const music_note *m = &p->melody[i];
        const int top = (int)lround(pitch_y(s, m->pitch + 0.5, y, height)), bottom = (int)lround(pitch_y(s, m->pitch - 0.5, y, height));
        if (!infer_lane_within(s, m->onset_s, m->offset_s, &x0, &x1) || m->pitch < s->low || m->pitch > s->high)
            continue;
        audio_canvas_rect(s->canvas, x0, top, x1 - x0, bottom - top, NOTE, 1);
        if (x1 - x0 > 3)
            infer_lane_frame(s, x0, x1, top, bottom - top, NOTE_EDGE);
        snprintf(text, sizeof text, "%s%d", names[m->pitch % 12], m->pitch / 12 - 1);
        if (bottom - top >= 7 && x1 - x0 >= audio_canvas_text_width(text, 1))
            audio_canvas_text(s->canvas, x0 + 1, top - 9, 1, NOTE_EDGE, text);
    }
    if (s->song->f0 && s->to_s - s->from_s <= 120)
        pitch_line(s, y, height);
    if (!p->n_melody)
        audio_canvas_text(s->canvas, s->x + 8, y + height / 2 - 7, 2, LANE_GREY, "no melody heard");
    infer_lane_frame(s, s->x, s->x + s->width, y, height, LANE_BAR);
}

/* ---- spectrum ---- */

/* Seven points from paper to night, evenly rising in darkness. */
static uint32_t shade(double v)
{
    static const uint32_t points[7] = { 0xFFFFFF, 0xE3E9F3, 0xB7C8E6, 0x7E9BD3, 0x4F63B4, 0x363188, 0x17103F };
    const double at = (v < 0 ? 0 : v > 1 ? 1 : v) * 6;
    const int i = at < 6 ? (int)at : 5;
    uint32_t colour = 0;
    for (int shift = 16; shift >= 0; shift -= 8) {
        const double a = (double)(points[i] >> shift & 255), b = (double)(points[i + 1] >> shift & 255);
        colour |= (uint32_t)(a + (b - a) * (at - i) + 0.5) << shift;
    }
    return colour;
}

static void spectrum_names(const infer_system *s, int y, int height)
{
    static const struct { double hz; const char *text; } names[] = { { 100, "100" }, { 200, "200" }, { 500, "500" }, { 1000, "1k" },
                                                                     { 2000, "2k" }, { 5000, "5k" }, { 10000, "10kHz" } };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const double band = audio_sketch_band(names[i].hz) + 0.5;
        const int at = y + height - (int)lround(band / AUDIO_SKETCH_BANDS * height);
        audio_canvas_rect(s->canvas, s->x - 6, at, 6, 1, LANE_GREY, 1);
        audio_canvas_text(s->canvas, s->x - 12 - audio_canvas_text_width(names[i].text, 2), at - 7, 2, LANE_GREY, names[i].text);
    }
}

void infer_lane_spectrum(const infer_system *s, int y, int height)
{
    const audio_sketch *k = s->song->sketch;
    enum { RANGE = 170 }; /* levels of 0.4 dB that are shown below the loudest */
    spectrum_names(s, y, height);
    for (int c = 0; c < s->width && s->loudest > 0; c++) {
        int64_t first, last;
        unsigned char level[AUDIO_SKETCH_BANDS] = { 0 };
        columns_of(s, c, &first, &last);
        if (first > last)
            break;
        for (int64_t t = first; t <= last; t++)
            for (int b = 0; b < AUDIO_SKETCH_BANDS; b++)
                level[b] = k->level[t * AUDIO_SKETCH_BANDS + b] > level[b] ? k->level[t * AUDIO_SKETCH_BANDS + b] : level[b];
        for (int r = 0; r < height; r++) {
            const double at = fmin(fmax((height - r - 0.5) / height * AUDIO_SKETCH_BANDS - 0.5, 0), AUDIO_SKETCH_BANDS - 1.001);
            const int b = (int)at;
            const double value = level[b] + (level[b + 1] - level[b]) * (at - b);
            audio_canvas_pixel(s->canvas, s->x + c, y + r, shade((value - s->loudest + RANGE) / RANGE), 1);
        }
    }
    infer_lane_downbeats(s, y, height, 0.5);
    infer_lane_frame(s, s->x, s->x + s->width, y, height, LANE_BAR);
}

/* ---- seconds ---- */

void infer_lane_seconds(const infer_system *s, int y)
{
    static const double steps[] = { 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600 };
    const double range = s->to_s - s->from_s;
    size_t i = 0;
    char text[32];
    while (i + 1 < sizeof steps / sizeof *steps && steps[i] / range * s->width < 90)
        i++;
    for (double t = ceil(s->from_s / steps[i]) * steps[i]; t <= s->to_s + 1e-9; t += steps[i]) {
        const int x = (int)lround(infer_lane_x(s, t));
        if (t >= 60)
            snprintf(text, sizeof text, "%d:%02d%s", (int)t / 60, (int)t % 60, steps[i] < 1 && fmod(t, 1) > 0.1 ? ".5" : "");
        else
            snprintf(text, sizeof text, "%g s", t);
        audio_canvas_rect(s->canvas, x, y, 1, 5, LANE_GREY, 1);
        if (x + audio_canvas_text_width(text, 2) / 2 <= s->canvas->width)
            audio_canvas_text(s->canvas, x - audio_canvas_text_width(text, 2) / 2, y + 8, 2, LANE_INK, text);
    }
}
