"""Owns writing an answer token by token with ONNX Runtime. Invariant: the same sampling as with PyTorch, from what the graph says."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import torch

from loralab.models.model_folder import read_json
from loralab.models.tokenize import TextEncoder
from loralab.runtimes.onnx import CHUNK, OnnxModel
from loralab.serve.generate import MEMORY, MILD_PENALTY, SMALL_MODEL, Finish, Prompt, Sampling, Spoken, choose, fit
from loralab.serve.speaker import Speaker

BYTES = 4  # of a weight as it is exported at most


def open_onnx(model: Path, _adapter: str = "", _precision: str = "", penalty: float | None = None) -> Speaker:
    """An exported folder, ready to answer. Raises LabError where it cannot be loaded."""
    encoder = TextEncoder(model)
    small = sum(file.stat().st_size for file in model.glob("model.onnx*")) < BYTES * SMALL_MODEL
    return Speaker(OnnxModel(model, encoder), encoder, penalty or (MILD_PENALTY if small else 1.0), write=write)


def write(model: OnnxModel, encoder: TextEncoder, prompt: Prompt, sampling: Sampling) -> Generator[str, None, Finish]:
    """As `generate`: pieces of text, then the Finish."""
    context = int(read_json(encoder.folder / "config.json").get("max_position_embeddings") or 1 << 30)
    ids = fit(encoder, prompt, context, sampling.max_new_tokens)
    random, text = torch.Generator().manual_seed(sampling.seed), Spoken(encoder, sampling.stop)
    told: Any = None
    cache, written, reason = model.empty(), list[int](), "length"
    for at in range(0, len(ids), CHUNK):
        told, cache = model.read(ids[at : at + CHUNK], at, cache)
    for _ in range(min(sampling.max_new_tokens, context - len(ids))):
        token = choose(torch.from_numpy(told[-1].copy()), written[-MEMORY:], sampling, random)
        if token in encoder.stop_ids:
            reason = "stop"
            break
        written.append(token)
        yield from text.add(token)
        if text.stopped:
            reason = "stop"
            break
        told, cache = model.read([token], len(ids) + len(written) - 1, cache)
    yield from text.rest()
    return Finish(reason, len(ids), len(written), ("merged",))
