/* The checksum of a checkpoint file and what can be said about a file that is none, without HDF5. */
#define _POSIX_C_SOURCE 200809L
#include "nn/checkpoint_sum.h"

#include "base/rng.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MARK_LENGTH = 8, DIGITS = 16, READ_SIZE = 1 << 20 };

static const char mark[] = "fnv1a64:";
const char nn_checkpoint_sum_blank[] = "fnv1a64:0000000000000000";

static const unsigned char *find_mark(const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i + MARK_LENGTH + DIGITS <= n; i++) {
        const unsigned char *p = memchr(bytes + i, mark[0], n - MARK_LENGTH - DIGITS + 1 - i);
        if (!p)
            return NULL;
        if (!memcmp(p, mark, MARK_LENGTH))
            return p;
        i = (size_t)(p - bytes);
    }
    return NULL;
}

typedef struct file_sum {
    uint64_t hash;
    int      found;            /* the mark was seen        */
    char     digits[DIGITS + 1];
} file_sum;

/* Hashes all but the last bytes that may begin a mark; returns how many were hashed. */
static size_t sum_update(file_sum *s, unsigned char *bytes, size_t n, int last)
{
    const size_t keep = last ? 0 : MARK_LENGTH + DIGITS - 1;
    size_t done = n > keep ? n - keep : 0;
    unsigned char *p = s->found ? NULL : (unsigned char *)find_mark(bytes, n);
    if (p) {
        memcpy(s->digits, p + MARK_LENGTH, DIGITS);
        memset(p + MARK_LENGTH, '0', DIGITS);
        s->found = 1;
        const size_t end = (size_t)(p - bytes) + MARK_LENGTH + DIGITS;
        if (done < end)
            done = end;
    }
    s->hash = bl_hash(s->hash, bytes, done);
    return done;
}

int nn_checkpoint_sum_stamp(unsigned char *bytes, size_t n_bytes)
{
    char digits[DIGITS + 1];
    unsigned char *p = (unsigned char *)find_mark(bytes, n_bytes);
    if (!p)
        return 0;
    memset(p + MARK_LENGTH, '0', DIGITS);
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)bl_hash(0, bytes, n_bytes));
    memcpy(p + MARK_LENGTH, digits, DIGITS);
    return 1;
}

static uint64_t little_endian(const unsigned char *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

/* What the superblock says about the length, 0 when it cannot be told. */
static uint64_t promised_size(const unsigned char *head, size_t n)
{
    if (n < 64)
        return 0;
    if (head[8] == 0 && head[13] == 8)
        return little_endian(head + 40);
    if ((head[8] == 2 || head[8] == 3) && head[9] == 8)
        return little_endian(head + 28);
    return 0;
}

static bl_status judge(const char *path, int64_t n_bytes, const file_sum *s, uint64_t promised,
                       bl_error *err)
{
    char digits[DIGITS + 1];
    if (promised > (uint64_t)n_bytes)
        return bl_fail(err, BL_EFORMAT, "%s: truncated: %lld of %llu bytes are there", path, (long long)n_bytes,
                       (unsigned long long)promised);
    if (!s->found)
        return bl_fail(err, BL_EFORMAT, "%s: an HDF5 file, but not a backline checkpoint (no checksum in it)", path);
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)s->hash);
    if (memcmp(digits, s->digits, DIGITS) != 0)
        return bl_fail(err, BL_EFORMAT, "%s: damaged: the checksum of its content is %s, expected %.16s", path, digits,
                       s->digits);
    return BL_OK;
}

bl_status nn_checkpoint_sum_check(const char *path, int64_t *n_bytes, bl_error *err)
{
    static const unsigned char signature[] = { 0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n' };
    file_sum s = { 0 };
    uint64_t promised = 0;
    size_t held = 0, got;
    bl_status status = BL_OK;
    struct stat st;
    int first = 1;
    unsigned char *buffer = NULL;
    FILE *f = fopen(path, "rb");

    if (!f)
        return bl_fail(err, BL_EIO, "%s: cannot open the checkpoint: %s", path, strerror(errno));
    if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode)) {
        status = bl_fail(err, BL_EIO, "%s: expected a checkpoint, this is not a regular file", path);
        goto done;
    }
    *n_bytes = st.st_size;
    buffer = malloc(READ_SIZE);
    if (!buffer) {
        status = bl_fail(err, BL_ENOMEM, "%s: no memory to read it", path);
        goto done;
    }
    do {
        got = fread(buffer + held, 1, READ_SIZE - held, f);
        held += got;
        if (first && (held < sizeof signature || memcmp(buffer, signature, sizeof signature) != 0)) {
            status = bl_fail(err, BL_EFORMAT, *n_bytes ? "%s: not a checkpoint (not an HDF5 file)" : "%s: the file is empty",
                             path);
            goto done;
        }
        if (first)
            promised = promised_size(buffer, held);
        first = 0;
        const size_t used = sum_update(&s, buffer, held, got == 0);
        held -= used;
        memmove(buffer, buffer + used, held);
    } while (got);
    status = ferror(f) ? bl_fail(err, BL_EIO, "%s: cannot read: %s", path, strerror(errno))
                       : judge(path, *n_bytes, &s, promised, err);
done:
    free(buffer);
    fclose(f);
    return status;
}

