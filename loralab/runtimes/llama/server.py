"""Owns llama.cpp through the xllamacpp wheel: its own server, asked over loopback inside this process.

Invariant: the cache of keys and values is fp32 and nothing is repacked, so that what is compared is the file and not the speed tricks.
"""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import Any

import httpx
import numpy as np

SECONDS = 600.0  # for one answer; a big model on a slow machine takes its time
OFF = 0
WHOLE = 8  # places, first and last among them, at which a comparison asks for every token of the vocabulary: as text that is megabytes
LIKELY = 64  # tokens told at the other places
SURE = 1e6  # added to a logit, it wins


class Server:
    """xllamacpp's server with one model."""

    def __init__(self) -> None:
        self._library: Any = importlib.import_module("xllamacpp")  # an optional part
        self.version = f"llama.cpp (xllamacpp {version('xllamacpp')})"

    def open(self, model: str, adapter: str, context: int, threads: int) -> None:
        """Load a model and, where named, an adapter at full strength."""
        library = self._library
        wish = library.CommonParams()
        wish.model.path = model
        wish.n_ctx, wish.n_parallel = context, 1
        wish.n_batch = wish.n_ubatch = min(context, 512) if context else 512
        wish.cache_type_k = wish.cache_type_v = library.ggml_type.GGML_TYPE_F32
        wish.flash_attn_type = library.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        wish.no_extra_bufts = wish.swa_full = True  # a model with sliding windows keeps its whole past, so that a prompt can grow
        wish.warmup = wish.fit_params = wish.ui = False
        wish.cache_ram_mib, wish.n_gpu_layers, wish.verbosity = OFF, OFF, 1
        wish.cpuparams.n_threads = wish.cpuparams_batch.n_threads = threads
        if adapter:
            wish.lora_adapters = [library.CommonAdapterLoraInfo(adapter, 1.0)]
        self._server = library.Server(wish)
        self._web = httpx.Client(base_url=self._server.listening_address, timeout=SECONDS, trust_env=False)
        self._vocabulary, self._plain = 0, 0

    def tokenize(self, text: str, added: bool) -> list[int]:
        return self._post("/tokenize", {"content": text, "add_special": added, "parse_special": True})["tokens"]

    def chat_ids(self, messages: list[dict[str, str]]) -> list[int]:
        prompt = self._post("/apply-template", {"messages": messages})["prompt"]
        return self.tokenize(prompt, added=True)  # as its chat route does with a rendered conversation

    def logits(self, ids: list[int]) -> bytes:
        """The server tells probabilities of the next token only: the prompt grows by one token a time, and its cache keeps the rest.

        It keeps silent when the token it then chooses ends the text or is half a letter, so it is made to choose a plain one; what it
        tells is what the model said before that. Writing the numbers down costs ten times what computing them does.
        """
        whole = set(np.linspace(0, len(ids) - 1, WHOLE).round().astype(int).tolist())
        return b"".join(self._after(ids[: i + 1], 0 if i in whole else LIKELY) for i in range(len(ids)))

    def tail(self, ids: list[int], start: int) -> bytes:
        """Whole rows from token number `start` on: as many questions as tokens are asked about."""
        return b"".join(self._after(ids[: i + 1]) for i in range(start, len(ids)))

    def _after(self, ids: list[int], likely: int = 0) -> bytes:
        if not self._vocabulary:
            self._vocabulary, self._plain = self._size(), self.tokenize("a", added=False)[-1]
        size, plain = self._vocabulary, [[self._plain, SURE]]
        row = np.full(size, np.inf if likely else -np.inf, np.float32)
        asked = {"prompt": ids, "n_predict": 1, "n_probs": min(likely or size, size), "temperature": 0.0, "logit_bias": plain}
        told = self._post("/completion", asked)["completion_probabilities"][0]["top_logprobs"]
        row[[entry["id"] for entry in told]] = [entry["logprob"] for entry in told]
        return row.tobytes()

    def generate(self, ids: list[int], limit: int) -> list[int]:
        asked = {"prompt": ids, "n_predict": limit, "temperature": 0.0, "return_tokens": True, "cache_prompt": False}
        return self._post("/completion", asked)["tokens"]

    def ends(self, token: int) -> bool:
        """It is made to write the token, and has the room for one more."""
        asked = {"prompt": self.tokenize("a", added=False), "n_predict": 2, "temperature": 0.0, "logit_bias": [[token, SURE]]}
        return self._post("/completion", asked)["stop_type"] == "eos"

    def _size(self) -> int:
        answer = self._web.get("/v1/models").raise_for_status().json()
        return int(answer["data"][0]["meta"]["n_vocab"])

    def _post(self, path: str, asked: dict[str, Any]) -> Any:
        answer = self._web.post(path, json=asked)
        if answer.is_error:
            raise RuntimeError(answer.text[:500])
        return answer.json()
