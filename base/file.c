#define _POSIX_C_SOURCE 200809L
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

bl_status bl_path_join(char out[BL_PATH_MAX], const char *folder, const char *name, bl_error *err)
{
    const size_t n = strlen(folder);
    const char *slash = n && folder[n - 1] != '/' ? "/" : "";
    if (snprintf(out, BL_PATH_MAX, "%s%s%s", folder, slash, name) >= BL_PATH_MAX)
        return bl_fail(err, BL_EARG, "%.100s...: path longer than %d bytes", folder, BL_PATH_MAX - 1);
    return BL_OK;
}

const char *bl_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *bl_path_extension(const char *path)
{
    const char *name = bl_path_name(path), *dot = strrchr(name, '.');
    return dot && dot != name ? dot + 1 : "";
}

int bl_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int bl_is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bl_status bl_make_folder(const char *path, bl_error *err)
{
    char part[BL_PATH_MAX];
    if (strlen(path) >= sizeof part)
        return bl_fail(err, BL_EARG, "%.100s...: path longer than %d bytes", path, BL_PATH_MAX - 1);
    strcpy(part, path);
    for (char *p = part + 1;; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        const char end = *p;
        *p = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return bl_fail(err, BL_EIO, "%s: cannot make the folder: %s", part, strerror(errno));
        if (end == '\0')
            break;
        *p = '/';
    }
    if (!bl_is_folder(path))
        return bl_fail(err, BL_EIO, "%s: exists and is not a folder", path);
    return BL_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void bl_names_free(char **names, int n)
{
    for (int i = 0; names && i < n; i++)
        free(names[i]);
    free(names);
}

bl_status bl_list_folder(const char *path, char ***names, int *n, bl_error *err)
{
    DIR *dir = opendir(path);
    int capacity = 0;
    *names = NULL;
    *n = 0;
    if (!dir)
        return bl_fail(err, BL_EIO, "%s: cannot open the folder: %s", path, strerror(errno));
    for (struct dirent *e; (e = readdir(dir));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        if (*n == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            char **bigger = realloc(*names, (size_t)capacity * sizeof **names);
            if (!bigger)
                goto no_memory;
            *names = bigger;
        }
        if (!((*names)[*n] = strdup(e->d_name)))
            goto no_memory;
        ++*n;
    }
    closedir(dir);
    if (*n)
        qsort(*names, (size_t)*n, sizeof **names, by_name);
    return BL_OK;
no_memory:
    closedir(dir);
    bl_names_free(*names, *n);
    *names = NULL;
    *n = 0;
    return bl_fail(err, BL_ENOMEM, "%s: no memory for the list of files", path);
}

bl_status bl_read_file(const char *path, size_t max_bytes, char **text, size_t *n_bytes, bl_error *err)
{
    FILE *f = fopen(path, "rb");
    char *data = NULL;
    size_t n = 0, capacity = 0;
    *text = NULL;
    if (!f)
        return bl_fail(err, BL_EIO, "%s: cannot open: %s", path, strerror(errno));
    for (;;) {
        if (n + 65537 > capacity) {
            capacity = capacity ? 2 * capacity : (size_t)1 << 17;
            char *bigger = realloc(data, capacity);
            if (!bigger) {
                free(data);
                fclose(f);
                return bl_fail(err, BL_ENOMEM, "%s: no memory to read it", path);
            }
            data = bigger;
        }
        const size_t got = fread(data + n, 1, 65536, f);
        n += got;
        if (got == 0 || n > max_bytes)
            break;
    }
    const int failed = ferror(f);
    fclose(f);
    if (failed || n > max_bytes) {
        free(data);
        return failed ? bl_fail(err, BL_EIO, "%s: cannot read: %s", path, strerror(errno))
                      : bl_fail(err, BL_EFORMAT, "%s: larger than %zu bytes", path, max_bytes);
    }
    data[n] = '\0';
    *text = data;
    if (n_bytes)
        *n_bytes = n;
    return BL_OK;
}

bl_status bl_atomic_begin(bl_atomic *a, const char *path, bl_error *err)
{
    /* The extension stays last: libraries choose the file format by it. */
    const char *name = bl_path_name(path);
    if (snprintf(a->path, sizeof a->path, "%s", path) >= BL_PATH_MAX ||
        snprintf(a->temporary, sizeof a->temporary, "%.*s.part-%ld-%s", (int)(name - path), path,
                 (long)getpid(), name) >= BL_PATH_MAX)
        return bl_fail(err, BL_EARG, "%.100s...: path longer than %d bytes", path, BL_PATH_MAX - 32);
    return BL_OK;
}

bl_status bl_atomic_commit(bl_atomic *a, bl_error *err)
{
    const int fd = open(a->temporary, O_RDONLY);
    if (fd < 0 || fsync(fd) != 0) {
        bl_fail(err, BL_EIO, "%s: cannot write: %s", a->path, strerror(errno));
        if (fd >= 0)
            close(fd);
        bl_atomic_abort(a);
        return BL_EIO;
    }
    close(fd);
    if (rename(a->temporary, a->path) != 0) {
        bl_fail(err, BL_EIO, "%s: cannot write: %s", a->path, strerror(errno));
        bl_atomic_abort(a);
        return BL_EIO;
    }
    return BL_OK;
}

void bl_atomic_abort(bl_atomic *a)
{
    unlink(a->temporary);
}

bl_status bl_write_file(const char *path, const void *data, size_t n_bytes, bl_error *err)
{
    bl_atomic a;
    if (bl_atomic_begin(&a, path, err) != BL_OK)
        return err ? err->code : BL_EARG;
    FILE *f = fopen(a.temporary, "wb");
    if (!f)
        return bl_fail(err, BL_EIO, "%s: cannot write: %s", path, strerror(errno));
    const int ok = fwrite(data, 1, n_bytes, f) == n_bytes && fflush(f) == 0;
    const int reason = errno;
    if (fclose(f) != 0 || !ok) {
        bl_atomic_abort(&a);
        return bl_fail(err, BL_EIO, "%s: cannot write: %s", path, strerror(ok ? errno : reason));
    }
    return bl_atomic_commit(&a, err);
}

bl_status bl_find_shipped(char out[BL_PATH_MAX], const char *name, bl_error *err)
{
    char program[BL_PATH_MAX] = "";
    const ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = '\0';
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(program, '/');
        if (slash)
            *slash = '\0';
    }
    if (access(name, R_OK) == 0 && strlen(name) < BL_PATH_MAX) {
        strcpy(out, name);
        return BL_OK;
    }
    if (bl_path_join(out, program, name, err) != BL_OK)
        return BL_EARG;
    if (access(out, R_OK) == 0)
        return BL_OK;
    return bl_fail(err, BL_EIO, "%s: not found here nor in %s", name, program);
}

double bl_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double bl_peak_rss_mb(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)r.ru_maxrss * 1024e-6;
}
