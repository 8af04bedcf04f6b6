"""Owns the bundled data sets: which there are and what was proven of each. Invariant: naming them reads no examples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from loralab.core import paths
from loralab.core.errors import UserError
from loralab.core.records import DatasetProfile, Record


class SampleSet(Record):
    """A bundled data set with the plan that was proven on it (docs/measurements/plans.md) and what may be expected of it."""

    name: str
    task: str = "text"  # the kind of training it is for
    title: str
    teaches: str  # one sentence
    path: str
    rows: int
    licence: str
    credit: str
    goal: str  # what a person would want it for: one of the goals offered at the start
    model: str  # the smallest of the catalogue that can do it
    settings: dict[str, Any]  # of the proven plan, beside what the planner chooses
    expect: str  # what it then does, after “about 4 minutes here; ”
    learned: Literal["yes"] = "yes"  # a sample that teaches nothing is none
    usable: Literal["yes", "partly", "you_decide"]
    minutes: float  # from start to verdict on two quiet cores (docs/measurements/plans.md says which)
    shape: str  # the rest of what a profile with its model's tokenizer says, so that it can be planned for without being read
    n_heldout: int
    tokens: dict[str, int]

    @property
    def profile(self) -> DatasetProfile:
        """As much of its profile as a plan and its minutes depend on."""
        rows, aside = self.rows, self.n_heldout
        named = DatasetProfile(id=self.name, name=self.name, path=self.path, shape=self.shape, tokens=self.tokens, n_read=rows, n_kept=rows)
        return named.model_copy(update={"n_train": rows - aside, "n_heldout": aside, "task": self.task})


def samples() -> tuple[SampleSet, ...]:
    """The bundled data sets, in the order of `data/samples/samples.json`."""
    index = json.loads((paths.SAMPLES / "samples.json").read_text("utf-8"))
    return tuple(SampleSet(path=str(paths.SAMPLES / entry.pop("file")), **entry) for entry in index)


def sample(name: str) -> SampleSet:
    """The bundled data set of this name. Raises UserError with the names there are."""
    known = {entry.name: entry for entry in samples()}
    if name not in known:
        raise UserError(f"There is no bundled data set called “{name}”.", f"There are: {', '.join(known)}.", code="no_sample")
    return known[name]


def sample_at(path: Path | str) -> SampleSet | None:
    """The bundled data set that lies there, or None."""
    return next((entry for entry in samples() if Path(entry.path) == Path(path)), None)
