/* Dataset reader: decoding, and a cache of what was decoded, least recently used out first. */
#include "audio/resample.h"
#include "audio/soundfile.h"
#include "data/dataset_private.h"

#include <stdlib.h>
#include <string.h>

static int64_t clip_bytes(const audio_clip *clip)
{
    return clip->n_samples * clip->n_channels * (int64_t)sizeof(float);
}

/* Mixes down and resamples in place; sample_rate 0 leaves the clip as it is. */
static bl_status convert(audio_clip *clip, int sample_rate, bl_error *err)
{
    audio_clip mono = { 0 }, out = { 0 };
    bl_status status = BL_OK;
    if (sample_rate <= 0)
        return BL_OK;
    if (clip->n_channels > 1) {
        if ((status = audio_clip_new(&mono, 1, clip->n_samples, clip->sample_rate, err)) != BL_OK)
            return status;
        audio_clip_mono(clip, mono.samples);
        audio_clip_free(clip);
        *clip = mono;
    }
    if (clip->sample_rate != sample_rate) {
        status = audio_resample(clip, sample_rate, AUDIO_RESAMPLE_MEDIUM, &out, err);
        if (status == BL_OK) {
            audio_clip_free(clip);
            *clip = out;
        }
    }
    return status;
}

static bl_status decode(const char *path, double max_s, int sample_rate, audio_clip *clip, bl_error *err)
{
    bl_status status = audio_read(path, max_s, clip, err);
    if (status == BL_OK)
        status = convert(clip, sample_rate, err);
    if (status != BL_OK)
        audio_clip_free(clip);
    return status;
}

static void drop(struct data_dataset_private *p, int i)
{
    p->cached_bytes -= clip_bytes(&p->cache[i].clip);
    audio_clip_free(&p->cache[i].clip);
    free(p->cache[i].path);
    p->cache[i] = p->cache[--p->n_cached];
}

static void drop_oldest(struct data_dataset_private *p)
{
    int oldest = 0;
    for (int i = 1; i < p->n_cached; i++)
        if (p->cache[i].used < p->cache[oldest].used)
            oldest = i;
    drop(p, oldest);
}

static data_cached *find(struct data_dataset_private *p, const char *path, int sample_rate)
{
    for (int i = 0; i < p->n_cached; i++)
        if (p->cache[i].sample_rate == sample_rate && !strcmp(p->cache[i].path, path))
            return &p->cache[i];
    return NULL;
}

/* Takes the clip, also on failure (NULL: no memory). */
static data_cached *insert(data_dataset *d, const char *path, int sample_rate, audio_clip *clip)
{
    struct data_dataset_private *p = d->private_;
    const int64_t limit = (int64_t)(p->options.max_cache_mb > 0 ? p->options.max_cache_mb : 256) * 1000000;
    while (p->n_cached && p->cached_bytes + clip_bytes(clip) > limit)
        drop_oldest(p);
    if (p->n_cached == p->cache_capacity) {
        const int capacity = p->cache_capacity ? 2 * p->cache_capacity : 16;
        data_cached *cache = realloc(p->cache, (size_t)capacity * sizeof *cache);
        if (!cache) {
            audio_clip_free(clip);
            return NULL;
        }
        p->cache = cache;
        p->cache_capacity = capacity;
    }
    char *name = malloc(strlen(path) + 1);
    if (!name) {
        audio_clip_free(clip);
        return NULL;
    }
    strcpy(name, path);
    p->cached_bytes += clip_bytes(clip);
    p->cache[p->n_cached] = (data_cached){ name, sample_rate, *clip, ++p->clock };
    return &p->cache[p->n_cached++];
}

const audio_clip *data_dataset_audio(data_dataset *d, const char *path, int sample_rate, bl_error *err)
{
    data_cached *item = find(d->private_, path, sample_rate);
    bl_error local = { 0 };
    audio_clip clip = { 0 };
    if (item) {
        item->used = ++d->private_->clock;
        return &item->clip;
    }
    const bl_status status = decode(path, data_max_file_s(d), sample_rate, &clip, &local);
    if (status != BL_OK) {
        if (status != BL_ENOMEM)
            data_dataset_skip(d, path, local.msg);
        bl_fail(err, status, "%s", local.msg);
        return NULL;
    }
    if (!(item = insert(d, path, sample_rate, &clip))) {
        bl_fail(err, BL_ENOMEM, "%s: no memory to keep it", path);
        return NULL;
    }
    return &item->clip;
}

void data_dataset_prefetch(data_dataset *d, const char *const *paths, int n, int sample_rate)
{
    audio_clip *clips = calloc((size_t)(n > 0 ? n : 1), sizeof *clips);
    const double max_s = data_max_file_s(d);
    if (!clips)
        return;
#pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < n; i++)
        if (!find(d->private_, paths[i], sample_rate))
            decode(paths[i], max_s, sample_rate, &clips[i], NULL);
    for (int i = 0; i < n; i++) { /* in order, so that what stays does not depend on the threads */
        if (clips[i].samples && !find(d->private_, paths[i], sample_rate))
            insert(d, paths[i], sample_rate, &clips[i]);
        else
            audio_clip_free(&clips[i]);
    }
    free(clips);
}

bl_status data_song_audio(data_dataset *d, const data_song *song, int sample_rate, audio_clip *out, bl_error *err)
{
    bl_error local = { 0 };
    *out = (audio_clip){ 0 };
    if (sample_rate < 1)
        return bl_fail(err, BL_EARG, "sample rate: expected at least 1 Hz, got %d", sample_rate);
    const audio_clip *mixture = song->mixture ? data_dataset_audio(d, song->mixture, sample_rate, &local) : NULL;
    if (mixture) {
        const bl_status status = audio_clip_new(out, 1, mixture->n_samples, sample_rate, err);
        if (status == BL_OK)
            memcpy(out->samples, mixture->samples, (size_t)mixture->n_samples * sizeof(float));
        return status;
    }
    for (int i = 0; i < song->n_stems; i++) {
        const audio_clip *stem = data_dataset_audio(d, song->stems[i].path, sample_rate, &local);
        if (!stem)
            continue;
        if (stem->n_samples > out->n_samples) { /* stems may differ in length: the sum has the longest */
            audio_clip longer = { 0 };
            const bl_status status = audio_clip_new(&longer, 1, stem->n_samples, sample_rate, err);
            if (status != BL_OK) {
                audio_clip_free(out);
                return status;
            }
            if (out->n_samples)
                memcpy(longer.samples, out->samples, (size_t)out->n_samples * sizeof(float));
            audio_clip_free(out);
            *out = longer;
        }
        for (int64_t k = 0; k < stem->n_samples; k++)
            out->samples[k] += stem->samples[k];
    }
    if (!out->samples)
        return bl_fail(err, local.code ? local.code : BL_EFORMAT, "%s", local.code ? local.msg : "no audio in this song");
    return BL_OK;
}
