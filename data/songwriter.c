#include "data/songwriter_private.h"

#include "base/config.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const genres[] = { "rock", "pop", "jazz", "classical", "blues", "country", "reggae", "disco", "metal", "hip-hop", NULL };
static const char *const title_a[] = { "Silver", "Midnight", "Paper", "Open", "Slow", "Golden", "Broken", "Quiet", "Electric", "Summer",
                                       "Northern", "Hollow", "Second", "Crooked", "Distant", "Velvet" };
static const char *const title_b[] = { "River", "Lights", "Letters", "Road", "Harbour", "Morning", "Window", "Garden", "Signal", "Horses",
                                       "Machine", "Weather", "Mirror", "Orchard", "Station", "Tide" };
static const char *const artists[] = { "The Copper Kites", "Anna Vale", "Low Tide Trio", "Marble Street", "Ensemble Linden", "The Night Clerks",
                                       "Ida Brook", "Seven Lanterns", "Oak & Wire", "Quartet Halden", "Polar Cousins", "Miles of Chalk" };

const char *const *data_composition_genres(void)
{
    return genres;
}

void data_composition_free(data_composition *song)
{
    music_score_free(&song->score);
    free(song->parts);
    free(song->beats_s);
    *song = (data_composition){ 0 };
}

/* ---- form and harmony ---- */

static void add_section(data_writer *w, const char *kind, int n_bars, int *bars)
{
    data_section *s = &w->sections[w->n_sections];
    if (n_bars > w->n_bars - *bars)
        n_bars = w->n_bars - *bars;
    if (n_bars <= 0 || w->n_sections == MAX_SECTIONS)
        return;
    if (n_bars < 2 && w->n_sections) { /* too short to be one: the last section is longer */
        s[-1].n_bars += n_bars;
        *bars += n_bars;
        return;
    }
    *s = (data_section){ kind, *bars, n_bars, 0, 1, 0.92 };
    s->loud = !strcmp(kind, "chorus") || !strcmp(kind, "solo");
    s->sung = strcmp(kind, "intro") != 0 && strcmp(kind, "solo") != 0;
    s->level = s->loud ? 1 : !strcmp(kind, "intro") ? 0.85 : 0.92;
    *bars += n_bars;
    w->n_sections++;
}

static int count_texts(const char *const *list)
{
    int n = 0;
    while (list[n])
        n++;
    return n;
}

static void plan_form(data_writer *w)
{
    static const char *const song_form[] = { "verse", "chorus", "verse", "chorus", "bridge", "chorus", "solo", "verse", "chorus" };
    const char *const *form = w->genre->form ? w->genre->form : song_form;
    const int n_form = w->genre->form ? count_texts(w->genre->form) : COUNT(song_form);
    const int unit = w->genre->unit ? w->genre->unit : w->n_bars >= 28 ? 8 : 4;
    /* A short song hears its solo early, or it would never have one. */
    const int solo_at = w->n_bars >= 12 && chance(&w->rng, 0.5) ? between(&w->rng, 1, 2) : -1;
    int bars = 0;
    const int intro = unit > 8 ? 4 : unit / 2;
    if (chance(&w->rng, 0.75) && (unit <= 8 || w->n_bars >= unit + intro)) /* a short blues begins with the singer */
        add_section(w, "intro", intro, &bars);
    for (int i = 0; bars < w->n_bars && w->n_sections < MAX_SECTIONS; i++)
        add_section(w, i == solo_at ? "solo" : form[i % n_form], unit, &bars);
    if (bars < w->n_bars)
        w->sections[w->n_sections - 1].n_bars += w->n_bars - bars;
}

static int count_bars(const char *progression)
{
    int n = 1;
    for (const char *q = progression; *q; q++)
        n += *q == '|';
    return n;
}

/* Bar `bar` of a progression "I|IV V|vi": its chords share the bar evenly, at beats. */
static void write_bar_chords(data_writer *w, const char *progression, int index, int bar)
{
    const char *p = progression;
    int n = 0;
    char names[4][16];
    for (int skip = index % count_bars(p); skip > 0; skip--)
        p = strchr(p, '|') + 1;
    while (*p && *p != '|' && n < 4) {
        size_t length = strcspn(p, " |");
        snprintf(names[n++], sizeof names[0], "%.*s", (int)length, p);
        p += length + (p[length] == ' ');
    }
    for (int s = 0; s < w->n_steps; s++) {
        const int beat = s / STEPS_PER_BEAT, beats = w->n_steps / STEPS_PER_BEAT;
        BL_ASSERT(music_roman_parse(names[beat * n / beats], w->song->key, &w->chords[bar * w->n_steps + s]));
    }
}

static void plan_harmony(data_writer *w)
{
    const char *const *list = w->song->key.minor ? w->genre->minor_ : w->genre->major;
    const int n = count_texts(list);
    const int verse = between(&w->rng, 0, n - 1), chorus = (verse + between(&w->rng, 1, n - 1)) % n;
    const int bridge = (chorus + between(&w->rng, 1, n - 1)) % n;
    for (int i = 0; i < w->n_sections; i++) {
        const data_section *s = &w->sections[i];
        const int which = !strcmp(s->kind, "chorus") ? chorus : !strcmp(s->kind, "bridge") ? bridge : verse;
        const int turnaround = (w->genre->flags & DATA_SONG_BLUES) && !strcmp(s->kind, "intro");
        const int from = turnaround ? count_bars(list[which]) - s->n_bars : 0;
        for (int b = 0; b < s->n_bars; b++)
            write_bar_chords(w, list[which], from + b, s->first_bar + b);
    }
    write_bar_chords(w, w->song->key.minor ? "i" : "I", 0, w->n_bars - 1);
}

static void write_chord_spans(data_writer *w)
{
    const int n = w->n_bars * w->n_steps, flats = music_key_has_flats(w->song->key);
    for (int start = 0, i = 1; i <= n; i++) {
        if (i < n && same_chord(&w->chords[i], &w->chords[start]))
            continue;
        char name[16];
        music_chord_format(w->chords[start], flats, name);
        music_score_add_chord(&w->song->score, (w->lead_in + start * STEP) * w->seconds_per_tick,
                              (w->lead_in + i * STEP) * w->seconds_per_tick, name, w->err);
        start = i;
    }
}

/* ---- the song ---- */

static void draw_basics(data_writer *w, double seconds)
{
    data_composition *song = w->song;
    const data_genre_table *g = w->genre;
    bl_rng *rng = &w->rng;
    const int three = chance(rng, g->three), swung = chance(rng, g->swing);
    const double bpm = g->bpm_low + (g->bpm_high - g->bpm_low) * bl_rng_uniform(rng);
    /* MIDI stores whole microseconds per quarter note. */
    const double quarter_us = floor(60e6 / bpm);
    song->bpm = 60e6 / quarter_us;
    song->duration_s = seconds;
    song->key = (music_key){ between(rng, 0, 11), chance(rng, g->minor) };
    song->beats_per_bar = three ? 3 : 4;
    w->n_steps = song->beats_per_bar * STEPS_PER_BEAT;
    w->swing = swung ? g->swing_ratio : 0.5;
    w->seconds_per_tick = quarter_us * 1e-6 / TICKS;
    w->timing_ticks = 1e-3 * g->timing_ms / w->seconds_per_tick;
    w->lead_in = (int)(between(rng, 50, 500) * 1e-3 / w->seconds_per_tick);
    w->n_bars = (int)((seconds - 1.0 - w->lead_in * w->seconds_per_tick) / (song->beats_per_bar * quarter_us * 1e-6));
    w->n_bars = w->n_bars < 2 ? 2 : w->n_bars;
    snprintf(song->genre, sizeof song->genre, "%s", g->name);
    snprintf(song->feel, sizeof song->feel, "%s%s", three ? "3/4" : "4/4", swung ? " swing" : "");
    snprintf(song->title, sizeof song->title, "%s %s", title_a[bl_rng_below(rng, COUNT(title_a))], title_b[bl_rng_below(rng, COUNT(title_b))]);
    snprintf(song->artist, sizeof song->artist, "%s", artists[bl_rng_below(rng, COUNT(artists))]);
    snprintf(song->album, sizeof song->album, "%s %s", title_a[bl_rng_below(rng, COUNT(title_a))], title_b[bl_rng_below(rng, COUNT(title_b))]);
    song->year = between(rng, 1990, 2024);
}

static bl_status write_maps(data_writer *w)
{
    data_composition *song = w->song;
    const double beat_s = TICKS * w->seconds_per_tick, start_s = w->lead_in * w->seconds_per_tick;
    song->n_beats = w->n_bars * song->beats_per_bar;
    song->beats_s = malloc((size_t)song->n_beats * sizeof *song->beats_s);
    if (!song->beats_s)
        return bl_fail(w->err, BL_ENOMEM, "no memory for a song");
    for (int i = 0; i < song->n_beats; i++)
        song->beats_s[i] = start_s + i * beat_s;
    music_score_add_tempo(&song->score, 0, song->bpm, w->err);
    music_score_add_meter(&song->score, 0, song->beats_per_bar, 4, w->err);
    for (int i = 0; i < w->n_sections; i++)
        music_score_add_marker(&song->score, start_s + w->sections[i].first_bar * song->beats_per_bar * beat_s, w->sections[i].kind, w->err);
    write_chord_spans(w);
    return w->err->code;
}

static const data_genre_table *find_genre(const char *name, bl_error *err)
{
    static const data_genre_table *const tables[] = { data_band_genres, data_roots_genres, data_beat_genres };
    for (int i = 0; i < COUNT(tables); i++)
        for (const data_genre_table *g = tables[i]; g->name; g++)
            if (!strcmp(g->name, name))
                return g;
    const char *near = bl_nearest(name, genres, COUNT(genres) - 1);
    bl_fail(err, BL_EARG, "unknown genre \"%s\"%s%s%s; there are rock, pop, jazz, classical, blues, country, reggae, disco, metal and hip-hop", name,
            near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    return NULL;
}

/* Sorts; lines of one voice end a note where the next begins. */
static void finish_track(music_track *track, const char *role)
{
    music_track_sort(track);
    if (!strcmp(role, "rhythm") || !strcmp(role, "pad") || !strcmp(role, "drums"))
        return;
    for (int i = 0; i + 1 < track->n_notes; i++)
        if (track->notes[i].offset_s > track->notes[i + 1].onset_s && track->notes[i + 1].onset_s > track->notes[i].onset_s + 0.03)
            track->notes[i].offset_s = track->notes[i + 1].onset_s;
}

bl_status data_compose(data_composition *song, const char *genre, double seconds, uint64_t seed, bl_error *err)
{
    bl_error own = { 0 };
    data_writer w = { .song = song, .err = &own };
    *song = (data_composition){ 0 };
    if (!(seconds >= 8 && seconds <= 600)) {
        bl_fail(&own, BL_EARG, "a song lasts 8 to 600 seconds, not %g", seconds);
        goto done;
    }
    if (!(w.genre = find_genre(genre, &own)))
        goto done;
    bl_rng_seed(&w.rng, bl_hash(seed, genre, strlen(genre)));
    w.hands = bl_rng_fork(&w.rng, 1);
    draw_basics(&w, seconds);
    const size_t n = (size_t)w.n_bars * (size_t)w.n_steps;
    w.chords = calloc(n, sizeof *w.chords);
    w.sung = calloc(n, 1);
    if (!w.chords || !w.sung) {
        bl_fail(&own, BL_ENOMEM, "no memory for a song");
        goto done;
    }
    plan_form(&w);
    plan_harmony(&w);
    if (write_maps(&w) == BL_OK) {
        data_song_write_voice(&w);
        data_song_write_band(&w);
    }
    for (int i = 0; i < song->score.n_tracks; i++)
        finish_track(&song->score.tracks[i], song->parts[i].role);
done:
    free(w.chords);
    free(w.sung);
    if (own.code != BL_OK) {
        data_composition_free(song);
        bl_fail(err, own.code, "%s", own.msg);
    }
    return own.code;
}
