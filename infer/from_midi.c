#include "infer/from_midi.h"

#include "base/file.h"
#include "data/instruments.h"
#include "infer/analyzer.h"
#include "music/beats.h"
#include "music/chord.h"
#include "music/instrument.h"
#include "music/midi.h"
#include "music/pedal.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double LEAST_BEAT_S = 0.06; /* music_arrange takes 0.05, and a plan's times are rounded */

bl_status infer_from_midi_read(const char *path, music_score *score, bl_error *err)
{
    if (music_midi_read(path, score, err) != BL_OK)
        return err->code;
    const double end_s = music_score_end_s(score);
    if (end_s <= 0)
        bl_fail(err, BL_EFORMAT, "%s: no notes in it", path);
    else if (end_s > INFER_MAX_SECONDS)
        bl_fail(err, BL_EFORMAT, "%s: %.0f s long, and at most %d s can be played", path, end_s, INFER_MAX_SECONDS);
    else
        music_score_press_pedal(score, err);
    if (err->code != BL_OK)
        music_score_free(score);
    return err->code;
}

bl_status infer_from_midi_format(const char *path, double seconds, infer_plan *plan, bl_error *err)
{
    plan->duration_s = seconds;
    plan->sample_rate = 44100;
    plan->n_channels = 2;
    free(plan->path);
    plan->path = malloc(strlen(path) + 1);
    if (!plan->path)
        return bl_fail(err, BL_ENOMEM, "no memory");
    strcpy(plan->path, path);
    return BL_OK;
}

/* ---- who plays ---- */

/* What a track is: its name where that is an instrument, else its program. -1 unknown. */
static int instrument_of(const music_track *track)
{
    if (track->is_drums)
        return data_instrument_find("drums");
    const int id = data_instrument_guess(track->name);
    return id >= 0 && data_instrument_at(id)->is_pitched ? id : data_instrument_from_program(track->program, 0);
}

/* Named after a voice, or as what a voice sings. */
static int is_sung(const music_track *track)
{
    char name[64];
    const int id = track->is_drums ? -1 : data_instrument_guess(track->name);
    size_t i = 0;
    for (; track->name[i] && i + 1 < sizeof name; i++)
        name[i] = (char)tolower((unsigned char)track->name[i]);
    name[i] = '\0';
    return !track->is_drums && ((id >= 0 && data_instrument_at(id)->family == DATA_VOICES) || strstr(name, "vocal") || strstr(name, "melody"));
}

static int learned(const infer_tone_generator *g, int id)
{
    return !g || blocks_synthesizer_voice(infer_tone_generator_synthesizer(g), data_instrument_name(id), -1, -1) >= 0;
}

/* What a musician would take for General MIDI's sounds, first choices first; by likeness alone a synthesizer's lead voice would go
 * to a piano, which cannot hold a note. */
static const struct { int first, last; const char *choices[4]; } stand_ins[] = {
    { 6, 6, { "piano" } }, { 7, 7, { "electric piano", "electric guitar" } }, { 8, 15, { "vibraphone", "electric piano", "piano" } },
    { 21, 23, { "organ", "saxophone" } }, { 46, 46, { "acoustic guitar", "piano" } }, { 47, 47, { "double bass", "bass" } },
    { 52, 54, { "strings", "organ" } }, { 55, 55, { "strings", "trumpet" } }, { 57, 63, { "trumpet", "saxophone" } },
    { 68, 71, { "flute", "saxophone" } }, { 80, 87, { "electric guitar", "saxophone", "organ" } }, { 88, 95, { "strings", "organ" } },
    { 96, 103, { "vibraphone", "electric piano", "strings" } }, { 104, 108, { "acoustic guitar", "electric guitar" } },
    { 109, 109, { "trumpet", "saxophone" } }, { 110, 110, { "violin", "strings" } }, { 111, 111, { "saxophone", "trumpet" } },
    { 112, 119, { "vibraphone", "piano" } },
};

/* Who plays what nobody has learned: a stand-in, or whoever is most like it (of what is not even known: like a piano). -1: nobody. */
static int nearest(const infer_tone_generator *g, const music_track *track, int id)
{
    const int by_program = !track->is_drums && (id < 0 || id == data_instrument_from_program(track->program, 0));
    for (size_t i = 0; by_program && i < sizeof stand_ins / sizeof *stand_ins; i++)
        for (int k = 0; k < 4 && stand_ins[i].choices[k] && track->program >= stand_ins[i].first && track->program <= stand_ins[i].last; k++)
            if (learned(g, data_instrument_find(stand_ins[i].choices[k])))
                return data_instrument_find(stand_ins[i].choices[k]);
    const int like = id >= 0 ? id : data_instrument_find("piano");
    int best = -1;
    for (int k = 0; k < data_instrument_count(); k++)
        if (learned(g, k) && data_instrument_at(k)->is_pitched == !track->is_drums &&
            (best < 0 || data_instrument_likeness(like, k) > data_instrument_likeness(like, best)))
            best = k;
    return best;
}

/* A track of its own, also where another one has the same instrument: two trumpets do not cut each other short. */
static bl_status add_player(infer_plan *plan, const char *instrument, const music_track *from, bl_error *err)
{
    const music_instrument *known = music_instrument_find(instrument);
    music_track *to = music_score_add_track(&plan->score, instrument, known && !from->is_drums ? known->program : from->program, from->is_drums, err);
    bl_status status = to ? BL_OK : err->code;
    for (int i = 0; i < from->n_notes && status == BL_OK; i++) {
        const music_note *n = &from->notes[i];
        status = music_track_add(to, n->onset_s, fmax(n->offset_s, n->onset_s + 0.03), n->pitch, n->velocity, err);
    }
    if (to)
        music_track_sort(to);
    return status;
}

static bl_status add_melody(infer_plan *plan, const music_track *track, bl_error *err)
{
    music_note *larger = realloc(plan->melody, (size_t)(plan->n_melody + track->n_notes) * sizeof *larger);
    if (!larger)
        return bl_fail(err, BL_ENOMEM, "no memory for the melody");
    plan->melody = larger;
    memcpy(larger + plan->n_melody, track->notes, (size_t)track->n_notes * sizeof *larger);
    plan->n_melody += track->n_notes;
    return BL_OK;
}

/* Whether the plan says already that this instrument is played by that one. */
static int listed(const infer_plan *plan, const char *name, const char *plays)
{
    for (int i = 0; i < plan->n_instruments; i++) {
        const infer_instrument *e = &plan->instruments[i];
        if (!strcmp(e->name, name) && !strcmp(e->accepted ? e->name : e->replaced_by, plays))
            return 1;
    }
    return 0;
}

static bl_status add_track(infer_plan *plan, const music_track *track, const infer_tone_generator *g, const char *name, int sung, bl_error *err)
{
    char reason[256], heard_as[160];
    const int id = instrument_of(track);
    if (track->is_drums)
        snprintf(heard_as, sizeof heard_as, "track \"%s\" of %.60s (channel 10)", track->name, name);
    else
        snprintf(heard_as, sizeof heard_as, "track \"%s\" of %.60s (program %d, %s)", track->name, name, track->program,
                 music_program_name(track->program));
    if (sung && is_sung(track) && plan->n_melody == 0) {
        snprintf(reason, sizeof reason, "%s is what the singer sings", heard_as);
        if (add_melody(plan, track, err) != BL_OK)
            return err->code;
        return infer_plan_add_instrument(plan, track->name, 0, reason, NULL, err);
    }
    const int player = id >= 0 && learned(g, id) ? id : nearest(g, track, id);
    const char *wanted = id >= 0 ? data_instrument_name(id) : music_program_name(track->program);
    const char *plays = player >= 0 ? data_instrument_name(player) : NULL;
    if (!plays) {
        snprintf(reason, sizeof reason, "%s: the synthesizer has learned nothing that could play it", heard_as);
        return listed(plan, wanted, "") ? BL_OK : infer_plan_add_instrument(plan, wanted, 0, reason, NULL, err);
    }
    snprintf(reason, sizeof reason, player == id ? "%s" : "%s: the synthesizer has not learned it; %s plays it", heard_as, plays);
    if (!listed(plan, wanted, plays) && infer_plan_add_instrument(plan, wanted, player == id, reason, player == id ? NULL : plays, err) != BL_OK)
        return err->code;
    return add_player(plan, plays, track, err);
}

/* ---- when ---- */

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The beats of the grid without those that come too soon after another for a plan's; a bar line outranks a beat before it. */
static void thin_beats(music_beats *grid)
{
    int n = 0;
    for (int i = 0; i < grid->n; i++) {
        const int near = n && grid->time_s[i] - grid->time_s[n - 1] < LEAST_BEAT_S;
        if (near && (grid->in_bar[i] != 1 || grid->in_bar[n - 1] == 1))
            continue;
        n -= near;
        grid->time_s[n] = grid->time_s[i];
        grid->in_bar[n++] = grid->in_bar[i];
    }
    grid->n = n;
}

static bl_status take_beats(infer_plan *plan, const music_beats *grid, bl_error *err)
{
    int bars = 0, votes[65] = { 0 };
    free(plan->beats_s);
    free(plan->downbeats_s);
    plan->beats_s = malloc((size_t)grid->n * sizeof *plan->beats_s);
    plan->downbeats_s = malloc((size_t)grid->n * sizeof *plan->downbeats_s);
    double *gaps = malloc((size_t)grid->n * sizeof *gaps);
    if (!plan->beats_s || !plan->downbeats_s || !gaps) {
        free(gaps);
        return bl_fail(err, BL_ENOMEM, "no memory for the beats");
    }
    for (int i = 0; i < grid->n; i++) {
        plan->beats_s[i] = grid->time_s[i];
        if (grid->in_bar[i] == 1)
            plan->downbeats_s[bars++] = grid->time_s[i];
        if (i && grid->in_bar[i] == 1 && grid->in_bar[i - 1] <= 64)
            votes[grid->in_bar[i - 1]] += grid->in_bar[i - 1];
        if (i)
            gaps[i - 1] = grid->time_s[i] - grid->time_s[i - 1];
    }
    plan->n_beats = grid->n;
    plan->n_downbeats = bars;
    plan->beats_per_bar = 4;
    for (int k = 1; k <= 64; k++)
        plan->beats_per_bar = votes[k] > votes[plan->beats_per_bar] ? k : plan->beats_per_bar;
    if (grid->n > 1) {
        qsort(gaps, (size_t)grid->n - 1, sizeof *gaps, compare_doubles);
        plan->tempo_bpm = 60 / gaps[(grid->n - 1) / 2];
    }
    free(gaps);
    plan->has |= INFER_HAS_TEMPO | INFER_HAS_BEATS | INFER_HAS_DOWNBEATS | INFER_HAS_METER;
    return BL_OK;
}

static bl_status take_chords(infer_plan *plan, const music_score *s, bl_error *err)
{
    if (!s->n_chords)
        return BL_OK;
    free(plan->chords);
    plan->chords = malloc((size_t)s->n_chords * sizeof *plan->chords);
    if (!plan->chords)
        return bl_fail(err, BL_ENOMEM, "no memory for the chords");
    memcpy(plan->chords, s->chords, (size_t)s->n_chords * sizeof *plan->chords);
    plan->n_chords = s->n_chords;
    plan->has |= INFER_HAS_CHORDS;
    return BL_OK;
}

static bl_status take_sections(infer_plan *plan, const music_score *s, bl_error *err)
{
    const double end_s = music_score_end_s(s);
    if (!s->n_markers)
        return BL_OK;
    free(plan->sections);
    plan->sections = calloc((size_t)s->n_markers, sizeof *plan->sections);
    plan->n_sections = 0;
    if (!plan->sections)
        return bl_fail(err, BL_ENOMEM, "no memory for the sections");
    for (int i = 0; i < s->n_markers; i++) {
        const double from = s->markers[i].time_s, to = i + 1 < s->n_markers ? s->markers[i + 1].time_s : end_s;
        if (!(to > from + 1e-3))
            continue;
        infer_section *v = &plan->sections[plan->n_sections++];
        v->start_s = from;
        v->end_s = to;
        snprintf(v->label, sizeof v->label, "%.31s", s->markers[i].text);
    }
    plan->has |= INFER_HAS_SECTIONS;
    return BL_OK;
}

/* The maps, for writing the arrangement as MIDI again. */
static bl_status copy_maps(music_score *to, const music_score *s, bl_error *err)
{
    bl_status status = BL_OK;
    to->ticks_per_quarter = s->ticks_per_quarter;
    memcpy(to->title, s->title, sizeof to->title);
    for (int i = 0; i < s->n_tempos && status == BL_OK; i++)
        status = music_score_add_tempo(to, s->tempos[i].time_s, s->tempos[i].bpm, err);
    for (int i = 0; i < s->n_meters && status == BL_OK; i++)
        status = music_score_add_meter(to, s->meters[i].time_s, s->meters[i].numerator, s->meters[i].denominator, err);
    for (int i = 0; i < s->n_keys && status == BL_OK; i++)
        status = music_score_add_key(to, s->keys[i].time_s, s->keys[i].fifths, s->keys[i].minor, err);
    for (int i = 0; i < s->n_markers && status == BL_OK; i++)
        status = music_score_add_marker(to, s->markers[i].time_s, s->markers[i].text, err);
    for (int i = 0; i < s->n_lyrics && status == BL_OK; i++)
        status = music_score_add_lyric(to, s->lyrics[i].time_s, s->lyrics[i].text, err);
    for (int i = 0; i < s->n_chords && status == BL_OK; i++)
        status = music_score_add_chord(to, s->chords[i].start_s, s->chords[i].end_s, s->chords[i].name, err);
    return status;
}

bl_status infer_from_midi(const music_score *score, const char *name, const infer_tone_generator *g, int sung, infer_plan *plan, bl_error *err)
{
    music_beats grid = { 0 };
    music_score_free(&plan->score);
    plan->n_instruments = 0;
    bl_status status = music_score_beats(score, music_score_end_s(score), &grid, err);
    if (status != BL_OK) {
        bl_error_prefix(err, "%s", name);
    } else {
        thin_beats(&grid);
        status = take_beats(plan, &grid, err);
    }
    music_beats_free(&grid);
    if (status == BL_OK)
        status = take_chords(plan, score, err);
    if (status == BL_OK)
        status = take_sections(plan, score, err);
    if (status == BL_OK)
        status = copy_maps(&plan->score, score, err);
    if (status == BL_OK && score->n_keys) {
        const music_key_change *k = &score->keys[0];
        music_key_format((music_key){ ((k->fifths * 7 + (k->minor ? 9 : 0)) % 12 + 12) % 12, k->minor }, plan->key);
        plan->has |= INFER_HAS_KEY;
    }
    for (int i = 0; i < score->n_tracks && status == BL_OK; i++)
        if (score->tracks[i].n_notes)
            status = add_track(plan, &score->tracks[i], g, bl_path_name(name), sung, err);
    if (status == BL_OK && !plan->score.n_tracks)
        status = bl_fail(err, BL_EARG, "%s: no track that could be played", name);
    if (status != BL_OK)
        return status;
    plan->origin.given = 1;
    plan->has |= INFER_HAS_INSTRUMENTS | INFER_HAS_NOTES | (plan->n_melody ? INFER_HAS_MELODY : 0);
    return BL_OK;
}
