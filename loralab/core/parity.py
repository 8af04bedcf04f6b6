"""What was found when an export was compared with what was trained: written beside it, shown on the card, the screen and the terminal."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from loralab.core.records import Record
from loralab.core.words import count

FILE = "parity.json"
TITLE = "## Compared with what was trained"


class Check(Record):
    """One comparison. `told_only`: its outcome is shown and decides nothing."""

    name: str
    ok: bool
    words: str
    numbers: dict[str, Any] = Field(default_factory=dict)
    bound: dict[str, float | None] = Field(default_factory=dict)  # None, in a file: no bound
    told_only: bool = False

    @property
    def bound_words(self) -> str:
        """The bounds there are, each with its name."""
        return "; ".join(f"{name} {value:g}" for name, value in self.bound.items() if value is not None and math.isfinite(value))


class Parity(Record):
    """What the gate found, as parity.json beside an export holds it."""

    outcome: Literal["proven", "differs", "untried"]
    words: str = ""
    why: str = ""  # of a difference: probably
    todo: str = ""
    part: str = ""  # of an export nobody could try: the optional part that can
    runtime: str = ""
    kind: str = ""  # of number in the file, by which the bounds go
    checks: tuple[Check, ...] = ()
    seconds: float = 0.0  # that the comparison took

    @property
    def proven(self) -> bool:
        """Whether it does what was trained."""
        return self.outcome == "proven"

    @property
    def took(self) -> str:
        """What the comparison cost, as a sentence; empty where nobody measured it."""
        return f"The comparison took {count(max(1, round(self.seconds)), 'second')}." if self.seconds else ""

    def facts(self) -> dict[str, Any]:
        """The numbers in one flat table, as a run's result holds them."""
        found: dict[str, Any] = {"checked_with": self.runtime, "parity": self.outcome, "parity_words": self.words}
        found |= {"proof_seconds": self.seconds} if self.seconds else {}
        for check in self.checks:
            found |= check.numbers
        return found | ({"unchecked": self.words} if self.outcome == "untried" else {})

    def lines(self) -> tuple[str, ...]:
        """The card, in Markdown."""
        table = ["| check | | found | bound |", "|---|---|---|---|"] if self.checks else []
        for check in self.checks:
            mark = "told" if check.told_only else "same" if check.ok else "**differs**"
            table.append(f"| {check.name} | {mark} | {check.words} | {check.bound_words} |")
        notes = [f"Probably: {self.why}" if self.why else "", self.todo, self.took]
        return (TITLE, "", self.words, *filter(None, notes), "", *table, "")


def read(folder: Path) -> Parity | None:
    """What lies beside an export in `folder`; None where nothing does, or nothing that can be read."""
    try:
        return Parity.model_validate_json((folder / FILE).read_bytes())
    except (OSError, ValidationError):
        return None
