/* The kernels for AVX-512: 24 sums in 32 registers. The Makefile compiles this file for that target. */
#ifdef __x86_64__

#define NAME nn_kernel_avx512
#define NAME_TEXT "avx512"
#define BYTES 64
#define ROWS 8
#define VECTORS 3
#include "nn/kernel/tile.inc"

#else
typedef int nn_kernel_avx512_is_for_x86_64;
#endif
