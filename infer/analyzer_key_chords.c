#include "infer/analyzer_private.h"

#include "audio/key.h"
#include "base/file.h"
#include "blocks/harmonizer.h"
#include "infer/genre.h"
#include "music/chord_key.h"
#include "music/chord_path.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int has_accompaniment(const infer_plan *plan)
{
    return strcmp(plan->input, "vocal") != 0;
}

/* Instrumentals in which hardly a chord is heard but a melody most of the time: a lone instrument, or a voice that stands so still
 * that it was taken for one. Of two steady rendered voices 0.83 and 0.89 of the moments had no chord, of eleven instrumentals 0.05 at most. */
static const double NO_CHORD = 0.6, MELODY = 0.25;

int infer_is_alone(const infer_song *song, const infer_plan *plan)
{
    const blocks_harmony *h = &song->harmony;
    double melody_s = 0;
    int64_t none = 0;
    if (!has_accompaniment(plan))
        return 1;
    if (strcmp(plan->input, "instrumental") != 0 || !h->n_frames)
        return 0;
    for (int64_t t = 0; t < h->n_frames; t++) {
        const float *p = h->chord + t * MUSIC_HEARD_CLASSES;
        int best = 0;
        for (int k = 1; k < MUSIC_HEARD_CLASSES; k++)
            best = p[k] > p[best] ? k : best;
        none += best == MUSIC_HEARD_NONE;
    }
    for (int i = 0; i < plan->n_melody; i++)
        melody_s += plan->melody[i].offset_s - plan->melody[i].onset_s;
    return (double)none > NO_CHORD * (double)h->n_frames && melody_s > MELODY * plan->duration_s;
}

bl_status infer_analyzer_harmony(infer_song *song, const infer_plan *plan, const char *model_dir, bl_error *err)
{
    char path[BL_PATH_MAX];
    if (song->is_long || !has_accompaniment(plan) || (plan->has & INFER_HAS_CHORDS && plan->has & INFER_HAS_KEY))
        return BL_OK;
    if (infer_model_path(path, model_dir, "chords.h5", err) != BL_OK)
        return err->code;
    blocks_chords *c = blocks_chords_load(path, err);
    const bl_status status = c ? blocks_chords_run(c, song->mono, song->n_lead, song->lead_rate, &song->harmony, err) : err->code;
    blocks_chords_free(c);
    return status;
}

/* 1 on the plan's downbeats; NULL when there is no memory. */
static int *find_downbeats(const infer_plan *plan, bl_error *err)
{
    int *is_downbeat = calloc((size_t)plan->n_beats + 1, sizeof *is_downbeat);
    if (!is_downbeat)
        bl_fail(err, BL_ENOMEM, "no memory for the chords");
    for (int i = 0; is_downbeat && i < plan->n_downbeats; i++)
        is_downbeat[infer_nearest_beat(plan, plan->downbeats_s[i])] = 1;
    return is_downbeat;
}

static bl_status heard_chords(const infer_song *song, const infer_plan *plan, const music_key *key, music_chord_span **spans, int *n,
                              bl_error *err)
{
    int *is_downbeat = find_downbeats(plan, err);
    const music_chord_path_input in = { .chord = song->harmony.chord, .bass = song->harmony.bass, .n_frames = song->harmony.n_frames,
                                        .hop_s = song->harmony.hop_s, .beats_s = plan->beats_s, .n_beats = plan->n_beats,
                                        .is_downbeat = is_downbeat, .beats_per_bar = plan->beats_per_bar, .key = key,
                                        .start_s = 0, .end_s = plan->duration_s };
    const bl_status status = is_downbeat ? music_chord_path(&in, spans, n, err) : err->code;
    free(is_downbeat);
    return status;
}

/* ---- key ---- */

/* Adds what the accompaniment says of the key: the degrees of the chords that sound likeliest without knowing a key. Beside them
 * the network's own guess counts little: it decides where there are no chords to speak of. */
static bl_status weigh_harmony(const infer_song *song, const infer_plan *plan, double score[AUDIO_KEYS], bl_error *err)
{
    static const double NETWORK = 0.07;
    double log_p[MUSIC_KEYS];
    music_chord_span *spans = NULL;
    int n = 0;
    if (heard_chords(song, plan, NULL, &spans, &n, err) != BL_OK)
        return err->code;
    music_chord_key(spans, n, log_p);
    free(spans);
    for (int k = 0; k < AUDIO_KEYS; k++)
        score[k] += log_p[k] + NETWORK * song->harmony.key[k];
    return BL_OK;
}

static void normalise(double log_p[AUDIO_KEYS])
{
    double sum = 0, top = -HUGE_VAL;
    for (int k = 0; k < AUDIO_KEYS; k++)
        top = fmax(top, log_p[k]);
    for (int k = 0; k < AUDIO_KEYS; k++)
        sum += exp(log_p[k] - top);
    for (int k = 0; k < AUDIO_KEYS; k++)
        log_p[k] -= top + log(sum);
}

/* The melody over an accompaniment counts a third: it sings of the same chords. */
bl_status infer_find_key(const infer_song *song, infer_plan *plan, const audio_sung_notes *sung, bl_error *err)
{
    audio_rhythm r = { .bpm = plan->tempo_bpm, .beats_s = plan->beats_s, .n_beats = plan->n_beats,
                       .downbeats_s = plan->downbeats_s, .n_downbeats = plan->n_downbeats,
                       .beats_per_bar = plan->beats_per_bar,
                       .first_downbeat = plan->n_downbeats ? infer_nearest_beat(plan, plan->downbeats_s[0]) : 0 };
    double log_p[AUDIO_KEYS];
    audio_key_weigh(sung->notes, sung->n_notes, sung->tuning_cents, &r, log_p);
    if (!infer_is_alone(song, plan)) {
        for (int k = 0; k < AUDIO_KEYS; k++)
            log_p[k] *= 0.35;
        if (weigh_harmony(song, plan, log_p, err) != BL_OK)
            return err->code;
        normalise(log_p);
    }
    const audio_key key = audio_key_decide(log_p);
    snprintf(plan->key, sizeof plan->key, "%s", key.name);
    plan->confidence.key = (double)key.confidence;
    plan->has |= INFER_HAS_KEY;
    return BL_OK;
}

/* ---- chords ---- */

/* The plan's sections, labels as numbers. NULL: no memory. */
static music_harmony_section *sections_of(const infer_plan *plan, bl_error *err)
{
    music_harmony_section *out = calloc((size_t)plan->n_sections + 1, sizeof *out);
    if (!out)
        bl_fail(err, BL_ENOMEM, "no memory for the chords");
    for (int i = 0; out && i < plan->n_sections; i++) {
        int first = 0;
        while (strcmp(plan->sections[first].label, plan->sections[i].label))
            first++;
        out[i] = (music_harmony_section){ plan->sections[i].start_s, plan->sections[i].end_s, first };
    }
    return out;
}

/* The genre's section of configs/harmony.ini, its own or that of what it is like. */
static bl_status find_habits(infer_plan *plan, char path[BL_PATH_MAX], bl_error *err)
{
    const int known = infer_genre_section(plan->genre, "configs/harmony.ini", plan->genre_chords, err);
    if (known < 0 || bl_find_shipped(path, "configs/harmony.ini", err) != BL_OK)
        return err->code;
    return known ? BL_OK : bl_fail(err, BL_EARG, "no chords for the genre \"%s\": %s has no section [%s], and its file in configs/styles has no "
                                                 "\"like = GENRE\" that names one", plan->genre, path, plan->genre);
}

/* Chords that suit the melody, by the habits of a genre. */
static bl_status arrange_chords(infer_plan *plan, const music_key *key, const char *model_dir, bl_error *err)
{
    char habits[BL_PATH_MAX], model[BL_PATH_MAX];
    music_harmony_table *table = NULL;
    blocks_harmonizer *harmonizer = NULL;
    int *is_downbeat = NULL;
    music_harmony_section *sections = NULL;
    bl_status status = find_habits(plan, habits, err);
    if (status == BL_OK && (infer_ear_path(model, model_dir, "arranger.h5", err) != BL_OK || !(table = music_harmony_table_load(habits, err)) ||
                            !(harmonizer = blocks_harmonizer_load(model, err)) || !(is_downbeat = find_downbeats(plan, err)) ||
                            !(sections = sections_of(plan, err))))
        status = err->code;
    if (status == BL_OK) {
        const music_harmony_input in = { .beats_s = plan->beats_s, .n_beats = plan->n_beats, .is_downbeat = is_downbeat,
                                         .beats_per_bar = plan->beats_per_bar, .melody = plan->melody, .n_melody = plan->n_melody,
                                         .key = *key, .genre = plan->genre_chords, .sections = sections, .n_sections = plan->n_sections,
                                         .start_s = 0, .end_s = plan->duration_s };
        status = blocks_harmonizer_run(harmonizer, table, &in, &plan->chords, &plan->n_chords, err);
    }
    free(sections);
    free(is_downbeat);
    blocks_harmonizer_free(harmonizer);
    music_harmony_table_free(table);
    return status;
}

bl_status infer_analyzer_chords(const infer_song *song, infer_plan *plan, const char *model_dir, bl_error *err)
{
    music_key key = { 0, 0 };
    bl_status status;
    if (plan->has & INFER_HAS_CHORDS)
        return BL_OK;
    music_key_parse(plan->key, &key);
    if (!infer_is_alone(song, plan))
        status = heard_chords(song, plan, &key, &plan->chords, &plan->n_chords, err);
    else
        status = arrange_chords(plan, &key, model_dir, err);
    if (status == BL_OK)
        plan->has |= INFER_HAS_CHORDS;
    infer_plan_round(plan);
    return status;
}
