#include "blocks/segmenter_train.h"

#include "base/rng.h"
#include "data/instruments.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { RATE = BLOCKS_SEGMENTER_RATE, SECONDS = 4, N = RATE * SECONDS, KINDS = 3 };
static const double pi = 3.14159265358979323846;

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

static blocks_segmenter_options options(void)
{
    return (blocks_segmenter_options){ .k_min = 2, .k_max = 5, .use_stems = 1, .refine = 2, .min_share = 0.001, .seconds = 30,
                                       .shrink = 0.1, .n_harmonic = 12, .n_percussive = 4, .iterations = 40, .seed = 1, .quiet = 1 };
}

/* Parts of three songs. With labels, the family follows from where a part's spectrum lies, as it would from the stems. */
static void make_table(blocks_segmenter_table *t, int with_labels)
{
    static float stems[KINDS * N], mix[N];
    const blocks_segmenter_options o = options();
    const blocks_parts_options po = { o.n_harmonic, o.n_percussive, o.iterations, 0, 1 };
    bl_error err = { 0 };
    const int64_t most = 3 * 16;
    *t = (blocks_segmenter_table){ .dim_in = BLOCKS_PART_FEATURES, .capacity = most,
                                   .rows = malloc((size_t)most * BLOCKS_PART_FEATURES * sizeof(float)),
                                   .family = malloc((size_t)most * sizeof(int)), .song = malloc((size_t)most * sizeof(int)) };
    for (int song = 0; song < 3; song++) {
        blocks_parts p;
        double energy[16];
        make_stems(stems, (uint64_t)song + 10);
        mix_stems(stems, mix);
        assert_int_equal(blocks_parts_new(&p, mix, N, RATE, &po, &err), BL_OK);
        float *rows = t->rows + t->n * t->dim_in;
        assert_int_equal(blocks_segmenter_rows(&p, mix, N, NULL, rows, energy, &err), BL_OK);
        for (int r = 0; r < p.n_parts; r++) {
            const float centroid = rows[r * t->dim_in + 12], flatness = rows[r * t->dim_in + 15];
            const int family = flatness > -8 ? DATA_PERCUSSION : centroid < 0 ? DATA_BASSES : DATA_GUITARS;
            t->family[t->n] = with_labels ? family : -1;
            t->song[t->n++] = song;
        }
        t->n_songs++;
        blocks_parts_free(&p);
    }
}

static blocks_segmenter *learn(blocks_segmenter_method method, int with_labels)
{
    blocks_segmenter_table t;
    blocks_segmenter_options o = options();
    bl_error err = { 0 };
    o.method = method;
    o.k = with_labels ? 0 : 4;
    make_table(&t, with_labels);
    blocks_segmenter *s = blocks_segmenter_learn(&t, &o, NULL, &err);
    assert_non_null(s);
    blocks_segmenter_table_free(&t);
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

static void check_separation(const blocks_segmenter *s, double least_db)
{
    static float stems[KINDS * N], mix[N];
    const audio_clip song = { mix, N, 1, RATE };
    blocks_segments out;
    bl_error err = { 0 };
    double gain = 0;
    make_stems(stems, 99);
    mix_stems(stems, mix);
    assert_int_equal(blocks_segmenter_run(s, &song, NULL, NULL, &out, &err), BL_OK);
    assert_true(out.n >= 2 && out.n <= s->clusters.k);
    for (int k = 0; k < KINDS; k++)
        gain += (best_match(&out, stems + k * N) - blocks_si_sdr(stems + k * N, mix, N)) / KINDS;
    if (gain <= least_db)
        print_message("improvement %.2f dB, expected %.2f\n", gain, least_db);
    assert_true(gain > least_db);
    blocks_segments_free(&out);
}

static void tracks_come_nearer_to_the_stems(void **state)
{
    (void)state;
    blocks_segmenter *s = learn(BLOCKS_SEGMENTER_KMEANS, 1);
    assert_int_equal(s->clusters.k, 3);
    assert_int_equal(s->dim, 2);
    check_separation(s, 5);
    blocks_segmenter_free(s);
}

static void hierarchical_clusters_do_too(void **state)
{
    (void)state;
    blocks_segmenter *s = learn(BLOCKS_SEGMENTER_HIERARCHICAL, 1);
    check_separation(s, 5);
    blocks_segmenter_free(s);
}

static void it_learns_without_stems(void **state)
{
    (void)state;
    blocks_segmenter *s = learn(BLOCKS_SEGMENTER_KMEANS, 0);
    assert_int_equal(s->dim, BLOCKS_PART_FEATURES);
    check_separation(s, 4);
    blocks_segmenter_free(s);
}

static void tracks_sum_to_the_song_in_stereo_across_pieces(void **state)
{
    const int64_t n = 45 * 8000;
    static float stems[KINDS * N];
    blocks_segmenter *s = learn(BLOCKS_SEGMENTER_KMEANS, 1);
    audio_clip song;
    blocks_segments out;
    bl_error err = { 0 };
    float worst = 0;
    (void)state;
    s->parts.iterations = 5;
    assert_int_equal(audio_clip_new(&song, 2, n, 8000, &err), BL_OK);
    make_stems(stems, 7);
    for (int64_t i = 0; i < n; i++) {
        song.samples[i] = stems[i % N] + stems[2 * N + i % N];
        song.samples[n + i] = stems[N + i % N] * 0.5f;
    }
    assert_int_equal(blocks_segmenter_run(s, &song, NULL, NULL, &out, &err), BL_OK);
    for (int64_t i = 0; i < 2 * n; i++) {
        double sum = 0;
        for (int t = 0; t < out.n; t++)
            sum += (double)out.tracks[t].audio.samples[i];
        worst = fmaxf(worst, fabsf((float)(sum - (double)song.samples[i])));
    }
    assert_true(worst < 1e-6f);
    blocks_segments_free(&out);
    audio_clip_free(&song);
    blocks_segmenter_free(s);
}

static void thread_count_changes_no_bit_and_a_saved_model_is_the_same(void **state)
{
    const char *path = "/tmp/backline_test_segmenter.h5";
    static float stems[KINDS * N], mix[N];
    const audio_clip song = { mix, N, 1, RATE };
    const int threads = omp_get_max_threads();
    blocks_segmenter *s = learn(BLOCKS_SEGMENTER_KMEANS, 1);
    blocks_segments one, many;
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(blocks_segmenter_save(s, path, "", 1, &err), BL_OK);
    blocks_segmenter *loaded = blocks_segmenter_load(path, &err);
    assert_non_null(loaded);
    make_stems(stems, 5);
    mix_stems(stems, mix);
    omp_set_num_threads(1);
    assert_int_equal(blocks_segmenter_run(s, &song, NULL, NULL, &one, &err), BL_OK);
    omp_set_num_threads(3);
    assert_int_equal(blocks_segmenter_run(loaded, &song, NULL, NULL, &many, &err), BL_OK);
    omp_set_num_threads(threads);
    assert_int_equal(one.n, many.n);
    for (int i = 0; i < one.n; i++) {
        assert_string_equal(one.tracks[i].name, many.tracks[i].name);
        assert_memory_equal(one.tracks[i].audio.samples, many.tracks[i].audio.samples, N * sizeof(float));
    }
    blocks_segments_free(&one);
    blocks_segments_free(&many);
    blocks_segmenter_free(s);
    blocks_segmenter_free(loaded);
    unlink(path);
}

static bl_status two_latents(void *user, const float *x, int64_t n_samples, int sample_rate, float **latents, int64_t *n_frames,
                             double *hop_s, bl_error *err)
{
    (void)user;
    (void)err;
    *hop_s = 0.02;
    *n_frames = (int64_t)((double)n_samples / (*hop_s * sample_rate)) + 1;
    *latents = calloc((size_t)*n_frames * 2, sizeof **latents);
    for (int64_t t = 0; t < *n_frames; t++)
        (*latents)[2 * t] = x[0] + (float)t;
    return BL_OK;
}

static void latents_stand_behind_the_measured_values(void **state)
{
    static float stems[KINDS * N], mix[N];
    const blocks_latent_encoder encoder = { 2, NULL, two_latents };
    const blocks_parts_options po = { 6, 2, 10, 0, 1 };
    const audio_clip song = { mix, N, 1, RATE };
    float rows[8 * (BLOCKS_PART_FEATURES + 2)];
    double energy[8];
    blocks_parts p;
    blocks_segments out;
    bl_error err = { 0 };
    (void)state;
    make_stems(stems, 3);
    mix_stems(stems, mix);
    assert_int_equal(blocks_parts_new(&p, mix, N, RATE, &po, &err), BL_OK);
    assert_int_equal(blocks_segmenter_rows(&p, mix, N, &encoder, rows, energy, &err), BL_OK);
    for (int r = 0; r < 8; r++) {
        assert_true(rows[r * (BLOCKS_PART_FEATURES + 2) + BLOCKS_PART_FEATURES] > 0);
        assert_true(rows[r * (BLOCKS_PART_FEATURES + 2) + BLOCKS_PART_FEATURES + 1] == 0);
    }
    blocks_parts_free(&p);
    blocks_segmenter *s = learn(BLOCKS_SEGMENTER_KMEANS, 1);
    assert_int_equal(blocks_segmenter_run(s, &song, &encoder, NULL, &out, &err), BL_ESHAPE);
    blocks_segmenter_free(s);
}

static void bad_songs_are_one_sentence(void **state)
{
    static float x[N];
    audio_clip song = { x, N, 1, RATE };
    blocks_segments out;
    bl_error err = { 0 };
    blocks_segmenter *s = learn(BLOCKS_SEGMENTER_KMEANS, 1);
    (void)state;
    assert_int_equal(blocks_segmenter_run(s, &song, NULL, NULL, &out, &err), BL_EARG);
    bl_error_clear(&err);
    x[100] = NAN;
    assert_int_equal(blocks_segmenter_run(s, &song, NULL, NULL, &out, &err), BL_ENAN);
    bl_error_clear(&err);
    song.n_samples = 100;
    assert_int_equal(blocks_segmenter_run(s, &song, NULL, NULL, &out, &err), BL_EARG);
    bl_error_clear(&err);
    assert_null(blocks_segmenter_load("/nowhere/segmenter.h5", &err));
    assert_int_equal(err.code, BL_EIO);
    blocks_segmenter_free(s);
}

int main(void)
{
    /* Many short parallel loops: on a machine that is busy otherwise one thread is quicker. */
    omp_set_num_threads(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tracks_come_nearer_to_the_stems),
        cmocka_unit_test(hierarchical_clusters_do_too),
        cmocka_unit_test(it_learns_without_stems),
        cmocka_unit_test(tracks_sum_to_the_song_in_stereo_across_pieces),
        cmocka_unit_test(thread_count_changes_no_bit_and_a_saved_model_is_the_same),
        cmocka_unit_test(latents_stand_behind_the_measured_values),
        cmocka_unit_test(bad_songs_are_one_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
