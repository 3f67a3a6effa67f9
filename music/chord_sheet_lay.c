#define _POSIX_C_SOURCE 200809L
#include "music/chord_sheet.h"

#include "music/chord.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BARS_A_LINE = 4, MAX_BEATS_A_BAR = 64 };
static const double SAME_S = 0.01; /* a chord that changes this little after a beat changes on it */

void music_laid_sheet_free(music_laid_sheet *l)
{
    free(l->chords);
    free(l->sections);
    memset(l, 0, sizeof *l);
}

/* ---- bars of the song ---- */

typedef struct song_bar {
    int    first_beat, n_beats;  /* the beats in it; the first lies on the downbeat */
    double start_s, end_s;
} song_bar;

static int beat_at(const music_sheet_grid *g, double time_s)
{
    int i = 0;
    while (i + 1 < g->n_beats && fabs(g->beats_s[i + 1] - time_s) <= fabs(g->beats_s[i] - time_s))
        i++;
    return i;
}

static song_bar *song_bars(const music_sheet_grid *g, int *n, bl_error *err)
{
    const int per_bar = g->beats_per_bar > 0 ? g->beats_per_bar : 4;
    const int n_bars = g->downbeats_s && g->n_downbeats ? g->n_downbeats : (g->n_beats + per_bar - 1) / per_bar;
    song_bar *bars = NULL;
    *n = 0;
    if (g->n_beats < 2) {
        bl_fail(err, BL_EARG, "a chord sheet is laid over beats, and the song has %d", g->n_beats);
        return NULL;
    }
    if (!(bars = calloc((size_t)n_bars, sizeof *bars))) {
        bl_fail(err, BL_ENOMEM, "no memory for %d bars", n_bars);
        return NULL;
    }
    for (int i = 0; i < n_bars; i++) {
        const int given = g->downbeats_s && g->n_downbeats;
        const int beat = given ? beat_at(g, g->downbeats_s[i]) : i * per_bar;
        const double start = given ? g->downbeats_s[i] : g->beats_s[beat];
        if (start >= g->duration_s || (*n && beat <= bars[*n - 1].first_beat))
            continue;
        bars[(*n)++] = (song_bar){ beat, 0, start, g->duration_s };
    }
    for (int i = 0; i < *n; i++) {
        const int next = i + 1 < *n ? bars[i + 1].first_beat : g->n_beats;
        bars[i].n_beats = next - bars[i].first_beat;
        bars[i].end_s = i + 1 < *n ? bars[i + 1].start_s : g->duration_s;
        /* the beats behind the last downbeat may be more or fewer than a bar's */
        if (i + 1 == *n && bars[i].n_beats > per_bar)
            bars[i].n_beats = per_bar;
    }
    if (!*n)
        bl_fail(err, BL_EARG, "the song's first downbeat lies beyond its end");
    return bars;
}

/* Where share i of n begins, in beats of a bar of m: whole beats where there are enough of them, the longer shares first. */
static double share_beat(int i, int n, int m)
{
    return n <= m ? ceil((double)i * m / n) : (double)i * m / n;
}

static double beat_time(const music_sheet_grid *g, const song_bar *b, double beat)
{
    const int whole = (int)beat, i = b->first_beat + whole;
    if (whole == 0 && beat <= 0)
        return b->start_s;
    const double period = (g->beats_s[g->n_beats - 1] - g->beats_s[0]) / (g->n_beats - 1);
    const double at = i < g->n_beats ? g->beats_s[i] : g->beats_s[g->n_beats - 1] + period * (i - g->n_beats + 1);
    const double next = i + 1 < g->n_beats ? g->beats_s[i + 1] : at + period;
    return at + (beat - whole) * (next - at);
}

/* ---- a sheet over the bars ---- */

/* The sheet's bar that sounds in bar i of the song. */
static int sheet_bar(const music_chord_sheet *s, int i)
{
    const int loop = s->n_sections ? s->sections[s->n_sections - 1].first_bar : 0;
    return i < s->n_bars ? i : loop + (i - s->n_bars) % (s->n_bars - loop);
}

static void lay_chord(music_laid_sheet *laid, double start_s, double end_s, const char *name)
{
    music_chord_span *last = laid->n_chords ? &laid->chords[laid->n_chords - 1] : NULL;
    if (end_s <= start_s)
        return;
    if (last && !strcmp(last->name, name)) {
        last->end_s = end_s;
        return;
    }
    laid->chords[laid->n_chords] = (music_chord_span){ .start_s = start_s, .end_s = end_s };
    strcpy(laid->chords[laid->n_chords++].name, name);
}

static void lay_section(music_laid_sheet *laid, double start_s, double end_s, const char *name)
{
    if (laid->n_sections)
        laid->sections[laid->n_sections - 1].end_s = start_s;
    laid->sections[laid->n_sections] = (music_sheet_part){ .start_s = laid->n_sections ? start_s : 0, .end_s = end_s };
    snprintf(laid->sections[laid->n_sections++].name, sizeof laid->sections->name, "%s", name);
}

bl_status music_chord_sheet_lay(const music_chord_sheet *sheet, const music_sheet_grid *g, music_laid_sheet *laid, bl_error *err)
{
    int n = 0;
    song_bar *bars = song_bars(g, &n, err);
    size_t most = 2;
    const char *name = "N";
    memset(laid, 0, sizeof *laid);
    if (!bars || !n) {
        free(bars);
        return err ? err->code : BL_EARG;
    }
    for (int i = 0; i < n; i++)
        most += (size_t)sheet->bars[sheet_bar(sheet, i)].n;
    laid->chords = calloc(most, sizeof *laid->chords);
    laid->sections = calloc((size_t)n + 1, sizeof *laid->sections);
    if (!laid->chords || !laid->sections) {
        free(bars);
        music_laid_sheet_free(laid);
        return bl_fail(err, BL_ENOMEM, "no memory for the chords");
    }
    laid->n_song_bars = n;
    if (sheet->pickup[0])
        lay_chord(laid, 0, bars[0].start_s, sheet->pickup);
    for (int i = 0; i < n; i++) {
        const int k = sheet_bar(sheet, i);
        const music_sheet_bar *bar = &sheet->bars[k];
        for (int j = 0; j < sheet->n_sections; j++)
            if (sheet->sections[j].first_bar == k)
                lay_section(laid, bars[i].start_s, g->duration_s, sheet->sections[j].name);
        for (int j = 0; j < bar->n; j++) {
            const double from = share_beat(j, bar->n, bars[i].n_beats), to = share_beat(j + 1, bar->n, bars[i].n_beats);
            if (sheet->slots[bar->first + j][0])
                name = sheet->slots[bar->first + j];
            /* beats that do not fit the downbeats, or the end, do not lead out of the bar */
            lay_chord(laid, i == 0 && j == 0 && !sheet->pickup[0] ? 0 : fmin(beat_time(g, &bars[i], from), bars[i].end_s),
                      j + 1 < bar->n ? fmin(beat_time(g, &bars[i], to), bars[i].end_s) : bars[i].end_s, name);
        }
    }
    free(bars);
    return BL_OK;
}

/* ---- and back ---- */

static const char *chord_at(const music_chord_span *chords, int n, double time_s)
{
    const char *name = "N";
    for (int i = 0; i < n && chords[i].start_s <= time_s + SAME_S; i++)
        name = time_s + SAME_S < chords[i].end_s ? chords[i].name : "N";
    return name;
}

/* The fewest shares of a bar of m beats that say what sounds at each; returns how many. */
static int shares(const char *const *sounds, int m)
{
    for (int n = 1; n < m; n++) {
        int good = 1;
        for (int i = 0; i < n && good; i++)
            for (int b = (int)share_beat(i, n, m); b < (int)share_beat(i + 1, n, m); b++)
                good &= !strcmp(sounds[b], sounds[(int)share_beat(i, n, m)]);
        if (good)
            return n;
    }
    return m;
}

static void write_bar(FILE *out, const music_sheet_grid *g, const song_bar *bar, const music_chord_span *chords, int n_chords)
{
    const char *sounds[MAX_BEATS_A_BAR];
    const int m = bar->n_beats < 1 ? 1 : bar->n_beats < MAX_BEATS_A_BAR ? bar->n_beats : MAX_BEATS_A_BAR;
    for (int b = 0; b < m; b++)
        sounds[b] = chord_at(chords, n_chords, b ? g->beats_s[bar->first_beat + b] : bar->start_s);
    const int n = shares(sounds, m);
    for (int i = 0; i < n; i++) {
        const char *name = sounds[(int)share_beat(i, n, m)];
        const int held = i && !strcmp(name, sounds[(int)share_beat(i - 1, n, m)]);
        fprintf(out, "%s%s", i ? " " : "", held ? "/" : !strcmp(name, "N") ? "N.C." : name);
    }
}

/* The last chord before the first bar, when it is another one than the bar's. */
static void write_pickup(FILE *out, const song_bar *first, const music_chord_span *chords, int n)
{
    const char *before = "N", *name = chord_at(chords, n, first->start_s);
    for (int i = 0; i < n && chords[i].start_s < first->start_s - SAME_S; i++)
        before = chords[i].name;
    if (first->start_s > SAME_S && strcmp(before, name) != 0)
        fprintf(out, "(%s) ", strcmp(before, "N") ? before : "N.C.");
}

/* As a section's name can be read again: on one line, without a bracket. */
static void write_header(FILE *out, const char *name)
{
    int letters = 0;
    fprintf(out, "[");
    for (const char *c = name; *c; c++) {
        fputc(*c == ']' || (unsigned char)*c < ' ' ? '_' : *c, out);
        letters += *c != ' ';
    }
    fprintf(out, "%s]\n", letters ? "" : "_");
}

char *music_chord_sheet_write(const music_sheet_grid *g, const music_chord_span *chords, int n_chords,
                              const music_sheet_part *sections, int n_sections, const char *comment, bl_error *err)
{
    char *text = NULL;
    size_t size = 0;
    int n = 0, in_line = 0;
    song_bar *bars = song_bars(g, &n, err);
    FILE *out = bars && n ? open_memstream(&text, &size) : NULL;
    if (!out) {
        free(bars);
        bl_fail(err, BL_ENOMEM, "no memory for the chord sheet");
        return NULL;
    }
    if (comment)
        fprintf(out, "# %s\n", comment);
    for (int i = 0, section = 0; i < n; i++) {
        const char *begins = NULL;
        /* the section that the bar's middle lies in */
        while (section < n_sections && sections[section].start_s <= 0.5 * (bars[i].start_s + bars[i].end_s))
            begins = sections[section++].name;
        if (begins || in_line == BARS_A_LINE) {
            fprintf(out, "%s", i ? "\n" : "");
            in_line = 0;
        }
        if (begins) {
            fprintf(out, "%s", i ? "\n" : "");
            write_header(out, begins);
        }
        fprintf(out, "%s", in_line++ ? " | " : "");
        if (i == 0)
            write_pickup(out, &bars[0], chords, n_chords);
        write_bar(out, g, &bars[i], chords, n_chords);
    }
    fprintf(out, "\n");
    free(bars);
    if (fclose(out) != 0) {
        free(text);
        bl_fail(err, BL_ENOMEM, "no memory for the chord sheet");
        return NULL;
    }
    return text;
}
