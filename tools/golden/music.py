#!/usr/bin/python3
"""Golden files for tests/music: MIDI files written and read by mido, chords by mir_eval, metrics by numpy.

usage: tools/golden/music.py   (from the repository root; writes tests/golden/music/)
"""
import bisect, collections, os, struct
import mido, mir_eval, numpy as np

OUT = "tests/golden/music"


def notes_of(path):
    """(onset, offset, pitch, velocity, is_drums) by mido's messages; same-pitch notes end first in, first out."""
    m = mido.MidiFile(path)
    tempos = sorted(((t, u) for tr in m.tracks for t, u in absolute(tr, "set_tempo")), key=lambda x: x[0])
    points = [(0, 0.0, 500000)]
    for t, u in tempos:
        p = points[-1]
        points.append((t, p[1] + (t - p[0]) * p[2] * 1e-6 / m.ticks_per_beat, u))
    ticks = [p[0] for p in points]

    def sec(t):
        p = points[bisect.bisect_right(ticks, t) - 1]
        return p[1] + (t - p[0]) * p[2] * 1e-6 / m.ticks_per_beat

    out = []
    for tr in m.tracks:
        t, sounding = 0, collections.defaultdict(collections.deque)
        for e in tr:
            t += e.time
            if e.type == "note_on" and e.velocity:
                sounding[e.channel, e.note].append((t, e.velocity))
            elif e.type in ("note_on", "note_off") and sounding[e.channel, e.note]:
                s, v = sounding[e.channel, e.note].popleft()
                if t > s:
                    out.append((sec(s), sec(t), e.note, v, int(e.channel == 9)))
        for (c, n), q in sounding.items():
            out += [(sec(s), sec(t), n, v, int(c == 9)) for s, v in q if t > s]
    return sorted(out)


def absolute(track, kind):
    t = 0
    for e in track:
        t += e.time
        if e.type == kind:
            yield t, e.tempo


def save(name, m):
    path = f"{OUT}/{name}.mid"
    m.save(path)
    write_notes(name, notes_of(path))


def write_notes(name, notes):
    with open(f"{OUT}/{name}.txt", "w") as f:
        for n in notes:
            f.write("%.6f %.6f %d %d %d\n" % n)


def random_track(rng, channel, n, program, drums=False, overlap=False):
    tr = mido.MidiTrack()
    tr.append(mido.Message("program_change", channel=channel, program=program, time=0))
    events = []
    for i in range(n):
        s = int(rng.integers(0, 4000))
        p = int(rng.integers(35, 60)) if drums else int(rng.integers(48, 54 if overlap else 80))
        events += [(s, 1, p, int(rng.integers(1, 128))), (s + int(rng.integers(1, 600)), 0, p, 64)]
    events.sort()
    last = 0
    for t, on, p, v in events:  # ends as note_on with velocity 0 for odd pitches
        kind = "note_on" if on or p % 2 else "note_off"
        tr.append(mido.Message(kind, channel=channel, note=p, velocity=v if on else (0 if p % 2 else 64), time=t - last))
        last = t
    return tr


def midi():
    rng = np.random.default_rng(7)
    m = mido.MidiFile(type=1, ticks_per_beat=220)
    c = mido.MidiTrack()
    c += [mido.MetaMessage("track_name", name="song"), mido.MetaMessage("set_tempo", tempo=500000),
          mido.MetaMessage("time_signature", numerator=3, denominator=4),
          mido.MetaMessage("key_signature", key="F#m"), mido.MetaMessage("marker", text="verse"),
          mido.MetaMessage("lyrics", text="F#m"), mido.MetaMessage("set_tempo", tempo=611111, time=333),
          mido.MetaMessage("lyrics", text="Bm7", time=100), mido.MetaMessage("marker", text="chorus", time=0),
          mido.MetaMessage("set_tempo", tempo=400001, time=1500)]
    m.tracks += [c, random_track(rng, 0, 60, 33, overlap=True), random_track(rng, 9, 60, 0, drums=True), random_track(rng, 3, 40, 65)]
    m.tracks[1].insert(0, mido.MetaMessage("track_name", name="Bass Line"))
    save("format1", m)
    m = mido.MidiFile(type=0, ticks_per_beat=480)
    tr = mido.MidiTrack([mido.MetaMessage("track_name", name="everything")])
    events = []
    for ch, prog, dr in ((0, 0, False), (1, 24, False), (9, 0, True)):
        t = 0
        for e in random_track(rng, ch, 40, prog, drums=dr):
            t += e.time
            events.append((t, len(events), e))
    events.sort(key=lambda x: x[:2])
    last = 0
    for t, _, e in events:
        tr.append(e.copy(time=t - last))
        last = t
    tr.insert(30, mido.Message("sysex", data=[1, 2, 3]))
    m.tracks.append(tr)
    save("format0", m)
    # SMPTE, 25 frames of 40 ticks: a tick is a millisecond. Written by hand, running status, a note left open.
    body = bytes([0, 0x90, 60, 100, 0x83, 0x74, 60, 0, 0, 64, 90, 0x64, 0xFF, 0x2F, 0])
    with open(f"{OUT}/smpte.mid", "wb") as f:
        f.write(b"MThd" + struct.pack(">IHHBB", 6, 0, 1, 0x100 - 25, 40) + b"MTrk" + struct.pack(">I", len(body)) + body)
    write_notes("smpte", [(0.0, 0.5, 60, 100, 0), (0.5, 0.6, 64, 90, 0)])


def chords():
    qualities = ["maj", "min", "dim", "aug", "sus2", "sus4", "7", "maj7", "min7", "minmaj7", "dim7", "hdim7", "maj6", "min6",
                 "5", "sus4(b7)"]  # no ninths: mir_eval leaves them out
    with open(f"{OUT}/chords.txt", "w") as f:
        for i, q in enumerate(qualities):
            root = ["C", "F#", "Bb", "E", "Ab", "D"][i % 6]
            for name in [f"{root}:{q}"] + ([f"{root}:{q}/5"] if q in ("maj", "min", "7") else []):
                r, bits, bass = mir_eval.chord.encode(name)
                mask = sum(1 << ((r + k) % 12) for k in range(12) if bits[k])
                f.write(f"{name} {r} {mask} {(r + bass) % 12}\n")


def metrics():
    """MusPy's definitions over a random score of three tracks, the last one drums; beats of uneven length, 12 steps each.
    One bar and a few beats are silent; the drums lie on sixteenths, triplets and between."""
    rng = np.random.default_rng(3)
    n_beats, steps, bar = 32, 12, 4
    beats = np.cumsum(rng.uniform(0.4, 0.6, n_beats + 1))
    notes = []
    for track in range(3):
        for _ in range(60):
            a = int(rng.integers(0, n_beats * steps - 2))
            if track == 2 and rng.random() < 0.8:
                a -= a % (3 if rng.random() < 0.6 else 4)
            b = min(a + int(rng.integers(1, 20)), n_beats * steps)
            if not (b <= 16 * steps or a >= 20 * steps) or not (b <= 25 * steps or a >= 27 * steps):
                continue
            notes.append((track, a, b, int(rng.integers(36, 84)), int(rng.integers(1, 128))))
    at = lambda s: float(np.interp(s / steps, np.arange(n_beats + 1), beats))
    pitches = np.array([n[3] for n in notes if n[0] < 2])
    entropy = lambda counts: -sum(p * np.log2(p) for p in counts / counts.sum() if p > 0)
    pc = np.bincount(pitches % 12, minlength=12)
    major, minor = [0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 10]
    scale = max(sum(pc[(t + i) % 12] for i in mode) for t in range(12) for mode in (major, minor)) / pc.sum()
    roll = np.zeros((n_beats * steps, 128), bool)
    for _, a, b, p, _v in (n for n in notes if n[0] < 2):
        roll[a:b, p] = True
    at_once = roll.sum(1)
    played = np.zeros(n_beats * steps, bool)
    onsets = np.zeros(n_beats * steps, bool)
    for _, a, b, _p, _v in notes:
        played[a:b] = True
        onsets[a] = True
    empty = lambda length: 1 - played.reshape(-1, length).any(1).mean()
    g = onsets.reshape(-1, bar * steps)
    groove = 1 - np.mean([np.count_nonzero(x != y) / (bar * steps) for x, y in zip(g[1:], g[:-1])])
    hits = np.array([n[1] for n in notes if n[0] == 2]) % steps
    duple, triple = np.isin(hits, [0, 3, 6, 9]).mean(), np.isin(hits, [0, 4, 8]).mean()
    values = [len(set(pitches)), np.count_nonzero(pc), pitches.max() - pitches.min(), entropy(np.bincount(pitches)), entropy(pc), scale,
              at_once.sum() / np.count_nonzero(at_once), np.mean(at_once > 2), empty(steps), empty(bar * steps), groove, duple, triple,
              max(duple, triple)]
    with open(f"{OUT}/metrics.txt", "w") as f:
        f.write(" ".join("%.9f" % v for v in values) + "\n")
        f.write("%d %d\n" % (len(beats), len(notes)))
        f.write("\n".join("%.9f" % b for b in beats) + "\n")
        for track, a, b, p, v in notes:
            f.write("%d %.9f %.9f %d %d\n" % (track, at(a), at(b), p, v))


os.makedirs(OUT, exist_ok=True)
midi()
chords()
metrics()
