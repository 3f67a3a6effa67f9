#include "infer/analyzer_private.h"

#include "base/file.h"
#include "blocks/classifier.h"
#include "data/instruments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void take_heard(infer_song *song, infer_plan *plan, const blocks_classifier *c, const float *probability)
{
    for (int i = 0; i < c->n_instruments && song->n_heard < INFER_MAX_INSTRUMENTS; i++) {
        const int id = data_instrument_find(c->instruments[i]);
        if (id < 0 || probability[i] < 0.5f || data_instrument_at(id)->family == DATA_VOICES)
            continue;
        song->heard[song->n_heard] = id;
        song->heard_probability[song->n_heard++] = (double)probability[i];
        infer_heard *h = &plan->heard[plan->n_heard++];
        snprintf(h->name, sizeof h->name, "%s", data_instrument_name(id));
        h->probability = (double)probability[i];
    }
}

bl_status infer_analyzer_genre(infer_song *song, infer_plan *plan, const char *model_dir, bl_error *err)
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
    if (status == BL_OK) {
        if (!(plan->has & INFER_HAS_GENRE)) {
            int best = 0;
            for (int i = 1; i < c->n_genres; i++)
                if (genre[i] > genre[best])
                    best = i;
            data_genre_normalise(c->genres[best], plan->genre, sizeof plan->genre);
            plan->genre_probability = plan->confidence.genre = (double)genre[best];
            plan->has |= INFER_HAS_GENRE;
        }
        if (mixed)
            take_heard(song, plan, c, instrument);
    }
    free(genre);
    free(instrument);
    blocks_classifier_free(c);
    return status;
}
