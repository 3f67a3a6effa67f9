/* The predominant melody of an instrumental and what accompanies it, without a trained network (a sung song is separated by
 * blocks/separator.h), and the decision what kind of input a recording is.
 *
 * Chain    (1) HPSS: median filters along time and frequency part percussion from tones.
 *          (2) REPET-SIM: the median over each frame's most similar frames is the repeating background.
 *          (3) Salience of harmonic sums on the foreground (in stereo: of its middle) gives the predominant
 *              melody by Viterbi; its harmonics, where voiced, make a soft comb.
 *          (4) The evidence is combined into a Wiener-like mask in 0..1 on the mixture's STFT (phase of
 *              the mixture, one mask for all channels); the accompaniment is the rest. The melody has nothing above
 *              11 kHz: the analysis, for which it is made, hears no higher.
 *
 * Shapes   clips of any channels and rate; outputs have the input's shape
 * Units    voice + accompaniment = input in float arithmetic, bit for bit, when the input came from 24 bits
 *          or fewer within full scale (both parts are rounded to that grid); finer input is met to 2^-24
 * Errors   BL_EARG: empty clip; BL_ENOMEM
 * Memory   outputs are new clips; release with audio_clip_free. Works in pieces of about 45 s that
 *          overlap, so scratch memory is bounded (113 MB measured for 30 s of mono).
 * Cost     60 s of audio in about 4 s on two cores
 * Source   Fitzgerald, "Harmonic/percussive separation using median filtering", DAFx 2010; Rafii &
 *          Pardo, "Music/voice separation using the similarity matrix", ISMIR 2012; Salamon & Gomez,
 *          "Melody extraction from polyphonic music signals", IEEE TASLP 20(6), 2012.
 * Tested   tests/audio/test_separation.c
 */
#ifndef BL_AUDIO_SEPARATION_H
#define BL_AUDIO_SEPARATION_H

#include "audio/clip.h"

bl_status audio_separate_melody(const audio_clip *mix, audio_clip *voice, audio_clip *accompaniment, bl_error *err);

/* Steps 1 to 4 on magnitudes [n_bins, n_frames] (the lower bins of n_fft/2 + 1, at least up to 5 kHz) that somebody has: mask of the
 * same shape. */
bl_status audio_melody_mask(const float *magnitude, int n_bins, int64_t n_frames, int sample_rate, int n_fft, int hop_length,
                            float *mask, bl_error *err);

/* Harmonic/percussive separation alone; the two sum to the input as above. */
bl_status audio_hpss(const audio_clip *mix, audio_clip *harmonic, audio_clip *percussive, bl_error *err);

/* rest = mix - wanted, of one shape; wanted is first moved by at most a rounding so that the two sum to the input as above. */
void audio_take_away(const audio_clip *mix, audio_clip *wanted, audio_clip *rest);

/* What the recording is. The figures behind the decision are given too, so that a report can show them. */
typedef enum audio_input_kind {
    AUDIO_INPUT_SILENT,
    AUDIO_INPUT_VOCAL,        /* one voice, nothing else            */
    AUDIO_INPUT_SONG,         /* voice and instruments              */
    AUDIO_INPUT_INSTRUMENTAL  /* instruments only                   */
} audio_input_kind;

typedef struct audio_input_evidence {
    audio_input_kind kind;
    float confidence;    /* 0..1                                                                        */
    float voiced_energy; /* share of the energy in which one pitch is heard: a lone voice has over 0.8  */
    float voiced_share;  /* share of the sounding time with one pitch                                   */
    float percussive;    /* share of percussive energy (HPSS); 0 when alone                                       */
    float gliding;       /* share of pitched moments that glide or waver as voices do, 0..1             */
    float still;         /* share of pitched moments that stand as still as a string or pipe does       */
    float others;        /* share of the partials that no single harmonic series explains               */
    float low_partials;  /* strength of the strongest partial below C3 (audio/polyphony.h)              */
    float melody_moves;  /* the same as gliding, of the predominant melody of a mix                     */
    float salience;      /* mean strength of that melody                                                */
    float foreground;    /* share of the energy that neither repeats, stands nor is percussion          */
    float alone_score;   /* log odds that one voice or instrument sounds alone                          */
    float voice_score;   /* log odds that somebody sings in the mix (0 when alone)                      */
} audio_input_evidence;

/* Looks at the middle 20 s. Weights by logistic regression over 59 solo vocals, 44 mixes with and without
 * voices and 12 rendered ones; see docs/listening.md for how often it errs. */
bl_status   audio_judge_input(const audio_clip *clip, audio_input_evidence *out, bl_error *err);
const char *audio_input_kind_name(audio_input_kind kind); /* "vocal", "song", "instrumental", "silent" */

#endif
