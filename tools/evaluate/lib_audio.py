"""libbackline's audio/ from Python: pitch, sung notes and features of a signal in memory, by ctypes.

The library is the one that BACKLINE_LIBRARY names (make evaluate sets it). The structs are those of audio/f0.h, notes.h and
features.h of the same tree; a function that was renamed or a struct that changed shows at once as wrong figures.
"""
import ctypes as c
import os

import numpy as np

from common import Missing

FLOATS = c.POINTER(c.c_float)
FEATURES = ["mel", "mel_db", "mfcc", "chroma", "centroid", "bandwidth", "rolloff", "flatness", "contrast", "rms", "zcr", "onset"]


class BlError(c.Structure):
    _fields_ = [("code", c.c_int), ("msg", c.c_char * 480)]


class F0Config(c.Structure):
    _fields_ = [("fmin_hz", c.c_double), ("fmax_hz", c.c_double), ("hop_s", c.c_double)]


class F0Track(c.Structure):
    _fields_ = [("n_frames", c.c_int64), ("hop_s", c.c_double), ("f0_hz", FLOATS), ("voiced", FLOATS), ("rms", FLOATS),
                ("guess_hz", FLOATS), ("above", c.c_float)]


class Note(c.Structure):
    _fields_ = [("onset_s", c.c_double), ("offset_s", c.c_double), ("pitch", c.c_float), ("velocity", c.c_int)]


class Notes(c.Structure):
    _fields_ = [("notes", c.POINTER(Note)), ("n_notes", c.c_int), ("tuning_cents", c.c_float), ("confidence", FLOATS)]


class NotesConfig(c.Structure):
    _fields_ = [("min_note_s", c.c_double)]


class FeatureConfig(c.Structure):
    _fields_ = [("sample_rate", c.c_int), ("n_fft", c.c_int), ("hop_length", c.c_int), ("n_mels", c.c_int),
                ("fmin_hz", c.c_double), ("fmax_hz", c.c_double), ("mel_scale", c.c_int), ("n_mfcc", c.c_int),
                ("n_chroma", c.c_int), ("tuning", c.c_double), ("roll_percent", c.c_double), ("top_db", c.c_double), ("which", c.c_uint)]


class FeatureSet(c.Structure):
    _fields_ = [("n_frames", c.c_int64), ("n_bins", c.c_int), ("n_mels", c.c_int), ("n_mfcc", c.c_int), ("n_chroma", c.c_int),
                ("mel", FLOATS), ("mel_db", FLOATS), ("mfcc", FLOATS), ("chroma", FLOATS), ("contrast", FLOATS),
                ("magnitude", FLOATS), ("centroid", FLOATS), ("bandwidth", FLOATS), ("rolloff", FLOATS), ("flatness", FLOATS),
                ("rms", FLOATS), ("zcr", FLOATS), ("onset", FLOATS), ("memory", FLOATS)]


def _library():
    path = os.environ.get("BACKLINE_LIBRARY")
    if not path or not os.path.exists(path):
        raise Missing("libbackline.so is not built (make lib; BACKLINE_LIBRARY names it)")
    lib = c.CDLL(path)
    error, signal = c.POINTER(BlError), [FLOATS, c.c_int64, c.c_int]
    lib.audio_f0_run.argtypes = signal + [F0Config, c.POINTER(F0Track), error]
    lib.audio_notes_run.argtypes = [c.POINTER(F0Track)] + signal + [NotesConfig, c.POINTER(Notes), error]
    lib.audio_feature_plan_new.argtypes = [c.POINTER(FeatureConfig), error]
    lib.audio_feature_plan_new.restype = c.c_void_p
    lib.audio_feature_plan_run.argtypes = [c.c_void_p, FLOATS, c.c_int64, c.POINTER(FeatureSet), error]
    lib.audio_feature_plan_free.argtypes = [c.c_void_p]
    return lib


_lib = _library()


def _samples(x):
    x = np.ascontiguousarray(x, np.float32)
    return x, x.ctypes.data_as(FLOATS)


def _check(status, err):
    if status:
        raise RuntimeError(err.msg.decode())


def pitch(x, rate, fmin_hz=0, fmax_hz=0):
    """{"hop_s", "f0_hz", "voiced", "rms", "guess_hz"} of one channel."""
    track, err = F0Track(), BlError()
    x, pointer = _samples(x)
    _check(_lib.audio_f0_run(pointer, len(x), rate, F0Config(fmin_hz, fmax_hz, 0), track, err), err)
    out = {k: np.ctypeslib.as_array(getattr(track, k), (track.n_frames,)).copy() for k in ("f0_hz", "voiced", "rms", "guess_hz")}
    out["hop_s"] = track.hop_s
    _lib.audio_f0_free(c.byref(track))
    return out


def notes(x, rate, fmin_hz=0, fmax_hz=0):
    """Sung notes of one channel: (onset s, offset s, pitch) rows, [n, 3], and the tuning in cents."""
    track, found, err = F0Track(), Notes(), BlError()
    x, pointer = _samples(x)
    _check(_lib.audio_f0_run(pointer, len(x), rate, F0Config(fmin_hz, fmax_hz, 0), track, err), err)
    _check(_lib.audio_notes_run(track, pointer, len(x), rate, NotesConfig(0), found, err), err)
    rows = [(found.notes[i].onset_s, found.notes[i].offset_s, found.notes[i].pitch) for i in range(found.n_notes)]
    tuning = found.tuning_cents
    _lib.audio_notes_free(c.byref(found))
    _lib.audio_f0_free(c.byref(track))
    return np.array(rows).reshape(-1, 3), tuning


def features(x, rate, which=0, **config):
    """{name: [rows, T]} of one channel, librosa's names."""
    err, found = BlError(), FeatureSet()
    plan = _lib.audio_feature_plan_new(FeatureConfig(sample_rate=rate, which=which, **config), err)
    _check(not plan, err)
    x, pointer = _samples(x)
    status = _lib.audio_feature_plan_run(plan, pointer, len(x), found, err)
    _lib.audio_feature_plan_free(plan)
    _check(status, err)
    rows = {"mel": found.n_mels, "mel_db": found.n_mels, "mfcc": found.n_mfcc, "chroma": found.n_chroma, "contrast": 7}
    out = {k: np.ctypeslib.as_array(getattr(found, k), (rows.get(k, 1), found.n_frames)).copy()
           for k in FEATURES if getattr(found, k)}
    _lib.audio_features_free(c.byref(found))
    return out
