#include "audio/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>

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

static void nothing_to_hear_leaves_every_key(void **state)
{
    double log_p[AUDIO_KEYS];
    (void)state;
    const audio_key key = audio_key_from_notes(NULL, 0, 0, NULL);
    assert_string_equal(key.name, "C major");
    assert_true(fabs((double)key.confidence - 1.0 / AUDIO_KEYS) < 1e-6);
    audio_key_weigh(NULL, 0, 0, NULL, log_p);
    for (int k = 0; k < AUDIO_KEYS; k++)
        assert_true(fabs(exp(log_p[k]) - 1.0 / AUDIO_KEYS) < 1e-9);
}

/* Three notes could be many keys; a scale up and down with its leading tone is one. */
static void a_longer_melody_is_surer(void **state)
{
    static const int scale[] = { 60, 62, 64, 65, 67, 69, 71, 72, 71, 69, 67, 65, 64, 62, 59, 60 };
    audio_sung_note notes[16];
    double log_p[AUDIO_KEYS], sum = 0;
    (void)state;
    for (int i = 0; i < 16; i++)
        notes[i] = (audio_sung_note){ 0.5 * i, 0.5 * i + 0.45, (float)scale[i], 90 };
    const audio_key few = audio_key_from_notes(notes, 3, 0, NULL), all = audio_key_from_notes(notes, 16, 0, NULL);
    assert_string_equal(all.name, "C major");
    assert_true(all.confidence > few.confidence + 0.1f);
    audio_key_weigh(notes, 16, 0, NULL, log_p);
    for (int k = 0; k < AUDIO_KEYS; k++)
        sum += exp(log_p[k]);
    assert_true(fabs(sum - 1) < 1e-9);
    assert_true(fabs(exp(log_p[0]) - (double)all.confidence) < 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_to_write_a_key_is_read),
        cmocka_unit_test(what_is_no_key_is_refused_with_the_forms_that_are),
        cmocka_unit_test(names_read_back_as_the_same_key),
        cmocka_unit_test(scales_hold_their_own_degrees),
        cmocka_unit_test(a_longer_melody_is_surer),
        cmocka_unit_test(known_melodies_are_in_their_key_wherever_they_are_sung),
        cmocka_unit_test(nothing_to_hear_leaves_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
