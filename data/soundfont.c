#include "data/soundfont.h"
#include "base/file.h"

#include <fluidsynth.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979323846

enum { BLOCK = 64, DRUM_CHANNEL = 9, CHOKE_FADE = 256, CLOSED_HAT = 42, PEDAL_HAT = 44, OPEN_HAT = 46 };

struct data_soundfont {
    fluid_settings_t *settings;
    fluid_synth_t    *synth;
    int               sample_rate, channel;
    float            *note; /* [note_capacity], scratch of data_soundfont_render */
    int64_t           note_capacity;
};

static void say_nothing(int level, const char *message, void *user)
{
    (void)level;
    (void)message;
    (void)user;
}

static fluid_synth_t *new_synth(fluid_settings_t *settings, const char *path, int sample_rate)
{
    fluid_synth_t *synth;
    fluid_settings_setnum(settings, "synth.sample-rate", sample_rate);
    fluid_settings_setnum(settings, "synth.gain", 0.5);
    fluid_settings_setint(settings, "synth.reverb.active", 0);
    fluid_settings_setint(settings, "synth.chorus.active", 0);
    fluid_settings_setint(settings, "synth.dynamic-sample-loading", 1);
    fluid_settings_setint(settings, "synth.polyphony", 64);
    fluid_settings_setint(settings, "synth.min-note-length", 0);
    fluid_settings_setint(settings, "synth.threadsafe-api", 0);
    synth = new_fluid_synth(settings);
    if (synth && fluid_synth_sfload(synth, path, 1) == FLUID_FAILED) {
        delete_fluid_synth(synth);
        return NULL;
    }
    return synth;
}

/* FluidSynth would try such a file as DLS, and complain on the terminal. */
static int is_soundfont(const char *path)
{
    char head[12] = "";
    FILE *f = fopen(path, "rb");
    const int read = f && fread(head, 1, sizeof head, f) == sizeof head;
    if (f)
        fclose(f);
    return read && !memcmp(head, "RIFF", 4) && !memcmp(head + 8, "sfbk", 4);
}

data_soundfont *data_soundfont_new(const char *path, int sample_rate, bl_error *err)
{
    data_soundfont *font;
    if (!bl_is_file(path)) {
        bl_fail(err, BL_EIO, "%s: no such sound font (Debian's package is fluid-soundfont-gm)", path);
        return NULL;
    }
    if (!(font = calloc(1, sizeof *font))) {
        bl_fail(err, BL_ENOMEM, "no memory for a sound font");
        return NULL;
    }
    font->sample_rate = sample_rate;
    /* FluidSynth keeps a table of loaded fonts for the whole process. */
#pragma omp critical(data_soundfont)
    {
        for (int level = 0; level < LAST_LOG_LEVEL; level++)
            fluid_set_log_function(level, say_nothing, NULL);
        if (is_soundfont(path) && (font->settings = new_fluid_settings()))
            font->synth = new_synth(font->settings, path, sample_rate);
    }
    if (!font->synth) {
        bl_fail(err, BL_EFORMAT, "%s: not a sound font that FluidSynth can read", path);
        data_soundfont_free(font);
        return NULL;
    }
    return font;
}

void data_soundfont_free(data_soundfont *font)
{
    if (!font)
        return;
#pragma omp critical(data_soundfont)
    {
        if (font->synth)
            delete_fluid_synth(font->synth);
        if (font->settings)
            delete_fluid_settings(font->settings);
    }
    free(font->note);
    free(font);
}

bl_status data_soundfont_program(data_soundfont *font, int program, int is_drums, bl_error *err)
{
    int failed;
    font->channel = is_drums ? DRUM_CHANNEL : 0;
#pragma omp critical(data_soundfont)
    {
        failed = fluid_synth_program_change(font->synth, font->channel, program) == FLUID_FAILED ||
                 !fluid_synth_get_channel_preset(font->synth, font->channel);
    }
    if (failed)
        return bl_fail(err, BL_EARG, "the sound font has no %s %d", is_drums ? "drum kit" : "program", program);
    return BL_OK;
}

/* MIDI pitch wheel, 8192 in the middle, 4096 per semitone. */
static int wheel(const data_expression *e, double t)
{
    double cents = 0;
    if (e->scoop_s > 0 && t < e->scoop_s)
        cents -= e->scoop_cents * (1 + cos(PI * t / e->scoop_s)) / 2;
    if (t > e->vibrato_delay_s)
        cents += e->vibrato_cents * fmin(1, (t - e->vibrato_delay_s) / 0.3) *
                 sin(2 * PI * e->vibrato_hz * (t - e->vibrato_delay_s));
    return (int)fmin(16383, fmax(0, lround(8192 + 40.96 * cents)));
}

/* Ends all voices now. They are gone only after the next block. */
static void hush(data_soundfont *font)
{
    float left[BLOCK], right[BLOCK];
    fluid_synth_all_sounds_off(font->synth, font->channel);
    for (int i = 0; i < 8 && (i == 0 || fluid_synth_get_active_voice_count(font->synth)); i++)
        fluid_synth_write_float(font->synth, BLOCK, left, 0, 1, right, 0, 1);
}

int64_t data_soundfont_note(data_soundfont *font, int pitch, int velocity, double duration_s,
                            const data_expression *expression, int64_t n_max, float *out)
{
    const int64_t held = (int64_t)lround(fmax(duration_s, 0.01) * font->sample_rate / BLOCK) * BLOCK;
    float left[BLOCK], right[BLOCK];
    int64_t n = 0;
    fluid_synth_pitch_bend(font->synth, font->channel, expression ? wheel(expression, 0) : 8192);
    /* A voice slides within its first block from the level its slot had in an earlier note. Sounding the note
     * once before makes that level its own, whatever was played earlier, and the onset sharp. */
    if (fluid_synth_noteon(font->synth, font->channel, pitch, velocity) == FLUID_FAILED)
        return 0;
    fluid_synth_write_float(font->synth, BLOCK, left, 0, 1, right, 0, 1);
    hush(font);
    fluid_synth_noteon(font->synth, font->channel, pitch, velocity);
    for (; n < n_max; n += BLOCK) {
        const int64_t m = n_max - n < BLOCK ? n_max - n : BLOCK;
        if (n == held)
            fluid_synth_noteoff(font->synth, font->channel, pitch);
        if (expression && n < held)
            fluid_synth_pitch_bend(font->synth, font->channel, wheel(expression, (double)n / font->sample_rate));
        if (fluid_synth_write_float(font->synth, BLOCK, left, 0, 1, right, 0, 1) == FLUID_FAILED)
            break;
        for (int64_t i = 0; i < m; i++)
            out[n + i] = 0.5f * (left[i] + right[i]);
        if (n > held && fluid_synth_get_active_voice_count(font->synth) == 0)
            break;
    }
    hush(font);
    return n < n_max ? n : n_max;
}

/* When the note stops sounding by itself or because a later one needs its string or its hi-hat;
 * *choked: it is cut off rather than released. */
static double end_of_note(const music_track *track, int i, int *choked)
{
    const music_note *note = &track->notes[i];
    double end_s = note->offset_s;
    *choked = 0;
    for (int j = i + 1; j < track->n_notes; j++) {
        const music_note *later = &track->notes[j];
        if (!track->is_drums && later->onset_s >= end_s)
            break;
        if (later->onset_s <= note->onset_s)
            continue;
        if (later->onset_s > note->onset_s + DATA_SOUNDFONT_TAIL_S)
            break;
        if (track->is_drums && note->pitch == OPEN_HAT &&
            (later->pitch == CLOSED_HAT || later->pitch == PEDAL_HAT || later->pitch == OPEN_HAT)) {
            *choked = 1;
            return later->onset_s;
        }
        if (!track->is_drums && later->pitch == note->pitch)
            return later->onset_s;
    }
    return end_s;
}

bl_status data_soundfont_render(data_soundfont *font, const music_track *track, const data_expression *expression,
                                int64_t n_samples, float *out, bl_error *err)
{
    const double sr = font->sample_rate;
    if (data_soundfont_program(font, track->program, track->is_drums, err) != BL_OK)
        return BL_EARG;
    for (int i = 0; i < track->n_notes; i++) {
        const music_note *note = &track->notes[i];
        const int64_t start = (int64_t)llround(note->onset_s * sr);
        int choked;
        const double end_s = end_of_note(track, i, &choked), duration_s = end_s - note->onset_s;
        int64_t n_max = (int64_t)((DATA_SOUNDFONT_TAIL_S + fmax(duration_s, 0)) * sr) + CHOKE_FADE, n;
        if (start < 0 || start >= n_samples)
            continue;
        if (n_max > n_samples - start)
            n_max = n_samples - start;
        if (n_max > font->note_capacity) {
            float *grown = realloc(font->note, (size_t)n_max * sizeof *grown);
            if (!grown)
                return bl_fail(err, BL_ENOMEM, "no memory for a note of %.1f s", (double)n_max / sr);
            font->note = grown;
            font->note_capacity = n_max;
        }
        n = data_soundfont_note(font, note->pitch, note->velocity, duration_s, expression, n_max, font->note);
        if (choked) {
            const int64_t cut = (int64_t)llround(end_s * sr) - start;
            for (int64_t k = cut; k < n; k++)
                font->note[k] *= k - cut < CHOKE_FADE ? 1 - (float)(k - cut) / CHOKE_FADE : 0;
        }
        for (int64_t k = 0; k < n; k++)
            out[start + k] += font->note[k];
    }
    return BL_OK;
}
