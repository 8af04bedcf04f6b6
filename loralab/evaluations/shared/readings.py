"""Owns reading whole rows for what they cost a model: many at once, without and with the adapter, and no row twice.

Invariants: a row costs what it costs alone, up to rounding; base and adapter read the very same tokens, and that the switch between them
made a difference is read off the layers; what is known of a row's tokens serves every measure that asks for some of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from loralab.core.errors import LabError
from loralab.core.records import Example
from loralab.evaluations import Judging, switched

if TYPE_CHECKING:
    from loralab.models.tokenize import Encoded

BOTH = (False, True)  # without the adapter and with it
ORDER = 0  # seed of the order in which micro-batches are read, so that those read before a stop are a fair sample
# Times what the plan learns from at once. A pass that has no way back holds one block at a time, where a learning one holds (none) all that
# is inside every block, (selective) the costly parts of it, or (full) what goes into each.
LIGHTER = {"none": 4, "selective": 2, "full": 1}

Tell = Callable[[float], object]  # how much of what was asked for is read, 0..1


def readings(judging: Judging) -> Readings:
    """Those of one judging, which all its measures share."""
    return vars(judging).setdefault("readings", Readings(judging.session))


class Readings:
    """What each learned token of each row cost, in nats, by who read it. Rows are known by their tokens."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self._nats: dict[bool, dict[tuple[int, ...], dict[int, float]]] = {who: {} for who in BOTH}

    def loss(self, row: Encoded, *, adapter: bool) -> tuple[float, int] | None:
        """Summed loss of the learned tokens of a row, and their number; None while they were not read."""
        known, places = self._nats[adapter].get(tuple(row.ids), {}), _places(row)
        return (math.fsum(known[place] for place in places), len(places)) if all(place in known for place in places) else None

    def read(
        self,
        rows: Iterable[Encoded],
        *,
        by: Sequence[bool] = BOTH,
        stop: Callable[[], bool] = lambda: False,
        tell: Tell = lambda _fraction: None,
    ) -> None:
        """Read those of `rows` that are not known yet; stopped, at least one micro-batch of them.

        Raises LabError where the adapter cannot be switched.
        """
        import torch

        asked = self._asked(rows, by)
        batches = micro_batches(self.session, asked)
        training = self.session.model.training
        self.session.model.eval()
        try:
            for number, at in enumerate(np.random.default_rng(ORDER).permutation(len(batches))):
                tell(number / len(batches))
                part = [asked[i] for i in batches[at]]
                for adapter in by:
                    with torch.no_grad(), _certainly(self.session.model, adapter=adapter):
                        self._take(part, adapter=adapter)
                if stop():
                    break
        finally:
            self.session.model.train(training)

    def _asked(self, rows: Iterable[Encoded], by: Sequence[bool]) -> list[Encoded]:
        """What has to be read, each row once, with all that anybody asks of it learned; those that begin alike side by side."""
        wanted: dict[tuple[int, ...], Encoded] = {}
        for row in rows:
            if any(self.loss(row, adapter=adapter) is None for adapter in by):
                before = wanted.get(tuple(row.ids))
                wanted[tuple(row.ids)] = row if before is None else _joined(before, row)
        shares = self.session.head.by_hand is not None  # the others pad, and gain by rows of like length
        return [wanted[ids] for ids in sorted(wanted, key=None if shares else lambda ids: (len(ids), ids))]

    def _take(self, rows: Sequence[Encoded], *, adapter: bool) -> None:
        batch = self.session.batch(rows, range(len(rows)), [Example(row=0)] * len(rows))
        losses = iter(self.session.head.losses(batch.tensors["ids"], batch.tensors["learned"]).tolist())
        for row in rows:
            self._nats[adapter].setdefault(tuple(row.ids), {}).update({place: next(losses) for place in _places(row)})


def micro_batches(session: Any, rows: Sequence[Encoded], targets: float = math.inf) -> list[list[int]]:
    """`rows` in order, cut so that reading a part of them needs no more memory than the plan has for learning.

    `targets`: learned tokens of one part, but for a row that has more.
    """
    plan = session.plan
    times = LIGHTER.get(getattr(plan, "recompute", "full"), 1) if session.head.plain else 1  # others make logits of all that is read
    most, budget = times * plan.micro_batch, times * plan.token_budget or math.inf
    parts: list[list[int]] = []
    longest = learned = 0
    for i, row in enumerate(rows):
        longest, learned = max(longest, len(row.ids)), learned + len(_places(row))
        if not parts or len(parts[-1]) >= most or longest * (len(parts[-1]) + 1) > budget or learned > targets:
            parts.append([])
            longest, learned = len(row.ids), len(_places(row))
        parts[-1].append(i)
    return parts


def _places(row: Encoded) -> list[int]:
    """Where the learned tokens are. Nothing comes before the first token, so it cannot be predicted."""
    return [place for place, learned in enumerate(row.learned) if learned and place]


def _joined(one: Encoded, other: Encoded) -> Encoded:
    """Two rows of the same tokens as one, of which all that either learns from is learned."""
    return replace(one, learned=[a or b for a, b in zip(one.learned, other.learned, strict=True)])


@contextmanager
def _certainly(model: Any, *, adapter: bool) -> Generator[None, None, None]:
    """Within it the adapter takes part or not, as asked. Raises LabError where the layers say otherwise."""
    from loralab.serve.generate import active_adapters

    with switched(model, adapter=adapter):
        if bool(active_adapters(model)) != adapter:
            raise LabError("The adapter could not be switched for a fair comparison.", "Train it again.", code="adapter_switch")
        yield
