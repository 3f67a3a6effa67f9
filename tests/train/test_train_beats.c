/* bin/train_beats as people run it: it learns, says what it reached, goes on, begins with another's weights, and names what is wrong.
 * BIN names the folder of the programs (tests/run.sh sets it). */
#include "tests/data/tree.h"

#include "blocks/beat_tracker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <cmocka.h>

enum { RATE = 8000, SECONDS = 8 };

static const char tiny[] = "[beat_network]\ninput.bands = 72, T\nlook = conv1d out_channels=6 kernel_size=3 padding=same\nact = elu\n"
                           "wide = conv1d out_channels=6 kernel_size=5 padding=same dilation=1..8\nact2 = elu\n"
                           "logits = conv1d out_channels=2 kernel_size=1\n%s"
                           "[beats]\nsteps = 20\nbatch_size = 2\nsegment_frames = 120\nlr = 0.01\nschedule = constant\nheld_out = 0.4\n";
static const char tempo[] = "tempo = conv1d out_channels=48 kernel_size=1 from=act2\noutput = logits, tempo\n";

static char output[1 << 14]; /* stdout and stderr of the last program */

static int run(const char *command)
{
    char log[BL_PATH_MAX], line[3 * BL_PATH_MAX];
    snprintf(log, sizeof log, "%s", tree_path("log"));
    snprintf(line, sizeof line, "{ %s ; } > %s 2>&1 < /dev/null", command, log);
    const int    status = system(line);
    FILE        *f = fopen(log, "r");
    const size_t n = f ? fread(output, 1, sizeof output - 1, f) : 0;
    output[n] = '\0';
    if (f)
        fclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void expect(const char *command, int status, const char *said)
{
    const int got = run(command);
    if (got != status || !strstr(output, said))
        fail_msg("%s\n  expected status %d and \"%s\", got %d: %s", command, status, said, got, output);
}

static void write_config(const char *name, const char *second_output)
{
    char text[2000];
    snprintf(text, sizeof text, tiny, second_output);
    assert_int_equal(bl_write_file(tree_file(name), text, strlen(text), NULL), BL_OK);
}

/* A click on every beat, louder on the first of four. */
static void write_song(int number)
{
    char       name[64], beats[2000] = "";
    const int  n = RATE * SECONDS;
    const double period = 60.0 / (90 + 10 * number);
    audio_clip clip = { calloc((size_t)n, sizeof(float)), n, 1, RATE };
    for (int k = 0; 0.2 + k * period < SECONDS; k++) {
        const double t = 0.2 + k * period;
        for (int i = 0; i < 300 && (int)(t * RATE) + i < n; i++)
            clip.samples[(int)(t * RATE) + i] = (float)((k % 4 ? 0.3 : 0.9) * exp(-i / 60.0) * sin((k % 4 ? 1.1 : 0.2) * i));
        snprintf(beats + strlen(beats), sizeof beats - strlen(beats), "%.4f\t%d\n", t, k % 4 + 1);
    }
    snprintf(name, sizeof name, "songs/s%d.wav", number);
    assert_int_equal(audio_write(tree_file(name), &clip, AUDIO_ENCODING_PCM16, NULL), BL_OK);
    snprintf(name, sizeof name, "songs/s%d.beats", number);
    assert_int_equal(bl_write_file(tree_file(name), beats, strlen(beats), NULL), BL_OK);
    free(clip.samples);
}

static int make_songs(void **state)
{
    if (!getenv("BIN") || tree_make(state) || setenv("B", getenv("BIN"), 1) || setenv("T", tree_root, 1))
        return -1;
    for (int i = 0; i < 5; i++)
        write_song(i);
    write_config("plain.ini", "");
    write_config("tempo.ini", tempo);
    return 0;
}

static void it_learns_says_what_it_reached_and_goes_on(void **state)
{
    bl_error err = { 0 };
    (void)state;
    expect("\"$B\"/train_beats --config \"$T\"/tempo.ini \"$T\"/songs --out \"$T\"/out --seed 4 --threads 1", 0, "F-measure of beats (70 ms)");
    assert_non_null(strstr(output, "5 recordings"));
    assert_non_null(strstr(output, "tempo within 4 %"));
    expect("\"$B\"/train_beats --config \"$T\"/tempo.ini \"$T\"/songs --out \"$T\"/out --steps 24 --resume", 0, "after step 20 of 24");
    blocks_beat_tracker *t = blocks_beat_tracker_load(tree_path("out/beats.h5"), &err);
    assert_non_null(t);
    assert_int_equal(t->step, 24);
    assert_true(t->hears_tempo);
    blocks_beat_tracker_free(t);
}

static void training_can_begin_with_the_weights_of_a_network_that_hears_no_tempo(void **state)
{
    bl_error err = { 0 };
    (void)state;
    expect("\"$B\"/train_beats --config \"$T\"/plain.ini \"$T\"/songs --out \"$T\"/first --steps 8 --quiet", 0, "F-measure");
    expect("\"$B\"/train_beats --config \"$T\"/tempo.ini \"$T\"/songs --out \"$T\"/second --steps 1 --set beats.lr=1e-12 --set beats.average=0 "
           "--set beats.init=\"$T\"/first/beats.h5 --quiet", 0, "F-measure");
    blocks_beat_tracker *first = blocks_beat_tracker_load(tree_path("first/beats.h5"), &err);
    assert_non_null(first);
    blocks_beat_tracker *second = blocks_beat_tracker_load(tree_path("second/beats.h5"), &err);
    assert_non_null(second);
    const nn_param *a = &first->params->param[nn_params_find(first->params, "beat_network/look/weight")];
    const nn_param *b = &second->params->param[nn_params_find(second->params, "beat_network/look/weight")];
    for (int64_t i = 0; i < nn_count(&a->shape); i++)
        assert_true(fabs((double)(first->params->value[a->offset + i] - second->params->value[b->offset + i])) < 1e-6);
    blocks_beat_tracker_free(first);
    blocks_beat_tracker_free(second);
    expect("\"$B\"/train_beats --config \"$T\"/tempo.ini \"$T\"/songs --out \"$T\"/third --set beat_network.look=\"conv1d out_channels=7 "
           "kernel_size=3 padding=same\" --set beats.init=\"$T\"/first/beats.h5 --quiet", 1, "beat_network/look/weight has another shape");
}

static void what_is_wrong_is_said_in_one_line(void **state)
{
    (void)state;
    expect("\"$B\"/train_beats --config \"$T\"/tempo.ini \"$T\"/nowhere --out \"$T\"/out2 --quiet", 1, "nowhere");
    expect("\"$B\"/train_beats --config \"$T\"/tempo.ini \"$T\"/songs --out \"$T\"/out2 --set beats.stretsh=0.1 --quiet", 1, "stretch");
    expect("\"$B\"/train_beats --config \"$T\"/tempo.ini \"$T\"/songs --out \"$T\"/out2 --quiet --set beat_network.tempo=\"conv1d "
           "out_channels=5 kernel_size=1 from=act2\"", 1, "48 channels");
    assert_int_equal(access(tree_path("out2/beats.h5"), F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_learns_says_what_it_reached_and_goes_on),
        cmocka_unit_test(training_can_begin_with_the_weights_of_a_network_that_hears_no_tempo),
        cmocka_unit_test(what_is_wrong_is_said_in_one_line),
    };
    return cmocka_run_group_tests(tests, make_songs, tree_remove);
}
