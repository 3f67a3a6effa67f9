"""Chords for melodies: POP909 as the corpus has it, blocks/harmonizer.h from Python, and the published measures of melody harmonisation.

Measures (Yeh et al., "Automatic melody harmonization with triad chords: a comparative study", JNMR 2021), on triads, one per half bar
(whole bar in odd meters):
    CHE    entropy of how often each chord is used, nats        CC     how many different chords
    CTD    distance from chord to chord in the tonal space of Harte, Sandler & Gasser (2006)
    CTnCTR share of melody notes that are chord tones, or resolve by step (two semitones at most) to the next note
    PCS    +1 where melody note and chord tone are consonant (unison, thirds, fifth, sixths), 0 for a fourth, else -1; mean over sixteenths
    MCTD   distance from melody note to chord in tonal space, weighted by duration
"""
import collections
import ctypes as c
import os
import pathlib

import numpy as np

import lib_singing
from common import Missing
from lib_audio import BlError
from lib_chords import NAMES, _Span

HERE = pathlib.Path(__file__).resolve().parent.parent.parent  # the project
TRIADS = {"maj": (0, 4, 7), "min": (0, 3, 7), "dim": (0, 3, 6), "aug": (0, 4, 8)}
FAMILY = {"7": "maj", "maj7": "maj", "maj6": "maj", "min7": "min", "min6": "min", "minmaj7": "min", "hdim7": "dim", "dim7": "dim"}
CLASS = {n: i for i, n in enumerate(NAMES)} | {"C#": 1, "D#": 3, "F#": 6, "G#": 8, "A#": 10, "Cb": 11, "E#": 5, "Fb": 4, "B#": 0}
SUFFIXES = {"m7b5": "hdim7", "maj9": "maj7", "maj7": "maj7", "m9": "min7", "m7": "min7", "m6": "min6", "dim": "dim", "aug": "aug",
            "sus2": "sus2", "sus4": "sus4", "9": "7", "7": "7", "6": "maj6", "5": "5", "m": "min", "": "maj"}


# ---- the corpus ----

Song = collections.namedtuple("Song", "id notes beats downbeats chords key")  # notes (start, end, pitch); key (tonic, minor)


def pop909(folder):
    song = lib_singing.read_pop909(folder.parent, folder.name)
    tonic, mode = song["key"].split(":")
    return Song(folder.name, [n[:3] for n in song["melody"]], np.array(song["beats"]), np.array(song["downbeats"]),
                [c for c in song["chords"] if c[1] > c[0]], (CLASS[tonic], int(mode == "min")))


def beats_per_bar(song):
    at = np.searchsorted(song.beats, song.downbeats - 1e-6)
    return int(np.bincount(np.diff(at)).argmax()) if len(at) > 1 else 4


def units(song):
    """(start, end) of half bars; of whole ones in odd meters."""
    per, place, starts = beats_per_bar(song), -1, []
    down = set(np.searchsorted(song.beats, song.downbeats - 1e-6).tolist())
    half = per // 2 if per >= 4 and per % 2 == 0 else per
    first = min(down, default=0)
    for i in range(len(song.beats) - 1):
        place = (-first) % per if i == 0 else place + 1
        place = 0 if i in down else place
        if i == 0 or place % half == 0:
            starts.append(song.beats[i])
    return np.array(list(zip(starts, starts[1:] + [song.beats[-1]])))


# ---- our harmonizer ----

class _Note(c.Structure):
    _fields_ = [("onset_s", c.c_double), ("offset_s", c.c_double), ("pitch", c.c_int), ("velocity", c.c_int)]


class _Key(c.Structure):
    _fields_ = [("tonic", c.c_int), ("minor", c.c_int)]


class _Input(c.Structure):
    _fields_ = [("beats_s", c.c_void_p), ("n_beats", c.c_int), ("is_downbeat", c.c_void_p), ("beats_per_bar", c.c_int),
                ("melody", c.c_void_p), ("n_melody", c.c_int), ("key", _Key), ("genre", c.c_char_p), ("sections", c.c_void_p),
                ("n_sections", c.c_int), ("start_s", c.c_double), ("end_s", c.c_double)]


class Harmonizer:
    """models/arranger.h5 with configs/harmony.ini, or with a table given as text."""

    def __init__(self, checkpoint, table):
        path = os.environ.get("BACKLINE_LIBRARY")
        if not path or not os.path.exists(path):
            raise Missing("libbackline.so is not built (make lib; BACKLINE_LIBRARY names it)")
        self.lib, self.error = c.CDLL(os.path.abspath(path)), BlError()
        for name in ("blocks_harmonizer_load", "music_harmony_table_parse"):
            getattr(self.lib, name).restype = c.c_void_p
        self.lib.blocks_harmonizer_run.argtypes = [c.c_void_p, c.c_void_p, c.c_void_p, c.c_void_p, c.c_void_p, c.c_void_p]
        self.block = self.lib.blocks_harmonizer_load(os.fsencode(checkpoint), c.byref(self.error))
        if not self.block:
            raise RuntimeError(self.error.msg.decode())
        self.use(table)

    def use(self, table):
        self.table = self.lib.music_harmony_table_parse(table.encode(), b"harmony.ini", c.byref(self.error))
        if not self.table:
            raise RuntimeError(self.error.msg.decode())

    def run(self, song, genre="pop"):
        """[(start, end, name)]"""
        beats = np.ascontiguousarray(song.beats, float)
        down = np.zeros(len(beats), np.int32)
        down[np.searchsorted(beats, song.downbeats - 1e-6)] = 1
        notes = (_Note * len(song.notes))(*[(s, e, p, 90) for s, e, p in song.notes])
        given = _Input(beats.ctypes.data, len(beats), down.ctypes.data, beats_per_bar(song), c.addressof(notes), len(notes),
                       _Key(*song.key), genre.encode(), None, 0, beats[0], beats[-1])
        spans, n = c.POINTER(_Span)(), c.c_int()
        if self.lib.blocks_harmonizer_run(self.block, self.table, c.byref(given), c.byref(spans), c.byref(n), c.byref(self.error)):
            raise RuntimeError(self.error.msg.decode())
        found = [(spans[i].start_s, spans[i].end_s, spans[i].name.decode()) for i in range(n.value)]
        self.lib.free(spans)
        return found


def label(name):
    """ "F#m9/A" as mir_eval has it, tensions left out."""
    name = name.split("/")[0]
    if name == "N":
        return name
    root = name[:2] if name[1:2] in ("#", "b") else name[:1]
    return root + ":" + SUFFIXES[name[len(root):]]


# ---- measures ----

def triad(name, key):
    """(root, quality) of "F#:min7/5", suspended and power chords with the third of the scale; None for "N"."""
    if ":" not in name:
        return None
    root, quality = name.split("/")[0].split(":")
    if quality.startswith("sus") or quality == "5":
        return CLASS[root], "min" if (CLASS[root] - key[0] - 3 * key[1]) % 12 in (2, 4, 9, 11) else "maj"
    return CLASS[root], FAMILY.get(quality, quality)


def _tones(chord):
    return [(chord[0] + t) % 12 for t in TRIADS[chord[1]]]


_CLASSES = np.arange(12)
_SPACE = np.array([r * f(k * np.pi * _CLASSES / 6) for r, k in ((1, 7), (1, 9), (0.5, 4)) for f in (np.sin, np.cos)])


def _place(classes):
    """Centroid in the six-dimensional tonal space."""
    return _SPACE[:, classes].mean(1)


def sampled(chords, half_bars, key):
    """The triad of each half bar: the one that lasts longest in it; None where there is none."""
    found = []
    for start, end in half_bars:
        lasts = collections.Counter()
        for s, e, name in chords:
            if s < end and e > start:
                lasts[triad(name, key)] += min(e, end) - max(s, start)
        found.append(lasts.most_common(1)[0][0] if lasts else None)
    return found


def measures(notes, half_bars, chords):
    """{name: value}; chords as sampled() gives them."""
    pairs = [(u, ch) for u, ch in zip(half_bars, chords) if ch is not None]
    counts = np.array(list(collections.Counter(ch for _, ch in pairs).values()), float)
    share = counts / counts.sum()
    places = [_place(_tones(ch)) for _, ch in pairs]
    starts = np.array([u[0] for u, _ in pairs])
    ends = np.array([u[1] for u, _ in pairs])
    proper = tones = others = 0
    tone_s = all_s = distance = pcs = 0.0
    n_pcs = 0
    for i, (s, e, p) in enumerate(notes):
        k = np.searchsorted(starts, s + 1e-3, side="right") - 1
        if k >= 0 and s < ends[k]:
            if p % 12 in _tones(pairs[k][1]):
                tones += 1
            else:
                others += 1
                follower = notes[i + 1] if i + 1 < len(notes) else None
                proper += follower is not None and abs(follower[2] - p) <= 2
        for k in range(max(0, k), len(pairs)):
            if starts[k] >= e:
                break
            lasts = min(e, ends[k]) - max(s, starts[k])
            if lasts <= 0:
                continue
            chord = _tones(pairs[k][1])
            all_s += lasts
            tone_s += lasts * (p % 12 in chord)
            distance += lasts * np.linalg.norm(_place([p % 12]) - places[k])
            sixteenths = max(1, round(lasts / ((ends[k] - starts[k]) / 8)))
            pcs += sixteenths * sum({0: 1, 3: 1, 4: 1, 7: 1, 8: 1, 9: 1, 5: 0}.get((p - t) % 12, -1) for t in chord)
            n_pcs += 3 * sixteenths
    return {"CHE": float(-(share * np.log(share)).sum()), "CC": float(len(counts)),
            "CTD": float(np.mean([np.linalg.norm(a - b) for a, b in zip(places, places[1:])])),
            "CTnCTR": (tones + proper) / max(1, tones + others), "PCS": pcs / max(1, n_pcs), "MCTD": distance / max(1e-9, all_s),
            "chord tones": tone_s / max(1e-9, all_s)}
