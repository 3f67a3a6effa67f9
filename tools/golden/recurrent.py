#!/usr/bin/python3
"""Golden values of recurrent layers from PyTorch (double), for tests/nn/test_recurrent.c: writes tests/golden/recurrent.txt, in
the format that tests/nn/golden.h describes. Cases of kind `state` have, beside x: state0.K [B, S, D H] of each stacked layer K
with its gradient dstate0.K, the final state final.K with the weights dfinal.K of the sum that is differentiated, and
optionally lengths."""
import torch
import torch.nn as nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

torch.manual_seed(23)
torch.set_default_dtype(torch.float64)
out = open("tests/golden/recurrent.txt", "w")


def tensor(name, t):
    t = t.detach()
    out.write("tensor %s %d %s : %s\n" % (name, t.dim(), " ".join(str(d) for d in t.shape),
                                         " ".join("%.7g" % v for v in t.reshape(-1).tolist())))


def text_of(module):
    return "%s hidden_size=%d num_layers=%d bidirectional=%s bias=%s" % (
        type(module).__name__.lower(), module.hidden_size, module.num_layers, "yes" if module.bidirectional else "no",
        "yes" if module.bias else "no")


def begin(name, kind, module, channels, lengths):
    out.write("case %s %s\ntraining 0\ninput %d, T\n" % (name, kind, channels))
    if lengths is not None:
        out.write("input.lengths 1\n")
    out.write("layer a %s%s\n" % (text_of(module), " from=x,lengths" if lengths is not None else ""))


def parameters(module):
    for n, p in module.named_parameters():
        tensor("param:a/" + n, p)
        tensor("grad:a/" + n, p.grad)


def run(module, x, lengths, state=None):
    """x [B, C, T] -> y [B, D H, T] and the final state."""
    v = x.transpose(1, 2)
    if lengths is not None:
        v = pack_padded_sequence(v, lengths, batch_first=True, enforce_sorted=False)
    y, final = module(v, state)
    if lengths is not None:
        y, _ = pad_packed_sequence(y, batch_first=True, total_length=x.shape[2])
    return y.transpose(1, 2), final


def layer_case(name, module, x, lengths=None):
    begin(name, "layer", module, x.shape[1], lengths)
    x = x.clone().requires_grad_()
    y, _ = run(module, x, lengths)
    dy = torch.randn_like(y)
    (y * dy).sum().backward()
    tensor("x", x)
    if lengths is not None:
        tensor("lengths", lengths.double().reshape(-1, 1))
    parameters(module)
    tensor("dy", dy)
    tensor("y", y)
    tensor("dx", x.grad)
    out.write("end\n")


def state_case(name, module, x, lengths=None):
    """States in our form: for each stacked layer [B, S, D H]."""
    L, D, H, B = module.num_layers, 1 + module.bidirectional, module.hidden_size, x.shape[0]
    lstm = isinstance(module, nn.LSTM)
    S = 2 if lstm else 1
    begin(name, "state", module, x.shape[1], lengths)
    x = x.clone().requires_grad_()
    state = [torch.randn(B, S, D * H, requires_grad=True) for _ in range(L)]
    parts = [torch.cat([s[:, i].reshape(B, D, H).transpose(0, 1) for s in state]) for i in range(S)]
    y, final = run(module, x, lengths, tuple(parts) if lstm else parts[0])
    final = final if lstm else (final,)
    last = [torch.stack([f[k * D:(k + 1) * D].transpose(0, 1).reshape(B, D * H) for f in final], 1) for k in range(L)]
    dy, dlast = torch.randn_like(y), [torch.randn_like(v) for v in last]
    ((y * dy).sum() + sum((a * b).sum() for a, b in zip(last, dlast))).backward()
    tensor("x", x)
    if lengths is not None:
        tensor("lengths", lengths.double().reshape(-1, 1))
    parameters(module)
    for k in range(L):
        tensor("state0.%d" % k, state[k])
        tensor("dstate0.%d" % k, state[k].grad)
        tensor("final.%d" % k, last[k])
        tensor("dfinal.%d" % k, dlast[k])
    tensor("dy", dy)
    tensor("y", y)
    tensor("dx", x.grad)
    out.write("end\n")


def penalty_case(name, module, x):
    """The gradient of a gradient penalty in the parameters: second order."""
    D, H = 1 + module.bidirectional, module.hidden_size
    c = nn.Linear(D * H, 1)
    begin(name, "gradient_penalty", module, x.shape[1], None)
    out.write("layer b global_average_pool\nlayer c linear out_features=1\n")
    x = x.clone().requires_grad_()
    slope, = torch.autograd.grad(c(run(module, x, None)[0].mean(2)).sum(), x, create_graph=True)
    y = ((slope.reshape(x.shape[0], -1).norm(dim=1) - 1) ** 2).mean()
    y.backward()
    tensor("x", x)
    parameters(module)
    for n, p in c.named_parameters():
        tensor("param:c/" + n, p)
        tensor("grad:c/" + n, p.grad if p.grad is not None else torch.zeros_like(p))
    tensor("y", y)
    out.write("end\n")


for kind in nn.LSTM, nn.GRU:
    n = kind.__name__.lower()
    lengths = torch.tensor([3, 6, 1, 5])
    # 17 units: one more than a panel holds; 7 examples: one more than a tile
    layer_case(n + "_wide", kind(3, 17, batch_first=True), torch.randn(7, 3, 4))
    layer_case(n + "_stacked_bidirectional", kind(3, 4, num_layers=3, bidirectional=True, batch_first=True), torch.randn(2, 3, 5))
    layer_case(n + "_no_bias", kind(2, 3, bias=False, bidirectional=True, batch_first=True), torch.randn(2, 2, 5))
    layer_case(n + "_lengths", kind(2, 3, num_layers=2, bidirectional=True, batch_first=True), torch.randn(4, 2, 6), lengths)
    state_case(n + "_state", kind(2, 3, num_layers=2, batch_first=True), torch.randn(2, 2, 4))
    state_case(n + "_state_lengths", kind(2, 3, num_layers=2, bidirectional=True, batch_first=True), torch.randn(4, 2, 6), lengths)
    penalty_case(n + "_penalty", kind(2, 3, num_layers=2, bidirectional=True, batch_first=True), torch.randn(2, 2, 5))
out.close()
