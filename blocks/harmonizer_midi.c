#include "blocks/harmonizer_midi.h"

#include "music/beats.h"
#include "music/chord_key.h"
#include "music/midi.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double TOGETHER_S = 0.03; /* notes that begin as close are one chord */

void blocks_midi_song_free(blocks_midi_song *s)
{
    free(s->melody);
    free(s->beats_s);
    free(s->is_downbeat);
    free(s->chords);
    *s = (blocks_midi_song){ 0 };
}

/* ---- growing ---- */

int blocks_midi_add_beat(blocks_midi_song *s, double time_s, int is_downbeat)
{
    if (s->n_beats == s->beat_capacity) {
        const int more = s->beat_capacity ? 2 * s->beat_capacity : 512;
        double *beats = realloc(s->beats_s, (size_t)more * sizeof *beats);
        s->beats_s = beats ? beats : s->beats_s;
        int *downbeats = beats ? realloc(s->is_downbeat, (size_t)more * sizeof *downbeats) : NULL;
        if (!downbeats)
            return 0;
        s->is_downbeat = downbeats;
        s->beat_capacity = more;
    }
    s->beats_s[s->n_beats] = time_s;
    s->is_downbeat[s->n_beats++] = is_downbeat;
    return 1;
}

int blocks_midi_add_chord(blocks_midi_song *s, double start_s, double end_s, music_chord chord)
{
    if (s->n_chords == s->chord_capacity) {
        const int more = s->chord_capacity ? 2 * s->chord_capacity : 256;
        music_chord_span *spans = realloc(s->chords, (size_t)more * sizeof *spans);
        if (!spans)
            return 0;
        s->chords = spans;
        s->chord_capacity = more;
    }
    s->chords[s->n_chords] = (music_chord_span){ .start_s = start_s, .end_s = end_s };
    music_chord_format(chord, 0, s->chords[s->n_chords++].name);
    return 1;
}

int blocks_midi_beats_per_bar(const blocks_midi_song *s)
{
    int count[65] = { 0 }, last = -1, best = 4;
    for (int i = 0; i < s->n_beats; i++)
        if (s->is_downbeat[i]) {
            if (last >= 0 && i - last < 65)
                count[i - last]++;
            last = i;
        }
    for (int k = 1; k < 65; k++)
        best = count[k] > count[best] ? k : best;
    return best;
}

/* ---- which track is which ---- */

static int is_called(const music_track *t, const char *const *names)
{
    char name[64];
    size_t n = 0;
    for (const char *c = t->name; *c && n + 1 < sizeof name; c++)
        name[n++] = (char)tolower((unsigned char)*c);
    name[n] = '\0';
    for (; *names; names++)
        if (strstr(name, *names))
            return 1;
    return 0;
}

/* Notes that sound when a note of the track begins, itself included, on average. */
static double thickness(const music_track *t)
{
    double sum = 0;
    for (int i = 0, from = 0; i < t->n_notes; i++) {
        while (from < i && t->notes[from].offset_s <= t->notes[i].onset_s + TOGETHER_S)
            from++;
        for (int k = from; k < t->n_notes && t->notes[k].onset_s <= t->notes[i].onset_s + TOGETHER_S; k++)
            sum += t->notes[k].offset_s > t->notes[i].onset_s + TOGETHER_S;
    }
    return t->n_notes ? sum / t->n_notes : 0;
}

static const char *const melody_names[] = { "melody", "vocal", "voice", "lead", "singer", NULL };
static const char *const chord_names[] = { "chord", "harmony", NULL };

static const music_track *find_chord_track(const music_score *score)
{
    for (int i = 0; i < score->n_tracks; i++)
        if (!score->tracks[i].is_drums && is_called(&score->tracks[i], chord_names))
            return &score->tracks[i];
    for (int i = 0; i < score->n_tracks; i++)
        if (!score->tracks[i].is_drums && !is_called(&score->tracks[i], melody_names) && thickness(&score->tracks[i]) >= 2.5)
            return &score->tracks[i];
    return NULL;
}

static const music_track *find_melody_track(const music_score *score, const music_track *chords)
{
    for (int i = 0; i < score->n_tracks; i++)
        if (!score->tracks[i].is_drums && &score->tracks[i] != chords && is_called(&score->tracks[i], melody_names))
            return &score->tracks[i];
    for (int i = 0; i < score->n_tracks; i++)
        if (!score->tracks[i].is_drums && &score->tracks[i] != chords && score->tracks[i].n_notes)
            return &score->tracks[i];
    return NULL;
}

/* ---- chords of notes ---- */

/* The chord with exactly these pitch classes, the lowest as its root where that can be; else the largest one in them that has this
 * root. root -1: none. */
static music_chord name_notes(unsigned classes, int lowest)
{
    music_chord best = { -1, MUSIC_MAJ, -1 };
    int best_score = 0;
    for (int r = 0; r < 12; r++)
        for (int q = 0; q < MUSIC_N_QUALITIES; q++) {
            const int root = (lowest + r) % 12;
            const unsigned tones = music_chord_classes((music_chord){ root, (music_quality)q, root });
            int n = 0, score;
            for (int c = 0; c < 12; c++)
                n += (int)(tones >> c & 1);
            if (tones == classes)
                score = 200 - r;
            else
                score = (tones & ~classes) == 0 && r == 0 && n >= 3 ? 10 * n : 0;
            if (score > best_score) {
                best_score = score;
                best = (music_chord){ root, (music_quality)q, root };
            }
        }
    return best;
}

/* A chord lasts from its notes' onset to the next, or to its end when a rest of more than a second follows. */
static bl_status chords_of_track(const music_track *t, const char *path, blocks_midi_song *s, bl_error *err)
{
    for (int i = 0, next; i < t->n_notes; i = next) {
        unsigned classes = 0;
        int lowest = 128;
        double end_s = 0;
        for (next = i; next < t->n_notes && t->notes[next].onset_s <= t->notes[i].onset_s + TOGETHER_S; next++) {
            classes |= 1u << t->notes[next].pitch % 12;
            lowest = t->notes[next].pitch < lowest ? t->notes[next].pitch : lowest;
            end_s = fmax(end_s, t->notes[next].offset_s);
        }
        const double following = next < t->n_notes ? t->notes[next].onset_s : end_s;
        const music_chord chord = name_notes(classes, lowest % 12);
        if (chord.root >= 0 && !blocks_midi_add_chord(s, t->notes[i].onset_s, following - end_s > 1 ? end_s : following, chord))
            return bl_fail(err, BL_ENOMEM, "%s: no memory for its chords", path);
    }
    return BL_OK;
}

/* ---- beats ---- */

static bl_status beats_of(const music_score *score, const char *path, blocks_midi_song *s, bl_error *err)
{
    music_beats grid = { 0 };
    if (music_score_beats(score, music_score_end_s(score), &grid, err) != BL_OK)
        return err->code;
    for (int i = 0; i < grid.n && !err->code; i++)
        if (!blocks_midi_add_beat(s, grid.time_s[i], grid.in_bar[i] == 1))
            bl_fail(err, BL_ENOMEM, "%s: no memory for its beats", path);
    music_beats_free(&grid);
    return err->code;
}

/* ---- a file ---- */

static bl_status take_melody(const music_track *t, const char *path, blocks_midi_song *s, bl_error *err)
{
    if (!t || !t->n_notes)
        return bl_fail(err, BL_EFORMAT, "%s: no track with a melody", path);
    if (!(s->melody = malloc((size_t)t->n_notes * sizeof *s->melody)))
        return bl_fail(err, BL_ENOMEM, "%s: no memory for its melody", path);
    memcpy(s->melody, t->notes, (size_t)t->n_notes * sizeof *s->melody);
    s->n_melody = t->n_notes;
    return BL_OK;
}

static bl_status take_chords(const music_score *score, const music_track *track, const char *path, blocks_midi_song *s, bl_error *err)
{
    music_chord chord;
    for (int i = 0; i < score->n_chords; i++)
        if (music_chord_parse(score->chords[i].name, &chord) && chord.root >= 0 &&
            !blocks_midi_add_chord(s, score->chords[i].start_s, score->chords[i].end_s, chord))
            return bl_fail(err, BL_ENOMEM, "%s: no memory for its chords", path);
    if (s->n_chords)
        return BL_OK;
    if (!track)
        return bl_fail(err, BL_EFORMAT, "%s: no chords: neither chord names as lyrics nor a track of them", path);
    return chords_of_track(track, path, s, err);
}

static music_key key_of(const music_score *score, const blocks_midi_song *s)
{
    double log_p[MUSIC_KEYS];
    int best = 0;
    if (score->n_keys) /* the first: what the song begins in */
        return (music_key){ ((7 * score->keys[0].fifths + (score->keys[0].minor ? 9 : 0)) % 12 + 12) % 12, score->keys[0].minor != 0 };
    music_chord_key(s->chords, s->n_chords, log_p);
    for (int k = 1; k < MUSIC_KEYS; k++)
        best = log_p[k] > log_p[best] ? k : best;
    return (music_key){ best % 12, best / 12 };
}

bl_status blocks_midi_read(const char *path, blocks_midi_song *s, bl_error *err)
{
    music_score score = { 0 };
    if (music_midi_read(path, &score, err) != BL_OK)
        return err->code;
    const music_track *chords = score.n_chords ? NULL : find_chord_track(&score), *melody = find_melody_track(&score, chords);
    if (take_melody(melody, path, s, err) == BL_OK && take_chords(&score, chords, path, s, err) == BL_OK)
        beats_of(&score, path, s, err);
    s->key = key_of(&score, s);
    music_score_free(&score);
    return err->code;
}

bl_status blocks_midi_read_melody(const char *path, blocks_midi_song *s, bl_error *err)
{
    music_score score = { 0 };
    if (music_midi_read(path, &score, err) == BL_OK)
        take_melody(find_melody_track(&score, NULL), path, s, err);
    music_score_free(&score);
    return err->code;
}
