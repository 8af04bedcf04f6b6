"""Owns the known answers by which a page of text proves itself: what llama.cpp says to fixed questions with the very files in the page.

Invariants: the questions are ours, so that no example of anybody stands in a page; an answer goes only as far as its next token is
certain, so that rounding on another processor cannot change it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from loralab.core.errors import LabError

ASKED = 5
LONGEST = 12  # tokens of an answer
CERTAIN = 0.2  # nats between the likeliest token and the next: several times what rounding moved in any export so far
UNCERTAIN = "nothing_certain"  # the code of what is said of a model that is certain of nothing
QUESTIONS = (
    "What can you do?",
    "Why is the sky blue?",
    "Please write a short thank-you note.",
    "How many days does a week have?",
    "Name three animals that live in water.",
    "I cannot log in any more. What should I do?",
    "Where do I find my invoice?",
    "Tell me about bread.",
    "What is 12 plus 30?",
    "Say hello.",
    "Which colour has grass?",
    "The parcel has not arrived yet.",
)


def known(runtime: Any) -> list[dict[str, Any]]:
    """Five conversations, each with the tokens of its answer. `runtime`: the page's files in llama.cpp.

    Raises LabError where the model is certain of hardly anything, so that nothing could be told by it.
    """
    found = sorted(_answers(runtime), key=lambda one: -len(one["tokens"]))[:ASKED]
    if len(found) < ASKED:
        what = "This model is so unsure of every word that a page could not tell whether a browser computes it right."
        raise LabError(what, "Teach it more examples, or for longer, then make the page again.", code=UNCERTAIN)
    return found


def _answers(runtime: Any) -> Iterator[dict[str, Any]]:
    for question in QUESTIONS:
        messages = [{"role": "user", "content": question}]
        ids = runtime.chat_ids(messages)
        said = runtime.generate(ids, LONGEST)
        if not said:
            continue
        logits = np.asarray(runtime.tail([*ids, *said], len(ids) - 1))[: len(said)]
        two = np.partition(logits, -2, axis=1)[:, -2:]
        sure = (two[:, 1] - two[:, 0] >= CERTAIN) & (logits.argmax(1) == np.asarray(said))
        count = len(said) if sure.all() else int(sure.argmin())
        while count and runtime.ends(said[count - 1]):
            count -= 1
        if count:
            yield {"messages": messages, "tokens": [int(token) for token in said[:count]]}
