/* The configs that ship: what they must have in common, and that they are explained and accepted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/file.h"
#include "blocks/config_defaults.h"
#include "blocks/synthesizer_train.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const genre_files[] = { "configs/rock.ini", "configs/pop.ini", "configs/jazz.ini", "configs/classical.ini", "configs/blues.ini",
                                           "configs/country.ini", "configs/reggae.ini", "configs/disco.ini", "configs/metal.ini",
                                           "configs/hip-hop.ini" };
enum { N_GENRES = sizeof genre_files / sizeof *genre_files };

static bl_config *load(const char *path)
{
    bl_error err = { 0 };
    bl_config *c = bl_config_load(path, &err);
    if (!c)
        fail_msg("%s", err.msg);
    return c;
}

static int is_network(const char *section)
{
    return !strcmp(section, "wavenet") || !strcmp(section, "generator") || !strcmp(section, "discriminator");
}

/* What train_wavegan itself asks for. */
static void ask_as_the_program(const bl_config *c)
{
    static const char *const keys[][2] = {
        { "synthesizer", "kind" }, { "train", "seed" }, { "train", "steps" }, { "train", "checkpoint_every" },
        { "train", "preview_every" }, { "train", "instruments" }, { "train", "max_tones" }, { "train", "max_tone_s" },
        { "train", "release_s" }, { "train", "max_memory_mb" }, { "chain", "pretrained" }, { "chain", "models" },
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        bl_config_str(c, keys[i][0], keys[i][1], "");
}

static void genre_configs_are_accepted(void **state)
{
    static const char *const own[] = { "synthesizer", "wavenet", "generator", "discriminator", "train", "gan", "chain", NULL };
    (void)state;
    for (int i = 0; i < N_GENRES; i++) {
        bl_error err = { 0 };
        bl_config *c = load(genre_files[i]);
        ask_as_the_program(c);
        if (blocks_synthesizer_config_check(c, &err) != BL_OK || blocks_config_check(c, own, &err) != BL_OK)
            fail_msg("%s", err.msg);
        bl_config_free(c);
    }
}

static void genre_configs_have_the_same_keys_and_networks(void **state)
{
    (void)state;
    bl_config *rock = load(genre_files[0]);
    for (int i = 1; i < N_GENRES; i++) {
        bl_config *c = load(genre_files[i]);
        assert_int_equal(bl_config_count(c), bl_config_count(rock));
        for (int k = 0; k < bl_config_count(c); k++) {
            const bl_config_entry *a = bl_config_at(rock, k), *b = bl_config_at(c, k);
            assert_string_equal(a->section, b->section);
            assert_string_equal(a->key, b->key);
            if (is_network(a->section)) /* so that models of all genres compare */
                assert_string_equal(a->value, b->value);
        }
        bl_config_free(c);
    }
    bl_config_free(rock);
}

/* Lines "key = value" without " ;" behind them. */
static int count_unexplained(const char *path, char first[200])
{
    char *text;
    size_t size;
    int n = 0;
    assert_int_equal(bl_read_file(path, 1 << 20, &text, &size, NULL), BL_OK);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (line[0] != ';' && line[0] != '#' && line[0] != '[' && strchr(line, '=') && !strstr(line, " ;") && n++ == 0)
            snprintf(first, 200, "%s", line);
    free(text);
    return n;
}

static void every_key_is_explained(void **state)
{
    char first[200];
    (void)state;
    for (int i = 0; i <= N_GENRES; i++) {
        const char *file = i < N_GENRES ? genre_files[i] : "configs/wavegan_paper.ini";
        if (count_unexplained(file, first))
            fail_msg("%s: no comment behind \"%s\"", file, first);
    }
}

static void sections_of_one_program_are_known_to_all(void **state)
{
    static const char *const files[] = { "configs/autoencoder.ini", "configs/segmenter.ini", "configs/tone_detector.ini",
                                         "configs/classifier.ini", "configs/bilstm.ini", "configs/rock.ini",
                                         "configs/wavegan_paper.ini" };
    static const char *const nothing[] = { NULL };
    (void)state;
    for (int i = 0; i < 7; i++) {
        bl_error err = { 0 };
        bl_config *c = load(files[i]);
        if (blocks_config_check(c, nothing, &err) != BL_OK)
            fail_msg("%s", err.msg);
        bl_config_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(genre_configs_are_accepted),
        cmocka_unit_test(genre_configs_have_the_same_keys_and_networks),
        cmocka_unit_test(every_key_is_explained),
        cmocka_unit_test(sections_of_one_program_are_known_to_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
