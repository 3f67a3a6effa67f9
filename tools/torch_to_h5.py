#!/usr/bin/env python3
"""A PyTorch checkpoint as HDF5, a dataset per state_dict key:  torch_to_h5.py model.pt model.h5 [KEY_OF_THE_STATE_DICT]
Then: bin/import_weights model.h5 net.ini -o ours.h5 (docs/import.md). Loads pickles: only files from people you trust."""
import sys

import h5py
import torch


def save(state, path):
    with h5py.File(path, "w") as f:
        for key, value in state.items():
            f[key] = (value.float() if value.is_floating_point() else value).cpu().numpy()


if __name__ == "__main__":
    state = torch.load(sys.argv[1], map_location="cpu")
    for key in sys.argv[3:] or [k for k in ("state_dict", "model_state_dict", "model") if k in state]:
        state = state[key]
    save(state, sys.argv[2])
