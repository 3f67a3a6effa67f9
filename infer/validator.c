#include "infer/validator.h"

#include "base/config.h"
#include "base/file.h"
#include "data/instruments.h"
#include "infer/genre.h"
#include "music/instrument.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Less alike than this is no replacement. */
static const double ALIKE = 0.3;

static data_validator *load(const char *model_dir, bl_error *err)
{
    char path[BL_PATH_MAX];
    if (bl_path_join(path, model_dir, "validator.h5", err) != BL_OK)
        return NULL;
    return bl_is_file(path) ? data_validator_load(path, NULL, err) : data_validator_new(NULL, err);
}

static int table_knows(const void *v, const char *genre)
{
    return data_validator_find_genre(v, genre, NULL) >= 0;
}

/* Index of the genre, or of the one whose instruments are its own too; -1 on an error. */
static int find_genre(const data_validator *v, infer_plan *plan, bl_error *err)
{
    const int known = infer_genre_known(plan->genre, table_knows, v, plan->genre_band, err);
    if (known > 0)
        return data_validator_find_genre(v, plan->genre_band, err);
    if (known == 0)
        bl_fail(err, BL_EARG, "no instruments for the genre \"%s\": data/genre_instruments.ini has no section [%s], and its file in configs/styles "
                              "has no \"like = GENRE\" that names one", plan->genre, plan->genre);
    return -1;
}

bl_status infer_check_genre(infer_plan *plan, const char *model_dir, bl_error *err)
{
    char path[BL_PATH_MAX], style[INFER_GENRE_NAME];
    if (infer_genre_style(plan->genre, path, style, err) != BL_OK)
        return err->code;
    data_validator *v = load(model_dir, err);
    const int genre = v ? find_genre(v, plan, err) : -1;
    data_validator_free(v);
    return genre < 0 ? err->code : BL_OK;
}

/* ids of a list "electric guitar, bass;drums"; returns how many, -1 on failure. kept [*n_kept]: those with a ! behind. */
static int parse_names(const char *names, int *ids, int *kept, int *n_kept, bl_error *err)
{
    int n = 0;
    *n_kept = 0;
    for (const char *at = names; *at;) {
        char one[128];
        size_t length = strcspn(at, ",;");
        const char *next = at + length + (at[length] != '\0');
        int force = 0;
        while (length && isspace((unsigned char)*at)) {
            at++;
            length--;
        }
        while (length && (isspace((unsigned char)at[length - 1]) || at[length - 1] == '!'))
            force |= at[--length] == '!';
        if (length) {
            snprintf(one, sizeof one, "%.*s", (int)(length < sizeof one ? length : sizeof one - 1), at);
            const int id = data_instrument_parse(one, err);
            if (id < 0) {
                bl_error_prefix(err, "--instruments");
                return -1;
            }
            for (int i = 0; i < n; i++)
                if (ids[i] == id) {
                    bl_fail(err, BL_EARG, "--instruments: \"%s\" is named twice", data_instrument_name(id));
                    return -1;
                }
            if (n == INFER_MAX_INSTRUMENTS) {
                bl_fail(err, BL_EARG, "--instruments: more than %d", INFER_MAX_INSTRUMENTS);
                return -1;
            }
            ids[n++] = id;
            if (force)
                kept[(*n_kept)++] = id;
        }
        at = next;
    }
    if (!n)
        bl_fail(err, BL_EARG, "--instruments: expected names such as \"electric guitar, bass, drums\", got \"%s\"", names);
    return n ? n : -1;
}

bl_status infer_check_instruments(const char *names, bl_error *err)
{
    int ids[INFER_MAX_INSTRUMENTS], kept[INFER_MAX_INSTRUMENTS], n_kept;
    return parse_names(names, ids, kept, &n_kept, err) < 0 ? err->code : BL_OK;
}

static int can_play(const infer_tone_generator *g, int id)
{
    return music_instrument_find(data_instrument_name(id)) &&
           blocks_synthesizer_voice(infer_tone_generator_synthesizer(g), data_instrument_name(id), -1, -1) >= 0;
}

static int is_taken(const infer_plan *plan, int id)
{
    for (int i = 0; i < plan->n_instruments; i++) {
        const infer_instrument *e = &plan->instruments[i];
        const char *plays = e->accepted ? e->name : e->replaced_by;
        if (!strcmp(plays, data_instrument_name(id)))
            return 1;
    }
    return 0;
}

/* The most alike instrument that can play, fits the genre and is not in the band; -1: none. others: ids that are
 * about to join. */
static int stand_in(const data_validator *v, int genre, const infer_tone_generator *g, const infer_plan *plan, int id,
                    const int *others, int n_others)
{
    int best = -1;
    double best_likeness = ALIKE;
    for (int k = 0; k < data_instrument_count(); k++) {
        int skip = k == id || !can_play(g, k) || is_taken(plan, k) || data_validator_probability(v, genre, k) < 0.15;
        for (int i = 0; i < n_others; i++)
            skip |= others[i] == k;
        if (!skip && data_instrument_likeness(id, k) > best_likeness) {
            best = k;
            best_likeness = data_instrument_likeness(id, k);
        }
    }
    return best;
}

/* Turns a decision of the table into an entry of the plan, with what the synthesizer can do in mind. */
static bl_status enter(infer_plan *plan, const data_validator *v, int genre, const infer_tone_generator *g,
                       const data_decision *d, const int *others, int n_others, bl_error *err)
{
    const char *name = data_instrument_name(d->instrument);
    const int plays = d->verdict == DATA_ACCEPTED ? d->instrument : d->verdict == DATA_REPLACED ? d->replaced_by : -1;
    char reason[256];
    if (plays < 0)
        return infer_plan_add_instrument(plan, name, 0, d->reason, NULL, err);
    if (can_play(g, plays))
        return infer_plan_add_instrument(plan, name, d->verdict == DATA_ACCEPTED, d->reason,
                                         d->verdict == DATA_REPLACED ? data_instrument_name(plays) : NULL, err);
    const int other = stand_in(v, genre, g, plan, plays, others, n_others);
    snprintf(reason, sizeof reason, "the synthesizer has not learned %s%s%s", data_instrument_name(plays),
             other >= 0 ? "; the most alike that fits is " : ", nor anything alike that fits",
             other >= 0 ? data_instrument_name(other) : "");
    return infer_plan_add_instrument(plan, name, 0, reason, other >= 0 ? data_instrument_name(other) : NULL, err);
}

/* The genre's usual band, or what was heard. */
static int choose(const infer_plan *plan, const infer_song *song, const data_validator *v, int genre, int *ids)
{
    int usual[INFER_MAX_INSTRUMENTS], n = 0;
    const int n_usual = data_validator_defaults(v, genre, usual, INFER_MAX_INSTRUMENTS);
    if (song->n_heard && !plan->keep_existing) {
        memcpy(ids, song->heard, (size_t)song->n_heard * sizeof *ids);
        return song->n_heard;
    }
    for (int i = 0; i < n_usual; i++) {
        int there = 0;
        for (int k = 0; k < song->n_heard; k++)
            there |= song->heard[k] == usual[i];
        if (!there)
            ids[n++] = usual[i];
    }
    if (n)
        return n;
    memcpy(ids, usual, (size_t)n_usual * sizeof *ids); /* everything is there already: double it */
    return n_usual;
}

static bl_status decide(infer_plan *plan, const data_validator *v, int genre, const int *ids, int n,
                        const data_validate_options *options, const infer_tone_generator *g, bl_error *err)
{
    data_decision *d = malloc((size_t)n * sizeof *d);
    if (!d)
        return bl_fail(err, BL_ENOMEM, "no memory for the band");
    data_validator_decide_all(v, genre, ids, n, options, d);
    plan->n_instruments = 0;
    bl_status status = BL_OK;
    for (int i = 0; i < n && status == BL_OK; i++)
        status = enter(plan, v, genre, g, &d[i], ids, n, err);
    free(d);
    return status;
}

/* The band of a plan's notes, or of its list: obeyed, if the synthesizer can. */
static bl_status obey(infer_plan *plan, const infer_tone_generator *g, bl_error *err)
{
    if (!(plan->has & INFER_HAS_INSTRUMENTS))
        for (int i = 0; i < plan->score.n_tracks; i++)
            if (infer_plan_add_instrument(plan, plan->score.tracks[i].name, 1, "the plan has notes for it", NULL, err) != BL_OK)
                return err->code;
    for (int i = 0; i < plan->n_instruments; i++) {
        const char *name = infer_plan_plays(plan, i);
        if (!name)
            continue;
        if (blocks_synthesizer_voice(infer_tone_generator_synthesizer(g), name, -1, -1) < 0)
            return bl_fail(err, BL_EARG, "the plan wants \"%s\", which the synthesizer has not learned", name);
        if (!infer_plan_track(plan, name) && !music_instrument_find(name))
            return bl_fail(err, BL_EARG, "the plan has no notes for \"%s\", and the arranger knows no parts for it", name);
    }
    return BL_OK;
}

/* The numbers behind every entry, whoever decided it. */
static void weigh(infer_plan *plan, const data_validator *v, int genre, const data_validate_options *options)
{
    for (int i = 0; i < plan->n_instruments; i++) {
        infer_instrument *e = &plan->instruments[i];
        const int id = data_instrument_find(e->name), other = e->replaced_by[0] ? data_instrument_find(e->replaced_by) : -1;
        if (id < 0)
            continue;
        const data_evidence x = data_validator_evidence(v, genre, id);
        int asked = options->force;
        for (int k = 0; k < options->n_kept; k++)
            asked |= options->kept[k] == id;
        e->probability = x.probability;
        e->table = x.table;
        e->count = x.count;
        e->songs = x.songs;
        e->threshold = x.threshold;
        e->replacement_probability = other >= 0 ? data_validator_probability(v, genre, other) : 0;
        e->forced = e->accepted && asked && x.probability < x.threshold;
    }
}

bl_status infer_validate(infer_plan *plan, const infer_song *song, const infer_band_request *request,
                         const infer_tone_generator *generator, bl_error *err)
{
    int ids[INFER_MAX_INSTRUMENTS], kept[INFER_MAX_INSTRUMENTS], n, playing = 0;
    data_validate_options options = { .force = request->force, .kept = kept };
    bl_status status = BL_OK;
    data_validator *v = load(request->model_dir, err);
    const int genre = v ? find_genre(v, plan, err) : -1;

    if (genre < 0)
        status = err->code;
    else if (!request->names && plan->has & (INFER_HAS_INSTRUMENTS | INFER_HAS_NOTES))
        status = obey(plan, generator, err);
    else {
        n = request->names ? parse_names(request->names, ids, kept, &options.n_kept, err) : choose(plan, song, v, genre, ids);
        status = n < 0 ? err->code : n > 0 ? decide(plan, v, genre, ids, n, &options, generator, err) : BL_OK;
    }
    if (status == BL_OK)
        weigh(plan, v, genre, &options);
    data_validator_free(v);
    if (status != BL_OK)
        return status;
    plan->has |= INFER_HAS_INSTRUMENTS;
    for (int i = 0; i < plan->n_instruments; i++)
        playing += infer_plan_plays(plan, i) != NULL;
    if (playing)
        return BL_OK;
    if (!plan->n_instruments)
        return bl_fail(err, BL_EARG, "no instruments to add: the plan names none");
    return bl_fail(err, BL_EARG, "no instrument is left to play: %s: %s", plan->instruments[0].name, plan->instruments[0].reason);
}
