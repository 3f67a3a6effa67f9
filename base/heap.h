/* A heap for the values of one step: best fit in one range of reserved addresses, neighbours joined when they are free, so
 * that what was a thousand small blocks can be one large block again. Pages are touched when they are used, never before.
 *
 *     bl_heap heap;
 *     bl_heap_init(&heap);
 *     bl_block *b = bl_heap_alloc(&heap, n_bytes);    // b->data, 64-byte aligned, not zeroed
 *     bl_heap_release(&heap, b);                      // when b->n_users falls to 0
 *     bl_heap_reset(&heap);                           // everything at once; memory is kept
 *     bl_heap_free(&heap);
 *
 * On paper (bl_heap_paper) the same blocks lie in the same places and have no memory (data is NULL): top_bytes and
 * peak_bytes then say what the real run will take, byte for byte.
 *
 * Memory   Returns NULL when the machine has no more. Small blocks (up to 16 KiB) come in four sizes per power of two from
 *          lists, at no cost; larger ones are cut to 64 bytes, with a search through the free blocks.
 * Threads  One heap per thread.
 * Tested   tests/base/test_heap.c
 */
#ifndef BL_BASE_HEAP_H
#define BL_BASE_HEAP_H

#include "base/arena.h"

#include <stddef.h>

typedef struct bl_block {
    void            *data;
    size_t           n_bytes;      /* of the block; at least what was asked for                     */
    int              n_users;      /* 1 from bl_heap_alloc; whoever shares the block counts it up   */
    /* the rest is the heap's own business */
    int              size_class;   /* of a small block, else -1                                     */
    size_t           offset;
    struct bl_block *before, *after;         /* neighbours by address; of large blocks              */
    struct bl_block *previous_free, *next_free;
} bl_block;

enum { BL_HEAP_CLASSES = 36 };

typedef struct bl_heap {
    size_t         top_bytes;      /* the highest byte in use since the reset; what lies above is untouched    */
    size_t         peak_bytes;     /* the highest ever                                                       */
    size_t         in_use_bytes;
    /* the rest is the heap's own business */
    unsigned char *base;           /* NULL until the first block, and on paper                              */
    size_t         reserved, committed;
    int            on_paper;
    bl_arena       blocks;
    bl_block      *small[BL_HEAP_CLASSES], *spare, *free_list, *last;
    size_t         slab_offset, slab_end;
} bl_heap;

void      bl_heap_init(bl_heap *heap);
void      bl_heap_free(bl_heap *heap);
bl_block *bl_heap_alloc(bl_heap *heap, size_t n_bytes);
/* One user fewer; free when nobody is left. */
void      bl_heap_release(bl_heap *heap, bl_block *block);
void      bl_heap_reset(bl_heap *heap);
/* Resets the heap and its peak; from then on blocks are counted only (on 1) or real (0). */
void      bl_heap_paper(bl_heap *heap, int on);

#endif
