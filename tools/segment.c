/* segment SONG -o DIR: a song into instrument tracks (blocks/segmenter.h), one file each. */
#include "audio/soundfile.h"
#include "base/cli.h"
#include "base/file.h"
#include "blocks/segmenter.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    const char *out, *model;
    int64_t     tracks, threads;
    int         hierarchical, no_names, quiet;
} args = { NULL, "models", 0, 0, 0, 0, 0 };

static const bl_cli_program program = {
    .name = "segment",
    .usage = "[options] SONG -o DIR",
    .summary = "Cuts a song into instrument tracks that add up to it, one file each, named after what they sound like.",
    .examples = "  segment song.mp3 -o tracks\n"
                "  segment song.wav -o tracks --tracks 4\n",
    .min_positional = 1, .max_positional = 1
};

static const bl_cli_option options[] = {
    { "output", 'o', BL_CLI_TEXT, &args.out, "DIR", "where the tracks go, as float WAV at the song's rate; made if it is not there" },
    { "model", 'm', BL_CLI_TEXT, &args.model, "DIR", "folder of segmenter.h5 and tone_detector.h5 (models)" },
    { "tracks", 't', BL_CLI_INT, &args.tracks, "N", "how many (0: found)" },
    { "hierarchical", 0, BL_CLI_FLAG, &args.hierarchical, NULL, "join regions by linkage instead of k-means" },
    { "no-names", 0, BL_CLI_FLAG, &args.no_names, NULL, "without the tone detector: tracks are named after instrument families" },
    { "threads", 'j', BL_CLI_INT, &args.threads, "N", "threads (all processors)" },
    { "quiet", 'q', BL_CLI_FLAG, &args.quiet, NULL, "say nothing" },
    { 0 }
};

static blocks_segmenter *load_segmenter(bl_error *err)
{
    char path[BL_PATH_MAX];
    if (bl_path_join(path, args.model, "segmenter.h5", err) != BL_OK)
        return NULL;
    blocks_segmenter *s = blocks_segmenter_load(path, err);
    if (s && (args.tracks < 0 || args.tracks > BLOCKS_SEGMENTER_MAX_TRACKS)) {
        bl_fail(err, BL_EARG, "--tracks %lld: expected 0 to %d", (long long)args.tracks, BLOCKS_SEGMENTER_MAX_TRACKS);
        blocks_segmenter_free(s);
        return NULL;
    }
    if (s) {
        s->options.k = (int)args.tracks;
        s->options.method = args.hierarchical ? BLOCKS_SEGMENTER_HIERARCHICAL : s->options.method;
    }
    return s;
}

static blocks_tone_detector *load_detector(bl_error *err)
{
    char path[BL_PATH_MAX];
    return bl_path_join(path, args.model, "tone_detector.h5", err) == BL_OK ? blocks_tone_detector_load(path, err) : NULL;
}

static bl_status write_tracks(const blocks_segments *tracks, bl_error *err)
{
    bl_status status = bl_make_folder(args.out, err);
    for (int i = 0; i < tracks->n && status == BL_OK; i++) {
        const blocks_segment *t = &tracks->tracks[i];
        char name[80], path[BL_PATH_MAX];
        snprintf(name, sizeof name, "%.64s.wav", t->name);
        for (char *p = name; *p; p++)
            *p = *p == ' ' || *p == '/' ? '_' : *p;
        status = bl_path_join(path, args.out, name, err);
        if (status == BL_OK)
            status = audio_write(path, &t->audio, AUDIO_ENCODING_FLOAT, err);
        if (status == BL_OK && !args.quiet && t->probability > 0)
            printf("%-32s %5.1f %% of the song, called so with probability %.2f\n", name, 100 * t->share, t->probability);
        else if (status == BL_OK && !args.quiet)
            printf("%-32s %5.1f %% of the song\n", name, 100 * t->share);
    }
    return status;
}

static bl_status run(const char *song, bl_error *err)
{
    audio_clip clip = { 0 };
    blocks_segments *tracks = calloc(1, sizeof *tracks);
    blocks_segmenter *s = tracks ? load_segmenter(err) : NULL;
    blocks_tone_detector *detector = s && !args.no_names ? load_detector(err) : NULL;
    bl_status status = s && (detector || args.no_names) ? BL_OK : tracks ? err->code : bl_fail(err, BL_ENOMEM, "no memory");
    if (status == BL_OK)
        status = audio_read(song, 0, &clip, err);
    if (status == BL_OK && (status = blocks_segmenter_run(s, &clip, detector, tracks, err)) != BL_OK)
        bl_error_prefix(err, "%s", song);
    if (status == BL_OK)
        status = write_tracks(tracks, err);
    if (tracks)
        blocks_segments_free(tracks);
    free(tracks);
    audio_clip_free(&clip);
    blocks_segmenter_free(s);
    blocks_tone_detector_free(detector);
    return status;
}

int main(int argc, char **argv)
{
    const char *song = NULL;
    int n = 0;
    bl_error err = { 0 };
    const int rc = bl_cli_parse(&program, options, argc, argv, &song, &n);
    if (rc >= 0)
        return rc;
    if (!args.out) {
        fprintf(stderr, "%s: say where the tracks go: -o DIR\n", program.name);
        return 2;
    }
    if (args.threads > 0)
        omp_set_num_threads((int)args.threads);
    return run(song, &err) == BL_OK ? 0 : bl_cli_fail(&program, &err);
}
