/* The band: which parts a song has, what each plays, and in which sections. */
#include "data/songwriter_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int count_patterns(const data_pattern *list)
{
    int n = 0;
    while (list[n].name)
        n++;
    return n;
}

static int count_grooves(const data_groove *list)
{
    int n = 0;
    while (list[n].name)
        n++;
    return n;
}

static const data_groove *draw_groove(data_writer *w, int loud)
{
    const data_groove *list = w->n_steps == 12 ? w->genre->three_ : w->swing > 0.5 ? w->genre->swung : loud ? w->genre->loud4 : w->genre->quiet4;
    return &list[bl_rng_below(&w->rng, count_grooves(list))];
}

/* A new track with its part; NULL when there is no memory. */
static music_track *new_part(data_writer *w, const char *instrument, int program, int is_drums, const char *stem, const char *role, double gain_db)
{
    data_composition *song = w->song;
    data_part *parts = realloc(song->parts, ((size_t)song->score.n_tracks + 1) * sizeof *parts);
    music_track *track;
    if (!parts) {
        bl_fail(w->err, BL_ENOMEM, "no memory for a song");
        return NULL;
    }
    song->parts = parts;
    data_part *part = &parts[song->score.n_tracks];
    *part = (data_part){ .gain_db = gain_db + 3 * (bl_rng_uniform(&w->rng) - 0.5) };
    snprintf(part->stem, sizeof part->stem, "%s", stem);
    for (char *c = part->stem; *c; c++)
        *c = *c == ' ' ? '_' : *c;
    snprintf(part->role, sizeof part->role, "%s", role);
    track = music_score_add_track(&song->score, instrument, program, is_drums, w->err);
    return track;
}

static void name_styles(data_part *part, const char *a, const char *b)
{
    snprintf(part->style, sizeof part->style, "%s%s%s", a, strcmp(a, b) ? ", " : "", strcmp(a, b) ? b : "");
}

static int melody_table(const data_writer *w, const data_pattern **table)
{
    *table = w->n_steps == 12 ? w->genre->rhythm3 : w->genre->rhythm4;
    return count_patterns(*table);
}

void data_song_write_voice(data_writer *w)
{
    data_line l = { .sings = 1, .velocity = 92 };
    data_hands p = { .position = 0 };
    if (!(p.track = new_part(w, "vocals", 53, 0, "vocals", "vocals", -2.5)))
        return;
    data_part *part = &w->song->parts[0];
    l.n_rhythm = melody_table(w, &l.rhythm);
    l.low = between(&w->rng, 50, 62);
    l.high = l.low + between(&w->rng, 12, 16);
    if (w->genre->voice_span)
        l.high = l.low + w->genre->voice_span;
    part->expression = (data_expression){ 4.8 + 1.4 * bl_rng_uniform(&w->rng), 10 + 30 * bl_rng_uniform(&w->rng), 0.25,
                                          30 * bl_rng_uniform(&w->rng), 0.07 };
    snprintf(part->style, sizeof part->style, "sung");
    for (int i = 0; i < w->n_sections; i++)
        if (w->sections[i].sung)
            data_song_play_melody(w, &p, &w->sections[i], &l);
}

static void play_line(data_writer *w, data_hands *p, const data_section *s, int habit)
{
    data_line l = { p->option->low, p->option->high, NULL, 0, 0, s->sung, 96 };
    l.n_rhythm = melody_table(w, &l.rhythm);
    if (p->option->player == DATA_PLAY_COUNTER || (s->sung && habit == 2))
        data_song_play_counter(w, p, s);
    else if (!s->sung || habit == 1)
        data_song_play_melody(w, p, s, &l);
}

static void write_part(data_writer *w, const data_slot *slot)
{
    int n = 0, active[MAX_SECTIONS], n_active = 0;
    while (n < DATA_MAX_OPTIONS && slot->options[n].instrument)
        n++;
    const data_option *o = &slot->options[bl_rng_below(&w->rng, n)];
    const data_style_set *set = o->styles;
    data_hands p = { .option = o, .position = between(&w->rng, 0, 6), .left_hand = chance(&w->rng, 0.6) };
    data_option bossa = *o;
    if ((w->genre->flags & DATA_SONG_BOSSA) && !strcmp(slot->role, "bass") && w->swing <= 0.5 && w->n_steps == 16) {
        set = &data_bossa_bass;
        bossa.player = DATA_PLAY_BASS;
        p.option = o = &bossa;
    }
    p.spread_ticks = (0.006 + 0.010 * bl_rng_uniform(&w->rng)) / w->seconds_per_tick;
    if (!(p.track = new_part(w, o->instrument, o->program, o->player == DATA_PLAY_DRUMS, o->instrument, slot->role, o->gain_db)))
        return;
    data_part *part = &w->song->parts[w->song->score.n_tracks - 1];
    if (o->player == DATA_PLAY_LEAD && strcmp(o->instrument, "vibraphone"))
        part->expression = (data_expression){ 5.5, 18, 0.2, 0, 0 };
    const data_groove *grooves[2] = { NULL, NULL };
    if (o->player == DATA_PLAY_DRUMS) {
        grooves[0] = draw_groove(w, 0);
        grooves[1] = draw_groove(w, 1);
        name_styles(part, grooves[0]->name, grooves[1]->name);
    } else if (set) {
        const data_pattern *a = w->n_steps == 12 ? set->three : set->quiet4, *b = w->n_steps == 12 ? set->three : set->loud4;
        p.quiet = &a[bl_rng_below(&w->rng, count_patterns(a))];
        p.loud = &b[bl_rng_below(&w->rng, count_patterns(b))];
        name_styles(part, p.quiet->name, p.loud->name);
    } else {
        const char *style = o->player == DATA_PLAY_WALK ? "walking" : o->player == DATA_PLAY_RIFF ? "riff" : o->player == DATA_PLAY_LEAD ? "lead line" : "counter melody";
        name_styles(part, style, style);
    }
    const int habit = between(&w->rng, 1, 2); /* of a lead while somebody sings: fills, or long notes */
    const double rest = !strcmp(slot->role, "pad") ? 0.4 : !strcmp(slot->role, "drums") || !strcmp(slot->role, "bass") ? 0.12 : 0.2;
    for (int i = 0; i < w->n_sections; i++) {
        active[i] = w->sections[i].loud || !chance(&w->rng, rest);
        n_active += active[i];
    }
    for (int i = 0; i < w->n_sections; i++) {
        const data_section *s = &w->sections[i];
        if (!active[i] && 2 * n_active >= w->n_sections && i < w->n_sections - 1)
            continue;
        switch (o->player) {
        case DATA_PLAY_DRUMS: data_song_play_drums(w, &p, s, grooves[s->loud]); break;
        case DATA_PLAY_BASS: data_song_play_bass(w, &p, s, s->loud ? p.loud : p.quiet); break;
        case DATA_PLAY_WALK: data_song_play_walk(w, &p, s); break;
        case DATA_PLAY_RIFF: data_song_play_riff(w, &p, s); break;
        case DATA_PLAY_LEAD: case DATA_PLAY_COUNTER: play_line(w, &p, s, habit); break;
        default: data_song_play_chords(w, &p, s, s->loud ? p.loud : p.quiet);
        }
    }
    /* Fills find no room where the singer leaves none. */
    if (p.track->n_notes < 6 && (o->player == DATA_PLAY_LEAD || o->player == DATA_PLAY_COUNTER))
        for (int i = 0; i < w->n_sections; i++)
            if (w->sections[i].sung)
                data_song_play_counter(w, &p, &w->sections[i]);
}

void data_song_write_band(data_writer *w)
{
    int chosen[DATA_MAX_SLOTS] = { 0 }, chordal = 0, n = 0;
    for (; n < DATA_MAX_SLOTS && w->genre->slots[n].role; n++) {
        chosen[n] = chance(&w->rng, w->genre->slots[n].chance);
        chordal |= chosen[n] && !strcmp(w->genre->slots[n].role, "rhythm");
    }
    if (!chordal)
        chosen[0] = 1; /* somebody has to play the chords */
    for (int i = 0; i < n; i++)
        if (chosen[i])
            write_part(w, &w->genre->slots[i]);
}
