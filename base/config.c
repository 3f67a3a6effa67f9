#include "base/config.h"

#include <errno.h>
#include <ini.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Keys that getters asked for, so that an unknown key can name its nearest relative. */
typedef struct asked_key {
    char section[64], key[64];
} asked_key;

struct bl_config {
    char            *name;
    bl_config_entry *entries;
    int              n, capacity;
    asked_key       *asked;
    int              n_asked, asked_capacity;
    int              out_of_memory;
};

static char *copy(const char *s)
{
    const size_t n = strlen(s) + 1;
    char *p = malloc(n);
    if (p)
        memcpy(p, s, n);
    return p;
}

static int append(bl_config *c, const char *section, const char *key, const char *value, int line)
{
    if (c->n == c->capacity) {
        const int capacity = c->capacity ? 2 * c->capacity : 32;
        bl_config_entry *e = realloc(c->entries, (size_t)capacity * sizeof *e);
        if (!e)
            return c->out_of_memory = 1, 0;
        c->entries = e;
        c->capacity = capacity;
    }
    bl_config_entry e = { copy(section), copy(key), copy(value), line, 0 };
    if (!e.section || !e.key || !e.value) {
        free((char *)e.section);
        free((char *)e.key);
        free((char *)e.value);
        return c->out_of_memory = 1, 0;
    }
    c->entries[c->n++] = e;
    return 1;
}

static bl_config_entry *find(const bl_config *c, const char *section, const char *key)
{
    for (int i = 0; i < c->n; i++)
        if (!strcmp(c->entries[i].section, section) && !strcmp(c->entries[i].key, key))
            return &c->entries[i];
    return NULL;
}

typedef struct parse_state {
    bl_config  *config;
    bl_error   *err;
    const char *p;         /* rest of the text                             */
    int         line;      /* number of the line handed out last           */
    int         continues; /* that line starts with a blank: inih hands the
                              same key out again, and the value grows      */
} parse_state;

static char *next_line(char *buffer, int size, void *user)
{
    parse_state *s = user;
    if (!*s->p)
        return NULL;
    int n = 0;
    while (*s->p && n < size - 1) {
        buffer[n++] = *s->p;
        if (*s->p++ == '\n')
            break;
    }
    buffer[n] = '\0';
    s->line++;
    if (n == size - 1 && buffer[n - 1] != '\n' && *s->p) {
        bl_fail(s->err, BL_EFORMAT, "%s line %d: longer than %d characters; continue it on a new line that starts with a blank",
                s->config->name, s->line, size - 2);
        s->p += strlen(s->p);
    }
    s->continues = buffer[0] == ' ' || buffer[0] == '\t';
    return buffer;
}

static int on_key(void *user, const char *section, const char *key, const char *value)
{
    parse_state *s = user;
    bl_config_entry *old = find(s->config, section, key);
    if (old && s->continues) {
        const size_t a = strlen(old->value), b = strlen(value);
        char *longer = realloc((char *)old->value, a + b + 2);
        if (!longer)
            return s->config->out_of_memory = 1, 0;
        longer[a] = ' ';
        memcpy(longer + a + 1, value, b + 1);
        old->value = longer;
        return 1;
    }
    if (old) {
        bl_fail(s->err, BL_EFORMAT, "%s line %d: %s.%s is given twice (first in line %d)",
                s->config->name, s->line, section, key, old->line);
        return 0;
    }
    return append(s->config, section, key, value ? value : "", s->line);
}

bl_config *bl_config_new(void)
{
    bl_config *c = calloc(1, sizeof *c);
    if (c && !(c->name = copy("(no file)"))) {
        free(c);
        return NULL;
    }
    return c;
}

bl_config *bl_config_parse(const char *text, const char *name, bl_error *err)
{
    bl_config *c = bl_config_new();
    if (!c || !(free(c->name), c->name = copy(name))) {
        bl_fail(err, BL_ENOMEM, "%s: no memory for the configuration", name);
        bl_config_free(c);
        return NULL;
    }
    bl_error local = { 0 };
    parse_state s = { c, &local, text, 0, 0 };
    const int rc = ini_parse_stream(next_line, &s, on_key, &s);
    if (rc != 0 || local.code) {
        if (local.code)
            bl_fail(err, local.code, "%s", local.msg);
        else if (c->out_of_memory)
            bl_fail(err, BL_ENOMEM, "%s: no memory for the configuration", name);
        else
            bl_fail(err, BL_EFORMAT, "%s line %d: expected \"key = value\" or \"[section]\"", name, rc);
        bl_config_free(c);
        return NULL;
    }
    return c;
}

bl_config *bl_config_load(const char *path, bl_error *err)
{
    FILE *f = fopen(path, "rb");
    char *text = NULL;
    bl_config *c = NULL;
    size_t n = 0, capacity = 0;

    if (!f) {
        bl_fail(err, BL_EIO, "%s: cannot open the configuration: %s", path, strerror(errno));
        return NULL;
    }
    for (;;) {
        if (n + 4097 > capacity) {
            capacity = capacity ? 2 * capacity : 8192;
            char *bigger = capacity <= (16u << 20) ? realloc(text, capacity) : NULL;
            if (!bigger) {
                bl_fail(err, BL_EFORMAT, "%s: too large for a configuration", path);
                goto done;
            }
            text = bigger;
        }
        const size_t got = fread(text + n, 1, 4096, f);
        n += got;
        if (got == 0)
            break;
    }
    if (ferror(f)) {
        bl_fail(err, BL_EIO, "%s: cannot read the configuration: %s", path, strerror(errno));
        goto done;
    }
    text[n] = '\0';
    if (strlen(text) != n) {
        bl_fail(err, BL_EFORMAT, "%s: not a text file", path);
        goto done;
    }
    c = bl_config_parse(text, path, err);
done:
    free(text);
    fclose(f);
    return c;
}

void bl_config_free(bl_config *c)
{
    if (!c)
        return;
    for (int i = 0; i < c->n; i++) {
        free((char *)c->entries[i].section);
        free((char *)c->entries[i].key);
        free((char *)c->entries[i].value);
    }
    free(c->entries);
    free(c->asked);
    free(c->name);
    free(c);
}

bl_config *bl_config_copy(const bl_config *c)
{
    bl_config *twin = bl_config_new();
    int good = twin && (free(twin->name), twin->name = copy(c->name)) != NULL;
    for (int i = 0; good && i < c->n; i++)
        good = append(twin, c->entries[i].section, c->entries[i].key, c->entries[i].value, c->entries[i].line);
    if (good)
        return twin;
    bl_config_free(twin);
    return NULL;
}

bl_status bl_config_set(bl_config *c, const char *assignment, bl_error *err)
{
    char buffer[1024];
    char *dot, *eq;

    if (strlen(assignment) >= sizeof buffer)
        return bl_fail(err, BL_EARG, "--set %.40s...: too long", assignment);
    strcpy(buffer, assignment);
    eq = strchr(buffer, '=');
    dot = strchr(buffer, '.');
    if (!eq || !dot || dot > eq || dot == buffer || eq == dot + 1)
        return bl_fail(err, BL_EARG, "--set %s: expected section.key=value", assignment);
    *eq = *dot = '\0';
    bl_config_entry *e = find(c, buffer, dot + 1);
    if (e) {
        char *value = copy(eq + 1);
        if (!value)
            return bl_fail(err, BL_ENOMEM, "no memory");
        free((char *)e->value);
        e->value = value;
        e->line = 0;
        return BL_OK;
    }
    return append(c, buffer, dot + 1, eq + 1, 0) ? BL_OK : bl_fail(err, BL_ENOMEM, "no memory");
}

enum { TEXT_WIDTH = 160 };

/* "key = value", continued on lines that start with a blank where it would be too long to be read again. */
static char *write_entry(char *p, const bl_config_entry *e)
{
    const char *v = e->value;
    size_t column = (size_t)sprintf(p, "%s = ", e->key);
    p += column;
    for (; *v; v++) {
        const size_t word = strcspn(v + 1, " ");
        const int breaks = *v == ' ' && v > e->value && v[-1] != ' ' && word > 0 && v[1] != ';' && v[1] != '#';
        if (breaks && column + 1 + word > TEXT_WIDTH) {
            *p++ = '\n';
            column = 0;
        }
        *p++ = *v;
        column++;
    }
    *p++ = '\n';
    *p = '\0';
    return p;
}

char *bl_config_text(const bl_config *c)
{
    size_t size = 1;
    for (int i = 0; i < c->n; i++)
        size += strlen(c->entries[i].section) + strlen(c->entries[i].key) + 2 * strlen(c->entries[i].value) + 10;
    char *text = malloc(size), *p = text;
    if (!text)
        return NULL;
    *p = '\0';
    /* Keys of one section together, sections in order of first appearance. */
    for (int i = 0; i < c->n; i++) {
        int first = 1;
        for (int j = 0; j < i; j++)
            first &= strcmp(c->entries[j].section, c->entries[i].section) != 0;
        if (!first)
            continue;
        p += sprintf(p, "[%s]\n", c->entries[i].section);
        for (int j = i; j < c->n; j++)
            if (!strcmp(c->entries[j].section, c->entries[i].section))
                p = write_entry(p, &c->entries[j]);
    }
    return text;
}

const char *bl_config_name(const bl_config *c) { return c->name; }
int bl_config_count(const bl_config *c) { return c->n; }
const bl_config_entry *bl_config_at(const bl_config *c, int i) { return &c->entries[i]; }
void bl_config_mark_used(const bl_config *c, int i) { c->entries[i].used = 1; }

int bl_config_has_section(const bl_config *c, const char *section)
{
    for (int i = 0; i < c->n; i++)
        if (!strcmp(c->entries[i].section, section))
            return 1;
    return 0;
}

void bl_config_ignore_section(const bl_config *c, const char *section)
{
    for (int i = 0; i < c->n; i++)
        if (!strcmp(c->entries[i].section, section))
            c->entries[i].used = 1;
}

/* Remembers that a key is known. */
static void remember(bl_config *c, const char *section, const char *key)
{
    int known = 0;
    for (int i = 0; i < c->n_asked && !known; i++)
        known = !strcmp(c->asked[i].section, section) && !strcmp(c->asked[i].key, key);
    if (!known) {
        if (c->n_asked == c->asked_capacity) {
            const int capacity = c->asked_capacity ? 2 * c->asked_capacity : 64;
            asked_key *a = realloc(c->asked, (size_t)capacity * sizeof *a);
            if (a) {
                c->asked = a;
                c->asked_capacity = capacity;
            }
        }
        if (c->n_asked < c->asked_capacity) {
            snprintf(c->asked[c->n_asked].section, 64, "%s", section);
            snprintf(c->asked[c->n_asked++].key, 64, "%s", key);
        }
    }
}

/* Looks a key up, marks it used and remembers that it is a known key. */
static const bl_config_entry *ask(const bl_config *config, const char *section, const char *key)
{
    bl_config *c = (bl_config *)config; /* bookkeeping only: the content stays as it is */
    remember(c, section, key);
    bl_config_entry *e = find(c, section, key);
    if (e)
        e->used = 1;
    return e;
}

void bl_config_merge_used(const bl_config *config, const bl_config *other)
{
    bl_config *c = (bl_config *)config;
    for (int i = 0; i < other->n_asked; i++)
        remember(c, other->asked[i].section, other->asked[i].key);
    for (int i = 0; i < other->n; i++) {
        bl_config_entry *e = other->entries[i].used ? find(c, other->entries[i].section, other->entries[i].key) : NULL;
        if (e)
            e->used = 1;
    }
}

/* "rock.ini line 12: train.steps" or "--set train.steps". */
static void where(const bl_config *c, const bl_config_entry *e, char *out, size_t size)
{
    if (e->line)
        snprintf(out, size, "%s line %d: %s.%s", c->name, e->line, e->section, e->key);
    else
        snprintf(out, size, "--set %s.%s", e->section, e->key);
}

const char *bl_config_str(const bl_config *c, const char *section, const char *key, const char *fallback)
{
    const bl_config_entry *e = ask(c, section, key);
    return e ? e->value : fallback;
}

double bl_config_real(const bl_config *c, const char *section, const char *key, double fallback,
                      double min, double max, bl_error *err)
{
    const bl_config_entry *e = ask(c, section, key);
    char place[240], *end;
    if (!e)
        return fallback;
    const double value = strtod(e->value, &end);
    where(c, e, place, sizeof place);
    if (end == e->value || *end || !isfinite(value)) {
        bl_fail(err, BL_EARG, "%s: expected a number, got \"%s\"", place, e->value);
        return fallback;
    }
    if (value < min || value > max) {
        bl_fail(err, BL_EARG, "%s: expected %g to %g, got %s", place, min, max, e->value);
        return fallback;
    }
    return value;
}

int64_t bl_config_int(const bl_config *c, const char *section, const char *key, int64_t fallback,
                      int64_t min, int64_t max, bl_error *err)
{
    const bl_config_entry *e = ask(c, section, key);
    char place[240], *end;
    if (!e)
        return fallback;
    errno = 0;
    const long long value = strtoll(e->value, &end, 10);
    where(c, e, place, sizeof place);
    if (end == e->value || *end || errno) {
        bl_fail(err, BL_EARG, "%s: expected a whole number, got \"%s\"", place, e->value);
        return fallback;
    }
    if (value < min || value > max) {
        bl_fail(err, BL_EARG, "%s: expected %lld to %lld, got %s", place, (long long)min, (long long)max,
                e->value);
        return fallback;
    }
    return value;
}

int bl_config_choice(const bl_config *c, const char *section, const char *key, const char *const *choices,
                     int fallback, bl_error *err)
{
    const bl_config_entry *e = ask(c, section, key);
    char place[240], list[200] = "";
    size_t n = 0;
    if (!e)
        return fallback;
    for (int i = 0; choices[i]; i++) {
        if (!strcmp(choices[i], e->value))
            return i;
        if (n < sizeof list)
            n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", choices[i]);
    }
    where(c, e, place, sizeof place);
    bl_fail(err, BL_EARG, "%s: expected one of %s; got \"%s\"", place, list, e->value);
    return fallback;
}

int bl_config_bool(const bl_config *c, const char *section, const char *key, int fallback, bl_error *err)
{
    static const char *const choices[] = { "no", "yes", "false", "true", "0", "1", "off", "on", NULL };
    return bl_config_choice(c, section, key, choices, fallback ? 1 : 0, err) & 1;
}

static int edit_distance(const char *a, const char *b)
{
    const int n = (int)strlen(a), m = (int)strlen(b);
    int row[64];
    if (n > 63 || m > 63)
        return 1000;
    for (int j = 0; j <= m; j++)
        row[j] = j;
    for (int i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            const int up = row[j], change = diagonal + (a[i - 1] != b[j - 1]);
            int best = up + 1 < row[j - 1] + 1 ? up + 1 : row[j - 1] + 1;
            row[j] = change < best ? change : best;
            diagonal = up;
        }
    }
    return row[m];
}

const char *bl_nearest(const char *word, const char *const *candidates, int n)
{
    const char *best = NULL;
    int best_distance = (int)strlen(word) / 2 + 2;
    for (int i = 0; i < n; i++) {
        const int d = edit_distance(word, candidates[i]);
        if (d < best_distance) {
            best_distance = d;
            best = candidates[i];
        }
    }
    return best;
}

bl_status bl_config_check_unused(const bl_config *c, bl_error *err)
{
    for (int i = 0; i < c->n; i++) {
        const bl_config_entry *e = &c->entries[i];
        const char *candidates[512], *near;
        int n = 0, section_known = 0;
        char place[240];

        if (e->used)
            continue;
        for (int k = 0; k < c->n_asked; k++)
            if (!strcmp(c->asked[k].section, e->section)) {
                section_known = 1;
                if (n < 512)
                    candidates[n++] = c->asked[k].key;
            }
        where(c, e, place, sizeof place);
        if (!section_known) {
            for (int k = 0; k < c->n_asked && n < 512; k++)
                candidates[n++] = c->asked[k].section;
            near = bl_nearest(e->section, candidates, n);
            return bl_fail(err, BL_EARG, "%s: unknown section [%s]%s%s%s", place, e->section,
                           near ? "; did you mean [" : "", near ? near : "", near ? "]?" : "");
        }
        near = bl_nearest(e->key, candidates, n);
        return bl_fail(err, BL_EARG, "%s: unknown key%s%s%s", place, near ? "; did you mean \"" : "",
                       near ? near : "", near ? "\"?" : "");
    }
    return BL_OK;
}
