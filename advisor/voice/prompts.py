"""Owns what a language model is asked. Invariants: at most four hundred tokens; of a run only its evidence pack; what a person typed stands
last, on one line and as a quotation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from advisor.voice.evidence import Pack, tidy

MOST_IN, MOST_OUT = 400, 120  # tokens
LONGEST_QUESTION = 200  # characters
STORY = "Tell what happened in this run."

_ASK = (
    "You explain one training run to a beginner. Use only the facts below. Write two to four short, plain sentences. "
    "After each sentence name its fact in brackets, like [E1]. Copy numbers exactly. Give no other numbers and no other advice."
)
_CHOOSE = "You help with one training run. Read the facts and the options. Answer with the letter of the best option only."

Messages = list[dict[str, str]]


def narration(pack: Pack, question: str) -> Messages:
    """Ask for a few sentences about a run."""
    asked = tidy(question, LONGEST_QUESTION) or STORY
    return [{"role": "system", "content": _ASK}, {"role": "user", "content": f"{pack.text}\n\nQuestion: “{asked}”"}]


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
