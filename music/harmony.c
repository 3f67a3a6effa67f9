#include "base/config.h"
#include "music/harmony.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CHORDS = 24, MAX_GENRES = 32, NAME = 16 };

/* One mode's tables, in the order of its chords line. */
typedef struct mode_table {
    int    n;
    char   name[MAX_CHORDS][NAME];
    double share[MAX_CHORDS];
    double stay[2];                       /* at a bar line, in mid-bar                        */
    double after[MAX_CHORDS][MAX_CHORDS]; /* rows sum to 1, zero diagonal                     */
    double sung[MAX_CHORDS][13];          /* twelve semitones above the tonic, then constant  */
} mode_table;

typedef struct genre_table {
    char   name[32];
    double evidence, grammar, cadence, change[2];
    double prefer[2][MAX_CHORDS];             /* per mode */
    double moves[2][MAX_CHORDS][MAX_CHORDS];
    char   spell[2][MAX_CHORDS][NAME];
} genre_table;

struct music_harmony_table {
    mode_table  mode[2];
    genre_table genre[MAX_GENRES];
    int         n_genres;
};

static int line_of(const bl_config *c, const char *section, const char *key)
{
    for (int i = 0; i < bl_config_count(c); i++) {
        const bl_config_entry *e = bl_config_at(c, i);
        if (!strcmp(e->section, section) && !strcmp(e->key, key))
            return e->line;
    }
    return 0;
}

static bl_status bad(const bl_config *c, const char *section, const char *key, bl_error *err, const char *what)
{
    return bl_fail(err, BL_EFORMAT, "%s line %d: [%s] %s: %s", bl_config_name(c), line_of(c, section, key), section, key, what);
}

/* Next blank-separated word of *text into word; 0 at the end. */
static int next_word(const char **text, char *word, size_t size)
{
    const char *p = *text;
    while (*p == ' ' || *p == '\t')
        p++;
    size_t n = strcspn(p, " \t");
    if (n == 0)
        return 0;
    if (n >= size) /* cut, and so unknown to whoever compares it */
        snprintf(word, size, "%.*s", (int)size - 1, p);
    else
        snprintf(word, size, "%.*s", (int)n, p);
    *text = p + n;
    return 1;
}

/* Exactly n numbers of at least min. */
static bl_status read_numbers(const bl_config *c, const char *section, const char *key, int n, double min, double *out,
                              bl_error *err)
{
    const char *text = bl_config_str(c, section, key, NULL);
    char word[32], what[96], *end;
    int k = 0;
    if (!text)
        return bl_fail(err, BL_EFORMAT, "%s: [%s] has no \"%s\"", bl_config_name(c), section, key);
    while (next_word(&text, word, sizeof word)) {
        double v = strtod(word, &end);
        if (*end || end == word || !isfinite(v) || v < min) {
            snprintf(what, sizeof what, "\"%.20s\" is not a number of at least %g", word, min);
            return bad(c, section, key, err, what);
        }
        if (k < n)
            out[k] = v;
        k++;
    }
    if (k != n) {
        snprintf(what, sizeof what, "expected %d numbers, got %d", n, k);
        return bad(c, section, key, err, what);
    }
    return BL_OK;
}

static int find_chord(const mode_table *m, const char *name)
{
    for (int i = 0; i < m->n; i++)
        if (!strcmp(m->name[i], name))
            return i;
    return -1;
}

static bl_status read_mode(const bl_config *c, const char *section, int minor, mode_table *m, bl_error *err)
{
    const char *text = bl_config_str(c, section, "chords", NULL);
    char word[NAME], key[40], what[96];
    music_chord chord;
    if (!text)
        return bl_fail(err, BL_EFORMAT, "%s: [%s] has no \"chords\"", bl_config_name(c), section);
    while (next_word(&text, word, sizeof word)) {
        if (m->n == MAX_CHORDS || !music_roman_parse(word, (music_key){ 0, minor }, &chord) || find_chord(m, word) >= 0) {
            snprintf(what, sizeof what, "\"%s\" is %s", word, m->n == MAX_CHORDS ? "one chord too many" : "no roman numeral, or stands there twice");
            return bad(c, section, "chords", err, what);
        }
        memcpy(m->name[m->n++], word, sizeof word);
    }
    if (m->n < 2)
        return bad(c, section, "chords", err, "expected at least two chords");
    bl_status s = read_numbers(c, section, "share", m->n, 0, m->share, err);
    if (s == BL_OK)
        s = read_numbers(c, section, "stay", 2, 0, m->stay, err);
    for (int i = 0; i < m->n && s == BL_OK; i++) {
        double sum = 0;
        snprintf(key, sizeof key, "after %s", m->name[i]);
        s = read_numbers(c, section, key, m->n, 0, m->after[i], err);
        m->after[i][i] = 0;
        for (int j = 0; j < m->n; j++)
            sum += m->after[i][j];
        if (s == BL_OK && sum <= 0)
            s = bad(c, section, key, err, "no chord follows");
        for (int j = 0; j < m->n && s == BL_OK; j++)
            m->after[i][j] /= sum;
        snprintf(key, sizeof key, "sung %s", m->name[i]);
        if (s == BL_OK)
            s = read_numbers(c, section, key, 13, -1e6, m->sung[i], err);
    }
    return s;
}

/* Words of a genre's line: "bVII 2.5" (prefer), "V>I 2" (moves), "ii:ii7" (spell). A chord that only one mode's
 * table has is fine; one that neither has is an error. */
static bl_status read_genre_line(const bl_config *c, const char *section, const char *key, const music_harmony_table *t,
                                 genre_table *g, bl_error *err)
{
    const char *text = bl_config_str(c, section, key, "");
    int spell = !strncmp(key, "spell", 5), moves = !strcmp(key, "moves"), known = 0;
    char word[40], number[32], what[128], *end;
    music_chord chord;
    while (next_word(&text, word, sizeof word)) {
        char *second = strchr(word, spell ? ':' : '>');
        double factor = 1;
        known = 0;
        if (second)
            *second++ = '\0';
        if (!spell) {
            number[0] = '\0';
            next_word(&text, number, sizeof number);
            factor = strtod(number, &end);
            if (end == number || *end || !(factor > 0) || !isfinite(factor)) {
                snprintf(what, sizeof what, "\"%s\" needs a factor above 0, got \"%s\"", word, number);
                return bad(c, section, key, err, what);
            }
        }
        for (int minor = 0; minor < 2; minor++) {
            int i = find_chord(&t->mode[minor], word);
            int j = moves && second ? find_chord(&t->mode[minor], second) : -1;
            if (spell) {
                if (minor != !strcmp(key, "spell minor") || i < 0)
                    continue;
                if (!second || strlen(second) >= NAME || !music_roman_parse(second, (music_key){ 0, minor }, &chord))
                    return bad(c, section, key, err, "expected words like \"ii:ii7\"");
                snprintf(g->spell[minor][i], NAME, "%.15s", second);
                known = 1;
            } else if (moves && i >= 0 && j >= 0) {
                g->moves[minor][i][j] = factor;
                known = 1;
            } else if (!moves && i >= 0) {
                g->prefer[minor][i] = factor;
                known = 1;
            }
        }
        if (!known) {
            snprintf(what, sizeof what, "\"%s\" is not %s of the tables above", word, moves ? "a pair of chords" : "a chord");
            return bad(c, section, key, err, what);
        }
    }
    return BL_OK;
}

static bl_status read_genre(const bl_config *c, const char *section, music_harmony_table *t, bl_error *err)
{
    static const char *const lines[] = { "prefer", "moves", "spell major", "spell minor" };
    if (t->n_genres == MAX_GENRES || strlen(section) >= sizeof t->genre->name)
        return bl_fail(err, BL_EFORMAT, "%s: genre [%s] is one too many or too long a name", bl_config_name(c), section);
    genre_table *g = &t->genre[t->n_genres++];
    snprintf(g->name, sizeof g->name, "%s", section);
    for (int m = 0; m < 2; m++)
        for (int i = 0; i < MAX_CHORDS; i++) {
            g->prefer[m][i] = 1;
            for (int j = 0; j < MAX_CHORDS; j++)
                g->moves[m][i][j] = 1;
        }
    bl_error local = { 0 };
    g->evidence = bl_config_real(c, section, "evidence", 1.6, 0, 100, &local);
    g->grammar = bl_config_real(c, section, "grammar", 0.6, 0, 100, &local);
    g->cadence = bl_config_real(c, section, "cadence", 3, -100, 100, &local);
    g->change[0] = g->change[1] = 1;
    if (local.code)
        return bl_fail(err, local.code, "%s", local.msg);
    bl_status s = bl_config_str(c, section, "change", NULL) ? read_numbers(c, section, "change", 2, 0.01, g->change, err) : BL_OK;
    for (int i = 0; i < 4 && s == BL_OK; i++)
        s = read_genre_line(c, section, lines[i], t, g, err);
    return s;
}

music_harmony_table *music_harmony_table_load(const char *path, bl_error *err)
{
    bl_error local = { 0 };
    bl_config *c = bl_config_load(path, &local);
    music_harmony_table *t = c ? calloc(1, sizeof *t) : NULL;
    bl_status s = local.code;
    if (c && !t)
        s = bl_fail(&local, BL_ENOMEM, "%s: no memory for the harmony tables", path);
    if (s == BL_OK)
        s = read_mode(c, "major", 0, &t->mode[0], &local);
    if (s == BL_OK)
        s = read_mode(c, "minor", 1, &t->mode[1], &local);
    const char *last = "";
    for (int i = 0; s == BL_OK && i < bl_config_count(c); i++) {
        const char *section = bl_config_at(c, i)->section;
        if (strcmp(section, last) && strcmp(section, "major") && strcmp(section, "minor"))
            s = read_genre(c, section, t, &local);
        last = section;
    }
    if (s == BL_OK && t->n_genres == 0)
        s = bl_fail(&local, BL_EFORMAT, "%s: no section for a genre", path);
    if (s == BL_OK)
        s = bl_config_check_unused(c, &local);
    bl_config_free(c);
    if (s != BL_OK) {
        free(t);
        bl_fail(err, s, "%s", local.msg);
        return NULL;
    }
    return t;
}

void music_harmony_table_free(music_harmony_table *table)
{
    free(table);
}

/* A stretch of time that carries one chord. */
typedef struct segment {
    double start_s, end_s, beat_s;
    int    mid_bar;
    double sung[12]; /* beats of singing on each semitone above the tonic */
    int    is_sung;
} segment;

typedef double row[MAX_CHORDS];

/* Half bars in 4/4 and 6/8 (an even number of beats from four on), else whole bars. Returns how many. */
static int cut_segments(const music_harmony_input *in, segment *out)
{
    int n = 0, half = in->beats_per_bar >= 4 && in->beats_per_bar % 2 == 0 ? in->beats_per_bar / 2 : in->beats_per_bar;
    int first = 0, position = 0;
    if (in->is_downbeat)
        while (first < in->n_beats && !in->is_downbeat[first])
            first++;
    first %= in->beats_per_bar; /* none at all: as if beat 0 were one */
    for (int i = 0; i < in->n_beats; i++) {
        position = i == 0 ? (in->beats_per_bar - first) % in->beats_per_bar : position + 1;
        if (in->is_downbeat ? in->is_downbeat[i] : position % in->beats_per_bar == 0)
            position = 0;
        if (n == 0 || position % half == 0)
            out[n++] = (segment){ .start_s = in->beats_s[i], .mid_bar = position % in->beats_per_bar != 0 };
    }
    for (int i = 0; i < n; i++) {
        out[i].end_s = i + 1 < n ? out[i + 1].start_s : in->beats_s[in->n_beats - 1];
        int beats = 0;
        for (int b = 0; b + 1 < in->n_beats; b++)
            beats += in->beats_s[b] >= out[i].start_s && in->beats_s[b] < out[i].end_s;
        out[i].beat_s = beats ? (out[i].end_s - out[i].start_s) / beats : 1;
    }
    /* A last segment without any length (its beat is the last one) joins the one before. */
    if (n > 1 && out[n - 1].end_s <= out[n - 1].start_s)
        n--;
    out[0].start_s = fmin(in->start_s, out[0].start_s);
    out[n - 1].end_s = fmax(in->end_s, out[n - 1].end_s);
    return n;
}

static void hear(const music_harmony_input *in, segment *segments, int n)
{
    for (int i = 0; i < in->n_melody; i++) {
        const music_note *note = &in->melody[i];
        int class = (((note->pitch - in->key.tonic) % 12) + 12) % 12;
        for (int k = 0; k < n; k++) {
            double overlap = fmin(note->offset_s, segments[k].end_s) - fmax(note->onset_s, segments[k].start_s);
            if (overlap > 0) {
                segments[k].sung[class] += fmin(overlap / segments[k].beat_s, 2);
                segments[k].is_sung = 1;
            }
        }
    }
}

/* Evidence of each segment for each chord. What nobody sings over borrows half the mean evidence of the segments
 * 8 and 16 (four and eight bars) before and after it: songs go round in loops. */
static void weigh(const mode_table *m, const genre_table *g, const segment *s, int n, row *out)
{
    for (int t = 0; t < n; t++)
        for (int j = 0; j < m->n; j++) {
            out[t][j] = m->sung[j][12];
            for (int k = 0; k < 12; k++)
                out[t][j] += m->sung[j][k] * s[t].sung[k];
            out[t][j] *= g->evidence;
        }
    static const int back[4] = { -8, 8, -16, 16 };
    for (int t = 0; t < n; t++) {
        if (s[t].is_sung)
            continue;
        int heard = 0;
        row sum = { 0 };
        for (int b = 0; b < 4; b++) {
            int u = t + back[b];
            if (u < 0 || u >= n || !s[u].is_sung)
                continue;
            heard++;
            for (int j = 0; j < m->n; j++)
                sum[j] += out[u][j];
        }
        for (int j = 0; j < m->n; j++)
            out[t][j] = heard ? 0.5 * sum[j] / heard : 0;
    }
}

/* Log probabilities of moves at a bar line [0] and in mid-bar [1], and of starting. */
static void grammar(const mode_table *m, const genre_table *g, int mode, row move[2][MAX_CHORDS], row start)
{
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < m->n; i++) {
            double odds = (1 - m->stay[k] + 1e-6) / (m->stay[k] + 1e-6) * g->change[k], go = odds / (1 + odds), sum = 0;
            row to = { 0 };
            for (int j = 0; j < m->n; j++)
                sum += to[j] = i == j ? 0 : (m->after[i][j] + 1e-6) * g->moves[mode][i][j] * g->prefer[mode][j];
            for (int j = 0; j < m->n; j++)
                move[k][i][j] = g->grammar * log(i == j ? 1 - go : go * to[j] / sum);
        }
    for (int j = 0; j < m->n; j++)
        start[j] = g->grammar * log((m->share[j] + 1e-6) * g->prefer[mode][j]);
}

/* The added note of a richer chord must not rub against what is sung there. */
static int rubs(music_chord plain, music_chord rich, const double *sung, int tonic)
{
    unsigned added = music_chord_classes(rich) & ~music_chord_classes(plain);
    for (int c = 0; c < 12; c++)
        for (int side = -1; side <= 1 && added >> c & 1; side += 2)
            if (sung[((c + side - tonic) % 12 + 12) % 12] >= 0.75)
                return 1;
    return 0;
}

static void viterbi(const mode_table *m, row move[2][MAX_CHORDS], const row start, row *evidence, const segment *s, int n,
                    int8_t (*from)[MAX_CHORDS], int *path)
{
    row best, next;
    for (int j = 0; j < m->n; j++)
        best[j] = start[j] + evidence[0][j];
    for (int t = 1; t < n; t++) {
        row *a = move[s[t].mid_bar];
        for (int j = 0; j < m->n; j++) {
            int arg = 0;
            for (int i = 1; i < m->n; i++)
                if (best[i] + a[i][j] > best[arg] + a[arg][j])
                    arg = i;
            next[j] = best[arg] + a[arg][j] + evidence[t][j];
            from[t][j] = (int8_t)arg;
        }
        memcpy(best, next, sizeof best);
    }
    int last = 0;
    for (int j = 1; j < m->n; j++)
        if (best[j] > best[last])
            last = j;
    for (int t = n - 1; t >= 0; t--) {
        path[t] = last;
        last = t ? from[t][last] : last;
    }
}

/* Merges neighbours of one name into spans. */
static int write_spans(const music_harmony_input *in, const mode_table *m, const genre_table *g, const segment *s, int n,
                       const int *path, music_chord_span *spans)
{
    int count = 0, mode = in->key.minor != 0;
    for (int t = 0; t < n; t++) {
        music_chord plain, chord;
        char name[16];
        BL_ASSERT(music_roman_parse(m->name[path[t]], in->key, &plain));
        const char *spell = g->spell[mode][path[t]];
        if (!*spell || !music_roman_parse(spell, in->key, &chord) || rubs(plain, chord, s[t].sung, in->key.tonic))
            chord = plain;
        music_chord_format(chord, music_key_has_flats(in->key), name);
        if (count && !strcmp(spans[count - 1].name, name)) {
            spans[count - 1].end_s = s[t].end_s;
            continue;
        }
        spans[count] = (music_chord_span){ .start_s = s[t].start_s, .end_s = s[t].end_s };
        memcpy(spans[count++].name, name, sizeof name);
    }
    return count;
}

static const genre_table *find_genre(const music_harmony_table *table, const char *name, bl_error *err)
{
    char known[300] = "";
    for (int i = 0; i < table->n_genres; i++) {
        if (!strcmp(table->genre[i].name, name))
            return &table->genre[i];
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", table->genre[i].name);
    }
    bl_fail(err, BL_EARG, "no harmony for genre \"%s\"; there are %s", name, known);
    return NULL;
}

bl_status music_harmonize(const music_harmony_table *table, const music_harmony_input *in, music_chord_span **spans,
                          int *n_spans, bl_error *err)
{
    const genre_table *g = find_genre(table, in->genre, err);
    if (!g)
        return BL_EARG;
    if (in->n_beats < 2 || in->beats_per_bar < 1 || in->beats_per_bar > 64)
        return bl_fail(err, BL_EARG, "chords need two beats and a bar of 1 to 64, got %d beats in bars of %d", in->n_beats,
                       in->beats_per_bar);
    for (int i = 1; i < in->n_beats; i++)
        if (!(in->beats_s[i] > in->beats_s[i - 1]))
            return bl_fail(err, BL_EARG, "beat %d at %g s does not follow the one before it", i + 1, in->beats_s[i]);

    const int mode = in->key.minor != 0;
    const mode_table *m = &table->mode[mode];
    const size_t n_max = (size_t)in->n_beats;
    row move[2][MAX_CHORDS], start;
    segment *s = calloc(n_max, sizeof *s);
    row *evidence = calloc(n_max, sizeof *evidence);
    int8_t(*from)[MAX_CHORDS] = calloc(n_max, sizeof *from);
    int *path = calloc(n_max, sizeof *path);
    music_chord_span *out = calloc(n_max, sizeof *out);
    bl_status status = BL_OK;
    if (!s || !evidence || !from || !path || !out) {
        status = bl_fail(err, BL_ENOMEM, "no memory for chords of %d beats", in->n_beats);
        goto done;
    }
    int n = cut_segments(in, s), tonic = find_chord(m, mode ? "i" : "I");
    hear(in, s, n);
    weigh(m, g, s, n, evidence);
    grammar(m, g, mode, move, start);
    int last_sung = n - 1;
    while (last_sung > 0 && !s[last_sung].is_sung)
        last_sung--;
    for (int t = last_sung; t < n && tonic >= 0; t++)
        evidence[t][tonic] += t == last_sung || t == n - 1 ? g->cadence : 1;
    viterbi(m, move, start, evidence, s, n, from, path);
    *n_spans = write_spans(in, m, g, s, n, path, out);
    *spans = out;
    out = NULL;
done:
    free(s);
    free(evidence);
    free(from);
    free(path);
    free(out);
    return status;
}
