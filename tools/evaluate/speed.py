"""Speed and memory of the whole analysis, on one core.

Real-time factor: seconds of audio per second of processor time of bin/listen with its report, start of the program, models and
decoding included. aubio does tempo, onsets and pitch (yinfft) of the same file in its own python module, which is less than ours
does. Memory: the largest resident size while an hour of stereo (the mixed songs one after the other) is heard.
"""
import os
import subprocess
import time

import aubio
import numpy as np
import soundfile

from common import Row

FLOOR, HOUR_MB = 50, 400


def ours(ctx, path, work):
    """Processor seconds and peak resident MB of one run."""
    command = [ctx.program("listen"), path, "--quiet", "--report", work / "speed.json"]
    if ctx.model:
        command += ["--model", ctx.model]
    pid = subprocess.Popen([str(c) for c in command], env=os.environ | {"OMP_NUM_THREADS": "1"})
    _, status, usage = os.wait4(pid.pid, 0)
    pid.returncode = os.waitstatus_to_exitcode(status)
    if pid.returncode:
        raise RuntimeError(f"listen {path}: exit status {pid.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def aubio_seconds(path):
    """Processor seconds of aubio's tempo, onset and pitch, decoding included."""
    before = time.process_time()
    x, rate = soundfile.read(path, dtype="float32", always_2d=True)
    x, hop = np.ascontiguousarray(x.mean(1)), 512
    tempo, onset, pitch = aubio.tempo("default", 1024, hop, rate), aubio.onset("default", 1024, hop, rate), aubio.pitch("yinfft", 2048, hop, rate)
    for start in range(0, len(x) - hop, hop):
        piece = x[start:start + hop]
        tempo(piece), onset(piece), pitch(piece)
    return time.process_time() - before


def an_hour(ctx):
    """An hour of stereo at 44.1 kHz, made of the mixed songs."""
    path = ctx.work / "hour.flac"
    if not path.exists():
        songs = [s for s in sorted(ctx.need("songs", "mixed").iterdir()) if s.suffix in (".ogg", ".mp3") and
                 soundfile.info(s).samplerate == 44100 and soundfile.info(s).channels == 2]
        part = path.with_suffix(".part.flac")
        with soundfile.SoundFile(part, "w", 44100, 2, "PCM_16") as out:
            while out.frames < 3600 * 44100:
                for song in songs:
                    out.write(soundfile.read(song, dtype="float32")[0][:3600 * 44100 - out.frames])
        part.rename(path)
    return path


def run(ctx):
    songs = sorted((s for s in ctx.need("songs", "mixed").iterdir() if s.suffix in (".ogg", ".mp3")), key=lambda s: soundfile.info(s).duration)
    stereo = [s for s in songs if soundfile.info(s).channels == 2 and soundfile.info(s).samplerate == 44100][-1]
    for material, path in (("a voice, mono", ctx.need("vocals", "vocadito_1.flac")), ("a song, stereo", stereo),
                           ("an instrumental, stereo", ctx.need("songs", "mixed", "Kevin_MacLeod_-_Vibe_Ace.ogg"))):
        seconds = soundfile.info(path).duration
        best = min(ours(ctx, path, ctx.work)[0] for _ in range(3))
        yield Row("speed", f"{material}, {seconds:.0f} s", "times real time, one core", 1, seconds / best, FLOOR,
                  peer=("aubio", seconds / aubio_seconds(path)))
    path = an_hour(ctx)
    used, mb = ours(ctx, path, ctx.work)
    yield Row("speed", "an hour, stereo", "times real time, one core", 1, 3600 / used, FLOOR)
    yield Row("speed", "an hour, stereo", "peak memory, MB", 1, mb, HOUR_MB, lower_is_better=True)
