"""Stems with known roles, and what the tone detector says of them.

Songs of render_dataset (lead and rhythm guitar, bass, strings, drums ...) by another seed and with the TimGM6mb sound font, which
nothing was trained on; melody and accompaniment of POP909 played by a piano and by guitars with the same font.
"""
import ctypes as c
import os
import pathlib
import subprocess

import mido
import numpy as np
import soundfile

CLASSES = 64  # NN_SVM_MAX_CLASSES
# What a stem is for, in four words. The songwriter's and the detector's own words on the right.
KINDS = {"lead": "lead", "counter": "lead", "melody": "lead", "vocals": "lead", "rhythm": "chords", "chords": "chords", "pad": "chords",
         "bass": "bass", "drums": "drums"}


class Error(c.Structure):
    _fields_ = [("code", c.c_int), ("msg", c.c_char * 480)]


class Measures(c.Structure):
    _fields_ = [("polyphony", c.c_double), ("register_midi", c.c_double), ("density_hz", c.c_double), ("note_s", c.c_double),
                ("measured", c.c_int)]


class TrackGuess(c.Structure):
    _fields_ = [("instrument", c.c_int), ("probability", c.c_double), ("of_class", c.c_double * CLASSES), ("n_tones", c.c_int),
                ("measures", Measures), ("role", c.c_char * 16), ("name", c.c_char * 64), ("role_probability", c.c_double)]


class Detector:
    def __init__(self, path):
        self.lib = c.CDLL(str(pathlib.Path(os.environ["BACKLINE_LIBRARY"]).resolve()))
        self.lib.blocks_tone_detector_load.restype = c.c_void_p
        self.lib.data_instrument_name.restype = c.c_char_p
        self.lib.blocks_tone_detector_free.restype = None
        error = Error()
        self.detector = self.lib.blocks_tone_detector_load(str(path).encode(), c.byref(error))
        if not self.detector:
            raise RuntimeError(error.msg.decode())

    def track(self, path):
        """instrument, kind of role, name of one stem"""
        x, rate = soundfile.read(path, dtype="float32", always_2d=True)
        x = np.ascontiguousarray(x.mean(1))
        guess, error = TrackGuess(), Error()
        if self.lib.blocks_tone_detector_track(c.c_void_p(self.detector), x.ctypes.data_as(c.c_void_p), c.c_int64(len(x)), c.c_int(rate),
                                               None, None, c.c_int(0), c.byref(guess), c.byref(error)):
            raise RuntimeError(f"{path}: {error.msg.decode()}")
        instrument, role = self.lib.data_instrument_name(guess.instrument).decode(), guess.role.decode()
        return instrument, "drums" if instrument in ("drums", "percussion") else KINDS[role], guess.name.decode()

    def __del__(self):
        if getattr(self, "detector", None):
            self.lib.blocks_tone_detector_free(c.c_void_p(self.detector))


def notes_of(path, track):
    """[onset, offset, pitch, velocity] in seconds of one track of a MIDI file."""
    midi, notes, sounding, now, seconds, tempo = mido.MidiFile(path), [], {}, 0, 0.0, 500000
    wanted = [t for t in midi.tracks if t.name.strip().upper() == track]
    for message in mido.merge_tracks([t for t in midi.tracks if t not in wanted and not any(m.type == "note_on" for m in t)] + wanted):
        seconds += mido.tick2second(message.time, midi.ticks_per_beat, tempo)
        if message.type == "set_tempo":
            tempo = message.tempo
        elif message.type == "note_on" and message.velocity:
            sounding[message.note] = (seconds, message.velocity)
        elif message.type in ("note_on", "note_off") and message.note in sounding:
            onset, velocity = sounding.pop(message.note)
            notes.append((onset, seconds, message.note, velocity))
    return sorted(notes)


def play(notes, program, font, out, seconds):
    """The seconds from the first note on, to a file."""
    start, midi, track, now = notes[0][0], mido.MidiFile(ticks_per_beat=480), mido.MidiTrack(), 0
    midi.tracks.append(track)
    track.append(mido.Message("program_change", program=program))
    events = [(t, kind, pitch, velocity) for onset, offset, pitch, velocity in notes if onset < start + seconds
              for t, kind in ((onset - start, 1), (min(offset - start, seconds), 0))]
    for t, kind, pitch, velocity in sorted(events, key=lambda e: e[:3]):
        track.append(mido.Message("note_on" if kind else "note_off", note=pitch, velocity=velocity, time=int(960 * t) - now))
        now = int(960 * t)
    midi.save(out.with_suffix(".mid"))
    subprocess.run(["fluidsynth", "-ni", "-q", "-g", "0.6", "-R", "0", "-C", "0", "-r", "22050", "-F", str(out), str(font),
                    str(out.with_suffix(".mid"))], check=True, capture_output=True)


def pop909_stems(corpus, ids, font, out, seconds=12):
    """[(file, kind, what)]: melody and accompaniment, by a piano and by a guitar."""
    out.mkdir(parents=True, exist_ok=True)
    found = []
    for k, song in enumerate(ids):
        midi = next(p for p in (corpus / song / f"{song}.mid", corpus / f"{song}.mid") if p.exists())
        for kind, track in (("lead", "MELODY"), ("chords", "PIANO")):
            notes = notes_of(midi, track)
            notes = [n for n in notes if n[0] >= notes[len(notes) // 3][0]]
            for what, program in (("piano", 0), ("guitar", ((27, 29, 30, 26) if kind == "lead" else (25, 27, 29, 24))[k % 4])):
                path = out / f"{song}_{kind}_{what}.wav"
                if not path.exists():
                    play(notes, program, font, path, seconds)
                found.append((path, kind, what))
    return found
