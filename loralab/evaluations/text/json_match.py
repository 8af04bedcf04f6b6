"""Owns the measure for structured answers: whether they are valid JSON, and whether their fields hold what the reference's do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from loralab.core.records import Example
from loralab.evaluations import Evaluation, Judging, Measured
from loralab.evaluations.shared.answer_scores import Trait, both, shorten
from loralab.evaluations.shared.answers import asked
from loralab.evaluations.text import TEXT

VALID = Trait(
    "json_valid",
    "Valid JSON",
    "The whole answer can be read as JSON, without a word before or after it.",
    "accuracy",
    "Its answers are valid JSON more often",
    "Its answers are valid JSON less often",
)
FIELDS = Trait(
    "json_fields",
    "Right fields",
    "Of the reference's fields (nested ones too), the share that the answer has with the same value.",
    "accuracy",
    "More of its fields are right",
    "Fewer of its fields are right",
)


def parsed(text: str) -> Any:
    """The JSON object or list a text is, or None."""
    try:
        value = json.loads(text.strip())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def fields(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf with the way to it: `a.b[0]`."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from fields(inner, f"{path}.{name}")
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from fields(inner, f"{path}[{i}]")
    else:
        yield path, value


def fields_right(text: str, reference: str) -> float:
    """Share of the reference's leaves that the answer has with the same value; 0 when it is no JSON."""
    wanted, found = dict(fields(parsed(reference))), dict(fields(parsed(text)))
    absent = object()
    return sum(found.get(path, absent) == value for path, value in wanted.items()) / max(1, len(wanted))


def measure(judging: Judging) -> Measured:
    """Field match first: valid JSON with wrong content helps nobody."""
    answers = [a for a in judging.answers() if parsed(a.reference) is not None]
    if not answers:
        return Measured((), [])
    right = both(answers, lambda text, a: fields_right(text, a.reference))
    valid = both(answers, lambda text, _: float(parsed(text) is not None))
    rows = [
        {
            "row": a.example.row,
            "reference": shorten(a.reference),
            "before": shorten(a.before.text),
            "after": shorten(a.after.text),
            "before_right": b,
            "after_right": r,
        }
        for a, b, r in zip(answers, *right, strict=True)
    ]
    return Measured((FIELDS.score(*right), VALID.score(*valid)), rows)


def accepts(examples: Sequence[Example]) -> bool:
    """Text runs in which most references are JSON."""
    references = [asked(e)[1] for e in examples if e.messages]
    return bool(references) and sum(parsed(r) is not None for r in references) > len(references) / 2


EVALUATION = Evaluation(name="json_match", label="How much of the structure is right", tasks=TEXT, accepts=accepts, measure=measure, main=3)
