#!/usr/bin/python3
"""How melodies and chords move through their keys, counted on POP909: writes audio/key_tables.h and music/chord_key_tables.h.

    /usr/bin/python3 tools/count_keys.py --data ../shared/data [--songs DIR...]

Songs whose number is a multiple of six are left out: tools/evaluate/ reports on them. --songs: folders of invented songs
(tools/render_dataset) whose chords are counted, too.
"""
import argparse
import json
import pathlib
import random
import statistics
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import render_arrangements as pop909

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXCERPT_S = 60
MINOR_THIRD = ("min", "dim", "hdim")


def key_of(text):
    return pop909.pitch_class(text.split(":")[0]), int(text.endswith("min"))


def count_melody(songs):
    steps, ends, last = np.ones((2, 12, 12)), np.ones((2, 12)), np.ones((2, 12))
    for tracks, _, _, key in songs:
        notes = tracks.get("MELODY", [])
        notes = [n for n in notes if n[0] < notes[0][0] + EXCERPT_S]
        if len(notes) < 2:
            continue
        tonic, mode = key_of(key)
        degrees = [(n[2] - tonic) % 12 for n in notes]
        gaps = [b[0] - a[0] for a, b in zip(notes, notes[1:])]
        longest = 2.5 * statistics.median(gaps)
        for a, b, gap in zip(degrees, degrees[1:], gaps):
            steps[mode, a, b] += 1
            ends[mode, a] += gap > longest
        last[mode, degrees[-1]] += 1
    return steps, ends, last


def chord_steps(chords, start, end):
    """(12 * minor third + root, seconds) of the chords within the excerpt, neighbours that count alike joined."""
    out = []
    for s, e, label in chords:
        chord, s, e = pop909.parse_chord(label), max(s, start), min(e, end)
        if e <= s or chord is None:
            continue
        k = 12 * label.split(":")[1].startswith(MINOR_THIRD) + chord[0]
        if out and out[-1][0] == k:
            out[-1][1] += e - s
        else:
            out.append([k, e - s])
    return out


def count_chords(songs):
    time, first, last, steps = np.full((2, 24), 0.5), np.full((2, 24), 0.5), np.full((2, 24), 0.5), np.full((2, 24, 24), 0.1)
    for chords, (tonic, mode) in songs:
        degrees = [k // 12 * 12 + (k - tonic) % 12 for k, _ in chords]
        for d, (_, seconds) in zip(degrees, chords):
            time[mode, d] += seconds
        for a, b in zip(degrees, degrees[1:]):
            steps[mode, a, b] += 1
        if degrees:
            first[mode, degrees[0]] += 1
            last[mode, degrees[-1]] += 1
    return time, first, last, steps


def c_table(counts, indent=4):
    values = np.round(-100 * np.log(counts / counts.sum(-1, keepdims=True))).astype(int)
    pad = " " * indent
    if values.ndim == 1:
        return pad + "{ " + ", ".join(map(str, values)) + " },\n"
    if values.ndim == 2:
        return "".join(c_table(row, indent) for row in counts)
    return "".join(pad + "{\n" + c_table(block, indent + 4) + pad + "},\n" for block in counts)


def write(path, comment, guard, tables):
    lines = [f"/* {comment} Written by tools/count_keys.py. */\n#ifndef {guard}\n#define {guard}\n"]
    for note, name, counts in tables:
        dims = "".join(f"[{n}]" for n in counts.shape)
        lines.append(f"\n/* {note} */\nstatic const short {name}{dims} = {{\n{c_table(counts)}}};\n")
    (ROOT / path).write_text("".join(lines) + "\n#endif\n")


def main():
    parser = argparse.ArgumentParser(description="Counts how melodies and chords move through their keys.")
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("../shared/data"))
    parser.add_argument("--songs", type=pathlib.Path, nargs="*", default=[])
    a = parser.parse_args()
    folders = [f for f in pop909.songs(a.data) if int(f.name) % pop909.HELD_OUT_EVERY]
    songs = [pop909.read_song(f) for f in folders]
    n, random_start = len(songs), random.Random(2)
    steps, ends, last = count_melody(songs)
    write("audio/key_tables.h", "Scale degrees in melodies, by mode (0 major, 1 minor): minus 100 times natural logarithms of probabilities,\n"
          " * degree in semitones above the tonic. Counted over the first minute of the melodies of " + str(n) + " songs of\n"
          " * POP909 (MIT licence), keys as annotated there.", "BL_AUDIO_KEY_TABLES_H",
          [("P(degree of the next note | degree of this one).", "degree_next", steps),
           ("P(degree of the last note before a long gap).", "degree_phrase_end", ends),
           ("P(degree of the last note).", "degree_last", last)])
    counted = []
    for _, chords, _, key in songs:
        start = random_start.choice([0, 1]) * random_start.uniform(0, max(1, chords[-1][1] - EXCERPT_S))
        counted.append((chord_steps(chords, start, start + EXCERPT_S), key_of(key)))
    for truth in sorted(p for folder in a.songs for p in folder.glob("**/truth.json")):
        song = json.loads(truth.read_text())
        counted.append((chord_steps(song["chords"], 0, 1e9), key_of(song["key"])))
    time, first, last, steps = count_chords(counted)
    write("music/chord_key_tables.h", f"Chords on the degrees of keys (0 major, 1 minor): minus 100 times natural logarithms of probabilities. Chord\n"
          f" * 12 f + d: f 0 major third or none, 1 minor third; d semitones above the tonic. Counted over minutes of {n} songs of POP909\n"
          f" * (MIT licence) and {len(counted) - n} invented songs.", "BL_MUSIC_CHORD_KEY_TABLES_H",
          [("P(chord) at any moment.", "degree_time", time), ("Of the first chord.", "degree_first", first),
           ("Of the last chord.", "degree_last", last), ("P(next chord | chord).", "degree_next", steps)])


if __name__ == "__main__":
    main()
