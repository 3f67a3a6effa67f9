/* What the files of the songwriter share while one song is being written. data/songwriter.c plans its form and harmony,
 * song_band.c draws the band, song_players.c, song_voicing.c and song_melody.c write the notes, song_tables*.c hold the
 * patterns. A step is a quarter of a beat; positions count steps from the first downbeat. */
#ifndef BL_DATA_SONGWRITER_PRIVATE_H
#define BL_DATA_SONGWRITER_PRIVATE_H

#include "base/rng.h"
#include "data/song_tables.h"
#include "data/songwriter.h"

enum { TICKS = 960, STEPS_PER_BEAT = 4, STEP = TICKS / STEPS_PER_BEAT, MAX_SECTIONS = 64, MAX_VOICES = 8, MAX_STEPS = 16, BAR_TEXT = 32 };

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* Dynamics of a section, and whether there is singing in it. */
typedef struct data_section {
    const char *kind;
    int         first_bar, n_bars, loud, sung;
    double      level;
} data_section;

typedef struct data_writer {
    data_composition       *song;
    const data_genre_table *genre;
    bl_rng                  rng;       /* decisions of form and band     */
    bl_rng                  hands;     /* humanisation, note by note     */
    bl_error               *err;
    int                     n_steps;   /* of a bar                       */
    int                     n_bars, n_sections, lead_in; /* ticks        */
    double                  swing;     /* where the off-beat lies, 0.5 straight */
    double                  seconds_per_tick, timing_ticks;
    data_section            sections[MAX_SECTIONS];
    music_chord            *chords;    /* [n_bars * n_steps]             */
    char                   *sung;      /* [n_bars * n_steps] voice sounds */
} data_writer;

/* A part while it is being written. */
typedef struct data_hands {
    const data_option  *option;
    const data_pattern *quiet, *loud;
    music_track        *track;
    double              spread_ticks; /* between the strings of a strum */
    int                 voices[MAX_VOICES], n_voices; /* last voicing, for voice leading */
    int                 position;     /* of the left hand on the neck */
    int                 left_hand, last;
} data_hands;

/* What a melody is made of. */
typedef struct data_line {
    int                 low, high;
    const data_pattern *rhythm;
    int                 n_rhythm;
    int                 sings;    /* marks w->sung                                  */
    int                 fills;    /* only where nobody sings                        */
    double              velocity;
} data_line;

static inline int chance(bl_rng *rng, double p)
{
    return bl_rng_uniform(rng) < p;
}

static inline int between(bl_rng *rng, int low, int high)
{
    return low + (int)bl_rng_below(rng, high - low + 1);
}

static inline int wrap12(int x)
{
    return ((x % 12) + 12) % 12;
}

static inline int clamp(int x, int low, int high)
{
    return x < low ? low : x > high ? high : x;
}

static inline const music_chord *chord_at(const data_writer *w, int bar, int step)
{
    const int i = bar * w->n_steps + step, last = w->n_bars * w->n_steps - 1;
    return &w->chords[i > last ? last : i];
}

static inline int same_chord(const music_chord *a, const music_chord *b)
{
    return a->root == b->root && a->quality == b->quality && a->bass == b->bass;
}

/* ---- song_players.c ---- */

/* One humanised note from step to end_step (both may be fractions); delay_ticks for strums. */
void data_song_add(data_writer *w, data_hands *p, double step, double end_step, int pitch, double velocity, double delay_ticks);
/* Notes that sound right over a chord: the key, bent where the chord leaves it. A bit per pitch class. */
unsigned data_song_fitting(const data_writer *w, const music_chord *chord);
/* The pitch nearest to `pitch` whose class is in the set, within low..high; ties go the way of `up`. */
int data_song_snap(int pitch, unsigned classes, int low, int high, int up);
/* Velocity that a step of the bar gets more, or less. */
double data_song_accent(int step, int n_steps);
void data_song_play_chords(data_writer *w, data_hands *p, const data_section *s, const data_pattern *pattern);
void data_song_play_bass(data_writer *w, data_hands *p, const data_section *s, const data_pattern *pattern);
void data_song_play_walk(data_writer *w, data_hands *p, const data_section *s);
void data_song_play_riff(data_writer *w, data_hands *p, const data_section *s);
void data_song_play_drums(data_writer *w, data_hands *p, const data_section *s, const data_groove *groove);

/* ---- song_voicing.c ---- */

/* Sets p->voices to the chord as the part plays it: frets of a guitar, a power chord, or a close position. */
void data_song_voice(data_writer *w, data_hands *p, const music_chord *chord);

/* ---- song_melody.c ---- */

void data_song_play_melody(data_writer *w, data_hands *p, const data_section *s, const data_line *l);
/* Long notes: thirds and sevenths, moving as little as they can. */
void data_song_play_counter(data_writer *w, data_hands *p, const data_section *s);

/* ---- song_band.c ---- */

void data_song_write_voice(data_writer *w);
void data_song_write_band(data_writer *w);

#endif
