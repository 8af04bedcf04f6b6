"""What a run does when memory runs out in the middle of a step: let go, do the same examples again in smaller parts, and go on.

Invariants: an update that did not fit is done again from its start, with the random numbers and the weights it began with, so that
the run ends where it would have ended; the effective batch never changes; nothing is left out and nothing is done in silence. What
cannot be computed even alone and with every saving on is a question to the person (DoesNotFit), not a crash.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any, get_args

import torch

from loralab.core.errors import LabError, Unavailable
from loralab.core.events import Adjusted, Incident
from loralab.core.records import Plan
from loralab.train import gradient
from loralab.train.allocation import Found, attempt
from loralab.train.session import Batch
from loralab.train.state import Run

SOON = 200  # updates: running out a second time within so many means that the budget is too large, not that something else was passing by
SMALLER = 0.8  # of the cost at once, each time
TRIES = 3  # of an optimiser step, which cannot be split

# (setting, value), from the cheapest saving to the dearest; what a task does not know or a machine cannot do is passed over
SAVINGS: tuple[tuple[str, Any], ...] = (("recompute", "selective"), ("recompute", "full"), ("offload", True), ("optimizer", "adamw_8bit"))
ON_A_CARD = frozenset({"offload", "optimizer"})  # settings that save nothing on a processor
NEEDS = {"adamw_8bit": "bitsandbytes"}


class DoesNotFit(LabError):
    """One example cannot be computed on this machine as the plan is. `run` is where it stopped."""

    def __init__(self, run: Run, what: str, todo: str) -> None:
        super().__init__(what, todo, code="does_not_fit")
        self.run = run


# ---- an update ---------------------------------------------------------------------------------------------------------------


class _Watched:
    """Micro-batches as they are handed out; `at` is the one in work, or the last."""

    def __init__(self, parts: Sequence[Batch]) -> None:
        self.parts, self.at = parts, 0

    def __iter__(self) -> Iterator[Batch]:
        for at, part in enumerate(self.parts):
            self.at = at
            yield part


def learn(run: Run, micro_batches: Iterable[Batch]) -> tuple[float, float]:
    """The gradient of one effective batch, in as many parts as memory wants: (mean loss, gradient norm before clipping).

    After a failure the whole gradient of the update is dropped and made again: keeping the sum so far apart would cost every healthy
    update another copy of the gradient, to save part of one update on the day memory runs out.
    """
    parts = list(micro_batches)
    backward = gradient.backward
    if run.group is not None:
        parts, backward = run.group.share(run.session, parts), partial(gradient.backward, group=run.group)
    while True:
        watched = _Watched(parts)
        found, said = attempt(partial(backward, run.session, watched, run.plan.max_grad_norm), run.optimizer.zero_grad)
        if found is not None:
            run.oom.fitted = max(run.oom.fitted, *(part.largest for part in parts), 0)
            return found
        parts = _smaller(run, parts, watched.at, said)


def _smaller(run: Run, parts: list[Batch], at: int, said: str) -> list[Batch]:
    """The same examples after the part `at` did not fit: it and what is as large after it in halves, or one example in a thriftier mode."""
    failed, step = parts[at], run.progress.step + 1
    size = failed.cost
    if run.session.split(failed) is None:
        report(run, f"One example of update {step} ({size:,} {run.session.unit}) did not fit into memory.", said, failed)
        _save_memory(run, failed)
        return parts
    pieces: list[Batch] = []
    for part in parts[at:]:
        pieces += (run.session.split(part) if part.cost >= size else None) or (part,)
    text = f"{len(failed.rows)} examples of update {step} ({size:,} {run.session.unit}) did not fit into memory at once."
    report(run, f"{text} They were computed in smaller parts; the result is the same.", said, failed)
    shrink(run, size)
    return parts[:at] + pieces


def report(run: Run, text: str, said: str, batch: Batch, code: str = "out_of_memory") -> None:
    """An incident, with what was in work and what the allocator said."""
    data = {"rows": list(batch.rows), "cost": batch.cost, "unit": run.session.unit, "error": said}
    run.folder.emit(Incident(step=run.progress.step, code=code, text=text, data=data))


def shrink(run: Run, cost: int, *, at_once: bool = False) -> None:
    """Count that `cost` did not fit; the second time soon (or `at_once`) what may be computed at once falls below it."""
    state, step = run.oom, run.progress.step + 1
    soon = state.last is not None and step - state.last <= SOON
    state.last = step
    if not (soon or at_once) or cost < 2:
        return
    limit = run.session.cost_limit
    lower = max(1, min(int(SMALLER * (limit or cost)), cost - 1))
    if not limit or lower < limit:
        reason = "memory ran out" + (" again soon after the last time" if soon else "")
        run.change(f"{reason}. The result stays the same.", **run.session.limit_cost(lower))


def _save_memory(run: Run, failed: Batch) -> None:
    """The next saving for an example that does not fit alone; where there is none left it is a question."""
    reason = "one example alone did not fit into memory. This takes less memory and more time; the result stays the same."
    while saving := next_saving(run.plan, run.oom.refused):
        setting, value = saving
        try:
            run.change(reason, **{setting: value})
        except Unavailable:  # this model or machine cannot do it: the next one up
            run.oom.refused.add(setting)
        else:
            return
    raise _question(run, failed)


def next_saving(plan: Plan, refused: Collection[str] = ()) -> tuple[str, Any] | None:
    """The cheapest saving that this plan knows and does not use yet, and this machine can; None where there is none left."""
    card = torch.cuda.is_available()
    for setting, value in SAVINGS:
        known = type(plan).model_fields.get(setting)
        if known is None or setting in refused:
            continue
        modes, now = get_args(known.annotation), getattr(plan, setting)  # modes are listed from the quickest to the thriftiest
        higher = value in modes and modes.index(value) > modes.index(now) if modes else value != now
        if higher and (setting not in ON_A_CARD or card) and (value not in NEEDS or find_spec(NEEDS[value]) is not None):
            return setting, value
    return None


def _question(run: Run, failed: Batch, doing: str = "") -> DoesNotFit:
    size = failed.largest
    known = min(run.oom.fitted, size - 1) or size // 2
    name = ", ".join(map(str, failed.rows))
    what = f"Example {name} ({size:,} {run.session.unit}) does not fit into memory{doing}, not even alone and with every saving on."
    todo = (
        f"Choose one: {run.session.smaller_words(known)}; or use a smaller base model; "
        "or close other programs and press Resume: nothing learned so far is lost."
    )
    return DoesNotFit(run, what, todo)


# ---- the optimiser's step ----------------------------------------------------------------------------------------------------


def step(run: Run, micro_batches: Sequence[Batch]) -> None:
    """The optimiser's step, tried again where memory ran out: a step that fails leaves no weight half-way (see train/stepping.py)."""
    for left in reversed(range(TRIES)):
        _, said = attempt(run.optimizer.step)
        if not said:
            return
        largest = max(micro_batches, key=lambda batch: batch.cost)
        report(run, f"Memory ran out while update {run.progress.step + 1} was being made. It was made again.", said, largest)
        shrink(run, largest.cost)
        if not left:
            what = "There is no memory left for the optimiser."
            raise DoesNotFit(run, what, "Choose a lower rank or a smaller base model, or close other programs and press Resume.")


# ---- held-out examples -------------------------------------------------------------------------------------------------------


@torch.no_grad()
def evaluate(run: Run) -> tuple[float, int]:
    """Mean held-out loss per target and the number of examples."""
    run.session.model.eval()
    total, count, rows = 0.0, 0, 0
    with run.optimizer.averaged():
        for batch in run.session.heldout():
            loss, n = _evaluated(run, batch)
            total, count, rows = total + loss, count + n, rows + len(batch.rows)
            if run.folder.stop_asked and run.progress.step == 0:
                break
    run.session.model.train()
    return total / max(count, 1), rows


def _evaluated(run: Run, batch: Batch) -> tuple[float, int]:
    """Summed loss and number of targets of held-out examples; in halves where memory wants it."""
    parts, total, count, again = [batch], 0.0, 0, False
    while parts:
        part = parts.pop(0)
        halves = run.session.split(part)
        if halves and run.oom.evaluation_cost and part.cost > run.oom.evaluation_cost:
            parts[:0] = halves
            continue
        found, said = attempt(partial(_loss, run, part))
        if found is not None:
            total, count, again = total + found[0], count + found[1], False
            continue
        if halves is None and again:
            raise _question(run, part, " even for looking at it")
        many = f"{len(part.rows)} held-out examples ({part.cost:,} {run.session.unit})"
        report(run, f"{many} did not fit into memory at once.", said, part)
        again = halves is None  # once more: there is more room now than when it was tried
        parts[:0] = halves or (part,)
        if halves:
            _evaluate_less(run, max(half.cost for half in halves))
    return total, count


def judged(run: Run, judge: Callable[[], Found]) -> Found | None:
    """What `judge` gives, with fewer held-out examples at once where memory wants it; None where nothing helps. The training is over."""
    session = run.session
    largest = session.cost_limit or max((batch.cost for batch in session.heldout()), default=0)
    for limit in (0, largest // 2, largest // 8, 1):
        if limit:
            session.reconfigure(run.plan.model_copy(update=session.limit_cost(limit)))
        found, said = attempt(judge)
        if not said:
            return found
        after = "Fewer examples at once are tried." if limit != 1 else "What was learned is saved and can be compared later."
        text = f"Memory ran out while comparing before and after. {after}"
        run.folder.emit(Incident(step=run.progress.step, code="out_of_memory", text=text, data={"error": said}))
    return None


def _loss(run: Run, batch: Batch) -> tuple[float, int]:
    loss, n = run.session.loss(batch)
    return loss.item(), n


def _evaluate_less(run: Run, cost: int) -> None:
    before, run.oom.evaluation_cost = run.oom.evaluation_cost, cost
    reason = "memory ran out while looking at them. The training is not touched by it, and the result is the same."
    run.folder.emit(Adjusted(step=run.progress.step, setting="held_out_tokens_at_once", before=before, after=cost, reason=reason))
