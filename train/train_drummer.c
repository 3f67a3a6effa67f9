/* Learns how people drum: performances -> strokes -> bidirectional LSTM with mixtures -> OUT/drummer.h5, with figures on
 * performances it never heard beside simpler players. */
#include "base/file.h"
#include "base/progress.h"
#include "blocks/config_defaults.h"
#include "blocks/drummer_train.h"
#include "train/chain.h"
#include "train/loop.h"

#include <stdio.h>

static const bl_cli_program program = {
    .name = "train_drummer",
    .summary = "Learns velocity and timing of drum strokes from a folder of performances: MIDI files and an info.csv with style,\n"
               "bpm, time_signature, midi_filename and split, as the Groove MIDI Dataset has it. Writes OUT/drummer.h5 and\n"
               "prints its figures on performances it never heard. What --config leaves out is taken from configs/drummer.ini.",
    .examples = "  train_drummer groove --out models\n"
                "  train_drummer groove --config configs/drummer.ini --out models --steps 500 --set drummer_network.h=32\n"
                "  train_drummer groove --out models --resume\n",
};

typedef struct model {
    blocks_drummer         *drummer;
    blocks_drum_songs       songs;
    blocks_drummer_trainer *trainer;
    int64_t                 seed, n_steps, save_every, validate_every;
    int                     keep_optimizer;
    char                    path[BL_PATH_MAX];
} model;

static void report_skip(void *user, const char *path, const char *reason)
{
    if (!*(const int *)user)
        fprintf(stderr, "skipped %s: %s\n", path, reason);
}

static void plan(void *user, nn_plan *out)
{
    blocks_drummer_trainer_plan(((model *)user)->trainer, out);
}

static bl_status step(void *user, int64_t number, double *metrics, bl_error *err)
{
    (void)number;
    return blocks_drummer_trainer_step(((model *)user)->trainer, metrics, &metrics[2], err);
}

static bl_status save(void *user, nn_checkpoint *c, bl_error *err)
{
    const model *m = user;
    nn_checkpoint_put_int(c, "seed", m->seed, err);
    return blocks_drummer_trainer_put(m->trainer, m->keep_optimizer || m->drummer->step < m->n_steps, c, err);
}

static bl_status load(void *user, const nn_checkpoint *c, bl_error *err)
{
    return blocks_drummer_trainer_get(((model *)user)->trainer, c, err);
}

static bl_status validate(void *user, int64_t number, double *figures, bl_error *err)
{
    blocks_drum_score score;
    (void)number;
    if (blocks_drummer_trainer_validate(((model *)user)->trainer, BLOCKS_DRUM_TUNE, &score, err) != BL_OK)
        return err->code;
    figures[0] = score.loss;
    figures[1] = score.all[BLOCKS_DRUM_OURS].velocity_mae;
    figures[2] = score.all[BLOCKS_DRUM_OURS].offset_mae_ms;
    figures[3] = score.together;
    return BL_OK;
}

/* ---- the run ---- */

static bl_status read_keys(model *m, double *tune, bl_error *err)
{
    static const char *const own[] = { "drummer", "drummer_network", "drummer_training", NULL };
    const bl_config *c = m->drummer->config;
    m->n_steps = bl_config_int(c, "drummer_training", "steps", 3000, 1, 1000000000, err);
    m->save_every = bl_config_int(c, "drummer_training", "checkpoint_every", 250, 1, 1000000000, err);
    m->validate_every = bl_config_int(c, "drummer_training", "validate_every", 250, 1, 1000000000, err);
    m->keep_optimizer = bl_config_bool(c, "drummer_training", "keep_optimizer", 1, err);
    return blocks_drummer_settings_read(m->drummer, tune, err) == BL_OK ? blocks_config_check(c, own, err) : err->code;
}

static bl_status prepare(model *m, train_options *opt, bl_error *err)
{
    static const char *const settings[] = { "drummer", "drummer_training", NULL }, *const networks[] = { "drummer_network", NULL };
    double tune;
    int n[3] = { 0 };
    m->seed = opt->seed;
    if (train_model_path(m->path, "drummer", opt, err) != BL_OK ||
        blocks_config_fill(opt->config, "configs/drummer.ini", settings, networks, err) != BL_OK ||
        train_options_apply_steps(opt, "drummer_training", err) != BL_OK)
        return err->code;
    /* Mistakes in the config are found before the performances are read. */
    if (!(m->drummer = blocks_drummer_new(opt->config, (uint64_t)opt->seed, err)) || read_keys(m, &tune, err) != BL_OK ||
        blocks_drum_songs_collect(opt->dataset_dir, m->drummer, tune, report_skip, &opt->quiet, &m->songs, err) != BL_OK)
        return err->code;
    m->trainer = blocks_drummer_trainer_new(m->drummer, &m->songs, (uint64_t)opt->seed, err);
    for (int i = 0; i < m->songs.n; i++)
        n[m->songs.songs[i].part]++;
    if (m->trainer && !opt->quiet)
        fprintf(stderr, "%d performances to learn from, %d to watch, %d held out, %d skipped; %lld parameters\n", n[0], n[1], n[2],
                m->songs.n_skipped, (long long)nn_params_count(m->drummer->params, ""));
    return err->code;
}

static void print_row(const char *name, const blocks_drum_figures *f)
{
    printf("  %-28s %8.1f %8.3f %8.2f %8.3f %8.3f %8.3f\n", name, f->velocity_mae, f->velocity_r2, f->offset_mae_ms, f->offset_r2,
           f->velocity_kl, f->offset_kl);
}

static bl_status print_figures(model *m, bl_error *err)
{
    blocks_drum_score s;
    if (blocks_drummer_trainer_validate(m->trainer, BLOCKS_DRUM_HELD_OUT, &s, err) != BL_OK || s.n_songs == 0)
        return err->code;
    printf("%d performances that were held out, %lld hits:\n", s.n_songs, (long long)s.n_hits);
    printf("  %-28s %8s %8s %8s %8s %8s %8s\n", "", "velocity", "r2", "ms", "r2", "KL vel.", "KL time");
    for (int p = 0; p < BLOCKS_DRUM_REPEAT; p++)
        print_row(blocks_drum_player_names[p], &s.all[p]);
    printf("the %lld hits of bars that the same person plays again:\n", (long long)s.n_repeated);
    for (int p = 0; p < BLOCKS_DRUM_PLAYERS; p++)
        print_row(blocks_drum_player_names[p], &s.repeated[p]);
    printf("KL between two halves of the people: %.3f %.3f\n", s.halves_velocity_kl, s.halves_offset_kl);
    return BL_OK;
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
        .program = program.name, .kind = "drummer", .checkpoint_path = m.path, .n_steps = m.n_steps,
        .save_every = m.save_every, .validate_every = m.validate_every,
        .n_metrics = 3, .metric_names = { "velocity", "offset", "gradient" },
        .n_figures = 4, .figure_names = { "loss", "velocity off", "ms off", "together" },
        .params = m.drummer ? m.drummer->params : NULL, .user = &m,
        .plan = plan, .step = step, .save = save, .load = load, .validate = validate,
    };
    if (status == BL_OK)
        status = train_loop_run(&loop, &opt, &err);
    if (status == BL_OK)
        status = print_figures(&m, &err);
    if (status == BL_OK)
        printf("wrote %s\n", m.path);
    rc = train_loop_exit(&loop, status, &err);
    blocks_drummer_trainer_free(m.trainer);
    blocks_drum_songs_free(&m.songs);
    blocks_drummer_free(m.drummer);
    train_options_free(&opt);
    return rc;
}
