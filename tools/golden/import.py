#!/usr/bin/python3
"""Small files of weights for tests/nn/test_import.c, and what the networks in them compute (tests/golden/import.txt).

keras.h5     named and laid out as Keras 2 saves weights; the forward pass is numpy, written from Keras' documentation
torch.h5     made by tools/torch_to_h5.py from modules of PyTorch, which also computes the values
foreign_*.h5 files that must be refused
Run with /usr/bin/python3 from the root of the repository."""
import sys

import h5py
import numpy as np
import torch
import torch.nn as nn

sys.path.insert(0, "tools")
from torch_to_h5 import save  # noqa: E402

FOLDER = "tests/golden/"
rng = np.random.default_rng(7)
out = open(FOLDER + "import.txt", "w")


def case(name, **tensors):
    out.write("case %s import\n" % name)
    for key, x in tensors.items():
        x = np.asarray(x)
        out.write("tensor %s %d %s : %s\n" % (key, x.ndim, " ".join(map(str, x.shape)), " ".join("%.9g" % v for v in x.reshape(-1))))
    out.write("end\n")


# ---- Keras: [B, T, C] ----

weights = {}


def w(name, *shape):
    weights["model/" + name + ":0"] = x = rng.normal(size=shape).astype("<f4") * (0.5 if len(shape) > 1 else 0.3)
    return x.astype(np.float64)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def conv(x, name, K, n_out):
    """padding same: one sample in front, one behind"""
    kernel, bias = w(name + "/kernel", K, x.shape[2], n_out), w(name + "/bias", n_out)
    padded = np.pad(x, ((0, 0), (K // 2, K // 2), (0, 0)))
    return sum(padded[:, k:k + x.shape[1]] @ kernel[k] for k in range(K)) + bias


def batch_norm(x, name):
    gamma, beta, mean, var = (w(name + "/" + n, x.shape[2]) for n in ("gamma", "beta", "moving_mean", "moving_variance"))
    var = np.abs(var) + 0.5
    weights["model/%s/moving_variance:0" % name] = var.astype("<f4")
    var = var.astype("<f4").astype(np.float64)
    return (x - mean) / np.sqrt(var + 1e-3) * gamma + beta


def layer_norm(x, name):
    gamma, beta = w(name + "/gamma", x.shape[2]), w(name + "/beta", x.shape[2])
    d = x - x.mean(-1, keepdims=True)
    return d / np.sqrt((d * d).mean(-1, keepdims=True) + 1e-3) * gamma + beta


def lstm(x, name, H, backwards):
    kernel, recurrent, bias = w(name + "/kernel", x.shape[2], 4 * H), w(name + "/recurrent_kernel", H, 4 * H), w(name + "/bias", 4 * H)
    y, h, c = np.zeros((*x.shape[:2], H)), 0, 0
    h = np.zeros((len(x), H))
    for t in range(x.shape[1])[::-1 if backwards else 1]:
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, -1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = y[:, t] = sigmoid(o) * np.tanh(c)
    return y


def gru(x, name, H):
    """reset_after=True"""
    kernel, recurrent, bias = w(name + "/kernel", x.shape[2], 3 * H), w(name + "/recurrent_kernel", H, 3 * H), w(name + "/bias", 2, 3 * H)
    y, h = np.zeros((*x.shape[:2], H)), np.zeros((len(x), H))
    for t in range(x.shape[1]):
        xz, xr, xh = np.split(x[:, t] @ kernel + bias[0], 3, -1)
        hz, hr, hh = np.split(h @ recurrent + bias[1], 3, -1)
        z, r = sigmoid(xz + hz), sigmoid(xr + hr)
        h = y[:, t] = z * h + (1 - z) * np.tanh(xh + r * hh)
    return y


def attention(x, name, heads, d):
    """keras.layers.MultiHeadAttention, whose projections are [C, heads, d]"""
    C = x.shape[2]
    q, k, v = (np.einsum("btc,chd->bhtd", x, w("%s/%s/kernel" % (name, n), C, heads, d)) + w("%s/%s/bias" % (name, n), heads, d)[:, None]
               for n in ("query", "key", "value"))
    score = q @ k.transpose(0, 1, 3, 2) / np.sqrt(d)
    p = np.exp(score - score.max(-1, keepdims=True))
    y = p / p.sum(-1, keepdims=True) @ v
    return np.einsum("bhtd,hdc->btc", y, w(name + "/attention_output/kernel", heads, d, C)) + w(name + "/attention_output/bias", C)


def conv_transpose(x, name, K, stride, n_out):
    """padding valid; kernel [K, out, in]"""
    kernel, bias = w(name + "/kernel", K, n_out, x.shape[2]), w(name + "/bias", n_out)
    y = np.zeros((len(x), (x.shape[1] - 1) * stride + K, n_out))
    for t in range(x.shape[1]):
        for k in range(K):
            y[:, t * stride + k] += x[:, t] @ kernel[k].T
    return y + bias


index = np.array([[0, 6, 3, 3, 1], [2, 2, 5, 4, 0]])
x = w("embedding/embeddings", 7, 4)[index]
x = conv(x, "conv1d", 3, 6)
x = batch_norm(x, "batch_normalization")
x = np.concatenate([lstm(x, "bidirectional/forward_lstm/lstm_cell", 3, False), lstm(x, "bidirectional/backward_lstm/lstm_cell", 3, True)], -1)
x = layer_norm(x, "layer_normalization")
x = x + attention(x, "multi_head_attention", 2, 3)
x = gru(x, "gru/gru_cell", 4)
x = conv_transpose(x, "conv1d_transpose", 4, 2, 3)
x = x @ w("dense/kernel", 3, 2) + w("dense/bias", 2)
case("keras", x=index[:, None], y=x.transpose(0, 2, 1))
with h5py.File(FOLDER + "keras.h5", "w") as f:
    f.attrs["backend"] = "tensorflow"
    for key, value in weights.items():
        f.create_dataset(key, data=value, compression="gzip" if "embeddings" in key else None)
    f["optimizer_weights/iter:0"] = np.int64(10)
    f["names"] = np.array([b"embedding", b"dense"], dtype="S9")

# ---- PyTorch: [B, C, T] ----

torch.manual_seed(8)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(7, 4, padding_idx=0)
        self.conv = nn.utils.weight_norm(nn.Conv1d(4, 6, 3, padding=1))
        self.bn = nn.BatchNorm1d(6)
        self.lstm = nn.LSTM(6, 3, num_layers=2, bidirectional=True, batch_first=True)
        self.enc = nn.ModuleList([nn.TransformerEncoderLayer(6, 2, 8, activation=a, batch_first=True) for a in ("gelu", "gelu")])
        self.attn = nn.MultiheadAttention(6, 3, batch_first=True)
        self.gru = nn.GRU(6, 4, batch_first=True)
        self.up = nn.ConvTranspose1d(4, 3, 4, stride=2)
        self.out = nn.Linear(3 * 12, 2)

    def forward(self, index):
        x = self.bn(self.conv(self.emb(index).transpose(1, 2))).transpose(1, 2)
        x = self.lstm(x)[0]
        for e in self.enc:
            x = e(x)
        x = self.gru(self.attn(x, x, x)[0])[0]
        return self.out(self.up(x.transpose(1, 2)).flatten(1))


net = Net()
with torch.no_grad():
    for m in range(3):  # running values that are not 0 and 1
        net(torch.randint(0, 7, (4, 5)))
    for p in net.parameters():
        p.add_(torch.randn_like(p) * 0.2)
net.eval()
save(net.state_dict(), FOLDER + "torch.h5")
with torch.no_grad():
    case("torch", x=index[:, None], y=net(torch.tensor(index)).numpy())
out.close()

# ---- files that must be refused ----

with h5py.File(FOLDER + "foreign_virtual.h5", "w") as f:
    layout = h5py.VirtualLayout(shape=(4,), dtype="<f4")
    layout[:] = h5py.VirtualSource("torch.h5", "out.bias", shape=(4,))
    f.create_virtual_dataset("dense/kernel:0", layout)
with h5py.File(FOLDER + "foreign_external.h5", "w") as f:
    f.create_dataset("dense/kernel:0", shape=(4,), dtype="<f4", external=[("import.txt", 0, 16)])
