"""Owns what a language model is asked. Invariants: at most four hundred tokens; of a run only its evidence pack; what a person typed stands
last, on one line and as a quotation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from advisor.assistant.evidence import Pack, Row, tidy
from advisor.words.wording import loss, share

MOST_IN, MOST_OUT = 400, 120  # tokens
ROUNDED = 1000  # below it a number that is none of a count is given with three digits
LONGEST_QUESTION = 200  # characters
STORY = "Tell what happened in this run."

_ASK = (
    "You explain one training run to a beginner, from the facts below only. Answer the question in two or three short sentences. "
    "Behind each sentence put the name of its fact in brackets, as the facts do. No other numbers, no other causes, no other advice."
)
_CHOOSE = "You help with one training run. Read the facts and the options. Answer with the letter of the best option only."

_OF = re.compile(
    r" (?:of|on|that|which|whose|with|in|to|from|when|before|after|at|by|made|planned|learned|cut|left|it) ?"
)  # end a head noun

Messages = list[dict[str, str]]


def narration(pack: Pack, question: str) -> Messages:
    """Ask for a few sentences about a run."""
    asked = tidy(question, LONGEST_QUESTION) or STORY
    return [{"role": "system", "content": _ASK}, {"role": "user", "content": f"{facts(pack)}\n\nQuestion: “{asked}”"}]


def facts(pack: Pack) -> str:
    """The evidence in sentences: a small model says again what stands there in the form in which it stands there."""
    return "\n".join([pack.found, *(_fact(row) for row in pack.rows)])


def _fact(row: Row) -> str:
    what, unit = tidy(row.evidence.what), row.evidence.unit
    counted = f" {unit}" if unit and unit.lower() not in what.lower() else ""
    value, head = _value(row), _OF.split(what)[0].split(" ")[-1]
    many = head.endswith("s") and not head.endswith("ss")
    place = f" at update {row.evidence.step}" if row.evidence.step is not None else ""
    said = f"{what} were {value}{place}" if many else f"the {what} was {value}{counted}{place}"
    return f"{said[:1].upper()}{said[1:]} [{row.name}]."


def _value(row: Row) -> str:
    """A row's number as the rules' words write it."""
    value, what = row.evidence.value, row.evidence.what
    if not isinstance(value, float) or abs(value) >= ROUNDED:
        return f"{value}"
    if what.startswith("share ") and not row.evidence.unit and abs(value) <= 1:
        return share(value)
    return loss(value) if "loss" in what else f"{value:.3g}"


def choice(pack: Pack, labels: Sequence[str], options: Sequence[str]) -> Messages:
    """Ask for one of several vetted options, in the order given."""
    lines = [f"{label}: {tidy(option, 160)}" for label, option in zip(labels, options, strict=True)]
    evidence = "\n".join(row.words for row in pack.rows)
    return [{"role": "system", "content": _CHOOSE}, {"role": "user", "content": f"{evidence}\n\nOptions:\n" + "\n".join(lines)}]


def fitting(pack: Pack, question: str, count: Callable[[Sequence[dict[str, str]]], int]) -> Messages:
    """`narration` with as many rows as fit; the least telling go first."""
    messages = narration(pack, question)
    while count(messages) > MOST_IN and pack.rows:
        pack = pack.shorter()
        messages = narration(pack, question)
    return messages
