/* realpath; the flags of a library may have asked for an older X/Open already, which does too. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#include "data/dataset.h"

#include "base/file.h"
#include "base/rng.h"
#include "data/dataset_private.h"
#include "data/instruments.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { DEPTH_MAX = 16 };

double data_max_file_s(const data_dataset *d)
{
    return d->private_->options.max_file_s > 0 ? d->private_->options.max_file_s : 1800;
}

const char *data_keep(data_dataset *d, const char *text)
{
    return data_pool_text(&d->private_->pool, text, strlen(text));
}

bl_status data_no_memory(const data_dataset *d, bl_error *err)
{
    return bl_fail(err, BL_ENOMEM, "%s: no memory for the list of songs", d->path ? d->path : "dataset");
}

void data_dataset_skip(data_dataset *d, const char *path, const char *reason)
{
    struct data_dataset_private *p = d->private_;
    for (int i = 0; i < d->n_skipped; i++)
        if (!strcmp(d->skipped[i].path, path))
            return;
    if (d->n_skipped == p->skipped_capacity) {
        const int capacity = p->skipped_capacity ? 2 * p->skipped_capacity : 32;
        data_skipped *s = realloc(d->skipped, (size_t)capacity * sizeof *s);
        if (!s)
            return;
        d->skipped = s;
        p->skipped_capacity = capacity;
    }
    /* Messages of the readers begin with the path; the list has it in a column of its own. */
    const size_t n = strlen(path);
    if (!strncmp(reason, path, n) && (reason[n] == ':' || reason[n] == ' '))
        reason += n + strspn(reason + n, ": ");
    const data_skipped item = { data_keep(d, path), data_keep(d, reason) };
    if (!item.path || !item.reason)
        return;
    d->skipped[d->n_skipped++] = item;
    if (p->options.on_skip)
        p->options.on_skip(p->options.user, item.path, item.reason);
}

/* ---- the walk ---- */

/* 1 the first time a folder is seen; links may lead back to it. */
static int first_visit(data_dataset *d, const char *path)
{
    struct data_dataset_private *p = d->private_;
    struct stat st;
    if (stat(path, &st) != 0)
        return 0;
    for (int i = 0; i < p->n_visited; i++)
        if (p->visited[i].inode == st.st_ino && p->visited[i].device == st.st_dev)
            return 0;
    if (p->n_visited == p->visited_capacity) {
        const int capacity = p->visited_capacity ? 2 * p->visited_capacity : 64;
        data_folder_id *v = realloc(p->visited, (size_t)capacity * sizeof *v);
        if (!v)
            return 0;
        p->visited = v;
        p->visited_capacity = capacity;
    }
    p->visited[p->n_visited++] = (data_folder_id){ st.st_dev, st.st_ino };
    return 1;
}

static bl_status read_table(data_dataset *d, const data_place *at, const char *name, bl_error *err)
{
    struct data_dataset_private *p = d->private_;
    char path[BL_PATH_MAX];
    data_table *tables = realloc(p->tables, ((size_t)p->n_tables + 1) * sizeof *tables);
    if (!tables)
        return data_no_memory(d, err);
    p->tables = tables;
    if (bl_path_join(path, at->path, name, err) != BL_OK)
        return BL_EARG;
    const bl_status status = data_table_read(path, &p->pool, &tables[p->n_tables], err);
    if (status != BL_OK)
        return status;
    const data_table *t = &tables[p->n_tables++];
    for (int i = 0; i < t->n_rows; i++)
        data_report_unknown(d, t->path, t->rows[i].line, t->rows[i].unknown);
    return BL_OK;
}

/* Whether unknown folder names directly below this data_place are genres: at least two folders hold songs of their own. */
static int folders_are_genres(const data_place *at, const data_listing *l)
{
    char path[BL_PATH_MAX];
    int n = 0;
    for (int i = 0; i < l->n_folders && n < 2; i++) {
        data_listing inner;
        if (data_is_generic_name(l->folders[i]) || data_split_of_folder(l->folders[i]) >= 0 || data_instrument_find(l->folders[i]) >= 0 ||
            bl_path_join(path, at->path, l->folders[i], NULL) != BL_OK || data_listing_read(path, &inner, NULL) != BL_OK)
            continue;
        const data_place child = { path, "", at->depth + 1, NULL, -1, -1 };
        n += inner.n_sounds > 0 && !data_is_song_folder(&child, &inner);
        data_listing_free(&inner);
    }
    return n >= 2;
}

static bl_status walk(data_dataset *d, data_place at, int name_is_genre, bl_error *err);

static bl_status walk_folders(data_dataset *d, const data_place *at, const data_listing *l, int is_song, int above_songs, bl_error *err)
{
    char path[BL_PATH_MAX], rel[BL_PATH_MAX], genre[128];
    const int as_genres = above_songs && folders_are_genres(at, l);
    for (int i = 0; i < l->n_folders; i++) {
        const char *name = l->folders[i];
        if ((is_song && (!strcasecmp(name, "stems") || !strcasecmp(name, "midi"))) ||
            (l->has_nsynth && !strcmp(name, "audio")))
            continue;
        if (bl_path_join(path, at->path, name, err) != BL_OK || bl_path_join(rel, at->rel, name, err) != BL_OK)
            return BL_EARG;
        data_place child = { data_keep(d, path), data_keep(d, *at->rel ? rel : name), at->depth + 1, at->genre, at->instrument, at->split };
        if (!child.path || !child.rel)
            return data_no_memory(d, err);
        if (child.split < 0)
            child.split = data_split_of_folder(name);
        const int known = data_genre_normalise(name, genre, sizeof genre), instrument = data_instrument_find(name);
        if (known && !(child.genre = data_keep(d, genre)))
            return data_no_memory(d, err);
        if (instrument >= 0)
            child.instrument = instrument;
        const bl_status status = walk(d, child, as_genres && !known && instrument < 0 && !data_is_generic_name(name), err);
        if (status != BL_OK)
            return status;
    }
    return BL_OK;
}

static bl_status walk(data_dataset *d, data_place at, int name_is_genre, bl_error *err)
{
    data_listing l;
    bl_error local = { 0 };
    char path[BL_PATH_MAX], genre[128];
    if (at.depth > DEPTH_MAX || !first_visit(d, at.path))
        return BL_OK;
    bl_status status = data_listing_read(at.path, &l, &local);
    if (status == BL_EIO && at.depth > 0) {
        data_dataset_skip(d, at.path, local.msg);
        return BL_OK;
    }
    if (status != BL_OK)
        return bl_fail(err, local.code, "%s", local.msg);
    if (l.csv)
        status = read_table(d, &at, l.csv, err);
    if (status == BL_OK && l.has_nsynth) {
        data_nsynth_walk w = { d, &at };
        status = bl_path_join(path, at.path, "examples.json", err);
        if (at.split < 0)
            at.split = data_split_of_folder(bl_path_name(at.path));
        if (status == BL_OK)
            status = data_nsynth_read(path, data_add_nsynth_note, &w, err);
    }
    const int is_song = status == BL_OK && data_is_song_folder(&at, &l);
    if (name_is_genre && !is_song && l.n_sounds) {
        data_genre_normalise(bl_path_name(at.path), genre, sizeof genre);
        if (!(at.genre = data_keep(d, genre)))
            status = data_no_memory(d, err);
    }
    if (is_song)
        status = data_add_song_folder(d, &at, &l, err);
    for (int i = 0; i < l.n_sounds && !is_song && status == BL_OK; i++)
        status = data_add_loose(d, &at, l.sounds[i], err);
    const int above_songs = !is_song && !l.n_sounds && (at.depth == 0 || (at.depth == 1 && !at.genre &&
                            (at.split >= 0 || data_is_generic_name(bl_path_name(at.path)))));
    if (status == BL_OK)
        status = walk_folders(d, &at, &l, is_song, above_songs, err);
    data_listing_free(&l);
    return status;
}

/* ---- after the walk ---- */

typedef struct sorted_song {
    data_song   song;
    const char *genre;
    int         split;
} sorted_song;

static int by_name(const void *a, const void *b)
{
    const sorted_song *p = a, *q = b;
    const int order = strcmp(p->song.name, q->song.name);
    return order ? order : strcmp(p->song.path, q->song.path);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bl_status sort_songs(data_dataset *d, bl_error *err)
{
    struct data_dataset_private *p = d->private_;
    const size_t n = (size_t)d->n_songs;
    sorted_song *all = malloc(n * sizeof *all);
    d->genres = malloc((n + 1) * sizeof *d->genres);
    if (!all || !d->genres) {
        free(all);
        return data_no_memory(d, err);
    }
    for (size_t i = 0; i < n; i++) {
        all[i] = (sorted_song){ d->songs[i], p->song_genres[i], p->song_splits[i] };
        if (p->song_genres[i])
            d->genres[d->n_genres++] = p->song_genres[i];
        d->layout_count[all[i].song.layout]++;
    }
    qsort(all, n, sizeof *all, by_name);
    qsort(d->genres, (size_t)d->n_genres, sizeof *d->genres, by_text);
    int kept = 0;
    for (int i = 0; i < d->n_genres; i++)
        if (!kept || strcmp(d->genres[kept - 1], d->genres[i]))
            d->genres[kept++] = d->genres[i];
    d->n_genres = kept;
    for (size_t i = 0; i < n; i++) {
        d->songs[i] = all[i].song;
        d->songs[i].genre = all[i].genre ? data_dataset_genre(d, all[i].genre) : -1;
        p->song_splits[i] = all[i].split;
    }
    free(all);
    return BL_OK;
}

/* Uniform in [0, 1) from a name; the finaliser of splitmix64 spreads FNV's weak high bits. */
static double place_of_group(const char *group)
{
    uint64_t h = bl_hash(0, group, strlen(group));
    h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
    h ^= h >> 31;
    return (double)(h >> 11) * 0x1p-53;
}

/* Songs are alike for the split when they have the same genre and either all a mixture or none: a class of songs (or of
 * notes) that has two members at least should be on both sides. */
static int same_class(const data_song *a, const data_song *b)
{
    return a->genre == b->genre && !a->mixture == !b->mixture;
}

/* When a class has all its free songs on one side, the one nearest to the other side (by its hash) changes over, with
 * everything of its group. */
static void split_class(data_dataset *d, const double *u, int first)
{
    const struct data_dataset_private *p = d->private_;
    int n_held_out = 0, n = 0, lowest = -1, highest = -1;
    for (int i = first; i < d->n_songs; i++) {
        if (!same_class(&d->songs[i], &d->songs[first]))
            continue;
        n++;
        n_held_out += d->songs[i].split == DATA_VALIDATION;
        if (p->song_splits[i] >= 0)
            continue;
        lowest = lowest < 0 || u[i] < u[lowest] ? i : lowest;
        highest = highest < 0 || u[i] > u[highest] ? i : highest;
    }
    if (lowest < 0 || u[lowest] == u[highest] || (n_held_out > 0 && n_held_out < n))
        return;
    const char *moved = d->songs[n_held_out == 0 ? lowest : highest].group;
    for (int i = 0; i < d->n_songs; i++)
        if (p->song_splits[i] < 0 && !strcmp(d->songs[i].group, moved))
            d->songs[i].split = n_held_out == 0 ? DATA_VALIDATION : DATA_TRAIN;
}

static bl_status split_songs(data_dataset *d, bl_error *err)
{
    const struct data_dataset_private *p = d->private_;
    const double asked = p->options.validation;
    const double share = asked == 0 ? 0.15 : asked < 0 ? 0 : asked;
    double *u = malloc((size_t)d->n_songs * sizeof *u);
    if (!u)
        return data_no_memory(d, err);
    for (int i = 0; i < d->n_songs; i++) {
        u[i] = place_of_group(d->songs[i].group);
        d->songs[i].split = p->song_splits[i] >= 0 ? (data_split)p->song_splits[i] : u[i] < share ? DATA_VALIDATION : DATA_TRAIN;
    }
    for (int i = 0; i < d->n_songs && share > 0 && share < 1; i++) {
        int seen = 0;
        for (int k = i - 1; k >= 0 && !seen; k--)
            seen = same_class(&d->songs[k], &d->songs[i]);
        if (!seen)
            split_class(d, u, i);
    }
    free(u);
    return BL_OK;
}

static void count_unmatched(data_dataset *d)
{
    struct data_dataset_private *p = d->private_;
    char text[BL_PATH_MAX];
    for (int t = 0; t < p->n_tables; t++)
        for (int i = 0; i < p->tables[t].n_rows; i++)
            if (!p->tables[t].rows[i].matched && d->unmatched_rows++ == 0) {
                snprintf(text, sizeof text, "%.3000s line %d: %.900s", p->tables[t].path, p->tables[t].rows[i].line,
                         p->tables[t].rows[i].file);
                p->first_unmatched = data_keep(d, text);
            }
}

data_dataset *data_dataset_open(const char *path, const data_dataset_options *options, bl_error *err)
{
    char clean[BL_PATH_MAX], whole[BL_PATH_MAX], genre[128];
    data_dataset *d = NULL;
    size_t n = strlen(path);
    if (!bl_is_folder(path)) {
        bl_fail(err, BL_EIO, bl_is_file(path) ? "%s: a file; expected a folder with audio" : "%s: no such folder", path);
        return NULL;
    }
    if (options && options->validation > 1) {
        bl_fail(err, BL_EARG, "validation: expected a share up to 1, got %g", options->validation);
        return NULL;
    }
    if (n >= sizeof clean) {
        bl_fail(err, BL_EARG, "%.100s...: path longer than %d bytes", path, BL_PATH_MAX - 1);
        return NULL;
    }
    memcpy(clean, path, n + 1);
    while (n > 1 && clean[n - 1] == '/')
        clean[--n] = '\0';
    d = calloc(1, sizeof *d);
    if (!d || !(d->private_ = calloc(1, sizeof *d->private_)) || !(d->path = data_keep(d, clean))) {
        bl_fail(err, BL_ENOMEM, "%s: no memory for the dataset", path);
        data_dataset_free(d);
        return NULL;
    }
    if (options)
        d->private_->options = *options;

    /* The folder's own name counts too: notes/piano holds a piano, genres/rock holds rock. */
    char *real = realpath(clean, NULL);
    snprintf(whole, sizeof whole, "%s", real ? bl_path_name(real) : clean);
    free(real);
    data_place root = { d->path, "", 0, NULL, data_instrument_find(whole), -1 };
    bl_status status = BL_OK;
    if (data_genre_normalise(whole, genre, sizeof genre) && !(root.genre = data_keep(d, genre)))
        status = data_no_memory(d, err);
    if (status == BL_OK)
        status = walk(d, root, 0, err);
    if (status == BL_OK && d->n_songs == 0)
        status = d->n_skipped ? bl_fail(err, BL_EFORMAT, "%s: nothing usable: %d file%s skipped, the first %.200s: %.150s", clean,
                                        d->n_skipped, d->n_skipped == 1 ? "" : "s", bl_path_name(d->skipped[0].path),
                                        d->skipped[0].reason)
                              : bl_fail(err, BL_EFORMAT, "%s: no audio files in this folder or below it", clean);
    if (status == BL_OK)
        status = sort_songs(d, err);
    if (status == BL_OK)
        status = split_songs(d, err);
    if (status != BL_OK) {
        data_dataset_free(d);
        return NULL;
    }
    count_unmatched(d);
    return d;
}

void data_dataset_free(data_dataset *d)
{
    if (!d)
        return;
    struct data_dataset_private *p = d->private_;
    if (p) {
        for (int i = 0; i < p->n_tables; i++)
            free(p->tables[i].rows);
        for (int i = 0; i < p->n_cached; i++) {
            audio_clip_free(&p->cache[i].clip);
            free(p->cache[i].path);
        }
        free(p->tables);
        free(p->cache);
        free(p->visited);
        free((void *)p->song_genres);
        free(p->song_splits);
        bl_arena_free(&p->pool.arena);
        free(p);
    }
    free(d->songs);
    free((void *)d->genres);
    free(d->skipped);
    free(d);
}

int data_dataset_genre(const data_dataset *d, const char *name)
{
    char genre[128];
    data_genre_normalise(name, genre, sizeof genre);
    for (int i = 0; i < d->n_genres; i++)
        if (!strcmp(d->genres[i], genre))
            return i;
    return -1;
}
