#include "infer/plan_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* The text is JSON that has been read, so brackets match and strings end. */

static const char *skip_blanks(const char *at)
{
    while (isspace((unsigned char)*at))
        at++;
    return at;
}

static const char *skip_string(const char *at)
{
    for (at++; *at && *at != '"'; at++)
        at += *at == '\\' && at[1];
    return at + (*at == '"');
}

static const char *skip_value(const char *at)
{
    int depth = 0;
    for (at = skip_blanks(at); *at;) {
        if (*at == '"') {
            at = skip_string(at);
        } else if (*at == '[' || *at == '{') {
            depth++;
            at++;
        } else if (*at == ']' || *at == '}') {
            if (depth-- == 0)
                return at;
            at++;
        } else if (depth == 0 && *at == ',') {
            return at;
        } else
            at++;
        if (depth == 0 && (at[-1] == '"' || at[-1] == ']' || at[-1] == '}'))
            return at;
    }
    return at;
}

/* The value of a key in the object at `at`, or item `index` of the list there; NULL: there is none. */
static const char *child(const char *at, const char *key, size_t key_length, long index)
{
    const char open = key ? '{' : '[';
    at = skip_blanks(at);
    if (*at != open)
        return NULL;
    for (long i = 0; *at && *at != '}' && *at != ']'; i++) {
        at = skip_blanks(at + 1);
        if (*at == '}' || *at == ']')
            return NULL;
        int found = !key && i == index;
        if (key) {
            const char *name = at + 1;
            at = skip_string(at);
            found = (size_t)(at - 1 - name) == key_length && !strncmp(name, key, key_length);
            at = skip_blanks(at) + 1; /* the colon */
        }
        if (found)
            return skip_blanks(at);
        at = skip_blanks(skip_value(at));
    }
    return NULL;
}

int infer_plan_line(const char *text, const char *place)
{
    const char *at = skip_blanks(text);
    int found = 0, line = 1;
    while (*place) {
        const char *inner;
        char *end;
        size_t n = strcspn(place, ".[");
        if (*place == '[') {
            inner = child(at, NULL, 0, strtol(place + 1, &end, 10));
            n = (size_t)(end - place) + (*end == ']');
        } else
            inner = child(at, place, n, 0);
        if (!inner)
            break; /* the line of what should hold it */
        at = inner;
        found = 1;
        place += n;
        place += *place == '.';
    }
    for (const char *c = text; c < at; c++)
        line += *c == '\n';
    return found ? line : 0;
}
