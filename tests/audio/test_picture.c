#include "tests/temporary.h"

#include "audio/canvas.h"
#include "audio/picture.h"

#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/message.h"

static audio_clip tone(double hz, double seconds, int rate)
{
    audio_clip clip;
    int64_t n = (int64_t)(seconds * rate);
    assert_int_equal(audio_clip_new(&clip, 1, n < 1 ? 1 : n, rate, NULL), BL_OK);
    for (int64_t i = 0; i < clip.n_samples; i++)
        clip.samples[i] = (float)(0.5 * sin(2 * 3.14159265358979323846 * hz * (double)i / rate));
    return clip;
}

/* A PNG of this size; 0: any. */
static void assert_png(const char *path, unsigned width, unsigned height)
{
    char *data;
    size_t n;
    assert_int_equal(bl_read_file(path, (size_t)1 << 26, &data, &n, NULL), BL_OK);
    const unsigned char *b = (const unsigned char *)data;
    assert_true(n > 60);
    assert_memory_equal(b, "\x89PNG\r\n\x1a\n", 8);
    assert_memory_equal(b + n - 8, "IEND\xAE\x42\x60\x82", 8);
    assert_true(width == 0 || ((unsigned)b[18] << 8 | b[19]) == width);
    assert_true(height == 0 || ((unsigned)b[22] << 8 | b[23]) == height);
    free(data);
}

static void spectrograms_are_drawn_for_one_sample_and_for_ten_minutes(void **state)
{
    static const double seconds[] = { 0, 0.003, 0.4, 600 };
    const char *path = temporary_path("a.png");
    (void)state;
    for (int k = 0; k < 4; k++)
        for (int a = 0; a < 3; a++) {
            audio_clip clip = tone(500, seconds[k], 8000);
            bl_error err = { 0 };
            const audio_picture_config config = { .title = "a title", .axis = (audio_frequency_axis)a, .width = 300, .panel_height = 100 };
            assert_int_equal(audio_picture_spectrograms(path, &(audio_panel){ .clip = &clip }, 1, &config, &err), BL_OK);
            assert_png(path, 0, 0);
            audio_clip_free(&clip);
        }
    unlink(path);
}

static void panels_of_different_rates_and_lengths_stack_with_overlays(void **state)
{
    audio_clip a = tone(440, 1.5, 44100), b = tone(200, 0.5, 8000), quiet = tone(0, 1, 22050);
    const double line_s[] = { -1, 0, 0.5, 1, 99 }, line_hz[] = { 440, 440, 0, 440, 1e9 }, marks[] = { -3, 0.25, 0.75, 1e9 };
    const audio_panel panels[] = {
        { .clip = &a, .title = "real \xC3\xA9t\xC3\xA9", .line_s = line_s, .line_hz = line_hz, .n_line = 5, .mark_s = marks, .n_marks = 4 },
        { .clip = &b, .title = "a title far too long for the width of this picture, which is cut at the edge of the picture" },
        { .clip = &quiet },
    };
    const char *path = temporary_path("b.png");
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(audio_picture_spectrograms(path, panels, 3, NULL, &err), BL_OK);
    assert_png(path, 1160, 0);
    unlink(path);
    audio_clip_free(&a);
    audio_clip_free(&b);
    audio_clip_free(&quiet);
}

static void line_plots_are_drawn_from_any_values(void **state)
{
    enum { N = 3000 };
    static double y[N], strange[6] = { NAN, 1, INFINITY, -1, 0, 1e300 }, same[3] = { 7, 7, 7 };
    const char *path = temporary_path("c.png");
    (void)state;
    for (int i = 0; i < N; i++)
        y[i] = 5 * exp(-i / 700.0) + 0.01;
    const audio_curve sets[][2] = {
        { { "training", NULL, y, N }, { "held out", NULL, strange, 6 } },
        { { "same", NULL, same, 3 }, { "empty", NULL, NULL, 0 } },
        { { "nothing yet", NULL, NULL, 0 }, { NULL, NULL, NULL, 0 } },
        { { "one", NULL, y, 1 }, { NULL, NULL, strange, 1 } },
    };
    for (int k = 0; k < 4; k++)
        for (int log_y = 0; log_y < 2; log_y++) {
            bl_error err = { 0 };
            const audio_plot_config config = { "loss", "step", "loss", 640, 320, log_y };
            assert_int_equal(audio_plot_lines(path, sets[k], 2, &config, &err), BL_OK);
            assert_png(path, 640, 320);
        }
    unlink(path);
}

/* The panel's top left corner, as laid out in audio/picture.c when the picture has no title. */
enum { PANEL_X = 76, PANEL_Y = 34 };

static void a_tone_is_brightest_at_its_frequency_and_silence_is_dark(void **state)
{
    enum { W = 64, H = 400 };
    const audio_picture_config config = { .axis = AUDIO_AXIS_LINEAR, .fmin_hz = 1, .fmax_hz = 4000, .width = W, .panel_height = H };
    const char *path = temporary_path("d.png");
    (void)state;
    for (int silent = 0; silent < 2; silent++) {
        audio_clip clip = tone(silent ? 0 : 1000, 1, 8000);
        bl_error err = { 0 };
        assert_int_equal(audio_picture_spectrograms(path, &(audio_panel){ .clip = &clip }, 1, &config, &err), BL_OK);

        png_image image = { .version = PNG_IMAGE_VERSION };
        assert_true(png_image_begin_read_from_file(&image, path));
        image.format = PNG_FORMAT_RGB;
        unsigned char *rgb = malloc(PNG_IMAGE_SIZE(image));
        assert_true(png_image_finish_read(&image, NULL, rgb, 0, NULL));
        int brightest = 0, most = -1;
        for (int r = 0; r < H; r++) {
            const unsigned char *p = rgb + 3 * ((size_t)(PANEL_Y + r) * image.width + PANEL_X + W / 2);
            const int sum = p[0] + p[1] + p[2];
            brightest = sum > most ? r : brightest;
            most = sum > most ? sum : most;
        }
        if (silent)
            assert_true(most < 30);
        else
            assert_true(most > 600 && abs(brightest - H * 3 / 4) <= 2);
        free(rgb);
        audio_clip_free(&clip);
    }
    unlink(path);
}

static void canvas_clips_and_blends(void **state)
{
    audio_canvas c;
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(audio_canvas_new(&c, 20, 10, 0x000000, &err), BL_OK);
    audio_canvas_rect(&c, -5, -5, 7, 7, 0xFF8000, 1);
    assert_int_equal(c.rgb[3 * 1], 0xFF);          /* x = 1, y = 0 */
    assert_int_equal(c.rgb[3 * 2], 0);
    audio_canvas_rect(&c, 18, 8, 100, 100, 0xFFFFFF, 0.5);
    assert_int_equal(c.rgb[3 * (9 * 20 + 19)], 128);
    audio_canvas_line(&c, -1e6, -1e6, 1e6, 1e6, 1, 0x00FF00);
    audio_canvas_line(&c, NAN, 0, 5, INFINITY, 1, 0x00FF00);
    audio_canvas_text(&c, 15, 5, 3, 0xFFFFFF, "clipped");
    audio_canvas_text_up(&c, -3, 4, 1, 0xFFFFFF, "\xFF\x80g");
    audio_canvas_pixel(&c, -1, 100, 0xFFFFFF, 1);
    assert_int_equal(audio_canvas_text_width("abc", 2), 34);
    assert_int_equal(audio_canvas_text_width("\xC3\xA9", 1), 5);
    assert_int_equal(audio_canvas_text_width("", 1), 0);
    audio_canvas_free(&c);
    assert_int_equal(audio_canvas_new(&c, 0, 10, 0, &err), BL_EARG);
    assert_message(err, "1 .. 16384 pixels");
    audio_canvas_free(&c);
}

static void what_cannot_be_drawn_is_refused_and_leaves_nothing(void **state)
{
    audio_clip clip = tone(440, 0.1, 8000), none = { .n_channels = 1, .sample_rate = 8000 };
    const audio_panel good = { .clip = &clip }, empty = { .clip = &none };
    const struct { const char *path; const audio_panel *panel; int n; audio_picture_config config; const char *says; } cases[] = {
        { temporary_path("x.png"), &good, 0, { 0 }, "expected 1 to 16 panels, got 0" },
        { temporary_path("x.png"), &empty, 1, { 0 }, "panel 1 of the picture has no samples" },
        { temporary_path("x.png"), &good, 1, { .width = 100000 }, "1 .. 16384 pixels" },
        { temporary_path("x.png"), &good, 1, { .fmin_hz = 9000 }, "fmin < fmax" },
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        bl_error err = { 0 };
        assert_int_equal(audio_picture_spectrograms(cases[k].path, cases[k].panel, cases[k].n, &cases[k].config, &err), BL_EARG);
        assert_message(err, "x.png: ");
        assert_message(err, cases[k].says);
    }
    bl_error err = { 0 };
    assert_int_equal(audio_picture_spectrograms(temporary_path("no/such/x.png"), &good, 1, NULL, &err), BL_EIO);
    assert_message(err, "no/such/x.png: cannot write");
    bl_error_clear(&err);
    assert_int_equal(audio_plot_lines(temporary_path("no/such/x.png"), &(audio_curve){ 0 }, 1, NULL, &err), BL_EIO);
    bl_error_clear(&err);
    assert_int_equal(audio_plot_lines(temporary_path("x.png"), NULL, 0, NULL, &err), BL_EARG);
    assert_int_equal(temporary_count(), 0);
    audio_clip_free(&clip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spectrograms_are_drawn_for_one_sample_and_for_ten_minutes),
        cmocka_unit_test(panels_of_different_rates_and_lengths_stack_with_overlays),
        cmocka_unit_test(line_plots_are_drawn_from_any_values),
        cmocka_unit_test(a_tone_is_brightest_at_its_frequency_and_silence_is_dark),
        cmocka_unit_test(canvas_clips_and_blends),
        cmocka_unit_test(what_cannot_be_drawn_is_refused_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
