"""The cases of tests/bench/cases.c in PyTorch: the same networks, losses, optimizers and batches, float32.

    peers.py CASE --threads N --seconds S

prints the lines that bench.c reads: "sample VALUE" for each measurement, "peak_mb VALUE" (highest resident memory of
this process), "version TEXT". bench.c starts it with the environment that is best for PyTorch.
"""
import argparse
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


# ---- WaveGAN ----

class Generator(nn.Module):
    def __init__(self, d):
        super().__init__()
        width = [16 * d, 8 * d, 4 * d, 2 * d, d, 1]
        self.dense = nn.Linear(100, 256 * d)
        self.up = nn.ModuleList(nn.ConvTranspose1d(a, b, 25, 4, padding=11, output_padding=1)
                                for a, b in zip(width, width[1:]))

    def forward(self, z):
        x = F.relu(self.dense(z)).view(len(z), -1, 16)
        for up in self.up[:-1]:
            x = F.relu(up(x))
        return torch.tanh(self.up[-1](x))


def phase_shuffle(x, n=2):
    k = int(torch.randint(-n, n + 1, ()))
    if k > 0:
        return F.pad(x, (k, 0), mode="reflect")[:, :, :x.shape[2]]
    return F.pad(x, (0, -k), mode="reflect")[:, :, -k:] if k < 0 else x


class Critic(nn.Module):
    def __init__(self, d):
        super().__init__()
        width = [1, d, 2 * d, 4 * d, 8 * d, 16 * d]
        self.down = nn.ModuleList(nn.Conv1d(a, b, 25, 4, padding=11) for a, b in zip(width, width[1:]))
        self.score = nn.Linear(256 * d, 1)

    def forward(self, x):
        for i, down in enumerate(self.down):
            x = F.leaky_relu(down(x), 0.2)
            if i < len(self.down) - 1:
                x = phase_shuffle(x)
        return self.score(x.flatten(1))


def gan_iteration(d, batch):
    """One step of the generator and five of the critic, of which one is measured."""
    g, c = Generator(d), Critic(d)
    g_optimizer, c_optimizer = (torch.optim.Adam(m.parameters(), 1e-4, betas=(0.5, 0.9)) for m in (g, c))
    real = torch.rand(batch, 1, 16384) * 2 - 1

    def critic_step():
        with torch.no_grad():
            fake = g(torch.randn(batch, 100))
        loss = c(fake).mean() - c(real).mean()
        between = torch.lerp(real, fake, torch.rand(batch, 1, 1)).requires_grad_(True)
        slope, = torch.autograd.grad(c(between).sum(), between, create_graph=True)
        loss = loss + 10 * ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
        c_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        c_optimizer.step()

    def generator_step():
        c.requires_grad_(False)
        loss = -c(g(torch.randn(batch, 100))).mean()
        g_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        g_optimizer.step()
        c.requires_grad_(True)

    return lambda: seconds(generator_step) + 5 * seconds(critic_step)


def generate(d, batch):
    g = Generator(d).eval()
    z = torch.randn(batch, 100)
    return lambda: batch * 1.024 / seconds(lambda: g(z))


# ---- WaveNet ----

class WaveNet(nn.Module):
    def __init__(self, residual=64, gate=128, skip=64, layers=30, cycle=10):
        super().__init__()
        self.dilations = [2 ** (i % cycle) for i in range(layers)]
        self.embed = nn.Embedding(256, residual)
        self.dilated = nn.ModuleList(nn.Conv1d(residual, gate, 2, dilation=d) for d in self.dilations)
        self.residual = nn.ModuleList(nn.Conv1d(gate // 2, residual, 1) for _ in self.dilations)
        self.skip = nn.ModuleList(nn.Conv1d(gate // 2, skip, 1) for _ in self.dilations)
        self.post = nn.Conv1d(skip, 256, 1)
        self.logits = nn.Conv1d(256, 256, 1)

    def forward(self, index):
        x = self.embed(index).transpose(1, 2).contiguous()
        total = 0
        for dilation, dilated, residual, skip in zip(self.dilations, self.dilated, self.residual, self.skip):
            a, b = dilated(F.pad(x, (dilation, 0))).chunk(2, 1)
            z = torch.tanh(a) * torch.sigmoid(b)
            total = total + skip(z)
            x = x + residual(z)
        return self.logits(F.relu(self.post(F.relu(total))))


def wavenet_train():
    net = WaveNet()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    x = torch.randint(0, 256, (1, 16001))

    def step():
        loss = F.cross_entropy(net(x[:, :-1]), x[:, 1:])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return lambda: seconds(step)


class WaveNetStep(nn.Module):
    """One sample of B streams: (x [B, 64], what each layer saw `dilation` samples ago [30, B, 64]) -> (logits [B, 256], what
    each layer sees now)."""

    def __init__(self, net):
        super().__init__()
        def fixed(t):
            return nn.Parameter(t.detach().clone().contiguous(), requires_grad=False)
        self.w = nn.ParameterList(fixed(torch.cat([m.weight[:, :, 0], m.weight[:, :, 1]], 1)) for m in net.dilated)
        self.b = nn.ParameterList(fixed(m.bias) for m in net.dilated)
        self.w_out = nn.ParameterList(fixed(torch.cat([r.weight[:, :, 0], s.weight[:, :, 0]]))
                                      for r, s in zip(net.residual, net.skip))
        self.b_out = nn.ParameterList(fixed(torch.cat([r.bias, s.bias])) for r, s in zip(net.residual, net.skip))
        self.w1, self.b1 = fixed(net.post.weight[:, :, 0]), fixed(net.post.bias)
        self.w2, self.b2 = fixed(net.logits.weight[:, :, 0]), fixed(net.logits.bias)

    def forward(self, x, past):
        seen = []
        total = torch.zeros_like(x)
        for i in range(30):
            seen.append(x)
            h = F.linear(torch.cat([past[i], x], 1), self.w[i], self.b[i])
            y = F.linear(torch.tanh(h[:, :64]) * torch.sigmoid(h[:, 64:]), self.w_out[i], self.b_out[i])
            x = x + y[:, :64]
            total = total + y[:, 64:]
        y = F.linear(F.relu(F.linear(F.relu(total), self.w1, self.b1)), self.w2, self.b2)
        return y, torch.stack(seen)


def wavenet_generate(streams):
    """Sample by sample with a queue per layer; the step is traced and frozen, which is PyTorch's fastest form of it."""
    net = WaveNet().eval()
    n, dilations, layers = 400, torch.tensor(net.dilations), torch.arange(30)
    table, queue = net.embed.weight.detach(), torch.zeros(30, 512, streams, 64)
    step = torch.jit.freeze(torch.jit.trace(WaveNetStep(net).eval(), (table[:streams], queue[:, 0])))
    state = {"t": 0, "index": torch.full((streams,), 128)}

    def run():
        t, index = state["t"], state["index"]
        for _ in range(n):
            place = t % dilations
            logits, seen = step(table[index], queue[layers, place])
            queue[layers, place] = seen
            index = torch.multinomial(torch.softmax(logits, 1), 1).squeeze(1)
            t += 1
        state["t"], state["index"] = t, index

    return lambda: streams * n / seconds(run)


# ---- Parallel WaveGAN ----

class GatedBlock(nn.Module):
    def __init__(self, dilation):
        super().__init__()
        self.conv = nn.Conv1d(64, 128, 3, padding=dilation, dilation=dilation)
        self.aux = nn.Conv1d(80, 128, 1, bias=False)
        self.out = nn.Conv1d(64, 64, 1)
        self.skip = nn.Conv1d(64, 64, 1)

    def forward(self, x, c):
        a, b = (self.conv(x) + self.aux(c)).chunk(2, 1)
        z = torch.tanh(a) * torch.sigmoid(b)
        return (self.out(z) + x) * 0.5 ** 0.5, self.skip(z)


class ParallelWaveGAN(nn.Module):
    """The generator: 30 layers in 3 stacks, 80 mels at a hop of 4 * 4 * 4 * 4 samples, 2 frames of context each side."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(1, 64, 1)
        self.context = nn.Conv1d(80, 80, 5, bias=False)
        self.smooth = nn.ModuleList(nn.Conv2d(1, 1, (1, 9), padding=(0, 4), bias=False) for _ in range(4))
        self.blocks = nn.ModuleList(GatedBlock(2 ** (i % 10)) for i in range(30))
        self.post = nn.Conv1d(64, 64, 1)
        self.last = nn.Conv1d(64, 1, 1)

    def forward(self, noise, mel):
        c = self.context(mel).unsqueeze(1)
        for smooth in self.smooth:
            c = smooth(F.interpolate(c, scale_factor=(1.0, 4.0), mode="nearest"))
        c = c.squeeze(1)
        x = self.first(noise)
        total = 0
        for block in self.blocks:
            x, skip = block(x, c)
            total = total + skip
        return self.last(F.relu(self.post(F.relu(total * (1 / 30) ** 0.5))))


def stft_loss(x, y):
    total = 0
    for n_fft, hop, window in ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240)):
        a, b = (torch.sqrt(torch.clamp(torch.view_as_real(torch.stft(v, n_fft, hop, window, torch.hann_window(window),
                                                                     return_complex=True)).pow(2).sum(-1), min=1e-7))
                for v in (x, y))
        total = total + torch.norm(b - a) / torch.norm(b) + F.l1_loss(torch.log(a), torch.log(b))
    return total / 3


def pwg_train():
    net = ParallelWaveGAN()
    optimizer = torch.optim.Adam(net.parameters(), 1e-4)
    noise, mel, y = torch.randn(2, 1, 16384), torch.randn(2, 80, 68), torch.randn(2, 16384) * 0.1

    def step():
        loss = stft_loss(net(noise, mel).squeeze(1), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return lambda: seconds(step)


def pwg_infer(frames=172):
    net = ParallelWaveGAN().eval()
    noise, mel = torch.randn(1, 1, frames * 256), torch.randn(1, 80, frames + 4)
    return lambda: seconds(lambda: net(noise, mel)) / (frames * 256 / 22050)


# ---- Open-Unmix ----

class OpenUnmix(nn.Module):
    """Stereo, 2049 bins of which 1487 are read; three bidirectional LSTM layers of 256 units a direction."""

    def __init__(self):
        super().__init__()
        self.fc1, self.bn1 = nn.Linear(2 * 1487, 512, bias=False), nn.BatchNorm1d(512)
        self.lstm = nn.LSTM(512, 256, num_layers=3, bidirectional=True, dropout=0.4)
        self.fc2, self.bn2 = nn.Linear(1024, 512, bias=False), nn.BatchNorm1d(512)
        self.fc3, self.bn3 = nn.Linear(512, 2 * 2049, bias=False), nn.BatchNorm1d(2 * 2049)
        self.in_mean, self.in_scale = nn.Parameter(torch.zeros(1487)), nn.Parameter(torch.ones(1487))
        self.out_mean, self.out_scale = nn.Parameter(torch.ones(2049)), nn.Parameter(torch.ones(2049))

    def forward(self, x):                                   # [B, 2, 2049, T]
        mix = x.permute(3, 0, 1, 2)
        T, B = mix.shape[:2]
        x = (mix[..., :1487] + self.in_mean) * self.in_scale
        x = torch.tanh(self.bn1(self.fc1(x.reshape(T * B, -1))).view(T, B, 512))
        x = torch.cat([x, self.lstm(x)[0]], -1)
        x = F.relu(self.bn2(self.fc2(x.reshape(T * B, -1))))
        x = self.bn3(self.fc3(x)).view(T, B, 2, 2049)
        return (F.relu(x * self.out_scale + self.out_mean) * mix).permute(1, 2, 3, 0)


def umx_train():
    net = OpenUnmix()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, weight_decay=1e-5)
    x, y = torch.rand(16, 2, 2049, 255), torch.rand(16, 2, 2049, 255)

    def step():
        loss = F.mse_loss(net(x), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return lambda: seconds(step)


def umx_infer():
    net = OpenUnmix().eval()
    x = torch.rand(1, 2, 2049, 60 * 44100 // 1024)
    return lambda: seconds(lambda: net(x)) / 60


# ---- a transformer encoder ----

def transformer():
    layer = nn.TransformerEncoderLayer(256, 8, 1024, batch_first=True)
    return nn.TransformerEncoder(layer, 4)


def transformer_train():
    net = transformer()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    x, y = torch.rand(4, 512, 256), torch.rand(4, 512, 256)

    def step():
        loss = F.mse_loss(net(x), y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return lambda: seconds(step)


def transformer_infer():
    net = transformer().eval()
    x = torch.rand(1, 2048, 256)
    return lambda: seconds(lambda: net(x))


# ---- convolutional autoencoder of log-mel patches 128 x 128 ----

class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        width = [1, 32, 64, 128, 256]
        encoder, decoder = [], []
        for a, b in zip(width, width[1:]):
            encoder += [nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
        for a, b in zip(width[:0:-1], width[-2::-1]):
            decoder += [nn.ConvTranspose2d(a, b, 4, 2, 1)] + ([nn.BatchNorm2d(b), nn.ReLU()] if b > 1 else [])
        self.encoder, self.decoder = nn.Sequential(*encoder), nn.Sequential(*decoder)
        self.squeeze, self.widen = nn.Linear(256 * 64, 64), nn.Linear(64, 256 * 64)

    def forward(self, x):
        z = self.squeeze(self.encoder(x).flatten(1))
        return torch.sigmoid(self.decoder(self.widen(z).view(-1, 256, 8, 8)))


def autoencoder_train():
    net = Autoencoder()
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    x = torch.rand(32, 1, 128, 128)

    def step():
        loss = F.mse_loss(net(x), x)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return lambda: seconds(step)


# ---- a small MLP ----

def mlp(make_optimizer):
    net = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
    optimizer = make_optimizer(net.parameters())
    x, y = torch.randn(32, 64), torch.randn(32, 1)

    def run():
        for _ in range(500):
            optimizer.zero_grad(set_to_none=True)
            F.mse_loss(net(x), y).backward()
            optimizer.step()

    return lambda: 500 / seconds(run)


# ---- measuring ----

def seconds(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


# name: (how it is prepared, whether it needs gradients); calling what is prepared gives one measurement
CASES = {
    "wavegan.train.d16.b16": (lambda: gan_iteration(16, 16), True),
    "wavegan.train.d64.b16": (lambda: gan_iteration(64, 16), True),
    "wavegan.infer.d16.b64": (lambda: generate(16, 64), False),
    "wavegan.infer.d64.b64": (lambda: generate(64, 64), False),
    "wavenet.train.b1x16000": (wavenet_train, True),
    "wavenet.generate": (lambda: wavenet_generate(1), False),
    "wavenet.generate.8": (lambda: wavenet_generate(8), False),
    "pwg.train.b2x16384": (pwg_train, True),
    "pwg.infer.2s": (pwg_infer, False),
    "umx.train.b16x255": (umx_train, True),
    "umx.infer.60s": (umx_infer, False),
    "autoencoder.train.b32": (autoencoder_train, True),
    "transformer.train.b4x512": (transformer_train, True),
    "transformer.infer.2048": (transformer_infer, False),
    "mlp.sgd.b32": (lambda: mlp(lambda p: torch.optim.SGD(p, 1e-2)), True),
    "mlp.adam.b32": (lambda: mlp(lambda p: torch.optim.Adam(p, 1e-3)), True),
}


def peak_mb():
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) / 1024 for line in f if line.startswith("VmHWM"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_num_interop_threads(1)
    torch.manual_seed(0)
    prepare, needs_grad = CASES[args.case]
    print("version", torch.__version__, flush=True)
    # inference_mode is faster still, but its tensors cannot be traced
    with torch.set_grad_enabled(needs_grad), torch.inference_mode(not needs_grad and "generate" not in args.case):
        measure = prepare()
        measure()
        start, n = time.perf_counter(), 0
        while n < 2 or time.perf_counter() - start < args.seconds:
            print("sample", measure(), flush=True)
            n += 1
    print("peak_mb", peak_mb(), flush=True)


main()
