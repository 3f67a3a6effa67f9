/* Learns how to cluster the parts of songs into instruments: dataset -> parts -> scaling and centroids ->
 * OUT/segmenter.h5, with figures on songs it never heard. */
#define _POSIX_C_SOURCE 200809L
#include "base/file.h"
#include "base/progress.h"
#include "base/rng.h"
#include "blocks/config_defaults.h"
#include "blocks/feature_extractor.h"
#include "blocks/segmenter_train.h"
#include "train/options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const bl_cli_program program = {
    .name = "train_segmenter",
    .summary = "Learns how to part songs into instrument tracks (k-means; hierarchical by option) from a dataset folder.\n"
               "Writes OUT/segmenter.h5 and prints by how many dB its tracks come nearer to the true stems of songs it never\n"
               "heard. Without stems it learns all the same, and the figures are left out.\n"
               "The latents of OUT/autoencoder.h5 are part of what is clustered when that file exists ([segmenter] latents).\n"
               "--steps N learns from at most N songs.\n"
               "Ctrl-C keeps the songs taken apart so far in OUT/segmenter.part.h5; --resume goes on from there.",
    .examples = "  train_segmenter --config configs/rock.ini songs --out checkpoints\n"
                "  train_segmenter songs --set segmenter.method=hierarchical --set segmenter.linkage=average\n"
                "  train_segmenter songs --set segmenter.use_stems=0 --set segmenter.clusters=6 --log segmenter.csv\n",
};
static const char part_kind[] = "segmenter_part";

typedef struct run_state {
    data_dataset *dataset;
    blocks_segmenter_options options;
    blocks_segmenter_table   table;
    blocks_segmenter        *segmenter;
    blocks_feature_extractor *extractor; /* NULL: measured values alone         */
    blocks_latent_encoder     encoder;
    int     *order, n_order;       /* training songs                     */
    int      n_done;               /* of order: taken apart or unusable  */
    double   silhouettes[BLOCKS_SEGMENTER_MAX_TRACKS];
    uint64_t fingerprint;
    char     part[BL_PATH_MAX], path[BL_PATH_MAX];
    FILE    *log;
    char    *log_text;
    size_t   log_size;
} run_state;

static void report_skip(void *user, const char *path, const char *reason)
{
    (void)user;
    fprintf(stderr, "skipped %s: %s\n", path, reason);
}

/* ---- latents ------------------------------------------------------------------------------------ */

static bl_status encode(void *user, const float *x, int64_t n_samples, int sample_rate, float **latents, int64_t *n_frames,
                        double *hop_s, bl_error *err)
{
    blocks_feature_extractor *fx = user;
    int dim;
    *hop_s = fx->hop_s;
    return blocks_feature_extractor_run(fx, x, n_samples, sample_rate, latents, n_frames, &dim, err);
}

static const blocks_latent_encoder *encoder_of(const run_state *s)
{
    return s->extractor ? &s->encoder : NULL;
}

/* latents = auto: when OUT holds an autoencoder; yes: it must; no: never. */
static bl_status load_encoder(run_state *s, const train_options *opt, bl_error *err)
{
    static const char *const choices[] = { "no", "yes", "auto", NULL };
    char path[BL_PATH_MAX];
    const int choice = bl_config_choice(opt->config, "segmenter", "latents", choices, 2, err);
    if (err->code != BL_OK || bl_path_join(path, opt->out_dir, "autoencoder.h5", err) != BL_OK)
        return err->code;
    if (choice == 0 || (choice == 2 && !bl_is_file(path)))
        return BL_OK;
    s->extractor = blocks_feature_extractor_load(path, err);
    if (!s->extractor)
        return err->code;
    s->encoder = (blocks_latent_encoder){ s->extractor->dim, s->extractor, encode };
    if (!opt->quiet)
        printf("clustering on %d latents of %s beside %d measured values\n", s->extractor->dim, path, BLOCKS_PART_FEATURES);
    return BL_OK;
}

/* ---- what is finished --------------------------------------------------------------------------- */

static uint64_t fingerprint_of(const run_state *s)
{
    const int numbers[] = { s->options.n_harmonic, s->options.n_percussive, s->options.iterations, s->n_order,
                            s->extractor ? s->extractor->dim : 0, s->extractor ? (int)s->extractor->step : 0 };
    uint64_t h = bl_hash(0, numbers, sizeof numbers);
    h = bl_hash(h, &s->options.seconds, sizeof s->options.seconds);
    h = bl_hash(h, &s->options.seed, sizeof s->options.seed);
    for (int i = 0; i < s->n_order; i++) {
        const data_song *song = &s->dataset->songs[s->order[i]];
        h = bl_hash(h, song->name, strlen(song->name));
        h = bl_hash(h, &song->duration_s, sizeof song->duration_s);
    }
    return h;
}

static bl_status save_part(const run_state *s, bl_error *err)
{
    const blocks_segmenter_table *t = &s->table;
    int64_t *numbers = malloc((size_t)(2 * t->n + 1) * sizeof *numbers);
    nn_checkpoint *c;
    if (!numbers)
        return bl_fail(err, BL_ENOMEM, "%s: no memory", s->part);
    for (int64_t i = 0; i < t->n; i++) {
        numbers[2 * i] = t->family[i];
        numbers[2 * i + 1] = t->song[i];
    }
    c = nn_checkpoint_create(s->part, part_kind, err);
    if (!c) {
        free(numbers);
        return err->code;
    }
    nn_checkpoint_put_int(c, "fingerprint", (int64_t)s->fingerprint, err);
    nn_checkpoint_put_int(c, "songs_done", s->n_done, err);
    nn_checkpoint_put_int(c, "songs_used", t->n_songs, err);
    nn_checkpoint_put(c, "rows", NN_F32, 2, (int64_t[]){ t->n, t->dim_in }, t->rows, err);
    nn_checkpoint_put(c, "family_song", NN_I64, 2, (int64_t[]){ t->n, 2 }, numbers, err);
    free(numbers);
    return nn_checkpoint_commit(c, err);
}

static void load_part(run_state *s, int quiet)
{
    bl_error err = { 0 };
    int64_t dims[2] = { 0, 0 };
    blocks_segmenter_table *t = &s->table;
    nn_checkpoint *c = bl_is_file(s->part) ? nn_checkpoint_open(s->part, part_kind, &err) : NULL;
    if (!c)
        return;
    if ((uint64_t)nn_checkpoint_get_int(c, "fingerprint", 0, &err) != s->fingerprint) {
        if (!quiet)
            printf("the songs or settings are not those of the interrupted run; beginning afresh\n");
        nn_checkpoint_free(c);
        return;
    }
    float *rows = nn_checkpoint_get(c, "rows", NN_F32, 2, (int64_t[]){ -1, BLOCKS_PART_FEATURES + s->encoder.dim },
                                   dims, &err);
    int64_t *numbers = rows ? nn_checkpoint_get(c, "family_song", NN_I64, 2, (int64_t[]){ dims[0], 2 }, NULL, &err) : NULL;
    int *family = malloc((size_t)(dims[0] + 1) * sizeof *family), *song = malloc((size_t)(dims[0] + 1) * sizeof *song);
    const int64_t done = nn_checkpoint_get_int(c, "songs_done", 0, &err);
    if (numbers && family && song && done >= 0 && done <= s->n_order) {
        *t = (blocks_segmenter_table){ rows, family, song, dims[0], dims[0], (int)dims[1],
                                       (int)nn_checkpoint_get_int(c, "songs_used", 0, &err) };
        for (int64_t i = 0; i < t->n; i++) {
            family[i] = numbers[2 * i] >= 0 && numbers[2 * i] < DATA_N_FAMILIES ? (int)numbers[2 * i] : -1;
            song[i] = (int)numbers[2 * i + 1];
        }
        s->n_done = (int)done;
        rows = NULL;
        family = song = NULL;
        if (!quiet)
            printf("resumed: %d of %d songs are taken apart\n", s->n_done, s->n_order);
    }
    free(rows);
    free(numbers);
    free(family);
    free(song);
    nn_checkpoint_free(c);
}

/* ---- the run ------------------------------------------------------------------------------------ */

static bl_status prepare(run_state *s, const train_options *opt, bl_error *err)
{
    static const char *const own[] = { "segmenter", NULL }, *const networks[] = { NULL };
    bl_status status = blocks_config_fill(opt->config, "configs/segmenter.ini", own, networks, err);
    if (status == BL_OK)
        status = blocks_segmenter_configure(&s->options, opt->config, err);
    if (status == BL_OK)
        status = load_encoder(s, opt, err);
    if (status == BL_OK)
        status = blocks_config_check(opt->config, own, err);
    if (status != BL_OK)
        return status;
    s->options.max_songs = opt->steps;
    s->options.seed = (uint64_t)opt->seed;
    s->options.quiet = opt->quiet;
    if ((status = bl_path_join(s->path, opt->out_dir, "segmenter.h5", err)) != BL_OK ||
        (status = bl_path_join(s->part, opt->out_dir, "segmenter.part.h5", err)) != BL_OK)
        return status;
    s->dataset = data_dataset_open(opt->dataset_dir, &(data_dataset_options){ .on_skip = report_skip }, err);
    if (!s->dataset)
        return err->code;
    s->order = malloc((size_t)(s->dataset->n_songs + 1) * sizeof *s->order);
    s->log = open_memstream(&s->log_text, &s->log_size);
    if (!s->order || !s->log)
        return bl_fail(err, BL_ENOMEM, "no memory for %d songs", s->dataset->n_songs);
    fprintf(s->log, "what,name,stems,tracks,tracks_db,hpss_db,oracle_parts_db,oracle_masks_db\n");
    /* Songs with stems teach what belongs together; a track alone has nothing to be parted. Songs whose stems are
     * not known count as songs, single-stem recordings only when there is nothing else. */
    for (int pass = 0; pass < 2 && s->n_order == 0; pass++)
        for (int i = 0; i < s->dataset->n_songs; i++) {
            const data_song *song = &s->dataset->songs[i];
            if (song->split == DATA_TRAIN && (pass || song->n_stems != 1) && (opt->steps < 0 || s->n_order < opt->steps))
                s->order[s->n_order++] = i;
        }
    s->fingerprint = fingerprint_of(s);
    return s->n_order ? BL_OK : bl_fail(err, BL_EFORMAT, "%s: no song to learn from", opt->dataset_dir);
}

static bl_status take_apart(run_state *s, const train_options *opt, bl_error *err)
{
    bl_progress progress;
    bl_status status = BL_OK;
    int warned = 0;
    bl_progress_start(&progress, "taking apart", "songs", s->n_order, opt->quiet);
    progress.first = s->n_done;
    for (; s->n_done < s->n_order && status == BL_OK; s->n_done++) {
        bl_error own = { 0 };
        if (bl_interrupted()) {
            status = bl_fail(err, BL_ESTOP, "interrupted after %d of %d songs", s->n_done, s->n_order);
            break;
        }
        status = blocks_segmenter_table_add(&s->table, s->dataset, s->order[s->n_done], &s->options, encoder_of(s), &own);
        if (status == BL_ENOMEM)
            return bl_fail(err, status, "%s", own.msg);
        if (status != BL_OK) {
            if (!warned++ || !opt->quiet)
                fprintf(stderr, "skipped %s: %s\n", s->dataset->songs[s->order[s->n_done]].name, own.msg);
            status = BL_OK;
        }
        bl_progress_step(&progress, s->n_done + 1, "");
    }
    bl_progress_end(&progress);
    return status;
}

/* Mean over the held-out songs with stems. */
static bl_status evaluate(run_state *s, const train_options *opt, bl_error *err)
{
    blocks_segmenter_figures sum = { 0 };
    int n = 0, n_held = 0, at = 0;
    bl_progress progress;
    for (int i = 0; i < s->dataset->n_songs; i++)
        n_held += s->dataset->songs[i].split == DATA_VALIDATION && s->dataset->songs[i].n_stems >= 2;
    bl_progress_start(&progress, "testing", "songs", n_held, opt->quiet);
    for (int i = 0; i < s->dataset->n_songs && !bl_interrupted(); i++) {
        const data_song *song = &s->dataset->songs[i];
        blocks_segmenter_figures f;
        bl_error own = { 0 };
        if (song->split != DATA_VALIDATION || song->n_stems < 2)
            continue;
        const bl_status status = blocks_segmenter_evaluate(s->segmenter, s->dataset, i, s->options.seconds, encoder_of(s), &f, &own);
        if (status == BL_ENOMEM)
            return bl_fail(err, status, "%s", own.msg);
        bl_progress_step(&progress, ++at, "");
        if (status != BL_OK || f.n_stems < 2)
            continue;
        fprintf(s->log, "song,%s,%d,%d,%.4f,%.4f,%.4f,%.4f\n", song->name, f.n_stems, f.n_tracks, f.tracks_db, f.hpss_db,
                f.oracle_parts_db, f.oracle_masks_db);
        sum.n_stems += f.n_stems;
        sum.n_tracks += f.n_tracks;
        sum.tracks_db += f.tracks_db;
        sum.hpss_db += f.hpss_db;
        sum.oracle_parts_db += f.oracle_parts_db;
        sum.oracle_masks_db += f.oracle_masks_db;
        n++;
    }
    bl_progress_end(&progress);
    if (n == 0) {
        printf("no song with stems was held out, so there are no figures\n");
        return BL_OK;
    }
    printf("held out: %d songs never heard, %d stems, %d tracks; improvement of SI-SDR over the mixture, mean per stem:\n", n,
           sum.n_stems, sum.n_tracks);
    printf("  tracks                           %6.2f dB\n", sum.tracks_db / n);
    printf("  harmonic/percussive separation   %6.2f dB\n", sum.hpss_db / n);
    printf("  parts given to the right stems   %6.2f dB\n", sum.oracle_parts_db / n);
    printf("  ideal masks                      %6.2f dB\n", sum.oracle_masks_db / n);
    fprintf(s->log, "mean,all,%d,%d,%.4f,%.4f,%.4f,%.4f\n", sum.n_stems, sum.n_tracks, sum.tracks_db / n, sum.hpss_db / n,
            sum.oracle_parts_db / n, sum.oracle_masks_db / n);
    return BL_OK;
}

static bl_status run(run_state *s, const train_options *opt, bl_error *err)
{
    char *config = NULL;
    bl_status status = prepare(s, opt, err);
    if (status != BL_OK)
        return status;
    if (opt->resume)
        load_part(s, opt->quiet);
    status = take_apart(s, opt, err);
    if (status == BL_OK || (status == BL_ESTOP && s->table.n > 0)) {
        bl_error part_err = { 0 };
        if (save_part(s, &part_err) == BL_OK && status == BL_ESTOP)
            fprintf(stderr, "what is finished was kept in %s; the same command with --resume goes on\n", s->part);
    }
    if (status != BL_OK)
        return status;
    s->segmenter = blocks_segmenter_learn(&s->table, &s->options, s->silhouettes, err);
    if (!s->segmenter)
        return err->code;
    printf("learned %d clusters of %lld parts of %d songs (%d numbers, projected to %d):", s->segmenter->clusters.k,
           (long long)s->table.n, s->table.n_songs, s->segmenter->dim_in, s->segmenter->dim);
    for (int c = 0; c < s->segmenter->clusters.k; c++)
        printf("%s %s", c ? "," : "", s->segmenter->name[c]);
    printf("\n");
    for (int k = s->options.k_min; k <= s->options.k_max; k++)
        if (isfinite(s->silhouettes[k - s->options.k_min]))
            fprintf(s->log, "silhouette,%d,,,%.4f,,,\n", k, s->silhouettes[k - s->options.k_min]);
    config = bl_config_text(opt->config);
    status = config ? blocks_segmenter_save(s->segmenter, s->path, config, opt->seed, err) : bl_fail(err, BL_ENOMEM, "no memory");
    free(config);
    if (status == BL_OK)
        status = evaluate(s, opt, err);
    if (status == BL_OK)
        printf("wrote %s\n", s->path);
    if (status == BL_OK && opt->log_path) {
        if (fflush(s->log) != 0)
            return bl_fail(err, BL_ENOMEM, "%s: no memory", opt->log_path);
        status = bl_write_file(opt->log_path, s->log_text, s->log_size, err);
    }
    return status;
}

int main(int argc, char **argv)
{
    train_options opt;
    bl_error err = { 0 };
    const int rc = train_options_parse(&program, argc, argv, &opt);
    if (rc >= 0)
        return rc;
    bl_catch_interrupt();
    run_state *s = calloc(1, sizeof *s);
    const bl_status status = s ? run(s, &opt, &err) : bl_fail(&err, BL_ENOMEM, "no memory");
    if (s) {
        if (s->log)
            fclose(s->log);
        free(s->log_text);
        free(s->order);
        blocks_segmenter_table_free(&s->table);
        blocks_segmenter_free(s->segmenter);
        blocks_feature_extractor_free(s->extractor);
        data_dataset_free(s->dataset);
        free(s);
    }
    train_options_free(&opt);
    return status == BL_OK ? 0 : bl_cli_fail(&program, &err);
}
