#include "infer/mixer.h"

#include "audio/mix.h"
#include "audio/resample.h"
#include "audio/transient.h"
#include "base/file.h"
#include "infer/genre.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double FADE_IN_S = 0.003;
static const double KEPT_LU = 3;          /* a whole song is this much louder than the voice in it */
static const double NOT_MEASURED_LUFS = -23; /* of a lead too short or too quiet for EBU R 128      */
static const double LARGEST_GAIN_DB = 60; /* of a stem: beyond it there is only noise to lift      */

typedef struct place {
    double level_lu, pan, highpass_hz, reverb, attack_db;
} place;

struct infer_mixer {
    infer_mixer_options o;
    char       genre[64];
    bl_config *shipped;
    char      *user_text;    /* copy of the user's config */
    bl_config *user;
    music_interval *intervals;
    double     target_lufs, ceiling_dbtp, fade_ms;
    int        limiter;
    audio_reverb_config room;
    audio_clip sum;
    int        n_kept, measured;
    double     lead_lufs;    /* of the first kept stem              */
    double     band_lufs;    /* what levels are relative to         */
    double     sum_lufs, sum_dbtp; /* of the sum; NAN: to be measured */
};

static place read_place(const bl_config *c, const char *section, place p, bl_error *err)
{
    p.level_lu = bl_config_real(c, section, "level_lu", p.level_lu, -60, 20, err);
    p.pan = bl_config_real(c, section, "pan", p.pan, -1, 1, err);
    p.highpass_hz = bl_config_real(c, section, "highpass_hz", p.highpass_hz, 0, 2000, err);
    p.reverb = bl_config_real(c, section, "reverb", p.reverb, 0, 1, err);
    p.attack_db = bl_config_real(c, section, "attack_db", p.attack_db, -12, 12, err);
    return p;
}

static void read_room(infer_mixer *m, const bl_config *c, bl_error *err)
{
    m->target_lufs = bl_config_real(c, "mix", "target_lufs", m->target_lufs, -60, -5, err);
    m->ceiling_dbtp = bl_config_real(c, "mix", "ceiling_dbtp", m->ceiling_dbtp, -30, -1, err);
    m->limiter = bl_config_bool(c, "mix", "limiter", m->limiter, err);
    m->fade_ms = bl_config_real(c, "mix", "fade_ms", m->fade_ms, 1, 2000, err);
    m->room.room_size = bl_config_real(c, "mix", "room_size", m->room.room_size, 0, 1, err);
    m->room.damping = bl_config_real(c, "mix", "damping", m->room.damping, 0, 1, err);
    m->room.width = bl_config_real(c, "mix", "width", m->room.width, 0, 1, err);
    m->room.predelay_ms = bl_config_real(c, "mix", "predelay_ms", m->room.predelay_ms, 0, 200, err);
}

/* Every section is read once, so that a key nobody knows is found whichever instruments play. */
static void check_sections(const bl_config *c, int shipped, bl_error *err)
{
    for (int i = 0; i < bl_config_count(c); i++) {
        const char *section = bl_config_at(c, i)->section;
        const int mine = shipped ? strcmp(section, "mix") != 0 : !strncmp(section, "mix ", 4);
        if (mine)
            read_place(c, section, (place){ 0 }, err);
        else if (!shipped && strcmp(section, "mix") != 0)
            bl_config_mark_used(c, i); /* other programs read the same file */
    }
    bl_config_check_unused(c, err);
}

static place place_of(const infer_mixer *m, const char *instrument, bl_error *err)
{
    char section[160];
    place p = read_place(m->shipped, "default", (place){ -8, 0, 60, 0, 0 }, err);
    snprintf(section, sizeof section, "instrument %s", instrument);
    p = read_place(m->shipped, section, p, err);
    snprintf(section, sizeof section, "%s %s", m->genre, instrument);
    p = read_place(m->shipped, section, p, err);
    if (m->user) {
        snprintf(section, sizeof section, "mix %s", instrument);
        p = read_place(m->user, section, p, err);
    }
    return p;
}

/* Has the mix anything to say about the genre? */
static int mix_knows(const void *c, const char *genre)
{
    const size_t n = strlen(genre);
    for (int i = 0; i < bl_config_count(c); i++) {
        const char *section = bl_config_at(c, i)->section;
        if (!strncmp(section, genre, n) && section[n] == ' ')
            return 1;
    }
    return 0;
}

infer_mixer *infer_mixer_new(const infer_mixer_options *o, bl_error *err)
{
    char path[BL_PATH_MAX];
    bl_error own = { 0 };
    infer_mixer *m = calloc(1, sizeof *m);
    if (!m) {
        bl_fail(err, BL_ENOMEM, "no memory for the mix");
        return NULL;
    }
    m->o = *o;
    m->sum_lufs = m->sum_dbtp = (double)NAN;
    m->target_lufs = -14;
    m->ceiling_dbtp = -1.2;
    m->fade_ms = 30;
    m->room = (audio_reverb_config){ 0.55, 0.5, 0.9, 12 };
    if (bl_find_shipped(path, "configs/mix.ini", &own) == BL_OK && (m->shipped = bl_config_load(path, &own))) {
        read_room(m, m->shipped, &own);
        check_sections(m->shipped, 1, &own);
        infer_genre_known(o->genre, mix_knows, m->shipped, m->genre, &own);
    }
    if (!own.code && o->user_config) {
        m->user_text = bl_config_text(o->user_config);
        if (!m->user_text)
            bl_fail(&own, BL_ENOMEM, "no memory for the mix");
        else if ((m->user = bl_config_parse(m->user_text, bl_config_name(o->user_config), &own))) {
            read_room(m, o->user_config, &own); /* the original knows its line numbers */
            check_sections(o->user_config, 0, &own);
        }
    }
    if (!own.code && o->n_intervals) {
        m->intervals = malloc((size_t)o->n_intervals * sizeof *m->intervals);
        if (m->intervals)
            memcpy(m->intervals, o->intervals, (size_t)o->n_intervals * sizeof *m->intervals);
        else
            bl_fail(&own, BL_ENOMEM, "no memory for the mix");
    }
    if (!own.code)
        audio_clip_new(&m->sum, o->n_channels, o->n_samples, o->sample_rate, &own);
    if (own.code) {
        bl_fail(err, own.code, "%s", own.msg);
        infer_mixer_free(m);
        return NULL;
    }
    return m;
}

void infer_mixer_free(infer_mixer *m)
{
    if (!m)
        return;
    bl_config_free(m->shipped);
    bl_config_free(m->user);
    free(m->user_text);
    free(m->intervals);
    audio_clip_free(&m->sum);
    free(m);
}

bl_status infer_mixer_keep(infer_mixer *m, const audio_clip *stem, bl_error *err)
{
    double peak;
    if (stem->n_samples != m->sum.n_samples || stem->n_channels != m->sum.n_channels)
        return bl_fail(err, BL_ESHAPE, "a kept stem has %d channels of %lld samples, the song %d of %lld", stem->n_channels,
                       (long long)stem->n_samples, m->sum.n_channels, (long long)m->sum.n_samples);
    if (audio_mix_add_clip(&m->sum, stem, 0, 1, err) != BL_OK)
        return err->code;
    if (m->n_kept++ == 0 && audio_loudness_integrated(stem, &m->lead_lufs, &peak, err) != BL_OK)
        return err->code;
    m->measured = 0;
    return BL_OK;
}

static bl_status measure_kept(infer_mixer *m, bl_error *err)
{
    double lufs = m->lead_lufs, peak;
    if (m->measured)
        return BL_OK;
    if (m->n_kept != 1 && audio_loudness_integrated(&m->sum, &lufs, &peak, err) != BL_OK)
        return err->code;
    m->band_lufs = lufs - (m->n_kept > 1 ? KEPT_LU : 0);
    if (!isfinite(m->band_lufs)) /* nothing to measure */
        m->band_lufs = NOT_MEASURED_LUFS;
    m->measured = 1;
    return BL_OK;
}

/* Silence outside the intervals. */
static void gate(const infer_mixer *m, float *x)
{
    const int64_t n = m->sum.n_samples, rate = m->sum.sample_rate;
    int64_t at = 0;
    if (!m->o.n_intervals)
        return;
    /* intervals may overlap and come in any order: walk to the next one that is open or opens first */
    while (at < n) {
        int64_t start = n, end = n;
        for (int i = 0; i < m->o.n_intervals; i++) {
            const int64_t a = (int64_t)llround(m->intervals[i].start_s * (double)rate);
            const int64_t b = (int64_t)llround(m->intervals[i].end_s * (double)rate);
            if (b > at && (a < at ? at : a) < start)
                start = a < at ? at : a;
        }
        memset(x + at, 0, (size_t)(start - at) * sizeof *x);
        if (start >= n)
            return;
        end = start;
        for (int grown = 1; grown;) { /* all intervals that touch */
            grown = 0;
            for (int i = 0; i < m->o.n_intervals; i++) {
                const int64_t a = (int64_t)llround(m->intervals[i].start_s * (double)rate);
                const int64_t b = (int64_t)llround(m->intervals[i].end_s * (double)rate);
                if (a <= end && b > end) {
                    end = b;
                    grown = 1;
                }
            }
        }
        end = end > n ? n : end;
        if (start > 0)
            audio_fade_in(x + start, end - start, (int64_t)(FADE_IN_S * (double)rate));
        if (end < n)
            audio_fade_out(x + start, end - start, (int64_t)(m->fade_ms * 1e-3 * (double)rate));
        at = end;
    }
}

/* Places dry [n_samples] into the stem's channels, and its reverb. */
static bl_status spread(const infer_mixer *m, const float *dry, const place *p, audio_clip *stem, bl_error *err)
{
    const int64_t n = stem->n_samples;
    double left = 1, right = 1;
    bl_status status = BL_OK;
    if (stem->n_channels > 1) {
        audio_pan_gains(m->o.dry ? 0 : p->pan, &left, &right);
        left *= sqrt(2.0); /* in the middle both channels hold the instrument as it is */
        right *= sqrt(2.0);
        audio_mix_add(stem->samples + n, n, dry, n, 0, right);
    }
    audio_mix_add(stem->samples, n, dry, n, 0, left);
    if (m->o.dry || p->reverb <= 0)
        return BL_OK;
    float *wet = malloc(2 * (size_t)n * sizeof *wet);
    if (!wet)
        return bl_fail(err, BL_ENOMEM, "no memory for the reverb");
    status = audio_reverb(dry, n, stem->sample_rate, &m->room, wet, wet + n, err);
    if (status == BL_OK && stem->n_channels > 1) {
        audio_mix_add(stem->samples, n, wet, n, 0, p->reverb);
        audio_mix_add(stem->samples + n, n, wet + n, n, 0, p->reverb);
    } else if (status == BL_OK) {
        audio_mix_add(stem->samples, n, wet, n, 0, 0.5 * p->reverb);
        audio_mix_add(stem->samples, n, wet + n, n, 0, 0.5 * p->reverb);
    }
    free(wet);
    return status;
}

static double rounded(double db)
{
    return round(db * 1e4) / 1e4;
}

/* How loud a stem is: gated loudness; a few short hits have none, and count as 12 dB under their peak. -INFINITY: silence. */
static bl_status measure_stem(const audio_clip *stem, double *loudness, bl_error *err)
{
    double lufs, peak;
    if (audio_loudness_integrated(stem, &lufs, &peak, err) != BL_OK)
        return err->code;
    *loudness = rounded(isfinite(lufs) ? lufs : peak - 12);
    return BL_OK;
}

bl_status infer_mixer_key(const infer_mixer *m, const char *instrument, infer_key *key, bl_error *err)
{
    const place p = place_of(m, instrument, err);
    const int64_t words[5] = { m->sum.n_channels, m->sum.sample_rate, m->sum.n_samples, m->o.dry, m->o.n_intervals };
    const double numbers[9] = { p.pan, p.highpass_hz, p.reverb, p.attack_db, m->room.room_size, m->room.damping, m->room.width,
                                m->room.predelay_ms, m->fade_ms };
    infer_key_add(key, words, sizeof words);
    infer_key_add(key, numbers, sizeof numbers);
    if (m->o.n_intervals)
        infer_key_add(key, m->intervals, (size_t)m->o.n_intervals * sizeof *m->intervals);
    return err->code;
}

bl_status infer_mixer_place(infer_mixer *m, const char *instrument, const float *mono, int64_t n, int rate, audio_clip *stem,
                            bl_error *err)
{
    const int64_t want = m->sum.n_samples, have = audio_resample_length(n, rate, m->sum.sample_rate);
    const place p = place_of(m, instrument, err);
    float *dry = calloc((size_t)(have > want ? have : want), sizeof *dry);
    bl_status status = err->code;

    *stem = (audio_clip){ 0 };
    if (status == BL_OK && !dry)
        status = bl_fail(err, BL_ENOMEM, "no memory for the stem of %s", instrument);
    if (status == BL_OK)
        status = audio_clip_new(stem, m->sum.n_channels, want, m->sum.sample_rate, err);
    if (status == BL_OK)
        status = audio_resample_buffer(mono, n, rate, m->sum.sample_rate, AUDIO_RESAMPLE_MEDIUM, dry, err);
    if (status == BL_OK) {
        if (p.highpass_hz > 0) {
            audio_biquad f = audio_biquad_design(AUDIO_HIGHPASS, m->sum.sample_rate, p.highpass_hz, 0, 0);
            audio_biquad_run(&f, dry, want);
        }
        if (p.attack_db != 0 && !m->o.dry)
            audio_transient(dry, want, m->sum.sample_rate, p.attack_db);
        status = spread(m, dry, &p, stem, err);
    }
    for (int c = 0; c < stem->n_channels && status == BL_OK; c++)
        gate(m, stem->samples + c * want);
    free(dry);
    if (status != BL_OK)
        audio_clip_free(stem);
    return status;
}

bl_status infer_mixer_join(infer_mixer *m, const char *instrument, double *loudness, audio_clip *stem, bl_error *err)
{
    const place p = place_of(m, instrument, err);
    bl_status status = err->code;
    if (status == BL_OK)
        status = measure_kept(m, err);
    if (status == BL_OK && isnan(*loudness))
        status = measure_stem(stem, loudness, err);
    if (status == BL_OK && isfinite(*loudness)) {
        const double gain_db = fmin(m->band_lufs + p.level_lu - *loudness, LARGEST_GAIN_DB);
        audio_mix_gain(stem->samples, stem->n_samples * stem->n_channels, audio_db_to_gain(gain_db));
    }
    return status == BL_OK ? audio_mix_add_clip(&m->sum, stem, 0, 1, err) : status;
}

bl_status infer_mixer_add(infer_mixer *m, const char *instrument, const float *mono, int64_t n, int rate, audio_clip *stem,
                          bl_error *err)
{
    double loudness = (double)NAN;
    bl_status status = infer_mixer_place(m, instrument, mono, n, rate, stem, err);
    if (status == BL_OK)
        status = infer_mixer_join(m, instrument, &loudness, stem, err);
    if (status != BL_OK)
        audio_clip_free(stem);
    return status;
}

void infer_mixer_believe_sum(infer_mixer *m, double lufs, double true_peak_dbtp)
{
    m->sum_lufs = lufs;
    m->sum_dbtp = true_peak_dbtp;
}

void infer_mixer_sum_used(const infer_mixer *m, double *lufs, double *true_peak_dbtp)
{
    *lufs = m->sum_lufs;
    *true_peak_dbtp = m->sum_dbtp;
}

/* The song's gain, from what the sum is believed or measured to be. */
static double song_gain_db(infer_mixer *m, const audio_loudness *measured)
{
    static const double SLACK_DB = 0.001;
    audio_loudness loud = *measured;
    double gain;
    for (int believing = !isnan(m->sum_lufs); believing >= 0; believing--) {
        if (!believing) {
            m->sum_lufs = rounded(measured->integrated_lufs);
            m->sum_dbtp = rounded(measured->true_peak_dbtp);
        }
        loud.integrated_lufs = m->sum_lufs;
        loud.true_peak_dbtp = m->sum_dbtp;
        gain = audio_loudness_gain_db(&loud, m->target_lufs, m->ceiling_dbtp);
        if (m->limiter && isfinite(loud.integrated_lufs))
            return m->target_lufs - loud.integrated_lufs;
        if (measured->true_peak_dbtp + gain <= m->ceiling_dbtp + SLACK_DB)
            break;
    }
    return gain;
}

bl_status infer_mixer_finish(infer_mixer *m, audio_clip *mix, double *gain_db, audio_loudness *loudness, double *lead_lufs,
                             bl_error *err)
{
    audio_loudness loud;
    double gain, reduction = 0;
    bl_status status = audio_loudness_measure(&m->sum, &loud, err);
    if (status != BL_OK)
        return status;
    gain = song_gain_db(m, &loud);
    *mix = m->sum;
    m->sum = (audio_clip){ 0 };
    audio_mix_gain(mix->samples, mix->n_samples * mix->n_channels, audio_db_to_gain(gain));
    if (m->limiter)
        status = audio_limit(mix, m->ceiling_dbtp, 5, 80, &reduction, err);
    if (status == BL_OK && m->limiter)
        status = audio_loudness_measure(mix, loudness, err);
    else if (status == BL_OK) /* what a gain does to loudness needs no measuring */
        *loudness = (audio_loudness){ loud.integrated_lufs + gain, loud.range_lu, loud.true_peak_dbtp + gain, loud.sample_peak_dbfs + gain };
    *lead_lufs = m->lead_lufs + gain;
    if (gain_db)
        *gain_db = gain;
    if (status != BL_OK)
        audio_clip_free(mix);
    return status;
}

bl_status infer_mixer_controls(const infer_mixer *m, music_score *score, bl_error *err)
{
    for (int t = 0; t < score->n_tracks; t++) {
        music_track *track = &score->tracks[t];
        const place p = place_of(m, track->name, err);
        int kept = 0;
        if (err->code != BL_OK)
            return err->code;
        for (int i = 0; i < track->n_controls; i++) {
            const music_control *c = &track->controls[i];
            if (c->kind != MUSIC_CONTROLLER || (c->a != MUSIC_CC_VOLUME && c->a != MUSIC_CC_PAN))
                track->controls[kept++] = *c;
        }
        track->n_controls = kept;
        const double volume = 127 * pow(10, p.level_lu / 40), pan = 64 + 63 * (m->o.dry || m->o.n_channels < 2 ? 0 : p.pan);
        const music_control list[2] = { { 0, MUSIC_CONTROLLER, MUSIC_CC_VOLUME, (uint8_t)lround(fmin(fmax(volume, 1), 127)) },
                                        { 0, MUSIC_CONTROLLER, MUSIC_CC_PAN, (uint8_t)lround(fmin(fmax(pan, 0), 127)) } };
        for (int i = 0; i < 2; i++)
            if (music_track_add_control(track, list[i], err) != BL_OK)
                return err->code;
    }
    return BL_OK;
}
