"""Answers before there is a run: what it takes, which model, how long, what leaves the computer; and every word of the glossary.

Invariant: nothing here depends on a run, and nothing is promised about a result.
"""

from __future__ import annotations

import re

from advisor.words import screen
from advisor.words.glossary import MEANINGS
from advisor.words.intents import plain, understand
from advisor.words.nearest import nearest
from loralab.core.words import listed

# question -> how else it is asked, and the answer
KNOWN: dict[str, tuple[str, str]] = {
    "How many examples do I need?": (
        r"\bhow (many|much) (examples?|rows?|data)\b|\benough\b|\bwie viele beispiele",
        "At least 9, and from 50 on it learns something. A few hundred good ones beat thousands of careless ones.",
    ),
    "Which model should I use?": (
        r"\bmodel\b|\bmodell\b",
        "The one that is recommended on the Plan page. There each model says what it is good for and how long it takes with your examples.",
    ),
    "How long does it take?": (
        r"\bhow long\b|\bminutes\b|\bhours\b|\btime\b|\bwie lange",
        "The plan says so before you start, for your examples on this computer. A small sample takes a few minutes.",
    ),
    "Does anything leave this computer?": (
        r"\b(private|privacy|secret|safe|internet|cloud|upload\w*|send|sent|online|offline|leaves?|data protection)\b|\bdatenschutz",
        "No. Your examples, the training and the result stay here. Only a model you choose to download comes from outside.",
    ),
    "What can it learn?": (
        r"\bwhat can (it|i|the model|you)\b|\b(pictures?|images?|photos?|audio|videos?)\b|\bwas kann",
        "To sort texts, answer in your tone, find things in texts, shorten or write. Text: yes. Pictures, sound and video: not yet.",
    ),
    "What does it cost?": (r"\b(cost|price|pay|free|licen[cs]e)\b|\bkostet", "Nothing. It runs on your own computer."),
    "What do I need to begin?": (
        r"\bneed\b|\bbegin\b|\bstart\b|\bfirst step|\bhow does (it|this) work|\bwas brauche ich|\bwie (fange|beginne) ich",
        "A file of examples, or one of the samples on this page. A table with a question and an answer in each row is enough.",
    ),
}


def answer_first(question: str) -> str:
    """The answer to a question that is asked before there is a run; the nearest ones that can be answered where it is another."""
    asked, text = understand(question), plain(question)
    if asked.topic == "term":
        return MEANINGS[asked.detail]
    for pattern, answer in KNOWN.values():
        if re.search(pattern, text):
            return answer
    labels = screen.settings()
    if named := max((label for label in labels if re.search(rf"\b{re.escape(label)}\b", text)), key=len, default=""):
        return labels[named]
    near = [f"“{one}”" for one in nearest(question, tuple(KNOWN))]
    return f"I do not know that yet. What I can answer: {listed(near, 'or')}. I can also explain any word on this page."
