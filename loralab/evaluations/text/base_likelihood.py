"""Owns the measure of strangeness: how likely the base model finds what was written, and which answers run in circles.

A number of its own says little: an adapter that learned a new tone must write what the base finds less likely. Beside the base's own
answers it says two things: how far the new ones have moved, and whether some went where every loop goes, to text that repeats itself
and that the base finds as easy to go on with as anything of its own (Holtzman et al. 2020, section 2).

Invariant: both answers are read by the base, the adapter switched off, after the same question; the limit is taken from the base's answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from loralab.core.records import Example
from loralab.evaluations import Answered, Evaluation, Judging, Measured
from loralab.evaluations.shared.answer_scores import Trait, both
from loralab.evaluations.shared.readings import readings
from loralab.evaluations.text import TEXT
from loralab.evaluations.text.hygiene import RUN, repeated
from loralab.models.tokenize import Encoded

MOST_ANSWERS = 64  # each is read twice
CIRCLES = 0.2  # share of runs of words said before, from which on an answer may run in circles

SURPRISE = Trait(
    "base_surprise",
    "Surprise of the base at the answers",
    "How surprised the base model is by what was written, by its own answers and by the new ones (nats per token). Neither direction is "
    "better: what learned a new tone surprises it more. Much lower than its own answers means empty phrases.",
    "fluency",
    "",
    "",
    share=False,
    told_only=True,
)
DEGENERATE = Trait(
    "degenerate",
    "Runs in circles",
    f"Answers that repeat a fifth or more of their runs of {RUN} words and that the base model finds as likely as its own usual answer, "
    "or likelier: the sign of a loop.",
    "fluency",
    "Fewer of its answers go round in circles",
    "More of its answers go round in circles",
    lower_is_better=True,
)


def measure(judging: Judging) -> Measured:
    """Mean surprise per token of both answers under the base, and the share of each that runs in circles."""
    chosen = [a for a in judging.answers() if a.before.text.strip() and a.after.text.strip()][:MOST_ANSWERS]
    said = [(_row(judging.session, a.prompt, a.before.text), _row(judging.session, a.prompt, a.after.text)) for a in chosen]
    known = readings(judging)
    known.read(
        [row for pair in said for row in pair],
        by=(False,),
        stop=judging.stop,
        tell=lambda fraction: judging.note("measuring: what the base makes of the answers", fraction),
    )
    rows: list[dict[str, Any]] = []
    read: list[Answered] = []
    for answered, pair in zip(chosen, said, strict=True):
        before, after = (known.loss(row, adapter=False) for row in pair)
        if before and after and before[1] and after[1]:
            rows.append({"row": answered.example.row, "before_surprise": before[0] / before[1], "after_surprise": after[0] / after[1]})
            read.append(answered)
    if not rows:
        return Measured((), [])
    base, adapter = ([float(row[f"{who}_surprise"]) for row in rows] for who in ("before", "after"))
    usual, (base_again, adapter_again) = median(base), both(read, lambda text, _: repeated(text))
    circles = [circling(values, again, usual) for values, again in ((base, base_again), (adapter, adapter_again))]
    for row, before, after in zip(rows, *circles, strict=True):
        row |= {"base_circles": bool(before), "adapter_circles": bool(after)}
    return Measured((SURPRISE.score(base, adapter), DEGENERATE.score(*circles)), rows)


def circling(surprise: Sequence[float], again: Sequence[float], usual: float) -> list[float]:
    """1 for each answer that repeats itself (`again`: share of repeated runs) and surprises the base no more than `usual`."""
    return [float(a >= CIRCLES and s <= usual) for s, a in zip(surprise, again, strict=True)]


def _row(session: Any, prompt: Any, text: str) -> Encoded:
    """Question and answer as one row, of which only the answer counts."""
    from loralab.serve.generate import fit

    said = session.encoder.tokenizer.encode(text, add_special_tokens=False).ids
    context = int(getattr(session.model.config, "max_position_embeddings", 0) or 1 << 30)
    read = fit(session.encoder, prompt, context, len(said) + 1)
    said = said[: max(0, context - len(read))]
    return Encoded(ids=[*read, *said], learned=[False] * len(read) + [True] * len(said), pieces=[], truncated=False)


def accepts(examples: Sequence[Example]) -> bool:
    """Conversations with answers of more than a word or two: no labels."""
    return any(e.messages for e in examples) and not any(e.label is not None for e in examples)


EVALUATION = Evaluation(name="base_likelihood", label="How the base model sees its answers", tasks=TEXT, accepts=accepts, measure=measure)
