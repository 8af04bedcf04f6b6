"""Owns what may be taken away from a run before anything is made: each format and variant with its size, about its time, or why not.

Invariant: read from the heads of files alone, no model is loaded; safe to ask from the app.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from loralab.core.errors import Problem
from loralab.core.records import Record
from loralab.core.words import size
from loralab.exports import Format, Source, formats, job
from loralab.models.model_folder import count_weights, weight_files

START = 20.0  # seconds until a worker has loaded its libraries, and again for what is compared
CHECK = 40.0  # seconds for a thousand million weights: base plus adapter and the export asked the same
# Seconds for a thousand million weights on two processor cores (docs/measurements/exports.md; merging by its reading and writing)
PACE = {"adapter": 0.0, "merged": 25.0, "pt": 35.0, "onnx": 170.0, "gguf_adapter": 30.0}
PACKED = {"q4_k_m": 55.0, "q5_k_m": 50.0, "q6_k": 45.0, "q2_k": 40.0}  # GGUF types that are searched for, not rounded
OTHER = 30.0
ONNX_PACKED = 90.0  # more, to make eight bits of it


class Offer(Record):
    """One format in one variant (empty where it has none), for one run."""

    format: str
    variant: str = ""
    label: str
    words: str
    bytes: int = 0  # about what is on the disk afterwards
    seconds: float = 0.0
    free: int = 0  # bytes on that disk
    zipped: bool = False
    hand_over: bool = False  # it can be given to a program here
    problem: Problem | None = None


def offers(runs_folder: Path, of: str, model: str, adapter: str) -> tuple[Offer, ...]:
    """Every format and variant for a run with its model's and its adapter's folder. Raises UserError when the run itself is gone."""
    source = job.open_source(runs_folder, of, model, adapter)
    place = runs_folder.parent
    free = shutil.disk_usage(place).free
    return tuple(_offer(form, source, variant, free) for form in formats(source.task).values() for variant in form.variants or ("",))


def _offer(form: Format, source: Source, variant: str, free: int) -> Offer:
    source = replace(source, variant=variant)
    offer = Offer(
        format=form.name,
        variant=variant,
        label=form.label,
        words=form.variants.get(variant, form.words),
        free=free,
        zipped=form.zipped,
        hand_over=form.hand_over is not None and form.program_here(),
    )
    problem = form.refuse(source)
    if problem:
        return offer.model_copy(update={"problem": problem})
    try:
        needed = form.needs_bytes(source)
        weights = count_weights(weight_files(source.model))[0] if (source.model / "config.json").is_file() else 0
    except (OSError, ValueError) as error:
        hurt = Problem(code="damaged", what=f"A file of the base model cannot be read: {error}.", todo="Download it again.")
        return offer.model_copy(update={"problem": hurt})
    left = form.size_bytes(source) if form.size_bytes else needed
    seconds = START + (CHECK + _pace(form.name, variant)) * weights / 1e9 if form.seconds is None else form.seconds(source)
    return offer.model_copy(update={"bytes": left, "seconds": seconds, "problem": _full(needed, free)})


def _pace(form: str, variant: str) -> float:
    if form == "onnx":
        return PACE[form] + (ONNX_PACKED if variant in ("int8", "uint8") else 0.0)
    return PACE.get(form, OTHER) if not variant else PACKED.get(variant, OTHER)


def _full(needed: int, free: int) -> Problem | None:
    """The same bound the job has, told before it is begun."""
    if free >= needed + job.SPARE:
        return None
    what = f"The disk is too full: this needs {size(needed + job.SPARE)} and {size(free)} are left."
    return Problem(code="disk_full", what=what, todo="Free some space, or take a smaller form.")
