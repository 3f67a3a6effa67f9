/* A folder of its own for a test program, under TMPDIR or /tmp. Include before any system header (asks for POSIX). */
#ifndef BL_TESTS_TEMPORARY_H
#define BL_TESTS_TEMPORARY_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char temporary_folder[256];

static inline int temporary_make(void **state)
{
    const char *root = getenv("TMPDIR");
    (void)state;
    snprintf(temporary_folder, sizeof temporary_folder, "%.200s/backline-test-XXXXXX", root && *root ? root : "/tmp");
    return mkdtemp(temporary_folder) ? 0 : -1;
}

/* The files in it and the folder; tests leave no folders behind in it. */
static inline int temporary_remove(void **state)
{
    char **names, path[BL_PATH_MAX];
    int n;
    (void)state;
    if (bl_list_folder(temporary_folder, &names, &n, NULL) != BL_OK)
        return -1;
    for (int i = 0; i < n; i++)
        if (bl_path_join(path, temporary_folder, names[i], NULL) == BL_OK && unlink(path) != 0)
            rmdir(path);
    bl_names_free(names, n);
    return rmdir(temporary_folder);
}

/* Path of a file in it; four results live at a time. */
static inline const char *temporary_path(const char *name)
{
    static char path[4][BL_PATH_MAX];
    static int at;
    at = (at + 1) % 4;
    bl_path_join(path[at], temporary_folder, name, NULL);
    return path[at];
}

/* How many entries are in it. */
static inline int temporary_count(void)
{
    char **names;
    int n = -1;
    if (bl_list_folder(temporary_folder, &names, &n, NULL) == BL_OK)
        bl_names_free(names, n);
    return n;
}

#endif
