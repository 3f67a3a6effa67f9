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
