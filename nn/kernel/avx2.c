/* The kernels for AVX2 with FMA: 12 sums in 16 registers. The Makefile compiles this file for that target. */
#ifdef __x86_64__

#define NAME nn_kernel_avx2
#define NAME_TEXT "avx2"
#define BYTES 32
#define ROWS 6
#define VECTORS 2
#include "nn/kernel/tile.inc"

#else
typedef int nn_kernel_avx2_is_for_x86_64;
#endif
