/* Probabilities from decisions: Platt's sigmoid as Lin, Lin & Weng (2007) fit it, and pairwise coupling by the second method of
 * Wu, Lin & Weng (2004). */
#include "nn/models/svm_private.h"

#include <math.h>

/* Negative log-likelihood of the sigmoid, in the form that cannot overflow. */
static double sigmoid_loss(const double *f, const double *t, int64_t n, double A, double B)
{
    double loss = 0;
    for (int64_t i = 0; i < n; i++) {
        const double z = f[i] * A + B;
        loss += z >= 0 ? t[i] * z + log1p(exp(-z)) : (t[i] - 1) * z + log1p(exp(z));
    }
    return loss;
}

/* A and B of 1 / (1 + exp(A f + B)) by Newton's method with backtracking. t [n] is scratch. */
void nn_svm_fit_sigmoid(const double *f, const double *y, int64_t n, double *t, double *out_A, double *out_B)
{
    const double ridge = 1e-12, least_step = 1e-10, precise = 1e-5;
    double positive = 0, A = 0, loss;
    for (int64_t i = 0; i < n; i++)
        positive += y[i] > 0;
    const double negative = (double)n - positive;
    double B = log((negative + 1) / (positive + 1));
    for (int64_t i = 0; i < n; i++)
        t[i] = y[i] > 0 ? (positive + 1) / (positive + 2) : 1 / (negative + 2);
    loss = sigmoid_loss(f, t, n, A, B);
    for (int iteration = 0; iteration < 100; iteration++) {
        double h11 = ridge, h22 = ridge, h21 = 0, g1 = 0, g2 = 0, step = 1;
        for (int64_t i = 0; i < n; i++) {
            const double z = f[i] * A + B, e = exp(-fabs(z));
            const double p = (z >= 0 ? e : 1) / (1 + e), q = 1 - p, d2 = p * q, d1 = t[i] - p;
            h11 += f[i] * f[i] * d2;
            h22 += d2;
            h21 += f[i] * d2;
            g1 += f[i] * d1;
            g2 += d1;
        }
        if (fabs(g1) < precise && fabs(g2) < precise)
            break;
        const double det = h11 * h22 - h21 * h21, dA = -(h22 * g1 - h21 * g2) / det, dB = -(h11 * g2 - h21 * g1) / det;
        const double slope = g1 * dA + g2 * dB;
        for (; step >= least_step; step /= 2) {
            const double next = sigmoid_loss(f, t, n, A + step * dA, B + step * dB);
            if (next < loss + 0.0001 * step * slope) {
                A += step * dA;
                B += step * dB;
                loss = next;
                break;
            }
        }
        if (step < least_step)
            break;
    }
    *out_A = A;
    *out_B = B;
}

/* Coupling of pairwise probabilities r [k, k] into p [k]: the fixed point of Wu, Lin & Weng's second method. */
void nn_svm_couple(int k, double r[NN_SVM_MAX_CLASSES][NN_SVM_MAX_CLASSES], double *p)
{
    static const int most_rounds = 1000;
    double Q[NN_SVM_MAX_CLASSES][NN_SVM_MAX_CLASSES], Qp[NN_SVM_MAX_CLASSES];
    const double precise = 1e-7 / k;
    for (int t = 0; t < k; t++) {
        p[t] = 1.0 / k;
        Q[t][t] = 0;
        for (int j = 0; j < k; j++)
            if (j != t) {
                Q[t][t] += r[j][t] * r[j][t];
                Q[t][j] = -r[j][t] * r[t][j];
            }
    }
    for (int round = 0; round < most_rounds; round++) {
        double pQp = 0, worst = 0;
        for (int t = 0; t < k; t++) {
            Qp[t] = 0;
            for (int j = 0; j < k; j++)
                Qp[t] += Q[t][j] * p[j];
            pQp += p[t] * Qp[t];
        }
        for (int t = 0; t < k; t++)
            worst = fabs(Qp[t] - pQp) > worst ? fabs(Qp[t] - pQp) : worst;
        if (worst < precise)
            break;
        for (int t = 0; t < k; t++) {
            const double diff = (-Qp[t] + pQp) / Q[t][t];
            p[t] += diff;
            pQp = (pQp + diff * (diff * Q[t][t] + 2 * Qp[t])) / (1 + diff) / (1 + diff);
            for (int j = 0; j < k; j++) {
                Qp[j] = (Qp[j] + diff * Q[t][j]) / (1 + diff);
                p[j] /= 1 + diff;
            }
        }
    }
}
