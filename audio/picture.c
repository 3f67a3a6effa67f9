/* Spectrograms; the line plot is in plot.c. */
#include "audio/picture.h"

#include "audio/canvas.h"
#include "audio/features.h"
#include "audio/stft.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { LEFT = 76, RIGHT = 84, TITLE = 34, PANEL_TITLE = 24, GAP = 10, BOTTOM = 48 };
enum { INK = 0xE8E8EE, PAPER = 0x16161C, EMPTY = 0x24242C, LINE = 0x40E0FF, MARK = 0xFFFFFF };

/* Nine points of matplotlib's magma (CC0), dark to light. */
static uint32_t magma(double v)
{
    static const uint32_t points[9] = { 0x000004, 0x1D1147, 0x51127C, 0x822681, 0xB63679,
                                        0xE65164, 0xFB8861, 0xFEC287, 0xFCFDBF };
    const double at = (v < 0 ? 0 : v > 1 ? 1 : v) * 8;
    const int i = at < 8 ? (int)at : 7;
    uint32_t colour = 0;
    for (int shift = 16; shift >= 0; shift -= 8) {
        const double a = (double)(points[i] >> shift & 255), b = (double)(points[i + 1] >> shift & 255);
        colour |= (uint32_t)(a + (b - a) * (at - i) + 0.5) << shift;
    }
    return colour;
}

/* ---- the frequency axis: 0 at the bottom, 1 at the top ---- */

typedef struct axis {
    audio_frequency_axis kind;
    double               low, high;   /* in the axis' own unit */
} axis;

static double axis_unit(audio_frequency_axis kind, double hz)
{
    return kind == AUDIO_AXIS_MEL ? audio_hz_to_mel(hz, AUDIO_MEL_HTK) : kind == AUDIO_AXIS_LOG ? log2(hz) : hz;
}

static double axis_hz(const axis *a, double height)
{
    const double u = a->low + (a->high - a->low) * height;
    return a->kind == AUDIO_AXIS_MEL ? audio_mel_to_hz(u, AUDIO_MEL_HTK) : a->kind == AUDIO_AXIS_LOG ? exp2(u) : u;
}

static double axis_height(const axis *a, double hz)
{
    return (axis_unit(a->kind, hz) - a->low) / (a->high - a->low);
}

/* ---- one panel's decibels ---- */

/* Magnitude of row r of height H from one frame: the largest bin the row covers, or between two bins a
 * straight line. Negative above half the sample rate. */
static double row_value(const float *magnitude, int n_bins, double bin_hz, const axis *a, int r, int H)
{
    const double low = axis_hz(a, 1 - (r + 1.0) / H) / bin_hz, high = axis_hz(a, 1 - (double)r / H) / bin_hz;
    if (low > n_bins - 1)
        return -1;
    const int first = (int)ceil(low);
    double largest = -1;
    for (int b = first; b < high && b < n_bins; b++)
        largest = (double)magnitude[b] > largest ? (double)magnitude[b] : largest;
    if (largest >= 0)
        return largest;
    const double middle = (low + high) / 2;
    const int b = (int)middle < n_bins - 1 ? (int)middle : n_bins - 2;
    return (double)magnitude[b] + ((double)magnitude[b + 1] - (double)magnitude[b]) * (middle - b);
}

/* db [H, W]; NAN where there is no sound. A column looks at up to 8 frames of its stretch of time. */
static bl_status panel_db(const audio_clip *clip, int n_fft, const axis *a, double seconds, int W, int H,
                          float *db, bl_error *err)
{
    while (n_fft > 128 && n_fft > clip->n_samples)
        n_fft /= 2;
    const int n_bins = n_fft / 2 + 1;
    const double rate = clip->sample_rate, stretch = seconds * rate / W;
    bl_status status = BL_OK;
    audio_stft *stft = audio_stft_new(&(audio_stft_config){ .n_fft = n_fft, .hop_length = 1, .pad = AUDIO_PAD_ZERO }, err);
    float *mono = malloc(sizeof *mono * (size_t)clip->n_samples);
    float *column = malloc(sizeof *column * 2 * (size_t)n_bins), *magnitude = calloc((size_t)n_bins, sizeof *magnitude);
    if (!stft || !mono || !column || !magnitude) {
        status = bl_fail(err, BL_ENOMEM, "no memory to draw %lld samples", (long long)clip->n_samples);
        goto done;
    }
    audio_clip_mono(clip, mono);
    int looks = (int)ceil(fmin(stretch / (n_fft / 4.0), 8));
    looks = looks < 1 ? 1 : looks;
    for (int c = 0; c < W; c++) {
        const int64_t start = (int64_t)(c * stretch);
        for (int b = 0; b < n_bins; b++)
            magnitude[b] = 0;
        for (int k = 0; k < looks && start < clip->n_samples; k++) {
            int64_t center = (int64_t)((c + (k + 0.5) / looks) * stretch);
            center = center < clip->n_samples ? center : clip->n_samples - 1;
            audio_stft_frame(stft, mono, clip->n_samples, center, column);
            for (int b = 0; b < n_bins; b++)
                magnitude[b] = fmaxf(magnitude[b], hypotf(column[2 * b], column[2 * b + 1]));
        }
        for (int r = 0; r < H; r++) {
            const double v = start < clip->n_samples ? row_value(magnitude, n_bins, rate / n_fft, a, r, H) : -1;
            /* per unit of the window, so that panels with other n_fft agree */
            db[(int64_t)r * W + c] = v < 0 ? NAN : (float)(20 * log10(fmax(v / (n_fft / 4.0), 1e-10)));
        }
    }
done:
    audio_stft_free(stft);
    free(mono);
    free(column);
    free(magnitude);
    return status;
}

/* ---- drawing ---- */

static void frequency_labels(audio_canvas *canvas, const axis *a, int y, int H)
{
    static const double hz[] = { 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 40000 };
    int last = y + H + 100;
    for (size_t i = 0; i < sizeof hz / sizeof *hz; i++) {
        const double h = axis_height(a, hz[i]);
        const int at = y + (int)((1 - h) * (H - 1) + 0.5);
        if (!(h >= 0 && h <= 1) || last - at < 18)
            continue;
        char text[32];
        if (hz[i] < 1000)
            snprintf(text, sizeof text, "%g", hz[i]);
        else
            snprintf(text, sizeof text, "%gk", hz[i] / 1000);
        audio_canvas_rect(canvas, LEFT - 6, at, 5, 1, INK, 1);
        audio_canvas_text(canvas, LEFT - 10 - audio_canvas_text_width(text, 2), at - 7, 2, INK, text);
        last = at;
    }
    audio_canvas_text_up(canvas, 6, y + H / 2 + audio_canvas_text_width("Hz", 2) / 2, 2, INK, "Hz");
}

static double nice_step(double range, int n_wanted)
{
    const double rough = range / n_wanted, decade = pow(10, floor(log10(rough)));
    const double m = rough / decade;
    return decade * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10);
}

static void time_labels(audio_canvas *canvas, int y, int W, double seconds)
{
    static const double clock_steps[] = { 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18000 };
    const int wanted = W / 110 > 1 ? W / 110 : 1;
    const int as_clock = seconds > 120;
    double step = nice_step(seconds, wanted);
    if (as_clock && step < 36000) {
        size_t i = 0;
        while (i + 1 < sizeof clock_steps / sizeof *clock_steps && clock_steps[i] < seconds / wanted)
            i++;
        step = clock_steps[i];
    }
    for (int i = 0; i * step <= seconds * 1.0000001; i++) {
        const double t = i * step;
        const int x = LEFT + (int)(t / seconds * (W - 1) + 0.5);
        char text[48];
        if (as_clock && t >= 3600)
            snprintf(text, sizeof text, "%d:%02d:%02d", (int)(t / 3600), (int)(t / 60) % 60, (int)fmod(t, 60));
        else if (as_clock)
            snprintf(text, sizeof text, "%d:%02d", (int)(t / 60), (int)fmod(t, 60));
        else
            snprintf(text, sizeof text, "%g", t);
        audio_canvas_rect(canvas, x, y, 1, 5, INK, 1);
        audio_canvas_text(canvas, x - audio_canvas_text_width(text, 2) / 2, y + 8, 2, INK, text);
    }
    const char *unit = as_clock ? "min:s" : "s";
    audio_canvas_text(canvas, LEFT + W / 2 - audio_canvas_text_width(unit, 2) / 2, y + 28, 2, INK, unit);
}

static void colour_bar(audio_canvas *canvas, int x, int y, int H, double range_db)
{
    for (int r = 0; r < H; r++)
        audio_canvas_rect(canvas, x, y + r, 12, 1, magma(1 - (double)r / (H - 1)), 1);
    const double step = nice_step(range_db, H / 50 > 1 ? H / 50 : 1);
    for (int i = 0; i * step <= range_db * 1.0000001; i++) {
        const int at = y + (int)(i * step / range_db * (H - 1) + 0.5);
        char text[32];
        snprintf(text, sizeof text, "%g", -i * step + 0.0);
        int ty = at - 7;
        ty = ty < y - 3 ? y - 3 : ty > y + H - 11 ? y + H - 11 : ty;
        audio_canvas_text(canvas, x + 18, ty, 2, INK, i == 0 ? "0 dB" : text);
    }
}

static void overlay(audio_canvas *canvas, const audio_panel *p, const axis *a, int y, int W, int H, double seconds)
{
    for (int64_t i = 0; p->mark_s && i < p->n_marks; i++)
        if (p->mark_s[i] >= 0 && p->mark_s[i] <= seconds)
            audio_canvas_rect(canvas, LEFT + (int)(p->mark_s[i] / seconds * (W - 1) + 0.5), y, 1, H, MARK, 0.45);
    for (int64_t i = 1; p->line_s && p->line_hz && i < p->n_line; i++) {
        const double h0 = axis_height(a, p->line_hz[i - 1]), h1 = axis_height(a, p->line_hz[i]);
        if (p->line_hz[i - 1] > 0 && p->line_hz[i] > 0 && h0 >= 0 && h0 <= 1 && h1 >= 0 && h1 <= 1 &&
            p->line_s[i - 1] >= 0 && p->line_s[i] <= seconds)
            audio_canvas_line(canvas, LEFT + p->line_s[i - 1] / seconds * (W - 1), y + (1 - h0) * (H - 1),
                              LEFT + p->line_s[i] / seconds * (W - 1), y + (1 - h1) * (H - 1), 1.6, LINE);
    }
}

static void draw_panel(audio_canvas *canvas, const float *db, double loudest_db, double range_db, int y, int W, int H)
{
    audio_canvas_rect(canvas, LEFT, y, W, H, EMPTY, 1);
    for (int r = 0; r < H; r++)
        for (int c = 0; c < W; c++) {
            const double v = (double)db[(int64_t)r * W + c];
            if (!isnan(v))
                audio_canvas_pixel(canvas, LEFT + c, y + r, magma(1 + (v - loudest_db) / range_db), 1);
        }
}

static double loudest(const float *db, int64_t n)
{
    double most = -100;   /* silence stays dark instead of being scaled up */
    for (int64_t i = 0; i < n; i++)
        most = (double)db[i] > most ? (double)db[i] : most;
    return most;
}

typedef struct layout {
    int    n_panels, W, H, top, n_fft, own_level;
    double seconds, range_db;
    axis   a;
} layout;

static bl_status plan_layout(const audio_panel *panels, int n_panels, const audio_picture_config *c, layout *l, bl_error *err)
{
    if (n_panels < 1 || n_panels > AUDIO_PICTURE_MAX_PANELS)
        return bl_fail(err, BL_EARG, "expected 1 to %d panels, got %d", AUDIO_PICTURE_MAX_PANELS, n_panels);
    *l = (layout){ .n_panels = n_panels, .W = c->width > 0 ? c->width : 1000, .H = c->panel_height > 0 ? c->panel_height : 260,
                   .top = c->title ? TITLE : GAP, .n_fft = c->n_fft > 0 ? c->n_fft : 2048,
                   .range_db = c->range_db > 0 ? c->range_db : 80, .own_level = c->own_level };
    if (l->H < 16 || l->W < 16)
        return bl_fail(err, BL_EARG, "a panel needs at least 16 x 16 pixels, got %d x %d", l->W, l->H);
    int lowest = 0;
    for (int i = 0; i < n_panels; i++) {
        const audio_clip *clip = panels[i].clip;
        if (!clip || clip->n_samples < 1 || clip->sample_rate < 1)
            return bl_fail(err, BL_EARG, "panel %d of the picture has no samples", i + 1);
        l->seconds = fmax(l->seconds, (double)clip->n_samples / clip->sample_rate);
        lowest = i == 0 || clip->sample_rate < lowest ? clip->sample_rate : lowest;
    }
    const double top_hz = c->fmax_hz > 0 ? c->fmax_hz : fmin(lowest / 2.0, 16000);
    double low_hz = c->fmin_hz > 0 ? c->fmin_hz : 30;
    if (c->fmin_hz <= 0 && low_hz >= top_hz)
        low_hz = top_hz / 100;
    if (!(low_hz < top_hz))
        return bl_fail(err, BL_EARG, "expected fmin < fmax, got %g and %g Hz", low_hz, top_hz);
    l->a = (axis){ c->axis, axis_unit(c->axis, low_hz), axis_unit(c->axis, top_hz) };
    return BL_OK;
}

bl_status audio_picture_spectrograms(const char *path, const audio_panel *panels, int n_panels,
                                     const audio_picture_config *config, bl_error *err)
{
    const audio_picture_config c = config ? *config : (audio_picture_config){ 0 };
    audio_canvas canvas = { 0 };
    float *db = NULL;
    int drawn = 0;   /* from then on messages name the file themselves */
    layout l = { 0 };
    bl_error own = { 0 };

    if (plan_layout(panels, n_panels, &c, &l, &own) != BL_OK)
        goto done;
    const int each = PANEL_TITLE + l.H + GAP;
    const int64_t n = (int64_t)l.W * l.H;
    db = malloc(sizeof *db * (size_t)n * (size_t)n_panels);
    if (!db) {
        bl_fail(&own, BL_ENOMEM, "no memory for the picture");
        goto done;
    }
    if (audio_canvas_new(&canvas, LEFT + l.W + RIGHT, l.top + n_panels * each - GAP + BOTTOM, PAPER, &own) != BL_OK)
        goto done;
    for (int i = 0; i < n_panels; i++)
        if (panel_db(panels[i].clip, l.n_fft, &l.a, l.seconds, l.W, l.H, db + i * n, &own) != BL_OK)
            goto done;

    const double common = loudest(db, n * n_panels);
    if (c.title)
        audio_canvas_text(&canvas, LEFT, 12, 2, INK, c.title);
    for (int i = 0; i < n_panels; i++) {
        const int y = l.top + i * each + PANEL_TITLE;
        draw_panel(&canvas, db + i * n, l.own_level ? loudest(db + i * n, n) : common, l.range_db, y, l.W, l.H);
        overlay(&canvas, &panels[i], &l.a, y, l.W, l.H, l.seconds);
        if (panels[i].title)
            audio_canvas_text(&canvas, LEFT, y - 18, 2, INK, panels[i].title);
        frequency_labels(&canvas, &l.a, y, l.H);
        colour_bar(&canvas, LEFT + l.W + 8, y, l.H, l.range_db);
    }
    time_labels(&canvas, l.top + n_panels * each - GAP, l.W, l.seconds);
    drawn = 1;
    audio_canvas_write(&canvas, path, &own);
done:
    audio_canvas_free(&canvas);
    free(db);
    if (own.code == BL_OK)
        return BL_OK;
    if (!drawn)
        bl_error_prefix(&own, "%s", path);
    return bl_fail(err, own.code, "%s", own.msg);
}
