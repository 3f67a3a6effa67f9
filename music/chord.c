#include "music/chord.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

typedef struct quality {
    const char *suffix;      /* how backline writes it                       */
    int         n;
    int         interval[5]; /* semitones above the root                     */
} quality;

static const quality qualities[MUSIC_N_QUALITIES] = {
    [MUSIC_MAJ] = { "", 3, { 0, 4, 7 } },          [MUSIC_MIN] = { "m", 3, { 0, 3, 7 } },
    [MUSIC_DIM] = { "dim", 3, { 0, 3, 6 } },       [MUSIC_AUG] = { "aug", 3, { 0, 4, 8 } },
    [MUSIC_SUS2] = { "sus2", 3, { 0, 2, 7 } },     [MUSIC_SUS4] = { "sus4", 3, { 0, 5, 7 } },
    [MUSIC_POWER] = { "5", 2, { 0, 7 } },          [MUSIC_7] = { "7", 4, { 0, 4, 7, 10 } },
    [MUSIC_MAJ7] = { "maj7", 4, { 0, 4, 7, 11 } }, [MUSIC_MIN7] = { "m7", 4, { 0, 3, 7, 10 } },
    [MUSIC_MINMAJ7] = { "mM7", 4, { 0, 3, 7, 11 } }, [MUSIC_DIM7] = { "dim7", 4, { 0, 3, 6, 9 } },
    [MUSIC_M7B5] = { "m7b5", 4, { 0, 3, 6, 10 } }, [MUSIC_7SUS4] = { "7sus4", 4, { 0, 5, 7, 10 } },
    [MUSIC_6] = { "6", 4, { 0, 4, 7, 9 } },        [MUSIC_MIN6] = { "m6", 4, { 0, 3, 7, 9 } },
    [MUSIC_9] = { "9", 5, { 0, 4, 7, 10, 14 } },   [MUSIC_MAJ9] = { "maj9", 5, { 0, 4, 7, 11, 14 } },
    [MUSIC_MIN9] = { "m9", 5, { 0, 3, 7, 10, 14 } }, [MUSIC_ADD9] = { "add9", 4, { 0, 4, 7, 14 } },
    [MUSIC_AUG7] = { "aug7", 4, { 0, 4, 8, 10 } }, [MUSIC_MINADD9] = { "madd9", 4, { 0, 3, 7, 14 } },
};

/* Other spellings, Harte's included. A richer chord is taken as the nearest one that we know. */
static const struct { const char *name; music_quality quality; } synonyms[] = {
    { "maj", MUSIC_MAJ }, { "M", MUSIC_MAJ }, { "min", MUSIC_MIN }, { "-", MUSIC_MIN }, { "mi", MUSIC_MIN },
    { "o", MUSIC_DIM }, { "+", MUSIC_AUG }, { "sus", MUSIC_SUS4 }, { "7sus", MUSIC_7SUS4 }, { "1", MUSIC_POWER },
    { "M7", MUSIC_MAJ7 }, { "Maj7", MUSIC_MAJ7 }, { "j7", MUSIC_MAJ7 }, { "min7", MUSIC_MIN7 }, { "-7", MUSIC_MIN7 },
    { "mi7", MUSIC_MIN7 }, { "minmaj7", MUSIC_MINMAJ7 }, { "mmaj7", MUSIC_MINMAJ7 }, { "o7", MUSIC_DIM7 },
    { "hdim7", MUSIC_M7B5 }, { "hdim", MUSIC_M7B5 }, { "min7b5", MUSIC_M7B5 }, { "-7b5", MUSIC_M7B5 },
    { "sus4b7", MUSIC_7SUS4 }, { "sus47", MUSIC_7SUS4 }, { "maj6", MUSIC_6 }, { "min6", MUSIC_MIN6 },
    { "69", MUSIC_6 }, { "6/9", MUSIC_6 }, { "maj69", MUSIC_6 }, { "M9", MUSIC_MAJ9 }, { "min9", MUSIC_MIN9 },
    { "-9", MUSIC_MIN9 }, { "maj9", MUSIC_MAJ9 }, { "2", MUSIC_ADD9 }, { "add2", MUSIC_ADD9 },
    { "minadd9", MUSIC_MINADD9 }, { "7#5", MUSIC_AUG7 }, { "+7", MUSIC_AUG7 }, { "augb7", MUSIC_AUG7 },
    { "11", MUSIC_9 }, { "13", MUSIC_9 }, { "m11", MUSIC_MIN9 }, { "min11", MUSIC_MIN9 }, { "min13", MUSIC_MIN9 },
    { "maj11", MUSIC_MAJ9 }, { "maj13", MUSIC_MAJ9 }, { "m13", MUSIC_MIN9 }, { "9sus4", MUSIC_7SUS4 },
    { "7b9", MUSIC_7 }, { "7#9", MUSIC_7 }, { "7b5", MUSIC_7 }, { "sus49", MUSIC_SUS4 },
};

static const int letter_class[7] = { 9, 11, 0, 2, 4, 5, 7 }; /* A..G */
static const int major_scale[7] = { 0, 2, 4, 5, 7, 9, 11 };
static const int minor_scale[7] = { 0, 2, 3, 5, 7, 8, 10 };

static int wrap(int pitch)
{
    return ((pitch % 12) + 12) % 12;
}

/* Reads "F#", "Bb"; returns the pitch class and moves *text on, or -1. */
static int read_class(const char **text)
{
    const char *p = *text;
    if (*p < 'A' || *p > 'G')
        return -1;
    int pc = letter_class[*p++ - 'A'];
    for (; *p == '#' || *p == 'b'; p++)
        pc += *p == '#' ? 1 : -1;
    *text = p;
    return wrap(pc);
}

const char *music_class_name(int pitch_class, int flats)
{
    static const char *const names[2][12] = {
        { "C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B" },
        { "C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B" },
    };
    return names[flats ? 1 : 0][wrap(pitch_class)];
}

int music_key_parse(const char *name, music_key *key)
{
    const char *p = name;
    while (isspace((unsigned char)*p))
        p++;
    int tonic = read_class(&p);
    if (tonic < 0)
        return 0;
    while (isspace((unsigned char)*p) || *p == ':')
        p++;
    char mode[8];
    size_t n = strlen(p);
    while (n > 0 && isspace((unsigned char)p[n - 1]))
        n--;
    if (n >= sizeof mode)
        return 0;
    memcpy(mode, p, n);
    mode[n] = '\0';
    if (strcmp(mode, "M"))
        for (char *c = mode; *c; c++)
            *c = (char)tolower((unsigned char)*c);
    int minor;
    if (!strcmp(mode, "m") || !strcmp(mode, "min") || !strcmp(mode, "minor"))
        minor = 1;
    else if (!*mode || !strcmp(mode, "M") || !strcmp(mode, "maj") || !strcmp(mode, "major"))
        minor = 0;
    else
        return 0;
    *key = (music_key){ tonic, minor };
    return 1;
}

int music_key_signature(music_key key)
{
    /* Fifths above C of the relative major, folded so that six sharps is F sharp and seven never occur. */
    int fifths = wrap((key.tonic + (key.minor ? 3 : 0)) * 7);
    if (fifths > 6)
        fifths -= 12;
    return fifths;
}

int music_key_has_flats(music_key key)
{
    return music_key_signature(key) < 0;
}

void music_key_format(music_key key, char out[16])
{
    snprintf(out, 16, "%s %s", music_class_name(key.tonic, music_key_has_flats(key)), key.minor ? "minor" : "major");
}

unsigned music_key_classes(music_key key)
{
    unsigned mask = 0;
    for (int i = 0; i < 7; i++)
        mask |= 1u << wrap(key.tonic + (key.minor ? minor_scale : major_scale)[i]);
    return mask;
}

static int find_quality(const char *name, music_quality *out)
{
    for (int i = 0; i < MUSIC_N_QUALITIES; i++)
        if (!strcmp(qualities[i].suffix, name)) {
            *out = (music_quality)i;
            return 1;
        }
    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++)
        if (!strcmp(synonyms[i].name, name)) {
            *out = synonyms[i].quality;
            return 1;
        }
    return 0;
}

/* "(...)" of Harte's syntax: tried as part of the name first ("sus4(b7)"), then as "add9", then left out. */
static int read_quality(const char *text, size_t n, music_quality *out)
{
    char name[24], inner[24];
    size_t k = 0, m = 0;
    int depth = 0;
    if (n >= sizeof name)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '(')
            depth++;
        else if (text[i] == ')')
            depth--;
        else if (depth > 0)
            inner[m++] = text[i];
        else
            name[k++] = text[i];
    }
    if (depth != 0)
        return 0;
    name[k] = '\0';
    inner[m] = '\0';
    if (m > 0) {
        char whole[48];
        snprintf(whole, sizeof whole, "%s%s", name, inner);
        if (strcmp(inner, "9") && find_quality(whole, out))
            return 1;
        if (!strcmp(inner, "9")) {
            snprintf(whole, sizeof whole, "%sadd9", strcmp(name, "maj") && strcmp(name, "") ? name : "");
            if (find_quality(whole, out))
                return 1;
        }
    }
    return find_quality(name, out);
}

/* "/E" or Harte's "/b7": a pitch class, or -1. */
static int read_bass(const char *text, int root)
{
    const char *p = text;
    int pc = read_class(&p);
    if (pc >= 0)
        return *p ? -1 : pc;
    int shift = 0;
    for (; *p == 'b' || *p == '#'; p++)
        shift += *p == '#' ? 1 : -1;
    int degree = 0;
    for (; isdigit((unsigned char)*p) && degree < 20; p++)
        degree = degree * 10 + (*p - '0');
    if (*p || degree < 1 || degree > 13)
        return -1;
    return wrap(root + major_scale[(degree - 1) % 7] + shift);
}

int music_chord_parse(const char *name, music_chord *chord)
{
    while (isspace((unsigned char)*name))
        name++;
    size_t n = strlen(name);
    while (n > 0 && isspace((unsigned char)name[n - 1]))
        n--;
    if ((n == 1 && (*name == 'N' || *name == 'X')) || (n == 4 && !strncmp(name, "N.C.", 4)) ||
        (n == 2 && !strncmp(name, "NC", 2))) {
        *chord = (music_chord){ -1, MUSIC_MAJ, -1 };
        return 1;
    }
    char text[40];
    if (n == 0 || n >= sizeof text)
        return 0;
    memcpy(text, name, n);
    text[n] = '\0';
    const char *p = text;
    int root = read_class(&p), bass;
    if (root < 0)
        return 0;
    if (*p == ':')
        p++;
    bass = root;
    size_t length = strlen(p);
    const char *slash = strrchr(p, '/');
    music_quality q;
    if (slash && (bass = read_bass(slash + 1, root)) >= 0 && strcmp(p, "6/9")) {
        length = (size_t)(slash - p);
    } else {
        if (slash && strcmp(p, "6/9"))
            return 0;
        bass = root;
    }
    if (!read_quality(p, length, &q))
        return 0;
    *chord = (music_chord){ root, q, bass };
    return 1;
}

void music_chord_format(music_chord chord, int flats, char out[16])
{
    if (chord.root < 0) {
        strcpy(out, "N");
        return;
    }
    int n = snprintf(out, 16, "%s%s", music_class_name(chord.root, flats), qualities[chord.quality].suffix);
    if (chord.bass >= 0 && chord.bass != chord.root)
        snprintf(out + n, (size_t)(16 - n), "/%s", music_class_name(chord.bass, flats));
}

unsigned music_chord_classes(music_chord chord)
{
    if (chord.root < 0)
        return 0;
    unsigned mask = chord.bass >= 0 ? 1u << chord.bass : 0;
    for (int i = 0; i < qualities[chord.quality].n; i++)
        mask |= 1u << wrap(chord.root + qualities[chord.quality].interval[i]);
    return mask;
}

int music_chord_intervals(music_chord chord, int out[5])
{
    if (chord.root < 0)
        return 0;
    memcpy(out, qualities[chord.quality].interval, 5 * sizeof *out);
    return qualities[chord.quality].n;
}

int music_chord_third(music_chord chord)
{
    if (chord.root < 0)
        return 0;
    for (int i = 0; i < qualities[chord.quality].n; i++)
        if (qualities[chord.quality].interval[i] == 3 || qualities[chord.quality].interval[i] == 4)
            return qualities[chord.quality].interval[i];
    return 0;
}

music_chord music_key_chord(music_key key, int degree, int sevenths)
{
    const int *scale = key.minor ? minor_scale : major_scale;
    int d = ((degree - 1) % 7 + 7) % 7, step[4];
    for (int i = 0; i < 4; i++)
        step[i] = wrap(scale[(d + 2 * i) % 7] - scale[d]);
    for (int q = 0; q < MUSIC_N_QUALITIES; q++) {
        const quality *c = &qualities[q];
        if (c->n == 3 + (sevenths ? 1 : 0) && c->interval[1] == step[1] && c->interval[2] == step[2] &&
            (!sevenths || c->interval[3] == step[3]))
            return (music_chord){ wrap(key.tonic + scale[d]), (music_quality)q, wrap(key.tonic + scale[d]) };
    }
    return (music_chord){ wrap(key.tonic + scale[d]), MUSIC_MAJ, wrap(key.tonic + scale[d]) };
}

static const char *const numerals[7] = { "I", "II", "III", "IV", "V", "VI", "VII" };

void music_chord_roman(music_chord chord, music_key key, char out[16])
{
    if (chord.root < 0) {
        strcpy(out, "N");
        return;
    }
    const int *scale = key.minor ? minor_scale : major_scale;
    int above = wrap(chord.root - key.tonic), degree = 0;
    const char *accidental = "";
    while (degree < 7 && scale[degree] != above)
        degree++;
    if (degree == 7) { /* not on the scale: a flattened degree, save for the raised fourth (and minor's 3, 6, 7) */
        int raised = above == 6 || (key.minor && (above == 4 || above == 9 || above == 11));
        for (degree = 0; degree < 7; degree++)
            if (scale[degree] == wrap(above + (raised ? -1 : 1)))
                break;
        accidental = raised ? "#" : "b";
    }
    char numeral[8];
    int lower = music_chord_third(chord) == 3;
    size_t n = strlen(numerals[degree]);
    for (size_t i = 0; i <= n; i++)
        numeral[i] = (char)(lower ? tolower((unsigned char)numerals[degree][i]) : numerals[degree][i]);
    const char *suffix = qualities[chord.quality].suffix;
    if (chord.quality == MUSIC_DIM)
        suffix = "o";
    else if (chord.quality == MUSIC_AUG)
        suffix = "+";
    else if (lower && suffix[0] == 'm') /* the small letters say it already */
        suffix++;
    snprintf(out, 16, "%s%s%s", accidental, numeral, suffix);
}

int music_roman_parse(const char *name, music_key key, music_chord *chord)
{
    const int *scale = key.minor ? minor_scale : major_scale;
    int shift = 0, best = -1;
    size_t best_n = 0;
    const char *p = name;
    for (; *p == 'b' || *p == '#'; p++)
        shift += *p == '#' ? 1 : -1;
    int lower = *p == 'i' || *p == 'v';
    for (int d = 0; d < 7; d++) { /* longest numeral wins: "VII" over "VI" */
        size_t n = strlen(numerals[d]), i = 0;
        while (i < n && p[i] == (lower ? tolower((unsigned char)numerals[d][i]) : numerals[d][i]))
            i++;
        if (i == n && n > best_n) {
            best = d;
            best_n = n;
        }
    }
    if (best < 0)
        return 0;
    const char *suffix = p + best_n;
    char whole[32];
    if (!strcmp(suffix, "o"))
        suffix = "dim";
    if (strlen(suffix) > 20)
        return 0;
    /* "ii7" is m7; "iim7b5", "iidim" and "viim" say minor or diminished themselves. */
    int plain = !lower || !strncmp(suffix, "dim", 3) || !strncmp(suffix, "o", 1) || suffix[0] == 'm';
    snprintf(whole, sizeof whole, "%s%s", plain ? "" : "m", suffix);
    music_quality q;
    if (!read_quality(whole, strlen(whole), &q))
        return 0;
    int root = wrap(key.tonic + scale[best] + shift);
    *chord = (music_chord){ root, q, root };
    return 1;
}
