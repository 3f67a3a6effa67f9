/* Melodies: what the singer and the leads play. */
#include "data/songwriter_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Onsets of one bar; the closing bar of a phrase ends in a rest of a beat or more. */
static void melody_bar(const data_writer *w, const data_line *l, bl_rng *rng, int closing, char out[BAR_TEXT])
{
    const char *steps = l->rhythm[bl_rng_below(rng, l->n_rhythm)].steps;
    const int n_steps = w->n_steps;
    memcpy(out, steps, (size_t)n_steps);
    out[n_steps] = '\0';
    if (closing) {
        const int beats = n_steps / STEPS_PER_BEAT;
        const int last_onset = STEPS_PER_BEAT * between(rng, beats > 3 ? 1 : 0, beats - 2);
        const int silent = n_steps - STEPS_PER_BEAT * between(rng, 1, beats > 3 ? 2 : 1) + between(rng, 0, 1) * 2;
        for (int i = last_onset + 1; i < n_steps; i++)
            out[i] = i < silent ? '-' : '.';
        if (out[last_onset] == '.')
            out[last_onset] = 'x';
    }
}

static int next_pitch(data_writer *w, bl_rng *rng, const data_line *l, const music_chord *chord, int before, int strong)
{
    static const int moves[] = { 0, 0, 1, 1, 1, 1, -1, -1, -1, -1, 2, 2, -2, -2, 3, -3, 4 };
    const double centre = (l->low + l->high) / 2.0, reach = (l->high - l->low) / 2.0;
    int move = moves[bl_rng_below(rng, COUNT(moves))], pitch = before;
    if (chance(rng, fabs(before - centre) / reach * 0.7) && (before > centre) == (move > 0))
        move = -move;
    const unsigned fit = data_song_fitting(w, chord);
    for (int k = 0; k < abs(move); k++) /* scale steps */
        pitch = data_song_snap(pitch + (move > 0 ? 1 : -1), fit, l->low, l->high, move > 0);
    return data_song_snap(pitch, strong ? music_chord_classes(*chord) : fit, l->low, l->high, chance(rng, 0.5));
}

static int free_of_voice(const data_writer *w, int step, int end)
{
    for (int i = step - 1; i < end + 1; i++)
        if (i >= 0 && i < w->n_bars * w->n_steps && w->sung[i])
            return 0;
    return 1;
}

void data_song_play_melody(data_writer *w, data_hands *p, const data_section *s, const data_line *l)
{
    /* Sections of one kind sing the same tune; its last phrase differs from time to time. */
    const uint64_t key = bl_hash(bl_hash(l->sings ? 1 : 2, s->kind, strlen(s->kind)), p->track->name, strlen(p->track->name));
    bl_rng tune = bl_rng_fork(&w->rng, key);
    char motif[2][BAR_TEXT];
    int pitch = data_song_snap((l->low + l->high) / 2, music_chord_classes(*chord_at(w, s->first_bar, 0)), l->low, l->high, 1);
    melody_bar(w, l, &tune, 0, motif[0]);
    melody_bar(w, l, &tune, 0, motif[1]);
    for (int b = 0; b < s->n_bars; b++) {
        const int bar = s->first_bar + b, final = bar == w->n_bars - 1, closing = b % 2 == 1 || b == s->n_bars - 1;
        char steps[BAR_TEXT];
        if (b >= 6)
            tune = bl_rng_fork(&w->rng, key + (uint64_t)s->first_bar + 1);
        memcpy(steps, motif[b / 2 % 2 && b % 4 == 2 ? 1 : 0], sizeof steps);
        if (closing)
            melody_bar(w, l, &tune, 1, steps);
        if (final)
            memcpy(steps, "x-----------....", MAX_STEPS);
        for (int i = 0; i < w->n_steps; i++) {
            const music_chord *chord = chord_at(w, bar, i);
            int end = i + 1;
            if (steps[i] != 'x')
                continue;
            while (end < w->n_steps && steps[end] == '-')
                end++;
            const int strong = i % (w->n_steps == 16 ? 8 : 12) == 0 || end - i >= 6 ||
                               !same_chord(chord, chord_at(w, bar, end > w->n_steps - 1 ? w->n_steps - 1 : end - 1));
            pitch = next_pitch(w, &tune, l, chord, pitch, strong);
            if (final)
                pitch = data_song_snap(pitch, 1u << w->song->key.tonic, l->low, l->high, 0);
            const int from = bar * w->n_steps + i, to = bar * w->n_steps + end;
            if (l->fills && !free_of_voice(w, from, to))
                continue;
            const double arch = 6 * sin(3.14159 * (b % 2 * w->n_steps + i) / (2.0 * w->n_steps));
            data_song_add(w, p, from, to - (end - i > 2 ? 0.25 : 0.1), pitch, s->level * (l->velocity + arch + 0.6 * data_song_accent(i, w->n_steps)), 0);
            if (l->sings)
                memset(w->sung + from, 1, (size_t)(to - from));
        }
    }
}

void data_song_play_counter(data_writer *w, data_hands *p, const data_section *s)
{
    for (int b = 0; b < s->n_bars; b++) {
        const int bar = s->first_bar + b;
        for (int i = 0; i < w->n_steps;) {
            const music_chord *chord = chord_at(w, bar, i);
            int end = i + (w->n_steps == 16 ? 8 : 12), intervals[5];
            const int n = music_chord_intervals(*chord, intervals);
            unsigned guide = 0;
            while (end > i + 1 && !same_chord(chord, chord_at(w, bar, end - 1)))
                end--;
            if (end == i + 8 && i == 0 && same_chord(chord, chord_at(w, bar, w->n_steps - 1)) && b % 2 == 0)
                end = w->n_steps;
            for (int k = n > 1 ? 1 : 0; k < n; k++)
                guide |= 1u << wrap12(chord->root + intervals[k]);
            if (!p->last)
                p->last = (p->option->low + p->option->high) / 2;
            p->last = data_song_snap(p->last + between(&w->hands, -3, 3), guide, p->option->low, p->option->high, chance(&w->hands, 0.5));
            if (b % 4 != 3 || i == 0)
                data_song_add(w, p, bar * w->n_steps + i, bar * w->n_steps + end - 0.3, p->last, s->level * 76, 0);
            i = end;
        }
    }
}
