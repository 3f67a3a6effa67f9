#!/usr/bin/env python3
"""Weights of ours as a PyTorch state dict:  h5_to_torch.py FILE.h5 model.pt [PREFIX]
FILE.h5 is a checkpoint (then PREFIX names the network, "generator/") or what bin/export_weights wrote."""
import sys

import h5py
import torch


def load(path, prefix=""):
    state = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and name.startswith(prefix):
            state[name[len(prefix):].replace("/", ".")] = torch.tensor(item[()])
    with h5py.File(path, "r") as f:
        f.visititems(visit)
    for key in [k for k in state if k.endswith("running_mean")]:
        state.setdefault(key[:-len("running_mean")] + "num_batches_tracked", torch.tensor(0))
    return state


if __name__ == "__main__":
    torch.save(load(sys.argv[1], *sys.argv[3:]), sys.argv[2])
