/* Learns which chords suit a melody: songs with both -> network and habits -> OUT/arranger.h5, with figures on songs it never saw. */
#include "base/file.h"
#include "base/progress.h"
#include "blocks/config_defaults.h"
#include "blocks/harmonizer_train.h"
#include "train/chain.h"
#include "train/loop.h"

#include <stdio.h>

static const bl_cli_program program = {
    .name = "train_arranger",
    .summary = "Learns to find chords for a melody from a folder of songs that have both: POP909's, or MIDI files with a\n"
               "melody track and chords (as lyrics, or as a track of their own; docs/harmony.md). Writes OUT/arranger.h5 and\n"
               "prints its figures on songs it never saw. What --config leaves out is taken from configs/arranger.ini.",
    .examples = "  train_arranger midi/pop909 --out models\n"
                "  train_arranger my_songs --out mine --set arranger_training.keep_out=0 --steps 600\n"
                "  train_arranger midi/pop909 --out models --resume\n",
};

typedef struct model {
    blocks_harmonizer         *harmonizer;
    blocks_melody_songs        songs;
    blocks_harmonizer_trainer *trainer;
    blocks_harmonizer_score    score;
    int64_t                    seed, n_steps, save_every, validate_every;
    int                        keep_optimizer;
    blocks_melody_options      reading;
    char                       path[BL_PATH_MAX];
} model;

static void plan(void *user, nn_plan *out)
{
    blocks_harmonizer_trainer_plan(((model *)user)->trainer, out);
}

static bl_status step(void *user, int64_t number, double *metrics, bl_error *err)
{
    (void)number;
    return blocks_harmonizer_trainer_step(((model *)user)->trainer, metrics, &metrics[2], err);
}

static bl_status save(void *user, nn_checkpoint *c, bl_error *err)
{
    const model *m = user;
    nn_checkpoint_put_int(c, "seed", m->seed, err);
    return blocks_harmonizer_trainer_put(m->trainer, m->keep_optimizer || m->harmonizer->step < m->n_steps, c, err);
}

static bl_status load(void *user, const nn_checkpoint *c, bl_error *err)
{
    return blocks_harmonizer_trainer_get(((model *)user)->trainer, c, err);
}

static bl_status validate(void *user, int64_t number, double *figures, bl_error *err)
{
    model *m = user;
    (void)number;
    if (blocks_harmonizer_trainer_validate(m->trainer, &m->score, err) != BL_OK)
        return err->code;
    figures[0] = m->score.root;
    figures[1] = m->score.majmin;
    figures[2] = m->score.loss;
    return BL_OK;
}

static bl_status read_keys(model *m, bl_error *err)
{
    static const char *const own[] = { "arranger", "arranger_training", NULL };
    static const char section[] = "arranger_training";
    const bl_config *c = m->harmonizer->config;
    m->n_steps = bl_config_int(c, section, "steps", 1200, 1, 1000000000, err);
    m->save_every = bl_config_int(c, section, "checkpoint_every", 300, 1, 1000000000, err);
    m->validate_every = bl_config_int(c, section, "validate_every", 150, 1, 1000000000, err);
    m->keep_optimizer = bl_config_bool(c, section, "keep_optimizer", 1, err);
    m->reading.keep_out = (int)bl_config_int(c, section, "keep_out", 6, 0, 1000000, err);
    m->reading.held_out = bl_config_real(c, section, "held_out", 0.1, 0, 0.9, err);
    return blocks_harmonizer_settings_read(m->harmonizer, err) == BL_OK ? blocks_config_check(c, own, err) : err->code;
}

static bl_status prepare(model *m, train_options *opt, bl_error *err)
{
    static const char *const settings[] = { "arranger_training", NULL }, *const networks[] = { "arranger", NULL };
    m->seed = opt->seed;
    m->reading.on_skip = train_report_skip;
    if (train_model_path(m->path, "arranger", opt, err) != BL_OK ||
        blocks_config_fill(opt->config, "configs/arranger.ini", settings, networks, err) != BL_OK ||
        train_options_apply_steps(opt, "arranger_training", err) != BL_OK ||
        !(m->harmonizer = blocks_harmonizer_new(opt->config, (uint64_t)opt->seed, err)) || read_keys(m, err) != BL_OK ||
        blocks_melody_songs_collect(opt->dataset_dir, &m->reading, opt->quiet, &m->songs, err) != BL_OK)
        return err->code;
    m->trainer = blocks_harmonizer_trainer_new(m->harmonizer, &m->songs, (uint64_t)opt->seed, err);
    int64_t n_units = 0, n_held_out = 0;
    for (int i = 0; i < m->songs.n; i++) {
        n_units += m->songs.songs[i].n_units;
        n_held_out += m->songs.songs[i].held_out;
    }
    if (m->trainer && !opt->quiet)
        fprintf(stderr, "%d songs of %lld units, %lld held out; %d not read (keep_out), %d skipped; %lld parameters\n", m->songs.n,
                (long long)n_units, (long long)n_held_out, m->songs.n_kept_out, m->songs.n_skipped,
                (long long)nn_params_count(m->harmonizer->params, ""));
    return err->code;
}

static void print_figures(const blocks_harmonizer_score *s)
{
    printf("%d songs, their own beats and key:        ours   tonic only\n", s->n_songs);
    printf("  root as the human arranger's           %.3f   %.3f\n", s->root, s->tonic_root);
    printf("  major or minor triad as the human's    %.3f   %.3f\n", s->majmin, s->tonic_majmin);
    printf("  melody on tones of the chord           %.3f   (human %.3f)\n", s->chord_tones, s->human_chord_tones);
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
        .program = program.name, .kind = "arranger", .checkpoint_path = m.path, .n_steps = m.n_steps,
        .save_every = m.save_every, .validate_every = m.validate_every,
        .n_metrics = 3, .metric_names = { "degree", "colour", "gradient" },
        .n_figures = 3, .figure_names = { "root", "majmin", "held-out loss" },
        .params = m.harmonizer ? m.harmonizer->params : NULL, .user = &m,
        .plan = plan, .step = step, .save = save, .load = load, .validate = validate,
    };
    if (status == BL_OK)
        status = train_loop_run(&loop, &opt, &err);
    if (status == BL_OK && m.score.n_songs > 0)
        print_figures(&m.score);
    if (status == BL_OK)
        printf("wrote %s\n", m.path);
    rc = train_loop_exit(&loop, status, &err);
    blocks_harmonizer_trainer_free(m.trainer);
    blocks_melody_songs_free(&m.songs);
    blocks_harmonizer_free(m.harmonizer);
    train_options_free(&opt);
    return rc;
}
