"""What the beat rows share: figures of one song, and peers that know nothing of bars."""
import math

import numpy as np

FACTORS = (1, 2, 0.5, 3, 1 / 3)


def within(times, beats):
    """Found times from half a beat before the first known beat to half a beat behind the last: nobody knows about others."""
    beats, times = np.asarray(beats), np.asarray(times, float)
    half = 0.5 * np.median(np.diff(beats))
    return times[(times > beats[0] - half) & (times < beats[-1] + half)]


def tempo_of(beats):
    return 60 / float(np.median(np.diff(beats)))


def figures(truth, bpm, beats, downbeats):
    """truth: beats, downbeats (None: not known). F (mir_eval, 70 ms), AMLt, F of downbeats, Acc1 and Acc2 (4 %)."""
    import mir_eval
    known = np.asarray(truth["beats"])
    found = within(beats, known)
    ratio = bpm / tempo_of(known)
    out = {"F": mir_eval.beat.f_measure(known, found), "AMLt": mir_eval.beat.continuity(known, found)[3] if len(found) > 1 else 0.0,
           "Acc1": float(abs(ratio - 1) < 0.04), "Acc2": float(any(abs(ratio / k - 1) < 0.04 for k in FACTORS)), "downbeat": math.nan}
    if truth.get("downbeats") is not None:
        out["downbeat"] = mir_eval.beat.f_measure(np.asarray(truth["downbeats"]), within(downbeats, known))
    return out


def mean(rows, key):
    return float(np.nanmean([r[key] for r in rows]))


def aubio_beats(path):
    """aubio's tempo on a file: (bpm, beats)."""
    import aubio
    source = aubio.source(str(path), 0, 512)
    tempo = aubio.tempo("default", 1024, 512, source.samplerate)
    beats = []
    while True:
        samples, n = source()
        if tempo(samples):
            beats.append(tempo.get_last_s())
        if n < 512:
            return (60 / float(np.median(np.diff(beats))) if len(beats) > 2 else 0.0), beats


def read_beats(path):
    """A .beats file (docs/datasets.md) as truth."""
    rows = np.loadtxt(path, ndmin=2)
    known = rows.shape[1] > 1 and bool((rows[:, 1] > 0).all())
    return {"beats": rows[:, 0].tolist(), "downbeats": rows[rows[:, 1] == 1, 0].tolist() if known else None}
