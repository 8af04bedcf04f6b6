"""Owns which language examples are in, and what they ask of a model. Invariant: where it is not plain the answer is empty: a guess would
send people to the wrong model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from loralab.core.records import Example
from loralab.models.suitability import LANGUAGES

Need = Literal["", "sort", "note", "answer", "write", "chat"]

LOOKED = 60  # examples, spread over the file
ENOUGH = 20  # letters of a text that is asked about
MIN_LETTERS = 200  # in all, under which nothing is said
MAJORITY = 0.6  # of the texts
SHORT = 40  # letters of a typical answer that needs no sentence
FEW_ANSWERS = 5  # times as many examples as different answers: they are sorted, not answered


def language_of(examples: Sequence[Example]) -> str:
    """The ISO 639-1 code of the language most examples are in, answers first; empty where it is not plain."""
    from py3langid import classify  # late: its model takes a moment to load

    chosen = examples[:: max(1, len(examples) // LOOKED)][:LOOKED]
    texts = [text for example in chosen if len(text := _said(example)) >= ENOUGH]
    if sum(map(len, texts)) < MIN_LETTERS:
        return ""
    counted = Counter(str(classify(text)[0]) for text in texts)
    found, times = counted.most_common(1)[0]
    return found if found in LANGUAGES and times >= MAJORITY * len(texts) else ""  # not “no language”, nor one no model is known to speak


def need_of(examples: Sequence[Example]) -> Need:
    """What a model must be able to do to learn them: sort, note (answer in a few words), answer, write or chat."""
    if not examples:
        return ""
    if not any(example.messages for example in examples):
        return "write"
    answers = [_answer(example).strip() for example in examples]
    lengths = sorted(map(len, answers))
    if len(set(answers)) * FEW_ANSWERS <= len(answers) and lengths[len(lengths) // 2] <= SHORT:
        return "sort"
    if lengths[len(lengths) // 2] <= SHORT:
        return "note"
    turns = sum(sum(message.role == "assistant" for message in example.messages) > 1 for example in examples)
    return "chat" if turns * 2 > len(examples) else "answer"


def _answer(example: Example) -> str:
    return example.messages[-1].content if example.messages else example.text


def _said(example: Example) -> str:
    """The answer, with what it answers where that is only a word."""
    answer = _answer(example)
    return answer if len(answer) >= ENOUGH or not example.messages else " ".join(message.content for message in example.messages)
