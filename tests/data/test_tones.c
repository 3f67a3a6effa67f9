#include "tests/data/tree.h"

#include "audio/f0.h"
#include "base/rng.h"
#include "data/instruments.h"
#include "data/tones.h"
#include "music/midi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/message.h"

enum { RATE = 22050 };

typedef struct planned { double onset_s, offset_s; int pitch, velocity; } planned;

/* A stem and its notes beside it. */
static void write_stem(const char *audio_name, const char *midi_name, const char *track, int program, int drums,
                       const planned *notes, int n, double seconds)
{
    audio_clip clip = { 0 };
    music_score score = { 0 };
    bl_error err = { 0 };
    assert_int_equal(audio_clip_new(&clip, 1, (int64_t)(seconds * RATE), RATE, &err), BL_OK);
    music_track *t = music_score_add_track(&score, track, program, drums, &err);
    assert_non_null(t);
    for (int i = 0; i < n; i++) {
        add_note(clip.samples, clip.n_samples, RATE, notes[i].onset_s, notes[i].offset_s - notes[i].onset_s, notes[i].pitch,
                 0.4 * notes[i].velocity / 127);
        assert_int_equal(music_track_add(t, notes[i].onset_s, notes[i].offset_s, notes[i].pitch, notes[i].velocity, &err), BL_OK);
    }
    tree_write(audio_name, &clip);
    if (midi_name)
        assert_int_equal(music_midi_write(tree_file(midi_name), &score, &err), BL_OK);
    audio_clip_free(&clip);
    music_score_free(&score);
}

static data_tones collect(const char *folder, data_tones_options options, data_dataset **dataset)
{
    bl_error err = { 0 };
    data_tones t;
    options.quiet = 1;
    *dataset = data_dataset_open(tree_path(folder), NULL, &err);
    if (!*dataset)
        fail_msg("%s", err.msg);
    if (data_tones_collect(*dataset, &options, &t, &err) != BL_OK)
        fail_msg("%s", err.msg);
    return t;
}

static double measured_pitch(const data_tone *tone, int sample_rate)
{
    audio_f0_track f0 = { 0 };
    double sum = 0;
    int n = 0;
    assert_int_equal(audio_f0_run(tone->samples, tone->n_samples, sample_rate, (audio_f0_config){ 0 }, &f0, NULL), BL_OK);
    for (int64_t i = 4; i < f0.n_frames - 4; i++)
        if (f0.f0_hz[i] > 0) {
            sum += audio_hz_to_midi((double)f0.f0_hz[i]);
            n++;
        }
    audio_f0_free(&f0);
    return n ? sum / n : 0;
}

static const planned melody[] = {
    { 0.50, 0.90, 60, 100 }, { 1.00, 1.40, 64, 80 }, { 1.50, 1.52, 65, 90 },                   /* the third is too short */
    { 2.00, 2.60, 67, 90 }, { 2.40, 2.90, 71, 90 },                                              /* these two overlap      */
    { 3.00, 3.50, 72, 60 }, { 3.50, 3.90, 74, 120 },                                             /* legato: no gap         */
};

static void annotated_notes_have_the_right_onset_and_pitch(void **state)
{
    data_dataset *d;
    (void)state;
    write_stem("annotated/jazz/song/piano.wav", "annotated/jazz/song/piano.mid", "piano", 0, 0, melody, 7, 4.5);
    data_tones t = collect("annotated", (data_tones_options){ .sample_rate = 16000 }, &d);
    static const int kept[] = { 0, 1, 5, 6 };
    assert_int_equal(t.n, 4);
    assert_int_equal(t.n_annotated, 4);
    assert_int_equal(t.n_overlapping, 2);
    assert_int_equal(t.n_too_short, 1);
    for (int i = 0; i < 4; i++) {
        const data_tone *tone = &t.tones[i];
        const planned *p = &melody[kept[i]];
        assert_true(fabs(tone->onset_s - p->onset_s) < 0.001 && fabs(tone->duration_s - (p->offset_s - p->onset_s)) < 0.002);
        assert_int_equal(tone->pitch, p->pitch);
        assert_int_equal(tone->velocity, p->velocity);
        assert_true(fabs(measured_pitch(tone, 16000) - p->pitch) < 0.1);
        assert_string_equal(data_instrument_name(tone->instrument), "piano");
        assert_string_equal(d->genres[tone->genre], "jazz");
        /* Loud from the first moments on: the cut begins at the note. */
        double first = 0;
        for (int k = 0; k < 320; k++)
            first += fabs((double)tone->samples[k]);
        assert_true(first / 320 > 0.01);
    }
    assert_int_equal(t.tones[1].previous_pitch, 60);
    assert_int_equal(t.tones[1].next_pitch, 65);
    assert_true(fabs(t.tones[1].previous_gap_s - 0.1) < 0.002);
    assert_true(t.tones[0].previous_gap_s == HUGE_VAL && t.tones[3].next_gap_s == HUGE_VAL);
    /* The legato note ends where the next begins; others ring on for release_s. */
    assert_true(llabs(t.tones[2].n_samples - 8000) <= 16);
    assert_true(llabs(t.tones[3].n_samples - (int64_t)(0.7 * 16000)) <= 16);
    data_tones_free(&t);
    data_dataset_free(d);
}

static void options_bound_overlap_length_and_number(void **state)
{
    data_dataset *d;
    (void)state;
    write_stem("options/song/piano.wav", "options/song/piano.mid", "piano", 0, 0, melody, 7, 4.5);
    data_tones t = collect("options", (data_tones_options){ .max_overlap_s = -1 }, &d);
    assert_int_equal(t.n, 6);
    data_tones_free(&t);
    data_dataset_free(d);
    t = collect("options", (data_tones_options){ .max_seconds = 0.2 }, &d);
    for (int64_t i = 0; i < t.n; i++)
        assert_true(t.tones[i].n_samples <= 3200);
    data_tones_free(&t);
    data_dataset_free(d);
    t = collect("options", (data_tones_options){ .min_gap_s = 0.08 }, &d);
    assert_int_equal(t.n, 3); /* the second of the legato pair goes */
    data_tones_free(&t);
    data_dataset_free(d);
    const int violin = data_instrument_find("violin");
    bl_error err = { 0 };
    d = data_dataset_open(tree_path("options"), NULL, &err);
    assert_int_equal(data_tones_collect(d, &(data_tones_options){ .instruments = &violin, .n_instruments = 1, .quiet = 1 }, &t, &err),
                     BL_EFORMAT);
    assert_message(err, "not one usable tone");
    err = (bl_error){ 0 };
    assert_int_equal(data_tones_collect(d, &(data_tones_options){ .sample_rate = 100 }, &t, &err), BL_EARG);
    assert_message(err, "sample_rate expected within 4000..192000 Hz, got 100");
    data_dataset_free(d);
    t = collect("options", (data_tones_options){ .max_tones_per_instrument = 2, .seed = 3 }, &d);
    data_tones again = { 0 };
    assert_int_equal(data_tones_collect(d, &(data_tones_options){ .max_tones_per_instrument = 2, .seed = 3, .quiet = 1 }, &again, &err),
                     BL_OK);
    assert_int_equal(t.n, 2);
    assert_int_equal(t.n_over_limit, 2);
    for (int i = 0; i < 2; i++) {
        assert_true(t.tones[i].onset_s == again.tones[i].onset_s);
        assert_int_equal(t.tones[i].n_samples, again.tones[i].n_samples);
        assert_memory_equal(t.tones[i].samples, again.tones[i].samples, (size_t)t.tones[i].n_samples * sizeof(float));
    }
    data_tones_free(&again);
    data_tones_free(&t);
    data_dataset_free(d);
}

static void isolated_drum_hits_are_kept(void **state)
{
    static const planned hits[] = { { 0.2, 0.3, 36, 110 }, { 0.7, 0.8, 38, 100 }, { 1.2, 1.3, 36, 90 }, { 1.21, 1.3, 42, 70 },
                                    { 1.7, 1.8, 42, 80 }, { 1.78, 1.8, 42, 80 } };
    data_dataset *d;
    (void)state;
    write_stem("hits/song/drums.wav", "hits/song/drums.mid", "drums", 0, 1, hits, 6, 3);
    data_tones t = collect("hits", (data_tones_options){ 0 }, &d);
    assert_int_equal(t.n, 3); /* two together go, and the one followed too soon */
    assert_int_equal(t.tones[0].pitch, 36);
    assert_int_equal(t.tones[1].pitch, 38);
    assert_int_equal(t.tones[2].pitch, 42);
    assert_true(fabs(t.tones[0].duration_s - 0.5) < 0.002);
    assert_int_equal(t.n_overlapping, 2);
    assert_int_equal(t.n_too_short, 1);
    data_tones_free(&t);
    data_dataset_free(d);
}

static void notes_of_the_whole_song_serve_its_stems(void **state)
{
    static const planned bass[] = { { 0.5, 0.9, 40, 100 }, { 1.0, 1.4, 43, 100 } };
    music_score score = { 0 };
    bl_error err = { 0 };
    data_dataset *d;
    (void)state;
    write_stem("whole/song/bass.wav", NULL, "bass", 33, 0, bass, 2, 2);
    write_stem("whole/song/piano.wav", NULL, "piano", 0, 0, melody, 2, 2);
    music_track *t1 = music_score_add_track(&score, "bass", 33, 0, &err);
    music_track_add(t1, 0.5, 0.9, 40, 100, &err);
    music_track_add(t1, 1.0, 1.4, 43, 100, &err);
    music_track *t2 = music_score_add_track(&score, "piano", 0, 0, &err);
    music_track_add(t2, 0.5, 0.9, 60, 100, &err);
    assert_int_equal(music_midi_write(tree_file("whole/song/song.mid"), &score, &err), BL_OK);
    music_score_free(&score);
    data_tones t = collect("whole", (data_tones_options){ 0 }, &d);
    assert_int_equal(t.n, 3);
    assert_int_equal(t.n_annotated, 3);
    assert_int_equal(t.tones[0].pitch, 40);
    assert_int_equal(t.tones[1].pitch, 43);
    assert_int_equal(t.tones[2].pitch, 60);
    data_tones_free(&t);
    data_dataset_free(d);
}

static void loose_single_notes_are_measured(void **state)
{
    static const int pitches[] = { 40, 45, 52, 57, 64, 69, 76 };
    char name[96];
    data_dataset *d;
    (void)state;
    for (int i = 0; i < 7; i++) { /* silence, then a note, at three levels; one file is named an octave wrong */
        audio_clip clip = { 0 };
        assert_int_equal(audio_clip_new(&clip, 1, 2 * RATE, RATE, NULL), BL_OK);
        add_note(clip.samples, clip.n_samples, RATE, 0.31, 1.2, pitches[i], i % 2 ? 0.1 : 0.4);
        snprintf(name, sizeof name, "loose/electric_guitar/soft_%s_%d.wav", i == 5 ? "A5" : "x", i);
        tree_write(name, &clip);
        audio_clip_free(&clip);
    }
    tree_text("loose/electric_guitar/broken.wav", "no audio");
    data_tones t = collect("loose", (data_tones_options){ 0 }, &d);
    assert_int_equal(t.n, 7);
    assert_int_equal(t.n_detected, 7);
    for (int i = 0; i < 7; i++) {
        const data_tone *tone = &t.tones[i];
        int planned_pitch = -1;
        sscanf(strrchr(d->songs[tone->song].name, '_') + 1, "%d", &planned_pitch);
        const int index = planned_pitch;
        assert_int_equal(tone->pitch, pitches[index]);
        assert_true(fabs(tone->cents) < 15);
        assert_true(fabs(tone->onset_s - 0.31) < 0.01);
        assert_in_range((int)(1000 * tone->duration_s), 900, 1300);
        assert_true(tone->velocity >= 1 && tone->velocity <= 127);
        /* A quarter of the amplitude: half the velocity. */
        assert_in_range(tone->velocity, index % 2 ? 40 : 85, index % 2 ? 60 : 110);
    }
    data_tones_free(&t);
    data_dataset_free(d);
}

static void a_phrase_without_annotation_is_parted_into_notes(void **state)
{
    static const planned phrase[] = { { 0.3, 0.7, 60, 100 }, { 0.8, 1.2, 62, 100 }, { 1.3, 1.7, 62, 100 }, { 1.8, 2.3, 67, 100 } };
    data_dataset *d;
    (void)state;
    write_stem("phrase/flute/take.wav", NULL, "flute", 73, 0, phrase, 4, 2.6);
    data_tones t = collect("phrase", (data_tones_options){ 0 }, &d);
    assert_int_equal(t.n, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(t.tones[i].pitch, phrase[i].pitch);
        assert_true(fabs(t.tones[i].onset_s - phrase[i].onset_s) < 0.02);
        assert_int_equal(t.tones[i].annotated, 0);
    }
    data_tones_free(&t);
    data_dataset_free(d);
}

static void noise_and_silence_give_no_tone(void **state)
{
    bl_error err = { 0 };
    data_tones t = { 0 };
    float *x = calloc(RATE, sizeof *x);
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 1);
    assert_int_equal(data_tones_detect(x, RATE, RATE, data_instrument_find("violin"), NULL, NULL, &t, &err), BL_OK);
    assert_int_equal(t.n, 0);
    assert_int_equal(t.n_too_quiet, 1);
    for (int i = 0; i < RATE; i++)
        x[i] = (float)(0.1 * bl_rng_normal(&rng));
    assert_int_equal(data_tones_detect(x, RATE, RATE, data_instrument_find("violin"), NULL, NULL, &t, &err), BL_OK);
    assert_int_equal(t.n, 0);
    assert_true(t.n_unpitched >= 1);
    free(x);
    data_tones_free(&t);
}

static void short_signals_do_not_harm(void **state)
{
    bl_error err = { 0 };
    float x[64];
    (void)state;
    for (int i = 0; i < 64; i++)
        x[i] = 0.5f;
    for (int n = 1; n <= 64; n += 7) {
        data_tones t = { 0 };
        assert_int_equal(data_tones_detect(x, n, 16000, -1, "x", NULL, &t, &err), BL_OK);
        assert_int_equal(data_tones_detect(x, n, 16000, data_instrument_find("drums"), "x", NULL, &t, &err), BL_OK);
        data_tones_free(&t);
    }
    data_tones t = { 0 };
    assert_int_equal(data_tones_detect(x, 0, 16000, -1, NULL, NULL, &t, &err), BL_EARG);
}

static void names_give_pitches_and_drums(void **state)
{
    (void)state;
    assert_int_equal(data_pitch_in_name("piano_C4_ff"), 60);
    assert_int_equal(data_pitch_in_name("soft_ab3_rr1"), 56);
    assert_int_equal(data_pitch_in_name("Cello_Cs4_L"), 61);
    assert_int_equal(data_pitch_in_name("049_Db_3_1"), 49);
    assert_int_equal(data_pitch_in_name("take_01"), -1);
    assert_int_equal(data_pitch_in_name(""), -1);
    assert_int_equal(data_drum_in_name("Snare_01"), 38);
    assert_int_equal(data_drum_in_name("kit_HihatOpen_10"), 46);
    assert_int_equal(data_drum_in_name("hi-hat closed"), 42);
    assert_int_equal(data_drum_in_name("KickL"), 36);
    assert_int_equal(data_drum_in_name("noise"), -1);
}

static void a_broken_midi_file_is_reported_and_the_audio_used(void **state)
{
    static const planned one[] = { { 0.3, 0.9, 64, 100 } };
    data_dataset *d;
    char text[400];
    (void)state;
    write_stem("badmidi/song/flute.wav", NULL, "flute", 73, 0, one, 1, 1.5);
    tree_text("badmidi/song/flute.mid", "MThd and nothing else");
    data_tones t = collect("badmidi", (data_tones_options){ 0 }, &d);
    assert_int_equal(t.n, 1);
    assert_int_equal(t.tones[0].pitch, 64);
    assert_int_equal(d->n_skipped, 1);
    data_tones_describe(&t, text, sizeof text);
    assert_non_null(strstr(text, "1 tones (flute 1)"));
    data_tones_free(&t);
    data_dataset_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(annotated_notes_have_the_right_onset_and_pitch),
        cmocka_unit_test(options_bound_overlap_length_and_number),
        cmocka_unit_test(isolated_drum_hits_are_kept),
        cmocka_unit_test(notes_of_the_whole_song_serve_its_stems),
        cmocka_unit_test(loose_single_notes_are_measured),
        cmocka_unit_test(a_phrase_without_annotation_is_parted_into_notes),
        cmocka_unit_test(noise_and_silence_give_no_tone),
        cmocka_unit_test(short_signals_do_not_harm),
        cmocka_unit_test(names_give_pitches_and_drums),
        cmocka_unit_test(a_broken_midi_file_is_reported_and_the_audio_used),
    };
    return cmocka_run_group_tests(tests, tree_make, tree_remove);
}
