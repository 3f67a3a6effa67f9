#include "blocks/beat_songs.h"

#include "audio/soundfile.h"
#include "base/file.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double MAX_SECONDS = 3600;

void blocks_beat_songs_free(blocks_beat_songs *s)
{
    for (int i = 0; i < s->n; i++) {
        free(s->songs[i].name);
        free(s->songs[i].beats);
        audio_beat_bands_free(&s->songs[i].bands);
    }
    free(s->songs);
    memset(s, 0, sizeof *s);
}

/* One line; 0: nothing on it, -1: a mistake. */
static int read_line(const char *line, blocks_beat *beat)
{
    char *end;
    line += strspn(line, " \t\r");
    if (!*line || *line == '#')
        return 0;
    beat->time_s = strtod(line, &end);
    if (end == line || !isfinite(beat->time_s))
        return -1;
    const char *rest = end + strspn(end, " \t\r");
    const double place = *rest ? strtod(rest, &end) : 0;
    if (*rest && (end == rest || end[strspn(end, " \t\r")]))
        return -1;
    if (!(place >= 0 && place <= 64) || floor(place) < place)
        return -1;
    beat->place = (int)place;
    return 1;
}

bl_status blocks_read_beats(const char *path, blocks_beat **beats, int *n, bl_error *err)
{
    char *text = NULL;
    *beats = NULL;
    *n = 0;
    if (bl_read_file(path, 16 << 20, &text, NULL, err) != BL_OK)
        return err->code;
    size_t lines = 2;
    for (const char *c = text; *c; c++)
        lines += *c == '\n';
    bl_status status = (*beats = malloc(lines * sizeof **beats)) ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for %s", path);
    int number = 1;
    for (char *line = text; status == BL_OK && line; number++) {
        char *next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        blocks_beat *beat = *beats + *n;
        const int got = read_line(line, beat);
        if (got < 0)
            status = bl_fail(err, BL_EFORMAT, "%s line %d: expected a time in seconds and a place in the bar (0 to 64), got \"%.60s\"",
                             path, number, line);
        else if (got && *n && beat->time_s <= beat[-1].time_s)
            status = bl_fail(err, BL_EFORMAT, "%s line %d: %.4f s is not after the beat before it, %.4f s", path, number, beat->time_s,
                             beat[-1].time_s);
        *n += got > 0;
        line = next;
    }
    if (status == BL_OK && *n < 4)
        status = bl_fail(err, BL_EFORMAT, "%s: %d beats; at least 4 are needed", path, *n);
    free(text);
    if (status != BL_OK) {
        free(*beats);
        *beats = NULL;
        *n = 0;
    }
    return status;
}

/* ---- a folder ---- */

/* path: the sound file. */
static bl_status read_song(const char *path, blocks_beat_song *song, bl_error *err)
{
    char       beats[BL_PATH_MAX];
    audio_clip clip = { 0 };
    const size_t stem = strlen(path) - strlen(bl_path_extension(path));
    if (stem + sizeof "beats" > sizeof beats)
        return bl_fail(err, BL_EARG, "%s: the name is too long", path);
    memcpy(beats, path, stem);
    strcpy(beats + stem, "beats");
    if (blocks_read_beats(beats, &song->beats, &song->n_beats, err) != BL_OK || audio_read(path, MAX_SECONDS, &clip, err) != BL_OK)
        return err->code;
    float *mono = malloc((size_t)clip.n_samples * sizeof *mono);
    bl_status status = mono ? BL_OK : bl_fail(err, BL_ENOMEM, "%s: no memory", path);
    song->duration_s = (double)clip.n_samples / clip.sample_rate;
    if (status == BL_OK) {
        audio_clip_mono(&clip, mono);
        status = audio_beat_bands_run(mono, clip.n_samples, clip.sample_rate, &song->bands, err);
    }
    if (status == BL_OK && song->beats[0].time_s > song->duration_s)
        status = bl_fail(err, BL_EFORMAT, "%s: its first beat lies behind its end", path);
    free(mono);
    audio_clip_free(&clip);
    return status;
}

/* Sound files that have a NAME.beats. */
static int with_beats(char **names, int n, const char *name)
{
    const size_t stem = strlen(name) - strlen(bl_path_extension(name));
    for (int i = 0; i < n && audio_is_sound_name(name); i++)
        if (!strncmp(names[i], name, stem) && !strcmp(names[i] + stem, "beats"))
            return 1;
    return 0;
}

static void hold_out(blocks_beat_songs *s, double share)
{
    for (int i = 0; i < s->n; i++) {
        bl_rng rng;
        bl_rng_seed(&rng, bl_hash(0, s->songs[i].name, strlen(s->songs[i].name)));
        s->songs[i].held_out = bl_rng_uniform(&rng) < share;
    }
}

bl_status blocks_beat_songs_collect(const char *folder, double held_out, int quiet,
                                    void (*on_skip)(void *user, const char *path, const char *reason), void *user,
                                    blocks_beat_songs *out, bl_error *err)
{
    char **names = NULL;
    int    n_names = 0, n = 0;
    if (bl_list_folder(folder, &names, &n_names, err) != BL_OK)
        return err->code;
    blocks_beat_song *songs = calloc((size_t)n_names + 1, sizeof *songs);
    bl_status         status = songs ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for %d recordings", n_names);
    for (int i = 0; status == BL_OK && i < n_names; i++)
        if (with_beats(names, n_names, names[i])) {
            if (!(songs[n].name = malloc(strlen(names[i]) + 1)))
                status = bl_fail(err, BL_ENOMEM, "no memory for %d recordings", n_names);
            else
                strcpy(songs[n++].name, names[i]);
        }
    bl_progress progress;
    int64_t     next = 0, done = 0;
    bl_progress_start(&progress, "reading", "recordings", n, quiet);
    #pragma omp parallel
    for (int64_t i; status == BL_OK && (i = bl_take(&next)) < n && !bl_interrupted();) {
        char      path[BL_PATH_MAX];
        bl_error  own = { 0 };
        if (bl_path_join(path, folder, songs[i].name, &own) == BL_OK)
            read_song(path, &songs[i], &own);
        #pragma omp critical
        {
            if (own.code) {
                audio_beat_bands_free(&songs[i].bands);
                on_skip(user, path, own.msg);
            }
            bl_progress_step(&progress, ++done, "");
        }
    }
    bl_progress_end(&progress);
    for (int i = 0; i < n; i++) { /* what could be read moves together */
        if (songs[i].bands.level) {
            songs[out->n++] = songs[i];
        } else {
            free(songs[i].name);
            free(songs[i].beats);
            out->n_skipped++;
        }
    }
    out->songs = songs;
    bl_names_free(names, n_names);
    if (status == BL_OK && bl_interrupted())
        status = bl_fail(err, BL_ESTOP, "interrupted while reading recordings");
    if (status == BL_OK && !out->n)
        status = bl_fail(err, BL_EFORMAT, "%s: has no sound file with a NAME.beats beside it that can be used", folder);
    if (status != BL_OK)
        blocks_beat_songs_free(out);
    else
        hold_out(out, held_out);
    return status;
}
