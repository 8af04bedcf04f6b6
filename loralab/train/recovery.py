"""What is done about a run whose numbers went wrong: back to the last good state, gentler settings, an example left out, an end.

Invariant: everything done is told, in the order in which it was done; a run is helped at most CHANCES times, and ends with a diagnosis.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from loralab.core.errors import Problem, RunFailed
from loralab.core.events import Incident, Noted
from loralab.core.records import SQUEEZED, Plan
from loralab.train import rollback
from loralab.train.state import Run

CHANCES = 3  # gentler settings, then the run ends with a diagnosis
GENTLER = 5.0  # the learning rate is divided by this (Axolotl: 3 to 5; Soup: 5)
LONGER_WARMUP = 0.1  # of the run (Google's tuning playbook: 5 to 10 %)


def lower_learning_rate(run: Run, code: str, reason: str, *, changed: bool = True) -> None:
    """Go back and make smaller corrections from there; the second time with a new warm-up, the third as exactly as possible.

    With `changed` false nothing is made gentler the first time: going back alone may do.
    """
    back = roll_back(run)
    run.progress.troubles += 1
    if back < 0 or run.watch.external_engine or run.progress.troubles > CHANCES:
        rate = run.plan.learning_rate / GENTLER
        what = "The training ran away."
        if not run.watch.external_engine:
            what = "The training ran away again and again, with gentler settings each time."
        end(run, code, what, f"Start again with a learning rate of {rate:.1g}; if that goes wrong too, look through the examples.")
        return
    settings = {"learning_rate": min(run.plan.learning_rate / GENTLER, run.session.safe_rate)}
    if run.progress.troubles == 1 and not changed:
        return
    if run.progress.troubles == 2:
        settings["warmup"] = round(min(0.5, run.progress.step / run.total_steps + LONGER_WARMUP), 3)
    if run.progress.troubles == CHANCES:
        settings |= wider(run.plan)
    run.change(reason, **settings)


def raise_precision(run: Run) -> None:
    """The weights are in order and still the numbers are not: compute in wider numbers, then without the fast attention kernel."""
    settings, reason = wider(run.plan), f"{run.plan.precision} cannot hold the numbers this model computes with"
    if not settings and getattr(run.plan, "attention", "") == "sdpa":
        settings, reason = {"attention": "eager"}, "the fast way to compute attention gave numbers that are not finite"
    run.progress.troubles += 1
    if not settings or run.watch.external_engine or run.progress.troubles > CHANCES:
        what = "The model computes numbers that are not finite, although its weights are in order, even as exactly as possible."
        end(run, "non_finite", what, "Choose another base model, or download this one again.")
        return
    run.change(reason, **settings)


def wider(plan: Plan) -> dict[str, Any]:
    """Settings under which numbers are kept more exactly; none where they are already."""
    if plan.precision in SQUEEZED:
        return {"compute": "fp32"} if getattr(plan, "compute", "fp32") != "fp32" else {}
    return {"precision": "fp32"} if plan.precision in ("fp16", "bf16") else {}


def narrow(plan: Plan) -> bool:
    """fp16 ends at 65,504; all others reach as far as fp32."""
    return (getattr(plan, "compute", "") if plan.precision in SQUEEZED else plan.precision) == "fp16"


def roll_back(run: Run) -> int:
    """Adapter and optimiser as they last were in order; the number of that update, -1 where there is no way back."""
    watch, now = run.watch, run.progress.step
    watch.suspicion.clear()
    watch.norms.clear()
    if watch.last_good is None or watch.back[0] == now:  # there already
        return watch.back[1]
    watch.back = (now, rollback.restore(run, watch.last_good))
    if watch.back[1] >= 0:
        where = f"after update {watch.back[1]}" if watch.back[1] else "at the start"
        run.folder.emit(Noted(step=now, text=f"Went back to what had been learned {where}.", code="rolled_back"))
    return watch.back[1]


def leave_out(run: Run, rows: Sequence[int], code: str, what: str) -> None:
    """Examples never to be learned from again; a resume knows them from the safety copy."""
    run.progress.left_out += rows
    report(run, code, f"{what}; left out from here on.", {"rows": list(rows)})


def corrupt(run: Run, name: str) -> None:
    """Nothing helps a base model whose own weights are broken."""
    what = f"The base model is damaged: {name} holds numbers that are not finite."
    end(run, "corrupt_weights", what, "Delete this model and download it again, or choose another.")


def report_broken(run: Run, rows: Sequence[int], loss: float, norm: float, why: str) -> None:
    """The update under way is not finite; `rows` are the examples in it."""
    text = f"Update {run.progress.step + 1} gave numbers that are not finite; it was left out.{why}"
    report(run, "non_finite", text, {"rows": list(rows), "loss": loss, "grad_norm": norm})


def report(run: Run, code: str, text: str, data: dict[str, Any]) -> None:
    """Something was noticed in the update under way."""
    run.folder.emit(Incident(step=run.progress.step + 1, code=code, text=text, data=data))


def end(run: Run, code: str, what: str, todo: str) -> None:
    """The run ends here, and what was best so far is kept; before its first update there is nothing to keep."""
    if math.isnan(run.progress.base_loss):
        raise RunFailed(what, todo, code=code)
    if run.best is None:
        roll_back(run)
    progress = run.progress
    if progress.best_loss < progress.base_loss:
        what += f" The best version so far, from update {progress.best_step}, is kept."
    else:
        what += " No version was better yet than the model was before."
    run.end("failed", Problem(code=code, what=what, todo=todo))


def named(rows: Sequence[int], one: str, many: str) -> str:
    """“Example 17 gives” or “Examples 3, 8 and 20 more give”: `one` and `many` are the verb."""
    if len(rows) == 1:
        return f"Example {rows[0]} {one}"
    shown = ", ".join(str(row) for row in rows[:10])
    more = f" and {len(rows) - 10} more" if len(rows) > 10 else ""
    return f"Examples {shown}{more} {many}"
