"""Owns the measure of made-up things, as far as it can honestly go: numbers and names in an answer that stand nowhere it could have
them from.

Invariant: only what can be pointed at is counted, with the place in the answer; where neither question nor reference could support
anything, it says that this cannot be measured and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from statistics import median

from loralab.core.records import Example, Score
from loralab.evaluations import Answered, Evaluation, Judging, Measured
from loralab.evaluations.shared.answer_scores import Trait, both, shorten
from loralab.evaluations.shared.answers import asked
from loralab.evaluations.text import TEXT

SOURCE_WORDS = 30  # from this median length on, questions carry something an answer could be taken from
RUN = 3  # words of an n-gram looked up in the source
_NUMBER = re.compile(r"\d[\d,.]*\d|\d")
_NAME = re.compile(r"(?<=[a-z,;:] )[A-Z][\w’'-]+(?: [A-Z][\w’'-]+)*")  # capitals inside a sentence
_WORD = re.compile(r"[\w’'-]+")

Spans = list[tuple[str, int, int]]  # kind, start and end in characters

NUMBERS = Trait(
    "unsupported_numbers",
    "Numbers from nowhere",
    "Answers with a number that stands neither in the question nor in the reference.",
    "grounding",
    "It makes up fewer numbers",
    "It makes up more numbers",
    lower_is_better=True,
)
NAMES = Trait(
    "unsupported_names",
    "Names from nowhere",
    "Answers with a name that stands neither in the question nor in the reference.",
    "grounding",
    "It makes up fewer names",
    "It makes up more names",
    lower_is_better=True,
)
PHRASES = Trait(
    "unsupported_phrases",
    "Phrases from nowhere",
    f"Share of an answer's runs of {RUN} words that stand in neither source nor reference.",
    "grounding",
    "More of what it says is in the source",
    "Less of what it says is in the source",
    lower_is_better=True,
)


def support(a: Answered) -> str:
    """All text that an answer could have taken something from: the whole conversation and the reference."""
    turns = a.prompt if isinstance(a.prompt, str) else " ".join(turn.content for turn in a.prompt)
    return f"{turns} {a.reference}"


def unsupported(text: str, source: str) -> Spans:
    """(kind, start, end) of the numbers and names of `text` that `source` does not have; offsets in characters."""
    known = {_plain(m[0]) for m in _NUMBER.finditer(source)}
    lowered = source.lower()
    found = [("number", m.start(), m.end()) for m in _NUMBER.finditer(text) if _plain(m[0]) not in known]
    found += [("name", m.start(), m.end()) for m in _NAME.finditer(text) if m[0].lower() not in lowered]
    return sorted(found, key=lambda span: span[1])


def unsupported_runs(text: str, source: str) -> tuple[int, int]:
    """(runs of RUN words that the source does not have, runs there are)."""
    known, runs = set(_runs(source)), list(_runs(text))
    return sum(run not in known for run in runs), len(runs)


def _runs(text: str) -> Iterator[tuple[str, ...]]:
    words = [word.lower() for word in _WORD.findall(text)]
    return (tuple(words[i : i + RUN]) for i in range(len(words) - RUN + 1))


def _plain(number: str) -> str:
    """A number as it compares: without thousands separators and closing zeros."""
    digits = number.replace(",", "")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def measure(judging: Judging) -> Measured:
    """Numbers and names in every answer; phrases only where questions are long enough to be a source."""
    answers = [a for a in judging.answers() if a.reference.strip()]
    if not answers:
        return Measured((), [], {"not_measured": "These examples have neither a source nor a reference answer to check against."})
    spans = [(unsupported(a.before.text, support(a)), unsupported(a.after.text, support(a))) for a in answers]
    scores = [_share(trait, kind, spans) for trait, kind in ((NUMBERS, "number"), (NAMES, "name"))]
    if has_source([a.question for a in answers]):
        before, after = both(answers, lambda text, a: _ratio(unsupported_runs(text, support(a))))
        scores.append(PHRASES.score(before, after))
    rows = [
        {"row": a.example.row, "after": shorten(a.after.text), "before_spans": before, "after_spans": after}
        for a, (before, after) in zip(answers, spans, strict=True)
        if before or after
    ]
    return Measured(tuple(scores), rows)


def _share(trait: Trait, kind: str, spans: Sequence[tuple[Spans, Spans]]) -> Score:
    has = [tuple(float(any(k == kind for k, _, _ in side)) for side in pair) for pair in spans]
    return trait.score([b for b, _ in has], [a for _, a in has])


def _ratio(pair: tuple[int, int]) -> float:
    return pair[0] / pair[1] if pair[1] else 0.0


def has_source(questions: Sequence[str]) -> bool:
    """Whether questions are long enough to carry what an answer could be taken from."""
    return bool(questions) and median(len(q.split()) for q in questions) >= SOURCE_WORDS


def accepts(examples: Sequence[Example]) -> bool:
    """Conversations that are no sorting task (there false positives per label say more)."""
    return any(asked(e)[1] for e in examples if e.messages) and not any(e.label is not None for e in examples)


EVALUATION = Evaluation(name="grounding", label="Whether it makes things up", tasks=TEXT, accepts=accepts, measure=measure)
