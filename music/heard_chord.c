#include "music/heard_chord.h"

static const music_quality qualities[MUSIC_HEARD_QUALITIES] = {
    MUSIC_MAJ, MUSIC_MIN, MUSIC_7, MUSIC_MAJ7, MUSIC_MIN7, MUSIC_DIM, MUSIC_M7B5, MUSIC_AUG, MUSIC_SUS4, MUSIC_SUS2
};

static music_quality plainer(music_quality quality)
{
    switch (quality) {
    case MUSIC_6: case MUSIC_ADD9: return MUSIC_MAJ;
    case MUSIC_MIN6: case MUSIC_MINADD9: case MUSIC_MINMAJ7: return MUSIC_MIN;
    case MUSIC_9: return MUSIC_7;
    case MUSIC_MAJ9: return MUSIC_MAJ7;
    case MUSIC_MIN9: return MUSIC_MIN7;
    case MUSIC_DIM7: return MUSIC_DIM;
    case MUSIC_AUG7: return MUSIC_AUG;
    case MUSIC_7SUS4: return MUSIC_SUS4;
    default: return quality;
    }
}

int music_heard_class(music_chord chord)
{
    if (chord.root < 0)
        return MUSIC_HEARD_NONE;
    for (int q = 0; q < MUSIC_HEARD_QUALITIES; q++)
        if (qualities[q] == plainer(chord.quality))
            return 12 * q + chord.root;
    return -1;
}

music_chord music_heard_chord(int heard_class)
{
    const int root = heard_class % 12;
    return heard_class < 0 || heard_class >= MUSIC_HEARD_NONE ? (music_chord){ -1, MUSIC_MAJ, -1 }
                                                              : (music_chord){ root, qualities[heard_class / 12], root };
}

int music_heard_mode(int heard_class)
{
    static const char modes[MUSIC_HEARD_QUALITIES] = { 0, 1, 0, 0, 1, 2, 2, 2, 2, 2 };
    return heard_class < 0 || heard_class >= MUSIC_HEARD_NONE ? 2 : modes[heard_class / 12];
}
