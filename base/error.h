/* Errors as values: a code and one sentence, owned by the caller, first failure wins.
 *
 * Errors   Functions that touch the world (files, configs, memory) take a `bl_error *err` last and
 *          return bl_status or NULL. `return bl_fail(err, BL_EFORMAT, "...")` records and returns.
 *          A second bl_fail on an error that is already set changes nothing, so the message is the
 *          one written where the fault was known. Only main() prints it and exits.
 * Memory   bl_error holds its text inline: "out of memory" can still be reported. err may be NULL.
 */
#ifndef BL_BASE_ERROR_H
#define BL_BASE_ERROR_H

#include <stdarg.h>

typedef enum bl_status {
    BL_OK = 0,
    BL_EARG,    /* an argument or option value outside its range     */
    BL_ESHAPE,  /* tensor or parameter shapes that do not agree      */
    BL_EIO,     /* the system could not open, read or write          */
    BL_EFORMAT, /* the content of a file is not what it should be    */
    BL_ENOMEM,  /* no memory                                         */
    BL_ENAN,    /* a number that is not finite where one must be     */
    BL_ESTOP    /* interrupted by the user; state was saved          */
} bl_status;

typedef struct bl_error {
    bl_status code;
    char      msg[480];
} bl_error;

/* Records code and message unless err is NULL or already set; returns code. */
bl_status bl_fail(bl_error *err, bl_status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of a recorded message (used to add a file name or a line). */
void bl_error_prefix(bl_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

void bl_error_clear(bl_error *err);

/* A bug in backline or in the calling C code: prints file and line, aborts. Kept in release. */
#define BL_ASSERT(cond) ((cond) ? (void)0 : bl_assert_failed(#cond, __FILE__, __LINE__))
_Noreturn void bl_assert_failed(const char *cond, const char *file, int line);

#endif
