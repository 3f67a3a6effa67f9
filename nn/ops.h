/* Every op as a C call. The file nn/ops/<name>.c has the details; names and meanings are PyTorch's.
 *
 * All return a node on the tape, or NULL with tape->err set (BL_ESHAPE: shapes do not agree, BL_EARG: an option
 * outside its range). Inputs are borrowed until the reset. Elementwise ops broadcast as NumPy does.
 */
#ifndef BL_NN_OPS_H
#define BL_NN_OPS_H

#include "nn/op.h"

/* ---- elementwise, two inputs, broadcasting ---- */
nn_node *nn_add(nn_tape *t, nn_node *a, nn_node *b);
nn_node *nn_sub(nn_tape *t, nn_node *a, nn_node *b);
nn_node *nn_mul(nn_tape *t, nn_node *a, nn_node *b);
nn_node *nn_div(nn_tape *t, nn_node *a, nn_node *b);
nn_node *nn_power(nn_tape *t, nn_node *a, nn_node *b);                    /* a^b                        */
nn_node *nn_maximum(nn_tape *t, nn_node *a, nn_node *b);                  /* NaN if either is; equal inputs share the gradient */
nn_node *nn_minimum(nn_tape *t, nn_node *a, nn_node *b);
nn_node *nn_greater(nn_tape *t, nn_node *a, nn_node *b);                  /* 1 where a > b, else 0; no gradient, as the next two */
nn_node *nn_greater_equal(nn_tape *t, nn_node *a, nn_node *b);
nn_node *nn_equal(nn_tape *t, nn_node *a, nn_node *b);
nn_node *nn_where(nn_tape *t, nn_node *condition, nn_node *a, nn_node *b); /* a where condition is not 0 */

/* ---- elementwise, one input ---- */
nn_node *nn_affine(nn_tape *t, nn_node *x, double scale, double shift);   /* scale x + shift            */
nn_node *nn_exp(nn_tape *t, nn_node *x);
nn_node *nn_log(nn_tape *t, nn_node *x);
nn_node *nn_sqrt(nn_tape *t, nn_node *x);
nn_node *nn_rsqrt(nn_tape *t, nn_node *x);                                /* 1 / sqrt x                 */
nn_node *nn_reciprocal(nn_tape *t, nn_node *x);                           /* 1 / x                      */
nn_node *nn_square(nn_tape *t, nn_node *x);
nn_node *nn_pow(nn_tape *t, nn_node *x, double p);                        /* x^p                        */
nn_node *nn_abs(nn_tape *t, nn_node *x);
nn_node *nn_sin(nn_tape *t, nn_node *x);
nn_node *nn_cos(nn_tape *t, nn_node *x);
nn_node *nn_clamp(nn_tape *t, nn_node *x, double low, double high);       /* gradient 0 outside         */
nn_node *nn_step(nn_tape *t, nn_node *x);                                 /* 1 where x > 0, else 0; no gradient */
nn_node *nn_sign(nn_tape *t, nn_node *x);                                 /* no gradient, as the next two */
nn_node *nn_floor(nn_tape *t, nn_node *x);
nn_node *nn_round(nn_tape *t, nn_node *x);                                /* halves to even             */

/* ---- activations ---- */
nn_node *nn_tanh(nn_tape *t, nn_node *x);
nn_node *nn_sigmoid(nn_tape *t, nn_node *x);
nn_node *nn_log_sigmoid(nn_tape *t, nn_node *x);
nn_node *nn_softplus(nn_tape *t, nn_node *x);                             /* log(1 + exp x)             */
nn_node *nn_softplus_beta(nn_tape *t, nn_node *x, double beta, double threshold); /* x where beta x > threshold */
nn_node *nn_softsign(nn_tape *t, nn_node *x);
nn_node *nn_leaky_relu(nn_tape *t, nn_node *x, double negative_slope);    /* 0: ReLU                    */
/* scale x where x > 0, scale alpha (exp(input_scale x) - 1) elsewhere: ELU, SELU, CELU. */
nn_node *nn_elu(nn_tape *t, nn_node *x, double alpha, double scale, double input_scale);
nn_node *nn_silu(nn_tape *t, nn_node *x);
nn_node *nn_gelu(nn_tape *t, nn_node *x);
nn_node *nn_gelu_tanh(nn_tape *t, nn_node *x);
nn_node *nn_mish(nn_tape *t, nn_node *x);
nn_node *nn_hardtanh(nn_tape *t, nn_node *x, double low, double high);    /* as clamp; gradient 0 at the limits too */
nn_node *nn_hardsigmoid(nn_tape *t, nn_node *x);
nn_node *nn_hardswish(nn_tape *t, nn_node *x);
/* tanh(first half of the channels) * sigmoid(second half): [B, 2C, T] -> [B, C, T]. */
nn_node *nn_gated_tanh(nn_tape *t, nn_node *x);
nn_node *nn_glu(nn_tape *t, nn_node *x, int dim);                         /* first half * sigmoid(second half) along dim */
nn_node *nn_prelu(nn_tape *t, nn_node *x, nn_node *slope);                /* slope broadcasts           */
nn_node *nn_snake(nn_tape *t, nn_node *x, nn_node *alpha, nn_node *beta); /* x + sin^2(alpha x) / beta; they broadcast */
/* A layer of WaveNet: state [B, C, T] (the first layer) or [B, C + S, T], x over the sum of the skips below -> [B, C + S, T].
 * weight [2C, C, K], out_weight [C + S, C, 1] (r, then s); condition [B, D, T] and its weight [2C, D, 1], or NULL. last: no x
 * comes out, out_weight [S, C, 1], -> [B, S, T]. Tap k reads x[t + k dilation - pad_left]; scale (0: 1) of the residual path.
 * response [1, 1, stretch + 2 h], or NULL: value f of the condition reaches sample t by response[t - f stretch + h]. */
typedef struct nn_wavenet_layer_opt {
    int    dilation, pad_left, last;
    double scale;
    int    stretch; /* samples per value of a condition [B, D, T / stretch], which reaches them through `response`; 0: 1 */
} nn_wavenet_layer_opt;
nn_node *nn_wavenet_layer(nn_tape *t, nn_node *state, nn_node *weight, nn_node *bias, nn_node *out_weight, nn_node *out_bias,
                          nn_node *condition, nn_node *condition_weight, nn_node *response, nn_wavenet_layer_opt opt);

/* ---- shape ---- */
nn_node *nn_reshape(nn_tape *t, nn_node *x, nn_shape shape);              /* one dim may be -1; shares memory */
nn_node *nn_permute(nn_tape *t, nn_node *x, const int *order);            /* order[rank]                */
nn_node *nn_slice(nn_tape *t, nn_node *x, int dim, int64_t start, int64_t stop);
nn_node *nn_pad(nn_tape *t, nn_node *x, int dim, int64_t before, int64_t after);  /* zeros              */
nn_node *nn_concat(nn_tape *t, int dim, int n, nn_node *const *xs);
nn_node *nn_broadcast_to(nn_tape *t, nn_node *x, nn_shape shape);
/* x[..., index[t]]: reflect padding, nearest upsampling, phase shuffle. index values in 0..T-1, copied. */
nn_node *nn_gather_time(nn_tape *t, nn_node *x, const int64_t *index, int64_t n);
nn_node *nn_scatter_time(nn_tape *t, nn_node *x, const int64_t *index, int64_t n_out); /* its adjoint   */
/* torch.gather: y[i,j,k] = x[i, index[i,j,k], k] for dim 1; and its adjoint, torch.scatter_add into zeros of a shape. */
nn_node *nn_gather(nn_tape *t, nn_node *x, int dim, nn_node *index);
nn_node *nn_scatter_add(nn_tape *t, nn_node *x, int dim, nn_node *index, nn_shape shape);
nn_node *nn_squeeze(nn_tape *t, nn_node *x, int dim);                     /* leaves dim out if it is 1  */
nn_node *nn_unsqueeze(nn_tape *t, nn_node *x, int dim);                   /* a new dim of size 1        */
nn_node *nn_transpose(nn_tape *t, nn_node *x, int a, int b);
nn_node *nn_stack(nn_tape *t, int dim, int n, nn_node *const *xs);        /* along a new dim            */
void     nn_chunk(nn_tape *t, nn_node *x, int dim, int n, nn_node **out); /* n equal parts              */
nn_node *nn_slice_step(nn_tape *t, nn_node *x, int dim, int64_t start, int64_t stop, int64_t step);
nn_node *nn_flip(nn_tape *t, nn_node *x, int dim);
nn_node *nn_roll(nn_tape *t, nn_node *x, int dim, int64_t shift);
typedef enum nn_pad_mode { NN_PAD_REFLECT, NN_PAD_REPLICATE, NN_PAD_CIRCULAR } nn_pad_mode;
nn_node *nn_pad_by(nn_tape *t, nn_node *x, int dim, int64_t before, int64_t after, nn_pad_mode mode);
nn_node *nn_pad_value(nn_tape *t, nn_node *x, int dim, int64_t before, int64_t after, double value);
/* x[.., index[i], ..]; index is copied. */
nn_node *nn_index_select(nn_tape *t, nn_node *x, int dim, const int64_t *index, int64_t n);
/* rows of a table [N, D] by index (float whole numbers) [..] -> [.., D]. The row padding_idx (-1: none) gets no gradient, as in
 * torch; _without reads it as zeros, too. And the adjoint of both. */
nn_node *nn_embedding(nn_tape *t, nn_node *table, nn_node *index, int64_t padding_idx);
nn_node *nn_embedding_without(nn_tape *t, nn_node *table, nn_node *index, int64_t padding_idx);
nn_node *nn_embedding_grad(nn_tape *t, nn_node *dy, nn_node *index, int64_t n_rows, int64_t padding_idx);
/* picks x[.., index[..]] along the last dimension: [N, C], [N] -> [N]; and its adjoint. */
nn_node *nn_pick(nn_tape *t, nn_node *x, nn_node *index);
nn_node *nn_pick_grad(nn_tape *t, nn_node *dy, nn_node *index, int64_t n_classes);

/* ---- sums ---- */
nn_node *nn_sum_to(nn_tape *t, nn_node *x, nn_shape shape);               /* adjoint of broadcast_to    */
nn_node *nn_sum(nn_tape *t, nn_node *x);                                  /* to a scalar                */
nn_node *nn_mean(nn_tape *t, nn_node *x);
nn_node *nn_sum_dims(nn_tape *t, nn_node *x, unsigned dims_mask);         /* bit d set: dim d becomes 1 */
nn_node *nn_mean_dims(nn_tape *t, nn_node *x, unsigned dims_mask);
nn_node *nn_var_dims(nn_tape *t, nn_node *x, unsigned dims_mask, int unbiased);
nn_node *nn_std_dims(nn_tape *t, nn_node *x, unsigned dims_mask, int unbiased);
nn_node *nn_norm_dims(nn_tape *t, nn_node *x, unsigned dims_mask);        /* root of the sum of squares; gradient 0 at 0 */
nn_node *nn_max_dims(nn_tape *t, nn_node *x, unsigned dims_mask);         /* gradient shared by equal values */
nn_node *nn_min_dims(nn_tape *t, nn_node *x, unsigned dims_mask);
nn_node *nn_argmax(nn_tape *t, nn_node *x, int dim);                      /* no gradient                */
nn_node *nn_cumsum(nn_tape *t, nn_node *x, int dim);

/* ---- products ---- */
/* op(a) op(b), op transposes the last two dims when asked; leading dims equal, or b of rank 2. */
nn_node *nn_matmul(nn_tape *t, nn_node *a, nn_node *b, int transpose_a, int transpose_b);
/* x [.., in], weight [out, in], bias [out] or NULL. */
nn_node *nn_linear(nn_tape *t, nn_node *x, nn_node *weight, nn_node *bias);

/* ---- convolutions: options with 0 for stride, dilation, groups mean 1 ---- */
typedef struct nn_conv1d_opt {
    int     stride, dilation, groups, pad_left, pad_right;
    int64_t length; /* T of the output (0: as the pads say); conv1d_weight_grad: kernel size */
} nn_conv1d_opt;
/* y[b,o,t] = bias[o] + sum_ik weight[o,i,k] x[b, i + I group(o), t stride + k dilation - pad_left]. */
nn_node *nn_conv1d(nn_tape *t, nn_node *x, nn_node *weight, nn_node *bias, nn_conv1d_opt opt);
/* Its adjoint in x: weight [in_channels, out_channels/groups, K] as torch's ConvTranspose1d. */
nn_node *nn_conv_transpose1d(nn_tape *t, nn_node *x, nn_node *weight, nn_node *bias, nn_conv1d_opt opt);
/* Its adjoint in weight: x [B, I, T], dy [B, O, T_out] -> [O, I/groups, K]. */
nn_node *nn_conv1d_weight_grad(nn_tape *t, nn_node *x, nn_node *dy, nn_conv1d_opt opt);

/* The same over two dimensions: x [B, I, H, W], weight [O, I/groups, kernel_h, kernel_w]. */
typedef struct nn_conv2d_opt {
    int     stride_h, stride_w, dilation_h, dilation_w, groups, pad_top, pad_bottom, pad_left, pad_right;
    int64_t height, width; /* of the output (0: as the pads say); conv2d_weight_grad: of the kernel */
} nn_conv2d_opt;
nn_node *nn_conv2d(nn_tape *t, nn_node *x, nn_node *weight, nn_node *bias, nn_conv2d_opt opt);
nn_node *nn_conv_transpose2d(nn_tape *t, nn_node *x, nn_node *weight, nn_node *bias, nn_conv2d_opt opt);
nn_node *nn_conv2d_weight_grad(nn_tape *t, nn_node *x, nn_node *dy, nn_conv2d_opt opt);

/* ---- pooling and up-sampling: index 0 is height, 1 width ---- */
typedef struct nn_pool_opt {
    int kernel[2], stride[2], padding[2], dilation[2]; /* dilation: max_pool only                    */
    int ceil_mode, count_include_pad;                  /* count_include_pad: avg_pool only           */
    int output[2];                                     /* not 0: adaptive, so many values come out   */
} nn_pool_opt;
nn_node *nn_max_pool(nn_tape *t, nn_node *x, nn_pool_opt opt);            /* [B, C, H, W]               */
nn_node *nn_avg_pool(nn_tape *t, nn_node *x, nn_pool_opt opt);
/* Each value factor times along a dimension; and the adjoint, which sums them. */
nn_node *nn_repeat(nn_tape *t, nn_node *x, int dim, int factor);
nn_node *nn_repeat_grad(nn_tape *t, nn_node *dy, int dim, int factor);
/* Linear interpolation to factor times as many values along a dimension; align_corners as torch's. */
nn_node *nn_interpolate(nn_tape *t, nn_node *x, int dim, int factor, int align_corners);

/* ---- sequences ---- */
/* One layer, in D = 1 or 2 directions (the second half of weights and outputs runs from the end). x [B, T, I],
 * weight_ih [D 4H, I], weight_hh [D 4H, H], bias [D 4H] (gate order i, f, g, o as torch). Optional: lengths [B], steps beyond
 * are padding; state [B, 2, D H], h_0 and c_0. -> [B, T, D H], with_final [B, T + 2, D H]: h_n, c_n behind the steps. */
nn_node *nn_lstm(nn_tape *t, nn_node *x, nn_node *weight_ih, nn_node *weight_hh, nn_node *bias, nn_node *lengths, nn_node *state,
                 int with_final);
/* The same for 3 gates (r, z, n as torch): weight_ih [D 3H, I], weight_hh [D 3H, H]; bias [D 4H]: of r, of z, of n's input, of
 * n's state; state [B, 1, D H]. -> [B, T, D H], with_final [B, T + 1, D H]. */
nn_node *nn_gru(nn_tape *t, nn_node *x, nn_node *weight_ih, nn_node *weight_hh, nn_node *bias, nn_node *lengths, nn_node *state,
                int with_final);

/* Attention of several heads, channels first: q [B, H D, Tq], k [B, H D, Tk], v [B, H V, Tk] -> [B, H V, Tq]. lengths [B]: keys of
 * each example (NULL: all). relative [H, R, D]: a learned vector per distance (NULL: none). nn/ops/attention.c has the formula. */
typedef struct nn_attention_opt {
    int    heads, causal;   /* causal: position i sees j <= i                  */
    double dropout;         /* of the weights, when tape->training             */
} nn_attention_opt;
nn_node *nn_attention(nn_tape *t, nn_node *q, nn_node *k, nn_node *v, nn_node *lengths, nn_node *relative,
                      nn_attention_opt opt);

/* x [B, C, T] plus sin and cos of the position in turn, wavelengths from 2 pi to 10000 2 pi. Source: Vaswani et al. 2017. */
nn_node *nn_positional_encoding(nn_tape *t, nn_node *x);

/* ---- normalisation and probability ---- */
nn_node *nn_softmax(nn_tape *t, nn_node *x);      /* over the last dim */
nn_node *nn_log_softmax(nn_tape *t, nn_node *x);
nn_node *nn_logsumexp(nn_tape *t, nn_node *x, int dim);                   /* dim becomes 1              */
nn_node *nn_log1mexp(nn_tape *t, nn_node *x);                             /* log(1 - exp(-x)), x > 0    */
nn_node *nn_softmax_dim(nn_tape *t, nn_node *x, int dim);     /* negative: from the end */
nn_node *nn_log_softmax_dim(nn_tape *t, nn_node *x, int dim);
nn_node *nn_dropout(nn_tape *t, nn_node *x, double p);   /* when tape->training; uses tape->rng */
/* Shift by -n..n samples, edges reflected; one shift per example. Source: Donahue et al., WaveGAN, 2019. */
nn_node *nn_phase_shuffle(nn_tape *t, nn_node *x, int n);

/* ---- signals ---- */
/* Linear interpolation from frames to samples: [B, C, T] -> [B, C, T*factor]; and its adjoint. */
nn_node *nn_upsample_linear(nn_tape *t, nn_node *x, int factor);
nn_node *nn_upsample_linear_grad(nn_tape *t, nn_node *dy, int factor);
/* STFT of x [B, T] -> [B, 2, F, n_frames] (re, im); and its adjoint. Zeros in the options: centred, zeros outside, Hann. */
typedef enum nn_stft_pad { NN_STFT_ZEROS, NN_STFT_REFLECT, NN_STFT_REPLICATE, NN_STFT_NONE /* center=False */ } nn_stft_pad;
typedef enum nn_stft_window { NN_STFT_HANN, NN_STFT_HAMMING, NN_STFT_ONES } nn_stft_window;
typedef struct nn_stft_opt { int n_fft, hop_length, win_length; nn_stft_pad pad; nn_stft_window window; } nn_stft_opt;
nn_node *nn_stft(nn_tape *t, nn_node *x, nn_stft_opt opt);
nn_node *nn_stft_adjoint(nn_tape *t, nn_node *spectrum, nn_stft_opt opt, int64_t n_samples);
int64_t  nn_stft_frames(const nn_stft_opt *opt, int64_t n_samples);
/* sqrt(re^2 + im^2 + eps) of [B, 2, F, T] -> [B, F, T]; and of an STFT. */
nn_node *nn_magnitude(nn_tape *t, nn_node *x, double eps);
nn_node *nn_stft_magnitude(nn_tape *t, nn_node *x, nn_stft_opt opt, double eps);
/* Phase in radians, -pi..pi, of an oscillator at f0_hz [B, J] -> [B, J hop_length]; and sums of its harmonics under amplitudes
 * [B, H, J]: sum over h of a_h sin(h phase), partials above half the sample rate left out. Frames stand at j hop_length,
 * linear in between, the last one held. All but f0_hz's part in what is left out has a gradient. */
typedef struct nn_oscillator_opt { int hop_length, sample_rate; } nn_oscillator_opt;
nn_node *nn_oscillator_phase(nn_tape *t, nn_node *f0_hz, nn_oscillator_opt opt);
nn_node *nn_harmonic_sum(nn_tape *t, nn_node *amplitude, nn_node *phase, nn_node *f0_hz, nn_oscillator_opt opt);
/* A filter that changes from frame to frame: taps [B, J, L], signal [B, J hop_length] -> the same; each frame of the signal
 * is convolved with its own taps, the results overlap; tap `delay` is the one without delay. */
nn_node *nn_frame_filter(nn_tape *t, nn_node *taps, nn_node *signal, int delay);
/* Oscillator bank at a pitch: amplitude [B, H, J + 1] at frame borders, f0_hz [B, J], stiffness [B] -> [B, J hop_length]. */
typedef struct nn_harmonic_opt { int hop_length, sample_rate; } nn_harmonic_opt;
nn_node *nn_harmonic(nn_tape *t, nn_node *amplitude, nn_node *f0_hz, nn_node *stiffness, nn_harmonic_opt opt);
/* A bank of signals [K, L] weighted by envelopes [B, K, J + 1], each example from its own offset [B] -> [B, J hop_length]. */
nn_node *nn_band_mix(nn_tape *t, nn_node *amplitude, nn_node *bank, nn_node *offset, int hop_length);

/* ---- losses: scalars, means over all elements unless said otherwise; by name: nn/loss.h ---- */
nn_node *nn_l1_loss(nn_tape *t, nn_node *x, nn_node *target);
nn_node *nn_mse_loss(nn_tape *t, nn_node *x, nn_node *target);
nn_node *nn_huber_loss(nn_tape *t, nn_node *x, nn_node *target, double delta);      /* torch.nn.HuberLoss    */
nn_node *nn_smooth_l1_loss(nn_tape *t, nn_node *x, nn_node *target, double beta);   /* torch.nn.SmoothL1Loss; beta 0: l1 */
/* Logits [N, C], classes [N], or [N, C, T], [N, T]. weight [C] (NULL: 1) and ignore_index as torch.nn.CrossEntropyLoss: the
 * mean is weighted. All rows ignored: 0. */
enum { NN_IGNORE_INDEX = -100 };
nn_node *nn_cross_entropy(nn_tape *t, nn_node *logits, nn_node *target_index);
nn_node *nn_cross_entropy_with(nn_tape *t, nn_node *logits, nn_node *target_index, nn_node *weight, int64_t ignore_index,
                               double label_smoothing);
/* The same from log-probabilities, as torch.nn.NLLLoss. */
nn_node *nn_nll_loss(nn_tape *t, nn_node *log_p, nn_node *target_index, nn_node *weight, int64_t ignore_index);
nn_node *nn_bce_with_logits(nn_tape *t, nn_node *logits, nn_node *target);
/* pos_weight broadcasts against target: how much more a 1 counts than a 0. torch.nn.BCEWithLogitsLoss(pos_weight=). */
nn_node *nn_bce_with_logits_weighted(nn_tape *t, nn_node *logits, nn_node *target, nn_node *pos_weight);
/* KL(target || q) from log q, summed over each example, mean over examples: torch.nn.KLDivLoss("batchmean", log_target). */
nn_node *nn_kl_div(nn_tape *t, nn_node *log_q, nn_node *target, int log_target);
/* KL(N(mean, exp log_variance) || N(0, 1)), summed over each example, mean over examples. Source: Kingma & Welling, VAE, 2014. */
nn_node *nn_gaussian_kl(nn_tape *t, nn_node *mean, nn_node *log_variance);
/* 1 - cosine of the angle along dim 1 of [N, C, ...]. */
nn_node *nn_cosine_loss(nn_tape *t, nn_node *x, nn_node *y);
/* |V^T V - Y^T Y|^2 (Frobenius) without the N x N matrices: embeddings v [B, D, N] and members y [B, S, N], 1 or 0 times a
 * weight that v carries too. Points of one source are to have the same embedding, of two sources orthogonal ones. Every `group`
 * examples in a row share their sources and count as one; mean over groups. Source: Hershey et al., "Deep clustering", 2016. */
nn_node *nn_affinity_loss(nn_tape *t, nn_node *v, nn_node *y, int64_t group);
/* Mean over n layers of the mean |difference|; real ones count as constants. Source: Larsen et al. 2016, Kumar et al. 2019. */
nn_node *nn_feature_matching_loss(nn_tape *t, int n, nn_node *const *fake, nn_node *const *real_ones);
/* Negative log-likelihood of samples y [B, T] in -1..1 on n_levels (256, 65536) under mixtures of K logistics, x [B, 3 K, T]:
 * logits, means, log scales (no less than log_scale_min, -7 in the papers). In nats per sample.
 * Source: Salimans et al., PixelCNN++, 2017; van den Oord et al., Parallel WaveNet, 2018. */
nn_node *nn_mixture_of_logistics_loss(nn_tape *t, nn_node *x, nn_node *y, int n_levels, double log_scale_min);
/* Draws from them, clipped to -1..1: out [B, T]. One thread, from rng alone. */
void     nn_mixture_of_logistics_sample(const nn_node *x, double log_scale_min, bl_rng *rng, real *out);
/* Mean over resolutions of spectral convergence + mean |log difference|; x, y [B, T]. Source: Yamamoto et al. 2020. */
nn_node *nn_multi_resolution_stft_loss(nn_tape *t, nn_node *x, nn_node *y, int n, const nn_stft_opt *resolutions);
/* mean over examples of (|d critic(x) / d x| - 1)^2, to second order. critic: [B, 1] from x. Source: Gulrajani et al. 2017. */
nn_node *nn_gradient_penalty(nn_tape *t, nn_node *score, nn_node *x);

#endif
