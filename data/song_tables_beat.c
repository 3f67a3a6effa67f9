/* Disco, metal and hip-hop. data/song_tables.h has the alphabet of the patterns. */
#include "data/song_tables.h"

#include <stddef.h>

/* ---- disco: four on the floor, open hats between, the bass in octaves ---- */
static const data_pattern disco_guitar4[] = {
    { "funk sixteenths", "D.xu.xD.x.uxD.x." }, { "disco scratches", "xxDuxxDuxxDuxxDu" }, { "off-beat chops", "..D...D...D...D." }, { "muted line", "1.1.3.1.4.1.3.1." }, { 0 }
};
static const data_style_set disco_guitar = { disco_guitar4, disco_guitar4, NULL };
static const data_pattern disco_keys4[] = {
    { "piano pushes", "C--C--C---C--C--" }, { "octave chords", "C-c-C-c-C-c-C-c-" }, { "off-beat keys", "..C-..C-..C-..C-" }, { "stabs", "C.....C.....C..." }, { 0 }
};
static const data_style_set disco_keys = { disco_keys4, disco_keys4, NULL };
static const data_pattern disco_strings_quiet4[] = { { "pad", "C---------------" }, { "late swell", "....C-----------" }, { "string stabs", "..C...C.....C.C." }, { 0 } };
static const data_pattern disco_strings_loud4[] = { { "pad", "C---------------" }, { "string pushes", "C-----C-----C---" }, { "string sixteenths", "C.cccC.cccC.cccC" }, { 0 } };
static const data_style_set disco_strings = { disco_strings_quiet4, disco_strings_loud4, NULL };
static const data_pattern horn_stabs4[] = { { "horn stabs", "C.....C........." }, { "horn answers", "........C.C...C-" }, { "horn pushes", "......C-....c.C." }, { 0 } };
static const data_style_set horn_stabs = { horn_stabs4, horn_stabs4, NULL };
static const data_pattern disco_bass4[] = {
    { "octaves", "R-8-R-8-R-8-R-8-" }, { "galloping octaves", "R-R8R-R8R-R8R-R8" }, { "off-beat octaves", "R.8.R.8.R.8.R8a." }, { "octaves and fifth", "R-8-R-8-R-8-5-a-" }, { "funk octaves", "R-.8..8-R-.8.7a-" }, { 0 }
};
static const data_style_set disco_bass = { disco_bass4, disco_bass4, NULL };
static const data_groove disco_drums[] = {
    { "disco", { { 36, "X---X---X---X---" }, { 38, "....X-......X-.." }, { 46, "..x-..x-..x-..x-" }, { 42, "x-..x-..x-..x-.." } } },
    { "disco sixteenths", { { 36, "X---X---X---X---" }, { 38, "....X-......X-.." }, { 42, "xo.oxo.oxo.oxo.o" }, { 46, "..x-..x-..x-..x-" } } },
    { "disco claps", { { 36, "X---X---X---X---" }, { 39, "....X-......X-.." }, { 46, "..x-..x-..x-..x-" } } },
    { "disco with snare pick-up", { { 36, "X---X---X---X---" }, { 38, "....X-......X-xx" }, { 46, "..x-..x-..x-...." }, { 39, "....x-......x-.." } } },
    { "disco congas", { { 36, "X---X---X---X---" }, { 38, "....X-......X-.." }, { 46, "..x-..x-..x-..x-" }, { 63, "...x..x....x..xx" }, { 64, "x-..x...x-..x..." } } }, { 0 }
};
static const char *const disco_major[] = {
    "Imaj7|IVmaj7|Imaj7|IVmaj7", "vi|IV|I|V", "I|vi|ii|V", "ii7|iii7|IVmaj7|V", "I|V|vi|IV", "Imaj7|vi7|ii7|V7", "IVmaj7|iii7|ii7|V7", NULL
};
static const char *const disco_minor[] = {
    "i7|iv7|VII|IIImaj7", "i7|IV7|i7|IV7", "i|VI|VII|i", "i|VII|VI|V7", "i|iv|VII|III|VI|iio|V|V7", "i7|VII|VImaj7|VII", "i|iv|i|V7", NULL
};

/* ---- metal: power chords on low strings, muted with the palm, two bass drums ---- */
static const data_pattern metal_quiet4[] = {
    { "gallop", "r-rrr-rrr-rrr-rr" }, { "palm-muted sixteenths", "rrrrrrrrrrrrrrrr" }, { "chugs and chords", "P-rrrrP-rrrrP-P-" }, { "palm-muted accents", "P-ppp-pPp-ppP-pp" },
    { "chug stops", "pp.pp.pp........" }, { "breakdown", "p..p..p.p..p..p." }, { 0 }
};
static const data_pattern metal_loud4[] = {
    { "open chords", "P-------P-----P-" }, { "tremolo chords", "PPPPPPPPPPPPPPPP" }, { "thrash", "P-pppppPp-ppP-pp" }, { "power gallop", "P-ppP-ppP-ppP-pp" }, { "power eighths", "P-P-P-P-P-P-P-P-" }, { 0 }
};
static const data_pattern metal_three[] = { { "metal three", "P-pppppppppp" }, { "power three", "P-----P-P-P-" }, { 0 } };
static const data_style_set metal_power = { metal_quiet4, metal_loud4, metal_three };
static const data_pattern metal_bass4[] = {
    { "sixteenths", "RRRRRRRRRRRRRRRR" }, { "gallop", "R-RRR-RRR-RRR-RR" }, { "eighths", "R-R-R-R-R-R-R-R-" }, { "roots", "R-------R-----R-" }, { 0 }
};
static const data_pattern metal_bass3[] = { { "eighths in three", "R-R-R-R-R-R-" }, { 0 } };
static const data_style_set metal_bass = { metal_bass4, metal_bass4, metal_bass3 };
static const data_groove metal_quiet[] = {
    { "double kick sixteenths", { { 36, "xxxxxxxxxxxxxxxx" }, { 38, "....X-......X-.." }, { 51, "X---X---X---X---" } } },
    { "gallop kick", { { 36, "X-xxX-xxX-xxX-xx" }, { 38, "....X-......X-.." }, { 42, "X---X---X---X---" } } },
    { "breakdown", { { 36, "X..x..x.x..x..x." }, { 38, "........X-......" }, { 52, "X---X---X---X---" } } }, { 0 }
};
static const data_groove metal_loud[] = {
    { "thrash beat", { { 36, "X---X---X---X---" }, { 38, "..X-..X-..X-..X-" }, { 42, "X-X-X-X-X-X-X-X-" } } },
    { "blast beat", { { 36, "X-X-X-X-X-X-X-X-" }, { 38, ".X.X.X.X.X.X.X.X" }, { 51, "X-X-X-X-X-X-X-X-" } } },
    { "double kick with crash", { { 36, "xxxxxxxxxxxxxxxx" }, { 38, "....X-......X-.." }, { 49, "X-------X-------" }, { 51, "....X-..-...X-.." } } },
    { "double kick eighths", { { 36, "X-x-xxx-X-x-xxxx" }, { 38, "....X-......X-.." }, { 53, "X---X---X---X---" } } }, { 0 }
};
static const data_groove metal_drums_three[] = { { "metal three", { { 36, "x-xxx-xxx-xx" }, { 38, "......X-...." }, { 51, "X---X---X---" } } }, { 0 } };
static const data_pattern melody_metal4[] = {
    { "long cries", "x-------x-------" }, { "marching", "x---x---x---x---" }, { "shouted eighths", "x-x-x-x-x---x---" }, { "held", "x-----------x---" }, { "late", "....x-x-x-x-x---" }, { 0 }
};
static const char *const metal_minor[] = {
    "i|bII|i|VII", "i|VI|VII|i", "i|i|VI|VII", "i|bII|VII|i", "i|VI|iv|V", "i|III|bII|i", "i|i|i|bII", "i|VI|III|VII", "i VI|VII i|i VI|bII V", NULL
};
static const char *const metal_major[] = { "I|bVII|bVI|bVII", "I|bVII|IV|I", "I|bIII|bVII|IV", NULL };

/* ---- hip-hop: short loops over a slow beat whose sixteenths lean back, a bass below everything ---- */
static const data_pattern loop_keys4[] = {
    { "sparse loop", "C-----..c-......" }, { "loop of two bars", "C---------c-....|..C-....C-......" }, { "broken loop", "1-3-4---3-..2---" }, { "falling loop", "4---3---2---1---" },
    { "stabs loop", "C..C......C....." }, { "plucked loop", "1..3..4.1..3..2." }, { 0 }
};
static const data_style_set loop_keys = { loop_keys4, loop_keys4, NULL };
static const data_pattern loop_pad4[] = { { "sample", "C---------------" }, { "chopped sample", "C-----C-..C-...." }, { 0 } };
static const data_style_set loop_pad = { loop_pad4, loop_pad4, NULL };
static const data_pattern sub4[] = {
    { "sub long", "R---------....R-" }, { "sub drops", "R-----....R---.." }, { "sub with kick", "R--...R---R-...." }, { "sub glide", "R-------..8---R-" }, { "boom-bap bass", "R-..R...R-5-..R-" }, { 0 }
};
static const data_style_set sub = { sub4, sub4, NULL };
static const data_groove hip_hop_drums[] = {
    { "boom-bap", { { 36, "X-....X-..X-...." }, { 38, "....X-......X-.." }, { 42, "x-x-x-x-x-x-x-x-" } } },
    { "boom-bap late kick", { { 36, "X-.....x-.X-...." }, { 38, "....X-......X-.o" }, { 42, "x-xox-x-x-xox-x-" } } },
    { "head nod", { { 36, "X--x....X-x-...." }, { 38, "....X-......X-.." }, { 42, "x-o-x-o-x-o-x-o-" }, { 46, "..............x-" } } },
    { "trap", { { 36, "X-....x-..X-...." }, { 39, "....X-......X-.." }, { 42, "x-xxx-xrx-xxxrxr" } } },
    { "trap rolls", { { 36, "X-.x......X-...." }, { 38, "....X-......X-.." }, { 42, "xxxrxxrrxxxxrrxx" } } },
    { "half-time trap", { { 36, "X-....X-....x-.." }, { 38, "........X-......" }, { 42, "x-x-xrx-x-xxx-rr" } } }, { 0 }
};
static const data_pattern melody_rap4[] = {
    { "rapped", "xxx-x-xxx-x-x-x-" }, { "rapped sixteenths", "xxxxx-xxxxx-x---" }, { "off the beat", "..xxx-xxx-xxx-x-" }, { "couplet", "x-xxx-x-x-xxx-x-" }, { "triplet-like", "x-xx-xx-x-xx-xx-" }, { 0 }
};
static const char *const hip_hop_minor[] = { "i|VI", "i|iv", "i7|VImaj7", "i|i|VI|VII", "i|VII|VI|VII", "i7|iv7", "i|VI|iv|V7", "i|v", NULL };
static const char *const hip_hop_major[] = { "Imaj7|IVmaj7", "ii7|Imaj7", "I|vi", "Imaj7|iii7", "ii7|iii7|vi7|vi7", NULL };
static const char *const hip_hop_form[] = { "verse", "verse", "chorus", "verse", "verse", "chorus", "bridge", "chorus", NULL };

/* ---- genres ---- */
#define EG "electric guitar"
#define AG "acoustic guitar"
const data_genre_table data_beat_genres[] = {
    { "disco", 104, 134, 0.55, 0, 0, 0.5, 4, disco_major, disco_minor, data_melody4, data_melody3, disco_drums, disco_drums, data_rock_three, disco_drums,
      { { "rhythm", 0.85, { { EG, 27, DATA_PLAY_GUITAR, &disco_guitar, 45, 79, -10 }, { EG, 28, DATA_PLAY_GUITAR, &disco_guitar, 45, 79, -10 } } },
        { "bass", 1.0, { { "bass", 33, DATA_PLAY_BASS, &disco_bass, 28, 55, -5 }, { "bass", 36, DATA_PLAY_BASS, &disco_bass, 28, 55, -5 },
                         { "bass", 38, DATA_PLAY_BASS, &disco_bass, 28, 55, -6 } } },
        { "drums", 1.0, { { "drums", 0, DATA_PLAY_DRUMS, NULL, 0, 0, -4 }, { "drums", 8, DATA_PLAY_DRUMS, NULL, 0, 0, -4 }, { "drums", 24, DATA_PLAY_DRUMS, NULL, 0, 0, -4 } } },
        { "pad", 0.9, { { "strings", 48, DATA_PLAY_PAD, &disco_strings, 57, 84, -10 }, { "strings", 48, DATA_PLAY_PAD, &disco_strings, 57, 84, -10 },
                        { "strings", 50, DATA_PLAY_PAD, &disco_strings, 57, 84, -11 } } },
        { "rhythm", 0.7, { { "electric piano", 4, DATA_PLAY_KEYS, &disco_keys, 45, 79, -10 }, { "piano", 0, DATA_PLAY_KEYS, &disco_keys, 43, 84, -10 },
                           { "piano", 1, DATA_PLAY_KEYS, &disco_keys, 43, 84, -10 } } },
        { "counter", 0.6, { { "brass", 61, DATA_PLAY_KEYS, &horn_stabs, 46, 79, -11 }, { "strings", 48, DATA_PLAY_COUNTER, NULL, 69, 91, -12 },
                            { "brass", 61, DATA_PLAY_KEYS, &horn_stabs, 46, 79, -11 } } },
        { "lead", 0.15, { { "saxophone", 65, DATA_PLAY_LEAD, NULL, 51, 78, -11 }, { "synthesizer", 81, DATA_PLAY_LEAD, NULL, 60, 84, -12 } } } }, .flags = 0 },
    { "metal", 104, 196, 0.93, 0.05, 0.03, 0.62, 4, metal_major, metal_minor, melody_metal4, data_melody3, metal_quiet, metal_loud, metal_drums_three, metal_quiet,
      { { "rhythm", 1.0, { { EG, 30, DATA_PLAY_POWER, &metal_power, 35, 58, -6 }, { EG, 30, DATA_PLAY_POWER, &metal_power, 36, 58, -6 },
                           { EG, 29, DATA_PLAY_POWER, &metal_power, 35, 58, -6 }, { EG, 30, DATA_PLAY_RIFF, NULL, 35, 57, -6 } } },
        { "bass", 1.0, { { "bass", 34, DATA_PLAY_BASS, &metal_bass, 26, 46, -7 }, { "bass", 34, DATA_PLAY_BASS, &metal_bass, 26, 46, -7 },
                         { "bass", 33, DATA_PLAY_BASS, &metal_bass, 26, 46, -7 } } },
        { "drums", 1.0, { { "drums", 16, DATA_PLAY_DRUMS, NULL, 0, 0, -4 }, { "drums", 0, DATA_PLAY_DRUMS, NULL, 0, 0, -4 }, { "drums", 8, DATA_PLAY_DRUMS, NULL, 0, 0, -4 } } },
        { "rhythm", 0.75, { { EG, 30, DATA_PLAY_POWER, &metal_power, 35, 58, -8 }, { EG, 30, DATA_PLAY_RIFF, NULL, 47, 69, -9 } } },
        { "lead", 0.6, { { EG, 30, DATA_PLAY_LEAD, NULL, 59, 88, -9 }, { EG, 29, DATA_PLAY_LEAD, NULL, 59, 88, -9 } } },
        { "pad", 0.12, { { "strings", 48, DATA_PLAY_PAD, &data_padding, 52, 76, -14 }, { "organ", 19, DATA_PLAY_PAD, &data_padding, 48, 76, -14 } } } }, .flags = 0 },
    { "hip-hop", 68, 104, 0.8, 0, 0.6, 0.57, 6, hip_hop_major, hip_hop_minor, melody_rap4, data_melody3, hip_hop_drums, hip_hop_drums, data_rock_three, hip_hop_drums,
      { { "rhythm", 1.0, { { "electric piano", 4, DATA_PLAY_KEYS, &loop_keys, 45, 79, -10 }, { "piano", 0, DATA_PLAY_KEYS, &loop_keys, 45, 81, -10 },
                           { AG, 24, DATA_PLAY_GUITAR, &loop_keys, 45, 79, -10 }, { "vibraphone", 11, DATA_PLAY_KEYS, &loop_keys, 53, 84, -11 },
                           { "synthesizer", 80, DATA_PLAY_KEYS, &loop_keys, 50, 79, -13 } } },
        { "bass", 1.0, { { "bass", 38, DATA_PLAY_BASS, &sub, 26, 43, -3 }, { "bass", 39, DATA_PLAY_BASS, &sub, 26, 43, -3 }, { "bass", 33, DATA_PLAY_BASS, &sub, 28, 45, -4 } } },
        { "drums", 1.0, { { "drums", 25, DATA_PLAY_DRUMS, NULL, 0, 0, -3 }, { "drums", 25, DATA_PLAY_DRUMS, NULL, 0, 0, -3 },
                          { "drums", 24, DATA_PLAY_DRUMS, NULL, 0, 0, -3 }, { "drums", 0, DATA_PLAY_DRUMS, NULL, 0, 0, -3 } } },
        { "pad", 0.55, { { "synth pad", 89, DATA_PLAY_PAD, &loop_pad, 52, 79, -13 }, { "strings", 48, DATA_PLAY_PAD, &loop_pad, 52, 79, -13 },
                         { "synth pad", 90, DATA_PLAY_PAD, &loop_pad, 52, 79, -13 } } },
        { "counter", 0.25, { { "synthesizer", 80, DATA_PLAY_COUNTER, NULL, 60, 84, -14 }, { "brass", 61, DATA_PLAY_KEYS, &loop_keys, 46, 74, -13 },
                             { "flute", 73, DATA_PLAY_COUNTER, NULL, 67, 88, -14 } } } },
      .form = hip_hop_form, .flags = DATA_SONG_SIXTEENTHS, .voice_span = 8 },
    { 0 }
};
