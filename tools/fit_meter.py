#!/usr/bin/env python3
"""Fits the weights of audio/meter.h (which pulse of a bare melody is the beat, where its bars begin) on POP909 and writes
audio/meter_tables.h.

    tools/fit_meter.py POP909_DIR > audio/meter_tables.h

Songs whose number is a multiple of six or ends in 7 are not read: what is reported is measured on them. Those that end in 3 are for
tuning; the rest is learned from. A stretch of 20 to 70 s that begins with a phrase has 32 readings: its beats, twice and half as many,
moved or not, and any of four bars. The model says how probable each is (multinomial logistic regression, L2); notes are jittered, lost
and split as a listener would, and a quarter of the keys is a fourth or a fifth off.
"""
import pathlib
import sys

import numpy as np
import scipy.optimize
import scipy.sparse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "evaluate"))
import lib_arranged  # noqa: E402
import lib_singing  # noqa: E402

LEVELS = [(1, 0), (1, 0.5), (2, 0), (2, 0.25), (0.5, 0), (0.5, 0.5), (0.5, 1), (0.5, 1.5)]
READINGS = [(f, o, p) for f, o in LEVELS for p in range(4)]
SPANS, DEGREES, STEPS, LENGTHS = 17, 12, 7, 9
START = np.cumsum([0, 16 * SPANS, 16 * DEGREES, 16 * STEPS, 16 * LENGTHS])
SIZE = int(START[-1])
L2, STRETCHES = 0.004, 6
CLASSES = {"C": 0, "C#": 1, "Db": 1, "D": 2, "D#": 3, "Eb": 3, "E": 4, "F": 5, "F#": 6, "Gb": 6, "G": 7, "G#": 8, "Ab": 8, "A": 9, "A#": 10,
           "Bb": 10, "B": 11, "Cb": 11}


class Song:
    def __init__(self, song):
        beats = song["beats"]
        self.on, self.off = (lib_arranged.place([n[k] for n in song["melody"]], beats) for k in (0, 1))
        self.pitch = np.array([n[2] for n in song["melody"]])
        self.downbeats = np.rint(lib_arranged.place(song["downbeats"], beats)).astype(int)
        self.bpm = 60 / float(np.median(np.diff(beats)))
        tonic, mode = song["key"].split(":")
        self.tonic = (CLASSES[tonic] + (3 if mode == "min" else 0)) % 12


def stretch(song, rng, seconds=None):
    """Onsets, ends (beats from a downbeat), pitches, tonic of a stretch; None when it is too short."""
    beats = (rng.uniform(20, 70) if seconds is None else seconds) * song.bpm / 60
    starts = np.flatnonzero(np.concatenate([[True], song.on[1:] - song.off[:-1] >= 1]))
    starts = starts[starts <= max(0, len(song.on) - 15)]
    first = song.on[rng.choice(starts) if len(starts) else 0]
    chosen = (song.on >= first) & (song.on < first + beats)
    on, off, pitch = song.on[chosen].copy(), song.off[chosen].copy(), song.pitch[chosen].copy()
    near = song.downbeats[(song.downbeats >= first - 1) & (song.downbeats < on[-1] + 1)]
    phase = int(np.bincount(near % 4, minlength=4).argmax()) if len(near) else 0
    late = rng.normal(0, 0.016, len(on)) * song.bpm / 60
    on, off = on + late, off + late
    kept = rng.random(len(on)) > 0.05
    on, off, pitch = on[kept], off[kept], pitch[kept]
    for j in np.flatnonzero(rng.random(len(on)) < 0.06)[::-1]:
        if off[j] - on[j] > 0.4:
            at = on[j] + rng.uniform(0.3, 0.7) * (off[j] - on[j])
            on, off, pitch = np.insert(on, j + 1, at), np.insert(off, j + 1, off[j]), np.insert(pitch, j + 1, pitch[j])
            off[j] = at
    order = np.argsort(on, kind="stable")
    tonic = (song.tonic + (rng.choice([5, 7]) if rng.random() < 0.25 else 0)) % 12
    return None if len(on) < 8 else (on[order] - phase, off[order] - phase, pitch[order], tonic, song.bpm)


def features(on, off, pitch, tonic, bpm, reading):
    """Columns that are 1 for the notes, and the five numbers of the whole."""
    factor, offset, phase = reading
    x, e = (on - offset) * factor - phase, (off - offset) * factor - phase
    q = np.rint(4 * x).astype(int)
    g = q % 16
    since = np.clip(np.rint(4 * np.diff(x, prepend=x[0] - 99)), 1, SPANS).astype(int) - 1
    step = np.digitize(np.diff(pitch, prepend=pitch[0]), [-4.5, -2.5, -0.5, 0.5, 2.5, 4.5])
    length = np.digitize(e - x, [0.3, 0.55, 0.8, 1.1, 1.6, 2.1, 3.1, 4.1])
    columns = np.concatenate([START[0] + g * SPANS + since, START[1] + g * DEGREES + (pitch - tonic) % 12, START[2] + g * STEPS + step,
                              START[3] + g * LENGTHS + length])
    octaves, root = np.log2(bpm * factor / 100), len(on) ** 0.5
    return columns, [octaves, octaves ** 2, root / 5 * octaves, root / 5 * octaves ** 2, np.abs(4 * x - q).sum() / root]


def matrix(songs, stretches, seed, seconds=None):
    rng = np.random.default_rng(seed)
    rows, columns, values, whole = [], [], [], []
    for song in songs:
        for _ in range(stretches):
            part = stretch(song, rng, seconds)
            for reading in READINGS if part else []:
                c, w = features(*part, reading)
                rows.append(np.full(len(c), len(whole)))
                columns.append(c)
                values.append(np.full(len(c), len(part[0]) ** -0.5))
                whole.append(w)
    sparse = scipy.sparse.csr_matrix((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (len(whole), SIZE))
    return scipy.sparse.hstack([sparse, scipy.sparse.csr_matrix(np.array(whole))]).tocsr()


def fit(x):
    n, transposed = x.shape[0] // len(READINGS), x.T.tocsr()
    penalty = np.full(x.shape[1], L2)
    penalty[SIZE:] *= 0.01

    def loss(w):
        z = (x @ w).reshape(n, -1)
        top = z.max(1, keepdims=True)
        p = np.exp(z - top)
        total = p.sum(1, keepdims=True)
        value = float((np.log(total[:, 0]) + top[:, 0] - z[:, 0]).sum() / n + 0.5 * (penalty * w * w).sum())
        p = p / total
        p[:, 0] -= 1
        return value, transposed @ p.reshape(-1) / n + penalty * w
    return scipy.optimize.minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 150}).x


def table(name, w, at, width):
    rows = np.rint(1000 * w[START[at]:START[at + 1]].reshape(16, width)).astype(int)
    return (f"static const short {name}[16][{width}] = {{\n" +
            ",\n".join("    { " + ", ".join(map(str, r)) + " }" for r in rows) + "\n};\n")


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    corpus = pathlib.Path(sys.argv[1])
    names = [p.name for p in sorted(corpus.iterdir()) if p.name.isdigit() and int(p.name) % 6 and not p.name.endswith("7")]
    learned = [Song(lib_singing.read_pop909(corpus, n)) for n in names if not n.endswith("3")]
    tuned = [Song(lib_singing.read_pop909(corpus, n)) for n in names if n.endswith("3")]
    w = fit(matrix(learned, STRETCHES, 1))
    z = (matrix(tuned, 6, 2, 30) @ w).reshape(-1, len(READINGS))
    best = z.argmax(1)
    print(f"{len(learned)} songs; on {len(tuned)} others, 30 s each: level and bar {np.mean(best == 0):.3f}, level {np.mean(best < 4):.3f}, bar of "
          f"the true beats {np.mean(z[:, :4].argmax(1) == 0):.3f}", file=sys.stderr)
    print(f"""/* Made by tools/fit_meter.py from {len(learned)} melodies of POP909 (MIT licence): thousandths, by sixteenth of the bar. */
#ifndef BL_AUDIO_METER_TABLES_H
#define BL_AUDIO_METER_TABLES_H

enum {{ METER_SPANS = {SPANS}, METER_DEGREES = {DEGREES}, METER_STEPS = {STEPS}, METER_LENGTHS = {LENGTHS} }};

/* Weights of the whole: of the tempo in octaves above 100 bpm and its square, without and with the root of the number of notes; of the
 * distance of onsets from sixteenths. */
static const double METER_TEMPO_1 = {w[SIZE]:.4f}, METER_TEMPO_2 = {w[SIZE + 1]:.4f}, METER_TEMPO_N1 = {w[SIZE + 2]:.4f}, METER_TEMPO_N2 = {w[SIZE + 3]:.4f};
static const double METER_BESIDE = {w[SIZE + 4]:.4f};

/* Sixteenths since the note before, 1 .. 16, then more. */
{table("meter_since", w, 0, SPANS)}
/* Semitones above the tonic of the key, of its relative major if minor. */
{table("meter_degree", w, 1, DEGREES)}
/* Step from the note before: down a fourth or more, a third, a second, none, up a second, a third, a fourth or more. */
{table("meter_step", w, 2, STEPS)}
/* Length in beats: up to 0.3, 0.55, 0.8, 1.1, 1.6, 2.1, 3.1, 4.1, longer. */
{table("meter_length", w, 3, LENGTHS)}
#endif""")


if __name__ == "__main__":
    main()
