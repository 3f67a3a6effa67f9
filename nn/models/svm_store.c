/* Support vector machines in checkpoints. */
#include "nn/models/svm_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bl_status put(nn_checkpoint *c, const char *group, const char *what, nn_dtype type, int rank, int64_t rows,
                     int64_t columns, const void *data, bl_error *err)
{
    char name[256];
    snprintf(name, sizeof name, "%s/%s", group, what);
    return nn_checkpoint_put(c, name, type, rank, (int64_t[]){ rows, columns }, data, err);
}

bl_status nn_svm_save(const nn_svm *s, nn_checkpoint *c, const char *group, bl_error *err)
{
    const int64_t header[6] = { s->kernel, s->n_classes, s->dim, s->n_sv, s->probability, s->iterations };
    const double numbers[2] = { s->C, s->gamma };
    bl_status status = put(c, group, "header", NN_I64, 1, 6, 0, header, err);
    if (status == BL_OK)
        status = put(c, group, "C_gamma", NN_F64, 1, 2, 0, numbers, err);
    if (status == BL_OK)
        status = put(c, group, "class_start", NN_I64, 1, s->n_classes + 1, 0, s->class_start, err);
    if (status == BL_OK && s->n_sv)
        status = put(c, group, "support_vectors", NN_F32, 2, s->n_sv, s->dim, s->sv, err);
    if (status == BL_OK && s->n_sv)
        status = put(c, group, "coefficients", NN_F64, 2, s->n_classes - 1, s->n_sv, s->coef, err);
    if (status == BL_OK)
        status = put(c, group, "rho", NN_F64, 1, s->n_pairs, 0, s->rho, err);
    if (status == BL_OK && s->probability)
        status = put(c, group, "probability_a", NN_F64, 1, s->n_pairs, 0, s->prob_a, err);
    if (status == BL_OK && s->probability)
        status = put(c, group, "probability_b", NN_F64, 1, s->n_pairs, 0, s->prob_b, err);
    if (status == BL_OK)
        status = put(c, group, "scaling_mean", NN_F64, 1, s->dim, 0, s->mean, err);
    if (status == BL_OK)
        status = put(c, group, "scaling_inverse", NN_F64, 1, s->dim, 0, s->inv_scale, err);
    return status;
}

/* Reads into `out`, whose size in bytes follows from the dims asked for. */
static int get(const nn_checkpoint *c, const char *group, const char *what, nn_dtype type, int rank, int64_t rows,
               int64_t columns, void *out, bl_error *err)
{
    char name[256];
    snprintf(name, sizeof name, "%s/%s", group, what);
    void *data = nn_checkpoint_get(c, name, type, rank, (int64_t[]){ rows, columns }, NULL, err);
    if (!data)
        return 0;
    memcpy(out, data, (size_t)rows * (size_t)(rank > 1 ? columns : 1) * (type == NN_F32 ? 4 : 8));
    free(data);
    return 1;
}

/* Numbers that prediction indexes with or divides by. */
static int is_sound(const nn_svm *s)
{
    if (s->class_start[0] != 0 || s->class_start[s->n_classes] != s->n_sv)
        return 0;
    for (int i = 0; i < s->n_classes; i++)
        if (s->class_start[i + 1] < s->class_start[i])
            return 0;
    for (int q = 0; q < s->n_pairs; q++)
        if (!isfinite(s->rho[q]) || (s->probability && !isfinite(s->prob_a[q] + s->prob_b[q])))
            return 0;
    for (int64_t j = 0; j < s->dim; j++)
        if (!isfinite(s->mean[j]) || !isfinite(s->inv_scale[j]))
            return 0;
    return isfinite(s->gamma);
}

nn_svm *nn_svm_load(const nn_checkpoint *c, const char *group, bl_error *err)
{
    int64_t h[6];
    double numbers[2];
    nn_svm *s;

    if (!get(c, group, "header", NN_I64, 1, 6, 0, h, err) || !get(c, group, "C_gamma", NN_F64, 1, 2, 0, numbers, err))
        return NULL;
    if (h[0] < 0 || h[0] > NN_SVM_RBF || h[1] < 2 || h[1] > NN_SVM_MAX_CLASSES || h[2] < 1 || h[2] > NN_SVM_MAX_DIM ||
        h[3] < 0 || h[3] > INT32_MAX) {
        bl_fail(err, BL_EFORMAT, "%s: %s/header is not that of a support vector machine", nn_checkpoint_path(c), group);
        return NULL;
    }
    s = nn_svm_alloc((int)h[1], h[2], h[3], h[4] != 0);
    if (!s) {
        bl_fail(err, BL_ENOMEM, "%s: no memory for %lld support vectors", nn_checkpoint_path(c), (long long)h[3]);
        return NULL;
    }
    s->kernel = (nn_svm_kernel)h[0];
    s->iterations = h[5];
    s->C = numbers[0];
    s->gamma = numbers[1];
    int ok = get(c, group, "class_start", NN_I64, 1, s->n_classes + 1, 0, s->class_start, err);
    ok = ok && (!s->n_sv || get(c, group, "support_vectors", NN_F32, 2, s->n_sv, s->dim, s->sv, err));
    ok = ok && (!s->n_sv || get(c, group, "coefficients", NN_F64, 2, s->n_classes - 1, s->n_sv, s->coef, err));
    ok = ok && get(c, group, "rho", NN_F64, 1, s->n_pairs, 0, s->rho, err);
    ok = ok && (!s->probability || get(c, group, "probability_a", NN_F64, 1, s->n_pairs, 0, s->prob_a, err));
    ok = ok && (!s->probability || get(c, group, "probability_b", NN_F64, 1, s->n_pairs, 0, s->prob_b, err));
    ok = ok && get(c, group, "scaling_mean", NN_F64, 1, s->dim, 0, s->mean, err);
    ok = ok && get(c, group, "scaling_inverse", NN_F64, 1, s->dim, 0, s->inv_scale, err);
    if (ok && !is_sound(s)) {
        bl_fail(err, BL_EFORMAT, "%s: %s holds numbers a support vector machine cannot have", nn_checkpoint_path(c), group);
        ok = 0;
    }
    if (ok && !nn_svm_prepare(s)) {
        bl_fail(err, BL_ENOMEM, "%s: no memory for %lld support vectors", nn_checkpoint_path(c), (long long)h[3]);
        ok = 0;
    }
    if (!ok) {
        nn_svm_free(s);
        return NULL;
    }
    return s;
}
