#include "blocks/segmenter_train.h"

#include "base/progress.h"
#include "data/instruments.h"
#include "nn/ops.h"
#include "nn/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { STEMS = BLOCKS_REGION_STEMS, LOOK_FRAMES = 384, LOOKS = 96 };

typedef struct settings {
    int    batch_size, stretches, n_frames, min_stems, max_stems;
    double gain_db, affinity, reconstruction;
    nn_trainer_config run;
} settings;

/* Some stems of a song at some levels, which add up to a mixture. */
typedef struct mixture {
    const blocks_region_song *song;
    int    n, stem[STEMS];
    float  gain[STEMS];
    double reference;
} mixture;

struct blocks_segmenter_trainer {
    blocks_segmenter *s;
    const blocks_region_songs *songs;
    nn_trainer    run;
    settings      set;
    int           n_stems;        /* rows of member: the most that a mixture has */
    int64_t       step;
    uint64_t      seed;
    float        *level, *weight, *member; /* a batch: [B, n_bands, T], [B, n_bands T], [B, n_stems, n_bands T] */
};

/* ---- songs -------------------------------------------------------------------------------------- */

void blocks_region_songs_free(blocks_region_songs *s)
{
    for (int i = 0; i < s->n; i++)
        for (int k = 0; k < s->songs[i].n_stems; k++)
            free(s->songs[i].power[k]);
    free(s->songs);
    memset(s, 0, sizeof *s);
}

bl_status blocks_region_songs_add(const blocks_regions *r, blocks_region_songs *songs, const float *const *stem, const int *family,
                                  int n_stems, int64_t n_samples, int held_out, bl_error *err)
{
    blocks_region_song *more = realloc(songs->songs, ((size_t)songs->n + 1) * sizeof *more);
    bl_status status = BL_OK;
    double loudest = 0;
    if (!more)
        return bl_fail(err, BL_ENOMEM, "no memory for %d songs", songs->n + 1);
    songs->songs = more;
    blocks_region_song *s = &more[songs->n];
    *s = (blocks_region_song){ .held_out = held_out };
    for (int k = 0; k < n_stems && s->n_stems < STEMS && status == BL_OK; k++) {
        status = blocks_regions_power(r, stem[k], n_samples, &s->power[s->n_stems], &s->n_frames, err);
        if (status != BL_OK)
            break;
        s->reference[s->n_stems] = blocks_regions_reference(r, s->power[s->n_stems], s->n_frames);
        loudest = s->reference[s->n_stems] > loudest ? s->reference[s->n_stems] : loudest;
        s->family[s->n_stems++] = family[k];
    }
    for (int k = s->n_stems - 1; k >= 0; k--)
        if (s->reference[k] <= 1e-6 * loudest) { /* silent: nothing to be found */
            free(s->power[k]);
            s->n_stems--;
            memmove(s->power + k, s->power + k + 1, (size_t)(s->n_stems - k) * sizeof *s->power);
            memmove(s->reference + k, s->reference + k + 1, (size_t)(s->n_stems - k) * sizeof *s->reference);
            memmove(s->family + k, s->family + k + 1, (size_t)(s->n_stems - k) * sizeof *s->family);
        }
    if (status != BL_OK || s->n_stems < 2) {
        for (int k = 0; k < s->n_stems; k++)
            free(s->power[k]);
        return status;
    }
    songs->n++;
    songs->n_training += !held_out;
    return BL_OK;
}

static bl_status add_song(const blocks_regions *r, data_dataset *d, const data_song *song, double seconds, blocks_region_songs *out,
                          bl_error *err)
{
    const int64_t most = (int64_t)(seconds * BLOCKS_REGIONS_RATE);
    float *stem[STEMS] = { 0 };
    int family[STEMS], n = 0;
    int64_t longest = 0;
    bl_status status = BL_OK;
    for (int i = 0; i < song->n_stems && n < STEMS && status == BL_OK; i++) {
        bl_error own = { 0 };
        const audio_clip *clip = data_dataset_audio(d, song->stems[i].path, BLOCKS_REGIONS_RATE, &own);
        if (!clip)
            continue; /* the dataset has said why */
        const int64_t length = clip->n_samples < most ? clip->n_samples : most;
        const int id = song->stems[i].instrument;
        if (!(stem[n] = calloc((size_t)most, sizeof **stem)))
            status = bl_fail(err, BL_ENOMEM, "%s: no memory", song->name);
        else
            memcpy(stem[n], clip->samples, (size_t)length * sizeof **stem);
        longest = length > longest ? length : longest;
        family[n++] = id >= 0 ? (int)data_instrument_at(id)->family : -1;
    }
    if (status == BL_OK && n >= 2 && longest > BLOCKS_REGIONS_FFT)
        status = blocks_region_songs_add(r, out, (const float *const *)stem, family, n, longest, song->split == DATA_VALIDATION, err);
    for (int i = 0; i < n; i++)
        free(stem[i]);
    return status;
}

bl_status blocks_region_songs_collect(const blocks_regions *r, data_dataset *dataset, double seconds, double max_minutes, int quiet,
                                      blocks_region_songs *out, bl_error *err)
{
    const double frames = max_minutes * 60 * BLOCKS_REGIONS_RATE / BLOCKS_REGIONS_HOP;
    double kept = 0;
    bl_status status = BL_OK;
    bl_progress progress;
    memset(out, 0, sizeof *out);
    bl_progress_start(&progress, "measuring", "songs", dataset->n_songs, quiet);
    for (int i = 0; i < dataset->n_songs && status == BL_OK && kept < frames && !bl_interrupted(); i++) {
        const int before = out->n;
        if (dataset->songs[i].n_stems >= 2)
            status = add_song(r, dataset, &dataset->songs[i], seconds, out, err);
        if (out->n > before)
            kept += (double)out->songs[before].n_stems * (double)out->songs[before].n_frames;
        bl_progress_step(&progress, i + 1, "");
    }
    bl_progress_end(&progress);
    if (status == BL_OK && bl_interrupted())
        status = bl_fail(err, BL_ESTOP, "interrupted while the dataset was read; nothing was written");
    if (status == BL_OK && out->n_training < 1)
        status = bl_fail(err, BL_EFORMAT, "%s: no song to learn from has two stems", dataset->path);
    if (status != BL_OK)
        blocks_region_songs_free(out);
    return status;
}

/* ---- mixtures ----------------------------------------------------------------------------------- */

static const blocks_region_song *draw_song(const blocks_segmenter_trainer *t, int held_out, bl_rng *rng)
{
    const int n = held_out ? t->songs->n - t->songs->n_training : t->songs->n_training;
    int64_t left = bl_rng_below(rng, n);
    for (int i = 0;; i++)
        if (t->songs->songs[i].held_out == held_out && left-- == 0)
            return &t->songs->songs[i];
}

static mixture draw_mixture(const blocks_segmenter_trainer *t, const blocks_region_song *song, bl_rng *rng)
{
    const int most = t->set.max_stems < song->n_stems ? t->set.max_stems : song->n_stems;
    const int least = t->set.min_stems < most ? t->set.min_stems : most;
    mixture m = { .song = song, .n = least + (int)bl_rng_below(rng, most - least + 1) };
    int64_t order[STEMS];
    for (int k = 0; k < song->n_stems; k++)
        order[k] = k;
    bl_rng_shuffle(rng, order, song->n_stems);
    for (int k = 0; k < m.n; k++) {
        m.stem[k] = (int)order[k];
        m.gain[k] = (float)pow(10, t->set.gain_db * bl_rng_normal(rng) / 10);
        m.reference += (double)m.gain[k] * song->reference[m.stem[k]];
    }
    return m;
}

static mixture whole_song(const blocks_region_song *song)
{
    mixture m = { .song = song, .n = song->n_stems };
    for (int k = 0; k < m.n; k++) {
        m.stem[k] = k;
        m.gain[k] = 1;
        m.reference += song->reference[k];
    }
    return m;
}

/* Powers, weights and members of frames first .. first + n of a mixture; behind its end it is silent.
 * power, weight [n_bands, n], member [rows, n_bands, n] (0 or the weight), owner [n_bands, n]; all but power may be NULL. */
static void mix_stretch(const blocks_regions *r, const mixture *m, int64_t first, int64_t n, int rows, float *power, float *weight,
                        float *member, int *owner)
{
    const int64_t T = m->song->n_frames, FN = r->n_bands * n;
    if (member)
        memset(member, 0, (size_t)rows * (size_t)FN * sizeof *member);
    for (int b = 0; b < r->n_bands; b++)
        for (int64_t i = 0; i < n; i++) {
            const int64_t at = b * n + i;
            float sum = 0, most = -1;
            int best = 0;
            for (int k = 0; k < m->n && first + i < T; k++) {
                const float p = m->gain[k] * m->song->power[m->stem[k]][b * T + first + i];
                sum += p;
                best = p > most ? k : best;
                most = p > most ? p : most;
            }
            power[at] = sum;
            if (weight)
                weight[at] = blocks_regions_weight(sum, m->reference);
            if (member)
                member[best * FN + at] = weight[at];
            if (owner)
                owner[at] = best;
        }
}

/* The weights of one mixture (its stretches) sum to 1 and go into each pair of regions as their product. */
static void share_weights(float *weight, float *member, int64_t n, int rows, int64_t FN)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)weight[i];
    const float scale = sum > 0 ? (float)(1 / sum) : 0;
    for (int64_t i = 0; i < n; i++) {
        weight[i] = sqrtf(weight[i] * scale);
        for (int k = 0; k < rows; k++) {
            float *y = &member[(i / FN * rows + k) * FN + i % FN];
            *y = *y > 0 ? weight[i] : 0;
        }
    }
}

static void draw_batch(blocks_segmenter_trainer *t)
{
    const blocks_regions *r = t->s->regions;
    const int64_t n = t->set.n_frames, FN = r->n_bands * n, group = t->set.stretches;
    for (int b = 0; b < t->set.batch_size; b++) {
        const mixture m = draw_mixture(t, draw_song(t, 0, &t->run.rng), &t->run.rng);
        const int64_t room = m.song->n_frames - n;
        for (int64_t k = b * group; k < (b + 1) * group; k++) {
            const int64_t first = room > 0 ? bl_rng_below(&t->run.rng, room + 1) : 0;
            mix_stretch(r, &m, first, n, t->n_stems, t->level + k * FN, t->weight + k * FN, t->member + k * t->n_stems * FN, NULL);
            blocks_regions_levels(t->level + k * FN, FN, m.reference, t->level + k * FN);
        }
        share_weights(t->weight + b * group * FN, t->member + b * group * t->n_stems * FN, group * FN, t->n_stems, FN);
    }
}

/* ---- the trainer -------------------------------------------------------------------------------- */

static bl_status read_settings(const bl_config *c, settings *s, bl_error *err)
{
    static const char section[] = "segmenter_training";
    bl_error own = { 0 };
    s->batch_size = (int)bl_config_int(c, section, "batch_size", 6, 1, 4096, &own);
    s->stretches = (int)bl_config_int(c, section, "stretches", 2, 1, 64, &own);
    s->n_frames = (int)bl_config_int(c, section, "segment_frames", 128, 8, 16384, &own);
    s->min_stems = (int)bl_config_int(c, section, "min_stems", 2, 2, STEMS, &own);
    s->max_stems = (int)bl_config_int(c, section, "max_stems", 6, 2, STEMS, &own);
    s->gain_db = bl_config_real(c, section, "gain_db", 4, 0, 40, &own);
    s->affinity = bl_config_real(c, section, "affinity", 1, 0, 1e6, &own);
    s->reconstruction = bl_config_real(c, section, "reconstruction", 0.05, 0, 1e6, &own);
    nn_trainer_read(c, section, 8000, 0, -1, &s->run, &own);
    if (own.code == BL_OK && s->max_stems < s->min_stems)
        bl_fail(&own, BL_EARG, "%s: [%s] max_stems %d is below min_stems %d", bl_config_name(c), section, s->max_stems, s->min_stems);
    return own.code == BL_OK ? BL_OK : bl_fail(err, own.code, "%s", own.msg);
}

bl_status blocks_segmenter_settings_read(const bl_config *config, bl_error *err)
{
    settings s;
    return read_settings(config, &s, err);
}

blocks_segmenter_trainer *blocks_segmenter_trainer_new(blocks_segmenter *s, const blocks_region_songs *songs, uint64_t seed,
                                                       bl_error *err)
{
    blocks_segmenter_trainer *t = calloc(1, sizeof *t);
    bl_error own = { 0 };
    if (!t) {
        bl_fail(err, BL_ENOMEM, "no memory for training");
        return NULL;
    }
    t->s = s;
    t->songs = songs;
    t->seed = seed;
    if (read_settings(s->regions->config, &t->set, &own) != BL_OK)
        goto fail;
    for (int i = 0; i < songs->n; i++)
        t->n_stems = songs->songs[i].n_stems > t->n_stems ? songs->songs[i].n_stems : t->n_stems;
    t->n_stems = t->n_stems < t->set.max_stems ? t->n_stems : t->set.max_stems;
    const size_t B = (size_t)t->set.batch_size * (size_t)t->set.stretches, FN = (size_t)s->regions->n_bands * (size_t)t->set.n_frames;
    t->level = malloc(B * FN * sizeof *t->level);
    t->weight = malloc(B * FN * sizeof *t->weight);
    t->member = malloc(B * FN * (size_t)t->n_stems * sizeof *t->member);
    if (!t->level || !t->weight || !t->member) {
        bl_fail(&own, BL_ENOMEM, "no memory for training");
        goto fail;
    }
    if (nn_trainer_start(&t->run, s->regions->params, &t->set.run, seed ^ 0x7265676eu, &own) != BL_OK)
        goto fail;
    return t;
fail:
    bl_fail(err, own.code, "%s", own.msg);
    blocks_segmenter_trainer_free(t);
    return NULL;
}

void blocks_segmenter_trainer_free(blocks_segmenter_trainer *t)
{
    if (!t)
        return;
    nn_trainer_free(&t->run);
    free(t->level);
    free(t->weight);
    free(t->member);
    free(t);
}

int64_t blocks_segmenter_trainer_steps(const blocks_segmenter_trainer *t)
{
    return t->step;
}

static bl_status learn_batch(void *user, double *metrics, bl_error *err)
{
    blocks_segmenter_trainer *t = user;
    blocks_regions *r = t->s->regions;
    nn_tape *tape = t->run.tape;
    const int64_t B = (int64_t)t->set.batch_size * t->set.stretches, n = t->set.n_frames, FN = r->n_bands * n;
    nn_node *again = NULL;
    if (!tape->dry)
        draw_batch(t);
    nn_tape_reset(tape);
    nn_node *level = nn_input(tape, nn_shape_of(3, B, r->n_bands, n), t->level);
    nn_node *weight = nn_input(tape, nn_shape_of(3, B, (int64_t)1, FN), t->weight);
    nn_node *member = nn_input(tape, nn_shape_of(3, B, (int64_t)t->n_stems, FN), t->member);
    nn_node *v = blocks_regions_forward(r, tape, level, &again);
    nn_node *affinity = nn_affinity_loss(tape, nn_mul(tape, v, weight), member, t->set.stretches);
    nn_node *distance = nn_mse_loss(tape, again, level);
    nn_keep(affinity);
    nn_keep(distance);
    nn_node *loss = nn_add(tape, nn_affine(tape, affinity, t->set.affinity, 0), nn_affine(tape, distance, t->set.reconstruction, 0));
    nn_keep(loss);
    nn_backward(tape, loss);
    if (tape->err.code)
        return bl_fail(err, tape->err.code, "%s", tape->err.msg);
    metrics[0] = nn_scalar(loss);
    metrics[1] = nn_scalar(affinity);
    metrics[2] = nn_scalar(distance);
    return BL_OK;
}

void blocks_segmenter_trainer_plan(blocks_segmenter_trainer *t, nn_plan *plan)
{
    nn_trainer_plan(&t->run, learn_batch, t, plan);
}

bl_status blocks_segmenter_trainer_step(blocks_segmenter_trainer *t, double metrics[3], bl_error *err)
{
    return nn_trainer_step(&t->run, learn_batch, t, metrics, 3, &t->step, NULL, err);
}

/* ---- what is learned from the latents ----------------------------------------------------------- */

/* A mixture as the segmenter will see it: latents [n_bands n, D], weight and owner [n_bands n]. */
typedef struct look {
    float  *power, *weight, *latents;
    int    *owner;
    int64_t n;  /* regions */
} look;

static void look_free(look *l)
{
    free(l->power);
    free(l->weight);
    free(l->latents);
    free(l->owner);
}

static bl_status look_at(blocks_segmenter_trainer *t, const mixture *m, look *l, bl_error *err)
{
    blocks_regions *r = t->s->regions;
    const int64_t T = m->song->n_frames < LOOK_FRAMES ? m->song->n_frames : LOOK_FRAMES, n = r->n_bands * T;
    *l = (look){ malloc((size_t)n * sizeof(float)), malloc((size_t)n * sizeof(float)), NULL, malloc((size_t)n * sizeof(int)), n };
    if (!l->power || !l->weight || !l->owner)
        return bl_fail(err, BL_ENOMEM, "no memory for %lld frames", (long long)T);
    mix_stretch(r, m, 0, T, 0, l->power, l->weight, NULL, l->owner);
    return blocks_regions_latents(r, l->power, T, m->reference, &l->latents, err);
}

bl_status blocks_segmenter_trainer_validate(blocks_segmenter_trainer *t, double *affinity, bl_error *err)
{
    const int held_out = t->songs->n > t->songs->n_training, D = t->s->regions->dim;
    double sum = 0;
    int n = 0;
    for (int i = 0; i < t->songs->n; i++) {
        const mixture m = whole_song(&t->songs->songs[i]);
        double total = 0, vv[64 * 64] = { 0 }, vy[64 * STEMS] = { 0 }, yy[STEMS] = { 0 }, loss = 0;
        look l;
        if (m.song->held_out != held_out || n >= LOOKS)
            continue;
        bl_status status = look_at(t, &m, &l, err);
        for (int64_t k = 0; status == BL_OK && k < l.n; k++)
            total += (double)l.weight[k];
        for (int64_t k = 0; status == BL_OK && k < l.n; k++) {
            const double w = total > 0 ? (double)l.weight[k] / total : 0;
            const float *v = l.latents + k * D;
            yy[l.owner[k]] += w;
            for (int a = 0; a < D && w > 0; a++) {
                vy[a * STEMS + l.owner[k]] += w * (double)v[a];
                for (int b = 0; b < D; b++)
                    vv[a * D + b] += w * (double)v[a] * (double)v[b];
            }
        }
        look_free(&l);
        if (status != BL_OK)
            return status;
        for (int a = 0; a < D * D; a++)
            loss += vv[a] * vv[a];
        for (int a = 0; a < STEMS; a++)
            loss += yy[a] * yy[a];
        for (int a = 0; a < D * STEMS; a++)
            loss -= 2 * vy[a] * vy[a];
        sum += loss;
        n++;
    }
    *affinity = n ? sum / n : 0;
    nn_schedule_watch(&t->run.schedule, *affinity);
    return BL_OK;
}

/* Stems that are heard: with half a percent of the weight. */
static int count_sources(const look *l)
{
    double share[STEMS] = { 0 }, total = 0;
    int n = 0;
    for (int64_t k = 0; k < l->n; k++) {
        share[l->owner[k]] += (double)l->weight[k];
        total += (double)l->weight[k];
    }
    for (int k = 0; k < STEMS; k++)
        n += share[k] > 0.005 * total;
    return n;
}

/* The threshold by which most counts are within one of the truth; among equals, the one with most counts right. */
static double best_threshold(const double *directions, const int *truth, int n, int D)
{
    double best = 0, best_score = -1;
    for (double least = 0.005; least < 0.4; least *= 1.03) {
        double score = 0;
        for (int i = 0; i < n; i++) {
            const int off = abs(blocks_segmenter_count(directions + i * D, D, least) - truth[i]);
            score += off == 0 ? 1.5 : off == 1 ? 1 : 0;
        }
        if (score > best_score) {
            best_score = score;
            best = least;
        }
    }
    return best;
}

static bl_status learn_count(blocks_segmenter_trainer *t, bl_error *err)
{
    const int held_out = t->songs->n - t->songs->n_training >= 4, D = t->s->regions->dim;
    double *directions = malloc(LOOKS * (size_t)D * sizeof *directions);
    int truth[LOOKS];
    bl_status status = directions ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for the figures");
    bl_rng rng;
    bl_rng_seed(&rng, t->seed ^ 0x636f756eu);
    for (int i = 0; i < LOOKS && status == BL_OK; i++) {
        look l;
        const mixture m = draw_mixture(t, draw_song(t, held_out, &rng), &rng);
        status = look_at(t, &m, &l, err);
        if (status == BL_OK) {
            blocks_segmenter_directions(l.latents, l.weight, l.n, D, directions + i * D);
            truth[i] = count_sources(&l);
        }
        look_free(&l);
    }
    if (status == BL_OK)
        t->s->least_direction = best_threshold(directions, truth, LOOKS, D);
    free(directions);
    return status;
}

/* Mean latents, by weight, of the families that training songs have. */
static bl_status learn_families(blocks_segmenter_trainer *t, bl_error *err)
{
    enum { FAMILIES = DATA_N_FAMILIES, SONGS = 48 };
    const int D = t->s->regions->dim;
    double *sum = calloc(FAMILIES * (size_t)D, sizeof *sum), weight[FAMILIES] = { 0 };
    bl_status status = sum ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for the families");
    for (int i = 0, n = 0; i < t->songs->n && n < SONGS && status == BL_OK; i++) {
        const mixture m = whole_song(&t->songs->songs[i]);
        look l;
        if (m.song->held_out)
            continue;
        n++;
        status = look_at(t, &m, &l, err);
        for (int64_t k = 0; k < l.n && status == BL_OK; k++) {
            const int family = m.song->family[m.stem[l.owner[k]]];
            if (family < 0)
                continue;
            weight[family] += (double)l.weight[k];
            for (int d = 0; d < D; d++)
                sum[family * D + d] += (double)l.weight[k] * (double)l.latents[k * D + d];
        }
        look_free(&l);
    }
    float *means = status == BL_OK ? calloc(FAMILIES * (size_t)D, sizeof *means) : NULL;
    if (status == BL_OK && !means)
        status = bl_fail(err, BL_ENOMEM, "no memory for the families");
    if (status == BL_OK) {
        free(t->s->family);
        t->s->family = means;
        t->s->n_families = 0;
        for (int f = 0; f < FAMILIES && t->s->n_families < BLOCKS_SEGMENTER_MAX_TRACKS; f++) {
            if (weight[f] <= 0)
                continue;
            for (int d = 0; d < D; d++)
                means[t->s->n_families * D + d] = (float)(sum[f * D + d] / weight[f]);
            snprintf(t->s->name[t->s->n_families++], sizeof t->s->name[0], "%s", data_family_name((data_family)f));
        }
    }
    free(sum);
    return status;
}

/* ---- checkpoints -------------------------------------------------------------------------------- */

bl_status blocks_segmenter_trainer_put(blocks_segmenter_trainer *t, int with_optimizer, nn_checkpoint *c, bl_error *err)
{
    if (learn_count(t, err) != BL_OK || learn_families(t, err) != BL_OK)
        return err->code;
    nn_checkpoint_put_int(c, "step", t->step, err);
    if (blocks_segmenter_put(t->s, c, err) != BL_OK || !with_optimizer)
        return err->code;
    return nn_trainer_save(&t->run, c, err);
}

bl_status blocks_segmenter_trainer_get(blocks_segmenter_trainer *t, const nn_checkpoint *c, bl_error *err)
{
    return nn_trainer_load(&t->run, c, "segmenter_training", &t->step, err);
}
