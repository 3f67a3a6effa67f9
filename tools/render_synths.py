#!/usr/bin/python3
"""Electronic music by formulas: drum machines, basses, stabs, arpeggios, pads, bells, noise, each a stem; training accompaniments.

Every sound is drawn anew for each song: oscillators (saw, pulse, sine, FM), filters with envelopes, decay times, distortion; played
on a grid of sixteenths in patterns that repeat, with chords of a random mode.

usage: render_synths.py OUT_DIR [--songs N] [--seconds S] [--seed N]
"""
import argparse
import pathlib

import numpy as np
import soundfile
from scipy.signal import lfilter

RATE = 44100
SCALES = [[0, 2, 3, 5, 7, 8, 10], [0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 9, 10], [0, 3, 5, 7, 10], [0, 1, 3, 5, 7, 8, 10]]


def envelope(n, attack, decay):
    t = np.arange(n) / RATE
    return np.minimum(1, t / max(attack, 1e-4)) * np.exp(-np.maximum(0, t - attack) / decay)


def oscillator(kind, hz, rng):
    """hz [n]."""
    phase = np.cumsum(hz) / RATE + rng.random()
    if kind == "sine":
        return np.sin(2 * np.pi * phase)
    if kind == "saw":  # additive, so that nothing folds back
        k = np.arange(1, max(2, min(60, int(16000 / hz.max()))))
        return sum(np.sin(2 * np.pi * i * phase) / i for i in k)
    if kind == "pulse":
        k = np.arange(1, max(2, min(60, int(16000 / hz.max()))))
        width = rng.uniform(0.1, 0.5)
        return sum(np.sin(2 * np.pi * i * phase) * np.sin(np.pi * i * width) / i for i in k)
    ratio, depth = rng.choice([0.5, 1, 1.41, 2, 3, 3.5, 5]), rng.uniform(0.5, 6)
    return np.sin(2 * np.pi * phase + depth * np.exp(-np.arange(len(hz)) / RATE / rng.uniform(0.05, 1)) * np.sin(2 * np.pi * ratio * phase))


def low_pass(x, hz, q):
    w = 2 * np.pi * min(hz, 0.45 * RATE) / RATE
    a = np.sin(w) / (2 * q)
    b = np.array([(1 - np.cos(w)) / 2, 1 - np.cos(w), (1 - np.cos(w)) / 2])
    return lfilter(b / (1 + a), [1, -2 * np.cos(w) / (1 + a), (1 - a) / (1 + a)], x)


def high_pass(x, hz):
    return x - low_pass(x, hz, 0.7)


def drum(kind, rng):
    n = int(RATE * rng.uniform(0.15, 0.8))
    t = np.arange(n) / RATE
    noise = rng.normal(0, 1, n)
    if kind == "kick":
        hz = rng.uniform(38, 60) + rng.uniform(80, 500) * np.exp(-t / rng.uniform(0.01, 0.05))
        x = np.sin(2 * np.pi * np.cumsum(hz) / RATE) * envelope(n, 0.001, rng.uniform(0.08, 0.5)) + 0.2 * noise * envelope(n, 0.0005, 0.004)
        return np.tanh(rng.uniform(1, 4) * x)
    if kind == "snare":
        tone = np.sin(2 * np.pi * rng.uniform(150, 260) * t) * envelope(n, 0.001, 0.06)
        return rng.uniform(0.2, 0.8) * tone + high_pass(noise, rng.uniform(500, 2500)) * envelope(n, 0.001, rng.uniform(0.04, 0.2))
    if kind == "clap":
        return high_pass(noise, 900) * sum(envelope(n, 0.001, 0.01 if d < 0.03 else 0.12) * (t >= d) for d in (0, 0.011, 0.023, 0.034))
    if kind == "tom":
        return np.sin(2 * np.pi * np.cumsum(rng.uniform(70, 300) * (1 + 0.5 * np.exp(-t / 0.03))) / RATE) * envelope(n, 0.001, rng.uniform(0.08, 0.3))
    if kind == "rim":
        return np.sin(2 * np.pi * rng.uniform(400, 1800) * t) * envelope(n, 0.0005, rng.uniform(0.008, 0.04))
    return high_pass(noise, rng.uniform(4000, 9000)) * envelope(n, 0.0005, rng.uniform(0.015, 0.15))


def add(out, x, at, gain):
    at = int(at * RATE)
    n = min(len(x), len(out) - at)
    if n > 0:
        out[at:at + n] += gain * x[:n]


def drums(seconds, step, rng):
    out = np.zeros(int(seconds * RATE))
    for kind, share in (("kick", 0.3), ("snare", 0.12), ("hat", 0.5), ("clap", 0.08), ("tom", 0.08), ("rim", 0.15)):
        if kind not in ("kick", "hat") and rng.random() < 0.35:
            continue
        x, pattern = drum(kind, rng), rng.random(16) < share * rng.uniform(0.5, 1.6)
        if kind == "kick" and rng.random() < 0.5:
            pattern = np.arange(16) % 4 == 0
        if kind in ("snare", "clap") and rng.random() < 0.7:
            pattern = np.arange(16) % 8 == 4
        gain = rng.uniform(0.3, 1)
        for i in range(int(seconds / step)):
            if pattern[i % 16]:
                add(out, x, i * step, gain * rng.uniform(0.8, 1))
    return out


def voice_of_synth(rng):
    kinds = rng.choice(["saw", "pulse", "sine", "fm", "saw"], size=int(rng.integers(1, 4)))
    detune, cutoff, q = rng.uniform(0, 0.2), 200 * 60 ** rng.random(), rng.uniform(0.5, 4)
    attack, decay, glide, wobble = 10 ** rng.uniform(-3, -0.7), 10 ** rng.uniform(-1.3, 0.5), rng.random() < 0.2, rng.random() < 0.3

    def play(pitches, seconds):
        n = int(RATE * (seconds + min(1, decay)))
        t = np.arange(n) / RATE
        x = np.zeros(n)
        for p in pitches:
            for kind in kinds:
                bend = -3 * np.exp(-t / 0.04) if glide else 0
                vibrato = 0.15 * np.sin(2 * np.pi * 5.5 * t) if wobble else 0
                x += oscillator(kind, 440 * 2 ** ((p + rng.normal(0, 1) * detune + bend + vibrato - 69) / 12) * np.ones(n), rng)
        release = np.clip((seconds + 0.08 - t) / 0.08, 0, 1)
        x = low_pass(x * envelope(n, attack, decay) * release, cutoff, q)
        return x / (np.abs(x).max() + 1e-9)
    return play


def line(kind, seconds, step, root, scale, chords, rng):
    out, play = np.zeros(int(seconds * RATE)), voice_of_synth(rng)
    octave = {"bass": -24, "stabs": 0, "arp": 12, "pad": 0, "lead": 12}[kind]
    tone = lambda degree: root + octave + 12 * (degree // len(scale)) + scale[degree % len(scale)]
    pattern = rng.random(16) < (0.35 if kind in ("bass", "arp", "lead") else 0.15)
    length = rng.uniform(0.5, 3) * step if kind != "pad" else 16 * step
    kept = {}
    for i in range(int(seconds / step)):
        chord = chords[(i // 16) % len(chords)]
        if kind == "pad":
            if i % 16:
                continue
            notes = (chord, chord + 2, chord + 4)
        elif not pattern[i % 16]:
            continue
        elif kind == "stabs":
            notes = (chord, chord + 2, chord + 4)
        elif kind == "bass":
            notes = (chord,)
        elif kind == "arp":
            notes = (chord + int(rng.choice([0, 2, 4, 7])),)
        else:
            notes = (chord + int(rng.integers(0, 8)),)
        if notes not in kept:
            kept[notes] = play([tone(d) for d in notes], length)
        add(out, kept[notes], i * step, rng.uniform(0.7, 1))
    return out


def sweeps(seconds, rng):
    out = np.zeros(int(seconds * RATE))
    for _ in range(int(rng.integers(1, 6))):
        n = int(RATE * rng.uniform(0.5, 5))
        x = rng.normal(0, 1, n)
        block = 512
        hz = 300 * 30 ** (np.linspace(0, 1, n // block + 1) if rng.random() < 0.7 else np.linspace(1, 0, n // block + 1))
        y = np.concatenate([low_pass(x[i * block:(i + 1) * block + 64], hz[i], 2)[:block] for i in range(n // block)])
        add(out, y * np.linspace(0, 1, len(y)) ** 2, rng.uniform(0, seconds - 1), rng.uniform(0.2, 0.6))
    return out


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out", type=pathlib.Path)
    ap.add_argument("--songs", type=int, default=24)
    ap.add_argument("--seconds", type=float, default=30)
    ap.add_argument("--seed", type=int, default=1)
    a = ap.parse_args()
    for k in range(a.songs):
        rng = np.random.default_rng([a.seed, k])
        step, root, scale = 15 / rng.uniform(70, 170), int(rng.integers(48, 60)), SCALES[int(rng.integers(len(SCALES)))]
        chords = [int(c) for c in rng.integers(0, 7, size=int(rng.choice([1, 2, 4])))]
        parts = {"drums": drums(a.seconds, step, rng), "bass": line("bass", a.seconds, step, root, scale, chords, rng)}
        for kind in ("stabs", "arp", "pad", "lead"):
            if rng.random() < 0.6:
                parts["synth_" + kind] = line(kind, a.seconds, step, root, scale, chords, rng)
        if rng.random() < 0.4:
            parts["noise"] = sweeps(a.seconds, rng)
        folder = a.out / f"synths-{a.seed}-{k}"
        folder.mkdir(parents=True, exist_ok=True)
        for name, x in parts.items():
            if np.abs(x).max() > 0:
                soundfile.write(folder / f"{name}.flac", 0.7 * x / np.abs(x).max(), RATE)
        print(folder, flush=True)


main()
