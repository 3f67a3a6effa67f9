#!/usr/bin/env python3
"""What drummers of a style play most: two-bar grooves and fills of the Groove MIDI Dataset as sections of a style file.

    tools/mine_grooves.py ../shared/data/midi/groove rock                      grooves in sixteenths
    tools/mine_grooves.py ../shared/data/midi/groove jazz --steps 3            in triplets
    tools/mine_grooves.py ../shared/data/midi/groove blues/shuffle --steps 3 --meter 4-4
    tools/mine_grooves.py ../shared/data/midi/groove rock --fills --bars 1     fills, small ones first

Only performances of the split "train" are read. Each is taken to the grid (its constant lag out), cut into stretches of
--bars bars, and stretches that differ by little (a kick or snare counts 3, a ghost note or a cymbal 1) form a cluster
round the one that most others are near to. Printed are the largest clusters, the one stretch in the middle with the
median velocity of the cluster in every cell, softer clusters first, with how often they occur and with how many
performances. What the styles in configs/styles hold was chosen from these lists, shortened and named by hand.
"""
import argparse
import collections
import csv
import pathlib

import mido
import numpy as np

ROWS = ["crash", "bell", "ride", "open", "hat", "pedal", "tom1", "tom2", "tom3", "stick", "snare", "kick"]
KEYS = {36: "kick", 35: "kick", 37: "stick", 38: "snare", 40: "snare", 42: "hat", 22: "hat", 44: "pedal", 46: "open", 26: "open",
        43: "tom3", 58: "tom3", 41: "tom3", 45: "tom2", 47: "tom2", 48: "tom1", 50: "tom1", 49: "crash", 55: "crash", 57: "crash",
        52: "crash", 51: "ride", 59: "ride", 53: "bell"}
GHOST = 45


def read(path):
    """Hits as (beat, row, velocity) and the beats of the file."""
    midi = mido.MidiFile(path)
    hits, now = [], 0
    for message in mido.merge_tracks(midi.tracks):
        now += message.time
        if message.type == "note_on" and message.velocity and message.note in KEYS:
            hits.append((now / midi.ticks_per_beat, ROWS.index(KEYS[message.note]), message.velocity))
    return hits


def grid(hits, steps, beats):
    """Velocities [bars, rows, cells]; the constant lag is taken out; None when the hits do not lie on such a grid."""
    at = np.array([h[0] for h in hits])
    near = at - np.round(at)
    at = at - (np.median(near[np.abs(near) < 0.1]) if (np.abs(near) < 0.1).any() else 0)
    cell = np.round(at * steps).astype(int)
    if np.mean(np.abs(at - cell / steps)) > 0.07:
        return None
    n = steps * beats
    out = np.zeros((max(cell.max(), 0) // n + 1, len(ROWS), n))
    for c, (_, row, velocity) in zip(cell, hits):
        if c >= 0:
            out[c // n, row, c % n] = max(out[c // n, row, c % n], velocity)
    return out


def weights():
    w = np.ones(len(ROWS))
    for name in ("kick", "snare", "stick"):
        w[ROWS.index(name)] = 3
    for name in ("crash", "pedal"):
        w[ROWS.index(name)] = 0.5
    return w


def distances(v):
    """Between all stretches [n, rows, cells]: cells that one has and the other has not, ghost notes counting little."""
    share = np.where(v == 0, 0, np.where((v < GHOST)[:, :, :], 1 / 3, 1))
    share[:, ROWS.index("kick")] = v[:, ROWS.index("kick")] > 0
    w = weights()[None, :, None]
    flat = (share * w).reshape(len(v), -1)
    return np.abs(flat[:, None, :] - flat[None, :, :]).sum(2) if len(v) < 1500 else None


def clusters(v, owner, radius, most):
    """Greedy: the stretch with most neighbours (each performance counted at most 6 times), its cluster taken out, and so on."""
    d = distances(v)
    left = np.ones(len(v), bool)
    found = []
    while left.any() and len(found) < most:
        near = (d <= radius) & left[None, :] & left[:, None]
        score = np.zeros(len(v))
        for i in np.flatnonzero(left):
            score[i] = sum(min(c, 6) for c in collections.Counter(owner[near[i]]).values())
        i = int(score.argmax())
        members = np.flatnonzero(near[i])
        found.append((i, members, len(set(owner[members]))))
        left[members] = False
    return found


def print_section(name, cells, comment, steps, beats):
    print(f"; {comment}\n[pattern {name}]\nkind = drums")
    if steps != 4:
        print(f"steps = {steps}")
    if beats != 4:
        print(f"beats = {beats}")
    n = cells.shape[1]
    for row, line in zip(ROWS, cells):
        if line.any():
            text = "".join("." if x == 0 else str(int(min(9, max(1, round(x / 127 * 9))))) for x in line)
            beat = [text[i:i + steps] for i in range(0, n, steps)]
            bars = [" ".join(beat[i:i + beats]) for i in range(0, len(beat), beats)]
            print(f"{row:6}= " + " | ".join(bars))
    print()


def main():
    parser = argparse.ArgumentParser(prog="mine_grooves.py", description=__doc__.split("\n")[0])
    parser.add_argument("folder", help="the Groove MIDI Dataset: info.csv and MIDI files")
    parser.add_argument("style", help="rock: all whose style begins so; rock/halftime: this one; names may be joined by commas")
    parser.add_argument("--fills", action="store_true", help="fills instead of grooves")
    parser.add_argument("--steps", type=int, default=4, help="of a beat: 4, or 3 for triplets (4)")
    parser.add_argument("--meter", default="4-4", help="4-4, 3-4, 6-8 (six eighths, --steps 2) (4-4)")
    parser.add_argument("--bars", type=int, default=2, help="of a pattern (2)")
    parser.add_argument("--radius", type=float, default=7, help="how far stretches of one cluster differ (7)")
    parser.add_argument("--most", type=int, default=12, help="clusters (12)")
    parser.add_argument("--bpm", type=float, nargs=2, default=(0, 999), help="only tempi between these")
    args = parser.parse_args()
    beats, unit = (int(x) for x in args.meter.split("-"))
    folder = pathlib.Path(args.folder)
    pieces, owner = [], []
    for k, row in enumerate(csv.DictReader(open(folder / "info.csv"))):
        wanted = any(row["style"] == s or row["style"].split("/")[0] == s for s in args.style.split(","))
        if row["split"] != "train" or not wanted or row["time_signature"] != args.meter or \
                (row["beat_type"] == "fill") != args.fills or not args.bpm[0] <= float(row["bpm"]) <= args.bpm[1]:
            continue
        hits = [(b * unit / 4, r, v) for b, r, v in read(folder / row["midi_filename"])]
        v = grid(hits, args.steps, beats) if hits else None
        if v is None:
            continue
        if args.fills:
            while len(v) > 1 and (v[-1] > 0).sum() < 3: # a stroke on the next bar's first beat
                v = v[:-1]
            v = v[-args.bars:]
        for i in range(0, len(v) - args.bars + 1, args.bars):
            piece = np.concatenate(v[i:i + args.bars], 1)
            if (piece > 0).sum() >= 3 * args.bars:
                pieces.append(piece)
                owner.append(k)
    if not pieces:
        raise SystemExit(f"mine_grooves.py: no performance of {args.style} in {args.meter} lies on {args.steps} steps a beat")
    pieces, owner = np.array(pieces), np.array(owner)
    if len(pieces) > 1400: # evenly spread over all performances
        keep = np.linspace(0, len(pieces) - 1, 1400).astype(int)
        pieces, owner = pieces[keep], owner[keep]
    found = clusters(pieces, owner, args.radius, args.most)
    drums = [ROWS.index(r) for r in ("snare", "tom1", "tom2", "tom3", "kick", "crash")]
    size = (lambda f: (pieces[f[0]][drums] > 0).sum()) if args.fills else (lambda f: pieces[f[1]][pieces[f[1]] > 0].mean())
    for number, (i, members, n) in enumerate(sorted(found, key=size)):
        group = np.where(pieces[members] > 0, pieces[members], np.nan)
        with np.errstate(all="ignore"):
            median = np.nan_to_num(np.nanmedian(group, 0), nan=0)
        cells = np.where(pieces[i] > 0, median, 0)
        loud = pieces[members][pieces[members] > 0].mean()
        print_section(f"{args.style.replace('/', '_').split(',')[0]}_{'fill_' if args.fills else ''}{number + 1}", cells,
                      f"{len(members)} of {len(pieces)} stretches, {n} performances, mean velocity {loud:.0f}", args.steps, beats)


if __name__ == "__main__":
    main()
