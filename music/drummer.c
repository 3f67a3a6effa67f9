#include "music/drummer.h"

music_drum_class music_drum_class_of(int key)
{
    switch (key) {
    case 35: case 36: return MUSIC_DRUM_KICK;
    case 37: case 38: case 39: case 40: return MUSIC_DRUM_SNARE;
    case 26: case 46: return MUSIC_DRUM_OPEN;
    case 41: case 43: case 58: return MUSIC_DRUM_TOM_LOW;
    case 45: case 47: return MUSIC_DRUM_TOM_MID;
    case 48: case 50: return MUSIC_DRUM_TOM_HIGH;
    case 49: case 52: case 55: case 57: return MUSIC_DRUM_CRASH;
    case 51: case 53: case 59: return MUSIC_DRUM_RIDE;
    default: return MUSIC_DRUM_CLOSED;
    }
}
