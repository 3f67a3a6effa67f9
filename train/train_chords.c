/* Learns what chords and keys sound like: songs with known chords -> spectra -> network -> OUT/chords.h5, with figures on songs
 * it never heard. */
#include "base/file.h"
#include "base/progress.h"
#include "blocks/chords_train.h"
#include "blocks/config_defaults.h"
#include "train/chain.h"
#include "train/loop.h"

#include <stdio.h>

static const bl_cli_program program = {
    .name = "train_chords",
    .summary = "Learns to hear chords and key from a dataset folder whose songs have a truth.json (tools/render_dataset,\n"
               "tools/render_arrangements.py). Writes OUT/chords.h5 and prints its figures on songs it never heard.\n"
               "What --config leaves out is taken from configs/chords.ini.",
    .examples = "  train_chords songs --out models\n"
                "  train_chords songs --out models --set chords_training.shift=0 --steps 2000\n"
                "  train_chords songs --out models --resume\n",
};

typedef struct model {
    data_dataset          *dataset;
    blocks_chords         *chords;
    blocks_chord_songs     songs;
    blocks_chords_trainer *trainer;
    blocks_chords_score    score;
    int64_t                seed, n_steps, save_every, validate_every;
    int                    keep_optimizer;
    char                   path[BL_PATH_MAX];
} model;

static void plan(void *user, nn_plan *out)
{
    blocks_chords_trainer_plan(((model *)user)->trainer, out);
}

static bl_status step(void *user, int64_t number, double *metrics, bl_error *err)
{
    (void)number;
    return blocks_chords_trainer_step(((model *)user)->trainer, metrics, &metrics[3], err);
}

static bl_status save(void *user, nn_checkpoint *c, bl_error *err)
{
    const model *m = user;
    nn_checkpoint_put_int(c, "seed", m->seed, err);
    return blocks_chords_trainer_put(m->trainer, m->keep_optimizer || m->chords->step < m->n_steps, c, err);
}

static bl_status load(void *user, const nn_checkpoint *c, bl_error *err)
{
    return blocks_chords_trainer_get(((model *)user)->trainer, c, err);
}

static bl_status validate(void *user, int64_t number, double *figures, bl_error *err)
{
    model *m = user;
    (void)number;
    if (blocks_chords_trainer_validate(m->trainer, &m->score, err) != BL_OK)
        return err->code;
    figures[0] = m->score.majmin;
    figures[1] = m->score.key;
    figures[2] = m->score.loss;
    return BL_OK;
}

static bl_status read_keys(model *m, bl_error *err)
{
    static const char *const own[] = { "chords", "chords_training", NULL };
    static const char section[] = "chords_training";
    const bl_config *c = m->chords->config;
    m->n_steps = bl_config_int(c, section, "steps", 6000, 1, 1000000000, err);
    m->save_every = bl_config_int(c, section, "checkpoint_every", 1000, 1, 1000000000, err);
    m->validate_every = bl_config_int(c, section, "validate_every", 500, 1, 1000000000, err);
    m->keep_optimizer = bl_config_bool(c, section, "keep_optimizer", 1, err);
    return blocks_chords_settings_read(m->chords, err) == BL_OK ? blocks_config_check(c, own, err) : err->code;
}

static bl_status prepare(model *m, train_options *opt, bl_error *err)
{
    static const char *const settings[] = { "chords_training", NULL }, *const networks[] = { "chords", NULL };
    m->seed = opt->seed;
    if (train_model_path(m->path, "chords", opt, err) != BL_OK ||
        blocks_config_fill(opt->config, "configs/chords.ini", settings, networks, err) != BL_OK ||
        train_options_apply_steps(opt, "chords_training", err) != BL_OK ||
        !(m->chords = blocks_chords_new(opt->config, (uint64_t)opt->seed, err)) || read_keys(m, err) != BL_OK)
        return err->code;
    m->dataset = data_dataset_open(opt->dataset_dir, &(data_dataset_options){ .on_skip = train_report_skip, .max_cache_mb = 1 }, err);
    if (!m->dataset || blocks_chord_songs_collect(m->dataset, opt->quiet, &m->songs, err) != BL_OK)
        return err->code;
    m->trainer = blocks_chords_trainer_new(m->chords, &m->songs, (uint64_t)opt->seed, err);
    if (m->trainer && !opt->quiet)
        fprintf(stderr, "%d songs, %.1f minutes\n", m->songs.n, m->songs.seconds / 60);
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
        .program = program.name, .kind = "chords", .checkpoint_path = m.path, .n_steps = m.n_steps,
        .save_every = m.save_every, .validate_every = m.validate_every,
        .n_metrics = 4, .metric_names = { "chord", "bass", "key", "gradient" },
        .n_figures = 3, .figure_names = { "majmin", "key right", "held-out loss" },
        .params = m.chords ? m.chords->params : NULL, .user = &m,
        .plan = plan, .step = step, .save = save, .load = load, .validate = validate,
    };
    if (status == BL_OK)
        status = train_loop_run(&loop, &opt, &err);
    if (status == BL_OK && m.score.n_songs > 0) {
        printf("%d songs, single frames, nothing smoothed:\n", m.score.n_songs);
        printf("  major, minor or none   %.3f   (the song's commonest chord %.3f)\n", m.score.majmin, m.score.commonest);
        printf("  key                    %.3f\n", m.score.key);
    }
    if (status == BL_OK)
        printf("wrote %s\n", m.path);
    rc = train_loop_exit(&loop, status, &err);
    blocks_chords_trainer_free(m.trainer);
    blocks_chord_songs_free(&m.songs);
    blocks_chords_free(m.chords);
    data_dataset_free(m.dataset);
    train_options_free(&opt);
    return rc;
}
