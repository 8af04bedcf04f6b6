"""What the language model is asked. Invariants: at most four hundred tokens of facts; of a run only its evidence pack and the rules' own
titles; what a person typed stands last, on one line and as a quotation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from advisor.assistant.evidence import EvidencePack, tidy
from advisor.diagnosis.findings import Evidence
from advisor.words.wording import loss, share

MAX_IN, MAX_OUT = 400, 120  # tokens
ROUNDED = 1000  # below it a number that is none of a count is given with three digits
MAX_QUESTION = 200  # characters

_ASK = (
    "You explain one training run to a beginner, from the facts below only. Answer the question in two or three short sentences. "
    "Use no other numbers. Where the facts do not answer it, say so."
)
_CHOOSE = "A person asks about one training run. Answer with the letter of the entry that answers the question, or of “None of these”."
NONE = "None of these"

_HEAD_END = re.compile(r" (?:of|on|that|which|whose|with|in|to|from|when|before|after|at|by|made|planned|learned|cut|left|it) ?")

Messages = list[dict[str, str]]


def narration(pack: EvidencePack, question: str) -> Messages:
    """Ask for a few sentences about a run."""
    facts = "\n".join([pack.found, *map(_fact, pack.rows)])
    return [{"role": "system", "content": _ASK}, {"role": "user", "content": f"{facts}\n\n{_quoted(question)}"}]


def fitting(pack: EvidencePack, question: str, count: Callable[[Messages], int]) -> Messages:
    """`narration` with as many rows as fit; the least telling go first."""
    messages = narration(pack, question)
    while count(messages) > MAX_IN and pack.rows:
        pack = pack.shorter()
        messages = narration(pack, question)
    return messages


def choice(question: str, labels: Sequence[str], titles: Sequence[str]) -> Messages:
    """Ask which entry answers a question, in the order given."""
    entries = "\n".join(f"{label}: {title}" for label, title in zip(labels, titles, strict=True))
    return [{"role": "system", "content": _CHOOSE}, {"role": "user", "content": f"{entries}\n\n{_quoted(question)}"}]


def _quoted(question: str) -> str:
    return f"Question: “{tidy(question, MAX_QUESTION)}”"


def _fact(row: Evidence) -> str:
    """A row as a sentence: a small model says again what stands there in the form in which it stands there."""
    what, unit = tidy(row.what), row.unit
    counted = f" {unit}" if unit and unit.lower() not in what.lower() else ""
    head = _HEAD_END.split(what)[0].split(" ")[-1]
    many = head.endswith("s") and not head.endswith("ss")
    place = f" at update {row.step}" if row.step is not None else ""
    said = f"{what} were {_value(row)}{place}" if many else f"the {what} was {_value(row)}{counted}{place}"
    return f"{said[:1].upper()}{said[1:]}."


def _value(row: Evidence) -> str:
    """A row's number as the rules' words write it."""
    value = row.value
    if not isinstance(value, float) or abs(value) >= ROUNDED:
        return f"{value}"
    if row.what.startswith("share ") and not row.unit and abs(value) <= 1:
        return share(value)
    return loss(value) if "loss" in row.what else f"{value:.3g}"
