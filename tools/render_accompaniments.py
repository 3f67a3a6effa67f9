#!/usr/bin/python3
"""Accompaniments with melody instruments that are not voices: training material for the separator.

POP909 songs: the melody played by a random lead instrument (or left out), bridge and piano by random programs, a drum performance
of the groove corpus; Freedoom's game music: drums, bass, and the rest. Each group of instruments is a stem of its own.

usage: render_accompaniments.py OUT_DIR --midi MIDI_DIR --soundfont FILE [--songs N] [--seconds S] [--seed N]
Needs fluidsynth. MIDI_DIR holds pop909/, groove/ and freedoom/; each may be absent.
"""
import argparse, pathlib, subprocess, tempfile
import mido, numpy as np, soundfile

RATE = 44100
LEADS = {"saxophone": [64, 65, 66], "violin": [40], "cello": [42], "flute": [73, 75], "trumpet": [56, 59], "clarinet": [71], "oboe": [68],
         "electric_guitar": [26, 27, 28, 29, 30], "synth_lead": [80, 81, 82, 84, 85, 87], "organ": [16, 17, 18], "harmonica": [22]}
CHORDS = {"piano": [0, 1, 2], "electric_piano": [4, 5], "acoustic_guitar": [24, 25], "electric_guitar": [26, 27, 28, 29],
          "strings": [48, 49, 50], "synth_pad": [88, 89, 90, 94, 95], "organ": [16, 19], "harp": [46], "brass": [61, 62], "synth_lead": [81, 86]}


def events(midi):
    """(seconds, message with channel) of a whole file, in order."""
    at = 0
    for m in midi:
        at += m.time
        if not m.is_meta and m.type in ("note_on", "note_off", "control_change", "program_change", "pitchwheel"):
            yield at, m


def track_notes(midi, name):
    tempo = next((m.tempo for t in midi.tracks for m in t if m.type == "set_tempo"), 500000)
    tempos = [m.tempo for t in midi.tracks for m in t if m.type == "set_tempo"]
    tempo = tempos[-1] if tempos else tempo
    for t in midi.tracks:
        if t.name.strip() == name:
            at = 0
            for m in t:
                at += m.time
                if m.type in ("note_on", "note_off"):
                    yield at * tempo / 1e6 / midi.ticks_per_beat, m


def render(messages, seconds, soundfont, path):
    """messages: (seconds, mido message)."""
    midi = mido.MidiFile(ticks_per_beat=960)
    track = mido.MidiTrack()
    midi.tracks.append(track)
    track.append(mido.MetaMessage("set_tempo", tempo=1000000))
    last = 0
    silence = [(seconds, mido.Message("control_change", channel=c, control=120)) for c in range(16)]  # nothing rings for ever
    for at, m in sorted(messages, key=lambda e: e[0]) + silence:
        tick = round(at * 960)
        track.append(m.copy(time=max(0, tick - last)))
        last = max(tick, last)
    with tempfile.NamedTemporaryFile(suffix=".mid") as f, tempfile.NamedTemporaryFile(suffix=".wav") as w:
        midi.save(f.name)
        subprocess.run(["fluidsynth", "-ni", "-q", "-g", "0.6", "-r", str(RATE), "-F", w.name, soundfont, f.name], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        x, _ = soundfile.read(w.name, always_2d=True)
    x = x.mean(1)[:int(seconds * RATE)]
    if np.abs(x).max() > 1e-3:
        soundfile.write(path, x / np.abs(x).max() * 0.7, RATE)


def window(messages, first, seconds):
    return [(max(0, at - first), m) for at, m in messages if m.type not in ("note_on", "note_off") and at < first + seconds
            or first <= at < first + seconds]


def played(messages, program, channel, shift):
    out = [(0, mido.Message("program_change", program=program, channel=channel))]
    for at, m in messages:
        note = m.note + shift
        if 0 <= note <= 127:
            out.append((at, m.copy(channel=channel, note=note)))
    return out


def choose(rng, table):
    name = list(table)[int(rng.integers(len(table)))]
    return name, int(table[name][int(rng.integers(len(table[name])))])


def pop909(path, grooves, folder, a, rng):
    midi = mido.MidiFile(path)
    parts = {n: list(track_notes(midi, n)) for n in ("MELODY", "BRIDGE", "PIANO")}
    if not parts["MELODY"]:
        return
    first = parts["MELODY"][int(rng.integers(0, len(parts["MELODY"]) // 2 + 1))][0]
    names, todo = set(), []
    lead = choose(rng, LEADS)
    if rng.random() < 0.75:
        todo.append((lead, parts["MELODY"], int(rng.choice([-12, 0, 0, 12]))))
    todo.append((choose(rng, CHORDS if rng.random() < 0.5 else LEADS), parts["BRIDGE"], 0))
    todo.append((choose(rng, CHORDS), parts["PIANO"], 0))
    for (name, program), messages, shift in todo:
        while name in names:
            name += "_2"
        names.add(name)
        render(played(window(messages, first, a.seconds), program, 0, shift), a.seconds, a.soundfont, folder / f"{name}.flac")
    bass = [(at, m) for at, m in window(parts["PIANO"], first, a.seconds) if m.note < 50]
    if rng.random() < 0.7:
        render(played(bass, int(rng.choice([32, 33, 34, 36, 38, 39])), 0, 0), a.seconds, a.soundfont, folder / "bass.flac")
    if grooves and rng.random() < 0.8:
        hits = list(events(mido.MidiFile(grooves[int(rng.integers(len(grooves)))])))
        kit = mido.Message("program_change", program=int(rng.choice([0, 8, 16, 24, 25, 40])), channel=9)
        hits = [(0, kit)] + [(at, m.copy(channel=9)) for at, m in window(hits, 0, a.seconds) if m.type in ("note_on", "note_off")]
        render(hits, a.seconds, a.soundfont, folder / "drums.flac")


def freedoom(path, folder, a, rng):
    messages = list(events(mido.MidiFile(path)))
    end = messages[-1][0]
    first = float(rng.uniform(0, max(0, end - a.seconds)))
    messages = window(messages, first, a.seconds)
    program = {}
    for _, m in messages:
        if m.type == "program_change":
            program[m.channel] = m.program
    def group(c):
        return "drums" if c == 9 else "bass" if 32 <= program.get(c, 0) < 40 else "other" if c % 2 else "electric_guitar"
    for name in ("drums", "bass", "other", "electric_guitar"):
        chosen = [(at, m) for at, m in messages if group(m.channel) == name]
        if any(m.type == "note_on" for _, m in chosen):
            render(chosen, a.seconds, a.soundfont, folder / f"{name}.flac")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out", type=pathlib.Path)
    ap.add_argument("--midi", type=pathlib.Path, required=True)
    ap.add_argument("--soundfont", required=True)
    ap.add_argument("--songs", type=int, default=24)
    ap.add_argument("--seconds", type=float, default=30)
    ap.add_argument("--seed", type=int, default=1)
    a = ap.parse_args()
    songs = [p for p in sorted(a.midi.glob("pop909/*/*.mid"))]
    grooves = [p for p in sorted(a.midi.glob("groove/**/*.mid")) if "fill" not in p.name]
    games = [p for p in sorted(a.midi.glob("freedoom/*.mid"))]
    for k in range(a.songs):
        rng = np.random.default_rng([a.seed, k])
        source = games if games and k % 3 == 2 else songs
        if not source:
            continue
        path = source[int(rng.integers(len(source)))]
        folder = a.out / f"{path.stem}-{a.seed}-{k}"
        folder.mkdir(parents=True, exist_ok=True)
        if source is games:
            freedoom(path, folder, a, rng)
        else:
            pop909(path, grooves, folder, a, rng)
        print(folder, flush=True)


main()
