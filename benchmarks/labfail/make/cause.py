"""What a cause is: what it does to a healthy run, which rows of the table of causes are right answers, and whether it acted.

Invariant: the right answers follow from the cause alone and were written down before any rule was asked about a run with it.
A cause that made nothing worse in a run is no failure there: such a run is thrown away (see generate).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from benchmarks.labfail.make.setups import Setup
from benchmarks.labfail.records import DATA, TINY
from loralab.core.events import RunView
from loralab.datasets.run_facts import Facts, noted

Inject = Callable[[Setup, Random], Setup]
Acts = Callable[[RunView, RunView], bool]  # (the run, its healthy twin)

WORSE = 0.15  # of the twin's held-out loss, or of what it gained where that is less: what counts as really worse
LEAST = 0.1  # nats


@dataclass(frozen=True)
class Cause:
    """One way in which a training goes wrong."""

    name: str
    rules: tuple[str, ...]  # right answers
    inject: Inject
    acts: Acts
    before: bool = False  # of the data or the template: to be caught before the first update
    fixable: bool = False  # there is a way out that needs no new examples: settings, or an operation on those there are
    gone: Acts | None = None  # whether a repaired run is rid of it, where that is not to be no longer worse than the twin
    data: tuple[str, ...] = DATA
    models: tuple[str, ...] = TINY
    runs: int = 9
    rid: Callable[[Setup], Setup] | None = None  # the same run without the cause, where that is not the usual run of the cell

    def mended(self, view: RunView, twin: RunView) -> bool:
        """Whether a run with this cause, repaired, is what its twin is."""
        return self.gone(view, twin) if self.gone else not worse(view, twin)


# ---- whether it acted --------------------------------------------------------------------------------------------------------


def base_loss(view: RunView) -> float:
    """Held-out loss before training."""
    return next((look.loss for look in view.evaluations if look.split == "base"), float("inf"))


def best(view: RunView) -> float:
    """Lowest held-out loss of the run; what nothing was learned from ends where it began."""
    return min((look.loss for look in view.evaluations if look.split == "heldout"), default=base_loss(view))


def last(view: RunView) -> float:
    """Held-out loss at its end."""
    return next((look.loss for look in reversed(view.evaluations) if look.split == "heldout"), base_loss(view))


def worse(view: RunView, twin: RunView) -> bool:
    """Whether what is kept is clearly worse than the twin's, or there is nothing to keep."""
    gained = base_loss(twin) - best(twin)
    return failed(view, twin) or not best(view) <= best(twin) + max(LEAST, WORSE * min(best(twin), gained))


def failed(view: RunView, _: RunView) -> bool:
    """Whether the run did not come to its end."""
    return view.state != "finished"


def told(*codes: str) -> Acts:
    """Whether an incident of one of these codes happened, which in the twin did not."""

    def check(view: RunView, twin: RunView) -> bool:
        ending = view.ending.code if view.ending else ""
        return ending in codes or (any(i.code in codes for i in view.incidents) and not any(i.code in codes for i in twin.incidents))

    return check


def either(*checks: Acts) -> Acts:
    """Whether one of several holds."""
    return lambda view, twin: any(check(view, twin) for check in checks)


def no_longer(check: Acts) -> Acts:
    """Whether it does not hold."""
    return lambda view, twin: not check(view, twin)


def fact(holds: Callable[[Facts], bool]) -> Acts:
    """Whether it holds for what the run learned from, and not for what its twin did; or the run could not even begin."""

    def check(view: RunView, twin: RunView) -> bool:
        ours, theirs = noted(view), noted(twin)
        return failed(view, twin) if ours is None else holds(ours) and not (theirs is not None and holds(theirs))

    return check
