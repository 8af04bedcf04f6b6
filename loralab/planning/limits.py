"""What must not be tried twice: points that failed, points that are known to fit, and which plans they rule out.

Two kinds of failure get worse with every one of a few numbers, whatever the others are: want of memory (tokens at once, longest row, what
learns, bytes a number, what is kept) and running away (how big a correction is, how abrupt its start, how few examples are behind it). So
one failed point rules out all that lie at or beyond it in every number: its up-closure. What fits rules in all that lie below.

Invariants: a plan that a failed point dominates is never begun; a point holds only for the model, the computer and the versions it was
made with; a later success at or beyond a failed point takes that point back, because the assumption behind it was wrong there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pydantic import ValidationError

from loralab.core.errors import Problem
from loralab.core.facts import Facts
from loralab.core.paths import model_name
from loralab.core.records import Plan, Record
from loralab.planning.memory import WEIGHT_BYTES
from loralab.tasks.text import TextPlan

Kind = Literal["memory", "rate"]

MORE_ROOM = 1.1  # times the memory that was free then: below that it is the same computer with the same programs open
KEPT_ROOM = 0.8  # of the memory that is free now is counted on for a plan: by its start some of it may be taken
KEEPS = {"none": 2.0, "selective": 1.0, "full": 0.0}  # results kept for the way back, in order
# A little more warm-up or a few more examples behind an update are no new hope: only what is of another order is another point.
WARMUPS = (0.02, 0.2)  # of the run
BATCHES = 4
NAMES: dict[Kind, tuple[str, ...]] = {
    "memory": (
        "tokens at once",
        "longest example",
        "attention's rank",
        "feed-forward's rank",
        "bytes a number",
        "results kept",
        "kept on the card",
        "optimiser's notes",
        "plain attention",
        "DoRA",
    ),
    "rate": ("effective learning rate", "abruptness", "fewness of examples"),
}


class Point(Record):
    """Settings that failed or did well, as numbers of which larger is always worse. Comparable only under the same key."""

    kind: Kind
    key: str
    vector: tuple[float, ...]
    room: int = 0  # bytes that were free; 0 where it is not known
    failed: bool
    run: str = ""
    step: int = 0
    time: float = 0.0

    def at_or_beyond(self, other: Point) -> bool:
        """Whether this is as bad as `other` or worse in every number."""
        return self.kind == other.kind and self.key == other.key and all(a >= b for a, b in zip(self.vector, other.vector, strict=True))

    def dominated_by(self, failed: Point) -> bool:
        """Whether it must fail because `failed` did. A computer with clearly more memory free than then is another computer."""
        return self.at_or_beyond(failed) and not self.has_more_room(failed, MORE_ROOM)

    def has_more_room(self, other: Point, times: float = 1.0) -> bool:
        """Whether more memory was free here, as far as both are known."""
        return bool(self.room and other.room and self.room > times * other.room)


class Limits:
    """The points of one workspace, oldest first. Holds the edge of what failed and of what fits only: the rest follows from it."""

    def __init__(self, points: Iterable[Point] = ()) -> None:
        self._failed: dict[tuple[str, str], list[Point]] = {}
        self._fits: dict[tuple[str, str], list[Point]] = {}
        for point in sorted(points, key=lambda point: point.time):
            self.learn(point)

    def learn(self, point: Point) -> None:
        """Take a point in, and out what it makes superfluous or takes back."""
        name = point.kind, point.key
        failed, fits = self._failed.setdefault(name, []), self._fits.setdefault(name, [])
        if point.failed:
            fits[:] = [old for old in fits if not old.at_or_beyond(point) or old.has_more_room(point)]
            if not any(_says_all(old, point) for old in failed):
                failed[:] = [*(old for old in failed if not _says_all(point, old)), point]
        else:
            failed[:] = [old for old in failed if not point.at_or_beyond(old) or point.has_more_room(old)]
            if not any(old.at_or_beyond(point) and not old.has_more_room(point) for old in fits):
                fits[:] = [*(old for old in fits if not point.at_or_beyond(old) or point.has_more_room(old)), point]

    def against(self, points: Sequence[Point]) -> Point | None:
        """The failure that rules these points out; the newest, because people remember it."""
        found = [old for point in points for old in self._failed.get((point.kind, point.key), ()) if point.dominated_by(old)]
        return max(found, key=lambda old: old.time, default=None)

    def known_to_fit(self, point: Point) -> Point | None:
        """A success at or beyond this point, with no more memory free than now."""
        known = self._fits.get((point.kind, point.key), ())
        return next((old for old in known if old.at_or_beyond(point) and not old.has_more_room(point)), None)

    @property
    def failed(self) -> tuple[Point, ...]:
        return tuple(point for points in self._failed.values() for point in points)

    @property
    def fits(self) -> tuple[Point, ...]:
        return tuple(point for points in self._fits.values() for point in points)


def _says_all(failure: Point, other: Point) -> bool:
    """Whether `failure` rules out all that the failure `other` does: it is at least as small, and there was at least as much room."""
    return other.at_or_beyond(failure) and (not failure.room or bool(other.room and failure.room >= other.room))


# ---- from plans and runs to points -------------------------------------------------------------------------------------------


def points(plan: TextPlan, facts: Facts, *, failed: bool = False, at: tuple[str, int, float] = ("", 0, 0.0)) -> tuple[Point, Point]:
    """Where a plan lies: its point of memory and its point of rate. `at`: run, update and time, where it has run."""
    run, step, time = at
    model = f"{model_name(plan.base_model)} | {facts.architecture} {facts.hidden} x {facts.layers}"
    memory = Point(
        kind="memory",
        key=f"{model} | {facts.place} | {plan.engine} | {_odd_targets(plan)}",
        vector=_memory(plan, facts),
        room=facts.room,
        failed=failed,
        run=run,
        step=step,
        time=time,
    )
    abrupt = float(sum(plan.warmup < share for share in WARMUPS))
    vector = (plan.learning_rate * plan.loudness, abrupt, -math.floor(math.log(plan.effective_batch, BATCHES)))
    other = f" | {plan.optimizer}" if plan.averages else ""  # which bears other rates
    rate = Point(
        kind="rate",
        key=f"{model} | {plan.precision}{other} | {_versions(facts)}",
        vector=vector,
        failed=failed,
        run=run,
        step=step,
        time=time,
    )
    return memory, rate


def against(plan: Plan, facts: Facts, limits: Limits) -> Point | None:
    """The failure that rules a plan out. A plan of a kind that leaves no points is never ruled out."""
    return limits.against(points(plan, facts)) if isinstance(plan, TextPlan) else None


def of_settings(settings: dict[str, Any], facts: Facts, *, failed: bool, at: tuple[str, int, float]) -> tuple[Point, Point] | None:
    """Where the settings of a past run lie; None where a version of long ago cannot be read."""
    known = {*TextPlan.model_fields, "use_dora"}  # as versions before wrote the kind of adapter
    try:
        plan = TextPlan.model_validate({name: value for name, value in settings.items() if name in known})
    except ValidationError:
        return None
    return points(plan, facts, failed=failed, at=at)


def _memory(plan: TextPlan, facts: Facts) -> tuple[float, ...]:
    longest = min(plan.max_length, facts.tokens.get("max", plan.max_length))
    rows = min(plan.micro_batch, plan.effective_batch)
    at_once = max(longest, min(plan.token_budget or longest * rows, longest * rows))
    rank = float(plan.file_rank)
    return (
        float(at_once),
        float(longest),
        0.0 if plan.targets == "mlp" else rank,
        0.0 if plan.targets == "attention" else rank,
        WEIGHT_BYTES[plan.precision],
        KEEPS[plan.recompute],
        float(not plan.offload),
        2.0 if plan.small_notes else 8.0,
        float(plan.attention == "eager"),
        float(plan.use_dora),
    )


def _odd_targets(plan: TextPlan) -> str:
    """Parts named one by one cannot be compared with others."""
    return "" if plan.targets in ("all-linear", "attention", "mlp") else plan.targets


def _versions(facts: Facts) -> str:
    """The part of a place that tells versions: a rate does not depend on the computer."""
    return facts.place.rpartition(" | torch ")[2]


# ---- a plan that is not ruled out --------------------------------------------------------------------------------------------


class Avoided(Record):
    """A plan moved out of what is known to fail: what was changed, and because of which failure."""

    settings: dict[str, Any]
    because: tuple[Point, ...]
    possible: bool = True  # False: nothing smaller is left to try


NOTHING_SMALLER = "Choose a smaller model. If that run failed for another reason, forget it under “What I remember”."
SMALLER_RATE = 5.0  # as remedy.GENTLER: what a run that ran away goes on with
LEAST_TOKENS = 16  # of an example


def avoid_known_failures(plan: TextPlan, facts: Facts, limits: Limits, fixed: frozenset[str] = frozenset()) -> Avoided:
    """The least change after which no remembered failure rules the plan out, on the settings that are not `fixed`."""
    settings: dict[str, Any] = {}
    because: list[Point] = []
    while failure := limits.against(points(plan, facts)):
        change = next((c for c in _smaller(plan, facts, failure) if not c.keys() & fixed), None)
        if change is None:
            return Avoided(settings=settings, because=(*because, failure), possible=False)
        because += [failure] if failure not in because else []
        settings |= change
        plan = plan.model_copy(update=change)
    return Avoided(settings=settings, because=tuple(because))


def _smaller(plan: TextPlan, facts: Facts, failure: Point) -> Iterable[dict[str, Any]]:
    """Changes that lead away from a failure, the least intrusive first; the effective batch is never one of them."""
    if failure.kind == "rate":
        yield {"learning_rate": float(f"{min(plan.learning_rate / 2, failure.vector[0] / SMALLER_RATE / plan.loudness):.2g}")}
        return
    longest = min(plan.max_length, facts.tokens.get("max", plan.max_length))
    now = _memory(plan, facts)[0]
    if now > longest:  # to below what failed, or one row at a time
        yield {"token_budget": max(longest, int(min(now, failure.vector[0]) / 2))}
    if plan.recompute == "none":
        yield {"recompute": "selective"}
    if plan.recompute != "full":
        yield {"recompute": "full"}
    if plan.attention == "eager":
        yield {"attention": "sdpa"}
    if plan.precision == "fp32":
        yield {"precision": "bf16"}
    common = facts.tokens.get("p95", longest)
    if common < longest:
        yield {"max_length": max(LEAST_TOKENS, common)}
    if plan.rank > 4:
        yield {"rank": plan.rank // 2, "alpha": plan.alpha / 2}  # the scale stays, and with it the rate's meaning
    if longest > 4 * LEAST_TOKENS:
        yield {"max_length": longest // 2}


def because(avoided: Avoided) -> str:
    """Why a setting was moved away from a failure."""
    runs = list(dict.fromkeys(point.run for point in avoided.because if point.run))
    shown = " and ".join(runs[:2]) or "An earlier run"
    memory = any(point.kind == "memory" for point in avoided.because)
    return f"{shown} {'ran out of memory' if memory else 'ran away'} with more, so this stays well below it."


def with_room_to_spare(facts: Facts) -> Facts:
    """Facts for a plan that is to begin later: what fits only as long as nobody takes any memory is not proposed."""
    return facts.model_copy(update={"room": int(KEPT_ROOM * facts.room)})


def never_twice(failure: Point, *, fixed: bool = True) -> Problem:
    """The error of a plan that a remembered failure rules out and that may not be moved; `fixed`: because a person chose its settings."""
    run = failure.run or "an earlier run"
    how = "ran out of memory" if failure.kind == "memory" else "ran away"
    count = 2 if failure.kind == "memory" else 1
    numbers = zip(NAMES[failure.kind][:count], failure.vector[:count], strict=True)
    shown = ", ".join(f"{name} {value:g}" for name, value in numbers)
    what = f"These settings would fail again: {run} {how} with no more than this ({shown})."
    todo = "Undo your own changes, or choose smaller values." if fixed else NOTHING_SMALLER
    return Problem(code="never_twice", what=what, todo=todo)
