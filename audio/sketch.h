/* What a picture of a recording is drawn from, small enough to keep for an hour (19 MB): fifty times a second the waveform's
 * extremes and a spectrum on a musical scale. The signal comes in pieces of any length and is not kept.
 *
 *     audio_sketch *s = audio_sketch_new(22050, &err);
 *     while (a piece is read)  audio_sketch_push(s, piece, n, &err);
 *     audio_sketch_finish(s, &err);
 *     ... s->level[t * AUDIO_SKETCH_BANDS + b] ...
 *
 * Shapes   low, high [n_columns]; level [n_columns, AUDIO_SKETCH_BANDS]
 * Units    column t covers hop_s from t * hop_s on. Band b lies at 55 * 2^(b/12) Hz; level 0 .. 255: -102 dBFS or less up to
 *          0 dBFS (a sine at full scale), in steps of 0.4 dB. Bands above half the rate are 0.
 * Errors   _new: BL_EARG: a rate below 1000 Hz; BL_ENOMEM. _push, _finish: BL_ENOMEM.
 * Memory   _new returns; release with audio_sketch_free (NULL allowed). Beside the result less than a second of signal.
 * Cost     2.5 ms for a second at 22,050 Hz
 * Tested   tests/audio/test_sketch.c
 */
#ifndef BL_AUDIO_SKETCH_H
#define BL_AUDIO_SKETCH_H

#include "base/error.h"

#include <stdint.h>

enum { AUDIO_SKETCH_BANDS = 96 };

typedef struct audio_sketch_stream audio_sketch_stream;

typedef struct audio_sketch {
    int64_t        n_columns;
    double         hop_s;
    float         *low, *high;
    unsigned char *level;
    audio_sketch_stream *stream;
} audio_sketch;

audio_sketch *audio_sketch_new(int sample_rate, bl_error *err);
bl_status     audio_sketch_push(audio_sketch *s, const float *x, int64_t n_samples, bl_error *err);
bl_status     audio_sketch_finish(audio_sketch *s, bl_error *err);
void          audio_sketch_free(audio_sketch *s);

double        audio_sketch_hz(double band);
double        audio_sketch_band(double hz);

#endif
