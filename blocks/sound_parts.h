/* A recording as a sum of small parts: one spectrum each, sounding with a varying strength. The segmenter
 * clusters these parts into instruments.
 *
 *     |X|[f,t]^2 = harmonic + percussive share (median filters along time and along frequency), and each
 *     |X| share[f,t]  ~  sum over r of  W[f,r] H[r,t]          W, H >= 0
 *
 * by multiplicative updates that lower the Kullback-Leibler divergence. A part is a note, a chord, or a drum.
 *
 * Shapes   x [n_samples]; F = n_fft/2 + 1 bins, T frames of hop n_fft/4; n_fft is the power of two nearest to
 *          93 ms. W [F, R], columns sum to 1; H [R, T]; the first n_harmonic parts are those of the harmonic share.
 * Errors   BL_EARG: fewer than 4 frames, or no parts asked for; BL_ENOMEM.
 * Memory   blocks_parts_new fills a zeroed struct; release with blocks_parts_free.
 * Threads  The same bits at any thread count.
 * Cost     8 F T R flops an iteration.
 * Source   Lee & Seung, "Algorithms for non-negative matrix factorization", NIPS 2000; FitzGerald, "Harmonic/percussive
 *          separation using median filtering", DAFx 2010; clustering of such parts by timbre: Spiertz & Gnann,
 *          "Source-filter based clustering for monaural blind source separation", DAFx 2009.
 * Tested   tests/blocks/test_segmenter.c
 */
#ifndef BL_BLOCKS_SOUND_PARTS_H
#define BL_BLOCKS_SOUND_PARTS_H

#include "audio/stft.h"
#include "base/real.h"

#include <stdint.h>

typedef struct blocks_parts_options {
    int      n_harmonic, n_percussive; /* parts; 0 means 32 and 8 */
    int      iterations;               /* 0 means 60              */
    int      median_length;            /* of both filters; 0: 31  */
    uint64_t seed;
} blocks_parts_options;

typedef struct blocks_parts {
    int     n_fft, n_bins, n_parts, n_harmonic, sample_rate;
    int64_t n_frames;
    real   *W, *H;
} blocks_parts;

int       blocks_parts_n_fft(int sample_rate);
bl_status blocks_parts_new(blocks_parts *p, const float *x, int64_t n_samples, int sample_rate,
                           const blocks_parts_options *options, bl_error *err);
void      blocks_parts_free(blocks_parts *p);

/* Shares of magnitude [F, T] in 0..1 that are harmonic, out [F, T]; the rest is percussive. */
bl_status blocks_harmonic_share(const float *magnitude, int n_bins, int64_t n_frames, int median_length, float *out,
                                bl_error *err);

/* Soft masks of groups of parts: mask[g,f,t] = share of group g in the model's power, harmonic and percussive shares
 * apart. They sum to 1 over g.
 * group [n_parts] 0 .. n_groups-1; harmonic [F, T] from blocks_harmonic_share; masks [n_groups, F, T]. */
bl_status blocks_parts_masks(const blocks_parts *p, const int *group, int n_groups, const float *harmonic, float *masks,
                             bl_error *err);

/* What a part sounds like: timbre of its spectrum, shape of its strength over time. */
enum { BLOCKS_PART_MELS = 40, BLOCKS_PART_FEATURES = 27 };

typedef struct blocks_part_row {
    float  features[BLOCKS_PART_FEATURES];
    float  log_mel[BLOCKS_PART_MELS]; /* of its spectrum, dB, the largest 0, not below -80; 30 Hz .. 8 kHz */
    double energy;                    /* sum of its power                                                  */
    double pitch;                     /* MIDI number that explains its spectrum best                       */
} blocks_part_row;

const char *blocks_part_feature_name(int i);

/* rows [n_parts]. */
bl_status blocks_parts_describe(const blocks_parts *p, blocks_part_row *rows, bl_error *err);

#endif
