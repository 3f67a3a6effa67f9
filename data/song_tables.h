/* The songwriter's tables: genres, their bands, progressions and playing patterns. Pure data.
 *
 * A pattern is one bar as text, four steps to the beat (16 in 4/4, 12 in 3/4); the bars of a two-bar pattern are
 * separated by '|'. '-' holds what sounds, '.' is silence, and the rest depends on who plays:
 *   chords  D d U u  strum down or up, strong or light     x  muted stroke
 *           C c      all notes at once, strong or soft      B  bass note (root), b  its fifth
 *           1..6     one note of the voicing, from below, left ringing
 *           P        power chord, p the same palm-muted, r  palm-muted root alone
 *           q s v    root with fifth, sixth, minor seventh: the two-string shuffle of the blues
 *   bass    R root, 5 fifth, 6 sixth, 8 octave, 3 third, 7 seventh, a approach to the next root, g ghost note
 *   drums   X accent, x normal, o soft, r two soft strokes in the time of one
 *   melody  x  a new note
 */
#ifndef BL_DATA_SONG_TABLES_H
#define BL_DATA_SONG_TABLES_H

enum { DATA_MAX_LINES = 7, DATA_MAX_OPTIONS = 5, DATA_MAX_SLOTS = 9 };

typedef struct data_pattern {
    const char *name, *steps;
} data_pattern;

typedef struct data_drum_line {
    int         key;   /* General MIDI percussion key */
    const char *steps;
} data_drum_line;

typedef struct data_groove {
    const char    *name;
    data_drum_line lines[DATA_MAX_LINES]; /* key 0 ends */
} data_groove;

/* How a part turns chords into notes. */
typedef enum data_player {
    DATA_PLAY_GUITAR, DATA_PLAY_POWER, DATA_PLAY_KEYS, DATA_PLAY_PAD, DATA_PLAY_BASS, DATA_PLAY_WALK,
    DATA_PLAY_RIFF, DATA_PLAY_LEAD, DATA_PLAY_COUNTER, DATA_PLAY_DRUMS
} data_player;

/* A list of patterns per meter; styles for quiet sections (intro, verse) and for loud ones (chorus, solo). */
typedef struct data_style_set {
    const data_pattern *quiet4, *loud4, *three; /* ends with a NULL name; three: 3/4, any section */
} data_style_set;

typedef struct data_option {
    const char           *instrument;
    int                   program;
    data_player           player;
    const data_style_set *styles;  /* NULL for walking bass, riffs, lines and drums           */
    int                   low, high; /* of what it plays                                      */
    double                gain_db;
} data_option;

typedef struct data_slot {
    const char  *role;
    double       chance;             /* that the song has this part at all                      */
    data_option  options[DATA_MAX_OPTIONS]; /* instrument NULL ends; one is drawn, evenly        */
} data_slot;

typedef struct data_genre_table {
    const char  *name;
    double       bpm_low, bpm_high;
    double       minor, three, swing;  /* chances of a minor key, of 3/4, of a swung song        */
    double       swing_ratio;          /* where the off-beat lies in the beat: 2/3 is triplets   */
    double       timing_ms;            /* deviation of onsets                                    */
    const char *const *major, *const *minor_; /* progressions in Roman numerals, '|' between bars */
    const data_pattern *rhythm4, *rhythm3;    /* of the melody                                    */
    const data_groove  *quiet4, *loud4, *three_; /* drums; NULL: none                             */
    const data_groove  *swung;
    data_slot    slots[DATA_MAX_SLOTS];       /* role NULL ends                                   */
    const char *const  *form;                 /* kinds of sections in turn, NULL ends; NULL: a song's */
    int          unit;                        /* bars of a section; 0: 4, or 8 in a long song     */
    unsigned     flags;                       /* DATA_SONG_...                                    */
    int          voice_span;                  /* semitones the singer uses; 0: 12 to 16           */
} data_genre_table;

enum {
    DATA_SONG_ROOTLESS = 1, /* chords of four notes leave the root to the bass                                */
    DATA_SONG_BOSSA = 2,    /* a song that is not swung has a bossa nova's bass                               */
    DATA_SONG_BLUES = 4,    /* lines use the tonic's minor pentatonic over any chord; an intro is a turnaround */
    DATA_SONG_SIXTEENTHS = 8 /* the sixteenths swing, not the eighths                                         */
};

/* name NULL ends each. */
extern const data_genre_table data_band_genres[];  /* song_tables.c: rock, pop, jazz, classical       */
extern const data_genre_table data_roots_genres[]; /* song_tables_roots.c: blues, country, reggae     */
extern const data_genre_table data_beat_genres[];  /* song_tables_beat.c: disco, metal, hip-hop       */

/* Patterns that several genres share. */
extern const data_style_set data_strummed, data_picked, data_chopped, data_keys, data_padding, data_organ, data_bass_lines, data_two_feel;
extern const data_pattern   data_melody4[], data_melody3[];
extern const data_groove    data_rock_three[];
extern const char *const    data_head_form[];

/* What the bass plays in a jazz song that is not swung. */
extern const data_style_set data_bossa_bass;

#endif
