#include "blocks/segmenter.h"

#include "audio/f0.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char kind[] = "segmenter";
static const double piece_s = 40, overlap_s = 1, least_s = 0.25, family_weight = 4;

void blocks_segmenter_free(blocks_segmenter *s)
{
    if (!s)
        return;
    free(s->mean);
    free(s->projection);
    nn_kmeans_free(&s->clusters);
    free(s);
}

void blocks_segments_free(blocks_segments *segments)
{
    for (int i = 0; i < segments->n; i++)
        audio_clip_free(&segments->tracks[i].audio);
    memset(segments, 0, sizeof *segments);
}

/* ---- rows --------------------------------------------------------------------------------------- */

/* Mean of the latents over time, weighted by how much of each frame is the part: strength times share. */
static void latents_of_part(const blocks_parts *p, int r, const double *total, const float *latents, int64_t n_latents,
                            double hop_s, int dim, float *out)
{
    const double frame_s = p->n_fft / 4 / (double)p->sample_rate;
    double sum = 0;
    memset(out, 0, (size_t)dim * sizeof *out);
    for (int64_t t = 0; t < p->n_frames; t++) {
        const double h = (double)p->H[r * p->n_frames + t], w = total[t] > 0 ? h * h / total[t] : 0;
        int64_t at = (int64_t)((double)t * frame_s / hop_s + 0.5);
        at = at < n_latents ? at : n_latents - 1;
        for (int d = 0; d < dim; d++)
            out[d] += (float)w * latents[at * dim + d];
        sum += w;
    }
    for (int d = 0; d < dim && sum > 0; d++)
        out[d] /= (float)sum;
}

bl_status blocks_segmenter_rows(const blocks_parts *p, const float *x, int64_t n_samples, const blocks_latent_encoder *encoder,
                                float *out, double *energy, bl_error *err)
{
    const int dim_in = BLOCKS_PART_FEATURES + (encoder ? encoder->dim : 0);
    blocks_part_row *rows = malloc((size_t)p->n_parts * sizeof *rows);
    double *total = calloc((size_t)p->n_frames, sizeof *total), hop_s = 0;
    float *latents = NULL;
    int64_t n_latents = 0;
    bl_status status = BL_OK;

    if (!rows || !total)
        status = bl_fail(err, BL_ENOMEM, "no memory to describe %d parts", p->n_parts);
    if (status == BL_OK)
        status = blocks_parts_describe(p, rows, err);
    if (status == BL_OK && encoder)
        status = encoder->encode(encoder->user, x, n_samples, p->sample_rate, &latents, &n_latents, &hop_s, err);
    if (status == BL_OK && encoder && (n_latents < 1 || hop_s <= 0))
        status = bl_fail(err, BL_ESHAPE, "the encoder gave no latents for %lld samples", (long long)n_samples);
    if (status == BL_OK) {
        for (int r = 0; r < p->n_parts; r++)
            for (int64_t t = 0; t < p->n_frames; t++)
                total[t] += (double)p->H[r * p->n_frames + t];
        for (int r = 0; r < p->n_parts; r++) {
            memcpy(out + (int64_t)r * dim_in, rows[r].features, sizeof rows[r].features);
            if (encoder)
                latents_of_part(p, r, total, latents, n_latents, hop_s, encoder->dim,
                                out + (int64_t)r * dim_in + BLOCKS_PART_FEATURES);
            energy[r] = rows[r].energy;
        }
    }
    free(rows);
    free(total);
    free(latents);
    return status;
}

/* ---- clusters ----------------------------------------------------------------------------------- */

static void project(const blocks_segmenter *s, const float *rows, int64_t n, float *z)
{
    for (int64_t i = 0; i < n; i++)
        for (int d = 0; d < s->dim; d++) {
            double sum = 0;
            for (int j = 0; j < s->dim_in; j++)
                sum += (double)s->projection[d * s->dim_in + j] * ((double)rows[i * s->dim_in + j] - (double)s->mean[j]);
            z[i * s->dim + d] = (float)sum;
        }
}

/* Lloyd's iterations from the centroids in use; label is replaced. */
static bl_status refine_clusters(const blocks_segmenter *s, const float *z, int64_t n, int *label, bl_error *err)
{
    int used[BLOCKS_SEGMENTER_MAX_TRACKS], n_used = 0, back[BLOCKS_SEGMENTER_MAX_TRACKS];
    float *start = malloc((size_t)s->clusters.k * (size_t)s->dim * sizeof *start);
    nn_kmeans own = { 0 };
    bl_status status;
    if (!start)
        return bl_fail(err, BL_ENOMEM, "no memory for %d clusters", s->clusters.k);
    memset(used, 0, sizeof used);
    for (int64_t i = 0; i < n; i++)
        used[label[i]] = 1;
    for (int c = 0; c < s->clusters.k; c++)
        if (used[c]) {
            memcpy(start + n_used * s->dim, s->clusters.centroids + c * s->dim, (size_t)s->dim * sizeof *start);
            back[n_used++] = c;
        }
    status = nn_kmeans_fit(&own, z, n, s->dim, &(nn_kmeans_opt){ .k = n_used, .max_iterations = s->refine }, start, label, err);
    for (int64_t i = 0; status == BL_OK && i < n; i++)
        label[i] = back[label[i]];
    nn_kmeans_free(&own);
    free(start);
    return status;
}

/* As many clusters as centroids are near some part; each is named after the centroid nearest to its mean. */
static bl_status join_clusters(const blocks_segmenter *s, const float *z, int64_t n, int *label, bl_error *err)
{
    int used[BLOCKS_SEGMENTER_MAX_TRACKS] = { 0 }, k = 0, *own = malloc((size_t)n * sizeof *own);
    float *means = calloc((size_t)BLOCKS_SEGMENTER_MAX_TRACKS * (size_t)s->dim, sizeof *means);
    nn_hierarchical tree = { 0 };
    bl_status status = own && means ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for the clusters of %lld parts", (long long)n);
    for (int64_t i = 0; i < n; i++)
        k += !used[label[i]]++;
    if (status == BL_OK)
        status = nn_hierarchical_fit(&tree, z, n, s->dim, s->linkage, err);
    if (status == BL_OK)
        status = nn_hierarchical_cut(&tree, k, own, err);
    if (status == BL_OK) {
        int count[BLOCKS_SEGMENTER_MAX_TRACKS] = { 0 }, name[BLOCKS_SEGMENTER_MAX_TRACKS];
        for (int64_t i = 0; i < n; i++) {
            count[own[i]]++;
            for (int d = 0; d < s->dim; d++)
                means[own[i] * s->dim + d] += z[i * s->dim + d];
        }
        for (int c = 0; c < k; c++)
            for (int d = 0; d < s->dim; d++)
                means[c * s->dim + d] /= (float)count[c];
        nn_kmeans_predict(&s->clusters, means, k, name, NULL);
        for (int64_t i = 0; i < n; i++)
            label[i] = name[own[i]];
    }
    nn_hierarchical_free(&tree);
    free(own);
    free(means);
    return status;
}

/* Clusters with less than min_share of the energy give their parts to the nearest other one. */
static void drop_small(const blocks_segmenter *s, const float *z, const double *energy, int64_t n, int *label)
{
    double share[BLOCKS_SEGMENTER_MAX_TRACKS] = { 0 }, total = 0;
    int kept[BLOCKS_SEGMENTER_MAX_TRACKS], any = 0;
    for (int64_t i = 0; i < n; i++) {
        share[label[i]] += energy[i];
        total += energy[i];
    }
    for (int c = 0; c < s->clusters.k; c++) {
        kept[c] = share[c] > 0 && share[c] >= s->min_share * total;
        any |= kept[c];
    }
    for (int64_t i = 0; any && i < n; i++) {
        double least = INFINITY;
        int best = label[i];
        if (kept[label[i]])
            continue;
        for (int c = 0; c < s->clusters.k; c++) {
            double sum = 0;
            for (int d = 0; d < s->dim && kept[c]; d++) {
                const double v = (double)z[i * s->dim + d] - (double)s->clusters.centroids[c * s->dim + d];
                sum += v * v;
            }
            if (kept[c] && sum < least) {
                least = sum;
                best = c;
            }
        }
        label[i] = best;
    }
}

bl_status blocks_segmenter_assign(const blocks_segmenter *s, const float *rows, const double *energy, int64_t n, int *label,
                                  bl_error *err)
{
    float *z = malloc((size_t)n * (size_t)s->dim * sizeof *z);
    bl_status status = BL_OK;
    if (!z)
        return bl_fail(err, BL_ENOMEM, "no memory for %lld parts", (long long)n);
    project(s, rows, n, z);
    nn_kmeans_predict(&s->clusters, z, n, label, NULL);
    if (s->method == BLOCKS_SEGMENTER_HIERARCHICAL)
        status = join_clusters(s, z, n, label, err);
    else if (s->refine > 0)
        status = refine_clusters(s, z, n, label, err);
    if (status == BL_OK)
        drop_small(s, z, energy, n, label);
    free(z);
    return status;
}

/* ---- a song ------------------------------------------------------------------------------------- */

typedef struct piece {
    int64_t      first, length; /* samples */
    blocks_parts parts;
} piece;

typedef struct job {
    const blocks_segmenter *s;
    const audio_clip *song;
    float   *mono;
    piece   *pieces;
    int      n_pieces;
    int     *label;   /* [n_pieces, n_parts] */
    int      group_of[BLOCKS_SEGMENTER_MAX_TRACKS], cluster_of[BLOCKS_SEGMENTER_MAX_TRACKS], n_groups;
} job;

/* Pieces overlap by overlap_s; the last one takes what would be too short alone. */
static bl_status cut_pieces(job *j, bl_error *err)
{
    const int64_t n = j->song->n_samples, step = (int64_t)((piece_s - overlap_s) * j->song->sample_rate),
                  length = (int64_t)(piece_s * j->song->sample_rate);
    j->n_pieces = n <= length ? 1 : (int)((n - length + step - 1) / step) + 1;
    if (j->n_pieces > 1 && n - (int64_t)(j->n_pieces - 1) * step < length / 4)
        j->n_pieces--;
    j->pieces = calloc((size_t)j->n_pieces, sizeof *j->pieces);
    if (!j->pieces)
        return bl_fail(err, BL_ENOMEM, "no memory for %d pieces", j->n_pieces);
    for (int i = 0; i < j->n_pieces; i++) {
        j->pieces[i].first = i * step;
        j->pieces[i].length = i == j->n_pieces - 1 ? n - i * step : length;
    }
    return BL_OK;
}

/* Finds and describes the parts of all pieces and clusters them together. */
static bl_status find_clusters(job *j, const blocks_latent_encoder *encoder, bl_error *err)
{
    const blocks_segmenter *s = j->s;
    float *rows = NULL;
    double *energy = NULL;
    int64_t n = 0;
    bl_status status = BL_OK;
    for (int i = 0; i < j->n_pieces && status == BL_OK; i++) {
        piece *p = &j->pieces[i];
        status = blocks_parts_new(&p->parts, j->mono + p->first, p->length, j->song->sample_rate, &s->parts, err);
        if (status != BL_OK)
            break;
        if (i == 0) {
            const size_t most = (size_t)j->n_pieces * (size_t)p->parts.n_parts;
            rows = malloc(most * (size_t)s->dim_in * sizeof *rows);
            energy = malloc(most * sizeof *energy);
            j->label = malloc(most * sizeof *j->label);
            if (!rows || !energy || !j->label) {
                status = bl_fail(err, BL_ENOMEM, "no memory for %zu parts", most);
                break;
            }
        }
        status = blocks_segmenter_rows(&p->parts, j->mono + p->first, p->length, encoder, rows + n * s->dim_in, energy + n, err);
        n += p->parts.n_parts;
    }
    if (status == BL_OK)
        status = blocks_segmenter_assign(s, rows, energy, n, j->label, err);
    if (status == BL_OK) {
        for (int c = 0; c < BLOCKS_SEGMENTER_MAX_TRACKS; c++)
            j->group_of[c] = -1;
        for (int64_t i = 0; i < n; i++) {
            if (j->group_of[j->label[i]] < 0) {
                j->cluster_of[j->n_groups] = j->label[i];
                j->group_of[j->label[i]] = j->n_groups++;
            }
            j->label[i] = j->group_of[j->label[i]];
        }
    }
    free(rows);
    free(energy);
    return status;
}

/* Weight of sample i of a piece: 1, or on the slope towards its neighbour. */
static float fade(const job *j, int i, int64_t at)
{
    const piece *p = &j->pieces[i];
    const int64_t before = i > 0 ? j->pieces[i - 1].first + j->pieces[i - 1].length - p->first : 0;
    const int64_t after = i + 1 < j->n_pieces ? p->first + p->length - j->pieces[i + 1].first : 0;
    if (at < before)
        return ((float)at + 0.5f) / (float)before;
    if (at >= p->length - after)
        return 1 - ((float)(at - (p->length - after)) + 0.5f) / (float)after;
    return 1;
}

/* Masks one piece of every channel and adds it to the tracks. */
static bl_status render_piece(job *j, int i, blocks_segments *out, bl_error *err)
{
    piece *p = &j->pieces[i];
    const int64_t T = p->parts.n_frames, FT = p->parts.n_bins * T, n = p->length;
    const int n_groups = j->n_groups;
    audio_stft *stft = audio_stft_new(&(audio_stft_config){ .n_fft = p->parts.n_fft, .pad = AUDIO_PAD_ZERO }, err);
    float *spectrum = malloc(2 * (size_t)FT * sizeof *spectrum), *masked = malloc(2 * (size_t)FT * sizeof *masked);
    float *harmonic = malloc((size_t)FT * sizeof *harmonic), *masks = malloc((size_t)n_groups * (size_t)FT * sizeof *masks);
    float *y = malloc((size_t)n * sizeof *y);
    bl_status status = BL_OK;

    if (!stft)
        status = err ? err->code : BL_ENOMEM;
    else if (!spectrum || !masked || !harmonic || !masks || !y)
        status = bl_fail(err, BL_ENOMEM, "no memory for the masks of %lld frames", (long long)T);
    if (status == BL_OK)
        status = audio_stft_run(stft, j->mono + p->first, n, spectrum, err);
    for (int64_t k = 0; status == BL_OK && k < FT; k++)
        masked[k] = sqrtf(spectrum[2 * k] * spectrum[2 * k] + spectrum[2 * k + 1] * spectrum[2 * k + 1]);
    if (status == BL_OK)
        status = blocks_harmonic_share(masked, p->parts.n_bins, T, j->s->parts.median_length, harmonic, err);
    if (status == BL_OK)
        status = blocks_parts_masks(&p->parts, j->label + (int64_t)i * p->parts.n_parts, n_groups, harmonic, masks, err);
    for (int c = 0; status == BL_OK && c < j->song->n_channels; c++) {
        const float *x = j->song->samples + c * j->song->n_samples + p->first;
        if (j->song->n_channels > 1)
            status = audio_stft_run(stft, x, n, spectrum, err);
        for (int g = 0; status == BL_OK && g < n_groups; g++) {
            float *track = out->tracks[g].audio.samples + c * j->song->n_samples + p->first;
            #pragma omp parallel for schedule(static)
            for (int64_t k = 0; k < FT; k++) {
                masked[2 * k] = spectrum[2 * k] * masks[g * FT + k];
                masked[2 * k + 1] = spectrum[2 * k + 1] * masks[g * FT + k];
            }
            status = audio_stft_inverse(stft, masked, n, y, err);
            for (int64_t k = 0; status == BL_OK && k < n; k++)
                track[k] += y[k] * fade(j, i, k);
        }
    }
    audio_stft_free(stft);
    free(spectrum);
    free(masked);
    free(harmonic);
    free(masks);
    free(y);
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

static bl_status name_tracks(const blocks_segmenter *s, const blocks_tone_detector *detector, float *mono, blocks_segments *out,
                             bl_error *err)
{
    for (int i = 0; i < out->n; i++) {
        blocks_segment *t = &out->tracks[i];
        blocks_track_guess guess;
        bl_error own = { 0 };
        t->instrument = -1;
        snprintf(t->name, sizeof t->name, "%s", s->name[t->cluster]);
        if (!detector)
            continue;
        audio_clip_mono(&t->audio, mono);
        const bl_status status = blocks_tone_detector_track(detector, mono, t->audio.n_samples, t->audio.sample_rate, NULL,
                                                            NULL, 0, &guess, &own);
        if (status == BL_ENOMEM)
            return bl_fail(err, status, "%s", own.msg);
        if (status != BL_OK)
            continue;
        weigh_family(detector, s->name[t->cluster], &guess);
        snprintf(t->name, sizeof t->name, "%s", guess.name);
        t->instrument = guess.instrument;
        t->probability = guess.role_probability;
    }
    make_unique(out);
    return BL_OK;
}

static bl_status check_song(const blocks_segmenter *s, const audio_clip *song, const blocks_latent_encoder *encoder, bl_error *err)
{
    const int latents = encoder ? encoder->dim : 0;
    float peak = 0;
    if (s->dim_in != BLOCKS_PART_FEATURES + latents)
        return bl_fail(err, BL_ESHAPE, "the segmenter was trained with %d latents, got %d", s->dim_in - BLOCKS_PART_FEATURES, latents);
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

bl_status blocks_segmenter_run(const blocks_segmenter *s, const audio_clip *song, const blocks_latent_encoder *encoder,
                               const blocks_tone_detector *detector, blocks_segments *out, bl_error *err)
{
    job j = { .s = s, .song = song };
    bl_status status = check_song(s, song, encoder, err);

    memset(out, 0, sizeof *out);
    if (status != BL_OK)
        return status;
    j.mono = malloc((size_t)song->n_samples * sizeof *j.mono);
    if (!j.mono) {
        status = bl_fail(err, BL_ENOMEM, "no memory for %lld samples", (long long)song->n_samples);
        goto done;
    }
    audio_clip_mono(song, j.mono);
    if ((status = cut_pieces(&j, err)) != BL_OK || (status = find_clusters(&j, encoder, err)) != BL_OK)
        goto done;
    for (int g = 0; g < j.n_groups; g++) {
        status = audio_clip_new(&out->tracks[g].audio, song->n_channels, song->n_samples, song->sample_rate, err);
        if (status != BL_OK)
            goto done;
        out->tracks[g].cluster = j.cluster_of[g];
        out->n++;
    }
    for (int i = 0; i < j.n_pieces && status == BL_OK; i++) {
        status = render_piece(&j, i, out, err);
        blocks_parts_free(&j.pieces[i].parts);
    }
    if (status != BL_OK)
        goto done;
    const double total = power_of(song);
    for (int g = 0; g < out->n; g++)
        out->tracks[g].share = power_of(&out->tracks[g].audio) / total;
    qsort(out->tracks, (size_t)out->n, sizeof *out->tracks, by_share);
    settle(song, out);
    status = name_tracks(s, detector, j.mono, out, err);
done:
    for (int i = 0; i < j.n_pieces; i++)
        if (j.pieces)
            blocks_parts_free(&j.pieces[i].parts);
    free(j.pieces);
    free(j.label);
    free(j.mono);
    if (status != BL_OK)
        blocks_segments_free(out);
    return status;
}

/* ---- checkpoints -------------------------------------------------------------------------------- */

bl_status blocks_segmenter_save(const blocks_segmenter *s, const char *path, const char *config, int64_t seed, bl_error *err)
{
    const char *names[BLOCKS_SEGMENTER_MAX_TRACKS], *features[BLOCKS_PART_FEATURES];
    const int64_t header[7] = { s->method, s->linkage, s->refine, s->parts.n_harmonic, s->parts.n_percussive,
                                s->parts.iterations, s->parts.median_length };
    for (int c = 0; c < s->clusters.k; c++)
        names[c] = s->name[c];
    for (int i = 0; i < BLOCKS_PART_FEATURES; i++)
        features[i] = blocks_part_feature_name(i);
    nn_checkpoint *c = nn_checkpoint_create(path, kind, err);
    if (!c)
        return err ? err->code : BL_EIO;
    nn_checkpoint_put_text(c, "config", config, err);
    nn_checkpoint_put_int(c, "seed", seed, err);
    nn_checkpoint_put_int(c, "parts_seed", (int64_t)s->parts.seed, err);
    nn_checkpoint_put_texts(c, "classes", names, s->clusters.k, err);
    nn_checkpoint_put_texts(c, "features", features, BLOCKS_PART_FEATURES, err);
    nn_checkpoint_put(c, "header", NN_I64, 1, (int64_t[]){ 7 }, header, err);
    nn_checkpoint_put(c, "min_share", NN_F64, 1, (int64_t[]){ 1 }, &s->min_share, err);
    nn_checkpoint_put(c, "scaling/mean", NN_F32, 1, (int64_t[]){ s->dim_in }, s->mean, err);
    nn_checkpoint_put(c, "scaling/projection", NN_F32, 2, (int64_t[]){ s->dim, s->dim_in }, s->projection, err);
    nn_kmeans_save(&s->clusters, c, "kmeans", err);
    return nn_checkpoint_commit(c, err);
}

static bl_status read_header(blocks_segmenter *s, const nn_checkpoint *c, bl_error *err)
{
    int64_t *h = nn_checkpoint_get(c, "header", NN_I64, 1, (int64_t[]){ 7 }, NULL, err);
    double *share = h ? nn_checkpoint_get(c, "min_share", NN_F64, 1, (int64_t[]){ 1 }, NULL, err) : NULL;
    bl_status status = share ? BL_OK : err ? err->code : BL_EFORMAT;
    if (status == BL_OK && (h[0] < 0 || h[0] > 1 || h[1] < 0 || h[1] > 2 || h[2] < 0 || h[2] > 10000 || h[3] < 1 || h[3] > 1024 ||
                            h[4] < 1 || h[4] > 1024 || h[5] < 0 || h[5] > 100000 || h[6] < 0 || h[6] > 255 || !isfinite(*share)))
        status = bl_fail(err, BL_EFORMAT, "%s: header is not that of a segmenter", nn_checkpoint_path(c));
    if (status == BL_OK) {
        s->method = (blocks_segmenter_method)h[0];
        s->linkage = (nn_linkage)h[1];
        s->refine = (int)h[2];
        s->parts = (blocks_parts_options){ (int)h[3], (int)h[4], (int)h[5], (int)h[6],
                                           (uint64_t)nn_checkpoint_get_int(c, "parts_seed", 0, err) };
        s->min_share = *share;
    }
    free(h);
    free(share);
    return status;
}

static bl_status read_clusters(blocks_segmenter *s, const nn_checkpoint *c, bl_error *err)
{
    int64_t dims[2] = { 0, 0 };
    int n = 0;
    char **names;
    s->projection = nn_checkpoint_get(c, "scaling/projection", NN_F32, 2, (int64_t[]){ -1, -1 }, dims, err);
    s->mean = s->projection ? nn_checkpoint_get(c, "scaling/mean", NN_F32, 1, (int64_t[]){ dims[1] }, NULL, err) : NULL;
    if (!s->mean || nn_kmeans_load(&s->clusters, c, "kmeans", err) != BL_OK)
        return err ? err->code : BL_EFORMAT;
    if (dims[1] < BLOCKS_PART_FEATURES || dims[1] > 65536 || dims[0] != s->clusters.dim ||
        s->clusters.k > BLOCKS_SEGMENTER_MAX_TRACKS)
        return bl_fail(err, BL_ESHAPE, "%s: scaling/projection is [%lld, %lld] and kmeans/centroids [%d, %lld]; they do not agree",
                       nn_checkpoint_path(c), (long long)dims[0], (long long)dims[1], s->clusters.k, (long long)s->clusters.dim);
    s->dim = (int)dims[0];
    s->dim_in = (int)dims[1];
    names = nn_checkpoint_get_texts(c, "classes", &n, err);
    if (!names)
        return err ? err->code : BL_EFORMAT;
    for (int i = 0; i < n && i < s->clusters.k; i++)
        snprintf(s->name[i], sizeof s->name[0], "%s", names[i]);
    nn_checkpoint_texts_free(names, n);
    return n == s->clusters.k ? BL_OK : bl_fail(err, BL_ESHAPE, "%s: %d names for %d clusters", nn_checkpoint_path(c), n, s->clusters.k);
}

blocks_segmenter *blocks_segmenter_load(const char *path, bl_error *err)
{
    bl_error own = { 0 };
    nn_checkpoint *c = nn_checkpoint_open(path, kind, &own);
    blocks_segmenter *s = c ? calloc(1, sizeof *s) : NULL;
    if (c && !s)
        bl_fail(&own, BL_ENOMEM, "%s: no memory", path);
    if (s && (read_header(s, c, &own) != BL_OK || read_clusters(s, c, &own) != BL_OK)) {
        blocks_segmenter_free(s);
        s = NULL;
    }
    nn_checkpoint_free(c);
    if (!s)
        bl_fail(err, own.code, "%s", own.msg);
    return s;
}
