"""The song's form: sections that return, and the singer's phrases.

Sections are judged as mir_eval does: boundaries within 0.5 s and 3 s (the trivial first and last left out), and pairwise F of
frames that share a label. The truth are songs of tools/render_dataset that were not used to choose the weights of
audio/structure.c (those were seeds 5 and 77): each as a mix and as the voice alone; beats and bars are found, not given. Beside
them a cut every eight bars of the true bars, each with a label of its own: most of these sections have eight bars, but a cut
knows neither where the first begins nor what returns. Real mixes have no annotated form here; where a line of lyrics returns
(UltraStar files), music returns, and the section's label should.

Phrases: rests of 0.6 s in the true notes of POP909 melodies, starts and ends found within 0.2 s; beside phrases of four bars.
"""
import itertools
import json

import mir_eval
import numpy as np

from common import Missing, Row

MELODIES = slice(-8, None)  # of the folder, in order


def scores(ref, ref_labels, est, est_labels):
    end = ref[-1, 1]
    ref, ref_labels = mir_eval.util.adjust_intervals(ref, ref_labels, t_min=0.0)
    est, est_labels = mir_eval.util.adjust_intervals(est, est_labels, t_min=0.0, t_max=end)
    hit = [mir_eval.segment.detection(ref, est, window=w, trim=True)[2] for w in (0.5, 3)]
    return hit + [mir_eval.segment.pairwise(ref, ref_labels, est, est_labels)[2]]


def intervals(starts, end):
    starts = [s for s in starts if s < end - 0.1]
    return np.array(list(zip(starts, starts[1:] + [end])))


def rendered(ctx, stem):
    ours, fixed = [], []
    for song in ctx.render_songs("structure", "--songs", "10", "--seconds", "120", "--seed", "909", "--threads", "2"):
        truth = json.loads((song / "truth.json").read_text())
        report = ctx.listen(song / f"{stem}.flac")
        end = report["song"]["duration"]
        ref, labels = intervals([s[0] for s in truth["sections"]], end), [s[1] for s in truth["sections"]]
        found = report["sections"]
        ours.append(scores(ref, labels[:len(ref)], np.array([[s["start"], s["end"]] for s in found]), [s["label"] for s in found]))
        every8 = intervals(([] if truth["downbeats"][0] <= 0 else [0.0]) + truth["downbeats"][::8], end)
        fixed.append(scores(ref, labels[:len(ref)], every8, [str(i) for i in range(len(every8))]))
    return np.mean(ours, 0), np.mean(fixed, 0), len(ours)


def phrases_of(notes, rest=0.6):
    out = []
    for onset, offset in sorted((n["onset"], n["offset"]) if isinstance(n, dict) else (n[0], n[1]) for n in notes):
        if out and onset - out[-1][1] < rest:
            out[-1][1] = max(out[-1][1], offset)
        else:
            out.append([onset, offset])
    return np.array(out)


def f_measure(true, found, window=0.2):
    if not len(true) or not len(found):
        return 0.0
    hits = len(mir_eval.util.match_events(np.array(true), np.array(found), window))
    return 2 * hits / (len(true) + len(found))


def melodies(ctx):
    starts, ends, fixed = [], [], []
    ids = sorted(p.name for p in ctx.need("midi", "pop909").iterdir() if p.is_dir())[MELODIES]
    for wav, truth in ctx.render_pop909(ids).values():
        report, true = ctx.listen(wav), phrases_of(truth["melody"])
        found = np.array([[p["start"], p["end"]] for p in report["phrases"]]).reshape(-1, 2)
        starts.append(f_measure(true[:, 0], found[:, 0]))
        ends.append(f_measure(true[:, 1], found[:, 1]))
        fixed.append(f_measure(true[:, 0], truth["downbeats"][::4]))
    return np.mean(starts), np.mean(ends), np.mean(fixed), len(starts)


def sung_lines(path):
    """[start s, end s, text] of an UltraStar file's lines."""
    head, lines, now, times = {}, [], "", []
    for row in path.read_text(errors="replace").splitlines():
        if row.startswith("#") and ":" in row:
            key, value = row[1:].split(":", 1)
            head[key.upper()] = value.strip()
        elif row[:1] in ":*F":
            _, start, length, _, text = (row.split(" ", 4) + [""])[:5]
            times += [int(start), int(start) + int(length)]
            now += text
        elif row[:1] in "-E" and times:
            lines.append([times[0], times[-1], "".join(c for c in now.lower() if c.isalpha())])
            now, times = "", []
    beat = 15 / float(head["BPM"].replace(",", "."))
    gap = float(head.get("GAP", "0").replace(",", ".")) / 1000
    return [[gap + a * beat, gap + b * beat, text] for a, b, text in lines]


def lyrics(ctx):
    """Of pairs of sung lines with the same words, the share in sections of one label; the same of pairs with other words."""
    same, other, songs = [], [], 0
    for notes in sorted(ctx.need("songs", "mixed").glob("*.notes.txt")):
        audio = next((p for p in notes.parent.glob(notes.name[:-len(".notes.txt")] + ".*") if p.suffix in (".mp3", ".ogg")), None)
        if not audio:
            continue
        report = ctx.listen(audio)
        lines = [x for x in sung_lines(notes) if x[1] < report["song"]["duration"] and len(x[2]) > 8]

        def label(line):
            middle = (line[0] + line[1]) / 2
            return next((s["label"] for s in report["sections"] if s["start"] <= middle < s["end"]), None)

        pairs = list(itertools.combinations(lines, 2))
        far = [(a, b) for a, b in pairs if b[0] - a[0] > 12]
        if not any(a[2] == b[2] for a, b in far):
            continue
        songs += 1
        same += [label(a) == label(b) for a, b in far if a[2] == b[2]]
        other += [label(a) == label(b) for a, b in far if a[2] != b[2]]
    if not same:
        raise Missing("no lyrics with lines that return")
    return np.mean(same), np.mean(other), songs


def run(ctx):
    for stem, name in (("mixture", "rendered songs, mix"), ("vocals", "rendered songs, voice alone")):
        ours, fixed, n = rendered(ctx, stem)
        for i, metric in enumerate(("boundaries F, 0.5 s", "boundaries F, 3 s", "same label, pairwise F")):
            yield Row("structure", name, metric, n, ours[i], baseline=("every 8 bars", fixed[i]))
    try:
        same, other, n = lyrics(ctx)
        yield Row("structure", "real mixes", "lines that return share a label", n, same, baseline=("other lines", other))
    except Missing:
        pass
    starts, ends, fixed, n = melodies(ctx)
    yield Row("structure", "POP909 melodies", "phrase starts F, 0.2 s", n, starts, baseline=("every 4 bars", fixed))
    yield Row("structure", "POP909 melodies", "phrase ends F, 0.2 s", n, ends)
