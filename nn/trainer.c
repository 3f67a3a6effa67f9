#include "nn/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t TAPE = 0x64726f70; /* the tape's random stream is another than the batches' */

bl_status nn_trainer_read(const bl_config *config, const char *section, int64_t n_steps, double half_life, double average,
                          nn_trainer_config *out, bl_error *err)
{
    bl_error own = { 0 };
    out->n_steps = bl_config_int(config, section, "steps", n_steps, 1, 1000000000, &own);
    out->average = average < 0 ? average : bl_config_real(config, section, "average", average, 0, 1, &own);
    const int accumulate = (int)bl_config_int(config, section, "accumulate", 1, 1, 4096, &own);
    nn_optimizer_read(config, section, &out->optimizer, &own);
    nn_schedule_read(config, section, out->n_steps, half_life, &out->schedule, &own);
    out->optimizer.accumulate = accumulate;
    return own.code == BL_OK ? BL_OK : bl_fail(err, own.code, "%s", own.msg);
}

bl_status nn_trainer_start(nn_trainer *t, nn_params *params, const nn_trainer_config *config, uint64_t seed, bl_error *err)
{
    bl_error own = { 0 };
    t->params = params;
    t->schedule = config->schedule;
    t->lr = config->optimizer.lr;
    t->accumulate = config->optimizer.accumulate > 1 ? config->optimizer.accumulate : 1;
    bl_rng_seed(&t->rng, seed);
    if (!(t->tape = nn_tape_new(&own)) || !(t->optimizer = nn_optimizer_new(params, "", &config->optimizer, &own)) ||
        (config->average >= 0 && !(t->average = nn_ema_new(params, config->average, &own)))) {
        nn_trainer_free(t);
        return bl_fail(err, own.code, "%s", own.msg);
    }
    t->tape->training = 1;
    bl_rng_seed(&t->tape->rng, seed ^ TAPE);
    return BL_OK;
}

void nn_trainer_free(nn_trainer *t)
{
    nn_tape_free(t->tape);
    nn_optimizer_free(t->optimizer);
    nn_ema_free(t->average);
    memset(t, 0, sizeof *t);
}

bl_status nn_trainer_step(nn_trainer *t, nn_learn learn, void *user, double *losses, int n_losses, int64_t *step,
                          double *gradient_norm, bl_error *err)
{
    double batch[NN_TRAINER_LOSSES];
    memset(losses, 0, (size_t)n_losses * sizeof *losses);
    for (t->batch = 0; t->batch < t->accumulate; t->batch++) {
        const bl_status status = learn(user, batch, err);
        if (status != BL_OK)
            return status;
        for (int i = 0; i < n_losses; i++)
            losses[i] += batch[i] / t->accumulate;
    }
    nn_optimizer_set_lr(t->optimizer, t->lr * nn_schedule_factor(&t->schedule, *step));
    const double norm = nn_optimizer_step(t->optimizer);
    if (gradient_norm)
        *gradient_norm = norm;
    if (!isfinite(norm))
        return bl_fail(err, BL_ENAN, "the gradient is not finite");
    if (t->average)
        nn_ema_update(t->average);
    (*step)++;
    return BL_OK;
}

void nn_trainer_plan(nn_trainer *t, nn_learn learn, void *user, nn_plan *plan)
{
    double   losses[NN_TRAINER_LOSSES];
    bl_error err = { 0 }; /* a dry run fails for the reasons of a real one, which will say them */
    t->batch = 0;
    nn_tape_dry(t->tape, 1);
    learn(user, losses, &err);
    plan->weights = nn_params_bytes(t->params);
    plan->moments = nn_optimizer_bytes(t->optimizer) + nn_ema_bytes(t->average);
    plan->step = nn_tape_peak_bytes(t->tape);
    nn_tape_dry(t->tape, 0);
}

void nn_trainer_swap(const nn_trainer *t)
{
    if (t->average)
        nn_ema_swap(t->average);
}

/* ---- checkpoints ---- */

bl_status nn_trainer_save(const nn_trainer *t, nn_checkpoint *c, bl_error *err)
{
    int64_t   state[8];
    bl_status status = t->average ? nn_ema_save(t->average, c, "average/", err) : BL_OK;
    memcpy(state, t->rng.s, sizeof t->rng.s);
    memcpy(state + 4, t->tape->rng.s, sizeof t->tape->rng.s);
    if (status == BL_OK)
        status = nn_checkpoint_put(c, "random/state", NN_I64, 1, (int64_t[]){ 8 }, state, err);
    if (status == BL_OK)
        status = nn_schedule_save(&t->schedule, c, err);
    return status == BL_OK ? nn_optimizer_save(t->optimizer, c, err) : status;
}

bl_status nn_trainer_load(nn_trainer *t, const nn_checkpoint *c, const char *section, int64_t *step, bl_error *err)
{
    bl_error own = { 0 };
    if (!nn_checkpoint_has(c, "random/state"))
        return bl_fail(err, BL_EFORMAT, "%s: was written with %s.keep_optimizer = 0, so training cannot go on from it",
                       nn_checkpoint_path(c), section);
    int64_t *state = nn_checkpoint_get(c, "random/state", NN_I64, 1, (int64_t[]){ 8 }, NULL, &own);
    if (state && nn_params_load(t->params, c, "", &own) == BL_OK && nn_optimizer_load(t->optimizer, c, &own) == BL_OK &&
        (!t->average || nn_ema_load(t->average, c, "average/", &own) == BL_OK))
        nn_schedule_load(&t->schedule, c, &own);
    const int64_t at = own.code == BL_OK ? nn_checkpoint_get_int(c, "step", 0, &own) : 0;
    if (own.code == BL_OK) {
        memcpy(t->rng.s, state, sizeof t->rng.s);
        memcpy(t->tape->rng.s, state + 4, sizeof t->tape->rng.s);
        *step = at;
    }
    free(state);
    return own.code == BL_OK ? BL_OK : bl_fail(err, own.code, "%s", own.msg);
}

const char *nn_trainer_prefix(const nn_checkpoint *c)
{
    return nn_checkpoint_has(c, "optimizer/averages/average/updates") ? "average/" : "";
}
