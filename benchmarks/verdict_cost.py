"""What looking and judging cost beside learning, read off the log of a real run: each phase in seconds, and as a share of the training.

    python -m benchmarks.verdict_cost customer_messages --model starter
    python -m benchmarks.verdict_cost customer_messages --model smollm2-135m --home ~/LoRALab --set max_steps=270
    python -m benchmarks.verdict_cost --run ~/LoRALab/runs/2026-11-30-quick-seal

Every interval between two events belongs to what the later one tells (an update, a look, answers, a copy) or, in the verdict, to the phase
that was told before. Training is the updates alone. The load of the machine before and after is printed, and a run with the same changes
twice says how much of a difference is chance.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from loralab.cli.console import chosen, source
from loralab.core.events import Ended, Evaluated, Event, Noted, Previewed, Probed, Saved, Stepped, read
from loralab.lab import Lab

TRAINING, LOOKS, QUESTIONS, COPIES, START = "updates", "looks at held-out examples", "the same few questions", "copies and saving", "start"
OWN = (TRAINING, LOOKS, QUESTIONS, COPIES, START)  # what is no part of the verdict
GOAL = 0.15


def spent(events: Iterable[Event]) -> dict[str, float]:
    """Seconds by phase, in the order of the run."""
    found: dict[str, float] = {}
    phase, judging = START, False
    for before, after in pairwise(events):
        if isinstance(before, Noted) and before.phase:
            phase, judging = before.phase, judging or before.phase.startswith(("measuring", "writing"))
        name = phase if judging else _told(after, phase)
        found[name] = found.get(name, 0.0) + max(0.0, after.time - before.time)
        if isinstance(after, Ended):
            break
    return found


def _told(event: Event, phase: str) -> str:
    """What the time until this event went to, before there is a verdict."""
    match event:
        case Stepped():
            return TRAINING
        case Evaluated():
            return LOOKS
        case Previewed():
            return QUESTIONS
        case Saved():
            return COPIES
        case Noted() | Probed() if phase == "saving":
            return COPIES
        case _:
            return START


def table(found: dict[str, float], updates: int) -> str:
    """Markdown: every phase in seconds and as a share of the updates."""
    training = found.get(TRAINING, 0.0) or float("nan")
    verdict = sum(seconds for name, seconds in found.items() if name not in OWN)
    looks = found.get(LOOKS, 0.0) + found.get(QUESTIONS, 0.0)
    lines = [f"| {updates} updates | seconds | share of the updates |", "|---|--:|--:|"]
    lines += [f"| {name} | {seconds:.1f} | {seconds / training:.1%} |" for name, seconds in found.items() if seconds >= 0.05]
    lines += [f"| verdict in all | {verdict:.1f} | {verdict / training:.1%} |"]
    lines += [f"| **looks, questions and verdict** | {looks + verdict:.1f} | **{(looks + verdict) / training:.1%}** (goal {GOAL:.0%}) |"]
    return "\n".join(lines) + "\n"


def of_run(folder: Path) -> str:
    """The table of a run that has ended, or of as much as there is of one."""
    events, _ = read(folder / "events.jsonl")
    return table(spent(events), sum(isinstance(event, Stepped) for event in events))


def main(argv: Sequence[str] | None = None) -> int:
    """Train where no run is named, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", help="a file of examples or a bundled data set's name")
    parser.add_argument("--run", type=Path, action="append", default=[], help="the folder of a run; may be given several times")
    parser.add_argument("--model", default="starter")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--home", type=Path, help="workspace to keep the run in")
    asked = parser.parse_args(argv)
    if bool(asked.file) is bool(asked.run):
        parser.error("name a file or a run")
    for folder in asked.run:
        _say(f"{folder.name}\n\n{of_run(folder)}")
    if not asked.file:
        return 0
    with tempfile.TemporaryDirectory(prefix="loralab-verdict-") as scratch:
        lab = Lab(asked.home or scratch)
        profile = lab.profile(source(lab, asked.file), model=asked.model)
        proposal = lab.propose(profile, model=asked.model, **chosen(asked.set))
        _say(f"load before: {_load()}")
        run = lab.start(proposal)
        view = lab.wait(run)
        _say(f"load after: {_load()}; the run {view.state}\n")
        _say(of_run(lab.home / "runs" / run))
    return 0


def _load() -> str:
    return " ".join(f"{load:.1f}" for load in os.getloadavg())


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
