#!/usr/bin/python3
"""Songs of POP909 played by a band, with the corpus' chords, key, beats and melody as truth.

    /usr/bin/python3 tools/render_arrangements.py OUT --data ../shared/data --soundfont FONT.sf2 --seed 1 --songs 250
    /usr/bin/python3 tools/render_arrangements.py OUT ... --ids 012 018 --style plain

Writes OUT/train/ID-SEED/mixture.flac, song.mid and truth.json, as tools/render_dataset does (OUT/validation for a twelfth of the songs,
so that no song is on both sides in two arrangements; OUT/ID-SEED for named ones). The corpus' tracks sound as they are, in other
instruments (style varied) or as written (plain: piano, a voice for the melody); a bass, a pad, strummed chords or power chords
that follow the chord labels may join, and a drummer of the groove set, stretched onto the song's beats. Levels, tuning,
programs and who plays are drawn from the seed and the song's number: the same bytes again. Songs whose number is a multiple of
six are left out unless named: they are what tools/evaluate/ reports on. Files that are there already are kept.
"""
import argparse
import csv
import json
import pathlib
import random
import subprocess
import tempfile

import mido

HELD_OUT_EVERY = 6
CHORD_TONES = {"maj": [0, 4, 7], "min": [0, 3, 7], "dim": [0, 3, 6], "aug": [0, 4, 8], "sus2": [0, 2, 7], "sus4": [0, 5, 7],
               "7": [0, 4, 7, 10], "maj7": [0, 4, 7, 11], "min7": [0, 3, 7, 10], "hdim7": [0, 3, 6, 10], "dim7": [0, 3, 6, 9],
               "sus4(b7)": [0, 5, 7, 10], "maj6": [0, 4, 7, 9], "min6": [0, 3, 7, 9], "minmaj7": [0, 3, 7, 11]}
DEGREES = {"b3": 3, "3": 4, "5": 7, "b7": 10, "7": 11, "2": 2, "4": 5, "6": 9, "b5": 6, "b6": 8, "#5": 8}
CLASSES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
KEYS = [0, 1, 4, 5, 6, 15, 16, 18, 24, 25, 26, 27, 28, 29, 46, 48]   # General MIDI programs for a piano part
BASSES = [32, 33, 34, 35, 36, 38, 39]
PADS = [16, 18, 48, 49, 50, 51, 52, 61, 62, 88, 89, 90, 91, 94]
STRUMS = [0, 4, 24, 25, 26, 27, 28]
LEADS = [21, 22, 25, 26, 27, 29, 40, 41, 56, 60, 64, 65, 66, 68, 71, 73, 75, 80, 81, 11, 12, 0, 4]
VOICES = [52, 53, 53, 53, 54, 85]
KITS = [0, 0, 8, 16, 24, 25, 40]


def pitch_class(name):
    return (CLASSES[name[0]] + name.count("#") - name[1:].count("b")) % 12


def parse_chord(label):
    """(root, tones above it, bass) of "Bb:min/b3", or None for N and what is not in the table."""
    if ":" not in label:
        return None
    root, quality = label.split(":")
    quality, _, degree = quality.partition("/")
    if quality not in CHORD_TONES:
        return None
    root = pitch_class(root)
    return root, CHORD_TONES[quality], (root + DEGREES.get(degree, 0)) % 12


def read_song(folder):
    """The tracks' notes in seconds, chords, beats and key of a POP909 folder."""
    midi = mido.MidiFile(folder / f"{folder.name}.mid")
    changes = []
    for track in midi.tracks:
        tick = 0
        for m in track:
            tick += m.time
            if m.type == "set_tempo":
                changes.append((tick, m.tempo))
    changes.sort()

    def seconds(tick):
        s, last, us = 0.0, 0, 500000
        for at, tempo in changes:
            if at >= tick:
                break
            s += (at - last) * us / 1e6 / midi.ticks_per_beat
            last, us = at, tempo
        return s + (tick - last) * us / 1e6 / midi.ticks_per_beat

    tracks = {}
    for track in midi.tracks:
        notes, sounding, tick = [], {}, 0
        for m in track:
            tick += m.time
            if m.type == "note_on" and m.velocity:
                sounding[m.note] = (tick, m.velocity)
            elif m.type in ("note_on", "note_off") and m.note in sounding:
                on, velocity = sounding.pop(m.note)
                notes.append((seconds(on), seconds(tick), m.note, velocity))
        if notes:
            tracks[track.name.strip()] = sorted(notes)
    rows = [line.split() for line in (folder / "chord_midi.txt").read_text().splitlines() if line.strip()]
    chords = [(float(r[0]), float(r[1]), r[2] if len(r) > 2 else "N") for r in rows]
    rows = [line.split() for line in (folder / "beat_midi.txt").read_text().splitlines() if line.strip()]
    beats = [(float(r[0]), float(r[2]) == 1.0) for r in rows]
    keys = {}
    for line in (folder / "key_audio.txt").read_text().splitlines():
        if line.strip():
            start, end, key = line.split()
            keys[key] = keys.get(key, 0) + float(end) - float(start)
    return tracks, chords, beats, max(keys, key=keys.get)


class Band:
    """Notes by MIDI channel, in seconds of the excerpt."""

    def __init__(self, rng, seconds):
        self.rng, self.seconds, self.parts = rng, seconds, []

    def add(self, program, notes, volume, drums=False):
        channel = 9 if drums else [c for c in range(16) if c != 9][sum(not p["drums"] for p in self.parts)]
        kept = [(max(0.0, s), min(e, self.seconds), p, max(1, min(127, int(v)))) for s, e, p, v in notes
                if e > 0 and s < self.seconds and 0 <= p < 128]
        self.parts.append({"channel": channel, "program": program, "notes": kept, "volume": volume, "drums": drums})

    def write(self, path, cents):
        out = mido.MidiFile(ticks_per_beat=960)
        track = mido.MidiTrack()
        out.tracks.append(track)
        track.append(mido.MetaMessage("set_tempo", tempo=1000000))
        events = []
        for p in self.parts:
            track.append(mido.Message("program_change", channel=p["channel"], program=p["program"]))
            track.append(mido.Message("control_change", channel=p["channel"], control=7, value=p["volume"]))
            if not p["drums"]:
                track.append(mido.Message("pitchwheel", channel=p["channel"], pitch=int(cents / 200 * 8192)))
            for s, e, pitch, velocity in p["notes"]:
                events.append((s, 1, p["channel"], pitch, velocity))
                events.append((max(e, s + 0.05), 0, p["channel"], pitch, 0))
        last = 0
        for at, on, channel, pitch, velocity in sorted(events):
            tick = round(at * 960)
            track.append(mido.Message("note_on" if on else "note_off", channel=channel, note=pitch, velocity=velocity,
                                      time=max(0, tick - last)))
            last = max(tick, last)
        out.save(path)


def read_drums(path):
    """Hits of a drum performance in beats."""
    midi = mido.MidiFile(path)
    hits = []
    for track in midi.tracks:
        tick = 0
        for m in track:
            tick += m.time
            if m.type == "note_on" and m.velocity:
                hits.append((tick / midi.ticks_per_beat, m.note, m.velocity))
    return sorted(hits)


def drum_notes(hits, beats, rng):
    """Hits laid onto the song's beats, from a bar line; repeated where the performance ends before the song."""
    downbeats = [i for i, (_, down) in enumerate(beats) if down]
    if not hits or len(beats) < 5 or not downbeats:
        return []
    bars = max(1, int(hits[-1][0] // 4))
    times, notes, at = [t for t, _ in beats], [], downbeats[0]
    while at < len(beats) - 1:
        for beat, pitch, velocity in hits:
            where = at + beat
            k = int(where)
            if beat >= 4 * bars or k + 1 >= len(beats):
                break
            s = times[k] + (where - k) * (times[k + 1] - times[k])
            notes.append((s, s + 0.2, pitch, velocity))
        at += 4 * bars
    return notes


def near(classes, low):
    return sorted(low + (c - low) % 12 for c in classes)


def bass_notes(chords, beats, rng):
    """The chords' bass at the beats: whole chords, quarters, eighths, or root and fifth."""
    pattern, low, notes = rng.choice(["long", "quarters", "eighths", "fifths", "syncopated"]), rng.choice([28, 33, 36]), []
    for start, end, label in chords:
        chord = parse_chord(label)
        if not chord:
            continue
        root, tones, bass = chord
        pitch, fifth = low + (bass - low) % 12, low + (root + tones[2] - low) % 12
        inside = [t for t, _ in beats if start - 0.02 <= t < end - 0.05] or [start]
        if pattern == "long":
            notes.append((start, end - 0.03, pitch, rng.randint(75, 110)))
            continue
        step = [(b - a) for a, b in zip(inside, inside[1:])] or [end - start]
        step.append(max(0.1, end - inside[-1]))
        for i, (t, length) in enumerate(zip(inside, step)):
            if pattern == "eighths":
                notes += [(t, t + 0.45 * length, pitch, rng.randint(70, 110)),
                          (t + 0.5 * length, t + 0.95 * length, pitch, rng.randint(60, 100))]
            elif pattern == "syncopated":
                notes += [(t, t + 0.7 * length, pitch, rng.randint(70, 110))]
                if rng.random() < 0.3:
                    notes += [(t + 0.75 * length, t + length, rng.choice([pitch, fifth, pitch + 12]), rng.randint(60, 95))]
            else:
                notes.append((t, t + 0.9 * length, fifth if pattern == "fifths" and i % 2 else pitch, rng.randint(70, 110)))
    return notes


def pad_notes(chords, rng):
    low, notes = rng.choice([48, 52, 55, 60]), []
    for start, end, label in chords:
        chord = parse_chord(label)
        if chord:
            notes += [(start, end - 0.02, p, rng.randint(55, 90)) for p in near([chord[0] + t for t in chord[1]], low)]
    return notes


def strum_notes(chords, beats, rng, power):
    pattern, low, notes = rng.choice(["quarters", "eighths", "offbeat", "arpeggio"]), rng.choice([40, 45, 48, 52]), []
    times = [t for t, _ in beats]
    for start, end, label in chords:
        chord = parse_chord(label)
        if not chord:
            continue
        root, tones, _ = chord
        if power:
            at = low + (root - low) % 12
            pitches = [at, at + 7, at + 12]
        else:
            pitches = near([root + t for t in tones], low)
            if rng.random() < 0.6:
                pitches.append(pitches[0] + 12)
        for a, b in zip(times, times[1:]):
            if not start - 0.02 <= a < end - 0.05:
                continue
            half = (b - a) / 2
            hits = {"quarters": [(a, 2 * half)], "eighths": [(a, half), (a + half, half)], "offbeat": [(a + half, half)],
                    "arpeggio": []}[pattern]
            for s, length in hits:
                strum = rng.uniform(0.0, 0.02)
                notes += [(s + i * strum, s + 0.92 * length, p, rng.randint(60, 100)) for i, p in enumerate(pitches)]
            if pattern == "arpeggio":
                for i in range(4):
                    p = pitches[(i * 2 + 1) % len(pitches) if i % 2 else i % len(pitches)]
                    notes.append((a + i * half / 2, a + (i + 2) * half / 2, p, rng.randint(60, 95)))
    return notes


def arrange(tracks, chords, beats, drums, rng, plain, seconds):
    band = Band(rng, seconds)
    volume = lambda low, high: rng.randint(low, high)
    melody, bridge, piano = (tracks.get(n, []) for n in ("MELODY", "BRIDGE", "PIANO"))
    if plain:
        band.add(53, [(s, e, p, max(v, 70)) for s, e, p, v in melody], 110)
        band.add(0, bridge, 90)
        band.add(0, piano, 90)
        band.add(0, drum_notes(rng.choice(drums)(), beats, rng), 90, True)
        return band
    if rng.random() < 0.85:
        band.add(rng.choice(VOICES if rng.random() < 0.7 else LEADS), [(s, e, p, max(v, 70)) for s, e, p, v in melody],
                 volume(70, 120))
    if rng.random() < 0.7:
        band.add(rng.choice(LEADS), bridge, volume(40, 100))
    followed = 0
    if rng.random() < 0.6:
        band.add(rng.choice(PADS), pad_notes(chords, rng), volume(30, 90))
        followed += 1
    if rng.random() < 0.5:
        power = rng.random() < 0.4
        program = rng.choice([29, 30, 30, 31]) if power else rng.choice(STRUMS)
        band.add(program, strum_notes(chords, beats, rng, power), volume(40, 100))
        followed += not power
    if rng.random() < 0.85 or not followed:
        band.add(rng.choice(KEYS) if rng.random() < 0.75 else 0, piano, volume(60, 110))
    if rng.random() < 0.75:
        band.add(rng.choice(BASSES), bass_notes(chords, beats, rng), volume(60, 120))
    if rng.random() < 0.8:
        band.add(rng.choice(KITS), drum_notes(rng.choice(drums)(), beats, rng), volume(50, 120), True)
    return band


def list_drums(data):
    """Readers of the 4/4 beats of the groove set."""
    root = data / "midi" / "groove"
    rows = [r for r in csv.DictReader((root / "info.csv").open()) if r["beat_type"] == "beat" and r["time_signature"] == "4-4"]
    paths = sorted(root / r["midi_filename"] for r in rows if float(r["duration"]) > 15 and (root / r["midi_filename"]).exists())
    return [lambda p=p: read_drums(p) for p in paths]


def render(folder, out, font, seed, seconds, rate, plain, drums):
    number = int(folder.name)
    done = out / "truth.json"
    if done.exists():
        return
    rng = random.Random(seed * 100003 + number)
    tracks, chords, beats, key = read_song(folder)
    last = max(n[1] for notes in tracks.values() for n in notes)
    start = 0.0 if plain else rng.uniform(0, max(0.0, last - seconds - 2))
    if plain and "MELODY" in tracks:
        start = max(0.0, tracks["MELODY"][0][0] - 8.0)
    tracks = {k: [(s - start, e - start, p, v) for s, e, p, v in notes] for k, notes in tracks.items()}
    chords = [(s - start, e - start, c) for s, e, c in chords if e - start > 0 and s - start < seconds]
    beats = [(t - start, down) for t, down in beats if -2 < t - start < seconds + 2]
    band = arrange(tracks, chords, beats, drums, rng, plain, seconds)
    cents = 0 if plain or rng.random() < 0.5 else rng.uniform(-45, 45)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        midi, wav = pathlib.Path(temporary, "a.mid"), pathlib.Path(temporary, "a.wav")
        band.write(midi, cents)
        band.write(out / "song.mid", cents)
        wet = "0" if rng.random() < 0.4 else "1"
        subprocess.run(["fluidsynth", "-ni", "-q", "-g", "0.4", "-r", str(rate), "-R", wet, "-C", "0", "-F", str(wav), str(font), str(midi)],
                       check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["sox", str(wav), "-b", "16", str(out / "mixture.flac"), "remix", "1,2", "trim", "0", str(seconds), "norm", "-2"], check=True)
    inside = [t for t, _ in beats if 0 <= t < seconds]
    melody = [(s, e, p, v) for s, e, p, v in tracks.get("MELODY", []) if s >= 0 and e <= seconds]
    gaps = sorted(b - a for a, b in zip(inside, inside[1:])) or [0.5]
    truth = {"key": key, "tempo": 60 / gaps[len(gaps) // 2], "beats": inside, "downbeats": [t for t, down in beats if down and 0 <= t < seconds],
             "chords": [(max(0.0, s), min(seconds, e), c) for s, e, c in chords], "melody": melody, "cents": cents,
             "programs": [p["program"] for p in band.parts], "genre": "pop"}
    done.write_text(json.dumps(truth))


def songs(data):
    return sorted(p for p in (data / "midi" / "pop909").iterdir() if p.name.isdigit())


def main():
    parser = argparse.ArgumentParser(description="Songs of POP909 played by a band, with truth.")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--data", type=pathlib.Path, default=pathlib.Path("../shared/data"))
    parser.add_argument("--soundfont", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--songs", type=int, default=100, help="how many, dealt from the whole corpus")
    parser.add_argument("--ids", nargs="*", help="these songs instead")
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--rate", type=int, default=22050)
    parser.add_argument("--style", choices=["varied", "plain"], default="varied")
    a = parser.parse_args()
    folders = songs(a.data)
    if a.ids:
        folders = [f for f in folders if f.name in a.ids]
    else:
        folders = [f for f in folders if int(f.name) % HELD_OUT_EVERY]
        random.Random(a.seed).shuffle(folders)
        folders = folders[:a.songs]
    drums = list_drums(a.data)
    for f in folders:
        part = "" if a.ids else "validation" if int(f.name) % HELD_OUT_EVERY == 1 and int(f.name) % 4 == 1 else "train"
        render(f, a.out / part / f"{f.name}-{a.seed}", a.soundfont, a.seed, a.seconds, a.rate, a.style == "plain", drums)


if __name__ == "__main__":
    main()
