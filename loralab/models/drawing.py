"""Owns the catalogue of models that draw: what each is, needs and may be used for. Invariant: an entry without its licence or its memory is
refused.
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


class DrawingEntry(Record):
    """A model that draws."""

    name: str
    title: str  # as people know it
    source: Literal["bundled", "hub"]
    hub_id: str = ""
    architecture: str
    licence: str = Field(min_length=1)
    parameters: int = Field(gt=0)
    side: int = Field(gt=0)  # of its pictures, in pixels
    megabytes_at_one: int = Field(gt=0)  # memory of a training with one picture at once
    download_bytes: int = 0
    words: str


def drawing_models() -> tuple[DrawingEntry, ...]:
    """The catalogue as it ships, smallest first."""
    rows = json.loads((DATA / "drawing_models.json").read_text("utf-8"))["models"]
    return tuple(DrawingEntry.model_validate(row) for row in rows)


def drawing_entry(name: str) -> DrawingEntry | None:
    """The entry of that name, or None."""
    wanted = name.strip().lower()
    return next((entry for entry in drawing_models() if wanted in (entry.name, entry.hub_id.lower()) and wanted), None)


def drawing_folder() -> Path:
    """Where the starter that draws lies."""
    return DATA / "starter" / "draws"


def check_drawing(entry: DrawingEntry, folder: Path) -> ModelCheck:
    """Whether a model that draws can learn here, from what lies on this computer."""
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
        words=f"{entry.title} can be trained: {entry.parameters / 1e6:.1f} million weights that draw." if here else str(missing),
    )
