#include "blocks/drummer.h"

#include "blocks/config_defaults.h"
#include "nn/trainer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char shipped_config[] = "configs/drummer.ini";
static const char *const settings[] = { "drummer", NULL }, *const networks[] = { "drummer_network", NULL };

/* ---- building ---- */

static bl_status read_styles(blocks_drummer *d, bl_error *err)
{
    const char *p = bl_config_str(d->config, "drummer", "styles", "");
    while (*(p += strspn(p, " ,"))) {
        const size_t n = strcspn(p, " ,");
        char *name = d->n_styles < BLOCKS_DRUMMER_STYLES ? malloc(n + 1) : NULL;
        if (!name)
            return bl_fail(err, d->n_styles < BLOCKS_DRUMMER_STYLES ? BL_ENOMEM : BL_EARG, "%s: [drummer] styles: at most %d names",
                           bl_config_name(d->config), BLOCKS_DRUMMER_STYLES);
        memcpy(name, p, n);
        name[n] = '\0';
        d->styles[d->n_styles++] = name;
        p += n;
    }
    return d->n_styles ? BL_OK : bl_fail(err, BL_EARG, "%s: [drummer] styles: no names", bl_config_name(d->config));
}

static bl_status build(blocks_drummer *d, bl_error *err)
{
    const char *name = bl_config_name(d->config);
    d->spread = bl_config_real(d->config, "drummer", "spread", 1, 0, 2, err);
    d->together = bl_config_real(d->config, "drummer", "together", 0.5, 0, 1, err);
    if (err->code || read_styles(d, err) != BL_OK || !(d->params = nn_params_new(err)) ||
        !(d->net = nn_network_build(d->config, "drummer_network", d->params, err)))
        return err->code;
    const nn_shape out = nn_network_output_shape(d->net, 0);
    const nn_shape in = nn_network_n_inputs(d->net) == 3 ? nn_network_input_shape(d->net, 0) : (nn_shape){ 0, { 0 } };
    if (in.rank != 2 || in.dim[0] != BLOCKS_STROKE_FEATURES || in.dim[1] >= 0 ||
        nn_network_input_shape(d->net, 1).dim[0] != 1 || nn_network_input_shape(d->net, 2).dim[0] != 1)
        return bl_fail(err, BL_ESHAPE, "%s: [drummer_network] must have the inputs strokes = %d, T, style = 1 and length = 1", name,
                       BLOCKS_STROKE_FEATURES);
    const int channels = 3 * BLOCKS_DRUMMER_MIXTURE * BLOCKS_DRUMMER_TARGETS;
    if (nn_network_n_outputs(d->net) != 1 || out.rank != 2 || out.dim[0] != channels || out.dim[1] >= 0)
        return bl_fail(err, BL_ESHAPE, "%s: [drummer_network] must give %d channels over time, gives %lld", name, channels,
                       (long long)out.dim[0]);
    const int rows = nn_network_reads_index(d->net, 1);
    if (rows && rows <= d->n_styles)
        return bl_fail(err, BL_ESHAPE, "%s: [drummer_network] has an embedding of %d styles, [drummer] styles names %d and there is \"any\"",
                       name, rows, d->n_styles);
    if (nn_params_finish(d->params, err) != BL_OK || !(d->tape = nn_tape_new(err)))
        return err->code;
    nn_tape_record(d->tape, 0);
    return BL_OK;
}

/* Takes config. */
static blocks_drummer *make(bl_config *config, uint64_t seed, bl_error *err)
{
    blocks_drummer *d = config ? calloc(1, sizeof *d) : NULL;
    if (!d) {
        bl_fail(err, BL_ENOMEM, "no memory for the drummer");
        bl_config_free(config);
        return NULL;
    }
    d->config = config;
    if (build(d, err) != BL_OK) {
        blocks_drummer_free(d);
        return NULL;
    }
    nn_params_init(d->params, seed);
    return d;
}

blocks_drummer *blocks_drummer_new(const bl_config *config, uint64_t seed, bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    return make(blocks_config_filled(config, shipped_config, settings, networks, e), seed, e);
}

void blocks_drummer_free(blocks_drummer *d)
{
    if (!d)
        return;
    for (int i = 0; i < d->n_styles; i++)
        free(d->styles[i]);
    nn_network_free(d->net);
    nn_params_free(d->params);
    nn_tape_free(d->tape);
    bl_config_free(d->config);
    free(d);
}

/* ---- checkpoints ---- */

bl_status blocks_drummer_put(const blocks_drummer *d, nn_checkpoint *c, bl_error *err)
{
    char *text = bl_config_text(d->config);
    if (!text)
        return bl_fail(err, BL_ENOMEM, "no memory for the checkpoint");
    nn_checkpoint_put_text(c, "config", text, err);
    free(text);
    return nn_params_save(d->params, c, "", err);
}

blocks_drummer *blocks_drummer_get(const nn_checkpoint *c, bl_error *err)
{
    bl_error local = { 0 };
    bl_error *e = err ? err : &local;
    char *text = nn_checkpoint_get_text(c, "config", e);
    bl_config *config = text ? bl_config_parse(text, nn_checkpoint_path(c), e) : NULL;
    blocks_drummer *d = config ? make(config, 0, e) : NULL;
    free(text);
    if (d && nn_params_load(d->params, c, nn_trainer_prefix(c), e) != BL_OK) {
        blocks_drummer_free(d);
        return NULL;
    }
    if (d)
        d->step = nn_checkpoint_get_int(c, "step", 0, e);
    return d;
}

blocks_drummer *blocks_drummer_load(const char *path, bl_error *err)
{
    nn_checkpoint *c = nn_checkpoint_open(path, "drummer", err);
    blocks_drummer *d = c ? blocks_drummer_get(c, err) : NULL;
    nn_checkpoint_free(c);
    return d;
}

/* ---- playing ---- */

int blocks_drummer_style(const blocks_drummer *d, const char *name)
{
    const size_t n = strcspn(name, "/");
    for (int i = 0; i < d->n_styles; i++)
        if (strlen(d->styles[i]) == n && !strncmp(d->styles[i], name, n))
            return i + 1;
    return n == 3 && !strncmp(name, "any", n) ? 0 : -1;
}

void blocks_drummer_forward(blocks_drummer *d, nn_tape *tape, nn_node *const in[3], nn_node *out[3])
{
    const int64_t part = BLOCKS_DRUMMER_MIXTURE * BLOCKS_DRUMMER_TARGETS, B = in[0] ? in[0]->shape.dim[0] : 1, T = in[0] ? in[0]->shape.dim[2] : 1;
    nn_node *y = nn_expect(tape, nn_network_run(d->net, tape, in, NULL), nn_shape_of(3, B, 3 * part, T), "strokes");
    for (int k = 0; k < 3; k++) {
        nn_node *slice = nn_slice(tape, y, 1, k * part, (k + 1) * part);
        out[k] = nn_reshape(tape, slice, nn_shape_of(4, B, (int64_t)BLOCKS_DRUMMER_MIXTURE, (int64_t)BLOCKS_DRUMMER_TARGETS, T));
    }
    /* The narrowest peak that is learned: 0.02 of the velocity, 0.02 sixteenths. */
    out[2] = nn_clamp(tape, out[2], -4, 1);
}

/* A draw from the mixture of one target at stroke t: component by u, within it z deviations from its mean, all of it drawn
 * nearer to the mixture's mean by `spread`. */
static double draw(nn_node *const y[3], int64_t target, int64_t t, int64_t T, double spread, double u, double z)
{
    double weight[BLOCKS_DRUMMER_MIXTURE], sum = 0, mean = 0, most = -1e30;
    int    k = 0;
    for (int i = 0; i < BLOCKS_DRUMMER_MIXTURE; i++)
        most = fmax(most, (double)y[0]->x[(i * BLOCKS_DRUMMER_TARGETS + target) * T + t]);
    for (int i = 0; i < BLOCKS_DRUMMER_MIXTURE; i++)
        sum += weight[i] = exp((double)y[0]->x[(i * BLOCKS_DRUMMER_TARGETS + target) * T + t] - most);
    for (int i = 0; i < BLOCKS_DRUMMER_MIXTURE; i++)
        mean += weight[i] / sum * (double)y[1]->x[(i * BLOCKS_DRUMMER_TARGETS + target) * T + t];
    for (u *= sum; k + 1 < BLOCKS_DRUMMER_MIXTURE && u >= weight[k]; k++)
        u -= weight[k];
    const int64_t at = (k * BLOCKS_DRUMMER_TARGETS + target) * T + t;
    const double drawn = (double)y[1]->x[at] + exp((double)y[2]->x[at]) * z;
    return mean + spread * (drawn - mean);
}

/* Two standard normals of which `together` is one and the same. */
static double blend(double common, double own, double together)
{
    return sqrt(together) * common + sqrt(1 - together) * own;
}

bl_status blocks_drummer_play(blocks_drummer *d, const blocks_stroke *strokes, int n, int style, int with_accents, double spread,
                              uint64_t seed, blocks_stroke *played, bl_error *err)
{
    if (n == 0)
        return BL_OK;
    const float which = (float)style, length = (float)n;
    float *x = malloc((size_t)n * BLOCKS_STROKE_FEATURES * sizeof *x);
    bl_rng rng;
    if (!x)
        return bl_fail(err, BL_ENOMEM, "no memory for %d strokes", n);
    blocks_strokes_features(strokes, n, with_accents, 0, x, n);
    nn_tape_reset(d->tape);
    nn_node *const in[3] = { nn_input(d->tape, (nn_shape){ 3, { 1, BLOCKS_STROKE_FEATURES, n } }, x),
                             nn_input(d->tape, (nn_shape){ 2, { 1, 1 } }, &which), nn_input(d->tape, (nn_shape){ 2, { 1, 1 } }, &length) };
    nn_node *y[3];
    blocks_drummer_forward(d, d->tape, in, y);
    free(x);
    if (d->tape->err.code)
        return bl_fail(err, d->tape->err.code, "drummer: %s", d->tape->err.msg);
    memcpy(played, strokes, (size_t)n * sizeof *played);
    bl_rng_seed(&rng, seed ^ 0x6472756du);
    for (int t = 0; t < n; t++) {
        /* the same numbers of draws for every stroke: a change in one leaves those of the others */
        const double hard = bl_rng_normal(&rng), late = bl_rng_normal(&rng);
        for (int c = 0; c < MUSIC_DRUM_CLASSES; c++) {
            const double u = bl_rng_uniform(&rng), v = bl_rng_uniform(&rng), a = bl_rng_normal(&rng), b = bl_rng_normal(&rng);
            if (!strokes[t].hit[c])
                continue;
            const double velocity = draw(y, c, t, n, spread, u, blend(hard, a, d->together));
            const double offset = draw(y, MUSIC_DRUM_CLASSES + c, t, n, spread, v, blend(late, b, d->together));
            played[t].velocity[c] = (float)fmin(fmax(velocity, 0.02), 1);
            played[t].offset[c] = (float)fmin(fmax(offset, -0.6), 0.6);
        }
    }
    return BL_OK;
}

/* ---- the arranger's drummer ---- */

static bl_status unknown_manner(const blocks_drummer *d, const char *manner, bl_error *err)
{
    char list[160] = "any";
    for (int i = 0; i < d->n_styles; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), ", %s", d->styles[i]);
    return bl_fail(err, BL_EARG, "the drummer has no manner \"%.31s\"; there are %s", manner, list);
}

static bl_status play(void *user, const char *manner, uint64_t seed, music_drum_hit *hits, int n_hits, bl_error *err)
{
    blocks_drummer *d = user;
    blocks_stroke  *strokes = NULL;
    const int       style = blocks_drummer_style(d, manner);
    if (style < 0)
        return unknown_manner(d, manner, err);
    int *stroke_of = malloc(((size_t)n_hits + 1) * sizeof *stroke_of);
    const int n = stroke_of ? blocks_strokes_take(hits, n_hits, &strokes, stroke_of) : -1;
    blocks_stroke *played = n >= 0 ? calloc((size_t)n + 1, sizeof *played) : NULL;
    bl_status status = played ? blocks_drummer_play(d, strokes, n, style, 1, d->spread, seed, played, err)
                              : bl_fail(err, BL_ENOMEM, "no memory for %d drum hits", n_hits);
    for (int i = 0; i < n_hits && status == BL_OK; i++) {
        const blocks_stroke *s = &played[stroke_of[i]];
        const int drum = music_drum_class_of(hits[i].drum);
        hits[i].velocity = fmin(fmax(127 * (double)s->velocity[drum], 1), 127);
        hits[i].late_s = (double)s->offset[drum] * 15 / (double)s->bpm;
    }
    free(strokes);
    free(stroke_of);
    free(played);
    return status;
}

music_drummer blocks_drummer_hook(blocks_drummer *d)
{
    return (music_drummer){ play, d };
}
