"""What is known of a run for those who put it into words. Invariant: derived from the case and its diagnosis alone; what was not
measured is None or NaN, and nobody says it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from advisor.diagnosis.case import Case
from advisor.diagnosis.findings import Diagnosis
from advisor.tasks import PICTURE_TASKS
from loralab.core import report
from loralab.core.events import RunView
from loralab.core.records import Score
from loralab.core.verdict import Verdict


@dataclass(frozen=True)
class RunSummary:
    """A run and what the rules found in it, as far as it is known."""

    case: Case
    diagnosis: Diagnosis
    larger: str = ""  # the next larger model that fits this computer, with its size; empty where there is none

    @property
    def sees(self) -> bool:
        """Whether it learned from pictures."""
        return self.case.plan.task in PICTURE_TASKS

    @cached_property
    def view(self) -> RunView:
        return self.case.view or RunView(run="")

    @cached_property
    def losses(self) -> tuple[float, float, int]:
        """Held-out loss without and with what was learned (NaN where not measured), and on how many examples."""
        base, after, n = report.losses(self.view)
        return _number(base), _number(after), n

    @property
    def before(self) -> float:
        return self.losses[0]

    @property
    def after(self) -> float:
        return self.losses[1]

    @property
    def heldout(self) -> int:
        return self.losses[2]

    @cached_property
    def examples(self) -> int:
        """Examples learned from; 0 where nobody noted it."""
        if self.case.facts and self.case.facts.n_train:
            return self.case.facts.n_train
        return self.view.measured.n_train if self.view.measured else 0

    @cached_property
    def seconds(self) -> float:
        """Seconds of training, over all attempts."""
        said = self.view.ending.result.get("seconds") if self.view.ending else None
        if isinstance(said, int | float) and math.isfinite(said):
            return float(said)
        return self.view.steps[-1].time - self.view.started if self.view.steps and self.view.started else math.nan

    @cached_property
    def verdict(self) -> tuple[str, str]:
        """The verdict's word and its sentence; both empty where the run was not judged."""
        final = self.case.signals.final
        found = report.judged(final) if final else {"verdict": "", "words": ""}
        return found["verdict"], found["words"] if found["verdict"] else ""

    @property
    def conclusion(self) -> Verdict | None:
        """Whether it learned and whether it can be used; None where it was not judged, or by an earlier version."""
        return self.view.conclusion

    @cached_property
    def main(self) -> Score | None:
        """The measure the verdict rests on."""
        final = self.case.signals.final
        return next((score for score in final.scores if score.main), None) if final else None

    @cached_property
    def accuracy(self) -> Score | None:
        """A measure that is a share of right answers, where the run was judged by one."""
        final = self.case.signals.final
        return next((score for score in final.scores if score.share and score.group == "accuracy"), None) if final else None

    @cached_property
    def early(self) -> str:
        """Why it ended before its last update although nothing was wrong; empty where it did not."""
        return next((note.why for note in reversed(self.view.notes) if note.code == "ended_early"), "")

    @property
    def total(self) -> int:
        return self.view.total_steps or self.view.step

    @cached_property
    def gain(self) -> float:
        """By what share the held-out loss fell; negative where it rose."""
        return (self.before - self.after) / self.before if self.before else math.nan

    @cached_property
    def peak(self) -> int:
        """Largest memory seen, in bytes; 0 where nobody measured it."""
        said = self.view.ending.result.get("peak_memory_bytes") if self.view.ending else 0
        return int(said) if isinstance(said, int | float) and said else max((step.memory_bytes for step in self.view.steps), default=0)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
