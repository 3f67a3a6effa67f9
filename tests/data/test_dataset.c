#include "tests/data/tree.h"

#include "data/dataset.h"
#include "data/instruments.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/message.h"

static data_dataset *open_tree(const char *name)
{
    bl_error err = { 0 };
    data_dataset *d = data_dataset_open(tree_path(name), NULL, &err);
    if (!d)
        fail_msg("%s", err.msg);
    return d;
}

static const data_song *song_called(const data_dataset *d, const char *name)
{
    for (int i = 0; i < d->n_songs; i++)
        if (!strcmp(d->songs[i].name, name))
            return &d->songs[i];
    fail_msg("no song %s", name);
    return NULL;
}

static const data_stem *stem_called(const data_song *song, const char *name)
{
    for (int i = 0; i < song->n_stems; i++)
        if (!strcmp(song->stems[i].name, name))
            return &song->stems[i];
    fail_msg("no stem %s", name);
    return NULL;
}

static void loose_files_are_songs_in_order(void **state)
{
    (void)state;
    tree_sound("loose/b.wav", 0.4, 60, 8000, 2);
    tree_sound("loose/a.flac", 0.5, 62, 11025, 1);
    tree_sound("loose/.hidden.wav", 0.5, 62, 8000, 1);
    tree_text("loose/readme.txt", "not audio");
    data_dataset *d = open_tree("loose");
    assert_int_equal(d->n_songs, 2);
    assert_string_equal(d->songs[0].name, "a");
    assert_string_equal(d->songs[1].name, "b");
    assert_int_equal(d->layout_count[DATA_LOOSE], 2);
    assert_int_equal(d->n_genres, 0);
    assert_int_equal(d->songs[0].genre, -1);
    assert_non_null(d->songs[0].mixture);
    assert_true(fabs(d->songs[0].duration_s - 0.5) < 1e-3);
    assert_int_equal(d->n_skipped, 0);
    data_dataset_free(d);
}

static void a_folder_per_genre_labels_genres(void **state)
{
    char name[64];
    (void)state;
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "gtzan/rock/rock.0000%d.wav", i);
        tree_sound(name, 0.3, 60 + i, 8000, 1);
        snprintf(name, sizeof name, "gtzan/hiphop/hiphop.0000%d.wav", i);
        tree_sound(name, 0.3, 60 + i, 8000, 1);
        snprintf(name, sizeof name, "gtzan/sea shanty/s%d.wav", i);
        tree_sound(name, 0.3, 60 + i, 8000, 1);
    }
    data_dataset *d = open_tree("gtzan");
    assert_int_equal(d->n_songs, 9);
    assert_int_equal(d->n_genres, 3);
    assert_string_equal(d->genres[0], "hip-hop");
    assert_string_equal(d->genres[1], "rock");
    assert_string_equal(d->genres[2], "sea shanty");
    assert_string_equal(d->genres[song_called(d, "rock/rock.00001")->genre], "rock");
    assert_int_equal(song_called(d, "rock/rock.00001")->n_stems, 0);
    assert_int_equal(data_dataset_genre(d, "Hip Hop"), 0);
    assert_int_equal(d->layout_count[DATA_GENRES], 9);
    data_dataset_free(d);
}

static void a_folder_per_instrument_labels_instruments(void **state)
{
    (void)state;
    tree_sound("notes/alto_sax/mf_01.wav", 0.3, 60, 8000, 1);
    tree_sound("notes/piano/piano.wav", 0.3, 60, 8000, 1);
    tree_sound("notes/piano/soft_C4.wav", 0.3, 60, 8000, 1);
    data_dataset *d = open_tree("notes");
    assert_int_equal(d->n_songs, 3);
    const data_song *sax = song_called(d, "alto_sax/mf_01"), *piano = song_called(d, "piano/soft_C4");
    assert_int_equal(sax->n_stems, 1);
    assert_string_equal(data_instrument_name(sax->stems[0].instrument), "saxophone");
    assert_string_equal(data_instrument_name(piano->stems[0].instrument), "piano");
    data_dataset_free(d);
    d = open_tree("notes/alto_sax"); /* the name of the folder given counts too */
    assert_string_equal(data_instrument_name(d->songs[0].stems[0].instrument), "saxophone");
    data_dataset_free(d);
}

static void make_musdb(void)
{
    static const char *const stems[] = { "drums", "bass", "other", "vocals", "mixture" };
    char name[128];
    for (int s = 0; s < 3; s++)
        for (size_t i = 0; i < 5; i++) {
            snprintf(name, sizeof name, "musdb/%s/Band - Song %d/%s.wav", s == 2 ? "test" : "train", s, stems[i]);
            tree_sound(name, 0.5, 48 + 5 * (double)i, 8000, 2);
        }
}

static void a_folder_of_stems_is_one_song(void **state)
{
    (void)state;
    make_musdb();
    data_dataset *d = open_tree("musdb");
    assert_int_equal(d->n_songs, 3);
    const data_song *song = song_called(d, "train/Band - Song 0");
    assert_int_equal(song->layout, DATA_STEMS);
    assert_int_equal(song->n_stems, 4);
    assert_non_null(song->mixture);
    assert_non_null(song->vocals);
    assert_non_null(strstr(song->vocals, "vocals.wav"));
    assert_string_equal(data_instrument_name(stem_called(song, "bass")->instrument), "bass");
    assert_int_equal(stem_called(song, "other")->instrument, -1);
    assert_string_equal(song->stems[0].name, "bass"); /* by instrument name: bass, drums, unknown, voice */
    assert_int_equal(song->split, DATA_TRAIN);
    assert_int_equal(song_called(d, "test/Band - Song 2")->split, DATA_VALIDATION);
    data_dataset_free(d);
}

static void slakh_folders_are_songs(void **state)
{
    (void)state;
    tree_sound("slakh/Track00001/mix.flac", 0.5, 60, 8000, 1);
    tree_sound("slakh/Track00001/stems/S00.flac", 0.5, 60, 8000, 1);
    tree_sound("slakh/Track00001/stems/S01.flac", 0.5, 50, 8000, 1);
    tree_text("slakh/Track00001/MIDI/S00.mid", "x");
    tree_text("slakh/Track00001/all_src.mid", "x");
    tree_text("slakh/Track00001/metadata.yaml", "stems:\n  S00:\n    program_num: 0\n    is_drum: false\n  S01:\n    is_drum: true\n    program_num: 0\n");
    data_dataset *d = open_tree("slakh");
    assert_int_equal(d->n_songs, 1);
    const data_song *song = &d->songs[0];
    assert_int_equal(song->n_stems, 2);
    assert_string_equal(data_instrument_name(stem_called(song, "S00")->instrument), "piano");
    assert_string_equal(data_instrument_name(stem_called(song, "S01")->instrument), "drums");
    assert_non_null(stem_called(song, "S00")->midi_path);
    assert_null(stem_called(song, "S01")->midi_path);
    assert_non_null(strstr(song->midi_path, "all_src.mid"));
    data_dataset_free(d);
}

static void nsynth_notes_have_pitch_and_velocity(void **state)
{
    (void)state;
    tree_sound("nsynth-valid/audio/guitar_acoustic_001-060-100.wav", 0.5, 60, 16000, 1);
    tree_sound("nsynth-valid/audio/reed_acoustic_002-050-075.wav", 0.5, 50, 16000, 1);
    tree_text("nsynth-valid/examples.json",
              "{\"guitar_acoustic_001-060-100\": {\"pitch\": 60, \"velocity\": 100, \"instrument_str\": \"guitar_acoustic_001\","
              " \"instrument_family_str\": \"guitar\", \"instrument_source_str\": \"acoustic\"},\n"
              "\"reed_acoustic_002-050-075\": {\"pitch\": 50, \"velocity\": 75, \"instrument_str\": \"reed_acoustic_002\","
              " \"instrument_family_str\": \"reed\", \"instrument_source_str\": \"acoustic\"},\n"
              "\"gone-001\": {\"pitch\": 50, \"velocity\": 75, \"instrument_family_str\": \"bass\"}}");
    data_dataset *d = open_tree("nsynth-valid");
    assert_int_equal(d->n_songs, 2);
    assert_int_equal(d->layout_count[DATA_NSYNTH], 2);
    const data_song *guitar = song_called(d, "guitar_acoustic_001-060-100");
    assert_string_equal(data_instrument_name(guitar->stems[0].instrument), "acoustic guitar");
    assert_int_equal(guitar->stems[0].pitch, 60);
    assert_int_equal(guitar->stems[0].velocity, 100);
    assert_string_equal(guitar->group, "guitar_acoustic_001");
    assert_int_equal(guitar->split, DATA_VALIDATION);
    assert_int_equal(d->n_skipped, 1);
    assert_non_null(strstr(d->skipped[0].reason, "named in examples.json"));
    data_dataset_free(d);
}

static void nested_song_folders_and_annotations_are_found(void **state)
{
    (void)state;
    tree_sound("nested/song_001/electric_guitar.wav", 0.5, 60, 8000, 1);
    tree_sound("nested/song_001/drums.wav", 0.5, 60, 8000, 1);
    tree_sound("nested/song_001/mixture.wav", 0.5, 60, 8000, 1);
    tree_text("nested/song_001/electric_guitar.mid", "x");
    tree_text("nested/song_001/mixture.mid", "x");
    tree_sound("nested/tones/piano_chromatic/piano.wav", 0.5, 60, 8000, 1);
    tree_text("nested/tones/piano_chromatic/piano.mid", "x");
    tree_text("nested/metadata.csv", "file,genre,title\nsong_001,Rock,First\nlost.wav,jazz,\n");
    data_dataset *d = open_tree("nested");
    assert_int_equal(d->n_songs, 2);
    const data_song *song = song_called(d, "song_001"), *tones = song_called(d, "tones/piano_chromatic");
    assert_non_null(stem_called(song, "electric_guitar")->midi_path);
    assert_null(stem_called(song, "drums")->midi_path);
    assert_non_null(song->midi_path);
    assert_string_equal(song->metadata.title, "First");
    assert_string_equal(d->genres[song->genre], "rock");
    assert_int_equal(tones->n_stems, 1);
    assert_non_null(tones->stems[0].midi_path);
    assert_int_equal(d->unmatched_rows, 1);
    data_dataset_free(d);
}

static void links_in_circles_end(void **state)
{
    (void)state;
    tree_sound("circle/one/a.wav", 0.3, 60, 8000, 1);
    assert_int_equal(symlink("..", tree_path("circle/one/up")), 0);
    assert_int_equal(symlink(".", tree_path("circle/self")), 0);
    assert_int_equal(symlink("nowhere.wav", tree_path("circle/dangling.wav")), 0);
    data_dataset *d = open_tree("circle");
    assert_int_equal(d->n_songs, 1);
    assert_int_equal(d->n_skipped, 1); /* the dangling link */
    data_dataset_free(d);
}

static void metadata_and_sidecars_reach_their_songs(void **state)
{
    (void)state;
    tree_sound("meta/x/one.wav", 0.3, 60, 8000, 1);
    tree_sound("meta/x/two.wav", 0.3, 60, 8000, 1);
    tree_sound("meta/x/three.wav", 0.3, 60, 8000, 1);
    tree_text("meta/metadata.csv", "file,genre,artist,instruments\nx/one.wav,Jazz,A,piano;double bass\ntwo,Pop,B,sax\n");
    tree_text("meta/x/two.json", "{\"artist\": \"C\", \"genre\": \"Rock\"}");
    tree_text("meta/x/three.json", "{\"artist\": ");
    data_dataset *d = open_tree("meta");
    const data_song *one = song_called(d, "x/one"), *two = song_called(d, "x/two"), *three = song_called(d, "x/three");
    assert_string_equal(one->metadata.artist, "A");
    assert_int_equal(one->metadata.n_instruments, 2);
    assert_string_equal(d->genres[one->genre], "jazz");
    assert_int_equal(one->n_stems, 0);
    assert_string_equal(two->metadata.artist, "C"); /* the sidecar is nearer */
    assert_string_equal(d->genres[two->genre], "rock");
    assert_int_equal(two->n_stems, 1);
    assert_string_equal(data_instrument_name(two->stems[0].instrument), "saxophone");
    assert_int_equal(three->genre, -1);
    assert_int_equal(d->n_skipped, 1); /* the broken sidecar; its song stays */
    assert_non_null(strstr(d->skipped[0].path, "three.json"));
    data_dataset_free(d);
}

static int n_reported;
static void on_skip(void *user, const char *path, const char *reason)
{
    (void)user;
    assert_true(*path && *reason);
    n_reported++;
}

static void broken_files_are_reported_and_skipped(void **state)
{
    bl_error err = { 0 };
    audio_clip clip = { 0 };
    (void)state;
    tree_sound("broken/good.wav", 0.3, 60, 8000, 1);
    tree_text("broken/text.wav", "this is text");
    tree_text("broken/empty.flac", "");
    assert_int_equal(audio_clip_new(&clip, 1, 800, 8000, NULL), BL_OK);
    clip.samples[7] = 0.5f;
    tree_write("broken/late.wav", &clip);
    audio_clip_free(&clip);
    FILE *f = fopen(tree_path("broken/late.wav"), "r+b"); /* a value that is not finite: found when it is decoded */
    assert_non_null(f);
    const float bad = NAN;
    fseek(f, -4, SEEK_END);
    fwrite(&bad, 4, 1, f);
    fclose(f);
    n_reported = 0;
    const data_dataset_options options = { .on_skip = on_skip };
    data_dataset *d = data_dataset_open(tree_path("broken"), &options, &err);
    assert_non_null(d);
    assert_int_equal(d->n_songs, 2);
    assert_int_equal(d->n_skipped, 2);
    assert_null(data_dataset_audio(d, song_called(d, "late")->mixture, 8000, &err));
    assert_message(err, "late.wav");
    assert_null(data_dataset_audio(d, song_called(d, "late")->mixture, 8000, NULL));
    assert_int_equal(d->n_skipped, 3);
    assert_int_equal(n_reported, 3);
    data_dataset_free(d);
}

static void refuse(const char *folder, bl_status code, const char *message)
{
    bl_error err = { 0 };
    assert_null(data_dataset_open(tree_path(folder), NULL, &err));
    assert_int_equal(err.code, code);
    assert_message(err, message);
}

static void a_folder_with_nothing_usable_is_an_error(void **state)
{
    (void)state;
    tree_text("nothing/readme.txt", "hello");
    refuse("nothing", BL_EFORMAT, "no audio files in this folder or below it");
    tree_text("useless/a.wav", "hello");
    refuse("useless", BL_EFORMAT, "nothing usable: 1 file skipped, the first a.wav");
    refuse("missing", BL_EIO, "no such folder");
    refuse("nothing/readme.txt", BL_EIO, "a file; expected a folder");
    tree_sound("badcsv/a.wav", 0.3, 60, 8000, 1);
    tree_text("badcsv/metadata.csv", "file,genre\na.wav\n");
    refuse("badcsv", BL_EFORMAT, "metadata.csv line 2: 1 fields, but the header has 2");
    tree_sound("badnsynth/audio/a.wav", 0.3, 60, 8000, 1);
    tree_text("badnsynth/examples.json", "{\"a\": ");
    refuse("badnsynth", BL_EFORMAT, "examples.json line 1");
}

static void the_split_depends_on_the_name_alone(void **state)
{
    char name[64];
    int held_out = 0;
    (void)state;
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "split/song%d.wav", i);
        tree_sound(name, 0.2, 60, 8000, 1);
        if (i % 2) {
            snprintf(name, sizeof name, "half/song%d.wav", i);
            tree_sound(name, 0.2, 60, 8000, 1);
        }
    }
    data_dataset *d = open_tree("split"), *half = open_tree("half");
    for (int i = 0; i < d->n_songs; i++)
        held_out += d->songs[i].split == DATA_VALIDATION;
    assert_in_range(held_out, 3, 18); /* 9 expected */
    for (int i = 0; i < half->n_songs; i++)
        assert_int_equal(half->songs[i].split, song_called(d, half->songs[i].name)->split);
    data_dataset_free(half);
    data_dataset_free(d);

    tree_sound("two/a.wav", 0.2, 60, 8000, 1);
    tree_sound("two/b.wav", 0.2, 60, 8000, 1);
    d = open_tree("two");
    assert_int_equal((d->songs[0].split == DATA_VALIDATION) + (d->songs[1].split == DATA_VALIDATION), 1);
    data_dataset_free(d);
}

static void audio_comes_at_the_rate_asked_for_and_memory_is_bounded(void **state)
{
    bl_error err = { 0 };
    char name[64];
    (void)state;
    for (int i = 0; i < 6; i++) { /* 6 files of 10 s at 16 kHz: 3.8 MB decoded; 1 MB may stay */
        snprintf(name, sizeof name, "cache/f%d.wav", i);
        tree_sound(name, 10, 60, 16000, 2);
    }
    const data_dataset_options options = { .max_cache_mb = 1 };
    data_dataset *d = data_dataset_open(tree_path("cache"), &options, &err);
    assert_non_null(d);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < d->n_songs; i++) {
            const audio_clip *c = data_dataset_audio(d, d->songs[i].mixture, 8000, &err);
            assert_non_null(c);
            assert_int_equal(c->n_channels, 1);
            assert_int_equal(c->sample_rate, 8000);
            assert_int_equal(c->n_samples, 80000);
            assert_ptr_equal(c, data_dataset_audio(d, d->songs[i].mixture, 8000, &err));
            c = data_dataset_audio(d, d->songs[i].mixture, 0, &err);
            assert_int_equal(c->n_channels, 2);
            assert_int_equal(c->sample_rate, 16000);
        }
    data_dataset_free(d);
}

static void a_song_without_mixture_is_the_sum_of_its_stems(void **state)
{
    bl_error err = { 0 };
    audio_clip sum = { 0 };
    (void)state;
    tree_sound("sum/song/bass.wav", 0.5, 40, 8000, 1);
    tree_sound("sum/song/piano.wav", 0.8, 64, 8000, 1);
    data_dataset *d = open_tree("sum");
    assert_int_equal(data_song_audio(d, &d->songs[0], 8000, &sum, &err), BL_OK);
    assert_int_equal(sum.n_samples, 6400);
    const audio_clip *bass = data_dataset_audio(d, stem_called(&d->songs[0], "bass")->path, 8000, &err);
    float expected = bass->samples[1234];
    expected += data_dataset_audio(d, stem_called(&d->songs[0], "piano")->path, 8000, &err)->samples[1234];
    assert_true(fabsf(sum.samples[1234] - expected) < 1e-6f);
    audio_clip_free(&sum);
    data_dataset_free(d);
}

static void the_summary_counts_levels_clipping_and_silence(void **state)
{
    bl_error err = { 0 };
    data_summary s;
    audio_clip clip = { 0 };
    (void)state;
    tree_sound("doctor/rock/a.wav", 0.5, 60, 8000, 1);
    assert_int_equal(audio_clip_new(&clip, 1, 4000, 8000, NULL), BL_OK);
    tree_write("doctor/rock/silent.wav", &clip);
    for (int i = 100; i < 200; i++)
        clip.samples[i] = 1;
    tree_write("doctor/jazz/clipped.wav", &clip);
    audio_clip_free(&clip);
    data_dataset *d = open_tree("doctor");
    assert_int_equal(data_dataset_check(d, 1, &s, &err), BL_OK);
    assert_int_equal(s.n_songs, 3);
    assert_int_equal(s.n_files, 3);
    assert_int_equal(s.n_silent, 1);
    assert_int_equal(s.n_clipped, 1);
    assert_int_equal(s.genre_songs[data_dataset_genre(d, "rock")], 2);
    assert_true(fabs(s.seconds - 1.5) < 1e-6 && fabs(s.peak_db) < 1e-6);
    FILE *f = fopen(tree_path("summary.txt"), "w");
    data_summary_print(d, &s, f);
    fclose(f);
    char *text = NULL;
    assert_int_equal(bl_read_file(tree_path("summary.txt"), 100000, &text, NULL, &err), BL_OK);
    assert_non_null(strstr(text, "3 songs in 3 files"));
    assert_non_null(strstr(text, "1 clipped, 1 silent"));
    free(text);
    data_summary_free(&s);
    data_dataset_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loose_files_are_songs_in_order),
        cmocka_unit_test(a_folder_per_genre_labels_genres),
        cmocka_unit_test(a_folder_per_instrument_labels_instruments),
        cmocka_unit_test(a_folder_of_stems_is_one_song),
        cmocka_unit_test(slakh_folders_are_songs),
        cmocka_unit_test(nsynth_notes_have_pitch_and_velocity),
        cmocka_unit_test(nested_song_folders_and_annotations_are_found),
        cmocka_unit_test(links_in_circles_end),
        cmocka_unit_test(metadata_and_sidecars_reach_their_songs),
        cmocka_unit_test(broken_files_are_reported_and_skipped),
        cmocka_unit_test(a_folder_with_nothing_usable_is_an_error),
        cmocka_unit_test(the_split_depends_on_the_name_alone),
        cmocka_unit_test(audio_comes_at_the_rate_asked_for_and_memory_is_bounded),
        cmocka_unit_test(a_song_without_mixture_is_the_sum_of_its_stems),
        cmocka_unit_test(the_summary_counts_levels_clipping_and_silence),
    };
    return cmocka_run_group_tests(tests, tree_make, tree_remove);
}
