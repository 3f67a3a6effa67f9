/* The windows that the classifier learns from: see blocks/classifier_train.h. */
#include "blocks/classifier_train.h"

#include "base/progress.h"
#include "data/instruments.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_STEMS = 24, MOST_EXCERPTS = 320, SONG_WINDOWS = 12 };

/* ---- the table ---- */

bl_status blocks_window_table_add(blocks_window_table *t, const float *row, const float *labels, int genre, int song,
                                  blocks_window_kind kind, int held_out, bl_error *err)
{
    if (t->n == t->capacity) {
        const int64_t capacity = t->capacity ? 2 * t->capacity : 256;
        const size_t n = (size_t)capacity;
        float *rows = realloc(t->rows, n * (size_t)t->n_features * sizeof *rows);
        t->rows = rows ? rows : t->rows;
        float *l = realloc(t->labels, n * (size_t)t->n_instruments * sizeof *l);
        t->labels = l ? l : t->labels;
        int *g = realloc(t->genre, n * sizeof *g), *s = realloc(t->song, n * sizeof *s), *k = realloc(t->kind, n * sizeof *k);
        t->genre = g ? g : t->genre;
        t->song = s ? s : t->song;
        t->kind = k ? k : t->kind;
        unsigned char *h = realloc(t->held_out, n);
        t->held_out = h ? h : t->held_out;
        if (!rows || !l || !g || !s || !k || !h)
            return bl_fail(err, BL_ENOMEM, "no memory for %lld windows", (long long)capacity);
        t->capacity = capacity;
    }
    memcpy(t->rows + t->n * t->n_features, row, (size_t)t->n_features * sizeof *row);
    memcpy(t->labels + t->n * t->n_instruments, labels, (size_t)t->n_instruments * sizeof *labels);
    t->genre[t->n] = genre;
    t->song[t->n] = song;
    t->kind[t->n] = kind;
    t->held_out[t->n++] = (unsigned char)held_out;
    return BL_OK;
}

void blocks_window_table_free(blocks_window_table *t)
{
    free(t->rows);
    free(t->labels);
    free(t->genre);
    free(t->song);
    free(t->kind);
    free(t->held_out);
    free(t->genres);
    free(t->instruments);
    memset(t, 0, sizeof *t);
}

/* ---- what there is to learn ---- */

typedef struct excerpt {
    float *x;          /* [window] */
    int    instrument; /* place in the table's list */
} excerpt;

typedef struct collecting {
    blocks_feature_extractor *fx;
    data_dataset        *dataset;
    blocks_window_table *table;
    int                 *place;     /* [data_instrument_count()] place in the table's list, -1 not learned */
    int64_t              window, hop;
    int                  n_windows, solo_songs;
    double               stem_dropout, voice_dropout, stem_gain_db, tilt_db;
    excerpt              excerpts[MOST_EXCERPTS];
    int64_t              n_excerpts, seen_excerpts;
    float               *mix, *row, *labels;
    bl_rng               rng;
} collecting;

/* A recording of one instrument is no song, unless there are no others. */
static int is_song(const data_song *s)
{
    return s->mixture || s->n_stems != 1;
}

static bl_status list_classes(collecting *c, bl_error *err)
{
    const data_dataset *d = c->dataset;
    blocks_window_table *t = c->table;
    const int n_known = data_instrument_count();
    int songs = 0, solos = 0;

    c->place = malloc((size_t)n_known * sizeof *c->place);
    t->genres = malloc((size_t)(d->n_genres + 1) * sizeof *t->genres);
    t->instruments = malloc((size_t)(n_known + 1) * sizeof *t->instruments);
    int *used = calloc((size_t)(n_known + d->n_genres + 1), sizeof *used), *used_genre = used + n_known;
    if (!c->place || !t->genres || !t->instruments || !used) {
        free(used);
        return bl_fail(err, BL_ENOMEM, "no memory for the classes");
    }
    for (int i = 0; i < d->n_songs; i++)
        *(is_song(&d->songs[i]) ? &songs : &solos) += 1;
    c->solo_songs = songs == 0;
    for (int i = 0; i < d->n_songs; i++) {
        const data_song *s = &d->songs[i];
        if (!is_song(s) && !c->solo_songs)
            continue;
        if (s->genre >= 0)
            used_genre[s->genre] = 1;
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

/* ---- windows ---- */

static void clear_labels(collecting *c, float value)
{
    for (int i = 0; i < c->table->n_instruments; i++)
        c->labels[i] = value;
}

static double power_of(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return n > 0 ? sum / (double)n : 0;
}

/* Another room, another desk: what lies below a frequency between 200 and 4000 Hz gets louder or softer against the rest. */
static void tilt(collecting *c)
{
    const double hz = 200 * pow(20, bl_rng_uniform(&c->rng)), a = 1 - exp(-6.283185307179586 * hz / c->fx->sample_rate);
    const double gain = exp2((2 * bl_rng_uniform(&c->rng) - 1) * c->tilt_db / 6.02);
    double low = 0;
    for (int64_t i = 0; i < c->window; i++) {
        low += a * ((double)c->mix[i] - low);
        c->mix[i] = (float)((double)c->mix[i] + (gain - 1) * low);
    }
}

static bl_status add_mix(collecting *c, int genre, int song, blocks_window_kind kind, int held_out, bl_error *err)
{
    bl_status status = BL_OK;
    if (blocks_classifier_is_silent(c->mix, c->window))
        return BL_OK;
    if (kind != BLOCKS_WINDOW_SONG && c->tilt_db > 0)
        tilt(c);
    status = blocks_classifier_row(c->fx, c->mix, c->window, c->row, err);
    return status == BL_OK ? blocks_window_table_add(c->table, c->row, c->labels, genre, song, kind, held_out, err) : status;
}

/* x repeated or cut to a window from `start` on. */
static void cut(const collecting *c, const float *x, int64_t n, int64_t start, double gain, int add, float *out)
{
    for (int64_t i = 0; i < c->window; i++) {
        const int64_t at = start + i;
        const float v = n >= c->window ? (at < n ? x[at] : 0) : x[at % n];
        out[i] = (add ? out[i] : 0) + (float)gain * v;
    }
}

/* A stem sounds in a window when it is not 40 dB below the whole. */
static const double AUDIBLE = 1e-4;

typedef struct stem_set {
    audio_clip clip[MOST_STEMS];
    int        instrument[MOST_STEMS]; /* place in the table's list, -1 */
    int        is_voice[MOST_STEMS];
    int        n;
} stem_set;

static void free_stems(stem_set *s)
{
    for (int i = 0; i < s->n; i++)
        audio_clip_free(&s->clip[i]);
    s->n = 0;
}

static bl_status load_stems(collecting *c, const data_song *song, stem_set *s, bl_error *err)
{
    const char *paths[MOST_STEMS + 1];
    int n = 0;
    for (int k = 0; k < song->n_stems && n < MOST_STEMS; k++)
        paths[n++] = song->stems[k].path;
    if (song->mixture)
        paths[n++] = song->mixture;
    data_dataset_prefetch(c->dataset, paths, n, c->fx->sample_rate);
    for (int k = 0; k < song->n_stems && s->n < MOST_STEMS; k++) {
        bl_error local = { 0 };
        const audio_clip *clip = data_dataset_audio(c->dataset, song->stems[k].path, c->fx->sample_rate, &local);
        if (!clip)
            continue;
        if (audio_clip_new(&s->clip[s->n], 1, clip->n_samples, clip->sample_rate, err) != BL_OK)
            return err->code;
        memcpy(s->clip[s->n].samples, clip->samples, (size_t)clip->n_samples * sizeof *clip->samples);
        const int id = song->stems[k].instrument;
        s->is_voice[s->n] = id >= 0 && data_instrument_at(id)->family == DATA_VOICES;
        s->instrument[s->n++] = id >= 0 ? c->place[id] : -1;
    }
    return BL_OK;
}

/* Windows of the song as it is, at most SONG_WINDOWS, evenly. */
static bl_status add_song_windows(collecting *c, int i, const stem_set *stems, bl_error *err)
{
    const data_song *song = &c->dataset->songs[i];
    audio_clip mixture = { 0 };
    bl_error local = { 0 };
    if (data_song_audio(c->dataset, song, c->fx->sample_rate, &mixture, &local) != BL_OK)
        return local.code == BL_ENOMEM ? bl_fail(err, BL_ENOMEM, "%s", local.msg) : BL_OK;
    const int64_t last = mixture.n_samples > c->window ? mixture.n_samples - c->window : 0;
    int64_t n = last / c->hop + 1;
    bl_status status = BL_OK;
    n = n > SONG_WINDOWS ? SONG_WINDOWS : n;
    for (int64_t w = 0; status == BL_OK && w < n; w++) {
        const int64_t start = n > 1 ? last * w / (n - 1) : 0;
        cut(c, mixture.samples, mixture.n_samples, start, 1, 0, c->mix);
        const double whole = power_of(c->mix, c->window);
        clear_labels(c, stems->n || song->metadata.n_instruments ? 0 : -1);
        for (int k = 0; k < song->metadata.n_instruments && !stems->n; k++)
            c->labels[c->place[song->metadata.instruments[k]]] = 1;
        for (int k = 0; k < stems->n; k++) {
            const int64_t end = start + c->window < stems->clip[k].n_samples ? start + c->window : stems->clip[k].n_samples;
            if (stems->instrument[k] >= 0 && start < end &&
                power_of(stems->clip[k].samples + start, end - start) > AUDIBLE * whole)
                c->labels[stems->instrument[k]] = 1;
        }
        status = add_mix(c, song->genre, i, BLOCKS_WINDOW_SONG, song->split == DATA_VALIDATION, err);
    }
    audio_clip_free(&mixture);
    return status;
}

/* One window of a song with stems left out and gains changed; sometimes of a single stem. */
static bl_status add_remix(collecting *c, int i, const stem_set *stems, bl_error *err)
{
    static const double SOLO = 0.15;
    int only = bl_rng_uniform(&c->rng) < SOLO ? (int)bl_rng_below(&c->rng, stems->n) : -1;
    const double master = exp2((2 * bl_rng_uniform(&c->rng) - 1) * c->stem_gain_db / 6.02);
    double gain[MOST_STEMS], power[MOST_STEMS];
    int64_t longest = 0;
    int kept = 0;

    /* Often the voice: what a bare voice says about the genre, and what it does not, must be learned. */
    if (only >= 0 && bl_rng_uniform(&c->rng) < 0.5)
        for (int k = 0; k < stems->n; k++)
            only = stems->is_voice[k] ? k : only;
    for (int k = 0; k < stems->n; k++) {
        gain[k] = master * exp2((2 * bl_rng_uniform(&c->rng) - 1) * c->stem_gain_db / 6.02);
        if (only >= 0 ? k != only : bl_rng_uniform(&c->rng) < (stems->is_voice[k] ? c->voice_dropout : c->stem_dropout))
            gain[k] = 0;
        kept += gain[k] > 0;
        longest = stems->clip[k].n_samples > longest ? stems->clip[k].n_samples : longest;
    }
    const int64_t start = longest > c->window ? bl_rng_below(&c->rng, longest - c->window + 1) : 0;
    if (!kept)
        gain[bl_rng_below(&c->rng, stems->n)] = master;
    memset(c->mix, 0, (size_t)c->window * sizeof *c->mix);
    for (int k = 0; k < stems->n; k++) {
        const audio_clip *s = &stems->clip[k];
        power[k] = 0;
        if (gain[k] <= 0 || s->n_samples < 1)
            continue;
        cut(c, s->samples, s->n_samples, start, gain[k], 1, c->mix);
        const int64_t end = start + c->window < s->n_samples ? start + c->window : s->n_samples;
        power[k] = start < end ? gain[k] * gain[k] * power_of(s->samples + start, end - start) : 0;
    }
    const double whole = power_of(c->mix, c->window);
    clear_labels(c, 0);
    for (int k = 0; k < stems->n; k++)
        if (stems->instrument[k] >= 0 && power[k] > AUDIBLE * whole)
            c->labels[stems->instrument[k]] = 1;
    return add_mix(c, c->dataset->songs[i].genre, i, BLOCKS_WINDOW_REMIX, 0, err);
}

/* Lends an excerpt of each stem to the mixes across songs; of too many a uniform sample stays. */
static bl_status lend_excerpts(collecting *c, const stem_set *stems, bl_error *err)
{
    for (int k = 0; k < stems->n; k++) {
        const audio_clip *s = &stems->clip[k];
        int64_t slot = c->n_excerpts;
        if (stems->instrument[k] < 0 || s->n_samples < 1)
            continue;
        const int64_t start = s->n_samples > c->window ? bl_rng_below(&c->rng, s->n_samples - c->window + 1) : 0;
        cut(c, s->samples, s->n_samples, start, 1, 0, c->mix);
        const double power = power_of(c->mix, c->window);
        if (power < 1e-6)
            continue;
        if (++c->seen_excerpts > MOST_EXCERPTS && (slot = bl_rng_below(&c->rng, c->seen_excerpts)) >= MOST_EXCERPTS)
            continue;
        if (slot == c->n_excerpts) {
            if (!(c->excerpts[slot].x = malloc((size_t)c->window * sizeof(float))))
                return bl_fail(err, BL_ENOMEM, "no memory for excerpts of stems");
            c->n_excerpts++;
        }
        /* all at one level, so that each is heard in a mix */
        for (int64_t i = 0; i < c->window; i++)
            c->excerpts[slot].x[i] = c->mix[i] * (float)(0.1 / sqrt(power));
        c->excerpts[slot].instrument = stems->instrument[k];
    }
    return BL_OK;
}

static bl_status add_song(collecting *c, int i, bl_error *err)
{
    const data_song *song = &c->dataset->songs[i];
    const int counts = is_song(song) || c->solo_songs, held_out = song->split == DATA_VALIDATION;
    stem_set stems = { .n = 0 };
    bl_status status = BL_OK;

    if (!counts && held_out)
        return BL_OK;
    status = load_stems(c, song, &stems, err);
    if (status == BL_OK && counts)
        status = add_song_windows(c, i, &stems, err);
    for (int w = 0; status == BL_OK && counts && !held_out && stems.n > 0 && w < c->n_windows; w++)
        status = add_remix(c, i, &stems, err);
    if (status == BL_OK && !held_out)
        status = lend_excerpts(c, &stems, err);
    free_stems(&stems);
    return status;
}

static bl_status add_cross_mix(collecting *c, bl_error *err)
{
    const int n = 2 + (int)bl_rng_below(&c->rng, 4);
    memset(c->mix, 0, (size_t)c->window * sizeof *c->mix);
    clear_labels(c, 0);
    for (int k = 0; k < n; k++) {
        const excerpt *e = &c->excerpts[bl_rng_below(&c->rng, c->n_excerpts)];
        const double gain = exp2((2 * bl_rng_uniform(&c->rng) - 1) * c->stem_gain_db / 6.02);
        for (int64_t i = 0; i < c->window; i++)
            c->mix[i] += (float)gain * e->x[i];
        c->labels[e->instrument] = 1;
    }
    return add_mix(c, -1, -1, BLOCKS_WINDOW_CROSS, 0, err);
}

static bl_status collect(collecting *c, double cross_mixes, int64_t max_windows, int quiet, bl_error *err)
{
    data_dataset *d = c->dataset;
    int64_t *order = malloc((size_t)d->n_songs * sizeof *order);
    bl_status status = order ? list_classes(c, err) : bl_fail(err, BL_ENOMEM, "no memory for %d songs", d->n_songs);
    bl_progress progress;
    int training = 0;

    c->table->n_features = BLOCKS_SONG_FEATURES + 3 * c->fx->dim;
    c->mix = malloc((size_t)c->window * sizeof *c->mix);
    c->row = malloc((size_t)c->table->n_features * sizeof *c->row);
    c->labels = malloc((size_t)(c->table->n_instruments + 1) * sizeof *c->labels);
    if (status == BL_OK && (!c->mix || !c->row || !c->labels))
        status = bl_fail(err, BL_ENOMEM, "no memory for windows");
    for (int i = 0; status == BL_OK && i < d->n_songs; i++) {
        order[i] = i;
        training += (is_song(&d->songs[i]) || c->solo_songs) && d->songs[i].split != DATA_VALIDATION;
    }
    if (training > 0 && c->n_windows > max_windows / training)
        c->n_windows = (int)(max_windows / training);
    bl_progress_start(&progress, "measuring", "songs", d->n_songs, quiet);
    for (int i = 0; status == BL_OK && i < d->n_songs && !bl_interrupted(); i++) {
        status = add_song(c, (int)order[i], err);
        bl_progress_step(&progress, i + 1, "");
    }
    bl_progress_end(&progress);
    const int64_t n_cross = cross_mixes < 1 ? (int64_t)((double)c->table->n * cross_mixes / (1 - cross_mixes)) : c->table->n;
    bl_progress_start(&progress, "mixing", "windows", n_cross, quiet);
    for (int64_t w = 0; status == BL_OK && c->n_excerpts > 1 && w < n_cross && !bl_interrupted(); w++) {
        status = add_cross_mix(c, err);
        bl_progress_step(&progress, w + 1, "");
    }
    bl_progress_end(&progress);
    if (status == BL_OK && bl_interrupted())
        status = bl_fail(err, BL_ESTOP, "interrupted while the dataset was measured; nothing was written");
    if (status == BL_OK && c->table->n == 0)
        status = bl_fail(err, BL_EFORMAT, "%s: no song of it could be read", d->path);
    free(order);
    return status;
}

bl_status blocks_windows_collect(blocks_feature_extractor *fx, data_dataset *dataset, const bl_config *config, uint64_t seed,
                                 int quiet, blocks_window_table *table, bl_error *err)
{
    static const char section[] = "classifier_training";
    collecting *c = calloc(1, sizeof *c);
    bl_status status;
    memset(table, 0, sizeof *table);
    if (!c)
        return bl_fail(err, BL_ENOMEM, "no memory for windows");
    c->fx = fx;
    c->dataset = dataset;
    c->table = table;
    c->window = (int64_t)(bl_config_real(config, section, "window_s", 10, 0.5, 600, err) * fx->sample_rate);
    c->hop = (int64_t)(bl_config_real(config, section, "hop_s", 5, 0.1, 600, err) * fx->sample_rate);
    c->n_windows = (int)bl_config_int(config, section, "windows", 40, 0, 100000, err);
    c->stem_dropout = bl_config_real(config, section, "stem_dropout", 0.25, 0, 0.99, err);
    c->voice_dropout = bl_config_real(config, section, "voice_dropout", 0.5, 0, 0.99, err);
    c->tilt_db = bl_config_real(config, section, "tilt_db", 6, 0, 40, err);
    c->stem_gain_db = bl_config_real(config, section, "stem_gain_db", 6, 0, 60, err);
    const double cross_mixes = bl_config_real(config, section, "cross_mixes", 0.3, 0, 0.9, err);
    const int64_t max_windows = bl_config_int(config, section, "max_windows", 6000, 1, 100000000, err);
    bl_rng_seed(&c->rng, seed ^ 0x77696e64u);
    status = err->code ? err->code : collect(c, cross_mixes, max_windows, quiet, err);
    for (int64_t i = 0; i < c->n_excerpts; i++)
        free(c->excerpts[i].x);
    free(c->place);
    free(c->mix);
    free(c->row);
    free(c->labels);
    free(c);
    if (status != BL_OK)
        blocks_window_table_free(table);
    return status;
}
