"""How long a person waits for a given held-out loss: our proposal as it is against each peer's own recipe, from the start of the process.

    python -m benchmarks.time_to_loss [--base smollm2] [--rows medquad,gsm8k,chat] [--minutes 30] [--out results.json] > table.md

Each trainer runs alone, one after the other, on the same token ids. Ours is a whole run of the product, its looks at held-out examples
within its time; a peer is given its own defaults (learning rate, batch, adapter, schedule, precision) and is not charged for being looked
at. The loss in question is the lowest that the peer came to. All losses are of the same held-out examples and computed by the same code.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.training import bases, rows
from benchmarks.training.engine import KINDS, Engine, EngineFailed
from benchmarks.training.environments import NotInstalled, python
from loralab.core import events
from loralab.core.paths import CHECKOUT
from loralab.lab import Lab

PEERS = ("trainer", "trl_shipped", "llamafactory_shipped")
LOOKS = 12  # at a peer's adapter, evenly over its recipe
Reached = list[tuple[float, float]]  # seconds from the start, held-out loss


def main() -> None:
    """Measure every set of rows; print the table, write the numbers."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--base", default=bases.REAL)
    options.add_argument("--rows", default=",".join(rows.SETS))
    options.add_argument("--peers", default=",".join(PEERS))
    options.add_argument("--examples", type=int, default=400)
    options.add_argument("--minutes", type=float, default=30.0, help="of a trainer, at most")
    options.add_argument("--data", type=Path, default=CHECKOUT.parent / "shared" / "data")
    options.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "loralab-benchmarks")
    options.add_argument("--environments", type=Path)
    options.add_argument("--out", type=Path)
    asked = options.parse_args()
    asked.environments = asked.environments or asked.cache / "environments"
    found: list[dict[str, Any]] = []
    for name in asked.rows.split(","):
        with tempfile.TemporaryDirectory(prefix="time-") as scratch:
            found.append(raced(name, asked, Path(scratch)))
        sys.stdout.write(table(found[-1]))
        sys.stdout.flush()
        if asked.out:
            asked.out.write_text(json.dumps(found, indent=1), "utf-8")


def raced(name: str, asked: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """One set of rows: what every trainer reached, and when."""
    base = bases.folder(asked.base, "fp32", asked.cache)
    dataset = rows.write(name, asked.examples, asked.data, scratch / f"{name}.jsonl")
    lab = Lab(scratch / "home")
    proposal = lab.propose(lab.profile(str(dataset), model=str(base)), model=str(base), max_minutes=asked.minutes)
    result: dict[str, Any] = {"rows": name, "base": asked.base, "load": os.getloadavg(), "failed": {}}
    begun = time.time()
    run = lab.start(proposal)
    lab.wait(run)
    told = events.read(lab.home / "runs" / run / "events.jsonl")[0]
    looks = [event for event in told if isinstance(event, events.Evaluated) and event.split != "final"]
    result["ours"] = [(event.time - begun, event.loss) for event in looks]
    judge = Judge(lab, run, base, scratch)
    result["peers"] = {}
    for peer in asked.peers.split(","):
        try:
            result["peers"][peer] = _peer(peer, judge, asked, scratch)
        except (NotInstalled, EngineFailed) as error:
            result["failed"][peer] = str(error)
    return result


class Judge:
    """The run's own session again: the rows that peers learn from, and held-out losses of any adapter on the same base."""

    def __init__(self, lab: Lab, run: str, base: Path, scratch: Path) -> None:
        from loralab.core.events import EventLog
        from loralab.core.jobs import TrainJob
        from loralab.runs.run_folder import RunFolder
        from loralab.sessions.text import TextSession

        job = lab.job(run)
        assert isinstance(job, TrainJob)  # noqa: S101  it was started as one
        path = scratch / "judge" / "runs" / "judge"
        path.mkdir(parents=True)
        plan: Any = lab.typed(job.plan)
        self.base = base
        self.session = TextSession(plan, RunFolder(path, job, EventLog(path / "events.jsonl")))
        self.rows = scratch / "rows.json"
        self.rows.write_text(json.dumps([{"ids": row.ids, "learned": row.learned} for row in self.session.train_rows]), "utf-8")

    def loss(self, adapter: Path) -> float:
        """Mean loss per learned token of the examples that the run itself looked at."""
        import torch
        from peft import PeftModel

        from loralab.runtimes.base_model import load_base
        from loralab.sessions.head import TextHead

        model: Any = PeftModel.from_pretrained(load_base(self.base, "fp32"), adapter).eval()
        head = TextHead(model.get_base_model())
        with torch.no_grad():
            found = [(head.loss(b.tensors["ids"], b.tensors["learned"]).item(), b.n_targets) for b in self.session.heldout()]
        return sum(loss for loss, _ in found) / sum(n for _, n in found)


def _peer(name: str, judge: Judge, asked: argparse.Namespace, scratch: Path) -> Reached:
    """A peer's own recipe to its end, or to the end of its time."""
    interpreter = python(KINDS[name].environment, asked.environments)
    settings = {"recipe": True, "rows": str(judge.rows), "base": str(judge.base), "seed": 1}
    begun = time.monotonic()
    engine = Engine(name, interpreter, settings, scratch / name)
    spent, made, total = time.monotonic() - begun, 0, engine.about["updates"]
    kept: list[tuple[float, Path]] = []
    try:
        while made < total and spent < 60 * asked.minutes:
            step = min(-(-total // LOOKS), total - made)
            spent += sum(engine.ask("step", count=step)["seconds"])
            made += step
            kept.append((spent, scratch / name / f"at_{made}"))
            engine.ask("save", path=str(kept[-1][1]))
            sys.stderr.write(f"{KINDS[name].words}: {made} of {total} updates in {spent:.0f} s\n")
    finally:
        engine.end()
    return [(seconds, judge.loss(adapter)) for seconds, adapter in kept]


def table(result: dict[str, Any]) -> str:
    """One set of rows in Markdown."""
    before, best = result["ours"][0][1], min(loss for _, loss in result["ours"])
    lines = [
        f"**{result['base']}, {result['rows']}** (load before {result['load'][0]:.2f}; LoRALab {before:.3f} before, {best:.3f} at best)",
        "",
        "| peer's own recipe | its lowest held-out loss | after | LoRALab was there after | faster by |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, reached in result["peers"].items():
        target, seconds = min((loss, seconds) for seconds, loss in reached)
        ours = next((at for at, loss in result["ours"] if loss <= target), None)
        there, ratio = (f"{ours:.0f} s", f"{seconds / ours:.1f}") if ours else ("never", "-")
        lines.append(f"| {KINDS[name].words} | {target:.3f} | {seconds:.0f} s | {there} | {ratio} |")
    lines += [f"| {KINDS[name].words} | did not run: {why.replace('|', '/')} | | | |" for name, why in result["failed"].items()]
    return "\n".join([*lines, "", ""])


if __name__ == "__main__":
    main()
