/* What becomes of a song when its plan is edited: the plan alone is worked out, nothing is played unless sound is the question. */
#include "tests/temporary.h"

#include "infer/pipeline.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/infer/models.h"
#include "tests/infer/song.h"
#include "tests/message.h"

static char song[BL_PATH_MAX], report[BL_PATH_MAX], edited[BL_PATH_MAX];
static infer_plan original;
static json_t *root; /* the report, to be edited; fresh for every test */

static infer_options planning(void)
{
    return (infer_options){ .song = song, .model = temporary_folder, .seed = -1, .quiet = 1 };
}

static infer_plan run_it(infer_options o)
{
    bl_error err = { 0 };
    infer_plan p = { 0 };
    if (infer_pipeline_run(&o, &p, &err) != BL_OK)
        fail_msg("%s", err.msg);
    return p;
}

static int make(void **state)
{
    bl_error err = { 0 };
    if (temporary_make(state) != 0)
        return -1;
    models_make(temporary_folder);
    snprintf(song, sizeof song, "%s", temporary_path("song.wav"));
    snprintf(report, sizeof report, "%s", temporary_path("report.json"));
    snprintf(edited, sizeof edited, "%s", temporary_path("edited.json"));
    audio_clip clip = song_voice(16.1, 44100, 1);
    if (audio_write(song, &clip, AUDIO_ENCODING_DEFAULT, &err) != BL_OK)
        return -1;
    audio_clip_free(&clip);
    infer_options o = planning();
    o.genre = "rock";
    o.instruments = "electric guitar, bass, drums";
    o.report = report;
    original = run_it(o);
    return original.n_downbeats >= 6 && original.n_chords >= 3 ? 0 : -1;
}

static int remove_all(void **state)
{
    infer_plan_free(&original);
    return temporary_remove(state);
}

static int load(void **state)
{
    json_error_t why;
    (void)state;
    root = json_load_file(report, 0, &why);
    return root ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    json_decref(root);
    root = NULL;
    return 0;
}

static infer_plan again_with(infer_options o)
{
    assert_int_equal(json_dump_file(root, edited, 0), 0);
    o.overrides.plan = edited;
    return run_it(o);
}

static infer_plan again(void)
{
    return again_with(planning());
}

static int same_note(const music_note *a, const music_note *b)
{
    return a->onset_s == b->onset_s && a->offset_s == b->offset_s && a->pitch == b->pitch && a->velocity == b->velocity;
}

static int has_note(const music_track *t, const music_note *n)
{
    for (int i = 0; t && i < t->n_notes; i++)
        if (same_note(&t->notes[i], n))
            return 1;
    return 0;
}

/* Notes of a that b does not have, with their onset in from_s .. to_s or outside of it. */
static int missing(const infer_plan *a, const infer_plan *b, const char *instrument, double from_s, double to_s, int outside)
{
    const music_track *x = infer_plan_track(a, instrument), *y = infer_plan_track(b, instrument);
    int n = 0;
    for (int i = 0; x && i < x->n_notes; i++) {
        const int inside = x->notes[i].onset_s >= from_s && x->notes[i].onset_s < to_s;
        n += inside != outside && !has_note(y, &x->notes[i]);
    }
    return n;
}

static int differences(const infer_plan *a, const infer_plan *b, const char *instrument)
{
    return missing(a, b, instrument, 0, 1e9, 0) + missing(b, a, instrument, 0, 1e9, 0);
}

/* A chord that is not the one there, in the same key or not. */
static const char *another(const char *chord)
{
    return strcmp(chord, "F") ? "F" : "G";
}

static void a_plan_handed_back_says_the_same(void **state)
{
    (void)state;
    infer_options o = planning();
    char *a, *b;
    size_t n, m;
    o.report = temporary_path("second.json");
    infer_plan p = again_with(o);
    for (int t = 0; t < original.score.n_tracks; t++)
        assert_int_equal(differences(&original, &p, original.score.tracks[t].name), 0);
    infer_plan_free(&p);
    /* all but what a run costs */
    assert_int_equal(bl_read_file(report, 1 << 24, &a, &n, NULL), BL_OK);
    assert_int_equal(bl_read_file(o.report, 1 << 24, &b, &m, NULL), BL_OK);
    char *end_a = strstr(a, "\n \"loudness\""), *end_b = strstr(b, "\n \"loudness\"");
    *end_a = *end_b = '\0';
    char *made_a = strstr(end_a + 1, "\"made_from\""), *made_b = strstr(end_b + 1, "\"made_from\"");
    assert_string_equal(made_a, made_b);
    char *confidence_a = strstr(a, "\"confidence\": {\"input\""), *confidence_b = strstr(b, "\"confidence\": {\"input\"");
    *confidence_a = *confidence_b = '\0'; /* nobody looked again: null */
    assert_string_equal(strchr(confidence_a + 1, '\n'), strchr(confidence_b + 1, '\n'));
    assert_string_equal(strstr(a, "\"tempo\""), strstr(b, "\"tempo\""));
    free(a);
    free(b);
}

static void an_edited_chord_renews_its_own_bars_and_no_other(void **state)
{
    (void)state;
    json_t *item = json_array_get(json_object_get(root, "chords"), 1);
    const music_chord_span *was = &original.chords[1];
    json_object_set_new(item, "chord", json_string(another(was->name)));
    infer_plan p = again();
    assert_string_equal(p.chords[1].name, another(was->name));
    int first = 0, last = 0; /* whole bars, in which a stroke may come early */
    for (int i = 0; i < original.n_downbeats; i++) {
        first = original.downbeats_s[i] <= was->start_s + 0.02 ? i : first;
        last = original.downbeats_s[i] < was->end_s - 0.02 ? i + 1 : last;
    }
    const double from = original.downbeats_s[first] - 0.05;
    const double to = last < original.n_downbeats ? original.downbeats_s[last] - 0.05 : 1e9;
    static const char *const band[] = { "electric guitar", "bass", "drums" };
    for (int i = 0; i < 3; i++) {
        const music_track *a = infer_plan_track(&original, band[i]), *b = infer_plan_track(&p, band[i]);
        for (int k = 0; k < b->n_notes; k++)
            if (b->notes[k].onset_s < from || b->notes[k].onset_s >= to)
                assert_true(has_note(a, &b->notes[k]) || b->notes[k].offset_s <= to);
        /* what is held into the bar may end there; nothing else may be missing */
        for (int k = 0; k < a->n_notes; k++) {
            const music_note *n = &a->notes[k];
            if ((n->onset_s < from && n->offset_s <= from) || n->onset_s >= to)
                assert_true(has_note(b, n));
        }
    }
    assert_true(missing(&original, &p, "electric guitar", from, to, 0) > 0);
    assert_true(missing(&original, &p, "bass", from, to, 0) > 0);
    assert_int_equal(differences(&original, &p, "drums"), 0); /* they play no chords */
    music_chord chord;
    assert_int_equal(music_chord_parse(p.chords[1].name, &chord), 1);
    const music_track *bass = infer_plan_track(&p, "bass");
    int roots = 0;
    for (int k = 0; k < bass->n_notes; k++)
        roots += bass->notes[k].onset_s >= from && bass->notes[k].onset_s < was->end_s - 0.05 && bass->notes[k].pitch % 12 == chord.root;
    assert_true(roots > 0);
    infer_plan_free(&p);
}

static void a_chord_of_the_same_sound_renews_nothing(void **state)
{
    (void)state;
    /* split in two, and with no other chord in them */
    json_t *chords = json_object_get(root, "chords"), *item = json_array_get(chords, 1), *second = json_deep_copy(item);
    const double middle = 0.5 * (original.chords[1].start_s + original.chords[1].end_s);
    json_object_set_new(item, "end", json_real(middle));
    json_object_set_new(second, "start", json_real(middle));
    json_array_insert_new(chords, 2, second);
    infer_plan p = again();
    for (int t = 0; t < original.score.n_tracks; t++)
        assert_int_equal(differences(&original, &p, original.score.tracks[t].name), 0);
    infer_plan_free(&p);
}

static void what_is_deleted_is_found_again(void **state)
{
    static const char *const keys[] = { "tempo", "beats", "downbeats", "key", "chords", "melody", "genre", "instruments", "notes",
                                        "sections", "meter", "phrases", "seed", "existing", "input", "song", "tuning", "made_from" };
    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        json_t *whole = root;
        root = json_deep_copy(whole);
        assert_int_equal(json_object_del(root, keys[i]), 0);
        infer_plan p = again();
        if (p.n_beats != original.n_beats || p.n_downbeats != original.n_downbeats || strcmp(p.key, original.key) != 0 ||
            p.n_melody != original.n_melody || p.n_chords != original.n_chords || p.n_sections != original.n_sections ||
            fabs(p.tempo_bpm - original.tempo_bpm) > 0.5 || p.beats_per_bar != original.beats_per_bar || !p.genre[0] || p.score.n_tracks < 2)
            fail_msg("without %s: %d beats, %d downbeats, %s, %d notes sung, %d chords, %d sections, %g bpm, %s, %d tracks", keys[i],
                     p.n_beats, p.n_downbeats, p.key, p.n_melody, p.n_chords, p.n_sections, p.tempo_bpm, p.genre, p.score.n_tracks);
        if (strcmp(keys[i], "genre") != 0) /* a guess instead of what was asked for */
            for (int t = 0; t < original.score.n_tracks; t++)
                assert_int_equal(differences(&original, &p, original.score.tracks[t].name), 0);
        infer_plan_free(&p);
        json_decref(root);
        root = whole;
    }
}

/* Takes the notes of an instrument within a span out of the report. */
static int delete_notes(const char *instrument, double from_s, double to_s)
{
    json_t *notes = json_object_get(root, "notes");
    int n = 0;
    for (size_t i = json_array_size(notes); i-- > 0;) {
        const json_t *note = json_array_get(notes, i);
        const double onset = json_number_value(json_object_get(note, "onset"));
        if (!strcmp(json_string_value(json_object_get(note, "instrument")), instrument) && onset >= from_s && onset < to_s) {
            json_array_remove(notes, i);
            n++;
        }
    }
    return n;
}

static void an_instrument_without_notes_is_arranged_afresh(void **state)
{
    (void)state;
    assert_true(delete_notes("bass", 0, 1e9) > 4);
    infer_plan p = again();
    assert_int_equal(differences(&original, &p, "bass"), 0); /* the same seed */
    assert_int_equal(differences(&original, &p, "electric guitar"), 0);
    infer_plan_free(&p);
}

static void edited_notes_are_played_as_they_stand(void **state)
{
    (void)state;
    const double from = original.downbeats_s[2] - 0.05, to = original.downbeats_s[3] - 0.05;
    json_t *notes = json_object_get(root, "notes");
    assert_true(delete_notes("bass", from, to) > 0); /* a bar of silence */
    json_array_append_new(notes, json_pack("{sssfsfsisi}", "instrument", "bass", "onset", original.downbeats_s[4] + 0.123, "offset",
                                           original.downbeats_s[4] + 0.3, "pitch", 37, "velocity", 99));
    infer_plan p = again();
    assert_int_equal(missing(&p, &original, "bass", 0, 1e9, 0), 1);
    assert_int_equal(missing(&original, &p, "bass", from, to, 1), 0);
    const music_track *bass = infer_plan_track(&p, "bass");
    for (int i = 0; i < bass->n_notes; i++)
        assert_false(bass->notes[i].onset_s >= from && bass->notes[i].onset_s < to);
    assert_int_equal(differences(&original, &p, "electric guitar"), 0);
    infer_plan_free(&p);
}

static void another_seed_is_another_take_over_the_same_chords(void **state)
{
    (void)state;
    infer_options o = planning();
    o.seed = 7;
    infer_plan p = again_with(o), fresh;
    assert_int_equal(p.n_chords, original.n_chords);
    for (int i = 0; i < p.n_chords; i++)
        assert_string_equal(p.chords[i].name, original.chords[i].name);
    assert_true(differences(&original, &p, "electric guitar") + differences(&original, &p, "bass") + differences(&original, &p, "drums") > 0);
    /* as if that seed had been given from the first */
    o.genre = "rock";
    o.instruments = "electric guitar, bass, drums";
    fresh = run_it(o);
    for (int i = 0; i < fresh.n_chords; i++)
        assert_string_equal(fresh.chords[i].name, original.chords[i].name);
    for (int t = 0; t < fresh.score.n_tracks; t++)
        assert_int_equal(differences(&fresh, &p, fresh.score.tracks[t].name), 0);
    infer_plan_free(&p);
    infer_plan_free(&fresh);
    /* edited in the plan it means the same */
    json_object_set_new(root, "seed", json_integer(7));
    p = again();
    assert_true(differences(&original, &p, "electric guitar") + differences(&original, &p, "bass") + differences(&original, &p, "drums") > 0);
    infer_plan_free(&p);
    /* and the plan's own changes nothing */
    o = planning();
    o.seed = original.seed;
    json_object_set_new(root, "seed", json_integer(original.seed));
    p = again_with(o);
    assert_int_equal(differences(&original, &p, "electric guitar"), 0);
    infer_plan_free(&p);
}

static void what_somebody_wrote_outlives_a_new_seed_and_another_chord(void **state)
{
    (void)state;
    const double from = original.downbeats_s[2] - 0.05, to = original.downbeats_s[3] - 0.05;
    json_t *notes = json_object_get(root, "notes");
    delete_notes("bass", from, to);
    for (int i = 0; i < 3; i++)
        json_array_append_new(notes, json_pack("{sssfsfsisi}", "instrument", "bass", "onset", original.downbeats_s[2] + 0.11 * i, "offset",
                                               original.downbeats_s[2] + 0.11 * i + 0.07, "pitch", 30 + i, "velocity", 70));
    json_object_set_new(json_array_get(json_object_get(root, "chords"), 1), "chord", json_string(another(original.chords[1].name)));
    infer_options o = planning();
    o.seed = 3;
    infer_plan p = again_with(o);
    const music_track *bass = infer_plan_track(&p, "bass");
    int n = 0;
    for (int i = 0; i < bass->n_notes; i++)
        if (bass->notes[i].onset_s >= from && bass->notes[i].onset_s < to) {
            assert_int_equal(bass->notes[i].pitch, 30 + n);
            assert_true(fabs(bass->notes[i].onset_s - original.downbeats_s[2] - 0.11 * n) < 2e-5);
            n++;
        }
    assert_int_equal(n, 3);
    infer_plan_free(&p);
}

static void a_moved_beat_or_another_tempo_makes_all_notes_anew(void **state)
{
    (void)state;
    json_object_set_new(root, "tempo", json_real(97));
    infer_plan p = again();
    assert_true(fabs(p.tempo_bpm - 97) < 0.5);
    assert_true(missing(&original, &p, "bass", 2, 1e9, 0) > 4);
    for (int i = 0; i + 1 < p.n_beats; i++)
        assert_true(fabs(60 / (p.beats_s[i + 1] - p.beats_s[i]) - 97) < 3);
    infer_plan_free(&p);
}

static void a_chord_sheet_is_laid_over_the_bars(void **state)
{
    (void)state;
    json_object_set_new(root, "chords", json_string("[verse]\nDm | G7 | C/E | %\n[chorus] F G | Am"));
    json_object_del(root, "notes");
    infer_plan p = again();
    assert_string_equal(p.chords[0].name, "Dm");
    assert_string_equal(p.chords[1].name, "G7");
    assert_string_equal(p.chords[2].name, "C/E");
    assert_true(p.chords[2].start_s == p.downbeats_s[2] && p.chords[2].end_s == p.downbeats_s[4]);
    assert_string_equal(p.chords[4].name, "G");
    assert_string_equal(p.sections[0].label, "verse");
    assert_string_equal(p.sections[1].label, "chorus");
    assert_true(p.sections[1].start_s == p.downbeats_s[4]);
    assert_true(p.n_sheet_bars == 6 && p.n_song_bars == p.n_downbeats);
    infer_plan_free(&p);
}

static void a_sheet_that_infer_wrote_and_somebody_edited_renews_what_changed(void **state)
{
    (void)state;
    bl_error err = { 0 };
    char *text, *at;
    size_t n;
    infer_options o = planning();
    o.write_chords = temporary_path("chords.txt");
    infer_plan p = again_with(o);
    infer_plan_free(&p);
    o = planning();
    o.overrides.chords = temporary_path("chords.txt");
    p = again_with(o); /* unchanged: nothing is renewed */
    for (int t = 0; t < original.score.n_tracks; t++)
        assert_int_equal(differences(&original, &p, original.score.tracks[t].name), 0);
    infer_plan_free(&p);
    assert_int_equal(bl_read_file(o.overrides.chords, 1 << 20, &text, &n, &err), BL_OK);
    at = strrchr(text, '|'); /* the last bar of the sheet */
    assert_non_null(at);
    strcpy(at, "| Ebm\n");
    assert_int_equal(bl_write_file(o.overrides.chords, text, strlen(text), &err), BL_OK);
    p = again_with(o);
    const double last = original.downbeats_s[original.n_downbeats - 1];
    assert_string_equal(p.chords[p.n_chords - 1].name, "Ebm");
    for (int t = 0; t < original.score.n_tracks; t++)
        for (int i = 0; i < original.score.tracks[t].n_notes; i++)
            if (original.score.tracks[t].notes[i].offset_s < last - 0.1)
                assert_true(has_note(infer_plan_track(&p, original.score.tracks[t].name), &original.score.tracks[t].notes[i]));
    infer_plan_free(&p);
    strcpy(at, "| Ebmin9x\n");
    assert_int_equal(bl_write_file(o.overrides.chords, text, strlen(text), &err), BL_OK);
    assert_int_equal(infer_pipeline_run(&o, NULL, &err), BL_EFORMAT);
    assert_message(err, "\"Ebmin9x\" is no chord");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_plan_handed_back_says_the_same, load, unload),
        cmocka_unit_test_setup_teardown(an_edited_chord_renews_its_own_bars_and_no_other, load, unload),
        cmocka_unit_test_setup_teardown(a_chord_of_the_same_sound_renews_nothing, load, unload),
        cmocka_unit_test_setup_teardown(what_is_deleted_is_found_again, load, unload),
        cmocka_unit_test_setup_teardown(an_instrument_without_notes_is_arranged_afresh, load, unload),
        cmocka_unit_test_setup_teardown(edited_notes_are_played_as_they_stand, load, unload),
        cmocka_unit_test_setup_teardown(another_seed_is_another_take_over_the_same_chords, load, unload),
        cmocka_unit_test_setup_teardown(what_somebody_wrote_outlives_a_new_seed_and_another_chord, load, unload),
        cmocka_unit_test_setup_teardown(a_moved_beat_or_another_tempo_makes_all_notes_anew, load, unload),
        cmocka_unit_test_setup_teardown(a_chord_sheet_is_laid_over_the_bars, load, unload),
        cmocka_unit_test_setup_teardown(a_sheet_that_infer_wrote_and_somebody_edited_renews_what_changed, load, unload),
    };
    return cmocka_run_group_tests(tests, make, remove_all);
}
