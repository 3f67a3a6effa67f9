/* Which General MIDI programs are an example of which instrument: what a detector of instruments learns from. More than one
 * program of each where there are several, since two makes of an instrument say more of it than ten notes of one.
 *
 * Pitches from lowest on, nearer to each other the fewer programs an instrument has (tools/render_tones.c); drums: all kits,
 * keys of a drum set. */
#ifndef BL_DATA_TONE_PRESETS_H
#define BL_DATA_TONE_PRESETS_H

typedef struct data_tone_preset {
    const char *instrument;
    int         program, is_drums, lowest, highest;
} data_tone_preset;

static const data_tone_preset data_tone_presets[] = {
    { "electric guitar", 26, 0, 40, 84 }, { "electric guitar", 27, 0, 40, 86 }, { "electric guitar", 28, 0, 40, 84 },
    { "electric guitar", 29, 0, 40, 86 }, { "electric guitar", 30, 0, 40, 86 },
    { "acoustic guitar", 24, 0, 40, 84 }, { "acoustic guitar", 25, 0, 40, 84 },
    { "bass", 33, 0, 28, 62 }, { "bass", 34, 0, 28, 62 }, { "bass", 35, 0, 28, 62 }, { "bass", 36, 0, 28, 60 },
    { "bass", 37, 0, 28, 60 }, { "bass", 38, 0, 28, 60 }, { "bass", 39, 0, 28, 60 },
    { "double bass", 32, 0, 28, 62 }, { "double bass", 43, 0, 28, 60 },
    { "piano", 0, 0, 24, 104 }, { "piano", 1, 0, 24, 104 }, { "piano", 2, 0, 28, 100 }, { "piano", 3, 0, 28, 100 },
    { "electric piano", 4, 0, 28, 98 }, { "electric piano", 5, 0, 28, 98 },
    { "organ", 16, 0, 36, 96 }, { "organ", 17, 0, 36, 96 }, { "organ", 18, 0, 36, 96 }, { "organ", 19, 0, 36, 96 },
    { "organ", 20, 0, 36, 96 },
    { "strings", 48, 0, 36, 96 }, { "strings", 49, 0, 36, 96 }, { "strings", 44, 0, 36, 96 }, { "strings", 50, 0, 36, 96 },
    { "violin", 40, 0, 55, 98 }, { "violin", 110, 0, 55, 96 }, { "cello", 42, 0, 36, 78 },
    { "trumpet", 56, 0, 52, 86 }, { "trumpet", 59, 0, 54, 84 },
    { "saxophone", 64, 0, 54, 86 }, { "saxophone", 65, 0, 49, 81 }, { "saxophone", 66, 0, 44, 76 }, { "saxophone", 67, 0, 37, 69 },
    { "oboe", 68, 0, 58, 91 }, { "oboe", 69, 0, 52, 81 }, { "clarinet", 71, 0, 50, 92 },
    { "flute", 73, 0, 59, 98 }, { "flute", 72, 0, 74, 104 }, { "vibraphone", 11, 0, 53, 89 },
    { "voice", 52, 0, 43, 84 }, { "voice", 53, 0, 43, 84 },
    { "drums", 0, 1, 0, 0 }, { "drums", 8, 1, 0, 0 }, { "drums", 16, 1, 0, 0 }, { "drums", 24, 1, 0, 0 }, { "drums", 25, 1, 0, 0 },
    { "drums", 32, 1, 0, 0 }, { "drums", 40, 1, 0, 0 }, { "drums", 48, 1, 0, 0 },
};

#endif
