#include "blocks/segmenter.h"

#include "audio/resample.h"
#include "audio/stft.h"
#include "data/instruments.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TRACKS = BLOCKS_SEGMENTER_MAX_TRACKS };
static const char kind[] = "segmenter";
static const double piece_s = 40, overlap_s = 1, least_s = 0.25, window_s = 0.093, family_weight = 4;

/* ---- the model ---------------------------------------------------------------------------------- */

bl_status blocks_segmenter_configure(blocks_segmenter_options *o, const bl_config *config, bl_error *err)
{
    static const char *const methods[] = { "kmeans", "hierarchical", NULL };
    static const char section[] = "segmenter";
    bl_error own = { 0 };
    memset(o, 0, sizeof *o);
    o->method = (blocks_segmenter_method)bl_config_choice(config, section, "method", methods, 0, &own);
    o->linkage = (nn_linkage)bl_config_choice(config, section, "linkage", nn_linkage_names, NN_LINKAGE_WARD, &own);
    o->k = (int)bl_config_int(config, section, "clusters", 0, 0, MAX_TRACKS, &own);
    o->k_min = (int)bl_config_int(config, section, "min_clusters", 2, 1, MAX_TRACKS, &own);
    o->k_max = (int)bl_config_int(config, section, "max_clusters", 8, 1, MAX_TRACKS, &own);
    o->sharpness = bl_config_real(config, section, "sharpness", 3, 0, 1000, &own);
    o->min_share = bl_config_real(config, section, "min_share", 0.005, 0, 0.5, &own);
    o->n_sample = (int)bl_config_int(config, section, "n_sample", 12000, MAX_TRACKS, 1000000, &own);
    o->n_init = (int)bl_config_int(config, section, "n_init", 4, 1, 1000, &own);
    if (own.code == BL_OK && o->k_max < o->k_min)
        bl_fail(&own, BL_EARG, "%s: [segmenter] max_clusters %d is below min_clusters %d", bl_config_name(config), o->k_max, o->k_min);
    return own.code == BL_OK ? BL_OK : bl_fail(err, own.code, "%s", own.msg);
}

blocks_segmenter *blocks_segmenter_new(blocks_regions *regions, bl_error *err)
{
    blocks_segmenter *s = calloc(1, sizeof *s);
    if (!s) {
        bl_fail(err, BL_ENOMEM, "no memory for a segmenter");
        blocks_regions_free(regions);
        return NULL;
    }
    s->regions = regions;
    s->least_direction = 0.06;
    if (blocks_segmenter_configure(&s->options, regions->config, err) != BL_OK) {
        blocks_segmenter_free(s);
        return NULL;
    }
    return s;
}

void blocks_segmenter_free(blocks_segmenter *s)
{
    if (!s)
        return;
    blocks_regions_free(s->regions);
    free(s->family);
    free(s);
}

void blocks_segments_free(blocks_segments *segments)
{
    for (int i = 0; i < segments->n; i++)
        audio_clip_free(&segments->tracks[i].audio);
    memset(segments, 0, sizeof *segments);
}

bl_status blocks_segmenter_put(const blocks_segmenter *s, nn_checkpoint *c, bl_error *err)
{
    const char *names[MAX_TRACKS];
    for (int i = 0; i < s->n_families; i++)
        names[i] = s->name[i];
    nn_checkpoint_put_texts(c, "classes", names, s->n_families, err);
    nn_checkpoint_put(c, "segmenter/least_direction", NN_F64, 1, (int64_t[]){ 1 }, &s->least_direction, err);
    if (s->n_families > 0)
        nn_checkpoint_put(c, "segmenter/family", NN_F32, 2, (int64_t[]){ s->n_families, s->regions->dim }, s->family, err);
    return blocks_regions_put(s->regions, c, err);
}

static bl_status read_families(blocks_segmenter *s, const nn_checkpoint *c, bl_error *err)
{
    int n = 0;
    double *least = nn_checkpoint_get(c, "segmenter/least_direction", NN_F64, 1, (int64_t[]){ 1 }, NULL, err);
    char **names = least ? nn_checkpoint_get_texts(c, "classes", &n, err) : NULL;
    bl_status status = names ? BL_OK : err->code;
    if (status == BL_OK && (n > MAX_TRACKS || !(*least > 0) || *least > 1))
        status = bl_fail(err, BL_EFORMAT, "%s: %d families and a least direction of %g are not those of a segmenter",
                         nn_checkpoint_path(c), n, *least);
    if (status == BL_OK && n > 0) {
        s->family = nn_checkpoint_get(c, "segmenter/family", NN_F32, 2, (int64_t[]){ n, s->regions->dim }, NULL, err);
        status = s->family ? BL_OK : err->code;
        for (int i = 0; i < n; i++)
            snprintf(s->name[i], sizeof s->name[0], "%s", names[i]);
        s->n_families = status == BL_OK ? n : 0;
    }
    if (status == BL_OK)
        s->least_direction = *least;
    nn_checkpoint_texts_free(names, n);
    free(least);
    return status;
}

blocks_segmenter *blocks_segmenter_load(const char *path, bl_error *err)
{
    bl_error own = { 0 };
    nn_checkpoint *c = nn_checkpoint_open(path, kind, &own);
    blocks_regions *r = c ? blocks_regions_get(c, &own) : NULL;
    blocks_segmenter *s = r ? blocks_segmenter_new(r, &own) : NULL;
    if (s && read_families(s, c, &own) != BL_OK) {
        blocks_segmenter_free(s);
        s = NULL;
    }
    nn_checkpoint_free(c);
    if (!s)
        bl_fail(err, own.code, "%s", own.msg);
    return s;
}

/* ---- masks of a song ---------------------------------------------------------------------------- */

typedef struct job {
    const blocks_segmenter *s;
    const audio_clip *song;
    float   *mono;       /* [n_samples] */
    int64_t  n_frames;   /* of the regions */
    int      k, n_fft;
    float   *masks;      /* [k, n_bands, n_frames] */
    char     family_of[MAX_TRACKS][48];
} job;

/* Mono at the regions' rate, borrowed from the job when it is there already. */
static bl_status at_regions_rate(const job *j, float **owned, const float **x, int64_t *n, bl_error *err)
{
    *owned = NULL;
    *x = j->mono;
    *n = j->song->n_samples;
    if (j->song->sample_rate == BLOCKS_REGIONS_RATE)
        return BL_OK;
    *n = audio_resample_length(j->song->n_samples, j->song->sample_rate, BLOCKS_REGIONS_RATE);
    *x = *owned = malloc((size_t)*n * sizeof **owned);
    if (!*owned)
        return bl_fail(err, BL_ENOMEM, "no memory to resample %lld samples", (long long)j->song->n_samples);
    return audio_resample_buffer(j->mono, j->song->n_samples, j->song->sample_rate, BLOCKS_REGIONS_RATE, AUDIO_RESAMPLE_FAST, *owned,
                                 err);
}

/* The family whose mean latent is nearest to the centroid. */
static void name_cluster(const blocks_segmenter *s, const float *centroid, int c, char *out)
{
    const int dim = s->regions->dim;
    double least = INFINITY;
    snprintf(out, 48, "track %d", c + 1);
    for (int f = 0; f < s->n_families; f++) {
        double sum = 0;
        for (int d = 0; d < dim; d++) {
            const double v = (double)centroid[d] - (double)s->family[f * dim + d];
            sum += v * v;
        }
        if (sum < least) {
            least = sum;
            snprintf(out, 48, "%s", s->name[f]);
        }
    }
}

static bl_status find_masks(job *j, bl_error *err)
{
    const blocks_segmenter *s = j->s;
    float *owned = NULL, *power = NULL, *latents = NULL, *weight = NULL;
    float *centroids = calloc(MAX_TRACKS * (size_t)s->regions->dim, sizeof *centroids);
    const float *x = NULL;
    double reference = 0;
    int64_t n = 0;
    bl_status status = centroids ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for the clusters");
    if (status == BL_OK)
        status = at_regions_rate(j, &owned, &x, &n, err);
    if (status == BL_OK)
        status = blocks_regions_power(s->regions, x, n, &power, &j->n_frames, err);
    if (status == BL_OK) {
        reference = blocks_regions_reference(s->regions, power, j->n_frames);
        status = blocks_regions_latents(s->regions, power, j->n_frames, reference, &latents, err);
    }
    n = s->regions->n_bands * j->n_frames;
    if (status == BL_OK && !(weight = malloc((size_t)n * sizeof *weight)))
        status = bl_fail(err, BL_ENOMEM, "no memory for %lld regions", (long long)n);
    for (int64_t i = 0; status == BL_OK && i < n; i++)
        weight[i] = blocks_regions_weight(power[i], reference);
    if (status == BL_OK)
        status = blocks_segmenter_cluster(s, latents, weight, n, centroids, &j->k, err);
    if (status == BL_OK && !(j->masks = malloc((size_t)j->k * (size_t)n * sizeof *j->masks)))
        status = bl_fail(err, BL_ENOMEM, "no memory for the masks of %lld frames", (long long)j->n_frames);
    if (status == BL_OK) {
        blocks_segmenter_masks(s, latents, n, centroids, j->k, j->masks);
        for (int c = 0; c < j->k; c++)
            name_cluster(s, centroids + c * s->regions->dim, c, j->family_of[c]);
    }
    free(owned);
    free(power);
    free(latents);
    free(weight);
    free(centroids);
    return status;
}

/* ---- tracks ------------------------------------------------------------------------------------- */

/* Samples first .. first + length of the song; pieces overlap by overlap_s, the last one takes what would be too short alone. */
typedef struct piece { int64_t first, length, before, after; } piece;

static int piece_at(const audio_clip *song, int i, piece *p)
{
    const int64_t n = song->n_samples, overlap = (int64_t)(overlap_s * song->sample_rate);
    const int64_t length = (int64_t)(piece_s * song->sample_rate), step = length - overlap;
    int count = n <= length ? 1 : (int)((n - length + step - 1) / step) + 1;
    if (count > 1 && n - (int64_t)(count - 1) * step < length / 4)
        count--;
    *p = (piece){ i * step, i == count - 1 ? n - i * step : length, i > 0 ? overlap : 0, i + 1 < count ? overlap : 0 };
    return count;
}

/* Weight of a sample of a piece: 1, or on the slope towards its neighbour. */
static float fade(const piece *p, int64_t at)
{
    if (at < p->before)
        return ((float)at + 0.5f) / (float)p->before;
    if (at >= p->length - p->after)
        return 1 - ((float)(at - (p->length - p->after)) + 0.5f) / (float)p->after;
    return 1;
}

/* Scratch for one piece: one channel's spectrum, masked. */
typedef struct canvas {
    audio_stft *stft;
    int64_t     n_frames;
    int         n_bins;
    float      *spectrum, *masked, *y;
} canvas;

static void canvas_free(canvas *c)
{
    audio_stft_free(c->stft);
    free(c->spectrum);
    free(c->masked);
    free(c->y);
}

static bl_status canvas_new(canvas *c, int n_fft, int64_t n_samples, bl_error *err)
{
    *c = (canvas){ .stft = audio_stft_new(&(audio_stft_config){ .n_fft = n_fft, .pad = AUDIO_PAD_ZERO }, err) };
    if (!c->stft)
        return err ? err->code : BL_ENOMEM;
    c->n_bins = audio_stft_bins(c->stft);
    c->n_frames = audio_stft_frames(c->stft, n_samples);
    const size_t FT = (size_t)c->n_bins * (size_t)c->n_frames;
    c->spectrum = malloc(2 * FT * sizeof *c->spectrum);
    c->masked = malloc(2 * FT * sizeof *c->masked);
    c->y = malloc((size_t)n_samples * sizeof *c->y);
    return c->spectrum && c->masked && c->y ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for %lld frames", (long long)c->n_frames);
}

/* masked = spectrum x mask of track g, linear between the regions' frames. */
static void apply_mask(const job *j, const piece *p, const canvas *c, int g)
{
    const blocks_regions *r = j->s->regions;
    const double bin_hz = (double)j->song->sample_rate / j->n_fft;
    const double step = (double)j->n_fft / 4 / j->song->sample_rate * BLOCKS_REGIONS_RATE / BLOCKS_REGIONS_HOP;
    const double start = (double)p->first / j->song->sample_rate * BLOCKS_REGIONS_RATE / BLOCKS_REGIONS_HOP;
    #pragma omp parallel for schedule(static)
    for (int f = 0; f < c->n_bins; f++) {
        const float *mask = j->masks + ((int64_t)g * r->n_bands + blocks_regions_band(r, f * bin_hz)) * j->n_frames;
        const float *in = c->spectrum + 2 * f * c->n_frames;
        float *out = c->masked + 2 * f * c->n_frames;
        for (int64_t t = 0; t < c->n_frames; t++) {
            const double at = start + step * (double)t;
            const int64_t before = at < (double)(j->n_frames - 1) ? (int64_t)at : j->n_frames - 1;
            const int64_t after = before + 1 < j->n_frames ? before + 1 : before;
            const float part = (float)(at - (double)before), m = mask[before] + (after > before ? part * (mask[after] - mask[before]) : 0);
            out[2 * t] = in[2 * t] * m;
            out[2 * t + 1] = in[2 * t + 1] * m;
        }
    }
}

/* Masks one piece of every channel and adds it to the tracks. */
static bl_status render_piece(const job *j, const piece *p, blocks_segments *out, bl_error *err)
{
    canvas w;
    bl_status status = canvas_new(&w, j->n_fft, p->length, err);
    for (int c = 0; c < j->song->n_channels && status == BL_OK; c++) {
        const int64_t at = c * j->song->n_samples + p->first;
        status = audio_stft_run(w.stft, j->song->samples + at, p->length, w.spectrum, err);
        for (int g = 0; g < j->k && status == BL_OK; g++) {
            float *track = out->tracks[g].audio.samples + at;
            apply_mask(j, p, &w, g);
            status = audio_stft_inverse(w.stft, w.masked, p->length, w.y, err);
            for (int64_t i = 0; i < p->length && status == BL_OK; i++)
                track[i] += w.y[i] * fade(p, i);
        }
    }
    canvas_free(&w);
    return status;
}

/* What rounding left over goes to the first track, so that the sum is the song. */
static void settle(const audio_clip *song, blocks_segments *out)
{
    for (int64_t i = 0; i < song->n_samples * song->n_channels; i++) {
        double sum = 0;
        for (int g = 0; g < out->n; g++)
            sum += (double)out->tracks[g].audio.samples[i];
        out->tracks[0].audio.samples[i] += (float)((double)song->samples[i] - sum);
    }
}

static double power_of(const audio_clip *clip)
{
    double sum = 0;
    for (int64_t i = 0; i < clip->n_samples * clip->n_channels; i++)
        sum += (double)clip->samples[i] * (double)clip->samples[i];
    return sum;
}

static int by_share(const void *pa, const void *pb)
{
    const blocks_segment *a = pa, *b = pb;
    if (a->share != b->share)
        return a->share > b->share ? -1 : 1;
    return (a->cluster > b->cluster) - (a->cluster < b->cluster);
}

/* Of equal names the second and later ones get a number. */
static void make_unique(blocks_segments *out)
{
    char base[BLOCKS_SEGMENTER_MAX_TRACKS][64];
    for (int i = 0; i < out->n; i++)
        memcpy(base[i], out->tracks[i].name, sizeof base[i]);
    for (int i = 0; i < out->n; i++) {
        int earlier = 0;
        for (int k = 0; k < i; k++)
            earlier += !strcmp(base[k], base[i]);
        if (earlier)
            snprintf(out->tracks[i].name, sizeof out->tracks[i].name, "%.48s %d", base[i], earlier + 1);
    }
}

/* The most probable instrument, given also what the centroid stands for: timbre through a mask is less certain than
 * timbre alone, so instruments of the centroid's family count family_weight times. */
static void weigh_family(const blocks_tone_detector *d, const char *cluster, blocks_track_guess *guess)
{
    double sum = 0;
    int best = 0;
    for (int c = 0; c < d->n_classes; c++) {
        const int id = d->instrument[c];
        if (id >= 0 && !strcmp(data_family_name(data_instrument_at(id)->family), cluster))
            guess->of_class[c] *= family_weight;
        sum += guess->of_class[c];
    }
    for (int c = 0; c < d->n_classes; c++) {
        guess->of_class[c] /= sum;
        best = guess->of_class[c] > guess->of_class[best] ? c : best;
    }
    if (guess->instrument != d->instrument[best]) {
        guess->instrument = d->instrument[best];
        guess->role_probability = blocks_track_role(guess->instrument, &guess->measures, guess->role, guess->name);
    } else {
        guess->role_probability /= guess->probability;
    }
    guess->probability = guess->of_class[best];
    guess->role_probability *= guess->probability;
}

/* family_of [cluster]. mono: scratch of the song's length. */
static bl_status name_tracks(char (*family_of)[48], const blocks_tone_detector *detector, float *mono, blocks_segments *out,
                             bl_error *err)
{
    for (int i = 0; i < out->n; i++) {
        blocks_segment *t = &out->tracks[i];
        blocks_track_guess guess;
        bl_error own = { 0 };
        t->instrument = -1;
        snprintf(t->name, sizeof t->name, "%s", family_of[t->cluster]);
        if (!detector)
            continue;
        audio_clip_mono(&t->audio, mono);
        const bl_status status = blocks_tone_detector_track(detector, mono, t->audio.n_samples, t->audio.sample_rate, NULL,
                                                            NULL, 0, &guess, &own);
        if (status == BL_ENOMEM)
            return bl_fail(err, status, "%s", own.msg);
        if (status != BL_OK)
            continue;
        weigh_family(detector, family_of[t->cluster], &guess);
        snprintf(t->name, sizeof t->name, "%s", guess.name);
        t->instrument = guess.instrument;
        t->probability = guess.role_probability;
    }
    make_unique(out);
    return BL_OK;
}

static bl_status check_song(const audio_clip *song, bl_error *err)
{
    float peak = 0;
    if (song->sample_rate < 8000 || (double)song->n_samples < least_s * song->sample_rate)
        return bl_fail(err, BL_EARG, "expected a quarter of a second or more at 8000 Hz or more, got %lld samples at %d Hz",
                       (long long)song->n_samples, song->sample_rate);
    for (int64_t i = 0; i < song->n_samples * song->n_channels; i++) {
        if (!isfinite(song->samples[i]))
            return bl_fail(err, BL_ENAN, "sample %lld is not a finite number", (long long)(i % song->n_samples));
        peak = fabsf(song->samples[i]) > peak ? fabsf(song->samples[i]) : peak;
    }
    return peak > 1e-5f ? BL_OK : bl_fail(err, BL_EARG, "the song is silent");
}

/* The power of two nearest to window_s. */
static int window_of(int sample_rate)
{
    const int power = (int)(log2(window_s * sample_rate) + 0.5);
    return 1 << (power < 6 ? 6 : power > 16 ? 16 : power);
}

bl_status blocks_segmenter_run(blocks_segmenter *s, const audio_clip *song, const blocks_tone_detector *detector, blocks_segments *out,
                               bl_error *err)
{
    job j = { .s = s, .song = song };
    piece p;
    bl_status status = check_song(song, err);

    memset(out, 0, sizeof *out);
    if (status != BL_OK)
        return status;
    j.n_fft = window_of(song->sample_rate);
    j.mono = malloc((size_t)song->n_samples * sizeof *j.mono);
    if (!j.mono) {
        status = bl_fail(err, BL_ENOMEM, "no memory for %lld samples", (long long)song->n_samples);
        goto done;
    }
    audio_clip_mono(song, j.mono);
    if ((status = find_masks(&j, err)) != BL_OK)
        goto done;
    for (int g = 0; g < j.k; g++) {
        status = audio_clip_new(&out->tracks[g].audio, song->n_channels, song->n_samples, song->sample_rate, err);
        if (status != BL_OK)
            goto done;
        out->tracks[g].cluster = g;
        out->n++;
    }
    const int n_pieces = piece_at(song, 0, &p);
    for (int i = 0; i < n_pieces && status == BL_OK; i++) {
        piece_at(song, i, &p);
        status = render_piece(&j, &p, out, err);
    }
    if (status != BL_OK)
        goto done;
    const double total = power_of(song);
    for (int g = 0; g < out->n; g++)
        out->tracks[g].share = power_of(&out->tracks[g].audio) / total;
    qsort(out->tracks, (size_t)out->n, sizeof *out->tracks, by_share);
    settle(song, out);
    status = name_tracks(j.family_of, detector, j.mono, out, err);
done:
    free(j.masks);
    free(j.mono);
    if (status != BL_OK)
        blocks_segments_free(out);
    return status;
}
