"""The other half of make bench-listening: aubio, and the definitions in NumPy and SciPy, on the same samples, one thread.

    /usr/bin/python3 tests/bench/listening_peers.py RAW
"""
import sys
import time

import numpy as np
import scipy.fft

RATE, N, HOP, MELS = 44100, 2048, 512, 128


def mel_filters():
    to_hz = lambda m: np.where(m < 15, m * 200 / 3, 1000 * np.exp((m - 15) * np.log(6.4) / 27))
    edges = to_hz(np.linspace(0, 15 + np.log(RATE / 2000) / (np.log(6.4) / 27), MELS + 2))
    f = np.arange(N // 2 + 1) * RATE / N
    low, mid, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    return (np.maximum(0, np.minimum((f - low) / (mid - low), (high - f) / (high - mid))) * 2 / (high - low)).astype(np.float32)


def scipy_parts(x):
    window = np.hanning(N + 1)[:-1].astype(np.float32)
    filters, f = mel_filters(), (np.arange(N // 2 + 1) * RATE / N).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(x, N // 2), N)[::HOP]
    stft = lambda: scipy.fft.rfft(frames * window, axis=1)

    def power():
        s = stft()
        return s.real ** 2 + s.imag ** 2

    mel = lambda: power() @ filters.T
    mel_db = lambda: 10 * np.log10(np.maximum(mel(), 1e-10))

    def centroid():
        a = np.sqrt(power())
        total = a.sum(1) + 1e-12
        c = a @ f / total
        return c, np.sqrt(np.maximum(0, a @ (f * f) / total - c * c))

    def rolloff():
        total = np.cumsum(np.sqrt(power()), axis=1)
        return f[(total >= 0.85 * total[:, -1:]).argmax(1)]

    def flatness():
        p = np.maximum(power(), 1e-10)
        return np.exp(np.log(p).mean(1)) / p.mean(1)

    yield "stft", stft
    yield "mel", mel
    yield "mfcc", lambda: scipy.fft.dct(mel_db(), norm="ortho", axis=1)[:, :20]
    yield "centroid+bandwidth", centroid
    yield "rolloff", rolloff
    yield "flatness", flatness
    yield "rms", lambda: np.sqrt((frames ** 2).mean(1))
    yield "zcr", lambda: (np.signbit(frames[:, 1:]) != np.signbit(frames[:, :-1])).mean(1)
    yield "onset", lambda: np.maximum(0, np.diff(mel_db(), axis=0)).mean(1)


def aubio_parts(x):
    import aubio

    def hops(step, hop=HOP):
        return [step(x[i:i + hop]) for i in range(0, len(x) - hop, hop)]

    def of_spectrum(measure):
        vocoder = aubio.pvoc(N, HOP)
        return hops(lambda piece: measure(vocoder(piece)))

    def mfcc():
        bands = aubio.mfcc(N, 40, 20, RATE)
        return of_spectrum(bands)

    def pitch():
        tracker = aubio.pitch("yinfft", N, RATE // 100, RATE)
        return hops(tracker, RATE // 100)

    yield "stft", lambda: of_spectrum(lambda s: s)
    yield "mel", lambda: of_spectrum(aubio.filterbank(MELS, N))
    yield "mfcc", mfcc
    yield "centroid+bandwidth", lambda: [of_spectrum(aubio.specdesc(kind, N)) for kind in ("centroid", "spread")]
    yield "rolloff", lambda: of_spectrum(aubio.specdesc("rolloff", N))
    yield "onset", lambda: hops(aubio.onset("default", N, HOP, RATE))
    yield "pitch", pitch
    yield "notes and pitch", lambda: hops(aubio.notes("default", N, HOP, RATE))


def measure(by, parts):
    for name, run in parts:
        run()
        times = []
        while len(times) < 3 or (sum(times) < 1 and len(times) < 100):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        times = 1e3 * np.array(times)
        print(f"{name:24} {by:12} {np.median(times):10.1f} {times.min():10.1f} {60e3 / np.median(times):12.0f}", flush=True)


def main():
    x = np.fromfile(sys.argv[1], np.float32)
    measure("SciPy", scipy_parts(x))
    try:
        measure("aubio", aubio_parts(x))
    except ImportError:
        print("aubio is not installed (python3-aubio)")


main()
