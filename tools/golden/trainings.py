"""Ten training steps of small networks by PyTorch in double, for tests/nn/test_trainings.c -> tests/golden/trainings.txt and,
for those of two networks, tests/golden/training_pairs.txt. Run with /usr/bin/python3 from the root of the repository (Debian 12: torch 1.13.0).

Cases as tests/nn/golden.h describes them; the kind says what is trained, the test has the settings of the optimiser too. Inputs
and targets have a first dimension for the step. Parameters before (param:) and after (after:) the ten steps, losses [10]. A GAN
and an autoencoder are two cases after each other."""
import torch
import torch.nn as nn
import torch.nn.functional as F

STEPS = 10
torch.manual_seed(12)
torch.set_default_dtype(torch.float64)
out = open("tests/golden/trainings.txt", "w")


def tensor(name, t, digits="%.9g"):
    t = t.detach()
    out.write("tensor %s %d %s : %s\n" % (name, t.dim(), " ".join(str(d) for d in t.shape),
                                          " ".join(digits % v for v in t.reshape(-1).tolist())))


def data(*shape):
    """Few digits, exact in float."""
    return torch.round(torch.randn(*shape) * 32) / 32


def rounded(module):
    """Starts from float values, so that both sides start alike."""
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(p.float().double())
    return module


def named(names, module):
    """Parameters and buffers of each of our layers by the names that they have here."""
    result = {}
    for key, m in names.items():
        for n, p in list(m.named_parameters()) + [(n, b) for n, b in m.named_buffers() if b.dim() == 1]:
            result[key + "/" + n.replace(".", "/")] = p
    assert sum(p.numel() for p in result.values() if isinstance(p, nn.Parameter)) == sum(p.numel() for p in module.parameters())
    return result


class case:
    def __init__(self, name, kind, inputs, layers, names, module):
        out.write("case %s %s\ntraining 1\n" % (name, kind))
        for n, shape in inputs.items():
            out.write("input%s %s\n" % ("" if n == "x" else "." + n, shape))
        for key, text in layers:
            out.write("layer %s %s\n" % (key, text))
        self.parameters = named(names, module)
        self.before = {n: p.detach().clone() for n, p in self.parameters.items()}

    def end(self, **tensors):
        for n, t in tensors.items():
            tensor(n, t)
        for n, t in self.before.items():
            tensor("param:" + n, t)
        for n, t in self.parameters.items():
            tensor("after:" + n, t, "%.6g")
        out.write("end\n")


def train(c, module, optimizer, loss_of, scheduler=None, parts=1, **inputs):
    losses = []
    for i in range(STEPS):
        optimizer.zero_grad()
        batch = {n: t[i] for n, t in inputs.items()}
        loss = loss_of(module, **batch)
        loss.backward()
        optimizer.step()
        if scheduler:
            scheduler.step()
        losses.append(loss.detach())
    c.end(losses=torch.stack(losses), **inputs)


# a multi-layer perceptron, SGD
a, b = nn.Linear(6, 12), nn.Linear(12, 3)
net = rounded(nn.Sequential(a, nn.Tanh(), b))
c = case("mlp", "mse", {"x": "6"}, [("a", "linear out_features=12"), ("t", "tanh"), ("b", "linear out_features=3")], {"a": a, "b": b}, net)
train(c, net, torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
      lambda m, x, target: F.mse_loss(m(x), target), x=data(STEPS, 8, 6), target=data(STEPS, 8, 3))

# convolutions with batch norm, Adam; a bias in front of batch norm has no gradient but rounding, which Adam would make steps of
a, an, b, bn, d = nn.Conv1d(1, 6, 5, stride=2, bias=False), nn.BatchNorm1d(6), nn.Conv1d(6, 8, 3, padding=1, bias=False), nn.BatchNorm1d(8), nn.Linear(8, 4)
net = rounded(nn.Sequential(a, an, nn.ReLU(), b, bn, nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), d))
net.train()
c = case("classifier", "cross_entropy", {"x": "1, T"},
         [("a", "conv1d out_channels=6 kernel_size=5 stride=2 bias=no"), ("an", "batch_norm1d"), ("ar", "relu"), ("b", "conv1d out_channels=8 kernel_size=3 padding=1 bias=no"),
          ("bn", "batch_norm1d"), ("br", "relu"), ("p", "global_average_pool"), ("d", "linear out_features=4")],
         {"a": a, "an": an, "b": b, "bn": bn, "d": d}, net)
train(c, net, torch.optim.Adam(net.parameters(), lr=0.01), lambda m, x, target: F.cross_entropy(m(x), target.long(), label_smoothing=0.1),
      x=data(STEPS, 6, 1, 24), target=torch.randint(0, 4, (STEPS, 6)).double())

# a bidirectional LSTM, RMSprop under a cosine with a warm-up
lstm, head = nn.LSTM(3, 5, bidirectional=True, batch_first=True), nn.Conv1d(10, 2, 1)
net = rounded(nn.ModuleList([lstm, head]))
optimizer = torch.optim.RMSprop(net.parameters(), lr=0.01, alpha=0.9, momentum=0.5, centered=True)
warm = [1 / 3 + (1 - 1 / 3) * i / 3 for i in range(3)]
scheduler = torch.optim.lr_scheduler.LambdaLR(
    optimizer, lambda n: warm[n] if n < 3 else float(0.1 + 0.9 * (1 + torch.cos(torch.tensor(torch.pi * min(n - 3, 7) / 7))) / 2))
c = case("bilstm", "huber", {"x": "3, T"}, [("lstm", "lstm hidden_size=5 bidirectional=yes"), ("head", "conv1d out_channels=2 kernel_size=1")],
         {"lstm": lstm, "head": head}, net)
train(c, net, optimizer, lambda m, x, target: F.huber_loss(m[1](m[0](x.transpose(1, 2))[0].transpose(1, 2)), target, delta=0.5),
      scheduler=scheduler, x=data(STEPS, 3, 3, 10), target=data(STEPS, 3, 2, 10))


# WaveNet over 8 classes, AdamW
class WaveNet(nn.Module):
    def __init__(self, channels=6, skip=5, layers=3):
        super().__init__()
        self.channels = channels
        self.start = nn.Conv1d(1, channels, 1)
        for k in range(layers):
            m = nn.Module()
            m.dilated = nn.Conv1d(channels, 2 * channels, 2, dilation=2 ** k)
            m.res_skip = nn.Conv1d(channels, skip + (channels if k < layers - 1 else 0), 1)
            self.add_module(str(k), m)
        self.layers = layers

    def forward(self, x):
        x, skips = self.start(x), 0
        for k in range(self.layers):
            m = getattr(self, str(k))
            a, b = m.dilated(F.pad(x, (2 ** k, 0))).chunk(2, 1)
            g = m.res_skip(torch.tanh(a) * torch.sigmoid(b))
            if k < self.layers - 1:
                x, g = x + g[:, :self.channels], g[:, self.channels:]
            skips = skips + g
        return skips


w, h = WaveNet(), nn.Conv1d(5, 8, 1)
net = rounded(nn.Sequential(w, nn.ReLU(), h))
c = case("wavenet", "cross_entropy", {"x": "1, T"},
         [("w", "wavenet_block channels=6 skip_channels=5 layers=3"), ("r", "relu"), ("h", "conv1d out_channels=8 kernel_size=1")], {"w": w, "h": h}, net)
train(c, net, torch.optim.AdamW(net.parameters(), lr=0.02, weight_decay=0.1, amsgrad=True), lambda m, x, target: F.cross_entropy(m(x), target.long()),
      x=data(STEPS, 2, 1, 20), target=torch.randint(0, 8, (STEPS, 2, 20)).double())

# a transformer's layer, RAdam, clipped; a large eps, since the bias of the keys has no gradient but rounding
e, h = nn.TransformerEncoderLayer(4, 2, dim_feedforward=7, dropout=0.0, batch_first=True), nn.Conv1d(4, 2, 1)
net = rounded(nn.ModuleList([e, h]))
c = case("transformer", "l1", {"x": "4, T"}, [("e", "transformer_encoder_layer nhead=2 dim_feedforward=7 dropout=0"), ("h", "conv1d out_channels=2 kernel_size=1")],
         {"e": e, "h": h}, net)


def clipped_l1(m, x, target):
    return F.l1_loss(m[1](m[0](x.transpose(1, 2)).transpose(1, 2)), target)


class ClippedRAdam(torch.optim.RAdam):
    def step(self):
        torch.nn.utils.clip_grad_norm_(self.param_groups[0]["params"], 0.5)
        super().step()


train(c, net, ClippedRAdam(net.parameters(), lr=0.02, betas=(0.8, 0.9), eps=1e-3), clipped_l1, x=data(STEPS, 3, 4, 6), target=data(STEPS, 3, 2, 6))

out = open("tests/golden/training_pairs.txt", "w")

# WaveGAN with a gradient penalty, one step of each in turn, Adam
g0, g1, g2 = nn.Linear(4, 32), nn.ConvTranspose1d(8, 4, 8, stride=4, padding=2), nn.ConvTranspose1d(4, 1, 8, stride=4, padding=2)
d0, d1, d2 = nn.Conv1d(1, 4, 8, stride=4, padding=2), nn.Conv1d(4, 8, 8, stride=4, padding=2), nn.Linear(32, 1)
G = rounded(nn.ModuleList([g0, g1, g2]))
D = rounded(nn.Sequential(d0, nn.LeakyReLU(0.2), d1, nn.LeakyReLU(0.2), nn.Flatten(), d2))


def generate(z):
    return torch.tanh(g2(torch.relu(g1(torch.relu(g0(z).reshape(-1, 8, 4))))))


z, wave, mix = data(STEPS, 2, 3, 4), (data(STEPS, 3, 1, 64) / 4), torch.round(torch.rand(STEPS, 3) * 64) / 64
parameters_g = named({"dense": g0, "up1": g1, "up2": g2}, G)
before_g = {n: p.detach().clone() for n, p in parameters_g.items()}
parameters_d = named({"d0": d0, "d1": d1, "d2": d2}, D)
before_d = {n: p.detach().clone() for n, p in parameters_d.items()}
adam_g, adam_d = (torch.optim.Adam(m.parameters(), lr=1e-3, betas=(0.5, 0.9)) for m in (G, D))
critic, generator = [], []
for i in range(STEPS):
    adam_d.zero_grad()
    fake = generate(z[i, 0]).detach()
    between = (wave[i] + mix[i].reshape(-1, 1, 1) * (fake - wave[i])).requires_grad_()
    (slope,) = torch.autograd.grad(D(between).sum(), between, create_graph=True)
    penalty = ((slope.square().sum((1, 2)) + 1e-12).sqrt() - 1).square().mean()
    loss = D(fake).mean() - D(wave[i]).mean() + 10 * penalty
    loss.backward()
    adam_d.step()
    critic.append(loss.detach())
    adam_g.zero_grad()
    loss = -D(generate(z[i, 1])).mean()
    loss.backward()
    adam_g.step()
    generator.append(loss.detach())
c = case.__new__(case)
out.write("case generator gan\ntraining 1\ninput 4\n")
for line in ("dense linear out_features=32", "start reshape channels=8", "r0 relu", "up1 conv_transpose1d out_channels=4 kernel_size=8 stride=4 padding=2",
             "r1 relu", "up2 conv_transpose1d out_channels=1 kernel_size=8 stride=4 padding=2", "y tanh"):
    out.write("layer %s\n" % line)
c.parameters, c.before = parameters_g, before_g
c.end(z=z, wave=wave, mix=mix, losses=torch.stack(generator))
out.write("case critic gan\ntraining 1\ninput 1, 64\n")
for line in ("d0 conv1d out_channels=4 kernel_size=8 stride=4 padding=2", "a0 leaky_relu negative_slope=0.2",
             "d1 conv1d out_channels=8 kernel_size=8 stride=4 padding=2", "a1 leaky_relu negative_slope=0.2", "f flatten", "d2 linear out_features=1"):
    out.write("layer %s\n" % line)
c.parameters, c.before = parameters_d, before_d
c.end(losses=torch.stack(critic))

# a variational autoencoder, Adam; each step is the mean of two batches
e0, em, ev, g0, g1 = nn.Linear(8, 10), nn.Linear(10, 2), nn.Linear(10, 2), nn.Linear(2, 10), nn.Linear(10, 8)
E, R = rounded(nn.ModuleList([e0, em, ev])), rounded(nn.ModuleList([g0, g1]))
x, noise = data(STEPS, 2, 5, 8), data(STEPS, 2, 5, 2)
encoder = {"e0": e0, "mean": em, "log_variance": ev}
parameters_e, parameters_r = named(encoder, E), named({"g0": g0, "g1": g1}, R)
before_e, before_r = ({n: p.detach().clone() for n, p in q.items()} for q in (parameters_e, parameters_r))
adams = [torch.optim.Adam(m.parameters(), lr=0.02) for m in (E, R)]
losses = []
for i in range(STEPS):
    for o in adams:
        o.zero_grad()
    total = 0
    for k in range(2):
        h = F.silu(e0(x[i, k]))
        mean, log_variance = em(h), ev(h)
        y = g1(F.silu(g0(mean + noise[i, k] * (log_variance / 2).exp())))
        kl = 0.5 * (mean ** 2 + log_variance.exp() - 1 - log_variance).sum() / 5
        total = total + (F.mse_loss(y, x[i, k]) + 0.1 * kl) / 2
    total.backward()
    for o in adams:
        o.step()
    losses.append(total.detach())
out.write("case encoder vae\ntraining 1\ninput 8\n")
for line in ("e0 linear out_features=10", "a silu", "mean linear out_features=2", "log_variance linear out_features=2 from=a", "output mean, log_variance"):
    out.write("layer %s\n" % line)
c.parameters, c.before = parameters_e, before_e
c.end(x=x, noise=noise, losses=torch.stack(losses))
out.write("case decoder vae\ntraining 1\ninput 2\n")
for line in ("g0 linear out_features=10", "a silu", "g1 linear out_features=8"):
    out.write("layer %s\n" % line)
c.parameters, c.before = parameters_r, before_r
c.end()
