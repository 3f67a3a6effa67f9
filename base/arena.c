#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

enum { ALIGN = 64, MIN_CHUNK = 1 << 20 };

#ifdef BL_DEBUG
enum { GAP = 64 };
#else
enum { GAP = 0 };
#endif

struct bl_arena_chunk {
    bl_arena_chunk *next;
    size_t          size, used;
    unsigned char  *data;
};

static bl_arena_chunk *chunk_new(size_t size)
{
    bl_arena_chunk *c = malloc(sizeof *c);
    if (!c)
        return NULL;
    c->data = aligned_alloc(ALIGN, size);
    if (!c->data) {
        free(c);
        return NULL;
    }
    c->next = NULL;
    c->size = size;
    c->used = 0;
    POISON(c->data, size);
    return c;
}

void *bl_arena_alloc(bl_arena *a, size_t n_bytes)
{
    if (n_bytes > SIZE_MAX / 2)
        return NULL;
    const size_t n = (n_bytes + ALIGN - 1) / ALIGN * ALIGN + GAP;
    bl_arena_chunk *c = a->current;

    while (c && c->size - c->used < n)
        c = c->next;
    if (!c) {
        size_t size = a->reserved_bytes / 2;
        if (size < MIN_CHUNK)
            size = MIN_CHUNK;
        if (size > ((size_t)64 << 20))
            size = (size_t)64 << 20;
        if (size < n)
            size = n;
        c = chunk_new((size + ALIGN - 1) / ALIGN * ALIGN);
        if (!c)
            return NULL;
        a->reserved_bytes += c->size;
        if (!a->first) {
            a->first = c;
        } else {
            bl_arena_chunk *last = a->current;
            while (last->next)
                last = last->next;
            last->next = c;
        }
    }
    a->current = c;
    void *p = c->data + c->used;
    c->used += n;
    a->used_bytes += n;
    if (a->used_bytes > a->peak_bytes)
        a->peak_bytes = a->used_bytes;
    UNPOISON(p, n_bytes);
    return p;
}

void bl_arena_reset(bl_arena *a)
{
    for (bl_arena_chunk *c = a->first; c; c = c->next) {
        POISON(c->data, c->size);
        c->used = 0;
    }
    a->current = a->first;
    a->used_bytes = 0;
}

void bl_arena_free(bl_arena *a)
{
    for (bl_arena_chunk *c = a->first, *next; c; c = next) {
        next = c->next;
        UNPOISON(c->data, c->size);
        free(c->data);
        free(c);
    }
    memset(a, 0, sizeof *a);
}

char *bl_arena_strdup(bl_arena *a, const char *text)
{
    const size_t n = strlen(text) + 1;
    char *copy = bl_arena_alloc(a, n);
    if (copy)
        memcpy(copy, text, n);
    return copy;
}
