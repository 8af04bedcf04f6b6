"""Owns the faults that are put into finished ONNX folders: each as a wrong converter would have left it, in the numbers of its kind."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from peft import PeftModel

from loralab.exports.onnx import graph, smaller
from loralab.runtimes.base_model import load_base
from tests.support import damage


@dataclass(frozen=True)
class Made:
    """What a folder was made from: base, adapter, its graph in fp32, and of which kind its numbers are."""

    base: Path
    adapter: Path
    traced: Path
    variant: str


def _merged(base: Path, adapter: Path) -> dict[str, Any]:
    """Name -> numbers of base plus adapter."""
    model: Any = PeftModel.from_pretrained(load_base(base, "fp32", torch.device("cpu")), str(adapter)).merge_and_unload()
    return {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}


def _graph(folder: Path, made: Made, change: Callable[[str, Any], Any]) -> None:
    """The graph again with other numbers, made smaller where the folder's is."""
    model = onnx.load(made.traced / graph.FILE)
    kept = [
        numpy_helper.from_array(np.ascontiguousarray(change(tensor.name, numpy_helper.to_array(tensor))), tensor.name)
        for tensor in model.graph.initializer
    ]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    way = folder.with_name("way")
    way.mkdir()
    onnx.save(model, way / graph.FILE, save_as_external_data=True, location=graph.DATA)
    if made.variant == "fp32":
        for name in (graph.FILE, graph.DATA):
            shutil.copyfile(way / name, folder / name)
    else:
        for name in (graph.FILE, graph.DATA):
            (folder / name).unlink()
        smaller.quantise(way, folder, signed=made.variant == "int8")


def _replaced(old: Mapping[str, Any], new: Mapping[str, Any]) -> Callable[[str, Any], Any]:
    """Each matrix that is one of `old`, as it is or turned, becomes that of `new`."""

    def change(_name: str, values: Any) -> Any:
        for name, matrix in old.items():
            if matrix.ndim < 2:
                continue
            if values.shape == matrix.shape and np.allclose(values, matrix, atol=1e-6):
                return new[name]
            if values.shape == matrix.T.shape and np.allclose(values, matrix.T, atol=1e-6):
                return new[name].T
        return values

    return change


def wrong_base(folder: Path, made: Made) -> None:
    other = damage._other_base(folder, made.base)
    _graph(folder, made, _replaced(_merged(made.base, made.adapter), _merged(other, made.adapter)))


def lost_alpha(folder: Path, made: Made) -> None:
    weaker = damage._weaker(folder, made.adapter)
    _graph(folder, made, _replaced(_merged(made.base, made.adapter), _merged(made.base, weaker)))


def dropped_tensor(folder: Path, made: Made) -> None:
    model = onnx.load(folder / graph.FILE, load_external_data=False)
    kept = [tensor for tensor in model.graph.initializer if not tensor.name.endswith("layers.1.input_layernorm.weight")]
    assert len(kept) == len(model.graph.initializer) - 1
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    (folder / graph.FILE).write_bytes(model.SerializeToString())


def emptied_tensor(folder: Path, made: Made) -> None:
    values = _merged(made.base, made.adapter)
    lost = {name: matrix for name, matrix in values.items() if "layers.1.mlp.up_proj" in name}
    _graph(folder, made, _replaced(lost, {name: matrix * 0 for name, matrix in lost.items()}))


def swapped_positions(folder: Path, made: Made) -> None:
    _graph(folder, made, lambda name, values: values[::-1] if name.endswith("inv_freq") else values)


def truncated(folder: Path, made: Made) -> None:
    raw = (folder / graph.DATA).read_bytes()
    (folder / graph.DATA).write_bytes(raw[: len(raw) // 2])


PAPERS = (
    (damage.folder_template, {"tokenizer", "template"}, "template"),
    (damage.folder_stop, {"tokenizer", "stops"}, "ends an answer"),
    (damage.folder_beginning, {"tokenizer", "template"}, "in front of the one"),
)
GRAPH = (
    (wrong_base, {"weights"}, "another base"),
    (lost_alpha, {"weights"}, "alpha"),
    (dropped_tensor, {"weights", "loads"}, "cut short or damaged"),
    (emptied_tensor, {"weights"}, ""),
    (swapped_positions, {"weights"}, ""),
    (truncated, {"loads"}, "cut short"),
)
