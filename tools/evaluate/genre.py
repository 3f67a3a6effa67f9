"""Genre and instruments of a song: bin/classify on songs that it never heard.

Reported: 60 songs of tools/render_dataset by another seed, played with a sound font that no model was trained on
(TimGM6mb), 30 more with the font of half the training songs, bare voices, and real mixes. For tuning other songs of the
same generator were used (seed 7001 with TimGM6mb, 20 songs); no recording reported here was trained on. The baselines
learn from 60 of the training songs: the commonest answer, and the three nearest songs by MFCC (mean and deviation).
"""
import json
import pathlib

import numpy as np
import scipy.fft
import soundfile
from sklearn.neighbors import KNeighborsClassifier

from common import Missing, Row

OTHER_FONTS = ["/usr/share/sounds/sf2/TimGM6mb.sf2", "/usr/share/soundfonts/TimGM6mb.sf2"]
STEMS = {"drums": "drums", "bass": "bass", "bassguitar": "bass", "vocals_lead": "voice", "vocals_backing": "voice",
         "clav": "clavinet", "horns": "brass", "leadguitar": "electric guitar"}
REAL = ["stems_7.Francium", "stems_mdn_multitrack"]  # of stems_2.Lithium and stems_4.Potassium the classifier has learned
MIXED = {"Code_Monkey": ["rock"], "On_the_run": ["rock"], "Can_t_stop": ["rock"], "Incub": ["rock", "metal"],
         "Chiron_Beta": ["rock", "pop"], "Better": ["rock", "pop", "country"], "Flickr": ["pop", "rock", "country"],
         "Sugar_Plum": ["classical"], "Vibe_Ace": ["jazz"], "Distant_Realms": ["classical"]}


# ---- what is true ----

def truth_of(folder):
    truth = json.loads((folder / "truth.json").read_text())
    names = {"voice" if p["stem"] == "vocals" else p["instrument"] for p in truth["parts"]}
    return truth["genre"], names


# ---- what is heard ----

def classify(ctx, paths):
    """The JSON line of each recording."""
    lines = ctx.run(ctx.program("classify"), "--model", ctx.model, *paths).splitlines()
    return [json.loads(line) for line in lines]


def top(heard):
    return max(heard["genre"], key=heard["genre"].get)


def named(heard):
    return {name for name, p in heard["instruments"].items() if p > 0.5}


def f1(found, true):
    hits = sum(len(f & t) for f, t in zip(found, true))
    return 2 * hits / max(1, sum(map(len, found)) + sum(map(len, true)))


def calibration_error(confidence, right, bins=10):
    """Expected calibration error, bins of equal width (Guo et al. 2017)."""
    confidence, right = np.array(confidence), np.array(right, float)
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    return sum(abs(confidence[which == b].mean() - right[which == b].mean()) * (which == b).mean()
               for b in range(bins) if (which == b).any())


# ---- baselines ----

def mfcc(path, n_fft=2048, n_mels=40, n_mfcc=20):
    x, rate = soundfile.read(path, dtype="float32", always_2d=True)
    x = x.mean(1)
    frames = np.lib.stride_tricks.sliding_window_view(x, n_fft)[::n_fft] * np.hanning(n_fft).astype("f")
    power = np.abs(scipy.fft.rfft(frames, axis=1)) ** 2
    mel = np.linspace(0, 2595 * np.log10(1 + 11025 / 700), n_mels + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    hz = np.arange(power.shape[1]) * rate / n_fft
    up = (hz[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - hz[None]) / (edges[2:] - edges[1:-1])[:, None]
    bands = power @ np.maximum(0, np.minimum(up, down)).T
    c = scipy.fft.dct(np.log(bands + 1e-6), axis=1, norm="ortho")[:, :n_mfcc]
    return np.concatenate([c.mean(0), c.std(0)])


class Nearest:
    def __init__(self, folders):
        self.truth = [truth_of(f) for f in folders]
        rows = np.array([mfcc(f / "mixture.flac") for f in folders])
        self.mean, self.deviation = rows.mean(0), rows.std(0) + 1e-9
        self.names = sorted(set.union(*(t[1] for t in self.truth)))
        labels = np.array([[n in t[1] for n in self.names] for t in self.truth], int)
        rows = (rows - self.mean) / self.deviation
        self.genre = KNeighborsClassifier(3).fit(rows, [t[0] for t in self.truth])
        self.instruments = KNeighborsClassifier(3).fit(rows, labels)
        self.common = {n for n, share in zip(self.names, labels.mean(0)) if share > 0.5}
        self.commonest = max(sorted({t[0] for t in self.truth}), key=[t[0] for t in self.truth].count)

    def predict(self, folders):
        rows = (np.array([mfcc(f / "mixture.flac") for f in folders]) - self.mean) / self.deviation
        return (list(self.genre.predict(rows)),
                [{n for n, yes in zip(self.names, row) if yes} for row in self.instruments.predict(rows)])


# ---- rows ----

def song_rows(ctx, material, folders, nearest, floors):
    heard = classify(ctx, [f / "mixture.flac" for f in folders])
    truth = [truth_of(f) for f in folders]
    genres, instruments = nearest.predict(folders)
    right = [top(h) == t[0] for h, t in zip(heard, truth)]
    n = len(folders)
    yield Row("genre", material, "accuracy", n, float(np.mean(right)), floors[0],
              peer=("k-NN on MFCC", float(np.mean([g == t[0] for g, t in zip(genres, truth)]))),
              baseline=("majority", float(np.mean([nearest.commonest == t[0] for t in truth]))))
    yield Row("genre", material, "instruments F1", n, f1([named(h) for h in heard], [t[1] for t in truth]), floors[1],
              peer=("k-NN on MFCC", f1(instruments, [t[1] for t in truth])),
              baseline=("majority", f1([nearest.common] * n, [t[1] for t in truth])))
    yield Row("genre", material, "calibration error", n,
              calibration_error([h["genre"][top(h)] for h in heard], right), lower_is_better=True,
              baseline=("always sure", 1 - float(np.mean(right))))
    yield Row("genre", material, "times real time", n, sum(h["duration"] for h in heard) / sum(h["seconds"] for h in heard))


def voice_rows(ctx, material, paths):
    heard = classify(ctx, paths)
    n = len(heard)
    chance = 1 / len(heard[0]["genre"])
    yield Row("genre", material, "mean top probability", n, float(np.mean([h["genre"][top(h)] for h in heard])),
              lower_is_better=True, baseline=("knows nothing", chance))
    yield Row("genre", material, "share above 0.5", n, float(np.mean([h["genre"][top(h)] > 0.5 for h in heard])), lower_is_better=True)
    yield Row("genre", material, "false instruments each", n, float(np.mean([len(named(h) - {"voice"}) for h in heard])),
              lower_is_better=True)
    yield Row("genre", material, "hears the voice", n, float(np.mean(["voice" in named(h) for h in heard])))


def sum_stems(folder, out):
    """The mix of a folder of stems as one file."""
    if not out.exists():
        parts = [soundfile.read(f, dtype="float32", always_2d=True) for f in sorted(folder.iterdir()) if f.suffix in (".flac", ".mp3")]
        mix = np.zeros((max(len(x) for x, _ in parts), 1), "f")
        for x, _ in parts:
            mix[:len(x)] += x.mean(1, keepdims=True)
        soundfile.write(out, mix / max(1, np.abs(mix).max()), parts[0][1], subtype="PCM_16")
    return out


def real_rows(ctx):
    folders = [ctx.need("songs", name) for name in REAL]
    heard = classify(ctx, [sum_stems(f, ctx.work / f"mix_{f.name}.wav") for f in folders])
    found, true = [], []
    for folder, h in zip(folders, heard):
        stems = {f.stem for f in folder.iterdir() if f.suffix in (".flac", ".mp3")}
        known = {STEMS[s] for s in stems if s in STEMS} & h["instruments"].keys()
        anything = "other" in stems  # a stem of who knows what: only what is known can be judged
        found.append(named(h) & known if anything else named(h))
        true.append(known)
    yield Row("genre", "real stems, mixed", "instruments F1", len(folders), f1(found, true))
    songs = {path: genres for part, genres in MIXED.items() for path in sorted(ctx.need("songs", "mixed").glob(f"*{part}*"))
             if path.suffix in (".mp3", ".ogg")}
    heard = classify(ctx, list(songs))
    yield Row("genre", "real mixes", "accuracy", len(songs), float(np.mean([top(h) in g for h, g in zip(heard, songs.values())])),
              baseline=("always rock", float(np.mean(["rock" in g for g in songs.values()]))))
    yield Row("genre", "real mixes", "mean top probability", len(songs), float(np.mean([h["genre"][top(h)] for h in heard])))


def run(ctx):
    font = next((f for f in OTHER_FONTS if pathlib.Path(f).exists()), None)
    if not font:
        raise Missing("TimGM6mb.sf2 (Debian's timgm6mb-soundfont)")
    other = ctx.render_songs("genre_other_font", "--songs", 60, "--seed", 9001, "--soundfont", font)
    same = ctx.render_songs("genre_same_font", "--songs", 30, "--seed", 9002)
    nearest = Nearest(ctx.render_songs("genre_train", "--songs", 60, "--seed", 101))
    yield from song_rows(ctx, "another sound font", other, nearest, (0.75, 0.80))
    yield from song_rows(ctx, "a font trained on", same, nearest, (None, None))
    voices = ctx.need("vocals")
    yield from voice_rows(ctx, "bare real voices", [voices / "vocadito_1.flac", voices / "nit_song070_f001_007.flac",
                                                    *sorted((voices / "gtsinger").rglob("*.flac"))])
    yield from voice_rows(ctx, "bare rendered voices", [f / "vocals.flac" for f in other])
    yield from real_rows(ctx)
