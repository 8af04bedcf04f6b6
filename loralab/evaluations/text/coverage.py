"""Owns the measure of taking the question up: how many of its content words, numbers and names come back in the answer.

Invariant: it is told and never judged. A parrot covers every question and a good “yes” covers none, so that this number alone is no
reason to call anything better or worse; the examples' own answers are given beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from loralab.core.records import Example
from loralab.evaluations import Evaluation, Judging, Measured
from loralab.evaluations.shared.answer_scores import Trait, both
from loralab.evaluations.text import TEXT

STEM = 6  # letters by which two forms of a word count as one: “illness” and “illnesses”
LETTERS = 4  # of a content word; shorter ones are mostly grammar, whatever the language
_WORD = re.compile(r"\d[\d.,]*\d|\d|[^\W\d_][\w’'-]*")
# Long words of English questions that carry no content. Other languages' grammar is mostly short; what is left counts for both alike.
_EMPTY = frozenset(
    re.findall(
        r"\w+",
        """about after also another answer because before being between both cannot could describe does doing down each explain
        from further give have having here into just know like made make many mean means more most much must only other over
        please same should show some such tell than that their them then there these they this those through under very want
        were what when where which while will with would write your yours""",
    )
)

TRAIT = Trait(
    "question_coverage",
    "Takes up the question",
    "Share of the question's content words, numbers and names that come back in the answer. It is told and not judged: repeating a "
    "question is no answer, and a short answer may be a good one.",
    "alignment",
    "",
    "",
    told_only=True,
)


def content(text: str) -> set[str]:
    """What a text is about: its longer words by their first letters, its names and its numbers."""
    found = set()
    for match in _WORD.finditer(text):
        word = match[0].lower().rstrip(".,").removesuffix("'s").removesuffix("’s")
        inside_name = match[0][0].isupper() and match.start() > 0 and text[: match.start()].rstrip()[-1:] not in tuple(".!?:\n")
        if word[0].isdigit():
            found.add(word.replace(",", ""))
        elif word not in _EMPTY and (len(word) >= LETTERS or inside_name):
            found.add(word[:STEM])
    return found


def covered(question: str, text: str) -> float | None:
    """Share of the question's content that the text takes up; None for a question that has none."""
    wanted = content(question)
    said = {word.lower().rstrip(".,").replace(",", "")[:STEM] for word in _WORD.findall(text)} | content(text)
    return len(wanted & said) / len(wanted) if wanted else None


def measure(judging: Judging) -> Measured:
    """Coverage by both answers, and by the reference where there is one, so that there is something to hold it against."""
    answers = [a for a in judging.answers() if content(a.question)]
    if not answers:
        return Measured((), [])
    before, after = both(answers, lambda text, a: covered(a.question, text) or 0.0)
    score = TRAIT.score(before, after)
    known = [found for a in answers if a.reference.strip() and (found := covered(a.question, a.reference)) is not None]
    if known:
        usual = f"The examples' own answers take up {100 * sum(known) / len(known):.0f} %."
        score = score.model_copy(update={"words": f"{score.words} {usual}"})
    rows = [{"row": a.example.row, "base_covered": b, "adapter_covered": c} for a, b, c in zip(answers, before, after, strict=True)]
    return Measured((score,), rows)


def accepts(examples: Sequence[Example]) -> bool:
    """Conversations; a label takes nothing up."""
    return any(e.messages for e in examples) and not any(e.label is not None for e in examples)


EVALUATION = Evaluation(name="coverage", label="Whether it takes up the question", tasks=TEXT, accepts=accepts, measure=measure)
