"""Owns what is said and done for a worker that died without a word: its last words, or its next try.

Invariants: called only when the worker is known to be gone, so that the log has one writer; a run that was killed goes on by itself at most
twice, with half the tokens at once where memory was short and as it was where nobody knows why; a run whose ending cannot be written still
ends for who looks.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from loralab.core.disk import is_full
from loralab.core.errors import LabError
from loralab.core.events import Adjusted, Ended, Incident, RunView, Started, adjusted, append, fold, read
from loralab.core.jobs import TrainJob, parse_job
from loralab.core.log import drop_torn_line
from loralab.core.records import Plan
from loralab.core.words import count
from loralab.runs.death import Death
from loralab.runs.protocol import UNWRITTEN
from loralab.tasks import parse_plan

RETRIES = 2
KILLED = frozenset({-9, 137, 9})  # SIGKILL: as Python says it, as a shell or a launcher passes it on, as Windows' os.kill leaves it
NO_MEMORY = frozenset({0xC0000017, 0xC000009A, 0xC000012D})  # Windows: no memory, insufficient resources, commitment limit
SIGNS = ("bad_alloc", "out of memory", "cannot allocate memory", "can't allocate memory", "memoryerror")  # last words of native code
OUTSIDE = frozenset({-1, -2, -15})  # hang-up, interrupt, terminate: somebody, or the end of the session
MANY = 1 << 24  # the bound of the setting
AT_LEAST = 1  # tokens: a budget of 0 would mean none

UNKNOWN = "Something ended the training (maybe you, maybe the system)."
RESUMABLE = "Resume it to go on from its last safety copy."
INSTALLATION = "Start LoRALab again: it checks its parts and repairs what is missing. The details are in worker.log in the run's folder."
SMALLER = "Close other programs and resume it, or choose a smaller model, shorter examples or a lower precision."


def settle(folder: str, code: int, offset: int, said: int, death: Death) -> bool:
    """Write what became of a worker that ended with `code` and without an ending; True when it is to be started again, and then only
    if that could be written.

    `offset` and `said` are the sizes of the event log and of worker.log when it was started; `death` is what was seen of memory.
    """
    path = Path(folder)
    log = path / "events.jsonl"
    drop_torn_line(log)
    view = fold(path.name, read(log)[0])
    spoke = any(isinstance(event, Started) for event in read(log, offset)[0])
    reason = last_line(path / "worker.log", said)
    again = () if (path / "stop").exists() else _next_try(path, view, code, reason, death)
    try:
        append(log, *(again or (last_words(path, view, spoke=spoke, code=code, reason=reason, death=death),)))
    except OSError:
        # The incident is what counts the tries: without it there is no next one. Whoever looks at the run writes its ending, or says
        # that it cannot be written.
        return False
    return bool(again)


def _shortage(code: int, reason: str, death: Death) -> Literal["", "nearly full", "full"]:
    """How full memory was, where it died of that: it said so itself, or it was killed while memory was short."""
    if code in NO_MEMORY or (code != 0 and any(sign in reason.lower() for sign in SIGNS)):
        return "full"
    if code not in KILLED or not death.short:
        return ""
    return "full" if death.sure else "nearly full"


def _tries(view: RunView) -> int:
    return sum(incident.code in ("killed_for_memory", "killed") for incident in view.incidents)


# ---- the next try ------------------------------------------------------------------------------------------------------------


def _next_try(path: Path, view: RunView, code: int, reason: str, death: Death) -> tuple[Incident, ...] | tuple[Incident, Adjusted]:
    """What to write before a training run goes on; nothing where it has had its tries, is no training, or was not killed."""
    short = _shortage(code, reason, death)
    plan = _plan(path, view) if _tries(view) < RETRIES and (short or code in KILLED) else None
    if plan is None:
        return ()
    data: dict[str, Any] = {"exit_code": code, "try": _tries(view) + 1, **vars(death), "short": bool(short)}
    if not short:
        text = f"{UNKNOWN} It went on by itself from its last safety copy, with the same settings."
        return (Incident(step=view.step, code="killed", text=text, data=data),)
    before = min(plan.token_budget or MANY, _at_once(plan, view))
    text = (
        f"The system ended the training because memory was {short}. It goes on from its last safety copy with half as many tokens at once."
    )
    return (
        Incident(step=view.step, code="killed_for_memory", text=text, data=data),
        Adjusted(
            step=view.step,
            setting="token_budget",
            before=plan.token_budget,
            after=max(AT_LEAST, before // 2),
            reason=f"There was not enough memory for {count(before, 'token')} at once. The result stays the same; it may only take longer.",
        ),
    )


def _plan(path: Path, view: RunView) -> Plan | None:
    """The plan of a training as it now is; None for other work, and where it never was a plan that could be trained."""
    try:
        job = parse_job((path / "job.json").read_bytes())
        return parse_plan(adjusted(parse_plan(job.plan).model_dump(), view.adjustments)) if isinstance(job, TrainJob) else None
    except (LabError, ValidationError):
        return None


def _at_once(plan: Plan, view: RunView) -> int:
    """Tokens computed at once where no budget bounds them: what the plan allows, or less where the examples are shorter than that.

    Half of it must split a micro-batch that was seen, or the next try would be the same as the last.
    """
    allowed = plan.micro_batch * int(getattr(plan, "max_length", 512))
    parts = -(-plan.effective_batch // plan.micro_batch)  # micro-batches behind an update
    seen = max((step.tokens for step in view.steps), default=0)
    return min(allowed, -(-seen // parts)) if seen else allowed


# ---- last words --------------------------------------------------------------------------------------------------------------


def last_words(path: Path, view: RunView, *, spoke: bool, code: int | None = None, reason: str = "", death: Death | None = None) -> Ended:
    """The ending of a worker that wrote none. `spoke`: it had said that it is up; `code`: its exit code, None when nobody was there."""
    step, stop = view.step, path / "stop"
    short = _shortage(code, reason, death or Death()) if code is not None else ""
    tried = f" It had gone on by itself {('once', 'twice')[min(_tries(view), RETRIES) - 1]} before." if _tries(view) else ""
    reason = f" Its last line was: {reason}" if reason else ""
    if stop.exists() and stop.read_text() == "force":
        return Ended(outcome="killed", step=step, code="ended_by_force", what="You ended this run.", todo=RESUMABLE)
    if short:
        what = f"The system ended the training because memory was {short}.{tried}"
        return Ended(outcome="killed", step=step, code="out_of_memory", what=what, todo=SMALLER)
    if code == UNWRITTEN:
        what = "The disk was full, so how this run ended could not be written down."
        return Ended(outcome="killed", step=step, code="disk_full", what=what, todo=f"Free some space. {RESUMABLE}")
    if not spoke:
        what = f"The process ended before it could say anything.{reason}"
        return Ended(outcome="killed", step=step, code="dead_at_start", what=what, todo=INSTALLATION)
    if code is None or code in OUTSIDE | KILLED:
        what = f"{UNKNOWN}{tried}" if code is not None else "The training is gone: it crashed, or the computer was switched off."
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
