/* Examples for the classifier, mixed from band powers, and what may happen to a recording on its way: equalisers,
 * rooms, noise, compression, narrow channels. See blocks/classifier_train.h. */
#include "blocks/classifier_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A stem sounds in a window when it is not 40 dB below the whole. */
static const double AUDIBLE = 1e-4;

static double uniform(bl_rng *rng, double low, double high)
{
    return low + (high - low) * bl_rng_uniform(rng);
}

static int chance(bl_rng *rng, double p)
{
    return bl_rng_uniform(rng) < p;
}

static double from_db(double db)
{
    return pow(10, db / 10);
}

/* ---- lists ---- */

bl_status blocks_mixer_new(blocks_mixer *m, const blocks_sounds *sounds, const blocks_classifier_settings *set, int64_t window,
                           bl_error *err)
{
    int n_stems = 0, n = 0;
    *m = (blocks_mixer){ .sounds = sounds, .set = set, .window = window };
    for (int i = 0; i < sounds->n_songs; i++)
        n_stems += sounds->songs[i].n_stems;
    m->order = malloc((size_t)(sounds->n_songs + 1) * sizeof *m->order);
    m->first = malloc((size_t)(sounds->n_genres + 2) * sizeof *m->first);
    m->lenders = malloc((size_t)(2 * n_stems + 1) * sizeof *m->lenders);
    m->voices = malloc((size_t)(2 * n_stems + 1) * sizeof *m->voices);
    m->recorded_voices = malloc((size_t)(2 * n_stems + 1) * sizeof *m->recorded_voices);
    if (!m->recorded_voices || !m->order || !m->first || !m->lenders || !m->voices)
        return bl_fail(err, BL_ENOMEM, "no memory for training");
    for (int g = 0; g <= sounds->n_genres; g++) {
        m->first[g] = n;
        for (int i = 0; i < sounds->n_songs; i++) {
            const blocks_song_sounds *s = &sounds->songs[i];
            if (s->mixture.code && !s->held_out && s->genre == (g < sounds->n_genres ? g : -1))
                m->order[n++] = i;
        }
    }
    m->first[sounds->n_genres + 1] = n;
    for (int i = 0; i < sounds->n_songs; i++)
        for (int k = 0; k < sounds->songs[i].n_stems && !sounds->songs[i].held_out; k++) {
            const blocks_sound *stem = &sounds->songs[i].stems[k];
            if (stem->instrument >= 0) {
                m->lenders[2 * m->n_lent] = i;
                m->lenders[2 * m->n_lent++ + 1] = k;
            }
            if (stem->instrument >= 0 && stem->is_voice) {
                int *list = sounds->songs[i].lends ? m->recorded_voices : m->voices;
                int *n_list = sounds->songs[i].lends ? &m->n_recorded_voices : &m->n_voices;
                list[2 * *n_list] = i;
                list[2 * (*n_list)++ + 1] = k;
            }
        }
    return n ? BL_OK : bl_fail(err, BL_EFORMAT, "the dataset has no song to train on");
}

void blocks_mixer_free(blocks_mixer *m)
{
    free(m->order);
    free(m->first);
    free(m->lenders);
    free(m->voices);
    free(m->recorded_voices);
    *m = (blocks_mixer){ 0 };
}

/* ---- what happens to a recording ---- */

/* A smooth curve over the bands: a tilt and two waves. */
static void draw_curve(bl_rng *rng, int n, double db, float *gain)
{
    const double tilt = uniform(rng, -db, db), a = uniform(rng, -db, db) / 2, b = uniform(rng, -db, db) / 3;
    const double f = uniform(rng, 0.5, 1.5), h = uniform(rng, 1.5, 3), p = uniform(rng, 0, 6.28), q = uniform(rng, 0, 6.28);
    for (int m = 0; m < n; m++) {
        const double x = (double)m / n;
        gain[m] = (float)from_db(tilt * (x - 0.5) + a * sin(6.28 * f * x + p) + b * sin(6.28 * h * x + q));
    }
}

static void multiply_bands(float *power, int64_t T, int M, const float *gain)
{
    for (int64_t t = 0; t < T; t++)
        for (int m = 0; m < M; m++)
            power[t * M + m] *= gain[m];
}

/* Energies of a room: each frame leaves a part that decays. */
static void reverberate(bl_rng *rng, float *power, int64_t T, int M)
{
    const double frame_s = 0.046, rt60_s = uniform(rng, 0.2, 1.8), part = from_db(uniform(rng, -16, -3));
    const float decay = (float)pow(1e-6, frame_s / rt60_s), wet = (float)(part * (1 - (double)decay));
    for (int m = 0; m < M; m++) {
        float room = 0;
        for (int64_t t = 0; t < T; t++) {
            const float dry = power[t * M + m];
            power[t * M + m] = dry + room;
            room = decay * room + wet * dry;
        }
    }
}

static double mean_power(const float *power, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)power[i];
    return sum / (double)n;
}

static void compress(bl_rng *rng, float *power, int64_t T, int M)
{
    const double strength = uniform(rng, 0.1, 0.5), whole = mean_power(power, T * M);
    double level = whole;
    for (int64_t t = 0; t < T && whole > 0; t++) {
        level += 0.5 * (mean_power(power + t * M, M) - level);
        const float gain = (float)pow(fmax(level / whole, 1e-3), -strength);
        for (int m = 0; m < M; m++)
            power[t * M + m] *= gain;
    }
}

static void add_noise(bl_rng *rng, float *power, int64_t T, int M)
{
    float curve[1024];
    const double level = mean_power(power, T * M) * from_db(uniform(rng, -55, -20));
    draw_curve(rng, M, 15, curve);
    for (int64_t t = 0; t < T; t++)
        for (int m = 0; m < M; m++)
            power[t * M + m] += (float)level * curve[m] * (float)(0.5 + bl_rng_uniform(rng));
}

/* Bands move up or down by a fraction: another singer's throat, another tape speed. */
static void shift_bands(bl_rng *rng, float *power, int64_t T, int M)
{
    const double by = uniform(rng, -1.5, 1.5);
    const int whole = (int)floor(by);
    const float part = (float)(by - whole);
    float row[1024];
    for (int64_t t = 0; t < T; t++) {
        for (int m = 0; m < M; m++) {
            const int a = m + whole, b = a + 1;
            row[m] = (1 - part) * power[t * M + (a < 0 ? 0 : a >= M ? M - 1 : a)] + part * power[t * M + (b < 0 ? 0 : b >= M ? M - 1 : b)];
        }
        memcpy(power + t * M, row, (size_t)M * sizeof *row);
    }
}

/* A narrow channel: nothing above (or below) a band, as from a telephone or a stingy encoder. */
static void narrow(bl_rng *rng, float *power, int64_t T, int M)
{
    const int high = chance(rng, 0.75), edge = high ? M - 1 - (int)bl_rng_below(rng, M / 2) : (int)bl_rng_below(rng, M / 8 + 1);
    const float rest = (float)from_db(uniform(rng, -60, -25));
    for (int64_t t = 0; t < T; t++)
        for (int m = 0; m < M; m++)
            if (high ? m > edge : m < edge)
                power[t * M + m] *= rest;
}

/* SpecAugment: a stretch of bands and one of time are not heard. */
static void mask(bl_rng *rng, float *power, int64_t T, int M)
{
    const int bands = (int)bl_rng_below(rng, M / 8 + 1), from = (int)bl_rng_below(rng, M - bands + 1);
    const int64_t frames = bl_rng_below(rng, T / 8 + 1), start = bl_rng_below(rng, T - frames + 1);
    for (int64_t t = 0; t < T; t++)
        for (int m = 0; m < M; m++)
            if ((m >= from && m < from + bands) || (t >= start && t < start + frames))
                power[t * M + m] *= 1e-4f;
}

static void change(const blocks_mixer *m, bl_rng *rng, float *power, int with_mask)
{
    const blocks_classifier_settings *s = m->set;
    const int M = m->sounds->n_mels;
    float curve[1024];
    if (chance(rng, s->shift))
        shift_bands(rng, power, m->window, M);
    if (chance(rng, s->reverb))
        reverberate(rng, power, m->window, M);
    if (chance(rng, s->compress))
        compress(rng, power, m->window, M);
    draw_curve(rng, M, s->eq_db, curve);
    multiply_bands(power, m->window, M, curve);
    if (chance(rng, s->noise))
        add_noise(rng, power, m->window, M);
    if (chance(rng, s->lowpass))
        narrow(rng, power, m->window, M);
    if (with_mask && chance(rng, s->mask))
        mask(rng, power, m->window, M);
}

/* ---- examples ---- */

static void set_genre(const blocks_mixer *m, int genre, blocks_example *e)
{
    const double rest = genre >= 0 ? m->set->label_smoothing / m->sounds->n_genres : 0;
    for (int g = 0; g < m->sounds->n_genres; g++)
        e->genre[g] = (float)(rest + (g == genre ? 1 - m->set->label_smoothing : 0));
}

static void set_any_genre(const blocks_mixer *m, blocks_example *e)
{
    for (int g = 0; g < m->sounds->n_genres; g++)
        e->genre[g] = 1 / (float)m->sounds->n_genres;
}

static void clear(const blocks_mixer *m, blocks_example *e, float label)
{
    memset(e->power, 0, (size_t)(m->window * m->sounds->n_mels) * sizeof *e->power);
    for (int i = 0; i < m->sounds->n_instruments; i++)
        e->labels[i] = label;
}

static int64_t draw_start(const blocks_mixer *m, bl_rng *rng, const blocks_sound *s)
{
    return s->n_frames > m->window ? bl_rng_below(rng, s->n_frames - m->window + 1) : s->n_frames > 1 ? bl_rng_below(rng, s->n_frames) : 0;
}

void blocks_mixer_song(const blocks_mixer *m, bl_rng *rng, int song, int64_t first, int changed, blocks_example *e)
{
    const blocks_song_sounds *s = &m->sounds->songs[song];
    const int M = m->sounds->n_mels;
    clear(m, e, s->n_stems ? 0 : -1);
    const double whole = blocks_sound_add(&s->mixture, M, first, m->window, 1, 1, e->power);
    for (int k = 0; k < m->sounds->n_instruments && !s->n_stems; k++)
        e->labels[k] = s->listed[k];
    for (int k = 0; k < s->n_stems; k++) {
        const double power = blocks_sound_add(&s->stems[k], M, first, m->window, 1, 1, NULL);
        if (s->stems[k].instrument >= 0 && power > AUDIBLE * whole)
            e->labels[s->stems[k].instrument] = 1;
    }
    set_genre(m, s->genre, e);
    if (changed)
        change(m, rng, e->power, 0);
}

/* A stem's powers into scratch, now and then as another instrument of its kind might have them: another colour, a harder or
 * softer sound, a larger or smaller body. Returns their sum. */
static double play_stem(const blocks_mixer *m, bl_rng *rng, const blocks_sound *stem, int64_t first, float *scratch)
{
    const int M = m->sounds->n_mels;
    const int64_t n = m->window * M;
    const int recoloured = chance(rng, m->set->recolour);
    float curve[1024];
    memset(scratch, 0, (size_t)n * sizeof *scratch);
    blocks_sound_add(stem, M, first, m->window, 1, recoloured ? uniform(rng, 0.7, 1.4) : 1, scratch);
    if (recoloured) {
        draw_curve(rng, M, m->set->eq_db, curve);
        multiply_bands(scratch, m->window, M, curve);
        shift_bands(rng, scratch, m->window, M);
    }
    return mean_power(scratch, n) * (double)n;
}

/* Stems left out and at other levels; sometimes a single one. */
static void remix(const blocks_mixer *m, bl_rng *rng, int song, float *scratch, blocks_example *e)
{
    static const double SOLO = 0.12;
    const blocks_song_sounds *s = &m->sounds->songs[song];
    const blocks_classifier_settings *set = m->set;
    const int M = m->sounds->n_mels, solo = chance(rng, SOLO) ? (int)bl_rng_below(rng, s->n_stems) : -1;
    const int certain = (int)bl_rng_below(rng, s->n_stems); /* somebody plays */
    const int64_t first = draw_start(m, rng, &s->mixture);
    double power[64], whole = 0;
    int heard = 0, voices = 1;
    clear(m, e, 0);
    for (int k = 0; k < s->n_stems; k++) {
        const blocks_sound *stem = &s->stems[k];
        const int left_out = solo >= 0 ? k != solo : k != certain && chance(rng, stem->is_voice ? set->voice_dropout : set->stem_dropout);
        power[k] = 0;
        if (left_out)
            continue;
        /* as loud as it was, whatever its new colour */
        const double before = blocks_sound_add(stem, M, first, m->window, 1, 1, NULL), after = play_stem(m, rng, stem, first, scratch);
        const double gain = from_db(uniform(rng, -set->stem_gain_db, set->stem_gain_db)) * (after > 0 ? before / after : 0);
        for (int64_t i = 0; i < m->window * M; i++)
            e->power[i] += (float)gain * scratch[i];
        power[k] = gain * after;
        whole += power[k];
    }
    for (int k = 0; k < s->n_stems; k++)
        if (power[k] > 0 && power[k] > AUDIBLE * whole) {
            heard = 1;
            voices &= s->stems[k].is_voice;
            if (s->stems[k].instrument >= 0)
                e->labels[s->stems[k].instrument] = 1;
        }
    if (!heard || voices)
        set_any_genre(m, e);
    else
        set_genre(m, s->genre, e);
    change(m, rng, e->power, 1);
}

/* A stem from anywhere, all at one level so that each is heard. */
static void add_lent(const blocks_mixer *m, bl_rng *rng, const int *which, float *scratch, blocks_example *e)
{
    const blocks_sound *stem = &m->sounds->songs[which[0]].stems[which[1]];
    const int64_t first = draw_start(m, rng, stem), n = m->window * m->sounds->n_mels;
    const double sum = play_stem(m, rng, stem, first, scratch);
    if (!(sum > 1e-3 * (double)m->window)) /* a rest */
        return;
    const float gain = (float)(from_db(uniform(rng, -m->set->stem_gain_db, m->set->stem_gain_db)) * (double)n / sum);
    for (int64_t i = 0; i < n; i++)
        e->power[i] += gain * scratch[i];
    e->labels[stem->instrument] = 1;
}

/* Stems of different songs: instruments, and no genre. n = 1 of the voices: a bare voice, whose genre is any. */
static void cross(const blocks_mixer *m, bl_rng *rng, const int *list, int n_list, int n, float *scratch, blocks_example *e)
{
    clear(m, e, 0);
    for (int k = 0; k < n; k++)
        add_lent(m, rng, list + 2 * bl_rng_below(rng, n_list), scratch, e);
    set_genre(m, -1, e);
    change(m, rng, e->power, 1);
}

/* Noise of any colour, steady or in bursts: no instrument, no genre. */
static void noise(const blocks_mixer *m, bl_rng *rng, blocks_example *e)
{
    const int M = m->sounds->n_mels, bursts = chance(rng, 0.5);
    const double rate = uniform(rng, 0.03, 0.3), decay = uniform(rng, 0.3, 0.95);
    double level = 1;
    float curve[1024];
    clear(m, e, 0);
    draw_curve(rng, M, 40, curve);
    for (int64_t t = 0; t < m->window; t++) {
        if (bursts)
            level = chance(rng, rate) ? uniform(rng, 0.3, 1) : level * decay;
        for (int b = 0; b < M; b++)
            e->power[t * M + b] = (float)(level * (0.3 + bl_rng_uniform(rng))) * curve[b] + 1e-6f;
    }
    set_any_genre(m, e);
    change(m, rng, e->power, 1);
}

/* Genres equally often; when there is none, any song. */
static int draw_song(const blocks_mixer *m, bl_rng *rng)
{
    const int G = m->sounds->n_genres;
    int g = G;
    if (m->first[G] > 0)
        do
            g = (int)bl_rng_below(rng, G);
        while (m->first[g + 1] == m->first[g]);
    if (m->first[G + 1] > m->first[G] && chance(rng, (double)(m->first[G + 1] - m->first[G]) / m->first[G + 1]))
        g = G;
    return m->order[m->first[g] + bl_rng_below(rng, m->first[g + 1] - m->first[g])];
}

void blocks_mixer_draw(const blocks_mixer *m, bl_rng *rng, float *scratch, blocks_example *e)
{
    const blocks_classifier_settings *s = m->set;
    double kind = bl_rng_uniform(rng);
    const int song = draw_song(m, rng);
    const blocks_song_sounds *of = &m->sounds->songs[song];
    if ((kind -= s->noises) < 0) {
        noise(m, rng, e);
    } else if ((kind -= s->voices) < 0 && m->n_voices + m->n_recorded_voices > 0) {
        const int recorded = m->n_voices == 0 || (m->n_recorded_voices > 0 && chance(rng, 0.5)); /* few, so each more often */
        cross(m, rng, recorded ? m->recorded_voices : m->voices, recorded ? m->n_recorded_voices : m->n_voices, 1, scratch, e);
        set_any_genre(m, e);
    } else if (kind >= 0 && (kind -= s->cross_mixes) < 0 && m->n_lent > 0) {
        cross(m, rng, m->lenders, m->n_lent, 1 + (int)bl_rng_below(rng, 5), scratch, e);
    } else if (kind >= 0 && (kind -= s->remixes) < 0 && of->n_stems > 0 && of->n_stems <= 64) {
        remix(m, rng, song, scratch, e);
    } else {
        blocks_mixer_song(m, rng, song, draw_start(m, rng, &of->mixture), 0, e);
        change(m, rng, e->power, 1);
    }
}
