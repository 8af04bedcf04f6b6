"""Owns turning one number per answer into a Score: the same statistics and the same way of speaking for every measure on answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loralab.core.records import Score
from loralab.core.words import count
from loralab.evaluations import Answered
from loralab.evaluations.shared.paired import paired_difference, verdict

SMALL = 0.02  # of a share: two answers in a hundred


@dataclass(frozen=True)
class Trait:
    """A number every answer has. `better` and `worse` say in plain words what a change means: “It ends its answers more often”."""

    name: str
    label: str
    help: str
    group: str  # accuracy | fluency | alignment | grounding | forgetting
    better: str
    worse: str
    lower_is_better: bool = False
    share: bool = True
    told_only: bool = False  # neither direction is better: shown with its interval, and no verdict rests on it

    def score(self, base: Sequence[float], adapter: Sequence[float], weights: Sequence[float] | None = None) -> Score:
        """Score of paired numbers per answer (sums, where `weights` say of how many things each is made)."""
        counts = list(weights) if weights is not None else [1.0] * len(base)
        found = paired_difference(base, adapter, counts)
        judged = "" if self.told_only else verdict(found, lower_is_better=self.lower_is_better, small=SMALL if self.share else 0.0)
        bounds = (-1.0, 1.0) if self.share else (float("-inf"), float("inf"))
        return Score(
            name=self.name,
            before=found.before,
            after=found.after,
            n=found.n,
            difference=found.difference,
            low=max(bounds[0], found.low),
            high=min(bounds[1], found.high),
            verdict=judged,
            words=f"{self._says(judged)} ({self._number(found.before)} → {self._number(found.after)}, {count(found.n, 'answer')}).",
            label=self.label,
            help=self.help,
            group=self.group,
            lower_is_better=self.lower_is_better,
            share=self.share,
            p=found.p,
            smallest=found.smallest,
            more_rows=found.more_rows,
        )

    def _says(self, judged: str) -> str:
        return {"better": self.better, "worse": self.worse}.get(judged, f"{self.label}: {judged}" if judged else self.label)

    def _number(self, value: float) -> str:
        return f"{100 * value:.0f} %" if self.share else f"{value:.2f}"


def both(answers: Sequence[Answered], value: Callable[[str, Answered], float]) -> tuple[list[float], list[float]]:
    """`value(text, answered)` of every answer of the base and of the adapter."""
    return [value(a.before.text, a) for a in answers], [value(a.after.text, a) for a in answers]


def shorten(text: str, most: int = 400) -> str:
    """A text for a table of examples."""
    return text if len(text) <= most else f"{text[:most]} …"
