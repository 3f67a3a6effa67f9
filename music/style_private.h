/* The inside of a style, shared by the arranger's files. docs/arranging.md explains each key.
 *
 *   style.c          the file's head and its instruments
 *   style_pattern.c  its patterns
 */
#ifndef BL_MUSIC_STYLE_PRIVATE_H
#define BL_MUSIC_STYLE_PRIVATE_H

#include "base/config.h"
#include "music/instrument.h"
#include "music/style.h"

enum { STYLE_NAME = 32, STYLE_LEVELS = 3, STYLE_CHOICES = 12, STYLE_MAX_STEPS = 256, STYLE_MAX_ROWS = 12, STYLE_EVERY = 3 };

typedef enum style_kind { STYLE_DRUMS, STYLE_BASS, STYLE_CHORDS, STYLE_LINE } style_kind;

/* Tones that a part may use beside those of the sounding chord, when they lead on by step. */
typedef enum style_passing { STYLE_NONE, STYLE_DIATONIC, STYLE_CHROMATIC } style_passing;

/* How a chord is laid out. Guitars: all strings, three neighbouring ones of the upper four, or the sixth or fifth with the fourth and
 * third. Keys: as it leads best, within an octave, wider than one, three voices, or root, third and seventh. */
typedef enum style_voicing { STYLE_FULL, STYLE_CLOSE, STYLE_OPEN, STYLE_TRIAD, STYLE_SHELL } style_voicing;

typedef struct style_choice {
    int pattern[STYLE_CHOICES], n; /* none: silent */
} style_choice;

/* One row of a pattern: a cell per step, '.' where nothing new happens. */
typedef struct style_row {
    int  drum; /* General MIDI key, drums only */
    char cells[STYLE_MAX_STEPS + 1];
} style_row;

typedef struct style_pattern {
    char       name[STYLE_NAME];
    style_kind kind;
    int        steps; /* per beat, 1..4                                  */
    int        beats; /* per bar                                         */
    int        bars;
    int        ring;  /* arpeggios: notes last until their chord ends    */
    int        tie;   /* tones common to two chords are not struck again */
    double     gate;  /* share of the time to the next onset that sounds */
    style_row  rows[STYLE_MAX_ROWS];
    int        n_rows;
    style_row  accent; /* digits; empty where the meter decides           */
    style_row  left;   /* the left hand of a chord pattern, in symbols of a bass; empty: none */
    style_choice every[STYLE_EVERY]; /* drums: what stands for it in every 2nd, 4th, 8th bar of a section */
    int        meter;  /* drum fills: beats of the bars they are for, 0: any */
} style_pattern;

typedef struct style_part {
    const music_instrument *instrument;
    style_kind              role;
    style_choice            level[STYLE_LEVELS];
    style_choice            alone; /* where the singer is silent for a section; none: as elsewhere */
    style_choice            turns; /* the last bar of a section, and before the last chord         */
    style_choice            fills; /* drums: before a section; others: where the singer rests */
    char                    group[STYLE_NAME]; /* parts of one group choose alike; the instrument's name where none is given */
    int                     varies; /* bars after which another pattern is chosen; 0: one for a section */
    int                     enters; /* 0 at once, 1 in the course of the first sung section, 2 after it */
    int                     lowest, highest, voices, velocity_low, velocity_high, kit, program;
    int                     left_low, left_high; /* register of the left hand, 0 for none */
    style_voicing           voicing;
    int                     rootless; /* 1: leaves the root to the bass */
    double                  delay_ms, strum_ms;
} style_part;

struct music_style {
    char           genre[STYLE_NAME];
    double         swing;       /* where the second half of the swung unit lies: 0.5 straight   */
    int            swing_sixteenths; /* 1: the sixteenths of an eighth swing, 0: the eighths of a beat */
    double         humanize_ms; /* largest random deviation                                     */
    double         stroke_gap_s; /* strokes of one instrument are no nearer                      */
    int            section_bars;
    style_passing  passing;
    int            blues;       /* lines are at home on the tonic's blues scale                 */
    int            short_end;   /* the last chord is cut off, not held                          */
    int            stop_before_last; /* the bar before the last chorus: a stroke, then silence  */
    char           drummer[STYLE_NAME]; /* the manner of music/drummer.h                        */
    double         feel;        /* how far the drummer's own velocities and timing go           */
    int            crash_drum, end_drums[4], n_end_drums, hold_drums[4], n_hold_drums;
    style_pattern *patterns;
    int            n_patterns;
    style_part    *parts;
    int            n_parts;
};

/* NULL when the style has none for the instrument. */
const style_part *style_find_part(const music_style *style, const music_instrument *instrument);

/* ---- reading ---- */

typedef struct style_loader {
    const bl_config *config;
    music_style     *style;
    bl_error        *err;
} style_loader;

extern const char *const style_kinds[];

/* "FILE line N: [SECTION] KEY: WHAT DETAIL" */
bl_status style_bad(const style_loader *l, const bl_config_entry *e, const char *what, const char *detail);
/* General MIDI key of a drum's name, -1 when there is none. */
int       style_find_drum(const char *name);
/* Index, -1 when there is none. */
int       style_find_pattern(const music_style *style, const char *name);
bl_status style_read_pattern(const style_loader *l, const char *section);

#endif
