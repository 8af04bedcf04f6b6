"""What differs between sorting pictures, marking in them and finding in them, as the session sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from loralab.core.judgement import Judgement
from loralab.core.records import Example
from loralab.datasets.images.drawn import Marks
from loralab.datasets.images.views import Seen
from loralab.evaluations.images.seen import Seen as Judged
from loralab.sessions.pictures.album import Album

Shown = tuple[Seen, npt.NDArray[np.int64]]  # a picture as the model reads it, and the classes of its boxes


@dataclass(frozen=True)
class Answers:
    """What was said to pictures, in their own sizes: before the adapter (`probe`: the quick look) and now."""

    probe: list[Any] | None
    after: list[Any]


class Kind(Protocol):
    """One kind of question about pictures. Tensors have one row a picture."""

    task: str
    labels: tuple[str, ...]
    quick_rate: float  # learning rate of the quick look
    quick_batch: int
    quick_views: int  # how often the quick look shows each picture: as it is, then varied

    def count(self, examples: Sequence[Example]) -> None:
        """Learn what there is to learn from: how rare each class is."""
        ...

    def targets(self, examples: Sequence[Example], shown: Sequence[Shown]) -> dict[str, Tensor]:
        """What is to be said of the pictures of a batch."""
        ...

    def kept(self, features: list[Tensor]) -> list[Tensor]:
        """What the quick look keeps of the features of a batch."""
        ...

    def loss(self, head: Any, said: Any, tensors: dict[str, Tensor]) -> tuple[Tensor, int]:
        """Summed over the pictures, and their number."""
        ...

    def answers(self, head: Any, said: Any, shown: Sequence[Shown], album: Album, examples: Sequence[Example]) -> list[Any]:
        """What the head said of each picture, as the measures take it, in the picture's own pixels."""
        ...

    def words(self, answer: Any) -> str:
        """An answer for people."""
        ...

    def marks(self, answer: Any) -> Marks | None:
        """Where it is what an answer says, in the picture's own pixels; None where it is of the picture as a whole."""
        ...

    def truth_words(self, example: Example) -> str:
        """What is right, for people."""
        ...

    def shuffled(self, examples: Sequence[Example], seed: int) -> list[Example]:
        """The same pictures with each other's answers: a control."""
        ...

    def judge(
        self,
        about: dict[str, Any],
        examples: Sequence[Example],
        answers: Answers,
        watched: tuple[Sequence[Example], list[Any]],
        album: Album,
    ) -> Judgement:
        """The verdict. `about`: what every measure takes; `watched`: the pictures to choose by, with what is said of them now."""
        ...

    def judged(self, found: Judgement) -> dict[str, Any]:
        """What the card is to say that was chosen while judging: thresholds."""
        ...


__all__ = ["Answers", "Judged", "Kind", "Shown"]
