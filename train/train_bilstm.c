/* Learns to repair phrases that were put together tone by tone: dataset -> pairs of phrases -> Bi-LSTM -> OUT/bilstm.h5, with
 * the log-spectral distance to the recording before and after, on songs it never heard. */
#include "audio/picture.h"
#include "audio/soundfile.h"
#include "base/file.h"
#include "base/progress.h"
#include "blocks/config_defaults.h"
#include "blocks/temporal_train.h"
#include "data/instruments.h"
#include "train/chain.h"
#include "train/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const bl_cli_program program = {
    .name = "train_bilstm",
    .summary = "Learns the temporal model (Bi-LSTM on amplitude spectrograms) from a dataset folder with stems.\n"
               "Writes OUT/bilstm.h5 and prints the log-spectral distance of assembled phrases to the recording, before and\n"
               "after, on songs it never heard. [temporal] source = generated puts the phrases together from tones of\n"
               "OUT/wavegan.h5. What --config leaves out is taken from configs/bilstm.ini.",
    .examples = "  train_bilstm songs --out checkpoints\n"
                "  train_bilstm --config configs/rock.ini songs --out checkpoints --set temporal.source=generated\n"
                "  train_bilstm songs --out checkpoints --resume --steps 4000\n",
};

typedef struct model {
    data_dataset            *dataset;
    blocks_temporal         *temporal;
    blocks_synthesizer      *synthesizer;
    blocks_phrases           phrases;
    blocks_temporal_trainer *trainer;
    blocks_temporal_score    score;
    int64_t                  seed, n_steps, save_every, validate_every, preview_every;
    int                      keep_optimizer, generated;
    const char              *out_dir;
    char                     path[BL_PATH_MAX];
} model;

/* ---- for the loop ---- */

static void plan(void *user, nn_plan *out)
{
    blocks_temporal_trainer_plan(((model *)user)->trainer, out);
}

static bl_status step(void *user, int64_t number, double *metrics, bl_error *err)
{
    (void)number;
    return blocks_temporal_trainer_step(((model *)user)->trainer, metrics, &metrics[2], err);
}

static bl_status save(void *user, nn_checkpoint *c, bl_error *err)
{
    const model *m = user;
    nn_checkpoint_put_int(c, "seed", m->seed, err);
    return blocks_temporal_trainer_put(m->trainer, m->keep_optimizer || m->temporal->step < m->n_steps, c, err);
}

static bl_status load(void *user, const nn_checkpoint *c, bl_error *err)
{
    return blocks_temporal_trainer_get(((model *)user)->trainer, c, err);
}

static bl_status validate(void *user, int64_t number, double *figures, bl_error *err)
{
    model *m = user;
    (void)number;
    if (blocks_temporal_trainer_validate(m->trainer, &m->score, err) != BL_OK)
        return err->code;
    figures[0] = m->score.before;
    figures[1] = m->score.after;
    figures[2] = m->score.transitions_before;
    figures[3] = m->score.transitions_after;
    return BL_OK;
}

static bl_status write_wave(const model *m, const char *name, const audio_clip *clip, bl_error *err)
{
    char path[BL_PATH_MAX];
    return bl_path_join(path, m->out_dir, name, err) == BL_OK ? audio_write(path, clip, AUDIO_ENCODING_PCM16, err) : err->code;
}

/* The first held-out phrase: put together, repaired, recorded. */
static bl_status preview(void *user, int64_t number, bl_error *err)
{
    model *m = user;
    const blocks_phrase *q;
    float *repaired = NULL;
    char path[BL_PATH_MAX], title[120];
    bl_status status = blocks_temporal_trainer_example(m->trainer, 0, &q, &repaired, err);
    if (status != BL_OK || !repaired)
        return status;
    const audio_clip clips[3] = { { q->degraded_wave, q->n_samples, 1, m->temporal->sample_rate },
                                  { repaired, q->n_samples, 1, m->temporal->sample_rate },
                                  { q->target_wave, q->n_samples, 1, m->temporal->sample_rate } };
    const audio_panel panels[3] = { { .clip = &clips[0], .title = "put together tone by tone" },
                                    { .clip = &clips[1], .title = "repaired" },
                                    { .clip = &clips[2], .title = "the recording" } };
    snprintf(title, sizeof title, "%s, after %lld steps", q->instrument >= 0 ? m->temporal->instruments[q->instrument] : "phrase",
             (long long)number);
    status = bl_path_join(path, m->out_dir, "bilstm_preview.png", err);
    if (status == BL_OK)
        status = audio_picture_spectrograms(path, panels, 3, &(audio_picture_config){ .title = title }, err);
    if (status == BL_OK)
        status = write_wave(m, "bilstm_preview_assembled.wav", &clips[0], err);
    if (status == BL_OK)
        status = write_wave(m, "bilstm_preview_repaired.wav", &clips[1], err);
    if (status == BL_OK)
        status = write_wave(m, "bilstm_preview_recorded.wav", &clips[2], err);
    free(repaired);
    return status;
}

/* ---- the run ---- */

static bl_status read_keys(model *m, bl_error *err)
{
    static const char *const own[] = { "temporal", "bilstm", NULL }, *const sources[] = { "tones", "generated", NULL };
    const bl_config *c = m->temporal->config;
    m->n_steps = bl_config_int(c, "temporal", "steps", 1500, 1, 1000000000, err);
    m->save_every = bl_config_int(c, "temporal", "checkpoint_every", 500, 1, 1000000000, err);
    m->validate_every = bl_config_int(c, "temporal", "validate_every", 250, 1, 1000000000, err);
    m->preview_every = bl_config_int(c, "temporal", "preview_every", 500, 1, 1000000000, err);
    m->keep_optimizer = bl_config_bool(c, "temporal", "keep_optimizer", 1, err);
    m->generated = bl_config_choice(c, "temporal", "source", sources, 0, err);
    return blocks_temporal_settings_read(m->temporal, err) == BL_OK ? blocks_config_check(c, own, err) : err->code;
}

static bl_status prepare(model *m, train_options *opt, bl_error *err)
{
    static const char *const settings[] = { "temporal", NULL }, *const networks[] = { "bilstm", NULL };
    enum { MOST = 256 };
    const char *names[MOST] = { "any" };
    char wavegan[BL_PATH_MAX];
    int n;

    m->seed = opt->seed;
    m->out_dir = opt->out_dir;
    if (train_model_path(m->path, "bilstm", opt, err) != BL_OK || train_model_path(wavegan, "wavegan", opt, err) != BL_OK ||
        blocks_config_fill(opt->config, "configs/bilstm.ini", settings, networks, err) != BL_OK ||
        train_options_apply_steps(opt, "temporal", err) != BL_OK)
        return err->code;
    /* Mistakes in the config are found before the dataset is read. */
    if (!(m->temporal = blocks_temporal_new(opt->config, names, 1, 1, err)) || read_keys(m, err) != BL_OK)
        return err->code;
    blocks_temporal_free(m->temporal);
    m->temporal = NULL;
    m->dataset = data_dataset_open(opt->dataset_dir, &(data_dataset_options){ .on_skip = train_report_skip }, err);
    if (!m->dataset)
        return err->code;
    n = blocks_temporal_list_instruments(m->dataset, names, MOST);
    if (n == 0)
        return bl_fail(err, BL_EFORMAT, "%s: has no stem of a known instrument, so there are no phrases to learn from",
                       opt->dataset_dir);
    if (m->generated && !(m->synthesizer = blocks_synthesizer_load(wavegan, err)))
        return err->code;
    if (!(m->temporal = blocks_temporal_new(opt->config, names, n, (uint64_t)opt->seed, err)) || read_keys(m, err) != BL_OK ||
        blocks_phrases_collect(m->temporal, m->dataset, m->synthesizer, (uint64_t)opt->seed, opt->quiet, &m->phrases, err) != BL_OK)
        return err->code;
    m->trainer = blocks_temporal_trainer_new(m->temporal, &m->phrases, (uint64_t)opt->seed, err);
    if (m->trainer && !opt->quiet)
        fprintf(stderr, "%d phrases of %d instruments, %lld notes played, for %lld there was no tone\n", m->phrases.n, n,
                (long long)m->phrases.n_notes, (long long)m->phrases.n_missing);
    /* The loop compares it with the checkpoint's, which has what the network filled in. */
    bl_config *whole = bl_config_copy(m->temporal->config);
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
        .program = program.name, .kind = "bilstm", .checkpoint_path = m.path, .n_steps = m.n_steps,
        .save_every = m.save_every, .preview_every = m.preview_every, .validate_every = m.validate_every,
        .n_metrics = 3, .metric_names = { "loss", "untouched", "gradient" },
        .n_figures = 4, .figure_names = { "LSD before", "LSD after", "transitions before", "transitions after" },
        .params = m.temporal ? m.temporal->params : NULL, .user = &m,
        .plan = plan, .step = step, .save = save, .load = load, .validate = validate, .preview = preview,
    };
    if (status == BL_OK)
        status = train_loop_run(&loop, &opt, &err);
    if (status == BL_OK && m.score.n_phrases > 0) {
        const blocks_temporal_score *s = &m.score;
        printf("log-spectral distance to the recording, %d phrases of songs it never heard:\n", s->n_phrases);
        printf("                  put together    repaired    best gains of this form\n");
        printf("  all frames       %8.2f dB %8.2f dB  %8.2f dB\n", s->before, s->after, s->ceiling);
        printf("  at transitions   %8.2f dB %8.2f dB  %8.2f dB\n", s->transitions_before, s->transitions_after,
               s->transitions_ceiling);
    }
    if (status == BL_OK)
        printf("wrote %s\n", m.path);
    rc = train_loop_exit(&loop, status, &err);
    blocks_temporal_trainer_free(m.trainer);
    blocks_phrases_free(&m.phrases);
    blocks_temporal_free(m.temporal);
    blocks_synthesizer_free(m.synthesizer);
    data_dataset_free(m.dataset);
    train_options_free(&opt);
    return rc;
}
