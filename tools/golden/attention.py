#!/usr/bin/python3
"""Golden values of attention, positions and gather from PyTorch (double), for tests/nn/test_attention.c: values, all gradients, a
gradient penalty. Writes tests/golden/attention.txt; tests/nn/golden.h describes its lines. Relative positions, which PyTorch
lacks, are written out here with one row of the table per pair of positions."""
import math

import torch
import torch.nn as nn

torch.manual_seed(21)
torch.set_default_dtype(torch.float64)
out = open("tests/golden/attention.txt", "w")


def tensor(name, t):
    t = t.detach()
    values = " ".join("%.7g" % v for v in t.reshape(-1).tolist())
    out.write("tensor %s %d %s : %s\n" % (name, t.dim(), " ".join(str(d) for d in t.shape), values))


def case(name, kind, inputs, layers, modules, run):
    """inputs: {name: tensor, channels first}; whole numbers get no gradient."""
    out.write("case %s %s\ntraining 0\n" % (name, kind))
    leaves = {}
    for key, x in inputs.items():
        shape = str(x.shape[1]) if x.dim() == 2 else "%d, T" % x.shape[1]
        out.write("input.%s %s\n" % (key, shape))
        leaves[key] = x.clone().requires_grad_(x.is_floating_point() and key != "n")
    for key, text in layers:
        out.write("layer %s %s\n" % (key, text))
    params = [("%s/%s" % (key, n.replace(".", "/")), p) for key, m in modules.items() for n, p in m.named_parameters()]
    with torch.no_grad():
        for n, p in params:
            if "bias" in n or "norm" in n:
                p.add_(torch.randn_like(p) * 0.3)
    y = run(**leaves)
    if kind == "layer":
        dy = torch.randn_like(y)
        (y * dy).sum().backward()
    else:
        x = leaves["x"]
        slope, = torch.autograd.grad(y.sum(), x, create_graph=True)
        y = ((slope.reshape(x.shape[0], -1).norm(dim=1) - 1) ** 2).mean()
        y.backward()
    for key, x in leaves.items():
        tensor(key, x)
        if kind == "layer" and x.grad is not None:
            tensor("d" + key, x.grad)
    for n, p in params:
        tensor("param:" + n, p)
        tensor("grad:" + n, p.grad if p.grad is not None else torch.zeros_like(p))
    if kind == "layer":
        tensor("dy", dy)
    tensor("y", y)
    out.write("end\n")


def t(x):
    return x.transpose(1, 2)


def later(n):
    return torch.ones(n, n).triu(1).bool()


def padding(n, T):
    return torch.arange(T)[None, :] >= n.long()


def mha(*args, **kw):
    return nn.MultiheadAttention(*args, batch_first=True, **kw)


m = mha(6, 2)
case("self", "layer", {"x": torch.randn(2, 6, 7)}, [("a", "multihead_attention num_heads=2")], {"a": m},
     lambda x: t(m(t(x), t(x), t(x))[0]))
m2 = mha(4, 2, bias=False)
case("causal_of_several_blocks", "layer", {"x": torch.randn(1, 4, 130)},
     [("a", "multihead_attention num_heads=2 causal=yes bias=no")], {"a": m2},
     lambda x: t(m2(t(x), t(x), t(x), attn_mask=later(130))[0]))
m3 = mha(4, 1, kdim=3, vdim=5)
case("cross", "layer", {"x": torch.randn(2, 4, 5), "k": torch.randn(2, 3, 8), "v": torch.randn(2, 5, 8)},
     [("a", "multihead_attention num_heads=1 from=x,k,v")], {"a": m3}, lambda x, k, v: t(m3(t(x), t(k), t(v))[0]))
m4 = mha(4, 2)
case("memory_with_lengths", "layer", {"x": torch.randn(3, 4, 3), "m": torch.randn(3, 4, 6), "n": torch.tensor([[6.], [2], [1]])},
     [("a", "multihead_attention num_heads=2 from=x,m,n")], {"a": m4},
     lambda x, m, n: t(m4(t(x), t(m), t(m), key_padding_mask=padding(n, 6))[0]))


class Relative(nn.Module):
    """softmax(q (k + e[clip(j - i)])) v with a table per head."""

    def __init__(self, E, heads, reach, causal):
        super().__init__()
        inner = mha(E, heads)
        self.in_proj_weight, self.in_proj_bias, self.out_proj = inner.in_proj_weight, inner.in_proj_bias, inner.out_proj
        self.heads, self.reach, self.causal = heads, reach, causal
        self.relative = nn.Parameter(torch.randn(heads, reach + 1 if causal else 2 * reach + 1, E // heads))

    def forward(self, x):
        B, E, T = x.shape
        q, k, v = (t(x) @ self.in_proj_weight.T + self.in_proj_bias).reshape(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        distance = (torch.arange(T)[None, :] - torch.arange(T)[:, None]).clamp(-self.reach, 0 if self.causal else self.reach)
        pairs = self.relative[:, distance + self.reach]                  # [heads, T, T, d]
        score = (q @ k.transpose(2, 3) + torch.einsum("bhid,hijd->bhij", q, pairs)) / math.sqrt(E // self.heads)
        if self.causal:
            score = score.masked_fill(later(T), -math.inf)
        y = (score.softmax(-1) @ v).permute(0, 2, 1, 3).reshape(B, T, E)
        return t(self.out_proj(y))


r = Relative(4, 2, 3, False)
case("relative", "layer", {"x": torch.randn(2, 4, 9)}, [("a", "multihead_attention num_heads=2 relative=3")], {"a": r}, r)
r2 = Relative(4, 2, 70, True)
case("relative_causal_of_several_blocks", "layer", {"x": torch.randn(1, 4, 100)},
     [("a", "multihead_attention num_heads=2 relative=70 causal=yes")], {"a": r2}, r2)


def encoder(C, heads, width, **kw):
    layer = nn.TransformerEncoderLayer(C, heads, width, dropout=0, batch_first=True, **kw)
    return layer


e = encoder(6, 3, 10)
case("encoder", "layer", {"x": torch.randn(2, 6, 5)}, [("a", "transformer_encoder_layer nhead=3 dim_feedforward=10")], {"a": e},
     lambda x: t(e(t(x))))
e2 = encoder(4, 2, 7, norm_first=True, layer_norm_eps=1e-3)
case("encoder_norm_first_causal", "layer", {"x": torch.randn(2, 4, 5)},
     [("a", "transformer_encoder_layer nhead=2 dim_feedforward=7 norm_first=yes layer_norm_eps=1e-3 causal=yes")], {"a": e2},
     lambda x: t(e2(t(x), src_mask=later(5))))
e3 = encoder(4, 1, 5, activation="gelu")
case("encoder_gelu_with_lengths", "layer", {"x": torch.randn(2, 4, 6), "n": torch.tensor([[4.], [6]])},
     [("a", "transformer_encoder_layer nhead=1 dim_feedforward=5 activation=gelu from=x,n")], {"a": e3},
     lambda x, n: t(e3(t(x), src_key_padding_mask=padding(n, 6))))


def sinusoids(C, T):
    position, i = torch.arange(T)[:, None], torch.arange(0, C, 2)
    pe = torch.zeros(T, C)
    angle = position * torch.exp(i * (-math.log(10000.0) / C))
    pe[:, 0::2] = torch.sin(angle)
    pe[:, 1::2] = torch.cos(angle[:, :C // 2])
    return t(pe[None])


case("positional_encoding", "layer", {"x": torch.randn(1, 5, 140)}, [("a", "positional_encoding scale_by_width=yes")], {},
     lambda x: x * math.sqrt(5) + sinusoids(5, 140))
w = nn.Embedding(9, 3)
case("position_embedding", "layer", {"x": torch.randn(2, 3, 7)}, [("a", "position_embedding max_len=9")], {"a": w},
     lambda x: x + t(w(torch.arange(7))[None]))

table = nn.Embedding(5, 3, padding_idx=2)
case("embedding_with_padding", "layer", {"n": torch.tensor([[[0., 2, 4, 2]], [[1, 2, 1, 3]]])},
     [("a", "embedding num_embeddings=5 embedding_dim=3 padding_idx=2")], {"a": table}, lambda n: t(table(n.long()[:, 0])))


def gather_case(name, kind, x, dim, index, shape=None):
    out.write("case %s %s\ntraining 0\n" % (name, kind))
    leaf = x.clone().requires_grad_()
    y = torch.gather(leaf, dim, index) if shape is None else torch.zeros(shape).scatter_add(dim, index, leaf)
    dy = torch.randn_like(y)
    (y * dy).sum().backward()
    for key, v in (("x", x), ("index", index), ("dim", torch.tensor(dim)), ("dy", dy), ("y", y), ("dx", leaf.grad)):
        tensor(key, v)
    out.write("end\n")


gather_case("gather_middle", "gather", torch.randn(3, 4, 5), 1, torch.randint(0, 4, (2, 6, 5)))
gather_case("gather_last", "gather", torch.randn(3, 4, 5), 2, torch.randint(0, 5, (3, 2, 7)))
gather_case("scatter_add", "scatter_add", torch.randn(2, 6, 5), 1, torch.randint(0, 4, (2, 6, 5)), (3, 4, 5))

e4, last = encoder(4, 2, 6), nn.Linear(4, 1)
case("penalty_encoder", "gradient_penalty", {"x": torch.randn(2, 4, 5)},
     [("a", "transformer_encoder_layer nhead=2 dim_feedforward=6 causal=yes"), ("b", "global_average_pool"),
      ("c", "linear out_features=1")], {"a": e4, "c": last},
     lambda x: last(t(e4(t(x), src_mask=later(5))).mean(2)))
r3, last3 = Relative(4, 2, 2, False), nn.Linear(4, 1)
case("penalty_relative", "gradient_penalty", {"x": torch.randn(2, 4, 6)},
     [("a", "multihead_attention num_heads=2 relative=2"), ("b", "global_average_pool"), ("c", "linear out_features=1")],
     {"a": r3, "c": last3}, lambda x: last3(r3(x).mean(2)))
out.close()
