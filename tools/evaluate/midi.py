"""Nothing is lost on the way through our MIDI files: every file of DATA/midi is read and written again by bin/inspect, and
mido reads the original and the copy.

Exact means, for a file: the same notes (onset, offset, channel, pitch, velocity, program that sounds, bank), the same
controllers, pressures and bends, tempos, meters, key signatures, markers, lyrics and system messages; times to within 0.1 ms
and, where both files count in the same ticks, in the same tick. Of things said twice at one tick the last counts, as when
played. Nothing here was tuned: the files are all there are. That the judge is not blind is shown by copies in which one message
was changed by the least there is (a tick, a step of velocity, a microsecond of a tempo, a controller's value).
"""
import collections
import concurrent.futures
import json
import os
import random
import subprocess
import tempfile

from common import Missing, Row

NAME = {"control_change": "controller", "pitchwheel": "bend", "aftertouch": "pressure", "polytouch": "key pressure"}


def merged(midi):
    """Messages of all tracks with their tick, in the order in which a player comes to them."""
    out = []
    for number, track in enumerate(midi.tracks):
        tick = 0
        for place, message in enumerate(track):
            tick += message.time
            out.append((tick, number, place, message))
    return sorted(out, key=lambda e: e[:3])


def tempo_map(events):
    tempos = {0: 500000}
    for tick, _, _, m in events:
        if m.type == "set_tempo":
            tempos[tick] = m.tempo
    return tempos


def seconds(ticks, tempos, division):
    """Seconds of rising ticks."""
    points, at, last, tempo = sorted(tempos), 0.0, 0, tempos[0]
    out, k = [], 1
    for tick in ticks:
        while k < len(points) and points[k] <= tick:
            at += (points[k] - last) * tempo * 1e-6 / division
            last, tempo = points[k], tempos[points[k]]
            k += 1
        out.append(at + (tick - last) * tempo * 1e-6 / division)
    return out


def contents(path):
    """{kind: sorted list of (tick, ...)} and the seconds of every tick that occurs."""
    import mido
    midi = mido.MidiFile(path)
    events = merged(midi)
    found = collections.defaultdict(list)
    program, bank, told = [0] * 16, [[0, 0] for _ in range(16)], [(0, 0)] * 16
    sounding = collections.defaultdict(collections.deque)
    end = collections.defaultdict(int)
    last = {}
    for tick, number, _, m in events:
        end[number] = tick
        kind = m.type
        if kind == "note_on" and m.velocity:
            sounding[number, m.channel, m.note].append([tick, m.channel, m.note, m.velocity, program[m.channel], told[m.channel]])
        elif kind in ("note_on", "note_off"):
            queue = sounding[number, m.channel, m.note]
            if queue:
                note = queue.popleft()
                found["notes"].append((note[0], tick, *note[1:]))
        elif kind == "program_change":
            program[m.channel] = m.program
            told[m.channel] = tuple(bank[m.channel])
        elif kind in NAME:
            if kind == "control_change" and m.control in (0, 32):
                bank[m.channel][m.control == 32] = m.value
            found[NAME[kind]].append((tick, m.channel, *m.bytes()[1:]))
        elif kind == "time_signature":
            last[kind, tick] = (m.numerator, m.denominator)
        elif kind == "key_signature":
            last[kind, tick] = (m.key,)
        elif kind in ("marker", "lyrics"):
            text = m.text.strip()
            if text:
                found["text"].append((tick, text))
        elif kind == "sysex":
            found["system message"].append((tick, tuple(m.data)))
    for (number, channel, pitch), queue in sounding.items():
        for note in queue:
            found["notes"].append((note[0], end[number], *note[1:]))
    for (kind, tick), value in last.items():
        found[kind].append((tick, *value))
    tempos = tempo_map(events)
    found["tempo"] = [(tick, tempo) for tick, tempo in tempos.items()]
    heard = {n[1] for n in found["notes"]} | {n[2] for n in found["notes"]}
    channels = {n[2] for n in found["notes"]}
    for kind in NAME.values():  # a channel without notes is not heard
        found[kind] = [c for c in found[kind] if c[1] in channels]
    ticks = sorted({v for kind in found.values() for e in kind for v in e[:1]} | {n[1] for n in found["notes"]} | heard)
    return ({k: sorted(v, key=repr) if k == "system message" else sorted(v) for k, v in found.items() if v},
            dict(zip(ticks, seconds(ticks, tempos, midi.ticks_per_beat))), midi.ticks_per_beat)


def same(a, b):
    """The kinds in which two files differ, and the largest difference in seconds."""
    (one, time_one, division_one), (two, time_two, division_two) = a, b
    differ, worst = set(), 0.0
    for kind in one.keys() | two.keys():
        x, y = one.get(kind, []), two.get(kind, [])
        n_times = 2 if kind == "notes" else 1
        if len(x) != len(y) or any(p[n_times:] != q[n_times:] for p, q in zip(x, y)):
            differ.add(kind)
            continue
        for p, q in zip(x, y):
            for s, t in zip(p[:n_times], q[:n_times]):
                apart = abs(time_one[s] - time_two[t])
                worst = max(worst, apart)
                if apart > 1e-4 or (division_one == division_two and s != t):
                    differ.add(kind)
    return differ, worst


def check(job):
    path, inspect = job
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "copy.mid")
        done = subprocess.run([inspect, path, "--rewrite", copy], capture_output=True, text=True)
        if done.returncode:
            return path, {"reading: " + done.stderr.strip()}, 0.0, 0
        before, after = contents(path), contents(copy)
        return path, *same(before, after), len(before[0].get("notes", []))


def changed(path):
    """Whether one changed message is noticed; None where the file has no such message."""
    import mido
    rng = random.Random(path)
    midi = mido.MidiFile(path)
    heard = {m.channel for t in midi.tracks for m in t if m.type == "note_on" and m.velocity}
    kind = rng.choice(["note_on", "note_on", "set_tempo", "control_change"])
    found = [m for t in midi.tracks for m in t if m.type == kind and (kind == "set_tempo" or m.channel in heard)
             and (kind != "note_on" or m.velocity)]
    if kind == "set_tempo":  # the last of a tick counts, and a tempo at the very end is not heard
        found = found[:1] if len(found) == 1 else []
    if not found:
        return None
    message = rng.choice(found)
    if kind == "set_tempo":
        message.tempo += 1
    elif kind == "control_change":
        message.value ^= 1
    elif rng.random() < 0.5:
        message.velocity = message.velocity - 1 if message.velocity > 1 else 2
    else:
        message.time += 1
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "changed.mid")
        midi.save(copy)
        return bool(same(contents(path), contents(copy))[0])


SOUND_FONT = "/usr/share/sounds/sf2/TimGM6mb.sf2"


def drums_alone(path, out):
    """The conductor and drum tracks of a file."""
    import mido
    midi = mido.MidiFile(path)
    midi.tracks = [t for i, t in enumerate(midi.tracks) if i == 0 or any(m.type == "note_on" and m.channel == 9 for m in t)]
    midi.save(out)


def lateness(path, wav):
    """Seconds between each drum hit of a file and its attack in a recording of it."""
    import numpy as np
    import soundfile
    x, rate = soundfile.read(wav)
    envelope = np.abs(x.mean(1))
    found, times, _ = contents(path)
    hits = sorted({round(times[n[0]], 4) for n in found["notes"]})
    late = []
    for before, hit, after in zip([-1.0] + hits, hits, hits[1:] + [1e9]):
        at = int(hit * rate)
        if hit - before < 0.15 or after - hit < 0.06 or at < rate // 20:  # what rings hides the attack
            continue
        ringing, attack = envelope[at - rate // 50:at].max(), envelope[at:at + rate // 20]
        if attack.max() > 4 * ringing:
            late.append(np.argmax(attack > ringing + 0.3 * (attack.max() - ringing)) / rate)
    return late


def written(ctx):
    """infer --midi of the demo vocal, beside the report of the same run and as fluidsynth plays it."""
    import mido
    import numpy as np
    vocal = ctx.bin.parent / "data" / "demo_vocal.flac"
    if not vocal.exists():
        raise Missing(f"{vocal} is not there")
    with tempfile.TemporaryDirectory() as folder:
        song, report = os.path.join(folder, "song.mid"), os.path.join(folder, "song.json")
        ctx.run(ctx.program("infer"), vocal, "--genre", "rock", "--midi", song, "--report", report, "--quiet")
        plan = json.load(open(report))
        found, times, division = contents(song)
        wanted = sorted((n["onset"], n["offset"], n["pitch"], n["velocity"]) for n in plan["notes"])
        got = sorted((times[n[0]], times[n[1]], n[3], n[4]) for n in found["notes"])
        key = lambda n: (n[2], n[3], round(n[0], 2))
        worst = max((max(abs(a[0] - b[0]), abs(a[1] - b[1])) for a, b in zip(sorted(wanted, key=key), sorted(got, key=key))),
                    default=float("nan")) if len(wanted) == len(got) else float("inf")
        yield Row("midi", "infer --midi beside its report, notes", "worst ms", len(wanted), 1e3 * worst, 1.0, lower_is_better=True)
        events = merged(mido.MidiFile(song))
        ticks = range(0, (len(plan["beats"]) + 64) * division, division)
        quarters = np.array(seconds(ticks, tempo_map(events), division))
        # a tempo stands in the file where beats leave a steady run by 2 ms, so that a sequencer's tempo track stays readable
        apart = [np.abs(quarters - b).min() for b in plan["beats"]]
        yield Row("midi", "infer --midi, beats on quarters of the file", "worst ms", len(apart), 1e3 * max(apart), 2.0, lower_is_better=True)
        drums, wav = os.path.join(folder, "drums.mid"), os.path.join(folder, "drums.wav")
        drums_alone(song, drums)
        for who, command in (("fluidsynth", ["fluidsynth", "-ni", "-R", "0", "-C", "0", "-g", "0.5", "-r", "44100", "-F", wav, SOUND_FONT, drums]),
                             ("infer --from-midi", [ctx.program("infer"), "--from-midi", drums, "--dry", "--quiet", "-o", wav])):
            ctx.run(*command)
            late = lateness(drums, wav)
            yield Row("midi", f"its drums as {who} plays them", "median ms late", len(late), 1e3 * float(np.median(late)), 10.0,
                      lower_is_better=True)


def run(ctx):
    inspect = ctx.program("inspect")
    files = sorted(ctx.need("midi").rglob("*.mid"))
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        done = list(pool.map(check, [(str(f), str(inspect)) for f in files], chunksize=32))
        noticed = [v for v in pool.map(changed, map(str, files[::29]), chunksize=8) if v is not None]
    wrong = collections.Counter(kind for _, differ, _, _ in done for kind in differ)
    for path, differ, _, _ in [d for d in done if d[1]][:10]:
        print(f"  {path}: {', '.join(sorted(differ))}")
    if wrong:
        print("  " + ", ".join(f"{kind} differ in {n} files" for kind, n in wrong.most_common()))
    exact = sum(not differ for _, differ, _, _ in done)
    yield Row("midi", "all files, read, written, read", "share exact", len(done), exact / len(done), 1.0)
    yield Row("midi", f"{sum(n for *_, n in done)} notes of them", "worst ms", len(done), 1e3 * max(w for _, _, w, _ in done), 0.1,
              lower_is_better=True)
    yield Row("midi", "copies with one message changed", "noticed", len(noticed), sum(noticed) / len(noticed), 1.0)
    yield from written(ctx)
