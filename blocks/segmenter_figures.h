/* What the segmenter is worth on a song whose stems are known.
 *
 * Figures   Scale-invariant signal-to-distortion ratio of the tracks against the stems minus that of the mixture (the sum of the
 *           audible stems). Tracks go to stems one to one, so that the sum is greatest; a stem without a track, or whose track
 *           is worse than the mixture, counts 0. Beside it, by the same rule: the two tracks of harmonic/percussive separation, and
 *           ideal ratio masks of the true stems (the ceiling of masking).
 * Source    Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019.
 * Tested    tests/blocks/test_segmenter.c
 */
#ifndef BL_BLOCKS_SEGMENTER_FIGURES_H
#define BL_BLOCKS_SEGMENTER_FIGURES_H

#include "blocks/segmenter.h"
#include "data/dataset.h"

typedef struct blocks_segmenter_figures {
    int    n_stems, n_tracks;
    double tracks_db, hpss_db, ideal_masks_db; /* mean improvement over the stems */
} blocks_segmenter_figures;

/* The first seconds of a song at BLOCKS_REGIONS_RATE; n_stems 0 when it has fewer than two stems that are heard. */
bl_status blocks_segmenter_evaluate(blocks_segmenter *s, data_dataset *dataset, int song, double seconds,
                                    blocks_segmenter_figures *f, bl_error *err);

/* 10 log10(|a s|^2 / |y - a s|^2), a s the projection of y on s; s, y [n]. -100 at least, 100 at most. */
double blocks_si_sdr(const float *reference, const float *estimate, int64_t n);

#endif
