#!/usr/bin/python3
"""Golden values of k-means, silhouette and agglomerative clustering from scikit-learn and scipy.

Writes tests/golden/kmeans.txt: blocks of "name rows columns" and then the numbers.
"""
import numpy as np
from scipy.cluster.hierarchy import linkage
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.metrics import silhouette_score


def write(f, name, a):
    a = np.atleast_2d(np.asarray(a, dtype=np.float64))
    f.write(f"{name} {a.shape[0]} {a.shape[1]}\n")
    for row in a:
        f.write(" ".join(f"{v:.9g}" for v in row) + "\n")


rng = np.random.default_rng(7)
centres = rng.normal(size=(5, 6)) * 2.2
x = np.concatenate([c + rng.normal(size=(n, 6)) * s for c, n, s in
                    zip(centres, (40, 25, 50, 15, 30), (0.6, 1.1, 0.8, 0.4, 1.3))]).astype(np.float32)
x = x[rng.permutation(len(x))]
start = x[rng.choice(len(x), 5, replace=False)]
with open("tests/golden/kmeans.txt", "w") as f:
    write(f, "x", x)
    write(f, "start", start)
    km = KMeans(5, init=start.astype(np.float64), n_init=1, algorithm="lloyd", tol=0, max_iter=300).fit(x.astype(np.float64))
    write(f, "centroids", km.cluster_centers_)
    write(f, "labels", km.labels_)
    write(f, "inertia", km.inertia_)
    write(f, "silhouette", silhouette_score(x.astype(np.float64), km.labels_))
    best = KMeans(5, n_init=50, random_state=0).fit(x.astype(np.float64))
    write(f, "best_inertia", best.inertia_)
    for name in ("ward", "average", "complete"):
        z = linkage(x.astype(np.float64), name)
        write(f, name + "_heights", z[:, 2])
        write(f, name + "_sizes", z[:, 3])
        for k in (2, 5, 9):
            write(f, f"{name}_labels_{k}", AgglomerativeClustering(k, linkage=name).fit(x.astype(np.float64)).labels_)
