"""Golden values of signal layers from PyTorch (double), for tests/nn/test_signals.c -> tests/golden/signals.txt.
Run with /usr/bin/python3 from the root of the repository (Debian 12: torch 1.13.0, numpy).

Cases as tests/nn/golden.h describes them. torch.stft is PyTorch's own; the filter bank is the published one (Multi-band MelGAN)
up to its gain, oscillator and noise are the formulas of DDSP written with torch ops."""
import math

import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(5)
torch.set_default_dtype(torch.float64)
out = open("tests/golden/signals.txt", "w")


def tensor(name, t):
    t = t.detach()
    out.write("tensor %s %d %s : %s\n" % (name, t.dim(), " ".join(str(d) for d in t.shape),
                                          " ".join("%.9g" % v for v in t.reshape(-1).tolist())))


def case(name, text, call, **inputs):
    out.write("case %s layer\ntraining 0\n" % name)
    inputs = {n: v.float().double().clone().requires_grad_() for n, v in inputs.items()}
    for n, v in inputs.items():
        out.write("input%s %d, T\n" % ("" if n == "x" else "." + n, v.shape[1]))
    out.write("layer a %s\n" % text)
    y = call(*inputs.values())
    dy = torch.randn_like(y).float().double()
    (y * dy).sum().backward()
    for n, v in inputs.items():
        tensor(n, v)
        tensor("d" + n, v.grad)
    tensor("dy", dy)
    tensor("y", y)
    out.write("end\n")


def stft(v, n_fft, hop, win, window=torch.hann_window, center=True, pad_mode="reflect", power=1.0, log=False, eps=1e-8):
    B, C, T = v.shape
    s = torch.stft(v.reshape(B * C, T), n_fft, hop, win, window(win), center=center, pad_mode=pad_mode, return_complex=True)
    y = (s.real ** 2 + s.imag ** 2 + eps) ** (power / 2)
    y = y.log() if log else y
    return y.reshape(B, C * y.shape[1], y.shape[2])


x = torch.randn(2, 1, 45)
case("stft", "stft_magnitude n_fft=16", lambda v: stft(v, 16, 4, 16), x=x)
case("stft_zeros_short_window", "stft_magnitude n_fft=16 hop_length=5 win_length=10 pad_mode=constant",
     lambda v: stft(v, 16, 5, 10, pad_mode="constant"), x=x)
case("stft_replicate", "stft_magnitude n_fft=8 hop_length=8 pad_mode=replicate power=2 window=hamming",
     lambda v: stft(v, 8, 8, 8, window=torch.hamming_window, pad_mode="replicate", power=2), x=x)
case("stft_not_centred", "stft_magnitude n_fft=12 hop_length=7 center=no window=ones log=yes eps=0.001",
     lambda v: stft(v, 12, 7, 12, window=torch.ones, center=False, log=True, eps=1e-3), x=x)
case("stft_odd_window", "stft_magnitude n_fft=16 hop_length=3 win_length=9 power=0.5 log=yes eps=0.01",
     lambda v: stft(v, 16, 3, 9, power=0.5, log=True, eps=0.01), x=x[:1])
case("stft_stereo", "stft_magnitude n_fft=8", lambda v: stft(v, 8, 2, 8), x=torch.randn(1, 2, 21))


def pqmf(n_bands, taps, cutoff, beta):
    n = np.arange(taps + 1) - 0.5 * taps
    with np.errstate(invalid="ignore"):
        h = np.sin(math.pi * cutoff * n) / (math.pi * n)
    h[taps // 2] = cutoff
    h *= np.kaiser(taps + 1, beta)
    k = np.arange(n_bands)[:, None]
    phase, quarter = (2 * k + 1) * math.pi / (2 * n_bands) * n, (-1.0) ** k * math.pi / 4
    gain = 1 / math.sqrt(2 * (h ** 2).sum())  # ours: power is kept; there it is 1 and n_bands behind it
    return (torch.tensor(2 * gain * h * np.cos(phase + quarter)).unsqueeze(1), torch.tensor(2 * gain * h * np.cos(phase - quarter)).unsqueeze(0))


def analysis(v, n_bands, *design):
    a, _ = pqmf(n_bands, *design)
    y = F.conv1d(F.pad(v, (design[0] // 2, design[0] // 2)), a.flip(-1))  # a filter is a convolution
    return y[..., ::n_bands]


def synthesis(v, n_bands, *design):
    _, s = pqmf(n_bands, *design)
    up = torch.zeros(v.shape[0], v.shape[1], v.shape[2] * n_bands)
    up[..., ::n_bands] = v
    return F.conv1d(F.pad(up, (design[0] // 2, design[0] // 2)), s.flip(-1))


case("pqmf_analysis", "pqmf_analysis n_bands=4 taps=62 cutoff=0.142", lambda v: analysis(v, 4, 62, 0.142, 9.0), x=torch.randn(2, 1, 80))
case("pqmf_synthesis", "pqmf_synthesis n_bands=4 taps=62 cutoff=0.142 beta=9", lambda v: synthesis(v, 4, 62, 0.142, 9.0), x=torch.randn(2, 4, 20))
case("pqmf_of_three", "pqmf_analysis n_bands=3 taps=20 cutoff=0.2 beta=6", lambda v: analysis(v, 3, 20, 0.2, 6.0), x=torch.randn(1, 1, 30))


def held(v, hop):
    """Frames at n = j hop, linear in between, the last held (DDSP: resample with add_endpoint)."""
    v = torch.cat([v, v[..., -1:]], -1)
    w = torch.arange(hop) / hop
    return (v[..., :-1, None] * (1 - w) + v[..., 1:, None] * w).flatten(-2)


def oscillator(a, f0, sample_rate, hop):
    f = held(f0, hop)
    phase = torch.cumsum(2 * math.pi * f / sample_rate, -1)
    h = torch.arange(1, a.shape[1] + 1).reshape(1, -1, 1).double()
    amplitude = torch.where(h * f < sample_rate / 2, held(a, hop), torch.zeros(()))
    return (amplitude * torch.sin(h * phase)).sum(1, keepdim=True)


a, f0 = torch.rand(2, 7, 4), torch.rand(2, 1, 4) * 300 + 100
case("harmonic_oscillator", "harmonic_oscillator sample_rate=4000 hop_length=30 from=x,f0", lambda p, q: oscillator(p, q, 4000, 30), x=a, f0=f0)
case("harmonic_oscillator_folds_nothing", "harmonic_oscillator sample_rate=1000 hop_length=20 from=x,f0",
     lambda p, q: oscillator(p, q, 1000, 20), x=a[:1], f0=torch.tensor([[[50.0, 70, 130, 60]]]))


def filtered(m, source, hop, size):
    B, bins, J = m.shape
    response = torch.fft.irfft(m.transpose(1, 2).to(torch.complex128), 2 * (bins - 1))  # zero phase
    at = torch.arange(size) - size // 2
    taps = response[..., at % (2 * (bins - 1))] * (0.5 + 0.5 * torch.cos(2 * math.pi * at / (size + 1)))
    N = J * hop
    y = torch.zeros(B, N + size - 1)
    for b in range(B):
        for j in range(J):
            part = F.conv1d(F.pad(source[b, :, j * hop:(j + 1) * hop].unsqueeze(0), (size - 1, size - 1)), taps[b, j].flip(0).reshape(1, 1, -1))
            y[b, j * hop:j * hop + hop + size - 1] += part[0, 0]
    return y[:, size // 2:size // 2 + N].unsqueeze(1)


m, source = torch.rand(2, 9, 3), torch.rand(2, 1, 30) * 2 - 1
case("filtered_noise", "filtered_noise hop_length=10 from=x,source", lambda p, q: filtered(p, q, 10, 17), x=m, source=source)
case("filtered_noise_short", "filtered_noise hop_length=10 window_size=7 from=x,source", lambda p, q: filtered(p, q, 10, 7), x=m, source=source)
