/* Real FFT of one length, on FFTW.
 *
 *     forward   X[k] = sum over n of x[n] exp(-2 pi i k n / N)      k = 0 .. N/2
 *     inverse   x[n] = (1/N) sum over all k of X[k] exp(+2 pi i k n / N)
 *
 * Shapes   x [N] samples; X [N/2 + 1] pairs (re, im), interleaved. N is even.
 * Errors   bl_fft_new: NULL with BL_EARG (N odd or < 2) or BL_ENOMEM.
 * Memory   bl_fft_new returns a plan; release with bl_fft_free (NULL allowed). Run functions
 *          allocate nothing; x and X need no alignment and must not overlap. The inverse leaves X as is.
 * Threads  bl_fft_new and _free may be called from any thread; a plan holds scratch: one per thread.
 * Note     Plans are FFTW_ESTIMATE: a measured plan could differ from run to run, and so the last bits.
 */
#ifndef BL_BASE_FFT_H
#define BL_BASE_FFT_H

#include "base/error.h"
#include "base/real.h"

typedef struct bl_fft bl_fft;

bl_fft *bl_fft_new(int n, bl_error *err);
void    bl_fft_free(bl_fft *fft);
int     bl_fft_size(const bl_fft *fft);
void    bl_fft_forward(bl_fft *fft, const float *x, float *spectrum);
void    bl_fft_inverse(bl_fft *fft, const float *spectrum, float *x);

/* The same on the engine's scalar type (double in BUILD=f64). */
typedef struct bl_fft_real bl_fft_real;
bl_fft_real *bl_fft_real_new(int n, bl_error *err);
void         bl_fft_real_free(bl_fft_real *fft);
void         bl_fft_real_forward(bl_fft_real *fft, const real *x, real *spectrum);
void         bl_fft_real_inverse(bl_fft_real *fft, const real *spectrum, real *x);
/* The same on the caller's arrays, without a copy, and with one plan in any number of threads. x [N] and spectrum [N + 2] are
 * 64-byte aligned. The inverse is not divided by N and overwrites the spectrum. */
void         bl_fft_real_forward_on(const bl_fft_real *fft, real *x, real *spectrum);
void         bl_fft_real_inverse_on(const bl_fft_real *fft, real *spectrum, real *x);

/* In double, on the caller's arrays, without a copy: x [N] and spectrum [N + 2] are 64-byte aligned and may be changed. */
typedef struct bl_fft_double bl_fft_double;
bl_fft_double *bl_fft_double_new(int n, bl_error *err);
void           bl_fft_double_free(bl_fft_double *fft);
void           bl_fft_double_forward_on(const bl_fft_double *fft, double *x, double *spectrum);

#endif
