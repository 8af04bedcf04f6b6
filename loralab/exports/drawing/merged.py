"""Owns the whole model that draws in one file: the base with the adapter merged into it, and a program that runs."""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.exports import Format, Proof, Source, later
from loralab.exports.drawing import adapter
from loralab.models.drawing import WEIGHTS, draws_through_diffusers

BYTES = 24 << 20  # of a whole model in fp32, with its papers
SECONDS = 40.0  # on two busy cores: the libraries are loaded twice, here and in the process that tries it


def refuse(source: Source) -> Problem | None:
    """Needs what an adapter needs, and the base it was trained on."""
    if not ((source.model / WEIGHTS).is_file() or draws_through_diffusers(source.model)):
        return Problem(code="not_downloaded", what="The base model is not on this computer any more.", todo="Set LoRALab up again.")
    return adapter.refuse(source)


def _bytes(source: Source) -> int:
    """A base from diffusers is as large afterwards as before."""
    large = draws_through_diffusers(source.model)
    return sum(file.stat().st_size for file in source.model.glob("*/*.safetensors")) + BYTES if large else BYTES


FORMAT = Format(
    name="merged",
    label="Whole model, adapter merged in",
    words="Everything in one folder for PyTorch; it needs neither its base model nor LoRALab.",
    refuse=refuse,
    needs_bytes=_bytes,
    export=later("loralab.exports.drawing.making:merged"),
    zipped=False,
    seconds=lambda source: SECONDS,
    proof=Proof(later("loralab.exports.drawing.making:proven_merged")),
)
