/* Tests read error messages. Include after cmocka.h. */
#ifndef BL_TESTS_MESSAGE_H
#define BL_TESTS_MESSAGE_H

#include "base/error.h"

#include <string.h>

/* The message contains this text. */
static inline void assert_message(bl_error err, const char *text)
{
    if (!strstr(err.msg, text))
        fail_msg("expected \"%s\" in \"%s\"", text, err.msg);
}

#endif
