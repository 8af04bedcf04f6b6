"""Owns the adapter of a model for pictures as PEFT's own folder: small, and with what has to be known to use it.

Invariant: the numbers are the trained ones byte for byte; no path of this computer leaves it.
"""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.exports import Format, Proof, Source, later
from loralab.exports.adapter import WEIGHTS, needs_bytes

NEEDED = (WEIGHTS, "adapter_config.json", "pictures.json")
SECONDS = 40.0  # on two busy cores: the libraries are loaded twice, here and in the process that tries it


def refuse(source: Source) -> Problem | None:
    """Needs its weights, its settings and the names of its classes; and the base it was trained on, where that is here."""
    if all((source.adapter / name).is_file() for name in NEEDED):
        return source.changed
    return Problem(code="no_adapter", what="The adapter's folder is gone or incomplete.", todo="Train it again, or choose another run.")


FORMAT = Format(
    name="adapter",
    label="Adapter (PEFT folder and zip)",
    words="Small: what was learned, with its classes and a program; it needs its base model beside it.",
    refuse=refuse,
    needs_bytes=needs_bytes,
    export=later("loralab.exports.pictures.making:adapter"),
    seconds=lambda source: SECONDS,
    proof=Proof(later("loralab.exports.pictures.inside:adapter")),
)
