/* Layers: what an .ini can name. One file in nn/layers/ is one layer type; the build lists the folder.
 *
 * A layer type has a table of options (name, kind, default, range, help), a `build` that registers parameters
 * and computes the output shape, and a `forward` that emits ops. See docs/add_a_layer.md.
 *
 *     const nn_layer_type nn_layer_snake = {
 *         .name = "snake", .summary = "x + sin^2(a x)/a, a per channel", .min_in = 1, .max_in = 1,
 *         .options = options, .build = build, .forward = forward,
 *     };
 */
#ifndef BL_NN_LAYER_H
#define BL_NN_LAYER_H

#include "nn/ops.h"
#include "nn/params.h"

enum { NN_LAYER_OPTIONS = 24, NN_LAYER_PARAMS = 400 };

typedef enum nn_option_kind { NN_OPTION_INT, NN_OPTION_REAL, NN_OPTION_BOOL, NN_OPTION_CHOICE } nn_option_kind;

typedef struct nn_layer_option {
    const char    *name;      /* PyTorch's name: "kernel_size"               */
    nn_option_kind kind;
    double         fallback;  /* used when absent; NAN: the option is required */
    double         min, max;
    const char    *help;
    const char    *choices;   /* CHOICE: "zeros|reflect"; value = index. INT: words allowed beside
                                 numbers ("same|causal"); value = -1 - index */
} nn_layer_option;

typedef struct nn_layer_type nn_layer_type;

typedef struct nn_layer {
    const nn_layer_type *type;
    char     path[96];                    /* "generator/up1": prefix of parameter names */
    double   option[NN_LAYER_OPTIONS];    /* in the order of type->options              */
    int      param[NN_LAYER_PARAMS];      /* indices into params, in the layer's order  */
    int      n_params;
    int      is_shared;                   /* parameters of this path exist already (share=)  */
    int      n_in;
    nn_shape in_shape[NN_MAX_IN];         /* without batch: [C, T]; T = -1 when it varies */
    nn_shape out_shape;
    double   macs;                        /* multiply-adds per example, 0 when T varies  */
    nn_params *params;
} nn_layer;

struct nn_layer_type {
    const char            *name, *summary;
    int                    min_in, max_in;
    const nn_layer_option *options;       /* ends with name NULL */
    bl_status (*build)(nn_layer *layer, bl_error *err);
    nn_node  *(*forward)(nn_layer *layer, nn_tape *tape, nn_node *const *in);
    int                    takes_once;    /* forward hands in[0] to one op and looks at it no more: that op may write over it */
};

extern const nn_layer_type *const nn_layer_types[];

/* For build functions: registers layer->path + "/" + name; returns the slot in layer->param or -1. */
int nn_layer_param(nn_layer *layer, const char *name, nn_shape shape, nn_init init, double scale, bl_error *err);
int nn_layer_buffer(nn_layer *layer, const char *name, nn_shape shape, nn_init init, bl_error *err);
/* For forward functions: the node of a slot. */
nn_node *nn_layer_node(nn_layer *layer, nn_tape *tape, int slot);
/* Option by name (asserts that the type has it). */
double nn_layer_get(const nn_layer *layer, const char *option);
/* The same as a whole number. */
int64_t nn_layer_int(const nn_layer *layer, const char *option);

/* ---- building blocks that several layers share ---- */

/* torch's default of Linear and Conv: uniform within 1/sqrt(fan_in) (kaiming_uniform with a = sqrt 5). */
double nn_kaiming_bound(int64_t fan_in);

/* A convolution inside a layer: its weight (plain, or weight_g and weight_v), bias and options. The slots of its
 * parameters follow each other, weight (or weight_g, weight_v) first, bias last. Names are `name` + "weight", ... */
enum { NN_PADDING_SAME = -1, NN_PADDING_CAUSAL = -2, NN_PADDING_COMMON = -3 };
#define NN_PADDING_CHOICES "same|causal"
typedef struct nn_conv_spec {
    int64_t in_channels, out_channels, kernel_size, stride, dilation, groups, padding;
    int     bias, weight_norm;
} nn_conv_spec;

/* Registers the parameters; the first slot, or -1 and err. */
int nn_conv_params(nn_layer *layer, const char *name, const nn_conv_spec *spec, bl_error *err);
/* x [B, in_channels, T] -> [B, out_channels, nn_conv_length(spec, T)], parameters from `slot` on. */
nn_node *nn_conv_run(nn_layer *layer, nn_tape *tape, int slot, const nn_conv_spec *spec, nn_node *x);
/* Slots that a convolution takes. */
int nn_conv_slots(const nn_conv_spec *spec);
/* Samples put before and behind T samples. `same`: ceil(T / stride) come out, the odd zero goes behind
 * (TensorFlow's rule, torch's at stride 1); `causal`: all of it before. */
void nn_conv_pads(const nn_conv_spec *spec, int64_t n_samples, int64_t *left, int64_t *right);
/* T of the output; -1 for -1, 0 or less when the input is too short. */
int64_t nn_conv_length(const nn_conv_spec *spec, int64_t n_samples);
/* weight_g weight_v / |weight_v|, the norm over all dims but the first. */
nn_node *nn_weight_norm(nn_tape *tape, nn_node *g, nn_node *v);

/* [B, C] -> [B, C, 1]; other ranks as they are. */
nn_node *nn_as_sequence(nn_tape *tape, nn_node *x);

/* For forward functions of long stacks: gives back everything made since `mark` (nn_scope_begin) but the n values of `live`
 * (NULL allowed) and, while recording, what gradients will read. */
void nn_release_but(nn_tape *tape, nn_node *mark, int n, nn_node *const *live);

/* For build functions: input i must be [channels, T]. */
bl_status nn_expect_sequence(const nn_layer *layer, int i, bl_error *err);
/* A build function: output like the first input, no parameters (activations). */
bl_status nn_build_same(nn_layer *layer, bl_error *err);
/* A build function: all inputs broadcast against each other, a vector [C] counts as [C, 1] beside sequences. */
bl_status nn_build_broadcast(nn_layer *layer, bl_error *err);

#endif
