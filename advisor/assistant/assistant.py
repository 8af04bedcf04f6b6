"""Answers to questions about a run: the rules' words at once; where they have none, a language model is asked, if one was chosen.

It may choose the nearest of the rules' own answers, which are shown as they are. Where it chooses none, it answers in its own words, marked
as such. Invariants: the rules' words come first and always; no failure of a model is a failure here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from typing import Literal, NamedTuple, Protocol

from advisor.assistant import prompts
from advisor.assistant.choosing import choose
from advisor.assistant.evidence import pack_of
from advisor.assistant.prose import Prose
from advisor.words.answers import answer, answer_topic, is_known
from advisor.words.intents import QUESTIONS
from advisor.words.summary import RunSummary
from advisor.words.wording import joined
from loralab.core.errors import LabError, Unavailable
from loralab.core.records import Record

STOPPED = "You stopped the language model."
NOTHING = "The language model said nothing that this run supports, so the answer above is all there is."


class AnswerPart(Record):
    """A part of an answer, as it comes."""

    text: str
    made_by: Literal["rules", "model"] = "rules"
    note: str = ""  # why there is nothing of the model's, where one was asked


class LanguageModel(Protocol):
    """A language model that can speak and weigh."""

    def speak(self, messages: prompts.Messages, limit: int) -> Iterator[str]: ...
    def count(self, messages: prompts.Messages) -> int: ...
    def weigh(self, messages: prompts.Messages, labels: Sequence[str]) -> list[float]: ...
    def cancel(self) -> None: ...
    def close(self) -> None: ...


class Assistant:
    """Answers with a language model where there is one, and without one as well."""

    def __init__(self, model: LanguageModel | None = None) -> None:
        self.model = model
        self._answering = 0  # answers that a model is asked for now
        self._stops = 0  # how often a person had enough

    def cancel(self) -> None:
        """Stop the language model in the middle of its answer, from any thread."""
        if self.model and self._answering:
            self._stops += 1
            self.model.cancel()

    def close(self) -> None:
        """Free the language model's memory; it is loaded again with the next question."""
        if self.model:
            self.model.close()

    def asks_model(self, question: str) -> bool:
        """Whether a question is one for the language model: there is one, and the rules have no answer of their own."""
        return self.model is not None and bool(question.strip()) and not is_known(question)

    def answer(self, summary: RunSummary, question: str, *, rules_only: bool = False) -> Iterator[AnswerPart]:
        """The answer to a question: the rules' words, then what a model chooses or says where they have none."""
        yield AnswerPart(text=answer(summary, question))
        if self.model is None or rules_only or not self.asks_model(question):
            return
        stops, note = self._stops, ""
        self._answering += 1
        try:
            with contextlib.closing(self._of_model(self.model, summary, question)) as parts:
                for part in parts:
                    if self._stops != stops:
                        raise Unavailable(STOPPED)
                    yield part
        except LabError as error:
            note = STOPPED if self._stops != stops else str(error)
        finally:
            self._answering -= 1
        if note:
            yield AnswerPart(text="", note=note)

    def _of_model(self, model: LanguageModel, summary: RunSummary, question: str) -> Generator[AnswerPart, None, None]:
        stops = self._stops
        answers = options(summary)
        chosen = choose(question, list(answers), _Stoppable(model, lambda: self._stops == stops))
        for lead, title in zip(("Did you mean", "Or"), chosen, strict=False):
            yield AnswerPart(text=f"{lead}: “{title}”\n{answers[title]()}")
        if chosen:
            return
        prose = Prose(pack_of(summary))
        messages = prompts.fitting(prose.pack, question, model.count)
        if self._stops != stops:
            raise Unavailable(STOPPED)
        with contextlib.closing(_stream(model, messages)) as stream:
            for words in stream:
                for sentence in prose.feed(words):
                    yield AnswerPart(text=sentence, made_by="model")
                if prose.is_full:
                    break
        if self._stops != stops:
            raise Unavailable(STOPPED)
        for sentence in prose.finish():
            yield AnswerPart(text=sentence, made_by="model")
        if not prose.shown:
            yield AnswerPart(text="", note=NOTHING)


def options(summary: RunSummary) -> dict[str, Callable[[], str]]:
    """All that the rules can say about a run: the answer to a question of each topic, and what each finding says by its title."""
    answers = {question: partial(answer_topic, summary, topic) for topic, question in QUESTIONS.items()}
    return answers | {one.title: partial(joined, one.words, one.fixes[0].words if one.fixes else "") for one in summary.diagnosis.findings}


class _Stoppable(NamedTuple):
    """A model that weighs for as long as a person wants it to."""

    model: LanguageModel
    wanted: Callable[[], bool]

    def weigh(self, messages: prompts.Messages, labels: Sequence[str]) -> list[float]:
        if not self.wanted():
            raise Unavailable(STOPPED)
        return self.model.weigh(messages, labels)


def _stream(model: LanguageModel, messages: prompts.Messages) -> Generator[str, None, None]:
    yield from model.speak(messages, prompts.MAX_OUT)
