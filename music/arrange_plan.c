#include "music/arrange_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bl_status check(const music_arrange_input *in, bl_error *err)
{
    if (!(in->duration_s > 0) || !isfinite(in->duration_s))
        return bl_fail(err, BL_EARG, "a song of %g s cannot be arranged", in->duration_s);
    if (in->n_beats < 2)
        return bl_fail(err, BL_EARG, "arranging needs at least two beats, got %d", in->n_beats);
    if (in->beats_s[0] < 0)
        return bl_fail(err, BL_EARG, "the first beat at %g s lies before the song's start", in->beats_s[0]);
    for (int i = 0; i < in->n_beats; i++)
        if (!isfinite(in->beats_s[i]) || (i && in->beats_s[i] - in->beats_s[i - 1] < 0.05))
            return bl_fail(err, BL_EARG, "beat %d at %g s does not follow the one before it by 50 ms or more", i + 1, in->beats_s[i]);
    if (in->beats_per_bar < 1 || in->beats_per_bar > 12)
        return bl_fail(err, BL_EARG, "bars of %d beats; expected 1 to 12", in->beats_per_bar);
    for (int i = 0; i < in->n_sections; i++)
        if (!isfinite(in->sections[i].start_s) || in->sections[i].label < 0 ||
            (i && in->sections[i].start_s <= in->sections[i - 1].start_s))
            return bl_fail(err, BL_EARG, "section %d at %g s does not come after the one before it", i + 1, in->sections[i].start_s);
    for (int i = 0; i < in->n_intervals; i++)
        if (!(in->intervals[i].start_s < in->intervals[i].end_s) || in->intervals[i].start_s >= in->duration_s)
            return bl_fail(err, BL_EARG, "interval %g-%g s does not lie in the song of %g s", in->intervals[i].start_s,
                           in->intervals[i].end_s, in->duration_s);
    for (int i = 0; i < in->n_melody; i++)
        if (!isfinite(in->melody[i].onset_s) || !isfinite(in->melody[i].offset_s))
            return bl_fail(err, BL_EARG, "sung note %d has no finite time", i + 1);
    return BL_OK;
}

static bl_status read_chords(plan *p, bl_error *err)
{
    const music_arrange_input *in = p->in;
    p->spans = calloc((size_t)in->n_chords + 1, sizeof *p->spans);
    if (!p->spans)
        return bl_fail(err, BL_ENOMEM, "no memory for %d chords", in->n_chords);
    for (int i = 0; i < in->n_chords; i++) {
        const music_chord_span *c = &in->chords[i];
        plan_span *s = &p->spans[p->n_spans];
        if (!music_chord_parse(c->name, &s->chord))
            return bl_fail(err, BL_EARG, "chord \"%.15s\" at %g s is not a chord name", c->name, c->start_s);
        if (!isfinite(c->start_s) || !isfinite(c->end_s) || (i && c->start_s < in->chords[i - 1].start_s - 1e-9))
            return bl_fail(err, BL_EARG, "chord \"%.15s\" at %g s stands before its predecessor", c->name, c->start_s);
        s->start_s = c->start_s;
        s->end_s = c->end_s;
        if (i + 1 < in->n_chords) /* overlapping spans: the later one counts */
            s->end_s = fmin(s->end_s, in->chords[i + 1].start_s);
        s->classes = music_chord_classes(s->chord);
        if (s->end_s > s->start_s)
            p->n_spans++;
    }
    return BL_OK;
}

/* Copies the beats and goes on in the last tempo to the end of the song. */
static bl_status read_beats(plan *p, bl_error *err)
{
    const music_arrange_input *in = p->in;
    double *gaps = malloc((size_t)in->n_beats * sizeof *gaps);
    if (!gaps)
        return bl_fail(err, BL_ENOMEM, "no memory for %d beats", in->n_beats);
    for (int i = 0; i + 1 < in->n_beats; i++)
        gaps[i] = in->beats_s[i + 1] - in->beats_s[i];
    qsort(gaps, (size_t)in->n_beats - 1, sizeof *gaps, compare_doubles);
    p->period_s = gaps[(in->n_beats - 1) / 2];
    free(gaps);
    p->beat = malloc((size_t)(in->n_beats + 2 * in->beats_per_bar) * sizeof *p->beat);
    if (!p->beat)
        return bl_fail(err, BL_ENOMEM, "no memory for %d beats", in->n_beats);
    memcpy(p->beat, in->beats_s, (size_t)in->n_beats * sizeof *p->beat);
    p->n_beats = in->n_beats;
    /* One beat beyond the last closes its bar; it never carries an onset. */
    p->beat[p->n_beats] = p->beat[p->n_beats - 1] + p->period_s;
    p->n_beats++;
    return BL_OK;
}

static bl_status cut_bars(plan *p, bl_error *err)
{
    const music_arrange_input *in = p->in;
    int n = p->n_beats, bpb = in->beats_per_bar;
    unsigned char *starts = calloc((size_t)n, 1);
    p->bars = calloc((size_t)n, sizeof *p->bars);
    if (!starts || !p->bars) {
        free(starts);
        return bl_fail(err, BL_ENOMEM, "no memory for %d bars", n);
    }
    int any = 0;
    for (int d = 0, b = 0; d < in->n_downbeats; d++) { /* nearest beat of each downbeat */
        while (b + 1 < n - 1 && fabs(p->beat[b + 1] - in->downbeats_s[d]) <= fabs(p->beat[b] - in->downbeats_s[d]))
            b++;
        if (fabs(p->beat[b] - in->downbeats_s[d]) < 0.3 * p->period_s)
            starts[b] = 1, any = 1;
    }
    if (!any)
        starts[0] = 1;
    int first = 0;
    while (!starts[first])
        first++;
    for (int b = first, since = 0; b < n - 1; b++, since++) {
        /* A bar that grew too long without a downbeat is cut by counting, unless one comes right after. */
        if (since && since % bpb == 0 && !starts[b] && !(b + 1 < n - 1 && starts[b + 1]))
            starts[b] = 1;
        since = starts[b] ? 0 : since;
        if (starts[b])
            p->bars[p->n_bars++] = (plan_bar){ .first_beat = b };
    }
    free(starts);
    for (int i = 0; i < p->n_bars; i++) {
        plan_bar *bar = &p->bars[i];
        bar->n_beats = (i + 1 < p->n_bars ? p->bars[i + 1].first_beat : n - 1) - bar->first_beat;
        bar->start_s = p->beat[bar->first_beat];
        bar->end_s = p->beat[bar->first_beat + bar->n_beats];
        bar->mode = BAR_PLAY;
    }
    return BL_OK;
}

/* The bar of the last chord: where the last sung note lies on a downbeat, else the next downbeat; the last
 * downbeat of all when nobody sings or the music goes on for long. */
static void find_end(plan *p)
{
    const music_arrange_input *in = p->in;
    double bar_s = p->period_s * in->beats_per_bar, onset = -1, offset = -1;
    int end = p->n_bars - 1;
    p->end_s = in->duration_s;
    for (int i = 0; i < in->n_melody; i++)
        if (in->melody[i].offset_s > offset) {
            onset = in->melody[i].onset_s;
            offset = in->melody[i].offset_s;
        }
    while (end > 0 && p->bars[end].start_s > in->duration_s - fmin(0.8, 0.5 * bar_s))
        end--;
    if (offset > 0 && offset > in->duration_s - 4 * bar_s) {
        int at = -1, after = -1;
        for (int i = 0; i <= end; i++) {
            double start = p->bars[i].start_s;
            if (start >= onset - 0.3 * p->period_s && start <= fmax(offset, onset + 0.1))
                at = i;
            if (after < 0 && start > offset)
                after = i;
        }
        end = at >= 0 ? at : after >= 0 ? after : end;
    }
    p->end_bar = end > 0 ? end : -1;
    if (p->end_bar < 0)
        return;
    /* Cut off where the style ends short, unless that would leave the singer alone with a held note. */
    p->cut_end = p->style->short_end && offset < p->bars[end].start_s + 1.5 * p->period_s;
    for (int i = end + 1; i < p->n_bars; i++)
        p->bars[i].mode = BAR_SILENT;
    p->bars[end].mode = BAR_END;
    p->end_s = fmin(in->duration_s, p->bars[end].start_s + fmax(3.0, 1.2 * bar_s));
}

double plan_room_end(const plan *p, double time_s)
{
    const music_arrange_input *in = p->in;
    if (time_s < 0 || time_s >= p->end_s)
        return 0;
    if (in->n_intervals == 0)
        return p->end_s;
    for (int i = 0; i < in->n_intervals; i++)
        if (time_s >= in->intervals[i].start_s && time_s < in->intervals[i].end_s)
            return fmin(p->end_s, in->intervals[i].end_s);
    return 0;
}

/* Bars without steady beats, and those in which an interval ends, hold their chord. */
static void set_modes(plan *p)
{
    for (int i = 0; i < p->n_bars; i++) {
        plan_bar *bar = &p->bars[i];
        if (bar->mode == BAR_SILENT)
            continue;
        double room = plan_room_end(p, bar->start_s);
        if (bar->mode == BAR_PLAY && room > 0 && room < bar->end_s - 0.25 * p->period_s)
            bar->mode = BAR_HOLD;
        for (int b = bar->first_beat; b < bar->first_beat + bar->n_beats && bar->mode == BAR_PLAY; b++) {
            double gap = p->beat[b + 1] - p->beat[b];
            if (fabs(gap - p->period_s) > 0.3 * p->period_s)
                bar->mode = BAR_HOLD;
        }
    }
}

double plan_position(const plan *p, double time_s)
{
    int low = 0, high = p->n_beats - 1;
    while (low + 1 < high) {
        int mid = (low + high) / 2;
        if (p->beat[mid] <= time_s)
            low = mid;
        else
            high = mid;
    }
    return low + (time_s - p->beat[low]) / (p->beat[low + 1] - p->beat[low]);
}

static int compare_melody(const void *a, const void *b)
{
    double x = ((const music_note *)a)->onset_s, y = ((const music_note *)b)->onset_s;
    return (x > y) - (x < y);
}

/* The melody in order, and its median pitch. */
static bl_status read_melody(plan *p, bl_error *err)
{
    const music_arrange_input *in = p->in;
    int histogram[128] = { 0 }, half = 0;
    p->sung = malloc(((size_t)in->n_melody + 1) * sizeof *p->sung);
    if (!p->sung)
        return bl_fail(err, BL_ENOMEM, "no memory for %d sung notes", in->n_melody);
    if (in->n_melody)
        memcpy(p->sung, in->melody, (size_t)in->n_melody * sizeof *p->sung);
    p->n_sung = in->n_melody;
    qsort(p->sung, (size_t)p->n_sung, sizeof *p->sung, compare_melody);
    for (int i = 0; i < p->n_sung; i++)
        histogram[p->sung[i].pitch & 127]++;
    for (p->vocal_pitch = 0; p->vocal_pitch < 127 && 2 * (half += histogram[p->vocal_pitch]) <= p->n_sung;)
        p->vocal_pitch++;
    if (!p->n_sung)
        p->vocal_pitch = 64;
    return BL_OK;
}

/* Within two semitones of the singer: in the way. Above the singer in the same octave: it covers the voice. */
static void add_fight(float fight[128], int sung, double weight)
{
    for (int q = sung - 2; q < sung + 12; q++)
        if (q >= 0 && q < 128)
            fight[q] += (float)(weight * (q <= sung + 2 ? 1 : 0.3));
}

/* What fights the singer under each chord; where nobody sings, what does so on the whole, but less. */
static void weigh_fight(plan *p)
{
    float song[128] = { 0 };
    double all = 0;
    for (int i = 0; i < p->n_sung; i++) {
        add_fight(song, p->sung[i].pitch, p->sung[i].offset_s - p->sung[i].onset_s);
        all += p->sung[i].offset_s - p->sung[i].onset_s;
    }
    for (int i = 0, from = 0; i < p->n_spans; i++) {
        plan_span *s = &p->spans[i];
        double time = 0;
        while (from < p->n_sung && p->sung[from].offset_s <= s->start_s)
            from++;
        for (int k = from; k < p->n_sung && p->sung[k].onset_s < s->end_s; k++) {
            const double over = fmin(s->end_s, p->sung[k].offset_s) - fmax(s->start_s, p->sung[k].onset_s);
            if (over > 0) {
                add_fight(s->fight, p->sung[k].pitch, over);
                time += over;
            }
        }
        for (int q = 0; q < 128 && all > 0; q++)
            s->fight[q] = time > 0.1 ? s->fight[q] / (float)time : 0.5f * song[q] / (float)all;
    }
}

/* Room for fills: from a beat after the singer's last note to half a beat before the next, at least a beat. */
static bl_status find_gaps(plan *p, bl_error *err)
{
    const music_note *m = p->sung;
    p->gaps = malloc(((size_t)p->n_sung + 2) * sizeof *p->gaps);
    if (!p->gaps)
        return bl_fail(err, BL_ENOMEM, "no memory for %d sung notes", p->n_sung);
    double from = p->n_bars ? p->bars[0].start_s : 0, stop = p->end_bar >= 0 ? p->bars[p->end_bar].start_s : p->end_s;
    for (int i = 0; i <= p->n_sung; i++) {
        double until = i < p->n_sung ? fmin(m[i].onset_s, stop) : stop;
        double start = ceil(plan_position(p, from) * 2 + (i ? 0.3 : 0)) / 2, end = plan_position(p, until) - (i < p->n_sung ? 0.4 : 0);
        if (until > from && end - start >= 1.5)
            p->gaps[p->n_gaps++] = (plan_gap){ start, end };
        if (i < p->n_sung)
            from = fmax(from, m[i].offset_s);
    }
    return BL_OK;
}

bl_status plan_build(plan *p, const music_arrange_input *in, bl_error *err)
{
    static const int blues[] = { 0, 3, 5, 6, 7, 10 };
    *p = (plan){ .in = in, .style = in->style, .key_classes = music_key_classes(in->key) };
    for (int i = 0; i < 6 && in->style->blues; i++)
        p->blues_classes |= 1u << (in->key.tonic + blues[i]) % 12;
    bl_status s = check(in, err);
    if (s == BL_OK)
        s = read_chords(p, err);
    if (s == BL_OK)
        s = read_beats(p, err);
    if (s == BL_OK)
        s = cut_bars(p, err);
    if (s == BL_OK)
        s = read_melody(p, err);
    if (s == BL_OK) {
        weigh_fight(p);
        find_end(p);
        set_modes(p);
        s = plan_cut_sections(p, err);
    }
    if (s == BL_OK)
        s = find_gaps(p, err);
    return s;
}

void plan_free(plan *p)
{
    free(p->beat);
    free(p->bars);
    free(p->sections);
    free(p->spans);
    free(p->gaps);
    free(p->sung);
    *p = (plan){ 0 };
}

double plan_swing(const plan *p, int step, int steps)
{
    return music_style_swing(p->style, 60 / p->period_s, step, steps);
}

double plan_time(const plan *p, double position)
{
    int i = (int)floor(position);
    i = i < 0 ? 0 : i > p->n_beats - 2 ? p->n_beats - 2 : i;
    return p->beat[i] + (position - i) * (p->beat[i + 1] - p->beat[i]);
}

int plan_span_at(const plan *p, double time_s)
{
    int low = 0, high = p->n_spans;
    while (low < high) {
        int mid = (low + high) / 2;
        if (p->spans[mid].start_s <= time_s)
            low = mid + 1;
        else
            high = mid;
    }
    return low && p->spans[low - 1].end_s > time_s && p->spans[low - 1].chord.root >= 0 ? low - 1 : -1;
}

/* First sung note that ends after a time. */
static int sung_from(const plan *p, double time_s)
{
    int low = 0, high = p->n_sung; /* by onset; singers do not overlap themselves for long */
    while (low < high) {
        int mid = (low + high) / 2;
        if (p->sung[mid].onset_s <= time_s)
            low = mid + 1;
        else
            high = mid;
    }
    while (low > 0 && p->sung[low - 1].offset_s > time_s)
        low--;
    return low;
}

const music_note *plan_sung_at(const plan *p, double time_s)
{
    const int i = sung_from(p, time_s);
    return i < p->n_sung && p->sung[i].onset_s <= time_s ? &p->sung[i] : NULL;
}

double plan_fight(const plan *p, int pitch, double start_s, double end_s)
{
    double sum = 0;
    for (int i = sung_from(p, start_s); i < p->n_sung && p->sung[i].onset_s < end_s; i++) {
        const int over = pitch - p->sung[i].pitch;
        const double time = fmin(end_s, p->sung[i].offset_s) - fmax(start_s, p->sung[i].onset_s);
        if (time > 0 && over >= -2 && over < 12)
            sum += time * (over <= 2 ? 1 : 0.3);
    }
    return sum / (end_s - start_s);
}

/* Seconds between the nearest two strokes of a pattern. */
static double densest(const plan *p, const style_pattern *pattern)
{
    const char *cells = pattern->rows[0].cells;
    int last = -1, nearest = 1000;
    for (int i = 0; cells[i]; i++)
        if (cells[i] != '.' && cells[i] != '_') {
            if (last >= 0 && i - last < nearest)
                nearest = i - last;
            last = i;
        }
    return p->period_s * nearest / pattern->steps;
}

/* Of the patterns listed, those in the song's meter that its tempo leaves playable (dense: and the others); fitting
 * [STYLE_CHOICES]. */
static int list_fitting(const plan *p, const style_part *part, const style_choice *c, int dense, int *fitting)
{
    int n = 0;
    const int beats = p->in->beats_per_bar;
    for (int pass = 0; pass < 3 && n == 0; pass++) /* patterns in the song's own meter first, then those that count in threes as it does */
        for (int i = 0; i < c->n; i++) {
            const style_pattern *x = &p->style->patterns[c->pattern[i]];
            if ((pass == 0 && x->beats != beats) || (pass == 1 && (x->beats % 3 == 0) != (beats % 3 == 0)))
                continue;
            if (dense || part->role == STYLE_DRUMS || densest(p, x) >= p->style->stroke_gap_s)
                fitting[n++] = c->pattern[i];
        }
    return n;
}

/* Does the bar lead into another section, or to the last chord? */
static int is_turn(const plan *p, const plan_bar *bar)
{
    const plan_bar *next = bar + 1;
    return next < p->bars + p->n_bars && p->sections[bar->section].n_bars > 2 &&
           (next->mode == BAR_END || (next->mode == BAR_PLAY && next->section != bar->section));
}

const style_pattern *plan_pattern(const plan *p, const style_part *part, const plan_bar *bar, int lower)
{
    const plan_section *s = &p->sections[bar->section];
    const int level = s->level > lower ? s->level - lower : 0;
    const style_choice *c = s->sung < 0.05 && part->alone.n ? &part->alone : &part->level[level];
    int fitting[STYLE_CHOICES], n = 0, at = 0;
    if (bar - p->bars < p->entry_bar[part->enters] || !c->n)
        return NULL;
    if (part->varies)
        at = -1 - bar->in_section / part->varies;
    if (is_turn(p, bar) && (n = list_fitting(p, part, &part->turns, 0, fitting)) > 0)
        at = 1 + bar->section;
    if (!n)
        n = list_fitting(p, part, c, 0, fitting);
    for (int l = level - 1; l >= 0 && !n; l--) /* too fast a song for this level's */
        n = list_fitting(p, part, &part->level[l], 0, fitting);
    if (!n)
        n = list_fitting(p, part, c, 1, fitting);
    uint64_t h = bl_hash(p->in->seed, part->group, strlen(part->group));
    h = bl_hash(h, &s->label, sizeof s->label);
    if (at)
        h = bl_hash(h, &at, sizeof at);
    bl_rng rng;
    bl_rng_seed(&rng, h);
    return &p->style->patterns[fitting[bl_rng_below(&rng, n)]];
}

int plan_cell(const plan *p, const style_pattern *pattern, const plan_bar *bar, int beat, int step)
{
    /* Three-beat groups of a foreign meter use the pattern's first three beats. */
    int group = pattern->beats != p->in->beats_per_bar && p->in->beats_per_bar % 3 == 0 ? 3 : pattern->beats;
    group = group < pattern->beats ? group : pattern->beats;
    return ((bar->in_section % pattern->bars) * pattern->beats + beat % group) * pattern->steps + step;
}

int plan_accent(const style_pattern *pattern, int cell, int beat, int step)
{
    if (pattern->accent.cells[0])
        return pattern->accent.cells[cell] == '.' ? 5 : pattern->accent.cells[cell] - '0';
    return step ? 5 : beat == 0 ? 7 : 6;
}

int plan_velocity(const plan *p, const style_part *part, const plan_bar *bar, int accent, bl_rng *rng)
{
    (void)p;
    double x = 0.55 * bar->intensity + 0.45 * accent / 9.0;
    double v = part->velocity_low + (part->velocity_high - part->velocity_low) * x + 5 * (bl_rng_uniform(rng) - 0.5);
    return v < 35 ? 35 : v > 127 ? 127 : (int)lround(v);
}
