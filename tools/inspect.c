/* inspect FILE: what is in a checkpoint or a MIDI file, for people. */
#include "base/cli.h"
#include "base/file.h"
#include "music/describe.h"
#include "music/midi.h"
#include "nn/checkpoint.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const bl_cli_program program = {
    .name = "inspect",
    .usage = "[options] CHECKPOINT.h5|SONG.mid",
    .summary = "Shows what is in a file. A checkpoint: kind, attributes, configuration, and every dataset with its shape and\n"
               "values. A MIDI file: tracks, tempos, meters, keys, markers, chords, and figures that describe the music.",
    .examples = "  inspect models/segmenter.h5\n  inspect --config models/bilstm.h5 >bilstm.ini\n"
                "  inspect song.mid\n  inspect old.mid --rewrite new.mid       a track per instrument (format 1), nothing lost\n",
    .min_positional = 1,
    .max_positional = 1,
};

typedef struct report {
    const nn_checkpoint *checkpoint;
    const char *prefix;      /* only datasets whose name begins with it */
    int64_t     n_datasets, n_values, n_parameters, n_bad, n_bytes;
    bl_error    err;
} report;

typedef struct statistics {
    double  min, max, mean, deviation;
    int64_t n_nan, n_infinite;
} statistics;

/* Two passes, so that the deviation of large, nearly equal values is right. */
static statistics measure(const void *values, nn_dtype type, int64_t n)
{
    statistics s = { HUGE_VAL, -HUGE_VAL, 0, 0, 0, 0 };
    int64_t n_finite = 0;
    double sum = 0, squares = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < n; i++) {
            const double v = type == NN_F32 ? (double)((const float *)values)[i]
                           : type == NN_F64 ? ((const double *)values)[i] : (double)((const int64_t *)values)[i];
            if (!isfinite(v)) {
                if (pass == 0)
                    *(isnan(v) ? &s.n_nan : &s.n_infinite) += 1;
                continue;
            }
            if (pass == 1) {
                squares += (v - s.mean) * (v - s.mean);
                continue;
            }
            n_finite++;
            sum += v;
            s.min = v < s.min ? v : s.min;
            s.max = v > s.max ? v : s.max;
            s.mean = sum / (double)n_finite;
        }
    s.deviation = n_finite ? sqrt(squares / (double)n_finite) : 0;
    return s;
}

static int show_dataset(void *user, const char *name, nn_dtype type, int rank, const int64_t *dims)
{
    static const char *const type_names[] = { "f32", "f64", "i64" };
    report *r = user;
    char shape[160] = "";
    int64_t n = 1, got[16], wanted[16];
    if (r->prefix && strncmp(name, r->prefix, strlen(r->prefix)))
        return 0;
    if (rank > 16) {
        bl_fail(&r->err, BL_EFORMAT, "%s: \"%s\" has %d dimensions", nn_checkpoint_path(r->checkpoint), name, rank);
        return 1;
    }
    for (int i = 0; i < rank; i++) {
        const size_t used = strlen(shape);
        snprintf(shape + used, sizeof shape - used, "%s%" PRId64, i ? "," : "", dims[i]);
        n *= dims[i];
        wanted[i] = -1;
    }
    void *values = nn_checkpoint_get(r->checkpoint, name, type, rank, wanted, got, &r->err);
    if (!values)
        return 1;
    const statistics s = measure(values, type, n);
    free(values);
    printf("  %-44s %s [%s]", name, type_names[type], shape);
    if (s.min <= s.max)
        printf("  min %.4g  max %.4g  mean %.4g  std %.4g", s.min, s.max, s.mean, s.deviation);
    if (s.n_nan || s.n_infinite)
        printf("  NaN %" PRId64 "  infinite %" PRId64, s.n_nan, s.n_infinite);
    printf("\n");
    r->n_datasets++;
    r->n_values += n;
    r->n_parameters += strncmp(name, "optimizer/", 10) && type == NN_F32 ? n : 0;
    r->n_bytes += n * (type == NN_F32 ? 4 : 8);
    r->n_bad += s.n_nan + s.n_infinite;
    return 0;
}

/* Long texts (the config) are shown apart, cut here to their first line. */
static int show_attribute(void *user, const char *name, int is_text)
{
    report *r = user;
    bl_error local = { 0 };
    int n = 0;
    if (!is_text) {
        printf("  %-20s %" PRId64 "\n", name, nn_checkpoint_get_int(r->checkpoint, name, 0, &local));
        return 0;
    }
    char **texts = nn_checkpoint_get_texts(r->checkpoint, name, &n, &local);
    if (!texts) { /* the checksum is no list of texts; without it being right the file would not have opened */
        printf("  %-20s %s\n", name, strcmp(name, "checksum") ? "(not readable)" : "(verified)");
        return 0;
    }
    printf("  %-20s", name);
    if (n != 1)
        printf(" %d texts:", n);
    for (int i = 0; i < n && i < 64; i++) {
        const size_t line = strcspn(texts[i], "\n");
        const int cut = texts[i][line] != '\0' || line > 100;
        printf("%s%.*s%s", i ? ", " : " ", (int)(line < 100 ? line : 100), texts[i], cut ? " ..." : "");
    }
    printf(n > 64 ? ", ...\n" : "\n");
    nn_checkpoint_texts_free(texts, n);
    return 0;
}

static int finish(bl_error *err)
{
    if (err->code == BL_OK && fflush(stdout) != 0)
        bl_fail(err, BL_EIO, "cannot write to standard output");
    return err->code == BL_OK ? 0 : bl_cli_fail(&program, err);
}

static int is_midi(const char *path)
{
    const char *extension = bl_path_extension(path);
    return !strcmp(extension, "mid") || !strcmp(extension, "midi") || !strcmp(extension, "kar") || !strcmp(extension, "rmi");
}

static int show_midi(const char *path, const char *rewritten)
{
    bl_error err = { 0 };
    music_score score = { 0 };
    if (music_midi_read(path, &score, &err) == BL_OK) {
        if (rewritten)
            music_midi_write(rewritten, &score, &err);
        else if (music_score_describe(&score, stdout, &err) != BL_OK)
            bl_error_prefix(&err, "%s", path);
    }
    music_score_free(&score);
    return finish(&err);
}

int main(int argc, char **argv)
{
    int config_only = 0, no_values = 0;
    const char *path = NULL, *prefix = NULL, *rewritten = NULL;
    int n_positional = 0;
    const bl_cli_option options[] = {
        { "config", 0, BL_CLI_FLAG, &config_only, NULL, "print the stored configuration alone, as an .ini file" },
        { "attributes", 0, BL_CLI_FLAG, &no_values, NULL, "kind and attributes, no datasets" },
        { "prefix", 0, BL_CLI_TEXT, &prefix, "NAME", "only datasets whose name begins so (\"generator/\")" },
        { "rewrite", 0, BL_CLI_TEXT, &rewritten, "FILE.mid", "of a MIDI file: write it anew, a named track per instrument" },
        { NULL, 0, BL_CLI_FLAG, NULL, NULL, NULL },
    };
    const int rc = bl_cli_parse(&program, options, argc, argv, &path, &n_positional);
    if (rc >= 0)
        return rc;
    if (is_midi(path))
        return show_midi(path, rewritten);
    if (rewritten) {
        fprintf(stderr, "inspect: --rewrite: %s is no MIDI file (.mid, .midi, .kar, .rmi)\n", path);
        return 2;
    }

    report r = { .prefix = prefix };
    nn_checkpoint *c = nn_checkpoint_open(path, NULL, &r.err);
    if (!c)
        return bl_cli_fail(&program, &r.err);
    r.checkpoint = c;
    if (config_only) {
        char *text = nn_checkpoint_get_text(c, "config", &r.err);
        if (text)
            fputs(text, stdout);
        free(text);
    } else {
        printf("%s: %s checkpoint\n\nattributes\n", path, nn_checkpoint_kind(c));
        nn_checkpoint_each_attribute(c, show_attribute, &r);
        bl_error none = { 0 };
        char *text = nn_checkpoint_get_text(c, "config", &none);
        if (text && *text)
            printf("\nconfig\n%s%s", text, text[strlen(text) - 1] == '\n' ? "" : "\n");
        free(text);
        if (!no_values) {
            printf("\ndatasets\n");
            if (nn_checkpoint_each(c, show_dataset, &r) == 0) {
                printf("\n%" PRId64 " datasets, %" PRId64 " values, %.2f MB; %" PRId64 " of them f32 outside optimizer/\n",
                       r.n_datasets, r.n_values, 1e-6 * (double)r.n_bytes, r.n_parameters);
                if (r.n_bad)
                    printf("%" PRId64 " values are not finite\n", r.n_bad);
            }
        }
    }
    nn_checkpoint_free(c);
    return finish(&r.err);
}
