#include "music/arrange_private.h"

#include <stdlib.h>

static const int tuning[6] = { 40, 45, 50, 55, 59, 64 };

voicing voice_power(const style_part *part, music_chord chord)
{
    voicing v = { .n = 0 };
    int fifth = chord_fifth(chord), root = nearest_pitch(chord.root, part->lowest + 5, part->lowest, part->lowest + 11);
    v.pitch[v.n++] = root;
    if (fifth == 7)
        v.pitch[v.n++] = root + 7;
    if (root + 12 <= part->highest)
        v.pitch[v.n++] = root + 12;
    return v;
}

typedef struct fretting {
    const style_part *part;
    unsigned          classes;
    need              needs[6];
    int               n_needs, bass, position;
    int               fret[6]; /* -1 not played */
    voicing_list     *list;
} fretting;

/* Three neighbouring strings of the upper four; the sixth or fifth string with fourth and third; or what a strummed chord is:
 * four strings or more, none silent between. */
static int is_shape(const fretting *f)
{
    unsigned played = 0;
    for (int s = 0; s < 6; s++)
        played |= (f->fret[s] >= 0 ? 1u : 0u) << s;
    if (f->part->voicing == STYLE_TRIAD)
        return played == 0x38 || played == 0x1c;
    if (f->part->voicing == STYLE_SHELL)
        return played == 0x0d || played == 0x0e;
    return played == 0x3f || played == 0x3e || played == 0x3c || played == 0x1f || played == 0x1e || played == 0x0f;
}

static int fingers_of(const fretting *f, int *open)
{
    int lowest = 99, at_lowest = 0, fingers = 0;
    *open = 0;
    for (int s = 0; s < 6; s++) {
        *open += f->fret[s] == 0;
        if (f->fret[s] <= 0)
            continue;
        fingers++;
        if (f->fret[s] < lowest) {
            lowest = f->fret[s];
            at_lowest = 0;
        }
        at_lowest += f->fret[s] == lowest;
    }
    /* The first finger may lie across the lowest fret when no open string sounds. */
    return !*open && at_lowest > 1 ? fingers - (at_lowest - 1) : fingers;
}

static void rate_shape(fretting *f)
{
    voicing v = { .fret = f->position };
    int open, twice = 0;
    const int small = f->part->voicing == STYLE_TRIAD || f->part->voicing == STYLE_SHELL;
    if (!is_shape(f))
        return;
    for (int s = 0; s < 6; s++) {
        if (f->fret[s] < 0)
            continue;
        int pitch = tuning[s] + f->fret[s];
        if (v.n && pitch <= v.pitch[v.n - 1])
            return;
        v.pitch[v.n++] = pitch;
    }
    const int fingers = fingers_of(f, &open);
    if (fingers > 4 || (small && open)) /* small chords are damped by the fretting hand: no open strings */
        return;
    v.cost = v.pitch[0] % 12 == f->bass || f->part->voicing == STYLE_TRIAD ? 0 : 6;
    for (int i = 0; i < f->n_needs; i++) {
        int found = 0;
        for (int k = 0; k < v.n; k++)
            found += v.pitch[k] % 12 == f->needs[i].class;
        v.cost += found ? 0 : f->needs[i].cost;
        twice += found > 2;
    }
    v.cost += (small ? 0 : 1.5 * (6 - v.n)) + 0.25 * (small ? abs(f->position - 5) : f->position) + 0.4 * fingers - 0.3 * open + twice;
    voicing_keep(f->list, &v);
}

static void fret_string(fretting *f, int s)
{
    if (s == 6) {
        rate_shape(f);
        return;
    }
    f->fret[s] = -1;
    fret_string(f, s + 1);
    int first = f->position < 1 ? 1 : f->position;
    for (int fret = f->position <= 3 ? 0 : first; fret <= first + 3; fret = fret == 0 ? first : fret + 1) {
        int pitch = tuning[s] + fret;
        if (!(f->classes >> (pitch % 12) & 1) || pitch < f->part->lowest || pitch > f->part->highest)
            continue;
        f->fret[s] = fret;
        fret_string(f, s + 1);
    }
    f->fret[s] = -1;
}

void guitar_shapes(const style_part *part, music_chord chord, voicing_list *out)
{
    const int triad = part->voicing == STYLE_TRIAD, shell = part->voicing == STYLE_SHELL;
    fretting f = { .part = part, .classes = music_chord_classes(chord), .bass = chord.bass, .list = out };
    f.n_needs = needs_of(chord, triad, triad || shell, f.needs);
    for (f.position = triad || shell ? 1 : 0; f.position <= 9; f.position++) {
        for (int s = 0; s < 6; s++)
            f.fret[s] = -1;
        fret_string(&f, 0);
    }
}
