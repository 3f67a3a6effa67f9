"""What is asked of an arrangement, worked out from its report alone: nothing of backline's own theory of music is used here.

Chords and keys are read anew, the instruments' ranges are those of orchestration books, the grid comes from the report's beats and the
style file's swing. Functions take a report (infer --report) and give shares or features.
"""
import collections
import configparser
import re

import numpy as np

NAMES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
QUALITIES = {
    "": (0, 4, 7), "m": (0, 3, 7), "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11), "m7": (0, 3, 7, 10), "mmaj7": (0, 3, 7, 11), "6": (0, 4, 7, 9),
    "m6": (0, 3, 7, 9), "dim": (0, 3, 6), "dim7": (0, 3, 6, 9), "m7b5": (0, 3, 6, 10), "aug": (0, 4, 8), "sus4": (0, 5, 7), "sus2": (0, 2, 7),
    "7sus4": (0, 5, 7, 10), "9": (0, 4, 7, 10, 2), "maj9": (0, 4, 7, 11, 2), "m9": (0, 3, 7, 10, 2), "add9": (0, 4, 7, 2), "madd9": (0, 3, 7, 2),
    "69": (0, 4, 7, 9, 2), "11": (0, 4, 7, 10, 2, 5), "m11": (0, 3, 7, 10, 2, 5), "13": (0, 4, 7, 10, 2, 9), "5": (0, 7), "7b9": (0, 4, 7, 10, 1),
    "7#9": (0, 4, 7, 10, 3), "7#5": (0, 4, 8, 10), "7b5": (0, 4, 6, 10), "aug7": (0, 4, 8, 10), "m7#5": (0, 3, 8, 10)}
MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
ON_GRID_S, PUSH_S = 0.035, 0.035

# Sounding pitch, lowest and highest note of the real instrument (a good player's highest).
RANGES = {"acoustic guitar": (40, 84), "electric guitar": (40, 88), "bass": (23, 67), "double bass": (23, 67), "piano": (21, 108),
          "electric piano": (28, 103), "organ": (24, 108), "strings": (28, 103), "violin": (55, 103), "cello": (36, 81),
          "saxophone": (44, 87), "trumpet": (52, 86), "flute": (59, 98), "vibraphone": (53, 89)}
COMPING = ("acoustic guitar", "electric guitar", "piano", "electric piano", "organ", "strings", "vibraphone")
KICK, SNARE, HAT = (35, 36), (37, 38, 39, 40), (42, 44, 46, 51, 53, 59, 69, 70, 82)


class NotAChord(ValueError):
    pass


def chord_classes(name):
    """Pitch classes of "F#m7", "C/E", ...; None for "N"."""
    if name in ("N", ""):
        return None
    match = re.fullmatch(r"([A-G])([#b]*)([^/]*)(?:/([A-G])([#b]*))?", name)
    if not match or match[3] not in QUALITIES:
        raise NotAChord(name)
    root = NAMES[match[1]] + match[2].count("#") - match[2].count("b")
    classes = {(root + i) % 12 for i in QUALITIES[match[3]]}
    if match[4]:
        classes.add((NAMES[match[4]] + match[5].count("#") - match[5].count("b")) % 12)
    return classes


def key_classes(key):
    tonic, mode = key.split()
    root = NAMES[tonic[0]] + tonic.count("#") - tonic[1:].count("b")
    return {(root + i) % 12 for i in (MINOR if mode == "minor" else MAJOR)}


def by_instrument(report):
    found = collections.defaultdict(list)
    for n in report["notes"]:
        found[n["instrument"]].append(n)
    return {name: sorted(notes, key=lambda n: (n["onset"], n["pitch"])) for name, notes in found.items()}


class Style:
    """What a check needs of configs/styles/GENRE.ini."""

    def __init__(self, path):
        ini = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=(";",), strict=False)
        ini.read(path)
        self.swing = ini.getfloat("style", "swing", fallback=0.5)
        self.sixteenths = ini.get("style", "swing_of", fallback="eighths") == "sixteenths"
        self.passing = ini.get("style", "passing", fallback="diatonic")
        self.blues = ini.get("style", "scale", fallback="key") == "blues"
        self.fills = ini.get("instrument drums", "fills", fallback="")

    def scale(self, key):
        """What may be played beside the chord's own tones, resolved or not."""
        own = key_classes(key) if self.passing != "none" else set()
        tonic = NAMES[key[0]] + key.split()[0].count("#") - key.split()[0][1:].count("b")
        return own | ({(tonic + i) % 12 for i in (0, 3, 5, 6, 7, 10)} if self.blues else set())

    def places(self):
        """Where in a beat a stroke may lie: sixteenths as they swing, and triplets."""
        s = self.swing
        if self.sixteenths:  # the second sixteenth of each half lies late
            return sorted({0, s / 2, 0.5, 0.5 + s / 2, 1, 1 / 3, 2 / 3})
        return sorted({0, s / 2, s, s + (1 - s) / 2, 1, 1 / 3, 2 / 3})


def place(times, beats):
    """Positions in beats, the first beat 0; goes on evenly at both ends."""
    beats, times = np.asarray(beats, float), np.asarray(times, float)
    x = np.interp(times, beats, np.arange(len(beats)))
    x = np.where(times < beats[0], (times - beats[0]) / (beats[1] - beats[0]), x)
    return np.where(times > beats[-1], len(beats) - 1 + (times - beats[-1]) / (beats[-1] - beats[-2]), x)


def off_grid(report, style):
    """Seconds between every note's onset and the nearest place that the style asks for."""
    onsets = np.array([n["onset"] for n in report["notes"]])
    beats = np.asarray(report["beats"], float)
    beats = np.append(beats, 2 * beats[-1] - beats[-2])
    x = place(onsets, beats)
    at = np.clip(np.floor(x).astype(int), 0, len(beats) - 2)
    length = beats[at + 1] - beats[at]
    places = np.array(style.places())
    return np.min(np.abs((x - at)[:, None] - places), axis=1) * length


def foreign(report, style):
    """(pitched notes, those in neither chord nor scale, those of them that pass). Where the style is chromatic, a note may lead by a
    semitone to one that belongs, within a beat and in the instrument's next stroke."""
    scale = style.scale(report["key"])
    spans = [(c["start"], c["end"], chord_classes(c["chord"])) for c in report["chords"]]
    starts = np.array([s for s, _, _ in spans])

    def allowed(note):
        ok = set(scale)
        for t in (note["onset"], note["onset"] + PUSH_S):  # a stroke that is a little early belongs to the chord that it brings
            i = int(np.searchsorted(starts, t, "right")) - 1
            if i >= 0 and t < spans[i][1]:
                ok |= spans[i][2] or set()
        return note["pitch"] % 12 in ok

    total = outside = passing = 0
    for name, notes in by_instrument(report).items():
        if name == "drums":
            continue
        total += len(notes)
        for i, n in enumerate(notes):
            if allowed(n):
                continue
            outside += 1
            beat = 60 / report["tempo"]
            later = [m for m in notes[i + 1:] if m["onset"] > n["onset"] + 0.05]
            stroke = [m for m in later if m["onset"] < later[0]["onset"] + 0.05]
            leads = any(abs(m["pitch"] - n["pitch"]) == 1 and allowed(m) and m["onset"] < n["onset"] + 1.1 * beat for m in stroke)
            passing += style.passing == "chromatic" and leads
    return total, outside, passing


def out_of_range(report):
    notes = [n for n in report["notes"] if n["instrument"] in RANGES]
    return len(notes), sum(not RANGES[n["instrument"]][0] <= n["pitch"] <= RANGES[n["instrument"]][1] for n in notes)


def block_chords(report):
    """What a beginner would play: root position triads above middle C on every beat."""
    notes = []
    beats = list(report["beats"])
    for c in report["chords"]:
        classes = chord_classes(c["chord"])
        if classes is None:
            continue
        match = re.match(r"([A-G])([#b]*)([^/]*)", c["chord"])
        root = 60 + (NAMES[match[1]] + match[2].count("#") - match[2].count("b")) % 12
        for a, b in zip(beats, beats[1:]):
            if c["start"] - 1e-3 <= a < c["end"] - 1e-3:
                notes += [{"onset": a, "offset": min(b, c["end"]), "pitch": root + i, "velocity": 80, "instrument": "piano"}
                          for i in QUALITIES[match[3]][:3]]
    return notes


def clashes(notes, melody, least_s=0.05):
    """(comping notes while somebody sings, those a semitone beside the sung pitch, those on it)"""
    sung = np.array([(m["onset"], m["offset"], m["pitch"]) for m in melody]).reshape(-1, 3)
    during = beside = same = 0
    for n in notes:
        overlap = np.minimum(sung[:, 1], n["offset"]) - np.maximum(sung[:, 0], n["onset"])
        distance = np.abs(sung[overlap > least_s, 2] - n["pitch"])
        if len(distance):
            during += 1
            beside += bool((distance == 1).any())
            same += bool((distance == 0).any())
    return during, beside, same


def comping(report):
    return [n for n in report["notes"] if n["instrument"] in COMPING]


# ---- drums ----

def drum_bars(report):
    """Per bar: the set of (sixteenth, drum) of its strokes; bars by their number, empty ones missing."""
    downbeats = np.asarray(report["downbeats"], float)
    per_bar = report["meter"]
    bars = collections.defaultdict(set)
    for n in by_instrument(report).get("drums", []):
        i = int(np.searchsorted(downbeats, n["onset"] + ON_GRID_S, "right")) - 1
        if 0 <= i < len(downbeats) - 1:
            q = (n["onset"] - downbeats[i]) / (downbeats[i + 1] - downbeats[i]) * per_bar * 4
            bars[i].add((int(round(q)), n["pitch"]))
    return {i: frozenset(b) for i, b in bars.items()}


def distinct_bars(report, per=16):
    """Different bars among `per` successive ones, mean over the song; None for a song without as many."""
    bars = drum_bars(report)
    order = [bars[i] for i in sorted(bars)]
    return None if len(order) < per else float(np.mean([len(set(order[i:i + per])) for i in range(len(order) - per + 1)]))


def fills(report):
    """(section changes that drums lead to, those with a last bar that no other bar of its section is like)"""
    bars, downbeats = drum_bars(report), np.asarray(report["downbeats"], float)
    starts = [int(np.argmin(np.abs(downbeats - s["start"]))) for s in report["sections"]]
    changes = different = 0
    for first, end in zip(starts, starts[1:]):
        if end - 1 in bars and end in bars and end - first >= 2:
            changes += 1
            different += bars[end - 1] not in [bars.get(i) for i in range(first, end - 1)]
    return changes, different


# ---- grooves ----

def histogram(notes, report, drums=None):
    """Onsets by sixteenth of a bar of four beats, weighed by velocity; sums to 1 (all zero without notes)."""
    beats, downbeats = report["beats"], np.asarray(report["downbeats"], float)
    h = np.zeros(16)
    chosen = [n for n in notes if drums is None or n["pitch"] in drums]
    if not chosen or not len(downbeats):
        return h
    x = place([n["onset"] for n in chosen], beats)
    bar = place(downbeats, beats)
    for value, n in zip(x, chosen):
        i = int(np.searchsorted(bar, value + 0.1, "right")) - 1
        h[int(round(4 * (value - bar[max(i, 0)]))) % 16] += n["velocity"]
    return h / h.sum()


def groove(report, instruments=("bass", "electric guitar")):
    """One vector: kick, snare, hats and each instrument by sixteenth; strokes a bar of each."""
    parts = by_instrument(report)
    n_bars = max(1, len(report["downbeats"]))
    rows = [histogram(parts.get("drums", []), report, d) for d in (KICK, SNARE, HAT)]
    counts = [sum(n["pitch"] in d for n in parts.get("drums", [])) / n_bars for d in (KICK, SNARE, HAT)]
    for name in instruments:
        rows.append(histogram(parts.get(name, []), report))
        counts.append(len(parts.get(name, [])) / n_bars)
    swing = [float(np.mean(np.abs(place([n["onset"] for n in parts.get("drums", [])] or [0], report["beats"]) % 1 - 2 / 3) < 0.06))]
    return np.concatenate(rows + [0.05 * np.array(counts), swing])


def jensen_shannon(p, q):
    """In bits, 0..1; NaN when one of them is empty."""
    if not p.sum() or not q.sum():
        return float("nan")
    m = 0.5 * (p + q)

    def kl(a):
        return float(sum(x * np.log2(x / y) for x, y in zip(a, m) if x > 0))
    return 0.5 * kl(p) + 0.5 * kl(q)


def voicing_spread(notes, together_s=0.05):
    """Mean distance from lowest to highest of the notes that are struck together (three or more)."""
    spreads, group = [], []
    for n in sorted(notes, key=lambda n: n["onset"]) + [{"onset": 1e9, "pitch": 0}]:
        if group and n["onset"] - group[0]["onset"] > together_s:
            if len(group) >= 3:
                spreads.append(max(g["pitch"] for g in group) - min(g["pitch"] for g in group))
            group = []
        group.append(n)
    return float(np.mean(spreads)) if spreads else float("nan")


# ---- MusPy's measures (Dong et al. 2020) ----

def symbolic(notes, beats, downbeats, per_bar=4):
    """Of one part: pitch-class entropy, scale consistency, polyphony, groove consistency, empty beat rate."""
    pitches = np.array([n["pitch"] for n in notes], int)
    classes = np.bincount(pitches % 12, minlength=12) / max(1, len(pitches))
    entropy = float(-sum(p * np.log2(p) for p in classes if p > 0))
    scale = max(sum(classes[(t + i) % 12] for i in mode) for t in range(12) for mode in (MAJOR, MINOR))
    beats = np.asarray(beats, float)
    on, off = place([n["onset"] for n in notes], beats), place([n["offset"] for n in notes], beats)
    step = 12
    roll = collections.Counter()
    for a, b in zip(np.round(on * step).astype(int), np.round(off * step).astype(int)):
        roll.update(range(a, max(b, a + 1)))
    polyphony = float(np.mean(list(roll.values()))) if roll else float("nan")
    bars = collections.defaultdict(set)
    first = place(downbeats[:1], beats)[0] if len(downbeats) else 0
    for a in on:
        bar, rest = divmod(a - first, per_bar)
        bars[int(bar)].add(int(round(rest * 4)))
    order = range(min(bars), max(bars)) if bars else []
    differences = [len(bars[i] ^ bars[i + 1]) for i in order]
    groove_consistency = 1 - float(np.mean(differences)) / (4 * per_bar) if differences else float("nan")
    sounding = {int(i // step) for i in roll}
    span = range(int(min(on)), int(max(off)) + 1)
    return {"pitch-class entropy": entropy, "scale consistency": float(scale), "polyphony": polyphony,
            "groove consistency": groove_consistency, "empty beat rate": float(np.mean([i not in sounding for i in span]))}
