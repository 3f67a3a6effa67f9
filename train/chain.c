#define _GNU_SOURCE /* environ, readlink */
#include "train/chain.h"

#include "base/file.h"
#include "base/progress.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

bl_status train_model_path(char out[BL_PATH_MAX], const char *model, const train_options *opt, bl_error *err)
{
    char name[80];
    snprintf(name, sizeof name, "%.70s.h5", model);
    return bl_path_join(out, opt->out_dir, name, err);
}

/* The program that trains a model stands beside this one. */
static bl_status program_path(char out[BL_PATH_MAX], const char *model, bl_error *err)
{
    char self[BL_PATH_MAX], name[80];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return bl_fail(err, BL_EIO, "cannot find out where this program lies: %s", strerror(errno));
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    snprintf(name, sizeof name, "train_%.60s", model);
    if (bl_path_join(out, self, name, err) != BL_OK)
        return err->code;
    return access(out, X_OK) == 0 ? BL_OK : bl_fail(err, BL_EIO, "%s: not there; build all programs with make", out);
}

bl_status train_ensure(const char *model, const train_options *opt, bl_error *err)
{
    char path[BL_PATH_MAX], program[BL_PATH_MAX], seed[32], threads[32];
    const char *argv[16 + 2 * BL_CLI_LIST_MAX];
    int n = 0, status = 0;
    pid_t pid;

    if (train_model_path(path, model, opt, err) != BL_OK)
        return err->code;
    if (bl_is_file(path)) {
        if (!opt->quiet)
            fprintf(stderr, "%s: taken from an earlier run\n", path);
        return BL_OK;
    }
    if (program_path(program, model, err) != BL_OK)
        return err->code;
    if (!opt->quiet)
        fprintf(stderr, "%s is missing: training it first\n", path);
    snprintf(seed, sizeof seed, "%lld", (long long)opt->seed);
    snprintf(threads, sizeof threads, "%d", opt->threads);
    argv[n++] = program;
    if (opt->config_path) {
        argv[n++] = "--config";
        argv[n++] = opt->config_path;
    }
    argv[n++] = opt->dataset_dir;
    argv[n++] = "--out";
    argv[n++] = opt->out_dir;
    argv[n++] = "--seed";
    argv[n++] = seed;
    argv[n++] = "--threads";
    argv[n++] = threads;
    if (opt->quiet)
        argv[n++] = "--quiet";
    for (int i = 0; i < opt->sets.n; i++) {
        argv[n++] = "--set";
        argv[n++] = opt->sets.item[i];
    }
    argv[n] = NULL;
    const int rc = posix_spawn(&pid, program, NULL, NULL, (char *const *)argv, environ);
    if (rc != 0)
        return bl_fail(err, BL_EIO, "%s: cannot start: %s", program, strerror(rc));
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return bl_fail(err, BL_EIO, "%s: lost: %s", program, strerror(errno));
    if (bl_interrupted())
        return bl_fail(err, BL_ESTOP, "interrupted while train_%s was running; the same command goes on there", model);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return bl_fail(err, BL_EIO, "train_%s failed, so there is no %s", model, path);
    return bl_is_file(path) ? BL_OK : bl_fail(err, BL_EIO, "train_%s ended without writing %s", model, path);
}
