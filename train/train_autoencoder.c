/* Learns the latents of sound: dataset -> log-mel frames -> autoencoder -> OUT/autoencoder.h5, with its reconstruction error
 * on songs it never heard beside a principal component analysis of the same rank. */
#include "audio/canvas.h"
#include "base/file.h"
#include "base/progress.h"
#include "blocks/config_defaults.h"
#include "blocks/feature_extractor_train.h"
#include "train/chain.h"
#include "train/loop.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const bl_cli_program program = {
    .name = "train_autoencoder",
    .summary = "Learns the feature extractor (an autoencoder of log-mel frames) from a dataset folder.\n"
               "Writes OUT/autoencoder.h5 and prints its reconstruction error on songs it never heard, beside a principal\n"
               "component analysis of the same rank. What --config leaves out is taken from configs/autoencoder.ini.",
    .examples = "  train_autoencoder songs --out checkpoints\n"
                "  train_autoencoder --config configs/autoencoder.ini songs --set features.latent=24 --steps 8000\n"
                "  train_autoencoder songs --out checkpoints --resume\n",
};

typedef struct model {
    data_dataset               *dataset;
    blocks_feature_extractor   *fx;
    blocks_mel_clips            clips;
    blocks_autoencoder_trainer *trainer;
    blocks_autoencoder_score    score;
    int64_t                     seed, n_steps;
    int                         keep_optimizer;
    char                        path[BL_PATH_MAX], picture[BL_PATH_MAX];
} model;

/* ---- for the loop ---- */

static void plan(void *user, nn_plan *out)
{
    blocks_autoencoder_trainer_plan(((model *)user)->trainer, out);
}

static bl_status step(void *user, int64_t number, double *metrics, bl_error *err)
{
    model *m = user;
    (void)number;
    return blocks_autoencoder_trainer_step(m->trainer, &metrics[0], &metrics[1], err);
}

static bl_status save(void *user, nn_checkpoint *c, bl_error *err)
{
    model *m = user;
    nn_checkpoint_put_int(c, "seed", m->seed, err);
    return blocks_autoencoder_trainer_put(m->trainer, m->keep_optimizer || m->fx->step < m->n_steps, c, err);
}

static bl_status load(void *user, const nn_checkpoint *c, bl_error *err)
{
    return blocks_autoencoder_trainer_get(((model *)user)->trainer, c, err);
}

static bl_status validate(void *user, int64_t number, double *figures, bl_error *err)
{
    model *m = user;
    (void)number;
    if (blocks_autoencoder_trainer_validate(m->trainer, &m->score, err) != BL_OK)
        return err->code;
    figures[0] = m->score.reconstruction;
    figures[1] = m->score.pca;
    return BL_OK;
}

/* Black over violet and orange to pale yellow. */
static uint32_t heat(double v)
{
    static const double stops[5][3] = { { 0, 0, 4 }, { 81, 18, 124 }, { 183, 55, 121 }, { 252, 137, 97 }, { 252, 253, 191 } };
    const double at = v <= 0 ? 0 : v >= 1 ? 3.999 : 4 * v;
    const int i = (int)at;
    uint32_t colour = 0;
    for (int k = 0; k < 3; k++)
        colour = colour << 8 | (uint32_t)(stops[i][k] + (at - i) * (stops[i + 1][k] - stops[i][k]));
    return colour;
}

static void draw_mel(audio_canvas *canvas, const float *mel, int n_mels, int64_t T, double low, double high, int top, int cell)
{
    for (int m = 0; m < n_mels; m++)
        for (int64_t t = 0; t < T; t++)
            audio_canvas_rect(canvas, (int)t * 2, top + (n_mels - 1 - m) * cell, 2, cell,
                              heat(((double)mel[m * T + t] - low) / (high - low)), 1);
}

/* A held-out song above, what became of it below. */
static bl_status preview(void *user, int64_t number, bl_error *err)
{
    enum { FRAMES = 500, CELL = 3, TEXT = 24 };
    model *m = user;
    float *truth = NULL, *made = NULL;
    audio_canvas canvas = { 0 };
    char text[120];
    int64_t T = 0;
    bl_status status = blocks_autoencoder_trainer_example(m->trainer, 0, FRAMES, &truth, &made, &T, err);
    const int height = m->fx->n_mels * CELL;
    if (status == BL_OK && truth)
        status = audio_canvas_new(&canvas, 2 * FRAMES, 2 * (height + TEXT), 0xFFFFFF, err);
    if (status == BL_OK && truth) {
        snprintf(text, sizeof text, "a song it never heard (log-mel, %d bands)", m->fx->n_mels);
        audio_canvas_text(&canvas, 4, 8, 1, 0x202024, text);
        draw_mel(&canvas, truth, m->fx->n_mels, T, m->fx->floor_db, 20, TEXT, CELL);
        snprintf(text, sizeof text, "from %d numbers per frame, after %lld steps", m->fx->dim, (long long)number);
        audio_canvas_text(&canvas, 4, TEXT + height + 8, 1, 0x202024, text);
        draw_mel(&canvas, made, m->fx->n_mels, T, m->fx->floor_db, 20, 2 * TEXT + height, CELL);
        status = audio_canvas_write(&canvas, m->picture, err);
    }
    audio_canvas_free(&canvas);
    free(truth);
    free(made);
    return status;
}

/* ---- the run ---- */

static bl_status read_settings(model *m, train_options *opt, int64_t every[3], double *max_minutes, int *stems, bl_error *err)
{
    static const char *const settings[] = { "features", "autoencoder", NULL }, *const networks[] = { "encoder", "decoder", NULL };
    bl_config *c;

    m->seed = opt->seed;
    if (train_model_path(m->path, "autoencoder", opt, err) != BL_OK ||
        bl_path_join(m->picture, opt->out_dir, "autoencoder_preview.png", err) != BL_OK ||
        blocks_config_fill(opt->config, "configs/autoencoder.ini", settings, networks, err) != BL_OK ||
        train_options_apply_steps(opt, "autoencoder", err) != BL_OK ||
        !(m->fx = blocks_feature_extractor_new(opt->config, (uint64_t)opt->seed, err)))
        return err->code;
    c = m->fx->config;
    m->n_steps = bl_config_int(c, "autoencoder", "steps", 4000, 1, 1000000000, err);
    every[0] = bl_config_int(c, "autoencoder", "checkpoint_every", 500, 1, 1000000000, err);
    every[1] = bl_config_int(c, "autoencoder", "preview_every", 1000, 1, 1000000000, err);
    every[2] = bl_config_int(c, "autoencoder", "validate_every", 500, 1, 1000000000, err);
    m->keep_optimizer = bl_config_bool(c, "autoencoder", "keep_optimizer", 1, err);
    *max_minutes = bl_config_real(c, "autoencoder", "max_minutes", 240, 0.01, 1e6, err);
    *stems = bl_config_bool(c, "autoencoder", "stems", 1, err);
    return err->code;
}

static bl_status prepare(model *m, train_options *opt, int64_t every[3], bl_error *err)
{
    static const char *const own[] = { "features", "autoencoder", "encoder", "decoder", NULL };
    double max_minutes = 0;
    int stems = 0;

    if (read_settings(m, opt, every, &max_minutes, &stems, err) != BL_OK ||
        blocks_autoencoder_settings_read(m->fx, err) != BL_OK || blocks_config_check(m->fx->config, own, err) != BL_OK)
        return err->code;
    if (!(m->dataset = data_dataset_open(opt->dataset_dir, &(data_dataset_options){ .on_skip = train_report_skip }, err)) ||
        blocks_mel_clips_collect(m->fx, m->dataset, max_minutes, stems, 0, (uint64_t)opt->seed, opt->quiet, &m->clips, err))
        return err->code;
    if (!opt->quiet)
        fprintf(stderr, "%.1f minutes to learn from, %.1f held out\n", (double)m->clips.n_training_frames * m->fx->hop_s / 60,
                (double)m->clips.n_held_out_frames * m->fx->hop_s / 60);
    m->trainer = blocks_autoencoder_trainer_new(m->fx, &m->clips, (uint64_t)opt->seed, err);
    /* The loop compares it with the checkpoint's, which has what the networks filled in. */
    bl_config *whole = bl_config_copy(m->fx->config);
    if (whole) {
        bl_config_free(opt->config);
        opt->config = whole;
    }
    return err->code;
}

int main(int argc, char **argv)
{
    train_options opt;
    bl_error err = { 0 };
    model m = { 0 };
    int64_t every[3] = { 0 };
    int rc = train_options_parse(&program, argc, argv, &opt);
    if (rc >= 0)
        return rc;
    bl_catch_interrupt();
    bl_status status = prepare(&m, &opt, every, &err);
    const train_loop loop = {
        .program = program.name, .kind = "autoencoder", .checkpoint_path = m.path, .n_steps = m.n_steps,
        .save_every = every[0], .preview_every = every[1], .validate_every = every[2],
        .n_metrics = 2, .metric_names = { "loss", "gradient" },
        .n_figures = 2, .figure_names = { "held-out loss", "PCA" },
        .params = m.fx ? m.fx->params : NULL, .user = &m,
        .plan = plan, .step = step, .save = save, .load = load, .validate = validate, .preview = preview,
    };
    if (status == BL_OK)
        status = train_loop_run(&loop, &opt, &err);
    if (status == BL_OK && m.score.n_frames > 0) {
        printf("reconstruction error on %s, %d numbers per frame of %d bands (1 = variance of the training frames):\n",
               m.clips.n_held_out_frames > 0 ? "songs it never heard" : "its training songs (nothing was held out)", m.fx->dim,
               m.fx->n_mels);
        printf("  autoencoder          %.4f   (%.2f dB)\n", m.score.reconstruction, sqrt(m.score.in_db2));
        printf("  PCA of rank %-3d      %.4f\n", m.fx->dim, m.score.pca);
        printf("  mean                 %.4f\n", m.score.mean);
        printf("wrote %s\n", m.path);
    }
    rc = train_loop_exit(&loop, status, &err);
    blocks_autoencoder_trainer_free(m.trainer);
    blocks_mel_clips_free(&m.clips);
    blocks_feature_extractor_free(m.fx);
    data_dataset_free(m.dataset);
    train_options_free(&opt);
    return rc;
}
