/* Measured features, with librosa's names, defaults and definitions (0.10). Nothing is learned here.
 *
 * Shapes   spectra are [F, T], features [n, T] or [T], T contiguous; F = n_fft/2 + 1,
 *          T = n_samples/hop_length + 1.
 * Edges    center=True everywhere: frame t is centred on sample t*hop_length. STFT and RMS see zeros
 *          outside the clip (librosa's pad_mode="constant"), the zero crossing rate repeats the first and
 *          last sample ("edge"). So clips of any length, from one sample, have features.
 * Window   Periodic Hann of n_fft samples.
 * Memory   Arrays are borrowed, and must not overlap unless said.
 * Threads  audio_feature_plan holds scratch: one per thread. The functions without a plan hold nothing.
 * Source   McFee et al., "librosa: Audio and Music Signal Analysis in Python", SciPy 2015.
 * Tested   tests/audio/test_features.c against tools/golden/features.py (numpy, written from the definitions).
 */
#ifndef BL_AUDIO_FEATURES_H
#define BL_AUDIO_FEATURES_H

#include "audio/stft.h"

/* ---- mel (mel.c) ---- */

/* Slaney's Auditory Toolbox: linear below 1 kHz, logarithmic above. HTK: 2595 log10(1 + f/700). */
typedef enum audio_mel_scale { AUDIO_MEL_SLANEY, AUDIO_MEL_HTK } audio_mel_scale;

double audio_hz_to_mel(double hz, audio_mel_scale scale);
double audio_mel_to_hz(double mel, audio_mel_scale scale);

/* Triangular filters on an equally spaced mel axis; equals librosa.filters.mel(norm="slaney"), that is,
 * each triangle has area 1 over hertz, or norm=None (height 1) when area_norm is 0.
 *
 * Shapes   out [n_mels, F]
 * Errors   BL_EARG: n_mels < 1, n_fft odd or < 2, not 0 <= fmin_hz < fmax_hz <= sample_rate/2.
 *          fmax_hz 0 means sample_rate/2. */
bl_status audio_mel_filters(int sample_rate, int n_fft, int n_mels, double fmin_hz, double fmax_hz,
                            audio_mel_scale scale, int area_norm, float *out, bl_error *err);

/* 10 log10(max(amin, power)) - 10 log10(max(amin, ref)); then not more than top_db below the largest value,
 * unless top_db < 0. librosa.power_to_db has ref 1, amin 1e-10, top_db 80. power and out may be the same. */
void audio_power_to_db(const float *power, int64_t n, double ref, double amin, double top_db, float *out);

/* Orthonormal DCT-II along the rows' index: in [n_in, T] -> out [n_out, T], n_out <= n_in. No overlap. */
void audio_dct2(const float *in, int n_in, int64_t n_frames, int n_out, float *out);

/* ---- chroma (chroma.c) ---- */

/* librosa.filters.chroma(norm=2, ctroct=5, octwidth=2, base_c=True): out [n_chroma, F]. Row 0 is C.
 * tuning is in fractions of a chroma bin away from A = 440 Hz. */
bl_status audio_chroma_filters(int sample_rate, int n_fft, int n_chroma, double tuning, float *out, bl_error *err);

/* ---- many features of one clip from one STFT (features.c) ---- */

enum {
    AUDIO_FEATURE_MEL       = 1 << 0,  /* melspectrogram, power 2                               */
    AUDIO_FEATURE_MEL_DB    = 1 << 1,  /* power_to_db of it                                     */
    AUDIO_FEATURE_MFCC      = 1 << 2,  /* DCT-II, ortho, of it                                  */
    AUDIO_FEATURE_CHROMA    = 1 << 3,  /* chroma_stft, each frame's largest value is 1          */
    AUDIO_FEATURE_CENTROID  = 1 << 4,  /* spectral_centroid, Hz                                 */
    AUDIO_FEATURE_BANDWIDTH = 1 << 5,  /* spectral_bandwidth, p = 2, Hz                         */
    AUDIO_FEATURE_ROLLOFF   = 1 << 6,  /* spectral_rolloff, Hz                                  */
    AUDIO_FEATURE_FLATNESS  = 1 << 7,  /* spectral_flatness, 0..1                               */
    AUDIO_FEATURE_CONTRAST  = 1 << 8,  /* spectral_contrast, 7 bands from 200 Hz, dB            */
    AUDIO_FEATURE_RMS       = 1 << 9,  /* rms of the frame's samples                            */
    AUDIO_FEATURE_ZCR       = 1 << 10, /* zero_crossing_rate, crossings per sample              */
    AUDIO_FEATURE_ONSET     = 1 << 11, /* onset_strength: mean over bands of the rise of mel_db */
    AUDIO_FEATURE_MAGNITUDE = 1 << 12, /* |X|                                                   */
    AUDIO_FEATURE_ALL       = (1 << 12) - 1 /* all but the magnitudes                           */
};

enum { AUDIO_CONTRAST_BANDS = 7 };

typedef struct audio_feature_config {
    int             sample_rate;
    int             n_fft;          /* 0: 2048                            */
    int             hop_length;     /* 0: n_fft/4                         */
    int             n_mels;         /* 0: 128                             */
    double          fmin_hz;
    double          fmax_hz;        /* 0: sample_rate/2                   */
    audio_mel_scale mel_scale;
    int             n_mfcc;         /* 0: 20                              */
    int             n_chroma;       /* 0: 12                              */
    double          tuning;         /* fractions of a chroma bin          */
    double          roll_percent;   /* 0: 0.85                            */
    double          top_db;         /* decibels are cut so far below the clip's loudest value; 0: 80, below 0: not at all */
    unsigned        which;          /* AUDIO_FEATURE_*; 0: ALL            */
} audio_feature_config;

/* The result; what was not asked for is NULL. Release with audio_features_free. */
typedef struct audio_features {
    int64_t n_frames;                                        /* T */
    int     n_bins, n_mels, n_mfcc, n_chroma;
    float  *mel, *mel_db;                                    /* [n_mels, T]               */
    float  *mfcc;                                            /* [n_mfcc, T]               */
    float  *chroma;                                          /* [n_chroma, T]             */
    float  *contrast;                                        /* [AUDIO_CONTRAST_BANDS, T] */
    float  *magnitude;                                       /* [n_bins, T]               */
    float  *centroid, *bandwidth, *rolloff, *flatness;       /* [T]                       */
    float  *rms, *zcr, *onset;                               /* [T]                       */
    float  *memory;                                          /* the one block behind them */
} audio_features;

/* As in librosa, onset[t] is the rise between the frames n_fft/(2*hop_length) + 1 earlier and the one after
 * it (its center compensation), so a peak of onset lies at the attack and not before it.
 *
 * Unlike librosa's, spectral contrast works at any rate: its bands (edges 200 * 2^0..6 Hz) that lie above
 * sample_rate/2, or hold no bin, are 0. onset_strength uses the configured mel bands.
 *
 * Spectra are computed in double, so that bands 100 dB below the loudest are right, too.
 *
 * Errors   _new: BL_EARG (names the value), BL_ENOMEM.
 *          _run: BL_EARG when n_samples < 1, BL_ENOMEM; then out is zeroed.
 * Memory   _new returns a plan; release with _free. _run fills out, overwriting it (release an old one first).
 * Cost     60 s at 44100 Hz: all features 0.07 s on one core, mel, MFCC or chroma alone 0.03 s. */
typedef struct audio_feature_plan audio_feature_plan;
audio_feature_plan *audio_feature_plan_new(const audio_feature_config *config, bl_error *err);
void                audio_feature_plan_free(audio_feature_plan *plan);
bl_status           audio_feature_plan_run(audio_feature_plan *plan, const float *x, int64_t n_samples,
                                           audio_features *out, bl_error *err);
void                audio_features_free(audio_features *features);

/* The same for a signal that comes in pieces of any length and may be longer than memory: push a piece, pull the frames that
 * are complete; the pieces that were pulled, put side by side, equal audio_feature_plan_run on the whole, bit for bit.
 *
 *     while (a piece is read)  { push(plan, piece, n, is_last);  pull(plan, &frames);  use them;  audio_features_free(&frames); }
 *
 * Options  Nobody knows the loudest value of a clip before its end: mel_db, mfcc, onset and contrast need top_db < 0.
 * Errors   push: BL_EARG when top_db is not as above, when the signal has ended (_reset begins another), or n_samples < 0;
 *          BL_ENOMEM. pull: BL_ENOMEM; then out is zeroed.
 * Memory   push copies the piece. pull fills out, overwriting it; n_frames may be 0. Between the two the plan holds what no
 *          frame has taken yet: less than n_fft samples and the last piece. _run ends a stream as _reset does. */
bl_status audio_feature_plan_push(audio_feature_plan *plan, const float *x, int64_t n_samples, int is_last, bl_error *err);
bl_status audio_feature_plan_pull(audio_feature_plan *plan, audio_features *out, bl_error *err);
void      audio_feature_plan_reset(audio_feature_plan *plan);

/* ---- of one frame's magnitudes (spectral.c) ----
 * magnitude [F]; bin f lies at f*bin_hz. Silent frames give 0 (flatness: 1). */
double audio_spectral_centroid(const float *magnitude, int n_bins, double bin_hz);
double audio_spectral_bandwidth(const float *magnitude, int n_bins, double bin_hz, double centroid_hz);
double audio_spectral_rolloff(const float *magnitude, int n_bins, double bin_hz, double roll_percent);
double audio_spectral_flatness(const float *magnitude, int n_bins);

/* mel_db [n_mels, T] -> out [T]; shift is n_fft/(2*hop_length) for librosa's onset_strength. */
void audio_onset_strength(const float *mel_db, int n_mels, int64_t n_frames, int64_t shift, float *out);

#endif
