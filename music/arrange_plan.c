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
    for (int i = 0; i < in->n_beats; i++)
        if (!isfinite(in->beats_s[i]) || in->beats_s[i] < 0 || (i && in->beats_s[i] - in->beats_s[i - 1] < 0.05))
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

/* Energy of each bar: loudness, height and density of the singing; NAN where nobody sings. */
static void bar_energy(const plan *p, double *energy, double *sung)
{
    const music_arrange_input *in = p->in;
    for (int i = 0; i < p->n_bars; i++) {
        const plan_bar *bar = &p->bars[i];
        double time = 0, loud = 0, high = 0;
        int onsets = 0;
        for (int k = 0; k < in->n_melody; k++) {
            const music_note *m = &in->melody[k];
            double overlap = fmin(m->offset_s, bar->end_s) - fmax(m->onset_s, bar->start_s);
            if (overlap <= 0)
                continue;
            time += overlap;
            loud += overlap * m->velocity;
            high += overlap * m->pitch;
            onsets += m->onset_s >= bar->start_s;
        }
        sung[i] = time / (bar->end_s - bar->start_s);
        energy[i] = time > 0 ? loud / time / 12 + high / time / 4 + 0.25 * onsets / fmax(1, bar->n_beats) : (double)NAN;
    }
}

/* What is sung in a section, as a beat-by-beat profile of pitch classes; alike sections have alike profiles. */
static double likeness(const plan *p, const plan_section *a, const plan_section *b)
{
    int n = a->n_bars < b->n_bars ? a->n_bars : b->n_bars;
    double dot = 0, aa = 0, bb = 0;
    for (int i = 0; i < n; i++) {
        const plan_bar *x = &p->bars[a->first_bar + i], *y = &p->bars[b->first_bar + i];
        for (int h = 0; h < 2; h++) { /* half bars */
            double u[12] = { 0 }, v[12] = { 0 };
            for (int k = 0; k < p->in->n_melody; k++) {
                const music_note *m = &p->in->melody[k];
                double xs = x->start_s + 0.5 * h * (x->end_s - x->start_s), xe = xs + 0.5 * (x->end_s - x->start_s);
                double ys = y->start_s + 0.5 * h * (y->end_s - y->start_s), ye = ys + 0.5 * (y->end_s - y->start_s);
                u[((m->pitch % 12) + 12) % 12] += fmax(0, fmin(m->offset_s, xe) - fmax(m->onset_s, xs));
                v[((m->pitch % 12) + 12) % 12] += fmax(0, fmin(m->offset_s, ye) - fmax(m->onset_s, ys));
            }
            for (int c = 0; c < 12; c++) {
                dot += u[c] * v[c];
                aa += u[c] * u[c];
                bb += v[c] * v[c];
            }
        }
    }
    return aa > 0 && bb > 0 ? dot / sqrt(aa * bb) : 0;
}

static void name_sections(plan *p, int chorus)
{
    for (int i = 0; i < p->n_sections; i++) {
        plan_section *s = &p->sections[i];
        int count = 0;
        for (int k = 0; k < p->n_sections; k++)
            count += p->sections[k].label == s->label;
        const char *name = s->label == chorus || s->level == STYLE_LEVELS - 1 ? "chorus" : "verse";
        if (i == 0 && s->n_bars <= 2 && s->sung < 0.35 && p->n_sections > 1)
            name = "intro";
        else if (s->sung < 0.05)
            name = i == 0 ? "intro" : i == p->n_sections - 1 ? "outro" : "interlude";
        else if (!strcmp(name, "verse") && count == 1 && i * 10 > p->n_sections * 6 && i + 1 < p->n_sections)
            name = "bridge";
        strcpy(s->name, name);
    }
}

/* Labels alike sections, finds the chorus (the label with most energy that returns) and sets the levels. */
static void rate_sections(plan *p)
{
    double mean = 0, spread = 0;
    int n = 0, chorus = -1, labels = 0;
    for (int i = 0; i < p->n_sections; i++) {
        plan_section *s = &p->sections[i];
        if (p->in->n_sections) { /* somebody has listened */
            labels = s->label >= labels ? s->label + 1 : labels;
        } else
            s->label = -1;
        for (int k = 0; k < i && s->label < 0; k++)
            if ((s->sung < 0.05) == (p->sections[k].sung < 0.05) && (s->sung < 0.05 || likeness(p, s, &p->sections[k]) > 0.72))
                s->label = p->sections[k].label;
        if (s->label < 0)
            s->label = labels++;
        if (s->sung >= 0.05) {
            mean += s->energy;
            n++;
        }
    }
    mean = n ? mean / n : 0;
    for (int i = 0; i < p->n_sections; i++)
        if (p->sections[i].sung >= 0.05)
            spread += pow(p->sections[i].energy - mean, 2);
    spread = n > 1 ? sqrt(spread / n) : 0;
    double best = -1e9;
    for (int l = 0; l < labels; l++) { /* every section of a label gets the label's mean energy */
        double sum = 0;
        int count = 0, first = -1;
        for (int i = 0; i < p->n_sections; i++)
            if (p->sections[i].label == l && p->sections[i].sung >= 0.05) {
                sum += p->sections[i].energy;
                count++;
                first = first < 0 ? i : first;
            }
        for (int i = 0; i < p->n_sections; i++)
            if (p->sections[i].label == l && count)
                p->sections[i].energy = sum / count;
        if (count && n > 2 && sum / count + (count > 1 ? 0.5 * spread : 0) > best && (first > 0 || count > 1)) {
            best = sum / count + (count > 1 ? 0.5 * spread : 0);
            chorus = l;
        }
    }
    for (int i = 0; i < p->n_sections; i++) {
        plan_section *s = &p->sections[i];
        double z = spread > 0.15 ? (s->energy - mean) / spread : 0;
        s->level = s->label == chorus ? 2 : z > 0.9 ? 2 : z < -0.6 ? 0 : 1;
        if (s->sung < 0.05)
            s->level = i == 0 ? 0 : i > 0 ? p->sections[i - 1].level : 1;
    }
    name_sections(p, chorus);
}

/* A section of bars start .. end with the singer's energy in it. */
static void add_section(plan *p, int start, int end, const double *energy, const double *sung)
{
    plan_section *s = &p->sections[p->n_sections++];
    int k = 0;
    s->first_bar = start;
    s->n_bars = end - start;
    for (int i = start; i < end; i++) {
        s->sung += sung[i] / (end - start);
        if (!isnan(energy[i])) {
            s->energy += energy[i];
            k++;
        }
    }
    s->energy = k ? s->energy / k : 0;
}

/* The sections that were given, each from the bar nearest to its start. */
static void take_sections(plan *p, const double *energy, const double *sung)
{
    const music_arrange_input *in = p->in;
    for (int i = 0, start = 0; i < in->n_sections && start < p->n_bars; i++) {
        int end = start;
        while (end < p->n_bars && (i + 1 == in->n_sections ||
                                   0.5 * (p->bars[end].start_s + p->bars[end].end_s) < in->sections[i + 1].start_s))
            end++;
        if (end == start)
            continue;
        add_section(p, start, end, energy, sung);
        p->sections[p->n_sections - 1].label = in->sections[i].label;
        start = end;
    }
}

/* Without anybody's: by the singer's silences and by counting. */
static void count_sections(plan *p, const double *energy, const double *sung)
{
    int n = p->n_bars, length = p->style->section_bars;
    if (n < 3 * length)
        length = length >= 8 ? length / 2 : length;
    /* The first bar in which singing starts in the first half (else that is an upbeat to the next). */
    int first = 0;
    while (first < n - 1 && sung[first] < 0.35)
        first++;
    if (sung[first] < 0.35)
        first = 0;
    for (int start = 0; start < n;) {
        int end = start < first ? first : start + length, quiet = start >= first && sung[start] < 0.05;
        /* A long silence of the singer is a section of its own; a short tail joins the section before. */
        for (int i = start + 1; i < end && i < n && start >= first; i++)
            if (quiet != (sung[i] < 0.05) && (i + 2 >= n || ((sung[i + 1] < 0.05) != quiet && (sung[i + 2] < 0.05) != quiet)) && i - start >= 2)
                end = i;
        end = end > n || (n - end < 2) ? n : end;
        add_section(p, start, end, energy, sung);
        start = end;
    }
}

static bl_status cut_sections(plan *p, bl_error *err)
{
    int n = p->n_bars;
    double *energy = malloc(2 * (size_t)n * sizeof *energy);
    p->sections = calloc((size_t)n + 1, sizeof *p->sections);
    if (!energy || !p->sections) {
        free(energy);
        return bl_fail(err, BL_ENOMEM, "no memory for the sections of %d bars", n);
    }
    double *sung = energy + n;
    bar_energy(p, energy, sung);
    if (p->in->n_sections)
        take_sections(p, energy, sung);
    else
        count_sections(p, energy, sung);
    rate_sections(p);
    double low = 1e9, high = -1e9;
    for (int i = 0; i < n; i++)
        if (!isnan(energy[i])) {
            low = fmin(low, energy[i]);
            high = fmax(high, energy[i]);
        }
    /* Intensity: the section's level, bent by the bar's own energy, smoothed over neighbours. */
    double last = 0.4;
    for (int si = 0; si < p->n_sections; si++)
        for (int i = 0; i < p->sections[si].n_bars; i++) {
            int b = p->sections[si].first_bar + i;
            double own = isnan(energy[b]) || high - low < 1e-6 ? 0.5 : (energy[b] - low) / (high - low);
            double target = 0.2 + 0.25 * p->sections[si].level + 0.25 * own;
            last = i == 0 ? 0.3 * last + 0.7 * target : 0.6 * last + 0.4 * target;
            p->bars[b].intensity = fmin(1, fmax(0, last));
            p->bars[b].section = si;
            p->bars[b].in_section = i;
        }
    free(energy);
    return BL_OK;
}

static double position_of(const plan *p, double time_s)
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

/* Room for fills: from a beat after the singer's last note to half a beat before the next, at least a beat. */
static bl_status find_gaps(plan *p, bl_error *err)
{
    const music_arrange_input *in = p->in;
    music_note *m = malloc(((size_t)in->n_melody + 1) * sizeof *m);
    p->gaps = malloc(((size_t)in->n_melody + 2) * sizeof *p->gaps);
    if (!m || !p->gaps) {
        free(m);
        return bl_fail(err, BL_ENOMEM, "no memory for %d sung notes", in->n_melody);
    }
    if (in->n_melody)
        memcpy(m, in->melody, (size_t)in->n_melody * sizeof *m);
    qsort(m, (size_t)in->n_melody, sizeof *m, compare_melody);
    double from = p->n_bars ? p->bars[0].start_s : 0, stop = p->end_bar >= 0 ? p->bars[p->end_bar].start_s : p->end_s;
    for (int i = 0; i <= in->n_melody; i++) {
        double until = i < in->n_melody ? fmin(m[i].onset_s, stop) : stop;
        double start = ceil(position_of(p, from) * 2 + (i ? 0.3 : 0)) / 2, end = position_of(p, until) - (i < in->n_melody ? 0.4 : 0);
        if (until > from && end - start >= 1.5)
            p->gaps[p->n_gaps++] = (plan_gap){ start, end };
        if (i < in->n_melody)
            from = fmax(from, m[i].offset_s);
    }
    for (int i = 0; i < in->n_melody; i++)
        m[i].onset_s = m[i].pitch; /* median pitch */
    qsort(m, (size_t)in->n_melody, sizeof *m, compare_melody);
    p->vocal_pitch = in->n_melody ? m[in->n_melody / 2].pitch : 64;
    free(m);
    return BL_OK;
}

bl_status plan_build(plan *p, const music_arrange_input *in, bl_error *err)
{
    *p = (plan){ .in = in, .style = in->style, .key_classes = music_key_classes(in->key) };
    bl_status s = check(in, err);
    if (s == BL_OK)
        s = read_chords(p, err);
    if (s == BL_OK)
        s = read_beats(p, err);
    if (s == BL_OK)
        s = cut_bars(p, err);
    if (s == BL_OK) {
        find_end(p);
        set_modes(p);
        s = cut_sections(p, err);
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
    *p = (plan){ 0 };
}

double plan_swing(const plan *p, int step, int steps)
{
    double s = p->style->swing, fraction = (double)step / steps;
    if (steps == 3)
        return fraction;
    return fraction < 0.5 ? fraction * 2 * s : s + (fraction - 0.5) * 2 * (1 - s);
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

int plan_sung_at(const plan *p, double time_s)
{
    for (int i = 0; i < p->in->n_melody; i++)
        if (p->in->melody[i].onset_s <= time_s && p->in->melody[i].offset_s > time_s)
            return p->in->melody[i].pitch;
    return 0;
}

const style_pattern *plan_pattern(const plan *p, const style_part *part, const plan_bar *bar, int lower)
{
    const plan_section *s = &p->sections[bar->section];
    int level = s->level > lower ? s->level - lower : 0, fitting[STYLE_CHOICES], n = 0;
    const style_choice *c = &part->level[level];
    for (int pass = 0; pass < 2 && n == 0; pass++) /* patterns in the song's own meter first */
        for (int i = 0; i < c->n; i++)
            if (pass || p->style->patterns[c->pattern[i]].beats == p->in->beats_per_bar)
                fitting[n++] = c->pattern[i];
    if (n == 0)
        return NULL;
    uint64_t h = bl_hash(p->in->seed, part->instrument->name, strlen(part->instrument->name));
    h = bl_hash(h, &s->label, sizeof s->label);
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
    double x = 0.45 * bar->intensity + 0.55 * accent / 9.0;
    double v = part->velocity_low + (part->velocity_high - part->velocity_low) * x + 5 * (bl_rng_uniform(rng) - 0.5);
    return v < 35 ? 35 : v > 127 ? 127 : (int)lround(v);
}
