"""Singers whose time is known: POP909 melodies sung by a sampled voice, in a tempo that drifts, or from a pick-up on.

A song is a dict of `melody` [(onset, offset, pitch, velocity)], `beats`, `downbeats`, `chords` [(start, end, name)] and `key`, as
render_vocal.py writes it. Here songs are cut, bent and sung anew.
"""
import collections
import json
import subprocess
import tempfile

import mido
import numpy as np

SOUND_FONT = "/usr/share/sounds/sf2/FluidR3_GM.sf2"
VOICE = 53  # General MIDI's voice oohs: it begins its notes as clearly as a singer
KINDS = ("slow drift", "ritardandi", "sudden change", "rubato")


def read_pop909(corpus, song, part="MELODY"):
    """A whole song of the corpus; `melody` is the track of that name (MELODY, BRIDGE, PIANO)."""
    path = corpus / song
    midi = mido.MidiFile(path / f"{song}.mid")
    track = next(t for t in midi.tracks if t.name.strip() == part)
    tempi = sorted((tick, m.tempo) for t in midi.tracks for tick, m in absolute(t) if m.type == "set_tempo")
    notes, on = [], collections.defaultdict(collections.deque)
    for tick, m in absolute(track):
        if m.type == "note_on" and m.velocity:
            on[m.note].append((tick, m.velocity))
        elif m.type in ("note_on", "note_off") and on[m.note]:  # a note that is struck again while it sounds: the first one ends first
            start, velocity = on[m.note].popleft()
            notes.append((seconds_at(start, tempi, midi.ticks_per_beat), seconds_at(tick, tempi, midi.ticks_per_beat), m.note, velocity))
    beats = np.loadtxt(path / "beat_midi.txt")
    chords = [(float(a), float(b), name) for a, b, name in (line.split() for line in (path / "chord_midi.txt").read_text().splitlines()
                                                            if line.strip())]
    key = (path / "key_audio.txt").read_text().split("\n")[0].split()[2]
    return {"melody": sorted(notes), "beats": beats[:, 0].tolist(), "downbeats": beats[beats[:, 2] == 1, 0].tolist(), "chords": chords,
            "key": key}


def absolute(track):
    tick = 0
    for m in track:
        tick += m.time
        yield tick, m


def seconds_at(tick, tempi, per_beat):
    seconds, last, tempo = 0.0, 0, 500000
    for at, next_tempo in tempi:
        if at >= tick:
            break
        seconds += mido.tick2second(at - last, per_beat, tempo)
        last, tempo = at, next_tempo
    return seconds + mido.tick2second(tick - last, per_beat, tempo)


def remap(song, time):
    """The song with every time t moved to time(t)."""
    return song | {"melody": [(float(time(s)), float(time(e)), p, v) for s, e, p, v in song["melody"]],
                   "beats": [float(time(b)) for b in song["beats"]], "downbeats": [float(time(b)) for b in song["downbeats"]],
                   "chords": [(float(time(s)), float(time(e)), c) for s, e, c in song["chords"]]}


def cut(song, start, seconds):
    """From start on, which becomes 0; nothing after that many seconds."""
    moved = remap(song, lambda t: t - start)
    inside = [t for t in moved["beats"] if 0 <= t < seconds]
    return moved | {"melody": [(max(0.0, s), min(e, seconds), p, v) for s, e, p, v in moved["melody"] if -1e-3 <= s < seconds - 0.1],
                    "beats": inside, "downbeats": [t for t in moved["downbeats"] if 0 <= t < seconds],
                    "chords": [(max(0.0, s), min(e, seconds), c) for s, e, c in moved["chords"] if e > 0 and s < seconds]}


def phrase_starts(song, rest_beats=1.0):
    """Indices of notes before which the singer rests."""
    notes, period = song["melody"], float(np.median(np.diff(song["beats"])))
    return [i for i in range(len(notes)) if i == 0 or notes[i][0] - max(n[1] for n in notes[:i]) >= rest_beats * period]


def beat_position(song, time):
    return float(np.interp(time, song["beats"], np.arange(len(song["beats"]))))


def tempo_curve(kind, song, rng):
    """Relative tempo at every beat: 1 is the song's own."""
    n = len(song["beats"])
    x = np.arange(n)
    if kind == "slow drift":
        return 1 + 0.08 * np.sin(2 * np.pi * (x / rng.uniform(48, 80) + rng.random()))
    if kind == "sudden change":
        curve = np.ones(n)
        bars = [round(beat_position(song, d)) for d in song["downbeats"]]
        curve[bars[len(bars) // 2]:] = rng.choice([0.87, 1.15])
        return curve
    if kind == "ritardandi":
        curve = np.ones(n)
        for i in phrase_starts(song)[1:]:
            end = int(beat_position(song, song["melody"][i - 1][0]))  # the beat of the phrase's last note
            for k, factor in enumerate((0.92, 0.85, 0.78, 0.78)):
                if 0 <= end - 2 + k < n:
                    curve[end - 2 + k] = min(curve[end - 2 + k], factor)
        return curve
    curve, value = np.ones(n), 0.0
    for i in range(n):  # rubato: a wandering tempo that is drawn back
        value = 0.8 * value + rng.normal(0, 0.035)
        curve[i] = 1 + float(np.clip(value, -0.2, 0.2))
    return curve


def bend(song, kind, rng, late_s=0.015):
    """The song in a tempo that changes as `kind` says; its notes up to some 15 ms beside the beats, as singers are."""
    beats = np.array(song["beats"])
    gaps = np.diff(beats) / tempo_curve(kind, song, rng)[:-1]
    bent = beats[0] + np.concatenate([[0], np.cumsum(gaps)])

    def time(t):
        if t <= beats[0]:
            return bent[0] + (t - beats[0])
        return bent[-1] + (t - beats[-1]) if t >= beats[-1] else np.interp(t, beats, bent)

    moved = remap(song, time)
    notes = [(s + float(np.clip(rng.normal(0, late_s), -2 * late_s, 2 * late_s)), e, p, v) for s, e, p, v in moved["melody"]]
    return moved | {"melody": [(max(0.0, s), max(e, s + 0.06), p, v) for s, e, p, v in notes]}


def sing(song, path, seconds, voice=VOICE):
    """Plays the melody on a sampled voice into path (.wav, mono, 44.1 kHz), its truth beside it (.json)."""
    midi, track = mido.MidiFile(ticks_per_beat=960), mido.MidiTrack()
    midi.tracks.append(track)
    track += [mido.MetaMessage("set_tempo", tempo=1000000), mido.Message("program_change", program=voice)]
    events = sorted([(s, 1, p, max(v, 70)) for s, e, p, v in song["melody"]] + [(max(e, s + 0.06), 0, p, 0) for s, e, p, v in song["melody"]])
    last = 0
    for time, is_on, pitch, velocity in events:
        tick = max(last, round(time * 960))
        track.append(mido.Message("note_on" if is_on else "note_off", note=pitch, velocity=velocity, time=tick - last))
        last = tick
    with tempfile.TemporaryDirectory() as folder:
        midi.save(f"{folder}/song.mid")
        subprocess.run(["fluidsynth", "-ni", "-q", "-g", "0.8", "-r", "44100", "-R", "0", "-C", "0", "-F", f"{folder}/song.wav", SOUND_FONT,
                        f"{folder}/song.mid"], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["sox", "-V1", f"{folder}/song.wav", path, "remix", "1,2", "pad", "0", str(seconds), "trim", "0", str(seconds), "norm", "-3"],
                       check=True)
    path.with_suffix(".json").write_text(json.dumps(song | {"tempo": 60 / float(np.median(np.diff(song["beats"])))}))


def drifting(ctx, ids, seconds=50, seed=909):
    """{kind: [(wav, truth)]}: each song in one of KINDS, in turn."""
    corpus, out = ctx.need("midi", "pop909"), ctx.work / "drifting"
    out.mkdir(parents=True, exist_ok=True)
    found = {kind: [] for kind in KINDS}
    for number, song in enumerate(ids):
        kind, wav = KINDS[number % len(KINDS)], out / f"{song}-{seed}.wav"
        if not wav.with_suffix(".json").exists():
            rng = np.random.default_rng([seed, int(song)])
            whole = read_pop909(corpus, song)
            start = max(0.0, whole["melody"][0][0] - 2)
            sing(cut(bend(cut(whole, start, seconds + 30), kind, rng), 0, seconds), wav, seconds)
        found[kind].append((wav, json.loads(wav.with_suffix(".json").read_text())))
    return found


def phrase_from(ctx, ids, seconds=30, seed=910):
    """[(wav, truth)]: recordings that begin with a phrase of the singer, 0.2 to 1.2 s before its first note, wherever in the bar that lies;
    truth["pickup"]: beats from the first note to the first downbeat at or after it."""
    corpus, out = ctx.need("midi", "pop909"), ctx.work / "phrases"
    out.mkdir(parents=True, exist_ok=True)
    found = []
    for number, song in enumerate(ids):
        wav = out / f"{song}-{seed}.wav"
        if not wav.with_suffix(".json").exists():
            rng = np.random.default_rng([seed, int(song)])
            whole = read_pop909(corpus, song)
            notes = whole["melody"]
            starts = [i for i in phrase_starts(whole, 1.5) if notes[i][0] + seconds < notes[-1][1] + 2] or [0]
            first = notes[int(rng.choice(starts))][0]
            lead = float(rng.uniform(0.2, 1.2))
            part = cut(whole | {"melody": [n for n in notes if n[0] >= first - 1e-6]}, first - lead, seconds)
            bar = min(d for d in whole["downbeats"] if d > first - 0.08)  # sung a little late is sung on it
            part["pickup"] = max(0.0, beat_position(whole, bar) - beat_position(whole, first))
            sing(part, wav, seconds)
        found.append((wav, json.loads(wav.with_suffix(".json").read_text())))
    return found
