"""Owns speaking through llama-cpp-python. Invariants: weights are not repacked and nothing goes to a graphics card (see the exports' own
module); no grammar is ever set, because a bad one ends the process.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from loralab.runtimes.llama import library


class Library(library.Library):
    """llama-cpp-python with one model, opened to speak: half-precision cache, only the last place's logits."""

    def open(self, model: str, adapter: str, context: int, threads: int) -> None:  # noqa: ARG002  (the exports' signature)
        """Load a model. Adapters are not for speaking."""
        self._words: Iterator[str] = iter(())
        self._model: Any = self._library.Llama(
            model,
            n_ctx=context,
            n_threads=threads,
            n_threads_batch=threads,
            n_gpu_layers=0,
            op_offload=False,
            offload_kqv=False,
            seed=1,
            verbose=False,
        )

    def chat_ids(self, messages: list[dict[str, str]]) -> list[int]:
        """The prompt of a conversation, in the model's own format and without thinking aloud."""
        model, low = self._model, self._low
        template = model.metadata.get("tokenizer.chat_template")
        if not template:
            said = "\n\n".join(message["content"] for message in messages)
            return self.tokenize(f"{said}\n\nAnswer:", added=True)
        vocabulary = low.llama_model_get_vocab(model.model)
        begin, end = (
            "" if token < 0 else (low.llama_vocab_get_text(vocabulary, token) or b"").decode()
            for token in (model.token_bos(), model.token_eos())
        )
        formatter = self._library.llama_chat_format.Jinja2ChatFormatter(template, eos_token=end, bos_token=begin)
        prompt = formatter(messages=messages, enable_thinking=False).prompt
        return self.tokenize(prompt, added=not (begin and prompt.startswith(begin)))

    def begin(self, ids: list[int], limit: int) -> None:
        """Start to speak; the words come with `more`."""
        self._words = self._spoken(ids, limit)

    def more(self) -> str | None:
        """The next piece, or None at the end."""
        return next(self._words, None)

    def stop(self) -> None:
        """Speak no further."""
        self._words = iter(())

    def _spoken(self, ids: list[int], limit: int) -> Iterator[str]:
        letters = codecs.getincrementaldecoder("utf-8")("replace")  # a letter may be spread over several tokens
        vocabulary = self._low.llama_model_get_vocab(self._model.model)
        for written, token in enumerate(self._model.generate(ids, temp=0.0, repeat_penalty=1.0), 1):
            if self._low.llama_vocab_is_eog(vocabulary, token):
                return
            yield letters.decode(self._model.detokenize([int(token)], special=False))
            if written >= limit:
                return

    def among(self, ids: list[int], allowed: Sequence[int]) -> list[float]:
        """Log-probabilities of some next tokens, among themselves."""
        self._model.reset()
        self._model.eval(ids)
        place = self._low.llama_get_logits_ith(self._model.ctx, -1)
        row = np.ctypeslib.as_array(place, shape=(self._model.n_vocab(),))[list(allowed)].astype(np.float64)
        row -= row.max()
        return [float(x) for x in row - np.log(np.exp(row).sum())]
