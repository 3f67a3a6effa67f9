/* Phrases of a singer (audio/structure.h): notes between rests. */
#include "audio/structure.h"

#include <math.h>
#include <stdlib.h>

/* A breath lasts so long; within a longer phrase even a short rest parts, unless it leaves only a scrap. */
static const double BREATH_S = 9, SHORT_REST_S = 0.25, SCRAP_S = 1.5;

static double rest_before(const audio_sung_note *notes, int i)
{
    return notes[i].onset_s - notes[i - 1].offset_s;
}

/* Marks the starts of phrases within notes first .. last. */
static void part(const audio_sung_note *notes, int first, int last, unsigned char *starts)
{
    while (notes[last].offset_s - notes[first].onset_s > BREATH_S) {
        int widest = 0;
        for (int i = first + 1; i <= last; i++)
            if (notes[i - 1].offset_s - notes[first].onset_s >= SCRAP_S && notes[last].offset_s - notes[i].onset_s >= SCRAP_S &&
                rest_before(notes, i) >= SHORT_REST_S && (!widest || rest_before(notes, i) > rest_before(notes, widest)))
                widest = i;
        if (!widest)
            return;
        starts[widest] = 1;
        /* the shorter side by recursion, so that its depth stays small */
        if (widest - first < last - widest) {
            part(notes, first, widest - 1, starts);
            first = widest;
        } else {
            part(notes, widest, last, starts);
            last = widest - 1;
        }
    }
}

bl_status audio_phrases_find(const audio_sung_note *notes, int n_notes, double rest_s, audio_phrases *out, bl_error *err)
{
    unsigned char *starts = calloc((size_t)n_notes + 1, 1);
    *out = (audio_phrases){ 0 };
    if (!starts || !(out->phrases = calloc((size_t)n_notes + 1, sizeof *out->phrases))) {
        free(starts);
        return bl_fail(err, BL_ENOMEM, "no memory for the phrases of %d notes", n_notes);
    }
    for (int i = 1; i < n_notes; i++)
        if (notes[i].onset_s < notes[i - 1].onset_s) {
            free(starts);
            audio_phrases_free(out);
            return bl_fail(err, BL_EARG, "phrases: sung note %d at %g s stands before its predecessor", i + 1, notes[i].onset_s);
        }
    for (int i = 0; i < n_notes; i++)
        starts[i] = i == 0 || rest_before(notes, i) >= (rest_s > 0 ? rest_s : 0.6);
    for (int i = 0; i < n_notes;) {
        int last = i;
        while (last + 1 < n_notes && !starts[last + 1])
            last++;
        part(notes, i, last, starts);
        i = last + 1;
    }
    for (int i = 0; i < n_notes; i++) {
        if (starts[i])
            out->phrases[out->n++].start_s = notes[i].onset_s;
        audio_phrase *p = &out->phrases[out->n - 1];
        p->end_s = fmax(p->end_s, notes[i].offset_s);
    }
    free(starts);
    return BL_OK;
}

void audio_phrases_free(audio_phrases *phrases)
{
    free(phrases->phrases);
    *phrases = (audio_phrases){ 0 };
}
