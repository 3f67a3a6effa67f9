"""Ten steps of torch.optim in float64 for tests/nn/test_optimizer.c -> tests/golden/optimizer.txt.
Run with /usr/bin/python3 from the root of the repository (Debian 12: torch 1.13.0).

A case is a line `case KIND key=value...`, a line with its name, then the start vector, ten gradients, ten results."""
import numpy as np
import torch

N, STEPS = 5, 10
CASES = [
    ("sgd", "sgd", dict(lr=0.05)),
    ("sgd with momentum", "sgd", dict(lr=0.05, momentum=0.9)),
    ("sgd with momentum and weight decay", "sgd", dict(lr=0.05, momentum=0.8, weight_decay=0.1)),
    ("adam", "adam", dict()),
    ("adam with other betas and weight decay", "adam", dict(lr=0.02, beta1=0.5, beta2=0.9, eps=1e-6, weight_decay=0.05)),
    ("adam clipped", "adam", dict(lr=0.02, clip_norm=0.75)),
    ("adamw", "adamw", dict()),
    ("adamw with more weight decay", "adamw", dict(lr=0.03, beta1=0.8, weight_decay=0.3)),
    ("rmsprop", "rmsprop", dict()),
    ("rmsprop with momentum and weight decay", "rmsprop", dict(lr=0.004, alpha=0.9, momentum=0.7, weight_decay=0.02)),
    ("sgd clipped", "sgd", dict(lr=0.3, clip_norm=0.5)),
    ("sgd with dampening", "sgd", dict(lr=0.05, momentum=0.9, dampening=0.3)),
    ("nesterov", "sgd", dict(lr=0.05, momentum=0.9, nesterov=1)),
    ("nesterov with weight decay", "sgd", dict(lr=0.02, momentum=0.6, nesterov=1, weight_decay=0.2)),
    ("adam with amsgrad", "adam", dict(lr=0.03, beta2=0.6, amsgrad=1)),
    ("adamw with amsgrad", "adamw", dict(lr=0.03, beta1=0.7, beta2=0.5, weight_decay=0.2, amsgrad=1)),
    ("adam clipped by value", "adam", dict(lr=0.02, clip_value=0.4)),
    ("sgd clipped by norm, then by value", "sgd", dict(lr=0.3, clip_norm=1.5, clip_value=0.6)),
    ("radam", "radam", dict()),
    ("radam with weight decay, rectified from the start", "radam", dict(lr=0.02, beta1=0.8, beta2=0.99, weight_decay=0.1)),
    ("radam that never trusts its second moment", "radam", dict(lr=0.02, beta2=0.6, eps=1e-6)),
    ("rmsprop centered", "rmsprop", dict(lr=0.004, alpha=0.8, centered=1)),
    ("rmsprop centered with momentum and weight decay", "rmsprop",
     dict(lr=0.004, alpha=0.9, eps=1e-6, momentum=0.5, centered=1, weight_decay=0.05)),
]


def make(kind, x, o):
    o = dict(o)
    betas = (o.pop("beta1", 0.9), o.pop("beta2", 0.999))
    for flag in ("nesterov", "amsgrad", "centered"):
        if flag in o:
            o[flag] = bool(o[flag])
    if kind == "sgd":
        return torch.optim.SGD([x], **o)
    if kind == "rmsprop":
        return torch.optim.RMSprop([x], **o)
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "radam": torch.optim.RAdam}[kind]([x], betas=betas, **o)


def line(v):
    return " ".join("%.17g" % float(e) for e in v) + "\n"


rng = np.random.default_rng(7)
with open("tests/golden/optimizer.txt", "w") as out:
    for name, kind, options in CASES:
        # float32 values, so that both builds start from the same numbers
        start = rng.normal(size=N).astype(np.float32).astype(np.float64)
        grads = rng.normal(size=(STEPS, N)).astype(np.float32).astype(np.float64)
        o = dict(options)
        clip, clip_value = o.pop("clip_norm", 0), o.pop("clip_value", 0)
        x = torch.tensor(start, requires_grad=True)
        optimizer = make(kind, x, o)
        results = []
        for g in grads:
            x.grad = torch.tensor(g)
            if clip:
                torch.nn.utils.clip_grad_norm_([x], clip)
            if clip_value:
                torch.nn.utils.clip_grad_value_([x], clip_value)
            optimizer.step()
            results.append(x.detach().numpy().copy())
        words = " ".join("%s=%g" % kv for kv in options.items())
        out.write("case %s %s\n%s\n" % (kind, words, name))
        out.write(line(start) + "".join(map(line, grads)) + "".join(map(line, results)))
