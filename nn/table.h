/* Constants that are made once per process and then shared: windows, filter banks, FFT plans. A layer's `build` or an op's
 * `shape` asks first and may fail; `forward` asks again and finds what is there. Nothing is ever given back.
 *
 * Errors   NULL with BL_ENOMEM, or what bl_fft_real_new says.
 * Threads  Any thread may ask.
 */
#ifndef BL_NN_TABLE_H
#define BL_NN_TABLE_H

#include "base/fft.h"

#include <stdint.h>

enum { NN_TABLE_KEYS = 6 };

typedef struct nn_table_key {
    const char *name;                  /* a literal: compared as text */
    double      value[NN_TABLE_KEYS];
} nn_table_key;

/* [n], 64-byte aligned, filled by `fill` when it is asked for the first time. n follows from the key. */
real *nn_table(const nn_table_key *key, int64_t n, void (*fill)(const nn_table_key *key, real *out), bl_error *err);

/* A plan for bl_fft_real_forward_on and _inverse_on. */
const bl_fft_real *nn_fft(int n, bl_error *err);

#endif
