"""Opening an ONNX folder as others will: its graph in ONNX Runtime, its own tokenizer and template before it."""

from __future__ import annotations

from pathlib import Path

from loralab.models.tokenize import TextEncoder
from loralab.runtimes.onnx import OnnxModel


def open_model(folder: Path) -> OnnxModel:
    """Raises Unavailable without ONNX Runtime, UserError when the folder cannot be loaded."""
    return OnnxModel(folder, TextEncoder(folder))
