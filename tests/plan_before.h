/* Shared by the tests of trainers: a plan before the first step, or amid training, changes nothing and says something. */
#ifndef BL_TESTS_PLAN_BEFORE_H
#define BL_TESTS_PLAN_BEFORE_H

#include "nn/plan.h"

#define expect_a_plan(PLAN, TRAINER)                                     \
    do {                                                                 \
        nn_plan first = { 0, 0, 0 }, second = { 0, 0, 0 };               \
        PLAN(TRAINER, &first);                                           \
        PLAN(TRAINER, &second);                                          \
        assert_true(first.weights > 0 && first.step > 10000);            \
        assert_int_equal(first.step, second.step);                       \
        assert_int_equal(first.moments, second.moments);                 \
    } while (0)

#endif
