"""Fundamental frequency and voicing, every 10 ms, within 50 cents (mir_eval.melody).

Material: vocadito_1 with its hand-corrected pitch, and real singing sung again with exactly known pitch (lib_resynth.py), clean
and at 10 dB SNR with white, pink and band-passed (200 to 3400 Hz) noise and with instruments behind the voice. REPORTED is
judged; the constants of audio/f0.c and the peers' voicing thresholds were chosen with TUNING in view.
"""
import pathlib
import subprocess

import aubio
import mir_eval
import numpy as np
import scipy.signal
import soundfile

import lib_audio
import lib_resynth
from common import Row

HERE = pathlib.Path(__file__).resolve().parent
TUNING = ["gtsinger/ZH-Alto-1/00_Breathy", "gtsinger/ZH-Alto-1/04_Vibrato", "gtsinger/ZH-Tenor-1/06_Glissando",
          "gtsinger/ZH-Tenor-1/09_Control", "gtsinger/JA-Tenor-1/44_Control", "gtsinger/KO-Soprano-1/52_Control"]
REPORTED = ["vocadito_1", "nit_song070_f001_004", "nit_song070_f001_007", "sms_singing-female", "gtsinger/DE-Tenor-1/17_Control",
            "gtsinger/DE-Tenor-1/20_Falsetto", "gtsinger/EN-Alto-2/11_Control", "gtsinger/EN-Alto-2/14_Vibrato",
            "gtsinger/ES-Soprano-1/35_Control", "gtsinger/ES-Soprano-1/36_Pharyngeal", "gtsinger/FR-Soprano-1/28_Breathy",
            "gtsinger/FR-Soprano-1/30_Control", "gtsinger/IT-Bass-2/39_Control", "gtsinger/IT-Soprano-1/38_Breathy",
            "gtsinger/IT-Soprano-1/40_Control", "gtsinger/KO-Soprano-2/49_Control", "gtsinger/RU-Alto-1/24_Glissando",
            "gtsinger/RU-Alto-1/26_Pharyngeal"]
BAND = "midi/freedoom/d_e1m4.mid"   # drums, bass, guitars
SNR_DB = 10
FLOORS = {"RPA": 0.96, "RCA": 0.97, "OA": 0.93}
FLOOR_NOISY_RPA = 0.90
CREPE = ("CREPE (published)", 0.97)  # RPA at 50 cents on MDB-stem-synth, Kim et al., ICASSP 2018


def ours(x, rate):
    p = lib_audio.pitch(x, rate)
    return np.where(p["f0_hz"] > 0, p["f0_hz"], -p["guess_hz"])


def aubio_pitch(method, threshold):
    """aubio's tracker every 10 ms; what it is less sure of than the threshold counts as unvoiced. yinfft tells no useful
    confidence, but answers 0 Hz where it finds no pitch; yin's threshold is the best one on TUNING."""
    def run(x, rate):
        hop, size = rate // 100, 2048
        tracker = aubio.pitch(method, size, hop, rate)
        tracker.set_unit("Hz")
        tracker.set_silence(-60)
        padded = np.pad(np.asarray(x, np.float32), (0, size))
        found = []
        for i in range(len(x) // hop + size // 2 // hop + 1):
            hz = float(tracker(padded[i * hop:(i + 1) * hop])[0])
            found.append(hz if tracker.get_confidence() >= threshold else -hz)
        return np.array(found[size // 2 // hop - 1:])  # a frame ends with the newest hop, its middle is half a window earlier
    return run


def constant(reference_hz):
    """The dumbest answer: everything voiced, at the middle pitch of the recordings."""
    return lambda x, rate: np.full(len(x) * 100 // rate + 1, reference_hz)


TRACKERS = {"ours": ours, "aubio yinfft": aubio_pitch("yinfft", -np.inf), "aubio yin": aubio_pitch("yinfast", 0.7),
            "constant": constant(260.0)}


def score(truth, estimate):
    """RPA, RCA, OA of (times, hertz) against an estimate every 10 ms."""
    times, hz = truth
    found = mir_eval.melody.evaluate(times, hz, np.arange(len(estimate)) * 0.01, estimate)
    return np.array([found["Raw Pitch Accuracy"], found["Raw Chroma Accuracy"], found["Overall Accuracy"]])


def pink(n, rng):
    spectrum = np.fft.rfft(rng.standard_normal(n))
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), n)


def band_passed(n, rate, rng):
    return scipy.signal.sosfilt(scipy.signal.butter(4, [200, 3400], "bandpass", fs=rate, output="sos"), rng.standard_normal(n))


def instruments(ctx):
    """A band's song, rendered once: (samples, rate)."""
    out = ctx.work / "pitch_band.wav"
    if not out.exists():
        subprocess.run(["fluidsynth", "-ni", "-q", "-r", "44100", "-F", str(out), "/usr/share/sounds/sf2/TimGM6mb.sf2",
                        str(ctx.need(BAND))], check=True, stdout=subprocess.DEVNULL)
    x, rate = soundfile.read(out)
    return x.mean(1), rate


def noises(ctx):
    band, band_rate = instruments(ctx)

    def behind(n, rate, rng):
        need = int(n * band_rate / rate) + 1
        first = rng.integers(band_rate * 5, len(band) - need)
        return scipy.signal.resample(band[first:first + need], int(need * rate / band_rate) + 1)[:n]
    return {"white noise": lambda n, rate, rng: rng.standard_normal(n), "pink noise": lambda n, rate, rng: pink(n, rng),
            "band-passed noise": band_passed, "a band behind": behind}


def add(y, f0, rate, noise, rng):
    """y with noise, SNR_DB below the mean power of the voiced part."""
    voiced = np.repeat(f0 > 0, rate // 100)[:len(y)]
    power = np.mean(y[:len(voiced)][voiced] ** 2)
    added = noise(len(y), rate, rng)
    return y + added * np.sqrt(power / np.mean(added ** 2) / 10 ** (SNR_DB / 10))


def resynthesised(ctx, names):
    """(samples, rate, pitch every 10 ms) of each recording sung again; done once."""
    for name in names:
        path = ctx.need("vocals", name + ".flac")
        kept = ctx.work / ("resynthesised_" + name.replace("/", "_") + ".npz")
        if not kept.exists() or kept.stat().st_mtime < (HERE / "lib_resynth.py").stat().st_mtime:
            x, rate = soundfile.read(path)
            y, f0 = lib_resynth.resynthesise(x, rate)
            np.savez(kept, y=y.astype(np.float32), rate=rate, f0=f0)
        with np.load(kept) as k:
            yield k["y"], int(k["rate"]), k["f0"]


def measure(ctx, names):
    """{condition: {tracker: mean of RPA, RCA, OA over recordings}}."""
    found = {}
    kinds = {"clean": None} | noises(ctx)
    for i, (y, rate, f0) in enumerate(resynthesised(ctx, names)):
        truth = np.arange(len(f0)) * lib_resynth.HOP_S, f0
        for k, (kind, noise) in enumerate(kinds.items()):
            signal = y if noise is None else add(y, f0, rate, noise, np.random.default_rng(100 * i + k))
            for tracker, run in TRACKERS.items():
                found.setdefault(kind, {}).setdefault(tracker, []).append(score(truth, run(signal, rate)))
    return {kind: {tracker: np.mean(v, axis=0) for tracker, v in by.items()} for kind, by in found.items()}


def rows(material, n, by, floors):
    for i, metric in enumerate(["RPA", "RCA", "OA"]):
        yield Row("pitch", material, metric, n, float(by["ours"][i]), floors.get(metric),
                  peer=[("aubio yinfft", by["aubio yinfft"][i]), ("aubio yin", by["aubio yin"][i])]
                  + ([CREPE] if metric == "RPA" and material.endswith("clean") else []),
                  baseline=("constant", by["constant"][i]), ceiling=1.0)


def run(ctx):
    x, rate = soundfile.read(ctx.need("vocals", "vocadito_1.flac"))
    truth = np.loadtxt(ctx.need("vocals", "vocadito_1_f0.csv"), delimiter=",")
    by = {tracker: score((truth[:, 0], truth[:, 1]), track(x, rate)) for tracker, track in TRACKERS.items()}
    yield from rows("vocadito_1, annotated", 1, by, FLOORS)
    for kind, by in measure(ctx, REPORTED).items():
        clean = kind == "clean"
        yield from rows("resynthesised singing, " + (kind if clean else f"{kind}, {SNR_DB} dB"), len(REPORTED), by,
                        FLOORS if clean else {"RPA": FLOOR_NOISY_RPA})
