/* Learns to hear beats and bars: recordings with their beats -> temporal convolutional network -> OUT/beats.h5, with figures on
 * recordings it never heard beside a steady 120 beats a minute. */
#include "base/file.h"
#include "base/progress.h"
#include "blocks/beat_tracker_train.h"
#include "blocks/config_defaults.h"
#include "train/chain.h"
#include "train/loop.h"

#include <stdio.h>

static const bl_cli_program program = {
    .name = "train_beats",
    .summary = "Learns to hear beats and downbeats from a folder of recordings, each with a NAME.beats beside it (a line a beat:\n"
               "its time in seconds and its place in the bar from 1). Writes OUT/beats.h5 and prints its figures on recordings\n"
               "it never heard. tools/render_beats.py makes such a folder. What --config leaves out is taken from\n"
               "configs/beats.ini.",
    .examples = "  train_beats recordings --out checkpoints\n"
                "  train_beats --config configs/beats.ini recordings --set beats.batch_size=4\n"
                "  train_beats recordings --out checkpoints --resume\n",
};

typedef struct model {
    blocks_beat_tracker *tracker;
    blocks_beat_songs    songs;
    blocks_beat_trainer *trainer;
    blocks_beat_score    score;
    int64_t              seed, n_steps, save_every, validate_every;
    int                  keep_optimizer;
    char                 path[BL_PATH_MAX];
} model;

static void plan(void *user, nn_plan *out)
{
    blocks_beat_trainer_plan(((model *)user)->trainer, out);
}

static bl_status step(void *user, int64_t number, double *metrics, bl_error *err)
{
    (void)number;
    return blocks_beat_trainer_step(((model *)user)->trainer, metrics, &metrics[4], err);
}

static bl_status save(void *user, nn_checkpoint *c, bl_error *err)
{
    const model *m = user;
    nn_checkpoint_put_int(c, "seed", m->seed, err);
    return blocks_beat_trainer_put(m->trainer, m->keep_optimizer || m->tracker->step < m->n_steps, c, err);
}

static bl_status load(void *user, const nn_checkpoint *c, bl_error *err)
{
    return blocks_beat_trainer_get(((model *)user)->trainer, c, err);
}

static bl_status validate(void *user, int64_t number, double *figures, bl_error *err)
{
    model *m = user;
    (void)number;
    if (blocks_beat_trainer_validate(m->trainer, &m->score, err) != BL_OK)
        return err->code;
    figures[0] = m->score.loss;
    figures[1] = m->score.downbeat_loss;
    figures[2] = m->score.beats;
    figures[3] = m->score.downbeats;
    figures[4] = m->score.tempo;
    return BL_OK;
}

/* ---- the run ---- */

static bl_status read_keys(model *m, bl_error *err)
{
    static const char *const own[] = { "beats", "beat_network", "tcn_block", "level_network", NULL };
    const bl_config *c = m->tracker->config;
    m->n_steps = bl_config_int(c, "beats", "steps", 2400, 1, 1000000000, err);
    m->save_every = bl_config_int(c, "beats", "checkpoint_every", 200, 1, 1000000000, err);
    m->validate_every = bl_config_int(c, "beats", "validate_every", 200, 1, 1000000000, err);
    m->keep_optimizer = bl_config_bool(c, "beats", "keep_optimizer", 1, err);
    return blocks_beat_settings_read(m->tracker, err) == BL_OK ? blocks_config_check(c, own, err) : err->code;
}

static bl_status prepare(model *m, train_options *opt, bl_error *err)
{
    static const char *const settings[] = { "beats", NULL }, *const networks[] = { "beat_network", "tcn_block", "level_network", NULL };
    m->seed = opt->seed;
    if (train_model_path(m->path, "beats", opt, err) != BL_OK ||
        blocks_config_fill(opt->config, "configs/beats.ini", settings, networks, err) != BL_OK ||
        train_options_apply_steps(opt, "beats", err) != BL_OK)
        return err->code;
    /* Mistakes in the config are found before the recordings are read. */
    if (!(m->tracker = blocks_beat_tracker_new(opt->config, (uint64_t)opt->seed, err)) || read_keys(m, err) != BL_OK)
        return err->code;
    const char *init = bl_config_str(opt->config, "beats", "init", "");
    if (*init && !opt->resume && blocks_beat_tracker_begin(m->tracker, init, err) != BL_OK)
        return err->code;
    const double held_out = bl_config_real(opt->config, "beats", "held_out", 0.06, 0, 0.9, err);
    if (blocks_beat_songs_collect(opt->dataset_dir, held_out, opt->quiet, train_report_skip, NULL, &m->songs, err) != BL_OK)
        return err->code;
    m->trainer = blocks_beat_trainer_new(m->tracker, &m->songs, (uint64_t)opt->seed, err);
    double seconds = 0;
    int    n_held_out = 0;
    for (int i = 0; i < m->songs.n; i++) {
        seconds += m->songs.songs[i].duration_s;
        n_held_out += m->songs.songs[i].held_out;
    }
    if (m->trainer && !opt->quiet)
        fprintf(stderr, "%d recordings, %.1f h, %d held out, %d skipped; %lld parameters\n", m->songs.n, seconds / 3600, n_held_out,
                m->songs.n_skipped, (long long)nn_params_count(m->tracker->params, ""));
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
        .program = program.name, .kind = "beats", .checkpoint_path = m.path, .n_steps = m.n_steps,
        .save_every = m.save_every, .validate_every = m.validate_every,
        .n_metrics = 5, .metric_names = { "beats", "downbeats", "tempo", "level", "gradient" },
        .n_figures = 5, .figure_names = { "held-out beat loss", "downbeat loss", "beat F", "downbeat F", "tempo" },
        .params = m.tracker ? m.tracker->params : NULL, .user = &m,
        .plan = plan, .step = step, .save = save, .load = load, .validate = validate,
    };
    if (status == BL_OK)
        status = train_loop_run(&loop, &opt, &err);
    if (status == BL_OK && m.score.n_songs > 0) {
        const blocks_beat_score *s = &m.score;
        printf("%d recordings that were held out, beside a steady 120 beats a minute in 4/4:\n", s->n_songs);
        printf("  F-measure of beats (70 ms)     %.3f   %.3f\n", s->beats, s->steady_beats);
        printf("  F-measure of downbeats         %.3f   %.3f\n", s->downbeats, s->steady_downbeats);
        printf("  tempo within 4 %%               %.3f   %.3f\n", s->tempo, s->steady_tempo);
    }
    if (status == BL_OK)
        printf("wrote %s\n", m.path);
    rc = train_loop_exit(&loop, status, &err);
    blocks_beat_trainer_free(m.trainer);
    blocks_beat_songs_free(&m.songs);
    blocks_beat_tracker_free(m.tracker);
    train_options_free(&opt);
    return rc;
}
