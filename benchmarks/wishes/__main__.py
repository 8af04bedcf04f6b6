"""How often “describe what you want” understands: kind of task, language, length; and whether its plans are valid and fit this computer.

    python -m benchmarks.wishes [--fresh | --third] [--plans] [--errors]

Odd lines of prompts.jsonl are dev, even lines are held out. `--fresh` asks about fresh.jsonl instead, by somebody who had not seen what
reads them; since then its odd lines and all of prompts.jsonl are learned from (fit.py): only its even lines are a measure. `--third` asks
about third.jsonl, by a third author who had seen nothing, all of it held out. `--errors` shows what was read wrong, of dev alone. `--plans`
makes all plans.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import cast

from pydantic import ValidationError

from advisor.proposals.describe import Described, describe
from advisor.proposals.wishes import SIGNS, Length, Task, Wish, understand
from benchmarks.labfail.replay import wilson
from loralab.core.records import Record
from loralab.lab import Lab
from loralab.planning import estimate
from loralab.tasks.text import TextPlan

PROMPTS, FRESH, THIRD = (Path(__file__).with_name(name) for name in ("prompts.jsonl", "fresh.jsonl", "third.jsonl"))
FETCHED = "not_downloaded"  # a plan may name a model that is fetched after a yes


class Prompt(Record):
    """A wish and what the person who typed it means."""

    wish: str
    kind: Task
    language: str
    length: Length


def prompts(file: Path = PROMPTS) -> tuple[list[Prompt], list[Prompt]]:
    """Dev and held out."""
    found = [Prompt.model_validate_json(line) for line in file.read_text("utf-8").splitlines()]
    return found[0::2], found[1::2]


def report(name: str, asked: Sequence[Prompt]) -> list[str]:
    """Shares of one half."""
    read = [(one, understand(one.wish)) for one in asked]
    sure = [(one, wish) for one, wish in read if wish.sure]
    named = [(one, wish) for one, wish in read if one.language]
    sized = [(one, wish) for one, wish in read if one.length]
    return [
        f"{name}:",
        f"  right kind: {wilson(sum(one.kind == wish.task for one, wish in read), len(read))}",
        f"  where it is sure: {wilson(sum(one.kind == wish.task for one, wish in sure), len(sure))}",
        f"  among the kinds it names: {wilson(sum(one.kind in wish.likely for one, wish in read), len(read))}",
        (
            f"  language: {wilson(sum(one.language == wish.language for one, wish in read), len(read))},"
            f" where one is named: {wilson(sum(one.language == wish.language for one, wish in named), len(named))}"
        ),
        (
            f"  length: {wilson(sum(one.length == wish.length for one, wish in read), len(read))},"
            f" where one is named: {wilson(sum(one.length == wish.length for one, wish in sized), len(sized))}"
        ),
    ]


def confusion(asked: Sequence[Prompt]) -> list[str]:
    """A row for each kind that was meant, a column for each that was read."""
    seen = Counter((one.kind, understand(one.wish).task) for one in asked)
    head = " " * 12 + "".join(f"{kind[:9]:>10}" for kind in SIGNS)
    return [head, *(f"  {meant:10}" + "".join(f"{seen[meant, kind] or '.':>10}" for kind in SIGNS) for meant in SIGNS)]


def wrong(one: Prompt, wish: Wish) -> str:
    """What was read wrong; nothing where all is right."""
    pairs = {"kind": (one.kind, wish.task), "language": (one.language, wish.language), "length": (one.length, wish.length)}
    said = "; ".join(f"{name} {meant or '-'}, read {seen or '-'}" for name, (meant, seen) in pairs.items() if meant != seen)
    return f"  {one.wish}\n      {said}" if said else ""


def holds(lab: Lab, found: Described) -> bool:
    """Whether a plan is valid, fits this computer and carries no error."""
    try:
        TextPlan.model_validate(found.proposal.plan)
    except ValidationError:
        return False
    errors = [p for p in found.proposal.problems if p.severity == "error" and p.code != FETCHED]
    return not errors and estimate.fits(found.proposal.footprint, lab.machine())


def plans(asked: Sequence[Prompt]) -> list[str]:
    """Whether every wish gets a plan that holds, and how long it takes."""
    took, held, models = [], [], Counter[str]()
    with tempfile.TemporaryDirectory() as home:
        lab = Lab(Path(home))
        describe(lab, "answer")  # looking at the machine for the first time is no part of it
        for one in asked:
            begun = time.perf_counter()
            found = describe(lab, one.wish)
            took.append(1e3 * (time.perf_counter() - begun))
            held.append(holds(lab, found))
            models[cast("str", found.proposal.plan["base_model"])] += 1
    return [
        f"valid and fits: {wilson(sum(held), len(held))}; models: {json.dumps(models)}",
        f"a plan: median {median(took):.0f} ms, slowest {max(took):.0f} ms",
    ]


def main() -> None:
    """Print the shares of both halves."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--fresh", action="store_true", help="the wishes of somebody who had not seen what reads them")
    arguments.add_argument("--third", action="store_true", help="those of a third author")
    arguments.add_argument("--plans", action="store_true", help="make the plan of every wish")
    arguments.add_argument("--errors", action="store_true", help="show what was read wrong in dev")
    chosen = arguments.parse_args()
    dev, heldout = prompts(THIRD if chosen.third else FRESH if chosen.fresh else PROMPTS)
    if chosen.third:
        dev, heldout = [], [*dev, *heldout]
    begun = time.perf_counter()
    for one in (*dev, *heldout):
        understand(one.wish)
    lines = [f"reading a wish: {1e3 * (time.perf_counter() - begun) / len((*dev, *heldout)):.2f} ms"]
    lines += [*report("dev", dev), *report("held out", heldout), "meant (rows) and read (columns), dev:", *confusion(dev)]
    if chosen.errors:
        lines += filter(None, (wrong(one, understand(one.wish)) for one in dev))
    if chosen.plans:
        lines += plans((*dev, *heldout))
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
