/* Which kernels run, tiles that are not full, and the workspace of each thread. */
#include "nn/kernel/kernel.h"

#include <stdlib.h>
#include <string.h>

extern const nn_kernel nn_kernel_generic;
#ifdef __x86_64__
extern const nn_kernel nn_kernel_avx512, nn_kernel_avx2;
#endif

static const nn_kernel *chosen;

static const nn_kernel *best(void)
{
#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd"))
        return &nn_kernel_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2"))
        return &nn_kernel_avx2;
#endif
    return &nn_kernel_generic;
}

bl_status nn_kernel_choose(const char *name, bl_error *err)
{
    const nn_kernel *top = best(), *kernel = NULL;
    if (!name)
        name = getenv("BL_KERNEL");
    if (!name || !*name)
        kernel = top;
    else if (!strcmp(name, "generic"))
        kernel = &nn_kernel_generic;
#ifdef __x86_64__
    else if (!strcmp(name, "avx2") && top != &nn_kernel_generic)
        kernel = &nn_kernel_avx2;
    else if (!strcmp(name, "avx512") && top == &nn_kernel_avx512)
        kernel = &nn_kernel_avx512;
#endif
    if (!kernel)
        return bl_fail(err, BL_EARG, "the kernels \"%s\" (BL_KERNEL) are not among avx512, avx2 and generic, or not for this "
                                     "processor, whose best are %s", name, top->name);
    __atomic_store_n(&chosen, kernel, __ATOMIC_RELEASE);
    return BL_OK;
}

const nn_kernel *nn_kernel_get(void)
{
    const nn_kernel *kernel = __atomic_load_n(&chosen, __ATOMIC_ACQUIRE);
    if (!kernel) { /* before any tape: nobody is there to be told of a wrong BL_KERNEL */
        if (nn_kernel_choose(NULL, NULL) != BL_OK)
            nn_kernel_choose("generic", NULL);
        kernel = __atomic_load_n(&chosen, __ATOMIC_ACQUIRE);
    }
    return kernel;
}

void nn_tile_run(const nn_kernel *kernel, const nn_tile *tile, int rows, int vectors)
{
    const int lanes = kernel->lanes;
    nn_tile_function *run = kernel->tile[rows - 1][vectors - 1];
    int full = 1;
    for (int v = 0; v < vectors; v++)
        full &= tile->width[v] == lanes;
    if (full) {
        run(tile);
        return;
    }
    /* The same tile beside, then what exists of it into its place. */
    real c[NN_TILE_ROWS * NN_TILE_WIDTH];
    nn_tile t = *tile;
    const int from_rows = !t.from[0] ? 0 : t.from_row ? rows : 1;
    for (int v = 0; v < vectors; v++) {
        real *to = c + v * lanes;
        for (int r = 0; r < from_rows; r++)
            for (int j = 0; j < lanes; j++)
                to[r * NN_TILE_WIDTH + j] = j < t.width[v] ? t.from[v][r * t.from_row + j] : 0;
        if (from_rows)
            t.from[v] = to;
        t.c[v] = to;
    }
    t.from_row = from_rows > 1 ? NN_TILE_WIDTH : 0;
    t.c_row = NN_TILE_WIDTH;
    run(&t);
    for (int v = 0; v < vectors; v++)
        for (int r = 0; r < rows; r++)
            memcpy(tile->c[v] + r * tile->c_row, t.c[v] + r * NN_TILE_WIDTH, (size_t)tile->width[v] * sizeof(real));
}

real *nn_workspace(void)
{
    static _Thread_local _Alignas(64) real memory[NN_WORKSPACE];
    return memory;
}
