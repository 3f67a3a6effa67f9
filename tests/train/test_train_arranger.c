/* bin/train_arranger as people run it. BIN names the folder of the programs (tests/run.sh sets it). */
#include "tests/temporary.h"

#include "blocks/harmonizer.h"
#include "music/midi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "tests/blocks/harmonizer_corpus.h"
#include "tests/message.h"

static char output[1 << 16]; /* stdout and stderr of the last program */
static char songs[300];

static int run(const char *options)
{
    char line[3000];
    const char *bin = getenv("BIN");
    snprintf(line, sizeof line, "'%.200s/train_arranger' '%s' --out '%.200s' %s > '%.200s/log' 2>&1 < /dev/null", bin && *bin ? bin : "bin", songs,
             temporary_folder, options, temporary_folder);
    const int status = system(line);
    FILE *f = fopen(temporary_path("log"), "r");
    const size_t n = f ? fread(output, 1, sizeof output - 1, f) : 0;
    output[n] = '\0';
    if (f)
        fclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int make_songs(void **state)
{
    if (temporary_make(state))
        return -1;
    snprintf(songs, sizeof songs, "%.250s/songs", temporary_folder);
    if (bl_make_folder(songs, NULL) != BL_OK)
        return -1;
    for (int i = 1; i <= 8; i++) {
        char path[400];
        corpus_song s;
        music_score score = { 0 };
        bl_error err = { 0 };
        corpus_compose(&s, i);
        music_score_set_beats(&score, s.beats_s, CORPUS_BEATS, 0, 4, &err);
        music_track *t = music_score_add_track(&score, "melody", 52, 0, &err);
        for (int k = 0; k < CORPUS_NOTES; k++)
            music_track_add(t, s.melody[k].onset_s, s.melody[k].offset_s, s.melody[k].pitch, 90, &err);
        for (int k = 0; k < CORPUS_BARS; k++)
            music_score_add_chord(&score, s.chords[k].start_s, s.chords[k].end_s, s.chords[k].name, &err);
        snprintf(path, sizeof path, "%s/%d.mid", songs, i);
        music_midi_write(path, &score, &err);
        music_score_free(&score);
        if (err.code)
            return -1;
    }
    return 0;
}

static int remove_songs(void **state)
{
    char **names, path[700];
    int n;
    if (bl_list_folder(songs, &names, &n, NULL) == BL_OK) {
        for (int i = 0; i < n; i++) {
            snprintf(path, sizeof path, "%s/%.200s", songs, names[i]);
            unlink(path);
        }
        bl_names_free(names, n);
    }
    return temporary_remove(state);
}

static void a_few_steps_make_a_checkpoint(void **state)
{
    bl_error err = { 0 };
    (void)state;
    const int status = run("--config configs/arranger.ini --steps 3 --seed 5 --set arranger.h=8 --set arranger_training.batch_size=2 --set arranger_training.held_out=0.4 "
                           "--set arranger_training.segment_units=16");
    if (status != 0 || !strstr(output, "root as the human arranger's") || !strstr(output, "1 not read (keep_out)") || !strstr(output, "wrote "))
        fail_msg("status %d: %s", status, output);
    blocks_harmonizer *h = blocks_harmonizer_load(temporary_path("arranger.h5"), &err);
    assert_string_equal(err.msg, "");
    assert_int_equal(h->step, 3);
    blocks_harmonizer_free(h);
    assert_int_equal(run("--config configs/arranger.ini --steps 5 --resume --set arranger.h=8 --set arranger_training.batch_size=2 --set arranger_training.held_out=0.4 "
                         "--set arranger_training.segment_units=16"), 0);
    h = blocks_harmonizer_load(temporary_path("arranger.h5"), &err);
    assert_int_equal(h->step, 5);
    blocks_harmonizer_free(h);
}

static void mistakes_are_one_sentence(void **state)
{
    static const struct { const char *options, *message; } rows[] = {
        { "--set arranger_training.batchsize=3", "did you mean" },
        { "--set arranger_training.lost=2", "arranger_training" },
        { "--set arranger_training.keep_out=1", "no song with a melody and chords" } };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int status = run(rows[i].options);
        if (status != 1 || !strstr(output, rows[i].message))
            fail_msg("%s: status %d: %s", rows[i].options, status, output);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_steps_make_a_checkpoint),
        cmocka_unit_test(mistakes_are_one_sentence),
    };
    return cmocka_run_group_tests(tests, make_songs, remove_songs);
}
