"""The spectral features of real recordings against tools/golden/features.py, which is written from librosa's definitions in numpy.

The error of a value is relative to its own magnitude, or to a thousandth of the feature's largest magnitude where it is smaller
(MFCC and decibels cross zero). A row shows the largest error over all frames of all recordings of one sample rate.
"""
import importlib.util
import pathlib

import numpy as np
import scipy.signal
import soundfile

import lib_audio
from common import Row

SECONDS = 20
FLOOR = 1e-4
SETTINGS = {"NFFT": 2048, "HOP": 512, "NMELS": 128}
MATERIAL = {   # rate the features are computed at: (recording, seconds to skip)
    44100: [("vocals/vocadito_1.flac", 0), ("songs/mixed/Jonathan_Coulton_-_Code_Monkey.ogg", 20),
            ("songs/mixed/Kevin_MacLeod_-_Vibe_Ace.ogg", 5), ("songs/stems_4.Potassium/drums.flac", 0)],
    48000: [("vocals/nit_song070_f001_004.flac", 0), ("vocals/gtsinger/IT-Soprano-1/40_Control.flac", 0),
            ("songs/mixed/ancientbeast_Incub_by_byrum.ogg", 10)],
    22050: [("songs/mixed/Jonathan_Coulton_-_Flickr.mp3", 20), ("vocals/sms_singing-female.flac", 0)],
}
ASKED = ["mfcc", "mel", "mel_db", "chroma", "centroid", "bandwidth", "rolloff", "zcr", "contrast", "onset", "flatness", "rms"]


def definitions():
    """The script of the golden values as a module."""
    path = pathlib.Path(__file__).resolve().parent.parent / "golden" / "features.py"
    spec = importlib.util.spec_from_file_location("golden_features", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def excerpt(ctx, name, skip, rate):
    """SECONDS of one channel as float32, at the wanted rate."""
    path = ctx.need(name)
    with soundfile.SoundFile(path) as f:
        f.seek(int(skip * f.samplerate))
        x, own = f.read(int(SECONDS * f.samplerate), always_2d=True).mean(1), f.samplerate
    return (x if own == rate else scipy.signal.resample_poly(x, rate, own)).astype(np.float32)


def error(ours, truth):
    truth = np.atleast_2d(truth)
    scale = np.maximum(np.abs(truth), 1e-3 * np.abs(truth).max())
    return float((np.abs(ours - truth) / np.where(scale > 0, scale, 1)).max())


def run(ctx):
    golden = definitions()
    for name, value in SETTINGS.items():
        setattr(golden, name, value)
    for rate, recordings in MATERIAL.items():
        golden.SR = rate
        worst = {}
        for name, skip in recordings:
            x = excerpt(ctx, name, skip, rate)
            found = lib_audio.features(x, rate, n_fft=2048, hop_length=512, n_mels=128, n_mfcc=13, tuning=0.1)
            for feature, truth in golden.all_features(x.astype(np.float64)).items():
                worst[feature] = max(worst.get(feature, 0), error(found[feature], truth))
        for feature in ASKED:
            yield Row("features", f"recordings at {rate} Hz", f"{feature}, largest relative error", len(recordings), worst[feature],
                      FLOOR, ceiling=0, lower_is_better=True)
