#include "train/options.h"

#include "base/file.h"
#include "nn/network.h"

#include <omp.h>

#include <stdio.h>
#include <string.h>

enum { THREADS_MAX = 1024 };

static const int64_t not_given = INT64_MIN;

static int wrong_range(const bl_cli_program *p, const char *name, int64_t got, const char *expected)
{
    fprintf(stderr, "%s: --%s: expected %s, got %lld; see %s --help\n", p->name, name, expected, (long long)got,
            p->name);
    return 2;
}

/* The config with every --set applied. Returns -1 to go on, else the exit status. */
static int load_config(const bl_cli_program *p, train_options *opt)
{
    bl_error err = { 0 };
    opt->config = opt->config_path ? bl_config_load(opt->config_path, &err) : bl_config_new();
    if (!opt->config) {
        bl_fail(&err, BL_ENOMEM, "no memory for the configuration");
        return bl_cli_fail(p, &err);
    }
    for (int i = 0; i < opt->sets.n; i++)
        if (bl_config_set(opt->config, opt->sets.item[i], &err) != BL_OK) {
            bl_cli_fail(p, &err);
            return 2;
        }
    return -1;
}

static int check_ranges(const bl_cli_program *p, const train_options *opt, int64_t steps, int64_t seed, int64_t threads)
{
    if (steps != not_given && steps < 1)
        return wrong_range(p, "steps", steps, "a number of at least 1");
    if (opt->seed_given && seed < 0)
        return wrong_range(p, "seed", seed, "a number of at least 0");
    if (threads < 0 || threads > THREADS_MAX)
        return wrong_range(p, "threads", threads, "a number from 1 to 1024, or 0 for all cores");
    return -1;
}

static int prepare(const bl_cli_program *p, train_options *opt, int64_t seed, int64_t threads)
{
    bl_error err = { 0 };
    int rc = load_config(p, opt);
    if (rc >= 0)
        return rc;
    /* The config's seed is read even when --seed outranks it, so that the key never counts as unused. */
    const int64_t config_seed = bl_config_int(opt->config, "train", "seed", 1, 0, INT64_MAX, &err);
    opt->seed = opt->seed_given ? seed : config_seed;
    if (err.code != BL_OK)
        return bl_cli_fail(p, &err);
    if (!bl_is_folder(opt->dataset_dir)) {
        bl_fail(&err, BL_EIO, "%s: %s", opt->dataset_dir,
                bl_is_file(opt->dataset_dir) ? "expected a dataset folder, got a file" : "no such folder");
        return bl_cli_fail(p, &err);
    }
    if (bl_make_folder(opt->out_dir, &err) != BL_OK)
        return bl_cli_fail(p, &err);
    if (threads > 0)
        omp_set_num_threads((int)threads);
    opt->threads = omp_get_max_threads();
    return -1;
}

int train_options_parse(const bl_cli_program *program, int argc, char **argv, train_options *opt)
{
    bl_cli_program p = *program;
    const char *positional[1] = { NULL };
    int n_positional = 0;
    int64_t seed = not_given, steps = not_given, threads = 0;

    memset(opt, 0, sizeof *opt);
    opt->out_dir = "checkpoints";
    p.usage = "[options] --config FILE DATASET_DIR";
    p.min_positional = p.max_positional = 1;
    p.topics = NN_LAYERS_HELP;
    p.topic = nn_layers_help;

    const bl_cli_option options[] = {
        { "config", 0, BL_CLI_TEXT, &opt->config_path, "FILE", "settings (.ini); without it every key has its default" },
        { "out", 'o', BL_CLI_TEXT, &opt->out_dir, "DIR", "folder for checkpoints and logs (default: checkpoints)" },
        { "set", 0, BL_CLI_LIST, &opt->sets, "SECTION.KEY=VALUE", "overrides a key of the config; may be repeated" },
        { "steps", 0, BL_CLI_INT, &steps, "N", "how much to train (default: what the config says)" },
        { "resume", 0, BL_CLI_FLAG, &opt->resume, NULL, "go on from what --out holds" },
        { "seed", 0, BL_CLI_INT, &seed, "N", "same seed, same result (default: [train] seed, else 1)" },
        { "threads", 0, BL_CLI_INT, &threads, "N", "threads to use; never changes a result (default: all cores)" },
        { "quiet", 'q', BL_CLI_FLAG, &opt->quiet, NULL, "no progress, only the result and errors" },
        { "log", 0, BL_CLI_TEXT, &opt->log_path, "FILE.csv", "writes the curve and the figures there" },
        { NULL, 0, BL_CLI_FLAG, NULL, NULL, NULL },
    };
    int rc = bl_cli_parse(&p, options, argc, argv, positional, &n_positional);
    if (rc >= 0)
        return rc;
    opt->dataset_dir = positional[0];
    opt->seed_given = seed != not_given;
    opt->steps = steps == not_given ? -1 : steps;
    rc = check_ranges(&p, opt, steps, seed, threads);
    if (rc < 0)
        rc = prepare(&p, opt, seed, threads);
    if (rc >= 0)
        train_options_free(opt);
    return rc;
}

void train_options_free(train_options *opt)
{
    bl_config_free(opt->config);
    memset(opt, 0, sizeof *opt);
}

bl_status train_options_apply_steps(const train_options *opt, const char *section, bl_error *err)
{
    char text[120];
    if (opt->steps < 0)
        return err->code;
    snprintf(text, sizeof text, "%s.steps=%lld", section, (long long)opt->steps);
    return bl_config_set(opt->config, text, err);
}

void train_report_skip(void *user, const char *path, const char *reason)
{
    (void)user;
    fprintf(stderr, "skipped %s: %s\n", path, reason);
}
