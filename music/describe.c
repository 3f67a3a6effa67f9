#include "music/describe.h"

#include "music/beats.h"
#include "music/chord.h"
#include "music/instrument.h"
#include "music/metrics.h"

#include <math.h>
#include <string.h>

enum { STEPS = 12, MOST_LINES = 12 };

static const char *clock_of(double time_s, char out[24])
{
    const double ms = floor(time_s * 1000 + 0.5);
    snprintf(out, 24, "%d:%06.3f", (int)(ms / 60000), fmod(ms, 60000) / 1000);
    return out;
}

static const char *pitch_name(int pitch, char out[16])
{
    snprintf(out, 16, "%s%d", music_class_name(pitch % 12, 0), pitch / 12 - 1);
    return out;
}

static void tracks(const music_score *s, FILE *out)
{
    fprintf(out, "\n%-28s %-26s %7s %7s  %-9s %-9s\n", "track", "program", "channel", "notes", "pitches", "velocities");
    for (int i = 0; i < s->n_tracks; i++) {
        const music_track *t = &s->tracks[i];
        int low = 127, high = 0, soft = 127, loud = 0;
        char program[48], range[40], velocities[24], a[16], b[16], channel[16];
        for (int k = 0; k < t->n_notes; k++) {
            const music_note *n = &t->notes[k];
            low = n->pitch < low ? n->pitch : low;
            high = n->pitch > high ? n->pitch : high;
            soft = n->velocity < soft ? n->velocity : soft;
            loud = n->velocity > loud ? n->velocity : loud;
        }
        snprintf(program, sizeof program, "%d %s", t->program, t->is_drums ? "drum kit" : music_program_name(t->program));
        if (t->is_drums)
            snprintf(range, sizeof range, "%d-%d", low, high);
        else
            snprintf(range, sizeof range, "%s-%s", pitch_name(low, a), pitch_name(high, b));
        snprintf(velocities, sizeof velocities, "%d-%d", soft, loud);
        snprintf(channel, sizeof channel, t->channel ? "%d" : "-", t->channel);
        fprintf(out, "%-28s %-26s %7s %7d  %-9s %-9s\n", t->name, program, channel, t->n_notes, t->n_notes ? range : "-",
                t->n_notes ? velocities : "-");
    }
}

static void maps(const music_score *s, FILE *out)
{
    char at[24], name[16];
    double slow = HUGE_VAL, fast = 0;
    for (int i = 0; i < s->n_tempos; i++) {
        slow = fmin(slow, s->tempos[i].bpm);
        fast = fmax(fast, s->tempos[i].bpm);
    }
    fprintf(out, "\ntempo");
    if (s->n_tempos > MOST_LINES)
        fprintf(out, "   %d changes, %.2f to %.2f bpm", s->n_tempos, slow, fast);
    for (int i = 0; i < s->n_tempos && s->n_tempos <= MOST_LINES; i++)
        fprintf(out, "%s%s %.3f bpm", i ? ", " : "   ", clock_of(s->tempos[i].time_s, at), s->tempos[i].bpm);
    fprintf(out, "%s\nmeter", s->n_tempos ? "" : "   120 bpm, as none is given");
    for (int i = 0; i < s->n_meters && i < MOST_LINES; i++)
        fprintf(out, "%s%s %d/%d", i ? ", " : "   ", clock_of(s->meters[i].time_s, at), s->meters[i].numerator, s->meters[i].denominator);
    fprintf(out, "%s\n", s->n_meters > MOST_LINES ? ", ..." : s->n_meters ? "" : "   4/4, as none is given");
    if (s->n_keys)
        fprintf(out, "key  ");
    for (int i = 0; i < s->n_keys && i < MOST_LINES; i++) {
        const music_key_change *k = &s->keys[i];
        music_key_format((music_key){ ((k->fifths * 7 + (k->minor ? 9 : 0)) % 12 + 12) % 12, k->minor }, name);
        fprintf(out, "%s%s %s", i ? ", " : "  ", clock_of(k->time_s, at), name);
    }
    if (s->n_keys)
        fprintf(out, "%s\n", s->n_keys > MOST_LINES ? ", ..." : "");
}

static void words(const music_score *s, const music_beats *grid, FILE *out)
{
    char at[24];
    for (int i = 0; i < s->n_markers; i++)
        fprintf(out, "%s%s %s", i ? ", " : "\nmarkers ", clock_of(s->markers[i].time_s, at), s->markers[i].text);
    if (s->n_markers)
        fprintf(out, "\n");
    if (s->n_lyrics)
        fprintf(out, "\nlyrics  %d syllables from %s on\n", s->n_lyrics, clock_of(s->lyrics[0].time_s, at));
    int bar = 0, shown = 0; /* four bars a line, a bar line in front of each */
    for (int b = 0, c = 0; b < grid->n && s->n_chords; b++) {
        if (grid->in_bar[b] == 1) {
            if (bar % 4 == 0)
                fprintf(out, "%s%4d %s", bar ? " |\n" : "\nchords\n", bar + 1, clock_of(grid->time_s[b], at));
            fprintf(out, " |");
            bar++;
            shown = 0;
        }
        const double until = b + 1 < grid->n ? grid->time_s[b + 1] - 0.02 : HUGE_VAL;
        while (c < s->n_chords && s->chords[c].start_s < until) {
            fprintf(out, " %s", s->chords[c++].name);
            shown = 1;
        }
        if (!shown && (b + 1 == grid->n || grid->in_bar[b + 1] == 1))
            fprintf(out, " -");
    }
    if (s->n_chords)
        fprintf(out, " |\n");
}

/* Beats in a bar, of the meter that most of the song is in. */
static int usual_bar(const music_beats *grid)
{
    int votes[65] = { 0 }, best = 4;
    for (int b = 1; b < grid->n; b++)
        if (grid->in_bar[b] == 1 && grid->in_bar[b - 1] <= 64)
            votes[grid->in_bar[b - 1]] += grid->in_bar[b - 1];
    for (int k = 1; k <= 64; k++)
        best = votes[k] > votes[best] ? k : best;
    return best;
}

static void figures(const music_score *s, const music_beats *grid, FILE *out)
{
    const double *beats = grid->time_s;
    const int n = grid->n, bar = usual_bar(grid);
    const struct { const char *name; double value; } list[] = {
        { "pitches used", music_n_pitches(s) }, { "pitch classes used", music_n_pitch_classes(s) },
        { "pitch range, semitones", music_pitch_range(s) }, { "pitch entropy, bits", music_pitch_entropy(s) },
        { "pitch class entropy, bits", music_pitch_class_entropy(s) }, { "scale consistency", music_scale_consistency(s) },
        { "polyphony", music_polyphony(s, beats, n, STEPS) }, { "polyphony rate (more than 2)", music_polyphony_rate(s, beats, n, STEPS, 2) },
        { "groove consistency", music_groove_consistency(s, beats, n, bar, STEPS) },
        { "drums in a duple pattern", music_drum_in_pattern_rate(s, beats, n, STEPS, 0) },
        { "drums in a triple pattern", music_drum_in_pattern_rate(s, beats, n, STEPS, 1) },
        { "drum pattern consistency", music_drum_pattern_consistency(s, beats, n, STEPS) },
        { "empty beat rate", music_empty_beat_rate(s, beats, n) }, { "empty bar rate", music_empty_bar_rate(s, beats, n, bar) } };
    fprintf(out, "\nmetrics (MusPy's; bars of %d beats, %d steps a beat)\n", bar, STEPS);
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (!isnan(list[i].value))
            fprintf(out, "  %-30s %.4g\n", list[i].name, list[i].value);
}

bl_status music_score_describe(const music_score *s, FILE *out, bl_error *err)
{
    music_beats grid = { 0 };
    int notes = 0;
    char at[24];
    if (music_score_beats(s, music_score_end_s(s), &grid, err) != BL_OK)
        return err->code;
    for (int i = 0; i < s->n_tracks; i++)
        notes += s->tracks[i].n_notes;
    if (*s->title)
        fprintf(out, "\"%s\"\n", s->title);
    fprintf(out, "%s, %d tracks, %d notes, %d ticks a quarter\n", clock_of(music_score_end_s(s), at), s->n_tracks, notes,
            s->ticks_per_quarter ? s->ticks_per_quarter : 960);
    tracks(s, out);
    maps(s, out);
    words(s, &grid, out);
    figures(s, &grid, out);
    music_beats_free(&grid);
    return BL_OK;
}
