"""Owns the adapter that draws as PEFT's own folder: small, with its trigger word and a program that runs."""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.exports import Format, Proof, Source, later
from loralab.exports.adapter import WEIGHTS, needs_bytes
from loralab.models.drawing import CARD, draws_patients

NEEDED = (WEIGHTS, "adapter_config.json", CARD)
SECONDS = 40.0  # on two busy cores: the libraries are loaded twice, here and in the process that tries it


def refuse(source: Source) -> Problem | None:
    """Needs its weights and settings; and nothing that learned from patients leaves."""
    if not all((source.adapter / name).is_file() for name in NEEDED):
        return Problem(code="no_adapter", what="The adapter's folder is gone or incomplete.", todo="Train it again, or choose another run.")
    if problem := draws_patients(source.adapter):
        return problem
    return source.changed


FORMAT = Format(
    name="adapter",
    label="Adapter (PEFT folder and zip)",
    words="Small: what was learned, with its trigger word and a program; it needs its base model beside it.",
    refuse=refuse,
    needs_bytes=needs_bytes,
    export=later("loralab.exports.drawing.making:adapter"),
    seconds=lambda source: SECONDS,
    proof=Proof(later("loralab.exports.drawing.making:proven_adapter")),
)
