#include "music/harmony_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = MUSIC_DEGREES, LONGEST = MUSIC_LONGEST_CHORD };

/* ---- degrees ---- */

static int wrap(int pitch)
{
    return (pitch % 12 + 12) % 12;
}

int music_do(music_key key)
{
    return wrap(key.tonic + 3 * (key.minor != 0));
}

int music_chord_degree(music_chord chord, int do_class)
{
    if (chord.root < 0)
        return -1;
    const int root = wrap(chord.root - do_class), third = music_chord_third(chord);
    const unsigned tones = music_chord_classes((music_chord){ chord.root, chord.quality, chord.root });
    if (third == 0) /* suspended, power: as the scale has it */
        return 3 * root + (root == 2 || root == 4 || root == 9 || root == 11);
    const int has_fifth = (int)(tones >> wrap(chord.root + 7) & 1), flat_fifth = (int)(tones >> wrap(chord.root + 6) & 1);
    return 3 * root + (third == 4 ? 0 : flat_fifth && !has_fifth ? 2 : 1);
}

int music_chord_colour(music_chord chord)
{
    const unsigned tones = chord.root < 0 ? 0 : music_chord_classes((music_chord){ chord.root, chord.quality, chord.root });
    if (tones && music_chord_third(chord) == 0 && chord.quality != MUSIC_POWER)
        return tones >> wrap(chord.root + 2) & 1 ? MUSIC_SUSPENDED_2 : MUSIC_SUSPENDED_4;
    return tones && (tones >> wrap(chord.root + 10) & 1 || tones >> wrap(chord.root + 11) & 1) ? MUSIC_SEVENTH : MUSIC_TRIAD;
}

music_chord music_degree_chord(int degree, int do_class)
{
    static const music_quality family[3] = { MUSIC_MAJ, MUSIC_MIN, MUSIC_DIM };
    const int root = wrap(degree / 3 + do_class);
    return (music_chord){ root, family[degree % 3], root };
}

/* ---- units ---- */

bl_status music_harmony_units(const music_harmony_input *in, music_harmony_unit **units, int *n_units, bl_error *err)
{
    if (in->n_beats < 2 || in->beats_per_bar < 1 || in->beats_per_bar > 64)
        return bl_fail(err, BL_EARG, "chords need two beats and a bar of 1 to 64, got %d beats in bars of %d", in->n_beats,
                       in->beats_per_bar);
    for (int i = 1; i < in->n_beats; i++)
        if (!(in->beats_s[i] > in->beats_s[i - 1]))
            return bl_fail(err, BL_EARG, "beat %d at %g s does not follow the one before it", i + 1, in->beats_s[i]);
    music_harmony_unit *out = calloc((size_t)in->n_beats, sizeof *out);
    if (!out)
        return bl_fail(err, BL_ENOMEM, "no memory for chords of %d beats", in->n_beats);
    const int per = in->beats_per_bar, half = per >= 4 && per % 2 == 0 ? per / 2 : per;
    int n = 0, first = 0, place = 0, bar = 0;
    while (in->is_downbeat && first < in->n_beats && !in->is_downbeat[first])
        first++;
    first = in->is_downbeat && first < in->n_beats ? first : 0; /* none at all: as if beat 0 were one */
    for (int i = 0; i < in->n_beats - 1; i++) {                  /* the last beat only ends a unit */
        place = i == 0 ? (per - first % per) % per : place + 1;
        if (in->is_downbeat && in->is_downbeat[i])
            place = 0;
        bar += i && place % per == 0;
        if (n == 0 || place % half == 0)
            out[n++] = (music_harmony_unit){ .start_s = in->beats_s[i], .mid_bar = place % per != 0, .bar = bar };
    }
    for (int i = 0; i < n; i++)
        out[i].end_s = i + 1 < n ? out[i + 1].start_s : in->beats_s[in->n_beats - 1];
    out[0].start_s = fmin(in->start_s, out[0].start_s);
    out[n - 1].end_s = fmax(in->end_s, out[n - 1].end_s);
    *units = out;
    *n_units = n;
    return BL_OK;
}

/* ---- what speaks for each chord in each unit ---- */

/* Seconds of singing on each pitch class above do from start to end. */
static void hear(const music_harmony_input *in, int do_class, double start_s, double end_s, double sung[12])
{
    memset(sung, 0, 12 * sizeof *sung);
    for (int i = 0; i < in->n_melody; i++) {
        const double overlap = fmin(in->melody[i].offset_s, end_s) - fmax(in->melody[i].onset_s, start_s);
        if (overlap > 0)
            sung[wrap(in->melody[i].pitch - do_class)] += overlap;
    }
}

/* The unit in which a section begins, and how many units it has. */
static void find_section(const music_harmony_section *s, const music_harmony_unit *u, int n, int *first, int *count)
{
    int from = 0, to;
    while (from < n && 0.5 * (u[from].start_s + u[from].end_s) < s->start_s)
        from++;
    for (to = from; to < n && 0.5 * (u[to].start_s + u[to].end_s) < s->end_s;)
        to++;
    *first = from;
    *count = to - from;
}

/* Units that lie at the same place of sections of one label share what they say. */
static void share_repeats(const music_harmony_input *in, const music_harmony_unit *u, int n, double weight, double (*e)[N])
{
    for (int s = 0; s < in->n_sections; s++) {
        int first, count, seen = 0;
        for (int r = 0; r < s; r++)
            seen |= in->sections[r].label == in->sections[s].label;
        if (seen)
            continue;
        find_section(&in->sections[s], u, n, &first, &count);
        for (int k = 0; k < count; k++) {
            double mean[N] = { 0 };
            int    n_same = 0;
            for (int pass = 0; pass < 2; pass++)
                for (int r = s; r < in->n_sections; r++) {
                    int other, length;
                    if (in->sections[r].label != in->sections[s].label)
                        continue;
                    find_section(&in->sections[r], u, n, &other, &length);
                    if (k >= length || u[other + k].mid_bar != u[first + k].mid_bar)
                        continue;
                    n_same += pass == 0;
                    for (int j = 0; j < N; j++)
                        if (pass == 0)
                            mean[j] += e[other + k][j];
                        else
                            e[other + k][j] += weight * (mean[j] / n_same - e[other + k][j]);
                }
        }
    }
}

static int tonic_degree(music_key key)
{
    return key.minor ? 3 * 9 + 1 : 0;
}

/* What is said of a unit, less the pull towards what is common and towards what is sung. */
static void lean(const harmony_genre *g, const float *share, const double sung[12], double length_s, double e[N])
{
    static const double RARE = 0.03; /* rarer chords are not helped further: their own shares are too small to be known */
    for (int j = 0; j < N; j++) {
        const unsigned tones = music_chord_classes(music_degree_chord(j, 0));
        double in = 0;
        for (int c = 0; c < 12; c++)
            in += tones >> c & 1 ? sung[c] / length_s : 0;
        e[j] -= g->prior * fmax((double)share[j], log(RARE)) + g->tension * in;
    }
}

static void weigh(const harmony_genre *g, const music_harmony_habits *habits, const music_harmony_input *in, const music_harmony_unit *u, int n,
                  const float *log_degree, double (*e)[N])
{
    const int minor = in->key.minor != 0, tonic = tonic_degree(in->key);
    int last_sung = 0;
    for (int t = 0; t < n; t++) {
        double sung[12];
        hear(in, music_do(in->key), u[t].start_s, u[t].end_s, sung);
        for (int j = 0; j < N; j++)
            e[t][j] = (double)log_degree[t * N + j];
        lean(g, habits->share[minor], sung, u[t].end_s - u[t].start_s, e[t]);
    }
    if (g->repeat > 0)
        share_repeats(in, u, n, g->repeat, e);
    for (int t = 0; t < n; t++)
        for (int j = 0; j < N; j++)
            e[t][j] *= g->evidence;
    for (int i = 0; i < in->n_melody; i++)
        for (int t = last_sung + 1; t < n; t++)
            if (in->melody[i].offset_s > u[t].start_s + 0.1)
                last_sung = t;
    e[n - 1][tonic] += g->cadence;
    e[last_sung][tonic] += last_sung < n - 1 ? g->cadence : 0;
}

/* ---- the path ---- */

typedef struct lattice {
    double move[N][N], start[N];
    double length[2][LONGEST], at_least[2][LONGEST]; /* log P of exactly d + 1 units, of so many or more */
    double (*open)[N], (*best)[N], (*sum)[N];        /* [n + 1]; best: of paths whose last chord ends before unit t */
    signed char (*from)[N];                          /* the chord before one that opens at t          */
    signed char (*units)[N];                         /* length of the last chord of best              */
} lattice;

static void take_habits(const harmony_genre *g, const music_harmony_habits *habits, int minor, lattice *l)
{
    for (int i = 0; i < N; i++) {
        double top = 0;
        for (int j = 0; j < N; j++)
            if (i != j)
                top += exp((double)habits->move[minor][i][j] + g->moves[minor][i][j] + g->prefer[minor][j]);
        for (int j = 0; j < N; j++)
            l->move[i][j] = i == j ? -HUGE_VAL : g->grammar * ((double)habits->move[minor][i][j] + g->moves[minor][i][j] +
                                                              g->prefer[minor][j] - log(top));
        l->start[i] = g->grammar * ((double)habits->share[minor][i] + g->prefer[minor][i]);
    }
    for (int p = 0; p < 2; p++) {
        double rest = 0;
        for (int d = LONGEST - 1; d >= 0; d--) {
            rest += exp((double)habits->length[p][d]);
            l->length[p][d] = g->duration * (double)habits->length[p][d];
            l->at_least[p][d] = g->duration * log(rest);
        }
    }
}

/* Chords of up to LONGEST units; one that is as long may be followed by itself, so that a chord can last for any time. */
static void run_path(const harmony_genre *g, const music_harmony_unit *u, int n, lattice *l, const double (*e)[N], int *path)
{
    for (int t = 0; t <= n; t++) {
        for (int j = 0; j < N && t > 0; j++) {
            l->best[t][j] = -HUGE_VAL;
            l->units[t][j] = 1; /* also of a path that cannot be */
            for (int d = 1; d <= LONGEST && d <= t; d++) {
                const int from = t - d, place = u[from].mid_bar;
                const double length = t == n ? l->at_least[place][d - 1] : l->length[place][d - 1];
                const double score = l->open[from][j] + l->sum[t][j] - l->sum[from][j] + length;
                if (score > l->best[t][j]) {
                    l->best[t][j] = score;
                    l->units[t][j] = (signed char)d;
                }
            }
        }
        for (int j = 0; j < N && t < n; j++) {
            l->sum[t + 1][j] = l->sum[t][j] + e[t][j];
            l->open[t][j] = t ? -HUGE_VAL : l->start[j];
            for (int i = 0; i < N && t; i++) {
                const double score = i == j ? l->units[t][i] == LONGEST ? l->best[t][i] : -HUGE_VAL
                                            : l->best[t][i] + l->move[i][j] + g->change[u[t].mid_bar];
                if (score > l->open[t][j]) {
                    l->open[t][j] = score;
                    l->from[t][j] = (signed char)i;
                }
            }
        }
    }
    int j = 0;
    for (int i = 1; i < N; i++)
        if (l->best[n][i] > l->best[n][j])
            j = i;
    for (int t = n; t > 0;) {
        const int start = t - l->units[t][j];
        for (int k = start; k < t; k++)
            path[k] = j;
        j = start ? l->from[start][j] : j;
        t = start;
    }
}

static bl_status find_path(const harmony_genre *g, const music_harmony_habits *habits, const music_harmony_input *in,
                           const music_harmony_unit *u, int n, const float *log_degree, int *path, bl_error *err)
{
    const size_t rows = (size_t)n + 1;
    double(*e)[N] = calloc(rows, sizeof *e);
    lattice *l = calloc(1, sizeof *l);
    bl_status status = BL_OK;
    if (l) {
        l->open = calloc(rows, sizeof *l->open);
        l->best = calloc(rows, sizeof *l->best);
        l->sum = calloc(rows, sizeof *l->sum);
        l->from = calloc(rows, sizeof *l->from);
        l->units = calloc(rows, sizeof *l->units);
    }
    if (!e || !l || !l->open || !l->best || !l->sum || !l->from || !l->units) {
        status = bl_fail(err, BL_ENOMEM, "no memory for chords of %d units", n);
    } else {
        weigh(g, habits, in, u, n, log_degree, e);
        take_habits(g, habits, in->key.minor != 0, l);
        run_path(g, u, n, l, (const double(*)[N])e, path);
    }
    if (l) {
        free(l->open);
        free(l->best);
        free(l->sum);
        free(l->from);
        free(l->units);
    }
    free(l);
    free(e);
    return status;
}

/* ---- writing ---- */

/* No added note rubs against what is held, and none that is held and belongs to the triad is lost. */
static int fits(music_chord rich, music_chord plain, const double sung[12], double beat_s)
{
    const double HELD = 0.75 * beat_s;
    const unsigned with = music_chord_classes(rich), without = music_chord_classes(plain);
    for (int c = 0; c < 12; c++) {
        if (!(sung[c] >= HELD))
            continue;
        if (!(with >> c & 1) && without >> c & 1)
            return 0;
        for (int side = -1; side <= 1; side += 2)
            if (with >> wrap(c + side) & 1 && !(without >> wrap(c + side) & 1))
                return 0;
    }
    return 1;
}

/* The chord that is written for a degree that lasts from unit `from` to `to`. */
static music_chord spell(const harmony_genre *g, const music_harmony_input *in, const music_harmony_unit *u, int from, int to, int degree,
                         const float *log_colour)
{
    const int minor = in->key.minor != 0, home = music_do(in->key);
    const music_chord plain = music_degree_chord(degree, home);
    const double beat_s = (in->beats_s[in->n_beats - 1] - in->beats_s[0]) / (in->n_beats - 1);
    double colour[MUSIC_COLOURS] = { 0 }, sung[12];
    for (int t = from; t < to; t++)
        for (int k = 0; k < MUSIC_COLOURS; k++)
            colour[k] += exp((double)log_colour[t * MUSIC_COLOURS + k]) / (to - from);
    hear(in, 0, u[from].start_s, u[to - 1].end_s, sung);
    const double sus = colour[MUSIC_SUSPENDED_2] + colour[MUSIC_SUSPENDED_4];
    if (sus >= g->sus && degree % 3 != 2) {
        const music_chord rich = { plain.root, colour[MUSIC_SUSPENDED_2] >= colour[MUSIC_SUSPENDED_4] ? MUSIC_SUS2 : MUSIC_SUS4, plain.root };
        if (music_chord_degree(rich, home) == degree && fits(rich, plain, sung, beat_s))
            return rich;
    }
    for (int k = 0; k < g->n_spell[minor][degree] && colour[MUSIC_SEVENTH] >= g->rich; k++) {
        music_chord rich = g->spell[minor][degree][k];
        rich.root = wrap(rich.root + home);
        rich.bass = wrap(rich.bass + home);
        if (fits(rich, plain, sung, beat_s))
            return rich;
    }
    return plain;
}

/* Bb in C major and not A#, but F# in D minor: roots beside the scale are lowered degrees, save for the raised fourth and minor's raised
 * third, sixth and seventh. */
static int has_flats(music_chord chord, music_key key)
{
    const int above = wrap(chord.root - key.tonic);
    if (music_key_classes(key) >> chord.root & 1)
        return music_key_has_flats(key);
    return above != 6 && !(key.minor && (above == 4 || above == 9 || above == 11));
}

static int write_spans(const harmony_genre *g, const music_harmony_input *in, const music_harmony_unit *u, int n, const int *path,
                       const float *log_colour, music_chord_span *spans)
{
    int count = 0;
    for (int from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && path[to] == path[from];)
            to++;
        music_chord_span *s = &spans[count++];
        *s = (music_chord_span){ .start_s = u[from].start_s, .end_s = u[to - 1].end_s };
        const music_chord chord = spell(g, in, u, from, to, path[from], log_colour);
        music_chord_format(chord, has_flats(chord, in->key), s->name);
    }
    return count;
}

static int has_nan(const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (isnan(x[i]))
            return 1;
    return 0;
}

bl_status music_harmony_path(const music_harmony_table *table, const music_harmony_habits *habits, const music_harmony_input *in,
                             const music_harmony_unit *units, int n_units, const float *log_degree, const float *log_colour,
                             music_chord_span **spans, int *n_spans, bl_error *err)
{
    const harmony_genre *g = harmony_find_genre(table, in->genre, err);
    if (!g)
        return BL_EARG;
    if (has_nan(log_degree, (int64_t)n_units * N) || has_nan(log_colour, (int64_t)n_units * MUSIC_COLOURS))
        return bl_fail(err, BL_ENAN, "chords: what the network says of the melody is no number; its checkpoint is not usable");
    int *path = calloc((size_t)n_units, sizeof *path);
    music_chord_span *out = calloc((size_t)n_units, sizeof *out);
    bl_status status = path && out ? find_path(g, habits, in, units, n_units, log_degree, path, err)
                                   : bl_fail(err, BL_ENOMEM, "no memory for chords of %d units", n_units);
    if (status == BL_OK) {
        *n_spans = write_spans(g, in, units, n_units, path, log_colour, out);
        *spans = out;
        out = NULL;
    }
    free(path);
    free(out);
    return status;
}
