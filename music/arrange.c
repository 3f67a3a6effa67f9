#include "music/arrange_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bl_status describe(const plan *p, music_score *score, bl_error *err)
{
    const music_arrange_input *in = p->in;
    bl_status s = music_score_set_beats(score, p->beat, p->n_beats - 1, p->n_bars ? p->bars[0].first_beat : 0, in->beats_per_bar, err);
    if (s == BL_OK)
        s = music_score_add_key(score, 0, music_key_signature(in->key), in->key.minor, err);
    for (int i = 0; i < in->n_chords && s == BL_OK; i++)
        s = music_score_add_chord(score, in->chords[i].start_s, in->chords[i].end_s, in->chords[i].name, err);
    for (int i = 0; i < p->n_sections && s == BL_OK; i++) {
        const plan_section *c = &p->sections[i];
        if (p->end_bar >= 0 && c->first_bar > p->end_bar)
            break;
        s = music_score_add_marker(score, p->bars[c->first_bar].start_s, c->name, err);
    }
    return s;
}

static bl_status check_instruments(const music_arrange_input *in, bl_error *err)
{
    for (int i = 0; i < in->n_instruments; i++) {
        const music_instrument *m = music_instrument_find(in->instruments[i]);
        if (!m)
            return bl_fail(err, BL_EARG, "unknown instrument \"%s\"", in->instruments[i]);
        if (!style_find_part(in->style, m))
            return bl_fail(err, BL_EARG, "the style \"%s\" has no part for %s", music_style_genre(in->style), m->name);
        for (int k = 0; k < i; k++)
            if (music_instrument_find(in->instruments[k]) == m)
                return bl_fail(err, BL_EARG, "instrument \"%s\" is given twice", in->instruments[i]);
    }
    return BL_OK;
}

/* Who fills the singer's rests: the melodic instruments; without any, the chord players that know how. */
static int is_filler(const style_part *part, int any_lines)
{
    return part->fills.n && (part->role == STYLE_LINE || (!any_lines && part->role == STYLE_CHORDS));
}

static bl_status arrange_part(const plan *p, const style_part *part, int lower, int rank, music_track *track, bl_error *err)
{
    writer w = { .p = p, .part = part, .track = track, .lower = lower, .rank = rank, .err = err };
    bl_rng_seed(&w.rng, bl_hash(p->in->seed ^ 0x6261636b, part->instrument->name, strlen(part->instrument->name)));
    writer_look_ahead(&w);
    switch (part->role) {
    case STYLE_DRUMS: arrange_drums(&w); break;
    case STYLE_BASS: arrange_bass(&w); break;
    case STYLE_CHORDS: arrange_chords(&w); break;
    case STYLE_LINE: arrange_line(&w); break;
    }
    if (w.failed)
        return err->code;
    arrange_finish(p, part, track);
    return BL_OK;
}

static bl_status arrange_all(plan *p, music_score *score, bl_error *err)
{
    const music_arrange_input *in = p->in;
    int any_lines = 0, chords = 0, rank = 0;
    for (int i = 0; i < in->n_instruments; i++) {
        const style_part *part = style_find_part(in->style, music_instrument_find(in->instruments[i]));
        any_lines |= part->role == STYLE_LINE && part->fills.n;
        p->has_bass |= part->role == STYLE_BASS;
    }
    for (int i = 0; i < in->n_instruments; i++)
        p->n_fillers += is_filler(style_find_part(in->style, music_instrument_find(in->instruments[i])), any_lines);
    for (int i = 0; i < in->n_instruments; i++) {
        const style_part *part = style_find_part(in->style, music_instrument_find(in->instruments[i]));
        int fills = is_filler(part, any_lines), lower = 0;
        if (part->role == STYLE_CHORDS) /* the third and later chord players stay simpler */
            lower = chords++ >= 2;
        music_track *track = music_score_add_track(score, part->instrument->name,
                                                   part->role == STYLE_DRUMS ? part->kit : part->program,
                                                   part->role == STYLE_DRUMS, err);
        if (!track || arrange_part(p, part, lower, fills ? rank : -1, track, err) != BL_OK)
            return err->code;
        rank += fills;
    }
    return BL_OK;
}

bl_status music_arrange(const music_arrange_input *input, music_score *score, bl_error *err)
{
    plan p = { 0 };
    *score = (music_score){ 0 };
    bl_status s = check_instruments(input, err);
    if (s == BL_OK)
        s = plan_build(&p, input, err);
    if (s == BL_OK)
        s = describe(&p, score, err);
    if (s == BL_OK)
        s = arrange_all(&p, score, err);
    plan_free(&p);
    if (s != BL_OK)
        music_score_free(score);
    return s;
}
