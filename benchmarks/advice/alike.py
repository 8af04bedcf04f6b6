"""How often trying first says that something helps although all that is tried is the same.

    python -m benchmarks.advice.alike OUT [--minutes 10] [--base llama]   trains; goes on where it was, then the table
    python -m benchmarks.advice.alike OUT --again                         the table of what is there

A test is a run as it is and two others of the very same plan with other seeds, so that adapters begin and examples come otherwise: more
noise than in a real test, whose runs share their seed. Cases are those of the judge (recipes.py), with and without faults, of both halves:
nothing of the advice is looked at. Every second one is whole, the others are as short as a test must be for which there is no time.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from advisor.proposals import pilots, trials
from benchmarks.advice.recipes import Drawn, drawn
from benchmarks.labfail.make import setups
from benchmarks.labfail.make.setups import Setup, run
from benchmarks.labfail.replay import wilson

ARMS = 3  # a run as it is and two others
MOST_UPDATES = 160  # of a case; longer ones are left out, so that there is time for many
SHORT = {"max_steps": trials.MIN_UPDATES, "eval_every": trials.MIN_UPDATES // 4, "patience": 0}


def updates(of: Drawn) -> int:
    """What a case makes, about."""
    rounds = float(of.settings["epochs"]) * len(of.rows) / float(of.settings["effective_batch"])
    return round(min(rounds, of.settings.get("max_steps") or rounds))


def tested(of: Drawn, base: str, root: Path, *, short: bool) -> dict[str, dict[str, Any]]:
    """What the runs of one test were judged; those that failed are left out."""
    found: dict[str, dict[str, Any]] = {}
    for arm in range(ARMS):
        settings = of.settings | {"seed": int(of.settings["seed"]) + 1000 * arm} | (SHORT if short else {})
        setup = replace(Setup(base, "alike", int(of.settings["seed"]), of.rows, settings), measures=trials.MEASURES)
        report = run(setup, root, f"alike-{of.key.split('/')[0]}-{arm}").report
        if report:
            found[str(arm)] = {"rows": {"loss": report["rows"]["loss"]}}
    return found


def table(kept: list[dict[str, Any]]) -> list[str]:
    """The share of tests that say something helps."""
    lines: list[str] = []
    for name, part in (
        ("whole", [one for one in kept if not one["short"]]),
        ("short", [one for one in kept if one["short"]]),
        ("all", kept),
    ):
        clocked = {one["key"] for one in part if drawn(int(one["key"].split("/")[0])).settings.get("max_minutes")}
        sound = [one for one in part if len(one["judged"]) == ARMS and one["key"] not in clocked]
        wrong = [one["key"] for one in sound if pilots.chosen(one["judged"], "0")]
        lines.append(f"{name}: something is said to help in {wilson(len(wrong), len(sound))} {wrong}")
    return lines


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--base", default="llama")
    parser.add_argument("--again", action="store_true")
    asked = parser.parse_args()
    path, until = asked.out / "alike.jsonl", time.monotonic() + 60 * asked.minutes
    kept = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    if not asked.again:
        asked.out.mkdir(parents=True, exist_ok=True)
        setups.PATIENCE_SECONDS = 3600.0
        for module in ("sessions.job", "sessions.text", "runs.worker"):
            importlib.import_module(f"loralab.{module}")
        done = {one["key"] for one in kept}
        for number in count():
            of = drawn(number)
            if time.monotonic() >= until:
                break
            if of.key in done or updates(of) > MOST_UPDATES or of.settings.get("max_minutes"):  # which no test is made of
                continue
            kept.append({"key": of.key, "short": bool(number % 2), "judged": tested(of, asked.base, asked.out, short=bool(number % 2))})
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(kept[-1]) + "\n")
    sys.stdout.write("\n".join(table(kept)) + "\n")


if __name__ == "__main__":
    main()
