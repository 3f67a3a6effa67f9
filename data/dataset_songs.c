/* Dataset reader: files, folders of stems and NSynth notes become songs. */
#include "audio/soundfile.h"
#include "base/file.h"
#include "data/dataset_private.h"
#include "data/instruments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { STEMS_MAX = 512, FILES_MAX = 10 * 1000 * 1000 };
/* A file of loose recordings this short is one instrument if its name says so ("piano_C4"); a song is not. */
static const double SHORT_FILE_S = 20;

static data_song *add_song(data_dataset *d, const data_place *at, const char *genre, bl_error *err)
{
    struct data_dataset_private *p = d->private_;
    if (d->n_songs >= FILES_MAX) {
        bl_fail(err, BL_EFORMAT, "%s: more than %d songs", d->path, FILES_MAX);
        return NULL;
    }
    if (d->n_songs == p->songs_capacity) {
        const int capacity = p->songs_capacity ? 2 * p->songs_capacity : 64;
        data_song *songs = realloc(d->songs, (size_t)capacity * sizeof *songs);
        if (songs)
            d->songs = songs;
        const char **genres = realloc(p->song_genres, (size_t)capacity * sizeof *genres);
        if (genres)
            p->song_genres = genres;
        int *splits = realloc(p->song_splits, (size_t)capacity * sizeof *splits);
        if (splits)
            p->song_splits = splits;
        if (!songs || !genres || !splits) {
            data_no_memory(d, err);
            return NULL;
        }
        p->songs_capacity = capacity;
    }
    data_song *song = &d->songs[d->n_songs];
    *song = (data_song){ .genre = -1 };
    song->metadata = (data_metadata){ .title = "", .artist = "", .album = "", .release = "", .timestamp = "", .producer = "" };
    p->song_genres[d->n_songs] = genre;
    p->song_splits[d->n_songs] = at->split;
    d->n_songs++;
    return song;
}

/* Whether a file can be opened as audio; reports it when not. */
static int usable(data_dataset *d, const char *path, double *duration_s)
{
    audio_file_info info;
    bl_error local = { 0 };
    char reason[96];
    *duration_s = 0;
    if (d->private_->options.no_headers) {
        if (bl_is_file(path))
            return 1;
        data_dataset_skip(d, path, "no such file");
        return 0;
    }
    if (audio_info(path, &info, &local) != BL_OK) {
        data_dataset_skip(d, path, local.msg);
        return 0;
    }
    *duration_s = info.duration_s;
    if (info.duration_s > data_max_file_s(d)) {
        snprintf(reason, sizeof reason, "%.0f s long; more than %.0f s are not read", info.duration_s, data_max_file_s(d));
        data_dataset_skip(d, path, reason);
        return 0;
    }
    if (info.n_samples <= 0) { /* empty, or a format that does not say: only reading tells */
        audio_clip clip = { 0 };
        const bl_status status = audio_read(path, data_max_file_s(d), &clip, &local);
        if (status == BL_OK)
            *duration_s = (double)clip.n_samples / clip.sample_rate;
        audio_clip_free(&clip);
        if (status != BL_OK) {
            data_dataset_skip(d, path, local.msg);
            return 0;
        }
    }
    return 1;
}

/* folder/base.mid and its usual neighbours; NULL when there is none. */
static const char *find_midi(data_dataset *d, const char *folder, const char *base)
{
    char path[BL_PATH_MAX];
    for (int i = 0; i < 6; i++) {
        int n = 0;
        switch (i) {
        case 0: n = snprintf(path, sizeof path, "%s/%s.mid", folder, base); break;
        case 1: n = snprintf(path, sizeof path, "%s/%s.midi", folder, base); break;
        case 2: n = snprintf(path, sizeof path, "%s/%s.MID", folder, base); break;
        case 3: n = snprintf(path, sizeof path, "%s/MIDI/%s.mid", folder, base); break;
        case 4: n = snprintf(path, sizeof path, "%s/midi/%s.mid", folder, base); break;
        default: n = snprintf(path, sizeof path, "%s/../MIDI/%s.mid", folder, base); break;
        }
        if (n < BL_PATH_MAX && bl_is_file(path))
            return data_keep(d, path);
    }
    return NULL;
}

/* Row of a metadata.csv at or above the file, by path from there; innermost first. NULL when none. */
static data_row *find_row(data_dataset *d, const char *path)
{
    struct data_dataset_private *p = d->private_;
    for (int i = p->n_tables - 1; i >= 0; i--) {
        const data_table *t = &p->tables[i];
        const size_t n = strlen(t->folder);
        if (strncmp(path, t->folder, n) || path[n] != '/')
            continue;
        data_row *row = data_table_find(t, path + n + 1);
        if (!row)
            row = data_table_find(t, bl_path_name(path));
        if (row)
            return row;
    }
    return NULL;
}

void data_report_unknown(data_dataset *d, const char *where, int line, const char *name)
{
    char place_text[BL_PATH_MAX], reason[160];
    if (!name)
        return;
    if (line)
        snprintf(place_text, sizeof place_text, "%.4000s line %d", where, line);
    else
        snprintf(place_text, sizeof place_text, "%s", where);
    snprintf(reason, sizeof reason, "instrument \"%.80s\" is not known and left out", name);
    data_dataset_skip(d, place_text, reason);
}

static bl_status apply_row(data_dataset *d, int song, const data_row *row, bl_error *err)
{
    char genre[128];
    data_metadata *m = &d->songs[song].metadata;
    const data_metadata *from = &row->metadata;
    if (*row->genre) {
        data_genre_normalise(row->genre, genre, sizeof genre);
        if (!(d->private_->song_genres[song] = data_keep(d, genre)))
            return data_no_memory(d, err);
    }
#define TAKE(field) if (*from->field) m->field = from->field
    TAKE(title);
    TAKE(artist);
    TAKE(album);
    TAKE(release);
    TAKE(timestamp);
    TAKE(producer);
#undef TAKE
    if (from->duration_s > 0)
        m->duration_s = from->duration_s;
    if (from->n_instruments) {
        m->instruments = from->instruments;
        m->n_instruments = from->n_instruments;
    }
    return BL_OK;
}

/* Row and sidecar of the newest song. paths: what a row may name it by. */
static bl_status apply_metadata(data_dataset *d, const char *const *paths, int n_paths, const char *const *sidecars,
                                int n_sidecars, bl_error *err)
{
    const int song = d->n_songs - 1;
    bl_status status = BL_OK;
    for (int i = 0; i < n_paths && status == BL_OK; i++) {
        data_row *row = paths[i] ? find_row(d, paths[i]) : NULL;
        if (!row)
            continue;
        row->matched = 1;
        status = apply_row(d, song, row, err);
        break;
    }
    for (int i = 0; i < n_sidecars && status == BL_OK; i++) {
        bl_error local = { 0 };
        data_row row;
        if (!bl_is_file(sidecars[i]))
            continue;
        status = data_sidecar_read(sidecars[i], &d->private_->pool, &row, &local);
        if (status == BL_ENOMEM)
            return bl_fail(err, local.code, "%s", local.msg);
        if (status != BL_OK) {
            data_dataset_skip(d, sidecars[i], local.msg);
            status = BL_OK;
            continue;
        }
        data_report_unknown(d, sidecars[i], 0, row.unknown);
        status = apply_row(d, song, &row, err);
    }
    return status;
}

/* The name of a song: path below the dataset. Two files that differ in their extension alone get it back. */
static bl_status name_song(data_dataset *d, data_song *song, const char *rel, bl_error *err)
{
    char base[BL_PATH_MAX];
    data_row_key(*rel ? rel : bl_path_name(d->path), base, sizeof base);
    song->group = data_keep(d, base);
    song->name = song->group;
    if (d->n_songs > 1 && song[-1].group && !strcmp(song[-1].group, base))
        song->name = data_keep(d, rel);
    return song->name && song->group ? BL_OK : data_no_memory(d, err);
}

bl_status data_add_loose(data_dataset *d, const data_place *at, const char *file, bl_error *err)
{
    char path[BL_PATH_MAX], rel[BL_PATH_MAX], base[BL_PATH_MAX], sidecar[BL_PATH_MAX];
    double duration_s;
    if (bl_path_join(path, at->path, file, err) != BL_OK || bl_path_join(rel, at->rel, file, err) != BL_OK)
        return BL_EARG;
    if (!usable(d, path, &duration_s))
        return BL_OK;
    data_song *song = add_song(d, at, at->genre, err);
    if (!song || name_song(d, song, *at->rel ? rel : file, err) != BL_OK || !(song->path = data_keep(d, path)))
        return song ? data_no_memory(d, err) : BL_ENOMEM;
    data_without_extension(file, base);
    song->duration_s = duration_s;
    song->midi_path = find_midi(d, at->path, base);
    song->layout = at->genre ? DATA_GENRES : DATA_LOOSE;
    const char *const paths[] = { song->path };
    char own_name[BL_PATH_MAX];
    snprintf(own_name, sizeof own_name, "%.4000s.json", base);
    const char *const sidecars[] = { sidecar };
    if (bl_path_join(sidecar, at->path, own_name, err) != BL_OK)
        return BL_EARG;
    if (apply_metadata(d, paths, 1, sidecars, 1, err) != BL_OK)
        return err ? err->code : BL_ENOMEM;

    int instrument = song->metadata.n_instruments == 1 ? song->metadata.instruments[0] : -1;
    if (instrument < 0 && !song->metadata.n_instruments) {
        instrument = at->instrument >= 0 ? at->instrument : data_instrument_find(base);
        if (instrument < 0 && duration_s > 0 && duration_s <= SHORT_FILE_S)
            instrument = data_instrument_guess(base);
    }
    if (instrument < 0) {
        song->mixture = song->path;
        return BL_OK;
    }
    data_stem *stem = bl_arena_alloc(&d->private_->pool.arena, sizeof *stem);
    if (!stem)
        return data_no_memory(d, err);
    *stem = (data_stem){ song->path, data_keep(d, base), instrument, song->midi_path, -1, -1, duration_s };
    song->stems = stem;
    song->n_stems = 1;
    if (!strcmp(data_instrument_name(instrument), "voice"))
        song->vocals = song->path;
    return stem->name ? BL_OK : data_no_memory(d, err);
}

static int by_instrument(const void *a, const void *b)
{
    const data_stem *p = a, *q = b;
    const int order = strcmp(data_instrument_name(p->instrument), data_instrument_name(q->instrument));
    return order ? order : strcmp(p->path, q->path);
}

/* Stems of one folder, appended to stems; the mixture goes into the song. */
static bl_status collect_stems(data_dataset *d, data_song *song, const char *folder, const data_listing *l, const char *slakh,
                               data_stem *stems, int *n, bl_error *err)
{
    char path[BL_PATH_MAX], base[BL_PATH_MAX];
    for (int i = 0; i < l->n_sounds; i++) {
        int instrument;
        double duration_s;
        const data_sound_kind kind = data_sound_kind_of(l->sounds[i], &instrument);
        if (bl_path_join(path, folder, l->sounds[i], err) != BL_OK)
            return BL_EARG;
        if (!usable(d, path, &duration_s))
            continue;
        if (duration_s > song->duration_s)
            song->duration_s = duration_s;
        data_without_extension(l->sounds[i], base);
        const char *kept = data_keep(d, path), *name = data_keep(d, base);
        if (!kept || !name)
            return data_no_memory(d, err);
        if (kind == KIND_MIXTURE) {
            if (!song->mixture)
                song->mixture = kept;
            if (!song->midi_path)
                song->midi_path = find_midi(d, folder, base);
            continue;
        }
        if (*n == STEMS_MAX) {
            data_dataset_skip(d, path, "more than 512 stems in one song");
            continue;
        }
        data_row *row = find_row(d, kept);
        if (row && row->metadata.n_instruments == 1) {
            instrument = row->metadata.instruments[0];
            row->matched = 1;
        }
        if (instrument < 0 && slakh)
            instrument = data_slakh_instrument(slakh, base);
        if (instrument < 0 && kind == KIND_UNKNOWN)
            instrument = data_instrument_guess(base);
        stems[(*n)++] = (data_stem){ kept, name, instrument, find_midi(d, folder, base), -1, -1, duration_s };
    }
    return BL_OK;
}

/* The lead vocal: the stem called just that, else one with "lead" in its name, else the first voice. */
static const char *pick_vocals(const data_song *song)
{
    static const char *const plain[] = { "vocals", "vocal", "voice", "vox", "singing", NULL };
    const char *lead = NULL, *first = NULL;
    for (int i = 0; i < song->n_stems; i++) {
        const data_stem *s = &song->stems[i];
        if (strcmp(data_instrument_name(s->instrument), "voice"))
            continue;
        if (data_is_one_of(s->name, plain))
            return s->path;
        if (!lead && strstr(s->name, "lead"))
            lead = s->path;
        if (!first)
            first = s->path;
    }
    return lead ? lead : first;
}

/* Notes of the whole song when no mixture named them. */
static const char *pick_song_midi(data_dataset *d, const data_place *at, const data_listing *l)
{
    static const char *const names[] = { "all_src", "mixture", "mix", "song", "score", "notes", "all" };
    char path[BL_PATH_MAX];
    const char *found = find_midi(d, at->path, bl_path_name(at->path)), *only = NULL;
    int n = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !found; i++)
        found = find_midi(d, at->path, names[i]);
    for (int i = 0; i < l->n_names && !found; i++)
        if (!strcasecmp(bl_path_extension(l->names[i]), "mid")) {
            n++;
            only = l->names[i];
        }
    if (!found && n == 1 && l->n_sounds + l->has_stems > 1 && bl_path_join(path, at->path, only, NULL) == BL_OK) {
        char base[BL_PATH_MAX], other[BL_PATH_MAX];
        data_without_extension(only, base);
        for (int i = 0; i < l->n_sounds; i++) {
            data_without_extension(l->sounds[i], other);
            if (!strcmp(base, other))
                return NULL;
        }
        found = data_keep(d, path);
    }
    return found;
}

bl_status data_add_song_folder(data_dataset *d, const data_place *at, const data_listing *l, bl_error *err)
{
    char path[BL_PATH_MAX], sidecar_inside[BL_PATH_MAX], sidecar_named[BL_PATH_MAX], sidecar_beside[BL_PATH_MAX];
    char name[BL_PATH_MAX];
    char *slakh = NULL;
    data_listing inner = { 0 };
    data_stem *stems = malloc(STEMS_MAX * sizeof *stems);
    int n = 0;
    bl_status status = BL_OK;
    data_song *song = add_song(d, at, at->genre, err);
    if (!stems || !song) {
        free(stems);
        return data_no_memory(d, err);
    }
    status = name_song(d, song, at->rel, err);
    song->layout = DATA_STEMS;
    song->path = at->path;
    if (status == BL_OK && bl_path_join(path, at->path, "metadata.yaml", NULL) == BL_OK && bl_is_file(path) &&
        bl_read_file(path, 1 << 20, &slakh, NULL, NULL) != BL_OK)
        data_dataset_skip(d, path, "cannot be read");
    if (status == BL_OK)
        status = collect_stems(d, song, at->path, l, slakh, stems, &n, err);
    for (int i = 0; i < l->n_folders && l->has_stems && status == BL_OK; i++)
        if (!strcasecmp(l->folders[i], "stems")) {
            status = bl_path_join(path, at->path, l->folders[i], err);
            if (status == BL_OK)
                status = data_listing_read(path, &inner, err);
            if (status == BL_OK)
                status = collect_stems(d, song, path, &inner, slakh, stems, &n, err);
            data_listing_free(&inner);
        }
    free(slakh);
    if (status == BL_OK && n == 0 && !song->mixture) {
        d->n_songs--; /* nothing usable in it; its files were reported */
        free(stems);
        return BL_OK;
    }
    if (status == BL_OK && n) {
        qsort(stems, (size_t)n, sizeof *stems, by_instrument);
        song->stems = bl_arena_alloc(&d->private_->pool.arena, (size_t)n * sizeof *stems);
        if (song->stems)
            memcpy(song->stems, stems, (size_t)n * sizeof *stems);
        else
            status = data_no_memory(d, err);
        song->n_stems = song->stems ? n : 0;
    }
    free(stems);
    if (status != BL_OK)
        return status;
    song->vocals = pick_vocals(song);
    if (!song->midi_path)
        song->midi_path = pick_song_midi(d, at, l);
    const char *const paths[] = { at->path, song->mixture, song->n_stems ? song->stems[0].path : NULL };
    const char *const sidecars[] = { sidecar_beside, sidecar_inside, sidecar_named };
    snprintf(name, sizeof name, "%.4000s.json", bl_path_name(at->path));
    if (bl_path_join(sidecar_inside, at->path, "metadata.json", err) != BL_OK ||
        bl_path_join(sidecar_named, at->path, name, err) != BL_OK)
        return BL_EARG;
    snprintf(sidecar_beside, sizeof sidecar_beside, "%.4000s.json", at->path);
    return apply_metadata(d, paths, 3, sidecars, 3, err);
}

/* ---- NSynth ---- */

static int nsynth_instrument(const char *family, const char *source)
{
    static const struct { const char *family, *source, *name; } names[] = {
        { "guitar", "acoustic", "acoustic guitar" }, { "guitar", "", "electric guitar" }, { "keyboard", "acoustic", "piano" },
        { "keyboard", "", "electric piano" }, { "mallet", "", "vibraphone" }, { "reed", "", "saxophone" },
        { "string", "", "strings" }, { "synth_lead", "", "synthesizer" }, { "vocal", "", "voice" },
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!strcmp(names[i].family, family) && (!*names[i].source || !strcmp(names[i].source, source)))
            return data_instrument_find(names[i].name);
    return data_instrument_find(family);
}

bl_status data_add_nsynth_note(void *user, const data_nsynth_note *note, bl_error *err)
{
    const data_nsynth_walk *w = user;
    data_dataset *d = w->dataset;
    char path[BL_PATH_MAX], rel[BL_PATH_MAX];
    if (!*note->name || strchr(note->name, '/') || strlen(note->name) > 255) {
        data_dataset_skip(d, w->at->path, "examples.json has a note whose name is no file name");
        return BL_OK;
    }
    static const char *const extensions[] = { "wav", "flac", "ogg" };
    int found = 0;
    for (size_t i = 0; i < 3 && !found; i++) {
        if (snprintf(path, sizeof path, "%s/audio/%s.%s", w->at->path, note->name, extensions[i]) >= BL_PATH_MAX)
            return bl_fail(err, BL_EARG, "%s: path longer than %d bytes", w->at->path, BL_PATH_MAX - 1);
        found = bl_is_file(path);
    }
    if (!found) {
        snprintf(path, sizeof path, "%.3800s/audio/%s.wav", w->at->path, note->name);
        data_dataset_skip(d, path, "named in examples.json, but no such file");
        return BL_OK;
    }
    data_song *song = add_song(d, w->at, w->at->genre, err);
    data_stem *stem = song ? bl_arena_alloc(&d->private_->pool.arena, sizeof *stem) : NULL;
    if (!stem)
        return data_no_memory(d, err);
    if (bl_path_join(rel, w->at->rel, note->name, err) != BL_OK)
        return BL_EARG;
    song->name = data_keep(d, *w->at->rel ? rel : note->name);
    song->group = *note->instrument ? data_keep(d, note->instrument) : song->name;
    song->path = data_keep(d, path);
    song->layout = DATA_NSYNTH;
    *stem = (data_stem){ song->path, data_keep(d, note->name), nsynth_instrument(note->family, note->source), NULL, note->pitch,
                         note->velocity, 0 };
    song->stems = stem;
    song->n_stems = 1;
    if (stem->instrument >= 0 && !strcmp(data_instrument_name(stem->instrument), "voice"))
        song->vocals = song->path;
    return song->name && song->group && song->path && stem->name ? BL_OK : data_no_memory(d, err);
}
