"""Owns speaking about a run: the rules' words at once, and where there is a language model its own, checked sentence by sentence.

Invariants: the rules' words always come and come first; what a model adds is marked as its own; no failure of a model is a failure here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Literal, Protocol

from advisor.assistant import choosing, prompts
from advisor.assistant.checked import Checked, bare
from advisor.assistant.evidence import Pack, pack_of
from advisor.assistant.relevance import asked_about
from advisor.diagnosis.findings import Fix
from advisor.words.answers import answer as answered
from advisor.words.intents import understood
from advisor.words.story import Story, story
from advisor.words.summary import Known
from loralab.core.errors import LabError, Unavailable
from loralab.core.records import Record

NOTHING_NEW = "The language model had nothing to add."
STOPPED = "You stopped the language model."
TURNING = 2  # sentences that it writes again, after which a model is turning in a circle and is stopped
NOTHING = "The language model said nothing that this run bears out, so this answer was made without it."
SELF_MADE = ("term", "setting", "who")  # topics on which a model could only make worse what is known


class Piece(Record):
    """A part of an answer, as it comes."""

    text: str
    made_by: Literal["rules", "model"] = "rules"
    note: str = ""  # why there is nothing of the model's, where one was asked


class Speaker(Protocol):
    """A language model that can speak and weigh."""

    def speak(self, messages: Sequence[dict[str, str]], limit: int = ...) -> Iterator[str]: ...
    def count(self, messages: Sequence[dict[str, str]]) -> int: ...
    def read(self, one: Sequence[dict[str, str]], other: Sequence[dict[str, str]], wanted: Callable[[], bool] = ...) -> int: ...
    def weigh(self, messages: Sequence[dict[str, str]], labels: Sequence[str]) -> list[float]: ...
    def cancel(self) -> None: ...
    def rest(self) -> None: ...
    def close(self) -> None: ...


class Voice:
    """Speaks with a language model where there is one, and without one as well."""

    def __init__(self, speaker: Speaker | None = None) -> None:
        self.speaker = speaker
        self.awake = True  # False: the rules speak alone
        self._answering = 0  # answers that a model is asked for now
        self._stops = 0  # how often a person had enough

    def cancel(self) -> None:
        """Stop the language model in the middle of its answer, from any thread, also while that waits for what is read ahead."""
        if self.speaker and self._answering:
            self._stops += 1
            self.speaker.cancel()

    def close(self) -> None:
        """Let go of the language model's memory; it wakes again with the next question."""
        if self.speaker:
            self.speaker.close()

    def story(self, known: Known) -> Story:
        """The story of a run, made without a model."""
        return story(known)

    def tell(self, known: Known) -> Iterator[Piece]:
        """The story piece by piece: the rules' words, then a model's, where there is one."""
        told = story(known).text
        yield Piece(text=told)
        yield from self._in_other_words(known, prompts.STORY, told)

    def answer(self, known: Known, question: str) -> Iterator[Piece]:
        """The answer to a question: the rules' words, then a model's, where there is one and the question leaves it something to say."""
        told = answered(known, question)
        yield Piece(text=told)
        if question.strip() and understood(question).topic not in SELF_MADE:
            yield from self._in_other_words(known, question, told)

    def rest(self) -> None:
        """A job wants this computer: let go of a model that only read ahead."""
        if self.speaker:
            self.speaker.rest()

    def prepare(self, known: Known, wanted: Callable[[], bool] = lambda: True) -> None:
        """Let the language model read a run's evidence before anyone asks, so that the first word comes sooner. Takes its time: not on a
        screen's own thread. Quiet where there is no model or it fails.
        """
        if self.speaker and self.awake and wanted():
            pack, stops = pack_of(known), self._stops
            with contextlib.suppress(LabError):  # it is told when someone asks
                messages = prompts.fitting(pack, prompts.STORY, self.speaker.count)
                self.speaker.read(messages, prompts.narration(pack, "?"), lambda: wanted() and self._stops == stops)

    def choose(self, known: Known) -> Fix | None:
        """One of the vetted ways out: the rules' own unless a model clearly prefers another in both orders."""
        pack = pack_of(known)
        return choosing.way(pack, self.speaker if self.awake else None) if pack.ways else None

    def _in_other_words(self, known: Known, question: str, told: str) -> Iterator[Piece]:
        if self.speaker is None or not self.awake:
            return
        pack = pack_of(known)
        checked = Checked(pack, told, asked_about(question, pack))
        why, stops = "", self._stops
        self._answering += 1
        try:
            messages = prompts.fitting(pack, question, self.speaker.count)
            if self._stops != stops:
                raise Unavailable(STOPPED)
            with contextlib.closing(_stream(self.speaker, messages)) as words:
                for word in words:
                    for sentence in checked.feed(word):
                        yield Piece(text=bare(sentence), made_by="model")
                    if checked.repeats >= TURNING:
                        break
            if self._stops != stops:
                raise Unavailable(STOPPED)
            for sentence in checked.finish():
                yield Piece(text=bare(sentence), made_by="model")
        except LabError as error:
            why = STOPPED if self._stops != stops else str(error)
        finally:
            self._answering -= 1
        if not checked.shown or why:
            yield Piece(text="", note=why or (NOTHING_NEW if checked.known else NOTHING))


def _stream(speaker: Speaker, messages: Sequence[dict[str, str]]) -> Generator[str, None, None]:
    yield from speaker.speak(messages, prompts.MOST_OUT)


def evidence_of(known: Known) -> Pack:
    """What a model would be given about a run: shown to whoever wants to see it."""
    return pack_of(known)
