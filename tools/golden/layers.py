#!/usr/bin/python3
"""Golden values of layers from PyTorch (double), for tests/nn/test_layers.c: writes tests/golden/layers.txt, in the format
that tests/nn/golden.h describes."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(21)
torch.set_default_dtype(torch.float64)
out = open("tests/golden/layers.txt", "w")


def tensor(name, t):
    t = t.detach()
    out.write("tensor %s %d %s : %s\n" % (name, t.dim(), " ".join(str(d) for d in t.shape),
                                         " ".join("%.9g" % v for v in t.reshape(-1).tolist())))


def case(text, shape, x, module, call=None, training=0, name=None, **more):
    """One layer in PyTorch's words: module is an nn.Module or a function; parameters and buffers keep its names."""
    is_module = isinstance(module, nn.Module)
    if is_module:
        module.train(bool(training))
        with torch.no_grad():
            for p in module.parameters():
                p.add_(0.2 * torch.randn_like(p))
    out.write("case %s layer\ntraining %d\ninput %s\n" % ((name or text.replace(" ", "_"))[:60], training, shape))
    for n, v in more.items():
        out.write("input.%s %s\n" % (n, ", ".join(str(d) for d in v.shape[1:])))
    out.write("layer a %s\n" % text)
    parameters = list(module.named_parameters()) if is_module else []
    buffers = [(n, b.clone()) for n, b in module.named_buffers()] if is_module else []
    for n, b in buffers:
        tensor("param:a/" + n, b)
    x = x.clone().requires_grad_()
    others = [v.clone().requires_grad_() for v in more.values()]
    y = (call or module)(x, *others)
    dy = torch.randn_like(y)
    (y * dy).sum().backward()
    tensor("x", x)
    for n, p in parameters:
        tensor("param:a/" + n.replace(".", "/"), p)
        tensor("grad:a/" + n.replace(".", "/"), p.grad)
    for n, b in module.named_buffers() if is_module else []:
        tensor("after:a/" + n, b)
    tensor("dy", dy)
    tensor("y", y)
    if x.grad is not None:
        tensor("dx", x.grad)
    for n, v in zip(more, others):
        tensor(n, v)
        if v.grad is not None:
            tensor("d" + n, v.grad)
    out.write("end\n")


# ---- activations ----
x = torch.cat([torch.randn(1, 2, 7) * 3, torch.tensor([0., 3, -3, 6, 30, -30, 1]).repeat(1, 2, 1)], 2)
for text, module in [("elu alpha=0.7", nn.ELU(0.7)), ("celu alpha=1.5", nn.CELU(1.5)), ("selu", nn.SELU()), ("gelu", nn.GELU()),
                     ("gelu approximate=tanh", nn.GELU(approximate="tanh")), ("silu", nn.SiLU()), ("mish", nn.Mish()),
                     ("softplus beta=2 threshold=3", nn.Softplus(2, 3)), ("softsign", nn.Softsign()), ("log_sigmoid", nn.LogSigmoid()),
                     ("hardtanh min_val=-2 max_val=3", nn.Hardtanh(-2, 3)), ("relu6", nn.ReLU6()), ("clamp min=-3 max=6", lambda v: v.clamp(-3, 6)),
                     ("hardsigmoid", nn.Hardsigmoid()), ("square", torch.square), ("relu", nn.ReLU()),
                     ("leaky_relu negative_slope=-0.3", nn.LeakyReLU(-0.3)), ("abs", torch.abs), ("tanh", nn.Tanh()), ("sigmoid", nn.Sigmoid()),
                     ("sine omega=3", lambda v: torch.sin(3 * v))]:
    case(text, "2, T", x, module)
case("hardswish", "2, T", torch.where(x.abs() == 3, 2.5, x), nn.Hardswish())  # at 3 torch's slope depends on the length
case("log min=0.01", "2, T", torch.rand(1, 2, 7) * 2, lambda v: v.clamp(min=0.01).log())
case("sqrt", "2, T", torch.rand(1, 2, 7) * 2, torch.sqrt)
case("power exponent=1.5", "2, T", torch.rand(1, 2, 7) * 2, lambda v: v ** 1.5)

# ---- norms ----
def tracked(module):
    module.running_mean.copy_(torch.randn_like(module.running_mean))
    module.running_var.copy_(torch.rand_like(module.running_var) + 0.5)
    del module._buffers["num_batches_tracked"]
    module.num_batches_tracked = None  # only counts
    return module


case("batch_norm1d", "3, T", torch.randn(4, 3, 5) * 2 + 1, tracked(nn.BatchNorm1d(3)), training=1, name="batch_norm1d_training")
case("batch_norm1d", "3, T", torch.randn(2, 3, 5), tracked(nn.BatchNorm1d(3)), name="batch_norm1d_evaluation")
case("batch_norm1d momentum=0.3 eps=0.001", "3", torch.randn(5, 3), tracked(nn.BatchNorm1d(3, 1e-3, 0.3)), training=1)
case("batch_norm1d affine=no track_running_stats=no", "3, T", torch.randn(2, 3, 5), nn.BatchNorm1d(3, affine=False, track_running_stats=False))
case("batch_norm2d", "3, 2, T", torch.randn(2, 3, 2, 4) + 5, tracked(nn.BatchNorm2d(3)), training=1, name="batch_norm2d_training")
case("batch_norm2d", "3, 2, T", torch.randn(2, 3, 2, 4), tracked(nn.BatchNorm2d(3)), name="batch_norm2d_evaluation")
ln = nn.LayerNorm(4)
case("layer_norm", "4, T", torch.randn(2, 4, 5), ln, lambda v: ln(v.transpose(1, 2)).transpose(1, 2))
case("layer_norm normalized_dims=1", "3, 6", torch.randn(2, 3, 6), nn.LayerNorm(6))
case("layer_norm normalized_dims=2 eps=0.01", "2, 3, 4", torch.randn(2, 2, 3, 4), nn.LayerNorm((3, 4), 0.01))
case("layer_norm normalized_dims=3 elementwise_affine=no", "2, 3, 4", torch.randn(2, 2, 3, 4), nn.LayerNorm((2, 3, 4), elementwise_affine=False))
case("group_norm num_groups=2", "4, T", torch.randn(2, 4, 5), nn.GroupNorm(2, 4))
case("group_norm num_groups=2", "6", torch.randn(2, 6), nn.GroupNorm(2, 6), name="group_norm_of_vectors")
case("group_norm num_groups=2 affine=no", "4, 2, 3", torch.randn(2, 4, 2, 3), nn.GroupNorm(2, 4, affine=False))
case("instance_norm1d affine=yes", "3, T", torch.randn(2, 3, 6), nn.InstanceNorm1d(3, affine=True))
case("instance_norm2d", "3, 2, 4", torch.randn(2, 3, 2, 4), nn.InstanceNorm2d(3))

# ---- pooling and up-sampling ----
x, image = torch.randn(2, 2, 11), torch.randn(2, 2, 5, 7)
for text, module in [("max_pool1d kernel_size=3", nn.MaxPool1d(3)), ("max_pool1d kernel_size=4 stride=3 padding=2 dilation=2", nn.MaxPool1d(4, 3, 2, 2)),
                     ("max_pool1d kernel_size=3 stride=2 ceil_mode=yes", nn.MaxPool1d(3, 2, ceil_mode=True)),
                     ("avg_pool1d kernel_size=4", nn.AvgPool1d(4)), ("avg_pool1d kernel_size=4 stride=2 padding=1", nn.AvgPool1d(4, 2, 1)),
                     ("avg_pool1d kernel_size=4 stride=3 padding=2 count_include_pad=no ceil_mode=yes",
                      nn.AvgPool1d(4, 3, 2, ceil_mode=True, count_include_pad=False)),
                     ("avg_pool1d kernel_size=4 stride=3 padding=2 ceil_mode=yes", nn.AvgPool1d(4, 3, 2, ceil_mode=True)),
                     ("adaptive_avg_pool1d output_size=4", nn.AdaptiveAvgPool1d(4)), ("adaptive_max_pool1d output_size=3", nn.AdaptiveMaxPool1d(3)),
                     ("global_average_pool", lambda v: v.mean(2)), ("global_max_pool", lambda v: v.max(2).values),
                     ("upsample scale_factor=3", nn.Upsample(scale_factor=3)),
                     ("upsample scale_factor=3 mode=linear align_corners=yes", nn.Upsample(scale_factor=3, mode="linear", align_corners=True))]:
    case(text, "2, T", x, module)
for text, module in [("max_pool2d kernel_size=2", nn.MaxPool2d(2)),
                     ("max_pool2d kernel_height=3 kernel_width=2 stride=2 stride_width=1 padding_height=1", nn.MaxPool2d((3, 2), (2, 1), (1, 0))),
                     ("avg_pool2d kernel_size=3 stride=2 padding=1", nn.AvgPool2d(3, 2, 1)),
                     ("avg_pool2d kernel_height=2 kernel_width=3 padding_width=1 count_include_pad=no", nn.AvgPool2d((2, 3), padding=(0, 1), count_include_pad=False)),
                     ("adaptive_avg_pool2d output_size=3", nn.AdaptiveAvgPool2d(3)),
                     ("adaptive_max_pool2d output_height=2 output_width=5", nn.AdaptiveMaxPool2d((2, 5))),
                     ("global_average_pool", lambda v: v.mean((2, 3))), ("global_max_pool", lambda v: v.amax((2, 3))),
                     ("upsample scale_factor=2", nn.Upsample(scale_factor=2)),
                     ("upsample scale_width=4", lambda v: F.interpolate(v, scale_factor=(1, 4))),
                     ("upsample scale_factor=2 mode=bilinear", nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)),
                     ("upsample scale_height=3 scale_width=2 mode=bilinear align_corners=yes",
                      nn.Upsample(scale_factor=(3, 2), mode="bilinear", align_corners=True))]:
    case(text, "2, 5, T", image, module, name=text.replace(" ", "_") + "_2d")

# ---- shapes, reductions, learned elementwise ----
x, image = torch.randn(2, 4, 6), torch.randn(2, 4, 3, 6)
for text, f in [("softmax dim=time", lambda v: v.softmax(2)), ("softmax", lambda v: v.softmax(1)), ("log_softmax dim=-1", lambda v: v.log_softmax(-1)),
                ("glu dim=1", lambda v: F.glu(v, 1)), ("glu", F.glu), ("cumsum", lambda v: v.cumsum(2)), ("cumsum dim=channels", lambda v: v.cumsum(1)),
                ("flip dim=1", lambda v: v.flip(1)), ("roll shifts=-2", lambda v: v.roll(-2, 2)), ("mean dim=1 keepdim=yes", lambda v: v.mean(1, True)),
                ("mean dim=time", lambda v: v.mean(2)), ("sum dim=2", lambda v: v.sum(2)), ("max dim=2", lambda v: v.amax(2)),
                ("min dim=1 keepdim=yes", lambda v: v.amin(1, True)), ("norm dim=time", lambda v: v.norm(dim=2)),
                ("slice start=1 step=2 dim=time", lambda v: v[:, :, 1::2]), ("pad before=2 after=3 value=1.5", lambda v: F.pad(v, (2, 3), value=1.5)),
                ("pad before=2 after=5 mode=reflect", lambda v: F.pad(v, (2, 5), mode="reflect")),
                ("pad before=2 mode=replicate", lambda v: F.pad(v, (2, 0), mode="replicate")),
                ("pad before=2 after=4 mode=circular", lambda v: F.pad(v, (2, 4), mode="circular")),
                ("scale factor=2 shift=-1", lambda v: 2 * v - 1), ("prelu", nn.PReLU()), ("prelu num_parameters=4", nn.PReLU(4)),
                ("leaky_relu negative_slope=0.3", nn.LeakyReLU(0.3))]:
    case(text, "4, T", x, f)
for text, f in [("softmax dim=height", lambda v: v.softmax(2)), ("transpose dim0=1 dim1=2", lambda v: v.transpose(1, 2)),
                ("transpose dim0=height dim1=width", lambda v: v.transpose(2, 3)), ("unsqueeze dim=1", None), ("mean dim=2", lambda v: v.mean(2)),
                ("pad before=1 after=2 mode=reflect dim=height", lambda v: F.pad(v, (0, 0, 1, 2), mode="reflect")),
                ("flip dim=height", lambda v: v.flip(2)), ("prelu num_parameters=4", nn.PReLU(4))]:
    if f:
        case(text, "4, 3, 6", image, f, name=text.replace(" ", "_") + "_2d")
case("unsqueeze dim=2", "4, T", x, lambda v: v.unsqueeze(2))
case("squeeze dim=2", "4, 1, T", x.unsqueeze(2), lambda v: v.squeeze(2))
for text, f in [("sub from=x,c", torch.sub), ("div from=x,c", torch.div), ("maximum from=x,c", torch.maximum), ("minimum from=x,c", torch.minimum)]:
    case(text, "4, 6", x, f, c=torch.randn(2, 4, 6) + 0.1)
case("add from=x,c", "4, T", x, lambda v, c: v + c[:, :, None], c=torch.randn(2, 4))
case("mul from=x,c", "4, 3, 6", image, lambda v, c: v * c[:, :, None, None], c=torch.randn(2, 4))
case("concat from=x,c", "4, 3, 6", image, lambda v, c: torch.cat([v, c[:, :, None, None].expand(-1, -1, 3, 6)], 1), c=torch.randn(2, 2))
case("concat dim=height from=x,c", "4, 3, 6", image, lambda v, c: torch.cat([v, c], 2), c=torch.randn(2, 4, 2, 6))
case("matmul from=x,c", "4, 6", x, torch.matmul, c=torch.randn(2, 6, 3))
case("matmul transpose_a=yes transpose_b=yes from=x,c", "4, 6", x, lambda v, c: v.transpose(1, 2) @ c.transpose(1, 2), c=torch.randn(2, 5, 4))


class Snake(nn.Module):
    def __init__(self, beta):
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(4))
        if beta:
            self.beta = nn.Parameter(torch.ones(4))

    def forward(self, v):
        alpha, beta = self.alpha[:, None], getattr(self, "beta", self.alpha)[:, None]
        return v + torch.sin(alpha * v) ** 2 / beta


class Affine(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(4))

    def forward(self, v):
        return v * self.weight[:, None] + self.bias[:, None]


case("snake", "4, T", x, Snake(False))
case("snake_beta", "4, T", x, Snake(True))
case("affine", "4, T", x, Affine())

# ---- normalised weights ----
spectral, weight = torch.nn.utils.spectral_norm, torch.nn.utils.weight_norm
x = torch.randn(2, 4, 6)
case("linear out_features=3 weight_norm=yes", "6", x[:, 0], weight(nn.Linear(6, 3)))
case("conv_transpose1d out_channels=3 kernel_size=4 weight_norm=yes", "4, T", x, weight(nn.ConvTranspose1d(4, 3, 4)))
for training in (0, 1):
    case("linear out_features=3 spectral_norm=yes", "6", x[:, 0], spectral(nn.Linear(6, 3)), training=training, name="spectral_linear_%d" % training)
    case("conv1d out_channels=3 kernel_size=3 spectral_norm=yes n_power_iterations=2", "4, T", x, spectral(nn.Conv1d(4, 3, 3), n_power_iterations=2),
         training=training, name="spectral_conv1d_%d" % training)
    case("conv_transpose1d out_channels=3 kernel_size=3 spectral_norm=yes", "4, T", x, spectral(nn.ConvTranspose1d(4, 3, 3)), training=training,
         name="spectral_conv_transpose1d_%d" % training)
    case("conv2d out_channels=3 kernel_size=2 spectral_norm=yes", "4, 3, 6", image, spectral(nn.Conv2d(4, 3, 2)), training=training,
         name="spectral_conv2d_%d" % training)

# ---- what PyTorch has no module for, written with its functions; layers of chance in evaluation, where they do nothing ----
class Film(nn.Module):
    def __init__(self, channels, n):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(2 * channels, n, 1)), nn.Parameter(torch.randn(2 * channels))

    def forward(self, v, condition):
        scale, shift = F.conv1d(condition, self.weight, self.bias).chunk(2, 1)
        return v * (1 + scale) + shift


class Residual(nn.ModuleList):
    """MelGAN's stack."""
    def __init__(self, channels):
        super().__init__(nn.ModuleDict({"dilated": nn.Conv1d(channels, channels, 3, dilation=3 ** k, padding=3 ** k),
                                        "pointwise": nn.Conv1d(channels, channels, 1)}) for k in range(3))

    def forward(self, v):
        for layer in self:
            v = v + layer["pointwise"](F.leaky_relu(layer["dilated"](F.leaky_relu(v, 0.2)), 0.2))
        return v


class Learned(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(*shape))

    def forward(self, v):
        return self.weight.expand(v.shape[0], *self.weight.shape)


case("exp", "4, T", x, torch.exp)
case("gated_tanh", "4, T", x, lambda v: torch.tanh(v[:, :2]) * torch.sigmoid(v[:, 2:]))
case("film from=x,condition", "4, 6", x, Film(4, 3), name="film", condition=torch.randn(2, 3, 6))
case("residual", "4, T", torch.randn(2, 4, 30), Residual(4))
case("reshape channels=3", "12", torch.randn(2, 12), lambda v: v.view(2, 3, 4))
case("parameter channels=3 length=5", "4, T", x, Learned(3, 5))
for text in ("dropout p=0.4", "dropout1d p=0.4", "gaussian_noise", "phase_shuffle n=2"):
    case(text, "4, T", x, lambda v: v * 1)
case("dropout2d p=0.4", "4, 3, 6", image, lambda v: v * 1)
case("reparameterize from=x,logvar", "4, 6", x, lambda v, logvar: v * 1, name="reparameterize", logvar=torch.randn(2, 4, 6))

out.close()
