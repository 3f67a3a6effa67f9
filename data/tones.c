#include "data/tones.h"

#include "base/progress.h"
#include "base/rng.h"
#include "data/instruments.h"
#include "data/tones_private.h"
#include "music/midi.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double HIT_APART_S = 0.03;     /* hits nearer than this sound together       */
static const double HIT_MIN_S = 0.1;        /* a hit shorter than this tells nothing      */
static const double LEVEL_WINDOW_S = 0.05;
static const double FADE_IN_S = 0.0005, FADE_OUT_S = 0.008;
static const double NSYNTH_HELD_S = 3;      /* NSynth's notes are held for 3 of 4 seconds */
static const double PREFETCH_BYTES = 1e8;   /* well within the cache's default of 256 MB  */
enum { REFERENCE_VELOCITY = 100 };

data_tones_options data_tones_defaults(const data_tones_options *options)
{
    data_tones_options o = options ? *options : (data_tones_options){ 0 };
    o.sample_rate = o.sample_rate == 0 ? 16000 : o.sample_rate;
    o.max_seconds = o.max_seconds == 0 ? 2 : o.max_seconds;
    o.min_seconds = o.min_seconds == 0 ? 0.04 : o.min_seconds;
    o.release_s = o.release_s == 0 ? 0.3 : o.release_s < 0 ? 0 : o.release_s;
    o.max_overlap_s = o.max_overlap_s == 0 ? 0.03 : o.max_overlap_s < 0 ? HUGE_VAL : o.max_overlap_s;
    o.min_level_db = o.min_level_db == 0 ? -55 : o.min_level_db;
    o.max_tones_per_instrument = o.max_tones_per_instrument == 0 ? 4000 : o.max_tones_per_instrument;
    o.max_memory_mb = o.max_memory_mb == 0 ? 1024 : o.max_memory_mb;
    return o;
}

static bl_status check_options(const data_tones_options *o, bl_error *err)
{
    if (o->sample_rate < 4000 || o->sample_rate > 192000)
        return bl_fail(err, BL_EARG, "tones: sample_rate expected within 4000..192000 Hz, got %d", o->sample_rate);
    if (!(o->max_seconds >= 0.02 && o->max_seconds <= 60))
        return bl_fail(err, BL_EARG, "tones: max_seconds expected within 0.02..60, got %g", o->max_seconds);
    if (!(o->min_seconds > 0 && o->min_seconds <= o->max_seconds))
        return bl_fail(err, BL_EARG, "tones: min_seconds expected above 0 and at most max_seconds, got %g", o->min_seconds);
    if (!(o->lead_s >= 0 && o->lead_s <= 1) || !(o->release_s <= 10) || !(o->min_gap_s >= 0))
        return bl_fail(err, BL_EARG, "tones: expected lead_s within 0..1, release_s at most 10, min_gap_s not negative; got %g, %g, %g",
                       o->lead_s, o->release_s, o->min_gap_s);
    if (o->max_tones_per_instrument < 1 || o->max_memory_mb < 1)
        return bl_fail(err, BL_EARG, "tones: expected max_tones_per_instrument and max_memory_mb of at least 1, got %d and %d",
                       o->max_tones_per_instrument, o->max_memory_mb);
    return BL_OK;
}

/* ---- cutting ---- */

bl_status data_cut_tone(const float *x, int64_t n_samples, int sample_rate, const data_piece *piece,
                        const data_tones_options *o, data_tone *tone, bl_error *err)
{
    const double start_s = piece->onset_s - o->lead_s > 0 ? piece->onset_s - o->lead_s : 0;
    double end_s = piece->end_s + o->release_s;
    end_s = end_s < piece->limit_s ? end_s : piece->limit_s;
    end_s = end_s < start_s + o->max_seconds ? end_s : start_s + o->max_seconds;
    const int64_t first = llround(start_s * sample_rate);
    int64_t last = llround(end_s * sample_rate);
    last = last < n_samples ? last : n_samples;
    tone->samples = NULL;
    tone->n_samples = last - first;
    if (tone->n_samples < 1)
        return BL_OK;

    double peak = 0, power = 0, loudest = 0;
    const int64_t window = (int64_t)(LEVEL_WINDOW_S * sample_rate);
    for (int64_t i = first; i < last; i++) {
        const double v = (double)x[i], old = i - first >= window ? (double)x[i - window] : 0;
        peak = fabs(v) > peak ? fabs(v) : peak;
        power += v * v - old * old;
        loudest = power > loudest ? power : loudest;
    }
    if (peak <= 0 || 20 * log10(peak) < o->min_level_db)
        return BL_OK;
    tone->level_db = 10 * log10(loudest / (double)(tone->n_samples < window ? tone->n_samples : window) + 1e-20);
    float *out = malloc((size_t)tone->n_samples * sizeof *out);
    if (!out)
        return bl_fail(err, BL_ENOMEM, "no memory for a tone of %.1f s", (double)tone->n_samples / sample_rate);
    memcpy(out, x + first, (size_t)tone->n_samples * sizeof *out);
    int64_t in = (int64_t)(FADE_IN_S * sample_rate), off = (int64_t)(FADE_OUT_S * sample_rate);
    in = first == 0 ? 0 : in < tone->n_samples / 2 ? in : tone->n_samples / 2;
    off = off < tone->n_samples / 2 ? off : tone->n_samples / 2;
    for (int64_t i = 0; i < in; i++)
        out[i] *= ((float)i + 0.5f) / (float)in;
    for (int64_t i = 0; i < off; i++)
        out[tone->n_samples - 1 - i] *= ((float)i + 0.5f) / (float)off;
    tone->samples = out;
    return BL_OK;
}

/* ---- keeping ---- */

typedef struct collector {
    data_dataset      *dataset;
    data_tones_options o;
    data_tones        *tones;
    bl_rng             rng;
    int64_t           *seen;      /* [instruments + 1] tones offered; the last is "unknown"        */
    int64_t          **slots;     /* [instruments + 1] indices of the tones kept                   */
    int64_t            bytes;
    char              *midi_path; /* of the score below; a song's stems often share one            */
    music_score        score;
    int                midi_bad;
    int                program;   /* of the notes last read                                          */
} collector;

static bl_status append(data_tones *t, const data_tone *tone, bl_error *err)
{
    if (t->n == t->capacity) {
        const int64_t capacity = t->capacity ? 2 * t->capacity : 256;
        data_tone *tones = realloc(t->tones, (size_t)capacity * sizeof *tones);
        if (!tones)
            return bl_fail(err, BL_ENOMEM, "no memory for %lld tones", (long long)capacity);
        t->tones = tones;
        t->capacity = capacity;
    }
    t->tones[t->n++] = *tone;
    return BL_OK;
}

/* Cuts one tone and keeps it, or not, so that every tone of an instrument has the same chance to stay. */
static bl_status offer(collector *c, const audio_clip *clip, const data_piece *piece, data_tone tone, bl_error *err)
{
    const int slot_of = tone.instrument >= 0 ? tone.instrument : data_instrument_count();
    const int64_t limit = c->o.max_tones_per_instrument;
    bl_status status = data_cut_tone(clip->samples, clip->n_samples, clip->sample_rate, piece, &c->o, &tone, err);
    if (status != BL_OK)
        return status;
    if (!tone.samples) {
        c->tones->n_too_quiet++;
        return BL_OK;
    }
    *(tone.annotated ? &c->tones->n_annotated : &c->tones->n_detected) += 1;
    const int64_t bytes = tone.n_samples * (int64_t)sizeof(float), seen = c->seen[slot_of]++;
    if (seen < limit) {
        int64_t *slots = realloc(c->slots[slot_of], (size_t)(seen + 1) * sizeof *slots);
        if (slots)
            c->slots[slot_of] = slots;
        if (!slots || (status = append(c->tones, &tone, err)) != BL_OK) {
            free(tone.samples);
            return slots ? status : bl_fail(err, BL_ENOMEM, "no memory for the list of tones");
        }
        slots[seen] = c->tones->n - 1;
        c->bytes += bytes;
    } else {
        const int64_t place = bl_rng_below(&c->rng, seen + 1);
        c->tones->n_over_limit++;
        if (place >= limit) {
            free(tone.samples);
            return BL_OK;
        }
        data_tone *old = &c->tones->tones[c->slots[slot_of][place]];
        c->bytes += bytes - old->n_samples * (int64_t)sizeof(float);
        free(old->samples);
        *old = tone;
    }
    c->tones->stopped_for_memory = c->bytes > (int64_t)c->o.max_memory_mb * 1000000;
    return BL_OK;
}

/* ---- annotated notes ---- */

static int by_onset(const void *a, const void *b)
{
    const music_note *p = a, *q = b;
    if (p->onset_s != q->onset_s)
        return p->onset_s < q->onset_s ? -1 : 1;
    return p->pitch - q->pitch;
}

static int track_instrument(const music_track *track)
{
    const int named = data_instrument_find(track->name);
    return track->is_drums ? data_instrument_from_program(0, 1)
                           : named >= 0 ? named : data_instrument_from_program(track->program, 0);
}

/* The score of a MIDI file, read once for all stems of a song. NULL when it is broken (which is reported). */
static const music_score *score_of(collector *c, const char *path)
{
    bl_error local = { 0 };
    if (c->midi_path && !strcmp(c->midi_path, path))
        return c->midi_bad ? NULL : &c->score;
    free(c->midi_path);
    music_score_free(&c->score);
    c->midi_path = malloc(strlen(path) + 1);
    if (!c->midi_path)
        return NULL;
    strcpy(c->midi_path, path);
    c->midi_bad = music_midi_read(path, &c->score, &local) != BL_OK;
    if (c->midi_bad)
        data_dataset_skip(c->dataset, path, local.msg);
    return c->midi_bad ? NULL : &c->score;
}

/* Notes of a stem in one sorted list: from its own file, or from the tracks of the song's file that are this stem by name
 * or, where only one stem has that instrument, by instrument. *notes stays NULL when there are none. */
static bl_status notes_of_stem(collector *c, const data_song *song, const data_stem *stem, music_note **notes, int *n, bl_error *err)
{
    const int own = stem->midi_path != NULL;
    const char *path = own ? stem->midi_path : song->midi_path;
    const music_score *score = path ? score_of(c, path) : NULL;
    int alike = 0, named = 0, fitting = 0;
    *notes = NULL;
    *n = 0;
    if (!score)
        return BL_OK;
    for (int i = 0; i < song->n_stems; i++)
        alike += song->stems[i].instrument == stem->instrument;
    for (int i = 0; i < score->n_tracks; i++) {
        named += !strcmp(score->tracks[i].name, stem->name);
        fitting += track_instrument(&score->tracks[i]) == stem->instrument;
    }
    for (int i = 0; i < score->n_tracks; i++) {
        const music_track *t = &score->tracks[i];
        const int same = track_instrument(t) == stem->instrument;
        const int use = own ? same || !fitting : named ? !strcmp(t->name, stem->name) : same && alike == 1;
        if (!use || !t->n_notes)
            continue;
        music_note *more = realloc(*notes, (size_t)(*n + t->n_notes) * sizeof *more);
        if (!more) {
            free(*notes);
            *notes = NULL;
            return bl_fail(err, BL_ENOMEM, "%s: no memory for its notes", path);
        }
        memcpy(more + *n, t->notes, (size_t)t->n_notes * sizeof *more);
        *notes = more;
        *n += t->n_notes;
        c->program = t->program;
    }
    if (*n)
        qsort(*notes, (size_t)*n, sizeof **notes, by_onset);
    return BL_OK;
}

static bl_status from_notes(collector *c, const audio_clip *clip, data_tone tone, const music_note *notes, int n, bl_error *err)
{
    const double length_s = (double)clip->n_samples / clip->sample_rate;
    const int drums = tone.instrument >= 0 && !data_instrument_at(tone.instrument)->is_pitched;
    double last_off_s = -HUGE_VAL; /* the latest note-off of all notes before */
    tone.annotated = 1;
    tone.program = c->program;
    for (int i = 0; i < n; i++) {
        const music_note *note = &notes[i];
        const double before_off_s = last_off_s;
        const double next_s = i + 1 < n ? notes[i + 1].onset_s : HUGE_VAL;
        const double off_s = drums ? (next_s < length_s ? next_s : length_s) : note->offset_s;
        last_off_s = note->offset_s > last_off_s ? note->offset_s : last_off_s;
        double overlap = (off_s < before_off_s ? off_s : before_off_s) - note->onset_s;
        if (drums) {
            overlap = i && note->onset_s - notes[i - 1].onset_s < HIT_APART_S ? HUGE_VAL : 0;
            if (next_s - note->onset_s < HIT_APART_S)
                overlap = HUGE_VAL;
        }
        for (int k = i + 1; k < n && notes[k].onset_s < off_s; k++) {
            const double with = (off_s < notes[k].offset_s ? off_s : notes[k].offset_s) - notes[k].onset_s;
            overlap = with > overlap ? with : overlap;
        }
        tone.previous_gap_s = i ? note->onset_s - (drums ? notes[i - 1].onset_s : before_off_s) : HUGE_VAL;
        tone.next_gap_s = i + 1 < n ? next_s - note->offset_s : HUGE_VAL;
        if (overlap > c->o.max_overlap_s || tone.previous_gap_s < c->o.min_gap_s - c->o.max_overlap_s) {
            c->tones->n_overlapping++;
            continue;
        }
        const double min_s = drums && c->o.min_seconds < HIT_MIN_S ? HIT_MIN_S : c->o.min_seconds;
        if (off_s - note->onset_s < min_s || note->onset_s >= length_s) {
            c->tones->n_too_short++;
            continue;
        }
        tone.pitch = note->pitch;
        tone.velocity = note->velocity;
        tone.onset_s = note->onset_s;
        tone.duration_s = off_s - note->onset_s;
        tone.previous_pitch = i ? notes[i - 1].pitch : -1;
        tone.next_pitch = i + 1 < n ? notes[i + 1].pitch : -1;
        /* Up to the next onset; a note that is let overlap (option) may ring through the others. */
        const double limit_s = c->o.max_overlap_s > 1 && next_s < off_s ? off_s : next_s;
        const data_piece piece = { note->onset_s, off_s, limit_s < length_s ? limit_s : length_s, note->pitch, 0 };
        const bl_status status = offer(c, clip, &piece, tone, err);
        if (status != BL_OK)
            return status;
        if (c->tones->stopped_for_memory)
            break;
    }
    return BL_OK;
}

/* ---- notes found in the audio ---- */

static bl_status from_audio(collector *c, const audio_clip *clip, data_tone tone, const data_stem *stem, const char *name, bl_error *err)
{
    data_pieces p;
    bl_status status = data_find_pieces(clip->samples, clip->n_samples, clip->sample_rate, tone.instrument,
                                        stem ? stem->pitch : -1, name, &c->o, &p, err);
    c->tones->n_unpitched += p.n_unpitched;
    c->tones->n_too_quiet += p.n_too_quiet;
    c->tones->n_too_short += p.n_too_short;
    for (int i = 0; i < p.n && status == BL_OK && !c->tones->stopped_for_memory; i++) {
        data_piece *piece = &p.pieces[i];
        if (stem && stem->pitch >= 0 && piece->end_s - piece->onset_s > NSYNTH_HELD_S)
            piece->end_s = piece->onset_s + NSYNTH_HELD_S;
        tone.pitch = piece->pitch;
        tone.cents = piece->cents;
        tone.velocity = stem && stem->pitch >= 0 ? stem->velocity : 0; /* 0: from the level, when all are there */
        tone.annotated = stem && stem->pitch >= 0;
        tone.onset_s = piece->onset_s;
        tone.duration_s = piece->end_s - piece->onset_s;
        tone.previous_pitch = i ? p.pieces[i - 1].pitch : -1;
        tone.next_pitch = i + 1 < p.n ? p.pieces[i + 1].pitch : -1;
        tone.previous_gap_s = i ? piece->onset_s - p.pieces[i - 1].end_s : HUGE_VAL;
        tone.next_gap_s = i + 1 < p.n ? p.pieces[i + 1].onset_s - piece->end_s : HUGE_VAL;
        if (tone.previous_gap_s < c->o.min_gap_s)
            c->tones->n_overlapping++;
        else
            status = offer(c, clip, piece, tone, err);
    }
    free(p.pieces);
    return status;
}

static int ascending(const void *a, const void *b)
{
    const double p = *(const double *)a, q = *(const double *)b;
    return (p > q) - (p < q);
}

/* Velocities of the detected tones of one instrument from their levels. */
static bl_status set_velocities(data_tones *t, int64_t from, int instrument, bl_error *err)
{
    int64_t n = 0;
    for (int64_t i = from; i < t->n; i++)
        n += t->tones[i].instrument == instrument && t->tones[i].velocity <= 0;
    if (!n)
        return BL_OK;
    double *levels = malloc((size_t)n * sizeof *levels);
    if (!levels)
        return bl_fail(err, BL_ENOMEM, "no memory for the levels of %lld tones", (long long)n);
    n = 0;
    for (int64_t i = from; i < t->n; i++)
        if (t->tones[i].instrument == instrument && t->tones[i].velocity <= 0)
            levels[n++] = t->tones[i].level_db;
    qsort(levels, (size_t)n, sizeof *levels, ascending);
    const double reference_db = levels[(int64_t)(0.9 * (double)(n - 1) + 0.5)];
    for (int64_t i = from; i < t->n; i++) {
        data_tone *tone = &t->tones[i];
        if (tone->instrument != instrument || tone->velocity > 0)
            continue;
        const double v = REFERENCE_VELOCITY * pow(10, (tone->level_db - reference_db) / 40);
        tone->velocity = v < 1 ? 1 : v > 127 ? 127 : (int)lround(v);
    }
    free(levels);
    return BL_OK;
}

/* ---- collecting ---- */

static int is_wanted(const data_tones_options *o, int instrument)
{
    if (!o->instruments)
        return 1;
    for (int i = 0; i < o->n_instruments; i++)
        if (o->instruments[i] == instrument)
            return 1;
    return 0;
}

static bl_status collect_stem(collector *c, int song_index, int stem_index, bl_error *err)
{
    const data_song *song = &c->dataset->songs[song_index];
    const data_stem *stem = &song->stems[stem_index];
    bl_error local = { 0 };
    music_note *notes = NULL;
    int n_notes = 0;
    if (stem->instrument < 0) {
        c->tones->n_unlabelled++;
        return BL_OK;
    }
    if (!is_wanted(&c->o, stem->instrument))
        return BL_OK;
    c->tones->n_files++;
    const audio_clip *clip = data_dataset_audio(c->dataset, stem->path, c->o.sample_rate, &local);
    if (!clip && local.code == BL_ENOMEM)
        return bl_fail(err, local.code, "%s", local.msg);
    if (!clip) {
        c->tones->n_unreadable++;
        return BL_OK;
    }
    const data_tone tone = { .instrument = stem->instrument, .genre = song->genre, .program = -1, .song = song_index, .stem = stem_index,
                             .split = song->split };
    bl_status status = stem->pitch >= 0 ? BL_OK : notes_of_stem(c, song, stem, &notes, &n_notes, err);
    if (status == BL_OK)
        status = n_notes ? from_notes(c, clip, tone, notes, n_notes, err)
                         : from_audio(c, clip, tone, stem, stem->name, err);
    free(notes);
    return status;
}

/* Decodes the stems of the next songs at once: as many as there are cores, within what the cache may hold. Returns the song
 * to come back at. */
static int prefetch(collector *c, const int64_t *order, int from)
{
    enum { MOST = 64 };
    const char *paths[MOST];
    const int cores = omp_get_max_threads(), wanted = cores < MOST ? cores : MOST;
    double seconds = 0;
    int n = 0, i = from;
    for (; i < c->dataset->n_songs && n < wanted; i++) {
        const data_song *song = &c->dataset->songs[order[i]];
        for (int k = 0; k < song->n_stems && n < MOST; k++)
            if (song->stems[k].instrument >= 0 && is_wanted(&c->o, song->stems[k].instrument)) {
                seconds += song->stems[k].duration_s;
                if (n && seconds * c->o.sample_rate * (double)sizeof(float) > PREFETCH_BYTES)
                    break;
                paths[n++] = song->stems[k].path;
            }
    }
    if (cores > 1 && n > 1)
        data_dataset_prefetch(c->dataset, paths, n, c->o.sample_rate);
    return i;
}

static int by_place(const void *a, const void *b)
{
    const data_tone *p = a, *q = b;
    if (p->song != q->song)
        return p->song - q->song;
    if (p->stem != q->stem)
        return p->stem - q->stem;
    if (p->onset_s != q->onset_s)
        return p->onset_s < q->onset_s ? -1 : 1;
    return p->pitch - q->pitch;
}

bl_status data_tones_collect(data_dataset *d, const data_tones_options *options, data_tones *tones, bl_error *err)
{
    const int n_slots = data_instrument_count() + 1;
    collector c = { .dataset = d, .o = data_tones_defaults(options), .tones = tones };
    bl_progress progress;
    int64_t *order = NULL;
    int ahead = 0; /* songs whose stems are decoded already */
    *tones = (data_tones){ .sample_rate = c.o.sample_rate };
    bl_status status = check_options(&c.o, err);
    if (status != BL_OK)
        return status;
    order = malloc((size_t)d->n_songs * sizeof *order);
    c.seen = calloc((size_t)n_slots, sizeof *c.seen);
    c.slots = calloc((size_t)n_slots, sizeof *c.slots);
    if (!order || !c.seen || !c.slots) {
        status = bl_fail(err, BL_ENOMEM, "%s: no memory to collect tones", d->path);
        goto done;
    }
    for (int i = 0; i < d->n_songs; i++)
        order[i] = i;
    bl_rng_seed(&c.rng, c.o.seed);
    bl_rng_shuffle(&c.rng, order, d->n_songs);
    bl_progress_start(&progress, "cutting tones", "songs", d->n_songs, c.o.quiet);
    for (int i = 0; i < d->n_songs && status == BL_OK && !tones->stopped_for_memory; i++) {
        if (i >= ahead)
            ahead = prefetch(&c, order, i);
        for (int k = 0; k < d->songs[order[i]].n_stems && status == BL_OK && !tones->stopped_for_memory; k++)
            status = collect_stem(&c, (int)order[i], k, err);
        if (status == BL_OK && bl_interrupted())
            status = bl_fail(err, BL_ESTOP, "%s: interrupted while cutting tones", d->path);
        bl_progress_step(&progress, i + 1, "");
    }
    bl_progress_end(&progress);
    for (int i = -1; i < data_instrument_count() && status == BL_OK; i++)
        status = set_velocities(tones, 0, i, err);
    if (status == BL_OK && tones->n == 0) {
        char why[256];
        data_tones_describe(tones, why, sizeof why);
        status = bl_fail(err, BL_EFORMAT, "%s: not one usable tone (%s)", d->path, why);
    }
    if (tones->n)
        qsort(tones->tones, (size_t)tones->n, sizeof *tones->tones, by_place);
done:
    for (int i = 0; c.slots && i < n_slots; i++)
        free(c.slots[i]);
    free(c.slots);
    free(c.seen);
    free(order);
    free(c.midi_path);
    music_score_free(&c.score);
    if (status != BL_OK)
        data_tones_free(tones);
    return status;
}

bl_status data_tones_detect(const float *x, int64_t n_samples, int sample_rate, int instrument, const char *name,
                            const data_tones_options *options, data_tones *tones, bl_error *err)
{
    data_tones_options o = data_tones_defaults(options);
    data_pieces p;
    const int64_t before = tones->n;
    o.sample_rate = sample_rate;
    bl_status status = check_options(&o, err);
    if (status != BL_OK)
        return status;
    if (n_samples < 1)
        return bl_fail(err, BL_EARG, "tones: no samples");
    tones->sample_rate = sample_rate;
    status = data_find_pieces(x, n_samples, sample_rate, instrument, -1, name, &o, &p, err);
    tones->n_unpitched += p.n_unpitched;
    tones->n_too_quiet += p.n_too_quiet;
    tones->n_too_short += p.n_too_short;
    for (int i = 0; i < p.n && status == BL_OK; i++) {
        data_tone tone = { .instrument = instrument, .genre = -1, .program = -1, .pitch = p.pieces[i].pitch, .cents = p.pieces[i].cents,
                           .onset_s = p.pieces[i].onset_s, .duration_s = p.pieces[i].end_s - p.pieces[i].onset_s,
                           .previous_pitch = i ? p.pieces[i - 1].pitch : -1, .next_pitch = i + 1 < p.n ? p.pieces[i + 1].pitch : -1,
                           .previous_gap_s = i ? p.pieces[i].onset_s - p.pieces[i - 1].end_s : HUGE_VAL,
                           .next_gap_s = i + 1 < p.n ? p.pieces[i + 1].onset_s - p.pieces[i].end_s : HUGE_VAL };
        status = data_cut_tone(x, n_samples, sample_rate, &p.pieces[i], &o, &tone, err);
        if (status != BL_OK || !tone.samples) {
            tones->n_too_quiet += status == BL_OK;
            continue;
        }
        if ((status = append(tones, &tone, err)) != BL_OK)
            free(tone.samples);
        else
            tones->n_detected++;
    }
    free(p.pieces);
    return status == BL_OK ? set_velocities(tones, before, instrument, err) : status;
}

void data_tones_free(data_tones *t)
{
    for (int64_t i = 0; i < t->n; i++)
        free(t->tones[i].samples);
    free(t->tones);
    *t = (data_tones){ 0 };
}

void data_tones_describe(const data_tones *t, char *out, size_t size)
{
    size_t used = 0;
#define ADD(...)                                                                   \
    do {                                                                           \
        const int wrote = snprintf(out + used, size - used, __VA_ARGS__);          \
        used += wrote < 0 ? 0 : (size_t)wrote;                                     \
        used = used < size ? used : size - 1;                                      \
    } while (0)
    if (!size)
        return;
    out[0] = '\0';
    ADD("%lld tones", (long long)t->n);
    int listed = 0;
    for (int i = 0; i < data_instrument_count(); i++) {
        int64_t n = 0;
        for (int64_t k = 0; k < t->n; k++)
            n += t->tones[k].instrument == i;
        if (n)
            ADD("%s%s %lld", listed++ ? ", " : " (", data_instrument_name(i), (long long)n);
    }
    if (listed)
        ADD(")");
    const struct { int64_t n; const char *why; } left[] = {
        { t->n_overlapping, "overlapping" }, { t->n_too_short, "too short" }, { t->n_too_quiet, "too quiet" },
        { t->n_unpitched, "without a steady pitch" }, { t->n_over_limit, "over the limit" },
    };
    int64_t all = 0;
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++)
        all += left[i].n;
    if (all) {
        ADD("; %lld left out:", (long long)all);
        for (size_t i = 0, first = 1; i < sizeof left / sizeof left[0]; i++)
            if (left[i].n) {
                ADD("%s %lld %s", first ? "" : ",", (long long)left[i].n, left[i].why);
                first = 0;
            }
    }
    if (t->n_unlabelled)
        ADD("; %lld stems of unknown instrument", (long long)t->n_unlabelled);
    if (t->n_unreadable)
        ADD("; %d unreadable files", t->n_unreadable);
    if (t->stopped_for_memory)
        ADD("; stopped at the memory limit");
#undef ADD
}
