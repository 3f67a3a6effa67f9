#!/usr/bin/python3
"""Golden values of support vector classification from scikit-learn (libsvm).

Writes tests/golden/svm.txt: blocks of "name rows columns" and then the numbers. Decision values are one-vs-one with
libsvm's sign: positive means the first class of the pair.
"""
import numpy as np
from sklearn.calibration import _sigmoid_calibration
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC


def write(f, name, a):
    a = np.atleast_2d(np.asarray(a, dtype=np.float64))
    f.write(f"{name} {a.shape[0]} {a.shape[1]}\n")
    for row in a:
        f.write(" ".join(f"{v:.12g}" for v in row) + "\n")


def couple(r):
    """Wu, Lin & Weng 2004, second method, by a linear system instead of the iteration."""
    k = len(r)
    q = np.array([[sum(r[j, i] ** 2 for j in range(k) if j != i) if i == t else -r[t, i] * r[i, t]
                   for t in range(k)] for i in range(k)])
    a = np.block([[q, np.ones((k, 1))], [np.ones((1, k)), np.zeros((1, 1))]])
    return np.linalg.solve(a, np.append(np.zeros(k), 1))[:k]


rng = np.random.default_rng(3)
sizes = (50, 30, 20, 40)
x = np.concatenate([rng.normal(size=(n, 5)) + rng.normal(size=5) * 1.1 for n in sizes])
x *= np.array([1, 3, 0.2, 1, 10])
x = x.astype(np.float32)
y = np.repeat(np.arange(4), sizes)
p = rng.permutation(len(x))
x, y = x[p], y[p]
test = (rng.normal(size=(25, 5)) * 1.5 * np.array([1, 3, 0.2, 1, 10])).astype(np.float32)
scaler = StandardScaler().fit(x.astype(np.float64))
xs, ts = [scaler.transform(v.astype(np.float64)).astype(np.float32).astype(np.float64) for v in (x, test)]
with open("tests/golden/svm.txt", "w") as f:
    write(f, "x", x)
    write(f, "y", y)
    write(f, "test", test)
    for name, opt in (("rbf", dict(kernel="rbf", C=10.0, gamma=0.2)), ("linear", dict(kernel="linear", C=0.5)),
                      ("balanced", dict(kernel="rbf", C=1.0, gamma=0.5, class_weight="balanced"))):
        m = SVC(tol=1e-10, decision_function_shape="ovo", **opt).fit(xs, y)
        write(f, name + "_decision", m.decision_function(ts))
        write(f, name + "_labels", m.predict(ts))
        write(f, name + "_n_support", m.n_support_)
    r = np.zeros((4, 4))
    for i in range(4):
        for j in range(i + 1, 4):
            r[i, j] = rng.uniform(0.05, 0.95)
            r[j, i] = 1 - r[i, j]
    write(f, "pairwise", r)
    write(f, "coupled", couple(r))
    # Platt's sigmoid by another optimiser (BFGS), on decisions that overlap and on ones that do not.
    for name, gap in (("overlap", 1.0), ("apart", 6.0)):
        f_y = np.where(rng.uniform(size=80) < 0.3, 1, -1)
        f_x = gap * f_y / 2 + rng.normal(size=80)
        a_b = _sigmoid_calibration(f_x, f_y)
        write(f, f"{name}_f", f_x)
        write(f, f"{name}_y", f_y)
        write(f, f"{name}_ab", a_b)
    # libsvm's own probabilities with libsvm's own A and B.
    m = SVC(tol=1e-10, kernel="rbf", C=10.0, gamma=0.2, probability=True, random_state=0).fit(xs, y)
    write(f, "libsvm_a", m.probA_)
    write(f, "libsvm_b", m.probB_)
    write(f, "libsvm_probability", m.predict_proba(ts))
