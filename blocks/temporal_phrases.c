/* Phrases put together tone by tone, beside the recordings they imitate: see blocks/temporal_train.h. */
#include "blocks/temporal_train.h"

#include "audio/resample.h"
#include "audio/stft.h"
#include "base/progress.h"
#include "data/instruments.h"
#include "data/tones.h"
#include "music/midi.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double EXCERPT_S = 30, HELD_OUT_S = 12, TRANSITION_S = 0.06, SILENT_MEAN_SQUARE = 1e-8;
enum { MOST_HELD_OUT = 24, FARTHEST_SHIFT = 7 };

static int is_playable(int instrument)
{
    return instrument >= 0 && data_instrument_at(instrument)->family != DATA_VOICES;
}

int blocks_temporal_list_instruments(const data_dataset *d, const char **names, int most)
{
    int n = 0;
    for (int id = 0; id < data_instrument_count(); id++) {
        int used = 0;
        for (int i = 0; i < d->n_songs && !used; i++)
            for (int k = 0; k < d->songs[i].n_stems && !used; k++)
                used = d->songs[i].stems[k].instrument == id && is_playable(id);
        if (used && n < most)
            names[n++] = data_instrument_name(id);
    }
    return n;
}

void blocks_phrases_free(blocks_phrases *p)
{
    for (int i = 0; i < p->n; i++) {
        free(p->phrases[i].degraded);
        free(p->phrases[i].target);
        free(p->phrases[i].weight);
        free(p->phrases[i].degraded_wave);
        free(p->phrases[i].target_wave);
    }
    free(p->phrases);
    memset(p, 0, sizeof *p);
}

/* ---- a pair of waves to a pair of bands ---- */

static bl_status bands_of(const blocks_temporal *t, const float *x, int64_t n, float **bands, int64_t *T, bl_error *err)
{
    audio_stft *stft = audio_stft_new(&(audio_stft_config){ t->n_fft, t->hop_length, t->n_fft, AUDIO_PAD_ZERO }, err);
    const int64_t F = t->n_fft / 2 + 1;
    float *column = malloc(2 * (size_t)F * sizeof *column), *magnitude = NULL;
    bl_status status = stft && column ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for a spectrogram");

    *bands = NULL;
    if (status == BL_OK) {
        *T = audio_stft_frames(stft, n);
        magnitude = malloc((size_t)F * (size_t)*T * sizeof *magnitude);
        *bands = malloc((size_t)t->n_bands * (size_t)*T * sizeof **bands);
        status = magnitude && *bands ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for a spectrogram");
    }
    for (int64_t j = 0; status == BL_OK && j < *T; j++) {
        audio_stft_frame(stft, x, n, j, column);
        for (int64_t f = 0; f < F; f++)
            magnitude[f * *T + j] = hypotf(column[2 * f], column[2 * f + 1]);
    }
    if (status == BL_OK)
        status = blocks_temporal_bands(t, magnitude, F, *T, t->sample_rate, *bands, err);
    if (status != BL_OK) {
        free(*bands);
        *bands = NULL;
    }
    audio_stft_free(stft);
    free(column);
    free(magnitude);
    return status;
}

/* By how much the target is louder than the phrase, in logs, over what sounds in both. */
static double level_difference(const blocks_temporal *t, const float *degraded, const float *target, int64_t T)
{
    const double sounding = log(BLOCKS_TEMPORAL_FLOOR) + 1.4; /* 12 dB above silence */
    double sum = 0, n = 0;
    for (int64_t i = 0; i < t->n_bands * T; i++)
        if ((double)degraded[i] > sounding && (double)target[i] > sounding) {
            sum += (double)target[i] - (double)degraded[i];
            n++;
        }
    return n > 0 ? sum / n : 0;
}

static float *copy_scaled(const float *x, int64_t n, double gain)
{
    float *out = malloc((size_t)n * sizeof *out);
    for (int64_t i = 0; out && i < n; i++)
        out[i] = (float)gain * x[i];
    return out;
}

static bl_status grow(blocks_phrases *p, bl_error *err)
{
    if (p->n < p->capacity)
        return BL_OK;
    const int capacity = p->capacity ? 2 * p->capacity : 64;
    blocks_phrase *more = realloc(p->phrases, (size_t)capacity * sizeof *more);
    if (!more)
        return bl_fail(err, BL_ENOMEM, "no memory for %d phrases", capacity);
    p->phrases = more;
    p->capacity = capacity;
    return BL_OK;
}

bl_status blocks_phrases_add(const blocks_temporal *t, blocks_phrases *p, const float *degraded, const float *target,
                             int64_t n_samples, const double *transitions_s, int64_t n, const char *instrument, int held_out,
                             bl_error *err)
{
    const double frames_per_s = (double)t->sample_rate / t->hop_length, floor = BLOCKS_TEMPORAL_FLOOR * BLOCKS_TEMPORAL_FLOOR;
    blocks_phrase q = { .held_out = held_out, .n_samples = n_samples, .instrument = blocks_temporal_instrument(t, instrument) };
    bl_status status = grow(p, err);

    if (status == BL_OK)
        status = bands_of(t, degraded, n_samples, &q.degraded, &q.n_frames, err);
    if (status == BL_OK)
        status = bands_of(t, target, n_samples, &q.target, &q.n_frames, err);
    if (status == BL_OK && !(q.weight = calloc((size_t)q.n_frames, sizeof *q.weight)))
        status = bl_fail(err, BL_ENOMEM, "no memory for a phrase");
    if (status == BL_OK) {
        const double gain = level_difference(t, q.degraded, q.target, q.n_frames);
        q.level = blocks_temporal_level(t, q.degraded, q.n_frames);
        for (int64_t i = 0; i < t->n_bands * q.n_frames; i++) { /* the floor stays where it is */
            const double power = fmax(0, exp(2 * (double)q.target[i]) - floor) * exp(-2 * gain);
            q.target[i] = (float)(0.5 * log(power + floor));
        }
        for (int64_t i = 0; i < n; i++) {
            const int64_t from = (int64_t)ceil((transitions_s[i] - TRANSITION_S) * frames_per_s);
            const int64_t to = (int64_t)((transitions_s[i] + TRANSITION_S) * frames_per_s);
            for (int64_t j = from > 0 ? from : 0; j <= to && j < q.n_frames; j++)
                q.weight[j] = 1;
        }
        if (held_out) {
            q.degraded_wave = copy_scaled(degraded, n_samples, 1);
            q.target_wave = copy_scaled(target, n_samples, exp(-gain));
            if (!q.degraded_wave || !q.target_wave)
                status = bl_fail(err, BL_ENOMEM, "no memory for a phrase");
        }
    }
    p->phrases[p->n++] = q; /* also on failure: released with the others */
    return status;
}

/* ---- playing a stem again ---- */

typedef struct note_list {
    music_note *notes;
    int        *program; /* of each */
    int         n, capacity;
} note_list;

typedef struct player {
    const blocks_temporal *t;
    data_dataset       *dataset;
    data_tones          tones;      /* at t->sample_rate; of `generated` unused      */
    blocks_synthesizer *synthesizer;
    blocks_phrases     *phrases;
    note_list           notes;
    double             *transitions; /* [2 notes.n]                                   */
    int                 transitions_capacity;
    int64_t             room;       /* samples that may still be kept for training   */
    int                 n_held_out;
    bl_rng              rng;
} player;

static bl_status push_note(note_list *l, const music_note *note, int program, bl_error *err)
{
    if (l->n == l->capacity) {
        const int capacity = l->capacity ? 2 * l->capacity : 256;
        music_note *notes = realloc(l->notes, (size_t)capacity * sizeof *notes);
        l->notes = notes ? notes : l->notes;
        int *programs = realloc(l->program, (size_t)capacity * sizeof *programs);
        l->program = programs ? programs : l->program;
        if (!notes || !programs)
            return bl_fail(err, BL_ENOMEM, "no memory for %d notes", capacity);
        l->capacity = capacity;
    }
    l->program[l->n] = program;
    l->notes[l->n++] = *note;
    return BL_OK;
}

/* From the MIDI file beside the stem, else from the tones that were detected in it. */
static bl_status notes_of(player *p, int song, int stem, bl_error *err)
{
    const data_stem *s = &p->dataset->songs[song].stems[stem];
    bl_status status = BL_OK;
    p->notes.n = 0;
    if (s->midi_path) {
        music_score score = { 0 };
        bl_error local = { 0 };
        if (music_midi_read(s->midi_path, &score, &local) != BL_OK) {
            data_dataset_skip(p->dataset, s->midi_path, local.msg);
            return BL_OK;
        }
        for (int k = 0; k < score.n_tracks; k++)
            for (int i = 0; status == BL_OK && i < score.tracks[k].n_notes; i++)
                status = push_note(&p->notes, &score.tracks[k].notes[i], score.tracks[k].program, err);
        music_score_free(&score);
        return status;
    }
    for (int64_t i = 0; status == BL_OK && i < p->tones.n; i++) {
        const data_tone *d = &p->tones.tones[i];
        if (d->song == song && d->stem == stem)
            status = push_note(&p->notes, &(music_note){ d->onset_s, d->onset_s + d->duration_s, d->pitch, d->velocity },
                               d->program, err);
    }
    return status;
}

/* The recorded tone that is most like a note of this stem; -1: none is near enough. */
static int64_t choose_tone(const player *p, int song, int stem, const music_note *note, int program)
{
    const int instrument = p->dataset->songs[song].stems[stem].instrument, pitched = data_instrument_at(instrument)->is_pitched;
    int64_t best = -1;
    double least = HUGE_VAL;
    for (int64_t i = 0; i < p->tones.n; i++) {
        const data_tone *d = &p->tones.tones[i];
        const int shift = abs(d->pitch - note->pitch);
        if (d->instrument != instrument || shift > (pitched ? FARTHEST_SHIFT : 0))
            continue;
        if (d->song == song && d->stem == stem && fabs(d->onset_s - note->onset_s) < 0.05)
            continue; /* itself */
        const double length = fmin(2, note->offset_s - note->onset_s);
        const double cost = shift + fabs(d->velocity - (double)note->velocity) / 16 + (d->duration_s < length ? 4 : 0) +
                            (d->program != program && program >= 0 && d->program >= 0 ? 8 : 0) + (d->song == song ? 16 : 0);
        if (cost < least) {
            least = cost;
            best = i;
        }
    }
    return best;
}

/* Adds x [n], read at `speed`, at sample `at` of out: faded over 1 ms in, over release_s after note-off out. */
static void add_tone(const float *x, int64_t n, double speed, double gain, int64_t at, int64_t duration, double release_s,
                     int sample_rate, float *out, int64_t n_out)
{
    const double release = fmax(1, release_s * sample_rate), attack = 0.001 * sample_rate;
    for (int64_t i = 0; at + i < n_out; i++) {
        const double place = (double)i * speed;
        const int64_t k = (int64_t)place;
        double fade = i > duration ? 1 - (double)(i - duration) / release : 1;
        if (k + 1 >= n || fade <= 0)
            break;
        fade = (double)i < attack ? (double)i / attack : fade;
        if (at + i >= 0)
            out[at + i] += (float)(gain * fade * ((double)x[k] + (place - (double)k) * ((double)x[k + 1] - (double)x[k])));
    }
}

static bl_status add_generated(player *p, int song, int stem, const music_note *note, int program, int64_t at, int64_t duration,
                               double release_s, float *out, int64_t n_out, bl_error *err)
{
    const data_song *s = &p->dataset->songs[song];
    const int genre = s->genre >= 0 ? blocks_synthesizer_genre(p->synthesizer, p->dataset->genres[s->genre]) : -1;
    const int voice = blocks_synthesizer_voice(p->synthesizer, data_instrument_name(s->stems[stem].instrument), genre, program);
    float *x = NULL;
    int64_t n = 0;
    if (voice < 0) {
        p->phrases->n_missing++;
        return BL_OK;
    }
    const blocks_tone tone = { .voice = voice, .genre = genre, .pitch = note->pitch, .velocity = note->velocity,
                               .duration_s = note->offset_s - note->onset_s, .beat_position = -1, .seed = bl_rng_next(&p->rng) };
    if (blocks_synthesizer_run(p->synthesizer, &tone, &x, &n, err) != BL_OK)
        return err->code;
    add_tone(x, n, (double)p->synthesizer->sample_rate / p->t->sample_rate, 1, at, duration, release_s, p->t->sample_rate, out,
             n_out);
    free(x);
    p->phrases->n_notes++;
    return BL_OK;
}

/* The notes between start_s and start_s + n_out samples, played into out; their transitions into p->transitions. */
static bl_status play(player *p, int song, int stem, double start_s, float *out, int64_t n_out, int64_t *n_transitions,
                      bl_error *err)
{
    static const double SHORTEST_RELEASE_S = 0.005, LONGEST_RELEASE_S = 0.25;
    const int rate = p->t->sample_rate;
    /* one way of cutting tones per phrase: hard, or with some release */
    const double release_s = SHORTEST_RELEASE_S * pow(LONGEST_RELEASE_S / SHORTEST_RELEASE_S, bl_rng_uniform(&p->rng));
    bl_status status = BL_OK;

    *n_transitions = 0;
    memset(out, 0, (size_t)n_out * sizeof *out);
    for (int i = 0; status == BL_OK && i < p->notes.n; i++) {
        const music_note *note = &p->notes.notes[i];
        const int64_t at = llround((note->onset_s - start_s) * rate), duration = llround((note->offset_s - note->onset_s) * rate);
        if (at >= n_out || at + duration + (int64_t)(LONGEST_RELEASE_S * rate) < 0)
            continue;
        p->transitions[(*n_transitions)++] = note->onset_s - start_s;
        p->transitions[(*n_transitions)++] = note->offset_s - start_s;
        if (p->synthesizer) {
            status = add_generated(p, song, stem, note, p->notes.program[i], at, duration, release_s, out, n_out, err);
            continue;
        }
        const int64_t k = choose_tone(p, song, stem, note, p->notes.program[i]);
        if (k < 0) {
            p->phrases->n_missing++;
            continue;
        }
        const data_tone *d = &p->tones.tones[k];
        const double loudness = (double)note->velocity / (d->velocity > 0 ? d->velocity : 1);
        add_tone(d->samples, d->n_samples, exp2((note->pitch - d->pitch) / 12.0), loudness * loudness, at, duration, release_s,
                 rate, out, n_out);
        p->phrases->n_notes++;
    }
    return status;
}

static int is_silent(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum <= SILENT_MEAN_SQUARE * (double)n;
}

static bl_status add_stem(player *p, int song, int stem, bl_error *err)
{
    const data_song *s = &p->dataset->songs[song];
    const int held_out = s->split == DATA_VALIDATION, rate = p->t->sample_rate;
    bl_error local = { 0 };
    bl_status status = BL_OK;

    if (!is_playable(s->stems[stem].instrument) || (held_out ? p->n_held_out >= MOST_HELD_OUT : p->room <= 0))
        return BL_OK;
    if ((status = notes_of(p, song, stem, err)) != BL_OK || p->notes.n < 4)
        return status;
    if (2 * p->notes.n > p->transitions_capacity) {
        double *more = realloc(p->transitions, 2 * (size_t)p->notes.n * sizeof *more);
        if (!more)
            return bl_fail(err, BL_ENOMEM, "no memory for %d notes", p->notes.n);
        p->transitions = more;
        p->transitions_capacity = 2 * p->notes.n;
    }
    const audio_clip *clip = data_dataset_audio(p->dataset, s->stems[stem].path, rate, &local);
    if (!clip)
        return local.code == BL_ENOMEM ? bl_fail(err, BL_ENOMEM, "%s", local.msg) : BL_OK;
    const int64_t longest = (int64_t)((held_out ? HELD_OUT_S : EXCERPT_S) * rate);
    const int64_t n = clip->n_samples < longest ? clip->n_samples : longest;
    const int64_t start = clip->n_samples > n ? bl_rng_below(&p->rng, clip->n_samples - n + 1) : 0;
    int64_t n_transitions = 0;
    float *played = malloc((size_t)n * sizeof *played);
    if (!played)
        return bl_fail(err, BL_ENOMEM, "no memory for a phrase");
    status = play(p, song, stem, (double)start / rate, played, n, &n_transitions, err);
    if (status == BL_OK && n >= p->t->n_fft && !is_silent(played, n) && !is_silent(clip->samples + start, n)) {
        status = blocks_phrases_add(p->t, p->phrases, played, clip->samples + start, n, p->transitions, n_transitions,
                                    data_instrument_name(s->stems[stem].instrument), held_out, err);
        p->n_held_out += held_out;
        p->room -= held_out ? 0 : n;
    }
    free(played);
    return status;
}

static bl_status collect_tones(player *p, int64_t per_instrument, uint64_t seed, int quiet, bl_error *err)
{
    const data_tones_options options = {
        .sample_rate = p->t->sample_rate, .max_seconds = 3, .release_s = 0.2, .max_memory_mb = 1500,
        .max_tones_per_instrument = (int)per_instrument, .quiet = quiet, .seed = seed,
    };
    if (!quiet)
        fprintf(stderr, "cutting the tones that phrases are put together from\n");
    return data_tones_collect(p->dataset, &options, &p->tones, err);
}

static bl_status collect(player *p, int quiet, bl_error *err)
{
    data_dataset *d = p->dataset;
    int64_t *order = malloc((size_t)d->n_songs * sizeof *order);
    bl_status status = order ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for %d songs", d->n_songs);
    bl_progress progress;
    int with_mixture = 0;

    for (int i = 0; status == BL_OK && i < d->n_songs; i++) {
        order[i] = i;
        with_mixture |= d->songs[i].mixture || d->songs[i].n_stems > 1;
    }
    if (status == BL_OK)
        bl_rng_shuffle(&p->rng, order, d->n_songs);
    bl_progress_start(&progress, "playing phrases", "songs", d->n_songs, quiet);
    for (int i = 0; status == BL_OK && i < d->n_songs && !bl_interrupted(); i++) {
        const data_song *s = &d->songs[order[i]];
        /* recordings of single notes are where the tones come from, no phrases */
        for (int k = 0; status == BL_OK && k < s->n_stems && (s->mixture || s->n_stems > 1 || !with_mixture); k++)
            status = add_stem(p, (int)order[i], k, err);
        bl_progress_step(&progress, i + 1, "");
    }
    bl_progress_end(&progress);
    free(order);
    if (status == BL_OK && bl_interrupted())
        status = bl_fail(err, BL_ESTOP, "interrupted while the dataset was read; nothing was written");
    if (status == BL_OK && p->phrases->n == 0)
        status = bl_fail(err, BL_EFORMAT, "%s: no phrase could be made: it has no stem of a known instrument with notes", d->path);
    return status;
}

bl_status blocks_phrases_collect(const blocks_temporal *t, data_dataset *dataset, blocks_synthesizer *synthesizer, uint64_t seed,
                                 int quiet, blocks_phrases *phrases, bl_error *err)
{
    const double minutes = bl_config_real(t->config, "temporal", "max_minutes", 60, 0.01, 1e6, err);
    const int64_t tones = bl_config_int(t->config, "temporal", "tones_per_instrument", 300, 1, 1000000, err);
    player p = { .t = t, .dataset = dataset, .synthesizer = synthesizer, .phrases = phrases,
                 .room = (int64_t)(minutes * 60 * t->sample_rate) };
    bl_status status = err->code;

    memset(phrases, 0, sizeof *phrases);
    bl_rng_seed(&p.rng, seed ^ 0x70687261u);
    if (status == BL_OK && !synthesizer)
        status = collect_tones(&p, tones, seed, quiet, err);
    if (status == BL_OK)
        status = collect(&p, quiet, err);
    data_tones_free(&p.tones);
    free(p.notes.notes);
    free(p.notes.program);
    free(p.transitions);
    if (status != BL_OK)
        blocks_phrases_free(phrases);
    return status;
}
