/* Performances of drummers: info.csv and its MIDI files to strokes. */
#include "base/file.h"
#include "base/rng.h"
#include "blocks/drummer_train.h"
#include "music/midi.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 26, MOST_COLUMNS = 64, SLOWEST = 20, FASTEST = 400, MOST_BEATS = 1000000 };
enum { STYLE, BPM, METER, FILE_NAME, SPLIT, N_COLUMNS };

static const char *const column_names[] = { "style", "bpm", "time_signature", "midi_filename", "split" };

void blocks_drum_songs_free(blocks_drum_songs *songs)
{
    for (int i = 0; i < songs->n; i++)
        free(songs->songs[i].strokes);
    free(songs->songs);
    *songs = (blocks_drum_songs){ 0 };
}

bl_status blocks_drum_songs_add(blocks_drum_songs *songs, blocks_stroke *strokes, int n, int style, blocks_drum_part part, bl_error *err)
{
    if (songs->n == songs->capacity) {
        const int more = songs->capacity ? 2 * songs->capacity : 256;
        blocks_drum_song *p = realloc(songs->songs, (size_t)more * sizeof *p);
        if (!p) {
            free(strokes);
            return bl_fail(err, BL_ENOMEM, "no memory for %d performances", more);
        }
        songs->songs = p;
        songs->capacity = more;
    }
    songs->songs[songs->n++] = (blocks_drum_song){ strokes, n, style, part };
    return BL_OK;
}

/* Cuts a line at its commas in place. */
static int split_line(char *line, char *fields[MOST_COLUMNS])
{
    int n = 0;
    for (char *p = line; p && n < MOST_COLUMNS;) {
        char *comma = strchr(p, ',');
        fields[n++] = p;
        if (comma)
            *comma++ = '\0';
        p = comma;
    }
    return n;
}

/* The next line without its end; NULL behind the last. */
static char *next_line(char **text)
{
    char *line = *text;
    if (!line || !*line)
        return NULL;
    char *end = line + strcspn(line, "\r\n");
    *text = end + strspn(end, "\r\n");
    *end = '\0';
    return line;
}

static bl_status read_header(char *line, const char *path, int column[N_COLUMNS], bl_error *err)
{
    char *fields[MOST_COLUMNS];
    const int n = split_line(line, fields);
    for (int k = 0; k < N_COLUMNS; k++) {
        column[k] = -1;
        for (int i = 0; i < n; i++)
            if (!strcmp(fields[i], column_names[k]))
                column[k] = i;
        if (column[k] < 0)
            return bl_fail(err, BL_EFORMAT, "%s line 1: there is no column \"%s\"", path, column_names[k]);
    }
    return BL_OK;
}

/* All drum notes of a file at one tempo, in order; 0: reason says why not. */
static int read_notes(const char *path, double *bpm, music_score *score, music_track *all, char reason[160])
{
    bl_error own = { 0 };
    if (music_midi_read(path, score, &own) != BL_OK) {
        snprintf(reason, 160, "%.159s", own.msg);
        return 0;
    }
    if (score->n_tempos)
        *bpm = score->tempos[0].bpm;
    for (int i = 1; i < score->n_tempos; i++)
        if (fabs(score->tempos[i].bpm - *bpm) > 0.01 * *bpm) {
            snprintf(reason, 160, "the tempo changes, from %g to %g", *bpm, score->tempos[i].bpm);
            return 0;
        }
    for (int t = 0; t < score->n_tracks; t++)
        for (int i = 0; i < score->tracks[t].n_notes && score->tracks[t].is_drums; i++) {
            const music_note *n = &score->tracks[t].notes[i];
            if (music_track_add(all, n->onset_s, n->offset_s, n->pitch, n->velocity, &own) != BL_OK) {
                snprintf(reason, 160, "%.159s", own.msg);
                return 0;
            }
        }
    music_track_sort(all);
    if (all->n_notes == 0)
        snprintf(reason, 160, "there are no drums in it");
    else if (!(*bpm >= SLOWEST && *bpm <= FASTEST))
        snprintf(reason, 160, "its tempo is %g, expected %d to %d", *bpm, SLOWEST, FASTEST);
    else if (all->notes[all->n_notes - 1].onset_s * *bpm / 60 > MOST_BEATS)
        snprintf(reason, 160, "it is longer than %d beats", MOST_BEATS);
    return !reason[0];
}

typedef struct collector {
    const char *folder;
    const blocks_drummer *d;
    double tune;
    blocks_drum_songs *songs;
} collector;

/* A row; what cannot be used is skipped with a reason. */
static bl_status add_row(const collector *c, char *const *row, const int column[N_COLUMNS], char reason[160], bl_error *err)
{
    char path[BL_PATH_MAX];
    music_score score = { 0 };
    music_track all = { 0 };
    const char *file = row[column[FILE_NAME]], *split = row[column[SPLIT]];
    double bpm = atof(row[column[BPM]]);
    int beats_per_bar = 0, unit = 0, n = 0;
    bl_status status = BL_OK;
    blocks_stroke *strokes = NULL;
    if (sscanf(row[column[METER]], "%d-%d", &beats_per_bar, &unit) != 2 || beats_per_bar < 1 || unit != 4)
        return snprintf(reason, 160, "its meter is %.20s, expected quarters (4-4)", row[column[METER]]), BL_OK;
    if (bl_path_join(path, c->folder, file, err) != BL_OK)
        return err->code;
    if (!(bpm >= SLOWEST && bpm <= FASTEST))
        snprintf(reason, 160, "its tempo is %.20s, expected %d to %d", row[column[BPM]], SLOWEST, FASTEST);
    else if (read_notes(path, &bpm, &score, &all, reason)) {
        n = blocks_strokes_read(all.notes, all.n_notes, bpm, beats_per_bar, &strokes);
        const int style = blocks_drummer_style(c->d, row[column[STYLE]]);
        const double fate = (double)(bl_hash(0, file, strlen(file)) >> 11) / 9007199254740992.0;
        const blocks_drum_part part = strcmp(split, "train") ? BLOCKS_DRUM_HELD_OUT : fate < c->tune ? BLOCKS_DRUM_TUNE : BLOCKS_DRUM_TRAIN;
        status = n < 0 ? bl_fail(err, BL_ENOMEM, "no memory for %s", path)
                       : blocks_drum_songs_add(c->songs, strokes, n, style > 0 ? style : 0, part, err);
    }
    music_score_free(&score);
    free(all.notes);
    return status;
}

bl_status blocks_drum_songs_collect(const char *folder, const blocks_drummer *d, double tune, void (*skipped)(void *, const char *, const char *),
                                    void *user, blocks_drum_songs *songs, bl_error *err)
{
    char path[BL_PATH_MAX], *text = NULL, *fields[MOST_COLUMNS];
    int column[N_COLUMNS], n_train = 0;
    size_t n_bytes;
    const collector c = { folder, d, tune, songs };
    *songs = (blocks_drum_songs){ 0 };
    if (bl_path_join(path, folder, "info.csv", err) != BL_OK)
        return err->code;
    if (!bl_is_file(path))
        return bl_fail(err, BL_EFORMAT, "%s: there is no info.csv with the columns style, bpm, time_signature, midi_filename, split", folder);
    if (bl_read_file(path, MOST_BYTES, &text, &n_bytes, err) != BL_OK)
        return err->code;
    char *at = text, *line = next_line(&at);
    bl_status status = line ? read_header(line, path, column, err) : bl_fail(err, BL_EFORMAT, "%s is empty", path);
    for (int number = 2; status == BL_OK && (line = next_line(&at)); number++) {
        char reason[160] = "";
        const int n = strchr(line, '"') ? -1 : split_line(line, fields);
        for (int k = 0; k < N_COLUMNS && status == BL_OK; k++)
            if (n <= column[k])
                status = bl_fail(err, BL_EFORMAT, "%s line %d: %s", path, number,
                                 n < 0 ? "quotes are not expected here" : "fewer columns than the first line");
        if (status == BL_OK)
            status = add_row(&c, fields, column, reason, err);
        if (reason[0]) {
            songs->n_skipped++;
            if (skipped)
                skipped(user, fields[column[FILE_NAME]], reason);
        }
    }
    free(text);
    for (int i = 0; i < songs->n; i++)
        n_train += songs->songs[i].part == BLOCKS_DRUM_TRAIN && songs->songs[i].n > 1;
    if (status == BL_OK && n_train == 0)
        status = bl_fail(err, BL_EFORMAT, "%s: no performance to train on", path);
    if (status != BL_OK)
        blocks_drum_songs_free(songs);
    return status;
}
