#!/usr/bin/python3
"""Golden values for tests/audio/test_features.c and test_stft.c, written from librosa's definitions in numpy.

    /usr/bin/python3 tools/golden/features.py        (Debian 12: numpy 1.24, scipy 1.10)

Writes tests/golden/features.txt (name, rows, columns, values) for the signal that test_signal() makes in both
languages, and tests/golden/filters.txt for the biquads of audio/mix.h (scipy.signal.freqz of the RBJ cookbook).
"""
import numpy as np, scipy.fft, scipy.signal, os

SR, N, NFFT, HOP, NMELS = 22050, 9000, 1024, 256, 40


def test_signal():
    """Two decaying tones, a click and noise from a 32-bit congruential generator; exact in float32."""
    t = np.arange(N) / SR
    x = 0.5 * np.sin(2 * np.pi * 440 * t) * np.exp(-4 * t) + 0.25 * np.sin(2 * np.pi * 1318.5 * t) * (t > 0.2)
    s, noise = 12345, np.empty(N)
    for i in range(N):
        s = (s * 1664525 + 1013904223) % 2 ** 32
        noise[i] = s / 2 ** 31 - 1
    x += 0.01 * noise
    x[6000] += 0.9
    return x.astype(np.float32).astype(np.float64)


def frames(x, mode):
    p = np.pad(x, NFFT // 2, mode=mode)
    n = 1 + (len(p) - NFFT) // HOP
    return np.stack([p[i * HOP:i * HOP + NFFT] for i in range(n)], axis=1)


def stft(x, mode="constant"):
    w = scipy.signal.get_window("hann", NFFT, fftbins=True)[:, None]
    return np.fft.rfft(frames(x, mode) * w, axis=0)


def mel_frequencies(n, fmin, fmax, htk):
    def to_mel(f):
        if htk:
            return 2595.0 * np.log10(1.0 + f / 700.0)
        return f / (200.0 / 3) if f < 1000 else 15 + np.log(f / 1000) / (np.log(6.4) / 27)

    def to_hz(m):
        if htk:
            return 700.0 * (10 ** (m / 2595.0) - 1)
        return np.where(m < 15, m * 200.0 / 3, 1000 * np.exp(np.log(6.4) / 27 * (m - 15)))
    return to_hz(np.linspace(to_mel(fmin), to_mel(fmax), n))


def mel_filters(n_mels, fmin, fmax, htk, norm):
    fft_hz = np.fft.rfftfreq(NFFT, 1 / SR)
    mel_hz = mel_frequencies(n_mels + 2, fmin, fmax, htk)
    diff = np.diff(mel_hz)
    ramps = np.subtract.outer(mel_hz, fft_hz)
    w = np.zeros((n_mels, len(fft_hz)))
    for i in range(n_mels):
        w[i] = np.maximum(0, np.minimum(-ramps[i] / diff[i], ramps[i + 2] / diff[i + 1]))
    if norm:
        w *= (2.0 / (mel_hz[2:] - mel_hz[:-2]))[:, None]
    return w


def power_to_db(s, top_db=80.0):
    d = 10 * np.log10(np.maximum(1e-10, s))
    return np.maximum(d, d.max() - top_db)


def chroma_filters(n_chroma, tuning):
    hz = np.linspace(0, SR, NFFT, endpoint=False)[1:]
    a440 = 440.0 * 2.0 ** (tuning / n_chroma)
    q = n_chroma * np.log2(hz / (a440 / 16))
    q = np.concatenate(([q[0] - 1.5 * n_chroma], q))
    width = np.concatenate((np.maximum(q[1:] - q[:-1], 1.0), [1]))
    d = np.subtract.outer(q, np.arange(n_chroma)).T
    half = np.round(n_chroma / 2)
    d = np.remainder(d + half + 10 * n_chroma, n_chroma) - half
    w = np.exp(-0.5 * (2 * d / width) ** 2)
    w /= np.sqrt((w ** 2).sum(0))
    w *= np.exp(-0.5 * ((q / n_chroma - 5.0) / 2.0) ** 2)
    w = np.roll(w, -3 * (n_chroma // 12), axis=0)
    return w[:, :NFFT // 2 + 1]


def contrast(S, hz, fmin=200.0, n_bands=6, quantile=0.02):
    edge = np.zeros(n_bands + 2)
    edge[1:] = fmin * 2.0 ** np.arange(n_bands + 1)
    valley, peak = np.zeros((n_bands + 1, S.shape[1])), np.zeros((n_bands + 1, S.shape[1]))
    for k, (lo, hi) in enumerate(zip(edge[:-1], edge[1:])):
        band = (hz >= lo) & (hz <= hi)
        i = np.flatnonzero(band)
        if k > 0:
            band[i[0] - 1] = True
        if k == n_bands:
            band[i[-1] + 1:] = True
        sub = S[band]
        if k < n_bands:
            sub = sub[:-1]
        m = int(np.maximum(np.rint(quantile * band.sum()), 1))
        order = np.sort(sub, axis=0)
        valley[k], peak[k] = order[:m].mean(0), order[-m:].mean(0)
    return power_to_db(peak) - power_to_db(valley)


def zcr(x):
    f = frames(x, "edge").copy()
    f[np.abs(f) <= 1e-10] = 0
    sign = np.signbit(f)
    return (sign[1:] != sign[:-1]).sum(0) / NFFT


def onset(mel_db):
    rise = np.maximum(0, mel_db[:, 1:] - mel_db[:, :-1]).mean(0)
    return np.concatenate((np.zeros(1 + NFFT // (2 * HOP)), rise))[:mel_db.shape[1]]


def all_features(x):
    S = np.abs(stft(x))
    P, hz = S ** 2, np.fft.rfftfreq(NFFT, 1 / SR)[:, None]
    mel = mel_filters(NMELS, 0, SR / 2, False, True) @ P
    mel_db = power_to_db(mel)
    chroma = chroma_filters(12, 0.1) @ P
    L1 = S / S.sum(0)
    centroid = (hz * L1).sum(0)
    total = np.cumsum(S, axis=0)
    clipped = np.maximum(1e-10, P)
    return {
        "mel": mel,
        "mel_db": mel_db,
        "mfcc": scipy.fft.dct(mel_db, axis=0, type=2, norm="ortho")[:13],
        "chroma": chroma / chroma.max(0),
        "centroid": centroid,
        "bandwidth": np.sqrt((L1 * (hz - centroid) ** 2).sum(0)),
        "rolloff": hz[np.argmax(total >= 0.85 * total[-1], axis=0), 0],
        "flatness": np.exp(np.log(clipped).mean(0)) / clipped.mean(0),
        "contrast": contrast(S, hz[:, 0]),
        "rms": np.sqrt((frames(x, "constant") ** 2).mean(0)),
        "zcr": zcr(x),
        "onset": onset(mel_db),
    }


def write(f, name, a):
    a = np.atleast_2d(a)
    f.write("%s %d %d\n" % (name, a.shape[0], a.shape[1]))
    for row in a:
        f.write(" ".join("%.8g" % v for v in row) + "\n")


def biquad(kind, sr, hz, q, gain_db):
    """RBJ cookbook, as b, a."""
    A, w = 10 ** (gain_db / 40), 2 * np.pi * hz / sr
    c, al = np.cos(w), np.sin(w) / (2 * q)
    r = 2 * np.sqrt(A) * al
    if kind == "lowpass":
        return [(1 - c) / 2, 1 - c, (1 - c) / 2], [1 + al, -2 * c, 1 - al]
    if kind == "highpass":
        return [(1 + c) / 2, -(1 + c), (1 + c) / 2], [1 + al, -2 * c, 1 - al]
    if kind == "lowshelf":
        return ([A * ((A + 1) - (A - 1) * c + r), 2 * A * ((A - 1) - (A + 1) * c), A * ((A + 1) - (A - 1) * c - r)],
                [(A + 1) + (A - 1) * c + r, -2 * ((A - 1) + (A + 1) * c), (A + 1) + (A - 1) * c - r])
    if kind == "highshelf":
        return ([A * ((A + 1) + (A - 1) * c + r), -2 * A * ((A - 1) + (A + 1) * c), A * ((A + 1) + (A - 1) * c - r)],
                [(A + 1) - (A - 1) * c + r, 2 * ((A - 1) - (A + 1) * c), (A + 1) - (A - 1) * c - r])
    return [1 + al * A, -2 * c, 1 - al * A], [1 + al / A, -2 * c, 1 - al / A]


def main():
    out = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "golden")
    x = test_signal()
    with open(os.path.join(out, "features.txt"), "w") as f:
        write(f, "signal", x[::500])
        for mode in ("reflect", "constant"):
            X = stft(x, mode)[::32, ::3]
            write(f, "stft_%s_re" % mode, X.real)
            write(f, "stft_%s_im" % mode, X.imag)
        for htk in (False, True):
            for norm in (False, True):
                write(f, "filters_%s_%s" % ("htk" if htk else "slaney", "area" if norm else "height"),
                      mel_filters(8, 100, 8000, htk, norm)[:, ::4])
        write(f, "filters_chroma", chroma_filters(12, 0.1)[:, ::8])
        for name, value in all_features(x).items():
            write(f, name, value)
    with open(os.path.join(out, "filters.txt"), "w") as f:
        f.write("biquads 15 16\n")   # kind, Hz, q, gain dB; then |H| and phase at each probe
        probe = np.array([50, 200, 1000, 4000, 12000, 20000.0])
        for i, kind in enumerate(["lowpass", "highpass", "lowshelf", "highshelf", "peak"]):
            for hz, q, g in [(300, 0.7071, 0), (3000, 1.5, 6), (9000, 0.5, -9)]:
                coefficients = biquad(kind, 44100, hz, q, g)
                if i < 2 and q == 0.7071:   # then it is a Butterworth filter, for which scipy has its own design
                    coefficients = scipy.signal.butter(2, hz, kind, fs=44100)
                _, h = scipy.signal.freqz(*coefficients, worN=2 * np.pi * probe / 44100)
                f.write("%d %g %.9g %g " % (i, hz, 0.70710678 if q == 0.7071 else q, g) + " ".join("%.9g %.9g" % (abs(v), np.angle(v)) for v in h) + "\n")


if __name__ == "__main__":
    main()
