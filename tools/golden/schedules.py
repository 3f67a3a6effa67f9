"""Learning rates of torch.optim.lr_scheduler for tests/nn/test_schedule.c -> tests/golden/schedules.txt.
Run with /usr/bin/python3 from the root of the repository (Debian 12: torch 1.13.0).

A case is a line `case key=value...` (of an .ini section), a line with the figures that plateau watches (one after each
step; empty for the others) and a line with the factors of the first STEPS steps."""
import numpy as np
import torch
from torch.optim import lr_scheduler as S

STEPS, LR = 40, 0.1
rng = np.random.default_rng(3)


def rates(make, steps, figures=None):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    scheduler = make(optimizer)
    out = []
    for i in range(steps):
        out.append(optimizer.param_groups[0]["lr"] / LR)
        optimizer.step()
        scheduler.step(*([figures[i]] if figures is not None else []))
    return out


def case(words, make, warmup=0, start=1 / 3, figures=None):
    front = rates(lambda o: S.LinearLR(o, start_factor=start, total_iters=warmup), warmup) if warmup else []
    factors = front + rates(make, STEPS - warmup, figures)
    out.write("case %s\n" % words)
    out.write(" ".join("%.17g" % f for f in (figures if figures is not None else [])) + "\n")
    out.write(" ".join("%.17g" % f for f in factors) + "\n")


with open("tests/golden/schedules.txt", "w") as out:
    constant = lambda o: S.ConstantLR(o, factor=1)
    case("schedule=constant", constant)
    case("schedule=constant warmup_steps=8", constant, 8)
    case("schedule=constant warmup_steps=8 start_factor=0.05", constant, 8, 0.05)
    case("schedule=linear lr_steps=30 end_factor=0.2", lambda o: S.LinearLR(o, start_factor=1, end_factor=0.2, total_iters=30))
    case("schedule=linear lr_steps=30 warmup_steps=5", lambda o: S.LinearLR(o, start_factor=1, end_factor=0, total_iters=25), 5)
    case("schedule=step step_size=7 gamma=0.5", lambda o: S.StepLR(o, 7, 0.5))
    case("schedule=step step_size=6 warmup_steps=4", lambda o: S.StepLR(o, 6), 4)
    case("schedule=multi_step milestones=3,10,24 gamma=0.3", lambda o: S.MultiStepLR(o, [3, 10, 24], 0.3))
    case("schedule=exponential gamma=0.9", lambda o: S.ExponentialLR(o, 0.9))
    case("lr_half_life=5", lambda o: S.ExponentialLR(o, 0.5 ** 0.2))
    case("schedule=cosine lr_steps=40", lambda o: S.CosineAnnealingLR(o, 40))
    case("schedule=cosine lr_steps=40 warmup_steps=10 start_factor=0.1 end_factor=0.05",
         lambda o: S.CosineAnnealingLR(o, 30, eta_min=0.05 * LR), 10, 0.1)
    case("schedule=one_cycle lr_steps=40", lambda o: S.OneCycleLR(o, LR, total_steps=40, cycle_momentum=False))
    case("schedule=one_cycle lr_steps=40 pct_start=0.6 div_factor=5 final_div_factor=10",
         lambda o: S.OneCycleLR(o, LR, total_steps=40, pct_start=0.6, div_factor=5, final_div_factor=10, cycle_momentum=False))
    falling = 1 / (1 + np.arange(STEPS)) + 0.02 * rng.normal(size=STEPS)
    case("schedule=plateau patience=2 factor=0.5", lambda o: S.ReduceLROnPlateau(o, patience=2, factor=0.5), figures=falling)
    case("schedule=plateau patience=1 cooldown=3 threshold=0.05 min_factor=0.02",
         lambda o: S.ReduceLROnPlateau(o, patience=1, cooldown=3, threshold=0.05, min_lr=0.02 * LR), figures=falling[::-1])
