"""Real singing with exactly known pitch: a recording is analysed, then sung again by harmonics at the analysed pitch.

The idea of MDB-stem-synth (Salamon et al., "An analysis/synthesis framework for automatic f0 annotation of multitrack
datasets", ISMIR 2017): whatever the analysis found, right or wrong, *is* the pitch of the result. Harmonics take the
amplitudes they have in the recording; between them, and where nothing is voiced, noise with the recording's own spectral
envelope stays (breath, consonants). The analysis is Boersma's autocorrelation method (Praat, 1993), so that it shares nothing
with the trackers that are judged.
"""
import numpy as np
import scipy.ndimage
import scipy.signal

HOP_S = 0.010
FLOOR_HZ, CEILING_HZ = 65.0, 1000.0
CANDIDATES = 12
SILENCE, VOICING, OCTAVE, JUMP, SWITCH = 0.03, 0.5, 0.02, 0.35, 0.14  # Praat's costs, voicing a little stricter


def frames(x, rate, length):
    """[T, length], frame t centred on t*HOP_S, zeros outside."""
    n = int(len(x) / rate / HOP_S) + 1
    padded = np.pad(x, (length // 2, length))
    start = np.round(np.arange(n) * HOP_S * rate).astype(int)
    return padded[start[:, None] + np.arange(length)]


def candidates(x, rate):
    """Strengths and pitches of each frame's best autocorrelation peaks, [T, CANDIDATES]; and how loud the frame is, 0..1."""
    length = int(3 * rate / FLOOR_HZ)
    size = 1 << int(np.ceil(np.log2(1.5 * length)))
    window = np.hanning(length)
    f = frames(x, rate, length)
    f = f - f.mean(1, keepdims=True)
    peak = np.abs(f).max(1)
    r = np.fft.irfft(np.abs(np.fft.rfft(f * window, size)) ** 2)[:, :length]
    w = np.fft.irfft(np.abs(np.fft.rfft(window, size)) ** 2)[:length]
    r = r / np.maximum(r[:, :1], 1e-12) / (w / w[0])
    low, high = int(rate / CEILING_HZ), int(rate / FLOOR_HZ)
    mid, before, after = r[:, low:high], r[:, low - 1:high - 1], r[:, low + 1:high + 1]
    is_peak = (mid > before) & (mid >= after)
    curve = before - 2 * mid + after
    shift = np.where(is_peak, 0.5 * (before - after) / np.where(curve < 0, curve, -1), 0)
    lag = np.arange(low, high) + shift
    height = np.minimum(mid - 0.25 * (before - after) * shift, 1)
    strength = np.where(is_peak, height - OCTAVE * np.log2(FLOOR_HZ * lag / rate), -9)
    best = np.argsort(-strength, axis=1)[:, :CANDIDATES]
    rows = np.arange(len(f))[:, None]
    return strength[rows, best], rate / lag[rows, best], peak / max(peak.max(), 1e-9)


def analyse(x, rate):
    """Pitch in hertz every HOP_S, 0 where unvoiced."""
    strength, hz, loud = candidates(x, rate)
    silent = VOICING + np.maximum(0, 2 - loud / SILENCE * (1 + VOICING))
    score = np.concatenate([strength, silent[:, None]], axis=1)
    log_hz = np.log2(hz)
    total, came = score[0].copy(), np.zeros(score.shape, int)
    for t in range(1, len(score)):
        cost = np.full((CANDIDATES + 1, CANDIDATES + 1), SWITCH)
        cost[:-1, :-1] = JUMP * np.abs(log_hz[t - 1][:, None] - log_hz[t][None, :])
        cost[-1, -1] = 0
        ways = total[:, None] - cost
        came[t] = ways.argmax(0)
        total = ways.max(0) + score[t]
    f0, at = np.zeros(len(score)), total.argmax()
    for t in range(len(score) - 1, -1, -1):
        f0[t] = hz[t, at] if at < CANDIDATES else 0
        at = came[t, at]
    return f0


def runs(voiced):
    """(first, end) of the stretches where voiced is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], voiced.astype(int), [0]])))
    return edges.reshape(-1, 2)


def smooth(f0):
    """Without stretches under 60 ms, and without jitter a singer cannot make; vibrato stays."""
    out = np.zeros_like(f0)
    for a, b in runs(f0 > 0):
        if b - a < 6:
            continue
        semitones = 12 * np.log2(f0[a:b])
        semitones = scipy.signal.medfilt(np.pad(semitones, 2, mode="edge"), 5)[2:-2]
        kernel = np.hanning(7)[1:-1] / np.hanning(7).sum()
        out[a:b] = 2 ** (np.convolve(np.pad(semitones, 2, mode="edge"), kernel, mode="valid") / 12)
    return out


def noise_part(x, rate, f0, rng):
    """Noise under the recording's spectral envelope: all of it where unvoiced, 30 dB below the harmonics elsewhere."""
    size = 1 << int(np.ceil(np.log2(0.03 * rate)))
    hop = size // 4
    _, times, spectrum = scipy.signal.stft(x, rate, nperseg=size, noverlap=size - hop)
    envelope = scipy.ndimage.uniform_filter1d(np.abs(spectrum), max(3, int(400 * size / rate)), axis=0)
    voiced = f0[np.minimum((times / HOP_S).round().astype(int), len(f0) - 1)] > 0
    phases = np.exp(2j * np.pi * rng.random(spectrum.shape))
    _, y = scipy.signal.istft(envelope * phases * np.where(voiced, 10 ** (-30 / 20), 1.0), rate, nperseg=size, noverlap=size - hop)
    return np.pad(y, (0, max(0, len(x) - len(y))))[:len(x)]


def resynthesise(x, rate, seed=1):
    """(signal, f0): the recording sung again, and its exact pitch every HOP_S (0: unvoiced)."""
    x = np.asarray(x, float)
    f0 = smooth(analyse(x, rate))
    length = int(0.04 * rate) & ~1
    window = np.hanning(length + 1)[:-1]
    size = 1 << int(np.ceil(np.log2(2 * length)))
    magnitude = np.abs(np.fft.rfft(frames(x, rate, length) * window, size)) * 2 / window.sum()
    y = np.zeros(len(x))
    grid = np.arange(len(x)) / rate / HOP_S
    for a, b in runs(f0 > 0):
        first, end = max(0, int((a - 0.5) * HOP_S * rate)), min(len(x), int((b - 0.5) * HOP_S * rate))
        at = grid[first:end]
        hz = np.interp(at, np.arange(a, b), f0[a:b])
        phase = 2 * np.pi * np.cumsum(hz) / rate
        fade = np.minimum(1, np.minimum(np.arange(end - first), np.arange(end - first)[::-1]) / (0.005 * rate))
        for k in range(1, int(min(40, 0.45 * rate / f0[a:b].max(), 10000 / f0[a:b].min())) + 1):
            bins = k * f0[a:b] * size / rate
            near = np.round(bins[:, None] + np.linspace(-0.3, 0.3, 5) * (f0[a:b] * size / rate)[:, None]).astype(int)
            level = magnitude[np.arange(a, b)[:, None], np.minimum(near, magnitude.shape[1] - 1)].max(1)
            y[first:end] += fade * np.interp(at, np.arange(a, b), level) * np.cos(k * phase)
    return y + noise_part(x, rate, f0, np.random.default_rng(seed)), f0
