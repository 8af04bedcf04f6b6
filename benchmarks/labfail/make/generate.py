"""Generates LabFail: real trainings with a cause of failure in them, their healthy twins, and healthy ones that look frightening.

    python -m benchmarks.labfail.make.generate OUT [--only CAUSE] [--limit N] [--after NUMBER]
    python -m benchmarks.labfail.make.generate OUT --pack

Can be stopped and goes on where it was. A run whose cause made nothing worse than in its twin, and a healthy run that did not do well, are
told and thrown away. `--pack` writes what there is, compressed, to benchmarks/labfail/runs. `--after` makes runs with higher numbers only:
other examples, other draws, a corpus nobody has seen.
"""

from __future__ import annotations

import argparse
import importlib
import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from benchmarks.labfail import records
from benchmarks.labfail.make.cause import Cause, base_loss, best, last
from benchmarks.labfail.make.causes import causes
from benchmarks.labfail.make.healthy import PLAIN, frightening, pool, setup_of
from benchmarks.labfail.make.setups import Ran, Setup, dumped, run
from benchmarks.labfail.records import HEALTHY, LabRun, slim
from loralab.core.events import RunView

ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}  # see tests/limited_worker
LEARNED = 0.1  # nats below its start that a healthy run ends at least
KEPT = 1.1  # times its best that it may end with
SPARE = 5  # of tries: a cause does not act everywhere

Key = tuple[str, str, int]


class Bench:
    """What is there already, and the place it is written to."""

    def __init__(self, out: Path) -> None:
        self.out = out
        (out / "records").mkdir(parents=True, exist_ok=True)
        self.dropped = set((out / "dropped.txt").read_text().splitlines()) if (out / "dropped.txt").exists() else set[str]()
        self.runs = {found.key: found for path in sorted((out / "records").glob("*.jsonl")) for found in records.read(path)}
        self.twins: dict[Key, RunView] = {
            (r.model, r.data, r.number): r.view for r in self.runs.values() if r.cause == HEALTHY and r.kind == PLAIN
        }

    def keep(self, made: LabRun) -> None:
        """Append a run to the file of its cause."""
        self.runs[made.key] = made
        with (self.out / "records" / f"{made.cause}.jsonl").open("a", encoding="utf-8") as file:
            file.write(records.as_line(made))

    def drop(self, key: str, why: str) -> None:
        """Remember that a run is of no use."""
        self.dropped.add(key)
        with (self.out / "dropped.txt").open("a") as file:
            file.write(key + "\n")
        say(f"dropped {key}: {why}")


def say(line: str) -> None:
    """Progress, at once."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stdout.flush()


def healthy(bench: Bench, kind: str, model: str, name: str, number: int) -> RunView | None:
    """A healthy run, made where it is not there yet; None where it did not do well."""
    key = f"{HEALTHY}/{kind}/{model}/{name}/{number}"
    if key in bench.dropped:
        return None
    if key in bench.runs:
        return bench.runs[key].view
    begun = time.monotonic()
    setup = setup_of(kind, model, name, number)
    made = run(setup, bench.out, key.replace("/", "-"))
    view = made.view
    well = math.isfinite(best(view)) and best(view) < base_loss(view) - LEARNED
    if view.state not in ("finished", "stopped") or not well or (view.state == "finished" and last(view) > KEPT * best(view) + LEARNED):
        bench.drop(
            key, f"{view.state}, held out {base_loss(view):.3f} to {best(view):.3f}, at its end {last(view):.3f}; {made.log[-200:]!r}"
        )
        return None
    bench.keep(_record(HEALTHY, kind, setup, made, number, None, time.monotonic() - begun))
    if kind == PLAIN:
        bench.twins[model, name, number] = view
    say(f"{key}: {base_loss(view):.2f} to {best(view):.2f}, {len(view.steps)} updates, {time.monotonic() - begun:.1f} s")
    return view


def failing(bench: Bench, cause: Cause, number: int, cell: Key) -> bool:
    """A run with a cause in it; whether there is one, now or from before."""
    key = f"{cause.name}//{cell[0]}/{cell[1]}/{number}"
    if key in bench.dropped:
        return False
    if key in bench.runs:
        return True
    twin = bench.twins.get(cell) or healthy(bench, PLAIN, *cell)
    if twin is None:
        bench.drop(key, "its twin does not do well")
        return False
    begun = time.monotonic()
    setup = cause.inject(setup_of(PLAIN, *cell), Random(f"{cause.name} {number}"))
    made = run(setup, bench.out, key.replace("/", "-"))
    view = made.view
    if not cause.acts(view, twin):
        bench.drop(key, f"{setup.injected}: did not act, {best(view):.3f} beside {best(twin):.3f} {view.state} {made.log[-300:]!r}")
        return False
    bench.keep(_record(cause.name, "", setup, made, number, twin, time.monotonic() - begun))
    say(f"{key}: {setup.injected}; {best(view):.2f} beside {best(twin):.2f}, {view.state}, {time.monotonic() - begun:.1f} s")
    return True


def _record(cause: str, kind: str, setup: Setup, made: Ran, number: int, twin: RunView | None, seconds: float) -> LabRun:
    there = {"base": base_loss(twin), "best": best(twin), "last": last(twin)} if twin else {}
    profile = made.profile.model_copy(update={"path": made.profile.name}).model_dump() if made.profile else None
    plan = {**made.plan, "dataset": Path(str(made.plan["dataset"])).name, "base_model": setup.model}
    return LabRun(
        cause=cause,
        kind=kind,
        model=setup.model,
        data=setup.data,
        number=number,
        twin=setup.seed,
        injected=setup.injected,
        plan=plan,
        events=slim(dumped(made.events, made.root)),
        log=made.log[-records.TAIL :].replace(str(made.root), "labfail"),
        profile=profile,
        healthy_twin=there,
        seconds=round(seconds, 1),
    )


def cells_of(cause: Cause) -> list[Key]:
    """Where a cause is tried, in order: every model and every data set about equally often."""
    cells = [cell for cell in pool() if cell[0] in cause.models and cell[1] in cause.data and cell[2] == 0]
    Random(cause.name).shuffle(cells)
    seen: dict[str, int] = {}
    order: list[tuple[int, int, Key]] = []
    for at, cell in enumerate(cells):
        turn = max(seen.get(cell[0], 0), seen.get(cell[1], 0))
        seen[cell[0]], seen[cell[1]] = seen.get(cell[0], 0) + 1, seen.get(cell[1], 0) + 1
        order.append((turn, at, cell))
    return [cell for _, _, cell in sorted(order)]


def work(bench: Bench, only: str, limit: int, after: int) -> Iterator[str]:
    """Round by round, a run of every cause and some healthy ones, so that a corpus stopped early is even."""
    chosen = [cause for name, cause in causes().items() if not only or name == only]
    wanted = {cause.name: limit or cause.runs for cause in chosen}
    tried = dict.fromkeys(wanted, 0)
    done = dict.fromkeys(wanted, 0)
    scary = [] if only else frightening()
    while any(done[c.name] < wanted[c.name] and tried[c.name] < wanted[c.name] + SPARE for c in chosen) or scary:
        for cause in chosen:
            name = cause.name
            if done[name] >= wanted[name] or tried[name] >= wanted[name] + SPARE:
                continue
            number, cells = after + tried[name], cells_of(cause)
            model, kind, seed = cells[number % len(cells)]
            done[name] += failing(bench, cause, number, (model, kind, seed + after))
            tried[name] += 1
            yield name
        for kind, model, name, number in scary[:6]:
            healthy(bench, kind, model, name, number + after)
        scary = scary[6:]
    if not only and not limit and not after:
        for model, name, number in pool():
            healthy(bench, PLAIN, model, name, number)
            yield HEALTHY


def pack(bench: Bench) -> None:
    """What there is, into the repository."""
    records.RUNS.mkdir(exist_ok=True)
    for path in sorted((bench.out / "records").glob("*.jsonl")):
        records.write(records.RUNS / f"{path.name}.xz", sorted(records.read(path), key=lambda found: found.key))
    say(f"{len(bench.runs)} runs, {sum(p.stat().st_size for p in records.RUNS.iterdir()) / 1e6:.2f} MB")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--after", type=int, default=0)
    parser.add_argument("--pack", action="store_true")
    asked = parser.parse_args()
    bench = Bench(asked.out.resolve())
    if asked.pack:
        pack(bench)
        return
    for module in ("sessions.job", "sessions.text", "runs.worker"):
        importlib.import_module(f"loralab.{module}")  # so that a fork begins with it
    for _ in work(bench, asked.only, asked.limit, asked.after):
        pass


if __name__ == "__main__":
    if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.labfail.make.generate", *sys.argv[1:]], os.environ | ENVIRONMENT)  # noqa: S606
    main()
