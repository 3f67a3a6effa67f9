/* Tones: one note or drum hit of one instrument, cut from a stem. What the synthesizer learns from.
 *
 * With notes beside the track (NAME.mid) a tone is a note whose overlap with the other notes of the stem is at
 * most max_overlap_s; the rest are counted as overlapping and left out. Without notes, onsets are detected and the
 * fundamental frequency of each stretch decides pitch and whether it is a note at all. A file of loose recordings
 * that holds a single note is trimmed and measured: the pitch comes from the audio, the file name only breaks ties
 * between octaves. Drum hits: the General MIDI key is the pitch (from the notes, or judged from the spectrum).
 *
 *     data_tones t;
 *     data_tones_collect(dataset, &(data_tones_options){ .sample_rate = 16000 }, &t, &err);
 *     for (int64_t i = 0; i < t.n; i++) ... t.tones[i].samples ...
 *     data_tones_free(&t);
 *
 * Shapes   samples [n_samples], mono, at options.sample_rate; sample 0 lies lead_s before the onset.
 * Units    times in seconds, pitch MIDI numbers, velocity 1..127.
 *          Onsets of hits within 30 ms of another hit of the stem are never used.
 * Edges    0.5 ms fade-in, 8 ms fade-out, so that a tone cut short by the next note ends without a click.
 * Order    By song, stem, onset. Of more than max_tones_per_instrument tones of an instrument a uniform sample is
 *          kept (reservoir sampling over songs in shuffled order), the same for the same seed.
 * Velocity of detected tones: 127 * (level / reference)^(1/2), as General MIDI has it; the reference is the 90th
 *          percentile of the levels of that instrument, which gets 100.
 * Errors   BL_EARG: an option outside its range. BL_ENOMEM. Unreadable stems go to dataset->skipped;
 *          BL_EFORMAT only when not one tone was found.
 * Memory   Borrows the dataset during the call only. data_tones_free releases everything.
 */
#ifndef BL_DATA_TONES_H
#define BL_DATA_TONES_H

#include "data/dataset.h"

typedef struct data_tone {
    float  *samples;
    int64_t n_samples;
    int     instrument;     /* id of data/instruments.h, -1 unknown                                */
    int     genre;          /* index into dataset->genres, -1 unknown                              */
    int     program;        /* General MIDI program from the notes (of drums the kit), -1 unknown   */
    int     pitch;          /* MIDI number; GM drum key                                            */
    int     velocity;
    double  level_db;       /* of the loudest 50 ms, dBFS (RMS)                                    */
    double  cents;          /* measured pitch minus `pitch`; 0 for annotated notes and drums       */
    double  duration_s;     /* note-on to note-off                                                 */
    double  onset_s;        /* position in the song                                                */
    int     song, stem;     /* indices into the dataset                                            */
    int     previous_pitch, next_pitch;  /* of the neighbours in the stem, -1 none                 */
    double  previous_gap_s, next_gap_s;  /* their note-off to this onset, this note-off to the next
                                            onset; negative: they overlap; HUGE_VAL none           */
    int     annotated;      /* 1: from notes, 0: detected                                          */
    data_split split;
} data_tone;

typedef struct data_tones_options {
    int    sample_rate;               /* 0 means 16000                                             */
    double max_seconds;               /* of one tone, release included; 0 means 2                  */
    double min_seconds;               /* shorter notes are left out; 0 means 0.04                  */
    double lead_s;                    /* kept in front of the onset                                */
    double release_s;                 /* kept after note-off where no other note begins; 0 means 0.3, negative none */
    double max_overlap_s;             /* with other notes of the stem; 0 means 0.03, negative: any */
    double min_gap_s;                 /* silence wanted between the note before and this onset; 0 none */
    double min_level_db;              /* quieter tones are left out; 0 means -55 dBFS (peak)       */
    int    max_tones_per_instrument;  /* 0 means 4000                                              */
    int    max_memory_mb;             /* 0 means 1024; collecting stops there, and says so         */
    const int *instruments;           /* only these ids; NULL all                                  */
    int    n_instruments;
    int    quiet;                     /* no progress line                                          */
    uint64_t seed;
} data_tones_options;

typedef struct data_tones {
    data_tone *tones;
    int64_t    n;
    int        sample_rate;
    int64_t    n_annotated, n_detected;
    /* Left out, and why. */
    int64_t    n_overlapping, n_too_short, n_too_quiet, n_unpitched, n_over_limit;
    int64_t    n_unlabelled;  /* stems of no known instrument                                      */
    int        n_files, n_unreadable, stopped_for_memory;
    int64_t    capacity;
} data_tones;

bl_status data_tones_collect(data_dataset *dataset, const data_tones_options *options, data_tones *tones, bl_error *err);
void      data_tones_free(data_tones *tones);

/* Tones of one mono signal [n_samples] without annotation, appended: what the above uses for loose recordings.
 * instrument -1: unknown. name: file name, a hint for the octave; may be NULL. */
bl_status data_tones_detect(const float *x, int64_t n_samples, int sample_rate, int instrument, const char *name,
                            const data_tones_options *options, data_tones *tones, bl_error *err);

/* One line: "1204 tones (drums 320, bass 210, ...), 312 left out: 280 overlapping, ...". Cut at size. */
void data_tones_describe(const data_tones *tones, char *out, size_t size);

/* MIDI number in a file name by its last note name ("A3", "ab3", "Cs4", "Db_3"; C4 = 60), or -1. */
int data_pitch_in_name(const char *name);

/* General MIDI drum key in a file name ("snare_01", "HihatOpen", "kick"), or -1. */
int data_drum_in_name(const char *name);

#endif
