#include "nn/loss.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static nn_node *l1(nn_tape *t, const double *o, nn_node *x, nn_node *y)
{
    (void)o;
    return nn_l1_loss(t, x, y);
}

static nn_node *mse(nn_tape *t, const double *o, nn_node *x, nn_node *y)
{
    (void)o;
    return nn_mse_loss(t, x, y);
}

static nn_node *huber(nn_tape *t, const double *o, nn_node *x, nn_node *y)
{
    return nn_huber_loss(t, x, y, o[0]);
}

static nn_node *smooth_l1(nn_tape *t, const double *o, nn_node *x, nn_node *y)
{
    return nn_smooth_l1_loss(t, x, y, o[0]);
}

static nn_node *cosine(nn_tape *t, const double *o, nn_node *x, nn_node *y)
{
    (void)o;
    return nn_cosine_loss(t, x, y);
}

static nn_node *bce(nn_tape *t, const double *o, nn_node *x, nn_node *y)
{
    return nn_bce_with_logits_weighted(t, x, y, o[0] == 1 ? NULL : nn_full(t, (nn_shape){ 0, { 0 } }, o[0]));
}

static nn_node *kl_div(nn_tape *t, const double *o, nn_node *x, nn_node *y)
{
    return nn_kl_div(t, x, y, o[0] != 0);
}

static nn_node *cross_entropy(nn_tape *t, const double *o, nn_node *x, nn_node *y)
{
    return nn_cross_entropy_with(t, x, y, NULL, (int64_t)o[0], o[1]);
}

static nn_node *nll(nn_tape *t, const double *o, nn_node *x, nn_node *y)
{
    return nn_nll_loss(t, x, y, NULL, (int64_t)o[0]);
}

static nn_node *mixture(nn_tape *t, const double *o, nn_node *x, nn_node *y)
{
    return nn_mixture_of_logistics_loss(t, x, y, (int)o[0], o[1]);
}

const nn_loss_type nn_losses[] = {
    { "l1", "mean |x - y|", NN_LOSS_DISTANCE, { { NULL, 0, 0, 0 } }, l1 },
    { "mse", "mean (x - y)^2", NN_LOSS_DISTANCE, { { NULL, 0, 0, 0 } }, mse },
    { "huber", "squares near, straight beyond delta", NN_LOSS_DISTANCE, { { "delta", 1, 1e-9, 1e9 } }, huber },
    { "smooth_l1", "huber over beta", NN_LOSS_DISTANCE, { { "beta", 1, 0, 1e9 } }, smooth_l1 },
    { "cosine", "1 - cosine of the angle", NN_LOSS_DISTANCE, { { NULL, 0, 0, 0 } }, cosine },
    { "bce_with_logits", "binary cross entropy", NN_LOSS_PROBABILITY, { { "pos_weight", 1, 0, 1e9 } }, bce },
    { "kl_div", "Kullback-Leibler divergence", NN_LOSS_PROBABILITY, { { "log_target", 0, 0, 1 } }, kl_div },
    { "cross_entropy", "of logits against classes", NN_LOSS_CLASS,
      { { "ignore_index", NN_IGNORE_INDEX, -1e9, 1e9 }, { "label_smoothing", 0, 0, 1 } }, cross_entropy },
    { "nll", "of log-probabilities against classes", NN_LOSS_CLASS, { { "ignore_index", NN_IGNORE_INDEX, -1e9, 1e9 } }, nll },
    { "mixture_of_logistics", "negative log-likelihood of samples", NN_LOSS_SAMPLES,
      { { "levels", 65536, 2, 16777216 }, { "log_scale_min", -7, -60, 20 } }, mixture },
    { NULL, NULL, 0, { { NULL, 0, 0, 0 } }, NULL },
};

static bl_status unknown(const char *place, const char *what, const char *word, const char *const *names, int n, bl_error *err)
{
    const char *near = bl_nearest(word, names, n);
    return near ? bl_fail(err, BL_EARG, "%s: there is no %s \"%s\"; did you mean \"%s\"?", place, what, word, near)
                : bl_fail(err, BL_EARG, "%s: there is no %s \"%s\"", place, what, word);
}

static bl_status find_type(const char *name, int targets, const char *place, nn_loss *out, bl_error *err)
{
    const char *names[sizeof nn_losses / sizeof *nn_losses];
    int n = 0;
    for (const nn_loss_type *type = nn_losses; type->name; type++) {
        if (!(type->target & targets))
            continue;
        names[n++] = type->name;
        if (!strcmp(type->name, name)) {
            out->type = type;
            return BL_OK;
        }
    }
    return unknown(place, "loss for this target called", name, names, n, err);
}

/* "delta=0.5" */
static bl_status read_option(char *word, const char *place, nn_loss *out, bl_error *err)
{
    const nn_loss_option *o = out->type->options;
    const char *names[NN_LOSS_OPTIONS];
    char what[64], *value = strchr(word, '='), *end;
    int n = 0;
    if (!value)
        return bl_fail(err, BL_EARG, "%s: expected option=value without blanks, got \"%s\"", place, word);
    *value++ = '\0';
    for (; o[n].name; n++) {
        names[n] = o[n].name;
        if (strcmp(o[n].name, word))
            continue;
        const double v = strtod(value, &end);
        if (end == value || *end || !(v >= o[n].min && v <= o[n].max))
            return bl_fail(err, BL_EARG, "%s: %s=%s: expected %g to %g", place, word, value, o[n].min, o[n].max);
        out->option[n] = v;
        return BL_OK;
    }
    snprintf(what, sizeof what, "option of %s", out->type->name);
    return unknown(place, what, word, names, n, err);
}

bl_status nn_loss_parse(const char *text, int targets, const char *place, nn_loss *out, bl_error *err)
{
    char copy[240], *word = copy;
    nn_loss loss = { NULL, { 0 } };
    bl_status status = BL_OK;
    if (snprintf(copy, sizeof copy, "%s", text) >= (int)sizeof copy)
        return bl_fail(err, BL_EARG, "%s: \"%.40s...\" is too long for a loss", place, text);
    while (!status && *(word += strspn(word, " \t"))) {
        const size_t n = strcspn(word, " \t");
        char *next = word + n + (word[n] != '\0');
        word[n] = '\0';
        if (loss.type) {
            status = read_option(word, place, &loss, err);
        } else if ((status = find_type(word, targets, place, &loss, err)) == BL_OK) {
            for (int i = 0; loss.type->options[i].name; i++)
                loss.option[i] = loss.type->options[i].fallback;
        }
        word = next;
    }
    if (!status && !loss.type)
        status = bl_fail(err, BL_EARG, "%s: expected the name of a loss", place);
    if (!status)
        *out = loss;
    return status;
}

bl_status nn_loss_read(const bl_config *config, const char *section, const char *key, const char *fallback, int targets, nn_loss *out,
                       bl_error *err)
{
    char place[200];
    bl_error local = { 0 };
    snprintf(place, sizeof place, "%.100s: [%.40s] %.40s", bl_config_name(config), section, key);
    if (nn_loss_parse(bl_config_str(config, section, key, fallback), targets, place, out, &local) != BL_OK)
        return bl_fail(err, local.code, "%s", local.msg);
    return BL_OK;
}

nn_node *nn_loss_run(nn_tape *t, const nn_loss *loss, nn_node *x, nn_node *target)
{
    return loss->type->run(t, loss->option, x, target);
}
