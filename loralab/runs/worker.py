"""Owns a worker process from its first breath to its last words: `python -m loralab.runs.worker RUN_FOLDER`.

Invariants: Started is written before anything heavy is imported, and nothing before this process alone may write; every way out writes
exactly one Ended (a killed process cannot, its keeper writes it on its behalf); foreign exceptions become events here and nowhere else;
the exit code is 0 only if the job was done.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from loralab.core.errors import classify
from loralab.core.events import Ended, EventLog, Started
from loralab.core.jobs import Job
from loralab.core.masking import masked
from loralab.runs import process_group
from loralab.runs.priority import step_back
from loralab.runs.protocol import TAKEN, UNWRITTEN
from loralab.runs.run_folder import RunFolder, SilentFolder, read_job
from loralab.runs.worker_lock import follow_keeper, orphaned, take_lock

LOCK_SECONDS = 60.0  # what a worker before this one may take to be gone: large memory is given back slowly

# job kind -> module with `run(folder) -> result`; the result's "outcome" is finished unless it says stopped
JOBS = {
    "train": "loralab.sessions.job",
    "evaluate": "loralab.sessions.evaluate_job",
    "evaluate_export": "loralab.exports.parity.evaluate_job",
    "export": "loralab.exports.job",
    "check_export": "loralab.exports.parity.check_job",
    "serve": "loralab.serve.job",
    "download": "loralab.models.downloads",
    "fetch_dataset": "loralab.datasets.hub_job",
    "publish": "loralab.sharing.hub.publish_job",
    "build_data": "loralab.datasets.synthesis.build_job",
    "synthesize": "loralab.serve.synthesize_job",
}


def main(arguments: list[str]) -> int:
    """Do the job of one run folder; the exit code says whether it was done."""
    follow_keeper()
    path = Path(arguments[0]).resolve()
    process_group.mind_the_launcher()
    if process_group.rank():
        return _follow(path)
    lock = take_lock(path, LOCK_SECONDS)
    if lock is None:
        sys.stderr.write("Another worker of this run is still at work.\n")
        return TAKEN
    if hasattr(signal, "SIGINT"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C belongs to the app; a worker is stopped by its stop file
    log = EventLog(path / "events.jsonl")
    log(Started(pid=os.getpid(), resumed=_begun_before(path), versions=_versions(), step=_checkpoint_step(path)))
    folder: RunFolder | None = None
    try:
        job = read_job(path)
        if job.kind != "serve":  # somebody waits for its answers
            step_back()
        folder = RunFolder(path=path, job=job, log=log)
        result = _work(job)(folder)
    except BaseException as error:  # noqa: BLE001  the one place: whatever it was, the run must end with words and not in silence
        process_group.deaf()
        sys.stderr.write(masked(traceback.format_exc()))
        problem = classify(error)
        written = _end(log, folder, Ended(outcome="failed", what=problem.what, todo=problem.todo, code=problem.code))
        return 1 if written else UNWRITTEN
    process_group.deaf()
    outcome = result.pop("outcome", "finished")
    what, todo, code = (str(result.pop(part, "")) for part in ("what", "todo", "code"))
    if outcome == "stopped" and orphaned():
        what, todo = "It saved and stopped, because the process that watched over it is gone.", "Resume it to go on."
        code = code or "keeper_gone"
    words = Ended(outcome=outcome, what=what, todo=todo, code=code, step=int(result.get("steps", 0)), result=result)
    return 0 if _end(log, folder, words) else UNWRITTEN


def _follow(path: Path) -> int:
    """One of several processes that learn together, not the first: it computes what it is handed, and its words go to worker.log."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        job = read_job(path)
        step_back()
        _work(job)(SilentFolder(path=path, job=job, log=EventLog(path / "events.jsonl")))
    except BaseException as error:  # noqa: BLE001  (as above)
        process_group.deaf()
        process_group.tell_traceback()
        process_group.tell(str(classify(error)))
        return 1
    return 0


def _end(log: EventLog, folder: RunFolder | None, words: Ended) -> bool:
    """The last line, for which a full disk's reserve is there; nothing is held back after it. Whether it could be written."""
    if folder is None:
        return log(words)
    written = folder.emit(words)
    folder.close()
    return written


def _work(job: Job) -> Callable[[RunFolder], dict[str, Any]]:
    return importlib.import_module(JOBS[job.kind]).run


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for package in ("torch", "transformers", "peft", "trl"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def _begun_before(path: Path) -> bool:
    """Whether an earlier attempt has said anything: then what it did after the last safety copy is done again."""
    log = path / "events.jsonl"
    return (path / "checkpoints").exists() or (log.exists() and b'"type":"started"' in log.read_bytes())


def _checkpoint_step(path: Path) -> int:
    """Step of the newest checkpoint, read from its name: the log must know it before torch can be imported."""
    steps = [int(p.stem.rpartition("-")[2]) for p in (path / "checkpoints").glob("step-*.pt")]
    return max(steps, default=0)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    if process_group.size() > 1:  # a connection to a process that is gone would be waited for at the end of Python
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
