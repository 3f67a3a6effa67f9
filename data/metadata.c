#include "data/metadata.h"

#include "audio/soundfile.h"
#include "base/file.h"
#include "data/instruments.h"

#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { POOL_CHUNK = 1 << 16, COLUMNS_MAX = 256, LIST_MAX = 64 };
static const size_t TEXT_LIMIT = (size_t)64 << 20, NSYNTH_LIMIT = (size_t)1 << 30;

static const char *const keys[] = { "file", "genre", "title", "artist", "album", "release", "duration", "timestamp",
                                    "producer", "instruments" };
enum key { FILE_KEY, GENRE_KEY, TITLE_KEY, ARTIST_KEY, ALBUM_KEY, RELEASE_KEY, DURATION_KEY, TIMESTAMP_KEY, PRODUCER_KEY,
           INSTRUMENTS_KEY, N_KEYS };

const char *data_pool_text(data_pool *pool, const char *text, size_t n)
{
    if (n + 1 > pool->left) {
        const size_t size = n + 1 > POOL_CHUNK ? n + 1 : POOL_CHUNK;
        char *chunk = bl_arena_alloc(&pool->arena, size);
        if (!chunk)
            return NULL;
        pool->chunk = chunk;
        pool->left = size;
    }
    char *copy = pool->chunk;
    memcpy(copy, text, n);
    copy[n] = '\0';
    pool->chunk += n + 1;
    pool->left -= n + 1;
    return copy;
}

void data_row_key(const char *file, char *out, size_t size)
{
    while (!strncmp(file, "./", 2))
        file += 2;
    size_t n = strlen(file);
    if (n && audio_is_sound_name(file))
        n -= strlen(bl_path_extension(file)) + 1;
    while (n && file[n - 1] == '/')
        n--;
    if (n > size - 1)
        n = size - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = file[i];
    out[n] = '\0';
}

/* Seconds, or m:ss, or h:mm:ss; negative when it is neither. */
static double parse_duration(const char *text)
{
    double total = 0;
    for (int part = 0; part < 3; part++) {
        char *end;
        if (!isdigit((unsigned char)*text) && *text != '.')
            return -1;
        const double v = strtod(text, &end);
        if (!isfinite(v) || v > 1e9)
            return -1;
        total = 60 * total + v;
        if (*end == '\0')
            return total;
        if (*end != ':')
            return -1;
        text = end + 1;
    }
    return -1;
}

static bl_status add_instruments(data_row *row, const char *text, data_pool *pool, bl_error *err)
{
    int ids[LIST_MAX], n = row->metadata.n_instruments;
    if (n)
        memcpy(ids, row->metadata.instruments, (size_t)n * sizeof ids[0]);
    for (const char *p = text; *p;) {
        size_t bytes = strcspn(p, ";|,");
        const char *next = p + bytes + (p[bytes] != '\0');
        while (bytes && isspace((unsigned char)*p))
            p++, bytes--;
        while (bytes && isspace((unsigned char)p[bytes - 1]))
            bytes--;
        if (bytes) {
            const char *name = data_pool_text(pool, p, bytes);
            if (!name)
                return bl_fail(err, BL_ENOMEM, "no memory for metadata");
            const int id = data_instrument_find(name);
            int known = id < 0 || n == LIST_MAX;
            for (int i = 0; i < n; i++)
                known |= ids[i] == id;
            if (!known)
                ids[n++] = id;
            if (id < 0 && !row->unknown)
                row->unknown = name;
        }
        p = next;
    }
    if (n) {
        int *kept = bl_arena_alloc(&pool->arena, (size_t)n * sizeof *kept);
        if (!kept)
            return bl_fail(err, BL_ENOMEM, "no memory for metadata");
        memcpy(kept, ids, (size_t)n * sizeof *kept);
        row->metadata.instruments = kept;
        row->metadata.n_instruments = n;
    }
    return BL_OK;
}

static void clear_row(data_row *row)
{
    *row = (data_row){ .file = "", .genre = "" };
    row->metadata = (data_metadata){ .title = "", .artist = "", .album = "", .release = "", .timestamp = "", .producer = "" };
}

static bl_status set_field(data_row *row, enum key key, const char *value, data_pool *pool, bl_error *err)
{
    while (isspace((unsigned char)*value))
        value++;
    size_t n = strlen(value);
    while (n && isspace((unsigned char)value[n - 1]))
        n--;
    if (!n)
        return BL_OK;
    const char *text = data_pool_text(pool, value, n);
    if (!text)
        return bl_fail(err, BL_ENOMEM, "no memory for metadata");
    switch (key) {
    case FILE_KEY: row->file = text; break;
    case GENRE_KEY: row->genre = text; break;
    case TITLE_KEY: row->metadata.title = text; break;
    case ARTIST_KEY: row->metadata.artist = text; break;
    case ALBUM_KEY: row->metadata.album = text; break;
    case RELEASE_KEY: row->metadata.release = text; break;
    case TIMESTAMP_KEY: row->metadata.timestamp = text; break;
    case PRODUCER_KEY: row->metadata.producer = text; break;
    case INSTRUMENTS_KEY: return add_instruments(row, text, pool, err);
    case DURATION_KEY:
        row->metadata.duration_s = parse_duration(text);
        if (row->metadata.duration_s < 0) {
            row->metadata.duration_s = 0;
            return bl_fail(err, BL_EFORMAT, "duration: expected seconds or m:ss, got \"%.40s\"", text);
        }
        break;
    case N_KEYS: break;
    }
    return BL_OK;
}

/* ---- CSV ---- */

typedef struct csv {
    char *p;            /* rest of the text; fields are cut in place */
    int   line;         /* of the next character                     */
    int   row_line;     /* where the current record began            */
    const char *fault;  /* set when the record is malformed          */
} csv;

/* One record into fields; returns how many, 0 at the end of the file, -1 with c->fault set. */
static int next_record(csv *c, char *fields[COLUMNS_MAX])
{
    int n = 0;
    while (*c->p == '\n' || *c->p == '\r') {
        c->line += *c->p == '\n';
        c->p++;
    }
    if (!*c->p)
        return 0;
    c->row_line = c->line;
    for (;;) {
        if (n == COLUMNS_MAX)
            return c->fault = "more than 256 fields", -1;
        char *out = c->p;
        fields[n++] = out;
        if (*c->p == '"') {
            for (c->p++;; c->p++) {
                if (!*c->p)
                    return c->fault = "a quote is opened and never closed", -1;
                if (*c->p == '"' && *++c->p != '"')
                    break;
                c->line += *c->p == '\n';
                *out++ = *c->p;
            }
            if (*c->p && *c->p != ',' && *c->p != '\n' && *c->p != '\r')
                return c->fault = "text after a closing quote; expected a comma", -1;
        } else {
            while (*c->p && *c->p != ',' && *c->p != '\n' && *c->p != '\r')
                c->p++;
            out = c->p;
        }
        const char end = *c->p;
        *out = '\0';
        if (!end)
            return n;
        c->p++;
        if (end == ',')
            continue;
        if (end == '\r' && *c->p == '\n')
            c->p++;
        c->line++;
        return n;
    }
}

static int header_columns(char *const *fields, int n, enum key columns[COLUMNS_MAX], const char **twice)
{
    int seen[N_KEYS] = { 0 };
    for (int i = 0; i < n; i++) {
        char *name = fields[i];
        while (isspace((unsigned char)*name))
            name++;
        for (size_t k = strlen(name); k && isspace((unsigned char)name[k - 1]);)
            name[--k] = '\0';
        columns[i] = N_KEYS;
        for (int k = 0; k < N_KEYS; k++)
            if (!strcasecmp(name, keys[k]) || (k == FILE_KEY && !strcasecmp(name, "filename")))
                columns[i] = (enum key)k;
        if (columns[i] != N_KEYS && seen[columns[i]]++)
            *twice = keys[columns[i]];
    }
    return seen[FILE_KEY];
}

static int by_file(const void *a, const void *b)
{
    const data_row *p = a, *q = b;
    const int order = strcmp(p->file, q->file);
    return order ? order : (p->line > q->line) - (p->line < q->line);
}

static bl_status read_rows(csv *c, data_pool *pool, data_table *table, bl_error *err)
{
    char *fields[COLUMNS_MAX], key[BL_PATH_MAX];
    enum key columns[COLUMNS_MAX];
    const char *twice = NULL;
    int capacity = 0, n;
    const int n_columns = next_record(c, fields);

    if (n_columns == 0)
        return bl_fail(err, BL_EFORMAT, "%s: empty; expected a header line with the column \"file\"", table->path);
    if (n_columns < 0)
        return bl_fail(err, BL_EFORMAT, "%s line %d: %s", table->path, c->row_line, c->fault);
    if (!header_columns(fields, n_columns, columns, &twice))
        return bl_fail(err, BL_EFORMAT, "%s line %d: no column \"file\" in the header (comma separated)", table->path, c->row_line);
    if (twice)
        return bl_fail(err, BL_EFORMAT, "%s line %d: the column \"%s\" is there twice", table->path, c->row_line, twice);
    while ((n = next_record(c, fields)) != 0) {
        if (n < 0)
            return bl_fail(err, BL_EFORMAT, "%s line %d: %s", table->path, c->row_line, c->fault);
        if (n != n_columns)
            return bl_fail(err, BL_EFORMAT, "%s line %d: %d fields, but the header has %d", table->path, c->row_line, n, n_columns);
        if (table->n_rows == capacity) {
            capacity = capacity ? 2 * capacity : 64;
            data_row *rows = realloc(table->rows, (size_t)capacity * sizeof *rows);
            if (!rows)
                return bl_fail(err, BL_ENOMEM, "%s: no memory for its rows", table->path);
            table->rows = rows;
        }
        data_row *row = &table->rows[table->n_rows];
        clear_row(row);
        row->line = c->row_line;
        for (int i = 0; i < n; i++) {
            bl_error local = { 0 };
            if (columns[i] != N_KEYS && set_field(row, columns[i], fields[i], pool, &local) != BL_OK)
                return bl_fail(err, local.code, "%s line %d: %s", table->path, c->row_line, local.msg);
        }
        if (!*row->file)
            return bl_fail(err, BL_EFORMAT, "%s line %d: the column \"file\" is empty", table->path, c->row_line);
        for (char *p = (char *)row->file; *p; p++)
            if (*p == '\\')
                *p = '/';
        data_row_key(row->file, key, sizeof key);
        if (!(row->file = data_pool_text(pool, key, strlen(key))))
            return bl_fail(err, BL_ENOMEM, "%s: no memory for its rows", table->path);
        table->n_rows++;
    }
    return BL_OK;
}

bl_status data_table_read(const char *path, data_pool *pool, data_table *table, bl_error *err)
{
    char *text = NULL;
    size_t n_bytes = 0;
    *table = (data_table){ 0 };
    table->path = data_pool_text(pool, path, strlen(path));
    const char *name = bl_path_name(path);
    table->folder = data_pool_text(pool, path, (size_t)(name > path ? name - path - 1 : 0));
    if (!table->path || !table->folder)
        return bl_fail(err, BL_ENOMEM, "%s: no memory for it", path);
    bl_status status = bl_read_file(path, TEXT_LIMIT, &text, &n_bytes, err);
    if (status != BL_OK)
        return status;
    if (strlen(text) != n_bytes)
        status = bl_fail(err, BL_EFORMAT, "%s: not a text file", path);
    else {
        csv c = { text + (strncmp(text, "\xef\xbb\xbf", 3) ? 0 : 3), 1, 1, NULL };
        status = read_rows(&c, pool, table, err);
    }
    free(text);
    if (status == BL_OK && table->n_rows) {
        qsort(table->rows, (size_t)table->n_rows, sizeof *table->rows, by_file);
        for (int i = 1; i < table->n_rows && status == BL_OK; i++)
            if (!strcmp(table->rows[i].file, table->rows[i - 1].file))
                status = bl_fail(err, BL_EFORMAT, "%s line %d: \"%.100s\" is there twice (first in line %d)", path,
                                 table->rows[i].line, table->rows[i].file, table->rows[i - 1].line);
    }
    if (status != BL_OK) {
        free(table->rows);
        *table = (data_table){ 0 };
    }
    return status;
}

data_row *data_table_find(const data_table *table, const char *file)
{
    char key[BL_PATH_MAX];
    data_row_key(file, key, sizeof key);
    const data_row wanted = { .file = key, .line = -1 };
    int low = 0, high = table->n_rows;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (strcmp(table->rows[middle].file, wanted.file) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < table->n_rows && !strcmp(table->rows[low].file, key) ? &table->rows[low] : NULL;
}

/* ---- JSON ---- */

bl_status data_sidecar_read(const char *path, data_pool *pool, data_row *row, bl_error *err)
{
    char *text = NULL, number[64];
    size_t n_bytes = 0;
    json_error_t fault;
    clear_row(row);
    bl_status status = bl_read_file(path, TEXT_LIMIT, &text, &n_bytes, err);
    if (status != BL_OK)
        return status;
    json_t *root = json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES, &fault);
    free(text);
    if (!root)
        return bl_fail(err, BL_EFORMAT, "%s line %d: %s", path, fault.line, fault.text);
    if (!json_is_object(root))
        status = bl_fail(err, BL_EFORMAT, "%s: expected a JSON object with the keys genre, title, artist, ...", path);
    for (int k = GENRE_KEY; k < N_KEYS && status == BL_OK; k++) {
        const json_t *value = json_object_get(root, keys[k]);
        const char *one = json_string_value(value);
        bl_error local = { 0 };
        if (json_is_number(value)) {
            snprintf(number, sizeof number, json_is_integer(value) ? "%.0f" : "%.9g", json_number_value(value));
            one = number;
        }
        if (k == INSTRUMENTS_KEY && json_is_array(value)) {
            for (size_t i = 0; i < json_array_size(value) && local.code == BL_OK; i++) {
                const char *name = json_string_value(json_array_get(value, i));
                if (!name)
                    bl_fail(&local, BL_EFORMAT, "instruments: expected a list of names");
                else
                    add_instruments(row, name, pool, &local);
            }
        } else if (one)
            set_field(row, (enum key)k, one, pool, &local);
        else if (value && !json_is_null(value))
            bl_fail(&local, BL_EFORMAT, "%s: expected a text", keys[k]);
        if (local.code != BL_OK)
            status = bl_fail(err, local.code, "%s: %s", path, local.msg);
    }
    json_decref(root);
    return status;
}

/* The text of one member, "" when it is absent or no text. */
static const char *member(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

static int small_integer(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    const json_int_t n = json_is_integer(v) ? json_integer_value(v) : -1;
    return n >= 0 && n <= 127 ? (int)n : -1;
}

/* The file holds up to 300 000 notes; it is parsed member by member, so the tree of one note is all that lives at a time.
 * Longer than usual since it is one small grammar: braces, names, colons, values, commas. */
bl_status data_nsynth_read(const char *path, bl_status (*fn)(void *user, const data_nsynth_note *note, bl_error *err),
                           void *user, bl_error *err)
{
    char *text = NULL;
    size_t n_bytes = 0;
    bl_status status = bl_read_file(path, NSYNTH_LIMIT, &text, &n_bytes, err);
    if (status != BL_OK)
        return status;
    const char *p = text, *const end = text + n_bytes;
    const char *wanted = "expected {";
    int line = 1;
#define SKIP_BLANKS() for (; p < end && isspace((unsigned char)*p); p++) line += *p == '\n'
    SKIP_BLANKS();
    if (p == end || *p != '{')
        goto malformed;
    p++;
    SKIP_BLANKS();
    for (int first = 1; p < end && *p != '}'; first = 0) {
        json_error_t fault;
        if (!first) {
            wanted = "expected , or }";
            if (*p != ',')
                goto malformed;
            p++;
            SKIP_BLANKS();
        }
        json_t *name = json_loadb(p, (size_t)(end - p), JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &fault);
        wanted = "expected a name in quotes";
        if (!json_is_string(name)) {
            json_decref(name);
            goto malformed;
        }
        p += fault.position;
        SKIP_BLANKS();
        json_t *value = p < end && *p == ':' ? json_loadb(p + 1, (size_t)(end - p - 1), JSON_DISABLE_EOF_CHECK, &fault) : NULL;
        wanted = "expected an object for every note";
        if (!json_is_object(value)) {
            json_decref(name);
            json_decref(value);
            goto malformed;
        }
        for (const char *q = p; q < p + 1 + fault.position; q++)
            line += *q == '\n';
        p += 1 + fault.position;
        const data_nsynth_note note = { json_string_value(name), member(value, "instrument_str"),
                                        member(value, "instrument_family_str"), member(value, "instrument_source_str"),
                                        small_integer(value, "pitch"), small_integer(value, "velocity") };
        status = fn(user, &note, err);
        json_decref(name);
        json_decref(value);
        if (status != BL_OK)
            goto done;
        SKIP_BLANKS();
    }
    wanted = "the file ends too early";
    if (p == end)
        goto malformed;
    goto done;
#undef SKIP_BLANKS
malformed:
    status = bl_fail(err, BL_EFORMAT, "%s line %d: %s", path, line, wanted);
done:
    free(text);
    return status;
}

/* ---- Slakh ---- */

/* Value of "key: value" when the line (after blanks) begins with key; copies it without quotes. */
static int yaml_value(const char *line, const char *key, char *out, size_t size)
{
    const size_t n = strlen(key);
    line += strspn(line, " ");
    if (strncmp(line, key, n) || line[n] != ':')
        return 0;
    line += n + 1;
    line += strspn(line, " '\"");
    size_t bytes = strcspn(line, "\r\n'\"");
    if (bytes > size - 1)
        bytes = size - 1;
    memcpy(out, line, bytes);
    out[bytes] = '\0';
    return 1;
}

int data_slakh_instrument(const char *text, const char *stem)
{
    char value[64];
    int inside = 0, program = -1, is_drum = 0, by_class = -1;
    size_t indent = 0;
    for (const char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        const size_t blanks = strspn(line, " ");
        if (inside && blanks <= indent && line[blanks] != '\n' && line[blanks] != '\0')
            break;
        if (!inside && blanks && yaml_value(line, stem, value, sizeof value)) {
            inside = 1;
            indent = blanks;
        } else if (inside && yaml_value(line, "program_num", value, sizeof value))
            program = atoi(value);
        else if (inside && yaml_value(line, "is_drum", value, sizeof value))
            is_drum = !strcasecmp(value, "true");
        else if (inside && yaml_value(line, "inst_class", value, sizeof value))
            by_class = data_instrument_find(value);
    }
    if (!inside)
        return -1;
    const int id = is_drum || (program >= 0 && program < 128) ? data_instrument_from_program(program, is_drum) : -1;
    return id >= 0 ? id : by_class;
}
