"""Makes the event logs in tests/golden that the advisor's rules are held against: real trainings, in this process, with a cause put in.

    python -m benchmarks.golden [BEGINNING OF A NAME...]

Each log is a line with the plan and the end of the worker's log, and then the events as they were told. Paths of the machine it was made
on are taken out, and numbers have six digits.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

from loralab.core.errors import classify
from loralab.core.events import Ended, Started
from loralab.core.paths import CHECKOUT
from loralab.evaluations.shared import answers
from loralab.evaluations.text import forgetting
from loralab.runs import crash
from loralab.runs.death import Death
from loralab.sessions import job, text
from tests.support import faults, models, troubles
from tests.support.healthy import HEALTHY, healthy_files
from tests.support.troubles import CASES, STARTER_RUN, before_update, loss_changed

GOLDEN = CHECKOUT / "tests" / "golden"
NUMBER = re.compile(r"(?<![\w.])-?\d+\.\d{6,}(?:e-?\d+)?(?![\w.])")
Patch = Callable[[pytest.MonkeyPatch], object]


@dataclass(frozen=True)
class Log:
    """One training to be kept: what is trained, and what goes wrong in it."""

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    base: str = "starter"
    data: str = "poems"
    trouble: Callable[[], Any] = nullcontext
    patch: Patch = lambda _: None
    cut: bool = False  # the length stays as it is; otherwise nothing is cut, so that there is one cause only
    killed: int = 0  # exit code of the system's, where the process does not end by itself


def _overflow(run: Any) -> None:
    """An adapter whose numbers are finite, and what is computed with them is not."""
    for tensor in run.session.state().values():
        tensor.mul_(1e30)


def _flat() -> Any:
    """The loss is as it is and nothing flows back."""
    return loss_changed(lambda _, loss: loss.detach() + 0 * loss if torch.is_grad_enabled() else loss)


def _cut_off() -> Any:
    """What is computed is not connected to what learns."""
    return loss_changed(lambda _, loss: loss.detach() if torch.is_grad_enabled() else loss)


def _wild(at: int) -> Any:
    """One update whose loss is far above the others."""
    seen = {"n": 0}

    def change(_: Any, loss: torch.Tensor) -> torch.Tensor:
        seen["n"] += torch.is_grad_enabled()
        return 8 * loss if torch.is_grad_enabled() and seen["n"] == at else loss

    return loss_changed(change)


def _mixed() -> Any:
    """A model that keeps some of its parts in other numbers than the rest."""
    said = "mat1 and mat2 must have the same dtype, but got BFloat16 and Float"

    def change(_: Any, loss: torch.Tensor) -> torch.Tensor:
        raise RuntimeError(said)

    return loss_changed(change)


def _slug(name: str) -> str:
    return re.sub(r"\W+", "_", name.lower()).strip("_")


EVERYDAY = 16  # tasks that forgetting is measured on
WHOLE = {"poems": 96, "messages": 64}  # tokens that nothing is longer than
TINY: dict[str, Any] = {"max_steps": 24, "eval_every": 6}
LONG: dict[str, Any] = {**STARTER_RUN, "max_steps": 60, "eval_every": 6}
LOGS: tuple[Log, ...] = (
    *(
        Log(f"healthy_{_slug(one.name)}", {"max_steps": 24, "eval_every": 6, "patience": 0} | one.settings, one.base, one.data)
        for one in HEALTHY
    ),
    *(
        Log(
            f"trouble_{_slug(one.name)}",
            {**(STARTER_RUN if one.base == "starter" else TINY), **one.settings},
            one.base,
            "poems" if one.base == "starter" else "uneven",
            one.trouble,
        )
        for one in CASES
    ),
    Log("trouble_numbers_overflow", {**TINY, "max_steps": 30}, "llama", "uneven", partial(before_update, 12, _overflow)),
    Log("trouble_wild_update", LONG, trouble=partial(_wild, 30)),
    Log("trouble_two_kinds_of_numbers", {**TINY, "precision": "bf16"}, "llama", "uneven", _mixed),
    Log("trouble_trl_rate_x100", {**STARTER_RUN, "learning_rate": 0.2, "engine": "trl"}),
    Log("learning_rate_x10", {**LONG, "learning_rate": 2e-2}),
    Log("learning_rate_x30", {**LONG, "learning_rate": 6e-2}),
    Log("learning_rate_x10_one_at_a_time", {**LONG, "learning_rate": 2e-2, "effective_batch": 1, "micro_batch": 1}),
    Log("learning_rate_x10_no_warmup", {**LONG, "learning_rate": 2e-2, "warmup": 0.0}),
    Log("learning_rate_x100_no_warmup", {**LONG, "learning_rate": 2e-1, "warmup": 0.0}),
    Log("learning_too_loud", {**LONG, "rank": 4, "alpha": 1024.0}),
    Log("learning_too_loud_rslora", {**LONG, "rank": 256, "alpha": 512.0, "use_rslora": True, "max_steps": 30}),
    Log("learning_rate_too_low", {**LONG, "learning_rate": 5e-6}),
    Log("learning_rate_too_low_tiny", {"max_steps": 60, "eval_every": 6, "learning_rate": 1e-5}, "llama", "uneven"),
    Log("learning_rate_nothing", {**LONG, "learning_rate": 1e-12}),
    Log("learning_too_few_updates", {**STARTER_RUN, "max_steps": 5, "eval_every": 1}),
    Log("learning_batch_too_large", {**STARTER_RUN, "effective_batch": 128, "max_steps": 0, "epochs": 2.0, "eval_every": 1}),
    Log("learning_undertrained", {**STARTER_RUN, "learning_rate": 5e-4, "max_steps": 20, "eval_every": 2, "schedule": "constant"}),
    Log("learning_enough", {**STARTER_RUN, "max_steps": 150, "eval_every": 15}),
    Log("learning_attention_only", {**LONG, "targets": "attention", "rank": 2, "alpha": 4.0}),
    Log("learning_rank_one", {**LONG, "rank": 1, "alpha": 2.0}),
    Log(
        "learning_weight_decay",
        {**LONG, "learning_rate": 5e-3, "weight_decay": 1.0, "schedule": "constant", "max_steps": 200, "eval_every": 20},
    ),
    Log("learning_questions_too", {**LONG, "learn_from": "everything"}),
    Log("learning_no_gradient", TINY, "llama", "uneven", _flat),
    Log("learning_not_connected", TINY, "llama", "uneven", _cut_off),
    Log("learning_wrong_parts", {**TINY, "targets": "nose.tip"}, "llama", "uneven"),
    Log("learning_nothing_fits_length", {**TINY, "max_length": 16}, "starter", "poems", cut=True),
    Log("learning_most_too_long", {**TINY, "max_length": 24}, "starter", "messages", cut=True),
    Log("memory_first_update", TINY, "llama", "uneven", patch=lambda p: faults.in_forward(faults.Fault(1), p)),
    Log("memory_two_soon", TINY, "llama", "uneven", patch=lambda p: faults.too_large(p, 200)),
    Log("memory_optimiser", TINY, "llama", "uneven", patch=lambda p: faults.in_optimizer(faults.Fault(1), p)),
    Log("memory_optimiser_never", TINY, "llama", "uneven", patch=lambda p: faults.in_optimizer(faults.Fault(1, 2, 3), p)),
    Log("memory_looking", TINY, "llama", "uneven", patch=lambda p: faults.too_large(p, 300, learning=False)),
    Log("memory_one_example", TINY, "llama", "uneven", patch=lambda p: faults.too_large(p, 100)),
    Log("memory_killed", TINY, "llama", "uneven", killed=-9),
)


def _first_lines(poems: Path, path: Path) -> Path:
    """The first line of every poem, each title once: short enough to be kept whole in a quick run."""
    rows = [json.loads(line) for line in poems.read_text("utf-8").splitlines()]
    first = {row["prompt"]: row["completion"].splitlines()[0] for row in rows}
    path.write_text("".join(json.dumps({"prompt": p, "completion": c}) + "\n" for p, c in first.items()), "utf-8")
    return path


def make(log: Log, path: Path) -> None:
    """Train it and keep its log."""
    path.mkdir(parents=True)
    if log.base in ("tiny", "damaged", "loud"):
        files = troubles.folders(path)
        base, data = files[log.base], files[log.data]
    else:
        base, found = healthy_files(path, log.base)
        data = found[log.data]
    if log.data == "poems":
        data = _first_lines(data, path / "poems.jsonl")
    settings = log.settings if log.cut else log.settings | {"max_length": WHOLE.get(log.data, 128)}
    folder = models.run_folder(path / "run", models.plan(data, **settings), base)
    folder.emit(Started(pid=1))
    everyday = forgetting.general_set()[:EVERYDAY]
    with ExitStack() as around, pytest.MonkeyPatch.context() as patch:
        around.enter_context(mock.patch.object(answers, "LONGEST", 4))
        around.enter_context(mock.patch.object(text, "MOST_ANSWERS", 2))
        around.enter_context(mock.patch.object(forgetting, "general_set", return_value=everyday))
        around.enter_context(log.trouble())
        log.patch(patch)
        said = _killed(log, folder) if log.killed else _ended(folder)
    lines = (path / "run" / "events.jsonl").read_text("utf-8").splitlines()
    head = json.dumps({"plan": folder.job.plan, "log": said})
    kept = "\n".join(_plain(line, path) for line in (head, *lines)) + "\n"
    GOLDEN.mkdir(exist_ok=True)
    (GOLDEN / f"{log.name}.jsonl").write_text(kept, "utf-8")


def _ended(folder: Any) -> str:
    """Do the job and write its ending as a worker does; what it would have printed."""
    try:
        result = job.run(folder)
    except Exception as error:  # noqa: BLE001  (as in loralab/runs/worker.py: whatever it was, it ends with words)
        problem = classify(error)
        folder.emit(Ended(outcome="failed", what=problem.what, todo=problem.todo, code=problem.code))
        return "".join(traceback.format_exception(error))[-3000:]
    outcome = result.pop("outcome", "finished")
    what, todo, code = (str(result.pop(part, "")) for part in ("what", "todo", "code"))
    folder.emit(Ended(outcome=outcome, what=what, todo=todo, code=code, step=int(result.get("steps", 0)), result=result))
    return ""


def _killed(log: Log, folder: Any) -> str:
    """Killed by the system in the tenth update, again and again, until its keeper gives up."""

    class Killed(BaseException):
        pass

    def act(_: Any) -> None:
        raise Killed

    (folder.path / "job.json").write_text(folder.job.model_dump_json())
    again = True
    while again:
        offset = (folder.path / "events.jsonl").stat().st_size
        with before_update(10, act):
            try:
                job.run(folder)
            except Killed:
                folder.log.close()
        again = crash.settle(str(folder.path), log.killed, offset, 0, Death(oom_kills=1))
        if again:
            folder = models.run_folder(folder.path, models.TextPlan.model_validate(folder.job.plan), Path(folder.job.model))
            folder.emit(Started(pid=1, resumed=True))
    return ""


def _plain(line: str, path: Path) -> str:
    """A line without the places of this machine, its numbers to six digits."""
    line = line.replace(str(path / "run"), "run").replace(str(path), "data").replace(str(CHECKOUT), "app")
    line = re.sub(r'File \\"/[^"]*/site-packages/', r'File \\"', line)
    return NUMBER.sub(lambda found: _short(float(found.group())), line)


def _short(number: float) -> str:
    """Six digits; of a time in seconds since 1970 the milliseconds, which tell what came first."""
    return f"{number:.4f}" if abs(number) > 1e6 else f"{number:.6g}"


def main(wanted: Sequence[str]) -> None:
    """Make the logs whose names begin so, in that order; those that are there already are left."""
    warnings.filterwarnings("ignore")
    for beginning in wanted or ("",):
        for log in LOGS:
            if not log.name.startswith(beginning) or (GOLDEN / f"{log.name}.jsonl").exists():
                continue
            with tempfile.TemporaryDirectory() as folder:
                make(log, Path(folder) / "one")
            sys.stdout.write(f"{log.name}: {(GOLDEN / f'{log.name}.jsonl').stat().st_size:,} bytes\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
