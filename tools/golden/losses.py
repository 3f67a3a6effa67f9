"""Golden values of losses from PyTorch (double), for tests/nn/test_losses.c -> tests/golden/losses.txt.
Run with /usr/bin/python3 from the root of the repository (Debian 12: torch 1.13.0).

Cases as tests/nn/golden.h describes them: the kind is the loss as in an .ini, '+' for blanks ("huber+delta=0.5"), or a
name that the test knows; tensors x, target, weight (where there is one), dy, y, dx. y and dx come from first order;
ddx is d sum(dx q) / d x with q, the second order."""
import math

import torch
import torch.nn.functional as F

torch.manual_seed(31)
torch.set_default_dtype(torch.float64)
out = open("tests/golden/losses.txt", "w")


def tensor(name, t):
    t = t.detach()
    out.write("tensor %s %d %s : %s\n" % (name, t.dim(), " ".join(str(d) for d in t.shape),
                                          " ".join("%.9g" % v for v in t.reshape(-1).tolist())))


def case(name, kind, x, function, **tensors):
    out.write("case %s %s\n" % (name, kind))
    x = x.float().double().clone().requires_grad_()
    y = function(x)
    dy, q = torch.tensor(1.3), torch.randn_like(x)
    (dx,) = torch.autograd.grad(y, x, dy, create_graph=True)
    tensor("x", x)
    for n, t in tensors.items():
        tensor(n, t)
    for n, t in (("dy", dy), ("y", y), ("dx", dx), ("q", q)):
        tensor(n, t)
    if dx.requires_grad:
        (ddx,) = torch.autograd.grad((dx * q).sum(), x, allow_unused=True)
        if ddx is not None:
            tensor("ddx", torch.zeros_like(x) + ddx)
    out.write("end\n")


t = torch.randn(2, 3, 5).float().double()
x = torch.randn(2, 3, 5)
case("l1", "l1", x, lambda v: F.l1_loss(v, t), target=t)
case("mse", "mse", x, lambda v: F.mse_loss(v, t), target=t)
case("huber", "huber", x, lambda v: F.huber_loss(v, t), target=t)
case("huber_small", "huber+delta=0.3", x, lambda v: F.huber_loss(v, t, delta=0.3), target=t)
case("smooth_l1", "smooth_l1", x, lambda v: F.smooth_l1_loss(v, t), target=t)
case("smooth_l1_small", "smooth_l1+beta=0.4", x, lambda v: F.smooth_l1_loss(v, t, beta=0.4), target=t)
case("smooth_l1_zero", "smooth_l1+beta=0", x, lambda v: F.smooth_l1_loss(v, t, beta=0.0), target=t)
case("cosine", "cosine", x, lambda v: 1 - F.cosine_similarity(v, t, dim=1).mean(), target=t)

p = torch.rand(4, 3).float().double()
x = torch.randn(4, 3) * 6
case("bce_with_logits", "bce_with_logits", x, lambda v: F.binary_cross_entropy_with_logits(v, p), target=p)
case("bce_pos_weight", "bce_with_logits+pos_weight=2.5", x,
     lambda v: F.binary_cross_entropy_with_logits(v, p, pos_weight=torch.tensor(2.5)), target=p)
w = (torch.rand(3) + 0.5).float().double()
case("bce_pos_weights", "bce_weighted", x, lambda v: F.binary_cross_entropy_with_logits(v, p, pos_weight=w), target=p, weight=w)

logits = torch.randn(6, 4) * 3
k = torch.tensor([0, 3, 1, 1, 2, 0])
w = (torch.rand(4) + 0.5).float().double()
case("cross_entropy", "cross_entropy", logits, lambda v: F.cross_entropy(v, k), target=k.double())
case("cross_entropy_ignore", "cross_entropy+ignore_index=1", logits, lambda v: F.cross_entropy(v, k, ignore_index=1), target=k.double())
case("cross_entropy_smooth", "cross_entropy+label_smoothing=0.2", logits, lambda v: F.cross_entropy(v, k, label_smoothing=0.2),
     target=k.double())
case("cross_entropy_all", "cross_entropy_all", logits,
     lambda v: F.cross_entropy(v, k, weight=w, ignore_index=1, label_smoothing=0.1), target=k.double(), weight=w)
case("nll", "nll+ignore_index=1", F.log_softmax(logits, -1), lambda v: F.nll_loss(v, k, ignore_index=1), target=k.double())
logits = torch.randn(2, 4, 5) * 3
k = torch.randint(0, 4, (2, 5))
case("cross_entropy_time", "cross_entropy", logits, lambda v: F.cross_entropy(v, k), target=k.double())
case("cross_entropy_time_all", "cross_entropy_all", logits,
     lambda v: F.cross_entropy(v, k, weight=w, ignore_index=1, label_smoothing=0.1), target=k.double(), weight=w)
case("nll_time", "nll_all", F.log_softmax(logits, 1), lambda v: F.nll_loss(v, k, weight=w, ignore_index=2), target=k.double(), weight=w)
far = torch.tensor([[800.0, -800, 0], [-1000, -1001, -1002]])
k2 = torch.tensor([1, 0])
case("cross_entropy_far", "cross_entropy", far, lambda v: F.cross_entropy(v, k2), target=k2.double())

q = F.softmax(torch.randn(3, 2, 4), -1).float().double()
q[0, 0, 0] = 0
x = F.log_softmax(torch.randn(3, 2, 4), -1)
case("kl_div", "kl_div", x, lambda v: F.kl_div(v, q, reduction="batchmean"), target=q)
lq = F.log_softmax(torch.randn(3, 2, 4), -1).float().double()
case("kl_div_log_target", "kl_div+log_target=1", x, lambda v: F.kl_div(v, lq, reduction="batchmean", log_target=True), target=lq)
lv = torch.randn(3, 2, 4).float().double()
case("gaussian_kl_of_mean", "gaussian_kl", torch.randn(3, 2, 4),
     lambda v: torch.distributions.kl_divergence(torch.distributions.Normal(v, (lv / 2).exp()),
                                                 torch.distributions.Normal(0.0, 1.0)).sum() / 3, target=lv)


def mixture(v, y, levels, log_scale_min):
    """Probabilities as they are defined, by differences of sigmoids; in double there is enough room."""
    h = 1 / (levels - 1)
    pi, mean, log_scale = v.chunk(3, 1)
    s = torch.exp(-log_scale.clamp(min=log_scale_min))
    y = y.unsqueeze(1)
    high = torch.where(y > 1 - h, torch.ones_like(mean), torch.sigmoid((y + h - mean) * s))
    low = torch.where(y < -1 + h, torch.zeros_like(mean), torch.sigmoid((y - h - mean) * s))
    return -(torch.log((F.softmax(pi, 1) * (high - low)).sum(1))).mean()


y = torch.tensor([[-1, -0.5, 0.2, 0.999, 1], [0, 1, -1, 0.7, -0.99]]).float().double()
levels = torch.round((y + 1) / 2 * 255) / 255 * 2 - 1
levels = levels.float().double()
x = torch.randn(2, 9, 5)
case("mixture_of_logistics", "mixture_of_logistics+levels=256+log_scale_min=-1.5", x, lambda v: mixture(v, levels, 256, -1.5), target=levels)
x = torch.cat([torch.randn(2, 2, 5), levels.unsqueeze(1) + 0.01 * torch.randn(2, 2, 5), torch.randn(2, 2, 5) * 0.3 - 4], 1)
case("mixture_of_narrow_logistics", "mixture_of_logistics+levels=256", x, lambda v: mixture(v, levels, 256, -7), target=levels)

members = F.one_hot(torch.randint(0, 3, (4, 7)), 3).double().transpose(1, 2) * torch.rand(4, 1, 7).float().double()


def affinity(v, y, group):
    """As Hershey et al. write it, with the matrices of all pairs."""
    v, y = (z.reshape(-1, group, *z.shape[1:]).transpose(1, 2).flatten(2) for z in (v, y))
    return ((v.transpose(1, 2) @ v - y.transpose(1, 2) @ y) ** 2).sum((1, 2)).mean()


x = torch.randn(4, 2, 7) * 0.5
case("affinity", "affinity_1", x, lambda v: affinity(v, members, 1), target=members)
case("affinity_groups", "affinity_2", x, lambda v: affinity(v, members, 2), target=members)
