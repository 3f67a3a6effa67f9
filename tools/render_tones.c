/* render_tones: single notes of every instrument of a General MIDI sound font, for the tone detector to learn from.
 *
 * OUT_DIR/INSTRUMENT-PROGRAM/INSTRUMENT.flac and .mid for every line of data/tone_presets.h that the font has: every third
 * pitch in two velocities of three, every pitch of instruments with fewer than four programs (of two or three in one velocity),
 * lengths from 0.4 to 2.2 s, instruments that can with vibrato of different rate and depth; drums: every key
 * in three velocities. The same font gives the same bytes. A folder that has its .mid already is left as it is. */
#include "audio/soundfile.h"
#include "base/cli.h"
#include "base/file.h"
#include "base/progress.h"
#include "data/soundfont.h"
#include "data/tone_presets.h"
#include "music/midi.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLE_RATE = 44100, GRID = SAMPLE_RATE / 100, LONGEST = 5 * SAMPLE_RATE / 2, FADE = SAMPLE_RATE / 20, NOTES_MAX = 128 };

static struct {
    const char *soundfont;
    int         quiet;
} args = { DATA_SOUNDFONT_PATH, 0 };

static const bl_cli_program program = {
    "render_tones", "[options] OUT_DIR", "Renders single notes of every instrument of a sound font, with their notes beside them.",
    "  bin/render_tones tones/fluidr3\n"
    "  bin/render_tones tones/musescore --soundfont /usr/share/sounds/sf3/MuseScore_General_Lite.sf3\n", 1, 1, NULL, NULL
};

static const bl_cli_option options[] = {
    { "soundfont", 0, BL_CLI_TEXT, &args.soundfont, "FILE", "General MIDI sound font (" DATA_SOUNDFONT_PATH ")" },
    { "quiet", 'q', BL_CLI_FLAG, &args.quiet, NULL, "no progress" },
    { 0 }
};

static const int drum_keys[] = { 35, 36, 37, 38, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 55, 57, 59 };
static const int velocities[] = { 48, 80, 112 };
static const double lengths_s[] = { 1.2, 0.4, 2.2, 0.8, 2.2 };

static int count_programs(const char *instrument)
{
    int n = 0;
    for (size_t i = 0; i < sizeof data_tone_presets / sizeof *data_tone_presets; i++)
        n += !strcmp(data_tone_presets[i].instrument, instrument);
    return n;
}

/* Notes of preset number p, lengths in offset_s. */
static int list_notes(const data_tone_preset *preset, int p, music_note notes[NOTES_MAX])
{
    int n = 0;
    /* About as many tones of an instrument with one program as of one with many. */
    const int n_programs = count_programs(preset->instrument), step = n_programs < 4 ? 1 : 3;
    const int n_velocities = preset->is_drums ? 3 : n_programs == 2 || n_programs == 3 ? 1 : 2;
    const int n_pitches = preset->is_drums ? (int)(sizeof drum_keys / sizeof *drum_keys) : (preset->highest - preset->lowest) / step + 1;
    for (int i = 0; i < n_pitches; i++)
        for (int v = 0; v < 3; v++) {
            if ((i + v) % 3 >= n_velocities)
                continue;
            BL_ASSERT(n < NOTES_MAX);
            notes[n++] = (music_note){ 0, preset->is_drums ? 1 : lengths_s[(3 * i + 7 * v + p) % 5],
                                       preset->is_drums ? drum_keys[i] : preset->lowest + step * i, velocities[v] };
        }
    return n;
}

/* Bowed and blown instruments: programs 40 to 79 of General MIDI but for the harp and the struck ones beside it. */
static data_expression expression_of(const data_tone_preset *preset, int i)
{
    const int can = !preset->is_drums && preset->program >= 40 && preset->program < 80 && i % 3 != 0;
    data_expression e = { 0 };
    if (can) {
        e.vibrato_hz = 4.6 + 0.35 * (7 * i % 6);
        e.vibrato_cents = 8.0 * (5 * i % 6);
        e.vibrato_delay_s = 0.05 * (3 * i % 9);
    }
    return e;
}

static bl_status write_files(const char *folder, const char *stem, float *audio, int64_t n, const music_score *score, bl_error *err)
{
    char path[BL_PATH_MAX], name[96];
    const audio_clip clip = { audio, n, 1, SAMPLE_RATE };
    snprintf(name, sizeof name, "%s.flac", stem);
    if (bl_make_folder(folder, err) != BL_OK || bl_path_join(path, folder, name, err) != BL_OK ||
        audio_write(path, &clip, AUDIO_ENCODING_PCM16, err) != BL_OK)
        return err->code;
    snprintf(name, sizeof name, "%s.mid", stem);
    return bl_path_join(path, folder, name, err) == BL_OK ? music_midi_write(path, score, err) : err->code;
}

/* All notes of a preset one after the other, each with its release. */
static bl_status render_preset(data_soundfont *font, int p, const char *folder, const char *stem, bl_error *err)
{
    const data_tone_preset *preset = &data_tone_presets[p];
    music_note notes[NOTES_MAX];
    const int n_notes = list_notes(preset, p, notes);
    const int64_t capacity = (int64_t)n_notes * (LONGEST + 20 * GRID) + SAMPLE_RATE;
    float *audio = calloc((size_t)capacity, sizeof *audio), peak = 0;
    music_score score = { 0 };
    music_track *track = music_score_add_track(&score, preset->instrument, preset->program, preset->is_drums, err);
    int64_t at = 10 * GRID;
    if (!audio || !track) {
        bl_fail(err, BL_ENOMEM, "no memory for the tones of %s", stem);
        goto done;
    }
    /* 125 bpm: ten milliseconds are exactly twenty ticks of the MIDI file. */
    music_score_add_tempo(&score, 0, 125, err);
    music_score_add_meter(&score, 0, 4, 4, err);
    if (data_soundfont_program(font, preset->program, preset->is_drums, err) != BL_OK)
        goto done;
    for (int i = 0; i < n_notes; i++) {
        const data_expression expression = expression_of(preset, i);
        const int64_t n = data_soundfont_note(font, notes[i].pitch, notes[i].velocity, notes[i].offset_s,
                                              expression.vibrato_cents > 0 ? &expression : NULL, LONGEST, audio + at);
        const double onset_s = (double)at / SAMPLE_RATE;
        float own = 0;
        for (int64_t k = n == LONGEST ? LONGEST - FADE : n; k < n; k++)
            audio[at + k] *= (float)(n - k) / FADE;
        for (int64_t k = 0; k < n; k++)
            own = fmaxf(own, fabsf(audio[at + k]));
        peak = fmaxf(peak, own);
        if (own > 1e-4f) {
            music_track_add(track, onset_s, onset_s + fmin(notes[i].offset_s, (double)n / SAMPLE_RATE), notes[i].pitch, notes[i].velocity, err);
            at += (n / GRID + 10) * GRID;
        }
    }
    for (int64_t t = 0; t < at && peak > 0; t++)
        audio[t] *= 0.7f / peak;
    if (!err->code && track->n_notes > 0)
        write_files(folder, stem, audio, at, &score, err);
done:
    music_score_free(&score);
    free(audio);
    return err->code;
}

static bl_status render(const char *out, bl_error *err)
{
    const int n = (int)(sizeof data_tone_presets / sizeof *data_tone_presets);
    data_soundfont *font = data_soundfont_new(args.soundfont, SAMPLE_RATE, err);
    bl_progress progress;
    if (!font)
        return err->code;
    bl_progress_start(&progress, "rendering", "presets", n, args.quiet);
    for (int p = 0; p < n && !err->code && !bl_interrupted(); p++) {
        char stem[64], name[96], folder[BL_PATH_MAX], path[BL_PATH_MAX];
        bl_error missing = { 0 };
        snprintf(stem, sizeof stem, "%s", data_tone_presets[p].instrument);
        for (char *c = stem; *c; c++)
            *c = *c == ' ' ? '_' : *c;
        snprintf(name, sizeof name, "%s-%d", stem, data_tone_presets[p].program);
        bl_path_join(folder, out, name, err);
        snprintf(name, sizeof name, "%s.mid", stem);
        if (!err->code && bl_path_join(path, folder, name, err) == BL_OK && !bl_is_file(path)) {
            /* A font without this program: the others are still worth having. */
            if (data_soundfont_program(font, data_tone_presets[p].program, data_tone_presets[p].is_drums, &missing) == BL_OK)
                render_preset(font, p, folder, stem, err);
            else if (!args.quiet)
                fprintf(stderr, "%s: %s\n", args.soundfont, missing.msg);
        }
        bl_progress_step(&progress, p + 1, name);
    }
    bl_progress_end(&progress);
    data_soundfont_free(font);
    return !err->code && bl_interrupted() ? bl_fail(err, BL_ESTOP, "interrupted; the same command goes on from here") : err->code;
}

int main(int argc, char **argv)
{
    const char *out = NULL;
    int n_out = 0;
    bl_error err = { 0 };
    const int status = bl_cli_parse(&program, options, argc, argv, &out, &n_out);
    if (status >= 0)
        return status;
    bl_catch_interrupt();
    return render(out, &err) == BL_OK ? 0 : bl_cli_fail(&program, &err);
}
