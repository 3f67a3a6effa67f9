#include "infer/roll_picture.h"

#include "data/instruments.h"
#include "infer/listen_lanes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LEFT = 96, RIGHT = 30, WIDTH = 1640, LEAST_WIDTH = 900, TITLE = 48, LEGEND = 28,
    FORM = 26, PHRASES = 8, CHORDS = 28, BARS = 26, HIT_ROW = 17, SECONDS = 26, GAP = 7, BETWEEN = 26,
    MAX_SYSTEMS = 16, MAX_HEIGHT = 15000 /* of all systems: a canvas holds 16384 pixels */
};
static const double LONGEST_S = 30;

enum { VOICE = 0xC2334A, DRUMS = 0x3A3A44, BEAT_LINE = 0xEEEEF4, BAR_LINE = 0xC9C9D6, KEY_ROW = 0xF5F5F9, OCTAVE = 0xD5D5E0 };
/* By family of the data module, so that an instrument looks the same in every song. */
static const uint32_t colours[DATA_N_FAMILIES] = {
    [DATA_GUITARS] = 0x3B6FB6, [DATA_BASSES] = 0xE08A2E, [DATA_PERCUSSION] = 0x6B8E23, [DATA_KEYBOARDS] = 0x3E9B6E, [DATA_ORGANS] = 0xB8A01F,
    [DATA_STRINGS] = 0x8E5FB5, [DATA_WOODWINDS] = 0x2FA4B5, [DATA_BRASS] = 0xB5651D, [DATA_MALLETS] = 0xD46FA0, [DATA_VOICES] = 0x9E7B6B,
    [DATA_SYNTHS] = 0x5C6BC0, [DATA_PLUCKED] = 0x00897B
};

/* Rows of a drum kit from top to bottom, with the General MIDI keys that belong to each; the last takes the rest. */
enum { N_ROWS = 7, OTHER_ROW = N_ROWS - 1, OPEN_HAT = 46 };
static const struct { const char *name; const char *keys; } drum_rows[N_ROWS] = {
    { "crash", "\061\064\067\071" }, { "ride", "\063\065\073" }, { "hi-hat", "\052\054\056" }, { "toms", "\051\053\055\057\060\062" },
    { "snare", "\046\050\045\047" }, { "kick", "\043\044" }, { "other", "" }
};

typedef struct roll {
    infer_system  s;
    const infer_plan *plan;
    int           low, high, voice_low, voice_high; /* pitches of the band's and the voice's lanes; high < low: none */
    int           row, voice_row;                   /* pixels of a semitone                                          */
    int           rows[N_ROWS], n_rows;             /* of the drums that are played                                  */
    double        cuts[MAX_SYSTEMS + 2];            /* where systems begin, and the end                              */
    int           n_systems, height, top;           /* of a system; of what stands above the first                   */
    double        scale;                            /* pixels a second                                               */
} roll;

static int row_of(int key)
{
    for (int r = 0; r < OTHER_ROW; r++)
        if (key > 0 && key < 128 && strchr(drum_rows[r].keys, key))
            return r;
    return OTHER_ROW;
}

/* ---- layout ---- */

static void widen(int *low, int *high, int least)
{
    if (*high < *low)
        return;
    *low -= 1;
    *high += 1;
    while (*high - *low + 1 < least) {
        *high += *high < 127;
        *low -= *low > 0 && *high - *low + 1 < least;
    }
    *low = *low < 0 ? 0 : *low;
    *high = *high > 127 ? 127 : *high;
}

static void find_ranges(roll *r)
{
    const infer_plan *p = r->plan;
    int played[N_ROWS] = { 0 };
    r->low = r->voice_low = 127;
    r->high = r->voice_high = 0;
    for (int t = 0; t < p->score.n_tracks; t++)
        for (int i = 0; i < p->score.tracks[t].n_notes; i++) {
            const int pitch = p->score.tracks[t].notes[i].pitch;
            if (p->score.tracks[t].is_drums) {
                played[row_of(pitch)] = 1;
                continue;
            }
            r->low = pitch < r->low ? pitch : r->low;
            r->high = pitch > r->high ? pitch : r->high;
        }
    for (int i = 0; i < p->n_melody; i++) {
        r->voice_low = p->melody[i].pitch < r->voice_low ? p->melody[i].pitch : r->voice_low;
        r->voice_high = p->melody[i].pitch > r->voice_high ? p->melody[i].pitch : r->voice_high;
    }
    for (int k = 0; k < N_ROWS; k++)
        if (played[k])
            r->rows[r->n_rows++] = k;
    widen(&r->low, &r->high, 24);
    widen(&r->voice_low, &r->voice_high, 14);
    const int n = r->high - r->low + 1;
    r->row = n <= 44 ? 8 : n <= 56 ? 7 : n <= 72 ? 6 : n <= 96 ? 5 : 4;
    r->voice_row = r->voice_high - r->voice_low < 26 ? 7 : r->voice_high - r->voice_low < 44 ? 5 : 4;
}

/* Systems of so many bars that the longest is not too long; without bars of equal times. */
static void find_systems(roll *r)
{
    static const int counts[] = { 64, 48, 32, 24, 16, 12, 8, 6, 4, 2, 1 };
    const infer_plan *p = r->plan;
    const int room = MAX_HEIGHT / r->height, most_systems = room < MAX_SYSTEMS ? room : MAX_SYSTEMS;
    const double duration = fmax(p->duration_s, 0.5), longest = fmax(LONGEST_S, 1.15 * duration / most_systems);
    double last_s = music_score_end_s(&p->score);
    int n = p->n_downbeats, step = 1;
    for (int i = 0; i < p->n_melody; i++)
        last_s = fmax(last_s, p->melody[i].offset_s);
    while (n > 1 && p->downbeats_s[n - 1] >= last_s - 0.05) /* no system for a bar line behind everything */
        n--;
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        double most = n ? (n > counts[c] ? p->downbeats_s[counts[c]] : duration) : HUGE_VAL;
        for (int i = counts[c]; i < n; i += counts[c])
            most = fmax(most, (i + counts[c] < n ? p->downbeats_s[i + counts[c]] : duration) - p->downbeats_s[i]);
        step = counts[c];
        if (most <= longest)
            break;
    }
    const int by_bars = n > 1 && (n - 1) / step < most_systems;
    r->n_systems = by_bars ? (n - 1) / step + 1 : (int)fmin(most_systems, ceil(duration / LONGEST_S));
    r->cuts[0] = 0;
    for (int i = 1; i < r->n_systems; i++)
        r->cuts[i] = by_bars ? p->downbeats_s[i * step] : i * duration / r->n_systems;
    r->cuts[r->n_systems] = duration;
    double most = 0;
    for (int i = 0; i < r->n_systems; i++)
        most = fmax(most, r->cuts[i + 1] - r->cuts[i]);
    r->s.width = r->n_systems > 1 ? WIDTH : (int)fmin(WIDTH, fmax(LEAST_WIDTH, 70 * duration));
    r->scale = r->s.width / most;
}

static int band_height(const roll *r)
{
    return r->high < r->low ? 0 : (r->high - r->low + 1) * r->row;
}

static int voice_height(const roll *r)
{
    return r->voice_high < r->voice_low ? 0 : (r->voice_high - r->voice_low + 1) * r->voice_row;
}

/* ---- lanes ---- */

static void grid(const roll *r, int y, int height)
{
    const infer_plan *p = r->plan;
    const infer_system *s = &r->s;
    const double beat = p->n_beats > 1 ? (p->beats_s[p->n_beats - 1] - p->beats_s[0]) / (p->n_beats - 1) * r->scale : 0;
    for (int i = 0; i < p->n_beats && beat >= 7; i++)
        if (p->beats_s[i] >= s->from_s && p->beats_s[i] < s->to_s)
            audio_canvas_rect(s->canvas, (int)lround(infer_lane_x(s, p->beats_s[i])), y, 1, height, BEAT_LINE, 1);
    for (int i = 0; i < p->n_downbeats; i++)
        if (p->downbeats_s[i] >= s->from_s && p->downbeats_s[i] < s->to_s)
            audio_canvas_rect(s->canvas, (int)lround(infer_lane_x(s, p->downbeats_s[i])), y, 1, height, BAR_LINE, 1);
}

/* Black keys shaded, a line below each C, and its name. */
static void keyboard(const roll *r, int low, int high, int row, int y)
{
    static const int black[12] = { 0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 1, 0 };
    const infer_system *s = &r->s;
    char text[16];
    for (int m = low; m <= high; m++) {
        const int top = y + (high - m) * row;
        if (black[m % 12])
            audio_canvas_rect(s->canvas, s->x, top, s->width, row, KEY_ROW, 1);
    }
    grid(r, y, (high - low + 1) * row);
    for (int m = low; m <= high; m++) {
        if (m % 12)
            continue;
        const int bottom = y + (high - m + 1) * row;
        if (m > low)
            audio_canvas_rect(s->canvas, s->x, bottom, s->width, 1, OCTAVE, 1);
        snprintf(text, sizeof text, "C%d", m / 12 - 1);
        audio_canvas_text(s->canvas, s->x - 12 - audio_canvas_text_width(text, 2), bottom - row / 2 - 7, 2, LANE_INK, text);
    }
}

static uint32_t mixed(uint32_t a, uint32_t b, double share)
{
    uint32_t out = 0;
    for (int shift = 16; shift >= 0; shift -= 8) {
        const double x = (double)(a >> shift & 255), y = (double)(b >> shift & 255);
        out |= (uint32_t)(x + (y - x) * share + 0.5) << shift;
    }
    return out;
}

/* A bar with a dark beginning, lighter where it is played softly. */
static void draw_note(const infer_system *s, const music_note *n, int high, int row, int y, uint32_t colour)
{
    int x0, x1;
    if (!infer_lane_within(s, n->onset_s, fmax(n->offset_s, n->onset_s + 0.02), &x0, &x1))
        return;
    const int top = y + (high - n->pitch) * row, height = row > 5 ? row - 1 : row;
    const double strength = 0.45 + 0.55 * (n->velocity < 20 ? 0 : n->velocity > 115 ? 1 : (n->velocity - 20) / 95.0);
    x1 = x1 - x0 > 3 ? x1 - 1 : x1;
    x1 = x1 < x0 + 2 ? x0 + 2 : x1;
    audio_canvas_rect(s->canvas, x0, top, x1 - x0, height, mixed(LANE_PAPER, colour, strength), 1);
    if (n->onset_s >= s->from_s)
        audio_canvas_rect(s->canvas, x0, top, 2, height, mixed(colour, 0x000000, 0.35), 1);
    if (x1 - x0 > 4)
        audio_canvas_rect(s->canvas, x0, top + height - 1, x1 - x0, 1, mixed(colour, 0x000000, 0.15), 1);
}

/* The family's colour, or the next free one where an earlier track has it. */
static uint32_t colour_of(const infer_plan *p, int track)
{
    int used[DATA_N_FAMILIES] = { 0 }, n_used = 0, k = 0;
    for (int t = 0; t <= track; t++) {
        const music_track *at = &p->score.tracks[t];
        if (at->is_drums || !at->n_notes)
            continue;
        const int id = data_instrument_guess(at->name);
        k = id >= 0 ? (int)data_instrument_at(id)->family : DATA_SYNTHS;
        if (n_used++ % DATA_N_FAMILIES == 0) /* all are taken: begin again */
            memset(used, 0, sizeof used);
        while (used[k])
            k = (k + 1) % DATA_N_FAMILIES;
        used[k] = 1;
    }
    return p->score.tracks[track].is_drums ? DRUMS : colours[k];
}

static double mean_length(const music_track *t)
{
    double sum = 0;
    for (int i = 0; i < t->n_notes; i++)
        sum += t->notes[i].offset_s - t->notes[i].onset_s;
    return t->n_notes ? sum / t->n_notes : 0;
}

/* Tracks of long notes first, so that short ones lie on them. */
static void band(const roll *r, int y)
{
    const infer_plan *p = r->plan;
    double last = HUGE_VAL;
    int last_track = -1;
    keyboard(r, r->low, r->high, r->row, y);
    for (int k = 0; k < p->score.n_tracks; k++) {
        int next = -1;
        for (int t = 0; t < p->score.n_tracks; t++) {
            const double length = mean_length(&p->score.tracks[t]);
            const int later = length < last || (length == last && t > last_track);
            if (later && (next < 0 || length > mean_length(&p->score.tracks[next])))
                next = t;
        }
        if (next < 0)
            break;
        last = mean_length(&p->score.tracks[next]);
        last_track = next;
        const uint32_t colour = colour_of(p, next);
        for (int i = 0; i < p->score.tracks[next].n_notes && !p->score.tracks[next].is_drums; i++)
            draw_note(&r->s, &p->score.tracks[next].notes[i], r->high, r->row, y, colour);
    }
    infer_lane_frame(&r->s, r->s.x, r->s.x + r->s.width, y, band_height(r), LANE_BAR);
}

static void voice(const roll *r, int y)
{
    const infer_plan *p = r->plan;
    keyboard(r, r->voice_low, r->voice_high, r->voice_row, y);
    for (int i = 0; i < p->n_melody; i++)
        draw_note(&r->s, &p->melody[i], r->voice_high, r->voice_row, y, VOICE);
    infer_lane_frame(&r->s, r->s.x, r->s.x + r->s.width, y, voice_height(r), LANE_BAR);
}

static void drums(const roll *r, int y)
{
    const infer_plan *p = r->plan;
    const infer_system *s = &r->s;
    grid(r, y, r->n_rows * HIT_ROW);
    for (int k = 0; k < r->n_rows; k++) {
        infer_lane_name(s, y + k * HIT_ROW, HIT_ROW, drum_rows[r->rows[k]].name);
        if (k)
            audio_canvas_rect(s->canvas, s->x, y + k * HIT_ROW, s->width, 1, LANE_FAINT, 1);
    }
    for (int t = 0; t < p->score.n_tracks; t++)
        for (int i = 0; i < p->score.tracks[t].n_notes && p->score.tracks[t].is_drums; i++) {
            const music_note *n = &p->score.tracks[t].notes[i];
            const double size = 4.5 + 8 * n->velocity / 127.0, x = infer_lane_x(s, n->onset_s);
            int k = 0;
            while (k + 1 < r->n_rows && r->rows[k] != row_of(n->pitch))
                k++;
            const double at = y + (k + 0.5) * HIT_ROW;
            if (n->onset_s < s->from_s || n->onset_s >= s->to_s)
                continue;
            audio_canvas_line(s->canvas, x, at, x, at, size, mixed(LANE_PAPER, DRUMS, 0.4 + 0.6 * n->velocity / 127.0));
            if (n->pitch == OPEN_HAT)
                audio_canvas_line(s->canvas, x, at, x, at, size - 5, LANE_PAPER);
        }
    infer_lane_frame(s, s->x, s->x + s->width, y, r->n_rows * HIT_ROW, LANE_BAR);
}

/* ---- the page ---- */

/* Colours and names; draws nothing when canvas is not there yet. Returns how many lines it takes. */
static int legend(const roll *r, int y)
{
    const infer_plan *p = r->plan;
    int x = LEFT, lines = 1;
    for (int t = -1; t < p->score.n_tracks; t++) {
        char name[72] = "voice";
        if (t < 0 ? !p->n_melody : !p->score.tracks[t].n_notes)
            continue;
        if (t >= 0) { /* the second flute is "flute 2" */
            int player = 1;
            for (int k = 0; k < t; k++)
                player += p->score.tracks[k].n_notes && !strcmp(p->score.tracks[k].name, p->score.tracks[t].name);
            snprintf(name, sizeof name, player > 1 ? "%s %d" : "%s", p->score.tracks[t].name, player);
        }
        const int width = 22 + audio_canvas_text_width(name, 2) + 28;
        if (x + width > LEFT + r->s.width && x > LEFT) {
            x = LEFT;
            lines++;
        }
        if (r->s.canvas->rgb) {
            audio_canvas_rect(r->s.canvas, x, y + (lines - 1) * LEGEND + 1, 14, 12, t < 0 ? VOICE : colour_of(p, t), 1);
            audio_canvas_text(r->s.canvas, x + 22, y + (lines - 1) * LEGEND, 2, LANE_INK, name);
        }
        x += width;
    }
    return lines;
}

static void heading(const roll *r, const char *title)
{
    const infer_plan *p = r->plan;
    char text[200];
    int x = LEFT, n = 0;
    audio_canvas_text(r->s.canvas, x, 14, 3, LANE_INK, title);
    x += audio_canvas_text_width(title, 3) + 30;
    n += snprintf(text + n, sizeof text - (size_t)n, "%s%s", p->genre, p->genre[0] ? ", " : "");
    if (p->tempo_bpm > 0)
        n += snprintf(text + n, sizeof text - (size_t)n, "%.1f bpm, ", p->tempo_bpm);
    if (p->key[0])
        n += snprintf(text + n, sizeof text - (size_t)n, "%s, ", p->key);
    n += snprintf(text + n, sizeof text - (size_t)n, "%d:%02d", (int)p->duration_s / 60, (int)p->duration_s % 60);
    audio_canvas_text(r->s.canvas, x, 20, 2, LANE_GREY, text);
    legend(r, TITLE);
}

static int system_height(const roll *r)
{
    const infer_plan *p = r->plan;
    int h = SECONDS + BETWEEN;
    h += p->n_sections ? FORM + PHRASES + GAP : 0;
    h += p->n_chords ? CHORDS + GAP : 0;
    h += p->n_beats ? BARS + GAP : 0;
    h += voice_height(r) ? voice_height(r) + GAP : 0;
    h += band_height(r) ? band_height(r) + GAP : 0;
    h += r->n_rows ? r->n_rows * HIT_ROW : 0;
    return h;
}

static void draw_system(roll *r, int i)
{
    const infer_plan *p = r->plan;
    infer_system *s = &r->s;
    int y = r->top + i * r->height;
    s->from_s = r->cuts[i];
    s->to_s = r->cuts[i + 1];
    s->width = (int)lround((s->to_s - s->from_s) * r->scale);
    if (p->n_sections) {
        infer_lane_form(s, y, FORM);
        infer_lane_phrases(s, y + FORM + 3, PHRASES);
        y += FORM + PHRASES + GAP;
    }
    if (p->n_chords) {
        infer_lane_chords(s, y, CHORDS);
        y += CHORDS + GAP;
    }
    if (p->n_beats) {
        infer_lane_bars(s, y, BARS);
        y += BARS + GAP;
    }
    if (voice_height(r)) {
        voice(r, y);
        y += voice_height(r) + GAP;
    }
    if (band_height(r)) {
        band(r, y);
        y += band_height(r) + GAP;
    }
    if (r->n_rows) {
        drums(r, y);
        y += r->n_rows * HIT_ROW;
    }
    infer_lane_seconds(s, y);
}

bl_status infer_roll_picture(const char *path, const char *title, const infer_plan *plan, bl_error *err)
{
    audio_canvas canvas = { 0 };
    const infer_heard_song song = { .plan = plan };
    roll r = { .s = { .canvas = &canvas, .song = &song, .x = LEFT }, .plan = plan };
    bl_error own = { 0 };
    find_ranges(&r);
    r.height = system_height(&r);
    find_systems(&r);
    r.top = TITLE + legend(&r, 0) * LEGEND + 8;
    if (audio_canvas_new(&canvas, LEFT + r.s.width + RIGHT, r.top + r.n_systems * r.height, LANE_PAPER, &own) == BL_OK) {
        heading(&r, title);
        for (int i = 0; i < r.n_systems; i++)
            draw_system(&r, i);
        audio_canvas_write(&canvas, path, &own);
    }
    audio_canvas_free(&canvas);
    return own.code == BL_OK ? BL_OK : bl_fail(err, own.code, "%s", own.msg);
}
