/* The tones of a dataset as a table: a row of measured features, what it is, and which recording it is of.
 *
 * Rows      One per tone of data_tones that can be measured; of tones of one stem that begin within 20 ms of each
 *           other (a chord) only the first, since they sound as one. At most max_per_instrument rows of an
 *           instrument, spread evenly over its recordings.
 * Recording Tones of one song, or one NSynth instrument, belong together. Loose files of single notes are
 *           one recording when their instrument and the first word of their names agree
 *           ("splendid_A3_ff", "splendid_C4_ff").
 * Source    The first folder below the dataset: a library, a sound font, a studio. What has been recorded together.
 * Copies    Of every tone `copies` rows more, of the tone in another room and through another microphone
 *           (blocks/tone_augment.h). They are learned from, never tested.
 * Held out  What the dataset calls its validation side. Loose files: a fifth of the recordings of every
 *           instrument, never single notes of a recording. An instrument with one recording is learned,
 *           and never tested.
 * Errors    BL_EFORMAT: not one tone could be measured; BL_ESTOP: interrupted (the table then holds what is
 *           finished; blocks_tone_table_measure goes on from there); BL_ENOMEM.
 * Memory    Fills a zeroed struct; release with blocks_tone_table_free. Nothing is borrowed once it returns.
 * Threads   Tones are measured in parallel; rows are in the order of the tones.
 */
#ifndef BL_BLOCKS_TONE_TABLE_H
#define BL_BLOCKS_TONE_TABLE_H

#include "blocks/tone_features.h"
#include "data/instruments.h"
#include "data/tones.h"

typedef struct blocks_tone_table {
    int64_t  n;
    float   *features;    /* [n, BLOCKS_TONE_FEATURES]                                 */
    int64_t *tone;        /* [n] index into the tones                                  */
    int     *instrument;  /* [n] id of data/instruments.h                              */
    int     *pitch;       /* [n] MIDI number, GM key of a drum hit                     */
    int     *recording;   /* [n]                                                       */
    int     *source;      /* [n] index into source_name                                */
    unsigned char *copy;  /* [n] 0 the tone itself, 1.. its varied copies              */
    char   (*source_name)[64]; /* [n_sources] first folder below the dataset, "" for files in it itself */
    int      n_sources;
    unsigned char *held_out, *measured; /* [n]; measured: 0 not yet, 1 done, 2 cannot be */
    uint64_t fingerprint; /* of the audio and the labels                               */
} blocks_tone_table;

/* Chooses the rows. Next comes blocks_tone_table_measure. */
bl_status blocks_tone_table_new(blocks_tone_table *table, const data_dataset *dataset, const data_tones *tones,
                                int max_per_instrument, int copies, uint64_t seed, bl_error *err);

/* Measures the rows not measured yet, then drops those that cannot be. tones: those the table was made of. */
bl_status blocks_tone_table_measure(blocks_tone_table *table, const data_tones *tones, int quiet, bl_error *err);
void      blocks_tone_table_free(blocks_tone_table *table);

#endif
