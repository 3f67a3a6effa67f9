"""How well backline listens, on ground truth, beside peers and trivial baselines: `make evaluate`.

Prints one table, a row per task and material, and exits 1 when a floor is missed or could not be measured.

    make evaluate                                 everything
    make evaluate TASKS="pitch beats"             some tasks
    make evaluate DATA=/where/the/recordings/are  default ../shared/data

A task is a file beside this one, named after the task, with `run(ctx)` that yields Row objects. Tables of what was
measured, row by row, are also written to WORK/evaluate.json. Songs and recordings that a task needs are rendered once
and kept in WORK; a task whose recordings are not there raises Missing, and its rows count as not measured.
"""
import argparse
import importlib
import json
import os
import pathlib
import sys
import time
import traceback

from common import Context, Missing, Row, table

HERE = pathlib.Path(__file__).resolve().parent
ORDER = ["pitch", "notes", "beats", "harmony", "harmonize", "structure", "features", "tones", "genre", "separation", "segmentation", "speed"]


def tasks():
    found = {f.stem for f in HERE.glob("*.py")} - {"evaluate", "common"} - {f.stem for f in HERE.glob("lib_*.py")}
    return [t for t in ORDER if t in found] + sorted(found - set(ORDER))


def main():
    parser = argparse.ArgumentParser(prog="evaluate", description="How well backline listens.")
    parser.add_argument("tasks", nargs="*", help="of " + " ".join(tasks()) + " (all)")
    parser.add_argument("--data", default=os.environ.get("DATA", "../shared/data"), help="recordings with ground truth")
    parser.add_argument("--bin", default="bin", help="where the programs are")
    parser.add_argument("--model", default="models", help="the checkpoints to judge")
    parser.add_argument("--work", default="build/evaluate", help="what is rendered is kept here")
    args = parser.parse_args()
    for name in args.tasks:
        if name not in tasks():
            parser.error(f"no task {name}; there are {' '.join(tasks())}")

    ctx = Context(args.data, args.bin, args.model, args.work)
    rows, broken = [], []
    for name in args.tasks or tasks():
        start = time.time()
        try:
            found = list(importlib.import_module(name).run(ctx))
        except Missing as why:
            broken.append(f"{name}: not measured: {why}")
            continue
        except Exception as why:
            traceback.print_exc()
            broken.append(f"{name}: failed: {why}")
            continue
        print(f"{name}: {len(found)} rows in {time.time() - start:.0f} s", file=sys.stderr)
        rows += found
    print(table(rows))
    for line in broken:
        print(line)
    (ctx.work / "evaluate.json").write_text(json.dumps([r.as_dict() for r in rows], indent=1))
    missed = [r for r in rows if r.met() is False]
    with_floor = sum(r.floor is not None for r in rows)
    print(f"{with_floor - len(missed)} of {with_floor} floors met" + (f", {len(broken)} tasks not measured" if broken else ""))
    return 1 if missed or broken else 0


if __name__ == "__main__":
    sys.exit(main())
