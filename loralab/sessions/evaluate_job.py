"""Owns the Evaluate job: judge a finished run again, from its files alone.

Invariants: the same file, split and plan as the run that made the adapter; the weights judged are the ones on disk (the adapter's, or
those of one of the run's checkpoints); what was measured per example is written beside the verdict, so that anyone can check it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from peft import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file

from loralab.core.errors import UserError
from loralab.core.events import Noted
from loralab.core.jobs import EvaluateJob
from loralab.core.judgement import Judgement, tell
from loralab.core.records import Plan
from loralab.evaluations import Judging
from loralab.evaluations.shared.second_opinion import LocalJudge, Opinion
from loralab.evaluations.shared.verdict import judge
from loralab.models import fingerprint
from loralab.runs.run_folder import RunFolder, read_job
from loralab.sessions import ranks
from loralab.sessions.text import TextSession
from loralab.tasks import parse_plan, tasks
from loralab.train import checkpoint

MOST_ANSWERS = 512  # more narrow the interval by little


def run(folder: RunFolder) -> dict[str, Any]:
    """Judge a run or one of its checkpoints, as the EvaluateJob says. Returns base_loss, adapter_loss, n_heldout."""
    asked = folder.asked(EvaluateJob)
    judged = read_job(folder.path.parent / asked.of)
    model = asked.model or judged.model
    fingerprint.require_same_base(folder.path.parent / judged.run, Path(model))
    plan = parse_plan(judged.plan)
    session: Any = tasks()[plan.task].open(plan, folder.with_job(judged.model_copy(update={"model": model})))
    if asked.checkpoint:
        load_checkpoint(session, folder.path.parent / judged.run / "checkpoints", asked.checkpoint)
    else:
        load_adapter(session.model, Path(asked.adapter))
    session.model.eval()
    found = _judged(session, plan, folder, asked.judge)
    path = tell(found, folder)
    result: dict[str, Any] = {"of": judged.run, "report": str(path)}
    if not found.complete:
        result |= {"outcome": "stopped", "what": "Stopped as you asked; what was measured until then is kept."}
    loss = next((s for s in found.scores if s.name == "loss"), None)
    return result | ({"base_loss": loss.before, "adapter_loss": loss.after, "n_heldout": loss.n} if loss else {})


def _judged(session: Any, plan: Plan, folder: RunFolder, opinion: str) -> Judgement:
    """Every measure of a run on texts, a second opinion where a judge is named; of another kind what its session judges by."""

    def note(text: str, fraction: float | None) -> None:
        folder.emit(Noted(text="", phase=text, fraction=fraction))

    def stop() -> bool:
        return folder.stop_asked

    if not isinstance(session, TextSession):
        return session.verdict(note, stop)
    judging = Judging(session, plan, note=note, most_answers=MOST_ANSWERS, stop=stop, judge=_judge_of(opinion))
    try:
        found = judge(judging)
    finally:
        if judging.asked is not None:
            judging.asked.close()
    if judging.unheard:
        folder.emit(Noted(text=judging.unheard))
    return found


def load_adapter(model: Any, adapter: Path) -> None:
    """Put the weights of a PEFT folder into the adapter of `model`. Raises UserError when they do not fit it exactly."""
    path = adapter / "adapter_model.safetensors"
    if not path.is_file():
        raise UserError("The adapter's folder is gone or incomplete.", "Train it again, or choose another run.", code="no_adapter")
    weights = load_file(path)
    ranks.take_shapes(model, weights)
    if set(weights) != set(get_peft_model_state_dict(model)):
        raise UserError("This adapter was made for another model or other settings.", "Choose its run.", code="adapter_mismatch")
    set_peft_model_state_dict(model, weights)


def load_checkpoint(session: Any, folder: Path, name: str) -> None:
    """Put a checkpoint's weights into the session: `step-N`, the newest (`last`), or the best that was seen until then (`best`)."""
    saved = checkpoint.newest(folder) if name in ("best", "last") else checkpoint.read(folder / f"{name}.pt")
    state = (saved or {}).get("best" if name == "best" else "state")
    if not state:
        what = f"The checkpoint “{name}” is not there any more, or cannot be read."
        raise UserError(what, "A run keeps its last two and its best: choose one of those.", code="no_checkpoint")
    if set(state) != set(session.state()):
        raise UserError("This checkpoint was made with other settings.", "Choose another checkpoint.", code="adapter_mismatch")
    session.load_state(state)
    if name != "best" and getattr(session.plan, "averages", False):  # the best was kept as it was looked at
        optimizer = session.optimizer()
        optimizer.load_state_dict((saved or {})["optimizer"])
        optimizer.rest()


def _judge_of(path: str) -> Callable[[], Opinion] | None:
    """Opens the local judge that was asked for; none where none was."""
    return (lambda: LocalJudge(Path(path).expanduser())) if path else None
