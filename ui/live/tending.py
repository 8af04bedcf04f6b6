"""Owns what the open app does for runs by itself, in one thread: the next one begins, failed ones are tried again, tested ones begun.

Invariant: it depends on no window; a run is begun once and told of in every window, and those that watch the run before it are taken
along once it has begun, not when somebody looks back later.
"""

from __future__ import annotations

import threading
import time

from advisor.advisor import Advisor
from advisor.proposals.trials import chosen_because
from advisor.repair import tries
from ui.errors import LOG
from ui.markup import esc

EVERY = 5.0  # seconds between two looks
FRESH = 10.0  # seconds after its beginning in which windows are taken along
TRIED = "A run failed and is tried again with other settings: what was changed is told here."


class Tending:
    """One for an app."""

    def __init__(self, advisor: Advisor, every: float = EVERY) -> None:
        self.advisor, self.every = advisor, every
        self.news = ""  # the run that was begun last, and on the next line what people should hear of it
        self._next: dict[str, tuple[str, float]] = {}  # run -> the run that goes on from it, and since when

    def begin(self) -> None:
        """Look again and again until the app ends."""
        threading.Thread(target=self._work, name="tending", daemon=True).start()

    def _work(self) -> None:
        while True:
            try:
                self.look()
            except Exception as error:  # noqa: BLE001  (a disk that is full, a run deleted meanwhile: the next look is another)
                LOG.error("tending failed", exc_info=error)
            time.sleep(self.every)

    def look(self) -> None:
        """Begin what is to be begun. That the next run in line begins is part of looking at the queue."""
        self.advisor.lab.queue()
        for run in self.advisor.tend():
            self._next |= dict.fromkeys(self.advisor.goes_on_from(run), (run, time.monotonic()))
            job = self.advisor.lab.job(run)
            self.news = f"{run}\n{TRIED if tries.try_of(job) else f'{esc(chosen_because(job))} The whole run begins.'}"

    def successor(self, run: str) -> str:
        """The run that has just been begun to go on from `run`; empty where there is none."""
        name, since = self._next.get(run, ("", 0.0))
        return name if time.monotonic() - since < FRESH else ""
