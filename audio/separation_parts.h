/* What audio_separate_melody, audio_hpss and audio_judge_input share; not for other modules.
 *
 * Shapes   spectrograms [F, T], T contiguous; F = n_fft/2 + 1, or the lower bins of them
 * Source   see audio/separation.h
 */
#ifndef BL_AUDIO_SEPARATION_PARTS_H
#define BL_AUDIO_SEPARATION_PARTS_H

#include "audio/clip.h"

typedef struct audio_parts {
    int     n_fft, hop, sample_rate, bins;
    int64_t frames;
    float  *magnitude;  /* [F, T] mean over the channels                                        */
    float  *steady;     /* [F, T] median along time: what does not move                         */
    float  *percussive; /* [F, T] median along frequency                                        */
    float  *repeating;  /* [F, T] REPET-SIM's background, never above magnitude                 */
    float  *centre;     /* [F, T] 1 where both channels are alike, 0 at the sides; 1 without stereo */
    float  *f0_hz;      /* [T] predominant melody, 0 where there is none                        */
    float  *salience;   /* [T] its strength: share of the foreground's energy on its harmonics  */
} audio_parts;

/* Window of about 93 ms, hop of a quarter. */
int audio_parts_n_fft(int sample_rate);

/* magnitude must be filled. The medians of HPSS: along time, over steady_s; along frequency. */
bl_status audio_parts_steady(audio_parts *p, double steady_s, bl_error *err);
bl_status audio_parts_percussive(audio_parts *p, bl_error *err);
/* magnitude must be filled; the melody also wants percussive and repeating. */
bl_status audio_parts_repeating(audio_parts *p, bl_error *err);
bl_status audio_parts_melody(audio_parts *p, bl_error *err);

/* Zeroed arrays for a signal of n_samples; release with audio_parts_free. */
bl_status audio_parts_new(audio_parts *p, int sample_rate, int64_t n_samples, bl_error *err);
bl_status audio_parts_new_as(audio_parts *p, int sample_rate, int n_fft, int hop, int bins, int64_t frames, bl_error *err);
void      audio_parts_free(audio_parts *p);

/* Magnitudes of samples [first, first + n) of a clip, averaged over channels; spectra, where not NULL,
 * receives every channel's transform [n_channels][n_fft/2 + 1, T] pairs, all bins even where p has the lower ones only. */
bl_status audio_parts_transform(audio_parts *p, const audio_clip *clip, int64_t first, int64_t n, float **spectra,
                                bl_error *err);

#endif
