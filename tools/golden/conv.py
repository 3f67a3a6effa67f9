#!/usr/bin/python3
"""Golden values of convolution layers from PyTorch (double), for tests/nn/test_conv.c: writes tests/golden/conv.txt, in the
format that tests/nn/golden.h describes."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(22)
torch.set_default_dtype(torch.float64)
out = open("tests/golden/conv.txt", "w")


def tensor(name, t):
    t = t.detach()
    out.write("tensor %s %d %s : %s\n" % (name, t.dim(), " ".join(str(d) for d in t.shape),
                                         " ".join("%.8g" % v for v in t.reshape(-1).tolist())))


def case(text, x, module, pad=None, name=None):
    """One layer; pad: F.pad's list, for paddings that PyTorch has not."""
    shape = ", ".join(str(n) for n in x.shape[1:])
    out.write("case %s layer\ntraining 0\ninput %s\nlayer a %s\n" % (name or text.replace(" ", "_")[:60], shape, text))
    x = x.clone().requires_grad_()
    y = module(F.pad(x, pad) if pad else x)
    dy = torch.randn_like(y)
    (y * dy).sum().backward()
    tensor("x", x)
    for n, p in module.named_parameters():
        tensor("param:a/" + n, p)
        tensor("grad:a/" + n, p.grad)
    tensor("dy", dy)
    tensor("y", y)
    tensor("dx", x.grad)
    out.write("end\n")


norm = torch.nn.utils.weight_norm
# one dimension: long enough for several vectors, odd channels
case("conv1d out_channels=17 kernel_size=5 stride=3 padding=4", torch.randn(1, 3, 60), nn.Conv1d(3, 17, 5, 3, 4))
case("conv1d out_channels=4 kernel_size=2 dilation=30", torch.randn(1, 2, 50), nn.Conv1d(2, 4, 2, dilation=30))
case("conv1d out_channels=6 kernel_size=3 padding=1 groups=6", torch.randn(1, 6, 18), nn.Conv1d(6, 6, 3, padding=1, groups=6))
case("conv1d out_channels=3 kernel_size=4 stride=2 padding=same", torch.randn(2, 2, 9), nn.Conv1d(2, 3, 4, 2), (1, 2))
case("conv_transpose1d out_channels=2 kernel_size=3 stride=2 dilation=3 output_padding=2", torch.randn(2, 3, 6),
     nn.ConvTranspose1d(3, 2, 3, 2, dilation=3, output_padding=2))
case("conv_transpose1d out_channels=9 kernel_size=7 stride=4 padding=2 output_padding=3 groups=3", torch.randn(1, 6, 18),
     nn.ConvTranspose1d(6, 9, 7, 4, 2, 3, groups=3))
case("conv_transpose1d out_channels=3 kernel_size=2 stride=5 weight_norm=yes", torch.randn(1, 2, 4),
     norm(nn.ConvTranspose1d(2, 3, 2, 5)))
# two dimensions
x = torch.randn(1, 4, 7, 9)
case("conv2d out_channels=3 kernel_size=3", x, nn.Conv2d(4, 3, 3))
case("conv2d out_channels=6 kernel_size=3 stride=2 padding=1 groups=2", x, nn.Conv2d(4, 6, 3, 2, 1, groups=2))
case("conv2d out_channels=2 kernel_height=3 kernel_size=5 stride_width=3 padding_height=0 padding=2 dilation_height=2", x,
     nn.Conv2d(4, 2, (3, 5), (1, 3), (0, 2), (2, 1)), name="conv2d_all_different")
case("conv2d out_channels=3 kernel_size=3 padding=same dilation=2", x, nn.Conv2d(4, 3, 3, padding="same", dilation=2))
case("conv2d out_channels=3 kernel_size=3 padding_height=same padding_width=causal", x, nn.Conv2d(4, 3, 3), (2, 0, 1, 1))
case("conv2d out_channels=3 kernel_size=2 bias=no weight_norm=yes", x, norm(nn.Conv2d(4, 3, 2, bias=False)))
case("conv2d out_channels=5 kernel_size=1", x, nn.Conv2d(4, 5, 1))
case("conv2d out_channels=17 kernel_size=4 stride=2 padding=1", torch.randn(1, 1, 10, 10), nn.Conv2d(1, 17, 4, 2, 1))
x = torch.randn(1, 4, 3, 4)
case("conv_transpose2d out_channels=3 kernel_size=4 stride=2 padding=1", x, nn.ConvTranspose2d(4, 3, 4, 2, 1))
case("conv_transpose2d out_channels=6 kernel_size=3 stride=3 output_padding=2 groups=2", x,
     nn.ConvTranspose2d(4, 6, 3, 3, 0, 2, groups=2))
m = nn.ConvTranspose2d(4, 2, (5, 3), (2, 1), (2, 1), (1, 0), dilation=(1, 2))
case("conv_transpose2d out_channels=2 kernel_height=5 kernel_size=3 stride_height=2 padding_height=2 padding=1 "
     "output_padding_height=1 dilation_width=2", x, m, name="conv_transpose2d_all_different")
case("conv_transpose2d out_channels=3 kernel_size=2 stride=2 weight_norm=yes", x, norm(nn.ConvTranspose2d(4, 3, 2, 2)))


def penalty(name, shape, layers, module, x):
    """mean((|d sum(f(x)) / dx| - 1)^2) and its gradient in the parameters."""
    out.write("case %s gradient_penalty\ntraining 0\ninput %s\n" % (name, shape))
    for key, text in layers:
        out.write("layer %s %s\n" % (key, text))
    x = x.clone().requires_grad_()
    g, = torch.autograd.grad(module(x).sum(), x, create_graph=True)
    p = ((g.flatten(1).norm(dim=1) - 1) ** 2).mean()
    p.backward()
    tensor("x", x)
    for n, v in module.named_parameters():
        key = layers[int(n.split(".")[0])][0]
        tensor("param:%s/%s" % (key, n.split(".")[1]), v)
        if v.grad is not None:
            tensor("grad:%s/%s" % (key, n.split(".")[1]), v.grad)
    tensor("y", p)
    out.write("end\n")


penalty("penalty_conv2d", "1, 8, 10",
        [("a", "conv2d out_channels=3 kernel_size=3 stride=2 padding=1"), ("b", "tanh"),
         ("c", "conv_transpose2d out_channels=2 kernel_size=4 stride=2 padding=1"), ("d", "sigmoid"), ("e", "flatten"),
         ("f", "linear out_features=1")],
        nn.Sequential(nn.Conv2d(1, 3, 3, 2, 1), nn.Tanh(), nn.ConvTranspose2d(3, 2, 4, 2, 1), nn.Sigmoid(), nn.Flatten(),
                      nn.Linear(160, 1)), torch.randn(3, 1, 8, 10))
out.close()
