#include "music/chord_sheet.h"

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

static music_chord_sheet parsed(const char *text)
{
    music_chord_sheet s;
    bl_error err = { 0 };
    if (music_chord_sheet_parse(text, "song.txt", &s, &err) != BL_OK)
        fail_msg("%s", err.msg);
    return s;
}

/* The sheet bar by bar, as "Am|F /|N". */
static const char *bars_of(const char *text)
{
    static char out[4096];
    music_chord_sheet s = parsed(text);
    size_t n = 0;
    out[0] = '\0';
    for (int i = 0; i < s.n_bars; i++)
        for (int k = 0; k < s.bars[i].n; k++) {
            const char *slot = s.slots[s.bars[i].first + k];
            n += (size_t)snprintf(out + n, sizeof out - n, "%s%s", k ? " " : i ? "|" : "", *slot ? slot : "/");
        }
    music_chord_sheet_free(&s);
    return out;
}

static void bars_are_read_as_people_write_them(void **state)
{
    (void)state;
    assert_string_equal(bars_of("Am | F | C | G"), "Am|F|C|G");
    assert_string_equal(bars_of("| Am | F |\n| C | G ||"), "Am|F|C|G");
    assert_string_equal(bars_of("Am|F|C|G\r\n"), "Am|F|C|G");
    assert_string_equal(bars_of("Am F | C/E\n"), "Am F|C/E");
    assert_string_equal(bars_of("Am\nF\n\nC"), "Am|F|C");
    assert_string_equal(bars_of("Am | % | F / / G | N.C. | NC"), "Am|Am|F / / G|N|N");
    assert_string_equal(bars_of("# a comment\nF#m | Bb # and another\n"), "F#m|Bb");
    assert_string_equal(bars_of("B\xe2\x99\xad | F\xe2\x99\xafm7"), "Bb|F#m7");
    assert_string_equal(bars_of("\xef\xbb\xbf" "Am | F"), "Am|F"); /* the mark that some editors begin a file with */
    assert_string_equal(bars_of("Am . F - | / / C"), "Am / F /|/ / C");
}

static void repeats_are_played(void **state)
{
    (void)state;
    assert_string_equal(bars_of("Am | F x2\nC"), "Am|F|Am|F|C");
    assert_string_equal(bars_of("Am | F | x3"), "Am|F|Am|F|Am|F");
    assert_string_equal(bars_of("|: Am | F :| C"), "Am|F|Am|F|C");
    assert_string_equal(bars_of("E | |: Am :| x3\n"), "E|Am|Am|Am");
    assert_string_equal(bars_of("|: C :||: D :|"), "C|C|D|D");
}

static void sections_have_names_repeats_and_namesakes(void **state)
{
    static const int first[] = { 0, 2, 4, 5, 7 };
    static const char *const names[] = { "Verse 1", "Verse 1", "chorus", "Verse 1", "end" };
    (void)state;
    music_chord_sheet s = parsed("[Verse 1] x2\nAm | F\n[chorus]\nC\n[verse 1]\n[ end ] G");
    assert_int_equal(s.n_bars, 8);
    assert_int_equal(s.n_sections, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(s.sections[i].first_bar, first[i]);
        assert_string_equal(s.sections[i].name, names[i]);
    }
    assert_string_equal(s.slots[s.bars[6].first], "F");
    music_chord_sheet_free(&s);
    s = parsed("Am\n[verse]\nC");
    assert_string_equal(s.sections[0].name, "intro");
    assert_int_equal(s.sections[1].first_bar, 1);
    music_chord_sheet_free(&s);
}

static void a_slip_is_named_by_line_column_and_the_nearest_chord(void **state)
{
    static const struct { const char *text, *part; } bad[] = {
        { "", "song.txt: no chords in it" },
        { "# only words\n[verse]\n", "line 2: the section [verse] has no bars" },
        { "Am | F\nC | Gmin8\n", "song.txt line 2 column 5: \"Gmin8\" is no chord; did you mean \"G" },
        { "Am | Hm", "line 1 column 6: \"Hm\" is no chord; expected one such as" },
        { "Verse: Am", "column 1: \"Verse:\" is no chord; the name of a section stands in brackets" },
        { "Am | | C", "column 6: a bar without a chord" },
        { "% | Am", "column 1: there is no bar before this for %" },
        { "Am | C % | F", "column 8: % stands alone in its bar" },
        { "Am | % C", "column 8: % stands alone in its bar" },
        { "/ Am", "no chord before this to hold" },
        { "Am (F) | C", "column 4: a chord in brackets sounds before the first bar" },
        { "(Hm) C", "column 1: \"Hm\" is no chord" },
        { "() C", "column 1: \"\" is no chord" },
        { "(Am C", "stands there alone, as (Am); got \"(Am\"" },
        { "Am x99", "expected a repeat of x1 to x64, got \"x99\"" },
        { "Am x2 F", "column 7: a repeat ends its line" },
        { "x2", "no bars here to repeat" },
        { "[verse\nAm", "line 1 column 1: a section's name ends with ]" },
        { "[]\nAm", "a section's name of 1 to 31 letters" },
        { "Am x64\nAm | Am | Am | Am x64\nAm | Am | Am | Am x64\n|: C | C | C | C | C | C | C | C :| x64\n"
          "[a] x64\nC | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C"
          " | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C | C x2", "more than 4096 bars" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        music_chord_sheet s;
        bl_error err = { 0 };
        assert_int_equal(music_chord_sheet_parse(bad[i].text, "song.txt", &s, &err), BL_EFORMAT);
        assert_message(err, bad[i].part);
        assert_null(s.bars);
    }
}

/* Beats half a second apart from 0.25 s on, a little uneven; bars of four. */
enum { BEATS = 34, BARS = 8 };
static double beats[BEATS], downbeats[BARS];

static music_sheet_grid grid(void)
{
    for (int i = 0; i < BEATS; i++)
        beats[i] = 0.25 + 0.5 * i + 0.02 * sin(i);
    for (int i = 0; i < BARS; i++)
        downbeats[i] = beats[4 * i + 1];
    return (music_sheet_grid){ beats, downbeats, BEATS, BARS, 4, 17.5 };
}

static music_laid_sheet laid(const char *text)
{
    const music_sheet_grid g = grid();
    music_chord_sheet s = parsed(text);
    music_laid_sheet l;
    bl_error err = { 0 };
    if (music_chord_sheet_lay(&s, &g, &l, &err) != BL_OK)
        fail_msg("%s", err.msg);
    music_chord_sheet_free(&s);
    return l;
}

static void assert_span(const music_laid_sheet *l, int i, double start_s, double end_s, const char *name)
{
    assert_true(i < l->n_chords);
    if (fabs(l->chords[i].start_s - start_s) > 1e-9 || fabs(l->chords[i].end_s - end_s) > 1e-9 || strcmp(l->chords[i].name, name) != 0)
        fail_msg("chord %d: %g-%g %s, expected %g-%g %s", i, l->chords[i].start_s, l->chords[i].end_s, l->chords[i].name, start_s, end_s, name);
}

static void bars_lie_on_downbeats_and_chords_on_beats(void **state)
{
    (void)state;
    music_laid_sheet l = laid("Am | F G | C D E | A B C D E F G A | N.C. | Am | F | C");
    assert_span(&l, 0, 0, downbeats[1], "Am");            /* and before the first downbeat */
    assert_span(&l, 1, downbeats[1], beats[7], "F");      /* two chords: two beats each    */
    assert_span(&l, 2, beats[7], downbeats[2], "G");
    assert_span(&l, 3, downbeats[2], beats[11], "C");     /* three: two, one, one          */
    assert_span(&l, 4, beats[11], beats[12], "D");
    assert_span(&l, 5, beats[12], downbeats[3], "E");
    assert_span(&l, 7, 0.5 * (beats[13] + beats[14]), beats[14], "B"); /* eight: half beats */
    assert_span(&l, 14, downbeats[4], downbeats[5], "N");
    assert_span(&l, 17, downbeats[7], 17.5, "C");         /* to the song's end             */
    assert_int_equal(l.n_chords, 18);
    assert_int_equal(l.n_song_bars, BARS);
    music_laid_sheet_free(&l);
}

static void a_short_sheet_begins_again_and_a_long_one_is_cut(void **state)
{
    (void)state;
    music_laid_sheet l = laid("Am | F | C");
    assert_int_equal(l.n_chords, 8);
    assert_span(&l, 3, downbeats[3], downbeats[4], "Am");
    music_laid_sheet_free(&l);
    l = laid("(E7) Am | F");
    assert_span(&l, 0, 0, downbeats[0], "E7");
    assert_span(&l, 1, downbeats[0], downbeats[1], "Am");
    music_laid_sheet_free(&l);
    l = laid("[verse]\nAm | F\n[chorus]\nC | G");
    assert_int_equal(l.n_sections, 4); /* verse, chorus, chorus, chorus */
    assert_string_equal(l.sections[0].name, "verse");
    assert_string_equal(l.sections[3].name, "chorus");
    assert_true(l.sections[0].start_s == 0 && l.sections[0].end_s == downbeats[2] && l.sections[3].end_s == 17.5);
    assert_span(&l, 4, downbeats[4], downbeats[5], "C");
    music_laid_sheet_free(&l);
    l = laid("Am | F x20");
    assert_int_equal(l.n_chords, BARS);
    music_laid_sheet_free(&l);
}

static void a_song_without_downbeats_is_counted_from_its_first_beat(void **state)
{
    (void)state;
    bl_error err = { 0 };
    music_sheet_grid g = grid();
    music_chord_sheet s = parsed("Am | F");
    music_laid_sheet l;
    g.downbeats_s = NULL;
    g.n_downbeats = 0;
    assert_int_equal(music_chord_sheet_lay(&s, &g, &l, &err), BL_OK);
    assert_int_equal(l.n_song_bars, 9);
    assert_span(&l, 1, beats[4], beats[8], "F");
    music_laid_sheet_free(&l);
    g.n_beats = 1;
    assert_int_equal(music_chord_sheet_lay(&s, &g, &l, &err), BL_EARG);
    assert_message(err, "laid over beats");
    music_chord_sheet_free(&s);
}

static void a_sheet_that_was_written_lays_the_same_chords(void **state)
{
    static const char text[] = "[Verse]\n(E7) Am | F G | C D E | A / B C\n[chorus]\nN.C. | Am7/G | Bbmaj7 | / / C G\n";
    (void)state;
    bl_error err = { 0 };
    const music_sheet_grid g = grid();
    music_laid_sheet a = laid(text);
    char *written = music_chord_sheet_write(&g, a.chords, a.n_chords, a.sections, a.n_sections, "my song", &err);
    assert_non_null(written);
    assert_string_equal(written, "# my song\n[Verse]\n(E7) Am | F G | C D E | A B C\n\n[chorus]\nN.C. | Am7/G | Bbmaj7 | Bbmaj7 C G\n");
    music_laid_sheet b = laid(written);
    assert_int_equal(a.n_chords, b.n_chords);
    for (int i = 0; i < a.n_chords; i++)
        assert_span(&b, i, a.chords[i].start_s, a.chords[i].end_s, a.chords[i].name);
    assert_int_equal(a.n_sections, b.n_sections);
    assert_string_equal(b.sections[1].name, "chorus");
    free(written);
    music_laid_sheet_free(&a);
    music_laid_sheet_free(&b);
}

/* Names of sections come from plans and MIDI files, too. */
static void every_name_of_a_section_can_be_read_again(void **state)
{
    static const char *const names[] = { "A]B", "two\nlines", "[x", " ", "verse # 1 | x2" }, *const read[] = { "A_B", "two_lines", "[x", "_", "verse # 1 | x2" };
    (void)state;
    bl_error err = { 0 };
    const music_sheet_grid g = grid();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const music_chord_span chord = { .start_s = 0, .end_s = 17.5, .name = "Am" };
        music_sheet_part part = { .start_s = 0, .end_s = 17.5 };
        strcpy(part.name, names[i]);
        char *written = music_chord_sheet_write(&g, &chord, 1, &part, 1, NULL, &err);
        music_chord_sheet s = parsed(written);
        assert_true(s.n_bars == BARS && s.n_sections == 1);
        assert_string_equal(s.sections[0].name, read[i]);
        music_chord_sheet_free(&s);
        free(written);
    }
}

/* Downbeats that somebody moved off the beats, and a song that ends within a bar. */
static void chords_never_overlap(void **state)
{
    (void)state;
    bl_error err = { 0 };
    music_sheet_grid g = grid();
    music_chord_sheet s = parsed("A B C D E F G A | Am F C G");
    for (int shift = 0; shift < 4; shift++) {
        music_laid_sheet l;
        for (int i = 0; i < BARS; i++)
            downbeats[i] = beats[4 * i + 1] + 0.2 * shift * (i % 2 ? 1 : -1);
        g.duration_s = downbeats[BARS - 1] + 0.3;
        assert_int_equal(music_chord_sheet_lay(&s, &g, &l, &err), BL_OK);
        for (int i = 0; i < l.n_chords; i++)
            assert_true(l.chords[i].end_s > l.chords[i].start_s && l.chords[i].end_s <= (i + 1 < l.n_chords ? l.chords[i + 1].start_s : g.duration_s));
        music_laid_sheet_free(&l);
    }
    music_chord_sheet_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bars_are_read_as_people_write_them),
        cmocka_unit_test(repeats_are_played),
        cmocka_unit_test(sections_have_names_repeats_and_namesakes),
        cmocka_unit_test(a_slip_is_named_by_line_column_and_the_nearest_chord),
        cmocka_unit_test(bars_lie_on_downbeats_and_chords_on_beats),
        cmocka_unit_test(a_short_sheet_begins_again_and_a_long_one_is_cut),
        cmocka_unit_test(a_song_without_downbeats_is_counted_from_its_first_beat),
        cmocka_unit_test(a_sheet_that_was_written_lays_the_same_chords),
        cmocka_unit_test(every_name_of_a_section_can_be_read_again),
        cmocka_unit_test(chords_never_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
