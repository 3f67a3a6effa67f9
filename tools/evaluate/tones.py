"""Which instrument is a tone, what is a stem for, and the support vector machine itself.

Tones: FluidR3 and MuseScore_General rendered by bin/render_tones, and the recorded notes of DATA/notes, a folder for every library
they come from (MANIFEST.tsv); those of DATA/notes that are renderings of FluidR3 are left out. Instruments of which DATA/notes has a
single tone are judged from short solo performances too (DATA/phrases, cut at their onsets), the voice from solo singing. What may not be
used commercially is judged and helps to judge others here, but no shipped weight has seen it. MuseScore_General's piano is SplendidGrandPiano: the two count as one source. bin/train_tone_detector judges every
source by a machine that learned from all others, and every fourth pitch by one that learned from the other pitches. The
features were designed with the same recordings in view, so expect a little less on others.

Roles: stems of songs and of POP909 that were not among those the role rule was fitted to, in a sound font nothing was trained
on (lib_roles.py).
"""
import csv
import json
import os
import shutil
import subprocess
import sys
import warnings

import numpy as np

from common import Row
import lib_roles
import lib_svm

TASK = "tones"
FONTS = {"fluidr3": "/usr/share/sounds/sf2/FluidR3_GM.sf2", "musescore": "/usr/share/sounds/sf3/MuseScore_General_Lite.sf3"}
TEST_FONT = "/usr/share/sounds/sf2/TimGM6mb.sf2"
MFCC = slice(0, 12)
POP909 = [f"{i:03d}" for i in range(501, 507)]  # the rule was fitted to 100..111
FOLDERS = {"alto_sax": "saxophone", "electric_bass": "bass"}
PHRASES = {"librosa_solo_trumpet": "trumpet", "sms_cello-phrase": "cello", "sms_cello-double-2": "cello", "sms_piano": "piano",
           "sms_sax-phrase-short": "saxophone"}
SINGERS = 12  # recordings of singing from each collection, spread over it
MIDI_FAMILY = {"guitar": ("electric guitar", "acoustic guitar"), "piano": ("piano", "electric piano")}


def dataset(ctx):
    """A folder of sources, each a font or a library of recorded notes."""
    root = ctx.work / "tones"
    for name, font in FONTS.items():
        if not (root / name).exists():
            ctx.run(ctx.program("render_tones"), root / (name + ".part"), "--quiet", "--soundfont", font)
            (root / (name + ".part")).rename(root / name)
    with open(ctx.need("MANIFEST.tsv")) as manifest:
        rows = list(csv.DictReader(manifest, delimiter="\t"))
    singing = {}
    for row in rows:
        if row["path"].startswith("vocals/") and row["path"].endswith(".flac"):
            singing.setdefault(row["source repository"], []).append(row["path"])
    singers = {path for paths in singing.values() for path in paths[::-(-len(paths) // SINGERS)]}
    for row in rows:
        source, where = row["source repository"], ctx.data / row["path"]
        kind, name = row["path"].split("/")[:2]
        instrument = (name if kind == "notes" else PHRASES.get(where.stem) if kind == "phrases" else
                      "voice" if row["path"] in singers else None)
        if not instrument or "marmooo" in source:
            continue
        link = root / source.split("/")[-1] / FOLDERS.get(instrument, instrument) / where.name
        if not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(where)
    for piano in (root / "musescore").glob("piano-*"):
        if not (root / "SplendidGrandPiano" / piano.name).exists():
            shutil.move(piano, root / "SplendidGrandPiano" / piano.name)
    return root


def judged(ctx):
    """What bin/train_tone_detector says of rows it never heard; made again when the program or its config changes."""
    import h5py
    out = ctx.work / "tones_judged"
    path, program = out / "tone_detector.judged.h5", ctx.program("train_tone_detector")
    if not path.exists() or path.stat().st_mtime < program.stat().st_mtime:
        root = dataset(ctx)
        out.mkdir(exist_ok=True)
        ctx.run(program, "--config", "configs/tone_detector.ini", root, "--out", out, "--quiet", "--set", "tone_detector.leave_one_source_out=yes")
    with h5py.File(path) as f:
        text = lambda name: [t.decode() if isinstance(t, bytes) else t for t in f.attrs[name]]
        numbers = f["class_source_pitch_copy_annotated"][:]
        return dict(zip(("class", "source", "pitch", "copy", "rendered"), numbers.T), sources=text("sources"), classes=text("classes"),
                    features=f["features"][:], by_source=f["by_source"][:], by_pitch=f["by_pitch"][:])


def recall(truth, guess):
    return float(np.mean([(guess[truth == c] == c).mean() for c in np.unique(truth)]))


def brier(truth, p):
    return float(((p - np.eye(p.shape[1])[truth]) ** 2).sum(1).mean())


def calibration_error(truth, p):
    """Expected calibration error, ten bins of the largest probability."""
    sure, right = p.max(1), p.argmax(1) == truth
    bins = np.minimum((sure * 10).astype(int), 9)
    return float(sum(abs((sure - right)[bins == b].sum()) for b in range(10)) / len(truth))


def peer(d, columns, folds, tested):
    """Mean recall of scikit-learn's SVC on the same rows and folds."""
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC
    guess, use = np.full(len(d["class"]), -1), (d["class"] >= 0) & (d["copy"] == 0)
    for k in np.unique(folds[tested]):
        learn, test = use & (folds != k), tested & (folds == k)
        scale = StandardScaler().fit(d["features"][learn][:, columns])
        model = SVC(C=10, class_weight="balanced").fit(scale.transform(d["features"][learn][:, columns]), d["class"][learn])
        guess[test] = model.predict(scale.transform(d["features"][test][:, columns]))
    return recall(d["class"][tested], guess[tested])


def detector_rows(ctx):
    d = judged(ctx)
    fonts = [d["sources"].index(name) for name in FONTS]
    real = ~np.isin(d["source"], fonts) & (d["rendered"] == 0)
    own = (d["class"] >= 0) & (d["copy"] == 0)
    single = np.isin(d["class"], [c for c in np.unique(d["class"][own & real]) if (own & real & (d["class"] == c)).sum() < 5])
    for material, p, keep, folds, floor in (
            ("unseen pitches of known sources", d["by_pitch"], own, np.where(d["pitch"] % 4 == 1, 0, -1), 0.92),
            ("real recordings, source never trained on", d["by_source"], own & real & ~single, d["source"], 0.65)):
        tested = keep & ~np.isnan(p[:, 0])
        truth, q = d["class"][tested], p[tested]
        n = int(tested.sum())
        material += f", {len(np.unique(truth))} classes"
        yield Row(TASK, material, "balanced accuracy", n, recall(truth, q.argmax(1)), floor,
                  peer=("sklearn SVC", peer(d, slice(None), folds, tested)),
                  baseline=[("MFCC alone", peer(d, MFCC, folds, tested)), ("majority", 1 / len(np.unique(truth)))])
        if floor == 0.65:  # of some instruments there are one to four recorded tones, which say little
            tested = own & real & ~np.isnan(p[:, 0])
            truth_all = d["class"][tested]
            yield Row(TASK, f"the same with {len(np.unique(truth_all[single[tested]]))} classes of fewer than five tones", "balanced accuracy",
                      int(tested.sum()), recall(truth_all, p[tested].argmax(1)))
        yield Row(TASK, material, "Brier score", n, brier(truth, q), lower_is_better=True,
                  baseline=("all alike", brier(truth, np.full_like(q, 1 / q.shape[1]))))
        yield Row(TASK, material, "calibration error", n, calibration_error(truth, q), lower_is_better=True)
    # Not independent recordings: MuseScore_General has some of FluidR3's samples.
    for font in fonts:
        tested = own & (d["source"] == font) & ~np.isnan(d["by_source"][:, 0])
        truth = d["class"][tested]
        yield Row(TASK, f"{d['sources'][font]} by what learned from the other sources, {len(np.unique(truth))} classes", "balanced accuracy",
                  len(truth), recall(truth, d["by_source"][tested].argmax(1)), baseline=("majority", 1 / len(np.unique(truth))))


def role_rows(ctx):
    detector = lib_roles.Detector(ctx.model / "tone_detector.h5")
    stems = [(path, kind, what) for path, kind, what in
             lib_roles.pop909_stems(ctx.need("midi", "pop909"), POP909, TEST_FONT, ctx.work / "roles_pop909")]
    for song in ctx.render_songs("roles_songs", "--songs", 10, "--seconds", 12, "--seed", 4711, "--soundfont", TEST_FONT):
        parts = {}
        for part in json.loads((song / "truth.json").read_text())["parts"]:
            parts.setdefault(part["stem"], set()).add((lib_roles.KINDS[part["role"]], part["instrument"], part["role"]))
        # A stem that plays two roles has no single answer; the voice is no part of the band.
        stems += [(song / f"{stem}.flac", *list(p)[0][:2]) for stem, p in parts.items() if len(p) == 1 and list(p)[0][2] != "vocals"]
    kinds, guessed, named, n_named = [], [], 0, 0
    for path, kind, what in stems:
        try:
            instrument, role, _ = detector.track(path)
        except RuntimeError:
            continue  # silent: the part rests in this song
        kinds.append(kind)
        guessed.append(role)
        n_named += 1
        named += instrument in MIDI_FAMILY.get(what, (what,))
    kinds, guessed = np.array(kinds), np.array(guessed)
    majority = max((kinds == k).mean() for k in np.unique(kinds))
    yield Row(TASK, "roles of stems from audio alone, TimGM6mb", "accuracy", len(kinds), float((kinds == guessed).mean()), 0.80,
              baseline=("majority", float(majority)))
    yield Row(TASK, "roles of stems from audio alone, TimGM6mb", "balanced accuracy", len(kinds),
              float(np.mean([(guessed[kinds == k] == k).mean() for k in np.unique(kinds)])), baseline=("chance", 1 / len(np.unique(kinds))))
    yield Row(TASK, "instruments of the same stems", "accuracy", n_named, named / n_named)


def machine_rows():
    yield Row(TASK, "svm, 2500 x 60, 8 classes", "largest difference of decisions from libsvm's", 2000, lib_svm.largest_difference(),
              1e-6, lower_is_better=True)
    for threads in (1, 2):
        lines = subprocess.run([sys.executable, lib_svm.__file__], env=os.environ | {"OMP_NUM_THREADS": str(threads)}, check=True,
                               capture_output=True, text=True).stdout.splitlines()
        for line in map(json.loads, lines):
            yield Row(TASK, f"{line['what']}, 10,000 x 60, 8 classes, threads: {threads}", "times libsvm's speed", 3, line["ratio"], 1.0,
                      peer=[("libsvm s", line["libsvm_s"]), ("ours s", line["ours_s"])])


def run(ctx):
    warnings.filterwarnings("ignore", category=FutureWarning)
    yield from machine_rows()
    yield from role_rows(ctx)
    yield from detector_rows(ctx)
