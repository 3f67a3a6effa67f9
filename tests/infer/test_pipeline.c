/* The whole chain on a short synthesized voice, with untrained models, and with the shipped ones where there are some. */
#include "tests/temporary.h"

#include "audio/loudness.h"
#include "infer/pipeline.h"
#include "music/midi.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/infer/models.h"
#include "tests/infer/song.h"
#include "tests/message.h"

static char out_folder[BL_PATH_MAX], stems_folder[BL_PATH_MAX];
static char mono_song[BL_PATH_MAX], stereo_song[BL_PATH_MAX];

static int make(void **state)
{
    bl_error err = { 0 };
    if (temporary_make(state) != 0)
        return -1;
    models_make(temporary_folder);
    snprintf(out_folder, sizeof out_folder, "%s", temporary_path("out"));
    snprintf(mono_song, sizeof mono_song, "%s", temporary_path("mono.wav"));
    snprintf(stereo_song, sizeof stereo_song, "%s", temporary_path("stereo.flac"));
    audio_clip mono = song_voice(8.123, 44100, 1), stereo = song_voice(6, 48000, 2);
    if (bl_make_folder(out_folder, &err) != BL_OK || audio_write(mono_song, &mono, AUDIO_ENCODING_DEFAULT, &err) != BL_OK ||
        audio_write(stereo_song, &stereo, AUDIO_ENCODING_DEFAULT, &err) != BL_OK)
        return -1;
    audio_clip_free(&mono);
    audio_clip_free(&stereo);
    return 0;
}

/* A path in the folder of outputs; lives as long as the program. */
static const char *out_path(const char *name)
{
    static char path[16][BL_PATH_MAX];
    int i = 0;
    while (i < 15 && path[i][0] && strcmp(bl_path_name(path[i]), name) != 0)
        i++;
    bl_path_join(path[i], out_folder, name, NULL);
    return path[i];
}

static void empty(const char *folder)
{
    char **names, path[BL_PATH_MAX];
    int n;
    if (bl_list_folder(folder, &names, &n, NULL) != BL_OK)
        return;
    for (int i = 0; i < n; i++)
        if (bl_path_join(path, folder, names[i], NULL) == BL_OK && unlink(path) != 0) {
            empty(path);
            rmdir(path);
        }
    bl_names_free(names, n);
}

static int n_outputs(void)
{
    char **names;
    int n = -1;
    if (bl_list_folder(out_folder, &names, &n, NULL) == BL_OK)
        bl_names_free(names, n);
    return n;
}

static int clean(void **state)
{
    (void)state;
    empty(out_folder);
    strcpy(stems_folder, out_path("stems"));
    return 0;
}

static int remove_all(void **state)
{
    empty(out_folder);
    return temporary_remove(state);
}

static infer_options options_for(const char *song)
{
    return (infer_options){ .song = song, .out = out_path("song.wav"), .model = temporary_folder, .genre = "rock",
                            .instruments = "electric guitar, bass, drums", .stems = stems_folder, .midi = out_path("song.mid"),
                            .report = out_path("report.json"), .seed = -1, .quiet = 1, .no_cache = 1 };
}

static infer_plan run_it(infer_options o)
{
    bl_error err = { 0 };
    infer_plan p = { 0 };
    if (infer_pipeline_run(&o, &p, &err) != BL_OK)
        fail_msg("%s", err.msg);
    return p;
}

static audio_clip read_clip(const char *path)
{
    bl_error err = { 0 };
    audio_clip c = { 0 };
    if (audio_read(path, 0, &c, &err) != BL_OK)
        fail_msg("%s", err.msg);
    return c;
}

static void assert_same_file(const char *a, const char *b)
{
    char *x, *y;
    size_t n, m;
    assert_int_equal(bl_read_file(a, 1u << 30, &x, &n, NULL), BL_OK);
    assert_int_equal(bl_read_file(b, 1u << 30, &y, &m, NULL), BL_OK);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

/* Mix and stems: shape, sum, peaks. */
static void check_audio(const char *song, const char *const *stems, int n_stems)
{
    audio_clip in = read_clip(song), mix = read_clip(out_path("song.wav"));
    float *sum = calloc((size_t)(mix.n_samples * mix.n_channels), sizeof *sum);
    audio_loudness loud;
    bl_error err = { 0 };
    char **names;
    int n;
    assert_int_equal(mix.n_samples, in.n_samples);
    assert_int_equal(mix.n_channels, in.n_channels);
    assert_int_equal(mix.sample_rate, in.sample_rate);
    assert_int_equal(bl_list_folder(stems_folder, &names, &n, &err), BL_OK);
    assert_int_equal(n, n_stems);
    bl_names_free(names, n);
    /* in the mixer's order: the lead, then the band as it stands in the plan */
    for (int i = 0; i < n_stems; i++) {
        char path[BL_PATH_MAX];
        double power = 0;
        bl_path_join(path, stems_folder, stems[i], NULL);
        audio_clip stem = read_clip(path);
        assert_int_equal(stem.n_samples, in.n_samples);
        assert_int_equal(stem.n_channels, in.n_channels);
        assert_int_equal(stem.sample_rate, in.sample_rate);
        for (int64_t k = 0; k < stem.n_samples * stem.n_channels; k++) {
            sum[k] += stem.samples[k];
            power += (double)stem.samples[k] * (double)stem.samples[k];
        }
        assert_true(power / (double)stem.n_samples > 1e-8);
        audio_clip_free(&stem);
    }
    int64_t top = 0;
    for (int64_t k = 0; k < mix.n_samples * mix.n_channels; k++)
        if (fabsf(sum[k]) > fabsf(sum[top]))
            top = k;
    const double gain = (double)mix.samples[top] / (double)sum[top];
    for (int64_t k = 0; k < mix.n_samples * mix.n_channels; k++) /* one rounding of the gain, one of the product */
        assert_true(fabs((double)mix.samples[k] - gain * (double)sum[k]) <= 3e-7 * fabs((double)mix.samples[k]) + 1e-30);
    assert_int_equal(audio_loudness_measure(&mix, &loud, &err), BL_OK);
    assert_true(loud.true_peak_dbtp <= -1);
    free(sum);
    audio_clip_free(&in);
    audio_clip_free(&mix);
}

static const char *const band_stems[] = { "vocal.wav", "electric_guitar.wav", "bass.wav", "drums.wav" };

static void check_notes(const infer_plan *p)
{
    music_key key;
    assert_true(music_key_parse(p->key, &key));
    for (int t = 0; t < p->score.n_tracks; t++) {
        const music_track *track = &p->score.tracks[t];
        for (int i = 0; i < track->n_notes; i++) {
            const music_note *n = &track->notes[i];
            unsigned classes = music_key_classes(key);
            assert_true(n->onset_s >= 0 && n->onset_s < p->duration_s && n->offset_s > n->onset_s);
            for (int c = 0; c < p->n_chords; c++) {
                music_chord chord;
                if (p->chords[c].start_s <= n->offset_s && p->chords[c].end_s >= n->onset_s &&
                    music_chord_parse(p->chords[c].name, &chord))
                    classes |= music_chord_classes(chord);
            }
            assert_true(track->is_drums || classes >> n->pitch % 12 & 1);
        }
    }
}

static void a_voice_becomes_a_song_with_stems_midi_and_report(void **state)
{
    (void)state;
    bl_error err = { 0 };
    infer_plan p = run_it(options_for(mono_song)), read;
    music_score score;
    check_audio(mono_song, band_stems, 4);
    assert_string_equal(p.input, "vocal");
    assert_int_equal(p.n_instruments, 3);
    assert_int_equal(p.score.n_tracks, 3);
    if (p.n_melody < 8 || p.n_beats < 8 || p.n_chords < 2 || p.n_stages < 5)
        fail_msg("%d notes, %d beats, %d chords, %d stages", p.n_melody, p.n_beats, p.n_chords, p.n_stages);
    assert_true(p.peak_rss_mb > 1 && p.seconds > 0);
    check_notes(&p);
    assert_int_equal(infer_plan_read(out_path("report.json"), &read, &err), BL_OK);
    assert_string_equal(read.key, p.key);
    assert_int_equal(music_midi_read(out_path("song.mid"), &score, &err), BL_OK);
    assert_int_equal(score.n_tracks, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(score.tracks[i].n_notes, infer_plan_track(&p, score.tracks[i].name)->n_notes);
    music_score_free(&score);
    infer_plan_free(&read);
    infer_plan_free(&p);
}

static void the_plan_alone_has_the_notes_that_a_song_would_have(void **state)
{
    (void)state;
    bl_error err = { 0 };
    infer_options o = options_for(mono_song);
    infer_plan played = run_it(o), planned, read;
    clean(NULL);
    o.out = o.stems = NULL;
    planned = run_it(o);
    assert_int_equal(n_outputs(), 2); /* report and MIDI */
    assert_true(isnan(planned.mix_lufs) && isfinite(played.mix_lufs));
    assert_int_equal(infer_plan_read(out_path("report.json"), &read, &err), BL_OK);
    assert_int_equal(read.score.n_tracks, played.score.n_tracks);
    for (int t = 0; t < played.score.n_tracks; t++) {
        const music_track *a = &played.score.tracks[t], *b = infer_plan_track(&read, a->name);
        assert_int_equal(a->n_notes, b->n_notes);
        for (int i = 0; i < a->n_notes; i++)
            assert_true(a->notes[i].pitch == b->notes[i].pitch && fabs(a->notes[i].onset_s - b->notes[i].onset_s) < 1e-4);
    }
    infer_plan_free(&played);
    infer_plan_free(&planned);
    infer_plan_free(&read);
}

static void stereo_at_another_rate_stays_so(void **state)
{
    (void)state;
    infer_options o = options_for(stereo_song);
    o.overrides.bpm = 120;
    o.overrides.key = "Am";
    infer_plan p = run_it(o);
    check_audio(stereo_song, band_stems, 4);
    assert_true(fabs(p.tempo_bpm - 120) < 0.5);
    assert_string_equal(p.key, "A minor");
    assert_int_equal(p.sample_rate, 48000);
    infer_plan_free(&p);
}

static void the_report_handed_back_gives_the_same_song_at_any_thread_count(void **state)
{
    (void)state;
    infer_options o = options_for(mono_song);
    o.threads = 1;
    infer_plan p = run_it(o);
    infer_plan_free(&p);
    o = (infer_options){ .song = mono_song, .out = out_path("again.wav"), .model = temporary_folder,
                         .overrides = { .plan = out_path("report.json") }, .seed = -1, .quiet = 1, .threads = 2, .no_cache = 1 };
    o.midi = out_path("again.mid");
    o.stems = out_path("again");
    p = run_it(o);
    infer_plan_free(&p);
    assert_same_file(out_path("song.wav"), out_path("again.wav"));
    assert_same_file(out_path("song.mid"), out_path("again.mid"));
    for (int i = 0; i < 4; i++) {
        char first[BL_PATH_MAX], second[BL_PATH_MAX];
        bl_path_join(first, stems_folder, band_stems[i], NULL);
        bl_path_join(second, out_path("again"), band_stems[i], NULL);
        assert_same_file(first, second);
    }
    o.midi = o.stems = NULL;
    o.seed = 9;
    o.out = out_path("other.wav");
    p = run_it(o);
    infer_plan_free(&p);
    audio_clip a = read_clip(out_path("again.wav")), b = read_clip(out_path("other.wav"));
    assert_memory_not_equal(a.samples, b.samples, (size_t)a.n_samples * sizeof *a.samples);
    audio_clip_free(&a);
    audio_clip_free(&b);
}

/* The report with the first occurrence of a text replaced, as edited.json. */
static const char *edit_report(const char *from, const char *to)
{
    char *text, *out, *at;
    size_t n;
    assert_int_equal(bl_read_file(out_path("report.json"), 1 << 26, &text, &n, NULL), BL_OK);
    at = strstr(text, from);
    assert_non_null(at);
    out = malloc(n + strlen(to) + 1);
    memcpy(out, text, (size_t)(at - text));
    strcpy(out + (at - text), to);
    strcat(out, at + strlen(from));
    assert_int_equal(bl_write_file(out_path("edited.json"), out, strlen(out), NULL), BL_OK);
    free(text);
    free(out);
    return out_path("edited.json");
}

static void an_edited_plan_is_obeyed(void **state)
{
    (void)state;
    infer_options o = options_for(mono_song);
    infer_plan p = run_it(o), q;
    const int n_guitar = infer_plan_track(&p, "electric guitar")->n_notes;
    o = (infer_options){ .song = mono_song, .out = out_path("again.wav"), .model = temporary_folder, .seed = -1, .quiet = 1, .no_cache = 1 };

    /* one instrument less: the others keep their notes */
    o.overrides.plan = edit_report("{\"name\": \"bass\", \"accepted\": true", "{\"name\": \"bass\", \"accepted\": false");
    q = run_it(o);
    assert_null(infer_plan_track(&q, "bass"));
    assert_int_equal(infer_plan_track(&q, "electric guitar")->n_notes, n_guitar);
    infer_plan_free(&q);

    /* one more: it is arranged beside them */
    o.overrides.plan = edit_report("{\"name\": \"bass\",", "{\"name\": \"organ\"}, {\"name\": \"bass\",");
    q = run_it(o);
    assert_true(infer_plan_track(&q, "organ")->n_notes > 0);
    assert_int_equal(infer_plan_track(&q, "electric guitar")->n_notes, n_guitar);
    infer_plan_free(&q);

    /* another key: chords and notes follow */
    char from[64], to[64];
    snprintf(from, sizeof from, "\"key\": \"%s\"", p.key);
    snprintf(to, sizeof to, "\"key\": \"%s\"", strcmp(p.key, "Eb major") ? "Eb major" : "A major");
    o.overrides.plan = edit_report(from, to);
    q = run_it(o);
    assert_string_equal(q.key, strcmp(p.key, "Eb major") ? "Eb major" : "A major");
    check_notes(&q);
    infer_plan_free(&q);

    /* another tempo */
    o.overrides.plan = edit_report("\"tempo\": ", "\"tempo\": 97, \"old_tempo\": ");
    q = run_it(o);
    assert_true(fabs(q.tempo_bpm - 97) < 0.5);
    assert_true(fabs(60 / (q.beats_s[3] - q.beats_s[2]) - 97) < 1);
    infer_plan_free(&q);

    /* no notes at all: they are found again */
    o.overrides.plan = edit_report("\"notes\":", "\"old_notes\":");
    q = run_it(o);
    assert_int_equal(infer_plan_track(&q, "electric guitar")->n_notes, n_guitar);
    infer_plan_free(&q);
    infer_plan_free(&p);
}

/* Cuts every file of the cache. */
static void damage(const char *folder)
{
    char **names, path[BL_PATH_MAX];
    int n;
    if (bl_list_folder(folder, &names, &n, NULL) != BL_OK)
        return;
    for (int i = 0; i < n; i++)
        if (bl_path_join(path, folder, names[i], NULL) == BL_OK) {
            if (bl_is_folder(path))
                damage(path);
            else
                assert_int_equal(truncate(path, 57 + i), 0);
        }
    bl_names_free(names, n);
}

/* The same bytes without a cache, filling it, from it, from a damaged one, and with half of it out of date. */
static void a_cache_changes_nothing_but_the_time(void **state)
{
    (void)state;
    infer_options o = options_for(mono_song);
    o.stems = o.midi = NULL;
    infer_plan p = run_it(o), q;
    o = (infer_options){ .song = mono_song, .out = out_path("again.wav"), .model = temporary_folder, .seed = -1, .quiet = 1,
                         .cache = out_path("cache"), .genre = "rock", .instruments = "electric guitar, bass, drums" };
    for (int i = 0; i < 4; i++) {
        if (i == 2)
            o.overrides.plan = out_path("report.json");
        if (i == 3)
            damage(out_path("cache"));
        q = run_it(o);
        infer_plan_free(&q);
        assert_same_file(out_path("song.wav"), out_path("again.wav"));
    }
    char from[64], to[64];
    snprintf(from, sizeof from, "\"chord\": \"%s\"}", p.chords[p.n_chords - 1].name);
    snprintf(to, sizeof to, "\"chord\": \"%s\"}", strcmp(p.chords[p.n_chords - 1].name, "F") ? "F" : "Gm");
    o.overrides.plan = edit_report(from, to);
    q = run_it(o);
    infer_plan_free(&q);
    o.cache = NULL;
    o.no_cache = 1;
    o.out = out_path("uncached.wav");
    q = run_it(o);
    infer_plan_free(&q);
    assert_same_file(out_path("again.wav"), out_path("uncached.wav"));
    infer_plan_free(&p);
}

/* A chord late in the song is edited: what comes more than a repaired piece before it is the same sound, to the bit. */
static void an_edited_bar_leaves_the_sound_of_others_alone(void **state)
{
    (void)state;
    bl_error err = { 0 };
    audio_clip long_song = song_voice(24, 24000, 1);
    assert_int_equal(audio_write(out_path("long.wav"), &long_song, AUDIO_ENCODING_DEFAULT, &err), BL_OK);
    audio_clip_free(&long_song);
    infer_options o = options_for(out_path("long.wav"));
    o.stems = o.midi = NULL;
    infer_plan p = run_it(o), q;
    const music_chord_span *last = p.chords;
    for (int i = 0; i < p.n_chords && p.chords[i].start_s < 17; i++)
        last = &p.chords[i];
    char from[96], to[96];
    snprintf(from, sizeof from, "\"end\": %.10g, \"chord\": \"%s\"}", last->end_s, last->name);
    if (!strchr(from + 7, '.'))
        snprintf(from, sizeof from, "\"end\": %.1f, \"chord\": \"%s\"}", last->end_s, last->name);
    snprintf(to, sizeof to, "\"end\": %.10g, \"chord\": \"%s\"}", last->end_s, strcmp(last->name, "F") ? "F" : "Gm");
    o = (infer_options){ .song = o.song, .out = out_path("again.wav"), .model = temporary_folder, .seed = -1, .quiet = 1, .no_cache = 1,
                         .overrides = { .plan = edit_report(from, to) } };
    q = run_it(o);
    audio_clip a = read_clip(out_path("song.wav")), b = read_clip(out_path("again.wav"));
    double start = 0; /* of the bar in which the chord begins */
    for (int i = 0; i < p.n_downbeats; i++)
        start = p.downbeats_s[i] <= last->start_s + 0.02 ? p.downbeats_s[i] : start;
    assert_true(start > 8);
    const int64_t same = (int64_t)((start - 5.5) * a.sample_rate);
    assert_memory_equal(a.samples, b.samples, (size_t)same * sizeof *a.samples);
    assert_memory_not_equal(a.samples, b.samples, (size_t)a.n_samples * sizeof *a.samples);
    audio_clip_free(&a);
    audio_clip_free(&b);
    infer_plan_free(&p);
    infer_plan_free(&q);
}

static void the_band_stays_inside_its_intervals(void **state)
{
    static const char *const intervals[] = { "4-6", "0:01-2.5" };
    (void)state;
    infer_options o = options_for(mono_song);
    o.intervals = intervals;
    o.n_intervals = 2;
    infer_plan p = run_it(o);
    assert_int_equal(p.n_intervals, 2);
    assert_true(p.intervals[0].start_s == 1);
    for (int i = 1; i < 4; i++) {
        char path[BL_PATH_MAX];
        bl_path_join(path, stems_folder, band_stems[i], NULL);
        audio_clip c = read_clip(path);
        for (int64_t k = 0; k < c.n_samples; k++) {
            const double t = (double)k / c.sample_rate;
            if ((t < 1 || t >= 2.5) && (t < 4 || t >= 6))
                assert_true(c.samples[k] == 0);
        }
        audio_clip_free(&c);
    }
    infer_plan_free(&p);
}

static void genre_and_band_are_guessed_when_not_given(void **state)
{
    (void)state;
    infer_options o = options_for(mono_song);
    o.genre = o.instruments = NULL;
    infer_plan p = run_it(o);
    assert_true(!strcmp(p.genre, "rock") || !strcmp(p.genre, "pop"));
    assert_int_equal(p.genre_given, 0);
    assert_true(p.genre_probability > 0 && p.genre_probability <= 1);
    assert_true(p.n_instruments >= 2);
    infer_plan_free(&p);
}

static void one_second_is_enough(void **state)
{
    (void)state;
    bl_error err = { 0 };
    audio_clip c = song_voice(1.05, 16000, 1);
    assert_int_equal(audio_write(out_path("short.wav"), &c, AUDIO_ENCODING_DEFAULT, &err), BL_OK);
    audio_clip_free(&c);
    infer_options o = options_for(out_path("short.wav"));
    infer_plan p = run_it(o);
    c = read_clip(out_path("song.wav"));
    assert_int_equal(c.n_samples, 16800);
    audio_clip_free(&c);
    infer_plan_free(&p);
}

static void a_failure_leaves_nothing_behind(void **state)
{
    (void)state;
    bl_error err = { 0 };
    infer_options o = options_for(mono_song);
    /* the last output is the one that cannot be written: a folder stands there once everything is rendered */
    assert_int_equal(bl_make_folder(out_path("report.json"), &err), BL_OK);
    assert_int_equal(infer_pipeline_run(&o, NULL, &err), BL_EIO);
    assert_message(err, "report.json");
    assert_int_equal(n_outputs(), 1);
    rmdir(out_path("report.json"));
    err = (bl_error){ 0 };
    o.intervals = (const char *const[]){ "20-30" };
    o.n_intervals = 1;
    assert_int_equal(infer_pipeline_run(&o, NULL, &err), BL_EARG);
    assert_message(err, "outside the song");
    assert_int_equal(n_outputs(), 0);
    err = (bl_error){ 0 };
    o = options_for(mono_song);
    o.model = out_folder; /* no models there */
    assert_int_equal(infer_pipeline_run(&o, NULL, &err), BL_EIO);
    assert_message(err, "train_wavegan");
    assert_int_equal(n_outputs(), 0);
}

static void the_shipped_models_play_the_demo(void **state)
{
    (void)state;
    if (!bl_is_file("models/wavegan.h5") || !bl_is_file("models/bilstm.h5") || !bl_is_file("models/autoencoder.h5"))
        skip();
    infer_options o = options_for(mono_song);
    o.model = "models";
    infer_plan p = run_it(o);
    check_audio(mono_song, band_stems, 4);
    check_notes(&p);
    infer_plan_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_voice_becomes_a_song_with_stems_midi_and_report, clean),
        cmocka_unit_test_setup(the_plan_alone_has_the_notes_that_a_song_would_have, clean),
        cmocka_unit_test_setup(stereo_at_another_rate_stays_so, clean),
        cmocka_unit_test_setup(the_report_handed_back_gives_the_same_song_at_any_thread_count, clean),
        cmocka_unit_test_setup(an_edited_plan_is_obeyed, clean),
        cmocka_unit_test_setup(a_cache_changes_nothing_but_the_time, clean),
        cmocka_unit_test_setup(an_edited_bar_leaves_the_sound_of_others_alone, clean),
        cmocka_unit_test_setup(the_band_stays_inside_its_intervals, clean),
        cmocka_unit_test_setup(genre_and_band_are_guessed_when_not_given, clean),
        cmocka_unit_test_setup(one_second_is_enough, clean),
        cmocka_unit_test_setup(a_failure_leaves_nothing_behind, clean),
        cmocka_unit_test_setup(the_shipped_models_play_the_demo, clean),
    };
    return cmocka_run_group_tests(tests, make, remove_all);
}
