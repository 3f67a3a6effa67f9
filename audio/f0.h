/* Fundamental frequency of a single voice, with voicing: probabilistic YIN.
 *
 *     d[t,k] = sum over n of (x[n] - x[n+k])^2          difference function, by FFT
 *     c[t,k] = d[t,k] * k / (d[t,1] + ... + d[t,k])     cumulative mean normalised difference
 *
 * Every dip of c is a pitch candidate; its probability is the share of a prior over YIN thresholds
 * (a mixture of beta distributions) under which YIN would choose it. A hidden Markov model over pitch
 * bins, each voiced or unvoiced, then finds the smoothest likely path (Viterbi); the pitch reported is
 * the candidate nearest to the path's bin, refined by parabolic interpolation. Before the search a first-order
 * low-pass at 1 kHz takes from noise more than from voices. Every frame is looked at twice, whole and between 200 and
 * 600 Hz, where bass and drums behind a voice are weak, and a second path through the candidates knows the range of the
 * pitches on the first.
 *
 * Shapes   x [n_samples], one channel; every output array [n_frames], n_frames = n_samples/hop + 1
 * Units    hertz; frame t is centred at t * hop_s seconds; rms in full scale
 * Edges    silence is assumed outside the signal
 * Options  With no range asked for, audio_f0_run looks from 65 to 1050 Hz, and when most of what sounds lies above
 *          (whistling), once more from 400 to 4200 Hz.
 * Errors   BL_EARG: sample_rate below 4000, fmin_hz/fmax_hz not within 30 Hz .. 5000 Hz or less than
 *          an octave apart, hop_s not within 2 .. 50 ms. BL_ENOMEM.
 * Memory   audio_f0_run borrows x and fills *out; release with audio_f0_free, which also accepts a
 *          zeroed struct. Nothing is left in *out on failure.
 * Cost     60 s of audio in about 0.1 s on one core (signals are resampled to 16 kHz .. 32 kHz first).
 * Source   de Cheveigne & Kawahara, "YIN", JASA 111(4), 2002; Mauch & Dixon, "pYIN", ICASSP 2014.
 * Tested   tests/audio/test_f0.c
 */
#ifndef BL_AUDIO_F0_H
#define BL_AUDIO_F0_H

#include "base/error.h"

#include <stdint.h>

typedef struct audio_f0_config {
    double fmin_hz; /* 0: 65    */
    double fmax_hz; /* 0: 1050  */
    double hop_s;   /* 0: 0.010 */
} audio_f0_config;

typedef struct audio_f0_track {
    int64_t n_frames;
    double  hop_s;
    float  *f0_hz;   /* [n_frames] 0 where unvoiced                                        */
    float  *voiced;  /* [n_frames] probability of voice, 0..1                              */
    float  *rms;     /* [n_frames] root mean square over about 46 ms around the frame      */
    float  *guess_hz; /* [n_frames] the best pitch even where unvoiced; 0 if there is none */
    float   above;   /* share of the sounding frames with a pitch above the range: much, and f0_hz is too low by octaves */
} audio_f0_track;

bl_status audio_f0_run(const float *x, int64_t n_samples, int sample_rate, audio_f0_config config,
                       audio_f0_track *out, bl_error *err);
void      audio_f0_free(audio_f0_track *track);

/* The same for a signal that comes in pieces of any length and may be longer than memory. Push the pieces, then pull the
 * track once, at the end: which frames are silent depends on the loudest ones. The track equals audio_f0_run with the same
 * range (given, or 65 .. 1050 Hz: a stream cannot look twice), bit for bit.
 *
 * Errors   _new, _push: as above; _push: BL_EARG after a pull.
 * Memory   _new returns a stream; release with _free (NULL allowed). It keeps 40 to 60 bytes a frame (20 MB an hour) and the
 *          samples of the last piece. pull fills *out as audio_f0_run does. */
typedef struct audio_f0_stream audio_f0_stream;
audio_f0_stream *audio_f0_stream_new(int sample_rate, audio_f0_config config, bl_error *err);
void             audio_f0_stream_free(audio_f0_stream *stream);
bl_status        audio_f0_stream_push(audio_f0_stream *stream, const float *x, int64_t n_samples, bl_error *err);
bl_status        audio_f0_stream_pull(audio_f0_stream *stream, audio_f0_track *out, bl_error *err);

/* MIDI number of a frequency and back: 69 + 12 log2(hz / 440). */
double audio_hz_to_midi(double hz);
double audio_midi_to_hz(double midi);

#endif
