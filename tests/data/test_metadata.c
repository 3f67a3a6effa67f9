#include "tests/data/tree.h"

#include "data/instruments.h"
#include "data/metadata.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/message.h"

static data_pool pool;

static data_table read_table(const char *text)
{
    data_table t;
    bl_error err = { 0 };
    tree_text("metadata.csv", text);
    if (data_table_read(tree_path("metadata.csv"), &pool, &t, &err) != BL_OK)
        fail_msg("%s", err.msg);
    return t;
}

static void quotes_marks_and_line_ends_are_understood(void **state)
{
    data_table t = read_table("\xef\xbb\xbf" "Title, file ,GENRE,mood,instruments,duration\r\n"
                              "\"One, \"\"two\"\"\nthree\",./rock\\a.wav,Rock,dark,drums; Bass Guitar;vox,3:25\r\n"
                              "\r\n"
                              ",b,,,,12.5");
    (void)state;
    assert_int_equal(t.n_rows, 2);
    const data_row *a = data_table_find(&t, "rock/a.flac"), *b = data_table_find(&t, "b.wav");
    assert_non_null(a);
    assert_non_null(b);
    assert_string_equal(a->metadata.title, "One, \"two\"\nthree");
    assert_string_equal(a->genre, "Rock");
    assert_int_equal(a->metadata.n_instruments, 3);
    assert_string_equal(data_instrument_name(a->metadata.instruments[1]), "bass");
    assert_string_equal(data_instrument_name(a->metadata.instruments[2]), "voice");
    assert_true(a->metadata.duration_s == 205 && b->metadata.duration_s == 12.5);
    assert_string_equal(b->metadata.title, "");
    assert_int_equal(b->line, 5);
    assert_null(data_table_find(&t, "c"));
    free(t.rows);
}

static void refuse(const char *text, const char *message)
{
    data_table t;
    bl_error err = { 0 };
    tree_text("bad.csv", text);
    assert_int_equal(data_table_read(tree_path("bad.csv"), &pool, &t, &err), BL_EFORMAT);
    assert_message(err, message);
    assert_message(err, "bad.csv");
    assert_null(t.rows);
}

static void malformed_tables_name_their_line(void **state)
{
    (void)state;
    refuse("", "empty");
    refuse("title,genre\nx,rock\n", "line 1: no column \"file\"");
    refuse("file;genre\na;rock\n", "line 1: no column \"file\"");
    refuse("file,genre,Genre\n", "line 1: the column \"genre\" is there twice");
    refuse("file,genre\na.wav,rock\nb.wav\n", "line 3: 1 fields, but the header has 2");
    refuse("file,genre\na.wav,rock,extra\n", "line 2: 3 fields, but the header has 2");
    refuse("file,title\na.wav,\"never closed\nb.wav,x\n", "line 2: a quote is opened and never closed");
    refuse("file,title\na.wav,\"x\"y\n", "line 2: text after a closing quote");
    refuse("file,duration\na.wav,1\nb.wav,long\n", "line 3: duration: expected seconds or m:ss, got \"long\"");
    refuse("file,duration\na.wav,-3\n", "line 2: duration");
    refuse("file,genre\n,rock\n", "line 2: the column \"file\" is empty");
    refuse("file\na.wav\nb.wav\na.flac\n", "line 4: \"a\" is there twice (first in line 2)");
}

static void text_with_a_zero_byte_is_refused(void **state)
{
    data_table t;
    bl_error err = { 0 };
    (void)state;
    if (bl_write_file(tree_file("zero.csv"), "file\na\0b\n", 9, NULL) != BL_OK)
        fail();
    assert_int_equal(data_table_read(tree_path("zero.csv"), &pool, &t, &err), BL_EFORMAT);
    assert_message(err, "not a text file");
}

static void sidecars_take_lists_and_numbers(void **state)
{
    data_row row;
    bl_error err = { 0 };
    (void)state;
    tree_text("a.json", "{\"title\": \"Song\", \"release\": 1999, \"duration\": 3.5, \"extra\": [1],"
                        " \"instruments\": [\"piano\", \"kazoo\", \"sax\"], \"album\": null}");
    assert_int_equal(data_sidecar_read(tree_path("a.json"), &pool, &row, &err), BL_OK);
    assert_string_equal(row.metadata.title, "Song");
    assert_string_equal(row.metadata.release, "1999");
    assert_string_equal(row.metadata.album, "");
    assert_true(row.metadata.duration_s == 3.5);
    assert_int_equal(row.metadata.n_instruments, 2);
    assert_string_equal(row.unknown, "kazoo");
}

static void broken_sidecars_are_one_sentence(void **state)
{
    static const struct { const char *text, *message; } cases[] = {
        { "{\"title\": \"Song\",\n\"genre\": }", "line 2" }, { "[1, 2]", "expected a JSON object" }, { "", "line 1" },
        { "{\"title\": {}}", "title: expected a text" }, { "{\"instruments\": [3]}", "instruments: expected a list of names" },
        { "{\"duration\": \"soon\"}", "duration: expected seconds" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        data_row row;
        bl_error err = { 0 };
        tree_text("bad.json", cases[i].text);
        assert_int_equal(data_sidecar_read(tree_path("bad.json"), &pool, &row, &err), BL_EFORMAT);
        assert_message(err, cases[i].message);
        assert_message(err, "bad.json");
    }
}

static void slakh_names_its_stems_by_program(void **state)
{
    static const char text[] = "UUID: x\nstems:\n  S00:\n    inst_class: Guitar\n    is_drum: false\n    program_num: 25\n"
                               "  S01:\n    inst_class: Drums\n    is_drum: true\n    program_num: 0\n"
                               "  S02:\n    inst_class: 'Bass'\n  S10:\n    program_num: 73\ntarget_peak: -1.0\n";
    (void)state;
    assert_string_equal(data_instrument_name(data_slakh_instrument(text, "S00")), "acoustic guitar");
    assert_string_equal(data_instrument_name(data_slakh_instrument(text, "S01")), "drums");
    assert_string_equal(data_instrument_name(data_slakh_instrument(text, "S02")), "bass");
    assert_string_equal(data_instrument_name(data_slakh_instrument(text, "S10")), "flute");
    assert_int_equal(data_slakh_instrument(text, "S03"), -1);
}

typedef struct notes { int n; char names[8][32]; int pitch[8]; } notes;

static bl_status take(void *user, const data_nsynth_note *note, bl_error *err)
{
    notes *all = user;
    (void)err;
    assert_true(all->n < 8);
    snprintf(all->names[all->n], sizeof all->names[0], "%s", note->name);
    all->pitch[all->n++] = note->pitch;
    return BL_OK;
}

static void nsynth_is_read_note_by_note(void **state)
{
    notes all = { 0 };
    bl_error err = { 0 };
    (void)state;
    tree_text("examples.json", "{ \"bass_1-040-100\": {\"pitch\": 40, \"velocity\": 100, \"qualities\": [0, 1], \"x\": {\"y\": 1}},\n"
                               "  \"organ-1\" : {\"pitch\": 60.5}, \"c\":{} }\n");
    assert_int_equal(data_nsynth_read(tree_path("examples.json"), take, &all, &err), BL_OK);
    assert_int_equal(all.n, 3);
    assert_string_equal(all.names[0], "bass_1-040-100");
    assert_string_equal(all.names[2], "c");
    assert_int_equal(all.pitch[0], 40);
    assert_int_equal(all.pitch[1], -1);
}

static void broken_nsynth_files_name_the_line(void **state)
{
    static const char *const texts[] = { "", "[]", "{\"a\": 3}", "{\"a\": {},", "{\"a\": {} \"b\": {}}", "{\"a\"}", "{\"a\": {\"pitch\": }}",
                                         "{\n\"a\": {}\n", "{a: {}}" };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        notes all = { 0 };
        bl_error err = { 0 };
        tree_text("examples.json", texts[i]);
        assert_int_equal(data_nsynth_read(tree_path("examples.json"), take, &all, &err), BL_EFORMAT);
        assert_message(err, "examples.json line ");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quotes_marks_and_line_ends_are_understood),
        cmocka_unit_test(malformed_tables_name_their_line),
        cmocka_unit_test(text_with_a_zero_byte_is_refused),
        cmocka_unit_test(sidecars_take_lists_and_numbers),
        cmocka_unit_test(broken_sidecars_are_one_sentence),
        cmocka_unit_test(slakh_names_its_stems_by_program),
        cmocka_unit_test(nsynth_is_read_note_by_note),
        cmocka_unit_test(broken_nsynth_files_name_the_line),
    };
    const int failed = cmocka_run_group_tests(tests, tree_make, tree_remove);
    bl_arena_free(&pool.arena);
    return failed;
}
