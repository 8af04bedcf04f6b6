"""Owns the measures of form: does an answer end, say something, keep to length and language, and not repeat itself or leak markers.

Invariant: none of these needs to know what is right; each is a number of one answer, the same for base and adapter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from loralab.core.records import Example
from loralab.evaluations import Answered, Evaluation, Judging, Measured
from loralab.evaluations.shared.answer_scores import Trait, both
from loralab.evaluations.text import TEXT

RUN = 4  # words that count as said again
ENOUGH = 24  # letters from which on a language can be told
_LEAK = re.compile(r"<\|[^|>]{1,40}\|>|</?think>|\[/?INST\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>|<unk>|<pad>", re.IGNORECASE)

ENDS = Trait(
    "ends_turn",
    "Ends by itself",
    "The answer ended by itself within twice the length of its reference, and was not cut off.",
    "fluency",
    "It ends its answers more often",
    "It ends its answers less often",
)
EMPTY = Trait(
    "empty",
    "Empty answers",
    "It ended its turn without a word.",
    "fluency",
    "It stays silent less often",
    "It stays silent more often",
    lower_is_better=True,
)
LENGTH = Trait(
    "length_fit",
    "Length like the reference",
    "1 is exactly as long as the reference, 0.5 is half or twice as long.",
    "fluency",
    "Its answers are closer to the right length",
    "Its answers are further from the right length",
)
REPEATS = Trait(
    "repeats",
    "Repeats itself",
    f"Share of runs of {RUN} words that the answer has said before.",
    "fluency",
    "It repeats itself less",
    "It repeats itself more",
    lower_is_better=True,
)
DISTINCT = Trait(
    "distinct_2",
    "Varied words",
    "Share of word pairs that occur only once in the answer (Li et al. 2016).",
    "fluency",
    "Its words are more varied",
    "Its words are less varied",
)
LEAKS = Trait(
    "leaks",
    "Leaked markers",
    "Special tokens or thinking marks that are not meant to be read stand in the answer.",
    "fluency",
    "It leaks fewer markers",
    "It leaks markers that are not meant to be read",
    lower_is_better=True,
)
LANGUAGE = Trait(
    "other_language",
    "Wrong language",
    "The answer is in another language than its reference, as far as that can be told.",
    "fluency",
    "It answers in the right language more often",
    "It answers in the wrong language more often",
    lower_is_better=True,
)


def repeated(text: str) -> float:
    """Share of an answer's runs of RUN words that stood in it before; 0 for a shorter one."""
    words = text.lower().split()
    runs = [tuple(words[i : i + RUN]) for i in range(len(words) - RUN + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def distinct_pairs(text: str) -> float:
    """Different word pairs over all word pairs; 1 for fewer than two words."""
    words = text.lower().split()
    pairs = list(pairwise(words))
    return len(set(pairs)) / len(pairs) if pairs else 1.0


def length_fit(text: str, reference: str) -> float:
    """Shorter length over longer, in characters; 1 when both are empty."""
    a, b = len(text.strip()), len(reference.strip())
    return min(a, b) / max(a, b) if max(a, b) else 1.0


def leaked(text: str, reference: str = "") -> bool:
    """Whether marks of a chat template, thinking marks or unknown-word marks stand in a text; those its reference has are meant to."""
    meant = {mark.lower() for mark in _LEAK.findall(reference)}
    return any(mark.lower() not in meant for mark in _LEAK.findall(text))


def other_language(text: str, reference: str) -> bool:
    """Whether a text is in another language than its reference; too short a text is given the benefit of the doubt."""
    if min(len(text.strip()), len(reference.strip())) < ENOUGH:
        return False
    from py3langid import classify  # late: its model takes a moment to load

    return classify(text)[0] != classify(reference)[0]


def measure(judging: Judging) -> Measured:
    """All traits over all answers; those about the reference only where there is one."""
    answers = judging.answers()
    if not answers:
        return Measured((), [])
    found = [ENDS.score([float(a.before.ended) for a in answers], [float(a.after.ended) for a in answers])]
    found += [trait.score(*both(answers, value)) for trait, value in _VALUES]
    referenced = [a for a in answers if a.reference.strip()]
    if referenced:
        found.append(LENGTH.score(*both(referenced, lambda text, a: length_fit(text, a.reference))))
        found.append(LANGUAGE.score(*both(referenced, lambda text, a: float(other_language(text, a.reference)))))
    return Measured(tuple(found), [_row(a) for a in answers])


_VALUES: tuple[tuple[Trait, Callable[[str, Answered], float]], ...] = (
    (EMPTY, lambda text, _: float(not text.strip())),
    (REPEATS, lambda text, _: repeated(text)),
    (DISTINCT, lambda text, _: distinct_pairs(text)),
    (LEAKS, lambda text, a: float(leaked(text, a.reference))),
)


def _row(a: Answered) -> dict[str, object]:
    return {
        "row": a.example.row,
        "before_ended": a.before.ended,
        "after_ended": a.after.ended,
        "before_repeats": repeated(a.before.text),
        "after_repeats": repeated(a.after.text),
    }


def accepts(examples: Sequence[Example]) -> bool:
    """Conversations; a text that is only continued has no end of a turn."""
    return any(e.messages for e in examples)


EVALUATION = Evaluation(name="hygiene", label="How well-formed its answers are", tasks=TEXT, accepts=accepts, measure=measure)
