/* bin/train_drummer as people run it: it learns, says what it reached beside simpler players, goes on, and names what is wrong.
 * BIN names the folder of the programs (tests/run.sh sets it). */
#include "tests/data/tree.h"

#include "blocks/drummer.h"
#include "music/midi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <cmocka.h>

static const char tiny[] = "[drummer]\nstyles = rock\n"
                           "[drummer_network]\ninput.strokes = 34, T\ninput.style = 1\ninput.length = 1\n"
                           "manner = embedding num_embeddings=2 embedding_dim=2 from=style\nseen = concat from=strokes,manner\n"
                           "body = gru hidden_size=6 bidirectional=yes from=seen,length\nout = conv1d out_channels=162 kernel_size=1\n"
                           "[drummer_training]\nsteps = 10\nbatch_size = 2\nsegment_strokes = 16\nlr = 0.01\ntune = 0.3\n";

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

/* Eight bars at 100, loud on the beat; written with a tempo. */
static void write_performance(int number)
{
    char name[64];
    bl_error err = { 0 };
    music_score score = { 0 };
    music_score_add_tempo(&score, 0, 100, &err);
    music_track *t = music_score_add_track(&score, "drums", 0, 1, &err);
    for (int i = 0; i < 64; i++)
        music_track_add(t, 0.3 * i + 0.002 * (i * number % 5), 0.3 * i + 0.2, i % 4 == 2 ? 38 : i % 4 ? 42 : 36, i % 2 ? 50 : 100, &err);
    snprintf(name, sizeof name, "groove/%d.mid", number);
    assert_int_equal(music_midi_write(tree_file(name), &score, &err), BL_OK);
    music_score_free(&score);
}

static int make_performances(void **state)
{
    char list[1000] = "style,bpm,time_signature,midi_filename,split\n";
    if (!getenv("BIN") || tree_make(state) || setenv("B", getenv("BIN"), 1) || setenv("T", tree_root, 1))
        return -1;
    for (int i = 0; i < 8; i++) {
        write_performance(i);
        snprintf(list + strlen(list), sizeof list - strlen(list), "rock,100,4-4,%d.mid,%s\n", i, i < 6 ? "train" : "test");
    }
    strcat(list, "rock,100,4-4,missing.mid,train\n");
    assert_int_equal(bl_write_file(tree_file("groove/info.csv"), list, strlen(list), NULL), BL_OK);
    return bl_write_file(tree_file("tiny.ini"), tiny, strlen(tiny), NULL) == BL_OK ? 0 : -1;
}

static void it_learns_says_what_it_reached_and_goes_on(void **state)
{
    bl_error err = { 0 };
    (void)state;
    expect("\"$B\"/train_drummer --config \"$T\"/tiny.ini \"$T\"/groove --out \"$T\"/out --seed 4 --threads 1", 0, "2 performances that were held out, 128 hits");
    assert_non_null(strstr(output, "skipped missing.mid"));
    assert_non_null(strstr(output, "mean of the place"));
    assert_non_null(strstr(output, "the person again"));
    expect("\"$B\"/train_drummer --config \"$T\"/tiny.ini \"$T\"/groove --out \"$T\"/out --steps 14 --resume", 0, "after step 10 of 14");
    blocks_drummer *d = blocks_drummer_load(tree_path("out/drummer.h5"), &err);
    assert_non_null(d);
    assert_int_equal(d->step, 14);
    blocks_drummer_free(d);
}

static void what_is_wrong_is_said_in_one_line(void **state)
{
    (void)state;
    expect("\"$B\"/train_drummer --config \"$T\"/tiny.ini \"$T\"/nowhere --out \"$T\"/out2 --quiet", 1, "nowhere");
    expect("\"$B\"/train_drummer --config \"$T\"/tiny.ini \"$T\" --out \"$T\"/out2 --quiet", 1, "there is no info.csv");
    expect("\"$B\"/train_drummer --config \"$T\"/tiny.ini \"$T\"/groove --out \"$T\"/out2 --set drummer_training.accent=1 --quiet", 1, "accents");
    expect("\"$B\"/train_drummer --config \"$T\"/tiny.ini \"$T\"/groove --out \"$T\"/out2 --set drummer.styles=rock,jazz --quiet", 1, "embedding of 2 styles");
    assert_int_equal(access(tree_path("out2/drummer.h5"), F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_learns_says_what_it_reached_and_goes_on),
        cmocka_unit_test(what_is_wrong_is_said_in_one_line),
    };
    return cmocka_run_group_tests(tests, make_performances, tree_remove);
}
