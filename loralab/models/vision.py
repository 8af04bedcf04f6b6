"""Owns the catalogue of models that see: what each is, needs and may be used for. Invariant: an entry without its licence, its measured
quality with a source, or its memory is refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import Field

from loralab.core.errors import Problem
from loralab.core.paths import DATA
from loralab.core.records import Record
from loralab.models.model_check import ModelCheck

WEIGHTS = "model.safetensors"


class VisionEntry(Record):
    """A model that sees."""

    name: str
    title: str  # as people know it
    source: Literal["bundled", "hub"]
    hub_id: str = ""
    architecture: str
    licence: str = Field(min_length=1)
    parameters: int = Field(gt=0)  # without the heads
    sizes: tuple[int, int]  # shortest and longest side that it sees well at, in pixels
    benchmark: str = Field(min_length=1)  # how good it is, measured by others
    benchmark_source: str = Field(min_length=1)
    megabytes_at_one: int = Field(gt=0)  # memory of a training with one picture at once
    good_for: tuple[str, ...]  # kinds of training
    download_bytes: int = 0
    words: str


def vision_models() -> tuple[VisionEntry, ...]:
    """The catalogue as it ships, smallest first."""
    rows = json.loads((DATA / "vision_models.json").read_text("utf-8"))["models"]
    return tuple(VisionEntry.model_validate(row) for row in rows)


def vision_entry(name: str) -> VisionEntry | None:
    """The entry of that name, or None."""
    wanted = name.strip().lower()
    return next((entry for entry in vision_models() if wanted in (entry.name, entry.hub_id.lower()) and wanted), None)


def bundled_folder() -> Path:
    """Where the starter for pictures lies."""
    return DATA / "starter" / "vision"


def check_vision(entry: VisionEntry, folder: Path) -> ModelCheck:
    """Whether a model that sees can learn here, from what lies on this computer."""
    here = (folder / WEIGHTS).is_file()
    missing = Problem(code="no_starter", what=f"{entry.title} is missing from this copy of LoRALab.", todo="Get a complete copy.")
    return ModelCheck(
        name=entry.name,
        ok=here,
        folder=folder,
        present=here,
        download_bytes=entry.download_bytes,
        parameters=entry.parameters,
        problems=() if here else (missing,),
        words=f"{entry.title} can be trained: {entry.parameters / 1e6:.1f} million weights that see." if here else str(missing),
    )
