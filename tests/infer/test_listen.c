/* bin/listen on whatever people may give it, with the models that ship: no crash, nothing absurd, one clear answer. BIN names
 * the folder of the programs (tests/run.sh sets it). */
#include "tests/temporary.h"

#include "audio/soundfile.h"
#include "base/rng.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

static const double pi = 3.14159265358979323846;
static char output[1 << 14];

/* Programs look for models and configs here and beside themselves; with the sanitizers they lie elsewhere. */
static int make_here(void **state)
{
    static const char *const shipped[] = { "configs", "models", "data" };
    char here[BL_PATH_MAX], target[BL_PATH_MAX];
    if (temporary_make(state) != 0 || !getcwd(here, sizeof here))
        return -1;
    for (int i = 0; i < 3; i++)
        if (bl_path_join(target, here, shipped[i], NULL) != BL_OK || symlink(target, temporary_path(shipped[i])) != 0)
            return -1;
    return 0;
}

static int run(const char *arguments)
{
    char line[4 * BL_PATH_MAX], here[BL_PATH_MAX];
    const char *bin = getenv("BIN");
    bin = bin && *bin ? bin : "bin";
    snprintf(line, sizeof line, "cd %s && %s%s%s/listen %s > log 2>&1 < /dev/null", temporary_folder,
             *bin == '/' ? "" : getcwd(here, sizeof here), *bin == '/' ? "" : "/", bin, arguments);
    const int status = system(line);
    FILE *f = fopen(temporary_path("log"), "r");
    output[f ? fread(output, 1, sizeof output - 1, f) : 0] = '\0';
    if (f)
        fclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

/* The report on a sound; every list in it must hold together. */
static json_t *heard(const char *name, const audio_clip *clip, const char *options)
{
    char arguments[512];
    bl_error err = { 0 };
    json_error_t why;
    json_t *item;
    size_t i;
    double last = 0;
    if (audio_write(temporary_path(name), clip, AUDIO_ENCODING_FLOAT, &err) != BL_OK)
        fail_msg("%s", err.msg);
    snprintf(arguments, sizeof arguments, "%s --report report.json --quiet %s", name, options);
    if (run(arguments) != 0)
        fail_msg("listen %s: %s", arguments, output);
    json_t *report = json_load_file(temporary_path("report.json"), 0, &why);
    if (!report)
        fail_msg("%s: %s", name, why.text);
    json_array_foreach(json_object_get(report, "sections"), i, item) {
        assert_true(fabs(json_number_value(json_object_get(item, "start")) - last) < 1e-4);
        last = json_number_value(json_object_get(item, "end"));
    }
    last = -1e9;
    json_array_foreach(json_object_get(report, "beats"), i, item) {
        assert_true(json_number_value(item) > last);
        last = json_number_value(item);
    }
    return report;
}

static const char *kind(const json_t *report)
{
    return json_string_value(json_object_get(json_object_get(report, "input"), "kind"));
}

static int n_notes(const json_t *report)
{
    return (int)json_array_size(json_object_get(report, "melody"));
}

/* A confidence; -1: null. */
static double sure(const json_t *report, const char *of)
{
    const json_t *value = json_object_get(json_object_get(report, "confidence"), of);
    return json_is_number(value) ? json_number_value(value) : -1;
}

static audio_clip sound(int n_channels, double seconds, int rate)
{
    audio_clip clip;
    assert_int_equal(audio_clip_new(&clip, n_channels, (int64_t)(seconds * rate), rate, NULL), BL_OK);
    return clip;
}

/* A voice: harmonics of a scale with vibrato and breath, a note each half second, a rest after every seventh. */
static audio_clip voice(int n_channels, double seconds, int rate, double level)
{
    static const int scale[8] = { 0, 2, 4, 5, 7, 5, 4, -100 };
    audio_clip clip = sound(n_channels, seconds, rate);
    bl_rng rng;
    double phase = 0;
    bl_rng_seed(&rng, 5);
    for (int64_t i = 0; i < clip.n_samples; i++) {
        const double t = (double)i / rate, in_note = fmod(t, 0.5);
        const int step = scale[(int)(t / 0.5) % 8];
        const double hz = 220 * exp2((step + 0.25 * sin(2 * pi * 5.5 * t) + 1.5 * exp(-in_note / 0.03)) / 12.0);
        double v = 0.02 * (2 * bl_rng_uniform(&rng) - 1);
        phase += 2 * pi * hz / rate;
        for (int h = 1; h <= 12 && step > -50; h++)
            if (h * hz < 0.45 * rate)
                v += sin(h * phase) / (h + 0.5) * fmin(1, in_note / 0.02) * fmin(1, (0.5 - in_note) / 0.04);
        for (int c = 0; c < n_channels; c++)
            clip.samples[c * clip.n_samples + i] = (float)(level * v);
    }
    return clip;
}

static void silence_is_an_answer(void **state)
{
    (void)state;
    audio_clip clip = sound(2, 5, 44100);
    json_t *r = heard("silence.wav", &clip, "--picture p.png");
    assert_string_equal(kind(r), "silent");
    assert_true(json_is_null(json_object_get(r, "tempo")));
    assert_true(json_is_null(json_object_get(r, "key")));
    assert_true(json_is_null(json_object_get(r, "melody")));
    json_decref(r);
    assert_int_equal(run("silence.wav"), 0);
    assert_non_null(strstr(output, "nothing to hear"));
    audio_clip_free(&clip);
}

static void a_voice_is_heard_at_any_rate_and_level(void **state)
{
    static const struct { int rate, channels; double level; } cases[] = {
        { 8000, 1, 0.3 }, { 22050, 2, 0.3 }, { 44100, 2, 0.003 }, { 48000, 1, 0.9 }, { 96000, 2, 0.3 } };
    (void)state;
    for (int i = 0; i < 5; i++) {
        audio_clip clip = voice(cases[i].channels, 12, cases[i].rate, cases[i].level);
        json_t *r = heard("voice.wav", &clip, "");
        assert_string_equal(kind(r), "vocal");
        if (n_notes(r) < 15 || n_notes(r) > 30) /* 21 sung */
            fail_msg("%d Hz: %d notes", cases[i].rate, n_notes(r));
        assert_true(json_array_size(json_object_get(r, "phrases")) >= 1);
        json_decref(r);
        audio_clip_free(&clip);
    }
}

static void short_sounds_and_odd_ones_are_no_trouble(void **state)
{
    (void)state;
    static const double seconds[] = { 0.05, 0.3, 1 };
    for (int i = 0; i < 3; i++) {
        audio_clip clip = voice(1, seconds[i], 44100, 0.3);
        json_decref(heard("short.wav", &clip, "--picture p.png"));
        audio_clip_free(&clip);
    }
    bl_rng rng;
    bl_rng_seed(&rng, 1);
    audio_clip clip = sound(1, 6, 32000); /* noise */
    for (int64_t i = 0; i < clip.n_samples; i++)
        clip.samples[i] = (float)(0.2 * (2 * bl_rng_uniform(&rng) - 1));
    json_t *r = heard("noise.wav", &clip, "");
    assert_true(n_notes(r) < 6);
    json_decref(r);
    for (int64_t i = 0; i < clip.n_samples; i++) /* a constant */
        clip.samples[i] = 0.5f;
    json_decref(heard("constant.wav", &clip, ""));
    audio_clip_free(&clip);
}

static void clapping_has_a_tempo_and_no_melody(void **state)
{
    (void)state;
    bl_rng rng;
    bl_rng_seed(&rng, 9);
    audio_clip clip = sound(1, 16, 44100);
    for (int64_t i = 0; i < clip.n_samples; i++)
        clip.samples[i] = (float)(0.8 * (2 * bl_rng_uniform(&rng) - 1) * exp(-fmod((double)i / 44100, 0.5) / 0.015));
    json_t *r = heard("claps.wav", &clip, "");
    const double bpm = json_number_value(json_object_get(r, "tempo"));
    if (fabs(bpm - 120) > 3 && fabs(bpm - 60) > 2 && fabs(bpm - 240) > 6)
        fail_msg("claps at 120 bpm: %g bpm", bpm);
    assert_true(n_notes(r) < 6);
    assert_true(sure(r, "key") < 0.5);
    json_decref(r);
    audio_clip_free(&clip);
}

static void options_win_over_what_is_heard(void **state)
{
    (void)state;
    audio_clip clip = voice(1, 12, 44100, 0.3);
    json_t *r = heard("voice.wav", &clip, "--bpm 87 --key F# --meter 3");
    assert_true(json_number_value(json_object_get(r, "tempo")) == 87);
    assert_string_equal(json_string_value(json_object_get(r, "key")), "F# major");
    assert_int_equal(json_integer_value(json_object_get(r, "meter")), 3);
    assert_true(sure(r, "tempo") < 0 && sure(r, "key") < 0); /* it did not look */
    json_decref(r);

    r = heard("voice.wav", &clip, "");
    const double bpm = json_number_value(json_object_get(r, "tempo"));
    json_decref(r);
    r = heard("voice.wav", &clip, "--tempo half");
    if (fabs(json_number_value(json_object_get(r, "tempo")) / bpm - 0.5) > 0.02)
        fail_msg("half of %g bpm: %g", bpm, json_number_value(json_object_get(r, "tempo")));
    json_decref(r);

    bl_error err = { 0 };
    const char *beats = "time,beat\n0.5,1\n1.1,2\n1.7,3\n2.3,1\n2.9,2\n3.5,3\n";
    assert_int_equal(bl_write_file(temporary_path("beats.csv"), beats, strlen(beats), &err), BL_OK);
    r = heard("voice.wav", &clip, "--beats beats.csv");
    assert_int_equal(json_array_size(json_object_get(r, "beats")), 6);
    assert_int_equal(json_array_size(json_object_get(r, "downbeats")), 2);
    assert_int_equal(json_integer_value(json_object_get(r, "meter")), 3);
    json_decref(r);
    audio_clip_free(&clip);
    assert_int_equal(run("voice.wav --bpm 3"), 2);
    assert_non_null(strstr(output, "20 to 400"));
    assert_int_equal(run("voice.wav --model nowhere"), 1);
    assert_non_null(strstr(output, "nowhere"));
}

/* The report of one run is the plan of the next: what it says is obeyed, and the same is said again. */
static void a_report_is_a_plan(void **state)
{
    (void)state;
    audio_clip clip = voice(1, 12, 44100, 0.3);
    json_t *a = heard("voice.wav", &clip, "");
    assert_int_equal(rename(temporary_path("report.json"), temporary_path("plan.json")), 0);
    json_t *b = heard("voice.wav", &clip, "--plan plan.json");
    static const char *const keys[] = { "tempo", "beats", "downbeats", "key", "melody", "chords", "sections", "phrases", "input" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(keys[i], "input") != 0 && !json_equal(json_object_get(a, keys[i]), json_object_get(b, keys[i])))
            fail_msg("%s: another in the second run", keys[i]);
    json_decref(a);
    json_decref(b);
    audio_clip_free(&clip);
}

/* The demo vocal, made at 116, is heard at 58, which no rock is. */
static void a_genre_has_a_slowest_beat(void **state)
{
    static const char *const plans[] = { "{\"genre\": {\"name\": \"jazz\", \"probability\": 1, \"given\": true}}",
                                         "{\"genre\": {\"name\": \"rock\", \"probability\": 1, \"given\": true}}" };
    double bpm[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        bl_error     err = { 0 };
        json_error_t why;
        assert_int_equal(bl_write_file(temporary_path("genre.json"), plans[i], strlen(plans[i]), &err), BL_OK);
        if (run("data/demo_vocal.flac --report report.json --quiet --plan genre.json") != 0)
            fail_msg("%s", output);
        json_t *r = json_load_file(temporary_path("report.json"), 0, &why);
        bpm[i] = json_number_value(json_object_get(r, "tempo"));
        json_decref(r);
    }
    if (fabs(bpm[1] - 116) > 1.5 || !(fabs(bpm[0] - 58) < 1 || fabs(bpm[0] - 116) < 1.5))
        fail_msg("jazz at %g, rock at %g bpm", bpm[0], bpm[1]);
}

static void the_picture_is_a_picture(void **state)
{
    (void)state;
    audio_clip clip = voice(1, 70, 22050, 0.3); /* three systems */
    json_decref(heard("long.wav", &clip, "--picture p.png"));
    audio_clip_free(&clip);
    unsigned char head[24] = { 0 };
    FILE *f = fopen(temporary_path("p.png"), "rb");
    assert_non_null(f);
    assert_int_equal(fread(head, 1, 24, f), 24);
    fclose(f);
    assert_memory_equal(head + 1, "PNG", 3);
    const int width = head[18] << 8 | head[19], height = head[22] << 8 | head[23];
    assert_int_equal(width, 92 + 1600 + 28);
    assert_in_range(height, 3 * 400, 3 * 700);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_is_an_answer),
        cmocka_unit_test(a_voice_is_heard_at_any_rate_and_level),
        cmocka_unit_test(short_sounds_and_odd_ones_are_no_trouble),
        cmocka_unit_test(clapping_has_a_tempo_and_no_melody),
        cmocka_unit_test(options_win_over_what_is_heard),
        cmocka_unit_test(a_report_is_a_plan),
        cmocka_unit_test(a_genre_has_a_slowest_beat),
        cmocka_unit_test(the_picture_is_a_picture),
    };
    return cmocka_run_group_tests(tests, make_here, temporary_remove);
}
