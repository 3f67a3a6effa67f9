#include "infer/plan_private.h"

#include "base/rng.h"
#include "music/chord.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A note that comes this much before a downbeat is that bar's, played early. */
static const double EARLY_S = 0.05;
/* Chords that differ for no longer than this are the same. */
static const double SAME_S = 0.02;
/* A pitch is silent this long before it sounds again. */
static const double GAP_S = 0.015;

/* Bar 0 is the time before the first downbeat. */
static int bar_of(const infer_plan *p, double time_s)
{
    int low = 0, high = p->n_downbeats;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (p->downbeats_s[middle] <= time_s + EARLY_S)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static double bar_start(const infer_plan *p, int bar)
{
    return bar > 0 ? p->downbeats_s[bar - 1] : -HUGE_VAL;
}

static double bar_end(const infer_plan *p, int bar)
{
    return bar < p->n_downbeats ? p->downbeats_s[bar] : HUGE_VAL;
}

/* ---- fingerprints of bars ---- */

/* One per bar, of what a track plays in it; 0 for nothing. The order of notes says nothing. */
static void print_bars(const infer_plan *p, const music_track *track, unsigned *print)
{
    memset(print, 0, (size_t)(p->n_downbeats + 1) * sizeof *print);
    for (int i = 0; i < track->n_notes; i++) {
        const music_note *n = &track->notes[i];
        const int64_t words[4] = { llround(n->onset_s * 1e5), llround(n->offset_s * 1e5), n->pitch, n->velocity };
        const uint64_t one = bl_hash(0, words, sizeof words);
        unsigned *bar = &print[bar_of(p, n->onset_s)];
        *bar = (unsigned)((*bar + 1 + one) & 0xffffff);
        *bar += *bar == 0;
    }
}

void infer_plan_write_origin(const infer_plan *p, json_t *made_from)
{
    unsigned *print = malloc((size_t)(p->n_downbeats + 1) * sizeof *print);
    char *text = malloc((size_t)(p->n_downbeats + 1) * 8 + 1);
    json_t *bars = json_object(), *chords = json_array();
    for (int t = 0; print && text && t < p->score.n_tracks && !p->origin.given; t++) {
        size_t n = 0;
        print_bars(p, &p->score.tracks[t], print);
        for (int i = 0; i <= p->n_downbeats; i++)
            n += (size_t)sprintf(text + n, "%s%x", i ? " " : "", print[i]);
        json_object_set_new(bars, p->score.tracks[t].name, json_string(text));
    }
    for (int i = 0; i < p->n_chords; i++)
        json_array_append_new(chords, json_pack("[ffs]", infer_plan_rounded(p->chords[i].start_s), infer_plan_rounded(p->chords[i].end_s),
                                                p->chords[i].name));
    json_object_set_new(made_from, "note_bars", bars);
    json_object_set_new(made_from, "note_chords", chords);
    free(print);
    free(text);
}

/* What is wrong with it is nobody's to mend: the notes are then taken as a whole. */
static int read_chords(const json_t *list, infer_origin *o)
{
    const size_t n = json_array_size(list);
    if (!json_is_array(list) || !(o->chords = calloc(n + 1, sizeof *o->chords)))
        return 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        const char *name = json_string_value(json_array_get(item, 2));
        music_chord_span *c = &o->chords[i];
        c->start_s = json_number_value(json_array_get(item, 0));
        c->end_s = json_number_value(json_array_get(item, 1));
        if (!name || strlen(name) >= sizeof c->name || !(c->end_s > c->start_s) || (i && c->start_s < o->chords[i - 1].start_s))
            return 0;
        strcpy(c->name, name);
    }
    o->n_chords = (int)n;
    return 1;
}

void infer_origin_free(infer_origin *o)
{
    free(o->chords);
    free(o->by_hand);
    memset(o, 0, sizeof *o);
}

int infer_plan_read_origin(const json_t *root, infer_plan *p)
{
    const json_t *made_from = json_object_get(root, "made_from"), *bars = json_object_get(made_from, "note_bars");
    infer_origin *o = &p->origin;
    const size_t n_bars = (size_t)p->n_downbeats + 1;
    unsigned *print = NULL;
    infer_origin_free(o);
    if (!json_is_object(bars) || !(p->has & INFER_HAS_DOWNBEATS) || !read_chords(json_object_get(made_from, "note_chords"), o) ||
        !(o->by_hand = calloc((size_t)p->score.n_tracks + 1, n_bars)) || !(print = malloc(n_bars * sizeof *print))) {
        free(print);
        infer_origin_free(o);
        return 0;
    }
    for (int t = 0; t < p->score.n_tracks; t++) {
        const char *at = json_string_value(json_object_get(bars, p->score.tracks[t].name));
        print_bars(p, &p->score.tracks[t], print);
        for (size_t i = 0; i < n_bars; i++) {
            char *end = NULL;
            const unsigned long was = at ? strtoul(at, &end, 16) : 0;
            if (!at || end == at || was != print[i])
                o->by_hand[(size_t)t * n_bars + i] = 1;
            at = end;
        }
    }
    o->known = 1;
    o->n_tracks = p->score.n_tracks;
    o->n_bars = (int)n_bars;
    free(print);
    return 1;
}

int infer_plan_any_by_hand(const infer_plan *p)
{
    for (int64_t i = 0; p->origin.known && i < (int64_t)p->origin.n_tracks * p->origin.n_bars; i++)
        if (p->origin.by_hand[i])
            return 1;
    return 0;
}

/* ---- which bars are out of date ---- */

static const char *sounds(const music_chord_span *chords, int n, double time_s)
{
    for (int i = 0; i < n; i++)
        if (time_s >= chords[i].start_s && time_s < chords[i].end_s)
            return chords[i].name;
    return "N";
}

static int same_chord(const char *a, const char *b)
{
    music_chord x, y;
    if (!strcmp(a, b))
        return 1;
    return music_chord_parse(a, &x) && music_chord_parse(b, &y) && x.root == y.root && x.quality == y.quality && x.bass == y.bass;
}

/* Where either list of chords changes next after time_s. */
static double next_change(const music_chord_span *chords, int n, double time_s, double end_s)
{
    for (int i = 0; i < n; i++) {
        if (chords[i].start_s > time_s)
            return fmin(end_s, chords[i].start_s);
        if (chords[i].end_s > time_s)
            end_s = fmin(end_s, chords[i].end_s);
    }
    return end_s;
}

static int chords_changed(const infer_plan *p, int bar)
{
    const infer_origin *o = &p->origin;
    const double end_s = fmin(bar_end(p, bar), p->duration_s);
    for (double at = fmax(bar_start(p, bar), 0); at < end_s;) {
        const double next = fmin(next_change(o->chords, o->n_chords, at, end_s), next_change(p->chords, p->n_chords, at, end_s));
        if (next - at > SAME_S && !same_chord(sounds(o->chords, o->n_chords, at), sounds(p->chords, p->n_chords, at)))
            return 1;
        at = next;
    }
    return 0;
}

/* ---- old notes and new ones ---- */

typedef struct merge {
    const infer_plan *p;
    const unsigned char *by_hand; /* [n_bars] of this track                             */
    unsigned char *renewed;       /* [n_bars] 1: the new notes play here                */
    int one_voice, is_drums;
} merge;

/* A kept note that rings into a renewed bar ends there unless it belongs to what sounds there now. */
static void end_at_seam(const merge *m, music_note *n)
{
    const infer_plan *p = m->p;
    for (int bar = bar_of(p, n->onset_s) + 1; !m->is_drums && bar <= p->n_downbeats && bar_start(p, bar) < n->offset_s - EARLY_S; bar++) {
        music_chord chord;
        const double at = fmax(n->onset_s + 0.01, bar_start(p, bar));
        if (!m->renewed[bar])
            continue;
        if (m->one_voice || (music_chord_parse(sounds(p->chords, p->n_chords, at + EARLY_S), &chord) &&
                             !(music_chord_classes(chord) >> (n->pitch % 12) & 1)))
            n->offset_s = infer_plan_rounded(at);
        return;
    }
}

/* Where new notes meet old ones, a pitch (of an instrument of one voice: any) ends before it sounds again. */
static void part(const merge *m, music_track *track)
{
    for (int i = 0; i < track->n_notes; i++) {
        music_note *n = &track->notes[i];
        const int bar = bar_of(m->p, n->onset_s);
        for (int k = i + 1; k < track->n_notes && track->notes[k].onset_s < n->offset_s + GAP_S; k++) {
            const music_note *next = &track->notes[k];
            const int other = bar_of(m->p, next->onset_s);
            if (m->renewed[bar] == m->renewed[other] || next->onset_s <= n->onset_s + 0.03 || (!m->one_voice && next->pitch != n->pitch))
                continue;
            n->offset_s = infer_plan_rounded(fmax(n->onset_s + 0.01, fmin(n->offset_s, next->onset_s - GAP_S)));
            break;
        }
    }
}

bl_status infer_plan_merge(infer_plan *p, const char *instrument, int one_voice, music_track *fresh, bl_error *err)
{
    const infer_origin *o = &p->origin;
    music_track *obeyed = infer_plan_track(p, instrument);
    const int t = obeyed ? (int)(obeyed - p->score.tracks) : -1;
    if (!obeyed || !obeyed->n_notes)
        return BL_OK;
    const int known = o->known && t < o->n_tracks && o->n_bars == p->n_downbeats + 1;
    music_track both = *fresh;
    merge m = { .p = p, .one_voice = one_voice, .is_drums = obeyed->is_drums };
    bl_status status = BL_OK;
    both.notes = NULL;
    both.n_notes = both.capacity = 0;
    if (!(m.renewed = calloc((size_t)p->n_downbeats + 1, 1)))
        return bl_fail(err, BL_ENOMEM, "no memory for the notes of %s", instrument);
    for (int bar = 0; known && bar < o->n_bars; bar++)
        m.renewed[bar] = !o->by_hand[(size_t)t * (size_t)o->n_bars + (size_t)bar] && (o->stale || chords_changed(p, bar));
    for (int i = 0; i < obeyed->n_notes && status == BL_OK; i++) {
        music_note n = obeyed->notes[i];
        if (m.renewed[bar_of(p, n.onset_s)])
            continue;
        end_at_seam(&m, &n);
        status = music_track_add(&both, n.onset_s, n.offset_s, n.pitch, n.velocity, err);
    }
    for (int i = 0; i < fresh->n_notes && status == BL_OK; i++) {
        const music_note *n = &fresh->notes[i];
        if (m.renewed[bar_of(p, n->onset_s)])
            status = music_track_add(&both, n->onset_s, n->offset_s, n->pitch, n->velocity, err);
    }
    music_track_sort(&both);
    part(&m, &both);
    free(m.renewed);
    free(fresh->notes);
    *fresh = both;
    return status;
}
