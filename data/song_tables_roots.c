/* Blues, country and reggae. data/song_tables.h has the alphabet of the patterns. */
#include "data/song_tables.h"

#include <stddef.h>

/* ---- blues: shuffled, twelve bars, dominant sevenths on every degree ---- */
static const data_pattern boogie4[] = {
    { "boogie shuffle", "q-q-s-s-q-q-s-s-" }, { "boogie walk-up", "q-q-s-s-v-v-s-s-" }, { "boogie quarters", "q---s---v---s---" },
    { "boogie stops", "q-q-s-s-q-..q-s-" }, { 0 }
};
static const data_style_set boogie = { boogie4, boogie4, NULL };
static const data_pattern blues_chords4[] = {
    { "charleston stabs", "C-....c-........" }, { "back-beat stabs", "....C.......C..." }, { "shuffle comping", "C-..c.C-..c.c-.." },
    { "late stabs", "......C-......c-" }, { 0 }
};
static const data_style_set blues_chords = { blues_chords4, blues_chords4, NULL };
static const data_pattern blues_piano4[] = {
    { "rolling triplets", "Cccc.ccc.ccc.ccc" }, { "barrelhouse", "B-c-b-c-B-c-b-c-" }, { "riff and chord", "1-2-C---1-2-c---" }, { "quarter comping", "C---c---C---c---" }, { 0 }
};
static const data_style_set blues_piano = { blues_piano4, blues_piano4, NULL };
static const data_pattern blues_bass4[] = {
    { "boogie bass", "R---3---5---6---" }, { "two-bar boogie", "R---3---5---6---|7---6---5---3---" }, { "shuffle eighths", "R-R-3-3-5-5-6-6-" },
    { "root and fifth shuffle", "R-R-5-5-7-7-5-5-" }, { "slow blues", "R-----R-5---6---" }, { 0 }
};
static const data_style_set blues_bass = { blues_bass4, blues_bass4, NULL };
static const data_groove blues_shuffle[] = {
    { "shuffle", { { 36, "X-----x-X-----x-" }, { 38, "....X-......X-.." }, { 42, "X-x-X-x-X-x-X-x-" } } },
    { "shuffle ride", { { 36, "X-------X-----x-" }, { 38, "....X-......X-.." }, { 51, "X-x-X-x-X-x-X-x-" }, { 44, "....x-......x-.." } } },
    { "double shuffle", { { 36, "X---x---X---x---" }, { 38, "o-o-X-o-o-o-X-o-" }, { 42, "x-x-x-x-x-x-x-x-" } } },
    { "twelve-eight", { { 36, "X-----x-X-x-----" }, { 38, "....X-......X-.." }, { 42, "Xxx-Xxx-Xxx-Xxx-" } } },
    { "flat tire", { { 36, "X---X---X---X---" }, { 38, "..o-..X-..o-..X-" }, { 42, "x-x-x-x-x-x-x-x-" } } }, { 0 }
};
static const data_groove blues_straight[] = {
    { "blues rock", { { 36, "X-----x-x-------" }, { 38, "....X-......X-.." }, { 42, "X-x-X-x-X-x-X-x-" } } },
    { "rhumba blues", { { 36, "X-----x-X---x---" }, { 37, "...x..x...x.x..." }, { 42, "x-x-x-x-x-x-x-x-" } } }, { 0 }
};
static const data_pattern melody_blues4[] = {
    { "call", "x-x-x-x-x-------" }, { "late call", "....x-x-x-x-x---" }, { "cry", "x---------x-x---" }, { "shouted", "x---x---x-x-x---" },
    { "pick-up", "..x-x-x-x---x---" }, { "held", "x-----------x-x-" }, { 0 }
};
static const char *const blues_major[] = {
    "I7|I7|I7|I7|IV7|IV7|I7|I7|V7|IV7|I7|V7", "I7|IV7|I7|I7|IV7|IV7|I7|I7|V7|IV7|I7|V7", "I7|I7|I7|I7|IV7|IV7|I7|I7|V7|V7|I7|I7",
    "I7|IV7|I7|I7|IV7|IV7|I7|VI7|ii7|V7|I7 VI7|ii7 V7", "I7|IV7|I7|I7|IV7|IV7|I7|I7|V7|IV7|I7 IV7|I7 V7", NULL
};
static const char *const blues_minor[] = {
    "i7|i7|i7|i7|iv7|iv7|i7|i7|VI7|V7|i7|V7", "i7|iv7|i7|i7|iv7|iv7|i7|i7|V7|iv7|i7|V7", "i7|i7|i7|i7|iv7|iv7|i7|i7|iim7b5|V7|i7|i7", NULL
};
static const char *const blues_form[] = { "verse", "solo", "verse", "verse", "solo", "verse", NULL };

/* ---- country: root and fifth below, chords on the off-beat, brushes like a train ---- */
static const data_pattern boom_chick4[] = {
    { "boom-chick", "B---d---b---d---" }, { "boom-chicka", "B---d-u-b---d-u-" }, { "boom-chick eighths", "B-d-b-d-B-d-b-d-" }, { "country strum", "B---D-u-b-u-D-u-" }, { 0 }
};
static const data_pattern boom_chick3[] = { { "country waltz", "B---d---d---" }, { "country waltz strummed", "B---d-u-d-u-" }, { 0 } };
static const data_style_set boom_chick = { boom_chick4, boom_chick4, boom_chick3 };
static const data_pattern rolls4[] = {
    { "forward roll", "1-2-3-1-2-3-1-3-" }, { "forward roll sixteenths", "1231231312312313" }, { "alternating thumb", "1-3-2-4-1-3-2-4-" }, { "backward roll", "4-3-1-4-3-1-4-1-" }, { 0 }
};
static const data_pattern rolls3[] = { { "roll in three", "1-3-2-4-3-2-" }, { 0 } };
static const data_style_set rolls = { rolls4, rolls4, rolls3 };
static const data_pattern twang4[] = { { "chicken picking", "..1.3-..1.4-3-.." }, { "off-beat chops", "....D.......D..." }, { "twang arpeggio", "1-3-4-3-1-3-4-3-" }, { 0 } };
static const data_pattern twang3[] = { { "chops in three", "....D...D..." }, { 0 } };
static const data_style_set twang = { twang4, twang4, twang3 };
static const data_pattern country_bass4[] = {
    { "alternating", "R-------5-------" }, { "alternating with run", "R-------5-------|R---5---R---a---" }, { "alternating quarters", "R---5---R---5---" }, { "two-step", "R-------5---a---" }, { 0 }
};
static const data_pattern country_bass3[] = { { "waltz bass", "R-----------" }, { "waltz bass alternating", "R-----------|5-----------" }, { 0 } };
static const data_style_set country_bass = { country_bass4, country_bass4, country_bass3 };
static const data_groove country_drums[] = {
    { "train beat", { { 36, "X---x---X---x---" }, { 38, "ooXoooXoooXoooXo" } } },
    { "train beat open", { { 36, "X-------X-------" }, { 38, "oxXoxoXooxXoxoXo" } } },
    { "two-beat", { { 36, "X-------X-------" }, { 37, "....X-......X-.." }, { 42, "x-o-x-o-x-o-x-o-" } } },
    { "country rock", { { 36, "X-----x-X-------" }, { 38, "....X-......X-.." }, { 42, "x-x-x-x-x-x-x-x-" } } }, { 0 }
};
static const data_groove country_three[] = {
    { "country waltz", { { 36, "X-----------" }, { 38, "....o---o---" }, { 42, "x---x---x---" } } },
    { "brush waltz", { { 36, "X-----------" }, { 38, "....x-o-x-o-" } } }, { 0 }
};
static const char *const country_major[] = {
    "I|I|IV|I|I|I|V|V", "I|IV|V|I", "I|I|IV|IV|V|V|I|I", "I|IV|I|V", "I|V|V|I", "I|I|V|V", "I|IV|I|V7", "IV|I|V7|I", "I I7|IV|I V7|I", "I|vi|IV|V", "I|II7|V7|I", NULL
};
static const char *const country_minor[] = { "i|VII|i|VII", "i|iv|V7|i", "i|VI|VII|i", "i|III|VII|i", NULL };

/* ---- reggae: chords on the off-beats only, the kick on the second and fourth beat ---- */
static const data_pattern skank4[] = {
    { "skank", "..D...D...D...D." }, { "double skank", "..Du..Du..Du..Du" }, { "skank with scratch", "..D..xD...D..xD." }, { "skank and pick-up", "..D...D...D...DU" }, { 0 }
};
static const data_style_set skank = { skank4, skank4, NULL };
static const data_pattern bubble4[] = { { "organ bubble", "..Cc..Cc..Cc..Cc" }, { "full bubble", ".cCc.cCc.cCc.cCc" }, { "organ off-beats", "..C...C...C...C." }, { 0 } };
static const data_style_set bubble = { bubble4, bubble4, NULL };
static const data_pattern off_beat_keys4[] = { { "piano off-beats", "..C...C...C...C." }, { "double chops", "..Cc..Cc..Cc..Cc" }, { 0 } };
static const data_style_set off_beat_keys = { off_beat_keys4, off_beat_keys4, NULL };
static const data_pattern reggae_bass4[] = {
    { "roots", "R---R-5-3-R-...." }, { "drop the one", "..R-R---5-R-3-.." }, { "steppers bass", "R--R..R-5--3..R-" }, { "heavy two-bar", "R-R-5---..R-3-5-|R-----8-5-....3-" },
    { "octave drop", "..R-..R-R-5-8---" }, { "long and short", "R-----R-5-5-..R-" }, { 0 }
};
static const data_style_set reggae_bass = { reggae_bass4, reggae_bass4, NULL };
static const data_groove reggae_drums[] = {
    { "one drop", { { 36, "....X-......X-.." }, { 37, "....X-......X-.." }, { 42, "x-x-x-x-x-x-x-x-" } } },
    { "one drop shuffle", { { 36, "....X-......X-.." }, { 37, "....X-....o.X-.o" }, { 42, "x-oxx-oxx-oxx-ox" } } },
    { "rockers", { { 36, "X---X---X---X---" }, { 37, "....X-......X-.." }, { 42, "x-x-x-x-x-x-x-x-" } } },
    { "steppers", { { 36, "X---X---X---X---" }, { 38, "....X--o....X-o." }, { 42, "..x-..x-..x-..x-" } } },
    { "one drop open hat", { { 36, "....X-......X-.." }, { 37, "....X--x....X---" }, { 42, "x-x-x-x-x-x-x-.." }, { 46, "..............x-" } } }, { 0 }
};
static const char *const reggae_major[] = {
    "I|IV|I|IV", "I|V|vi|IV", "I IV|V IV|I IV|V IV", "I|ii|I|ii", "I|IV|V|IV", "I|bVII|IV|I", "I|vi|ii|V", "I|iii|IV|V", NULL
};
static const char *const reggae_minor[] = { "i|VII|i|VII", "i|iv|i|iv", "i|VI|VII|i", "i|iv|VII|III", "i|v|i|v", "i|VII|VI|VII", NULL };

/* ---- genres ---- */
#define EG "electric guitar"
#define AG "acoustic guitar"
const data_genre_table data_roots_genres[] = {
    { "blues", 64, 142, 0.2, 0, 0.85, 0.66, 7, blues_major, blues_minor, melody_blues4, data_melody3, blues_straight, blues_straight, data_rock_three, blues_shuffle,
      { { "rhythm", 0.9, { { EG, 27, DATA_PLAY_POWER, &boogie, 40, 64, -8 }, { EG, 26, DATA_PLAY_GUITAR, &blues_chords, 40, 76, -9 },
                           { EG, 29, DATA_PLAY_POWER, &boogie, 40, 64, -9 }, { AG, 25, DATA_PLAY_POWER, &boogie, 40, 64, -8 } } },
        { "bass", 1.0, { { "bass", 33, DATA_PLAY_BASS, &blues_bass, 28, 52, -6 }, { "bass", 33, DATA_PLAY_WALK, NULL, 28, 52, -6 },
                         { "double bass", 32, DATA_PLAY_WALK, NULL, 28, 52, -6 } } },
        { "drums", 0.95, { { "drums", 0, DATA_PLAY_DRUMS, NULL, 0, 0, -7 }, { "drums", 32, DATA_PLAY_DRUMS, NULL, 0, 0, -7 },
                           { "drums", 8, DATA_PLAY_DRUMS, NULL, 0, 0, -7 } } },
        { "lead", 0.7, { { EG, 27, DATA_PLAY_LEAD, NULL, 52, 79, -9 }, { EG, 29, DATA_PLAY_LEAD, NULL, 52, 81, -10 },
                         { "harmonica", 22, DATA_PLAY_LEAD, NULL, 60, 84, -9 } } },
        { "rhythm", 0.5, { { "piano", 0, DATA_PLAY_KEYS, &blues_piano, 43, 79, -10 }, { "piano", 1, DATA_PLAY_KEYS, &blues_piano, 43, 79, -10 } } },
        { "pad", 0.3, { { "organ", 17, DATA_PLAY_PAD, &data_organ, 52, 76, -12 }, { "organ", 16, DATA_PLAY_PAD, &data_organ, 52, 76, -12 } } },
        { "counter", 0.4, { { "harmonica", 22, DATA_PLAY_COUNTER, NULL, 60, 84, -11 }, { "harmonica", 22, DATA_PLAY_LEAD, NULL, 60, 84, -10 },
                            { "saxophone", 66, DATA_PLAY_LEAD, NULL, 46, 72, -11 } } } },
      .form = blues_form, .unit = 12, .flags = DATA_SONG_BLUES },
    { "country", 82, 152, 0.08, 0.2, 0.15, 0.62, 5, country_major, country_minor, data_melody4, data_melody3, country_drums, country_drums, country_three, country_drums,
      { { "rhythm", 1.0, { { AG, 25, DATA_PLAY_GUITAR, &boom_chick, 40, 76, -7 }, { AG, 25, DATA_PLAY_GUITAR, &boom_chick, 40, 76, -8 },
                           { AG, 25, DATA_PLAY_GUITAR, &data_picked, 40, 76, -7 } } },
        { "bass", 1.0, { { "bass", 33, DATA_PLAY_BASS, &country_bass, 28, 50, -7 }, { "double bass", 32, DATA_PLAY_BASS, &country_bass, 28, 50, -6 },
                         { "bass", 33, DATA_PLAY_BASS, &country_bass, 28, 50, -7 } } },
        { "drums", 0.8, { { "drums", 0, DATA_PLAY_DRUMS, NULL, 0, 0, -9 }, { "drums", 40, DATA_PLAY_DRUMS, NULL, 0, 0, -8 },
                          { "drums", 8, DATA_PLAY_DRUMS, NULL, 0, 0, -9 } } },
        { "lead", 0.65, { { "violin", 110, DATA_PLAY_LEAD, NULL, 57, 84, -9 }, { "violin", 40, DATA_PLAY_LEAD, NULL, 57, 84, -9 },
                          { EG, 27, DATA_PLAY_LEAD, NULL, 52, 79, -9 } } },
        { "rhythm", 0.5, { { "banjo", 105, DATA_PLAY_KEYS, &rolls, 46, 79, -10 }, { EG, 27, DATA_PLAY_GUITAR, &twang, 45, 79, -10 } } },
        { "rhythm", 0.2, { { "piano", 0, DATA_PLAY_KEYS, &data_keys, 43, 79, -11 }, { "piano", 1, DATA_PLAY_KEYS, &data_keys, 43, 79, -11 } } },
        { "counter", 0.3, { { "harmonica", 22, DATA_PLAY_COUNTER, NULL, 60, 84, -11 }, { "violin", 110, DATA_PLAY_COUNTER, NULL, 57, 81, -11 },
                            { EG, 26, DATA_PLAY_COUNTER, NULL, 55, 79, -11 } } } }, .flags = 0 },
    { "reggae", 62, 94, 0.4, 0, 0.4, 0.6, 6, reggae_major, reggae_minor, data_melody4, data_melody3, reggae_drums, reggae_drums, data_rock_three, reggae_drums,
      { { "rhythm", 1.0, { { EG, 27, DATA_PLAY_GUITAR, &skank, 45, 79, -9 }, { EG, 28, DATA_PLAY_GUITAR, &skank, 45, 79, -9 },
                           { EG, 26, DATA_PLAY_GUITAR, &skank, 45, 79, -9 } } },
        { "bass", 1.0, { { "bass", 33, DATA_PLAY_BASS, &reggae_bass, 28, 48, -4 }, { "bass", 35, DATA_PLAY_BASS, &reggae_bass, 28, 48, -4 } } },
        { "drums", 1.0, { { "drums", 0, DATA_PLAY_DRUMS, NULL, 0, 0, -6 }, { "drums", 8, DATA_PLAY_DRUMS, NULL, 0, 0, -6 } } },
        { "rhythm", 0.8, { { "organ", 16, DATA_PLAY_KEYS, &bubble, 43, 76, -11 }, { "organ", 17, DATA_PLAY_KEYS, &bubble, 43, 76, -11 },
                           { "piano", 0, DATA_PLAY_KEYS, &off_beat_keys, 43, 79, -10 } } },
        { "lead", 0.3, { { EG, 28, DATA_PLAY_LEAD, NULL, 52, 76, -11 }, { "saxophone", 66, DATA_PLAY_LEAD, NULL, 46, 72, -11 },
                         { "trumpet", 56, DATA_PLAY_LEAD, NULL, 56, 79, -11 } } },
        { "counter", 0.4, { { "brass", 61, DATA_PLAY_COUNTER, NULL, 50, 77, -12 }, { "organ", 18, DATA_PLAY_COUNTER, NULL, 60, 84, -13 },
                            { "brass", 61, DATA_PLAY_LEAD, NULL, 52, 79, -12 } } } },
      .flags = DATA_SONG_SIXTEENTHS },
    { 0 }
};
