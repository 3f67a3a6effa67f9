/* Trains the synthesizer (WaveNet + GAN) on the tones of a dataset, after the models that come before it in the chain. */
#include "audio/picture.h"
#include "audio/soundfile.h"
#include "base/file.h"
#include "base/progress.h"
#include "blocks/config_defaults.h"
#include "blocks/feature_extractor.h"
#include "blocks/segmenter.h"
#include "blocks/synthesizer_train.h"
#include "blocks/wavegan.h"
#include "data/instruments.h"
#include "data/validator.h"
#include "train/chain.h"
#include "train/loop.h"
#include "train/unconditional.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const bl_cli_program program = {
    .name = "train_wavegan",
    .summary =
        "Learns to generate the tones of instruments (WaveNet + GAN) from a dataset folder. Earlier models are taken from\n"
        "--out and trained first where missing: autoencoder (features), segmenter, tone detector, classifier, validator.\n"
        "Writes OUT/wavegan.h5 (to go on training), OUT/export/wavegan.h5 (for bin/infer --model OUT/export), previews,\n"
        "a log and a loss curve. [synthesizer] kind = wavegan trains the published WaveGAN instead: waves from noise, learned\n"
        "from slices of all recordings, without earlier models.",
    .examples = "  train_wavegan --config configs/rock.ini songs --out checkpoints\n"
                "  train_wavegan --config configs/rock.ini songs --out checkpoints --resume --steps 20000\n"
                "  train_wavegan --config configs/jazz.ini my_recordings --set train.batch_size=8 --log loss.csv\n"
                "  train_wavegan --config configs/wavegan_paper.ini drum_hits --set train.first_slice=yes\n",
};

typedef struct state {
    const train_options        *opt;
    data_dataset               *dataset;
    data_tones                  tones;
    data_tones_options          tones_options;
    int                         instruments[64]; /* ids that [train] instruments names */
    const char                 *pretrained;   /* folder of models for songs without stems */
    const char                 *chain;        /* models to train first where missing      */
    float                      *context;      /* [n_songs, n_context] */
    blocks_synthesizer         *synthesizer;
    blocks_synthesizer_trainer *trainer;
} state;

/* ---- the chain ---- */

typedef struct inventory {
    int n_instruments, n_genres, n_songs_in_stems, n_unlabelled;
} inventory;

static inventory take_stock(const data_dataset *d)
{
    inventory v = { 0 };
    int heard[256] = { 0 }, genre[256] = { 0 };
    for (int i = 0; i < d->n_songs; i++) {
        const data_song *s = &d->songs[i];
        v.n_songs_in_stems += s->n_stems > 1;
        v.n_unlabelled += s->n_stems == 0;
        for (int k = 0; k < s->n_stems; k++)
            if (s->stems[k].instrument >= 0 && s->stems[k].instrument < 256 && !heard[s->stems[k].instrument]++)
                v.n_instruments++;
        if (s->genre >= 0 && s->genre < 256 && s->n_stems != 1 && !genre[s->genre]++)
            v.n_genres++;
    }
    return v;
}

static void say(const train_options *opt, const char *text)
{
    if (!opt->quiet)
        fprintf(stderr, "%s\n", text);
}

/* chain.models names what is trained first where it is missing. */
static int in_chain(const state *s, const char *model)
{
    return strstr(s->chain, model) != NULL;
}

/* A model that this dataset cannot teach is left out with a reason, unless something later needs it. */
static bl_status train_chain(state *s, bl_error *err)
{
    const train_options *opt = s->opt;
    const inventory v = take_stock(s->dataset);
    char path[BL_PATH_MAX];

    if (train_ensure("autoencoder", opt, err) != BL_OK)
        return err->code;
    if (v.n_instruments >= 2 && in_chain(s, "tone_detector")) {
        if (train_ensure("tone_detector", opt, err) != BL_OK)
            return err->code;
    } else if (v.n_instruments < 2) {
        say(opt, "tone detector: left out, the dataset names fewer than two instruments");
    }
    if (v.n_songs_in_stems >= 2 && in_chain(s, "segmenter")) {
        if (train_ensure("segmenter", opt, err) != BL_OK)
            return err->code;
    } else if (v.n_songs_in_stems < 2) {
        say(opt, "segmenter: left out, fewer than two songs have stems to learn from");
    }
    if (v.n_genres >= 2 && in_chain(s, "classifier")) {
        if (train_ensure("classifier", opt, err) != BL_OK)
            return err->code;
    } else if (v.n_genres < 2) {
        say(opt, "classifier: left out, the songs name fewer than two genres");
    }
    data_validator *validator = data_validator_new(NULL, err);
    bl_status rc = validator ? data_validator_learn(validator, s->dataset, err) : err->code;
    if (rc == BL_OK && (rc = train_model_path(path, "validator", opt, err)) == BL_OK)
        rc = data_validator_save(validator, path, err);
    data_validator_free(validator);
    return rc;
}

/* ---- songs without stems: the segmenter makes tracks, the tone detector names them, tones are cut from those ---- */

/* The model in --out; else the one that comes with the program, which is said. */
static bl_status find_model(char path[BL_PATH_MAX], const char *model, const state *s, bl_error *err)
{
    char name[80];
    if (train_model_path(path, model, s->opt, err) != BL_OK)
        return err->code;
    if (bl_is_file(path))
        return BL_OK;
    snprintf(name, sizeof name, "%.70s.h5", model);
    if (bl_path_join(path, s->pretrained, name, err) != BL_OK)
        return err->code;
    if (!bl_is_file(path))
        return bl_fail(err, BL_EIO, "songs without stems need a %s: neither %s/%s nor %s is there", model, s->opt->out_dir, name,
                       path);
    if (!s->opt->quiet)
        fprintf(stderr, "%s: taken for songs without stems\n", path);
    return BL_OK;
}

static int is_wanted(const data_tones_options *o, int instrument)
{
    int wanted = instrument >= 0 && o->n_instruments == 0;
    for (int i = 0; i < o->n_instruments; i++)
        wanted |= o->instruments[i] == instrument;
    return wanted;
}

static bl_status cut_from_mixtures(state *s, const data_tones_options *options, bl_error *err)
{
    char path[BL_PATH_MAX];
    blocks_segmenter *segmenter = NULL;
    blocks_tone_detector *detector = NULL;
    bl_status rc = BL_OK;
    int n = 0;

    for (int i = 0; i < s->dataset->n_songs; i++)
        n += s->dataset->songs[i].n_stems == 0;
    if (!n)
        return BL_OK;
    if (find_model(path, "segmenter", s, err) != BL_OK || !(segmenter = blocks_segmenter_load(path, err)) ||
        find_model(path, "tone_detector", s, err) != BL_OK || !(detector = blocks_tone_detector_load(path, err))) {
        rc = err->code;
        goto done;
    }
    bl_progress p;
    bl_progress_start(&p, "segmenting songs without stems", "songs", n, s->opt->quiet);
    for (int i = 0, k = 0; i < s->dataset->n_songs && rc == BL_OK; i++) {
        const data_song *song = &s->dataset->songs[i];
        audio_clip clip = { 0 };
        blocks_segments segments = { .n = 0 };
        bl_error local = { 0 };
        if (song->n_stems)
            continue;
        if (data_song_audio(s->dataset, song, options->sample_rate, &clip, &local) != BL_OK ||
            blocks_segmenter_run(segmenter, &clip, detector, &segments, &local) != BL_OK) {
            data_dataset_skip(s->dataset, song->path, local.msg);
        } else {
            for (int t = 0; t < segments.n && rc == BL_OK; t++) {
                const int64_t first = s->tones.n;
                if (!is_wanted(options, segments.tracks[t].instrument))
                    continue;
                rc = data_tones_detect(segments.tracks[t].audio.samples, segments.tracks[t].audio.n_samples, options->sample_rate,
                                       segments.tracks[t].instrument, song->name, options, &s->tones, err);
                for (int64_t m = first; m < s->tones.n; m++) {
                    s->tones.tones[m].genre = song->genre;
                    s->tones.tones[m].song = i;
                    s->tones.tones[m].split = song->split;
                }
            }
        }
        blocks_segments_free(&segments);
        audio_clip_free(&clip);
        bl_progress_step(&p, ++k, "");
    }
    bl_progress_end(&p);
done:
    blocks_segmenter_free(segmenter);
    blocks_tone_detector_free(detector);
    return rc;
}

/* ---- preparing ---- */

/* Features of every song, which its tones are conditioned on. */
static bl_status song_contexts(state *s, blocks_feature_extractor *fx, int n_context, bl_error *err)
{
    const int dim = fx->dim;
    float *all = malloc((size_t)dim * sizeof *all);
    s->context = calloc((size_t)s->dataset->n_songs * (size_t)(n_context ? n_context : 1), sizeof *s->context);
    if (!s->context || !all) {
        free(all);
        return bl_fail(err, BL_ENOMEM, "no memory for the songs' features");
    }
    if (n_context > dim) {
        free(all);
        return bl_fail(err, BL_EARG, "synthesizer.context is %d, but the autoencoder has %d latents", n_context, dim);
    }
    bl_progress p;
    bl_progress_start(&p, "features of songs", "songs", s->dataset->n_songs, s->opt->quiet);
    for (int i = 0; i < s->dataset->n_songs; i++) {
        audio_clip clip = { 0 };
        bl_error local = { 0 };
        const data_song *song = &s->dataset->songs[i];
        /* Single notes are no song; their tones train without a context. */
        if (n_context && (song->mixture || song->n_stems != 1) &&
            data_song_audio(s->dataset, song, 22050, &clip, &local) == BL_OK &&
            blocks_feature_extractor_context(fx, clip.samples, clip.n_samples, clip.sample_rate, all, &local) == BL_OK)
            memcpy(s->context + (size_t)i * (size_t)n_context, all, (size_t)n_context * sizeof *all);
        audio_clip_free(&clip);
        bl_progress_step(&p, i + 1, "");
    }
    bl_progress_end(&p);
    free(all);
    return BL_OK;
}

static bl_status collect_tones(state *s, bl_error *err)
{
    const data_tones_options o = s->tones_options;
    char text[600];
    /* A dataset of songs without stems has no labelled tone: that is found out below. */
    bl_error none = { 0 };
    if (data_tones_collect(s->dataset, &o, &s->tones, &none) != BL_OK && none.code != BL_EFORMAT)
        return bl_fail(err, none.code, "%s", none.msg);
    s->tones.sample_rate = o.sample_rate;
    if (cut_from_mixtures(s, &o, err) != BL_OK)
        return err->code;
    if (!s->tones.n)
        return bl_fail(err, BL_EFORMAT, "%s: no tone to learn from%s%s", s->opt->dataset_dir, none.code ? ": " : "", none.msg);
    data_tones_describe(&s->tones, text, sizeof text);
    say(s->opt, text);
    return BL_OK;
}

/* Networks from the checkpoint when resuming (its voices and genres count), else from the config and the tones. */
static bl_status make_synthesizer(state *s, const char *checkpoint, bl_error *err)
{
    blocks_voice *voices = NULL;
    int n_voices = 0;
    if (s->opt->resume && bl_is_file(checkpoint)) {
        nn_checkpoint *c = nn_checkpoint_open(checkpoint, "wavegan", err);
        s->synthesizer = c ? blocks_synthesizer_get_with(c, s->opt->config, 1, err) : NULL;
        nn_checkpoint_free(c);
    } else if (blocks_voices_find(&s->tones, &voices, &n_voices, NULL, err) == BL_OK) {
        s->synthesizer = blocks_synthesizer_new(s->opt->config, voices, n_voices, (char *const *)s->dataset->genres,
                                                s->dataset->n_genres, 1, (uint64_t)s->opt->seed, err);
    }
    free(voices);
    return s->synthesizer ? BL_OK : err->code;
}

/* ---- callbacks of the loop ---- */

static void plan(void *user, nn_plan *out)
{
    blocks_synthesizer_trainer_plan(((state *)user)->trainer, out);
}

static bl_status step(void *user, int64_t number, double *metrics, bl_error *err)
{
    state *s = user;
    blocks_synthesizer_losses l;
    (void)number;
    const bl_status rc = blocks_synthesizer_trainer_step(s->trainer, &l, err);
    metrics[0] = l.stft;
    metrics[1] = l.adversarial;
    metrics[2] = l.feature;
    metrics[3] = l.critic;
    metrics[4] = l.penalty;
    metrics[5] = l.gradient_norm;
    return rc;
}

static bl_status save(void *user, nn_checkpoint *c, bl_error *err)
{
    state *s = user;
    char folder[BL_PATH_MAX], path[BL_PATH_MAX];
    blocks_synthesizer_trainer_put(s->trainer, c, err);
    nn_checkpoint_put_int(c, "seed", s->opt->seed, err);
    if (err->code || bl_path_join(folder, s->opt->out_dir, "export", err) != BL_OK || bl_make_folder(folder, err) != BL_OK ||
        bl_path_join(path, folder, "wavegan.h5", err) != BL_OK)
        return err->code;
    return blocks_synthesizer_trainer_export(s->trainer, path, s->opt->seed, err);
}

static bl_status load(void *user, const nn_checkpoint *c, bl_error *err)
{
    return blocks_synthesizer_trainer_get(((state *)user)->trainer, c, err);
}

static bl_status validate(void *user, int64_t number, double *figures, bl_error *err)
{
    blocks_synthesizer_score score;
    (void)number;
    const bl_status rc = blocks_synthesizer_trainer_validate(((state *)user)->trainer, 40, &score, err);
    figures[0] = score.n ? score.generated : 0;
    figures[1] = score.n ? score.nearest : 0;
    figures[2] = score.n ? score.random_tone : 0;
    return rc;
}

static bl_status preview(void *user, int64_t number, bl_error *err)
{
    state *s = user;
    const int rate = s->synthesizer->sample_rate;
    char folder[BL_PATH_MAX], path[BL_PATH_MAX], name[64];
    float *generated = NULL, *recorded = NULL;
    int64_t n = 0;

    if (bl_path_join(folder, s->opt->out_dir, "preview", err) != BL_OK || bl_make_folder(folder, err) != BL_OK ||
        blocks_synthesizer_trainer_preview(s->trainer, 12, &generated, &recorded, &n, err) != BL_OK)
        return err->code;
    const audio_clip clips[2] = { { generated, n, 1, rate }, { recorded, n, 1, rate } };
    const audio_panel panels[2] = { { .clip = &clips[0], .title = "generated" }, { .clip = &clips[1], .title = "recorded" } };
    snprintf(name, sizeof name, "step_%06lld.png", (long long)number);
    bl_status rc = bl_path_join(path, folder, name, err);
    if (rc == BL_OK)
        rc = audio_picture_spectrograms(path, panels, 2, &(audio_picture_config){ .title = "one tone of each voice" }, err);
    snprintf(name, sizeof name, "step_%06lld.wav", (long long)number);
    if (rc == BL_OK && (rc = bl_path_join(path, folder, name, err)) == BL_OK)
        rc = audio_write(path, &clips[0], AUDIO_ENCODING_PCM16, err);
    if (rc == BL_OK && (rc = bl_path_join(path, folder, "recorded.wav", err)) == BL_OK)
        rc = audio_write(path, &clips[1], AUDIO_ENCODING_PCM16, err);
    free(generated);
    free(recorded);
    return rc;
}

/* ---- all of it ---- */

/* "all", or names between commas. */
static bl_status read_instruments(state *s, bl_error *err)
{
    const char *p = bl_config_str(s->opt->config, "train", "instruments", "all");
    data_tones_options *o = &s->tones_options;
    if (!strcmp(p, "all"))
        return BL_OK;
    while (*(p += strspn(p, ", "))) {
        char name[64];
        size_t n = strcspn(p, ",");
        snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), p);
        p += n;
        for (n = strlen(name); n && name[n - 1] == ' '; n--)
            name[n - 1] = '\0';
        const int id = data_instrument_parse(name, err);
        if (id < 0)
            bl_error_prefix(err, "%s: train.instruments", bl_config_name(s->opt->config));
        else if (o->n_instruments == (int)(sizeof s->instruments / sizeof *s->instruments))
            bl_fail(err, BL_EARG, "%s: train.instruments: too many", bl_config_name(s->opt->config));
        if (err->code)
            return err->code;
        s->instruments[o->n_instruments++] = id;
    }
    o->instruments = s->instruments;
    return BL_OK;
}

/* Every key of the config is looked at before anything that takes long. */
static bl_status read_config(state *s, train_loop *loop, bl_error *err)
{
    static const char *const own[] = { "synthesizer", "wavenet", "generator", "discriminator", "train", "gan", "chain", NULL };
    const train_options *opt = s->opt;
    const bl_config *c = opt->config;
    data_tones_options *o = &s->tones_options;

    if (!bl_config_has_section(c, "wavenet") || !bl_config_has_section(c, "generator") || !bl_config_has_section(c, "discriminator"))
        return bl_fail(err, BL_EARG, "%s: expected the sections [wavenet], [generator] and [discriminator]; see configs/rock.ini",
                       opt->config_path ? opt->config_path : "no --config was given");
    *o = (data_tones_options){ .quiet = opt->quiet, .seed = (uint64_t)opt->seed };
    o->sample_rate = (int)bl_config_int(c, "synthesizer", "sample_rate", 44100, 8000, 192000, err);
    o->max_tones_per_instrument = (int)bl_config_int(c, "train", "max_tones", 1500, 1, 1000000, err);
    o->max_memory_mb = (int)bl_config_int(c, "train", "max_memory_mb", 4000, 16, 1000000, err);
    o->max_seconds = bl_config_real(c, "train", "max_tone_s", 2.5, 0.1, 60, err);
    const double release_s = bl_config_real(c, "train", "release_s", 0.5, 0, 10, err);
    o->release_s = release_s > 0 ? release_s : -1; /* where 0 means the default */
    train_options_apply_steps(opt, "train", err);
    loop->n_steps = bl_config_int(c, "train", "steps", 8000, 1, 1000000000, err);
    loop->save_every = bl_config_int(c, "train", "checkpoint_every", 500, 1, 1000000000, err);
    loop->preview_every = loop->validate_every = bl_config_int(c, "train", "preview_every", 1000, 1, 1000000000, err);
    s->pretrained = bl_config_str(c, "chain", "pretrained", "models");
    s->chain = bl_config_str(c, "chain", "models", "autoencoder, tone_detector, segmenter, classifier");
    if (err->code || read_instruments(s, err) != BL_OK || blocks_synthesizer_config_check(c, err) != BL_OK)
        return err->code;
    return blocks_config_check(c, own, err);
}

static bl_status run(state *s, train_loop *loop, char checkpoint[BL_PATH_MAX], bl_error *err)
{
    const train_options *opt = s->opt;
    char path[BL_PATH_MAX];
    blocks_feature_extractor *fx = NULL;

    if (read_config(s, loop, err) != BL_OK ||
        !(s->dataset = data_dataset_open(opt->dataset_dir, &(data_dataset_options){ 0 }, err)))
        return err->code;
    if (train_chain(s, err) != BL_OK || train_model_path(path, "autoencoder", opt, err) != BL_OK ||
        !(fx = blocks_feature_extractor_load(path, err)))
        return err->code;
    if (collect_tones(s, err) == BL_OK && make_synthesizer(s, checkpoint, err) == BL_OK &&
        song_contexts(s, fx, s->synthesizer->n_context, err) == BL_OK)
        s->trainer = blocks_synthesizer_trainer_new(s->synthesizer, &s->tones, s->dataset->genres, s->context, loop->n_steps,
                                                    (uint64_t)opt->seed, err);
    blocks_feature_extractor_free(fx);
    if (!s->trainer)
        return err->code;
    loop->params = s->synthesizer->params;
    if (!opt->quiet) {
        nn_network_print(s->synthesizer->wavenet, stdout);
        nn_network_print(s->synthesizer->generator, stdout);
        nn_network_print(s->synthesizer->discriminator, stdout);
        printf("%d voices:", s->synthesizer->n_voices);
        for (int i = 0; i < s->synthesizer->n_voices; i++)
            printf(" %s%s", s->synthesizer->voices[i].name, i + 1 < s->synthesizer->n_voices ? "," : "\n");
        fflush(stdout);
    }
    return train_loop_run(loop, opt, err);
}

int main(int argc, char **argv)
{
    train_options opt;
    bl_error err = { 0 };
    char checkpoint[BL_PATH_MAX];
    const int rc = train_options_parse(&program, argc, argv, &opt);
    if (rc >= 0)
        return rc;
    if (blocks_synthesizer_kind_of(opt.config, &err) == BLOCKS_WAVEGAN) {
        const int result = train_unconditional(&opt);
        train_options_free(&opt);
        return result;
    }
    state s = { .opt = &opt };
    train_loop loop = {
        .program = "train_wavegan", .kind = "wavegan", .checkpoint_path = checkpoint,
        .n_metrics = 6, .metric_names = { "stft", "adversarial", "feature", "critic", "penalty", "gradient norm" },
        .n_figures = 3, .figure_names = { "held-out distance", "nearest tone", "random tone" },
        .user = &s, .plan = plan, .step = step, .save = save, .load = load, .validate = validate, .preview = preview,
    };
    bl_status status = err.code ? err.code : train_model_path(checkpoint, "wavegan", &opt, &err);
    if (status == BL_OK)
        status = run(&s, &loop, checkpoint, &err);
    const int result = train_loop_exit(&loop, status, &err);
    blocks_synthesizer_trainer_free(s.trainer);
    blocks_synthesizer_free(s.synthesizer);
    data_tones_free(&s.tones);
    data_dataset_free(s.dataset);
    free(s.context);
    train_options_free(&opt);
    return result;
}
