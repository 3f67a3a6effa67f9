/* Rock, pop, jazz and classical, and the patterns that other genres share with them. */
#include "data/song_tables.h"

#include <stddef.h>

/* ---- chordal patterns ---- */
static const data_pattern strum_quiet4[] = {
    { "strummed eighths", "D---d-u---u-d-u-" }, { "strummed quarters", "D---d---D---d---" },
    { "strummed sparse", "D-------d---d-u-" }, { "strummed folk", "B---d-u-b---d-u-" },
    { "strummed whole", "D---------------" }, { "strummed off-beat", "..d...d...d...d." }, { 0 }
};
static const data_pattern strum_loud4[] = {
    { "strummed driving", "D-d-D-u-D-d-D-u-" }, { "strummed sixteenths", "D-dud-duD-dud-du" },
    { "strummed pop", "D---D-U---U-D-U-" }, { "strummed syncopated", "D--D--D-u-U-D-U-" },
    { "strummed pushes", "D--U---UD--U--U-" }, { "strummed muted", "D-x-U-xuD-x-U-x-" }, { 0 }
};
static const data_pattern strum_three[] = {
    { "strummed waltz", "B---d---d---" }, { "strummed three", "D---d-u-d-u-" }, { "strummed three eighths", "D-u-D-u-D-u-" }, { 0 }
};
const data_style_set data_strummed = { strum_quiet4, strum_loud4, strum_three };

static const data_pattern pick4[] = {
    { "picked up", "1-3-4-5-1-3-4-5-" }, { "picked arch", "1-3-4-5-6-5-4-3-" }, { "picked travis", "1-4-2-5-1-4-3-5-" },
    { "picked slow", "1---4---5---4---" }, { "picked rolling", "1-34-51-34-51-4-" }, { "picked pinch", "1-4-3-5-2-4-3-5-" }, { 0 }
};
static const data_pattern pick_three[] = { { "picked three", "1-3-4-5-4-3-" }, { "picked waltz", "1---4-5-4-5-" }, { 0 } };
const data_style_set data_picked = { pick4, pick4, pick_three };

static const data_pattern chuck4[] = {
    { "chopped back-beat", "....D.......D..." }, { "funk sixteenths", "D.xu.xD.x.uxD.x." }, { "chopped off-beat", "..D...D...D...D." },
    { "chopped syncopated", "D..D....x.D..x.." }, { 0 }
};
const data_style_set data_chopped = { chuck4, chuck4, strum_three };

static const data_pattern power_quiet4[] = {
    { "palm-muted eighths", "p-p-p-p-p-p-p-p-" }, { "palm-muted accents", "P-p-p-P-p-p-P-p-" }, { "palm-muted gallop", "r-rrr-rrr-rrr-rr" },
    { "palm-muted roots", "r-r-r-r-r-r-P---" }, { "power stabs", "P-..........P-P-" }, { 0 }
};
static const data_pattern power_loud4[] = {
    { "power open", "P-------P-------" }, { "power whole", "P---------------" }, { "power quarters", "P---P---P---P---" },
    { "power eighths", "P-P-P-P-P-P-P-P-" }, { "power pushes", "P--P--P-----P-P-" }, { "power chugs", "P--ppp--P-ppP-pp" }, { 0 }
};
static const data_pattern power_three[] = { { "power three", "P-----------" }, { "palm-muted three", "P-p-p-p-p-p-" }, { 0 } };
static const data_style_set power = { power_quiet4, power_loud4, power_three };

static const data_pattern keys_quiet4[] = {
    { "half-note chords", "C-------c-------" }, { "whole chords", "C---------------" }, { "broken chords", "1-2-3-2-1-2-3-2-" },
    { "ballad", "B---c---b---c---" }, { "syncopated comping", "C-----c---c-----" }, { 0 }
};
static const data_pattern keys_loud4[] = {
    { "quarter-note chords", "C---c---C---c---" }, { "pushed comping", "C--C--C---C--C--" }, { "off-beat comping", "B-c-b-c-B-c-b-c-" },
    { "rolling eighths", "B-2-3-2-C-2-3-2-" }, { "back-beat comping", "B---C---B---C-c-" }, { 0 }
};
static const data_pattern keys_three[] = { { "waltz", "B---c---c---" }, { "three", "C-----------" }, { "broken three", "1-2-3-4-3-2-" }, { 0 } };
const data_style_set data_keys = { keys_quiet4, keys_loud4, keys_three };

static const data_pattern jazz4[] = {
    { "charleston comping", "C-....C-........" }, { "anticipated comping", "......C-....C-..|..C-........C-.." },
    { "four to the bar", "c--.C--.c--.C--." }, { "sparse comping", "C-----..........|......C-........" },
    { "reverse charleston", "..C-....C-......" }, { "comping two-bar", "C-....C-........|....C-....C-...." }, { 0 }
};
static const data_pattern jazz3[] = { { "jazz waltz", "C-....C-...." }, { "jazz waltz late", "....C-..C-.." }, { 0 } };
static const data_style_set comping = { jazz4, jazz4, jazz3 };

static const data_pattern pad4[] = { { "pad", "C---------------" }, { 0 } };
static const data_pattern pad_loud4[] = { { "pad", "C---------------" }, { "swelling halves", "c-------C-------" }, { 0 } };
static const data_pattern pad_three[] = { { "pad", "C-----------" }, { 0 } };
const data_style_set data_padding = { pad4, pad_loud4, pad_three };

static const data_pattern organ_loud4[] = {
    { "pad", "C---------------" }, { "organ stabs", "..C...C...C.C-.." }, { "organ drive", "C---C-c-C---C-c-" }, { 0 }
};
const data_style_set data_organ = { pad4, organ_loud4, pad_three };

static const data_pattern classic_keys4[] = {
    { "alberti", "1-3-2-3-1-3-2-3-" }, { "arpeggios", "1-2-3-4-5-4-3-2-" }, { "march", "B---c---b---c---" },
    { "repeated chords", "B---c-c-c---c-c-" }, { "chorale", "C---c---C---c---" }, { "triplet-like rolls", "1-23-41-23-41-2-" }, { 0 }
};
static const data_pattern classic_keys3[] = {
    { "waltz", "B---c---c---" }, { "alberti three", "1-3-2-3-2-3-" }, { "arpeggios three", "1-2-3-4-3-2-" }, { "minuet", "C---B---c---" }, { 0 }
};
static const data_style_set classic_keys = { classic_keys4, classic_keys4, classic_keys3 };

static const data_pattern strings4[] = {
    { "sustained", "C---------------" }, { "repeated eighths", "C-c-c-c-C-c-c-c-" }, { "halves", "C-------c-------" }, { "detached", "C-..c-..C-..c-.." }, { 0 }
};
static const data_pattern strings3[] = { { "sustained", "C-----------" }, { "after-beats", "....c-..c-.." }, { "detached", "C-..c-..c-.." }, { 0 } };
static const data_style_set string_section = { strings4, strings4, strings3 };

/* ---- bass ---- */
static const data_pattern bass_quiet4[] = {
    { "root quarters", "R---R---R---R---" }, { "root halves", "R-------R-------" }, { "root and fifth", "R-------5-------" },
    { "dotted", "R-----R-R-----R-" }, { "root whole", "R---------------" }, { "kick-locked", "R-----R---R-----" }, { 0 }
};
static const data_pattern bass_loud4[] = {
    { "root eighths", "R-R-R-R-R-R-R-R-" }, { "octaves", "R-8-R-8-R-8-R-8-" }, { "root eighths with approach", "R-R-R-R-R-R-5-a-" },
    { "syncopated", "R--R--R-..R-5-a-" }, { "melodic", "R---3-5-8---5-a-" }, { "funk", "R-.gR-8.g.R-..7-" }, { "driving fifths", "R-R-5-R-8-R-5-a-" }, { 0 }
};
static const data_pattern bass_three[] = { { "root three", "R-----------" }, { "root and fifth three", "R---5---5---" }, { "one and three", "R-------a---" }, { 0 } };
const data_style_set data_bass_lines = { bass_quiet4, bass_loud4, bass_three };
static const data_pattern two_feel4[] = { { "two-beat", "R-------5-------" }, { "two-beat with approach", "R-------5---a---" }, { 0 } };
static const data_pattern bossa4[] = { { "bossa bass", "R-----5-5-----R-" }, { "bossa two", "R-----5-------a-" }, { 0 } };
const data_style_set data_bossa_bass = { bossa4, bossa4, bass_three };
const data_style_set data_two_feel = { two_feel4, two_feel4, bass_three };
static const data_pattern cello4[] = { { "bass line", "R-------5-------" }, { "bass line quarters", "R---3---5---a---" }, { "pedal", "R---------------" }, { 0 } };
static const data_style_set cello_bass = { cello4, cello4, bass_three };

/* ---- drums: 36 kick 38 snare 37 side stick 42 44 46 hats 49 crash 51 ride 53 bell 39 clap 70 shaker ---- */
static const data_groove rock_quiet4[] = {
    { "rock eighths", { { 36, "X-------x-------" }, { 38, "....X-......X-.." }, { 42, "x-o-x-o-x-o-x-o-" } } },
    { "rock syncopated", { { 36, "X-----x---x-----" }, { 38, "....X-......X-.." }, { 42, "X-x-X-x-X-x-X-x-" } } },
    { "half-time", { { 36, "X-----x---------" }, { 38, "........X-......" }, { 42, "x---x---x---x---" } } },
    { "side stick", { { 36, "X-------x-x-----" }, { 37, "....x-......x-.." }, { 42, "x-o-x-o-x-o-x-o-" } } },
    { "tom groove", { { 36, "X---x---X---x---" }, { 45, "x-x-..x-x-x-..x-" }, { 38, "....x.......X..." } } }, { 0 }
};
static const data_groove rock_loud4[] = {
    { "open hats", { { 36, "X-----x-x-------" }, { 38, "....X-......X-.." }, { 46, "x---x---x---x---" } } },
    { "ride", { { 36, "X--x----x-x-----" }, { 38, "....X-......X-.." }, { 51, "X-x-X-x-X-x-X-x-" } } },
    { "four on the floor", { { 36, "X---X---X---X---" }, { 38, "....X-......X-.." }, { 42, "x-x-x-x-x-x-x-x-" }, { 46, "..............x-" } } },
    { "punk", { { 36, "X---x---X---x---" }, { 38, "..X-..X-..X-..X-" }, { 42, "x-x-x-x-x-x-x-x-" } } },
    { "crash quarters", { { 36, "X-----x-x---x---" }, { 38, "....X-......X-.." }, { 49, "x---x---x---x---" } } },
    { "double kick", { { 36, "X-x-x-xxX-x-x-xx" }, { 38, "....X-......X-.." }, { 51, "X---X---X---X---" } } }, { 0 }
};
const data_groove data_rock_three[] = {
    { "rock waltz", { { 36, "X-------x---" }, { 38, "....X-......" }, { 42, "x-o-x-o-x-o-" } } },
    { "slow three", { { 36, "X-----------" }, { 38, "....x---X---" }, { 51, "X---x---x---" } } }, { 0 }
};
static const data_groove pop_quiet4[] = {
    { "pop straight", { { 36, "X-------x-x-----" }, { 38, "....X-......X-.." }, { 42, "x-o-x-o-x-o-x-o-" } } },
    { "pop sixteenths", { { 36, "X------xx-------" }, { 38, "....X-......X-.." }, { 42, "xoxoxoxoxoxoxoxo" } } },
    { "pop sparse", { { 36, "X---------x-----" }, { 37, "....x-......x-.." }, { 42, "....x-......x-.." } } },
    { "pop claps", { { 36, "X-----x---x-----" }, { 39, "....X-......X-.." }, { 42, "..x-..x-..x-..x-" } } }, { 0 }
};
static const data_groove pop_loud4[] = {
    { "disco", { { 36, "X---X---X---X---" }, { 38, "....X-......X-.." }, { 46, "..x-..x-..x-..x-" }, { 42, "x---x---x---x---" } } },
    { "pop drive", { { 36, "X-----xxx-----x-" }, { 38, "....X-......X-.o" }, { 42, "X-x-X-x-X-x-X-x-" } } },
    { "pop ride", { { 36, "X-----x-x-------" }, { 38, "....X-......X-.." }, { 51, "x-x-x-x-x-x-x-x-" } } },
    { "ghost notes", { { 36, "X-----x--x------" }, { 38, "....X--o.o..X--o" }, { 42, "x-xox-x-x-xox-x-" } } }, { 0 }
};
static const data_groove jazz_swung[] = {
    { "swing ride", { { 51, "X---x-x-X---x-x-" }, { 44, "....x-......x-.." }, { 36, "o-------o-------" } } },
    { "swing ride with snare", { { 51, "X---x-x-X---x-x-" }, { 44, "....x-......x-.." }, { 38, "......o-......o-" }, { 36, "o---o---o---o---" } } },
    { "brush sweep", { { 38, "o-o-x-o-o-o-x-o-" }, { 44, "....x-......x-.." }, { 36, "o-------o-------" } } },
    { "swing two-bar", { { 53, "X---x-x-X---x-x-" }, { 44, "....x-......x-.." }, { 38, "............x---" }, { 36, "x-....o-........" } } }, { 0 }
};
static const data_groove jazz_straight[] = {
    { "bossa nova", { { 37, "X-----X-----X---|--X---X---X-----" }, { 36, "X-----x-X-----x-" }, { 42, "x-x-x-x-x-x-x-x-" }, { 44, "....x-......x-.." } } },
    { "samba", { { 36, "X--xX--xX--xX--x" }, { 37, "X-X--X-X--X-X--X" }, { 51, "x-xxx-xxx-xxx-xx" } } },
    { "brush ballad", { { 38, "o-o-o-o-o-o-o-o-" }, { 44, "....x-......x-.." }, { 36, "x-------o-------" } } }, { 0 }
};
static const data_groove jazz_three[] = {
    { "jazz waltz", { { 51, "X---x-x-x---" }, { 44, "....x-......" }, { 36, "x-------....", } } },
    { "brush waltz", { { 38, "o-o-x-o-x-o-" }, { 36, "x-----------" }, { 44, "....x---x---" } } }, { 0 }
};

/* ---- rhythms of melodies ---- */
const data_pattern data_melody4[] = {
    { "quarters", "x---x---x---x---" }, { "eighths first", "x-x-x---x-x-x---" }, { "pick-up", "..x-x-x-x-x-x---" },
    { "syncopated", "x-----x-x-----x-" }, { "late", "....x-x-x-x-x---" }, { "pushed", "x--x--x-x-------" },
    { "long short", "x-------x---x---" }, { "running", "x-x-x-x-x-x-x-x-" }, { "off-beat", "..x-x---x-x-x-x-" },
    { "dotted", "x-----x-x-----x-" }, { "held", "x-----------x---" }, { "speech", "x-xxx-x-x-x-x---" }, { 0 }
};
static const data_pattern melody_jazz4[] = {
    { "swung line", "x-x-x-x-x---x-x-" }, { "off-beat line", "..x---x-x-x-x---" }, { "held", "x-------x-----x-" },
    { "anticipated", "....x-x---x---x-" }, { "quarters", "x---x---x---x---" }, { "long", "x-----------x-x-" }, { "bebop", "x-x-x-x-x-x-x-x-" }, { 0 }
};
static const data_pattern melody_slow4[] = {
    { "halves", "x-------x-------" }, { "dotted half", "x-----------x---" }, { "quarters", "x---x---x---x---" },
    { "long eighths", "x-----x-x---x---" }, { "song", "x---x-x-x---x---" }, { "scale", "x---x-x-x-x-x---" }, { 0 }
};
const data_pattern data_melody3[] = {
    { "quarters", "x---x---x---" }, { "long short", "x-------x---" }, { "eighths", "x---x-x-x-x-" }, { "dotted", "x-----x-x---" }, { "held", "x-----------" }, { 0 }
};

/* ---- progressions: major and minor keys ---- */
static const char *const rock_major[] = {
    "I|V|vi|IV", "I|IV|V|IV", "I|bVII|IV|I", "I|IV|I|V", "vi|IV|I|V", "I|iii|IV|V", "I|ii|IV|V", "I|bVII|bVI|bVII",
    "IV|I|V|vi", "I|V|bVII|IV", "I|IV|vi|V", "I7|IV7|I7|V7", "I|vi|IV|V", "I V|vi IV|I V|IV", NULL
};
static const char *const rock_minor[] = {
    "i|VI|III|VII", "i|VII|VI|VII", "i|iv|VII|III", "i|VII|VI|V", "i|III|VII|iv", "i|VI|iv|V", "i|i|VI|VII", "VI|VII|i|i",
    "i|iv|i|VII", "i III|VII iv|i III|VI VII", NULL
};
static const char *const pop_major[] = {
    "I|V|vi|IV", "vi|IV|I|V", "I|vi|IV|V", "IV|V|iii|vi", "I|IV|vi|V", "I|iii|vi|IV", "I|V|vi iii|IV", "ii|IV|I|V", "Imaj7|vi7|ii7|V7",
    "IVmaj7|V|iii7|vi7", "I|ii|vi|IV", "I|Vsus4|vi7|IV", "I V|vi iii|IV I|IV V", NULL
};
static const char *const pop_minor[] = {
    "i|VI|III|VII", "i|iv|VI|V", "VI|VII|i|III", "i|VII|VI|iv", "i|III|VI|VII", "i|v|VI|VII", "i7|iv7|VII|IIImaj7", "i VII|VI|i VII|VI VII", NULL
};
static const char *const jazz_major[] = {
    "ii7|V7|Imaj7|VI7", "Imaj7|vi7|ii7|V7", "iii7|VI7|ii7|V7", "Imaj7 vi7|ii7 V7|iii7 VI7|ii7 V7", "I6|bIII7|ii7|V7", "Imaj7|IVmaj7|iii7 VI7|ii7 V7",
    "I7|IV7|I7|I7|IV7|IV7|I7|VI7|ii7|V7|I7|V7", "Imaj7|II7|ii7|V7", "Imaj7|Imaj7|iv7|bVII7", "IVmaj7|iv6|iii7|VI7|ii7|V7|Imaj7|Imaj7", NULL
};
static const char *const jazz_minor[] = {
    "iim7b5|V7|i7|i7", "i7|iv7|iim7b5|V7", "iv7|VII7|IIImaj7|VImaj7|iim7b5|V7|i6|i6", "i6|VI7|V7|i6", "i7|VI7|iim7b5|V7", "i7 VI7|iim7b5 V7|i7|i7",
    "i7|iv7|i7|i7|iv7|iv7|i7|i7|VI7|V7|i7|V7", NULL
};
static const char *const classical_major[] = {
    "I|V|vi|iii|IV|I|IV|V", "I|IV|V|I", "I|vi|ii|V", "I|V7|I|V7", "I|ii|V7|I", "I|IV|I|V", "vi|ii|V|I", "I V|vi iii|IV I|ii V7", "I|viio|I|V7", NULL
};
static const char *const classical_minor[] = {
    "i|iv|V7|i", "i|VII|III|VI|iio|V7|i|i", "i|V|i|V7", "i|VI|iio|V", "i|iv|VII|III|VI|iio|V7|i", "i|VI|III|VII|i|iv|V7|i", NULL
};

/* ---- forms ---- */
const char *const data_head_form[] = { "verse", "verse", "bridge", "verse", "solo", "solo", "verse", "bridge", NULL };

/* ---- genres ---- */
#define EG "electric guitar"
#define AG "acoustic guitar"
const data_genre_table data_band_genres[] = {
    { "rock", 92, 168, 0.5, 0.06, 0.08, 0.64, 5, rock_major, rock_minor, data_melody4, data_melody3, rock_quiet4, rock_loud4, data_rock_three, rock_quiet4,
      { { "rhythm", 1.0, { { EG, 27, DATA_PLAY_GUITAR, &data_strummed, 40, 76, -8 }, { EG, 29, DATA_PLAY_POWER, &power, 40, 64, -9 },
                           { EG, 30, DATA_PLAY_POWER, &power, 40, 64, -9 }, { EG, 27, DATA_PLAY_GUITAR, &data_picked, 40, 76, -8 },
                           { EG, 29, DATA_PLAY_RIFF, NULL, 40, 62, -9 } } },
        { "bass", 1.0, { { "bass", 33, DATA_PLAY_BASS, &data_bass_lines, 28, 50, -6 }, { "bass", 34, DATA_PLAY_BASS, &data_bass_lines, 28, 50, -6 } } },
        { "drums", 1.0, { { "drums", 0, DATA_PLAY_DRUMS, NULL, 0, 0, -5 }, { "drums", 16, DATA_PLAY_DRUMS, NULL, 0, 0, -5 },
                          { "drums", 8, DATA_PLAY_DRUMS, NULL, 0, 0, -5 } } },
        { "lead", 0.45, { { EG, 30, DATA_PLAY_LEAD, NULL, 57, 84, -10 }, { EG, 29, DATA_PLAY_LEAD, NULL, 57, 84, -10 },
                          { EG, 27, DATA_PLAY_COUNTER, NULL, 55, 79, -11 } } },
        { "pad", 0.45, { { "organ", 18, DATA_PLAY_PAD, &data_organ, 52, 76, -13 }, { "organ", 16, DATA_PLAY_PAD, &data_organ, 52, 76, -13 } } },
        { "rhythm", 0.2, { { "piano", 0, DATA_PLAY_KEYS, &data_keys, 43, 79, -11 } } } }, .flags = 0 },
    { "pop", 84, 132, 0.35, 0.06, 0.08, 0.6, 5, pop_major, pop_minor, data_melody4, data_melody3, pop_quiet4, pop_loud4, data_rock_three, pop_quiet4,
      { { "rhythm", 0.7, { { AG, 25, DATA_PLAY_GUITAR, &data_strummed, 40, 76, -8 }, { AG, 25, DATA_PLAY_GUITAR, &data_picked, 40, 76, -8 },
                           { AG, 24, DATA_PLAY_GUITAR, &data_picked, 40, 76, -8 } } },
        { "rhythm", 0.75, { { "electric piano", 4, DATA_PLAY_KEYS, &data_keys, 45, 79, -10 }, { "piano", 0, DATA_PLAY_KEYS, &data_keys, 43, 81, -9 },
                           { "piano", 1, DATA_PLAY_KEYS, &data_keys, 43, 81, -9 }, { "electric piano", 5, DATA_PLAY_KEYS, &data_keys, 45, 79, -10 } } },
        { "bass", 1.0, { { "bass", 33, DATA_PLAY_BASS, &data_bass_lines, 28, 50, -6 }, { "bass", 33, DATA_PLAY_BASS, &data_bass_lines, 28, 50, -6 },
                         { "bass", 34, DATA_PLAY_BASS, &data_bass_lines, 28, 50, -6 } } },
        { "drums", 1.0, { { "drums", 0, DATA_PLAY_DRUMS, NULL, 0, 0, -6 }, { "drums", 8, DATA_PLAY_DRUMS, NULL, 0, 0, -6 } } },
        { "pad", 0.55, { { "strings", 48, DATA_PLAY_PAD, &data_padding, 55, 79, -14 }, { "strings", 49, DATA_PLAY_PAD, &data_padding, 55, 79, -14 } } },
        { "rhythm", 0.4, { { EG, 27, DATA_PLAY_GUITAR, &data_chopped, 45, 79, -12 }, { EG, 27, DATA_PLAY_GUITAR, &data_picked, 40, 79, -12 } } },
        { "counter", 0.15, { { "flute", 73, DATA_PLAY_COUNTER, NULL, 67, 88, -14 }, { "saxophone", 65, DATA_PLAY_COUNTER, NULL, 56, 77, -14 } } } }, .flags = 0 },
    { "jazz", 100, 200, 0.4, 0.12, 0.75, 0.66, 8, jazz_major, jazz_minor, melody_jazz4, data_melody3, jazz_straight, jazz_straight, jazz_three, jazz_swung,
      { { "rhythm", 0.85, { { "piano", 0, DATA_PLAY_KEYS, &comping, 48, 79, -9 } } },
        { "bass", 1.0, { { "double bass", 32, DATA_PLAY_WALK, NULL, 28, 52, -6 }, { "double bass", 32, DATA_PLAY_WALK, NULL, 28, 52, -6 },
                         { "double bass", 32, DATA_PLAY_BASS, &data_two_feel, 28, 52, -6 } } },
        { "drums", 0.9, { { "drums", 40, DATA_PLAY_DRUMS, NULL, 0, 0, -8 }, { "drums", 32, DATA_PLAY_DRUMS, NULL, 0, 0, -8 } } },
        { "lead", 0.75, { { "saxophone", 65, DATA_PLAY_LEAD, NULL, 51, 78, -9 }, { "saxophone", 66, DATA_PLAY_LEAD, NULL, 46, 72, -9 },
                          { "trumpet", 56, DATA_PLAY_LEAD, NULL, 56, 80, -10 } } },
        { "rhythm", 0.5, { { EG, 26, DATA_PLAY_GUITAR, &comping, 45, 72, -11 } } },
        { "counter", 0.3, { { "vibraphone", 11, DATA_PLAY_COUNTER, NULL, 58, 84, -12 }, { "vibraphone", 11, DATA_PLAY_KEYS, &comping, 58, 84, -12 } } } },
      .form = data_head_form, .flags = DATA_SONG_ROOTLESS | DATA_SONG_BOSSA },
    { "classical", 66, 126, 0.45, 0.4, 0.0, 0.5, 9, classical_major, classical_minor, melody_slow4, data_melody3, NULL, NULL, NULL, NULL,
      { { "rhythm", 0.75, { { "piano", 0, DATA_PLAY_KEYS, &classic_keys, 40, 81, -8 } } },
        { "lead", 0.8, { { "violin", 40, DATA_PLAY_LEAD, NULL, 62, 88, -10 } } },
        { "bass", 0.85, { { "cello", 42, DATA_PLAY_BASS, &cello_bass, 36, 57, -9 } } },
        { "counter", 0.5, { { "flute", 73, DATA_PLAY_COUNTER, NULL, 67, 91, -12 }, { "flute", 73, DATA_PLAY_LEAD, NULL, 67, 91, -12 } } },
        { "pad", 0.6, { { "strings", 48, DATA_PLAY_PAD, &string_section, 52, 79, -12 } } } }, .flags = 0 },
    { 0 }
};
