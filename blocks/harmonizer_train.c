#include "blocks/harmonizer_train.h"

#include "base/file.h"
#include "nn/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { F = BLOCKS_HARMONIZER_FEATURES, DEGREES = MUSIC_DEGREES, COLOURS = MUSIC_COLOURS, UNKNOWN = NN_IGNORE_INDEX };

typedef struct settings {
    int    batch_size, n_units;
    double wrong_key, wrong_mode, lost, wrong, late, colour_weight, label_smoothing;
    nn_trainer_config run;
} settings;

static bl_status read_settings(const bl_config *c, settings *s, bl_error *err)
{
    static const char section[] = "arranger_training";
    s->batch_size = (int)bl_config_int(c, section, "batch_size", 16, 1, 4096, err);
    s->n_units = (int)bl_config_int(c, section, "segment_units", 128, 8, 65536, err);
    s->wrong_key = bl_config_real(c, section, "wrong_key", 0.1, 0, 1, err);
    s->wrong_mode = bl_config_real(c, section, "wrong_mode", 0.1, 0, 1, err);
    s->lost = bl_config_real(c, section, "lost", 0.05, 0, 1, err);
    s->wrong = bl_config_real(c, section, "wrong", 0.03, 0, 1, err);
    s->late = bl_config_real(c, section, "late", 0.03, 0, 1, err);
    s->colour_weight = bl_config_real(c, section, "colour_weight", 0.3, 0, 100, err);
    s->label_smoothing = bl_config_real(c, section, "label_smoothing", 0.05, 0, 0.9, err);
    nn_trainer_read(c, section, 1200, 0, 0.99, &s->run, err);
    return err->code;
}

bl_status blocks_harmonizer_settings_read(const blocks_harmonizer *h, bl_error *err)
{
    settings s = { 0 };
    return read_settings(h->config, &s, err);
}

struct blocks_harmonizer_trainer {
    blocks_harmonizer         *h;
    const blocks_melody_songs *songs;
    music_harmony_table       *table;
    nn_trainer    run;       /* its averages are what is validated and shipped */
    settings      set;
    int64_t      *first;    /* [n + 1] training units before each song */
    music_note   *melody;   /* [most notes] as it is heard this time    */
    float        *whole;    /* [F, most units] of a song                */
    float        *features, *degree, *colour; /* of a batch             */
    float        *log_degree, *log_colour;    /* [most units]           */
};

void blocks_harmonizer_trainer_free(blocks_harmonizer_trainer *t)
{
    if (!t)
        return;
    music_harmony_table_free(t->table);
    nn_trainer_free(&t->run);
    free(t->first);
    free(t->melody);
    free(t->whole);
    free(t->features);
    free(t->degree);
    free(t->colour);
    free(t->log_degree);
    free(t->log_colour);
    free(t);
}

static bl_status make_buffers(blocks_harmonizer_trainer *t, bl_error *err)
{
    const size_t B = (size_t)t->set.batch_size, T = (size_t)t->set.n_units;
    size_t notes = 1, units = 1;
    for (int i = 0; i < t->songs->n; i++) {
        notes = (size_t)t->songs->songs[i].n_melody > notes ? (size_t)t->songs->songs[i].n_melody : notes;
        units = (size_t)t->songs->songs[i].n_units > units ? (size_t)t->songs->songs[i].n_units : units;
    }
    t->first = malloc(((size_t)t->songs->n + 1) * sizeof *t->first);
    t->melody = malloc(notes * sizeof *t->melody);
    t->whole = malloc(units * F * sizeof *t->whole);
    t->features = malloc(B * F * T * sizeof *t->features);
    t->degree = malloc(B * T * sizeof *t->degree);
    t->colour = malloc(B * T * sizeof *t->colour);
    t->log_degree = malloc(units * DEGREES * sizeof *t->log_degree);
    t->log_colour = malloc(units * COLOURS * sizeof *t->log_colour);
    if (!t->first || !t->melody || !t->whole || !t->features || !t->degree || !t->colour || !t->log_degree || !t->log_colour)
        return bl_fail(err, BL_ENOMEM, "no memory for training");
    t->first[0] = 0;
    for (int i = 0; i < t->songs->n; i++)
        t->first[i + 1] = t->first[i] + (t->songs->songs[i].held_out ? 0 : t->songs->songs[i].n_units);
    if (t->first[t->songs->n] < 1)
        return bl_fail(err, BL_EFORMAT, "there is no song to train on");
    return BL_OK;
}

blocks_harmonizer_trainer *blocks_harmonizer_trainer_new(blocks_harmonizer *h, const blocks_melody_songs *songs, uint64_t seed, bl_error *err)
{
    char path[BL_PATH_MAX];
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    blocks_harmonizer_trainer *t = calloc(1, sizeof *t);
    if (!t) {
        bl_fail(e, BL_ENOMEM, "no memory for training");
        return NULL;
    }
    t->h = h;
    t->songs = songs;
    if (read_settings(h->config, &t->set, e) != BL_OK || make_buffers(t, e) != BL_OK ||
        bl_find_shipped(path, "configs/harmony.ini", e) != BL_OK || !(t->table = music_harmony_table_load(path, e)) ||
        nn_trainer_start(&t->run, h->params, &t->set.run, seed ^ 0x6861726du, e) != BL_OK) {
        blocks_harmonizer_trainer_free(t);
        return NULL;
    }
    blocks_harmonizer_count(songs, &h->habits);
    return t;
}

/* ---- a step ---- */

/* The melody as a listener might hear it. Returns the number of notes. */
static int mishear(blocks_harmonizer_trainer *t, const blocks_melody_song *s)
{
    int n = 0;
    for (int i = 0; i < s->n_melody; i++) {
        music_note note = s->melody[i];
        const double lost = bl_rng_uniform(&t->run.rng), wrong = bl_rng_uniform(&t->run.rng), late = t->set.late * bl_rng_normal(&t->run.rng);
        if (lost < t->set.lost)
            continue;
        if (wrong < t->set.wrong)
            note.pitch += wrong < 0.5 * t->set.wrong ? -1 : 1;
        note.onset_s += fmin(late, 0.5 * (note.offset_s - note.onset_s));
        t->melody[n++] = note;
    }
    return n;
}

/* How far the key is out this time, semitones. */
static int wrong_key(blocks_harmonizer_trainer *t)
{
    static const int out[] = { 5, 7, 5, 7, 1, 11, 2, 10 };
    const double uniform = bl_rng_uniform(&t->run.rng);
    const int64_t which = bl_rng_below(&t->run.rng, sizeof out / sizeof *out);
    return uniform < t->set.wrong_key ? out[which] : 0;
}

/* Example b: a stretch of a song; behind a song's end there is nothing. */
static void fill_example(blocks_harmonizer_trainer *t, int b)
{
    const int T = t->set.n_units;
    int64_t at;
    const int which = bl_rng_pick(&t->run.rng, t->first, t->songs->n, &at);
    const blocks_melody_song *s = &t->songs->songs[which];
    const int n = s->n_units, n_melody = mishear(t, s), out = wrong_key(t);
    music_key key = { (s->key.tonic + out) % 12, s->key.minor };
    if (bl_rng_uniform(&t->run.rng) < t->set.wrong_mode) /* the relative key: do stays */
        key = (music_key){ (key.tonic + (key.minor ? 3 : 9)) % 12, !key.minor };
    blocks_harmonizer_features(s->units, n, t->melody, n_melody, key, t->whole);
    int start = (int)at - T / 2;
    start = start > n - T ? n - T : start;
    start = start < 0 ? 0 : start;
    for (int j = 0; j < T; j++) {
        const int k = start + j, degree = k < n ? s->degree[k] : -1;
        for (int f = 0; f < F; f++)
            t->features[((int64_t)b * F + f) * T + j] = k < n ? t->whole[f * n + k] : 0;
        t->degree[b * T + j] = degree < 0 ? (float)UNKNOWN : (float)((degree + 3 * (12 - out)) % DEGREES);
        t->colour[b * T + j] = degree < 0 ? (float)UNKNOWN : (float)s->colour[k];
    }
}

/* Adds the gradients of one batch; losses [2]. */
static bl_status learn_batch(void *user, double *losses, bl_error *err)
{
    blocks_harmonizer_trainer *t = user;
    const int64_t B = t->set.batch_size, T = t->set.n_units;
    nn_tape *tape = t->run.tape;
    nn_node *said[2], *loss[2];
    for (int b = 0; b < B && !tape->dry; b++)
        fill_example(t, b);
    nn_tape_reset(tape);
    blocks_harmonizer_forward(t->h, tape, nn_input(tape, (nn_shape){ 3, { B, F, T } }, t->features), said);
    loss[0] = nn_cross_entropy_with(tape, said[0], nn_input(tape, (nn_shape){ 2, { B, T } }, t->degree), NULL, UNKNOWN,
                                    t->set.label_smoothing);
    loss[1] = nn_cross_entropy_with(tape, said[1], nn_input(tape, (nn_shape){ 2, { B, T } }, t->colour), NULL, UNKNOWN, 0);
    for (int i = 0; i < 2; i++)
        nn_keep(loss[i]);
    nn_backward(tape, nn_add(tape, loss[0], nn_affine(tape, loss[1], t->set.colour_weight, 0)));
    if (tape->err.code)
        return bl_fail(err, tape->err.code, "%s", tape->err.msg);
    for (int i = 0; i < 2; i++)
        losses[i] = nn_scalar(loss[i]);
    return BL_OK;
}

void blocks_harmonizer_trainer_plan(blocks_harmonizer_trainer *t, nn_plan *plan)
{
    nn_trainer_plan(&t->run, learn_batch, t, plan);
}

bl_status blocks_harmonizer_trainer_step(blocks_harmonizer_trainer *t, double losses[2], double *gradient_norm, bl_error *err)
{
    return nn_trainer_step(&t->run, learn_batch, t, losses, 2, &t->h->step, gradient_norm, err);
}

/* ---- figures ---- */

/* Share of the singing that is a tone of the triad in its unit; degree [n]. */
static double chord_tones(const blocks_melody_song *s, const signed char *degree)
{
    double in = 0, all = 0;
    const int home = music_do(s->key);
    for (int i = 0; i < s->n_melody; i++)
        for (int k = 0; k < s->n_units; k++) {
            const double overlap = fmin(s->melody[i].offset_s, s->units[k].end_s) - fmax(s->melody[i].onset_s, s->units[k].start_s);
            if (overlap <= 0 || degree[k] < 0 || s->degree[k] < 0)
                continue;
            all += overlap;
            in += music_chord_classes(music_degree_chord(degree[k], home)) >> s->melody[i].pitch % 12 & 1 ? overlap : 0;
        }
    return all > 0 ? in / all : 0;
}

/* Time for which root and triad are the human's. */
static void agreement(const blocks_melody_song *s, const signed char *degree, double *root, double *majmin)
{
    double same_root = 0, same = 0, all = 0, all_majmin = 0;
    for (int k = 0; k < s->n_units; k++) {
        const double length = s->units[k].end_s - s->units[k].start_s;
        if (s->degree[k] < 0)
            continue;
        all += length;
        same_root += degree[k] / 3 == s->degree[k] / 3 ? length : 0;
        if (s->degree[k] % 3 == 2 || s->colour[k] >= MUSIC_SUSPENDED_2)
            continue;
        all_majmin += length;
        same += degree[k] == s->degree[k] ? length : 0;
    }
    *root += all > 0 ? same_root / all : 0;
    *majmin += all_majmin > 0 ? same / all_majmin : 0;
}

static void degrees_of(const blocks_melody_song *s, const music_chord_span *spans, int n_spans, signed char *degree)
{
    for (int k = 0, i = 0; k < s->n_units; k++) {
        music_chord chord = { -1, MUSIC_MAJ, -1 };
        while (i + 1 < n_spans && spans[i].end_s <= s->units[k].start_s + 1e-9)
            i++;
        degree[k] = (signed char)(music_chord_parse(spans[i].name, &chord) ? music_chord_degree(chord, music_do(s->key)) : -1);
    }
}

static bl_status score_song(blocks_harmonizer_trainer *t, const blocks_melody_song *s, blocks_harmonizer_score *score, bl_error *err)
{
    const music_harmony_input in = { .beats_s = s->beats_s, .n_beats = s->n_beats, .is_downbeat = s->is_downbeat,
                                     .beats_per_bar = s->beats_per_bar, .melody = s->melody, .n_melody = s->n_melody, .key = s->key,
                                     .genre = "pop", .start_s = s->units[0].start_s, .end_s = s->units[s->n_units - 1].end_s };
    music_chord_span *spans = NULL;
    int n_spans = 0, known = 0;
    double loss = 0;
    blocks_harmonizer_features(s->units, s->n_units, s->melody, s->n_melody, s->key, t->whole);
    if (blocks_harmonizer_listen(t->h, t->whole, s->n_units, t->log_degree, t->log_colour, err) != BL_OK ||
        music_harmony_path(t->table, &t->h->habits, &in, s->units, s->n_units, t->log_degree, t->log_colour, &spans, &n_spans, err) != BL_OK)
        return err->code;
    signed char *ours = malloc((size_t)s->n_units), *tonic = malloc((size_t)s->n_units);
    if (ours && tonic) {
        degrees_of(s, spans, n_spans, ours);
        for (int k = 0; k < s->n_units; k++) {
            tonic[k] = s->key.minor ? 28 : 0;
            if (s->degree[k] >= 0) {
                loss -= (double)t->log_degree[k * DEGREES + s->degree[k]];
                known++;
            }
        }
        agreement(s, ours, &score->root, &score->majmin);
        agreement(s, tonic, &score->tonic_root, &score->tonic_majmin);
        score->chord_tones += chord_tones(s, ours);
        score->human_chord_tones += chord_tones(s, s->degree);
        score->loss += known ? loss / known : 0;
        score->n_songs++;
    } else
        bl_fail(err, BL_ENOMEM, "no memory for figures");
    free(ours);
    free(tonic);
    free(spans);
    return err->code;
}

bl_status blocks_harmonizer_trainer_validate(blocks_harmonizer_trainer *t, blocks_harmonizer_score *score, bl_error *err)
{
    int n_held_out = 0;
    bl_status status = BL_OK;
    *score = (blocks_harmonizer_score){ 0 };
    for (int i = 0; i < t->songs->n; i++)
        n_held_out += t->songs->songs[i].held_out;
    nn_trainer_swap(&t->run);
    for (int i = 0; i < t->songs->n && status == BL_OK; i++)
        if (!n_held_out || t->songs->songs[i].held_out)
            status = score_song(t, &t->songs->songs[i], score, err);
    nn_trainer_swap(&t->run);
    double *const mean[] = { &score->loss, &score->root, &score->majmin, &score->tonic_root, &score->tonic_majmin, &score->chord_tones,
                             &score->human_chord_tones };
    for (size_t i = 0; i < sizeof mean / sizeof *mean; i++)
        *mean[i] /= score->n_songs ? score->n_songs : 1;
    if (status == BL_OK)
        nn_schedule_watch(&t->run.schedule, score->loss);
    return status;
}

/* ---- checkpoints ---- */

bl_status blocks_harmonizer_trainer_put(const blocks_harmonizer_trainer *t, int with_optimizer, nn_checkpoint *c, bl_error *err)
{
    if (!with_optimizer)
        nn_trainer_swap(&t->run);
    const bl_status status = blocks_harmonizer_put(t->h, c, err);
    if (!with_optimizer)
        nn_trainer_swap(&t->run);
    return status == BL_OK && with_optimizer ? nn_trainer_save(&t->run, c, err) : status;
}

bl_status blocks_harmonizer_trainer_get(blocks_harmonizer_trainer *t, const nn_checkpoint *c, bl_error *err)
{
    return nn_trainer_load(&t->run, c, "arranger_training", &t->h->step, err);
}
