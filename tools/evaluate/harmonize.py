"""Chords for melodies (blocks/harmonizer.h): against those that people chose, and by the published measures of melody harmonisation.

Reported: POP909's songs whose number is a multiple of six, which bin/train_arranger does not even read (keep_out); the first minute of
singing, and whole songs; the corpus' own beats, bars and key of the song's beginning, genre pop. What configs/harmony.ini says of the
decoder was chosen on the 67 songs that training holds out. Half of one of these minutes in six is also sung by a sampled voice and
heard by bin/listen, with its own notes, beats, bars, key and genre.

Baselines: the tonic throughout; in every half bar the diatonic triad that most of the singing is on; a diatonic triad at random. The
ceiling of the measures is what the humans' own chords get. lib_harmony.py defines them.
"""
import time

import mir_eval
import numpy as np

import lib_harmony as lib
from common import Row

SECONDS = 60
MEASURES = ["CHE", "CC", "CTD", "CTnCTR", "PCS", "MCTD"]
FROM_AUDIO = 12
SCALE = [(0, "maj"), (2, "min"), (4, "min"), (5, "maj"), (7, "maj"), (9, "min"), (11, "dim")]  # triads above do


def first_minute(song):
    """From two seconds before the first note, as render_vocal.py cuts it."""
    start = max(0.0, song.notes[0][0] - 2)
    end = start + SECONDS

    def within(times):
        return times[(times >= start) & (times < end)]
    return lib.Song(song.id, [(s, min(e, end), p) for s, e, p in song.notes if s < end], within(song.beats), within(song.downbeats),
                    [(max(s, start), min(e, end), name) for s, e, name in song.chords if e > start and s < end], song.key)


def overlap(song, intervals, labels):
    """mir_eval's root and majmin."""
    found = mir_eval.chord.evaluate(np.array([c[:2] for c in song.chords]), [c[2] for c in song.chords], np.asarray(intervals), labels)
    return [found["root"], found["majmin"]]


def name_of(chord):
    return lib.NAMES[chord[0]] + ":" + chord[1]


def best_diatonic(song, half_bars):
    do = song.key[0] + 3 * song.key[1]
    triads = [((do + above) % 12, quality) for above, quality in SCALE]
    found = []
    for start, end in half_bars:
        sung = np.zeros(12)
        for s, e, pitch in song.notes:
            sung[pitch % 12] += max(0.0, min(e, end) - max(s, start))
        found.append(max(triads, key=lambda t: sum(sung[c] for c in lib._tones(t))))
    return found


def guesses(song, half_bars):
    """{name: the triad of every half bar}"""
    do = song.key[0] + 3 * song.key[1]
    rng = np.random.default_rng(int(song.id))
    tonic = (song.key[0], "min" if song.key[1] else "maj")
    return {"tonic": [tonic] * len(half_bars), "greedy diatonic": best_diatonic(song, half_bars),
            "random diatonic": [((do + SCALE[k][0]) % 12, SCALE[k][1]) for k in rng.integers(0, 6, len(half_bars))]}


def judge(song, ours):
    """({who: [root, majmin]}, {who: measures}) of one song."""
    half_bars = lib.units(song)
    human = lib.sampled(song.chords, half_bars, song.key)
    chords = {"ours": lib.sampled([(s, e, lib.label(name)) for s, e, name in ours], half_bars, song.key), "human": human,
              **guesses(song, half_bars)}
    agree = {"ours": overlap(song, [c[:2] for c in ours], [lib.label(c[2]) for c in ours])}
    for who in ("tonic", "greedy diatonic"):
        agree[who] = overlap(song, half_bars, [name_of(c) for c in chords[who]])
    known = {who: [c if h is not None else None for c, h in zip(found, human)] for who, found in chords.items()}
    return agree, {who: lib.measures(song.notes, half_bars, found) for who, found in known.items()}


def mean(rows, who):
    return np.mean([r[who] for r in rows], axis=0)


def from_audio(ctx, songs):
    """Agreement of what bin/listen finds for a sung minute: ours, and ours on the true notes, beats and key."""
    rendered = ctx.render_pop909([s.id for s, _ in songs], SECONDS)
    heard, true = [], []
    for song, agree in songs:
        wav, truth = rendered[song.id]
        spans = [(c["start"], c["end"], c["chord"]) for c in ctx.listen(wav)["chords"]]
        given = song._replace(chords=[(s, e, name) for s, e, name in truth["chords"] if e > s + 1e-6])
        heard.append(overlap(given, [s[:2] for s in spans], [lib.label(s[2]) for s in spans]))
        true.append(agree["ours"])
    return np.mean(heard, axis=0), np.mean(true, axis=0)


def seconds_of_long_song(ctx, table):
    """Loading the model and finding the chords of four minutes."""
    notes = [(0.5 * i, 0.5 * i + 0.4, 60 + [0, 4, 7, 5, 2][i % 5]) for i in range(480)]
    song = lib.Song("long", notes, np.arange(0, 240.1, 0.5), np.arange(0, 240, 2.0), [], (0, 0))
    times = []  # of this process: what else runs does not count
    for _ in range(5):
        start = time.process_time()
        lib.Harmonizer(ctx.model / "arranger.h5", table).run(song)
        times.append(time.process_time() - start)
    return min(times)


def run(ctx):
    corpus = ctx.need("midi", "pop909")
    ids = [p.name for p in sorted(corpus.iterdir()) if p.name.isdigit() and int(p.name) % 6 == 0]
    table = (lib.HERE / "configs" / "harmony.ini").read_text()
    harmonizer = lib.Harmonizer(ctx.model / "arranger.h5", table)
    whole = [lib.pop909(corpus / i) for i in ids]
    minutes = [first_minute(song) for song in whole]
    agree, measures = zip(*[judge(song, harmonizer.run(song)) for song in minutes])
    n, names = len(ids), ["root overlap", "majmin overlap"]
    for k, floor in ((0, 0.40), (1, 0.35)):
        yield Row("harmonize", "POP909, a minute", names[k], n, float(mean(agree, "ours")[k]), floor,
                  baseline=[(who, float(mean(agree, who)[k])) for who in ("tonic", "greedy diatonic")])
    tones = {who: float(np.mean([m[who]["chord tones"] for m in measures])) for who in measures[0]}
    yield Row("harmonize", "POP909, a minute", "melody on chord tones, off the human's", n, abs(tones["ours"] - tones["human"]), 0.03,
              baseline=[(who, abs(tones[who] - tones["human"])) for who in ("tonic", "greedy diatonic", "random diatonic")],
              ceiling=("human", tones["human"]), lower_is_better=True)
    for name in MEASURES:
        value = {who: float(np.mean([m[who][name] for m in measures])) for who in measures[0]}
        yield Row("harmonize", "POP909, a minute", name, n, value["ours"], baseline=[(who, value[who]) for who in ("tonic", "random diatonic")],
                  ceiling=("human", value["human"]))
    agree_whole = [judge(song, harmonizer.run(song))[0] for song in whole]
    for k in range(2):
        yield Row("harmonize", "POP909, whole songs", names[k], n, float(mean(agree_whole, "ours")[k]),
                  baseline=[(who, float(mean(agree_whole, who)[k])) for who in ("tonic", "greedy diatonic")])
    some = list(zip(minutes, agree))[::n // FROM_AUDIO][:FROM_AUDIO]
    heard, true = from_audio(ctx, some)
    for k in range(2):
        yield Row("harmonize", "sung by a voice, heard by listen", names[k], len(some), float(heard[k]), ceiling=("true notes", float(true[k])))
    yield Row("harmonize", "melody of four minutes", "CPU seconds, loading included", 5, seconds_of_long_song(ctx, table), 0.1, lower_is_better=True)
