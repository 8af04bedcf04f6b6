"""Owns one GGUF file of a whole model: header, then tensor by tensor. Invariant: one tensor's numbers are in memory at a time beside the
model; the file is complete or the caller gets an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from loralab.core.errors import UserError
from loralab.exports.gguf.families import FAMILIES, Settings
from loralab.exports.gguf.recipe import K_QUANTS, Choice, Variant, choose
from loralab.exports.gguf.tensors import Weight, arranged, flipped, weights
from loralab.exports.gguf.tokens import Vocabulary

TELL_EVERY = 0.1  # share of the work between two notes
ROWS = 2048  # packed at once: bounds the memory, whatever the size of a matrix
HALF_MAX = 65504.0
Foreign = Callable[[str, int, bytes], bytes]  # type, columns, fp32 numbers -> packed by ggml
Q = gguf.GGMLQuantizationType
_PLAIN = {Q.F32: np.float32, Q.F16: np.float16}  # not packed
STRIPS = " (phi-3)"  # by this in a name llama.cpp knows special tokens that swallow the white space after them
_MISREAD = ("phi-3", "phi3", "modern-bert", "jina")  # llama.cpp treats a model whose name has these differently


@dataclass(frozen=True)
class Label:
    """What a file says about itself."""

    name: str
    base: str = ""
    base_url: str = ""
    licence: str = ""


def write(
    path: Path,
    model: Any,
    vocabulary: Vocabulary,
    variant: Variant,
    label: Label,
    tell: Callable[[str], object] = lambda text: None,
    foreign: Foreign | None = None,
) -> dict[str, Choice]:
    """Write `model` (merged, on the CPU) to `path`; returns the type of every tensor. `foreign` packs the k-quants."""
    config = model.config.to_dict()
    arch = FAMILIES[config["model_type"]].arch
    found = list(weights(model, config))
    shapes = {w.name: _shape(w, config) for w in found}
    choices = choose(shapes.items(), variant, config, arch)
    writer = gguf.GGUFWriter(path, arch)
    try:
        _header(writer, config, vocabulary, variant, label)
        for weight in found:
            _declare(writer, weight.name, shapes[weight.name], choices[weight.name].kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        _numbers(writer, found, config, choices, tell, foreign)
    finally:
        writer.close()
    return choices


def header(config: Settings, vocabulary: Vocabulary, variant: Variant, label: Label) -> dict[str, Any]:
    """What the header of such a file says, by name; nothing is written."""
    writer = gguf.GGUFWriter("", FAMILIES[config["model_type"]].arch)
    _header(writer, config, vocabulary, variant, label)
    return {name: value.value for name, value in writer.kv_data[0].items()}


def _header(writer: gguf.GGUFWriter, config: Settings, vocabulary: Vocabulary, variant: Variant, label: Label) -> None:
    writer.add_type("model")
    writer.add_name(safe_name(label.name, strips=vocabulary.strips))
    if label.licence:
        writer.add_license(label.licence)
    if label.base:
        writer.add_base_model_count(1)
        writer.add_base_model_name(0, label.base)
        if label.base_url:
            writer.add_base_model_repo_url(0, label.base_url)
    FAMILIES[config["model_type"]].write(writer, config)
    writer.add_file_type(int(variant.file_type))
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    vocabulary.write(writer)


def safe_name(name: str, *, strips: bool = False) -> str:
    """A name that does not make llama.cpp take the tokenizer for another one; `strips`: it is Phi-3's, and must be called so."""
    for word in _MISREAD:
        while word in name.lower():
            at = name.lower().index(word)
            name = name[: at + 2] + "_" + name[at + 2 :].lstrip("-")
    return f"{name}{STRIPS}" if strips else name


def _shape(weight: Weight, config: Settings) -> tuple[int, ...]:
    shape = tuple(weight.values.shape)
    return shape[::-1] if flipped(weight.source, config) else shape


def _declare(writer: gguf.GGUFWriter, name: str, shape: tuple[int, ...], kind: gguf.GGMLQuantizationType) -> None:
    dtype = _PLAIN.get(kind, np.uint8)
    size = shape if kind in _PLAIN else gguf.quants.quant_shape_to_byte_shape(shape, kind)
    writer.add_tensor_info(name, size, np.dtype(dtype), int(np.prod(size)) * np.dtype(dtype).itemsize, raw_dtype=kind)


def _numbers(
    writer: gguf.GGUFWriter,
    found: list[Weight],
    config: Settings,
    choices: dict[str, Choice],
    tell: Callable[[str], object],
    foreign: Foreign | None,
) -> None:
    total = sum(w.values.numel() for w in found)
    done, told = 0, 0.0
    for weight in found:
        values = weight.values.T if flipped(weight.source, config) else weight.values
        values = arranged(weight.source, values.float(), config)
        writer.write_tensor_data(packed(values, choices[weight.name].kind, foreign))
        done += weight.values.numel()
        if done / total - told >= TELL_EVERY:
            told = done / total
            tell(f"writing the file ({told:.0%})")


def packed(values: Any, kind: gguf.GGMLQuantizationType, foreign: Foreign | None) -> Any:
    """A torch tensor [out, in] or [n] as numpy in the layout of `kind`. Raises UserError for numbers that do not fit."""
    import torch

    if not torch.isfinite(values).all():
        raise UserError("This model holds numbers that are not finite.", "Train it again with a smaller learning rate.", code="non_finite")
    if kind == Q.F32:
        return values.float().contiguous().numpy()
    if kind == Q.F16 and float(values.abs().max()) > HALF_MAX:
        raise UserError("Some weights are too large for F16.", "Choose BF16 instead.", code="too_large_for_f16")
    return np.concatenate([_rows(part.float().contiguous().numpy(), kind, foreign) for part in values.split(ROWS)])


def _rows(values: Any, kind: gguf.GGMLQuantizationType, foreign: Foreign | None) -> Any:
    if kind not in K_QUANTS:
        return gguf.quants.quantize(values, kind)
    if foreign is None:
        raise RuntimeError(f"{kind.name} needs llama.cpp")
    return np.frombuffer(foreign(kind.name, values.shape[1], values.tobytes()), np.uint8).reshape(values.shape[0], -1)
