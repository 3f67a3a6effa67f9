/* Reading a network's section: what network_parse.c (sections), network_line.c (lines) and
 * network_value.c (values, variables) share. Nobody else
 * includes it.
 *
 * A scope is a section while it is read: the network's own, or that of a part, inside the scope that uses it.
 * Every function that may fail records one sentence in builder->err (first failure wins) and returns its code.
 */
#ifndef BL_NN_NETWORK_PARSE_H
#define BL_NN_NETWORK_PARSE_H

#include "nn/network_private.h"

enum { NN_PARSE_LIST = 64, NN_PARSE_DEFAULTS = 16, NN_PARSE_DEPTH = 8, NN_PARSE_NAMES = 256, NN_LINE_OWN = 3 };

typedef struct nn_scope {
    struct nn_scope       *outer;                     /* NULL: the network itself                              */
    const char            *section;
    const bl_config_entry *entry;                     /* the line that is read                                 */
    char                   prefix[NN_NETWORK_KEY];    /* of names: "up/"                                       */
    char                   path[96];                  /* of parameters: "generator/up"                         */
    int                    is_shared;                 /* parameters exist already                              */
    int                    depth;
    int                    above;                     /* name of the line above, -1                            */
    int                    first_name;                /* names from here on are the scope's                    */
    int64_t                letter[128];               /* sizes that a part's inputs gave letters; 0: none      */
    const nn_network_setting *setting;                /* what the user of the part set                         */
    int                    n_settings;
    int                    defaults[NN_PARSE_DEFAULTS]; /* entries "defaults.TYPE" so far                      */
    int                    default_used[NN_PARSE_DEFAULTS], n_defaults;
} nn_scope;

typedef struct nn_builder {
    const bl_config *config;
    nn_network      *net;
    nn_scope        *scope;
    unsigned char   *variable_used;                   /* by entry of the config                                */
    const int       *part_in;                         /* items that the part under way is given                */
    int              part_out;                        /* item that the part just read results in               */
    bl_error        *err;
} nn_builder;

/* One .ini line of a layer or part, before it becomes items. */
typedef struct nn_line {
    const nn_layer_type *type;          /* NULL: a part                                       */
    const char          *part;          /* its section                                        */
    const char          *option[NN_LINE_OWN + NN_LAYER_OPTIONS]; /* from, repeat, share, then its own */
    int                  n_options;
    char               (*text)[NN_PARSE_LIST][40]; /* [NN_LAYER_OPTIONS]: values of its own options */
    int                  n_values[NN_LAYER_OPTIONS];
    int                  in[NN_MAX_IN], n_in; /* items                                        */
    int                  repeat, length; /* times, and layers each time                       */
    char                 share[NN_NETWORK_KEY]; /* name whose parameters it uses; ""          */
} nn_line;

/* The line b->scope->entry: type, options (those of defaults.TYPE above first), inputs. Release with nn_line_free. */
bl_status nn_line_parse(nn_builder *b, nn_line *line);
void      nn_line_free(nn_line *line);
/* Keeps "defaults.TYPE = option=value ...", which is entry i of the config. */
bl_status nn_line_defaults(nn_builder *b, int i);
/* The value of option k of its type for copy `index` of a line; NULL when the line does not give it. */
const char *nn_line_value(const nn_line *line, int k, int index);

/* Index into net->names of a name of the scope (without its prefix), -1. */
int       nn_parse_name(const nn_builder *b, const char *key);
/* format has two %s: the name, and the nearest one there is. */
bl_status nn_parse_unknown(const nn_builder *b, const char *format, const char *name);

/* "FILE line N: [section] key: ..." and, in a part, who uses it. */
bl_status nn_parse_fail(const nn_builder *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
bl_status nn_parse_no_memory(const nn_builder *b);

/* `; did you mean "conv1d"?`, or nothing. */
const char *nn_parse_hint(const char *word, const char *const *names, int n, char out[80]);

/* Takes the next element of a comma list, blanks around it removed; 0 at the end. */
int nn_parse_next(const char **list, char out[64]);

/* 1 when the line defines a variable: d = 64, h = 2*d, mode = "linear", causal = yes, channels = required. */
int nn_parse_is_variable(const nn_builder *b, const bl_config_entry *entry);

/* Names of the variables of a section; their number. */
int nn_parse_variables(const nn_builder *b, const char *section, const char **names, int capacity);

/* The value of an expression (+ - * / and brackets over numbers, variables, section.variable and letters of sizes); why
 * says what is wrong with it. */
bl_status nn_parse_expression(nn_builder *b, const char *text, double *out, char why[200]);

/* A variable's or option's text when it is a word: w itself, or what the variable of this name holds. */
const char *nn_parse_word(nn_builder *b, const char *w, char out[64]);

/* A value of a layer's option. */
bl_status nn_parse_value(nn_builder *b, const nn_layer_option *option, const char *word, double *out);

/* Elements of "3", "1,2,4" or "1..512", which doubles, still as text. */
bl_status nn_parse_list(nn_builder *b, const char *option, const char *text, char (*values)[40], int *n);

/* What a part's variable is set to: a number worked out here, or a word. */
bl_status nn_parse_setting(nn_builder *b, const char *part, const char *name, const char *word, char out[40]);

/* A size of an input: number, expression, or in a network a letter or T/4 (then *divisor is set and -1 comes back). */
bl_status nn_parse_size(nn_builder *b, const char *word, int64_t *size, int *divisor);

#endif
