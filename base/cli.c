#include "base/cli.h"
#include "base/config.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char bl_version[] = "0.1.0";

static void print_help(const bl_cli_program *p, const bl_cli_option *options)
{
    printf("usage: %s %s\n\n%s\n\noptions:\n", p->name, p->usage, p->summary);
    for (const bl_cli_option *o = options; o->name; o++) {
        char left[64];
        snprintf(left, sizeof left, "%s%c%s--%s%s%s", o->letter ? "-" : " ", o->letter ? o->letter : ' ',
                 o->letter ? ", " : "  ", o->name, o->value ? " " : "", o->value ? o->value : "");
        printf("  %-30s %s\n", left, o->help);
    }
    if (p->topic)
        printf("  %-30s %s\n", "    --help TOPIC", p->topics);
    printf("  %-30s %s\n  %-30s %s\n", "    --help", "this text", "    --version", "the version");
    if (p->examples)
        printf("\nexamples:\n%s", p->examples);
}

static int wrong(const bl_cli_program *p, const char *format, const char *a, const char *b)
{
    fprintf(stderr, "%s: ", p->name);
    fprintf(stderr, format, a, b);
    fprintf(stderr, "; see %s --help\n", p->name);
    return 2;
}

/* --help alone, or with a topic behind it (NULL: none). */
static int give_help(const bl_cli_program *p, const bl_cli_option *options, const char *topic)
{
    const char *near = NULL;
    if (!p->topic || !topic) {
        print_help(p, options);
        return 0;
    }
    if (p->topic(topic, &near))
        return 0;
    if (near)
        return wrong(p, "no help on %s; did you mean --help %s?", topic, near);
    return wrong(p, "no help on %s%s", topic, "");
}

static int unknown_option(const bl_cli_program *p, const bl_cli_option *options, const char *word)
{
    const char *names[128], *near;
    int n = 0;
    for (const bl_cli_option *o = options; o->name && n < 128; o++)
        names[n++] = o->name;
    near = bl_nearest(word + strspn(word, "-"), names, n);
    if (near)
        return wrong(p, "unknown option %s; did you mean --%s?", word, near);
    return wrong(p, "unknown option %s%s", word, "");
}

static int store(const bl_cli_program *p, const bl_cli_option *o, const char *value)
{
    char *end;
    errno = 0;
    switch (o->kind) {
    case BL_CLI_FLAG:
        *(int *)o->target = 1;
        return -1;
    case BL_CLI_INT: {
        const long long v = strtoll(value, &end, 10);
        if (end == value || *end || errno)
            return wrong(p, "--%s: expected a whole number, got \"%s\"", o->name, value);
        *(int64_t *)o->target = v;
        return -1;
    }
    case BL_CLI_REAL: {
        const double v = strtod(value, &end);
        if (end == value || *end || !isfinite(v))
            return wrong(p, "--%s: expected a number, got \"%s\"", o->name, value);
        *(double *)o->target = v;
        return -1;
    }
    case BL_CLI_TEXT:
        *(const char **)o->target = value;
        return -1;
    case BL_CLI_LIST: {
        bl_cli_list *list = o->target;
        if (list->n == BL_CLI_LIST_MAX)
            return wrong(p, "--%s: given too often (\"%s\")", o->name, value);
        list->item[list->n++] = value;
        return -1;
    }
    }
    return -1;
}

int bl_cli_parse(const bl_cli_program *p, const bl_cli_option *options, int argc, char **argv,
                 const char **positional, int *n_positional)
{
    int n = 0, only_positional = 0;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], *value = NULL;
        const bl_cli_option *o;
        if (only_positional || word[0] != '-' || !word[1]) {
            if (n == p->max_positional)
                return wrong(p, "one argument too many: %s%s", word, "");
            positional[n++] = word;
            continue;
        }
        if (!strcmp(word, "--")) {
            only_positional = 1;
            continue;
        }
        if (!strcmp(word, "--help"))
            return give_help(p, options, i + 1 < argc && argv[i + 1][0] != '-' ? argv[i + 1] : NULL);
        if (!strncmp(word, "--help=", 7))
            return give_help(p, options, word + 7);
        if (!strcmp(word, "--version")) {
            printf("%s (backline) %s\n", p->name, bl_version);
            return 0;
        }
        for (o = options; o->name; o++) {
            const size_t len = strlen(o->name);
            if (word[1] == '-' && !strncmp(word + 2, o->name, len) && (word[2 + len] == '\0' || word[2 + len] == '=')) {
                if (word[2 + len] == '=')
                    value = word + 3 + len;
                break;
            }
            if (o->letter && word[1] == o->letter && !word[2])
                break;
        }
        if (!o->name)
            return unknown_option(p, options, word);
        if (o->kind == BL_CLI_FLAG && value)
            return wrong(p, "--%s takes no value, got \"%s\"", o->name, value);
        if (o->kind != BL_CLI_FLAG && !value) {
            if (i + 1 == argc)
                return wrong(p, "--%s needs a value: %s", o->name, o->value);
            value = argv[++i];
        }
        const int rc = store(p, o, value);
        if (rc >= 0)
            return rc;
    }
    if (n < p->min_positional)
        return wrong(p, "an argument is missing; usage: %s %s", p->name, p->usage);
    *n_positional = n;
    return -1;
}

int bl_cli_fail(const bl_cli_program *p, const bl_error *err)
{
    fprintf(stderr, "%s: %s\n", p->name, err->msg);
    return 1;
}
