/* Learns to cut a song into instrument tracks: songs with stems -> an autoencoder of time-frequency regions with the
 * deep-clustering loss -> OUT/segmenter.h5, with figures on songs it never heard. */
#include "base/file.h"
#include "base/progress.h"
#include "blocks/config_defaults.h"
#include "blocks/segmenter_figures.h"
#include "blocks/segmenter_train.h"
#include "train/chain.h"
#include "train/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const bl_cli_program program = {
    .name = "train_segmenter",
    .summary = "Learns from songs with stems to cut a song into instrument tracks.\n"
               "Writes OUT/segmenter.h5 and prints by how many dB its tracks come nearer to the true stems of songs it never\n"
               "heard. What --config leaves out is taken from configs/segmenter.ini.",
    .examples = "  train_segmenter songs --out checkpoints\n"
                "  train_segmenter --config configs/segmenter.ini songs --set regions.latent=12 --steps 20000\n"
                "  train_segmenter songs --out checkpoints --resume\n",
};

typedef struct model {
    data_dataset     *dataset;
    blocks_segmenter *s;
    blocks_region_songs       songs;
    blocks_segmenter_trainer *trainer;
    int64_t seed, n_steps, test_songs;
    int     keep_optimizer, quiet;
    double  seconds, max_minutes;
    char    path[BL_PATH_MAX];
} model;

/* ---- for the loop ---- */

static void plan(void *user, nn_plan *out)
{
    blocks_segmenter_trainer_plan(((model *)user)->trainer, out);
}

static bl_status step(void *user, int64_t number, double *metrics, bl_error *err)
{
    (void)number;
    return blocks_segmenter_trainer_step(((model *)user)->trainer, metrics, err);
}

static bl_status save(void *user, nn_checkpoint *c, bl_error *err)
{
    model *m = user;
    nn_checkpoint_put_int(c, "seed", m->seed, err);
    return blocks_segmenter_trainer_put(m->trainer, m->keep_optimizer || blocks_segmenter_trainer_steps(m->trainer) < m->n_steps, c,
                                        err);
}

static bl_status load(void *user, const nn_checkpoint *c, bl_error *err)
{
    return blocks_segmenter_trainer_get(((model *)user)->trainer, c, err);
}

static bl_status validate(void *user, int64_t number, double *figures, bl_error *err)
{
    (void)number;
    return blocks_segmenter_trainer_validate(((model *)user)->trainer, figures, err);
}

/* ---- the run ---- */

static bl_status read_settings(model *m, train_options *opt, int64_t every[2], bl_error *err)
{
    static const char *const settings[] = { "segmenter", "regions", "segmenter_training", NULL };
    static const char *const networks[] = { "region_encoder", "region_block", "region_decoder", NULL };
    static const char section[] = "segmenter_training";
    blocks_regions *r;

    m->seed = opt->seed;
    m->quiet = opt->quiet;
    if (train_model_path(m->path, "segmenter", opt, err) != BL_OK ||
        blocks_config_fill(opt->config, "configs/segmenter.ini", settings, networks, err) != BL_OK ||
        train_options_apply_steps(opt, section, err) != BL_OK ||
        !(r = blocks_regions_new(opt->config, (uint64_t)opt->seed, err)) || !(m->s = blocks_segmenter_new(r, err)))
        return err->code;
    const bl_config *c = m->s->regions->config;
    m->n_steps = bl_config_int(c, section, "steps", 8000, 1, 1000000000, err);
    every[0] = bl_config_int(c, section, "checkpoint_every", 500, 1, 1000000000, err);
    every[1] = bl_config_int(c, section, "validate_every", 500, 1, 1000000000, err);
    m->test_songs = bl_config_int(c, section, "test_songs", 12, 0, 1000000, err);
    m->keep_optimizer = bl_config_bool(c, section, "keep_optimizer", 1, err);
    m->seconds = bl_config_real(c, section, "seconds", 30, 4, 600, err);
    m->max_minutes = bl_config_real(c, section, "max_minutes", 240, 0.01, 1e6, err);
    return err->code;
}

static bl_status prepare(model *m, train_options *opt, int64_t every[2], bl_error *err)
{
    static const char *const own[] = { "segmenter", "regions", "region_encoder", "region_block", "region_decoder",
                                       "segmenter_training", NULL };
    if (read_settings(m, opt, every, err) != BL_OK || blocks_segmenter_settings_read(m->s->regions->config, err) != BL_OK ||
        blocks_config_check(m->s->regions->config, own, err) != BL_OK)
        return err->code;
    if (!(m->dataset = data_dataset_open(opt->dataset_dir, &(data_dataset_options){ .on_skip = train_report_skip }, err)) ||
        blocks_region_songs_collect(m->s->regions, m->dataset, m->seconds, m->max_minutes, opt->quiet, &m->songs, err) != BL_OK)
        return err->code;
    if (!opt->quiet)
        fprintf(stderr, "%d songs to learn from, %d held out\n", m->songs.n_training, m->songs.n - m->songs.n_training);
    m->trainer = blocks_segmenter_trainer_new(m->s, &m->songs, (uint64_t)opt->seed, err);
    /* The loop compares it with the checkpoint's, which has what the networks filled in. */
    bl_config *whole = bl_config_copy(m->s->regions->config);
    if (whole) {
        bl_config_free(opt->config);
        opt->config = whole;
    }
    return err->code;
}

/* On whole songs held out, all their stems together. */
static bl_status test(model *m, bl_error *err)
{
    blocks_segmenter_figures sum = { 0 };
    int n = 0, close = 0;
    bl_progress progress;
    bl_progress_start(&progress, "testing", "songs", m->test_songs, m->quiet);
    for (int i = 0; i < m->dataset->n_songs && n < m->test_songs && !bl_interrupted(); i++) {
        blocks_segmenter_figures f;
        bl_error own = { 0 };
        if (m->dataset->songs[i].split != DATA_VALIDATION || m->dataset->songs[i].n_stems < 2)
            continue;
        const bl_status status = blocks_segmenter_evaluate(m->s, m->dataset, i, m->seconds, &f, &own);
        if (status == BL_ENOMEM)
            return bl_fail(err, status, "%s", own.msg);
        if (status != BL_OK || f.n_stems < 2)
            continue;
        bl_progress_step(&progress, ++n, "");
        sum.n_stems += f.n_stems;
        sum.n_tracks += f.n_tracks;
        sum.tracks_db += f.tracks_db;
        sum.hpss_db += f.hpss_db;
        sum.ideal_masks_db += f.ideal_masks_db;
        close += abs(f.n_tracks - f.n_stems) <= 1;
    }
    bl_progress_end(&progress);
    if (n == 0) {
        printf("no song with stems was held out, so there are no figures\n");
        return BL_OK;
    }
    printf("%d songs it never heard, %d stems, %d tracks; number of tracks within one of the stems: %d of %d\n", n, sum.n_stems,
           sum.n_tracks, close, n);
    printf("improvement of SI-SDR over the mixture, mean per stem:\n");
    printf("  tracks                           %6.2f dB\n", sum.tracks_db / n);
    printf("  harmonic/percussive separation   %6.2f dB\n", sum.hpss_db / n);
    printf("  ideal masks                      %6.2f dB\n", sum.ideal_masks_db / n);
    return BL_OK;
}

int main(int argc, char **argv)
{
    train_options opt;
    bl_error err = { 0 };
    model m = { 0 };
    int64_t every[2] = { 0 };
    int rc = train_options_parse(&program, argc, argv, &opt);
    if (rc >= 0)
        return rc;
    bl_catch_interrupt();
    bl_status status = prepare(&m, &opt, every, &err);
    const train_loop loop = {
        .program = program.name, .kind = "segmenter", .checkpoint_path = m.path, .n_steps = m.n_steps,
        .save_every = every[0], .validate_every = every[1],
        .n_metrics = 3, .metric_names = { "loss", "affinity", "reconstruction" },
        .n_figures = 1, .figure_names = { "held-out affinity" },
        .params = m.s ? m.s->regions->params : NULL, .user = &m,
        .plan = plan, .step = step, .save = save, .load = load, .validate = validate,
    };
    if (status == BL_OK)
        status = train_loop_run(&loop, &opt, &err);
    if (status == BL_OK)
        status = test(&m, &err);
    if (status == BL_OK)
        printf("wrote %s\n", m.path);
    rc = train_loop_exit(&loop, status, &err);
    blocks_segmenter_trainer_free(m.trainer);
    blocks_region_songs_free(&m.songs);
    blocks_segmenter_free(m.s);
    data_dataset_free(m.dataset);
    train_options_free(&opt);
    return rc;
}
