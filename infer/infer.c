#include "base/cli.h"
#include "base/progress.h"
#include "infer/pipeline.h"
#include "nn/network.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const bl_cli_program program = {
    .name = "infer",
    .usage = "SONG [-o OUT] [options]",
    .summary = "Puts a band behind a singer: listens to SONG, arranges, plays and mixes.\n"
               "SONG may be a bare voice, a mixed song or an instrumental, in any format libsndfile reads. What is not\n"
               "given is found out from the song.",
    .examples = "  infer vocal.wav -o song.wav --genre rock --instruments \"electric guitar, bass, drums\"\n"
                "  infer vocal.flac -o song.flac --stems stems --midi song.mid --report song.json\n"
                "  infer vocal.flac --report song.json --midi song.mid         the plan alone: nothing is played\n"
                "  infer vocal.flac -o again.flac --plan song.json            after editing song.json\n"
                "  infer vocal.flac --plan song.json --write-chords chords.txt\n"
                "  infer vocal.flac -o again.flac --plan song.json --chords chords.txt    after editing chords.txt\n"
                "  infer vocal.flac -o other.flac --plan song.json --seed 2   other parts over the same chords\n"
                "  infer vocal.flac --from-midi band.mid -o song.wav       the band plays what the file says; without a voice, too\n"
                "  infer song.mp3 -o more.wav --existing keep --instruments organ --interval 0:30-1:00\n",
    .min_positional = 0, .max_positional = 1,
    .topics = NN_LAYERS_HELP, .topic = nn_layers_help,
};

static void print_summary(const infer_options *o, const infer_plan *p)
{
    const struct { const char *what, *path; } files[] = {
        { "song", o->out }, { "stems", o->stems }, { "MIDI", o->midi }, { "report", o->report }, { "picture", o->picture },
        { "chords", o->write_chords } };
    printf("%s, %.1f bpm, %s%s%s", p->input[0] ? p->input : "MIDI", p->tempo_bpm, p->key, p->key[0] ? ", " : "", p->genre);
    if (!p->genre_given && p->genre_probability > 0)
        printf(" (guessed, probability %.2f)", p->genre_probability);
    const struct { const char *what, *like; } likes[] = {
        { "instruments", p->genre_band }, { "chords", p->genre_chords }, { "sounds", p->genre_sounds } };
    for (size_t i = 0; i < sizeof likes / sizeof *likes; i++)
        if (likes[i].like[0] && strcmp(likes[i].like, p->genre) != 0)
            printf(", %s of %s", likes[i].what, likes[i].like);
    printf("\n");
    for (int i = 0; i < p->n_instruments; i++) {
        const infer_instrument *e = &p->instruments[i];
        if (!e->accepted)
            printf("%s is %s%s: %s\n", e->name, e->replaced_by[0] ? "replaced by " : "left out", e->replaced_by, e->reason);
    }
    if (p->n_sheet_bars && p->n_sheet_bars != p->n_song_bars)
        printf("the chord sheet has %d bars, the song %d: %s\n", p->n_sheet_bars, p->n_song_bars,
               p->n_sheet_bars < p->n_song_bars ? "it is played again from its beginning, or from its last section" : "the rest is not played");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (files[i].path)
            printf("%-8s %s\n", files[i].what, files[i].path);
    if (isfinite(p->mix_lufs))
        printf("%.1f LUFS, true peak %.1f dBTP, ", p->mix_lufs, p->true_peak_dbtp);
    printf("%.1f s for %.1f s of music\n", p->seconds, p->duration_s);
}

/* Wrong usage, as against wishes that cannot be fulfilled. */
static bl_status check(const infer_options *o, int64_t threads, bl_error *err)
{
    music_interval interval;
    const char *const given = o->overrides.plan ? "--plan" : o->overrides.beats ? "--beats" : o->overrides.bpm > 0 ? "--bpm" :
                              o->overrides.tempo ? "--tempo" : o->overrides.meter ? "--meter" : o->overrides.key ? "--key" :
                              o->overrides.chords ? "--chords" : o->instruments ? "--instruments" : NULL;
    if (!o->song && !o->from_midi)
        return bl_fail(err, BL_EARG, "expected a SONG (or --from-midi FILE)");
    if (o->from_midi && given)
        return bl_fail(err, BL_EARG, "%s and --from-midi: the MIDI file says that; edit it, or leave one of them out", given);
    if (!o->out && !o->report && !o->midi && !o->write_chords && !o->picture)
        return bl_fail(err, BL_EARG, "-o FILE is missing: where the song goes (or --report, --midi, --write-chords or --picture, for the plan alone)");
    if (!o->out && o->stems)
        return bl_fail(err, BL_EARG, "--stems needs a song to be played: give -o FILE");
    if (o->cache && o->no_cache)
        return bl_fail(err, BL_EARG, "--cache and --no-cache: give one of them");
    if (o->seed < -1)
        return bl_fail(err, BL_EARG, "--seed: expected 0 or more, got %lld", (long long)o->seed);
    if (threads < 0 || threads > 1024)
        return bl_fail(err, BL_EARG, "--threads: expected 1 to 1024, got %lld", (long long)threads);
    if (o->existing && strcmp(o->existing, "keep") != 0 && strcmp(o->existing, "drop") != 0)
        return bl_fail(err, BL_EARG, "--existing: expected keep or drop, got \"%s\"", o->existing);
    if (infer_overrides_check(&o->overrides, err) != BL_OK)
        return err->code;
    for (int i = 0; i < o->n_intervals && err->code == BL_OK; i++)
        infer_parse_interval(o->intervals[i], &interval, err);
    return err->code;
}

int main(int argc, char **argv)
{
    infer_options o = { .seed = -1 };
    bl_cli_list intervals = { 0 };
    int64_t seed = -1, threads = 0;
    const bl_cli_option options[] = {
        { "out", 'o', BL_CLI_TEXT, &o.out, "FILE", "where the song goes; the extension says the format. Without it nothing is played" },
        { "config", 0, BL_CLI_TEXT, &o.config, "FILE", "an .ini with [mix] and [mix INSTRUMENT] that outranks configs/mix.ini" },
        { "model", 0, BL_CLI_TEXT, &o.model, "DIR", "trained models (default: models beside the program's folder)" },
        { "genre", 0, BL_CLI_TEXT, &o.genre, "NAME", "rock, pop, jazz, classical, ... (default: guessed)" },
        { "instruments", 0, BL_CLI_TEXT, &o.instruments, "LIST", "names with commas between (default: the genre's usual band); \"violin!\": whether it fits or not" },
        { "interval", 0, BL_CLI_LIST, &intervals, "START-END", "seconds or m:ss in which the band plays; may be repeated" },
        { "existing", 0, BL_CLI_TEXT, &o.existing, "keep|drop", "instruments that are in SONG already (default: keep)" },
        { "bpm", 0, BL_CLI_REAL, &o.overrides.bpm, "X", "a steady tempo (default: found)" },
        { "tempo", 0, BL_CLI_TEXT, &o.overrides.tempo, "half|double", "half or twice the tempo that is heard" },
        { "beats", 0, BL_CLI_TEXT, &o.overrides.beats, "FILE", "the beats: a time a line, and its number in the bar if known" },
        { "meter", 0, BL_CLI_INT, &o.overrides.meter, "N", "beats in a bar (default: found)" },
        { "key", 0, BL_CLI_TEXT, &o.overrides.key, "K", "\"A minor\", \"F#\", ... (default: found)" },
        { "chords", 0, BL_CLI_TEXT, &o.overrides.chords, "FILE", "a chord sheet: \"Am | F | C | G\", [verse], x2, %, N.C." },
        { "write-chords", 0, BL_CLI_TEXT, &o.write_chords, "FILE", "the chords as a sheet, to be edited and given to --chords" },
        { "from-midi", 0, BL_CLI_TEXT, &o.from_midi, "FILE", "an arrangement to be played from second 0 on, instead of one made here" },
        { "stems", 0, BL_CLI_TEXT, &o.stems, "DIR", "one file per instrument, and the voice" },
        { "midi", 0, BL_CLI_TEXT, &o.midi, "FILE", "the band's notes" },
        { "report", 0, BL_CLI_TEXT, &o.report, "FILE", "what was heard, decided and played, as JSON" },
        { "plan", 0, BL_CLI_TEXT, &o.overrides.plan, "FILE", "a report, edited or not, to be obeyed" },
        { "picture", 0, BL_CLI_TEXT, &o.picture, "FILE.png", "a piano roll: voice, band, drums, chords and sections" },
        { "seed", 0, BL_CLI_INT, &seed, "N", "another take (default: 1, or the plan's)" },
        { "threads", 0, BL_CLI_INT, &threads, "N", "threads (default: all)" },
        { "cache", 0, BL_CLI_TEXT, &o.cache, "DIR", "sounds made before (default: $XDG_CACHE_HOME/backline or ~/.cache/backline)" },
        { "no-cache", 0, BL_CLI_FLAG, &o.no_cache, NULL, "make every sound anew" },
        { "dry", 0, BL_CLI_FLAG, &o.dry, NULL, "no reverb, no panning" },
        { "force", 0, BL_CLI_FLAG, &o.force, NULL, "keep instruments that do not fit the genre" },
        { "quiet", 0, BL_CLI_FLAG, &o.quiet, NULL, "print nothing but errors" },
        { NULL }
    };
    bl_error err = { 0 };
    infer_plan plan = { 0 };
    int n = 0;
    const int rc = bl_cli_parse(&program, options, argc, argv, &o.song, &n);
    if (rc >= 0)
        return rc;
    o.intervals = intervals.item;
    o.n_intervals = intervals.n;
    o.seed = seed;
    o.threads = (int)threads;
    if (check(&o, threads, &err) != BL_OK) {
        fprintf(stderr, "infer: %s; see infer --help\n", err.msg);
        return 2;
    }
    bl_catch_interrupt();
    if (infer_pipeline_run(&o, &plan, &err) != BL_OK)
        return bl_cli_fail(&program, &err);
    if (!o.quiet)
        print_summary(&o, &plan);
    infer_plan_free(&plan);
    return 0;
}
