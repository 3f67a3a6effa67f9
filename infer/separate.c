/* A song into its voice and the rest, as files: the separator by itself. */
#include "audio/soundfile.h"
#include "base/cli.h"
#include "base/file.h"
#include "blocks/separator.h"
#include "infer/analyzer.h"
#include "infer/pipeline.h"

#include <omp.h>
#include <stdio.h>

static const bl_cli_program program = {
    .name = "separate",
    .usage = "[options] SONG -o DIR",
    .summary = "Parts a song into its voice and the rest: DIR/voice.wav and DIR/rest.wav, at the song's rate and length.\n"
               "The two sum to the song.",
    .examples = "  separate song.mp3 -o parts\n"
                "  separate song.mp3 -o parts --model checkpoints\n",
    .min_positional = 1, .max_positional = 1
};

static bl_status write(const char *folder, const char *name, const audio_clip *clip, bl_error *err)
{
    char path[BL_PATH_MAX];
    return bl_path_join(path, folder, name, err) == BL_OK ? audio_write(path, clip, AUDIO_ENCODING_FLOAT, err) : err->code;
}

static bl_status separate(const char *song, const char *out, const char *model, bl_error *err)
{
    char models[BL_PATH_MAX], path[BL_PATH_MAX];
    audio_clip mix = { 0 }, voice = { 0 }, rest = { 0 };
    blocks_separator *s = NULL;
    if (!model && infer_default_models(models, err) != BL_OK)
        return err->code;
    if (infer_model_path(path, model ? model : models, "separator.h5", err) == BL_OK && (s = blocks_separator_load(path, err)) &&
        audio_read(song, INFER_MAX_SECONDS, &mix, err) == BL_OK && blocks_separator_run(s, &mix, &voice, &rest, err) == BL_OK &&
        bl_make_folder(out, err) == BL_OK && write(out, "voice.wav", &voice, err) == BL_OK)
        write(out, "rest.wav", &rest, err);
    blocks_separator_free(s);
    audio_clip_free(&mix);
    audio_clip_free(&voice);
    audio_clip_free(&rest);
    return err->code;
}

int main(int argc, char **argv)
{
    const char *song = NULL, *out = NULL, *model = NULL;
    int64_t threads = 0;
    int n = 0;
    const bl_cli_option options[] = {
        { "out", 'o', BL_CLI_TEXT, &out, "DIR", "where the two files go" },
        { "model", 0, BL_CLI_TEXT, &model, "DIR", "trained models (default: models beside the program's folder)" },
        { "threads", 0, BL_CLI_INT, &threads, "N", "threads (default: all)" },
        { NULL }
    };
    bl_error err = { 0 };
    const int rc = bl_cli_parse(&program, options, argc, argv, &song, &n);
    if (rc >= 0)
        return rc;
    if (!out || threads < 0 || threads > 1024) {
        fprintf(stderr, "separate: %s; see separate --help\n",
                out ? "--threads: expected 1 to 1024" : "-o is missing: where the voice and the rest go");
        return 2;
    }
    if (threads)
        omp_set_num_threads((int)threads);
    return separate(song, out, model, &err) == BL_OK ? 0 : bl_cli_fail(&program, &err);
}
