"""Owns the timing of an ONNX export on this computer. Invariant: every question is asked once before the clock runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loralab.models.tokenize import TextEncoder
from loralab.runtimes.onnx import OnnxModel


def timed(folder: Path, questions: Sequence[str], tokens: int) -> dict[str, Any]:
    """Size in bytes; seconds to load; tokens a second of reading and of writing, in ONNX Runtime, over all questions."""
    begun = time.perf_counter()
    model = OnnxModel(folder, TextEncoder(folder))
    loaded = time.perf_counter() - begun
    try:
        asked = [model.chat_ids([{"role": "user", "content": question}]) for question in questions]
        model.generate(asked[0], 2)
        reading = sum(_seconds(lambda ids=ids: model.read(ids, 0, model.empty())) for ids in asked)
        begun, written = time.perf_counter(), 0
        for ids in asked:
            written += len(model.generate(ids, tokens))
        writing = max(1e-9, time.perf_counter() - begun - reading)
    finally:
        model.close()
    size = sum(file.stat().st_size for file in folder.glob("model.onnx*"))
    return {
        "bytes": size,
        "load_seconds": round(loaded, 2),
        "read_tokens_per_second": round(sum(map(len, asked)) / reading, 1),
        "written_tokens_per_second": round(written / writing, 1),
    }


def _seconds(act: Any) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun
