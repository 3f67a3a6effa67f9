/* classify RECORDING...: what the classifier says of each recording, one line of JSON per file. */
#include "audio/soundfile.h"
#include "base/cli.h"
#include "base/file.h"
#include "blocks/classifier.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
    const char *model;
    int64_t     threads;
} args = { "models", 1 };

static const bl_cli_program program = {
    .name = "classify",
    .usage = "[options] RECORDING...",
    .summary = "Genre and instruments of recordings: a line of JSON per file, with a probability for every genre and instrument\n"
               "that the model knows. \"seconds\" is the time that took, \"duration\" the length of the recording.",
    .examples = "  classify song.wav\n  classify --model checkpoints songs/*/mixture.flac >heard.jsonl\n",
    .min_positional = 1,
    .max_positional = 1 << 20,
};

static const bl_cli_option options[] = {
    { "model", 'm', BL_CLI_TEXT, &args.model, "DIR", "where classifier.h5 lies (models)" },
    { "threads", 'j', BL_CLI_INT, &args.threads, "N", "threads (1)" },
    { 0 }
};

static void print_text(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        if ((unsigned char)*text >= 32)
            putchar(*text);
    }
    putchar('"');
}

static void print_names(const char *what, char **names, const float *probability, int n)
{
    printf(", \"%s\": {", what);
    for (int i = 0; i < n; i++) {
        printf("%s", i ? ", " : "");
        print_text(names[i]);
        printf(": %.4f", (double)probability[i]);
    }
    putchar('}');
}

static bl_status classify(blocks_classifier *c, const char *path, float *genre, float *instrument, bl_error *err)
{
    audio_clip clip = { 0 };
    float *mono = NULL;
    if (audio_read(path, 0, &clip, err) != BL_OK)
        return err->code;
    if (!(mono = malloc((size_t)clip.n_samples * sizeof *mono))) {
        bl_fail(err, BL_ENOMEM, "no memory for %s", path);
    } else {
        audio_clip_mono(&clip, mono);
        const double start_s = bl_seconds();
        if (blocks_classifier_run(c, mono, clip.n_samples, clip.sample_rate, genre, instrument, err) == BL_OK) {
            const double took_s = bl_seconds() - start_s;
            printf("{\"path\": ");
            print_text(path);
            printf(", \"duration\": %.3f, \"seconds\": %.4f", (double)clip.n_samples / clip.sample_rate, took_s);
            print_names("genre", c->genres, genre, c->n_genres);
            print_names("instruments", c->instruments, instrument, c->n_instruments);
            printf("}\n");
        }
    }
    free(mono);
    audio_clip_free(&clip);
    return err->code;
}

int main(int argc, char **argv)
{
    const char **paths = calloc((size_t)argc + 1, sizeof *paths);
    char model[BL_PATH_MAX];
    int n = 0;
    bl_error err = { 0 };
    blocks_classifier *c = NULL;
    float *genre = NULL, *instrument = NULL;
    const int rc = paths ? bl_cli_parse(&program, options, argc, argv, paths, &n) : 1;
    if (rc >= 0) {
        free(paths);
        return rc;
    }
    if (args.threads < 1 || args.threads > 1024)
        bl_fail(&err, BL_EARG, "--threads: expected 1 to 1024, got %lld", (long long)args.threads);
    else
        omp_set_num_threads((int)args.threads);
    if (err.code == BL_OK && bl_path_join(model, args.model, "classifier.h5", &err) == BL_OK && (c = blocks_classifier_load(model, &err))) {
        genre = calloc((size_t)c->n_genres + 1, sizeof *genre);
        instrument = calloc((size_t)c->n_instruments + 1, sizeof *instrument);
        if (!genre || !instrument)
            bl_fail(&err, BL_ENOMEM, "no memory for %d genres", c->n_genres);
        for (int i = 0; i < n && err.code == BL_OK; i++)
            classify(c, paths[i], genre, instrument, &err);
    }
    free(genre);
    free(instrument);
    blocks_classifier_free(c);
    free(paths);
    return err.code == BL_OK ? 0 : bl_cli_fail(&program, &err);
}
