"""Sung notes: onset within 50 ms and pitch within half a semitone (mir_eval.transcription), and with the offset, too.

Material: POP909 melodies sung by a sampled voice; vocadito_1 against each of its two annotators (ceiling: one against the other);
two songs of NIT SONG070 with their phonetic alignment; excerpts of mixed songs with UltraStar notes, through bin/listen. The
constants of audio/notes.c were chosen on vocadito_1 and the songs of TUNING; REPORTED are others.
"""
import re

import aubio
import mir_eval
import numpy as np
import scipy.sparse.csgraph
import soundfile

import lib_audio
from common import Row

TUNING, REPORTED = slice(13, None, 60), slice(29, None, 35)   # of POP909's songs in order: 14 and 24, none in both
FLOOR_RENDERED, BELOW_ANNOTATORS = 0.80, 0.10
VOWELS = {"a", "i", "u", "e", "o", "N", "A", "I", "U", "E", "O"}
MIXED = ["Jonathan_Coulton_-_Better.mp3", "Jonathan_Coulton_-_Chiron_Beta_Prime.mp3", "Jonathan_Coulton_-_Code_Monkey.ogg",
         "Jonathan_Coulton_-_Flickr.mp3", "Joshua_Morin_-_On_the_run.ogg"]
EXCERPT_S = 20.0
AUBIO_LATE_S = 0.11   # how late aubio reports a note (its median over the pitches of several frames): taken off, best on TUNING


def hertz(midi):
    return 440 * 2 ** ((np.asarray(midi, float) - 69) / 12)


def intervals(notes):
    """(intervals, hertz) for mir_eval of (onset, offset, MIDI pitch) rows; notes without length are left out."""
    notes = np.asarray(notes, float).reshape(-1, 3)
    notes = notes[notes[:, 1] > notes[:, 0]]
    return notes[:, :2], hertz(notes[:, 2])


def f_measures(truth, found):
    """F of onset and pitch, and of onset, offset and pitch."""
    (ref, ref_hz), (est, est_hz) = intervals(truth), intervals(found)
    if not len(ref) or not len(est):
        return np.zeros(2)
    at = lambda offset: mir_eval.transcription.precision_recall_f1_overlap(ref, ref_hz, est, est_hz, offset_ratio=offset)[2]
    return np.array([at(None), at(0.2)])


def ours(x, rate):
    return lib_audio.notes(x, rate)[0]


def aubio_notes(x, rate):
    """aubio's notes ("default" onsets, yinfft pitch), as its aubionotes program finds them."""
    hop = 512
    tracker = aubio.notes("default", 2048, hop, rate)
    padded, found, sounding = np.pad(np.asarray(x, np.float32), (0, hop)), [], None
    for i in range(len(x) // hop + 1):
        pitch, velocity, ended = tracker(padded[i * hop:(i + 1) * hop])
        now = max(0.0, i * hop / rate - AUBIO_LATE_S)
        if sounding and (ended > 0 or velocity > 0):
            found.append((sounding[0], now, sounding[1]))
            sounding = None
        if velocity > 0:
            sounding = now, pitch
    return found + ([(sounding[0], len(x) / rate, sounding[1])] if sounding else [])


def every_half_second(truth):
    """The dumbest answer: a note each half second at the middle pitch."""
    truth = np.asarray(truth)
    return [(t, t + 0.4, np.median(truth[:, 2])) for t in np.arange(0, truth[:, 1].max(), 0.5)]


def rows(material, n, ours_f, aubio_f, dumb_f, floor=None, ceiling=None):
    for i, metric in enumerate(["F onset+pitch", "F onset+pitch+offset"]):
        yield Row("notes", material, metric, n, float(ours_f[i]), floor if i == 0 else None, peer=("aubio", aubio_f[i]),
                  baseline=("each 0.5 s", dumb_f[i]), ceiling=None if ceiling is None else ceiling[i])


def rendered(ctx, which):
    ids = sorted(p.name for p in ctx.need("midi", "pop909").iterdir() if p.is_dir())[which]
    scores = []
    for wav, truth in ctx.render_pop909(ids).values():
        x, rate = soundfile.read(wav)
        melody = [(on, off, pitch) for on, off, pitch, _ in truth["melody"]]
        scores.append([f_measures(melody, found) for found in (ours(x, rate), aubio_notes(x, rate), every_half_second(melody))])
    return len(ids), np.mean(scores, axis=0)


def vocadito(ctx):
    x, rate = soundfile.read(ctx.need("vocals", "vocadito_1.flac"))
    annotated = [np.loadtxt(ctx.need("vocals", f"vocadito_1_notesA{i}.csv"), delimiter=",") for i in (1, 2)]
    annotated = [np.c_[a[:, 0], a[:, 0] + a[:, 2], 69 + 12 * np.log2(a[:, 1] / 440)] for a in annotated]
    agreement = f_measures(*annotated)
    found, peer = ours(x, rate), aubio_notes(x, rate)
    for i, truth in enumerate(annotated):
        yield from rows(f"vocadito_1, annotator {i + 1}", len(truth), f_measures(truth, found), f_measures(truth, peer),
                        f_measures(truth, every_half_second(truth)), float(agreement[0]) - BELOW_ANNOTATORS, agreement)


def matched(first, last, pitch, onset, found, tolerance, chroma):
    """How many notes can be paired: the onset within `tolerance` of first..last, the pitch within half a semitone."""
    away = np.maximum(0, np.maximum(first[:, None] - onset, onset - last[:, None]))
    apart = pitch[:, None] - found
    apart = np.abs((apart + 6) % 12 - 6 if chroma else apart)
    pairs = scipy.sparse.csr_matrix((away <= tolerance) & (apart <= 0.5))
    return int((scipy.sparse.csgraph.maximum_bipartite_matching(pairs, perm_type="column") >= 0).sum())


def aligned(path):
    """Notes of an HTS label file: (start of the syllable, start of its vowel, end, MIDI pitch) rows."""
    steps, notes, last = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}, [], None
    for line in path.read_text().splitlines():
        start, end, label = line.split(" ", 2)
        phone, note = re.search(r"-([^+]+)\+", label).group(1), re.search(r"/E:(.*?)/F:", label).group(1)
        pitch = re.match(r"([A-G])(b|#)?(\d)", note)
        if not pitch:
            last = None
            continue
        if note != last:
            name, sign, octave = pitch.groups()
            notes.append([int(start) / 1e7, None, 0, steps[name] + {"b": -1, "#": 1, None: 0}[sign] + 12 * (int(octave) + 1)])
            last = note
        notes[-1][2] = int(end) / 1e7
        if phone in VOWELS and notes[-1][1] is None:
            notes[-1][1] = int(start) / 1e7
    return np.array([n for n in notes if n[1] is not None])


def nit(ctx):
    names = ["nit_song070_f001_004", "nit_song070_f001_007"]
    scores = []
    for name in names:
        x, rate = soundfile.read(ctx.need("vocals", name + ".flac"))
        truth = aligned(ctx.need("vocals", name + ".lab"))
        row = []
        for found in (ours(x, rate), np.array(aubio_notes(x, rate)).reshape(-1, 3)):
            truth_here = truth[truth[:, 1] < len(x) / rate]
            # Children's songs are sung an octave up or down, and in a tuning of their own: the step of the scale counts.
            pairs = matched(truth_here[:, 0], truth_here[:, 1], truth_here[:, 3], found[:, 0], found[:, 2], 0.05, True)
            row.append(2 * pairs / (len(truth_here) + len(found)))
        scores.append(row)
    f = np.mean(scores, axis=0)
    yield Row("notes", "NIT SONG070, aligned phones", "F onset+chroma", len(names), float(f[0]), peer=("aubio", f[1]))


def ultrastar(path):
    """(onset, offset, MIDI pitch) rows of a karaoke file; pitch 0 is C4, a beat is a quarter of the written one."""
    head, notes = {}, []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("#") and ":" in line:
            key, value = line[1:].split(":", 1)
            head[key.upper()] = value.strip().replace(",", ".")
        elif line[:1] in (":", "*"):
            start, length, pitch = (int(v) for v in line[1:].split()[:3])
            notes.append((start, start + length, pitch + 60))
    notes = np.array(notes, float)
    notes[:, :2] = notes[:, :2] * 60 / float(head["BPM"]) / 4 + float(head["GAP"]) / 1000
    return notes


def mixed(ctx):
    counts = np.zeros(3)
    for name in MIXED:
        song = ctx.need("songs", "mixed", name)
        truth = ultrastar(song.with_suffix("").with_suffix(".notes.txt"))
        first = max(0.0, truth[0, 0] - 1)
        excerpt = ctx.work / ("excerpt_" + song.stem + ".wav")
        if not excerpt.exists():
            x, rate = soundfile.read(song)
            soundfile.write(excerpt, x[int(first * rate):int((first + EXCERPT_S) * rate)], rate)
        truth = truth[(truth[:, 0] >= first) & (truth[:, 0] < first + EXCERPT_S)] - [first, first, 0]
        found = np.array([(n["onset"], n["pitch"]) for n in ctx.listen(excerpt)["melody"]], float).reshape(-1, 2)
        counts += matched(truth[:, 0], truth[:, 0], truth[:, 2], found[:, 0], found[:, 1], 0.15, True), len(truth), len(found)
    yield Row("notes", "mixed songs, karaoke syllables", "F onset (150 ms)+chroma", len(MIXED), 2 * counts[0] / (counts[1] + counts[2]))


def run(ctx):
    n, scores = rendered(ctx, REPORTED)
    yield from rows("rendered POP909 melodies", n, *scores, FLOOR_RENDERED, (1, 1))
    yield from vocadito(ctx)
    yield from nit(ctx)
    yield from mixed(ctx)
