/* An .ini file in memory: sections, keys in file order, the line of each, and whether anybody read
 * it. A key that nobody read is an error that names the line and the nearest known key.
 *
 *     bl_config *c = bl_config_load("configs/rock.ini", &err);
 *     bl_config_set(c, "train.steps=200", &err);
 *     int steps = bl_config_int(c, "train", "steps", 1000, 1, 1000000, &err);
 *     if (bl_config_check_unused(c, &err) != BL_OK) ...
 *
 * Syntax   `[section]`, `key = value`, comments from `;` or `#` at the start of a line or ` ;` in it.
 *          Section and key names are case sensitive.
 * Errors   Getters record in err (BL_EARG: not a number, outside min..max, not in the choices)
 *          with file, line, key, what came and what was expected, and return the default.
 * Memory   bl_config_load/_parse return a config; release with bl_config_free (NULL allowed).
 *          Returned strings are borrowed from the config.
 */
#ifndef BL_BASE_CONFIG_H
#define BL_BASE_CONFIG_H

#include "base/error.h"

#include <stdint.h>

typedef struct bl_config bl_config;

typedef struct bl_config_entry {
    const char *section, *key, *value;
    int         line;   /* 0 when set from the command line          */
    int         used;   /* set by getters; bl_config_mark_used too   */
} bl_config_entry;

bl_config *bl_config_load(const char *path, bl_error *err);
bl_config *bl_config_parse(const char *text, const char *name, bl_error *err);
bl_config *bl_config_new(void); /* empty; NULL when there is no memory */
void       bl_config_free(bl_config *config);
/* The same keys, values and lines, none used yet. NULL when there is no memory. */
bl_config *bl_config_copy(const bl_config *config);

/* "section.key=value" from --set; replaces or adds. The section ends at the first dot. */
bl_status bl_config_set(bl_config *config, const char *assignment, bl_error *err);

/* The whole config as .ini text (what a checkpoint stores), which parses to the same config. malloc'ed: release with
 * free. */
char *bl_config_text(const bl_config *config);

/* File name given at load, for messages. */
const char *bl_config_name(const bl_config *config);

int                    bl_config_count(const bl_config *config);
const bl_config_entry *bl_config_at(const bl_config *config, int i);
int                    bl_config_has_section(const bl_config *config, const char *section);
void                   bl_config_mark_used(const bl_config *config, int i);

/* Marks every key of a section as used (a section that another reader looks at). */
void bl_config_ignore_section(const bl_config *config, const char *section);

/* What was asked for and used in a copy counts as asked for and used here: for readers that work on a copy of their own. */
void bl_config_merge_used(const bl_config *config, const bl_config *copy);

/* NULL default allowed; returns the default when the key is absent. */
const char *bl_config_str(const bl_config *config, const char *section, const char *key,
                          const char *fallback);
int64_t     bl_config_int(const bl_config *config, const char *section, const char *key,
                          int64_t fallback, int64_t min, int64_t max, bl_error *err);
double      bl_config_real(const bl_config *config, const char *section, const char *key,
                           double fallback, double min, double max, bl_error *err);
int         bl_config_bool(const bl_config *config, const char *section, const char *key,
                           int fallback, bl_error *err);
/* Index into NULL-terminated choices. */
int         bl_config_choice(const bl_config *config, const char *section, const char *key,
                             const char *const *choices, int fallback, bl_error *err);

/* BL_EARG naming the first unused key, its line and the nearest key that was asked for. */
bl_status bl_config_check_unused(const bl_config *config, bl_error *err);

/* Nearest of n candidates by edit distance, NULL when none is near enough. For all "did you mean". */
const char *bl_nearest(const char *word, const char *const *candidates, int n);

#endif
