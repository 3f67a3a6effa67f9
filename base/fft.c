#include "base/fft.h"

#include <fftw3.h>
#include <stdlib.h>
#include <string.h>

/* FFTW's planner is not thread-safe; running plans is. */
#define PLANNER_LOCKED _Pragma("omp critical(bl_fftw_planner)")

/* One body for both scalar types: T type, F FFTW's prefix, S struct, P our prefix. */
#define DEFINE_FFT(T, F, S, P)                                                                     \
    struct S {                                                                                     \
        int       n;                                                                               \
        T        *time;                                                                            \
        T        *spectrum;                                                                        \
        F##_plan  forward, inverse;                                                                \
    };                                                                                             \
    void P##_free(struct S *f)                                                                     \
    {                                                                                              \
        if (!f)                                                                                    \
            return;                                                                                \
        PLANNER_LOCKED                                                                             \
        {                                                                                          \
            if (f->forward)                                                                        \
                F##_destroy_plan(f->forward);                                                      \
            if (f->inverse)                                                                        \
                F##_destroy_plan(f->inverse);                                                      \
        }                                                                                          \
        F##_free(f->time);                                                                         \
        F##_free(f->spectrum);                                                                     \
        free(f);                                                                                   \
    }                                                                                              \
    struct S *P##_new(int n, bl_error *err)                                                        \
    {                                                                                              \
        if (n < 2 || n % 2) {                                                                      \
            bl_fail(err, BL_EARG, "fft: expected an even length of at least 2, got %d", n);        \
            return NULL;                                                                           \
        }                                                                                          \
        struct S *f = calloc(1, sizeof *f);                                                        \
        if (!f) {                                                                                  \
            bl_fail(err, BL_ENOMEM, "fft: no memory");                                             \
            return NULL;                                                                           \
        }                                                                                          \
        f->n = n;                                                                                  \
        f->time = F##_malloc(sizeof(T) * (size_t)n);                                               \
        f->spectrum = F##_malloc(sizeof(T) * (size_t)(n + 2));                                     \
        if (f->time && f->spectrum)                                                                \
            PLANNER_LOCKED                                                                         \
            {                                                                                      \
                f->forward = F##_plan_dft_r2c_1d(n, f->time, (F##_complex *)f->spectrum, FFTW_ESTIMATE); \
                f->inverse = F##_plan_dft_c2r_1d(n, (F##_complex *)f->spectrum, f->time, FFTW_ESTIMATE); \
            }                                                                                      \
        if (!f->forward || !f->inverse) {                                                          \
            P##_free(f);                                                                           \
            bl_fail(err, BL_ENOMEM, "fft: no memory for length %d", n);                            \
            return NULL;                                                                           \
        }                                                                                          \
        return f;                                                                                  \
    }
/* Runs on the plan's own arrays. */
#define DEFINE_RUNS(T, F, S, P)                                                                    \
    void P##_forward(struct S *f, const T *x, T *spectrum)                                         \
    {                                                                                              \
        memcpy(f->time, x, sizeof(T) * (size_t)f->n);                                              \
        F##_execute(f->forward);                                                                   \
        memcpy(spectrum, f->spectrum, sizeof(T) * (size_t)(f->n + 2));                             \
    }                                                                                              \
    void P##_inverse(struct S *f, const T *spectrum, T *x)                                         \
    {                                                                                              \
        memcpy(f->spectrum, spectrum, sizeof(T) * (size_t)(f->n + 2));                             \
        F##_execute(f->inverse);                                                                   \
        const T scale = (T)1 / (T)f->n;                                                            \
        for (int i = 0; i < f->n; i++)                                                             \
            x[i] = f->time[i] * scale;                                                             \
    }

DEFINE_FFT(float, fftwf, bl_fft, bl_fft)
DEFINE_RUNS(float, fftwf, bl_fft, bl_fft)
DEFINE_FFT(double, fftw, bl_fft_double, bl_fft_double)
#ifdef BL_F64
#define REAL_FFTW(NAME) fftw_##NAME
DEFINE_FFT(double, fftw, bl_fft_real, bl_fft_real)
DEFINE_RUNS(double, fftw, bl_fft_real, bl_fft_real)
#else
#define REAL_FFTW(NAME) fftwf_##NAME
DEFINE_FFT(float, fftwf, bl_fft_real, bl_fft_real)
DEFINE_RUNS(float, fftwf, bl_fft_real, bl_fft_real)
#endif

void bl_fft_real_forward_on(const bl_fft_real *f, real *x, real *spectrum)
{
    REAL_FFTW(execute_dft_r2c)(f->forward, x, (REAL_FFTW(complex) *)spectrum);
}

void bl_fft_real_inverse_on(const bl_fft_real *f, real *spectrum, real *x)
{
    REAL_FFTW(execute_dft_c2r)(f->inverse, (REAL_FFTW(complex) *)spectrum, x);
}

void bl_fft_double_forward_on(const bl_fft_double *f, double *x, double *spectrum)
{
    fftw_execute_dft_r2c(f->forward, x, (fftw_complex *)spectrum);
}

int bl_fft_size(const bl_fft *fft)
{
    return fft->n;
}
