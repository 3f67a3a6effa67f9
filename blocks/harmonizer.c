#include "blocks/harmonizer.h"

#include "blocks/config_defaults.h"
#include "nn/trainer.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char shipped_config[] = "configs/arranger.ini";
static const char *const settings[] = { "arranger_training", NULL }, *const networks[] = { "arranger", NULL };

enum { F = BLOCKS_HARMONIZER_FEATURES, DEGREES = MUSIC_DEGREES, COLOURS = MUSIC_COLOURS };
enum { FIRST_HALF = 0, SECOND_HALF = 12, AT_START = 24, WHOLE_SONG = 36, HEIGHT = 48, ONSETS, SUNG, MID_BAR, MINOR, BEFORE, BEHIND, BAR,
       START = BAR + 4 };
_Static_assert(START + 1 == F, "every feature has a place");

/* ---- building ---- */

static bl_status check_form(const blocks_harmonizer *h, bl_error *err)
{
    static const int channels[2] = { DEGREES, COLOURS };
    const nn_shape in = nn_network_n_inputs(h->net) == 1 ? nn_network_input_shape(h->net, 0) : (nn_shape){ 0, { 0 } };
    if (in.rank != 2 || in.dim[0] != F || in.dim[1] >= 0)
        return bl_fail(err, BL_ESHAPE, "%s: [arranger] must have one input, input.melody = %d, T", bl_config_name(h->config), F);
    if (nn_network_n_outputs(h->net) != 2)
        return bl_fail(err, BL_ESHAPE, "%s: [arranger] must have two outputs, output = degree, colour", bl_config_name(h->config));
    for (int i = 0; i < 2; i++) {
        const nn_shape s = nn_network_output_shape(h->net, i);
        if (s.rank != 2 || s.dim[0] != channels[i] || s.dim[1] >= 0)
            return bl_fail(err, BL_ESHAPE, "%s: [arranger] output %d of 2 (degree, colour) must be [%d, T]", bl_config_name(h->config),
                           i + 1, channels[i]);
    }
    return BL_OK;
}

static void no_habits(music_harmony_habits *h)
{
    for (int m = 0; m < 2; m++) {
        for (int i = 0; i < DEGREES; i++) {
            h->share[m][i] = -(float)log(DEGREES);
            for (int j = 0; j < DEGREES; j++)
                h->move[m][i][j] = -(float)log(DEGREES - 1);
        }
        for (int d = 0; d < MUSIC_LONGEST_CHORD; d++)
            h->length[m][d] = -(float)log(MUSIC_LONGEST_CHORD);
    }
}

/* Takes config. */
static blocks_harmonizer *make(bl_config *config, uint64_t seed, bl_error *err)
{
    blocks_harmonizer *h = config ? calloc(1, sizeof *h) : NULL;
    if (!h) {
        if (!err->code)
            bl_fail(err, BL_ENOMEM, "no memory for the harmonizer");
        bl_config_free(config);
        return NULL;
    }
    h->config = config;
    if (!(h->params = nn_params_new(err)) || !(h->net = nn_network_build(config, "arranger", h->params, err)) ||
        check_form(h, err) != BL_OK || nn_params_finish(h->params, err) != BL_OK || !(h->tape = nn_tape_new(err))) {
        blocks_harmonizer_free(h);
        return NULL;
    }
    nn_tape_record(h->tape, 0);
    nn_params_init(h->params, seed);
    no_habits(&h->habits);
    return h;
}

blocks_harmonizer *blocks_harmonizer_new(const bl_config *config, uint64_t seed, bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    return make(blocks_config_filled(config, shipped_config, settings, networks, e), seed, e);
}

void blocks_harmonizer_free(blocks_harmonizer *h)
{
    if (!h)
        return;
    nn_network_free(h->net);
    nn_params_free(h->params);
    nn_tape_free(h->tape);
    bl_config_free(h->config);
    free(h);
}

/* ---- checkpoints ---- */

static const struct {
    const char *name;
    int         rank;
    int64_t     dims[3];
    size_t      at;
} habit_tables[] = {
    { "habits/share", 2, { 2, DEGREES }, offsetof(music_harmony_habits, share) },
    { "habits/move", 3, { 2, DEGREES, DEGREES }, offsetof(music_harmony_habits, move) },
    { "habits/length", 2, { 2, MUSIC_LONGEST_CHORD }, offsetof(music_harmony_habits, length) },
};
enum { N_TABLES = sizeof habit_tables / sizeof *habit_tables };

bl_status blocks_harmonizer_put(const blocks_harmonizer *h, nn_checkpoint *out, bl_error *err)
{
    char *text = bl_config_text(h->config);
    if (!text)
        return bl_fail(err, BL_ENOMEM, "no memory for the checkpoint");
    nn_checkpoint_put_text(out, "config", text, err);
    free(text);
    nn_checkpoint_put_int(out, "step", h->step, err);
    for (int i = 0; i < N_TABLES; i++)
        nn_checkpoint_put(out, habit_tables[i].name, NN_F32, habit_tables[i].rank, habit_tables[i].dims,
                          (const char *)&h->habits + habit_tables[i].at, err);
    return nn_params_save(h->params, out, "", err);
}

static bl_status get_habits(blocks_harmonizer *h, const nn_checkpoint *k, bl_error *err)
{
    for (int i = 0; i < N_TABLES; i++) {
        int64_t n = 1;
        float *values = nn_checkpoint_get(k, habit_tables[i].name, NN_F32, habit_tables[i].rank, habit_tables[i].dims, NULL, err);
        if (!values)
            return err->code;
        for (int d = 0; d < habit_tables[i].rank; d++)
            n *= habit_tables[i].dims[d];
        for (int64_t j = 0; j < n; j++)
            if (!(values[j] <= 0)) /* also NaN */
                bl_fail(err, BL_EFORMAT, "%s: %s: value %lld is %g, no log-probability", nn_checkpoint_path(k), habit_tables[i].name,
                        (long long)j, (double)values[j]);
        memcpy((char *)&h->habits + habit_tables[i].at, values, (size_t)n * sizeof *values);
        free(values);
    }
    return err->code;
}

blocks_harmonizer *blocks_harmonizer_get(const nn_checkpoint *k, bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    char *text = nn_checkpoint_get_text(k, "config", e);
    bl_config *config = text ? bl_config_parse(text, nn_checkpoint_path(k), e) : NULL;
    blocks_harmonizer *h = config ? make(config, 0, e) : NULL;
    if (h && (nn_params_load(h->params, k, nn_trainer_prefix(k), e) != BL_OK || get_habits(h, k, e) != BL_OK)) {
        blocks_harmonizer_free(h);
        h = NULL;
    }
    if (h)
        h->step = nn_checkpoint_get_int(k, "step", 0, e);
    free(text);
    return h;
}

blocks_harmonizer *blocks_harmonizer_load(const char *path, bl_error *err)
{
    nn_checkpoint *k = nn_checkpoint_open(path, "arranger", err);
    blocks_harmonizer *h = k ? blocks_harmonizer_get(k, err) : NULL;
    nn_checkpoint_free(k);
    return h;
}

/* ---- what the network sees ---- */

static int class_from(int pitch, int home)
{
    return ((pitch - home) % 12 + 12) % 12;
}

/* What a note says of unit k; heights [n]: pitch times share. */
static void hear(const music_harmony_unit *u, int k, int n, const music_note *note, int class, float *x, float *heights)
{
    const double length = u[k].end_s - u[k].start_s, middle = u[k].start_s + 0.5 * length;
    const double first = fmax(0, fmin(note->offset_s, middle) - fmax(note->onset_s, u[k].start_s));
    const double second = fmax(0, fmin(note->offset_s, u[k].end_s) - fmax(note->onset_s, middle));
    const double early = 0.05 * length; /* a singer's beat is not the bar line's to the sample */
    x[(FIRST_HALF + class) * n + k] += (float)(2 * first / length);
    x[(SECOND_HALF + class) * n + k] += (float)(2 * second / length);
    if (note->onset_s <= u[k].start_s + early && note->offset_s > u[k].start_s + 2.5 * early)
        x[(AT_START + class) * n + k] = 1;
    if (note->onset_s >= u[k].start_s - early && note->onset_s < u[k].end_s - early)
        x[ONSETS * n + k] += 0.25f;
    x[SUNG * n + k] += (float)((first + second) / length);
    heights[k] += (float)(note->pitch * (first + second) / length);
}

/* What needs all notes to be known. */
static void look_back(const music_harmony_unit *u, int n, double mean_pitch, int minor, const float *heights, float *x)
{
    double classes[12] = { 0 }, all = 0;
    int first = n, last = -1;
    for (int k = 0; k < n; k++) {
        const float sung = x[SUNG * n + k];
        if (sung > 0) {
            first = k < first ? k : first;
            last = k;
            x[HEIGHT * n + k] = (float)((double)(heights[k] / sung) - mean_pitch) / 12;
        }
        for (int c = 0; c < 12; c++) {
            classes[c] += (double)(x[(FIRST_HALF + c) * n + k] + x[(SECOND_HALF + c) * n + k]);
            x[(FIRST_HALF + c) * n + k] = fminf(x[(FIRST_HALF + c) * n + k], 2);
            x[(SECOND_HALF + c) * n + k] = fminf(x[(SECOND_HALF + c) * n + k], 2);
        }
        x[ONSETS * n + k] = fminf(x[ONSETS * n + k], 4);
        x[SUNG * n + k] = fminf(sung, 2);
        x[MID_BAR * n + k] = (float)u[k].mid_bar;
        x[MINOR * n + k] = (float)minor;
    }
    for (int c = 0; c < 12; c++)
        all += classes[c];
    first = first == n ? 0 : first;
    for (int k = 0; k < n; k++) {
        for (int c = 0; c < 12; c++)
            x[(WHOLE_SONG + c) * n + k] = all > 0 ? (float)(4 * classes[c] / all) : 0;
        x[BEFORE * n + k] = (float)(last >= 0 && k < first);
        x[BEHIND * n + k] = (float)(last >= 0 && k > last);
        x[(BAR + ((u[k].bar - u[first].bar) % 4 + 4) % 4) * n + k] = 1;
    }
    x[START * n] = 1;
}

void blocks_harmonizer_features(const music_harmony_unit *u, int n, const music_note *melody, int n_melody, music_key key, float *x)
{
    const int home = music_do(key);
    float *heights = x + HEIGHT * n; /* pitches until look_back makes heights of them */
    double mean_pitch = 0;
    memset(x, 0, (size_t)F * (size_t)n * sizeof *x);
    for (int i = 0; i < n_melody; i++) {
        int low = 0, high = n - 1; /* the first unit that ends behind the onset */
        while (low < high) {
            const int middle = (low + high) / 2;
            if (u[middle].end_s > melody[i].onset_s)
                high = middle;
            else
                low = middle + 1;
        }
        /* A note that comes a little early belongs to the unit that it is meant for, too. */
        for (int k = low; k < n && (u[k].start_s < melody[i].offset_s); k++)
            hear(u, k, n, &melody[i], class_from(melody[i].pitch, home), x, heights);
        mean_pitch += (double)melody[i].pitch / n_melody;
    }
    look_back(u, n, mean_pitch, key.minor != 0, heights, x);
}

/* ---- running ---- */

void blocks_harmonizer_forward(blocks_harmonizer *h, nn_tape *tape, nn_node *features, nn_node *out[2])
{
    out[0] = out[1] = NULL;
    nn_network_run(h->net, tape, &features, out);
}

/* Column t of logits [n, T] to a row of log-probabilities. */
static void log_softmax(const real *logits, int n, int T, int t, float *row)
{
    double top = -HUGE_VAL, sum = 0;
    for (int k = 0; k < n; k++)
        top = fmax(top, (double)logits[k * T + t]);
    for (int k = 0; k < n; k++)
        sum += exp((double)logits[k * T + t] - top);
    for (int k = 0; k < n; k++)
        row[k] = (float)((double)logits[k * T + t] - top - log(sum));
}

bl_status blocks_harmonizer_listen(blocks_harmonizer *h, const float *features, int n, float *log_degree, float *log_colour, bl_error *err)
{
    nn_node *said[2];
    nn_tape_reset(h->tape);
    blocks_harmonizer_forward(h, h->tape, nn_input(h->tape, (nn_shape){ 3, { 1, F, n } }, features), said);
    nn_expect(h->tape, said[0], nn_shape_of(3, (int64_t)1, (int64_t)DEGREES, (int64_t)n), "degree");
    nn_expect(h->tape, said[1], nn_shape_of(3, (int64_t)1, (int64_t)COLOURS, (int64_t)n), "colour");
    if (h->tape->err.code)
        return bl_fail(err, h->tape->err.code, "harmonizer: %s", h->tape->err.msg);
    for (int t = 0; t < n; t++) {
        log_softmax(said[0]->x, DEGREES, n, t, log_degree + t * DEGREES);
        log_softmax(said[1]->x, COLOURS, n, t, log_colour + t * COLOURS);
    }
    return BL_OK;
}

bl_status blocks_harmonizer_run(blocks_harmonizer *h, const music_harmony_table *table, const music_harmony_input *in,
                                music_chord_span **spans, int *n_spans, bl_error *err)
{
    music_harmony_unit *units = NULL;
    int n = 0;
    bl_status status = music_harmony_units(in, &units, &n, err);
    if (status != BL_OK)
        return status;
    float *features = malloc((size_t)n * F * sizeof *features);
    float *log_degree = malloc((size_t)n * DEGREES * sizeof *log_degree), *log_colour = malloc((size_t)n * COLOURS * sizeof *log_colour);
    if (!features || !log_degree || !log_colour)
        status = bl_fail(err, BL_ENOMEM, "no memory for chords of %d units", n);
    if (status == BL_OK) {
        blocks_harmonizer_features(units, n, in->melody, in->n_melody, in->key, features);
        status = blocks_harmonizer_listen(h, features, n, log_degree, log_colour, err);
    }
    if (status == BL_OK)
        status = music_harmony_path(table, &h->habits, in, units, n, log_degree, log_colour, spans, n_spans, err);
    free(units);
    free(features);
    free(log_degree);
    free(log_colour);
    return status;
}
