/* The inside of a style, shared by style.c and the arranger's files. docs/arranging.md explains each key. */
#ifndef BL_MUSIC_STYLE_PRIVATE_H
#define BL_MUSIC_STYLE_PRIVATE_H

#include "music/instrument.h"
#include "music/style.h"

enum { STYLE_NAME = 32, STYLE_LEVELS = 3, STYLE_CHOICES = 4, STYLE_MAX_STEPS = 256, STYLE_MAX_ROWS = 12 };

typedef enum style_kind { STYLE_DRUMS, STYLE_BASS, STYLE_CHORDS, STYLE_LINE } style_kind;

/* One row of a pattern: a cell per step, '.' where nothing new happens. */
typedef struct style_row {
    int  drum; /* General MIDI key, drums only */
    char cells[STYLE_MAX_STEPS + 1];
} style_row;

typedef struct style_pattern {
    char       name[STYLE_NAME];
    style_kind kind;
    int        steps; /* per beat: 2, 3, 4                               */
    int        beats; /* per bar                                         */
    int        bars;
    int        ring;  /* arpeggios: notes last until their chord ends    */
    int        tie;   /* tones common to two chords are not struck again */
    double     gate;  /* share of the time to the next onset that sounds */
    style_row  rows[STYLE_MAX_ROWS];
    int        n_rows;
    style_row  accent; /* digits; empty where the meter decides           */
} style_pattern;

typedef struct style_choice {
    int pattern[STYLE_CHOICES], n; /* none: silent */
} style_choice;

typedef struct style_part {
    const music_instrument *instrument;
    style_kind              role;
    style_choice            level[STYLE_LEVELS];
    style_choice            fills; /* drums: before a section; others: where the singer rests */
    int                     lowest, highest, voices, velocity_low, velocity_high, kit, program;
    int                     rootless; /* 1: leaves the root to the bass */
    double                  delay_ms, strum_ms;
} style_part;

struct music_style {
    char           genre[STYLE_NAME];
    double         swing;       /* where the second eighth lies in the beat: 0.5 straight */
    double         humanize_ms; /* largest random deviation                               */
    int            section_bars;
    int            crash_drum, end_drums[4], n_end_drums;
    style_pattern *patterns;
    int            n_patterns;
    style_part    *parts;
    int            n_parts;
};

/* NULL when the style has none for the instrument. */
const style_part *style_find_part(const music_style *style, const music_instrument *instrument);

#endif
