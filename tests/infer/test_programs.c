/* bin/infer, bin/play and bin/separate as people meet them: exit status and message for everything that can be wrong. BIN names the
 * folder of the programs (tests/run.sh sets it). */
#include "tests/temporary.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "tests/infer/models.h"
#include "tests/infer/song.h"

static char output[1 << 16]; /* stdout and stderr of the last program */

/* Runs a command line in which $T is the temporary folder and $B the folder of the programs. */
static int run(const char *command)
{
    char log[BL_PATH_MAX], line[3 * BL_PATH_MAX];
    snprintf(log, sizeof log, "%s", temporary_path("log"));
    snprintf(line, sizeof line, "{ %s ; } > %s 2>&1 < /dev/null", command, log);
    const int status = system(line);
    FILE *f = fopen(log, "r");
    const size_t n = f ? fread(output, 1, sizeof output - 1, f) : 0;
    output[n] = '\0';
    if (f)
        fclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int n_files(const char *folder)
{
    char **names;
    int n = 0;
    if (bl_list_folder(folder, &names, &n, NULL) == BL_OK)
        bl_names_free(names, n);
    return n;
}

/* The status, the text in the message, one line of it, and nothing in the output folder. */
static void check(const char *command, int status, const char *part)
{
    const int got = run(command);
    const char *newline = strchr(output, '\n');
    if (got != status || !strstr(output, part) || !newline || newline[1])
        fail_msg("%s\n  expected status %d and \"%s\" in one line, got %d: %s", command, status, part, got, output);
    assert_int_equal(n_files(temporary_path("out")), 0);
}

static void write_clip(const char *name, audio_clip clip)
{
    bl_error err = { 0 };
    if (audio_write(temporary_path(name), &clip, AUDIO_ENCODING_DEFAULT, &err) != BL_OK)
        fail_msg("%s", err.msg);
    audio_clip_free(&clip);
}

static void write_bytes(const char *name, const void *bytes, size_t n)
{
    assert_int_equal(bl_write_file(temporary_path(name), bytes, n, NULL), BL_OK);
}

static void write_text(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text));
}

/* The first part of a file under another name. */
static void write_part(const char *from, const char *to, double share)
{
    char *bytes;
    size_t n;
    assert_int_equal(bl_read_file(temporary_path(from), 1u << 30, &bytes, &n, NULL), BL_OK);
    write_bytes(to, bytes, (size_t)((double)n * share));
    free(bytes);
}

static int make(void **state)
{
    const char *bin = getenv("BIN");
    audio_clip silent = { 0 }, quiet, hour = { 0 };
    char infer[BL_PATH_MAX];
    bl_error err = { 0 };
    bl_path_join(infer, bin ? bin : "bin", "infer", NULL);
    if (!bl_is_file(infer)) {
        fprintf(stderr, "%s is not there; build the programs, or set BIN to their folder\n", infer);
        return -1;
    }
    if (temporary_make(state) != 0)
        return -1;
    setenv("B", bin ? bin : "bin", 1);
    setenv("T", temporary_folder, 1);
    setenv("XDG_CACHE_HOME", temporary_path("cache_home"), 1);
    models_make(temporary_folder);
    bl_make_folder(temporary_path("out"), &err);
    bl_make_folder(temporary_path("empty_models"), &err);
    bl_make_folder(temporary_path("bad_models"), &err);
    write_clip("song.wav", song_voice(3, 22050, 1));
    write_clip("song.flac", song_voice(3, 22050, 1));
    write_clip("tiny.wav", song_voice(0.3, 22050, 1));
    write_clip("low.wav", song_voice(3, 4000, 1));
    write_part("song.flac", "cut.flac", 0.6);
    write_bytes("empty.wav", "", 0);
    write_text("text.wav", "this is no sound at all\n");
    audio_clip_new(&silent, 1, 50000, 16000, NULL);
    write_clip("silent.wav", silent);
    quiet = song_voice(3, 22050, 1);
    for (int64_t i = 0; i < quiet.n_samples; i++)
        quiet.samples[i] *= 1e-4f;
    write_clip("quiet.wav", quiet);
    audio_clip_new(&hour, 1, 8000 * 3600, 8000, NULL);
    hour.samples[100] = 0.5f;
    write_clip("hour.flac", hour);
    write_part("song.wav", "none.wav", 0); /* a header without samples, and one with a sample that is no number */
    char *bytes;
    size_t n;
    bl_read_file(temporary_path("song.wav"), 1 << 26, &bytes, &n, NULL);
    const unsigned char nan_bytes[4] = { 0, 0, 0xc0, 0x7f };
    memcpy(bytes + n - 4000, nan_bytes, 4);
    write_bytes("nan.wav", bytes, n);
    free(bytes);
    write_part("wavegan.h5", "bad_models/wavegan.h5", 0.7);
    return err.code ? -1 : 0;
}

static int remove_all(void **state)
{
    run("chmod -R u+w \"$T\"; rm -rf \"$T\"/*");
    return temporary_remove(state);
}

#define INFER "\"$B\"/infer --model \"$T\" --quiet --genre rock --instruments bass "

/* configs/styles/NAME in a folder of the user's own, from a file that ships. */
static void write_genre(const char *name, const char *head)
{
    char *bytes = NULL, path[BL_PATH_MAX];
    size_t n = 0;
    bl_error err = { 0 };
    if (bl_make_folder(temporary_path("user/configs/styles"), &err) != BL_OK || bl_read_file("configs/styles/rock.ini", 1 << 20, &bytes, &n, &err) != BL_OK)
        fail_msg("%s", err.msg);
    const char *rest = strstr(bytes, "swing =");
    assert_non_null(rest);
    snprintf(path, sizeof path, "user/configs/styles/%s.ini", name);
    char *text = malloc(n + strlen(head) + 1);
    sprintf(text, "%s%s", head, rest);
    write_bytes(path, text, strlen(text));
    free(text);
    free(bytes);
}

/* Programs look for what ships here and beside themselves; with the sanitizers they lie elsewhere, so links stand here. */
#define OWN_GENRE "B=$(realpath \"$B\") && R=$PWD && cd \"$T\"/user && cp -rns \"$R\"/configs \"$R\"/data \"$R\"/models . && \"$B\"/infer --model \"$T\" --quiet \"$T\"/song.wav --instruments bass --genre "

static void a_users_own_style_file_is_a_genre(void **state)
{
    (void)state;
    write_genre("mygenre", "[style]\ngenre = mygenre\nlike = rock\n");
    write_genre("lonely", "[style]\ngenre = lonely\nlike = rok\n");
    if (run(OWN_GENRE "mygenre --report r.json && grep -q '\"name\": \"mygenre\"' r.json && grep -q '\"band_like\": \"rock\"' r.json"))
        fail_msg("%s", output);
    check(OWN_GENRE "mygenr --report r.json", 1, "did you mean \"mygenre\"");
    check(OWN_GENRE "lonely --report r.json", 1, "no instruments for the genre \"lonely\"");
}

static void wrong_usage_leaves_with_status_2(void **state)
{
    (void)state;
    check("\"$B\"/infer", 2, "expected a SONG (or --from-midi FILE)");
    check("\"$B\"/infer --from-midi x.mid -o out.wav --bpm 100", 2, "--bpm and --from-midi");
    check("\"$B\"/play --instrument bass --pitch 40 --picture x.png -o x", 2, "--picture draws a MIDI file");
    check("\"$B\"/infer song.wav", 2, "-o");
    check("\"$B\"/infer song.wav --report r.json --stems s", 2, "--stems needs a song");
    check("\"$B\"/infer song.wav -o out.wav --insturments bass", 2, "did you mean --instruments");
    check("\"$B\"/infer song.wav -o out.wav --bpm fast", 2, "expected a number");
    check("\"$B\"/infer song.wav -o out.wav --bpm 5", 2, "20 to 400");
    check("\"$B\"/infer song.wav -o out.wav --key \"H dur\"", 2, "--key");
    check("\"$B\"/infer song.wav -o out.wav --seed -7", 2, "seed");
    check("\"$B\"/infer song.wav -o out.wav --existing maybe", 2, "keep or drop");
    check("\"$B\"/infer song.wav -o out.wav --interval 3", 2, "START-END");
    check("\"$B\"/infer song.wav -o out.wav --interval 5-3", 2, "5-3");
    check("\"$B\"/infer song.wav more.wav -o out.wav", 2, "more.wav");
    check("\"$B\"/separate song.wav", 2, "-o");
    check("\"$B\"/separate -o x", 2, "argument is missing");
    check("\"$B\"/segment song.wav", 2, "-o");
    check("\"$B\"/classify", 2, "argument is missing");
    check("\"$B\"/render_tones", 2, "argument is missing");
    check("\"$B\"/play -o x", 2, "--midi");
    check("\"$B\"/play --instrument bass -o x", 2, "--pitch");
    check("\"$B\"/play --instrument bass --pitch 40 --seconds 99 -o x", 2, "--seconds");
}

static void help_and_version_leave_with_status_0(void **state)
{
    (void)state;
    assert_int_equal(run("\"$B\"/infer --help"), 0);
    assert_non_null(strstr(output, "--existing"));
    assert_int_equal(run("\"$B\"/infer --version"), 0);
    assert_int_equal(run("\"$B\"/play --help"), 0);
    assert_non_null(strstr(output, "--midi"));
}

/* With the checkpoints that ship. */
static void a_song_is_segmented_and_classified(void **state)
{
    (void)state;
    assert_int_equal(run("\"$B\"/segment --model models --tracks 2 data/demo_vocal.flac -o \"$T\"/tracks"), 0);
    assert_non_null(strstr(output, "% of the song"));
    assert_int_equal(run("ls \"$T\"/tracks/*.wav | wc -l | grep -qx 2"), 0);
    check("\"$B\"/classify --model models data/demo_vocal.flac", 0, "\"classical\"");
    check("\"$B\"/classify --model models \"$T\"/missing.wav", 1, "missing.wav");
    check("\"$B\"/segment --model models \"$T\"/missing.wav -o \"$T\"/tracks", 1, "missing.wav");
}

static void songs_that_cannot_be_read_are_named(void **state)
{
    (void)state;
    check(INFER "\"$T\"/missing.wav -o \"$T\"/out/x.wav", 1, "missing.wav");
    check(INFER "\"$T\"/out -o \"$T\"/out/x.wav", 1, "out");
    check(INFER "\"$T\"/empty.wav -o \"$T\"/out/x.wav", 1, "empty.wav");
    check(INFER "\"$T\"/text.wav -o \"$T\"/out/x.wav", 1, "text.wav");
    check(INFER "\"$T\"/cut.flac -o \"$T\"/out/x.wav", 1, "cut.flac");
    check(INFER "\"$T\"/none.wav -o \"$T\"/out/x.wav", 1, "none.wav");
    check(INFER "\"$T\"/nan.wav -o \"$T\"/out/x.wav", 1, "nan.wav");
}

static void songs_without_enough_in_them_are_named(void **state)
{
    (void)state;
    check(INFER "\"$T\"/silent.wav -o \"$T\"/out/x.wav", 1, "no sound in it");
    check(INFER "\"$T\"/quiet.wav -o \"$T\"/out/x.wav", 1, "no sound in it");
    check(INFER "\"$T\"/tiny.wav -o \"$T\"/out/x.wav", 1, "too short");
    check(INFER "\"$T\"/hour.flac -o \"$T\"/out/x.wav", 1, "hour.flac");
    check(INFER "\"$T\"/low.wav -o \"$T\"/out/x.wav", 1, "4000 Hz");
}

static void wishes_that_cannot_be_are_named(void **state)
{
    (void)state;
    check(INFER "\"$T\"/song.wav --report \"$T\"/out/r.x --midi \"$T\"/./out/r.x", 1, "given for both --midi and --report");
    check(INFER "\"$T\"/song.wav -o \"$T\"/./song.wav", 1, "would overwrite the song");
    check(INFER "\"$T\"/song.wav -o \"$T\"/out/bass.wav --stems \"$T\"/out", 1, "two of the files to be written have this name");
    check(INFER "\"$T\"/song.wav -o \"$T\"/out/x.wav --cache \"\"", 1, "--cache: expected a folder");
    check("\"$B\"/infer --model \"$T\" --quiet \"$T\"/song.wav -o \"$T\"/out/x.wav --genre rokc", 1, "rock");
    check("\"$B\"/infer --model \"$T\" --quiet \"$T\"/song.wav -o \"$T\"/out/x.wav --instruments bas", 1, "bass");
    check("\"$B\"/infer --model \"$T\" --quiet \"$T\"/song.wav -o \"$T\"/out/x.wav --genre rock --instruments \"piano, piano\"", 1, "twice");
    check(INFER "\"$T\"/song.wav -o \"$T\"/out/x.wav --interval 10-12", 1, "outside the song");
    check(INFER "\"$T\"/song.wav -o \"$T\"/out/x.wav --interval 1-12", 1, "outside the song");
}

static void models_that_cannot_be_used_are_named(void **state)
{
    static const char infer[] = "\"$B\"/infer --quiet --genre rock --instruments bass \"$T\"/song.wav -o \"$T\"/out/x.wav --model ";
    char line[1024];
    const struct { const char *model, *prepare, *part; } bad[] = {
        { "\"$T\"/nowhere", ":", "no such folder" },
        { "\"$T\"/empty_models", ":", "train_wavegan" },
        { "\"$T\"/bad_models", ":", "wavegan.h5" }, /* truncated */
        { "\"$T\"/bad_models", "cp \"$T\"/autoencoder.h5 \"$T\"/bad_models/wavegan.h5", "expected a wavegan" },
        { "\"$T\"/bad_models", "cp \"$T\"/text.wav \"$T\"/bad_models/wavegan.h5", "wavegan.h5" },
        { "\"$T\"/bad_models", "cp \"$T\"/wavegan.h5 \"$T\"/bad_models/wavegan.h5; printf XXXX | dd of=\"$T\"/bad_models/wavegan.h5"
                               " bs=1 seek=200000 conv=notrunc 2>/dev/null", "wavegan.h5" }, /* damaged */
        { "\"$T\"/bad_models", "cp \"$T\"/wavegan.h5 \"$T\"/bad_models/wavegan.h5", "train_bilstm" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(run(bad[i].prepare), 0);
        snprintf(line, sizeof line, "%s%s", infer, bad[i].model);
        check(line, 1, bad[i].part);
    }
}

static void configs_and_plans_with_slips_are_named(void **state)
{
    (void)state;
    write_text("a.ini", "[mix]\nlevle = 3\n");
    write_text("b.ini", "[mixx]\nlevel = 3\n");
    write_text("c.ini", "[mix]\npan left\n");
    write_text("d.json", "{\"tempo\": -3}");
    write_text("e.json", "{\"notes\": [{\"instrument\": \"bass\", \"onset\": 99, \"offset\": 100, \"pitch\": 40, \"velocity\": 80}]}");
    check(INFER "\"$T\"/song.wav -o \"$T\"/out/x.wav --config \"$T\"/a.ini", 1, "a.ini");
    check(INFER "\"$T\"/song.wav -o \"$T\"/out/x.wav --config \"$T\"/b.ini", 1, "[mixx]");
    check(INFER "\"$T\"/song.wav -o \"$T\"/out/x.wav --config \"$T\"/c.ini", 1, "c.ini");
    check(INFER "\"$T\"/song.wav -o \"$T\"/out/x.wav --config \"$T\"/none.ini", 1, "none.ini");
    check(INFER "\"$T\"/song.wav -o \"$T\"/out/x.wav --plan \"$T\"/d.json", 1, "tempo");
    check(INFER "\"$T\"/song.wav -o \"$T\"/out/x.wav --plan \"$T\"/e.json", 1, "beyond the song's end");
    check(INFER "\"$T\"/song.wav -o \"$T\"/out/x.wav --plan \"$T\"/none.json", 1, "none.json");
    check(INFER "\"$T\"/song.wav -o \"$T\"/out/x.wav --plan \"$T\"/song.wav", 1, "song.wav");
}

static void places_that_cannot_be_written_are_named(void **state)
{
    (void)state;
    check(INFER "\"$T\"/song.wav -o \"$T\"/nowhere/x.wav", 1, "nowhere");
    check(INFER "\"$T\"/song.wav -o \"$T\"/out", 1, "out");
    check(INFER "\"$T\"/song.wav -o \"$T\"/out/x.xyz", 1, "extension");
    check(INFER "\"$T\"/song.wav -o \"$T\"/song.wav", 1, "overwrite");
    check(INFER "\"$T\"/song.wav -o \"$T\"/out/x.wav --stems \"$T\"/text.wav", 1, "text.wav");
    check(INFER "\"$T\"/song.wav -o \"$T\"/out/x.wav --report \"$T\"/nowhere/r.json", 1, "r.json");
    check(INFER "\"$T\"/song.wav -o \"$T\"/out/x.wav --midi \"$T\"/out/x.wav", 1, "both");
    if (geteuid() != 0) { /* nothing is read-only for root */
        run("mkdir -p \"$T\"/locked && chmod 555 \"$T\"/locked");
        check(INFER "\"$T\"/song.wav -o \"$T\"/locked/x.wav", 1, "locked");
    }
}

static void a_full_disk_is_reported_and_leaves_nothing(void **state)
{
    (void)state;
    /* a limit on the size of files fails like a disk that is full */
    check("trap '' XFSZ; ulimit -f 100; " INFER "\"$T\"/song.wav -o \"$T\"/out/x.wav --stems \"$T\"/out/stems", 1, ".wav: cannot write");
}

static void a_song_is_rendered_and_the_summary_tells(void **state)
{
    (void)state;
    assert_int_equal(run("\"$B\"/infer \"$T\"/song.flac -o \"$T\"/out/x.flac --model \"$T\" --genre rock"
                         " --instruments \"violin, bass\" --stems \"$T\"/out/stems --midi \"$T\"/out/x.mid --report"
                         " \"$T\"/out/x.json --picture \"$T\"/out/x.png"), 0);
    assert_non_null(strstr(output, "violin is replaced by electric guitar"));
    assert_non_null(strstr(output, "dBTP"));
    assert_int_equal(n_files(temporary_path("out")), 5);
    assert_int_equal(n_files(temporary_path("out/stems")), 3);
    assert_int_equal(run("\"$B\"/play --model \"$T\" --midi \"$T\"/out/x.mid -o \"$T\"/out/midi.wav"), 0);
    assert_true(bl_is_file(temporary_path("out/midi.wav")));
    run("rm -r \"$T\"/out/*");
}

static void tones_are_played_into_a_folder(void **state)
{
    (void)state;
    assert_int_equal(run("\"$B\"/play --model \"$T\" --instrument Electric_Guitar --pitch 40,E3,59-60 --seconds 0.5"
                         " -o \"$T\"/out/tones"), 0);
    assert_int_equal(n_files(temporary_path("out/tones")), 4);
    assert_true(bl_is_file(temporary_path("out/tones/electric_guitar_52.wav")));
    run("rm -r \"$T\"/out/*");
    check("\"$B\"/play --model \"$T\" --instrument flute --pitch 60 -o \"$T\"/out/t", 1, "has not learned");
    check("\"$B\"/play --model \"$T\" --instrument bass --pitch X -o \"$T\"/out/t", 1, "--pitch");
    check("\"$B\"/play --model \"$T\" --instrument bass --pitch 130 -o \"$T\"/out/t", 1, "--pitch");
    check("\"$B\"/play --model \"$T\" --midi \"$T\"/text.wav -o \"$T\"/out/x.wav", 1, "text.wav");
}

static void a_song_is_parted_into_files_that_sum_to_it(void **state)
{
    audio_clip song = { 0 }, voice = { 0 }, rest = { 0 };
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(run("\"$B\"/separate --model \"$T\" \"$T\"/song.flac -o \"$T\"/out/parts"), 0);
    assert_int_equal(audio_read(temporary_path("song.flac"), 60, &song, &err), BL_OK);
    assert_int_equal(audio_read(temporary_path("out/parts/voice.wav"), 60, &voice, &err), BL_OK);
    assert_int_equal(audio_read(temporary_path("out/parts/rest.wav"), 60, &rest, &err), BL_OK);
    assert_int_equal(voice.n_samples, song.n_samples);
    for (int64_t i = 0; i < song.n_samples * song.n_channels; i++)
        assert_true(voice.samples[i] + rest.samples[i] == song.samples[i]);
    audio_clip_free(&song), audio_clip_free(&voice), audio_clip_free(&rest);
    assert_int_equal(run("rm -r \"$T\"/out/parts"), 0);
    check("\"$B\"/separate --model \"$T\"/empty_models \"$T\"/song.flac -o \"$T\"/out/parts", 1, "train_separator");
    check("\"$B\"/separate --model \"$T\" \"$T\"/text.wav -o \"$T\"/out/parts", 1, "text.wav");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_users_own_style_file_is_a_genre),
        cmocka_unit_test(wrong_usage_leaves_with_status_2),
        cmocka_unit_test(help_and_version_leave_with_status_0),
        cmocka_unit_test(songs_that_cannot_be_read_are_named),
        cmocka_unit_test(songs_without_enough_in_them_are_named),
        cmocka_unit_test(wishes_that_cannot_be_are_named),
        cmocka_unit_test(models_that_cannot_be_used_are_named),
        cmocka_unit_test(configs_and_plans_with_slips_are_named),
        cmocka_unit_test(places_that_cannot_be_written_are_named),
        cmocka_unit_test(a_full_disk_is_reported_and_leaves_nothing),
        cmocka_unit_test(a_song_is_rendered_and_the_summary_tells),
        cmocka_unit_test(tones_are_played_into_a_folder),
        cmocka_unit_test(a_song_is_parted_into_files_that_sum_to_it),
        cmocka_unit_test(a_song_is_segmented_and_classified),
    };
    return cmocka_run_group_tests(tests, make, remove_all);
}
