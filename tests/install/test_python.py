"""python/backline.py against the C program of this folder (its output is argument 1) and against NumPy."""
import sys

import numpy as np

import backline

TEXT = "[net]\ninput.x = 2, T\nconv = conv1d out_channels=3 kernel_size=3 padding=1\nact = tanh\n"

model = backline.Model(TEXT, "net", parse=True)
model.draw_weights(5)
x = (0.125 * (np.arange(16) % 7) - 0.25).astype(np.float32).reshape(1, 2, 8)
y = model(x)
assert y.shape == (1, 3, 8) and y.dtype == np.float32

c = np.loadtxt(sys.argv[1], dtype=np.float32).reshape(y.shape)
assert np.array_equal(y, c), "Python and C differ"

weight, bias = model.parameters["net/conv/weight"], model.parameters["net/conv/bias"]
padded = np.pad(x[0].astype(np.float64), ((0, 0), (1, 1)))
want = np.tanh([[sum(weight[o, i, k] * padded[i, t + k] for i in range(2) for k in range(3)) + bias[o] for t in range(8)] for o in range(3)])
assert np.abs(y[0] - want).max() < 1e-6, "the network differs from NumPy"

weight[:] = 0  # a view of the model's own memory
bias[:] = [0.0, 0.5, -1.0]
assert np.abs(model(x)[0] - np.tanh(bias)[:, None]).max() < 1e-6

for wrong, words in ((lambda: model(x, x), "expected 1 inputs"), (lambda: model(x[0]), "expects a batch of [2, T]"),
                     (lambda: backline.Model(TEXT, "nut", parse=True), "nut"), (lambda: model.read_weights("/nowhere.h5"), "/nowhere.h5")):
    try:
        wrong()
        raise SystemExit("no error where there should be one")
    except backline.Error as error:
        assert words in str(error), error
print("python: agrees with C and NumPy")
