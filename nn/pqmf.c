#include "nn/pqmf.h"

#include <math.h>
#include <stdlib.h>

static const double PI = 3.14159265358979323846;

struct nn_pqmf {
    int   n_bands, taps;          /* taps + 1 coefficients: an odd length has a whole centre */
    real *analysis, *synthesis;   /* [N, 1, taps + 1] each                                   */
};

static double bessel_i0(double x)
{
    double sum = 1, term = 1;
    for (int k = 1; k < 60; k++) {
        term *= x / (2 * k) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

/* Kaiser-windowed sinc, cutoff as a share of the Nyquist frequency. */
static void prototype(double cutoff, int taps, double beta, double *h)
{
    for (int n = 0; n <= taps; n++) {
        const double m = n - 0.5 * taps, r = 2 * m / taps;
        const double ideal = m == 0 ? cutoff : sin(PI * cutoff * m) / (PI * m);
        h[n] = ideal * bessel_i0(beta * sqrt(r * r < 1 ? 1 - r * r : 0)) / bessel_i0(beta);
    }
}

/* How far h*h is from vanishing at multiples of 2N: what keeps the overall response from being flat. */
static double ripple(const double *h, int taps, int n_bands)
{
    double worst = 0, centre = 0;
    for (int n = 0; n <= taps; n++)
        centre += h[n] * h[taps - n];
    for (int shift = 2 * n_bands; shift <= taps; shift += 2 * n_bands) {
        double g = 0;
        for (int n = 0; n + shift <= taps; n++)
            g += h[n] * h[n + shift];
        worst = fmax(worst, fabs(g));
    }
    return worst / centre;
}

nn_pqmf *nn_pqmf_new(int n_bands, int taps, bl_error *err)
{
    if (n_bands < 2 || taps < 2 * n_bands || taps % (2 * n_bands)) {
        bl_fail(err, BL_EARG, "pqmf: taps (%d) must be a multiple of twice the number of bands (%d)", taps, n_bands);
        return NULL;
    }
    nn_pqmf *p = calloc(1, sizeof *p);
    double *h = malloc((size_t)(taps + 1) * sizeof *h);
    const size_t n = (size_t)n_bands * (size_t)(taps + 1);
    if (p) {
        p->analysis = malloc(n * sizeof *p->analysis);
        p->synthesis = malloc(n * sizeof *p->synthesis);
    }
    if (!p || !h || !p->analysis || !p->synthesis) {
        bl_fail(err, BL_ENOMEM, "pqmf: no memory");
        free(h);
        nn_pqmf_free(p);
        return NULL;
    }
    p->n_bands = n_bands;
    p->taps = taps;

    const double beta = 9;
    double best = 0, best_ripple = HUGE_VAL;
    for (int pass = 0; pass < 3; pass++) { /* three ever finer grids */
        const double width = (pass == 0 ? 0.2 : pass == 1 ? 0.004 : 0.0001) / n_bands;
        const double middle = pass == 0 ? 0.65 / n_bands : best; /* half a band and what the transition adds */
        for (int i = -60; i <= 60; i++) {
            const double cutoff = middle + width * i / 60;
            if (cutoff <= 0)
                continue;
            prototype(cutoff, taps, beta, h);
            const double r = ripple(h, taps, n_bands);
            if (r < best_ripple) {
                best_ripple = r;
                best = cutoff;
            }
        }
    }
    prototype(best, taps, beta, h);
    double energy = 0;
    for (int i = 0; i <= taps; i++)
        energy += h[i] * h[i];
    /* Unit gain through both: the sum over bands of |H|^2, decimated by N, is 2 N energy (2 g)^2 / N ... = 1. */
    const double g = 1 / sqrt(2 * energy);
    for (int k = 0; k < n_bands; k++)
        for (int i = 0; i <= taps; i++) {
            const double phase = (2 * k + 1) * PI / (2 * n_bands) * (i - 0.5 * taps), sign = k % 2 ? -1 : 1;
            /* conv1d correlates: the analysis filter stands reversed. */
            p->analysis[(size_t)k * (size_t)(taps + 1) + (size_t)(taps - i)] = (real)(2 * g * h[i] * cos(phase + sign * PI / 4));
            p->synthesis[(size_t)k * (size_t)(taps + 1) + (size_t)i] = (real)(2 * g * h[i] * cos(phase - sign * PI / 4));
        }
    free(h);
    return p;
}

void nn_pqmf_free(nn_pqmf *p)
{
    if (!p)
        return;
    free(p->analysis);
    free(p->synthesis);
    free(p);
}

nn_node *nn_pqmf_analysis(nn_pqmf *p, nn_tape *t, nn_node *x)
{
    char text[96];
    if (t->err.code)
        return NULL;
    if (x->shape.rank != 2 || x->shape.dim[1] % p->n_bands) {
        bl_fail(&t->err, BL_ESHAPE, "pqmf: expected [B, T] with T a multiple of %d, got %s", p->n_bands,
                nn_shape_str(&x->shape, text));
        return NULL;
    }
    const nn_shape as_wave = { 3, { x->shape.dim[0], 1, x->shape.dim[1] } };
    nn_node *w = nn_borrow(t, (nn_shape){ 3, { p->n_bands, 1, p->taps + 1 } }, p->analysis);
    /* centred: output u looks at taps/2 samples on each side of u N */
    return nn_conv1d(t, nn_reshape(t, x, as_wave), w, NULL,
                     (nn_conv1d_opt){ .stride = p->n_bands, .pad_left = p->taps / 2, .pad_right = p->taps / 2 - (p->n_bands - 1) });
}

nn_node *nn_pqmf_synthesis(nn_pqmf *p, nn_tape *t, nn_node *bands)
{
    if (t->err.code)
        return NULL;
    const int64_t B = bands->shape.dim[0], T = bands->shape.dim[2] * p->n_bands;
    nn_node *w = nn_borrow(t, (nn_shape){ 3, { p->n_bands, 1, p->taps + 1 } }, p->synthesis);
    nn_node *y = nn_conv_transpose1d(t, bands, w, NULL,
                                     (nn_conv1d_opt){ .stride = p->n_bands, .pad_left = p->taps / 2, .length = T });
    return nn_reshape(t, y, (nn_shape){ 2, { B, T } });
}
