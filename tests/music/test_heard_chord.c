#include "music/heard_chord.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int class_of(const char *name)
{
    music_chord chord;
    assert_true(music_chord_parse(name, &chord));
    return music_heard_class(chord);
}

static void every_class_is_a_chord_of_its_own(void **state)
{
    (void)state;
    for (int k = 0; k < MUSIC_HEARD_CLASSES; k++) {
        char name[16];
        music_chord_format(music_heard_chord(k), 1, name);
        assert_int_equal(class_of(name), k);
    }
}

static void richer_chords_count_as_what_they_contain(void **state)
{
    static const struct { const char *rich, *plain; } cases[] = {
        { "C9", "C7" }, { "Dmaj9", "Dmaj7" }, { "Am9", "Am7" }, { "G6", "G" }, { "Ebadd9", "Eb" }, { "Fm6", "Fm" },
        { "Bdim7", "Bdim" }, { "A7sus4", "Asus4" }, { "C/E", "C" }, { "Gm7/Bb", "Gm7" }, { "F#mM7", "F#m" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(class_of(cases[i].rich), class_of(cases[i].plain));
}

static void power_chords_have_no_third_to_hear(void **state)
{
    (void)state;
    assert_int_equal(class_of("E5"), -1);
    assert_int_equal(class_of("N"), MUSIC_HEARD_NONE);
}

static void thirds_tell_major_from_minor(void **state)
{
    static const struct { const char *name; int mode; } cases[] = {
        { "C", 0 }, { "C7", 0 }, { "Cmaj7", 0 }, { "Cm", 1 }, { "Cm7", 1 }, { "Cdim", 2 }, { "Csus4", 2 }, { "Caug", 2 }, { "N", 2 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(music_heard_mode(class_of(cases[i].name)), cases[i].mode);
    assert_int_equal(music_heard_mode(-1), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_class_is_a_chord_of_its_own),
        cmocka_unit_test(richer_chords_count_as_what_they_contain),
        cmocka_unit_test(power_chords_have_no_third_to_hear),
        cmocka_unit_test(thirds_tell_major_from_minor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
