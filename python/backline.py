"""backline from Python: networks from an .ini on NumPy arrays. Needs libbackline.so (make install) and NumPy, nothing else.

    import backline, numpy as np
    model = backline.Model("configs/networks/wavegan.ini", "generator")
    model.read_weights("checkpoints/wavegan.h5", "average/")
    wave = model(np.random.uniform(-1, 1, (4, 100)))        # one array for each input, batch first

The library is looked for where BACKLINE_LIBRARY says, then where the loader looks (ldconfig, LD_LIBRARY_PATH).
"""
import ctypes as c
import os

import numpy as np

RANK = 4  # NN_MODEL_RANK


def _library():
    lib = c.CDLL(os.environ.get("BACKLINE_LIBRARY", "libbackline.so.0"))
    text, number, handle, dims = c.c_char_p, c.c_int, c.c_void_p, c.POINTER(c.c_int64)
    floats = c.POINTER(c.c_float)
    for name, result, arguments in (
        ("load", handle, (text, text, text, c.c_size_t)),
        ("parse", handle, (text, text, text, c.c_size_t)),
        ("free", None, (handle,)),
        ("error", text, (handle,)),
        ("version", text, ()),
        ("draw_weights", None, (handle, c.c_uint64)),
        ("read_weights", number, (handle, text, text)),
        ("import_weights", number, (handle, text)),
        ("n_parameters", number, (handle,)),
        ("parameter_name", text, (handle, number)),
        ("parameter_shape", number, (handle, number, dims)),
        ("parameter", floats, (handle, number)),
        ("n_inputs", number, (handle,)),
        ("n_outputs", number, (handle,)),
        ("input_name", text, (handle, number)),
        ("set_input", number, (handle, number, number, dims, floats)),
        ("run", number, (handle,)),
        ("output_shape", number, (handle, number, dims)),
        ("get_output", number, (handle, number, floats)),
    ):
        function = getattr(lib, "nn_model_" + name)
        function.restype, function.argtypes = result, arguments
    return lib


_lib = _library()
version = _lib.nn_model_version().decode()


class Error(Exception):
    """What went wrong, in one sentence."""


class Model:
    """A network of an .ini: a file's path, or the text itself with parse=True."""

    def __init__(self, ini, section, parse=False):
        error = c.create_string_buffer(300)
        make = _lib.nn_model_parse if parse else _lib.nn_model_load
        self._m = make(os.fspath(ini).encode(), section.encode(), error, len(error))
        if not self._m:
            raise Error(error.value.decode())
        self.inputs = [_lib.nn_model_input_name(self._m, i).decode() for i in range(_lib.nn_model_n_inputs(self._m))]

    def __del__(self):
        if getattr(self, "_m", None):
            _lib.nn_model_free(self._m)
            self._m = None

    def _check(self, code):
        if code:
            raise Error(_lib.nn_model_error(self._m).decode())

    def draw_weights(self, seed):
        _lib.nn_model_draw_weights(self._m, seed)

    def read_weights(self, path, prefix=""):
        """From a checkpoint of backline."""
        self._check(_lib.nn_model_read_weights(self._m, os.fspath(path).encode(), prefix.encode()))

    def import_weights(self, path):
        """From a state dict of PyTorch or a Keras file, in HDF5."""
        self._check(_lib.nn_model_import_weights(self._m, os.fspath(path).encode()))

    @property
    def parameters(self):
        """Name -> array. The arrays are the model's own memory: writing to them changes the model."""
        out = {}
        for i in range(_lib.nn_model_n_parameters(self._m)):
            dims = (c.c_int64 * RANK)()
            rank = _lib.nn_model_parameter_shape(self._m, i, dims)
            shape = tuple(dims[:rank])
            view = np.ctypeslib.as_array(_lib.nn_model_parameter(self._m, i), shape=shape or (1,))
            out[_lib.nn_model_parameter_name(self._m, i).decode()] = view.reshape(shape)
        return out

    def __call__(self, *arrays):
        """One array for each input, batch first; returns one array, or a tuple where the network has several outputs."""
        if len(arrays) != len(self.inputs):
            raise Error("expected %d inputs (%s), got %d" % (len(self.inputs), ", ".join(self.inputs), len(arrays)))
        for i, array in enumerate(arrays):
            a = np.ascontiguousarray(array, dtype=np.float32)
            dims = (c.c_int64 * max(a.ndim, 1))(*a.shape)
            self._check(_lib.nn_model_set_input(self._m, i, a.ndim, dims, a.ctypes.data_as(c.POINTER(c.c_float))))
        self._check(_lib.nn_model_run(self._m))
        out = []
        for i in range(_lib.nn_model_n_outputs(self._m)):
            dims = (c.c_int64 * RANK)()
            rank = _lib.nn_model_output_shape(self._m, i, dims)
            y = np.empty(tuple(dims[:rank]), dtype=np.float32)
            self._check(_lib.nn_model_get_output(self._m, i, y.ctypes.data_as(c.POINTER(c.c_float))))
            out.append(y)
        return out[0] if len(out) == 1 else tuple(out)
