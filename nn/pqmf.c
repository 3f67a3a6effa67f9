#include "nn/pqmf.h"

#include "nn/table.h"

#include <math.h>
#include <stdlib.h>

static const double PI = 3.14159265358979323846;

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

/* The cutoff of the flattest response, on three ever finer grids. h is working memory. */
static double best_cutoff(int n_bands, int taps, double beta, double *h)
{
    double best = 0, best_ripple = HUGE_VAL;
    for (int pass = 0; pass < 3; pass++) {
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
    return best;
}

static nn_pqmf settled(const nn_pqmf *p)
{
    return (nn_pqmf){ p->n_bands, p->taps ? p->taps : 8 * p->n_bands, p->cutoff, p->beta > 0 ? p->beta : 9 };
}

enum { MOST_TAPS = 1 << 14 };

/* [2, N, taps + 1]: analysis, reversed since conv1d correlates, and synthesis filters. */
static void fill(const nn_table_key *key, real *out)
{
    const nn_pqmf p = { (int)key->value[0], (int)key->value[1], key->value[2], key->value[3] };
    double h[MOST_TAPS + 1], energy = 0;
    prototype(p.cutoff > 0 ? p.cutoff : best_cutoff(p.n_bands, p.taps, p.beta, h), p.taps, p.beta, h);
    for (int i = 0; i <= p.taps; i++)
        energy += h[i] * h[i];
    /* unit gain through both: the sum over bands of |H|^2, decimated by N, is 2 N energy (2 g)^2 / N ... = 1 */
    const double g = 1 / sqrt(2 * energy);
    const int width = p.taps + 1;
    for (int k = 0; k < p.n_bands; k++)
        for (int i = 0; i <= p.taps; i++) {
            const double phase = (2 * k + 1) * PI / (2 * p.n_bands) * (i - 0.5 * p.taps), quarter = (k % 2 ? -1 : 1) * PI / 4;
            out[k * width + p.taps - i] = (real)(2 * g * h[i] * cos(phase + quarter));
            out[(p.n_bands + k) * width + i] = (real)(2 * g * h[i] * cos(phase - quarter));
        }
}

static real *filters(const nn_pqmf *p, int synthesis, bl_error *err)
{
    const int64_t n = (int64_t)p->n_bands * (p->taps + 1);
    real *both = nn_table(&(nn_table_key){ "pqmf", { p->n_bands, p->taps, p->cutoff, p->beta } }, 2 * n, fill, err);
    return both ? both + (synthesis ? n : 0) : NULL;
}

bl_status nn_pqmf_check(const nn_pqmf *options, bl_error *err)
{
    const nn_pqmf p = settled(options);
    if (p.n_bands < 2 || p.taps % 2 || p.taps < 2 * p.n_bands || p.taps > MOST_TAPS)
        return bl_fail(err, BL_EARG, "pqmf: taps %d must be even, at least twice the %d bands (2 or more) and at most %d", p.taps, p.n_bands,
                       MOST_TAPS);
    if (!(p.cutoff >= 0 && p.cutoff < 1 && p.beta < 100))
        return bl_fail(err, BL_EARG, "pqmf: cutoff %g must lie in 0..1, beta %g below 100", p.cutoff, p.beta);
    return filters(&p, 0, err) ? BL_OK : err->code;
}

nn_node *nn_pqmf_analysis(const nn_pqmf *options, nn_tape *t, nn_node *x)
{
    const nn_pqmf p = settled(options);
    char text[96];
    if (t->err.code || nn_pqmf_check(&p, &t->err) != BL_OK)
        return NULL;
    if (x->shape.rank != 2 || x->shape.dim[1] % p.n_bands) {
        bl_fail(&t->err, BL_ESHAPE, "pqmf: expected [B, T] with T a multiple of %d, got %s", p.n_bands, nn_shape_str(&x->shape, text));
        return NULL;
    }
    const nn_shape as_wave = { 3, { x->shape.dim[0], 1, x->shape.dim[1] } };
    nn_node *w = nn_borrow(t, (nn_shape){ 3, { p.n_bands, 1, p.taps + 1 } }, filters(&p, 0, &t->err));
    /* centred: output u looks at taps/2 samples on each side of u N */
    return nn_conv1d(t, nn_reshape(t, x, as_wave), w, NULL,
                     (nn_conv1d_opt){ .stride = p.n_bands, .pad_left = p.taps / 2, .pad_right = p.taps / 2 - (p.n_bands - 1) });
}

nn_node *nn_pqmf_synthesis(const nn_pqmf *options, nn_tape *t, nn_node *bands)
{
    const nn_pqmf p = settled(options);
    char text[96];
    if (t->err.code || nn_pqmf_check(&p, &t->err) != BL_OK)
        return NULL;
    if (bands->shape.rank != 3 || bands->shape.dim[1] != p.n_bands) {
        bl_fail(&t->err, BL_ESHAPE, "pqmf: expected [B, %d, T], got %s", p.n_bands, nn_shape_str(&bands->shape, text));
        return NULL;
    }
    const int64_t B = bands->shape.dim[0], T = bands->shape.dim[2] * p.n_bands;
    nn_node *w = nn_borrow(t, (nn_shape){ 3, { p.n_bands, 1, p.taps + 1 } }, filters(&p, 1, &t->err));
    nn_node *y = nn_conv_transpose1d(t, bands, w, NULL, (nn_conv1d_opt){ .stride = p.n_bands, .pad_left = p.taps / 2, .length = T });
    return nn_reshape(t, y, (nn_shape){ 2, { B, T } });
}
