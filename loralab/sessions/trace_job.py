"""Entry point of the tracing child: `python -m loralab.sessions.trace_job SECONDS`. It ends with its parent, or after SECONDS of quiet."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from typing import Any

from loralab.core.child_process import serve
from loralab.tasks.text import TextPlan


class Tracing:
    """What can be asked: how much a plan's largest step holds in memory. The libraries are loaded by the first question."""

    version = "1"

    def __init__(self, quiet_seconds: float) -> None:
        self._quiet = quiet_seconds
        self._clock = self._leave_later()

    def count(self, plan: dict[str, Any], config: dict[str, Any], pack: dict[str, Any], where: str) -> dict[str, int]:
        """Bytes by part at the worst moment of a step."""
        self._clock.cancel()
        try:
            from loralab.sessions.trace import Pack, count  # noqa: PLC0415  (that it cannot be imported is an answer, too)

            return {name: int(value) for name, value in count(TextPlan.model_validate(plan), config, Pack(**pack), where).items()}
        finally:
            self._clock = self._leave_later()

    def _leave_later(self) -> threading.Timer:
        clock = threading.Timer(self._quiet, os._exit, (0,))
        clock.daemon = True
        clock.start()
        return clock


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    serve(lambda: Tracing(float(sys.argv[1])))
