/* The sound font player: notes start where they should, are in tune, and add up. Skipped where the font of
 * Debian's fluid-soundfont-gm is not installed. */
#include "base/fft.h"
#include "base/file.h"
#include "data/soundfont.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SR = 44100 };

static data_soundfont *font;

static int open_font(void **state)
{
    bl_error err = { 0 };
    (void)state;
    if (bl_is_file(DATA_SOUNDFONT_PATH))
        font = data_soundfont_new(DATA_SOUNDFONT_PATH, SR, &err);
    return err.code != BL_OK;
}

static int close_font(void **state)
{
    (void)state;
    data_soundfont_free(font);
    return 0;
}

#define NEED_FONT() \
    if (!font)      \
        skip()

static float *render(const music_track *track, int64_t n)
{
    bl_error err = { 0 };
    float *out = calloc((size_t)n, sizeof *out);
    assert_non_null(out);
    assert_int_equal(data_soundfont_render(font, track, NULL, n, out, &err), BL_OK);
    return out;
}

static int64_t first_sound(const float *x, int64_t n)
{
    float peak = 0;
    int64_t t = 0;
    for (int64_t i = 0; i < n; i++)
        peak = fmaxf(peak, fabsf(x[i]));
    while (t < n && fabsf(x[t]) <= 0.003f * peak)
        t++;
    return t;
}

static void a_note_starts_at_its_onset(void **state)
{
    /* Sharp attacks of the font: electric piano, a tom, a closed hi-hat (other samples begin with a little
     * silence). Onsets off the 64-sample grid. */
    static const struct { int program, drums, pitch; } cases[] = { { 4, 0, 60 }, { 4, 0, 45 }, { 0, 1, 47 }, { 0, 1, 42 } };
    static const double onsets[] = { 0, 0.1, 0.2503, 0.50071 };
    (void)state;
    NEED_FONT();
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++)
        for (size_t o = 0; o < 4; o++) {
            music_note note = { onsets[o], onsets[o] + 0.3, cases[c].pitch, 100 };
            music_track track = { .name = "x", .program = cases[c].program, .is_drums = cases[c].drums, .notes = &note, .n_notes = 1, .capacity = 1 };
            float *x = render(&track, SR);
            const int64_t start = llround(onsets[o] * SR), heard = first_sound(x, SR);
            for (int64_t t = 0; t < start; t++)
                assert_true(x[t] == 0);
            assert_in_range(heard, start, start + SR * 2 / 1000);
            free(x);
        }
}

static void a4_is_440_hz(void **state)
{
    enum { N = 1 << 16 };
    static const int programs[] = { 0, 25, 27, 33, 56 };
    bl_error err = { 0 };
    bl_fft *fft = bl_fft_new(N, &err);
    float *spectrum = malloc((N + 2) * sizeof *spectrum);
    (void)state;
    assert_non_null(fft);
    assert_non_null(spectrum);
    if (!font) {
        bl_fft_free(fft);
        free(spectrum);
        skip();
    }
    for (size_t p = 0; p < sizeof programs / sizeof programs[0]; p++) {
        music_note note = { 0, 2, 69, 100 };
        music_track track = { .name = "x", .program = programs[p], .is_drums = 0, .notes = &note, .n_notes = 1, .capacity = 1 };
        float *x = render(&track, SR / 10 + N);
        double level[3];
        int best = 0;
        for (int i = 0; i < N; i++)
            x[SR / 10 + i] *= (float)(0.5 - 0.5 * cos(2 * 3.14159265358979 * i / N));
        bl_fft_forward(fft, x + SR / 10, spectrum);
        for (int k = 400 * N / SR; k < 480 * N / SR; k++)
            if (hypotf(spectrum[2 * k], spectrum[2 * k + 1]) > hypotf(spectrum[2 * best], spectrum[2 * best + 1]) || best == 0)
                best = k;
        for (int d = -1; d <= 1; d++)
            level[d + 1] = log((double)hypotf(spectrum[2 * (best + d)], spectrum[2 * (best + d) + 1]));
        const double shift = 0.5 * (level[0] - level[2]) / (level[0] - 2 * level[1] + level[2]);
        const double cents = 1200 * log2((best + shift) * SR / N / 440);
        assert_true(fabs(cents) < 5);
        free(x);
    }
    bl_fft_free(fft);
    free(spectrum);
}

static void a_track_is_the_sum_of_its_notes(void **state)
{
    music_note notes[] = { { 0.1, 0.6, 60, 90 }, { 0.1, 0.6, 64, 80 }, { 0.3071, 0.9, 67, 100 } };
    music_track all = { .name = "piano", .program = 0, .is_drums = 0, .notes = notes, .n_notes = 3, .capacity = 3 };
    float *together, *apart[3];
    (void)state;
    NEED_FONT();
    together = render(&all, SR);
    for (int i = 0; i < 3; i++) {
        music_track one = { .name = "piano", .program = 0, .is_drums = 0, .notes = &notes[i], .n_notes = 1, .capacity = 1 };
        apart[i] = render(&one, SR);
    }
    for (int t = 0; t < SR; t++)
        assert_true(fabsf(together[t] - (apart[0][t] + apart[1][t] + apart[2][t])) < 1e-6f);
    free(together);
    for (int i = 0; i < 3; i++)
        free(apart[i]);
}

static void what_was_played_before_does_not_matter(void **state)
{
    music_note busy[] = { { 0, 3, 40, 127 }, { 0.01, 3, 47, 127 }, { 0.02, 3, 52, 127 } }, note = { 0.05, 0.4, 69, 70 };
    music_track before = { .name = "x", .program = 30, .is_drums = 0, .notes = busy, .n_notes = 3, .capacity = 3 }, track = { .name = "x", .program = 65, .is_drums = 0, .notes = &note, .n_notes = 1, .capacity = 1 };
    float *first, *second;
    (void)state;
    NEED_FONT();
    first = render(&track, SR);
    free(render(&before, SR / 2)); /* cut off while ringing */
    second = render(&track, SR);
    assert_memory_equal(first, second, SR * sizeof *first);
    free(first);
    free(second);
}

static void a_closed_hi_hat_stops_the_open_one(void **state)
{
    music_note notes[] = { { 0, 0.1, 46, 110 }, { 0.2, 0.3, 42, 30 } };
    music_track both = { .name = "drums", .program = 0, .is_drums = 1, .notes = notes, .n_notes = 2, .capacity = 2 }, closed = { .name = "drums", .program = 0, .is_drums = 1, .notes = notes + 1, .n_notes = 1, .capacity = 1 };
    float *x, *y;
    (void)state;
    NEED_FONT();
    x = render(&both, SR);
    y = render(&closed, SR);
    for (int t = SR / 5 + 300; t < SR; t++)
        assert_true(x[t] == y[t]);
    free(x);
    free(y);
}

static void bad_fonts_are_refused(void **state)
{
    bl_error err = { 0 };
    (void)state;
    assert_null(data_soundfont_new("tests/no_such_file.sf2", SR, &err));
    assert_int_equal(err.code, BL_EIO);
    assert_non_null(strstr(err.msg, "no_such_file.sf2"));
    bl_error_clear(&err);
    assert_null(data_soundfont_new("Makefile", SR, &err));
    assert_int_equal(err.code, BL_EFORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_note_starts_at_its_onset),
        cmocka_unit_test(a4_is_440_hz),
        cmocka_unit_test(a_track_is_the_sum_of_its_notes),
        cmocka_unit_test(what_was_played_before_does_not_matter),
        cmocka_unit_test(a_closed_hi_hat_stops_the_open_one),
        cmocka_unit_test(bad_fonts_are_refused),
    };
    return cmocka_run_group_tests(tests, open_font, close_font);
}
