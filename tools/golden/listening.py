#!/usr/bin/python3
"""tests/golden/listening.txt: pitches that aubio's yinfft hears in the tones of tests/audio/voice_signal.h. Made with aubio
0.4.9: tools/golden/listening.py"""
import aubio
import numpy as np

RATE = 44100


def tone(hz, seconds, n_harmonics, tilt, vibrato_semitones):
    """The same formula as voice_tone() in tests/audio/voice_signal.h."""
    t = np.arange(int(seconds * RATE)) / RATE
    rate = 5.5
    swing = vibrato_semitones * np.log(2) / 12 * hz / (2 * np.pi * rate)
    phase = 2 * np.pi * (hz * t - swing * (np.cos(2 * np.pi * rate * t) - 1))
    x = sum(np.sin(h * phase) / h**tilt for h in range(1, n_harmonics + 1) if h * hz < 0.45 * RATE)
    return (0.2 * x).astype(np.float32)


def block(f, name, rows):
    rows = np.atleast_2d(np.asarray(rows, float))
    f.write(f"{name} {rows.shape[0]} {rows.shape[1]}\n")
    for r in rows:
        f.write(" ".join(f"{v:.9g}" for v in r) + "\n")


with open("tests/golden/listening.txt", "w") as f:
    tones = []
    for hz, n, tilt in ((70, 30, 1), (98, 20, 1), (147.3, 12, 0.7), (220, 8, 1), (311.1, 6, 1.5), (440, 5, 1), (700, 3, 1), (987, 2, 1)):
        x = tone(hz, 1.0, n, tilt, 0)
        p = aubio.pitch("yinfft", 4096, 441, RATE)
        heard = [float(p(x[i:i + 441])[0]) for i in range(0, len(x) - 441, 441)]
        tones.append((hz, n, tilt, float(np.median(heard[20:80]))))
    block(f, "tones", tones)
