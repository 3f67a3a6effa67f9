#include "tests/temporary.h"

#include "base/rng.h"
#include "blocks/config_defaults.h"
#include "blocks/segmenter_figures.h"
#include "blocks/segmenter_train.h"
#include "data/instruments.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/message.h"

enum { RATE = BLOCKS_REGIONS_RATE, SECONDS = 4, N = RATE * SECONDS, KINDS = 3 };
static const double pi = 3.14159265358979323846;

/* A small network, which learns three very different sounds in seconds. */
static const char config_text[] =
    "[regions]\nn_bands = 24\nlatent = 4\n"
    "[region_encoder]\ninput.level = 24, T\n"
    "a = conv1d out_channels=32 kernel_size=3 padding=same\nb = relu\n"
    "c = conv1d out_channels=32 kernel_size=3 dilation=2 padding=same\nd = relu\ncode = conv1d out_channels=96 kernel_size=1\n"
    "[region_decoder]\ninput.code = 96, T\nlevel = conv1d out_channels=24 kernel_size=1\n"
    "[segmenter]\nn_sample = 2000\n"
    "[segmenter_training]\nsteps = 120\nbatch_size = 4\nsegment_frames = 32\nlr = 0.003\nmin_stems = 2\n";

/* A bass line, a bright plucked melody, and noise bursts: three stems that hardly share a bin. */
static void make_stems(float *stems, uint64_t seed)
{
    bl_rng rng;
    bl_rng_seed(&rng, seed);
    memset(stems, 0, KINDS * N * sizeof *stems);
    for (int note = 0; note < 2 * SECONDS; note++) {
        const int start = note * RATE / 2, length = RATE / 2;
        const double bass = 440 * pow(2, (33 + (double)bl_rng_below(&rng, 8) - 69) / 12);
        const double lead = 440 * pow(2, (76 + (double)bl_rng_below(&rng, 12) - 69) / 12);
        for (int i = 0; i < length; i++) {
            const double t = (double)i / RATE, end = i > length - 400 ? (length - i) / 400.0 : i < 100 ? i / 100.0 : 1;
            for (int h = 1; h <= 4; h++)
                stems[start + i] += (float)(0.15 / h * end * exp(-t) * sin(2 * pi * h * bass * t));
            for (int h = 1; h <= 5; h++)
                stems[N + start + i] += (float)(0.1 / h * end * exp(-4 * t) * sin(2 * pi * h * lead * t));
        }
        for (int beat = 0; beat < 2; beat++)
            for (int i = 0; i < RATE / 10; i++)
                stems[2 * N + start + beat * RATE / 4 + i] += (float)(0.15 * bl_rng_normal(&rng) * exp(-40.0 * i / RATE));
    }
}

static void mix_stems(const float *stems, float *mix)
{
    for (int i = 0; i < N; i++)
        mix[i] = stems[i] + stems[N + i] + stems[2 * N + i];
}

/* Three songs to learn from, one held out, and a trainer. */
typedef struct lesson {
    blocks_segmenter         *s;
    blocks_region_songs       songs;
    blocks_segmenter_trainer *trainer;
} lesson;

static void add_song(lesson *l, uint64_t seed, int held_out)
{
    static const int family[KINDS] = { DATA_BASSES, DATA_GUITARS, DATA_PERCUSSION };
    float *stems = malloc(KINDS * N * sizeof *stems);
    const float *const stem[KINDS] = { stems, stems + N, stems + 2 * N };
    bl_error err = { 0 };
    make_stems(stems, seed);
    assert_int_equal(blocks_region_songs_add(l->s->regions, &l->songs, stem, family, KINDS, N, held_out, &err), BL_OK);
    free(stems);
}

static void begin_lesson(lesson *l)
{
    bl_error err = { 0 };
    bl_config *config = bl_config_parse(config_text, "test.ini", &err), *filled;
    static const char *const settings[] = { "segmenter", "regions", "segmenter_training", NULL }, *const networks[] = { NULL };
    assert_non_null(config);
    assert_non_null(filled = blocks_config_filled(config, "configs/segmenter.ini", settings, networks, &err));
    blocks_regions *r = blocks_regions_new(filled, 1, &err);
    assert_non_null(r);
    bl_config_free(config);
    bl_config_free(filled);
    assert_non_null(l->s = blocks_segmenter_new(r, &err));
    for (uint64_t seed = 10; seed < 14; seed++)
        add_song(l, seed, seed == 13);
    assert_int_equal(l->songs.n_training, 3);
    assert_non_null(l->trainer = blocks_segmenter_trainer_new(l->s, &l->songs, 1, &err));
}

static void end_lesson(lesson *l)
{
    blocks_segmenter_trainer_free(l->trainer);
    blocks_region_songs_free(&l->songs);
    blocks_segmenter_free(l->s);
}

static double train(lesson *l, int n_steps)
{
    double metrics[3] = { 0 };
    bl_error err = { 0 };
    for (int i = 0; i < n_steps; i++)
        assert_int_equal(blocks_segmenter_trainer_step(l->trainer, metrics, &err), BL_OK);
    return metrics[0];
}

static void write_to(lesson *l, const char *path, int with_optimizer)
{
    bl_error err = { 0 };
    nn_checkpoint *c = nn_checkpoint_create(path, "segmenter", &err);
    assert_non_null(c);
    nn_checkpoint_put_int(c, "seed", 1, &err);
    assert_int_equal(blocks_segmenter_trainer_put(l->trainer, with_optimizer, c, &err), BL_OK);
    assert_int_equal(nn_checkpoint_commit(c, &err), BL_OK);
}

/* Trained once, read by most tests. */
static const char *trained(void)
{
    static char path[256];
    if (!path[0]) {
        lesson l = { 0 };
        double before = 0, after = 0;
        bl_error err = { 0 };
        begin_lesson(&l);
        assert_int_equal(blocks_segmenter_trainer_validate(l.trainer, &before, &err), BL_OK);
        train(&l, 120);
        assert_int_equal(blocks_segmenter_trainer_validate(l.trainer, &after, &err), BL_OK);
        if (!(after < 0.5 * before))
            fail_msg("held-out affinity loss %.4f before, %.4f after", before, after);
        snprintf(path, sizeof path, "%s", temporary_path("segmenter.h5"));
        write_to(&l, path, 0);
        end_lesson(&l);
    }
    return path;
}

static blocks_segmenter *load(void)
{
    bl_error err = { 0 };
    blocks_segmenter *s = blocks_segmenter_load(trained(), &err);
    if (!s)
        fail_msg("%s", err.msg);
    return s;
}

static double best_match(const blocks_segments *out, const float *stem)
{
    double best = -100;
    for (int i = 0; i < out->n; i++) {
        const double db = blocks_si_sdr(stem, out->tracks[i].audio.samples, N);
        best = db > best ? db : best;
    }
    return best;
}

static void check_separation(blocks_segmenter *s, double least_db)
{
    static float stems[KINDS * N], mix[N];
    const audio_clip song = { mix, N, 1, RATE };
    blocks_segments out;
    bl_error err = { 0 };
    double gain = 0;
    make_stems(stems, 99);
    mix_stems(stems, mix);
    assert_int_equal(blocks_segmenter_run(s, &song, NULL, &out, &err), BL_OK);
    assert_int_equal(out.n, KINDS);
    for (int k = 0; k < KINDS; k++)
        gain += (best_match(&out, stems + k * N) - blocks_si_sdr(stems + k * N, mix, N)) / KINDS;
    if (gain <= least_db)
        fail_msg("improvement %.2f dB, expected %.2f", gain, least_db);
    blocks_segments_free(&out);
}

static void it_finds_three_tracks_and_comes_nearer_to_the_stems(void **state)
{
    blocks_segmenter *s = load();
    (void)state;
    check_separation(s, 8);
    blocks_segmenter_free(s);
}

static void hierarchical_clusters_do_too(void **state)
{
    blocks_segmenter *s = load();
    (void)state;
    s->options.method = BLOCKS_SEGMENTER_HIERARCHICAL;
    check_separation(s, 8);
    blocks_segmenter_free(s);
}

static void as_many_tracks_as_one_asks_for(void **state)
{
    static float stems[KINDS * N], mix[N];
    const audio_clip song = { mix, N, 1, RATE };
    blocks_segmenter *s = load();
    blocks_segments out;
    bl_error err = { 0 };
    (void)state;
    make_stems(stems, 98);
    mix_stems(stems, mix);
    s->options.k = 2;
    s->options.min_share = 0;
    assert_int_equal(blocks_segmenter_run(s, &song, NULL, &out, &err), BL_OK);
    assert_int_equal(out.n, 2);
    blocks_segments_free(&out);
    blocks_segmenter_free(s);
}

static void without_a_detector_tracks_bear_the_names_of_families(void **state)
{
    static float stems[KINDS * N], mix[N];
    const audio_clip song = { mix, N, 1, RATE };
    blocks_segmenter *s = load();
    blocks_segments out;
    bl_error err = { 0 };
    (void)state;
    make_stems(stems, 97);
    mix_stems(stems, mix);
    assert_int_equal(s->n_families, KINDS);
    assert_int_equal(blocks_segmenter_run(s, &song, NULL, &out, &err), BL_OK);
    for (int i = 0; i < out.n; i++) {
        double best = -100;
        int stem = 0;
        for (int k = 0; k < KINDS; k++) {
            const double db = blocks_si_sdr(stems + k * N, out.tracks[i].audio.samples, N);
            stem = db > best ? k : stem;
            best = db > best ? db : best;
        }
        assert_string_equal(out.tracks[i].name, stem == 0 ? "basses" : stem == 1 ? "guitars" : "percussion");
        assert_true(i == 0 || out.tracks[i].share <= out.tracks[i - 1].share);
    }
    blocks_segments_free(&out);
    blocks_segmenter_free(s);
}

static void eigenvalues_count_orthogonal_directions(void **state)
{
    enum { DIM = 5, ROWS = 90 };
    float v[ROWS * DIM] = { 0 }, w[ROWS];
    double directions[DIM];
    (void)state;
    for (int i = 0; i < ROWS; i++) { /* half along one axis, a third along another, the rest along a third */
        v[i * DIM + (i % 6 < 3 ? 0 : i % 6 < 5 ? 2 : 4)] = i % 2 ? 1 : -1;
        w[i] = 2;
    }
    blocks_segmenter_directions(v, w, ROWS, DIM, directions);
    assert_true(fabs(directions[0] - 1.0 / 2) < 1e-9);
    assert_true(fabs(directions[1] - 1.0 / 3) < 1e-9);
    assert_true(fabs(directions[2] - 1.0 / 6) < 1e-9);
    assert_true(fabs(directions[3]) < 1e-12);
    assert_int_equal(blocks_segmenter_count(directions, DIM, 0.1), 3);
    assert_int_equal(blocks_segmenter_count(directions, DIM, 0.2), 2);
    memset(w, 0, sizeof w);
    blocks_segmenter_directions(v, w, ROWS, DIM, directions);
    assert_int_equal(blocks_segmenter_count(directions, DIM, 0.1), 0);
}

static void bands_cover_every_bin_once(void **state)
{
    blocks_segmenter *s = load();
    const blocks_regions *r = s->regions;
    float *power, x[RATE / 2];
    double sum = 0;
    int64_t T;
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(r->first_bin[0], 1);
    assert_int_equal(r->first_bin[r->n_bands], BLOCKS_REGIONS_FFT / 2 + 1);
    for (int b = 0; b < r->n_bands; b++)
        assert_true(r->first_bin[b] < r->first_bin[b + 1]);
    for (int i = 0; i < RATE / 2; i++)
        x[i] = (float)(0.5 * sin(2 * pi * 3000 * i / RATE));
    assert_int_equal(blocks_regions_power(r, x, RATE / 2, &power, &T, &err), BL_OK);
    const int band = blocks_regions_band(r, 3000);
    for (int b = 0; b < r->n_bands; b++)
        sum += (double)power[b * T + T / 2];
    assert_true((double)power[band * T + T / 2] > 0.9 * sum);
    assert_int_equal(blocks_regions_band(r, 0), 0);
    assert_int_equal(blocks_regions_band(r, 20000), r->n_bands - 1);
    free(power);
    blocks_segmenter_free(s);
}

/* Songs go through the encoder in pieces. */
static void latents_do_not_depend_on_where_pieces_are_cut(void **state)
{
    enum { T = 2500, LATE = 2040 };
    blocks_segmenter *s = load();
    const int nb = s->regions->n_bands, D = s->regions->dim;
    float *power = malloc((size_t)nb * T * sizeof *power), *late = malloc((size_t)nb * (T - LATE) * sizeof *late), *a, *b;
    bl_error err = { 0 };
    bl_rng rng;
    (void)state;
    bl_rng_seed(&rng, 4);
    for (int i = 0; i < nb * T; i++)
        power[i] = (float)exp(2 * bl_rng_normal(&rng));
    for (int i = 0; i < nb; i++)
        memcpy(late + i * (T - LATE), power + i * T + LATE, (T - LATE) * sizeof *late);
    assert_int_equal(blocks_regions_latents(s->regions, power, T, 30, &a, &err), BL_OK);
    assert_int_equal(blocks_regions_latents(s->regions, late, T - LATE, 30, &b, &err), BL_OK);
    for (int i = 0; i < nb; i++)
        for (int t = LATE + 20; t < T; t++) {
            double length = 0;
            for (int d = 0; d < D; d++) {
                const float v = a[(i * T + t) * D + d];
                assert_true(fabsf(v - b[(i * (T - LATE) + t - LATE) * D + d]) < 1e-5f);
                length += (double)v * (double)v;
            }
            assert_true(fabs(length - 1) < 1e-3);
        }
    free(power);
    free(late);
    free(a);
    free(b);
    blocks_segmenter_free(s);
}

static void tracks_sum_to_the_song_in_stereo_across_pieces(void **state)
{
    const int64_t n = 85 * 8000;
    static float stems[KINDS * N];
    blocks_segmenter *s = load();
    audio_clip song;
    blocks_segments out;
    bl_error err = { 0 };
    float worst = 0;
    (void)state;
    assert_int_equal(audio_clip_new(&song, 2, n, 8000, &err), BL_OK);
    make_stems(stems, 7);
    for (int64_t i = 0; i < n; i++) {
        song.samples[i] = stems[i % N] + stems[2 * N + i % N];
        song.samples[n + i] = stems[N + i % N] * 0.5f;
    }
    assert_int_equal(blocks_segmenter_run(s, &song, NULL, &out, &err), BL_OK);
    assert_true(out.n >= 2);
    for (int64_t i = 0; i < 2 * n; i++) {
        double sum = 0;
        for (int t = 0; t < out.n; t++)
            sum += (double)out.tracks[t].audio.samples[i];
        worst = fmaxf(worst, fabsf((float)(sum - (double)song.samples[i])));
    }
    assert_true(worst < 1e-6f);
    /* What rounding leaves is far below what a hole in a mask or in the overlap would. */
    for (int t = 0; t < out.n; t++)
        assert_true(out.tracks[t].share > 0 && out.tracks[t].share < 1);
    blocks_segments_free(&out);
    audio_clip_free(&song);
    blocks_segmenter_free(s);
}

static void thread_count_changes_no_bit(void **state)
{
    static float stems[KINDS * N], mix[N];
    const audio_clip song = { mix, N, 1, RATE };
    const int threads = omp_get_max_threads();
    blocks_segmenter *s = load();
    blocks_segments one, many;
    bl_error err = { 0 };
    (void)state;
    make_stems(stems, 5);
    mix_stems(stems, mix);
    omp_set_num_threads(1);
    assert_int_equal(blocks_segmenter_run(s, &song, NULL, &one, &err), BL_OK);
    omp_set_num_threads(3);
    assert_int_equal(blocks_segmenter_run(s, &song, NULL, &many, &err), BL_OK);
    omp_set_num_threads(threads);
    assert_int_equal(one.n, many.n);
    for (int i = 0; i < one.n; i++) {
        assert_string_equal(one.tracks[i].name, many.tracks[i].name);
        assert_memory_equal(one.tracks[i].audio.samples, many.tracks[i].audio.samples, N * sizeof(float));
    }
    blocks_segments_free(&one);
    blocks_segments_free(&many);
    blocks_segmenter_free(s);
}

static void a_resumed_training_goes_on_as_if_uninterrupted(void **state)
{
    char path[256];
    lesson whole = { 0 }, half = { 0 }, rest = { 0 };
    bl_error err = { 0 };
    (void)state;
    begin_lesson(&whole);
    begin_lesson(&half);
    begin_lesson(&rest);
    snprintf(path, sizeof path, "%s", temporary_path("half.h5"));
    train(&half, 3);
    write_to(&half, path, 1);
    nn_checkpoint *c = nn_checkpoint_open(path, "segmenter", &err);
    assert_int_equal(blocks_segmenter_trainer_get(rest.trainer, c, &err), BL_OK);
    nn_checkpoint_free(c);
    assert_true(train(&whole, 6) == train(&rest, 3));
    write_to(&half, path, 0);
    c = nn_checkpoint_open(path, "segmenter", &err);
    assert_int_equal(blocks_segmenter_trainer_get(rest.trainer, c, &err), BL_EFORMAT);
    assert_message(err, "keep_optimizer = 0");
    nn_checkpoint_free(c);
    end_lesson(&whole);
    end_lesson(&half);
    end_lesson(&rest);
}

static void silent_stems_and_songs_of_one_stem_are_left_out(void **state)
{
    static float sound[N], silence[N];
    const float *const stem[2] = { sound, silence };
    const int family[2] = { 0, 1 };
    lesson l = { 0 };
    bl_error err = { 0 };
    (void)state;
    begin_lesson(&l);
    for (int i = 0; i < N; i++)
        sound[i] = (float)sin(i * 0.05);
    assert_int_equal(blocks_region_songs_add(l.s->regions, &l.songs, stem, family, 2, N, 0, &err), BL_OK);
    assert_int_equal(l.songs.n, 4);
    end_lesson(&l);
}

static void bad_songs_and_settings_are_one_sentence(void **state)
{
    static float x[N];
    audio_clip song = { x, N, 1, RATE };
    blocks_segments out;
    bl_error err = { 0 };
    blocks_segmenter *s = load();
    (void)state;
    assert_int_equal(blocks_segmenter_run(s, &song, NULL, &out, &err), BL_EARG);
    assert_message(err, "silent");
    bl_error_clear(&err);
    x[100] = NAN;
    assert_int_equal(blocks_segmenter_run(s, &song, NULL, &out, &err), BL_ENAN);
    bl_error_clear(&err);
    song.n_samples = 100;
    assert_int_equal(blocks_segmenter_run(s, &song, NULL, &out, &err), BL_EARG);
    bl_error_clear(&err);
    assert_null(blocks_segmenter_load("/nowhere/segmenter.h5", &err));
    assert_int_equal(err.code, BL_EIO);
    blocks_segmenter_free(s);

    static const char *const bad[][2] = {
        { "[region_encoder]\ninput.level = 64, T\ncode = conv1d out_channels=7 kernel_size=1\n",
          "[region_encoder] must turn one input into 640 channels over time, gives 7" },
        { "[regions]\nlatent = 1\n", "latent" },
        { "[segmenter]\nmin_clusters = 5\nmax_clusters = 4\n", "max_clusters 4 is below min_clusters 5" },
    };
    for (int i = 0; i < 3; i++) {
        bl_config *config = bl_config_parse(bad[i][0], "test.ini", &err);
        bl_error_clear(&err);
        blocks_regions *r = blocks_regions_new(config, 1, &err);
        assert_null(r ? blocks_segmenter_new(r, &err) : NULL);
        assert_message(err, bad[i][1]);
        bl_error_clear(&err);
        bl_config_free(config);
    }
}

int main(void)
{
    /* Many short parallel loops: on a machine that is busy otherwise one thread is quicker. */
    omp_set_num_threads(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_finds_three_tracks_and_comes_nearer_to_the_stems),
        cmocka_unit_test(hierarchical_clusters_do_too),
        cmocka_unit_test(as_many_tracks_as_one_asks_for),
        cmocka_unit_test(without_a_detector_tracks_bear_the_names_of_families),
        cmocka_unit_test(eigenvalues_count_orthogonal_directions),
        cmocka_unit_test(bands_cover_every_bin_once),
        cmocka_unit_test(latents_do_not_depend_on_where_pieces_are_cut),
        cmocka_unit_test(tracks_sum_to_the_song_in_stereo_across_pieces),
        cmocka_unit_test(thread_count_changes_no_bit),
        cmocka_unit_test(a_resumed_training_goes_on_as_if_uninterrupted),
        cmocka_unit_test(silent_stems_and_songs_of_one_stem_are_left_out),
        cmocka_unit_test(bad_songs_and_settings_are_one_sentence),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
