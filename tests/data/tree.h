/* A tree of folders for tests: made under TMPDIR or /tmp, removed whole. Include before any system header. */
#ifndef BL_TESTS_DATA_TREE_H
#define BL_TESTS_DATA_TREE_H

#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif

#include "audio/soundfile.h"
#include "base/file.h"

#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char tree_root[256];

static inline int tree_make(void **state)
{
    const char *root = getenv("TMPDIR");
    (void)state;
    snprintf(tree_root, sizeof tree_root, "%.200s/backline-test-XXXXXX", root && *root ? root : "/tmp");
    return mkdtemp(tree_root) ? 0 : -1;
}

static inline int tree_remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static inline int tree_remove(void **state)
{
    (void)state;
    return nftw(tree_root, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Path in the tree; eight results live at a time. */
static inline const char *tree_path(const char *name)
{
    static char path[8][BL_PATH_MAX];
    static int at;
    at = (at + 1) % 8;
    bl_path_join(path[at], tree_root, name, NULL);
    return path[at];
}

/* Makes the folders above a file of the tree and returns its path. */
static inline const char *tree_file(const char *name)
{
    const char *path = tree_path(name);
    char folder[BL_PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    if (bl_make_folder(folder, NULL) != BL_OK)
        abort();
    return path;
}

static inline void tree_text(const char *name, const char *text)
{
    if (bl_write_file(tree_file(name), text, strlen(text), NULL) != BL_OK)
        abort();
}

/* Adds a decaying tone with six partials to x. */
static inline void add_note(float *x, int64_t n, int rate, double onset_s, double seconds, double midi, double amplitude)
{
    const double hz = 440 * pow(2, (midi - 69) / 12), pi = acos(-1.0);
    const int64_t first = (int64_t)lround(onset_s * rate), count = (int64_t)(seconds * rate);
    for (int64_t i = 0; i < count && first + i < n; i++) {
        const double t = (double)i / rate, left = seconds - t;
        double v = 0;
        for (int k = 1; k <= 6 && k * hz < 0.45 * rate; k++)
            v += sin(2 * pi * k * hz * t) / k;
        v *= amplitude * exp(-2 * t) * (t < 0.003 ? t / 0.003 : 1) * (left < 0.01 ? left / 0.01 : 1);
        x[first + i] += (float)v;
    }
}

static inline void tree_write(const char *name, const audio_clip *clip)
{
    if (audio_write(tree_file(name), clip, AUDIO_ENCODING_DEFAULT, NULL) != BL_OK)
        abort();
}

/* A file with one note of the given pitch, `channels` alike. */
static inline void tree_sound(const char *name, double seconds, double midi, int rate, int channels)
{
    audio_clip clip = { 0 };
    if (audio_clip_new(&clip, channels, (int64_t)(seconds * rate), rate, NULL) != BL_OK)
        abort();
    for (int c = 0; c < channels; c++)
        add_note(clip.samples + c * clip.n_samples, clip.n_samples, rate, 0.05, seconds - 0.1, midi, 0.3);
    tree_write(name, &clip);
    audio_clip_free(&clip);
}

#endif
