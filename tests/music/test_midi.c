#include "base/file.h"
#include "music/chord.h"
#include "music/midi_private.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/message.h"

typedef struct golden { double onset_s, offset_s; int pitch, velocity, is_drums; } golden;

static int compare(const void *a, const void *b)
{
    const golden *x = a, *y = b;
    if (fabs(x->onset_s - y->onset_s) > 1e-5)
        return x->onset_s < y->onset_s ? -1 : 1;
    if (x->pitch != y->pitch || x->is_drums != y->is_drums)
        return x->pitch != y->pitch ? x->pitch - y->pitch : x->is_drums - y->is_drums;
    if (x->velocity != y->velocity)
        return x->velocity - y->velocity;
    return (x->offset_s > y->offset_s) - (x->offset_s < y->offset_s);
}

static int read_golden(const char *path, golden *out, int max)
{
    FILE *f = fopen(path, "r");
    int n = 0;
    assert_non_null(f);
    while (n < max && fscanf(f, "%lf %lf %d %d %d", &out[n].onset_s, &out[n].offset_s, &out[n].pitch, &out[n].velocity,
                             &out[n].is_drums) == 5)
        n++;
    fclose(f);
    qsort(out, (size_t)n, sizeof *out, compare);
    return n;
}

static int notes_of(const music_score *s, golden *out)
{
    int n = 0;
    for (int i = 0; i < s->n_tracks; i++)
        for (int j = 0; j < s->tracks[i].n_notes; j++) {
            const music_note *m = &s->tracks[i].notes[j];
            out[n++] = (golden){ m->onset_s, m->offset_s, m->pitch, m->velocity, s->tracks[i].is_drums };
        }
    qsort(out, (size_t)n, sizeof *out, compare);
    return n;
}

static void assert_same(const golden *a, int n_a, const golden *b, int n_b, double tolerance)
{
    assert_int_equal(n_a, n_b);
    for (int i = 0; i < n_a; i++) {
        assert_true(fabs(a[i].onset_s - b[i].onset_s) < tolerance && fabs(a[i].offset_s - b[i].offset_s) < tolerance);
        assert_int_equal(a[i].pitch, b[i].pitch);
        assert_int_equal(a[i].velocity, b[i].velocity);
        assert_int_equal(a[i].is_drums, b[i].is_drums);
    }
}

static void notes_are_those_that_mido_reads(void **state)
{
    static const char *const names[] = { "format0", "format1", "smpte" };
    static golden want[400], got[400];
    (void)state;
    for (int i = 0; i < 3; i++) {
        char path[100];
        bl_error err = { 0 };
        music_score s;
        snprintf(path, sizeof path, "tests/golden/music/%s.txt", names[i]);
        int n = read_golden(path, want, 400);
        snprintf(path, sizeof path, "tests/golden/music/%s.mid", names[i]);
        assert_int_equal(music_midi_read(path, &s, &err), BL_OK);
        assert_same(got, notes_of(&s, got), want, n, 2e-6);
        music_score_free(&s);
    }
}

static void tracks_tempos_meters_key_markers_and_chords_are_read(void **state)
{
    bl_error err = { 0 };
    music_score s;
    (void)state;
    assert_int_equal(music_midi_read("tests/golden/music/format1.mid", &s, &err), BL_OK);
    assert_int_equal(s.n_tracks, 3);
    assert_string_equal(s.tracks[0].name, "Bass Line");
    assert_string_equal(s.tracks[1].name, "drums");
    assert_string_equal(s.tracks[2].name, "saxophone");
    assert_int_equal(s.tracks[0].program, 33);
    assert_true(s.tracks[1].is_drums && !s.tracks[2].is_drums);
    assert_int_equal(s.n_tempos, 3);
    assert_true(fabs(s.tempos[0].bpm - 120) < 1e-9 && fabs(s.tempos[1].bpm - 6e7 / 611111) < 1e-9);
    assert_true(fabs(s.tempos[1].time_s - 333 * 0.5 / 220) < 1e-9);
    assert_int_equal(s.meters[0].numerator, 3);
    assert_int_equal(s.n_keys, 1);
    assert_true(s.keys[0].fifths == 3 && s.keys[0].minor);
    assert_int_equal(s.n_markers, 2);
    assert_string_equal(s.markers[1].text, "chorus");
    assert_int_equal(s.n_chords, 2);
    assert_string_equal(s.chords[0].name, "F#m");
    assert_true(fabs(s.chords[0].end_s - s.chords[1].start_s) < 1e-9);
    music_score_free(&s);
}

/* A score with uneven tempos comes back from its own file within half a tick. */
static void a_written_file_reads_back_as_the_same_score(void **state)
{
    bl_error err = { 0 };
    music_score s = { 0 }, back;
    static golden want[600], got[600];
    double beats[40];
    (void)state;
    for (int i = 0; i < 40; i++)
        beats[i] = 0.71 + 0.5 * i + 0.03 * sin(i);
    assert_int_equal(music_score_set_beats(&s, beats, 40, 1, 4, &err), BL_OK);
    assert_int_equal(music_score_add_key(&s, 0, -2, 0, &err), BL_OK);
    for (int t = 0; t < 20; t++) { /* more tracks than channels */
        char name[32];
        snprintf(name, sizeof name, "track %d", t);
        music_track *track = music_score_add_track(&s, name, t * 3, t == 4, &err);
        for (int i = 0; i < 20; i++)
            assert_int_equal(music_track_add(track, 0.3 + i * 0.9 + t * 0.01, 0.3 + i * 0.9 + 0.55, 40 + (i * 7 + t) % 40, 1 + i * 6, &err), BL_OK);
    }
    assert_int_equal(music_score_add_chord(&s, 0.71, 2.8, "Bb", &err), BL_OK);
    assert_int_equal(music_score_add_chord(&s, 3.5, 9, "Cm7", &err), BL_OK);
    assert_int_equal(music_score_add_marker(&s, 0.71, "verse \xc3\xa9", &err), BL_OK);
    uint8_t *data;
    size_t n;
    assert_int_equal(music_midi_format(&s, &data, &n, &err), BL_OK);
    assert_int_equal(music_midi_parse(data, n, "memory", &back, &err), BL_OK);
    free(data);
    assert_int_equal(back.n_tracks, 20);
    for (int t = 0; t < 20; t++) {
        assert_string_equal(back.tracks[t].name, s.tracks[t].name);
        assert_int_equal(back.tracks[t].program, s.tracks[t].program);
    }
    int count = notes_of(&s, want);
    assert_same(got, notes_of(&back, got), want, count, 6e-4);
    assert_int_equal(back.n_chords, 4); /* with the gaps between and after as "N" */
    assert_string_equal(back.chords[1].name, "N");
    assert_string_equal(back.chords[2].name, "Cm7");
    assert_string_equal(back.markers[0].text, "verse \xc3\xa9");
    assert_int_equal(back.n_keys, 1);
    assert_true(back.keys[0].fifths == -2 && !back.keys[0].minor);
    music_score_free(&back);
    music_score_free(&s);
}

/* Every beat given to set_beats falls on a quarter of the file. */
static void beats_fall_on_the_grid_of_the_file(void **state)
{
    bl_error err = { 0 };
    music_score s = { 0 }, back;
    double beats[60];
    uint8_t *data;
    size_t n;
    (void)state;
    for (int i = 0; i < 60; i++)
        beats[i] = 0.2 + 0.45 * i + 0.02 * sin(0.7 * i);
    assert_int_equal(music_score_set_beats(&s, beats, 60, 2, 4, &err), BL_OK);
    assert_int_equal(music_midi_format(&s, &data, &n, &err), BL_OK);
    assert_int_equal(music_midi_parse(data, n, "memory", &back, &err), BL_OK);
    free(data);
    for (int i = 0; i < 60; i++) {
        double quarters = 0;
        for (int t = 0; t < back.n_tempos && back.tempos[t].time_s < beats[i]; t++) {
            double until = t + 1 < back.n_tempos && back.tempos[t + 1].time_s < beats[i] ? back.tempos[t + 1].time_s : beats[i];
            quarters += (until - back.tempos[t].time_s) * back.tempos[t].bpm / 60;
        }
        assert_true(fabs(quarters - round(quarters)) < 0.01);
        assert_int_equal((int)lround(quarters), i + 1); /* one beat of lead-in */
    }
    assert_int_equal(back.n_meters, 2); /* a short first bar of three beats, then 4/4 */
    assert_int_equal(back.meters[0].numerator, 3);
    music_score_free(&back);
    music_score_free(&s);
}

/* Two of one pitch that overlap, two that start together, one without length, and one that starts as another ends. */
static void overlapping_notes_of_one_pitch_survive(void **state)
{
    static const music_note notes[] = { { 0, 2, 60, 90 }, { 1, 3, 60, 91 }, { 4, 4.5, 60, 80 }, { 4, 5, 60, 70 },
                                        { 6, 6, 38, 100 }, { 6, 7, 60, 50 }, { 7, 8, 60, 51 } };
    enum { N = sizeof notes / sizeof *notes };
    bl_error err = { 0 };
    music_score s = { 0 }, back;
    uint8_t *data;
    size_t n;
    (void)state;
    music_track *t = music_score_add_track(&s, "x", 0, 0, &err);
    for (int i = 0; i < N; i++)
        music_track_add(t, notes[i].onset_s, notes[i].offset_s, notes[i].pitch, notes[i].velocity, &err);
    assert_int_equal(music_midi_format(&s, &data, &n, &err), BL_OK);
    assert_int_equal(music_midi_parse(data, n, "memory", &back, &err), BL_OK);
    free(data);
    assert_int_equal(back.tracks[0].n_notes, N);
    for (int i = 0; i < N; i++) {
        const music_note *m = &back.tracks[0].notes[i];
        assert_true(fabs(m->onset_s - notes[i].onset_s) < 1e-9 && fabs(m->offset_s - notes[i].offset_s) < 1e-9);
        assert_true(m->pitch == notes[i].pitch && m->velocity == notes[i].velocity);
    }
    music_score_free(&back);
    music_score_free(&s);
}

static music_score *through_a_file(const music_score *s)
{
    static music_score back;
    bl_error err = { 0 };
    uint8_t *data;
    size_t n;
    assert_int_equal(music_midi_format(s, &data, &n, &err), BL_OK);
    assert_int_equal(music_midi_parse(data, n, "memory", &back, &err), BL_OK);
    free(data);
    return &back;
}

/* Everything beside the notes: volume and bends, keys that change, words, messages to devices, the title. */
static void what_is_heard_beside_the_notes_survives(void **state)
{
    static const uint8_t gm_on[] = { 0x7E, 0x7F, 9, 1, 0xF7 };
    bl_error err = { 0 };
    music_score s = { .title = "A Song", .ticks_per_quarter = 384 };
    (void)state;
    music_score_add_tempo(&s, 0, 97, &err);
    music_score_add_key(&s, 0, 6, 0, &err);
    music_score_add_key(&s, 8, -6, 1, &err);
    music_score_add_lyric(&s, 1, "Hel", &err);
    music_score_add_lyric(&s, 1.5, "lo ", &err);
    music_score_add_chord(&s, 0, 2, "C/E", &err);
    music_score_add_chord(&s, 2, 9, "F#m7", &err);
    music_score_add_sysex(&s, 0, gm_on, sizeof gm_on, &err);
    music_track *t = music_score_add_track(&s, "strings", 48, 0, &err);
    t->channel = 7;
    music_track_add(t, 1, 9, 60, 90, &err);
    music_track_add_control(t, (music_control){ 0, 0xB0, 7, 101 }, &err);
    music_track_add_control(t, (music_control){ 2, 0xE0, 0x12, 0x50 }, &err);
    music_track_add_control(t, (music_control){ 3, 0xD0, 44, 0 }, &err);
    const music_score *back = through_a_file(&s);
    assert_string_equal(back->title, "A Song");
    assert_int_equal(back->ticks_per_quarter, 384);
    assert_true(back->n_keys == 2 && back->keys[0].fifths == 6 && back->keys[1].fifths == -6 && back->keys[1].minor);
    assert_true(back->n_lyrics == 2);
    assert_string_equal(back->lyrics[1].text, "lo ");
    assert_int_equal(back->n_chords, 2); /* beside words they are read from events of their own */
    assert_string_equal(back->chords[0].name, "C/E");
    assert_string_equal(back->chords[1].name, "F#m7");
    assert_true(back->n_sysex == 1 && back->sysex[0].n == sizeof gm_on && !memcmp(back->sysex[0].bytes, gm_on, sizeof gm_on));
    assert_int_equal(back->tracks[0].channel, 7);
    assert_int_equal(back->tracks[0].n_controls, 3);
    for (int i = 0; i < 3; i++) {
        const music_control *a = &s.tracks[0].controls[i], *b = &back->tracks[0].controls[i];
        assert_true(fabs(a->time_s - b->time_s) < 1e-3 && a->kind == b->kind && a->a == b->a && a->b == b->b);
    }
    music_score_free((music_score *)back);
    music_score_free(&s);
}

/* Tracks that take turns on a channel: each note sounds with its own track's program, also from another bank. */
static void tracks_that_share_a_channel_keep_their_programs(void **state)
{
    bl_error err = { 0 };
    music_score s = { 0 };
    (void)state;
    for (int i = 0; i < 2; i++) {
        music_track *t = music_score_add_track(&s, i ? "flute" : "piano", i ? 73 : 0, 0, &err);
        t->channel = 3;
        for (int k = 0; k < 4; k++)
            music_track_add(t, 2 * k + i, 2 * k + i + 1, 60 + k, 90, &err);
    }
    music_track_add_control(&s.tracks[0], (music_control){ 3.5, MUSIC_CONTROLLER, MUSIC_CC_BANK, 8 }, &err);
    music_track_add_control(&s.tracks[0], (music_control){ 3.5, MUSIC_PROGRAM, 0, 0 }, &err);
    const music_score *back = through_a_file(&s);
    assert_int_equal(back->n_tracks, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(back->tracks[i].program, i ? 73 : 0);
        assert_int_equal(back->tracks[i].channel, 3);
        assert_int_equal(back->tracks[i].n_notes, 4);
    }
    /* the channel selects banks: what makes a selection count is kept, in its order */
    assert_true(back->tracks[0].controls[0].kind == MUSIC_PROGRAM && back->tracks[0].controls[0].a == 73);
    int found = 0;
    for (int i = 1; i < back->tracks[0].n_controls; i++)
        found |= back->tracks[0].controls[i - 1].kind == MUSIC_CONTROLLER && back->tracks[0].controls[i].kind == MUSIC_PROGRAM &&
                 back->tracks[0].controls[i].a == 0;
    assert_true(found);
    music_score_free((music_score *)back);
    music_score_free(&s);
}

/* Track 1 tells channel 1 its program, track 2 plays on it: one song in format 1, two songs in format 2. */
static void a_program_counts_for_its_channel_in_every_track(void **state)
{
    char bytes[] = "MThd\0\0\0\6\0\1\0\2\0\x60MTrk\0\0\0\7\0\xc0\x28\0\xff\x2f\0MTrk\0\0\0\14\x60\x90\x45\x40\x60\x45\0\0\xff\x2f\0\0";
    bl_error err = { 0 };
    (void)state;
    for (int format = 1; format <= 2; format++) {
        music_score s;
        bytes[9] = (char)format;
        bytes[36] = 11; /* of the second track's length */
        assert_int_equal(music_midi_parse(bytes, sizeof bytes - 2, "two.mid", &s, &err), BL_OK);
        assert_true(s.n_tracks == 1 && s.tracks[0].n_notes == 1);
        assert_int_equal(s.tracks[0].program, format == 1 ? 40 : 0);
        assert_string_equal(s.tracks[0].name, format == 1 ? "violin" : "piano");
        music_score_free(&s);
    }
}

static void every_quality_of_chord_has_an_event(void **state)
{
    static const char *const names[] = { "C", "C#m", "Dbdim", "Daug", "Esus2", "Fsus4", "G5", "A7", "Bbmaj7", "Bm7", "CmM7",
                                         "Ddim7", "Em7b5", "F7sus4", "G6", "Am6", "C9", "Cmaj9", "Cm9", "Cadd9", "Cmadd9", "Caug7",
                                         "F/A", "Bb/Ab", "N" };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint8_t event[10];
        char back[64];
        music_chord a, b;
        music_midi_chord_event(names[i], event);
        assert_true(music_midi_chord_name(event + 3, 7, back));
        assert_true(music_chord_parse(names[i], &a) && music_chord_parse(back, &b));
        assert_true(a.root == b.root && a.quality == b.quality && a.bass == b.bass);
    }
}

static void parse(const char *bytes, size_t n, const char *want)
{
    bl_error err = { 0 };
    music_score s;
    assert_int_equal(music_midi_parse(bytes, n, "x.mid", &s, &err), BL_EFORMAT);
    assert_message(err, want);
    assert_null(s.tracks);
}
#define PARSE(text, want) parse(text, sizeof(text) - 1, want)

static void a_damaged_file_gives_one_clear_sentence(void **state)
{
    (void)state;
    PARSE("", "x.mid: not a MIDI file");
    PARSE("RIFF this is no midi file at all", "not a MIDI file");
    PARSE("MThd\0\0\0\6\0\1\0\1\0\0MTrk\0\0\0\0", "time division of the MIDI header is zero");
    PARSE("MThd\0\0\0\6\0\7\0\1\0\x60MTrk\0\0\0\0", "MIDI format 7");
    PARSE("MThd\0\0\0\6\0\1\0\1\0\x60", "without tracks");
    PARSE("MThd\0\0\0\6\0\1\0\2\0\x60MTrk\0\0\0\4\0\xff\x2f\0", "promises 2 tracks but the file holds 1");
    PARSE("MThd\0\0\0\6\0\1\0\1\0\x60MTrk\0\0\1\x90\0\xff\x2f\0", "track 1 claims 400 bytes but 4 are left");
    PARSE("MThd\0\0\0\6\0\1\0\1\0\x60MTrk\0\0\0\3\0\x90\x40", "track 1 ends in the middle of an event");
    PARSE("MThd\0\0\0\6\0\1\0\1\0\x60MTrk\0\0\0\3\0\x40\x40", "starts an event with data byte 0x40");
    PARSE("MThd\0\0\0\6\0\1\0\1\0\x60MTrk\0\0\0\4\0\x90\x90\x40", "0x90 at byte 24 where a data byte");
    PARSE("MThd\0\0\0\6\0\1\0\1\0\x60MTrk\0\0\0\5\0\xff\1\x7f\x41", "claims 127 bytes but 1 are left");
    PARSE("MThd\0\0\0\6\0\1\0\1\0\x60MTrk\0\0\0\5\xff\xff\xff\xff\x7f", "number longer than four bytes");
}

/* Every prefix and every single changed byte: no crash, and failure leaves nothing behind (sanitizers watch). */
static void no_cut_and_no_changed_byte_is_trusted(void **state)
{
    char *text;
    size_t n;
    bl_error err = { 0 };
    (void)state;
    assert_int_equal(bl_read_file("tests/golden/music/format0.mid", 1 << 20, &text, &n, &err), BL_OK);
    for (size_t cut = 0; cut < n; cut++) {
        music_score s;
        bl_error e = { 0 };
        bl_status status = music_midi_parse(text, cut, "cut", &s, &e);
        assert_true(status != BL_OK && e.msg[0]);
    }
    for (size_t i = 0; i < n; i++)
        for (int change = 1; change < 256; change <<= 1) {
            music_score s;
            bl_error e = { 0 };
            text[i] = (char)(text[i] ^ change);
            if (music_midi_parse(text, n, "changed", &s, &e) == BL_OK)
                music_score_free(&s);
            text[i] = (char)(text[i] ^ change);
        }
    free(text);
}

/* Texts longer than a score holds, in every encoding, at every length: cut between characters. */
static void long_texts_are_cut_between_characters(void **state)
{
    static const char *const letters[] = { "a", "\xe9", "\x85", "\xc3\xa9", "\xe2\x99\xaf", "\xf0\x9d\x84\x9e" };
    (void)state;
    for (int i = 0; i < 6; i++)
        for (size_t n = 0; n < 70; n++) {
            uint8_t bytes[400] = "MThd\0\0\0\6\0\1\0\1\0\x60MTrk\0\0\0\0\0\xff\x06";
            size_t size = 26;
            bl_error err = { 0 };
            music_score s;
            for (size_t k = 0; k < n; k++, size++)
                bytes[size] = 'x';
            for (int k = 0; k < 200 && size + 8 < 26 + 120; k++, size += strlen(letters[i]))
                memcpy(bytes + size, letters[i], strlen(letters[i]));
            bytes[25] = (uint8_t)(size - 26);
            memcpy(bytes + size, "\0\xff\x2f\0", 4);
            bytes[21] = (uint8_t)(size + 4 - 22);
            assert_int_equal(music_midi_parse(bytes, size + 4, "long.mid", &s, &err), BL_OK);
            assert_int_equal(s.n_markers, 1);
            const size_t length = strlen(s.markers[0].text);
            assert_true(length <= 63 && length >= 60);
            const size_t last = i < 3 ? (i == 1 ? 2 : 1) : strlen(letters[i]); /* é is two bytes in UTF-8, \x85 becomes '?' */
            assert_true(n >= length || (length - n) % last == 0);
            music_score_free(&s);
        }
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Files of random events and random damage in several places: read or refused with a sentence, never larger in memory than a
 * file of that size can say, and what was read can be written and read again. */
static void no_random_file_is_trusted(void **state)
{
    static const uint8_t starts[] = { 0x90, 0x80, 0xB0, 0xC0, 0xE0, 0xFF, 0xF0, 0xF7, 0xF2, 0x00, 0x7F, 0x81 };
    static const uint8_t metas[] = { 0x51, 0x58, 0x59, 0x03, 0x05, 0x06, 0x7F, 0x2F, 0x21 };
    char *text;
    size_t n;
    bl_error err = { 0 };
    uint32_t seed = 5;
    int read = 0;
    (void)state;
    assert_int_equal(bl_read_file("tests/golden/music/format1.mid", 1 << 20, &text, &n, &err), BL_OK);
    for (int round = 0; round < 3000; round++) {
        uint8_t bytes[4096];
        size_t size = sizeof bytes;
        if (round % 2) { /* damage */
            memcpy(bytes, text, size = n < size ? n : size);
            for (uint32_t k = next_random(&seed) % 6; k < 6; k++)
                bytes[next_random(&seed) % size] = (uint8_t)next_random(&seed);
        } else { /* one track of events that begin well */
            static const uint8_t head[] = "MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0";
            memcpy(bytes, head, 20);
            size = 22;
            while (size < 400) {
                bytes[size++] = (uint8_t)(next_random(&seed) % 100);
                bytes[size++] = starts[next_random(&seed) % sizeof starts];
                if (bytes[size - 1] == 0xFF)
                    bytes[size++] = metas[next_random(&seed) % sizeof metas];
                for (uint32_t k = next_random(&seed) % 5; k < 5; k++)
                    bytes[size++] = (uint8_t)(next_random(&seed) % (next_random(&seed) % 64 ? 128 : 256));
            }
            bytes[20] = (uint8_t)((size - 22) >> 8);
            bytes[21] = (uint8_t)(size - 22);
        }
        music_score s, back;
        bl_error e = { 0 };
        if (music_midi_parse(bytes, size, "random", &s, &e) != BL_OK) {
            if (e.code != BL_EFORMAT || strncmp(e.msg, "random: ", 8) != 0 || s.tracks)
                fail_msg("%d: %s", e.code, e.msg);
            continue;
        }
        size_t held = 0;
        for (int t = 0; t < s.n_tracks; t++)
            held += (size_t)(s.tracks[t].n_notes + s.tracks[t].n_controls);
        assert_true(held + (size_t)s.n_tracks <= size && (size_t)(s.n_tempos + s.n_meters + s.n_keys + s.n_lyrics + s.n_sysex) <= size);
        uint8_t *data;
        size_t n_data;
        assert_int_equal(music_midi_format(&s, &data, &n_data, &e), BL_OK);
        assert_int_equal(music_midi_parse(data, n_data, "memory", &back, &e), BL_OK);
        free(data);
        music_score_free(&back);
        music_score_free(&s);
        read++;
    }
    assert_true(read > 50); /* some get through, or this tests nothing */
    free(text);
}

static void missing_and_unwritable_files_are_named(void **state)
{
    bl_error err = { 0 };
    music_score s = { 0 };
    (void)state;
    assert_int_equal(music_midi_read("no/such.mid", &s, &err), BL_EIO);
    assert_message(err, "no/such.mid");
    bl_error_clear(&err);
    assert_int_equal(music_midi_write("/no/such/folder/x.mid", &s, &err), BL_EIO);
    assert_message(err, "/no/such/folder/x.mid");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notes_are_those_that_mido_reads),
        cmocka_unit_test(tracks_tempos_meters_key_markers_and_chords_are_read),
        cmocka_unit_test(a_written_file_reads_back_as_the_same_score),
        cmocka_unit_test(beats_fall_on_the_grid_of_the_file),
        cmocka_unit_test(overlapping_notes_of_one_pitch_survive),
        cmocka_unit_test(what_is_heard_beside_the_notes_survives),
        cmocka_unit_test(tracks_that_share_a_channel_keep_their_programs),
        cmocka_unit_test(a_program_counts_for_its_channel_in_every_track),
        cmocka_unit_test(every_quality_of_chord_has_an_event),
        cmocka_unit_test(a_damaged_file_gives_one_clear_sentence),
        cmocka_unit_test(no_cut_and_no_changed_byte_is_trusted),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(no_random_file_is_trusted),
        cmocka_unit_test(missing_and_unwritable_files_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
