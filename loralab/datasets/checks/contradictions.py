"""Answers that contradict each other: the same question once with yes and once with no, with another number, or with another class.

Invariant: several good answers to one question (a poem, an advice) are no contradiction; only short answers that cannot both be right are.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from loralab.core.errors import Problem
from loralab.core.records import Example
from loralab.core.words import count
from loralab.datasets.checks import Case, answer, asked, where
from loralab.datasets.dataset import normalised
from loralab.datasets.synthesis.search.space import words

_LONGEST = 40  # words of an answer that is one statement
_SHORT = 6  # words of an answer that only names something
_YES_NO = {"yes": 1, "ja": 1, "yeah": 1, "yep": 1, "oui": 1, "sí": 1, "true": 1, "no": -1, "nein": -1, "nope": -1, "non": -1, "false": -1}
_NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*")
_NOT = re.compile(r"\b(?:not|never|no longer|cannot|can't|don't|doesn't|isn't|aren't|won't|nicht|kein\w*|nie(?:mals)?)\b", re.IGNORECASE)
_ASKS_FOR_ANY = re.compile(
    r"\b(?:write|tell me a|give (?:me )?(?:an?|some|\d+)|name (?:an?|some|one)|example|suggest|random|poem|story|joke|create"
    r"|generate|list|imagine"
    r"|schreib|nenne|erzähl|beispiel|gedicht|erfinde)\b",
    re.IGNORECASE,
)
_SHOWN = 60


def check(case: Case) -> list[Problem]:
    """A warning with two of the answers and the rows."""
    pairs = contradicting(case.examples)
    if not pairs:
        return []
    one, other = pairs[0]
    rows = list({id(example): example for pair in pairs for example in pair}.values())
    first, second = (example.label if example.label is not None else answer(example) for example in (one, other))
    what = (
        f"{count(len(pairs), 'question')} {'has' if len(pairs) == 1 else 'have'} answers that contradict each other ({where(rows)}): "
        f"“{asked(one)[:_SHOWN]}” is answered “{first[:_SHOWN]}” and “{second[:_SHOWN]}”."
    )
    return [Problem(code="contradictions", what=what, todo="Keep the answer that is right and take the other out.", severity="warning")]


def contradicting(examples: Sequence[Example]) -> list[tuple[Example, Example]]:
    """Pairs of examples that ask the same, one of each question; the same question is the same words, in whatever order."""
    groups: dict[tuple[str, ...], list[Example]] = defaultdict(list)
    for example in examples:
        if (example.label is not None or len(example.messages) == 2) and not example.media:
            groups[_question(example)].append(example)
    found: list[tuple[Example, Example]] = []
    for key, group in groups.items():
        pair = next(((group[0], other) for other in group[1:50] if contradict(group[0], other)), None) if key else None
        if pair:
            found.append(pair)
    return found


def _question(example: Example) -> tuple[str, ...]:
    said = asked(example)
    if example.label is not None:
        return (normalised(said),) if said else ()
    if _ASKS_FOR_ANY.search(said):
        return ()
    return tuple(sorted({*words(said), *_NUMBER.findall(said), *(["not"] if _NOT.search(said) else [])})) or (normalised(said),)


def contradict(one: Example, other: Example) -> bool:
    """Whether two answers to the same question cannot both be right."""
    if one.label is not None or other.label is not None:
        return one.label != other.label and normalised(asked(one)) == normalised(asked(other))
    first, second = answer(one), answer(other)
    said = [normalised(text).split() for text in (first, second)]
    if not all(said) or max(map(len, said)) > _LONGEST or said[0] == said[1]:
        return False
    polarity = [_YES_NO.get(words_said[0], 0) for words_said in said]
    if polarity[0] * polarity[1] == -1:
        return True
    telling = [set(words(text)) for text in (first, second)]
    numbers = [{found.replace(",", "") for found in _NUMBER.findall(text)} for text in (first, second)]
    alike = len(telling[0] & telling[1]) >= 0.5 * max(1, min(map(len, telling)))
    if numbers[0] and numbers[1] and not numbers[0] & numbers[1]:
        return alike or max(map(len, said)) <= _SHORT
    if alike and bool(_NOT.search(first)) != bool(_NOT.search(second)):
        return True
    return (
        max(map(len, said)) <= _SHORT
        and all(telling)
        and not telling[0] & telling[1]
        and all(any(c.isupper() for c in t) for t in (first, second))
    )


CHECK = check
