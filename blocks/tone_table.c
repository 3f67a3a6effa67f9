#include "blocks/tone_table.h"

#include "base/file.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/rng.h"
#include "blocks/tone_augment.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double together_s = 0.02;
enum { HELD_OUT_SHARE = 5 };

static bl_status no_memory(bl_error *err)
{
    return bl_fail(err, BL_ENOMEM, "no memory for the table of tones");
}

void blocks_tone_table_free(blocks_tone_table *t)
{
    free(t->features);
    free(t->tone);
    free(t->instrument);
    free(t->pitch);
    free(t->recording);
    free(t->source);
    free(t->copy);
    free(t->source_name);
    free(t->held_out);
    free(t->measured);
    memset(t, 0, sizeof *t);
}

static int is_loose_note(const data_song *song)
{
    return (song->layout == DATA_LOOSE || song->layout == DATA_GENRES) && song->n_stems == 1 && song->duration_s < 20;
}

/* What makes tones one recording, as a number. */
static uint64_t recording_key(const data_dataset *d, const data_tone *tone)
{
    const data_song *song = &d->songs[tone->song];
    uint64_t key = bl_hash(0, "", 1);
    char word[64];
    size_t n = 0;
    if (!is_loose_note(song))
        return bl_hash(key, song->group, strlen(song->group));
    for (const char *p = bl_path_name(song->name); isalpha((unsigned char)*p) && n < sizeof word - 1; p++)
        word[n++] = (char)tolower((unsigned char)*p);
    key = bl_hash(key, word, n);
    return bl_hash(key, &tone->instrument, sizeof tone->instrument);
}

/* 1 when an earlier tone of the stem begins at the same time; tones are in order of song, stem, onset. */
static int sounds_with_earlier(const data_tones *tones, int64_t i, const unsigned char *kept)
{
    const data_tone *a = &tones->tones[i];
    for (int64_t j = i - 1; j >= 0; j--) {
        const data_tone *b = &tones->tones[j];
        if (b->song != a->song || b->stem != a->stem || a->onset_s - b->onset_s > together_s)
            return 0;
        if (kept[j])
            return 1;
    }
    return 0;
}

typedef struct entry {
    uint64_t key;
    int64_t  tone;
    uint64_t order;
    int64_t  rank;  /* within its recording and instrument */
} entry;

static int by_recording(const void *pa, const void *pb)
{
    const entry *a = pa, *b = pb;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    if (a->order != b->order)
        return a->order < b->order ? -1 : 1;
    return (a->tone > b->tone) - (a->tone < b->tone);
}

static int by_rank(const void *pa, const void *pb)
{
    const entry *a = pa, *b = pb;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->order != b->order)
        return a->order < b->order ? -1 : 1;
    return (a->tone > b->tone) - (a->tone < b->tone);
}

/* Unmarks tones of one instrument beyond `most`: every recording gives its first, then its second ... in random order. */
static void thin_out(const data_dataset *d, const data_tones *tones, int instrument, int most, const bl_rng *rng,
                     entry *list, unsigned char *kept)
{
    int64_t n = 0;
    for (int64_t i = 0; i < tones->n; i++)
        if (kept[i] && tones->tones[i].instrument == instrument) {
            bl_rng own = bl_rng_fork(rng, (uint64_t)i);
            list[n++] = (entry){ recording_key(d, &tones->tones[i]), i, bl_rng_next(&own), 0 };
        }
    if (n <= most)
        return;
    qsort(list, (size_t)n, sizeof *list, by_recording);
    for (int64_t i = 1; i < n; i++)
        list[i].rank = list[i].key == list[i - 1].key ? list[i - 1].rank + 1 : 0;
    qsort(list, (size_t)n, sizeof *list, by_rank);
    for (int64_t i = most; i < n; i++)
        kept[list[i].tone] = 0;
}

/* Loose notes: of every instrument each fifth recording, in the order of their keys' hashes; at least one of two. */
static void hold_out_loose(blocks_tone_table *t, const data_dataset *d, const data_tones *tones, entry *list)
{
    for (int instrument = 0; instrument < data_instrument_count(); instrument++) {
        int64_t n = 0, n_keys = 0;
        for (int64_t i = 0; i < t->n; i++)
            if (t->instrument[i] == instrument && is_loose_note(&d->songs[tones->tones[t->tone[i]].song]))
                list[n++] = (entry){ recording_key(d, &tones->tones[t->tone[i]]), i, 0, 0 };
        qsort(list, (size_t)n, sizeof *list, by_recording);
        for (int64_t i = 0; i < n; i++)
            n_keys += i == 0 || list[i].key != list[i - 1].key;
        const int64_t n_held = n_keys < 2 ? 0 : n_keys < HELD_OUT_SHARE ? 1 : n_keys / HELD_OUT_SHARE;
        for (int64_t i = 0, key = -1; i < n; i++) {
            key += i == 0 || list[i].key != list[i - 1].key;
            t->held_out[list[i].tone] = key < n_held;
        }
    }
}

static uint64_t fingerprint_of(const blocks_tone_table *t, const data_tones *tones)
{
    uint64_t hash = bl_hash(0, &tones->sample_rate, sizeof tones->sample_rate);
    for (int64_t i = 0; i < t->n; i++) {
        const data_tone *tone = &tones->tones[t->tone[i]];
        const int numbers[] = { tone->instrument, tone->pitch, t->recording[i], t->held_out[i], t->copy[i] };
        hash = bl_hash(hash, numbers, sizeof numbers);
        /* A thousand samples tell two tones apart; all of them would take longer than measuring. */
        const int64_t n = tone->n_samples < 1000 ? tone->n_samples : 1000;
        hash = bl_hash(hash, tone->samples, (size_t)n * sizeof *tone->samples);
        hash = bl_hash(hash, &tone->n_samples, sizeof tone->n_samples);
    }
    return hash;
}

/* Recordings are numbered in the order in which they appear. */
static void number_recordings(blocks_tone_table *t, const data_dataset *d, const data_tones *tones, entry *list)
{
    int next = 0;
    for (int64_t i = 0; i < t->n; i++)
        list[i] = (entry){ recording_key(d, &tones->tones[t->tone[i]]), i, 0, 0 };
    qsort(list, (size_t)t->n, sizeof *list, by_recording);
    for (int64_t i = 0; i < t->n; i++) {
        next += i > 0 && list[i].key != list[i - 1].key;
        t->recording[list[i].tone] = next;
    }
}

/* Sources are numbered in the order in which they appear; songs are sorted by name. */
static int number_sources(blocks_tone_table *t, const data_dataset *d, const data_tones *tones)
{
    t->source_name = calloc((size_t)(d->n_songs ? d->n_songs : 1), sizeof *t->source_name);
    if (!t->source_name)
        return 0;
    for (int64_t i = 0; i < t->n; i++) {
        const char *name = d->songs[tones->tones[t->tone[i]].song].name;
        char folder[sizeof *t->source_name];
        int s = 0;
        snprintf(folder, sizeof folder, "%.*s", strchr(name, '/') ? (int)(strchr(name, '/') - name) : 0, name);
        while (s < t->n_sources && strcmp(t->source_name[s], folder) != 0)
            s++;
        if (s == t->n_sources)
            memcpy(t->source_name[t->n_sources++], folder, sizeof folder);
        t->source[i] = s;
    }
    return 1;
}

static int table_alloc(blocks_tone_table *t, int64_t n)
{
    const size_t m = (size_t)(n ? n : 1);
    t->features = calloc(m * BLOCKS_TONE_FEATURES, sizeof *t->features);
    t->tone = calloc(m, sizeof *t->tone);
    t->instrument = calloc(m, sizeof *t->instrument);
    t->pitch = calloc(m, sizeof *t->pitch);
    t->recording = calloc(m, sizeof *t->recording);
    t->source = calloc(m, sizeof *t->source);
    t->copy = calloc(m, sizeof *t->copy);
    t->held_out = calloc(m, sizeof *t->held_out);
    t->measured = calloc(m, sizeof *t->measured);
    return t->features && t->tone && t->instrument && t->pitch && t->recording && t->source && t->copy && t->held_out && t->measured;
}

bl_status blocks_tone_table_new(blocks_tone_table *t, const data_dataset *d, const data_tones *tones,
                                int max_per_instrument, int copies, uint64_t seed, bl_error *err)
{
    const size_t m = (size_t)(tones->n ? tones->n : 1);
    unsigned char *kept = calloc(m, 1);
    entry *list = malloc(m * sizeof *list);
    bl_status status = BL_OK;
    int64_t n = 0;
    bl_rng rng;

    memset(t, 0, sizeof *t);
    if (!kept || !list) {
        status = no_memory(err);
        goto done;
    }
    bl_rng_seed(&rng, seed);
    for (int64_t i = 0; i < tones->n; i++)
        kept[i] = tones->tones[i].instrument >= 0 && !sounds_with_earlier(tones, i, kept);
    for (int instrument = 0; instrument < data_instrument_count(); instrument++)
        thin_out(d, tones, instrument, max_per_instrument, &rng, list, kept);
    for (int64_t i = 0; i < tones->n; i++)
        n += kept[i];
    if (n == 0) {
        status = bl_fail(err, BL_EFORMAT, "%s: no tone with a known instrument", d->path);
        goto done;
    }
    if (!table_alloc(t, n * (copies + 1))) {
        status = no_memory(err);
        goto done;
    }
    for (int64_t i = 0; i < tones->n; i++) {
        for (int c = 0; kept[i] && c <= copies; c++) {
            t->tone[t->n] = i;
            t->copy[t->n] = (unsigned char)c;
            t->instrument[t->n] = tones->tones[i].instrument;
            t->pitch[t->n] = tones->tones[i].pitch;
            t->held_out[t->n] = tones->tones[i].split == DATA_VALIDATION;
            t->n++;
        }
    }
    free(list);
    list = malloc((size_t)t->n * sizeof *list);
    if (!list || !number_sources(t, d, tones)) {
        status = no_memory(err);
        goto done;
    }
    number_recordings(t, d, tones, list);
    hold_out_loose(t, d, tones, list);
    t->fingerprint = fingerprint_of(t, tones);
done:
    free(kept);
    free(list);
    if (status != BL_OK)
        blocks_tone_table_free(t);
    return status;
}

static void drop_unmeasurable(blocks_tone_table *t)
{
    int64_t n = 0;
    for (int64_t i = 0; i < t->n; i++) {
        if (t->measured[i] != 1)
            continue;
        memmove(t->features + n * BLOCKS_TONE_FEATURES, t->features + i * BLOCKS_TONE_FEATURES,
                BLOCKS_TONE_FEATURES * sizeof *t->features);
        t->tone[n] = t->tone[i];
        t->instrument[n] = t->instrument[i];
        t->pitch[n] = t->pitch[i];
        t->recording[n] = t->recording[i];
        t->source[n] = t->source[i];
        t->copy[n] = t->copy[i];
        t->held_out[n] = t->held_out[i];
        t->measured[n++] = 1;
    }
    t->n = n;
}

bl_status blocks_tone_table_measure(blocks_tone_table *t, const data_tones *tones, int quiet, bl_error *err)
{
    int64_t done = 0, next = 0, first;
    int failed = 0, stop = 0;
    bl_progress progress;
    bl_rng seed;

    bl_rng_seed(&seed, 1);
    for (int64_t i = 0; i < t->n; i++)
        done += t->measured[i] != 0;
    first = done;
    bl_progress_start(&progress, "measuring", "tones", t->n, quiet);
    progress.first = first;
    #pragma omp parallel
    {
        blocks_tone_analyser *a = blocks_tone_analyser_new(NULL);
        blocks_tone_augmenter *g = blocks_tone_augmenter_new(NULL);
        float *varied = malloc(BLOCKS_TONE_AUGMENT_MAX * sizeof *varied);
        if (!a || !g || !varied) {
            #pragma omp atomic write
            failed = 1;
        }
        for (int64_t i; (i = bl_take(&next)) < t->n;) {
            const data_tone *tone = &tones->tones[t->tone[i]];
            int leave;
            #pragma omp atomic read
            leave = stop;
            if (!a || !g || !varied || leave || t->measured[i])
                continue;
            bl_error own = { 0 };
            const float *x = tone->samples;
            int64_t n = tone->n_samples;
            if (t->copy[i]) {
                const bl_rng rng = bl_rng_fork(&seed, (uint64_t)t->tone[i]);
                bl_rng draw = bl_rng_fork(&rng, t->copy[i]);
                n = blocks_tone_augmenter_run(g, tone->samples, tone->n_samples, tones->sample_rate, &draw, varied);
                x = varied;
            }
            const bl_status status = blocks_tone_analyser_run(a, x, n, tones->sample_rate,
                                                              t->features + i * BLOCKS_TONE_FEATURES, &own);
            t->measured[i] = status == BL_OK ? 1 : 2;
            #pragma omp critical(blocks_tone_table_progress)
            {
                failed |= status == BL_ENOMEM;
                stop |= bl_interrupted() || status == BL_ENOMEM;
                bl_progress_step(&progress, ++done, "");
            }
        }
        blocks_tone_analyser_free(a);
        blocks_tone_augmenter_free(g);
        free(varied);
    }
    bl_progress_end(&progress);
    if (failed)
        return bl_fail(err, BL_ENOMEM, "no memory to analyse tones");
    if (stop && done < t->n)
        return bl_fail(err, BL_ESTOP, "interrupted while measuring tones");
    drop_unmeasurable(t);
    return t->n ? BL_OK : bl_fail(err, BL_EFORMAT, "not one tone could be measured: all are silent or too short");
}
