#include "infer/listen_picture.h"

#include "infer/listen_lanes.h"

#include <math.h>
#include <stdlib.h>

enum {
    LEFT = 92, RIGHT = 28, TITLE = 40, WIDTH = 1600, LEAST_WIDTH = 700,
    FORM = 26, PHRASES = 8, BARS = 26, WAVE_HEIGHT = 76, CHORDS = 28, SPECTRUM = 150, SECONDS = 26,
    GAP = 7, BETWEEN = 22, MAX_SYSTEMS = 14, LONGEST_S = 30
};

typedef struct layout {
    int    width, notes, height; /* of the lanes; of the notes' lane; of a system with the gap below it */
    int    n_systems;
    double system_s;
} layout;

/* As many systems of half a minute as it takes, of equal length; longer ones when that would be too many. */
static layout plan_layout(const infer_heard_song *song, const infer_system *s)
{
    const double duration = fmax(song->plan->duration_s, 0.1);
    layout l = { .width = WIDTH, .n_systems = (int)fmin(MAX_SYSTEMS, ceil(duration / LONGEST_S)), .system_s = duration };
    if (l.n_systems > 1)
        l.system_s = ceil(duration / l.n_systems);
    else
        l.width = (int)fmin(WIDTH, fmax(LEAST_WIDTH, 60 * duration));
    l.n_systems = (int)ceil(duration / l.system_s - 1e-9);
    const int rows = s->high - s->low + 1;
    l.notes = song->plan->n_melody ? (int)fmin(300, fmax(150, 11 * rows)) : 44;
    l.height = FORM + PHRASES + BARS + WAVE_HEIGHT + CHORDS + l.notes + SPECTRUM + SECONDS + 6 * GAP + BETWEEN;
    return l;
}

static int compare_int(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* The range of the melody with some room, but for 1 % at either side; the loudest of the whole song. */
static bl_status find_range(infer_system *s, bl_error *err)
{
    const infer_plan *p = s->song->plan;
    int *pitch = malloc(((size_t)p->n_melody + 1) * sizeof *pitch);
    if (!pitch)
        return bl_fail(err, BL_ENOMEM, "no memory for the picture");
    for (int i = 0; i < p->n_melody; i++)
        pitch[i] = p->melody[i].pitch;
    qsort(pitch, (size_t)p->n_melody, sizeof *pitch, compare_int);
    s->low = p->n_melody ? pitch[p->n_melody / 100] - 2 : 58;
    s->high = p->n_melody ? pitch[p->n_melody - 1 - p->n_melody / 100] + 2 : 62;
    while (p->n_melody && s->high - s->low < 13) {
        s->low--;
        s->high++;
    }
    s->low = s->low < 0 ? 0 : s->low;
    s->high = s->high > 127 ? 127 : s->high;
    free(pitch);
    for (int64_t t = 0; s->song->sketch && t < s->song->sketch->n_columns; t++) {
        s->peak = fmaxf(s->peak, fmaxf(-s->song->sketch->low[t], s->song->sketch->high[t]));
        for (int b = 0; b < AUDIO_SKETCH_BANDS; b++) {
            const int level = s->song->sketch->level[t * AUDIO_SKETCH_BANDS + b];
            s->loudest = level > s->loudest ? level : s->loudest;
        }
    }
    return BL_OK;
}

static void draw_system(infer_system *s, const layout *l, int y)
{
    const int top = y + FORM + PHRASES + GAP, wave = top + BARS + GAP, chords = wave + WAVE_HEIGHT + GAP;
    const int notes = chords + CHORDS + GAP, spectrum = notes + l->notes + GAP;
    infer_lane_form(s, y, FORM);
    infer_lane_phrases(s, y + FORM + 3, PHRASES);
    infer_lane_bars(s, top, BARS);
    infer_lane_downbeats(s, wave, WAVE_HEIGHT, 0.8);
    if (s->song->sketch)
        infer_lane_wave(s, wave, WAVE_HEIGHT);
    infer_lane_chords(s, chords, CHORDS);
    infer_lane_notes(s, notes, l->notes);
    if (s->song->sketch)
        infer_lane_spectrum(s, spectrum, SPECTRUM);
    infer_lane_seconds(s, spectrum + SPECTRUM);
}

bl_status infer_listen_picture(const char *path, const infer_heard_song *song, bl_error *err)
{
    audio_canvas canvas = { 0 };
    infer_system s = { .canvas = &canvas, .song = song, .x = LEFT };
    bl_error own = { 0 };
    if (find_range(&s, &own) == BL_OK) {
        const layout l = plan_layout(song, &s);
        const int height = TITLE + l.n_systems * l.height;
        if (audio_canvas_new(&canvas, LEFT + l.width + RIGHT, height, LANE_PAPER, &own) == BL_OK) {
            if (song->title)
                audio_canvas_text(&canvas, LEFT, 12, 2, LANE_INK, song->title);
            for (int i = 0; i < l.n_systems; i++) {
                s.from_s = i * l.system_s;
                s.to_s = s.from_s + l.system_s;
                s.width = l.width;
                draw_system(&s, &l, TITLE + i * l.height);
            }
            audio_canvas_write(&canvas, path, &own);
        }
    }
    audio_canvas_free(&canvas);
    return own.code == BL_OK ? BL_OK : bl_fail(err, own.code, "%s", own.msg);
}
