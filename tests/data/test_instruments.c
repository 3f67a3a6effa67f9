#include "data/instruments.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/message.h"

static const char *found(const char *name)
{
    return data_instrument_name(data_instrument_find(name));
}

static void canonical_names_are_found_and_unique(void **state)
{
    (void)state;
    for (int i = 0; i < data_instrument_count(); i++) {
        assert_int_equal(data_instrument_find(data_instrument_at(i)->name), i);
        assert_true(data_instrument_at(i)->lowest < data_instrument_at(i)->highest);
    }
}

static void aliases_and_spellings_mean_the_same_instrument(void **state)
{
    static const struct { const char *said, *meant; } cases[] = {
        { "vocals", "voice" }, { "Vox", "voice" }, { "singer", "voice" }, { "vocals_lead", "voice" },
        { "electric bass", "bass" }, { "bass guitar", "bass" }, { "Bass-Guitar", "bass" }, { "electric_bass", "bass" },
        { "alto_sax", "saxophone" }, { "sax", "saxophone" }, { "distortion_guitar", "electric guitar" },
        { "overdriven_guitar", "electric guitar" }, { "guitar_2", "electric guitar" }, { "Guitar 2", "electric guitar" },
        { "guitar2", "electric guitar" }, { "01 - Acoustic Guitar", "acoustic guitar" }, { "string_section", "strings" },
        { "upright bass", "double bass" }, { "clavinet", "clavinet" }, { "clav", "clavinet" }, { "DRUMS", "drums" },
        { "church_organ", "organ" }, { "leadguitar", "electric guitar" }, { "horns", "brass" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(found(cases[i].said), cases[i].meant);
}

static void what_is_no_instrument_is_not_found(void **state)
{
    (void)state;
    assert_int_equal(data_instrument_find("other"), -1);
    assert_int_equal(data_instrument_find(""), -1);
    assert_int_equal(data_instrument_find("_"), -1);
    assert_int_equal(data_instrument_find("12"), -1);
    assert_int_equal(data_instrument_find("basic"), -1);
}

static void a_file_name_tells_its_instrument(void **state)
{
    (void)state;
    assert_string_equal(data_instrument_name(data_instrument_guess("piano_C4_ff")), "piano");
    assert_string_equal(data_instrument_name(data_instrument_guess("set_019_00_Church_Organ_C1")), "organ");
    assert_string_equal(data_instrument_name(data_instrument_guess("03 electric bass di")), "bass");
    assert_int_equal(data_instrument_guess("basic_sn_13b"), -1);
}

static void a_typo_gets_the_nearest_name(void **state)
{
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(data_instrument_parse("violn", &err), -1);
    assert_int_equal(err.code, BL_EARG);
    assert_message(err, "unknown instrument \"violn\"; did you mean \"violin\"?");
}

static void general_midi_programs_round_trip(void **state)
{
    (void)state;
    assert_string_equal(data_instrument_name(data_instrument_from_program(30, 0)), "electric guitar");
    assert_string_equal(data_instrument_name(data_instrument_from_program(25, 0)), "acoustic guitar");
    assert_string_equal(data_instrument_name(data_instrument_from_program(32, 0)), "double bass");
    assert_string_equal(data_instrument_name(data_instrument_from_program(33, 0)), "bass");
    assert_string_equal(data_instrument_name(data_instrument_from_program(33, 1)), "drums");
    assert_int_equal(data_instrument_from_program(127, 0), -1);
    static const char *const some[] = { "piano", "organ", "violin", "saxophone", "trumpet", "flute", "vibraphone", "strings" };
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        const int id = data_instrument_find(some[i]);
        assert_int_equal(data_instrument_from_program(data_instrument_at(id)->program, 0), id);
    }
}

static void likeness_is_highest_within_a_family(void **state)
{
    const int violin = data_instrument_find("violin"), viola = data_instrument_find("viola"), drums = data_instrument_find("drums"),
              tuba = data_instrument_find("tuba");
    (void)state;
    assert_true(data_instrument_likeness(violin, violin) == 1);
    assert_true(data_instrument_likeness(violin, viola) > data_instrument_likeness(violin, tuba));
    assert_true(data_instrument_likeness(violin, drums) == 0);
    for (int a = 0; a < data_instrument_count(); a++)
        for (int b = 0; b < data_instrument_count(); b++)
            assert_true(data_instrument_likeness(a, b) >= 0 && data_instrument_likeness(a, b) <= 1);
}

static void genres_are_normalised(void **state)
{
    char out[64];
    (void)state;
    assert_int_equal(data_genre_normalise("Hip Hop", out, sizeof out), 1);
    assert_string_equal(out, "hip-hop");
    data_genre_normalise("hiphop", out, sizeof out);
    assert_string_equal(out, "hip-hop");
    assert_int_equal(data_genre_normalise("ROCK", out, sizeof out), 1);
    assert_int_equal(data_genre_normalise("Sea  Shanty", out, sizeof out), 0);
    assert_string_equal(out, "sea shanty");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_names_are_found_and_unique),
        cmocka_unit_test(aliases_and_spellings_mean_the_same_instrument),
        cmocka_unit_test(what_is_no_instrument_is_not_found),
        cmocka_unit_test(a_file_name_tells_its_instrument),
        cmocka_unit_test(a_typo_gets_the_nearest_name),
        cmocka_unit_test(general_midi_programs_round_trip),
        cmocka_unit_test(likeness_is_highest_within_a_family),
        cmocka_unit_test(genres_are_normalised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
