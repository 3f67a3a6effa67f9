#include "tests/temporary.h"

#include "infer/overrides.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/message.h"

static const char *file(const char *name, const char *text)
{
    bl_error err = { 0 };
    if (bl_write_file(temporary_path(name), text, strlen(text), &err) != BL_OK)
        fail_msg("%s", err.msg);
    return temporary_path(name);
}

static infer_plan beats_of(const char *name, const char *text)
{
    infer_plan p;
    bl_error err = { 0 };
    infer_plan_init(&p);
    if (infer_read_beats(file(name, text), &p, &err) != BL_OK)
        fail_msg("%s", err.msg);
    return p;
}

static void beats_may_be_bare_times(void **state)
{
    (void)state;
    infer_plan p = beats_of("beats.txt", "# by hand\n0.5\n1.0\n\n 1.5 \r\n2.0");
    assert_int_equal(p.n_beats, 4);
    assert_true(p.beats_s[3] == 2);
    assert_true(fabs(p.tempo_bpm - 120) < 1e-9);
    assert_int_equal(p.has, INFER_HAS_BEATS | INFER_HAS_TEMPO);
    infer_plan_free(&p);
}

static void numbers_in_the_bar_are_meter_and_downbeats(void **state)
{
    static const char *const spelled[] = { "0.5\t3\n1\t1\n1.5\t2\n2\t3\n2.5\t1\n3\t2\n3.5\t3\n4\t1\n", "0.5 3\n1 1\n1.5 2\n2 3\n2.5 1\n3 2\n3.5 3\n4 1",
                                           "time,beat\n0.5,3\n1,1\n1.5,2\n2,3\n2.5,1\n3,2\n3.5,3\n4,1\n", "0.5;3\n1;1\n1.5; 2\n2;3\n2.5;1\n3;2\n3.5;3\n4;1" };
    (void)state;
    for (int i = 0; i < 4; i++) {
        infer_plan p = beats_of("beats.csv", spelled[i]);
        assert_int_equal(p.n_beats, 8);
        assert_int_equal(p.beats_per_bar, 3);
        assert_int_equal(p.n_downbeats, 3);
        assert_true(p.downbeats_s[0] == 1 && p.downbeats_s[2] == 4);
        infer_plan_free(&p);
    }
}

static void a_bad_beats_file_is_named_with_its_line(void **state)
{
    static const struct { const char *text, *part; } bad[] = {
        { "", "two beats or more, got 0" },
        { "1\n", "two beats or more, got 1" },
        { "1\n2\nthree\n", "line 3: expected a time in seconds, got \"three\"" },
        { "time beat\n1 1\n2 2\n", "line 1" },
        { "1\n0.5\n", "line 2: the beat at 0.5 s does not follow the one at 1 s" },
        { "1\n1.01\n", "line 2" },
        { "1\ninf\n", "line 2" },
        { "1 1\n2 2 3 4\n", "line 2: expected the beat's number" },
        { "1 1\n2 0\n", "line 2: expected the beat's number" },
        { "1 1\n2 99\n", "1 to 12, got \"99\"" },
        { "1 one\n2 two\n", "got \"one\"" },
        { "1 1\n\n2\n", "line 3: without a beat number" },
        { "1\n2 2\n", "line 2: with a beat number" },
        { "1 2\n2 3\n3 4\n", "no beat has the number 1" },
        { "1 1\n2 1\n3 1\n", "every beat has the number 1" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        infer_plan p;
        bl_error err = { 0 };
        infer_plan_init(&p);
        assert_int_equal(infer_read_beats(file("beats.txt", bad[i].text), &p, &err), BL_EFORMAT);
        assert_message(err, "beats.txt");
        assert_message(err, bad[i].part);
        infer_plan_free(&p);
    }
    infer_plan p;
    bl_error err = { 0 };
    infer_plan_init(&p);
    assert_int_equal(infer_read_beats(temporary_path("none.txt"), &p, &err), BL_EIO);
    assert_message(err, "none.txt");
}

static void options_that_cannot_be_are_refused(void **state)
{
    static const struct { infer_overrides o; const char *part; } bad[] = {
        { { .bpm = 5 }, "--bpm: expected 20 to 400, got 5" },
        { { .bpm = (double)NAN }, "--bpm" },
        { { .meter = 1 }, "--meter: expected 2 to 12 beats in a bar, got 1" },
        { { .meter = 13 }, "--meter" },
        { { .tempo = "fast" }, "--tempo: expected half or double, got \"fast\"" },
        { { .tempo = "120" }, "is given with --bpm" },
        { { .key = "H" }, "--key" },
        { { .bpm = 100, .beats = "b.txt" }, "--beats and --bpm" },
        { { .bpm = 100, .tempo = "half" }, "--bpm gives it" },
        { { .beats = "b.txt", .tempo = "half" }, "--beats gives it" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bl_error err = { 0 };
        assert_int_equal(infer_overrides_check(&bad[i].o, &err), BL_EARG);
        assert_message(err, bad[i].part);
    }
    bl_error err = { 0 };
    const infer_overrides good = { .tempo = "half", .key = "A minor", .meter = 3 };
    assert_int_equal(infer_overrides_check(&good, &err), BL_OK);
    assert_true(infer_overrides_tempo_factor(&good) == 0.5);
}

/* A report with tempo, beats, bars, key, chords and sections. */
static const char *report(void)
{
    bl_error err = { 0 };
    infer_plan p;
    infer_plan_init(&p);
    p.has = INFER_HAS_TEMPO | INFER_HAS_BEATS | INFER_HAS_DOWNBEATS | INFER_HAS_METER | INFER_HAS_KEY | INFER_HAS_CHORDS | INFER_HAS_SECTIONS;
    p.tempo_bpm = 120;
    p.beats_per_bar = 4;
    p.n_beats = 17;
    p.beats_s = malloc(17 * sizeof *p.beats_s);
    for (int i = 0; i < 17; i++)
        p.beats_s[i] = 0.25 + 0.5 * i;
    p.n_downbeats = 4;
    p.downbeats_s = malloc(4 * sizeof *p.downbeats_s);
    for (int i = 0; i < 4; i++)
        p.downbeats_s[i] = p.beats_s[4 * i + 1];
    strcpy(p.key, "C major");
    p.chords = calloc(1, sizeof *p.chords);
    p.chords[0] = (music_chord_span){ .start_s = 0, .end_s = 8, .name = "C" };
    p.n_chords = 1;
    p.sections = calloc(1, sizeof *p.sections);
    p.sections[0] = (infer_section){ 0, 8, "A", "" };
    p.n_sections = 1;
    if (infer_plan_write(temporary_path("plan.json"), &p, &err) != BL_OK)
        fail_msg("%s", err.msg);
    infer_plan_free(&p);
    return temporary_path("plan.json");
}

static infer_plan applied(infer_overrides o)
{
    infer_plan p;
    bl_error err = { 0 };
    infer_plan_init(&p);
    if (infer_overrides_apply(&o, &p, &err) != BL_OK)
        fail_msg("%s", err.msg);
    return p;
}

static void options_outrank_the_plan(void **state)
{
    (void)state;
    infer_plan p = applied((infer_overrides){ .plan = report() });
    assert_true(p.has & INFER_HAS_CHORDS && p.has & INFER_HAS_SECTIONS);
    infer_plan_free(&p);
    p = applied((infer_overrides){ .plan = report(), .bpm = 90 });
    assert_true(p.tempo_bpm == 90);
    assert_false(p.has & (INFER_HAS_BEATS | INFER_HAS_DOWNBEATS | INFER_HAS_CHORDS | INFER_HAS_SECTIONS));
    assert_true(p.has & INFER_HAS_KEY);
    infer_plan_free(&p);
    p = applied((infer_overrides){ .plan = report(), .key = "Am" });
    assert_string_equal(p.key, "A minor");
    assert_true(p.has & INFER_HAS_BEATS);
    assert_false(p.has & INFER_HAS_CHORDS);
    infer_plan_free(&p);
    p = applied((infer_overrides){ .plan = report(), .meter = 3 });
    assert_int_equal(p.beats_per_bar, 3);
    assert_true(p.has & INFER_HAS_BEATS);
    assert_false(p.has & INFER_HAS_DOWNBEATS);
    infer_plan_free(&p);
    p = applied((infer_overrides){ .plan = report(), .beats = file("b.txt", "0 1\n1 2\n2 3\n3 1\n4 2\n5 3\n6 1\n") });
    assert_int_equal(p.n_beats, 7);
    assert_true(fabs(p.tempo_bpm - 60) < 1e-9);
    assert_int_equal(p.beats_per_bar, 3);
    assert_int_equal(p.n_downbeats, 3);
    assert_false(p.has & (INFER_HAS_CHORDS | INFER_HAS_SECTIONS));
    infer_plan_free(&p);
}

static void half_and_double_change_the_plans_beats(void **state)
{
    (void)state;
    infer_plan p = applied((infer_overrides){ .plan = report(), .tempo = "half" });
    assert_true(p.tempo_bpm == 60);
    assert_int_equal(p.n_beats, 8);
    assert_true(p.beats_s[0] == 0.75); /* the first downbeat is still a beat */
    assert_true(p.beats_s[1] == 1.75);
    assert_false(p.has & (INFER_HAS_DOWNBEATS | INFER_HAS_CHORDS));
    infer_plan_free(&p);
    p = applied((infer_overrides){ .plan = report(), .tempo = "double" });
    assert_true(p.tempo_bpm == 240);
    assert_int_equal(p.n_beats, 33);
    assert_true(p.beats_s[1] == 0.5);
    infer_plan_free(&p);
    p = applied((infer_overrides){ .tempo = "double" }); /* nothing there yet: the ears will do it */
    assert_int_equal(p.has, 0);
    const infer_overrides o = { .plan = file("fast.json", "{\"tempo\": 250}"), .tempo = "double" };
    bl_error err = { 0 };
    assert_int_equal(infer_overrides_apply(&o, &p, &err), BL_EARG);
    assert_message(err, "250 bpm would be 500");
    infer_plan_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(beats_may_be_bare_times),
        cmocka_unit_test(numbers_in_the_bar_are_meter_and_downbeats),
        cmocka_unit_test(a_bad_beats_file_is_named_with_its_line),
        cmocka_unit_test(options_that_cannot_be_are_refused),
        cmocka_unit_test(options_outrank_the_plan),
        cmocka_unit_test(half_and_double_change_the_plans_beats),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
