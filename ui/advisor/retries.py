"""Owns what the open app does for runs by itself: failed ones are tried again, tested ones begun, and whoever watches is taken along.

Invariant: a run is begun by one window only, and told of by that one; every window that watches the run before it is taken along, once it
has begun and not when somebody looks back later.
"""

from __future__ import annotations

import time

from advisor.advisor import Advisor
from advisor.proposals.trials import chosen_because
from advisor.repair import tries
from ui.words import esc

FRESH = 5.0  # seconds after its beginning in which windows are taken along
TRIED = "A run failed and is tried again with other settings: what was changed is told here."


class AutoRetry:
    """One for all windows of an app."""

    def __init__(self, advisor: Advisor) -> None:
        self.advisor = advisor
        self._next: dict[str, tuple[str, float]] = {}  # run -> the run that goes on from it, and since when

    def start_due(self) -> str:
        """Begin what is to be begun; what a person should hear of it."""
        news: list[str] = []
        for run in self.advisor.tend():
            self._next |= dict.fromkeys(self.advisor.goes_on_from(run), (run, time.monotonic()))
            job = self.advisor.lab.job(run)
            news.append(TRIED if tries.try_of(job) else f"{esc(chosen_because(job))} The whole run begins.")
        return "<br>".join(news)

    def successor(self, run: str) -> str:
        """The run that has just been begun to go on from `run`; empty where there is none."""
        name, since = self._next.get(run, ("", 0.0))
        return name if time.monotonic() - since < FRESH else ""
