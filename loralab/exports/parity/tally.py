"""Owns the answer to “is the file what was trained”, tensor by tensor: what differs, what is missing, what nobody knows.

Invariant: a tensor that was not compared is a fault; the sentence names the worst of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from loralab.core.parity import Check
from loralab.exports.parity.rounding import Off

NAMED = 3  # faults told by name


@dataclass
class Tally:
    """What was found of a file's tensors so far."""

    wanted: frozenset[str]
    spare: frozenset[str] = frozenset()  # may be there or not
    seen: set[str] = field(default_factory=set)
    wrong: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, off: Off) -> None:
        """A tensor that is there, and how it stands to the trained one."""
        self.seen.add(name)
        if off.count and name not in self.wrong:
            share = f"{off.share:.1%} of its numbers" if off.share else "its scales"
            self.wrong[name] = f"{share} are not the trained ones"

    def fault(self, name: str, words: str) -> None:
        """A tensor that is there and could not even be compared."""
        self.seen.add(name)
        self.wrong[name] = words

    def check(self, strength: Mapping[str, float] | None = None) -> Check:
        """The outcome for all of them."""
        for name in sorted(self.wanted - self.seen):
            self.wrong[name] = "it is missing"
        for name in sorted(self.seen - self.wanted - self.spare):
            self.wrong.setdefault(name, "the model has none of that name")
        numbers: dict[str, Any] = {"tensors": len(self.wanted), "tensors_differ": sorted(self.wrong)}
        numbers |= strength or {}
        if not self.wrong:
            words = f"all {len(self.wanted)} tensors are the trained ones, each number the nearest that its type can hold"
            return Check(name="weights", ok=True, words=words, numbers=numbers, bound={"tensors that differ at most": 0})
        some = "; ".join(f"{name}: {why}" for name, why in list(self.wrong.items())[:NAMED])
        more = f"; and {len(self.wrong) - NAMED} more" if len(self.wrong) > NAMED else ""
        words = f"{len(self.wrong)} of {max(len(self.wanted), len(self.seen))} tensors are not what was trained ({some}{more})"
        return Check(name="weights", ok=False, words=words, numbers=numbers, bound={"tensors that differ at most": 0})


def facts_check(name: str, what: str, wrong: Iterable[str], compared: int) -> Check:
    """The outcome for what is no tensor: `wrong` are sentences' parts, each naming one fact that is not the model's."""
    found = list(wrong)
    numbers: dict[str, Any] = {f"{name}_compared": compared, f"{name}_differ": found}
    if not found:
        return Check(name=name, ok=True, words=f"all {compared} {what} are the model's own", numbers=numbers, bound={"differ at most": 0})
    more = f"; and {len(found) - NAMED} more" if len(found) > NAMED else ""
    words = f"{len(found)} of its {what} are not the model's ({'; '.join(found[:NAMED])}{more})"
    return Check(name=name, ok=False, words=words, numbers=numbers, bound={"differ at most": 0})
