#include "nn/api.h"

#include "base/cli.h"
#include "nn/import.h"
#include "nn/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS = 16, OUTPUTS = 16 };

typedef struct input {
    nn_shape shape;
    float   *data;
    int64_t  capacity; /* numbers */
    int      is_set;
} input;

struct nn_model {
    bl_config  *config;
    nn_params  *params;
    nn_network *net;
    nn_tape    *tape;
    input       in[INPUTS];
    nn_node    *out[OUTPUTS];
    int         n_out;          /* of the last run, 0: none */
    bl_error    err;            /* of the last failure      */
};

const char *nn_model_version(void)
{
    return bl_version;
}

static nn_model *model_new(bl_config *config, const char *section, bl_error *err)
{
    nn_model *m = config ? calloc(1, sizeof *m) : NULL;
    if (!m) {
        if (!err->code)
            bl_fail(err, BL_ENOMEM, "no memory for a model");
        bl_config_free(config);
        return NULL;
    }
    m->config = config;
    if ((m->params = nn_params_new(err)) && (m->net = nn_network_build(config, section, m->params, err)) &&
        nn_network_n_inputs(m->net) > INPUTS)
        bl_fail(err, BL_EARG, "[%s]: more than %d inputs", section, INPUTS);
    if (err->code || nn_params_finish(m->params, err) != BL_OK || !(m->tape = nn_tape_new(err))) {
        nn_model_free(m);
        return NULL;
    }
    nn_params_init(m->params, 0);
    nn_tape_record(m->tape, 0);
    return m;
}

static nn_model *made(nn_model *m, const bl_error *err, char *error, size_t error_size)
{
    if (error && error_size)
        snprintf(error, error_size, "%s", m ? "" : err->msg);
    return m;
}

nn_model *nn_model_load(const char *ini_path, const char *section, char *error, size_t error_size)
{
    bl_error err = { BL_OK, "" };
    return made(model_new(bl_config_load(ini_path, &err), section, &err), &err, error, error_size);
}

nn_model *nn_model_parse(const char *ini_text, const char *section, char *error, size_t error_size)
{
    bl_error err = { BL_OK, "" };
    return made(model_new(bl_config_parse(ini_text, "text", &err), section, &err), &err, error, error_size);
}

void nn_model_free(nn_model *m)
{
    if (!m)
        return;
    for (int i = 0; i < INPUTS; i++)
        free(m->in[i].data);
    nn_network_free(m->net);
    nn_params_free(m->params);
    nn_tape_free(m->tape);
    bl_config_free(m->config);
    free(m);
}

const char *nn_model_error(const nn_model *m)
{
    return m->err.msg;
}

/* ---- weights ---- */

void nn_model_draw_weights(nn_model *m, uint64_t seed)
{
    nn_params_init(m->params, seed);
}

int nn_model_read_weights(nn_model *m, const char *h5_path, const char *prefix)
{
    bl_error_clear(&m->err);
    nn_checkpoint *c = nn_checkpoint_open(h5_path, NULL, &m->err);
    if (c)
        nn_params_load(m->params, c, prefix, &m->err);
    nn_checkpoint_free(c);
    return m->err.code;
}

int nn_model_import_weights(nn_model *m, const char *h5_path)
{
    bl_error_clear(&m->err);
    nn_checkpoint *c = nn_checkpoint_open_foreign(h5_path, &m->err);
    if (c)
        nn_import(m->params, m->config, c, &m->err);
    nn_checkpoint_free(c);
    return m->err.code;
}

static int copy_shape(const nn_shape *s, int64_t dims[NN_MODEL_RANK])
{
    memcpy(dims, s->dim, (size_t)s->rank * sizeof *dims);
    return s->rank;
}

int nn_model_n_parameters(const nn_model *m)
{
    return m->params->n;
}

const char *nn_model_parameter_name(const nn_model *m, int i)
{
    return i >= 0 && i < m->params->n ? m->params->param[i].name : NULL;
}

int nn_model_parameter_shape(const nn_model *m, int i, int64_t dims[NN_MODEL_RANK])
{
    return i >= 0 && i < m->params->n ? copy_shape(&m->params->param[i].shape, dims) : -1;
}

float *nn_model_parameter(nn_model *m, int i)
{
#ifdef BL_F64
    (void)m;
    (void)i;
    return NULL; /* values are double in this build */
#else
    return i >= 0 && i < m->params->n ? m->params->value + m->params->param[i].offset : NULL;
#endif
}

/* ---- running ---- */

int nn_model_n_inputs(const nn_model *m)
{
    return nn_network_n_inputs(m->net);
}

int nn_model_n_outputs(const nn_model *m)
{
    return nn_network_n_outputs(m->net);
}

const char *nn_model_input_name(const nn_model *m, int i)
{
    return i >= 0 && i < nn_model_n_inputs(m) ? nn_network_input_name(m->net, i) : NULL;
}

int nn_model_input_shape(const nn_model *m, int i, int64_t dims[NN_MODEL_RANK])
{
    if (i < 0 || i >= nn_model_n_inputs(m))
        return -1;
    const nn_shape s = nn_network_input_shape(m->net, i);
    return copy_shape(&s, dims);
}

int nn_model_set_input(nn_model *m, int i, int rank, const int64_t *dims, const float *data)
{
    bl_error_clear(&m->err);
    if (i < 0 || i >= nn_model_n_inputs(m))
        return bl_fail(&m->err, BL_EARG, "there is no input %d; the network has %d", i, nn_model_n_inputs(m));
    if (rank < 1 || rank > NN_MODEL_RANK)
        return bl_fail(&m->err, BL_ESHAPE, "input \"%s\": 1 to %d dimensions, got %d", nn_model_input_name(m, i), NN_MODEL_RANK, rank);
    input *in = &m->in[i];
    nn_shape s = { rank, { 0 } };
    int64_t n = 1;
    for (int d = 0; d < rank; d++) {
        if (dims[d] < 0 || (dims[d] && n > INT64_MAX / (int64_t)sizeof(float) / dims[d]))
            return bl_fail(&m->err, BL_ESHAPE, "input \"%s\": dimension %d is %lld", nn_model_input_name(m, i), d, (long long)dims[d]);
        n *= s.dim[d] = dims[d];
    }
    if (n > in->capacity) {
        float *grown = realloc(in->data, (size_t)n * sizeof *grown);
        if (!grown)
            return bl_fail(&m->err, BL_ENOMEM, "no memory for an input of %lld numbers", (long long)n);
        in->data = grown;
        in->capacity = n;
    }
    if (n)
        memcpy(in->data, data, (size_t)n * sizeof *data);
    in->shape = s;
    in->is_set = 1;
    return BL_OK;
}

int nn_model_run(nn_model *m)
{
    nn_node *in[INPUTS];
    bl_error_clear(&m->err);
    m->n_out = 0;
    for (int i = 0; i < nn_model_n_inputs(m); i++)
        if (!m->in[i].is_set)
            return bl_fail(&m->err, BL_EARG, "the input \"%s\" is not set", nn_model_input_name(m, i));
    nn_tape_reset(m->tape);
    for (int i = 0; i < nn_model_n_inputs(m); i++)
        in[i] = nn_input(m->tape, m->in[i].shape, m->in[i].data);
    nn_network_run(m->net, m->tape, in, m->out);
    if (m->tape->err.code)
        return bl_fail(&m->err, m->tape->err.code, "%s", m->tape->err.msg);
    m->n_out = nn_network_n_outputs(m->net);
    return BL_OK;
}

int nn_model_output_shape(const nn_model *m, int i, int64_t dims[NN_MODEL_RANK])
{
    return i >= 0 && i < m->n_out ? copy_shape(&m->out[i]->shape, dims) : -1;
}

int nn_model_get_output(nn_model *m, int i, float *out)
{
    bl_error_clear(&m->err);
    if (i < 0 || i >= m->n_out)
        return bl_fail(&m->err, BL_EARG, "there is no output %d of a run", i);
    for (int64_t k = 0, n = nn_count(&m->out[i]->shape); k < n; k++)
        out[k] = (float)m->out[i]->x[k];
    return BL_OK;
}
