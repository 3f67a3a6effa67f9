/* Dataset reader: what the names in a folder say. */
#include "audio/soundfile.h"
#include "base/file.h"
#include "data/dataset_private.h"
#include "data/instruments.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- names ---- */

int data_is_one_of(const char *word, const char *const *list)
{
    for (; *list; list++)
        if (!strcasecmp(word, *list))
            return 1;
    return 0;
}

void data_without_extension(const char *name, char out[BL_PATH_MAX])
{
    const size_t extension = strlen(bl_path_extension(name));
    size_t n = strlen(name);
    if (extension)
        n -= extension + 1;
    if (n > BL_PATH_MAX - 1)
        n = BL_PATH_MAX - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = name[i];
    out[n] = '\0';
}

data_sound_kind data_sound_kind_of(const char *file, int *instrument)
{
    static const char *const mixtures[] = { "mixture", "mix", "mixdown", "master", "full mix", "full_mix", "fullmix", "full",
                                            "song", "original", NULL };
    static const char *const others[] = { "other", "others", "residual", "rest", NULL };
    char base[BL_PATH_MAX];
    data_without_extension(file, base);
    *instrument = -1;
    if (data_is_one_of(base, mixtures))
        return KIND_MIXTURE;
    if (data_is_one_of(base, others))
        return KIND_OTHER;
    *instrument = data_instrument_find(base);
    return *instrument >= 0 ? KIND_INSTRUMENT : KIND_UNKNOWN;
}

/* DATA_TRAIN, DATA_VALIDATION or -1: "train", "nsynth-valid", "musdb18_test". */
int data_split_of_folder(const char *name)
{
    static const char *const train[] = { "train", "training", NULL };
    static const char *const held_out[] = { "valid", "validation", "val", "dev", "test", "testing", NULL };
    const char *last = name;
    for (const char *p = name; *p; p++)
        if (*p == '-' || *p == '_')
            last = p + 1;
    return data_is_one_of(last, train) ? DATA_TRAIN : data_is_one_of(last, held_out) ? DATA_VALIDATION : -1;
}

/* Folder names that say nothing about what is in them. */
int data_is_generic_name(const char *name)
{
    static const char *const generic[] = { "audio", "songs", "tracks", "wav", "wavs", "flac", "mp3", "ogg", "files", "data",
        "dataset", "music", "recordings", "samples", "notes", "tones", "phrases", "stems", "midi", "mixed", "mixes", "mixtures",
        "loops", "misc", "unsorted", "other", "raw", "genres", "genres_original", "clips", "instruments", NULL };
    return data_is_one_of(name, generic);
}

/* ---- looking into a folder ---- */

void data_listing_free(data_listing *l)
{
    bl_names_free(l->names, l->n_names);
    free(l->sounds);
    free(l->folders);
    *l = (data_listing){ 0 };
}

static int folder_has_sound(const char *path)
{
    char **names;
    int n, found = 0;
    if (bl_list_folder(path, &names, &n, NULL) != BL_OK)
        return 0;
    for (int i = 0; i < n && !found; i++)
        found = names[i][0] != '.' && audio_is_sound_name(names[i]);
    bl_names_free(names, n);
    return found;
}

bl_status data_listing_read(const char *path, data_listing *l, bl_error *err)
{
    char full[BL_PATH_MAX];
    int has_examples = 0, has_audio = 0;
    *l = (data_listing){ 0 };
    if (bl_list_folder(path, &l->names, &l->n_names, err) != BL_OK)
        return err ? err->code : BL_EIO;
    l->sounds = malloc(((size_t)l->n_names + 1) * sizeof *l->sounds);
    l->folders = malloc(((size_t)l->n_names + 1) * sizeof *l->folders);
    if (!l->sounds || !l->folders) {
        data_listing_free(l);
        return bl_fail(err, BL_ENOMEM, "%s: no memory for the list of files", path);
    }
    for (int i = 0; i < l->n_names; i++) {
        char *name = l->names[i];
        if (name[0] == '.' || !strcmp(name, "__MACOSX") || bl_path_join(full, path, name, NULL) != BL_OK)
            continue;
        if (bl_is_folder(full)) {
            l->folders[l->n_folders++] = name;
            has_audio |= !strcmp(name, "audio");
            l->has_stems |= !strcasecmp(name, "stems") && folder_has_sound(full);
        } else if (audio_is_sound_name(name)) {
            l->sounds[l->n_sounds++] = name; /* a dangling link too: it is reported */
        } else {
            has_examples |= !strcmp(name, "examples.json");
            if (!strcasecmp(name, "metadata.csv"))
                l->csv = name;
        }
    }
    l->has_nsynth = has_examples && has_audio;
    return BL_OK;
}

/* Whether the sounds of a folder are the stems of one song rather than songs or notes of their own. */
int data_is_song_folder(const data_place *at, const data_listing *l)
{
    int first = -2, distinct = 0, named = 0, mixture = 0, instrument;
    if (l->has_stems)
        return 1;
    for (int i = 0; i < l->n_sounds; i++) {
        const data_sound_kind kind = data_sound_kind_of(l->sounds[i], &instrument);
        named += kind != KIND_UNKNOWN;
        mixture |= kind == KIND_MIXTURE;
        if (kind == KIND_INSTRUMENT || kind == KIND_OTHER) {
            distinct += distinct == 0 || instrument != first;
            first = distinct == 1 ? instrument : first;
        }
    }
    if (mixture)
        return l->n_sounds <= 64 && (named > 1 || at->depth > 0);
    if (data_instrument_find(bl_path_name(at->path)) >= 0)
        return 0; /* piano/piano.wav is a recording of a piano */
    if (l->n_sounds == 1)
        return named == 1 && at->depth > 0;
    return distinct >= 2 && 2 * named >= l->n_sounds;
}
