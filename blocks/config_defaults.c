#include "blocks/config_defaults.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_in(const char *const *list, const char *name)
{
    for (; list && *list; list++)
        if (!strcmp(*list, name))
            return 1;
    return 0;
}

static bl_status copy_entry(bl_config *config, const bl_config_entry *e, bl_error *err)
{
    const size_t size = strlen(e->section) + strlen(e->key) + strlen(e->value) + 3;
    char *text = malloc(size);
    bl_status status;
    if (!text)
        return bl_fail(err, BL_ENOMEM, "no memory for the configuration");
    snprintf(text, size, "%s.%s=%s", e->section, e->key, e->value);
    status = bl_config_set(config, text, err);
    free(text);
    return status;
}

/* Whether a layer somewhere in config is of this type: a section that is a part of another's network. */
static int is_a_part(const bl_config *config, const char *section)
{
    const size_t n = strlen(section);
    for (int i = 0; i < bl_config_count(config); i++) {
        const char *value = bl_config_at(config, i)->value;
        if (!strncmp(value, section, n) && (value[n] == ' ' || !value[n]))
            return 1;
    }
    return 0;
}

bl_status blocks_config_fill(bl_config *config, const char *shipped, const char *const *settings, const char *const *networks,
                             bl_error *err)
{
    enum { MOST = 32 };
    char path[BL_PATH_MAX];
    const char *absent[MOST + 1] = { NULL };
    bl_status status = bl_find_shipped(path, shipped, err);
    bl_config *defaults = status == BL_OK ? bl_config_load(path, err) : NULL;
    int n_absent = 0;

    if (!defaults)
        return status == BL_OK ? BL_EFORMAT : status;
    for (; networks && *networks && n_absent < MOST; networks++)
        if (!bl_config_has_section(config, *networks))
            absent[n_absent++] = *networks;
    /* Parts stand behind the networks that they are parts of: one that an own network does without is left out. */
    for (int i = 0; status == BL_OK && i < bl_config_count(defaults); i++) {
        const bl_config_entry *e = bl_config_at(defaults, i);
        int wanted = is_in(absent, e->section) && (!is_a_part(defaults, e->section) || is_a_part(config, e->section));
        if (is_in(settings, e->section)) {
            wanted = 1;
            for (int k = 0; k < bl_config_count(config); k++) {
                const bl_config_entry *own = bl_config_at(config, k);
                wanted &= strcmp(own->section, e->section) != 0 || strcmp(own->key, e->key) != 0;
            }
        }
        if (wanted)
            status = copy_entry(config, e, err);
    }
    bl_config_free(defaults);
    return status;
}

bl_config *blocks_config_filled(const bl_config *config, const char *shipped, const char *const *settings,
                                const char *const *networks, bl_error *err)
{
    bl_config *copy = bl_config_copy(config);
    if (!copy) {
        bl_fail(err, BL_ENOMEM, "no memory for the configuration");
    } else if (blocks_config_fill(copy, shipped, settings, networks, err) != BL_OK) {
        bl_config_free(copy);
        copy = NULL;
    }
    return copy;
}

const char *const blocks_config_sections[] = {
    "synthesizer", "wavenet", "generator", "discriminator", "train", "gan", "chain", /* train_wavegan           */
    "features", "encoder", "decoder", "autoencoder",                                 /* train_autoencoder       */
    "segmenter", "regions", "region_encoder", "region_block", "region_decoder", "segmenter_training", /* train_segmenter */
    "tone_detector",                                                                 /* program of this name    */
    "classifier", "classifier_training",                                             /* train_classifier        */
    "chords", "chords_training",                                                     /* train_chords            */
    "bilstm", "temporal",                                                            /* train_bilstm            */
    "separator", "separation", "separation_training",                                /* train_separator         */
    "arranger", "arranger_training",                                                 /* train_arranger          */
    "beats", "beat_network", "tcn_block", "level_network",                           /* train_beats             */
    "drummer", "drummer_network", "drummer_training",                                /* train_drummer           */
    "mix", "mix *",                                                                  /* infer: [mix bass]       */
    NULL,
};

/* In the list by name, or by its beginning: "mix *". */
static int is_known(const char *section)
{
    for (const char *const *s = blocks_config_sections; *s; s++) {
        const size_t n = strcspn(*s, "*");
        if ((*s)[n] ? !strncmp(*s, section, n) : !strcmp(*s, section))
            return 1;
    }
    return 0;
}

static bl_status unknown_section(const bl_config *config, const bl_config_entry *e, const char *const *own, bl_error *err)
{
    enum { MOST = 64 };
    const char *names[MOST];
    char line[32] = "";
    int n = 0;
    for (; *own && n < MOST; own++)
        names[n++] = *own;
    for (int i = 0; blocks_config_sections[i] && n < MOST; i++)
        names[n++] = blocks_config_sections[i];
    const char *near = bl_nearest(e->section, names, n);
    if (e->line)
        snprintf(line, sizeof line, " line %d", e->line);
    return bl_fail(err, BL_EARG, "%s%s: %s.%s: no program reads a section [%s]%s%s%s", bl_config_name(config), line, e->section, e->key,
                   e->section, near ? "; did you mean [" : "", near ? near : "", near ? "]?" : "");
}

bl_status blocks_config_check(const bl_config *config, const char *const *own, bl_error *err)
{
    for (int i = 0; i < bl_config_count(config); i++) {
        const bl_config_entry *e = bl_config_at(config, i);
        if (is_in(own, e->section))
            continue;
        if (!is_known(e->section))
            return unknown_section(config, e, own, err);
        bl_config_mark_used(config, i);
    }
    return bl_config_check_unused(config, err);
}

bl_status blocks_config_set_int(bl_config *config, const char *section, const char *key, const char *format, int value,
                                bl_error *err)
{
    char number[80], text[240];
    snprintf(number, sizeof number, format, value);
    snprintf(text, sizeof text, "%.80s.%.60s=%s", section, key, number);
    return bl_config_set(config, text, err);
}
