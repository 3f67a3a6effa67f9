"""A plan that is edited and rendered again: how fast, and whether it stays what it was.

A voice of four minutes (one of `vocals`, again and again), four instruments. By the clock, on whatever machine this runs, the best of three:
the plan after listening (validate, chords, arrange), the same with the program's start, the recording and the models read, and a rendering
after one chord in the middle was edited, beside one with no cache. Sameness in samples: the plan handed back, and the edited song made
with the cache and without.
"""
import json
import os
import subprocess
import time

import numpy as np
import soundfile

from common import Row

SECONDS = 240
PLAN_S, LOADED_S = 1.0, 1.5


def four_minutes(ctx):
    path = ctx.work / "four_minutes.flac"
    if not path.exists():
        x, rate = soundfile.read(ctx.need("vocals", "vocadito_1.flac"), dtype="float32")
        soundfile.write(path, np.resize(x, (SECONDS * rate,) + x.shape[1:]), rate, "PCM_16")
    return path


def run_program(ctx, name, *arguments):
    """Seconds of one run."""
    command = [ctx.program(name), *arguments, "--quiet"]
    if ctx.model:
        command += ["--model", ctx.model]
    start = time.monotonic()
    subprocess.run([str(c) for c in command], check=True, env=os.environ | {"XDG_CACHE_HOME": str(ctx.work / "cache")})
    return time.monotonic() - start


def edited(source, target, at):
    """The plan with one chord changed; returns when it sounds."""
    plan = json.load(open(source))
    chord = plan["chords"][at]
    chord["chord"] = "F" if chord["chord"] != "F" else "G"
    json.dump(plan, open(target, "w"))
    return chord["start"], chord["end"]


def run(ctx):
    song, work = four_minutes(ctx), ctx.work
    heard, plan, other = work / "plans_heard.json", work / "plans_plan.json", work / "plans_edited.json"
    run_program(ctx, "listen", song, "--report", heard)
    arranged, whole = [], []
    for _ in range(3):
        whole.append(run_program(ctx, "infer", song, "--plan", heard, "--genre", "pop", "--report", plan))
        stages = {s["name"]: s["seconds"] for s in json.load(open(plan))["stages"]}
        arranged.append(stages["validate"] + stages["arrange"])
    material = f"a voice, {SECONDS} s"
    yield Row("plans", material, "plan after listening, s", 3, min(arranged), PLAN_S, lower_is_better=True)
    yield Row("plans", material, "plan, recording and models read, s", 3, min(whole), LOADED_S, lower_is_better=True)

    first, again, a, b = work / "plans_first.wav", work / "plans_again.wav", work / "plans_a.wav", work / "plans_b.wav"
    fresh = run_program(ctx, "infer", song, "-o", first, "--plan", heard, "--genre", "pop", "--report", plan)
    back = run_program(ctx, "infer", song, "-o", again, "--plan", plan)
    yield Row("plans", material, "handed back unchanged, s", 1, back, baseline=("made anew", fresh), lower_is_better=True)
    yield Row("plans", material, "handed back unchanged, samples that differ", 1,
              float(np.sum(soundfile.read(first)[0] != soundfile.read(again)[0])), 0, lower_is_better=True)
    count = len(json.load(open(plan))["chords"])
    seconds = []
    for at in range(count // 2, count // 2 + 3):
        start, end = edited(plan, other, at)
        seconds.append(run_program(ctx, "infer", song, "-o", a, "--plan", other))
    run_program(ctx, "infer", song, "-o", b, "--plan", other, "--no-cache")
    yield Row("plans", material, "one chord edited, s", 3, min(seconds), baseline=("made anew", fresh), lower_is_better=True)
    x, rate = soundfile.read(a)
    y, z = soundfile.read(b)[0], soundfile.read(first)[0]
    yield Row("plans", material, "one chord edited, samples the cache changes", 1, float(np.sum(x != y)), 0, lower_is_better=True)
    bars = [0] + json.load(open(plan))["downbeats"] + [SECONDS]
    low = max(t for t in bars if t <= start + 0.02) - 1.5
    high = min(t for t in bars if t >= end - 0.02) + 3
    outside = np.abs(x - z)
    outside[int(low * rate):int(high * rate)] = 0
    yield Row("plans", material, "sound outside its bars and 1.5 s before, 3 s after, dBFS", 1, float(20 * np.log10(outside.max() + 1e-12)), -100,
              lower_is_better=True)
