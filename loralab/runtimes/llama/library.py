"""Owns llama.cpp through llama-cpp-python. Invariants: weights are not repacked (on processors with AMX that crashes with quantised files);
an adapter is checked by its address, because the wrapper takes a failed one for a good one.
"""

from __future__ import annotations

import ctypes
import importlib
from importlib.metadata import version
from typing import Any

import numpy as np


class Library:
    """llama-cpp-python with one model."""

    def __init__(self) -> None:
        self._library: Any = importlib.import_module("llama_cpp")  # an optional part
        low = self._library.llama_cpp
        defaults = low.llama_model_default_params

        def unpacked() -> Any:
            wish = defaults()
            wish.use_extra_bufts = False
            return wish

        low.llama_model_default_params = unpacked
        self._low: Any = low
        self.version = f"llama.cpp (llama-cpp-python {version('llama-cpp-python')})"

    def open(self, model: str, adapter: str, context: int, threads: int) -> None:
        """Load a model and, where named, an adapter at full strength."""
        self._model = self._library.Llama(
            model,
            n_ctx=context,
            n_threads=threads,
            n_threads_batch=threads,
            n_gpu_layers=0,
            logits_all=True,
            type_k=0,
            type_v=0,
            flash_attn=False,
            swa_full=True,
            verbose=False,
        )
        if adapter:
            found = self._low.llama_adapter_lora_init(self._model.model, adapter.encode())
            if not found:
                raise RuntimeError("the adapter does not fit this model")
            adapters = (self._low.llama_adapter_lora_p_ctypes * 1)(found)
            self._low.llama_set_adapters_lora(self._model.ctx, adapters, 1, (ctypes.c_float * 1)(1.0))

    def tokenize(self, text: str, added: bool) -> list[int]:
        return self._model.tokenize(text.encode(), add_bos=added, special=True)

    def chat_ids(self, messages: list[dict[str, str]]) -> list[int]:
        model, low = self._model, self._low
        vocabulary = low.llama_model_get_vocab(model.model)
        pieces = [
            "" if token < 0 else (low.llama_vocab_get_text(vocabulary, token) or b"").decode()
            for token in (model.token_bos(), model.token_eos())
        ]
        template = self._library.llama_chat_format.Jinja2ChatFormatter(
            model.metadata["tokenizer.chat_template"], eos_token=pieces[1], bos_token=pieces[0]
        )
        prompt = template(messages=messages).prompt
        begins = bool(pieces[0]) and prompt.startswith(pieces[0])
        return self.tokenize(prompt, added=not begins)

    def logits(self, ids: list[int]) -> bytes:
        return self.tail(ids, 0)

    def tail(self, ids: list[int], start: int) -> bytes:
        self._model.reset()
        self._model.eval(ids)
        rows = self._model.scores[start : len(ids)].astype(np.float64)
        rows -= rows.max(axis=1, keepdims=True)
        return (rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))).astype(np.float32).tobytes()

    def generate(self, ids: list[int], limit: int) -> list[int]:
        written: list[int] = []
        vocabulary = self._low.llama_model_get_vocab(self._model.model)
        self._model.reset()
        for token in self._model.generate(ids, temp=0.0, repeat_penalty=1.0):
            written.append(int(token))
            if len(written) == limit or self._low.llama_vocab_is_eog(vocabulary, token):
                break
        return written

    def ends(self, token: int) -> bool:
        return bool(self._low.llama_vocab_is_eog(self._low.llama_model_get_vocab(self._model.model), token))
