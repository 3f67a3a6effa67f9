#include "train/unconditional.h"

#include "audio/picture.h"
#include "audio/soundfile.h"
#include "base/file.h"
#include "blocks/config_defaults.h"
#include "blocks/wavegan.h"
#include "train/chain.h"
#include "train/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct state {
    const train_options    *opt;
    data_dataset           *dataset;
    blocks_slices           training, held_out;
    blocks_wavegan         *wavegan;
    blocks_wavegan_trainer *trainer;
} state;

/* ---- callbacks of the loop ---- */

static void plan(void *user, nn_plan *out)
{
    blocks_wavegan_trainer_plan(((state *)user)->trainer, out);
}

static bl_status step(void *user, int64_t number, double *metrics, bl_error *err)
{
    blocks_wavegan_losses l;
    (void)number;
    const bl_status rc = blocks_wavegan_trainer_step(((state *)user)->trainer, &l, err);
    const double all[] = { l.generator, l.critic, l.margin, l.slope, l.penalty, l.generator_norm, l.critic_norm };
    memcpy(metrics, all, sizeof all);
    return rc;
}

static bl_status save(void *user, nn_checkpoint *c, bl_error *err)
{
    state *s = user;
    char folder[BL_PATH_MAX], path[BL_PATH_MAX];
    bl_status rc = blocks_wavegan_trainer_put(s->trainer, c, err);
    if (rc == BL_OK)
        rc = nn_checkpoint_put_int(c, "seed", s->opt->seed, err);
    if (rc == BL_OK)
        rc = bl_path_join(folder, s->opt->out_dir, "export", err);
    if (rc == BL_OK)
        rc = bl_make_folder(folder, err);
    if (rc == BL_OK)
        rc = bl_path_join(path, folder, "wavegan_unconditional.h5", err);
    return rc == BL_OK ? blocks_wavegan_trainer_export(s->trainer, path, s->opt->seed, err) : rc;
}

static bl_status load(void *user, const nn_checkpoint *c, bl_error *err)
{
    return blocks_wavegan_trainer_get(((state *)user)->trainer, c, err);
}

static bl_status validate(void *user, int64_t number, double *figures, bl_error *err)
{
    (void)number;
    return blocks_wavegan_trainer_validate(((state *)user)->trainer, &figures[0], &figures[1], err);
}

/* All previews one after the other in one file; the first few beside as many recordings in the picture. */
static bl_status preview(void *user, int64_t number, bl_error *err)
{
    enum { SHOWN = 8 };
    state *s = user;
    const blocks_wavegan *w = s->wavegan;
    char folder[BL_PATH_MAX], path[BL_PATH_MAX], name[64];
    float *waves = NULL;
    int n = 0;
    bl_status rc = bl_path_join(folder, s->opt->out_dir, "preview", err);

    if (rc == BL_OK)
        rc = bl_make_folder(folder, err);
    if (rc == BL_OK)
        rc = blocks_wavegan_trainer_preview(s->trainer, &waves, &n, err);
    const int64_t shown = n < SHOWN ? n : SHOWN, heard = s->training.n < SHOWN ? s->training.n : SHOWN;
    const audio_clip all = { waves, n * w->n_samples, 1, w->sample_rate }, generated = { waves, shown * w->n_samples, 1, w->sample_rate };
    const audio_clip recorded = { s->training.samples, heard * w->n_samples, 1, w->sample_rate };
    const audio_panel panels[2] = { { .clip = &generated, .title = "generated" }, { .clip = &recorded, .title = "recorded" } };
    snprintf(name, sizeof name, "unconditional_%06lld.wav", (long long)number);
    if (rc == BL_OK)
        rc = bl_path_join(path, folder, name, err);
    if (rc == BL_OK)
        rc = audio_write(path, &all, AUDIO_ENCODING_PCM16, err);
    snprintf(name, sizeof name, "unconditional_%06lld.png", (long long)number);
    if (rc == BL_OK)
        rc = bl_path_join(path, folder, name, err);
    if (rc == BL_OK)
        rc = audio_picture_spectrograms(path, panels, 2, &(audio_picture_config){ .title = "WaveGAN" }, err);
    free(waves);
    return rc;
}

/* ---- all of it ---- */

static bl_status prepare(state *s, train_loop *loop, bl_error *err)
{
    static const char *const own[] = { "synthesizer", "generator", "discriminator", "train", "gan", NULL };
    const train_options *opt = s->opt;
    const bl_config *c = opt->config;
    int n_left_out = 0;

    train_options_apply_steps(opt, "train", err);
    loop->n_steps = bl_config_int(c, "train", "steps", 200000, 1, 1000000000, err);
    loop->save_every = bl_config_int(c, "train", "checkpoint_every", 500, 1, 1000000000, err);
    loop->preview_every = loop->validate_every = bl_config_int(c, "train", "preview_every", 500, 1, 1000000000, err);
    if (err->code || !(s->wavegan = blocks_wavegan_new(c, 1, (uint64_t)opt->seed, err)))
        return err->code;
    /* Every setting is looked at before anything that takes long. */
    if (blocks_wavegan_trainer_settings(s->wavegan, err) != BL_OK)
        return err->code;
    bl_config_merge_used(c, s->wavegan->config);
    if (blocks_config_check(c, own, err) != BL_OK ||
        !(s->dataset = data_dataset_open(opt->dataset_dir, &(data_dataset_options){ .on_skip = train_report_skip }, err)) ||
        blocks_wavegan_collect(s->wavegan, s->dataset, opt->quiet, &s->training, &s->held_out, &n_left_out, err) != BL_OK)
        return err->code;
    s->trainer = blocks_wavegan_trainer_new(s->wavegan, &s->training, &s->held_out, (uint64_t)opt->seed, err);
    if (!s->trainer)
        return err->code;
    loop->params = s->wavegan->params;
    if (!opt->quiet) {
        nn_network_print(s->wavegan->generator, stdout);
        nn_network_print(s->wavegan->discriminator, stdout);
        printf("%lld slices of %.2f s to learn from, %lld held out\n", (long long)s->training.n,
               (double)s->wavegan->n_samples / s->wavegan->sample_rate, (long long)s->held_out.n);
        if (n_left_out)
            printf("%d songs left out: train.max_memory_mb is reached\n", n_left_out);
        fflush(stdout);
    }
    return BL_OK;
}

int train_unconditional(const train_options *opt)
{
    char checkpoint[BL_PATH_MAX];
    bl_error err = { 0 };
    state s = { .opt = opt };
    train_loop loop = {
        .program = "train_wavegan", .kind = "wavegan_unconditional", .checkpoint_path = checkpoint,
        .n_metrics = 7,
        .metric_names = { "generator", "critic", "margin", "slope", "penalty", "generator norm", "critic norm" },
        .n_figures = 2, .figure_names = { "margin on training slices", "margin on held-out slices" },
        .user = &s, .plan = plan, .step = step, .save = save, .load = load, .validate = validate, .preview = preview,
    };
    bl_status status = train_model_path(checkpoint, "wavegan_unconditional", opt, &err);
    if (status == BL_OK)
        status = prepare(&s, &loop, &err);
    if (status == BL_OK)
        status = train_loop_run(&loop, opt, &err);
    const int result = train_loop_exit(&loop, status, &err);
    blocks_wavegan_trainer_free(s.trainer);
    blocks_wavegan_free(s.wavegan);
    blocks_slices_free(&s.training);
    blocks_slices_free(&s.held_out);
    data_dataset_free(s.dataset);
    return result;
}
