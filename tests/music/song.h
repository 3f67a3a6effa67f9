/* Songs to arrange, for the arranger's tests. Include after cmocka.h. */
#ifndef BL_TESTS_MUSIC_SONG_H
#define BL_TESTS_MUSIC_SONG_H

#include "music/arrange.h"
#include "music/instrument.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A song with a steady or wandering tempo, a melody with rests, chords of its own. */
typedef struct song {
    double           beats[200], downbeats[60];
    music_note       melody[300];
    music_chord_span chords[60];
    int              n_beats, n_downbeats, n_melody, n_chords, beats_per_bar;
    double           duration_s;
    music_key        key;
} song;

static const char *const all[] = { "electric guitar", "acoustic guitar", "bass", "double bass", "drums", "piano", "electric piano",
                                   "organ", "strings", "violin", "cello", "saxophone", "trumpet", "flute", "vibraphone" };
enum { N_ALL = 15 };

static inline void compose(song *s, double bpm, int beats_per_bar, music_key key, const char *const *loop, int n_loop, unsigned variant)
{
    static const int steps[] = { 0, 2, 4, 5, 7, 4, 2, 0 };
    memset(s, 0, sizeof *s);
    s->key = key;
    s->beats_per_bar = beats_per_bar;
    s->n_beats = 24 * beats_per_bar + 1;
    double t = 0.37;
    for (int i = 0; i < s->n_beats; i++) {
        s->beats[i] = t;
        t += 60 / bpm * (1 + (variant % 2 ? 0.06 * sin(i * 1.3) : 0));
        if (i % beats_per_bar == 0)
            s->downbeats[s->n_downbeats++] = s->beats[i];
    }
    s->duration_s = t + 2;
    for (int bar = 0; bar < 24; bar++) {
        music_chord_span *c = &s->chords[s->n_chords++];
        c->start_s = bar ? s->downbeats[bar] : 0;
        c->end_s = bar < 23 ? s->downbeats[bar + 1] : s->duration_s;
        snprintf(c->name, sizeof c->name, "%s", loop[bar % n_loop]);
        for (int b = 0; b < beats_per_bar; b++) {
            int i = bar * beats_per_bar + b;
            if ((bar % 4 == 3 && b >= 1) || bar < 2)
                continue; /* rests between phrases, two bars of introduction */
            s->melody[s->n_melody++] = (music_note){ s->beats[i] + 0.01, s->beats[i + 1] - 0.05,
                60 + key.tonic % 7 + steps[(i + (int)variant) % 8], (bar / 8) % 2 ? 100 : 70 };
        }
    }
}

static inline music_style *load(const char *genre)
{
    char path[64];
    bl_error err = { 0 };
    snprintf(path, sizeof path, "configs/styles/%s.ini", genre);
    music_style *style = music_style_load(path, &err);
    if (!style)
        fail_msg("%s", err.msg);
    return style;
}

static inline music_arrange_input input_of(const song *s, const music_style *style, uint64_t seed)
{
    return (music_arrange_input){ .duration_s = s->duration_s, .beats_s = s->beats, .n_beats = s->n_beats, .downbeats_s = s->downbeats,
        .n_downbeats = s->n_downbeats, .beats_per_bar = s->beats_per_bar, .key = s->key, .chords = s->chords, .n_chords = s->n_chords,
        .melody = s->melody, .n_melody = s->n_melody, .style = style, .instruments = all, .n_instruments = N_ALL, .seed = seed };
}

static const char *const genres[] = { "rock", "pop", "jazz", "classical", "blues", "country", "reggae", "disco", "metal", "hip-hop" };
enum { N_GENRES = sizeof genres / sizeof *genres };
static const char *const pop_loop[] = { "C", "G", "Am", "F" };

static inline music_score arrange_some(const song *s, const char *genre, const char *const *instruments, int n,
                                const music_interval *intervals, int n_intervals)
{
    music_style *style = load(genre);
    music_arrange_input in = input_of(s, style, 5);
    bl_error err = { 0 };
    music_score score;
    in.instruments = instruments;
    in.n_instruments = n;
    in.intervals = intervals;
    in.n_intervals = n_intervals;
    if (music_arrange(&in, &score, &err) != BL_OK)
        fail_msg("%s", err.msg);
    music_style_free(style);
    return score;
}

#endif
