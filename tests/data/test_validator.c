#include "tests/data/tree.h"

#include "data/instruments.h"
#include "data/validator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/message.h"

static int id(const char *name)
{
    const int found = data_instrument_find(name);
    assert_true(found >= 0);
    return found;
}

static data_validator *shipped(void)
{
    bl_error err = { 0 };
    data_validator *v = data_validator_new(NULL, &err);
    if (!v)
        fail_msg("%s", err.msg);
    return v;
}

static int genre(const data_validator *v, const char *name)
{
    const int g = data_validator_find_genre(v, name, NULL);
    assert_true(g >= 0);
    return g;
}

static void a_violin_in_rock_is_replaced_and_the_reason_says_why(void **state)
{
    data_validator *v = shipped();
    const data_decision d = data_validator_decide(v, genre(v, "rock"), id("violin"), NULL, 0, NULL);
    (void)state;
    assert_int_equal(d.verdict, DATA_REPLACED);
    assert_string_equal(data_instrument_name(d.replaced_by), "electric guitar");
    assert_true(fabs(d.probability - 0.04) < 1e-9 && fabs(d.replacement_probability - 0.95) < 1e-9);
    assert_string_equal(d.reason, "violin fits rock poorly (0.04, threshold 0.15): replaced by electric guitar (0.95)");
    data_validator_free(v);
}

static void an_instrument_of_the_genre_is_accepted(void **state)
{
    data_validator *v = shipped();
    const data_decision d = data_validator_decide(v, genre(v, "classical"), id("violin"), NULL, 0, NULL);
    (void)state;
    assert_int_equal(d.verdict, DATA_ACCEPTED);
    assert_string_equal(d.reason, "violin fits classical (0.75, threshold 0.15)");
    data_validator_free(v);
}

static void a_replacement_never_doubles_the_band(void **state)
{
    data_validator *v = shipped();
    const int asked[] = { id("violin"), id("electric guitar"), id("bass"), id("cello"), id("cello"), id("double bass") };
    data_decision d[6];
    (void)state;
    data_validator_decide_all(v, genre(v, "rock"), asked, 6, NULL, d);
    assert_int_equal(d[1].verdict, DATA_ACCEPTED);
    assert_int_equal(d[2].verdict, DATA_ACCEPTED);
    assert_int_equal(d[0].verdict, DATA_REPLACED);
    assert_int_equal(d[4].verdict, DATA_IGNORED);
    assert_non_null(strstr(d[4].reason, "twice"));
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < 6; k++)
            if (d[i].verdict == DATA_REPLACED) {
                assert_true(d[i].replaced_by != asked[k] || d[k].verdict != DATA_ACCEPTED);
                assert_true(i == k || d[k].verdict != DATA_REPLACED || d[k].replaced_by != d[i].replaced_by);
            }
    data_validator_free(v);
}

static void forcing_keeps_and_dropping_leaves_out(void **state)
{
    data_validator *v = shipped();
    const int rock = genre(v, "rock");
    data_decision d = data_validator_decide(v, rock, id("violin"), NULL, 0, &(data_validate_options){ .force = 1 });
    (void)state;
    assert_int_equal(d.verdict, DATA_ACCEPTED);
    assert_non_null(strstr(d.reason, "kept, as asked"));
    d = data_validator_decide(v, rock, id("violin"), NULL, 0, &(data_validate_options){ .drop = 1 });
    assert_int_equal(d.verdict, DATA_IGNORED);
    d = data_validator_decide(v, rock, id("violin"), NULL, 0, &(data_validate_options){ .threshold = 0.02 });
    assert_int_equal(d.verdict, DATA_ACCEPTED);
    data_validator_free(v);
}

static void every_genre_has_a_band_that_it_accepts(void **state)
{
    data_validator *v = shipped();
    (void)state;
    assert_true(data_validator_genres(v) >= 10);
    for (int g = 0; g < data_validator_genres(v); g++) {
        int band[8];
        const int n = data_validator_defaults(v, g, band, 8);
        assert_true(n >= 3);
        for (int i = 0; i < n; i++)
            assert_int_equal(data_validator_decide(v, g, band[i], NULL, 0, NULL).verdict, DATA_ACCEPTED);
        /* And every instrument gets an answer whose replacement fits. */
        for (int i = 0; i < data_instrument_count(); i++) {
            const data_decision d = data_validator_decide(v, g, i, band, n, NULL);
            if (d.verdict == DATA_REPLACED)
                assert_true(d.replacement_probability >= 0.15 && d.replaced_by != i);
        }
    }
    data_validator_free(v);
}

static void unknown_genres_name_the_nearest(void **state)
{
    data_validator *v = shipped();
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(data_validator_find_genre(v, "jaz", &err), -1);
    assert_message(err, "unknown genre \"jaz\"; did you mean \"jazz\"?");
    assert_true(data_validator_find_genre(v, "Hip Hop", NULL) >= 0);
    data_validator_free(v);
}

/* Twenty rock songs, all with a violin, and one of a genre the table does not know. */
static data_dataset *violin_dataset(void)
{
    char name[64];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "violins/rock/song_%02d/violin.wav", i);
        tree_sound(name, 0.3, 69, 8000, 1);
        snprintf(name, sizeof name, "violins/rock/song_%02d/drums.wav", i);
        tree_sound(name, 0.3, 40, 8000, 1);
    }
    tree_sound("violins/zydeco/one/accordion.wav", 0.3, 60, 8000, 1);
    tree_sound("violins/zydeco/one/drums.wav", 0.3, 40, 8000, 1);
    tree_sound("violins/zydeco/alone/accordion.wav", 0.3, 60, 8000, 1); /* a track, no song: it must not count */
    tree_text("violins/metadata.csv", "file,genre\nzydeco/one,Zydeco\nzydeco/alone,Zydeco\n");
    bl_error err = { 0 };
    data_dataset *d = data_dataset_open(tree_path("violins"), NULL, &err);
    if (!d)
        fail_msg("%s", err.msg);
    return d;
}

static void counts_sharpen_the_table_and_survive_a_file(void **state)
{
    data_validator *v = shipped();
    data_dataset *d = violin_dataset();
    bl_error err = { 0 };
    (void)state;
    const int rock = genre(v, "rock"), violin = id("violin"), bass = id("bass");
    assert_int_equal(data_validator_learn(v, d, &err), BL_OK);
    assert_true(data_validator_songs(v, rock) == 20 && data_validator_count(v, rock, violin) == 20);
    /* (10 * 0.04 + 20) / (10 + 20), and for the bass that no song has (10 * 0.93) / 30 */
    assert_true(fabs(data_validator_probability(v, rock, violin) - 20.4 / 30) < 1e-12);
    assert_true(fabs(data_validator_probability(v, rock, bass) - 9.3 / 30) < 1e-12);
    const data_decision decision = data_validator_decide(v, rock, violin, NULL, 0, NULL);
    assert_int_equal(decision.verdict, DATA_ACCEPTED);
    assert_non_null(strstr(decision.reason, "in 20 of 20 songs"));
    const int zydeco = genre(v, "zydeco");
    assert_true(data_validator_songs(v, zydeco) == 1);

    assert_int_equal(data_validator_save(v, tree_path("validator.h5"), &err), BL_OK);
    data_validator *again = data_validator_load(tree_path("validator.h5"), NULL, &err);
    assert_non_null(again);
    for (int i = 0; i < data_instrument_count(); i++) {
        assert_true(data_validator_probability(again, genre(again, "rock"), i) == data_validator_probability(v, rock, i));
        assert_true(data_validator_probability(again, genre(again, "zydeco"), i) == data_validator_probability(v, zydeco, i));
    }
    int band[4];
    assert_true(data_validator_defaults(again, genre(again, "zydeco"), band, 4) >= 1);
    data_validator_free(again);
    data_validator_free(v);
    data_dataset_free(d);
}

static void refuse(const char *text, const char *message)
{
    bl_error err = { 0 };
    tree_text("table.ini", text);
    assert_null(data_validator_new(tree_path("table.ini"), &err));
    assert_message(err, message);
    assert_message(err, "table.ini");
}

static void a_bad_table_names_the_line(void **state)
{
    (void)state;
    refuse("[rock]\ndrums = loud\n", "line 2: drums: expected a weight within 0..1");
    refuse("[rock]\ndrums = 1.5\n", "line 2: drums: expected a weight within 0..1");
    refuse("[rock]\n\ndrumz = 0.5\n", "line 3: drumz: unknown instrument \"drumz\"; did you mean \"drums\"?");
    refuse("[rock]\nviolin = 0.1 -> guitr\n", "unknown instrument \"guitr\"");
    refuse("[rock]\ndefault = drums, xylophne\n", "did you mean \"xylophone\"?");
    refuse("[settings]\nthreshold = 2\n[rock]\ndrums = 1\n", "threshold");
    refuse("[settings]\nthreshhold = 0.1\n[rock]\ndrums = 1\n", "did you mean \"threshold\"?");
    refuse("# nothing\n", "no genre");
    bl_error err = { 0 };
    assert_null(data_validator_new(tree_path("none.ini"), &err));
    assert_int_equal(err.code, BL_EIO);
}

static void a_damaged_counts_file_is_refused(void **state)
{
    bl_error err = { 0 };
    (void)state;
    tree_text("broken.h5", "this is no HDF5 file");
    assert_null(data_validator_load(tree_path("broken.h5"), NULL, &err));
    assert_message(err, "broken.h5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_violin_in_rock_is_replaced_and_the_reason_says_why),
        cmocka_unit_test(an_instrument_of_the_genre_is_accepted),
        cmocka_unit_test(a_replacement_never_doubles_the_band),
        cmocka_unit_test(forcing_keeps_and_dropping_leaves_out),
        cmocka_unit_test(every_genre_has_a_band_that_it_accepts),
        cmocka_unit_test(unknown_genres_name_the_nearest),
        cmocka_unit_test(counts_sharpen_the_table_and_survive_a_file),
        cmocka_unit_test(a_bad_table_names_the_line),
        cmocka_unit_test(a_damaged_counts_file_is_refused),
    };
    return cmocka_run_group_tests(tests, tree_make, tree_remove);
}
