/* The arranger's own types: the plan of a song (bars, sections, chords, room for fills), and what its files share.
 *
 *   arrange_plan.c     beats to bars, bars to sections and levels, gaps of the singer
 *   arrange_voicing.c  chords to pitches: keyboard voicings, guitar shapes
 *   arrange_chords.c   strummed, struck, plucked and held chords; bass lines
 *   arrange_lines.c    melodic instruments: support while the singer sings, fills where not
 *   arrange_drums.c    grooves, fills, crashes
 *   arrange_finish.c   enforces the promises of arrange.h on a track
 */
#ifndef BL_MUSIC_ARRANGE_PRIVATE_H
#define BL_MUSIC_ARRANGE_PRIVATE_H

#include "base/rng.h"
#include "music/arrange.h"
#include "music/style_private.h"

typedef enum bar_mode {
    BAR_SILENT, /* outside the intervals, before the start, after the end             */
    BAR_HOLD,   /* one held chord: beats not steady, or an interval ends here         */
    BAR_PLAY,
    BAR_END     /* the last chord                                                     */
} bar_mode;

typedef struct plan_bar {
    int      first_beat, n_beats;
    double   start_s, end_s;
    bar_mode mode;
    int      section;   /* index                                                      */
    int      in_section; /* bars since the section's start                            */
    double   intensity; /* 0..1                                                       */
} plan_bar;

typedef struct plan_section {
    int    first_bar, n_bars;
    int    label;     /* sections that are alike share one                            */
    int    level;     /* 0..STYLE_LEVELS-1                                            */
    double energy, sung; /* sung: share of time                                       */
    char   name[32];
} plan_section;

typedef struct plan_span {
    double      start_s, end_s;
    music_chord chord;
    unsigned    classes;
} plan_span;

/* A stretch without singing, in beats from beat 0. */
typedef struct plan_gap { double start, end; } plan_gap;

typedef struct plan {
    const music_arrange_input *in;
    const music_style *style;
    double        *beat;   int n_beats;  /* the last ones may be extrapolated          */
    double         period_s;             /* median beat                                */
    plan_bar      *bars;   int n_bars;
    plan_section  *sections; int n_sections;
    plan_span     *spans;  int n_spans;
    plan_gap      *gaps;   int n_gaps;
    int            end_bar;              /* index of the BAR_END bar, -1: none         */
    double         end_s;                /* nothing sounds after this                  */
    unsigned       key_classes;
    int            vocal_pitch;          /* median                                     */
    int            has_bass, n_fillers;
} plan;

bl_status plan_build(plan *p, const music_arrange_input *in, bl_error *err);
void      plan_free(plan *p);

/* Seconds at a position in beats. */
double plan_time(const plan *p, double position);
/* Where step s of a beat's `steps` lies in the beat, 0..1: even grids swing, triplets stay. */
double plan_swing(const plan *p, int step, int steps);
/* Index of the chord span at a time, -1 for none or "N". */
int plan_span_at(const plan *p, double time_s);
/* The singer's pitch at a time, 0 when silent. */
int plan_sung_at(const plan *p, double time_s);
/* May a note start here, and when must it end? 0 when it may not. */
double plan_room_end(const plan *p, double time_s);

/* The pattern that a part plays in a bar, NULL for none. lower: levels to go down. */
const style_pattern *plan_pattern(const plan *p, const style_part *part, const plan_bar *bar, int lower);
/* Cell index of a beat and step. */
int plan_cell(const plan *p, const style_pattern *pattern, const plan_bar *bar, int beat, int step);
/* Velocity for an accent 1..9 in a bar. */
int plan_velocity(const plan *p, const style_part *part, const plan_bar *bar, int accent, bl_rng *rng);
/* Accent of a cell: the pattern's own, or by the meter. */
int plan_accent(const style_pattern *pattern, int cell, int beat, int step);

/* Pitches of a chord, rising. */
typedef struct voicing { int pitch[6], n, fret; } voicing;

/* Voicing of the span on a keyboard or a section of strings, near the one before (n = 0: none before). */
voicing voice_keys(const plan *p, const style_part *part, music_chord chord, const voicing *before);
/* Playable guitar shape; n = 0 when there is none (then voice_keys serves). */
voicing voice_guitar(const style_part *part, music_chord chord, const voicing *before);
/* Root, fifth, octave. */
voicing voice_power(const style_part *part, music_chord chord);

/* Fifth of a chord in semitones above its root. */
int chord_fifth(music_chord chord);
/* Pitch of the class nearest to `near` within low..high (which span an octave or more). */
int nearest_pitch(int pitch_class, int near, int low, int high);

/* A track being written, with its own random stream. skip: gaps that the part fills itself. */
typedef struct writer {
    const plan       *p;
    const style_part *part;
    music_track      *track;
    bl_rng            rng;
    int               lower;         /* levels to play below the section's           */
    int               rank;          /* 0, 1, ... among those that share the gaps; -1: fills nothing */
    bl_error         *err;
    int               failed;
    int               open[16], n_open; /* notes of track that still sound           */
} writer;

/* Starts a note and leaves it open; failures stick. A random deviation that left the room (an interval's start, the
 * song's) is taken back; a note beyond it is not written. */
void writer_start(writer *w, double onset_s, int pitch, int velocity);
/* Ends open notes at time_s, or a little before: share gate of their length so far. */
void writer_stop(writer *w, double time_s, double gate);
/* A deviation for one strike, seconds. */
double writer_jitter(writer *w);
/* 1 when the position lies in a gap that this part fills by itself. */
int writer_in_own_gap(const writer *w, double position);
int gap_is_own(const writer *w, int gap);

void arrange_chords(writer *w);
void arrange_bass(writer *w);
void arrange_drums(writer *w);
void arrange_line(writer *w);
/* The fills alone: melodic phrases in the part's own gaps. */
void arrange_fills(writer *w);

void arrange_finish(const plan *p, const style_part *part, music_track *track);

#endif
