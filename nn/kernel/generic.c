/* The kernels for any processor: vectors of 16 bytes, which every target that matters has, compiled for the build's ARCH. */
#define NAME nn_kernel_generic
#define NAME_TEXT "generic"
#define BYTES 16
#define ROWS 6
#define VECTORS 2
#include "nn/kernel/tile.inc"
