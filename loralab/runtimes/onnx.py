"""Owns ONNX Runtime as a Runtime: an exported folder, asked the way the guide in it tells people to.

Invariant: only what lies in the folder is used (its graph, its tokenizer, its template, its end-of-turn tokens), and only the inputs
that the graph lists are fed.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from loralab.core import parts
from loralab.core.errors import LabError, Problem, UserError

FILE, DATA = "model.onnx", "model.onnx.data"
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64}
STEPS = 8  # tokens at the end of a text that are read one by one, through the cache
CHUNK = 256  # tokens read at once: the expectations after each of them have to fit into memory
_DAMAGED = "Export it again; if you copied it, copy the whole folder."


def absent() -> Problem | None:
    """What is missing on this computer. Imports nothing."""
    return parts.missing("onnx")


class OnnxModel:
    """An exported folder in ONNX Runtime: a Runtime; `encoder` is the folder's own tokenizer and template.

    Raises Unavailable without ONNX Runtime, UserError when the folder cannot be loaded.
    """

    def __init__(self, folder: Path, encoder: Any) -> None:
        problem = absent()
        if problem:
            raise parts.unavailable("onnx", problem.what)
        self.name = f"ONNX Runtime {version('onnxruntime')}"
        self._encoder = encoder
        self._stops = _stops(folder)
        self._session: Any = _session(folder)
        self._inputs = {i.name: i for i in self._session.get_inputs()}
        self._outputs = [o.name for o in self._session.get_outputs()]

    def tokenize(self, text: str, *, added: bool = True) -> list[int]:
        return self._encoder.tokenizer.encode(text, add_special_tokens=added).ids

    def chat_ids(self, messages: Sequence[dict[str, str]]) -> list[int]:
        return self._encoder.prompt_ids(messages)

    def logits(self, ids: Sequence[int]) -> Any:
        first = max(len(ids) - STEPS, 1)
        cuts = [*range(0, first, CHUNK), *range(first, len(ids) + 1)]
        found, cache = [], self.empty()
        for begin, end in itertools.pairwise(cuts):
            told, cache = self.read(ids[begin:end], begin, cache)
            found.append(told)
        values = np.concatenate(found).astype(np.float64)
        values -= values.max(-1, keepdims=True)
        return (values - np.log(np.exp(values).sum(-1, keepdims=True))).astype(np.float32)

    def tail(self, ids: Sequence[int], start: int) -> Any:
        return self.logits(ids)[start:]

    def generate(self, ids: Sequence[int], limit: int) -> list[int]:
        said: list[int] = []
        new, begin, cache = list(ids), 0, self.empty()
        while len(said) < limit and not self._stops & set(said):
            told, cache = self.read(new, begin, cache)
            begin += len(new)
            new = [int(told[-1].argmax())]
            said += new
        return said

    def ends(self, token: int) -> bool:
        return token in self._stops

    def close(self) -> None:
        self._session = None

    # ---- one call of the graph -----------------------------------------------------------------------------------------------

    def empty(self) -> dict[str, Any]:
        """The cache before anything was read."""
        kept = {name: i for name, i in self._inputs.items() if name.startswith("past_key_values.")}
        return {name: np.zeros((1, i.shape[1], 0, i.shape[3]), TYPES[i.type]) for name, i in kept.items()}

    def read(self, ids: Sequence[int], begin: int, cache: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Read `ids` from token number `begin` on. Returns logits [len(ids), vocabulary] in fp32 and the cache after them."""
        end = begin + len(ids)
        offered = {
            "input_ids": np.array([ids], np.int64),
            "position_ids": np.arange(begin, end)[None],
            "attention_mask": np.ones((1, end), np.int64),
        } | cache
        try:
            told, *kept = self._session.run(None, {name: offered[name] for name in self._inputs})
        except Exception as error:  # its errors share no parent
            what = f"ONNX Runtime could not run this file: {_first_line(error)}."
            raise LabError(what, _DAMAGED, code="onnx_refused") from error
        names = (name.replace("present.", "past_key_values.") for name in self._outputs[1:])
        return told[0].astype(np.float32), dict(zip(names, kept, strict=True))


def _session(folder: Path) -> Any:
    import onnxruntime

    for name in (FILE, DATA):
        if not (folder / name).is_file():
            raise UserError(f"The file {name} is missing in {folder.name}.", _DAMAGED, code="onnx_damaged")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what matters is raised
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS") or 0)
    try:
        return onnxruntime.InferenceSession(str(folder / FILE), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no parent
        what = f"ONNX Runtime cannot load {FILE} in {folder.name}: {_first_line(error)}."
        raise UserError(what, _DAMAGED, code="onnx_damaged") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300].rstrip(".")


def _stops(folder: Path) -> frozenset[int]:
    """The tokens that end an answer, as generation_config.json lists them for every program."""
    path = folder / "generation_config.json"
    listed = json.loads(path.read_text("utf-8")).get("eos_token_id") if path.is_file() else None
    return frozenset(listed if isinstance(listed, list) else [] if listed is None else [listed])
