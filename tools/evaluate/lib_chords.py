"""Chords and keys as mir_eval names them, the answers of templates, and the decoder of music/chord_path.h from Python."""
import ctypes as c
import os

import mido
import mir_eval
import numpy as np

CLASSES = 121
QUALITIES = ["maj", "min", "7", "maj7", "min7", "dim", "hdim7", "aug", "sus4", "sus2"]
TONES = {"maj": [0, 4, 7], "min": [0, 3, 7], "7": [0, 4, 7, 10], "maj7": [0, 4, 7, 11], "min7": [0, 3, 7, 10], "dim": [0, 3, 6],
         "hdim7": [0, 3, 6, 10], "aug": [0, 4, 8], "sus4": [0, 5, 7], "sus2": [0, 2, 7]}
NAMES = ["C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"]
SUFFIXES = [("m7b5", "hdim7"), ("maj7", "maj7"), ("m7", "min7"), ("dim", "dim"), ("aug", "aug"), ("sus4", "sus4"), ("sus2", "sus2"),
            ("7", "7"), ("m", "min"), ("", "maj")]
KRUMHANSL = np.array([[6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88],
                      [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17]])


def harte(name):
    """ "F#m7/A" of a report as "F#:min7". Inversions are left out: no metric here looks at them."""
    name = name.split("/")[0]
    if name == "N":
        return "N"
    root = name[:2] if name[1:2] in ("#", "b") else name[:1]
    return root + ":" + next(h for s, h in SUFFIXES if name[len(root):] == s)


def spans_of(report):
    return np.array([(s["start"], s["end"]) for s in report["chords"]]), [harte(s["chord"]) for s in report["chords"]]


def scores(truth, intervals, labels):
    """mir_eval's overlaps: {"majmin", "root", "sevenths"}."""
    spans = [(s, e, label) for s, e, label in truth if e > s + 1e-6]
    found = mir_eval.chord.evaluate(np.array([x[:2] for x in spans]), [x[2] for x in spans], intervals, labels)
    return np.array([found[m] for m in ("majmin", "root", "sevenths")])


def key_name(text):
    """ "A:min" or "A minor" as mir_eval has it."""
    tonic, _, mode = text.replace(":", " ").partition(" ")
    return f"{tonic} {'minor' if mode.startswith('min') else 'major'}"


def key_score(truth, found):
    return mir_eval.key.weighted_score(key_name(truth), key_name(found))


def krumhansl(profile):
    """The key whose profile of probe tones correlates best."""
    best = max((np.corrcoef(np.roll(KRUMHANSL[m], t), profile)[0, 1], t, m) for m in range(2) for t in range(12))
    return f"{NAMES[best[1]]} {'minor' if best[2] else 'major'}"


def templates():
    """[CLASSES, 12] unit vectors; the last, no chord, is flat."""
    rows = np.full((CLASSES, 12), 12**-0.5)
    for q, quality in enumerate(QUALITIES):
        for root in range(12):
            rows[12 * q + root] = 0
            rows[12 * q + root, [(root + t) % 12 for t in TONES[quality]]] = len(TONES[quality])**-0.5
    return rows


def template_frames(chroma, n):
    """The nearest of the first n templates (24: triads) for every column of chroma [12, T]."""
    return (templates()[:n] @ (chroma / (np.linalg.norm(chroma, axis=0) + 1e-9))).argmax(0)


def frame_spans(classes, hop_s, seconds):
    """Every frame's own class as spans: nothing smoothed."""
    cuts = np.r_[0, np.flatnonzero(np.diff(classes)) + 1]
    starts = np.r_[0, (cuts[1:] - 0.5) * hop_s]
    intervals = np.c_[starts, np.r_[starts[1:], seconds]]
    labels = [NAMES[k % 12] + ":" + QUALITIES[k // 12] for k in classes[cuts]]
    keep = intervals[:, 1] > intervals[:, 0]
    return intervals[keep], [label for label, kept in zip(labels, keep) if kept]


def midi_chroma(path, hop_s, seconds):
    """How much of every pitch class sounds in each frame: the true notes of a MIDI file, drums left out; bass notes double."""
    chroma = np.zeros((12, int(seconds / hop_s) + 1))
    sounding, now = {}, 0.0
    for m in mido.MidiFile(path):
        now += m.time
        if m.type not in ("note_on", "note_off") or m.channel == 9:
            continue
        start = sounding.pop((m.channel, m.note), None)
        if start is not None:
            weight = 2 if m.note < 48 else 1
            chroma[m.note % 12, int(round(start / hop_s)):max(int(round(start / hop_s)) + 1, int(round(now / hop_s)))] += weight
        if m.type == "note_on" and m.velocity:
            sounding[m.channel, m.note] = now
    return chroma


class _Input(c.Structure):
    _fields_ = [("chord", c.c_void_p), ("bass", c.c_void_p), ("n_frames", c.c_int64), ("hop_s", c.c_double), ("beats_s", c.c_void_p),
                ("n_beats", c.c_int), ("is_downbeat", c.c_void_p), ("beats_per_bar", c.c_int), ("key", c.c_void_p),
                ("start_s", c.c_double), ("end_s", c.c_double)]


class _Span(c.Structure):
    _fields_ = [("start_s", c.c_double), ("end_s", c.c_double), ("name", c.c_char * 16), ("confidence", c.c_double)]


def decode(log_p, hop_s, beats, downbeats, seconds):
    """music_chord_path on frames [T, CLASSES] with the true beats: (intervals, labels)."""
    lib = c.CDLL(os.path.abspath(os.environ["BACKLINE_LIBRARY"]))
    log_p, beats = np.ascontiguousarray(log_p, np.float32), np.ascontiguousarray(beats, float)
    is_downbeat = np.zeros(max(1, len(beats)), np.int32)
    for d in downbeats:
        is_downbeat[np.abs(beats - d).argmin()] = 1
    given = _Input(log_p.ctypes.data, None, len(log_p), hop_s, beats.ctypes.data, len(beats), is_downbeat.ctypes.data, 4, None, 0, seconds)
    spans, n = c.POINTER(_Span)(), c.c_int()
    if lib.music_chord_path(c.byref(given), c.byref(spans), c.byref(n), None):
        raise RuntimeError("music_chord_path refused the true notes")
    found = [(spans[i].start_s, spans[i].end_s, spans[i].name.decode()) for i in range(n.value)]
    return np.array([f[:2] for f in found]), [harte(f[2]) for f in found]
