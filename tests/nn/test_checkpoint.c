#include "tests/temporary.h"

#include "base/rng.h"
#include "nn/checkpoint.h"
#include "nn/checkpoint_sum.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "tests/message.h"

static const float    weight[6] = { 1.5f, -2, 3, 4, 5, -0.0f };
static const int64_t  weight_dims[] = { 2, 3 };

static nn_checkpoint *small(const char *path, bl_error *err)
{
    nn_checkpoint *c = nn_checkpoint_create(path, "segmenter", err);
    nn_checkpoint_put(c, "generator/3/weight", NN_F32, 2, weight_dims, weight, err);
    nn_checkpoint_put_int(c, "step", 1234567890123, err);
    nn_checkpoint_put_text(c, "config", "[train]\nsteps = 5\n", err);
    return c;
}

static void commit_small(const char *path)
{
    bl_error err = { 0 };
    assert_int_equal(nn_checkpoint_commit(small(path, &err), &err), BL_OK);
}

/* Opens, expects failure, returns the error. */
static bl_error failure(const char *path, const char *kind)
{
    bl_error err = { 0 };
    assert_null(nn_checkpoint_open(path, kind, &err));
    assert_int_not_equal(err.code, BL_OK);
    assert_message(err, path);
    return err;
}

static void what_was_put_comes_back_bit_for_bit(void **state)
{
    const double  pi[] = { 3.141592653589793, -1e-300 };
    const int64_t big[] = { INT64_MIN, -1, INT64_MAX }, dims4[] = { 1, 2, 3, 1 }, three = 3, two = 2, none = 0;
    bl_error err = { 0 };
    int64_t got[4];
    (void)state;
    nn_checkpoint *c = small(temporary_path("a.h5"), &err);
    nn_checkpoint_put(c, "f64", NN_F64, 1, &two, pi, &err);
    nn_checkpoint_put(c, "deep/er/i64", NN_I64, 1, &three, big, &err);
    nn_checkpoint_put(c, "scalar", NN_I64, 0, NULL, big, &err);
    nn_checkpoint_put(c, "four", NN_F32, 4, dims4, weight, &err);
    nn_checkpoint_put(c, "empty", NN_F32, 1, &none, NULL, &err);
    assert_int_equal(nn_checkpoint_commit(c, &err), BL_OK);

    c = nn_checkpoint_open(temporary_path("a.h5"), "segmenter", &err);
    assert_non_null(c);
    float *w = nn_checkpoint_get(c, "generator/3/weight", NN_F32, 2, (int64_t[]){ -1, 3 }, got, &err);
    assert_memory_equal(w, weight, sizeof weight);
    assert_int_equal(got[0], 2);
    float *four = nn_checkpoint_get(c, "four", NN_F32, 4, NULL, got, &err);
    assert_memory_equal(four, weight, sizeof weight);
    assert_memory_equal(got, dims4, sizeof dims4);
    double *d = nn_checkpoint_get(c, "f64", NN_F64, 1, &two, NULL, &err);
    assert_memory_equal(d, pi, sizeof pi);
    int64_t *i = nn_checkpoint_get(c, "deep/er/i64", NN_I64, 1, &three, NULL, &err);
    assert_memory_equal(i, big, sizeof big);
    int64_t *s = nn_checkpoint_get(c, "scalar", NN_I64, 0, NULL, NULL, &err);
    assert_true(*s == INT64_MIN);
    void *e = nn_checkpoint_get(c, "empty", NN_F32, 1, NULL, got, &err);
    assert_non_null(e);
    assert_int_equal(got[0], 0);
    assert_true(nn_checkpoint_get_int(c, "step", 0, &err) == 1234567890123);
    assert_int_equal(nn_checkpoint_get_int(c, "absent", 7, &err), 7);
    assert_string_equal(nn_checkpoint_kind(c), "segmenter");
    assert_true(nn_checkpoint_has(c, "four") && nn_checkpoint_has(c, "config") && !nn_checkpoint_has(c, "five"));
    assert_int_equal(err.code, BL_OK);
    free(w);
    free(four);
    free(d);
    free(i);
    free(s);
    free(e);
    nn_checkpoint_free(c);
}

static void texts_may_be_long_empty_or_none(void **state)
{
    enum { LONG = 1 << 20 };
    const char *const texts[] = { "drums", "", "b\xc3\xa4sse" };
    char *text = malloc(LONG + 1);
    bl_error err = { 0 };
    int n;
    (void)state;
    for (int i = 0; i < LONG; i++)
        text[i] = (char)('a' + i % 26);
    text[LONG] = '\0';
    nn_checkpoint *c = small(temporary_path("a.h5"), &err);
    nn_checkpoint_put_text(c, "long", text, &err);
    nn_checkpoint_put_text(c, "nothing", "", &err);
    nn_checkpoint_put_texts(c, "classes", texts, 3, &err);
    nn_checkpoint_put_texts(c, "no classes", NULL, 0, &err);
    assert_int_equal(nn_checkpoint_commit(c, &err), BL_OK);
    c = nn_checkpoint_open(temporary_path("a.h5"), NULL, &err);
    assert_non_null(c);
    char *got = nn_checkpoint_get_text(c, "long", &err);
    assert_string_equal(got, text);
    free(got);
    free(text);
    got = nn_checkpoint_get_text(c, "nothing", &err);
    assert_string_equal(got, "");
    free(got);
    char **list = nn_checkpoint_get_texts(c, "classes", &n, &err);
    assert_int_equal(n, 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(list[i], texts[i]);
    nn_checkpoint_texts_free(list, n);
    list = nn_checkpoint_get_texts(c, "no classes", &n, &err);
    assert_non_null(list);
    assert_int_equal(n, 0);
    nn_checkpoint_texts_free(list, n);
    assert_int_equal(err.code, BL_OK);
    nn_checkpoint_free(c);
}

static void equal_content_gives_equal_bytes(void **state)
{
    char *a, *b;
    size_t na, nb;
    (void)state;
    commit_small(temporary_path("a.h5"));
    commit_small(temporary_path("b.h5"));
    bl_read_file(temporary_path("a.h5"), 1 << 20, &a, &na, NULL);
    bl_read_file(temporary_path("b.h5"), 1 << 20, &b, &nb, NULL);
    assert_int_equal(na, nb);
    assert_memory_equal(a, b, na);
    free(a);
    free(b);
}

static void a_checkpoint_made_by_h5py_is_read(void **state)
{
    bl_error err = { 0 };
    int64_t got[2];
    int n;
    (void)state;
    nn_checkpoint *c = nn_checkpoint_open("tests/golden/checkpoint_valid.h5", "segmenter", &err);
    assert_string_equal(err.msg, "");
    float *x = nn_checkpoint_get(c, "kmeans/centroids", NN_F32, 2, (int64_t[]){ -1, 4 }, got, &err);
    assert_int_equal(got[0], 3);
    for (int i = 0; i < 12; i++)
        assert_true(x[i] == (float)i / 8);
    int64_t *counts = nn_checkpoint_get(c, "kmeans/counts", NN_I64, 1, NULL, got, &err);
    assert_int_equal(counts[1], -6);
    double *inertia = nn_checkpoint_get(c, "kmeans/inertia", NN_F64, 0, NULL, NULL, &err);
    assert_true(*inertia == 0.1);
    char **classes = nn_checkpoint_get_texts(c, "classes", &n, &err);
    assert_int_equal(n, 3);
    assert_string_equal(classes[2], "piano");
    assert_int_equal(nn_checkpoint_get_int(c, "step", 0, &err), 1234);
    nn_checkpoint_texts_free(classes, n);
    free(x);
    free(counts);
    free(inertia);
    nn_checkpoint_free(c);
}

static int note_name(void *user, const char *name, nn_dtype type, int rank, const int64_t *dims)
{
    char *all = user;
    (void)type;
    (void)dims;
    sprintf(all + strlen(all), "%s/%d ", name, rank);
    return 0;
}

static void datasets_are_walked_in_name_order(void **state)
{
    bl_error err = { 0 };
    char all[200] = "";
    (void)state;
    nn_checkpoint *c = nn_checkpoint_create(temporary_path("a.h5"), "x", &err);
    const char *const names[] = { "b/z", "c", "b/a", "a/10", "a/9" };
    for (int i = 0; i < 5; i++)
        nn_checkpoint_put(c, names[i], NN_F32, i % 2, weight_dims, weight, &err);
    assert_int_equal(nn_checkpoint_commit(c, &err), BL_OK);
    c = nn_checkpoint_open(temporary_path("a.h5"), "x", &err);
    nn_checkpoint_each(c, note_name, all);
    assert_string_equal(all, "a/10/1 a/9/0 b/a/0 b/z/0 c/1 ");
    nn_checkpoint_free(c);
}

static void asking_for_something_else_says_what_is_there(void **state)
{
    bl_error err = { 0 };
    int n;
    (void)state;
    commit_small(temporary_path("a.h5"));
    nn_checkpoint *c = nn_checkpoint_open(temporary_path("a.h5"), NULL, &err);
    assert_null(nn_checkpoint_get(c, "generator/3/weight", NN_F32, 2, (int64_t[]){ -1, 4 }, NULL, &err));
    assert_int_equal(err.code, BL_ESHAPE);
    assert_message(err, "a.h5: \"generator/3/weight\" is float32 [2, 3], expected float32 [any, 4]");
    bl_error_clear(&err);
    assert_null(nn_checkpoint_get(c, "generator/3/weight", NN_I64, 1, NULL, NULL, &err));
    assert_message(err, "is float32 [2, 3], expected int64 [any]");
    bl_error_clear(&err);
    assert_null(nn_checkpoint_get(c, "generator/4/weight", NN_F32, 1, NULL, NULL, &err));
    assert_message(err, "a.h5: the checkpoint has no \"generator/4/weight\"");
    bl_error_clear(&err);
    assert_null(nn_checkpoint_get_text(c, "step", &err));
    assert_message(err, "attribute \"step\" is not a text");
    bl_error_clear(&err);
    assert_null(nn_checkpoint_get_texts(c, "classes", &n, &err));
    assert_message(err, "no attribute \"classes\"");
    bl_error_clear(&err);
    assert_int_equal(nn_checkpoint_get_int(c, "config", 3, &err), 3);
    assert_message(err, "attribute \"config\" is not a whole number");
    nn_checkpoint_free(c);
}

static void other_files_are_told_apart(void **state)
{
    bl_error err;
    (void)state;
    assert_message(failure(temporary_path("absent.h5"), NULL), "cannot open the checkpoint: No such file");
    assert_message(failure(temporary_folder, NULL), "not a regular file");
    bl_write_file(temporary_path("empty.h5"), "", 0, NULL);
    assert_message(failure(temporary_path("empty.h5"), NULL), "the file is empty");
    bl_write_file(temporary_path("text.h5"), "[train]\n", 8, NULL);
    assert_message(failure(temporary_path("text.h5"), NULL), "not an HDF5 file");
    assert_message(failure("tests/golden/checkpoint_foreign.h5", NULL), "but not a backline checkpoint");
    assert_message(failure("tests/golden/checkpoint_no_kind.h5", NULL), "but not a backline checkpoint");
    assert_message(failure("tests/golden/checkpoint_version_2.h5", NULL), "format version 2, this program reads version 1");
    assert_message(failure("tests/golden/checkpoint_huge.h5", NULL), "\"kmeans/centroids\" is not one of a checkpoint");
    assert_message(failure("tests/golden/checkpoint_texts.h5", NULL), "\"names\" is not one of a checkpoint");
    err = failure("tests/golden/checkpoint_valid.h5", "autoencoder");
    assert_int_equal(err.code, BL_EFORMAT);
    assert_message(err, "expected an autoencoder checkpoint, got a segmenter");
}

static void the_first_failure_stops_the_chain_and_leaves_no_file(void **state)
{
    const int64_t negative = -3;
    bl_error first = { 0 }, later = { 0 };
    (void)state;
    const int before = temporary_count();
    nn_checkpoint *c = small(temporary_path("none.h5"), &first);
    assert_int_equal(nn_checkpoint_put(c, "x", NN_F32, 1, &negative, weight, &first), BL_EARG);
    assert_message(first, "none.h5: a negative size for \"x\"");
    assert_int_equal(nn_checkpoint_put_int(c, "epoch", 3, &later), BL_EARG);
    assert_string_equal(later.msg, first.msg);
    bl_error_clear(&later);
    assert_int_equal(nn_checkpoint_commit(c, &later), BL_EARG);
    assert_string_equal(later.msg, first.msg);
    assert_int_equal(temporary_count(), before);
    /* Twice the same name, a name below a dataset, bad names. */
    const char *const bad[] = { "generator/3/weight", "generator/3/weight/x", "", "/x", "x/", "a//b" };
    for (int i = 0; i < 6; i++) {
        bl_error err = { 0 };
        c = small(temporary_path("none.h5"), &err);
        assert_int_not_equal(nn_checkpoint_put(c, bad[i], NN_F32, 2, weight_dims, weight, &err), BL_OK);
        assert_int_not_equal(nn_checkpoint_commit(c, NULL), BL_OK);
    }
    bl_error err = { 0 };
    c = small(temporary_path("none.h5"), &err);
    assert_int_not_equal(nn_checkpoint_put_int(c, "step", 1, &err), BL_OK);
    nn_checkpoint_free(c); /* giving up without commit */
    assert_int_equal(temporary_count(), before);
    assert_int_not_equal(nn_checkpoint_commit(NULL, NULL), BL_OK);
}

static void a_full_disk_leaves_the_last_good_file(void **state)
{
    struct rlimit old, small_files;
    bl_error err = { 0 };
    (void)state;
    commit_small(temporary_path("a.h5"));
    const int before = temporary_count();
    getrlimit(RLIMIT_FSIZE, &old);
    small_files = old;
    small_files.rlim_cur = 1000;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small_files);
    nn_checkpoint *c = small(temporary_path("a.h5"), &err);
    nn_checkpoint_put_int(c, "second", 1, &err);
    const bl_status status = nn_checkpoint_commit(c, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(status, BL_EIO);
    assert_message(err, "a.h5: cannot write: File too large");
    assert_int_equal(temporary_count(), before);
    bl_error_clear(&err);
    c = nn_checkpoint_open(temporary_path("a.h5"), "segmenter", &err);
    assert_non_null(c);
    assert_false(nn_checkpoint_has(c, "second"));
    nn_checkpoint_free(c);
}

static void a_folder_that_cannot_be_written_is_named(void **state)
{
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(nn_checkpoint_commit(small(temporary_path("no/such/a.h5"), &err), &err), BL_EIO);
    assert_message(err, "no/such/a.h5: cannot write: No such file or directory");
    if (geteuid() == 0)
        return; /* nothing is read-only to root */
    bl_error_clear(&err);
    mkdir(temporary_path("locked"), 0500);
    assert_int_equal(nn_checkpoint_commit(small(temporary_path("locked/a.h5"), &err), &err), BL_EIO);
    assert_message(err, "locked/a.h5: cannot write: Permission denied");
}

/* A changed bit anywhere, and a file cut anywhere, is noticed. */
static void damaged_files_never_open(void **state)
{
    enum { FLIPS = 400, CUTS = 150 };
    char *good;
    size_t n;
    bl_rng rng;
    (void)state;
    const char *path = "tests/golden/checkpoint_valid.h5", *bad = temporary_path("bad.h5");
    bl_rng_seed(&rng, 11);
    assert_int_equal(bl_read_file(path, 1 << 20, &good, &n, NULL), BL_OK);
    for (int i = 0; i < FLIPS; i++) {
        /* Half of them in the first kilobyte, where HDF5 keeps the most of its own. */
        const size_t at = (size_t)bl_rng_below(&rng, i % 2 ? 1024 : (int64_t)n);
        const char old = good[at];
        good[at] = (char)(old ^ (1 << bl_rng_below(&rng, 8)));
        bl_write_file(bad, good, n, NULL);
        failure(bad, NULL);
        good[at] = old;
    }
    for (int i = 0; i < CUTS; i++) {
        bl_write_file(bad, good, (size_t)bl_rng_below(&rng, (int64_t)n), NULL);
        const bl_error err = failure(bad, NULL);
        assert_int_equal(err.code, BL_EFORMAT);
    }
    bl_write_file(bad, good, n - 1, NULL);
    assert_message(failure(bad, NULL), "truncated: ");
    char *longer = realloc(good, n + 1);
    assert_non_null(longer);
    longer[n] = 'x';
    bl_write_file(bad, longer, n + 1, NULL);
    assert_message(failure(bad, NULL), "damaged: the checksum of its content is ");
    free(longer);
}

/* The mark may lie across two reads of the file. */
static void a_checksum_is_found_wherever_it_stands(void **state)
{
    enum { N = (1 << 20) + 4000 };
    unsigned char *bytes = calloc(N, 1);
    const unsigned char head[] = { 0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n' };
    const char *path = temporary_path("sum.h5");
    int64_t n_bytes;
    (void)state;
    for (int at = (1 << 20) - 30; at <= (1 << 20) + 3; at += 3) {
        memset(bytes, 'f', N);
        memcpy(bytes, head, sizeof head);
        memcpy(bytes + at, nn_checkpoint_sum_blank, NN_CHECKPOINT_SUM_LENGTH);
        assert_true(nn_checkpoint_sum_stamp(bytes, N));
        assert_memory_not_equal(bytes + at, nn_checkpoint_sum_blank, NN_CHECKPOINT_SUM_LENGTH);
        bl_write_file(path, bytes, N, NULL);
        bl_error err = { 0 };
        assert_int_equal(nn_checkpoint_sum_check(path, &n_bytes, &err), BL_OK);
        assert_int_equal(n_bytes, N);
        bytes[N - 1] ^= 1;
        bl_write_file(path, bytes, N, NULL);
        assert_int_equal(nn_checkpoint_sum_check(path, &n_bytes, &err), BL_EFORMAT);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_comes_back_bit_for_bit),
        cmocka_unit_test(texts_may_be_long_empty_or_none),
        cmocka_unit_test(equal_content_gives_equal_bytes),
        cmocka_unit_test(a_checkpoint_made_by_h5py_is_read),
        cmocka_unit_test(datasets_are_walked_in_name_order),
        cmocka_unit_test(asking_for_something_else_says_what_is_there),
        cmocka_unit_test(other_files_are_told_apart),
        cmocka_unit_test(the_first_failure_stops_the_chain_and_leaves_no_file),
        cmocka_unit_test(a_full_disk_leaves_the_last_good_file),
        cmocka_unit_test(a_folder_that_cannot_be_written_is_named),
        cmocka_unit_test(damaged_files_never_open),
        cmocka_unit_test(a_checksum_is_found_wherever_it_stands),
    };
    return cmocka_run_group_tests(tests, temporary_make, temporary_remove);
}
