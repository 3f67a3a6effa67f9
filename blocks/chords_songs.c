/* Songs with known chords: from a dataset to spectra and a class per frame. */
#include "base/file.h"
#include "base/progress.h"
#include "blocks/chords_train.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RATE = 22050, MOST_BYTES = 1 << 24 };

void blocks_chord_songs_free(blocks_chord_songs *songs)
{
    for (int i = 0; i < songs->n; i++) {
        audio_tonal_free(&songs->songs[i].tonal);
        free(songs->songs[i].chord);
        free(songs->songs[i].bass);
    }
    free(songs->songs);
    *songs = (blocks_chord_songs){ 0 };
}

/* Frames whose centre lies in start .. end; a chord and its neighbour share a frame within a quarter of it, which teaches neither. */
static void label(blocks_chord_song *s, double start_s, double end_s, int heard, int bass)
{
    const double edge = 0.25 * s->tonal.hop_s;
    for (int64_t t = (int64_t)ceil((start_s + edge) / s->tonal.hop_s); t < s->tonal.n_frames && (double)t * s->tonal.hop_s < end_s - edge; t++)
        if (t >= 0) {
            s->chord[t] = (signed char)heard;
            s->bass[t] = (signed char)bass;
        }
}

static bl_status read_chord(const json_t *row, int i, const char *name, blocks_chord_song *s, bl_error *err)
{
    const json_t *start = json_array_get(row, 0), *end = json_array_get(row, 1);
    const char *text = json_string_value(json_array_get(row, 2));
    music_chord chord;
    if (!json_is_number(start) || !json_is_number(end) || !text)
        return bl_fail(err, BL_EFORMAT, "%s: chords[%d]: expected [start, end, \"C:maj\"]", name, i);
    /* what has no name here (an added fourth, two chords at once) teaches nothing */
    if (!music_chord_parse(text, &chord))
        return BL_OK;
    const double last_s = (double)s->tonal.n_frames * s->tonal.hop_s;
    label(s, fmin(json_number_value(start), last_s), fmin(json_number_value(end), last_s), music_heard_class(chord), chord.bass);
    return BL_OK;
}

static bl_status read_truth(const char *truth, const char *name, blocks_chord_song *s, bl_error *err)
{
    json_error_t wrong;
    json_t *root = json_loads(truth, 0, &wrong);
    if (!root)
        return bl_fail(err, BL_EFORMAT, "%s line %d: not JSON: %s", name, wrong.line, wrong.text);
    const json_t *chords = json_object_get(root, "chords");
    const char *key_name = json_string_value(json_object_get(root, "key"));
    music_key key;
    if (!json_is_array(chords))
        bl_fail(err, BL_EFORMAT, "%s: expected \"chords\": [[start, end, \"C:maj\"], ...]", name);
    for (size_t i = 0; !err->code && i < json_array_size(chords); i++)
        read_chord(json_array_get(chords, i), (int)i, name, s, err);
    s->key = key_name && music_key_parse(key_name, &key) ? 12 * key.minor + key.tonic : -1;
    json_decref(root);
    return err->code;
}

bl_status blocks_chord_songs_add(blocks_chord_songs *songs, const char *name, const float *x, int64_t n_samples, int sample_rate,
                                 const char *truth, int held_out, bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    blocks_chord_song s = { .held_out = held_out };
    if (songs->n == songs->capacity) {
        const int more = songs->capacity ? 2 * songs->capacity : 64;
        blocks_chord_song *p = realloc(songs->songs, (size_t)more * sizeof *p);
        if (!p)
            return bl_fail(e, BL_ENOMEM, "no memory for %d songs", more);
        songs->songs = p;
        songs->capacity = more;
    }
    if (audio_tonal_run(x, n_samples, sample_rate, &s.tonal, e) != BL_OK)
        return e->code;
    s.chord = malloc((size_t)s.tonal.n_frames);
    s.bass = malloc((size_t)s.tonal.n_frames);
    if (!s.chord || !s.bass) {
        bl_fail(e, BL_ENOMEM, "no memory for the chords of %s", name);
    } else {
        memset(s.chord, -1, (size_t)s.tonal.n_frames);
        memset(s.bass, -1, (size_t)s.tonal.n_frames);
        read_truth(truth, name, &s, e);
    }
    if (e->code) {
        audio_tonal_free(&s.tonal);
        free(s.chord);
        free(s.bass);
        return e->code;
    }
    songs->songs[songs->n++] = s;
    songs->seconds += (double)n_samples / sample_rate;
    return BL_OK;
}

/* A song without truth, or one that cannot be read, is skipped and counted like any broken file. */
static bl_status add_from(data_dataset *dataset, const data_song *song, blocks_chord_songs *songs, bl_error *err)
{
    char path[BL_PATH_MAX], *truth = NULL;
    audio_clip clip = { 0 };
    bl_error own = { 0 };
    size_t n_bytes;
    if (!bl_is_folder(song->path) || bl_path_join(path, song->path, "truth.json", &own) != BL_OK || !bl_is_file(path)) {
        data_dataset_skip(dataset, song->path, "there is no truth.json with chords beside it");
        return BL_OK;
    }
    if (bl_read_file(path, MOST_BYTES, &truth, &n_bytes, &own) == BL_OK && data_song_audio(dataset, song, RATE, &clip, &own) == BL_OK)
        blocks_chord_songs_add(songs, path, clip.samples, clip.n_samples, RATE, truth, song->split == DATA_VALIDATION, &own);
    free(truth);
    audio_clip_free(&clip);
    if (own.code == BL_ENOMEM)
        return bl_fail(err, own.code, "%s", own.msg);
    if (own.code)
        data_dataset_skip(dataset, song->path, own.msg);
    return BL_OK;
}

bl_status blocks_chord_songs_collect(data_dataset *dataset, int quiet, blocks_chord_songs *songs, bl_error *err)
{
    bl_progress progress;
    bl_progress_start(&progress, "listening", "songs", dataset->n_songs, quiet);
    for (int i = 0; i < dataset->n_songs; i++) {
        if (bl_interrupted())
            return bl_fail(err, BL_ESTOP, "interrupted");
        if (add_from(dataset, &dataset->songs[i], songs, err) != BL_OK)
            return err->code;
        bl_progress_step(&progress, i + 1, "");
    }
    bl_progress_end(&progress);
    if (!songs->n)
        return bl_fail(err, BL_EFORMAT, "%s: no song has a truth.json with chords", dataset->path);
    return BL_OK;
}
