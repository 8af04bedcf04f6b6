"""Owns a model for pictures as an ONNX graph: pixels in, what is told out, with all that has to be known of it inside the file.

Invariants: every weight keeps its name and its numbers; the number of pictures at once is open, their size is not; no path of this computer
is in the file.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loralab.exports.onnx.graph import quiet
from loralab.runtimes.vision.picture_model import PictureCard
from loralab.runtimes.vision.plain_norm import exchange_norms
from loralab.runtimes.vision.told import Told, told_names

FILE = "model.onnx"
INPUT = "pixels"
MEAN_NAME, SCALE_NAME = "pixels_mean", "pixels_scale"  # of the numbers that pixels are reduced and divided by


def write(model: Any, card: PictureCard, path: Path) -> None:
    """Write the graph of a merged model in evaluation mode; its group norms are exchanged for ones of the same numbers."""
    import torch

    exchange_norms(model)
    told = Told(model.to(memory_format=torch.contiguous_format), card.task, card.temperature).eval()
    pixels = torch.rand(2, 3, card.height, card.width, generator=torch.Generator().manual_seed(0)) * 255
    names, batch = list(told_names(card.task, own_head=card.own_head)), torch.export.Dim("batch")
    with quiet(), torch.no_grad(), _unchecked(), _open_lengths(model.backbone):
        shapes = {"pixels": {0: batch}}
        made: Any = torch.onnx.export(
            told,
            (pixels,),
            input_names=[INPUT],
            output_names=names,
            dynamic_shapes=shapes,
            dynamo=True,
            verbose=False,
            optimize=not card.base,  # matrices that are turned beforehand would lose their names
        )
        found = made.model_proto
    _tidy(found, card)
    path.write_bytes(found.SerializeToString())


@contextmanager
def _unchecked() -> Generator[None]:
    """Without the checks that some networks of transformers make of their inputs' shapes, which no graph can hold."""
    name = "TRANSFORMERS_DISABLE_TORCH_CHECK"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        os.environ.pop(name)
        os.environ.update({name: before} if before is not None else {})


@contextmanager
def _open_lengths(net: Any) -> Generator[None]:
    """Lets a network ask with `len` how many pictures there are (D-FINE does) without that number becoming the only one there can be."""
    module: Any = sys.modules[type(net).__module__]
    module.len = lambda of: of.shape[0] if hasattr(of, "shape") else len(of)
    try:
        yield
    finally:
        del module.len


def described(card: PictureCard) -> dict[str, str]:
    """What the file says about itself, each as JSON: what it tells, of what, and how a picture is made ready."""
    mean, scale = (one[0] if len(one) == 1 else list(one) for one in (card.mean, card.scale))
    more = {"channels": "RGB", "resize": "as large as fits, bicubic, in the middle", "mean": mean, "scale": scale}
    outputs = {"outputs": list(told_names(card.task, own_head=card.own_head))}
    return {name: json.dumps(value, ensure_ascii=False) for name, value in {**card.model_dump(mode="json"), **more, **outputs}.items()}


def _tidy(found: Any, card: PictureCard) -> None:
    """No traces of where it was made, names for the numbers of the preprocessing, and the description."""
    graph = found.graph
    del found.metadata_props[:]
    del graph.metadata_props[:]
    graph.name = f"pictures: {card.task}"
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del value.metadata_props[:]
    reduced = next(node for node in graph.node if node.op_type == "Sub" and INPUT in node.input)
    divided = next(node for node in graph.node if node.op_type == "Div" and node.input[0] == reduced.output[0])
    _rename(graph, reduced.input[1], MEAN_NAME)
    _rename(graph, divided.input[1], SCALE_NAME)
    for name, text in described(card).items():
        entry = found.metadata_props.add()
        entry.key, entry.value = name, text


def _rename(graph: Any, old: str, new: str) -> None:
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
    for value in (*graph.initializer, *graph.value_info):
        value.name = new if value.name == old else value.name
