/* The mixer: stems of the input's rate, channels and exact length; their sum, times one gain, is the song.
 *
 *     stem = gate( pan( level * highpass( resampled tones ) ) + reverb )      mix = gain * (stem_1 + stem_2 + ...)
 *
 * The sum runs in float, in the order of the calls; so does the one product: a mix equals gain times its stems to the last bit.
 *
 * Level     Each stem is brought to level_lu from the lead's loudness (EBU R 128, gated, so pauses do not count); the
 *           lead stays as it is. With accompaniment kept, the lead is everything kept, less 3 LU.
 * Gain      To target_lufs, or as far as the true peak allows (ceiling_dbtp). With limiter = yes to target_lufs in any
 *           case, and peaks are limited; then the mix is no sum any more.
 * Intervals Outside them a stem is exactly zero, reverb included; fades of 3 ms in, fade_ms out, lie inside.
 * Channels  One: everything in the middle. Two: panned. More: the first two.
 * Shapes    mono [n] at `rate`; clips [n_channels, n_samples] of the song
 * Errors    infer_mixer_new: BL_EARG, BL_EFORMAT from configs/mix.ini or the user's config, with line, also for a key that
 *           is not known. BL_ESHAPE: a kept clip of another shape. BL_ENOMEM.
 * Memory    _new borrows user_config only while it runs; release with _free (NULL allowed). infer_mixer_add fills a
 *           zeroed clip; release with audio_clip_free.
 * Tested    tests/infer/test_mixer.c
 */
#ifndef BL_INFER_MIXER_H
#define BL_INFER_MIXER_H

#include "audio/clip.h"
#include "audio/loudness.h"
#include "base/config.h"
#include "infer/cache.h"
#include "music/arrange.h"

typedef struct infer_mixer infer_mixer;

typedef struct infer_mixer_options {
    int    n_channels, sample_rate;
    int64_t n_samples;
    const char *genre;
    const bl_config *user_config;    /* NULL: none                     */
    int    dry;                      /* no reverb, no panning          */
    const music_interval *intervals; /* none: the whole song           */
    int    n_intervals;
} infer_mixer_options;

infer_mixer *infer_mixer_new(const infer_mixer_options *options, bl_error *err);
void         infer_mixer_free(infer_mixer *m);

/* The lead and whatever else of the recording stays, unchanged. First the lead, before any infer_mixer_add. */
bl_status infer_mixer_keep(infer_mixer *m, const audio_clip *stem, bl_error *err);

/* One instrument: mono [n] at rate -> *stem. */
bl_status infer_mixer_add(infer_mixer *m, const char *instrument, const float *mono, int64_t n, int rate, audio_clip *stem,
                          bl_error *err);

/* infer_mixer_add in two steps. _place: mono -> *stem, before it has its level. _join: brings the stem to its level and adds it;
 * *loudness is how loud it was placed, LUFS: measured when it is NAN, else taken as it is (so that a small change of a stem
 * leaves its level alone). */
bl_status infer_mixer_place(infer_mixer *m, const char *instrument, const float *mono, int64_t n, int rate, audio_clip *stem,
                            bl_error *err);
bl_status infer_mixer_join(infer_mixer *m, const char *instrument, double *loudness, audio_clip *stem, bl_error *err);

/* All settings that infer_mixer_place goes by. */
bl_status infer_mixer_key(const infer_mixer *m, const char *instrument, infer_key *key, bl_error *err);

/* What the song's gain follows from: loudness and true peak of the plain sum. Given before _finish they are believed, as long as the
 * peak allows; measured otherwise, to 0.0001 dB. _sum_used: those that _finish went by. */
void infer_mixer_believe_sum(infer_mixer *m, double lufs, double true_peak_dbtp);
void infer_mixer_sum_used(const infer_mixer *m, double *lufs, double *true_peak_dbtp);

/* The song; m is empty afterwards. gain_db (may be NULL) is the output gain. loudness is that of the mix;
 * lead_lufs that of the lead as it sits in it. */
bl_status infer_mixer_finish(infer_mixer *m, audio_clip *mix, double *gain_db, audio_loudness *loudness, double *lead_lufs,
                             bl_error *err);

/* What a sequencer needs to set the tracks as the mix does: volume and pan at the start of each, in place of those it has.
 * General MIDI's volume v is 40 log10(v / 127) dB; 127 is the voice's level. */
bl_status infer_mixer_controls(const infer_mixer *m, music_score *score, bl_error *err);

#endif
