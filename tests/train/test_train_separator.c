/* bin/train_separator as people run it: it learns from invented songs, says what it reached, goes on, writes a model to ship, and
 * names what is wrong. BIN names the folder of the programs (tests/run.sh sets it). */
#include "tests/data/tree.h"

#include "base/rng.h"
#include "blocks/separator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <cmocka.h>

enum { RATE = 8000, SECONDS = 6 };

static const char tiny[] = "[separator]\nbands = 8\ninput.mix = bands, T\nfc1 = conv1d out_channels=24 kernel_size=1 bias=no\n"
                           "bn1 = batch_norm1d\nstart = tanh\nlstm = lstm hidden_size=8 bidirectional=yes\nfc2 = conv1d out_channels=bands "
                           "kernel_size=1\nmask = sigmoid\n"
                           "[separation]\nsample_rate = 8000\nn_fft = 512\nhop_length = 128\nlinear_hz = 200\nband_share = 0.2\n"
                           "highest_hz = 4000\n"
                           "[separation_training]\nsteps = 60\nbatch_size = 4\npool = 8\nfresh = 2\nsegment_frames = 40\nlr = 0.02\n"
                           "schedule = constant\naverage = 0.9\nreverb = 0\n";

static char output[1 << 14]; /* stdout and stderr of the last program */

static void expect(const char *command, int status, const char *said)
{
    char log[BL_PATH_MAX], line[3 * BL_PATH_MAX];
    snprintf(log, sizeof log, "%s", tree_path("log"));
    snprintf(line, sizeof line, "{ %s ; } > %s 2>&1 < /dev/null", command, log);
    const int    ended = system(line), got = WIFEXITED(ended) ? WEXITSTATUS(ended) : 1000 + WTERMSIG(ended);
    FILE        *f = fopen(log, "r");
    const size_t n = f ? fread(output, 1, sizeof output - 1, f) : 0;
    output[n] = '\0';
    if (f)
        fclose(f);
    if (got != status || !strstr(output, said))
        fail_msg("%s\n  expected status %d and \"%s\", got %d: %s", command, status, said, got, output);
}

/* Voices glide far below where drums hiss. */
static void write_stem(const char *name, int number, int is_voice)
{
    const int  n = RATE * SECONDS;
    audio_clip clip = { calloc((size_t)n, sizeof(float)), n, 1, RATE };
    bl_rng     rng;
    bl_rng_seed(&rng, (uint64_t)(2 * number + is_voice));
    for (int i = 0; i < n; i++) {
        const double t = (double)i / RATE, phase = 6.2832 * ((250 + 40 * number) * t + 8 * sin(2.1 * t + number));
        clip.samples[i] = (float)(is_voice ? 0.2 * (sin(phase) + 0.5 * sin(2 * phase))
                                           : 0.3 * exp(-12 * fmod(t, 0.3)) * bl_rng_normal(&rng));
    }
    if (!is_voice) /* what is left of noise when the lower half is taken out */
        for (int i = n - 1; i > 0; i--)
            clip.samples[i] -= clip.samples[i - 1];
    assert_int_equal(audio_write(tree_file(name), &clip, AUDIO_ENCODING_PCM16, NULL), BL_OK);
    free(clip.samples);
}

static int make_songs(void **state)
{
    if (!getenv("BIN") || tree_make(state) || setenv("B", getenv("BIN"), 1) || setenv("T", tree_root, 1))
        return -1;
    for (int i = 0; i < 4; i++) {
        char name[64];
        for (int voice = 0; voice < 2; voice++) {
            snprintf(name, sizeof name, "songs/%s/s%d/%s.wav", i < 3 ? "train" : "validation", i, voice ? "vocals" : "drums");
            write_stem(name, i, voice);
        }
    }
    write_stem("voices/train/s/vocals.wav", 0, 1);
    if (bl_write_file(tree_file("tiny.ini"), tiny, strlen(tiny), NULL) != BL_OK)
        return -1;
    return 0;
}

static void it_learns_says_what_it_reached_and_goes_on(void **state)
{
    double   mixture = 0, separated = 0, best = 0;
    bl_error err = { 0 };
    (void)state;
    expect("\"$B\"/train_separator --config \"$T\"/tiny.ini \"$T\"/songs --out \"$T\"/out --seed 4 --threads 1", 0,
           "signal-to-distortion ratio of the voice, 1 mixtures");
    assert_non_null(strstr(output, "3 voices and 3 other stems to learn from, 1 and 1 held out"));
    assert_int_equal(sscanf(strstr(output, "untouched"), "untouched %lf dB, separated %lf dB, with the best mask of this form %lf", &mixture,
                            &separated, &best), 3);
    assert_true(separated > mixture + 3 && separated < best + 0.5);
    expect("\"$B\"/train_separator --config \"$T\"/tiny.ini \"$T\"/songs --out \"$T\"/out --steps 66 --resume "
           "--set separation_training.keep_optimizer=0", 0, "after step 60 of 66");
    blocks_separator *s = blocks_separator_load(tree_path("out/separator.h5"), &err);
    assert_non_null(s);
    assert_int_equal(s->step, 66);
    blocks_separator_free(s);
    expect("\"$B\"/train_separator --config \"$T\"/tiny.ini \"$T\"/songs --out \"$T\"/out --steps 70 --resume", 1, "keep_optimizer = 0");
    expect("\"$B\"/separate --model \"$T\"/out \"$T\"/songs/train/s0/drums.wav -o \"$T\"/parts", 0, "");
    assert_int_equal(access(tree_path("parts/voice.wav"), F_OK), 0);
}

static void what_is_wrong_is_said_in_one_line(void **state)
{
    (void)state;
    expect("\"$B\"/train_separator --config \"$T\"/tiny.ini \"$T\"/nowhere --out \"$T\"/out2 --quiet", 1, "nowhere");
    expect("\"$B\"/train_separator --config \"$T\"/tiny.ini \"$T\"/voices --out \"$T\"/out2 --quiet", 1, "1 voices and 0 other stems");
    expect("\"$B\"/train_separator --config \"$T\"/tiny.ini \"$T\"/songs --out \"$T\"/out2 --quiet --set separation_training.revreb=1", 1,
           "reverb");
    expect("\"$B\"/train_separator --config \"$T\"/tiny.ini \"$T\"/songs --out \"$T\"/out2 --quiet --set separation_training.fresh=9", 1,
           "must not exceed");
    assert_int_equal(access(tree_path("out2/separator.h5"), F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_learns_says_what_it_reached_and_goes_on),
        cmocka_unit_test(what_is_wrong_is_said_in_one_line),
    };
    return cmocka_run_group_tests(tests, make_songs, tree_remove);
}
