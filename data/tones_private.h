/* What tones.c (collecting, annotated notes) and tones_detect.c (onsets and pitch from the audio) share. */
#ifndef BL_DATA_TONES_PRIVATE_H
#define BL_DATA_TONES_PRIVATE_H

#include "data/tones.h"

/* Options with every default filled in. */
data_tones_options data_tones_defaults(const data_tones_options *options);

/* A stretch of a signal that holds one tone. */
typedef struct data_piece {
    double onset_s, end_s;   /* end_s: note-off, or where the sound has died away */
    double limit_s;          /* the next onset; samples are never taken from behind it */
    int    pitch;
    double cents;
} data_piece;

typedef struct data_pieces {
    data_piece *pieces;      /* sorted by onset */
    int         n, capacity;
    int         n_unpitched, n_too_quiet, n_too_short;
} data_pieces;

/* Notes or hits of a signal; release with free(pieces->pieces), also on failure. drums: pitch is a GM key.
 * known_pitch >= 0: the file holds that one note. name: file name, may be NULL. */
bl_status data_find_pieces(const float *x, int64_t n_samples, int sample_rate, int instrument, int known_pitch,
                           const char *name, const data_tones_options *options, data_pieces *pieces, bl_error *err);

/* Copies the samples of a piece, with faded ends; BL_OK with tone->samples NULL when it is too quiet. */
bl_status data_cut_tone(const float *x, int64_t n_samples, int sample_rate, const data_piece *piece,
                        const data_tones_options *options, data_tone *tone, bl_error *err);

#endif
