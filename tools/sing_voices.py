#!/usr/bin/python3
"""Sings melodies with borrowed timbres: training voices for the separator.

The spectral envelope of spoken or sung recordings, frame by frame (true envelope by cepstral smoothing), is played slower, moved
in formants, and excited by a pulse train on a melody's pitch (glides, vibrato, drift) and noise where the recording was unvoiced.

usage: sing_voices.py OUT_DIR --melodies POP909_DIR [--timbre FILE]... [--flite] [--per-timbre N] [--seconds S] [--seed N]
Writes OUT_DIR/NAME-K/vocals.flac (44.1 kHz, mono). --flite: also the four good voices of Debian's flite, speaking.
"""
import argparse, pathlib, subprocess, tempfile
import mido, numpy as np, soundfile
from scipy.signal import resample_poly, stft, istft

RATE, HOP, N_FFT = 44100, 220, 2048
TEXT = ("We were walking through the river, every morning comes a stranger, hold the light above the water, never leave me on the "
        "shore. Something shining in the window, all the days are going under, give me reason, give me shelter, tell the city "
        "what you saw. Oh my heart is beating faster, moving closer to the thunder, you and I will find an answer, even if we "
        "lose the war. Take the road, it goes for ever, high and low I hear them calling, now the leaves are slowly falling, "
        "just another open door. Yesterday you saw me crying, who would ever know the feeling, summer evenings, quiet voices, "
        "laughing children by the wall. How could anybody choose between the beauty and the joy of this, a fathom deep, a mile "
        "above, the measure of a ship of love.")


def envelopes(x, rate):
    """Log envelope [T, N_FFT/2+1] on bins of RATE every HOP samples of RATE, voicing [T] and level [T]."""
    if rate != RATE:
        g = np.gcd(rate, RATE)
        x = resample_poly(x, RATE // g, rate // g)
    x = np.concatenate([np.zeros(N_FFT // 2), x, np.zeros(N_FFT)])
    n = (len(x) - N_FFT) // HOP
    window, short = np.hanning(N_FFT), np.hanning(1324)
    keep = int(0.0018 * RATE)
    logs, voiced, level = [], [], []
    for block in range(0, n, 256):
        index = HOP * np.arange(block, min(n, block + 256))[:, None]
        frames = x[index + np.arange(N_FFT)]
        at = (N_FFT - 1324) // 2
        spectrum = np.abs(np.fft.rfft(frames[:, at:at + 1324] * short, N_FFT))
        target = np.log(spectrum + 1e-5)
        smooth = target
        for _ in range(8):  # true envelope: the cepstrum's low part of whatever lies above the last envelope
            cepstrum = np.fft.irfft(smooth)
            cepstrum[:, keep:-keep + 1] = 0
            envelope = np.fft.rfft(cepstrum).real
            smooth = np.maximum(target, envelope)
        power = np.abs(np.fft.rfft(frames * window, 2 * N_FFT)) ** 2
        power[:, :8] = 0
        power[:, 400:] = 0  # up to 4.3 kHz
        correlation = np.fft.irfft(power)
        correlation = correlation / (correlation[:, :1] + 1e-9)
        lags = slice(RATE // 700, RATE // 75)
        shape = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * N_FFT)) ** 2)
        voiced.append((correlation[:, lags] / (shape[lags] / shape[0])).max(1))
        level.append(np.sqrt((frames[:, at:at + 1324] ** 2).mean(1)))
        logs.append(envelope.astype(np.float32))
    return np.concatenate(logs), np.concatenate(voiced), np.concatenate(level)


def melody(path):
    midi = mido.MidiFile(path)
    track = next((t for t in midi.tracks if t.name.strip() == "MELODY"), None)
    tempo = [(0, 500000)]
    for t in midi.tracks:
        at = 0
        for m in t:
            at += m.time
            if m.type == "set_tempo":
                tempo.append((at, m.tempo))
    us, notes, on, at = sorted(tempo)[-1][1], [], {}, 0
    for m in track:
        at += m.time
        if m.type == "note_on" and m.velocity:
            on[m.note] = at
        elif m.type in ("note_on", "note_off") and m.note in on:
            notes.append((on.pop(m.note), at, m.note))
    scale = us / 1e6 / midi.ticks_per_beat
    return sorted((a * scale, b * scale, p) for a, b, p in notes)


def pitch_track(notes, start, seconds, middle, rng):
    """MIDI pitch and loudness, a value per HOP."""
    n = int(seconds * RATE / HOP)
    notes = [[a - start, b - start, p] for a, b, p in notes if a < start + seconds and b > start]
    for this, following in zip(notes, notes[1:]):  # most gaps between notes are not heard as rests
        if following[0] - this[1] < 0.3 and rng.random() < 0.8:
            this[1] = following[0]
    shift = 12 * round((middle - np.median([p for _, _, p in notes])) / 12) + rng.integers(-3, 4)
    pitch, loud, vibrato = np.full(n, np.nan), np.zeros(n), np.zeros(n)
    rate, depth, delay = rng.uniform(4.8, 6.8), rng.choice([0.1, 0.2, 0.4, 0.7]), rng.uniform(0.15, 0.4)
    for a, b, p in notes:
        i, j = max(0, int(a * RATE / HOP)), max(0, int(b * RATE / HOP))
        pitch[i:j] = p + shift
        loud[i:j] = 10 ** (rng.normal(0, 1.5) / 20)
        t = np.arange(len(pitch[i:j])) * HOP / RATE
        vibrato[i:j] = depth * np.clip((t - delay) / 0.3, 0, 1)
        if rng.random() < 0.3:  # a scoop from below
            pitch[i:min(j, i + 14)] -= rng.uniform(0.5, 2)
    known = ~np.isnan(pitch)
    pitch = np.interp(np.arange(n), np.flatnonzero(known), pitch[known])
    width = int(rng.uniform(0.04, 0.12) * RATE / HOP) | 1
    kernel = np.hanning(width + 2)[1:-1]
    pitch = np.convolve(np.pad(pitch, width // 2, mode="edge"), kernel / kernel.sum(), "valid")[:n]
    drift = np.convolve(rng.normal(0, 1, n + 200), np.hanning(202)[1:-1] / 20, "valid")[:n]
    pitch = pitch + vibrato * np.sin(2 * np.pi * rate * np.arange(n) * HOP / RATE) + 0.25 * drift + rng.normal(0, 0.02, n)
    return pitch, np.convolve(loud, np.hanning(11) / np.hanning(11).sum(), "same")


def sing(timbre, notes, seconds, middle, rng):
    logs, voiced, level, spoken = timbre
    first = notes[int(rng.integers(0, max(1, len(notes) // 2)))][0] - 0.3
    pitch, loud = pitch_track(notes, first, seconds, middle, rng)
    n = len(pitch)
    slow, formants = rng.uniform(0.35, 0.75) if spoken else rng.uniform(0.7, 1.3), 2 ** (rng.uniform(-3.5, 3.5) / 12)
    # Through the recording: slowly where it is voiced, not at all in rests, fast through silence.
    at, where = rng.uniform(0, len(logs)), np.zeros(n)
    quiet = level < 0.03 * level.max()
    for t in range(n):
        i = int(at) % len(logs)
        at += (4 if quiet[i] else slow if voiced[i] > 0.6 else 0.85) * (loud[t] > 0.05)
        where[t] = at
    index = where.astype(int) % len(logs)
    bins = np.arange(N_FFT // 2 + 1)
    source = np.minimum(bins / formants, N_FFT // 2)
    low = source.astype(int)
    high = np.minimum(low + 1, N_FFT // 2)
    env = logs[index]
    env = env[:, low] + (source - low) * (env[:, high] - env[:, low])
    tone = np.clip((voiced[index] - 0.45) / 0.3, 0, 1)
    kernel = np.hanning(9)[1:-1]
    tone = np.convolve(tone, kernel / kernel.sum(), "same")
    # Pulses: all harmonics below 10 kHz with one closed form; noise takes over above a frequency that falls with breathiness.
    hz = 440 * 2 ** ((np.interp(np.arange(n * HOP) / HOP, np.arange(n), pitch) - 69) / 12)
    phase = np.cumsum(hz) / RATE
    k = np.floor(10000 / hz)
    x = np.pi * phase
    sine = np.sin(x)
    pulses = np.where(np.abs(sine) > 1e-6, np.sin((2 * k + 1) * x) / np.where(np.abs(sine) > 1e-6, sine, 1), 2 * k + 1) - 1
    pulses /= np.sqrt(2 * k)
    breath = rng.uniform(3000, 8000)
    blend = 1 / (1 + np.exp((bins * RATE / N_FFT - breath) / 700))
    window = 882
    _, _, p = stft(pulses, nperseg=window, noverlap=window - HOP, nfft=N_FFT, boundary="zeros", padded=True)
    _, _, q = stft(rng.normal(0, 1, n * HOP), nperseg=window, noverlap=window - HOP, nfft=N_FFT, boundary="zeros", padded=True)
    frames = np.minimum(np.arange(p.shape[1]), n - 1)
    gain = np.exp(env[frames].T) * loud[frames]
    v = tone[frames][None, :] * (0.97 * blend[:, None] + 0.03)
    tilt = rng.uniform(-0.3, 0.3)
    y = gain * (np.sqrt(v) * p + 0.5 * np.sqrt(1 - v) * q) * np.maximum(bins, 3)[:, None] ** tilt
    _, out = istft(y, nperseg=window, noverlap=window - HOP, nfft=N_FFT)
    return out[:int(seconds * RATE)]


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out", type=pathlib.Path)
    ap.add_argument("--melodies", type=pathlib.Path, required=True)
    ap.add_argument("--timbre", action="append", default=[], type=pathlib.Path)
    ap.add_argument("--flite", action="store_true")
    ap.add_argument("--per-timbre", type=int, default=4)
    ap.add_argument("--seconds", type=float, default=30)
    ap.add_argument("--seed", type=int, default=1)
    a = ap.parse_args()
    songs = sorted(p for p in a.melodies.glob("*/*.mid"))[::7]
    sources = []
    for path in a.timbre:
        x, rate = soundfile.read(path, always_2d=True)
        name = path.parent.name + "_" + path.stem if path.stem.startswith("vocals") else path.stem
        sources.append((name, x.mean(1), rate, False))
    if a.flite:
        for voice in ("kal16", "awb", "rms", "slt"):
            with tempfile.NamedTemporaryFile(suffix=".wav") as f:
                subprocess.run(["flite", "-voice", voice, "-t", TEXT, "-o", f.name], check=True)
                x, rate = soundfile.read(f.name)
            sources.append(("flite_" + voice, x, rate, True))
    for number, (name, x, rate, spoken) in enumerate(sources):
        timbre = envelopes(x / np.abs(x).max(), rate) + (spoken,)
        for k in range(a.per_timbre):
            rng = np.random.default_rng([a.seed, number, k])
            out = sing(timbre, melody(songs[int(rng.integers(0, len(songs)))]), a.seconds, rng.uniform(50, 72), rng)
            folder = a.out / f"{name}-{k}"
            folder.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / "vocals.flac", 0.7 * out / np.abs(out).max(), RATE)
            print(folder, flush=True)


main()
