/* Command lines: one table per program, from which parsing, --help and the messages follow.
 *
 *     static const bl_cli_option options[] = {
 *         { "out", 'o', BL_CLI_TEXT, &args.out, "FILE", "where the song goes" },
 *         { "seed", 0, BL_CLI_INT, &args.seed, "N", "another take" },
 *         { NULL }
 *     };
 *     switch (bl_cli_parse(&program, options, argc, argv, &positional, &n_positional)) ...
 *
 * `--name value`, `--name=value`, `-o value`. --help and --version are always there; a program with a `topic` function
 * also knows --help TOPIC.
 * Targets: BL_CLI_FLAG int, BL_CLI_INT int64_t, BL_CLI_REAL double, BL_CLI_TEXT const char *,
 * BL_CLI_LIST bl_cli_list (each use appends).
 *
 * bl_cli_parse returns -1 to go on, else the exit status to leave with (0 after --help/--version,
 * 2 after wrong usage; the sentence, with the nearest option, has been printed to stderr).
 */
#ifndef BL_BASE_CLI_H
#define BL_BASE_CLI_H

#include "base/error.h"

typedef enum bl_cli_kind { BL_CLI_FLAG, BL_CLI_INT, BL_CLI_REAL, BL_CLI_TEXT, BL_CLI_LIST } bl_cli_kind;

enum { BL_CLI_LIST_MAX = 64 };
typedef struct bl_cli_list {
    const char *item[BL_CLI_LIST_MAX];
    int         n;
} bl_cli_list;

typedef struct bl_cli_option {
    const char *name;
    char        letter; /* 0: none */
    bl_cli_kind kind;
    void       *target;
    const char *value;  /* what --help calls the value, NULL for flags */
    const char *help;
} bl_cli_option;

typedef struct bl_cli_program {
    const char *name;     /* "train_wavegan"                                       */
    const char *usage;    /* "[options] --config FILE DATASET_DIR"                 */
    const char *summary;  /* one sentence                                          */
    const char *examples; /* lines, each a command somebody can paste              */
    int min_positional, max_positional;
    const char *topics;   /* what --help TOPIC knows, for --help: "layers: ..."; NULL  */
    /* Prints what there is on a topic to stdout, returns 1; 0: there is nothing, and near is the nearest topic or NULL. */
    int (*topic)(const char *name, const char **near);
} bl_cli_program;

int bl_cli_parse(const bl_cli_program *program, const bl_cli_option *options, int argc, char **argv,
                 const char **positional, int *n_positional);

/* Prints "name: message" to stderr and returns the exit status, 1. */
int bl_cli_fail(const bl_cli_program *program, const bl_error *err);

extern const char bl_version[];

#endif
