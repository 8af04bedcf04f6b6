"""Owns the tracing child: `python -m loralab.sessions.trace_job SECONDS` answers questions line by line on its standard streams.

Invariants: every line that comes in is answered by one line of JSON, {"parts": ...} or {"error": words}; it ends when its input closes or
after SECONDS of quiet.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import warnings
from typing import Any

from loralab.tasks.text import TextPlan


def main(arguments: list[str]) -> int:
    """Answer until the input closes."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not stand among the answers
    warnings.simplefilter("ignore")
    quiet = float(arguments[0])
    for line in sys.stdin:
        clock = _leave_after(quiet)
        answers.write(json.dumps(_answer(line)) + "\n")
        answers.flush()
        clock.cancel()
        _leave_after(quiet)
    return 0


def _leave_after(seconds: float) -> threading.Timer:
    """End this process when nothing has been asked for a while."""
    for waiting in threading.enumerate():
        if isinstance(waiting, threading.Timer):
            waiting.cancel()
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()
    return timer


def _answer(line: str) -> dict[str, Any]:
    try:
        from loralab.sessions.trace import Pack, count  # noqa: PLC0415  (that it cannot be imported is an answer, too)

        question = json.loads(line)
        plan = TextPlan.model_validate(question["plan"])
        return {"parts": count(plan, question["config"], Pack(**question["pack"]), question["where"])}
    except Exception as error:  # noqa: BLE001  any model's code may fail in any way on tensors without content; the person reads words
        return {"error": f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else 'no reason given'}"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
