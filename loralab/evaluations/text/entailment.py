"""Owns support by the source, as a local judge sees it: does the text that came with the question bear out the answer? Yes or no.

Small judges like to say yes. So each is first shown answers beside a text that belongs to another question, and one that says yes to
those, too, is not heard.

Invariant: only asked where questions carry a text; what the judge said to the wrong texts is told whatever came out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loralab.core.errors import LabError
from loralab.core.records import Example
from loralab.evaluations import Answered, Evaluation, Judging, Measured
from loralab.evaluations.shared.answer_scores import Trait, shorten
from loralab.evaluations.shared.second_opinion import Opinion
from loralab.evaluations.text import TEXT
from loralab.evaluations.text.grounding import has_source

MOST_ANSWERS = 30  # each is asked about twice, and once beside the wrong text
GULLIBLE = 0.3  # share of wrong texts to which a judge may say yes, and still be heard
OPTIONS = (("Yes", " Yes", "yes", " yes", "YES"), ("No", " No", "no", " no", "NO"))

TRAIT = Trait(
    "entailed",
    "Supported by the text (local judge)",
    "Share of answers of which the model you named as a judge says that the text in the question supports them.",
    "grounding",
    "More of its answers are supported by the text",
    "Fewer of its answers are supported by the text",
)


def measure(judging: Judging) -> Measured:
    """Share of supported answers; nothing but the reason where the judge cannot be heard."""
    chosen = [a for a in judging.answers() if a.before.text.strip() and a.after.text.strip()][:MOST_ANSWERS]
    if len(chosen) < 2 or not has_source([a.question for a in chosen]) or (opinion := judging.opinion()) is None:
        return Measured((), [])
    rows: list[dict[str, Any]] = []
    for number, answered in enumerate(chosen):
        if number and judging.stop():
            break
        judging.note(f"measuring: asking {opinion.name} what the text supports", number / len(chosen))
        try:
            rows.append(_asked(opinion, answered, chosen[(number + 1) % len(chosen)]))
        except LabError:  # that it broke is told by the comparison, which asks the same judge
            break
    return heard(rows, opinion.name)


def _asked(opinion: Opinion, answered: Answered, other: Answered) -> dict[str, Any]:
    source = source_of(answered)
    told = {
        "before_supported": supported(opinion, source, answered.before.text),
        "after_supported": supported(opinion, source, answered.after.text),
        "foreign_supported": supported(opinion, source_of(other), answered.reference or answered.after.text),
    }
    return {"row": answered.example.row} | told


def source_of(answered: Answered) -> str:
    """All that was said before the answer."""
    return answered.prompt if isinstance(answered.prompt, str) else "\n".join(turn.content for turn in answered.prompt)


def supported(opinion: Opinion, source: str, text: str) -> bool:
    """Whether the judge says that the source bears the text out."""

    def ask(most: int) -> str:
        return (
            f"Text:\n{shorten(source, 2 * most)}\n\nAnswer:\n{shorten(text, most)}\n\n"
            "Is everything that the answer claims supported by the text? Reply with one word: Yes or No."
        )

    return opinion.choose(ask, OPTIONS) == 0


def heard(rows: list[dict[str, Any]], name: str) -> Measured:
    """The score where the judge can say no, and in any case what it said to the wrong texts."""
    if not rows:
        return Measured((), [])
    foreign = sum(row["foreign_supported"] for row in rows)
    silent = foreign > GULLIBLE * len(rows)
    words = f"Beside a text that belongs to another question, {name} said yes to {foreign} of {len(rows)} answers"
    words += ": it says yes too easily and is not heard on this." if silent else "."
    table = {"entailment": {"foreign": foreign, "asked": len(rows), "silent": silent, "words": words}}
    if silent:
        return Measured((), rows, table)
    base, adapter = ([float(row[f"{who}_supported"]) for row in rows] for who in ("before", "after"))
    score = TRAIT.score(base, adapter)
    return Measured((score.model_copy(update={"words": f"{score.words} {words}"}),), rows, table)


def accepts(examples: Sequence[Example]) -> bool:
    """Conversations with free answers; whether they carry a text is looked at when there is a judge."""
    return any(e.messages for e in examples) and not any(e.label is not None for e in examples)


EVALUATION = Evaluation(name="entailment", label="What the text supports", tasks=TEXT, accepts=accepts, measure=measure, last=True)
