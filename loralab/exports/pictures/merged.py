"""Owns the whole model for pictures in one file: the backbone with its batch norms folded in, the adapter merged into it, and the head."""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.exports import Format, Proof, Source, later
from loralab.exports.pictures import adapter
from loralab.models.model_folder import count_weights, read_json
from loralab.models.vision import WEIGHTS

BYTES = 14 << 20  # of a whole model in fp32, with its papers
SECONDS = 40.0  # on two busy cores: the libraries are loaded twice, here and in the process that tries it


def refuse(source: Source) -> Problem | None:
    """Needs what an adapter needs, and the base it was trained on."""
    if not (source.model / WEIGHTS).is_file():
        return Problem(code="not_downloaded", what="The base model is not on this computer any more.", todo="Set LoRALab up again.")
    return adapter.refuse(source)


def based_on(source: Source) -> str:
    """Which kind of larger base it was made from, as its config.json says it; empty of the starter."""
    return str(read_json(source.model / "config.json").get("model_type", ""))


def needs_bytes(source: Source) -> int:
    """The whole model in fp32, whatever its base is kept in, and its head."""
    if not based_on(source) or not (source.model / WEIGHTS).is_file():
        return BYTES
    return 4 * count_weights([source.model / WEIGHTS])[0] + BYTES


FORMAT = Format(
    name="merged",
    label="Whole model, adapter merged in",
    words="Everything in one folder for PyTorch; it needs neither its base model nor LoRALab.",
    refuse=refuse,
    needs_bytes=needs_bytes,
    export=later("loralab.exports.pictures.making:merged"),
    zipped=False,
    seconds=lambda source: SECONDS,
    proof=Proof(later("loralab.exports.pictures.inside:merged")),
)
