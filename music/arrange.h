/* The arranger: which notes each instrument of the band plays behind a singer, in a genre's style.
 *
 *     music_style *style = music_style_load("configs/styles/rock.ini", &err);
 *     music_arrange_input in = { .duration_s = 61.2, .beats_s = beats, .n_beats = 120, .beats_per_bar = 4,
 *                                .key = key, .chords = spans, .n_chords = n, .melody = sung, .n_melody = m,
 *                                .style = style, .instruments = names, .n_instruments = 3, .seed = 1 };
 *     music_score score = { 0 };
 *     if (music_arrange(&in, &score, &err) != BL_OK) ...
 *
 * The song is cut into bars, the bars into the sections given, or else into sections of 4 or 8 bars by the singer's
 * energy and repetition (markers "intro", "verse", "chorus", ... in the score); each bar has an intensity from the singer's loudness;
 * each instrument plays the pattern that its style names for that intensity, voiced on the sounding chord, out of the singer's way.
 *
 * Promises Every note of a pitched instrument is a tone of the chord sounding at its onset (an onset may come 30 ms before
 *          its chord), or a passing tone that the style allows: one of the key (passing = diatonic) or any (chromatic) that
 *          is left by step (by a semitone when it is not of the key), perhaps over others of its kind, to a tone of the
 *          chord that sounds by the next beat. In a style with scale = blues melodic lines and fills are at home on the
 *          tonic's blues scale, too. No note rings into a chord it clashes with. Every onset lies within 35 ms of a 16th,
 *          swung as the style swings (music_style_swing), or a triplet of the beats. A pitch is ended at least 15 ms before
 *          it sounds again; notes last 60 ms or more. Pitches stay in the instrument's range, and within its polyphony;
 *          strummed chords can be held by a hand on a guitar. Nothing starts outside the intervals, before the first beat or
 *          beyond the song. Bars in which the beats are not steady (a free start) get held chords only. An instrument in the
 *          list plays something. Same input and seed, same score; another seed gives other patterns, fills and voicings over
 *          the same chords.
 * Shapes   beats_s [n_beats] rising; downbeats_s [n_downbeats] or NULL (then every beats_per_bar-th beat from
 *          the first); sections [n_sections] rising, starting on downbeats (to the nearest bar otherwise), or none;
 *          chords [n_chords] rising, gaps count as "N"; melody [n_melody]; instruments
 *          [n_instruments] names; intervals [n_intervals], half open, none means the whole song.
 * Output   One track per instrument, in the order given; tempos (one per beat where it changes, laid so that bar
 *          lines of the file fall on downbeats), meters, chords and section markers.
 * Errors   BL_EARG: fewer than two beats; beats not rising; unknown instrument; chord name or interval that
 *          cannot be. On failure the score is freed and zeroed.
 * Memory   Borrows the input. The score is filled from zero; release with music_score_free.
 * Source   Voicings: the cheapest path through a song's chords by dynamic programming (Viterbi), over all that fit the hand.
 * Tested   tests/music/test_arrange.c (the promises), test_parts.c (what each genre plays), test_orchestration.c (how a band goes through
 *          a song)
 */
#ifndef BL_MUSIC_ARRANGE_H
#define BL_MUSIC_ARRANGE_H

#include "music/chord.h"
#include "music/drummer.h"
#include "music/score.h"
#include "music/style.h"

#include <stdint.h>

typedef struct music_interval { double start_s, end_s; } music_interval;

/* A part of the song's form; parts of one label are the same music and are arranged alike. */
typedef struct music_form_part {
    double start_s;
    int    label;
} music_form_part;

typedef struct music_arrange_input {
    double                  duration_s;
    const double           *beats_s;
    int                     n_beats;
    const double           *downbeats_s;
    int                     n_downbeats;
    int                     beats_per_bar;
    music_key               key;
    const music_form_part  *sections;
    int                     n_sections;
    const music_chord_span *chords;
    int                     n_chords;
    const music_note       *melody;      /* sung notes; velocity is the singer's loudness */
    int                     n_melody;
    const music_style      *style;
    const char *const      *instruments;
    int                     n_instruments;
    const music_drummer    *drummer;     /* who plays what the style's drum patterns ask; NULL: chance */
    const music_interval   *intervals;   /* where the band may play                       */
    int                     n_intervals;
    uint64_t                seed;
} music_arrange_input;

bl_status music_arrange(const music_arrange_input *input, music_score *score, bl_error *err);

#endif
