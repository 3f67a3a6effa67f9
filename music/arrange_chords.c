#include "music/arrange_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct chord_player {
    writer     *w;
    voicing    *of_span;     /* one per span of the plan */
    int         struck;      /* span that sounds, -1     */
    double      struck_s;
    bass_player riff;        /* lines below a chord      */
    bass_player left;        /* the left hand            */
    int         left_note;   /* index in the track, -1   */
} chord_player;

/* Ends what sounds, except (tie) the pitches of `next`, which go on without a new stroke; they are taken out of it. */
static void let_go(chord_player *c, double time_s, double gate, int tie, voicing *next)
{
    writer *w = c->w;
    int kept = 0;
    for (int i = 0; i < w->n_open; i++) {
        music_note *n = &w->track->notes[w->open[i]];
        int common = -1;
        for (int k = 0; tie && k < next->n; k++)
            if (next->pitch[k] == n->pitch)
                common = k;
        if (common >= 0 && time_s - n->onset_s < 12 * w->p->period_s && n->offset_s > time_s) {
            memmove(next->pitch + common, next->pitch + common + 1, (size_t)(next->n - common - 1) * sizeof *next->pitch);
            next->n--;
            w->open[kept++] = w->open[i];
            continue;
        }
        n->offset_s = fmin(n->offset_s, n->onset_s + gate * (time_s - n->onset_s));
    }
    w->n_open = kept;
}

static void add(voicing *v, int pitch)
{
    if (v->n < 6)
        v->pitch[v->n++] = pitch;
}

/* The shuffle's two strings: root with fifth, sixth or seventh. */
static voicing two_strings(const chord_player *c, int span, char symbol)
{
    const plan *p = c->w->p;
    voicing v = voice_power(c->w->part, p->spans[span].chord);
    const int up = chord_degree(p, span, symbol == 'q' ? '5' : symbol == 's' ? '6' : '7');
    v.n = 1;
    if (up)
        v.pitch[v.n++] = v.pitch[0] + up;
    return v;
}

/* The bass of boom-chicka's second half: the fifth below the lowest voice, or else above it. */
static int alternate_bass(const chord_player *c, int span, int lowest)
{
    const music_chord chord = c->w->p->spans[span].chord;
    const int class = (chord.root + chord_fifth(chord)) % 12;
    for (int q = lowest - 1; q >= c->w->part->lowest && q > lowest - 9; q--)
        if (q % 12 == class)
            return q;
    return nearest_pitch(class, lowest + 7, lowest, lowest + 11);
}

/* Single voices count from below; beyond the top they come down again. One that would rub against the singer gives way to the nearest
 * that does not. */
static int single_voice(const chord_player *c, const voicing *v, int number, double t)
{
    const int k = number < v->n ? number : abs(2 * (v->n - 1) - number) % v->n;
    const double until = t + 0.5 * c->w->p->period_s;
    for (int d = 0; d < v->n; d++)
        for (int sign = -1; sign <= 1; sign += 2) {
            const int i = k + sign * d;
            if (i >= 0 && i < v->n && plan_fight(c->w->p, v->pitch[i], t, until) < 0.5)
                return v->pitch[i];
        }
    return v->pitch[k];
}

/* What a symbol of a chord pattern strikes. */
static voicing pitches_of(const chord_player *c, char symbol, int span, double t)
{
    const voicing v = c->of_span[span];
    voicing play = { .n = 0 };
    switch (symbol) {
    case 'P': case 'p':
        return voice_power(c->w->part, c->w->p->spans[span].chord);
    case 'r':
        play = voice_power(c->w->part, c->w->p->spans[span].chord);
        play.n = 1;
        break;
    case 'q': case 's': case 'v':
        return two_strings(c, span, symbol);
    case 'U': case 'x': /* the upper strings */
        for (int i = v.n > 4 ? v.n - 4 : 0; i < v.n; i++)
            add(&play, v.pitch[i]);
        break;
    case 'B':
        add(&play, v.pitch[0]);
        break;
    case 'b':
        add(&play, alternate_bass(c, span, v.pitch[0]));
        break;
    case 'H':
        for (int i = v.n > 1 ? 1 : 0; i < v.n; i++)
            add(&play, v.pitch[i]);
        break;
    case 'T':
        add(&play, v.pitch[v.n - 1]);
        break;
    case 'D': case 'C':
        return v;
    default:
        add(&play, single_voice(c, &v, symbol - '1', t));
    }
    return play;
}

/* Takes out what would fight the singer for most of its time: of keys any note, of a strum its upper strings; two (guitars: three)
 * notes stay. */
static void make_room(const chord_player *c, voicing *v, char symbol, double t, double until)
{
    const writer *w = c->w;
    const int guitar = w->part->instrument->family == MUSIC_GUITAR;
    const int least = guitar && symbol != 'P' ? 3 : 2;
    if (!strchr("DUCHxP", symbol))
        return;
    for (int i = v->n - 1; i >= 0 && v->n > least; i--) {
        if (plan_fight(w->p, v->pitch[i], t, until) < 0.5) {
            if (guitar)
                break;
            continue;
        }
        memmove(v->pitch + i, v->pitch + i + 1, (size_t)(v->n - i - 1) * sizeof *v->pitch);
        v->n--;
    }
}

/* When the stroke that a pattern makes here is over: at its next cell, two beats later at the most. */
static double stroke_end(const chord_player *c, const style_pattern *pattern, int cell, double t)
{
    int n = 1;
    const int most = pattern ? 2 * pattern->steps : 0, size = pattern ? pattern->steps * pattern->beats * pattern->bars : 0;
    while (n < most && pattern->rows[0].cells[(cell + n) % size] == '.')
        n++;
    return t + c->w->p->period_s * (pattern ? (double)n / pattern->steps : 2);
}

/* One symbol of a chord pattern at a time. */
static void strike(chord_player *c, char symbol, const style_pattern *pattern, int cell, int span, double time_s, int velocity)
{
    writer *w = c->w;
    double spread = 0.001 * w->part->strum_ms, t = time_s + writer_jitter(w);
    const int up = symbol == 'U', muted = symbol == 'x';
    if (c->of_span[span].n == 0)
        return;
    voicing play = pitches_of(c, symbol, span, time_s);
    const double end_s = stroke_end(c, pattern, cell, time_s);
    make_room(c, &play, symbol, time_s, end_s);
    velocity = up ? velocity - 6 : muted ? velocity * 6 / 10 : velocity;
    if (symbol == 'C' || symbol == 'H' || muted)
        spread = fmin(spread, 0.003);
    if (!(pattern && pattern->ring && play.n == 1 && span == c->struck))
        let_go(c, t - 0.01, pattern ? pattern->gate : 0.98, pattern && pattern->tie, &play);
    t -= 0.25 * spread * play.n; /* the middle of a stroke is what the ear takes for its time */
    for (int i = 0; i < play.n; i++) {
        const int k = up ? play.n - 1 - i : i;
        if (!writer_start(w, t + spread * i, play.pitch[k], velocity - (up ? 2 * i : 0) + (i == play.n - 1 ? 3 : 0)))
            continue;
        if (symbol == 'p' || symbol == 'r') /* palm-muted: the hand ends it */
            writer_cut(w, t + fmin(0.13, 0.6 * (end_s - time_s)));
        if (muted) /* a scratch: more noise than pitch */
            writer_cut(w, t + spread * i + 0.065);
    }
    c->struck = span;
    c->struck_s = time_s;
}

/* What to strike when a chord changes where the pattern has nothing: the pattern's first whole-chord symbol. 0: nothing, as where the
 * pattern does not strike on one. */
static char main_symbol(const style_pattern *pattern)
{
    if (strchr("._x", pattern->rows[0].cells[0]))
        return 0;
    for (const char *s = pattern->rows[0].cells; *s; s++)
        if (strchr("DCP", *s))
            return *s;
    return strpbrk(pattern->rows[0].cells, "Hp") ? 'C' : 0;
}

/* The left hand goes its own way: its note ends when it plays the next. */
static void play_left(chord_player *c, const plan_bar *bar, const style_pattern *pattern, int cell, int beat, int span, double t)
{
    writer *w = c->w;
    const style_part *part = w->part;
    char symbol = pattern->left.cells[0] ? pattern->left.cells[cell] : '.';
    music_note *last = c->left_note >= 0 ? &w->track->notes[c->left_note] : NULL;
    if (last && (symbol != '.' || span != c->left.span)) {
        last->offset_s = fmin(last->offset_s, t - 0.01);
        c->left_note = -1;
    }
    if (symbol == '.' || symbol == '_' || span < 0 || !part->left_high || plan_room_end(w->p, t) <= 0)
        return;
    if (span != c->left.span)
        c->left.root = nearest_pitch(w->p->spans[span].chord.bass, (part->left_low + part->left_high) / 2, part->left_low, part->left_high);
    c->left.span = span;
    const int pitch = strchr("R58367b", symbol) ? bass_degree(w->p, span, symbol, c->left.root, part->left_low, part->left_high) : c->left.root;
    const int velocity = plan_velocity(w->p, part, bar, plan_accent(pattern, cell, beat, 0), &w->rng) - (w->p->has_bass ? 10 : 2);
    if (writer_start(w, t + 0.5 * writer_jitter(w), pitch, velocity > 30 ? velocity : 30)) {
        w->n_open--; /* the right hand does not let it go */
        c->left_note = w->track->n_notes - 1;
    }
}

static void play_bar(chord_player *c, const plan_bar *bar, const style_pattern *pattern)
{
    writer *w = c->w;
    char whole = main_symbol(pattern);
    const int beats = bar->stop ? 1 : bar->n_beats;
    for (int b = 0; b < beats; b++) {
        int struck_in_beat = 0;
        for (int s = 0; s < pattern->steps && !(bar->stop && s); s++) {
            double position = bar->first_beat + b + plan_swing(w->p, s, pattern->steps);
            double t = plan_time(w->p, position);
            int cell = plan_cell(w->p, pattern, bar, b, s), span = plan_span_at(w->p, t + 0.03);
            char symbol = bar->stop ? (whole ? whole : 'C') : pattern->rows[0].cells[cell];
            play_left(c, bar, pattern, cell, b, span, t);
            if (span < 0 || plan_room_end(w->p, t) <= 0 || symbol == '_') {
                writer_stop(w, t, 1);
                c->struck = -1;
                continue;
            }
            if (writer_in_own_gap(w, position) || (symbol == '.' && !(whole && span != c->struck && s == 0 && !struck_in_beat))) {
                if (span != c->struck && w->n_open && c->struck >= 0) { /* never ring into another chord */
                    double change = w->p->spans[span].start_s;
                    writer_stop(w, fmin(t, fmax(change, c->struck_s)), 1);
                    c->struck = -1;
                }
                continue;
            }
            int accent = plan_accent(pattern, cell, b, s);
            strike(c, symbol == '.' ? whole : symbol, pattern, cell, span, t, plan_velocity(w->p, w->part, bar, accent, &w->rng));
            struck_in_beat = 1;
        }
    }
    if (bar->stop)
        writer_stop(w, plan_time(w->p, bar->first_beat + 0.5), 1);
}

/* A held chord, struck anew where the chord changes. */
static void hold_bar(chord_player *c, const plan_bar *bar)
{
    writer *w = c->w;
    for (int b = 0; b < bar->n_beats && (bar->mode != BAR_END || b == 0); b++) {
        double t = w->p->beat[bar->first_beat + b];
        int span = plan_span_at(w->p, t + 0.03);
        if (span < 0 || plan_room_end(w->p, t) <= 0 || (b > 0 && span == c->struck))
            continue;
        char symbol = w->part->instrument->family == MUSIC_GUITAR ? 'D' : 'C';
        strike(c, symbol, NULL, 0, span, t, plan_velocity(w->p, w->part, bar, 6, &w->rng));
        if (bar->mode == BAR_END && w->p->cut_end)
            writer_stop(w, plan_time(w->p, bar->first_beat + 0.5), 1);
    }
}

static void play_all(chord_player *c)
{
    writer *w = c->w;
    for (int i = 0; i < w->p->n_bars && !w->failed; i++) {
        const plan_bar *bar = &w->p->bars[i];
        const style_pattern *pattern = bar->mode == BAR_PLAY ? writer_pattern(w, bar) : NULL;
        if (c->left_note >= 0 && (!pattern || !pattern->left.cells[0])) {
            music_note *n = &w->track->notes[c->left_note];
            n->offset_s = fmin(n->offset_s, bar->start_s - 0.01);
            c->left_note = -1;
        }
        if (!pattern || pattern->kind == STYLE_CHORDS)
            c->riff.span = -1;
        if (bar->mode == BAR_SILENT || (bar->mode == BAR_PLAY && !pattern)) {
            writer_stop(w, bar->start_s, 1);
            c->struck = -1;
        } else if (bar->mode == BAR_PLAY && pattern->kind == STYLE_BASS) {
            bass_player_bar(&c->riff, bar, pattern);
            c->struck = -1;
        } else if (bar->mode == BAR_PLAY) {
            play_bar(c, bar, pattern);
        } else {
            hold_bar(c, bar);
        }
    }
}

void arrange_chords(writer *w)
{
    const style_part *part = w->part;
    const int above = part->lowest + 20 < part->highest ? part->lowest + 20 : part->highest;
    chord_player c = { .w = w, .struck = -1, .left_note = -1, .riff = bass_player_of(w, part->lowest, above),
                       .left = bass_player_of(w, part->left_low, part->left_high) };
    c.of_span = calloc((size_t)w->p->n_spans + 1, sizeof *c.of_span);
    if (!c.of_span)
        bl_fail(w->err, BL_ENOMEM, "no memory to voice %d chords", w->p->n_spans);
    if (!c.of_span || voice_song(w, c.of_span) != BL_OK) {
        free(c.of_span);
        w->failed = 1;
        return;
    }
    play_all(&c);
    w->n_open = 0;
    free(c.of_span);
    arrange_fills(w);
}
