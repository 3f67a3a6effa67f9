/* A folder of untrained models, so that the whole chain can be tested before anything was trained. Include after
 * tests/temporary.h and cmocka.h. Programs include it whole; what they do not use is no warning. */
#ifndef BL_TESTS_INFER_MODELS_H
#define BL_TESTS_INFER_MODELS_H

#include "blocks/classifier.h"
#include "blocks/feature_extractor.h"
#include "blocks/separator.h"
#include "blocks/synthesizer.h"
#include "blocks/temporal.h"
#include "nn/checkpoint.h"

#include <stdio.h>
#include <string.h>

static char *const models_genres[] = { (char *)"rock", (char *)"pop" };

/* path of a file in it */
static inline const char *models_path(const char *folder, const char *name)
{
    static char path[2][BL_PATH_MAX];
    static int at;
    at ^= 1;
    bl_path_join(path[at], folder, name, NULL);
    return path[at];
}

static inline void models_make_synthesizer(const char *folder)
{
    static const blocks_voice voices[] = {
        { "bass/33", "bass", 33, 0, 28, 60 },
        { "drums/0", "drums", 0, 1, 35, 57 },
        { "electric guitar/27", "electric guitar", 27, 0, 40, 84 },
        { "organ/16", "organ", 16, 0, 40, 84 },
    };
    bl_error err = { 0 };
    bl_config *config = bl_config_load("configs/rock.ini", &err);
    /* 24 kHz, so that a stem's rate differs from the song's */
    if (config)
        bl_config_set(config, "synthesizer.sample_rate=24000", &err);
    blocks_synthesizer *s = config ? blocks_synthesizer_new(config, voices, 4, models_genres, 2, 0, 7, &err) : NULL;
    nn_checkpoint *c = s ? nn_checkpoint_create(models_path(folder, "wavegan.h5"), "wavegan", &err) : NULL;
    if (c) {
        blocks_synthesizer_put(s, c, &err);
        nn_params_save(s->params, c, "average/", &err);
        nn_checkpoint_commit(c, &err);
    }
    blocks_synthesizer_free(s);
    bl_config_free(config);
    if (err.code)
        fail_msg("%s", err.msg);
}

static inline blocks_feature_extractor *models_features(bl_error *err)
{
    bl_config *config = bl_config_new();
    blocks_feature_extractor *fx = config ? blocks_feature_extractor_new(config, 3, err) : NULL;
    bl_config_free(config);
    return fx;
}

static inline void models_make_autoencoder(const char *folder)
{
    bl_error err = { 0 };
    blocks_feature_extractor *fx = models_features(&err);
    nn_checkpoint *c = fx ? nn_checkpoint_create(models_path(folder, "autoencoder.h5"), "autoencoder", &err) : NULL;
    if (c) {
        blocks_feature_extractor_put(fx, "config", c, &err);
        nn_checkpoint_commit(c, &err);
    }
    blocks_feature_extractor_free(fx);
    if (err.code)
        fail_msg("%s", err.msg);
}

static inline void models_make_classifier(const char *folder)
{
    static const char *const instruments[] = { "bass", "drums", "electric guitar", "organ" };
    bl_error err = { 0 };
    bl_config *config = bl_config_new();
    blocks_classifier *k = blocks_classifier_new(config, models_features(&err), (const char *const *)models_genres, 2,
                                                 instruments, 4, 5, &err);
    nn_checkpoint *c = k ? nn_checkpoint_create(models_path(folder, "classifier.h5"), "classifier", &err) : NULL;
    if (c) {
        blocks_classifier_put(k, c, &err);
        nn_checkpoint_commit(c, &err);
    }
    blocks_classifier_free(k);
    bl_config_free(config);
    if (err.code)
        fail_msg("%s", err.msg);
}

static inline void models_make_temporal(const char *folder)
{
    static const char *const instruments[] = { "bass", "drums", "electric guitar" };
    bl_error err = { 0 };
    bl_config *config = bl_config_new();
    blocks_temporal *t = blocks_temporal_new(config, instruments, 3, 5, &err);
    nn_checkpoint *c = t ? nn_checkpoint_create(models_path(folder, "bilstm.h5"), "bilstm", &err) : NULL;
    if (c) {
        blocks_temporal_put(t, c, &err);
        nn_checkpoint_commit(c, &err);
    }
    blocks_temporal_free(t);
    bl_config_free(config);
    if (err.code)
        fail_msg("%s", err.msg);
}

static inline void models_make_separator(const char *folder)
{
    bl_error err = { 0 };
    bl_config *config = bl_config_new();
    blocks_separator *s = blocks_separator_new(config, 5, &err);
    nn_checkpoint *c = s ? nn_checkpoint_create(models_path(folder, "separator.h5"), "separator", &err) : NULL;
    if (c) {
        blocks_separator_put(s, c, &err);
        nn_checkpoint_commit(c, &err);
    }
    blocks_separator_free(s);
    bl_config_free(config);
    if (err.code)
        fail_msg("%s", err.msg);
}

static inline void models_make(const char *folder)
{
    models_make_separator(folder);
    models_make_synthesizer(folder);
    models_make_autoencoder(folder);
    models_make_classifier(folder);
    models_make_temporal(folder);
}

#endif
