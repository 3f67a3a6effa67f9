/* The plan of a song: everything that was heard in the input and everything the band will play. Written as the
 * report (JSON), and read back as the plan of another rendering.
 *
 *     infer_plan plan = { 0 };
 *     if (infer_plan_read("song.json", &plan, &err) != BL_OK) ...     // what the file holds is in plan.has
 *     ...
 *     infer_plan_write("song.json", &plan, &err);
 *     infer_plan_free(&plan);
 *
 * JSON      song, tempo, beats, downbeats, key, chords, melody, genre, instruments, notes, loudness, stages, seconds,
 *           peak_rss_mb as docs/inference.md lists them; beside them input, meter, tuning, sections, phrases, heard,
 *           confidence, intervals, existing, seed, levels and made_from. Unknown keys are ignored. What is not in plan.has is
 *           written as null.
 * Obeying   A key that is present is obeyed, one that is missing (or null) is worked out afresh. made_from holds a
 *           fingerprint of every part as backline wrote it, so an edited part is recognised: what was derived from it
 *           and was not edited itself is out of date and is dropped on reading, as if it had been deleted:
 *               tempo -> beats, downbeats -> chords, notes     key, melody -> chords, notes     chords -> notes
 *               meter -> downbeats -> chords, notes            genre, intervals, sections, seed -> notes
 *               downbeats -> sections                          melody -> sections, phrases
 *               all of these but chords -> levels
 *           Without made_from everything present is taken as it stands.
 * Notes     are renewed bar by bar. An edited chord renews the bars in which it differs from what the notes were made for; an edit of
 *           what all notes follow from (key, genre, seed, sections, intervals) renews every bar, and of beats the notes as a whole.
 *           A bar of an instrument in which somebody has edited notes, or deleted some, is played as it stands; only beats
 *           that move outrank that, unless notes were edited after them. All notes of a MIDI file (infer/from_midi.h) are such.
 * Sheet     chords may also be a text (music/chord_sheet.h), in the JSON or a file: laid over the bars once these are known.
 * Units     Seconds, rounded to 10 us (so that a plan survives being written and read); MIDI numbers; velocity 1..127;
 *           LUFS and dBTP.
 * Errors    Reading: BL_EIO, BL_EFORMAT: not JSON (with line and column), or a value that cannot be, named by its line and place
 *           ("song.json line 12: notes[3].pitch: expected a whole number from 0 to 127, got \"C4\""). The plan is then zeroed.
 * Memory    Reading fills a zeroed plan; release with infer_plan_free, which leaves a zeroed one.
 * Tested    tests/infer/test_plan.c, tests/infer/test_edits.c
 */
#ifndef BL_INFER_PLAN_H
#define BL_INFER_PLAN_H

#include "music/arrange.h"
#include "music/chord_sheet.h"
#include "music/score.h"

#include <stdint.h>

enum {
    INFER_HAS_TEMPO = 1 << 0,
    INFER_HAS_BEATS = 1 << 1,
    INFER_HAS_DOWNBEATS = 1 << 2,
    INFER_HAS_METER = 1 << 3,
    INFER_HAS_KEY = 1 << 4,
    INFER_HAS_CHORDS = 1 << 5,
    INFER_HAS_MELODY = 1 << 6,
    INFER_HAS_GENRE = 1 << 7,
    INFER_HAS_INSTRUMENTS = 1 << 8,
    INFER_HAS_NOTES = 1 << 9,
    INFER_HAS_INTERVALS = 1 << 10,
    INFER_HAS_SEED = 1 << 11,
    INFER_HAS_EXISTING = 1 << 12,
    INFER_HAS_INPUT = 1 << 13,
    INFER_HAS_SECTIONS = 1 << 14,
    INFER_HAS_PHRASES = 1 << 15,
    INFER_HAS_LEVELS = 1 << 16
};

enum { INFER_MAX_INSTRUMENTS = 32, INFER_MAX_STAGES = 32, INFER_MAX_INTERVALS = 64 };

typedef struct infer_instrument {
    char name[64];
    int  accepted;
    char reason[256];
    char replaced_by[64]; /* "" for none */
    /* what the validator knows of it (data/validator.h); threshold 0: not asked */
    double probability, table, count, songs, threshold;
    double replacement_probability;
    int    forced;        /* below the threshold and accepted because the user says so */
} infer_instrument;

/* A part of the song's form. Sections of one label are the same music. */
typedef struct infer_section {
    double start_s, end_s;
    char   label[32]; /* "A", or what a plan calls it                          */
    char   name[32];  /* "verse", ...: how it was arranged; "" before that     */
} infer_section;

/* An instrument in the recording. */
typedef struct infer_heard {
    char   name[64];
    double probability;
} infer_heard;

/* How sure the analysis is, 0..1, of what it found out itself; NAN where it was told, or did not look. */
typedef struct infer_confidence {
    double input, tempo, meter, key, genre;
    double other_bpm; /* half or double the tempo when it is the next best reading; 0: none */
} infer_confidence;

/* How loud an instrument was before it was brought to its place in the mix. Kept, so that an edit of one bar leaves the level of the
 * others alone; deleted, it is measured again. */
typedef struct infer_level {
    char   instrument[64];
    double loudness_lufs; /* of its stem, where it stands in the room           */
    double phrase;        /* of its tones, to the temporal model (log)          */
} infer_level;

typedef struct infer_stage {
    char   name[32];
    double seconds;
} infer_stage;

/* Where the notes of a plan that was read come from, so that an edit renews no more than it must. */
typedef struct infer_origin {
    int made;                 /* backline wrote the plan: it has a made_from                       */
    int known;                /* the rest is there; else the notes stand as they are               */
    int given;                /* by a MIDI file: to be written as somebody's, which no edit renews  */
    int stale;                /* what nobody has edited is out of date                             */
    music_chord_span *chords; int n_chords;       /* that the notes were made for                  */
    unsigned char *by_hand;   /* [n_tracks, n_bars], tracks as in the score: edited by somebody    */
    int n_tracks, n_bars;     /* bar 0 is the time before the first downbeat                       */
} infer_origin;

typedef struct infer_plan {
    unsigned has;

    char  *path;              /* of the song, malloc'ed; NULL unknown                 */
    double duration_s;
    double least_s;           /* the JSON's "at_least": a shorter recording gets silence behind it, for a band that plays on; 0: none */
    int    sample_rate, n_channels;

    char   input[16];         /* "vocal", "song", "instrumental"                      */
    infer_confidence confidence;

    double tempo_bpm;
    double *beats_s;     int n_beats;
    double *downbeats_s; int n_downbeats;
    int    beats_per_bar;     /* the JSON's "meter"                                   */
    char   key[16];           /* "A minor"                                            */
    music_chord_span *chords; int n_chords;
    music_note *melody;       int n_melody;
    double tuning_cents;      /* of the singer against 440 Hz                         */
    infer_section *sections;  int n_sections; /* rising, not overlapping              */
    music_interval *phrases;  int n_phrases;  /* of the singer; between them: rests   */
    infer_heard heard[INFER_MAX_INSTRUMENTS]; int n_heard;

    char   genre[64];
    double genre_probability;
    int    genre_given;
    /* The genre whose instruments, chords and sounds are taken: genre, or what it is like where that is not known (infer/genre.h);
     * "" before it is looked up, and for sounds that know no genres. */
    char   genre_band[64], genre_chords[64], genre_sounds[64];

    infer_instrument instruments[INFER_MAX_INSTRUMENTS];
    int    n_instruments;

    music_score score;        /* tracks: the notes of each instrument; markers: sections */
    infer_origin origin;      /* of these notes                                       */
    music_chord_sheet sheet;  /* chords that are not laid over the bars yet; no bars: none */
    int    n_sheet_bars, n_song_bars; /* of a sheet that was laid; 0: none            */

    music_interval intervals[INFER_MAX_INTERVALS];
    int    n_intervals;
    int    keep_existing;
    int64_t seed;

    double vocal_lufs, mix_lufs, true_peak_dbtp;
    infer_level levels[INFER_MAX_INSTRUMENTS]; int n_levels;
    double sum_lufs, sum_dbtp; /* of voice and band together, from which the song's gain follows; NAN: not measured */

    infer_stage stages[INFER_MAX_STAGES];
    int    n_stages;
    double seconds, peak_rss_mb;
} infer_plan;

bl_status infer_plan_read(const char *path, infer_plan *plan, bl_error *err);
bl_status infer_plan_parse(const char *text, const char *name, infer_plan *plan, bl_error *err);
void      infer_plan_free(infer_plan *plan);

/* The level of an instrument in the plan; NULL: none. */
infer_level *infer_plan_level(infer_plan *plan, const char *instrument);

/* An empty plan: nothing in it, no confidence in anything. A zeroed one is as good where confidence is not asked for. */
void      infer_plan_init(infer_plan *plan);

/* Atomic. _text returns malloc'ed JSON, NULL with BL_ENOMEM; release with free. */
bl_status infer_plan_write(const char *path, const infer_plan *plan, bl_error *err);
char     *infer_plan_text(const infer_plan *plan, bl_error *err);

/* Takes parts out of the plan, so that they are worked out afresh. */
void infer_plan_forget(infer_plan *plan, unsigned what);

/* An option of the command line has set these parts: what follows from them is out of date, as after editing the file. */
void infer_plan_edited(infer_plan *plan, unsigned edited);

/* A chord sheet into the plan, to be laid when its bars are known; its chords outrank those that the plan has. */
bl_status infer_plan_read_sheet(infer_plan *plan, const char *path, bl_error *err);
bl_status infer_plan_lay_sheet(infer_plan *plan, bl_error *err);
/* The plan's chords and sections as a chord sheet: malloc'ed text, NULL on failure. */
char     *infer_plan_sheet_text(const infer_plan *plan, bl_error *err);

/* What an instrument plays when some bars of the plan's notes for it are out of date: fresh, newly arranged, becomes the plan's
 * notes with those bars taken from fresh. As it is when the plan has no notes for the instrument. Where old and new
 * meet, no pitch (of an instrument with one voice: no note) sounds into the next, and what is held into another
 * chord that it does not belong to ends there. */
bl_status infer_plan_merge(infer_plan *plan, const char *instrument, int one_voice, music_track *fresh, bl_error *err);

/* 1: somebody has edited notes. */
int       infer_plan_any_by_hand(const infer_plan *plan);
void      infer_origin_free(infer_origin *origin);

/* Rounds every time of the plan to 10 us, as it will be written. */
void infer_plan_round(infer_plan *plan);

/* The track of an instrument in plan->score, NULL when it has none. */
music_track *infer_plan_track(const infer_plan *plan, const char *instrument);

/* Adds to plan->instruments: BL_EARG when there are too many. replaced_by may be NULL. */
bl_status infer_plan_add_instrument(infer_plan *plan, const char *name, int accepted, const char *reason,
                                    const char *replaced_by, bl_error *err);

/* What entry i plays as: its name when accepted, else replaced_by. NULL when it plays nothing, or when an earlier entry
 * plays the same. */
const char *infer_plan_plays(const infer_plan *plan, int i);

#endif
