/* What every train_* program takes on its command line, read the same way by all of them.
 *
 *     --config FILE DATASET_DIR [--out DIR] [--set section.key=value]... [--steps N]
 *     [--resume] [--seed N] [--threads N] [--quiet] [--log FILE.csv]
 *
 *     static const bl_cli_program program = {
 *         .name = "train_segmenter", .summary = "Learns ...", .examples = "  train_segmenter ...\n" };
 *     train_options opt;
 *     const int rc = train_options_parse(&program, argc, argv, &opt);
 *     if (rc >= 0)
 *         return rc;
 *     ... opt.config, opt.dataset_dir, opt.out_dir ...
 *     train_options_free(&opt);
 *
 * Defaults  config: none, every key has its built-in value. out_dir: "checkpoints". steps: -1, the
 *           config's own number counts. seed: [train] seed of the config, else 1. threads: 0, all cores.
 *           log_path: NULL, no log is written; a program that keeps one by default puts it in out_dir.
 * Errors    train_options_parse returns -1 to go on, else the status to leave with: 0 after --help and
 *           --version, 2 after wrong usage (an option unknown, a value out of range, --set malformed),
 *           1 when the config or the dataset folder cannot be read or out_dir cannot be made. The
 *           sentence is on stderr by then and nothing is left allocated.
 * Memory    The texts are borrowed from argv (or are constants); opt->config is owned by opt; release
 *           with train_options_free, which accepts a zeroed struct.
 * Threads   Sets the number of OpenMP threads for the whole process.
 */
#ifndef BL_TRAIN_OPTIONS_H
#define BL_TRAIN_OPTIONS_H

#include "base/cli.h"
#include "base/config.h"

#include <stdint.h>

typedef struct train_options {
    const char *config_path; /* NULL when none was given                                        */
    bl_config  *config;      /* the file with every --set applied; empty when none was given    */
    const char *dataset_dir; /* exists and is a folder                                          */
    const char *out_dir;     /* exists                                                          */
    bl_cli_list sets;        /* the assignments, as given (already applied to config)           */
    int64_t     steps;       /* -1: not given; else >= 1                                        */
    int         resume;
    int64_t     seed;        /* >= 0                                                            */
    int         seed_given;  /* --seed was used, so it outranks a checkpoint's own seed         */
    int         threads;     /* number in use, >= 1                                             */
    int         quiet;
    const char *log_path;    /* NULL: no log                                                    */
} train_options;

/* program: name, summary and examples are used; usage and the positional counts are filled in here. */
int  train_options_parse(const bl_cli_program *program, int argc, char **argv, train_options *opt);
void train_options_free(train_options *opt);
/* Writes --steps, where given, into the config as [section] steps: a schedule of the learning rate depends on it. */
bl_status train_options_apply_steps(const train_options *opt, const char *section, bl_error *err);
/* Says on stderr that a file of the dataset was left out, and why: what collectors take as on_skip. user is not used. */
void train_report_skip(void *user, const char *path, const char *reason);

#endif
