/* Losses by name: what a trainer lets the user choose in an .ini.
 *
 *     loss = huber delta=0.5
 *
 *     nn_loss loss;
 *     nn_loss_read(config, "autoencoder", "loss", "mse", NN_LOSS_DISTANCE, &loss, &err);
 *     nn_node *l = nn_loss_run(tape, &loss, y, target);
 *
 *     name                       options (default)                          prediction, target
 *     l1, mse                                                               of one shape
 *     huber                      delta (1)                                  of one shape
 *     smooth_l1                  beta (1)                                   of one shape
 *     cosine                                                                [N, C, ...] of one shape
 *     bce_with_logits            pos_weight (1)                             of one shape, targets 0..1
 *     kl_div                     log_target (0)                             log q, p of one shape
 *     cross_entropy              ignore_index (-100), label_smoothing (0)   [N, C] or [N, C, T], classes [N] or [N, T]
 *     nll                        ignore_index (-100)                        the same, log-probabilities
 *     mixture_of_logistics       levels (65536), log_scale_min (-7)         [B, 3 K, T], samples [B, T]
 *
 * Errors   BL_EARG: a name, an option or a value that there is not, with the nearest one that there is.
 * Memory   A plain value.
 * Tested   tests/nn/test_losses.c
 */
#ifndef BL_NN_LOSS_H
#define BL_NN_LOSS_H

#include "base/config.h"
#include "nn/ops.h"

/* What the target is; a trainer names those that make sense to it. */
enum { NN_LOSS_DISTANCE = 1, NN_LOSS_PROBABILITY = 2, NN_LOSS_CLASS = 4, NN_LOSS_SAMPLES = 8, NN_LOSS_ANY = 15 };

enum { NN_LOSS_OPTIONS = 2 };

typedef struct nn_loss_type nn_loss_type;

typedef struct nn_loss {
    const nn_loss_type *type;
    double              option[NN_LOSS_OPTIONS]; /* in the order of type->options */
} nn_loss;

typedef struct nn_loss_option { const char *name; double fallback, min, max; } nn_loss_option;

struct nn_loss_type {
    const char     *name, *summary;
    int             target;                      /* NN_LOSS_DISTANCE... */
    nn_loss_option  options[NN_LOSS_OPTIONS + 1]; /* ends with name NULL */
    nn_node      *(*run)(nn_tape *t, const double *option, nn_node *x, nn_node *target);
};

/* Ends with name NULL. */
extern const nn_loss_type nn_losses[];

/* "huber delta=0.5". targets: those allowed, or'ed. place: for messages. */
bl_status nn_loss_parse(const char *text, int targets, const char *place, nn_loss *out, bl_error *err);
/* The same from a key of an .ini; fallback: the text where there is none. */
bl_status nn_loss_read(const bl_config *config, const char *section, const char *key, const char *fallback, int targets, nn_loss *out,
                       bl_error *err);
nn_node  *nn_loss_run(nn_tape *t, const nn_loss *loss, nn_node *x, nn_node *target);

#endif
