"""Owns the optional local judge: a GGUF file the person names, asked closed questions in llama.cpp, in a child process.

Invariants: it may only choose among given answers, by the probability it gives them, so that nothing it writes has to be understood; a
file or a runtime that is not there is a sentence, and the judging goes on without it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from loralab.core.errors import LabError, UserError
from loralab.core.words import count
from loralab.runtimes.llama.gguf_file import check, field
from loralab.runtimes.llama.parent import LlamaCpp

CONTEXT = 2048  # tokens a judge reads at once, where it can read as many
SPARE = 8  # of them left free
LONGEST, SHORTEST = 2400, 100  # characters of each text a question shows: halved until the question fits
KNOWN = (
    "smollm",
    "tinyllama",
    "llama",
    "qwen",
    "mistral",
    "mixtral",
    "gemma",
    "phi",
    "falcon",
    "gpt2",
    "gpt-2",
    "olmo",
    "granite",
    "deepseek",
    "starcoder",
    "bloom",
    "pythia",
    "opt",
    "yi",
)
NOT_FIT = "Choose another GGUF file: one of an instruction-tuned model."

Ask = Callable[[int], str]  # a question as text, the texts in it cut to so many characters


class Opinion(Protocol):
    """Whoever is asked for a second opinion. `family`: the kinds of model it is of."""

    name: str
    family: frozenset[str]

    def choose(self, ask: Ask, options: Sequence[Sequence[str]]) -> int:
        """Which option it takes for the answer; each option is a few ways to begin to write it. Raises LabError when it breaks."""
        ...

    def close(self) -> None:
        """Let go of the model. May be called twice."""
        ...


class LocalJudge:
    """A GGUF file as a judge. Raises Unavailable without llama.cpp, LabError when the file cannot be used."""

    def __init__(self, path: Path) -> None:
        try:
            reader = check(path)
        except UserError as error:
            raise UserError(error.problem.what, NOT_FIT, code=error.problem.code) from error
        architecture = str(field(reader, "general.architecture") or "")
        names = [str(field(reader, f"general.{name}") or "") for name in ("basename", "name")]
        self.name = path.stem
        self.family = families(path.stem, *names) or families(architecture)
        self._room = min(CONTEXT, int(field(reader, f"{architecture}.context_length") or CONTEXT))
        self._runtime: Any = LlamaCpp(path, context=self._room)
        self._firsts: dict[tuple[str, ...], list[int]] = {}

    def choose(self, ask: Ask, options: Sequence[Sequence[str]]) -> int:
        ids = self._fitting(ask)
        row = np.asarray(self._runtime.tail(ids, len(ids) - 1)[0], np.float64)
        chances = [float(np.logaddexp.reduce(row[tokens])) for tokens in self._openings(options)]
        if not np.isfinite(chances).any():
            raise LabError(f"{self.name} gives none of the answers any chance.", NOT_FIT, code="bad_judge")
        return int(np.argmax(chances))

    def _openings(self, options: Sequence[Sequence[str]]) -> list[list[int]]:
        """The tokens with which each option alone may begin. Raises LabError where two cannot be told apart by them."""
        for option in options:
            if tuple(option) not in self._firsts:
                split = [self._runtime.tokenize(way, added=False) for way in option]
                self._firsts[tuple(option)] = sorted({ids[0] for ids in split if ids})
        firsts = [self._firsts[tuple(option)] for option in options]
        often = Counter(token for own in firsts for token in own)
        alone = [[token for token in own if often[token] == 1] for own in firsts]
        if not all(alone):
            raise LabError(f"{self.name} cannot be asked closed questions: its words are cut too small.", NOT_FIT, code="bad_judge")
        return alone

    def _fitting(self, ask: Ask) -> list[int]:
        """The question as its template writes it down, its texts shortened until it can be read at once."""
        most = LONGEST
        while True:
            ids = self._written(ask(most))
            if len(ids) <= self._room - SPARE:
                return ids
            if most < SHORTEST:
                raise UserError(f"{self.name} reads too little at once ({count(self._room, 'token')}).", NOT_FIT, code="bad_judge")
            most //= 2

    def _written(self, text: str) -> list[int]:
        try:
            return self._runtime.chat_ids([{"role": "user", "content": text}])
        except LabError as error:
            if error.problem.code != "llama_refused":
                raise
            return self._runtime.tokenize(f"{text}\nAnswer: ", added=True)  # a model without a chat template

    def close(self) -> None:
        self._runtime.close()


def families(*names: str) -> frozenset[str]:
    """The kinds of model these names speak of."""
    text = " ".join(names).lower()
    return frozenset(name.replace("-", "") for name in KNOWN if name in text)


def kin(judge: Opinion, model: Any, base_model: str) -> str:
    """The kind that judge and student share, empty where none is known: models prefer what sounds like themselves."""
    config = model.config
    student = families(base_model, str(getattr(config, "_name_or_path", ""))) or families(str(config.model_type))
    return ", ".join(sorted(judge.family & student))
