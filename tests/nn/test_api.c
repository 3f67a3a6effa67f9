/* The C API for bindings: a model from text, its weights, its runs, its sentences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/error.h"
#include "nn/api.h"

static const char text[] = "[net]\ninput.x = 2, T\ninput.gain = 2\nscaled = mul from=x,gain\nsum = conv1d out_channels=1 kernel_size=1\n"
                           "output = sum, scaled\n";

static nn_model *model(void)
{
    char error[240];
    nn_model *m = nn_model_parse(text, "net", error, sizeof error);
    if (!m)
        fail_msg("%s", error);
    return m;
}

static void numbers_go_through(void **state)
{
    const float x[] = { 1, 2, 3, 10, 20, 30 }, gain[] = { 2, 0.5f };
    float y[6];
    int64_t dims[NN_MODEL_RANK];
    (void)state;
    nn_model *m = model();
    assert_int_equal(nn_model_n_inputs(m), 2);
    assert_int_equal(nn_model_n_outputs(m), 2);
    assert_string_equal(nn_model_input_name(m, 1), "gain");
    assert_int_equal(nn_model_input_shape(m, 0, dims), 2);
    assert_true(dims[0] == 2 && dims[1] == -1);
    assert_int_equal(nn_model_n_parameters(m), 2);
    assert_string_equal(nn_model_parameter_name(m, 0), "net/sum/weight");
    assert_int_equal(nn_model_parameter_shape(m, 0, dims), 3);
    assert_true(dims[0] == 1 && dims[1] == 2 && dims[2] == 1);
#ifndef BL_F64
    nn_model_parameter(m, 0)[0] = 1;
    nn_model_parameter(m, 0)[1] = 1;
    nn_model_parameter(m, 1)[0] = 0.25f;
#endif
    for (int run = 0; run < 3; run++) {
        assert_int_equal(nn_model_set_input(m, 0, 3, (const int64_t[]){ 1, 2, 3 }, x), 0);
        assert_int_equal(nn_model_set_input(m, 1, 2, (const int64_t[]){ 1, 2 }, gain), 0);
        assert_int_equal(nn_model_run(m), 0);
    }
    assert_int_equal(nn_model_output_shape(m, 1, dims), 3);
    assert_true(dims[0] == 1 && dims[1] == 2 && dims[2] == 3);
    assert_int_equal(nn_model_get_output(m, 1, y), 0);
    assert_true(y[0] == 2 && y[2] == 6 && y[3] == 5 && y[5] == 15);
#ifndef BL_F64
    assert_int_equal(nn_model_get_output(m, 0, y), 0);
    assert_true(y[0] == 7.25f && y[2] == 21.25f);
#endif
    nn_model_free(m);
}

static void mistakes_get_a_sentence(void **state)
{
    char error[240];
    float y[1] = { 0 };
    (void)state;
    assert_null(nn_model_parse("[net]\ninput.x = 2, T\na = conv1q\n", "net", error, sizeof error));
    assert_non_null(strstr(error, "conv1q"));
    assert_null(nn_model_load("/nowhere.ini", "net", error, sizeof error));
    assert_non_null(strstr(error, "/nowhere.ini"));
    assert_null(nn_model_parse(text, "net2", NULL, 0));
    nn_model *m = model();
    assert_int_equal(nn_model_run(m), BL_EARG);
    assert_non_null(strstr(nn_model_error(m), "the input \"x\" is not set"));
    assert_int_equal(nn_model_set_input(m, 2, 1, (const int64_t[]){ 1 }, y), BL_EARG);
    assert_int_equal(nn_model_set_input(m, 0, 5, (const int64_t[]){ 1, 1, 1, 1, 1 }, y), BL_ESHAPE);
    assert_int_equal(nn_model_set_input(m, 0, 2, (const int64_t[]){ INT64_MAX, 3 }, y), BL_ESHAPE);
    assert_int_equal(nn_model_set_input(m, 0, 3, (const int64_t[]){ 1, 1, 1 }, y), 0);
    assert_int_equal(nn_model_set_input(m, 1, 2, (const int64_t[]){ 1, 1 }, y), 0);
    assert_int_equal(nn_model_run(m), BL_ESHAPE);
    assert_non_null(strstr(nn_model_error(m), "expects a batch of [2, T], got [1, 1, 1]"));
    assert_int_equal(nn_model_get_output(m, 0, y), BL_EARG);
    assert_int_equal(nn_model_read_weights(m, "/nowhere.h5", ""), BL_EIO);
    assert_non_null(strstr(nn_model_error(m), "/nowhere.h5"));
    nn_model_free(m);
    nn_model_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(numbers_go_through), cmocka_unit_test(mistakes_get_a_sentence) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
