"""Whether a band would accept the parts, and whether they follow the singer: by bin/infer as a user runs it (the plan alone).

songs      twenty, two for each of ten genres: POP909 melodies sung by a sampled voice whose number is a multiple of six (the arranger's
           models never read those), the demo vocal, seven recordings of real singers. The band is the genre's own.
same band  four of the melodies, each in all ten genres with drums, bass, electric guitar and piano
singers    every recording of a real singer in the data folder, a genre each in turn
drifting   POP909 melodies (multiples of six) sung in a drifting tempo (lib_singing.py): slow drift of 8 %, ritardandi, a sudden change,
           rubato. Beats and bars of NIT SONG070 come from its scores.
phrases    half a minute from a phrase's start on, wherever in the bar that is

Tuned on none of these: constants and tables come from songs that are no multiples of six. Baselines: the same chords as root position
triads above middle C on every beat; a bar that repeats; a steady grid at the true median tempo and its best phase, which nobody could
know; the first note taken for a downbeat.
"""
import hashlib
import json
import re

import mir_eval
import numpy as np

import lib_arranged as la
import lib_beats
import lib_singing
from common import Row

GENRES = ["rock", "pop", "jazz", "classical", "blues", "country", "reggae", "disco", "metal", "hip-hop"]
MELODIES = ["006", "048", "072", "108", "150", "192", "216", "252", "300", "342", "402", "450"]
REAL = ["vocadito_1", "nit_song070_f001_004", "nit_song070_f001_007", "gtsinger/IT-Bass-2/39_Control", "gtsinger/EN-Alto-2/12_Control",
        "gtsinger/DE-Tenor-1/20_Control", "gtsinger/IT-Soprano-1/40_Control"]
BAND = "drums,bass,electric guitar,piano"
N_DRIFTING, N_PHRASES = 24, 48


def plan(ctx, song, genre, *options):
    """The report of bin/infer without playing; kept until the program, a checkpoint, a style or the song changes."""
    infer = ctx.program("infer")
    root = ctx.bin.parent
    inputs = [infer, song, *sorted(ctx.model.glob("*.h5")), *sorted((root / "configs").rglob("*.ini")), *sorted((root / "data").glob("*.ini"))]
    key = repr([(str(p), p.stat().st_mtime_ns) for p in inputs] + [genre, *map(str, options)])
    report = ctx.work / "plans" / (hashlib.sha256(key.encode()).hexdigest()[:24] + ".json")
    if not report.exists():
        report.parent.mkdir(exist_ok=True)
        ctx.run(infer, song, "--model", ctx.model, "--report", report, "--quiet", *(["--genre", genre] if genre else []), *options)
    return json.loads(report.read_text())


def style_of(ctx, genre):
    return la.Style(ctx.bin.parent / "configs/styles" / f"{genre}.ini")


def songs_of(ctx):
    """Twenty (song, genre)."""
    sung = ctx.render_pop909(MELODIES, 60)
    demo = ctx.bin.parent / "data/demo_vocal.flac"
    songs = [sung[i][0] for i in MELODIES] + [demo] + [ctx.need("vocals", f"{name}.flac") for name in REAL]
    return [(song, GENRES[i % len(GENRES)]) for i, song in enumerate(songs)]


# ---- notes ----

def promises(ctx, reports):
    """Chord, grid, range."""
    notes = foreign = passing = onsets = off = ranged = beyond = 0
    plain = loop = 0
    for report, genre in reports:
        style = style_of(ctx, genre)
        total, outside, passes = la.foreign(report, style)
        notes, foreign, passing = notes + total, foreign + outside, passing + passes
        late = la.off_grid(report, style)
        onsets, off = onsets + len(late), off + int((late > la.ON_GRID_S).sum())
        n, wrong = la.out_of_range(report)
        ranged, beyond = ranged + n, beyond + wrong
        blocks = la.block_chords(report)
        plain += len(blocks)
        loop += la.foreign(report | {"notes": blocks}, style)[1]
    yield Row("arranging", "20 songs, ten genres", "notes in chord or key, or passing", notes, 1 - (foreign - passing) / notes, 1.0,
              baseline=("block chords", 1 - loop / max(1, plain)))
    yield Row("arranging", "20 songs, ten genres", "of them passing", notes, passing / notes)
    yield Row("arranging", "20 songs, ten genres", "onsets within 35 ms of the style's grid", onsets, 1 - off / onsets, 0.95)
    yield Row("arranging", "20 songs, ten genres", "notes in the instrument's range", ranged, 1 - beyond / ranged, 1.0)


def leaves_room(reports):
    ours, blocks = np.zeros(3), np.zeros(3)
    for report, _ in reports:
        ours += la.clashes(la.comping(report), report["melody"])
        blocks += la.clashes(la.block_chords(report), report["melody"])
    for i, metric in ((1, "comping a semitone beside the singer"), (2, "comping on the singer's pitch")):
        yield Row("arranging", "20 songs, ten genres", metric, int(ours[0]), float(ours[i] / ours[0]), baseline=("block chords", float(
            blocks[i] / blocks[0])), lower_is_better=True)


def drums_vary(ctx, reports):
    distinct, changes, led = [], 0, 0
    for report, genre in reports:
        n = la.distinct_bars(report)
        if n is not None:
            distinct.append(n)
        if style_of(ctx, genre).fills:
            a, b = la.fills(report)
            changes, led = changes + a, led + b
    yield Row("arranging", "songs of 16 bars and more", "distinct drum bars of 16", len(distinct), float(np.mean(distinct)), baseline=("a loop", 1.0))
    yield Row("arranging", "section changes with drums", "led to by a bar of its own", changes, led / max(1, changes), baseline=("a loop", 0.0))


# ---- genres ----

def differ(by_genre):
    """by_genre: [{genre: report}], a dict a song, all with the same band."""
    parts = {"drums": "drums", "bass": "bass", "electric guitar": "electric guitar", "piano": "piano"}
    for name, instrument in parts.items():
        far, between = [], []
        for song in by_genre:
            h = {g: la.histogram(la.by_instrument(r).get(instrument, []), r) for g, r in song.items()}
            far += [la.jensen_shannon(h[a], h[b]) for i, a in enumerate(GENRES) for b in GENRES[i + 1:]]
        for g in GENRES:
            h = [la.histogram(la.by_instrument(song[g]).get(instrument, []), song[g]) for song in by_genre]
            between += [la.jensen_shannon(a, b) for i, a in enumerate(h) for b in h[i + 1:]]
        yield Row("arranging", f"same song and band, {name}", "groove, Jensen-Shannon between genres", len(far), float(np.nanmean(far)),
                  baseline=("same genre, other songs", float(np.nanmean(between))))
    hits = n = 0
    features = [{g: la.groove(r) for g, r in song.items()} for song in by_genre]
    for left in range(len(features)):
        centres = {g: np.mean([f[g] for i, f in enumerate(features) if i != left], axis=0) for g in GENRES}
        for g in GENRES:
            hits += min(GENRES, key=lambda c: float(np.sum((centres[c] - features[left][g]) ** 2))) == g
            n += 1
    yield Row("arranging", "same song and band", "genre by nearest groove, left-one-out", n, hits / n, baseline=("chance", 1 / len(GENRES)))


def human(ctx, songs):
    """Our piano and bass of pop beside the pianist of POP909, MusPy's measures."""
    corpus = ctx.need("midi", "pop909")
    ours, theirs = [], []
    for song in songs:
        _, truth = ctx.render_pop909([song])[song]
        path = ctx.work / "pop909" / f"{song}.wav"
        report = plan(ctx, path, "pop", "--instruments", BAND, "--force")
        piano = la.by_instrument(report).get("piano", [])
        ours.append(la.symbolic(piano, report["beats"], report["downbeats"]) | {"voicing spread": la.voicing_spread(piano)})
        whole = lib_singing.read_pop909(corpus, song, "PIANO")
        part = lib_singing.cut(whole, max(0.0, lib_singing.read_pop909(corpus, song)["melody"][0][0] - 2.0), 60)
        notes = [{"onset": s, "offset": e, "pitch": p} for s, e, p, _ in part["melody"]]
        theirs.append(la.symbolic(notes, part["beats"], part["downbeats"]) | {"voicing spread": la.voicing_spread(notes)})
    for metric in ours[0]:
        yield Row("arranging", "pop, piano", metric, len(songs), float(np.nanmean([o[metric] for o in ours])),
                  ceiling=("human", float(np.nanmean([t[metric] for t in theirs]))))


# ---- takes and plans ----

def notes_of(report):
    return sorted((n["instrument"], round(n["onset"], 3), round(n["offset"], 3), n["pitch"], n["velocity"]) for n in report["notes"])


def takes(ctx, songs):
    same_chords = shares = 0
    for song, genre in songs:
        one, two = plan(ctx, song, genre), plan(ctx, song, genre, "--seed", 2)
        same_chords += one["chords"] == two["chords"]
        a, b = ({(i, t, p) for i, t, _, p, _ in notes_of(r)} for r in (one, two))
        shares += len(a & b) / max(1, len(a | b))
    yield Row("arranging", "another seed", "songs with the same chords", len(songs), same_chords / len(songs), 1.0)
    yield Row("arranging", "another seed", "notes in common", len(songs), shares / len(songs), lower_is_better=True)


def edited(report, i):
    """Another chord in place of the i-th: a whole tone up, major; its notes as they were."""
    out = json.loads(json.dumps(report))
    classes = la.chord_classes(out["chords"][i]["chord"]) or {0}
    root = (min(classes) + 2) % 12
    out["chords"][i]["chord"] = ["C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"][root]
    return out


def plans(ctx, songs):
    again = local = changed = 0
    out = ctx.work / "edited"
    out.mkdir(exist_ok=True)
    for k, (song, genre) in enumerate(songs):
        first = plan(ctx, song, genre)
        path, report = out / f"{k}.json", out / f"{k}.out.json"
        path.write_text(json.dumps(first))
        ctx.run(ctx.program("infer"), song, "--model", ctx.model, "--plan", path, "--report", report, "--quiet")
        again += notes_of(json.loads(report.read_text())) == notes_of(first)
        i = len(first["chords"]) // 2
        path.write_text(json.dumps(edited(first, i)))
        ctx.run(ctx.program("infer"), song, "--model", ctx.model, "--plan", path, "--report", report, "--quiet")
        downbeats = np.asarray(first["downbeats"])
        span = first["chords"][i]
        bars = downbeats[downbeats <= span["start"] + 0.01], downbeats[downbeats >= span["end"] - 0.01]
        start = bars[0][-1] if len(bars[0]) else 0
        end = bars[1][0] if len(bars[1]) else 1e9
        # What began before and only ends otherwise inside these bars has not changed outside of them.
        a, b = ({n[:2] + (round(min(n[2], start), 2) if n[1] < start - 0.06 else n[2],) + n[3:] for n in notes_of(r)}
                for r in (first, json.loads(report.read_text())))
        moved = a ^ b
        changed += bool(moved)
        local += all(start - 0.06 <= n[1] < end + 0.06 for n in moved)
    n = len(songs)
    yield Row("arranging", "plan handed back", "songs with the same notes", n, again / n, 1.0)
    yield Row("arranging", "a chord edited", "songs where notes change", n, changed / n, 1.0)
    yield Row("arranging", "a chord edited", "songs where nothing else changes", n, local / n, 1.0)


def speed(ctx):
    """A song of four minutes."""
    out = ctx.work / "long.wav"
    if not out.exists():
        whole = lib_singing.read_pop909(ctx.need("midi", "pop909"), "012")
        lib_singing.sing(lib_singing.cut(whole, 0, 240), out, 240)
    times, loads = [], []
    for attempt in range(3):
        path = ctx.work / "long.json"
        ctx.run(ctx.program("infer"), out, "--model", ctx.model, "--genre", "pop", "--report", path, "--quiet")
        report = json.loads(path.read_text())
        seconds = {s["name"]: s["seconds"] for s in report["stages"]}
        after = sum(v for k, v in seconds.items() if k in ("validate", "arrange", "write"))
        times.append(after)
        loads.append(after + seconds.get("read", 0))
    yield Row("arranging", "four minutes, after listening", "seconds", 3, min(times), 1.0, lower_is_better=True)
    yield Row("arranging", "four minutes, models loaded", "seconds", 3, min(loads), 1.5, lower_is_better=True)


# ---- singers ----

def real_singers(ctx):
    """No recording may fail; the band plays where somebody sings."""
    recordings = sorted(p for p in ctx.need("vocals").rglob("*.flac"))
    made = covered = total = 0
    for i, path in enumerate(recordings):
        try:
            report = plan(ctx, path, GENRES[i % len(GENRES)])
        except RuntimeError as why:
            print(f"arranging: {path.name}: {why}")
            continue
        made += bool(report["notes"])
        onsets = np.array([n["onset"] for n in report["notes"]] + [1e9])
        bar = 60 / report["tempo"] * report["meter"]
        for m in report["melody"]:
            total += 1
            covered += bool((np.abs(onsets - m["onset"]) < bar).any())
    yield Row("arranging", "recordings of real singers", "arranged", len(recordings), made / len(recordings), 1.0)
    yield Row("arranging", "recordings of real singers", "sung notes with the band within a bar", total, covered / max(1, total))


def steady(truth):
    """F of the best grid that does not follow: the true median tempo, the phase that hits most."""
    known = np.asarray(truth["beats"])
    period = float(np.median(np.diff(known)))
    return max(mir_eval.beat.f_measure(known, lib_beats.within(np.arange(known[0] - 2 * period + phase, known[-1] + period, period), known))
               for phase in np.arange(0, period, 0.02))


def nit(ctx, name):
    """Beats of a NIT SONG070 recording from its score: where each note starts in the bar (in 24ths of a beat) and its vowel in the
    recording; beats lie on the line through the vowels of two beats around them, as somebody would tap them."""
    places, bar, last = [], 0, None
    for line in ctx.need("vocals", f"{name}.lab").read_text().splitlines():
        start, _, label = line.split()
        found = re.search(r"~..-(\d+)!\d+\[.*?/E:.*?=(\d+)/4~.*?\|\d+\[\d+&(\d+)\](\d+)=", label)
        if not found:
            continue
        beats, at = int(found[2]), int(found[3])
        bar += last is not None and found[1] == "1" and at <= last  # a new note that is no further in its bar begins another
        last = at
        if label.startswith("v@") and (not places or places[-1][0] != bar * beats + at / 24):
            places.append((bar * beats + at / 24, int(start) / 1e7))
    x, t = np.array(places).T
    whole = np.arange(np.ceil(x[0]), np.floor(x[-1]) + 1)
    times = []
    for b in whole:
        near = np.abs(x - b) <= max(2.0, np.sort(np.abs(x - b))[3])
        slope, offset = np.polyfit(x[near] - b, t[near], 1)
        times.append(offset)
    return {"beats": times, "downbeats": [s for b, s in zip(whole, times) if b % beats == 0]}


def follow(ctx):
    corpus = ctx.need("midi", "pop909")
    ids = [p.name for p in sorted(corpus.iterdir()) if p.name.isdigit() and int(p.name) % 6 == 0]
    everything = []
    for kind, songs in lib_singing.drifting(ctx, ids[:N_DRIFTING]).items():
        rows = []
        for wav, truth in songs:
            report = plan(ctx, wav, "pop")
            figures = lib_beats.figures(truth, report["tempo"], report["beats"], report["downbeats"])
            rows.append((figures["F"], figures["AMLt"], steady(truth)))
        everything += rows
        mean = np.mean(rows, axis=0)
        yield Row("arranging", f"drifting tempo: {kind}", "beats F (70 ms)", len(rows), float(mean[0]), baseline=("steady, best phase", float(mean[2])))
    for name in ("nit_song070_f001_004", "nit_song070_f001_007"):
        truth = nit(ctx, name)
        report = plan(ctx, ctx.need("vocals", f"{name}.flac"), "pop")
        figures = lib_beats.figures(truth, report["tempo"], report["beats"], report["downbeats"])
        yield Row("arranging", f"real singer: {name[-3:]} of NIT", "beats F (70 ms)", len(truth["beats"]), figures["F"],
                  baseline=("steady, best phase", steady(truth)))
        yield Row("arranging", f"real singer: {name[-3:]} of NIT", "beats AMLt", len(truth["beats"]), figures["AMLt"])
    mean = np.mean(everything, axis=0)
    yield Row("arranging", "drifting tempo, all", "beats F (70 ms)", len(everything), float(mean[0]), baseline=("steady, best phase", float(mean[2])))
    yield Row("arranging", "drifting tempo, all", "beats AMLt", len(everything), float(mean[1]))


def starts_right(truth, downbeats):
    """The first downbeat of the report that is not before the singer is one."""
    first = truth["melody"][0][0]
    found = [d for d in downbeats if d > first - 0.1]
    return bool(found) and min(abs(found[0] - d) for d in truth["downbeats"]) < 0.07


def pickups(ctx):
    corpus = ctx.need("midi", "pop909")
    ids = [p.name for p in sorted(corpus.iterdir()) if p.name.isdigit() and int(p.name) % 6 == 0]
    rows = []
    for wav, truth in lib_singing.phrase_from(ctx, ids[-N_PHRASES:]):
        report = plan(ctx, wav, "pop")
        naive = starts_right(truth, [truth["melody"][0][0]])
        rows.append((truth["pickup"] > 0.1, starts_right(truth, report["downbeats"]), naive,
                     lib_beats.figures(truth, report["tempo"], report["beats"], report["downbeats"])["downbeat"]))
    rows = np.array(rows, float)
    up = rows[rows[:, 0] == 1]
    yield Row("arranging", "phrases, wherever they start", "first bar where a bar is", len(rows), float(rows[:, 1].mean()),
              baseline=("first note = downbeat", float(rows[:, 2].mean())))
    yield Row("arranging", "phrases with a pick-up", "first bar where a bar is", len(up), float(up[:, 1].mean()),
              baseline=("first note = downbeat", float(up[:, 2].mean())))
    yield Row("arranging", "phrases, wherever they start", "downbeats F", len(rows), float(np.mean(rows[:, 3])))


def run(ctx):
    songs = songs_of(ctx)
    reports = [(plan(ctx, song, genre), genre) for song, genre in songs]
    yield from promises(ctx, reports)
    yield from leaves_room(reports)
    yield from drums_vary(ctx, reports)
    sung = ctx.render_pop909(MELODIES[:4], 60)
    yield from differ([{g: plan(ctx, wav, g, "--instruments", BAND, "--force") for g in GENRES} for wav, _ in sung.values()])
    yield from human(ctx, MELODIES[:8])
    yield from takes(ctx, songs[:10])
    yield from plans(ctx, songs[:6] + songs[12:14])
    yield from speed(ctx)
    yield from real_singers(ctx)
    yield from follow(ctx)
    yield from pickups(ctx)
