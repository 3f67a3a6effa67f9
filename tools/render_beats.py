#!/usr/bin/python3
"""Renders music whose beats are known, to train and to judge the beat tracker: bin/train_beats reads the folder.

    tools/render_beats.py DATA OUT [--part train|tune|test] [--count voice=250,band=200] [--seed N] [--fonts A.sf2,B.sf3]

DATA holds midi/pop909 (MIT), midi/groove (CC BY 4.0), midi/freedoom (BSD) as ../shared/data does. Written are
OUT/NAME.flac (mono, 22,050 Hz) and OUT/NAME.beats: a line a beat, its time in seconds, a tab, its place in the bar
from 1 (0: the bar is not known). Kinds of material:

    voice     a POP909 melody alone, on voice-like and other sustained programs, its onsets moved as a singer moves them
    piano     a POP909 melody over its piano
    band      both, with bass and drums: a performance of the Groove set bent onto the song's beats, or a pattern
    freedoom  pieces of the Freedoom game's bands
    groove    drum performances alone
    waltz     invented music in 3/4 (the corpora have next to none)
    songs     tools/render_dataset's songs

Parts never share music: POP909 by the last digit of the song (7: test, 3: tune), Freedoom by every fifth piece in order
(test) and every tenth (tune), Groove by drummer and the corpus' own split (validation and drummers 6 and 9: test; drummer
4 and 10: tune), invented music by seed. The test part is rendered with a sound font that training never hears.
--kit: no sound font; every song has instruments of its own (tools/render_kit.py); not for `songs`.
Needs Debian's python3-mido, python3-numpy, fluidsynth, sox; --kit: python3-soundfile.
"""
import argparse
import csv
import json
import pathlib
import subprocess
import sys
import tempfile

import mido
import numpy as np

import render_kit

FLUID, MUSESCORE = "/usr/share/sounds/sf2/FluidR3_GM.sf2", "/usr/share/sounds/sf3/MuseScore_General_Lite.sf3"
FONTS = {"train": [FLUID, FLUID, MUSESCORE], "tune": [FLUID, FLUID, MUSESCORE], "test": ["/usr/share/sounds/sf2/TimGM6mb.sf2"]}
SEED = {"train": 1, "tune": 2000, "test": 3000}
DRUMS = 9  # General MIDI's channel of drums, counted from 0
RATE = 22050
VOICES = [53, 53, 53, 52, 54, 85, 73, 65, 66, 68, 71, 72, 40, 42, 56, 80, 22, 74]
KICK, SNARE, SIDE, HAT, OPEN, RIDE, CRASH, CLAP = 36, 38, 37, 42, 46, 51, 49, 39


# ---- reading music: notes are (onset_s, offset_s, channel, pitch, velocity) ----

def read_midi(path):
    """(notes, programs {channel: number}, seconds of a tick, ticks per beat, time signatures [(tick, n, d)])"""
    midi = mido.MidiFile(path)
    tempos, meters, notes, programs, names = [], [], [], {}, {}
    for track in midi.tracks:
        tick = 0
        for m in track:
            tick += m.time
            if m.type == "set_tempo":
                tempos.append((tick, m.tempo))
            elif m.type == "time_signature":
                meters.append((tick, m.numerator, m.denominator))
    tempos.sort()
    ticks = np.array([0] + [t for t, _ in tempos])
    each = np.array([500000] + [us for _, us in tempos]) / 1e6 / midi.ticks_per_beat
    start = np.concatenate([[0], np.cumsum(np.diff(ticks) * each[:-1])])

    def seconds(tick):
        i = np.searchsorted(ticks, tick, side="right") - 1
        return float(start[i] + (tick - ticks[i]) * each[i])

    for number, track in enumerate(midi.tracks):
        tick, on = 0, {}
        for m in track:
            tick += m.time
            if m.type == "program_change":
                programs.setdefault(m.channel, m.program)
            elif m.type == "note_on" and m.velocity:
                on[m.channel, m.note] = (tick, m.velocity)
            elif m.type in ("note_off", "note_on") and (m.channel, m.note) in on:
                at, velocity = on.pop((m.channel, m.note))
                notes.append((seconds(at), seconds(tick), m.channel, m.note, velocity))
                names.setdefault(track.name.strip(), []).append(notes[-1])
    return sorted(notes), programs, seconds, midi.ticks_per_beat, sorted(meters), names


def part_of_pop909(song):
    return {"7": "test", "3": "tune"}.get(song[-1], "train")


def pop909(data, part):
    for folder in sorted((data / "midi/pop909").iterdir()):
        if part_of_pop909(folder.name) == part:
            yield folder


def read_pop909(folder):
    """(tracks {name: notes}, beats [(s, place)], chords [(start, end, name)])"""
    tracks = read_midi(folder / f"{folder.name}.mid")[5]
    rows = np.loadtxt(folder / "beat_midi.txt")
    bars = np.where(rows[:, 2] == 1)[0]
    place = np.zeros(len(rows), int)
    for i in range(len(rows)):
        before = bars[bars <= i]
        place[i] = i - before[-1] + 1 if len(before) else 0
    if len(bars) > 1 and bars[0] > 0:
        place[:bars[0]] = [(int(np.median(np.diff(bars))) - (bars[0] - i)) % int(np.median(np.diff(bars))) + 1 for i in range(bars[0])]
    chords = [line.split() for line in (folder / "chord_midi.txt").read_text().splitlines() if line.strip()]
    return tracks, list(zip(rows[:, 0], place)), [(float(a), float(b), c) for a, b, c in chords]


def freedoom(data, part):
    for i, path in enumerate(sorted((data / "midi/freedoom").glob("*.mid"))):
        if part == ("test" if i % 5 == 2 else "tune" if i % 10 == 4 else "train"):
            yield path


def groove(data, part, whole=True):
    """Rows of the corpus' index; whole: performances, not fills."""
    for row in csv.DictReader((data / "midi/groove/info.csv").open()):
        test = row["split"] == "validation" or row["drummer"] in ("drummer6", "drummer9")
        here = "test" if test else "tune" if row["drummer"] in ("drummer4", "drummer10") else "train"
        if here == part and (row["beat_type"] == "beat") == whole and float(row["duration"]) > 12:
            yield row


# ---- making music ----

def bent(rng, beats, strength):
    """A tempo that drifts: maps seconds of the score to seconds played, smooth and increasing."""
    end = beats[-1][0] + 60
    t = np.arange(0, end + 1, 0.5)
    wave = sum(a * np.sin(2 * np.pi * (t / p + rng.random())) for a, p in
               [(rng.random(), rng.uniform(8, 20)), (rng.random(), rng.uniform(20, 60))])
    speed = np.exp(strength * wave) * np.exp(rng.uniform(-0.12, 0.12))
    played = np.concatenate([[0], np.cumsum(0.25 * (speed[1:] + speed[:-1]))])
    return lambda x: float(np.interp(x, t, played))


def sing(rng, notes):
    """A singer's freedom: onsets late or early together for a while, and each by itself."""
    loose, lag = rng.uniform(0.004, 0.022), 0.0
    out = []
    for on, off, _, pitch, velocity in notes:
        lag = 0.8 * lag + rng.normal(0, loose * 0.6)
        shift = np.clip(lag + rng.normal(0, loose), -0.06, 0.06)
        out.append((max(0, on + shift), max(on + shift + 0.08, off + shift), 0, pitch, int(np.clip(velocity + rng.normal(0, 8), 60, 127))))
    return out


BAR4 = {  # a sixteenth a character; digits are loudness
    "kick": ["9.......9.......", "9.....6.9.......", "9.......9.6.....", "9..6....6.9.....", "9...9...9...9...", "9.....9...9.....", "9.........9.....",
             "9..9..6...9..6..", "9.......7.9...6."],
    "snare": ["....9.......9...", "....9.......9...", "....9.......9..4", "....9..3.3..9...", "........9.......", "....9...........", "....9.....9.9..."],
    "hat": ["6.5.6.5.6.5.6.5.", "6444644464446444", "6...6...6...6...", "..6...6...6...6.", "6.446.446.446.44", "................", "6.6.6.6.6.6.6.6."],
}
BAR3 = {
    "kick": ["9...........", "9.......6...", "9.....6.....", "9...........", "9.........6."],
    "snare": ["....7...7...", "....7...7...", "........8...", "....5...5..3", "............"],
    "hat": ["6.4.6.4.6.4.", "6...5...5...", "644464446444", "............"],
}


def drum_pattern(rng, beats, per_bar):
    bar = BAR4 if per_bar == 4 else BAR3
    kick, snare, hat = (bar[k][rng.integers(len(bar[k]))] for k in ("kick", "snare", "hat"))
    top, back = rng.choice([HAT, HAT, HAT, RIDE]), rng.choice([SNARE, SNARE, SNARE, SIDE, CLAP])
    swing = rng.choice([0, 0, 0, 0.08])
    notes = []
    for i in range(len(beats) - 1):
        (at, place), gap = beats[i], beats[i + 1][0] - beats[i][0]
        if place == 0:
            continue
        bar_number = i // per_bar
        fill = place == per_bar and bar_number % 8 == 7 and rng.random() < 0.7
        for s in range(4):
            k = 4 * (place - 1) + s
            t = at + gap * (s / 4 + (swing if s % 2 else 0)) + rng.normal(0, 0.004)
            for line, key in ((kick, KICK), (snare, back), (hat, top)):
                if k < len(line) and line[k] != ".":
                    notes.append((t, t + 0.1, DRUMS, int(key), int(12 * int(line[k]) + rng.normal(0, 6))))
            if fill and rng.random() < 0.8:
                notes.append((t, t + 0.1, DRUMS, int(rng.choice([38, 45, 47, 41, 48])), int(rng.uniform(70, 115))))
        if place == 1 and (bar_number % 8 == 0 or rng.random() < 0.05):
            notes.append((at, at + 0.5, DRUMS, CRASH, int(rng.uniform(70, 110))))
    return notes


def drum_performance(rng, data, part, beats, bpm):
    """A performance of Groove bent onto beats: its own feel at about its own tempo. None when none fits."""
    rows = [r for r in groove(data, part) if r["time_signature"] == "4-4" and 0.72 < float(r["bpm"]) / bpm < 1.4]
    if not rows:
        return None
    row = rows[rng.integers(len(rows))]
    notes = read_midi(data / "midi/groove" / row["midi_filename"])[0]
    period = 60 / float(row["bpm"])
    bars = int(notes[-1][1] / period / 4)
    first = 4 * int(rng.integers(0, max(1, bars - 8)))
    start = next((i for i, b in enumerate(beats) if b[1] == 1), 0)
    out = []
    span = max(4, 4 * bars - first)
    for lap in range(1 + len(beats) // span):  # short ones go round
        for on, off, _, pitch, velocity in notes:
            x = on / period - first
            if -0.1 <= x < span - 0.1:
                x += start + lap * span
                i = int(np.clip(np.floor(x), 0, len(beats) - 2))
                at = beats[i][0] + (x - i) * (beats[i + 1][0] - beats[i][0])
                if at >= 0 and x < len(beats) - 1:
                    out.append((at, at + 0.1, DRUMS, pitch, velocity))
    return out


ROOTS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


def bass_line(rng, beats, chords):
    style = rng.integers(5)
    notes = []
    for i in range(len(beats) - 1):
        (at, place), gap = beats[i], beats[i + 1][0] - beats[i][0]
        name = next((c for a, b, c in chords if a - 0.1 <= at < b - 0.1), "N")
        if name[0] not in ROOTS:
            continue
        root = 28 + (ROOTS[name[0]] + {"#": 1, "b": -1}.get(name[1:2], 0) - 4) % 12
        steps = [[(0, 1)], [(0, .5), (.5, .5)], [(0, 2)] if place % 2 else [], [(0, .75), (.75, .25)] if place % 2 else [(.5, .5)],
                 [(0, 4)] if place == 1 else []][style]
        for offset, length in steps:
            t = at + offset * gap
            notes.append((t, t + 0.95 * length * gap, 2, root, int(rng.uniform(80, 110))))
    return notes


def waltz(rng, seconds):
    """Melody, bass, chords, perhaps drums, in 3/4 at 84 to 200 beats a minute."""
    period = 60 / np.exp(rng.uniform(np.log(84), np.log(200)))
    n = int(seconds / period) + 6
    beats = [(i * period + 0.3, i % 3 + 1) for i in range(n)]
    key, minor = int(rng.integers(12)), rng.random() < 0.4
    scale = [0, 2, 3, 5, 7, 8, 10] if minor else [0, 2, 4, 5, 7, 9, 11]
    plan = [[0, 0, 3, 4], [0, 4, 4, 0], [0, 5, 3, 4], [0, 3, 0, 4]][rng.integers(4)]
    rhythms = [[(0, 1), (1, 1), (2, 1)], [(0, 2), (2, 1)], [(0, 3)], [(0, 1), (1, .5), (1.5, .5), (2, 1)], [(0, 1.5), (1.5, .5), (2, 1)],
               [(0, .5), (.5, .5), (1, .5), (1.5, .5), (2, .5), (2.5, .5)], [(0, 1), (1, 2)]]
    favourite = [rhythms[i] for i in rng.integers(0, len(rhythms), 3)]
    strum, walk, notes, degree = rng.random() < 0.8, rng.random() < 0.8, [], 4
    for bar in range(n // 3 - 1):
        at, chord = beats[3 * bar][0], plan[(bar // int(rng.choice([1, 2]))) % 4]
        tones = [48 + key + scale[(chord + k) % 7] + 12 * ((chord + k) // 7) for k in (0, 2, 4)]
        if walk:
            notes.append((at, at + 0.9 * period, 2, tones[0] - 12, 95))
        for b in (1, 2) if strum else (0,):
            for p in tones:
                t = at + b * period + rng.normal(0, 0.005)
                notes.append((t, t + (0.6 if strum else 2.8) * period, 1, p, int(rng.uniform(60, 85))))
        if bar % 8 != 7:
            for offset, length in favourite[rng.integers(3)]:
                degree = int(np.clip(degree + rng.integers(-2, 3), -2, 11))
                t = at + offset * period + rng.normal(0, 0.012)
                notes.append((t, t + 0.95 * length * period, 0, 60 + key % 7 + scale[degree % 7] + 12 * (degree // 7), int(rng.uniform(80, 110))))
    if rng.random() < 0.75:
        notes += drum_pattern(rng, beats, 3)
    return notes, beats


# ---- one example: (notes, beats, programs) ----

def cut(notes, beats, from_s, seconds):
    return ([(max(a - from_s, 0), min(b - from_s, seconds), c, p, v) for a, b, c, p, v in notes if from_s <= a < from_s + seconds],
            [(t - from_s, place) for t, place in beats if from_s <= t < from_s + seconds])


def make_pop909(rng, kind, data, part, folder, seconds):
    tracks, beats, chords = read_pop909(folder)
    bend = bent(rng, beats, rng.choice([0, 0.006, 0.02, 0.035]))
    played = [(bend(t), place) for t, place in beats]
    chords = [(bend(a), bend(b), c) for a, b, c in chords]

    def move(name, channel):
        return [(bend(a), bend(b), channel, p, v) for a, b, _, p, v in tracks.get(name, [])]

    melody = sing(rng, move("MELODY", 0))
    if len(melody) < 20:
        return None
    if kind == "voice":
        notes = melody
    else:
        notes = melody + move("PIANO", 1) + (move("BRIDGE", 3) if rng.random() < 0.5 else [])
    if kind == "band":
        bars = [t for t, place in played if place == 1]
        per_bar = int(round(len(played) / max(1, len(bars))))
        bpm = 60 / float(np.median(np.diff([t for t, _ in played])))
        drums = drum_performance(rng, data, part, played, bpm) if per_bar == 4 and rng.random() < 0.6 else None
        if drums is None:
            if per_bar not in (3, 4):
                return None
            drums = drum_pattern(rng, played, per_bar)
        notes = notes + bass_line(rng, played, chords) + drums
    first = melody[0][0] - rng.uniform(0.3, 3)
    last = max(first, melody[-1][1] - seconds)
    from_s = max(0, rng.uniform(first, last) if part == "train" else first)
    chord_program = int(rng.choice([0, 0, 1, 4, 5, 16, 24, 25, 26, 27, 48, 89]))
    programs = {0: int(rng.choice(VOICES)) if kind == "voice" else int(rng.choice(VOICES + [53] * 12)), 1: chord_program,
                2: int(rng.choice([32, 33, 34, 35, 38])), 3: int(rng.choice([48, 11, 73, 25])), DRUMS: int(rng.choice([0, 0, 0, 8, 16, 24, 25, 32, 40]))}
    return (*cut(notes, played, from_s, seconds), programs)


def make_freedoom(rng, path, seconds, part):
    notes, programs, time, per_beat, meters, _ = read_midi(path)
    if part == "test" and any((n, d) not in ((4, 4), (3, 4)) for _, n, d in meters):
        return None  # what a beat is in 7/8 is not said by the file
    end, beats, tick = notes[-1][1], [], 0
    meters = meters or [(0, 4, 4)]
    while time(tick) < end:
        current = [m for m in meters if m[0] <= tick]
        at, n, d = current[-1] if current else (0, 4, 4)
        beats.append((time(tick), int((tick - at) // per_beat % n + 1) if d == 4 and n in (3, 4, 6) else 0))
        tick += per_beat
    if not any(c == DRUMS for _, _, c, _, _ in notes) and part == "test":
        return None
    bend = bent(rng, beats, rng.choice([0, 0, 0.01])) if part == "train" else (lambda x: x)
    notes = [(bend(a), bend(b), c, p, v) for a, b, c, p, v in notes]
    beats = [(bend(t), place) for t, place in beats]
    if part == "train" and rng.random() < 0.15:
        notes = [n for n in notes if n[2] != DRUMS]
    from_s = rng.uniform(0, max(0, notes[-1][1] - seconds)) if notes else 0
    return (*cut(notes, beats, from_s, seconds), programs)


def make_groove(rng, data, row, seconds, part):
    notes, _, _, _, _, _ = read_midi(data / "midi/groove" / row["midi_filename"])
    n, d = (int(x) for x in row["time_signature"].split("-"))
    period = 60 / float(row["bpm"])
    beats = [(i * period, i % n + 1 if d == 4 and n in (3, 4) else 0) for i in range(int(notes[-1][1] / period) + 1)]
    notes = [(a, b, DRUMS, p, v) for a, b, _, p, v in notes]
    if part == "train":
        bend = bent(rng, beats, rng.choice([0, 0, 0.01, 0.02]))
        notes, beats = [(bend(a), bend(b), c, p, v) for a, b, c, p, v in notes], [(bend(t), place) for t, place in beats]
    from_s = rng.uniform(0, max(0, notes[-1][1] - seconds))
    return (*cut(notes, beats, from_s, seconds), {DRUMS: int(rng.choice([0, 0, 0, 8, 16, 24, 25, 32, 40]))})


# ---- rendering ----

def write_beats(out, name, beats):
    (out / f"{name}.beats").write_text("".join(f"{t:.4f}\t{place}\n" for t, place in beats))


def render_with_kit(out, name, notes, beats, programs, seconds, rng, hits):
    import soundfile
    soundfile.write(out / f"{name}.flac", render_kit.Kit(rng, hits).render(notes, programs, seconds, RATE), RATE, subtype="PCM_16")
    write_beats(out, name, beats)


def render(out, name, notes, beats, programs, seconds, font, rng, plain):
    midi = mido.MidiFile(ticks_per_beat=960)
    track = mido.MidiTrack()
    midi.tracks.append(track)
    track.append(mido.MetaMessage("set_tempo", tempo=1000000))
    for channel in sorted({n[2] for n in notes}):
        track.append(mido.Message("program_change", program=programs.get(channel, 0), channel=channel))
        level = 100 if plain else int(rng.uniform(70, 127)) if channel in (0, DRUMS) else int(rng.uniform(45, 115))
        track.append(mido.Message("control_change", control=7, value=level, channel=channel))
    events = []
    for a, b, channel, pitch, velocity in notes:
        events += [(a, 1, channel, pitch, int(np.clip(velocity, 1, 127))), (max(b, a + 0.05), 0, channel, pitch, 0)]
    last = 0
    for t, on, channel, pitch, velocity in sorted(events):
        tick = max(last, int(round(t * 960)))
        track.append(mido.Message("note_on" if on else "note_off", note=pitch, velocity=velocity, channel=channel, time=tick - last))
        last = tick
    room = "0" if plain or rng.random() < 0.4 else "1"
    with tempfile.TemporaryDirectory() as folder:
        score, wave = f"{folder}/a.mid", f"{folder}/a.wav"
        midi.save(score)
        subprocess.run(["fluidsynth", "-ni", "-q", "-g", "0.5", "-r", str(RATE), "-R", room, "-C", "0", "-o", "synth.dynamic-sample-loading=1",
                        "-F", wave, font, score], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run(["sox", "-D", wave, "-b", "16", str(out / f"{name}.flac"), "remix", "1,2", "trim", "0", str(seconds), "norm", "-3"], check=True,
                       stderr=subprocess.DEVNULL)
    write_beats(out, name, beats)


def jobs(kind, data, part, count, seconds, seed):
    """(name, function that makes the example)"""
    order = np.random.default_rng([seed, sum(map(ord, kind))])
    if kind in ("voice", "piano", "band"):
        folders = list(pop909(data, part))
        for i, k in enumerate(order.permutation(len(folders))[:count]):
            yield f"{kind}_{folders[k].name}", lambda rng, f=folders[k]: make_pop909(rng, kind, data, part, f, seconds)
    elif kind == "freedoom":
        paths = list(freedoom(data, part))
        for i in range(count):
            path = paths[i % len(paths)]
            lap = f"_{i // len(paths)}" if i >= len(paths) else ""
            yield f"freedoom_{path.stem}{lap}", lambda rng, p=path: make_freedoom(rng, p, seconds, part)
    elif kind == "groove":
        rows = list(groove(data, part))
        for k in order.permutation(len(rows))[:count]:
            yield f"groove_{rows[k]['id'].replace('/', '_')}", lambda rng, r=rows[k]: make_groove(rng, data, r, seconds, part)
    elif kind == "waltz":
        for i in range(count):
            yield f"waltz_{seed}_{i}", lambda rng: (*cut(*waltz(rng, seconds + 6), rng.uniform(0, 3), seconds),
                                                    {0: int(rng.choice(VOICES + [0, 25])), 1: int(rng.choice([0, 21, 24, 48])), 2: 32, DRUMS: 0})
    else:
        raise SystemExit(f"render_beats: no kind {kind}")


def render_songs(out, count, seconds, seed, font):
    """tools/render_dataset's own songs: the mixture, and beats from truth.json."""
    program = pathlib.Path(__file__).resolve().parent.parent / "bin/render_dataset"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, folder, "--songs", str(count), "--seconds", str(seconds), "--seed", str(seed), "--soundfont", font, "--quiet",
                        "--threads", "1"], check=True)
        for truth in sorted(pathlib.Path(folder).glob("*/truth.json")):
            song = json.loads(truth.read_text())
            name = f"songs_{seed}_{truth.parent.name}"
            mixture = next(p for p in truth.parent.glob("mixture.*"))
            subprocess.run(["sox", "-D", mixture, "-b", "16", "-r", str(RATE), str(out / f"{name}.flac"), "remix", "-"], check=True)
            bars = song["downbeats"]
            place, lines = 0, []
            for t in song["beats"]:
                place = 1 if any(abs(t - b) < 1e-4 for b in bars) else place + 1
                lines.append(f"{t:.4f}\t{place}\n")
            (out / f"{name}.beats").write_text("".join(lines))


def main():
    parser = argparse.ArgumentParser(prog="render_beats", description="Music whose beats are known.")
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--part", choices=list(FONTS), default="train")
    parser.add_argument("--count", default="voice=260,piano=70,band=240,freedoom=130,groove=220,waltz=50,songs=80",
                        help="how many of each kind")
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fonts", help="sound fonts instead of the part's own, by commas")
    parser.add_argument("--kit", action="store_true", help="instruments drawn for every song instead of a sound font")
    parser.add_argument("--plain", action="store_true", help="no reverberation, no random levels")
    args = parser.parse_args()
    fonts = args.fonts.split(",") if args.fonts else FONTS[args.part]
    args.out.mkdir(parents=True, exist_ok=True)
    hits = render_kit.recorded_hits(args.data) if args.kit else None
    for kind, count in (item.split("=") for item in args.count.split(",")):
        seed = SEED[args.part] + args.seed
        if kind == "songs":
            for k, font in enumerate(dict.fromkeys(fonts)):
                render_songs(args.out, int(count) // len(set(fonts)), args.seconds, seed + k, font)
            continue
        for i, (name, make) in enumerate(jobs(kind, args.data, args.part, int(count), args.seconds, seed)):
            name = f"kit_{name}" if args.kit else name  # so that both fit into one folder
            if (args.out / f"{name}.beats").exists():
                continue
            rng = np.random.default_rng([seed, i, sum(map(ord, kind))])
            example = make(rng)
            if example and len(example[0]) > 8 and len(example[1]) > 8:
                if args.kit:
                    render_with_kit(args.out, name, *example, args.seconds, rng, hits)
                else:
                    render(args.out, name, *example, args.seconds, fonts[i % len(fonts)], rng, args.plain)
        print(kind, "done", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
