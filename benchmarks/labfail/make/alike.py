"""How often “test three settings first” picks another setting although all three are the same.

    python -m benchmarks.labfail.make.alike OUT [N]      N tests, and how far apart pilots that are alike end
    python -m benchmarks.labfail.make.alike OUT --again  the same from the reports kept in OUT/alike.jsonl

Each test is three real pilots of one plan that differ only in the order of their examples, which is the noise a setting must stand out of.
Tests of the first seed are dev: the noise in advisor/proposals/trials.py was taken from them; the others are held out. OUT is the folder
the corpus was generated in: its bases are used.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from advisor.proposals.trials import MEASURES, MIN_UPDATES, decide, loss_of
from benchmarks.labfail.make.setups import run, usual
from benchmarks.labfail.records import DATA, TINY
from benchmarks.labfail.replay import wilson

PILOTS = 3


@contextmanager
def another_order(salt: int) -> Iterator[None]:
    """The batches of an epoch in another order than the plan's seed gives."""
    from loralab.sessions.text import TextSession

    healthy = TextSession.order

    def order(self: Any, epoch: int) -> list[list[int]]:
        batches = healthy(self, epoch)
        everyone = np.random.default_rng([salt, epoch]).permutation([row for batch in batches for row in batch]).tolist()
        size = self.plan.effective_batch
        return [everyone[at : at + size] for at in range(0, len(everyone), size)]

    with mock.patch.object(TextSession, "order", order):
        yield


def tested(root: Path, model: str, data: str, number: int) -> dict[str, dict[str, Any]]:
    """The judgements of three pilots that are alike; "0" is the usual one."""
    reports: dict[str, dict[str, Any]] = {}
    for pilot in range(PILOTS):
        settings = {"max_steps": MIN_UPDATES, "eval_every": MIN_UPDATES // 4, "patience": 0}
        salt = 100 * number + pilot + 1
        setup = usual(model, data, number).but(
            "", settings=settings, measures=tuple(MEASURES), trouble=lambda salt=salt: another_order(salt)
        )
        reports[str(pilot)] = run(setup, root, f"alike-{model}-{data}-{number}-{pilot}").report
    return {name: report for name, report in reports.items() if report}


def spread(reports: dict[str, dict[str, Any]]) -> float:
    """Standard deviation of the pilots' held-out losses, as a share of what they gained on average."""
    ends = [loss_of(report) for report in reports.values()]
    gained = float(np.mean([loss_of(report, "before") for report in reports.values()])) - float(np.mean(ends))
    return float(np.std(ends, ddof=1)) / gained if gained > 0 else float("inf")


def tell(kept: Sequence[dict[str, Any]]) -> None:
    """The share of wrong picks and the noise, of dev and held out."""
    for name, part in (("dev", [one for one in kept if not one["cell"][2]]), ("held out", [one for one in kept if one["cell"][2]])):
        wrong = [one["cell"] for one in part if decide(one["reports"], "0")[0] != "0"]
        noise = sorted(spread(one["reports"]) for one in part)
        shown = [float(f"{np.quantile(noise, at):.3g}") for at in (0.25, 0.5, 0.75, 0.9, 1)] if noise else []
        rms = float(np.sqrt(np.mean(np.square(noise)))) if noise else 0.0
        say(f"{name}: another picked in {wilson(len(wrong), len(part))}: {wrong}")
        say(f"  spread of pilots that are alike, share of what they gained: quartiles, 90 %, most {shown}; root mean square {rms:.3f}")


def say(line: str) -> None:
    """A line, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> None:
    """A test in each of the first N cells."""
    root = Path(arguments[0]).resolve()
    path = root / "alike.jsonl"
    kept = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    if "--again" in arguments:
        tell(kept)
        return
    most = int(arguments[1]) if len(arguments) > 1 else 72
    for module in ("sessions.job", "sessions.text", "runs.worker"):
        importlib.import_module(f"loralab.{module}")
    done = {tuple(one["cell"]) for one in kept}
    cells = [(model, data, number) for number in range(5) for data in DATA for model in TINY]
    for cell in cells[:most]:
        if cell in done:
            continue
        reports = tested(root, *cell)
        kept.append({"cell": list(cell), "reports": {name: {"rows": {"loss": r["rows"]["loss"]}} for name, r in reports.items()}})
        with path.open("a") as file:
            file.write(json.dumps(kept[-1]) + "\n")
        say(f"{cell}: {decide(reports, '0')[0]}, spread {spread(reports):.3f}")
    tell(kept)


if __name__ == "__main__":
    main(sys.argv[1:])
