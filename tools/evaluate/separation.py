"""Separation of a song into voice and rest: SDR by BSS eval (mir_eval), 30 s each, mono.

Real stems     songs/stems_*: vocals_* are the voice, all other stems the rest, their sum the song. The shipped separator was
               trained without them (tools/separation_set.sh with all three held out); which training materials help was
               judged on them.
Real voices    GTSinger's solo singers over recordings without a singer, 6 dB under them. Neither is in the separator's
               training set (their licences forbid it), nor was anything tuned on them.
Rendered       render_dataset songs by a sound font and a seed that training does not use, sung by its choir-like voice.

Peers          harmonic-percussive separation (Fitzgerald 2010; librosa.decompose.hpss's medians; the harmonic part is the voice),
               REPET-SIM (Rafii & Pardo 2012; as librosa's vocal separation example: median over the most similar frames,
               Wiener masks). Ceiling: the ratio mask |V| / (|V| + |R|) from the true parts. The mixture itself as its own
               voice is the baseline "mix".
"""
import os
import tempfile

import mir_eval
import numpy as np
import soundfile
from scipy.ndimage import median_filter
from scipy.signal import istft, resample_poly, stft

from common import Row

SECONDS = 30
SINGERS = ["DE-Tenor-1", "EN-Alto-2", "IT-Soprano-1", "KO-Soprano-1", "ZH-Alto-1"]
BANDS = ["Kevin_MacLeod_-_Vibe_Ace.ogg", "Kevin_MacLeod_-_P_I_Tchaikovsky_Dance_of_the_Sugar_Plum_Fairy.ogg",
         "admiralbob77_-_Choice_-_Drum-bass.ogg", "ancientbeast_Distant_Realms_by_Moonthief.ogg", "ancientbeast_Incub_by_byrum.ogg"]
UNDER_DB = -6


def read(path, rate=None):
    x, own = soundfile.read(path, always_2d=True)
    x = x.mean(1)
    if rate and own != rate:
        g = np.gcd(own, rate)
        x = resample_poly(x, rate // g, own // g)
    return x, rate or own


def spectra(x, n=2048):
    return stft(x, nperseg=n, noverlap=3 * n // 4)[2]


def wave(spectrum, length, n=2048):
    x = istft(spectrum, nperseg=n, noverlap=3 * n // 4)[1]
    return np.pad(x, (0, max(0, length - len(x))))[:length]


def hpss(mix):
    z = spectra(mix)
    s = np.abs(z)
    harmonic, percussive = median_filter(s, (1, 31)) ** 2, median_filter(s, (31, 1)) ** 2
    return wave(z * harmonic / (harmonic + percussive + 1e-20), len(mix))


def repet(mix, rate):
    z = spectra(mix)
    s = np.abs(z)
    unit = s / (np.linalg.norm(s, axis=0, keepdims=True) + 1e-12)
    likeness = unit.T @ unit
    n, apart = likeness.shape[0], int(2 * rate / 512)  # not the frame's own neighbourhood
    t = np.arange(n)
    likeness[np.abs(t[:, None] - t[None, :]) < apart] = -1
    k = max(1, int(2 * np.ceil(np.sqrt(n))) // 2)
    nearest = np.argpartition(-likeness, k, axis=1)[:, :k]
    background = np.stack([np.median(s[:, i], axis=1) for i in nearest], axis=1)
    background = np.minimum(s, background)
    front = s - background
    voice, rest = front ** 2, (10 * background) ** 2
    mask = voice / (voice + rest + 1e-20)
    return wave(z * mask, len(mix))


def oracle(voice, rest):
    v, r = spectra(voice, 4096), spectra(rest, 4096)
    mask = np.abs(v) / (np.abs(v) + np.abs(r) + 1e-20)
    return wave((v + r) * mask, len(voice), 4096)


def sdr(voice, rest, found, mix):
    """Of voice and rest, dB."""
    return mir_eval.separation.bss_eval_sources(np.stack([voice, rest]), np.stack([found, mix - found]), compute_permutation=False)[0]


def separate(ctx, mix, rate, model):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "mix.wav")
        soundfile.write(path, mix, rate, subtype="FLOAT")
        ctx.run(ctx.program("separate"), path, "-o", folder, "--model", model)
        return soundfile.read(os.path.join(folder, "voice.wav"))[0]


def stems(folder):
    voice = rest = 0
    for path in sorted(folder.iterdir()):
        if path.suffix not in (".flac", ".wav", ".mp3") or path.stem in ("mixture", "mix"):
            continue
        x, rate = read(path)
        x = x[:SECONDS * rate]
        if path.stem.startswith("vocals"):
            voice = voice + x
        else:
            rest = rest + x
    return voice, rest, rate


def sung_over_bands(ctx):
    for singer, band in zip(SINGERS, BANDS):
        rest, rate = read(ctx.need("songs", "mixed", band), 44100)
        rest = rest[5 * rate:(5 + 20) * rate]
        phrases = [read(p, rate)[0] for p in sorted(ctx.need("vocals", "gtsinger", singer).glob("*.flac"))]
        voice = np.zeros_like(rest)
        at = rate
        for x in phrases:
            x = x[:max(0, len(voice) - at)]
            voice[at:at + len(x)] += x
            at += len(x) + rate // 2
        gain = 10 ** (UNDER_DB / 20) * np.sqrt((rest ** 2).mean() / (voice ** 2).mean())
        yield gain * voice, rest, rate


def judge(songs, ours):
    """{method: mean (voice SDR, rest SDR)} of (voice, rest, rate) triples; ours: mix, rate -> voice."""
    found = {k: [] for k in ("ours", "mix", "hpss", "repet", "oracle")}
    for voice, rest, rate in songs:
        mix = voice + rest
        for name, estimate in (("ours", ours(mix, rate)), ("mix", 0.999 * mix), ("hpss", hpss(mix)), ("repet", repet(mix, rate)),
                               ("oracle", oracle(voice, rest))):
            found[name].append(sdr(voice, rest, estimate, mix))
    return {k: np.mean(v, axis=0) for k, v in found.items()}


def rows(material, n, mean, floor):
    for k, part in enumerate(("voice", "rest")):
        yield Row("separation", material, f"{part} SDR, dB", n, mean["ours"][k], floor=floor if k == 0 else None,
                  peer=[("hpss", mean["hpss"][k]), ("REPET", mean["repet"][k])], baseline=("mix", mean["mix"][k]),
                  ceiling=mean["oracle"][k])


def run(ctx):
    def ours(mix, rate):
        return separate(ctx, mix, rate, ctx.model)

    names = ["stems_2.Lithium", "stems_4.Potassium", "stems_7.Francium"]
    real = [stems(ctx.need("songs", n)) for n in names]
    mean = judge(real, ours)
    yield from rows("real stems", len(real), mean, 5)
    yield Row("separation", "real stems", "voice SDR over the better of hpss and REPET, dB", len(real),
              mean["ours"][0] - max(mean["hpss"][0], mean["repet"][0]), floor=3)

    sung = list(sung_over_bands(ctx))
    yield from rows("unheard singers over unheard bands", len(sung), judge(sung, ours), None)

    font = "/usr/share/sounds/sf2/TimGM6mb.sf2"
    if os.path.exists(font):
        folders = ctx.render_songs("separation_songs", "--songs", "4", "--seconds", "15", "--seed", "7107", "--soundfont", font)
        rendered = [stems(f) for f in folders]
        yield from rows("rendered, unheard sound font", len(rendered), judge(rendered, ours), None)
