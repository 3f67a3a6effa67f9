/* What a config leaves out, from the config that ships with the program: one place for every default.
 *
 *     static const char *const settings[] = { "features", NULL }, *const networks[] = { "encoder", "decoder", NULL };
 *     blocks_config_fill(config, "configs/autoencoder.ini", settings, networks, &err);
 *
 * settings  sections whose missing keys are added; networks: sections that are added when they are wholly missing, parts
 *           of networks only where a network of the config has them.
 * Errors    BL_EIO: the shipped file is not there (bl_find_shipped); what bl_config_load says; BL_ENOMEM.
 */
#ifndef BL_BLOCKS_CONFIG_DEFAULTS_H
#define BL_BLOCKS_CONFIG_DEFAULTS_H

#include "base/config.h"

bl_status blocks_config_fill(bl_config *config, const char *shipped, const char *const *settings, const char *const *networks,
                             bl_error *err);

/* A copy of config, filled. NULL on failure; release with bl_config_free. */
bl_config *blocks_config_filled(const bl_config *config, const char *shipped, const char *const *settings,
                                const char *const *networks, bl_error *err);

/* Unknown keys of the sections in `own` are errors, and so are sections that no program reads (blocks_config_sections);
 * the others belong to other programs. The message names file, line and the nearest name. */
bl_status blocks_config_check(const bl_config *config, const char *const *own, bl_error *err);

/* Every section that a program reads from a band's config; "mix *" is any that begins with "mix ". Ends with NULL. */
extern const char *const blocks_config_sections[];

/* Sets section.key to a number printed with format ("%d, T"). */
bl_status blocks_config_set_int(bl_config *config, const char *section, const char *key, const char *format, int value,
                                bl_error *err);

#endif
