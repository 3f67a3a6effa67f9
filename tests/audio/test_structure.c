#include "audio/structure.h"

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

/* Features of invented songs: every letter of a form is eight bars of its own chords, timbre and tune. */
enum { FRAMES_PER_BAR = 40, N_MFCC = 13, WIDTH = 12 + N_MFCC, MAX_BARS = 400 };
static const double BAR_S = 2, HOP_S = 0.05;

typedef struct song {
    float  *rows;   /* [n_frames, WIDTH] */
    double  downbeats[MAX_BARS], beats[4 * MAX_BARS];
    audio_sung_note notes[4 * MAX_BARS];
    int     n_bars, n_notes;
    int64_t n_frames;
} song;

static unsigned noise_state;
static double noise(void)
{
    noise_state = noise_state * 1664525u + 1013904223u;
    return noise_state / 4294967296.0 - 0.5;
}

static unsigned mixed(unsigned x)
{
    x = (x ^ x >> 16) * 0x7feb352du;
    x = (x ^ x >> 15) * 0x846ca68bu;
    return x ^ x >> 16;
}

/* A pitch class that bar `bar` of letter `letter` has at its eighth `eighth`. */
static int tune(char letter, int bar, int eighth)
{
    return (int)(mixed((unsigned)letter * 4096u + (unsigned)bar * 8u + (unsigned)eighth) % 12);
}

static double timbre(char letter, int k)
{
    return mixed((unsigned)letter * 31u + (unsigned)k) % 11 - 5.0;
}

static void compose(song *s, const char *form, int bars_each, double noise_level, int sung)
{
    *s = (song){ .n_bars = (int)strlen(form) * bars_each };
    noise_state = 7;
    s->n_frames = (int64_t)s->n_bars * FRAMES_PER_BAR;
    s->rows = calloc((size_t)s->n_frames * WIDTH, sizeof(float));
    for (int i = 0; i < s->n_bars; i++)
        s->downbeats[i] = i * BAR_S;
    for (int i = 0; i < 4 * s->n_bars; i++)
        s->beats[i] = i * BAR_S / 4;
    for (int64_t t = 0; t < s->n_frames; t++) {
        const int bar = (int)(t / FRAMES_PER_BAR), eighth = (int)(t % FRAMES_PER_BAR) * 8 / FRAMES_PER_BAR;
        const char letter = form[bar / bars_each];
        for (int p = 0; p < 12; p++)
            s->rows[t * WIDTH + p] = (float)((p == tune(letter, bar % bars_each, eighth)) + noise_level * noise());
        for (int k = 0; k < N_MFCC; k++)
            s->rows[t * WIDTH + 12 + k] = (float)(timbre(letter, k) + 4 * noise_level * noise());
    }
    for (int i = 0; i < 4 * s->n_bars && sung; i++)
        if (i % 16 != 15) /* a rest at the end of four bars */
            s->notes[s->n_notes++] = (audio_sung_note){ s->beats[i], s->beats[i] + 0.45,
                (float)(60 + tune(form[i / 4 / bars_each], i / 4 % bars_each, i % 4 * 2)), 90 };
}

static void release(song *s)
{
    free(s->rows);
}

static audio_structure_input input_of(const song *s)
{
    return (audio_structure_input){ .chroma = s->rows, .mfcc = s->rows + 12, .stride = WIDTH, .n_frames = s->n_frames, .n_mfcc = N_MFCC,
                                    .hop_s = HOP_S, .downbeats_s = s->downbeats, .n_downbeats = s->n_bars, .notes = s->notes,
                                    .n_notes = s->n_notes, .duration_s = s->n_bars * BAR_S };
}

static audio_sections sections_of(const song *s)
{
    const audio_structure_input in = input_of(s);
    audio_sections out;
    bl_error err = { 0 };
    if (audio_sections_find(&in, &out, &err) != BL_OK)
        fail_msg("%s", err.msg);
    return out;
}

/* "AABA" */
static void letters_of(const audio_sections *x, char *out)
{
    for (int i = 0; i < x->n; i++)
        out[i] = (char)('A' + x->sections[i].label);
    out[x->n] = '\0';
}

static void sections_that_return_have_one_label(void **state)
{
    static const char *const forms[] = { "ABABCB", "AABA", "ABCD", "ABACAB" };
    static song s;
    char found[64];
    (void)state;
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++)
        for (int sung = 0; sung < 2; sung++) {
            compose(&s, forms[f], 8, 0.4, sung);
            audio_sections x = sections_of(&s);
            letters_of(&x, found);
            assert_string_equal(found, forms[f]);
            for (int i = 0; i < x.n; i++)
                assert_true(fabs(x.sections[i].start_s - 8 * i * BAR_S) < 1e-9);
            audio_sections_free(&x);
            release(&s);
        }
}

static void sections_need_not_have_eight_bars(void **state)
{
    static song s;
    char found[64];
    (void)state;
    compose(&s, "ABABC", 12, 0.3, 1);
    audio_sections x = sections_of(&s);
    letters_of(&x, found);
    assert_string_equal(found, "ABABC");
    assert_true(fabs(x.sections[1].start_s - 12 * BAR_S) < 1e-9);
    audio_sections_free(&x);
    release(&s);
}

static void sections_cover_the_song_and_begin_on_downbeats(void **state)
{
    static song s;
    (void)state;
    compose(&s, "ABAC", 7, 3, 0);
    for (int i = 0; i < s.n_bars; i++) /* bars do not begin with the recording */
        s.downbeats[i] += 0.7;
    audio_sections x = sections_of(&s);
    assert_true(x.n >= 1);
    assert_true(x.sections[0].start_s == 0);
    assert_true(x.sections[x.n - 1].end_s == s.n_bars * BAR_S);
    for (int i = 1; i < x.n; i++) {
        int on_downbeat = 0;
        assert_true(x.sections[i].start_s == x.sections[i - 1].end_s);
        for (int k = 0; k < s.n_bars; k++)
            on_downbeat |= x.sections[i].start_s == s.downbeats[k];
        assert_true(on_downbeat);
    }
    audio_sections_free(&x);
    release(&s);
}

static void a_song_without_bars_or_shorter_than_one_is_one_section(void **state)
{
    static song s;
    (void)state;
    compose(&s, "A", 1, 0.2, 0);
    for (int n = 0; n < 2; n++) {
        audio_structure_input in = input_of(&s);
        in.n_downbeats = n;
        audio_sections x;
        bl_error err = { 0 };
        assert_int_equal(audio_sections_find(&in, &x, &err), BL_OK);
        assert_int_equal(x.n, 1);
        assert_true(x.sections[0].end_s == BAR_S);
        audio_sections_free(&x);
    }
    release(&s);
}

/* All bars alike (silence, too): no cut has a reason but the eight bars. */
static void a_song_without_change_has_one_label(void **state)
{
    static song s;
    (void)state;
    compose(&s, "A", 32, 0, 0);
    memset(s.rows, 0, (size_t)s.n_frames * WIDTH * sizeof(float));
    audio_sections x = sections_of(&s);
    for (int i = 0; i < x.n; i++)
        assert_true(x.sections[i].start_s < x.sections[i].end_s);
    audio_sections_free(&x);
    release(&s);
}

static void what_cannot_be_is_refused(void **state)
{
    static song s;
    audio_sections x;
    (void)state;
    compose(&s, "AB", 8, 0.2, 0);
    bl_error err = { 0 };
    audio_structure_input in = input_of(&s);
    in.duration_s = 0;
    assert_int_equal(audio_sections_find(&in, &x, &err), BL_EARG);
    assert_message(err, "0 s");
    err = (bl_error){ 0 };
    in = input_of(&s);
    s.downbeats[3] = s.downbeats[2];
    assert_int_equal(audio_sections_find(&in, &x, &err), BL_EARG);
    assert_message(err, "downbeat 4");
    err = (bl_error){ 0 };
    in.n_downbeats = 0;
    in.n_frames = 0;
    assert_int_equal(audio_sections_find(&in, &x, &err), BL_EARG);
    assert_null(x.sections);
    release(&s);
}

static void phrases_end_where_the_singer_rests(void **state)
{
    const audio_sung_note notes[] = { { 1, 1.5f, 60, 90 }, { 1.6, 2, 62, 90 }, { 2.1, 3, 64, 90 },  /* rest of 0.7 s */
                                      { 3.7, 4, 60, 90 }, { 4.4, 5, 60, 90 } };                     /* of 0.4 s      */
    audio_phrases x;
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(audio_phrases_find(notes, 5, 0, &x, &err), BL_OK);
    assert_int_equal(x.n, 2);
    assert_true(x.phrases[0].start_s == 1 && x.phrases[0].end_s == 3);
    assert_true(x.phrases[1].start_s == 3.7 && x.phrases[1].end_s == 5);
    audio_phrases_free(&x);
    assert_int_equal(audio_phrases_find(notes, 5, 0.3, &x, &err), BL_OK);
    assert_int_equal(x.n, 3);
    audio_phrases_free(&x);
    assert_int_equal(audio_phrases_find(NULL, 0, 0, &x, &err), BL_OK);
    assert_int_equal(x.n, 0);
    audio_phrases_free(&x);
}

/* Nobody sings for 16 s in one breath. */
static void a_phrase_longer_than_a_breath_is_parted_at_its_widest_rest(void **state)
{
    audio_sung_note notes[32];
    audio_phrases x;
    bl_error err = { 0 };
    (void)state;
    for (int i = 0; i < 32; i++)
        notes[i] = (audio_sung_note){ 0.5 * i, 0.5 * i + (i == 14 ? 0.15 : 0.45), 60, 90 };
    assert_int_equal(audio_phrases_find(notes, 32, 0, &x, &err), BL_OK);
    assert_int_equal(x.n, 2);
    assert_true(x.phrases[1].start_s == 7.5);
    audio_phrases_free(&x);
    notes[3].onset_s = 9;
    assert_int_equal(audio_phrases_find(notes, 32, 0, &x, &err), BL_EARG);
    assert_message(err, "sung note 5");
}

static void labels_have_letters(void **state)
{
    char text[8];
    (void)state;
    audio_section_letter(0, text);
    assert_string_equal(text, "A");
    audio_section_letter(25, text);
    assert_string_equal(text, "Z");
    audio_section_letter(26, text);
    assert_string_equal(text, "AA");
    audio_section_letter(26 * 27, text);
    assert_string_equal(text, "AAA");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_that_return_have_one_label),
        cmocka_unit_test(sections_need_not_have_eight_bars),
        cmocka_unit_test(sections_cover_the_song_and_begin_on_downbeats),
        cmocka_unit_test(a_song_without_bars_or_shorter_than_one_is_one_section),
        cmocka_unit_test(a_song_without_change_has_one_label),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(phrases_end_where_the_singer_rests),
        cmocka_unit_test(a_phrase_longer_than_a_breath_is_parted_at_its_widest_rest),
        cmocka_unit_test(labels_have_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
