#include "music/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Room for one more element; counts double, so adding is linear in total. */
static void *grow(void *array, int n, size_t size, bl_error *err)
{
    /* The arrays of a score have no capacity field: they are full exactly at powers of two from 4 on. */
    if (array && (n < 4 || (n & (n - 1))))
        return array;
    void *larger = realloc(array, (size_t)(n < 4 ? 4 : 2 * n) * size);
    if (!larger)
        bl_fail(err, BL_ENOMEM, "no memory for %d elements of a score", n + 1);
    return larger;
}

static void copy_text(char *out, size_t size, const char *text)
{
    size_t n = strlen(text);
    if (n >= size) {
        n = size - 1;
        while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80) /* do not cut a UTF-8 character in two */
            n--;
    }
    memcpy(out, text, n);
    out[n] = '\0';
}

void music_score_free(music_score *score)
{
    if (!score)
        return;
    for (int i = 0; i < score->n_tracks; i++) {
        free(score->tracks[i].notes);
        free(score->tracks[i].controls);
    }
    for (int i = 0; i < score->n_sysex; i++)
        free(score->sysex[i].bytes);
    free(score->tracks);
    free(score->tempos);
    free(score->meters);
    free(score->chords);
    free(score->markers);
    free(score->lyrics);
    free(score->keys);
    free(score->sysex);
    *score = (music_score){ 0 };
}

music_track *music_score_add_track(music_score *score, const char *name, int program, int is_drums, bl_error *err)
{
    music_track *tracks = grow(score->tracks, score->n_tracks, sizeof *tracks, err);
    if (!tracks)
        return NULL;
    score->tracks = tracks;
    music_track *track = &tracks[score->n_tracks++];
    *track = (music_track){ .program = program, .is_drums = is_drums };
    copy_text(track->name, sizeof track->name, name);
    return track;
}

bl_status music_track_add(music_track *track, double onset_s, double offset_s, int pitch, int velocity, bl_error *err)
{
    if (track->n_notes == track->capacity) {
        int capacity = track->capacity ? 2 * track->capacity : 16;
        music_note *notes = realloc(track->notes, (size_t)capacity * sizeof *notes);
        if (!notes)
            return bl_fail(err, BL_ENOMEM, "no memory for %d notes", capacity);
        track->notes = notes;
        track->capacity = capacity;
    }
    track->notes[track->n_notes++] = (music_note){ onset_s, offset_s, pitch, velocity };
    return BL_OK;
}

#define ADD(array, count, ...)                                                   \
    do {                                                                         \
        void *larger = grow(score->array, score->count, sizeof *score->array, err); \
        if (!larger)                                                             \
            return BL_ENOMEM;                                                    \
        score->array = larger;                                                   \
        score->array[score->count++] = __VA_ARGS__;                              \
    } while (0)

bl_status music_score_add_tempo(music_score *score, double time_s, double bpm, bl_error *err)
{
    ADD(tempos, n_tempos, (music_tempo){ time_s, bpm });
    return BL_OK;
}

bl_status music_score_add_meter(music_score *score, double time_s, int numerator, int denominator, bl_error *err)
{
    ADD(meters, n_meters, (music_meter){ time_s, numerator, denominator });
    return BL_OK;
}

bl_status music_score_add_chord(music_score *score, double start_s, double end_s, const char *name, bl_error *err)
{
    ADD(chords, n_chords, (music_chord_span){ .start_s = start_s, .end_s = end_s });
    copy_text(score->chords[score->n_chords - 1].name, sizeof score->chords->name, name);
    return BL_OK;
}

bl_status music_score_add_marker(music_score *score, double time_s, const char *text, bl_error *err)
{
    ADD(markers, n_markers, (music_marker){ .time_s = time_s });
    copy_text(score->markers[score->n_markers - 1].text, sizeof score->markers->text, text);
    return BL_OK;
}

bl_status music_score_add_lyric(music_score *score, double time_s, const char *text, bl_error *err)
{
    ADD(lyrics, n_lyrics, (music_marker){ .time_s = time_s });
    copy_text(score->lyrics[score->n_lyrics - 1].text, sizeof score->lyrics->text, text);
    return BL_OK;
}

bl_status music_score_add_key(music_score *score, double time_s, int fifths, int minor, bl_error *err)
{
    ADD(keys, n_keys, (music_key_change){ time_s, fifths, minor });
    return BL_OK;
}

bl_status music_score_add_sysex(music_score *score, double time_s, const uint8_t *bytes, int n, bl_error *err)
{
    uint8_t *copy = malloc((size_t)n + 1);
    void *larger = copy ? grow(score->sysex, score->n_sysex, sizeof *score->sysex, err) : NULL;
    if (!larger) {
        free(copy);
        return bl_fail(err, BL_ENOMEM, "no memory for a system message of %d bytes", n);
    }
    score->sysex = larger;
    memcpy(copy, bytes, (size_t)n);
    score->sysex[score->n_sysex++] = (music_sysex){ time_s, copy, n };
    return BL_OK;
}

bl_status music_track_add_control(music_track *track, music_control control, bl_error *err)
{
    void *larger = grow(track->controls, track->n_controls, sizeof *track->controls, err);
    if (!larger)
        return BL_ENOMEM;
    track->controls = larger;
    track->controls[track->n_controls++] = control;
    return BL_OK;
}

/* All fields take part, so the order is total and the result does not depend on the C library's qsort. */
static int compare_notes(const void *a, const void *b)
{
    const music_note *x = a, *y = b;
    if (x->onset_s != y->onset_s)
        return x->onset_s < y->onset_s ? -1 : 1;
    if (x->pitch != y->pitch)
        return x->pitch - y->pitch;
    if (x->offset_s != y->offset_s)
        return x->offset_s < y->offset_s ? -1 : 1;
    return x->velocity - y->velocity;
}

void music_track_sort(music_track *track)
{
    if (track->n_notes > 1)
        qsort(track->notes, (size_t)track->n_notes, sizeof *track->notes, compare_notes);
}

double music_score_end_s(const music_score *score)
{
    double end = 0;
    for (int i = 0; i < score->n_tracks; i++)
        for (int j = 0; j < score->tracks[i].n_notes; j++)
            end = fmax(end, score->tracks[i].notes[j].offset_s);
    return end;
}

/* Longest run of beats from i on that one tempo follows to within 2 ms. */
static int steady_run(const double *beats, int n, int i)
{
    int last = i + 1;
    for (int j = i + 2; j < n; j++) {
        double period = (beats[j] - beats[i]) / (j - i);
        for (int k = i + 1; k < j; k++)
            if (fabs(beats[i] + (k - i) * period - beats[k]) > 0.002)
                return last;
        last = j;
    }
    return last;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bl_status music_score_set_beats(music_score *score, const double *beats_s, int n_beats, int first_downbeat,
                                int beats_per_bar, bl_error *err)
{
    if (n_beats < 2)
        return bl_fail(err, BL_EARG, "a tempo map needs two beats, got %d", n_beats);
    for (int i = 0; i < n_beats; i++)
        if (!(beats_s[i] >= 0) || !isfinite(beats_s[i]) || (i && beats_s[i] - beats_s[i - 1] < 0.01))
            return bl_fail(err, BL_EARG, "beat %d at %g s does not follow the one before it", i + 1, beats_s[i]);
    if (first_downbeat < 0 || first_downbeat >= n_beats || beats_per_bar < 1 || beats_per_bar > 64)
        return bl_fail(err, BL_EARG, "downbeat %d of %d beats in bars of %d", first_downbeat, n_beats, beats_per_bar);

    double *gaps = malloc((size_t)n_beats * sizeof *gaps);
    if (!gaps)
        return bl_fail(err, BL_ENOMEM, "no memory for %d beats", n_beats);
    for (int i = 0; i + 1 < n_beats; i++)
        gaps[i] = beats_s[i + 1] - beats_s[i];
    qsort(gaps, (size_t)n_beats - 1, sizeof *gaps, compare_doubles);
    double period = gaps[(n_beats - 1) / 2];
    free(gaps);

    score->n_tempos = score->n_meters = 0;
    free(score->tempos);
    free(score->meters);
    score->tempos = NULL;
    score->meters = NULL;
    /* Beats that fill the time before the first one; a short first bar keeps bar lines on downbeats. */
    int lead = 0;
    if (beats_s[0] > 0.001) {
        lead = (int)lround(beats_s[0] / period);
        lead = lead < 1 ? 1 : lead;
        if (music_score_add_tempo(score, 0, fmin(60 * lead / beats_s[0], 6000), err) != BL_OK)
            return BL_ENOMEM;
    }
    int pickup = (lead + first_downbeat) % beats_per_bar;
    if (pickup) {
        double bar_s = pickup <= lead ? beats_s[0] * pickup / lead : beats_s[pickup - lead];
        if (music_score_add_meter(score, 0, pickup, 4, err) != BL_OK ||
            music_score_add_meter(score, bar_s, beats_per_bar, 4, err) != BL_OK)
            return BL_ENOMEM;
    } else if (music_score_add_meter(score, 0, beats_per_bar, 4, err) != BL_OK) {
        return BL_ENOMEM;
    }
    for (int i = 0; i + 1 < n_beats;) {
        int last = steady_run(beats_s, n_beats, i);
        if (music_score_add_tempo(score, lead ? beats_s[i] : (i ? beats_s[i] : 0),
                                  60 * (last - i) / (beats_s[last] - beats_s[i]), err) != BL_OK)
            return BL_ENOMEM;
        i = last;
    }
    return BL_OK;
}
