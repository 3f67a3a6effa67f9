#!/usr/bin/python3
"""Golden values of the networks in configs/networks/, from PyTorch, for tests/nn/test_network_examples.c.

Writes tests/golden/networks.txt. The networks are written here once more, function by function of PyTorch. Weights and
inputs are not stored: both sides work them out from their names (`uniform` here, in the test the same). A case:
    case FILE SECTION
    set SECTION.KEY=VALUE   any number
    length T
    parameters N            counted by what the network below asks for
    output RANK DIMS        with the batch of 2
    values N : V ...        every (size / N)-th value
"""
import math
import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
BATCH = 2
out = open("tests/golden/networks.txt", "w")
counted = {}


def uniform(name, n):
    """n numbers in -1..1 that depend on the name alone."""
    h = 2166136261
    for c in name.encode():
        h = (h ^ c) * 16777619 % 2**32
    x = np.uint64(h) ^ (np.arange(n, dtype=np.uint64) * np.uint64(2654435761) & np.uint64(0xffffffff))
    for shift, factor in ((16, 0x85ebca6b), (13, 0xc2b2ae35), (16, 1)):
        x ^= x >> np.uint64(shift)
        x = x * np.uint64(factor) & np.uint64(0xffffffff)
    return torch.from_numpy(x.astype(np.float64) / 2**31 - 1)


def weight(name, *shape, buffer=False):
    """A parameter: those of one dimension that scale are about 1, other vectors small, the rest keeps variance."""
    u = uniform(name, math.prod(shape))
    if not buffer:
        counted[name] = math.prod(shape)
    if len(shape) > 1:
        return (u * math.sqrt(3 * shape[0] / math.prod(shape))).reshape(shape)
    return 1 + 0.2 * u if name.endswith(("weight", "running_var")) else 0.2 * u


def normal_input(name, *shape):
    return (2 * uniform("input." + name, BATCH * math.prod(shape))).reshape(BATCH, *shape)


def classes(name, n, *shape):
    return torch.floor((uniform("input." + name, BATCH * math.prod(shape)) + 1) / 2 * n).long().reshape(BATCH, *shape)


def conv1d(p, x, channels, kernel, bias=True, **options):
    w = weight(p + "/weight", channels, x.shape[1], kernel)
    return F.conv1d(x, w, weight(p + "/bias", channels) if bias else None, **options)


def same1d(p, x, channels, kernel, stride=1, bias=True):
    total = max(0, (math.ceil(x.shape[2] / stride) - 1) * stride + kernel - x.shape[2])
    return conv1d(p, F.pad(x, (total // 2, total - total // 2)), channels, kernel, bias, stride=stride)


def conv2d(p, x, channels, kernel, bias=True, **options):
    w = weight(p + "/weight", channels, x.shape[1], *kernel)
    return F.conv2d(x, w, weight(p + "/bias", channels) if bias else None, **options)


def conv_transpose2d(p, x, channels):
    w = weight(p + "/weight", x.shape[1], channels, 4, 4)
    return F.conv_transpose2d(x, w, weight(p + "/bias", channels), stride=2, padding=1)


def linear(p, x, features):
    return F.linear(x, weight(p + "/weight", features, x.shape[-1]), weight(p + "/bias", features))


def batch_norm(p, x):
    c = x.shape[1]
    mean, var = weight(p + "/running_mean", c, buffer=True), weight(p + "/running_var", c, buffer=True)
    return F.batch_norm(x, mean, var, weight(p + "/weight", c), weight(p + "/bias", c))


def case(network, length, y, sets=()):
    global counted
    out.write("case %s %s\n" % tuple(network.split()))
    for s in sets:
        out.write("set %s\n" % s)
    n = min(24, y.numel())
    picked = y.reshape(-1)[torch.arange(n) * (y.numel() // n)]
    out.write("length %d\nparameters %d\noutput %d %s\nvalues %d : %s\n" % (
        length, sum(counted.values()), y.dim(), " ".join(str(d) for d in y.shape), n,
        " ".join("%.9g" % v for v in picked.tolist())))
    print("%-40s %9d parameters, output %s, rms %.3g" % (network, sum(counted.values()), list(y.shape), y.pow(2).mean().sqrt()))
    counted = {}


# ---- WaveGAN: Donahue et al. 2019 ----

def wavegan_generator(p, z, d):
    x = F.relu(linear(p + "/dense", z, 256 * d).reshape(BATCH, 16 * d, 16))
    for i, channels in enumerate((8 * d, 4 * d, 2 * d, d, 1)):
        w = weight("%s/up%d/weight" % (p, i), x.shape[1], channels, 25)
        # TensorFlow's "same": the adjoint of a convolution with 10 zeros in front and 11 behind
        x = F.conv_transpose1d(x, w, weight("%s/up%d/bias" % (p, i), channels), stride=4)[:, :, 10:10 + 4 * x.shape[2]]
        x = F.relu(x) if i < 4 else torch.tanh(x)
    return x


def wavegan_discriminator(p, x, d):
    for i, channels in enumerate((d, 2 * d, 4 * d, 8 * d, 16 * d)):
        x = F.leaky_relu(same1d("%s/down%d" % (p, i), x, channels, 25, 4), 0.2)  # no phase shuffle in evaluation
    return linear(p + "/score", x.flatten(1), 1)


def wavegan(d, sets=()):
    case("wavegan.ini generator", 16384, wavegan_generator("generator", normal_input("z", 100), d), sets)
    case("wavegan.ini discriminator", 16384, wavegan_discriminator("discriminator", normal_input("wave", 1, 16384), d), sets)


# ---- WaveNet and Parallel WaveGAN ----

def wavenet_block(p, x, c, channels, skip, kernel, layers, cycle, causal, residual_scale):
    total = 0
    for k in range(layers):
        reach = (kernel - 1) * 2 ** (k % cycle)
        padded = F.pad(x, (reach, 0) if causal else (reach // 2, reach - reach // 2))
        z = conv1d("%s/%d/dilated" % (p, k), padded, 2 * channels, kernel, dilation=2 ** (k % cycle))
        if c is not None:
            z = z + conv1d("%s/%d/condition" % (p, k), c, 2 * channels, 1, bias=False)
        g = torch.tanh(z[:, :channels]) * torch.sigmoid(z[:, channels:])
        last = k == layers - 1
        rs = conv1d("%s/%d/res_skip" % (p, k), g, skip if last else channels + skip, 1)
        total = total + (rs if last else rs[:, channels:])
        x = x if last else residual_scale * (x + rs[:, :channels])
    return total


def wavenet():
    p, T = "wavenet", 1500
    x = weight(p + "/embed/weight", 256, 64)[classes("audio", 256, T)].transpose(1, 2)
    x = F.relu(wavenet_block(p + "/body", x, None, 64, 256, 2, 30, 10, True, 1))
    x = F.relu(conv1d(p + "/post", x, 256, 1))
    case("wavenet.ini wavenet", T, conv1d(p + "/logits", x, 256, 1))


def parallel_wavegan():
    p, frames = "parallel_wavegan", 5
    noise, mel = normal_input("noise", 1, 256 * frames), normal_input("mel", 80, frames)
    c = same1d(p + "/context", mel, 80, 5, bias=False).unsqueeze(1)
    for i in range(4):
        wide = F.interpolate(c, scale_factor=(1.0, 4.0), mode="nearest")
        name = "%s/up/%d/smooth" % (p, i) if i < 3 else p + "/body/smooth"
        c = conv2d(name, wide, 1, (1, 9), bias=False, padding=(0, 4))
    x = conv1d(p + "/first", noise, 64, 1)
    x = wavenet_block(p + "/body", x, c.squeeze(1), 64, 64, 3, 30, 10, False, math.sqrt(0.5)) * math.sqrt(1 / 30)
    x = F.relu(conv1d(p + "/post", F.relu(x), 64, 1))
    case("parallel_wavegan.ini parallel_wavegan", 256 * frames, conv1d(p + "/wave", x, 1, 1))


# ---- Open-Unmix ----

def open_unmix():
    p, T, bins, read, hidden = "open_unmix", 9, 2049, 1487, 512
    mix = normal_input("mix", 2, bins, T).abs()
    x = mix[:, :, :read] + weight(p + "/in_mean/weight", 1, read)[..., None]
    x = (x * weight(p + "/in_scale/weight", 1, read)[..., None]).reshape(BATCH, 2 * read, T)
    x = torch.tanh(batch_norm(p + "/bn1", conv1d(p + "/fc1", x, hidden, 1, bias=False)))
    lstm = torch.nn.LSTM(hidden, hidden // 2, num_layers=3, bidirectional=True, dropout=0.4, batch_first=True).eval()
    with torch.no_grad():
        for name, value in lstm.named_parameters():
            value.copy_(weight("%s/lstm/%s" % (p, name), *value.shape))
    x = torch.cat([x, lstm(x.transpose(1, 2))[0].transpose(1, 2)], 1)
    x = F.relu(batch_norm(p + "/bn2", conv1d(p + "/fc2", x, hidden, 1, bias=False)))
    x = batch_norm(p + "/bn3", conv1d(p + "/fc3", x, 2 * bins, 1, bias=False)).reshape(BATCH, 2, bins, T)
    x = x * weight(p + "/out_scale/weight", 1, bins)[..., None] + weight(p + "/out_mean/weight", 1, bins)[..., None]
    case("open_unmix.ini open_unmix", T, F.relu(x) * mix)


# ---- pictures: autoencoder and VAE ----

def autoencoder(c=32):
    p = "autoencoder"
    x = normal_input("mel", 1, 128, 128)
    for i, channels in enumerate((c, 2 * c, 4 * c, 8 * c)):
        x = conv2d("%s/down/%d/conv" % (p, i), x, channels, (3, 3), stride=2, padding=1)
        x = F.leaky_relu(batch_norm("%s/down/%d/norm" % (p, i), x), 0.2)
    x = linear(p + "/back", linear(p + "/code", x.flatten(1), 64), 512 * c).reshape(BATCH, 8 * c, 8, 8)
    for i, channels in enumerate((4 * c, 2 * c, c)):
        x = conv_transpose2d("%s/up/%d/conv" % (p, i), x, channels)
        x = F.relu(batch_norm("%s/up/%d/norm" % (p, i), x))
    case("autoencoder.ini autoencoder", 1, torch.sigmoid(conv_transpose2d(p + "/last", x, 1)))


def vae(c=32):
    p = "vae"
    x = normal_input("mel", 1, 64, 64)
    for i, channels in enumerate((c, 2 * c, 4 * c)):
        x = F.relu(conv2d("%s/down/%d/conv" % (p, i), x, channels, (4, 4), stride=2, padding=1))
    mu = linear(p + "/mu", x.flatten(1), 64)
    linear(p + "/logvar", x.flatten(1), 64)  # in evaluation the code is mu
    x = F.relu(linear(p + "/mel_again/back", mu, 256 * c)).reshape(BATCH, 4 * c, 8, 8)
    x = F.relu(conv_transpose2d(p + "/mel_again/up0", x, 2 * c))
    x = F.relu(conv_transpose2d(p + "/mel_again/up1", x, c))
    case("vae.ini vae", 1, torch.sigmoid(conv_transpose2d(p + "/mel_again/up2", x, 1)))


# ---- Wave-U-Net ----

def unet(f=24):
    p, T, seen = "unet", 4096, []
    mix = x = normal_input("mix", 1, T)
    for k in range(1, 13):
        x = F.leaky_relu(same1d("%s/d%d/conv" % (p, k), x, k * f, 15), 0.2)
        seen.append(x)
        x = F.avg_pool1d(x, 2)
    x = F.leaky_relu(same1d(p + "/bottom", x, 13 * f, 15), 0.2)
    for k in range(12, 0, -1):
        x = torch.cat([F.interpolate(x, scale_factor=2, mode="linear", align_corners=False), seen[k - 1]], 1)
        x = F.leaky_relu(same1d("%s/u%d/conv" % (p, k), x, k * f, 5), 0.2)
    case("unet.ini unet", T, torch.tanh(conv1d(p + "/last", torch.cat([x, mix], 1), 1, 1)))


# ---- music transformer ----

def relative_attention(p, x, heads, reach):
    """Causal; softmax(q (k + e[i - j])) v with a table per head. x is [B, T, E]."""
    B, T, E = x.shape
    w, b = weight(p + "/in_proj_weight", 3 * E, E), weight(p + "/in_proj_bias", 3 * E)
    q, k, v = F.linear(x, w, b).reshape(B, T, 3, heads, -1).permute(2, 0, 3, 1, 4)
    distance = (torch.arange(T)[None, :] - torch.arange(T)[:, None]).clamp(-reach, 0)
    pairs = weight(p + "/relative", heads, reach + 1, E // heads)[:, distance + reach]
    score = (q @ k.transpose(2, 3) + torch.einsum("bhid,hijd->bhij", q, pairs)) / math.sqrt(E // heads)
    score = score.masked_fill(torch.ones(T, T).triu(1).bool(), -math.inf)
    y = (score.softmax(-1) @ v).permute(0, 2, 1, 3).reshape(B, T, E)
    return F.linear(y, weight(p + "/out_proj/weight", E, E), weight(p + "/out_proj/bias", E))


def layer_norm(p, x):
    return F.layer_norm(x, x.shape[-1:], weight(p + "/weight", x.shape[-1]), weight(p + "/bias", x.shape[-1]))


def transformer(events=388, width=256):
    p, T = "transformer", 40
    x = weight(p + "/embed/weight", events, width)[classes("events", events, T)]
    for k in range(6):
        layer = "%s/body/%d" % (p, k)
        x = x + relative_attention(layer + "/self_attn", layer_norm(layer + "/norm1", x), 8, 512)
        x = x + linear(layer + "/linear2", F.relu(linear(layer + "/linear1", layer_norm(layer + "/norm2", x), 4 * width)), width)
    case("transformer.ini transformer", T, conv1d(p + "/logits", layer_norm(p + "/norm", x).transpose(1, 2), events, 1))


def mlp():
    x = torch.tanh(linear("mlp/h1", normal_input("x", 64), 64))
    case("mlp.ini mlp", 1, linear("mlp/y", torch.tanh(linear("mlp/h2", x, 64)), 1))


wavegan(64)
wavegan(4, ("generator.d=4", "discriminator.d=4"))
wavenet()
parallel_wavegan()
open_unmix()
autoencoder()
vae()
unet()
transformer()
mlp()
