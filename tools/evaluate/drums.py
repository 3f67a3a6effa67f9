"""Drums: how near the learned drummer comes to people on performances that were held out, and how near the arranged drums of each
genre come to what people play in it.

The held-out performances are those of the Groove MIDI Dataset whose split is not "train" (in `midi/groove`: 124, of which 123 are
in quarters). Baselines know the training performances: each drum's mean velocity on the grid, the mean at the same place
of the bar, any hit of a performance of the same style. "Again" is the same person playing the same bar another time.

The arranged drums are `bin/drum_track` of ten genres, six takes of 48 bars in 4/4. The grooves of the styles were chosen from
performances of the training split, so they are measured on the others where there are grooves in 4/4 (rock, pop, jazz, hip-hop), and for
blues, country, reggae and disco on the training ones, which the row says. Their distance to people is the
Jensen-Shannon divergence (bits, 0 to 1) of where in the bar (24 places: sixteenths and triplets) bass drum, snare and cymbals are struck, mean over the
three; beside it stand the parts of the nine other genres, and people of the same style among themselves.
"""
import csv
import itertools
import json
import math

import mido
import numpy as np

from common import Missing, Row

STYLES = {"rock": "rock", "pop": "pop", "jazz": "jazz", "hip-hop": "hiphop", "blues": "blues", "country": "country", "reggae": "reggae",
          "disco": "dance/disco", "metal": None, "classical": None}
BPM = {"rock": 115, "pop": 105, "jazz": 140, "hip-hop": 92, "blues": 100, "country": 110, "reggae": 78, "disco": 118, "metal": 150, "classical": 90}
GROUPS = {"kick": (35, 36), "snare": (37, 38, 39, 40), "cymbals": (22, 26, 42, 44, 46, 51, 53, 59)}
SLOTS = (0, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 1)      # of a beat: sixteenths and triplets
PLACES, TAKES, BARS = 4 * 6, 6, 48


def place(beat):
    """Nearest place, counted from the first beat: six to a beat."""
    whole = math.floor(beat)
    nearest = min(range(7), key=lambda i: abs(beat - whole - SLOTS[i]))
    return 6 * whole + nearest


def read(path):
    """(beats, key, velocity) of a drum file, by the ticks of its tempo map."""
    midi, now, out = mido.MidiFile(path), 0, []
    for message in mido.merge_tracks(midi.tracks):
        now += message.time
        if message.type == "note_on" and message.velocity:
            out.append((now / midi.ticks_per_beat, message.note, message.velocity))
    return out


def aligned(notes):
    """Without the constant lag."""
    at = np.array([n[0] for n in notes])
    near = at - np.round(at)
    near = near[np.abs(near) < 0.1]
    lag = np.median(near) if len(near) else 0
    return [(b - lag, k, v) for b, k, v in notes]


def places(notes):
    """Histograms [group, place] of where in a bar of four beats each group is struck."""
    out = np.zeros((len(GROUPS), PLACES))
    for beat, key, _ in notes:
        for g, keys in enumerate(GROUPS.values()):
            if key in keys:
                out[g, place(beat) % PLACES] += 1
    return out


def divergence(a, b):
    """Jensen-Shannon, mean over groups that both have."""
    found = []
    for p, q in zip(a, b):
        if p.sum() and q.sum():
            p, q = p / p.sum(), q / q.sum()
            m = (p + q) / 2
            found.append(sum(x * math.log2(x / mid) for side in (p, q) for x, mid in zip(side, m) if x > 0) / 2)
    return float(np.mean(found)) if found else 1.0


def bars(notes):
    """Binary onsets [bars, places]."""
    last = int((max(n[0] for n in notes) + 0.2) // 4) + 1
    out = np.zeros((last, PLACES), bool)
    for beat, _, _ in notes:
        at = place(beat)
        if 0 <= at < last * PLACES:
            out[at // PLACES, at % PLACES] = True
    return out


def consistency(notes):
    """MusPy's groove consistency: 1 - mean Hamming distance of neighbouring bars."""
    b = bars(notes)
    return float(1 - np.mean(b[1:] != b[:-1])) if len(b) > 1 else 1.0


def density(notes):
    return len(notes) / max(1, len(bars(notes)))


def people(folder, style, held_out):
    """Grooves of eight bars or more in 4/4."""
    out = []
    for row in csv.DictReader(open(folder / "info.csv")):
        fits = row["style"] == style or row["style"].split("/")[0] == style
        if fits and row["beat_type"] == "beat" and row["time_signature"] == "4-4" and (row["split"] != "train") == held_out:
            notes = aligned(read(folder / row["midi_filename"]))
            if notes and notes[-1][0] > 30:
                out.append(notes)
    return out


def arranged(ctx, genre):
    """Takes of a genre; their first bar begins at 0."""
    folder = ctx.work / "drums"
    folder.mkdir(exist_ok=True)
    takes = []
    for seed in range(1, TAKES + 1):
        path = folder / f"{genre}-{seed}.mid"
        ctx.run(ctx.program("drum_track"), genre, "-o", path, "--bpm", BPM[genre], "--bars", BARS, "--seed", seed, "--model", ctx.model)
        takes.append(read(path))
    return takes


def drummer_rows(ctx, folder):
    f = json.loads(ctx.run(ctx.program("drum_figures"), folder, "--model", ctx.model))
    every, again = f["all"], f["repeated"]
    ours, told = "drummer, not told accents", "drummer"
    others = {"quantised": "quantised", "place's mean": "mean of the place", "another": "another performance"}
    what = f"{f['performances']} held-out performances"
    for metric, key, lower in (("velocity, mean error", "velocity_mae", True), ("velocity, r2", "velocity_r2", False),
                               ("timing, mean error ms", "offset_mae_ms", True), ("timing, r2", "offset_r2", False)):
        yield Row("drums", what, metric, f["hits"], every[ours][key], lower_is_better=lower,
                  peer=("told accents", every[told][key]), baseline=[(name, every[p][key]) for name, p in others.items()])
        yield Row("drums", "their bars that recur", metric, f["repeated_hits"], again[ours][key], lower_is_better=lower,
                  peer=("told accents", again[told][key]), baseline=[(name, again[p][key]) for name, p in others.items()],
                  ceiling=("again", again["the person again"][key]))
    for metric, key in (("KL of velocities", "velocity_kl"), ("KL of timing", "offset_kl")):
        yield Row("drums", what, metric, f["hits"], every[ours][key], lower_is_better=True,
                  baseline=[(name, every[p][key]) for name, p in others.items()], ceiling=("halves of the people", f["halves"][key]))


def genre_rows(ctx, folder):
    takes = {g: arranged(ctx, g) for g in STYLES}
    pooled = {g: sum((places(t) for t in takes[g]), np.zeros((len(GROUPS), PLACES))) for g in STYLES}
    for genre, style in STYLES.items():
        if not style:
            continue
        judged, known = people(folder, style, True), people(folder, style, False)
        seen = not judged
        judged = judged or known
        theirs = sum(places(n) for n in judged)
        own = divergence(pooled[genre], theirs)
        others = [divergence(pooled[g], theirs) for g in STYLES if g != genre]
        half = None # people beside people: the others of the style, or every second of them
        if not seen:
            half = theirs, sum(places(n) for n in known)
        elif len(judged) > 1:
            half = sum(places(n) for n in judged[::2]), sum(places(n) for n in judged[1::2])
        where = f"{genre}: {len(judged)} grooves" + (" it was chosen from" if seen else "")
        yield Row("drums", where, "places in the bar, JS", len(judged), own, lower_is_better=True,
                  baseline=[("best of other genres", min(others)), ("their mean", float(np.mean(others)))],
                  ceiling=("people", divergence(*half)) if half else None)
        yield Row("drums", where, "hits a bar", len(judged), float(np.mean([density(t) for t in takes[genre]])),
                  ceiling=("people", float(np.mean([density(n) for n in judged]))))
        yield Row("drums", where, "groove consistency", len(judged), float(np.mean([consistency(t) for t in takes[genre]])),
                  ceiling=("people", float(np.mean([consistency(n) for n in judged]))))
    pairs = [divergence(pooled[a], pooled[b]) for a, b in itertools.combinations(STYLES, 2)]
    yield Row("drums", "ten genres", "apart from each other, JS: least", len(pairs), min(pairs))
    yield Row("drums", "ten genres", "apart from each other, JS: mean", len(pairs), float(np.mean(pairs)))
    straight = [g for g in STYLES if g not in ("hip-hop", "reggae", "country", "blues")] # the others swing in between
    late = [abs(min((b - math.floor(b) - slot for slot in SLOTS), key=abs)) * 60 / BPM[g] for g in straight for t in takes[g] for b, _, _ in t]
    yield Row("drums", f"{len(straight)} genres on straight or triplet grids", "onsets within 35 ms of it", len(late),
              float(np.mean(np.array(late) <= 0.035)), floor=0.95)


def run(ctx):
    folder = ctx.need("midi", "groove")
    if not (folder / "info.csv").exists():
        raise Missing(f"{folder}/info.csv is not there (DATA)")
    yield from drummer_rows(ctx, folder)
    yield from genre_rows(ctx, folder)
