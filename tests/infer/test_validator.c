#include "tests/temporary.h"

#include "infer/validator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "data/instruments.h"
#include "tests/infer/models.h"
#include "tests/message.h"

static infer_tone_generator *generator; /* bass, drums, electric guitar, organ */

static int make(void **state)
{
    bl_error err = { 0 };
    if (temporary_make(state) != 0)
        return -1;
    models_make_synthesizer(temporary_folder);
    generator = infer_tone_generator_load(temporary_path("wavegan.h5"), &err);
    return generator ? 0 : -1;
}

static int clear(void **state)
{
    infer_tone_generator_free(generator);
    return temporary_remove(state);
}

static infer_plan plan_of(const char *genre)
{
    infer_plan p = { .has = INFER_HAS_GENRE, .keep_existing = 1 };
    snprintf(p.genre, sizeof p.genre, "%s", genre);
    return p;
}

static bl_status validate(infer_plan *p, const infer_song *song, const char *names, int force, bl_error *err)
{
    const infer_song none = { 0 };
    const infer_band_request request = { names, force, temporary_folder };
    return infer_validate(p, song ? song : &none, &request, generator, err);
}

static void a_genre_without_wishes_gets_its_usual_band(void **state)
{
    (void)state;
    bl_error err = { 0 };
    infer_plan p = plan_of("rock");
    assert_int_equal(validate(&p, NULL, NULL, 0, &err), BL_OK);
    assert_int_equal(p.n_instruments, 3);
    assert_string_equal(p.instruments[0].name, "electric guitar");
    assert_string_equal(p.instruments[1].name, "bass");
    assert_string_equal(p.instruments[2].name, "drums");
    assert_true(p.instruments[2].reason[0]);
}

static void a_violin_in_rock_is_replaced_and_the_reason_given(void **state)
{
    (void)state;
    bl_error err = { 0 };
    infer_plan p = plan_of("rock");
    assert_int_equal(validate(&p, NULL, "violin, Bass; drums", 0, &err), BL_OK);
    assert_int_equal(p.n_instruments, 3);
    assert_int_equal(p.instruments[0].accepted, 0);
    assert_string_equal(p.instruments[0].replaced_by, "electric guitar");
    assert_non_null(strstr(p.instruments[0].reason, "violin"));
    assert_int_equal(p.instruments[1].accepted, 1);
}

static void what_the_synthesizer_never_learned_is_replaced_by_something_alike(void **state)
{
    (void)state;
    bl_error err = { 0 };
    infer_plan p = plan_of("pop");
    assert_int_equal(validate(&p, NULL, "acoustic guitar, drums", 0, &err), BL_OK);
    assert_int_equal(p.instruments[0].accepted, 0);
    assert_string_equal(p.instruments[0].replaced_by, "electric guitar");
    assert_non_null(strstr(p.instruments[0].reason, "not learned"));
    p = plan_of("rock");
    assert_int_equal(validate(&p, NULL, "violin", 1, &err), BL_EARG); /* forced in, but nobody can play it */
    assert_message(err, "violin");
}

static void wishes_that_cannot_be_are_named(void **state)
{
    static const struct { const char *names, *part; } bad[] = {
        { "pianoo", "did you mean \"piano\"" }, { "bass, bass guitar", "twice" }, { "", "expected names" }, { " , ;", "expected names" } };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bl_error err = { 0 };
        infer_plan p = plan_of("rock");
        assert_int_equal(validate(&p, NULL, bad[i].names, 0, &err), BL_EARG);
        assert_message(err, bad[i].part);
    }
    bl_error err = { 0 };
    infer_plan p = plan_of("rok");
    assert_int_equal(infer_check_genre(&p, temporary_folder, &err), BL_EARG);
    assert_message(err, "rock");
}

static void the_band_of_a_plan_is_obeyed(void **state)
{
    (void)state;
    bl_error err = { 0 };
    infer_plan p = plan_of("rock");
    infer_plan_add_instrument(&p, "organ", 1, "mine", NULL, &err);
    infer_plan_add_instrument(&p, "bass", 0, "not now", NULL, &err);
    p.has |= INFER_HAS_INSTRUMENTS;
    assert_int_equal(validate(&p, NULL, NULL, 0, &err), BL_OK);
    assert_int_equal(p.n_instruments, 2);
    assert_string_equal(p.instruments[0].reason, "mine");
    infer_plan q = plan_of("rock");
    music_track *t = music_score_add_track(&q.score, "organ", 16, 0, &err);
    music_track_add(t, 0, 1, 60, 90, &err);
    q.has |= INFER_HAS_NOTES;
    assert_int_equal(validate(&q, NULL, NULL, 0, &err), BL_OK);
    assert_int_equal(q.n_instruments, 1);
    assert_string_equal(q.instruments[0].name, "organ");
    infer_plan_free(&q);
    infer_plan_add_instrument(&p, "flute", 1, "", NULL, &err);
    assert_int_equal(validate(&p, NULL, NULL, 0, &err), BL_EARG);
    assert_message(err, "flute");
}

static void what_plays_already_is_not_added_unless_it_is_dropped(void **state)
{
    (void)state;
    bl_error err = { 0 };
    infer_song song = { .n_heard = 2 };
    song.heard[0] = data_instrument_find("drums");
    song.heard[1] = data_instrument_find("organ");
    infer_plan p = plan_of("rock");
    assert_int_equal(validate(&p, &song, NULL, 0, &err), BL_OK);
    assert_int_equal(p.n_instruments, 2);
    assert_string_equal(p.instruments[0].name, "electric guitar");
    assert_string_equal(p.instruments[1].name, "bass");
    p = plan_of("rock");
    p.keep_existing = 0;
    assert_int_equal(validate(&p, &song, NULL, 0, &err), BL_OK);
    assert_int_equal(p.n_instruments, 2);
    assert_string_equal(p.instruments[0].name, "drums");
    assert_string_equal(p.instruments[1].name, "organ");
}

static void every_entry_carries_its_numbers(void **state)
{
    (void)state;
    bl_error err = { 0 };
    data_validator *v = data_validator_new(NULL, &err);
    infer_plan p = plan_of("rock");
    assert_int_equal(validate(&p, NULL, "organ, violin, drums", 0, &err), BL_OK);
    for (int i = 0; i < p.n_instruments; i++) {
        const infer_instrument *e = &p.instruments[i];
        const data_evidence x = data_validator_evidence(v, data_validator_find_genre(v, "rock", NULL), data_instrument_find(e->name));
        assert_true(e->threshold == 0.15 && e->table == x.table && e->probability == x.probability && e->songs == 0);
        assert_true(e->accepted == (e->probability >= e->threshold) && !e->forced);
        assert_true((e->replacement_probability >= e->threshold) == (e->replaced_by[0] != 0));
        assert_true(e->reason[0]);
    }
    /* a plan's band too, though nobody asked the validator */
    infer_plan q = plan_of("rock");
    infer_plan_add_instrument(&q, "organ", 1, "mine", NULL, &err);
    q.has |= INFER_HAS_INSTRUMENTS;
    assert_int_equal(validate(&q, NULL, NULL, 0, &err), BL_OK);
    assert_true(q.instruments[0].threshold == 0.15 && q.instruments[0].table == 0.30);
    data_validator_free(v);
}

static void one_instrument_or_all_may_be_forced(void **state)
{
    (void)state;
    bl_error err = { 0 };
    infer_plan p = plan_of("classical");
    assert_int_equal(validate(&p, NULL, "electric guitar!, drums", 0, &err), BL_OK);
    assert_true(p.instruments[0].accepted && p.instruments[0].forced && p.instruments[0].probability < 0.15);
    assert_non_null(strstr(p.instruments[0].reason, "kept, as asked"));
    assert_false(p.instruments[1].accepted || p.instruments[1].forced);
    p = plan_of("classical");
    assert_int_equal(validate(&p, NULL, "electric guitar, drums", 1, &err), BL_OK);
    assert_true(p.instruments[0].forced && p.instruments[1].forced);
    p = plan_of("rock"); /* what fits anyway is not forced */
    assert_int_equal(validate(&p, NULL, "electric guitar!", 0, &err), BL_OK);
    assert_true(p.instruments[0].accepted && !p.instruments[0].forced);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_genre_without_wishes_gets_its_usual_band),
        cmocka_unit_test(a_violin_in_rock_is_replaced_and_the_reason_given),
        cmocka_unit_test(what_the_synthesizer_never_learned_is_replaced_by_something_alike),
        cmocka_unit_test(wishes_that_cannot_be_are_named),
        cmocka_unit_test(the_band_of_a_plan_is_obeyed),
        cmocka_unit_test(every_entry_carries_its_numbers),
        cmocka_unit_test(one_instrument_or_all_may_be_forced),
        cmocka_unit_test(what_plays_already_is_not_added_unless_it_is_dropped),
    };
    return cmocka_run_group_tests(tests, make, clear);
}
