/* Learns the genre and the instruments of songs: dataset -> windows mixed from band powers of stems -> network -> OUT/classifier.h5, with
 * figures on songs it never heard beside the majority and the nearest songs by MFCC. */
#include "base/file.h"
#include "base/progress.h"
#include "blocks/classifier_train.h"
#include "blocks/config_defaults.h"
#include "train/chain.h"
#include "train/loop.h"

#include <stdio.h>

static const bl_cli_program program = {
    .name = "train_classifier",
    .summary = "Learns to tell the genre and the instruments of songs from a dataset folder.\n"
               "Writes OUT/classifier.h5 and prints its figures on songs it never heard. Needs OUT/autoencoder.h5 and trains\n"
               "it first where it is missing. What --config leaves out is taken from configs/classifier.ini.",
    .examples = "  train_classifier songs --out checkpoints\n"
                "  train_classifier --config configs/classifier.ini songs --set classifier_training.window_s=5\n"
                "  train_classifier songs --out checkpoints --resume\n",
};

typedef struct model {
    data_dataset              *dataset;
    blocks_classifier         *classifier;
    blocks_sounds              sounds;
    blocks_classifier_trainer *trainer;
    blocks_classifier_score    score;
    int64_t                    seed, n_steps, save_every, validate_every;
    int                        keep_optimizer;
    char                       path[BL_PATH_MAX];
} model;

static void plan(void *user, nn_plan *out)
{
    blocks_classifier_trainer_plan(((model *)user)->trainer, out);
}

static bl_status step(void *user, int64_t number, double *metrics, bl_error *err)
{
    (void)number;
    return blocks_classifier_trainer_step(((model *)user)->trainer, metrics, &metrics[2], err);
}

static bl_status save(void *user, nn_checkpoint *c, bl_error *err)
{
    const model *m = user;
    nn_checkpoint_put_int(c, "seed", m->seed, err);
    return blocks_classifier_trainer_put(m->trainer, m->keep_optimizer || m->classifier->step < m->n_steps, c, err);
}

static bl_status load(void *user, const nn_checkpoint *c, bl_error *err)
{
    return blocks_classifier_trainer_get(((model *)user)->trainer, c, err);
}

static bl_status validate(void *user, int64_t number, double *figures, bl_error *err)
{
    model *m = user;
    (void)number;
    if (blocks_classifier_trainer_validate(m->trainer, &m->score, err) != BL_OK)
        return err->code;
    figures[0] = m->score.genre;
    figures[1] = m->score.instruments;
    figures[2] = m->score.loss;
    return BL_OK;
}

static bl_status read_keys(model *m, bl_error *err)
{
    static const char *const own[] = { "classifier", "classifier_training", NULL };
    static const char section[] = "classifier_training";
    const bl_config *c = m->classifier->config;
    m->n_steps = bl_config_int(c, section, "steps", 3000, 1, 1000000000, err);
    m->save_every = bl_config_int(c, section, "checkpoint_every", 1000, 1, 1000000000, err);
    m->validate_every = bl_config_int(c, section, "validate_every", 250, 1, 1000000000, err);
    m->keep_optimizer = bl_config_bool(c, section, "keep_optimizer", 1, err);
    return blocks_classifier_settings_read(m->classifier, err) == BL_OK ? blocks_config_check(c, own, err) : err->code;
}

static bl_status prepare(model *m, train_options *opt, bl_error *err)
{
    static const char *const settings[] = { "classifier_training", NULL }, *const networks[] = { "classifier", NULL };
    static const char *const nothing[] = { "unknown" };
    char features[BL_PATH_MAX];
    blocks_feature_extractor *fx;

    m->seed = opt->seed;
    if (train_model_path(m->path, "classifier", opt, err) != BL_OK ||
        train_model_path(features, "autoencoder", opt, err) != BL_OK ||
        blocks_config_fill(opt->config, "configs/classifier.ini", settings, networks, err) != BL_OK ||
        train_options_apply_steps(opt, "classifier_training", err) != BL_OK)
        return err->code;
    /* Mistakes in the config are found before anything is trained: a classifier of other sizes is built and thrown away. */
    if (!(fx = blocks_feature_extractor_new(opt->config, 1, err)) ||
        !(m->classifier = blocks_classifier_new(opt->config, fx, nothing, 1, nothing, 1, 1, err)) ||
        read_keys(m, err) != BL_OK)
        return err->code;
    blocks_classifier_free(m->classifier);
    m->classifier = NULL;
    if (train_ensure("autoencoder", opt, err) != BL_OK || !(fx = blocks_feature_extractor_load(features, err)))
        return err->code;
    m->dataset = data_dataset_open(opt->dataset_dir, &(data_dataset_options){ .on_skip = train_report_skip }, err);
    if (!m->dataset ||
        blocks_sounds_collect(fx, m->dataset, opt->config, opt->quiet, &m->sounds, err) != BL_OK) {
        blocks_feature_extractor_free(fx);
        return err->code;
    }
    m->classifier = blocks_classifier_new(opt->config, fx, m->sounds.genres, m->sounds.n_genres, m->sounds.instruments,
                                          m->sounds.n_instruments, (uint64_t)opt->seed, err);
    if (!m->classifier || read_keys(m, err) != BL_OK)
        return err->code;
    m->trainer = blocks_classifier_trainer_new(m->classifier, &m->sounds, (uint64_t)opt->seed, err);
    if (m->trainer && !opt->quiet)
        fprintf(stderr, "%d songs and recordings, %d genres, %d instruments\n", m->sounds.n_songs, m->sounds.n_genres,
                m->sounds.n_instruments);
    /* The loop compares it with the checkpoint's, which has what the network filled in. */
    bl_config *whole = bl_config_copy(m->classifier->config);
    if (whole) {
        bl_config_free(opt->config);
        opt->config = whole;
    }
    return err->code;
}

static void print_line(const char *what, double own, double majority, double knn)
{
    if (own < 0)
        printf("  %-22s not known in this dataset\n", what);
    else
        printf("  %-22s %.3f   (majority %.3f, nearest songs by MFCC %.3f)\n", what, own, majority, knn);
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
        .program = program.name, .kind = "classifier", .checkpoint_path = m.path, .n_steps = m.n_steps,
        .save_every = m.save_every, .validate_every = m.validate_every,
        .n_metrics = 3, .metric_names = { "genre", "instruments", "gradient" },
        .n_figures = 3, .figure_names = { "genre accuracy", "instrument F1", "held-out genre loss" },
        .params = m.classifier ? m.classifier->params : NULL, .user = &m,
        .plan = plan, .step = step, .save = save, .load = load, .validate = validate,
    };
    if (status == BL_OK)
        status = train_loop_run(&loop, &opt, &err);
    if (status == BL_OK && m.score.n_songs > 0) {
        const blocks_classifier_score *s = &m.score;
        printf("%d songs%s:\n", s->n_songs, m.sounds.n_genres && s->n_songs ? " that were held out (or all, where none was)" : "");
        print_line("accuracy of the genre", s->genre, s->genre_majority, s->genre_knn);
        print_line("F1 of the instruments", s->instruments, s->instruments_majority, s->instruments_knn);
        if (s->genre >= 0)
            printf("  temperature of the genre %.2f, negative log likelihood %.2f\n", s->temperature, s->loss);
        printf("wrote %s\n", m.path);
    }
    rc = train_loop_exit(&loop, status, &err);
    blocks_classifier_trainer_free(m.trainer);
    blocks_sounds_free(&m.sounds);
    blocks_classifier_free(m.classifier);
    data_dataset_free(m.dataset);
    train_options_free(&opt);
    return rc;
}
