"""Owns speaking through the xllamacpp wheel: its own server, asked over loopback inside the child.

Invariants: nothing is repacked and nothing goes to a graphics card; no grammar is ever set.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from loralab.runtimes.llama import server

STRONG = 100.0  # added to the logits of what may be said: more than any two of a model differ by, little enough for single precision
BATCH = 256  # tokens of a prompt read in one go


class Server(server.Server):
    """xllamacpp's server with one model, opened to speak."""

    def open(self, model: str, adapter: str, context: int, threads: int) -> None:  # noqa: ARG002  (the exports' signature)
        """Load a model. Adapters are not for speaking."""
        library = self._library
        wish = library.CommonParams()
        wish.model.path = model
        wish.n_ctx, wish.n_parallel, wish.n_batch, wish.n_ubatch = context, 1, BATCH, BATCH
        wish.no_extra_bufts = wish.no_op_offload = wish.no_kv_offload = True
        wish.warmup = wish.fit_params = wish.ui = False
        wish.cache_ram_mib, wish.n_gpu_layers, wish.verbosity = 0, 0, 1
        wish.cpuparams.n_threads = wish.cpuparams_batch.n_threads = threads
        self._server = library.Server(wish)
        self._web = httpx.Client(base_url=self._server.listening_address, timeout=server.SECONDS, trust_env=False)
        self._answer: httpx.Response | None = None
        self._lines: Iterator[str] = iter(())

    def chat_ids(self, messages: list[dict[str, str]]) -> list[int]:
        """The prompt of a conversation, in the model's own format and without thinking aloud."""
        asked = {"messages": messages, "chat_template_kwargs": {"enable_thinking": False}}
        return self.tokenize(self._post("/apply-template", asked)["prompt"], added=True)

    def begin(self, ids: list[int], limit: int) -> None:
        """Start to speak; the words come with `more`."""
        self.stop()
        asked = {"prompt": ids, "n_predict": limit, "temperature": 0.0, "stream": True, "cache_prompt": True}
        self._answer = self._web.send(self._web.build_request("POST", "/completion", json=asked), stream=True)
        if self._answer.is_error:
            said = self._answer.read().decode(errors="replace")[:500]
            self.stop()
            raise RuntimeError(said)
        self._lines = self._answer.iter_lines()

    def more(self) -> str | None:
        """The next piece, or None at the end."""
        for line in self._lines:
            if line.startswith("data: "):
                told = json.loads(line.removeprefix("data: "))
                if "error" in told:
                    raise RuntimeError(str(told["error"])[:500])
                if told.get("content") or not told.get("stop"):
                    return str(told.get("content", ""))
                break
        self.stop()
        return None

    def stop(self) -> None:
        """Speak no further: the server sees that nobody listens and stops."""
        if self._answer is not None:
            self._answer.close()
        self._answer, self._lines = None, iter(())

    def among(self, ids: list[int], allowed: Sequence[int]) -> list[float]:
        """Log-probabilities of some next tokens, among themselves: all others are put out of reach, and the sampler's own chances read."""
        asked: dict[str, Any] = {
            "prompt": ids,
            "n_predict": 1,
            "n_probs": len(allowed),
            "post_sampling_probs": True,
            "temperature": 1.0,
            "seed": 1,
            "samplers": ["temperature"],
            "logit_bias": [[token, STRONG] for token in allowed],
            "cache_prompt": True,
        }
        told = self._post("/completion", asked).get("completion_probabilities") or [{}]
        chances = {int(one["id"]): float(one["prob"]) for one in told[0].get("top_probs", [])}
        return [math.log(chances[token]) if chances.get(token, 0.0) > 0 else -60.0 for token in allowed]
