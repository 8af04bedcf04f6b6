"""Owns which of several processes that learn together this one is, and what it says where another is gone.

Who starts them says it in the environment, in the words that torchrun and Accelerate share (RANK, WORLD_SIZE, LOCAL_RANK). Invariants:
process 0 alone writes into the run's folder; where one process is gone the others end, with words, and the run can be resumed with as
many as there are then.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from types import FrameType

from loralab.core.errors import RunFailed
from loralab.core.masking import masked

LOST = "process_lost"


def size() -> int:
    """How many processes learn together; 1 is the usual way."""
    return max(1, _number("WORLD_SIZE", 1))


def rank() -> int:
    """Which of them this one is; 0 leads."""
    return _number("RANK", 0) if size() > 1 else 0


def local_rank() -> int:
    """Which of those on this machine; it says which card is this one's."""
    return _number("LOCAL_RANK", 0) if size() > 1 else 0


def _number(name: str, usual: int) -> int:
    value = os.environ.get(name, "")
    return int(value) if value.isdigit() else usual


def lost(doing: str = "") -> RunFailed:
    """What to say where another process of the same run is gone."""
    while_ = f" while {doing}" if doing else ""
    what = f"One of the {size()} processes that learn together is gone{while_}: it was ended, its machine stopped, or the network broke."
    return RunFailed(what, "Resume: it goes on from the last safety copy, also with another number of processes.", code=LOST)


def tell(text: str) -> None:
    """A line for worker.log, which all processes of a machine write."""
    sys.stderr.write(masked(f"Process {rank()} of {size()}: {text}\n"))
    sys.stderr.flush()


def tell_traceback() -> None:
    """The exception in work, for worker.log."""
    tell(traceback.format_exc())


def mind_the_launcher() -> None:
    """Let a launcher's request to end (one of the others is gone) become words, once; after `deaf` it is passed over."""

    def ended(_signal: int, _frame: FrameType | None) -> None:
        deaf()
        raise lost()

    if size() > 1:
        signal.signal(signal.SIGTERM, ended)


def deaf() -> None:
    """From here on this process writes its last words: a launcher that hurries it is not listened to."""
    if size() > 1:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
