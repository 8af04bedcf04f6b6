"""Owns a run in numbers, as scripts rely on them. Invariant: everything is derived from the run's events; what is not known is null."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from loralab.core.events import Evaluated, RunView
from loralab.core.records import Score
from loralab.core.strict_json import plain
from loralab.core.verdict import Verdict

ANSWERS = ("learned", "learned_words", "usable", "usable_words", "but")


def run_report(view: RunView, folder: Path) -> dict[str, Any]:
    """The run in numbers: losses in nats per learned token, seconds of training over all attempts, memory in bytes."""
    result = {name: value for name, value in (view.ending.result if view.ending else {}).items() if _is_number(value)}
    base, adapter, n = losses(view)
    seconds = result.get("seconds") or _seconds(view)
    tokens = sum(step.tokens for step in view.steps)
    score = loss_score(view)
    report = {
        "run": view.run,
        "outcome": view.state,
        "adapter": view.made("adapter") or None,
        "base_loss": base,
        "adapter_loss": adapter,
        "n_heldout": n,
        "steps": view.step,
        "seconds": round(seconds, 2),
        "tokens_per_second": result.get("tokens_per_second") or (tokens / seconds if seconds else 0.0),
        "peak_memory_bytes": int(result.get("peak_memory_bytes") or max((step.memory_bytes for step in view.steps), default=0)),
        "samples": view.samples,
        "verdict": score,
        "judgement": judged(_last(view, "final")),
        "measures": measures(_last(view, "final")),
        "problem": _problem(view, folder),
    }
    return plain(report | answers(view.conclusion))


def answers(found: Verdict | None) -> dict[str, Any]:
    """The two answers as every report carries them at its top; null where the run was not judged, or by an earlier version."""
    if found is None:
        return dict.fromkeys(ANSWERS)
    return found.model_dump(include=set(ANSWERS))


def measures(final: Evaluated | None) -> dict[str, dict[str, float | None]]:
    """Every measure by its name: before and after, and the 95 % interval of what it is after (null where none was taken)."""
    scores = final.scores if final else ()
    found = {score.name: (score, score.between or (None, None)) for score in scores}
    return {
        name: {"before": score.before, "after": score.after, "low": low, "high": high, "n": score.n}
        for name, (score, (low, high)) in found.items()
    }


def judged(final: Evaluated | None) -> dict[str, str]:
    """Verdict word and sentence of a final look; runs from before there was one sentence have it in their first score."""
    if final is None or not (final.words or final.scores):
        return {"verdict": "", "words": "This run was not judged on held-out examples."}
    first = final.scores[0] if final.scores else None
    return {"verdict": final.verdict or (first.verdict if first else ""), "words": final.words or (first.words if first else "")}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) < 1e300


def loss_score(view: RunView) -> Score | None:
    """The last verdict on the held-out loss, or None where the run has not been judged."""
    final = _last(view, "final")
    return next((score for score in final.scores if score.name == "loss"), None) if final else None


def losses(view: RunView) -> tuple[float | None, float | None, int]:
    """Held-out loss without and with what was learned, and on how many examples.

    From the verdict; where there is none (a stopped run, a pretraining), from the look before training and the best look since.
    """
    score = loss_score(view)
    if score is not None:
        return score.before, score.after, score.n
    before, final = _last(view, "base"), _last(view, "final")
    looks = [look for look in view.evaluations if look.split == "heldout" and math.isfinite(look.loss)]
    best = final or min(looks, key=lambda look: look.loss, default=None)
    n = next((look.n for look in (best, before) if look is not None and look.n), 0)
    return before.loss if before else None, best.loss if best else None, n


def _last(view: RunView, split: str) -> Evaluated | None:
    return next((look for look in reversed(view.evaluations) if look.split == split), None)


def _seconds(view: RunView) -> float:
    """Seconds between first and last step where the worker could not say: of a run that is going on, or that was killed."""
    return view.steps[-1].time - view.started if view.steps and view.started else 0.0


def _problem(view: RunView, folder: Path) -> dict[str, str] | None:
    ending = view.ending
    if ending is None or view.state not in ("failed", "killed"):
        return None
    return {"code": ending.code, "what": ending.what, "todo": ending.todo, "log": str(folder / "worker.log")}
