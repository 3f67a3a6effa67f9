/* Reads the text files of tests/golden/ that hold blocks of "name rows columns" and the numbers. */
#ifndef BL_TESTS_GOLDEN_TEXT_H
#define BL_TESTS_GOLDEN_TEXT_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The block `name` of a file; malloc'ed [rows, columns]. Ends the test program when it is not there. */
static inline double *golden_block(const char *path, const char *name, int64_t *rows, int64_t *columns)
{
    FILE *f = fopen(path, "r");
    char word[128];
    long long r, c;
    while (f && fscanf(f, "%127s %lld %lld", word, &r, &c) == 3) {
        double *v = malloc((size_t)(r * c) * sizeof *v);
        for (int64_t i = 0; v && i < r * c; i++)
            if (fscanf(f, "%lf", v + i) != 1)
                break;
        if (!strcmp(word, name)) {
            fclose(f);
            if (rows)
                *rows = r;
            if (columns)
                *columns = c;
            return v;
        }
        free(v);
    }
    fprintf(stderr, "%s: no block \"%s\"; run the tests from the root of the repository\n", path, name);
    exit(1);
}

static inline float *golden_floats(const char *path, const char *name, int64_t *rows, int64_t *columns)
{
    int64_t r, c;
    double *v = golden_block(path, name, &r, &c);
    float *out = malloc((size_t)(r * c) * sizeof *out);
    for (int64_t i = 0; i < r * c; i++)
        out[i] = (float)v[i];
    free(v);
    if (rows)
        *rows = r;
    if (columns)
        *columns = c;
    return out;
}

static inline int *golden_ints(const char *path, const char *name)
{
    int64_t r, c;
    double *v = golden_block(path, name, &r, &c);
    int *out = malloc((size_t)(r * c) * sizeof *out);
    for (int64_t i = 0; i < r * c; i++)
        out[i] = (int)v[i];
    free(v);
    return out;
}

static inline double golden_number(const char *path, const char *name)
{
    double *v = golden_block(path, name, NULL, NULL), out = v[0];
    free(v);
    return out;
}

#endif
