"""Owns llama.cpp's own number packing, for the k-quants. Runs in the child.

Invariant: `ggml_quantize_chunk` is called by its published signature only; where the library does not offer it, that is said.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from pathlib import Path

import gguf

_PATTERNS = {
    "linux": ("libggml-base.so*", "xllamacpp*.so"),
    "darwin": ("libggml-base*.dylib", "xllamacpp*.so"),
    "win32": ("ggml-base.dll",),
}


def library_of(package: str) -> str:
    """The file of an installed package that offers the packing; empty where there is none. Reads nothing but names."""
    found = importlib.util.find_spec(package)
    folders = list(found.submodule_search_locations or []) if found else []
    patterns = _PATTERNS.get(sys.platform, ())
    return next((str(p) for folder in folders for pattern in patterns for p in sorted(Path(folder).rglob(pattern))), "")


class Quantizer:
    """The child's side: packs numbers and does nothing else."""

    version = "ggml"

    def quantize(self, library: str, type_name: str, columns: int, payload: bytes) -> bytes:
        """Pack fp32 numbers in rows of `columns`. Raises AttributeError where the library does not offer it."""
        kind = gguf.GGMLQuantizationType[type_name]
        block, size = gguf.GGML_QUANT_SIZES[kind]
        pack = ctypes.CDLL(library).ggml_quantize_chunk
        pack.restype = ctypes.c_size_t
        pack.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
        rows = len(payload) // 4 // columns
        packed = ctypes.create_string_buffer(rows * columns // block * size)
        written = pack(int(kind), payload, packed, 0, rows, columns, None)
        if written != len(packed):
            raise ValueError(f"{written} bytes were written, {len(packed)} were expected")
        return packed.raw
