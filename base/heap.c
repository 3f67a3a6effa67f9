/* Best fit with boundary lists. Descriptions of blocks lie apart from the data, so that a free block costs no page. */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, madvise */
#endif
#include "base/heap.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

enum { ALIGN = 64, SMALL = 16 << 10, SLAB = 256 << 10, COMMIT = 64 << 20, HUGE = 2 << 20 };

#ifdef BL_DEBUG
enum { GAP = 64 }; /* poisoned, so that an overflow does not end in a neighbour */
#else
enum { GAP = 0 };
#endif

void bl_heap_init(bl_heap *h)
{
    memset(h, 0, sizeof *h);
}

void bl_heap_free(bl_heap *h)
{
    if (h->base) {
        UNPOISON(h->base, h->committed);
        munmap(h->base, h->reserved);
    }
    bl_arena_free(&h->blocks);
    memset(h, 0, sizeof *h);
}

void bl_heap_reset(bl_heap *h)
{
    if (h->base)
        POISON(h->base, h->top_bytes);
    bl_arena_reset(&h->blocks);
    memset(h->small, 0, sizeof h->small);
    h->spare = h->free_list = h->last = NULL;
    h->slab_offset = h->slab_end = h->top_bytes = h->in_use_bytes = 0;
}

void bl_heap_paper(bl_heap *h, int on)
{
    bl_heap_reset(h);
    h->on_paper = on;
    h->peak_bytes = 0;
}

/* ---- the range of addresses ---- */

/* As many addresses as the machine has memory (fewer where a limit is set): they cost nothing until they are used. */
static int reserve(bl_heap *h)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t size = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : (size_t)1 << 32;
    for (size = size / HUGE * HUGE; size >= HUGE; size = size / 2 / HUGE * HUGE) {
        void *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p != MAP_FAILED) {
            h->base = p;
            h->reserved = size;
#ifdef MADV_HUGEPAGE
            madvise(p, size, MADV_HUGEPAGE); /* 512 times fewer page faults; refused, it only costs time */
#endif
            return 1;
        }
    }
    return 0;
}

/* Makes the bytes up to `top` usable. */
static int grow(bl_heap *h, size_t top)
{
    if (!h->on_paper) {
        if (!h->base && !reserve(h))
            return 0;
        if (top > h->reserved)
            return 0;
        if (top > h->committed) {
            size_t committed = (top + COMMIT - 1) / COMMIT * COMMIT;
            if (committed > h->reserved)
                committed = h->reserved;
            if (mprotect(h->base, committed, PROT_READ | PROT_WRITE) != 0)
                return 0;
            POISON(h->base + h->committed, committed - h->committed);
            h->committed = committed;
        }
    }
    h->top_bytes = top;
    if (top > h->peak_bytes)
        h->peak_bytes = top;
    return 1;
}

/* ---- blocks ---- */

static bl_block *describe(bl_heap *h, size_t offset, size_t n_bytes)
{
    bl_block *b = h->spare;
    if (b)
        h->spare = b->next_free;
    else if (!(b = bl_arena_alloc(&h->blocks, sizeof *b)))
        return NULL;
    *b = (bl_block){ .n_bytes = n_bytes, .size_class = -1, .offset = offset };
    return b;
}

static void forget(bl_heap *h, bl_block *b)
{
    b->next_free = h->spare;
    h->spare = b;
}

static void link_free(bl_heap *h, bl_block *b)
{
    b->n_users = 0;
    b->previous_free = NULL;
    b->next_free = h->free_list;
    if (b->next_free)
        b->next_free->previous_free = b;
    h->free_list = b;
}

static void unlink_free(bl_heap *h, bl_block *b)
{
    if (b->previous_free)
        b->previous_free->next_free = b->next_free;
    else
        h->free_list = b->next_free;
    if (b->next_free)
        b->next_free->previous_free = b->previous_free;
}

/* The smallest free block that is large enough; of equals the lowest, which keeps the top down. */
static bl_block *best_fit(const bl_heap *h, size_t n)
{
    bl_block *best = NULL;
    for (bl_block *b = h->free_list; b; b = b->next_free)
        if (b->n_bytes >= n && (!best || b->n_bytes < best->n_bytes || (b->n_bytes == best->n_bytes && b->offset < best->offset)))
            best = b;
    return best;
}

/* A block of n bytes at the top; a free block that ends there is part of it. */
static bl_block *at_the_top(bl_heap *h, size_t n)
{
    const size_t old_top = h->top_bytes;
    bl_block *b = h->last;
    if (b && !b->n_users) {
        if (!grow(h, b->offset + n))
            return NULL;
        unlink_free(h, b);
        b->n_bytes = n;
        return b;
    }
    if (!(b = describe(h, old_top, n)))
        return NULL;
    if (!grow(h, old_top + n)) {
        forget(h, b);
        return NULL;
    }
    b->before = h->last;
    if (h->last)
        h->last->after = b;
    h->last = b;
    return b;
}

static bl_block *large_block(bl_heap *h, size_t n)
{
    bl_block *b = best_fit(h, n), *rest;
    if (!b)
        return at_the_top(h, n);
    unlink_free(h, b);
    if (b->n_bytes - n >= ALIGN && (rest = describe(h, b->offset + n, b->n_bytes - n)) != NULL) {
        b->n_bytes = n;
        rest->before = b;
        rest->after = b->after;
        if (rest->after)
            rest->after->before = rest;
        else
            h->last = rest;
        b->after = rest;
        link_free(h, rest);
    }
    return b;
}

static void join_with_next(bl_heap *h, bl_block *b)
{
    bl_block *next = b->after;
    b->n_bytes += next->n_bytes;
    b->after = next->after;
    if (b->after)
        b->after->before = b;
    else
        h->last = b;
    forget(h, next);
}

static void release_large(bl_heap *h, bl_block *b)
{
    if (b->after && !b->after->n_users) {
        unlink_free(h, b->after);
        join_with_next(h, b);
    }
    if (b->before && !b->before->n_users) {
        b = b->before;
        unlink_free(h, b);
        join_with_next(h, b);
    }
    link_free(h, b);
}

/* Four classes per power of two: at most a fifth of a small block is wasted. */
static int class_of(size_t n_bytes, size_t *rounded)
{
    if (n_bytes <= ALIGN) {
        *rounded = ALIGN;
        return 0;
    }
    const int power = 63 - __builtin_clzll((unsigned long long)(n_bytes - 1)); /* 2^power < n_bytes <= 2^(power+1) */
    const size_t base = (size_t)1 << power, quarter = base / 4;
    const size_t steps = (n_bytes - base + quarter - 1) / quarter;
    *rounded = base + steps * quarter;
    return 4 * (power - 6) + (int)steps;
}

static bl_block *small_block(bl_heap *h, size_t n_bytes)
{
    size_t size;
    const int c = class_of(n_bytes, &size);
    bl_block *b = h->small[c];
    if (b) {
        h->small[c] = b->next_free;
        return b;
    }
    if (h->slab_end - h->slab_offset < size) {
        bl_block *slab = large_block(h, SLAB);
        if (!slab)
            return NULL;
        slab->n_users = 1; /* until the reset */
        h->slab_offset = slab->offset;
        h->slab_end = slab->offset + slab->n_bytes;
    }
    if (!(b = describe(h, h->slab_offset, size)))
        return NULL;
    b->size_class = c;
    h->slab_offset += size;
    return b;
}

bl_block *bl_heap_alloc(bl_heap *h, size_t n_bytes)
{
    if (n_bytes > (size_t)-1 / 4)
        return NULL;
    const size_t n = (n_bytes + GAP + (n_bytes + GAP == 0) + ALIGN - 1) / ALIGN * ALIGN;
    bl_block *b = n <= SMALL ? small_block(h, n) : large_block(h, n);
    if (!b)
        return NULL;
    b->n_users = 1;
    b->data = h->base && !h->on_paper ? h->base + b->offset : NULL;
    if (b->data)
        UNPOISON(b->data, n_bytes);
    h->in_use_bytes += b->n_bytes;
    return b;
}

void bl_heap_release(bl_heap *h, bl_block *b)
{
    if (--b->n_users > 0)
        return;
    h->in_use_bytes -= b->n_bytes;
    if (b->data)
        POISON(b->data, b->n_bytes);
    if (b->size_class < 0) {
        release_large(h, b);
    } else {
        b->next_free = h->small[b->size_class];
        h->small[b->size_class] = b;
    }
}
