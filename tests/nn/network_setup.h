/* Shared by the tests of networks: a network from .ini text, with parameters and a tape. */
#ifndef BL_TESTS_NETWORK_SETUP_H
#define BL_TESTS_NETWORK_SETUP_H

#include "nn/network.h"

typedef struct setup {
    bl_config  *config;
    nn_params  *params;
    nn_network *net;
    nn_tape    *tape;
    bl_error    err;
} setup;

static inline setup build(const char *text, const char *section)
{
    setup s = { NULL, NULL, NULL, NULL, { BL_OK, "" } };
    s.config = bl_config_parse(text, "test.ini", &s.err);
    assert_non_null(s.config);
    s.params = nn_params_new(&s.err);
    s.tape = nn_tape_new(&s.err);
    s.net = nn_network_build(s.config, section, s.params, &s.err);
    if (s.net) {
        assert_int_equal(nn_params_finish(s.params, &s.err), BL_OK);
        nn_params_init(s.params, 7);
        nn_params_zero_grad(s.params);
        bl_error unused = { BL_OK, "" };
        assert_int_equal(bl_config_check_unused(s.config, &unused), BL_OK);
    }
    return s;
}

static inline setup build_ok(const char *text)
{
    setup s = build(text, "n");
    if (!s.net)
        fail_msg("%s", s.err.msg);
    return s;
}

static inline void finish(setup *s)
{
    nn_network_free(s->net);
    nn_params_free(s->params);
    nn_tape_free(s->tape);
    bl_config_free(s->config);
}

typedef struct mistake {
    const char *text, *want; /* the network [n], a piece of the sentence */
} mistake;

static inline void expect_mistakes(const mistake *cases, size_t n)
{
    int failures = 0;
    for (size_t i = 0; i < n; i++) {
        setup s = build(cases[i].text, "n");
        if (s.net || !s.err.code || !strstr(s.err.msg, cases[i].want)) {
            print_message("expected \"%s\"\n     got \"%s\"\n", cases[i].want, s.err.msg);
            failures++;
        }
        finish(&s);
    }
    assert_int_equal(failures, 0);
}

#endif
