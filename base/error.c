#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bl_status bl_fail(bl_error *err, bl_status code, const char *format, ...)
{
    if (err && err->code == BL_OK) {
        va_list ap;
        va_start(ap, format);
        err->code = code;
        vsnprintf(err->msg, sizeof err->msg, format, ap);
        va_end(ap);
    }
    return code;
}

void bl_error_prefix(bl_error *err, const char *format, ...)
{
    char prefix[240], old[sizeof err->msg];
    va_list ap;

    if (!err || err->code == BL_OK)
        return;
    va_start(ap, format);
    vsnprintf(prefix, sizeof prefix, format, ap);
    va_end(ap);
    memcpy(old, err->msg, sizeof old);
    size_t n = (size_t)snprintf(err->msg, sizeof err->msg, "%s: ", prefix);
    if (n < sizeof err->msg) {
        strncpy(err->msg + n, old, sizeof err->msg - n - 1);
        err->msg[sizeof err->msg - 1] = '\0';
    }
}

void bl_error_clear(bl_error *err)
{
    if (err) {
        err->code = BL_OK;
        err->msg[0] = '\0';
    }
}

_Noreturn void bl_assert_failed(const char *cond, const char *file, int line)
{
    fprintf(stderr, "%s:%d: this must hold and does not: %s (a bug in backline)\n", file, line, cond);
    abort();
}
