/* drum_track GENRE -o FILE.mid: what a style's drums play, by themselves: to hear a style file while it is being written, and to
 * measure it (make evaluate TASKS=drums). An invented singer rests, sings quietly, louder, and as loud as can be. */
#include "base/cli.h"
#include "base/file.h"
#include "blocks/drummer.h"
#include "music/arrange.h"
#include "music/midi.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    const char *out, *model;
    int64_t     bars, beats, seed;
    double      bpm;
    int         no_drummer;
} args = { NULL, "models", 32, 4, 1, 110, 0 };

static const bl_cli_program program = {
    .name = "drum_track",
    .usage = "[options] GENRE -o FILE.mid",
    .summary = "Writes what the drums of a style play (configs/styles/GENRE.ini, or a file of your own) as a MIDI file.",
    .examples = "  drum_track jazz -o jazz.mid --bpm 150\n"
                "  drum_track my_style.ini -o mine.mid --beats 3 --seed 2\n"
                "  drum_track rock -o stiff.mid --no-drummer\n",
    .min_positional = 1, .max_positional = 1
};

static const bl_cli_option options[] = {
    { "output", 'o', BL_CLI_TEXT, &args.out, "FILE.mid", "where the notes go" },
    { "bpm", 0, BL_CLI_REAL, &args.bpm, "X", "beats a minute (110)" },
    { "bars", 0, BL_CLI_INT, &args.bars, "N", "bars (32)" },
    { "beats", 0, BL_CLI_INT, &args.beats, "N", "beats in a bar (4)" },
    { "seed", 0, BL_CLI_INT, &args.seed, "N", "another take (1)" },
    { "model", 'm', BL_CLI_TEXT, &args.model, "DIR", "folder of drummer.h5 (models)" },
    { "no-drummer", 0, BL_CLI_FLAG, &args.no_drummer, NULL, "as the patterns are written, with a little chance" },
    { 0 }
};

static bl_status check(bl_error *err)
{
    if (!args.out)
        return bl_fail(err, BL_EARG, "-o FILE.mid is missing");
    if (args.bars < 4 || args.bars > 2000 || args.beats < 1 || args.beats > 12)
        return bl_fail(err, BL_EARG, "%lld bars of %lld beats; expected 4 to 2000 of 1 to 12", (long long)args.bars, (long long)args.beats);
    return args.bpm >= 20 && args.bpm <= 400 ? BL_OK : bl_fail(err, BL_EARG, "--bpm %g: expected 20 to 400", args.bpm);
}

static music_style *load_style(const char *genre, bl_error *err)
{
    char name[256], path[BL_PATH_MAX];
    if (bl_is_file(genre))
        return music_style_load(genre, err);
    snprintf(name, sizeof name, "configs/styles/%.200s.ini", genre);
    return bl_find_shipped(path, name, err) == BL_OK ? music_style_load(path, err) : NULL;
}

/* Eight bars' sections of rising loudness, over and over; the first two bars and the last are without a voice. */
static void invent(double *beats, music_form_part *form, music_note *sung, music_arrange_input *in)
{
    const int per_bar = (int)args.beats, n = (int)args.bars * per_bar + 1;
    const double period = 60 / args.bpm;
    for (int i = 0; i < n; i++)
        beats[i] = i * period;
    for (int bar = 0; bar < (int)args.bars; bar++) {
        const int section = bar / 8, level = section % 3;
        if (bar % 8 == 0)
            form[in->n_sections++] = (music_form_part){ bar ? beats[bar * per_bar] : 0, level };
        for (int b = 0; b < per_bar && bar >= 2 && bar + 1 < (int)args.bars; b++)
            sung[in->n_melody++] = (music_note){ beats[bar * per_bar + b], beats[bar * per_bar + b] + 0.9 * period, 57 + 4 * level + b % 3, 55 + 30 * level };
    }
    in->n_beats = n;
    in->duration_s = beats[n - 1] + 3;
}

static bl_status arrange(const music_style *style, blocks_drummer *d, bl_error *err)
{
    static const char *const drums[] = { "drums" };
    const size_t n = (size_t)(args.bars * args.beats + 2);
    double *beats = malloc(n * sizeof *beats);
    music_form_part *form = malloc(n * sizeof *form);
    music_note *sung = malloc(n * sizeof *sung);
    music_score score = { 0 };
    const music_drummer hook = blocks_drummer_hook(d);
    bl_status status = beats && form && sung ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for %lld bars", (long long)args.bars);
    if (status == BL_OK) {
        music_arrange_input in = { .beats_s = beats, .beats_per_bar = (int)args.beats, .sections = form, .melody = sung, .style = style,
                                   .instruments = drums, .n_instruments = 1, .seed = (uint64_t)args.seed, .drummer = d ? &hook : NULL };
        invent(beats, form, sung, &in);
        status = music_arrange(&in, &score, err);
    }
    if (status == BL_OK)
        status = music_midi_write(args.out, &score, err);
    music_score_free(&score);
    free(beats);
    free(form);
    free(sung);
    return status;
}

int main(int argc, char **argv)
{
    const char *positional[1];
    char path[BL_PATH_MAX];
    bl_error err = { 0 };
    blocks_drummer *d = NULL;
    int n;
    const int rc = bl_cli_parse(&program, options, argc, argv, positional, &n);
    if (rc >= 0)
        return rc;
    bl_status status = check(&err);
    music_style *style = status == BL_OK ? load_style(positional[0], &err) : NULL;
    status = style ? BL_OK : err.code;
    if (status == BL_OK && !args.no_drummer) {
        status = bl_path_join(path, args.model, "drummer.h5", &err);
        d = status == BL_OK ? blocks_drummer_load(path, &err) : NULL;
        status = d ? BL_OK : err.code;
    }
    if (status == BL_OK)
        status = arrange(style, d, &err);
    music_style_free(style);
    blocks_drummer_free(d);
    return status == BL_OK ? 0 : bl_cli_fail(&program, &err);
}
