"""Owns the adapter as PEFT's own folder: small, loads anywhere with `PeftModel.from_pretrained`, and as a zip to pass on.

Invariant: the numbers are the trained ones byte for byte, with what they went through beside them; no path of this computer leaves it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import safe_open

from loralab.core.errors import Problem, UserError
from loralab.exports import Format, Note, Source, Trial, _history
from loralab.exports._files import copy_tokenizer, write_papers
from loralab.exports.parity.folders import adapter_inside
from loralab.models.adapter_file import copy_weights
from loralab.runtimes.fresh import Folder, base_of

WEIGHTS = "adapter_model.safetensors"


def refuse(source: Source) -> Problem | None:
    """An adapter needs its weights and its settings, and the base it was trained on where that is here; anything else is no adapter."""
    if all((source.adapter / name).is_file() for name in (WEIGHTS, "adapter_config.json")):
        return source.changed
    todo = "Train it again, or choose another run."
    return Problem(code="no_adapter", what="The adapter's folder is gone or incomplete.", todo=todo)


def needs_bytes(source: Source) -> int:
    """Folder and zip."""
    return 2 * sum(path.stat().st_size for path in source.adapter.iterdir() if path.is_file())


def export(source: Source, target: Path, note: Note) -> dict[str, Any]:
    """Write weights, settings, tokenizer, card, plan, history and checksums into `target`."""
    note("checking the weights")
    tensors, numbers = checked(source.adapter / WEIGHTS)
    note("writing the adapter")
    copy_weights(source.adapter / WEIGHTS, target / WEIGHTS, _history.summary(source))
    _history.write(source, target)
    settings = json.loads((source.adapter / "adapter_config.json").read_text("utf-8"))
    settings["base_model_name_or_path"] = source.base.reference
    (target / "adapter_config.json").write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", "utf-8")
    copy_tokenizer(source, target)
    write_papers(source, target)
    return {"tensors": tensors, "parameters": numbers}


def checked(path: Path) -> tuple[int, int]:
    """Number of tensors and of numbers in them. Raises UserError when one is not finite."""
    tensors = numbers = 0
    with safe_open(path, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118  (not a dict)
            tensor = file.get_tensor(name)
            if not tensor.isfinite().all():
                raise UserError(
                    "This adapter holds numbers that are not finite.", "Train it again with a smaller learning rate.", code="non_finite"
                )
            tensors, numbers = tensors + 1, numbers + tensor.numel()
    return tensors, numbers


def _opened(source: Source, folder: Path, room: Path, context: int) -> Any:
    """The adapter over its base, by PEFT in a fresh process. Raises UserError when the folder names another base."""
    if base_of(folder) != source.base.reference:
        what = f"The adapter says it belongs to “{base_of(folder)}”, and it was trained on “{source.base.reference}”"
        raise UserError(what, "Export it again.", code="other_base")
    return Folder(folder, source.model)


FORMAT = Format(
    name="adapter",
    label="Adapter (PEFT folder and zip)",
    words="Small; loads beside its base model in any program that knows PEFT.",
    refuse=refuse,
    needs_bytes=needs_bytes,
    export=export,
    trial=Trial(open=_opened, inside=adapter_inside, kind=lambda source: "f32"),
)
