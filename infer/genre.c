#include "infer/genre.h"

#include "base/config.h"

#include <stdio.h>
#include <string.h>

enum { MAX_HOPS = 8 };

/* The genre's own file; 0 when it has none. */
static int own_file(const char *genre, char path[BL_PATH_MAX])
{
    char name[2 * INFER_GENRE_NAME];
    for (const char *blank = " -_"; *blank; blank++) {
        bl_error missing = { 0 };
        snprintf(name, sizeof name, "configs/styles/%.63s.ini", genre);
        for (char *c = name; *c; c++)
            if (*c == ' ')
                *c = *blank;
        if (!strchr(genre, '/') && bl_find_shipped(path, name, &missing) == BL_OK)
            return 1;
    }
    return 0;
}

/* What a genre is like by its file, or by configs/genres.ini; "" where nothing is said. */
static bl_status read_like(const char *genre, char like[INFER_GENRE_NAME], bl_error *err)
{
    char path[BL_PATH_MAX];
    const int has_file = own_file(genre, path);
    like[0] = '\0';
    if (!has_file && bl_find_shipped(path, "configs/genres.ini", err) != BL_OK)
        return err->code;
    bl_config *c = bl_config_load(path, err);
    if (!c)
        return err->code;
    const char *name = has_file ? bl_config_str(c, "style", "like", bl_config_str(c, "style", "genre", ""))
                                : bl_config_str(c, "like", genre, "");
    if (!strcmp(name, genre))
        name = "";
    snprintf(like, INFER_GENRE_NAME, "%.63s", name);
    bl_config_free(c);
    return BL_OK;
}

int infer_genre_known(const char *genre, infer_genre_knows knows, const void *who, char known[INFER_GENRE_NAME], bl_error *err)
{
    char now[INFER_GENRE_NAME], next[INFER_GENRE_NAME];
    snprintf(now, sizeof now, "%.63s", genre);
    known[0] = '\0';
    for (int hop = 0; now[0]; hop++) {
        if (knows(who, now)) {
            strcpy(known, now);
            return 1;
        }
        if (hop == MAX_HOPS) {
            bl_fail(err, BL_EARG, "the genre \"%.63s\" is like others in a circle, at \"%s\": look at the \"like\" of their files in "
                                  "configs/styles", genre, now);
            return -1;
        }
        if (read_like(now, next, err) != BL_OK)
            return -1;
        strcpy(now, next);
    }
    return 0;
}

static int has_section(const void *who, const char *genre)
{
    return bl_config_has_section(who, genre);
}

int infer_genre_section(const char *genre, const char *file, char known[INFER_GENRE_NAME], bl_error *err)
{
    char path[BL_PATH_MAX];
    if (bl_find_shipped(path, file, err) != BL_OK)
        return -1;
    bl_config *c = bl_config_load(path, err);
    const int found = c ? infer_genre_known(genre, has_section, c, known, err) : -1;
    bl_config_free(c);
    return found;
}

static int has_file(const void *who, const char *genre)
{
    char path[BL_PATH_MAX];
    (void)who;
    return own_file(genre, path);
}

static bl_status unknown(const char *genre, bl_error *err)
{
    char folder[BL_PATH_MAX], **names = NULL;
    int n = 0;
    bl_error ignored = { 0 };
    if (bl_find_shipped(folder, "configs/styles", &ignored) == BL_OK)
        bl_list_folder(folder, &names, &n, &ignored);
    for (int i = 0; i < n; i++)
        names[i][strcspn(names[i], ".")] = '\0';
    const char *near = bl_nearest(genre, (const char *const *)names, n);
    if (near)
        bl_fail(err, BL_EARG, "unknown genre \"%.60s\"; did you mean \"%s\"?", genre, near);
    else
        bl_fail(err, BL_EARG, "unknown genre \"%.60s\": there is no configs/styles/%.60s.ini, nor does configs/genres.ini say what it "
                              "is like", genre, genre);
    bl_names_free(names, n);
    return err->code;
}

bl_status infer_genre_style(const char *genre, char path[BL_PATH_MAX], char style[INFER_GENRE_NAME], bl_error *err)
{
    const int found = infer_genre_known(genre, has_file, NULL, style, err);
    if (found < 0)
        return err->code;
    if (found) {
        own_file(style, path);
        return BL_OK;
    }
    return unknown(genre, err);
}
