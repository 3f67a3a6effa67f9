#include "data/instruments.h"

#include "base/config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    M = DATA_ROLE_MELODY, C = DATA_ROLE_CHORDS, B = DATA_ROLE_BASS, R = DATA_ROLE_RHYTHM, P = DATA_ROLE_PAD,
    NAME_MAX_BYTES = 256, WORDS_MAX = 32
};

/* Ranges: what the instrument usually plays, sounding pitch. Drums and percussion: General MIDI keys. */
static const data_instrument table[] = {
    { "electric guitar", DATA_GUITARS, M | C | R, 1, 40, 88, 27 },
    { "acoustic guitar", DATA_GUITARS, M | C | R, 1, 40, 84, 25 },
    { "bass", DATA_BASSES, B, 1, 28, 67, 33 },
    { "double bass", DATA_BASSES, B, 1, 28, 67, 32 },
    { "drums", DATA_PERCUSSION, R, 0, 35, 59, 0 },
    { "percussion", DATA_PERCUSSION, R, 0, 54, 81, 0 },
    { "piano", DATA_KEYBOARDS, M | C | R, 1, 21, 108, 0 },
    { "electric piano", DATA_KEYBOARDS, M | C | R, 1, 28, 103, 4 },
    { "clavinet", DATA_KEYBOARDS, C | R, 1, 29, 96, 7 },
    { "harpsichord", DATA_KEYBOARDS, M | C, 1, 29, 89, 6 },
    { "organ", DATA_ORGANS, M | C | P, 1, 24, 96, 17 },
    { "accordion", DATA_ORGANS, M | C | P, 1, 41, 93, 21 },
    { "strings", DATA_STRINGS, M | C | P, 1, 28, 96, 48 },
    { "violin", DATA_STRINGS, M, 1, 55, 103, 40 },
    { "viola", DATA_STRINGS, M, 1, 48, 91, 41 },
    { "cello", DATA_STRINGS, M | B, 1, 36, 76, 42 },
    { "saxophone", DATA_WOODWINDS, M, 1, 46, 87, 65 },
    { "flute", DATA_WOODWINDS, M, 1, 60, 98, 73 },
    { "clarinet", DATA_WOODWINDS, M, 1, 50, 91, 71 },
    { "oboe", DATA_WOODWINDS, M, 1, 58, 91, 68 },
    { "bassoon", DATA_WOODWINDS, M | B, 1, 34, 72, 70 },
    { "harmonica", DATA_WOODWINDS, M | C, 1, 60, 96, 22 },
    { "bagpipe", DATA_WOODWINDS, M, 1, 58, 81, 109 },
    { "trumpet", DATA_BRASS, M, 1, 52, 84, 56 },
    { "trombone", DATA_BRASS, M, 1, 40, 72, 57 },
    { "french horn", DATA_BRASS, M | P, 1, 34, 77, 60 },
    { "tuba", DATA_BRASS, B, 1, 28, 58, 58 },
    { "brass", DATA_BRASS, M | C | R, 1, 36, 84, 61 },
    { "vibraphone", DATA_MALLETS, M | C, 1, 53, 89, 11 },
    { "marimba", DATA_MALLETS, M | R, 1, 45, 96, 12 },
    { "xylophone", DATA_MALLETS, M, 1, 65, 108, 13 },
    { "glockenspiel", DATA_MALLETS, M, 1, 79, 108, 9 },
    { "celesta", DATA_MALLETS, M | C, 1, 60, 108, 8 },
    { "bells", DATA_MALLETS, M, 1, 60, 89, 14 },
    { "timpani", DATA_MALLETS, B | R, 1, 36, 57, 47 },
    { "harp", DATA_PLUCKED, M | C, 1, 24, 103, 46 },
    { "banjo", DATA_PLUCKED, M | C | R, 1, 48, 88, 105 },
    { "mandolin", DATA_PLUCKED, M | C | R, 1, 55, 93, 25 },
    { "ukulele", DATA_PLUCKED, C | R, 1, 60, 81, 24 },
    { "sitar", DATA_PLUCKED, M, 1, 48, 84, 104 },
    { "koto", DATA_PLUCKED, M, 1, 55, 84, 107 },
    { "dulcimer", DATA_PLUCKED, M | C, 1, 48, 96, 15 },
    { "voice", DATA_VOICES, M, 1, 40, 84, 53 },
    { "choir", DATA_VOICES, C | P, 1, 40, 84, 52 },
    { "synthesizer", DATA_SYNTHS, M | C | R, 1, 24, 103, 80 },
    { "synth pad", DATA_SYNTHS, C | P, 1, 36, 96, 89 },
};
enum { N_INSTRUMENTS = sizeof table / sizeof table[0] };

/* Other names, already in normal form (lower case, single blanks, no number at the end). */
static const struct { const char *alias, *name; } aliases[] = {
    { "guitar", "electric guitar" }, { "guitars", "electric guitar" }, { "electric guitars", "electric guitar" },
    { "e guitar", "electric guitar" }, { "eguitar", "electric guitar" }, { "elec guitar", "electric guitar" },
    { "electricguitar", "electric guitar" }, { "guitar electric", "electric guitar" }, { "gtr", "electric guitar" },
    { "elec gtr", "electric guitar" }, { "egtr", "electric guitar" }, { "lead guitar", "electric guitar" },
    { "leadguitar", "electric guitar" }, { "guitar lead", "electric guitar" }, { "rhythm guitar", "electric guitar" },
    { "rhythmguitar", "electric guitar" }, { "guitar rhythm", "electric guitar" }, { "solo guitar", "electric guitar" },
    { "distortion guitar", "electric guitar" }, { "distorted guitar", "electric guitar" },
    { "distorted electric guitar", "electric guitar" }, { "clean electric guitar", "electric guitar" },
    { "overdriven guitar", "electric guitar" }, { "overdrive guitar", "electric guitar" },
    { "distortion", "electric guitar" }, { "clean guitar", "electric guitar" }, { "muted guitar", "electric guitar" },
    { "jazz guitar", "electric guitar" }, { "power chords", "electric guitar" },
    { "acoustic guitars", "acoustic guitar" }, { "acousticguitar", "acoustic guitar" },
    { "guitar acoustic", "acoustic guitar" }, { "ac guitar", "acoustic guitar" }, { "acoustic gtr", "acoustic guitar" },
    { "nylon guitar", "acoustic guitar" }, { "steel guitar", "acoustic guitar" }, { "classical guitar", "acoustic guitar" },
    { "spanish guitar", "acoustic guitar" }, { "folk guitar", "acoustic guitar" }, { "agtr", "acoustic guitar" },
    { "electric bass", "bass" }, { "bass guitar", "bass" }, { "bassguitar", "bass" }, { "electric bass guitar", "bass" },
    { "e bass", "bass" }, { "fretless bass", "bass" }, { "slap bass", "bass" }, { "fingered bass", "bass" },
    { "picked bass", "bass" }, { "synth bass", "bass" }, { "bassline", "bass" }, { "bass line", "bass" },
    { "bass di", "bass" }, { "basses", "bass" },
    { "upright bass", "double bass" }, { "acoustic bass", "double bass" }, { "contrabass", "double bass" },
    { "string bass", "double bass" }, { "standup bass", "double bass" }, { "doublebass", "double bass" },
    { "drum", "drums" }, { "drum kit", "drums" }, { "drumkit", "drums" }, { "drum set", "drums" }, { "kit", "drums" },
    { "drumset", "drums" }, { "drum loop", "drums" }, { "brushes", "drums" }, { "kick", "drums" }, { "snare", "drums" },
    { "kick drum", "drums" }, { "bass drum", "drums" }, { "snare drum", "drums" }, { "hi hat", "drums" },
    { "hihat", "drums" }, { "hat", "drums" }, { "hats", "drums" }, { "tom", "drums" }, { "toms", "drums" },
    { "cymbal", "drums" }, { "cymbals", "drums" }, { "overheads", "drums" }, { "overhead", "drums" },
    { "beat", "drums" }, { "beats", "drums" }, { "drum machine", "drums" },
    { "perc", "percussion" }, { "percussions", "percussion" }, { "congas", "percussion" }, { "bongos", "percussion" },
    { "tambourine", "percussion" }, { "shaker", "percussion" }, { "claps", "percussion" }, { "cajon", "percussion" },
    { "auxiliary percussion", "percussion" }, { "drums and percussion", "drums" },
    { "pno", "piano" }, { "grand piano", "piano" }, { "acoustic piano", "piano" }, { "acoustic grand piano", "piano" },
    { "upright piano", "piano" }, { "keys", "piano" }, { "keyboard", "piano" }, { "keyboards", "piano" },
    { "honky tonk piano", "piano" },
    { "rhodes", "electric piano" }, { "wurlitzer", "electric piano" }, { "e piano", "electric piano" },
    { "epiano", "electric piano" }, { "electricpiano", "electric piano" }, { "fender rhodes", "electric piano" },
    { "clav", "clavinet" }, { "clavi", "clavinet" }, { "cembalo", "harpsichord" },
    { "hammond", "organ" }, { "hammond organ", "organ" }, { "drawbar organ", "organ" }, { "church organ", "organ" },
    { "rock organ", "organ" }, { "percussive organ", "organ" }, { "pipe organ", "organ" }, { "reed organ", "organ" },
    { "electric organ", "organ" }, { "harmonium", "organ" }, { "bandoneon", "accordion" },
    { "string", "strings" }, { "string section", "strings" }, { "string ensemble", "strings" }, { "orchestra", "strings" },
    { "violins", "strings" }, { "string quartet", "strings" }, { "violin section", "strings" },
    { "fiddle", "violin" }, { "violas", "viola" }, { "violoncello", "cello" }, { "cellos", "cello" },
    { "sax", "saxophone" }, { "saxophones", "saxophone" }, { "alto sax", "saxophone" }, { "tenor sax", "saxophone" },
    { "soprano sax", "saxophone" }, { "baritone sax", "saxophone" }, { "bari sax", "saxophone" },
    { "alto saxophone", "saxophone" }, { "tenor saxophone", "saxophone" }, { "soprano saxophone", "saxophone" },
    { "baritone saxophone", "saxophone" },
    { "flutes", "flute" }, { "piccolo", "flute" }, { "recorder", "flute" }, { "pan flute", "flute" },
    { "clarinets", "clarinet" }, { "bass clarinet", "clarinet" }, { "english horn", "oboe" }, { "mouth organ", "harmonica" },
    { "bagpipes", "bagpipe" },
    { "trumpets", "trumpet" }, { "muted trumpet", "trumpet" }, { "cornet", "trumpet" }, { "flugelhorn", "trumpet" },
    { "trombones", "trombone" }, { "horn", "french horn" }, { "french horns", "french horn" },
    { "horns", "brass" }, { "brass section", "brass" }, { "horn section", "brass" }, { "synth brass", "brass" },
    { "vibes", "vibraphone" }, { "glock", "glockenspiel" }, { "music box", "celesta" }, { "chimes", "bells" },
    { "tubular bells", "bells" }, { "kettle drum", "timpani" },
    { "vocals", "voice" }, { "vocal", "voice" }, { "vox", "voice" }, { "singer", "voice" }, { "singing", "voice" },
    { "voices", "voice" }, { "lead vocals", "voice" }, { "lead vocal", "voice" }, { "vocals lead", "voice" },
    { "lead vox", "voice" }, { "leadvox", "voice" }, { "leadvocals", "voice" }, { "main vocals", "voice" },
    { "male vocals", "voice" }, { "female vocals", "voice" }, { "backing vocals", "voice" }, { "vocals backing", "voice" },
    { "background vocals", "voice" }, { "backing vox", "voice" }, { "bgv", "voice" }, { "bvox", "voice" },
    { "male voice", "voice" }, { "female voice", "voice" }, { "male singer", "voice" }, { "female singer", "voice" },
    { "vocalist", "voice" }, { "voice oohs", "voice" }, { "acapella", "voice" }, { "a cappella", "voice" },
    { "choir aahs", "choir" }, { "chorus", "choir" }, { "voice aahs", "choir" }, { "ahh choir", "choir" },
    { "synth", "synthesizer" }, { "synths", "synthesizer" }, { "synthesiser", "synthesizer" }, { "synth lead", "synthesizer" },
    { "lead synth", "synthesizer" }, { "analog synth", "synthesizer" },
    { "pad", "synth pad" }, { "pads", "synth pad" }, { "synth pads", "synth pad" },
};
enum { N_ALIASES = sizeof aliases / sizeof aliases[0] };

/* General MIDI program -> name; NULL for effects and noises. */
static const char *program_name(int p)
{
    static const struct { int first, last; const char *name; } ranges[] = {
        { 0, 3, "piano" }, { 4, 5, "electric piano" }, { 6, 6, "harpsichord" }, { 7, 7, "clavinet" },
        { 8, 8, "celesta" }, { 9, 9, "glockenspiel" }, { 10, 10, "celesta" }, { 11, 11, "vibraphone" },
        { 12, 12, "marimba" }, { 13, 13, "xylophone" }, { 14, 14, "bells" }, { 15, 15, "dulcimer" },
        { 16, 20, "organ" }, { 21, 21, "accordion" }, { 22, 22, "harmonica" }, { 23, 23, "accordion" },
        { 24, 25, "acoustic guitar" }, { 26, 31, "electric guitar" }, { 32, 32, "double bass" }, { 33, 39, "bass" },
        { 40, 40, "violin" }, { 41, 41, "viola" }, { 42, 42, "cello" }, { 43, 43, "double bass" },
        { 44, 45, "strings" }, { 46, 46, "harp" }, { 47, 47, "timpani" }, { 48, 51, "strings" }, { 52, 52, "choir" },
        { 53, 54, "voice" }, { 56, 56, "trumpet" }, { 57, 57, "trombone" }, { 58, 58, "tuba" }, { 59, 59, "trumpet" },
        { 60, 60, "french horn" }, { 61, 63, "brass" }, { 64, 67, "saxophone" }, { 68, 69, "oboe" },
        { 70, 70, "bassoon" }, { 71, 71, "clarinet" }, { 72, 79, "flute" }, { 80, 87, "synthesizer" },
        { 88, 95, "synth pad" }, { 96, 103, "synthesizer" }, { 104, 104, "sitar" }, { 105, 105, "banjo" },
        { 106, 107, "koto" }, { 108, 108, "marimba" }, { 109, 109, "bagpipe" }, { 110, 110, "violin" },
        { 111, 111, "oboe" }, { 112, 119, "percussion" },
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (p >= ranges[i].first && p <= ranges[i].last)
            return ranges[i].name;
    return NULL;
}

int data_instrument_count(void)
{
    return N_INSTRUMENTS;
}

const data_instrument *data_instrument_at(int id)
{
    BL_ASSERT(id >= 0 && id < N_INSTRUMENTS);
    return &table[id];
}

const char *data_instrument_name(int id)
{
    return id >= 0 && id < N_INSTRUMENTS ? table[id].name : "unknown";
}

const char *data_family_name(data_family family)
{
    static const char *const names[DATA_N_FAMILIES] = {
        "guitars", "basses", "percussion", "keyboards", "organs", "strings", "woodwinds", "brass", "mallets",
        "voices", "synthesizers", "plucked strings"
    };
    BL_ASSERT(family < DATA_N_FAMILIES);
    return names[family];
}

/* Lower case; everything but letters, digits and bytes over 127 becomes a single blank; a number at the end of the last
 * word goes ("guitar2", "guitar 2"), and so do words in front that are numbers ("01 - bass"). */
static void normalise(const char *in, char out[NAME_MAX_BYTES])
{
    size_t n = 0;
    int blank = 0, letters = 0;
    for (const unsigned char *p = (const unsigned char *)in; *p && n < NAME_MAX_BYTES - 2; p++) {
        if (!isalnum(*p) && *p < 128) {
            blank = n > 0;
            continue;
        }
        if (blank) {
            if (!letters)
                n = 0;
            else
                out[n++] = ' ';
            blank = 0;
        }
        letters |= !isdigit(*p);
        out[n++] = (char)tolower(*p);
    }
    out[n] = '\0';
    if (!letters)
        return;
    while (n && (isdigit((unsigned char)out[n - 1]) || out[n - 1] == ' '))
        out[--n] = '\0';
}

static int find_normal(const char *normal)
{
    for (int i = 0; i < N_INSTRUMENTS; i++)
        if (!strcmp(table[i].name, normal))
            return i;
    for (int i = 0; i < N_ALIASES; i++)
        if (!strcmp(aliases[i].alias, normal))
            for (int k = 0; k < N_INSTRUMENTS; k++)
                if (!strcmp(table[k].name, aliases[i].name))
                    return k;
    return -1;
}

int data_instrument_find(const char *name)
{
    char normal[NAME_MAX_BYTES];
    normalise(name, normal);
    return *normal ? find_normal(normal) : -1;
}

int data_instrument_guess(const char *text)
{
    char normal[NAME_MAX_BYTES], run[NAME_MAX_BYTES];
    const char *start[WORDS_MAX], *end[WORDS_MAX];
    int n = 0;
    normalise(text, normal);
    for (char *p = normal; *p && n < WORDS_MAX; n++) {
        start[n] = p;
        while (*p && *p != ' ')
            p++;
        end[n] = p;
        while (*p == ' ')
            p++;
    }
    for (int length = n < 4 ? n : 4; length > 0; length--)
        for (int i = 0; i + length <= n; i++) {
            const size_t bytes = (size_t)(end[i + length - 1] - start[i]);
            memcpy(run, start[i], bytes);
            run[bytes] = '\0';
            const int id = find_normal(run);
            if (id >= 0)
                return id;
        }
    return -1;
}

int data_instrument_parse(const char *name, bl_error *err)
{
    const char *candidates[N_INSTRUMENTS + N_ALIASES];
    char normal[NAME_MAX_BYTES];
    const int id = data_instrument_find(name);
    if (id >= 0)
        return id;
    for (int i = 0; i < N_INSTRUMENTS; i++)
        candidates[i] = table[i].name;
    for (int i = 0; i < N_ALIASES; i++)
        candidates[N_INSTRUMENTS + i] = aliases[i].alias;
    normalise(name, normal);
    const char *near = bl_nearest(normal, candidates, N_INSTRUMENTS);
    if (!near)
        near = bl_nearest(normal, candidates, N_INSTRUMENTS + N_ALIASES);
    if (near)
        bl_fail(err, BL_EARG, "unknown instrument \"%.60s\"; did you mean \"%s\"?", name, near);
    else
        bl_fail(err, BL_EARG, "unknown instrument \"%.60s\"; known are electric guitar, acoustic guitar, bass, drums, piano, "
                "organ, strings, violin, saxophone, trumpet, flute and %d more", name, N_INSTRUMENTS - 11);
    return -1;
}

int data_instrument_from_program(int program, int is_drums)
{
    const char *name = is_drums ? "drums" : program_name(program);
    return name ? find_normal(name) : -1;
}

static int bits(unsigned x)
{
    int n = 0;
    for (; x; x &= x - 1)
        n++;
    return n;
}

double data_instrument_likeness(int a, int b)
{
    const data_instrument *p = data_instrument_at(a), *q = data_instrument_at(b);
    if (a == b)
        return 1;
    if (p->is_pitched != q->is_pitched)
        return 0;
    const double roles = (double)bits(p->roles & q->roles) / bits(p->roles | q->roles);
    const int low = p->lowest > q->lowest ? p->lowest : q->lowest, high = p->highest < q->highest ? p->highest : q->highest;
    const double overlap = high <= low ? 0 : (high - low) / (double)(p->highest - p->lowest);
    return 0.95 * ((p->family == q->family ? 0.45 : 0) + 0.35 * roles + 0.2 * (overlap > 1 ? 1 : overlap));
}

int data_genre_normalise(const char *name, char *out, size_t size)
{
    static const char *const known[] = {
        "rock", "pop", "jazz", "classical", "blues", "country", "reggae", "disco", "metal", "hip-hop", "electronic", "folk",
        "funk", "soul", "r&b", "latin", "ambient", "punk", "gospel", "house", "techno", "indie", "experimental",
        "international", "instrumental", "alternative", "dance", "drum and bass", "swing", "world", "new age", "ska",
        "bossa nova", "trap", "trance", "singer-songwriter", "musical", "opera", "baroque", "bluegrass",
    };
    static const struct { const char *alias, *name; } other[] = {
        { "hip hop", "hip-hop" }, { "hiphop", "hip-hop" }, { "rap", "hip-hop" }, { "classic", "classical" },
        { "orchestral", "classical" }, { "heavy metal", "metal" }, { "rnb", "r&b" }, { "r n b", "r&b" }, { "r b", "r&b" },
        { "hard rock", "rock" }, { "rock n roll", "rock" }, { "rock and roll", "rock" }, { "dnb", "drum and bass" },
        { "drum n bass", "drum and bass" }, { "electronica", "electronic" }, { "edm", "electronic" },
        { "singer songwriter", "singer-songwriter" }, { "popular", "pop" },
    };
    char normal[NAME_MAX_BYTES];
    size_t n = 0;
    int blank = 0;
    for (const unsigned char *p = (const unsigned char *)name; *p && n < NAME_MAX_BYTES - 2; p++) {
        if (isspace(*p) || *p == '_' || *p == '-' || *p == '/' || *p == '&') {
            blank = n > 0;
            continue;
        }
        if (blank)
            normal[n++] = ' ';
        blank = 0;
        normal[n++] = (char)tolower(*p);
    }
    normal[n] = '\0';
    const char *result = normal;
    int is_known = 0;
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
        if (!strcmp(other[i].alias, normal))
            result = other[i].name;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        is_known |= !strcmp(known[i], result);
    snprintf(out, size, "%s", result);
    return is_known;
}
