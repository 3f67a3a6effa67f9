/* Line plots: see audio/picture.h. */
#include "audio/canvas.h"
#include "audio/picture.h"

#include <math.h>
#include <stdio.h>

enum { LEFT = 104, RIGHT = 24, TOP = 40, BOTTOM = 58 };
enum { INK = 0x202024, PAPER = 0xFFFFFF, GRID = 0xE2E2E6 };

static const uint32_t colours[8] = { 0x1F77B4, 0xD62728, 0x2CA02C, 0x9467BD, 0xFF7F0E, 0x17BECF, 0x8C564B, 0x555555 };

typedef struct range { double low, high; } range;

static double x_of(const audio_curve *c, int64_t i)
{
    return c->x ? c->x[i] : (double)i;
}

/* What the axis shows: the value, or its decimal logarithm (-infinity at or below 0). */
static double y_of(const audio_curve *c, int64_t i, int log_y)
{
    return !log_y ? c->y[i] : c->y[i] > 0 ? log10(c->y[i]) : -HUGE_VAL;
}

static void widen(range *r, double v)
{
    r->low = v < r->low ? v : r->low;
    r->high = v > r->high ? v : r->high;
}

/* Returns 0 when there is no point to show. */
static int find_ranges(const audio_curve *curves, int n_curves, int log_y, range *x, range *y)
{
    *x = *y = (range){ HUGE_VAL, -HUGE_VAL };
    for (int k = 0; k < n_curves; k++)
        for (int64_t i = 0; i < curves[k].n; i++) {
            const double a = x_of(&curves[k], i), b = y_of(&curves[k], i, log_y);
            if (isfinite(a) && isfinite(b)) {
                widen(x, a);
                widen(y, b);
            }
        }
    const int any = x->low <= x->high;
    if (!any)
        *x = *y = (range){ 0, 1 };
    /* A range of one value still needs a height; and curves do not touch the frame. */
    if (!(x->high > x->low))
        *x = (range){ x->low - 0.5, x->high + 0.5 };
    double margin = 0.05 * (y->high - y->low);
    if (!(margin > 1e-12 * (fabs(y->low) + fabs(y->high))))
        margin = y->low != 0 ? 0.1 * fabs(y->low) : 0.5;
    y->low -= margin;
    y->high += margin;
    return any;
}

static double nice_step(double extent, int n_wanted)
{
    const double rough = extent / n_wanted, decade = pow(10, floor(log10(rough)));
    const double m = rough / decade;
    return decade * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10);
}

typedef struct frame { int x, y, w, h; range xr, yr; } frame;

static double px(const frame *f, double v)
{
    return f->x + (v - f->xr.low) / (f->xr.high - f->xr.low) * (f->w - 1);
}

static double py(const frame *f, double v)
{
    return f->y + (f->yr.high - v) / (f->yr.high - f->yr.low) * (f->h - 1);
}

static void x_ticks(audio_canvas *canvas, const frame *f)
{
    const double step = nice_step(f->xr.high - f->xr.low, f->w / 130 > 1 ? f->w / 130 : 1);
    for (double i = ceil(f->xr.low / step - 1e-9); i * step <= f->xr.high + 1e-9 * step; i++) {
        const int x = (int)(px(f, i * step) + 0.5);
        char text[32];
        snprintf(text, sizeof text, "%.7g", i * step + 0.0);
        audio_canvas_rect(canvas, x, f->y, 1, f->h, GRID, 1);
        audio_canvas_text(canvas, x - audio_canvas_text_width(text, 2) / 2, f->y + f->h + 8, 2, INK, text);
    }
}

static void y_tick(audio_canvas *canvas, const frame *f, double at, double value)
{
    const int y = (int)(py(f, at) + 0.5);
    char text[32];
    snprintf(text, sizeof text, "%.4g", value + 0.0);
    audio_canvas_rect(canvas, f->x, y, f->w, 1, GRID, 1);
    audio_canvas_text(canvas, f->x - 8 - audio_canvas_text_width(text, 2), y - 7, 2, INK, text);
}

static void y_ticks(audio_canvas *canvas, const frame *f, int log_y)
{
    const double extent = f->yr.high - f->yr.low;
    const int wanted = f->h / 60 > 1 ? f->h / 60 : 1;
    if (!log_y || extent < 0.7) {   /* less than a decade: even steps of the value */
        const double low = log_y ? pow(10, f->yr.low) : f->yr.low, high = log_y ? pow(10, f->yr.high) : f->yr.high;
        const double step = nice_step(high - low, wanted);
        for (double i = ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++)
            if (!log_y || i * step > 0)
                y_tick(canvas, f, log_y ? log10(i * step) : i * step, i * step);
        return;
    }
    static const double inside[] = { 1, 2, 5 };
    const int n_inside = extent < 3 ? 3 : 1;
    const double every = extent > wanted ? ceil(extent / wanted) : 1;
    for (double d = floor(f->yr.low / every) * every; d <= f->yr.high; d += every)
        for (int i = 0; i < n_inside; i++) {
            const double at = d + log10(inside[i]);
            if (at >= f->yr.low && at <= f->yr.high)
                y_tick(canvas, f, at, pow(10, d) * inside[i]);
        }
}

static void draw_curve(audio_canvas *canvas, const frame *f, const audio_curve *c, int log_y, uint32_t colour)
{
    int joined = 0;
    double last_x = 0, last_y = 0;
    for (int64_t i = 0; i < c->n; i++) {
        const double a = x_of(c, i), b = y_of(c, i, log_y);
        const int shown = isfinite(a) && isfinite(b);
        const double x = shown ? px(f, a) : 0, y = shown ? py(f, b) : 0;
        if (shown)
            audio_canvas_line(canvas, joined ? last_x : x, joined ? last_y : y, x, y, 1.7, colour);
        joined = shown;
        last_x = x;
        last_y = y;
    }
}

static void legend(audio_canvas *canvas, const frame *f, const audio_curve *curves, int n_curves)
{
    int widest = 0, n = 0;
    for (int k = 0; k < n_curves; k++)
        if (curves[k].name) {
            const int w = audio_canvas_text_width(curves[k].name, 2);
            widest = w > widest ? w : widest;
            n++;
        }
    const int w = widest + 50, h = 20 * n + 10, x = f->x + f->w - w - 8;
    int y = f->y + 8;
    if (n == 0)
        return;
    audio_canvas_rect(canvas, x, y, w, h, PAPER, 0.85);
    for (int k = 0; k < n_curves; k++)
        if (curves[k].name) {
            audio_canvas_rect(canvas, x + 8, y + 13, 24, 3, colours[k % 8], 1);
            audio_canvas_text(canvas, x + 40, y + 8, 2, INK, curves[k].name);
            y += 20;
        }
}

static void border(audio_canvas *canvas, const frame *f)
{
    audio_canvas_rect(canvas, f->x - 1, f->y - 1, f->w + 2, 1, INK, 1);
    audio_canvas_rect(canvas, f->x - 1, f->y + f->h, f->w + 2, 1, INK, 1);
    audio_canvas_rect(canvas, f->x - 1, f->y - 1, 1, f->h + 2, INK, 1);
    audio_canvas_rect(canvas, f->x + f->w, f->y - 1, 1, f->h + 2, INK, 1);
}

bl_status audio_plot_lines(const char *path, const audio_curve *curves, int n_curves,
                           const audio_plot_config *config, bl_error *err)
{
    const audio_plot_config c = config ? *config : (audio_plot_config){ 0 };
    const int width = c.width > 0 ? c.width : 900, height = c.height > 0 ? c.height : 500;
    audio_canvas canvas;
    bl_error own = { 0 };

    if (n_curves < 1)
        return bl_fail(err, BL_EARG, "%s: a plot needs at least one curve", path);
    if (width < LEFT + RIGHT + 64 || height < TOP + BOTTOM + 64)
        return bl_fail(err, BL_EARG, "%s: a plot needs at least %d x %d pixels, got %d x %d", path,
                       LEFT + RIGHT + 64, TOP + BOTTOM + 64, width, height);
    if (audio_canvas_new(&canvas, width, height, PAPER, &own) != BL_OK)
        return bl_fail(err, own.code, "%s: %s", path, own.msg);

    frame f = { .x = LEFT, .y = TOP, .w = width - LEFT - RIGHT, .h = height - TOP - BOTTOM };
    const int any = find_ranges(curves, n_curves, c.log_y, &f.xr, &f.yr);
    if (any) {
        x_ticks(&canvas, &f);
        y_ticks(&canvas, &f, c.log_y);
        for (int k = 0; k < n_curves; k++)
            draw_curve(&canvas, &f, &curves[k], c.log_y, colours[k % 8]);
    } else {
        audio_canvas_text(&canvas, f.x + f.w / 2 - audio_canvas_text_width("no values yet", 2) / 2, f.y + f.h / 2, 2, INK, "no values yet");
    }
    border(&canvas, &f);
    legend(&canvas, &f, curves, n_curves);
    if (c.title)
        audio_canvas_text(&canvas, f.x, 14, 2, INK, c.title);
    if (c.x_label)
        audio_canvas_text(&canvas, f.x + f.w / 2 - audio_canvas_text_width(c.x_label, 2) / 2, height - 22, 2, INK, c.x_label);
    if (c.y_label)
        audio_canvas_text_up(&canvas, 6, f.y + f.h / 2 + audio_canvas_text_width(c.y_label, 2) / 2, 2, INK, c.y_label);
    const bl_status status = audio_canvas_write(&canvas, path, err);
    audio_canvas_free(&canvas);
    return status;
}
