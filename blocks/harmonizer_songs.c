#include "blocks/harmonizer_songs.h"

#include "base/file.h"
#include "base/progress.h"
#include "base/rng.h"
#include "blocks/harmonizer_midi.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 22, DEEPEST = 8 };

static void free_song(blocks_melody_song *s)
{
    free(s->name);
    free(s->melody);
    free(s->units);
    free(s->beats_s);
    free(s->is_downbeat);
    free(s->degree);
    free(s->colour);
}

void blocks_melody_songs_free(blocks_melody_songs *songs)
{
    for (int i = 0; i < songs->n; i++)
        free_song(&songs->songs[i]);
    free(songs->songs);
    *songs = (blocks_melody_songs){ 0 };
}

/* ---- labels ---- */

/* The degree that lasts longest in a unit, and the colour that lasts longest on it. */
static void label_unit(const music_harmony_unit *u, const music_chord_span *chords, int n, int home, signed char *degree, signed char *colour)
{
    double lasts[MUSIC_DEGREES] = { 0 }, with[MUSIC_DEGREES][MUSIC_COLOURS] = { { 0 } };
    int best = 0, best_colour = 0;
    for (int i = 0; i < n; i++) {
        const double overlap = fmin(chords[i].end_s, u->end_s) - fmax(chords[i].start_s, u->start_s);
        music_chord chord;
        if (!(overlap > 0) || !music_chord_parse(chords[i].name, &chord) || chord.root < 0)
            continue;
        lasts[music_chord_degree(chord, home)] += overlap;
        with[music_chord_degree(chord, home)][music_chord_colour(chord)] += overlap;
    }
    for (int j = 1; j < MUSIC_DEGREES; j++)
        best = lasts[j] > lasts[best] ? j : best;
    for (int k = 1; k < MUSIC_COLOURS; k++)
        best_colour = with[best][k] > with[best][best_colour] ? k : best_colour;
    const int known = lasts[best] >= 0.5 * (u->end_s - u->start_s) * (1 - 1e-6);
    *degree = (signed char)(known ? best : -1);
    *colour = (signed char)(known ? best_colour : -1);
}

static void *copy_of(const void *data, size_t n_bytes)
{
    void *copy = malloc(n_bytes + !n_bytes);
    if (copy && n_bytes)
        memcpy(copy, data, n_bytes);
    return copy;
}

bl_status blocks_melody_songs_add(blocks_melody_songs *songs, const char *name, const music_harmony_input *in, const music_chord_span *chords,
                                  int n_chords, int held_out, bl_error *err)
{
    blocks_melody_song s = { .n_melody = in->n_melody, .n_beats = in->n_beats, .beats_per_bar = in->beats_per_bar, .key = in->key,
                             .held_out = held_out };
    if (songs->n == songs->capacity) {
        const int more = songs->capacity ? 2 * songs->capacity : 64;
        blocks_melody_song *p = realloc(songs->songs, (size_t)more * sizeof *p);
        if (!p)
            return bl_fail(err, BL_ENOMEM, "no memory for %d songs", more);
        songs->songs = p;
        songs->capacity = more;
    }
    if (music_harmony_units(in, &s.units, &s.n_units, err) != BL_OK)
        return err->code;
    s.name = copy_of(name, strlen(name) + 1);
    s.melody = copy_of(in->melody, (size_t)in->n_melody * sizeof *in->melody);
    s.beats_s = copy_of(in->beats_s, (size_t)in->n_beats * sizeof *in->beats_s);
    s.is_downbeat = in->is_downbeat ? copy_of(in->is_downbeat, (size_t)in->n_beats * sizeof *in->is_downbeat) : NULL;
    s.degree = malloc((size_t)s.n_units);
    s.colour = malloc((size_t)s.n_units);
    if (!s.name || !s.melody || !s.beats_s || (in->is_downbeat && !s.is_downbeat) || !s.degree || !s.colour) {
        free_song(&s);
        return bl_fail(err, BL_ENOMEM, "no memory for %s", name);
    }
    for (int k = 0; k < s.n_units; k++)
        label_unit(&s.units[k], chords, n_chords, music_do(in->key), &s.degree[k], &s.colour[k]);
    songs->songs[songs->n++] = s;
    return BL_OK;
}

/* ---- POP909 ---- */

/* Columns of numbers: calls take() for every line that is not empty; the line is its to cut up. */
static bl_status each_line(const char *folder, const char *file, int (*take)(void *user, char *line), void *user, const char *expected,
                           bl_error *err)
{
    char path[BL_PATH_MAX], *text = NULL;
    if (bl_path_join(path, folder, file, err) != BL_OK || bl_read_file(path, MOST_BYTES, &text, NULL, err) != BL_OK)
        return err->code;
    int number = 1;
    bl_status status = BL_OK;
    for (char *line = text; line && status == BL_OK; number++) {
        char *next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        if (line[strspn(line, " \t\r")] && !take(user, line))
            status = bl_fail(err, BL_EFORMAT, "%s line %d: expected %s, got \"%.60s\"", path, number, expected, line);
        line = next;
    }
    free(text);
    return status;
}

typedef struct pop_song {
    blocks_midi_song midi;
    int              has_key;
} pop_song;

static int take_beat(void *user, char *line)
{
    pop_song *p = user;
    double time_s, simple, compound;
    if (sscanf(line, "%lf %lf %lf", &time_s, &simple, &compound) != 3 || !isfinite(time_s) ||
        (p->midi.n_beats && time_s <= p->midi.beats_s[p->midi.n_beats - 1]))
        return 0;
    return blocks_midi_add_beat(&p->midi, time_s, compound > 0.5);
}

static int take_chord(void *user, char *line)
{
    pop_song *p = user;
    music_chord chord;
    double start_s, end_s;
    char name[32];
    if (sscanf(line, "%lf %lf %31s", &start_s, &end_s, name) != 3 || !isfinite(start_s) || !isfinite(end_s))
        return 0;
    if (!music_chord_parse(name, &chord))
        return 1; /* what has no name here teaches nothing */
    return blocks_midi_add_chord(&p->midi, start_s, end_s, chord);
}

static int take_key(void *user, char *line)
{
    pop_song *p = user;
    char name[32];
    if (sscanf(line, "%*f %*f %31s", name) != 1)
        return 0;
    if (!p->has_key && !music_key_parse(name, &p->midi.key)) /* the first */
        return 0;
    p->has_key = 1;
    return 1;
}

static bl_status read_pop(const char *folder, pop_song *p, bl_error *err)
{
    char name[BL_PATH_MAX], path[BL_PATH_MAX];
    snprintf(name, sizeof name, "%.200s.mid", bl_path_name(folder));
    if (bl_path_join(path, folder, name, err) != BL_OK || blocks_midi_read_melody(path, &p->midi, err) != BL_OK ||
        each_line(folder, "beat_midi.txt", take_beat, p, "rising times and two marks", err) != BL_OK ||
        each_line(folder, "chord_midi.txt", take_chord, p, "start, end, chord", err) != BL_OK ||
        each_line(folder, "key_audio.txt", take_key, p, "start, end, key", err) != BL_OK)
        return err->code;
    if (!p->has_key)
        return bl_fail(err, BL_EFORMAT, "%s: key_audio.txt is empty", folder);
    return BL_OK;
}

/* ---- folders ---- */

typedef struct finder {
    char **paths; /* of song folders and MIDI files */
    int    n, capacity;
} finder;

static bl_status found(finder *f, const char *path, bl_error *err)
{
    if (f->n == f->capacity) {
        const int more = f->capacity ? 2 * f->capacity : 256;
        char **p = realloc(f->paths, (size_t)more * sizeof *p);
        if (!p)
            return bl_fail(err, BL_ENOMEM, "no memory for %d songs", more);
        f->paths = p;
        f->capacity = more;
    }
    if (!(f->paths[f->n] = copy_of(path, strlen(path) + 1)))
        return bl_fail(err, BL_ENOMEM, "no memory for %d songs", f->n);
    f->n++;
    return BL_OK;
}

static int is_pop(const char *folder)
{
    char path[BL_PATH_MAX];
    bl_error ignored = { 0 };
    return bl_path_join(path, folder, "chord_midi.txt", &ignored) == BL_OK && bl_is_file(path);
}

static bl_status find_songs(const char *folder, int depth, finder *f, bl_error *err)
{
    char **names = NULL, path[BL_PATH_MAX];
    int n = 0;
    if (is_pop(folder))
        return found(f, folder, err);
    bl_status status = bl_list_folder(folder, &names, &n, err);
    for (int i = 0; i < n && status == BL_OK; i++) {
        const char *extension = bl_path_extension(names[i]);
        if ((status = bl_path_join(path, folder, names[i], err)) != BL_OK)
            break;
        if (bl_is_folder(path))
            status = depth < DEEPEST ? find_songs(path, depth + 1, f, err) : BL_OK;
        else if (!strcmp(extension, "mid") || !strcmp(extension, "midi") || !strcmp(extension, "MID"))
            status = found(f, path, err);
    }
    bl_names_free(names, n);
    return status;
}

/* The number a name ends in; -1: none. */
static long ending_number(const char *name)
{
    size_t n = strlen(name), from = n;
    while (from > 0 && isdigit((unsigned char)name[from - 1]))
        from--;
    return from < n ? strtol(name + from, NULL, 10) : -1;
}

static bl_status read_song(const char *path, const char *name, int held_out, blocks_melody_songs *songs, bl_error *err)
{
    pop_song p = { 0 };
    bl_status status = bl_is_folder(path) ? read_pop(path, &p, err) : blocks_midi_read(path, &p.midi, err);
    const blocks_midi_song *m = &p.midi;
    if (status == BL_OK && (m->n_melody < 8 || m->n_chords < 2 || m->n_beats < 8))
        status = bl_fail(err, BL_EFORMAT, "%s: too little to learn from: %d notes of a melody, %d chords, %d beats", path, m->n_melody,
                         m->n_chords, m->n_beats);
    if (status == BL_OK) {
        const music_harmony_input in = { .beats_s = m->beats_s, .n_beats = m->n_beats, .is_downbeat = m->is_downbeat,
                                         .beats_per_bar = blocks_midi_beats_per_bar(m), .melody = m->melody, .n_melody = m->n_melody,
                                         .key = m->key, .start_s = m->beats_s[0], .end_s = m->beats_s[m->n_beats - 1] };
        status = blocks_melody_songs_add(songs, name, &in, m->chords, m->n_chords, held_out, err);
    }
    blocks_midi_song_free(&p.midi);
    return status;
}

static bl_status read_all(const char *folder, const finder *f, const blocks_melody_options *o, int quiet, blocks_melody_songs *songs,
                          bl_error *err)
{
    bl_progress progress;
    bl_progress_start(&progress, "reading", "songs", f->n, quiet);
    for (int i = 0; i < f->n; i++) {
        char name[BL_PATH_MAX];
        bl_error own = { 0 };
        bl_rng rng;
        if (bl_interrupted())
            return bl_fail(err, BL_ESTOP, "interrupted while reading songs");
        snprintf(name, sizeof name, "%s", f->paths[i] + strlen(folder) + strspn(f->paths[i] + strlen(folder), "/"));
        if (!bl_is_folder(f->paths[i]))
            name[strlen(name) - strlen(bl_path_extension(name)) - 1] = '\0';
        const char *last = *name ? bl_path_name(name) : bl_path_name(folder);
        const long number = ending_number(last);
        bl_rng_seed(&rng, bl_hash(0, last, strlen(last)));
        if (o->keep_out > 0 && number >= 0 && number % o->keep_out == 0)
            songs->n_kept_out++;
        else
            read_song(f->paths[i], name, bl_rng_uniform(&rng) < o->held_out, songs, &own);
        if (own.code == BL_ENOMEM)
            return bl_fail(err, own.code, "%s", own.msg);
        if (own.code) {
            const size_t n = strlen(f->paths[i]); /* on_skip says the path itself */
            const int says_it = !strncmp(own.msg, f->paths[i], n) && !strncmp(own.msg + n, ": ", 2);
            songs->n_skipped++;
            if (o->on_skip)
                o->on_skip(o->user, f->paths[i], own.msg + (says_it ? n + 2 : 0));
        }
        bl_progress_step(&progress, i + 1, "");
    }
    bl_progress_end(&progress);
    return BL_OK;
}

bl_status blocks_melody_songs_collect(const char *folder, const blocks_melody_options *options, int quiet, blocks_melody_songs *songs,
                                      bl_error *err)
{
    finder f = { 0 };
    bl_status status = find_songs(folder, 0, &f, err);
    if (status == BL_OK)
        status = read_all(folder, &f, options, quiet, songs, err);
    if (status == BL_OK && songs->n == 0)
        status = bl_fail(err, BL_EFORMAT, "%s: no song with a melody and chords (POP909 folders, or MIDI files with both)", folder);
    for (int i = 0; i < f.n; i++)
        free(f.paths[i]);
    free(f.paths);
    if (status != BL_OK)
        blocks_melody_songs_free(songs);
    return status;
}
