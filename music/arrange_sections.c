#include "music/arrange_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

static void name_sections(plan *p)
{
    for (int i = 0; i < p->n_sections; i++) {
        plan_section *s = &p->sections[i];
        int count = 0;
        for (int k = 0; k < p->n_sections; k++)
            count += p->sections[k].label == s->label;
        const char *name = s->label == p->chorus || s->level == STYLE_LEVELS - 1 ? "chorus" : "verse";
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
    int n = 0, labels = 0;
    p->chorus = -1;
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
            p->chorus = l;
        }
    }
    for (int i = 0; i < p->n_sections; i++) {
        plan_section *s = &p->sections[i];
        double z = spread > 0.15 ? (s->energy - mean) / spread : 0;
        s->level = s->label == p->chorus ? 2 : z > 0.9 ? 2 : z < -0.6 ? 0 : 1;
        if (s->sung < 0.05)
            s->level = i == 0 ? 0 : i > 0 ? p->sections[i - 1].level : 1;
    }
    name_sections(p);
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

/* A band does not give everything at once: the first verse is thinner than what follows, instruments join in its course and
 * after it, and the bar before the last chorus may stop. A short song has no time for that. */
static void orchestrate(plan *p)
{
    int first = -1, n_sung = 0, last_chorus = -1, choruses = 0;
    for (int i = 0; i < p->n_sections; i++) {
        if (p->sections[i].sung < 0.05)
            continue;
        first = first < 0 ? i : first;
        n_sung++;
        if (p->sections[i].label == p->chorus) {
            last_chorus = i;
            choruses++;
        }
    }
    if (n_sung < 3)
        return;
    plan_section *verse = &p->sections[first];
    if (verse->label != p->chorus && verse->level == 1)
        verse->level = 0;
    if (verse->n_bars >= 4)
        p->entry_bar[1] = verse->first_bar + (verse->n_bars >= 8 ? verse->n_bars / 2 : 0);
    if (n_sung >= 4 || verse->n_bars >= 8)
        p->entry_bar[2] = verse->first_bar + verse->n_bars;
    if (p->entry_bar[2] < p->entry_bar[1])
        p->entry_bar[2] = p->entry_bar[1];
    if (p->style->stop_before_last && choruses > 1 && p->sections[last_chorus - 1].n_bars >= 4)
        p->bars[p->sections[last_chorus].first_bar - 1].stop = 1;
}

bl_status plan_cut_sections(plan *p, bl_error *err)
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
    orchestrate(p);
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
            double target = 0.12 + 0.2 * p->sections[si].level + 0.45 * own;
            last = i == 0 ? 0.3 * last + 0.7 * target : 0.6 * last + 0.4 * target;
            p->bars[b].intensity = fmin(1, fmax(0, last));
            p->bars[b].section = si;
            p->bars[b].in_section = i;
        }
    free(energy);
    return BL_OK;
}

