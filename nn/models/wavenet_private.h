/* What building a WaveNet found out and generating needs: nn/models/wavenet.c and wavenet_generate.c. */
#ifndef BL_NN_MODELS_WAVENET_PRIVATE_H
#define BL_NN_MODELS_WAVENET_PRIVATE_H

#include "nn/models/wavenet.h"

enum { MOST_HEADS = 16, NAME = 64 };

typedef struct plan {
    char condition[2][NAME];   /* which inputs the body's condition is made of, in order; "" none */
    char head[MOST_HEADS][NAME];
    int  n_heads;
} plan;

typedef struct wavenet_private {
    nn_wavenet public;
    char       section[NAME];
    plan       plan;
} wavenet_private;

#endif
