"""Our support vector machine beside libsvm (scikit-learn's SVC is libsvm): libbackline.so by ctypes. By itself it is a benchmark,
one line of JSON a measurement: n = 10,000 points of 60 numbers, 8 classes of three clusters each, rbf kernel.

    OMP_NUM_THREADS=1 BACKLINE_LIBRARY=build/release/libbackline.so.0.1.0 python3 tools/evaluate/lib_svm.py
"""
import ctypes as c
import json
import os
import pathlib
import time

import numpy as np


class Error(c.Structure):
    _fields_ = [("code", c.c_int), ("msg", c.c_char * 480)]


class Options(c.Structure):
    _fields_ = [("kernel", c.c_int), ("C", c.c_double), ("gamma", c.c_double), ("tolerance", c.c_double), ("max_iterations", c.c_int64),
                ("cache_mb", c.c_double), ("balanced", c.c_int), ("probability", c.c_int), ("standardise", c.c_int),
                ("column_weight", c.c_void_p), ("seed", c.c_uint64)]


class Head(c.Structure):
    """The first fields of nn_svm."""
    _fields_ = [("kernel", c.c_int), ("n_classes", c.c_int), ("n_pairs", c.c_int), ("probability", c.c_int), ("dim", c.c_int64)]


class Machine:
    """decisions are one against one in the order (0,1) (0,2) .. (1,2) .., positive for the first, as libsvm's."""

    def __init__(self, x, y, **options):
        self.lib = c.CDLL(str(pathlib.Path(os.environ["BACKLINE_LIBRARY"]).resolve()))
        self.lib.nn_svm_train.restype = c.POINTER(Head)
        for name in ("nn_svm_decide", "nn_svm_predict", "nn_svm_free"):
            getattr(self.lib, name).restype = None
        x, y, error = np.ascontiguousarray(x, np.float32), np.ascontiguousarray(y, np.int32), Error()
        self.model = self.lib.nn_svm_train(x.ctypes.data_as(c.c_void_p), c.c_int64(len(x)), c.c_int64(x.shape[1]),
                                           y.ctypes.data_as(c.c_void_p), c.c_int(int(y.max()) + 1), None,
                                           c.byref(Options(kernel=1, **options)), c.byref(error))
        if not self.model:
            raise RuntimeError(error.msg.decode())

    def decide(self, x):
        x = np.ascontiguousarray(x, np.float32)
        out = np.empty((len(x), self.model.contents.n_pairs))
        self.lib.nn_svm_decide(self.model, x.ctypes.data_as(c.c_void_p), c.c_int64(len(x)), out.ctypes.data_as(c.c_void_p))
        return out

    def predict(self, x):
        x = np.ascontiguousarray(x, np.float32)
        labels = np.empty(len(x), np.int32)
        self.lib.nn_svm_predict(self.model, x.ctypes.data_as(c.c_void_p), c.c_int64(len(x)), labels.ctypes.data_as(c.c_void_p), None)
        return labels

    def __del__(self):
        if getattr(self, "model", None):
            self.lib.nn_svm_free(self.model)


def points():
    """Train and test points and labels: 10,000 and 2,000."""
    r = np.random.RandomState(2)
    centres, mix = 0.8 * r.randn(8, 3, 20), r.randn(20, 60) / np.sqrt(20)
    y = r.randint(0, 8, 12000)
    x = (centres[y, r.randint(0, 3, 12000)] + r.randn(12000, 20)) @ mix + 0.35 * r.randn(12000, 60)
    x = ((x - x[:10000].mean(0)) / x[:10000].std(0)).astype(np.float32)
    return x[:10000], x[10000:], y[:10000], y[10000:]


def largest_difference(n=2500):
    """Of decision values, both solved to a violation of 1e-9."""
    from sklearn.svm import SVC
    x, test, y, _ = points()
    ours = Machine(x[:n], y[:n], C=1, gamma=1 / 60, tolerance=1e-9)
    theirs = SVC(C=1, gamma=1 / 60, tol=1e-9, decision_function_shape="ovo").fit(x[:n].astype(np.float64), y[:n])
    return np.abs(ours.decide(test) - theirs.decision_function(test.astype(np.float64))).max()


def timings(rounds):
    """Medians in seconds, alternating so that neither has the quieter machine: {name: (ours, libsvm)}."""
    from sklearn.svm import SVC
    x, test, y, labels = points()
    all_times = {"fit": ([], []), "predict": ([], [])}
    for _ in range(rounds):
        for who, make in enumerate((lambda: Machine(x, y, C=1, gamma=1 / 60),
                                    lambda: SVC(C=1, gamma=1 / 60, cache_size=200).fit(x, y))):
            start = time.perf_counter()
            model = make()
            fitted = time.perf_counter()
            right = (model.predict(test) == labels).mean()
            all_times["fit"][who].append(fitted - start)
            all_times["predict"][who].append(time.perf_counter() - fitted)
            assert right > 0.8, right
    return {name: tuple(float(np.median(t)) for t in both) for name, both in all_times.items()}


if __name__ == "__main__":
    for what, (ours, libsvm) in timings(3).items():
        print(json.dumps({"what": f"svm {what}", "threads": os.environ.get("OMP_NUM_THREADS", "all"), "ours_s": round(ours, 4),
                          "libsvm_s": round(libsvm, 4), "ratio": round(libsvm / ours, 2)}))
