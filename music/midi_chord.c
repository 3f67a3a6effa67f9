/* Chord events of Yamaha's XF format 2.01: FF 7F 07 43 7B 01, root, type, bass, type of the bass. A root or bass is an
 * accidental (2 flat, 3 none, 4 sharp) in the high half and a letter (1 C .. 7 B) in the low one; 127: none. */
#include "music/chord.h"
#include "music/midi_private.h"

#include <stdio.h>
#include <string.h>

enum { NO_CHORD = 34, N_TYPES = 34 };

/* Types without a quality of their own here are read as the nearest one that has no wrong note in it. */
static const music_quality of_type[N_TYPES] = {
    MUSIC_MAJ, MUSIC_6, MUSIC_MAJ7, MUSIC_MAJ7, MUSIC_ADD9, MUSIC_MAJ9, MUSIC_6, MUSIC_AUG, MUSIC_MIN, MUSIC_MIN6, MUSIC_MIN7,
    MUSIC_M7B5, MUSIC_MINADD9, MUSIC_MIN9, MUSIC_MIN7, MUSIC_MINMAJ7, MUSIC_MINMAJ7, MUSIC_DIM, MUSIC_DIM7, MUSIC_7, MUSIC_7SUS4,
    MUSIC_7, MUSIC_9, MUSIC_7, MUSIC_7, MUSIC_7, MUSIC_7, MUSIC_7, MUSIC_AUG, MUSIC_AUG7, MUSIC_POWER, MUSIC_POWER, MUSIC_SUS4,
    MUSIC_SUS2
};

static uint8_t note_byte(const char *name)
{
    static const uint8_t letters[7] = { 6, 7, 1, 2, 3, 4, 5 }; /* A .. G */
    if (*name < 'A' || *name > 'G')
        return 127;
    return (uint8_t)((name[1] == '#' ? 0x40 : name[1] == 'b' ? 0x20 : 0x30) | letters[*name - 'A']);
}

/* "F#"; 0: no note. */
static int note_name(uint8_t byte, char out[3])
{
    static const char letters[8] = " CDEFGAB";
    const int letter = byte & 15, accidental = byte >> 4;
    if (letter < 1 || letter > 7 || accidental < 2 || accidental > 4)
        return 0;
    out[0] = letters[letter];
    out[1] = (char)(accidental == 2 ? 'b' : accidental == 4 ? '#' : '\0');
    out[2] = '\0';
    return 1;
}

void music_midi_chord_event(const char *name, uint8_t event[10])
{
    static const uint8_t none[10] = { 0xFF, 0x7F, 7, 0x43, 0x7B, 1, 0x31, NO_CHORD, 127, 127 };
    const char *bass = strchr(name, '/');
    music_chord c;
    memcpy(event, none, sizeof none);
    if (!music_chord_parse(name, &c) || c.root < 0 || note_byte(name) == 127)
        return;
    event[6] = note_byte(name);
    for (int t = N_TYPES - 1; t >= 0; t--) /* the first type of the quality is the quality's own, but of the fifth */
        if (of_type[t] == c.quality)
            event[7] = (uint8_t)t;
    if (c.quality == MUSIC_POWER)
        event[7] = 31;
    if (bass)
        event[8] = note_byte(bass + 1);
}

int music_midi_chord_name(const uint8_t *p, size_t n, char out[64])
{
    char root[3], bass[3], name[16];
    if (n < 5 || p[0] != 0x43 || p[1] != 0x7B || p[2] != 1 || !note_name(p[3], root))
        return 0;
    if (p[4] == NO_CHORD) {
        strcpy(out, "N");
        return 1;
    }
    if (p[4] >= N_TYPES)
        return 0;
    music_chord c;
    if (!music_chord_parse(root, &c))
        return 0;
    c.quality = of_type[p[4]];
    music_chord_format(c, root[1] == 'b', name); /* E# and the like come out as F */
    if (n >= 6 && note_name(p[5], bass) && strcmp(bass, root) != 0)
        snprintf(out, 64, "%s/%s", name, bass);
    else
        strcpy(out, name);
    return 1;
}
