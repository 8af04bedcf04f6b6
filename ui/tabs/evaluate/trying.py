"""Owns how it looks to try what would help before it is told: what is offered, what is at work with its time left, and what was seen.

Invariant: the tests are runs of their own. The page only looks for them, so they are found again after a reload, and leaving ends none.
"""

from __future__ import annotations

from dataclasses import dataclass

from advisor.advisor import Advisor
from advisor.proposals.pilots import Offer, Tested, tested
from advisor.proposals.trials import pilot_of
from advisor.repair import tries
from loralab.core.errors import UserError
from loralab.core.events import RunView
from loralab.core.words import about
from loralab.lab import Lab
from ui.markup import draw
from ui.runs.work import DOING, progress_line

TITLE = "Trying what would help"
ASKED = "Each change is a short training, held against this run. You can cancel, and where you say yes, it is done so from now on."
KEPT = "It is tried first because you said so once."
NOTHING_HELPED = "Nothing that was tried did better than this run, by more than chance."


@dataclass(frozen=True)
class Trial:
    """What would be tried, and whether a person has said yes to that."""

    offer: Offer
    allowed: bool

    @property
    def cost(self) -> str:
        """“about 2 minutes”."""
        return about(self.offer.seconds)

    @property
    def words(self) -> str:
        """What is tried, what that means, and how to have it otherwise."""
        return f"{self.offer.words} {KEPT if self.allowed else ASKED}"


def trial_of(advisor: Advisor, run: str) -> Trial | None:
    """What would be tried for a run, while the machine is free; None where nothing is."""
    try:
        offered = advisor.would_try(run) if not advisor.lab.queue() else None
    except UserError:  # its examples are gone
        return None
    return Trial(offered, tries.policy(advisor.lab.home).try_first) if offered else None


def trying_html(lab: Lab, at_work: Tested) -> str:
    """The test that is at work, and the way to end it."""
    return draw("result", "trying", TITLE, at_work.working, line_of(lab, at_work))


def line_of(lab: Lab, at_work: Tested) -> str:
    """Which of how many, how far, and how long still."""
    line = progress_line(lab.view(at_work.working), f"{at_work.number} of {len(at_work.runs)}: {at_work.now}")
    left = f"{about(at_work.seconds_left).capitalize()} left for all of it." if at_work.seconds_left > 1 else "Almost done."
    return line + draw("result", "left", left)


def work_line(lab: Lab, work: RunView, kind: str) -> str:
    """What a live page is told of a piece of work: of a test with the time that all of it still takes."""
    if kind != "train":
        return progress_line(work, DOING[kind])
    trial = pilot_of(lab, work.run)
    found = tested(lab, trial.of) if trial else None
    return line_of(lab, found) if found and found.active else ""
