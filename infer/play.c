/* Hear the models by themselves: single tones, or a MIDI file, without listening, arranging or repairing. */
#include "audio/loudness.h"
#include "audio/mix.h"
#include "audio/soundfile.h"
#include "base/cli.h"
#include "base/config.h"
#include "base/file.h"
#include "base/progress.h"
#include "data/instruments.h"
#include "infer/analyzer.h"
#include "infer/from_midi.h"
#include "infer/outputs.h"
#include "infer/pipeline.h"
#include "infer/roll_picture.h"
#include "infer/tone_generator.h"

#include <ctype.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const bl_cli_program program = {
    .name = "play",
    .usage = "--instrument NAME --pitch LIST -o DIR [options]  or  --midi FILE [-o SONG] [--picture FILE.png] [options]",
    .summary = "Plays single tones into a folder, one WAV file each, or a MIDI file into a song, with the trained synthesizer.",
    .examples = "  play --instrument \"electric guitar\" --genre rock --pitch 40,45,E3,55-59 --velocity 100 --seconds 2 -o tones\n"
                "  play --midi song.mid --genre rock -o song.wav\n  play --midi song.mid --picture song.png\n",
    .min_positional = 0, .max_positional = 0
};

typedef struct arguments {
    const char *model, *instrument, *genre, *pitch, *midi, *picture, *out;
    int64_t velocity, seed, threads;
    double  seconds;
    int     quiet;
} arguments;

enum { MAX_PITCHES = 128 };

/* "40", "E2", "F#3", "Bb-1"; *end behind it. -1: neither. */
static int parse_pitch(const char *text, const char **end)
{
    static const int classes[] = { 9, 11, 0, 2, 4, 5, 7 }; /* A .. G */
    char *stop;
    long value;
    if (isdigit((unsigned char)*text)) {
        value = strtol(text, &stop, 10);
    } else {
        const int letter = toupper((unsigned char)*text);
        if (letter < 'A' || letter > 'G')
            return -1;
        value = classes[letter - 'A'];
        text++;
        for (; *text == '#' || *text == 'b'; text++)
            value += *text == '#' ? 1 : -1;
        if (!isdigit((unsigned char)*text) && *text != '-')
            return -1;
        value += 12 * (strtol(text, &stop, 10) + 1);
        if (stop == text)
            return -1;
    }
    *end = stop;
    return value >= 0 && value <= 127 ? (int)value : -1;
}

/* "40,45,E3,55-59": how many, -1 when it is no list. */
static int parse_pitches(const char *text, int *out, bl_error *err)
{
    const char *at = text;
    int n = 0;
    while (*at) {
        while (*at == ',' || *at == ' ')
            at++;
        if (!*at)
            break;
        int first = parse_pitch(at, &at), last = first;
        if (first >= 0 && *at == '-')
            last = parse_pitch(at + 1, &at);
        if (first < 0 || last < first || (*at && *at != ',' && *at != ' ')) {
            bl_fail(err, BL_EARG, "--pitch: expected MIDI numbers 0..127 or note names, as \"40,45,E3,55-59\", got \"%s\"", text);
            return -1;
        }
        for (int p = first; p <= last && n < MAX_PITCHES; p++)
            out[n++] = p;
    }
    if (!n)
        bl_fail(err, BL_EARG, "--pitch: no pitch in \"%s\"", text);
    return n ? n : -1;
}

static bl_status check_voice(const infer_tone_generator *g, const char *instrument, bl_error *err)
{
    char names[320] = "";
    const blocks_synthesizer *s = infer_tone_generator_synthesizer(g);
    if (blocks_synthesizer_voice(s, instrument, -1, -1) >= 0)
        return BL_OK;
    for (int i = 0; i < s->n_voices; i++) {
        int known = 0;
        for (int k = 0; k < i; k++)
            known |= !strcmp(s->voices[k].instrument, s->voices[i].instrument);
        if (!known && strlen(names) + strlen(s->voices[i].instrument) + 3 < sizeof names)
            snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", names[0] ? ", " : "", s->voices[i].instrument);
    }
    return bl_fail(err, BL_EARG, "the synthesizer has not learned \"%s\"; it has %s", instrument, names);
}

static bl_status play_tones(const arguments *a, infer_tone_generator *g, bl_error *err)
{
    int pitches[MAX_PITCHES];
    const int rate = infer_tone_generator_rate(g), id = data_instrument_parse(a->instrument, err);
    const int n = id < 0 ? -1 : parse_pitches(a->pitch, pitches, err);
    infer_outputs out = { 0 };
    bl_status status = n < 0 ? err->code : check_voice(g, data_instrument_name(id), err);

    if (status == BL_OK)
        status = infer_outputs_folder(&out, a->out, err);
    for (int i = 0; i < n && status == BL_OK; i++) {
        char file[128], path[BL_PATH_MAX];
        audio_clip clip = { 0 };
        music_note note = { 0, a->seconds, pitches[i], (int)a->velocity };
        music_track track = { .is_drums = !data_instrument_at(id)->is_pitched, .notes = &note, .n_notes = 1 };
        const infer_tones in = { .track = &track, .genre = a->genre, .seed = (uint64_t)a->seed, .quiet = 1 };
        snprintf(track.name, sizeof track.name, "%s", data_instrument_name(id));
        snprintf(file, sizeof file, "%.64s_%d.wav", track.name, pitches[i]);
        for (char *c = file; *c; c++)
            *c = *c == ' ' ? '_' : *c;
        status = audio_clip_new(&clip, 1, (int64_t)ceil((a->seconds + 0.5) * rate), rate, err);
        if (status == BL_OK)
            status = infer_tone_generator_run(g, &in, clip.samples, clip.n_samples, NULL, err);
        if (status == BL_OK && (status = bl_path_join(path, a->out, file, err)) == BL_OK)
            status = infer_outputs_audio(&out, path, &clip, err);
        audio_clip_free(&clip);
        if (status == BL_OK && !a->quiet)
            printf("%s\n", path);
    }
    if (status == BL_OK)
        status = infer_outputs_commit(&out, err);
    infer_outputs_abort(&out);
    return status;
}

/* The notes of a plan's tracks into a song. */
static bl_status play_band(const arguments *a, infer_tone_generator *g, const infer_plan *plan, infer_outputs *out, bl_error *err)
{
    const int rate = infer_tone_generator_rate(g);
    audio_clip clip = { 0 };
    audio_loudness loud;
    bl_status status = audio_clip_new(&clip, 1, (int64_t)ceil((music_score_end_s(&plan->score) + 1.5) * rate), rate, err);
    for (int i = 0; i < plan->score.n_tracks && status == BL_OK; i++) {
        const infer_tones in = { .track = &plan->score.tracks[i], .genre = a->genre, .seed = (uint64_t)a->seed, .quiet = a->quiet };
        status = infer_tone_generator_run(g, &in, clip.samples, clip.n_samples, NULL, err);
    }
    if (status == BL_OK)
        status = audio_loudness_measure(&clip, &loud, err);
    if (status == BL_OK) {
        audio_mix_gain(clip.samples, clip.n_samples, audio_db_to_gain(audio_loudness_gain_db(&loud, -16, -1.2)));
        status = infer_outputs_audio(out, a->out, &clip, err);
    }
    audio_clip_free(&clip);
    return status;
}

/* g NULL: a picture alone. */
static bl_status play_midi(const arguments *a, infer_tone_generator *g, bl_error *err)
{
    music_score score = { 0 };
    infer_outputs out = { 0 };
    infer_plan plan = { 0 };
    bl_status status = BL_OK;
    infer_plan_init(&plan);
    if (a->out && (status = infer_outputs_check(a->out, err)) == BL_OK && !audio_is_sound_name(a->out))
        status = bl_fail(err, BL_EARG, "%s: the extension says no sound format; use .wav, .flac, .ogg or another", a->out);
    if (status == BL_OK && a->picture)
        status = infer_outputs_check(a->picture, err);
    if (status == BL_OK)
        status = infer_from_midi_read(a->midi, &score, err);
    if (status == BL_OK)
        status = infer_from_midi(&score, a->midi, g, 0, &plan, err);
    for (int i = 0; i < plan.n_instruments && status == BL_OK && !a->quiet; i++)
        if (!plan.instruments[i].accepted)
            fprintf(stderr, "%s\n", plan.instruments[i].reason);
    if (status == BL_OK && a->out)
        status = play_band(a, g, &plan, &out, err);
    if (status == BL_OK && a->picture) {
        const char *temporary = infer_outputs_add(&out, a->picture, err);
        plan.duration_s = music_score_end_s(&score);
        snprintf(plan.genre, sizeof plan.genre, "%.63s", a->genre ? a->genre : "");
        status = temporary ? infer_roll_picture(temporary, score.title[0] ? score.title : bl_path_name(a->midi), &plan, err) : err->code;
    }
    if (status == BL_OK)
        status = infer_outputs_commit(&out, err);
    if (status == BL_OK && !a->quiet)
        printf("%s%s%s\n", a->out ? a->out : "", a->out && a->picture ? "\n" : "", a->picture ? a->picture : "");
    infer_outputs_abort(&out);
    infer_plan_free(&plan);
    music_score_free(&score);
    return status;
}

static int wrong(const char *what)
{
    fprintf(stderr, "play: %s; see play --help\n", what);
    return 2;
}

static int check(const arguments *a)
{
    if (!a->out && !(a->midi && a->picture))
        return wrong("-o is missing: where the sound goes");
    if (!a->midi == !a->instrument)
        return wrong("expected either --instrument with --pitch, or --midi");
    if (a->picture && !a->midi)
        return wrong("--picture draws a MIDI file: expected --midi");
    if (a->instrument && !a->pitch)
        return wrong("--pitch is missing");
    if (a->velocity < 1 || a->velocity > 127)
        return wrong("--velocity: expected 1 to 127");
    if (!(a->seconds >= 0.05 && a->seconds <= 30))
        return wrong("--seconds: expected 0.05 to 30");
    if (a->seed < 0 || a->threads < 0 || a->threads > 1024)
        return wrong(a->seed < 0 ? "--seed: expected 0 or more" : "--threads: expected 1 to 1024");
    return 0;
}

int main(int argc, char **argv)
{
    arguments a = { .velocity = 96, .seconds = 1, .seed = 1 };
    const bl_cli_option options[] = {
        { "model", 0, BL_CLI_TEXT, &a.model, "DIR", "trained models (default: models beside the program's folder)" },
        { "instrument", 0, BL_CLI_TEXT, &a.instrument, "NAME", "\"electric guitar\", drums, ..." },
        { "genre", 0, BL_CLI_TEXT, &a.genre, "NAME", "the genre's sound of it" },
        { "pitch", 0, BL_CLI_TEXT, &a.pitch, "LIST", "MIDI numbers or names: 40,45,E3,55-59 (drums: 36 kick, 38 snare, ...)" },
        { "velocity", 0, BL_CLI_INT, &a.velocity, "N", "1 to 127 (default: 96)" },
        { "seconds", 0, BL_CLI_REAL, &a.seconds, "S", "length of the notes (default: 1)" },
        { "midi", 0, BL_CLI_TEXT, &a.midi, "FILE", "play this file" },
        { "picture", 0, BL_CLI_TEXT, &a.picture, "FILE.png", "draw the MIDI file as a piano roll; needs no -o" },
        { "out", 'o', BL_CLI_TEXT, &a.out, "PATH", "folder for the tones, or the song's file" },
        { "seed", 0, BL_CLI_INT, &a.seed, "N", "another take (default: 1)" },
        { "threads", 0, BL_CLI_INT, &a.threads, "N", "threads (default: all)" },
        { "quiet", 0, BL_CLI_FLAG, &a.quiet, NULL, "print nothing but errors" },
        { NULL }
    };
    char models[BL_PATH_MAX], path[BL_PATH_MAX], genre[64];
    bl_error err = { 0 };
    infer_tone_generator *g = NULL;
    int n = 0, rc = bl_cli_parse(&program, options, argc, argv, NULL, &n);
    if (rc >= 0 || (rc = check(&a)) != 0)
        return rc;
    if (a.threads)
        omp_set_num_threads((int)a.threads);
    if (a.genre) {
        data_genre_normalise(a.genre, genre, sizeof genre);
        a.genre = genre;
    }
    bl_catch_interrupt();
    if (!a.out) {
        play_midi(&a, NULL, &err);
        return err.code == BL_OK ? 0 : bl_cli_fail(&program, &err);
    }
    if (!a.model && infer_default_models(models, &err) == BL_OK)
        a.model = models;
    if (a.model && infer_model_path(path, a.model, "wavegan.h5", &err) == BL_OK)
        g = infer_tone_generator_load(path, &err);
    if (g) {
        char sounds[64] = "";
        const blocks_synthesizer *s = infer_tone_generator_synthesizer(g);
        if (a.genre && infer_tone_generator_genre(g, genre, sounds, &err) == BL_OK && !sounds[0]) {
            const char *near = bl_nearest(genre, (const char *const *)s->genres, s->n_genres);
            bl_fail(&err, BL_EARG, "--genre: the synthesizer has not learned \"%s\"%s%s%s", genre,
                    near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
        }
        if (!err.code && a.genre && strcmp(sounds, genre) != 0 && !a.quiet)
            printf("%s, sounds of %s\n", genre, sounds);
        if (!err.code && a.midi)
            play_midi(&a, g, &err);
        else if (!err.code)
            play_tones(&a, g, &err);
    }
    infer_tone_generator_free(g);
    return err.code == BL_OK ? 0 : bl_cli_fail(&program, &err);
}
