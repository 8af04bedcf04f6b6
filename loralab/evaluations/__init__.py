"""Owns judging: what an adapter changed, measured on examples it never saw, base and adapter in one process, paired per example.

To add a measure write `loralab/evaluations/<name>.py` with an `EVALUATION` constant; nothing else is edited. Modules are light at
the top; torch is imported inside the functions, because the app may list the measures too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from loralab import plugins
from loralab.records import Example, Plan, Sample, Score

if TYPE_CHECKING:
    from torch import Tensor, nn

    from loralab.encode import TextEncoder
    from loralab.train.session import Batch


class Judged(Protocol):
    """What a measure needs of a session: a model whose adapter can be switched off, and the held-out examples."""

    model: nn.Module
    encoder: TextEncoder
    heldout_rows: list[Any]
    heldout_examples: list[Example]

    def batch(self, rows: Sequence[Any], chosen: Sequence[int], examples: Sequence[Example]) -> Batch:
        """The chosen rows as one micro-batch."""
        ...

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        """Summed loss and number of targets."""
        ...


@dataclass(frozen=True)
class Measured:
    """What a measure found: its scores, and the same per example for those who want to look closer."""

    scores: tuple[Score, ...]
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Evaluation:
    """One measure: numbers (`measure`), samples to look at (`samples`), or both. `accepts` says whether it means anything for a plan."""

    name: str
    label: str
    accepts: Callable[[Plan, Sequence[Example]], bool]
    measure: Callable[[Any], Measured] | None = None
    samples: Callable[[Any, int], tuple[Sample, ...]] | None = None

    def score(self, session: Judged) -> tuple[Score, ...]:
        """The numbers alone; none for a measure that only shows samples."""
        return self.measure(session).scores if self.measure else ()


def evaluations() -> dict[str, Evaluation]:
    """All measures by name."""
    return {evaluation.name: evaluation for evaluation in plugins.discover("loralab.evaluations", "EVALUATION").values()}


def switched(model: nn.Module, *, adapter: bool) -> AbstractContextManager[Any]:
    """Within it the adapter takes part, or the model is the bare base."""
    from loralab.serve.generate import adapter_off

    return nullcontext() if adapter else adapter_off(model)
