"""Instruments that no sound font has, so that what learns from rendered music does not learn one font's drums by heart.

    kit = render_kit.Kit(rng, hits)          one band: every drum and every program draws its sound anew
    wave = kit.render(notes, programs, seconds, rate)      mono, float32

notes: (onset_s, offset_s, channel, General MIDI key, velocity), channel 9 drums; programs {channel: General MIDI program}.
Drums are synthesized (swept sines, shaped noise, inharmonic partials) or, half of the time where there are any, recorded hits:
hits {sound: [paths]} as recorded_hits() finds them. Other instruments are wavetables with random partials that are plucked
or sustained as their program is. Then, at times, a room and an overdriven mixer.
"""
import csv

import numpy as np

DRUMS = 9
# General MIDI keys, and those that electronic kits add (22, 26: the edge of the hi-hat)
SOUND_OF = {35: "kick", 36: "kick", 38: "snare", 40: "snare", 37: "side", 39: "clap", 42: "hat", 22: "hat", 44: "hat", 46: "open", 26: "open",
            51: "ride", 59: "ride", 53: "bell", 49: "crash", 57: "crash", 52: "crash", 55: "crash", 41: "tom", 43: "tom", 45: "tom", 47: "tom",
            48: "tom", 50: "tom"}
TOM_HZ = {41: 75, 43: 90, 45: 110, 47: 130, 48: 155, 50: 180}
FREE = ("CC0-1.0", "CC-BY-4.0")


def recorded_hits(data):
    """{sound: [paths]} of the single drum hits under data whose licence is CC0 or CC BY."""
    words = {"kick": "kick", "snare": "snare", "hihat_closed": "hat", "hihat_open": "open", "ride": "ride", "crash": "crash", "china": "crash",
             "tom": "tom"}
    found = {}
    with (data / "MANIFEST.tsv").open() as table:
        for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE):
            text = row["path"] + " " + row["what it is"]
            sound = next((s for word, s in words.items() if word in text), None)
            if row["path"].startswith("notes/drums/") and row["licence"] in FREE and sound and (data / row["path"]).exists():
                found.setdefault(sound, []).append(data / row["path"])
    return found


# ---- drums ----

def shaped_noise(rng, n, rate, low_hz, high_hz):
    """Noise between two frequencies, with soft edges."""
    f = np.fft.rfftfreq(n, 1 / rate)
    shape = 1 / (1 + (low_hz / np.maximum(f, 1)) ** 4) / (1 + (f / high_hz) ** 4)
    y = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * np.sqrt(shape), n)
    return y / (np.abs(y).max() + 1e-9)


def falling(n, rate, seconds):
    return np.exp(-np.arange(n) / (seconds * rate))


def swept(n, rate, from_hz, to_hz, seconds):
    return np.sin(2 * np.pi * np.cumsum(to_hz + (from_hz - to_hz) * falling(n, rate, seconds)) / rate)


def synthetic_hit(rng, sound, rate, key):
    def hz(low, high):
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    def noise(seconds, low, high):
        n = int(6 * seconds * rate) + 64
        return shaped_noise(rng, n, rate, low, high) * falling(n, rate, seconds)

    def drum(seconds, low, high, sweep):
        n, to = int(6 * seconds * rate) + 64, hz(low, high)
        return swept(n, rate, to * sweep, to, 0.02) * falling(n, rate, seconds)

    def add(a, b):
        out = np.zeros(max(len(a), len(b)))
        out[:len(a)] += a
        out[:len(b)] += b
        return out

    if sound == "kick":
        return add(drum(hz(0.04, 0.2), 38, 75, hz(2, 6)), rng.uniform(0, 0.5) * noise(0.004, 1000, 8000))
    if sound == "snare":
        return add(noise(hz(0.03, 0.15), hz(150, 1500), hz(4000, 11000)), rng.uniform(0, 0.8) * drum(hz(0.02, 0.08), 150, 280, 1.5))
    if sound == "tom":
        return add(drum(hz(0.08, 0.25), 0.9 * TOM_HZ.get(key, 110), 1.2 * TOM_HZ.get(key, 110), hz(1.2, 2)), rng.uniform(0, 0.3) * noise(0.02, 200, 4000))
    if sound == "side":
        return add(drum(0.012, 400, 1800, 1.2), 0.4 * noise(0.01, 1500, 9000))
    if sound == "clap":
        one = noise(hz(0.03, 0.1), 700, 5000)
        return add(add(one, np.concatenate([np.zeros(int(0.011 * rate)), one])), np.concatenate([np.zeros(int(0.023 * rate)), one]))
    if sound in ("ride", "bell"):
        n, seconds = int(1.5 * rate), hz(0.15, 0.5)
        metal = sum(np.sin(2 * np.pi * hz(700, 9000) * np.arange(n) / rate + k) for k in range(9)) / 9
        return metal * falling(n, rate, seconds) * (1.5 if sound == "bell" else 0.7) + 0.6 * add(noise(0.03, 3000, 11000), np.zeros(n))[:n]
    seconds = {"hat": hz(0.01, 0.05), "open": hz(0.08, 0.3), "crash": hz(0.25, 0.7)}.get(sound, hz(0.02, 0.2))
    return noise(seconds, hz(2500, 7000) if sound != "crash" else hz(500, 3000), 11000)


def read_hit(path, rate):
    import soundfile
    x, from_rate = soundfile.read(path, dtype="float32", always_2d=True)
    x = x.mean(1)
    n = max(2, int(len(x) * rate / from_rate))
    if from_rate > rate:  # a plain low-pass before taking fewer samples
        spectrum = np.fft.rfft(x)
        x = np.fft.irfft(spectrum[:n // 2 + 1], n) * n / len(x)
    start = int(np.argmax(np.abs(x) > 0.05 * np.abs(x).max() + 1e-9))
    return x[start:start + 2 * rate]


# ---- other instruments ----

def is_plucked(program):
    return program < 16 or 24 <= program < 40 or program in (45, 46) or 104 <= program < 109 or program >= 112


class Tone:
    """One program: a wavetable's partials, an envelope, a vibrato."""

    def __init__(self, rng, program):
        self.plucked = is_plucked(program)
        self.partials = np.arange(1, 40.0) ** -rng.uniform(0.7, 2.2) * np.exp(rng.normal(0, 0.5, 39))
        if rng.random() < 0.3:
            self.partials[1::2] *= 0.2
        self.decay_s = float(np.exp(rng.uniform(np.log(0.25), np.log(2.5))))
        self.attack_s = float(np.exp(rng.uniform(np.log(0.002), np.log(0.006 if self.plucked else 0.05))))
        self.release_s, self.vibrato = float(rng.uniform(0.03, 0.15)), 0 if self.plucked else float(rng.uniform(0, 0.006))
        self.tables = {}

    def table(self, hz, rate):
        n = int(max(1, min(39, 0.45 * rate / hz)))
        if n not in self.tables:
            t = 2 * np.pi * np.arange(2048) / 2048
            y = sum(a * np.sin(k * t + k * k) for k, a in enumerate(self.partials[:n], 1))
            self.tables[n] = y / np.abs(y).max()
        return self.tables[n]

    def play(self, pitch, seconds, rate):
        hz = 440 * 2 ** ((pitch - 69) / 12)
        n = int((seconds + self.release_s) * rate)
        t = np.arange(n) / rate
        phase = hz * t + (hz * self.vibrato / 5.5 / 6.28) * np.sin(2 * np.pi * 5.5 * t)
        y = self.table(hz, rate)[(phase * 2048).astype(np.int64) & 2047] * np.minimum(1, t / self.attack_s)
        if self.plucked:
            y = y * np.exp(-t / self.decay_s)
        return y * np.clip((seconds + self.release_s - t) / self.release_s, 0, 1)


# ---- a band ----

class Kit:
    def __init__(self, rng, hits=None):
        self.rng, self.hits, self.drums, self.tones = rng, hits or {}, {}, {}
        self.curve = rng.uniform(1, 2)
        self.level = {s: float(np.exp(rng.normal(0, 0.35))) for s in sorted({*SOUND_OF.values(), "other"})}
        self.recorded = bool(self.hits) and rng.random() < 0.5

    def drum(self, key, rate):
        if key not in self.drums:
            sound = SOUND_OF.get(key, "other")
            paths = self.hits.get(sound, [])
            hit = read_hit(paths[self.rng.integers(len(paths))], rate) if self.recorded and paths else synthetic_hit(self.rng, sound, rate, key)
            loud = {"hat": 0.35, "open": 0.35, "ride": 0.35, "bell": 0.4, "crash": 0.5, "side": 0.5}.get(sound, 1)
            self.drums[key] = hit / (np.abs(hit).max() + 1e-9) * loud * self.level[sound]
        return self.drums[key]

    def render(self, notes, programs, seconds, rate):
        out = np.zeros(int(seconds * rate))
        gain = {c: float(np.exp(self.rng.normal(0, 0.4))) * (1 if c == DRUMS else 0.25) for c in sorted({n[2] for n in notes})}
        for on, off, channel, pitch, velocity in notes:
            if channel == DRUMS:
                sound = self.drum(pitch, rate)
            else:
                program = programs.get(channel, 0)
                if (channel, program) not in self.tones:
                    self.tones[channel, program] = Tone(self.rng, program)
                sound = self.tones[channel, program].play(pitch, min(max(off - on, 0.05), 6), rate)
            at = int(on * rate)
            end = min(len(out), at + len(sound))
            if end > at >= 0:
                out[at:end] += gain[channel] * (velocity / 127) ** self.curve * sound[:end - at]
        return self.mix(out, rate)

    def mix(self, x, rate):
        rng = self.rng
        if rng.random() < 0.5:
            n, wet = int(rng.uniform(0.2, 1.2) * rate), rng.uniform(0.03, 0.3)
            room = rng.standard_normal(n) * np.exp(-6 * np.arange(n) / n)
            size = 1 << (len(x) + n).bit_length()
            echo = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(room, size), size)[:len(x)]
            x = x + wet * echo * np.std(x) / (np.std(echo) + 1e-9)
        x = x / (np.abs(x).max() + 1e-9)
        if rng.random() < 0.5:
            x = np.tanh(rng.uniform(1, 4) * x)
        return (0.7 * x / (np.abs(x).max() + 1e-9)).astype(np.float32)
