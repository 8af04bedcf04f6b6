"""Owns judging: what an adapter changed, measured on examples it never saw, base and adapter in one process, paired per example.

To add a measure write `loralab/evaluations/text/<name>.py` with an `EVALUATION` constant; nothing else is edited. Modules are light at
the top; torch is imported inside the functions, because the app may list the measures too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from loralab.core import plugins
from loralab.core.errors import LabError
from loralab.core.judgement import Note
from loralab.core.records import Example, Message, Plan, Score
from loralab.evaluations.shared.answers import Answer, Answered, switched, write_all

if TYPE_CHECKING:
    from torch import Tensor, nn

    from loralab.evaluations.shared.second_opinion import Opinion
    from loralab.models.tokenize import TextEncoder

__all__ = ["Answer", "Answered", "Evaluation", "Judged", "Judging", "Measured", "answered", "evaluations", "switched", "without"]

APART = ("shared", "images")  # hold no measure of this kind: pictures are judged as a whole
ORDER = 0  # seed of the order in which answers are written
FIRST, TOGETHER = 4, 32  # answers written at once: few at first, so that a stop soon finds some, then as many as can be sorted by length


class Judged(Protocol):
    """What a measure needs of a session: a model whose adapter can be switched off, and the held-out examples."""

    model: nn.Module
    encoder: TextEncoder
    heldout_rows: list[Any]
    train_examples: list[Example]
    heldout_examples: list[Example]

    def batch(self, rows: Sequence[Any], chosen: Sequence[int], examples: Sequence[Example]) -> Any:
        """The chosen rows as one micro-batch."""
        ...

    def loss(self, batch: Any) -> tuple[Tensor, int]:
        """Summed loss and number of targets."""
        ...


@dataclass(frozen=True)
class _Without:
    """A session of which some held-out examples are not judged."""

    of: Judged
    heldout_rows: list[Any]
    heldout_examples: list[Example]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.of, name)


def without(session: Judged, places: Container[int]) -> Any:
    """The session without the held-out examples at these places."""
    kept = [i for i in range(len(session.heldout_examples)) if i not in places]
    return _Without(session, [session.heldout_rows[i] for i in kept], [session.heldout_examples[i] for i in kept])


@dataclass
class Judging:
    """One judging of a session: what the measures share, so that no answer is written twice.

    `note` tells people what is being measured and how far it is (0..1); `stop` says that they want to see what there is so far.
    """

    session: Judged
    plan: Plan
    most_answers: int = 64
    seconds: float = math.inf  # for writing answers; fewer examples are answered when it is over
    note: Note = lambda _text, _fraction: None
    stop: Callable[[], bool] = lambda: False
    written: list[Answered] | None = None
    cut_short: bool = False  # fewer answers than asked for, because somebody wanted to see what there is
    only: tuple[str, ...] = ()  # names of the measures to take; empty: all that mean something for the data
    judge: Callable[[], Opinion] | None = None  # opens the local judge, where a person named one
    asked: Opinion | None = None  # that judge once it was opened; whoever made the judging closes it
    unheard: str = ""  # why there is none after all

    def opinion(self) -> Opinion | None:
        """The local judge, opened on first use; None where there is none or it cannot be opened, which is then told once."""
        if self.judge is not None and self.asked is None and not self.unheard:
            self.note("opening the judge", None)
            try:
                self.asked = self.judge()
            except LabError as error:
                self.unheard = f"The judge could not be asked. {error.problem.what} {error.problem.todo}".strip()
        return self.asked

    def answers(self) -> list[Answered]:
        """The answers both wrote; written on first use."""
        if self.written is None:
            self.written = self._write()
        return self.written

    def _write(self) -> list[Answered]:
        """Both answers to as many held-out examples as are allowed; at least one, and what there is when it is stopped."""
        examples = self.session.heldout_examples
        order = np.random.default_rng(ORDER).permutation(len(examples))[: self.most_answers]
        begun, written = time.monotonic(), list[Answered]()

        def over() -> bool:
            return bool(written) and (self.stop() or time.monotonic() - begun > self.seconds)

        training = self.session.model.training
        self.session.model.eval()
        try:
            while len(written) < len(order) and not over():
                self.note("writing answers", len(written) / len(order))
                part = order[len(written) : len(written) + (TOGETHER if written else FIRST)]
                found = write_all(self.session, [examples[int(i)] for i in part], over)
                written += found
                if len(found) < len(part):
                    break
        finally:
            self.session.model.train(training)
        self.cut_short = len(written) < len(order) and self.stop()
        return sorted(written, key=lambda pair: pair.example.row)


@dataclass(frozen=True)
class Measured:
    """What a measure found: its scores, and the same per example for those who want to look closer.

    A score leaves `verdict` empty: whether it is better is said once for all measures, corrected for their number (`_judge`).
    """

    scores: tuple[Score, ...]
    rows: list[dict[str, Any]]
    tables: dict[str, Any] = field(default_factory=dict)  # what a page may draw: a confusion table, spans in an answer


@dataclass(frozen=True)
class Evaluation:
    """One family of measures, for some kinds of training (`tasks`). `accepts` says whether it means anything for these examples.

    `main` is the rank at which its first score carries the verdict: the highest among the accepted ones does, and that depends on the
    data alone, never on what was measured. 0: never.
    """

    name: str
    label: str
    tasks: frozenset[str]
    accepts: Callable[[Sequence[Example]], bool]
    measure: Callable[[Judging], Measured]
    main: int = 0
    last: bool = False  # optional and slow: after all others, so that a stop costs nothing else

    def fits(self, plan: Plan, examples: Sequence[Example]) -> bool:
        """Whether it is taken on a run of this plan, judged on these examples."""
        return plan.task in self.tasks and self.accepts(examples)


def evaluations() -> dict[str, Evaluation]:
    """All measures by name."""
    return {evaluation.name: evaluation for evaluation in plugins.discover("loralab.evaluations", "EVALUATION", APART).values()}


def answered(model: nn.Module, encoder: TextEncoder, messages: Sequence[Message], limit: int) -> str:
    """What a model says to a conversation, in at most `limit` tokens."""
    from loralab.serve.generate import answer

    return answer(model, encoder, list(messages), limit)[0]
