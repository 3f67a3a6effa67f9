/* Over 600 lines: learning and its baselines are measured on the same parts in one pass. */
#include "blocks/segmenter_train.h"

#include "audio/separation.h"
#include "base/progress.h"
#include "data/instruments.h"
#include "nn/models/rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEMS_MAX = 12, FAMILIES = DATA_N_FAMILIES };

bl_status blocks_segmenter_configure(blocks_segmenter_options *o, const bl_config *config, bl_error *err)
{
    static const char *const methods[] = { "kmeans", "hierarchical", NULL };
    static const char section[] = "segmenter";
    bl_error own = { 0 };
    memset(o, 0, sizeof *o);
    o->method = (blocks_segmenter_method)bl_config_choice(config, section, "method", methods, 0, &own);
    o->linkage = (nn_linkage)bl_config_choice(config, section, "linkage", nn_linkage_names, NN_LINKAGE_WARD, &own);
    o->k = (int)bl_config_int(config, section, "clusters", 0, 0, BLOCKS_SEGMENTER_MAX_TRACKS, &own);
    o->k_min = (int)bl_config_int(config, section, "min_clusters", 3, 2, BLOCKS_SEGMENTER_MAX_TRACKS, &own);
    o->k_max = (int)bl_config_int(config, section, "max_clusters", 10, 2, BLOCKS_SEGMENTER_MAX_TRACKS, &own);
    o->use_stems = bl_config_bool(config, section, "use_stems", 1, &own);
    o->refine = (int)bl_config_int(config, section, "refine", 3, 0, 1000, &own);
    o->min_share = bl_config_real(config, section, "min_share", 0.01, 0, 0.5, &own);
    o->seconds = bl_config_real(config, section, "seconds", 30, 2, 600, &own);
    o->shrink = bl_config_real(config, section, "shrink", 0.1, 0, 1, &own);
    o->n_harmonic = (int)bl_config_int(config, section, "harmonic_parts", 32, 1, 256, &own);
    o->n_percussive = (int)bl_config_int(config, section, "percussive_parts", 8, 1, 256, &own);
    o->iterations = (int)bl_config_int(config, section, "iterations", 60, 1, 10000, &own);
    o->max_songs = -1;
    if (own.code == BL_OK && o->k_max < o->k_min)
        bl_fail(&own, BL_EARG, "%s: [segmenter] max_clusters %d is below min_clusters %d", bl_config_name(config), o->k_max, o->k_min);
    return own.code == BL_OK ? BL_OK : bl_fail(err, own.code, "%s", own.msg);
}

void blocks_segmenter_table_free(blocks_segmenter_table *t)
{
    free(t->rows);
    free(t->family);
    free(t->song);
    memset(t, 0, sizeof *t);
}

static int table_reserve(blocks_segmenter_table *t, int64_t more)
{
    if (t->n + more <= t->capacity)
        return 1;
    const int64_t capacity = 2 * t->capacity + more;
    float *rows = realloc(t->rows, (size_t)capacity * (size_t)t->dim_in * sizeof *rows);
    if (rows)
        t->rows = rows;
    int *family = realloc(t->family, (size_t)capacity * sizeof *family);
    if (family)
        t->family = family;
    int *song = realloc(t->song, (size_t)capacity * sizeof *song);
    if (song)
        t->song = song;
    if (!rows || !family || !song)
        return 0;
    t->capacity = capacity;
    return 1;
}

/* ---- a song and its stems ----------------------------------------------------------------------- */

typedef struct material {
    int64_t n;             /* samples */
    float  *mix;           /* [n] */
    int     n_stems, family[STEMS_MAX];
    float  *stem[STEMS_MAX]; /* [n] */
} material;

static void material_free(material *m)
{
    free(m->mix);
    for (int i = 0; i < m->n_stems; i++)
        free(m->stem[i]);
    memset(m, 0, sizeof *m);
}

/* Mixture and audible stems at BLOCKS_SEGMENTER_RATE. The mixture of a song with stems is their sum, so that what is
 * compared belongs together. */
static bl_status load_song(material *m, data_dataset *d, const data_song *song, double seconds, bl_error *err)
{
    const int64_t most = (int64_t)(seconds * BLOCKS_SEGMENTER_RATE);
    bl_status status = BL_OK;
    memset(m, 0, sizeof *m);
    if (song->n_stems < 2) {
        audio_clip clip = { 0 };
        if ((status = data_song_audio(d, song, BLOCKS_SEGMENTER_RATE, &clip, err)) != BL_OK)
            return status;
        m->n = clip.n_samples < most ? clip.n_samples : most;
        m->mix = malloc((size_t)m->n * sizeof *m->mix);
        if (m->mix)
            memcpy(m->mix, clip.samples, (size_t)m->n * sizeof *m->mix);
        else
            status = bl_fail(err, BL_ENOMEM, "%s: no memory", song->name);
        audio_clip_free(&clip);
        return status;
    }
    m->mix = calloc((size_t)most, sizeof *m->mix);
    if (!m->mix)
        return bl_fail(err, BL_ENOMEM, "%s: no memory", song->name);
    for (int i = 0; i < song->n_stems && m->n_stems < STEMS_MAX; i++) {
        bl_error own = { 0 };
        double power = 0;
        const audio_clip *clip = data_dataset_audio(d, song->stems[i].path, BLOCKS_SEGMENTER_RATE, &own);
        if (!clip)
            continue; /* reported by the dataset */
        const int64_t n = clip->n_samples < most ? clip->n_samples : most;
        float *stem = calloc((size_t)most, sizeof *stem);
        if (!stem) {
            material_free(m);
            return bl_fail(err, BL_ENOMEM, "%s: no memory", song->name);
        }
        for (int64_t k = 0; k < n; k++) {
            stem[k] = clip->samples[k];
            m->mix[k] += stem[k];
            power += (double)stem[k] * (double)stem[k];
        }
        m->n = n > m->n ? n : m->n;
        if (power < 1e-6 * (double)n) {
            free(stem);
            continue;
        }
        const int id = song->stems[i].instrument;
        m->family[m->n_stems] = id >= 0 ? (int)data_instrument_at(id)->family : -1;
        m->stem[m->n_stems++] = stem;
    }
    return m->n > 0 ? BL_OK : bl_fail(err, BL_EFORMAT, "%s: no stem could be read", song->name);
}

static bl_status magnitudes(const float *x, int64_t n, int n_fft, float *out, int64_t FT, bl_error *err)
{
    audio_stft *stft = audio_stft_new(&(audio_stft_config){ .n_fft = n_fft, .pad = AUDIO_PAD_ZERO }, err);
    float *spectrum = malloc(2 * (size_t)FT * sizeof *spectrum);
    bl_status status = stft && spectrum ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for a spectrogram");
    if (status == BL_OK)
        status = audio_stft_run(stft, x, n, spectrum, err);
    for (int64_t i = 0; status == BL_OK && i < FT; i++)
        out[i] = sqrtf(spectrum[2 * i] * spectrum[2 * i] + spectrum[2 * i + 1] * spectrum[2 * i + 1]);
    free(spectrum);
    audio_stft_free(stft);
    return status;
}

/* Shares of the stems in the power of every bin: masks [n_stems, F, T]. */
static bl_status ideal_masks(const material *m, int n_fft, int64_t FT, float *masks, bl_error *err)
{
    bl_status status = BL_OK;
    for (int s = 0; s < m->n_stems && status == BL_OK; s++)
        status = magnitudes(m->stem[s], m->n, n_fft, masks + s * FT, FT, err);
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < FT; i++) {
        float sum = 1e-12f;
        for (int s = 0; s < m->n_stems; s++) {
            masks[s * FT + i] *= masks[s * FT + i];
            sum += masks[s * FT + i];
        }
        for (int s = 0; s < m->n_stems; s++)
            masks[s * FT + i] /= sum;
    }
    return status;
}

/* The stem that has most of each part; stem [n_parts]. */
static void stems_of_parts(const blocks_parts *p, const material *m, const float *masks, int *stem)
{
    const int64_t T = p->n_frames, FT = p->n_bins * T;
    #pragma omp parallel for schedule(dynamic)
    for (int r = 0; r < p->n_parts; r++) {
        double best = -1;
        for (int s = 0; s < m->n_stems; s++) {
            double sum = 0;
            for (int f = 0; f < p->n_bins; f++) {
                const double w = (double)p->W[(int64_t)f * p->n_parts + r];
                double row = 0;
                if (w <= 1e-7)
                    continue;
                for (int64_t t = 0; t < T; t++) {
                    const double h = (double)p->H[r * T + t];
                    row += h * h * (double)masks[s * FT + f * T + t];
                }
                sum += w * w * row;
            }
            if (sum > best) {
                best = sum;
                stem[r] = s;
            }
        }
    }
}

static blocks_parts_options parts_of(const blocks_segmenter_options *o)
{
    return (blocks_parts_options){ .n_harmonic = o->n_harmonic, .n_percussive = o->n_percussive, .iterations = o->iterations,
                                   .seed = o->seed };
}

bl_status blocks_segmenter_table_add(blocks_segmenter_table *t, data_dataset *dataset, int song,
                                     const blocks_segmenter_options *o, const blocks_latent_encoder *encoder, bl_error *err)
{
    const blocks_parts_options parts_options = parts_of(o);
    blocks_parts p = { 0 };
    material m = { 0 };
    double *energy = NULL, top = 0;
    float *masks = NULL;
    int *stem = NULL;
    bl_status status = load_song(&m, dataset, &dataset->songs[song], o->seconds, err);

    t->dim_in = BLOCKS_PART_FEATURES + (encoder ? encoder->dim : 0);
    if (status == BL_OK)
        status = blocks_parts_new(&p, m.mix, m.n, BLOCKS_SEGMENTER_RATE, &parts_options, err);
    if (status != BL_OK)
        goto done;
    const int64_t FT = p.n_bins * p.n_frames;
    energy = malloc((size_t)p.n_parts * sizeof *energy);
    stem = malloc((size_t)p.n_parts * sizeof *stem);
    masks = malloc((size_t)(m.n_stems ? m.n_stems : 1) * (size_t)FT * sizeof *masks);
    if (!energy || !stem || !masks || !table_reserve(t, p.n_parts)) {
        status = bl_fail(err, BL_ENOMEM, "no memory for the parts of %s", dataset->songs[song].name);
        goto done;
    }
    status = blocks_segmenter_rows(&p, m.mix, m.n, encoder, t->rows + t->n * t->dim_in, energy, err);
    if (status == BL_OK && m.n_stems >= 2)
        status = ideal_masks(&m, p.n_fft, FT, masks, err);
    if (status != BL_OK)
        goto done;
    if (m.n_stems >= 2)
        stems_of_parts(&p, &m, masks, stem);
    for (int r = 0; r < p.n_parts; r++)
        top = energy[r] > top ? energy[r] : top;
    float *row = t->rows + t->n * t->dim_in;
    for (int r = 0; r < p.n_parts; r++) {
        /* Parts 50 dB below the strongest are leftovers of nothing in particular. */
        if (energy[r] < 1e-5 * top)
            continue;
        memmove(t->rows + t->n * t->dim_in, row + (int64_t)r * t->dim_in, (size_t)t->dim_in * sizeof *row);
        t->family[t->n] = m.n_stems >= 2 ? m.family[stem[r]] : -1;
        t->song[t->n++] = song;
    }
    t->n_songs++;
done:
    blocks_parts_free(&p);
    material_free(&m);
    free(energy);
    free(stem);
    free(masks);
    return status;
}

/* ---- scaling ------------------------------------------------------------------------------------ */

/* Eigenvalues and vectors (columns of v) of a symmetric matrix a [n, n] by Jacobi's rotations; a is destroyed. */
static void eigen(double *a, int n, double *v)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            v[i * n + j] = i == j;
    for (int sweep = 0; sweep < 60; sweep++) {
        double off = 0, diagonal = 0;
        for (int i = 0; i < n; i++) {
            diagonal += a[i * n + i] * a[i * n + i];
            for (int j = i + 1; j < n; j++)
                off += a[i * n + j] * a[i * n + j];
        }
        if (off <= 1e-22 * diagonal)
            return;
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++) {
                if (fabs(a[p * n + q]) < 1e-300)
                    continue;
                const double theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
                const double t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1));
                const double c = 1 / sqrt(t * t + 1), s = t * c;
                for (int k = 0; k < n; k++) {
                    const double x = a[k * n + p], y = a[k * n + q];
                    a[k * n + p] = c * x - s * y;
                    a[k * n + q] = s * x + c * y;
                }
                for (int k = 0; k < n; k++) {
                    const double x = a[p * n + k], y = a[q * n + k];
                    a[p * n + k] = c * x - s * y;
                    a[q * n + k] = s * x + c * y;
                }
                for (int k = 0; k < n; k++) {
                    const double x = v[k * n + p], y = v[k * n + q];
                    v[k * n + p] = c * x - s * y;
                    v[k * n + q] = s * x + c * y;
                }
            }
    }
}

/* Families with parts enough to be learned; returns how many, number [FAMILIES] -1 or 0 .. */
static int number_families(const blocks_segmenter_table *t, int *number)
{
    int64_t count[FAMILIES] = { 0 };
    int n = 0;
    for (int64_t i = 0; i < t->n; i++)
        if (t->family[i] >= 0)
            count[t->family[i]]++;
    for (int f = 0; f < FAMILIES; f++)
        number[f] = count[f] >= 5 && n < BLOCKS_SEGMENTER_MAX_TRACKS ? n++ : -1;
    return n;
}

static void standard_scaling(blocks_segmenter *s, const double *mean, const double *variance)
{
    for (int j = 0; j < s->dim_in; j++) {
        s->mean[j] = (float)mean[j];
        for (int d = 0; d < s->dim; d++)
            s->projection[d * s->dim_in + j] = d == j && variance[j] > 1e-12 ? (float)(1 / sqrt(variance[j])) : 0;
    }
}

/* Fisher's discriminant on columns already scaled by 1/deviation; fills projection [dim, dim_in]. */
static bl_status discriminant(blocks_segmenter *s, const blocks_segmenter_table *t, const int *number, int n_classes,
                              const double *mean, const double *variance, double shrink, bl_error *err)
{
    const int D = s->dim_in;
    const size_t DD = (size_t)D * (size_t)D;
    double *within = calloc(DD, sizeof *within), *between = calloc(DD, sizeof *between), *v = malloc(DD * sizeof *v);
    double *white = calloc(DD, sizeof *white), *middle = calloc(DD, sizeof *middle), *value = malloc((size_t)D * sizeof *value);
    double *centre = calloc((size_t)n_classes * (size_t)D, sizeof *centre), *x = malloc((size_t)D * sizeof *x);
    double count[FAMILIES] = { 0 }, trace = 0, total = 0;
    bl_status status = BL_OK;

    if (!within || !between || !v || !white || !middle || !value || !centre || !x) {
        status = bl_fail(err, BL_ENOMEM, "no memory to learn the scaling");
        goto done;
    }
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < t->n; i++) {
            const int c = t->family[i] >= 0 ? number[t->family[i]] : -1;
            if (c < 0)
                continue;
            for (int j = 0; j < D; j++)
                x[j] = variance[j] > 1e-12 ? ((double)t->rows[i * D + j] - mean[j]) / sqrt(variance[j]) : 0;
            if (pass == 0) {
                count[c]++;
                total++;
                for (int j = 0; j < D; j++)
                    centre[c * D + j] += x[j];
                continue;
            }
            for (int j = 0; j < D; j++)
                for (int k = 0; k < D; k++)
                    within[j * D + k] += (x[j] - centre[c * D + j] / count[c]) * (x[k] - centre[c * D + k] / count[c]);
        }
    for (int j = 0; j < D; j++)
        trace += within[j * D + j] / total / D;
    for (int j = 0; j < D; j++)
        for (int k = 0; k < D; k++) {
            within[j * D + k] = (1 - shrink) * within[j * D + k] / total + (j == k ? shrink * trace + 1e-6 : 0);
            /* Families weigh the same, however many parts they have. */
            for (int c = 0; c < n_classes; c++)
                between[j * D + k] += centre[c * D + j] / count[c] * centre[c * D + k] / count[c] / n_classes;
        }
    for (int j = 0; j < D; j++)
        x[j] = 0;
    for (int c = 0; c < n_classes; c++)
        for (int j = 0; j < D; j++)
            x[j] += centre[c * D + j] / count[c] / n_classes;
    for (int j = 0; j < D; j++)
        for (int k = 0; k < D; k++)
            between[j * D + k] -= x[j] * x[k];
    /* white = within^(-1/2); then the eigenvectors of white between white. */
    eigen(within, D, v);
    for (int j = 0; j < D; j++)
        for (int k = 0; k < D; k++)
            for (int e = 0; e < D; e++)
                white[j * D + k] += v[j * D + e] * v[k * D + e] / sqrt(within[e * D + e] > 1e-12 ? within[e * D + e] : 1e-12);
    for (int j = 0; j < D; j++)
        for (int k = 0; k < D; k++)
            for (int e = 0; e < D; e++)
                middle[j * D + k] += between[j * D + e] * white[e * D + k];
    memset(between, 0, DD * sizeof *between);
    for (int j = 0; j < D; j++)
        for (int k = 0; k < D; k++)
            for (int e = 0; e < D; e++)
                between[j * D + k] += white[j * D + e] * middle[e * D + k];
    eigen(between, D, v);
    for (int e = 0; e < D; e++)
        value[e] = between[e * D + e];
    for (int d = 0; d < s->dim; d++) {
        int best = 0;
        for (int e = 1; e < D; e++)
            best = value[e] > value[best] ? e : best;
        value[best] = -INFINITY;
        for (int j = 0; j < D; j++) {
            double sum = 0;
            for (int e = 0; e < D; e++)
                sum += v[e * D + best] * white[e * D + j];
            s->projection[d * D + j] = variance[j] > 1e-12 ? (float)(sum / sqrt(variance[j])) : 0;
        }
    }
    for (int j = 0; j < D; j++)
        s->mean[j] = (float)mean[j];
done:
    free(within);
    free(between);
    free(v);
    free(white);
    free(middle);
    free(value);
    free(centre);
    free(x);
    return status;
}

/* ---- learning ----------------------------------------------------------------------------------- */

/* z [n, dim] of all rows. */
static void project_rows(const blocks_segmenter *s, const blocks_segmenter_table *t, float *z)
{
    #pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < t->n; i++)
        for (int d = 0; d < s->dim; d++) {
            double sum = 0;
            for (int j = 0; j < s->dim_in; j++)
                sum += (double)s->projection[d * s->dim_in + j] * ((double)t->rows[i * s->dim_in + j] - (double)s->mean[j]);
            z[i * s->dim + d] = (float)sum;
        }
}

static bl_status seeded_clusters(blocks_segmenter *s, const blocks_segmenter_table *t, const int *number, int k, const float *z,
                                 int *label, bl_error *err)
{
    float *start = calloc((size_t)k * (size_t)s->dim, sizeof *start);
    double count[FAMILIES] = { 0 };
    if (!start)
        return bl_fail(err, BL_ENOMEM, "no memory for %d clusters", k);
    for (int64_t i = 0; i < t->n; i++) {
        const int c = t->family[i] >= 0 ? number[t->family[i]] : -1;
        if (c < 0)
            continue;
        count[c]++;
        for (int d = 0; d < s->dim; d++)
            start[c * s->dim + d] += z[i * s->dim + d];
    }
    for (int c = 0; c < k; c++)
        for (int d = 0; d < s->dim; d++)
            start[c * s->dim + d] /= (float)count[c];
    const bl_status status = nn_kmeans_fit(&s->clusters, z, t->n, s->dim, &(nn_kmeans_opt){ .k = k }, start, label, err);
    free(start);
    return status;
}

/* The family most frequent in each cluster; "track N" where nothing is known. */
static void name_clusters(blocks_segmenter *s, const blocks_segmenter_table *t, const int *label)
{
    for (int c = 0; c < s->clusters.k; c++) {
        int64_t count[FAMILIES] = { 0 };
        int best = 0;
        for (int64_t i = 0; i < t->n; i++)
            if (label[i] == c && t->family[i] >= 0)
                count[t->family[i]]++;
        for (int f = 1; f < FAMILIES; f++)
            best = count[f] > count[best] ? f : best;
        if (count[best])
            snprintf(s->name[c], sizeof s->name[c], "%s", data_family_name((data_family)best));
        else
            snprintf(s->name[c], sizeof s->name[c], "track %d", c + 1);
    }
}

blocks_segmenter *blocks_segmenter_learn(const blocks_segmenter_table *t, const blocks_segmenter_options *o,
                                         double *silhouettes, bl_error *err)
{
    int number[FAMILIES], *label = NULL;
    const int n_families = o->use_stems ? number_families(t, number) : 0;
    double *mean = NULL, *variance = NULL;
    float *z = NULL;
    bl_status status = BL_OK;
    blocks_segmenter *s = calloc(1, sizeof *s);

    for (int k = o->k_min; silhouettes && k <= o->k_max; k++)
        silhouettes[k - o->k_min] = (double)NAN;
    if (!s || t->n < 2) {
        status = s ? bl_fail(err, BL_EFORMAT, "the dataset gave %lld parts; at least 2 are needed to learn clusters", (long long)t->n)
                   : bl_fail(err, BL_ENOMEM, "no memory for a segmenter");
        goto done;
    }
    s->method = o->method;
    s->linkage = o->linkage;
    s->refine = o->refine;
    s->min_share = o->min_share;
    s->parts = parts_of(o);
    s->dim_in = t->dim_in;
    s->dim = n_families >= 2 ? n_families - 1 : t->dim_in;
    mean = malloc((size_t)s->dim_in * sizeof *mean);
    variance = malloc((size_t)s->dim_in * sizeof *variance);
    s->mean = calloc((size_t)s->dim_in, sizeof *s->mean);
    s->projection = calloc((size_t)s->dim_in * (size_t)s->dim, sizeof *s->projection);
    z = malloc((size_t)t->n * (size_t)s->dim * sizeof *z);
    label = malloc((size_t)t->n * sizeof *label);
    if (!mean || !variance || !s->mean || !s->projection || !z || !label) {
        status = bl_fail(err, BL_ENOMEM, "no memory for a segmenter");
        goto done;
    }
    if ((status = nn_rows_check(t->rows, t->n, t->dim_in, "segmenter", err)) != BL_OK)
        goto done;
    nn_rows_moments(t->rows, t->n, t->dim_in, mean, variance);
    if (n_families >= 2)
        status = discriminant(s, t, number, n_families, mean, variance, o->shrink, err);
    else
        standard_scaling(s, mean, variance);
    if (status != BL_OK)
        goto done;
    project_rows(s, t, z);
    const nn_kmeans_opt opt = { .k = o->k, .seed = o->seed };
    if (o->k > 0)
        status = nn_kmeans_fit(&s->clusters, z, t->n, s->dim, &opt, NULL, label, err);
    else if (n_families >= 2)
        status = seeded_clusters(s, t, number, n_families, z, label, err);
    else
        status = nn_kmeans_choose_k(&s->clusters, z, t->n, s->dim, &opt, o->k_min, o->k_max, 0, silhouettes, label, err);
    if (status == BL_OK)
        name_clusters(s, t, label);
done:
    free(mean);
    free(variance);
    free(z);
    free(label);
    if (status != BL_OK) {
        blocks_segmenter_free(s);
        s = NULL;
    }
    return s;
}

/* ---- figures ------------------------------------------------------------------------------------ */

double blocks_si_sdr(const float *reference, const float *estimate, int64_t n)
{
    double rr = 0, re = 0, noise = 0;
    for (int64_t i = 0; i < n; i++) {
        rr += (double)reference[i] * (double)reference[i];
        re += (double)reference[i] * (double)estimate[i];
    }
    const double a = rr > 0 ? re / rr : 0;
    for (int64_t i = 0; i < n; i++) {
        const double d = (double)estimate[i] - a * (double)reference[i];
        noise += d * d;
    }
    const double signal = a * a * rr, db = 10 * log10((signal + 1e-30) / (noise + 1e-30));
    return db < -100 ? -100 : db > 100 ? 100 : db;
}

/* Greatest mean improvement of one-to-one assignments of tracks to stems, over subsets of tracks used. */
static double best_assignment(const double *gain, int n_stems, int n_tracks)
{
    const int n_sets = 1 << n_tracks;
    double *best = malloc((size_t)n_sets * sizeof *best), *next = malloc((size_t)n_sets * sizeof *next), top = 0;
    if (best && next) {
        for (int u = 0; u < n_sets; u++)
            best[u] = u ? -INFINITY : 0;
        for (int s = 0; s < n_stems; s++) {
            memcpy(next, best, (size_t)n_sets * sizeof *next);
            for (int u = 0; u < n_sets; u++)
                for (int t = 0; t < n_tracks; t++)
                    if (!(u & 1 << t) && best[u] + gain[s * n_tracks + t] > next[u | 1 << t])
                        next[u | 1 << t] = best[u] + gain[s * n_tracks + t];
            memcpy(best, next, (size_t)n_sets * sizeof *best);
        }
        for (int u = 0; u < n_sets; u++)
            top = best[u] > top ? best[u] : top;
    }
    free(best);
    free(next);
    return top / n_stems;
}

/* Mean improvement over the stems by tracks[n_tracks]. */
static double improvement(const material *m, const float *const *tracks, int n_tracks)
{
    double gain[STEMS_MAX * BLOCKS_SEGMENTER_MAX_TRACKS];
    #pragma omp parallel for schedule(dynamic)
    for (int s = 0; s < m->n_stems; s++) {
        const double before = blocks_si_sdr(m->stem[s], m->mix, m->n);
        for (int t = 0; t < n_tracks; t++)
            gain[s * n_tracks + t] = blocks_si_sdr(m->stem[s], tracks[t], m->n) - before;
    }
    return best_assignment(gain, m->n_stems, n_tracks);
}

/* Tracks by masks [n_masks, F, T] on the mixture; out [n_masks, n]. */
static bl_status apply_masks(const material *m, int n_fft, int64_t FT, const float *masks, int n_masks, float *out, bl_error *err)
{
    audio_stft *stft = audio_stft_new(&(audio_stft_config){ .n_fft = n_fft, .pad = AUDIO_PAD_ZERO }, err);
    float *spectrum = malloc(2 * (size_t)FT * sizeof *spectrum), *masked = malloc(2 * (size_t)FT * sizeof *masked);
    bl_status status = stft && spectrum && masked ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory for the masks");
    if (status == BL_OK)
        status = audio_stft_run(stft, m->mix, m->n, spectrum, err);
    for (int g = 0; g < n_masks && status == BL_OK; g++) {
        for (int64_t i = 0; i < FT; i++) {
            masked[2 * i] = spectrum[2 * i] * masks[g * FT + i];
            masked[2 * i + 1] = spectrum[2 * i + 1] * masks[g * FT + i];
        }
        status = audio_stft_inverse(stft, masked, m->n, out + g * m->n, err);
    }
    audio_stft_free(stft);
    free(spectrum);
    free(masked);
    return status;
}

/* What masks of the true stems and what the right stem for every part would give. */
static bl_status find_ceilings(const blocks_segmenter *s, const material *m, blocks_segmenter_figures *f, bl_error *err)
{
    const float *tracks[STEMS_MAX];
    float *masks = NULL, *out = NULL, *harmonic = NULL;
    int *stem = NULL;
    blocks_parts p = { 0 };
    bl_status status = blocks_parts_new(&p, m->mix, m->n, BLOCKS_SEGMENTER_RATE, &s->parts, err);
    if (status != BL_OK)
        return status;
    const int64_t FT = p.n_bins * p.n_frames;
    masks = malloc((size_t)m->n_stems * (size_t)FT * sizeof *masks);
    out = malloc((size_t)m->n_stems * (size_t)m->n * sizeof *out);
    harmonic = malloc((size_t)FT * sizeof *harmonic);
    stem = malloc((size_t)p.n_parts * sizeof *stem);
    if (!masks || !out || !harmonic || !stem)
        status = bl_fail(err, BL_ENOMEM, "no memory for the masks");
    for (int i = 0; i < m->n_stems; i++)
        tracks[i] = out ? out + i * m->n : NULL;
    if (status == BL_OK)
        status = ideal_masks(m, p.n_fft, FT, masks, err);
    if (status == BL_OK)
        status = apply_masks(m, p.n_fft, FT, masks, m->n_stems, out, err);
    if (status == BL_OK) {
        f->oracle_masks_db = improvement(m, tracks, m->n_stems);
        stems_of_parts(&p, m, masks, stem);
        status = magnitudes(m->mix, m->n, p.n_fft, masks, FT, err);
    }
    if (status == BL_OK)
        status = blocks_harmonic_share(masks, p.n_bins, p.n_frames, s->parts.median_length, harmonic, err);
    if (status == BL_OK)
        status = blocks_parts_masks(&p, stem, m->n_stems, harmonic, masks, err);
    if (status == BL_OK)
        status = apply_masks(m, p.n_fft, FT, masks, m->n_stems, out, err);
    if (status == BL_OK)
        f->oracle_parts_db = improvement(m, tracks, m->n_stems);
    blocks_parts_free(&p);
    free(masks);
    free(out);
    free(harmonic);
    free(stem);
    return status;
}

bl_status blocks_segmenter_evaluate(const blocks_segmenter *s, data_dataset *dataset, int song, double seconds,
                                    const blocks_latent_encoder *encoder, blocks_segmenter_figures *f, bl_error *err)
{
    const float *tracks[BLOCKS_SEGMENTER_MAX_TRACKS];
    blocks_segments segments = { 0 };
    audio_clip harmonic = { 0 }, percussive = { 0 };
    material m = { 0 };
    bl_status status = load_song(&m, dataset, &dataset->songs[song], seconds, err);

    memset(f, 0, sizeof *f);
    if (status != BL_OK || m.n_stems < 2)
        goto done;
    const audio_clip mix = { .samples = m.mix, .n_samples = m.n, .n_channels = 1, .sample_rate = BLOCKS_SEGMENTER_RATE };
    if ((status = blocks_segmenter_run(s, &mix, encoder, NULL, &segments, err)) != BL_OK)
        goto done;
    for (int i = 0; i < segments.n; i++)
        tracks[i] = segments.tracks[i].audio.samples;
    f->tracks_db = improvement(&m, tracks, segments.n);
    if ((status = audio_hpss(&mix, &harmonic, &percussive, err)) != BL_OK)
        goto done;
    tracks[0] = harmonic.samples;
    tracks[1] = percussive.samples;
    f->hpss_db = improvement(&m, tracks, 2);
    status = find_ceilings(s, &m, f, err);
    f->n_stems = m.n_stems;
    f->n_tracks = segments.n;
done:
    material_free(&m);
    blocks_segments_free(&segments);
    audio_clip_free(&harmonic);
    audio_clip_free(&percussive);
    return status;
}
