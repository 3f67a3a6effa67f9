#include "nn/schedule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

static const char *const kinds[] = { "constant", "linear", "step", "multi_step", "exponential", "cosine", "one_cycle", "plateau", NULL };

static void read_milestones(const bl_config *c, const char *section, nn_schedule *s, bl_error *err)
{
    const char *text = bl_config_str(c, section, "milestones", ""), *p = text;
    while (!err->code && *(p += strspn(p, " ,\t"))) {
        char *end;
        const long long n = strtoll(p, &end, 10);
        if (end == p || n < 1 || (s->n_milestones && n <= s->milestone[s->n_milestones - 1]) || s->n_milestones == NN_MILESTONES) {
            bl_fail(err, BL_EARG, "%s: [%s] milestones: expected up to %d rising numbers of steps, got \"%s\"", bl_config_name(c),
                    section, NN_MILESTONES, text);
            return;
        }
        s->milestone[s->n_milestones++] = n;
        p = end;
    }
    if (!err->code && !s->n_milestones)
        bl_fail(err, BL_EARG, "%s: [%s] schedule multi_step needs milestones, such as 1000, 2000", bl_config_name(c), section);
}

static void read_kind(const bl_config *c, const char *section, double half_life, nn_schedule *s, bl_error *err)
{
    const int64_t most = INT64_C(1000000000000);
    switch (s->kind) {
    case NN_SCHEDULE_CONSTANT:
        break;
    case NN_SCHEDULE_LINEAR:
    case NN_SCHEDULE_COSINE:
        s->end_factor = bl_config_real(c, section, "end_factor", 0, 0, 1, err);
        break;
    case NN_SCHEDULE_STEP:
        s->step_size = bl_config_int(c, section, "step_size", 0, 0, most, err);
        s->gamma = bl_config_real(c, section, "gamma", 0.1, 0, 1, err);
        if (s->step_size < 1)
            bl_fail(err, BL_EARG, "%s: [%s] schedule step needs a step_size", bl_config_name(c), section);
        break;
    case NN_SCHEDULE_MULTI_STEP:
        read_milestones(c, section, s, err);
        s->gamma = bl_config_real(c, section, "gamma", 0.1, 0, 1, err);
        break;
    case NN_SCHEDULE_EXPONENTIAL:
        s->gamma = bl_config_real(c, section, "gamma", 0, 0, 1, err);
        s->half_life = s->gamma > 0 ? 0 : half_life;
        if (s->gamma <= 0 && half_life <= 0)
            bl_fail(err, BL_EARG, "%s: [%s] schedule exponential needs gamma or lr_half_life", bl_config_name(c), section);
        break;
    case NN_SCHEDULE_ONE_CYCLE:
        s->pct_start = bl_config_real(c, section, "pct_start", 0.3, 0, 1, err);
        s->div_factor = bl_config_real(c, section, "div_factor", 25, 1, 1e9, err);
        s->final_div_factor = bl_config_real(c, section, "final_div_factor", 1e4, 1, 1e12, err);
        break;
    case NN_SCHEDULE_PLATEAU:
        s->factor = bl_config_real(c, section, "factor", 0.1, 0, 1, err);
        s->patience = bl_config_int(c, section, "patience", 10, 0, most, err);
        s->cooldown = bl_config_int(c, section, "cooldown", 0, 0, most, err);
        s->threshold = bl_config_real(c, section, "threshold", 1e-4, 0, 0.99, err);
        s->min_factor = bl_config_real(c, section, "min_factor", 0, 0, 1, err);
        break;
    }
}

bl_status nn_schedule_read(const bl_config *c, const char *section, int64_t n_steps, double half_life, nn_schedule *out, bl_error *err)
{
    const int64_t most = INT64_C(1000000000000);
    bl_error local = { 0 };
    nn_schedule s = { .scale = 1, .best = HUGE_VAL };
    half_life = bl_config_real(c, section, "lr_half_life", half_life, 0, 1e9, &local);
    s.kind = (nn_schedule_kind)bl_config_choice(c, section, "schedule", kinds,
                                                half_life > 0 ? NN_SCHEDULE_EXPONENTIAL : NN_SCHEDULE_CONSTANT, &local);
    s.n_steps = bl_config_int(c, section, "lr_steps", n_steps, 1, most, &local);
    s.warmup_steps = bl_config_int(c, section, "warmup_steps", 0, 0, most, &local);
    s.start_factor = s.warmup_steps ? bl_config_real(c, section, "start_factor", 1.0 / 3, 0, 1, &local) : 1;
    read_kind(c, section, half_life, &s, &local);
    *out = s;
    return local.code ? bl_fail(err, local.code, "%s", local.msg) : BL_OK;
}

/* Along half a cosine from a (at 0) to b (at 1). */
static double anneal(double a, double b, double at)
{
    return b + (a - b) / 2 * (1 + cos(PI * at));
}

/* As torch: the top is reached at step pct_start N - 1, the end at step N - 1. */
static double one_cycle(const nn_schedule *s, double n, double total)
{
    const double top = s->pct_start * total - 1, low = 1 / s->div_factor, end = low / s->final_div_factor;
    if (n <= top)
        return top > 0 ? anneal(low, 1, n / top) : 1;
    return n < total - 1 ? anneal(1, end, (n - top) / (total - 1 - top)) : end;
}

double nn_schedule_factor(const nn_schedule *s, int64_t steps)
{
    const int64_t past = steps - s->warmup_steps, length = s->n_steps - s->warmup_steps;
    const double n = (double)past, N = length > 1 ? (double)length : 1, share = n < N ? n / N : 1;
    int passed = 0;
    if (past < 0)
        return s->scale * (s->start_factor + (1 - s->start_factor) * (double)steps / (double)s->warmup_steps);
    switch (s->kind) {
    case NN_SCHEDULE_CONSTANT:
        break;
    case NN_SCHEDULE_LINEAR:
        return 1 + (s->end_factor - 1) * share;
    case NN_SCHEDULE_STEP:
        return pow(s->gamma, (double)(past / s->step_size));
    case NN_SCHEDULE_MULTI_STEP:
        while (passed < s->n_milestones && s->milestone[passed] <= past)
            passed++;
        return pow(s->gamma, passed);
    case NN_SCHEDULE_EXPONENTIAL:
        return s->gamma > 0 ? pow(s->gamma, n) : exp2(-n / s->half_life);
    case NN_SCHEDULE_COSINE:
        return anneal(1, s->end_factor, share);
    case NN_SCHEDULE_ONE_CYCLE:
        return one_cycle(s, n, N);
    case NN_SCHEDULE_PLATEAU:
        return s->scale;
    }
    return 1;
}

void nn_schedule_watch(nn_schedule *s, double figure)
{
    if (s->kind != NN_SCHEDULE_PLATEAU)
        return;
    if (figure < s->best * (1 - s->threshold)) {
        s->best = figure;
        s->n_bad = 0;
    } else {
        s->n_bad++;
    }
    if (s->n_cooling > 0) {
        s->n_cooling--;
        s->n_bad = 0;
    }
    if (s->n_bad > s->patience) {
        s->scale = fmax(s->scale * s->factor, s->min_factor);
        s->n_cooling = s->cooldown;
        s->n_bad = 0;
    }
}

static const char state_path[] = "optimizer/schedule";

bl_status nn_schedule_save(const nn_schedule *s, nn_checkpoint *c, bl_error *err)
{
    const double state[4] = { s->scale, s->best, (double)s->n_bad, (double)s->n_cooling };
    if (s->kind != NN_SCHEDULE_PLATEAU)
        return BL_OK;
    return nn_checkpoint_put(c, state_path, NN_F64, 1, (int64_t[]){ 4 }, state, err);
}

bl_status nn_schedule_load(nn_schedule *s, const nn_checkpoint *c, bl_error *err)
{
    bl_error local = { 0 };
    if (s->kind != NN_SCHEDULE_PLATEAU || !nn_checkpoint_has(c, state_path))
        return BL_OK;
    double *state = nn_checkpoint_get(c, state_path, NN_F64, 1, (int64_t[]){ 4 }, NULL, &local);
    if (!state)
        return bl_fail(err, local.code, "%s", local.msg);
    if (state[0] >= 0 && state[0] <= 1 && !isnan(state[1]) && state[2] >= 0 && state[2] < 1e15 && state[3] >= 0 && state[3] < 1e15) {
        s->scale = state[0];
        s->best = state[1];
        s->n_bad = (int64_t)state[2];
        s->n_cooling = (int64_t)state[3];
    } else {
        bl_fail(&local, BL_EFORMAT, "%s: \"%s\" is not the state of a schedule", nn_checkpoint_path(c), state_path);
    }
    free(state);
    return local.code ? bl_fail(err, local.code, "%s", local.msg) : BL_OK;
}
