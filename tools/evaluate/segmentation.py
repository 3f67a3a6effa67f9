"""Segmentation into instrument tracks, the number of tracks, and the clustering itself beside scikit-learn's.

Songs of tools/render_dataset, seed 4077, by a sound font that no checkpoint was trained on (TimGM6mb); mixtures are sums of some
of a song's stems, drawn with a fixed seed. Reported: this seed. Tuned on: seed 77, other songs by the same font. The weights come
from seeds 101, 202, 303 and 404 by FluidR3 and MuseScore_General.

SI-SDR improvement: scale-invariant signal-to-distortion ratio of the tracks against the stems minus that of the mixture; tracks
go to stems one to one, as is best (scipy's linear_sum_assignment); a stem without a track, or with one that is no better than the
mixture, counts 0. NMF has as many components as there are stems, each one a track, in the best order; HPSS is Fitzgerald's
harmonic and percussive part by median filters; the ceiling are ideal ratio masks of the true stems."""
import resource

import numpy as np
import scipy.ndimage
import scipy.optimize
import scipy.signal
import soundfile

import lib_clusters
from common import Row

FONT = "/usr/share/sounds/sf2/TimGM6mb.sf2"
RATE, N_FFT = 22050, 2048
LEAST_LEVEL = 1e-4  # of the loudest stem's power: quieter ones are not heard


def stems_of(folder):
    """Audible stems of a song, mono at RATE: {name: samples}."""
    out = {}
    for path in sorted(folder.glob("*.flac")):
        if path.stem != "mixture":
            x, rate = soundfile.read(path, dtype="float32", always_2d=True)
            out[path.stem] = scipy.signal.resample_poly(x.mean(1), RATE, rate)
    loudest = max(np.mean(x ** 2) for x in out.values())
    return {k: x for k, x in out.items() if np.mean(x ** 2) > LEAST_LEVEL * loudest}


def si_sdr(reference, estimate):
    target = reference * (reference @ estimate) / (reference @ reference)
    return 10 * np.log10((target @ target + 1e-20) / ((estimate - target) @ (estimate - target) + 1e-20))


def improvement(stems, tracks):
    mix = sum(stems)
    before = [si_sdr(s, mix) for s in stems]
    gain = np.array([[max(si_sdr(s, t) - b, 0) for t in tracks] for s, b in zip(stems, before)])
    rows, columns = scipy.optimize.linear_sum_assignment(-gain)
    return gain[rows, columns].sum() / len(stems)


def transform(x):
    return scipy.signal.stft(x, nperseg=N_FFT, noverlap=3 * N_FFT // 4)[2]


def masked(spectrum, masks, n):
    return [scipy.signal.istft(spectrum * m, nperseg=N_FFT, noverlap=3 * N_FFT // 4)[1][:n] for m in masks]


def hpss_masks(magnitude):
    harmonic = scipy.ndimage.median_filter(magnitude, (1, 17)) ** 2
    percussive = scipy.ndimage.median_filter(magnitude, (17, 1)) ** 2
    share = harmonic / (harmonic + percussive + 1e-12)
    return [share, 1 - share]


def nmf_masks(magnitude, rank, iterations=60):
    """Lee and Seung's updates for the Kullback-Leibler divergence."""
    rng = np.random.default_rng(0)
    v = magnitude.astype(np.float32) + 1e-9
    w, h = (rng.uniform(0.5, 1.5, s).astype(np.float32) for s in ((v.shape[0], rank), (rank, v.shape[1])))
    h *= v.mean() / rank
    for _ in range(iterations):
        h *= w.T @ (v / (w @ h + 1e-9)) / (w.sum(0)[:, None] + 1e-9)
        w *= (v / (w @ h + 1e-9)) @ h.T / (h.sum(1) + 1e-9)
    power = [np.outer(w[:, r], h[r]) ** 2 for r in range(rank)]
    return [p / (sum(power) + 1e-20) for p in power]


def ideal_masks(stems):
    power = [np.abs(transform(s)) ** 2 for s in stems]
    return [p / (sum(power) + 1e-20) for p in power]


def segment(ctx, name, stems, *options):
    """Tracks of bin/segment, for the mixture of the stems."""
    song, out = ctx.work / "segmentation" / f"{name}.wav", ctx.work / "segmentation" / name
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.wav"):
        old.unlink()
    soundfile.write(song, sum(stems), RATE, subtype="FLOAT")
    ctx.run(ctx.program("segment"), song, "-o", out, "--model", ctx.model, "--no-names", "--quiet", *options)
    return [soundfile.read(p)[0] for p in sorted(out.glob("*.wav"))]


def is_voice(name):
    return name.startswith("vocal")


def draw_four(stems, rng, with_voice):
    """Four stems of a song, the bass and the drums first when it has them."""
    voices = [n for n in stems if is_voice(n)]
    first = [n for n in stems if "drum" in n or "bass" in n]
    others = [n for n in stems if n not in voices and n not in first]
    order = (voices[:1] if with_voice else []) + first + list(rng.permutation(others))
    return order[:4] if len(order) >= 4 and (voices or not with_voice) else None


def separation_row(ctx, songs, with_voice):
    rng = np.random.default_rng(1)
    figures = []
    for name, stems in songs.items():
        names = draw_four(stems, rng, with_voice)
        if not names:
            continue
        chosen = [stems[n] for n in names]
        mix = sum(chosen)
        spectrum = transform(mix)
        apply = lambda masks: improvement(chosen, masked(spectrum, masks, len(mix)))
        figures.append((improvement(chosen, segment(ctx, name, chosen)), apply(nmf_masks(np.abs(spectrum), 4)),
                        apply(hpss_masks(np.abs(spectrum))), apply(ideal_masks(chosen))))
    ours, nmf, hpss, ideal = np.mean(figures, 0)
    return Row("segmentation", "4 instruments, " + ("one a voice" if with_voice else "no voice"), "SI-SDR improvement, dB", len(figures),
               ours, floor=2.0, peer=("NMF", nmf), baseline=("HPSS", hpss), ceiling=("ideal masks", ideal))


def count_row(ctx, songs):
    rng = np.random.default_rng(2)
    close, constant, n = 0, 0, 0
    for i, (name, stems) in enumerate(songs.items()):
        for k in {2 + i % 5, 2 + (i + 2) % 5}:  # 2 to 6, two mixtures a song
            if k > len(stems):
                continue
            chosen = [stems[instrument] for instrument in rng.permutation(sorted(stems))[:k]]
            found = len(segment(ctx, f"count-{name}", chosen))
            close, constant, n = close + (abs(found - k) <= 1), constant + (abs(4 - k) <= 1), n + 1
    return Row("segmentation", "2 to 6 instruments", "number within one", n, close / n, floor=0.70, baseline=("always 4", constant / n))


def speed_row(ctx, songs):
    """A minute at 44.1 kHz in stereo."""
    mix = np.resize(sum(next(iter(songs.values())).values()), 60 * RATE)
    song = ctx.work / "segmentation" / "minute.wav"
    song.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(song, np.repeat(mix, 2)[:, None].repeat(2, 1), 2 * RATE, subtype="FLOAT")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ctx.run(ctx.program("segment"), song, "-o", ctx.work / "segmentation" / "minute", "--model", ctx.model, "--no-names", "--quiet",
            "--threads", 1)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Row("segmentation", "60 s in stereo, one thread", "processor time, s", 1, spent, floor=3.0, lower_is_better=True)


def run(ctx):
    folders = ctx.render_songs("segmentation_songs", "--songs", 30, "--seconds", 16, "--seed", 4077, "--soundfont", FONT)
    songs = {f.name: stems_of(f) for f in folders}
    yield separation_row(ctx, songs, with_voice=False)
    yield separation_row(ctx, songs, with_voice=True)
    yield count_row(ctx, songs)
    yield speed_row(ctx, songs)
    share, worst, n = lib_clusters.agreement()
    yield Row("clustering", "touching clouds", "labels as scikit-learn's", n, share, floor=1.0, peer=("scikit-learn", 1.0))
    yield Row("clustering", "touching clouds", "inertia, silhouette: difference", 6, worst, floor=1e-6, lower_is_better=True)
    for work, (ours, theirs) in lib_clusters.race(3).items():
        yield Row("k-means", "200,000 x 32, k 8", f"{work}: speed", 3, theirs / ours, floor=1.0, peer=("scikit-learn", 1.0))
