"""Owns the catalogue of models that draw: what each is, needs and may be used for. Invariant: an entry without its
licence, its size, its measured quality with a source, or its memory is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from loralab.core import parts
from loralab.core.errors import Problem
from loralab.core.paths import DATA
from loralab.core.records import Precision, Record
from loralab.core.strict_json import load
from loralab.core.words import size
from loralab.models.model_check import DAMAGED, ModelCheck
from loralab.models.model_folder import count_weights

WEIGHTS = "model.safetensors"
CARD = "drawing.json"  # beside an adapter: what its weights alone do not say
PATIENTS = "Pictures of people are not shared as a generator: this one learned from patients, and may draw one of them again."
INDEX = "model_index.json"  # of a base of the library diffusers
# What such a base calls itself, and its part that learns
NETS = {"StableDiffusionPipeline": "unet", "StableDiffusionXLPipeline": "unet", "Flux2KleinPipeline": "transformer"}
LEFT = ("safety_checker", "feature_extractor", "image_encoder", "unet_onnx", "vae_decoder", "vae_encoder")  # not needed
WEIGHED = ("unet", "transformer", "vae", "text_encoder", "text_encoder_2")  # parts with numbers


class DrawingEntry(Record):
    """A model that draws."""

    name: str
    title: str  # as people know it
    source: Literal["bundled", "hub"]
    hub_id: str = ""
    architecture: str
    licence: str = Field(min_length=1)
    parameters: int = Field(gt=0)  # of what learns
    beside: int = Field(0, ge=0)  # of what reads captions and turns pictures into latents
    side: int = Field(gt=0)  # of its pictures as they are learned, in pixels
    benchmark: str = Field(min_length=1)  # how good it is, measured by others; of the starter, by us
    benchmark_source: str = Field(min_length=1)
    megabytes_at_one: int = Field(gt=0)  # memory of a training with one picture at once
    work: float = Field(gt=0)  # operations of looking at a picture, for each of its pixels
    kept: float = Field(gt=0)  # bytes kept for the way back, for each of its pixels
    precision: Precision = "fp32"  # that it is usually held in
    experimental: bool = False
    guidance: float = Field(3.0, ge=1)  # how strictly it usually follows words
    learning_rate: float = Field(1e-3, gt=0, lt=1)
    download_bytes: int = 0
    words: str

    @model_validator(mode="after")
    def _fetched(self) -> DrawingEntry:
        if self.source == "hub" and not (self.hub_id and self.download_bytes and self.beside):
            raise ValueError(f"{self.name}: what is fetched has a Hub id, a size and parts beside what learns")
        return self


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


def draws_patients(adapter: Path) -> Problem | None:
    """Why an adapter that draws may not be handed on: it learned from patients, or what lies beside it does not say that it did not."""
    try:
        medical = load((adapter / CARD).read_bytes()).get("medical", True)
    except (OSError, ValueError, AttributeError):
        medical = True  # what cannot be read says nothing that would allow it
    return Problem(code="draws_patients", what=PATIENTS, todo="Use it on this computer only.") if medical else None


def pipeline_files(names: Iterable[str]) -> list[str]:
    """Which files of a base of the library diffusers a training needs, small ones first: of each part its settings and its weights once, in
    half precision where all parts have that. Whole checkpoints, old forms and what looks for indecent drawings stay where they are.
    """
    inside = [name for name in names if name.count("/") == 1 and name.partition("/")[0] not in LEFT]
    small = [name for name in inside if name.endswith((".json", ".txt", ".model", ".jinja"))]
    weights = [name for name in inside if name.endswith(".safetensors") and "non_ema" not in name]
    half = [name for name in weights if ".fp16." in name]
    if {name.partition("/")[0] for name in half} != {name.partition("/")[0] for name in weights}:
        half = []
    tops = [name for name in names if name == INDEX or name.startswith("LICENSE")]
    return sorted(tops) + sorted(small) + sorted(half or [name for name in weights if ".fp16." not in name])


def draws_through_diffusers(folder: Path) -> bool:
    """Whether a folder holds a base of the library diffusers."""
    return (folder / INDEX).is_file()


def check_drawing(entry: DrawingEntry, folder: Path) -> ModelCheck:
    """Whether a model of the catalogue that draws can learn here, from what lies on this computer."""
    if entry.source == "hub":
        return check_drawing_folder(entry.name, folder, entry) if draws_through_diffusers(folder) else _absent(entry, folder)
    here = (folder / WEIGHTS).is_file()
    missing = Problem(code="no_starter", what=f"{entry.title} is missing from this copy of LoRALab.", todo="Get a complete copy.")
    return ModelCheck(
        name=entry.name,
        ok=here,
        folder=folder,
        present=here,
        parameters=entry.parameters,
        problems=() if here else (missing,),
        words=_can(entry.title, entry.parameters) if here else str(missing),
    )


def check_drawing_folder(name: str, folder: Path, entry: DrawingEntry | None = None) -> ModelCheck:
    """Whether the base in a folder of the library diffusers can learn here, from its list of parts and the heads of their weights."""
    problems, parameters = list[Problem](), 0
    try:
        listed = load((folder / INDEX).read_bytes())
        kind = str(listed["_class_name"])
        if kind not in NETS:
            what = f"This model draws, but it is of a kind (“{kind}”) that cannot be trained here."
            problems.append(Problem(code="unknown_family", what=what, todo="Take Stable Diffusion 1.5 or XL, or FLUX.2 klein."))
        else:
            problems += _incomplete(folder, listed)
            parameters = 0 if problems else count_weights(sorted((folder / NETS[kind]).glob("*.safetensors")))[0]
    except (*DAMAGED, LookupError, TypeError) as error:
        problems.append(Problem(code="damaged_model", what=f"A file of this model is damaged ({error}).", todo="Download it again."))
    if part := parts.missing("diffusers"):
        problems.append(part)
    parameters = entry.parameters if entry else parameters
    return ModelCheck(
        name=name,
        ok=not problems,
        folder=folder,
        present=True,
        parameters=parameters,
        problems=tuple(problems),
        words=str(problems[0]) if problems else _can(entry.title if entry else folder.name, parameters),
    )


def lacking(folder: Path) -> list[Problem]:
    """What a base that was just fetched lacks. Raises UserError where its list of parts cannot be read."""
    return _incomplete(folder, load((folder / INDEX).read_bytes()))


def _incomplete(folder: Path, listed: Mapping[str, Any]) -> list[Problem]:
    """A part with numbers of its own that has none in the one form that is opened."""
    wanted = [part for part in WEIGHED if isinstance(one := listed.get(part), list) and one[0]]
    gone = [part for part in wanted if not any((folder / part).glob("*.safetensors"))]
    what = f"A part of this model is missing, or lies there in a form that is not opened here ({gone[0]})." if gone else ""
    return [Problem(code="incomplete_download", what=what, todo="Download the model again; what is there is kept.")] if gone else []


def _absent(entry: DrawingEntry, folder: Path) -> ModelCheck:
    problem = Problem(
        code="not_downloaded",
        what=f"{entry.title} is not on this computer yet ({size(entry.download_bytes)}).",
        todo=f"Download it ({size(entry.download_bytes)}).",
    )
    more = parts.missing("diffusers")
    return ModelCheck(
        name=entry.name,
        ok=False,
        folder=folder,
        download_bytes=entry.download_bytes,
        parameters=entry.parameters,
        problems=(problem, more) if more else (problem,),
        words=str(problem),
    )


def _can(title: str, parameters: int) -> str:
    return f"{title} can be trained: {parameters / 1e6:.1f} million weights that draw."
