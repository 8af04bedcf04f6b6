"""The verdict on what was trained, as a value, and how it is told: spoken of by what trains and by what measures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from loralab.core.events import Evaluated, Event, Previewed, Saved
from loralab.core.paths import write_atomic
from loralab.core.records import Artifact, Sample, Score
from loralab.core.verdict import Verdict

Note = Callable[[str, float | None], object]  # tells people what is being measured and how far it is, 0..1


class Folder(Protocol):
    """What telling needs of a run folder."""

    @property
    def artifacts(self) -> Path:
        """Where files go that a run leaves."""
        ...

    def emit(self, event: Event) -> object:
        """Append to the log."""
        ...


@dataclass(frozen=True)
class Judgement:
    """The verdict word, its sentence, the scores (the main one first), what was measured per example, and answers to look at."""

    verdict: str
    words: str
    scores: tuple[Score, ...]
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    complete: bool = True
    conclusion: Verdict | None = None


def tell(found: Judgement, folder: Folder, step: int = 0, loss: float = math.nan) -> Path:
    """Emit a judgement and write what it rests on, example by example, beside it; returns that file. `loss`: told where none was judged."""
    judged = next((s for s in found.scores if s.name == "loss"), None)
    folder.emit(
        Evaluated(
            step=step,
            split="final",
            loss=judged.after if judged else loss,
            n=judged.n if judged else 0,
            scores=found.scores,
            verdict=found.verdict,
            words=found.words,
            conclusion=found.conclusion,
        )
    )
    folder.emit(Previewed(step=step, samples=found.samples))
    report = {
        "verdict": found.verdict,
        "words": found.words,
        "conclusion": found.conclusion.model_dump() if found.conclusion else None,
        "complete": found.complete,
        "rows": found.rows,
        "tables": found.tables,
        "scores": [score.model_dump() for score in found.scores],
        "samples": [sample.model_dump() for sample in found.samples],
    }
    path = folder.artifacts / "evaluation.json"
    write_atomic(path, json.dumps(report, ensure_ascii=False, indent=1))
    folder.emit(Saved(step=step, artifact=Artifact(kind="report", path=str(path), step=step, bytes=path.stat().st_size)))
    return path
