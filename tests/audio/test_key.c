#include "audio/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/golden_text.h"
#include "tests/message.h"

static void every_way_to_write_a_key_is_read(void **state)
{
    static const struct { const char *text, *name; } cases[] = {
        { "A minor", "A minor" }, { "Am", "A minor" }, { "a min", "A minor" }, { "F# major", "F# major" },
        { "F#", "F# major" }, { "Bb", "Bb major" }, { "bb", "Bb major" }, { "Ebm", "Eb minor" }, { "C:maj", "C major" },
        { "Db:min", "C# minor" }, { "B#", "C major" }, { "Cb minor", "B minor" }, { " G  Major ", "G major" }, { "CM", "C major" },
        { "A MINOR", "A minor" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        audio_key key;
        bl_error  err = { 0 };
        if (audio_key_parse(cases[i].text, &key, &err) != BL_OK)
            fail_msg("%s: %s", cases[i].text, err.msg);
        assert_string_equal(key.name, cases[i].name);
    }
}

static void what_is_no_key_is_refused_with_the_forms_that_are(void **state)
{
    static const char *const wrong[] = { "", "H major", "A mixture", "minor", "A minor please", "7" };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        audio_key key;
        bl_error  err = { 0 };
        assert_int_equal(audio_key_parse(wrong[i], &key, &err), BL_EARG);
        assert_message(err, "A minor");
        assert_message(err, wrong[i]);
    }
}

static void names_read_back_as_the_same_key(void **state)
{
    (void)state;
    for (int k = 0; k < 24; k++) {
        const audio_key made = audio_key_make(k % 12, k / 12);
        audio_key       read;
        assert_int_equal(audio_key_parse(made.name, &read, NULL), BL_OK);
        assert_int_equal(read.tonic, made.tonic);
        assert_int_equal(read.is_minor, made.is_minor);
    }
}

static void scales_hold_their_own_degrees(void **state)
{
    const audio_key c = audio_key_make(0, 0), a = audio_key_make(9, 1);
    (void)state;
    for (int pitch = -24; pitch < 48; pitch += 12) {
        assert_true(audio_key_has(&c, pitch) && audio_key_has(&c, pitch + 11) && !audio_key_has(&c, pitch + 1));
        assert_true(audio_key_has(&a, pitch + 8) && audio_key_has(&a, pitch + 7) && !audio_key_has(&a, pitch + 6));
    }
}

static void chroma_keys_are_those_of_an_independent_program(void **state)
{
    int64_t rows, columns;
    float  *chroma = golden_floats("tests/golden/listening.txt", "chroma", &rows, &columns);
    int    *keys = golden_ints("tests/golden/listening.txt", "keys");
    (void)state;
    for (int64_t i = 0; i < rows; i++) {
        const audio_key key = audio_key_from_chroma(chroma + i * columns, 1);
        assert_int_equal(key.tonic, keys[2 * i]);
        assert_int_equal(key.is_minor, keys[2 * i + 1]);
    }
    free(chroma);
    free(keys);
}

/* Melodies everybody knows, in every transposition. */
static void known_melodies_are_in_their_key_wherever_they_are_sung(void **state)
{
    static const int twinkle[] = { 60, 60, 67, 67, 69, 69, 67, 65, 65, 64, 64, 62, 62, 60 };
    static const int greensleeves[] = { 69, 72, 74, 76, 77, 76, 74, 71, 67, 69, 71, 72, 69, 69, 68, 69, 71, 68, 64,
                                        69, 72, 74, 76, 77, 76, 74, 71, 67, 69, 71, 72, 71, 69, 68, 66, 68, 69, 69 };
    static const struct { const int *pitch; int n, tonic, minor; } tunes[] = {
        { twinkle, sizeof twinkle / sizeof *twinkle, 0, 0 },
        { greensleeves, sizeof greensleeves / sizeof *greensleeves, 9, 1 },
    };
    (void)state;
    for (int k = 0; k < 2; k++)
        for (int up = -7; up < 7; up++) {
            audio_sung_note notes[64];
            for (int i = 0; i < tunes[k].n; i++)
                notes[i] = (audio_sung_note){ 0.5 * i, 0.5 * i + 0.45, (float)(tunes[k].pitch[i] + up) + 0.2f, 90 };
            const audio_key key = audio_key_from_notes(notes, tunes[k].n, 20, NULL);
            assert_int_equal(key.tonic, (tunes[k].tonic + up + 12) % 12);
            assert_int_equal(key.is_minor, tunes[k].minor);
            assert_true(key.confidence > 0);
        }
}

static void nothing_to_hear_is_c_major_without_confidence(void **state)
{
    float empty[24] = { 0 };
    (void)state;
    audio_key key = audio_key_from_notes(NULL, 0, 0, NULL);
    assert_string_equal(key.name, "C major");
    assert_true(key.confidence == 0);
    key = audio_key_combine(NULL, 0, 0, NULL, empty, 2, 0.5);
    assert_true(key.confidence == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_to_write_a_key_is_read),
        cmocka_unit_test(what_is_no_key_is_refused_with_the_forms_that_are),
        cmocka_unit_test(names_read_back_as_the_same_key),
        cmocka_unit_test(scales_hold_their_own_degrees),
        cmocka_unit_test(chroma_keys_are_those_of_an_independent_program),
        cmocka_unit_test(known_melodies_are_in_their_key_wherever_they_are_sung),
        cmocka_unit_test(nothing_to_hear_is_c_major_without_confidence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
