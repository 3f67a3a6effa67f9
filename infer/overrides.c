#include "infer/overrides.h"

#include "audio/key.h"
#include "base/file.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_BYTES = 64 << 20, MAX_BEATS = 1000000, MAX_PER_BAR = 12 };
static const double LEAST_GAP_S = 0.05;

/* ---- a file of beats ---- */

typedef struct beats_file {
    const char *path;
    double *time_s;
    int    *number;      /* in the bar; 0: not given */
    int     n, capacity, line;
    bl_error *err;
} beats_file;

/* What stands on a line, without its blanks, for a message. */
static const char *shown(const char *line, char out[48])
{
    while (isspace((unsigned char)*line))
        line++;
    snprintf(out, 48, "%.44s", line);
    for (size_t n = strlen(out); n && isspace((unsigned char)out[n - 1]); n--)
        out[n - 1] = '\0';
    if (strlen(line) > 46)
        strcat(out, "...");
    return out;
}

static const char *skip_blanks(const char *at)
{
    while (*at == ' ' || *at == '\t' || *at == '\r')
        at++;
    return at;
}

static bl_status parse_line(beats_file *f, const char *line)
{
    char text[48], *end;
    const double time_s = strtod(line, &end);
    long number = 0;
    if (end == line || !isfinite(time_s) || time_s < -60 || time_s > 1e6)
        return bl_fail(f->err, BL_EFORMAT, "%s line %d: expected a time in seconds, got \"%s\"", f->path, f->line, shown(line, text));
    const char *at = skip_blanks(end);
    if (*at == ',' || *at == ';')
        at = skip_blanks(at + 1);
    if (*at) {
        number = strtol(at, &end, 10);
        const char *rest = skip_blanks(end);
        if (end == at || (*rest && *rest != ',' && *rest != ';') || number < 1 || number > MAX_PER_BAR)
            return bl_fail(f->err, BL_EFORMAT, "%s line %d: expected the beat's number in its bar, 1 to %d, got \"%s\"", f->path,
                           f->line, MAX_PER_BAR, shown(at, text));
    }
    if (f->n && time_s < f->time_s[f->n - 1] + LEAST_GAP_S)
        return bl_fail(f->err, BL_EFORMAT, "%s line %d: the beat at %g s does not follow the one at %g s by %g s or more", f->path,
                       f->line, time_s, f->time_s[f->n - 1], LEAST_GAP_S);
    if (f->n && (number > 0) != (f->number[0] > 0))
        return bl_fail(f->err, BL_EFORMAT, "%s line %d: %s a beat number, unlike the lines before it", f->path, f->line,
                       number ? "with" : "without");
    if (f->n == f->capacity)
        return bl_fail(f->err, BL_EFORMAT, "%s line %d: more than %d beats", f->path, f->line, MAX_BEATS);
    f->time_s[f->n] = time_s;
    f->number[f->n++] = (int)number;
    return BL_OK;
}

static bl_status parse_lines(beats_file *f, char *text)
{
    const int is_csv = !strcasecmp(bl_path_extension(f->path), "csv");
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        f->line++;
        const char *at = skip_blanks(line);
        const int is_title = is_csv && !f->n && (isalpha((unsigned char)*at) || *at == '"');
        if (*at && *at != '#' && !is_title && parse_line(f, at) != BL_OK)
            return f->err->code;
    }
    return f->n >= 2 ? BL_OK : bl_fail(f->err, BL_EFORMAT, "%s: expected two beats or more, got %d", f->path, f->n);
}

/* Downbeats and the most frequent bar length. */
static bl_status take_bars(const beats_file *f, infer_plan *plan)
{
    int lengths[MAX_PER_BAR + 1] = { 0 }, last = -1, best = 0;
    if (!(plan->downbeats_s = malloc((size_t)f->n * sizeof *plan->downbeats_s)))
        return bl_fail(f->err, BL_ENOMEM, "no memory for the bars");
    for (int i = 0; i < f->n; i++) {
        if (f->number[i] != 1)
            continue;
        if (last >= 0 && i - last <= MAX_PER_BAR)
            lengths[i - last]++;
        last = i;
        plan->downbeats_s[plan->n_downbeats++] = plan->beats_s[i];
    }
    if (!plan->n_downbeats)
        return bl_fail(f->err, BL_EFORMAT, "%s: no beat has the number 1, so there is no downbeat", f->path);
    for (int i = 2; i <= MAX_PER_BAR; i++)
        best = lengths[i] > lengths[best] ? i : best;
    for (int i = 0; i < f->n && !best; i++) /* fewer than two whole bars: the largest number tells */
        plan->beats_per_bar = f->number[i] > plan->beats_per_bar ? f->number[i] : plan->beats_per_bar;
    if (best)
        plan->beats_per_bar = best;
    if (plan->beats_per_bar < 2)
        return bl_fail(f->err, BL_EFORMAT, "%s: every beat has the number 1; a bar has two beats or more", f->path);
    plan->has |= INFER_HAS_DOWNBEATS | INFER_HAS_METER;
    return BL_OK;
}

static int compare_real(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bl_status set_median_tempo(infer_plan *plan, bl_error *err)
{
    const int n = plan->n_beats - 1;
    double *gap = malloc((size_t)n * sizeof *gap);
    if (!gap)
        return bl_fail(err, BL_ENOMEM, "no memory for the beats");
    for (int i = 0; i < n; i++)
        gap[i] = plan->beats_s[i + 1] - plan->beats_s[i];
    qsort(gap, (size_t)n, sizeof *gap, compare_real);
    plan->tempo_bpm = 60 / gap[n / 2];
    plan->has |= INFER_HAS_TEMPO;
    free(gap);
    return BL_OK;
}

bl_status infer_read_beats(const char *path, infer_plan *plan, bl_error *err)
{
    const unsigned parts = INFER_HAS_TEMPO | INFER_HAS_BEATS | INFER_HAS_DOWNBEATS;
    char *text = NULL;
    size_t n_bytes = 0;
    beats_file f = { .path = path, .err = err };
    bl_status status = bl_read_file(path, MAX_BYTES, &text, &n_bytes, err);
    if (status == BL_OK && strlen(text) != n_bytes)
        status = bl_fail(err, BL_EFORMAT, "%s: not a text file of beats", path);
    for (size_t i = 0; i < n_bytes && status == BL_OK; i++)
        f.capacity += text[i] == '\n' && f.capacity < MAX_BEATS;
    f.capacity++;
    if (status == BL_OK && (!(f.time_s = malloc((size_t)f.capacity * sizeof *f.time_s)) ||
                            !(f.number = malloc((size_t)f.capacity * sizeof *f.number))))
        status = bl_fail(err, BL_ENOMEM, "no memory for the beats");
    if (status == BL_OK)
        status = parse_lines(&f, text);
    if (status == BL_OK) {
        infer_plan_forget(plan, parts);
        plan->beats_s = f.time_s;
        plan->n_beats = f.n;
        plan->has |= INFER_HAS_BEATS;
        f.time_s = NULL;
        status = set_median_tempo(plan, err);
    }
    if (status == BL_OK && f.number[0] > 0)
        status = take_bars(&f, plan);
    if (status == BL_OK)
        infer_plan_edited(plan, INFER_HAS_TEMPO | INFER_HAS_BEATS | (f.number[0] ? INFER_HAS_DOWNBEATS | INFER_HAS_METER : 0));
    free(f.time_s);
    free(f.number);
    free(text);
    return status;
}

/* ---- half and double ---- */

void infer_halve_beats(double *beats_s, int *n, int keep)
{
    int kept = 0;
    for (int i = keep % 2; i < *n; i += 2)
        beats_s[kept++] = beats_s[i];
    *n = kept;
}

bl_status infer_double_beats(double **beats_s, int *n, bl_error *err)
{
    double *more = malloc(2 * ((size_t)*n + 1) * sizeof *more);
    int k = 0;
    if (!more)
        return bl_fail(err, BL_ENOMEM, "no memory for the beats");
    for (int i = 0; i < *n; i++) {
        more[k++] = (*beats_s)[i];
        if (i + 1 < *n)
            more[k++] = 0.5 * ((*beats_s)[i] + (*beats_s)[i + 1]);
    }
    free(*beats_s);
    *beats_s = more;
    *n = k;
    return BL_OK;
}

/* A plan's tempo and beats; its bars stay where they are when beats are only added. */
static bl_status change_tempo(infer_plan *p, double factor, bl_error *err)
{
    if (!(p->has & (INFER_HAS_TEMPO | INFER_HAS_BEATS)))
        return BL_OK;
    if (p->has & INFER_HAS_TEMPO && (p->tempo_bpm * factor < 20 || p->tempo_bpm * factor > 400))
        return bl_fail(err, BL_EARG, "--tempo %s: the plan's %g bpm would be %g; expected 20 to 400", factor < 1 ? "half" : "double",
                       p->tempo_bpm, p->tempo_bpm * factor);
    p->tempo_bpm *= factor;
    if (p->has & INFER_HAS_BEATS) {
        int keep = 0;
        while (p->has & INFER_HAS_DOWNBEATS && keep + 1 < p->n_beats && p->n_downbeats && p->beats_s[keep] < p->downbeats_s[0] - 1e-3)
            keep++;
        if (factor < 1 && p->n_beats > 3)
            infer_halve_beats(p->beats_s, &p->n_beats, keep);
        else if (factor > 1 && infer_double_beats(&p->beats_s, &p->n_beats, err) != BL_OK)
            return err->code;
    }
    infer_plan_edited(p, p->has & (INFER_HAS_TEMPO | INFER_HAS_BEATS));
    return BL_OK;
}

/* ---- the options ---- */

double infer_overrides_tempo_factor(const infer_overrides *o)
{
    return !o->tempo ? 1 : !strcmp(o->tempo, "half") ? 0.5 : 2;
}

bl_status infer_overrides_check(const infer_overrides *o, bl_error *err)
{
    audio_key key;
    if (o->bpm != 0 && !(o->bpm >= 20 && o->bpm <= 400))
        return bl_fail(err, BL_EARG, "--bpm: expected 20 to 400, got %g", o->bpm);
    if (o->meter != 0 && (o->meter < 2 || o->meter > MAX_PER_BAR))
        return bl_fail(err, BL_EARG, "--meter: expected 2 to %d beats in a bar, got %lld", MAX_PER_BAR, (long long)o->meter);
    if (o->tempo && strcmp(o->tempo, "half") != 0 && strcmp(o->tempo, "double") != 0)
        return bl_fail(err, BL_EARG, "--tempo: expected half or double, got \"%s\"%s", o->tempo,
                       strtod(o->tempo, NULL) > 0 ? " (a tempo in beats per minute is given with --bpm)" : "");
    if (o->beats && o->bpm != 0)
        return bl_fail(err, BL_EARG, "--beats and --bpm: the beats say the tempo; give one of them");
    if (o->tempo && (o->bpm != 0 || o->beats))
        return bl_fail(err, BL_EARG, "--tempo changes the tempo that is heard, and %s gives it; give one of them",
                       o->beats ? "--beats" : "--bpm");
    if (o->key && audio_key_parse(o->key, &key, err) != BL_OK)
        bl_error_prefix(err, "--key");
    return err->code;
}

bl_status infer_overrides_apply(const infer_overrides *o, infer_plan *p, bl_error *err)
{
    if (o->plan && infer_plan_read(o->plan, p, err) != BL_OK)
        return err->code;
    if (o->bpm > 0) {
        if (!(p->has & INFER_HAS_TEMPO) || fabs(p->tempo_bpm - o->bpm) > 1e-3)
            infer_plan_edited(p, INFER_HAS_TEMPO);
        p->tempo_bpm = o->bpm;
        p->has |= INFER_HAS_TEMPO;
    }
    if (o->beats && infer_read_beats(o->beats, p, err) != BL_OK)
        return err->code;
    if (o->tempo && change_tempo(p, infer_overrides_tempo_factor(o), err) != BL_OK)
        return err->code;
    if (o->meter) {
        if (p->has & INFER_HAS_METER && p->beats_per_bar != (int)o->meter)
            infer_plan_edited(p, INFER_HAS_METER);
        p->beats_per_bar = (int)o->meter;
        p->has |= INFER_HAS_METER;
    }
    if (o->key) {
        audio_key key;
        if (audio_key_parse(o->key, &key, err) != BL_OK)
            return err->code;
        if (p->has & INFER_HAS_KEY && strcmp(p->key, key.name) != 0)
            infer_plan_edited(p, INFER_HAS_KEY);
        snprintf(p->key, sizeof p->key, "%s", key.name);
        p->has |= INFER_HAS_KEY;
    }
    return o->chords ? infer_plan_read_sheet(p, o->chords, err) : BL_OK;
}
