#include "music/arrange_private.h"

#include <math.h>
#include <string.h>

enum { KICK = 36, HAT = 42, OPEN_HAT = 46, RIDE = 51 };

static void hit(writer *w, double time_s, int drum, int velocity)
{
    /* A cymbal rings; arrange_finish ends every hit before the same drum is struck again. */
    double ring = drum == 49 || drum == 57 || drum == RIDE || drum == OPEN_HAT ? 0.5 : 0.15;
    writer_start(w, time_s, drum, velocity);
    writer_stop(w, time_s + ring, 1);
}

/* The fill that leads out of a bar, NULL for none. A section's last bar gets one; so does, now and then, every fourth. */
static const style_pattern *choose_fill(writer *w, int bar_index)
{
    const plan *p = w->p;
    const plan_bar *bar = &p->bars[bar_index];
    const style_choice *fills = &w->part->fills;
    if (fills->n == 0 || bar_index + 1 >= p->n_bars || bar->mode != BAR_PLAY)
        return NULL;
    const plan_bar *next = &p->bars[bar_index + 1];
    int choice;
    if (next->mode == BAR_END || (next->mode == BAR_PLAY && next->section != bar->section)) {
        int level = next->mode == BAR_END ? 1 : p->sections[next->section].level; /* bigger fills into bigger sections */
        choice = level * (fills->n - 1) / (STYLE_LEVELS - 1);
    } else if (bar->in_section % 4 == 3 && next->mode == BAR_PLAY && bl_rng_uniform(&w->rng) < 0.35) {
        choice = 0;
    } else {
        return NULL;
    }
    const style_pattern *fill = &p->style->patterns[fills->pattern[choice]];
    return fill->beats <= bar->n_beats ? fill : NULL;
}

static void groove_bar(writer *w, const plan_bar *bar, const style_pattern *groove, const style_pattern *fill, int crash)
{
    const plan *p = w->p;
    int fill_from = fill ? bar->n_beats - fill->beats : bar->n_beats;
    for (int b = 0; b < bar->n_beats; b++) {
        const style_pattern *now = b >= fill_from ? fill : groove;
        for (int s = 0; now && s < now->steps; s++) {
            double position = bar->first_beat + b + plan_swing(p, s, now->steps);
            double t = plan_time(p, position);
            int cell = now == fill ? (b - fill_from) * fill->steps + s : plan_cell(p, now, bar, b, s), first = b == 0 && s == 0;
            double together = writer_jitter(w) * 0.7; /* the limbs of one drummer go together */
            for (int r = 0; r < now->n_rows; r++) {
                char digit = now->rows[r].cells[cell];
                int drum = now->rows[r].drum;
                if (digit == '.' || (crash && first && (drum == HAT || drum == RIDE || drum == OPEN_HAT)))
                    continue;
                hit(w, t + together + 0.0015 * (bl_rng_uniform(&w->rng) - 0.5), drum,
                    plan_velocity(p, w->part, bar, digit - '0', &w->rng));
            }
            if (crash && first)
                hit(w, t + together, p->style->crash_drum, plan_velocity(p, w->part, bar, 8, &w->rng));
        }
    }
}

void arrange_drums(writer *w)
{
    const plan *p = w->p;
    int filled = 0; /* the bar before ended in a fill */
    for (int i = 0; i < p->n_bars && !w->failed; i++) {
        const plan_bar *bar = &p->bars[i];
        if (bar->mode == BAR_END) {
            double t = bar->start_s + 0.5 * writer_jitter(w);
            for (int k = 0; k < p->style->n_end_drums; k++)
                hit(w, t, p->style->end_drums[k], plan_velocity(p, w->part, bar, 8, &w->rng));
        }
        const style_pattern *groove = bar->mode == BAR_PLAY ? plan_pattern(p, w->part, bar, w->lower) : NULL;
        if (!groove) {
            filled = 0;
            continue;
        }
        const style_pattern *fill = choose_fill(w, i);
        int crash = p->style->crash_drum && filled && bar->in_section == 0 && p->sections[bar->section].level > 0;
        groove_bar(w, bar, groove, fill, crash);
        filled = fill != NULL;
    }
    w->n_open = 0;
}
