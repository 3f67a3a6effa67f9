#include "tests/temporary.h"

#include "infer/plan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/message.h"

static infer_plan example(void)
{
    infer_plan p = { 0 };
    bl_error err = { 0 };
    p.has = INFER_HAS_TEMPO | INFER_HAS_BEATS | INFER_HAS_DOWNBEATS | INFER_HAS_METER | INFER_HAS_KEY | INFER_HAS_CHORDS |
            INFER_HAS_MELODY | INFER_HAS_GENRE | INFER_HAS_INSTRUMENTS | INFER_HAS_NOTES | INFER_HAS_INPUT |
            INFER_HAS_SECTIONS | INFER_HAS_PHRASES | INFER_HAS_SEED | INFER_HAS_EXISTING;
    p.path = strcpy(malloc(32), "a \"song\".wav");
    p.duration_s = 12.3456789;
    p.sample_rate = 48000;
    p.n_channels = 2;
    strcpy(p.input, "vocal");
    p.confidence = (infer_confidence){ 0.9, 0.8, NAN, 0.123, 0.71, 60 };
    p.tempo_bpm = 119.98765;
    p.beats_per_bar = 4;
    p.n_beats = 9;
    p.beats_s = malloc(9 * sizeof *p.beats_s);
    for (int i = 0; i < 9; i++)
        p.beats_s[i] = 0.1 + i / 1.99;
    p.n_downbeats = 3;
    p.downbeats_s = malloc(3 * sizeof *p.downbeats_s);
    for (int i = 0; i < 3; i++)
        p.downbeats_s[i] = p.beats_s[4 * i];
    strcpy(p.key, "A minor");
    p.tuning_cents = -12.34;
    p.n_chords = 2;
    p.chords = calloc(2, sizeof *p.chords);
    p.chords[0] = (music_chord_span){ .end_s = 6.1234567, .name = "Am" };
    p.chords[1] = (music_chord_span){ .start_s = 6.1234567, .end_s = 12.3456789, .name = "F#m7b5" };
    p.n_melody = 1;
    p.melody = calloc(1, sizeof *p.melody);
    p.melody[0] = (music_note){ 0.123456789, 1.5, 57, 80 };
    p.n_sections = 2;
    p.sections = calloc(2, sizeof *p.sections);
    p.sections[0] = (infer_section){ 0, 4.1234567, "A", "verse" };
    p.sections[1] = (infer_section){ 4.1234567, 12.3456789, "B", "" };
    p.n_phrases = 1;
    p.phrases = calloc(1, sizeof *p.phrases);
    p.phrases[0] = (music_interval){ 0.123456789, 1.5 };
    p.n_heard = 1;
    p.heard[0] = (infer_heard){ "bass", 0.77 };
    strcpy(p.genre, "rock");
    p.genre_probability = 0.71;
    infer_plan_add_instrument(&p, "electric guitar", 1, "fits", NULL, &err);
    infer_plan_add_instrument(&p, "violin", 0, "does not fit", "organ", &err);
    music_track *t = music_score_add_track(&p.score, "electric guitar", 27, 0, &err);
    music_track_add(t, 0.1, 0.6, 45, 100, &err);
    music_track_add(t, 1.0 / 3, 2.0 / 3, 52, 90, &err);
    t = music_score_add_track(&p.score, "organ", 16, 0, &err);
    music_track_add(t, 2, 3, 60, 70, &err);
    p.vocal_lufs = -18.2;
    p.mix_lufs = -14;
    p.true_peak_dbtp = -INFINITY;
    p.seed = 42;
    p.intervals[0] = (music_interval){ 1, 10 };
    p.n_intervals = 1;
    infer_plan_round(&p);
    return p;
}

static infer_plan parsed(const char *text)
{
    infer_plan p;
    bl_error err = { 0 };
    if (infer_plan_parse(text, "plan.json", &p, &err) != BL_OK)
        fail_msg("%s", err.msg);
    return p;
}

/* The example's text with one piece replaced. */
static char *edited(const char *from, const char *to)
{
    bl_error err = { 0 };
    infer_plan p = example();
    char *text = infer_plan_text(&p, &err), *at = strstr(text, from);
    if (!at)
        fail_msg("no %s in %s", from, text);
    char *out = malloc(strlen(text) + strlen(to) + 1);
    memcpy(out, text, (size_t)(at - text));
    strcpy(out + (at - text), to);
    strcat(out, at + strlen(from));
    free(text);
    infer_plan_free(&p);
    return out;
}

static infer_plan after_edit(const char *from, const char *to)
{
    char *text = edited(from, to);
    infer_plan p = parsed(text);
    free(text);
    return p;
}

static void a_plan_comes_back_as_it_was_written(void **state)
{
    (void)state;
    bl_error err = { 0 };
    infer_plan a = example();
    char *text = infer_plan_text(&a, &err);
    infer_plan b = parsed(text);
    assert_int_equal(b.has & a.has, a.has);
    assert_true(a.tempo_bpm == b.tempo_bpm);
    assert_int_equal(b.n_beats, 9);
    assert_memory_equal(a.beats_s, b.beats_s, 9 * sizeof *a.beats_s);
    assert_memory_equal(a.downbeats_s, b.downbeats_s, 3 * sizeof *a.downbeats_s);
    assert_string_equal(b.key, "A minor");
    assert_string_equal(b.input, "vocal");
    assert_int_equal(b.n_chords, 2);
    assert_memory_equal(a.chords, b.chords, 2 * sizeof *a.chords);
    assert_memory_equal(a.melody, b.melody, sizeof *a.melody);
    assert_string_equal(b.genre, "rock");
    assert_int_equal(b.n_instruments, 2);
    assert_string_equal(b.instruments[1].replaced_by, "organ");
    assert_int_equal(b.instruments[1].accepted, 0);
    assert_int_equal(b.score.n_tracks, 2);
    assert_memory_equal(infer_plan_track(&a, "electric guitar")->notes, infer_plan_track(&b, "electric guitar")->notes,
                        2 * sizeof(music_note));
    assert_int_equal(b.seed, 42);
    assert_int_equal(b.n_intervals, 1);
    assert_int_equal(b.n_sections, 2);
    assert_memory_equal(a.sections, b.sections, 2 * sizeof *a.sections);
    assert_int_equal(b.n_phrases, 1);
    assert_memory_equal(a.phrases, b.phrases, sizeof *a.phrases);
    infer_plan_free(&a);
    infer_plan_free(&b);
    free(text);
}

static void the_report_has_the_keys_of_the_contract(void **state)
{
    static const char *const keys[] = {
        "\"song\"", "\"path\"", "\"duration\"", "\"sample_rate\"", "\"channels\"", "\"tempo\"", "\"beats\"", "\"downbeats\"",
        "\"key\"", "\"chords\"", "\"start\"", "\"end\"", "\"chord\"", "\"melody\"", "\"onset\"", "\"offset\"", "\"pitch\"",
        "\"velocity\"", "\"genre\"", "\"name\"", "\"probability\"", "\"given\"", "\"instruments\"", "\"accepted\"", "\"reason\"",
        "\"replaced_by\"", "\"notes\"", "\"instrument\"", "\"loudness\"", "\"vocal\"", "\"mix\"", "\"true_peak\"", "\"stages\"",
        "\"seconds\"", "\"peak_rss_mb\"" };
    (void)state;
    bl_error err = { 0 };
    infer_plan p = example();
    char *text = infer_plan_text(&p, &err);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strstr(text, keys[i]))
            fail_msg("no %s in the report", keys[i]);
    assert_null(strstr(text, "inf")); /* JSON has no infinities */
    infer_plan_free(&p);
    free(text);
}

static void what_is_deleted_is_missing_and_what_is_left_is_obeyed(void **state)
{
    (void)state;
    infer_plan p = after_edit("\"key\":", "\"was_key\":");
    assert_false(p.has & INFER_HAS_KEY);
    assert_true(p.has & INFER_HAS_NOTES);
    assert_true(p.has & INFER_HAS_CHORDS);
    infer_plan_free(&p);
    p = after_edit("\"notes\":", "\"no_notes\":");
    assert_false(p.has & INFER_HAS_NOTES);
    assert_int_equal(p.score.n_tracks, 0);
    infer_plan_free(&p);
    p = parsed("{\"beats\": null, \"tempo\": 100}");
    assert_int_equal(p.has, INFER_HAS_TEMPO);
    infer_plan_free(&p);
}

static void an_edited_part_puts_what_follows_from_it_out_of_date(void **state)
{
    (void)state;
    infer_plan p = after_edit("\"key\": \"A minor\"", "\"key\": \"C major\"");
    assert_string_equal(p.key, "C major");
    assert_false(p.has & (INFER_HAS_CHORDS | INFER_HAS_NOTES));
    assert_true(p.has & INFER_HAS_BEATS);
    infer_plan_free(&p);
    p = after_edit("\"tempo\": 119.988", "\"tempo\": 90");
    assert_true(p.has & INFER_HAS_TEMPO);
    assert_false(p.has & (INFER_HAS_BEATS | INFER_HAS_DOWNBEATS | INFER_HAS_CHORDS | INFER_HAS_NOTES));
    assert_true(p.has & INFER_HAS_KEY);
    infer_plan_free(&p);
    p = after_edit("\"chord\": \"Am\"", "\"chord\": \"C\"");
    assert_string_equal(p.chords[0].name, "C");
    assert_true(p.has & INFER_HAS_NOTES && p.origin.known && !p.origin.stale); /* the bars of that chord are renewed later */
    infer_plan_free(&p);
    p = after_edit("\"pitch\": 45", "\"pitch\": 47"); /* an edited note is meant */
    assert_true(p.has & INFER_HAS_NOTES);
    assert_int_equal(infer_plan_track(&p, "electric guitar")->notes[0].pitch, 47);
    infer_plan_free(&p);
}

static void an_edit_of_both_cause_and_effect_is_obeyed_in_both(void **state)
{
    (void)state;
    bl_error err = { 0 };
    char *once = edited("\"key\": \"A minor\"", "\"key\": \"C major\"");
    char *at = strstr(once, "\"pitch\": 45");
    assert_non_null(at);
    at[strlen("\"pitch\": 4")] = '8';
    infer_plan p;
    assert_int_equal(infer_plan_parse(once, "plan.json", &p, &err), BL_OK);
    assert_string_equal(p.key, "C major");
    assert_true(p.has & INFER_HAS_NOTES);
    assert_int_equal(infer_plan_track(&p, "electric guitar")->notes[0].pitch, 48);
    assert_false(p.has & INFER_HAS_CHORDS);
    infer_plan_free(&p);
    free(once);
}

static void sections_and_phrases_follow_from_bars_and_melody(void **state)
{
    (void)state;
    infer_plan p = after_edit("\"label\": \"B\"", "\"label\": \"chorus\"");
    assert_string_equal(p.sections[1].label, "chorus");
    assert_true(p.has & INFER_HAS_CHORDS);
    assert_false(p.has & INFER_HAS_NOTES); /* the arrangement is another one */
    infer_plan_free(&p);
    p = after_edit("\"pitch\": 57", "\"pitch\": 59");
    assert_false(p.has & (INFER_HAS_SECTIONS | INFER_HAS_PHRASES));
    infer_plan_free(&p);
    p = after_edit("\"tempo\": 119.988", "\"tempo\": 100");
    assert_false(p.has & INFER_HAS_SECTIONS);
    assert_true(p.has & INFER_HAS_PHRASES);
    infer_plan_free(&p);
}

/* Reports of earlier versions: the arranger's own sections, without an end. */
static void sections_without_an_end_are_not_obeyed(void **state)
{
    (void)state;
    infer_plan p = parsed("{\"sections\": [{\"start\": 0, \"name\": \"verse\"}, {\"start\": 9, \"name\": \"chorus\"}]}");
    assert_false(p.has & INFER_HAS_SECTIONS);
    infer_plan_free(&p);
}

/* What listen did not look for must not be taken for a decision when infer reads its report. */
static void what_a_plan_does_not_have_is_written_as_null(void **state)
{
    bl_error err = { 0 };
    infer_plan p;
    (void)state;
    infer_plan_init(&p);
    char *text = infer_plan_text(&p, &err);
    static const char *const keys[] = { "instruments", "notes", "chords", "melody", "sections", "phrases", "seed", "existing", "tempo" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char line[64];
        snprintf(line, sizeof line, "\"%s\": null", keys[i]);
        assert_non_null(strstr(text, line));
    }
    infer_plan b = parsed(text);
    assert_int_equal(b.has & ~(unsigned)INFER_HAS_INTERVALS, 0);
    infer_plan_free(&b);
    free(text);
}

static void numbers_spelled_otherwise_are_no_edit(void **state)
{
    (void)state;
    infer_plan p = after_edit("\"velocity\": 80", "\"velocity\": 80.0");
    assert_true(p.has & INFER_HAS_CHORDS);
    infer_plan_free(&p);
}

static void a_plan_may_be_written_by_hand(void **state)
{
    (void)state;
    infer_plan p = parsed("{\"tempo\": 120, \"genre\": \"Hip Hop\", \"instruments\": [\"Electric_Guitar\", {\"name\": \"drums\"}],"
                          " \"key\": \"Am\", \"form\": 7, \"anything\": {\"else\": []}}");
    assert_string_equal(p.genre, "hip-hop");
    assert_string_equal(p.key, "A minor");
    assert_int_equal(p.n_instruments, 2);
    assert_string_equal(p.instruments[0].name, "electric guitar");
    assert_int_equal(p.instruments[0].accepted, 1);
    infer_plan_free(&p);
}

static void an_instrument_plays_once_whoever_it_stands_in_for(void **state)
{
    (void)state;
    bl_error err = { 0 };
    infer_plan p = { 0 };
    infer_plan_add_instrument(&p, "organ", 1, "", NULL, &err);
    infer_plan_add_instrument(&p, "violin", 0, "", "organ", &err);
    infer_plan_add_instrument(&p, "flute", 0, "", NULL, &err);
    infer_plan_add_instrument(&p, "oboe", 0, "", "bass", &err);
    assert_string_equal(infer_plan_plays(&p, 0), "organ");
    assert_null(infer_plan_plays(&p, 1));
    assert_null(infer_plan_plays(&p, 2));
    assert_string_equal(infer_plan_plays(&p, 3), "bass");
    while (p.n_instruments < INFER_MAX_INSTRUMENTS)
        assert_int_equal(infer_plan_add_instrument(&p, "bass", 1, "", NULL, &err), BL_OK);
    assert_int_equal(infer_plan_add_instrument(&p, "bass", 1, "", NULL, &err), BL_EARG);
    infer_plan_free(&p);
}

static void a_bad_plan_is_named_by_its_place(void **state)
{
    static const struct { const char *text, *part; } bad[] = {
        { "", "plan.json" },
        { "{\"tempo\": 120", "plan.json line 1 column 13: not a plan in JSON" },
        { "{\"tempo\": NaN}", "plan.json line 1 column" },
        { "{\"tempo\": 1e999}", "plan.json line 1 column" },
        { "{\n \"key\": \"A minor\",\n \"tempo\": 5\n}", "plan.json line 3: tempo: expected a number" },
        { "{\"a\": [\"}\", {\"notes\": [1]}],\n \"notes\": [\n{\"instrument\": \"bass\", \"onset\": 0, \"offset\": 1, \"pitch\": 40, \"velocity\": 9},"
          "\n{\"instrument\":\n \"basss\", \"onset\": 0, \"offset\": 1, \"pitch\": 40, \"velocity\": 9}]}", "plan.json line 5: notes[1].instrument: " },
        { "{\n\"melody\": [{\"onset\": 0, \"offset\": 1, \"pitch\": 60}]}", "plan.json line 2: melody[0].velocity" },
        { "{\"chords\": \"Am | Qx\"}", "plan.json line 1: chords line 1 column 6: \"Qx\" is no chord" },
        { "{\"chords\": 5}", "chords: expected a list, or a chord sheet as a text" },
        { "{\"notes\": [{\"instrument\": \"bass\", \"onset\": 2, \"offset\": 1, \"pitch\": 60, \"velocity\": 9}]}", "offset 1 does not come after onset 2" },
        { "[1, 2]", "the plan: expected an object, got [1,2]" },
        { "{\"seed\": 1.5}", "seed: expected a whole number, got 1.5" },
        { "{\"genre\": 3}", "genre: expected the name of a genre, got 3" },
        { "{\"tempo\": \"fast\"}", "tempo: expected a number from 20 to 400, got \"fast\"" },
        { "{\"tempo\": 5}", "tempo: expected a number from 20 to 400, got 5" },
        { "{\"tempo\": 120, \"tempo\": 130}", "line 1" },
        { "{\"beats\": [1]}", "two or more" },
        { "{\"beats\": [1, 0.5]}", "beats[1]" },
        { "{\"beats\": [1, \"x\"]}", "beats[1]" },
        { "{\"beats\": 3}", "beats: expected a list" },
        { "{\"key\": \"H dur\"}", "key: expected a key" },
        { "{\"key\": 3}", "key: expected a key" },
        { "{\"meter\": 4.5}", "meter" },
        { "{\"chords\": [{\"start\": 0, \"end\": 1, \"chord\": \"Qx\"}]}", "chords[0].chord" },
        { "{\"chords\": [{\"start\": 1, \"end\": 1, \"chord\": \"C\"}]}", "chords[0]" },
        { "{\"chords\": [{\"start\": 0, \"end\": 2, \"chord\": \"C\"}, {\"start\": 1, \"end\": 3, \"chord\": \"C\"}]}", "chords[1].start" },
        { "{\"chords\": [5]}", "chords[0]: expected an object" },
        { "{\"melody\": [{\"onset\": 0, \"offset\": 1, \"pitch\": 60}]}", "melody[0].velocity" },
        { "{\"notes\": [{\"instrument\": \"bass\", \"onset\": 0, \"offset\": 1, \"pitch\": \"C4\", \"velocity\": 9}]}", "notes[0].pitch" },
        { "{\"notes\": [{\"instrument\": \"bass\", \"onset\": 0, \"offset\": 1, \"pitch\": 60.5, \"velocity\": 9}]}", "notes[0].pitch" },
        { "{\"notes\": [{\"instrument\": \"bass\", \"onset\": -1, \"offset\": 1, \"pitch\": 60, \"velocity\": 9}]}", "notes[0].onset" },
        { "{\"notes\": [{\"instrument\": \"bass\", \"onset\": 1e300, \"offset\": 1, \"pitch\": 60, \"velocity\": 9}]}", "notes[0].onset" },
        { "{\"notes\": [{\"instrument\": \"bas drum\", \"onset\": 0, \"offset\": 1, \"pitch\": 60, \"velocity\": 9}]}", "notes[0].instrument" },
        { "{\"instruments\": [{\"name\": \"pianoo\"}]}", "did you mean \"piano\"" },
        { "{\"instruments\": [{\"name\": \"piano\", \"accepted\": 1}]}", "instruments[0].accepted" },
        { "{\"genre\": {\"probability\": 1}}", "genre.name" },
        { "{\"genre\": {\"name\": \"rock\", \"probability\": 3}}", "genre.probability" },
        { "{\"intervals\": [{\"start\": 4, \"end\": 2}]}", "intervals[0]" },
        { "{\"sections\": [{\"start\": 0, \"end\": 4}]}", "sections[0].label" },
        { "{\"sections\": [{\"start\": 4, \"end\": 4, \"label\": \"A\"}]}", "sections[0]" },
        { "{\"sections\": [{\"start\": 0, \"end\": 4, \"label\": \"A\"}, {\"start\": 3, \"end\": 5, \"label\": \"B\"}]}", "sections[1].start" },
        { "{\"sections\": 7}", "sections: expected a list" },
        { "{\"phrases\": [{\"start\": 0, \"end\": 4}, {\"start\": 3, \"end\": 5}]}", "phrases[1].start" },
        { "{\"existing\": \"some\"}", "existing" },
        { "{\"seed\": -4}", "seed" },
        { "{\"input\": {\"kind\": \"noise\"}}", "input.kind" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bl_error err = { 0 };
        infer_plan p;
        assert_int_equal(infer_plan_parse(bad[i].text, "plan.json", &p, &err), BL_EFORMAT);
        assert_message(err, "plan.json");
        assert_message(err, bad[i].part);
        assert_null(strchr(err.msg, '\n'));
        assert_int_equal(p.has, 0);
        infer_plan_free(&p);
    }
}

static void files_are_written_and_read(void **state)
{
    (void)state;
    bl_error err = { 0 };
    infer_plan a = example(), b;
    assert_int_equal(infer_plan_write(temporary_path("plan.json"), &a, &err), BL_OK);
    assert_int_equal(infer_plan_read(temporary_path("plan.json"), &b, &err), BL_OK);
    assert_string_equal(b.key, "A minor");
    infer_plan_free(&b);
    assert_int_equal(infer_plan_read(temporary_path("none.json"), &b, &err), BL_EIO);
    assert_message(err, "none.json");
    err = (bl_error){ 0 };
    assert_int_equal(bl_write_file(temporary_path("binary.json"), "{\0}", 3, &err), BL_OK);
    assert_int_equal(infer_plan_read(temporary_path("binary.json"), &b, &err), BL_EFORMAT);
    assert_message(err, "binary.json");
    infer_plan_free(&a);
    infer_plan_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_comes_back_as_it_was_written),
        cmocka_unit_test(the_report_has_the_keys_of_the_contract),
        cmocka_unit_test(what_is_deleted_is_missing_and_what_is_left_is_obeyed),
        cmocka_unit_test(an_edited_part_puts_what_follows_from_it_out_of_date),
        cmocka_unit_test(an_edit_of_both_cause_and_effect_is_obeyed_in_both),
        cmocka_unit_test(sections_and_phrases_follow_from_bars_and_melody),
        cmocka_unit_test(sections_without_an_end_are_not_obeyed),
        cmocka_unit_test(what_a_plan_does_not_have_is_written_as_null),
        cmocka_unit_test(numbers_spelled_otherwise_are_no_edit),
        cmocka_unit_test(a_plan_may_be_written_by_hand),
        cmocka_unit_test(an_instrument_plays_once_whoever_it_stands_in_for),
        cmocka_unit_test(a_bad_plan_is_named_by_its_place),
        cmocka_unit_test(files_are_written_and_read),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
