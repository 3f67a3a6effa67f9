#include "base/file.h"
#include "music/instrument.h"
#include "music/style.h"
#include "music/style_private.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/message.h"

static void every_genre_has_a_part_for_every_instrument(void **state)
{
    static const char *const genres[] = { "rock", "pop", "jazz", "classical", "blues", "country", "reggae", "disco", "metal", "hip-hop" };
    enum { N_GENRES = sizeof genres / sizeof *genres };
    (void)state;
    for (int g = 0; g < N_GENRES; g++) {
        char path[64];
        bl_error err = { 0 };
        snprintf(path, sizeof path, "configs/styles/%s.ini", genres[g]);
        music_style *s = music_style_load(path, &err);
        if (!s)
            fail_msg("%s", err.msg);
        assert_string_equal(music_style_genre(s), genres[g]);
        for (int i = 0; music_instrument_at(i); i++)
            if (!style_find_part(s, music_instrument_at(i)))
                fail_msg("%s has no part for %s", genres[g], music_instrument_at(i)->name);
        music_style_free(s);
    }
}

/* Files that somebody adds are tried, too. */
static void every_file_in_the_folder_is_a_style(void **state)
{
    char **names, path[BL_PATH_MAX];
    int n, found = 0;
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(bl_list_folder("configs/styles", &names, &n, &err), BL_OK);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "configs/styles/%s", names[i]);
        music_style *s = music_style_load(path, &err);
        if (!s)
            fail_msg("%s", err.msg);
        found++;
        music_style_free(s);
    }
    assert_true(found >= 10);
    bl_names_free(names, n);
}

static void a_pattern_is_read_as_it_stands(void **state)
{
    static const char text[] = "[style]\ngenre = test\nswing = 0.6\n[pattern a]\nkind = drums\nsteps = 2\nkick = 9. .. 9. .. | 9. .. .. 99\n"
                               "snare = .. 5. .. 5. | .. 5. .. 5.\n[instrument drums]\nrole = drums\nlevel 1 = a\nlevel 2 = a\nlevel 3 = -\n";
    bl_error err = { 0 };
    (void)state;
    music_style *s = music_style_parse(text, "test.ini", &err);
    if (!s)
        fail_msg("%s", err.msg);
    assert_int_equal(s->n_patterns, 1);
    assert_int_equal(s->patterns[0].bars, 2);
    assert_int_equal(s->patterns[0].n_rows, 2);
    assert_int_equal(s->patterns[0].rows[1].drum, 38);
    assert_string_equal(s->patterns[0].rows[0].cells, "9...9...9.....99");
    assert_int_equal(s->parts[0].level[2].n, 0);
    music_style_free(s);
}

static void parse(const char *text, const char *want)
{
    bl_error err = { 0 };
    assert_null(music_style_parse(text, "bad.ini", &err));
    assert_message(err, want);
}

#define HEAD "[style]\ngenre = x\n"
#define DRUMS "[pattern a]\nkind = drums\nkick = 9... .... .... ....\n"
#define PART "[instrument drums]\nrole = drums\nlevel 1 = a\nlevel 2 = a\nlevel 3 = a\n"

static void a_bad_entry_is_named_with_file_and_line(void **state)
{
    (void)state;
    parse("[style]\nswing = 0.5\n", "bad.ini: [style] has no genre");
    parse(HEAD "[pattern a]\nkick = 9...\n", "[pattern a] has no kind");
    parse(HEAD "[pattern a]\nkind = drums\nkick = 9... .... .... ..x.\n", "bad.ini line 5: [pattern a] kick: a cell is not one of");
    parse(HEAD "[pattern a]\nkind = drums\nkick = 9... .... .... ...\n", "bad.ini line 5: [pattern a] kick: the number of cells is 15");
    parse(HEAD "[pattern a]\nkind = drums\ngong = 9... .... .... ....\n", "bad.ini line 5: [pattern a] gong: not a drum");
    parse(HEAD "[pattern a]\nkind = bass\nplay = R...\nsteps = 1\nfoo = 1\n", "bad.ini line 7: [pattern a] foo: expected kind");
    parse(HEAD DRUMS "[instrument drums]\nrole = drums\nlevel 1 = b\nlevel 2 = a\nlevel 3 = a\n",
          "bad.ini line 8: [instrument drums] level 1: there is no pattern b");
    parse(HEAD DRUMS "[instrument drums]\nrole = drums\nlevel 1 = a\n", "[instrument drums] has no \"level 2\"");
    parse(HEAD DRUMS "[instrument drums]\nrole = drums\nlevel 1 = -\nlevel 2 = -\nlevel 3 = -\n", "plays at no level");
    parse(HEAD DRUMS "[instrument kazoo]\nrole = drums\n", "[instrument kazoo]: no such instrument");
    parse(HEAD DRUMS "[instrument piano]\nrole = chords\nlevel 1 = a\nlevel 2 = a\nlevel 3 = a\n", "another kind of pattern is a");
    parse(HEAD DRUMS "[instrument piano]\nrole = chords\nregister = 10 40\n", "register: expected two rising numbers within 21..108");
    parse(HEAD DRUMS PART PART, "bad.ini line 12: instrument drums.role is given twice");
    parse(HEAD DRUMS "[instrument piano]\nrole = solo\n", "solo");
    parse(HEAD DRUMS PART "[extra]\nx = 1\n", "bad.ini line 12");
    parse(HEAD "swng = 0.6\n" DRUMS PART, "swng");
}

#define CHORDS "[pattern strum]\nkind = chords\nplay = D... .... U... ....\n"

static void what_a_style_says_of_its_music_is_read(void **state)
{
    static const char text[] = "[style]\ngenre = test\nlike = rock\nswing_of = sixteenths\npassing = chromatic\nscale = blues\nlast_chord = short\n"
        "stop_before_last_chorus = yes\nstroke_gap_ms = 80\n[pattern riff]\nkind = bass\nplay = R.57 ..c. ..g. b...\n" CHORDS
        "left = R... .... 5... ....\n[instrument piano]\nrole = chords\nlevel 1 = strum\nlevel 2 = riff\nlevel 3 = -\nalone = riff\n"
        "turns = strum\nenters = 2\ngroup = keys\nvoicing = shell\nleft = 36 50\n";
    bl_error err = { 0 };
    (void)state;
    music_style *s = music_style_parse(text, "test.ini", &err);
    if (!s)
        fail_msg("%s", err.msg);
    assert_int_equal(s->passing, STYLE_CHROMATIC);
    assert_true(s->swing_sixteenths && s->blues && s->short_end && s->stop_before_last && fabs(s->stroke_gap_s - 0.08) < 1e-9);
    const style_part *p = style_find_part(s, music_instrument_find("piano"));
    assert_int_equal(p->voicing, STYLE_SHELL);
    assert_string_equal(p->group, "keys");
    assert_true(p->enters == 2 && p->left_low == 36 && p->left_high == 50 && p->alone.n == 1 && p->turns.n == 1);
    assert_int_equal(s->patterns[p->level[1].pattern[0]].kind, STYLE_BASS); /* a riff */
    assert_string_equal(s->patterns[1].left.cells, "R.......5.......");
    music_style_free(s);
}

static void a_slip_is_answered_with_the_nearest_word(void **state)
{
    (void)state;
    parse(HEAD "pasing = none\n" DRUMS PART, "did you mean \"passing\"");
    parse(HEAD "passing = all\n" DRUMS PART, "bad.ini line 3: style.passing");
    parse(HEAD "[pattern a]\nkind = drums\nsnair = 9... .... .... ....\n", "bad.ini line 5: [pattern a] snair: not a drum");
    parse(HEAD "[pattern a]\nkind = drums\nsnair = 9... .... .... ....\n", "did you mean \"snare\"?");
    parse(HEAD CHORDS "[instrument piano]\nrole = chords\nlevel 1 = strom\nlevel 2 = -\nlevel 3 = -\n",
          "bad.ini line 8: [instrument piano] level 1: there is no pattern strom; did you mean \"strum\"?");
    parse(HEAD CHORDS "[instrument piano]\nrole = chords\nlevel 1 = strum\nlevel 2 = -\nlevel 3 = -\nleft = 40 44\n", "left: expected twelve notes");
    parse(HEAD CHORDS "[instrument piano]\nrole = chords\nvoicing = fulll\n", "fulll");
    parse(HEAD CHORDS "[instrument piano]\nrole = chords\nenters = 7\n", "enters");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_genre_has_a_part_for_every_instrument),
        cmocka_unit_test(every_file_in_the_folder_is_a_style),
        cmocka_unit_test(a_pattern_is_read_as_it_stands),
        cmocka_unit_test(a_bad_entry_is_named_with_file_and_line),
        cmocka_unit_test(what_a_style_says_of_its_music_is_read),
        cmocka_unit_test(a_slip_is_answered_with_the_nearest_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
