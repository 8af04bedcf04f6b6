"""Owns the keeper, `python -m loralab.runs.supervisor FOLDER`: it starts a run's worker, waits for it and says what became of it.

Invariants: a worker's exit code is always known, also when no app is open; a worker that ends without a word is given its ending, or, when
it was killed, its next try at once; the next run in the queue is started when this one has ended. Only the standard library is imported
while all is well: a keeper takes about 10 MB and a few hundredths of a second.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from loralab.runs.death import Death, Watch
from loralab.runs.protocol import KEEPER, LAUNCH, MEMBER, TAKEN


def main(arguments: list[str]) -> int:
    """Keep the worker of one run folder; the exit code is the worker's (128 + the signal that ended it)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C belongs to the app
    code = keep(arguments[0])
    if code != TAKEN:
        from loralab.runs.queue import hand_over

        hand_over(arguments[0])
    return code if 0 <= code < 256 else 128 + abs(code) % 128


def keep(folder: str) -> int:
    """Start the worker of a run folder, also again, and wait for its end; its exit code, negative for a signal."""
    while True:
        offset, said = _size(folder, "events.jsonl"), _size(folder, "worker.log")
        code, death = _worker(folder)
        if code == TAKEN or _has_ended(folder, offset):
            break
        from loralab.runs.crash import settle

        if not settle(folder, code, offset, said, death):
            break
    return code


def _worker(folder: str) -> tuple[int, Death]:
    """Run the worker to its end; its exit code, negative for a signal, and what was seen of memory when it died."""
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)  # this process has no console on Windows, and the worker must not open one
    several = os.path.exists(os.path.join(folder, LAUNCH))  # noqa: PTH110, PTH118
    command = [sys.executable, "-m", "loralab.train.launcher" if several else "loralab.runs.worker", folder]
    watch = Watch()
    ours = {name: value for name, value in os.environ.items() if name not in MEMBER}  # of a launcher that started the app, say
    worker = subprocess.Popen(command, env={**ours, KEEPER: str(os.getpid())}, creationflags=flags)
    return worker.wait(), watch.seen(worker.pid)


def _size(folder: str, name: str) -> int:
    path = os.path.join(folder, name)  # noqa: PTH118 (pathlib would cost a fifth of a keeper's start)
    return os.stat(path).st_size if os.path.exists(path) else 0  # noqa: PTH110, PTH116


def _has_ended(folder: str, offset: int) -> bool:
    """Whether there is an ending after `offset` of the log. Not only as its last line: a resumed run may have gone on already."""
    if not _size(folder, "events.jsonl"):
        return False
    import json

    with open(os.path.join(folder, "events.jsonl"), "rb") as log:  # noqa: PTH118, PTH123
        log.seek(offset)
        candidates = [line for line in log if b'"type":"ended"' in line]
    try:
        return any(json.loads(line)["type"] == "ended" for line in candidates)
    except (ValueError, KeyError, TypeError):  # torn
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
