/* The arithmetic core alone: products and convolutions of the shapes that the models use, against the innermost loop alone.
 *
 *     make bench-kernels                         1 thread and 2
 *     build/release/tests/bench/bench_kernels [THREADS [PART OF A NAME]]
 *     BL_KERNEL=avx2 build/release/tests/bench/bench_kernels 1
 *
 * A line per case: what comes out, in GFLOP/s and in percent of what the innermost loop alone reaches. With one thread, time is
 * the thread's own, so that neighbours disturb less; the best of several runs counts. */
#include "base/rng.h"
#include "nn/conv.h"
#include "nn/gemm.h"
#include "nn/kernel/kernel.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct convolution {
    const char *name;
    int         batch, groups, in, out, height, width, kernel, stride, dilation, pad;
} convolution;

/* height 1: one dimension. */
static const convolution convolutions[] = {
    { "wavegan d16 1-16", 64, 1, 1, 16, 1, 16384, 25, 4, 1, 11 },
    { "wavegan d16 16-32", 64, 1, 16, 32, 1, 4096, 25, 4, 1, 11 },
    { "wavegan d16 32-64", 64, 1, 32, 64, 1, 1024, 25, 4, 1, 11 },
    { "wavegan d16 64-128", 64, 1, 64, 128, 1, 256, 25, 4, 1, 11 },
    { "wavegan d16 128-256", 64, 1, 128, 256, 1, 64, 25, 4, 1, 11 },
    { "wavegan d64 1-64", 16, 1, 1, 64, 1, 16384, 25, 4, 1, 11 },
    { "wavegan d64 64-128", 16, 1, 64, 128, 1, 4096, 25, 4, 1, 11 },
    { "wavegan d64 256-512", 16, 1, 256, 512, 1, 256, 25, 4, 1, 11 },
    { "wavegan d64 512-1024", 16, 1, 512, 1024, 1, 64, 25, 4, 1, 11 },
    { "wavenet k2 d1", 1, 1, 64, 128, 1, 16000, 2, 1, 1, 0 },
    { "wavenet k2 d512", 1, 1, 64, 128, 1, 16512, 2, 1, 512, 0 },
    { "wavenet 1x1 64-64", 1, 1, 64, 64, 1, 16000, 1, 1, 1, 0 },
    { "wavenet 1x1 64-256", 1, 1, 64, 256, 1, 16000, 1, 1, 1, 0 },
    { "wavenet 1x1 256-256", 1, 1, 256, 256, 1, 16000, 1, 1, 1, 0 },
    { "pwgan k3 d1", 2, 1, 64, 128, 1, 16384, 3, 1, 1, 1 },
    { "pwgan k3 d512", 2, 1, 64, 128, 1, 16384, 3, 1, 512, 512 },
    { "pwgan aux 80-128", 2, 1, 80, 128, 1, 16384, 1, 1, 1, 0 },
    { "autoencoder 3x3 1-32", 32, 1, 1, 32, 128, 128, 3, 2, 1, 1 },
    { "autoencoder 3x3 32-64", 32, 1, 32, 64, 64, 64, 3, 2, 1, 1 },
    { "autoencoder 3x3 64-128", 32, 1, 64, 128, 32, 32, 3, 2, 1, 1 },
    { "autoencoder 3x3 128-256", 32, 1, 128, 256, 16, 16, 3, 2, 1, 1 },
    { "autoencoder 4x4 1-32", 32, 1, 1, 32, 128, 128, 4, 2, 1, 1 },
    { "autoencoder 4x4 32-64", 32, 1, 32, 64, 64, 64, 4, 2, 1, 1 },
    { "autoencoder 4x4 64-128", 32, 1, 64, 128, 32, 32, 4, 2, 1, 1 },
    { "autoencoder 4x4 128-256", 32, 1, 128, 256, 16, 16, 4, 2, 1, 1 },
    { "3x3 64-64 56x56", 8, 1, 64, 64, 56, 56, 3, 1, 1, 1 },
    { "16-1 k7", 8, 1, 16, 1, 1, 8192, 7, 1, 1, 3 },
    { "depthwise 256 k7", 8, 256, 1, 1, 1, 1024, 7, 1, 1, 3 },
};

typedef struct product {
    const char *name;
    int         transpose_a, transpose_b, m, n, k;
} product;

static const product products[] = {
    { "2048^3", 0, 0, 2048, 2048, 2048 },
    { "2048^3 x B'", 0, 1, 2048, 2048, 2048 },
    { "2048^3 A' x", 1, 0, 2048, 2048, 2048 },
    { "open-unmix in", 0, 1, 4080, 512, 2974 },
    { "open-unmix in, dx", 0, 0, 4080, 2974, 512 },
    { "open-unmix in, dw", 1, 0, 512, 2974, 4080 },
    { "lstm step", 0, 1, 16, 1024, 256 },
    { "perceptron", 0, 1, 32, 64, 64 },
    { "perceptron, dx", 0, 0, 32, 64, 64 },
    { "perceptron, dw", 1, 0, 64, 64, 32 },
    { "one row", 0, 1, 1, 1024, 256 },
    { "wide", 0, 0, 128, 16000, 128 },
};

static double now(int threads)
{
    struct timespec t;
    clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static real *values(int64_t n)
{
    bl_rng rng;
    real *x = aligned_alloc(64, ((size_t)n * sizeof *x / 64 + 1) * 64);
    if (!x) {
        fputs("no memory\n", stderr);
        exit(1);
    }
    bl_rng_seed(&rng, 1);
    for (int64_t i = 0; i < n; i++)
        x[i] = (real)(bl_rng_uniform(&rng) - 0.5);
    return x;
}

/* What is timed: a function on its operands. */
typedef struct operands {
    nn_conv_size size;
    product      p;
    int          threads;
    real        *x, *w, *y, *out, *scratch;
} operands;

static void run_product(const operands *o) { nn_conv_product(&o->size, o->x, o->w, NULL, o->out); }
static void run_adjoint(const operands *o) { nn_conv_adjoint(&o->size, o->y, o->w, NULL, o->out); }
static void run_weight(const operands *o) { nn_conv_weight(&o->size, o->x, o->y, o->scratch, o->out); }
static void run_gemm(const operands *o)
{
    const product *p = &o->p;
    nn_gemm(p->transpose_a, p->transpose_b, p->m, p->n, p->k, 1, o->x, p->transpose_a ? p->m : p->k, o->w,
            p->transpose_b ? p->k : p->n, 0, o->out, p->n);
}

/* Best time of one run, in seconds. */
static double best_of(void (*run)(const operands *), const operands *o, double flops)
{
    const int at_once = flops > 1e8 ? 1 : (int)(1e8 / flops) + 1;
    double best = 1e9, total = 0;
    for (int i = 0; i < 4 || (i < 40 && total < 0.3); i++) {
        const double start = now(o->threads);
        for (int k = 0; k < at_once; k++)
            run(o);
        const double t = now(o->threads) - start;
        total += t;
        best = t / at_once < best ? t / at_once : best;
    }
    return best;
}

static nn_conv_axis axis_of(int in, const convolution *c)
{
    const int reach = c->dilation * (c->kernel - 1) + 1;
    if (in == 1)
        return (nn_conv_axis){ 1, 1, 1, 1, 1, 0 };
    /* a strided kernel of even length at the paper's "same" needs one more behind: the length is in / stride */
    return (nn_conv_axis){ in, c->stride > 1 ? in / c->stride : in + 2 * c->pad - reach + 1, c->kernel, c->stride, c->dilation,
                           c->pad };
}

static void report_convolution(const convolution *c, int threads, double peak)
{
    static void (*const run[])(const operands *) = { run_product, run_adjoint, run_weight };
    operands o = { .size = { c->batch, c->groups, c->in, c->out, axis_of(c->height, c), axis_of(c->width, c) },
                   .threads = threads };
    const nn_conv_size *s = &o.size;
    const int64_t nx = s->batch * s->groups * s->in_channels * s->h.in * s->w.in;
    const int64_t ny = s->batch * s->groups * s->out_channels * s->h.out * s->w.out;
    const int64_t nw = s->groups * s->out_channels * s->in_channels * s->h.kernel * s->w.kernel;
    const double flops = 2 * (double)ny * (double)(nw / s->groups / s->out_channels);
    o.x = values(nx);
    o.w = values(nw);
    o.y = values(ny);
    o.out = values(nx > ny ? (nx > nw ? nx : nw) : ny > nw ? ny : nw);
    o.scratch = values(nn_conv_weight_scratch(s) + 1);
    printf("%-24s %8.1f", c->name, flops * 1e-6);
    for (int k = 0; k < 3; k++) {
        const double rate = flops / best_of(run[k], &o, flops);
        printf("   %6.1f %3.0f %%", rate * 1e-9, 100 * rate / peak);
    }
    putchar('\n');
    free(o.x);
    free(o.w);
    free(o.y);
    free(o.out);
    free(o.scratch);
}

static void report_product(const product *p, int threads, double peak)
{
    operands o = { .p = *p, .threads = threads };
    const double flops = 2.0 * p->m * p->n * p->k;
    o.x = values((int64_t)p->m * p->k);
    o.w = values((int64_t)p->k * p->n);
    o.out = values((int64_t)p->m * p->n);
    const double t = best_of(run_gemm, &o, flops);
    printf("%-24s %5d %5d %5d   %6.1f %3.0f %%   %10.2f us\n", p->name, p->m, p->n, p->k, flops / t * 1e-9,
           100 * flops / t / peak, t * 1e6);
    free(o.x);
    free(o.w);
    free(o.out);
}

/* What the largest tile reaches when all it reads is in the first-level cache: nothing here can be faster. Multiply-adds in
 * registers alone are 2 % above it. */
static double tile_rate(int threads)
{
    enum { DEPTH = 128, TIMES = 4000 };
    const nn_kernel *kernel = nn_kernel_get();
    double best = 0;
    for (int round = 0; round < 20; round++) {
        const double start = now(threads);
#pragma omp parallel num_threads(threads)
        {
            real a[NN_TILE_ROWS * DEPTH] = { 0 }, b[DEPTH * NN_TILE_WIDTH] = { 0 }, c[NN_TILE_ROWS * NN_TILE_WIDTH];
            int32_t step[DEPTH][2];
            nn_tile t = { .a = a, .a_row = DEPTH, .step = &step[0][0], .k = DEPTH, .alpha = 1, .c_row = NN_TILE_WIDTH };
            for (int i = 0; i < DEPTH; i++) {
                step[i][0] = i;
                step[i][1] = i * NN_TILE_WIDTH;
            }
            for (int v = 0; v < kernel->vectors; v++) {
                t.b[v] = b + v * kernel->lanes;
                t.c[v] = c + v * kernel->lanes;
            }
            for (int i = 0; i < TIMES; i++)
                kernel->tile[kernel->rows - 1][kernel->vectors - 1](&t);
        }
        const double rate = 2.0 * kernel->rows * kernel->vectors * kernel->lanes * DEPTH * TIMES * threads / (now(threads) - start);
        best = rate > best ? rate : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? atoi(argv[1]) : 1;
    const char *part = argc > 2 ? argv[2] : "";
    bl_error err = { BL_OK, "" };
    if (threads < 1 || nn_kernel_choose(NULL, &err) != BL_OK) {
        fprintf(stderr, "%s\n", err.code ? err.msg : "usage: bench_kernels [THREADS [PART OF A NAME]]");
        return err.code ? 1 : 2;
    }
    omp_set_num_threads(threads);
    const double peak = tile_rate(threads);
    printf("kernels %s, %d thread%s, tile in first-level cache %.0f GFLOP/s\n\n", nn_kernel_get()->name, threads, threads > 1 ? "s" : "", peak * 1e-9);
    printf("%-24s %8s   %12s   %12s   %12s   GFLOP/s\n", "convolution", "MFLOP", "forward", "input grad.", "weight grad.");
    for (size_t i = 0; i < sizeof convolutions / sizeof *convolutions; i++)
        if (strstr(convolutions[i].name, part))
            report_convolution(&convolutions[i], threads, peak);
    printf("\n%-24s %5s %5s %5s   GFLOP/s\n", "product", "m", "n", "k");
    for (size_t i = 0; i < sizeof products / sizeof *products; i++)
        if (strstr(products[i].name, part))
            report_product(&products[i], threads, peak);
    return 0;
}
