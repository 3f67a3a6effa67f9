#include "music/instrument.h"

#include <stddef.h>
#include <string.h>

/* Ranges: what a good player sounds easily, not the extremes of a virtuoso. */
static const music_instrument instruments[] = {
    { "drums", 0, MUSIC_DRUMS, 27, 87, 8, 0 },
    { "bass", 33, MUSIC_BASS, 28, 60, 1, 0 },
    { "double bass", 32, MUSIC_BASS, 28, 60, 1, 0 },
    { "electric guitar", 27, MUSIC_GUITAR, 40, 84, 6, 0 },
    { "acoustic guitar", 25, MUSIC_GUITAR, 40, 79, 6, 0 },
    { "piano", 0, MUSIC_KEYS, 21, 108, 10, 0 },
    { "electric piano", 4, MUSIC_KEYS, 28, 100, 10, 0 },
    { "organ", 16, MUSIC_KEYS, 36, 96, 10, 1 },
    { "strings", 48, MUSIC_BOWED, 36, 96, 8, 1 },
    { "violin", 40, MUSIC_BOWED, 55, 100, 1, 1 },
    { "cello", 42, MUSIC_BOWED, 36, 76, 1, 1 },
    { "saxophone", 65, MUSIC_WIND, 49, 80, 1, 1 },
    { "trumpet", 56, MUSIC_WIND, 55, 82, 1, 1 },
    { "flute", 73, MUSIC_WIND, 60, 96, 1, 1 },
    { "vibraphone", 11, MUSIC_MALLET, 53, 89, 4, 0 },
};
enum { COUNT = sizeof instruments / sizeof *instruments };

const music_instrument *music_instrument_find(const char *name)
{
    char plain[64];
    size_t n = strlen(name);
    if (n >= sizeof plain)
        return NULL;
    for (size_t i = 0; i <= n; i++)
        plain[i] = (char)(name[i] == '_' ? ' ' : name[i]);
    for (int i = 0; i < COUNT; i++)
        if (!strcmp(instruments[i].name, plain))
            return &instruments[i];
    return NULL;
}

const music_instrument *music_instrument_at(int i)
{
    return i >= 0 && i < COUNT ? &instruments[i] : NULL;
}

const music_instrument *music_instrument_of_program(int program)
{
    /* First program of each run of General MIDI, and what backline calls it. */
    static const struct { int first, last; const char *name; } runs[] = {
        { 0, 3, "piano" }, { 4, 5, "electric piano" }, { 11, 12, "vibraphone" }, { 16, 20, "organ" },
        { 24, 25, "acoustic guitar" }, { 26, 31, "electric guitar" }, { 32, 32, "double bass" }, { 33, 39, "bass" },
        { 40, 41, "violin" }, { 42, 42, "cello" }, { 43, 43, "double bass" }, { 44, 45, "strings" },
        { 48, 51, "strings" }, { 56, 56, "trumpet" }, { 59, 59, "trumpet" }, { 64, 67, "saxophone" },
        { 72, 73, "flute" },
    };
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        if (program >= runs[i].first && program <= runs[i].last)
            return music_instrument_find(runs[i].name);
    return NULL;
}

const char *music_program_name(int program)
{
    static const char *const names[128] = {
        "acoustic grand piano", "bright acoustic piano", "electric grand piano", "honky-tonk piano", "electric piano 1",
        "electric piano 2", "harpsichord", "clavinet", "celesta", "glockenspiel", "music box", "vibraphone", "marimba",
        "xylophone", "tubular bells", "dulcimer", "drawbar organ", "percussive organ", "rock organ", "church organ",
        "reed organ", "accordion", "harmonica", "bandoneon", "nylon string guitar", "steel string guitar", "jazz guitar",
        "clean electric guitar", "muted electric guitar", "overdriven guitar", "distortion guitar", "guitar harmonics",
        "acoustic bass", "fingered electric bass", "picked electric bass", "fretless bass", "slap bass 1", "slap bass 2",
        "synth bass 1", "synth bass 2", "violin", "viola", "cello", "contrabass", "tremolo strings", "pizzicato strings",
        "orchestral harp", "timpani", "string ensemble 1", "string ensemble 2", "synth strings 1", "synth strings 2",
        "choir aahs", "voice oohs", "synth voice", "orchestra hit", "trumpet", "trombone", "tuba", "muted trumpet",
        "french horn", "brass section", "synth brass 1", "synth brass 2", "soprano saxophone", "alto saxophone",
        "tenor saxophone", "baritone saxophone", "oboe", "english horn", "bassoon", "clarinet", "piccolo", "flute",
        "recorder", "pan flute", "blown bottle", "shakuhachi", "whistle", "ocarina", "square lead", "sawtooth lead",
        "calliope lead", "chiff lead", "charang lead", "voice lead", "fifths lead", "bass and lead", "new age pad",
        "warm pad", "polysynth pad", "choir pad", "bowed pad", "metallic pad", "halo pad", "sweep pad", "rain effect",
        "soundtrack effect", "crystal effect", "atmosphere effect", "brightness effect", "goblins effect", "echoes effect",
        "sci-fi effect", "sitar", "banjo", "shamisen", "koto", "kalimba", "bagpipe", "fiddle", "shanai", "tinkle bell",
        "agogo", "steel drums", "woodblock", "taiko drum", "melodic tom", "synth drum", "reverse cymbal", "guitar fret noise",
        "breath noise", "seashore", "bird tweet", "telephone ring", "helicopter", "applause", "gunshot",
    };
    return program >= 0 && program < 128 ? names[program] : "unknown program";
}
