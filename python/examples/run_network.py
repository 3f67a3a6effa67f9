"""Builds a network from an .ini, reads weights if there are any, runs it on noise: run_network.py NET.ini SECTION [WEIGHTS.h5]

    PYTHONPATH=python python3 python/examples/run_network.py configs/networks/wavegan.ini generator
"""
import sys

import numpy as np

import backline


def main(ini, section, weights=None):
    model = backline.Model(ini, section)
    if weights:
        model.read_weights(weights)
    count = sum(p.size for p in model.parameters.values())
    print("backline %s, [%s]: %d numbers in %d parameters" % (backline.version, section, count, len(model.parameters)))
    shape = {"generator": (2, 100)}.get(section, (2, 1, 16384))
    y = model(np.random.default_rng(0).uniform(-1, 1, shape))
    for out in y if isinstance(y, tuple) else (y,):
        print("output", out.shape, "from %.4g to %.4g" % (out.min(), out.max()))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:4])
    except backline.Error as error:
        sys.exit(str(error))
