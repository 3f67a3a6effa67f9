/* The sounds that the classifier learns from: see blocks/classifier_train.h. */
#include "blocks/classifier_private.h"

#include "base/progress.h"
#include "blocks/band_powers.h"
#include "data/instruments.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_STEMS = 24 };

typedef struct collecting {
    blocks_feature_extractor *fx;
    blocks_band_powers *bands; /* of the last rate */
    data_dataset  *dataset;
    blocks_sounds *sounds;
    int           *place;     /* [data_instrument_count()] place in the list of instruments, -1 not learned */
    double         longest_s; /* kept of a sound */
    int            solo_songs;
} collecting;

/* ---- classes ---- */

/* A recording of one instrument is no song, unless there are no others. */
static int is_song(const data_song *s)
{
    return s->mixture || s->n_stems != 1;
}

static bl_status list_classes(collecting *c, bl_error *err)
{
    const data_dataset *d = c->dataset;
    blocks_sounds *t = c->sounds;
    const int n_known = data_instrument_count();
    int songs = 0;

    c->place = malloc((size_t)n_known * sizeof *c->place);
    t->genres = malloc((size_t)(d->n_genres + 1) * sizeof *t->genres);
    t->instruments = malloc((size_t)(n_known + 1) * sizeof *t->instruments);
    int *used = calloc((size_t)n_known + 1, sizeof *used);
    if (!c->place || !t->genres || !t->instruments || !used) {
        free(used);
        return bl_fail(err, BL_ENOMEM, "no memory for the classes");
    }
    for (int i = 0; i < d->n_songs; i++)
        songs += is_song(&d->songs[i]);
    c->solo_songs = songs == 0;
    for (int i = 0; i < d->n_songs; i++) {
        const data_song *s = &d->songs[i];
        if (!is_song(s) && !c->solo_songs)
            continue;
        for (int k = 0; k < s->n_stems; k++)
            if (s->stems[k].instrument >= 0)
                used[s->stems[k].instrument] = 1;
        for (int k = 0; k < s->metadata.n_instruments; k++)
            used[s->metadata.instruments[k]] = 1;
    }
    for (int i = 0; i < n_known; i++) {
        c->place[i] = used[i] ? t->n_instruments : -1;
        if (used[i])
            t->instruments[t->n_instruments++] = data_instrument_name(i);
    }
    /* Genres keep the dataset's numbers: those without a song are never the answer, and cost one output. */
    for (int i = 0; i < d->n_genres; i++)
        t->genres[t->n_genres++] = d->genres[i];
    if (t->n_genres == 0)
        t->genres[t->n_genres++] = "unknown";
    if (t->n_instruments == 0)
        t->instruments[t->n_instruments++] = "unknown";
    free(used);
    return BL_OK;
}

/* ---- sounds ---- */

static bl_status encode(const float *power, int64_t n_frames, int n_mels, blocks_sound *s, bl_error *err)
{
    if (!(s->code = malloc((size_t)(n_frames * n_mels))))
        return bl_fail(err, BL_ENOMEM, "no memory for %lld frames", (long long)n_frames);
    double sum = 0;
    s->n_frames = n_frames;
    for (int64_t i = 0; i < n_frames * n_mels; i++) {
        const float code = power[i] > 1e-7f ? 2 * (10 * log10f(power[i]) + 70) + 0.5f : 0;
        s->code[i] = (unsigned char)(code <= 0 ? 0 : code < 1 ? 1 : code > 255 ? 255 : code);
        sum += (double)power[i];
    }
    s->mean_db = 10 * log10(sum / (double)(n_frames * n_mels) + 1e-7);
    return BL_OK;
}

/* One recording, of a long one the middle. One that cannot be read leaves s empty: the dataset has reported it. */
static bl_status measure(collecting *c, const char *path, blocks_sound *s, bl_error *err)
{
    bl_error local = { 0 };
    const audio_clip *clip = data_dataset_audio(c->dataset, path, 0, &local);
    float *mono = NULL, *power = NULL;
    int64_t n_frames = 0;
    if (!clip)
        return local.code == BL_ENOMEM ? bl_fail(err, BL_ENOMEM, "%s", local.msg) : BL_OK;
    const int64_t longest = (int64_t)(c->longest_s * clip->sample_rate), n = clip->n_samples < longest ? clip->n_samples : longest;
    if (!c->bands || c->bands->rate != clip->sample_rate) {
        blocks_band_powers_free(c->bands);
        c->bands = blocks_band_powers_new(c->fx, clip->sample_rate, err);
    }
    if (c->bands && !(mono = malloc((size_t)clip->n_samples * sizeof *mono)))
        bl_fail(err, BL_ENOMEM, "no memory for %s", path);
    if (mono) {
        audio_clip_mono(clip, mono);
        if (blocks_band_powers_run(c->bands, mono + (clip->n_samples - n) / 2, n, &power, &n_frames, err) == BL_OK)
            encode(power, n_frames, c->sounds->n_mels, s, err);
    }
    free(power);
    free(mono);
    return err->code;
}

/* What stems sound like together. */
static bl_status add_up(const blocks_song_sounds *song, int n_mels, blocks_sound *out, bl_error *err)
{
    int64_t n = 0;
    for (int k = 0; k < song->n_stems; k++)
        n = song->stems[k].n_frames > n ? song->stems[k].n_frames : n;
    float *power = calloc((size_t)(n * n_mels) + 1, sizeof *power);
    if (!power)
        return bl_fail(err, BL_ENOMEM, "no memory for %lld frames", (long long)n);
    for (int k = 0; k < song->n_stems; k++)
        blocks_sound_add(&song->stems[k], n_mels, 0, song->stems[k].n_frames, 1, 1, power);
    if (n > 0)
        encode(power, n, n_mels, out, err);
    free(power);
    return err->code;
}

double blocks_sound_add(const blocks_sound *s, int n_mels, int64_t first, int64_t n, double gain, double contrast, float *power)
{
    float table[256];
    double sum = 0;
    if (s->n_frames < 1)
        return 0;
    table[0] = 0;
    for (int i = 1; i < 256; i++)
        table[i] = (float)(gain * pow(10, (s->mean_db + contrast * (i / 2.0 - 70 - s->mean_db)) / 10));
    for (int64_t t = 0; t < n; t++) {
        const int64_t at = first + t;
        if (at >= s->n_frames && s->n_frames >= n)
            break;
        const unsigned char *code = s->code + at % s->n_frames * n_mels;
        for (int m = 0; m < n_mels; m++) {
            const float v = table[code[m]];
            if (power)
                power[t * n_mels + m] += v;
            sum += (double)v;
        }
    }
    return sum;
}

static bl_status add_stems(collecting *c, const data_song *song, blocks_song_sounds *s, bl_error *err)
{
    if (!(s->stems = calloc((size_t)song->n_stems + 1, sizeof *s->stems)))
        return bl_fail(err, BL_ENOMEM, "no memory for stems");
    for (int k = 0; k < song->n_stems && s->n_stems < MOST_STEMS; k++) {
        blocks_sound *stem = &s->stems[s->n_stems];
        const int id = song->stems[k].instrument;
        stem->is_voice = id >= 0 && data_instrument_at(id)->family == DATA_VOICES;
        stem->instrument = id >= 0 ? c->place[id] : -1;
        if (measure(c, song->stems[k].path, stem, err) != BL_OK)
            return err->code;
        s->n_stems += stem->code != NULL;
    }
    return BL_OK;
}

static bl_status add_song(collecting *c, int i, bl_error *err)
{
    const data_song *song = &c->dataset->songs[i];
    blocks_sounds *t = c->sounds;
    blocks_song_sounds *s = &t->songs[t->n_songs];
    const int lends = !is_song(song) && !c->solo_songs;

    if (lends && song->split == DATA_VALIDATION)
        return BL_OK;
    t->n_songs++;
    s->song = i;
    s->genre = song->genre;
    s->held_out = song->split == DATA_VALIDATION;
    s->lends = lends;
    if (!(s->listed = malloc((size_t)t->n_instruments * sizeof *s->listed)))
        return bl_fail(err, BL_ENOMEM, "no memory for labels");
    for (int k = 0; k < t->n_instruments; k++)
        s->listed[k] = song->metadata.n_instruments ? 0 : -1;
    for (int k = 0; k < song->metadata.n_instruments; k++)
        if (c->place[song->metadata.instruments[k]] >= 0)
            s->listed[c->place[song->metadata.instruments[k]]] = 1;
    if (add_stems(c, song, s, err) != BL_OK || lends)
        return err->code;
    if (song->mixture && measure(c, song->mixture, &s->mixture, err) != BL_OK)
        return err->code;
    return s->mixture.code ? BL_OK : add_up(s, t->n_mels, &s->mixture, err);
}

bl_status blocks_sounds_collect(blocks_feature_extractor *fx, data_dataset *dataset, const bl_config *config, int quiet,
                                blocks_sounds *sounds, bl_error *err)
{
    collecting c = { .fx = fx, .dataset = dataset, .sounds = sounds };
    bl_progress progress;
    int n_songs = 0;
    memset(sounds, 0, sizeof *sounds);
    sounds->n_mels = fx->n_mels;
    c.longest_s = bl_config_real(config, "classifier_training", "song_s", 90, 1, 36000, err);
    if (!(sounds->songs = calloc((size_t)dataset->n_songs + 1, sizeof *sounds->songs)))
        bl_fail(err, BL_ENOMEM, "no memory for %d songs", dataset->n_songs);
    if (!err->code)
        list_classes(&c, err);
    bl_progress_start(&progress, "measuring", "songs", dataset->n_songs, quiet);
    for (int i = 0; !err->code && i < dataset->n_songs && !bl_interrupted(); i++) {
        add_song(&c, i, err);
        bl_progress_step(&progress, i + 1, "");
    }
    bl_progress_end(&progress);
    for (int i = 0; i < sounds->n_songs; i++)
        n_songs += sounds->songs[i].mixture.code != NULL;
    if (!err->code && bl_interrupted())
        bl_fail(err, BL_ESTOP, "interrupted while the dataset was measured; nothing was written");
    if (!err->code && n_songs == 0)
        bl_fail(err, BL_EFORMAT, "%s: no song of it could be read", dataset->path);
    free(c.place);
    blocks_band_powers_free(c.bands);
    if (err->code)
        blocks_sounds_free(sounds);
    return err->code;
}

void blocks_sounds_free(blocks_sounds *t)
{
    for (int i = 0; i < t->n_songs; i++) {
        for (int k = 0; k < t->songs[i].n_stems; k++)
            free(t->songs[i].stems[k].code);
        free(t->songs[i].stems);
        free(t->songs[i].mixture.code);
        free(t->songs[i].listed);
    }
    free(t->songs);
    free(t->genres);
    free(t->instruments);
    memset(t, 0, sizeof *t);
}
