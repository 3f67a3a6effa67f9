/* Over 600 lines: one song from its form to the last note, in the order it is invented. */
/* The whole songwriter: form, harmony, melody and one routine per kind of player; they share one state and read
 * best side by side, hence the length. */
#include "data/songwriter.h"
#include "base/config.h"
#include "base/rng.h"
#include "data/song_tables.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICKS = 960, STEPS_PER_BEAT = 4, STEP = TICKS / STEPS_PER_BEAT, MAX_SECTIONS = 64, MAX_VOICES = 8, MAX_STEPS = 16, BAR_TEXT = 32 };

/* Dynamics of a section, and whether there is singing in it. */
typedef struct section {
    const char *kind;
    int         first_bar, n_bars, loud, sung;
    double      level;
} section;

typedef struct writer {
    data_composition       *song;
    const data_genre_table *genre;
    bl_rng                  rng;       /* decisions of form and band     */
    bl_rng                  hands;     /* humanisation, note by note     */
    bl_error               *err;
    int                     n_steps;   /* of a bar                       */
    int                     n_bars, n_sections, lead_in; /* ticks        */
    double                  swing;     /* where the off-beat lies, 0.5 straight */
    double                  seconds_per_tick, timing_ticks;
    section                 sections[MAX_SECTIONS];
    music_chord            *chords;    /* [n_bars * n_steps]             */
    char                   *sung;      /* [n_bars * n_steps] voice sounds */
} writer;

/* A part while it is being written. */
typedef struct player {
    const data_option  *option;
    const data_pattern *quiet, *loud;
    music_track        *track;
    double              spread_ticks; /* between the strings of a strum */
    int                 voices[MAX_VOICES], n_voices; /* last voicing, for voice leading */
    int                 position;     /* of the left hand on the neck */
    int                 left_hand, last;
} player;

static const char *const genres[] = { "rock", "pop", "jazz", "classical", NULL };
static const char *const title_a[] = { "Silver", "Midnight", "Paper", "Open", "Slow", "Golden", "Broken", "Quiet", "Electric", "Summer",
                                       "Northern", "Hollow", "Second", "Crooked", "Distant", "Velvet" };
static const char *const title_b[] = { "River", "Lights", "Letters", "Road", "Harbour", "Morning", "Window", "Garden", "Signal", "Horses",
                                       "Machine", "Weather", "Mirror", "Orchard", "Station", "Tide" };
static const char *const artists[] = { "The Copper Kites", "Anna Vale", "Low Tide Trio", "Marble Street", "Ensemble Linden", "The Night Clerks",
                                       "Ida Brook", "Seven Lanterns", "Oak & Wire", "Quartet Halden", "Polar Cousins", "Miles of Chalk" };

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

const char *const *data_composition_genres(void)
{
    return genres;
}

void data_composition_free(data_composition *song)
{
    music_score_free(&song->score);
    free(song->parts);
    free(song->beats_s);
    *song = (data_composition){ 0 };
}

static int chance(bl_rng *rng, double p)
{
    return bl_rng_uniform(rng) < p;
}

static int between(bl_rng *rng, int low, int high)
{
    return low + (int)bl_rng_below(rng, high - low + 1);
}

static int wrap12(int x)
{
    return ((x % 12) + 12) % 12;
}

static int clamp(int x, int low, int high)
{
    return x < low ? low : x > high ? high : x;
}

/* ---- time ---- */

/* Seconds of a position in steps from the first downbeat, with swing: the middle of a beat moves to w->swing. */
static int swung_tick(const writer *w, double step)
{
    const double beat = floor(step / STEPS_PER_BEAT), x = step / STEPS_PER_BEAT - beat;
    const double y = x < 0.5 ? x * 2 * w->swing : w->swing + (x - 0.5) * 2 * (1 - w->swing);
    return w->lead_in + (int)lround((beat + y) * TICKS);
}

/* One humanised note from step to end_step (both may be fractions); delay_ticks for strums. */
static void add(writer *w, player *p, double step, double end_step, int pitch, double velocity, double delay_ticks)
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

static const music_chord *chord_at(const writer *w, int bar, int step)
{
    const int i = bar * w->n_steps + step, last = w->n_bars * w->n_steps - 1;
    return &w->chords[i > last ? last : i];
}

static int same_chord(const music_chord *a, const music_chord *b)
{
    return a->root == b->root && a->quality == b->quality && a->bass == b->bass;
}

/* Notes that sound right over a chord: the key, bent where the chord leaves it. */
static unsigned fitting_classes(const writer *w, const music_chord *chord)
{
    const unsigned key = music_key_classes(w->song->key), tones = music_chord_classes(*chord);
    unsigned fit = key | tones;
    for (int c = 0; c < 12; c++)
        if ((tones >> c & 1) && !(key >> c & 1))
            for (int d = -1; d <= 1; d += 2)
                if (!(tones >> wrap12(c + d) & 1))
                    fit &= ~(1u << wrap12(c + d));
    return fit;
}

/* The pitch nearest to `pitch` whose class is in the set, within low..high; ties go the way of `up`. */
static int snap(int pitch, unsigned classes, int low, int high, int up)
{
    for (int d = 0; d < 12; d++)
        for (int side = 0; side < 2; side++) {
            const int q = pitch + ((side == 0) == (up != 0) ? d : -d);
            if (q >= low && q <= high && (classes >> wrap12(q) & 1))
                return q;
        }
    return clamp(pitch, low, high);
}

/* ---- form and harmony ---- */

static void add_section(writer *w, const char *kind, int n_bars, int *bars)
{
    section *s = &w->sections[w->n_sections];
    if (n_bars > w->n_bars - *bars)
        n_bars = w->n_bars - *bars;
    if (n_bars <= 0 || w->n_sections == MAX_SECTIONS)
        return;
    if (n_bars < 2 && w->n_sections) { /* too short to be one: the last section is longer */
        s[-1].n_bars += n_bars;
        *bars += n_bars;
        return;
    }
    *s = (section){ kind, *bars, n_bars, 0, 1, 0.92 };
    s->loud = !strcmp(kind, "chorus") || !strcmp(kind, "solo");
    s->sung = strcmp(kind, "intro") != 0 && strcmp(kind, "solo") != 0;
    s->level = s->loud ? 1 : !strcmp(kind, "intro") ? 0.85 : 0.92;
    *bars += n_bars;
    w->n_sections++;
}

static void plan_form(writer *w)
{
    static const char *const song_form[] = { "verse", "chorus", "verse", "chorus", "bridge", "chorus", "solo", "verse", "chorus" };
    static const char *const head_form[] = { "verse", "verse", "bridge", "verse", "solo", "solo", "verse", "bridge" };
    const int jazz = !strcmp(w->genre->name, "jazz");
    const char *const *form = jazz ? head_form : song_form;
    const int n_form = jazz ? COUNT(head_form) : COUNT(song_form);
    const int unit = w->n_bars >= 28 ? 8 : 4;
    /* A short song hears its solo early, or it would never have one. */
    const int solo_at = w->n_bars >= 12 && chance(&w->rng, 0.5) ? between(&w->rng, 1, 2) : -1;
    int bars = 0;
    if (chance(&w->rng, 0.75))
        add_section(w, "intro", unit / 2, &bars);
    for (int i = 0; bars < w->n_bars && w->n_sections < MAX_SECTIONS; i++)
        add_section(w, i == solo_at ? "solo" : form[i % n_form], unit, &bars);
    if (bars < w->n_bars)
        w->sections[w->n_sections - 1].n_bars += w->n_bars - bars;
}

/* Bar `bar` of a progression "I|IV V|vi": its chords share the bar evenly, at beats. */
static void write_bar_chords(writer *w, const char *progression, int index, int bar)
{
    const char *p = progression;
    int n_bars = 1, n = 0;
    char names[4][16];
    for (const char *q = p; *q; q++)
        n_bars += *q == '|';
    for (int skip = index % n_bars; skip > 0; skip--)
        p = strchr(p, '|') + 1;
    while (*p && *p != '|' && n < 4) {
        size_t length = strcspn(p, " |");
        snprintf(names[n++], sizeof names[0], "%.*s", (int)length, p);
        p += length + (p[length] == ' ');
    }
    for (int s = 0; s < w->n_steps; s++) {
        const int beat = s / STEPS_PER_BEAT, beats = w->n_steps / STEPS_PER_BEAT;
        BL_ASSERT(music_roman_parse(names[beat * n / beats], w->song->key, &w->chords[bar * w->n_steps + s]));
    }
}

static int count_texts(const char *const *list)
{
    int n = 0;
    while (list[n])
        n++;
    return n;
}

static void plan_harmony(writer *w)
{
    const char *const *list = w->song->key.minor ? w->genre->minor_ : w->genre->major;
    const int n = count_texts(list);
    const int verse = between(&w->rng, 0, n - 1), chorus = (verse + between(&w->rng, 1, n - 1)) % n;
    const int bridge = (chorus + between(&w->rng, 1, n - 1)) % n;
    for (int i = 0; i < w->n_sections; i++) {
        const section *s = &w->sections[i];
        const int which = !strcmp(s->kind, "chorus") ? chorus : !strcmp(s->kind, "bridge") ? bridge : verse;
        for (int b = 0; b < s->n_bars; b++)
            write_bar_chords(w, list[which], b, s->first_bar + b);
    }
    write_bar_chords(w, w->song->key.minor ? "i" : "I", 0, w->n_bars - 1);
}

static void write_chord_spans(writer *w)
{
    const int n = w->n_bars * w->n_steps, flats = music_key_has_flats(w->song->key);
    for (int start = 0, i = 1; i <= n; i++) {
        if (i < n && same_chord(&w->chords[i], &w->chords[start]))
            continue;
        char name[16];
        music_chord_format(w->chords[start], flats, name);
        music_score_add_chord(&w->song->score, (w->lead_in + start * STEP) * w->seconds_per_tick,
                              (w->lead_in + i * STEP) * w->seconds_per_tick, name, w->err);
        start = i;
    }
}

/* ---- voicings ---- */

/* Standard tuning; the left hand reaches four frets from its position, open strings near the nut. Root in the bass. */
static int fret_chord(const music_chord *chord, int position, int pitches[6])
{
    static const int open[6] = { 40, 45, 50, 55, 59, 64 };
    const unsigned tones = music_chord_classes(*chord);
    int best_cost = 1000, n_best = 0;
    for (int at = 0; at <= 9; at++)
        for (int bass = 0; bass < 3; bass++) {
            int found[6], n = 0, cost = 2 * abs(at - position) + bass;
            unsigned got = 0;
            for (int string = bass; string < 6; string++) {
                int fret = -1;
                const unsigned wanted = string == bass ? 1u << chord->root : tones;
                if (at <= 2 && (wanted >> wrap12(open[string]) & 1))
                    fret = 0;
                for (int f = at; f <= at + 3 && fret < 0; f++)
                    if (wanted >> wrap12(open[string] + f) & 1)
                        fret = f;
                if (fret < 0 && string == bass)
                    break;
                if (fret < 0)
                    continue;
                found[n++] = open[string] + fret;
                got |= 1u << wrap12(open[string] + fret);
            }
            const unsigned fifth = 1u << wrap12(chord->root + 7);
            if (n < 4 || (got | fifth) != (tones | fifth))
                continue;
            cost -= n;
            if (cost < best_cost) {
                best_cost = cost;
                n_best = n;
                memcpy(pitches, found, sizeof found);
            }
        }
    return n_best;
}

/* Close position, whichever inversion moves least from the last voicing. */
static int lead_voices(const player *p, const int *intervals, int n, int root, int low, int high, int pitches[MAX_VOICES])
{
    const double centre = p->n_voices ? 0 : (low + high) / 2.0;
    double before = centre, best = 1e9;
    int n_best = 0;
    if (p->n_voices) {
        for (int i = 0; i < p->n_voices; i++)
            before += p->voices[i];
        before /= p->n_voices;
        before += 0.15 * ((low + high) / 2.0 - before); /* drifts home */
    }
    for (int inversion = 0; inversion < n; inversion++)
        for (int octave = 0; octave < 10; octave++) {
            int v[MAX_VOICES];
            double mean = 0;
            for (int i = 0; i < n; i++) {
                const int k = inversion + i;
                v[i] = 12 * octave + root + intervals[k % n] + (k >= n ? 12 : 0);
                mean += v[i];
            }
            for (int i = 1; i < n; i++) /* intervals above an octave (ninths) need sorting */
                for (int j = i; j > 0 && v[j] < v[j - 1]; j--) {
                    const int t = v[j];
                    v[j] = v[j - 1];
                    v[j - 1] = t;
                }
            mean /= n;
            if (v[0] < low || v[n - 1] > high || fabs(mean - before) >= best)
                continue;
            best = fabs(mean - before);
            n_best = n;
            memcpy(pitches, v, (size_t)n * sizeof *v);
        }
    return n_best;
}

static void voice_chord(writer *w, player *p, const music_chord *chord)
{
    int intervals[6], pitches[MAX_VOICES], n;
    n = music_chord_intervals(*chord, intervals);
    if (p->option->player == DATA_PLAY_POWER) {
        const int fifth = n > 1 && (music_chord_classes(*chord) >> wrap12(chord->root + 7) & 1) ? 7 : 6;
        p->voices[0] = p->option->low + wrap12(chord->root - p->option->low);
        p->voices[1] = p->voices[0] + fifth;
        p->voices[2] = p->voices[0] + 12;
        p->n_voices = 3;
        return;
    }
    if (p->option->player == DATA_PLAY_GUITAR) {
        n = fret_chord(chord, p->position, pitches);
    } else {
        const int jazz = !strcmp(w->genre->name, "jazz");
        const int low = p->option->player == DATA_PLAY_KEYS && !jazz ? p->option->low + 9 : p->option->low;
        if (jazz && n >= 4) { /* the bass has the root: third, fifth, seventh, and the ninth when the key has it */
            if (music_key_classes(w->song->key) >> wrap12(chord->root + 2) & 1) {
                intervals[0] = 14;
            } else {
                memmove(intervals, intervals + 1, sizeof intervals - sizeof intervals[0]);
                n--;
            }
            n = n > 4 ? 4 : n;
        }
        if (p->option->player == DATA_PLAY_PAD && n > 4)
            n = 4;
        n = lead_voices(p, intervals, n, chord->root, low, p->option->high, pitches);
    }
    if (n > 0) {
        memcpy(p->voices, pitches, (size_t)n * sizeof *pitches);
        p->n_voices = n;
    }
}

/* ---- players ---- */

static double accent(int step, int n_steps)
{
    return step == 0 ? 6 : step % 8 == 0 && n_steps == 16 ? 3 : step % STEPS_PER_BEAT == 0 ? 0 : -5;
}

static void strum(writer *w, player *p, double step, double end, int first, int last, int down, double velocity)
{
    for (int i = first; i <= last; i++) {
        const int order = down ? i - first : last - i;
        add(w, p, step, end, p->voices[i], velocity - 1.5 * order, order * p->spread_ticks);
    }
}

/* One event of a chordal pattern that lasts from step to end (steps from the start of the song). */
static void play_event(writer *w, player *p, char what, const music_chord *chord, double step, double end, double velocity)
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
            add(w, p, step, end, p->voices[i], (what == 'C' ? velocity : velocity - 12) + (i == n - 1 ? 3 : 0), 0);
        if (p->left_hand && what == 'C' && n && root < p->voices[0])
            add(w, p, step, end, root, velocity - 4, 0);
        break;
    case 'B': add(w, p, step, end, root, velocity + 2, 0); break;
    case 'b': add(w, p, step, end, guitar && n > 1 ? p->voices[1] : root + 7 > p->option->low + 14 ? root - 5 : root + 7, velocity - 3, 0); break;
    case 'P': strum(w, p, step, end, 0, n - 1, 1, velocity + 6); break;
    case 'p': strum(w, p, step, step + 0.55, 0, 1, 1, velocity - 10); break;
    case 'r': add(w, p, step, step + 0.55, root, velocity - 6, 0); break;
    default:
        if (what >= '1' && what <= '6' && n) {
            const int k = what - '1';
            const int pitch = p->voices[k % n] + 12 * (k / n);
            add(w, p, step, end, pitch > p->option->high ? pitch - 12 : pitch, velocity - 4, 0);
        }
    }
}

/* The bar of a (possibly longer) pattern that belongs to `bar`. */
static const char *pattern_bar(const char *steps, int n_steps, int bar)
{
    const int n = (int)((strlen(steps) + 1) / (size_t)(n_steps + 1));
    return steps + (bar % (n < 1 ? 1 : n)) * (n_steps + 1);
}

static void play_chords(writer *w, player *p, const section *s, const data_pattern *pattern)
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
                voice_chord(w, p, chord);
            const int rings = what >= '1' && what <= '6';
            while (end < w->n_steps && same_chord(chord, chord_at(w, bar, end)) &&
                   (steps[end] == '-' || (rings && steps[end] != what && steps[end] != '.')))
                end++;
            play_event(w, p, what, chord, bar * w->n_steps + i, bar * w->n_steps + end,
                       s->level * (82 + accent(i, w->n_steps)));
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
static int approach(writer *w, const player *p, const music_chord *next, int from)
{
    const int root = low_root(p->option, next), up = from < root ? -1 : 1;
    const unsigned key = music_key_classes(w->song->key);
    int pitch = root + up;
    if (!(key >> wrap12(pitch) & 1) && (key >> wrap12(root + 2 * up) & 1) && chance(&w->hands, 0.7))
        pitch = root + 2 * up;
    return clamp(pitch, p->option->low, p->option->high);
}

static void play_bass(writer *w, player *p, const section *s, const data_pattern *pattern)
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
            add(w, p, bar * w->n_steps + i, bar * w->n_steps + (what == 'g' ? i + 0.5 : end), pitch,
                s->level * ((what == 'g' ? 48 : 90) + accent(i, w->n_steps)), 0);
        }
    }
}

/* Walking bass: the root where the chord changes, then chord and scale notes in one direction, and a step into
 * the next chord. */
static void play_walk(writer *w, player *p, const section *s)
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
                const unsigned set = beat % 2 == 0 ? music_chord_classes(*chord) : fitting_classes(w, chord);
                pitch = snap(p->last + (up ? 3 : -3), set, low, high, up);
                if (pitch == p->last)
                    pitch = snap(p->last + (up ? 5 : -5), set, low, high, up);
            }
            p->last = pitch;
            add(w, p, at, end, pitch, s->level * (88 + (beat % 2 ? 5 : 0)), 0);
            if (!last && chance(&w->hands, 0.08)) /* a skipped eighth between two beats */
                add(w, p, at + 2, end, pitch, s->level * 60, 0);
        }
    }
}

/* A one-bar figure on the pentatonic scale of the chord, the same on every chord of a section. */
static void play_riff(writer *w, player *p, const section *s)
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
            const int pitch = snap(root + scale[degree[i]], fitting_classes(w, chord), p->option->low, p->option->high, 0);
            const double velocity = s->level * (92 + accent(i, w->n_steps)), from = bar * w->n_steps;
            add(w, p, from + i, last ? from + w->n_steps : from + end, pitch, velocity, 0);
            if (degree[i] == 0)
                add(w, p, from + i, last ? from + w->n_steps : from + end, pitch + 7, velocity - 4, p->spread_ticks);
        }
    }
}

/* ---- melody ---- */

typedef struct line {
    int                 low, high;
    const data_pattern *rhythm;
    int                 n_rhythm;
    int                 sings;    /* marks w->sung                                  */
    int                 fills;    /* only where nobody sings                        */
    double              velocity;
} line;

/* Onsets of one bar; the closing bar of a phrase ends in a rest of a beat or more. */
static void melody_bar(const writer *w, const line *l, bl_rng *rng, int closing, char out[BAR_TEXT])
{
    const char *steps = l->rhythm[bl_rng_below(rng, l->n_rhythm)].steps;
    const int n_steps = w->n_steps;
    memcpy(out, steps, (size_t)n_steps);
    out[n_steps] = '\0';
    if (closing) {
        const int beats = n_steps / STEPS_PER_BEAT;
        const int last_onset = STEPS_PER_BEAT * between(rng, beats > 3 ? 1 : 0, beats - 2);
        const int silent = n_steps - STEPS_PER_BEAT * between(rng, 1, beats > 3 ? 2 : 1) + between(rng, 0, 1) * 2;
        for (int i = last_onset + 1; i < n_steps; i++)
            out[i] = i < silent ? '-' : '.';
        if (out[last_onset] == '.')
            out[last_onset] = 'x';
    }
}

static int next_pitch(writer *w, bl_rng *rng, const line *l, const music_chord *chord, int before, int strong)
{
    static const int moves[] = { 0, 0, 1, 1, 1, 1, -1, -1, -1, -1, 2, 2, -2, -2, 3, -3, 4 };
    const double centre = (l->low + l->high) / 2.0, reach = (l->high - l->low) / 2.0;
    int move = moves[bl_rng_below(rng, COUNT(moves))], pitch = before;
    if (chance(rng, fabs(before - centre) / reach * 0.7) && (before > centre) == (move > 0))
        move = -move;
    const unsigned fit = fitting_classes(w, chord);
    for (int k = 0; k < abs(move); k++) /* scale steps */
        pitch = snap(pitch + (move > 0 ? 1 : -1), fit, l->low, l->high, move > 0);
    return snap(pitch, strong ? music_chord_classes(*chord) : fit, l->low, l->high, chance(rng, 0.5));
}

static int free_of_voice(const writer *w, int step, int end)
{
    for (int i = step - 1; i < end + 1; i++)
        if (i >= 0 && i < w->n_bars * w->n_steps && w->sung[i])
            return 0;
    return 1;
}

static void play_melody(writer *w, player *p, const section *s, const line *l)
{
    /* Sections of one kind sing the same tune; its last phrase differs from time to time. */
    const uint64_t key = bl_hash(bl_hash(l->sings ? 1 : 2, s->kind, strlen(s->kind)), p->track->name, strlen(p->track->name));
    bl_rng tune = bl_rng_fork(&w->rng, key);
    char motif[2][BAR_TEXT];
    int pitch = snap((l->low + l->high) / 2, music_chord_classes(*chord_at(w, s->first_bar, 0)), l->low, l->high, 1);
    melody_bar(w, l, &tune, 0, motif[0]);
    melody_bar(w, l, &tune, 0, motif[1]);
    for (int b = 0; b < s->n_bars; b++) {
        const int bar = s->first_bar + b, final = bar == w->n_bars - 1, closing = b % 2 == 1 || b == s->n_bars - 1;
        char steps[BAR_TEXT];
        if (b >= 6)
            tune = bl_rng_fork(&w->rng, key + (uint64_t)s->first_bar + 1);
        memcpy(steps, motif[b / 2 % 2 && b % 4 == 2 ? 1 : 0], sizeof steps);
        if (closing)
            melody_bar(w, l, &tune, 1, steps);
        if (final)
            memcpy(steps, "x-----------....", MAX_STEPS);
        for (int i = 0; i < w->n_steps; i++) {
            const music_chord *chord = chord_at(w, bar, i);
            int end = i + 1;
            if (steps[i] != 'x')
                continue;
            while (end < w->n_steps && steps[end] == '-')
                end++;
            const int strong = i % (w->n_steps == 16 ? 8 : 12) == 0 || end - i >= 6 ||
                               !same_chord(chord, chord_at(w, bar, end > w->n_steps - 1 ? w->n_steps - 1 : end - 1));
            pitch = next_pitch(w, &tune, l, chord, pitch, strong);
            if (final)
                pitch = snap(pitch, 1u << w->song->key.tonic, l->low, l->high, 0);
            const int from = bar * w->n_steps + i, to = bar * w->n_steps + end;
            if (l->fills && !free_of_voice(w, from, to))
                continue;
            const double arch = 6 * sin(3.14159 * (b % 2 * w->n_steps + i) / (2.0 * w->n_steps));
            add(w, p, from, to - (end - i > 2 ? 0.25 : 0.1), pitch, s->level * (l->velocity + arch + 0.6 * accent(i, w->n_steps)), 0);
            if (l->sings)
                memset(w->sung + from, 1, (size_t)(to - from));
        }
    }
}

/* Long notes: thirds and sevenths, moving as little as they can. */
static void play_counter(writer *w, player *p, const section *s)
{
    for (int b = 0; b < s->n_bars; b++) {
        const int bar = s->first_bar + b;
        for (int i = 0; i < w->n_steps;) {
            const music_chord *chord = chord_at(w, bar, i);
            int end = i + (w->n_steps == 16 ? 8 : 12), intervals[5];
            const int n = music_chord_intervals(*chord, intervals);
            unsigned guide = 0;
            while (end > i + 1 && !same_chord(chord, chord_at(w, bar, end - 1)))
                end--;
            if (end == i + 8 && i == 0 && same_chord(chord, chord_at(w, bar, w->n_steps - 1)) && b % 2 == 0)
                end = w->n_steps;
            for (int k = n > 1 ? 1 : 0; k < n; k++)
                guide |= 1u << wrap12(chord->root + intervals[k]);
            if (!p->last)
                p->last = (p->option->low + p->option->high) / 2;
            p->last = snap(p->last + between(&w->hands, -3, 3), guide, p->option->low, p->option->high, chance(&w->hands, 0.5));
            if (b % 4 != 3 || i == 0)
                add(w, p, bar * w->n_steps + i, bar * w->n_steps + end - 0.3, p->last, s->level * 76, 0);
            i = end;
        }
    }
}

/* ---- drums ---- */

static void play_drums(writer *w, player *p, const section *s, const data_groove *groove)
{
    static const int toms[] = { 48, 47, 45, 43 };
    const int brushes = p->option->program == 40;
    for (int b = 0; b < s->n_bars; b++) {
        const int bar = s->first_bar + b, last = bar == w->n_bars - 1;
        const int fill = !last && b == s->n_bars - 1 && chance(&w->hands, brushes ? 0.3 : 0.7) ? (chance(&w->hands, 0.5) ? 4 : 8) : 0;
        const double from = bar * w->n_steps;
        if (last) {
            add(w, p, from, from + 1, 36, s->level * 105, 0);
            add(w, p, from, from + 1, brushes ? 51 : 49, s->level * 100, 0);
            continue;
        }
        for (const data_drum_line *l = groove->lines; l->key && l < groove->lines + DATA_MAX_LINES; l++) {
            const char *steps = pattern_bar(l->steps, w->n_steps, b);
            for (int i = 0; i < w->n_steps - fill; i++) {
                const double velocity = steps[i] == 'X' ? 112 : steps[i] == 'x' ? 90 : steps[i] == 'o' ? 60 : 0;
                int key = l->key;
                if (velocity == 0)
                    continue;
                if (b == 0 && i == 0 && s->loud && (key == 42 || key == 46 || key == 51))
                    key = 49;
                add(w, p, from + i, from + i + 0.9, key, s->level * velocity, 0);
            }
        }
        for (int i = w->n_steps - fill; i < w->n_steps; i++) {
            const int k = i - (w->n_steps - fill);
            if (fill && chance(&w->hands, 0.85))
                add(w, p, from + i, from + i + 0.9, k < fill / 4 ? 38 : toms[k * 4 / fill], s->level * (88 + 3 * k), 0);
        }
    }
}

/* ---- the band ---- */

static int count_patterns(const data_pattern *list)
{
    int n = 0;
    while (list[n].name)
        n++;
    return n;
}

static int count_grooves(const data_groove *list)
{
    int n = 0;
    while (list[n].name)
        n++;
    return n;
}

static const data_groove *draw_groove(writer *w, int loud)
{
    const data_groove *list = w->n_steps == 12 ? w->genre->three_ : w->swing > 0.5 ? w->genre->swung : loud ? w->genre->loud4 : w->genre->quiet4;
    return &list[bl_rng_below(&w->rng, count_grooves(list))];
}

/* A new track with its part; NULL when there is no memory. */
static music_track *new_part(writer *w, const char *instrument, int program, int is_drums, const char *stem, const char *role, double gain_db)
{
    data_composition *song = w->song;
    data_part *parts = realloc(song->parts, ((size_t)song->score.n_tracks + 1) * sizeof *parts);
    music_track *track;
    if (!parts) {
        bl_fail(w->err, BL_ENOMEM, "no memory for a song");
        return NULL;
    }
    song->parts = parts;
    data_part *part = &parts[song->score.n_tracks];
    *part = (data_part){ .gain_db = gain_db + 3 * (bl_rng_uniform(&w->rng) - 0.5) };
    snprintf(part->stem, sizeof part->stem, "%s", stem);
    for (char *c = part->stem; *c; c++)
        *c = *c == ' ' ? '_' : *c;
    snprintf(part->role, sizeof part->role, "%s", role);
    track = music_score_add_track(&song->score, instrument, program, is_drums, w->err);
    return track;
}

static void name_styles(data_part *part, const char *a, const char *b)
{
    snprintf(part->style, sizeof part->style, "%s%s%s", a, strcmp(a, b) ? ", " : "", strcmp(a, b) ? b : "");
}

static int melody_table(const writer *w, const data_pattern **table)
{
    *table = w->n_steps == 12 ? w->genre->rhythm3 : w->genre->rhythm4;
    return count_patterns(*table);
}

static void write_voice(writer *w)
{
    line l = { .sings = 1, .velocity = 92 };
    player p = { .position = 0 };
    if (!(p.track = new_part(w, "vocals", 53, 0, "vocals", "vocals", -2.5)))
        return;
    data_part *part = &w->song->parts[0];
    l.n_rhythm = melody_table(w, &l.rhythm);
    l.low = between(&w->rng, 50, 62);
    l.high = l.low + between(&w->rng, 12, 16);
    part->expression = (data_expression){ 4.8 + 1.4 * bl_rng_uniform(&w->rng), 10 + 30 * bl_rng_uniform(&w->rng), 0.25,
                                          30 * bl_rng_uniform(&w->rng), 0.07 };
    snprintf(part->style, sizeof part->style, "sung");
    for (int i = 0; i < w->n_sections; i++)
        if (w->sections[i].sung)
            play_melody(w, &p, &w->sections[i], &l);
}

static void play_line(writer *w, player *p, const section *s, int habit)
{
    line l = { p->option->low, p->option->high, NULL, 0, 0, s->sung, 96 };
    l.n_rhythm = melody_table(w, &l.rhythm);
    if (p->option->player == DATA_PLAY_COUNTER || (s->sung && habit == 2))
        play_counter(w, p, s);
    else if (!s->sung || habit == 1)
        play_melody(w, p, s, &l);
}

static void write_part(writer *w, const data_slot *slot)
{
    int n = 0, active[MAX_SECTIONS], n_active = 0;
    while (n < DATA_MAX_OPTIONS && slot->options[n].instrument)
        n++;
    const data_option *o = &slot->options[bl_rng_below(&w->rng, n)];
    const data_style_set *set = o->styles;
    player p = { .option = o, .position = between(&w->rng, 0, 6), .left_hand = chance(&w->rng, 0.6) };
    data_option bossa = *o;
    if (!strcmp(w->genre->name, "jazz") && !strcmp(slot->role, "bass") && w->swing <= 0.5 && w->n_steps == 16) {
        set = &data_bossa_bass;
        bossa.player = DATA_PLAY_BASS;
        p.option = o = &bossa;
    }
    p.spread_ticks = (0.006 + 0.010 * bl_rng_uniform(&w->rng)) / w->seconds_per_tick;
    if (!(p.track = new_part(w, o->instrument, o->program, o->player == DATA_PLAY_DRUMS, o->instrument, slot->role, o->gain_db)))
        return;
    data_part *part = &w->song->parts[w->song->score.n_tracks - 1];
    if (o->player == DATA_PLAY_LEAD && strcmp(o->instrument, "vibraphone"))
        part->expression = (data_expression){ 5.5, 18, 0.2, 0, 0 };
    const data_groove *grooves[2] = { NULL, NULL };
    if (o->player == DATA_PLAY_DRUMS) {
        grooves[0] = draw_groove(w, 0);
        grooves[1] = draw_groove(w, 1);
        name_styles(part, grooves[0]->name, grooves[1]->name);
    } else if (set) {
        const data_pattern *a = w->n_steps == 12 ? set->three : set->quiet4, *b = w->n_steps == 12 ? set->three : set->loud4;
        p.quiet = &a[bl_rng_below(&w->rng, count_patterns(a))];
        p.loud = &b[bl_rng_below(&w->rng, count_patterns(b))];
        name_styles(part, p.quiet->name, p.loud->name);
    } else {
        const char *style = o->player == DATA_PLAY_WALK ? "walking" : o->player == DATA_PLAY_RIFF ? "riff" : o->player == DATA_PLAY_LEAD ? "lead line" : "counter melody";
        name_styles(part, style, style);
    }
    const int habit = between(&w->rng, 1, 2); /* of a lead while somebody sings: fills, or long notes */
    const double rest = !strcmp(slot->role, "pad") ? 0.4 : !strcmp(slot->role, "drums") || !strcmp(slot->role, "bass") ? 0.12 : 0.2;
    for (int i = 0; i < w->n_sections; i++) {
        active[i] = w->sections[i].loud || !chance(&w->rng, rest);
        n_active += active[i];
    }
    for (int i = 0; i < w->n_sections; i++) {
        const section *s = &w->sections[i];
        if (!active[i] && 2 * n_active >= w->n_sections && i < w->n_sections - 1)
            continue;
        switch (o->player) {
        case DATA_PLAY_DRUMS: play_drums(w, &p, s, grooves[s->loud]); break;
        case DATA_PLAY_BASS: play_bass(w, &p, s, s->loud ? p.loud : p.quiet); break;
        case DATA_PLAY_WALK: play_walk(w, &p, s); break;
        case DATA_PLAY_RIFF: play_riff(w, &p, s); break;
        case DATA_PLAY_LEAD: case DATA_PLAY_COUNTER: play_line(w, &p, s, habit); break;
        default: play_chords(w, &p, s, s->loud ? p.loud : p.quiet);
        }
    }
    /* Fills find no room where the singer leaves none. */
    if (p.track->n_notes < 6 && (o->player == DATA_PLAY_LEAD || o->player == DATA_PLAY_COUNTER))
        for (int i = 0; i < w->n_sections; i++)
            if (w->sections[i].sung)
                play_counter(w, &p, &w->sections[i]);
}

static void write_band(writer *w)
{
    int chosen[DATA_MAX_SLOTS] = { 0 }, chordal = 0, n = 0;
    for (; n < DATA_MAX_SLOTS && w->genre->slots[n].role; n++) {
        chosen[n] = chance(&w->rng, w->genre->slots[n].chance);
        chordal |= chosen[n] && !strcmp(w->genre->slots[n].role, "rhythm");
    }
    if (!chordal)
        chosen[0] = 1; /* somebody has to play the chords */
    for (int i = 0; i < n; i++)
        if (chosen[i])
            write_part(w, &w->genre->slots[i]);
}

/* ---- the song ---- */

static void draw_basics(writer *w, double seconds)
{
    data_composition *song = w->song;
    const data_genre_table *g = w->genre;
    bl_rng *rng = &w->rng;
    const int three = chance(rng, g->three), swung = chance(rng, g->swing);
    const double bpm = g->bpm_low + (g->bpm_high - g->bpm_low) * bl_rng_uniform(rng);
    /* MIDI stores whole microseconds per quarter note. */
    const double quarter_us = floor(60e6 / bpm);
    song->bpm = 60e6 / quarter_us;
    song->duration_s = seconds;
    song->key = (music_key){ between(rng, 0, 11), chance(rng, g->minor) };
    song->beats_per_bar = three ? 3 : 4;
    w->n_steps = song->beats_per_bar * STEPS_PER_BEAT;
    w->swing = swung ? g->swing_ratio : 0.5;
    w->seconds_per_tick = quarter_us * 1e-6 / TICKS;
    w->timing_ticks = 1e-3 * g->timing_ms / w->seconds_per_tick;
    w->lead_in = (int)(between(rng, 50, 500) * 1e-3 / w->seconds_per_tick);
    w->n_bars = (int)((seconds - 1.0 - w->lead_in * w->seconds_per_tick) / (song->beats_per_bar * quarter_us * 1e-6));
    w->n_bars = w->n_bars < 2 ? 2 : w->n_bars;
    snprintf(song->genre, sizeof song->genre, "%s", g->name);
    snprintf(song->feel, sizeof song->feel, "%s%s", three ? "3/4" : "4/4", swung ? " swing" : "");
    snprintf(song->title, sizeof song->title, "%s %s", title_a[bl_rng_below(rng, COUNT(title_a))], title_b[bl_rng_below(rng, COUNT(title_b))]);
    snprintf(song->artist, sizeof song->artist, "%s", artists[bl_rng_below(rng, COUNT(artists))]);
    snprintf(song->album, sizeof song->album, "%s %s", title_a[bl_rng_below(rng, COUNT(title_a))], title_b[bl_rng_below(rng, COUNT(title_b))]);
    song->year = between(rng, 1990, 2024);
}

static bl_status write_maps(writer *w)
{
    data_composition *song = w->song;
    const double beat_s = TICKS * w->seconds_per_tick, start_s = w->lead_in * w->seconds_per_tick;
    song->n_beats = w->n_bars * song->beats_per_bar;
    song->beats_s = malloc((size_t)song->n_beats * sizeof *song->beats_s);
    if (!song->beats_s)
        return bl_fail(w->err, BL_ENOMEM, "no memory for a song");
    for (int i = 0; i < song->n_beats; i++)
        song->beats_s[i] = start_s + i * beat_s;
    music_score_add_tempo(&song->score, 0, song->bpm, w->err);
    music_score_add_meter(&song->score, 0, song->beats_per_bar, 4, w->err);
    for (int i = 0; i < w->n_sections; i++)
        music_score_add_marker(&song->score, start_s + w->sections[i].first_bar * song->beats_per_bar * beat_s, w->sections[i].kind, w->err);
    write_chord_spans(w);
    return w->err->code;
}

static const data_genre_table *find_genre(const char *name, bl_error *err)
{
    const char *near;
    for (const data_genre_table *g = data_genre_tables; g->name; g++)
        if (!strcmp(g->name, name))
            return g;
    near = bl_nearest(name, genres, COUNT(genres) - 1);
    bl_fail(err, BL_EARG, "unknown genre \"%s\"%s%s%s; there are rock, pop, jazz and classical", name, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    return NULL;
}

/* Sorts; lines of one voice end a note where the next begins. */
static void finish_track(music_track *track, const char *role)
{
    music_track_sort(track);
    if (!strcmp(role, "rhythm") || !strcmp(role, "pad") || !strcmp(role, "drums"))
        return;
    for (int i = 0; i + 1 < track->n_notes; i++)
        if (track->notes[i].offset_s > track->notes[i + 1].onset_s && track->notes[i + 1].onset_s > track->notes[i].onset_s + 0.03)
            track->notes[i].offset_s = track->notes[i + 1].onset_s;
}

bl_status data_compose(data_composition *song, const char *genre, double seconds, uint64_t seed, bl_error *err)
{
    bl_error own = { 0 };
    writer w = { .song = song, .err = &own };
    *song = (data_composition){ 0 };
    if (!(seconds >= 8 && seconds <= 600)) {
        bl_fail(&own, BL_EARG, "a song lasts 8 to 600 seconds, not %g", seconds);
        goto done;
    }
    if (!(w.genre = find_genre(genre, &own)))
        goto done;
    bl_rng_seed(&w.rng, bl_hash(seed, genre, strlen(genre)));
    w.hands = bl_rng_fork(&w.rng, 1);
    draw_basics(&w, seconds);
    const size_t n = (size_t)w.n_bars * (size_t)w.n_steps;
    w.chords = calloc(n, sizeof *w.chords);
    w.sung = calloc(n, 1);
    if (!w.chords || !w.sung) {
        bl_fail(&own, BL_ENOMEM, "no memory for a song");
        goto done;
    }
    plan_form(&w);
    plan_harmony(&w);
    if (write_maps(&w) == BL_OK) {
        write_voice(&w);
        write_band(&w);
    }
    for (int i = 0; i < song->score.n_tracks; i++)
        finish_track(&song->score.tracks[i], song->parts[i].role);
done:
    free(w.chords);
    free(w.sung);
    if (own.code != BL_OK) {
        data_composition_free(song);
        bl_fail(err, own.code, "%s", own.msg);
    }
    return own.code;
}
