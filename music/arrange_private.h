/* The arranger's own types: the plan of a song (bars, sections, chords, room for fills), and what its files share.
 *
 *   arrange_plan.c      beats to bars, chords, the singer: where what may sound
 *   arrange_sections.c  bars to sections, levels and intensities; who enters when
 *   arrange_writer.c    a track being written: strokes, gaps, the pattern of a bar
 *   arrange_voicing.c   chords to pitches: keyboard voicings, the best path through a song's
 *   arrange_guitar.c    guitar shapes
 *   arrange_chords.c    strummed, struck, plucked and held chords
 *   arrange_bass.c      bass lines and riffs
 *   arrange_lines.c     melodic instruments: support while the singer sings, fills where not
 *   arrange_drums.c     grooves, fills, crashes
 *   arrange_passing.c   which tones beside the chord's stay
 *   arrange_finish.c    enforces the promises of arrange.h on a track
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
    int      stop;      /* pitched instruments strike once and rest                   */
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
    float       fight[128]; /* how much a pitch would fight the singer: 1 within two semitones of what is sung all the time */
} plan_span;

/* A stretch without singing, in beats from beat 0. */
typedef struct plan_gap { double start, end; } plan_gap;

typedef struct plan {
    const music_arrange_input *in;
    const music_style *style;
    double        *beat;   int n_beats;  /* the last ones may be extrapolated          */
    double         period_s;             /* median beat                                */
    music_note    *sung;   int n_sung;   /* the melody, by onset                       */
    plan_bar      *bars;   int n_bars;
    plan_section  *sections; int n_sections;
    plan_span     *spans;  int n_spans;
    plan_gap      *gaps;   int n_gaps;
    int            end_bar;              /* index of the BAR_END bar, -1: none         */
    int            cut_end;              /* the last chord is cut off                  */
    double         end_s;                /* nothing sounds after this                  */
    int            chorus;               /* label, -1 for none                         */
    int            entry_bar[3];         /* first bar of those that enter at once, in the first verse, after it */
    unsigned       key_classes;
    unsigned       blues_classes;        /* the tonic's blues scale                    */
    int            vocal_pitch;          /* median                                     */
    int            has_bass, n_fillers;
} plan;

bl_status plan_build(plan *p, const music_arrange_input *in, bl_error *err);
void      plan_free(plan *p);
bl_status plan_cut_sections(plan *p, bl_error *err);

/* Seconds at a position in beats, and back. */
double plan_time(const plan *p, double position);
double plan_position(const plan *p, double time_s);
/* Where step s of a beat's `steps` lies in the beat, 0..1: even grids swing, triplets stay. */
double plan_swing(const plan *p, int step, int steps);
/* Index of the chord span at a time, -1 for none or "N". */
int plan_span_at(const plan *p, double time_s);
/* The sung note at a time, NULL when there is none. */
const music_note *plan_sung_at(const plan *p, double time_s);
/* How much of a stretch of time a pitch would fight the singer, 0..1. */
double plan_fight(const plan *p, int pitch, double start_s, double end_s);
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
typedef struct voicing {
    int    pitch[6], n, fret;
    double cost;               /* of the chord alone, wherever it comes from */
} voicing;

/* The best few of each highest pitch. */
enum { VOICINGS_PER_TOP = 3 };
typedef struct voicing_list {
    voicing of_top[128][VOICINGS_PER_TOP];
    int     n[128];
} voicing_list;

void voicing_keep(voicing_list *list, const voicing *v);

/* Weight of leaving a class of the chord out. */
typedef struct need { int class; double cost; } need;

/* Fills needs; returns how many. shell: fifths do not count. */
int needs_of(music_chord chord, int rootless, int shell, need out[6]);

/* Playable shapes of a chord; none where the guitar has none. */
void guitar_shapes(const style_part *part, music_chord chord, voicing_list *out);
/* Root, fifth, octave. */
voicing voice_power(const style_part *part, music_chord chord);

/* Fifth of a chord in semitones above its root. */
int chord_fifth(music_chord chord);
/* Semitones above the root of its third, seventh or sixth as the chord has them, else as the key has them; 0: neither has one. */
int chord_degree(const plan *p, int span, char degree);
/* Pitch of the class nearest to `near` within low..high (which span an octave or more). */
int nearest_pitch(int pitch_class, int near, int low, int high);

/* A track being written, with its own random stream. */
typedef struct writer {
    const plan       *p;
    const style_part *part;
    music_track      *track;
    bl_rng            rng;
    int               lower;         /* levels to play below the section's           */
    int               rank;          /* 0, 1, ... among those that share the gaps; -1: fills nothing */
    int               everywhere;    /* asked for, so heard: plays where the style leaves it out, too */
    bl_error         *err;
    int               failed;
    int               open[16], n_open; /* notes of track that still sound           */
} writer;

/* Starts a note and leaves it open; failures stick. A random deviation that left the room (an interval's start, the
 * song's) is taken back; a note beyond it is not written (returns 0). */
int  writer_start(writer *w, double onset_s, int pitch, int velocity);
/* Ends open notes at time_s, or a little before: share gate of their length so far. */
void writer_stop(writer *w, double time_s, double gate);
/* Cuts the last note written. */
void writer_cut(writer *w, double offset_s);
/* A deviation for one strike, seconds. */
double writer_jitter(writer *w);
/* 1 when the position lies in a gap that this part fills by itself. */
int writer_in_own_gap(const writer *w, double position);
int gap_is_own(const writer *w, int gap);
/* The pattern of a bar; sets everywhere first when the style would leave the part out of most of the song. */
void                 writer_look_ahead(writer *w);
const style_pattern *writer_pattern(const writer *w, const plan_bar *bar);

/* Voicings of all spans: of_span [n_spans], n = 0 where there is no chord. */
bl_status voice_song(const writer *w, voicing *of_span);

/* A bass, or whoever plays a line of roots, fifths and steps below a chord. */
typedef struct bass_player {
    writer *w;
    int     low, high;
    int     pitch;   /* last played               */
    int     root;    /* pitch of the current root */
    int     span;
    int     foreign; /* the last one was no tone of its chord */
} bass_player;

bass_player bass_player_of(writer *w, int low, int high);
void        bass_player_bar(bass_player *b, const plan_bar *bar, const style_pattern *pattern);
/* A symbol's pitch above a root: R 5 8 3 6 7 b. */
int         bass_degree(const plan *p, int span, char symbol, int root, int low, int high);

void arrange_chords(writer *w);
void arrange_bass(writer *w);
void arrange_drums(writer *w);
void arrange_line(writer *w);
/* The fills alone: melodic phrases in the part's own gaps. */
void arrange_fills(writer *w);

/* Tones that the style does not allow are moved to the chord's nearest. The notes are in order. */
void arrange_passing(const plan *p, const style_part *part, music_note *notes, int n);

void arrange_finish(const plan *p, const style_part *part, music_track *track);

#endif
