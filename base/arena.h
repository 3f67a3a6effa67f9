/* Bump allocation with one lifetime. Chunks come from the heap the first time and are kept by
 * bl_arena_reset, so a loop that resets once a step stops allocating after its first step.
 *
 * Memory   bl_arena_alloc returns 64-byte aligned memory that lives until reset or free, or NULL
 *          when there is none. With BL_DEBUG the blocks are apart and the gaps are poisoned for
 *          AddressSanitizer, since an arena would otherwise hide overflows.
 * Threads  One arena per thread.
 */
#ifndef BL_BASE_ARENA_H
#define BL_BASE_ARENA_H

#include <stddef.h>

typedef struct bl_arena_chunk bl_arena_chunk;

typedef struct bl_arena {
    bl_arena_chunk *first, *current;
    size_t          used_bytes;     /* handed out since the last reset          */
    size_t          peak_bytes;     /* most ever handed out between two resets  */
    size_t          reserved_bytes; /* taken from the heap                      */
} bl_arena;

void *bl_arena_alloc(bl_arena *arena, size_t n_bytes);
void  bl_arena_reset(bl_arena *arena);
void  bl_arena_free(bl_arena *arena);

/* A copy of text in the arena. */
char *bl_arena_strdup(bl_arena *arena, const char *text);

#endif
