/* Learns what of a song is the voice: dataset of stems -> mixtures made on the way -> Bi-LSTM mask -> OUT/separator.h5, with the
 * signal-to-distortion ratio of voices it never heard. */
#include "base/file.h"
#include "base/progress.h"
#include "blocks/config_defaults.h"
#include "blocks/separator_train.h"
#include "train/chain.h"
#include "train/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const bl_cli_program program = {
    .name = "train_separator",
    .summary = "Learns to separate the voice of a song from the rest (Bi-LSTM mask, the form of Open-Unmix) from a dataset folder\n"
               "with stems: files named vocals... are voices, others the rest; mixtures are made of them at random.\n"
               "Writes OUT/separator.h5 and prints the signal-to-distortion ratio of the voice on held-out songs.\n"
               "What --config leaves out is taken from configs/separator.ini.",
    .examples = "  train_separator songs --out checkpoints\n"
                "  train_separator songs --out checkpoints --set separator.hidden=512 --set separation_training.steps=20000\n"
                "  train_separator songs --out checkpoints --resume\n",
};

typedef struct model {
    data_dataset             *dataset;
    blocks_separator         *separator;
    blocks_sources            sources;
    blocks_separator_trainer *trainer;
    blocks_separator_score    score;
    int64_t                   seed, n_steps, save_every, validate_every;
    int                       keep_optimizer;
    char                      path[BL_PATH_MAX];
} model;

/* ---- for the loop ---- */

static void plan(void *user, nn_plan *out)
{
    blocks_separator_trainer_plan(((model *)user)->trainer, out);
}

static bl_status step(void *user, int64_t number, double *metrics, bl_error *err)
{
    (void)number;
    return blocks_separator_trainer_step(((model *)user)->trainer, metrics, &metrics[3], err);
}

static bl_status save(void *user, nn_checkpoint *c, bl_error *err)
{
    const model *m = user;
    nn_checkpoint_put_int(c, "seed", m->seed, err);
    return blocks_separator_trainer_put(m->trainer, m->keep_optimizer || m->separator->step < m->n_steps, c, err);
}

static bl_status load(void *user, const nn_checkpoint *c, bl_error *err)
{
    return blocks_separator_trainer_get(((model *)user)->trainer, c, err);
}

static bl_status validate(void *user, int64_t number, double *figures, bl_error *err)
{
    model *m = user;
    (void)number;
    if (blocks_separator_trainer_validate(m->trainer, &m->score, err) != BL_OK)
        return err->code;
    figures[0] = m->score.mixture;
    figures[1] = m->score.separated;
    return BL_OK;
}

/* ---- the run ---- */

static bl_status read_keys(model *m, bl_error *err)
{
    static const char *const own[] = { "separation", "separation_training", "separator", NULL };
    static const char at[] = "separation_training";
    const bl_config *c = m->separator->config;
    m->n_steps = bl_config_int(c, at, "steps", 6000, 1, 1000000000, err);
    m->save_every = bl_config_int(c, at, "checkpoint_every", 250, 1, 1000000000, err);
    m->validate_every = bl_config_int(c, at, "validate_every", 500, 1, 1000000000, err);
    m->keep_optimizer = bl_config_bool(c, at, "keep_optimizer", 1, err);
    return blocks_separator_settings_read(m->separator, err) == BL_OK ? blocks_config_check(c, own, err) : err->code;
}

static bl_status prepare(model *m, train_options *opt, bl_error *err)
{
    static const char *const settings[] = { "separation", "separation_training", NULL }, *const networks[] = { "separator", NULL };

    m->seed = opt->seed;
    if (train_model_path(m->path, "separator", opt, err) != BL_OK ||
        blocks_config_fill(opt->config, "configs/separator.ini", settings, networks, err) != BL_OK ||
        train_options_apply_steps(opt, "separation_training", err) != BL_OK)
        return err->code;
    /* Mistakes in the config are found before the dataset is read. */
    if (!(m->separator = blocks_separator_new(opt->config, (uint64_t)opt->seed, err)) || read_keys(m, err) != BL_OK)
        return err->code;
    m->dataset = data_dataset_open(opt->dataset_dir, &(data_dataset_options){ .on_skip = train_report_skip, .max_cache_mb = 16 }, err);
    if (!m->dataset || blocks_sources_collect(m->separator, m->dataset, opt->quiet, &m->sources, err) != BL_OK ||
        !(m->trainer = blocks_separator_trainer_new(m->separator, &m->sources, (uint64_t)opt->seed, err)))
        return err->code;
    /* The loop compares it with the checkpoint's, which has what the network filled in. */
    bl_config *whole = bl_config_copy(m->separator->config);
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
    int rc = train_options_parse(&program, argc, argv, &opt);
    if (rc >= 0)
        return rc;
    bl_catch_interrupt();
    bl_status status = prepare(&m, &opt, &err);
    const train_loop loop = {
        .program = program.name, .kind = "separator", .checkpoint_path = m.path, .n_steps = m.n_steps,
        .save_every = m.save_every, .validate_every = m.validate_every,
        .n_metrics = 4, .metric_names = { "SDR", "mask distance", "loss", "gradient" },
        .n_figures = 2, .figure_names = { "mixture SDR", "voice SDR" },
        .params = m.separator ? m.separator->params : NULL, .user = &m,
        .plan = plan, .step = step, .save = save, .load = load, .validate = validate,
    };
    if (status == BL_OK)
        status = train_loop_run(&loop, &opt, &err);
    if (status == BL_OK && m.score.n > 0) {
        const blocks_separator_score *s = &m.score;
        printf("signal-to-distortion ratio of the voice, %d mixtures it never heard:\n", s->n);
        printf("  untouched %.2f dB, separated %.2f dB, with the best mask of this form %.2f dB\n", s->mixture, s->separated,
               s->ceiling);
    }
    if (status == BL_OK)
        printf("wrote %s\n", m.path);
    rc = train_loop_exit(&loop, status, &err);
    blocks_separator_trainer_free(m.trainer);
    blocks_sources_free(&m.sources);
    blocks_separator_free(m.separator);
    data_dataset_free(m.dataset);
    train_options_free(&opt);
    return rc;
}
