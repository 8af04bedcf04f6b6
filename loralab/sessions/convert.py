"""Owns the way from old weight files (pickles) to safetensors. Invariant: a pickle is only opened in the mode that cannot run programs."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from loralab.core.errors import UserError


def pickles_to_safetensors(folder: Path) -> None:
    """Replace pytorch_model*.bin by safetensors with the same tensors. Raises UserError when one holds more than tensors."""
    files = sorted(folder.glob("pytorch_model*.bin"))
    weight_map: dict[str, str] = {}
    for number, file in enumerate(files, start=1):
        name = "model.safetensors" if len(files) == 1 else f"model-{number:05d}-of-{len(files):05d}.safetensors"
        tensors = _tensors(file)
        save_file(tensors, folder / f"{name}.writing", metadata={"format": "pt"})
        (folder / f"{name}.writing").replace(folder / name)
        weight_map |= dict.fromkeys(tensors, name)
    if len(files) > 1:
        index = {"metadata": {}, "weight_map": weight_map}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    for file in files:
        file.unlink()
    (folder / "pytorch_model.bin.index.json").unlink(missing_ok=True)


def _tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a pickle, each once: one that shares another's memory (a tied output matrix) is tied again on loading."""
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        what = f"{file.name} holds more than weights, or is damaged; it was not opened."
        raise UserError(what, "Choose a copy of the model with .safetensors files.", code="pickle_weights") from error
    kept: dict[str, Tensor] = {}
    seen: set[tuple[int, tuple[int, ...]]] = set()
    for name in sorted(found, key=lambda n: n.startswith("lm_head")):  # the embedding stays, the head that shares it goes
        tensor = found[name]
        if not isinstance(tensor, Tensor):
            continue
        place = (tensor.data_ptr(), tuple(tensor.shape))
        if place not in seen:
            seen.add(place)
            kept[name] = tensor.clone(memory_format=torch.contiguous_format)
    return kept
