"""Owns turning a model in torch into an ONNX graph with its key/value cache as inputs and outputs, through transformers' own exporter.

Invariants: one graph reads a prompt (with an empty cache) and writes on (with a full one), one row or several that are filled up in front
and masked; names and axes are the ones other programs know (past_key_values.0.key in, present.0.key out; batch, sequence); no path of this
computer is in the file.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Any

from loralab.runtimes.onnx import DATA, FILE

_CACHE = re.compile(r"(?:input|output)\.past_key_values\.layers\.(\d+)\.(key|value)s")


@contextlib.contextmanager
def quiet() -> Generator[None, None, None]:
    """Keep the exporter's and the quantiser's talk out of the log: hundreds of lines that nobody can act on."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def write(model: Any, folder: Path) -> None:
    """Write model.onnx and model.onnx.data. `model` is a causal language model of transformers on the CPU, in evaluation mode."""
    import onnx_ir
    import torch
    from transformers.exporters.configs import OnnxConfig
    from transformers.exporters.exporter_onnx import OnnxExporter
    from transformers.exporters.utils import decompose_for_generation

    ids = torch.arange(12).reshape(2, 6) % model.config.get_text_config().vocab_size  # any words: only their number matters
    mask = torch.ones_like(ids)
    mask[0, :2] = 0  # a row that is filled up in front: without one the graph would have no mask
    inputs = {"input_ids": ids, "attention_mask": mask}
    with quiet(), torch.no_grad():
        # Several tokens at once onto a cache: the only form in which the number of new tokens stays open.
        stage, sample = decompose_for_generation(model, inputs, multi_token_decode=True)["decode"]
        exporter: Any = OnnxExporter()
        program = exporter.export(stage, sample, OnnxConfig(dynamic=True)).program
        kinds = getattr(model.config.get_text_config(), "layer_types", None) or []
        _tidy(program, {number for number, kind in enumerate(kinds) if kind == "sliding_attention"})
        onnx_ir.save(program, str(folder / FILE), external_data=DATA)


def _tidy(program: Any, windows: set[int]) -> None:
    """Names that other programs know, nothing that is only passed through, no traces of where it was made."""
    graph = program.graph
    program.metadata_props.clear()
    graph.metadata_props.clear()
    for node in graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
    _drop_constants(graph)
    _rename(graph)
    _name_axes(graph, windows)
    _widen(graph)


def _drop_constants(graph: Any) -> None:
    """A sliding cache hands its window's width in and out though the graph knows it: only more to carry for who uses it."""
    for value in [value for value in graph.outputs if not _CACHE.fullmatch(value.name) and value.name != "logits"]:
        node = value.producer()
        graph.outputs.remove(value)
        if node is not None and not value.uses():
            graph.remove(node, safe=True)
    for value in [value for value in graph.inputs if value.name.startswith("input.past") and not _CACHE.fullmatch(value.name)]:
        if not value.uses():
            graph.inputs.remove(value)


def _rename(graph: Any) -> None:
    import onnx_ir

    for value, before in [*((v, "past_key_values") for v in graph.inputs), *((v, "present") for v in graph.outputs)]:
        found = _CACHE.fullmatch(value.name)
        if found:
            value.name = f"{before}.{found[1]}.{found[2]}"
    for value in graph.inputs:
        sizes = [int(size) if str(size).isdigit() else str(size) for size in _sizes(value)]
        value.shape = onnx_ir.Shape(sizes)  # a width that never changes is written as a text by the exporter


_AXES = {"input_ids": ("batch", "sequence"), "position_ids": ("batch", "sequence"), "attention_mask": ("batch", "total_sequence")}


def _name_axes(graph: Any, windows: set[int]) -> None:
    """Names for what may have any size, instead of the exporter's numbers. `windows`: layers whose cache keeps its last tokens only."""
    import onnx_ir

    for value, before in [*((v, "past") for v in graph.inputs), *((v, "total") for v in graph.outputs)]:
        layer = re.fullmatch(r"(?:past_key_values|present)\.(\d+)\.(?:key|value)", value.name)
        kept = f"{before}_sequence" + ("_in_window" if layer and int(layer[1]) in windows else "")
        named = _AXES.get(value.name) or (("batch", "", kept, "") if layer else ("batch", "sequence", ""))
        sizes = _sizes(value)
        value.shape = onnx_ir.Shape([size if isinstance(size, int) else name or size for size, name in zip(sizes, named, strict=True)])


def _sizes(value: Any) -> list[Any]:
    return [size if isinstance(size, int) else size.value for size in value.shape]


def _widen(graph: Any) -> None:
    """Multiply in fp32 what the model multiplies in bf16 (Falcon's ALiBi): ONNX Runtime on a processor has no such multiplication.

    The product of two bf16 numbers fits into fp32 whole, so rounding it to bf16 afterwards gives what the model has, bit for bit.
    """
    import onnx_ir

    narrow, wide = onnx_ir.DataType.BFLOAT16, onnx_ir.DataType.FLOAT
    for node in [node for node in graph if node.op_type == "Mul" and node.outputs[0].dtype == narrow]:
        for place, value in enumerate(node.inputs):
            cast = onnx_ir.node("Cast", [value], {"to": wide})
            graph.insert_before(node, cast)
            node.replace_input_with(place, cast.outputs[0])
        product = node.outputs[0]
        back = onnx_ir.node("Cast", [product], {"to": narrow})
        graph.insert_after(node, back)
        back.outputs[0].dtype, back.outputs[0].shape, product.dtype = narrow, product.shape, wide
        for user, place in [use for use in product.uses() if use[0] is not back]:
            user.replace_input_with(place, back.outputs[0])
