#include "music/chord.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void chords_have_the_pitch_classes_that_mir_eval_gives_them(void **state)
{
    FILE *f = fopen("tests/golden/music/chords.txt", "r");
    char name[32];
    int root, bass, n = 0;
    unsigned mask;
    (void)state;
    assert_non_null(f);
    while (fscanf(f, "%31s %d %u %d", name, &root, &mask, &bass) == 4) {
        music_chord c;
        if (!music_chord_parse(name, &c))
            fail_msg("%s does not parse", name);
        assert_int_equal(c.root, root);
        assert_int_equal(c.bass, bass);
        if (music_chord_classes(c) != (mask | 1u << bass))
            fail_msg("%s: %x, expected %x", name, music_chord_classes(c), mask);
        n++;
    }
    fclose(f);
    assert_int_equal(n, 19);
}

static void every_chord_reads_back_from_its_own_name(void **state)
{
    (void)state;
    for (int root = 0; root < 12; root++)
        for (int q = 0; q < MUSIC_N_QUALITIES; q++)
            for (int flats = 0; flats < 2; flats++)
                for (int bass = 0; bass < 12; bass++) {
                    music_chord c = { root, (music_quality)q, bass }, back;
                    char name[16];
                    music_chord_format(c, flats, name);
                    assert_true(music_chord_parse(name, &back));
                    assert_int_equal(back.root, root);
                    assert_int_equal(back.quality, q);
                    assert_int_equal(back.bass, bass);
                }
}

static void common_spellings_are_understood(void **state)
{
    static const struct { const char *name; int root; music_quality quality; int bass; } cases[] = {
        { "C", 0, MUSIC_MAJ, 0 }, { "F#m7", 6, MUSIC_MIN7, 6 }, { "Bbmaj7", 10, MUSIC_MAJ7, 10 }, { "Gsus4", 7, MUSIC_SUS4, 7 },
        { "Bdim", 11, MUSIC_DIM, 11 }, { "A5", 9, MUSIC_POWER, 9 }, { "C/E", 0, MUSIC_MAJ, 4 }, { "Dm7b5", 2, MUSIC_M7B5, 2 },
        { "EbM7", 3, MUSIC_MAJ7, 3 }, { "E-7", 4, MUSIC_MIN7, 4 }, { "G+", 7, MUSIC_AUG, 7 }, { "D6/9", 2, MUSIC_6, 2 },
        { "A:min/b3", 9, MUSIC_MIN, 0 }, { "Cb", 11, MUSIC_MAJ, 11 }, { "  Am ", 9, MUSIC_MIN, 9 }, { "F:maj6(9)", 5, MUSIC_6, 5 },
    };
    music_chord c;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (!music_chord_parse(cases[i].name, &c))
            fail_msg("%s does not parse", cases[i].name);
        assert_int_equal(c.root, cases[i].root);
        assert_int_equal(c.quality, cases[i].quality);
        assert_int_equal(c.bass, cases[i].bass);
    }
    assert_true(music_chord_parse("N", &c) && c.root == -1 && music_chord_classes(c) == 0);
    assert_true(music_chord_parse("N.C.", &c) && c.root == -1);
}

static void what_is_no_chord_is_refused(void **state)
{
    static const char *const names[] = { "", "H", "c", "Cfoo", "C/", "C/H", "verse", "Amen", "Bridge", "C:maj(", "A/E/", "G:/9/2" };
    music_chord c;
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (music_chord_parse(names[i], &c))
            fail_msg("\"%s\" was taken for a chord", names[i]);
}

static void keys_parse_and_format(void **state)
{
    music_key k;
    char name[16];
    (void)state;
    assert_true(music_key_parse("A minor", &k) && k.tonic == 9 && k.minor);
    assert_true(music_key_parse("Bb:maj", &k) && k.tonic == 10 && !k.minor);
    assert_true(music_key_parse("F#m", &k) && k.tonic == 6 && k.minor);
    assert_true(music_key_parse("C", &k) && k.tonic == 0 && !k.minor);
    assert_false(music_key_parse("A dorian", &k));
    assert_false(music_key_parse("", &k));
    assert_false(music_key_parse("X minor", &k));
    for (int tonic = 0; tonic < 12; tonic++)
        for (int minor = 0; minor < 2; minor++) {
            music_key back;
            music_key_format((music_key){ tonic, minor }, name);
            assert_true(music_key_parse(name, &back));
            assert_true(back.tonic == tonic && back.minor == minor);
        }
    music_key_format((music_key){ 10, 0 }, name);
    assert_string_equal(name, "Bb major");
    music_key_format((music_key){ 6, 1 }, name);
    assert_string_equal(name, "F# minor");
    assert_int_equal(music_key_signature((music_key){ 0, 0 }), 0);
    assert_int_equal(music_key_signature((music_key){ 5, 0 }), -1);
    assert_int_equal(music_key_signature((music_key){ 4, 1 }), 1);
}

static void diatonic_chords_and_numerals_agree(void **state)
{
    static const char *const major[] = { "I", "ii", "iii", "IV", "V", "vi", "viio" };
    static const char *const minor[] = { "i", "iio", "III", "iv", "v", "VI", "VII" };
    static const char *const sevenths[] = { "Imaj7", "ii7", "iii7", "IVmaj7", "V7", "vi7", "vii7b5" };
    char name[16];
    (void)state;
    for (int tonic = 0; tonic < 12; tonic++)
        for (int d = 1; d <= 7; d++) {
            music_key key = { tonic, 0 }, m = { tonic, 1 };
            music_chord_roman(music_key_chord(key, d, 0), key, name);
            assert_string_equal(name, major[d - 1]);
            music_chord_roman(music_key_chord(m, d, 0), m, name);
            assert_string_equal(name, minor[d - 1]);
            music_chord_roman(music_key_chord(key, d, 1), key, name);
            assert_string_equal(name, sevenths[d - 1]);
            assert_int_equal(music_chord_classes(music_key_chord(key, d, 1)) & ~music_key_classes(key), 0);
        }
    for (int root = 0; root < 12; root++)
        for (int q = 0; q < MUSIC_N_QUALITIES; q++)
            for (int mode = 0; mode < 2; mode++) {
                music_chord c = { root, (music_quality)q, root }, back;
                music_key key = { 7, mode };
                music_chord_roman(c, key, name);
                if (!music_roman_parse(name, key, &back))
                    fail_msg("%s does not parse", name);
                assert_int_equal(back.root, root);
                assert_int_equal(back.quality, q);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chords_have_the_pitch_classes_that_mir_eval_gives_them),
        cmocka_unit_test(every_chord_reads_back_from_its_own_name),
        cmocka_unit_test(common_spellings_are_understood),
        cmocka_unit_test(what_is_no_chord_is_refused),
        cmocka_unit_test(keys_parse_and_format),
        cmocka_unit_test(diatonic_chords_and_numerals_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
