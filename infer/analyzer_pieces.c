/* Recordings that are longer than memory: heard in pieces that overlap, of which only what the decisions need is kept. */
#include "infer/analyzer_private.h"

#include "audio/soundfile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Samples of all channels up to which a recording is heard as a whole (64 MB), those of a piece of a longer one, and how far it
 * reaches into its neighbours: further than any part of the analysis looks around itself. Pieces begin at whole seconds, so that
 * the frames of all parts fall on their places. */
enum { WHOLE_SAMPLES = 16 << 20, PIECE_SAMPLES = 10 << 20, OVERLAP_S = 22, LEAST_PIECE_S = 3 * OVERLAP_S };

typedef struct stretch {
    double piece_s;        /* where the piece begins                              */
    double from_s, to_s;   /* what of the song it speaks for; HUGE_VAL: to its end */
} stretch;

/* Rows [n, width] of a piece, frames hop_s apart, behind the rows that are there. */
static bl_status append_rows(float **all, int64_t *n_all, const float *rows, int64_t n_rows, int width, double hop_s,
                             const stretch *p, bl_error *err)
{
    const int64_t first = llround(p->piece_s / hop_s), n_song = first + n_rows;
    const int64_t end = isinf(p->to_s) || llround(p->to_s / hop_s) > n_song ? n_song : llround(p->to_s / hop_s);
    if (end <= *n_all)
        return BL_OK;
    float *more = realloc(*all, (size_t)end * (size_t)width * sizeof *more);
    if (!more)
        return bl_fail(err, BL_ENOMEM, "no memory for what was heard in %.0f s", p->piece_s);
    *all = more;
    for (int64_t t = *n_all; t < end; t++) {
        if (t < first) /* silence that was left out */
            memset(more + t * width, 0, (size_t)width * sizeof *more);
        else
            memcpy(more + t * width, rows + (t - first) * width, (size_t)width * sizeof *more);
    }
    *n_all = end;
    return BL_OK;
}

/* Several rows that share one count of frames. */
typedef struct shared_rows {
    float **all;
    const float *rows;
    int width;
} shared_rows;

static bl_status append_all(const shared_rows *parts, int n_parts, int64_t *n_all, int64_t n_rows, double hop_s, const stretch *p,
                            bl_error *err)
{
    int64_t n = *n_all;
    for (int i = 0; i < n_parts && n_rows > 0; i++) {
        n = *n_all;
        if (append_rows(parts[i].all, &n, parts[i].rows, n_rows, parts[i].width, hop_s, p, err) != BL_OK)
            return err->code;
    }
    *n_all = n;
    return BL_OK;
}

static bl_status append_notes(audio_sung_notes *all, const audio_sung_notes *piece, const stretch *p, bl_error *err)
{
    audio_sung_note *more = realloc(all->notes, ((size_t)all->n_notes + (size_t)piece->n_notes + 1) * sizeof *more);
    if (!more)
        return bl_fail(err, BL_ENOMEM, "no memory for the melody");
    all->notes = more;
    /* The singer's tuning is the mean over the pieces' notes. */
    const int n = all->n_notes + piece->n_notes;
    if (n)
        all->tuning_cents = (all->tuning_cents * (float)all->n_notes + piece->tuning_cents * (float)piece->n_notes) / (float)n;
    for (int i = 0; i < piece->n_notes; i++) {
        audio_sung_note note = piece->notes[i];
        note.onset_s += p->piece_s;
        note.offset_s += p->piece_s;
        const double after = all->n_notes ? more[all->n_notes - 1].offset_s : 0;
        const int is_same = all->n_notes && note.onset_s < after && note.offset_s <= after + 0.1; /* heard from both sides */
        if (note.onset_s < p->from_s || note.onset_s >= p->to_s || is_same)
            continue;
        note.onset_s = fmax(note.onset_s, after);
        more[all->n_notes++] = note;
    }
    return BL_OK;
}

static bl_status append_harmony(blocks_harmony *all, const blocks_harmony *piece, const stretch *p, bl_error *err)
{
    if (!piece->n_frames)
        return BL_OK;
    const shared_rows parts[] = { { &all->chord, piece->chord, MUSIC_HEARD_CLASSES }, { &all->bass, piece->bass, 12 } };
    const int64_t before = all->n_frames;
    const bl_status status = append_all(parts, 2, &all->n_frames, piece->n_frames, piece->hop_s, p, err);
    const double share = all->n_frames ? (double)(all->n_frames - before) / (double)all->n_frames : 0;
    for (int k = 0; k < 24; k++)
        all->key[k] += share * (piece->key[k] - all->key[k]);
    all->tuning_cents += share * (piece->tuning_cents - all->tuning_cents);
    all->hop_s = piece->hop_s;
    return status;
}

/* Frames follow one another; the votes on the tempo are averaged over all of them. */
static bl_status append_beats(infer_song *song, infer_song *piece, const stretch *p, bl_error *err)
{
    audio_beat_activity *all = &song->beats;
    const audio_beat_activity *more = &piece->beats;
    const shared_rows rows[] = { { &all->beat, more->beat, 1 }, { &all->downbeat, more->downbeat, 1 }, { &all->flux, more->flux, AUDIO_LEVEL_GROUPS } };
    const double before = (double)all->n_frames;
    if (append_all(rows, more->flux ? 3 : 2, &all->n_frames, more->n_frames, all->hop_s = more->hop_s, p, err) != BL_OK)
        return err->code;
    const double share = all->n_frames ? before / (double)all->n_frames : 0;
    if (more->tempo && !all->tempo && !(all->tempo = calloc(AUDIO_TEMPOS, sizeof *all->tempo)))
        return bl_fail(err, BL_ENOMEM, "no memory for the tempo");
    for (int k = 0; more->tempo && k < AUDIO_TEMPOS; k++)
        all->tempo[k] = (float)(share * (double)all->tempo[k] + (1 - share) * (double)more->tempo[k]);
    if (!song->tracker) {
        song->tracker = piece->tracker;
        piece->tracker = NULL;
    }
    return BL_OK;
}

static bl_status append_piece(infer_song *song, infer_song *piece, const stretch *p, bl_error *err)
{
    const audio_f0_track *f = &piece->f0;
    const shared_rows pitch[] = { { &song->f0.f0_hz, f->f0_hz, 1 }, { &song->f0.voiced, f->voiced, 1 }, { &song->f0.rms, f->rms, 1 },
                                  { &song->f0.guess_hz, f->guess_hz, 1 } };
    bl_status status = append_all(pitch, 4, &song->f0.n_frames, f->n_frames, f->hop_s, p, err);
    if (status == BL_OK)
        status = append_rows(&song->form.rows, &song->form.n_frames, piece->form.rows, piece->form.n_frames, INFER_FORM_WIDTH,
                             piece->form.hop_s, p, err);
    if (status == BL_OK)
        status = append_harmony(&song->harmony, &piece->harmony, p, err);
    if (status == BL_OK && piece->beats.n_frames)
        status = append_beats(song, piece, p, err);
    if (status == BL_OK)
        status = append_notes(&song->sung, &piece->sung, p, err);
    song->f0.hop_s = f->hop_s;
    song->form.hop_s = piece->form.hop_s;
    if (status == BL_OK && song->sketch) {
        const int64_t first = llround((p->from_s - p->piece_s) * piece->lead_rate);
        const int64_t end = isinf(p->to_s) ? piece->n_lead : llround((p->to_s - p->piece_s) * piece->lead_rate);
        status = audio_sketch_push(song->sketch, piece->mono + first, end - first, err);
    }
    return status;
}

/* Everything that is heard in a piece, and decided later on the whole. */
static bl_status hear_piece(infer_song *song, const audio_clip *clip, const stretch *p, const char *model_dir, infer_plan *plan,
                            bl_error *err)
{
    if (infer_peak(clip) < INFER_SILENCE)
        return BL_OK;
    infer_song *piece = calloc(1, sizeof *piece);
    bl_status status = piece ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory");
    if (status == BL_OK) {
        piece->input = *clip;
        piece->genre = song->genre;
        status = infer_analyzer_part(piece, plan, model_dir, err);
        audio_clip_free(&piece->voice);
        audio_clip_free(&piece->rest);
    }
    if (status == BL_OK)
        status = infer_hear_genre(piece, plan, model_dir, err);
    if (status == BL_OK)
        status = infer_analyzer_harmony(piece, plan, model_dir, err);
    if (status == BL_OK)
        status = infer_analyzer_beats(piece, plan, model_dir, err);
    if (status == BL_OK)
        status = infer_hear_melody(piece, plan, err);
    if (status == BL_OK)
        status = infer_hear_form(piece, plan, err);
    if (status == BL_OK) {
        song->genre = piece->genre;
        song->lead_rate = piece->lead_rate;
        status = append_piece(song, piece, p, err);
    }
    if (piece) {
        piece->input = (audio_clip){ 0 }; /* the caller's */
        infer_song_free(piece);
    }
    free(piece);
    return status;
}

/* Drops the first n_drop samples of every channel and puts `more` behind the rest. Takes more. */
static bl_status move_on(audio_clip *window, int64_t n_drop, audio_clip *more, bl_error *err)
{
    audio_clip next = { 0 };
    const int64_t n_kept = window->n_samples - n_drop, n = n_kept + more->n_samples;
    bl_status status = audio_clip_new(&next, window->n_channels, n, window->sample_rate, err);
    for (int c = 0; c < window->n_channels && status == BL_OK; c++) {
        memcpy(next.samples + c * n, window->samples + c * window->n_samples + n_drop, (size_t)n_kept * sizeof(float));
        if (more->n_samples)
            memcpy(next.samples + c * n + n_kept, more->samples + c * more->n_samples, (size_t)more->n_samples * sizeof(float));
    }
    audio_clip_free(more);
    audio_clip_free(window);
    *window = next;
    return status;
}

/* The window holds the first piece and its overlap; n is how long a piece is. */
static bl_status hear_pieces(audio_reader *reader, audio_clip *window, int64_t piece_s, const char *model_dir, infer_song *song,
                             infer_plan *plan, bl_error *err)
{
    const int rate = window->sample_rate;
    bl_status status = BL_OK;
    stretch p = { 0, 0, (double)(window->n_samples / rate - OVERLAP_S) };
    for (int is_last = 0; status == BL_OK && !is_last;) {
        audio_clip more;
        status = audio_reader_next(reader, piece_s * rate, &more, err);
        if (status != BL_OK)
            break;
        /* A tail that is too short for a piece of its own belongs to this one. */
        is_last = more.n_samples < (int64_t)LEAST_PIECE_S * rate;
        plan->duration_s += (double)more.n_samples / rate;
        if (is_last) {
            p.to_s = HUGE_VAL;
            status = move_on(window, 0, &more, err);
        }
        if (status == BL_OK)
            status = hear_piece(song, window, &p, model_dir, plan, err);
        if (status == BL_OK && !is_last) {
            const double piece_end_s = p.piece_s + (double)window->n_samples / rate;
            const double next_s = p.to_s - OVERLAP_S;
            status = move_on(window, llround((next_s - p.piece_s) * rate), &more, err);
            p = (stretch){ next_s, p.to_s, piece_end_s + (double)piece_s - OVERLAP_S };
        } else
            audio_clip_free(&more);
    }
    return status;
}

bl_status infer_analyzer_read_any(const char *path, const char *model_dir, int with_sketch, infer_song *song, infer_plan *plan,
                                  bl_error *err)
{
    audio_file_info info;
    audio_clip window = { 0 };
    audio_reader *reader = audio_reader_open(path, &info, err);
    if (!reader)
        return err->code;
    const int64_t whole_s = WHOLE_SAMPLES / info.n_channels / info.sample_rate, piece_s = PIECE_SAMPLES / info.n_channels / info.sample_rate;
    const int64_t first_s = OVERLAP_S + (whole_s > LEAST_PIECE_S ? whole_s : LEAST_PIECE_S);
    bl_status status = audio_reader_next(reader, first_s * info.sample_rate, &window, err);
    if (status == BL_OK)
        status = infer_take_format(path, &window, plan, err);
    if (status == BL_OK && window.n_samples < first_s * info.sample_rate) { /* all of it */
        song->input = window;
        window = (audio_clip){ 0 };
    } else if (status == BL_OK) {
        song->is_long = 1;
        if (with_sketch)
            status = (song->sketch = audio_sketch_new(infer_listen_rate(info.sample_rate), err)) ? BL_OK : err->code;
        if (status == BL_OK)
            status = hear_pieces(reader, &window, piece_s > LEAST_PIECE_S ? piece_s : LEAST_PIECE_S, model_dir, song, plan, err);
        if (status == BL_OK && song->sketch)
            status = audio_sketch_finish(song->sketch, err);
    }
    if (status == BL_OK && (song->is_long ? !(plan->has & INFER_HAS_INPUT) : infer_peak(&song->input) < INFER_SILENCE)) {
        snprintf(plan->input, sizeof plan->input, "silent");
        plan->has |= INFER_HAS_INPUT;
    }
    audio_clip_free(&window);
    audio_reader_close(reader);
    return status;
}
