"""Owns the event logs kept in tests/golden: real trainings, each a line with plan and worker's log and then its events as they were told.

Invariant: a kept log reads as the run's own would; made by `python -m benchmarks.golden` and `python -m benchmarks.golden_pictures`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from advisor.diagnosis.case import Case, of_view
from advisor.diagnosis.diagnose import diagnose
from advisor.diagnosis.findings import Diagnosis
from loralab.core.events import RunView, fold, read

GOLDEN = Path(__file__).parents[1] / "golden"


def names(kind: str = "") -> list[str]:
    """Names of the kept logs; of one kind (healthy, trouble, learning, memory) where named."""
    return sorted(path.stem for path in GOLDEN.glob(f"{kind}*.jsonl"))


def case(name: str) -> Case:
    """The case of a kept log: what the advisor sees of such a run, on a machine of which nothing is known."""
    path = GOLDEN / f"{name}.jsonl"
    head = json.loads(path.read_text("utf-8").partition("\n")[0])
    return replace(of_view(head["plan"], view(name), log=head["log"]), judged=head.get("judged", {}))


def view(name: str) -> RunView:
    """The run as a screen sees it."""
    path = GOLDEN / f"{name}.jsonl"
    return fold(name, read(path, path.read_bytes().index(b"\n") + 1)[0])


def diagnosis(name: str) -> Diagnosis:
    """What the advisor says about a kept log."""
    return diagnose(case(name))
