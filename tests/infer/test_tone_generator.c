#include "tests/temporary.h"

#include "infer/tone_generator.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/infer/models.h"
#include "tests/message.h"

enum { RATE = 24000, N = 6 * RATE };

static infer_tone_generator *generator(void)
{
    bl_error err = { 0 };
    infer_tone_generator *g = infer_tone_generator_load(temporary_path("wavegan.h5"), &err);
    if (!g)
        fail_msg("%s", err.msg);
    return g;
}

static int make(void **state)
{
    if (temporary_make(state) != 0)
        return -1;
    models_make_synthesizer(temporary_folder);
    return 0;
}

static music_track track_of(const char *name, music_note *notes, int n)
{
    music_track t = { .is_drums = !strcmp(name, "drums"), .notes = notes, .n_notes = n };
    snprintf(t.name, sizeof t.name, "%s", name);
    return t;
}

static float *stem_of(infer_tone_generator *g, const music_track *track, uint64_t seed, infer_tone_figures *figures)
{
    bl_error err = { 0 };
    const infer_tones in = { .track = track, .genre = "rock", .seed = seed, .quiet = 1 };
    float *stem = calloc(N, sizeof *stem);
    if (infer_tone_generator_run(g, &in, stem, N, figures, &err) != BL_OK)
        fail_msg("%s", err.msg);
    return stem;
}

static double power(const float *x, double from_s, double to_s)
{
    double sum = 0;
    for (int64_t i = (int64_t)(from_s * RATE); i < (int64_t)(to_s * RATE); i++)
        sum += (double)x[i] * (double)x[i];
    return sum / ((to_s - from_s) * RATE);
}

static void a_note_sounds_where_it_stands_and_nowhere_else(void **state)
{
    (void)state;
    infer_tone_generator *g = generator();
    music_note note = { 2, 3, 57, 100 };
    const music_track track = track_of("electric guitar", &note, 1);
    float *stem = stem_of(g, &track, 1, NULL);
    assert_true(power(stem, 0, 1.9) == 0);
    assert_true(power(stem, 2.1, 2.9) > 0);
    assert_true(power(stem, 3.5, 6) < 1e-3 * power(stem, 2.1, 2.9));
    free(stem);
    infer_tone_generator_free(g);
}

static void the_same_notes_give_the_same_bytes_at_any_thread_count(void **state)
{
    (void)state;
    music_note notes[] = { { 0.5, 1, 45, 90 }, { 0.5, 1, 52, 90 }, { 1, 1.4, 45, 70 }, { 2, 4, 57, 110 } };
    const music_track track = track_of("electric guitar", notes, 4);
    const int threads = omp_get_max_threads();
    float *first = NULL;
    for (int n = 1; n <= 3; n++) {
        omp_set_num_threads(n);
        infer_tone_generator *g = generator();
        float *stem = stem_of(g, &track, 1, NULL);
        if (first)
            assert_memory_equal(first, stem, N * sizeof *stem);
        else
            first = stem;
        if (stem != first)
            free(stem);
        infer_tone_generator_free(g);
    }
    omp_set_num_threads(threads);
    infer_tone_generator *g = generator();
    float *other = stem_of(g, &track, 2, NULL);
    assert_memory_not_equal(first, other, N * sizeof *other);
    free(other);
    free(first);
    infer_tone_generator_free(g);
}

static void repeated_notes_take_turns_and_share_tones(void **state)
{
    (void)state;
    infer_tone_generator *g = generator();
    music_note notes[12];
    for (int i = 0; i < 12; i++)
        notes[i] = (music_note){ 0.25 + 0.4 * i, 0.45 + 0.4 * i, 40, 100 };
    music_track track = track_of("electric guitar", notes, 12);
    infer_tone_figures f;
    float *stem = stem_of(g, &track, 1, &f);
    assert_int_equal(f.n_notes, 12);
    assert_true(f.n_tones >= 2 && f.n_tones <= 3);
    /* neighbours differ, the one after is the same again */
    const int64_t a = (int64_t)(0.25 * RATE), step = (int64_t)(0.4 * RATE), m = (int64_t)(0.2 * RATE);
    assert_memory_not_equal(stem + a + step, stem + a + 2 * step, (size_t)m * sizeof *stem);
    assert_memory_equal(stem + a + 2 * step, stem + a + 4 * step, (size_t)m * sizeof *stem);
    free(stem);
    infer_tone_generator_free(g);
}

static void an_edit_in_one_bar_leaves_the_others_alone(void **state)
{
    (void)state;
    infer_tone_generator *g = generator();
    music_note notes[16];
    const double bars[] = { 0, 2, 4 };
    for (int i = 0; i < 12; i++)
        notes[i] = (music_note){ 0.1 + 0.5 * i, 0.4 + 0.5 * i, 40, 100 };
    music_track track = track_of("electric guitar", notes, 12);
    infer_tones in = { .track = &track, .genre = "rock", .seed = 1, .quiet = 1, .bars_s = bars, .n_bars = 3 };
    bl_error err = { 0 };
    float *a = calloc(N, sizeof *a), *b = calloc(N, sizeof *b);
    assert_int_equal(infer_tone_generator_run(g, &in, a, N, NULL, &err), BL_OK);
    /* one stroke less in the second bar, and one of another pitch */
    memmove(&notes[5], &notes[6], 6 * sizeof *notes);
    track.n_notes = 11;
    notes[5].pitch = 52;
    assert_int_equal(infer_tone_generator_run(g, &in, b, N, NULL, &err), BL_OK);
    assert_memory_equal(a, b, (size_t)(2.0 * RATE) * sizeof *a);
    assert_memory_not_equal(a + 2 * RATE, b + 2 * RATE, RATE * sizeof *a);
    assert_memory_equal(a + (int)(5.0 * RATE), b + (int)(5.0 * RATE), (size_t)(0.9 * RATE) * sizeof *a);
    free(a);
    free(b);
    infer_tone_generator_free(g);
}

/* Whatever the number of strokes in a bar, no two that follow each other are the same tone. */
static void no_stroke_is_a_copy_of_the_one_before(void **state)
{
    (void)state;
    infer_tone_generator *g = generator();
    const double bars[] = { 0, 2, 4 };
    static const char *const names[] = { "drums", "electric guitar" };
    for (int k = 0; k < 2; k++)
        for (int n = 1; n <= 4; n++) { /* strokes in the first bar */
            music_note notes[8];
            int count = 0;
            for (int i = 0; i < n; i++, count++)
                notes[count] = (music_note){ 0.2 + 0.45 * i, 0.5 + 0.45 * i, 38 + 2 * k, 96 };
            for (int i = 0; i < 3; i++, count++)
                notes[count] = (music_note){ 2.2 + 0.45 * i, 2.5 + 0.45 * i, 38 + 2 * k, 96 };
            music_track track = track_of(names[k], notes, count);
            infer_tones in = { .track = &track, .genre = "rock", .seed = 1, .quiet = 1, .bars_s = bars, .n_bars = 3 };
            bl_error err = { 0 };
            float *x = calloc(N, sizeof *x);
            assert_int_equal(infer_tone_generator_run(g, &in, x, N, NULL, &err), BL_OK);
            const int64_t length = (int64_t)(0.05 * RATE);
            for (int i = 0; i + 1 < count; i++) {
                const int64_t p = llround((notes[i].onset_s + 0.02) * RATE), q = llround((notes[i + 1].onset_s + 0.02) * RATE);
                double difference = 0;
                for (int64_t s = 0; s < length; s++)
                    difference += fabs((double)x[p + s] - (double)x[q + s]);
                if (k == 1 || i == n - 1) /* drums ring into each other */
                    assert_true(difference > 0);
            }
            free(x);
        }
    infer_tone_generator_free(g);
}

static void tones_from_the_cache_are_the_tones_that_would_be_made(void **state)
{
    (void)state;
    bl_error err = { 0 };
    infer_cache *cache = infer_cache_open(temporary_path("cache"), &err);
    music_note notes[] = { { 0.5, 1, 45, 90 }, { 0.5, 1, 52, 90 }, { 1, 1.4, 45, 70 }, { 2, 4, 57, 110 } };
    music_track track = track_of("electric guitar", notes, 4);
    infer_tones in = { .track = &track, .genre = "rock", .seed = 1, .quiet = 1 };
    float *stems[3];
    for (int i = 0; i < 3; i++) { /* without, filling it, from it */
        infer_tone_generator *g = generator();
        in.cache = i ? cache : NULL;
        stems[i] = calloc(N, sizeof *stems[i]);
        assert_int_equal(infer_tone_generator_run(g, &in, stems[i], N, NULL, &err), BL_OK);
        infer_tone_generator_free(g);
        assert_memory_equal(stems[0], stems[i], N * sizeof *stems[0]);
    }
    int64_t found, kept;
    infer_cache_figures(cache, &found, &kept);
    assert_true(kept >= 4 && found == kept);
    for (int i = 0; i < 3; i++)
        free(stems[i]);
    infer_cache_close(cache);
}

static int remove_all(void **state)
{
    char line[BL_PATH_MAX + 32];
    snprintf(line, sizeof line, "rm -rf \"%s\"", temporary_path("cache"));
    return system(line) || temporary_remove(state);
}

static void a_tone_is_cut_to_its_length_in_phase(void **state)
{
    (void)state;
    bl_error err = { 0 };
    const double hz = 220, seconds = 1, pi2 = 2 * 3.14159265358979323846;
    const int64_t n = (int64_t)(1.3 * RATE);
    float *x = calloc((size_t)n, sizeof *x), *out;
    for (int64_t i = 0; i < n; i++) { /* decays while held, falls fast after the note-off */
        const double t = (double)i / RATE;
        x[i] = (float)(sin(pi2 * hz * t) * exp(-t) * (t > seconds ? exp(-20 * (t - seconds)) : 1));
    }
    for (double wanted = 0.2; wanted <= 1; wanted += 0.0837) {
        int64_t n_out;
        assert_int_equal(infer_tone_cut(x, n, RATE, seconds, wanted, 1 / hz, &out, &n_out, &err), BL_OK);
        assert_true(llabs(n_out - (n - (int64_t)((seconds - wanted) * RATE))) <= RATE / (int64_t)hz);
        for (int64_t i = 0; i < (int64_t)((wanted - 0.02) * RATE); i++)
            assert_true(out[i] == x[i]);
        /* the model's own release, at the level reached: as the tone would have been made */
        double worst = 0;
        for (int64_t i = 0; i < n_out; i++) {
            const double t = (double)i / RATE;
            const double ideal = sin(pi2 * hz * t) * exp(-t) * (t > wanted ? exp(-20 * (t - wanted)) : 1);
            worst = fmax(worst, fabs((double)out[i] - ideal));
        }
        assert_true(worst < 0.08);
        free(out);
    }
    int64_t n_out;
    assert_int_equal(infer_tone_cut(x, RATE / 10, RATE, seconds, 0.5, 1 / hz, &out, &n_out, &err), BL_OK);
    assert_int_equal(n_out, RATE / 10); /* it had decayed long before: nothing to cut */
    free(out);
    free(x);
}

static void latency_is_where_the_attack_is(void **state)
{
    (void)state;
    float *x = calloc(RATE, sizeof *x);
    assert_true(infer_tone_latency(x, RATE, RATE) == 0);
    for (int late_ms = 0; late_ms <= 60; late_ms += 10) {
        for (int i = 0; i < RATE; i++) {
            const double t = i / (double)RATE - late_ms * 1e-3;
            x[i] = (float)(t > 0 ? sin(2000 * t) * fmin(1, t / 0.002) : 0.001 * sin(900 * t));
        }
        assert_true(fabs(infer_tone_latency(x, RATE, RATE) - late_ms * 1e-3) < 0.003);
    }
    free(x);
}

static void an_open_hi_hat_is_choked_and_a_bass_plays_one_note(void **state)
{
    (void)state;
    infer_tone_generator *g = generator();
    music_note both[] = { { 1, 1.1, 46, 110 }, { 1.3, 1.4, 44, 30 } };
    music_track track = track_of("drums", both, 2);
    float *choked = stem_of(g, &track, 1, NULL);
    track.n_notes = 1;
    float *open = stem_of(g, &track, 1, NULL);
    int64_t difference = 0;
    while (difference < N && choked[difference] == open[difference])
        difference++;
    assert_true(difference >= (int64_t)(1.2 * RATE) && difference < (int64_t)(1.31 * RATE));
    free(choked);
    free(open);
    music_note line[] = { { 1, 3, 33, 100 }, { 2, 2.2, 38, 100 } };
    track = track_of("bass", line, 2);
    float *legato = stem_of(g, &track, 1, NULL);
    track.n_notes = 1;
    float *held = stem_of(g, &track, 1, NULL);
    assert_true(power(held, 2.7, 2.9) > 0);
    assert_true(power(legato, 2.7, 2.9) < 1e-3 * power(held, 2.7, 2.9)); /* the second note took the first one's place */
    free(legato);
    free(held);
    infer_tone_generator_free(g);
}

static void notes_at_the_edges_are_cut_not_lost(void **state)
{
    (void)state;
    infer_tone_generator *g = generator();
    music_note notes[] = { { 0, 0.4, 45, 100 }, { 5.9, 9, 45, 100 }, { 7, 8, 45, 100 } };
    const music_track track = track_of("electric guitar", notes, 3);
    float *stem = stem_of(g, &track, 1, NULL);
    assert_true(power(stem, 0, 0.4) > 0);
    assert_true(power(stem, 5.9, 6) > 0);
    free(stem);
    infer_tone_generator_free(g);
}

static void what_was_never_learned_is_an_error(void **state)
{
    (void)state;
    bl_error err = { 0 };
    infer_tone_generator *g = generator();
    music_note note = { 0, 1, 60, 90 };
    const music_track track = track_of("flute", &note, 1);
    float *stem = calloc(N, sizeof *stem);
    assert_int_equal(infer_tone_generator_run(g, &(infer_tones){ .track = &track, .genre = "rock", .quiet = 1 }, stem, N, NULL, &err), BL_EARG);
    assert_message(err, "flute");
    free(stem);
    infer_tone_generator_free(g);
    err = (bl_error){ 0 };
    assert_null(infer_tone_generator_load(temporary_path("none.h5"), &err));
    assert_message(err, "none.h5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_note_sounds_where_it_stands_and_nowhere_else),
        cmocka_unit_test(the_same_notes_give_the_same_bytes_at_any_thread_count),
        cmocka_unit_test(repeated_notes_take_turns_and_share_tones),
        cmocka_unit_test(an_edit_in_one_bar_leaves_the_others_alone),
        cmocka_unit_test(no_stroke_is_a_copy_of_the_one_before),
        cmocka_unit_test(tones_from_the_cache_are_the_tones_that_would_be_made),
        cmocka_unit_test(a_tone_is_cut_to_its_length_in_phase),
        cmocka_unit_test(latency_is_where_the_attack_is),
        cmocka_unit_test(an_open_hi_hat_is_choked_and_a_bass_plays_one_note),
        cmocka_unit_test(notes_at_the_edges_are_cut_not_lost),
        cmocka_unit_test(what_was_never_learned_is_an_error),
    };
    return cmocka_run_group_tests(tests, make, remove_all);
}
