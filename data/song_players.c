/* The players: how each kind of part turns the chords and patterns of a section into notes. */
#include "data/songwriter_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- time ---- */

/* Ticks of a position in steps from the first downbeat, with swing: the middle of a beat, or of half a beat, moves
 * to w->swing. */
static int swung_tick(const data_writer *w, double step)
{
    const int unit = w->genre->flags & DATA_SONG_SIXTEENTHS ? STEPS_PER_BEAT / 2 : STEPS_PER_BEAT;
    const double whole = floor(step / unit), x = step / unit - whole;
    const double y = x < 0.5 ? x * 2 * w->swing : w->swing + (x - 0.5) * 2 * (1 - w->swing);
    return w->lead_in + (int)lround((whole + y) * STEP * unit);
}

void data_song_add(data_writer *w, data_hands *p, double step, double end_step, int pitch, double velocity, double delay_ticks)
{
    const double late = fmax(-2.5, fmin(2.5, bl_rng_normal(&w->hands))) * w->timing_ticks;
    const int on = (int)lround(fmax(0, swung_tick(w, step) + delay_ticks + late));
    const int shortest = (int)lround(0.06 / w->seconds_per_tick);
    int off = swung_tick(w, end_step) - 20;
    const int v = clamp((int)lround(velocity + 4 * bl_rng_normal(&w->hands)), 12, 127);
    if (off < on + shortest)
        off = on + shortest;
    music_track_add(p->track, on * w->seconds_per_tick, off * w->seconds_per_tick, pitch, v, w->err);
}

unsigned data_song_fitting(const data_writer *w, const music_chord *chord)
{
    const unsigned key = music_key_classes(w->song->key), tones = music_chord_classes(*chord);
    unsigned fit = key | tones;
    for (int c = 0; c < 12; c++)
        if ((tones >> c & 1) && !(key >> c & 1))
            for (int d = -1; d <= 1; d += 2)
                if (!(tones >> wrap12(c + d) & 1))
                    fit &= ~(1u << wrap12(c + d));
    if (w->genre->flags & DATA_SONG_BLUES) {
        static const int pentatonic[] = { 0, 3, 5, 7, 10 };
        fit = tones;
        for (int i = 0; i < COUNT(pentatonic); i++)
            fit |= 1u << wrap12(w->song->key.tonic + pentatonic[i]);
    }
    return fit;
}

int data_song_snap(int pitch, unsigned classes, int low, int high, int up)
{
    for (int d = 0; d < 12; d++)
        for (int side = 0; side < 2; side++) {
            const int q = pitch + ((side == 0) == (up != 0) ? d : -d);
            if (q >= low && q <= high && (classes >> wrap12(q) & 1))
                return q;
        }
    return clamp(pitch, low, high);
}

/* ---- players ---- */

double data_song_accent(int step, int n_steps)
{
    return step == 0 ? 6 : step % 8 == 0 && n_steps == 16 ? 3 : step % STEPS_PER_BEAT == 0 ? 0 : -5;
}

static void strum(data_writer *w, data_hands *p, double step, double end, int first, int last, int down, double velocity)
{
    for (int i = first; i <= last; i++) {
        const int order = down ? i - first : last - i;
        data_song_add(w, p, step, end, p->voices[i], velocity - 1.5 * order, order * p->spread_ticks);
    }
}

/* One event of a chordal pattern that lasts from step to end (steps from the start of the song). */
static void play_event(data_writer *w, data_hands *p, char what, const music_chord *chord, double step, double end, double velocity)
{
    const int n = p->n_voices, guitar = p->option->player == DATA_PLAY_GUITAR;
    const int root = guitar || p->option->player == DATA_PLAY_POWER ? p->voices[0] : p->option->low + wrap12(chord->root - p->option->low);
    switch (what) {
    case 'D': strum(w, p, step, end, 0, n - 1, 1, velocity + 6); break;
    case 'd': strum(w, p, step, end, n > 4 ? 1 : 0, n - 1, 1, velocity - 8); break;
    case 'U': strum(w, p, step, end, n > 3 ? n - 4 : 0, n - 1, 0, velocity); break;
    case 'u': strum(w, p, step, end, n > 3 ? n - 3 : 0, n - 1, 0, velocity - 12); break;
    case 'x': strum(w, p, step, step + 0.4, n > 3 ? n - 4 : 0, n - 1, 1, velocity - 34); break;
    case 'C': case 'c':
        if (guitar) {
            strum(w, p, step, end, n > 4 ? n - 4 : 0, n - 1, 1, what == 'C' ? velocity : velocity - 12);
            break;
        }
        for (int i = 0; i < n; i++)
            data_song_add(w, p, step, end, p->voices[i], (what == 'C' ? velocity : velocity - 12) + (i == n - 1 ? 3 : 0), 0);
        if (p->left_hand && what == 'C' && n && root < p->voices[0])
            data_song_add(w, p, step, end, root, velocity - 4, 0);
        break;
    case 'B': data_song_add(w, p, step, end, root, velocity + 2, 0); break;
    case 'b': data_song_add(w, p, step, end, guitar && n > 1 ? p->voices[1] : root + 7 > p->option->low + 14 ? root - 5 : root + 7, velocity - 3, 0); break;
    case 'P': strum(w, p, step, end, 0, n - 1, 1, velocity + 6); break;
    case 'p': strum(w, p, step, step + 0.55, 0, 1, 1, velocity - 10); break;
    case 'r': data_song_add(w, p, step, step + 0.55, root, velocity - 6, 0); break;
    case 'q': case 's': case 'v':
        data_song_add(w, p, step, end, root, velocity, 0);
        data_song_add(w, p, step, end, root + (what == 'q' ? 7 : what == 's' ? 9 : 10), velocity - 4, p->spread_ticks / 2);
        break;
    default:
        if (what >= '1' && what <= '6' && n) {
            const int k = what - '1';
            const int pitch = p->voices[k % n] + 12 * (k / n);
            data_song_add(w, p, step, end, pitch > p->option->high ? pitch - 12 : pitch, velocity - 4, 0);
        }
    }
}

/* The bar of a (possibly longer) pattern that belongs to `bar`. */
static const char *pattern_bar(const char *steps, int n_steps, int bar)
{
    const int n = (int)((strlen(steps) + 1) / (size_t)(n_steps + 1));
    return steps + (bar % (n < 1 ? 1 : n)) * (n_steps + 1);
}

void data_song_play_chords(data_writer *w, data_hands *p, const data_section *s, const data_pattern *pattern)
{
    char held = '.';
    for (int b = 0; b < s->n_bars; b++) {
        const int bar = s->first_bar + b;
        const char *steps = pattern_bar(pattern->steps, w->n_steps, b);
        if (bar == w->n_bars - 1) /* the last bar is one long chord */
            steps = p->option->player == DATA_PLAY_GUITAR ? "D---------------" : p->option->player == DATA_PLAY_POWER ? "P---------------" : "C---------------";
        for (int i = 0; i < w->n_steps; i++) {
            const music_chord *chord = chord_at(w, bar, i);
            const int changed = i > 0 && !same_chord(chord, chord_at(w, bar, i - 1));
            char what = steps[i];
            int end = i + 1;
            if (what == '-' && changed && held != '.')
                what = held;
            else if (what == '-')
                continue;
            held = what;
            if (what == '.')
                continue;
            if (i == 0 || changed || !p->n_voices)
                data_song_voice(w, p, chord);
            const int rings = what >= '1' && what <= '6';
            while (end < w->n_steps && same_chord(chord, chord_at(w, bar, end)) &&
                   (steps[end] == '-' || (rings && steps[end] != what && steps[end] != '.')))
                end++;
            play_event(w, p, what, chord, bar * w->n_steps + i, bar * w->n_steps + end,
                       s->level * (82 + data_song_accent(i, w->n_steps)));
        }
    }
}

static int interval_of(const music_chord *chord, char what)
{
    int intervals[5];
    const int n = music_chord_intervals(*chord, intervals);
    if (what == '8')
        return 12;
    if (what == '7')
        return n >= 4 ? intervals[3] : 12;
    if (what == '6')
        return music_chord_third(*chord) == 4 ? 9 : 10;
    if (what == '3')
        return n >= 3 ? intervals[1] : 7;
    if (what == '5')
        return n >= 2 && music_chord_classes(*chord) >> wrap12(chord->root + 7) & 1 ? 7 : n >= 3 ? intervals[2] : 0;
    return 0;
}

static int low_root(const data_option *o, const music_chord *chord)
{
    return o->low + wrap12(chord->bass - o->low);
}

/* A step below or above the next root, in the key when it can be. */
static int approach(data_writer *w, const data_hands *p, const music_chord *next, int from)
{
    const int root = low_root(p->option, next), up = from < root ? -1 : 1;
    const unsigned key = music_key_classes(w->song->key);
    int pitch = root + up;
    if (!(key >> wrap12(pitch) & 1) && (key >> wrap12(root + 2 * up) & 1) && chance(&w->hands, 0.7))
        pitch = root + 2 * up;
    return clamp(pitch, p->option->low, p->option->high);
}

void data_song_play_bass(data_writer *w, data_hands *p, const data_section *s, const data_pattern *pattern)
{
    for (int b = 0; b < s->n_bars; b++) {
        const int bar = s->first_bar + b;
        const char *steps = bar == w->n_bars - 1 ? "R---------------" : pattern_bar(pattern->steps, w->n_steps, b);
        char held = '.';
        for (int i = 0; i < w->n_steps; i++) {
            const music_chord *chord = chord_at(w, bar, i);
            const int changed = i > 0 && !same_chord(chord, chord_at(w, bar, i - 1));
            char what = steps[i];
            int end = i + 1, pitch;
            if (changed && what != '.' && (what != '-' || held != '.'))
                what = 'R';
            held = what == '-' ? held : what;
            if (what == '-' || what == '.')
                continue;
            while (end < w->n_steps && steps[end] == '-' && same_chord(chord, chord_at(w, bar, end)))
                end++;
            if (what == 'a') {
                pitch = approach(w, p, chord_at(w, bar + 1, 0), p->last);
            } else {
                pitch = low_root(p->option, chord) + interval_of(chord, what);
                if (pitch > p->option->high)
                    pitch -= 12;
            }
            p->last = pitch;
            data_song_add(w, p, bar * w->n_steps + i, bar * w->n_steps + (what == 'g' ? i + 0.5 : end), pitch,
                s->level * ((what == 'g' ? 48 : 90) + data_song_accent(i, w->n_steps)), 0);
        }
    }
}

/* Walking bass: the root where the chord changes, then chord and scale notes in one direction, and a step into
 * the next chord. */
void data_song_play_walk(data_writer *w, data_hands *p, const data_section *s)
{
    const int beats = w->n_steps / STEPS_PER_BEAT, low = p->option->low, high = p->option->high;
    for (int b = 0; b < s->n_bars; b++) {
        const int bar = s->first_bar + b, last = bar == w->n_bars - 1;
        for (int beat = 0; beat < (last ? 1 : beats); beat++) {
            const int i = beat * STEPS_PER_BEAT;
            const music_chord *chord = chord_at(w, bar, i);
            const music_chord *next = beat + 1 < beats ? chord_at(w, bar, i + STEPS_PER_BEAT) : chord_at(w, bar + 1, 0);
            const int changed = i == 0 || !same_chord(chord, chord_at(w, bar, i - 1));
            const double at = bar * w->n_steps + i, end = last ? at + w->n_steps : at + STEPS_PER_BEAT;
            int pitch;
            if (changed) {
                pitch = low_root(p->option, chord);
                if (p->last && abs(pitch + 12 - p->last) < abs(pitch - p->last) && pitch + 12 <= high - 5)
                    pitch += 12;
            } else if (!same_chord(chord, next)) {
                pitch = approach(w, p, next, p->last);
            } else {
                const int up = p->last > (low + high) / 2 + 4 ? 0 : p->last < low + 6 ? 1 : chance(&w->hands, 0.55);
                const unsigned set = beat % 2 == 0 ? music_chord_classes(*chord) : data_song_fitting(w, chord);
                pitch = data_song_snap(p->last + (up ? 3 : -3), set, low, high, up);
                if (pitch == p->last)
                    pitch = data_song_snap(p->last + (up ? 5 : -5), set, low, high, up);
            }
            p->last = pitch;
            data_song_add(w, p, at, end, pitch, s->level * (88 + (beat % 2 ? 5 : 0)), 0);
            if (!last && chance(&w->hands, 0.08)) /* a skipped eighth between two beats */
                data_song_add(w, p, at + 2, end, pitch, s->level * 60, 0);
        }
    }
}

/* A one-bar figure on the pentatonic scale of the chord, the same on every chord of a section. */
void data_song_play_riff(data_writer *w, data_hands *p, const data_section *s)
{
    static const char *const rhythms[] = { "x-x-x-x-x-x-x-x-", "x-x-..x-x-x-..x-", "x--x--x-x--x--x-", "x-xxx-x-x-xxx-x-", "x---x-x-..x-x-x-" };
    static const int minor_steps[6] = { 0, 3, 5, 7, 10, 12 }, major_steps[6] = { 0, 2, 4, 7, 9, 12 };
    bl_rng rng = bl_rng_fork(&w->rng, bl_hash(77, s->kind, strlen(s->kind)));
    const char *rhythm = rhythms[bl_rng_below(&rng, COUNT(rhythms))];
    int degree[MAX_STEPS], at = 0;
    for (int i = 0; i < w->n_steps; i++) {
        at = i == 0 || chance(&rng, 0.3) ? 0 : clamp(at + between(&rng, -2, 2), 0, 5);
        degree[i] = at;
    }
    for (int b = 0; b < s->n_bars; b++) {
        const int bar = s->first_bar + b, last = bar == w->n_bars - 1;
        for (int i = 0; i < (last ? 1 : w->n_steps); i++) {
            const music_chord *chord = chord_at(w, bar, i);
            const int *scale = music_chord_third(*chord) == 4 ? major_steps : minor_steps;
            const int root = low_root(p->option, chord);
            int end = i + 1;
            if (rhythm[i] != 'x')
                continue;
            while (end < w->n_steps && rhythm[end] == '-')
                end++;
            const int pitch = data_song_snap(root + scale[degree[i]], data_song_fitting(w, chord), p->option->low, p->option->high, 0);
            const double velocity = s->level * (92 + data_song_accent(i, w->n_steps)), from = bar * w->n_steps;
            data_song_add(w, p, from + i, last ? from + w->n_steps : from + end, pitch, velocity, 0);
            if (degree[i] == 0)
                data_song_add(w, p, from + i, last ? from + w->n_steps : from + end, pitch + 7, velocity - 4, p->spread_ticks);
        }
    }
}

/* ---- drums ---- */

void data_song_play_drums(data_writer *w, data_hands *p, const data_section *s, const data_groove *groove)
{
    static const int toms[] = { 48, 47, 45, 43 };
    const int brushes = p->option->program == 40;
    for (int b = 0; b < s->n_bars; b++) {
        const int bar = s->first_bar + b, last = bar == w->n_bars - 1;
        const int fill = !last && b == s->n_bars - 1 && chance(&w->hands, brushes ? 0.3 : 0.7) ? (chance(&w->hands, 0.5) ? 4 : 8) : 0;
        const double from = bar * w->n_steps;
        if (last) {
            data_song_add(w, p, from, from + 1, 36, s->level * 105, 0);
            data_song_add(w, p, from, from + 1, brushes ? 51 : 49, s->level * 100, 0);
            continue;
        }
        for (const data_drum_line *l = groove->lines; l->key && l < groove->lines + DATA_MAX_LINES; l++) {
            const char *steps = pattern_bar(l->steps, w->n_steps, b);
            for (int i = 0; i < w->n_steps - fill; i++) {
                const double velocity = steps[i] == 'X' ? 112 : steps[i] == 'x' ? 90 : steps[i] == 'o' || steps[i] == 'r' ? 60 : 0;
                int key = l->key;
                if (velocity == 0)
                    continue;
                if (b == 0 && i == 0 && s->loud && (key == 42 || key == 46 || key == 51))
                    key = 49;
                data_song_add(w, p, from + i, from + i + (steps[i] == 'r' ? 0.45 : 0.9), key, s->level * velocity, 0);
                if (steps[i] == 'r')
                    data_song_add(w, p, from + i + 0.5, from + i + 0.95, key, s->level * (velocity + 8), 0);
            }
        }
        for (int i = w->n_steps - fill; i < w->n_steps; i++) {
            const int k = i - (w->n_steps - fill);
            if (fill && chance(&w->hands, 0.85))
                data_song_add(w, p, from + i, from + i + 0.9, k < fill / 4 ? 38 : toms[k * 4 / fill], s->level * (88 + 3 * k), 0);
        }
    }
}
