/* An arrangement that is given as MIDI, played behind a voice and without one; and the piano roll of it. */
#include "base/file.h"
#include "infer/from_midi.h"
#include "infer/pipeline.h"
#include "infer/roll_picture.h"
#include "music/midi.h"

#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/infer/song.h"
#include "tests/message.h"
#include "tests/temporary.h"
#include "tests/infer/models.h"

static char midi_path[BL_PATH_MAX], voice_path[BL_PATH_MAX];
static infer_tone_generator *generator;

/* Two bars of 4/4 at 120, then two at 60; horns, which nobody has learned, and two guitars. */
static music_score arrangement(void)
{
    static const struct { const char *name; int program, drums; } tracks[] = {
        { "Bass Line", 33, 0 }, { "", 27, 0 }, { "Gtr 2", 29, 0 }, { "horns", 56, 0 }, { "kit", 0, 1 }, { "Lead Vocals", 52, 0 } };
    music_score s = { 0 };
    bl_error err = { 0 };
    music_score_add_tempo(&s, 0, 120, &err);
    music_score_add_tempo(&s, 4, 60, &err);
    music_score_add_meter(&s, 0, 4, 4, &err);
    music_score_add_key(&s, 0, 2, 0, &err);
    music_score_add_marker(&s, 0, "verse", &err);
    music_score_add_marker(&s, 4, "chorus", &err);
    music_score_add_chord(&s, 0, 4, "D", &err);
    music_score_add_chord(&s, 4, 12, "G", &err);
    for (int i = 0; i < 6; i++) {
        music_track *t = music_score_add_track(&s, tracks[i].name, tracks[i].program, tracks[i].drums, &err);
        for (int k = 0; k < 6; k++)
            music_track_add(t, 2 * k, 2 * k + (i == 4 ? 0 : 1.5), i == 4 ? 36 + 2 * (k % 2) : i == 0 ? 38 + k : 55 + 2 * i + k, 60 + 10 * k, &err);
    }
    assert_int_equal(err.code, BL_OK);
    return s;
}

static int make(void **state)
{
    bl_error err = { 0 };
    if (temporary_make(state) != 0)
        return -1;
    models_make(temporary_folder);
    snprintf(midi_path, sizeof midi_path, "%s", temporary_path("band.mid"));
    snprintf(voice_path, sizeof voice_path, "%s", temporary_path("voice.wav"));
    music_score s = arrangement();
    audio_clip voice = song_voice(5, 44100, 1);
    music_midi_write(midi_path, &s, &err);
    audio_write(voice_path, &voice, AUDIO_ENCODING_DEFAULT, &err);
    generator = infer_tone_generator_load(temporary_path("wavegan.h5"), &err);
    music_score_free(&s);
    audio_clip_free(&voice);
    return err.code == BL_OK ? 0 : -1;
}

static int remove_all(void **state)
{
    infer_tone_generator_free(generator);
    return temporary_remove(state);
}

static infer_plan plan_of(int sung)
{
    infer_plan p = { 0 };
    music_score s = { 0 };
    bl_error err = { 0 };
    infer_plan_init(&p);
    assert_int_equal(infer_from_midi_read(midi_path, &s, &err), BL_OK);
    assert_int_equal(infer_from_midi(&s, midi_path, generator, sung, &p, &err), BL_OK);
    music_score_free(&s);
    return p;
}

static const infer_instrument *entry(const infer_plan *p, const char *name)
{
    for (int i = 0; i < p->n_instruments; i++)
        if (!strcmp(p->instruments[i].name, name))
            return &p->instruments[i];
    fail_msg("%s is not in the plan", name);
    return NULL;
}

static void every_track_has_a_player_and_a_reason(void **state)
{
    infer_plan p = plan_of(0);
    (void)state;
    assert_true(entry(&p, "bass")->accepted && entry(&p, "drums")->accepted && entry(&p, "electric guitar")->accepted);
    const infer_instrument *horns = entry(&p, "brass");
    assert_true(!horns->accepted && horns->replaced_by[0]);
    assert_non_null(strstr(horns->reason, "\"horns\" of band.mid (program 56, trumpet): the synthesizer has not learned it"));
    assert_non_null(strstr(horns->reason, horns->replaced_by));
    int notes = 0;
    for (int t = 0; t < p.score.n_tracks; t++) {
        assert_true(blocks_synthesizer_voice(infer_tone_generator_synthesizer(generator), p.score.tracks[t].name, -1, -1) >= 0);
        notes += p.score.tracks[t].n_notes;
    }
    assert_int_equal(notes, 36); /* nobody is silent */
    int guitars = 0; /* each its own player */
    for (int t = 0; t < p.score.n_tracks; t++)
        guitars += !strcmp(p.score.tracks[t].name, "electric guitar") && p.score.tracks[t].n_notes == 6;
    assert_true(guitars >= 2);
    infer_plan_free(&p);
}

/* A lead voice of a synthesizer goes to who can hold a note; a name outranks the program. */
static void stand_ins_are_what_a_musician_would_take(void **state)
{
    static const struct { const char *name; int program; const char *player; } cases[] = {
        { "", 81, "electric guitar" }, { "", 89, "organ" }, { "", 22, "organ" }, { "", 105, "electric guitar" }, { "Bass", 89, "bass" } };
    bl_error err = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        music_score s = { 0 };
        infer_plan p = { 0 };
        infer_plan_init(&p);
        music_track_add(music_score_add_track(&s, cases[i].name, cases[i].program, 0, &err), 0, 1, 60, 90, &err);
        assert_int_equal(infer_from_midi(&s, "x.mid", generator, 0, &p, &err), BL_OK);
        assert_string_equal(p.score.tracks[0].name, cases[i].player);
        infer_plan_free(&p);
        music_score_free(&s);
    }
}

static void a_track_named_after_a_voice_is_the_melody_when_somebody_sings(void **state)
{
    infer_plan p = plan_of(1);
    (void)state;
    int notes = 0, sung = 0;
    for (int t = 0; t < p.score.n_tracks; t++)
        notes += p.score.tracks[t].n_notes;
    assert_int_equal(notes, 30);
    assert_int_equal(p.n_melody, 6);
    for (int i = 0; i < p.n_instruments; i++)
        sung += strstr(p.instruments[i].reason, "what the singer sings") != NULL && !p.instruments[i].accepted;
    assert_int_equal(sung, 1);
    infer_plan_free(&p);
}

static void beats_bars_key_chords_and_sections_are_those_of_the_file(void **state)
{
    infer_plan p = plan_of(0);
    (void)state;
    for (int i = 0; i < p.n_beats; i++)
        assert_true(fabs(p.beats_s[i] - (i < 8 ? 0.5 * i : i - 4)) < 1e-6);
    assert_true(p.n_downbeats >= 4 && fabs(p.downbeats_s[3] - 8) < 1e-6);
    assert_int_equal(p.beats_per_bar, 4);
    assert_string_equal(p.key, "D major");
    assert_int_equal(p.n_chords, 2);
    assert_int_equal(p.n_sections, 2);
    assert_string_equal(p.sections[1].label, "chorus");
    assert_true(fabs(p.sections[1].start_s - 4) < 1e-6);
    assert_int_equal(p.score.n_tempos, 2);
    infer_plan_free(&p);
}

static double loudest(const audio_clip *c, double from_s, double to_s)
{
    double most = 0;
    for (int64_t i = (int64_t)(from_s * c->sample_rate); i < (int64_t)(to_s * c->sample_rate) && i < c->n_samples; i++)
        most = fmax(most, fabs((double)c->samples[i]));
    return most;
}

/* The band plays on behind a voice that ends earlier; what is written as MIDI has the file's own maps. */
static void a_voice_is_accompanied_to_the_end_of_the_file(void **state)
{
    bl_error err = { 0 };
    infer_plan p = { 0 };
    char song[BL_PATH_MAX], midi[BL_PATH_MAX], stems[BL_PATH_MAX];
    music_score back = { 0 };
    audio_clip mix = { 0 }, vocal = { 0 }, input = { 0 };
    (void)state;
    snprintf(song, sizeof song, "%s", temporary_path("song.wav"));
    snprintf(midi, sizeof midi, "%s", temporary_path("song.mid"));
    snprintf(stems, sizeof stems, "%s", temporary_folder);
    const infer_options o = { .song = voice_path, .from_midi = midi_path, .out = song, .midi = midi, .stems = stems, .model = temporary_folder,
                              .genre = "rock", .seed = -1, .quiet = 1, .no_cache = 1 };
    if (infer_pipeline_run(&o, &p, &err) != BL_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(audio_read(song, 0, &mix, &err), BL_OK);
    assert_true(fabs(p.duration_s - 13.5) < 0.01 && fabs((double)mix.n_samples / mix.sample_rate - 13.5) < 0.01);
    for (int k = 0; k < 6; k++)
        assert_true(loudest(&mix, 2 * k, 2 * k + 1) > 1e-3);
    char path[BL_PATH_MAX];
    bl_path_join(path, stems, "vocal.wav", &err);
    assert_int_equal(audio_read(path, 0, &vocal, &err), BL_OK);
    assert_int_equal(audio_read(voice_path, 0, &input, &err), BL_OK);
    assert_int_equal(vocal.n_samples, mix.n_samples);
    assert_memory_equal(vocal.samples, input.samples, (size_t)input.n_samples * sizeof *input.samples);
    assert_true(loudest(&vocal, 5.001, 14) == 0);
    assert_int_equal(music_midi_read(midi, &back, &err), BL_OK);
    assert_string_equal(back.title, "voice");
    for (int t = 0; t < back.n_tracks; t++) { /* volume and pan of the mix */
        assert_true(back.tracks[t].n_controls >= 2 && back.tracks[t].controls[0].a == MUSIC_CC_VOLUME && back.tracks[t].controls[1].a == MUSIC_CC_PAN);
        assert_true(back.tracks[t].controls[0].b > 40 && back.tracks[t].controls[0].b <= 127 && back.tracks[t].controls[1].b == 64);
    }
    assert_true(back.n_tempos == 2 && fabs(back.tempos[1].time_s - 4) < 1e-3 && back.n_markers == 2 && back.n_keys == 1);
    music_score_free(&back);
    audio_clip_free(&mix);
    audio_clip_free(&vocal);
    audio_clip_free(&input);
    infer_plan_free(&p);
}

/* One track per instrument comes back from the report to the last bit. */
static void the_report_of_an_arrangement_gives_the_song_again(void **state)
{
    bl_error err = { 0 };
    char path[4][BL_PATH_MAX], *bytes[2];
    static const char *const names[] = { "one.mid", "one.json", "one.wav", "two.wav" };
    size_t n[2];
    music_score s = arrangement();
    (void)state;
    for (int i = 0; i < 4; i++)
        snprintf(path[i], sizeof path[i], "%s", temporary_path(names[i]));
    s.tracks[2].n_notes = s.tracks[3].n_notes = 0; /* the second guitar, and the horns, which play as somebody else */
    assert_int_equal(music_midi_write(path[0], &s, &err), BL_OK);
    infer_options o = { .song = voice_path, .from_midi = path[0], .out = path[2], .report = path[1], .model = temporary_folder, .genre = "rock",
                        .seed = -1, .quiet = 1, .no_cache = 1 };
    for (int i = 0; i < 2; i++) {
        infer_plan p = { 0 };
        if (infer_pipeline_run(&o, &p, &err) != BL_OK)
            fail_msg("%s", err.msg);
        infer_plan_free(&p);
        assert_int_equal(bl_read_file(o.out, 1 << 28, &bytes[i], &n[i], &err), BL_OK);
        o = (infer_options){ .song = voice_path, .overrides.plan = path[1], .out = path[3], .model = temporary_folder, .seed = -1, .quiet = 1, .no_cache = 1 };
    }
    assert_int_equal(n[0], n[1]);
    assert_memory_equal(bytes[0], bytes[1], n[0]);
    free(bytes[0]);
    free(bytes[1]);
    music_score_free(&s);
}

/* Meters and tempi that nobody would arrange in: a bar of one beat, one of thirteen, a bar line just behind a beat, beats of 2 ms. */
static void the_report_of_an_odd_arrangement_can_be_read(void **state)
{
    static const struct { int numerator, denominator; double bpm, change_s; } cases[] = {
        { 1, 4, 120, 0 }, { 13, 8, 120, 0 }, { 4, 4, 120, 2.005 }, { 4, 4, 30000, 0 } };
    bl_error err = { 0 };
    char midi[BL_PATH_MAX], report[BL_PATH_MAX];
    (void)state;
    snprintf(midi, sizeof midi, "%s", temporary_path("odd.mid"));
    snprintf(report, sizeof report, "%s", temporary_path("odd.json"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        music_score s = { 0 };
        infer_plan p = { 0 };
        music_score_add_tempo(&s, 0, cases[i].bpm, &err);
        music_score_add_meter(&s, 0, cases[i].numerator, cases[i].denominator, &err);
        if (cases[i].change_s > 0)
            music_score_add_meter(&s, cases[i].change_s, 3, 4, &err);
        music_score_add_marker(&s, 0, "A] [\n", &err);
        music_track *t = music_score_add_track(&s, "bass", 33, 0, &err);
        for (int k = 0; k < 8; k++)
            music_track_add(t, k, k + 0.5, 38 + k, 90, &err);
        assert_int_equal(music_midi_write(midi, &s, &err), BL_OK);
        const infer_options o = { .song = voice_path, .from_midi = midi, .report = report, .model = temporary_folder, .genre = "rock", .seed = -1, .quiet = 1 };
        const infer_options back = { .song = voice_path, .overrides.plan = report, .model = temporary_folder, .seed = i ? -1 : 2, .quiet = 1 };
        if (infer_pipeline_run(&o, NULL, &err) != BL_OK || infer_pipeline_run(&back, &p, &err) != BL_OK)
            fail_msg("case %d: %s", (int)i, err.msg);
        const music_track *bass = infer_plan_track(&p, "bass");
        if (!bass || bass->n_notes != 8)
            fail_msg("case %d: %d notes", (int)i, bass ? bass->n_notes : -1);
        for (int k = 0; k < 8; k++) /* though the file has no chords, and another seed is wanted */
            assert_true(bass->notes[k].pitch == 38 + k && bass->notes[k].velocity == 90 && fabs(bass->notes[k].onset_s - k) < 1e-4);
        infer_plan_free(&p);
        music_score_free(&s);
    }
}

static void without_a_voice_the_band_plays_alone(void **state)
{
    bl_error err = { 0 };
    infer_plan p = { 0 };
    char song[BL_PATH_MAX], picture[BL_PATH_MAX];
    audio_clip mix = { 0 };
    (void)state;
    snprintf(song, sizeof song, "%s", temporary_path("band.flac"));
    snprintf(picture, sizeof picture, "%s", temporary_path("band.png"));
    const infer_options o = { .from_midi = midi_path, .out = song, .picture = picture, .model = temporary_folder, .seed = -1, .quiet = 1, .no_cache = 1 };
    if (infer_pipeline_run(&o, &p, &err) != BL_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(audio_read(song, 0, &mix, &err), BL_OK);
    assert_int_equal(mix.n_channels, 2);
    for (int k = 0; k < 6; k++)
        assert_true(loudest(&mix, 2 * k, 2 * k + 1) > 1e-3);
    assert_true(isnan(p.vocal_lufs) && isfinite(p.mix_lufs));
    assert_true(bl_is_file(picture));
    audio_clip_free(&mix);
    infer_plan_free(&p);
}

/* A file without notes, or that never ends. */
static void what_cannot_be_played_is_said(void **state)
{
    music_score s = { 0 };
    bl_error err = { 0 };
    const char *path = temporary_path("empty.mid");
    (void)state;
    music_score_add_track(&s, "piano", 0, 0, &err);
    assert_int_equal(music_midi_write(path, &s, &err), BL_OK);
    music_score back = { 0 };
    assert_int_equal(infer_from_midi_read(path, &back, &err), BL_EFORMAT);
    assert_message(err, "no notes in it");
    bl_error_clear(&err);
    music_track_add(&s.tracks[0], 5000, 5001, 60, 90, &err);
    assert_int_equal(music_midi_write(path, &s, &err), BL_OK);
    assert_int_equal(infer_from_midi_read(path, &back, &err), BL_EFORMAT);
    assert_message(err, "at most 1200 s");
    music_score_free(&s);
}

typedef struct picture { png_image image; unsigned char *rgb; } picture;

static picture read_picture(const char *path)
{
    picture p = { .image = { .version = PNG_IMAGE_VERSION } };
    assert_true(png_image_begin_read_from_file(&p.image, path));
    p.image.format = PNG_FORMAT_RGB;
    p.rgb = malloc(PNG_IMAGE_SIZE(p.image));
    assert_true(png_image_finish_read(&p.image, NULL, p.rgb, 0, NULL));
    return p;
}

static int n_pixels(const picture *p, uint32_t colour)
{
    int n = 0;
    for (size_t i = 0; i < (size_t)p->image.width * p->image.height; i++)
        n += ((uint32_t)p->rgb[3 * i] << 16 | (uint32_t)p->rgb[3 * i + 1] << 8 | p->rgb[3 * i + 2]) == colour;
    return n;
}

/* Every pitched track has its colour, the singer's notes red; a longer song more systems of the same width. */
static void the_roll_shows_every_track_and_grows_with_the_song(void **state)
{
    bl_error err = { 0 };
    char path[BL_PATH_MAX];
    infer_plan p = plan_of(1);
    (void)state;
    snprintf(path, sizeof path, "%s", temporary_path("roll.png"));
    p.duration_s = 12;
    assert_int_equal(infer_roll_picture(path, "roll", &p, &err), BL_OK);
    picture one = read_picture(path);
    static const uint32_t colours[] = { 0xC2334A, 0x3B6FB6, 0xE08A2E, 0x3A3A44 }; /* voice, first and second track, drums: the legend */
    for (int i = 0; i < 4; i++)
        assert_true(n_pixels(&one, colours[i]) >= 14 * 12);
    for (int t = 0; t < p.score.n_tracks; t++)
        for (int i = 0; i < p.score.tracks[t].n_notes; i++) {
            p.score.tracks[t].notes[i].onset_s *= 10;
            p.score.tracks[t].notes[i].offset_s *= 10;
        }
    for (int i = 0; i < p.n_downbeats; i++)
        p.downbeats_s[i] *= 10;
    p.duration_s = 120;
    assert_int_equal(infer_roll_picture(path, "roll", &p, &err), BL_OK);
    picture many = read_picture(path);
    assert_true(many.image.height > 2 * one.image.height && many.image.width < 2000);
    /* twenty minutes over the whole range, in bars of every length and in none */
    music_note *melody = realloc(p.melody, 2 * sizeof *melody);
    p.melody = melody;
    p.melody[0] = (music_note){ 0, 1, 0, 90 };
    p.melody[1] = (music_note){ 1, 2, 127, 90 };
    p.n_melody = 2;
    p.score.tracks[0].notes[0].pitch = 0;
    p.score.tracks[0].notes[1].pitch = 127;
    p.duration_s = 1200;
    for (int bars = p.n_downbeats; bars >= 0; bars -= p.n_downbeats) {
        const int was = p.n_downbeats;
        p.n_downbeats = bars;
        if (infer_roll_picture(path, "roll", &p, &err) != BL_OK)
            fail_msg("%s", err.msg);
        p.n_downbeats = was;
    }
    free(one.rgb);
    free(many.rgb);
    infer_plan_free(&p);
}

static void a_roll_of_nothing_is_still_a_picture(void **state)
{
    bl_error err = { 0 };
    infer_plan p = { 0 };
    (void)state;
    infer_plan_init(&p);
    assert_int_equal(infer_roll_picture(temporary_path("nothing.png"), "", &p, &err), BL_OK);
    assert_int_equal(infer_roll_picture("/no/such/folder/x.png", "", &p, &err), BL_EIO);
    assert_message(err, "/no/such/folder/x.png");
    infer_plan_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_track_has_a_player_and_a_reason),
        cmocka_unit_test(stand_ins_are_what_a_musician_would_take),
        cmocka_unit_test(a_track_named_after_a_voice_is_the_melody_when_somebody_sings),
        cmocka_unit_test(beats_bars_key_chords_and_sections_are_those_of_the_file),
        cmocka_unit_test(a_voice_is_accompanied_to_the_end_of_the_file),
        cmocka_unit_test(the_report_of_an_arrangement_gives_the_song_again),
        cmocka_unit_test(the_report_of_an_odd_arrangement_can_be_read),
        cmocka_unit_test(without_a_voice_the_band_plays_alone),
        cmocka_unit_test(what_cannot_be_played_is_said),
        cmocka_unit_test(the_roll_shows_every_track_and_grows_with_the_song),
        cmocka_unit_test(a_roll_of_nothing_is_still_a_picture),
    };
    return cmocka_run_group_tests(tests, make, remove_all);
}
