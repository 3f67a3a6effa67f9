#!/usr/bin/python3
"""Golden values of layers, losses and a gradient penalty from PyTorch (double), for tests/nn/test_ops_golden.c.

Writes tests/golden/ops.txt. A case is a list of lines:
    case NAME KIND          layer, or the name of a loss
    training 0|1
    input SHAPE             of one example, as in an .ini
    layer KEY TEXT          as in an .ini
    tensor NAME RANK DIMS : VALUES
    end
Tensors: x, dy (the weights of the sum that is differentiated), y, dx, target, param:KEY/NAME, grad:KEY/NAME,
after:KEY/NAME (a buffer after the run), scalar results have rank 0.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(20)
torch.set_default_dtype(torch.float64)
out = open("tests/golden/ops.txt", "w")


def tensor(name, t):
    t = t.detach()
    dims = " ".join(str(d) for d in t.shape)
    values = " ".join("%.9g" % v for v in t.reshape(-1).tolist())
    out.write("tensor %s %d %s : %s\n" % (name, t.dim(), dims, values))


def begin(name, kind, shape=None, layers=(), training=0):
    out.write("case %s %s\ntraining %d\n" % (name, kind, training))
    if shape:
        out.write("input %s\n" % shape)
    for key, text in layers:
        out.write("layer %s %s\n" % (key, text))


def layer_case(name, shape, text, module, x, call=None, training=0):
    module.train(bool(training))
    begin(name, "layer", shape, [("a", text)], training)
    x = x.clone().requires_grad_(not text.startswith("embedding"))
    for n, b in module.named_buffers():
        if b.dim() == 1:
            tensor("param:a/" + n, b)
    y = (call or module)(x)
    dy = torch.randn_like(y)
    (y * dy).sum().backward()
    tensor("x", x)
    for n, p in module.named_parameters():
        tensor("param:a/" + n, p)
        tensor("grad:a/" + n, p.grad)
    for n, b in module.named_buffers():
        if b.dim() == 1:
            tensor("after:a/" + n, b)
    tensor("dy", dy)
    tensor("y", y)
    if x.grad is not None:
        tensor("dx", x.grad)
    out.write("end\n")


x = torch.randn(2, 4, 13)
layer_case("conv1d", "4, T", "conv1d out_channels=3 kernel_size=3 padding=1", nn.Conv1d(4, 3, 3, padding=1), x)
layer_case("conv1d_strided_dilated_grouped", "4, T", "conv1d out_channels=6 kernel_size=3 stride=2 padding=3 dilation=2 groups=2",
           nn.Conv1d(4, 6, 3, stride=2, padding=3, dilation=2, groups=2), x)
layer_case("conv1d_weight_norm", "4, T", "conv1d out_channels=3 kernel_size=3 weight_norm=yes",
           torch.nn.utils.weight_norm(nn.Conv1d(4, 3, 3)), x)
layer_case("conv1d_causal", "4, T", "conv1d out_channels=2 kernel_size=3 dilation=3 padding=causal", (m := nn.Conv1d(4, 2, 3, dilation=3)), x,
           lambda v: m(F.pad(v, (6, 0))))
x = torch.randn(2, 4, 7)
layer_case("conv_transpose1d", "4, T", "conv_transpose1d out_channels=3 kernel_size=4 stride=2 padding=1",
           nn.ConvTranspose1d(4, 3, 4, stride=2, padding=1), x)
layer_case("conv_transpose1d_wavegan", "2, T", "conv_transpose1d out_channels=2 kernel_size=25 stride=4 padding=11 output_padding=1",
           nn.ConvTranspose1d(2, 2, 25, stride=4, padding=11, output_padding=1), x[:, :2])
layer_case("conv_transpose1d_grouped", "4, T", "conv_transpose1d out_channels=4 kernel_size=3 stride=3 dilation=2 output_padding=2 groups=2",
           nn.ConvTranspose1d(4, 4, 3, stride=3, dilation=2, output_padding=2, groups=2), x)
lstm = nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True)
layer_case("lstm", "3, T", "lstm hidden_size=4 num_layers=2 bidirectional=yes", lstm, torch.randn(2, 3, 9),
           lambda v: lstm(v.transpose(1, 2))[0].transpose(1, 2))
layer_case("linear", "5", "linear out_features=3", nn.Linear(5, 3), torch.randn(4, 5))
layer_case("batch_norm1d_training", "3, T", "batch_norm1d", nn.BatchNorm1d(3), torch.randn(4, 3, 6) * 2 + 1, training=1)
bn = nn.BatchNorm1d(3)
bn.running_mean.copy_(torch.randn(3))
bn.running_var.copy_(torch.rand(3) + 0.5)
layer_case("batch_norm1d_evaluation", "3", "batch_norm1d", bn, torch.randn(4, 3))
ln = nn.LayerNorm(5)
with torch.no_grad():
    ln.weight.uniform_(0.5, 1.5)
    ln.bias.uniform_(-1, 1)
layer_case("layer_norm", "5, T", "layer_norm", ln, torch.randn(2, 5, 4), lambda v: ln(v.transpose(1, 2)).transpose(1, 2))
layer_case("upsample_linear", "2, T", "upsample scale_factor=4 mode=linear",
           nn.Upsample(scale_factor=4, mode="linear", align_corners=False), torch.randn(2, 2, 5))
layer_case("upsample_linear_odd", "2, T", "upsample scale_factor=3 mode=linear",
           nn.Upsample(scale_factor=3, mode="linear", align_corners=False), torch.randn(1, 2, 5))
layer_case("embedding", "1, T", "embedding num_embeddings=6 embedding_dim=3", (e := nn.Embedding(6, 3)),
           torch.tensor([[[0., 3, 5, 3]], [[1., 1, 1, 2]]]), lambda v: e(v.long()[:, 0]).transpose(1, 2))
layer_case("softplus", "2, T", "softplus", nn.Softplus(), torch.randn(1, 2, 6) * 12)


def loss_case(name, kind, x, function, **tensors):
    begin(name, kind)
    x = x.clone().requires_grad_()
    y = function(x)
    dy = torch.randn_like(y)
    (y * dy).sum().backward()
    tensor("x", x)
    for n, t in tensors.items():
        tensor(n, t)
    tensor("dy", dy)
    tensor("y", y)
    tensor("dx", x.grad)
    out.write("end\n")


logits, index = torch.randn(5, 4) * 3, torch.tensor([0, 3, 1, 1, 2])
loss_case("softmax", "softmax", logits, lambda v: F.softmax(v, -1))
loss_case("log_softmax", "log_softmax", logits, lambda v: F.log_softmax(v, -1))
loss_case("cross_entropy", "cross_entropy", logits, lambda v: F.cross_entropy(v, index), target=index.double())
t = torch.rand(3, 4)
loss_case("bce_with_logits", "bce_with_logits", torch.randn(3, 4) * 10, lambda v: F.binary_cross_entropy_with_logits(v, t), target=t)
t = torch.randn(3, 4)
loss_case("mse_loss", "mse_loss", torch.randn(3, 4), lambda v: F.mse_loss(v, t), target=t)
loss_case("l1_loss", "l1_loss", torch.randn(3, 4), lambda v: F.l1_loss(v, t), target=t)


def magnitude(v, n_fft, hop, win, eps):
    s = torch.stft(v, n_fft, hop, win, torch.hann_window(win), center=True, pad_mode="constant", return_complex=True)
    return torch.sqrt(s.real ** 2 + s.imag ** 2 + eps)


loss_case("stft_magnitude", "stft_magnitude", torch.randn(2, 45), lambda v: magnitude(v, 16, 4, 12, 1e-7))
t = torch.randn(2, 60)


def multi(v):
    total = 0
    for n_fft, hop, win in ((16, 4, 16), (32, 8, 24)):
        a, b = magnitude(v, n_fft, hop, win, 1e-7), magnitude(t, n_fft, hop, win, 1e-7)
        total = total + torch.norm(b - a) / torch.norm(b) + (a.log() - b.log()).abs().mean()
    return total / 2


loss_case("multi_resolution_stft", "multi_resolution_stft", torch.randn(2, 60), multi, target=t)


def penalty_case(name, shape, layers, module, x, critic):
    """The gradient of the penalty in the critic's parameters: second order."""
    begin(name, "gradient_penalty", shape, layers)
    x = x.clone().requires_grad_()
    slope, = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    y = ((slope.reshape(x.shape[0], -1).norm(dim=1) - 1) ** 2).mean()
    y.backward()
    tensor("x", x)
    for n, p in module.named_parameters():
        tensor("param:" + n.replace(".", "/"), p)
        tensor("grad:" + n.replace(".", "/"), p.grad if p.grad is not None else torch.zeros_like(p))
    tensor("y", y)
    out.write("end\n")


critic = nn.ModuleDict({"a": nn.Conv1d(2, 4, 5, stride=2, padding=2), "c": nn.Conv1d(4, 3, 3), "e": nn.Linear(12, 1)})
penalty_case("penalty_conv", "2, 12", [("a", "conv1d out_channels=4 kernel_size=5 stride=2 padding=2"),
             ("b", "leaky_relu negative_slope=0.2"), ("c", "conv1d out_channels=3 kernel_size=3"), ("d", "flatten"),
             ("e", "linear out_features=1")], critic, torch.randn(3, 2, 12),
             lambda v: critic["e"](critic["c"](F.leaky_relu(critic["a"](v), 0.2)).flatten(1)))
rnn = nn.ModuleDict({"a": nn.LSTM(2, 3, bidirectional=True, batch_first=True), "c": nn.Linear(6, 1)})
penalty_case("penalty_lstm", "2, 6", [("a", "lstm hidden_size=3 bidirectional=yes"), ("b", "global_average_pool"),
             ("c", "linear out_features=1")], rnn, torch.randn(2, 2, 6),
             lambda v: rnn["c"](rnn["a"](v.transpose(1, 2))[0].mean(1)))
out.close()
