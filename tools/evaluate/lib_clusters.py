"""Our clustering beside scikit-learn's: libbackline.so by ctypes. By itself it is a benchmark, one line of JSON a measurement:

    make bench-clusters                        1 thread and 2
    OMP_NUM_THREADS=1 BACKLINE_LIBRARY=build/release/libbackline.so.0.1.0 python3 tools/evaluate/lib_clusters.py [rounds]
"""
import ctypes as c
import json
import os
import pathlib
import sys
import time

import numpy as np

LINKAGES = ("ward", "average", "complete")


class Error(c.Structure):
    _fields_ = [("code", c.c_int), ("msg", c.c_char * 480)]


class KMeansOptions(c.Structure):
    _fields_ = [("k", c.c_int), ("n_init", c.c_int), ("max_iterations", c.c_int), ("tolerance", c.c_double), ("seed", c.c_uint64)]


class KMeans(c.Structure):
    _fields_ = [("centroids", c.c_void_p), ("k", c.c_int), ("dim", c.c_int64), ("inertia", c.c_double), ("iterations", c.c_int)]


class Tree(c.Structure):
    _fields_ = [("merges", c.c_void_p), ("n", c.c_int64)]


class Library:
    def __init__(self):
        self.lib = c.CDLL(str(pathlib.Path(os.environ["BACKLINE_LIBRARY"]).resolve()))
        for name in ("nn_kmeans_fit", "nn_silhouette", "nn_hierarchical_fit", "nn_hierarchical_cut"):
            getattr(self.lib, name).restype = c.c_int
        for name in ("nn_kmeans_free", "nn_kmeans_predict", "nn_hierarchical_free"):
            getattr(self.lib, name).restype = None

    def _check(self, status, err):
        if status:
            raise RuntimeError(err.msg.decode())

    def kmeans(self, x, k, start=None, max_iterations=300, tolerance=0.0, n_init=1, seed=0):
        """labels, inertia, iterations, and a function that labels other points"""
        x = np.ascontiguousarray(x, np.float32)
        labels, model, err = np.empty(len(x), np.int32), KMeans(), Error()
        options = KMeansOptions(k, n_init, max_iterations, tolerance, seed)
        if start is not None:
            start = np.ascontiguousarray(start, np.float32)
        status = self.lib.nn_kmeans_fit(c.byref(model), x.ctypes.data_as(c.c_void_p), c.c_int64(len(x)), c.c_int64(x.shape[1]),
                                        c.byref(options), None if start is None else start.ctypes.data_as(c.c_void_p),
                                        labels.ctypes.data_as(c.c_void_p), c.byref(err))
        self._check(status, err)

        def predict(y):
            out = np.empty(len(y), np.int32)
            self.lib.nn_kmeans_predict(c.byref(model), y.ctypes.data_as(c.c_void_p), c.c_int64(len(y)),
                                       out.ctypes.data_as(c.c_void_p), None)
            return out
        return labels, model.inertia, model.iterations, predict

    def hierarchical(self, x, k, linkage):
        x = np.ascontiguousarray(x, np.float32)
        labels, tree, err = np.empty(len(x), np.int32), Tree(), Error()
        status = self.lib.nn_hierarchical_fit(c.byref(tree), x.ctypes.data_as(c.c_void_p), c.c_int64(len(x)),
                                              c.c_int64(x.shape[1]), LINKAGES.index(linkage), c.byref(err))
        self._check(status, err)
        status = self.lib.nn_hierarchical_cut(c.byref(tree), c.c_int64(k), labels.ctypes.data_as(c.c_void_p), c.byref(err))
        self.lib.nn_hierarchical_free(c.byref(tree))
        self._check(status, err)
        return labels

    def silhouette(self, x, labels, k):
        x, labels = np.ascontiguousarray(x, np.float32), np.ascontiguousarray(labels, np.int32)
        score, err = c.c_double(), Error()
        status = self.lib.nn_silhouette(x.ctypes.data_as(c.c_void_p), c.c_int64(len(x)), c.c_int64(x.shape[1]),
                                        labels.ctypes.data_as(c.c_void_p), c.c_int(k), c.byref(score), c.byref(err))
        self._check(status, err)
        return score.value


def blobs(n=200_000, dim=32, k=8, seed=1):
    """Eight Gaussian clouds that touch: centres 4 N(0, 1), deviation 4."""
    rng = np.random.RandomState(seed)
    centres = (4 * rng.randn(k, dim)).astype(np.float32)
    label = rng.randint(0, k, n)
    return (centres[label] + 4 * rng.randn(n, dim).astype(np.float32)).astype(np.float32)


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def race(rounds=5):
    """The shortest times for the same work, ours and scikit-learn's in turn, in seconds: {work: (ours, theirs)}."""
    import sklearn.cluster as sk
    lib, x = Library(), blobs()
    start = x[:8].copy()
    theirs = sk.KMeans(8, init=start, n_init=1, max_iter=50, tol=0.0, algorithm="lloyd").fit(x)
    predict = lib.kmeans(x, 8, start, 50)[3]
    work = {
        "fit, 50 iterations": (lambda: lib.kmeans(x, 8, start, 50),
                               lambda: sk.KMeans(8, init=start, n_init=1, max_iter=50, tol=0.0, algorithm="lloyd").fit(x)),
        "fit, elkan": (lambda: lib.kmeans(x, 8, start, 50),
                       lambda: sk.KMeans(8, init=start, n_init=1, max_iter=50, tol=0.0, algorithm="elkan").fit(x)),
        "fit, k-means++, tol 1e-4": (lambda: lib.kmeans(x, 8, None, 300, 1e-4),
                                     lambda: sk.KMeans(8, n_init=1, random_state=0, algorithm="lloyd").fit(x)),
        "predict": (lambda: predict(x), lambda: theirs.predict(x)),
    }
    out = {}
    for name, pair in work.items():
        turns = rounds * (8 if name == "predict" else 1)  # milliseconds: any neighbour disturbs them
        out[name] = tuple(min(t) for t in zip(*([seconds(f) for f in pair] for _ in range(turns))))
    return out


def agreement():
    """Share of the points that scikit-learn labels alike from the same start, over k-means and the three linkages; and the
    greatest relative difference of inertia and silhouette."""
    import sklearn.cluster as sk
    import sklearn.metrics as metrics
    lib, same, n, worst = Library(), 0, 0, 0.0
    for size, dim, k, seed in ((2_000, 6, 5, 3), (20_000, 32, 8, 1), (5_000, 100, 20, 4)):
        x = blobs(size, dim, k, seed)
        start = x[:k].copy()
        theirs = sk.KMeans(k, init=start.astype(float), n_init=1, tol=0.0, algorithm="lloyd").fit(x.astype(float))
        labels, inertia, _, _ = lib.kmeans(x, k, start)
        same, n = same + int((labels == theirs.labels_).sum()), n + size
        worst = max(worst, abs(inertia / theirs.inertia_ - 1))
        part = x[:1500]
        truth = metrics.silhouette_score(part.astype(float), theirs.labels_[:1500])
        worst = max(worst, abs(lib.silhouette(part, labels[:1500], k) / truth - 1))
        for linkage in LINKAGES:
            ours, other = lib.hierarchical(part, k, linkage), sk.AgglomerativeClustering(k, linkage=linkage).fit(part.astype(float)).labels_
            pairs = {(a, b) for a, b in zip(ours, other)}  # the numbers of the clusters are arbitrary
            same, n = same + (len(part) if len(pairs) == k else 0), n + len(part)
    return same / n, worst, n


if __name__ == "__main__":
    threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    for name, (ours, theirs) in race(int(sys.argv[1]) if len(sys.argv) > 1 else 5).items():
        print(json.dumps({"case": "kmeans.200kx32.k8", "work": name, "threads": threads, "ours_s": round(ours, 5),
                          "sklearn_s": round(theirs, 5), "ratio": round(theirs / ours, 2)}))
