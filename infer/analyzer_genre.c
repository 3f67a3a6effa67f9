#include "infer/analyzer_private.h"

#include "base/file.h"
#include "blocks/classifier.h"
#include "data/instruments.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Adds what the classifier says about n_seconds more. */
static bl_status add_evidence(infer_genre_evidence *e, const blocks_classifier *c, const float *genre, const float *instrument,
                              double n_seconds, bl_error *err)
{
    if (c->n_genres > INFER_MAX_GENRES || c->n_instruments > INFER_MAX_HEARD)
        return bl_fail(err, BL_EARG, "the classifier knows %d genres and %d instruments; expected at most %d and %d", c->n_genres,
                       c->n_instruments, INFER_MAX_GENRES, INFER_MAX_HEARD);
    e->seconds += n_seconds;
    e->n_genres = c->n_genres;
    e->n_instruments = c->n_instruments;
    for (int i = 0; i < c->n_genres; i++) {
        snprintf(e->genre[i].name, sizeof e->genre[i].name, "%s", c->genres[i]);
        e->genre[i].log_p += n_seconds * log(fmax((double)genre[i], 1e-9));
    }
    for (int i = 0; i < c->n_instruments; i++) {
        snprintf(e->instrument[i].name, sizeof e->instrument[i].name, "%s", c->instruments[i]);
        e->instrument[i].p += n_seconds * (double)instrument[i];
    }
    return BL_OK;
}

bl_status infer_hear_genre(infer_song *song, const infer_plan *plan, const char *model_dir, bl_error *err)
{
    const int mixed = strcmp(plan->input, "vocal") != 0;
    char path[BL_PATH_MAX];
    if (plan->has & INFER_HAS_GENRE && (!mixed || plan->has & INFER_HAS_INSTRUMENTS))
        return BL_OK;
    if (infer_model_path(path, model_dir, "classifier.h5", err) != BL_OK)
        return err->code;
    blocks_classifier *c = blocks_classifier_load(path, err);
    float *genre = c ? calloc((size_t)c->n_genres + 1, sizeof *genre) : NULL;
    float *instrument = c ? calloc((size_t)c->n_instruments + 1, sizeof *instrument) : NULL;
    bl_status status = BL_OK;
    if (!c)
        status = err->code;
    else if (!genre || !instrument)
        status = bl_fail(err, BL_ENOMEM, "no memory for the classifier");
    else
        status = blocks_classifier_run(c, song->mono, song->n_lead, song->lead_rate, genre, instrument, err);
    if (status == BL_OK)
        status = add_evidence(&song->genre, c, genre, instrument, (double)song->n_lead / song->lead_rate, err);
    free(genre);
    free(instrument);
    blocks_classifier_free(c);
    return status;
}

/* Below this nothing is known, as of most bare voices: then the band is one that offends nobody, at its own low probability. */
static const double UNSURE = 0.35;
static const char NEUTRAL[] = "pop";

static void take_genre(const infer_genre_evidence *e, infer_plan *plan)
{
    double sum = 0;
    int top = 0;
    for (int i = 1; i < e->n_genres; i++)
        if (e->genre[i].log_p > e->genre[top].log_p)
            top = i;
    for (int i = 0; i < e->n_genres; i++)
        sum += exp((e->genre[i].log_p - e->genre[top].log_p) / e->seconds);
    int best = top;
    for (int i = 0; i < e->n_genres && 1 / sum < UNSURE; i++)
        if (!strcmp(e->genre[i].name, NEUTRAL))
            best = i;
    data_genre_normalise(e->genre[best].name, plan->genre, sizeof plan->genre);
    plan->genre_probability = plan->confidence.genre = exp((e->genre[best].log_p - e->genre[top].log_p) / e->seconds) / sum;
    plan->has |= INFER_HAS_GENRE;
}

static void take_heard(infer_song *song, infer_plan *plan)
{
    const infer_genre_evidence *e = &song->genre;
    for (int i = 0; i < e->n_instruments && song->n_heard < INFER_MAX_INSTRUMENTS; i++) {
        const int id = data_instrument_find(e->instrument[i].name);
        const double p = e->instrument[i].p / e->seconds;
        if (id < 0 || p < 0.5 || data_instrument_at(id)->family == DATA_VOICES)
            continue;
        song->heard[song->n_heard++] = id;
        infer_heard *h = &plan->heard[plan->n_heard++];
        snprintf(h->name, sizeof h->name, "%s", data_instrument_name(id));
        h->probability = p;
    }
}

bl_status infer_analyzer_genre(infer_song *song, infer_plan *plan, const char *model_dir, bl_error *err)
{
    if (!song->is_long && infer_hear_genre(song, plan, model_dir, err) != BL_OK)
        return err->code;
    if (song->genre.seconds > 0 && !(plan->has & INFER_HAS_GENRE))
        take_genre(&song->genre, plan);
    if (song->genre.seconds > 0 && strcmp(plan->input, "vocal") != 0)
        take_heard(song, plan);
    return BL_OK;
}
