"""Owns writing a model for pictures in each of its forms; only a worker opens this.

Invariants: an adapter's numbers are the trained ones byte for byte; the whole model is base plus adapter in fp32, number for number, under
the names that model.py beside it has.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from loralab.exports import Note, Source, _history
from loralab.exports.adapter import WEIGHTS as TENSORS
from loralab.exports.adapter import checked
from loralab.exports.parity.folders import BASE, SETTINGS
from loralab.exports.pictures import graph, papers, smaller
from loralab.models.adapter_file import copy_weights
from loralab.models.vision import WEIGHTS
from loralab.runtimes.vision.picture_model import PictureCard, load_trained, read_card
from loralab.runtimes.vision.told import told_names

DESCRIPTION = "model.json"
SHAPE = ("config.json", "preprocessor_config.json")  # what says how a larger base is built, and how pixels are made ready for it


def adapter(source: Source, target: Path, note: Note) -> dict[str, Any]:
    """Weights, settings, classes, card, plan, history, programs and checksums."""
    note("checking the weights")
    tensors, numbers = checked(source.adapter / TENSORS)
    card = read_card(source.adapter)
    note("writing the adapter")
    source = papers.unnamed(source, card)
    copy_weights(source.adapter / TENSORS, target / TENSORS, _history.summary(source))
    if not card.medical:
        _history.write(source, target)
    settings = json.loads((source.adapter / SETTINGS).read_text("utf-8"))
    settings[BASE] = papers.origin(source).reference
    (target / SETTINGS).write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", "utf-8")
    papers.write(source, card, target, "adapter")
    return {"tensors": tensors, "parameters": numbers}


def merged(source: Source, target: Path, note: Note) -> dict[str, Any]:
    """Merge and write."""
    from safetensors.torch import save_file

    note("loading the model")
    model, card = load_trained(source.model, source.adapter, merged=True)
    note("writing the model")
    tensors = {name: value.detach().float().contiguous().clone() for name, value in model.state_dict().items()}  # none shares another's
    save_file(tensors, target / WEIGHTS, metadata={"format": "pt"})
    for name in SHAPE if card.base else ():
        if (source.model / name).is_file():
            shutil.copyfile(source.model / name, target / name)
    parameters = sum(value.numel() for value in tensors.values())
    (target / DESCRIPTION).write_text(json.dumps(described(card, parameters), indent=1) + "\n", "utf-8")
    papers.write(source, card, target, "merged")
    return {"tensors": len(tensors), "parameters": parameters, "dtype": "fp32"}


def described(card: PictureCard, parameters: int) -> dict[str, Any]:
    """What a file of weights holds."""
    head = {"classify": "ClassHead", "segment": "MaskHead", "detect": "BoxHead"}[card.task]
    return {
        "architecture": f"{card.base or 'EfficientNet-Lite0, batch norms folded in'}, adapter merged",
        "head": "its own" if card.own_head else head,
        "parameters": parameters,
        "dtype": "float32",
        "input": {"name": graph.INPUT, "shape": ["batch", 3, card.height, card.width], "channels": "RGB", "range": [0, 255]},
        "outputs": list(told_names(card.task, own_head=card.own_head)),
    }


def onnx(source: Source, target: Path, note: Note) -> dict[str, Any]:
    """Merge, write the graph, make it smaller where that is asked for."""
    note("loading the model")
    model, card = load_trained(source.model, source.adapter, merged=True)
    note("writing the graph")
    file = target / graph.FILE
    graph.write(model, card, file)
    if source.variant == "int8":
        note("making it smaller")
        smaller.make(file)
    papers.write(source, card, target, "onnx")
    return {"file": graph.FILE, "file_bytes": file.stat().st_size}
