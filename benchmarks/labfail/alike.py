"""How often “test three settings first” picks another setting although all three are the same: `python -m benchmarks.labfail.alike OUT [N]`

Each test is three real pilots of one plan that differ only in the order of their examples, which is the noise a setting must stand out of.
OUT is the folder the corpus was generated in: its bases are used.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from advisor.proposals.pilots import FEWEST, MEASURES, decide
from benchmarks.labfail.causes import DATA, TINY
from benchmarks.labfail.replay import wilson
from benchmarks.labfail.setups import run, usual

PILOTS = 3


@contextmanager
def another_order(salt: int) -> Iterator[None]:
    """The batches of an epoch in another order than the plan's seed gives."""
    from loralab.train.text import TextSession

    healthy = TextSession.order

    def order(self: Any, epoch: int) -> list[list[int]]:
        batches = healthy(self, epoch)
        everyone = np.random.default_rng([salt, epoch]).permutation([row for batch in batches for row in batch]).tolist()
        size = self.plan.effective_batch
        return [everyone[at : at + size] for at in range(0, len(everyone), size)]

    with mock.patch.object(TextSession, "order", order):
        yield


def picked(root: Path, model: str, data: str, number: int) -> str:
    """Which of three pilots that are alike is taken; "0" is the usual one."""
    reports: dict[str, dict[str, Any]] = {}
    for pilot in range(PILOTS):
        settings = {"max_steps": FEWEST, "eval_every": FEWEST // 4, "patience": 0}
        salt = 100 * number + pilot + 1
        setup = usual(model, data, number).but(
            "", settings=settings, measures=tuple(MEASURES), trouble=lambda salt=salt: another_order(salt)
        )
        reports[str(pilot)] = run(setup, root, f"alike-{model}-{data}-{number}-{pilot}").report
    return decide({name: report for name, report in reports.items() if report}, "0")[0]


def main(arguments: Sequence[str]) -> None:
    """A test in each of the first N cells."""
    root, most = Path(arguments[0]).resolve(), int(arguments[1]) if len(arguments) > 1 else 24
    for module in ("train.job", "train.text", "worker"):
        importlib.import_module(f"loralab.{module}")
    cells = [(model, data, number) for number in range(5) for data in DATA for model in TINY]
    others = 0
    for done, cell in enumerate(cells[:most], 1):
        taken = picked(root, *cell)
        others += taken != "0"
        sys.stdout.write(f"{cell}: {taken}; another in {wilson(others, done)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
