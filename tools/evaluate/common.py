"""What the tasks of evaluate.py share: rows and their table, where data and programs are, running a program once."""
import dataclasses
import hashlib
import json
import pathlib
import subprocess
import typing


class Missing(Exception):
    """Ground truth or a tool that is not on this machine."""


@dataclasses.dataclass
class Row:
    """One line of the table. `peer` and `baseline` are (name, value) pairs or None; more than one goes into a list.
    `ceiling` is what a perfect system, or the agreement of two humans, would get."""
    task: str
    material: str
    metric: str
    n: int
    ours: float
    floor: typing.Optional[float] = None
    peer: typing.Any = None
    baseline: typing.Any = None
    ceiling: typing.Any = None
    lower_is_better: bool = False

    def met(self):
        if self.floor is None:
            return None
        return bool(self.ours <= self.floor if self.lower_is_better else self.ours >= self.floor)  # NaN meets nothing

    def as_dict(self):
        return dataclasses.asdict(self) | {"met": self.met()}


def number(x):
    if x is None:
        return "-"
    if isinstance(x, list):
        return ", ".join(number(v) for v in x)
    if isinstance(x, tuple):
        return f"{x[0]} {number(x[1])}"
    return x if isinstance(x, str) else f"{x:.3g}" if abs(x) >= 10 or 0 < abs(x) < 0.01 else f"{x:.2f}"


def table(rows):
    head = ["task", "material", "metric", "n", "ours", "floor", "", "peer", "baseline", "ceiling"]
    cells = [head] + [[r.task, r.material, r.metric, str(r.n), number(r.ours), number(r.floor),
                       {True: "met", False: "MISSED", None: ""}[r.met()], number(r.peer), number(r.baseline), number(r.ceiling)]
                      for r in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in cells)


class Context:
    """Paths, and results that are worked out once and kept in `work`."""

    def __init__(self, data, bin_dir, model, work):
        self.data, self.bin, self.model, self.work = (pathlib.Path(p).resolve() for p in (data, bin_dir, model, work))
        self.work.mkdir(parents=True, exist_ok=True)

    def need(self, *parts):
        """A path below the data folder; Missing when it is not there."""
        path = self.data.joinpath(*parts)
        if not path.exists():
            raise Missing(f"{path} is not there (DATA)")
        return path

    def program(self, name):
        path = self.bin / name
        if not path.exists():
            raise Missing(f"{path} is not built (make)")
        return path

    def run(self, *command):
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(str(c) for c in command)}: {done.stderr.strip() or done.returncode}")
        return done.stdout

    def listen(self, path, *options):
        """The report of bin/listen, kept until the program, a checkpoint or the recording changes."""
        listen = self.program("listen")
        inputs = [listen, pathlib.Path(path), *sorted(self.model.glob("*.h5"))]
        key = repr([(str(p), p.stat().st_mtime_ns) for p in inputs] + [str(o) for o in options])
        report = self.work / "reports" / (hashlib.sha256(key.encode()).hexdigest()[:24] + ".json")
        if not report.exists():
            report.parent.mkdir(exist_ok=True)
            self.run(listen, path, "--report", report, "--quiet", *options)
        return json.loads(report.read_text())

    def render_pop909(self, ids, seconds=60):
        """POP909 melodies sung by a sampled voice: {id: (wav, truth)}, truth with beats, downbeats, key, chords, melody."""
        corpus, out = self.need("midi", "pop909"), self.work / "pop909"
        renderer = self.need("..", "judge", "render_vocal.py")
        missing = [i for i in ids if not (out / f"{i}.json").exists()]
        if missing:
            self.run("/usr/bin/python3", renderer, corpus, out, *missing, "--seconds", seconds)
        return {i: (out / f"{i}.wav", json.loads((out / f"{i}.json").read_text())) for i in ids}

    def render_songs(self, name, *options):
        """A folder of tools/render_dataset, rendered once: the song folders, each with truth.json and its stems."""
        out = self.work / name
        done = out / "done"
        if not done.exists() or done.read_text() != repr(options):
            self.run(self.program("render_dataset"), out, "--quiet", *options)
            done.write_text(repr(options))
        return sorted(p.parent for p in out.glob("*/truth.json"))
