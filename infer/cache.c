#define _POSIX_C_SOURCE 200809L
#include "infer/cache.h"

#include "base/cli.h"
#include "base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char FORMAT[8] = "blsound1";
static const int64_t DEFAULT_MAX_BYTES = 2000000000;
static const double LEFT_OVER_S = 3600; /* a temporary file this old belongs to nobody any more */

struct infer_cache {
    char    folder[BL_PATH_MAX];
    int64_t max_bytes, found, kept;
};

typedef struct header {
    char      format[8];
    infer_key key;
    int64_t   n;
    uint64_t  sum;
} header;

/* ---- keys ---- */

static uint64_t mixed(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 29;
    return x;
}

/* Eight bytes a step in two lanes, each a bijection of what was before, so no step loses what it was given. */
void infer_key_add(infer_key *k, const void *data, size_t n_bytes)
{
    const unsigned char *p = data;
    uint64_t a = k->a, b = k->b, w;
    for (size_t i = 0; i < n_bytes; i += sizeof w) {
        const size_t n = n_bytes - i < sizeof w ? n_bytes - i : sizeof w;
        w = 0;
        memcpy(&w, p + i, n);
        a = (a ^ w) * 0x9e3779b97f4a7c15u;
        a ^= a >> 31;
        b = (b + w) * 0xc2b2ae3d27d4eb4fu;
        b ^= b >> 29;
    }
    k->a = mixed(a ^ (uint64_t)n_bytes);
    k->b = mixed(b + (uint64_t)n_bytes * 3);
}

void infer_key_text(infer_key *k, const char *text)
{
    infer_key_add(k, text, strlen(text) + 1);
}

/* When the running program was built, as far as its file tells: other code may make other sounds under the same version. */
static void add_program(infer_key *k)
{
    struct stat s;
    if (stat("/proc/self/exe", &s) == 0)
        infer_key_add(k, &(int64_t[3]){ (int64_t)s.st_mtim.tv_sec, (int64_t)s.st_mtim.tv_nsec, (int64_t)s.st_size }, 3 * sizeof(int64_t));
}

infer_key infer_key_of(const char *kind)
{
    infer_key k = { 0x243f6a8885a308d3u, 0x13198a2e03707344u };
    infer_key_text(&k, bl_version);
    add_program(&k);
    infer_key_text(&k, kind);
    return k;
}

bl_status infer_key_file(infer_key *k, const char *path, bl_error *err)
{
    FILE *f = fopen(path, "rb");
    char block[1 << 16];
    size_t n;
    if (!f)
        return bl_fail(err, BL_EIO, "%s: cannot read it", path);
    while ((n = fread(block, 1, sizeof block, f)) > 0)
        infer_key_add(k, block, n);
    const int bad = ferror(f);
    fclose(f);
    return bad ? bl_fail(err, BL_EIO, "%s: cannot read it", path) : BL_OK;
}

/* ---- the folder ---- */

static bl_status default_folder(char out[BL_PATH_MAX], bl_error *err)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && *cache == '/')
        return bl_path_join(out, cache, "backline", err);
    if (home && *home == '/')
        return bl_path_join(out, home, ".cache/backline", err);
    return bl_fail(err, BL_EIO, "no folder for the cache: neither XDG_CACHE_HOME nor HOME is set (--cache DIR, or --no-cache)");
}

infer_cache *infer_cache_open(const char *folder, bl_error *err)
{
    infer_cache *c = calloc(1, sizeof *c);
    bl_status status = c ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for the cache");
    if (status == BL_OK && folder && !*folder)
        status = bl_fail(err, BL_EARG, "--cache: expected a folder, got \"\"");
    if (status == BL_OK && folder)
        snprintf(c->folder, sizeof c->folder, "%s", folder);
    else if (status == BL_OK)
        status = default_folder(c->folder, err);
    if (status == BL_OK && strlen(folder ? folder : c->folder) > BL_PATH_MAX - 128) /* room for the names of its files */
        status = bl_fail(err, BL_EARG, "%.60s...: a cache's path longer than %d bytes", c->folder, BL_PATH_MAX - 128);
    if (status == BL_OK)
        status = bl_make_folder(c->folder, err);
    if (status == BL_OK && access(c->folder, W_OK | X_OK) != 0)
        status = bl_fail(err, BL_EIO, "%s: the cache cannot be written", c->folder);
    if (status == BL_OK) {
        c->max_bytes = DEFAULT_MAX_BYTES;
        return c;
    }
    free(c);
    return NULL;
}

void infer_cache_limit(infer_cache *c, int64_t max_bytes)
{
    if (c)
        c->max_bytes = max_bytes;
}

void infer_cache_figures(const infer_cache *c, int64_t *found, int64_t *kept)
{
    *found = c ? c->found : 0;
    *kept = c ? c->kept : 0;
}

/* folder/3f and folder/3f/REST */
static void place_of(const infer_cache *c, infer_key key, char folder[BL_PATH_MAX], char path[BL_PATH_MAX])
{
    snprintf(folder, BL_PATH_MAX, "%.*s/%02x", BL_PATH_MAX - 64, c->folder, (unsigned)(key.a >> 56));
    snprintf(path, BL_PATH_MAX, "%.*s/%014llx%016llx", BL_PATH_MAX - 40, folder, (unsigned long long)(key.a & 0xffffffffffffffu),
             (unsigned long long)key.b);
}

static uint64_t sum_of(const float *x, int64_t n)
{
    infer_key k = { 1, 2 };
    infer_key_add(&k, x, (size_t)n * sizeof *x);
    return k.a ^ k.b;
}

/* ---- sounds ---- */

static int read_all(int file, void *out, size_t n)
{
    char *at = out;
    while (n) {
        const ssize_t got = read(file, at, n);
        if (got <= 0)
            return 0;
        at += got;
        n -= (size_t)got;
    }
    return 1;
}

static int read_sound(int file, infer_key key, float **x, int64_t *n)
{
    header h;
    struct stat s;
    if (fstat(file, &s) != 0 || s.st_size < (off_t)sizeof h || !read_all(file, &h, sizeof h) || memcmp(h.format, FORMAT, sizeof FORMAT) != 0 ||
        h.key.a != key.a || h.key.b != key.b || h.n < 0 || h.n > (int64_t)(s.st_size / 4) ||
        (int64_t)s.st_size != (int64_t)sizeof h + h.n * (int64_t)sizeof **x)
        return 0;
    if (!(*x = malloc((size_t)(h.n ? h.n : 1) * sizeof **x)))
        return 0;
    if (read_all(file, *x, (size_t)h.n * sizeof **x) && sum_of(*x, h.n) == h.sum) {
        *n = h.n;
        return 1;
    }
    free(*x);
    *x = NULL;
    return 0;
}

int infer_cache_get(infer_cache *c, infer_key key, float **x, int64_t *n)
{
    char folder[BL_PATH_MAX], path[BL_PATH_MAX];
    if (!c)
        return 0;
    place_of(c, key, folder, path);
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    const int found = read_sound(file, key, x, n);
    if (found) {
        futimens(file, NULL); /* used now */
#pragma omp atomic
        c->found++;
    } else
        unlink(path);
    close(file);
    return found;
}

void infer_cache_put(infer_cache *c, infer_key key, const float *x, int64_t n)
{
    char folder[BL_PATH_MAX], path[BL_PATH_MAX], temporary[BL_PATH_MAX];
    header h = { .key = key, .n = n };
    if (!c)
        return;
    place_of(c, key, folder, path);
    mkdir(folder, 0777);
    snprintf(temporary, sizeof temporary, "%.*s/new.XXXXXX", BL_PATH_MAX - 40, folder);
    const int file = mkstemp(temporary);
    if (file < 0)
        return;
    memcpy(h.format, FORMAT, sizeof FORMAT);
    h.sum = sum_of(x, n);
    FILE *out = fdopen(file, "wb");
    int good = out && fwrite(&h, sizeof h, 1, out) == 1 && (!n || fwrite(x, sizeof *x, (size_t)n, out) == (size_t)n);
    if (out)
        good &= fclose(out) == 0;
    else
        close(file);
    if (!good || rename(temporary, path) != 0) {
        unlink(temporary);
        return;
    }
#pragma omp atomic
    c->kept++;
}

/* ---- its size ---- */

typedef struct entry {
    char    *path;
    int64_t  n_bytes;
    double   used_s;
} entry;

static int compare_entries(const void *a, const void *b)
{
    const double x = ((const entry *)a)->used_s, y = ((const entry *)b)->used_s;
    return (x > y) - (x < y);
}

/* Adds the files of one folder. */
static void list_entries(const char *folder, entry **list, size_t *n, size_t *capacity)
{
    char **names = NULL, path[BL_PATH_MAX];
    int count = 0;
    if (bl_list_folder(folder, &names, &count, NULL) != BL_OK)
        return;
    for (int i = 0; i < count; i++) {
        struct stat s;
        if (bl_path_join(path, folder, names[i], NULL) != BL_OK || stat(path, &s) != 0 || !S_ISREG(s.st_mode))
            continue;
        if (*n == *capacity) {
            entry *bigger = realloc(*list, (2 * *capacity + 256) * sizeof **list);
            if (!bigger)
                break;
            *list = bigger;
            *capacity = 2 * *capacity + 256;
        }
        entry *e = &(*list)[*n];
        e->n_bytes = (int64_t)s.st_size;
        e->used_s = (double)s.st_mtim.tv_sec + 1e-9 * (double)s.st_mtim.tv_nsec;
        if ((e->path = malloc(strlen(path) + 1)))
            strcpy((*list)[(*n)++].path, path);
    }
    bl_names_free(names, count);
}

/* Only folders and files that look like the cache's own are touched. */
static void trim(const infer_cache *c)
{
    entry *list = NULL;
    size_t n = 0, capacity = 0;
    int64_t total = 0;
    struct timespec now = { 0 };
    clock_gettime(CLOCK_REALTIME, &now);
    for (int i = 0; i < 256; i++) {
        char folder[BL_PATH_MAX];
        snprintf(folder, sizeof folder, "%.*s/%02x", BL_PATH_MAX - 64, c->folder, (unsigned)i);
        if (bl_is_folder(folder))
            list_entries(folder, &list, &n, &capacity);
    }
    for (size_t i = 0; i < n; i++)
        total += list[i].n_bytes;
    qsort(list, n, sizeof *list, compare_entries);
    for (size_t i = 0; i < n; i++) {
        const char *name = bl_path_name(list[i].path);
        const int temporary = !strncmp(name, "new.", 4), own = temporary || strspn(name, "0123456789abcdef") == 30;
        const int lost = temporary && list[i].used_s < (double)now.tv_sec - LEFT_OVER_S;
        if (own && (lost || (total > c->max_bytes && !temporary)) && unlink(list[i].path) == 0)
            total -= list[i].n_bytes;
        free(list[i].path);
    }
    free(list);
}

void infer_cache_close(infer_cache *c)
{
    if (c && c->kept)
        trim(c);
    free(c);
}
