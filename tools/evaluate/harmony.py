"""Key and chords, from a voice alone and from a mix, by bin/listen as a user runs it: with the voice separated and the beats heard.

Sung melodies: every fourth of POP909's songs whose number is a multiple of six, a minute each; no table was counted on them.
Mixes, 40 s and 30 s each: other songs of that part of POP909, arranged by tools/render_arrangements.py ("plain": as the corpus has them,
with a voice and drums; "band": with other instruments, a bass, pads, strummed or power chords, detuned by up to 45 cents); songs
that tools/render_dataset invents in all its genres. All mixes are played by TimGM6mb, which nothing was trained on. The seeds and
numbers of the songs that the decoder and the weights of the key were tuned on are not among them.

Floors hold for the mean over the three kinds of mixes. Baselines: Krumhansl's probe-tone profiles, and triads as templates for
chroma frames, nothing smoothed. Ceiling: the same decoder on the true notes, matched with templates, at the true beats.
"""
import json
import pathlib

import mir_eval
import numpy as np
import soundfile

import lib_audio
import lib_chords
from common import Row

SOUND_FONT = "/usr/share/sounds/sf2/TimGM6mb.sf2"
PLAIN = ["024", "078", "138", "198", "258", "318", "378", "438"]
BAND = ["030", "084", "144", "204", "264", "324", "384", "444"]
HOP_S = 0.1
TOOLS = pathlib.Path(__file__).resolve().parent.parent


def arrangements(ctx, style, ids, seed):
    out = ctx.work / f"arrangements_{style}"
    if not all((out / f"{i}-{seed}" / "truth.json").exists() for i in ids):
        ctx.run("/usr/bin/python3", TOOLS / "render_arrangements.py", out, "--data", ctx.data, "--soundfont", SOUND_FONT,
                "--seed", seed, "--style", style, "--ids", *ids)
    return [out / f"{i}-{seed}" for i in ids]


def chroma_of(path):
    x, rate = soundfile.read(path)
    x = x if x.ndim == 1 else x.mean(1)
    hop = round(HOP_S * rate)
    chroma = lib_audio.features(x, rate, which=1 << 3, n_fft=8192, hop_length=hop)["chroma"]
    return chroma, hop / rate, len(x) / rate


def measure_mix(ctx, folder):
    """{key: [ours, Krumhansl, ceiling], chords: [ours, templates, ceiling] x metrics, sure: (confidence, right, seconds) rows}"""
    truth = json.loads((folder / "truth.json").read_text())
    report = ctx.listen(folder / "mixture.flac")
    chroma, hop_s, seconds = chroma_of(folder / "mixture.flac")
    notes = lib_chords.midi_chroma(folder / "song.mid", HOP_S, seconds)
    unit = notes / (np.linalg.norm(notes, axis=0) + 1e-9)
    likeness = 20 * (lib_chords.templates() @ unit)
    log_p = likeness - np.log(np.exp(likeness).sum(0))
    ours = lib_chords.spans_of(report)
    chords = [lib_chords.scores(truth["chords"], *ours),
              lib_chords.scores(truth["chords"], *lib_chords.frame_spans(lib_chords.template_frames(chroma, 24), hop_s, seconds)),
              lib_chords.scores(truth["chords"], *lib_chords.decode(log_p.T, HOP_S, truth["beats"], truth["downbeats"], seconds))]
    keys = [lib_chords.key_score(truth["key"], k) for k in
            (report["key"], lib_chords.krumhansl(chroma.mean(1)), lib_chords.krumhansl(notes.sum(1)))]
    sure = []
    for (start, end), label, span in zip(*ours, report["chords"]):
        played = next((c for s, e, c in truth["chords"] if s <= (start + end) / 2 < e), "X")
        right = mir_eval.chord.majmin([played], [label])[0]
        if right >= 0:  # neither major nor minor counts neither way
            sure.append((span.get("confidence", 0), right, end - start))
    return keys, np.array(chords), sure


def melodies(ctx):
    corpus = ctx.need("midi", "pop909")
    ids = [p.name for p in sorted(corpus.iterdir()) if p.name.isdigit() and int(p.name) % 6 == 0][::4]
    scores = []
    for wav, truth in ctx.render_pop909(ids).values():
        profile = np.zeros(12)
        for start, end, pitch, _ in truth["melody"]:
            profile[pitch % 12] += end - start
        report = ctx.listen(wav)
        scores.append([lib_chords.key_score(truth["key"], k) for k in (report["key"], lib_chords.krumhansl(profile), "C major")])
    return ids, [float(v) for v in np.mean(scores, axis=0)]


def run(ctx):
    ids, (ours, profile, always_c) = melodies(ctx)
    yield Row("key", "voice alone, POP909", "mir_eval weighted", len(ids), ours, 0.75, baseline=[("Krumhansl, true notes", profile),
                                                                                               ("always C", always_c)])
    kinds = {"mix, POP909 as written": arrangements(ctx, "plain", PLAIN, 70), "mix, POP909 with a band": arrangements(ctx, "varied", BAND, 71),
             "mix, invented songs": ctx.render_songs("harmony_songs", "--songs", 10, "--seed", 77, "--seconds", 30, "--soundfont", SOUND_FONT,
                                                     "--genres", "rock,pop,jazz,classical,blues,country,reggae,disco,metal,hip-hop")}
    found = {name: [measure_mix(ctx, folder) for folder in folders] for name, folders in kinds.items()}
    n = sum(len(f) for f in found.values())
    keys = {name: np.mean([f[0] for f in songs], axis=0) for name, songs in found.items()}
    chords = {name: np.mean([f[1] for f in songs], axis=0) for name, songs in found.items()}

    def row(task, material, metric, count, values, floor=None):
        baseline = "Krumhansl, chroma" if task == "key" else "templates"
        values = [float(v) for v in values]
        return Row(task, material, metric, count, values[0], floor, baseline=(baseline, values[1]),
                   ceiling=("Krumhansl, true notes" if task == "key" else "true notes", values[2]))

    yield row("key", "mix, mean of three kinds", "mir_eval weighted", n, np.mean(list(keys.values()), axis=0), 0.85)
    for name, values in keys.items():
        yield row("key", name, "mir_eval weighted", len(found[name]), values)
    mean = np.mean(list(chords.values()), axis=0)
    yield row("chords", "mix, mean of three kinds", "majmin overlap", n, mean[:, 0], 0.75)
    for name, values in chords.items():
        yield row("chords", name, "majmin overlap", len(found[name]), values[:, 0])
    yield row("chords", "mix, mean of three kinds", "root overlap", n, mean[:, 1])
    yield row("chords", "mix, mean of three kinds", "sevenths overlap", n, mean[:, 2])
    sure = np.array([s for songs in found.values() for f in songs for s in f[2]])
    bins = np.minimum((10 * sure[:, 0]).astype(int), 9)
    error = sum(abs(np.average(sure[bins == b, 0] - sure[bins == b, 1], weights=sure[bins == b, 2])) * sure[bins == b, 2].sum()
                for b in set(bins)) / sure[:, 2].sum()
    yield Row("chords", "mix, all songs", "error of confidence", len(sure), float(error), lower_is_better=True)
