"""Owns looking into a finished folder of a model for pictures: what it says about itself, and the numbers in its graph.

Invariants: what is said is compared value by value with the run's own card; every weight is found by its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from loralab.core.errors import UserError
from loralab.core.parity import Check, Parity
from loralab.exports import Note, Source
from loralab.exports.parity.folders import BASE, SETTINGS, same_tensors, values_differ
from loralab.exports.parity.folders import WEIGHTS as TENSORS
from loralab.exports.parity.tally import facts_check
from loralab.exports.pictures import making, papers
from loralab.exports.pictures.graph import FILE, INPUT, MEAN_NAME, SCALE_NAME, described
from loralab.exports.pictures.proof import Inside, compare
from loralab.exports.pictures.reference import Wanted
from loralab.exports.pictures.smaller import SCALES, STORED
from loralab.models.model_folder import read_json
from loralab.models.vision import WEIGHTS
from loralab.runtimes.onnx import absent
from loralab.runtimes.vision.picture_model import CARD, PictureCard
from loralab.runtimes.vision.told import told_names

CONSTANT = 64  # numbers of a constant that is no weight, at most: shapes, bounds, ones and noughts


def card_facts(folder: Path, card: PictureCard) -> tuple[list[str], int]:
    """What pictures.json says that is not so, and how much it says."""
    right = card.model_dump(mode="json")
    return differing(folder / CARD, right), len(right)


def differing(file: Path, right: dict[str, Any]) -> list[str]:
    """What a file of settings says that is not so."""
    try:
        return values_differ(right, read_json(file))
    except (OSError, ValueError):
        return [f"{file.name} is missing or damaged"]


def adapter(source: Source, target: Path, note: Note) -> Parity:
    """Compare PEFT's folder with what was trained."""
    return compare(source, target, note, adapter_inside, "f32", base=True)


def merged(source: Source, target: Path, note: Note) -> Parity:
    """Compare a whole model for PyTorch with what was trained."""
    return compare(source, target, note, merged_inside, "f32")


def onnx(source: Source, target: Path, note: Note) -> Parity:
    """Compare a graph with what was trained."""
    return compare(source, target, note, graph_inside, "int8" if source.variant == "int8" else "f32", missing=absent())


def adapter_inside(source: Source, folder: Path, wanted: Wanted) -> Inside:
    """PEFT's folder against the run's own: the same numbers bit for bit. Raises UserError where it cannot be read."""
    here = read_json(source.adapter / SETTINGS)
    right = papers.origin(source).reference
    wrong = differing(folder / SETTINGS, here | {BASE: right})
    more, n = card_facts(folder, wanted.card)
    settings = facts_check("settings", "settings", [*wrong, *more], len(here) + n)
    return Inside((settings, same_tensors(source.adapter / TENSORS, folder / TENSORS)))


def merged_inside(source: Source, folder: Path, wanted: Wanted) -> Inside:
    """A whole model in one file. Raises UserError where it cannot be read."""
    del source
    wrong, n = card_facts(folder, wanted.card)
    right = making.described(wanted.card, sum(value.size for value in wanted.weights.values()))
    more = differing(folder / making.DESCRIPTION, right)
    file = folder / WEIGHTS
    try:
        with safe_open(file, framework="np") as found:
            stored = {name: found.get_tensor(name) for name in found.keys()}  # noqa: SIM118  (not a dict)
    except Exception as error:  # its errors share no parent with others
        raise UserError(f"{file.name} is cut short, missing or damaged.", "Export it again.", code="damaged") from error
    return Inside((facts_check("settings", "settings", [*wrong, *more], n + len(right)),), stored)


def graph_inside(source: Source, folder: Path, wanted: Wanted) -> Inside:
    """A folder with a graph. Raises UserError where it cannot be read."""
    import onnx

    del source
    try:
        found = onnx.load(str(folder / FILE))
        stored = dict(_numbers(found.graph))
    except Exception as error:  # its errors share no parent
        raise UserError(f"{FILE} is cut short, missing or damaged.", "Export it again.", code="onnx_damaged") from error
    return Inside((_settings(found, folder, wanted.card),), stored)


def _settings(found: Any, folder: Path, card: PictureCard) -> Check:
    right = {name: json.loads(text) for name, text in described(card).items()}
    wrong, n = card_facts(folder, card)
    try:
        there = {entry.key: json.loads(entry.value) for entry in found.metadata_props}
    except ValueError:
        there = {}
    wrong += [f"inside the file {words}" for words in values_differ(right, there)]
    sizes = [size.dim_param or size.dim_value for size in found.graph.input[0].type.tensor_type.shape.dim]
    if (found.graph.input[0].name, sizes) != (INPUT, ["batch", 3, card.height, card.width]):
        wrong.append(f"it takes {found.graph.input[0].name} {sizes}")
    if [output.name for output in found.graph.output] != list(told_names(card.task, own_head=card.own_head)):
        wrong.append("it gives something else")
    wrong += _entry(found.graph, card)
    return facts_check("settings", "settings", wrong, n + len(right) + 4)


def _entry(graph: Any, card: PictureCard) -> Iterator[str]:
    """What is done to pixels before the first layer."""
    from onnx import numpy_helper

    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name in (MEAN_NAME, SCALE_NAME)}
    users = [node for node in graph.node if INPUT in node.input and node.op_type != "Shape"]
    for name, right, words in (
        (MEAN_NAME, card.mean, "takes {} off each pixel instead of {}"),
        (SCALE_NAME, card.scale, "divides by {} instead of {}"),
    ):
        there = np.asarray(known.get(name, np.nan), np.float32).reshape(-1)
        if there.shape != (len(right),) or (there != np.array(right, np.float32)).any():
            yield "it " + words.format(*(", ".join(f"{value:g}" for value in one) for one in (there, right)))
    if [(node.op_type, list(node.input)) for node in users] != [("Sub", [INPUT, MEAN_NAME])]:
        yield "its pixels go another way"


def _numbers(graph: Any) -> Iterator[tuple[str, Any]]:
    """Name -> numbers as the model has them; whole numbers with their scales as a pair."""
    from onnx import numpy_helper

    every = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for name, values in every.items():
        stem = name.removesuffix(STORED)
        if name in (MEAN_NAME, SCALE_NAME) or name.removesuffix(SCALES) + STORED in every:
            continue
        if stem != name:
            yield stem, (values, every[stem + SCALES])
        elif values.dtype.kind == "f" and ("." in name or values.size > CONSTANT):  # whole numbers are places, no weights
            yield name, values.reshape(-1) if values.ndim == 3 and values.shape[1:] == (1, 1) else values
