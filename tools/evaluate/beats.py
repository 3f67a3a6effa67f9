"""Tempo, beats, downbeats, beside aubio, a steady 120 a minute and a fixed 4/4.

voice alone    POP909 melodies whose number ends in 7, sung by a sampled voice (render_vocal.py), 60 s each
with drums     tools/render_beats.py --part test, all rendered with TimGM6mb, which training never heard, 40 s each:
               invented songs of another seed; POP909 songs ending in 7 with bass and drums (Groove performances held out, or
               patterns; tempo drifts in three of four); pieces of Freedoom held out (those with drums, in 4/4 or 3/4: what a
               beat is in 7/8 the file does not say); Groove performances held out (the corpus' validation split and two
               drummers). The row "with drums" is the mean over all these songs, each counting once.
real songs     UltraStar note files give a grid, not its metrical level: tempo at any level (1, 2, 3, 4, 1/2, 1/3, 3/2), no floor

Tuned on: POP909 ending in 3, other Freedoom pieces and drummers (--part tune). F, AMLt: mir_eval, 70 ms, from the start of the
recording; Acc1: tempo within 4 %; Acc2: also half, double, a third, three times of it.
"""
import re

import numpy as np

import lib_beats
from common import Missing, Row

KINDS = {"songs": 16, "band": 20, "freedoom": 14, "groove": 20, "waltz": 6}
WITH_DRUMS = ["songs", "band", "freedoom", "groove"]
NAMES = {"songs": "invented songs", "band": "POP909 with bass and drums", "freedoom": "Freedoom bands", "groove": "drums alone",
         "waltz": "waltzes"}
N_VOICES = 32


def steady(seconds):
    beats = np.arange(0, seconds, 0.5)
    return 120.0, beats, beats[::4]


def judge(ctx, path, truth, seconds):
    """Figures of ours, aubio's, a steady 120's, and ours with every fourth beat as a downbeat."""
    report = ctx.listen(path)
    bpm, beats = lib_beats.aubio_beats(path)
    ours = lib_beats.figures(truth, report["tempo"], report["beats"], report["downbeats"])
    return {"ours": ours, "aubio": lib_beats.figures(truth, bpm, beats, beats[::4]),
            "120": lib_beats.figures(truth, *steady(seconds)),
            "4/4": lib_beats.figures(truth, report["tempo"], report["beats"], report["beats"][::4]),
            "confidence": report.get("confidence", {}).get("tempo") if isinstance(report.get("confidence"), dict) else None}


def rows_of(material, songs, floors):
    """floors: by figure."""
    label = {"Acc1": "tempo Acc1", "Acc2": "tempo Acc2", "F": "beats F", "AMLt": "beats AMLt", "downbeat": "downbeats F"}
    for key in ("Acc1", "Acc2", "F", "AMLt", "downbeat"):
        value = {who: lib_beats.mean([s[who] for s in songs], key) for who in ("ours", "aubio", "120", "4/4")}
        baseline = ("4/4", value["4/4"]) if key == "downbeat" else ("120", value["120"])
        peer = None if key == "downbeat" else ("aubio", value["aubio"])
        n = len([s for s in songs if not np.isnan(s["ours"][key])])
        yield Row("beats", material, label[key], n, value["ours"], floors.get(key), peer, baseline, 1.0)


def calibration(songs):
    """Expected calibration error of the tempo's confidence: five bins of equal size."""
    known = [(s["confidence"], s["ours"]["Acc1"]) for s in songs if s["confidence"] is not None]
    if len(known) < 20:
        return None
    bins = np.array_split(np.array(sorted(known)), 5)
    return float(np.average([abs(b[:, 0].mean() - b[:, 1].mean()) for b in bins], weights=[len(b) for b in bins]))


def voices(ctx):
    ids = [p.name for p in sorted(ctx.need("midi", "pop909").iterdir()) if p.name.endswith("7")][:N_VOICES]
    return [judge(ctx, wav, truth, 60) for wav, truth in ctx.render_pop909(ids, 60).values()]


def bands(ctx):
    """{kind: figures of its songs}"""
    out, renderer = ctx.work / "beats", ctx.bin.parent / "tools/render_beats.py"
    done = out / "done"
    if not done.exists() or done.read_text() != repr(KINDS):
        ctx.need("midi", "groove")
        ctx.run("/usr/bin/python3", renderer, ctx.data, out, "--part", "test", "--plain", "--count", ",".join(f"{k}={n}" for k, n in KINDS.items()))
        done.write_text(repr(KINDS))
    return {kind: [judge(ctx, beats.with_suffix(".flac"), lib_beats.read_beats(beats), 40) for beats in sorted(out.glob(f"{kind}_*.beats"))]
            for kind in KINDS}


def ultrastar(ctx):
    """Songs whose note file gives a grid of quarter beats at some level."""
    hits, aubio_hits, n = 0, 0, 0
    for notes in sorted(ctx.need("songs", "mixed").glob("*.notes.txt")):
        bpm = float(re.search(rb"#BPM:([0-9.,]+)", notes.read_bytes()).group(1).replace(b",", b"."))
        song = next((p for p in notes.parent.glob(notes.name.removesuffix(".notes.txt") + ".*") if p.suffix in (".mp3", ".ogg")), None)
        if song:
            n += 1
            for who, found in (("ours", ctx.listen(song)["tempo"]), ("aubio", lib_beats.aubio_beats(song)[0])):
                hit = found > 0 and any(abs(bpm / found / k - 1) < 0.04 for k in (1, 2, 3, 4, 0.5, 1 / 3, 1.5))
                hits, aubio_hits = hits + (hit and who == "ours"), aubio_hits + (hit and who == "aubio")
    if n:
        yield Row("beats", "real songs", "tempo, any level", n, hits / n, None, ("aubio", aubio_hits / n))


def run(ctx):
    alone, played = voices(ctx), bands(ctx)
    yield from rows_of("voice alone", alone, {"Acc2": 0.80, "F": 0.60, "AMLt": 0.65})
    drums = [s for kind in WITH_DRUMS for s in played[kind]]
    yield from rows_of("with drums", drums, {"Acc1": 0.90, "F": 0.93, "downbeat": 0.80})
    for kind, songs in played.items():
        yield from (r for r in rows_of(NAMES[kind], songs, {}) if r.metric in ("tempo Acc1", "beats F", "downbeats F"))
    error = calibration(alone + drums)
    if error is not None:
        yield Row("beats", "all of these", "confidence of tempo, ECE", len(alone) + len(drums), error, lower_is_better=True)
    try:
        yield from ultrastar(ctx)
    except Missing:
        pass  # no floor stands on them
