"""Owns LabFail's records on disk: one per run, one file per cause, compressed. Invariant: what is read back is what was written, whole."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter

from loralab.core.events import Event, RunView, fold
from loralab.core.records import DatasetProfile, Record

TINY = ("llama", "qwen3", "gpt2", "gemma2", "phi3", "falcon")
MODELS = (*TINY, "starter")
PAIRS = ("numbers", "support", "labels", "chat", "desk")  # data sets with a question and an answer
DATA = (*PAIRS, "plain")
RUNS = Path(__file__).parent / "runs"
HEALTHY = "healthy"
TAIL = 4000  # characters of worker.log that are kept
_EVENTS: TypeAdapter[list[Event]] = TypeAdapter(list[Event])


class LabRun(Record):
    """One real training: what was done to it, what it wrote, and how its healthy twin did."""

    cause: str  # a name in make.causes.causes(), or “healthy”
    kind: str  # of a healthy run: usual, or why it looks frightening
    model: str
    data: str
    number: int  # of the run within its cause; of the healthy ones: the seed
    twin: int = 0  # seed of the usual run it was made from
    injected: str = ""
    plan: dict[str, Any]
    events: list[dict[str, Any]]
    log: str = ""
    profile: dict[str, Any] | None = None
    healthy_twin: dict[str, float] = Field(default_factory=dict)  # base, best, last of its held-out loss
    facts: dict[str, Any] | None = None  # measured again where what a worker notes has grown since (see make/refresh)
    seconds: float = 0.0

    @property
    def key(self) -> str:
        return f"{self.cause}/{self.kind}/{self.model}/{self.data}/{self.number}"

    @property
    def part(self) -> str:
        """dev: may be looked at while rules are written; heldout: never. Cells alternate like the fields of a chess board."""
        return ("dev", "heldout")[(MODELS.index(self.model) + DATA.index(self.data)) % 2]

    @cached_property
    def told(self) -> list[Event]:
        return _EVENTS.validate_python(self.events)

    @property
    def view(self) -> RunView:
        return fold("labfail", self.told)

    @property
    def typed_profile(self) -> DatasetProfile | None:
        return DatasetProfile.model_validate(self.profile) if self.profile else None


def slim(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With seven digits of each number."""
    return [_rounded(event) for event in events]


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.14g}") if abs(value) > 1e9 else float(f"{value:.7g}")
    if isinstance(value, dict):
        return {name: round(inner, 3) if name == "time" else _rounded(inner) for name, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list) else value


def write(path: Path, runs: Iterable[LabRun]) -> None:
    """All runs of a cause into one file."""
    text = "".join(run.model_dump_json() + "\n" for run in runs)
    path.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


def read(path: Path) -> Iterator[LabRun]:
    """Runs of a file: compressed, or as they are generated."""
    raw = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    for line in raw.splitlines():
        yield LabRun.model_validate_json(line)


def corpus(folder: Path = RUNS) -> list[LabRun]:
    """All runs there are."""
    return [run for path in sorted(folder.glob("*.jsonl*")) for run in read(path)]


def as_line(run: LabRun) -> str:
    """A run as a line of a file that is not compressed yet."""
    return json.dumps(json.loads(run.model_dump_json()), ensure_ascii=False) + "\n"
