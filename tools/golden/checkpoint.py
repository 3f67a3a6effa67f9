"""Small HDF5 files for tests/nn/test_checkpoint.c, written by h5py: a valid checkpoint, and files that are almost one.
Run with /usr/bin/python3 from the root of the repository (Debian 12: h5py 3.7.0, HDF5 1.10.8)."""
import h5py
import numpy as np

FOLDER = "tests/golden/"
MARK = b"fnv1a64:"


def fnv1a64(data):
    h = 0xcbf29ce484222325
    for byte in data:
        h = ((h ^ byte) * 0x100000001b3) & 0xffffffffffffffff
    return h


def stamp(path):
    data = bytearray(open(path, "rb").read())
    at = data.index(MARK) + len(MARK)
    data[at:at + 16] = b"0" * 16
    data[at:at + 16] = b"%016x" % fnv1a64(data)
    open(path, "wb").write(data)


def start(name, version=1, kind="segmenter"):
    f = h5py.File(FOLDER + name, "w")
    f.attrs["checksum"] = np.array(MARK + b"0" * 16, dtype="S24")
    if version is not None:
        f.attrs["format_version"] = np.int64(version)
    if kind is not None:
        f.attrs["kind"] = kind
    return f


def write(name, fill, **keys):
    with start(name, **keys) as f:
        fill(f)
    stamp(FOLDER + name)


def valid(f):
    f["kmeans/centroids"] = np.arange(12, dtype="<f4").reshape(3, 4) / 8
    f["kmeans/counts"] = np.array([5, -6, 7], dtype="<i8")
    f["kmeans/inertia"] = np.float64(0.1)
    f.attrs["classes"] = ["drums", "bass", "piano"]
    f.attrs["step"] = np.int64(1234)


def huge(f):  # a dataset that claims 4 TB in a file of some kilobytes
    f.create_dataset("kmeans/centroids", shape=(1 << 40,), dtype="<f4", chunks=(1024,), compression="gzip")


def texts(f):
    f["names"] = np.array([b"a", b"b"], dtype="S1")


write("checkpoint_valid.h5", valid)
write("checkpoint_version_2.h5", valid, version=2)
write("checkpoint_no_kind.h5", valid, kind=None)
write("checkpoint_huge.h5", huge)
write("checkpoint_texts.h5", texts)
with h5py.File(FOLDER + "checkpoint_foreign.h5", "w") as g:
    g["x"] = np.zeros(3)
