/* What the separator learns from: voices and rests of a dataset, and mixtures made of them. */
#include "audio/mix.h"
#include "blocks/separator_train.h"
#include "data/instruments.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- sources ---- */

bl_status blocks_sources_add(blocks_sources *p, const float *x, int64_t n_samples, int sample_rate, const blocks_source *what,
                             bl_error *err)
{
    const double level = blocks_separator_level(&x, 1, n_samples, sample_rate);
    float peak = 1e-9f;
    if (!(level > 1e-4)) /* silence teaches nothing */
        return BL_OK;
    if (p->n == p->capacity) {
        const int capacity = p->capacity ? 2 * p->capacity : 64;
        blocks_source *grown = realloc(p->sources, (size_t)capacity * sizeof *grown);
        if (!grown)
            return bl_fail(err, BL_ENOMEM, "no memory for the dataset's stems");
        p->sources = grown;
        p->capacity = capacity;
    }
    blocks_source *s = &p->sources[p->n];
    *s = *what;
    s->n_samples = n_samples;
    if (!(s->samples = malloc((size_t)n_samples * sizeof *s->samples)))
        return bl_fail(err, BL_ENOMEM, "no memory for the dataset's stems");
    for (int64_t i = 0; i < n_samples; i++)
        peak = fmaxf(peak, fabsf(x[i]));
    for (int64_t i = 0; i < n_samples; i++)
        s->samples[i] = (int16_t)lrintf(x[i] * (32000 / peak));
    s->unit = peak / 32000;
    s->level = level / (double)s->unit;
    p->n++;
    p->n_samples += n_samples;
    return BL_OK;
}

void blocks_sources_free(blocks_sources *p)
{
    for (int i = 0; i < p->n; i++)
        free(p->sources[i].samples);
    free(p->sources);
    memset(p, 0, sizeof *p);
}

/* 1 a voice, 0 not, -1 cannot be told or is of neither kind. */
static int voice_of(const data_stem *stem)
{
    static const char *const mixes[] = { "mix", "mixture", "instrumental", "accompaniment", NULL };
    for (int i = 0; mixes[i]; i++)
        if (!strcmp(stem->name, mixes[i]))
            return -1;
    if (stem->instrument == data_instrument_find("voice"))
        return 1;
    return stem->instrument == data_instrument_find("choir") ? -1 : 0;
}

/* `what` says all but is_voice. */
static bl_status add_stem(const blocks_separator *s, data_dataset *d, const data_stem *stem, blocks_source what, double most_s,
                          blocks_sources *out, bl_error *err)
{
    bl_error local = { 0 };
    const int is_voice = voice_of(stem);
    if (is_voice < 0)
        return BL_OK;
    const audio_clip *c = data_dataset_audio(d, stem->path, s->sample_rate, &local);
    if (!c)
        return BL_OK; /* reported as skipped */
    const int64_t most = (int64_t)(most_s * s->sample_rate), n = c->n_samples < most ? c->n_samples : most;
    what.is_voice = is_voice;
    return blocks_sources_add(out, c->samples, n, s->sample_rate, &what, err);
}

/* The folder that a song lies in: how many songs before it lie in others. */
static int group_of(const data_dataset *d, int song)
{
    int n = 0;
    for (int i = 0; i <= song; i++) {
        const char *name = d->songs[i].name, *end = strrchr(name, '/');
        const size_t length = end ? (size_t)(end - name) : 0;
        int first = 0; /* the first song of this folder */
        for (;; first++) {
            const char *other = d->songs[first].name, *other_end = strrchr(other, '/');
            if ((other_end ? (size_t)(other_end - other) : 0) == length && !strncmp(name, other, length))
                break;
        }
        if (first == i)
            n++;
        if (i == song)
            return (first == i ? n - 1 : group_of(d, first)) % BLOCKS_SOURCE_GROUPS;
    }
    return 0;
}

bl_status blocks_sources_collect(const blocks_separator *s, data_dataset *d, int quiet, blocks_sources *out, bl_error *err)
{
    const double max_minutes = bl_config_real(s->config, "separation_training", "max_minutes", 600, 0.1, 1e6, err);
    double all_s = 0;
    int n[2][2] = { { 0, 0 }, { 0, 0 } };
    for (int i = 0; i < d->n_songs; i++)
        for (int k = 0; k < d->songs[i].n_stems; k++)
            all_s += d->songs[i].stems[k].duration_s;
    const double share = fmin(1, 60 * max_minutes / fmax(1, all_s));
    for (int i = 0; i < d->n_songs; i++) {
        const data_song *song = &d->songs[i];
        const blocks_source what = { .song = i, .group = group_of(d, i), .held_out = song->split == DATA_VALIDATION };
        for (int k = 0; k < song->n_stems; k++)
            if (add_stem(s, d, &song->stems[k], what, share * fmax(1, song->stems[k].duration_s), out, err) != BL_OK)
                return err->code;
    }
    for (int i = 0; i < out->n; i++)
        n[out->sources[i].is_voice][out->sources[i].held_out]++;
    if (!quiet)
        fprintf(stderr, "%d voices and %d other stems to learn from, %d and %d held out, %.0f minutes\n", n[1][0], n[0][0], n[1][1],
                n[0][1], (double)out->n_samples / s->sample_rate / 60);
    if (!n[1][0] || !n[0][0])
        return bl_fail(err, BL_EFORMAT, "%s: has %d voices and %d other stems to learn from; both are needed (files named "
                       "vocals... and after instruments)", d->path, n[1][0], n[0][0]);
    return BL_OK;
}

/* ---- held-out songs ---- */

static void add_stretch(const blocks_source *s, int64_t first, int64_t n, float gain, float *out)
{
    for (int64_t i = 0; i < n && first + i < s->n_samples; i++)
        out[i] += gain * s->unit * s->samples[first + i];
}

static int is_held_out(const blocks_source *s, int is_voice)
{
    return s->held_out && s->is_voice == is_voice;
}

/* The first voice of the k-th held-out song with a voice. */
static const blocks_source *held_out_voice(const blocks_sources *p, int k)
{
    for (int i = 0; i < p->n; i++) {
        const blocks_source *s = &p->sources[i];
        if (is_held_out(s, 1) && (i == 0 || !s[-1].is_voice || s[-1].song != s->song) && k-- == 0)
            return s;
    }
    return NULL;
}

/* A held-out stem that is no voice: of this song (song >= 0), or number k of all. */
static const blocks_source *held_out_rest(const blocks_sources *p, int song, int k)
{
    int n = 0;
    for (int i = 0; i < p->n; i++) {
        const blocks_source *s = &p->sources[i];
        if (is_held_out(s, 0) && (song < 0 || s->song == song) && n++ == (song < 0 ? k : 0))
            return s;
    }
    return n && song < 0 ? held_out_rest(p, song, k % n) : NULL;
}

bl_status blocks_held_out_get(const blocks_sources *p, int k, int64_t most, blocks_held_out *out, bl_error *err)
{
    static const double VOICE_DB = -5;
    const blocks_source *voice = held_out_voice(p, k), *rest = voice ? held_out_rest(p, voice->song, 0) : NULL;
    const int own = rest != NULL;
    *out = (blocks_held_out){ NULL, NULL, 0 };
    if (!voice || (!rest && !(rest = held_out_rest(p, -1, k))))
        return BL_OK;
    const int64_t shorter = voice->n_samples < rest->n_samples ? voice->n_samples : rest->n_samples;
    const int64_t n = shorter < most ? shorter : most, first = (shorter - n) / 2;
    out->voice = calloc((size_t)n, sizeof *out->voice);
    out->rest = calloc((size_t)n, sizeof *out->rest);
    if (!out->voice || !out->rest)
        return bl_fail(err, BL_ENOMEM, "no memory for a mixture of %lld samples", (long long)n);
    const double as_loud = rest->level * (double)rest->unit / (voice->level * (double)voice->unit);
    const float gain = own ? 1 : (float)(pow(10, VOICE_DB / 20) * as_loud);
    for (int i = 0; i < p->n; i++) {
        const blocks_source *s = &p->sources[i];
        if (is_held_out(s, 1) && s->song == voice->song)
            add_stretch(s, first, n, gain, out->voice);
        else if (is_held_out(s, 0) && (own ? s->song == voice->song : s == rest))
            add_stretch(s, first, n, 1, out->rest);
    }
    out->n = n;
    return BL_OK;
}

/* ---- mixtures ---- */

bl_status blocks_mixing_read(const bl_config *c, blocks_mixing *m, bl_error *err)
{
    static const char at[] = "separation_training";
    *m = (blocks_mixing){
        .voice_db_low = bl_config_real(c, at, "voice_db_low", -18, -60, 60, err),
        .voice_db_high = bl_config_real(c, at, "voice_db_high", 8, -60, 60, err),
        .no_voice = bl_config_real(c, at, "no_voice", 0.06, 0, 1, err),
        .voice_alone = bl_config_real(c, at, "voice_alone", 0.04, 0, 1, err),
        .semitones = bl_config_real(c, at, "semitones", 6, 0, 24, err),
        .rest_semitones = bl_config_real(c, at, "rest_semitones", 3, 0, 24, err),
        .second_voice = bl_config_real(c, at, "second_voice", 0.3, 0, 1, err),
        .doubled = bl_config_real(c, at, "doubled", 0.2, 0, 1, err),
        .reverb = bl_config_real(c, at, "reverb", 0.35, 0, 1, err),
        .equalised = bl_config_real(c, at, "equalised", 0.7, 0, 1, err),
        .second_rest = bl_config_real(c, at, "second_rest", 0.25, 0, 1, err),
        .narrow = bl_config_real(c, at, "narrow", 0.1, 0, 1, err),
        .noise = bl_config_real(c, at, "noise", 0.1, 0, 1, err),
    };
    if (!err->code && m->voice_db_low > m->voice_db_high)
        return bl_fail(err, BL_EARG, "%s: separation_training.voice_db_low (%g) must not exceed voice_db_high (%g)",
                       bl_config_name(c), m->voice_db_low, m->voice_db_high);
    return err->code;
}

static double between(bl_rng *rng, double low, double high)
{
    return low + (high - low) * bl_rng_uniform(rng);
}

static int chance(bl_rng *rng, double share)
{
    return bl_rng_uniform(rng) < share;
}

/* out[i] += gain source[from + i speed], cubic (Catmull-Rom) between samples; nothing outside. */
static void play(const blocks_source *s, double from, double speed, float gain, float *out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const double at = from + (double)i * speed, whole = floor(at);
        const int64_t k = (int64_t)whole;
        if (k < 1 || k + 2 >= s->n_samples)
            continue;
        const float u = (float)(at - whole), a = s->samples[k - 1], b = s->samples[k], c = s->samples[k + 1], d = s->samples[k + 2];
        out[i] += gain * (b + 0.5f * u * (c - a + u * (2 * a - 5 * b + 4 * c - d + u * (3 * (b - c) + d - a))));
    }
}

/* Where to start reading n samples at a speed; a source that is too short begins somewhere in the stretch. Where it is silent
 * another place is tried. */
static double start_of(const blocks_source *s, double speed, int64_t n, bl_rng *rng)
{
    enum { TRIES = 4, EVERY = 61 };
    const double room = (double)s->n_samples - speed * (double)n;
    double from = 0;
    for (int k = 0; k < TRIES; k++) {
        double sum = 0;
        from = room > 0 ? between(rng, 0, room) : between(rng, room, 0);
        for (int64_t i = 0; i < n; i += EVERY) {
            const int64_t at = (int64_t)(from + speed * (double)i);
            sum += at >= 0 && at < s->n_samples ? (double)s->samples[at] * (double)s->samples[at] : 0;
        }
        if (sum * EVERY > 0.02 * s->level * s->level * (double)n)
            break;
    }
    return from;
}

static double power_of(const float *x, int64_t n, int sample_rate)
{
    const double level = blocks_separator_level(&x, 1, n, sample_rate);
    return level * level;
}

static bl_status put_in_room(float *x, int64_t n, int sample_rate, float *scratch, bl_rng *rng, bl_error *err)
{
    const audio_reverb_config room = { between(rng, 0.2, 0.9), between(rng, 0.2, 0.8), 0, between(rng, 0, 40) };
    const double wet = pow(10, between(rng, -22, -6) / 20), before = sqrt(power_of(x, n, sample_rate));
    float *left = scratch, *right = scratch + n;
    if (audio_reverb(x, n, sample_rate, &room, left, right, err) != BL_OK)
        return err->code;
    const double after = sqrt(power_of(left, n, sample_rate));
    const float gain = (float)(after > 0 ? wet * before / after : 0);
    for (int64_t i = 0; i < n; i++)
        x[i] += gain * left[i];
    return BL_OK;
}

static int64_t weight_of(const blocks_source *s, int sample_rate)
{
    static const int64_t LONG_S = 10;
    return s->n_samples < LONG_S * sample_rate ? s->n_samples : LONG_S * sample_rate;
}

/* A training source of this kind by chance: every group as likely as the others, in it short sources less often. NULL: none. */
static const blocks_source *draw(const blocks_sources *p, int is_voice, int sample_rate, bl_rng *rng)
{
    int64_t total[BLOCKS_SOURCE_GROUPS] = { 0 }, at;
    int n = 0, group = 0;
    for (int i = 0; i < p->n; i++)
        if (p->sources[i].is_voice == is_voice && !p->sources[i].held_out)
            total[p->sources[i].group] += weight_of(&p->sources[i], sample_rate);
    for (int g = 0; g < BLOCKS_SOURCE_GROUPS; g++)
        n += total[g] > 0;
    if (!n)
        return NULL;
    for (int64_t k = bl_rng_below(rng, n); total[group] == 0 || k-- > 0; group++)
        ;
    at = bl_rng_below(rng, total[group]);
    for (int i = 0;; i++) {
        const blocks_source *s = &p->sources[i];
        if (s->is_voice == is_voice && !s->held_out && s->group == group && (at -= weight_of(s, sample_rate)) < 0)
            return s;
    }
}

static double speed_of(bl_rng *rng, double semitones)
{
    return pow(2, between(rng, -semitones, semitones) / 12);
}

/* One singer into out, perhaps doubled. */
static void sing(const blocks_sources *p, const blocks_mixing *m, int sample_rate, int64_t n, double gain, bl_rng *rng, float *out)
{
    const blocks_source *s = draw(p, 1, sample_rate, rng);
    const double speed = speed_of(rng, m->semitones), from = start_of(s, speed, n, rng);
    const float level = (float)(gain / s->level);
    play(s, from, speed, level, out, n);
    if (chance(rng, m->doubled)) {
        const double late = between(rng, 0.008, 0.04) * sample_rate, detuned = speed * pow(2, between(rng, -0.25, 0.25) / 12);
        play(s, from - late * speed + (speed - detuned) * (double)n / 2, detuned, level * (float)between(rng, 0.4, 1), out, n);
    }
}

static bl_status make_voice(const blocks_sources *p, const blocks_mixing *m, int sample_rate, int64_t n, bl_rng *rng, float *out,
                            float *scratch, bl_error *err)
{
    sing(p, m, sample_rate, n, 1, rng, out);
    if (chance(rng, m->second_voice))
        sing(p, m, sample_rate, n, pow(10, between(rng, -15, 0) / 20), rng, out);
    return chance(rng, m->reverb) ? put_in_room(out, n, sample_rate, scratch, rng, err) : BL_OK;
}

static void make_rest(const blocks_sources *p, const blocks_mixing *m, int sample_rate, int64_t n, bl_rng *rng, float *out)
{
    const blocks_source *first = draw(p, 0, sample_rate, rng);
    const double speed = speed_of(rng, m->rest_semitones), from = start_of(first, speed, n, rng);
    for (int i = 0; i < p->n; i++) {
        const blocks_source *s = &p->sources[i];
        if (s->song != first->song || s->is_voice || (s != first && chance(rng, 0.15)))
            continue;
        play(s, from, speed, (float)(pow(10, between(rng, -9, 3) / 20) / s->level), out, n);
    }
    if (chance(rng, m->second_rest)) {
        const blocks_source *s = draw(p, 0, sample_rate, rng);
        const double faster = speed_of(rng, m->rest_semitones);
        play(s, start_of(s, faster, n, rng), faster, (float)(pow(10, between(rng, -9, 3) / 20) / s->level), out, n);
    }
    if (chance(rng, m->noise)) {
        const float gain = (float)(pow(10, between(rng, -45, -20) / 20) * sqrt(power_of(out, n, sample_rate) + 1e-6));
        for (int64_t i = 0; i < n; i++)
            out[i] += gain * (float)(2 * bl_rng_uniform(rng) - 1);
    }
}

bl_status blocks_stretch(const blocks_sources *p, const blocks_mixing *m, int is_voice, int sample_rate, int64_t n, bl_rng *rng,
                         float *out, float *scratch, bl_error *err)
{
    bl_status status = BL_OK;
    memset(out, 0, (size_t)n * sizeof *out);
    if (is_voice)
        status = make_voice(p, m, sample_rate, n, rng, out, scratch, err);
    else
        make_rest(p, m, sample_rate, n, rng, out);
    const double level = sqrt(power_of(out, n, sample_rate));
    const float gain = (float)(level > 1e-6 ? 1 / level : 0);
    for (int64_t i = 0; i < n; i++)
        out[i] *= gain;
    return status;
}
