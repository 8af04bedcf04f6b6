"""Owns turning a GGUF file into a model folder that can be trained: config.json, model.safetensors and the tokenizer.

Invariants: weights are written as the file has them (16 and 32 bits exactly, squeezed ones as 16-bit numbers) and a piece at a time, so a
file larger than the memory does; nothing is written for a file that is not understood.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import gguf
import numpy as np

from loralab.core.records import Record
from loralab.models.gguf import families, tokenizer
from loralab.models.gguf.families import Family, refusal
from loralab.models.gguf.header import Header, Tensor, read

_PIECE = 1 << 22  # numbers at once: 16 MB as floats
_STORED = {"F32": ("F32", 4), "F16": ("F16", 2), "BF16": ("BF16", 2)}  # all else is squeezed, and stored as F16
_LARGEST = 65504.0  # what a 16-bit float holds


class Unfolded(Record):
    """What became of a GGUF file. `bits`: of a number in it, where it was squeezed to fewer than 16; else 0."""

    bytes: int
    bits: int = 0


def bits_of(header: Header) -> int:
    """Bits of a number in most matrices of a file, where it is squeezed; 0 where it is whole."""
    counted: dict[str, int] = {}
    for tensor in header.tensors.values():
        if len(tensor.shape) > 1:
            name = _kind(tensor).name
            counted[name] = counted.get(name, 0) + math.prod(tensor.shape)
    most = max(counted, key=lambda name: counted[name], default="F16")
    digits = re.search(r"\d+", most)
    return 0 if most in _STORED or digits is None else int(digits[0])


class About(Record):
    """What a GGUF file is, before anything is made of it. `bytes`: of the folder."""

    config: dict[str, Any]
    bytes: int
    parameters: int
    bits: int
    template: bool


@lru_cache(maxsize=8)
def about(path: Path, changed: int) -> About:
    """What a file is; read again only when it `changed`. Raises UserError for one that cannot be unfolded."""
    header = look(path)
    return About(
        config=families.settings(header),
        bytes=sum(math.prod(t.shape) * _width(t) for t in header.tensors.values()),
        parameters=sum(math.prod(t.shape) for t in header.tensors.values()),
        bits=bits_of(header),
        template=bool(header.values.get("tokenizer.chat_template")),
    )


def look(path: Path) -> Header:
    """The header of a file that can be unfolded. Raises UserError for every other."""
    header = read(path)
    config, family = families.settings(header), families.family_of(header)
    size = path.stat().st_size
    for tensor in header.tensors.values():
        if tensor.start + _bytes(tensor, _kind(tensor)) > size:
            raise refusal("it is cut short", "Get the file again.")
    for tensor in header.tensors.values():
        if name := families.source_name(tensor.name, family):
            families.fits(name, tensor.shape, config)
    tokenizer.described(header)
    return header


def unfold(path: Path, folder: Path, moved: Callable[[int], None] = lambda count: None) -> Unfolded:
    """Write the model of a GGUF file into an empty folder. `moved` hears of the bytes written. Raises UserError, before it writes."""
    header = look(path)
    config, family = families.settings(header), families.family_of(header)
    commonest = max(("float32", "float16", "bfloat16"), key=lambda name: _numbers_as(header, name))
    folder.mkdir(parents=True, exist_ok=True)
    told = {name: value for name, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps({**told, "dtype": commonest}, indent=1), "utf-8")
    tokenizer.write(header, folder)
    written = _weights(header, family, config, folder / "model.safetensors", moved)
    return Unfolded(bytes=written, bits=bits_of(header))


def _numbers_as(header: Header, dtype: str) -> int:
    spelling = {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}[dtype]
    return sum(math.prod(t.shape) for t in header.tensors.values() if _stored(t) == spelling)


def _weights(header: Header, family: Family, config: dict[str, Any], target: Path, moved: Callable[[int], None]) -> int:
    """The safetensors file, written from front to back."""
    kept = [(name, t) for t in header.tensors.values() if (name := families.source_name(t.name, family))]
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, tensor in kept:
        length = math.prod(tensor.shape) * _width(tensor)
        entries[name] = {"dtype": _stored(tensor), "shape": list(tensor.shape), "data_offsets": [at, at + length]}
        at += length
    head = json.dumps(entries).encode()
    head += b" " * (-len(head) % 8)
    with target.open("wb") as out, header.path.open("rb") as source:
        out.write(len(head).to_bytes(8, "little") + head)
        for name, tensor in kept:
            for values in _pieces(source, tensor, whole=families.reordered(name, family)):
                raw = _raw(families.arranged(name, values, family, config), tensor)
                out.write(raw)
                moved(len(raw))
    return at


def _pieces(source: BinaryIO, tensor: Tensor, *, whole: bool) -> Iterator[Any]:
    """The numbers of a tensor as floats, some rows at a time."""
    kind, width = _kind(tensor), tensor.shape[-1]
    rows = math.prod(tensor.shape[:-1])
    step = rows if whole else max(1, _PIECE // width)
    row_bytes = _bytes(tensor, kind) // max(1, rows)
    source.seek(tensor.start)
    for first in range(0, rows, step):
        count = min(step, rows - first)
        raw = np.frombuffer(source.read(count * row_bytes), np.uint8).reshape(count, row_bytes)
        shape = (count, width) if len(tensor.shape) > 1 else (width,)
        yield gguf.quants.dequantize(_typed(raw, kind), kind).astype(np.float32, copy=False).reshape(shape)


def _typed(raw: Any, kind: gguf.GGMLQuantizationType) -> Any:
    return raw.view({"F32": np.float32, "F16": np.float16}.get(kind.name, np.uint8))


def _raw(values: Any, tensor: Tensor) -> bytes:
    stored = _stored(tensor)
    if stored == "BF16":  # the upper half of a float, exact for what came from one
        return (np.ascontiguousarray(values, np.float32).view(np.uint32) >> 16).astype(np.uint16).tobytes()
    if stored == "F16":
        return np.clip(values, -_LARGEST, _LARGEST).astype(np.float16).tobytes()
    return np.ascontiguousarray(values, np.float32).tobytes()


def _stored(tensor: Tensor) -> str:
    return _STORED.get(_kind(tensor).name, ("F16", 2))[0]


def _width(tensor: Tensor) -> int:
    return _STORED.get(_kind(tensor).name, ("F16", 2))[1]


def _kind(tensor: Tensor) -> gguf.GGMLQuantizationType:
    try:
        return gguf.GGMLQuantizationType(tensor.kind)
    except ValueError as error:
        raise refusal("its numbers are packed in a way that LoRALab does not know") from error


def _bytes(tensor: Tensor, kind: gguf.GGMLQuantizationType) -> int:
    block, size = gguf.GGML_QUANT_SIZES[kind]
    return math.prod(tensor.shape) // block * size
