#include "data/validator.h"

#include "base/config.h"
#include "base/file.h"
#include "data/instruments.h"
#include "nn/checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GENRES_MAX = 256, PREFERRED_MAX = 8, NAMES_MAX = 64, DEFAULTS_MAX = 16 };
static const char shipped_table[] = "data/genre_instruments.ini";
/* Below this an instrument is too different to stand in for another. */
static const double LIKENESS_MIN = 0.25;

typedef struct genre_entry {
    char    name[NAMES_MAX];
    double *weight;                     /* [n_instruments] prior mean            */
    int   (*preferred)[PREFERRED_MAX];  /* [n_instruments] ids, -1 after the last */
    double *count;                      /* [n_instruments] songs with it         */
    double  songs;
    int     defaults[DEFAULTS_MAX], n_defaults;
} genre_entry;

struct data_validator {
    genre_entry *genres;
    int          n_genres, capacity;
    double       threshold, strength, unlisted;
};

/* ---- the table ---- */

static genre_entry *add_genre(data_validator *v, const char *name, bl_error *err)
{
    const size_t n = (size_t)data_instrument_count();
    if (v->n_genres == GENRES_MAX) {
        bl_fail(err, BL_EFORMAT, "more than %d genres", GENRES_MAX);
        return NULL;
    }
    if (v->n_genres == v->capacity) {
        const int capacity = v->capacity ? 2 * v->capacity : 16;
        genre_entry *genres = realloc(v->genres, (size_t)capacity * sizeof *genres);
        if (!genres) {
            bl_fail(err, BL_ENOMEM, "no memory for the genre table");
            return NULL;
        }
        v->genres = genres;
        v->capacity = capacity;
    }
    genre_entry *g = &v->genres[v->n_genres];
    *g = (genre_entry){ 0 };
    snprintf(g->name, sizeof g->name, "%s", name);
    g->weight = malloc(n * sizeof *g->weight);
    g->preferred = malloc(n * sizeof *g->preferred);
    g->count = calloc(n, sizeof *g->count);
    if (!g->weight || !g->preferred || !g->count) {
        free(g->weight);
        free(g->preferred);
        free(g->count);
        bl_fail(err, BL_ENOMEM, "no memory for the genre table");
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        g->weight[i] = v->unlisted;
        for (int k = 0; k < PREFERRED_MAX; k++)
            g->preferred[i][k] = -1;
    }
    v->n_genres++;
    return g;
}

/* Names separated by commas; -1 with err set when one is unknown or there are more than max. */
static int parse_names(const char *text, int *ids, int max, bl_error *err)
{
    char name[NAMES_MAX];
    int n = 0;
    while (*text) {
        const size_t bytes = strcspn(text, ",");
        snprintf(name, sizeof name, "%.*s", (int)(bytes < NAMES_MAX ? bytes : NAMES_MAX - 1), text);
        if (strspn(name, " \t") < strlen(name)) {
            const int id = data_instrument_parse(name + strspn(name, " \t"), err);
            if (id < 0)
                return -1;
            if (n == max) {
                bl_fail(err, BL_EFORMAT, "more than %d instruments", max);
                return -1;
            }
            ids[n++] = id;
        }
        text += bytes + (text[bytes] == ',');
    }
    return n;
}

/* "0.04 -> electric guitar, strings" */
static bl_status parse_weight(genre_entry *g, int id, const char *value, bl_error *err)
{
    char *end;
    const double weight = strtod(value, &end);
    end += strspn(end, " \t");
    if (end == value || !(weight >= 0 && weight <= 1) || (*end && strncmp(end, "->", 2)))
        return bl_fail(err, BL_EFORMAT, "expected a weight within 0..1, then perhaps \"-> other instruments\", got \"%.60s\"", value);
    g->weight[id] = weight;
    if (!*end)
        return BL_OK;
    int ids[PREFERRED_MAX];
    const int n = parse_names(end + 2, ids, PREFERRED_MAX, err);
    for (int k = 0; k < n; k++)
        g->preferred[id][k] = ids[k];
    return n < 0 ? BL_EFORMAT : BL_OK;
}

static bl_status read_entry(data_validator *v, const bl_config_entry *e, bl_error *err)
{
    char name[NAMES_MAX];
    data_genre_normalise(e->section, name, sizeof name);
    genre_entry *g = NULL;
    for (int i = 0; i < v->n_genres; i++)
        if (!strcmp(v->genres[i].name, name))
            g = &v->genres[i];
    if (!g && !(g = add_genre(v, name, err)))
        return BL_ENOMEM;
    if (!strcmp(e->key, "default")) {
        g->n_defaults = parse_names(e->value, g->defaults, DEFAULTS_MAX, err);
        if (g->n_defaults >= 0)
            return BL_OK;
        g->n_defaults = 0;
        return BL_EFORMAT;
    }
    const int id = data_instrument_parse(e->key, err);
    return id < 0 ? BL_EARG : parse_weight(g, id, e->value, err);
}

data_validator *data_validator_new(const char *table_path, bl_error *err)
{
    char path[BL_PATH_MAX];
    data_validator *v = NULL;
    bl_error local = { 0 };
    if (!table_path) {
        if (bl_find_shipped(path, shipped_table, err) != BL_OK)
            return NULL;
        table_path = path;
    }
    bl_config *config = bl_config_load(table_path, err);
    if (!config)
        return NULL;
    if (!(v = calloc(1, sizeof *v))) {
        bl_fail(err, BL_ENOMEM, "%s: no memory for the genre table", table_path);
        goto done;
    }
    v->threshold = bl_config_real(config, "settings", "threshold", 0.15, 0, 1, &local);
    v->strength = bl_config_real(config, "settings", "strength", 10, 0.1, 1e6, &local);
    v->unlisted = bl_config_real(config, "settings", "unlisted", 0.03, 0, 1, &local);
    for (int i = 0; i < bl_config_count(config) && local.code == BL_OK; i++) {
        const bl_config_entry *e = bl_config_at(config, i);
        if (!strcmp(e->section, "settings"))
            continue;
        bl_config_mark_used(config, i);
        bl_error fault = { 0 };
        if (read_entry(v, e, &fault) != BL_OK)
            bl_fail(&local, fault.code, "%s line %d: %s: %s", table_path, e->line, e->key, fault.msg);
    }
    if (local.code == BL_OK)
        bl_config_check_unused(config, &local);
    if (local.code == BL_OK && v->n_genres == 0)
        bl_fail(&local, BL_EFORMAT, "%s: no genre in it; expected sections such as [rock]", table_path);
    if (local.code != BL_OK) {
        bl_fail(err, local.code, "%s", local.msg);
        data_validator_free(v);
        v = NULL;
    }
done:
    bl_config_free(config);
    return v;
}

void data_validator_free(data_validator *v)
{
    if (!v)
        return;
    for (int i = 0; i < v->n_genres; i++) {
        free(v->genres[i].weight);
        free(v->genres[i].preferred);
        free(v->genres[i].count);
    }
    free(v->genres);
    free(v);
}

/* ---- what it knows ---- */

int data_validator_genres(const data_validator *v)
{
    return v->n_genres;
}

int data_validator_find_genre(const data_validator *v, const char *genre, bl_error *err)
{
    const char *names[GENRES_MAX];
    char wanted[NAMES_MAX], all[256] = "";
    data_genre_normalise(genre, wanted, sizeof wanted);
    for (int i = 0; i < v->n_genres; i++) {
        if (!strcmp(v->genres[i].name, wanted))
            return i;
        names[i] = v->genres[i].name;
        const size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", names[i]);
    }
    const char *near = bl_nearest(wanted, names, v->n_genres);
    if (near)
        bl_fail(err, BL_EARG, "unknown genre \"%.60s\"; did you mean \"%s\"?", genre, near);
    else
        bl_fail(err, BL_EARG, "unknown genre \"%.60s\"; known are %s", genre, all);
    return -1;
}

double data_validator_probability(const data_validator *v, int genre, int instrument)
{
    BL_ASSERT(genre >= 0 && genre < v->n_genres && instrument >= 0 && instrument < data_instrument_count());
    const genre_entry *g = &v->genres[genre];
    return (v->strength * g->weight[instrument] + g->count[instrument]) / (v->strength + g->songs);
}

data_evidence data_validator_evidence(const data_validator *v, int genre, int instrument)
{
    const double p = data_validator_probability(v, genre, instrument);
    const genre_entry *g = &v->genres[genre];
    return (data_evidence){ g->weight[instrument], g->count[instrument], g->songs, p, v->threshold };
}

double data_validator_songs(const data_validator *v, int genre)
{
    BL_ASSERT(genre >= 0 && genre < v->n_genres);
    return v->genres[genre].songs;
}

double data_validator_count(const data_validator *v, int genre, int instrument)
{
    BL_ASSERT(genre >= 0 && genre < v->n_genres && instrument >= 0 && instrument < data_instrument_count());
    return v->genres[genre].count[instrument];
}

/* A genre the table does not have gets the mean weights of those it has. */
static int genre_for_counting(data_validator *v, const char *name, bl_error *err)
{
    const int found = data_validator_find_genre(v, name, NULL), known = v->n_genres;
    if (found >= 0)
        return found;
    genre_entry *g = add_genre(v, name, err);
    if (!g)
        return -1;
    for (int k = 0; k < data_instrument_count(); k++) {
        double sum = 0;
        for (int i = 0; i < known; i++)
            sum += v->genres[i].weight[k];
        g->weight[k] = known ? sum / known : v->unlisted;
    }
    return v->n_genres - 1;
}

bl_status data_validator_learn(data_validator *v, const data_dataset *d, bl_error *err)
{
    const size_t n = (size_t)data_instrument_count();
    int *has = malloc(n * sizeof *has);
    bl_status status = BL_OK;
    if (!has)
        return bl_fail(err, BL_ENOMEM, "no memory to count instruments");
    for (int i = 0; i < d->n_songs && status == BL_OK; i++) {
        const data_song *song = &d->songs[i];
        /* A recording of one instrument alone says nothing about which instruments songs of its genre have. */
        const int alone = song->layout == DATA_STEMS ? song->n_stems < 2 && !song->mixture : 1;
        if (song->genre < 0 || (alone && song->metadata.n_instruments < 2))
            continue;
        memset(has, 0, n * sizeof *has);
        int any = 0;
        for (int k = 0; k < song->metadata.n_instruments; k++)
            any = has[song->metadata.instruments[k]] = 1;
        for (int k = 0; k < song->n_stems; k++)
            if (song->stems[k].instrument >= 0)
                any = has[song->stems[k].instrument] = 1;
        if (!any)
            continue;
        const int genre = genre_for_counting(v, d->genres[song->genre], err);
        if (genre < 0)
            status = BL_ENOMEM;
        else {
            v->genres[genre].songs += 1;
            for (size_t k = 0; k < n; k++)
                v->genres[genre].count[k] += has[k];
        }
    }
    free(has);
    return status;
}

/* ---- decisions ---- */

static int is_in(int id, const int *list, int n)
{
    for (int i = 0; i < n; i++)
        if (list[i] == id)
            return 1;
    return 0;
}

/* The instrument to take instead: the table's preference first, else the most alike that fits. -1: none. */
static int find_replacement(const data_validator *v, int genre, int instrument, double threshold, const int *taken, int n_taken)
{
    const genre_entry *g = &v->genres[genre];
    for (int k = 0; k < PREFERRED_MAX && g->preferred[instrument][k] >= 0; k++) {
        const int id = g->preferred[instrument][k];
        if (!is_in(id, taken, n_taken) && data_validator_probability(v, genre, id) >= threshold)
            return id;
    }
    int best = -1;
    double best_score = 0;
    for (int id = 0; id < data_instrument_count(); id++) {
        const double p = data_validator_probability(v, genre, id), likeness = data_instrument_likeness(instrument, id);
        if (id == instrument || p < threshold || likeness < LIKENESS_MIN || is_in(id, taken, n_taken))
            continue;
        if (likeness * sqrt(p) > best_score) {
            best_score = likeness * sqrt(p);
            best = id;
        }
    }
    return best;
}

data_decision data_validator_decide(const data_validator *v, int genre, int instrument, const int *taken, int n_taken,
                                    const data_validate_options *options)
{
    const data_validate_options o = options ? *options : (data_validate_options){ 0 };
    const double threshold = o.threshold > 0 ? o.threshold : v->threshold;
    const double p = data_validator_probability(v, genre, instrument);
    const char *name = data_instrument_name(instrument), *genre_name = v->genres[genre].name;
    const genre_entry *g = &v->genres[genre];
    char evidence[96] = "";
    data_decision d = { instrument, DATA_ACCEPTED, -1, p, 0, "" };
    if (g->songs > 0)
        snprintf(evidence, sizeof evidence, "; %.2f in the table, in %.0f of %.0f songs", g->weight[instrument], g->count[instrument], g->songs);
    if (p >= threshold) {
        snprintf(d.reason, sizeof d.reason, "%s fits %s (%.2f, threshold %.2f%s)", name, genre_name, p, threshold, evidence);
        return d;
    }
    if (o.force || is_in(instrument, o.kept, o.n_kept)) {
        snprintf(d.reason, sizeof d.reason, "%s fits %s poorly (%.2f, threshold %.2f%s): kept, as asked", name, genre_name, p,
                 threshold, evidence);
        return d;
    }
    d.replaced_by = o.drop ? -1 : find_replacement(v, genre, instrument, threshold, taken, n_taken);
    if (d.replaced_by < 0) {
        d.verdict = DATA_IGNORED;
        snprintf(d.reason, sizeof d.reason, "%s fits %s poorly (%.2f, threshold %.2f%s): left out%s", name, genre_name, p, threshold,
                 evidence, o.drop ? "" : ", since nothing like it that fits is missing from the band");
        return d;
    }
    d.verdict = DATA_REPLACED;
    d.replacement_probability = data_validator_probability(v, genre, d.replaced_by);
    snprintf(d.reason, sizeof d.reason, "%s fits %s poorly (%.2f, threshold %.2f%s): replaced by %s (%.2f)", name, genre_name, p,
             threshold, evidence, data_instrument_name(d.replaced_by), d.replacement_probability);
    return d;
}

void data_validator_decide_all(const data_validator *v, int genre, const int *instruments, int n,
                               const data_validate_options *options, data_decision *decisions)
{
    const int n_ids = data_instrument_count();
    int taken[256], n_taken = 0;
    BL_ASSERT(n_ids <= (int)(sizeof taken / sizeof taken[0]));
    /* First who stays, so that no replacement doubles one of them. */
    for (int i = 0; i < n; i++) {
        decisions[i] = data_validator_decide(v, genre, instruments[i], NULL, 0, options);
        if (decisions[i].verdict == DATA_ACCEPTED && !is_in(instruments[i], taken, n_taken))
            taken[n_taken++] = instruments[i];
    }
    for (int i = 0; i < n; i++) {
        data_decision *d = &decisions[i];
        if (is_in(instruments[i], instruments, i)) {
            *d = (data_decision){ instruments[i], DATA_IGNORED, -1, d->probability, 0, "" };
            snprintf(d->reason, sizeof d->reason, "%s is asked for twice: left out here", data_instrument_name(instruments[i]));
        } else if (d->verdict != DATA_ACCEPTED) {
            *d = data_validator_decide(v, genre, instruments[i], taken, n_taken, options);
            if (d->verdict == DATA_REPLACED)
                taken[n_taken++] = d->replaced_by;
        }
    }
}

int data_validator_defaults(const data_validator *v, int genre, int *instruments, int max)
{
    BL_ASSERT(genre >= 0 && genre < v->n_genres);
    const genre_entry *g = &v->genres[genre];
    int n = 0;
    for (int i = 0; i < g->n_defaults && n < max; i++)
        if (data_validator_probability(v, genre, g->defaults[i]) >= v->threshold)
            instruments[n++] = g->defaults[i];
    /* A genre without a default line (learned from a dataset alone): its three most frequent instruments but the voice. */
    for (int want = g->n_defaults ? 0 : 3; n < want && n < max;) {
        int best = -1;
        for (int id = 0; id < data_instrument_count(); id++)
            if (data_instrument_at(id)->family != DATA_VOICES && !is_in(id, instruments, n) &&
                data_validator_probability(v, genre, id) >= v->threshold &&
                (best < 0 || data_validator_probability(v, genre, id) > data_validator_probability(v, genre, best)))
                best = id;
        if (best < 0)
            break;
        instruments[n++] = best;
    }
    return n;
}

/* ---- the counts as a file ---- */

bl_status data_validator_save(const data_validator *v, const char *path, bl_error *err)
{
    const int n = data_instrument_count();
    const int64_t rows = v->n_genres, columns = n;
    const char **names = malloc((size_t)(n > v->n_genres ? n : v->n_genres) * sizeof *names);
    double *counts = malloc((size_t)rows * (size_t)columns * sizeof *counts), *songs = malloc((size_t)rows * sizeof *songs);
    bl_status status = BL_ENOMEM;
    if (!names || !counts || !songs) {
        bl_fail(err, BL_ENOMEM, "%s: no memory to write it", path);
        goto done;
    }
    for (int g = 0; g < v->n_genres; g++) {
        memcpy(counts + (size_t)g * (size_t)n, v->genres[g].count, (size_t)n * sizeof *counts);
        songs[g] = v->genres[g].songs;
        names[g] = v->genres[g].name;
    }
    nn_checkpoint *c = nn_checkpoint_create(path, "validator", err);
    if (!c) {
        status = err ? err->code : BL_EIO;
        goto done;
    }
    nn_checkpoint_put(c, "counts", NN_F64, 2, (const int64_t[]){ rows, columns }, counts, err);
    nn_checkpoint_put(c, "songs", NN_F64, 1, (const int64_t[]){ rows }, songs, err);
    nn_checkpoint_put_texts(c, "genres", names, v->n_genres, err);
    for (int i = 0; i < n; i++)
        names[i] = data_instrument_name(i);
    nn_checkpoint_put_texts(c, "instruments", names, n, err);
    status = nn_checkpoint_commit(c, err);
done:
    free(names);
    free(counts);
    free(songs);
    return status;
}

data_validator *data_validator_load(const char *path, const char *table_path, bl_error *err)
{
    char **genres = NULL, **instruments = NULL;
    double *counts = NULL, *songs = NULL;
    int n_genres = 0, n_instruments = 0, ok = 0;
    int64_t dims[2];
    data_validator *v = data_validator_new(table_path, err);
    nn_checkpoint *c = v ? nn_checkpoint_open(path, "validator", err) : NULL;
    if (!c)
        goto done;
    genres = nn_checkpoint_get_texts(c, "genres", &n_genres, err);
    instruments = genres ? nn_checkpoint_get_texts(c, "instruments", &n_instruments, err) : NULL;
    if (!instruments)
        goto done;
    counts = nn_checkpoint_get(c, "counts", NN_F64, 2, (const int64_t[]){ n_genres, n_instruments }, dims, err);
    songs = counts ? nn_checkpoint_get(c, "songs", NN_F64, 1, (const int64_t[]){ n_genres }, dims, err) : NULL;
    if (!songs)
        goto done;
    for (int g = 0; g < n_genres; g++) {
        char name[NAMES_MAX];
        data_genre_normalise(genres[g], name, sizeof name);
        if (songs[g] <= 0)
            continue;
        const int at = genre_for_counting(v, name, err);
        if (at < 0)
            goto done;
        if (!isfinite(songs[g])) {
            bl_fail(err, BL_EFORMAT, "%s: a number of songs that is not finite", path);
            goto done;
        }
        v->genres[at].songs = songs[g];
        for (int i = 0; i < n_instruments; i++) {
            const int id = data_instrument_find(instruments[i]); /* one this version does not know is left out */
            const double count = counts[(size_t)g * (size_t)n_instruments + (size_t)i];
            if (!(count >= 0 && count <= songs[g])) {
                bl_fail(err, BL_EFORMAT, "%s: %s in %g of %g songs of %s", path, instruments[i], count, songs[g], name);
                goto done;
            }
            if (id >= 0)
                v->genres[at].count[id] = count;
        }
    }
    ok = 1;
done:
    nn_checkpoint_texts_free(genres, n_genres);
    nn_checkpoint_texts_free(instruments, n_instruments);
    free(counts);
    free(songs);
    nn_checkpoint_free(c);
    if (!ok) {
        data_validator_free(v);
        v = NULL;
    }
    return v;
}
