"""Owns what is said and done for a worker that died without a word: its last words, or its next try with half the tokens at once.

Invariants: called only when the worker is known to be gone, so that the log has one writer; a run killed for want of memory goes on by
itself at most twice; a run whose ending cannot be written still ends for who looks.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from loralab.core.disk import is_full
from loralab.core.errors import LabError
from loralab.core.events import Adjusted, Ended, Incident, RunView, Started, adjusted, append, fold, read
from loralab.core.jobs import TrainJob, parse_job
from loralab.core.log import drop_torn_line
from loralab.core.records import Plan
from loralab.runs.protocol import UNWRITTEN
from loralab.tasks import parse_plan

RETRIES = 2
KILLED = frozenset({-9, 137, 9})  # SIGKILL: as Python says it, as a shell or a launcher passes it on, as Windows' os.kill leaves it
NO_MEMORY = frozenset({0xC0000017, 0xC000009A, 0xC000012D})  # Windows: no memory, insufficient resources, commitment limit
SIGNS = ("bad_alloc", "out of memory", "cannot allocate memory", "can't allocate memory", "memoryerror")  # last words of native code
OUTSIDE = frozenset({-1, -2, -15})  # hang-up, interrupt, terminate: somebody, or the end of the session
MANY = 1 << 24  # the bound of the setting
AT_LEAST = 1  # tokens: a budget of 0 would mean none

RESUMABLE = "Resume it to go on from its last safety copy."
INSTALLATION = "Look into worker.log in the run's folder; `python -m loralab doctor` checks the installation."
SMALLER = "Close other programs and resume it, or choose a smaller model, shorter examples or a lower precision."


def settle(folder: str, code: int, offset: int, said: int, *, oom_kills: int) -> bool:
    """Write what became of a worker that ended with `code` and without an ending; True when it is to be started again, and then only
    if that could be written.

    `offset` and `said` are the sizes of the event log and of worker.log when it was started; `oom_kills` is how many processes the
    system has ended for want of memory since then, where it counts them.
    """
    path = Path(folder)
    log = path / "events.jsonl"
    drop_torn_line(log)
    view = fold(path.name, read(log)[0])
    spoke = any(isinstance(event, Started) for event in read(log, offset)[0])
    reason = last_line(path / "worker.log", said)
    again = None if (path / "stop").exists() or not _for_memory(code, reason) else _next_try(path, view, code, oom_kills)
    try:
        append(log, *(again or (last_words(path, view, spoke=spoke, code=code, reason=reason),)))
    except OSError:
        # The incident is what counts the tries: without it there is no next one. Whoever looks at the run writes its ending, or says
        # that it cannot be written.
        return False
    return again is not None


def _for_memory(code: int, reason: str) -> bool:
    return code in KILLED | NO_MEMORY or (code != 0 and any(sign in reason.lower() for sign in SIGNS))


def _tries(view: RunView) -> int:
    return sum(incident.code == "killed_for_memory" for incident in view.incidents)


# ---- the next try ------------------------------------------------------------------------------------------------------------


def _next_try(path: Path, view: RunView, code: int, oom_kills: int) -> tuple[Incident, Adjusted] | None:
    """What to write before a training run goes on with half the tokens at once; None when it has had its tries or is no training."""
    tries = _tries(view)
    if tries >= RETRIES:
        return None
    try:
        job = parse_job((path / "job.json").read_bytes())
        if not isinstance(job, TrainJob):
            return None
        plan = parse_plan(adjusted(parse_plan(job.plan).model_dump(), view.adjustments))
    except (LabError, ValidationError):
        return None  # it never was a plan that could be trained
    before = min(plan.token_budget or MANY, _at_once(plan, view))
    after = max(AT_LEAST, before // 2)
    sure = "for want of memory" if oom_kills else "most likely for want of memory"
    text = f"The system ended the training process, {sure}; it goes on from its last safety copy with half as many tokens at once."
    data: dict[str, Any] = {"exit_code": code, "try": tries + 1, "oom_kills": oom_kills}
    return (
        Incident(step=view.step, code="killed_for_memory", text=text, data=data),
        Adjusted(
            step=view.step,
            setting="token_budget",
            before=plan.token_budget,
            after=after,
            reason=f"The memory did not suffice for {before:,} tokens at once. The result stays the same; only the speed may suffer.",
        ),
    )


def _at_once(plan: Plan, view: RunView) -> int:
    """Tokens computed at once where no budget bounds them: what the plan allows, or less where the examples are shorter than that.

    Half of it must split a micro-batch that was seen, or the next try would be the same as the last.
    """
    allowed = plan.micro_batch * int(getattr(plan, "max_length", 512))
    parts = -(-plan.effective_batch // plan.micro_batch)  # micro-batches behind an update
    seen = max((step.tokens for step in view.steps), default=0)
    return min(allowed, -(-seen // parts)) if seen else allowed


# ---- last words --------------------------------------------------------------------------------------------------------------


def last_words(path: Path, view: RunView, *, spoke: bool, code: int | None = None, reason: str = "") -> Ended:
    """The ending of a worker that wrote none. `spoke`: it had said that it is up; `code`: its exit code, None when nobody was there."""
    step, stop = view.step, path / "stop"
    reason = f" Its last line was: {reason}" if reason else ""
    if stop.exists() and stop.read_text() == "force":
        return Ended(outcome="killed", step=step, code="ended_by_force", what="You ended this run at once.", todo=RESUMABLE)
    if code is not None and _for_memory(code, reason):
        tries = f" It had gone on by itself {('once', 'twice')[_tries(view) - 1]} with fewer tokens at once." if _tries(view) else ""
        what = f"The system ended the process, most likely for want of memory.{tries}"
        return Ended(outcome="killed", step=step, code="out_of_memory", what=what, todo=SMALLER)
    if code == UNWRITTEN:
        what = "The disk was full, so that how this run ended could not be written down."
        return Ended(outcome="killed", step=step, code="disk_full", what=what, todo=f"Free some space. {RESUMABLE}")
    if not spoke:
        what = f"The process ended before it could say anything.{reason}"
        return Ended(outcome="killed", step=step, code="dead_at_start", what=what, todo=INSTALLATION)
    if code is None or code in OUTSIDE:
        how = "crashed, or the computer was switched off" if code is None else f"as if by hand ({_name_of(code)})"
        what = f"The process is gone: it was ended from outside, {how}."
        return Ended(outcome="killed", step=step, code="worker_gone", what=what, todo=RESUMABLE)
    return Ended(outcome="killed", step=step, code="crashed", what=f"The process crashed ({_name_of(code)}).{reason}", todo=RESUMABLE)


def not_written(ending: Ended, error: OSError) -> Ended:
    """The ending of a run as it is shown while it cannot be written into the run's log."""
    full = is_full(error)
    why = "because the disk is full" if full else "because its folder cannot be written to"
    what = "The process is gone." if ending.code == "worker_gone" else ending.what  # nobody could write what it died of
    todo = f"Free some space. {ending.todo}" if full else ending.todo
    return ending.model_copy(update={"what": f"{what} How it ended could not be written down, {why}.", "todo": todo})


def _name_of(code: int) -> str:
    """An exit code in a word: segmentation fault, or its number."""
    if code >= 0 or sys.platform == "win32":
        return f"exit code {code}"
    return (signal.strsignal(-code) or f"signal {-code}").lower()


def last_line(path: Path, since: int = 0) -> str:
    """Last line after byte `since` of a text file that holds anything, at most 200 characters; empty when there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(since, path.stat().st_size - 20_000))  # a log may be long
        text = file.read().decode("utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""
