"""Owns the catalogue of models that see: what each is, needs and may be used for, and whether one is here. Invariant: an entry without its
licence, its size, its measured quality with a source, or its memory is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from loralab.core.errors import Problem
from loralab.core.paths import DATA
from loralab.core.records import Record
from loralab.core.words import size
from loralab.models.model_check import DAMAGED, ModelCheck
from loralab.models.model_folder import count_weights, read_json, weight_files
from loralab.models.seeing import STARTER, Cost, Seeing, seeing_of, stands_in_the_way

WEIGHTS = "model.safetensors"


class VisionEntry(Record):
    """A model that sees."""

    name: str
    title: str  # as people know it
    source: Literal["bundled", "hub"]
    hub_id: str = ""
    model_type: str = ""  # of its config.json
    architecture: str
    licence: str = Field(min_length=1)
    parameters: int = Field(gt=0)  # without the heads
    sizes: tuple[int, int]  # shortest and longest side that it sees well at, in pixels
    benchmark: str = Field(min_length=1)  # how good it is, measured by others
    benchmark_source: str = Field(min_length=1)
    megabytes_at_one: int = Field(gt=0)  # memory of a training with one picture at once, at the side that it is usually given
    good_for: tuple[str, ...] = Field(min_length=1)  # kinds of training
    cost: Cost
    download_bytes: int = 0
    words: str = Field(min_length=1)

    @model_validator(mode="after")
    def _fetched(self) -> VisionEntry:
        if self.source == "hub" and not (self.hub_id and self.model_type and self.download_bytes):
            raise ValueError(f"{self.name}: what is fetched has a Hub id, a kind and a size")
        return self

    @property
    def seeing(self) -> Seeing:
        """What a plan has to know of it."""
        if not self.model_type:
            return STARTER.model_copy(update={"cost": self.cost})
        found = seeing_of({"model_type": self.model_type}) or STARTER
        return found.model_copy(update={"cost": self.cost, "good_for": self.good_for, "sizes": self.sizes})


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
    """Whether a model of the catalogue that sees can learn here, from what lies on this computer."""
    if entry.source == "hub" and (folder / "config.json").is_file():
        return check_folder(entry.name, folder, entry)
    here = (folder / WEIGHTS).is_file()
    if entry.source == "hub":
        what = f"{entry.title} is not on this computer yet ({size(entry.download_bytes)})."
        problem = Problem(code="not_downloaded", what=what, todo=f"Download it ({size(entry.download_bytes)}).")
    else:
        problem = Problem(code="no_starter", what=f"{entry.title} is missing from this copy of LoRALab.", todo="Get a complete copy.")
    return ModelCheck(
        name=entry.name,
        ok=here,
        folder=folder,
        present=here,
        download_bytes=entry.download_bytes,
        parameters=entry.parameters,
        seeing=entry.seeing,
        problems=() if here else (problem,),
        words=_can(entry.title, entry.parameters) if here else str(problem),
    )


def check_folder(name: str, folder: Path, entry: VisionEntry | None = None) -> ModelCheck:
    """Whether the model that sees in a folder can be trained, from its config.json and the headers of its weights."""
    try:
        config: Mapping[str, Any] = read_json(folder / "config.json")
        problems = stands_in_the_way(config, {file.name for file in folder.iterdir()})
        files = weight_files(folder)
        gone = [file.name for file in files if not file.is_file()]
        if gone:
            what = f"A part of the weights is missing ({gone[0]})."
            problems.append(Problem(code="incomplete_download", what=what, todo="Download the model again; what is there is kept."))
        parameters = 0 if gone else count_weights(files)[0]
        found = seeing_of(config, parameters)
    except DAMAGED as error:
        problems = [Problem(code="damaged_model", what=f"A file of this model is damaged ({error}).", todo="Download it again.")]
        parameters, found = 0, None
    title = entry.title if entry else name
    return ModelCheck(
        name=name,
        ok=not problems,
        folder=folder,
        present=True,
        parameters=entry.parameters if entry else parameters,
        seeing=entry.seeing if entry else found or (Seeing(good_for=(), cost=STARTER.cost) if problems else None),
        problems=tuple(problems),
        words=str(problems[0]) if problems else _can(title, entry.parameters if entry else parameters),
    )


def seeing_in(folder: Path) -> Seeing:
    """What the model in a folder is to a plan; the starter where it has no config.json."""
    config = read_json(folder / "config.json")
    entry = next((one for one in vision_models() if one.hub_id.replace("/", "--") == folder.name), None)
    if entry:
        return entry.seeing
    return (seeing_of(config, count_weights(weight_files(folder))[0]) if config else None) or STARTER


def _can(title: str, parameters: int) -> str:
    return f"{title} can be trained: {parameters / 1e6:.1f} million weights that see."
